//! Kalshi's bodies as they are sent, and how they become listings.

use serde::Deserialize;
use serde_json::Value;

use super::{Book, Event, ExchangeStatus, FeeSchedule, Market, Series, ShardStatus, Status, Strike, is_ticker};
use crate::unit::{Money, Qty, decimal};
use crate::venue::kalshi::grid;
use crate::venue::listing::{Levels, Page, Refused, level, or_default, ppm, read, read_each, scalar, time};

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

fn dollars(text: &str) -> Option<Money> {
    i64::try_from(decimal(text.as_bytes(), 9, 6)?).ok().map(Money::micros)
}
