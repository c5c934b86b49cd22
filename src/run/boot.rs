//! Start and restart: one path, taken every time. State directory, lock, database, catalogue, tables, threads.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicU64},
    thread::JoinHandle,
};

use anyhow::Context as _;
use crossbeam::channel::{Receiver, Sender, bounded};

use super::{
    accounts,
    booth::Ending,
    catalogue::Listing,
    check,
    core::{self, Seat},
    desk::{Desk, Orders},
    dial::{self, Route},
    eligible::{Asker, Finding},
    event::Control,
    execute,
    feed::{self, FeedGauge, FeedSetup, LinkSetup, Recorded},
    given::{closing, idle},
    guard::{self, Canceller, GuardSetup, Watched},
    keep::{self, KeepSetup, Told},
    latency::{self, Latencies},
    lines::LineGauge,
    look::{self, LookSetup},
    mode::Mode,
    notice::{self, Post, Wanted},
    pipe::{Place, tls},
    recall::{self, Recalled},
    redeem::{self, RedeemSetup},
    ring::{self, Idle, Stop, Waker},
    sign::Signing,
    snapshot::{LimitLine, PairShown, Snapshot},
    stops::{self, Fallen, Stops},
    sync,
    tables::{kalshi_links, polymarket_links, setup, tables},
    trading::{Parts, Running, Wired, gateways},
    treasury::{self, TreasurySetup},
};
use crate::{
    config::{Config, Loaded, Setting},
    ledger::{
        audit::{self, Audit, AuditReader, RunInfo},
        journal::Record,
    },
    order::Ids,
    pairing::PairBook,
    risk::{Ramp, TradingState},
    spread::Rate,
    unit::{FeedId, MarketId, Venue},
    venue::{
        kalshi,
        polymarket::{self, Checker},
    },
};

/// How many starts a journal that was damaged, or put back from a backup, may not know of.
const EPOCHS_LOST: u32 = 10_000;

/// Where the venues are. Outside of the demo these are constants of the build.
#[derive(Clone, Debug)]
pub struct Endpoints {
    pub kalshi_rest: String,
    pub kalshi_ws: String,
    pub gamma: String,
    pub clob: String,
    pub data: String,
    pub relayer: String,
    /// Polymarket's web site: it judges where this host is.
    pub site: String,
    pub polymarket_ws: String,
    pub polymarket_user_ws: String,
    /// The only root that is trusted, as PEM; `None` for the roots of the build.
    pub root: Option<String>,
}

impl Endpoints {
    /// The venues themselves.
    pub fn production() -> Self {
        Self {
            kalshi_rest: kalshi::REST.into(),
            kalshi_ws: kalshi::SOCKET.into(),
            gamma: polymarket::GAMMA.into(),
            clob: polymarket::CLOB.into(),
            data: polymarket::DATA.into(),
            relayer: polymarket::RELAYER.into(),
            site: polymarket::SITE.into(),
            polymarket_ws: polymarket::SOCKET.into(),
            polymarket_user_ws: polymarket::USER_SOCKET.into(),
            root: None,
        }
    }
}

/// What an engine is started with.
pub struct Start {
    pub mode: Mode,
    pub config: Config,
    pub config_hash: String,
    /// Orders wait for a person to arm them, sizes begin small, and a crash halts: what live does. The print is that of
    /// the limits that arming is bound to.
    pub guarded: Option<String>,
    /// Effective settings by dotted key: text and origin. Differences to the last run are written down.
    pub settings: BTreeMap<String, Setting>,
    pub endpoints: Endpoints,
    pub pairs: PairBook,
    /// What both catalogues say of the pairs' markets.
    pub listed: Listing,
    /// `None`: Kalshi is read by polling its public REST.
    pub signing: Option<Signing>,
    /// Orders leave for the venues. `None`: fills are made on paper, and no sender exists.
    pub wired: Option<Wired>,
    /// What was found of the accounts before the start.
    pub findings: Vec<Finding>,
    /// Whoever starts it holds the lock of its state directory, and keeps it.
    pub claimed: bool,
    /// A journal that is damaged is set aside, and what the venues hold is taken for ours: on a person's word.
    pub adopts: bool,
    /// Raw frames go here, if anywhere.
    pub record: Option<Sender<Recorded>>,
    /// Where alerts go, as the database names them: chats and others. Empty: there are none.
    pub places: Vec<String>,
}

impl Start {
    /// Without keys, orders and a recording, with these settings.
    pub fn new(mode: Mode, loaded: Loaded, endpoints: Endpoints, pairs: PairBook, listed: Listing) -> Self {
        Self {
            mode,
            config_hash: loaded.fingerprint(),
            config: loaded.config,
            guarded: None,
            settings: loaded.origins,
            endpoints,
            pairs,
            listed,
            signing: None,
            wired: None,
            findings: Vec::new(),
            claimed: false,
            adopts: false,
            record: None,
            places: Vec::new(),
        }
    }
}

/// A running engine.
pub struct Engine {
    pub stop: Stop,
    pub told: Receiver<Told>,
    pub snapshot: Arc<Mutex<Snapshot>>,
    pub latencies: Arc<Mutex<Latencies>>,
    /// Its pairs, and what bars them.
    pub pairs: Arc<Mutex<Vec<PairShown>>>,
    pub state: PathBuf,
    pub stops: Stops,
    /// Transfers between Kalshi's shards, on a person's word.
    pub orders: Sender<treasury::Order>,
    /// What people ordered, for the audit trail.
    pub commands: Sender<keep::Ordered>,
    /// Settings that were changed while it runs, for the audit trail.
    pub changes: Sender<audit::ConfigChange>,
    /// Words for the detector.
    pub controls: Sender<Control>,
    /// Of the thread that sends orders, where there is one.
    pub lines: Option<Arc<LineGauge>>,
    /// What whoever tells people of alerts needs, where there is anywhere to tell them.
    pub post: Option<Post>,
    stalled: Stop,
    detector_ended: Stop,
    detector: Option<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    _lock: Option<File>,
}

/// Makes the state directory of a mode, readable by its owner alone, and holds its lock.
pub fn claim(state: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(state).with_context(|| format!("cannot create the state directory {}", state.display()))?;
    std::fs::set_permissions(state, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot set the mode of {} to 0700", state.display()))?;
    let path = state.join("lock");
    let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(_) => anyhow::bail!(
            "another engine holds {}; stop it first (orion status shows it), or set engine.state_dir",
            path.display()
        ),
    }
}

impl Engine {
    /// Starts an engine; every reason why not is named before a thread runs.
    pub fn start(start: Start) -> anyhow::Result<Self> {
        let Start { mode, config, config_hash, guarded, settings, endpoints, pairs, listed, signing, wired, .. } =
            start;
        let (findings, claimed, adopts, record) = (start.findings, start.claimed, start.adopts, start.record);
        let places = start.places;
        let state = config.engine.state_dir.join(mode.name());
        let lock = if claimed { None } else { Some(claim(&state)?) };
        let database = state.join("orion.db");
        let simulated = mode != Mode::Live;
        let now = super::clock::unix();
        let run =
            RunInfo { mode: mode.name().into(), started_at: now, build: env!("CARGO_PKG_VERSION").into(), config_hash };
        let mut audit = Audit::open(&database, &run)?;
        let crashed = !audit.ended_well()?;
        if guarded.is_some() && !config.engine.resume_after_crash && crashed {
            tracing::warn!("the run before ended without a farewell: halted and disarmed until a person looked at it");
            stops::crashed(&state)?;
        }
        let (alerts, post) = match places {
            places if places.is_empty() => (None, None),
            places => {
                let (source, post) = notice::ends(Wanted::of(&config, places), &AuditReader::open(&database)?)?;
                (Some(source), Some(post))
            }
        };
        let realised_total = AuditReader::open(&database)?.realised_of_plans()?.raw();
        let mut tables = tables(&pairs, &listed);
        let over_polymarket = polymarket_links(&tables, &endpoints, config.feed.assets_per_connection)?;
        let stop = Stop::default();
        let (told_in, told) = bounded(4_096);
        let (notes_in, notes) = bounded(1_024);
        let polled = signing.is_none();
        for (market, name) in tables.markets.iter_mut().zip(&tables.names) {
            market.polled = polled && name.venue == Venue::Kalshi;
        }
        let hot = if wired.is_some() { 4 } else { 3 };
        let idle = idle(&config, hot);
        let (waker, parker) = Waker::new(idle);
        // Feed 0 is Kalshi (its socket, or its poller), feed 1 Polymarket.
        let (mut feed_rings, detect_rings, cold) = ring::rings(2, &waker);
        let (controls, controls_out) = bounded(1_024);
        let folder = state.join("journal");
        let place = recall::Place { folder: &folder, database: &database, adopts, simulated };
        let recalled = recall::recall(&place, &mut audit, &tables, closing(&config), &settings, now)?;
        let Recalled { mut opened, salvaged, names, restored, known, rows, books } = recalled;
        // Starts whose records were lost have used numbers too.
        let next = restored.epoch + if salvaged || stops::is_restored(&state) { EPOCHS_LOST } else { 1 };
        let ids = Ids::new(next).context("every epoch of this journal has been used")?;
        let mut setup = setup(&config, &tables, &known, &restored, &state, now);
        if let Some(limits) = &guarded {
            setup.limits.armed = stops::is_armed(&state, limits);
            setup.limits.ramp = Some(Ramp::after(restored.history.evidence()));
        }
        let armed = guarded.is_some().then_some(setup.limits.armed);
        opened.journal.append(&Record::Opened { epoch: ids.epoch(), at: now })?;
        for (slot, (venue, name)) in names.iter().copied().enumerate() {
            opened.journal.append(&Record::Market { id: MarketId(slot as u32), venue, name })?;
        }
        for (venue, shard, account) in setup.budget.accounts() {
            opened.journal.append(&Record::Cash { venue, shard, amount: account.cash })?;
        }
        // An epoch whose record a power cut could lose would be used twice.
        opened.journal.sync()?;
        stops::renumbered(&state)?;
        let (spares, syncing) = sync::start(&opened.journal, folder, controls.clone(), stop.clone())?;
        let orders = Orders { journal: opened.journal, ids, budget: closing(&config) };
        let held = setup.held.clone();
        let trading_state = setup.state;
        let ending = Ending::default();
        let (stops, words) = (Stops::new(Fallen::default(), controls.clone(), &state, guarded), controls.clone());
        let detector_ended = ending.detector.clone();
        let (dial_in, dial_out) = bounded(64);
        let mut routes = HashMap::new();
        let tls = tls(endpoints.root.as_deref())?;
        let unredeemed = Arc::<AtomicU64>::default();
        let (mut lines, mut redeemer, mut canceller, mut treasury, mut clock_off) = (None, None, None, None, None);
        let (orders_in, ordered) = bounded(4);
        let (found_in, found) = bounded(16);
        let (commands_in, commands) = bounded(64);
        let (changes_in, changes) = bounded(256);
        let (merges_in, merges_out) = bounded(4);
        let mut seat = match (wired, &signing) {
            (Some(wired), Some(signing)) => {
                if !wired.reads_only {
                    canceller = Some(Canceller::new(&endpoints, wired.api.clone())?);
                }
                let asker = Asker::new(&endpoints, &signing.desk, &wired.api, config.vault.polymarket_key_until)?;
                clock_off = Some(asker.clock_off.clone());
                treasury = Some((asker, signing.desk.clone(), wired.reads_only));
                let of = |slot: usize| {
                    let hashed = tables.listed[slot].as_ref()?.hashed.as_ref()?;
                    Some((tables.names[slot].name.as_str(), hashed.v2, hashed.neg_risk))
                };
                redeemer = (!wired.reads_only).then(|| RedeemSetup {
                    endpoints: endpoints.clone(),
                    chain: wired.chain,
                    owner: wired.owner.clone(),
                    funder: wired.funder.clone(),
                    api: wired.api.clone(),
                    desk: signing.desk.clone(),
                    markets: redeem::conditions((0..tables.names.len()).filter_map(of)),
                    database: database.clone(),
                    merges: merges_out.clone(),
                    stop: stop.clone(),
                    notes: notes_in.clone(),
                    unredeemed: unredeemed.clone(),
                });
                let merges = wired.relayed && !wired.reads_only;
                let gateways = gateways(wired, &tables, &endpoints, &signing.desk, &restored, &state)?;
                let parts = Parts {
                    setup,
                    orders,
                    limits: execute::Limits {
                        refusals: config.risk.max_consecutive_refusals,
                        error_ppm: config.risk.max_error_rate_ppm,
                        provisional: config.risk.provisional_max,
                    },
                    tickets: config.trading.ticket_reach.map(Rate::of_micros),
                    restored,
                    gateways,
                    names: names.clone(),
                    spares,
                    idle,
                    tls: tls.clone(),
                    dial: dial_in.clone(),
                    notes: notes_in.clone(),
                    desk: &signing.desk,
                    stop: stop.clone(),
                    ending,
                    fallen: stops.fallen.clone(),
                    adopts,
                    merges,
                    seed: now.raw(),
                };
                let (booth, running) = parts.start(&mut routes)?;
                lines = Some(running);
                Seat::Booth(Box::new(booth))
            }
            (Some(_), None) => anyhow::bail!("orders need keys: put them into the vault with: orion secrets set"),
            (None, _) => {
                let mut desk = Desk::new(setup, orders);
                desk.restore(restored, super::clock::arrival());
                Seat::Desk(Box::new(desk), spares)
            }
        };
        // What has paid meanwhile is gone from the accounts, and is booked before they are compared.
        for (slot, listed) in tables.listed.iter().enumerate() {
            if let Some(yes_payout) = listed.as_ref().and_then(|listed| listed.settled) {
                let market = MarketId(slot as u32);
                seat.control(&Control::Settled { market, yes_payout }, super::clock::arrival());
            }
        }
        let shown: Vec<_> = tables
            .pair_names
            .iter()
            .zip(&tables.pairs)
            .map(|(name, pair)| PairShown {
                key: name.key.clone(),
                title: name.title.clone(),
                inverted: pair.pair.inverted,
                barred: pair.barred,
            })
            .collect();
        let shown = Arc::new(Mutex::new(shown));
        let mut collectors = Vec::new();
        let mut recorder = || {
            let (recorder, collector) = latency::recorder();
            collectors.push(collector);
            recorder
        };
        let snapshot = Arc::new(Mutex::new(Snapshot {
            version: env!("CARGO_PKG_VERSION").into(),
            mode: mode.name().into(),
            pid: std::process::id(),
            started_ms: now.raw(),
            at_ms: now.raw(),
            state: trading_state.name().into(),
            latch: match trading_state {
                TradingState::Halted(latch) => Some(latch.name().into()),
                _ => None,
            },
            auto_execute: config.trading.auto_execute,
            armed,
            accounts: treasury.is_some(),
            limits: LimitLine::of(&config),
            realised_total,
            sources: sources(&endpoints, polled, &config, idle),
            pairs: tables.pairs.len() as u32,
            barred: tables.barred as u32,
            books: tables.markets.len() as u32,
            ..Snapshot::default()
        }));
        let latencies = Arc::new(Mutex::new(Latencies::default()));
        let (verdicts_in, verdicts) = bounded(16);
        let (reread_in, reread) = bounded(4_096);
        let gauges: Vec<_> = Venue::ALL.iter().map(|venue| (*venue, Arc::new(FeedGauge::default()))).collect();
        let polymarket_rings = feed_rings.pop().expect("two feeds were asked for");
        let kalshi_rings = feed_rings.pop().expect("two feeds were asked for");

        let mut others = vec![syncing];
        let mut spawn = |venue: Venue, links: Vec<LinkSetup>, rings, url: &str, desk, recorder| -> anyhow::Result<()> {
            let id = FeedId(venue as u8);
            let (answers, dialled) = bounded(64);
            routes.insert(id, Route { authority: Place::of(url)?.authority(), desk, answers });
            let setup = FeedSetup {
                id,
                venue,
                links,
                tls: tls.clone(),
                rings,
                dial: dial_in.clone(),
                dialled,
                idle,
                stop: stop.clone(),
                recorder,
                record: record.clone(),
                gauge: gauges[venue as usize].1.clone(),
                jitter: fastrand::Rng::with_seed(now.raw() ^ venue as u64),
                notes: notes_in.clone(),
            };
            let core = config.engine.cores.get(1 + venue as usize).copied();
            others.push(std::thread::Builder::new().name(format!("feed-{venue}")).spawn(move || {
                pin(core);
                feed::run(setup).expect("the poller of the operating system works");
            })?);
            Ok(())
        };
        let mut look = LookSetup {
            endpoints: endpoints.clone(),
            markets: tables.names.clone(),
            pairs: pairs.clone(),
            tokens: tables.listed.iter().map(|l| l.as_ref().map_or(String::new(), |l| l.tokens[0].clone())).collect(),
            quiet: config.feed.quiet_look,
            poll: None,
            controls: controls.clone(),
            reread,
            stop: stop.clone(),
            notes: notes_in.clone(),
        };
        let mut sign = None;
        match signing {
            Some(Signing { desk, thread, .. }) => {
                let links = kalshi_links(&tables, &endpoints);
                spawn(Venue::Kalshi, links, kalshi_rings, &endpoints.kalshi_ws, Some(desk), recorder())?;
                sign = thread;
            }
            None => look.poll = Some((config.feed.kalshi_poll, kalshi_rings, gauges[0].1.clone())),
        }
        spawn(Venue::Polymarket, over_polymarket, polymarket_rings, &endpoints.polymarket_ws, None, recorder())?;
        drop(dial_in);
        others.extend(sign);
        others.push(dial::start(routes, dial_out)?);
        others.push(look::start(look)?);
        if let Some((asker, desk, reads_only)) = treasury {
            others.push(treasury::start(TreasurySetup {
                asker,
                findings,
                kalshi: accounts::rest(&endpoints.kalshi_rest, &endpoints)?,
                desk,
                capital: config.capital.clone(),
                reads_only,
                snapshot: snapshot.clone(),
                orders: ordered,
                told: found_in,
                controls: controls.clone(),
                notes: notes_in.clone(),
                stop: stop.clone(),
            })?);
        }
        if let Some(redeemer) = redeemer {
            others.push(redeem::start(redeemer)?);
        }
        let mut checker = Checker::default();
        for (slot, listed) in tables.listed.iter().enumerate() {
            if let Some(hashed) = listed.as_ref().and_then(|l| l.hashed.clone()) {
                checker.know(MarketId(slot as u32), hashed);
            }
        }
        others.push(check::start(
            checker,
            cold.shadows,
            controls_out,
            cold.controls,
            waker.clone(),
            verdicts_in,
            stop.clone(),
        )?);
        let core = config.engine.cores.first().copied();
        let (recorder, ended, stopping) = (recorder(), detector_ended.clone(), stop.clone());
        let turns = Arc::<AtomicU64>::default();
        let mut watched = vec![Watched { turns: turns.clone(), ended: detector_ended.clone() }];
        let detector = std::thread::Builder::new().name("detect".into()).spawn(move || {
            pin(core);
            core::run(seat, detect_rings, recorder, idle, &parker, &stopping, &turns);
            ended.raise();
        })?;
        let (mut executed, mut lines_ended, mut line_gauge, mut guarded) = (None, None, None, None);
        if let Some(Running { events, ended, gauge, guard, thread }) = lines {
            watched.push(Watched { turns: gauge.turns.clone(), ended: ended.clone() });
            (executed, lines_ended, line_gauge, guarded) = (Some(events), Some(ended), Some(gauge), Some(guard));
            others.push(thread);
        }
        let stalled = Stop::default();
        let guard = GuardSetup { watched, notes: guarded, canceller, stops: stops.clone(), stalled: stalled.clone() };
        others.push(guard::start(guard)?);
        let keep = KeepSetup {
            events: cold.events,
            executed,
            audit,
            markets: tables.names,
            pairs: tables.pair_names,
            shown: shown.clone(),
            collectors,
            gauges,
            verdicts,
            notes,
            controls,
            reread: reread_in,
            told: told_in,
            snapshot: snapshot.clone(),
            latencies: latencies.clone(),
            stops: stops.clone(),
            lines: line_gauge.clone(),
            unredeemed,
            clock_off,
            commands,
            changes,
            found,
            merges: merges_in,
            simulated,
            rows,
            held,
            books,
            alerts,
            crashed,
        };
        let ended: Vec<Stop> = lines_ended.into_iter().chain([detector_ended.clone()]).collect();
        let keeper = std::thread::Builder::new().name("keep".into()).spawn(move || keep::run(keep, &ended))?;
        Ok(Self {
            stop,
            told,
            snapshot,
            latencies,
            pairs: shown,
            state,
            stops,
            orders: orders_in,
            commands: commands_in,
            changes: changes_in,
            controls: words,
            lines: line_gauge,
            post,
            stalled,
            detector_ended,
            detector: Some(detector),
            keeper: Some(keeper),
            others,
            _lock: lock,
        })
    }

    /// Ends cleanly: no new plans, open ones finish, everything is written. `false` if a thread had died before.
    pub fn stop(mut self) -> bool {
        self.stop.raise();
        let mut clean = true;
        for thread in self.detector.take().into_iter().chain(self.keeper.take()).chain(self.others.drain(..)) {
            clean &= thread.join().is_ok();
        }
        clean
    }

    /// Has the detector ended by itself, or does a thread hang?
    pub fn died(&self) -> bool {
        self.is_stalled() || (self.detector_ended.raised() && !self.stop.raised())
    }

    /// Does a thread hang, so that nobody should wait for it?
    pub fn is_stalled(&self) -> bool {
        self.stalled.raised()
    }
}

fn pin(core: Option<usize>) {
    if let Some(id) = core
        && !core_affinity::set_for_current(core_affinity::CoreId { id })
    {
        tracing::warn!("core {id} of engine.cores cannot be used by this process");
    }
}

fn sources(endpoints: &Endpoints, polled: bool, config: &Config, idle: Idle) -> Vec<String> {
    let kalshi = if polled {
        format!(
            "Kalshi      {} every {} ms: no key, so public REST is polled; latency figures are not representative",
            endpoints.kalshi_rest,
            config.feed.kalshi_poll.raw() / 1_000_000
        )
    } else {
        format!("Kalshi      {}", endpoints.kalshi_ws)
    };
    let idle = match idle {
        Idle::Spin => "hot threads spin",
        Idle::Yield => "hot threads yield",
        Idle::Park => "hot threads sleep when idle: this host has fewer free cores than hot threads, or was told so",
    };
    vec![kalshi, format!("Polymarket  {}", endpoints.polymarket_ws), idle.into()]
}
