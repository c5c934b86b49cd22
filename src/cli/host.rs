//! The process around an engine: it shows what the engine tells, answers its control socket and its page, and ends or
//! starts the engine when a person wants that. The page stays while no engine runs.

use std::{
    cell::RefCell,
    io::IsTerminal as _,
    path::Path,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context as _;
use crossbeam::channel::Receiver;

use super::{Fault, Signals, alerts::Phone, notify::Service};
use crate::{
    config::Config,
    run::{boot::Engine, clock, keep::Told, mode::Mode, ring::Stop, snapshot::Snapshot},
    unit::Nanos,
    watch::{
        alert,
        command::{Answer, Request},
        control,
        handles::{Handles, Phase, Wanted},
        keyring::Role,
        log::Logs,
        settings::Settings,
        web,
    },
};

/// How the process's engine is made: at first, and whenever a person starts it again.
pub type Make<'a> = &'a mut dyn FnMut() -> Result<Engine, Fault>;

/// A process that can be reached, with or without an engine.
pub struct Host {
    pub handles: Handles,
    wants: Receiver<Wanted>,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
    /// Read anew on SIGHUP.
    settings: Option<Arc<Settings>>,
    /// Whom the next engine's alerts go to.
    telling: Telling,
    /// The thread that tells people of the engine that runs.
    teller: RefCell<Option<JoinHandle<()>>>,
}

/// Filled by whoever makes an engine, and emptied when that engine begins.
pub type Telling = Rc<RefCell<Option<alert::Settings>>>;

/// What an engine came to.
pub struct Ended {
    /// Did every thread end as it should?
    pub clean: bool,
    pub last: Snapshot,
    /// Fills of engines before the last one in this process.
    pub fills_before: u64,
}

impl Host {
    /// Opens the control socket in the state directory of a mode, which is there, and serves the page if there is one
    /// to serve.
    pub fn open(
        mode: Mode,
        states: &Path,
        settings: Option<Arc<Settings>>,
        page: Option<web::Setup>,
    ) -> anyhow::Result<Self> {
        let state = states.join(mode.name());
        let (handles, wants) = Handles::new(mode, states)?;
        let stop = Stop::default();
        let mut threads = vec![control::start(&state, handles.clone(), stop.clone())?];
        if let Some(page) = page {
            threads.push(web::start(page, handles.clone(), stop.clone())?);
        }
        let (telling, teller) = (Telling::default(), RefCell::default());
        Ok(Self { handles, wants, stop, threads, settings, telling, teller })
    }

    /// Where to say whom an engine's alerts go to.
    pub fn telling(&self) -> Telling {
        Rc::clone(&self.telling)
    }

    /// Where the page is, on a terminal alone: the link signs whoever has it in.
    pub fn greet(&self) -> std::io::Result<()> {
        if !std::io::stdout().is_terminal() {
            return Ok(());
        }
        if let Answer::Secret { text } = self.handles.execute(Request::Link { role: Role::Operator }, "start") {
            say!("  Dashboard       {text}   (one-time link; a new one: orion dashboard)");
        }
        Ok(())
    }

    /// Shows what engines tell until a signal or the end of `duration`; then ends the last one cleanly.
    pub fn attend(
        self,
        mut make: Make<'_>,
        signals: &Signals,
        duration: Option<Duration>,
        mut tell: impl FnMut(&Told) -> anyhow::Result<()>,
    ) -> Result<Ended, Fault> {
        let service = Service::start(self.handles.clone(), self.stop.clone()).map_err(anyhow::Error::from)?;
        let mut engine = Some(self.start(&mut make)?);
        service.ready();
        let began = clock::now();
        let over = |now: Nanos| duration.is_some_and(|span| span.as_nanos() <= u128::from(now.since(began).raw()));
        let mut ended = Ended { clean: true, last: Snapshot::default(), fills_before: 0 };
        let mut outcome = Ok(());
        while outcome.is_ok() && !signals.stop() && !over(clock::now()) && !engine.as_ref().is_some_and(Engine::died) {
            service.turn();
            if signals.take_dump() {
                self.dump();
            }
            if signals.take_reload() {
                service.reload(|| self.reload());
            }
            match &engine {
                Some(engine) => {
                    if let Ok(told) = engine.told.recv_timeout(Duration::from_millis(100)) {
                        outcome = tell(&told);
                    }
                }
                None => std::thread::park_timeout(Duration::from_millis(100)),
            }
            match (self.wants.try_recv(), engine.take()) {
                (Ok(Wanted::Stop(answer)), Some(running)) => {
                    outcome = outcome.and(self.end(running, &mut ended, &mut tell));
                    ended.fills_before += ended.last.fills;
                    let clean = if ended.clean { Ok(()) } else { Err("a thread did not end as it should".into()) };
                    let _ = answer.send(clean);
                }
                (Ok(Wanted::Start(answer)), None) => {
                    let started = self.start(&mut make);
                    let _ = answer.send(started.as_ref().map(|_| ()).map_err(Fault::text));
                    engine = started.ok();
                }
                (Ok(Wanted::Stop(answer)), None) => _ = answer.send(Err("no engine runs".into())),
                (Ok(Wanted::Start(answer)), kept) => {
                    let _ = answer.send(Err("an engine runs already".into()));
                    engine = kept;
                }
                (Err(_), kept) => engine = kept,
            }
        }
        if signals.stop() {
            self.handles.note("signal", "terminate", String::new(), "the process ends".into());
        }
        service.stopping();
        match engine {
            Some(engine) => outcome = outcome.and(self.end(engine, &mut ended, &mut tell)),
            None => ended.fills_before -= ended.last.fills,
        }
        self.stop.raise();
        for thread in self.threads {
            let _ = thread.join();
        }
        outcome?;
        Ok(ended)
    }

    fn start(&self, make: &mut Make<'_>) -> Result<Engine, Fault> {
        self.handles.enter(Phase::Starting);
        match make() {
            Ok(mut engine) => {
                self.handles.attach(&engine);
                if let (Some(settings), Some(post)) = (self.telling.take(), engine.post.take()) {
                    let phone = Arc::new(Phone(self.handles.clone()));
                    self.teller.replace(Some(alert::start(settings, post, phone)?));
                }
                for source in engine.snapshot.lock().map(|s| s.sources.clone()).unwrap_or_default() {
                    tracing::info!("{source}");
                }
                Ok(engine)
            }
            Err(fault) => {
                self.handles.enter(Phase::Stopped);
                Err(fault)
            }
        }
    }

    /// Ends an engine, and shows what it tells to its end.
    fn end(
        &self,
        engine: Engine,
        ended: &mut Ended,
        tell: &mut impl FnMut(&Told) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.handles.enter(Phase::Stopping);
        self.handles.detach();
        let (told, snapshot, died) = (engine.told.clone(), engine.snapshot.clone(), engine.died());
        // A thread that hangs ends with the process, and with nothing else.
        let patience = if engine.is_stalled() { Duration::from_millis(200) } else { Duration::from_secs(20) };
        let clean = stop_within(engine, patience) && !died;
        ended.clean &= clean;
        // It ends with the keeper's last word; where the keeper hangs, it ends with the process.
        if let Some(teller) = self.teller.take().filter(|_| clean) {
            let _ = teller.join();
        }
        let mut outcome = Ok(());
        while let (true, Ok(last)) = (outcome.is_ok(), told.try_recv()) {
            outcome = tell(&last);
        }
        ended.last = last(&snapshot);
        self.handles.remember(ended.last.clone());
        self.handles.enter(Phase::Stopped);
        outcome
    }

    /// SIGHUP: settings are read anew; what cannot change while the engine runs waits for the next start.
    fn reload(&self) {
        let Some(settings) = &self.settings else { return };
        match settings.reload(&self.handles, "SIGHUP") {
            Ok(changes) => {
                for change in &changes {
                    let (key, before, after) = (&change.key, &change.before, &change.after);
                    tracing::info!("{key}: {before} becomes {after}, {}", change.applies.name());
                }
                self.handles.note("SIGHUP", "reload", String::new(), format!("{} settings differ", changes.len()));
            }
            Err(error) => {
                tracing::error!("settings were not reloaded, and nothing has changed:\n{}", error.render(false));
                self.handles.note("SIGHUP", "reload", String::new(), "refused: the settings are not sound".into());
            }
        }
    }

    /// SIGUSR1: latency by stage, to standard error and into the state directory.
    fn dump(&self) {
        if let Some(table) = self.handles.with_latencies(crate::run::latency::Latencies::table) {
            eprint!("{table}");
        }
        let answer = self.handles.execute(Request::DumpLatency, "SIGUSR1");
        if !answer.is_done() {
            tracing::warn!("{}", answer.result());
        }
    }
}

fn last(snapshot: &Arc<Mutex<Snapshot>>) -> Snapshot {
    snapshot.lock().map(|status| status.clone()).unwrap_or_default()
}

/// Ends the engine; a thread that does not end within `patience` is left to the end of the process.
fn stop_within(engine: Engine, patience: Duration) -> bool {
    let clean = Arc::new(AtomicBool::new(false));
    let told = clean.clone();
    let ending = std::thread::Builder::new().name("ending".into()).spawn(move || {
        told.store(engine.stop(), Ordering::Release);
    });
    let Ok(ending) = ending else { return false };
    let until = clock::now().raw() + patience.as_nanos() as u64;
    while !ending.is_finished() && clock::now().raw() < until {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    ending.is_finished() && clean.load(Ordering::Acquire)
}

/// An engine that is made once and never started again: recordings, the rebuilt journal.
pub fn attend(
    engine: Engine,
    mode: Mode,
    states: &Path,
    signals: &Signals,
    duration: Option<Duration>,
    tell: impl FnMut(&Told) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let mut once = Some(engine);
    let mut make = || once.take().context("this command's engine is started once").map_err(Fault::from);
    let host = Host::open(mode, states, None, None)?;
    match host.attend(&mut make, signals, duration, tell) {
        Ok(ended) => Ok(ended.clean),
        Err(Fault::Failed(error)) => Err(error),
        Err(fault) => Err(anyhow::anyhow!(fault.text())),
    }
}

/// What the page is served with; `None` where `dashboard.port` is 0. With `any_port` another one is taken where that is
/// in use.
pub fn page(
    config: &Config,
    settings: &Arc<Settings>,
    logs: Logs,
    any_port: bool,
) -> Result<Option<web::Setup>, Fault> {
    let Some(port) = config.dashboard.port else { return Ok(None) };
    let listener = match web::bind(port) {
        Err(_) if any_port => web::bind(0),
        bound => bound,
    };
    let listener = listener.map_err(|error| {
        Fault::Config(format!(
            "orion: the page cannot be served on 127.0.0.1:{port} ({error}): is another engine running? Set \
             dashboard.port to another one, or to 0 for no page"
        ))
    })?;
    Ok(Some(web::Setup { listener, logs, settings: settings.clone(), pairs_file: config.pairs.file.clone() }))
}
