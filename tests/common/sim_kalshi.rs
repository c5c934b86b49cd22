//! A simulated Kalshi in virtual time: two funded accounts, their keys, one market with an empty book, a clock to move.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use orion::sim::handshake::Headers;
use orion::sim::kalshi::Session;
use orion::sim::kalshi::account::{Member, NewAccount, NewKey};
use orion::sim::kalshi::answer::{Answer, PREFIX, Request};
use orion::sim::kalshi::bucket::Tier;
use orion::sim::kalshi::desk::{Desk, Settings};
use orion::sim::world::{Happening, World};
use orion::unit::{Money, Qty, UnixMs, Venue};
use serde_json::{Value, json};

pub const START: UnixMs = UnixMs::new(1_795_175_100_000);
pub const ORDERS: &str = "/portfolio/events/orders";

pub fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

pub fn spki(pair: &Ed25519KeyPair) -> Vec<u8> {
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    [&prefix[..], pair.public_key().as_ref()].concat()
}

/// Two accounts, `key-1` and `key-2`, with a thousand dollars on every shard.
pub fn settings() -> Settings {
    let account = |seed: u8| {
        let key = NewKey::full(&format!("key-{seed}"), spki(&pair(seed)));
        let mut account = NewAccount::funded(&format!("user-{seed}"), vec![key], Money::dollars(1_000));
        account.tier = Tier::Prestige;
        account
    };
    Settings { accounts: vec![account(1), account(2)], read_lag_ms: 0, ..Settings::default() }
}

pub struct Town {
    pub world: World,
    pub desk: Desk,
    pub now: UnixMs,
    /// A market on shard 0 with a grid of cents and the usual fee, and nobody in it.
    pub market: usize,
    pub ticker: String,
    sessions: Vec<Session>,
    pub frames: Vec<Vec<Value>>,
    serial: u32,
}

impl Town {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        let mut world = World::new(42, 20, START);
        let desk = Desk::new(settings, &mut world);
        let mut town = Self {
            world,
            desk,
            now: START,
            market: 0,
            ticker: String::new(),
            sessions: Vec::new(),
            frames: Vec::new(),
            serial: 0,
        };
        town.market = town.find(0, "quadratic", 1_000_000);
        town.ticker = town.world.catalog().kalshi[town.market].ticker.clone();
        town.empty(town.market);
        town
    }

    /// A plain market of a pair, on that shard, with that fee and a grid of cents.
    pub fn find(&self, shard: u8, fee: &str, multiplier: u32) -> usize {
        let catalog = self.world.catalog();
        let fits = |&at: &usize| {
            let market = &catalog.kalshi[at];
            let event = &catalog.kalshi_events[market.event];
            let series = &catalog.series[event.series];
            market.exchange_index == shard
                && market.structure.label == "linear_cent"
                && market.market_type == "binary"
                && event.fee_override.is_none()
                && (series.fee_type, series.fee_multiplier) == (fee, multiplier)
        };
        catalog.topics.iter().filter_map(|topic| topic.polymarket.and(topic.kalshi)).find(fits).unwrap()
    }

    /// Clears a market's book; it stays open.
    pub fn empty(&mut self, market: usize) {
        let now = self.now;
        self.world.on_kalshi(now, |exchange| ((), exchange.clear(market, true, now)));
        self.wait(0);
    }

    pub fn ticker_of(&self, market: usize) -> String {
        self.world.catalog().kalshi[market].ticker.clone()
    }

    /// Lets time pass for the desk and the calendar, while nobody in the world trades.
    pub fn wait(&mut self, ms: u64) {
        self.now = UnixMs::new(self.now.raw() + ms);
        let happenings = self.world.step(0.0, self.now);
        let happenings = self.desk.step(&mut self.world, happenings, self.now);
        self.show(&happenings);
    }

    /// Lets the world live, in steps of a tenth of a virtual second.
    pub fn live(&mut self, steps: u32) {
        for _ in 0..steps {
            self.now = UnixMs::new(self.now.raw() + 5);
            let happenings = self.world.step(100.0, self.now);
            let happenings = self.desk.step(&mut self.world, happenings, self.now);
            self.show(&happenings);
        }
    }

    fn show(&mut self, happenings: &[Happening]) {
        let private = self.desk.frames(self.now);
        for (session, kept) in self.sessions.iter_mut().zip(&mut self.frames) {
            let mut frames = Vec::new();
            for happening in happenings {
                frames.extend(session.on_event(happening, &self.world, self.now));
            }
            frames.extend(private.iter().filter_map(|frame| session.on_private(frame, self.now)));
            kept.extend(frames.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()));
        }
    }

    /// Opens a stream of an account and subscribes to the channels; its frames gather in `frames`.
    pub fn listen(&mut self, account: usize, channels: &[&str]) -> usize {
        self.subscribe(account, &json!({"channels": channels}))
    }

    /// The same for the market's book.
    pub fn listen_to_book(&mut self, account: usize) -> usize {
        self.subscribe(account, &json!({"channels": ["orderbook_delta"], "market_tickers": [self.ticker]}))
    }

    fn subscribe(&mut self, account: usize, params: &Value) -> usize {
        let session = self.open(account);
        let command = json!({"id": 1, "cmd": "subscribe", "params": params});
        self.command(session, &command.to_string());
        self.frames[session].clear();
        session
    }

    /// Opens a stream of an account that has subscribed to nothing.
    pub fn open(&mut self, account: usize) -> usize {
        self.sessions.push(Session::of(Member { account, locked: None }));
        self.frames.push(Vec::new());
        self.sessions.len() - 1
    }

    /// Ends a stream: nothing comes any more.
    pub fn close(&mut self, session: usize) {
        self.sessions[session] = Session::default();
    }

    /// Sends a text on a stream; what is answered is among its frames.
    pub fn command(&mut self, session: usize, text: &str) {
        let replies = self.sessions[session].handle_text(text, &self.world, self.now);
        self.frames[session].extend(replies.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()));
    }

    /// Carries a request that somebody else has written and signed.
    pub fn carry(&mut self, request: &Request) -> Answer {
        let mut answer = self.desk.handle(&mut self.world, request, self.now);
        let happenings = std::mem::take(&mut answer.happenings);
        self.show(&happenings);
        answer
    }

    /// Frames of one type that have come.
    pub fn of_kind(&self, session: usize, kind: &str) -> Vec<Value> {
        self.frames[session].iter().filter(|frame| frame["type"] == kind).map(|frame| frame["msg"].clone()).collect()
    }

    /// Sends a signed request; `path` is below the prefix and may have a query.
    pub fn send(&mut self, key: u8, method: &str, path: &str, body: &[u8]) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = format!("{PREFIX}{path}");
        let query: Vec<(String, String)> = query
            .split('&')
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let timestamp = self.now.raw().to_string();
        let signature = pair(key).sign(format!("{timestamp}{method}{path}").as_bytes());
        let (id, signature) = (format!("key-{key}"), BASE64_STANDARD.encode(signature.as_ref()));
        let headers = Headers { key: Some(&id), timestamp: Some(&timestamp), signature: Some(&signature) };
        self.carry(&Request { method, path: &path, query: &query, headers, body })
    }

    /// The same, read: status and JSON, null where there is none.
    pub fn ask(&mut self, key: u8, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let reply = self.send(key, method, path, &body).reply;
        (reply.status, serde_json::from_str(&reply.body).unwrap_or(Value::Null))
    }

    pub fn get(&mut self, key: u8, path: &str) -> Value {
        let (status, body) = self.ask(key, "GET", path, &Value::Null);
        assert_eq!(status, 200, "{body}");
        body
    }

    /// A body of order entry that rests, with an id of its own.
    pub fn order(&mut self, side: &str, price: &str, count: &str) -> Value {
        self.serial += 1;
        json!({"ticker": self.ticker, "side": side, "price": price, "count": count,
            "client_order_id": format!("id-{}", self.serial), "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross"})
    }

    /// The same, that takes or is gone.
    pub fn taker(&mut self, side: &str, price: &str, count: &str) -> Value {
        with(self.order(side, price, count), &json!({"time_in_force": "immediate_or_cancel"}))
    }

    pub fn create(&mut self, key: u8, order: &Value) -> (u16, Value) {
        self.ask(key, "POST", ORDERS, order)
    }

    /// An order that is accepted.
    pub fn placed(&mut self, key: u8, order: &Value) -> Value {
        let (status, body) = self.create(key, order);
        assert_eq!(status, 201, "{body}");
        body
    }

    /// An order that is refused: status and code.
    pub fn refused(&mut self, key: u8, order: &Value) -> (u16, String) {
        let (status, body) = self.create(key, order);
        (status, code(&body))
    }

    pub fn cancel(&mut self, key: u8, order: &Value, ticker: &str) -> (u16, Value) {
        let id = order["order_id"].as_str().unwrap();
        self.ask(key, "DELETE", &format!("{ORDERS}/{id}?market_ticker={ticker}"), &Value::Null)
    }

    pub fn cash(&self, account: usize, shard: u8) -> Money {
        self.desk.cash(&self.world, account, 0, shard)
    }

    pub fn position(&self, account: usize) -> i64 {
        self.desk.position(&self.world, account, 0, self.market)
    }

    pub fn resting(&self, side: orion::unit::BookSide, price: u16) -> Qty {
        let price = orion::unit::Price::new(price).unwrap();
        self.world.exchange(Venue::Kalshi).market(self.market).quantity(side, price)
    }
}

/// An object with other members.
pub fn with(mut object: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

/// The code of a refusal, nested or flat; the text of the string shape.
pub fn code(body: &Value) -> String {
    [&body["error"]["code"], &body["code"], &body["error"]].into_iter().find_map(Value::as_str).unwrap_or("").to_owned()
}
