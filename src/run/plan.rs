//! Paper plans: two orders on their way, what came of them, and the sale of what one leg got too much.
//!
//! Plans over the wire, with tickets, a journal and answers that may never come, arrive with order entry.

use crate::{
    decide::Intent,
    run::event::Ending,
    spread::{FeeRun, Take},
    unit::{BookSide, Money, Nanos, PairId, Price, Qty, Venue},
};

/// Sales of an excess that are tried before it is kept as a naked position.
const UNWIND_TRIES: u8 = 3;
/// Between two tries.
const UNWIND_PAUSE: Nanos = Nanos::secs(1);

/// One order on its way to the paper exchange.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    pub venue: Venue,
    pub take: Take,
    /// Buying opens the leg; selling takes the other side of the book to close an excess.
    pub buys: bool,
    pub qty: Qty,
    /// The worst YES-leg price to take; `None` takes any.
    pub limit: Option<Price>,
    pub arrives: Nanos,
}

impl Flight {
    /// May a level at this price be taken?
    pub fn within(&self, price: Price) -> bool {
        match (self.limit, self.book_side()) {
            (None, _) => true,
            (Some(limit), BookSide::Ask) => price <= limit,
            (Some(limit), BookSide::Bid) => limit <= price,
        }
    }

    /// The side of the book that is taken.
    pub const fn book_side(&self) -> BookSide {
        match (self.take.side, self.buys) {
            (side, true) => side,
            (BookSide::Ask, false) => BookSide::Bid,
            (BookSide::Bid, false) => BookSide::Ask,
        }
    }
}

/// What a leg has so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct LegState {
    pub filled: Qty,
    pub cost: Money,
    pub fees: FeeRun,
}

/// A plan on its way. One per pair at most.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub id: u64,
    pub sighting: u64,
    pub pair: PairId,
    pub intent: Intent,
    pub event: u32,
    pub shards: [u8; 2],
    /// Promised by the budget, taken back at the end.
    pub reserved: [Money; 2],
    pub legs: [LegState; 2],
    pub flights: [Option<Flight>; 2],
    tries: u8,
    /// Proceeds minus cost of what was sold again.
    pub unwound: Money,
    pub sold: bool,
}

impl Plan {
    /// Both orders leave now.
    pub fn open(id: u64, sighting: u64, intent: Intent, event: u32, shards: [u8; 2], arrives: [Nanos; 2]) -> Self {
        let takes = [intent.legs.kalshi, intent.legs.polymarket];
        let flights = [0, 1].map(|v: usize| {
            let (venue, limit) = (Venue::ALL[v], Some(intent.limits[v]));
            Some(Flight { venue, take: takes[v], buys: true, qty: intent.qty, limit, arrives: arrives[v] })
        });
        let reserved = [intent.cost[0] + intent.fees[0], intent.cost[1] + intent.fees[1]];
        let legs = [LegState::default(); 2];
        let pair = intent.pair;
        let unwound = Money::ZERO;
        Self { id, sighting, pair, intent, event, shards, reserved, legs, flights, tries: 0, unwound, sold: false }
    }

    /// Both orders have been answered: what comes next. `sellable` is the smallest quantity each venue takes.
    pub fn next(&mut self, now: Nanos, latency: [Nanos; 2], sellable: [Qty; 2]) -> Option<Ending> {
        if self.flights.iter().any(Option::is_some) {
            return None;
        }
        let [k, p] = [self.legs[0].filled, self.legs[1].filled];
        let long = usize::from(k < p);
        let excess = self.legs[long].filled.saturating_sub(self.legs[1 - long].filled);
        if excess.is_zero() {
            return Some(self.even());
        }
        if self.tries == UNWIND_TRIES || excess < sellable[long] {
            return Some(Ending::Naked);
        }
        let takes = [self.intent.legs.kalshi, self.intent.legs.polymarket];
        let pause = if self.tries == 0 { Nanos::ZERO } else { UNWIND_PAUSE };
        self.tries += 1;
        self.flights[long] = Some(Flight {
            venue: Venue::ALL[long],
            take: takes[long],
            buys: false,
            qty: excess,
            limit: None,
            arrives: now + latency[long] + pause,
        });
        None
    }

    fn even(&self) -> Ending {
        match (self.legs[0].filled, self.sold) {
            (_, true) => Ending::Unwound,
            (Qty::ZERO, false) => Ending::Missed,
            (filled, false) if filled < self.intent.qty => Ending::Partial,
            _ => Ending::Filled,
        }
    }
}
