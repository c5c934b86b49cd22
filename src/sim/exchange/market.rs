//! One market's book: two ladders of price-time queues, and what each level held in the last two minutes.

use std::collections::{BTreeMap, VecDeque};

use crate::sim::exchange::{HISTORY_MS, OrderNo, Owner};
use crate::unit::{BookSide, Grid, Price, Qty, UnixMs};

#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub(super) number: OrderNo,
    pub(super) owner: Owner,
    pub(super) left: Qty,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub(super) at: UnixMs,
    pub(super) side: BookSide,
    pub(super) price: Price,
    pub(super) before: Qty,
    pub(super) after: Qty,
}

#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) total: Qty,
    pub(super) queue: VecDeque<Resting>,
}

/// One market's book.
#[derive(Debug)]
pub struct Market {
    pub(super) grid: Grid,
    pub(super) open: bool,
    pub(super) clock: u64,
    pub(super) changed_at: UnixMs,
    pub(super) known_since: UnixMs,
    pub(super) bids: BTreeMap<Price, Level>,
    pub(super) asks: BTreeMap<Price, Level>,
    pub(super) past: VecDeque<Past>,
}

impl Market {
    pub(super) fn new(grid: Grid, at: UnixMs) -> Self {
        Self {
            grid,
            open: true,
            clock: 0,
            changed_at: at,
            known_since: at,
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            past: VecDeque::new(),
        }
    }

    /// The prices it takes.
    pub const fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The newest exchange clock; 0 before the first action.
    pub const fn clock(&self) -> u64 {
        self.clock
    }

    /// When a level last changed.
    pub const fn changed_at(&self) -> UnixMs {
        self.changed_at
    }

    /// The best price of a side.
    pub fn best(&self, side: BookSide) -> Option<Price> {
        match side {
            BookSide::Bid => self.bids.keys().next_back().copied(),
            BookSide::Ask => self.asks.keys().next().copied(),
        }
    }

    /// A side's levels by ascending price.
    pub fn levels(&self, side: BookSide) -> impl DoubleEndedIterator<Item = (Price, Qty)> + '_ {
        self.side(side).iter().map(|(&price, level)| (price, level.total))
    }

    /// How many levels a side has.
    pub fn depth(&self, side: BookSide) -> usize {
        self.side(side).len()
    }

    /// What a level holds now.
    pub fn quantity(&self, side: BookSide, price: Price) -> Qty {
        self.side(side).get(&price).map_or(Qty::ZERO, |level| level.total)
    }

    /// The most this level held in any state in force during the millisecond `at`; `None` where the past is forgotten.
    pub fn held(&self, side: BookSide, price: Price, at: UnixMs) -> Option<Qty> {
        if at < self.known_since {
            return None;
        }
        let mut at_start = None;
        let mut most = Qty::ZERO;
        for past in self.past.iter().filter(|past| past.side == side && past.price == price) {
            if past.at < at {
                at_start = Some(past.after);
                continue;
            }
            at_start.get_or_insert(past.before);
            if at < past.at {
                break;
            }
            most = most.max(past.after);
        }
        Some(most.max(at_start.unwrap_or_else(|| self.quantity(side, price))))
    }

    pub(super) fn side(&self, side: BookSide) -> &BTreeMap<Price, Level> {
        match side {
            BookSide::Bid => &self.bids,
            BookSide::Ask => &self.asks,
        }
    }

    pub(super) fn side_mut(&mut self, side: BookSide) -> &mut BTreeMap<Price, Level> {
        match side {
            BookSide::Bid => &mut self.bids,
            BookSide::Ask => &mut self.asks,
        }
    }

    pub(super) fn meets(&self, side: BookSide, price: Price) -> Option<Price> {
        match side {
            BookSide::Bid => self.best(BookSide::Ask).filter(|&ask| ask <= price),
            BookSide::Ask => self.best(BookSide::Bid).filter(|&bid| price <= bid),
        }
    }

    pub(super) fn remember(&mut self, past: Past) {
        self.changed_at = past.at;
        self.past.push_back(past);
        while let Some(oldest) = self.past.front()
            && HISTORY_MS < past.at.since(oldest.at)
        {
            // The state before the next entry is still known, so only times up to this one are lost.
            self.known_since = self.known_since.max(UnixMs::new(oldest.at.raw() + 1));
            self.past.pop_front();
        }
    }
}
