//! Stage 6: what risk let pass → orders, and every way a plan of two of them can go.
//!
//! * [`id`]: order numbers that a restarted engine recognises as its own;
//! * [`leg`]: one order's life, in which "unknown" is a state;
//! * [`plan`]: two legs, and what is done in each situation they can be in.

#![forbid(unsafe_code)]

pub mod id;
pub mod leg;
pub mod plan;

pub use id::Ids;
pub use leg::{Impossible, Leg};
pub use plan::Plan;

use serde::{Deserialize, Serialize};

use crate::unit::{MarketId, OrderId, Outcome, Price, Qty, Venue};

/// Why an order is sent: entries need [`Approved`](crate::risk::Approved), all others
/// [`Reducing`](crate::risk::Reducing).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Purpose {
    /// One of the two orders that open a plan.
    Entry,
    /// Buys what the other leg already has.
    Complete,
    /// Closes what the other leg has not.
    Unwind,
    /// One of the two orders that sell both legs of a held pair.
    Exit,
    /// The same by a person's word: what is sold on one leg is sold on the other, whatever is cheaper.
    Flatten,
    /// Sells what stands alone and belongs to no plan any more, by a person's word.
    Rest,
}

impl Purpose {
    /// The word in the journal and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Complete => "complete",
            Self::Unwind => "unwind",
            Self::Exit => "exit",
            Self::Flatten => "flatten",
            Self::Rest => "rest",
        }
    }
}

/// One order as it is to be sent. Takes what is there up to its limit; what is not filled at once is not to rest.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ask {
    pub id: OrderId,
    pub venue: Venue,
    pub market: MarketId,
    pub outcome: Outcome,
    /// Bought, or sold out of what is held.
    pub buys: bool,
    pub qty: Qty,
    /// The worst price per contract of `outcome`.
    pub limit: Price,
    pub purpose: Purpose,
}
