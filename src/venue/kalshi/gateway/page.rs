//! Answers to questions, read whole or not at all: one order, pages of orders, fills and positions, cash, and how fresh
//! all of them are.

use crate::{
    fill::Heard,
    unit::{Money, OrderId, Picture, Qty, Tag, Told, UnixMs, decimal},
    venue::{
        gateway::Held,
        kalshi::{frame::signed, order::Names, report},
        listing::time,
    },
    wire::json::{Item, Malformed, Parser, Slot},
};

/// One page and the cursor of the next, which is empty after the last.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) rows: Vec<T>,
    pub(super) cursor: String,
}

/// An order of a listing: the venue's id, our number where it is ours, and how it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) tag: Tag,
    pub(super) ours: Option<OrderId>,
    pub(super) picture: Picture,
}

/// The order that a frame or a row is about.
pub(super) fn named(item: Item<'_, '_>, names: Names) -> Result<(Tag, Option<OrderId>), Malformed> {
    let (mut order, mut client) = (Slot::new("order_id"), Slot::new("client_order_id"));
    for (key, value) in item.members()? {
        match key {
            "order_id" => order.fill(value)?,
            "client_order_id" => client.fill(value)?,
            _ => {}
        }
    }
    let tag = Tag::new(order.text()?).ok_or(Malformed::Field("order_id"))?;
    Ok((tag, client.text_if_any()?.and_then(|text| names.read(text))))
}

fn row(item: Item<'_, '_>, names: Names) -> Result<Row, Malformed> {
    let (tag, ours) = named(item, names)?;
    match report::order(item, names, UnixMs::default())?.told {
        Told::Picture(picture) => Ok(Row { tag, ours, picture }),
        _ => Err(Malformed::Shape),
    }
}

/// `GET /portfolio/orders/{id}`.
pub(super) fn order(body: &mut [u8], names: Names, parser: &mut Parser) -> Option<Row> {
    let read = parser.parse(body, |root| {
        let mut order = Slot::new("order");
        for (key, value) in root.members()? {
            if key == "order" {
                order.fill(value)?;
            }
        }
        row(order.required()?, names)
    });
    read.ok()
}

/// A page of any listing: `rows` names its list.
fn page<T>(
    body: &mut [u8],
    rows: &'static str,
    parser: &mut Parser,
    mut read: impl FnMut(Item<'_, '_>) -> Result<T, Malformed>,
) -> Option<Page<T>> {
    let page = parser.parse(body, |root| {
        let (mut list, mut cursor) = (Slot::new(rows), Slot::new("cursor"));
        for (key, value) in root.members()? {
            if key == rows {
                list.fill(value)?;
            } else if key == "cursor" {
                cursor.fill(value)?;
            }
        }
        let rows = list.required()?.elements()?.map(&mut read).collect::<Result<_, _>>()?;
        // A page that does not say whether it is the last one is none.
        Ok(Page { rows, cursor: cursor.text()?.to_owned() })
    });
    page.ok()
}

/// `GET /portfolio/orders`.
pub(super) fn orders(body: &mut [u8], names: Names, parser: &mut Parser) -> Option<Page<Row>> {
    page(body, "orders", parser, |item| row(item, names))
}

/// `GET /portfolio/fills`: whose, and what.
pub(super) fn fills(body: &mut [u8], names: Names, at: UnixMs, parser: &mut Parser) -> Option<Page<(Tag, Heard)>> {
    page(body, "fills", parser, |item| Ok((named(item, names)?.0, report::fill(item, names, at)?)))
}

/// `GET /portfolio/positions`, without those of nothing.
pub(super) fn positions(body: &mut [u8], parser: &mut Parser) -> Option<Page<Option<Held>>> {
    page(body, "market_positions", parser, |item| {
        let (mut ticker, mut position) = (Slot::new("ticker"), Slot::new("position_fp"));
        for (key, value) in item.members()? {
            match key {
                "ticker" => ticker.fill(value)?,
                "position_fp" => position.fill(value)?,
                _ => {}
            }
        }
        let market = Tag::new(ticker.text()?).ok_or(Malformed::Field("ticker"))?;
        let position = signed(position.text()?).ok_or(Malformed::Qty("position_fp"))?;
        let held = Qty::new(position.unsigned_abs()).ok_or(Malformed::Qty("position_fp"))?;
        let qty = if position < 0 { [Qty::ZERO, held] } else { [held, Qty::ZERO] };
        Ok((!held.is_zero()).then_some(Held { market, qty }))
    })
}

/// `GET /exchange/user_data_timestamp`.
pub(super) fn stamp(body: &mut [u8], parser: &mut Parser) -> Option<UnixMs> {
    let read = parser.parse(body, |root| {
        let mut stamp = Slot::new("as_of_time");
        for (key, value) in root.members()? {
            if key == "as_of_time" {
                stamp.fill(value)?;
            }
        }
        time(Some(stamp.text()?)).ok_or(Malformed::Field("as_of_time"))
    });
    read.ok()
}

/// What an account's cash is, as one answer tells it.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Cash {
    ByShard(Vec<(u8, Money)>),
    /// A key that is locked to a subaccount sees the sum of what was asked for, and no breakdown.
    Sum(Money),
}

/// `GET /portfolio/balance`. The sum over shards is not what an order can spend.
pub(super) fn cash(body: &mut [u8], parser: &mut Parser) -> Option<Cash> {
    let read = parser.parse(body, |root| {
        let (mut sum, mut shards) = (Slot::new("balance_dollars"), Slot::new("balance_breakdown"));
        for (key, value) in root.members()? {
            match key {
                "balance_dollars" => sum.fill(value)?,
                "balance_breakdown" => shards.fill(value)?,
                _ => {}
            }
        }
        let Some(shards) = shards.item() else { return Ok(Cash::Sum(dollars(sum)?)) };
        let each = shards.elements()?.map(|item| {
            let (mut shard, mut balance) = (Slot::new("exchange_index"), Slot::new("balance"));
            for (key, value) in item.members()? {
                match key {
                    "exchange_index" => shard.fill(value)?,
                    "balance" => balance.fill(value)?,
                    _ => {}
                }
            }
            let shard = u8::try_from(shard.number()?).map_err(|_| Malformed::Field("exchange_index"))?;
            Ok((shard, dollars(balance)?))
        });
        each.collect::<Result<_, Malformed>>().map(Cash::ByShard)
    });
    read.ok()
}

/// Dollars of at most six decimals, possibly owed.
fn dollars(slot: Slot<'_, '_>) -> Result<Money, Malformed> {
    let text = slot.text()?;
    let (owed, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let micros = decimal(digits.as_bytes(), 9, 6).and_then(|micros| i64::try_from(micros).ok());
    let micros = micros.ok_or(Malformed::Field("balance"))?;
    Ok(Money::micros(if owed { -micros } else { micros }))
}
