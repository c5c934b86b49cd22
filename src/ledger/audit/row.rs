//! What is written to the audit trail: one plain struct per table, in the units of `unit.rs`.

use crate::unit::{Money, Outcome, Price, Qty, UnixMs, Venue};

/// What a run is known by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunInfo {
    /// `demo`, `paper`, `alert`, `live`.
    pub mode: String,
    pub started_at: UnixMs,
    /// Version and commit.
    pub build: String,
    /// The print of the effective settings.
    pub config_hash: String,
}

/// One thing to write down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Row {
    /// Inserted, or brought up to date where the id is known.
    Opportunity(Opportunity),
    /// Inserted, or brought up to date where the id is known.
    Plan(Plan),
    /// Inserted, or brought up to date.
    Decision(Decision),
    /// Inserted; a second report of the same trade only updates its fee and its finality.
    Fill(Fill),
    /// The position as it is now.
    Position(Position),
    Settlement(Settlement),
    /// Inserted once.
    Merge(Merge),
    Balance(Balance),
    Control(Control),
    ConfigChange(ConfigChange),
    Event(Event),
    /// Inserted once.
    Alert(super::Alert),
    /// How far it is now.
    Delivery(super::Delivery),
}

/// A time at which both legs together cost less than they pay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opportunity {
    /// Unique in the database; continue after [`State::last_opportunity`](super::State).
    pub id: u64,
    /// `ticker|condition id`.
    pub pair_key: String,
    pub title: String,
    /// The venue whose YES is bought.
    pub yes_on: Venue,
    pub seen_at: UnixMs,
    pub ended_at: Option<UnixMs>,
    pub yes_price: Price,
    pub no_price: Price,
    /// Micro-dollars per contract, at the best moment.
    pub gross: i64,
    /// Micro-dollars per contract, both venues.
    pub fee: i64,
    /// Micro-dollars per contract.
    pub net: i64,
    pub qty: Qty,
    pub depth: Money,
    /// Parts per million per year; `None` where the settlement time is unknown.
    pub annual_yield_ppm: Option<i64>,
    /// Thousandths of a day.
    pub days_to_settle_milli: Option<i64>,
    pub outcome: Fate,
    /// The code of the reason, where there is something to explain.
    pub reason: Option<String>,
    /// From the bytes to the decision.
    pub detect_ns: Option<u64>,
    pub plan_id: Option<u64>,
}

/// What was seen when an opportunity was judged first, or its plan begun.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    pub opportunity: u64,
    /// JSON: `[{"step", "ns"}]`, in order.
    pub steps: String,
    /// JSON: `[{"venue", "bids", "asks"}]`, levels as `[price, quantity]` in ten-thousandths and millionths.
    pub books: String,
}

/// What became of an opportunity.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fate {
    Open,
    Skipped,
    Planned,
    Filled,
    Partial,
    Missed,
}

impl Fate {
    /// The text in the column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Skipped => "skipped",
            Self::Planned => "planned",
            Self::Filled => "filled",
            Self::Partial => "partial",
            Self::Missed => "missed",
        }
    }
}

/// Two legs and what became of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// Unique in the database; continue after [`State::last_plan`](super::State).
    pub id: u64,
    pub opportunity_id: Option<u64>,
    /// `ticker|condition id`.
    pub pair_key: String,
    /// The venue whose YES is bought.
    pub yes_on: Venue,
    pub qty: Qty,
    pub yes_limit: Price,
    pub no_limit: Price,
    /// The state's name.
    pub state: String,
    pub opened_at: UnixMs,
    pub closed_at: Option<UnixMs>,
    pub expected_net: Money,
    /// Set once the profit is realised: settled, unwound or closed early.
    pub realised_net: Option<Money>,
    /// Both legs were paid, or sold.
    pub realised_at: Option<UnixMs>,
}

/// A trade.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fill {
    /// The venue's trade id.
    pub id: String,
    /// `None`: not by a plan of ours.
    pub plan_id: Option<u64>,
    /// 0 is the leg that went first.
    pub leg: u8,
    pub venue: Venue,
    /// Ticker or condition id.
    pub market: String,
    pub outcome: Outcome,
    pub action: Action,
    pub price: Price,
    pub qty: Qty,
    pub fee: Money,
    pub at: UnixMs,
    /// Venue time of the book it was decided on.
    pub book_stamp: Option<UnixMs>,
    pub finality: Finality,
    pub simulated: bool,
}

/// Did we get contracts, or give them?
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    Buy,
    Sell,
}

impl Action {
    /// The text in the column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

/// How sure a trade is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Finality {
    /// Matched, not yet confirmed.
    Provisional,
    Final,
    /// It failed afterwards; it never happened.
    Void,
}

/// What is held of one outcome of one market.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Position {
    pub venue: Venue,
    pub market: String,
    pub outcome: Outcome,
    pub qty: Qty,
    /// With fees.
    pub cost: Money,
    pub updated_at: UnixMs,
}

/// What a market paid us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settlement {
    pub venue: Venue,
    pub market: String,
    /// What one YES contract paid, $0 to $1; one NO paid the rest.
    pub yes_payout: Money,
    pub qty_yes: Qty,
    pub qty_no: Qty,
    pub paid: Money,
    pub at: UnixMs,
}

/// YES and NO of a Polymarket market that became dollars.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Merge {
    pub market: String,
    pub qty: Qty,
    pub at: UnixMs,
}

/// What lies at a venue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Balance {
    pub at: UnixMs,
    pub venue: Venue,
    /// Kalshi's shard or Polymarket's wallet; empty where there is one.
    pub shard: String,
    pub free: Money,
    pub locked: Money,
}

/// Something a person ordered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Control {
    pub at: UnixMs,
    pub who: String,
    pub command: String,
    pub args: String,
    pub result: String,
}

/// A setting that changed while running.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigChange {
    pub at: UnixMs,
    pub key: String,
    pub before: String,
    pub after: String,
    pub origin: String,
}

/// Anything else worth keeping: canaries, alerts, breakers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    pub at: UnixMs,
    pub kind: String,
    pub text: String,
}
