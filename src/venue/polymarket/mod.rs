//! Polymarket's international venue.

pub mod amount;
pub mod answer;
pub mod call;
pub mod catalog;
pub mod contract;
pub mod eligible;
pub mod feed;
pub mod gateway;
pub mod order;
pub mod portfolio;
pub mod position;
pub mod relay;
pub mod report;
pub mod shadow;
pub mod sign;
mod tokens;
pub mod wallet;

pub use feed::PolymarketFeed;
pub use gateway::PolymarketGateway;
pub use shadow::{Checked, Checker, Shadow};

use crate::{
    spread::FeeCurve,
    unit::{Grid, decimal},
};

/// Discovery (dossier 1.1).
pub const GAMMA: &str = "https://gamma-api.polymarket.com";
/// Books and trading parameters.
pub const CLOB: &str = "https://clob.polymarket.com";
/// Resolutions.
pub const DATA: &str = "https://data-api.polymarket.com";
/// The market channel.
pub const SOCKET: &str = "wss://ws-subscriptions-clob.polymarket.com/ws/market";

/// Transactions without gas.
pub const RELAYER: &str = "https://relayer-v2.polymarket.com";
/// The web site, of which one answer is read: where it takes this host to be.
pub const SITE: &str = "https://polymarket.com";
/// The user channel.
pub const USER_SOCKET: &str = "wss://ws-subscriptions-clob.polymarket.com/ws/user";

/// The taker curve of a market's schedule (`feeSchedule`, or `fd`); `None` for a power we do not know. The charge of a
/// fill is rounded to 5 decimals, direction undocumented: up is against us (dossier 6.1).
pub fn fee_curve(rate_ppm: u32, exponent: u64) -> Option<FeeCurve> {
    if rate_ppm == 0 {
        return Some(FeeCurve::FREE);
    }
    let exponent = u8::try_from(exponent).ok().filter(|e| (1..=FeeCurve::EXPONENT_MAX).contains(e))?;
    Some(FeeCurve { rate_ppm, exponent, step: 10, account_step: 0 })
}

/// Reads a tick: one of the six the venue uses. Any other is a grid we do not know.
pub fn tick(text: &str) -> Option<Grid> {
    match decimal(text.as_bytes(), 1, 4)? {
        step @ (1_000 | 100 | 50 | 25 | 10 | 1) => Grid::even(step as u16),
        _ => None,
    }
}
