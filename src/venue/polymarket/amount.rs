//! What an order gives and gets, as the chain counts it: price and size on a tick → makerAmount and takerAmount
//! (dossier 3.5).
//!
//! Both are integers in millionths, of a pUSD or of a share. Nothing is rounded behind the caller's back: a size with
//! too many decimals is refused, and [`whole_lots`] is there to round it first, so that the other leg can be cut to
//! match. What a newcomer gets wrong: a limit buy is sized in shares, but a buy that takes at once (FOK, FAK) fixes the
//! dollars, so a better price brings more shares than were asked for.

use crate::unit::{Band, Grid, Money, Price, Qty};

/// The smallest step of a size: a hundredth of a share, whatever the tick.
pub const LOT: Qty = Qty::new(10_000).expect("a hundredth of a share is a quantity");

/// The smallest step of the dollars that a market buy spends, in micro-dollars.
const CENT: i64 = 10_000;

/// A buy that takes at once must be worth this much.
const TAKING_BUY_MIN: Money = Money::dollars(1);

/// The venue's message allows the shares of a market buy four decimals, flat.
const MARKET_BUY_SHARE_STEP: u64 = 100;

/// Which way an order trades its token.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    Buy,
    Sell,
}

impl Side {
    /// The word in a request's body; the signed struct has a number.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buy => "BUY",
            Self::Sell => "SELL",
        }
    }
}

/// One of the venue's six ticks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Tick {
    /// In price units.
    step: u16,
    /// The last decimal that an amount may have, in millionths: two decimals finer than the price.
    amount_step: u64,
}

impl Tick {
    /// The tick of an even grid; `None` for a grid that this venue has never used.
    #[must_use]
    pub fn of(grid: &Grid) -> Option<Self> {
        let &[Band { step, .. }] = grid.bands() else { return None };
        let amount_step = match step {
            1_000 => 1_000,
            100 => 100,
            50 | 10 => 10,
            25 | 1 => 1,
            _ => return None,
        };
        Some(Self { step, amount_step })
    }

    /// In price units.
    #[must_use]
    pub const fn step(self) -> u16 {
        self.step
    }
}

/// What a market takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    pub tick: Tick,
    /// Its `min_order_size`, in shares: nearly always five.
    pub qty_min: Qty,
}

/// Why there is no such order.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AmountError {
    #[error("price {price} is no multiple of the tick 0.{step:04}")]
    OffGrid { price: Price, step: u16 },
    #[error("{qty} shares have more than two decimals")]
    FineShares { qty: Qty },
    #[error("{dollars:#} is no whole number of cents")]
    FineDollars { dollars: Money },
    #[error("{qty} shares are fewer than the market's minimum of {qty_min}")]
    BelowMinimum { qty: Qty, qty_min: Qty },
    #[error("a buy that takes at once is worth {dollars:#}, and the venue wants $1")]
    BelowDollar { dollars: Money },
    #[error("{dollars:#} would buy more shares than an order can hold")]
    TooLarge { dollars: Money },
}

/// How many decimals the shares of a market buy get. The message with which the venue refuses says four; its own
/// clients send as many as the tick allows, which fits the message on the two coarse ticks only (dossier 3.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ShareDecimals {
    /// At most four: fits the message on every tick.
    Four,
    /// As the venue's own clients do.
    OfTick,
}

/// What fixes an order's size; the venue checks the decimals of both kinds differently.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Sizing {
    /// A number of shares: every resting order, and every sell.
    Shares,
    /// An amount of dollars: a buy that takes at once.
    Dollars,
}

/// Proof that price and size suit the market: the two amounts that are signed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Amounts {
    side: Side,
    sizing: Sizing,
    /// Millionths.
    dollars: u64,
    /// Millionths.
    shares: u64,
}

impl Amounts {
    /// A number of shares at a limit: GTC and GTD on both sides, FOK and FAK when selling.
    pub fn limit(side: Side, price: Price, qty: Qty, terms: &Terms) -> Result<Self, AmountError> {
        on_grid(price, terms.tick)?;
        if whole_lots(qty) != qty {
            return Err(AmountError::FineShares { qty });
        }
        enough(qty, terms.qty_min)?;
        let shares = qty.micros();
        let scaled = u128::from(price.raw()) * u128::from(shares);
        let dollars = (scaled / 10_000) as u64;
        // Hundredths of a share times a price on the grid never have a digit to round.
        assert!(scaled.is_multiple_of(10_000), "the dollars of a limit order are exact");
        assert!(dollars.is_multiple_of(terms.tick.amount_step), "and have no more decimals than the tick allows");
        Ok(Self { side, sizing: Sizing::Shares, dollars, shares })
    }

    /// A market buy (FOK, FAK): the dollars are spent, `price` is the worst one and only sets the fewest shares. Those
    /// are rounded down, so the price that is signed lies above `price` by less than a tick.
    pub fn spend(price: Price, dollars: Money, terms: &Terms, decimals: ShareDecimals) -> Result<Self, AmountError> {
        on_grid(price, terms.tick)?;
        if dollars.raw() % CENT != 0 {
            return Err(AmountError::FineDollars { dollars });
        }
        if dollars < TAKING_BUY_MIN {
            return Err(AmountError::BelowDollar { dollars });
        }
        let step = match decimals {
            ShareDecimals::Four => terms.tick.amount_step.max(MARKET_BUY_SHARE_STEP),
            ShareDecimals::OfTick => terms.tick.amount_step,
        };
        let spent = dollars.raw().unsigned_abs();
        let exact = u128::from(spent) * 10_000 / u128::from(price.raw());
        let qty = u64::try_from(exact).ok().and_then(|shares| Qty::new(shares / step * step));
        let qty = qty.ok_or(AmountError::TooLarge { dollars })?;
        enough(qty, terms.qty_min)?;
        let next = u128::from(price.raw() + terms.tick.step);
        assert!(u128::from(spent) * 10_000 < next * u128::from(qty.micros()), "a dollar buys enough shares for that");
        Ok(Self { side: Side::Buy, sizing: Sizing::Dollars, dollars: spent, shares: qty.micros() })
    }

    /// The same, for an order that is meant to meet the book at once: the venue wants such a buy to be worth a dollar.
    pub fn taking(self) -> Result<Self, AmountError> {
        let dollars = self.dollars();
        if self.side == Side::Buy && dollars < TAKING_BUY_MIN {
            return Err(AmountError::BelowDollar { dollars });
        }
        Ok(self)
    }

    /// Which way it trades.
    #[must_use]
    pub const fn side(self) -> Side {
        self.side
    }

    /// What fixes its size.
    #[must_use]
    pub const fn sizing(self) -> Sizing {
        self.sizing
    }

    /// What changes hands at the limit, before fees.
    #[must_use]
    pub const fn dollars(self) -> Money {
        Money::micros(self.dollars.cast_signed())
    }

    /// The shares at the limit; a market buy at a better price gets more.
    #[must_use]
    pub const fn shares(self) -> Qty {
        Qty::new(self.shares).expect("both constructors start from or end in a quantity")
    }

    /// `makerAmount`: what the maker gives, in millionths.
    #[must_use]
    pub const fn maker(self) -> u64 {
        match self.side {
            Side::Buy => self.dollars,
            Side::Sell => self.shares,
        }
    }

    /// `takerAmount`: what the maker gets, in millionths.
    #[must_use]
    pub const fn taker(self) -> u64 {
        match self.side {
            Side::Buy => self.shares,
            Side::Sell => self.dollars,
        }
    }
}

/// A size rounded down to what the venue takes, as its own clients do.
#[must_use]
pub const fn whole_lots(qty: Qty) -> Qty {
    qty.floor_to(LOT)
}

/// Dollars rounded down to what a market buy may spend, as the venue's own clients do.
#[must_use]
pub const fn whole_cents(dollars: Money) -> Money {
    Money::micros(dollars.raw() - dollars.raw().rem_euclid(CENT))
}

fn on_grid(price: Price, tick: Tick) -> Result<(), AmountError> {
    // Every tick divides a dollar, so a multiple of it inside (0, 1) is within [tick, 1 − tick].
    if price.raw().is_multiple_of(tick.step) { Ok(()) } else { Err(AmountError::OffGrid { price, step: tick.step }) }
}

fn enough(qty: Qty, qty_min: Qty) -> Result<(), AmountError> {
    if qty < qty_min || qty.is_zero() { Err(AmountError::BelowMinimum { qty, qty_min }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(step: u16, qty_min: u32) -> Terms {
        Terms { tick: Tick::of(&Grid::even(step).unwrap()).unwrap(), qty_min: Qty::whole(qty_min) }
    }

    fn price(raw: u16) -> Price {
        Price::new(raw).unwrap()
    }

    #[test]
    fn only_the_venues_six_ticks_are_ticks() {
        for step in [1_000, 100, 50, 25, 10, 1] {
            assert_eq!(Tick::of(&Grid::even(step).unwrap()).map(Tick::step), Some(step));
        }
        for step in [2_000, 500, 20, 5, 2] {
            assert_eq!(Tick::of(&Grid::even(step).unwrap()), None, "{step}");
        }
        let band = |start, end, step| Band { start, end, step };
        let tapered = Grid::new(&[band(0, 1_000, 10), band(1_000, 10_000, 100)]).unwrap();
        assert_eq!(Tick::of(&tapered), None, "a grid of Kalshi's");
    }

    #[test]
    fn a_price_between_two_ticks_is_refused() {
        let cents = terms(100, 5);
        let error = AmountError::OffGrid { price: price(4_750), step: 100 };
        assert_eq!(error.to_string(), "price 0.4750 is no multiple of the tick 0.0100", "as an operator reads it");
        let off = Err(error);
        assert_eq!(Amounts::limit(Side::Buy, price(4_750), Qty::whole(10), &cents), off);
        assert_eq!(Amounts::spend(price(4_750), Money::dollars(10), &cents, ShareDecimals::Four), off);
        assert!(Amounts::limit(Side::Buy, price(4_750), Qty::whole(10), &terms(50, 5)).is_ok());
    }

    #[test]
    fn a_size_with_too_many_decimals_is_refused_and_never_cut() {
        let cents = terms(100, 5);
        let qty = Qty::parse(b"250.559").unwrap();
        let fine = Err(AmountError::FineShares { qty });
        assert_eq!(Amounts::limit(Side::Sell, price(5_000), qty, &cents), fine);
        let cut = Amounts::limit(Side::Sell, price(5_000), whole_lots(qty), &cents).unwrap();
        assert_eq!(cut.shares(), Qty::parse(b"250.55").unwrap());
        let dollars = Money::micros(10_559_000);
        let fine = Err(AmountError::FineDollars { dollars });
        assert_eq!(Amounts::spend(price(5_000), dollars, &cents, ShareDecimals::Four), fine);
        assert_eq!(whole_cents(dollars), Money::micros(10_550_000));
        assert_eq!(whole_cents(Money::micros(-1)), Money::micros(-10_000), "down, not towards zero");
    }

    #[test]
    fn the_smallest_sizes_are_the_venues() {
        let cents = terms(100, 5);
        let (qty, qty_min) = (Qty::parse(b"4.99").unwrap(), Qty::whole(5));
        let small = Err(AmountError::BelowMinimum { qty, qty_min });
        assert_eq!(Amounts::limit(Side::Buy, price(5_000), qty, &cents), small);
        let none = Err(AmountError::BelowMinimum { qty: Qty::ZERO, qty_min: Qty::ZERO });
        assert_eq!(Amounts::limit(Side::Buy, price(5_000), Qty::ZERO, &terms(100, 0)), none);
        let few = Amounts::spend(price(5_000), Money::dollars(2), &cents, ShareDecimals::Four);
        assert_eq!(few, Err(AmountError::BelowMinimum { qty: Qty::whole(4), qty_min }));

        let dollars = Money::micros(990_000);
        let cheap = Err(AmountError::BelowDollar { dollars });
        assert_eq!(Amounts::spend(price(1_000), dollars, &cents, ShareDecimals::Four), cheap);
        assert_eq!(
            Amounts::spend(price(1_000), -Money::dollars(5), &cents, ShareDecimals::Four),
            Err(AmountError::BelowDollar { dollars: -Money::dollars(5) })
        );
        let resting = Amounts::limit(Side::Buy, price(900), Qty::whole(11), &cents).unwrap();
        assert_eq!(resting.taking(), cheap, "ninety-nine cents may rest, but not take");
        let sell = Amounts::limit(Side::Sell, price(900), Qty::whole(11), &cents).unwrap();
        assert_eq!(sell.taking(), Ok(sell), "a sell may be worth less");
    }

    #[test]
    fn an_absurd_amount_is_named_not_wrapped() {
        let fine = terms(1, 5);
        let dollars = Money::dollars(1_000_000);
        let large = Err(AmountError::TooLarge { dollars });
        assert_eq!(Amounts::spend(price(1), dollars, &fine, ShareDecimals::Four), large);
        let dollars = whole_cents(Money::micros(i64::MAX));
        let large = Err(AmountError::TooLarge { dollars });
        assert_eq!(Amounts::spend(price(9_999), dollars, &fine, ShareDecimals::OfTick), large);
        let most = Amounts::limit(Side::Buy, price(9_999), whole_lots(Qty::MAX), &fine).unwrap();
        assert_eq!(most.shares(), whole_lots(Qty::MAX));
    }

    proptest! {
        /// The venue's clients round a quotient up at four more decimals before they round it down. That never carries:
        /// a price has at most four digits, so no quotient comes that close to the next step.
        #[test]
        fn rounding_up_first_changes_nothing(cents in 100_u64..=10_000_000, tick in 0_usize..6, at in 1_u16..10_000) {
            let terms = terms([1_000, 100, 50, 25, 10, 1][tick], 0);
            let step = terms.tick.step();
            let raw = (at / step * step).clamp(step, 10_000 - step);
            let dollars = Money::micros(cents as i64 * CENT);
            let ours = Amounts::spend(price(raw), dollars, &terms, ShareDecimals::OfTick).unwrap();
            let amount_step = u128::from(terms.tick.amount_step);
            let tenth_micros = u128::from(cents) * 10_000 * 10_000 * 10_000;
            let theirs = tenth_micros.div_ceil(u128::from(raw) * amount_step) / 10_000 * amount_step;
            prop_assert_eq!(u128::from(ours.taker()), theirs);
        }

        /// Four decimals fit the venue's message, cost at most a ten-thousandth of a share, and keep the price in its
        /// tick.
        #[test]
        fn four_decimals_of_shares_keep_the_worst_price(cents in 100_u64..=10_000_000, tick in 0_usize..6, at in 1_u16..10_000) {
            let terms = terms([1_000, 100, 50, 25, 10, 1][tick], 0);
            let step = terms.tick.step();
            let raw = (at / step * step).clamp(step, 10_000 - step);
            let dollars = Money::micros(cents as i64 * CENT);
            let most = Amounts::spend(price(raw), dollars, &terms, ShareDecimals::OfTick).unwrap();
            let flat = Amounts::spend(price(raw), dollars, &terms, ShareDecimals::Four).unwrap();
            prop_assert_eq!(flat.maker(), most.maker());
            prop_assert!(flat.taker().is_multiple_of(100));
            prop_assert_eq!(flat.taker(), most.taker() / 100 * 100);
            let implied = u128::from(flat.maker()) * 10_000;
            prop_assert!(implied < u128::from(flat.taker()) * u128::from(raw + step), "below the next tick");
            prop_assert!(u128::from(flat.taker()) * u128::from(raw) <= implied, "and not below the price itself");
        }
    }
}
