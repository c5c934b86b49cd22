//! The paper exchange: our orders against the real books, after a latency, for what the books really offer then.
//!
//! Conservative on purpose. An order that arrives takes only what stands within its limit at that moment, at the
//! standing prices. What it took stays taken: the public book still shows it, so every level remembers how much of it
//! is gone until the venue shows the level smaller, or grown by somebody's fresh quantity.

use crate::unit::{BookSide, MarketId, Price, Qty};

/// Levels whose depth we hold as taken, at most. Beyond that the oldest would be forgotten, so no order is filled.
const TAKEN_MAX: usize = 1_024;

/// One level's memory.
#[derive(Clone, Copy, Debug)]
struct Taken {
    market: MarketId,
    side: BookSide,
    price: Price,
    /// What we took and nobody replaced.
    gone: Qty,
    /// What the level showed when we last looked.
    shown: Qty,
}

/// What was taken from whom, and not replenished.
#[derive(Debug)]
pub struct Paper {
    taken: Vec<Taken>,
}

/// What one level gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slice {
    pub price: Price,
    pub qty: Qty,
}

impl Default for Paper {
    fn default() -> Self {
        Self { taken: Vec::with_capacity(TAKEN_MAX) }
    }
}

impl Paper {
    /// How much of a level is gone already.
    pub fn gone(&self, market: MarketId, side: BookSide, price: Price) -> Qty {
        self.find(market, side, price).map_or(Qty::ZERO, |at| self.taken[at].gone)
    }

    /// Is anything of this market held as taken?
    pub fn holds(&self, market: MarketId) -> bool {
        self.taken.iter().any(|t| t.market == market)
    }

    /// A level shows this much now. Less than before: those who left may have been ours to lose, so what is gone never
    /// exceeds what is shown. More than before: fresh quantity, which we did not take.
    pub fn shown(&mut self, market: MarketId, side: BookSide, price: Price, qty: Qty) {
        if let Some(at) = self.find(market, side, price) {
            let taken = &mut self.taken[at];
            taken.gone = taken.gone.min(qty);
            taken.shown = qty;
            if taken.gone.is_zero() {
                self.taken.swap_remove(at);
            }
        }
    }

    /// Fills an order for up to `qty` from `levels`, best first, as long as `within` accepts the price; tells each
    /// slice. Returns what was filled.
    pub fn fill(
        &mut self,
        market: MarketId,
        side: BookSide,
        qty: Qty,
        levels: impl Iterator<Item = (Price, Qty)>,
        within: impl Fn(Price) -> bool,
        mut tell: impl FnMut(Slice),
    ) -> Qty {
        let mut left = qty;
        for (price, shown) in levels {
            if left.is_zero() || !within(price) || self.taken.len() == TAKEN_MAX {
                break;
            }
            let slice = shown.saturating_sub(self.gone(market, side, price)).min(left);
            if slice.is_zero() {
                continue;
            }
            match self.find(market, side, price) {
                Some(at) => {
                    let taken = &mut self.taken[at];
                    taken.gone = taken.gone.checked_add(slice).expect("at most what the level shows");
                }
                None => self.taken.push(Taken { market, side, price, gone: slice, shown }),
            }
            left = left.saturating_sub(slice);
            tell(Slice { price, qty: slice });
        }
        qty.saturating_sub(left)
    }

    fn find(&self, market: MarketId, side: BookSide, price: Price) -> Option<usize> {
        self.taken.iter().position(|t| t.market == market && t.side == side && t.price == price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: MarketId = MarketId(3);

    fn price(raw: u16) -> Price {
        Price::new(raw).unwrap()
    }

    fn take(paper: &mut Paper, want: u32, book: &[(u16, u32)], limit: u16) -> Vec<(u16, u64)> {
        let mut slices = Vec::new();
        let levels = book.iter().map(|(p, q)| (price(*p), Qty::whole(*q)));
        paper.fill(
            M,
            BookSide::Ask,
            Qty::whole(want),
            levels,
            |p| p.raw() <= limit,
            |s| {
                slices.push((s.price.raw(), s.qty.micros() / 1_000_000));
            },
        );
        slices
    }

    #[test]
    fn depth_once_taken_stays_taken_until_it_is_replenished() {
        let mut paper = Paper::default();
        let book = [(4_800, 100), (4_900, 50)];
        assert_eq!(take(&mut paper, 120, &book, 4_900), [(4_800, 100), (4_900, 20)]);
        assert_eq!(take(&mut paper, 120, &book, 4_900), [(4_900, 30)], "only what was left");
        assert_eq!(take(&mut paper, 1, &book, 4_900), []);
        paper.shown(M, BookSide::Ask, price(4_800), Qty::whole(130));
        assert_eq!(take(&mut paper, 99, &[(4_800, 130)], 4_800), [(4_800, 30)], "the thirty that came");
    }

    #[test]
    fn a_level_that_vanishes_is_a_new_level_when_it_returns() {
        let mut paper = Paper::default();
        take(&mut paper, 100, &[(4_800, 100)], 4_800);
        paper.shown(M, BookSide::Ask, price(4_800), Qty::ZERO);
        assert!(!paper.holds(M));
        assert_eq!(take(&mut paper, 10, &[(4_800, 40)], 4_800), [(4_800, 10)]);
    }

    #[test]
    fn nothing_is_filled_beyond_the_limit() {
        assert_eq!(take(&mut Paper::default(), 10, &[(4_900, 40)], 4_800), []);
    }
}
