//! The keeper: what the detector told becomes rows of the audit trail, the status that people read, and lines to show.
//!
//! Nothing hot waits for it. A database that is locked or full costs queue depth here: rows wait, bounded, and are
//! written when it lets go; what does not fit is counted.

mod book;
mod decision;
mod notify;
mod rows;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender};
use rtrb::Consumer;

pub use book::{PlanBook, books};
use decision::Decisions;

use super::{
    check::Verdicts,
    clock,
    event::{Control, Event, Fill, What},
    latency::{Collector, Latencies, Stage},
    lines::LineGauge,
    notice::Source,
    ring::Stop,
    snapshot::{Balances, FeedStatus, PairShown, ReasonLine, Snapshot, StageLine},
    stops::Stops,
};
use crate::{
    decide::{Quote, Reason},
    ledger::audit::{self, Audit, Finality, Row},
    order::plan::Ending,
    risk::{Latch, TradingState},
    spread::Direction,
    unit::{MarketId, Money, Nanos, Outcome, PairId, Qty, UnixMs, Venue},
};

/// Rows that may wait for the database.
const ROWS_MAX: usize = 200_000;
/// Between two writes.
const WRITE_EVERY: Nanos = Nanos::millis(250);
/// Between two collections of latencies and feed counters.
const COLLECT_EVERY: Nanos = Nanos::millis(500);
const PAUSE: Duration = Duration::from_millis(10);
/// Between two notes of how long this run has been well.
const ALIVE_EVERY: Nanos = Nanos::secs(60);
/// A balance row at least this often.
const BALANCE_EVERY: Nanos = Nanos::secs(60);

/// A market's names.
#[derive(Clone, Debug)]
pub struct MarketName {
    pub venue: Venue,
    /// Ticker or condition id.
    pub name: String,
}

/// A pair's names.
#[derive(Clone, Debug)]
pub struct PairName {
    /// `ticker|condition id`.
    pub key: String,
    pub title: String,
    pub markets: [MarketId; 2],
}

/// What people are shown as it happens.
#[derive(Clone, Debug)]
pub enum Told {
    Skipped {
        id: u64,
        title: String,
        quote: Quote,
        reason: Reason,
    },
    Planned {
        id: u64,
        title: String,
        direction: Direction,
        qty: Qty,
        quote: Quote,
        net: Money,
        detect_ns: u32,
    },
    Filled {
        plan: u64,
        market: String,
        fill: Fill,
    },
    Ended {
        id: u64,
        title: String,
        paired: Qty,
        naked: Qty,
        fees: [Money; 2],
        net: Money,
        unwound: Money,
        state: Ending,
    },
    Settled {
        title: String,
        market: String,
        yes_payout: Money,
        paid: Money,
        result: Money,
    },
    State {
        state: TradingState,
    },
    Note(String),
}

/// What a person ordered, and what came of it.
#[derive(Clone, Debug)]
pub struct Ordered {
    pub at: UnixMs,
    /// By which way it came.
    pub who: String,
    pub command: &'static str,
    pub args: String,
    pub result: String,
}

/// Everything the keeper is made from.
pub struct KeepSetup {
    pub events: Consumer<Event>,
    /// The executor's, where it has a thread of its own.
    pub executed: Option<Consumer<Event>>,
    pub audit: Audit,
    pub markets: Vec<MarketName>,
    pub pairs: Vec<PairName>,
    /// The same as people see them.
    pub shown: Arc<Mutex<Vec<PairShown>>>,
    pub collectors: Vec<Collector>,
    pub gauges: Vec<(Venue, Arc<super::feed::FeedGauge>)>,
    pub verdicts: Receiver<Verdicts>,
    pub notes: Receiver<String>,
    pub controls: Sender<Control>,
    /// Markets whose terms must be read anew.
    pub reread: Sender<MarketId>,
    pub told: Sender<Told>,
    pub snapshot: Arc<Mutex<Snapshot>>,
    pub latencies: Arc<Mutex<Latencies>>,
    pub stops: Stops,
    /// Of the thread that sends orders, where there is one.
    pub lines: Option<Arc<LineGauge>>,
    /// Markets that have paid on Polymarket and could not be redeemed.
    pub unredeemed: Arc<AtomicU64>,
    /// This host's clock less Polymarket's in milliseconds, where it is asked for; `i64::MIN` before it is known.
    pub clock_off: Option<Arc<AtomicI64>>,
    /// What people ordered.
    pub commands: Receiver<Ordered>,
    /// Settings that they changed.
    pub changes: Receiver<audit::ConfigChange>,
    /// What is found of the accounts, and what is advised.
    pub found: Receiver<(Vec<String>, Vec<String>)>,
    /// YES and NO that are to be put together, by the venue's name of their market.
    pub merges: Sender<(String, Qty)>,
    /// Fills are made on simulated exchanges, or on paper.
    pub simulated: bool,
    /// What the start has to write down.
    pub rows: Vec<Row>,
    /// Positions found at start: quantity and cost.
    pub held: Vec<(MarketId, Outcome, Qty, Money)>,
    /// Plans of earlier starts whose payout is still to come.
    pub books: Vec<PlanBook>,
    /// Where alerts go, if anywhere.
    pub alerts: Option<Source>,
    /// The run before ended without a farewell.
    pub crashed: bool,
}

struct Seen {
    row: audit::Opportunity,
    plan: bool,
    over: bool,
}

struct Keeper {
    setup: KeepSetup,
    rows: VecDeque<Row>,
    dropped: u64,
    seen: HashMap<u64, Seen>,
    plans: BTreeMap<u64, PlanBook>,
    held: HashMap<(MarketId, Outcome), (Qty, Money)>,
    reasons: HashMap<&'static str, u64>,
    last_reason: HashMap<u64, &'static str>,
    decisions: Decisions,
    balances: HashMap<(Venue, u8), (Money, Money)>,
    balance_written: HashMap<(Venue, u8), (Nanos, Money, Money)>,
    status: Snapshot,
    wrote: Nanos,
    collected: Nanos,
    write_error: Option<String>,
    storms: HashMap<usize, u64>,
    /// What this run has shown for itself.
    alive: Alive,
    notifier: Option<notify::Notifier>,
}

/// Evidence for the next mode, gathered between two collections.
#[derive(Clone, Copy, Debug, Default)]
struct Alive {
    /// Of the last collection.
    at: Nanos,
    feeds_ms: u64,
    agreed_ms: u64,
    written: Nanos,
}

/// Runs the keeper until it is stopped and everything is written; ends the run in the database.
pub fn run(mut setup: KeepSetup, sources_ended: &[Stop]) {
    let status = setup.snapshot.lock().map(|status| status.clone()).unwrap_or_default();
    let held = setup.held.iter().map(|(m, o, q, c)| ((*m, *o), (*q, *c))).collect();
    let rows = std::mem::take(&mut setup.rows).into();
    let plans = std::mem::take(&mut setup.books).into_iter().map(|book| (book.row.id, book)).collect();
    let notifier = setup.alerts.take().map(notify::Notifier::new);
    let mut keeper = Keeper {
        setup,
        rows,
        dropped: 0,
        seen: HashMap::new(),
        plans,
        held,
        reasons: HashMap::new(),
        last_reason: HashMap::new(),
        decisions: Decisions::default(),
        balances: HashMap::new(),
        balance_written: HashMap::new(),
        status,
        wrote: Nanos::ZERO,
        collected: Nanos::ZERO,
        write_error: None,
        storms: HashMap::new(),
        alive: Alive::default(),
        notifier,
    };
    keeper.take_profits(clock::unix());
    keeper.greet();
    loop {
        let ended = sources_ended.iter().all(Stop::raised);
        let mut idle = true;
        // What the executor tells of a plan follows what the detector told of it: its ring is counted first, and read
        // last.
        let executed = keeper.setup.executed.as_ref().map_or(0, Consumer::slots);
        while let Ok(event) = keeper.setup.events.pop() {
            idle = false;
            keeper.handle(&event);
        }
        for _ in 0..executed {
            idle = false;
            if let Some(Ok(event)) = keeper.setup.executed.as_mut().map(Consumer::pop) {
                keeper.handle(&event);
            }
        }
        let now = clock::now();
        if COLLECT_EVERY <= now.since(keeper.collected) || ended {
            keeper.collected = now;
            keeper.collect();
        }
        if WRITE_EVERY <= now.since(keeper.wrote) || ended {
            keeper.wrote = now;
            keeper.write();
            keeper.publish();
        }
        if ended && idle {
            break;
        }
        if idle {
            std::thread::park_timeout(PAUSE);
        }
    }
    keeper.alive.written = Nanos::ZERO;
    keeper.show();
    keeper.write();
    keeper.publish();
    keeper.part();
    keeper.write();
    if let Err(e) = keeper.setup.audit.close_run(clock::unix()) {
        let _ = keeper.setup.told.try_send(Told::Note(format!("the run could not be closed in the database: {e}")));
    }
}

impl Keeper {
    fn handle(&mut self, event: &Event) {
        let at = event.at;
        self.notify(event);
        match event.what {
            What::Sighted { id, pair, direction, quote, reason, detect_ns } => {
                self.sighted(at, id, pair, direction, &quote, reason, detect_ns);
            }
            What::Passed { id, passage } => self.decisions.passed(id, passage),
            What::Depth { id, venue, side, levels } => {
                let row = self.decisions.depth(id, venue, side, levels);
                if let Some(row) = row {
                    self.push(Row::Decision(row));
                }
            }
            What::Stepped { id, step, span } => {
                let row = self.decisions.stepped(id, step, span);
                if let Some(row) = row {
                    self.push(Row::Decision(row));
                }
            }
            What::Ended { id } => self.ended(id, at),
            What::Planned { id, sighting, pair, direction, qty, limits, net } => {
                self.planned(at, id, sighting, pair, direction, qty, limits, net);
            }
            What::Cut { plan, qty } => self.cut(plan, qty),
            What::Filled { plan, fill } => self.filled(at, plan, &fill),
            What::Voided { plan, fill } => self.voided(at, plan, &fill),
            What::Impossible { plan, order, why } => {
                let text = format!("plan {plan}, order {order}: {why}");
                self.push(Row::Event(audit::Event { at, kind: "impossible".into(), text: text.clone() }));
                let _ = self.setup.told.try_send(Told::Note(text));
            }
            What::Confirmed { plan, fill } => self.fill_row(at, plan, &fill, Finality::Final),
            What::Holding { market, qty, cost } => self.holding(at, market, qty, cost),
            What::Netted { .. } => {}
            What::Merging { market, qty } => {
                let name = self.market(market).name.clone();
                let text = format!("{name}: {qty} YES and NO are put together");
                self.push(Row::Event(audit::Event { at, kind: "merge".into(), text }));
                // Without room it is not sent, and is dead in twelve minutes.
                let _ = self.setup.merges.try_send((name, qty));
            }
            What::Merged { market, qty, done } => self.merged(at, market, qty, done),
            What::Leaving { id, pair, held, qty, limits, loss } => {
                self.leaving(at, id, pair, held, qty, limits, loss);
            }
            What::Flatten { state } => {
                let text = format!("flatten: {}", state.sentence());
                self.status.flatten = Some(state.sentence());
                self.push(Row::Event(audit::Event { at, kind: "flatten".into(), text: text.clone() }));
                let _ = self.setup.told.try_send(Told::Note(text));
            }
            What::Withheld { plan, why } => {
                let text = format!("plan {plan} was not begun: {}", why.sentence());
                self.push(Row::Event(audit::Event { at, kind: "withheld".into(), text }));
            }
            What::Suspect { market } => _ = self.setup.reread.try_send(market),
            What::Differs { venue, difference } => {
                let text = format!("{venue}: {}", difference.sentence(|market| self.market(market).name.clone()));
                tracing::error!("{text}");
                self.push(Row::Event(audit::Event { at, kind: "differs".into(), text }));
            }
            What::Stranger { venue, order, told } => {
                let text = match order {
                    None => format!("{venue} tells of an order that is not ours: {told:?}"),
                    Some(order) => {
                        format!("{venue} tells of order {order} of an earlier start, which no plan has: {told:?}")
                    }
                };
                tracing::warn!("{text}");
                self.push(Row::Event(audit::Event { at, kind: "stranger".into(), text }));
            }
            What::Lost { venue, order, told } => {
                let text = format!("{venue} has order {order}, which is ours and not on record: {told:?}");
                tracing::error!("{text}");
                self.push(Row::Event(audit::Event { at, kind: "lost".into(), text }));
            }
            What::PlanEnded { id, sighting, paired, naked, unwound, state } => {
                self.plan_ended(at, id, sighting, paired, naked, unwound, state);
            }
            What::Settled { market, yes_payout, held, paid, result } => {
                self.settled(at, market, yes_payout, held, paid, result);
            }
            What::Doubted { market, doubt } => {
                self.status.doubts += 1;
                tracing::debug!(market = %self.market(market).name, ?doubt, "book in doubt");
            }
            What::Canary { market, canary } => {
                *self.status.canaries.entry(canary.name().to_owned()).or_default() += 1;
                let text = format!("{}: {}", canary.name(), self.market(market).name);
                self.push(Row::Event(audit::Event { at, kind: "canary".into(), text }));
                let _ = self.setup.reread.try_send(market);
            }
            What::FeeOff { market, charged, predicted } => {
                for pair in 0..self.setup.pairs.len() {
                    if self.setup.pairs[pair].markets.contains(&market) {
                        self.bar(PairId(pair as u32), Some(Reason::FeeMismatch));
                    }
                }
                let name = &self.market(market).name;
                let text = format!(
                    "{name}: charged {charged:#} in fees where {predicted:#} was predicted; its pairs are not traded. A restart lifts it"
                );
                self.push(Row::Event(audit::Event { at, kind: "fee".into(), text: text.clone() }));
                let _ = self.setup.told.try_send(Told::Note(text));
            }
            What::Barred { pair, reason } => self.bar(pair, reason),
            What::Looped { pair } => {
                self.bar(pair, Some(Reason::LossLoop));
                let name = self.pair(pair);
                let text = format!(
                    "{} ({}) is suspended: three of its plans had to close one leg again, or one was left alone. A restart lifts it",
                    name.title, name.key
                );
                self.push(Row::Event(audit::Event { at, kind: "suspended".into(), text: text.clone() }));
                let _ = self.setup.told.try_send(Told::Note(text));
            }
            What::Suspended { pair, quote } => {
                self.bar(pair, Some(Reason::TooGood));
                let name = self.pair(pair);
                let text = format!(
                    "{} ({}) is suspended: {} gross is above risk.max_edge. First suspect the pair, then the feed; a restart lifts it",
                    name.title, name.key, quote.gross
                );
                self.push(Row::Event(audit::Event { at, kind: "suspended".into(), text: text.clone() }));
                let _ = self.setup.told.try_send(Told::Note(text));
            }
            What::Adopted { market, before, held } => {
                let name = &self.market(market).name;
                let text = format!(
                    "{name}: taken over as the venue holds it, {} YES and {} NO; the journal had {} and {}",
                    held[0], held[1], before[0], before[1]
                );
                self.push(Row::Event(audit::Event { at, kind: "adopted".into(), text: text.clone() }));
                let _ = self.setup.told.try_send(Told::Note(text));
            }
            What::Agrees { clean } => {
                self.status.agrees = Some(clean);
                if clean && self.status.reconciled_ms.is_none() {
                    self.status.reconciled_ms = Some(at.since(UnixMs::new(self.status.started_ms)));
                }
            }
            What::State { state } => self.state(at, state),
            What::AutoExecute { on } => {
                self.status.auto_execute = on;
                let text = format!("auto-execute is {}", if on { "on" } else { "off" });
                self.push(Row::Event(audit::Event { at, kind: "auto_execute".into(), text: text.clone() }));
                let _ = self.setup.told.try_send(Told::Note(text));
            }
            What::Armed { armed } => {
                self.status.armed = Some(armed);
                let text = if armed { "live trading is armed" } else { "live trading is disarmed" };
                self.push(Row::Event(audit::Event { at, kind: "armed".into(), text: text.into() }));
                let _ = self.setup.told.try_send(Told::Note(text.into()));
            }
            What::Balance { venue, shard, cash, reserved } => self.balance(at, venue, shard, cash, reserved),
            What::Stats { stats } => {
                self.status.updates = stats.updates;
                self.status.sightings = stats.sightings;
                self.status.plans = stats.plans;
                self.status.positions = stats.positions;
                self.status.books = stats.books;
                self.status.fit = stats.fit;
                self.status.realised_today = stats.realised_today.raw();
                self.status.naked = stats.naked.raw();
                self.status.naked_since_ms = stats.naked_since.map(UnixMs::raw);
                self.status.naked_ms_total = stats.naked_span.raw() / 1_000_000;
                self.status.flatten_loss = stats.flatten_loss.raw();
                self.status.unsellable = stats.unsellable;
                self.status.at_ms = at.raw();
            }
        }
    }

    fn state(&mut self, at: UnixMs, state: TradingState) {
        self.status.state = state.name().into();
        if let TradingState::Halted(latch) = state {
            self.status.latch = Some(latch.name().into());
            if let Err(e) = self.setup.stops.halt(latch) {
                tracing::error!("the latch's file cannot be written, so a restart would not know of it: {e}");
            }
        } else {
            (self.status.latch, self.status.flatten) = (None, None);
        }
        let text = self.status.latch.clone().unwrap_or_else(|| state.name().into());
        self.push(Row::Event(audit::Event { at, kind: "state".into(), text }));
        let _ = self.setup.told.try_send(Told::State { state });
    }

    fn balance(&mut self, at: UnixMs, venue: Venue, shard: u8, cash: Money, reserved: Money) {
        self.balances.insert((venue, shard), (cash, reserved));
        let now = clock::now();
        let known = self.balance_written.get(&(venue, shard));
        let same = known.is_some_and(|(at, c, r)| (*c, *r) == (cash, reserved) && now.since(*at) < BALANCE_EVERY);
        if !same {
            self.balance_written.insert((venue, shard), (now, cash, reserved));
            let shard = if venue == Venue::Kalshi { shard.to_string() } else { String::new() };
            let row = audit::Balance { at, venue, shard, free: cash - reserved, locked: reserved };
            self.push(Row::Balance(row));
        }
    }

    fn collect(&mut self) {
        if let Ok(mut total) = self.setup.latencies.lock() {
            for collector in &mut self.setup.collectors {
                collector.collect(&mut total);
            }
            self.status.latency = Stage::ALL
                .into_iter()
                .map(|stage| {
                    let h = total.stage(stage);
                    let at = |q| h.value_at_quantile(q);
                    StageLine {
                        stage: stage.name().into(),
                        count: h.len(),
                        p50_ns: at(0.5),
                        p99_ns: at(0.99),
                        max_ns: h.max(),
                    }
                })
                .collect();
        }
        while let Ok(verdicts) = self.setup.verdicts.try_recv() {
            self.status.checksums = [verdicts.fits, verdicts.unsettled, verdicts.differs, verdicts.unfit];
        }
        while let Ok(note) = self.setup.notes.try_recv() {
            tracing::info!("{note}");
            let at = clock::unix();
            self.push(Row::Event(audit::Event { at, kind: "feed".into(), text: note.clone() }));
            let _ = self.setup.told.try_send(Told::Note(note));
        }
        if self.setup.stops.is_laid() && self.status.latch.is_none() {
            // Somebody has laid the file down: a stop like any other.
            let _ = self.setup.stops.halt(Latch::Person);
        }
        if let Some(lines) = &self.setup.lines {
            for (venue, left) in Venue::ALL.into_iter().zip(&lines.budgets) {
                self.status.budgets.insert(venue.name().into(), left.load(Ordering::Relaxed));
            }
        }
        let before = std::mem::replace(&mut self.status.unredeemed, self.setup.unredeemed.load(Ordering::Relaxed));
        self.notify_unredeemed(before);
        let off = self.setup.clock_off.as_ref().map(|off| off.load(Ordering::Relaxed));
        if let Some(off) = off.filter(|off| *off != i64::MIN) {
            self.status.clock_offset_ms.insert(Venue::Polymarket.name().into(), off);
        }
        self.status.feeds.clear();
        for (at, (venue, gauge)) in self.setup.gauges.iter().enumerate() {
            let feed = FeedStatus::read(*venue, gauge);
            let storms = self.storms.entry(at).or_default();
            if *storms < feed.storms {
                *storms = feed.storms;
                let _ = self.setup.controls.try_send(Control::Halt { latch: Latch::ReconnectStorm });
            }
            self.status.feeds.push(feed);
        }
        while let Ok((findings, advice)) = self.setup.found.try_recv() {
            (self.status.findings, self.status.advice) = (findings, advice);
            self.notify_findings();
        }
        while let Ok(change) = self.setup.changes.try_recv() {
            self.push(Row::ConfigChange(change));
        }
        while let Ok(command) = self.setup.commands.try_recv() {
            let Ordered { at, who, command, args, result } = command;
            self.push(Row::Control(audit::Control { at, who, command: command.into(), args, result }));
        }
        self.notify_health();
        self.show();
    }

    /// Adds up what counts as evidence, and writes it down about once a minute. A database that cannot be written now
    /// is told all of it the next time.
    fn show(&mut self) {
        let (now, alive) = (clock::now(), &mut self.alive);
        let passed = if alive.at == Nanos::ZERO { 0 } else { now.since(alive.at).raw() / 1_000_000 };
        alive.at = now;
        if self.status.feeds.iter().all(|feed| 0 < feed.connections_up) {
            alive.feeds_ms += passed;
        }
        if self.status.agrees == Some(true) {
            alive.agreed_ms += passed;
        }
        if alive.written == Nanos::ZERO || ALIVE_EVERY <= now.since(alive.written) {
            alive.written = now;
            let _ = self.setup.audit.alive(clock::unix(), alive.feeds_ms, alive.agreed_ms);
        }
    }

    fn publish(&mut self) {
        let status = &mut self.status;
        status.balances = self
            .balances
            .iter()
            .map(|((venue, shard), (cash, reserved))| Balances {
                venue: venue.name().into(),
                shard: *shard,
                cash: cash.raw(),
                reserved: reserved.raw(),
            })
            .collect();
        status.balances.sort_by(|a, b| (&a.venue, a.shard).cmp(&(&b.venue, b.shard)));
        let mut reasons: Vec<_> =
            self.reasons.iter().map(|(code, count)| ReasonLine { code: (*code).into(), count: *count }).collect();
        reasons.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
        status.reasons = reasons;
        status.held = [0; 2];
        for ((market, _), (_, cost)) in &self.held {
            status.held[self.setup.markets[market.0 as usize].venue as usize] += cost.raw();
        }
        status.locked = status.held.iter().sum();
        status.audit_queue = self.rows.len() as u64;
        status.audit_dropped = self.dropped;
        status.audit_error.clone_from(&self.write_error);
        if let Some(notifier) = &self.notifier {
            status.alerts = notifier.counts();
        }
        if let Ok(mut shared) = self.setup.snapshot.lock() {
            shared.clone_from(status);
        }
    }

    fn bar(&self, pair: PairId, reason: Option<Reason>) {
        if let Ok(mut shown) = self.setup.shown.lock() {
            shown[pair.0 as usize].barred = reason;
        }
    }

    fn push(&mut self, row: Row) {
        if self.rows.len() == ROWS_MAX {
            self.rows.pop_front();
            self.dropped += 1;
        }
        self.rows.push_back(row);
    }

    fn write(&mut self) {
        self.returned();
        if self.rows.is_empty() {
            return;
        }
        let rows = self.rows.make_contiguous();
        match self.setup.audit.write(rows) {
            Ok(()) => {
                self.rows.clear();
                self.write_error = None;
                self.wrote();
                self.notify_database(None);
            }
            Err(e) => {
                if self.write_error.is_none() {
                    let note = format!("the database cannot be written; {} rows wait: {e}", self.rows.len());
                    tracing::error!("{note}");
                    let _ = self.setup.told.try_send(Told::Note(note));
                }
                self.write_error = Some(e.to_string());
                if !e.passes() {
                    // Rows that can never be written must not hold up the others.
                    self.dropped += self.rows.len() as u64;
                    self.rows.clear();
                    self.wrote();
                }
                self.notify_database(Some(e.to_string()));
            }
        }
    }

    fn market(&self, market: MarketId) -> &MarketName {
        &self.setup.markets[market.0 as usize]
    }

    fn pair(&self, pair: PairId) -> &PairName {
        &self.setup.pairs[pair.0 as usize]
    }
}
