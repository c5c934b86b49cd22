//! The executor: owns every plan, every order and every position. Entries and offers come in from the detector, reports
//! from the venues; orders, cancels and questions go out. Plain and synchronous, like the detector.
//!
//! Nothing leaves before its record is in the journal, and nothing is booked before what was learnt is. What leaves is
//! made ready first, by a [`Door`]: an order that nobody can sign is not begun. Where a [ticket](super::tickets) fits,
//! both legs are cut to it, and neither signature nor sync lies between decision and socket.

mod begin;
mod book;
mod door;

use std::collections::VecDeque;

use begin::Gone;
use door::Answers;
pub use door::{About, Acts, Door, Facts, Limits, Unsigned};

use super::{
    event::{Event, PlanStep, Ready, What, Word},
    restore::Restored,
    tickets::Tickets,
};
use crate::{
    fill::{Heard, Whose},
    ledger::{
        Positions,
        journal::{Journal, Record, Store, Unwritten, WORDS_MAX},
        position::Holding,
    },
    order::{
        Ids, Plan,
        leg::Change,
        plan::{Budget, Ending, Step},
    },
    risk::Latch,
    unit::{MarketId, Money, Nanos, OrderId, Outcome, Qty, Reaction, Refusal, Sent, Tag, Told, Venue},
    venue::gateway::Said,
    wire::Arrival,
};

/// Plans on their way at once, over all pairs.
pub const PLANS_MAX: usize = 64;
/// Orders of ended plans whose names are remembered: their reports may come late, and twice.
const ENDED_MAX: usize = 1_024;
/// A transaction of the wallet's is dead after this: what it was to do has been done, or never will be.
const MERGE_DEAD: Nanos = Nanos::secs(700);
/// No entry on either venue for this long after one says that it takes no orders that take.
const SHUT_SPAN: Nanos = Nanos::secs(30);
/// The same after one says that requests come too fast.
const PACE_SPAN: Nanos = Nanos::secs(2);

struct Open {
    plan: Plan,
    /// What its trades have realised.
    realised: Money,
    /// When its entry was decided; `None` of what sells, and of what an earlier start began.
    decided: Option<Nanos>,
    /// Promised by the budget, given back when the entry on that venue is over.
    reserved: [Money; 2],
}

/// Plans, orders and positions, owned by one thread.
pub struct Executor<S> {
    journal: Journal<S>,
    ids: Ids,
    markets: Vec<Facts>,
    /// Markets that have paid.
    paid: Vec<bool>,
    /// Markets that pay once every order for them is known to be over.
    due: Vec<(MarketId, Money)>,
    positions: Positions,
    plans: Vec<Open>,
    budget: Budget,
    halted: Option<Latch>,
    naked: Money,
    /// Entries wait until positions and orders agree with the venues.
    blocked: bool,
    answers: [Answers; 2],
    limits: Limits,
    /// Orders of plans that have ended, the oldest first, and the venues' names for them.
    ended: VecDeque<(OrderId, Option<Tag>)>,
    /// YES and NO that are being put together, and since when.
    merging: Option<(MarketId, Qty, Nanos)>,
    tickets: Tickets,
}

impl<S: Store> Executor<S> {
    /// An executor without plans. `journal` has its `Opened` record, `ids` are of that epoch.
    pub fn new(journal: Journal<S>, ids: Ids, markets: Vec<Facts>, budget: Budget) -> Self {
        let positions = Positions::new(markets.iter().map(|m| m.venue));
        let plans = Vec::with_capacity(PLANS_MAX);
        let paid = vec![false; markets.len()];
        Self {
            journal,
            ids,
            markets,
            paid,
            due: Vec::with_capacity(2 * PLANS_MAX),
            positions,
            plans,
            budget,
            halted: None,
            naked: Money::ZERO,
            blocked: false,
            answers: [Answers::default(); 2],
            limits: Limits::NONE,
            ended: VecDeque::with_capacity(ENDED_MAX),
            merging: None,
            tickets: Tickets::default(),
        }
    }

    /// What more than one order together may come to.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Entries wait, or need not wait any more, for a comparison with the venues.
    pub fn block(&mut self, blocked: bool) {
        self.blocked = blocked;
    }

    /// What was held at start.
    pub fn found(&mut self, held: &[(MarketId, Outcome, Qty, Money)]) {
        for (market, outcome, qty, cost) in held {
            self.positions.found(*market, *outcome, *qty, *cost);
        }
    }

    /// What the journal says of the time before this start.
    pub fn restore(&mut self, restored: Restored, now: Nanos) {
        for market in restored.history.paid_markets() {
            // Those that this start does not list cannot pay again.
            if let Some(paid) = self.paid.get_mut(market.0 as usize) {
                *paid = true;
            }
        }
        self.positions = restored.positions;
        // It may have been sent, or not: counted from now, and never sent again.
        self.merging = restored.merging.map(|(market, qty)| (market, qty, now));
        let plans = restored.plans.into_iter().zip(restored.reserved).zip(restored.realised);
        self.plans.extend(plans.map(|((plan, reserved), realised)| Open { plan, realised, decided: None, reserved }));
        for (order, tag) in restored.ended {
            self.remember(order, tag);
        }
    }

    /// Keeps in mind an order whose plan is over.
    fn remember(&mut self, order: OrderId, tag: Option<Tag>) {
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back((order, tag));
    }

    /// Something of the detector's.
    pub fn ready(&mut self, ready: Ready, at: Arrival, door: &mut dyn Door, acts: &mut Acts) {
        match ready {
            Ready::Enter(entry) => {
                if let Err(why) = self.enter(&entry, at, door, acts) {
                    let pair = entry.approved.intent().pair;
                    for (venue, amount) in Venue::ALL.into_iter().zip(entry.reserved) {
                        acts.words.push(Word::Released { pair, venue, amount });
                    }
                    Gone { plan: entry.plan, sighting: entry.sighting, pair }.withhold(why, at, acts);
                }
            }
            Ready::Leave(leave) => {
                if let Err(why) = self.leave(&leave, at, door, acts) {
                    let gone = Gone { plan: leave.plan, sighting: 0, pair: leave.pair };
                    gone.withhold(why, at, acts);
                }
            }
            Ready::Offers { plan, excess, offers } => {
                if let Some(slot) = self.plans.iter().position(|open| open.plan.aim.plan == plan) {
                    self.remedy(slot, &excess, &offers, at, door, acts);
                }
            }
            Ready::Settled { market, yes_payout } => self.settle(market, yes_payout, at, acts),
            Ready::Wish { pair, direction, wish } if self.halted.is_none() => self.tickets.wish(pair, direction, wish),
            Ready::Wish { .. } => {}
            Ready::Terms { market, terms } => {
                self.markets[market.0 as usize] = Facts::of(&terms);
                self.tickets.void(market);
            }
            Ready::Halted { latch } => {
                self.halted.get_or_insert(latch);
                self.tickets.void_all();
            }
            Ready::Resumed => {
                self.halted = None;
                self.answers = [Answers::default(); 2];
            }
        }
    }

    /// Something of a venue's. `false` if it is of an order that was never ours: somebody else trades the account.
    pub fn heard(&mut self, heard: &Heard, at: Arrival, acts: &mut Acts) -> bool {
        let Some((slot, order)) = self.whose(&heard.order) else { return self.is_old(&heard.order) };
        let plan = &mut self.plans[slot].plan;
        let market = plan.leg(order).expect("it was found there").ask.market;
        let mut told = heard.told;
        let curve = self.markets[market.0 as usize].fee;
        let mut off = None;
        if let Told::Trade(trade) = &mut told {
            match trade.fee {
                // Polymarket does not say what it charged: what its curve says is booked, and the wallet is compared
                // later.
                None => trade.fee = Some(curve.trade_fee(trade.price, trade.qty)),
                // Polymarket's maker pays nothing, which is all that it says of a fee; Kalshi names what it charged.
                Some(charged)
                    if self.markets[market.0 as usize].venue == Venue::Kalshi
                        && !curve.fits(trade.price, trade.qty, charged) =>
                {
                    let predicted = curve.trade_fee(trade.price, trade.qty);
                    off = Some(What::FeeOff { market, charged, predicted });
                }
                Some(_) => {}
            }
        }
        let change = match plan.next(order, &told, at.now) {
            Ok(Change::Nothing) => return true,
            Ok(change) => Some(change),
            Err(why) => {
                let what = What::Impossible { plan: plan.aim.plan, order, why };
                acts.events.push(Event { at: at.unix, what });
                None
            }
        };
        let id = plan.aim.plan;
        if self.write(&Record::Told { order, told, at: heard.at }).is_err() {
            self.halt(Latch::Journal, acts);
        }
        let step = match (&told, &change) {
            (Told::Sent(Sent::Accepted(_)), Some(Change::Moved)) => Some(PlanStep::Acked),
            (_, Some(Change::Traded(_))) => Some(PlanStep::Filled),
            _ => None,
        };
        if let (Some(step), Some(decided)) = (step, self.plans[slot].decided) {
            let id = self.plans[slot].plan.aim.sighting;
            acts.events.push(Event { at: at.unix, what: What::Stepped { id, step, span: at.now.since(decided) } });
        }
        match change {
            None => self.halt(Latch::Impossible, acts),
            Some(Change::Traded(trade)) => {
                let realised = self.traded(id, market, trade, heard.met, at, acts);
                self.plans[slot].realised += realised;
                if let Some(what) = off {
                    acts.events.push(Event { at: at.unix, what });
                    acts.words.push(Word::FeeOff { market });
                }
            }
            Some(Change::Confirmed(trade)) => {
                self.positions.confirm(market, trade.tag);
                let fill = self.fill(market, &trade, None);
                acts.events.push(Event { at: at.unix, what: What::Confirmed { plan: id, fill } });
            }
            Some(Change::Voided(trade)) => {
                let realised = self.voided(id, market, &trade, at, acts);
                self.plans[slot].realised += realised;
            }
            Some(Change::Moved | Change::Nothing) => {}
        }
        self.give_back(slot, acts);
        self.tell_naked(acts);
        if let (Told::Sent(sent), Some(Change::Moved)) = (told, change) {
            self.react(self.markets[market.0 as usize].venue, market, sent, acts);
        }
        true
    }

    /// A venue's words about an order are on no list: they are kept for a person.
    pub fn said(&mut self, said: &Said, at: Arrival, acts: &mut Acts) {
        let Said { order, status, ref words } = *said;
        let mut rest = words.as_str();
        loop {
            let (part, after) = rest.split_at(rest.floor_char_boundary(WORDS_MAX));
            let record = Record::Said { order, status, words: part.to_owned(), at: at.unix };
            if self.write(&record).is_err() {
                return self.halt(Latch::Journal, acts);
            }
            if after.is_empty() {
                return;
            }
            rest = after;
        }
    }

    /// What an answer calls for beyond its plan.
    fn react(&mut self, venue: Venue, market: MarketId, sent: Sent, acts: &mut Acts) {
        // Nothing to match is no fault of anybody's.
        let good = matches!(sent, Sent::Accepted(_) | Sent::Refused(Refusal::Killed));
        let answers = &mut self.answers[venue as usize];
        answers.note(good);
        if self.limits.refusals <= answers.row {
            self.halt(Latch::Refusals, acts);
        } else if self.limits.error_ppm <= answers.bad_ppm() {
            self.halt(Latch::Errors, acts);
        }
        let Sent::Refused(refusal) = sent else { return };
        match refusal.reaction() {
            Reaction::Plan | Reaction::Look => {}
            Reaction::Halt => self.halt(Latch::Refused(refusal), acts),
            Reaction::Terms => acts.words.push(Word::Doubtful { market }),
            Reaction::Venue => acts.words.push(Word::Shut { venue, span: SHUT_SPAN }),
            Reaction::Pace => acts.words.push(Word::Shut { venue, span: PACE_SPAN }),
        }
    }

    /// Is a report that no open plan knows of an order of ours, of a plan that has ended?
    fn is_old(&self, order: &Whose) -> bool {
        match order {
            // An earlier start may have sent it and lost its record in a power cut.
            Whose::Ours(id) => id.epoch() == self.ids.epoch() || self.ended.iter().any(|(ended, _)| ended == id),
            Whose::Named(tag) => self.ended.iter().any(|(_, ended)| *ended == Some(*tag)),
        }
    }

    /// Looks at every plan: after all that came was taken in, and a few hundred times a second.
    pub fn turn(&mut self, at: Arrival, acts: &mut Acts) {
        for _ in 0..self.due.len() {
            let (market, yes_payout) = self.due.remove(0);
            self.settle(market, yes_payout, at, acts);
        }
        let mut slot = 0;
        while slot < self.plans.len() {
            if !self.advance(slot, at, acts) {
                slot += 1;
            }
        }
    }

    /// Reports of a venue may have been missed.
    pub fn missed(&mut self, venue: Venue) {
        for open in &mut self.plans {
            open.plan.missed(venue);
        }
    }

    /// Has a market paid?
    pub fn has_paid(&self, market: MarketId) -> bool {
        self.paid[market.0 as usize]
    }

    /// The journal, for whoever gives it its next segment.
    pub fn journal_mut(&mut self) -> &mut Journal<S> {
        &mut self.journal
    }

    /// Plans that are still on their way.
    pub fn plans(&self) -> usize {
        self.plans.len()
    }

    /// Of those, the ones that are not only waiting for trades to become final.
    pub fn restless(&self) -> usize {
        self.plans.iter().filter(|open| !open.plan.rests()).count()
    }

    /// Those plans.
    pub fn open(&self) -> impl Iterator<Item = &Plan> {
        self.plans.iter().map(|open| &open.plan)
    }

    /// What is held of a market.
    pub fn holding(&self, market: MarketId) -> &Holding {
        self.positions.holding(market)
    }

    fn whose(&self, order: &Whose) -> Option<(usize, OrderId)> {
        let legs = self.plans.iter().enumerate().flat_map(|(slot, open)| open.plan.legs().map(move |leg| (slot, leg)));
        let mut found = legs.filter(|(_, leg)| match order {
            Whose::Ours(id) => leg.ask.id == *id,
            Whose::Named(tag) => leg.tag() == Some(*tag),
        });
        found.next().map(|(slot, leg)| (slot, leg.ask.id))
    }

    /// Moves a plan on as far as it goes without news. `true` if it ended.
    fn advance(&mut self, slot: usize, at: Arrival, acts: &mut Acts) -> bool {
        loop {
            let open = &mut self.plans[slot];
            let step = open.plan.step(at.now);
            let about = |id| {
                let leg = open.plan.leg(id).expect("the plan named it");
                About { ask: leg.ask, tag: leg.tag() }
            };
            match step {
                Step::Wait => return false,
                Step::Cancel(id) => acts.cancels.push(about(id)),
                Step::Look(id) => acts.looks.push(about(id)),
                Step::Price(excess) => {
                    let (plan, legs) = (open.plan.aim.plan, open.plan.aim.legs);
                    if [legs.kalshi, legs.polymarket].iter().any(|take| self.paid[take.market.0 as usize]) {
                        // What stands alone beside a market that has paid cannot be closed any more.
                        self.close(slot, Ending::Naked, at, acts);
                        return true;
                    }
                    acts.words.push(Word::Price { plan, legs, excess });
                    return false;
                }
                Step::Overdue => self.halt(Latch::Naked, acts),
                Step::End(ending) => {
                    self.close(slot, ending, at, acts);
                    return true;
                }
            }
        }
    }

    fn close(&mut self, slot: usize, ending: Ending, at: Arrival, acts: &mut Acts) {
        let Open { plan, reserved, realised, .. } = self.plans.swap_remove(slot);
        for (venue, amount) in Venue::ALL.into_iter().zip(reserved).filter(|(_, amount)| *amount != Money::ZERO) {
            acts.words.push(Word::Released { pair: plan.aim.pair, venue, amount });
        }
        for leg in plan.legs() {
            self.remember(leg.ask.id, leg.tag());
        }
        if self.write(&Record::Ended { plan: plan.aim.plan, ending }).is_err() {
            self.halt(Latch::Journal, acts);
        }
        let what = What::PlanEnded {
            id: plan.aim.plan,
            sighting: plan.aim.sighting,
            paired: plan.paired(),
            naked: plan.excess().map_or(Qty::ZERO, |excess| excess.qty),
            unwound: plan.unwound(),
            state: ending,
        };
        acts.events.push(Event { at: at.unix, what });
        let closed = matches!(ending, Ending::Unwound | Ending::Dust | Ending::Naked);
        let evidence = ending.evidence();
        acts.words.push(Word::PlanEnded { pair: plan.aim.pair, closed, came: plan.came(), evidence, realised });
        if ending == Ending::Naked {
            self.halt(Latch::Naked, acts);
        }
        self.tell_naked(acts);
    }

    /// Has the latch fallen?
    pub fn is_halted(&self) -> bool {
        self.halted.is_some()
    }

    /// The latch falls.
    pub fn halt(&mut self, latch: Latch, acts: &mut Acts) {
        if self.halted.is_none() {
            self.halted = Some(latch);
            self.tickets.void_all();
            acts.words.push(Word::Halt { latch });
        }
    }

    fn write(&mut self, record: &Record) -> Result<(), Unwritten> {
        self.journal.append(record).map(|_| ())
    }
}
