//! Stage 5: an [`Intent`](crate::decide::Intent) → [`Approved`], or the reason why not. The only maker of `Approved`.

#![forbid(unsafe_code)]

pub mod budget;
pub mod limit;
pub mod ramp;
pub mod reduce;
pub mod state;

pub use budget::{Account, Budget};
pub use limit::{Approved, Limits, Pace, check};
pub use ramp::{Evidence, Ramp};
pub use reduce::{Raises, Reducing, Sale, leave, reduce};
pub use state::{Latch, TradingState};
