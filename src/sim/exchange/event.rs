//! Plain values of the matching core: whose order, which order, and everything that can happen to a book.

use crate::unit::{BookSide, Money, Price, Qty, UnixMs};

/// Whose order it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Owner(pub u32);

impl Owner {
    /// Owners below have no account.
    pub const FIRST_ACCOUNT: u32 = 1_000_000;

    /// Has it an account?
    pub const fn has_account(self) -> bool {
        Self::FIRST_ACCOUNT <= self.0
    }
}

/// An order's number on one exchange.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OrderNo(pub u64);

/// Why a level changed. Polymarket shows a trade's changes as whole books, everything else as single levels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    Placed,
    Cancelled,
    Traded,
}

/// One level's new state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LevelChange {
    pub side: BookSide,
    pub price: Price,
    /// What the level holds now.
    pub total: Qty,
    /// By how many millionths of a contract it changed.
    pub change: i64,
    pub cause: Cause,
    /// The touch right after this change.
    pub best_bid: Option<Price>,
    pub best_ask: Option<Price>,
}

/// A match, at the resting order's price.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trade {
    pub number: u64,
    pub price: Price,
    pub qty: Qty,
    /// `Bid`: the taker bought YES.
    pub taker: BookSide,
}

/// One account's side of a match, already booked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fill {
    pub order: OrderNo,
    pub owner: Owner,
    pub side: BookSide,
    pub price: Price,
    pub qty: Qty,
    /// The number of the trade, shared by its two sides and nobody else.
    pub trade: u64,
    pub is_taker: bool,
    pub fee: Money,
    /// The position afterwards, in signed millionths of a contract.
    pub position: i64,
}

/// Why an order went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dropped {
    /// It would have met another order of its owner.
    SelfTrade,
    /// Its owner could not pay when it was met.
    Unfunded,
    /// The market closed.
    Closed,
    /// The market reopened after a pause.
    Reopened,
}

/// What one step of an action did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    Level(LevelChange),
    Trade(Trade),
    /// An account's side of the trade before it.
    Fill(Fill),
    /// An account's order, or the rest of it, is gone without its owner's asking.
    Dropped {
        order: OrderNo,
        why: Dropped,
    },
    /// The book was cleared at once, as at a close. No level changes are announced.
    Emptied,
}

/// Something that happened to a book.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event {
    pub market: usize,
    pub at: UnixMs,
    /// The market's exchange clock; all events of one action share it.
    pub clock: u64,
    /// The order whose coming, change or going the action is; none where it is about several.
    pub by: Option<OrderNo>,
    pub what: What,
}

/// What a resting order does when its owner's next order would meet it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SelfTrade {
    /// The newcomer's rest is cancelled where it would meet its owner.
    CancelTaker,
    /// The resting order goes, after the newcomer is in the book: for an instant the book is crossed.
    CancelMaker,
}

/// An order that may rest.
#[derive(Clone, Copy, Debug)]
pub struct NewOrder {
    pub owner: Owner,
    pub side: BookSide,
    pub price: Price,
    pub qty: Qty,
    pub self_trade: SelfTrade,
}

/// Why an order was not accepted. Only what a book itself knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    OffGrid,
    NoQuantity,
    Closed,
}
