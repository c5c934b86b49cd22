//! Orders in, book changes out: one exchange's matching core, without I/O and without a clock.
//!
//! A market is one price–time book quoted on the YES leg, whatever legs the venue shows to the public. Every call is
//! one *action*: it moves the market's exchange clock once, and everything it changed comes back as events in order.
//! At the end of an action a book is never crossed; inside one it may be, for the length of a self-trade prevention.
//!
//! Here too will live accounts, balances per shard or wallet, holds and the checks of order entry: `Owner` is already
//! what an account hangs on, and `Exchange::place` is where an order that passed those checks will arrive. Wire
//! protocols do not live here.
//!
//! What a newcomer gets wrong: the history is kept in *states*, not in changes. A quantity that was there for a part
//! of a millisecond was there during that millisecond.

mod market;

use std::collections::HashMap;

pub use market::Market;
use market::{Past, Resting};

use crate::unit::{BookSide, Grid, Price, Qty, UnixMs};

/// How long a level's past can be asked for.
pub const HISTORY_MS: u64 = 120_000;

/// Whose order it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Owner(pub u32);

/// An order's number on one exchange.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OrderNo(pub u64);

/// Why a level changed. Polymarket shows a trade's changes as whole books, everything else as single levels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    Placed,
    Cancelled,
    Traded,
}

/// One level's new state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LevelChange {
    pub side: BookSide,
    pub price: Price,
    /// What the level holds now.
    pub total: Qty,
    /// By how many millionths of a contract it changed.
    pub change: i64,
    pub cause: Cause,
    /// The touch right after this change.
    pub best_bid: Option<Price>,
    pub best_ask: Option<Price>,
}

/// A match, at the resting order's price.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trade {
    pub number: u64,
    pub price: Price,
    pub qty: Qty,
    /// `Bid`: the taker bought YES.
    pub taker: BookSide,
}

/// What one step of an action did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    Level(LevelChange),
    Trade(Trade),
    /// The book was cleared at once, as at a close. No level changes are announced.
    Emptied,
}

/// Something that happened to a book.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event {
    pub market: usize,
    pub at: UnixMs,
    /// The market's exchange clock; all events of one action share it.
    pub clock: u64,
    pub what: What,
}

/// What a resting order does when its owner's next order would meet it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SelfTrade {
    /// The newcomer's rest is cancelled where it would meet its owner.
    CancelTaker,
    /// The resting order goes, after the newcomer is in the book: for an instant the book is crossed.
    CancelMaker,
}

/// An order that may rest.
#[derive(Clone, Copy, Debug)]
pub struct NewOrder {
    pub owner: Owner,
    pub side: BookSide,
    pub price: Price,
    pub qty: Qty,
    pub self_trade: SelfTrade,
}

/// Why an order was not accepted. Only what a book itself knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    OffGrid,
    NoQuantity,
    Closed,
}

/// The other side of a book.
pub const fn opposite(side: BookSide) -> BookSide {
    match side {
        BookSide::Bid => BookSide::Ask,
        BookSide::Ask => BookSide::Bid,
    }
}

/// All markets of one venue.
#[derive(Debug, Default)]
pub struct Exchange {
    markets: Vec<Market>,
    orders: HashMap<OrderNo, (usize, BookSide, Price)>,
    orders_seen: u64,
    trades_seen: u64,
}

/// One action under way: where its events gather.
struct Action {
    market: usize,
    at: UnixMs,
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

    /// Matches an order and rests what is left.
    pub fn place(&mut self, market: usize, order: NewOrder, now: UnixMs) -> Result<(OrderNo, Vec<Event>), Refused> {
        let book = &self.markets[market];
        if !book.open {
            return Err(Refused::Closed);
        }
        if !book.grid.holds(order.price) {
            return Err(Refused::OffGrid);
        }
        if order.qty.is_zero() {
            return Err(Refused::NoQuantity);
        }
        self.orders_seen += 1;
        let number = OrderNo(self.orders_seen);
        let mut action = self.begin(market, now);
        let own_only = order.self_trade == SelfTrade::CancelMaker && self.meets_only_its_owner(market, &order);
        let rest = if own_only { order.qty } else { self.sweep(&mut action, &order) };
        if !rest.is_zero() {
            self.rest(&mut action, number, &order, rest);
        }
        if own_only {
            self.withdraw_crossed(&mut action, &order);
        }
        self.end(market);
        Ok((number, action.events))
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
        self.sweep(&mut action, &order);
        self.end(market);
        action.events
    }

    /// Cancels an order, or up to `qty` of it; an order that is gone yields nothing.
    pub fn cancel(&mut self, number: OrderNo, qty: Qty, now: UnixMs) -> Vec<Event> {
        let Some(&(market, side, price)) = self.orders.get(&number) else { return Vec::new() };
        let mut action = self.begin(market, now);
        self.cancel_within(&mut action, number, side, price, qty);
        self.end(market);
        action.events
    }

    /// Cancels every order at a price in one batch: one level change.
    pub fn cancel_level(&mut self, market: usize, side: BookSide, price: Price, now: UnixMs) -> Vec<Event> {
        let Some(level) = self.markets[market].side_mut(side).remove(&price) else { return Vec::new() };
        for order in &level.queue {
            self.orders.remove(&order.number);
        }
        let mut action = self.begin(market, now);
        self.announce(&mut action, side, price, level.total, Qty::ZERO, Cause::Cancelled);
        self.end(market);
        action.events
    }

    /// Cancels from the back of a level's queue, `qty` at most.
    pub fn thin(&mut self, market: usize, side: BookSide, price: Price, qty: Qty, now: UnixMs) -> Vec<Event> {
        let Some(level) = self.markets[market].side(side).get(&price) else { return Vec::new() };
        let numbers: Vec<OrderNo> = level.queue.iter().rev().map(|order| order.number).collect();
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
                for order in &level.queue {
                    self.orders.remove(&order.number);
                }
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
        Action { market, at, events: Vec::new() }
    }

    fn end(&self, market: usize) {
        let book = &self.markets[market];
        if let (Some(bid), Some(ask)) = (book.best(BookSide::Bid), book.best(BookSide::Ask)) {
            assert!(bid < ask, "no action ends with a crossed book");
        }
    }

    fn push(&self, action: &mut Action, what: What) {
        let clock = self.markets[action.market].clock;
        action.events.push(Event { market: action.market, at: action.at, clock, what });
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
        let mut met = book.side(opposite(order.side)).iter().filter(|&(&price, _)| crossed(price)).peekable();
        met.peek().is_some() && met.all(|(_, level)| level.queue.iter().all(|other| other.owner == order.owner))
    }

    /// Trades as much as the book offers; the rest is returned.
    fn sweep(&mut self, action: &mut Action, order: &NewOrder) -> Qty {
        let mut left = order.qty;
        let other = opposite(order.side);
        while let Some(price) = self.markets[action.market].meets(order.side, order.price) {
            if left.is_zero() {
                break;
            }
            let book = &mut self.markets[action.market];
            let level = book.side_mut(other).get_mut(&price).expect("the best price has a level");
            let before = level.total;
            let mut matched = Qty::ZERO;
            let mut stopped = false;
            while !left.is_zero()
                && let Some(first) = level.queue.front_mut()
            {
                if first.owner == order.owner {
                    stopped = true;
                    break;
                }
                let qty = first.left.min(left);
                first.left = first.left.saturating_sub(qty);
                left = left.saturating_sub(qty);
                matched = matched.checked_add(qty).expect("no more than the level held");
                if first.left.is_zero() {
                    self.orders.remove(&first.number);
                    level.queue.pop_front();
                }
            }
            level.total = level.total.saturating_sub(matched);
            let after = level.total;
            if level.queue.is_empty() {
                book.side_mut(other).remove(&price);
            }
            if !matched.is_zero() {
                self.announce(action, other, price, before, after, Cause::Traded);
                self.trades_seen += 1;
                let trade = Trade { number: self.trades_seen, price, qty: matched, taker: order.side };
                self.push(action, What::Trade(trade));
            }
            if stopped {
                return Qty::ZERO;
            }
        }
        left
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
        let other = opposite(order.side);
        while let Some(price) = self.markets[action.market].meets(order.side, order.price) {
            let level = self.markets[action.market].side_mut(other).remove(&price).expect("the best price has a level");
            for own in &level.queue {
                self.orders.remove(&own.number);
            }
            self.announce(action, other, price, level.total, Qty::ZERO, Cause::Cancelled);
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
