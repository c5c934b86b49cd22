//! The engine's state as the keeper last wrote it down, for people and programs. Money in micro-dollars, times in Unix
//! milliseconds.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

use super::feed::FeedGauge;
use crate::{
    config::Config,
    decide::Reason,
    unit::{Money, Venue},
};

/// Everything `orion status --json` prints.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Snapshot {
    pub version: String,
    pub mode: String,
    /// starting, running, stopping, stopped: the engine in the process that answers.
    #[serde(default)]
    pub engine: String,
    pub pid: u32,
    pub started_ms: u64,
    /// When the detector last told its figures.
    pub at_ms: u64,
    /// active, paused, halted.
    pub state: String,
    pub latch: Option<String>,
    pub auto_execute: bool,
    /// Has a person armed it? Absent where nothing needs arming.
    #[serde(default)]
    pub armed: Option<bool>,
    /// What keeps an account from opening anything, and what a person should know about it.
    #[serde(default)]
    pub findings: Vec<String>,
    /// Transfers that would bring the money where it is meant to lie. Orion makes none of them between venues.
    #[serde(default)]
    pub advice: Vec<String>,
    /// Orders are wired to accounts, which have to agree before anything is entered.
    #[serde(default)]
    pub accounts: bool,
    /// Do orders, positions and cash agree with both venues? Absent before the first comparison, and on paper.
    #[serde(default)]
    pub agrees: Option<bool>,
    /// From the start until they agreed for the first time.
    #[serde(default)]
    pub reconciled_ms: Option<u64>,
    /// Streams, or polling where a venue is read without a key.
    pub sources: Vec<String>,
    pub feeds: Vec<FeedStatus>,
    pub pairs: u32,
    /// Pairs that are not traded whatever their books say.
    pub barred: u32,
    pub books: u32,
    /// Books fit to trade on: Kalshi, Polymarket.
    pub fit: [u32; 2],
    pub updates: u64,
    pub sightings: u64,
    pub plans: u64,
    pub fills: u64,
    /// Fills against polled books; they never count as evidence.
    pub polled_fills: u64,
    pub unwinds: u64,
    pub settlements: u64,
    pub wins: u64,
    pub losses: u64,
    pub positions: u32,
    pub locked: i64,
    /// The same by venue: Kalshi, Polymarket.
    #[serde(default)]
    pub held: [i64; 2],
    pub naked: i64,
    /// Since when something stands alone on one leg, if it does, and for how long something has since the start.
    #[serde(default)]
    pub naked_since_ms: Option<u64>,
    #[serde(default)]
    pub naked_ms_total: u64,
    pub realised_today: i64,
    /// By all plans that are over, since the database began.
    #[serde(default)]
    pub realised_total: i64,
    /// What selling everything held would lose against what it cost, and markets that nobody bids for.
    #[serde(default)]
    pub flatten_loss: i64,
    #[serde(default)]
    pub unsellable: u32,
    /// How far everything held is sold, where a person asked for that.
    #[serde(default)]
    pub flatten: Option<String>,
    pub balances: Vec<Balances>,
    /// The few settings that a person is shown before anything is let loose.
    #[serde(default)]
    pub limits: LimitLine,
    /// How plans ended.
    pub endings: BTreeMap<String, u64>,
    /// Why opportunities were not taken, most frequent first.
    pub reasons: Vec<ReasonLine>,
    /// This host's clock less the venue's in milliseconds, where it is known.
    #[serde(default)]
    pub clock_offset_ms: BTreeMap<String, i64>,
    /// Markets that have paid on Polymarket and could not be redeemed so far.
    #[serde(default)]
    pub unredeemed: u64,
    /// Orders that a venue's request budget allows now.
    #[serde(default)]
    pub budgets: BTreeMap<String, u64>,
    pub canaries: BTreeMap<String, u64>,
    pub doubts: u64,
    /// Polymarket checksums: fit, unsettled, differ, unfit.
    pub checksums: [u64; 4],
    pub latency: Vec<StageLine>,
    pub audit_queue: u64,
    pub audit_dropped: u64,
    pub audit_error: Option<String>,
    /// What became of alerts since the start. Empty where nobody is told.
    #[serde(default)]
    pub alerts: Vec<AlertCount>,
}

/// What settings allow at most, in micro-dollars where it is money.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LimitLine {
    pub bankroll: i64,
    pub reserve_ppm: u32,
    pub max_trade_usd: i64,
    pub max_event_usd: i64,
    pub max_daily_loss_usd: i64,
    pub max_drawdown_usd: i64,
    pub max_flatten_loss_usd: i64,
    pub max_open_positions: u32,
}

impl LimitLine {
    pub fn of(config: &Config) -> Self {
        let all = config.capital.initial_bankroll;
        Self {
            bankroll: all.raw(),
            reserve_ppm: config.capital.reserve_ppm,
            max_trade_usd: all.share(config.trading.max_trade_size_ppm).raw(),
            max_event_usd: all.share(config.risk.max_exposure_per_event_ppm).raw(),
            max_daily_loss_usd: all.share(config.risk.max_daily_loss_ppm).raw(),
            max_drawdown_usd: all.share(config.risk.max_drawdown_ppm).raw(),
            max_flatten_loss_usd: config.risk.max_flatten_loss.raw(),
            max_open_positions: config.risk.max_open_positions,
        }
    }
}

impl Snapshot {
    /// The most that can be at stake: what lies on both venues less the reserve, and no more than the bankroll.
    pub fn stake(&self) -> Money {
        let there: i64 = self.balances.iter().map(|balance| balance.cash).sum();
        let most = Money::micros(there + self.locked).min(Money::micros(self.limits.bankroll));
        most - most.share(self.limits.reserve_ppm)
    }

    /// What a person types who arms: it names what is at stake.
    pub fn arming_phrase(&self) -> String {
        format!("arm {} {}", self.mode, self.stake().raw() / 1_000_000)
    }
}

/// A pair of the engine that runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PairShown {
    /// `ticker|condition id`.
    pub key: String,
    pub title: String,
    pub inverted: bool,
    /// Why it is not traded whatever its books say.
    pub barred: Option<Reason>,
}

/// How often alerts of one kind came to one end.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct AlertCount {
    pub kind: String,
    /// sent, failed, suppressed, dropped.
    pub result: String,
    pub count: u64,
}

/// One feed thread.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct FeedStatus {
    pub venue: String,
    pub connections_up: u64,
    pub dials: u64,
    pub messages: u64,
    pub snapshots: u64,
    pub gaps: u64,
    pub duplicates: u64,
    pub malformed: u64,
    pub canaries: u64,
    pub storms: u64,
    pub unrecorded: u64,
    pub unchecked: u64,
    /// When the last frame came; 0 before the first.
    #[serde(default)]
    pub heard_ms: u64,
}

impl FeedStatus {
    /// The counters of a feed thread now.
    pub fn read(venue: Venue, gauge: &FeedGauge) -> Self {
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        Self {
            venue: venue.name().into(),
            connections_up: read(&gauge.up),
            dials: read(&gauge.dials),
            messages: read(&gauge.messages),
            snapshots: read(&gauge.snapshots),
            gaps: read(&gauge.gaps),
            duplicates: read(&gauge.duplicates),
            malformed: read(&gauge.malformed),
            canaries: read(&gauge.canaries),
            storms: read(&gauge.storm),
            unrecorded: read(&gauge.unrecorded),
            unchecked: read(&gauge.unchecked),
            heard_ms: read(&gauge.heard_ms),
        }
    }
}

/// One account.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Balances {
    pub venue: String,
    pub shard: u8,
    pub cash: i64,
    pub reserved: i64,
}

/// How often one reason ended an opportunity.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ReasonLine {
    pub code: String,
    pub count: u64,
}

/// One stage's latency.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct StageLine {
    pub stage: String,
    pub count: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub max_ns: u64,
}
