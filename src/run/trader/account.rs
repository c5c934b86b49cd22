//! Readings of an account, and what they say: may be spent, was charged, is held, and by whom.

use std::collections::BTreeSet;

use super::Trader;
use crate::{
    ledger::journal::Store,
    risk::Latch,
    run::{
        event::{Event, What, Word},
        reconcile::{self, Difference},
    },
    unit::{MarketId, Money, Nanos, Qty, UnixMs, Venue},
    venue::gateway::Account,
    wire::Arrival,
};

/// How often accounts are read while nothing is amiss: orders, positions and cash in one go.
const COMPARE_EVERY: Nanos = Nanos::secs(30);
/// The same while tickets of an earlier start may still turn out to have been sent.
const COMPARE_OFTEN: Nanos = Nanos::secs(10);
/// The same while they differ: reads may lag behind fills.
const COMPARE_AGAIN: Nanos = Nanos::secs(2);
/// The same while no reading has come: the last one may have got lost. One that is under way is not begun again.
const COMPARE_FIRST: Nanos = Nanos::millis(500);
/// Reads may lag behind fills by a second or so; a difference that a third reading in a row shows is one.
const DIFFERENCES_MAX: u32 = 3;
/// Contracts that are gone may have been paid. Where the stream lost word of it, the catalogue brings it within a
/// minute.
const PAYOUT_WAIT: Nanos = Nanos::secs(90);
/// Less than this of YES and NO is not worth a transaction.
const MERGE_MIN: Qty = Qty::ONE;

/// How the comparison with one venue stands.
#[derive(Debug, Default)]
pub(super) struct Compare {
    /// When the account was asked for last; zero makes it due.
    pub(super) asked: Nanos,
    /// Readings in a row that differed.
    pub(super) differs: u32,
    /// Readings in a row that showed a loss: another market's difference may stay for good and must not speak for it.
    pub(super) losses: u32,
    /// When the first of them came.
    since: Nanos,
    pub(super) agrees: bool,
    /// Somebody else's order was told of, and no reading has shown every market since.
    pub(super) strangers: bool,
    /// What was told of the differences.
    told: Vec<Difference>,
    /// The venue's contracts may not move all the cash that is there.
    short: bool,
}

/// What of the executor's events moves Polymarket's wallet: by how much, and the predicted fee within.
fn moved(what: &What) -> Option<(MarketId, Money, Money)> {
    let (fill, sign) = match what {
        What::Filled { fill, .. } => (fill, 1),
        What::Voided { fill, .. } => (fill, -1),
        _ => return None,
    };
    let cash = if fill.bought { -fill.price.cost(fill.qty) } else { fill.price.proceeds(fill.qty) };
    let signed = |money: Money| Money::micros(money.raw() * sign);
    (fill.venue == Venue::Polymarket).then(|| (fill.market, signed(cash - fill.fee), signed(fill.fee)))
}

impl<S: Store> Trader<S> {
    /// An account was read: what can be spent, whether fees and positions are as they should be.
    pub(super) fn account(&mut self, venue: Venue, mut account: Account, at: Arrival) {
        let compare = &mut self.sides[venue as usize].compare;
        self.strays.name(&mut account);
        let exact = !self.executor.open().any(|plan| plan.legs().any(|leg| leg.ask.venue == venue));
        for (shard, amount) in &account.cash {
            // What the venue's contracts may not move cannot be spent.
            let usable = account.allowance.map_or(*amount, |allowed| allowed.min(*amount));
            self.acts.words.push(Word::Cash { venue, shard: *shard, amount: usable, exact });
            let before = std::mem::replace(&mut compare.short, usable < *amount);
            if compare.short && !before {
                self.strange.push((
                    venue,
                    format!("its contracts may move only {usable} of {amount}: approve them in the wallet"),
                ));
            }
        }
        if let (Venue::Polymarket, true, Some((_, cash))) = (venue, exact, account.cash.first()) {
            self.weigh(*cash, account.as_of, at);
        }
        if venue == Venue::Polymarket
            && let Some((market, _)) = self.executor.merging()
        {
            let name = self.names[market.0 as usize].1;
            let held = account.held.iter().find(|held| held.market == name).map_or([Qty::ZERO; 2], |held| held.qty);
            self.executor.merge_seen(held, at, &mut self.acts);
        }
        let found = reconcile::compare(&self.names, venue, &account, &self.executor);
        if self.merges && venue == Venue::Polymarket && exact && found.is_empty() {
            self.put_together(at);
        }
        self.judge(venue, &found, exact, at);
    }

    /// What a reading says; `whole` where no market was left out because a plan is on its way there. Reads lag behind
    /// fills by a second or so, so only a difference that stays is one.
    fn judge(&mut self, venue: Venue, found: &[Difference], whole: bool, at: Arrival) {
        let compare = &mut self.sides[venue as usize].compare;
        if compare.differs == 0 {
            compare.since = at.now;
        }
        compare.differs = if found.is_empty() { 0 } else { compare.differs + 1 };
        compare.losses = if found.iter().any(Difference::halts) { compare.losses + 1 } else { 0 };
        if [compare.differs, compare.losses].iter().any(|row| (1..DIFFERENCES_MAX).contains(row)) {
            // A market that has paid holds nothing any more: perhaps only the news of it is missing.
            let markets = found.iter().filter_map(Difference::market);
            self.acts.events.extend(markets.map(|market| Event { at: at.unix, what: What::Suspect { market } }));
            return;
        }
        if self.adopts && !whole {
            // A market was left out: what is there is taken over once its order has ended, and not before all of it is.
            compare.agrees = false;
            return;
        }
        let markets: BTreeSet<_> = found.iter().filter_map(Difference::market).collect();
        if self.adopts && !markets.is_empty() {
            for market in markets {
                let mut held = self.executor.holding(market).qty;
                for difference in found {
                    if let Difference::More { market: of, outcome, theirs, .. }
                    | Difference::Less { market: of, outcome, theirs, .. } = *difference
                        && of == market
                    {
                        held[outcome as usize] = theirs;
                    }
                }
                self.executor.adopt(market, held, at, &mut self.acts);
            }
            // What is held now is compared with the next reading.
            let compare = &mut self.sides[venue as usize].compare;
            (compare.differs, compare.agrees, compare.asked) = (0, false, Nanos::ZERO);
            return;
        }
        let lost = found.iter().any(Difference::halts);
        let mut losses = found.iter().filter(|difference| difference.halts());
        if lost && losses.all(|loss| loss.may_be_a_payout(found)) && at.now.since(compare.since) < PAYOUT_WAIT {
            compare.agrees = false;
            return;
        }
        // What somebody else did may be where a plan is on its way: then it is not seen yet.
        compare.strangers &= !whole;
        compare.agrees = !lost && !compare.strangers;
        let foreign = |market: MarketId| {
            found.iter().any(|difference| matches!(difference, Difference::More { market: of, .. } if *of == market))
        };
        for slot in (0..self.names.len()).filter(|slot| self.names[*slot].0 == venue) {
            let market = MarketId(slot as u32);
            let left = &mut self.foreign[slot];
            if foreign(market) {
                if std::mem::replace(left, DIFFERENCES_MAX) == 0 {
                    self.acts.words.push(Word::Foreign { market, found: true });
                }
            } else if 0 < *left {
                // A listing that misses a page shows nothing of it either.
                *left -= 1;
                if *left == 0 {
                    self.acts.words.push(Word::Foreign { market, found: false });
                }
            }
        }
        if self.sides[venue as usize].compare.told != *found {
            self.sides[venue as usize].compare.told = found.to_vec();
            for difference in found {
                self.acts.events.push(Event { at: at.unix, what: What::Differs { venue, difference: *difference } });
            }
        }
        if lost {
            self.executor.halt(Latch::Disagrees, &mut self.acts);
        }
    }

    /// Reads the account again where it is time.
    pub(super) fn compare(&mut self, venue: Venue, at: Arrival) {
        let calm = if self.strays.are_over() { COMPARE_EVERY } else { COMPARE_OFTEN };
        let side = &mut self.sides[venue as usize];
        let pace = match (side.compare.agrees, side.compare.differs) {
            (true, 0) if self.foreign.iter().all(|left| *left == 0) => calm,
            (false, 0) => COMPARE_FIRST,
            _ => COMPARE_AGAIN,
        };
        let due = side.compare.asked == Nanos::ZERO || pace <= at.now.since(side.compare.asked);
        if due {
            side.compare.asked = at.now;
            side.gateway.account(at, &mut side.out);
        }
    }

    /// Where YES and NO of a market are held, they are put together: a dollar now instead of one at the end. One market
    /// at a time, as the relayer takes them.
    fn put_together(&mut self, at: Arrival) {
        if self.executor.merging().is_some() || self.executor.is_halted() {
            return;
        }
        let both = |market: MarketId| self.executor.holding(market).qty.iter().all(|qty| MERGE_MIN <= *qty);
        let ours = (0..self.names.len()).filter(|slot| self.names[*slot].0 == Venue::Polymarket);
        let mut markets = ours.map(|slot| MarketId(slot as u32));
        if let Some(market) = markets.find(|market| both(*market) && !self.executor.has_paid(*market)) {
            self.executor.merge(market, at, &mut self.acts);
        }
    }

    /// Counts what the events from `before` on moved in Polymarket's wallet.
    pub(super) fn note_money(&mut self, before: usize, at: Arrival) {
        for event in &self.acts.events[before..] {
            match event.what {
                What::Merged { qty, done: true, .. } => self.purse.paid(Money::dollar_each(qty)),
                What::Settled { market, paid, .. } if self.names[market.0 as usize].0 == Venue::Polymarket => {
                    self.purse.paid(paid);
                }
                What::Confirmed { fill, .. } if fill.venue == Venue::Polymarket => self.purse.settled(at.unix),
                _ => {
                    if let Some((market, cash, fee)) = moved(&event.what) {
                        self.purse.traded(market, cash, fee, at.unix);
                    }
                }
            }
        }
    }

    /// The wallet as it was read, with nothing on its way there: were fees as predicted?
    fn weigh(&mut self, cash: Money, asked: UnixMs, at: Arrival) {
        let Some(off) = self.purse.read(cash, asked) else { return };
        let (charged, predicted) = (off.predicted + off.by, off.predicted);
        for market in self.purse.suspects(cash) {
            let what = What::FeeOff { market, charged, predicted };
            self.acts.events.push(Event { at: at.unix, what });
            self.acts.words.push(Word::FeeOff { market });
        }
    }
}
