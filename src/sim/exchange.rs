//! Orders in, book changes out: one exchange's matching core, without I/O and without a clock.
//!
//! A market is one price–time book quoted on the YES leg, whatever legs the venue shows to the public. Every call is
//! one *action*: it moves the market's exchange clock once, and everything it changed comes back as events in order.
//! At the end of an action a book is never crossed; inside one it may be, for the length of a self-trade prevention.
//!
//! Owners from [`Owner::FIRST_ACCOUNT`] on have accounts. Their side of every match is told by itself, and a resting
//! order of theirs trades only if its owner can still pay: [`Clearing`] says so and books it. Everybody else is the
//! simulated crowd, whose orders come and go a level at a time. Order entry and wire protocols do not live here.
//!
//! What a newcomer gets wrong: the history is kept in *states*, not in changes. A quantity that was there for a part
//! of a millisecond was there during that millisecond.

mod event;
mod market;

use std::collections::HashMap;

pub use event::{Cause, Dropped, Event, Fill, LevelChange, NewOrder, OrderNo, Owner, Refused, SelfTrade, Trade, What};
pub use market::Market;
use market::{Past, Resting};

use crate::sim::kalshi::clearing::{Clearing, Leg};
use crate::unit::{BookSide, Grid, Money, Price, Qty, UnixMs};

/// How long a level's past can be asked for.
pub const HISTORY_MS: u64 = 120_000;

/// All markets of one venue.
#[derive(Debug, Default)]
pub struct Exchange {
    markets: Vec<Market>,
    orders: HashMap<OrderNo, (usize, BookSide, Price)>,
    orders_seen: u64,
    trades_seen: u64,
    clearing: Clearing,
}

/// One action under way: where its events gather.
struct Action {
    market: usize,
    at: UnixMs,
    by: Option<OrderNo>,
    events: Vec<Event>,
}

impl Exchange {
    /// Opens a market; its index is returned.
    pub fn list(&mut self, grid: Grid, at: UnixMs) -> usize {
        self.markets.push(Market::new(grid, at));
        self.markets.len() - 1
    }

    /// How many markets there are.
    pub const fn len(&self) -> usize {
        self.markets.len()
    }

    /// Is nothing listed?
    pub const fn is_empty(&self) -> bool {
        self.markets.is_empty()
    }

    /// A market's book.
    ///
    /// # Panics
    /// If there is no such market.
    pub fn market(&self, market: usize) -> &Market {
        &self.markets[market]
    }

    /// Changes the grid. Resting orders keep their prices.
    pub fn regrid(&mut self, market: usize, grid: Grid) {
        self.markets[market].grid = grid;
    }

    /// Cash and positions of the accounts.
    pub const fn clearing(&self) -> &Clearing {
        &self.clearing
    }

    /// Cash and positions of the accounts.
    pub const fn clearing_mut(&mut self) -> &mut Clearing {
        &mut self.clearing
    }

    /// Matches an order and rests what is left.
    pub fn place(&mut self, market: usize, order: NewOrder, now: UnixMs) -> Result<(OrderNo, Vec<Event>), Refused> {
        self.enter(market, order, true, now)
    }

    /// Matches an order; what is left rests, or is gone.
    pub fn enter(
        &mut self,
        market: usize,
        order: NewOrder,
        rests: bool,
        now: UnixMs,
    ) -> Result<(OrderNo, Vec<Event>), Refused> {
        self.admit(market, &order)?;
        let number = self.next_number();
        let mut action = self.begin(market, now);
        action.by = Some(number);
        self.match_and_rest(&mut action, number, &order, rests);
        Ok((number, action.events))
    }

    /// Replaces a resting order in one action: gone from its old place, then entered again at the back of the new one.
    /// Its new number is returned.
    pub fn replace(&mut self, old: OrderNo, order: NewOrder, now: UnixMs) -> Result<(OrderNo, Vec<Event>), Refused> {
        let Some(&(market, side, price)) = self.orders.get(&old) else { return Err(Refused::Closed) };
        self.admit(market, &order)?;
        let number = self.next_number();
        self.clearing.renumber(old, number);
        let mut action = self.begin(market, now);
        action.by = Some(number);
        self.cancel_within(&mut action, old, side, price, Qty::MAX);
        self.match_and_rest(&mut action, number, &order, true);
        Ok((number, action.events))
    }

    /// What is left of a resting order, and how much stands before it at its price.
    pub fn resting(&self, number: OrderNo) -> Option<(Qty, Qty)> {
        let &(market, side, price) = self.orders.get(&number)?;
        let mut ahead = Qty::ZERO;
        for order in &self.markets[market].side(side).get(&price)?.queue {
            if order.number == number {
                return Some((order.left, ahead));
            }
            ahead = ahead.checked_add(order.left).unwrap_or(Qty::MAX);
        }
        None
    }

    /// What an order could take now, up to where it would meet its owner, and whether it would.
    pub fn available(&self, market: usize, order: &NewOrder) -> (Qty, bool) {
        let book = &self.markets[market];
        let met: Box<dyn Iterator<Item = _>> = match order.side {
            BookSide::Bid => Box::new(book.side(BookSide::Ask).range(..=order.price)),
            BookSide::Ask => Box::new(book.side(BookSide::Bid).range(order.price..).rev()),
        };
        let mut total = Qty::ZERO;
        for (&price, level) in met {
            for other in &level.queue {
                if other.owner == order.owner {
                    return (total, true);
                }
                if self.clearing.pays(&maker_leg(market, order.side, price, other, other.left), Money::ZERO) {
                    total = total.checked_add(other.left).unwrap_or(Qty::MAX);
                }
            }
        }
        (total, false)
    }

    fn admit(&self, market: usize, order: &NewOrder) -> Result<(), Refused> {
        let book = &self.markets[market];
        if !book.open {
            return Err(Refused::Closed);
        }
        if !book.grid.holds(order.price) {
            return Err(Refused::OffGrid);
        }
        if order.qty.is_zero() { Err(Refused::NoQuantity) } else { Ok(()) }
    }

    const fn next_number(&mut self) -> OrderNo {
        self.orders_seen += 1;
        OrderNo(self.orders_seen)
    }

    fn match_and_rest(&mut self, action: &mut Action, number: OrderNo, order: &NewOrder, rests: bool) {
        let own_only =
            rests && order.self_trade == SelfTrade::CancelMaker && self.meets_only_its_owner(action.market, order);
        let rest = if own_only { order.qty } else { self.sweep(action, number, order) };
        if rests && !rest.is_zero() {
            self.rest(action, number, order, rest);
        }
        if own_only {
            self.withdraw_crossed(action, order);
        }
        self.end(action.market);
    }

    /// Takes up to `qty` at `limit` or better; nothing rests.
    pub fn take(
        &mut self,
        market: usize,
        owner: Owner,
        side: BookSide,
        limit: Price,
        qty: Qty,
        now: UnixMs,
    ) -> Vec<Event> {
        if !self.markets[market].open {
            return Vec::new();
        }
        let mut action = self.begin(market, now);
        let order = NewOrder { owner, side, price: limit, qty, self_trade: SelfTrade::CancelTaker };
        let number = self.next_number();
        self.sweep(&mut action, number, &order);
        self.end(market);
        action.events
    }

    /// Cancels an order, or up to `qty` of it; an order that is gone yields nothing.
    pub fn cancel(&mut self, number: OrderNo, qty: Qty, now: UnixMs) -> Vec<Event> {
        let Some(&(market, side, price)) = self.orders.get(&number) else { return Vec::new() };
        let mut action = self.begin(market, now);
        action.by = Some(number);
        self.cancel_within(&mut action, number, side, price, qty);
        self.end(market);
        action.events
    }

    /// Cancels the crowd's orders at a price in one batch: one level change. Orders of accounts stay.
    pub fn cancel_level(&mut self, market: usize, side: BookSide, price: Price, now: UnixMs) -> Vec<Event> {
        let levels = self.markets[market].side_mut(side);
        let Some(level) = levels.get_mut(&price) else { return Vec::new() };
        let before = level.total;
        for order in level.queue.iter().filter(|order| !order.owner.has_account()) {
            self.orders.remove(&order.number);
            level.total = level.total.saturating_sub(order.left);
        }
        level.queue.retain(|order| order.owner.has_account());
        let after = level.total;
        if after == before {
            return Vec::new();
        }
        if after.is_zero() {
            levels.remove(&price);
        }
        let mut action = self.begin(market, now);
        self.announce(&mut action, side, price, before, after, Cause::Cancelled);
        self.end(market);
        action.events
    }

    /// Cancels everything in a market, level by level, as a reopening does.
    pub fn evict(&mut self, market: usize, now: UnixMs) -> Vec<Event> {
        let mut action = self.begin(market, now);
        for side in [BookSide::Bid, BookSide::Ask] {
            while let Some((price, level)) = self.markets[market].side_mut(side).pop_last() {
                self.announce(&mut action, side, price, level.total, Qty::ZERO, Cause::Cancelled);
                self.drop_all(&mut action, &level.queue, Dropped::Reopened);
            }
        }
        self.end(market);
        action.events
    }

    /// Cancels the crowd's orders from the back of a level's queue, `qty` at most.
    pub fn thin(&mut self, market: usize, side: BookSide, price: Price, qty: Qty, now: UnixMs) -> Vec<Event> {
        let Some(level) = self.markets[market].side(side).get(&price) else { return Vec::new() };
        let numbers: Vec<OrderNo> =
            level.queue.iter().rev().filter(|order| !order.owner.has_account()).map(|order| order.number).collect();
        let mut action = self.begin(market, now);
        let mut left = qty;
        for number in numbers {
            if left.is_zero() {
                break;
            }
            left = left.saturating_sub(self.cancel_within(&mut action, number, side, price, left));
        }
        self.end(market);
        action.events
    }

    /// Clears the book; `open` says whether orders are taken afterwards.
    pub fn clear(&mut self, market: usize, open: bool, now: UnixMs) -> Vec<Event> {
        let mut action = self.begin(market, now);
        for side in [BookSide::Bid, BookSide::Ask] {
            for (price, level) in std::mem::take(self.markets[market].side_mut(side)) {
                self.drop_all(&mut action, &level.queue, Dropped::Closed);
                self.markets[market].remember(Past { at: now, side, price, before: level.total, after: Qty::ZERO });
            }
        }
        self.markets[market].open = open;
        self.push(&mut action, What::Emptied);
        self.end(market);
        action.events
    }

    fn begin(&mut self, market: usize, at: UnixMs) -> Action {
        self.markets[market].clock += 1;
        Action { market, at, by: None, events: Vec::new() }
    }

    fn end(&self, market: usize) {
        let book = &self.markets[market];
        if let (Some(bid), Some(ask)) = (book.best(BookSide::Bid), book.best(BookSide::Ask)) {
            assert!(bid < ask, "no action ends with a crossed book");
        }
    }

    fn push(&self, action: &mut Action, what: What) {
        let clock = self.markets[action.market].clock;
        action.events.push(Event { market: action.market, at: action.at, clock, by: action.by, what });
    }

    fn announce(&mut self, action: &mut Action, side: BookSide, price: Price, before: Qty, after: Qty, cause: Cause) {
        let book = &mut self.markets[action.market];
        book.remember(Past { at: action.at, side, price, before, after });
        let (best_bid, best_ask) = (book.best(BookSide::Bid), book.best(BookSide::Ask));
        let change = after.micros() as i64 - before.micros() as i64;
        let change = LevelChange { side, price, total: after, change, cause, best_bid, best_ask };
        self.push(action, What::Level(change));
    }

    fn meets_only_its_owner(&self, market: usize, order: &NewOrder) -> bool {
        let book = &self.markets[market];
        let crossed = |price: Price| match order.side {
            BookSide::Bid => price <= order.price,
            BookSide::Ask => order.price <= price,
        };
        let mut met = book.side(order.side.opposite()).iter().filter(|&(&price, _)| crossed(price)).peekable();
        met.peek().is_some() && met.all(|(_, level)| level.queue.iter().all(|other| other.owner == order.owner))
    }

    /// Trades as much as the book offers; the rest is returned.
    fn sweep(&mut self, action: &mut Action, number: OrderNo, order: &NewOrder) -> Qty {
        let mut left = order.qty;
        while let Some(price) = self.markets[action.market].meets(order.side, order.price) {
            if left.is_zero() {
                break;
            }
            let stopped = self.sweep_level(action, number, order, price, &mut left);
            if stopped {
                if order.owner.has_account() {
                    self.push(action, What::Dropped { order: number, why: Dropped::SelfTrade });
                }
                return Qty::ZERO;
            }
        }
        left
    }

    /// One level of a sweep; true if the order met its owner and stops there.
    fn sweep_level(
        &mut self,
        action: &mut Action,
        number: OrderNo,
        order: &NewOrder,
        price: Price,
        left: &mut Qty,
    ) -> bool {
        let (market, other) = (action.market, order.side.opposite());
        let level = self.markets[market].side_mut(other).get_mut(&price).expect("the best price has a level");
        let before = level.total;
        let mut gone = Vec::new();
        let mut withdrawn = Qty::ZERO;
        let mut prints: Vec<(Qty, Option<Fill>)> = Vec::new();
        let mut stopped = false;
        while !left.is_zero()
            && let Some(first) = level.queue.front_mut()
        {
            let own = first.owner == order.owner;
            if own && order.self_trade == SelfTrade::CancelTaker {
                stopped = true;
                break;
            }
            let qty = first.left.min(*left);
            let leg = maker_leg(market, order.side, price, first, qty);
            if own || !self.clearing.pays(&leg, Money::ZERO) {
                withdrawn = withdrawn.checked_add(first.left).expect("no more than the level held");
                gone.push((*first, if own { Dropped::SelfTrade } else { Dropped::Unfunded }));
                self.orders.remove(&first.number);
                level.queue.pop_front();
                continue;
            }
            first.left = first.left.saturating_sub(qty);
            *left = left.saturating_sub(qty);
            let side = booked(&mut self.clearing, &leg, action.at);
            match prints.last_mut() {
                // The crowd's matches at one price are one print; an account's is its own.
                Some((total, None)) if side.is_none() => *total = total.checked_add(qty).unwrap_or(Qty::MAX),
                _ => prints.push((qty, side)),
            }
            if first.left.is_zero() {
                self.orders.remove(&first.number);
                level.queue.pop_front();
            }
        }
        let matched = Qty::new(prints.iter().map(|print| print.0.micros()).sum()).unwrap_or(Qty::MAX);
        let staying = before.saturating_sub(withdrawn);
        let after = staying.saturating_sub(matched);
        level.total = after;
        if level.queue.is_empty() {
            self.markets[market].side_mut(other).remove(&price);
        }
        if !withdrawn.is_zero() {
            self.announce(action, other, price, before, staying, Cause::Cancelled);
        }
        for (order, why) in gone {
            self.drop_one(action, &order, why);
        }
        if !matched.is_zero() {
            self.announce(action, other, price, staying, after, Cause::Traded);
        }
        for (qty, maker) in prints {
            self.print(action, number, order, price, qty, maker);
        }
        stopped
    }

    /// A trade, then each account's side of it.
    fn print(
        &mut self,
        action: &mut Action,
        number: OrderNo,
        order: &NewOrder,
        price: Price,
        qty: Qty,
        maker: Option<Fill>,
    ) {
        self.trades_seen += 1;
        let trade = self.trades_seen;
        self.push(action, What::Trade(Trade { number: trade, price, qty, taker: order.side }));
        if let Some(maker) = maker {
            self.push(action, What::Fill(Fill { trade, ..maker }));
        }
        let NewOrder { owner, side, .. } = *order;
        let leg = Leg { owner, order: number, market: action.market, side, price, qty, is_taker: true };
        if let Some(taker) = booked(&mut self.clearing, &leg, action.at) {
            self.push(action, What::Fill(Fill { trade, ..taker }));
        }
    }

    fn drop_one(&mut self, action: &mut Action, order: &Resting, why: Dropped) {
        self.orders.remove(&order.number);
        if order.owner.has_account() {
            self.push(action, What::Dropped { order: order.number, why });
        }
    }

    fn drop_all<'a>(&mut self, action: &mut Action, orders: impl IntoIterator<Item = &'a Resting>, why: Dropped) {
        for order in orders {
            self.drop_one(action, order, why);
        }
    }

    fn rest(&mut self, action: &mut Action, number: OrderNo, order: &NewOrder, qty: Qty) {
        let level = self.markets[action.market].side_mut(order.side).entry(order.price).or_default();
        let before = level.total;
        let after = before.checked_add(qty).unwrap_or(Qty::MAX);
        let added = after.saturating_sub(before);
        level.queue.push_back(Resting { number, owner: order.owner, left: added });
        level.total = after;
        self.orders.insert(number, (action.market, order.side, order.price));
        self.announce(action, order.side, order.price, before, after, Cause::Placed);
    }

    fn withdraw_crossed(&mut self, action: &mut Action, order: &NewOrder) {
        let other = order.side.opposite();
        while let Some(price) = self.markets[action.market].meets(order.side, order.price) {
            let level = self.markets[action.market].side_mut(other).remove(&price).expect("the best price has a level");
            self.announce(action, other, price, level.total, Qty::ZERO, Cause::Cancelled);
            self.drop_all(action, &level.queue, Dropped::SelfTrade);
        }
    }

    fn cancel_within(&mut self, action: &mut Action, number: OrderNo, side: BookSide, price: Price, qty: Qty) -> Qty {
        let levels = self.markets[action.market].side_mut(side);
        let Some(level) = levels.get_mut(&price) else { return Qty::ZERO };
        let Some(place) = level.queue.iter().position(|order| order.number == number) else { return Qty::ZERO };
        let before = level.total;
        let gone = level.queue[place].left.min(qty);
        level.queue[place].left = level.queue[place].left.saturating_sub(gone);
        level.total = before.saturating_sub(gone);
        let after = level.total;
        if level.queue[place].left.is_zero() {
            level.queue.remove(place);
            self.orders.remove(&number);
        }
        if after.is_zero() {
            levels.remove(&price);
        }
        self.announce(action, side, price, before, after, Cause::Cancelled);
        gone
    }
}

/// One side of a match, booked if it is an account's. One without a purse has its books elsewhere: no fee is known
/// here, and no position.
fn booked(clearing: &mut Clearing, leg: &Leg, at: UnixMs) -> Option<Fill> {
    match clearing.book(leg, at) {
        Some(booked) => Some(fill(leg, booked.fee, booked.position)),
        None => leg.owner.has_account().then(|| fill(leg, Money::ZERO, 0)),
    }
}

/// The resting side of a match; `taker` is the side of the other one.
fn maker_leg(market: usize, taker: BookSide, price: Price, resting: &Resting, qty: Qty) -> Leg {
    let side = taker.opposite();
    Leg { owner: resting.owner, order: resting.number, market, side, price, qty, is_taker: false }
}

const fn fill(leg: &Leg, fee: Money, position: i64) -> Fill {
    let &Leg { owner, order, side, price, qty, is_taker, .. } = leg;
    Fill { order, owner, side, price, qty, trade: 0, is_taker, fee, position }
}
