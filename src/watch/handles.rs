//! The one way by which people change a running engine: terminal, page, chat and signals all end here, and every
//! command becomes a row of the audit trail.
//!
//! The process outlives its engine: stopped from the page, it still answers and can be started again. What stops trading
//! works in every state; where no engine runs it lays down the file that the next start reads.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    command::{Answer, Open, Report, Request},
    keyring::{Keyring, Purpose},
};
use crate::{
    config::edit::Change,
    decide::Rules,
    ledger::audit::{self, Audit},
    risk::Limits,
    run::{
        boot::Engine,
        clock,
        event::Control,
        keep::Ordered,
        latency::Latencies,
        lines::LineGauge,
        mode::{Mode, Promotion},
        snapshot::{PairShown, Snapshot},
        stops::{self, Stopping, Stops},
        treasury,
    },
    unit::{Money, Nanos, UnixMs},
};
use crossbeam::channel::{Receiver, Sender, bounded};

/// A command waits so long for the engine to show that it took effect.
const WAIT: Nanos = Nanos::secs(1);
/// A transfer is answered by the venue, or not at all.
pub const TRANSFER_WAIT: Duration = Duration::from_secs(12);
/// What a kill waits before it is measured.
const SETTLE: Duration = Duration::from_millis(300);

/// What reaches a running engine.
struct Reach {
    status: Arc<Mutex<Snapshot>>,
    latencies: Arc<Mutex<Latencies>>,
    stops: Stops,
    /// Of the thread that sends orders, where there is one.
    lines: Option<Arc<LineGauge>>,
    /// For transfers between Kalshi's shards.
    orders: Sender<treasury::Order>,
    /// For the audit trail.
    commands: Sender<Ordered>,
    controls: Sender<Control>,
    pairs: Arc<Mutex<Vec<PairShown>>>,
    changes: Sender<audit::ConfigChange>,
}

/// Where the process's engine is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    Starting,
    Running,
    Stopping,
    Stopped,
}

impl Phase {
    /// The word on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// What a person wants of the process, for whoever holds its engine.
#[derive(Debug)]
pub enum Wanted {
    Start(Sender<Result<(), String>>),
    Stop(Sender<Result<(), String>>),
}

/// The hand on a process's engine, whether or not it runs. Clones share it.
#[derive(Clone)]
pub struct Handles(Arc<Inner>);

struct Inner {
    mode: Mode,
    /// The state directory of this mode, and the one of all modes.
    state: PathBuf,
    states: PathBuf,
    phase: Mutex<Phase>,
    engine: Mutex<Option<Reach>>,
    /// What the last engine told last.
    last: Mutex<Snapshot>,
    wanted: Sender<Wanted>,
    keys: Keyring,
    /// Where the page is, once it is served.
    page: Mutex<Option<String>>,
}

/// A value behind a lock that a panic may have poisoned: its last state is still the best there is.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handles {
    /// For a process of this mode; what a person wants of it comes out of the other end.
    pub fn new(mode: Mode, states: &Path) -> anyhow::Result<(Self, Receiver<Wanted>)> {
        let (wanted, wants) = bounded(4);
        let state = states.join(mode.name());
        let inner = Inner {
            mode,
            last: Mutex::new(before_the_first(mode, &state)),
            keys: Keyring::open(&state.join("tokens.json"))?,
            state,
            states: states.into(),
            phase: Mutex::new(Phase::Starting),
            engine: Mutex::new(None),
            wanted,
            page: Mutex::default(),
        };
        Ok((Self(Arc::new(inner)), wants))
    }

    /// An engine runs.
    pub fn attach(&self, engine: &Engine) {
        *held(&self.0.engine) = Some(Reach {
            status: engine.snapshot.clone(),
            latencies: engine.latencies.clone(),
            stops: engine.stops.clone(),
            lines: engine.lines.clone(),
            orders: engine.orders.clone(),
            commands: engine.commands.clone(),
            controls: engine.controls.clone(),
            pairs: engine.pairs.clone(),
            changes: engine.changes.clone(),
        });
        self.enter(Phase::Running);
    }

    /// It is about to end: what it said last stays to be read.
    pub fn detach(&self) {
        if let Some(reach) = held(&self.0.engine).take() {
            *held(&self.0.last) = held(&reach.status).clone();
        }
    }

    /// The engine's last word, once it has ended.
    pub fn remember(&self, last: Snapshot) {
        *held(&self.0.last) = last;
    }

    pub fn enter(&self, phase: Phase) {
        *held(&self.0.phase) = phase;
    }

    pub fn phase(&self) -> Phase {
        *held(&self.0.phase)
    }

    pub fn mode(&self) -> Mode {
        self.0.mode
    }

    /// The state directory of this mode.
    pub fn state(&self) -> &Path {
        &self.0.state
    }

    /// The one of all modes.
    pub fn states(&self) -> &Path {
        &self.0.states
    }

    pub fn keys(&self) -> &Keyring {
        &self.0.keys
    }

    /// The page is served here.
    pub fn serve_at(&self, url: String) {
        *held(&self.0.page) = Some(url);
    }

    /// What the engine last told; where none runs, the last one's.
    pub fn status(&self) -> Snapshot {
        let mut status = held(&self.0.engine)
            .as_ref()
            .map_or_else(|| held(&self.0.last).clone(), |reach| held(&reach.status).clone());
        let phase = self.phase();
        status.engine = phase.name().into();
        if phase == Phase::Stopped {
            // What the next start finds is what holds now.
            status.state = stops::found(&self.0.state).name().into();
        }
        status
    }

    /// Latencies of the running engine.
    pub fn with_latencies<T>(&self, read: impl FnOnce(&Latencies) -> T) -> Option<T> {
        let latencies = held(&self.0.engine).as_ref().map(|reach| reach.latencies.clone())?;
        let all = held(&latencies);
        Some(read(&all))
    }

    /// Turns that the thread which sends orders has taken; `None` where there is none.
    pub fn turns(&self) -> Option<u64> {
        held(&self.0.engine).as_ref()?.lines.as_ref().map(|gauge| gauge.turns.load(Ordering::Relaxed))
    }

    /// Does what is asked and writes it down; `who` is the way by which it came.
    pub fn execute(&self, request: Request, who: &str) -> Answer {
        let answer = self.answer(request);
        if let Some((command, args)) = request.ordered() {
            self.note(who, command, args, answer.result());
        }
        answer
    }

    /// Writes a row of the audit trail. A keeper that does not keep up loses the row, never the command.
    pub fn note(&self, who: &str, command: &'static str, args: String, result: String) {
        let at = clock::unix();
        let ordered = Ordered { at, who: who.into(), command, args, result };
        let left = match held(&self.0.engine).as_ref() {
            Some(reach) => reach.commands.try_send(ordered).err().map(crossbeam::channel::TrySendError::into_inner),
            None => Some(ordered),
        };
        let Some(Ordered { who, args, result, .. }) = left else { return };
        let row = audit::Control { at, who, command: command.into(), args, result };
        if let Err(error) = Audit::note(&self.0.state.join("orion.db"), &row) {
            tracing::warn!("a command is not in the audit trail: {error}");
        }
    }

    /// Writes down that a setting was changed.
    pub fn note_setting(&self, at: UnixMs, change: &Change, origin: String) {
        let row = audit::ConfigChange {
            at,
            key: change.key.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
            origin,
        };
        let sent = held(&self.0.engine).as_ref().is_some_and(|reach| reach.changes.try_send(row).is_ok());
        if !sent {
            // The next start writes every difference to the last run down.
            tracing::info!("{} = {}: noted at the next start", change.key, change.after);
        }
    }

    /// The engine takes in rules and limits that may change while it runs; live orders wait to be armed again where more
    /// can be lost than before.
    pub fn apply(&self, rules: Rules, limits: &Limits, auto: bool, print: &str, loosens: bool) -> std::io::Result<()> {
        let Some((controls, stops)) =
            held(&self.0.engine).as_ref().map(|reach| (reach.controls.clone(), reach.stops.clone()))
        else {
            return Ok(());
        };
        let Limits { positions_max, orders_per_second, cooldown, auto_execute, .. } = *limits;
        // Disarmed first: nothing leaves under looser rules that nobody armed.
        stops.rebind(print.to_owned(), loosens)?;
        let patience = Duration::from_secs(1);
        let _ = controls.send_timeout(Control::Rules { rules, positions_max, orders_per_second, cooldown }, patience);
        if auto {
            let _ = controls.send_timeout(Control::AutoExecute { on: auto_execute }, patience);
        }
        Ok(())
    }

    /// The pairs of the running engine.
    pub fn pairs(&self) -> Vec<PairShown> {
        held(&self.0.engine).as_ref().map(|reach| held(&reach.pairs).clone()).unwrap_or_default()
    }

    fn answer(&self, request: Request) -> Answer {
        match request {
            Request::Status => Answer::Status { status: Box::new(self.status()) },
            Request::Latency => Answer::Latency { table: self.with_latencies(Latencies::table).unwrap_or_default() },
            Request::Pause => self.stop_or_lay(Stopping::Pause, Stops::pause, "paused"),
            Request::Resume => self.resume(),
            Request::Kill => self.kill(Stopping::Halt, Stops::halt_by_person),
            Request::Flatten => self.kill(Stopping::Flatten, Stops::flatten),
            Request::Drill => self.drill(),
            Request::Arm => self.arm(),
            Request::Disarm => self.disarm(),
            Request::AutoExecute { on } => self.auto_execute(on),
            Request::Demote { to } => self.demote(to),
            Request::DumpLatency => self.dump(),
            Request::Start => self.start(),
            Request::Stop { open } => self.stop(open),
            Request::Transfer { from, to, amount } => self.transfer(from, to, Money::micros(amount)),
            Request::Link { role } => {
                let Some(page) = held(&self.0.page).clone() else {
                    return refused("this process serves no page: dashboard.port is 0");
                };
                let code = self.0.keys.code(Purpose::SignIn(role), clock::unix());
                Answer::Secret { text: format!("{page}/#k={code}") }
            }
            Request::Code => Answer::Secret { text: self.0.keys.code(Purpose::Confirm, clock::unix()) },
            Request::Token { role } => match self.0.keys.token(role, clock::unix()) {
                Ok(text) => Answer::Secret { text },
                Err(error) => Answer::Refused { why: format!("the token cannot be kept: {error}") },
            },
        }
    }

    fn stops(&self) -> Option<Stops> {
        held(&self.0.engine).as_ref().map(|reach| reach.stops.clone())
    }

    fn stop_or_lay(&self, stopping: Stopping, stop: impl Fn(&Stops) -> std::io::Result<()>, wanted: &str) -> Answer {
        match self.stops() {
            Some(stops) => self.done(stop(&stops), wanted),
            None => self.done(stops::lay(&self.0.state, stopping), wanted),
        }
    }

    fn resume(&self) -> Answer {
        match self.stops() {
            Some(stops) => self.done(stops.resume(), "active"),
            None => self.done(stops::take_away(&self.0.state), "active"),
        }
    }

    fn drill(&self) -> Answer {
        let state = self.status().state;
        let Some(stops) = self.stops().filter(|_| state == "active") else {
            return refused(format!("the engine is {state}: a drill would lift that; resume first"));
        };
        let answer = self.kill(Stopping::Halt, Stops::halt_by_person);
        match stops.resume() {
            Ok(()) => answer,
            Err(e) => refused(format!("drilled, but the latch cannot be lifted: {e}")),
        }
    }

    /// Arms, unless something stands against it.
    fn arm(&self) -> Answer {
        let status = self.status();
        let Some(stops) = self.stops() else { return refused("no engine runs: start it first") };
        if !stops.wants_arming() {
            return refused(format!("{} mode sends no live orders: there is nothing to arm", status.mode));
        }
        if status.state != "active" {
            let why = status.latch.unwrap_or_else(|| status.state.clone());
            return refused(format!("the engine is {} ({why}): orion resume first", status.state));
        }
        if status.agrees != Some(true) {
            return refused("orders and positions were not found to agree with both venues yet");
        }
        if let Some(finding) = status.findings.iter().find(|finding| finding.starts_with('✘')) {
            return refused(finding.clone());
        }
        if !status.auto_execute {
            return refused("trading.auto_execute is off: nothing would be sent");
        }
        self.armed(stops.arm(), true)
    }

    fn disarm(&self) -> Answer {
        match self.stops().filter(Stops::wants_arming) {
            None => refused("this engine sends no live orders: there is nothing to disarm"),
            Some(stops) => self.armed(stops.disarm(), false),
        }
    }

    fn armed(&self, done: std::io::Result<()>, wanted: bool) -> Answer {
        if let Err(e) = done {
            return unwritten(&e);
        }
        self.wait(|status| status.armed == Some(wanted));
        Answer::Done { state: if wanted { "armed".into() } else { "disarmed".into() } }
    }

    fn auto_execute(&self, on: bool) -> Answer {
        if on && self.0.mode == Mode::Alert {
            return refused("alert mode shows what it would have taken, and sends nothing");
        }
        let sent = held(&self.0.engine).as_ref().is_some_and(|reach| {
            reach.controls.send_timeout(Control::AutoExecute { on }, Duration::from_secs(1)).is_ok()
        });
        if !sent {
            return refused("no engine runs: set trading.auto_execute, and start it");
        }
        self.wait(|status| status.auto_execute == on);
        Answer::Done { state: format!("auto-execute is {}, until the next start", if on { "on" } else { "off" }) }
    }

    fn demote(&self, to: Mode) -> Answer {
        let now = match Promotion::read(&self.0.states) {
            Ok(now) => now.mode,
            Err(error) => return refused(format!("{error:#}")),
        };
        if !matches!(to, Mode::Paper | Mode::Alert) || now <= to {
            return refused(format!("the next start is in {} mode: that is not above {}", now.name(), to.name()));
        }
        if let Some(stops) = self.stops().filter(Stops::wants_arming)
            && let Err(e) = stops.disarm()
        {
            return unwritten(&e);
        }
        match Promotion::note(&self.0.states, to, Vec::new()) {
            Ok(()) => Answer::Done {
                state: format!("the next start is in {} mode; what is held here is managed until then", to.name()),
            },
            Err(error) => refused(format!("{error:#}")),
        }
    }

    fn dump(&self) -> Answer {
        let from = UnixMs::new(self.status().started_ms);
        let written = self.with_latencies(|all| all.dump(&self.0.state, from, clock::unix()));
        match written {
            None => refused("no engine runs"),
            Some(Ok(())) => {
                Answer::Done { state: format!("latency.txt and latency.hlog are in {}", self.0.state.display()) }
            }
            Some(Err(e)) => unwritten(&e),
        }
    }

    fn start(&self) -> Answer {
        if self.phase() != Phase::Stopped {
            return refused(format!("the engine is {} already", self.phase().name()));
        }
        self.want(Wanted::Start, "started")
    }

    fn stop(&self, open: Open) -> Answer {
        if self.phase() != Phase::Running {
            return refused(format!("the engine is {}: there is nothing to stop", self.phase().name()));
        }
        if open == Open::Cancel {
            self.kill(Stopping::Halt, Stops::halt_by_person);
        }
        self.want(Wanted::Stop, "stopped; the page stays, and starts it again")
    }

    /// Asks whoever holds the engine, and waits for what came of it.
    fn want(&self, wanted: impl FnOnce(Sender<Result<(), String>>) -> Wanted, done: &str) -> Answer {
        let (answer, answered) = bounded(1);
        if self.0.wanted.try_send(wanted(answer)).is_err() {
            return refused("the process is busy with another such command");
        }
        match answered.recv_timeout(Duration::from_mins(1)) {
            Ok(Ok(())) => Answer::Done { state: done.into() },
            Ok(Err(why)) => Answer::Refused { why },
            Err(_) => refused("no answer within a minute; the log says more"),
        }
    }

    fn transfer(&self, from: u8, to: u8, amount: Money) -> Answer {
        if amount <= Money::ZERO {
            return refused("an amount is more than nothing");
        }
        let (answer, answered) = bounded(1);
        let order = treasury::Order { from, to, amount, answer };
        let sent = held(&self.0.engine).as_ref().is_some_and(|reach| reach.orders.try_send(order).is_ok());
        if !sent {
            return refused("this engine has no accounts to move cash in");
        }
        match answered.recv_timeout(TRANSFER_WAIT) {
            Ok(Ok(state)) => Answer::Done { state },
            Ok(Err(why)) => Answer::Refused { why },
            Err(_) => refused("no answer yet: it may still be made; look at the balances before asking again"),
        }
    }

    fn done(&self, done: std::io::Result<()>, wanted: &str) -> Answer {
        if let Err(e) = done {
            return unwritten(&e);
        }
        self.wait(|status| status.state == wanted);
        Answer::Done { state: self.status().state }
    }

    /// Until the engine says that it is so, or patience ends.
    fn wait(&self, reached: impl Fn(&Snapshot) -> bool) {
        let began = clock::now();
        while !reached(&self.status()) && clock::now().since(began) < WAIT {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn kill(&self, stopping: Stopping, halt: impl Fn(&Stops) -> std::io::Result<()>) -> Answer {
        let Some(stops) = self.stops() else {
            return self.done(stops::lay(&self.0.state, stopping), "halted");
        };
        let began = clock::now();
        let kept = halt(&stops).is_ok();
        let fell = stops.fallen.since().unwrap_or(began);
        self.wait(|status| status.state == "halted");
        // Cancels and hedges of what stood have a moment to leave.
        std::thread::park_timeout(SETTLE);
        let gauge = held(&self.0.engine).as_ref().and_then(|reach| reach.lines.clone());
        let after = |at: Option<&AtomicU64>| {
            let at = Nanos::new(at.map_or(0, |at| at.load(Ordering::Relaxed)));
            (fell < at).then(|| at.since(fell).raw() / 1_000)
        };
        let report = Report {
            latched_us: fell.since(began).raw() / 1_000,
            entry_us: after(gauge.as_ref().map(|g| &g.entry_at)),
            safety_us: after(gauge.as_ref().map(|g| &g.safety_at)),
            held_back: gauge.as_ref().map_or(0, |g| g.held_back.load(Ordering::Relaxed)),
            kept,
        };
        Answer::Stopped { report }
    }
}

/// What is said before an engine has said anything.
fn before_the_first(mode: Mode, state: &Path) -> Snapshot {
    let now = clock::unix().raw();
    Snapshot {
        version: env!("CARGO_PKG_VERSION").into(),
        mode: mode.name().into(),
        pid: std::process::id(),
        started_ms: now,
        at_ms: now,
        state: stops::found(state).name().into(),
        ..Snapshot::default()
    }
}

fn refused(why: impl Into<String>) -> Answer {
    Answer::Refused { why: why.into() }
}

fn unwritten(error: &std::io::Error) -> Answer {
    refused(format!("the state directory cannot be written: {error}"))
}
