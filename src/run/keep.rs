//! The keeper: what the detector told becomes rows of the audit trail, the status that people read, and lines to show.
//!
//! Nothing hot waits for it. A database that is locked or full costs queue depth here: rows wait, bounded, and are
//! written when it lets go; what does not fit is counted.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender};
use rtrb::Consumer;

use super::{
    check::Verdicts,
    clock,
    event::{Control, Ending, Event, Fill, What},
    latency::{Collector, Latencies, Stage},
    ring::Stop,
    snapshot::{Balances, FeedStatus, ReasonLine, Snapshot, StageLine},
};
use crate::{
    decide::{Quote, Reason, rule::lock_millidays},
    ledger::audit::{self, Action, Audit, Fate, Finality, Row},
    risk::{Latch, TradingState},
    spread::Direction,
    unit::{MarketId, Money, Nanos, Outcome, PairId, Price, Qty, UnixMs, Venue},
};

/// Rows that may wait for the database.
const ROWS_MAX: usize = 200_000;
/// Between two writes.
const WRITE_EVERY: Nanos = Nanos::millis(250);
/// Between two collections of latencies and feed counters.
const COLLECT_EVERY: Nanos = Nanos::millis(500);
const PAUSE: Duration = Duration::from_millis(10);
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

/// Everything the keeper is made from.
pub struct KeepSetup {
    pub events: Consumer<Event>,
    pub audit: Audit,
    pub markets: Vec<MarketName>,
    pub pairs: Vec<PairName>,
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
    pub latch: PathBuf,
    /// What the start has to write down.
    pub rows: Vec<Row>,
    /// Positions found at start: quantity and cost.
    pub held: Vec<(MarketId, Outcome, Qty, Money)>,
}

struct Seen {
    row: audit::Opportunity,
    plan: bool,
    over: bool,
}

/// A plan whose payout is still to come.
struct PlanBook {
    row: audit::Plan,
    title: String,
    fees: [Money; 2],
    /// Market, quantity, cost with fees: per leg.
    legs: [(MarketId, Outcome, Qty, Money); 2],
    paid: [Option<Money>; 2],
    fills: u32,
    unwound: Money,
    closed: bool,
}

struct Keeper {
    setup: KeepSetup,
    rows: VecDeque<Row>,
    dropped: u64,
    seen: HashMap<u64, Seen>,
    plans: HashMap<u64, PlanBook>,
    held: HashMap<(MarketId, Outcome), (Qty, Money)>,
    reasons: HashMap<&'static str, u64>,
    last_reason: HashMap<u64, &'static str>,
    balances: HashMap<(Venue, u8), (Money, Money)>,
    balance_written: HashMap<(Venue, u8), (Nanos, Money, Money)>,
    status: Snapshot,
    wrote: Nanos,
    collected: Nanos,
    write_error: Option<String>,
    storms: HashMap<usize, u64>,
}

/// Runs the keeper until it is stopped and everything is written; ends the run in the database.
pub fn run(mut setup: KeepSetup, detector_ended: &Stop) {
    let status = setup.snapshot.lock().map(|status| status.clone()).unwrap_or_default();
    let held = setup.held.iter().map(|(m, o, q, c)| ((*m, *o), (*q, *c))).collect();
    let rows = std::mem::take(&mut setup.rows).into();
    let mut keeper = Keeper {
        setup,
        rows,
        dropped: 0,
        seen: HashMap::new(),
        plans: HashMap::new(),
        held,
        reasons: HashMap::new(),
        last_reason: HashMap::new(),
        balances: HashMap::new(),
        balance_written: HashMap::new(),
        status,
        wrote: Nanos::ZERO,
        collected: Nanos::ZERO,
        write_error: None,
        storms: HashMap::new(),
    };
    loop {
        let ended = detector_ended.raised();
        let mut idle = true;
        while let Ok(event) = keeper.setup.events.pop() {
            idle = false;
            keeper.handle(&event);
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
    keeper.write();
    keeper.publish();
    if let Err(e) = keeper.setup.audit.close_run(clock::unix()) {
        let _ = keeper.setup.told.try_send(Told::Note(format!("the run could not be closed in the database: {e}")));
    }
}

impl Keeper {
    fn handle(&mut self, event: &Event) {
        let at = event.at;
        match event.what {
            What::Sighted { id, pair, direction, quote, reason, detect_ns } => {
                self.sighted(at, id, pair, direction, &quote, reason, detect_ns);
            }
            What::Ended { id } => self.ended(id, at),
            What::Planned { id, sighting, pair, direction, qty, limits, net } => {
                self.planned(at, id, sighting, pair, direction, qty, limits, net);
            }
            What::Filled { plan, fill } => self.filled(at, plan, &fill),
            What::Netted { market, qty } => self.netted(at, market, qty),
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
            What::State { state } => self.state(at, state),
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
                self.status.at_ms = at.raw();
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one event")]
    fn sighted(
        &mut self,
        at: UnixMs,
        id: u64,
        pair: PairId,
        direction: Direction,
        quote: &Quote,
        reason: Option<Reason>,
        detect_ns: u32,
    ) {
        let name = self.pair(pair).clone();
        let code = reason.map(Reason::code);
        if let Some(code) = code
            && self.last_reason.insert(id, code) != Some(code)
        {
            *self.reasons.entry(code).or_default() += 1;
        }
        let known = self.seen.contains_key(&id);
        let [Some(k), Some(p)] = quote.cost else { return };
        let (yes_on, yes_price, no_price) = match direction {
            Direction::YesKalshi => (Venue::Kalshi, k, p),
            Direction::YesPolymarket => (Venue::Polymarket, p, k),
        };
        let seen = self.seen.entry(id).or_insert_with(|| Seen {
            row: audit::Opportunity {
                id,
                pair_key: name.key.clone(),
                title: name.title.clone(),
                yes_on,
                seen_at: at,
                ended_at: None,
                yes_price,
                no_price,
                gross: 0,
                fee: 0,
                net: i64::MIN,
                qty: Qty::ZERO,
                depth: Money::ZERO,
                annual_yield_ppm: None,
                days_to_settle_milli: None,
                outcome: Fate::Open,
                reason: None,
                detect_ns: Some(u64::from(detect_ns)),
                plan_id: None,
            },
            plan: false,
            over: false,
        });
        let row = &mut seen.row;
        if row.net <= quote.net.micros() {
            (row.yes_price, row.no_price) = (yes_price, no_price);
            (row.gross, row.net) = (quote.gross.micros(), quote.net.micros());
            row.fee = row.gross - row.net;
            (row.qty, row.depth) = (quote.qty, quote.depth);
            row.annual_yield_ppm = Some(quote.yearly_ppm);
            row.days_to_settle_milli = i64::try_from(lock_millidays(quote.lock_ms)).ok();
        }
        if !seen.plan {
            row.reason = code.map(str::to_owned);
        }
        let row = row.clone();
        self.push(Row::Opportunity(row));
        if let (Some(reason), false) = (reason, known) {
            let _ = self.setup.told.try_send(Told::Skipped { id, title: name.title, quote: *quote, reason });
        }
    }

    fn ended(&mut self, id: u64, at: UnixMs) {
        let Some(seen) = self.seen.get_mut(&id) else { return };
        seen.row.ended_at = Some(at);
        if !seen.plan {
            seen.row.outcome = Fate::Skipped;
        }
        seen.over = true;
        let (row, done) = (seen.row.clone(), !seen.plan);
        self.push(Row::Opportunity(row));
        if done {
            self.seen.remove(&id);
            self.last_reason.remove(&id);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one event")]
    fn planned(
        &mut self,
        at: UnixMs,
        id: u64,
        sighting: u64,
        pair: PairId,
        direction: Direction,
        qty: Qty,
        limits: [Price; 2],
        net: Money,
    ) {
        let name = self.pair(pair).clone();
        let (yes_on, yes_limit, no_limit) = match direction {
            Direction::YesKalshi => (Venue::Kalshi, limits[0], limits[1]),
            Direction::YesPolymarket => (Venue::Polymarket, limits[1], limits[0]),
        };
        let row = audit::Plan {
            id,
            opportunity_id: Some(sighting),
            pair_key: name.key.clone(),
            yes_on,
            qty,
            yes_limit,
            no_limit,
            state: "entering".into(),
            opened_at: at,
            closed_at: None,
            expected_net: net,
            realised_net: None,
        };
        let legs = name.markets.map(|market| (market, Outcome::Yes, Qty::ZERO, Money::ZERO));
        let book = PlanBook {
            row: row.clone(),
            title: name.title.clone(),
            fees: [Money::ZERO; 2],
            legs,
            paid: [None; 2],
            fills: 0,
            unwound: Money::ZERO,
            closed: false,
        };
        self.plans.insert(id, book);
        if let Some(seen) = self.seen.get_mut(&sighting) {
            seen.plan = true;
            seen.row.outcome = Fate::Planned;
            seen.row.reason = None;
            seen.row.plan_id = Some(id);
            let told = Told::Planned {
                id: sighting,
                title: name.title,
                direction,
                qty,
                quote: Quote {
                    cost: match direction {
                        Direction::YesKalshi => [Some(seen.row.yes_price), Some(seen.row.no_price)],
                        Direction::YesPolymarket => [Some(seen.row.no_price), Some(seen.row.yes_price)],
                    },
                    yearly_ppm: seen.row.annual_yield_ppm.unwrap_or(0),
                    lock_ms: seen.row.days_to_settle_milli.unwrap_or(0) as u64 * 86_400,
                    ..Quote::default()
                },
                net,
                detect_ns: seen.row.detect_ns.unwrap_or(0) as u32,
            };
            let row = seen.row.clone();
            let _ = self.setup.told.try_send(told);
            self.push(Row::Opportunity(row));
        }
        self.push(Row::Plan(row));
    }

    fn filled(&mut self, at: UnixMs, plan: u64, fill: &Fill) {
        let market = self.market(fill.market).name.clone();
        let held = self.held.entry((fill.market, fill.outcome)).or_default();
        let gross = if fill.bought { fill.price.cost(fill.qty) } else { fill.price.proceeds(fill.qty) };
        if fill.bought {
            *held = (held.0.checked_add(fill.qty).unwrap_or(Qty::MAX), held.1 + gross + fill.fee);
        } else {
            let share = i128::from(held.1.raw()) * i128::from(fill.qty.micros()) / i128::from(held.0.micros().max(1));
            *held = (held.0.saturating_sub(fill.qty), held.1 - Money::micros(share as i64));
        }
        let (qty, cost) = *held;
        let leg = usize::from(fill.venue == Venue::Polymarket);
        let mut number = 0;
        if let Some(book) = self.plans.get_mut(&plan) {
            book.fills += 1;
            number = book.fills;
            book.fees[leg] += fill.fee;
            let (_, outcome, filled, spent) = &mut book.legs[leg];
            let closes = !fill.bought || (!filled.is_zero() && *outcome != fill.outcome);
            if !closes {
                *outcome = fill.outcome;
                *filled = filled.checked_add(fill.qty).unwrap_or(Qty::MAX);
                *spent += gross + fill.fee;
            } else {
                // Sold, or closed by buying the other outcome, of which each contract brings its dollar.
                let back = if fill.bought {
                    Money::micros(fill.qty.micros() as i64) - gross - fill.fee
                } else {
                    gross - fill.fee
                };
                *filled = filled.saturating_sub(fill.qty);
                *spent -= back;
            }
        }
        self.push(Row::Fill(audit::Fill {
            id: format!("paper-{plan}-{number}"),
            plan_id: Some(plan),
            leg: leg as u8,
            venue: fill.venue,
            market: market.clone(),
            outcome: fill.outcome,
            action: if fill.bought { Action::Buy } else { Action::Sell },
            price: fill.price,
            qty: fill.qty,
            fee: fill.fee,
            at,
            book_stamp: Some(fill.book_stamp),
            finality: Finality::Final,
            simulated: true,
        }));
        let position = audit::Position { venue: fill.venue, market, outcome: fill.outcome, qty, cost, updated_at: at };
        self.push(Row::Position(position));
        let told = Told::Filled { plan, market: self.market(fill.market).name.clone(), fill: *fill };
        let _ = self.setup.told.try_send(told);
        if fill.polled {
            self.status.polled_fills += 1;
        }
        self.status.fills += 1;
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one event")]
    fn plan_ended(
        &mut self,
        at: UnixMs,
        id: u64,
        sighting: u64,
        paired: Qty,
        naked: Qty,
        unwound: Money,
        state: Ending,
    ) {
        let Some(book) = self.plans.get_mut(&id) else { return };
        book.closed = true;
        book.unwound = unwound;
        book.row.state = state.name().into();
        book.row.closed_at = Some(at);
        let spent = book.legs[0].3 + book.legs[1].3;
        // Every paired contract pays a dollar at settlement.
        let net = Money::micros(paired.micros() as i64) - spent;
        let empty = book.legs.iter().all(|leg| leg.2.is_zero());
        if empty {
            book.row.realised_net = Some(-spent);
        }
        let told = Told::Ended {
            id: sighting,
            title: book.title.clone(),
            paired,
            naked,
            fees: book.fees,
            net,
            unwound,
            state,
        };
        let row = book.row.clone();
        if empty {
            self.plans.remove(&id);
        }
        self.push(Row::Plan(row));
        if state == Ending::Unwound || state == Ending::Naked {
            self.status.unwinds += 1;
        }
        *self.status.endings.entry(state.name().to_owned()).or_default() += 1;
        let _ = self.setup.told.try_send(told);
        let Some(seen) = self.seen.get_mut(&sighting) else { return };
        (seen.row.outcome, seen.row.reason) = match state {
            Ending::Filled => (Fate::Filled, None),
            Ending::Partial | Ending::Unwound | Ending::Naked => (Fate::Partial, Some(state.name().to_uppercase())),
            Ending::Missed => (Fate::Missed, Some(Reason::Gone.code().to_owned())),
        };
        if state == Ending::Missed {
            *self.reasons.entry(Reason::Gone.code()).or_default() += 1;
        }
        let (row, over) = (seen.row.clone(), seen.over);
        self.push(Row::Opportunity(row));
        if over {
            self.seen.remove(&sighting);
            self.last_reason.remove(&sighting);
        }
    }

    fn settled(&mut self, at: UnixMs, market: MarketId, yes_payout: Money, held: [Qty; 2], paid: Money, result: Money) {
        let name = self.market(market).clone();
        let settlement = audit::Settlement {
            venue: name.venue,
            market: name.name.clone(),
            yes_payout,
            qty_yes: held[0],
            qty_no: held[1],
            paid,
            at,
        };
        self.push(Row::Settlement(settlement));
        for outcome in [Outcome::Yes, Outcome::No] {
            if self.held.remove(&(market, outcome)).is_some() {
                let (venue, market) = (name.venue, name.name.clone());
                let gone =
                    audit::Position { venue, market, outcome, qty: Qty::ZERO, cost: Money::ZERO, updated_at: at };
                self.push(Row::Position(gone));
            }
        }
        self.status.settlements += 1;
        let payout = |outcome: Outcome| match outcome {
            Outcome::Yes => yes_payout,
            Outcome::No => Money::dollars(1) - yes_payout,
        };
        let mut done = Vec::new();
        let mut rows = Vec::new();
        for (id, book) in &mut self.plans {
            for leg in 0..2 {
                let (leg_market, outcome, qty, _) = book.legs[leg];
                if leg_market == market && book.paid[leg].is_none() {
                    let micros = i128::from(payout(outcome).raw()) * i128::from(qty.micros()) / 1_000_000;
                    book.paid[leg] = Some(Money::micros(micros as i64));
                }
            }
            if let ([Some(k), Some(p)], true) = (book.paid, book.closed) {
                let realised = k + p - book.legs[0].3 - book.legs[1].3;
                book.row.realised_net = Some(realised);
                book.row.state = "settled".into();
                rows.push(Row::Plan(book.row.clone()));
                let wins = if realised < Money::ZERO { &mut self.status.losses } else { &mut self.status.wins };
                *wins += 1;
                done.push(*id);
            }
        }
        rows.into_iter().for_each(|row| self.push(row));
        for id in done {
            self.plans.remove(&id);
        }
        {
            let pairs = self.setup.pairs.iter();
            let title = pairs.clone().find(|p| p.markets.contains(&market)).map_or(String::new(), |p| p.title.clone());
            let _ = self.setup.told.try_send(Told::Settled { title, market: name.name, yes_payout, paid, result });
        }
    }

    /// The venue closed YES against NO: both positions shrink, each with its share of the cost.
    fn netted(&mut self, at: UnixMs, market: MarketId, netted: Qty) {
        let MarketName { venue, name } = self.market(market).clone();
        for outcome in [Outcome::Yes, Outcome::No] {
            let held = self.held.entry((market, outcome)).or_default();
            let share = i128::from(held.1.raw()) * i128::from(netted.micros()) / i128::from(held.0.micros().max(1));
            *held = (held.0.saturating_sub(netted), held.1 - Money::micros(share as i64));
            let (qty, cost) = *held;
            let market = name.clone();
            self.push(Row::Position(audit::Position { venue, market, outcome, qty, cost, updated_at: at }));
        }
    }

    fn state(&mut self, at: UnixMs, state: TradingState) {
        self.status.state = state.name().into();
        if let TradingState::Halted(latch) = state {
            self.status.latch = Some(latch.name().into());
            let text = format!("{}\nfallen at {} ms Unix time\n", latch.name(), at.raw());
            if let Err(e) = std::fs::write(&self.setup.latch, text) {
                tracing::error!("the latch file {} cannot be written: {e}", self.setup.latch.display());
            }
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
        status.locked = self.held.values().map(|(_, cost)| cost.raw()).sum();
        status.audit_queue = self.rows.len() as u64;
        status.audit_dropped = self.dropped;
        status.audit_error.clone_from(&self.write_error);
        if let Ok(mut shared) = self.setup.snapshot.lock() {
            shared.clone_from(status);
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
        if self.rows.is_empty() {
            return;
        }
        let rows = self.rows.make_contiguous();
        match self.setup.audit.write(rows) {
            Ok(()) => {
                self.rows.clear();
                self.write_error = None;
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
                }
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
