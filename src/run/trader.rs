//! The executor between two gateways, without I/O: what the `execute` thread drives over sockets, and the deterministic
//! suite in virtual time.
//!
//! ```text
//! detector ─ Ready ─► executor ─ orders, cancels, looks ─► gateways ─ calls ─► venues
//!          ◄─ Word ─          ◄────── reports ──────────           ◄─ answers, private frames
//! ```
//!
//! Nothing is entered before both venues' accounts were read whole and agree with the journal, nor while they do not.

use std::collections::BTreeSet;

use super::{
    event::{Event, Ready, What, Word},
    execute::{About, Acts, Door, Executor, PLANS_MAX},
    guard::Note,
    purse::Purse,
    reconcile::{self, Difference},
    restore::Restored,
    strays::Strays,
};
use crate::{
    fill::Whose,
    ledger::journal::Store,
    order::{Ask, Leg, Plan, leg::State},
    risk::Latch,
    unit::{MarketId, Money, Nanos, OrderId, Picture, Qty, Tag, Told, UnixMs, Venue},
    venue::gateway::{Answer, Call, CallNo, Gateway, Minted, Out, Prepared, Unready},
    wire::Arrival,
};

/// How often accounts are read while nothing is amiss: orders, positions and cash in one go.
pub const COMPARE_EVERY: Nanos = Nanos::secs(30);
/// The same while tickets of an earlier start may still turn out to have been sent.
const COMPARE_OFTEN: Nanos = Nanos::secs(10);
/// The same while they differ: reads may lag behind fills.
const COMPARE_AGAIN: Nanos = Nanos::secs(2);
/// The same while no reading has come: the last one may have got lost. One that is under way is not begun again.
const COMPARE_FIRST: Nanos = Nanos::millis(500);
/// Reads may lag behind fills by a second or so; a difference that a third reading in a row shows is one.
const DIFFERENCES_MAX: u32 = 3;
/// Contracts that are gone may have been paid. Where the stream lost word of it, the catalogue brings it within a minute.
const PAYOUT_WAIT: Nanos = Nanos::secs(90);
/// Less than this of YES and NO is not worth a transaction.
const MERGE_MIN: Qty = Qty::ONE;
/// What venues said that nobody understood, kept until somebody takes it for the log; more of it is dropped.
const STRANGE_MAX: usize = 64;

/// One venue's side.
pub struct Side {
    gateway: Box<dyn Gateway + Send>,
    out: Out,
    compare: Compare,
}

/// How the comparison with one venue stands.
#[derive(Debug)]
struct Compare {
    /// When the account was asked for last; zero makes it due.
    asked: Nanos,
    /// Readings in a row that differed.
    differs: u32,
    /// Readings in a row that showed a loss: another market's difference may stay for good and must not speak for it.
    losses: u32,
    /// When the first of them came.
    since: Nanos,
    agrees: bool,
    /// Somebody else's order was told of, and no reading has shown every market since.
    strangers: bool,
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

/// The gateways, as the executor sees them.
struct Doors<'a>(&'a mut [Side; 2]);

impl Door for Doors<'_> {
    fn prepare(&mut self, ask: &Ask, at: Arrival) -> Result<Prepared, Unready> {
        self.0[ask.venue as usize].gateway.prepare(ask, at)
    }

    fn withdraw(&mut self, ask: &Ask) {
        self.0[ask.venue as usize].gateway.withdraw(ask.id);
    }

    fn mint(&mut self, ask: &Ask, at: Arrival) -> bool {
        self.0[ask.venue as usize].gateway.mint(ask, at)
    }

    fn minted(&mut self) -> Option<Minted> {
        self.0.iter_mut().find_map(|side| side.gateway.minted())
    }

    fn discard(&mut self, order: OrderId) {
        self.0[Venue::Polymarket as usize].gateway.withdraw(order);
    }
}

/// Executor and gateways, owned by one thread.
pub struct Trader<S> {
    executor: Executor<S>,
    sides: [Side; 2],
    acts: Acts,
    names: Vec<(Venue, Tag)>,
    /// Of each market in which somebody else holds something in our account, the readings without a trace of it that are still
    /// wanted before that is believed to be over; 0 for all others.
    foreign: Vec<u32>,
    halted: bool,
    told_clean: Option<bool>,
    strange: Vec<(Venue, String)>,
    /// Orders that the guard was told of and that are not over.
    standing: Vec<(OrderId, Tag)>,
    notes: Vec<Note>,
    /// Is there room in the rings for what an entry would bring about?
    room: bool,
    /// What Polymarket's wallet should hold.
    purse: Purse,
    /// A person has said that what the venues hold is ours.
    adopts: bool,
    /// Somebody sends the transactions that put YES and NO together.
    merges: bool,
    /// Tickets of earlier starts that may have become orders.
    strays: Strays,
}

impl<S: Store> Trader<S> {
    /// Entries wait until both accounts were compared.
    pub fn new(mut executor: Executor<S>, gateways: [Box<dyn Gateway + Send>; 2], names: Vec<(Venue, Tag)>) -> Self {
        executor.block(true);
        let sides = gateways.map(|gateway| Side {
            gateway,
            out: Out::default(),
            compare: Compare {
                asked: Nanos::ZERO,
                differs: 0,
                losses: 0,
                since: Nanos::ZERO,
                agrees: false,
                strangers: false,
                told: Vec::new(),
                short: false,
            },
        });
        Self {
            executor,
            sides,
            acts: Acts::with_room(),
            foreign: vec![0; names.len()],
            names,
            halted: false,
            told_clean: None,
            strange: Vec::with_capacity(STRANGE_MAX),
            standing: Vec::with_capacity(2 * PLANS_MAX),
            notes: Vec::with_capacity(4 * PLANS_MAX),
            room: true,
            purse: Purse::default(),
            adopts: false,
            merges: false,
            strays: Strays::default(),
        }
    }

    /// Differences that stay are not shown but settled: what the venues hold is taken for ours. On a person's word alone.
    pub fn adopt(&mut self) {
        self.adopts = true;
    }

    /// YES and NO that are held of one market on Polymarket are put together: somebody sends the transactions.
    pub fn merge(&mut self) {
        self.merges = true;
    }

    /// Goes on from what the journal says of the time before this start.
    pub fn restore(&mut self, restored: Restored, now: Nanos) {
        self.strays = Strays::new(&restored.strays);
        self.executor.restore(restored, now);
        self.note_standing();
    }

    /// Something of the detector's.
    pub fn ready(&mut self, ready: Ready, at: Arrival) {
        match ready {
            Ready::Halted { .. } => self.halt(at),
            Ready::Resumed => self.resume(at),
            Ready::Terms { market, ref terms } => {
                self.sides[self.names[market.0 as usize].0 as usize].gateway.terms(market, terms);
            }
            Ready::Settled { market, .. } => {
                // What was missing may be what has been paid out: that need not wait to be seen.
                let compare = &mut self.sides[self.names[market.0 as usize].0 as usize].compare;
                if compare.differs != 0 {
                    (compare.differs, compare.losses, compare.asked) = (0, 0, Nanos::ZERO);
                }
            }
            _ => {}
        }
        let before = self.acts.events.len();
        self.executor.ready(ready, at, &mut Doors(&mut self.sides), &mut self.acts);
        self.note_money(before, at);
    }

    /// What came of a call.
    pub fn answered(&mut self, venue: Venue, no: CallNo, answer: Answer<'_>, at: Arrival) {
        let side = &mut self.sides[venue as usize];
        side.gateway.answered(no, answer, at, &mut side.out);
        self.learn(venue, at);
    }

    /// The private stream's connection stands.
    pub fn opened(&mut self, venue: Venue, at: Arrival) {
        let side = &mut self.sides[venue as usize];
        side.gateway.opened(at, &mut side.out);
        self.learn(venue, at);
    }

    /// A text message of the private stream.
    pub fn text(&mut self, venue: Venue, bytes: &mut [u8], at: Arrival) {
        let side = &mut self.sides[venue as usize];
        side.gateway.text(bytes, at, &mut side.out);
        self.learn(venue, at);
    }

    /// A control frame of the private stream.
    pub fn alive(&mut self, venue: Venue, at: Arrival) {
        let side = &mut self.sides[venue as usize];
        side.gateway.alive(at, &mut side.out);
        self.learn(venue, at);
    }

    /// Moves every plan on, and asks for what is to be known. Call after all that came was taken in, and a few hundred
    /// times a second.
    pub fn turn(&mut self, at: Arrival) {
        for venue in Venue::ALL {
            let side = &mut self.sides[venue as usize];
            side.gateway.timeout(at, &mut side.out);
            self.compare(venue, at);
            self.learn(venue, at);
        }
        let before = self.acts.events.len();
        self.executor.turn(at, &mut self.acts);
        self.note_money(before, at);
        self.executor.restock(at, &mut Doors(&mut self.sides));
        self.note_standing();
        for ask in self.acts.sends.drain(..) {
            let side = &mut self.sides[ask.venue as usize];
            side.gateway.send(ask.id, &mut side.out);
        }
        for About { ask, tag } in self.acts.cancels.drain(..) {
            let side = &mut self.sides[ask.venue as usize];
            side.gateway.cancel(&ask, tag, at, &mut side.out);
        }
        self.acts.looks.extend(self.strays.due(at.now));
        for About { ask, tag } in self.acts.looks.drain(..) {
            let side = &mut self.sides[ask.venue as usize];
            side.gateway.look(&ask, tag, at, &mut side.out);
        }
        if self.acts.words.iter().any(|word| matches!(word, Word::Halt { .. })) {
            self.halt(at);
        }
        self.tell_clean(at);
    }

    /// Calls that are to leave for a venue. Whoever takes them answers each, once.
    pub fn calls(&mut self, venue: Venue) -> impl Iterator<Item = Call> {
        self.sides[venue as usize].out.calls.drain(..)
    }

    /// Texts for a venue's private stream, and whether it is to be opened anew.
    pub fn stream(&mut self, venue: Venue) -> (Vec<String>, bool) {
        let out = &mut self.sides[venue as usize].out;
        (std::mem::take(&mut out.sends), std::mem::take(&mut out.lost))
    }

    /// Words for the detector and events for the keeper; to be emptied after every turn.
    pub fn acts(&mut self) -> &mut Acts {
        &mut self.acts
    }

    /// What venues said that this build does not know, secrets cut: for the log.
    pub fn strange(&mut self) -> impl Iterator<Item = (Venue, String)> {
        self.strange.drain(..)
    }

    /// What the guard has to know before any call leaves; to be emptied after every turn.
    pub fn notes(&mut self) -> &mut Vec<Note> {
        &mut self.notes
    }

    /// The executor.
    pub fn executor(&mut self) -> &mut Executor<S> {
        &mut self.executor
    }

    /// Is there room in the rings to detector and keeper? Without it nothing new is entered.
    pub fn set_room(&mut self, room: bool) {
        self.room = room;
    }

    /// Do both accounts agree with the journal?
    pub fn is_clean(&self) -> bool {
        self.sides.iter().all(|side| side.compare.agrees)
    }

    /// Brings up to date what the guard has to know of orders at Polymarket.
    fn note_standing(&mut self) {
        let Self { executor, standing, notes, .. } = self;
        let stands = |leg: &Leg| leg.ask.venue == Venue::Polymarket && !matches!(leg.state(), State::Done(_));
        standing.retain(|(order, tag)| {
            let still = executor.open().filter_map(|plan| plan.leg(*order)).any(stands);
            if !still {
                notes.push(Note::Over(*tag));
            }
            still
        });
        for leg in executor.open().flat_map(Plan::legs).filter(|leg| stands(leg)) {
            let Some(tag) = leg.tag() else { continue };
            if !standing.iter().any(|(order, _)| *order == leg.ask.id) {
                standing.push((leg.ask.id, tag));
                notes.push(Note::MayStand(tag));
            }
        }
    }

    /// Where YES and NO of a market are held, they are put together: a dollar now instead of one at the end. One market at a
    /// time, as the relayer takes them.
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
    fn note_money(&mut self, before: usize, at: Arrival) {
        for event in &self.acts.events[before..] {
            match event.what {
                What::Merged { qty, done: true, .. } => self.purse.paid(Money::dollar_each(qty)),
                What::Settled { market, paid, .. } if self.names[market.0 as usize].0 == Venue::Polymarket => {
                    self.purse.paid(paid);
                }
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

    /// Takes in what a gateway learnt.
    fn learn(&mut self, venue: Venue, at: Arrival) {
        let side = &mut self.sides[venue as usize];
        let (mut strangers, mut heard) = (false, std::mem::take(&mut side.out.heard));
        let before = self.acts.events.len();
        for report in heard.drain(..) {
            if let Some(stray) = self.strays.hear(&report) {
                strangers |= self.stray(venue, &stray, report.told, at);
            } else if !self.executor.heard(&report, at, &mut self.acts) {
                strangers = true;
                let order = match report.order {
                    Whose::Ours(order) => Some(order),
                    Whose::Named(_) => None,
                };
                let what = What::Stranger { venue, order, told: report.told };
                self.acts.events.push(Event { at: at.unix, what });
            }
        }
        self.note_money(before, at);
        let side = &mut self.sides[venue as usize];
        side.out.heard = heard;
        if std::mem::take(&mut side.out.missed) {
            self.executor.missed(venue);
        }
        let room = STRANGE_MAX - self.strange.len();
        self.strange.extend(side.out.strange.drain(..).take(room).map(|text| (venue, text)));
        if let Some(why) = side.out.halt.take() {
            if self.strange.len() < STRANGE_MAX {
                self.strange.push((venue, why.to_owned()));
            }
            // The venue's own switch for entries was thrown, by us or by its limit.
            self.executor.halt(Latch::Group, &mut self.acts);
        }
        if strangers {
            // Somebody else trades this account: nothing is entered before it was read again, every market of it.
            side.compare.agrees = false;
            side.compare.strangers = true;
            side.compare.asked = Nanos::ZERO;
        }
        let compare = &mut side.compare;
        if let Some(mut account) = side.out.account.take() {
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
    }

    /// Something is told of a ticket of an earlier start of which nothing else is on record. `true` if the venue has it.
    fn stray(&mut self, venue: Venue, stray: &About, told: Told, at: Arrival) -> bool {
        let (order, is_there) = (stray.ask.id, matches!(told, Told::Trade(_) | Told::Picture(_)));
        if matches!(told, Told::Absent { .. }) {
            self.strays.end(order);
            self.clear();
        } else if is_there && self.strays.show(order) {
            // What its plan was is gone, and with it what the other leg has. A person has to look.
            self.acts.events.push(Event { at: at.unix, what: What::Lost { venue, order, told } });
            self.executor.halt(Latch::Disagrees, &mut self.acts);
        }
        if let Told::Picture(Picture { open: true, .. }) = told {
            self.acts.cancels.push(*stray);
        }
        is_there
    }

    /// Once every ticket of earlier starts was asked for, the next start need not do so again.
    fn clear(&mut self) {
        if self.strays.are_over() {
            let epoch = self.executor.epoch();
            self.executor.clear(epoch, &mut self.acts);
        }
    }

    /// The process ends, and nothing that was signed will be sent any more: the next start need not ask for it.
    pub fn farewell(&mut self) {
        if self.strays.are_over() {
            let epoch = self.executor.epoch();
            self.executor.clear(epoch + 1, &mut self.acts);
        }
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
        let markets: BTreeSet<_> = found.iter().filter_map(Difference::market).collect();
        if self.adopts && whole && !markets.is_empty() {
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

    fn compare(&mut self, venue: Venue, at: Arrival) {
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

    fn tell_clean(&mut self, at: Arrival) {
        // A plan that is in doubt since before this start keeps the pair to itself; it does not block the others.
        let clean = self.is_clean();
        self.executor.block(!clean || !self.room);
        if self.told_clean != Some(clean) {
            self.told_clean = Some(clean);
            self.acts.words.push(Word::Agrees { clean });
            self.acts.events.push(Event { at: at.unix, what: What::Agrees { clean } });
        }
    }

    fn resume(&mut self, at: Arrival) {
        self.halted = false;
        // Whoever lifts the latch has looked.
        if self.strays.rule() {
            self.clear();
        }
        for side in &mut self.sides {
            side.gateway.resume(at, &mut side.out);
        }
    }

    fn halt(&mut self, at: Arrival) {
        if !std::mem::replace(&mut self.halted, true) {
            for side in &mut self.sides {
                side.gateway.halt(at, &mut side.out);
            }
        }
    }
}
