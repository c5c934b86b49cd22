//! Stage 8: what happened → what we own and owe, and what a person can ask about it afterwards.
//!
//! * [`journal`]: records written before the acts they describe; the truth that a restart begins from;
//! * [`segments`]: the files they lie in;
//! * [`position`]: holdings, cash and results, from the trades alone;
//! * [`audit`]: the trail for people, in SQL.

pub mod audit;
pub mod journal;
pub mod position;
pub mod segments;

pub use position::Positions;
