//! The shell around the stages: threads, sockets, rings, pins, signals, start and end.

pub mod clock;
pub mod detect;
pub mod event;
pub mod plan;
