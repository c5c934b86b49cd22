//! The simulated venues' wire protocols, read the way a client has to read them.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use orion::sim::kalshi;
use orion::sim::kalshi_rest::{self, Reply};
use orion::sim::polymarket::{self, Terms, level_list, sha1_hex, whole_book};
use orion::sim::polymarket_rest;
use orion::sim::world::World;
use orion::unit::{Price, Qty, UnixMs};
use serde_json::{Value, json};

const START: UnixMs = UnixMs::new(1_795_175_100_000);
const STEP_MS: u64 = 5;
const SPEED: u32 = 20;

fn at(number: u64) -> UnixMs {
    UnixMs::new(START.raw() + number * STEP_MS)
}

fn world() -> World {
    World::new(42, SPEED, START)
}

fn step(world: &mut World, number: u64) -> Vec<orion::sim::world::Happening> {
    world.step((STEP_MS * u64::from(SPEED)) as f64, at(number))
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn tickers(world: &World) -> Vec<String> {
    world.catalog().kalshi.iter().map(|market| market.ticker.clone()).collect()
}

/// A client of Kalshi's book channel: levels by market, side and price, in hundredths.
#[derive(Default)]
struct Ladders {
    levels: BTreeMap<(String, String, String), i64>,
    seq: u64,
    clock: HashMap<String, (u64, bool)>,
    crossed: u32,
}

fn hundredths(text: &str) -> i64 {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    sign * Qty::parse(text.as_bytes()).unwrap().micros() as i64 / 10_000
}

impl Ladders {
    fn read(&mut self, text: &str) {
        let frame = read(text);
        if let Some(seq) = frame["seq"].as_u64() {
            assert_eq!(seq, self.seq + 1, "no sequence number is skipped: {text}");
            self.seq = seq;
        }
        let msg = &frame["msg"];
        let ticker = msg["market_ticker"].as_str().unwrap_or_default().to_owned();
        match frame["type"].as_str().unwrap() {
            "orderbook_snapshot" => {
                self.levels.retain(|key, _| key.0 != ticker);
                for (side, key) in [("yes", "yes_dollars_fp"), ("no", "no_dollars_fp")] {
                    let levels = msg[key].as_array().cloned().unwrap_or_default();
                    let prices: Vec<&str> = levels.iter().map(|level| level[0].as_str().unwrap()).collect();
                    assert!(prices.is_sorted(), "levels ascend");
                    for level in &levels {
                        let key = (ticker.clone(), side.to_owned(), level[0].as_str().unwrap().to_owned());
                        self.levels.insert(key, hundredths(level[1].as_str().unwrap()));
                    }
                }
            }
            "orderbook_delta" => {
                self.turn(&ticker, msg["clock"].as_u64().unwrap());
                let word = |name: &str| msg[name].as_str().unwrap().to_owned();
                let key = (ticker.clone(), word("side"), word("price_dollars"));
                let left = self.levels.get(&key).copied().unwrap_or(0) + hundredths(&word("delta_fp"));
                assert!(0 <= left, "no level goes negative");
                self.levels.insert(key.clone(), left);
                if left == 0 {
                    self.levels.remove(&key);
                }
                let crossed = self.is_crossed(&ticker);
                self.crossed += u32::from(crossed);
                self.clock.get_mut(&ticker).unwrap().1 = crossed;
            }
            _ => {}
        }
    }

    /// A new exchange clock means that the last action is over, and its book must be in order.
    fn turn(&mut self, ticker: &str, clock: u64) {
        let last = self.clock.entry(ticker.to_owned()).or_insert((clock, false));
        if last.0 != clock {
            assert!(!last.1, "no action ends with a crossed book");
            *last = (clock, false);
        }
    }

    fn is_crossed(&self, ticker: &str) -> bool {
        let best = |side: &str| {
            let from = (ticker.to_owned(), side.to_owned(), String::new());
            let to = (ticker.to_owned(), side.to_owned(), String::from("9"));
            let last = self.levels.range(from..to).next_back();
            last.map(|(key, _)| u32::from(Price::parse(key.2.as_bytes()).unwrap().raw()))
        };
        matches!((best("yes"), best("no")), (Some(yes), Some(no)) if 10_000 <= yes + no)
    }
}

#[test]
fn deltas_replayed_from_the_first_snapshot_equal_the_next_one() {
    let mut world = world();
    let mut session = kalshi::Session::default();
    let mut ladders = Ladders::default();
    let tickers = tickers(&world);
    let subscribe = |id: u64, tickers: &[String]| json!({"id": id, "cmd": "subscribe", "params": {"channels": ["orderbook_delta"], "market_tickers": tickers}});
    let first = session.handle_text(&subscribe(1, &tickers[..20]).to_string(), &world, START);
    assert_eq!(
        read(&first[0]),
        json!({"type": "subscribed", "id": 1, "sending_ts_ms": START.raw(),
        "msg": {"channel": "orderbook_delta", "sid": 1}})
    );
    for text in first.iter().skip(1) {
        ladders.read(text);
    }
    for number in 1..=4_000 {
        for happening in step(&mut world, number) {
            for text in session.on_event(&happening, &world, at(number)) {
                ladders.read(&text);
            }
        }
        if number == 500 {
            let again = session.handle_text(&subscribe(2, &tickers).to_string(), &world, at(number));
            let ok = read(&again[0]);
            assert_eq!((ok["type"].as_str(), ok["sid"].as_u64()), (Some("ok"), Some(1)), "no second subscription");
            assert_eq!(ok["msg"]["market_tickers"].as_array().unwrap().len(), tickers.len());
            assert_eq!(again.len(), 1 + tickers.len() - 20, "snapshots of the new tickers only");
            for text in &again {
                ladders.read(text);
            }
        }
    }
    assert!(0 < ladders.crossed, "self-trade prevention crosses a book inside an action now and then");
    let replayed = ladders.levels.clone();
    let command = json!({"id": 9, "cmd": "update_subscription",
        "params": {"sid": 1, "action": "get_snapshot", "market_tickers": tickers}});
    let snapshots = session.handle_text(&command.to_string(), &world, at(4_000));
    assert!(snapshots.iter().all(|text| read(text)["id"] == 9));
    for text in &snapshots {
        ladders.read(text);
    }
    assert_eq!(replayed, ladders.levels);
}

#[test]
fn kalshi_answers_commands_in_its_own_words() {
    let world = world();
    let mut session = kalshi::Session::default();
    let mut say = |command: Value| -> Vec<Value> {
        session.handle_text(&command.to_string(), &world, START).iter().map(|text| read(text)).collect()
    };
    let code = |frames: &[Value]| frames[0]["msg"]["code"].as_u64();
    assert_eq!(code(&say(json!({"id": 1, "cmd": "dance", "params": {}}))), Some(5));
    assert_eq!(code(&say(json!({"id": 1, "cmd": "subscribe"}))), Some(2));
    assert_eq!(code(&say(json!({"id": 1, "cmd": "subscribe", "params": {}}))), Some(3));
    assert_eq!(code(&say(json!({"id": 1, "cmd": "subscribe", "params": {"channels": ["ticker_v2"]}}))), Some(8));
    assert_eq!(code(&say(json!({"id": 1, "cmd": "subscribe", "params": {"channels": ["orderbook_delta"]}}))), Some(14));
    assert_eq!(code(&say(json!({"id": 1, "cmd": "unsubscribe", "params": {"sids": [4]}}))), Some(7));
    let open = |ticker: &str| {
        json!({"id": 0, "cmd": "subscribe",
        "params": {"channels": ["orderbook_delta"], "market_ticker": ticker}})
    };
    let unknown = say(open("KXNOSUCHTHING"));
    assert_eq!(unknown[0].get("id"), None, "id 0 is no id");
    assert_eq!(unknown[1]["msg"], json!({"market_ticker": "KXNOSUCHTHING", "market_id": ""}));
    let gone = say(json!({"id": 3, "cmd": "unsubscribe", "params": {"sids": [1]}}));
    assert_eq!((gone[0]["type"].as_str(), gone[0]["seq"].as_u64()), (Some("unsubscribed"), Some(2)));
    let anew = say(open("KXNOSUCHTHING"));
    assert_eq!((anew[0]["msg"]["sid"].as_u64(), anew[1]["seq"].as_u64()), (Some(2), Some(1)));
    let list = say(json!({"id": 4, "cmd": "list_subscriptions"}));
    assert_eq!(list[0]["msg"], json!([{"channel": "orderbook_delta", "sid": 2}]));
}

#[test]
fn a_kalshi_market_closes_with_a_bare_snapshot_and_settles_step_by_step() {
    let mut world = world();
    let mut session = kalshi::Session::default();
    let ticker = world.catalog().kalshi[world.catalog().topics[0].kalshi.unwrap()].ticker.clone();
    for channel in ["orderbook_delta", "market_lifecycle_v2", "ticker", "trade"] {
        let command =
            json!({"id": 1, "cmd": "subscribe", "params": {"channels": [channel], "market_tickers": [ticker]}});
        session.handle_text(&command.to_string(), &world, START);
    }
    let (mut bare, mut steps, mut told, mut trades) = (0, Vec::new(), 0, 0);
    for number in 1..=4_200 {
        let happenings = step(&mut world, number);
        let mut frames: Vec<String> =
            happenings.iter().flat_map(|happening| session.on_event(happening, &world, at(number))).collect();
        frames.extend(session.on_time(&world, at(number)));
        for frame in frames.iter().map(|text| read(text)).filter(|frame| frame["msg"]["market_ticker"] == ticker) {
            match frame["type"].as_str().unwrap() {
                "orderbook_snapshot" => {
                    assert_eq!(frame["msg"].get("yes_dollars_fp"), None);
                    assert_eq!(frame["msg"].get("no_dollars_fp"), None);
                    bare += 1;
                }
                "market_lifecycle_v2" => steps.push(frame["msg"]["event_type"].as_str().unwrap().to_owned()),
                "ticker" => {
                    assert_eq!(frame.get("seq"), None);
                    told += 1;
                }
                "trade" => trades += 1,
                _ => {}
            }
        }
    }
    assert!((1..=2).contains(&bare));
    assert_eq!(steps, ["close_date_updated", "determined", "settled"]);
    assert!((8..=21).contains(&told), "conflated to one a second: {told}");
    assert!(0 < trades);
    let body = read(&kalshi_rest::answer(&world, &format!("/markets/{ticker}"), &[]).body);
    assert_eq!(body["market"]["status"], "finalized");
    assert!(["yes", "no"].contains(&body["market"]["result"].as_str().unwrap()));
    assert_eq!(body["market"]["yes_ask_dollars"], "1.0000");
}

/// A client of Polymarket's market channel: one token's book as text by price, with the terms of its hash.
#[derive(Default)]
struct TokenBook {
    bids: BTreeMap<u16, String>,
    asks: BTreeMap<u16, String>,
    tick: String,
    /// The stamp and hash of the newest frame; checked when the stamp moves on.
    newest: Option<(String, String)>,
}

fn raw(text: &str) -> u16 {
    Price::parse(text.as_bytes()).unwrap().raw()
}

impl TokenBook {
    fn replace(&mut self, message: &Value) {
        for (levels, key) in [(&mut self.bids, "bids"), (&mut self.asks, "asks")] {
            levels.clear();
            for level in message[key].as_array().unwrap() {
                let size = level["size"].as_str().unwrap().to_owned();
                levels.insert(raw(level["price"].as_str().unwrap()), size);
            }
        }
    }

    fn hash(&self, market: &str, asset: &str, stamp: &str, neg_risk: bool, last: &str, protocol_v2: bool) -> String {
        let text = |(price, size): (&u16, &String)| (polymarket::short(*price), size.clone());
        let terms = Terms {
            market,
            asset,
            timestamp: stamp,
            min_order_size: "5",
            tick_size: &self.tick,
            neg_risk,
            last_trade_price: last,
            protocol_v2,
        };
        let bids = level_list(self.bids.iter().map(text), "");
        let asks = level_list(self.asks.iter().rev().map(text), "");
        sha1_hex(&whole_book(&terms, "", &bids, &asks))
    }
}

#[test]
fn every_polymarket_hash_verifies_when_its_millisecond_is_over() {
    let mut world = world();
    let mut stream = polymarket::Stream::new(&world);
    let mut session = polymarket::Session::default();
    let tokens: Vec<String> = world.catalog().polymarket.iter().flat_map(|market| market.tokens.clone()).collect();
    let command = json!({"assets_ids": tokens, "type": "market", "custom_feature_enabled": true});
    let first = session.handle_text(&command.to_string(), &stream, &world);
    let mut books: HashMap<String, TokenBook> = HashMap::new();
    for message in read(&first[0]).as_array().unwrap() {
        let book = books.entry(message["asset_id"].as_str().unwrap().to_owned()).or_default();
        book.tick = message["tick_size"].as_str().unwrap().to_owned();
        book.replace(message);
    }
    assert_eq!(books.len(), tokens.len());
    let (mut checked, mut kinds) = (0_u64, BTreeMap::new());
    for number in 1..=3_000 {
        let happenings = step(&mut world, number);
        for frame in stream.render(&happenings, &world, at(number)) {
            if !session.wants(&frame) {
                continue;
            }
            assert!(!frame.text.contains("\",\""), "a comma is followed by a space: {}", frame.text);
            let message = read(&frame.text);
            let kind = message["event_type"].as_str().unwrap().to_owned();
            let stamp = message["timestamp"].as_str().unwrap().to_owned();
            match kind.as_str() {
                "price_change" => {
                    for change in message["price_changes"].as_array().unwrap() {
                        let book = books.get_mut(change["asset_id"].as_str().unwrap()).unwrap();
                        let size = change["size"].as_str().unwrap();
                        let levels = if change["side"] == "BUY" { &mut book.bids } else { &mut book.asks };
                        let price = raw(change["price"].as_str().unwrap());
                        levels.insert(price, size.to_owned());
                        levels.retain(|_, size| size != "0");
                        let best = book.bids.keys().next_back().map_or(String::from("0"), |&p| polymarket::short(p));
                        assert_eq!(change["best_bid"], best);
                        book.newest = Some((stamp.clone(), change["hash"].as_str().unwrap().to_owned()));
                    }
                }
                "book" => {
                    let book = books.get_mut(message["asset_id"].as_str().unwrap()).unwrap();
                    book.replace(&message);
                    book.newest = Some((stamp.clone(), message["hash"].as_str().unwrap().to_owned()));
                }
                _ => {}
            }
            *kinds.entry(kind).or_insert(0_u64) += 1;
        }
        // The step is over, and with it the millisecond.
        for market in &world.catalog().polymarket {
            for asset in &market.tokens {
                let Some(book) = books.get_mut(asset) else { continue };
                let Some((stamp, hash)) = book.newest.take() else { continue };
                let neg_risk = world.catalog().polymarket_events[market.event].neg_risk;
                let last = &market.last_trade_text;
                let own = book.hash(&market.condition_id, asset, &stamp, neg_risk, last, market.protocol_v2);
                assert_eq!(own, hash);
                checked += 1;
            }
        }
    }
    assert!(5_000 < checked);
    for kind in ["price_change", "book", "last_trade_price", "best_bid_ask"] {
        assert!(kinds.contains_key(kind), "{kind} was never sent: {kinds:?}");
    }
}

#[test]
fn our_hash_is_the_venues_hash_on_every_recorded_book() {
    let text = include_str!("data/polymarket/book_hash_vectors.json");
    let vectors = read(text);
    let mut known = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let preimage = case["preimage"].as_str().unwrap();
        let book = read(preimage);
        let hash = case["hash"].as_str().or(case["sha1"].as_str()).unwrap();
        assert_eq!(sha1_hex(preimage), hash);
        let word = |name: &str| book[name].as_str().unwrap_or_default().to_owned();
        if book.get("last_trade_price").is_none() || book.get("tick_size").is_none() {
            continue; // The form of 2024 had fewer members.
        }
        let levels = |name: &str| {
            let levels = book[name].as_array().unwrap().iter();
            level_list(levels.map(|level| (level["price"].as_str().unwrap(), level["size"].as_str().unwrap())), "")
        };
        let own = whole_book(
            &Terms {
                market: &word("market"),
                asset: &word("asset_id"),
                timestamp: &word("timestamp"),
                min_order_size: &word("min_order_size"),
                tick_size: &word("tick_size"),
                neg_risk: book["neg_risk"].as_bool().unwrap(),
                last_trade_price: &word("last_trade_price"),
                protocol_v2: word("version") == "v2",
            },
            "",
            &levels("bids"),
            &levels("asks"),
        );
        assert_eq!(own, preimage);
        known += 1;
    }
    assert!(5 <= known, "{known} books in today's form");
}

#[test]
fn the_same_seed_writes_the_same_frames() {
    let frames = || {
        let mut world = world();
        let mut stream = polymarket::Stream::new(&world);
        let mut session = kalshi::Session::default();
        let command = json!({"id": 1, "cmd": "subscribe",
            "params": {"channels": ["orderbook_delta", "trade", "ticker"], "market_tickers": tickers(&world)}});
        let mut hasher = DefaultHasher::new();
        session.handle_text(&command.to_string(), &world, START).hash(&mut hasher);
        for number in 1..=600 {
            let happenings = step(&mut world, number);
            for happening in &happenings {
                session.on_event(happening, &world, at(number)).hash(&mut hasher);
            }
            session.on_time(&world, at(number)).hash(&mut hasher);
            for frame in stream.render(&happenings, &world, at(number)) {
                frame.text.hash(&mut hasher);
            }
        }
        hasher.finish()
    };
    assert_eq!(frames(), frames());
}

fn get(world: &World, path: &str, query: &[(&str, &str)]) -> Reply {
    let query: Vec<(String, String)> =
        query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    kalshi_rest::answer(world, path, &query)
}

#[test]
fn kalshis_pages_end_with_an_empty_cursor_and_refuse_what_the_venue_refuses() {
    let world = world();
    let (mut cursor, mut seen) = (String::new(), 0);
    loop {
        let page = read(&get(&world, "/markets", &[("limit", "30"), ("cursor", &cursor)]).body);
        seen += page["markets"].as_array().unwrap().len();
        page["cursor"].as_str().unwrap().clone_into(&mut cursor);
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen, world.catalog().kalshi.len());
    let garbage = get(&world, "/markets", &[("limit", "30"), ("cursor", "?!")]);
    assert_eq!(read(&garbage.body)["markets"].as_array().unwrap().len(), 30, "a garbage cursor is page one");
    let finalized = get(&world, "/markets", &[("status", "finalized")]);
    assert_eq!(finalized.status, 400);
    assert_eq!(read(&finalized.body)["error"]["details"], "invalid status filter");
    let large = get(&world, "/markets", &[("limit", "1001")]);
    assert_eq!(large.status, 400);
    assert!(read(&large.body)["msg"].as_str().unwrap().contains("'lte' tag"));
    assert_eq!(get(&world, "/markets/NOPE", &[]).status, 404);
    let events = read(&get(&world, "/events", &[("with_nested_markets", "true"), ("limit", "200")]).body);
    let nested: usize =
        events["events"].as_array().unwrap().iter().map(|event| event["markets"].as_array().unwrap().len()).sum();
    assert_eq!(nested, world.catalog().kalshi.len());
    for nested in ["true", "false"] {
        let path = format!("/events/{}", world.catalog().kalshi_events[0].ticker);
        let one = read(&get(&world, &path, &[("with_nested_markets", nested)]).body);
        assert!(one["markets"].is_array(), "required by the specification, nested or not");
        assert_eq!(one["event"]["markets"].is_array(), nested == "true");
    }
    let ticker = &world.catalog().kalshi[0].ticker;
    let two = get(&world, "/markets/orderbooks", &[("tickers", ticker), ("tickers", "NOPE")]);
    assert_eq!(read(&two.body)["orderbooks"].as_array().unwrap().len(), 1);
    let book = read(&get(&world, &format!("/markets/{ticker}/orderbook"), &[("depth", "3")]).body);
    assert_eq!(book["orderbook_fp"]["yes_dollars"].as_array().unwrap().len(), 3);
}

#[test]
fn gamma_pages_by_key_and_the_clob_knows_its_tokens() {
    let world = world();
    let ask = |path: &str, query: &[(&str, &str)]| {
        let query: Vec<(String, String)> =
            query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        polymarket_rest::answer(&world, path, &query, START)
    };
    let (mut cursor, mut seen) = (None::<String>, 0);
    loop {
        let mut query = vec![("limit", "500")];
        if let Some(cursor) = &cursor {
            query.push(("after_cursor", cursor));
        }
        let page = read(&ask("/markets/keyset", &query).body);
        let markets = page["markets"].as_array().unwrap();
        assert!(markets.len() <= 100, "a larger limit is cut");
        seen += markets.len();
        for market in markets {
            let ids = if market["version"] == "v2" {
                market["positionIds"].as_array().unwrap().len()
            } else {
                let tokens: Value = read(market["clobTokenIds"].as_str().unwrap());
                tokens.as_array().unwrap().len()
            };
            assert_eq!(ids, 2);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, world.catalog().polymarket.len());
    assert_eq!(ask("/markets/keyset", &[("offset", "10")]).status, 422);
    let v2 = world.catalog().polymarket.iter().find(|market| market.protocol_v2).unwrap();
    assert_eq!(ask(&format!("/clob-markets/{}", v2.condition_id), &[]).status, 200);
    assert_eq!(ask(&format!("/clob-markets/{}", &v2.condition_id[..64]), &[]).status, 404, "62 digits are not enough");
    let book = read(&ask("/book", &[("token_id", &v2.tokens[1])]).body);
    assert_eq!(book["version"], "v2");
    let body = json!([{"token_id": v2.tokens[0]}, {"token_id": "12345"}, {"token_id": v2.tokens[1]}]);
    let books = read(&polymarket_rest::answer_books(&world, &body.to_string()).body);
    assert_eq!(books.as_array().unwrap().len(), 2, "unknown ids are dropped");
    let resolution = read(&ask("/v2/resolutions", &[("condition", &v2.condition_id)]).body);
    assert_eq!(resolution["data"][0]["status"], "active");
}

#[test]
fn a_market_that_opens_late_is_announced_and_then_listed() {
    let mut world = world();
    let mut stream = polymarket::Stream::new(&world);
    let mut watcher = polymarket::Session::default();
    let hello = json!({"assets_ids": [], "type": "market", "custom_feature_enabled": true});
    watcher.handle_text(&hello.to_string(), &stream, &world);
    let mut session = kalshi::Session::default();
    let subscribe = json!({"id": 1, "cmd": "subscribe", "params": {"channels": ["market_lifecycle_v2"]}});
    session.handle_text(&subscribe.to_string(), &world, START);
    let (mut created, mut announced) = (None, None);
    for number in 1..=5_000 {
        let happenings = step(&mut world, number);
        for happening in &happenings {
            for text in session.on_event(happening, &world, at(number)) {
                let frame = read(&text);
                if frame["msg"]["event_type"] == "created" {
                    created = frame["msg"]["market_ticker"].as_str().map(ToOwned::to_owned);
                }
            }
        }
        for frame in stream.render(&happenings, &world, at(number)) {
            if watcher.wants(&frame) {
                let message = read(&frame.text);
                assert_eq!(message["event_type"], "new_market", "nothing else is watched");
                announced = message["clob_token_ids"][0].as_str().map(ToOwned::to_owned);
            }
        }
    }
    assert_eq!(get(&world, &format!("/markets/{}", created.unwrap()), &[]).status, 200);
    let query = [(String::from("token_id"), announced.unwrap())];
    let book = read(&polymarket_rest::answer(&world, "/book", &query, START).body);
    assert!(!book["bids"].as_array().unwrap().is_empty());
}
