//! Yesterday through the same stages: recordings and their replay.

#![forbid(unsafe_code)]

pub mod recording;
pub mod replay;
