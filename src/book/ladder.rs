//! One side of one market: the quantity at every tick, a bit per tick that holds anything, and the best tick.
//!
//! Memory is laid out once, for the ladder's own unit (a divisor of every price the market can have); nothing allocates
//! afterwards. A change costs one store and, when the best level empties, a scan of the bits towards the far end.

use crate::unit::{BookSide, Price, Qty};

const _: () = assert!(size_of::<Ladder>() <= 24, "both sides' heads and a book's state share a cache line");

/// One side of a book. Bids are best at the top, asks at the bottom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ladder {
    side: BookSide,
    /// Price units per slot.
    unit: u16,
    best: Option<u16>,
    /// Words of bits at the start of `words`.
    bits: u8,
    /// A bit per slot, then millionths of a contract by slot: one block, so that a change looks up one address.
    words: Box<[u64]>,
}

impl Ladder {
    /// An empty side whose prices are multiples of `unit` ten-thousandths; `unit` divides 10,000.
    pub fn new(side: BookSide, unit: u16) -> Self {
        assert!(0 < unit && Price::DOLLAR.is_multiple_of(unit), "a ladder's unit divides a dollar");
        let slots = Price::DOLLAR / unit;
        let bits = slots.div_ceil(64);
        let words = vec![0; usize::from(bits + slots)].into_boxed_slice();
        Self { side, unit, best: None, bits: bits as u8, words }
    }

    /// Both sides of a market, for any price.
    pub fn any_price() -> [Self; 2] {
        [BookSide::Bid, BookSide::Ask].map(|side| Self::new(side, 1))
    }

    /// Can this ladder hold a level at `price`?
    pub fn fits(&self, price: Price) -> bool {
        price.raw().is_multiple_of(self.unit)
    }

    /// Price units per slot.
    pub fn unit(&self) -> u16 {
        self.unit
    }

    /// The quantity at `price`; nothing where the ladder has no slot.
    pub fn at(&self, price: Price) -> Qty {
        if !self.fits(price) {
            return Qty::ZERO;
        }
        Qty::new(self.words[self.place(price.raw() / self.unit)]).unwrap_or(Qty::ZERO)
    }

    /// The best price and its quantity.
    pub fn best(&self) -> Option<(Price, Qty)> {
        self.best.map(|slot| self.level(slot))
    }

    /// The best price alone, in ten-thousandths: costs no look at the quantities.
    pub fn touch(&self) -> Option<u16> {
        self.best.map(|slot| slot * self.unit)
    }

    /// Makes the level at `price` hold exactly `qty`; the price must [fit](Self::fits).
    pub fn set(&mut self, price: Price, qty: Qty) {
        debug_assert!(self.fits(price), "the caller checked the unit");
        let slot = price.raw() / self.unit;
        let (word, bit) = (usize::from(slot / 64), 1_u64 << (slot % 64));
        let place = self.place(slot);
        self.words[place] = qty.micros();
        if qty.is_zero() {
            self.words[word] &= !bit;
            if self.best == Some(slot) {
                self.best = self.worse_than(slot);
            }
        } else {
            self.words[word] |= bit;
            let better = match (self.best, self.side) {
                (None, _) => true,
                (Some(best), BookSide::Bid) => best < slot,
                (Some(best), BookSide::Ask) => slot < best,
            };
            if better {
                self.best = Some(slot);
            }
        }
    }

    /// Forgets every level.
    pub fn clear(&mut self) {
        let (bits, held) = self.words.split_at_mut(usize::from(self.bits));
        for (word, bits) in bits.iter_mut().enumerate() {
            while *bits != 0 {
                let bit = bits.trailing_zeros() as usize;
                held[word * 64 + bit] = 0;
                *bits &= *bits - 1;
            }
        }
        self.best = None;
    }

    /// The levels from the best to the worst.
    pub fn levels(&self) -> Levels<'_> {
        Levels { ladder: self, next: self.best }
    }

    /// How many levels hold anything.
    pub fn depth(&self) -> usize {
        self.bits().iter().map(|bits| bits.count_ones() as usize).sum()
    }

    fn bits(&self) -> &[u64] {
        &self.words[..usize::from(self.bits)]
    }

    /// Where a slot's quantity lies in `words`.
    fn place(&self, slot: u16) -> usize {
        usize::from(self.bits) + usize::from(slot)
    }

    fn level(&self, slot: u16) -> (Price, Qty) {
        let price = Price::new(slot * self.unit).expect("slot 0 is never set: a price is at least one unit");
        (price, Qty::new(self.words[self.place(slot)]).expect("only a Qty is ever stored"))
    }

    /// The next slot that holds anything, away from the best end.
    fn worse_than(&self, slot: u16) -> Option<u16> {
        let (mut word, bit, all) = (usize::from(slot / 64), slot % 64, self.bits());
        match self.side {
            BookSide::Bid => {
                let mut bits = all[word] & ((1_u64 << bit) - 1);
                loop {
                    if bits != 0 {
                        return Some((word * 64) as u16 + bits.ilog2() as u16);
                    }
                    word = word.checked_sub(1)?;
                    bits = all[word];
                }
            }
            BookSide::Ask => {
                let mut bits = all[word] & (!0_u64).checked_shl(u32::from(bit) + 1).unwrap_or(0);
                loop {
                    if bits != 0 {
                        return Some((word * 64) as u16 + bits.trailing_zeros() as u16);
                    }
                    word += 1;
                    bits = *all.get(word)?;
                }
            }
        }
    }
}

/// Iterator over a side's levels, best first.
pub struct Levels<'a> {
    ladder: &'a Ladder,
    next: Option<u16>,
}

impl Iterator for Levels<'_> {
    type Item = (Price, Qty);

    fn next(&mut self) -> Option<Self::Item> {
        let slot = self.next?;
        self.next = self.ladder.worse_than(slot);
        Some(self.ladder.level(slot))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn a_ladder_equals_a_sorted_map_after_any_changes(
            unit in prop::sample::select(vec![1_u16, 5, 10, 25, 100]),
            bid in any::<bool>(),
            changes in prop::collection::vec((1_u16..10_000, 0_u64..4), 1..60),
        ) {
            let side = if bid { BookSide::Bid } else { BookSide::Ask };
            let mut ladder = Ladder::new(side, unit);
            let mut model = BTreeMap::new();
            for (raw, held) in changes {
                let Some(price) = Price::new(raw / unit * unit) else { continue };
                let qty = Qty::whole(held as u32);
                ladder.set(price, qty);
                if qty.is_zero() { model.remove(&price); } else { model.insert(price, qty); }
                let mut expected: Vec<_> = model.iter().map(|(p, q)| (*p, *q)).collect();
                if bid { expected.reverse(); }
                prop_assert_eq!(ladder.best(), expected.first().copied());
                prop_assert_eq!(ladder.levels().collect::<Vec<_>>(), expected);
                prop_assert_eq!(ladder.depth(), model.len());
            }
            ladder.clear();
            prop_assert_eq!(ladder, Ladder::new(side, unit));
        }
    }
}
