//! Kalshi's stream without I/O: commands and happenings in, JSON text out.
//!
//! A [`Session`] is one connection. `seq` belongs to the `sid`, and `ok` and `unsubscribed` use it up like any other
//! frame. The stream shows no asks: the book's ask side goes out as bids for NO. Private channels show a session's own
//! account. REST bodies are in [`crate::sim::kalshi_rest`]; accounts and orders in the files of the folder beside
//! this one, [`desk`] first: requests are told apart (`operation`) and read (`form`), orders come in (`entry`), change
//! and go (`change`, `group`), reads are answered ([`portfolio`]), and the money is kept straight ([`clearing`],
//! [`fee`], `transfer`).

pub mod account;
pub mod answer;
pub mod bucket;
mod change;
pub mod check;
pub mod clearing;
mod deny;
pub mod desk;
mod entry;
pub mod fee;
mod form;
mod frame;
mod group;
mod operation;
pub mod order;
pub mod order_fault;
pub mod portfolio;
pub mod private;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::sim::exchange::{Event, What};
use crate::sim::kalshi::account::{Member, account_of};
use crate::sim::kalshi::frame::{
    Channel, Subscription, delta, error, id_member, ok, snapshot, ticker_frame, trade_frame,
};
use crate::sim::kalshi::private::{Private, PrivateChannel};
use crate::sim::kalshi_text::lifecycle;
use crate::sim::world::{Happening, Life, World};
use crate::unit::{UnixMs, Venue};

/// At most one `ticker` frame per market in this time.
const TICKER_MS: u64 = 1_000;

/// One connection's state.
#[derive(Debug, Default)]
pub struct Session {
    subscriptions: Vec<Subscription>,
    sids: u64,
    /// Whose private channels these are.
    member: Option<Member>,
}

impl Session {
    /// A connection whose handshake was signed by this member's key.
    pub fn of(member: Member) -> Self {
        Self { member: Some(member), ..Self::default() }
    }

    /// Whose connection this is.
    pub const fn member(&self) -> Option<Member> {
        self.member
    }

    /// The frame of a private channel, if this connection is its account's and has subscribed to it.
    pub fn on_private(&mut self, frame: &Private, now: UnixMs) -> Option<String> {
        let member = self.member.filter(|member| member.account == frame.account)?;
        if member.locked.is_some_and(|locked| locked != frame.subaccount) {
            return None;
        }
        let everywhere = frame.ticker.is_empty();
        let open = self.subscriptions.iter_mut().find(|open| {
            open.channel == Channel::Private(frame.channel) && (everywhere || open.wants(&frame.ticker))
        })?;
        // Group updates are counted, the other private frames are not.
        let seq = if frame.channel == PrivateChannel::OrderGroups {
            format!(r#","seq":{}"#, open.next_seq())
        } else {
            String::new()
        };
        Some(format!(
            r#"{{"type":"{}","sid":{}{seq},"sending_ts_ms":{},"msg":{}}}"#,
            frame.channel.kind(),
            open.sid,
            now.raw(),
            frame.body
        ))
    }

    /// What the server answers to one text frame.
    pub fn handle_text(&mut self, text: &str, world: &World, now: UnixMs) -> Vec<String> {
        let Ok(command) = serde_json::from_str::<Value>(text) else {
            return vec![error(None, 1, "Message could not be processed", now)];
        };
        let id = command["id"].as_u64().filter(|&id| id != 0);
        let params = &command["params"];
        let name = command["cmd"].as_str().unwrap_or_default();
        if name == "list_subscriptions" {
            let list: Vec<Value> = self
                .subscriptions
                .iter()
                .map(|subscription| json!({"channel": subscription.channel.name(), "sid": subscription.sid}))
                .collect();
            return vec![format!(
                r#"{{"type":"ok"{},"sending_ts_ms":{},"msg":{}}}"#,
                id_member(id),
                now.raw(),
                Value::Array(list)
            )];
        }
        if !matches!(name, "subscribe" | "unsubscribe" | "update_subscription") {
            return vec![error(id, 5, "Unknown command", now)];
        }
        if !params.is_object() {
            return vec![error(id, 2, "Params required", now)];
        }
        match name {
            "subscribe" => self.subscribe(id, params, world, now),
            "unsubscribe" => self.unsubscribe(id, params, now),
            _ => self.update(id, params, world, now),
        }
    }

    fn subscribe(&mut self, id: Option<u64>, params: &Value, world: &World, now: UnixMs) -> Vec<String> {
        let Some(channels) = params["channels"].as_array().filter(|channels| !channels.is_empty()) else {
            return vec![error(id, 3, "Channels required", now)];
        };
        let tickers = match tickers(params) {
            Ok(tickers) => tickers,
            Err(text) => return vec![error(id, 11, text, now)],
        };
        let mut frames = Vec::new();
        for name in channels {
            let Some(channel) = name.as_str().and_then(Channel::named) else {
                frames.push(error(id, 8, "Unknown channel name", now));
                continue;
            };
            if channel == Channel::Orderbook && tickers.is_empty() {
                frames.push(error(id, 14, "Market Ticker required", now));
                continue;
            }
            if let Some(at) = self.subscriptions.iter().position(|open| open.channel == channel) {
                frames.extend(self.add(at, id, &tickers, world, now));
                continue;
            }
            self.sids += 1;
            let mut subscription = Subscription {
                sid: self.sids,
                seq: 0,
                channel,
                tickers: if channel == Channel::Lifecycle {
                    BTreeSet::new()
                } else {
                    tickers.iter().cloned().collect()
                },
                use_yes_price: params["use_yes_price"].as_bool().unwrap_or(false),
                skip_ack: params["skip_ticker_ack"].as_bool().unwrap_or(false),
                told: BTreeMap::new(),
            };
            frames.push(format!(
                r#"{{"type":"subscribed"{},"sending_ts_ms":{},"msg":{{"channel":"{}","sid":{}}}}}"#,
                id_member(id),
                now.raw(),
                channel.name(),
                self.sids
            ));
            if channel == Channel::Orderbook {
                frames.extend(tickers.iter().map(|ticker| snapshot(&mut subscription, ticker, None, world, now)));
            }
            if channel == Channel::Ticker && params["send_initial_snapshot"].as_bool() == Some(true) {
                for (at, market) in world.catalog().kalshi.iter().enumerate() {
                    if subscription.wants(&market.ticker) {
                        subscription.told.insert(at, (now, false));
                        frames.push(ticker_frame(&subscription, at, world, now));
                    }
                }
            }
            self.subscriptions.push(subscription);
        }
        frames
    }

    /// The `ok` of a subscription that stays, then snapshots of what is new in it.
    fn add(&mut self, at: usize, id: Option<u64>, tickers: &[String], world: &World, now: UnixMs) -> Vec<String> {
        let subscription = &mut self.subscriptions[at];
        let fresh: Vec<&String> =
            tickers.iter().filter(|ticker| subscription.tickers.insert((*ticker).clone())).collect();
        let mut frames = vec![ok(subscription, id, now)];
        if subscription.channel == Channel::Orderbook {
            frames.extend(fresh.into_iter().map(|ticker| snapshot(subscription, ticker, None, world, now)));
        }
        frames
    }

    fn unsubscribe(&mut self, id: Option<u64>, params: &Value, now: UnixMs) -> Vec<String> {
        let sids = match (params["sid"].as_u64(), params["sids"].as_array()) {
            (Some(sid), None) => vec![sid],
            (None, Some(sids)) if !sids.is_empty() => sids.iter().filter_map(Value::as_u64).collect(),
            _ => return vec![error(id, 4, "Subscription IDs required", now)],
        };
        let mut frames = Vec::new();
        for sid in sids {
            let Some(at) = self.subscriptions.iter().position(|open| open.sid == sid) else {
                frames.push(error(id, 7, "Unknown subscription ID", now));
                continue;
            };
            let mut gone = self.subscriptions.remove(at);
            let seq = gone.next_seq();
            frames.push(format!(
                r#"{{"type":"unsubscribed"{},"sid":{sid},"seq":{seq},"sending_ts_ms":{}}}"#,
                id_member(id),
                now.raw()
            ));
        }
        frames
    }

    fn update(&mut self, id: Option<u64>, params: &Value, world: &World, now: UnixMs) -> Vec<String> {
        let sid = match (params["sid"].as_u64(), params["sids"].as_array().map(Vec::as_slice)) {
            (Some(sid), None) => sid,
            (None, Some([sid])) => sid.as_u64().unwrap_or(0),
            _ => return vec![error(id, 12, "Exactly one subscription ID is required", now)],
        };
        let Some(at) = self.subscriptions.iter().position(|open| open.sid == sid) else {
            return vec![error(id, 7, "Unknown subscription ID", now)];
        };
        let Some(action) = params["action"].as_str() else {
            return vec![error(id, 15, "Action required", now)];
        };
        let tickers = match tickers(params) {
            Ok(tickers) => tickers,
            Err(text) => return vec![error(id, 11, text, now)],
        };
        if tickers.is_empty() {
            return vec![error(id, 14, "Market Ticker required", now)];
        }
        let subscription = &mut self.subscriptions[at];
        match action {
            "add_markets" => self.add(at, id, &tickers, world, now),
            "delete_markets" => {
                for ticker in &tickers {
                    subscription.tickers.remove(ticker);
                }
                vec![ok(subscription, id, now)]
            }
            "get_snapshot" if subscription.channel == Channel::Orderbook => {
                tickers.iter().map(|ticker| snapshot(subscription, ticker, id, world, now)).collect()
            }
            _ => vec![error(id, 13, "Unsupported action", now)],
        }
    }

    /// The frames one happening causes on this connection.
    pub fn on_event(&mut self, happening: &Happening, world: &World, now: UnixMs) -> Vec<String> {
        match happening {
            Happening::Book { venue: Venue::Kalshi, event } => self.on_book(event, world, now),
            Happening::Life { venue: Venue::Kalshi, market, life, .. } => self.on_life(*market, life, world, now),
            _ => Vec::new(),
        }
    }

    fn on_book(&mut self, event: &Event, world: &World, now: UnixMs) -> Vec<String> {
        let market = &world.catalog().kalshi[event.market];
        let own = world.label_of(event).filter(|label| {
            let (account, subaccount) = account_of(label.owner);
            let sees =
                |member: Member| member.account == account && member.locked.is_none_or(|only| only == subaccount);
            self.member.is_some_and(sees)
        });
        let mut frames = Vec::new();
        for subscription in &mut self.subscriptions {
            if !subscription.wants(&market.ticker) {
                continue;
            }
            match (subscription.channel, &event.what) {
                (Channel::Orderbook, What::Level(change)) => {
                    frames.push(delta(subscription, market, event, change, own, now));
                }
                // Real closes were seen to send it once or twice.
                (Channel::Orderbook, What::Emptied) => {
                    for _ in 0..=u8::from(event.market.is_multiple_of(4)) {
                        let seq = subscription.next_seq();
                        frames.push(format!(
                        r#"{{"type":"orderbook_snapshot","sid":{},"seq":{seq},"sending_ts_ms":{},"msg":{{"market_ticker":"{}","market_id":"{}","clock":{}}}}}"#,
                        subscription.sid,
                        now.raw(),
                        market.ticker,
                        market.market_id,
                        event.clock
                    ));
                    }
                }
                (Channel::Trade, What::Trade(trade)) => {
                    frames.push(trade_frame(subscription, market, event, trade, now));
                }
                (Channel::Ticker, _) => {
                    subscription.told.entry(event.market).or_insert((UnixMs::new(0), true)).1 = true;
                }
                _ => {}
            }
        }
        frames
    }

    fn on_life(&mut self, market: usize, life: &Life, world: &World, now: UnixMs) -> Vec<String> {
        let bodies = lifecycle(market, life, world);
        let mut frames = Vec::new();
        for subscription in self.subscriptions.iter_mut().filter(|open| open.channel == Channel::Lifecycle) {
            for (kind, body) in &bodies {
                let seq = subscription.next_seq();
                frames.push(format!(
                    r#"{{"type":"{kind}","sid":{},"seq":{seq},"sending_ts_ms":{},"msg":{body}}}"#,
                    subscription.sid,
                    now.raw()
                ));
            }
        }
        frames
    }

    /// `ticker` frames that are due: at most one a second for each market.
    pub fn on_time(&mut self, world: &World, now: UnixMs) -> Vec<String> {
        let mut frames = Vec::new();
        for subscription in self.subscriptions.iter_mut().filter(|open| open.channel == Channel::Ticker) {
            let due: Vec<usize> = subscription
                .told
                .iter()
                .filter(|&(_, &(at, news))| news && TICKER_MS <= now.since(at))
                .map(|(&market, _)| market)
                .collect();
            for market in due {
                subscription.told.insert(market, (now, false));
                frames.push(ticker_frame(subscription, market, world, now));
            }
        }
        frames
    }

    /// The server gives up on a slow reader: a terminal error for every subscription.
    pub fn overflow(&mut self, now: UnixMs) -> Vec<String> {
        let gone = std::mem::take(&mut self.subscriptions);
        let text = "Subscription buffer overflow";
        gone.into_iter()
            .map(|mut open| {
                let seq = open.next_seq();
                let sid = open.sid;
                let stamp = now.raw();
                format!(
                    r#"{{"type":"error","sid":{sid},"seq":{seq},"sending_ts_ms":{stamp},"msg":{{"code":25,"msg":"{text}"}}}}"#
                )
            })
            .collect()
    }
}

fn tickers(params: &Value) -> Result<Vec<String>, &'static str> {
    match (&params["market_ticker"], &params["market_tickers"]) {
        (Value::Null, Value::Null) => Ok(Vec::new()),
        (Value::String(one), Value::Null) => Ok(vec![one.clone()]),
        (Value::Null, Value::Array(many)) => many
            .iter()
            .map(|one| one.as_str().map(ToOwned::to_owned).ok_or("Invalid parameter: market_tickers"))
            .collect(),
        (Value::String(_), Value::Array(_)) => Err("market_ticker and market_tickers are mutually exclusive"),
        _ => Err("Invalid parameter: market_tickers"),
    }
}
