//! The paper side of the detector: plans open, their orders land on the books, markets pay.

use super::{Detector, Outbox};
use crate::{
    risk::{Approved, Latch},
    run::{
        event::{Ending, Event, Fill, What},
        plan::{Flight, Plan},
    },
    sim::paper::Slice,
    spread::fee::Cash,
    unit::{MarketId, Money, Outcome, PairId, Qty, UnixMs, Venue},
    wire::Arrival,
};

impl Detector {
    pub(super) fn open(&mut self, id: PairId, sighting: u64, approved: &Approved, at: Arrival, out: &mut Outbox) {
        let intent = *approved.intent();
        let state = &mut self.pairs[id.0 as usize];
        let pair = state.setup.pair;
        let event = state.setup.event;
        let shards = [pair.kalshi, pair.polymarket].map(|m| self.markets[m.0 as usize].terms.shard);
        state.plan = true;
        self.next_id += 1;
        let holds = [pair.kalshi, pair.polymarket].map(|m| self.markets[m.0 as usize].terms.hold);
        let arrives = [0, 1].map(|v: usize| at.now + self.setup.latency[v] + holds[v]);
        let plan = Plan::open(self.next_id, sighting, intent, event, shards, arrives);
        for (v, venue) in Venue::ALL.into_iter().enumerate() {
            self.budget.reserve(venue, shards[v], event as usize, plan.reserved[v]);
            self.pace.note(at.now);
        }
        self.stats.plans += 1;
        self.moved = true;
        let what = What::Planned {
            id: plan.id,
            sighting,
            pair: id,
            direction: intent.direction,
            qty: intent.qty,
            limits: intent.limits,
            net: intent.net,
        };
        out.events.push(Event { at: at.unix, what });
        self.plans.push(plan);
    }

    /// Lets orders arrive whose latency is over, and moves their plans on.
    pub(super) fn land(&mut self, at: Arrival, out: &mut Outbox) {
        let mut slot = 0;
        while slot < self.plans.len() {
            for leg in 0..2 {
                if let Some(flight) = self.plans[slot].flights[leg]
                    && flight.arrives <= at.now
                {
                    self.plans[slot].flights[leg] = None;
                    self.execute(slot, leg, &flight, at, out);
                }
            }
            let pair = self.plans[slot].intent.legs;
            let markets = [pair.kalshi.market, pair.polymarket.market];
            let sellable = markets.map(|m| self.markets[m.0 as usize].terms.qty_min);
            match self.plans[slot].next(at.now, self.setup.latency, sellable) {
                Some(ending) => self.close(slot, ending, at, out),
                None => slot += 1,
            }
        }
    }

    /// One order meets the book that stands now.
    fn execute(&mut self, slot: usize, leg: usize, flight: &Flight, at: Arrival, out: &mut Outbox) {
        let market = flight.take.market;
        self.moved = true;
        let book = &self.books[market.0 as usize];
        if book.fit(&self.links, &self.rules.fitness, at.now).is_err() {
            return; // A book that may be wrong fills nothing: the order found nothing.
        }
        let terms = self.markets[market.0 as usize].terms;
        let outcome = flight.take.buys();
        let (stamp, seen, polled) = (book.stamp(), book.touched().unix, self.polled[market.0 as usize]);
        let side = flight.book_side();
        let plan = &mut self.plans[slot];
        let (budget, state) = (&mut self.budget, &mut self.markets[market.0 as usize]);
        let reserved = plan.reserved[leg];
        // What the venue netted away cannot be sold again; buying the other outcome closes the leg just as well.
        let sells = !flight.buys && flight.qty <= state.held[outcome as usize];
        let traded = if flight.buys || sells { outcome } else { outcome.other() };
        let mut realised = Money::ZERO;
        let tell = |slice: Slice| {
            let price = match traded {
                Outcome::Yes => slice.price,
                Outcome::No => slice.price.complement(),
            };
            let leg = &mut plan.legs[leg];
            let held = traded as usize;
            let cash = if sells { Cash::Receives } else { Cash::Pays };
            let fee = terms.fee.fill(&mut leg.fees, cash, price, slice.qty);
            let (moved, exposure);
            if sells {
                moved = price.proceeds(slice.qty) - fee;
                exposure = -part(state.cost[held], slice.qty, state.held[held]);
                state.held[held] = state.held[held].saturating_sub(slice.qty);
                realised += moved + exposure;
            } else {
                moved = -(price.cost(slice.qty) + fee);
                exposure = -moved;
                state.held[held] = state.held[held].checked_add(slice.qty).unwrap_or(Qty::MAX);
            }
            state.cost[held] += exposure;
            budget.book(flight.venue, terms.shard, plan.event as usize, moved, exposure);
            if flight.buys {
                leg.cost -= moved;
                leg.filled = leg.filled.checked_add(slice.qty).unwrap_or(Qty::MAX);
            } else {
                // Bought back as the other outcome, each contract still brings its dollar.
                let back = if sells { moved } else { moved + Money::micros(slice.qty.micros() as i64) };
                let share = part(leg.cost, slice.qty, leg.filled);
                leg.cost -= share;
                leg.filled = leg.filled.saturating_sub(slice.qty);
                plan.unwound += back - share;
                plan.sold = true;
            }
            let fill = Fill {
                market,
                venue: flight.venue,
                outcome: traded,
                bought: !sells,
                price,
                qty: slice.qty,
                fee,
                book_stamp: stamp,
                book_seen: seen,
                polled,
            };
            out.events.push(Event { at: at.unix, what: What::Filled { plan: plan.id, fill } });
            let netted = state.held[0].min(state.held[1]);
            if flight.venue == Venue::Kalshi && !netted.is_zero() {
                let cost: Money = (0..2)
                    .map(|o| {
                        let share = part(state.cost[o], netted, state.held[o]);
                        state.cost[o] -= share;
                        state.held[o] = state.held[o].saturating_sub(netted);
                        share
                    })
                    .sum();
                let back = Money::micros(netted.micros() as i64);
                realised += back - cost;
                budget.book(flight.venue, terms.shard, plan.event as usize, back, -cost);
                out.events.push(Event { at: at.unix, what: What::Netted { market, qty: netted } });
            }
        };
        let levels = book.side(side).levels();
        self.paper.fill(market, side, flight.qty, levels, |price| flight.within(price), tell);
        if realised != Money::ZERO {
            self.realise(realised, at.unix, out);
        }
        if flight.buys {
            // What was promised to this leg is spent now, or no longer needed.
            let plan = &mut self.plans[slot];
            plan.reserved[leg] = Money::ZERO;
            self.budget.release(flight.venue, terms.shard, plan.event as usize, reserved);
        }
    }

    fn close(&mut self, slot: usize, ending: Ending, at: Arrival, out: &mut Outbox) {
        let plan = self.plans.swap_remove(slot);
        self.moved = true;
        for (v, venue) in Venue::ALL.into_iter().enumerate() {
            self.budget.release(venue, plan.shards[v], plan.event as usize, plan.reserved[v]);
        }
        let state = &mut self.pairs[plan.pair.0 as usize];
        state.plan = false;
        state.plan_ended = Some(at.now);
        let [k, p] = plan.legs.map(|leg| leg.filled);
        let paired = k.min(p);
        let naked = k.max(p).saturating_sub(paired);
        let what = What::PlanEnded {
            id: plan.id,
            sighting: plan.sighting,
            paired,
            naked,
            unwound: plan.unwound,
            state: ending,
        };
        out.events.push(Event { at: at.unix, what });
        let pair = self.pairs[plan.pair.0 as usize].setup.pair;
        for market in [pair.kalshi, pair.polymarket] {
            for at in 0..self.market_lines[market.0 as usize].pairs.len() {
                let pair = self.market_lines[market.0 as usize].pairs[at];
                self.note_holding(pair.0 as usize);
            }
        }
        self.mark(plan.pair);
    }

    pub(super) fn settle(&mut self, market: MarketId, yes_payout: Money, unix: UnixMs, out: &mut Outbox) {
        let slot = market.0 as usize;
        let state = &mut self.markets[slot];
        if state.settled {
            return;
        }
        state.settled = true;
        self.moved = true;
        let payouts = [yes_payout, Money::dollars(1) - yes_payout];
        // A micro-dollar per contract times millionths of a contract, rounded down as the venue pays whole micros.
        let paid: Money = (0..2)
            .map(|o| {
                let micros = i128::from(payouts[o].raw()) * i128::from(state.held[o].micros()) / 1_000_000;
                Money::micros(micros as i64)
            })
            .sum();
        let cost = state.cost[0] + state.cost[1];
        let held = state.held;
        let (venue, shard) = (state.terms.venue, state.terms.shard);
        state.held = [Qty::ZERO; 2];
        state.cost = [Money::ZERO; 2];
        let what = What::Settled { market, yes_payout, held, paid, result: paid - cost };
        out.events.push(Event { at: unix, what });
        let Some(&first) = self.market_lines[slot].pairs.first() else { return };
        let event = self.pairs[first.0 as usize].setup.event as usize;
        self.budget.book(venue, shard, event, paid, -cost);
        for at in 0..self.market_lines[slot].pairs.len() {
            let pair = self.market_lines[slot].pairs[at].0 as usize;
            self.note_holding(pair);
        }
        if held != [Qty::ZERO; 2] {
            self.realise(paid - cost, unix, out);
        }
    }

    /// Books a realised result; the day's loss limit lets the latch fall. The legs of one pair settle one after the
    /// other, so the limit is looked at when no pair is half settled.
    fn realise(&mut self, result: Money, unix: UnixMs, out: &mut Outbox) {
        if self.budget.realise(unix.raw(), result) && !self.half_settled() {
            self.halt(Latch::DailyLoss, unix, out);
        }
    }

    /// Does any pair wait for its second leg's payout? One leg's loss is then the other leg's gain still to come.
    fn half_settled(&self) -> bool {
        self.pairs.iter().any(|p| {
            let [k, q] = [p.setup.pair.kalshi, p.setup.pair.polymarket].map(|m| &self.markets[m.0 as usize]);
            k.settled != q.settled && (k.held != [Qty::ZERO; 2] || q.held != [Qty::ZERO; 2])
        })
    }

    /// What one leg holds beyond the other, at cost.
    pub(super) fn naked(&self) -> Money {
        self.plans
            .iter()
            .map(|plan| {
                let [k, p] = plan.legs.map(|leg| leg.filled);
                let long = usize::from(k < p);
                let leg = &plan.legs[long];
                part(leg.cost, leg.filled.saturating_sub(plan.legs[1 - long].filled), leg.filled)
            })
            .sum()
    }
}

/// The share of `cost` that `qty` out of `all` bears, rounded down.
fn part(cost: Money, qty: Qty, all: Qty) -> Money {
    if all.is_zero() {
        return Money::ZERO;
    }
    Money::micros((i128::from(cost.raw()) * i128::from(qty.micros()) / i128::from(all.micros())) as i64)
}
