//! Kalshi's public REST bodies without I/O: a path and a query in, a status and a body out.
//!
//! Four shapes of error exist and all are used where the venue uses them. A garbage cursor is page one; a limit above
//! the maximum is an error, not a clamp; the last page's cursor is the empty string.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::sim::kalshi_text::{dollars, fee_override, fp, parts_per_million, price_ranges, result, strike, touch};
use crate::sim::listing::{KalshiMarket, Phase, Series, rfc3339};
use crate::sim::world::World;
use crate::unit::{BookSide, Price, Qty, UnixMs, Venue};

/// A status and a JSON body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: String,
}

impl Reply {
    /// 200 with this body.
    pub fn ok(body: &Value) -> Self {
        Self { status: 200, body: body.to_string() }
    }

    /// Any status with this body.
    pub fn new(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string() }
    }
}

/// The nested error shape, which exchange and authentication errors have.
pub fn nested(status: u16, code: &str, details: Option<&str>) -> Reply {
    let message = code.replace('_', " ");
    let mut error = json!({"code": code, "message": message});
    if let (Some(error), Some(details)) = (error.as_object_mut(), details) {
        error.insert(String::from("details"), Value::from(details));
    }
    Reply::new(status, &json!({"error": error}))
}

/// The flat shape, from reading a body.
pub fn flat(details: &str) -> Reply {
    Reply::new(400, &json!({"code": "bad_request", "message": "bad request", "details": details}))
}

/// The bare shape, from checking a query.
pub fn bare(call: &str, field: &str, tag: &str) -> Reply {
    Reply::new(
        400,
        &json!({"msg": format!(
            "Parameter validation failed for {call}: Key: '{call}Params.{field}' Error:Field validation for '{field}' \
             failed on the '{tag}' tag"
        )}),
    )
}

/// The string shape of a refused rate.
pub fn too_many_requests() -> Reply {
    Reply::new(429, &json!({"error": "too many requests"}))
}

type Query<'a> = &'a [(String, String)];

fn param<'a>(query: Query<'a>, name: &str) -> Option<&'a str> {
    query.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

/// Answers a GET below `/trade-api/v2`; the path is given without that prefix.
pub fn answer(world: &World, path: &str, query: Query) -> Reply {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["exchange", "status"] => Reply::ok(&status(&[(true, true); 4])),
        ["exchange", "schedule"] => Reply::ok(&schedule()),
        ["markets"] => markets(world, query),
        ["markets", "orderbooks"] => orderbooks(world, query),
        ["markets", ticker] => match world.find(Venue::Kalshi, ticker) {
            Some(at) => Reply::ok(&json!({"market": market(world, at)})),
            None => nested(404, "not_found", None),
        },
        ["markets", ticker, "orderbook"] => orderbook(world, ticker, query),
        ["events"] => events(world, query),
        ["events", ticker] => one_event(world, ticker, query),
        ["series"] => all_series(world, query),
        ["series", "fee_changes"] => Reply::ok(&json!({"series_fee_change_arr": []})),
        ["series", ticker] => match world.catalog().series.iter().find(|series| series.ticker == *ticker) {
            Some(found) => Reply::ok(&json!({"series": series(found, world)})),
            None => nested(404, "not_found", None),
        },
        _ => Reply { status: 404, body: String::from("404 page not found\n") },
    }
}

/// The body of `GET /exchange/status`: of every shard, is the exchange active, and may one trade?
pub fn status(states: &[(bool, bool); 4]) -> Value {
    let shards = ["Default exchange", "Combos", "Crypto", "Tennis and baseball"];
    let statuses: Vec<Value> = shards
        .iter()
        .enumerate()
        .map(|(at, about)| {
            json!({"exchange_index": at, "description": about, "exchange_active": states[at].0,
                "trading_active": states[at].1, "intra_exchange_transfers_active": true})
        })
        .collect();
    // The members at the top speak of shard 0 alone.
    json!({"exchange_active": states[0].0, "trading_active": states[0].1, "intra_exchange_transfers_active": true,
        "exchange_estimated_resume_time": null, "exchange_index_statuses": statuses})
}

fn schedule() -> Value {
    let whole = json!([{"open_time": "00:00", "close_time": "00:00"}]);
    // The real venue pauses every Thursday from 03:00 to 05:00; this one never does, and says so.
    json!({"schedule": {"maintenance_windows": [], "standard_hours": [{
        "start_time": "2024-12-01T00:00:00Z", "end_time": "2200-12-01T00:00:00Z",
        "monday": whole, "tuesday": whole, "wednesday": whole, "thursday": whole, "friday": whole,
        "saturday": whole, "sunday": whole,
    }]}})
}

/// The limit within its bounds, or the validation error.
fn limit(query: Query, call: &str, default: usize, most: usize) -> Result<usize, Reply> {
    let Some(text) = param(query, "limit") else { return Ok(default) };
    match text.parse::<i64>() {
        Err(_) => Err(nested(400, "bad_request", Some("invalid limit"))),
        Ok(asked) if asked < 0 => Err(bare(call, "Limit", "gte")),
        Ok(asked) if most < asked as usize => Err(bare(call, "Limit", "lte")),
        Ok(0) => Ok(default),
        Ok(asked) => Ok(asked as usize),
    }
}

fn page(found: Vec<usize>, query: Query, size: usize) -> (Vec<usize>, String) {
    let from = param(query, "cursor")
        .and_then(|text| BASE64_STANDARD.decode(text).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("after:")?.parse::<usize>().ok())
        .unwrap_or(0);
    let more = from.saturating_add(size) < found.len();
    let cursor = if more { BASE64_STANDARD.encode(format!("after:{}", from + size)) } else { String::new() };
    (found.into_iter().skip(from).take(size).collect(), cursor)
}

fn status_fits(market: &KalshiMarket, filter: &str) -> Result<bool, Reply> {
    let phase = market.state.phase;
    Ok(match filter {
        "unopened" => false,
        "open" => phase == Phase::Active,
        "paused" => phase == Phase::Paused,
        "closed" => matches!(phase, Phase::Closed | Phase::Determined),
        "settled" => phase == Phase::Settled,
        _ => return Err(nested(400, "bad_request", Some("invalid status filter"))),
    })
}

fn check_status(query: Query) -> Result<(), Reply> {
    match param(query, "status") {
        None | Some("unopened" | "open" | "paused" | "closed" | "settled") => Ok(()),
        Some(_) => Err(nested(400, "bad_request", Some("invalid status filter"))),
    }
}

/// Time filters go only with certain states (4.3).
fn check_times(query: Query) -> Result<(), Reply> {
    let status = param(query, "status");
    let given = |name: &str| param(query, name).is_some();
    let wrong = (given("min_created_ts") || given("max_created_ts"))
        && !matches!(status, None | Some("unopened" | "open"))
        || (given("min_close_ts") || given("max_close_ts")) && !matches!(status, None | Some("closed"))
        || (given("min_settled_ts") || given("max_settled_ts")) && !matches!(status, None | Some("settled"));
    if wrong { Err(nested(400, "bad_request", Some("incompatible timestamp filters"))) } else { Ok(()) }
}

fn within(query: Query, name: &str, at_ms: u64) -> bool {
    let bound = |prefix: &str| param(query, &format!("{prefix}_{name}_ts")).and_then(|text| text.parse::<u64>().ok());
    bound("min").is_none_or(|least| least <= at_ms / 1_000) && bound("max").is_none_or(|most| at_ms / 1_000 <= most)
}

fn markets(world: &World, query: Query) -> Reply {
    let size = match limit(query, "GetMarkets", 100, 1_000) {
        Ok(size) => size,
        Err(reply) => return reply,
    };
    if let Err(reply) = check_status(query).and_then(|()| check_times(query)) {
        return reply;
    }
    let catalog = world.catalog();
    let named: Option<Vec<&str>> = param(query, "tickers").map(|list| list.split(',').collect());
    let found = (0..catalog.kalshi.len())
        .filter(|&at| {
            let market = &catalog.kalshi[at];
            let event = &catalog.kalshi_events[market.event];
            let status = param(query, "status").is_none_or(|filter| status_fits(market, filter) == Ok(true));
            let settled_ms = market.state.settled_at.map_or(0, UnixMs::raw);
            status
                && named.as_ref().is_none_or(|list| list.contains(&market.ticker.as_str()))
                && param(query, "event_ticker").is_none_or(|ticker| ticker.split(',').any(|one| one == event.ticker))
                && param(query, "series_ticker").is_none_or(|ticker| ticker == catalog.series[event.series].ticker)
                && param(query, "mve_filter") != Some("only")
                && within(query, "close", market.close_time.raw())
                && within(query, "settled", settled_ms)
                && within(query, "created", market.open_time.raw())
        })
        .collect();
    let (found, cursor) = page(found, query, size);
    let list: Vec<Value> = found.into_iter().map(|at| market(world, at)).collect();
    Reply::ok(&json!({"markets": list, "cursor": cursor}))
}

/// The status words of a market object, which differ from those of the filter.
const fn status_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Active => "active",
        Phase::Paused => "inactive",
        Phase::Closed => "closed",
        Phase::Determined => "determined",
        Phase::Settled => "finalized",
    }
}

fn complement(text: &str) -> String {
    match text {
        "0.0000" => String::from("1.0000"),
        "1.0000" => String::from("0.0000"),
        other => {
            Price::parse(other.as_bytes()).map_or_else(|| other.to_owned(), |price| price.complement().to_string())
        }
    }
}

/// A market object.
pub fn market(world: &World, at: usize) -> Value {
    let catalog = world.catalog();
    let market = &catalog.kalshi[at];
    let state = &market.state;
    let touch = touch(world, at);
    let last = state.last_price.map_or_else(|| String::from("0.0000"), |price| price.to_string());
    let mut object = json!({
        "ticker": market.ticker,
        "event_ticker": catalog.kalshi_events[market.event].ticker,
        "market_type": market.market_type,
        "title": market.title,
        "subtitle": market.yes_sub_title,
        "yes_sub_title": market.yes_sub_title,
        "no_sub_title": market.yes_sub_title,
        "status": status_word(state.phase),
        "result": result(market),
        "created_time": rfc3339(market.open_time),
        "updated_time": rfc3339(state.updated_at),
        "open_time": rfc3339(market.open_time),
        "close_time": rfc3339(market.close_time),
        "expected_expiration_time": rfc3339(market.expected_expiration),
        "occurrence_datetime": rfc3339(market.expected_expiration),
        "expiration_time": rfc3339(market.latest_expiration),
        "latest_expiration_time": rfc3339(market.latest_expiration),
        "expiration_value": if state.payout.is_some() { market.yes_sub_title.as_str() } else { "" },
        "can_close_early": true,
        "settlement_timer_seconds": market.settlement_timer_secs,
        "settlement_bounds_type": if market.settlement_floor.is_some() { "floor" } else { "default" },
        "rules_primary": market.rules_primary,
        "rules_secondary": market.rules_secondary,
        "price_level_structure": market.structure.label,
        "price_ranges": price_ranges(market),
        "notional_value_dollars": "1.0000",
        "yes_bid_dollars": touch.bid,
        "yes_ask_dollars": touch.ask,
        "yes_bid_size_fp": fp(touch.bid_qty),
        "yes_ask_size_fp": fp(touch.ask_qty),
        "no_bid_dollars": complement(&touch.ask),
        "no_ask_dollars": complement(&touch.bid),
        "last_price_dollars": last,
        "previous_price_dollars": last,
        "previous_yes_bid_dollars": touch.bid,
        "previous_yes_ask_dollars": touch.ask,
        "volume_fp": fp(state.volume),
        "volume_24h_fp": fp(Qty::whole((state.volume.micros() / 9_000_000) as u32)),
        "open_interest_fp": fp(Qty::whole((state.volume.micros() / 3_000_000) as u32)),
        "exchange_index": market.exchange_index,
    });
    if let Some(object) = object.as_object_mut() {
        object.extend(strike(market));
        optional(object, market);
    }
    object
}

/// Members that are absent until there is something to say.
fn optional(object: &mut Map<String, Value>, market: &KalshiMarket) {
    if !market.early_close_condition.is_empty() {
        object.insert(String::from("early_close_condition"), Value::from(market.early_close_condition.as_str()));
    }
    if let Some(floor) = market.settlement_floor {
        object.insert(String::from("settlement_floor_dollars"), Value::from(floor.to_string()));
    }
    if let Some(paid) = market.state.payout {
        object.insert(String::from("settlement_value_dollars"), Value::from(dollars(paid)));
    }
    if let Some(at) = market.state.settled_at {
        object.insert(String::from("settlement_ts"), Value::from(rfc3339(at)));
    }
}

fn book_object(world: &World, at: usize, depth: usize) -> Value {
    let book = world.exchange(Venue::Kalshi).market(at);
    let level = |(price, qty): (Price, Qty)| json!([price.to_string(), fp(qty)]);
    // Depth counts from the best price; the list still ascends.
    let mut yes: Vec<Value> = book.levels(BookSide::Bid).rev().take(depth).map(level).collect();
    yes.reverse();
    let mut no: Vec<Value> =
        book.levels(BookSide::Ask).take(depth).map(|(price, qty)| level((price.complement(), qty))).collect();
    no.reverse();
    json!({"yes_dollars": yes, "no_dollars": no})
}

fn orderbook(world: &World, ticker: &str, query: Query) -> Reply {
    let depth = match param(query, "depth").map(str::parse::<usize>) {
        None | Some(Ok(0)) => usize::MAX,
        Some(Ok(depth)) if depth <= 100 => depth,
        Some(Ok(_)) => return bare("GetMarketOrderbook", "Depth", "lte"),
        Some(Err(_)) => return nested(400, "bad_request", Some("invalid depth")),
    };
    match world.find(Venue::Kalshi, ticker) {
        Some(at) => Reply::ok(&json!({"orderbook_fp": book_object(world, at, depth)})),
        None => nested(404, "not_found", None),
    }
}

fn orderbooks(world: &World, query: Query) -> Reply {
    let tickers: Vec<&str> =
        query.iter().filter(|(key, _)| key == "tickers").map(|(_, value)| value.as_str()).collect();
    if tickers.is_empty() {
        return bare("GetMarketOrderbooks", "Tickers", "required");
    }
    if 100 < tickers.len() {
        return bare("GetMarketOrderbooks", "Tickers", "lte");
    }
    let books: Vec<Value> = tickers
        .into_iter()
        .filter_map(|ticker| {
            let at = world.find(Venue::Kalshi, ticker)?;
            Some(json!({"ticker": ticker, "orderbook_fp": book_object(world, at, usize::MAX)}))
        })
        .collect();
    Reply::ok(&json!({"orderbooks": books}))
}

fn event_object(world: &World, at: usize, nested: bool) -> Value {
    let catalog = world.catalog();
    let event = &catalog.kalshi_events[at];
    let series = &catalog.series[event.series];
    let (kind, multiplier) = fee_override(event.fee_override);
    let mut object = json!({
        "event_ticker": event.ticker,
        "series_ticker": series.ticker,
        "title": event.title,
        "sub_title": event.sub_title,
        "category": series.category,
        "collateral_return_type": if event.exclusive { "MECNET" } else { "" },
        "mutually_exclusive": event.exclusive,
        "strike_period": "",
        "settlement_sources": [{"name": series.source.0, "url": series.source.1}],
        "available_on_brokers": false,
        "product_metadata": {},
        "exchange_index": series.exchange_index,
        "last_updated_ts": rfc3339(world.stamp()),
        "fee_type_override": kind,
        "fee_multiplier_override": multiplier,
    });
    if nested && let Some(object) = object.as_object_mut() {
        let list: Vec<Value> = event.markets.iter().map(|&at| market(world, at)).collect();
        object.insert(String::from("markets"), Value::Array(list));
    }
    object
}

fn events(world: &World, query: Query) -> Reply {
    let size = match limit(query, "GetEvents", 200, 200) {
        Ok(size) => size,
        Err(reply) => return reply,
    };
    if let Err(reply) = check_status(query) {
        return reply;
    }
    let catalog = world.catalog();
    let named: Option<Vec<&str>> = param(query, "tickers").map(|list| list.split(',').collect());
    let found = (0..catalog.kalshi_events.len())
        .filter(|&at| {
            let event = &catalog.kalshi_events[at];
            let fits = |filter: &str| {
                event.markets.iter().any(|&market| status_fits(&catalog.kalshi[market], filter) == Ok(true))
            };
            param(query, "status").is_none_or(fits)
                && param(query, "series_ticker").is_none_or(|ticker| ticker == catalog.series[event.series].ticker)
                && named.as_ref().is_none_or(|list| list.contains(&event.ticker.as_str()))
        })
        .collect();
    let (found, cursor) = page(found, query, size);
    let nested = param(query, "with_nested_markets") == Some("true");
    let list: Vec<Value> = found.into_iter().map(|at| event_object(world, at, nested)).collect();
    Reply::ok(&json!({"events": list, "milestones": [], "cursor": cursor}))
}

fn one_event(world: &World, ticker: &str, query: Query) -> Reply {
    let catalog = world.catalog();
    let Some(at) = catalog.kalshi_events.iter().position(|event| event.ticker == ticker) else {
        return nested(404, "not_found", None);
    };
    let nested = param(query, "with_nested_markets") == Some("true");
    let list: Vec<Value> = catalog.kalshi_events[at].markets.iter().map(|&at| market(world, at)).collect();
    // Nested or not, the specification requires the outer list too.
    Reply::ok(&json!({"event": event_object(world, at, nested), "markets": list}))
}

fn series(series: &Series, world: &World) -> Value {
    let code = series.ticker.trim_start_matches("KX");
    json!({
        "ticker": series.ticker,
        "title": series.title,
        "category": series.category,
        "categories": [series.category],
        "tags": [series.tag],
        "frequency": "custom",
        "fee_type": series.fee_type,
        "fee_multiplier": parts_per_million(series.fee_multiplier),
        "settlement_sources": [{"name": series.source.0, "url": series.source.1}],
        "contract_url": format!("https://contracts.example/certifications/{code}.pdf"),
        "contract_terms_url": format!("https://contracts.example/terms/{code}.pdf"),
        "additional_prohibitions": [],
        "exchange_index": series.exchange_index,
        "last_updated_ts": rfc3339(world.stamp()),
        "product_metadata": {},
    })
}

fn all_series(world: &World, query: Query) -> Reply {
    let wanted = |one: &&Series| {
        param(query, "category").is_none_or(|category| category == one.category)
            && param(query, "tags").is_none_or(|tags| tags.split(',').any(|tag| tag == one.tag))
    };
    let list: Vec<Value> = world.catalog().series.iter().filter(wanted).map(|one| series(one, world)).collect();
    Reply::ok(&json!({"series": list, "cursor": ""}))
}
