//! Polymarket's bodies as they are sent, and how they become listings.

use serde::Deserialize;
use serde_json::Value;

use super::{Book, ClobMarket, Event, FeeSchedule, Market, Resolution, Version, condition_id};
use crate::unit::{Money, Price, Qty, UnixMs};
use crate::venue::listing::{
    Levels, Page, Refused, level, nested_list, or_default, ppm, read, read_each, scalar, time,
};
use crate::venue::polymarket::tick;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawMarket {
    #[serde(deserialize_with = "scalar")]
    id: Option<String>,
    #[serde(deserialize_with = "or_default")]
    condition_id: String,
    #[serde(deserialize_with = "or_default")]
    slug: String,
    #[serde(deserialize_with = "or_default")]
    question: String,
    #[serde(deserialize_with = "or_default")]
    group_item_title: String,
    #[serde(deserialize_with = "scalar")]
    group_item_threshold: Option<String>,
    #[serde(deserialize_with = "or_default")]
    description: String,
    #[serde(deserialize_with = "or_default")]
    resolution_source: String,
    #[serde(deserialize_with = "nested_list")]
    outcomes: Option<Vec<String>>,
    #[serde(deserialize_with = "nested_list")]
    clob_token_ids: Option<Vec<String>>,
    #[serde(deserialize_with = "nested_list")]
    position_ids: Option<Vec<String>>,
    #[serde(deserialize_with = "or_default")]
    version: String,
    #[serde(deserialize_with = "scalar")]
    end_date: Option<String>,
    #[serde(deserialize_with = "scalar")]
    start_date: Option<String>,
    #[serde(deserialize_with = "scalar")]
    game_start_time: Option<String>,
    #[serde(deserialize_with = "scalar")]
    event_start_time: Option<String>,
    #[serde(deserialize_with = "scalar")]
    closed_time: Option<String>,
    #[serde(deserialize_with = "or_default")]
    sports_market_type: String,
    #[serde(deserialize_with = "scalar")]
    line: Option<String>,
    #[serde(deserialize_with = "scalar")]
    game_id: Option<String>,
    #[serde(deserialize_with = "or_default")]
    neg_risk: bool,
    #[serde(rename = "negRiskMarketID", deserialize_with = "or_default")]
    neg_risk_market_id: String,
    #[serde(deserialize_with = "or_default")]
    neg_risk_other: bool,
    #[serde(deserialize_with = "or_default")]
    active: bool,
    #[serde(deserialize_with = "or_default")]
    closed: bool,
    #[serde(deserialize_with = "or_default")]
    archived: bool,
    #[serde(deserialize_with = "or_default")]
    accepting_orders: bool,
    #[serde(deserialize_with = "or_default")]
    enable_order_book: bool,
    #[serde(deserialize_with = "or_default")]
    uma_resolution_status: String,
    #[serde(deserialize_with = "or_default")]
    resolution_status: String,
    #[serde(deserialize_with = "scalar")]
    order_price_min_tick_size: Option<String>,
    #[serde(deserialize_with = "scalar")]
    order_min_size: Option<String>,
    #[serde(deserialize_with = "or_default")]
    seconds_delay: u32,
    #[serde(deserialize_with = "or_default")]
    clear_book_on_start: bool,
    fees_enabled: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    fee_type: String,
    fee_schedule: Option<RawFee>,
    crypto_market_config: Option<RawCrypto>,
    #[serde(deserialize_with = "or_default")]
    events: Vec<RawGroup>,
}

#[derive(Deserialize)]
struct RawFee {
    #[serde(alias = "r", default, deserialize_with = "scalar")]
    rate: Option<String>,
    #[serde(alias = "e", default, deserialize_with = "scalar")]
    exponent: Option<String>,
    #[serde(alias = "takerOnly", alias = "to", default, deserialize_with = "or_default")]
    taker_only: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCrypto {
    #[serde(default, deserialize_with = "or_default")]
    twap_enabled: bool,
    #[serde(default)]
    twap_lookback_seconds: Option<u32>,
}

/// What a market needs to know of the event it is in.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawGroup {
    #[serde(deserialize_with = "scalar")]
    id: Option<String>,
    #[serde(deserialize_with = "or_default")]
    neg_risk_augmented: bool,
    #[serde(deserialize_with = "scalar")]
    start_time: Option<String>,
}

fn market(raw: RawMarket, group: Option<&RawGroup>) -> Result<Market, Refused> {
    let version = version(&raw.version)?;
    let condition_id = condition_id(&raw.condition_id, version)?;
    let tokens = match version {
        // About a third of v1 markets also have position ids, without any book behind them: the version decides.
        Version::V1 => raw.clob_token_ids,
        Version::V2 => raw.position_ids.or(raw.clob_token_ids),
    }
    .unwrap_or_default();
    if let Some(bad) = tokens.iter().find(|token| !is_token(token)) {
        return Err(Refused::BadId(bad.clone()));
    }
    let outcomes = raw.outcomes.unwrap_or_default();
    let augmented = raw.events.iter().chain(group).any(|group| group.neg_risk_augmented);
    // Some games (postponed ones, seen 2026-01) have their start on the event only.
    let event_start = || raw.events.iter().chain(group).find_map(|group| time(group.start_time.as_deref()));
    let sports = !raw.sports_market_type.is_empty();
    let game_start = time(raw.game_start_time.as_deref()).or_else(|| sports.then(event_start).flatten());
    let grid = raw.order_price_min_tick_size.as_deref().and_then(tick);
    let (fee, fee_refused) = match (raw.fees_enabled, &raw.fee_schedule) {
        (Some(false), _) | (_, None) => (None, None),
        (_, Some(raw)) => match fee(raw) {
            Ok(fee) => (fee, fee.and_then(FeeSchedule::refused)),
            Err(refused) => (None, Some(refused)),
        },
    };
    let refused = if outcomes.len() != 2 || tokens.len() != 2 {
        Some(Refused::NotBinary(outcomes.len().max(tokens.len())))
    } else if augmented {
        Some(Refused::AugmentedNegRisk)
    } else if raw.neg_risk_other {
        Some(Refused::CatchAll)
    } else if grid.is_none() {
        Some(Refused::Grid(raw.order_price_min_tick_size.clone().unwrap_or_default()))
    } else {
        fee_refused
    };
    Ok(Market {
        id: raw.id.unwrap_or_default(),
        condition_id,
        slug: raw.slug,
        question: raw.question,
        group_item_title: raw.group_item_title,
        group_item_threshold: raw.group_item_threshold,
        description: raw.description,
        resolution_source: raw.resolution_source,
        outcomes,
        tokens,
        version,
        end_time: time(raw.end_date.as_deref()),
        start_time: time(raw.start_date.as_deref()),
        game_start,
        event_start: time(raw.event_start_time.as_deref()),
        closed_at: time(raw.closed_time.as_deref()),
        sports_market_type: raw.sports_market_type,
        line: raw.line,
        game_id: raw.game_id,
        neg_risk: raw.neg_risk,
        neg_risk_market_id: raw.neg_risk_market_id,
        augmented,
        active: raw.active,
        closed: raw.closed,
        archived: raw.archived,
        accepting_orders: raw.accepting_orders,
        order_book: raw.enable_order_book,
        resolution_status: match version {
            Version::V1 => raw.uma_resolution_status,
            Version::V2 => raw.resolution_status,
        },
        grid,
        min_qty: raw.order_min_size.as_deref().and_then(|text| Qty::parse(text.as_bytes())),
        seconds_delay: raw.seconds_delay,
        clear_on_start: raw.clear_book_on_start,
        fee,
        fee_type: raw.fee_type,
        twap_lookback_s: raw.crypto_market_config.filter(|c| c.twap_enabled).and_then(|c| c.twap_lookback_seconds),
        event_ids: raw.events.iter().chain(group).filter_map(|group| group.id.clone()).collect(),
        refused,
    })
}

/// Reads a page of `/markets/keyset`, or the bare list of the older call.
pub fn parse_markets(body: &[u8]) -> Result<Page<Market>, Refused> {
    let (items, next) = listed(body, "markets")?;
    Ok(Page { next, ..read_each(items, "conditionId", |raw| market(raw, None)) })
}

/// Reads a page of `/events/keyset`, or the bare list of the older call.
pub fn parse_events(body: &[u8]) -> Result<Page<Event>, Refused> {
    let (items, next) = listed(body, "events")?;
    Ok(Page { next, ..read_each(items, "slug", event) })
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawEvent {
    #[serde(deserialize_with = "scalar")]
    id: Option<String>,
    #[serde(deserialize_with = "or_default")]
    slug: String,
    #[serde(deserialize_with = "or_default")]
    title: String,
    #[serde(deserialize_with = "or_default")]
    description: String,
    #[serde(deserialize_with = "scalar")]
    end_date: Option<String>,
    #[serde(deserialize_with = "scalar")]
    start_time: Option<String>,
    #[serde(deserialize_with = "or_default")]
    enable_neg_risk: bool,
    #[serde(deserialize_with = "or_default")]
    neg_risk: bool,
    #[serde(deserialize_with = "or_default")]
    neg_risk_augmented: bool,
    #[serde(deserialize_with = "or_default")]
    series_slug: String,
    #[serde(deserialize_with = "scalar")]
    game_id: Option<String>,
    #[serde(deserialize_with = "or_default")]
    tags: Vec<RawTag>,
    #[serde(deserialize_with = "or_default")]
    markets: Vec<Value>,
}

#[derive(Deserialize)]
struct RawTag {
    #[serde(default, deserialize_with = "or_default")]
    label: String,
}

fn event(raw: RawEvent) -> Result<Event, Refused> {
    let Some(id) = raw.id else { return Err(Refused::BadId(String::new())) };
    let group = RawGroup {
        id: Some(id.clone()),
        neg_risk_augmented: raw.neg_risk_augmented,
        start_time: raw.start_time.clone(),
    };
    let markets = read_each(raw.markets, "conditionId", |raw| market(raw, Some(&group)));
    Ok(Event {
        id,
        slug: raw.slug,
        title: raw.title,
        description: raw.description,
        end_time: time(raw.end_date.as_deref()),
        start_time: time(raw.start_time.as_deref()),
        neg_risk: raw.neg_risk || raw.enable_neg_risk,
        augmented: raw.neg_risk_augmented,
        series_slug: raw.series_slug,
        game_id: raw.game_id,
        tags: raw.tags.into_iter().map(|tag| tag.label).collect(),
        markets: markets.items,
        unreadable: markets.unreadable,
    })
}

/// `{"<name>":[…],"next_cursor":…}`, or a bare list.
fn listed(body: &[u8], name: &str) -> Result<(Vec<Value>, Option<String>), Refused> {
    match read(body)? {
        Value::Array(items) => Ok((items, None)),
        Value::Object(mut page) => {
            let next = page.get("next_cursor").and_then(Value::as_str).filter(|cursor| !cursor.is_empty());
            let next = next.map(str::to_owned);
            match page.remove(name) {
                Some(Value::Array(items)) => Ok((items, next)),
                _ => Err(Refused::Malformed(format!("no list `{name}`"))),
            }
        }
        _ => Err(Refused::Malformed("neither a list nor a page".into())),
    }
}

#[derive(Deserialize)]
struct RawClob {
    /// Present in the long form only.
    condition_id: Option<String>,
    c: Option<String>,
    #[serde(alias = "tokens", default, deserialize_with = "or_default")]
    t: Vec<RawToken>,
    #[serde(alias = "minimum_tick_size", default, deserialize_with = "scalar")]
    mts: Option<String>,
    #[serde(alias = "minimum_order_size", default, deserialize_with = "scalar")]
    mos: Option<String>,
    #[serde(alias = "neg_risk", default, deserialize_with = "or_default")]
    nr: bool,
    #[serde(default)]
    fd: Option<RawFee>,
    #[serde(alias = "accepting_orders", default, deserialize_with = "or_default")]
    ao: bool,
    #[serde(alias = "seconds_delay", default, deserialize_with = "or_default")]
    sd: u32,
    #[serde(alias = "game_start_time", default, deserialize_with = "scalar")]
    gst: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    cbos: bool,
    #[serde(default, deserialize_with = "or_default")]
    itode: bool,
    #[serde(default, deserialize_with = "or_default")]
    v: String,
}

#[derive(Deserialize)]
struct RawToken {
    #[serde(alias = "token_id")]
    t: String,
    #[serde(alias = "outcome", default, deserialize_with = "or_default")]
    o: String,
}

fn clob(raw: RawClob) -> Result<ClobMarket, Refused> {
    let version = version(&raw.v)?;
    let long_form = raw.condition_id.is_some();
    let condition_id = condition_id(&raw.c.or(raw.condition_id).unwrap_or_default(), version)?;
    if let Some(bad) = raw.t.iter().find(|token| !is_token(&token.t)) {
        return Err(Refused::BadId(bad.t.clone()));
    }
    let grid = raw.mts.as_deref().and_then(tick);
    let fee = raw.fd.as_ref().map_or(Ok(None), fee);
    let refused = match &fee {
        _ if raw.t.len() != 2 => Some(Refused::NotBinary(raw.t.len())),
        _ if grid.is_none() => Some(Refused::Grid(raw.mts.clone().unwrap_or_default())),
        // The long form has no schedule, and an absent one there does not mean free.
        _ if long_form => Some(Refused::FeeUnstated),
        Ok(fee) => fee.and_then(FeeSchedule::refused),
        Err(refused) => Some(refused.clone()),
    };
    Ok(ClobMarket {
        condition_id,
        tokens: raw.t.into_iter().map(|token| (token.t, token.o)).collect(),
        grid,
        min_qty: raw.mos.as_deref().and_then(|text| Qty::parse(text.as_bytes())),
        neg_risk: raw.nr,
        fee: fee.unwrap_or_default(),
        accepting_orders: raw.ao,
        seconds_delay: raw.sd,
        game_start: time(raw.gst.as_deref()),
        clear_on_start: raw.cbos,
        taker_hold: raw.itode,
        version,
        refused,
    })
}

/// Reads `/clob-markets/{condition}`, or the long form of `/markets/{condition}`, which does not state the fee.
pub fn parse_clob_market(body: &[u8]) -> Result<ClobMarket, Refused> {
    clob(read(body)?)
}

/// Reads a page of the CLOB's `/markets`, in the long form. Its last page has the cursor `LTE=`.
pub fn parse_clob_markets(body: &[u8]) -> Result<Page<ClobMarket>, Refused> {
    let (items, next) = listed(body, "data")?;
    Ok(Page { next: next.filter(|cursor| cursor != "LTE="), ..read_each(items, "condition_id", clob) })
}

/// Reads `/book`.
pub fn parse_book(body: &[u8]) -> Result<Book, Refused> {
    #[derive(Deserialize)]
    struct Raw {
        market: String,
        asset_id: String,
        #[serde(deserialize_with = "scalar")]
        timestamp: Option<String>,
        #[serde(default, deserialize_with = "or_default")]
        hash: String,
        #[serde(default, deserialize_with = "or_default")]
        bids: Vec<RawLevel>,
        #[serde(default, deserialize_with = "or_default")]
        asks: Vec<RawLevel>,
        #[serde(default, deserialize_with = "scalar")]
        min_order_size: Option<String>,
        #[serde(default, deserialize_with = "scalar")]
        tick_size: Option<String>,
        #[serde(default, deserialize_with = "or_default")]
        neg_risk: bool,
        #[serde(default, deserialize_with = "scalar")]
        last_trade_price: Option<String>,
        #[serde(default, deserialize_with = "or_default")]
        version: String,
    }
    #[derive(Deserialize)]
    struct RawLevel {
        price: String,
        size: String,
    }
    let raw: Raw = read(body)?;
    let version = version(&raw.version)?;
    if !is_token(&raw.asset_id) {
        return Err(Refused::BadId(raw.asset_id));
    }
    let stamp = raw.timestamp.as_deref().and_then(|text| text.parse().ok()).map(UnixMs::new);
    let side = |levels: &[RawLevel]| -> Result<Levels, Refused> {
        levels.iter().map(|raw| level(&raw.price, &raw.size)).collect()
    };
    Ok(Book {
        condition_id: condition_id(&raw.market, version)?,
        token: raw.asset_id,
        stamp: stamp.ok_or_else(|| Refused::Malformed("no timestamp".into()))?,
        hash: raw.hash,
        bids: side(&raw.bids)?,
        asks: side(&raw.asks)?,
        min_qty: raw.min_order_size.as_deref().and_then(|text| Qty::parse(text.as_bytes())),
        grid: raw.tick_size.as_deref().and_then(tick),
        neg_risk: raw.neg_risk,
        last_trade: raw.last_trade_price.as_deref().and_then(|text| Price::parse(text.as_bytes())),
        version,
    })
}

/// Reads `/v2/resolutions`.
pub fn parse_resolutions(body: &[u8]) -> Result<Vec<Resolution>, Refused> {
    #[derive(Deserialize)]
    struct Raw {
        data: Vec<RawRow>,
    }
    #[derive(Deserialize)]
    struct RawRow {
        condition_id: String,
        #[serde(default, deserialize_with = "or_default")]
        status: String,
        #[serde(default, deserialize_with = "or_default")]
        payouts: Vec<i64>,
        #[serde(default, deserialize_with = "or_default")]
        was_disputed: bool,
        #[serde(default, deserialize_with = "or_default")]
        extended_review: bool,
        #[serde(default, deserialize_with = "or_default")]
        reporter: String,
        #[serde(default, deserialize_with = "scalar")]
        resolved_at: Option<String>,
    }
    let row = |raw: RawRow| {
        let sound = raw.payouts.is_empty()
            || (raw.payouts.iter().all(|pay| (0..=1_000_000).contains(pay))
                && raw.payouts.iter().sum::<i64>() == 1_000_000);
        if !sound {
            return Err(Refused::Malformed(format!("payouts {:?}", raw.payouts)));
        }
        Ok(Resolution {
            condition_id: condition_id(&raw.condition_id, Version::V2)?,
            status: raw.status,
            payouts: raw.payouts.into_iter().map(Money::micros).collect(),
            was_disputed: raw.was_disputed,
            extended_review: raw.extended_review,
            reporter: raw.reporter,
            resolved_at: time(raw.resolved_at.as_deref()),
        })
    };
    read::<Raw>(body)?.data.into_iter().map(row).collect()
}

/// Bodies from before the second protocol name no version.
fn version(text: &str) -> Result<Version, Refused> {
    match text {
        "" | "v1" => Ok(Version::V1),
        "v2" => Ok(Version::V2),
        other => Err(Refused::Version(other.into())),
    }
}

/// A 256-bit number in decimal.
fn is_token(text: &str) -> bool {
    (1..=78).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `None` is free: a rate of zero, whatever the exponent.
fn fee(raw: &RawFee) -> Result<Option<FeeSchedule>, Refused> {
    let rate = raw.rate.as_deref().ok_or(Refused::FeeUnstated)?;
    let rate_ppm = ppm(rate).ok_or_else(|| Refused::FeeType(format!("rate {rate}")))?;
    if rate_ppm == 0 {
        return Ok(None);
    }
    let exponent = raw.exponent.as_deref().unwrap_or_default();
    // JSON writes a whole exponent as `1` or `1.0`.
    let whole = exponent.strip_suffix(".0").unwrap_or(exponent);
    let exponent = whole.parse().map_err(|_| Refused::FeeExponent(exponent.into()))?;
    Ok(Some(FeeSchedule { rate_ppm, exponent, taker_only: raw.taker_only }))
}
