//! `orion demo`: the engine against two simulated exchanges, over their real wire protocols, on loopback.
//!
//! Orders leave over the same path as with real money: signed with generated keys, sent over TLS, answered by exchanges
//! that check every signature. At the end everything is counted a second time: see [`check`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;

mod check;

use check::Check;

use super::{
    Done, Fault, Global, Signals,
    host::{self, Host},
    logging,
    run::{eligible, show, style},
    screen::{Screen, Style},
    settings,
    shown::Shown,
    sources, span,
};
use crate::{
    run::{
        boot::{self, Engine, Start},
        catalogue, given,
        keep::Told,
        mode::Mode,
        sign::{self, Keys},
        snapshot::Snapshot,
        stops,
        trading::Wired,
    },
    sim::serve::Running,
    unit::Money,
    venue::polymarket::contract::Chain,
    watch::settings::Settings,
};

#[derive(Args, Debug)]
pub struct DemoArgs {
    /// The world's seed: the same one brings the same prices.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// End after this long (wall time): 90s, 10m. Without it: until Ctrl-C.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    duration: Option<Duration>,
    /// How much faster than the clock the simulated world runs (1 to 1000). The engine's limits stay as they are.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    speed: u32,
    /// Break market-data connections in every way that venues and networks do.
    #[arg(long)]
    chaos: bool,
    /// As live does: wait until somebody arms it (orion arm --mode demo), begin with the smallest orders, come up
    /// halted after a crash.
    #[arg(long)]
    rehearse: bool,
    /// One plain line each, for grep.
    #[arg(long)]
    plain: bool,
    /// One JSON object a line; the last one is the summary.
    #[arg(long, conflicts_with = "plain")]
    json: bool,
    /// Use the exchanges that `orion sim --dir FOLDER` serves instead of embedded ones.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["seed", "speed", "chaos"])]
    sim: Option<PathBuf>,
    /// Go on from where the last demo on these exchanges ended, however it ended, instead of beginning anew.
    #[arg(long, requires = "sim")]
    resume: bool,
}

pub fn run(global: &Global, args: &DemoArgs) -> Done {
    // The demo trades by itself, and tells its cold threads' log only where it is asked for.
    let flags = vec![("trading.auto_execute".into(), "true".into(), "demo".into())];
    let first = settings(global, flags.clone())?;
    let config = &first.config;
    let logs = logging(config.log.level, global.log_level.is_some());
    let signals = Signals::install()?;
    let states = &config.engine.state_dir;
    let state = states.join("demo");
    let _lock = boot::claim(&state)?;
    if !args.resume {
        forget(&state);
    }
    let style = style(args.plain, args.json);
    let (running, site) = if let Some(folder) = &args.sim {
        (None, super::sim::attach(folder)?)
    } else {
        let (running, site) = super::sim::embed(args.seed, args.speed, args.chaos)?;
        (Some(running), site)
    };
    let super::sim::Site { endpoints, pairs, listed, signer, wallet } = site;
    let keys = Keys::Made { kalshi: signer, polymarket: Some(Box::new(wallet.key()?)) };
    let signing = sign::start(keys)?.context("a generated key opens the stream")?;
    let wired = Wired::sign_in(&endpoints, &signing, Chain::Polygon, false)?;
    let settings = Arc::new(Settings::new(sources(global, flags)));
    let page = host::page(config, &settings, logs, true)?;
    let host = Host::open(Mode::Demo, states, Some(settings.clone()), page)?;
    if style == Style::Human {
        banner(args, &endpoints, running.as_ref(), pairs.pairs().len())?;
        host.greet()?;
        say!("");
    }
    let opening = given::allocation(config);
    let mut listed = Some(listed);
    let mut make = || {
        let loaded = settings.next()?;
        settings.began(&loaded);
        let findings = eligible(&loaded.config, &endpoints, &signing, &wired)?;
        // A second start looks at the exchanges anew: markets have closed and paid meanwhile.
        let listed = listed.take().map_or_else(|| catalogue::read(&endpoints, &pairs), Ok)?;
        let start = Start {
            guarded: args.rehearse.then(|| loaded.limits_print()),
            signing: Some(signing.lent()),
            wired: Some(wired.clone()),
            findings,
            claimed: true,
            ..Start::new(Mode::Demo, loaded, endpoints.clone(), pairs.clone(), listed)
        };
        Ok(Engine::start(start)?)
    };
    let mut screen = Screen::new(style);
    let mut check = Check::default();
    let ended = host.attend(&mut make, &signals, args.duration, |told| {
        check.fills += u64::from(matches!(told, Told::Filled { .. }));
        show(&mut screen, told)
    })?;
    check.fills -= ended.fills_before;
    let snapshot = ended.last;
    check.count(&state, opening, &snapshot, running.as_ref())?;
    summary(style, &snapshot, &check, opening, running.as_ref())?;
    if let Some(running) = running {
        running.stop();
    }
    if !ended.clean {
        return Err(Fault::Failed(anyhow::anyhow!("a thread of the engine ended before its time")));
    }
    if !check.odd.is_empty() {
        return Err(Fault::Failed(anyhow::anyhow!("the second count does not agree with the first; see above")));
    }
    Ok(())
}

/// Another world's positions mean nothing in this one, and the next world has other orders under the same names.
fn forget(state: &Path) {
    for name in ["orion.db", "orion.db-wal", "orion.db-shm"] {
        let _ = std::fs::remove_file(state.join(name));
    }
    let _ = stops::forget(state);
    let _ = std::fs::remove_dir_all(state.join("journal"));
}

fn banner(
    args: &DemoArgs,
    endpoints: &boot::Endpoints,
    running: Option<&Running>,
    pairs: usize,
) -> std::io::Result<()> {
    say!("ORION {}  ·  DEMO — simulated exchanges, simulated money. No network, no keys.", env!("CARGO_PKG_VERSION"));
    let markets = running.map(Running::markets);
    let count = |n: Option<usize>| n.map_or(String::new(), |n| format!("    {n} markets"));
    say!("  Kalshi-sim      {}{}", endpoints.kalshi_ws, count(markets.map(|m| m.0)));
    say!("  Polymarket-sim  {}{}", endpoints.polymarket_ws, count(markets.map(|m| m.1)));
    say!("  Pair book       {pairs} pairs, approved for the demo");
    say!(
        "  Seed {} · speed {}× · stop: Ctrl-C · other seed: --seed N · faults: {}",
        args.seed,
        args.speed,
        if args.chaos { "on" } else { "--chaos" }
    );
    Ok(())
}

fn summary(
    style: Style,
    snapshot: &Snapshot,
    check: &Check,
    opening: [Money; 2],
    running: Option<&Running>,
) -> std::io::Result<()> {
    let cash: i64 = snapshot.balances.iter().map(|b| b.cash).sum();
    let total = cash + snapshot.locked;
    let result = total - opening[0].raw() - opening[1].raw();
    let agrees = check.odd.is_empty();
    let faults: Vec<_> = running.map(Running::faults).unwrap_or_default().into_iter().filter(|f| f.1 != 0).collect();
    if style == Style::Json {
        let value = serde_json::json!({
            "kind": "summary", "snapshot": snapshot, "cash_micros": cash, "result_micros": result,
            "positions_checked": check.positions, "disagreements": check.odd, "agrees": agrees, "faults": faults,
            "rss_kib": resident_kib(),
        });
        say!("{value}");
        return Ok(());
    }
    let money = |micros: i64| Money::micros(micros).to_string();
    say!("\nSUMMARY");
    say!(
        "  seen {} · plans {} · fills {} · unwound or naked {} · markets settled {} · pairs won {} lost {}",
        snapshot.sightings,
        snapshot.plans,
        snapshot.fills,
        snapshot.unwinds,
        snapshot.settlements,
        snapshot.wins,
        snapshot.losses
    );
    let ends: Vec<_> = snapshot.endings.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let reasons: Vec<_> = snapshot.reasons.iter().map(|r| format!("{} {}", r.code, r.count)).collect();
    say!("  plans ended: {}", if ends.is_empty() { "none".into() } else { ends.join(" · ") });
    say!("  not taken:   {}", if reasons.is_empty() { "nothing".into() } else { reasons.join(" · ") });
    say!(
        "  cash {} + open positions at cost {} = {} ({} since the start; realised {})",
        money(cash),
        money(snapshot.locked),
        money(total),
        money(result),
        money(snapshot.realised_today)
    );
    for stage in &snapshot.latency {
        say!(
            "  {:<12} p50 {:>8.2} µs   p99 {:>8.2} µs   ({} samples)",
            stage.stage,
            stage.p50_ns as f64 / 1e3,
            stage.p99_ns as f64 / 1e3,
            stage.count
        );
    }
    if !faults.is_empty() {
        let list: Vec<_> = faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        say!("  faults injected: {}", list.join(" · "));
    }
    say!("  memory {} MiB resident", resident_kib() / 1_024);
    for odd in &check.odd {
        say!("  DISAGREES: {}", Shown(odd));
    }
    if agrees {
        let positions = check.positions;
        say!(
            "  cash, profit and {positions} positions equal a second count, and the exchanges' own accounts to the micro-dollar"
        );
    }
    say!("next: orion why, then: orion init");
    Ok(())
}

/// Resident memory of this process, from the kernel; 0 where it does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}
