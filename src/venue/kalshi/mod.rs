//! Kalshi's event-contract exchange.

pub mod account;
pub mod catalog;
pub mod feed;
mod frame;
pub mod gateway;
pub mod group;
pub mod limits;
pub mod money;
pub mod order;
pub mod report;
mod scan;
pub mod sign;

pub use feed::KalshiFeed;
pub use gateway::KalshiGateway;

use crate::{
    spread::FeeCurve,
    unit::{Band, Grid, Price, decimal},
};

/// Public and signed REST of the production exchange (dossier 1).
pub const REST: &str = "https://external-api.kalshi.com/trade-api/v2";
/// The market-data socket of the production exchange.
pub const SOCKET: &str = "wss://external-api-ws.kalshi.com/trade-api/ws/v2";

/// Millionths: the taker coefficient of every quadratic fee type (dossier 5.1).
const TAKER_PPM: u64 = 70_000;

/// The taker curve of a fee type with a multiplier in millionths; `None` for types whose formula is not published or
/// that belong to another product. Direct members' accounts move in steps of $0.0001 (dossier 5.2).
pub fn fee_curve(fee_type: &str, multiplier_ppm: u32) -> Option<FeeCurve> {
    match fee_type {
        "quadratic" | "quadratic_with_maker_fees" | "quadratic_with_combo_maker_fees" => {
            let rate = TAKER_PPM * u64::from(multiplier_ppm);
            // A multiplier that leaves a fraction of a millionth is rounded against us.
            let rate_ppm = u32::try_from(rate.div_ceil(1_000_000)).ok()?;
            Some(FeeCurve { rate_ppm, exponent: 1, step: 100, account_step: 100 })
        }
        _ => None,
    }
}

/// Reads one band end or step of `price_ranges`: `0.0000` to `1.0000`.
pub fn range_units(text: &str) -> Option<u16> {
    let units = decimal(text.as_bytes(), 1, 4)?;
    u16::try_from(units).ok().filter(|units| *units <= Price::DOLLAR)
}

/// A grid from `price_ranges`; `None` for one we do not know how to read.
pub fn grid<'a>(ranges: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Option<Grid> {
    let mut bands = [Band::default(); Grid::BANDS_MAX];
    let mut len = 0;
    for (start, end, step) in ranges {
        let band = bands.get_mut(len)?;
        *band = Band { start: range_units(start)?, end: range_units(end)?, step: range_units(step)? };
        len += 1;
    }
    Grid::new(&bands[..len])
}
