//! Kalshi's catalogue over REST: markets, events, series, books and the exchange's state (dossier 4.1 to 4.4).
//!
//! Tolerant of what it does not know, strict about what it needs: a market that cannot be traded as a plain YES or NO
//! carries the reason. `null` and absent mean the same. Field names and forms as of the REST specification 3.34.0.

mod parse;

use std::num::NonZeroU32;

use crate::unit::{Grid, Money, Qty, UnixMs};
use crate::venue::listing::{Levels, Page, Refused};
use crate::venue::rest::{Access, Rest, RestError};

pub use parse::{
    parse_book, parse_books, parse_event, parse_events, parse_market, parse_markets, parse_series, parse_status,
};

/// Twenty default reads a second are the Basic tier's; half of that leaves room for what is urgent.
pub const READS_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).expect("ten is not zero");

/// One market as Kalshi lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Market {
    pub ticker: String,
    pub event_ticker: String,
    pub title: String,
    /// The outcome's label. On team markets `no_sub_title` shows the same team: it is no complement.
    pub yes_sub_title: String,
    pub no_sub_title: String,
    /// The binding texts; either may be empty.
    pub rules_primary: String,
    pub rules_secondary: String,
    pub status: Status,
    /// `yes`, `no`, `scalar`; `None` until determined.
    pub result: Option<String>,
    pub open_time: Option<UnixMs>,
    /// Rewritten by the venue on an early close.
    pub close_time: Option<UnixMs>,
    pub expected_expiration_time: Option<UnixMs>,
    pub latest_expiration_time: Option<UnixMs>,
    pub occurrence_time: Option<UnixMs>,
    pub can_close_early: bool,
    pub early_close_condition: String,
    /// Between determination and payout.
    pub settlement_timer_s: Option<u64>,
    pub settled_at: Option<UnixMs>,
    /// What one YES contract paid.
    pub settlement_value: Option<Money>,
    pub expiration_value: String,
    pub strike: Strike,
    /// `None` where it is not known; then `refused` says so.
    pub grid: Option<Grid>,
    /// The smallest order.
    pub min_qty: Qty,
    /// Cash and pauses are per shard.
    pub shard: u32,
    pub settlement_bounds: String,
    /// No fees until then.
    pub fee_waiver_until: Option<UnixMs>,
    pub volume_24h: Option<Qty>,
    pub open_interest: Option<Qty>,
    /// Why it is never paired, if so.
    pub refused: Option<Refused>,
}

/// What the outcome is measured against.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Strike {
    /// `greater`, `between`, `structured` …; empty where not stated.
    pub kind: String,
    /// Decimal texts as sent.
    pub floor: Option<String>,
    pub cap: Option<String>,
    pub functional: Option<String>,
    /// JSON text.
    pub custom: Option<String>,
}

/// The object's own status words; the filter speaks others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Status {
    Initialized,
    Active,
    /// Paused.
    Inactive,
    Closed,
    Determined,
    Disputed,
    Amended,
    Finalized,
    /// A word that was not known when this was built.
    Other(String),
}

impl Status {
    fn parse(text: &str) -> Self {
        match text {
            "initialized" => Self::Initialized,
            "active" => Self::Active,
            "inactive" => Self::Inactive,
            "closed" => Self::Closed,
            "determined" => Self::Determined,
            "disputed" => Self::Disputed,
            "amended" => Self::Amended,
            "finalized" => Self::Finalized,
            other => Self::Other(other.into()),
        }
    }
}

/// A fee schedule as the venue states it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct FeeSchedule {
    pub fee_type: String,
    /// Millionths.
    pub multiplier_ppm: u32,
}

impl FeeSchedule {
    /// Why markets with this schedule are never paired: the formula is not published, or is another product's.
    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        super::fee_curve(&self.fee_type, self.multiplier_ppm).is_none().then(|| Refused::FeeType(self.fee_type.clone()))
    }
}

/// A series: markets of one kind, with one fee.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Series {
    pub ticker: String,
    pub title: String,
    pub category: String,
    pub tags: Vec<String>,
    pub frequency: String,
    pub fee: FeeSchedule,
    /// Names of who decides.
    pub sources: Vec<String>,
    pub contract_terms_url: String,
    pub shard: u32,
}

/// An event: the markets on one question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    pub event_ticker: String,
    pub series_ticker: String,
    pub title: String,
    pub sub_title: String,
    pub category: String,
    /// At most one market will be YES; not that one will.
    pub mutually_exclusive: bool,
    pub strike_date: Option<UnixMs>,
    pub strike_period: String,
    pub sources: Vec<String>,
    pub fee_type_override: Option<String>,
    pub fee_multiplier_override_ppm: Option<u32>,
    pub shard: u32,
    pub markets: Vec<Market>,
    /// Nested markets that could not be read.
    pub unreadable: Vec<(String, Refused)>,
}

impl Event {
    /// What trades in this event pay: the event's overrides where present, else the series'.
    #[must_use]
    pub fn fee(&self, series: &Series) -> FeeSchedule {
        FeeSchedule {
            fee_type: self.fee_type_override.clone().unwrap_or_else(|| series.fee.fee_type.clone()),
            multiplier_ppm: self.fee_multiplier_override_ppm.unwrap_or(series.fee.multiplier_ppm),
        }
    }
}

/// Both bid ladders, in the order they came: ascending, best last.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Book {
    pub yes: Levels,
    pub no: Levels,
}

/// What the exchange says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExchangeStatus {
    /// Of shard 0 only, like the next one.
    pub exchange_active: bool,
    pub trading_active: bool,
    pub resumes_at: Option<UnixMs>,
    /// By shard, where the venue lists them.
    pub shards: Vec<ShardStatus>,
}

/// One shard's state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ShardStatus {
    pub shard: u32,
    pub exchange_active: bool,
    pub trading_active: bool,
}

impl ExchangeStatus {
    /// Can orders be placed on this shard now? A shard that is not listed is not known to be open, except the first.
    #[must_use]
    pub fn trades(&self, shard: u32) -> bool {
        match self.shards.iter().find(|status| status.shard == shard) {
            Some(status) => status.exchange_active && status.trading_active,
            None => shard == 0 && self.exchange_active && self.trading_active,
        }
    }
}

/// Which markets to list. The filter's status words are not the object's.
#[derive(Clone, Debug, Default)]
pub struct MarketFilter {
    /// `unopened`, `open`, `paused`, `closed`, `settled`.
    pub status: Option<String>,
    pub event_ticker: Option<String>,
    pub series_ticker: Option<String>,
    pub tickers: Vec<String>,
    /// Combinations are many and never paired.
    pub without_combos: bool,
}

/// Reads Kalshi's catalogue.
#[derive(Debug)]
pub struct Catalog {
    rest: Rest,
}

impl Catalog {
    /// A reader of one host.
    pub fn new(access: &Access<'_>) -> Result<Self, RestError> {
        Ok(Self { rest: Rest::new(access)? })
    }

    /// Every market that fits, over all pages.
    pub async fn markets(&self, filter: &MarketFilter) -> Result<Page<Market>, RestError> {
        let mut query = vec![("limit", "1000".to_owned())];
        let named = [
            ("status", &filter.status),
            ("event_ticker", &filter.event_ticker),
            ("series_ticker", &filter.series_ticker),
        ];
        query.extend(named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        if !filter.tickers.is_empty() {
            query.push(("tickers", filter.tickers.join(",")));
        }
        if filter.without_combos {
            query.push(("mve_filter", "exclude".into()));
        }
        self.rest.pages("/markets", &query, "cursor", parse_markets).await
    }

    /// One market.
    pub async fn market(&self, ticker: &str) -> Result<Market, RestError> {
        self.rest.read(&path("/markets/", ticker, "")?, &[], parse_market).await
    }

    /// Every event of a status (and series), with its markets, over all pages.
    pub async fn events(&self, status: &str, series_ticker: Option<&str>) -> Result<Page<Event>, RestError> {
        let mut query = vec![
            ("limit", "200".to_owned()),
            ("status", status.to_owned()),
            ("with_nested_markets", "true".to_owned()),
        ];
        query.extend(series_ticker.map(|series| ("series_ticker", series.to_owned())));
        self.rest.pages("/events", &query, "cursor", parse_events).await
    }

    /// Events by ticker, without their markets: their series, and their fees where they differ.
    pub async fn events_named(&self, tickers: &[String]) -> Result<Page<Event>, RestError> {
        let query = [("limit", "200".to_owned()), ("tickers", tickers.join(","))];
        self.rest.pages("/events", &query, "cursor", parse_events).await
    }

    /// One event, with its fees where they differ from its series'.
    pub async fn event(&self, event_ticker: &str) -> Result<Event, RestError> {
        self.rest.read(&path("/events/", event_ticker, "")?, &[], parse_event).await
    }

    /// One series, for its fees and sources.
    pub async fn series(&self, ticker: &str) -> Result<Series, RestError> {
        self.rest.read(&path("/series/", ticker, "")?, &[], parse_series).await
    }

    /// One market's book, whole.
    pub async fn orderbook(&self, ticker: &str) -> Result<Book, RestError> {
        self.rest.read(&path("/markets/", ticker, "/orderbook")?, &[], parse_book).await
    }

    /// Up to 100 books at once.
    pub async fn orderbooks(&self, tickers: &[String]) -> Result<Vec<(String, Book)>, RestError> {
        let query: Vec<_> = tickers.iter().map(|ticker| ("tickers", ticker.clone())).collect();
        self.rest.read("/markets/orderbooks", &query, parse_books).await
    }

    /// Is the exchange open, and which of its shards?
    pub async fn status(&self) -> Result<ExchangeStatus, RestError> {
        self.rest.read("/exchange/status", &[], parse_status).await
    }
}

/// Capitals, digits and the marks seen in tickers; so nothing of a ticker can change a path.
fn is_ticker(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 200 && text.bytes().all(sound) && !text.contains("..")
}

fn path(before: &str, ticker: &str, after: &str) -> Result<String, RestError> {
    if is_ticker(ticker) {
        Ok(format!("{before}{ticker}{after}"))
    } else {
        Err(RestError::Unreadable { path: before.into(), refused: Refused::BadId(ticker.into()) })
    }
}
