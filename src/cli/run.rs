//! `orion run`: in the mode that was promoted to. Paper: real prices, fills on paper, no sender exists. Alert: real
//! keys, read only. Live: real orders, once somebody has armed it.

use std::{io::Write as _, sync::Arc, time::Duration};

use clap::Args;

use super::{
    Done, Fault, Global, Signals, alerts,
    host::{self, Host},
    logging,
    passphrase::{self, KeyArgs},
    promote,
    screen::{Screen, Style},
    settings,
    shown::Shown,
    sources, span,
};
use crate::{
    config::Config,
    pairing::PairBook,
    run::{
        boot::{self, Endpoints, Engine, Start},
        catalogue, clock,
        eligible::Finding,
        keep::Told,
        mode::{Mode, Promotion},
        sign::Signing,
        trading::Wired,
    },
    venue::polymarket::contract::Chain,
    watch::settings::Settings,
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
    let first = settings(global, flags.clone())?;
    let config = &first.config;
    let logs = logging(config.log.level, true);
    let signals = Signals::install()?;
    let (signing, voice) = passphrase::signing_and_voice(config, args.keys)?;
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
    let states = &config.engine.state_dir;
    let _lock = boot::claim(&states.join(mode.name()))?;
    let settings = Arc::new(Settings::new(sources(global, flags)));
    let style = style(args.plain, args.json);
    if style == Style::Human {
        say!("{}", headline(mode));
        if !config.trading.auto_execute && mode != Mode::Alert {
            say!("Auto-execute is off: opportunities are shown, not filled. Add: --auto-execute true");
        }
    }
    let page = host::page(config, &settings, logs, false)?;
    let host = Host::open(mode, states, Some(settings.clone()), page)?;
    if style == Style::Human {
        host.greet()?;
    }
    let telling = host.telling();
    // Settings, pairs and catalogues are read anew at every start; the keys stay where they were opened.
    let mut make = || {
        let loaded = settings.next()?;
        settings.began(&loaded);
        let pairs = PairBook::load(&loaded.config.pairs.file).map_err(|e| Fault::Config(e.to_string()))?;
        if pairs.pairs().is_empty() {
            eprintln!(
                "No pair is approved in {}: nothing can trade. Its comments say how to add one.",
                loaded.config.pairs.file.display()
            );
        }
        let findings = match (&signing, &wired) {
            (Some(signing), Some(wired)) => eligible(&loaded.config, &endpoints, signing, wired)?,
            _ => Vec::new(),
        };
        let listed = catalogue::read(&endpoints, &pairs)?;
        let told = alerts::settings(&loaded, mode, &pairs, voice.clone());
        let places = told.places();
        telling.replace(Some(told));
        let start = Start {
            guarded: (mode == Mode::Live).then(|| loaded.limits_print()),
            signing: signing.as_ref().map(Signing::lent),
            wired: wired.clone(),
            findings,
            places,
            claimed: true,
            ..Start::new(mode, loaded, endpoints.clone(), pairs, listed)
        };
        Ok(Engine::start(start)?)
    };
    let mut screen = Screen::new(style);
    let ended = host.attend(&mut make, &signals, args.duration, |told| show(&mut screen, told))?;
    if ended.clean {
        Ok(())
    } else {
        Err(Fault::Failed(anyhow::anyhow!("a thread of the engine ended before its time")))
    }
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
