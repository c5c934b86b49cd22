//! New orders: read, checked in the venue's order, matched, and answered.
//!
//! The order of checks: body, market, state, grid and size, `client_order_id`, group, reduce-only, money, post-only.
//! An id is spent once an order with it was accepted, and for good.

use serde_json::{Value, json};

use crate::sim::exchange::{NewOrder, OrderNo, Refused, SelfTrade};
use crate::sim::kalshi::account::{Member, owner};
use crate::sim::kalshi::change::would_cross;
use crate::sim::kalshi::check::Seen;
use crate::sim::kalshi::clearing::{Leg, closing};
use crate::sim::kalshi::deny::Deny;
use crate::sim::kalshi::desk::{Desk, Shard};
use crate::sim::kalshi::form::{Count, Form};
use crate::sim::kalshi::order::{Birth, Order};
use crate::sim::kalshi_text::{amount, fp};
use crate::sim::listing::Phase;
use crate::sim::world::{Label, World};
use crate::unit::{BookSide, Money, Price, Qty, UnixMs, Venue};

/// Longest `client_order_id`.
const ID_LETTERS: usize = 64;
/// A cancel-all takes what it takes of the next minute's orders within this time of their coming.
const EATEN_MS: u64 = 2_000;
/// Categories that need a valid attestation of where the account's owner is.
const ATTESTED: [&str; 3] = ["Sports", "Elections", "Entertainment"];

/// How long an order stays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stay {
    UntilCanceled,
    NotAtAll,
    AllOrNothing,
}

/// A body of order entry that could be read; nothing in it has been checked against the market.
#[derive(Debug)]
struct Wish<'a> {
    ticker: &'a str,
    client_order_id: &'a str,
    side: BookSide,
    count: Count,
    price: Option<Price>,
    stay: Stay,
    self_trade: SelfTrade,
    expires_secs: Option<i64>,
    post_only: bool,
    reduce_only: bool,
    cancel_on_pause: bool,
    group: Option<&'a str>,
    subaccount: u8,
    shard: Option<i64>,
}

/// A side in the book's words.
pub fn side(form: &Form) -> Result<BookSide, Deny> {
    match form.required("side")? {
        "bid" => Ok(BookSide::Bid),
        "ask" => Ok(BookSide::Ask),
        _ => Err(form.fails("side", "oneof")),
    }
}

impl Desk {
    fn read<'a>(&self, member: Member, body: &'a Value) -> Result<Wish<'a>, Deny> {
        let form = Form::of("CreateOrderV2Request", body)?;
        let wish = Wish {
            ticker: form.required("ticker")?,
            client_order_id: form.text("client_order_id")?.unwrap_or_default(),
            side: side(&form)?,
            count: form.count("count")?.ok_or_else(|| form.missing("count"))?,
            price: form.price("price")?,
            stay: match form.required("time_in_force")? {
                "good_till_canceled" => Stay::UntilCanceled,
                "immediate_or_cancel" => Stay::NotAtAll,
                "fill_or_kill" => Stay::AllOrNothing,
                _ => return Err(form.fails("time_in_force", "oneof")),
            },
            self_trade: match form.required("self_trade_prevention_type")? {
                "taker_at_cross" => SelfTrade::CancelTaker,
                "maker" => SelfTrade::CancelMaker,
                _ => return Err(form.fails("self_trade_prevention_type", "oneof")),
            },
            expires_secs: form.integer("expiration_time")?,
            post_only: form.flag("post_only")?,
            reduce_only: form.flag("reduce_only")?,
            cancel_on_pause: form.flag("cancel_order_on_pause")?,
            group: form.text("order_group_id")?.filter(|id| !id.is_empty()),
            subaccount: self.subaccount(member, form.integer("subaccount")?)?,
            shard: form.integer("exchange_index")?,
        };
        if ID_LETTERS < wish.client_order_id.len() { Err(form.fails("client_order_id", "max")) } else { Ok(wish) }
    }

    /// The subaccount a request is about: the one it names, or the one its key is locked to, or the primary one.
    pub(super) fn subaccount(&self, member: Member, named: Option<i64>) -> Result<u8, Deny> {
        let wanted = match (named, member.locked) {
            (None, locked) => locked.unwrap_or(0),
            (Some(named), Some(locked)) if named != i64::from(locked) => {
                return Err(Deny::new(403, "permission_denied").because("key is restricted to another subaccount"));
            }
            (Some(named), _) => u8::try_from(named).map_err(|_| Deny::malformed("invalid subaccount"))?,
        };
        let known = self.accounts[member.account].has(wanted);
        known.then_some(wanted).ok_or_else(|| Deny::new(404, "subaccount_not_found"))
    }

    /// May orders come into, or leave, this market now?
    pub(super) fn market_is_open(&self, world: &World, market: usize, entering: bool) -> Result<(), Deny> {
        let listed = &world.catalog().kalshi[market];
        match self.shards.get(usize::from(listed.exchange_index)) {
            Some(Shard::ExchangePaused) => return Err(Deny::new(400, "exchange_paused")),
            Some(Shard::TradingPaused) if entering => return Err(Deny::new(400, "trading_paused")),
            _ => {}
        }
        match listed.state.phase {
            Phase::Paused if entering => Err(Deny::new(400, "trading_paused")),
            Phase::Active | Phase::Paused => Ok(()),
            Phase::Closed | Phase::Determined | Phase::Settled => Err(Deny::new(400, "market_inactive")),
        }
    }

    /// `POST /portfolio/events/orders`.
    pub(super) fn create(
        &mut self,
        world: &mut World,
        member: Member,
        body: &Value,
        now: UnixMs,
    ) -> Result<Value, Deny> {
        let wish = self.read(member, body)?;
        let (seen, result) = self.look_and_enter(world, member, &wish, now);
        self.check.see(Seen { accepted: result.is_ok(), ..seen });
        result
    }

    fn look_and_enter(
        &mut self,
        world: &mut World,
        member: Member,
        wish: &Wish,
        now: UnixMs,
    ) -> (Seen, Result<Value, Deny>) {
        let qty = if let Count::Of(qty) = wish.count { qty } else { Qty::ZERO };
        let held = world
            .find(Venue::Kalshi, wish.ticker)
            .map_or(0, |market| self.position(world, member.account, wish.subaccount, market));
        let paid = wish.price.map(|price| if wish.side == BookSide::Bid { price } else { price.complement() });
        let seen = Seen {
            account: member.account,
            at: now,
            client_order_id: wish.client_order_id.to_owned(),
            ticker: wish.ticker.to_owned(),
            value: paid.map_or(Money::ZERO, |price| price.cost(qty)),
            qty,
            adds_risk: !wish.reduce_only && closing(held, wish.side, qty) < qty,
            accepted: false,
        };
        (seen, self.enter(world, member, wish, now))
    }

    fn enter(&mut self, world: &mut World, member: Member, wish: &Wish, now: UnixMs) -> Result<Value, Deny> {
        let market = world.find(Venue::Kalshi, wish.ticker).ok_or_else(|| Deny::new(404, "market_not_found"))?;
        let shard = world.catalog().kalshi[market].exchange_index;
        if wish.shard.is_some_and(|named| named != -1 && named != i64::from(shard)) {
            return Err(Deny::new(404, "market_not_found"));
        }
        self.may_trade_here(world, member, market, now)?;
        self.market_is_open(world, market, true)?;
        let grid = world.exchange(Venue::Kalshi).market(market).grid();
        let price = wish.price.filter(|&price| grid.holds(price)).ok_or_else(|| Deny::new(400, "invalid_price"))?;
        let asked = wish.count.sized()?;
        let expires = expiry(wish, now)?;
        if !wish.client_order_id.is_empty() && self.accounts[member.account].spent_ids.contains(wish.client_order_id) {
            return Err(Deny::new(409, "order_already_exists"));
        }
        if let Some(group) = wish.group {
            self.group_takes_orders(member, group, shard)?;
        }
        let owner = owner(member.account, wish.subaccount);
        let qty = if wish.reduce_only {
            if wish.stay == Stay::UntilCanceled {
                return Err(Deny::invalid("reduce_only can only be used with IoC or FoK orders"));
            }
            let held = self.position(world, member.account, wish.subaccount, market);
            let capped = closing(held, wish.side, asked);
            if capped.is_zero() {
                return Err(Deny::new(400, "insufficient_balance"));
            }
            capped
        } else {
            asked
        };
        let order = NewOrder { owner, side: wish.side, price, qty, self_trade: wish.self_trade };
        self.can_pay(world, market, &order, OrderNo(0))?;
        if wish.post_only && would_cross(world, market, &order) {
            return Err(Deny::invalid("post only cross"));
        }
        if wish.stay == Stay::AllOrNothing {
            let (available, meets_owner) = world.exchange(Venue::Kalshi).available(market, &order);
            if available < qty && !meets_owner {
                return Err(Deny::new(400, "fok_insufficient_volume"));
            }
        }
        let rests = wish.stay == Stay::UntilCanceled;
        let number = put_in(world, market, order, rests, now)?;
        let birth = Birth {
            id: self.new_id(),
            number,
            account: member.account,
            subaccount: wish.subaccount,
            market,
            ticker: wish.ticker.to_owned(),
            shard,
            side: wish.side,
            self_trade: wish.self_trade,
            post_only: wish.post_only,
            cancel_on_pause: wish.cancel_on_pause,
            group: wish.group.map(str::to_owned),
            client_order_id: wish.client_order_id.to_owned(),
            price,
            qty: asked,
            expires,
            at: now,
        };
        let at = self.register(Order::new(birth));
        self.label(world, at);
        let first_fill = self.fills.len();
        self.settle_up(world, now);
        let capped = (qty < asked).then_some("ReduceOnlyCancel");
        self.finish(world, at, capped, now);
        let order = &mut self.orders[at];
        if order.is_resting() && now < self.accounts[member.account].cancels_all_until && self.rng.bool() {
            order.doomed_at = Some(UnixMs::new(now.raw() + self.rng.u64(0..EATEN_MS)));
        }
        let order = &self.orders[at];
        let mut answer = json!({
            "order_id": order.id, "fill_count": fp(order.now.filled), "remaining_count": fp(order.now.left),
            "ts_ms": now.raw(),
        });
        if !wish.client_order_id.is_empty() {
            answer["client_order_id"] = Value::from(wish.client_order_id);
        }
        self.add_averages(&mut answer, at, first_fill);
        Ok(answer)
    }

    /// What an expired attestation keeps an account from.
    fn may_trade_here(&self, world: &World, member: Member, market: usize, now: UnixMs) -> Result<(), Deny> {
        let catalog = world.catalog();
        let event = &catalog.kalshi_events[catalog.kalshi[market].event];
        let attested = ATTESTED.contains(&catalog.series[event.series].category);
        let expired = self.accounts[member.account].region_expires.is_some_and(|expires| expires <= now);
        if attested && expired {
            return Err(Deny::new(403, "permission_denied").because("region attestation expired"));
        }
        Ok(())
    }

    /// Is there cash enough on the market's shard, fees included, if all of the order traded at its price now?
    pub(super) fn can_pay(
        &self,
        world: &World,
        market: usize,
        order: &NewOrder,
        replaced: OrderNo,
    ) -> Result<(), Deny> {
        let NewOrder { owner, side, price, qty, .. } = *order;
        let clearing = world.exchange(Venue::Kalshi).clearing();
        let withheld = if self.settings.reserve {
            let shard = clearing.terms(market).shard;
            let resting = self.live.iter().map(|&at| &self.orders[at]).filter(|other| {
                let same = super::account::owner(other.account, other.subaccount) == owner;
                same && other.is_resting() && other.shard == shard && other.number != replaced
            });
            resting
                .map(|other| {
                    let (market, side, price, qty) = (other.market, other.side, other.now.price, other.now.left);
                    clearing.commitment(&Leg { owner, order: other.number, market, side, price, qty, is_taker: false })
                })
                .sum()
        } else {
            Money::ZERO
        };
        let is_taker = would_cross(world, market, order);
        let leg = Leg { owner, order: replaced, market, side, price, qty, is_taker };
        if clearing.pays(&leg, withheld) { Ok(()) } else { Err(Deny::new(400, "insufficient_balance")) }
    }

    fn register(&mut self, order: Order) -> usize {
        let at = self.orders.len();
        self.by_id.insert(order.id.clone(), at);
        self.by_number.insert(order.number, at);
        self.live.push(at);
        if !order.now.client_order_id.is_empty() {
            self.accounts[order.account].spent_ids.insert(order.now.client_order_id.clone());
        }
        self.orders.push(order);
        at
    }

    /// Lets the order's owner recognise the changes of the book that it causes.
    pub(super) fn label(&self, world: &mut World, at: usize) {
        let order = &self.orders[at];
        let owner = owner(order.account, order.subaccount);
        world.label(order.number, Label { owner, client_order_id: order.now.client_order_id.clone() });
    }

    /// After an action: what does not rest in the book any more and has not traded is cancelled. Then it is told.
    pub(super) fn finish(&mut self, world: &World, at: usize, reason: Option<&'static str>, now: UnixMs) {
        let order = &mut self.orders[at];
        let in_book = world.exchange(Venue::Kalshi).resting(order.number).is_some();
        if order.is_resting() && !in_book {
            order.end(reason, now);
        }
        self.tell_order(at, now);
    }

    /// The averages of what a request filled, where it did: price, and fee per contract.
    pub(super) fn add_averages(&self, answer: &mut Value, at: usize, first_fill: usize) {
        let fills = self.fills[first_fill..].iter().filter(|fill| fill.order == at);
        let (mut qty, mut paid, mut fees) = (0_i128, 0_i128, 0_i128);
        for fill in fills {
            qty += i128::from(fill.qty.micros());
            paid += i128::from(fill.price.raw()) * i128::from(fill.qty.micros());
            fees += i128::from(fill.fee.raw()) * 1_000_000;
        }
        if qty == 0 {
            return;
        }
        // To the nearest ten-thousandth of a dollar: prices are in those already, fees are in millionths.
        let price = (paid + qty / 2) / qty * 100;
        let fee = (fees + qty * 50) / (qty * 100) * 100;
        answer["average_fill_price"] = Value::from(amount(Money::micros(price as i64), 4));
        answer["average_fee_paid"] = Value::from(amount(Money::micros(fee as i64), 4));
    }

    /// `POST …/batched`: each order by itself; only a body that cannot be read refuses all of them.
    pub(super) fn create_batch(
        &mut self,
        world: &mut World,
        member: Member,
        body: &Value,
        now: UnixMs,
    ) -> Result<Value, Deny> {
        let form = Form::of("BatchCreateOrdersV2Request", body)?;
        let orders = form.list("orders")?.ok_or_else(|| form.missing("orders"))?;
        for order in orders {
            self.read(member, order)?;
        }
        let mut items = Vec::new();
        for order in orders {
            items.push(self.create(world, member, order, now).unwrap_or_else(|deny| {
                let id = order["client_order_id"].as_str().unwrap_or_default();
                json!({"client_order_id": id, "error": deny.item()})
            }));
        }
        Ok(json!({"orders": items}))
    }
}

fn put_in(world: &mut World, market: usize, order: NewOrder, rests: bool, now: UnixMs) -> Result<OrderNo, Deny> {
    let entered = world.on_kalshi(now, |exchange| match exchange.enter(market, order, rests, now) {
        Ok((number, events)) => (Ok(number), events),
        Err(refused) => (Err(refused), Vec::new()),
    });
    entered.map_err(|refused| match refused {
        Refused::OffGrid => Deny::new(400, "invalid_price"),
        Refused::NoQuantity => Deny::new(400, "invalid_order_size"),
        Refused::Closed => Deny::new(400, "market_inactive"),
    })
}

/// When the order expires, if it does: only what rests may, and only in the future.
fn expiry(wish: &Wish, now: UnixMs) -> Result<Option<UnixMs>, Deny> {
    let Some(secs) = wish.expires_secs else { return Ok(None) };
    if wish.stay != Stay::UntilCanceled {
        return Err(Deny::invalid("expiration_time can only be used with good_till_canceled orders"));
    }
    future(secs, now).map(Some)
}

/// A time in seconds that lies ahead.
pub fn future(secs: i64, now: UnixMs) -> Result<UnixMs, Deny> {
    let at = u64::try_from(secs).ok().and_then(|secs| secs.checked_mul(1_000)).map(UnixMs::new);
    at.filter(|&at| now < at).ok_or_else(|| Deny::invalid("expiration_time must be in the future"))
}
