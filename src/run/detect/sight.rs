//! Sightings: how long an edge stands, what became of it, and why.

use super::{Detector, Outbox, PairLine};
use crate::{
    book::{Book, Unfit},
    decide::{Quote, Reason, View, decide},
    risk::{Approved, Ramp, check, limit::Standing},
    run::{
        event::{DEPTH, Event, What},
        execute::PLANS_MAX,
    },
    spread::{Direction, Pair, Rate, Take},
    unit::{BookSide, Nanos, PairId, Price, Qty, Venue},
    wire::{Arrival, Canary},
};

/// How often a sighting may change its reason in the ledger.
const CHANGES_MAX: u8 = 8;

/// An edge that stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    pub(super) id: u64,
    /// The best net edge told so far, and the last reason.
    net: Rate,
    reason: Option<Reason>,
    changes: u8,
    planned: bool,
}

impl Detector {
    /// Looks at one direction of a pair: what is crossed is told, judged, and taken where nothing stands in the way.
    pub(super) fn look(&mut self, id: PairId, direction: Direction, at: Arrival, out: &mut Outbox) {
        let slot = id.0 as usize;
        let PairLine { pair, sighted, .. } = self.pair_lines[slot];
        let legs = pair.legs(direction);
        let cost = |take: Take| u32::from(self.market_lines[take.market.0 as usize].touch.cost(take.side));
        let crossed = cost(legs.kalshi) + cost(legs.polymarket) < u32::from(Price::DOLLAR);
        if !crossed {
            if sighted && let Some(sighting) = self.pairs[slot].sightings[direction.index()].take() {
                self.note_sightings(slot);
                out.events.push(Event { at: at.unix, what: What::Ended { id: sighting.id } });
            }
            return;
        }
        if self.pairs[slot].holds {
            self.leave_early(id, direction, at, out);
        }
        let (quote, outcome) = self.judge(id, direction, at);
        if matches!(outcome, Err(Reason::TooGood)) && self.pairs[slot].setup.barred.is_none() {
            self.pairs[slot].setup.barred = Some(Reason::TooGood);
            out.events.push(Event { at: at.unix, what: What::Suspended { pair: id, quote } });
        }
        let sighted = self.pairs[slot].sightings[direction.index()];
        if sighted.is_none() {
            self.stats.sightings += 1;
        }
        let mut sighting = sighted.unwrap_or_else(|| {
            self.next_id += 1;
            Sighting { id: self.next_id, net: quote.net, reason: None, changes: 0, planned: false }
        });
        let approved = outcome.map(Some).or_else(|reason| {
            // While its own plan is on the way, or right after, the sighting's outcome is the plan's.
            if sighting.planned { Ok(None) } else { Err(reason) }
        });
        let (reason, plan) = match approved {
            Err(reason) => (Some(reason), None),
            Ok(plan) => (None, plan),
        };
        let fresh = sighted.is_none() || (reason != sighting.reason && sighting.changes < CHANGES_MAX);
        if fresh || sighting.net < quote.net && !sighting.planned && sighting.changes < CHANGES_MAX {
            sighting.changes += u8::from(sighted.is_some());
            sighting.net = sighting.net.max(quote.net);
            sighting.reason = reason;
            let newest = books_touched(&self.books, &pair);
            let detect_ns = u32::try_from(at.now.since(newest).raw()).unwrap_or(u32::MAX);
            let what = What::Sighted { id: sighting.id, pair: id, direction, quote, reason, detect_ns };
            out.events.push(Event { at: at.unix, what });
            if sighted.is_none() {
                if newest == self.passage.arrived {
                    let what = What::Passed { id: sighting.id, passage: self.passage };
                    out.events.push(Event { at: at.unix, what });
                }
                self.tell_depth(sighting.id, &pair, at, out);
            }
        }
        if let Some(approved) = plan {
            if sighted.is_some() {
                self.tell_depth(sighting.id, &pair, at, out);
            }
            sighting.planned = true;
            self.open(id, sighting.id, approved, at, out);
        }
        self.pairs[slot].sightings[direction.index()] = Some(sighting);
        if sighted.is_none() {
            self.note_sightings(slot);
        }
    }

    /// Tells what both books hold at the moment of a decision.
    fn tell_depth(&self, id: u64, pair: &Pair, at: Arrival, out: &mut Outbox) {
        for market in [pair.kalshi, pair.polymarket] {
            let book = &self.books[market.0 as usize];
            let venue = self.markets[market.0 as usize].terms.venue;
            for side in [BookSide::Bid, BookSide::Ask] {
                let mut levels = [(0, Qty::ZERO); DEPTH];
                for (told, (price, qty)) in levels.iter_mut().zip(book.side(side).levels()) {
                    *told = (price.raw(), qty);
                }
                out.events.push(Event { at: at.unix, what: What::Depth { id, venue, side, levels } });
            }
        }
    }

    /// Brings what the lines know of a pair's sightings up to date.
    fn note_sightings(&mut self, slot: usize) {
        let open = self.pairs[slot].sightings.iter().any(Option::is_some);
        let line = &mut self.pair_lines[slot];
        if line.sighted == open {
            return;
        }
        line.sighted = open;
        for market in [line.pair.kalshi, line.pair.polymarket] {
            let sighted = &mut self.market_lines[market.0 as usize].sighted;
            *sighted = if open { *sighted + 1 } else { *sighted - 1 };
        }
    }

    fn judge(&self, id: PairId, direction: Direction, at: Arrival) -> (Quote, Result<Approved, Reason>) {
        let state = &self.pairs[id.0 as usize];
        let pair = &state.setup.pair;
        let slots = [pair.kalshi.0 as usize, pair.polymarket.0 as usize];
        let terms = slots.map(|slot| &self.markets[slot].terms);
        let shards = [terms[0].shard, terms[1].shard];
        let foreign = slots.iter().any(|slot| self.markets[*slot].foreign).then_some(Reason::Foreign);
        let suspended = (0..2).find_map(|v| {
            let canary = self.markets[slots[v]].suspended?;
            Some(match canary {
                Canary::RulesChanged => Reason::RulesChanged,
                canary => Reason::Book(Venue::ALL[v], Unfit::Canary(canary)),
            })
        });
        let view = View {
            id,
            pair,
            direction,
            books: slots.map(|slot| &self.books[slot]),
            terms,
            barred: state.setup.barred.or(foreign).or(suspended),
            odds: state.setup.odds.after(&state.setup.tally),
            times: self.limits.ramp.and_then(Ramp::times),
            links: &self.links,
            now: at.now,
            unix: at.unix,
        };
        let event = state.setup.event as usize;
        let caps = self.budget.caps(shards, event);
        let gone = |market, side, price| self.paper.gone(market, side, price);
        let (quote, outcome) = decide(&view, &self.rules, &caps, gone);
        let standing = Standing {
            positions: self.holding + self.open_plans,
            held: state.holds,
            plan_open: state.plan || self.is_left(id) || self.open_plans == PLANS_MAX || !self.room || self.draining,
            plan_ended: state.plan_ended,
            shards,
            event,
            shut: Venue::ALL.into_iter().find(|venue| at.now < self.shut[*venue as usize]),
            ineligible: Venue::ALL.into_iter().find(|venue| !self.eligible[*venue as usize]),
            agrees: self.agrees,
        };
        let approved = outcome
            .and_then(|intent| check(intent, &self.limits, self.state, &standing, &self.budget, &self.pace, at.now));
        (quote, approved)
    }
}

/// When the newer of both books was touched.
fn books_touched(books: &[Book], pair: &Pair) -> Nanos {
    [pair.kalshi, pair.polymarket].map(|m| books[m.0 as usize].touched().now).into_iter().max().unwrap_or(Nanos::ZERO)
}
