//! Stage 1: bytes → [`Update`]. Frames, JSON and the one plain value that crosses from a feed thread to the detector.

#![forbid(unsafe_code)]

pub mod frame;
pub mod json;
pub mod update;

pub use update::{Arrival, Canary, Doubt, Kind, Trading, Update};
