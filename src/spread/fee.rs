//! Fee curves as values that each venue fills in. Integers, rounded against us.
//!
//! Both venues charge takers `rate · (p · (1 − p))^exponent` per contract. They differ in the rate, in the step to
//! which the charge of one fill is rounded up, and in whether the account itself moves in steps (Kalshi: $0.0001 for
//! direct members, $0.01 for customers of intermediaries; the part lost to that step is charged as fee and given back
//! by the cent). Sources: Kalshi's fee schedule and rounding page (dossier 5.1, 5.2), Polymarket's fee page (dossier
//! 6.1).

use super::pair::Rate;
use crate::unit::{Money, Price, Qty};

/// How one market charges takers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FeeCurve {
    /// The coefficient in millionths: Kalshi 0.07 × its multiplier, Polymarket the category's rate.
    pub rate_ppm: u32,
    /// The power of p · (1 − p); 1 on every current schedule of both venues.
    pub exponent: u8,
    /// The charge of a fill is rounded up to a multiple of this many micro-dollars.
    pub step: u32,
    /// The account moves in steps of this many micro-dollars; 0 where it does not.
    pub account_step: u32,
}

/// What is carried from fill to fill of one order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FeeRun {
    rounding: Money,
}

/// Whether the fill takes cash from the account or brings it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cash {
    Pays,
    Receives,
}

impl FeeCurve {
    /// No fee at all.
    pub const FREE: Self = Self { rate_ppm: 0, exponent: 1, step: 1, account_step: 0 };
    /// Powers that a curve may have; others are schedules we do not know.
    pub const EXPONENT_MAX: u8 = 2;

    /// Kalshi's rounding cent: once this much has been lost to the account's step, it is given back.
    const REBATE: Money = Money::micros(10_000);

    /// The exact fee of one contract at `price`, rounded up to a [`Rate`]'s unit. The fee of NO at q is that of YES at
    /// 1 − q.
    pub fn per_contract(&self, price: Price) -> Rate {
        let spread = i64::from(price.raw()) * i64::from(Price::DOLLAR - price.raw()); // p · (1 − p) in 10^-8.
        let rate = i64::from(self.rate_ppm);
        match self.exponent {
            1 => Rate::new(rate * spread),
            // 10^-6 · 10^-16 is 10^-8 of a rate's unit.
            2 => {
                let exact = i128::from(rate) * i128::from(spread) * i128::from(spread);
                Rate::new(i64::try_from((exact + 99_999_999) / 100_000_000).expect("below 10^6 · 10^14 / 10^8"))
            }
            _ => unreachable!("curves are built with an exponent of 1 or 2"),
        }
    }

    /// The trade fee of one fill: the curve, rounded up to the venue's step.
    pub fn trade_fee(&self, price: Price, qty: Qty) -> Money {
        let per_contract = i128::from(self.per_contract(price).raw());
        // 10^-14 dollars times 10^-6 contracts, to 10^-6 dollars.
        let unit = 100_000_000_000_000_i128 * i128::from(self.step);
        let steps = (per_contract * i128::from(qty.micros()) + unit - 1) / unit;
        Money::micros(i64::try_from(steps * i128::from(self.step)).expect("at most a quarter of the notional"))
    }

    /// The whole charge of one fill, as the venue books it: trade fee, plus what the account's step swallows, minus the
    /// cent given back when enough of that has gathered in this order.
    pub fn fill(&self, run: &mut FeeRun, cash: Cash, price: Price, qty: Qty) -> Money {
        let fee = self.trade_fee(price, qty);
        if self.account_step == 0 {
            return fee;
        }
        let moved = match cash {
            Cash::Pays => -price.cost(qty),
            Cash::Receives => price.proceeds(qty),
        };
        let raw = moved - fee;
        let swallowed = Money::micros(raw.raw().rem_euclid(i64::from(self.account_step)));
        run.rounding += swallowed;
        let rebate = if Self::REBATE < run.rounding { Self::REBATE } else { Money::ZERO };
        run.rounding -= rebate;
        fee + swallowed - rebate
    }

    /// Is `charged` what one fill of `qty` at `price` costs on this curve? What the account's step swallows comes on
    /// top, and the cent that is given back goes off.
    pub fn fits(&self, price: Price, qty: Qty, charged: Money) -> bool {
        let fee = self.trade_fee(price, qty);
        if self.account_step == 0 {
            return charged == fee;
        }
        let most = fee + Money::micros(i64::from(self.account_step) - 1);
        fee - Self::REBATE <= charged && charged <= most
    }

    /// The most that taking `qty` at `price` can cost in fees if it arrives in up to `fills` fills.
    pub fn at_most(&self, price: Price, qty: Qty, fills: u32) -> Money {
        if self.rate_ppm == 0 {
            return Money::ZERO;
        }
        let per_fill = i64::from(self.step) + i64::from(self.account_step);
        self.trade_fee(price, qty)
            + Money::micros(per_fill * i64::from(fills.saturating_sub(1)) + i64::from(self.account_step))
    }
}
