//! Where tickets may soon be needed: pairs that are near the threshold, or beyond it.
//!
//! Looked at with the sweep, never in the way of an update, and told only when it changed. What is told is no promise
//! and no decision: an order that was signed ahead is sent for a decision that is made as ever.

use super::{Detector, Outbox};
use crate::{
    decide::Caps,
    risk::TradingState,
    run::{
        event::{Ready, SIZES, Wish},
        tickets::{SHELVES, step_below},
    },
    spread::{
        Direction, FeeCurve, Rate,
        pair::{self, Reach},
    },
    unit::{Money, PairId, Price, Qty, UnixMs},
    wire::{Arrival, Trading},
};

/// Pairs that one sweep looks at: ten sweeps a second see to ten times as many.
const LOOKED_MAX: usize = 1_024;

/// What is wished for now.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// How far below the threshold an edge is near; `None` where no tickets are kept.
    reach: Option<Rate>,
    told: Vec<[Option<Wish>; 2]>,
    /// How many of them there are.
    count: usize,
    next: usize,
}

impl Detector {
    /// Tickets are kept for edges that are at most `reach` below the threshold.
    pub fn keep_tickets(&mut self, reach: Rate) {
        let told = vec![[None; 2]; self.pairs.len()];
        self.wishes = Wishes { reach: Some(reach), told, count: 0, next: 0 };
    }

    /// Tells what is wished for anew, or not any more.
    pub(super) fn wish(&mut self, at: Arrival, out: &mut Outbox) {
        let Some(reach) = self.wishes.reach else { return };
        for _ in 0..self.pairs.len().min(LOOKED_MAX) {
            let slot = self.wishes.next;
            self.wishes.next = (slot + 1) % self.pairs.len();
            for direction in Direction::ALL {
                let before = self.wishes.told[slot][direction.index()];
                let mut wish = self.wished(slot, direction, reach, before, at);
                if before.is_none() && self.wishes.count == SHELVES {
                    wish = None;
                }
                if wish == before {
                    continue;
                }
                self.wishes.count = self.wishes.count + usize::from(wish.is_some()) - usize::from(before.is_some());
                self.wishes.told[slot][direction.index()] = wish;
                out.ready.push(Ready::Wish { pair: PairId(slot as u32), direction, wish });
            }
        }
    }

    /// The executor throws everything away when the latch falls.
    pub(super) fn forget_wishes(&mut self) {
        self.wishes.told.fill([None; 2]);
        self.wishes.count = 0;
    }

    /// What a direction of a pair needs, if it is near. A book that may be wrong for a moment changes nothing.
    fn wished(
        &self,
        slot: usize,
        direction: Direction,
        reach: Rate,
        before: Option<Wish>,
        at: Arrival,
    ) -> Option<Wish> {
        let line = &self.pair_lines[slot];
        let legs = line.pair.legs(direction);
        let takes = [legs.kalshi, legs.polymarket];
        let costs = takes.map(|take| self.market_lines[take.market.0 as usize].touch.cost(take.side));
        // By far the most pairs: fees only make an edge smaller.
        let gross = i64::from(Price::DOLLAR) - i64::from(costs[0]) - i64::from(costs[1]);
        let near = self.rules.threshold - reach;
        if Rate::of_price_units(gross) < near || self.draining || self.state != TradingState::Active {
            return None;
        }
        let [Some(k), Some(p)] = costs.map(Price::new) else { return before };
        let states = takes.map(|take| &self.markets[take.market.0 as usize]);
        let books = takes.map(|take| &self.books[take.market.0 as usize]);
        let barred = self.pairs[slot].setup.barred.is_some();
        if barred || states.iter().any(|state| state.foreign || state.suspended.is_some() || state.settled) {
            return None;
        }
        let late = |v: usize| {
            let soon = |end: Option<UnixMs>, span| end.is_some_and(|end| end.since(at.unix) < span);
            soon(books[v].closes().or(states[v].terms.closes), self.rules.before_close_ms)
                || soon(states[v].terms.game, self.rules.before_game_ms)
        };
        if (0..2).any(|v| late(v) || books[v].trading() != Trading::Open) {
            return None;
        }
        if books.iter().any(|book| book.fit(&self.links, &self.rules.fitness, at.now).is_err()) {
            return before;
        }
        let fees = states.map(|state| &state.terms.fee);
        let net = pair::net((fees[0], k), (fees[1], p));
        if net < near || self.rules.edge_max < Rate::of_price_units(gross) {
            return None;
        }
        let reach = Reach { threshold: near, net: true, slippage: self.rules.slippage };
        let gone = |market, side, price| self.paper.gone(market, side, price);
        let depth = pair::walk(&legs, books, fees, &reach, Qty::MAX, gone).qty;
        let shards = states.map(|state| state.terms.shard);
        let caps = self.budget.caps(shards, self.pairs[slot].setup.event as usize);
        let most = affordable(&caps, [(k, fees[0]), (p, fees[1])]).min(depth).min(self.rules.naked_qty_max);
        let mut sizes = [step_below(most), Qty::ZERO];
        sizes[1] = step_below(Qty::new(sizes[0].micros().saturating_sub(1)).unwrap_or(Qty::ZERO));
        let least = |qty: &Qty| {
            states.iter().zip([k, p]).all(|(state, price)| {
                state.terms.qty_min <= *qty && state.terms.cost_min <= price.cost(*qty) && !qty.is_zero()
            })
        };
        let sizes: [Qty; SIZES] = sizes.map(|qty| if least(&qty) { qty } else { Qty::ZERO });
        if sizes[0].is_zero() {
            return None;
        }
        let leg = legs.polymarket;
        let tick = books[1].grid().step_at(leg.cost(p));
        Some(Wish { market: leg.market, outcome: leg.buys(), touch: p, tick, sizes })
    }
}

/// What can be bought at these prices on both venues with what capital allows.
fn affordable(caps: &Caps, legs: [(Price, &FeeCurve); 2]) -> Qty {
    let each = legs.map(|(price, fee)| Rate::of_price_units(price.raw().into()) + fee.per_contract(price));
    let of = |money: Money, each: Rate| {
        let exact = i128::from(money.raw().max(0)) * i128::from(Rate::DOLLAR.raw()) / i128::from(each.raw().max(1));
        u64::try_from(exact).ok().and_then(Qty::new).unwrap_or(Qty::MAX)
    };
    let both = of(caps.trade.min(caps.event), each[0] + each[1]);
    of(caps.free[0], each[0]).min(of(caps.free[1], each[1])).min(both)
}
