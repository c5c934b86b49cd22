//! One order as the venue keeps it, what it looked like a moment ago, and how it reads in REST and on the stream.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::sim::exchange::{OrderNo, SelfTrade};
use crate::sim::kalshi_text::{amount, fp, rfc3339_ms};
use crate::unit::{BookSide, Money, Price, Qty, UnixMs};

/// Older states than this are forgotten, but for the newest of them.
const PAST_MS: u64 = 5_000;

/// Where an order stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    Resting,
    Canceled,
    Executed,
}

impl Status {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resting => "resting",
            Self::Canceled => "canceled",
            Self::Executed => "executed",
        }
    }
}

/// What changes in an order's life.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    pub status: Status,
    pub client_order_id: String,
    pub price: Price,
    pub initial: Qty,
    pub filled: Qty,
    pub left: Qty,
    pub expires: Option<UnixMs>,
    pub taker_cost: Money,
    pub maker_cost: Money,
    pub taker_fees: Money,
    pub maker_fees: Money,
    pub updated: UnixMs,
    /// `last_update_reason`, where the venue has a word for it.
    pub reason: Option<&'static str>,
}

/// An order.
#[derive(Debug)]
pub struct Order {
    pub id: String,
    pub number: OrderNo,
    pub account: usize,
    pub subaccount: u8,
    pub market: usize,
    pub ticker: String,
    pub shard: u8,
    pub side: BookSide,
    pub self_trade: SelfTrade,
    pub post_only: bool,
    pub cancel_on_pause: bool,
    pub group: Option<String>,
    pub created: UnixMs,
    /// A cancel-all of the minute before will take it then.
    pub doomed_at: Option<UnixMs>,
    pub now: State,
    past: VecDeque<(UnixMs, State)>,
}

/// What an order is made of when it comes in.
#[derive(Debug)]
pub struct Birth {
    pub id: String,
    pub number: OrderNo,
    pub account: usize,
    pub subaccount: u8,
    pub market: usize,
    pub ticker: String,
    pub shard: u8,
    pub side: BookSide,
    pub self_trade: SelfTrade,
    pub post_only: bool,
    pub cancel_on_pause: bool,
    pub group: Option<String>,
    pub client_order_id: String,
    pub price: Price,
    pub qty: Qty,
    pub expires: Option<UnixMs>,
    pub at: UnixMs,
}

impl Order {
    /// An order that has just been accepted; nothing of it has traded yet.
    pub fn new(birth: Birth) -> Self {
        let now = State {
            status: Status::Resting,
            client_order_id: birth.client_order_id,
            price: birth.price,
            initial: birth.qty,
            filled: Qty::ZERO,
            left: birth.qty,
            expires: birth.expires,
            taker_cost: Money::ZERO,
            maker_cost: Money::ZERO,
            taker_fees: Money::ZERO,
            maker_fees: Money::ZERO,
            updated: birth.at,
            reason: None,
        };
        Self {
            id: birth.id,
            number: birth.number,
            account: birth.account,
            subaccount: birth.subaccount,
            market: birth.market,
            ticker: birth.ticker,
            shard: birth.shard,
            side: birth.side,
            self_trade: birth.self_trade,
            post_only: birth.post_only,
            cancel_on_pause: birth.cancel_on_pause,
            group: birth.group,
            created: birth.at,
            doomed_at: None,
            past: VecDeque::new(),
            now,
        }
    }

    /// Can it still trade?
    pub fn is_resting(&self) -> bool {
        self.now.status == Status::Resting
    }

    /// Takes a fill in.
    pub fn fill(&mut self, price: Price, qty: Qty, fee: Money, is_taker: bool, at: UnixMs) {
        let paid = match self.side {
            BookSide::Bid => price.cost(qty),
            BookSide::Ask => price.complement().cost(qty),
        };
        let state = &mut self.now;
        if is_taker {
            state.taker_cost += paid;
            state.taker_fees += fee;
        } else {
            state.maker_cost += paid;
            state.maker_fees += fee;
        }
        state.filled = state.filled.checked_add(qty).unwrap_or(Qty::MAX);
        state.left = state.left.saturating_sub(qty);
        state.updated = at;
        state.reason = Some("Trade");
        // A group may have cancelled it between two fills of one match; then what was left was nothing already.
        if state.filled == state.initial {
            state.status = Status::Executed;
        }
    }

    /// Ends it; what was left is returned.
    pub fn end(&mut self, reason: Option<&'static str>, at: UnixMs) -> Qty {
        let left = std::mem::take(&mut self.now.left);
        self.now.status = Status::Canceled;
        self.now.updated = at;
        self.now.reason = reason;
        left
    }

    /// Keeps the present state for readers who lag.
    pub fn remember(&mut self, at: UnixMs) {
        self.past.push_back((at, self.now.clone()));
        while 2 < self.past.len() && PAST_MS < at.since(self.past[1].0) {
            self.past.pop_front();
        }
    }

    /// What it looked like at `seen`; nothing if it was not there yet.
    pub fn at(&self, seen: UnixMs) -> Option<&State> {
        if seen < self.created {
            return None;
        }
        self.past.iter().rev().find(|(at, _)| *at <= seen).or_else(|| self.past.front()).map(|(_, state)| state)
    }

    /// The members that REST and the stream have in common.
    fn common(&self, state: &State, user_id: &str) -> Value {
        let (outcome, book) = sides(self.side);
        json!({
            "order_id": self.id, "user_id": user_id, "client_order_id": state.client_order_id,
            "ticker": self.ticker, "exchange_index": self.shard, "status": state.status.name(), "side": outcome,
            "outcome_side": outcome, "book_side": book, "yes_price_dollars": state.price.to_string(),
            "initial_count_fp": fp(state.initial), "fill_count_fp": fp(state.filled),
            "remaining_count_fp": fp(state.left),
            "taker_fill_cost_dollars": amount(state.taker_cost, 6),
            "maker_fill_cost_dollars": amount(state.maker_cost, 6),
            "taker_fees_dollars": amount(state.taker_fees, 6), "maker_fees_dollars": amount(state.maker_fees, 6),
            "self_trade_prevention_type": self_trade_word(self.self_trade), "created_time": rfc3339_ms(self.created),
            "subaccount_number": self.subaccount,
        })
    }

    /// The order object of REST.
    pub fn listed(&self, state: &State, user_id: &str) -> Value {
        let mut object = self.common(state, user_id);
        object["action"] = Value::from("buy");
        object["type"] = Value::from("limit");
        object["no_price_dollars"] = Value::from(state.price.complement().to_string());
        object["last_update_time"] = Value::from(rfc3339_ms(state.updated));
        object["cancel_order_on_pause"] = Value::from(self.cancel_on_pause);
        if let Some(expires) = state.expires {
            object["expiration_time"] = Value::from(rfc3339_ms(expires));
        }
        if let Some(group) = &self.group {
            object["order_group_id"] = Value::from(group.as_str());
        }
        object
    }

    /// The body of a `user_order` frame.
    pub fn streamed(&self, user_id: &str) -> Value {
        let state = &self.now;
        let mut object = self.common(state, user_id);
        object["is_yes"] = Value::from(self.side == BookSide::Bid);
        object["created_ts_ms"] = Value::from(self.created.raw());
        object["last_updated_ts_ms"] = Value::from(state.updated.raw());
        if let Some(expires) = state.expires {
            object["expiration_ts_ms"] = Value::from(expires.raw());
        }
        if let Some(group) = &self.group {
            object["order_group_id"] = Value::from(group.as_str());
        }
        if let Some(reason) = state.reason {
            object["last_update_reason"] = Value::from(reason);
        }
        object
    }
}

/// A direction in both vocabularies.
pub const fn sides(side: BookSide) -> (&'static str, &'static str) {
    match side {
        BookSide::Bid => ("yes", "bid"),
        BookSide::Ask => ("no", "ask"),
    }
}

const fn self_trade_word(kind: SelfTrade) -> &'static str {
    match kind {
        SelfTrade::CancelTaker => "taker_at_cross",
        SelfTrade::CancelMaker => "maker",
    }
}
