//! An order meets the book: what it could take, what it took, and what that means to everybody of ours who was met.
//!
//! Inside there is one book in outcome-0 terms. A match is complementary, a mint or a merge by the two tokens and sides
//! it brings together; the book does not care, and the price is always the resting order's: improvement is the taker's.

use crate::sim::clob::admit::{FAK_KILLED, FOK_KILLED, NO_FUNDS, Order, Stage};
use crate::sim::clob::fee::taker_fee;
use crate::sim::clob::payload::{OrderKind, Side};
use crate::sim::clob::typed::Contract;
use crate::sim::clob::{ClobDesk, Entry, Placed};
use crate::sim::exchange::{Dropped, Event, Fill, NewOrder, OrderNo, Owner, SelfTrade, What};
use crate::sim::listing::Phase;
use crate::sim::world::{Happening, World};
use crate::unit::{BookSide, Money, Price, Qty, UnixMs, Venue};

/// What an order would take now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub qty: Qty,
    /// All of it, and nothing would be left.
    pub complete: bool,
    pub fee: Money,
}

impl Plan {
    /// Would it take anything?
    pub const fn crosses(&self) -> bool {
        !self.qty.is_zero()
    }
}

/// One match as the book told it.
struct Match {
    market: usize,
    number: u64,
    price: Price,
    qty: Qty,
    side: BookSide,
    taker: Option<usize>,
    maker: Option<usize>,
}

/// An order's side and price in the book's terms.
pub(super) const fn in_book(outcome: u8, side: Side, price: Price) -> (BookSide, Price) {
    match (outcome, side) {
        (0, Side::Buy) => (BookSide::Bid, price),
        (0, Side::Sell) => (BookSide::Ask, price),
        (_, Side::Buy) => (BookSide::Ask, price.complement()),
        (_, Side::Sell) => (BookSide::Bid, price.complement()),
    }
}

/// A price of the book in a token's own terms.
pub(super) const fn own_price(outcome: u8, price: Price) -> Price {
    if outcome == 0 { price } else { price.complement() }
}

/// Whose order it is: in the book each order is its own owner, because self-trades are not prevented.
const fn owner(order: usize) -> Owner {
    Owner(Owner::FIRST_ACCOUNT + order as u32)
}

const fn order_of(owner: Owner) -> usize {
    (owner.0 - Owner::FIRST_ACCOUNT) as usize
}

impl ClobDesk {
    pub(super) fn plan(&self, order: &Order, world: &World) -> Plan {
        let (side, limit) = in_book(order.outcome, order.side, order.wish.price);
        let book = world.exchange(Venue::Polymarket).market(order.market);
        let schedule = Self::market(world, order.market).fee;
        let levels: Box<dyn Iterator<Item = (Price, Qty)>> = match side {
            BookSide::Bid => Box::new(book.levels(BookSide::Ask).take_while(|level| level.0 <= limit)),
            BookSide::Ask => Box::new(book.levels(BookSide::Bid).rev().take_while(|level| limit <= level.0)),
        };
        let mut plan = Plan { qty: Qty::ZERO, complete: false, fee: Money::ZERO };
        let mut dollars = order.wish.dollars - order.spent;
        for (price, held) in levels {
            let price = own_price(order.outcome, price);
            let wanted = if order.wish.by_dollars {
                let micros = i128::from(dollars.raw()) * i128::from(Price::DOLLAR) / i128::from(price.raw());
                u64::try_from(micros).ok().and_then(Qty::new).unwrap_or_default()
            } else {
                order.left().saturating_sub(plan.qty)
            };
            let qty = wanted.min(held);
            plan.qty = plan.qty.checked_add(qty).unwrap_or(Qty::MAX);
            plan.fee += taker_fee(schedule, price, qty, self.rules.fee_rounding);
            dollars -= price.cost(qty);
            if qty == wanted {
                plan.complete = true;
                break;
            }
        }
        plan
    }

    /// Puts an order into the book and answers for it.
    pub(super) fn enter(&mut self, at: usize, was_held: bool, world: &mut World, now: UnixMs) -> Placed {
        let plan = self.plan(&self.orders[at], world);
        let killed = match self.orders[at].kind {
            OrderKind::Fok if !plan.complete => Some(FOK_KILLED),
            OrderKind::Fak if !plan.crosses() => Some(FAK_KILLED),
            _ => None,
        };
        if let Some(text) = killed {
            self.kill(at, text, world, now);
            return Placed::Refused { status: 400, text: text.to_owned() };
        }
        let order = &self.orders[at];
        let (side, price) = in_book(order.outcome, order.side, order.wish.price);
        let (market, rests) = (order.market, order.kind.rests());
        let qty = if rests { order.left() } else { plan.qty };
        let new = NewOrder { owner: owner(at), side, price, qty, self_trade: SelfTrade::CancelTaker };
        let (entered, events) = world.on_polymarket(now, |exchange| match exchange.enter(market, new, rests, now) {
            Ok((number, events)) => (Some(number), events),
            Err(_) => (None, Vec::new()),
        });
        let Some(number) = entered else {
            self.kill(at, "INVALID", world, now);
            return Placed::Refused { status: 500, text: String::from("could not insert order") };
        };
        self.orders[at].stage = Stage::Live;
        self.orders[at].number = rests.then_some(number);
        if !was_held || rests {
            self.tell_order(at, "PLACEMENT", world, now);
        }
        for event in &events {
            if let What::Trade(trade) = event.what {
                self.told.insert(trade.number);
            }
        }
        let trades = self.absorb(&events, world, now);
        let taken: Vec<usize> =
            trades.into_iter().filter(|&trade| self.trades[trade].taker.order == Some(at)).collect();
        if !rests {
            self.orders[at].stage = Stage::Matched;
        }
        let status = match (taken.is_empty(), was_held) {
            (false, _) => "matched",
            (true, true) => "unmatched",
            (true, false) => "live",
        };
        Placed::Taken { order: at, status, trades: taken }
    }

    /// A held order's time has come: everything is looked at again, then it meets the book.
    pub(super) fn release(&mut self, at: usize, world: &mut World, now: UnixMs) -> Placed {
        let order = &self.orders[at];
        let listed = Self::market(world, order.market);
        let contract = Contract::of(listed, world.catalog().polymarket_events[listed.event].neg_risk);
        let refusal = if listed.state.phase != Phase::Active {
            Some((404, "No orderbook exists for the requested token id"))
        } else if !order.wish.price.raw().is_multiple_of(listed.tick) {
            Some((400, "order is invalid. Price breaks minimum tick size rule"))
        } else if order.expires_at().is_some_and(|end| end <= now) {
            Some((400, "invalid expiration"))
        } else {
            // What it holds itself must not count against it.
            self.orders[at].stage = Stage::Canceled("INVALID");
            let fee = self.plan(&self.orders[at], world).fee;
            (!self.is_covered(&self.orders[at], contract, fee)).then_some((400, NO_FUNDS))
        };
        if let Some((status, text)) = refusal {
            self.kill(at, "INVALID", world, now);
            return Placed::Refused { status, text: text.to_owned() };
        }
        self.enter(at, true, world, now)
    }

    fn kill(&mut self, at: usize, why: &'static str, world: &World, now: UnixMs) {
        self.orders[at].stage = Stage::Canceled(why);
        self.tell_order(at, "CANCELLATION", world, now);
    }

    /// Hears what a step of the world did to our resting orders.
    pub(super) fn observe(&mut self, happenings: &[Happening], world: &World, now: UnixMs) {
        let events: Vec<Event> = happenings
            .iter()
            .filter_map(|happening| match happening {
                Happening::Book { venue: Venue::Polymarket, event } => Some(*event),
                _ => None,
            })
            .collect();
        let mut fresh = Vec::with_capacity(events.len());
        let mut known = false;
        for event in events {
            match event.what {
                // What we did ourselves was absorbed when we did it.
                What::Trade(trade) => known = self.told.remove(&trade.number),
                What::Fill(_) => {}
                _ => known = false,
            }
            if !known {
                fresh.push(event);
            }
        }
        self.absorb(&fresh, world, now);
    }

    /// Turns what the book told into trades; their numbers are returned.
    fn absorb(&mut self, events: &[Event], world: &World, now: UnixMs) -> Vec<usize> {
        let mut matches: Vec<Match> = Vec::new();
        let mut dropped = Vec::new();
        for event in events {
            match event.what {
                What::Trade(trade) => matches.push(Match {
                    market: event.market,
                    number: trade.number,
                    price: trade.price,
                    qty: trade.qty,
                    side: trade.taker,
                    taker: None,
                    maker: None,
                }),
                What::Fill(Fill { owner, is_taker, .. }) => {
                    if let Some(last) = matches.last_mut() {
                        let end = if is_taker { &mut last.taker } else { &mut last.maker };
                        *end = Some(order_of(owner));
                    }
                }
                What::Dropped { order, why } => dropped.push((order, why)),
                What::Level(_) | What::Emptied => {}
            }
        }
        let mut trades = Vec::new();
        let mut rest = matches.as_slice();
        while let Some(first) = rest.first() {
            // All that one of our orders takes at one price is one trade; a stranger's order meets ours one by one.
            let same =
                |other: &&Match| first.taker.is_some() && other.taker == first.taker && other.price == first.price;
            let count = rest.iter().take_while(same).count().max(1);
            let (group, later) = rest.split_at(count);
            rest = later;
            if group.iter().any(|one| one.taker.is_some() || one.maker.is_some()) {
                trades.extend(self.matched(group, world, now));
            }
        }
        for (number, why) in dropped {
            self.dropped(number, why, world, now);
        }
        trades
    }

    /// One trade between one taker and the makers it met at one price.
    fn matched(&mut self, group: &[Match], world: &World, now: UnixMs) -> Vec<usize> {
        let Some(first) = group.first() else { return Vec::new() };
        let total = group.iter().fold(Qty::ZERO, |sum, one| sum.checked_add(one.qty).unwrap_or(Qty::MAX));
        let makers = group
            .iter()
            .map(|one| match one.maker {
                Some(order) => self.party(order, one.price, one.qty),
                None => Self::stranger(first.market, one.number, one.side.opposite(), one.price, one.qty, world),
            })
            .collect();
        let mut taker = match first.taker {
            Some(order) => self.party(order, first.price, total),
            None => Self::stranger(first.market, first.number, first.side, first.price, total, world),
        };
        taker.fee = taker_fee(Self::market(world, first.market).fee, taker.price, total, self.rules.fee_rounding);
        for one in group {
            for (order, qty) in [(one.taker, one.qty), (one.maker, one.qty)] {
                if let Some(order) = order {
                    self.count(order, one.price, qty);
                }
            }
        }
        self.record(first.market, taker, makers, world, now)
    }

    /// An order has matched that much.
    fn count(&mut self, at: usize, book_price: Price, qty: Qty) {
        let order = &mut self.orders[at];
        let price = own_price(order.outcome, book_price);
        order.matched = order.matched.checked_add(qty).unwrap_or(Qty::MAX);
        order.spent += match order.side {
            Side::Buy => price.cost(qty),
            Side::Sell => price.proceeds(qty),
        };
        if order.left().is_zero() {
            order.stage = Stage::Matched;
        }
    }

    fn dropped(&mut self, number: OrderNo, why: Dropped, world: &World, now: UnixMs) {
        let found = self.orders.iter().position(|order| order.number == Some(number) && order.is_open());
        let Some(at) = found else { return };
        let status = match why {
            Dropped::Closed | Dropped::Reopened => "CANCELED_MARKET_RESOLVED",
            Dropped::Unfunded => "CANCELED_NOT_ENOUGH_BALANCE",
            Dropped::SelfTrade => "CANCELED",
        };
        self.kill(at, status, world, now);
    }

    /// Takes an open order out of the book.
    pub(super) fn withdraw(&mut self, at: usize, status: &'static str, world: &mut World, now: UnixMs) {
        if let Some(number) = self.orders[at].number {
            world.on_polymarket(now, |exchange| ((), exchange.cancel(number, Qty::MAX, now)));
        }
        self.kill(at, status, world, now);
    }

    /// Releases what has been held long enough, and finishes the calls that waited for it.
    pub(super) fn release_due(&mut self, world: &mut World, now: UnixMs) {
        for at in 0..self.orders.len() {
            if let Stage::Held { until, delayed: true } = self.orders[at].stage
                && until <= now
            {
                self.release(at, world, now);
            }
        }
        let (due, waiting) =
            std::mem::take(&mut self.held).into_iter().partition(|call| call.until().is_none_or(|until| until <= now));
        self.held = waiting;
        let due: Vec<super::HeldCall> = due;
        for mut call in due {
            let at = call.until().unwrap_or(now);
            for entry in &mut call.entries {
                if let Entry::Held { order, .. } = *entry {
                    *entry = Entry::Done(self.release(order, world, now));
                }
            }
            let answer = self.compose(&call, at.max(now));
            self.answered.insert(call.no, super::spoil(answer, call.spoiled.as_ref()));
        }
    }
}
