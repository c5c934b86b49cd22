//! Who is told of what, and who may command from a chat.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an alert arrives.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Loud {
    #[default]
    On,
    Silent,
    Off,
}

/// The largest id that Telegram gives out: they have at most 52 bits.
const ID_MAX: i64 = (1 << 52) - 1;

/// Telegram.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Telegram {
    /// Chats that are written to, and from which commands are taken. A group's id is negative. Empty: none.
    #[garde(length(max = 16), inner(range(min = -ID_MAX, max = ID_MAX)))]
    #[schemars(extend("x-unit" = "chat ids"))]
    pub chat_ids: Vec<i64>,
    /// People who may command, each in one of those chats. Being a member of the chat is not enough. Empty: nobody.
    #[garde(length(max = 64), inner(range(min = 1, max = ID_MAX)))]
    #[schemars(extend("x-unit" = "user ids"))]
    pub user_ids: Vec<i64>,
    /// The zone that times in the chat are of, by its name: UTC, Europe/Zurich, `America/New_York`.
    #[garde(length(min = 1, max = 64))]
    #[schemars(extend("x-unit" = "time zone"))]
    pub zone: String,
    /// When the summary of a day comes, in that zone.
    #[garde(length(min = 5, max = 5))]
    #[schemars(extend("x-unit" = "time of day, HH:MM"))]
    pub daily_at: String,
    /// Opportunities below this net edge are not told.
    #[garde(range(min = 0.0, max = 1.0))]
    #[schemars(extend("x-unit" = "dollars per $1 of payout"))]
    pub opportunity_min_edge: f64,
    /// Edges seen: one message that is edited at most once a minute.
    #[garde(skip)]
    pub opportunity: Loud,
    /// Plans with both legs filled, and held pairs that were sold.
    #[garde(skip)]
    pub execution: Loud,
    /// Legs that had to be closed again.
    #[garde(skip)]
    pub unwind: Loud,
    /// Markets that paid.
    #[garde(skip)]
    pub settlement: Loud,
    /// Breakers, kills, legs that stand alone, disagreements with a venue: repeated until acknowledged.
    #[garde(skip)]
    pub risk: Loud,
    /// Feeds, the database, starts after a crash, accounts that may not trade.
    #[garde(skip)]
    pub health: Loud,
    /// Less cash at a venue than its reserve and one smallest trade.
    #[garde(skip)]
    pub balance_low: Loud,
    /// Markets whose rules were edited.
    #[garde(skip)]
    pub pair_changed: Loud,
    /// What should not be, and stops nothing.
    #[garde(skip)]
    pub error: Loud,
    /// The summary of a day.
    #[garde(skip)]
    pub daily: Loud,
    /// The engine has started.
    #[garde(skip)]
    pub startup: Loud,
    /// The engine has ended.
    #[garde(skip)]
    pub shutdown: Loud,
}

impl Default for Telegram {
    fn default() -> Self {
        Self {
            chat_ids: Vec::new(),
            user_ids: Vec::new(),
            zone: "UTC".into(),
            daily_at: "08:00".into(),
            opportunity_min_edge: 0.02,
            opportunity: Loud::Silent,
            execution: Loud::On,
            unwind: Loud::On,
            settlement: Loud::Silent,
            risk: Loud::On,
            health: Loud::On,
            balance_low: Loud::On,
            pair_changed: Loud::On,
            error: Loud::On,
            daily: Loud::Silent,
            startup: Loud::Silent,
            shutdown: Loud::Silent,
        }
    }
}

/// Other programs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize, Validate)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Alerts {
    /// Every alert is posted there as JSON, signed where `alerts.webhook_secret` is in the vault. https, or http on
    /// loopback. Empty: nowhere.
    #[garde(length(max = 2048))]
    #[schemars(extend("x-unit" = "address"))]
    pub webhook_url: String,
}
