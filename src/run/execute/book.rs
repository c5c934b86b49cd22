//! What happened, in the positions: trades and failed trades, payouts, YES and NO put together, and what a person had
//! taken over; and the words that tell the detector of it.

use super::super::event::{Event, Fill, What, Word};
use super::{Acts, Executor, MERGE_DEAD, Open};
use crate::{
    fill::Met,
    ledger::{
        journal::{Record, Store},
        position::Holding,
    },
    order::{Leg, Plan, Purpose, leg::DUST},
    risk::Latch,
    unit::{MarketId, Money, Outcome, Qty, Stage, Trade, UnixMs, Venue},
    wire::Arrival,
};

impl<S: Store> Executor<S> {
    /// Are YES and NO of a market being put together: how many?
    pub fn merging(&self) -> Option<(MarketId, Qty)> {
        self.merging.map(|(market, qty, _)| (market, qty))
    }

    /// Has YES and NO of a market put together, of which nothing is on its way. The transaction is somebody else's to
    /// send; only the wallet says what became of it.
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

    /// Takes what a venue holds of a market for ours, on a person's word. What is there beyond what was bought counts
    /// as having cost a dollar each: nobody knows better, and exposure is not to be understated.
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

    /// Books a trade. What it realised is returned.
    pub(super) fn traded(
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

    pub(super) fn voided(&mut self, plan: u64, market: MarketId, trade: &Trade, at: Arrival, acts: &mut Acts) -> Money {
        let before = *self.positions.holding(market);
        self.positions.void(market, trade.tag);
        let fill = self.fill(market, trade, None);
        acts.events.push(Event { at: at.unix, what: What::Voided { plan, fill } });
        self.tell_booked(market, &before, false, at, acts);
        self.positions.holding(market).realised - before.realised
    }

    pub(super) fn settle(&mut self, market: MarketId, yes_payout: Money, at: Arrival, acts: &mut Acts) {
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

    pub(super) fn fill(&self, market: MarketId, trade: &Trade, met: Option<Met>) -> Fill {
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

    pub(super) fn tell_booked(&self, market: MarketId, before: &Holding, paid: bool, at: Arrival, acts: &mut Acts) {
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

    pub(super) fn tell_naked(&mut self, acts: &mut Acts) {
        let value: Money = self.plans.iter().map(|open| open.plan.naked()).sum();
        if value != self.naked {
            self.naked = value;
            acts.words.push(Word::Naked { value });
        }
    }

    /// Gives back what was promised to entries that are over. A leg that answers the other one's fill has its promise
    /// until the plan is level.
    pub(super) fn give_back(&mut self, slot: usize, acts: &mut Acts) {
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
}
