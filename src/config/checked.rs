//! The settings the engine runs with: integers in the units of `unit.rs`, checked once, never changed.

use std::path::PathBuf;

use jiff::{civil::Time, tz::TimeZone};

use super::raw::{self, Basis, Idle, LegOrder, Loud, Raw};
use crate::unit::{AlertKind, Loudness, Money, Nanos, Qty, UnixMs};

/// Checked settings. There is no other way to one than [`Config::load`](super::load).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    pub engine: Engine,
    pub trading: Trading,
    pub capital: Capital,
    pub risk: Risk,
    pub feed: Feed,
    pub paper: Paper,
    pub pairs: Pairs,
    pub vault: Vault,
    pub promotion: Promotion,
    pub telegram: Telegram,
    pub alerts: Alerts,
    pub dashboard: Dashboard,
    pub log: Log,
}

/// `[engine]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Engine {
    /// Journal, database, overlay. Resolved: never empty.
    pub state_dir: PathBuf,
    /// Core numbers for the hot threads; empty means no pinning.
    pub cores: Vec<usize>,
    pub idle: Idle,
    pub resume_after_crash: bool,
}

/// `[trading]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trading {
    /// Micro-dollars per contract.
    pub threshold_spread: i64,
    pub threshold_basis: Basis,
    /// Parts per million of the bankroll, both legs together.
    pub max_trade_size_ppm: u32,
    pub min_trade_size: Money,
    pub target_liquidity_depth: Money,
    /// Micro-dollars per contract.
    pub slippage_tolerance: i64,
    pub auto_execute: bool,
    /// Parts per million per year; 0 is off.
    pub min_annualized_yield_ppm: u32,
    /// `None` is off.
    pub max_days_to_settle: Option<u32>,
    /// Parts per million.
    pub kelly_fraction_ppm: u32,
    /// Milliseconds of venue time.
    pub stop_before_close_ms: u64,
    /// Milliseconds of venue time.
    pub stop_before_game_ms: u64,
    pub cooldown: Nanos,
    /// Micro-dollars per contract below the threshold from which Polymarket orders are signed ahead; `None`: they are
    /// not.
    pub ticket_reach: Option<i64>,
    pub leg_order: LegOrder,
    /// Micro-dollars per contract, beyond the dollar.
    pub exit_min_gain: i64,
}

/// `[capital]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Capital {
    pub initial_bankroll: Money,
    /// Parts per million; the two allocations sum to 1,000,000.
    pub kalshi_allocation_ppm: u32,
    /// Parts per million; the two allocations sum to 1,000,000.
    pub polymarket_allocation_ppm: u32,
    /// Parts per million of each allocation.
    pub reserve_ppm: u32,
    pub rebalance_every: Nanos,
    pub shard_transfers: bool,
}

/// `[risk]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Risk {
    pub max_open_positions: u32,
    /// Parts per million of the bankroll.
    pub max_exposure_per_event_ppm: u32,
    /// Parts per million of the bankroll.
    pub max_daily_loss_ppm: u32,
    pub max_feed_age: Nanos,
    /// Micro-dollars per contract.
    pub max_edge: i64,
    pub max_orders_per_second: u32,
    pub max_naked: Nanos,
    pub max_naked_loss: Money,
    pub naked_qty_max: Qty,
    /// Parts per million of the bankroll.
    pub max_drawdown_ppm: u32,
    pub max_consecutive_refusals: u32,
    /// Parts per million.
    pub max_error_rate_ppm: u32,
    pub provisional_max: Money,
    pub max_flatten_loss: Money,
}

/// `[feed]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Feed {
    pub kalshi_poll: Nanos,
    pub assets_per_connection: usize,
    pub quiet_look: Nanos,
}

/// `[paper]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Paper {
    pub kalshi_latency: Nanos,
    pub polymarket_latency: Nanos,
}

/// `[pairs]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pairs {
    pub file: PathBuf,
}

/// `[vault]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vault {
    /// Sealed, mode 0600. It need not exist.
    pub file: PathBuf,
    /// The end of the day on which a delegated key of Polymarket's ends, UTC.
    pub polymarket_key_until: Option<UnixMs>,
}

/// `[promotion]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Promotion {
    pub paper_hours: u32,
    pub alert_hours: u32,
    /// Parts per million.
    pub feed_uptime_ppm: u32,
    pub opportunities: u32,
}

/// `[telegram]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Telegram {
    pub chats: Vec<i64>,
    pub users: Vec<i64>,
    pub zone: TimeZone,
    pub daily_at: Time,
    /// Micro-dollars per contract.
    pub opportunity_min_edge: i64,
    /// By kind, in the order of [`AlertKind::ALL`].
    pub loudness: [Loudness; 12],
}

/// `[alerts]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alerts {
    /// An address that alerts may go to: https, or http on loopback.
    pub webhook: Option<String>,
}

/// `[dashboard]`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dashboard {
    /// On loopback; `None`: no page.
    pub port: Option<u16>,
}

/// `[log]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    pub level: Level,
}

/// The least level that is written to the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    /// Reads our names and Python's, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "trace" | "notset" => Self::Trace,
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" | "warning" => Self::Warn,
            "error" | "critical" | "fatal" => Self::Error,
            _ => return None,
        })
    }

    /// The name that `tracing` reads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A rule that a value, or two together, break: the keys to blame and what is wrong.
pub(super) struct Broken {
    pub keys: Vec<&'static str>,
    pub what: String,
}

/// Reads every value into its unit. Ranges were checked before; what is left to refuse is precision and words.
pub(super) fn convert(raw: &Raw, state_dir: PathBuf) -> Result<Config, Vec<Broken>> {
    let mut broken = Vec::new();
    let mut micros = |key: &'static str, carrier: f64| {
        exact_micros(carrier).unwrap_or_else(|| {
            broken.push(Broken { keys: vec![key], what: format!("{carrier} has more than six decimals") });
            0
        })
    };
    let raw::Trading { threshold_spread, min_trade_size_usd, target_liquidity_depth, slippage_tolerance, .. } =
        raw.trading;
    let trading = Trading {
        threshold_spread: micros("trading.threshold_spread", threshold_spread),
        threshold_basis: raw.trading.threshold_basis,
        max_trade_size_ppm: ppm(micros("trading.max_trade_size_pct", raw.trading.max_trade_size_pct)),
        min_trade_size: Money::micros(micros("trading.min_trade_size_usd", min_trade_size_usd)),
        target_liquidity_depth: Money::micros(micros("trading.target_liquidity_depth", target_liquidity_depth)),
        slippage_tolerance: micros("trading.slippage_tolerance", slippage_tolerance),
        auto_execute: raw.trading.auto_execute,
        min_annualized_yield_ppm: ppm(micros("trading.min_annualized_yield", raw.trading.min_annualized_yield)),
        max_days_to_settle: (raw.trading.max_days_to_settle != 0).then_some(raw.trading.max_days_to_settle),
        kelly_fraction_ppm: ppm(micros("trading.kelly_fraction", raw.trading.kelly_fraction)),
        stop_before_close_ms: u64::from(raw.trading.stop_before_close_s) * 1_000,
        stop_before_game_ms: u64::from(raw.trading.stop_before_game_s) * 1_000,
        cooldown: Nanos::secs(raw.trading.cooldown_s.into()),
        ticket_reach: Some(micros("trading.ticket_reach", raw.trading.ticket_reach)).filter(|_| raw.trading.tickets),
        leg_order: raw.trading.leg_order,
        exit_min_gain: micros("trading.exit_min_gain", raw.trading.exit_min_gain),
    };
    let capital = Capital {
        initial_bankroll: Money::micros(micros("capital.initial_bankroll", raw.capital.initial_bankroll)),
        kalshi_allocation_ppm: ppm(micros("capital.kalshi_allocation_pct", raw.capital.kalshi_allocation_pct)),
        polymarket_allocation_ppm: ppm(micros(
            "capital.polymarket_allocation_pct",
            raw.capital.polymarket_allocation_pct,
        )),
        reserve_ppm: ppm(micros("capital.reserve_pct", raw.capital.reserve_pct)),
        rebalance_every: Nanos::secs(u64::from(raw.capital.rebalance_interval_hr) * 3_600),
        shard_transfers: raw.capital.shard_transfers,
    };
    let promotion = Promotion {
        paper_hours: raw.promotion.paper_hours,
        alert_hours: raw.promotion.alert_hours,
        feed_uptime_ppm: ppm(micros("promotion.feed_uptime", raw.promotion.feed_uptime)),
        opportunities: raw.promotion.opportunities,
    };
    let risk = Risk {
        max_open_positions: raw.risk.max_open_positions,
        max_exposure_per_event_ppm: ppm(micros("risk.max_exposure_per_event", raw.risk.max_exposure_per_event)),
        max_daily_loss_ppm: ppm(micros("risk.max_daily_loss_pct", raw.risk.max_daily_loss_pct)),
        max_feed_age: Nanos::millis(raw.risk.max_feed_age_ms.into()),
        max_edge: micros("risk.max_edge", raw.risk.max_edge),
        max_orders_per_second: raw.risk.max_orders_per_second,
        max_naked: Nanos::new(micros("risk.max_naked_seconds", raw.risk.max_naked_seconds) as u64 * 1_000),
        max_naked_loss: Money::micros(micros("risk.max_naked_usd", raw.risk.max_naked_usd)),
        naked_qty_max: Qty::whole(raw.risk.max_naked_contracts),
        max_drawdown_ppm: ppm(micros("risk.max_drawdown_pct", raw.risk.max_drawdown_pct)),
        max_consecutive_refusals: raw.risk.max_consecutive_refusals,
        max_error_rate_ppm: ppm(micros("risk.max_error_rate", raw.risk.max_error_rate)),
        provisional_max: Money::micros(micros("risk.provisional_usd_max", raw.risk.provisional_usd_max)),
        max_flatten_loss: Money::micros(micros("risk.max_flatten_loss", raw.risk.max_flatten_loss)),
    };
    let opportunity_min_edge = micros("telegram.opportunity_min_edge", raw.telegram.opportunity_min_edge);
    let level = Level::parse(&raw.log.level).unwrap_or_else(|| {
        let what = format!("`{}` is no level: trace, debug, info, warn, error", raw.log.level);
        broken.push(Broken { keys: vec!["log.level"], what });
        Level::Info
    });
    let ends = &raw.vault.polymarket_key_ends;
    let polymarket_key_until = last_moment(ends);
    if polymarket_key_until.is_none() && !ends.is_empty() {
        let what = format!("`{ends}` is no date: write 2027-05-31");
        broken.push(Broken { keys: vec!["vault.polymarket_key_ends"], what });
    }
    let zone = TimeZone::get(&raw.telegram.zone).unwrap_or_else(|_| {
        let what = format!("`{}` is no time zone: write UTC or Europe/Zurich", raw.telegram.zone);
        broken.push(Broken { keys: vec!["telegram.zone"], what });
        TimeZone::UTC
    });
    let daily_at = Time::strptime("%H:%M", &raw.telegram.daily_at).unwrap_or_else(|_| {
        let what = format!("`{}` is no time of day: write 08:00", raw.telegram.daily_at);
        broken.push(Broken { keys: vec!["telegram.daily_at"], what });
        Time::midnight()
    });
    let webhook = raw.alerts.webhook_url.clone();
    if !webhook.is_empty() && !is_address(&webhook) {
        // The address may hold a token of its own, so it is not repeated.
        let what = "is no address that alerts may go to: https, or http on loopback".into();
        broken.push(Broken { keys: vec!["alerts.webhook_url"], what });
    }
    let vault = if raw.vault.file.is_empty() { state_dir.join("vault") } else { PathBuf::from(&raw.vault.file) };
    if !broken.is_empty() {
        return Err(broken);
    }
    Ok(Config {
        engine: Engine {
            state_dir,
            cores: raw.engine.cores.iter().map(|&core| usize::from(core)).collect(),
            idle: raw.engine.idle,
            resume_after_crash: raw.engine.resume_after_crash,
        },
        trading,
        capital,
        risk,
        feed: Feed {
            kalshi_poll: Nanos::millis(raw.feed.kalshi_poll_ms.into()),
            assets_per_connection: raw.feed.assets_per_connection as usize,
            quiet_look: Nanos::secs(raw.feed.quiet_look_s.into()),
        },
        paper: Paper {
            kalshi_latency: Nanos::millis(raw.paper.kalshi_latency_ms.into()),
            polymarket_latency: Nanos::millis(raw.paper.polymarket_latency_ms.into()),
        },
        pairs: Pairs { file: PathBuf::from(&raw.pairs.file) },
        vault: Vault { file: vault, polymarket_key_until },
        promotion,
        telegram: Telegram {
            chats: raw.telegram.chat_ids.clone(),
            users: raw.telegram.user_ids.clone(),
            zone,
            daily_at,
            opportunity_min_edge,
            loudness: AlertKind::ALL.map(|kind| loudness(&raw.telegram, kind)),
        },
        alerts: Alerts { webhook: Some(webhook).filter(|address| !address.is_empty()) },
        dashboard: Dashboard { port: u16::try_from(raw.dashboard.port).ok().filter(|port| *port != 0) },
        log: Log { level },
    })
}

/// The rules between keys. They hold for the whole only: a file may rely on what the environment adds.
pub(super) fn cross(raw: &Raw, config: &Config) -> Vec<Broken> {
    let mut broken = Vec::new();
    let most = config.capital.initial_bankroll.share(config.trading.max_trade_size_ppm);
    if most < config.trading.min_trade_size {
        let what = format!(
            "trading.min_trade_size_usd ({}) is more than trading.max_trade_size_pct of capital.initial_bankroll \
             ({most}): no trade would be possible",
            config.trading.min_trade_size
        );
        let keys = vec!["trading.min_trade_size_usd", "trading.max_trade_size_pct", "capital.initial_bankroll"];
        broken.push(Broken { keys, what });
    }
    let (kalshi, polymarket) = (config.capital.kalshi_allocation_ppm, config.capital.polymarket_allocation_ppm);
    if kalshi + polymarket != 1_000_000 {
        let what = format!(
            "capital.kalshi_allocation_pct ({}) and capital.polymarket_allocation_pct ({}) do not sum to 1",
            raw.capital.kalshi_allocation_pct, raw.capital.polymarket_allocation_pct
        );
        let keys = vec!["capital.kalshi_allocation_pct", "capital.polymarket_allocation_pct"];
        broken.push(Broken { keys, what });
    }
    if config.risk.max_edge <= config.trading.threshold_spread {
        let what = format!(
            "risk.max_edge ({}) is not above trading.threshold_spread ({}): every edge would be too small or too good",
            raw.risk.max_edge, raw.trading.threshold_spread
        );
        broken.push(Broken { keys: vec!["risk.max_edge", "trading.threshold_spread"], what });
    }
    broken
}

fn loudness(raw: &raw::Telegram, kind: AlertKind) -> Loudness {
    let loud = match kind {
        AlertKind::Opportunity => raw.opportunity,
        AlertKind::Execution => raw.execution,
        AlertKind::Unwind => raw.unwind,
        AlertKind::Settlement => raw.settlement,
        AlertKind::Risk => raw.risk,
        AlertKind::Health => raw.health,
        AlertKind::BalanceLow => raw.balance_low,
        AlertKind::PairChanged => raw.pair_changed,
        AlertKind::Error => raw.error,
        AlertKind::Daily => raw.daily,
        AlertKind::Startup => raw.startup,
        AlertKind::Shutdown => raw.shutdown,
    };
    match loud {
        Loud::On => Loudness::On,
        Loud::Silent => Loudness::Silent,
        Loud::Off => Loudness::Off,
    }
}

/// May alerts go there? https, or http on loopback; without spaces and without a name and password before the host.
fn is_address(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['@', '#', '\\']);
    let host = |rest: &str| rest.split(['/', '?']).next().unwrap_or_default().to_owned();
    let loopback = |host: &str| {
        let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
        matches!(name, "127.0.0.1" | "localhost" | "[::1]")
    };
    let sound = text.strip_prefix("https://").map(|rest| !host(rest).is_empty());
    plain && sound.or_else(|| text.strip_prefix("http://").map(|rest| loopback(&host(rest)))).unwrap_or(false)
}

/// The end of a day, UTC.
fn last_moment(day: &str) -> Option<UnixMs> {
    let next = day.parse::<jiff::civil::Date>().ok()?.tomorrow().ok()?;
    let at = next.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
    u64::try_from(at).ok().map(UnixMs::new)
}

/// Millionths from the shortest text of a carrier, which is the text that was typed. `None` beyond six decimals.
fn exact_micros(carrier: f64) -> Option<i64> {
    let text = carrier.abs().to_string();
    let micros = i64::try_from(crate::unit::decimal(text.as_bytes(), 12, 6)?).ok()?;
    Some(if carrier < 0.0 { -micros } else { micros })
}

fn ppm(micros: i64) -> u32 {
    u32::try_from(micros).expect("the range of every share was checked to lie between 0 and 4,000")
}
