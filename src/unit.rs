//! Plain values of the trade: prices, quantities, money, time, venues, sides, ids.
//!
//! Integers only. A [`Price`] counts ten-thousandths of a dollar, a [`Qty`] millionths of a contract, [`Money`]
//! millionths of a dollar. What a venue says of an order is in [`Told`] and its parts. Nothing here knows a venue's
//! rules, and this file imports nothing of ours.

use std::fmt;

use serde::{Deserialize, Serialize};

mod alert;
mod grid;
mod report;

pub use alert::{AlertKind, Loudness};
pub use grid::{Band, Grid, gcd};
pub use report::{OrderId, Picture, Reaction, Refusal, Sent, Stage, Tag, Told, Trade, Unclear};

/// Ten-thousandths of a dollar. A live price is 1 to 9,999.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Price(u16);

impl Price {
    /// One dollar, the payout of a winning contract, in price units.
    pub const DOLLAR: u16 = 10_000;
    /// The lowest live price, $0.0001.
    pub const MIN: Self = Self(1);
    /// The highest live price, $0.9999.
    pub const MAX: Self = Self(Self::DOLLAR - 1);

    /// A price from ten-thousandths; `None` outside 1 to 9,999.
    #[must_use]
    pub const fn new(raw: u16) -> Option<Self> {
        if 0 < raw && raw < Self::DOLLAR { Some(Self(raw)) } else { None }
    }

    /// Reads `0.d{1,4}`, the only shape in which both venues send a live price.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() < 3 || !text.starts_with(b"0.") {
            return None;
        }
        let raw = decimal(text, 1, 4)?;
        Self::new(u16::try_from(raw).ok()?)
    }

    /// Ten-thousandths of a dollar.
    #[must_use]
    pub const fn raw(self) -> u16 {
        self.0
    }

    /// YES at 0.62 is NO at 0.38.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self(Self::DOLLAR - self.0)
    }

    /// What `qty` contracts cost at this price, rounded up to the next micro-dollar.
    #[must_use]
    pub fn cost(self, qty: Qty) -> Money {
        Money(micros((u128::from(self.0) * u128::from(qty.0)).div_ceil(10_000)))
    }

    /// What `qty` contracts bring at this price, rounded down to the micro-dollar.
    #[must_use]
    pub fn proceeds(self, qty: Qty) -> Money {
        Money(micros(u128::from(self.0) * u128::from(qty.0) / 10_000))
    }
}

impl TryFrom<u16> for Price {
    type Error = &'static str;

    fn try_from(raw: u16) -> Result<Self, Self::Error> {
        Self::new(raw).ok_or("a price is 1 to 9,999 ten-thousandths of a dollar")
    }
}

impl From<Price> for u16 {
    fn from(price: Price) -> Self {
        price.0
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0.{:04}", self.0)
    }
}

/// Millionths of a contract. Kalshi trades in hundredths, Polymarket counts six decimals; both fit.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Qty(u64);

impl Qty {
    /// No contracts.
    pub const ZERO: Self = Self(0);
    /// One whole contract.
    pub const ONE: Self = Self(1_000_000);
    /// The largest quantity a level may hold: 999,999,999.999999 contracts.
    pub const MAX: Self = Self(999_999_999_999_999);

    /// Millionths of a contract, at most [`Qty::MAX`].
    #[must_use]
    pub const fn new(micros: u64) -> Option<Self> {
        if micros <= Self::MAX.0 { Some(Self(micros)) } else { None }
    }

    /// Whole contracts.
    #[must_use]
    pub const fn whole(contracts: u32) -> Self {
        Self(contracts as u64 * 1_000_000)
    }

    /// Reads `d{1,9}[.d{1,6}]`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        decimal(text, 9, 6).map(Self)
    }

    /// Millionths of a contract.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Is this nothing at all?
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` beyond [`Qty::MAX`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        Self::new(self.0 + other.0)
    }

    /// What is left after taking `other` away, never below zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// This quantity changed by signed millionths; `None` below zero or above [`Qty::MAX`].
    #[must_use]
    pub fn shifted(self, change: i64) -> Option<Self> {
        self.0.checked_add_signed(change).and_then(Self::new)
    }

    /// Rounded down to a multiple of `step`, which is not zero.
    #[must_use]
    pub const fn floor_to(self, step: Self) -> Self {
        Self(self.0 - self.0 % step.0)
    }

    /// Rounded up to a multiple of `step`, which is not zero; at most [`Qty::MAX`].
    #[must_use]
    pub fn ceil_to(self, step: Self) -> Self {
        Self(self.0.next_multiple_of(step.0)).min(Self::MAX.floor_to(step))
    }

    /// So many times as much, at most [`Qty::MAX`].
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times)).min(Self::MAX)
    }
}

impl TryFrom<u64> for Qty {
    type Error = &'static str;

    fn try_from(micros: u64) -> Result<Self, Self::Error> {
        Self::new(micros).ok_or("a quantity is below a billion contracts")
    }
}

impl From<Qty> for u64 {
    fn from(qty: Qty) -> Self {
        qty.0
    }
}

impl fmt::Display for Qty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if part == 0 {
            write!(f, "{whole}")
        } else {
            write!(f, "{}", format!("{whole}.{part:06}").trim_end_matches('0'))
        }
    }
}

/// Millionths of a dollar, signed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct Money(i64);

impl Money {
    /// Nothing owed, nothing owned.
    pub const ZERO: Self = Self(0);

    /// Millionths of a dollar.
    #[must_use]
    pub const fn micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Whole dollars.
    #[must_use]
    pub const fn dollars(dollars: i64) -> Self {
        Self(dollars * 1_000_000)
    }

    /// Millionths of a dollar.
    #[must_use]
    pub const fn raw(self) -> i64 {
        self.0
    }

    /// A share of this amount in parts per million, rounded down.
    #[must_use]
    pub fn share(self, ppm: u32) -> Self {
        let part = (i128::from(self.0) * i128::from(ppm)).div_euclid(1_000_000);
        Self(i64::try_from(part).unwrap_or(if part < 0 { i64::MIN } else { i64::MAX }))
    }

    /// What a whole number of dollars, one per contract, comes to.
    #[must_use]
    pub const fn dollar_each(qty: Qty) -> Self {
        Self(qty.0 as i64)
    }

    /// The share of this amount that `qty` out of `all` bears, towards zero; nothing of nothing.
    #[must_use]
    pub fn part(self, qty: Qty, all: Qty) -> Self {
        if all.is_zero() {
            return Self::ZERO;
        }
        let share = i128::from(self.0) * i128::from(qty.0) / i128::from(all.0);
        Self(i64::try_from(share).expect("a part of an amount, for at most as many contracts"))
    }
}

impl std::ops::Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::ops::Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl std::ops::AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::ops::SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, |total, amount| total + amount)
    }
}

impl fmt::Display for Money {
    /// Dollars to the cent, or to the micro-dollar in the alternate form (`{:#}`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        if f.alternate() {
            return write!(f, "{sign}${}.{:06}", micros / 1_000_000, micros % 1_000_000);
        }
        let cents = (micros + 5_000) / 10_000;
        let sign = if cents == 0 { "" } else { sign };
        write!(f, "{sign}${}.{:02}", cents / 100, cents % 100)
    }
}

/// Nanoseconds of the engine's monotonic clock. Ages and latencies only; never shown as a time of day.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct Nanos(u64);

impl Nanos {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);

    /// Nanoseconds since the clock's start.
    #[must_use]
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A span of milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// A span of seconds.
    #[must_use]
    pub const fn secs(secs: u64) -> Self {
        Self(secs * 1_000_000_000)
    }

    /// Nanoseconds since the clock's start.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add for Nanos {
    type Output = Self;
    fn add(self, span: Self) -> Self {
        Self(self.0 + span.0)
    }
}

/// Milliseconds of Unix time: what the venues stamp and what a person reads. Never used for an age on its own.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct UnixMs(u64);

impl UnixMs {
    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to this; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// An exchange.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub enum Venue {
    Kalshi,
    Polymarket,
}

impl Venue {
    /// Both, in the order in which tables list them.
    pub const ALL: [Self; 2] = [Self::Kalshi, Self::Polymarket];

    /// The one across the pair.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Kalshi => Self::Polymarket,
            Self::Polymarket => Self::Kalshi,
        }
    }

    /// The name in keys, columns and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kalshi => "kalshi",
            Self::Polymarket => "polymarket",
        }
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A side of a book quoted on the YES leg.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum BookSide {
    Bid,
    Ask,
}

impl BookSide {
    /// The side that an order of this one meets.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Bid => Self::Ask,
            Self::Ask => Self::Bid,
        }
    }
}

/// What a contract pays on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub enum Outcome {
    Yes,
    No,
}

impl Outcome {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
        }
    }

    /// The name in columns and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yes => "YES",
            Self::No => "NO",
        }
    }
}

/// A market's slot in the engine's tables; handed out at start, never reused while the engine runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct MarketId(pub u32);

/// A pair's slot in the engine's tables; handed out at start, never reused while the engine runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct PairId(pub u32);

/// A feed thread's number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FeedId(pub u8);

/// Reads `d{1,whole_max}[.d{1,part_max}]` and scales it by ten to the power of `part_max`. No sign, no exponent, no
/// space, no bare dot.
#[must_use]
pub fn decimal(text: &[u8], whole_max: usize, part_max: usize) -> Option<u64> {
    let dot = text.iter().position(|&b| b == b'.');
    let (whole, part) = match dot {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &text[text.len()..]),
    };
    let whole_fits = !whole.is_empty() && whole.len() <= whole_max;
    let part_fits = part.len() <= part_max && (dot.is_none() || !part.is_empty());
    if !whole_fits || !part_fits {
        return None;
    }
    let mut value = 0_u64;
    for &digit in whole.iter().chain(part) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    value.checked_mul(10_u64.pow(u32::try_from(part_max - part.len()).ok()?))
}

fn micros(amount: u128) -> i64 {
    i64::try_from(amount).expect("a price below a dollar times a quantity below 10^15 fits 63 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_a_zero_a_dot_and_one_to_four_digits() {
        assert_eq!(Price::parse(b"0.47").map(Price::raw), Some(4_700));
        assert_eq!(Price::parse(b"0.0001").map(Price::raw), Some(1));
        for bad in
            ["0", "1", "1.0000", "0.0000", ".5", "0.", "+0.5", "-0.5", "0.50000", "5e-1", "NaN", "０.5", " 0.5", "0.5 "]
        {
            assert_eq!(Price::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_quantity_has_at_most_nine_whole_digits_and_six_decimals() {
        assert_eq!(Qty::parse(b"252554.52").map(Qty::micros), Some(252_554_520_000));
        assert_eq!(Qty::parse(b"999999999.999999"), Some(Qty::MAX));
        for bad in ["", ".", "1.", ".1", "-1", "1e3", "1000000000", "1.0000000", "0x1", "1,000"] {
            assert_eq!(Qty::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn money_times_quantity_is_rounded_against_us() {
        let price = Price::new(333).unwrap();
        let qty = Qty::new(10_000).unwrap(); // 0.01 contract at $0.0333 is 333 micro-dollars exactly.
        assert_eq!(price.cost(qty), Money::micros(333));
        let dust = Qty::new(1).unwrap();
        assert_eq!(price.cost(dust), Money::micros(1));
        assert_eq!(price.proceeds(dust), Money::ZERO);
    }

    #[test]
    fn amounts_print_as_people_write_them() {
        assert_eq!(Money::micros(-1_234_567).to_string(), "-$1.23");
        assert_eq!(format!("{:#}", Money::micros(-1_234_567)), "-$1.234567");
        assert_eq!(Money::micros(-4_999).to_string(), "$0.00");
        assert_eq!(Price::new(470).unwrap().to_string(), "0.0470");
        assert_eq!(Qty::new(2_500_000).unwrap().to_string(), "2.5");
    }
}
