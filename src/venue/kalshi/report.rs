//! What Kalshi tells of our orders: private frames and listings (dossier 3.9, 3.10, 4.9).
//!
//! Only `outcome_side` and `book_side` say what was bought; the older direction fields contradict them on real fills.

use crate::{
    fill::{Heard, Whose},
    unit::{Money, Outcome, Picture, Price, Qty, Stage, Tag, Told, Trade, UnixMs, decimal},
    wire::json::{Item, Malformed, Slot},
};

use super::order::Names;

/// The texts of one fill, as frames and listings name them.
struct Fields<'b> {
    order: &'b str,
    client: Option<&'b str>,
}

/// Reads the `msg` of a `fill` frame, or an element of `/portfolio/fills`: fields have the same names in both.
pub fn fill(item: Item<'_, '_>, names: Names, at: UnixMs) -> Result<Heard, Malformed> {
    let (mut trade, mut order, mut client) =
        (Slot::new("trade_id"), Slot::new("order_id"), Slot::new("client_order_id"));
    let (mut outcome, mut side) = (Slot::new("outcome_side"), Slot::new("book_side"));
    let (mut price, mut count, mut fee) =
        (Slot::new("yes_price_dollars"), Slot::new("count_fp"), Slot::new("fee_cost"));
    for (key, value) in item.members()? {
        match key {
            "trade_id" => trade.fill(value)?,
            "order_id" => order.fill(value)?,
            "client_order_id" => client.fill(value)?,
            "outcome_side" => outcome.fill(value)?,
            "book_side" => side.fill(value)?,
            "yes_price_dollars" => price.fill(value)?,
            "count_fp" => count.fill(value)?,
            "fee_cost" => fee.fill(value)?,
            _ => {}
        }
    }
    let yes = Price::parse(price.text()?.as_bytes()).ok_or(Malformed::Price("yes_price_dollars"))?;
    let outcome = outcome_of(outcome)?;
    // A bid on the YES book buys YES or sells NO; an ask sells YES or buys NO.
    let bid = match side.text()? {
        "bid" => true,
        "ask" => false,
        _ => return Err(Malformed::Field("book_side")),
    };
    let told = Told::Trade(Trade {
        tag: Tag::new(trade.text()?).ok_or(Malformed::Field("trade_id"))?,
        outcome,
        bought: bid == (outcome == Outcome::Yes),
        price: if outcome == Outcome::Yes { yes } else { yes.complement() },
        qty: Qty::parse(count.text()?.as_bytes()).ok_or(Malformed::Qty("count_fp"))?,
        fee: Some(dollars(fee)?),
        stage: Stage::Confirmed,
    });
    let order = whose(&Fields { order: order.text()?, client: client.text_if_any()? }, names)?;
    Ok(Heard { order, told, at, met: None })
}

/// Reads the `msg` of a `user_order` frame, or an element of `/portfolio/orders`: the whole order, as it stands.
pub fn order(item: Item<'_, '_>, names: Names, at: UnixMs) -> Result<Heard, Malformed> {
    let (mut order, mut client, mut status) =
        (Slot::new("order_id"), Slot::new("client_order_id"), Slot::new("status"));
    let (mut filled, mut left) = (Slot::new("fill_count_fp"), Slot::new("remaining_count_fp"));
    for (key, value) in item.members()? {
        match key {
            "order_id" => order.fill(value)?,
            "client_order_id" => client.fill(value)?,
            "status" => status.fill(value)?,
            "fill_count_fp" => filled.fill(value)?,
            "remaining_count_fp" => left.fill(value)?,
            _ => {}
        }
    }
    let count = |slot: Slot<'_, '_>, name| Qty::parse(slot.text()?.as_bytes()).ok_or(Malformed::Qty(name));
    let left = count(left, "remaining_count_fp")?;
    // Older servers leave the status out; then what is left decides, as it does where the status is one we do not know.
    let open = match status.text_if_any()? {
        Some("resting") => true,
        Some("canceled" | "executed") => false,
        _ => !left.is_zero(),
    };
    let told = Told::Picture(Picture { filled: count(filled, "fill_count_fp")?, open });
    let order = whose(&Fields { order: order.text()?, client: client.text_if_any()? }, names)?;
    Ok(Heard { order, told, at, met: None })
}

/// Reads the outcome of `outcome_side`.
fn outcome_of(slot: Slot<'_, '_>) -> Result<Outcome, Malformed> {
    match slot.text()? {
        "yes" => Ok(Outcome::Yes),
        "no" => Ok(Outcome::No),
        _ => Err(Malformed::Field("outcome_side")),
    }
}

/// A dollar amount of at most six decimals, from zero up.
fn dollars(slot: Slot<'_, '_>) -> Result<Money, Malformed> {
    let micros = decimal(slot.text()?.as_bytes(), 9, 6).ok_or(Malformed::Field("fee_cost"))?;
    i64::try_from(micros).map(Money::micros).map_err(|_| Malformed::Field("fee_cost"))
}

fn whose(fields: &Fields<'_>, names: Names) -> Result<Whose, Malformed> {
    match fields.client.and_then(|text| names.read(text)) {
        Some(id) => Ok(Whose::Ours(id)),
        None => Tag::new(fields.order).map(Whose::Named).ok_or(Malformed::Field("order_id")),
    }
}
