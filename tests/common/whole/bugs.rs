//! Mistakes that somebody has made with real money, planted between the engine and a gateway.

use orion::{unit::Venue, venue::gateway::Gateway};

/// What is planted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bug {
    /// The sender does not look at the latch.
    LatchIgnored,
}

pub struct Saboteur;

impl Saboteur {
    pub fn wrap(_bug: Option<Bug>, inner: Box<dyn Gateway + Send>) -> Box<dyn Gateway + Send> {
        inner
    }
}

#[allow(unused)]
fn unused(_: Venue) {}
