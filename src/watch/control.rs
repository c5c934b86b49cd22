//! The control socket: how `status`, and later every command, reaches a running engine. A Unix socket of mode 0600 in
//! the state directory; one JSON object a line each way.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context as _;
use crossbeam::channel::{Sender, bounded};
use serde::{Deserialize, Serialize};

use crate::{
    run::{
        clock, keep::Ordered, latency::Latencies, lines::LineGauge, ring::Stop, snapshot::Snapshot, stops::Stops,
        treasury,
    },
    unit::{Money, Nanos},
};

/// A request is one short line.
const REQUEST_MAX: u64 = 4_096;
const PATIENCE: Duration = Duration::from_secs(2);
/// A command waits so long for the engine to show that it took effect.
const WAIT: Nanos = Nanos::secs(1);
/// A transfer is answered by the venue, or not at all.
const TRANSFER_WAIT: Duration = Duration::from_secs(12);
/// What a kill waits before it is measured.
const SETTLE: Duration = Duration::from_millis(300);

/// What may be asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    Status,
    Latency,
    /// No new plans.
    Pause,
    /// Nothing that raises risk; what is naked is closed.
    Kill,
    /// The same, and everything held is sold within the configured loss.
    Flatten,
    /// Pause and latch are lifted.
    Resume,
    /// A kill that is measured and lifted again at once. Refused while the engine is paused or halted.
    Drill,
    /// Live orders may leave from here on. Refused while anything stands against it.
    Arm,
    /// No live order is approved any more; what is open is managed on.
    Disarm,
    /// Move cash between two shards of Kalshi's; micro-dollars.
    Transfer {
        from: u8,
        to: u8,
        amount: i64,
    },
}

impl Request {
    /// The command's name and what it was given, for the audit trail; `None` for questions.
    fn ordered(self) -> Option<(&'static str, String)> {
        let plain = |name| Some((name, String::new()));
        match self {
            Self::Status | Self::Latency => None,
            Self::Pause => plain("pause"),
            Self::Kill => plain("kill"),
            Self::Flatten => plain("flatten"),
            Self::Resume => plain("resume"),
            Self::Drill => plain("drill"),
            Self::Arm => plain("arm"),
            Self::Disarm => plain("disarm"),
            Self::Transfer { from, to, amount } => {
                Some(("transfer", format!("{} from shard {from} to shard {to}", Money::micros(amount))))
            }
        }
    }
}

/// What is answered.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    Status { status: Box<Snapshot> },
    Latency { table: String },
    Stopped { report: Report },
    Done { state: String },
    Refused { why: String },
}

impl Answer {
    /// In a few words, for the audit trail.
    fn result(&self) -> String {
        match self {
            Self::Status { .. } | Self::Latency { .. } => "told".into(),
            Self::Stopped { .. } => "halted".into(),
            Self::Done { state } => state.clone(),
            Self::Refused { why } => format!("refused: {why}"),
        }
    }
}

/// What a kill came to, measured where it is done. Times are microseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Report {
    /// From reading the command to the fallen latch.
    pub latched_us: u64,
    /// From the fallen latch to the last entry handed to a connection after it; `None` where there was none.
    pub entry_us: Option<u64>,
    /// The same for the last hedge or cancel.
    pub safety_us: Option<u64>,
    /// Entries that reached the sender and were held back there, since the start.
    pub held_back: u64,
    /// Could the latch's file be written? Without it a restart would not know.
    pub kept: bool,
}

/// What a running engine hands to its control socket.
#[derive(Clone)]
pub struct Handles {
    pub status: Arc<Mutex<Snapshot>>,
    pub latencies: Arc<Mutex<Latencies>>,
    pub stops: Stops,
    /// Of the thread that sends orders, where there is one.
    pub lines: Option<Arc<LineGauge>>,
    /// For transfers between Kalshi's shards.
    pub orders: Sender<treasury::Order>,
    /// For the audit trail.
    pub commands: Sender<Ordered>,
}

/// The socket's place below a state directory.
pub fn path(state: &Path) -> PathBuf {
    state.join("control.sock")
}

/// Serves requests until stopped. The socket file goes with the engine.
pub fn start(state: &Path, handles: Handles, stop: Stop) -> anyhow::Result<JoinHandle<()>> {
    let path = path(state);
    if UnixStream::connect(&path).is_ok() {
        anyhow::bail!(
            "an engine is running already on {}; stop it first, or use another state directory",
            path.display()
        );
    }
    // A socket that nobody answers is what a killed engine left behind.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| format!("cannot open {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
        while !stop.raised() {
            match listener.accept() {
                Ok((stream, _)) => {
                    // A client that breaks off or stays silent harms only itself.
                    let _ = serve(&stream, &handles);
                }
                Err(_) => std::thread::park_timeout(Duration::from_millis(50)),
            }
        }
        let _ = std::fs::remove_file(&path);
    })?;
    Ok(thread)
}

fn serve(stream: &UnixStream, handles: &Handles) -> anyhow::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(REQUEST_MAX)).read_line(&mut line)?;
    let answer = match serde_json::from_str::<Request>(&line) {
        Ok(request) => handles.execute(request, "control socket"),
        Err(e) => Answer::Refused { why: format!("not a request this version knows: {e}") },
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    (&*stream).write_all(&text)?;
    Ok(())
}

impl Handles {
    /// Does what is asked; what was ordered becomes a row of the audit trail.
    pub fn execute(&self, request: Request, who: &str) -> Answer {
        let answer = match request {
            Request::Status => Answer::Status { status: Box::new(self.status()) },
            Request::Latency => Answer::Latency { table: self.latencies.lock().map(|l| l.table()).unwrap_or_default() },
            Request::Pause => self.done(self.stops.pause(), "paused"),
            Request::Resume => self.done(self.stops.resume(), "active"),
            Request::Kill => Answer::Stopped { report: self.kill(Stops::halt_by_person) },
            Request::Flatten => Answer::Stopped { report: self.kill(Stops::flatten) },
            Request::Drill if self.status().state != "active" => Answer::Refused {
                why: format!("the engine is {}: a drill would lift that; resume first", self.status().state),
            },
            Request::Drill => {
                let report = self.kill(Stops::halt_by_person);
                match self.stops.resume() {
                    Ok(()) => Answer::Stopped { report },
                    Err(e) => Answer::Refused { why: format!("drilled, but the latch cannot be lifted: {e}") },
                }
            }
            Request::Arm => self.arm(),
            Request::Disarm if !self.stops.wants_arming() => {
                Answer::Refused { why: "this engine sends no live orders: there is nothing to disarm".into() }
            }
            Request::Disarm => self.armed(self.stops.disarm(), false),
            Request::Transfer { from, to, amount } => self.transfer(from, to, Money::micros(amount)),
        };
        if let Some((command, args)) = request.ordered() {
            let ordered = Ordered { at: clock::unix(), who: who.into(), command, args, result: answer.result() };
            // A keeper that does not keep up loses the row, never the command.
            let _ = self.commands.try_send(ordered);
        }
        answer
    }

    fn status(&self) -> Snapshot {
        self.status.lock().map(|s| s.clone()).unwrap_or_default()
    }

    /// Arms, unless something stands against it.
    fn arm(&self) -> Answer {
        let status = self.status();
        let refused = |why: String| Answer::Refused { why };
        if !self.stops.wants_arming() {
            return refused(format!("{} mode sends no live orders: there is nothing to arm", status.mode));
        }
        if status.state != "active" {
            let why = status.latch.unwrap_or_else(|| status.state.clone());
            return refused(format!("the engine is {} ({why}): orion resume first", status.state));
        }
        if status.agrees != Some(true) {
            return refused("orders and positions were not found to agree with both venues yet".into());
        }
        if let Some(finding) = status.findings.iter().find(|finding| finding.starts_with('✘')) {
            return refused(finding.clone());
        }
        if !status.auto_execute {
            return refused("trading.auto_execute is off: nothing would be sent".into());
        }
        self.armed(self.stops.arm(), true)
    }

    fn armed(&self, done: std::io::Result<()>, wanted: bool) -> Answer {
        if let Err(e) = done {
            return Answer::Refused { why: format!("the state directory cannot be written: {e}") };
        }
        self.wait(|status| status.armed == Some(wanted));
        Answer::Done { state: if wanted { "armed".into() } else { "disarmed".into() } }
    }

    fn transfer(&self, from: u8, to: u8, amount: Money) -> Answer {
        if amount <= Money::ZERO {
            return Answer::Refused { why: "an amount is more than nothing".into() };
        }
        let (answer, answered) = bounded(1);
        let order = treasury::Order { from, to, amount, answer };
        if self.orders.try_send(order).is_err() {
            return Answer::Refused { why: "this engine has no accounts to move cash in".into() };
        }
        match answered.recv_timeout(TRANSFER_WAIT) {
            Ok(Ok(state)) => Answer::Done { state },
            Ok(Err(why)) => Answer::Refused { why },
            Err(_) => Answer::Refused {
                why: "no answer yet: it may still be made; look at the balances before asking again".into(),
            },
        }
    }

    fn done(&self, done: std::io::Result<()>, wanted: &str) -> Answer {
        if let Err(e) = done {
            return Answer::Refused { why: format!("the state directory cannot be written: {e}") };
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

    fn kill(&self, halt: impl Fn(&Stops) -> std::io::Result<()>) -> Report {
        let began = clock::now();
        let kept = halt(&self.stops).is_ok();
        let fell = self.stops.fallen.since().unwrap_or(began);
        self.wait(|status| status.state == "halted");
        // Cancels and hedges of what stood have a moment to leave.
        std::thread::park_timeout(SETTLE);
        let gauge = self.lines.as_deref();
        let after = |at: Option<&AtomicU64>| {
            let at = Nanos::new(at.map_or(0, |at| at.load(Ordering::Relaxed)));
            (fell < at).then(|| at.since(fell).raw() / 1_000)
        };
        Report {
            latched_us: fell.since(began).raw() / 1_000,
            entry_us: after(gauge.map(|g| &g.entry_at)),
            safety_us: after(gauge.map(|g| &g.safety_at)),
            held_back: gauge.map_or(0, |g| g.held_back.load(Ordering::Relaxed)),
            kept,
        }
    }
}

/// Asks a running engine. `None` if none answers there.
pub fn ask(state: &Path, request: Request) -> anyhow::Result<Option<Answer>> {
    let Ok(mut stream) = UnixStream::connect(path(state)) else { return Ok(None) };
    stream.set_read_timeout(Some(PATIENCE + TRANSFER_WAIT))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_string(&request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut text = String::new();
    BufReader::new(stream).read_line(&mut text).context("the engine did not answer")?;
    Ok(Some(serde_json::from_str(&text).context("the engine answered in a way this version does not know")?))
}
