//! The executor: owns every plan, every order and every position. Entries and offers come in from the detector, reports
//! from the venues; orders, cancels and questions go out. Plain and synchronous, like the detector.
//!
//! Nothing leaves before its record is in the journal, and nothing is booked before what was learnt is. What leaves is made
//! ready first, by a [`Door`]: an order that nobody can sign is not begun. Where a [ticket](super::tickets) fits, both legs
//! are cut to it, and neither signature nor sync lies between decision and socket.

use std::{cmp::Ordering, collections::VecDeque};

use smallvec::SmallVec;

use super::{
    event::{Entry, Event, Fill, Leave, Ready, What, Withheld, Word},
    restore::Restored,
    tickets::{Counts, Sought, Tickets},
};
use crate::{
    decide::Intent,
    fill::{Heard, Met, Whose},
    ledger::{
        Positions,
        journal::{Journal, Record, Store, Unwritten},
        position::Holding,
    },
    order::{
        Ask, Ids, Leg, Plan, Purpose,
        leg::{Change, DUST},
        plan::{Aim, Budget, Came, Ending, Excess, First, Offers, Step},
    },
    risk::{self, Evidence, Latch, Sale, reduce},
    spread::{FeeCurve, Rate, Take, Terms},
    unit::{
        MarketId, Money, Nanos, OrderId, Outcome, PairId, Qty, Reaction, Refusal, Sent, Stage, Tag, Told, Trade,
        UnixMs, Venue,
    },
    venue::gateway::{Minted, Prepared, Unready},
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

/// What the executor needs to know of a market.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub venue: Venue,
    pub fee: FeeCurve,
    /// The smallest order, in contracts and in money.
    pub qty_min: Qty,
    pub cost_min: Money,
}

impl Facts {
    /// Those of a market with these terms.
    pub const fn of(terms: &Terms) -> Self {
        Self { venue: terms.venue, fee: terms.fee, qty_min: terms.qty_min, cost_min: terms.cost_min }
    }
}

/// Makes orders ready to leave, below the executor.
pub trait Door {
    /// Names and signs an order. Nothing leaves.
    fn prepare(&mut self, ask: &Ask, at: Arrival) -> Result<Prepared, Unready>;
    /// Drops an order that is ready and will not be sent.
    fn withdraw(&mut self, ask: &Ask);
    /// Do orders outlive the host's end behind this door?
    fn outlives(&self) -> bool {
        true
    }
    /// Asks for an order to be signed ahead; nobody waits. `false` where that cannot be.
    fn mint(&mut self, _ask: &Ask, _at: Arrival) -> bool {
        false
    }
    /// The next one that was.
    fn minted(&mut self) -> Option<Minted> {
        None
    }
    /// Drops one that will not be used.
    fn discard(&mut self, _order: OrderId) {}
}

/// The door to the paper exchange: nothing is signed there.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned;

impl Door for Unsigned {
    fn prepare(&mut self, _: &Ask, _: Arrival) -> Result<Prepared, Unready> {
        Ok(Prepared { digest: None, tag: None, ahead: false })
    }

    fn withdraw(&mut self, _: &Ask) {}

    fn outlives(&self) -> bool {
        false
    }
}

/// What more than one order together may come to before nothing new is entered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Refused or in doubt in a row, on one venue: the latch falls.
    pub refusals: u32,
    /// Of a venue's last 20 orders, the share refused or in doubt, in millionths: the latch falls.
    pub error_ppm: u32,
    /// Matched and not final.
    pub provisional: Money,
}

impl Limits {
    /// For those who lose nothing: replay, benches, paper.
    pub const NONE: Self = Self { refusals: u32::MAX, error_ppm: u32::MAX, provisional: Money::micros(i64::MAX) };
}

/// How a venue's last orders were answered.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    /// Bad ones in a row.
    row: u32,
    /// One bit each, the newest lowest; set for a bad one.
    bad: u32,
    known: u32,
}

impl Answers {
    const KEPT: u32 = 20;

    fn note(&mut self, good: bool) {
        self.row = if good { 0 } else { self.row + 1 };
        self.bad = (self.bad << 1 | u32::from(!good)) & ((1 << Self::KEPT) - 1);
        self.known = (self.known + 1).min(Self::KEPT);
    }

    /// Millionths; nothing before there are enough of them.
    fn bad_ppm(&self) -> u32 {
        if self.known < Self::KEPT { 0 } else { self.share_ppm() }
    }

    /// The same of however many there are.
    fn share_ppm(&self) -> u32 {
        self.bad.count_ones() * 1_000_000 / self.known.max(1)
    }
}

/// An order and the venue's name for it, if it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct About {
    pub ask: Ask,
    pub tag: Option<Tag>,
}

/// What is to be done. Filled by the executor, emptied by its caller; memory is kept.
#[derive(Debug, Default)]
pub struct Acts {
    /// To the venues, or to the paper exchange.
    pub sends: Vec<Ask>,
    /// Orders that stand and should not.
    pub cancels: Vec<About>,
    /// Orders whose record is to be asked for.
    pub looks: Vec<About>,
    /// To the detector.
    pub words: Vec<Word>,
    /// To the keeper.
    pub events: Vec<Event>,
}

impl Acts {
    /// Room for what a storm of reports brings at once.
    pub fn with_room() -> Self {
        Self {
            sends: Vec::with_capacity(2 * PLANS_MAX),
            cancels: Vec::with_capacity(2 * PLANS_MAX),
            looks: Vec::with_capacity(2 * PLANS_MAX),
            words: Vec::with_capacity(16 * PLANS_MAX),
            events: Vec::with_capacity(16 * PLANS_MAX),
        }
    }
}

struct Open {
    plan: Plan,
    /// What its trades have realised.
    realised: Money,
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
    /// The venues' names for orders of plans that have ended, the oldest first.
    ended: VecDeque<Tag>,
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
        self.plans.extend(plans.map(|((plan, reserved), realised)| Open { plan, realised, reserved }));
    }

    /// Are YES and NO of a market being put together: how many?
    pub fn merging(&self) -> Option<(MarketId, Qty)> {
        self.merging.map(|(market, qty, _)| (market, qty))
    }

    /// Has YES and NO of a market put together, of which nothing is on its way. The transaction is somebody else's to send; only
    /// the wallet says what became of it.
    pub fn merge(&mut self, market: MarketId, at: Arrival, acts: &mut Acts) {
        let [yes, no] = self.positions.holding(market).qty;
        let qty = yes.min(no);
        if self.write(&Record::Merging { market, qty, at: at.unix }).and_then(|()| self.journal.sync()).is_err() {
            return self.halt(Latch::Journal, acts);
        }
        self.merging = Some((market, qty, at.now));
        acts.events.push(Event { at: at.unix, what: What::Merging { market, qty } });
    }

    /// What the wallet holds of a market whose YES and NO are being put together.
    pub fn merge_seen(&mut self, theirs: [Qty; 2], at: Arrival, acts: &mut Acts) {
        let Some((market, qty, since)) = self.merging else { return };
        let before = *self.positions.holding(market);
        let near = |ours: Qty, theirs: Qty| ours.max(theirs).saturating_sub(ours.min(theirs)) <= DUST;
        let fits = |less: Qty| (0..2).all(|o| near(before.qty[o].saturating_sub(less), theirs[o]));
        let done = fits(qty);
        if !done && at.now.since(since) < MERGE_DEAD {
            return;
        }
        // Neither this nor that: the comparison that follows tells of it.
        self.merging = None;
        if self.write(&Record::Merged { market, done, at: at.unix }).is_err() {
            return self.halt(Latch::Journal, acts);
        }
        acts.events.push(Event { at: at.unix, what: What::Merged { market, qty, done } });
        if done {
            self.positions.merge(market, qty);
            self.tell_booked(market, &before, false, at, acts);
        }
    }

    /// Takes what a venue holds of a market for ours, on a person's word. What is there beyond what was bought counts as having
    /// cost a dollar each: nobody knows better, and exposure is not to be understated.
    pub fn adopt(&mut self, market: MarketId, held: [Qty; 2], at: Arrival, acts: &mut Acts) {
        let before = *self.positions.holding(market);
        let cost = [0, 1].map(|o: usize| {
            let more = held[o].saturating_sub(before.qty[o]);
            before.cost[o].part(held[o].min(before.qty[o]), before.qty[o]) + Money::dollar_each(more)
        });
        if self.write(&Record::Adopted { market, held, cost, at: at.unix }).is_err() {
            return self.halt(Latch::Journal, acts);
        }
        for outcome in [Outcome::Yes, Outcome::No] {
            self.positions.found(market, outcome, held[outcome as usize], cost[outcome as usize]);
        }
        acts.events.push(Event { at: at.unix, what: What::Adopted { market, before: before.qty, held } });
        self.tell_booked(market, &before, false, at, acts);
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
            Ready::Void { market } => self.tickets.void(market),
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
                // Polymarket does not say what it charged: what its curve says is booked, and the wallet is compared later.
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
            Whose::Ours(id) => id.epoch() == self.ids.epoch(),
            Whose::Named(tag) => self.ended.contains(tag),
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

    fn enter(&mut self, entry: &Entry, at: Arrival, door: &mut dyn Door, acts: &mut Acts) -> Result<(), Withheld> {
        if self.halted.is_some() {
            return Err(Withheld::Halted);
        }
        if self.blocked {
            return Err(Withheld::Unclear);
        }
        if !self.journal.has_room_for_entries() {
            return Err(Withheld::Journal);
        }
        let provisional: Money = self.plans.iter().map(|open| open.plan.provisional()).sum();
        if self.limits.provisional < provisional + entry.reserved[Venue::Polymarket as usize] {
            return Err(Withheld::Provisional);
        }
        let markets = [entry.approved.intent().legs.kalshi.market, entry.approved.intent().legs.polymarket.market];
        if self.merging.is_some_and(|(market, ..)| markets.contains(&market)) {
            return Err(Withheld::Merging);
        }
        let intent = *entry.approved.intent();
        let takes = [intent.legs.kalshi, intent.legs.polymarket];
        let first = self.first(entry.first);
        let leaves = |venue: Venue| first.is_none_or(|first| first == venue);
        let ticket = if leaves(Venue::Polymarket) { self.ticket(&intent, entry.floor, at.now) } else { None };
        let qty = ticket.map_or(intent.qty, |(_, qty)| qty);
        let mut asks: SmallVec<[Ask; 2]> = SmallVec::new();
        for venue in Venue::ALL.into_iter().filter(|venue| leaves(*venue)) {
            let signed = ticket.filter(|_| venue == Venue::Polymarket).map(|(order, _)| order);
            let take = takes[venue as usize];
            asks.push(Ask {
                id: signed.or_else(|| self.ids.take()).ok_or(Withheld::Numbers)?,
                venue,
                market: take.market,
                outcome: take.buys(),
                buys: true,
                qty,
                limit: take.cost(intent.limits[venue as usize]),
                purpose: Purpose::Entry,
            });
        }
        let aim = Aim { plan: entry.plan, sighting: entry.sighting, pair: intent.pair, legs: intent.legs, qty };
        self.begin(aim, asks, entry.reserved, at, door, acts)?;
        if qty < intent.qty {
            acts.events.push(Event { at: at.unix, what: What::Cut { plan: entry.plan, qty } });
        }
        Ok(())
    }

    /// Begins a plan with its first orders: signed, on record, and on their way.
    fn begin(
        &mut self,
        aim: Aim,
        asks: SmallVec<[Ask; 2]>,
        reserved: [Money; 2],
        at: Arrival,
        door: &mut dyn Door,
        acts: &mut Acts,
    ) -> Result<(), Withheld> {
        let takes = [aim.legs.kalshi, aim.legs.polymarket];
        let mut prepared: SmallVec<[Prepared; 2]> = SmallVec::new();
        for (made, ask) in asks.iter().enumerate() {
            prepared.push(door.prepare(ask, at).map_err(|why| {
                for ask in &asks[..made] {
                    door.withdraw(ask);
                }
                Withheld::Unready(ask.venue, why)
            })?);
        }
        for (ask, ready) in asks.iter().zip(&prepared) {
            self.tickets.used(ask.id, ready.ahead);
        }
        let minimum = takes.map(|take| self.markets[take.market.0 as usize].qty_min);
        let planned = Record::Planned {
            plan: aim.plan,
            sighting: aim.sighting,
            pair: aim.pair,
            markets: takes.map(|take| take.market),
            wanted: takes.map(Take::buys),
            qty: aim.qty,
        };
        // In one piece: after a power cut the plan is known with all of its orders, or not at all.
        let mut records: SmallVec<[Record; 3]> = SmallVec::from_iter([planned]);
        records.extend(asks.iter().zip(&prepared).map(|(ask, ready)| Record::Intended {
            plan: aim.plan,
            ask: *ask,
            digest: ready.digest,
            at: at.unix,
        }));
        let written = self.journal.append_all(&records);
        if written.and_then(|_| self.sync_names(&prepared)).is_err() {
            // Whatever part of it is on record was never sent; a restart asks the venues, and they know of nothing.
            for ask in &asks {
                door.withdraw(ask);
            }
            self.halt(Latch::Journal, acts);
            return Err(Withheld::Journal);
        }
        let mut plan = Plan::open(aim, asks.iter().copied(), self.budget, minimum);
        for (ask, ready) in asks.into_iter().zip(prepared) {
            plan.sent(ask.id, at.now, at.unix);
            plan.named(ask.id, ready.tag);
            acts.sends.push(ask);
        }
        self.plans.push(Open { plan, realised: Money::ZERO, reserved });
        Ok(())
    }

    /// Sells what is held of both legs of a pair, or of one that stands alone. Nothing is sold that is not final, or that
    /// another plan may count on.
    fn leave(&mut self, leave: &Leave, at: Arrival, door: &mut dyn Door, acts: &mut Acts) -> Result<(), Withheld> {
        if self.halted.is_some() && !leave.flatten {
            return Err(Withheld::Halted);
        }
        if self.blocked {
            return Err(Withheld::Unclear);
        }
        if !self.journal.has_room_for_entries() {
            return Err(Withheld::Journal);
        }
        let takes = [leave.legs.kalshi, leave.legs.polymarket];
        let markets = takes.map(|take| take.market);
        let merging = self.merging.is_some_and(|(market, ..)| markets.contains(&market));
        if merging || self.open().flat_map(Plan::legs).any(|leg| markets.contains(&leg.ask.market)) {
            return Err(Withheld::NotHeld);
        }
        let held = takes.map(|take| take.buys().other());
        let sale = |venue: Venue| {
            let (market, outcome) = (markets[venue as usize], held[venue as usize]);
            let certain = self.positions.certain(market, outcome);
            leave.limits[venue as usize].map(|limit| Sale { limit, held: certain })
        };
        let proofs = risk::leave(leave.qty, Venue::ALL.map(sale)).map_err(|_| Withheld::NotHeld)?;
        let both = proofs.iter().all(Option::is_some);
        let purpose = match (both, leave.flatten) {
            (true, true) => Purpose::Flatten,
            (true, false) => Purpose::Exit,
            (false, _) => Purpose::Rest,
        };
        let mut asks: SmallVec<[Ask; 2]> = SmallVec::new();
        let first = self.first(leave.first).filter(|_| both);
        for (venue, proof) in Venue::ALL.into_iter().zip(proofs) {
            let Some(proof) = proof.filter(|_| first.is_none_or(|first| first == venue)) else { continue };
            let (market, outcome) = (markets[venue as usize], held[venue as usize]);
            let id = self.ids.take().ok_or(Withheld::Numbers)?;
            let (qty, limit) = (proof.qty(), proof.limit());
            asks.push(Ask { id, venue, market, outcome, buys: false, qty, limit, purpose });
        }
        let Leave { plan, pair, legs, qty, .. } = *leave;
        self.begin(Aim { plan, sighting: 0, pair, legs, qty }, asks, [Money::ZERO; 2], at, door, acts)
    }

    /// The venue whose entry leaves alone; `None` where both leave together.
    fn first(&self, first: First) -> Option<Venue> {
        match first {
            First::Together => None,
            First::Alone(venue) => Some(venue),
            First::Refusing => {
                let [kalshi, polymarket] = self.answers.map(|answers| answers.share_ppm());
                match kalshi.cmp(&polymarket) {
                    Ordering::Less => Some(Venue::Polymarket),
                    Ordering::Equal => None,
                    Ordering::Greater => Some(Venue::Kalshi),
                }
            }
        }
    }

    /// A venue's own name for an order has to outlive a power cut: it is the only way to ask for the order afterwards. A
    /// ticket's does already.
    fn sync_names(&mut self, prepared: &[Prepared]) -> Result<(), Unwritten> {
        let named = prepared.iter().any(|ready| ready.digest.is_some() && !ready.ahead);
        self.tickets.counts.inline += u64::from(named);
        if named { self.journal.sync() } else { Ok(()) }
    }

    /// A ticket for the Polymarket leg of an entry, and its size, to which both legs are cut: what it leaves after fees with
    /// both legs at their limits still has to be worth it.
    fn ticket(&self, intent: &Intent, floor: Rate, now: Nanos) -> Option<(OrderId, Qty)> {
        let takes = [intent.legs.kalshi, intent.legs.polymarket];
        let limits = [0, 1].map(|v: usize| takes[v].cost(intent.limits[v]));
        let fits = |qty: Qty| {
            let mut net = Money::dollar_each(qty);
            let mut large = true;
            for (take, limit) in takes.into_iter().zip(limits) {
                let facts = &self.markets[take.market.0 as usize];
                large &= facts.qty_min <= qty && facts.cost_min <= limit.cost(qty);
                net = net - limit.cost(qty) - facts.fee.at_most(limit, qty, 1);
            }
            large && Money::ZERO < net && floor <= Rate::each(net, qty)
        };
        let leg = takes[Venue::Polymarket as usize];
        let limit = limits[Venue::Polymarket as usize];
        let sought = Sought { market: leg.market, outcome: leg.buys(), limit, qty: intent.qty };
        self.tickets.find(&sought, self.journal.synced(), now, fits)
    }

    /// Throws tickets away that are of no use any more, writes down which ones were signed, and asks for the next one.
    pub fn restock(&mut self, at: Arrival, door: &mut dyn Door) {
        while let Some(Minted { order, digest }) = door.minted() {
            let ticket = self.tickets.awaited(order).zip(digest);
            let record = ticket.filter(|_| self.journal.has_room_for_entries()).map(|(ask, digest)| {
                let Ask { market, outcome, qty, limit, .. } = ask;
                Record::Ticket { order, market, outcome, qty, limit, digest, at: at.unix }
            });
            match record.and_then(|record| self.journal.append(&record).ok()) {
                Some(sequence) => self.tickets.recorded(order, sequence),
                None => self.tickets.fail(order),
            }
        }
        if self.halted.is_none()
            && let Some(wanted) = self.tickets.wanted(at.now)
            && let Some(order) = self.ids.take()
        {
            let taken = door.mint(&wanted.ask(order), at);
            self.tickets.asked(&wanted, order, at.now, taken);
        }
        for order in self.tickets.dropped() {
            door.discard(order);
        }
    }

    /// How entries were signed, and what became of tickets.
    pub const fn ticket_counts(&self) -> Counts {
        self.tickets.counts
    }

    /// Nothing of epochs below this one has to be asked for any more.
    pub fn clear(&mut self, below: u32, acts: &mut Acts) {
        if self.write(&Record::Cleared { below }).is_err() {
            self.halt(Latch::Journal, acts);
        }
    }

    /// The epoch of this start.
    pub const fn epoch(&self) -> u32 {
        self.ids.epoch()
    }

    fn remedy(
        &mut self,
        slot: usize,
        asked: &Excess,
        offers: &Offers,
        at: Arrival,
        door: &mut dyn Door,
        acts: &mut Acts,
    ) {
        let plan = &self.plans[slot].plan;
        // What was priced may have changed while it was.
        if plan.excess() != Some(*asked) || plan.frozen(at.now).is_some() || plan.legs().any(|leg| !leg.is_complete()) {
            return;
        }
        let Some((venue, purpose, offer)) = plan.choose(asked, offers, at.now) else { return };
        let takes = [plan.aim.legs.kalshi, plan.aim.legs.polymarket];
        let market = takes[venue as usize].market;
        let fee = self.markets[market.0 as usize].fee.at_most(offer.limit, Qty::whole(1), 1);
        let held = || self.positions.certain(market, offer.outcome);
        let sells = (!offer.buys).then(|| if purpose == Purpose::Complete { held() } else { asked.sellable });
        let Ok(reducing) = reduce(asked.qty, offer.qty, offer.limit, fee, sells) else { return };
        let Some(id) = self.ids.take() else { return };
        let ask = Ask {
            id,
            venue,
            market,
            outcome: offer.outcome,
            buys: offer.buys,
            qty: reducing.qty(),
            limit: reducing.limit(),
            purpose,
        };
        // Not ready now: the excess is priced again in a moment.
        let Ok(ready) = door.prepare(&ask, at) else { return };
        let record = Record::Intended { plan: plan.aim.plan, ask, digest: ready.digest, at: at.unix };
        // After a power cut the next start goes on with this plan by itself: an order of it that is not on the medium by then
        // would be made a second time.
        let written = self.write(&record).and_then(|()| if door.outlives() { self.journal.sync() } else { Ok(()) });
        if written.is_err() {
            door.withdraw(&ask);
            return self.halt(Latch::Journal, acts);
        }
        let plan = &mut self.plans[slot].plan;
        plan.add(ask);
        plan.sent(id, at.now, at.unix);
        plan.named(id, ready.tag);
        acts.sends.push(ask);
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
        let Open { plan, reserved, realised } = self.plans.swap_remove(slot);
        for (venue, amount) in Venue::ALL.into_iter().zip(reserved).filter(|(_, amount)| *amount != Money::ZERO) {
            acts.words.push(Word::Released { pair: plan.aim.pair, venue, amount });
        }
        for tag in plan.legs().filter_map(Leg::tag) {
            if self.ended.len() == ENDED_MAX {
                self.ended.pop_front();
            }
            self.ended.push_back(tag);
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

    /// Gives back what was promised to entries that are over. A leg that answers the other one's fill has its promise until
    /// the plan is level.
    fn give_back(&mut self, slot: usize, acts: &mut Acts) {
        let Open { plan, reserved, .. } = &mut self.plans[slot];
        for venue in Venue::ALL {
            let entries = || plan.legs().filter(|leg| leg.ask.venue == venue && leg.ask.purpose == Purpose::Entry);
            let over = if entries().next().is_none() { plan.rests() } else { entries().all(Leg::is_complete) };
            let amount = reserved[venue as usize];
            if amount != Money::ZERO && over {
                reserved[venue as usize] = Money::ZERO;
                acts.words.push(Word::Released { pair: plan.aim.pair, venue, amount });
            }
        }
    }

    /// Books a trade. What it realised is returned.
    fn traded(
        &mut self,
        plan: u64,
        market: MarketId,
        trade: Trade,
        met: Option<Met>,
        at: Arrival,
        acts: &mut Acts,
    ) -> Money {
        let before = *self.positions.holding(market);
        self.positions.trade(market, trade);
        let fill = self.fill(market, &trade, met);
        acts.events.push(Event { at: at.unix, what: What::Filled { plan, fill } });
        let after = self.positions.holding(market);
        // Contracts that came in and are not there any more closed one another.
        let count = |holding: &Holding| holding.qty[0].micros() + holding.qty[1].micros();
        let expected = if trade.bought { count(&before) + trade.qty.micros() } else { count(after) };
        if let Some(netted) = Qty::new(expected.saturating_sub(count(after)) / 2)
            && !netted.is_zero()
        {
            acts.events.push(Event { at: at.unix, what: What::Netted { market, qty: netted } });
        }
        let realised = after.realised - before.realised;
        self.tell_booked(market, &before, false, at, acts);
        realised
    }

    fn voided(&mut self, plan: u64, market: MarketId, trade: &Trade, at: Arrival, acts: &mut Acts) -> Money {
        let before = *self.positions.holding(market);
        self.positions.void(market, trade.tag);
        let fill = self.fill(market, trade, None);
        acts.events.push(Event { at: at.unix, what: What::Voided { plan, fill } });
        self.tell_booked(market, &before, false, at, acts);
        self.positions.holding(market).realised - before.realised
    }

    fn settle(&mut self, market: MarketId, yes_payout: Money, at: Arrival, acts: &mut Acts) {
        if self.paid[market.0 as usize] {
            // Before this start.
            return;
        }
        let waits = |leg: &Leg| leg.ask.market == market && !leg.is_complete();
        if self.open().flat_map(Plan::legs).any(waits) {
            // What an order in doubt has bought is paid too.
            return self.due.push((market, yes_payout));
        }
        self.paid[market.0 as usize] = true;
        let before = *self.positions.holding(market);
        self.positions.pay(market, yes_payout);
        let after = *self.positions.holding(market);
        let (paid, result) = (after.cash - before.cash, after.realised - before.realised);
        let record = Record::Paid { market, yes_payout, held: before.qty, paid };
        if before.qty != [Qty::ZERO; 2] && self.write(&record).is_err() {
            self.halt(Latch::Journal, acts);
        }
        let what = What::Settled { market, yes_payout, held: before.qty, paid, result };
        acts.events.push(Event { at: at.unix, what });
        self.tell_booked(market, &before, true, at, acts);
    }

    fn fill(&self, market: MarketId, trade: &Trade, met: Option<Met>) -> Fill {
        let unseen = UnixMs::default();
        let met = met.unwrap_or(Met { stamp: unseen, seen: unseen, polled: false });
        Fill {
            trade: trade.tag,
            market,
            venue: self.markets[market.0 as usize].venue,
            outcome: trade.outcome,
            bought: trade.bought,
            price: trade.price,
            qty: trade.qty,
            fee: trade.fee.unwrap_or(Money::ZERO),
            provisional: trade.stage < Stage::Confirmed,
            book_stamp: met.stamp,
            book_seen: met.seen,
            polled: met.polled,
        }
    }

    fn tell_booked(&self, market: MarketId, before: &Holding, paid: bool, at: Arrival, acts: &mut Acts) {
        let after = self.positions.holding(market);
        let what = What::Holding { market, qty: after.qty, cost: after.cost };
        acts.events.push(Event { at: at.unix, what });
        acts.words.push(Word::Booked {
            market,
            held: after.qty,
            cost: after.cost,
            cash: after.cash - before.cash,
            exposure: after.at_stake() - before.at_stake(),
            realised: after.realised - before.realised,
            paid,
        });
    }

    fn tell_naked(&mut self, acts: &mut Acts) {
        let value: Money = self.plans.iter().map(|open| open.plan.naked()).sum();
        if value != self.naked {
            self.naked = value;
            acts.words.push(Word::Naked { value });
        }
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

/// A plan of which nothing leaves.
struct Gone {
    plan: u64,
    sighting: u64,
    pair: PairId,
}

impl Gone {
    fn withhold(self, why: Withheld, at: Arrival, acts: &mut Acts) {
        let Self { plan: id, sighting, pair } = self;
        acts.words.push(Word::PlanEnded {
            pair,
            closed: false,
            came: Came::Nothing,
            evidence: Evidence::None,
            realised: Money::ZERO,
        });
        acts.events.push(Event { at: at.unix, what: What::Withheld { plan: id, why } });
        let (nothing, state) = (Qty::ZERO, Ending::Withheld);
        let what = What::PlanEnded { id, sighting, paired: nothing, naked: nothing, unwound: Money::ZERO, state };
        acts.events.push(Event { at: at.unix, what });
    }
}
