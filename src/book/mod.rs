//! Stage 2: [`Update`](crate::wire::Update)s → one YES-leg book per market that knows whether it may be traded on.

#![forbid(unsafe_code)]

pub mod ladder;
pub mod sync;

pub use ladder::Ladder;
pub use sync::{Book, Fitness, Links, Unfit};
