//! Polymarket's public REST bodies without I/O: Gamma (what is listed), the CLOB (books and terms), the Data API
//! (resolutions) and the geographic check, all behind one address here and told apart by path.
//!
//! Gamma keeps JSON inside strings and mixes numbers with texts; `POST /books` answers in another order and drops what
//! it does not know. That is how the venue does it.

use serde_json::{Value, json};

use crate::sim::kalshi_rest::Reply;
use crate::sim::listing::{Phase, PolymarketMarket, date, rfc3339};
use crate::sim::polymarket::{rest_book, sha1_hex, short, short_ppm};
use crate::sim::world::World;
use crate::unit::{BookSide, Money, Price, UnixMs, Venue};

const PAGE_MAX: usize = 100;
const BOOKS_MAX: usize = 500;

type Query<'a> = &'a [(String, String)];

fn param<'a>(query: Query<'a>, name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn params<'a>(query: Query<'a>, name: &str) -> Vec<&'a str> {
    query.iter().filter(|(key, _)| key == name).flat_map(|(_, value)| value.split(',')).collect()
}

/// The CLOB's error shape.
fn error(status: u16, text: &str) -> Reply {
    Reply::new(status, &json!({"error": text}))
}

/// Answers a GET.
pub fn answer(world: &World, path: &str, query: Query, now: UnixMs) -> Reply {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["ok"] => Reply { status: 200, body: String::from("\"OK\"") },
        ["time"] => Reply { status: 200, body: (now.raw() / 1_000).to_string() },
        ["version"] => Reply::ok(&json!({"version": 2})),
        ["book"] => match param(query, "token_id") {
            None => error(400, "Invalid token id"),
            Some(token) => match find_token(world, token).filter(|&(at, _)| has_book(world, at)) {
                Some((at, outcome)) => Reply { status: 200, body: rest_book(world, at, outcome) },
                None => error(404, "No orderbook exists for the requested token id"),
            },
        },
        ["tick-size"] => by_token(world, query, |market, _| json!({"minimum_tick_size": number(market.tick)})),
        ["neg-risk"] => by_token(world, query, |_, neg_risk| json!({"neg_risk": neg_risk})),
        ["fee-rate"] => {
            by_token(world, query, |market, _| json!({"base_fee": if market.fee.is_some() { 1_000 } else { 0 }}))
        }
        ["clob-markets", condition] => clob_market(world, condition),
        ["markets-by-token", token] => match find_token(world, token) {
            Some((at, _)) => Reply::ok(&json!({"condition_id": world.catalog().polymarket[at].condition_id})),
            None => error(404, "market not found"),
        },
        ["events", "keyset"] => keyset(world, query, "events"),
        ["markets", "keyset"] => keyset(world, query, "markets"),
        ["markets", "slug", slug] => one(world, |market| market.slug == *slug),
        ["markets", id] => one(world, |market| market.id.to_string() == *id),
        ["events", "slug", slug] => one_event(world, |at| world.catalog().polymarket_events[at].slug == *slug),
        ["events", id] => one_event(world, |at| world.catalog().polymarket_events[at].id.to_string() == *id),
        ["v2", "resolutions"] => resolutions(world, query),
        ["api", "geoblock"] => Reply::ok(&json!({"blocked": false, "ip": "127.0.0.1", "country": "IE", "region": "L"})),
        _ => Reply::new(404, &json!({"type": "not found error", "error": "not found"})),
    }
}

/// Answers `POST /books`.
pub fn answer_books(world: &World, body: &str) -> Reply {
    let Ok(Value::Array(asked)) = serde_json::from_str::<Value>(body) else {
        return error(400, "Invalid payload");
    };
    if BOOKS_MAX < asked.len() {
        return error(400, "Payload exceeds the limit");
    }
    let mut tokens: Vec<&str> = asked.iter().filter_map(|one| one["token_id"].as_str()).collect();
    // Another order than asked for, the same every time.
    tokens.sort_by_key(|token| token.bytes().rev().collect::<Vec<u8>>());
    let books: Vec<String> = tokens
        .into_iter()
        .filter_map(|token| find_token(world, token))
        .filter(|&(at, _)| has_book(world, at))
        .map(|(at, outcome)| rest_book(world, at, outcome))
        .collect();
    Reply { status: 200, body: format!("[{}]", books.join(",")) }
}

fn find_token(world: &World, token: &str) -> Option<(usize, u8)> {
    world
        .catalog()
        .polymarket
        .iter()
        .enumerate()
        .find_map(|(at, market)| market.tokens.iter().position(|own| own == token).map(|outcome| (at, outcome as u8)))
}

fn has_book(world: &World, at: usize) -> bool {
    world.catalog().polymarket[at].state.phase == Phase::Active
}

fn by_token(world: &World, query: Query, body: impl FnOnce(&PolymarketMarket, bool) -> Value) -> Reply {
    let found = param(query, "token_id").and_then(|token| find_token(world, token));
    match found {
        Some((at, _)) => {
            let market = &world.catalog().polymarket[at];
            Reply::ok(&body(market, world.catalog().polymarket_events[market.event].neg_risk))
        }
        None => error(404, "market not found"),
    }
}

/// A price step as a JSON number.
fn number(tick: u16) -> f64 {
    f64::from(tick) / f64::from(Price::DOLLAR)
}

fn clob_market(world: &World, condition: &str) -> Reply {
    // Paths want 64 hex digits; the 62 of a Protocol V2 condition are not enough.
    let Some(at) = world.find(Venue::Polymarket, condition) else { return error(404, "market not found") };
    let market = &world.catalog().polymarket[at];
    let mut body = json!({
        "c": market.condition_id,
        "t": [{"t": market.tokens[0], "o": "Yes"}, {"t": market.tokens[1], "o": "No"}],
        "mos": 5, "mts": number(market.tick),
        "mbf": if market.fee.is_some() { 1_000 } else { 0 },
        "tbf": if market.fee.is_some() { 1_000 } else { 0 },
        "r": {"mi": 50, "ma": 4.5, "moas": 30},
        "aot": rfc3339(market.start),
        "v": version(market),
    });
    let Some(members) = body.as_object_mut() else { return error(500, "internal error") };
    // Absent booleans mean false, an absent schedule means no fee.
    if has_book(world, at) {
        members.insert(String::from("ao"), Value::Bool(true));
    }
    if world.catalog().polymarket_events[market.event].neg_risk {
        members.insert(String::from("nr"), Value::Bool(true));
    }
    if let Some(fee) = market.fee {
        members.insert(String::from("fd"), json!({"r": f64::from(fee.rate) / 1e6, "e": fee.exponent, "to": true}));
    }
    if market.taker_hold_ms().is_some() {
        members.insert(String::from("itode"), Value::Bool(true));
    }
    if 0 < market.seconds_delay {
        members.insert(String::from("sd"), Value::from(market.seconds_delay));
    }
    Reply::ok(&body)
}

const fn version(market: &PolymarketMarket) -> &'static str {
    if market.protocol_v2 { "v2" } else { "v1" }
}

const fn closed(market: &PolymarketMarket) -> bool {
    matches!(market.state.phase, Phase::Settled)
}

/// A market object of Gamma.
pub fn gamma_market(world: &World, at: usize) -> Value {
    let market = &world.catalog().polymarket[at];
    let event = &world.catalog().polymarket_events[market.event];
    let state = &market.state;
    let book = world.exchange(Venue::Polymarket).market(at);
    let (bid, ask) = (book.best(BookSide::Bid), book.best(BookSide::Ask));
    let prices = outcome_prices(state.payout, bid, ask);
    let tokens = format!(r#"["{}", "{}"]"#, market.tokens[0], market.tokens[1]);
    let volume = state.volume.micros() / 1_000_000;
    let touch_qty = bid.map_or(0, |price| book.quantity(BookSide::Bid, price).micros() / 1_000_000);
    let resolved = closed(market);
    let proposed = state.phase == Phase::Closed;
    let mut object = json!({
        "id": market.id.to_string(),
        "question": market.question,
        "conditionId": market.condition_id,
        "slug": market.slug,
        "resolutionSource": market.resolution_source,
        "endDate": rfc3339(market.end),
        "endDateIso": date(market.end, "%Y-%m-%d"),
        "startDate": rfc3339(market.start),
        "startDateIso": date(market.start, "%Y-%m-%d"),
        "description": market.description,
        "outcomes": "[\"Yes\", \"No\"]",
        "outcomePrices": format!(r#"["{}", "{}"]"#, prices.0, prices.1),
        "liquidity": format!("{}.5", touch_qty * 3), "liquidityNum": touch_qty * 3, "liquidityClob": touch_qty * 3,
        "volume": format!("{volume}.25"), "volumeNum": volume, "volumeClob": volume, "volume24hr": volume / 20,
    });
    let flags = json!({
        "active": true,
        "closed": resolved,
        "archived": false,
        "new": false,
        "featured": false,
        "restricted": true,
        "marketMakerAddress": "",
        "createdAt": rfc3339(market.start),
        "updatedAt": rfc3339(state.updated_at),
        "groupItemTitle": market.group_item,
        "groupItemThreshold": "0",
        "questionID": market.question_id,
        "enableOrderBook": true,
        "acceptingOrders": has_book(world, at),
        "acceptingOrdersTimestamp": rfc3339(market.start),
        "orderPriceMinTickSize": number(market.tick),
        "orderMinSize": 5,
        "negRisk": event.neg_risk,
        "negRiskOther": false,
        "ready": false, "funded": false, "cyom": false, "approved": true,
    });
    let terms = json!({
        "umaBond": "500", "umaReward": "5", "customLiveness": 0,
        "umaResolutionStatuses": if proposed || resolved { "[\"proposed\"]" } else { "[]" },
        "rewardsMinSize": 50, "rewardsMaxSpread": 4.5,
        "automaticallyActive": true,
        "clearBookOnStart": false,
        "manualActivation": false,
        "rfqEnabled": false,
        "holdingRewardsEnabled": false,
        "secondsDelay": market.seconds_delay,
        "makerBaseFee": if market.fee.is_some() { 1_000 } else { 0 },
        "takerBaseFee": if market.fee.is_some() { 1_000 } else { 0 },
        "feesEnabled": market.fee.is_some(),
        "feeType": market.fee.map(|fee| fee.name),
        "version": version(market),
    });
    let Some(members) = object.as_object_mut() else { return object };
    for more in [flags, terms] {
        if let Value::Object(more) = more {
            members.extend(more);
        }
    }
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    if market.protocol_v2 {
        set("clobTokenIds", Value::Null);
        set("positionIds", json!(market.tokens));
        let status = if resolved {
            "resolved"
        } else if proposed {
            "active"
        } else {
            "inactive"
        };
        set("resolutionStatus", Value::from(status));
    } else {
        set("clobTokenIds", Value::from(tokens));
        if resolved || proposed {
            set("umaResolutionStatus", Value::from(if resolved { "resolved" } else { "proposed" }));
        }
    }
    if let Some(fee) = market.fee {
        let rate = |ppm: u32| short_ppm(ppm).parse::<f64>().map_or(Value::Null, Value::from);
        set(
            "feeSchedule",
            json!({"exponent": fee.exponent, "rate": rate(fee.rate), "takerOnly": true, "rebateRate": rate(fee.rebate)}),
        );
    }
    if event.neg_risk {
        set("negRiskMarketID", Value::from(event.neg_risk_id.as_str()));
        set(
            "negRiskRequestID",
            Value::from(format!("0x{}{}", sha1_hex(&market.slug), &sha1_hex(&market.question)[..24])),
        );
    }
    if let Some(price) = state.last_price {
        set("lastTradePrice", Value::from(number(price.raw())));
    }
    if let (Some(bid), Some(ask)) = (bid, ask) {
        set("bestBid", Value::from(number(bid.raw())));
        set("bestAsk", Value::from(number(ask.raw())));
        set("spread", Value::from(number(ask.raw() - bid.raw())));
    }
    if let Some(at) = state.settled_at {
        set("closedTime", Value::from(date(at, "%Y-%m-%d %H:%M:%S+00")));
        set("umaEndDate", Value::from(rfc3339(at)));
        set("automaticallyResolved", Value::Bool(true));
    }
    object
}

fn outcome_prices(payout: Option<Money>, bid: Option<Price>, ask: Option<Price>) -> (String, String) {
    if let Some(paid) = payout {
        let yes = u16::try_from(paid.raw() / 100).unwrap_or(0);
        return (short(yes), short(Price::DOLLAR - yes));
    }
    let (bid, ask) = (bid.map_or(0, Price::raw), ask.map_or(Price::DOLLAR, Price::raw));
    let middle = u16::midpoint(bid, ask);
    (short(middle), short(Price::DOLLAR - middle))
}

fn gamma_event(world: &World, at: usize, markets: bool) -> Value {
    let catalog = world.catalog();
    let event = &catalog.polymarket_events[at];
    let (id, label, slug) = event.tag;
    let volume: u64 =
        event.markets.iter().map(|&market| catalog.polymarket[market].state.volume.micros() / 1_000_000).sum();
    let all_closed = event.markets.iter().all(|&market| closed(&catalog.polymarket[market]));
    let start = event.markets.first().map_or(UnixMs::new(0), |&market| catalog.polymarket[market].start);
    let mut object = json!({
        "id": event.id.to_string(),
        "ticker": event.slug,
        "slug": event.slug,
        "title": event.title,
        "description": event.markets.first().map_or("", |&market| catalog.polymarket[market].description.as_str()),
        "resolutionSource": "",
        "startDate": rfc3339(start), "creationDate": rfc3339(start), "createdAt": rfc3339(start),
        "updatedAt": rfc3339(world.stamp()),
        "endDate": rfc3339(event.end),
        "active": true, "closed": all_closed, "archived": false, "new": false, "featured": false, "restricted": true,
        "liquidity": volume / 10, "liquidityClob": volume / 10, "volume": volume, "volume24hr": volume / 20,
        "openInterest": 0, "competitive": 0.9, "commentCount": 0,
        "enableOrderBook": true,
        "negRisk": event.neg_risk, "enableNegRisk": event.neg_risk, "negRiskAugmented": false,
        "tags": [{"id": id, "label": label, "slug": slug}],
        "cyom": false, "showAllOutcomes": true, "automaticallyActive": true,
    });
    if let Some(members) = object.as_object_mut() {
        if event.neg_risk {
            members.insert(String::from("negRiskMarketID"), Value::from(event.neg_risk_id.as_str()));
        }
        if markets {
            let list: Vec<Value> = event.markets.iter().map(|&at| gamma_market(world, at)).collect();
            members.insert(String::from("markets"), Value::Array(list));
        }
    }
    object
}

/// A page of Gamma: `limit` is cut to 100, unknown parameters are ignored, `offset` is refused.
fn keyset(world: &World, query: Query, what: &str) -> Reply {
    if param(query, "offset").is_some() {
        return Reply::new(
            422,
            &json!({"type": "validation error", "error": "offset is not supported, use after_cursor"}),
        );
    }
    let catalog = world.catalog();
    let limit = param(query, "limit").and_then(|text| text.parse::<usize>().ok()).unwrap_or(20).clamp(1, PAGE_MAX);
    let wants_closed = param(query, "closed") == Some("true");
    let ids = params(query, "id");
    let slugs = params(query, "slug");
    let conditions = params(query, "condition_ids");
    let tokens = params(query, "clob_token_ids");
    let tag = param(query, "tag_slug");
    let wanted = |any: &[&str], own: &str| any.is_empty() || any.contains(&own);
    let markets_of = |at: usize| -> bool {
        let market = &catalog.polymarket[at];
        closed(market) == wants_closed
            && wanted(&ids, &market.id.to_string())
            && wanted(&slugs, &market.slug)
            && wanted(&conditions, &market.condition_id)
            && (tokens.is_empty() || market.tokens.iter().any(|token| tokens.contains(&token.as_str())))
    };
    let events_of = |at: usize| -> bool {
        let event = &catalog.polymarket_events[at];
        event.markets.iter().all(|&market| closed(&catalog.polymarket[market])) == wants_closed
            && wanted(&ids, &event.id.to_string())
            && wanted(&slugs, &event.slug)
            && tag.is_none_or(|tag| tag == event.tag.2)
    };
    let found: Vec<usize> = if what == "events" {
        (0..catalog.polymarket_events.len()).filter(|&at| events_of(at)).collect()
    } else {
        (0..catalog.polymarket.len()).filter(|&at| markets_of(at)).collect()
    };
    let from = param(query, "after_cursor").and_then(|cursor| cursor.strip_prefix("k")?.parse::<usize>().ok());
    let mut rest = found.into_iter().filter(|&at| from.is_none_or(|from| from < at)).peekable();
    let page: Vec<usize> = rest.by_ref().take(limit).collect();
    let nested = param(query, "include_markets") != Some("false");
    let list: Vec<Value> = page
        .iter()
        .map(|&at| if what == "events" { gamma_event(world, at, nested) } else { gamma_market_listed(world, at) })
        .collect();
    let mut body = json!({});
    if let Some(members) = body.as_object_mut() {
        members.insert(what.to_owned(), Value::Array(list));
        if let (Some(_), Some(last)) = (rest.peek(), page.last()) {
            members.insert(String::from("next_cursor"), Value::from(format!("k{last}")));
        }
    }
    Reply::ok(&body)
}

/// A market on its own names its event; inside an event it does not.
fn gamma_market_listed(world: &World, at: usize) -> Value {
    let mut object = gamma_market(world, at);
    if let Some(members) = object.as_object_mut() {
        members
            .insert(String::from("events"), json!([gamma_event(world, world.catalog().polymarket[at].event, false)]));
    }
    object
}

fn one(world: &World, found: impl Fn(&PolymarketMarket) -> bool) -> Reply {
    match world.catalog().polymarket.iter().position(found) {
        Some(at) => Reply::ok(&gamma_market_listed(world, at)),
        None => Reply::new(404, &json!({"type": "not found error", "error": "id not found"})),
    }
}

fn one_event(world: &World, found: impl Fn(usize) -> bool) -> Reply {
    match (0..world.catalog().polymarket_events.len()).find(|&at| found(at)) {
        Some(at) => Reply::ok(&gamma_event(world, at, true)),
        None => Reply::new(404, &json!({"type": "not found error", "error": "id not found"})),
    }
}

fn resolutions(world: &World, query: Query) -> Reply {
    let asked = params(query, "condition");
    if asked.is_empty() || 20 < asked.len() {
        return error(400, "between 1 and 20 condition ids are required");
    }
    if asked.iter().any(|condition| condition.len() != 66) {
        return error(400, "invalid condition id");
    }
    let rows: Vec<Value> = asked
        .into_iter()
        .filter_map(|condition| world.find(Venue::Polymarket, condition))
        .map(|at| resolution(world, at))
        .collect();
    Reply::ok(&json!({"data": rows, "pagination": {"next_cursor": null}}))
}

fn resolution(world: &World, at: usize) -> Value {
    let market = &world.catalog().polymarket[at];
    let mut row = json!({
        "condition_id": market.condition_id, "status": "active", "extended_review": false, "was_disputed": false,
        "new_version_q": false, "transaction_hash": "", "log_index": "",
        "last_update_timestamp": rfc3339(market.state.updated_at),
    });
    let Some(members) = row.as_object_mut() else { return row };
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    if market.state.phase == Phase::Closed {
        set("status", Value::from("proposed"));
    }
    if market.protocol_v2 {
        set("market_type", Value::from("BINARY"));
        set("reporter", Value::from("UMA_OO"));
        set("was_arbitrated", Value::Bool(false));
    }
    if let (Some(paid), Some(at)) = (market.state.payout, market.state.settled_at) {
        set("status", Value::from("resolved"));
        set("payouts", json!([paid.raw(), 1_000_000 - paid.raw()]));
        set("resolution_source", Value::from("reported"));
        set("resolved_block", Value::from(95_000_000 + at.raw() % 1_000_000));
        set("resolved_at", Value::from(rfc3339(at)));
    }
    row
}
