//! Stage 4: an edge → an [`Intent`], or the [`Reason`] why not.

#![forbid(unsafe_code)]

pub mod reason;
pub mod rule;

pub use reason::Reason;
pub use rule::{Caps, Intent, Odds, Quote, Rules, Tally, View, decide};
