//! A subscription, and the text of the public frames that it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::sim::exchange::{Event, LevelChange, Trade};
use crate::sim::kalshi::account::account_of;
use crate::sim::kalshi::private::PrivateChannel;
use crate::sim::kalshi_text::{fp, ladder, rfc3339_ms, touch, trade_id};
use crate::sim::listing::{KalshiMarket, rfc3339};
use crate::sim::world::{Label, World};
use crate::unit::{BookSide, Qty, UnixMs, Venue};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Channel {
    Orderbook,
    Ticker,
    Trade,
    Lifecycle,
    Private(PrivateChannel),
    /// Accepted and silent.
    Silent(&'static str),
}

impl Channel {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "orderbook_delta" => Self::Orderbook,
            "ticker" => Self::Ticker,
            "trade" => Self::Trade,
            "market_lifecycle_v2" => Self::Lifecycle,
            "fill" => Self::Private(PrivateChannel::Fill),
            "user_orders" => Self::Private(PrivateChannel::UserOrders),
            "market_positions" => Self::Private(PrivateChannel::MarketPositions),
            "order_group_updates" => Self::Private(PrivateChannel::OrderGroups),
            "multivariate_market_lifecycle" => Self::Silent("multivariate_market_lifecycle"),
            "communications" => Self::Silent("communications"),
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Orderbook => "orderbook_delta",
            Self::Ticker => "ticker",
            Self::Trade => "trade",
            Self::Lifecycle => "market_lifecycle_v2",
            Self::Private(channel) => channel.name(),
            Self::Silent(name) => name,
        }
    }
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) sid: u64,
    pub(super) seq: u64,
    pub(super) channel: Channel,
    /// As the client wrote them; empty means all markets, where the channel allows that.
    pub(super) tickers: BTreeSet<String>,
    pub(super) use_yes_price: bool,
    pub(super) skip_ack: bool,
    /// When a market's last `ticker` frame went out; `None` while nothing new is to be told.
    pub(super) told: BTreeMap<usize, (UnixMs, bool)>,
}

impl Subscription {
    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(super) fn wants(&self, ticker: &str) -> bool {
        self.tickers.contains(ticker) || (self.tickers.is_empty() && self.channel != Channel::Orderbook)
    }
}

pub(super) fn id_member(id: Option<u64>) -> String {
    id.map_or_else(String::new, |id| format!(r#","id":{id}"#))
}

pub(super) fn error(id: Option<u64>, code: u8, text: &str, now: UnixMs) -> String {
    format!(
        r#"{{"type":"error"{},"sending_ts_ms":{},"msg":{{"code":{code},"msg":"{text}"}}}}"#,
        id_member(id),
        now.raw()
    )
}

pub(super) fn ok(subscription: &mut Subscription, id: Option<u64>, now: UnixMs) -> String {
    let seq = subscription.next_seq();
    let list = if subscription.skip_ack {
        String::from("{}")
    } else {
        json!({"market_tickers": subscription.tickers}).to_string()
    };
    format!(
        r#"{{"type":"ok"{},"sid":{},"seq":{seq},"sending_ts_ms":{},"msg":{list}}}"#,
        id_member(id),
        subscription.sid,
        now.raw()
    )
}

pub(super) fn snapshot(
    subscription: &mut Subscription,
    ticker: &str,
    id: Option<u64>,
    world: &World,
    now: UnixMs,
) -> String {
    let seq = subscription.next_seq();
    let head = format!(
        r#"{{"type":"orderbook_snapshot"{},"sid":{},"seq":{seq},"sending_ts_ms":{},"msg":{{"market_ticker":{}"#,
        id_member(id),
        subscription.sid,
        now.raw(),
        Value::from(ticker)
    );
    let Some(market) = world.find(Venue::Kalshi, ticker) else {
        return format!(r#"{head},"market_id":""}}}}"#);
    };
    let book = world.exchange(Venue::Kalshi).market(market);
    let mut text = head;
    let _ = write!(text, r#","market_id":"{}","clock":{}"#, world.catalog().kalshi[market].market_id, book.clock());
    if 0 < book.depth(BookSide::Bid) {
        let _ = write!(text, r#","yes_dollars_fp":{}"#, ladder(book.levels(BookSide::Bid)));
    }
    if 0 < book.depth(BookSide::Ask) {
        let yes_price = subscription.use_yes_price;
        let levels = book
            .levels(BookSide::Ask)
            .rev()
            .map(|(price, qty)| (if yes_price { price } else { price.complement() }, qty));
        let _ = write!(text, r#","no_dollars_fp":{}"#, ladder(levels));
    }
    text.push_str("}}");
    text
}

pub(super) fn delta(
    subscription: &mut Subscription,
    market: &KalshiMarket,
    event: &Event,
    change: &LevelChange,
    own: Option<&Label>,
    now: UnixMs,
) -> String {
    let seq = subscription.next_seq();
    let (side, price) = match change.side {
        BookSide::Bid => ("yes", change.price),
        BookSide::Ask if subscription.use_yes_price => ("no", change.price),
        BookSide::Ask => ("no", change.price.complement()),
    };
    let sign = if change.change < 0 { "-" } else { "" };
    let size = Qty::new(change.change.unsigned_abs()).unwrap_or(Qty::MAX);
    let own = own.map_or_else(String::new, |own| {
        let id = Value::from(own.client_order_id.as_str());
        format!(r#","client_order_id":{id},"subaccount":{}"#, account_of(own.owner).1)
    });
    format!(
        r#"{{"type":"orderbook_delta","sid":{},"seq":{seq},"sending_ts_ms":{},"msg":{{"market_ticker":"{}","market_id":"{}","clock":{},"price_dollars":"{price}","delta_fp":"{sign}{}","side":"{side}"{own},"ts":"{}","ts_ms":{}}}}}"#,
        subscription.sid,
        now.raw(),
        market.ticker,
        market.market_id,
        event.clock,
        fp(size),
        rfc3339_ms(event.at),
        event.at.raw()
    )
}

pub(super) fn trade_frame(
    subscription: &mut Subscription,
    market: &KalshiMarket,
    event: &Event,
    trade: &Trade,
    now: UnixMs,
) -> String {
    let seq = subscription.next_seq();
    let (outcome, side) = if trade.taker == BookSide::Bid { ("yes", "bid") } else { ("no", "ask") };
    format!(
        r#"{{"type":"trade","sid":{},"seq":{seq},"sending_ts_ms":{},"msg":{{"trade_id":"{}","market_ticker":"{}","yes_price_dollars":"{}","no_price_dollars":"{}","count_fp":"{}","taker_side":"{outcome}","taker_outcome_side":"{outcome}","taker_book_side":"{side}","is_block_trade":false,"ts":{},"ts_ms":{}}}}}"#,
        subscription.sid,
        now.raw(),
        trade_id(event.market, trade.number),
        market.ticker,
        trade.price,
        trade.price.complement(),
        fp(trade.qty),
        event.at.raw() / 1_000,
        event.at.raw()
    )
}

pub(super) fn ticker_frame(subscription: &Subscription, at: usize, world: &World, now: UnixMs) -> String {
    let market = &world.catalog().kalshi[at];
    let touch = touch(world, at);
    let state = &market.state;
    let last = state.last_price.map_or_else(|| String::from("0.0000"), |price| price.to_string());
    let volume = state.volume.micros() / 1_000_000;
    format!(
        r#"{{"type":"ticker","sid":{},"sending_ts_ms":{},"msg":{{"market_id":"{}","market_ticker":"{}","price_dollars":"{last}","yes_bid_dollars":"{}","yes_ask_dollars":"{}","volume_fp":"{}","open_interest_fp":"{}","dollar_volume":{},"dollar_open_interest":{},"yes_bid_size_fp":"{}","yes_ask_size_fp":"{}","last_trade_size_fp":"{}","ts":{},"ts_ms":{},"time":"{}"}}}}"#,
        subscription.sid,
        now.raw(),
        market.market_id,
        market.ticker,
        touch.bid,
        touch.ask,
        fp(state.volume),
        fp(Qty::whole((volume / 3) as u32)),
        volume / 2,
        volume / 6,
        fp(touch.bid_qty),
        fp(touch.ask_qty),
        fp(state.last_qty),
        now.raw() / 1_000,
        now.raw(),
        rfc3339(now)
    )
}
