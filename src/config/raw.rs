//! What an operator may write, key by key. Each key's documentation, unit, range and default are stated here once; the
//! sample file, the schema and the error texts are made from them.
//!
//! Decimals are `f64` only as carriers: a layer refuses more than fifteen significant digits, so the shortest text of
//! the carrier is the text that was typed, and `checked.rs` reads that text into integers.

mod alerts;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use alerts::{Alerts, Loud, Telegram};

/// Orion's settings. Strict: an unknown key, a wrong type or a value out of range stops the start.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Orion configuration")]
pub(super) struct Raw {
    /// The process: where it keeps its state and how it uses the host.
    #[garde(dive)]
    pub engine: Engine,
    /// When an edge becomes an order, and how large it may be.
    #[garde(dive)]
    pub trading: Trading,
    /// How much money there is and where it lies.
    #[garde(dive)]
    pub capital: Capital,
    /// The limits that no decision may pass.
    #[garde(dive)]
    pub risk: Risk,
    /// Where prices come from.
    #[garde(dive)]
    pub feed: Feed,
    /// Simulated fills on real prices.
    #[garde(dive)]
    pub paper: Paper,
    /// Which markets are the same bet.
    #[garde(dive)]
    pub pairs: Pairs,
    /// Where the keys lie, sealed.
    #[garde(dive)]
    pub vault: Vault,
    /// What a mode must have shown before `orion promote` lets the next one begin.
    #[garde(dive)]
    pub promotion: Promotion,
    /// Alerts and commands in a Telegram chat: docs/telegram.md says how to get there.
    #[garde(dive)]
    pub telegram: Telegram,
    /// The same alerts for other programs.
    #[garde(dive)]
    pub alerts: Alerts,
    /// The page in a browser, and what programs ask over HTTP.
    #[garde(dive)]
    pub dashboard: Dashboard,
    /// What is written to the log.
    #[garde(dive)]
    pub log: Log,
}

/// The process.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Engine {
    /// Folder for journal, database and overlay. Empty: `$STATE_DIRECTORY` (systemd sets it), else
    /// `$XDG_STATE_HOME/orion`, else `~/.local/state/orion`.
    #[garde(length(max = 4096))]
    #[schemars(extend("x-unit" = "path"))]
    pub state_dir: String,
    /// Cores for the hot threads, in this order: detector, Kalshi's feed, Polymarket's feed. Empty: no pinning.
    #[garde(length(max = 64), inner(range(max = 1023)))]
    #[schemars(extend("x-unit" = "core numbers"))]
    pub cores: Vec<u16>,
    /// What a hot thread does when nothing came. auto: spin where the host has a free core for each, else park.
    #[garde(skip)]
    pub idle: Idle,
    /// Live trading goes on by itself after a run that ended without a farewell. Off: it comes up halted and disarmed.
    #[garde(skip)]
    #[schemars(extend("x-looser" = "on"))]
    pub resume_after_crash: bool,
}

/// What a hot thread does when nothing came.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Idle {
    #[default]
    Auto,
    Spin,
    Yield,
    Park,
}

/// What `trading.threshold_spread` is compared with.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    #[default]
    Net,
    Gross,
}

/// Which leg of a plan leaves first.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LegOrder {
    #[default]
    Together,
    ThinnerFirst,
    RefusingFirst,
}

/// Decisions.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Trading {
    /// The least edge that is worth a trade. 0.01 is one cent per contract.
    #[garde(range(min = 0.0, max = 0.5))]
    #[schemars(extend("x-unit" = "dollars per $1 of payout"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "down"))]
    pub threshold_spread: f64,
    /// What the threshold is compared with: the edge after both fees (net) or before them (gross).
    #[garde(skip)]
    #[schemars(extend("x-applies" = "now", "x-looser" = "other"))]
    pub threshold_basis: Basis,
    /// The most that one trade may cost, both legs together. 0.05 is 5 %.
    #[garde(range(min = 0.0001, max = 1.0))]
    #[schemars(extend("x-unit" = "share of capital.initial_bankroll"))]
    #[schemars(extend("x-looser" = "up"))]
    pub max_trade_size_pct: f64,
    /// Smaller trades are not made. At most `max_trade_size_pct` of the bankroll.
    #[garde(range(min = 0.0, max = 1_000_000.0))]
    #[schemars(extend("x-unit" = "dollars"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "down"))]
    pub min_trade_size_usd: f64,
    /// Depth that both books must show within the slippage tolerance.
    #[garde(range(min = 0.0, max = 10_000_000.0))]
    #[schemars(extend("x-unit" = "dollars"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "down"))]
    pub target_liquidity_depth: f64,
    /// How far past the touch a limit may lie: worst price = touch + tolerance, or one tick where that is more.
    #[garde(range(min = 0.0, max = 0.1))]
    #[schemars(extend("x-unit" = "dollars per contract"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "up"))]
    pub slippage_tolerance: f64,
    /// Send orders without asking. In live mode this still needs `orion arm`.
    #[garde(skip)]
    #[schemars(extend("x-applies" = "now", "x-looser" = "on"))]
    pub auto_execute: bool,
    /// The least net profit per year on the capital that a trade locks until it settles. 0.10 is 10 %; 0 is off.
    #[garde(range(min = 0.0, max = 10.0))]
    #[schemars(extend("x-unit" = "share per year"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "down"))]
    pub min_annualized_yield: f64,
    /// Markets that settle later than this are left alone. 0 is off.
    #[garde(range(max = 3_650))]
    #[schemars(extend("x-unit" = "days"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "up or 0"))]
    pub max_days_to_settle: u32,
    /// The part of the Kelly size that is used.
    #[garde(range(min = 0.01, max = 1.0))]
    #[schemars(extend("x-unit" = "share"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "up"))]
    pub kelly_fraction: f64,
    /// No new trade in a market this short before it closes.
    #[garde(range(max = 604_800))]
    #[schemars(extend("x-unit" = "seconds"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "down"))]
    pub stop_before_close_s: u32,
    /// No new trade in a market this short before its game starts.
    #[garde(range(max = 604_800))]
    #[schemars(extend("x-unit" = "seconds"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "down"))]
    pub stop_before_game_s: u32,
    /// Rest of a pair after a plan of it ended.
    #[garde(range(max = 3_600))]
    #[schemars(extend("x-unit" = "seconds"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "down"))]
    pub cooldown_s: u32,
    /// Sign Polymarket orders ahead where a pair is near the threshold, and send them up to a minute later. Off: every
    /// order is signed when it is sent. Whether the venue takes an order that was signed a minute ago is unproven.
    #[garde(skip)]
    pub tickets: bool,
    /// How far below the threshold an edge may be for its orders to be signed ahead.
    #[garde(range(min = 0.0, max = 0.5))]
    #[schemars(extend("x-unit" = "dollars per contract"))]
    pub ticket_reach: f64,
    /// Which order of a trade leaves first: both at once, the one whose book offers less, or the one at the venue that
    /// lately refused more. The second answers what the first was filled. A venue that holds orders always goes first.
    #[garde(skip)]
    pub leg_order: LegOrder,
    /// A held pair is sold before it settles where both exits pay a dollar and this much more, after fees.
    #[garde(range(min = 0.0, max = 1.0))]
    #[schemars(extend("x-unit" = "dollars per $1 of payout"))]
    #[schemars(extend("x-looser" = "down"))]
    pub exit_min_gain: f64,
}

impl Default for Trading {
    fn default() -> Self {
        Self {
            threshold_spread: 0.01,
            threshold_basis: Basis::Net,
            max_trade_size_pct: 0.05,
            min_trade_size_usd: 100.0,
            target_liquidity_depth: 5_000.0,
            slippage_tolerance: 0.002,
            auto_execute: false,
            min_annualized_yield: 0.10,
            max_days_to_settle: 0,
            kelly_fraction: 0.25,
            stop_before_close_s: 120,
            stop_before_game_s: 300,
            cooldown_s: 5,
            tickets: true,
            ticket_reach: 0.02,
            leg_order: LegOrder::Together,
            exit_min_gain: 0.005,
        }
    }
}

/// Money.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Capital {
    /// Paper: the balance to start with. Live: an upper bound, never above the real balances.
    #[garde(range(min = 1.0, max = 1_000_000_000.0))]
    #[schemars(extend("x-unit" = "dollars"))]
    #[schemars(extend("x-looser" = "up"))]
    pub initial_bankroll: f64,
    /// The part that lies at Kalshi. The two allocations sum to 1.
    #[garde(range(min = 0.0, max = 1.0))]
    #[schemars(extend("x-unit" = "share of capital.initial_bankroll"))]
    #[schemars(extend("x-looser" = "other"))]
    pub kalshi_allocation_pct: f64,
    /// The part that lies at Polymarket. The two allocations sum to 1.
    #[garde(range(min = 0.0, max = 1.0))]
    #[schemars(extend("x-unit" = "share of capital.initial_bankroll"))]
    #[schemars(extend("x-looser" = "other"))]
    pub polymarket_allocation_pct: f64,
    /// Kept untouched on each venue.
    #[garde(range(min = 0.0, max = 0.9))]
    #[schemars(extend("x-unit" = "share of each allocation"))]
    #[schemars(extend("x-looser" = "down"))]
    pub reserve_pct: f64,
    /// How often it is looked at where the money lies. Transfers between venues are advice: Orion makes none.
    #[garde(range(min = 1, max = 720))]
    #[schemars(extend("x-unit" = "hours"))]
    pub rebalance_interval_hr: u32,
    /// Move cash between Kalshi's shards where it lies wrong. Needs a key with the scope `write::transfer`. Left to the
    /// venue where its own `target_balance_allocation` is set.
    #[garde(skip)]
    #[schemars(extend("x-looser" = "on"))]
    pub shard_transfers: bool,
}

impl Default for Capital {
    fn default() -> Self {
        Self {
            initial_bankroll: 100_000.0,
            kalshi_allocation_pct: 0.5,
            polymarket_allocation_pct: 0.5,
            reserve_pct: 0.10,
            rebalance_interval_hr: 4,
            shard_transfers: false,
        }
    }
}

/// Limits.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Risk {
    /// Pairs that may be held at once.
    #[garde(range(min = 1, max = 1_000))]
    #[schemars(extend("x-unit" = "pairs"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "up"))]
    pub max_open_positions: u32,
    /// The most that may depend on one event, both venues together.
    #[garde(range(min = 0.001, max = 1.0))]
    #[schemars(extend("x-unit" = "share of capital.initial_bankroll"))]
    #[schemars(extend("x-looser" = "up"))]
    pub max_exposure_per_event: f64,
    /// Realised loss of a day (UTC), unwinds included, that halts trading.
    #[garde(range(min = 0.001, max = 1.0))]
    #[schemars(extend("x-unit" = "share of capital.initial_bankroll"))]
    #[schemars(extend("x-looser" = "up"))]
    pub max_daily_loss_pct: f64,
    /// A book whose newest news is older than this is not traded on.
    #[garde(range(min = 50, max = 60_000))]
    #[schemars(extend("x-unit" = "milliseconds"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "up"))]
    pub max_feed_age_ms: u32,
    /// An edge above this is too good to be true: it is shown, never traded. Above `trading.threshold_spread`.
    #[garde(range(min = 0.001, max = 1.0))]
    #[schemars(extend("x-unit" = "dollars per $1 of payout"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "up"))]
    pub max_edge: f64,
    /// Orders sent within a second, both venues together: a plan is two.
    #[garde(range(min = 1, max = 100))]
    #[schemars(extend("x-unit" = "orders per second"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "up"))]
    pub max_orders_per_second: u32,
    /// One leg may stand alone for this long before the latch falls; closing it goes on.
    #[garde(range(min = 0.1, max = 60.0))]
    #[schemars(extend("x-unit" = "seconds"))]
    #[schemars(extend("x-looser" = "up"))]
    pub max_naked_seconds: f64,
    /// The most that closing one leg that stands alone may lose; where every way loses more, it waits for a better one.
    #[garde(range(min = 0.01, max = 1_000_000.0))]
    #[schemars(extend("x-unit" = "dollars"))]
    #[schemars(extend("x-looser" = "up"))]
    pub max_naked_usd: f64,
    /// The most contracts that one leg may ever hold alone, so no plan trades more: its other leg may come to nothing.
    #[garde(range(min = 10, max = 100_000_000))]
    #[schemars(extend("x-unit" = "contracts"))]
    #[schemars(extend("x-applies" = "now", "x-looser" = "up"))]
    pub max_naked_contracts: u32,
    /// Fall of the realised result from its highest point since the engine started that halts trading.
    #[garde(range(min = 0.001, max = 1.0))]
    #[schemars(extend("x-unit" = "share of capital.initial_bankroll"))]
    #[schemars(extend("x-looser" = "up"))]
    pub max_drawdown_pct: f64,
    /// So many orders in a row that a venue refuses, or leaves in doubt, halt trading; finding nothing to match is no
    /// refusal.
    #[garde(range(min = 1, max = 1_000))]
    #[schemars(extend("x-unit" = "orders"))]
    #[schemars(extend("x-looser" = "up"))]
    pub max_consecutive_refusals: u32,
    /// Of the last 20 orders of a venue, the share refused or in doubt that halts trading.
    #[garde(range(min = 0.05, max = 1.0))]
    #[schemars(extend("x-unit" = "share of 20 orders"))]
    #[schemars(extend("x-looser" = "up"))]
    pub max_error_rate: f64,
    /// What Polymarket has matched and not made final may be worth this much; beyond it nothing new is entered.
    #[garde(range(min = 1.0, max = 100_000_000.0))]
    #[schemars(extend("x-unit" = "dollars"))]
    #[schemars(extend("x-looser" = "up"))]
    pub provisional_usd_max: f64,
    /// What `orion kill --flatten` may lose against what was paid for everything that it sells. The rest is kept.
    #[garde(range(min = 0.0, max = 100_000_000.0))]
    #[schemars(extend("x-unit" = "dollars"))]
    #[schemars(extend("x-looser" = "up"))]
    pub max_flatten_loss: f64,
}

impl Default for Risk {
    fn default() -> Self {
        Self {
            max_open_positions: 20,
            max_exposure_per_event: 0.10,
            max_daily_loss_pct: 0.05,
            max_feed_age_ms: 2_000,
            max_edge: 0.10,
            max_orders_per_second: 5,
            max_naked_seconds: 2.0,
            max_naked_usd: 50.0,
            max_naked_contracts: 1_000,
            max_drawdown_pct: 0.10,
            max_consecutive_refusals: 5,
            max_error_rate: 0.5,
            provisional_usd_max: 25_000.0,
            max_flatten_loss: 1_000.0,
        }
    }
}

/// Prices.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Feed {
    /// Time between two looks at a Kalshi book where no key in the vault opens the stream.
    #[garde(range(min = 250, max = 10_000))]
    #[schemars(extend("x-unit" = "milliseconds"))]
    pub kalshi_poll_ms: u32,
    /// Polymarket tokens per WebSocket connection.
    #[garde(range(min = 2, max = 200))]
    #[schemars(extend("x-unit" = "tokens"))]
    pub assets_per_connection: u32,
    /// A book that was silent this long is compared with the venue over REST.
    #[garde(range(min = 5, max = 3_600))]
    #[schemars(extend("x-unit" = "seconds"))]
    #[schemars(extend("x-looser" = "up"))]
    pub quiet_look_s: u32,
}

impl Default for Feed {
    fn default() -> Self {
        Self { kalshi_poll_ms: 1_000, assets_per_connection: 200, quiet_look_s: 60 }
    }
}

/// Simulated fills.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Paper {
    /// From a decision to the simulated Kalshi.
    #[garde(range(max = 10_000))]
    #[schemars(extend("x-unit" = "milliseconds"))]
    pub kalshi_latency_ms: u32,
    /// From a decision to the simulated Polymarket.
    #[garde(range(max = 10_000))]
    #[schemars(extend("x-unit" = "milliseconds"))]
    pub polymarket_latency_ms: u32,
}

impl Default for Paper {
    fn default() -> Self {
        Self { kalshi_latency_ms: 45, polymarket_latency_ms: 60 }
    }
}

/// Pairs.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Pairs {
    /// The pair book: what a person approved.
    #[garde(length(min = 1, max = 4096))]
    #[schemars(extend("x-unit" = "path"))]
    #[schemars(extend("x-looser" = "other"))]
    pub file: String,
}

impl Default for Pairs {
    fn default() -> Self {
        Self { file: "config/pairs.toml".into() }
    }
}

/// The vault.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Vault {
    /// The sealed file that `orion secrets` keeps; its mode must be 0600. Empty: `vault` in the state directory.
    #[garde(length(max = 4096))]
    #[schemars(extend("x-unit" = "path"))]
    pub file: String,
    /// When a delegated Polymarket key ends (180 days after it was made at most): told two weeks ahead, and nothing is
    /// opened after it. Empty for a key that owns its wallet.
    #[garde(length(max = 10))]
    #[schemars(extend("x-unit" = "date, YYYY-MM-DD"))]
    pub polymarket_key_ends: String,
}

/// Evidence.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Promotion {
    /// On paper, before alert mode.
    #[garde(range(min = 1, max = 8_760))]
    #[schemars(extend("x-unit" = "hours"))]
    #[schemars(extend("x-looser" = "down"))]
    pub paper_hours: u32,
    /// In alert mode, before live.
    #[garde(range(min = 1, max = 8_760))]
    #[schemars(extend("x-unit" = "hours"))]
    #[schemars(extend("x-looser" = "down"))]
    pub alert_hours: u32,
    /// Of that time, with both venues connected.
    #[garde(range(min = 0.5, max = 1.0))]
    #[schemars(extend("x-unit" = "share"))]
    #[schemars(extend("x-looser" = "down"))]
    pub feed_uptime: f64,
    /// In alert mode, that would have been taken.
    #[garde(range(max = 1_000_000))]
    #[schemars(extend("x-unit" = "opportunities"))]
    #[schemars(extend("x-looser" = "down"))]
    pub opportunities: u32,
}

impl Default for Promotion {
    fn default() -> Self {
        Self { paper_hours: 24, alert_hours: 72, feed_uptime: 0.99, opportunities: 20 }
    }
}

/// The page.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Dashboard {
    /// The port on 127.0.0.1; no other address is ever served. 0: no page. The demo takes another one where it is in use.
    #[garde(range(max = 65_535))]
    #[schemars(extend("x-unit" = "port"))]
    pub port: u32,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self { port: 8_501 }
    }
}

/// Log.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// The least level that is written: trace, debug, info, warn or error. Python's names work in any case.
    #[garde(length(max = 16))]
    #[schemars(extend("x-unit" = "level"))]
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into() }
    }
}
