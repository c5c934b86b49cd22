//! `orion demo`: the engine against two simulated exchanges, over their real wire protocols, on loopback.
//!
//! At the end everything is counted a second time: cash, positions and profit from the rows of the database alone, the
//! payouts from the exchanges' own records, and each paper fill against what the exchange's book held.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{
    Done, Fault, Global, Signals, log_to_stderr,
    run::{attend, show, style},
    screen::{Screen, Style},
    settings,
    shown::Shown,
    span,
};
use crate::{
    ledger::audit::AuditReader,
    run::{
        boot::{self, Engine, Start},
        keep::Told,
        sign::{self, Keys},
        snapshot::Snapshot,
    },
    sim::serve::Running,
    unit::{BookSide, Money, Outcome, UnixMs, Venue},
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
    /// One plain line each, for grep.
    #[arg(long)]
    plain: bool,
    /// One JSON object a line; the last one is the summary.
    #[arg(long, conflicts_with = "plain")]
    json: bool,
    /// Use the exchanges that `orion sim --dir FOLDER` serves instead of embedded ones.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["seed", "speed", "chaos"])]
    sim: Option<PathBuf>,
}

/// What the second count found.
#[derive(Debug, Default)]
struct Check {
    fills: u64,
    /// Fills larger than what the exchange's book held.
    beyond: Vec<String>,
    /// Fills of which the exchange no longer knew the book.
    unknown: u64,
    odd: Vec<String>,
}

pub fn run(global: &Global, args: &DemoArgs) -> Done {
    // The demo fills on paper, and tells its cold threads' log only where it is asked for.
    let flags = vec![("trading.auto_execute".into(), "true".into(), "demo".into())];
    let loaded = settings(global, flags)?;
    if global.log_level.is_some() {
        log_to_stderr(loaded.config.log.level);
    }
    let signals = Signals::install()?;
    let config_hash = loaded.fingerprint();
    let config = loaded.config;
    let state = config.engine.state_dir.join("demo");
    drop(boot::claim(&state)?);
    // Another world's positions mean nothing in this one.
    for name in ["orion.db", "orion.db-wal", "orion.db-shm", "latch"] {
        let _ = std::fs::remove_file(state.join(name));
    }
    // Its journal too: the next world has other orders under the same names.
    let _ = std::fs::remove_dir_all(state.join("journal"));
    let style = style(args.plain, args.json);
    let (running, site) = if let Some(folder) = &args.sim {
        (None, super::sim::attach(folder)?)
    } else {
        let (running, site) = super::sim::embed(args.seed, args.speed, args.chaos)?;
        (Some(running), site)
    };
    let super::sim::Site { endpoints, pairs, listed, signer, wallet } = site;
    let (orders, wired) = wallet.wire(&endpoints)?;
    if style == Style::Human {
        banner(args, &endpoints, running.as_ref(), pairs.pairs().len())?;
    }
    let opening = boot::allocation(&config);
    let start = Start {
        mode: "demo",
        config,
        config_hash,
        settings: loaded.origins,
        endpoints,
        pairs,
        listed,
        signing: sign::start(Keys::Made { kalshi: signer, polymarket: Some(orders) })?,
        wired: Some(wired),
        record: None,
    };
    let engine = Engine::start(start)?;
    let snapshot = engine.snapshot.clone();
    let mut screen = Screen::new(style);
    let mut check = Check::default();
    let clean = attend(engine, &signals, args.duration, |told| {
        if let (Told::Filled { market, fill, .. }, Some(running)) = (told, &running) {
            check.fill(running, market, fill);
        }
        show(&mut screen, told)
    })?;
    let snapshot = snapshot.lock().map(|s| s.clone()).unwrap_or_default();
    check.books(&state, opening, &snapshot, running.as_ref())?;
    summary(style, &snapshot, &check, opening, running.as_ref())?;
    if let Some(running) = running {
        running.stop();
    }
    if !clean {
        return Err(Fault::Failed(anyhow::anyhow!("a thread of the engine ended before its time")));
    }
    if !check.odd.is_empty() || !check.beyond.is_empty() {
        return Err(Fault::Failed(anyhow::anyhow!("the second count does not agree with the first; see above")));
    }
    Ok(())
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
        "  Seed {} · speed {}× · stop: Ctrl-C · other seed: --seed N · faults: {}\n",
        args.seed,
        args.speed,
        if args.chaos { "on" } else { "--chaos" }
    );
    Ok(())
}

impl Check {
    /// Did the exchange's own book hold what the fill took, at the moment whose book the engine had?
    fn fill(&mut self, running: &Running, market: &str, fill: &crate::run::event::Fill) {
        self.fills += 1;
        // Buying YES and selling NO take asks of the YES book, at the YES price.
        let side = if (fill.outcome == Outcome::Yes) == fill.bought { BookSide::Ask } else { BookSide::Bid };
        let price = if fill.outcome == Outcome::Yes { fill.price } else { fill.price.complement() };
        let moments: Vec<u64> = if fill.book_stamp == UnixMs::default() {
            // A snapshot without a stamp: the book stood so at some moment shortly before it came.
            let seen = fill.book_seen.raw();
            (seen.saturating_sub(250)..=seen).collect()
        } else {
            vec![fill.book_stamp.raw()]
        };
        let held =
            moments.iter().filter_map(|at| running.held(fill.venue, market, side, price, UnixMs::new(*at))).max();
        match held {
            None => self.unknown += 1,
            Some(held) if held < fill.qty => self.beyond.push(format!(
                "{} {market}: filled {} at {price}, where the exchange held {held}",
                fill.venue, fill.qty
            )),
            Some(_) => {}
        }
    }

    /// Cash, positions and profit from the database's fills, fees and settlements; payouts from the exchanges' records.
    fn books(
        &mut self,
        state: &std::path::Path,
        opening: [Money; 2],
        snapshot: &Snapshot,
        running: Option<&Running>,
    ) -> anyhow::Result<()> {
        let reader = AuditReader::open(&state.join("orion.db"))?;
        let [kalshi, polymarket] = Venue::ALL;
        let books = reader.recompute([(kalshi, opening[0]), (polymarket, opening[1])])?;
        self.odd.extend(books.odd.iter().cloned());
        let mut cost = Money::ZERO;
        for venue in &books.venues {
            let engine: i64 = snapshot.balances.iter().filter(|b| b.venue == venue.venue.name()).map(|b| b.cash).sum();
            if engine != venue.cash.raw() {
                let engine = Money::micros(engine);
                self.odd.push(format!("{}: the engine has {engine:#}, its fills make {:#}", venue.venue, venue.cash));
            }
            cost += venue.holdings.iter().map(|holding| holding.cost).sum();
        }
        if cost.raw() != snapshot.locked {
            let engine = Money::micros(snapshot.locked);
            self.odd.push(format!("open positions cost {cost:#} by their fills, {engine:#} by the engine"));
        }
        let realised: Money = books.venues.iter().map(|v| v.realised).sum();
        if realised.raw() != snapshot.realised_today {
            let engine = Money::micros(snapshot.realised_today);
            self.odd.push(format!("realised {realised:#} by fills and payouts, {engine:#} by the engine"));
        }
        let Some(running) = running else { return Ok(()) };
        if self.fills != snapshot.fills {
            self.odd.push(format!("{} fills were told, {} were made", self.fills, snapshot.fills));
        }
        let paid = running.settlements();
        for told in reader.settlements()? {
            let theirs = paid.iter().find(|s| s.venue == told.venue && s.market == told.market);
            if theirs.map(|s| s.yes_payout) != Some(told.yes_payout) {
                let theirs = theirs.map_or("nothing".into(), |s| s.yes_payout.to_string());
                self.odd
                    .push(format!("{}: booked {} per YES, the exchange paid {theirs}", told.market, told.yes_payout));
            }
        }
        Ok(())
    }
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
    let agrees = check.odd.is_empty() && check.beyond.is_empty();
    let faults: Vec<_> = running.map(Running::faults).unwrap_or_default().into_iter().filter(|f| f.1 != 0).collect();
    if style == Style::Json {
        let value = serde_json::json!({
            "kind": "summary", "snapshot": snapshot, "cash_micros": cash, "result_micros": result,
            "fills_checked": check.fills, "fills_beyond_book": check.beyond, "fills_unknown": check.unknown,
            "disagreements": check.odd, "agrees": agrees, "faults": faults,
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
    say!(
        "  second count: {} of {} fills within what the exchanges' books held{}",
        check.fills - check.beyond.len() as u64 - check.unknown,
        check.fills,
        if check.unknown == 0 { String::new() } else { format!(" ({} too old to tell)", check.unknown) }
    );
    for odd in check.beyond.iter().chain(&check.odd) {
        say!("  DISAGREES: {}", Shown(odd));
    }
    if agrees {
        say!("  cash, positions and profit equal a second count from fills, fees and the exchanges' payouts");
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
