//! Stage 3: two [`Book`](crate::book::Book)s → the net edge of a pair, in both directions.

#![forbid(unsafe_code)]

pub mod fee;
pub mod pair;

pub use fee::{FeeCurve, FeeRun};
pub use pair::{Direction, Legs, Pair, Rate, Take, Terms, Walk};
