//! What Polymarket tells of our orders: the user channel and the private listings (dossier 3.12, 3.13, 4.6).
//!
//! A trade is told once for each step of its settlement, from the taker's side. What the taker paid stands in the
//! orders it met, each at its own price, and each of them counts as one fill: `<trade>/<number>`, and
//! `<trade>/<number>m` for the order that was met, where that is ours.

use smallvec::SmallVec;

use crate::{
    fill::{Heard, Whose},
    unit::{Money, Outcome, Picture, Price, Qty, Stage, Tag, Told, Trade, UnixMs},
    wire::json::{Item, Malformed, Slot},
};

/// Which outcome a token stands for; `None` for a token that is not ours to know.
pub type Outcomes<'a> = &'a dyn Fn(&str) -> Option<Outcome>;

/// Reads an `order` event, or an element of `/data/orders`: the whole order, as it stands.
pub fn order(item: Item<'_, '_>, at: UnixMs) -> Result<Heard, Malformed> {
    let (mut id, mut kind, mut status) = (Slot::new("id"), Slot::new("type"), Slot::new("status"));
    let (mut size, mut matched) = (Slot::new("original_size"), Slot::new("size_matched"));
    let mut lives = Slot::new("order_type");
    for (key, value) in item.members()? {
        match key {
            "id" => id.fill(value)?,
            "type" => kind.fill(value)?,
            "status" => status.fill(value)?,
            "original_size" => size.fill(value)?,
            "size_matched" => matched.fill(value)?,
            "order_type" => lives.fill(value)?,
            _ => {}
        }
    }
    let filled = match matched.text()? {
        "" => Qty::ZERO,
        text => Qty::parse(text.as_bytes()).ok_or(Malformed::Qty("size_matched"))?,
    };
    let size = Qty::parse(size.text()?.as_bytes()).ok_or(Malformed::Qty("original_size"))?;
    let status = status.text_if_any()?.unwrap_or_default();
    let status = status.strip_prefix("ORDER_STATUS_").unwrap_or(status);
    // What takes at once has matched once and for all, and its rest is gone.
    let kills = matches!(lives.text_if_any()?, Some("FAK" | "FOK"));
    // Only ends that we know are ends: a new word leaves the order open, and it is asked for again.
    let ended = (kills && status == "MATCHED")
        || kind.text_if_any()? == Some("CANCELLATION")
        || status.starts_with("CANCELED")
        || status == "INVALID"
        || status == "UNMATCHED";
    let picture = Picture { filled, open: !ended && filled < size };
    let id = Tag::new(id.text()?).ok_or(Malformed::Field("id"))?;
    Ok(Heard { order: Whose::Named(id), told: Told::Picture(picture), at, met: None })
}

/// Reads a `trade` event, or an element of `/data/trades`: one report for each order of ours that it filled. `owner` is
/// our API key, which names our orders among the makers'.
pub fn trade(
    item: Item<'_, '_>,
    owner: &str,
    outcomes: Outcomes<'_>,
    at: UnixMs,
) -> Result<SmallVec<[Heard; 4]>, Malformed> {
    let (mut id, mut taker, mut status) = (Slot::new("id"), Slot::new("taker_order_id"), Slot::new("status"));
    let (mut asset, mut side, mut makers) = (Slot::new("asset_id"), Slot::new("side"), Slot::new("maker_orders"));
    let (mut role, mut size, mut price) = (Slot::new("trader_side"), Slot::new("size"), Slot::new("price"));
    for (key, value) in item.members()? {
        match key {
            "id" => id.fill(value)?,
            "taker_order_id" => taker.fill(value)?,
            "status" => status.fill(value)?,
            "asset_id" => asset.fill(value)?,
            "side" => side.fill(value)?,
            "maker_orders" => makers.fill(value)?,
            "trader_side" => role.fill(value)?,
            "size" => size.fill(value)?,
            "price" => price.fill(value)?,
            _ => {}
        }
    }
    let head = Head {
        id: id.text()?,
        stage: stage(status.text()?)?,
        asset: asset.text()?,
        outcome: outcomes(asset.text()?),
        bought: match side.text()? {
            "BUY" => true,
            "SELL" => false,
            _ => return Err(Malformed::Field("side")),
        },
    };
    let taker = Tag::new(taker.text()?).ok_or(Malformed::Field("taker_order_id"))?;
    let as_maker = role.text_if_any()? == Some("MAKER");
    let (mut heard, mut met_ours, mut sum) = (SmallVec::new(), SmallVec::<[Heard; 1]>::new(), Qty::ZERO);
    for (number, met) in makers.required()?.elements()?.enumerate() {
        let met = maker(met)?;
        sum = sum.checked_add(met.qty).ok_or(Malformed::Qty("matched_amount"))?;
        if !as_maker {
            heard.extend(head.as_taker(number, taker, &met, at)?);
        }
        // Our own orders may meet: then the taker's side is told, and the maker's is in it (dossier 3.7).
        if met.owner == owner {
            let order = Tag::new(met.order).ok_or(Malformed::Field("order_id"))?;
            met_ours.extend(head.as_maker(number, order, &met, outcomes, at)?);
        }
    }
    if !as_maker && sum != Qty::parse(size.text()?.as_bytes()).ok_or(Malformed::Qty("size"))? {
        // The orders met do not make up the trade: its own size and price stand.
        heard.clear();
        let price = Price::parse(price.text()?.as_bytes()).ok_or(Malformed::Price("price"))?;
        let qty = Qty::parse(size.text()?.as_bytes()).ok_or(Malformed::Qty("size"))?;
        heard.extend(head.report("0", taker, head.outcome, head.bought, price, qty, at)?);
    }
    heard.extend(met_ours);
    Ok(heard)
}

struct Head<'b> {
    id: &'b str,
    stage: Stage,
    asset: &'b str,
    outcome: Option<Outcome>,
    bought: bool,
}

struct Maker<'b> {
    order: &'b str,
    owner: &'b str,
    asset: &'b str,
    price: Price,
    qty: Qty,
}

impl Head<'_> {
    /// What the taker has of one order that it met. The other token's order stands at the complement.
    fn as_taker(&self, number: usize, order: Tag, met: &Maker<'_>, at: UnixMs) -> Result<Option<Heard>, Malformed> {
        let price = if met.asset == self.asset { met.price } else { met.price.complement() };
        self.report(&number.to_string(), order, self.outcome, self.bought, price, met.qty, at)
    }

    /// What one of our resting orders has of it: on its own token, at its own price, without a fee. It trades against
    /// the taker there, and with it on the other token.
    fn as_maker(
        &self,
        number: usize,
        order: Tag,
        met: &Maker<'_>,
        outcomes: Outcomes<'_>,
        at: UnixMs,
    ) -> Result<Option<Heard>, Malformed> {
        let bought = (met.asset == self.asset) != self.bought;
        let mut heard =
            self.report(&format!("{number}m"), order, outcomes(met.asset), bought, met.price, met.qty, at)?;
        if let Some(Heard { told: Told::Trade(trade), .. }) = &mut heard {
            trade.fee = Some(Money::ZERO);
        }
        Ok(heard)
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one report")]
    fn report(
        &self,
        number: &str,
        order: Tag,
        outcome: Option<Outcome>,
        bought: bool,
        price: Price,
        qty: Qty,
        at: UnixMs,
    ) -> Result<Option<Heard>, Malformed> {
        let Some(outcome) = outcome else { return Ok(None) };
        let tag = Tag::new(&format!("{}/{number}", self.id)).ok_or(Malformed::Field("id"))?;
        let trade = Trade { tag, outcome, bought, price, qty, fee: None, stage: self.stage };
        Ok(Some(Heard { order: Whose::Named(order), told: Told::Trade(trade), at, met: None }))
    }
}

fn maker<'b>(item: Item<'_, 'b>) -> Result<Maker<'b>, Malformed> {
    let (mut order, mut owner, mut asset) = (Slot::new("order_id"), Slot::new("owner"), Slot::new("asset_id"));
    let (mut price, mut qty) = (Slot::new("price"), Slot::new("matched_amount"));
    for (key, value) in item.members()? {
        match key {
            "order_id" => order.fill(value)?,
            "owner" => owner.fill(value)?,
            "asset_id" => asset.fill(value)?,
            "price" => price.fill(value)?,
            "matched_amount" => qty.fill(value)?,
            _ => {}
        }
    }
    Ok(Maker {
        order: order.text()?,
        owner: owner.text()?,
        asset: asset.text()?,
        price: Price::parse(price.text()?.as_bytes()).ok_or(Malformed::Price("price"))?,
        qty: Qty::parse(qty.text()?.as_bytes()).ok_or(Malformed::Qty("matched_amount"))?,
    })
}

/// How far a trade's settlement has come. Sent anew is still on its way.
fn stage(text: &str) -> Result<Stage, Malformed> {
    match text.strip_prefix("TRADE_STATUS_").unwrap_or(text) {
        "MATCHED" | "MATCHED_NOT_BROADCASTED" => Ok(Stage::Matched),
        "MINED" | "RETRYING" => Ok(Stage::Mined),
        "CONFIRMED" => Ok(Stage::Confirmed),
        "FAILED" => Ok(Stage::Failed),
        _ => Err(Malformed::Field("status")),
    }
}
