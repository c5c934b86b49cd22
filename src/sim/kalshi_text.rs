//! Kalshi's values as text and JSON: what the stream and the REST bodies have in common, and the lifecycle's bodies.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::sim::listing::{KalshiMarket, Strike, rfc3339};
use crate::sim::world::{Life, World};
use crate::unit::{BookSide, Money, Price, Qty, UnixMs, Venue};

/// Contracts with two decimals.
pub fn fp(qty: Qty) -> String {
    let hundredths = qty.micros() / 10_000;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// A dollar amount with four decimals.
pub fn dollars(money: Money) -> String {
    format!("{}.{:04}", money.raw() / 1_000_000, money.raw() % 1_000_000 / 100)
}

/// A signed dollar amount with that many decimals, cut off towards zero.
pub fn amount(money: Money, decimals: u32) -> String {
    let unit = 10_u64.pow(6 - decimals);
    let micros = money.raw().unsigned_abs() / unit * unit;
    let sign = if money.raw() < 0 && micros != 0 { "-" } else { "" };
    let part = micros % 1_000_000 / unit;
    format!("{sign}{}.{part:0width$}", micros / 1_000_000, width = decimals as usize)
}

/// A signed number of contracts with two decimals, from millionths.
pub fn signed_fp(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}", fp(Qty::new(micros.unsigned_abs()).unwrap_or(Qty::MAX)))
}

/// RFC 3339 with milliseconds where there are any.
pub fn rfc3339_ms(at: UnixMs) -> String {
    let (text, millis) = (rfc3339(at), at.raw() % 1_000);
    if millis == 0 { text } else { format!("{}.{millis:03}Z", text.trim_end_matches('Z')) }
}

/// One ladder as `[["0.4700","3.00"],…]`, by ascending price of its own leg.
pub fn ladder(levels: impl Iterator<Item = (Price, Qty)>) -> String {
    let mut text = String::from("[");
    for (price, qty) in levels {
        let comma = if text.len() == 1 { "" } else { "," };
        let _ = write!(text, r#"{comma}["{price}","{}"]"#, fp(qty));
    }
    text.push(']');
    text
}

/// A trade's id, the same on every channel.
pub fn trade_id(market: usize, number: u64) -> String {
    format!("{:08x}-{:04x}-4b1d-a5e0-{number:012x}", 0x5eed_0000 + market as u64, number % 0xffff)
}

/// The touch with the sentinels of an empty side: bid 0, ask 1.
pub struct Touch {
    pub bid: String,
    pub ask: String,
    pub bid_qty: Qty,
    pub ask_qty: Qty,
}

/// A market's touch on the YES leg.
pub fn touch(world: &World, market: usize) -> Touch {
    let book = world.exchange(Venue::Kalshi).market(market);
    let (bid, ask) = (book.best(BookSide::Bid), book.best(BookSide::Ask));
    Touch {
        bid: bid.map_or_else(|| String::from("0.0000"), |price| price.to_string()),
        ask: ask.map_or_else(|| String::from("1.0000"), |price| price.to_string()),
        bid_qty: bid.map_or(Qty::ZERO, |price| book.quantity(BookSide::Bid, price)),
        ask_qty: ask.map_or(Qty::ZERO, |price| book.quantity(BookSide::Ask, price)),
    }
}

/// `price_ranges` as on the wire.
pub fn price_ranges(market: &KalshiMarket) -> Value {
    let text = |raw: u16| format!("{}.{:04}", raw / Price::DOLLAR, raw % Price::DOLLAR);
    market
        .structure
        .bands
        .iter()
        .map(|band| json!({"start": text(band.start), "end": text(band.end), "step": text(band.step)}))
        .collect()
}

/// The frames of one lifecycle step: type and body.
pub fn lifecycle(at: usize, life: &Life, world: &World) -> Vec<(&'static str, Value)> {
    let catalog = world.catalog();
    let market = &catalog.kalshi[at];
    let event = &catalog.kalshi_events[market.event];
    let ticker = &market.ticker;
    let step = |event_type: &str, more: Value| {
        let mut body = json!({"market_ticker": ticker, "event_type": event_type});
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        ("market_lifecycle_v2", body)
    };
    let secs = |at: UnixMs| at.raw() / 1_000;
    match life {
        Life::Created => {
            let mut about = json!({
                "name": market.yes_sub_title, "title": market.title, "yes_sub_title": market.yes_sub_title,
                "no_sub_title": market.yes_sub_title, "rules_primary": market.rules_primary,
                "rules_secondary": market.rules_secondary, "can_close_early": true, "event_ticker": event.ticker,
                "expected_expiration_ts": secs(market.expected_expiration),
            });
            if let Some(about) = about.as_object_mut() {
                about.extend(strike(market));
            }
            let created = step(
                "created",
                json!({
                    "exchange_index": market.exchange_index, "open_ts": secs(market.open_time),
                    "close_ts": secs(market.close_time), "price_level_structure": market.structure.label,
                    "price_ranges": price_ranges(market), "additional_metadata": about,
                }),
            );
            let grouped = json!({
                "event_ticker": event.ticker, "exchange_index": market.exchange_index, "title": event.title,
                "subtitle": event.sub_title,
                "collateral_return_type": if event.exclusive { "MECNET" } else { "" },
                "series_ticker": catalog.series[event.series].ticker,
            });
            // The event is announced with its first market only.
            if event.markets.len() == 1 { vec![("event_lifecycle", grouped), created] } else { vec![created] }
        }
        Life::Activated => vec![step("activated", json!({"is_deactivated": false}))],
        Life::Deactivated => vec![step("deactivated", json!({"is_deactivated": true}))],
        Life::CloseDateUpdated => {
            vec![step("close_date_updated", json!({"close_ts": secs(market.close_time)}))]
        }
        Life::Determined => {
            let paid = market.state.payout.unwrap_or_default();
            let determined = market.state.determined_at.map_or(0, secs);
            vec![step(
                "determined",
                json!({
                    "result": result(market), "settlement_value": dollars(paid), "determination_ts": determined,
                }),
            )]
        }
        Life::Settled => {
            vec![step("settled", json!({"settled_ts": market.state.settled_at.map_or(0, secs)}))]
        }
        Life::Regridded { .. } => vec![step(
            "price_level_structure_updated",
            json!({"price_level_structure": market.structure.label, "price_ranges": price_ranges(market)}),
        )],
        Life::FeeOverridden => {
            let (kind, multiplier) = fee_override(event.fee_override);
            vec![(
                "event_fee_update",
                json!({
                    "event_ticker": event.ticker, "fee_type_override": kind, "fee_multiplier_override": multiplier,
                }),
            )]
        }
        Life::Proposed => Vec::new(),
    }
}

/// A fee override's two members, null when there is none.
pub fn fee_override(fee: Option<(&'static str, u32)>) -> (Value, Value) {
    fee.map_or((Value::Null, Value::Null), |(kind, multiplier)| (Value::from(kind), parts_per_million(multiplier)))
}

/// Parts per million as a JSON number without a needless fraction.
pub fn parts_per_million(ppm: u32) -> Value {
    if ppm.is_multiple_of(1_000_000) { Value::from(ppm / 1_000_000) } else { Value::from(f64::from(ppm) / 1e6) }
}

/// `yes`, `no`, `scalar`, or nothing yet.
pub fn result(market: &KalshiMarket) -> &'static str {
    match market.state.payout.map(Money::raw) {
        None => "",
        Some(0) => "no",
        Some(1_000_000) => "yes",
        Some(_) => "scalar",
    }
}

/// The strike members of a market.
pub fn strike(market: &KalshiMarket) -> serde_json::Map<String, Value> {
    let number = |text: &String| text.parse::<f64>().map_or(Value::Null, Value::from);
    let whole = |text: &String| text.parse::<u64>().map_or_else(|_| number(text), Value::from);
    let members = match &market.strike {
        Strike::AtLeast(level) => json!({"strike_type": "greater_or_equal", "floor_strike": whole(level)}),
        Strike::Above(level) => json!({"strike_type": "greater", "floor_strike": whole(level)}),
        Strike::Named(name) => json!({"strike_type": "custom", "custom_strike": {"Outcome": name}}),
    };
    match members {
        Value::Object(members) => members,
        _ => serde_json::Map::new(),
    }
}
