//! sim

pub mod paper;
