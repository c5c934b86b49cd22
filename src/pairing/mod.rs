//! Which markets are the same bet: cold, never in the way of an order.

pub mod pairbook;

pub use pairbook::{ApprovedPair, Fingerprint, PairBook, PairError, Polarity, Refusal, Tail, fingerprint};
