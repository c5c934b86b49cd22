//! The detector's side of a plan: entries leave for the executor, excesses are priced from the books, paper orders meet
//! them, and what the executor booked is taken into the budget.

use std::io::Write as _;

use super::{Detector, Outbox};
use crate::{
    config::LegOrder,
    decide::{Intent, Reason},
    fill::{Heard, Met, Whose},
    order::{
        Ask,
        plan::{Came, Excess, First, Offer, Offers},
    },
    risk::{Approved, Evidence},
    run::event::{Entry, Event, Ready, What, Word},
    spread::{FeeRun, Legs, Rate, Take, fee::Cash},
    unit::{
        BookSide, MarketId, Money, Nanos, Outcome, PairId, Picture, Price, Qty, Refusal, Sent, Stage, Tag, Told, Trade,
        UnixMs, Venue,
    },
    wire::{Arrival, Canary},
};

/// Plans of a pair that may end with one leg closed again, from one start to the next.
pub(super) const LOOP_MAX: u32 = 3;

/// One order on its way to the paper exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    ask: Ask,
    arrives: Nanos,
}

impl Flight {
    /// The side of the YES book that it takes.
    fn side(&self) -> BookSide {
        if self.ask.buys == (self.ask.outcome == Outcome::Yes) { BookSide::Ask } else { BookSide::Bid }
    }
}

impl Detector {
    pub(super) fn open(&mut self, id: PairId, sighting: u64, approved: Approved, at: Arrival, out: &mut Outbox) {
        let intent = *approved.intent();
        let state = &mut self.pairs[id.0 as usize];
        state.plan = true;
        let reserved = [intent.cost[0] + intent.fees[0], intent.cost[1] + intent.fees[1]];
        self.next_id += 1;
        self.open_plans += 1;
        for (venue, amount) in Venue::ALL.into_iter().zip(reserved) {
            let (shard, event) = self.account_of(id, venue);
            self.budget.reserve(venue, shard, event, amount);
            self.pace.note(at.now);
        }
        self.stats.plans += 1;
        self.moved = true;
        let what = What::Planned {
            id: self.next_id,
            sighting,
            pair: id,
            direction: intent.direction,
            qty: intent.qty,
            limits: intent.limits,
            net: intent.net,
        };
        out.events.push(Event { at: at.unix, what });
        // Measured before fees, the limits alone see to the threshold.
        let floor = if self.rules.threshold_net { self.rules.threshold } else { Rate::ZERO };
        let first = self.first(&intent);
        out.ready.push(Ready::Enter(Entry {
            plan: self.next_id,
            sighting,
            approved,
            decided: at.now,
            first,
            reserved,
            floor,
        }));
    }

    /// Which leg leaves first. Where a venue holds orders that take, nobody knows for how long the other leg would
    /// stand alone: that venue's fill is answered.
    fn first(&self, intent: &Intent) -> First {
        self.held_first(&intent.legs).map_or_else(
            || match self.leg_order {
                LegOrder::Together => First::Together,
                LegOrder::ThinnerFirst => First::Alone(intent.thinner),
                LegOrder::RefusingFirst => First::Refusing,
            },
            First::Alone,
        )
    }

    /// The venue that holds orders which take on one of these legs.
    pub(super) fn held_first(&self, legs: &Legs) -> Option<Venue> {
        let holds = |take: &Take| self.markets[take.market.0 as usize].terms.hold != Nanos::ZERO;
        let takes = [legs.kalshi, legs.polymarket];
        Venue::ALL.into_iter().find(|venue| holds(&takes[*venue as usize]))
    }

    /// Something of the executor's.
    pub fn word(&mut self, word: &Word, at: Arrival, out: &mut Outbox) {
        match *word {
            Word::Paper { ask } => {
                let hold = self.markets[ask.market.0 as usize].terms.hold;
                self.flights.push(Flight { ask, arrives: at.now + self.setup.latency[ask.venue as usize] + hold });
            }
            Word::Price { plan, legs, excess } => {
                let offers = self.offers(&legs, &excess, at);
                out.ready.push(Ready::Offers { plan, excess, offers });
            }
            Word::Cash { venue, shard, amount, exact } => self.budget.read(venue, shard, amount, exact),
            Word::Booked { market, held, cost, cash, exposure, realised, paid } => {
                self.moved = true;
                let state = &mut self.markets[market.0 as usize];
                (state.held, state.cost) = (held, cost);
                let (venue, shard) = (state.terms.venue, state.terms.shard);
                if let Some(&first) = self.market_lines[market.0 as usize].pairs.first() {
                    let event = self.pairs[first.0 as usize].setup.event as usize;
                    self.budget.book(venue, shard, event, cash, exposure);
                    // A payout on Polymarket arrives when it is redeemed, and is seen in the wallet then.
                    if !(paid && venue == Venue::Polymarket) {
                        self.budget.moved(venue, shard, cash);
                    }
                }
                self.note_holdings(market);
                if realised != Money::ZERO {
                    self.realise(realised, at.unix, out);
                }
            }
            Word::Released { pair, venue, amount } => {
                self.moved = true;
                let (shard, event) = self.account_of(pair, venue);
                self.budget.release(venue, shard, event, amount);
            }
            Word::PlanEnded { pair, closed, came, evidence, realised } => {
                if let Some(ramp) = &mut self.limits.ramp {
                    ramp.ended(evidence);
                }
                let state = &mut self.pairs[pair.0 as usize];
                if let (Some(_), Some(flatten)) = (state.leaving.take(), &mut self.flatten) {
                    flatten.realised(realised);
                }
                match came {
                    Came::Nothing => {}
                    Came::Level => state.setup.tally.note(None),
                    Came::Alone(venue) => state.setup.tally.note(Some(venue)),
                }
                state.plan = false;
                state.plan_ended = Some(at.now);
                state.closed += u32::from(closed);
                // A leg that was given up alone counts against what the next plan may leave alone.
                let looped = state.closed == LOOP_MAX || evidence == Evidence::Naked;
                if closed && looped && state.setup.barred.is_none() {
                    state.setup.barred = Some(Reason::LossLoop);
                    out.events.push(Event { at: at.unix, what: What::Looped { pair } });
                }
                self.open_plans -= 1;
                self.moved = true;
                self.mark(pair);
            }
            Word::Naked { value } => self.naked(value, at),
            Word::Halt { latch } => self.halt(latch, at.unix, out),
            Word::Doubtful { market } => self.canary(market, Canary::OrderRefused, at, out),
            Word::Shut { venue, span } => {
                let until = &mut self.shut[venue as usize];
                *until = (*until).max(at.now + span);
            }
            Word::Agrees { clean } => self.agrees = clean,
            Word::FeeOff { market } => {
                for at in 0..self.market_lines[market.0 as usize].pairs.len() {
                    let pair = self.market_lines[market.0 as usize].pairs[at];
                    self.pairs[pair.0 as usize].setup.barred.get_or_insert(Reason::FeeMismatch);
                    self.mark(pair);
                }
            }
            Word::Foreign { market, found } => self.markets[market.0 as usize].foreign = found,
        }
    }

    /// Lets paper orders arrive whose latency is over.
    pub(super) fn land(&mut self, at: Arrival, out: &mut Outbox) {
        let mut slot = 0;
        while slot < self.flights.len() {
            if self.flights[slot].arrives <= at.now {
                let flight = self.flights.swap_remove(slot);
                self.meet(&flight, at, out);
            } else {
                slot += 1;
            }
        }
    }

    /// One paper order meets the book that stands now.
    fn meet(&mut self, flight: &Flight, at: Arrival, out: &mut Outbox) {
        let ask = flight.ask;
        let Detector { books, links, rules, markets, paper, polled, .. } = self;
        let market = ask.market.0 as usize;
        let (book, state) = (&books[market], &markets[market]);
        let met = Met { stamp: book.stamp(), seen: book.touched().unix, polled: polled[market] };
        let mut tell = |told| {
            out.heard.push(Heard { order: Whose::Ours(ask.id), told, at: at.unix, met: Some(met) });
        };
        if !ask.buys && state.held[ask.outcome as usize] < ask.qty {
            return tell(Told::Sent(Sent::Refused(Refusal::Funds)));
        }
        tell(Told::Sent(Sent::Accepted(tag(&ask, 0))));
        let mut filled = Qty::ZERO;
        // A book that may be wrong fills nothing: the order found nothing.
        if book.fit(links, &rules.fitness, at.now).is_ok() {
            let side = flight.side();
            let cash = if ask.buys { Cash::Pays } else { Cash::Receives };
            let (mut run, mut number) = (FeeRun::default(), 0);
            let own = |price: Price| match ask.outcome {
                Outcome::Yes => price,
                Outcome::No => price.complement(),
            };
            let within = |price| if ask.buys { own(price) <= ask.limit } else { ask.limit <= own(price) };
            filled = paper.fill(ask.market, side, ask.qty, book.side(side).levels(), within, |slice| {
                number += 1;
                let price = own(slice.price);
                tell(Told::Trade(Trade {
                    tag: tag(&ask, number),
                    outcome: ask.outcome,
                    bought: ask.buys,
                    price,
                    qty: slice.qty,
                    fee: Some(state.terms.fee.fill(&mut run, cash, price, slice.qty)),
                    stage: Stage::Confirmed,
                }));
            });
        }
        tell(Told::Picture(Picture { filled, open: false }));
    }

    /// What closing an excess would cost on each leg, as the books stand.
    fn offers(&self, legs: &Legs, excess: &Excess, at: Arrival) -> Offers {
        let take = |venue: Venue| if venue == Venue::Kalshi { legs.kalshi } else { legs.polymarket };
        let (long, short) = (take(excess.long), take(excess.long.other()));
        // What is held too much: what the leg was to buy, or, where closing it was undone, what was bought for that.
        let back = if excess.reversed { long.side } else { long.side.opposite() };
        let held = if excess.reversed { long.buys().other() } else { long.buys() };
        let (side, outcome) =
            if excess.reversed { (short.side.opposite(), short.buys().other()) } else { (short.side, short.buys()) };
        // An exit is completed out of what is held; where that is not there any more its complement does the same.
        let still = self.markets[short.market.0 as usize].held[outcome.other() as usize];
        let complete = if excess.exit && !excess.reversed && excess.qty <= still {
            self.offer(short.market, side, outcome.other(), false, excess.qty, at)
        } else {
            self.offer(short.market, side, outcome, true, excess.qty, at)
        };
        // What is not final yet cannot be sold, nor what closed the other outcome's contracts of an earlier plan:
        // Kalshi keeps one number a market. Its complement can be bought.
        let there = self.markets[long.market.0 as usize].held[held as usize];
        let sells = (excess.reversed || !excess.exit) && excess.qty <= excess.sellable && excess.qty <= there;
        let outcome = if sells { held } else { held.other() };
        Offers { complete, unwind: self.offer(long.market, back, outcome, !sells, excess.qty, at) }
    }

    /// Up to `qty` from one side of a fit book.
    pub(super) fn offer(
        &self,
        market: MarketId,
        side: BookSide,
        outcome: Outcome,
        buys: bool,
        qty: Qty,
        at: Arrival,
    ) -> Option<Offer> {
        let (book, terms) = (&self.books[market.0 as usize], &self.markets[market.0 as usize].terms);
        book.fit(&self.links, &self.rules.fitness, at.now).ok()?;
        let qty = qty.floor_to(terms.qty_step);
        let (mut left, mut cost, mut limit) = (qty, Money::ZERO, None);
        for (price, shown) in book.side(side).levels() {
            let taken = shown.saturating_sub(self.paper.gone(market, side, price)).min(left).floor_to(terms.qty_step);
            if taken.is_zero() {
                continue;
            }
            let own = if outcome == Outcome::Yes { price } else { price.complement() };
            let fee = terms.fee.at_most(own, taken, 1);
            cost += if buys { own.cost(taken) + fee } else { fee - own.proceeds(taken) };
            (left, limit) = (left.saturating_sub(taken), Some(own));
            if left.is_zero() {
                break;
            }
        }
        let qty = qty.saturating_sub(left);
        let enough = terms.qty_min <= qty && (!buys || terms.cost_min <= cost);
        Some(Offer { qty, limit: limit?, cost, buys, outcome }).filter(|_| enough)
    }

    pub(super) fn settle(&mut self, market: MarketId, yes_payout: Money, out: &mut Outbox) {
        let state = &mut self.markets[market.0 as usize];
        if !std::mem::replace(&mut state.settled, true) {
            out.ready.push(Ready::Settled { market, yes_payout });
        }
    }

    /// Books a realised result; the limits on losses let the latch fall. The legs of one pair settle one after the
    /// other, so they are looked at when no pair is half settled.
    fn realise(&mut self, result: Money, unix: UnixMs, out: &mut Outbox) {
        self.budget.realise(unix.raw(), result);
        if !self.half_settled()
            && let Some(latch) = self.budget.breached()
        {
            self.halt(latch, unix, out);
        }
    }

    /// Does any pair wait for its second leg's payout? One leg's loss is then the other leg's gain still to come.
    fn half_settled(&self) -> bool {
        self.pairs.iter().any(|p| {
            let [k, q] = [p.setup.pair.kalshi, p.setup.pair.polymarket].map(|m| &self.markets[m.0 as usize]);
            k.settled != q.settled && (k.held != [Qty::ZERO; 2] || q.held != [Qty::ZERO; 2])
        })
    }

    /// The shard that pays for a pair's leg, and the event whose exposure it is.
    fn account_of(&self, pair: PairId, venue: Venue) -> (u8, usize) {
        let setup = &self.pairs[pair.0 as usize].setup;
        let market = if venue == Venue::Kalshi { setup.pair.kalshi } else { setup.pair.polymarket };
        (self.markets[market.0 as usize].terms.shard, setup.event as usize)
    }

    fn note_holdings(&mut self, market: MarketId) {
        for at in 0..self.market_lines[market.0 as usize].pairs.len() {
            let pair = self.market_lines[market.0 as usize].pairs[at];
            self.note_holding(pair.0 as usize);
        }
    }
}

/// A name for a paper order (0) or one of its fills, without asking for memory.
fn tag(ask: &Ask, number: u32) -> Tag {
    let mut text = [0; Tag::LEN];
    let mut rest = &mut text[..];
    write!(rest, "paper-{}-{number}", ask.id).expect("two numbers fit");
    let left = rest.len();
    let text = std::str::from_utf8(&text[..Tag::LEN - left]).expect("digits and letters");
    Tag::new(text).expect("plain and short")
}
