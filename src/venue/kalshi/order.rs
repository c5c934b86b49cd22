//! Orders for Kalshi, and what its answers mean (dossier 4.6, 4.7, 4.11).
//!
//! The exchange knows one book, on the YES leg: buying NO at q is an `ask` at 1 − q. Every order of ours is
//! `immediate_or_cancel`, so what is not filled at once is gone with the answer. A refusal counts only in words of the
//! list; every other answer leaves the order in doubt.

use std::io::Write as _;

use smallvec::{SmallVec, smallvec};

use crate::{
    order::{Ask, Purpose},
    unit::{OrderId, Outcome, Picture, Price, Qty, Refusal, Sent, Tag, Told, Unclear},
    wire::json::{Item, Malformed, Parser, Slot},
};

/// Path of the call that creates an order.
pub const CREATE: &str = "/trade-api/v2/portfolio/events/orders";

/// Our own names for orders: one engine's installation and the order's number. Used up once sent, even by a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Names {
    /// Drawn when the state directory was made: another engine on the same account has another one.
    pub instance: u32,
}

impl Names {
    /// The `client_order_id` of an order.
    pub fn write(&self, id: OrderId, out: &mut Vec<u8>) {
        let _ = write!(out, "orion-{:08x}-{}", self.instance, id.raw());
    }

    /// The order of ours that a `client_order_id` names.
    pub fn read(&self, text: &str) -> Option<OrderId> {
        let (instance, number) = text.strip_prefix("orion-")?.split_once('-')?;
        let ours = instance.len() == 8 && u32::from_str_radix(instance, 16) == Ok(self.instance);
        let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        if ours && plain { OrderId::from_raw(number.parse().ok()?) } else { None }
    }
}

/// The market as its orders name it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub ticker: &'a str,
    /// `exchange_index`.
    pub shard: u8,
    /// Whose money it is; `None` for the primary account, or for the one that the key is locked to.
    pub subaccount: Option<u8>,
}

/// Which side of the YES book an order stands on, and its price there.
pub fn yes_leg(ask: &Ask) -> (&'static str, Price) {
    match (ask.outcome, ask.buys) {
        (Outcome::Yes, true) => ("bid", ask.limit),
        (Outcome::Yes, false) => ("ask", ask.limit),
        (Outcome::No, true) => ("ask", ask.limit.complement()),
        (Outcome::No, false) => ("bid", ask.limit.complement()),
    }
}

/// Appends the body of a create. Entries join the shard's group, so that triggering it stops them; hedges join none.
pub fn write_create(ask: &Ask, place: Place<'_>, names: Names, group: Option<&str>, out: &mut Vec<u8>) {
    let (side, price) = yes_leg(ask);
    let (whole, part) = (ask.qty.micros() / 1_000_000, ask.qty.micros() % 1_000_000 / 10_000);
    let _ = write!(
        out,
        "{{\"ticker\":\"{}\",\"side\":\"{side}\",\"count\":\"{whole}.{part:02}\",\"price\":\"0.{:04}\",\
         \"time_in_force\":\"immediate_or_cancel\",\"self_trade_prevention_type\":\"taker_at_cross\",\
         \"exchange_index\":{},\"client_order_id\":\"",
        place.ticker,
        price.raw(),
        place.shard
    );
    names.write(ask.id, out);
    out.push(b'"');
    if !ask.buys {
        out.extend_from_slice(b",\"reduce_only\":true");
    }
    if let (Some(group), Purpose::Entry) = (group, ask.purpose) {
        let _ = write!(out, ",\"order_group_id\":\"{group}\"");
    }
    if let Some(subaccount) = place.subaccount {
        let _ = write!(out, ",\"subaccount\":{subaccount}");
    }
    out.push(b'}');
}

/// Path and query of the call that cancels. Without the ticker the venue asks shard 0 alone.
pub fn cancel(tag: &Tag, place: Place<'_>) -> (String, String) {
    let subaccount = place.subaccount.map_or_else(String::new, |number| format!("&subaccount={number}"));
    let query = format!("market_ticker={}&exchange_index={}{subaccount}", place.ticker, place.shard);
    (format!("{CREATE}/{tag}"), query)
}

/// What the answer to a create means.
pub fn created(status: u16, body: &mut [u8], parser: &mut Parser) -> SmallVec<[Told; 2]> {
    if !(200..300).contains(&status) {
        return smallvec![Told::Sent(refused(status, body, parser))];
    }
    let read = parser.parse(body, |root| {
        let (mut id, mut filled, mut left) =
            (Slot::new("order_id"), Slot::new("fill_count"), Slot::new("remaining_count"));
        for (key, value) in root.members()? {
            match key {
                "order_id" => id.fill(value)?,
                "fill_count" => filled.fill(value)?,
                "remaining_count" => left.fill(value)?,
                _ => {}
            }
        }
        let tag = Tag::new(id.text()?).ok_or(Malformed::Field("order_id"))?;
        Ok((tag, qty(filled)?, qty(left)?))
    });
    let Ok((tag, filled, left)) = read else {
        // A success without an order: the dead endpoint answered like that.
        return smallvec![Told::Sent(Sent::Unknown(Unclear::Unreadable))];
    };
    let picture = Picture { filled, open: !left.is_zero() };
    smallvec![Told::Sent(Sent::Accepted(tag)), Told::Picture(picture)]
}

/// What the answer to a cancel means. A 404 is the same for an order that is cancelled, filled or was never there.
pub fn cancelled(status: u16, body: &mut [u8], parser: &mut Parser) -> Told {
    if status != 200 {
        return Told::NotCancelled;
    }
    let read = parser.parse(body, |root| {
        let mut left = Slot::new("reduced_by");
        for (key, value) in root.members()? {
            if key == "reduced_by" {
                left.fill(value)?;
            }
        }
        qty(left)
    });
    match read {
        Ok(left) => Told::Cancelled { left: Some(left) },
        Err(_) => Told::NotCancelled,
    }
}

fn qty(slot: Slot<'_, '_>) -> Result<Qty, Malformed> {
    Qty::parse(slot.text()?.as_bytes()).ok_or(Malformed::Qty("count"))
}

/// A status that is no success: a refusal in known words, or doubt.
fn refused(status: u16, body: &mut [u8], parser: &mut Parser) -> Sent {
    if !(400..500).contains(&status) {
        return Sent::Unknown(Unclear::Status(status));
    }
    let read = parser.parse(body, |root| {
        let (mut error, mut code, mut details) = (Slot::new("error"), Slot::new("code"), Slot::new("details"));
        for (key, value) in root.members()? {
            match key {
                "error" => error.fill(value)?,
                "code" => code.fill(value)?,
                "details" => details.fill(value)?,
                _ => {}
            }
        }
        match error.item() {
            // The string shape of 429.
            Some(item) if item.text().is_some() => Ok(code_of(status, item.text().unwrap_or_default(), "")),
            Some(item) => nested(status, item),
            None => Ok(code_of(status, code.text()?, details.text_if_any()?.unwrap_or_default())),
        }
    });
    match read {
        Ok(Some(refusal)) => Sent::Refused(refusal),
        Ok(None) | Err(_) => Sent::Unknown(Unclear::Unfamiliar),
    }
}

fn nested(status: u16, item: Item<'_, '_>) -> Result<Option<Refusal>, Malformed> {
    let (mut code, mut details) = (Slot::new("code"), Slot::new("details"));
    for (key, value) in item.members()? {
        match key {
            "code" => code.fill(value)?,
            "details" => details.fill(value)?,
            _ => {}
        }
    }
    Ok(code_of(status, code.text()?, details.text_if_any()?.unwrap_or_default()))
}

/// The refusal that a code and its details mean at this status. Codes may embed ids, so they are matched by their
/// start; those of the documentation come in either case.
fn code_of(status: u16, code: &str, details: &str) -> Option<Refusal> {
    let starts = |word: &str| code.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    let says = |word: &str| details.contains(word);
    let refusal = match status {
        400 if starts("insufficient_balance") || starts("available_balance_too_low") => Refusal::Funds,
        400 if starts("exceeded_sell_position_floor") => Refusal::Funds,
        400 if starts("invalid_price") => Refusal::Price,
        400 if starts("invalid_order_size") => Refusal::Size,
        400 if starts("invalid_order") && says("post only cross") => Refusal::Crosses,
        400 if starts("invalid_order") && says("precision") => Refusal::Size,
        400 if starts("invalid_order") || starts("bad_request") => Refusal::Malformed,
        400 if code.ends_with("_mismatch") => Refusal::Malformed,
        401 if starts("header_timestamp_expired") => Refusal::Clock,
        401 if starts("authentication_error") || starts("signature_is_missing") => Refusal::Key,
        403 if starts("permission_denied") => Refusal::Forbidden,
        404 if starts("market_not_found") => Refusal::NoMarket,
        409 if starts("order_already_exists") => Refusal::Duplicate,
        410 if starts("deprecated_v1_order_endpoint") => Refusal::Retired,
        429 => Refusal::Rate,
        400 | 403 | 404 | 409 => market_state(&starts)?,
        _ => return None,
    };
    Some(refusal)
}

/// The market-state words of the documentation and of FIX; their status on REST was never seen.
fn market_state(starts: &dyn Fn(&str) -> bool) -> Option<Refusal> {
    [
        ("market_inactive", Refusal::NotOpen),
        ("market_already_closed", Refusal::NotOpen),
        ("trading_paused", Refusal::NotOpen),
        ("exchange_paused", Refusal::ExchangePaused),
        ("exceeded_order_group_risk_limit", Refusal::Group),
        ("exceeded_per_market_risk_limit", Refusal::PositionLimit),
        ("fok_insufficient_volume", Refusal::Killed),
    ]
    .into_iter()
    .find_map(|(word, refusal)| starts(word).then_some(refusal))
}
