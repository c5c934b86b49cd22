//! The one file that asks what time it is.

#![forbid(unsafe_code)]

use std::{
    sync::OnceLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    unit::{Nanos, UnixMs},
    wire::Arrival,
};

static START: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds since the process first asked, plus one second so that zero can mean "never".
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Nanos {
    let since = START.get_or_init(Instant::now).elapsed();
    Nanos::secs(1) + Nanos::new(since.as_nanos() as u64)
}

/// Unix time in milliseconds.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn unix() -> UnixMs {
    UnixMs::new(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_millis() as u64))
}

/// Both clocks.
pub fn arrival() -> Arrival {
    Arrival { now: now(), unix: unix() }
}
