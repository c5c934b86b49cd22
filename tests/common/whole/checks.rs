//! What must hold after every step, and what must have come of everything in the end (invariants I1 to I12). Orders are
//! looked at a second time here, by nothing but the journal, the bytes that leave, and the exchanges' own accounts.

use std::collections::{BTreeMap, BTreeSet};

use orion::{
    ledger::journal::{self, Record},
    order::{Ask, Purpose, leg::DUST, plan::Frozen},
    run::event::{Entry, Event, What},
    sim::kalshi::account::SHARDS,
    unit::{MarketId, Money, Nanos, OrderId, Outcome, PairId, Price, Qty, Reaction, Sent as Answer, Told, Venue},
    venue::gateway::{Call, Lane, Said},
};
use serde_json::Value;

use super::{
    super::call::Read,
    Whole,
    engine::{NAKED_QTY_MAX, NAMES, TRADE_MAX, slot},
    venues::{CASH, Pipe, Venues, pem},
};

/// A segment's header, and what stands around a record: see [`journal`].
const HEADER: usize = 24;
const FRAME: usize = 14;
/// How long a leg may stand alone once that is known, both exchanges work and nothing goes wrong.
const NAKED_MAX: Nanos = Nanos::secs(2);
/// After a venue says that it takes no orders, none is begun for so long, once that is known everywhere.
const SHUT: Nanos = Nanos::secs(29);
const HANDED: Nanos = Nanos::millis(200);
/// Calls on their way at once.
const FLIGHTS_MAX: usize = 200;
/// Every so many records the whole journal is read again.
const REREAD: u64 = 24;

/// What was seen so far.
pub struct Watch {
    /// What must not be, and was.
    pub wrong: Vec<String>,
    /// Of everything told and sent, in its order.
    pub log: u64,
    /// Everything is printed.
    pub verbose: bool,
    /// The first three may stand nowhere, the last one in signed headers alone.
    secrets: Vec<String>,
    /// When something last went wrong, and how much had by then.
    fault: Nanos,
    troubles: usize,
    /// How far the journal was read, and how many records that are.
    read: usize,
    records: u64,
    reread: u64,
    intents: BTreeMap<OrderId, Ask>,
    /// Orders that were answered in words on no list, by the journal.
    said: BTreeSet<OrderId>,
    /// How far the medium was read, and the orders whose digest it has.
    synced: usize,
    named: BTreeSet<OrderId>,
    /// Plans that are open by the journal, and their pairs.
    open: BTreeMap<u64, PairId>,
    left: BTreeSet<OrderId>,
    naked: BTreeMap<u64, Nanos>,
    /// When a venue last said that it takes no orders that take, by the journal.
    shut: Option<Nanos>,
    /// Plans begun, by pair.
    pub begun: BTreeMap<PairId, u64>,
    /// The longest that a leg stood alone, once that was known and nothing went wrong.
    pub naked_longest: Nanos,
    pub kinds: BTreeMap<&'static str, u64>,
    /// How plans ended, and what closing again has made or lost.
    pub endings: BTreeMap<&'static str, u64>,
    pub unwound: Money,
    /// Plans of which one leg's first order came to more than the other's.
    pub alone: u64,
}

impl Watch {
    pub fn new(venues: &Venues, seed: u64) -> Self {
        let key = &venues.customer.key;
        let secrets = vec![key.secret.clone(), venues.customer.secret[2..].to_owned(), pem(), key.passphrase.clone()];
        Self {
            wrong: Vec::new(),
            log: seed ^ 0xcbf2_9ce4_8422_2325,
            verbose: std::env::var_os("ORION_SEED").is_some(),
            secrets,
            fault: Nanos::ZERO,
            troubles: 0,
            read: HEADER,
            records: 0,
            reread: 0,
            intents: BTreeMap::new(),
            said: BTreeSet::new(),
            synced: HEADER,
            named: BTreeSet::new(),
            open: BTreeMap::new(),
            left: BTreeSet::new(),
            naked: BTreeMap::new(),
            shut: None,
            begun: BTreeMap::new(),
            naked_longest: Nanos::ZERO,
            kinds: BTreeMap::new(),
            endings: BTreeMap::new(),
            unwound: Money::ZERO,
            alone: 0,
        }
    }

    pub fn fault(&mut self, now: Nanos) {
        self.fault = now;
    }

    fn note(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let word = word.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            self.log = (self.log ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
    }

    /// I12: no secret leaves the vault's door.
    fn search(&mut self, text: &str, secrets: usize, place: &str) {
        if self.secrets[..secrets].iter().any(|secret| text.contains(secret.as_str())) {
            self.wrong.push(format!("I12 a secret in {place}"));
        }
    }

    /// Something for the log or the ledger.
    pub fn strange(&mut self, text: &str, now: Nanos) {
        self.search(text, self.secrets.len(), "the log");
        if self.verbose {
            println!("{:.6} strange: {text}", now.raw() as f64 / 1e9);
        }
        self.note(text.as_bytes());
    }

    pub fn event(&mut self, event: &Event, now: Nanos) {
        let text = format!("{event:?}");
        if self.verbose {
            println!("{:.6} {text}", now.raw() as f64 / 1e9);
        }
        self.search(&text, self.secrets.len(), "an event");
        self.note(text.as_bytes());
        let kind = match event.what {
            What::Impossible { .. } => "impossible",
            What::Stranger { .. } => "stranger",
            What::Lost { .. } => "lost",
            What::Differs { .. } => "differs",
            What::Voided { .. } => "voided",
            What::Filled { .. } => "filled",
            What::Withheld { .. } => "withheld",
            What::FeeOff { .. } => {
                self.wrong.push(format!("a fee that the exchange charged as it should is called wrong: {text}"));
                "fee"
            }
            What::PlanEnded { state, unwound, .. } => {
                *self.endings.entry(state.name()).or_default() += 1;
                self.unwound += unwound;
                "ended"
            }
            _ => return,
        };
        *self.kinds.entry(kind).or_default() += 1;
    }

    /// A call is to leave.
    pub fn call(&mut self, venue: Venue, call: &Call, asked: &mut BTreeSet<String>) {
        self.note(&[venue as u8, call.lane as u8]);
        self.note(&call.bytes);
        let text = std::str::from_utf8(&call.bytes).unwrap();
        self.search(text, 3, "a request");
        if let Some((_, rest)) = text.split_once("GET /data/order/") {
            asked.insert(rest[..66].to_owned());
        }
    }

    /// Reads on in the journal. I4, I5: no entry is begun that may not be, whatever the engine thought of it.
    pub fn journal(&mut self, bytes: &[u8], halted: bool, clean: bool, now: Nanos) {
        while let Some(len) = bytes.get(self.read..self.read + 2).map(|len| u16::from_le_bytes([len[0], len[1]])) {
            let len = usize::from(len);
            if len == 0 {
                return;
            }
            let record = postcard::from_bytes(&bytes[self.read + 10..self.read + 10 + len]).unwrap();
            self.read += FRAME + len;
            self.records += 1;
            self.record(&record, halted, clean, now);
        }
    }

    /// Reads on in what no power cut can take away: which of Polymarket's orders can be asked for by name.
    pub fn medium(&mut self, bytes: &[u8]) {
        while let Some(len) = bytes.get(self.synced..self.synced + 2).map(|len| u16::from_le_bytes([len[0], len[1]])) {
            let len = usize::from(len);
            if len == 0 {
                return;
            }
            match postcard::from_bytes(&bytes[self.synced + 10..self.synced + 10 + len]).unwrap() {
                Record::Intended { ask, digest: Some(_), .. } => _ = self.named.insert(ask.id),
                Record::Ticket { order, .. } => _ = self.named.insert(order),
                _ => {}
            }
            self.synced += FRAME + len;
        }
    }

    /// The process goes on from this journal: records that died with it are read no more.
    pub fn restarted(&mut self, journal: &[u8]) {
        (self.read, self.records, self.reread, self.synced) = (HEADER, 0, 0, HEADER);
        self.open.clear();
        // Nothing of the past is judged a second time.
        self.journal(journal, false, true, Nanos::ZERO);
        self.begun.clear();
        self.shut = None;
        self.naked.clear();
    }

    fn record(&mut self, record: &Record, halted: bool, clean: bool, now: Nanos) {
        if self.verbose {
            println!("{:.6} {record:?}", now.raw() as f64 / 1e9);
        }
        match *record {
            Record::Planned { plan, pair, sighting, .. } => {
                // What sells comes of no sighting: it adds no risk, and a person may want it whatever the latch says.
                let enters = sighting != 0;
                if halted && enters {
                    self.wrong.push(format!("I8 plan {plan} was begun after the latch"));
                }
                if !clean {
                    self.wrong.push(format!("I4 plan {plan} was begun while the accounts did not agree"));
                }
                if let Some((other, _)) = self.open.iter().find(|(_, of)| **of == pair) {
                    self.wrong.push(format!("I4 plan {plan} was begun beside plan {other}"));
                }
                // Fault 48. What was decided before the word had come all the way may still be begun.
                if enters && self.shut.is_some_and(|shut| (HANDED..SHUT).contains(&now.since(shut))) {
                    self.wrong.push(format!("I4 plan {plan} was begun while a venue takes no orders"));
                }
                *self.begun.entry(pair).or_default() += 1;
                self.open.insert(plan, pair);
            }
            Record::Intended { ask, .. } => {
                let cost = i128::from(ask.qty.micros()) * i128::from(ask.limit.raw()) / 10_000;
                if ask.purpose == Purpose::Entry && i128::from(TRADE_MAX.raw()) < cost {
                    self.wrong.push(format!("I5 {ask:?} costs {cost}"));
                }
                if NAKED_QTY_MAX < ask.qty {
                    self.wrong.push(format!("I3 {ask:?}: more than may stand alone"));
                }
                if matches!(ask.purpose, Purpose::Exit | Purpose::Flatten | Purpose::Rest) && ask.buys {
                    self.wrong.push(format!("I8 {ask:?} buys"));
                }
                self.intents.insert(ask.id, ask);
            }
            Record::Said { order, .. } => _ = self.said.insert(order),
            Record::Told { order, told, .. } if Said::is_wanted(&told) && !self.said.contains(&order) => {
                self.wrong.push(format!("I6 {told:?} of order {order}, and nobody wrote down what was said"));
            }
            Record::Told { told: Told::Sent(Answer::Refused(refusal)), .. }
                if refusal.reaction() == Reaction::Venue =>
            {
                self.shut = Some(now);
            }
            Record::Ended { plan, .. } => _ = self.open.remove(&plan),
            _ => {}
        }
    }

    /// Bytes leave. I2, I6, I8: each order once, after its record, as it was recorded, and none that adds risk after
    /// the latch.
    pub fn leaves(&mut self, venue: Venue, lane: Lane, bytes: &[u8], halted: bool) {
        if lane == Lane::Read {
            return;
        }
        let Some(order) = Sent::read(venue, bytes) else { return };
        if !self.left.insert(order.id) {
            self.wrong.push(format!("I2 order {} left twice", order.id));
        }
        let Some(ask) = self.intents.get(&order.id) else {
            return self.wrong.push(format!("I6 order {} left before its record", order.id));
        };
        let (yes, price) = (ask.outcome == Outcome::Yes, ask.limit);
        if venue == Venue::Polymarket && !self.named.contains(&order.id) {
            self.wrong.push(format!("I6 order {} left before its digest was on the medium", order.id));
        }
        let fits = match order.terms {
            // Buying NO at p is selling YES at 1 - p.
            Terms::Kalshi { bid, price: on_yes, qty } => {
                bid == (ask.buys == yes) && on_yes == (if yes { price } else { price.complement() }) && qty == ask.qty
            }
            Terms::Polymarket { buys, making, taking } => {
                let (shares, dollars) = if buys { (taking, making) } else { (making, taking) };
                let value = u128::from(shares) * u128::from(price.raw()) / 10_000;
                buys == ask.buys && shares == ask.qty.micros() && u128::from(dollars).abs_diff(value) <= 1
            }
        };
        if !fits {
            self.wrong.push(format!("I6 {ask:?} left as {:?}", order.terms));
        }
        if halted && ask.purpose == Purpose::Entry {
            self.wrong.push(format!("I8 entry {} left after the latch", order.id));
        }
    }
}

/// Where the record with this number ends, counted from 1.
pub fn end_of(bytes: &[u8], number: u64) -> usize {
    (0..number).fold(HEADER, |at, _| at + FRAME + usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])))
}

/// An order as it leaves.
struct Sent {
    id: OrderId,
    terms: Terms,
}

#[derive(Debug)]
enum Terms {
    Kalshi { bid: bool, price: Price, qty: Qty },
    Polymarket { buys: bool, making: u64, taking: u64 },
}

impl Sent {
    /// `None` for anything but a new order.
    fn read(venue: Venue, bytes: &[u8]) -> Option<Self> {
        let read = Read::new(bytes);
        let places = matches!(read.path.as_str(), "/order" | "/trade-api/v2/portfolio/events/orders");
        if read.method != "POST" || !places {
            return None;
        }
        let body: Value = serde_json::from_slice(&read.body).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Some(match venue {
            Venue::Kalshi => Self {
                id: NAMES.read(&text(&body["client_order_id"])).unwrap(),
                terms: Terms::Kalshi {
                    bid: body["side"] == "bid",
                    price: Price::parse(text(&body["price"]).as_bytes()).unwrap(),
                    qty: Qty::parse(text(&body["count"]).as_bytes()).unwrap(),
                },
            },
            Venue::Polymarket => {
                let amount = |name: &str| text(&body["order"][name]).parse().unwrap();
                Self {
                    id: OrderId::from_raw(body["order"]["salt"].as_u64().unwrap()).unwrap(),
                    terms: Terms::Polymarket {
                        buys: body["order"]["side"] == "BUY",
                        making: amount("makerAmount"),
                        taking: amount("takerAmount"),
                    },
                }
            }
        })
    }
}

impl Whole {
    /// The detector lets an entry go. I4: two fit books, no plan beside it, and nothing that forbids it.
    pub fn check_entry(&mut self, entry: &Entry) {
        let intent = entry.approved.intent();
        let pair = intent.pair.0 as usize;
        self.check_apart(pair, entry.plan);
        for venue in Venue::ALL {
            let pipe = Pipe::Public(venue);
            if !self.is_up(pipe) {
                self.watch.wrong.push(format!("I4 plan {}: {venue}'s books are not connected", entry.plan));
            }
            let book = self.engine.detector.book(slot(pair, venue));
            if let Some(doubt) = book.doubt() {
                self.watch.wrong.push(format!("I4 plan {}: {venue}'s book: {doubt:?}", entry.plan));
            }
        }
        if !matches!(self.engine.detector.state(), orion::risk::TradingState::Active) {
            self.watch.wrong.push(format!("I4 plan {} while halted", entry.plan));
        }
        let spent = intent.cost[0] + intent.cost[1] + intent.fees[0] + intent.fees[1];
        if TRADE_MAX < spent {
            self.watch.wrong.push(format!("I5 plan {}: {spent:#} in one trade", entry.plan));
        }
    }

    /// The journal is read on before anything leaves.
    pub fn check_records(&mut self) {
        let (clean, now) = (self.engine.trader.is_clean(), self.now);
        let halted = self.engine.trader.executor().is_halted();
        let executor = self.engine.trader.executor();
        let store = executor.journal_mut().store();
        self.watch.journal(store.bytes(), halted, clean, now);
        self.watch.medium(store.medium());
    }

    /// After every step.
    pub fn check(&mut self) {
        self.check_records();
        let troubles = self.venues.troubles();
        if self.watch.troubles != troubles {
            (self.watch.troubles, self.watch.fault) = (troubles, self.now);
        }
        if self.watch.reread + REREAD <= self.watch.records {
            self.watch.reread = self.watch.records;
            self.check_positions();
        }
        for (venue, text) in self.engine.trader.strange().collect::<Vec<_>>() {
            self.watch.strange(&format!("{venue}: {text}"), self.now);
        }
        if FLIGHTS_MAX < self.flights {
            self.watch.wrong.push(format!("I11 {} calls on their way", self.flights));
        }
    }

    /// I3: what stands alone is never more than may, and what is known to is closed while both exchanges work.
    pub fn check_naked(&mut self) {
        let now = self.now;
        let up = Pipe::ALL.into_iter().all(|pipe| self.is_up(pipe)) && self.venues.works();
        let executor = self.engine.trader.executor();
        let known = executor.open().filter(|plan| {
            let told = plan.frozen(now).is_none() && plan.legs().all(orion::order::Leg::is_complete);
            told && !plan.rests()
        });
        let known: Vec<u64> = known.map(|plan| plan.aim.plan).collect();
        for plan in executor.open() {
            if let Some(excess) = plan.excess().filter(|excess| NAKED_QTY_MAX < excess.qty) {
                self.watch.wrong.push(format!("I3 plan {}: {excess:?}", plan.aim.plan));
            }
        }
        self.watch.naked.retain(|plan, _| known.contains(plan));
        for plan in known {
            let since = *self.watch.naked.entry(plan).or_insert(now);
            let since = if up { since.max(self.watch.fault) } else { now };
            self.watch.naked_longest = self.watch.naked_longest.max(now.since(since));
            if NAKED_MAX < now.since(since) {
                self.watch.wrong.push(format!("I3 plan {plan} is naked since {since:?}"));
                self.watch.fault = now;
            }
        }
    }

    /// I1: positions are what the journal says.
    fn check_positions(&mut self) {
        let now = self.now;
        let executor = self.engine.trader.executor();
        let bytes = &executor.journal_mut().store().bytes()[..self.watch.read];
        let replayed = journal::replay(bytes, 1, Some(1)).unwrap();
        let restored = self.ground.restored(&replayed.records, now);
        for at in 0..self.ground.names.len() {
            let market = MarketId(at as u32);
            let (ours, theirs) = (executor.holding(market), restored.positions.holding(market));
            if ours != theirs {
                self.watch.wrong.push(format!("I1 {market:?}: {ours:?} held, {theirs:?} by the journal"));
            }
        }
        let open = |plans: Vec<u64>| plans.into_iter().collect::<BTreeSet<_>>();
        let ours = open(executor.open().map(|plan| plan.aim.plan).collect());
        let theirs = open(restored.plans.iter().map(|plan| plan.aim.plan).collect());
        if ours != theirs {
            self.watch.wrong.push(format!("I1 open plans {ours:?}, {theirs:?} by the journal"));
        }
    }

    /// At the end, I10 above all: both sides know the same, to the micro-dollar.
    pub fn verdict(&mut self) -> Vec<String> {
        self.check_positions();
        let journal = self.engine.trader.executor().journal_mut().store().bytes();
        let journal = String::from_utf8_lossy(&journal[..self.watch.read]).into_owned();
        self.watch.search(&journal, self.watch.secrets.len(), "the journal");
        let mut wrong = std::mem::take(&mut self.watch.wrong);
        wrong.extend(self.venues.desk.violations().iter().map(|violation| format!("I2/I5 Kalshi: {violation:?}")));
        let audit = self.venues.clob.audit();
        wrong.extend(audit.violations().iter().map(|violation| format!("I2/I5 Polymarket: {violation:?}")));
        // One fill under two names cannot be seen through: it is enough to notice, and to stop.
        let (twin, halted) = (self.venues.clob.trades().iter().any(|trade| trade.is_twin), self.fallen.is_some());
        for (kind, count) in &self.watch.kinds {
            let usual = match *kind {
                "impossible" | "differs" => twin,
                // After a restart an order of a plan that has ended is nobody's.
                "stranger" => twin || 0 < self.kills,
                _ => true,
            };
            if !usual {
                wrong.push(format!("I7 {count} × {kind}"));
            }
        }
        let now = self.now;
        let clean = self.engine.trader.is_clean();
        let executor = self.engine.trader.executor();
        for plan in executor.open() {
            let legs: Vec<_> = plan.legs().map(|leg| (leg.ask.id, leg.state(), leg.filled(), leg.untold())).collect();
            if !(twin && halted && plan.frozen(now) == Some(Frozen::Impossible)) {
                wrong.push(format!("I10 plan {} is open: {:?} {legs:?}", plan.aim.plan, plan.frozen(now)));
            }
        }
        if twin && halted {
            return wrong;
        }
        if !clean {
            wrong.push("I10 the accounts do not agree".into());
        }
        self.venues.redeem();
        let executor = self.engine.trader.executor();
        let Venues { world, desk, clob, customer, .. } = &self.venues;
        let wallet = clob.wallet(customer.wallet);
        let mut flows = [Money::ZERO; 2];
        for (pair, &(_, _, _, inverted)) in self.ground.pairs.iter().enumerate() {
            let [kalshi, polymarket] = Venue::ALL.map(|venue| *executor.holding(slot(pair, venue)));
            flows[0] += kalshi.cash;
            flows[1] += polymarket.cash;
            let ours = kalshi.qty[0].micros() as i64 - kalshi.qty[1].micros() as i64;
            // YES here against NO there; a plan may end with less on one leg alone than any venue takes an order for.
            let on_polymarket = polymarket.qty[0].micros() as i64 - polymarket.qty[1].micros() as i64;
            let apart = if inverted { ours - on_polymarket } else { ours + on_polymarket };
            let paid = Venue::ALL.into_iter().any(|venue| executor.has_paid(slot(pair, venue)));
            if self.plans * DUST.micros() < apart.unsigned_abs() && !paid {
                wrong.push(format!("I10 pair {pair}: {apart} stand alone"));
            }
        }
        let kalshi: Money = (0..SHARDS).map(|shard| desk.cash(world, 0, 0, shard)).sum();
        let there = [kalshi - Money::micros(CASH.raw() * i64::from(SHARDS)), wallet.cash - wallet.locked_cash - CASH];
        for venue in Venue::ALL {
            let (ours, theirs) = (flows[venue as usize], there[venue as usize]);
            if ours != theirs {
                wrong.push(format!("I10 {venue}: cash {ours:#} here, {theirs:#} there"));
            }
        }
        wrong.extend(self.unequal());
        wrong
    }

    /// What is held here is what is held there.
    pub fn unequal(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        let executor = self.engine.trader.executor();
        let Venues { world, desk, clob, customer, .. } = &self.venues;
        let wallet = clob.wallet(customer.wallet);
        for (pair, &(_, k, p, _)) in self.ground.pairs.iter().enumerate() {
            let [kalshi, polymarket] = Venue::ALL.map(|venue| *executor.holding(slot(pair, venue)));
            let ours = kalshi.qty[0].micros() as i64 - kalshi.qty[1].micros() as i64;
            let theirs = desk.position(world, 0, 0, k);
            if ours != theirs {
                wrong.push(format!("I10 pair {pair}: Kalshi {ours} here, {theirs} there"));
            }
            for (outcome, number) in [(Outcome::Yes, 0), (Outcome::No, 1)] {
                let (ours, theirs) = (polymarket.qty[outcome as usize], wallet.expected(p, number));
                if ours != theirs {
                    wrong.push(format!("I10 pair {pair}: Polymarket {ours} {} here, {theirs} there", outcome.name()));
                }
            }
        }
        wrong
    }
}
