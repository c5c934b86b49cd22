//! The shell around the stages: threads, sockets, rings, pins, signals, start and end.

pub mod boot;
pub mod catalogue;
pub mod check;
pub mod clock;
pub mod core;
pub mod desk;
pub mod detect;
pub mod dial;
pub mod event;
pub mod execute;
pub mod feed;
pub mod keep;
pub mod latency;
pub mod lines;
pub mod look;
pub mod pipe;
pub mod reconcile;
pub mod redial;
pub mod restore;
pub mod ring;
pub mod sign;
pub mod snapshot;
mod socket;
pub mod sync;
mod tables;
pub mod trader;
