//! The taker's fee of one fill: shares × rate × (price × (1 − price))^exponent, in pUSD, to five decimals.

use crate::sim::listing::FeeSchedule;
use crate::unit::{Money, Price, Qty};

/// Micro-dollars in the smallest fee; below it a fill is free.
const STEP: u128 = 10;

/// Which way the sixth decimal goes. Not documented; truncation is excluded by one published value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FeeRounding {
    #[default]
    Up,
    HalfUp,
}

/// What a taker owes for `qty` shares at `price`, in its own token's terms or the other's: the formula is symmetric.
pub fn taker_fee(schedule: Option<FeeSchedule>, price: Price, qty: Qty, rounding: FeeRounding) -> Money {
    let Some(FeeSchedule { rate, exponent, .. }) = schedule else { return Money::ZERO };
    let dollar = u128::from(Price::DOLLAR);
    let raw = u128::from(price.raw());
    // The largest quantity at the middle price with exponent 2 is 6 × 10^35: within 128 bits.
    let exponent = u32::from(exponent.min(2));
    let exact = u128::from(qty.micros()) * u128::from(rate) * (raw * (dollar - raw)).pow(exponent);
    let step = STEP * 1_000_000 * (dollar * dollar).pow(exponent);
    let steps = match rounding {
        _ if exact < step => 0,
        FeeRounding::Up => exact.div_ceil(step),
        FeeRounding::HalfUp => (exact + step / 2) / step,
    };
    Money::micros((steps * STEP) as i64)
}
