//! How orders come to leave: entries and exits begin a plan, remedies go on with one. Made ready, written down, synced
//! where that has to be, and only then handed out.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::super::{
    event::{Entry, Event, Leave, PlanStep, What, Withheld, Word},
    tickets::{Counts, Sought},
};
use super::{Acts, Door, Executor, Open};
use crate::{
    decide::Intent,
    ledger::journal::{Record, Store, Unwritten},
    order::{
        Ask, Plan, Purpose,
        plan::{Aim, Came, Ending, Excess, First, Offers},
    },
    risk::{self, Evidence, Latch, Sale, reduce},
    spread::{Rate, Take},
    unit::{Money, Nanos, OrderId, PairId, Qty, Venue},
    venue::gateway::{Minted, Prepared},
    wire::Arrival,
};

/// What stands behind a plan's first orders: nothing behind one that sells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backing {
    /// Promised by the budget.
    reserved: [Money; 2],
    /// When it was decided.
    decided: Option<Nanos>,
}

impl<S: Store> Executor<S> {
    pub(super) fn enter(
        &mut self,
        entry: &Entry,
        at: Arrival,
        door: &mut dyn Door,
        acts: &mut Acts,
    ) -> Result<(), Withheld> {
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
        self.begin(aim, asks, Backing { reserved: entry.reserved, decided: Some(entry.decided) }, at, door, acts)?;
        if qty < intent.qty {
            acts.events.push(Event { at: at.unix, what: What::Cut { plan: entry.plan, qty } });
        }
        Ok(())
    }

    /// Begins a plan with its first orders: signed, on record, and on their way.
    pub(super) fn begin(
        &mut self,
        aim: Aim,
        asks: SmallVec<[Ask; 2]>,
        backing: Backing,
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
        let Backing { reserved, decided } = backing;
        if let Some(decided) = decided {
            let what = What::Stepped { id: aim.sighting, step: PlanStep::Sent, span: at.now.since(decided) };
            acts.events.push(Event { at: at.unix, what });
        }
        self.plans.push(Open { plan, realised: Money::ZERO, decided, reserved });
        Ok(())
    }

    /// Sells what is held of both legs of a pair, or of one that stands alone. Nothing is sold that is not final, or
    /// that another plan may count on.
    pub(super) fn leave(
        &mut self,
        leave: &Leave,
        at: Arrival,
        door: &mut dyn Door,
        acts: &mut Acts,
    ) -> Result<(), Withheld> {
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
        self.begin(Aim { plan, sighting: 0, pair, legs, qty }, asks, Backing::default(), at, door, acts)
    }

    /// The venue whose entry leaves alone; `None` where both leave together.
    pub(super) fn first(&self, first: First) -> Option<Venue> {
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

    /// A venue's own name for an order has to outlive a power cut: it is the only way to ask for the order afterwards.
    /// A ticket's does already.
    pub(super) fn sync_names(&mut self, prepared: &[Prepared]) -> Result<(), Unwritten> {
        let named = prepared.iter().any(|ready| ready.digest.is_some() && !ready.ahead);
        self.tickets.counts.inline += u64::from(named);
        if named { self.journal.sync() } else { Ok(()) }
    }

    /// A ticket for the Polymarket leg of an entry, and its size, to which both legs are cut: what it leaves after fees
    /// with both legs at their limits still has to be worth it.
    pub(super) fn ticket(&self, intent: &Intent, floor: Rate, now: Nanos) -> Option<(OrderId, Qty)> {
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

    pub(super) fn remedy(
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
        // After a power cut the next start goes on with this plan by itself: an order of it that is not on the medium
        // by then would be made a second time.
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
}

/// A plan of which nothing leaves.
pub(super) struct Gone {
    pub(super) plan: u64,
    pub(super) sighting: u64,
    pub(super) pair: PairId,
}

impl Gone {
    pub(super) fn withhold(self, why: Withheld, at: Arrival, acts: &mut Acts) {
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
