//! Kalshi's trade fee and what its roundings do to an account, in integers.
//!
//! The fee is rounded up to a hundredth of a cent, the change of the balance down to the account's precision. What the
//! second rounding took gathers per order and comes back a cent at a time, so an order's fills cannot be priced apart.

use crate::unit::{Money, Price, Qty};

/// Millionths of a dollar in $0.0001, to which fees and a direct member's balance are rounded.
pub const DIRECT: i64 = 100;
/// Millionths of a dollar in a cent, the precision of a customer of an intermediary.
pub const INTERMEDIARY: i64 = 10_000;
/// What a rounding account gives back once it holds more.
const REBATE: i64 = 10_000;

/// A fee's coefficient times its multiplier, in millionths of millionths.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rate(u64);

impl Rate {
    /// A coefficient and a multiplier, both in parts per million.
    pub const fn new(coefficient_ppm: u32, multiplier_ppm: u32) -> Self {
        Self(coefficient_ppm as u64 * multiplier_ppm as u64)
    }

    /// The fee for `qty` at `price`, rounded up to $0.0001; YES and NO views agree.
    pub fn trade_fee(self, qty: Qty, price: Price) -> Money {
        let spread = u128::from(price.raw()) * u128::from(price.complement().raw());
        let exact = u128::from(self.0) * u128::from(qty.micros()) * spread;
        // Parts per 10^12, times 10^-6 contracts, times 10^-8: 10^26 to the dollar, 10^22 to its ten-thousandth.
        let rounded = exact.div_ceil(10_u128.pow(22)) * DIRECT as u128;
        Money::micros(i64::try_from(rounded).unwrap_or(i64::MAX))
    }
}

/// The taker's and the maker's coefficient of a fee type, in parts per million. `flat` has no published table and is
/// charged like the usual one.
pub fn coefficients(fee_type: &str) -> (u32, u32) {
    match fee_type {
        "quadratic_with_maker_fees" => (70_000, 17_500),
        "quadratic_with_combo_maker_fees" => (70_000, 35_000),
        _ => (70_000, 0),
    }
}

/// What one fill costs, and what it does to the balance.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Charge {
    pub trade_fee: Money,
    pub rounding: Money,
    pub rebate: Money,
    /// What the venue reports as `fee_cost`.
    pub net: Money,
    /// The balance's change, rebate included.
    pub change: Money,
}

/// One order's rounding account.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Meter {
    held: i64,
}

impl Meter {
    /// Charges one fill. `cash` is negative where the account pays; `precision` is in millionths of a dollar.
    pub fn charge(&mut self, cash: Money, trade_fee: Money, precision: i64) -> Charge {
        let raw = cash.raw() - trade_fee.raw();
        let change = raw.div_euclid(precision) * precision;
        let rounding = raw - change;
        self.held += rounding;
        // No fill's fee is below zero: a rebate waits for one that bears it.
        let rebate = if REBATE < self.held && REBATE <= trade_fee.raw() + rounding { REBATE } else { 0 };
        self.held -= rebate;
        Charge {
            trade_fee,
            rounding: Money::micros(rounding),
            rebate: Money::micros(rebate),
            net: Money::micros(trade_fee.raw() + rounding - rebate),
            change: Money::micros(change + rebate),
        }
    }
}
