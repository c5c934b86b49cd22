//! Stage 7: what venues tell, from whichever channel, and whose order it is about.
//!
//! Each trade counts once: a [`Leg`](crate::order::Leg) knows its own by the venue's id. What belongs to no order of
//! ours was done by hand, or by another engine.

#![forbid(unsafe_code)]

use crate::unit::{OrderId, Tag, Told, UnixMs};

/// Whose order a report is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whose {
    /// It carries our own number.
    Ours(OrderId),
    /// It carries only the venue's id; the engine knows whether it is one of ours.
    Named(Tag),
}

/// The book that a paper order met, for the evidence: never set by a venue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Met {
    /// The venue's stamp of the newest change in the book; 0 after a snapshot without one.
    pub stamp: UnixMs,
    /// When that book last moved, by our wall clock.
    pub seen: UnixMs,
    /// Read by polling: never evidence.
    pub polled: bool,
}

/// One report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Heard {
    pub order: Whose,
    pub told: Told,
    /// Our wall clock when it came.
    pub at: UnixMs,
    pub met: Option<Met>,
}
