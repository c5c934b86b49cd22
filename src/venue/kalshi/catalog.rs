//! Kalshi's catalogue over REST: markets, events, series, books and the exchange's state (dossier 4.1 to 4.4).
//!
//! Tolerant of what it does not know, strict about what it needs: a market that cannot be traded as a plain YES or NO
//! carries the reason. `null` and absent mean the same. Field names and forms as of the REST specification 3.34.0.

use std::num::NonZeroU32;

use serde::Deserialize;
use serde_json::Value;

use super::grid;
use crate::unit::{Grid, Money, Qty, UnixMs, decimal};
use crate::venue::listing::{Levels, Page, Refused, level, or_default, ppm, read, read_each, scalar, time};
use crate::venue::rest::{Access, Rest, RestError};

/// The public host and path prefix.
pub const BASE: &str = "https://api.elections.kalshi.com/trade-api/v2";

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

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawMarket {
    #[serde(deserialize_with = "or_default")]
    ticker: String,
    #[serde(deserialize_with = "or_default")]
    event_ticker: String,
    #[serde(deserialize_with = "or_default")]
    market_type: String,
    #[serde(deserialize_with = "or_default")]
    title: String,
    #[serde(deserialize_with = "or_default")]
    yes_sub_title: String,
    #[serde(deserialize_with = "or_default")]
    no_sub_title: String,
    #[serde(deserialize_with = "or_default")]
    rules_primary: String,
    #[serde(deserialize_with = "or_default")]
    rules_secondary: String,
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(deserialize_with = "scalar")]
    result: Option<String>,
    #[serde(deserialize_with = "scalar")]
    open_time: Option<String>,
    #[serde(deserialize_with = "scalar")]
    close_time: Option<String>,
    #[serde(deserialize_with = "scalar")]
    expected_expiration_time: Option<String>,
    #[serde(deserialize_with = "scalar")]
    latest_expiration_time: Option<String>,
    #[serde(deserialize_with = "scalar")]
    occurrence_datetime: Option<String>,
    #[serde(deserialize_with = "or_default")]
    can_close_early: bool,
    #[serde(deserialize_with = "or_default")]
    early_close_condition: String,
    settlement_timer_seconds: Option<u64>,
    #[serde(deserialize_with = "scalar")]
    settlement_ts: Option<String>,
    #[serde(deserialize_with = "scalar")]
    settlement_value_dollars: Option<String>,
    #[serde(deserialize_with = "or_default")]
    expiration_value: String,
    #[serde(deserialize_with = "or_default")]
    settlement_bounds_type: String,
    #[serde(deserialize_with = "scalar")]
    settlement_floor_dollars: Option<String>,
    #[serde(deserialize_with = "or_default")]
    strike_type: String,
    #[serde(deserialize_with = "scalar")]
    floor_strike: Option<String>,
    #[serde(deserialize_with = "scalar")]
    cap_strike: Option<String>,
    #[serde(deserialize_with = "scalar")]
    functional_strike: Option<String>,
    custom_strike: Option<Value>,
    #[serde(deserialize_with = "or_default")]
    price_level_structure: String,
    #[serde(deserialize_with = "or_default")]
    price_ranges: Vec<RawRange>,
    #[serde(deserialize_with = "scalar")]
    notional_value_dollars: Option<String>,
    #[serde(deserialize_with = "or_default")]
    exchange_index: u32,
    #[serde(deserialize_with = "scalar")]
    fee_waiver_expiration_time: Option<String>,
    #[serde(deserialize_with = "scalar")]
    mve_collection_ticker: Option<String>,
    #[serde(deserialize_with = "scalar")]
    volume_24h_fp: Option<String>,
    #[serde(deserialize_with = "scalar")]
    open_interest_fp: Option<String>,
}

#[derive(Deserialize)]
struct RawRange {
    start: String,
    end: String,
    step: String,
}

/// Kalshi's smallest order, 0.01 contract; no field states it.
const MIN_QTY: Qty = match Qty::new(10_000) {
    Some(qty) => qty,
    None => Qty::ONE,
};

fn market(raw: RawMarket) -> Result<Market, Refused> {
    if !is_ticker(&raw.ticker) {
        return Err(Refused::BadId(raw.ticker));
    }
    let ranges = raw.price_ranges.iter().map(|r| (r.start.as_str(), r.end.as_str(), r.step.as_str()));
    let grid = grid(ranges);
    let refused = refusal(&raw, grid.is_some());
    let qty = |text: &Option<String>| text.as_ref().and_then(|text| Qty::parse(text.as_bytes()));
    Ok(Market {
        status: Status::parse(&raw.status),
        open_time: time(raw.open_time.as_deref()),
        close_time: time(raw.close_time.as_deref()),
        expected_expiration_time: time(raw.expected_expiration_time.as_deref()),
        latest_expiration_time: time(raw.latest_expiration_time.as_deref()),
        occurrence_time: time(raw.occurrence_datetime.as_deref()),
        settlement_timer_s: raw.settlement_timer_seconds,
        settled_at: time(raw.settlement_ts.as_deref()),
        settlement_value: raw.settlement_value_dollars.as_deref().and_then(dollars),
        strike: Strike {
            kind: raw.strike_type,
            floor: raw.floor_strike,
            cap: raw.cap_strike,
            functional: raw.functional_strike,
            custom: raw.custom_strike.filter(|strike| !strike.is_null()).map(|strike| strike.to_string()),
        },
        grid,
        min_qty: MIN_QTY,
        shard: raw.exchange_index,
        settlement_bounds: raw.settlement_bounds_type,
        fee_waiver_until: time(raw.fee_waiver_expiration_time.as_deref()),
        volume_24h: qty(&raw.volume_24h_fp),
        open_interest: qty(&raw.open_interest_fp),
        refused,
        ticker: raw.ticker,
        event_ticker: raw.event_ticker,
        title: raw.title,
        yes_sub_title: raw.yes_sub_title,
        no_sub_title: raw.no_sub_title,
        rules_primary: raw.rules_primary,
        rules_secondary: raw.rules_secondary,
        result: raw.result,
        can_close_early: raw.can_close_early,
        early_close_condition: raw.early_close_condition,
        expiration_value: raw.expiration_value,
    })
}

fn refusal(raw: &RawMarket, grid_known: bool) -> Option<Refused> {
    // `default`, or nothing on older bodies; any other word is a bound we do not know.
    let bounded = !matches!(raw.settlement_bounds_type.as_str(), "" | "default");
    let floored = raw.settlement_floor_dollars.as_deref().and_then(dollars).is_some_and(|floor| Money::ZERO < floor);
    match raw.market_type.as_str() {
        "binary" => {}
        "scalar" => return Some(Refused::Scalar),
        other => return Some(Refused::Malformed(format!("market type `{other}`"))),
    }
    if bounded || floored {
        Some(Refused::FloorSettlement)
    } else if raw.mve_collection_ticker.is_some() || raw.ticker.starts_with("KXMVE") {
        Some(Refused::Combo)
    } else if raw.notional_value_dollars.as_deref().is_some_and(|text| dollars(text) != Some(Money::dollars(1))) {
        Some(Refused::NotADollar)
    } else if !grid_known {
        Some(Refused::Grid(raw.price_level_structure.clone()))
    } else {
        None
    }
}

/// Reads `{"markets":[…],"cursor":"…"}`.
pub fn parse_markets(body: &[u8]) -> Result<Page<Market>, Refused> {
    #[derive(Deserialize)]
    struct Raw {
        markets: Vec<Value>,
        #[serde(default, deserialize_with = "scalar")]
        cursor: Option<String>,
    }
    let raw: Raw = read(body)?;
    Ok(Page { next: raw.cursor, ..read_each(raw.markets, "ticker", market) })
}

/// Reads `{"market":{…}}`.
pub fn parse_market(body: &[u8]) -> Result<Market, Refused> {
    #[derive(Deserialize)]
    struct Raw {
        market: RawMarket,
    }
    market(read::<Raw>(body)?.market)
}

#[derive(Deserialize)]
struct RawSource {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
}

fn names(sources: Vec<RawSource>) -> Vec<String> {
    sources.into_iter().map(|source| source.name).filter(|name| !name.is_empty()).collect()
}

#[derive(Deserialize)]
struct RawEvent {
    event_ticker: String,
    #[serde(default, deserialize_with = "or_default")]
    series_ticker: String,
    #[serde(default, deserialize_with = "or_default")]
    title: String,
    #[serde(default, deserialize_with = "or_default")]
    sub_title: String,
    #[serde(default, deserialize_with = "or_default")]
    category: String,
    #[serde(default, deserialize_with = "or_default")]
    mutually_exclusive: bool,
    #[serde(default, deserialize_with = "scalar")]
    strike_date: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    strike_period: String,
    #[serde(default, deserialize_with = "or_default")]
    settlement_sources: Vec<RawSource>,
    #[serde(default, deserialize_with = "scalar")]
    fee_type_override: Option<String>,
    #[serde(default, deserialize_with = "scalar")]
    fee_multiplier_override: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    exchange_index: u32,
    #[serde(default, deserialize_with = "or_default")]
    markets: Vec<Value>,
}

fn event(raw: RawEvent) -> Result<Event, Refused> {
    if !is_ticker(&raw.event_ticker) {
        return Err(Refused::BadId(raw.event_ticker));
    }
    let fee_multiplier_override_ppm = match &raw.fee_multiplier_override {
        None => None,
        Some(text) => Some(ppm(text).ok_or_else(|| Refused::FeeType(format!("multiplier {text}")))?),
    };
    let markets = read_each(raw.markets, "ticker", market);
    Ok(Event {
        event_ticker: raw.event_ticker,
        series_ticker: raw.series_ticker,
        title: raw.title,
        sub_title: raw.sub_title,
        category: raw.category,
        mutually_exclusive: raw.mutually_exclusive,
        strike_date: time(raw.strike_date.as_deref()),
        strike_period: raw.strike_period,
        sources: names(raw.settlement_sources),
        fee_type_override: raw.fee_type_override,
        fee_multiplier_override_ppm,
        shard: raw.exchange_index,
        markets: markets.items,
        unreadable: markets.unreadable,
    })
}

/// Reads `{"event":{…},"markets":[…]}`; the markets stand inside the event or beside it.
pub fn parse_event(body: &[u8]) -> Result<Event, Refused> {
    #[derive(Deserialize)]
    struct Raw {
        event: RawEvent,
        #[serde(default, deserialize_with = "or_default")]
        markets: Vec<Value>,
    }
    let mut raw: Raw = read(body)?;
    if raw.event.markets.is_empty() {
        raw.event.markets = raw.markets;
    }
    event(raw.event)
}

/// Reads `{"events":[…],"cursor":"…"}`, with or without nested markets.
pub fn parse_events(body: &[u8]) -> Result<Page<Event>, Refused> {
    #[derive(Deserialize)]
    struct Raw {
        events: Vec<Value>,
        #[serde(default, deserialize_with = "scalar")]
        cursor: Option<String>,
    }
    let raw: Raw = read(body)?;
    Ok(Page { next: raw.cursor, ..read_each(raw.events, "event_ticker", event) })
}

/// Reads `{"series":{…}}`.
pub fn parse_series(body: &[u8]) -> Result<Series, Refused> {
    #[derive(Deserialize)]
    struct Raw {
        series: RawSeries,
    }
    #[derive(Deserialize)]
    struct RawSeries {
        ticker: String,
        #[serde(default, deserialize_with = "or_default")]
        title: String,
        #[serde(default, deserialize_with = "or_default")]
        category: String,
        #[serde(default, deserialize_with = "or_default")]
        tags: Vec<String>,
        #[serde(default, deserialize_with = "or_default")]
        frequency: String,
        #[serde(default, deserialize_with = "or_default")]
        fee_type: String,
        #[serde(default, deserialize_with = "scalar")]
        fee_multiplier: Option<String>,
        #[serde(default, deserialize_with = "or_default")]
        settlement_sources: Vec<RawSource>,
        #[serde(default, deserialize_with = "or_default")]
        contract_terms_url: String,
        #[serde(default, deserialize_with = "or_default")]
        exchange_index: u32,
    }
    let raw = read::<Raw>(body)?.series;
    if !is_ticker(&raw.ticker) {
        return Err(Refused::BadId(raw.ticker));
    }
    let multiplier = raw.fee_multiplier.as_deref().ok_or(Refused::FeeUnstated)?;
    let multiplier_ppm = ppm(multiplier).ok_or_else(|| Refused::FeeType(format!("multiplier {multiplier}")))?;
    Ok(Series {
        ticker: raw.ticker,
        title: raw.title,
        category: raw.category,
        tags: raw.tags,
        frequency: raw.frequency,
        fee: FeeSchedule { fee_type: raw.fee_type, multiplier_ppm },
        sources: names(raw.settlement_sources),
        contract_terms_url: raw.contract_terms_url,
        shard: raw.exchange_index,
    })
}

#[derive(Deserialize)]
struct RawBook {
    #[serde(default, deserialize_with = "or_default")]
    yes_dollars: Vec<(String, String)>,
    #[serde(default, deserialize_with = "or_default")]
    no_dollars: Vec<(String, String)>,
}

fn book(raw: &RawBook) -> Result<Book, Refused> {
    let side = |levels: &[(String, String)]| -> Result<Levels, Refused> {
        levels.iter().map(|(price, qty)| level(price, qty)).collect()
    };
    Ok(Book { yes: side(&raw.yes_dollars)?, no: side(&raw.no_dollars)? })
}

/// Reads `{"orderbook_fp":{…}}`. The key must be there: its older name would read as an empty book.
pub fn parse_book(body: &[u8]) -> Result<Book, Refused> {
    #[derive(Deserialize)]
    struct Raw {
        orderbook_fp: RawBook,
    }
    book(&read::<Raw>(body)?.orderbook_fp)
}

/// Reads `{"orderbooks":[{"ticker":…,"orderbook_fp":{…}}]}`.
pub fn parse_books(body: &[u8]) -> Result<Vec<(String, Book)>, Refused> {
    #[derive(Deserialize)]
    struct Raw {
        orderbooks: Vec<RawEntry>,
    }
    #[derive(Deserialize)]
    struct RawEntry {
        ticker: String,
        orderbook_fp: RawBook,
    }
    let raw: Raw = read(body)?;
    raw.orderbooks.into_iter().map(|entry| Ok((entry.ticker, book(&entry.orderbook_fp)?))).collect()
}

/// Reads the answer of `/exchange/status`.
pub fn parse_status(body: &[u8]) -> Result<ExchangeStatus, Refused> {
    #[derive(Deserialize)]
    struct Raw {
        exchange_active: bool,
        trading_active: bool,
        #[serde(default, deserialize_with = "scalar")]
        exchange_estimated_resume_time: Option<String>,
        #[serde(default, deserialize_with = "or_default")]
        exchange_index_statuses: Vec<RawShard>,
    }
    #[derive(Deserialize)]
    struct RawShard {
        exchange_index: u32,
        exchange_active: bool,
        trading_active: bool,
    }
    let raw: Raw = read(body)?;
    let shard = |raw: &RawShard| ShardStatus {
        shard: raw.exchange_index,
        exchange_active: raw.exchange_active,
        trading_active: raw.trading_active,
    };
    Ok(ExchangeStatus {
        exchange_active: raw.exchange_active,
        trading_active: raw.trading_active,
        resumes_at: time(raw.exchange_estimated_resume_time.as_deref()),
        shards: raw.exchange_index_statuses.iter().map(shard).collect(),
    })
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

fn dollars(text: &str) -> Option<Money> {
    i64::try_from(decimal(text.as_bytes(), 9, 6)?).ok().map(Money::micros)
}
