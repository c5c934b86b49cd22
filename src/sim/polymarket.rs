//! Polymarket's market channel without I/O: messages and happenings in, JSON text out.
//!
//! A book inside is one market in outcome-0 terms; outside, both tokens show it, mirrored. There is no sequence number.
//! What stands in for one is the `hash`: the SHA-1 of the whole book after the change, and when several frames of one
//! market share a millisecond, all of them carry the hash of the last. So a [`Stream`] renders a whole step at once.
//!
//! Writing style: the first array is compact JSON with a line feed; in every later object a comma is followed by one
//! space. REST bodies are in [`crate::sim::polymarket_rest`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::{Display, Write as _};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::Value;

use crate::sim::exchange::{Cause, Event, LevelChange, Trade, What};
use crate::sim::listing::{FeeSchedule, PolymarketMarket};
use crate::sim::world::{Happening, Life, World};
use crate::unit::{BookSide, Money, Price, Qty, UnixMs, Venue};

/// Shares; the same in every market.
pub const ORDER_SIZE_MIN: &str = "5";
/// How long after its books a trade's print comes.
const PRINT_DELAY_MS: u64 = 35;
/// Above this many assets the first books stop coming.
const ASSETS_MAX: usize = 500;

/// Who gets a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// Whoever watches one of the market's tokens.
    Watchers,
    /// Whoever watches this token with custom features on.
    Custom(u8),
    /// Whoever watches either token with custom features on.
    CustomEither,
    /// Everybody with custom features on for anything.
    EveryCustom,
}

/// One frame for many connections.
#[derive(Clone, Debug)]
pub struct Frame {
    pub market: usize,
    pub audience: Audience,
    pub text: Arc<str>,
}

/// A price as the venue writes it: shortest decimal.
pub fn short(raw: u16) -> String {
    match raw {
        0 => String::from("0"),
        Price::DOLLAR => String::from("1"),
        _ => format!("0.{raw:04}").trim_end_matches('0').to_owned(),
    }
}

/// Parts per million as the shortest decimal.
pub fn short_ppm(ppm: u32) -> String {
    let (whole, part) = (ppm / 1_000_000, ppm % 1_000_000);
    if part == 0 { whole.to_string() } else { format!("{whole}.{part:06}").trim_end_matches('0').to_owned() }
}

/// Levels as `[{"price":"0.5","size":"20"},…]`, `gap` after each comma.
pub fn level_list<P: Display, S: Display>(levels: impl Iterator<Item = (P, S)>, gap: &str) -> String {
    let mut text = String::from("[");
    for (price, size) in levels {
        if 1 < text.len() {
            text.push(',');
            text.push_str(gap);
        }
        let _ = write!(text, r#"{{"price":"{price}",{gap}"size":"{size}"}}"#);
    }
    text.push(']');
    text
}

/// What a book's hash is made of besides its levels.
pub struct Terms<'a> {
    pub market: &'a str,
    pub asset: &'a str,
    pub timestamp: &'a str,
    pub min_order_size: &'a str,
    pub tick_size: &'a str,
    pub neg_risk: bool,
    pub last_trade_price: &'a str,
    pub protocol_v2: bool,
}

/// A whole book in the members and order of `GET /book`; with an empty hash this is what the hash is taken of.
pub fn whole_book(terms: &Terms, hash: &str, bids: &str, asks: &str) -> String {
    format!(
        r#"{{"market":"{}","asset_id":"{}","timestamp":"{}","hash":"{hash}","bids":{bids},"asks":{asks},"min_order_size":"{}","tick_size":"{}","neg_risk":{},"last_trade_price":"{}"{}}}"#,
        terms.market,
        terms.asset,
        terms.timestamp,
        terms.min_order_size,
        terms.tick_size,
        terms.neg_risk,
        terms.last_trade_price,
        if terms.protocol_v2 { r#","version":"v2""# } else { "" }
    )
}

/// SHA-1 in lower-case hex.
pub fn sha1_hex(text: &str) -> String {
    let mut hex = String::with_capacity(40);
    for byte in digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// One token's book as text.
pub struct TokenBook {
    pub bids: String,
    pub asks: String,
}

/// A token's book: bids ascend, asks descend.
pub fn token_book(world: &World, market: usize, outcome: u8, gap: &str) -> TokenBook {
    let book = world.exchange(Venue::Polymarket).market(market);
    let own = |(price, qty): (Price, Qty)| (short(price.raw()), qty);
    let mirrored = |(price, qty): (Price, Qty)| (short(price.complement().raw()), qty);
    if outcome == 0 {
        TokenBook {
            bids: level_list(book.levels(BookSide::Bid).map(own), gap),
            asks: level_list(book.levels(BookSide::Ask).rev().map(own), gap),
        }
    } else {
        TokenBook {
            bids: level_list(book.levels(BookSide::Ask).rev().map(mirrored), gap),
            asks: level_list(book.levels(BookSide::Bid).map(mirrored), gap),
        }
    }
}

/// A token's book as `GET /book` shows it, stamped when it last changed.
pub fn rest_book(world: &World, at: usize, outcome: u8) -> String {
    let stamp = world.exchange(Venue::Polymarket).market(at).changed_at();
    let book = token_book(world, at, outcome, "");
    let hash = hash(world, at, outcome, stamp, &book);
    with_terms(world, at, outcome, stamp, |terms| whole_book(terms, &hash, &book.bids, &book.asks))
}

fn with_terms<T>(world: &World, at: usize, outcome: u8, stamp: UnixMs, use_them: impl FnOnce(&Terms) -> T) -> T {
    let market = &world.catalog().polymarket[at];
    let timestamp = stamp.raw().to_string();
    let tick_size = short(market.tick);
    use_them(&Terms {
        market: &market.condition_id,
        asset: &market.tokens[usize::from(outcome)],
        timestamp: &timestamp,
        min_order_size: ORDER_SIZE_MIN,
        tick_size: &tick_size,
        neg_risk: world.catalog().polymarket_events[market.event].neg_risk,
        last_trade_price: &market.last_trade_text,
        protocol_v2: market.protocol_v2,
    })
}

/// The hash of a token's book at a stamp; the levels are in compact form.
pub fn hash(world: &World, at: usize, outcome: u8, stamp: UnixMs, book: &TokenBook) -> String {
    with_terms(world, at, outcome, stamp, |terms| sha1_hex(&whole_book(terms, "", &book.bids, &book.asks)))
}

/// The channel as all connections see it.
#[derive(Debug, Default)]
pub struct Stream {
    tokens: HashMap<String, (usize, u8)>,
    prints: VecDeque<(UnixMs, Frame)>,
    touches: HashMap<usize, (Option<Price>, Option<Price>)>,
}

impl Stream {
    /// The channel of a world.
    pub fn new(world: &World) -> Self {
        let mut stream = Self::default();
        for at in 0..world.catalog().polymarket.len() {
            stream.learn(at, world);
        }
        stream
    }

    fn learn(&mut self, at: usize, world: &World) {
        for (outcome, token) in world.catalog().polymarket[at].tokens.iter().enumerate() {
            self.tokens.insert(token.clone(), (at, outcome as u8));
        }
        let book = world.exchange(Venue::Polymarket).market(at);
        self.touches.insert(at, (book.best(BookSide::Bid), book.best(BookSide::Ask)));
    }

    /// A token's market and outcome.
    pub fn find(&self, token: &str) -> Option<(usize, u8)> {
        self.tokens.get(token).copied()
    }

    /// All frames of one step of the world, in order, prints of earlier trades included.
    pub fn render(&mut self, happenings: &[Happening], world: &World, now: UnixMs) -> Vec<Frame> {
        let mut frames = Vec::new();
        while self.prints.front().is_some_and(|(due, _)| *due <= now) {
            frames.extend(self.prints.pop_front().map(|(_, frame)| frame));
        }
        // The state at the end of the step decides every hash in it.
        let mut hashes: BTreeMap<usize, [String; 2]> = BTreeMap::new();
        let mut booked = (usize::MAX, 0);
        for happening in happenings {
            match happening {
                Happening::Book { venue: Venue::Polymarket, event } => {
                    let hashes = hashes.entry(event.market).or_insert_with(|| both_hashes(world, event));
                    self.on_book(event, hashes, &mut booked, world, &mut frames);
                }
                Happening::Life { venue: Venue::Polymarket, market, at, life } => {
                    self.on_life(*market, life, *at, world, &mut frames);
                }
                _ => {}
            }
        }
        for &market in hashes.keys() {
            self.tell_touch(market, world, now, &mut frames);
        }
        frames
    }

    fn on_book(
        &mut self,
        event: &Event,
        hashes: &[String; 2],
        booked: &mut (usize, u64),
        world: &World,
        frames: &mut Vec<Frame>,
    ) {
        let at = event.market;
        let market = &world.catalog().polymarket[at];
        match &event.what {
            What::Level(change) if change.cause != Cause::Traded => {
                push(frames, at, Audience::Watchers, price_change(market, change, hashes, event.at));
            }
            What::Trade(trade) => {
                let text = print(market, trade, event);
                let frame = Frame { market: at, audience: Audience::Watchers, text: text.into() };
                let due = UnixMs::new(event.at.raw() + PRINT_DELAY_MS + trade.number % 5);
                self.prints.push_back((due, frame));
            }
            What::Fill(_) | What::Dropped { .. } => {}
            // A trade or a cleared book is shown as whole books, once for each action.
            What::Level(_) | What::Emptied => {
                if *booked != (at, event.clock) {
                    *booked = (at, event.clock);
                    push_books(world, at, event.at, hashes, frames);
                }
            }
        }
    }

    fn on_life(&mut self, at: usize, life: &Life, stamp: UnixMs, world: &World, frames: &mut Vec<Frame>) {
        let market = &world.catalog().polymarket[at];
        match life {
            Life::Created => {
                self.learn(at, world);
                push(frames, at, Audience::EveryCustom, new_market(market, world, stamp));
            }
            Life::Regridded { old_tick } => {
                for token in &market.tokens {
                    push(
                        frames,
                        at,
                        Audience::Watchers,
                        format!(
                            r#"{{"market":"{}", "asset_id":"{token}", "old_tick_size":"{}", "new_tick_size":"{}", "timestamp":"{}", "event_type":"tick_size_change"}}"#,
                            market.condition_id,
                            short(*old_tick),
                            short(market.tick),
                            stamp.raw()
                        ),
                    );
                }
                let hashes = [0, 1].map(|outcome| hash(world, at, outcome, stamp, &token_book(world, at, outcome, "")));
                push_books(world, at, stamp, &hashes, frames);
            }
            Life::Settled => {
                // Nobody wins a market that pays half: then the winner is left empty.
                let (token, outcome) = match market.state.payout.map(Money::raw) {
                    Some(1_000_000) => (market.tokens[0].as_str(), "Yes"),
                    Some(0) => (market.tokens[1].as_str(), "No"),
                    _ => ("", ""),
                };
                let tag = world.catalog().polymarket_events[market.event].tag.2;
                let text = format!(
                    r#"{{"id":"{}", "market":"{}", "assets_ids":["{}", "{}"], "winning_asset_id":"{token}", "winning_outcome":"{outcome}", "timestamp":"{}", "event_type":"market_resolved", "tags":["{tag}"]}}"#,
                    market.id,
                    market.condition_id,
                    market.tokens[0],
                    market.tokens[1],
                    stamp.raw()
                );
                push(frames, at, Audience::CustomEither, text);
            }
            _ => {}
        }
    }

    /// `best_bid_ask` of both tokens, where the touch has moved.
    fn tell_touch(&mut self, at: usize, world: &World, now: UnixMs, frames: &mut Vec<Frame>) {
        let book = world.exchange(Venue::Polymarket).market(at);
        let touch = (book.best(BookSide::Bid), book.best(BookSide::Ask));
        if self.touches.insert(at, touch) == Some(touch) {
            return;
        }
        let market = &world.catalog().polymarket[at];
        for outcome in 0..2_u8 {
            let (bid, ask) = if outcome == 0 { touch } else { mirrored(touch) };
            let (low, high) = if bid.is_none() && ask.is_none() {
                (0, 0)
            } else {
                (bid.map_or(0, Price::raw), ask.map_or(Price::DOLLAR, Price::raw))
            };
            let spread = high - low;
            let text = format!(
                r#"{{"market":"{}", "asset_id":"{}", "best_bid":"{}", "best_ask":"{}", "spread":"{}", "timestamp":"{}", "event_type":"best_bid_ask"}}"#,
                market.condition_id,
                market.tokens[usize::from(outcome)],
                short(low),
                short(high),
                short(spread),
                now.raw()
            );
            push(frames, at, Audience::Custom(outcome), text);
        }
    }
}

fn mirrored(touch: (Option<Price>, Option<Price>)) -> (Option<Price>, Option<Price>) {
    (touch.1.map(Price::complement), touch.0.map(Price::complement))
}

fn push(frames: &mut Vec<Frame>, market: usize, audience: Audience, text: String) {
    frames.push(Frame { market, audience, text: text.into() });
}

fn both_hashes(world: &World, event: &Event) -> [String; 2] {
    [0, 1].map(|outcome| {
        let book = token_book(world, event.market, outcome, "");
        hash(world, event.market, outcome, event.at, &book)
    })
}

fn push_books(world: &World, at: usize, stamp: UnixMs, hashes: &[String; 2], frames: &mut Vec<Frame>) {
    let market = &world.catalog().polymarket[at];
    for outcome in 0..2_u8 {
        let book = token_book(world, at, outcome, " ");
        let text = format!(
            r#"{{"market":"{}", "asset_id":"{}", "bids":{}, "asks":{}, "hash":"{}", "timestamp":"{}", "event_type":"book"}}"#,
            market.condition_id,
            market.tokens[usize::from(outcome)],
            book.bids,
            book.asks,
            hashes[usize::from(outcome)],
            stamp.raw()
        );
        push(frames, at, Audience::Watchers, text);
    }
}

fn price_change(market: &PolymarketMarket, change: &LevelChange, hashes: &[String; 2], stamp: UnixMs) -> String {
    let entry = |outcome: usize| {
        let touch = (change.best_bid, change.best_ask);
        let (bid, ask) = if outcome == 0 { touch } else { mirrored(touch) };
        let price = if outcome == 0 { change.price } else { change.price.complement() };
        let buys = (change.side == BookSide::Bid) == (outcome == 0);
        format!(
            r#"{{"asset_id":"{}", "price":"{}", "size":"{}", "side":"{}", "hash":"{}", "best_bid":"{}", "best_ask":"{}"}}"#,
            market.tokens[outcome],
            short(price.raw()),
            change.total,
            if buys { "BUY" } else { "SELL" },
            hashes[outcome],
            short(bid.map_or(0, Price::raw)),
            short(ask.map_or(Price::DOLLAR, Price::raw))
        )
    };
    // The order's own token comes first; an offer here is somebody's bid for NO.
    let (first, second) = if change.side == BookSide::Bid { (0, 1) } else { (1, 0) };
    format!(
        r#"{{"market":"{}", "price_changes":[{}, {}], "timestamp":"{}", "event_type":"price_change"}}"#,
        market.condition_id,
        entry(first),
        entry(second),
        stamp.raw()
    )
}

/// `last_trade_price`: the taker's token and side. Whoever takes a bid sells YES or, as often, buys NO.
fn print(market: &PolymarketMarket, trade: &Trade, event: &Event) -> String {
    let (outcome, price, side) = match trade.taker {
        BookSide::Bid => (0, trade.price, "BUY"),
        BookSide::Ask if trade.number.is_multiple_of(2) => (0, trade.price, "SELL"),
        BookSide::Ask => (1, trade.price.complement(), "BUY"),
    };
    let seed = format!("{}:{}", market.condition_id, trade.number);
    format!(
        r#"{{"market":"{}", "asset_id":"{}", "price":"{}", "size":"{}", "fee_rate_bps":"0", "side":"{side}", "timestamp":"{}", "event_type":"last_trade_price", "transaction_hash":"0x{}{}"}}"#,
        market.condition_id,
        market.tokens[outcome],
        short(price.raw()),
        trade.qty,
        event.at.raw() + PRINT_DELAY_MS,
        sha1_hex(&seed),
        &sha1_hex(&market.slug)[..24]
    )
}

fn new_market(market: &PolymarketMarket, world: &World, stamp: UnixMs) -> String {
    let event = &world.catalog().polymarket_events[market.event];
    let text = |text: &str| Value::from(text).to_string();
    let fees = market.fee.map_or_else(String::new, |FeeSchedule { rate, exponent, rebate, .. }| {
        format!(
            r#", "fee_schedule":{{"exponent":"{exponent}", "rate":"{}", "taker_only":true, "rebate_rate":"{}"}}"#,
            short_ppm(rate),
            short_ppm(rebate)
        )
    });
    let tokens = format!(r#"["{}", "{}"]"#, market.tokens[0], market.tokens[1]);
    format!(
        r#"{{"id":"{id}", "question":{question}, "market":"{condition}", "slug":"{slug}", "description":{about}, "assets_ids":{tokens}, "outcomes":["Yes", "No"], "event_message":{{"id":"{event_id}", "ticker":"{event_slug}", "slug":"{event_slug}", "title":{title}, "description":{about}}}, "timestamp":"{stamp}", "event_type":"new_market", "tags":["{tag}"], "condition_id":"{condition}", "active":true, "clob_token_ids":{tokens}, "sports_market_type":"", "line":"", "game_start_time":"", "order_price_min_tick_size":"{tick}", "group_item_title":{item}, "taker_base_fee":"{base}", "fees_enabled":{paid}{fees}}}"#,
        id = market.id,
        question = text(&market.question),
        condition = market.condition_id,
        slug = market.slug,
        about = text(&market.description),
        event_id = event.id,
        event_slug = event.slug,
        title = text(&event.title),
        stamp = stamp.raw(),
        tag = event.tag.2,
        tick = short(market.tick),
        item = text(&market.group_item),
        base = if market.fee.is_some() { 1_000 } else { 0 },
        paid = market.fee.is_some(),
    )
}

/// One connection's state.
#[derive(Debug, Default)]
pub struct Session {
    /// What is watched, and whether with custom features.
    assets: BTreeMap<(usize, u8), bool>,
    custom: bool,
}

impl Session {
    /// What the server answers to one text frame.
    pub fn handle_text(&mut self, text: &str, stream: &Stream, world: &World) -> Vec<String> {
        if text.trim() == "PING" {
            return vec![String::from("PONG")];
        }
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            return vec![String::from("INVALID OPERATION")];
        };
        let known: Vec<(usize, u8)> = message["assets_ids"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|token| stream.find(token.as_str()?))
            .collect();
        let custom = message["custom_feature_enabled"].as_bool();
        match message["operation"].as_str() {
            Some("unsubscribe") => {
                for asset in known {
                    self.assets.remove(&asset);
                }
                Vec::new()
            }
            Some("subscribe") => self.watch(&known, custom.unwrap_or(self.custom), true, world),
            None if message["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("market")) => {
                self.custom = custom.unwrap_or(false);
                let dump = message["initial_dump"].as_bool().unwrap_or(true);
                self.watch(&known, self.custom, dump, world)
            }
            _ => vec![String::from("INVALID OPERATION")],
        }
    }

    fn watch(&mut self, assets: &[(usize, u8)], custom: bool, dump: bool, world: &World) -> Vec<String> {
        let fresh: Vec<(usize, u8)> =
            assets.iter().copied().filter(|&asset| self.assets.insert(asset, custom).is_none()).collect();
        if !dump || fresh.is_empty() || ASSETS_MAX < self.assets.len() {
            return Vec::new();
        }
        let books: Vec<String> = fresh.into_iter().map(|(at, outcome)| first_book(world, at, outcome)).collect();
        vec![format!("[{}]\n", books.join(","))]
    }

    /// Does this connection get the frame?
    pub fn wants(&self, frame: &Frame) -> bool {
        let flag = |outcome| self.assets.get(&(frame.market, outcome)).copied();
        match frame.audience {
            Audience::Watchers => flag(0).is_some() || flag(1).is_some(),
            Audience::Custom(outcome) => flag(outcome) == Some(true),
            Audience::CustomEither => flag(0) == Some(true) || flag(1) == Some(true),
            Audience::EveryCustom => self.custom || self.assets.values().any(|&custom| custom),
        }
    }
}

fn first_book(world: &World, at: usize, outcome: u8) -> String {
    let market = &world.catalog().polymarket[at];
    let stamp = world.exchange(Venue::Polymarket).market(at).changed_at();
    let book = token_book(world, at, outcome, "");
    format!(
        r#"{{"market":"{}","asset_id":"{}","timestamp":"{}","hash":"{}","bids":{},"asks":{},"tick_size":"{}","event_type":"book","last_trade_price":"{}"{}}}"#,
        market.condition_id,
        market.tokens[usize::from(outcome)],
        stamp.raw(),
        hash(world, at, outcome, stamp, &book),
        book.bids,
        book.asks,
        short(market.tick),
        market.last_trade_text,
        if market.protocol_v2 { r#","version":"v2""# } else { "" }
    )
}
