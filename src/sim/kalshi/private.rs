//! What happens to an account, as frames of the private channels: made here, carried by the sessions.
//!
//! Frames wait in an outbox until they are due. With a delay set, each waits a random part of it, so that fill, order,
//! position and the answer to the request arrive in any order, as they do at the venue.

use fastrand::Rng;
use serde_json::{Value, json};

use crate::sim::kalshi::clearing::Holding;
use crate::sim::kalshi::order::{Order, sides};
use crate::sim::kalshi::portfolio::FillRecord;
use crate::sim::kalshi_text::{amount, fp, signed_fp};
use crate::unit::UnixMs;

/// A private channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PrivateChannel {
    Fill,
    UserOrders,
    MarketPositions,
    OrderGroups,
}

impl PrivateChannel {
    /// The name to subscribe to.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::UserOrders => "user_orders",
            Self::MarketPositions => "market_positions",
            Self::OrderGroups => "order_group_updates",
        }
    }

    /// The `type` of its frames, which is not always its name.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::UserOrders => "user_order",
            Self::MarketPositions => "market_position",
            Self::OrderGroups => "order_group_updates",
        }
    }
}

/// A frame without the envelope that each session puts around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Private {
    pub account: usize,
    pub subaccount: u8,
    pub channel: PrivateChannel,
    /// Empty where the channel knows no markets.
    pub ticker: String,
    pub body: Value,
}

/// Frames on their way out.
#[derive(Debug)]
pub struct Outbox {
    rng: Rng,
    delay_ms: u64,
    waiting: Vec<(UnixMs, Private)>,
}

impl Outbox {
    /// An outbox that holds each frame up to `delay_ms`.
    pub fn new(seed: u64, delay_ms: u64) -> Self {
        Self { rng: Rng::with_seed(seed ^ 0x0b0c_5000), delay_ms, waiting: Vec::new() }
    }

    /// Puts a frame in, to leave `late_ms` later than it would by itself.
    pub fn put(&mut self, frame: Private, late_ms: u64, now: UnixMs) {
        let wait = if self.delay_ms == 0 { 0 } else { self.rng.u64(0..=self.delay_ms) };
        self.waiting.push((UnixMs::new(now.raw() + wait + late_ms), frame));
    }

    /// The frames that are due, in the order in which they are.
    pub fn due(&mut self, now: UnixMs) -> Vec<Private> {
        let (mut due, waiting): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|(at, _)| *at <= now);
        self.waiting = waiting;
        due.sort_by_key(|(at, _)| *at);
        due.into_iter().map(|(_, frame)| frame).collect()
    }

    /// When the next frame is due.
    pub fn next_at(&self) -> Option<UnixMs> {
        self.waiting.iter().map(|(at, _)| *at).min()
    }
}

/// A `fill` frame.
pub fn fill(record: &FillRecord, order: &Order) -> Private {
    let (outcome, book) = sides(record.side);
    let mut body = json!({
        "trade_id": record.trade_id, "order_id": order.id, "market_ticker": order.ticker,
        "exchange_index": order.shard, "is_taker": record.is_taker, "side": outcome, "action": "buy",
        "purchased_side": outcome, "outcome_side": outcome, "book_side": book,
        "yes_price_dollars": record.price.to_string(), "count_fp": fp(record.qty),
        "fee_cost": amount(record.fee, 6), "post_position_fp": signed_fp(record.position),
        "ts": record.at.raw() / 1_000, "ts_ms": record.at.raw(),
    });
    if !order.now.client_order_id.is_empty() {
        body["client_order_id"] = Value::from(order.now.client_order_id.as_str());
    }
    if order.subaccount != 0 {
        body["subaccount"] = Value::from(order.subaccount);
    }
    frame(order, PrivateChannel::Fill, body)
}

/// A `user_order` frame: the whole picture.
pub fn user_order(order: &Order, user_id: &str) -> Private {
    frame(order, PrivateChannel::UserOrders, order.streamed(user_id))
}

/// A `market_position` frame.
pub fn market_position(order: &Order, holding: &Holding, user_id: &str) -> Private {
    let mut body = json!({
        "user_id": user_id, "market_ticker": order.ticker, "position_fp": signed_fp(holding.position),
        "position_cost_dollars": amount(holding.cost, 4), "realized_pnl_dollars": amount(holding.realised, 4),
        "fees_paid_dollars": amount(holding.fees, 4), "position_fee_cost_dollars": amount(holding.open_fees, 4),
        "volume_fp": fp(holding.volume),
    });
    if order.subaccount != 0 {
        body["subaccount"] = Value::from(order.subaccount);
    }
    frame(order, PrivateChannel::MarketPositions, body)
}

fn frame(order: &Order, channel: PrivateChannel, body: Value) -> Private {
    Private { account: order.account, subaccount: order.subaccount, channel, ticker: order.ticker.clone(), body }
}
