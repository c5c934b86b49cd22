//! Orders that are there already: cancelled one by one or all at once, amended, decreased.
//!
//! A cancel that does not say which market it means goes to shard 0, and there nobody knows an order of another shard.
//! What is done, cancelled or never was gives the same 404.

use serde_json::{Value, json};

use crate::sim::exchange::{NewOrder, Refused};
use crate::sim::kalshi::account::{Member, owner};
use crate::sim::kalshi::deny::Deny;
use crate::sim::kalshi::desk::{Desk, Shard};
use crate::sim::kalshi::entry::{future, side};
use crate::sim::kalshi::form::{Count, Form, number, param};
use crate::sim::kalshi_text::fp;
use crate::sim::world::World;
use crate::unit::{BookSide, Qty, UnixMs, Venue};

/// For how long a cancel-all may still eat new orders.
const CANCEL_ALL_MS: u64 = 60_000;

/// Where a request about an order is carried out.
#[derive(Clone, Copy, Debug)]
struct Destination<'a> {
    ticker: Option<&'a str>,
    shard: Option<i64>,
}

impl Desk {
    /// The resting order with this id, where the request was sent.
    fn find(&self, world: &World, member: Member, subaccount: u8, id: &str, to: Destination) -> Result<usize, Deny> {
        let of_ticker = || {
            let market = world.find(Venue::Kalshi, to.ticker?)?;
            Some(i64::from(world.catalog().kalshi[market].exchange_index))
        };
        let shard = match to.shard {
            Some(shard) if shard != -1 => Some(shard),
            Some(_) => of_ticker(),
            None if to.ticker.is_some() => of_ticker(),
            None => Some(0),
        };
        let at = *self.by_id.get(id).ok_or_else(Deny::not_found)?;
        let order = &self.orders[at];
        let there = order.account == member.account
            && order.subaccount == subaccount
            && shard == Some(i64::from(order.shard))
            && order.is_resting();
        if there { Ok(at) } else { Err(Deny::not_found()) }
    }

    /// After a close every order operation is refused, also those about orders that the close has taken.
    fn closed(&self, world: &World, id: &str) -> Result<(), Deny> {
        match self.by_id.get(id) {
            Some(&at) => self.market_is_open(world, self.orders[at].market, false),
            None => Ok(()),
        }
    }

    /// `DELETE /portfolio/events/orders/{order_id}`.
    pub(super) fn cancel(
        &mut self,
        world: &mut World,
        member: Member,
        id: &str,
        query: &[(String, String)],
        now: UnixMs,
    ) -> Result<Value, Deny> {
        let subaccount = self.subaccount(member, number(query, "subaccount")?)?;
        let to = Destination { ticker: param(query, "market_ticker"), shard: number(query, "exchange_index")? };
        self.cancel_at(world, member, subaccount, id, to, now)
    }

    fn cancel_at(
        &mut self,
        world: &mut World,
        member: Member,
        subaccount: u8,
        id: &str,
        to: Destination,
        now: UnixMs,
    ) -> Result<Value, Deny> {
        self.closed(world, id)?;
        let at = self.find(world, member, subaccount, id, to)?;
        let reduced = self.withdraw(world, at, None, now);
        Ok(json!({"order_id": id, "reduced_by": fp(reduced), "ts_ms": now.raw()}))
    }

    /// `DELETE …/batched`.
    pub(super) fn cancel_batch(
        &mut self,
        world: &mut World,
        member: Member,
        body: &Value,
        now: UnixMs,
    ) -> Result<Value, Deny> {
        let form = Form::of("BatchCancelOrdersV2Request", body)?;
        let mut items = Vec::new();
        for order in form.list("orders")?.ok_or_else(|| form.missing("orders"))? {
            let form = Form::of("BatchCancelOrdersV2RequestOrder", order)?;
            let id = form.required("order_id")?;
            let to = Destination { ticker: form.text("market_ticker")?, shard: form.integer("exchange_index")? };
            let named = form.integer("subaccount")?;
            let done = self
                .subaccount(member, named)
                .and_then(|subaccount| self.cancel_at(world, member, subaccount, id, to, now));
            items.push(done.unwrap_or_else(|deny| json!({"order_id": id, "reduced_by": "0.00", "error": deny.item()})));
        }
        Ok(json!({"orders": items}))
    }

    /// `DELETE /portfolio/events/orders`: everything, on every shard that takes cancels, and perhaps what comes next.
    pub(super) fn cancel_all(
        &mut self,
        world: &mut World,
        member: Member,
        query: &[(String, String)],
        now: UnixMs,
    ) -> Result<(), Deny> {
        let named = number(query, "subaccount")?;
        let only =
            if named.is_some() || member.locked.is_some() { Some(self.subaccount(member, named)?) } else { None };
        for at in self.live.clone() {
            let order = &self.orders[at];
            let meant = order.account == member.account && only.is_none_or(|only| only == order.subaccount);
            let open = self.shards[usize::from(order.shard)] != Shard::ExchangePaused;
            if meant && open && order.is_resting() {
                self.withdraw(world, at, None, now);
            }
        }
        self.accounts[member.account].cancels_all_until = UnixMs::new(now.raw() + CANCEL_ALL_MS);
        Ok(())
    }

    /// `POST …/{order_id}/decrease`.
    pub(super) fn decrease(
        &mut self,
        world: &mut World,
        member: Member,
        id: &str,
        query: &[(String, String)],
        body: &Value,
        now: UnixMs,
    ) -> Result<Value, Deny> {
        let form = Form::of("DecreaseOrderV2Request", body)?;
        let subaccount = self.subaccount(member, number(query, "subaccount")?)?;
        let to = Destination { ticker: form.text("market_ticker")?, shard: form.integer("exchange_index")? };
        let wanted = match (form.count("reduce_by")?, form.count("reduce_to")?) {
            (Some(by), None) => (Some(by.sized()?), Qty::ZERO),
            (None, Some(Count::Nothing)) => (None, Qty::ZERO),
            (None, Some(to)) => (None, to.sized()?),
            _ => return Err(Deny::malformed("exactly one of reduce_by and reduce_to is required")),
        };
        self.closed(world, id)?;
        let at = self.find(world, member, subaccount, id, to)?;
        let left = self.orders[at].now.left;
        let gone = match wanted {
            (Some(by), _) => by.min(left),
            (None, to) => left.saturating_sub(to),
        };
        self.shrink(world, at, gone, "Decrease", now);
        Ok(json!({"order_id": id, "remaining_count": fp(self.orders[at].now.left), "ts_ms": now.raw()}))
    }

    /// Takes some of a resting order away where it stands in its queue.
    fn shrink(&mut self, world: &mut World, at: usize, gone: Qty, reason: &'static str, now: UnixMs) {
        if gone == self.orders[at].now.left {
            self.withdraw(world, at, None, now);
            return;
        }
        if !gone.is_zero() {
            let number = self.orders[at].number;
            world.on_kalshi(now, |exchange| ((), exchange.cancel(number, gone, now)));
        }
        let state = &mut self.orders[at].now;
        state.left = state.left.saturating_sub(gone);
        state.initial = state.initial.saturating_sub(gone);
        state.updated = now;
        state.reason = Some(reason);
        self.tell_order(at, now);
    }

    /// `POST …/{order_id}/amend`: price, size, expiry. Its place in the queue survives less size and another expiry.
    pub(super) fn amend(
        &mut self,
        world: &mut World,
        member: Member,
        id: &str,
        query: &[(String, String)],
        body: &Value,
        now: UnixMs,
    ) -> Result<Value, Deny> {
        let form = Form::of("AmendOrderV2Request", body)?;
        let subaccount = self.subaccount(member, number(query, "subaccount")?)?;
        let ticker = form.required("ticker")?;
        let asked_side = side(&form)?;
        let count = form.count("count")?.ok_or_else(|| form.missing("count"))?;
        let price = form.price("price")?;
        let to = Destination { ticker: Some(ticker), shard: form.integer("exchange_index")? };
        let market = world.find(Venue::Kalshi, ticker).ok_or_else(|| Deny::new(404, "market_not_found"))?;
        self.closed(world, id)?;
        self.market_is_open(world, market, true)?;
        let at = self.find(world, member, subaccount, id, to)?;
        let order = &self.orders[at];
        if order.market != market {
            return Err(Deny::new(400, "order_ticker_mismatch"));
        }
        if order.side != asked_side {
            return Err(Deny::new(400, "order_side_mismatch"));
        }
        if form.text("client_order_id")?.is_some_and(|id| !id.is_empty() && id != order.now.client_order_id) {
            return Err(Deny::new(400, "order_id_and_client_order_id_mismatch"));
        }
        let grid = world.exchange(Venue::Kalshi).market(market).grid();
        let price = price.filter(|&price| grid.holds(price)).ok_or_else(|| Deny::new(400, "invalid_price"))?;
        let total = count.sized()?;
        let new_id = form.text("updated_client_order_id")?.filter(|id| !id.is_empty());
        if new_id.is_some_and(|id| self.accounts[member.account].spent_ids.contains(id)) {
            return Err(Deny::new(409, "order_already_exists"));
        }
        let expires = match form.integer("expiration_time")? {
            None => order.now.expires,
            Some(0) => None,
            Some(secs) => Some(future(secs, now)?),
        };
        let (number, filled, left, old_price) = (order.number, order.now.filled, order.now.left, order.now.price);
        if total <= filled {
            return Err(Deny::new(400, "invalid_amend_qty_for_order"));
        }
        let wanted = total.saturating_sub(filled);
        let new = NewOrder {
            owner: owner(order.account, order.subaccount),
            side: order.side,
            price,
            qty: wanted,
            self_trade: order.self_trade,
        };
        let stays = price == old_price && wanted <= left;
        if !stays {
            self.can_pay(world, market, &new, number)?;
            if order.post_only && would_cross(world, market, &new) {
                return Err(Deny::invalid("post only cross"));
            }
        }
        self.rename(at, new_id, expires);
        let first_fill = self.fills.len();
        let mut answer = json!({"order_id": id, "ts_ms": now.raw()});
        if stays {
            self.shrink(world, at, left.saturating_sub(wanted), "Amend", now);
        } else {
            let replaced = world.on_kalshi(now, |exchange| match exchange.replace(number, new, now) {
                Ok((number, events)) => (Ok(number), events),
                Err(refused) => (Err(refused), Vec::new()),
            });
            let renumbered = replaced.map_err(|refused| match refused {
                Refused::OffGrid => Deny::new(400, "invalid_price"),
                Refused::NoQuantity | Refused::Closed => Deny::not_found(),
            })?;
            self.by_number.insert(renumbered, at);
            let order = &mut self.orders[at];
            order.number = renumbered;
            order.now.price = price;
            order.now.initial = total;
            order.now.left = wanted;
            order.now.updated = now;
            order.now.reason = Some("Amend");
            self.label(world, at);
            self.settle_up(world, now);
            self.finish(world, at, None, now);
        }
        let state = &self.orders[at].now;
        if filled < state.filled || state.left != left {
            answer["remaining_count"] = Value::from(fp(state.left));
            answer["fill_count"] = Value::from(fp(state.filled.saturating_sub(filled)));
        }
        if !state.client_order_id.is_empty() {
            answer["client_order_id"] = Value::from(state.client_order_id.as_str());
        }
        self.add_averages(&mut answer, at, first_fill);
        Ok(answer)
    }

    fn rename(&mut self, at: usize, new_id: Option<&str>, expires: Option<UnixMs>) {
        let order = &mut self.orders[at];
        order.now.expires = expires;
        if let Some(id) = new_id {
            id.clone_into(&mut order.now.client_order_id);
            self.accounts[order.account].spent_ids.insert(id.to_owned());
        }
    }
}

/// Would the order take from the book?
pub fn would_cross(world: &World, market: usize, order: &NewOrder) -> bool {
    let book = world.exchange(Venue::Kalshi).market(market);
    match order.side {
        BookSide::Bid => book.best(BookSide::Ask).is_some_and(|ask| ask <= order.price),
        BookSide::Ask => book.best(BookSide::Bid).is_some_and(|bid| order.price <= bid),
    }
}
