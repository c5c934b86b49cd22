//! `orion replay`: recordings through the same feeds, books and detector as a live stream.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use comfy_table::Table;

use super::{Done, Fault, Global, settings, shown::Shown};
use crate::{
    decide::{Odds, Reason, Tally, rule::lock_millidays},
    lab::{
        recording::{Frame, Reader},
        replay::{Cast, Player, cast, finest},
    },
    ledger::journal::Scratch,
    risk::{Budget, TradingState},
    run::{
        desk::{Desk, Orders},
        detect::{MarketSetup, PairSetup, PaperSetup, Setup, touch_text},
        event::What,
        given,
    },
    spread::{Direction, Pair, Terms},
    unit::{MarketId, Money, Nanos, Qty, UnixMs, Venue},
    venue::{kalshi, polymarket, polymarket::shadow::Verdict},
    wire::Trading,
};

#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Recordings: Orion's own, or the forms in which others circulate.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Play two recordings side by side through the detector, with this pair: TICKER=CONDITION, or TICKER=!CONDITION
    /// where YES on one is NO on the other. A prefix of the condition id will do.
    #[arg(long, value_name = "TICKER=CONDITION")]
    pair: Option<String>,
    /// The Kalshi series' fee multiplier for --pair.
    #[arg(long, default_value = "1", value_name = "N")]
    kalshi_multiplier: String,
    /// Polymarket's fee rate for --pair.
    #[arg(long, default_value = "0.07", value_name = "RATE")]
    polymarket_rate: String,
    /// Days to settlement for --pair.
    #[arg(long, default_value_t = 7, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3_650))]
    settles_in: u64,
    /// The NO ladder of these Kalshi recordings is quoted on the YES leg already.
    #[arg(long)]
    use_yes_price: bool,
}

pub fn run(global: &Global, args: &ReplayArgs) -> Done {
    match &args.pair {
        None => books(args),
        Some(pair) => side_by_side(global, args, pair),
    }
}

fn books(args: &ReplayArgs) -> Done {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header([
        "recording",
        "frames",
        "snapshots",
        "changes",
        "gaps",
        "unreadable",
        "crossed",
        "negative",
        "checksums",
    ]);
    let mut ends = Vec::new();
    for path in &args.files {
        let mut player = Player::new(cast(path)?, args.use_yes_price, 0);
        let mut reader = Reader::open(path)?;
        while let Some((_, frame)) = reader.next_line()? {
            if let Some(mut frame) = frame {
                player.play(&mut frame);
            }
        }
        player.finish();
        let counts = player.counts();
        let fits = player.checked.iter().filter(|c| c.verdict == Verdict::Fits).count();
        let name = Shown(&path.file_name().unwrap_or_default().to_string_lossy()).to_string();
        let checksums =
            if player.checked.is_empty() { "–".into() } else { format!("{fits} of {} fit", player.checked.len()) };
        table.add_row([
            name.clone(),
            counts.messages.to_string(),
            counts.snapshots.to_string(),
            counts.changes.to_string(),
            counts.gaps.to_string(),
            counts.malformed.to_string(),
            player.crossed.to_string(),
            player.negative.to_string(),
            checksums,
        ]);
        for (conn, seen, book) in player.books() {
            ends.push([
                name.clone(),
                conn.to_string(),
                Shown(&seen.name).to_string(),
                touch_text(book),
                format!("{} / {}", book.bids.depth(), book.asks.depth()),
                book.doubt().map_or("synced".into(), |doubt| format!("{doubt:?}")),
            ]);
        }
    }
    say!("{table}\n");
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["recording", "conn", "market", "YES bid / ask at the end", "levels", "state"]);
    for row in ends {
        table.add_row(row);
    }
    say!("{table}");
    Ok(())
}

/// One recording a venue, opened and scanned.
struct Tape {
    player: Player,
    frames: Vec<Frame>,
    market: MarketId,
    name: String,
}

fn tape(path: &Path, venue: Venue, wanted: &str, use_yes_price: bool, first: u32) -> anyhow::Result<Option<Tape>> {
    let mut found: Cast = cast(path)?;
    found.markets.retain(|seen| seen.venue == venue && seen.name.starts_with(wanted));
    let Some(seen) = found.markets.first().cloned() else { return Ok(None) };
    found.markets.truncate(1);
    let mut reader = Reader::open(path)?;
    let mut frames = Vec::new();
    while let Some((_, frame)) = reader.next_line()? {
        // Only one connection: two of the same recording would be the same market twice.
        frames.extend(frame.filter(|frame: &Frame| frame.conn == 1));
    }
    Ok(Some(Tape {
        player: Player::new(found, use_yes_price, first),
        frames,
        market: MarketId(first),
        name: seen.name,
    }))
}

fn side_by_side(global: &Global, args: &ReplayArgs, pair: &str) -> Done {
    let (ticker, condition) = pair.split_once('=').with_context(|| format!("--pair {pair}: write TICKER=CONDITION"))?;
    let (condition, inverted) = condition.strip_prefix('!').map_or((condition, false), |rest| (rest, true));
    let mut tapes = [None, None];
    for path in &args.files {
        for (at, (venue, name)) in [(Venue::Kalshi, ticker), (Venue::Polymarket, condition)].into_iter().enumerate() {
            if tapes[at].is_none() {
                tapes[at] = tape(path, venue, name, args.use_yes_price, at as u32)?;
            }
        }
    }
    let [Some(kalshi), Some(polymarket)] = tapes else {
        let missing = if tapes[0].is_none() { ticker } else { condition };
        return Err(Fault::Failed(anyhow::anyhow!(
            "{missing} is in none of these recordings; `orion replay FILE` lists their markets"
        )));
    };
    let loaded = settings(global, vec![("trading.auto_execute".into(), "true".into(), "replay --pair".into())])?;
    let start = kalshi.frames.first().map_or(0, |frame| frame.at.unix.raw());
    let terms = terms(args, UnixMs::new(start + args.settles_in * 86_400_000))?;
    let budget = budget(&loaded.config);
    let markets = terms.map(|terms| MarketSetup { terms, trading: Trading::Open, polled: false });
    let setup = Setup {
        markets: markets.to_vec(),
        pairs: vec![PairSetup {
            pair: Pair { kalshi: MarketId(0), polymarket: MarketId(1), inverted },
            event: 0,
            barred: None,
            odds: Odds::prior(false),
            tally: Tally::default(),
        }],
        feeds: 2,
        rules: given::rules(&loaded.config),
        limits: given::limits(&loaded.config),
        budget,
        state: TradingState::Active,
        paper: PaperSetup { latency: [loaded.config.paper.kalshi_latency, loaded.config.paper.polymarket_latency] },
        leg_order: loaded.config.trading.leg_order,
        leaving: given::leaving(&loaded.config),
        next_id: 0,
        regrids: 0,
        held: Vec::new(),
        open: Vec::new(),
    };
    say!("{}  ×  {}{}", Shown(&kalshi.name), Shown(&polymarket.name), if inverted { "  (inverted)" } else { "" });
    say!(
        "both recordings start at the same moment; fees: Kalshi multiplier {}, Polymarket rate {}\n",
        args.kalshi_multiplier,
        args.polymarket_rate
    );
    let orders = Orders::unkept(given::closing(&loaded.config));
    ledger(Desk::new(setup, orders), kalshi, polymarket)?;
    Ok(())
}

/// Merges both recordings on one clock and prints what the detector makes of them.
fn ledger(mut desk: Desk<Scratch>, kalshi: Tape, polymarket: Tape) -> std::io::Result<()> {
    debug_assert!(kalshi.market == MarketId(0) && polymarket.market == MarketId(1));
    let mut queue: Vec<(u64, usize, Frame)> = Vec::new();
    let mut players = Vec::new();
    let unix = kalshi.frames.first().map_or(0, |frame| frame.at.unix.raw());
    for (at, tape) in [kalshi, polymarket].into_iter().enumerate() {
        let start = tape.frames.first().map_or(0, |frame| frame.at.now.raw());
        queue.extend(tape.frames.into_iter().map(|frame| (frame.at.now.raw().saturating_sub(start), at, frame)));
        players.push(tape.player);
    }
    queue.sort_by_key(|(offset, at, _)| (*offset, *at));
    let mut reasons: std::collections::BTreeMap<&'static str, u64> = std::collections::BTreeMap::new();
    let (mut seen, mut plans, mut updates) = (0_u64, 0_u64, 0_u64);
    for (offset, at, mut frame) in queue {
        // Stamps of two recordings from different days are moved to one clock, so their lags stay what they were.
        let recorded = frame.at.unix;
        frame.at.now = Nanos::secs(1) + Nanos::new(offset);
        players[at].play(&mut frame);
        for update in players[at].updates() {
            let mut update = *update;
            let lag = recorded.raw() as i64 - update.stamp.raw() as i64;
            update.at.unix = UnixMs::new(unix + offset / 1_000_000);
            if update.stamp != UnixMs::default() {
                update.stamp = UnixMs::new((update.at.unix.raw() as i64 - lag).max(0) as u64);
            }
            updates += 1;
            desk.apply(&update);
            desk.turn(update.at);
        }
        for event in desk.events().drain(..) {
            let time = offset as f64 / 1e9;
            match event.what {
                What::Sighted { id, direction, quote, reason, .. } => {
                    seen = seen.max(id);
                    if let Some(reason) = reason {
                        *reasons.entry(reason.code()).or_default() += 1;
                    }
                    let [k, p] = quote.cost.map(|c| c.map_or("–".into(), |c| c.to_string()));
                    say!(
                        "{time:>10.3} s  #{id:<4} {:<14} Kalshi {k} + Poly {p}  gross {}  fees {}  NET {}  {} %/yr over {:.1} d  {}",
                        match direction {
                            Direction::YesKalshi => "YES kalshi",
                            Direction::YesPolymarket => "YES polymarket",
                        },
                        quote.gross,
                        quote.fees,
                        quote.net,
                        quote.yearly_ppm / 10_000,
                        lock_millidays(quote.lock_ms) as f64 / 1e3,
                        reason.map_or("TAKEN", Reason::code),
                    );
                }
                What::Planned { id, qty, net, .. } => {
                    plans += 1;
                    say!("{time:>10.3} s  plan {id}: {qty} contracts, expected net {net}");
                }
                What::PlanEnded { id, paired, naked, unwound, state, .. } => {
                    say!(
                        "{time:>10.3} s  plan {id} {}: {paired} paired, {naked} naked, unwound {unwound}",
                        state.name()
                    );
                }
                _ => {}
            }
        }
        desk.resnapshots().clear();
    }
    say!("\n{updates} updates · last opportunity number {seen} · {plans} plans");
    for (code, count) in reasons {
        say!("  {count:>8}  {code}");
    }
    Ok(())
}

fn terms(args: &ReplayArgs, settles: UnixMs) -> anyhow::Result<[Terms; 2]> {
    let ppm = |text: &str, flag: &str| {
        let value = crate::unit::decimal(text.as_bytes(), 2, 6).and_then(|v| u32::try_from(v).ok());
        value.with_context(|| format!("{flag} {text}: a plain number with at most six decimals, such as 0.07"))
    };
    let kalshi_fee = kalshi::fee_curve("quadratic", ppm(&args.kalshi_multiplier, "--kalshi-multiplier")?);
    let polymarket_fee = polymarket::fee_curve(ppm(&args.polymarket_rate, "--polymarket-rate")?, 1);
    let cents = Qty::new(10_000).context("a hundredth of a contract is a quantity")?;
    let base = |venue, fee| Terms {
        venue,
        fee,
        grid: finest(),
        qty_step: cents,
        qty_min: if venue == Venue::Kalshi { cents } else { Qty::whole(5) },
        cost_min: if venue == Venue::Kalshi { Money::ZERO } else { Money::dollars(1) },
        shard: 0,
        hold: Nanos::ZERO,
        closes: None,
        game: None,
        settles,
    };
    let kalshi_fee = kalshi_fee.context("the quadratic fee type has a curve")?;
    let polymarket_fee = polymarket_fee.context("an exponent of one has a curve")?;
    Ok([base(Venue::Kalshi, kalshi_fee), base(Venue::Polymarket, polymarket_fee)])
}

fn budget(config: &crate::config::Config) -> Budget {
    let allocated = given::allocation(config);
    let mut budget = Budget::new(given::shares(config), config.capital.initial_bankroll, allocated, 1);
    for (venue, cash) in Venue::ALL.into_iter().zip(allocated) {
        budget.account_mut(venue, 0).cash = cash;
    }
    budget
}
