//! `orion run`: in the mode that was promoted to. Paper: real prices, fills on paper, no sender exists. Alert: real
//! keys, read only. Live: real orders, once somebody has armed it.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Args;

use super::{
    Done, Fault, Global, Signals, alerts, log_to_stderr,
    passphrase::{self, KeyArgs},
    promote,
    screen::{Screen, Style},
    settings,
    shown::Shown,
    span,
};
use crate::{
    config::Config,
    pairing::PairBook,
    run::{
        boot::{Endpoints, Engine, Start},
        catalogue, clock,
        eligible::Finding,
        keep::Told,
        mode::{Mode, Promotion},
        ring::Stop,
        sign::Signing,
        trading::Wired,
    },
    venue::polymarket::contract::Chain,
    watch::{
        alert,
        control::{self, Handles},
    },
};

#[derive(Args, Debug)]
pub struct RunArgs {
    /// Simulated fills on real prices, whatever mode was promoted to; no order can be sent.
    #[arg(long)]
    dry_run: bool,
    /// Fill opportunities by itself: on paper, or for real once it is armed. The bare flag means true.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    auto_execute: Option<bool>,
    /// End after this long: 90s, 10m, 1h30m.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    duration: Option<Duration>,
    #[command(flatten)]
    keys: KeyArgs,
    /// One plain line each, for grep.
    #[arg(long)]
    plain: bool,
    /// One JSON object a line.
    #[arg(long, conflicts_with = "plain")]
    json: bool,
}

pub fn run(global: &Global, args: &RunArgs) -> Done {
    let mode = if args.dry_run {
        Mode::Paper
    } else {
        Promotion::read(&settings(global, Vec::new())?.config.engine.state_dir)?.mode
    };
    let mut flags = Vec::new();
    match args.auto_execute {
        // Whatever else says otherwise: this mode shows what it would have taken.
        _ if mode == Mode::Alert => flags.push(("trading.auto_execute".into(), "false".into(), "alert mode".into())),
        Some(auto) => flags.push(("trading.auto_execute".into(), auto.to_string(), "--auto-execute".into())),
        None => {}
    }
    let loaded = settings(global, flags)?;
    let limits = loaded.limits_print();
    let config = &loaded.config;
    log_to_stderr(config.log.level);
    let signals = Signals::install()?;
    let pairs = PairBook::load(&config.pairs.file).map_err(|e| Fault::Config(e.to_string()))?;
    let (signing, voice) = passphrase::signing_and_voice(config, args.keys)?;
    let telling = alerts::settings(&loaded, mode, &pairs, voice);
    let style = style(args.plain, args.json);
    let endpoints = Endpoints::production();
    let wired = match (mode, &signing) {
        (Mode::Alert | Mode::Live, Some(signing)) if signing.customer.is_some() => {
            Some(Wired::sign_in(&endpoints, signing, Chain::Polygon, mode == Mode::Alert)?)
        }
        (Mode::Alert | Mode::Live, _) => {
            return Err(Fault::Gate(format!(
                "{} mode needs the keys of both venues: put them in with `orion secrets import`, or start with --dry-run",
                mode.name()
            )));
        }
        _ => None,
    };
    let findings = match (&signing, &wired) {
        (Some(signing), Some(wired)) => eligible(config, &endpoints, signing, wired)?,
        _ => Vec::new(),
    };
    if style == Style::Human {
        say!("{}", headline(mode));
        if pairs.pairs().is_empty() {
            say!(
                "No pair is approved in {}: nothing can trade. Its comments say how to add one.",
                config.pairs.file.display()
            );
        }
        if !config.trading.auto_execute && mode != Mode::Alert {
            say!("Auto-execute is off: opportunities are shown, not filled. Add: --auto-execute true");
        }
    }
    let listed = catalogue::read(&endpoints, &pairs)?;
    let start = Start {
        guarded: (mode == Mode::Live).then_some(limits),
        signing,
        wired,
        findings,
        places: telling.places(),
        ..Start::new(mode, loaded, endpoints, pairs, listed)
    };
    let engine = Engine::start(start)?;
    let mut screen = Screen::new(style);
    let clean = attend(engine, &signals, args.duration, Some(telling), |told| show(&mut screen, told))?;
    if clean { Ok(()) } else { Err(Fault::Failed(anyhow::anyhow!("a thread of the engine ended before its time"))) }
}

/// What the mode means, in one line.
const fn headline(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "LIVE — real prices, real orders, once it is armed: orion arm. Stop everything with: orion kill",
        Mode::Alert => "ALERT — real prices, real accounts, read only. No order can be sent.",
        Mode::Paper | Mode::Demo | Mode::Record => "PAPER — real prices, simulated fills. No order can be sent.",
    }
}

/// What both accounts may do, asked before the first order. What stops is named with its fix, and nothing starts.
pub fn eligible(
    config: &Config,
    endpoints: &Endpoints,
    signing: &Signing,
    wired: &Wired,
) -> Result<Vec<Finding>, Fault> {
    let (findings, unasked) = promote::inquire(config, endpoints, signing, wired)?;
    for error in &unasked {
        eprintln!("note: what an account may do could not be asked: {}", Shown(error));
    }
    let stopping: Vec<_> = findings.iter().filter(|finding| finding.stops().is_some()).collect();
    if stopping.is_empty() {
        return Ok(findings);
    }
    let lines: Vec<_> = stopping.iter().map(|finding| format!("\n  {finding}")).collect();
    Err(Fault::Gate(format!("nothing could be opened, so nothing is started:{}", lines.concat())))
}

/// The style that the flags ask for.
pub const fn style(plain: bool, json: bool) -> Style {
    match (plain, json) {
        (true, _) => Style::Plain,
        (_, true) => Style::Json,
        _ => Style::Human,
    }
}

/// Prints the line for what was told, if there is one.
pub fn show(screen: &mut Screen, told: &Told) -> anyhow::Result<()> {
    if let Some(line) = screen.line(told, clock::unix().raw(), clock::now()) {
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}

/// Shows what a running engine tells until a signal or the end of `duration`; then ends it cleanly.
pub fn attend(
    mut engine: Engine,
    signals: &Signals,
    duration: Option<Duration>,
    telling: Option<alert::Settings>,
    mut tell: impl FnMut(&Told) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    for source in engine.snapshot.lock().map(|s| s.sources.clone()).unwrap_or_default() {
        tracing::info!("{source}");
    }
    let stop = Stop::default();
    let handles = Handles {
        status: engine.snapshot.clone(),
        latencies: engine.latencies.clone(),
        stops: engine.stops.clone(),
        lines: engine.lines.clone(),
        orders: engine.orders.clone(),
        commands: engine.commands.clone(),
    };
    let teller = match (telling, engine.post.take()) {
        (Some(settings), Some(post)) => Some(alert::start(settings, post, Arc::new(alerts::Phone(handles.clone())))?),
        _ => None,
    };
    let control = control::start(&engine.state, handles, stop.clone())?;
    let began = clock::now();
    let over =
        |now: crate::unit::Nanos| duration.is_some_and(|span| span.as_nanos() <= u128::from(now.since(began).raw()));
    let mut outcome = Ok(());
    while outcome.is_ok() && !signals.stop() && !over(clock::now()) && !engine.died() {
        if signals.take_dump() {
            dump(&engine);
        }
        if let Ok(told) = engine.told.recv_timeout(Duration::from_millis(100)) {
            outcome = tell(&told);
        }
    }
    let told = engine.told.clone();
    let died = engine.died();
    // A thread that hangs ends with the process, and with nothing else.
    let patience = if engine.is_stalled() { Duration::from_millis(200) } else { Duration::from_secs(20) };
    let clean = stop_within(engine, patience) && !died;
    while let (true, Ok(last)) = (outcome.is_ok(), told.try_recv()) {
        outcome = tell(&last);
    }
    stop.raise();
    let _ = control.join();
    // It ends with the keeper's last word; where the keeper hangs, it ends with the process.
    if let Some(teller) = teller.filter(|_| clean) {
        let _ = teller.join();
    }
    outcome.map(|()| clean)
}

/// Ends the engine; a thread that does not end within `patience` is left to the end of the process.
fn stop_within(engine: Engine, patience: Duration) -> bool {
    static CLEAN: AtomicBool = AtomicBool::new(false);
    let ending = std::thread::Builder::new().name("ending".into()).spawn(move || {
        CLEAN.store(engine.stop(), Ordering::Release);
    });
    let Ok(ending) = ending else { return false };
    let until = clock::now().raw() + patience.as_nanos() as u64;
    while !ending.is_finished() && clock::now().raw() < until {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    ending.is_finished() && CLEAN.load(Ordering::Acquire)
}

/// SIGUSR1: latency by stage, to standard error and to `latency.txt` in the state directory.
fn dump(engine: &Engine) {
    let Ok(table) = engine.latencies.lock().map(|l| l.table()) else { return };
    eprint!("{table}");
    let path = engine.state.join("latency.txt");
    if let Err(e) = std::fs::write(&path, &table) {
        tracing::warn!("{} cannot be written: {e}", path.display());
    }
}
