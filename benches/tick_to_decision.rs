//! From a frame's bytes to a decision, beside three yardsticks fed with the same bytes in the same run.
//!
//! * `scan`: one SIMD pass that counts the quotes. Nothing that reads every byte can be faster.
//! * `simd-json`: the same parser as ours, to its tape, with reused buffers; nothing is read from the tape.
//! * `orion`: the venue's feed, `Detector::apply` for each update, one `Detector::turn`.
//! * `rival`: the way public bots do it: a `serde_json::Value`, books in maps keyed by strings and decimals, fees
//!   computed each time, and a look at the pair that moved.
//!
//! Some thousand messages at a time alternate between the four, in an order that rotates, so that what else the machine
//! does falls on all alike. Before anything is timed, `orion` and `rival` decide on the same stream and must agree on every message:
//! which directions are crossed, and the net edge at the touch to the last digit.
//!
//! `cargo bench` measures; `-- --test` (or no `--bench` at all) checks agreement on a short stream and ends.
//! `-- --only NAME --pairs N --messages N` runs one of them alone, for callgrind.

#![allow(clippy::disallowed_methods, reason = "a bench asks for the time")]

use std::{
    collections::{BTreeMap, HashMap},
    hint::black_box,
    path::PathBuf,
    str::FromStr as _,
    time::Instant,
};

use fastrand::Rng;
use orion::{
    book::Book,
    config::{Config, Sources},
    decide::{Odds, Tally},
    lab::recording::Reader,
    ledger::journal::Scratch,
    risk::{Budget, TradingState},
    run::{
        desk::{Desk, Orders},
        detect::{MarketSetup, PairSetup, PaperSetup, Setup},
        event::What,
        given,
    },
    spread::{Direction, Pair, Terms},
    unit::{BookSide, FeedId, Grid, MarketId, Money, Nanos, PairId, Price, Qty, UnixMs, Venue},
    venue::{Feed, Out, Source, kalshi, kalshi::KalshiFeed, polymarket, polymarket::PolymarketFeed},
    wire::{Arrival, Kind, Trading, Update},
};
use rust_decimal::Decimal;
use serde_json::Value;
use simd_json::{Buffers, Tape};

/// Messages timed together: long against the clock's step, short against a scheduler's slice.
const BLOCK: usize = 256;
/// Blocks that one way works through before the next way takes the same ones: nobody's caches are those of another.
const SHIFT: usize = 32;
/// Blocks at the start of a shift that only warm the caches.
const WARM: usize = 12;
/// Shifts of one stream before the next stream's turn; the first one is not counted.
const SLICE: usize = 3;
const SLICES: usize = 3;
/// The venues' fee coefficients of the bench.
const KALSHI_RATE: &str = "0.07";
const POLYMARKET_RATE: &str = "0.04";
const START_MS: u64 = 1_790_000_000_000;
/// Simulated time between two messages.
const STEP: Nanos = Nanos::new(2_000);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)).cloned();
    if let Some(only) = value("--only") {
        let number = |name, otherwise| value(name).map_or(otherwise, |n| n.parse().expect("a number"));
        return alone(&only, number("--pairs", 1_000), number("--messages", 10_000));
    }
    let quick = !args.iter().any(|a| a == "--bench") || args.iter().any(|a| a == "--test");
    let sizes = if quick { [10, 50, 100] } else { [10, 1_000, 10_000] };
    let streams: Vec<(String, Make)> = sizes
        .into_iter()
        .flat_map(|pairs| [(pairs, Spread::Uniform), (pairs, Spread::Zipf)])
        .filter(|(pairs, spread)| *pairs != 10 || *spread == Spread::Uniform)
        .map(|(pairs, spread)| {
            let make = move || Box::new(Generated::new(pairs, spread)) as Box<dyn Stream>;
            (format!("Polymarket, {pairs} pairs, {spread:?}"), Box::new(make) as Make)
        })
        .chain(recorded())
        .collect();
    for (name, make) in &streams {
        agree(name, make().as_mut(), if quick { 4 } else { 100 });
    }
    if quick {
        println!("test mode: agreement only");
        return;
    }
    measure(&streams);
}

// ---------------------------------------------------------------------------------------------------------------------
// Streams.

/// One message: where its bytes lie in the block's, and when it came.
struct Message {
    bytes: std::ops::Range<usize>,
    at: Arrival,
}

/// Prices in ten-thousandths and whole contracts, from the touch outwards.
type Levels = Vec<(u16, u32)>;

/// A block of messages, and what the other venue's books look like during it.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    messages: Vec<Message>,
    /// Market, then bids and asks from the touch outwards, set before the block.
    books: Vec<(u32, [Levels; 2])>,
}

impl Block {
    fn clear(&mut self) {
        self.bytes.clear();
        self.messages.clear();
        self.books.clear();
    }

    fn push(&mut self, bytes: &[u8], at: Arrival) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.messages.push(Message { bytes: start..self.bytes.len(), at });
    }
}

/// Makes a stream anew, from its start.
type Make = Box<dyn Fn() -> Box<dyn Stream>>;

/// Where messages come from. Market 2·i is Kalshi's, 2·i + 1 Polymarket's of pair i.
trait Stream {
    fn pairs(&self) -> usize;
    fn feed(&self) -> Box<dyn Feed>;
    fn names(&self) -> Vec<[String; 2]>;
    /// The next block; `false` once there is none.
    fn next(&mut self, block: &mut Block) -> bool;
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Spread {
    Uniform,
    Zipf,
}

struct Walker {
    /// Where Kalshi's book stands, in cents.
    home: i32,
    /// Where Polymarket's touch is to be.
    here: i32,
    bids: BTreeMap<i32, u32>,
    asks: BTreeMap<i32, u32>,
}

/// Polymarket `price_change` frames in the documented shape: both tokens' entries, absolute sizes, a hash each.
struct Generated {
    rng: Rng,
    walkers: Vec<Walker>,
    names: Vec<[String; 2]>,
    seconds: Vec<String>,
    conditions: Vec<String>,
    /// Cumulative weights, for Zipf.
    weights: Vec<f64>,
    now: Nanos,
    opened: bool,
}

impl Generated {
    fn new(pairs: usize, spread: Spread) -> Self {
        let mut rng = Rng::with_seed(7);
        let mut token = || (0..77).map(|at| char::from(b'0' + rng.u8(u8::from(at == 0)..10))).collect::<String>();
        let names = (0..pairs).map(|at| [format!("KXBENCH-26DEC31-T{at:05}"), token()]).collect();
        let seconds = (0..pairs).map(|_| token()).collect();
        let conditions = (0..pairs).map(|_| format!("0x{:032x}{:032x}", rng.u128(..), rng.u128(..))).collect();
        let walkers = (0..pairs).map(|_| {
            let home = rng.i32(20..80);
            let side = |step: i32, rng: &mut Rng| (1..15).map(|d| (home + step * d, rng.u32(1..9_000))).collect();
            Walker { home, here: home, bids: side(-1, &mut rng), asks: side(1, &mut rng) }
        });
        let walkers = walkers.collect();
        let mut sum = 0.0;
        let weights = (0..pairs).map(|at| {
            sum += if spread == Spread::Zipf { 1.0 / (at + 1) as f64 } else { 1.0 };
            sum
        });
        let weights = weights.collect();
        Self { rng, walkers, names, seconds, conditions, weights, now: Nanos::secs(1), opened: false }
    }

    fn pick(&mut self) -> usize {
        let all = self.weights.last().copied().expect("at least one pair");
        let drawn = self.rng.f64() * all;
        self.weights.partition_point(|w| *w <= drawn).min(self.weights.len() - 1)
    }

    /// The next change of a pair's first token: side, price in cents, size.
    fn change(&mut self, pair: usize) -> (BookSide, i32, u32) {
        let (rng, walker) = (&mut self.rng, &mut self.walkers[pair]);
        if rng.u8(..8) == 0 {
            // Back home more often than away, so that the venues disagree now and then, and not for long.
            let home = (walker.home - walker.here).signum();
            let step = if home == 0 || rng.u8(..10) < 3 { [-1, 1][rng.usize(..2)] } else { home };
            walker.here = (walker.here + step).clamp(walker.home - 7, walker.home + 7);
        }
        let (bid, ask) = (walker.bids.keys().next_back().copied(), walker.asks.keys().next().copied());
        if let Some(bid) = bid.filter(|bid| walker.here <= *bid) {
            walker.bids.remove(&bid);
            return (BookSide::Bid, bid, 0);
        }
        if let Some(ask) = ask.filter(|ask| *ask <= walker.here) {
            walker.asks.remove(&ask);
            return (BookSide::Ask, ask, 0);
        }
        let far = 1 + rng.i32(0..6) + rng.i32(0..6) * i32::from(rng.bool());
        let (side, levels, price) = if rng.bool() {
            (BookSide::Bid, &mut walker.bids, walker.here - far)
        } else {
            (BookSide::Ask, &mut walker.asks, walker.here + far)
        };
        if levels.contains_key(&price) && rng.u8(..10) < 4 {
            levels.remove(&price);
            return (side, price, 0);
        }
        let size = rng.u32(1..9_000);
        levels.insert(price, size);
        (side, price, size)
    }

    fn frame(&mut self, at: Arrival) -> String {
        let pair = self.pick();
        let (side, cents, size) = self.change(pair);
        let touch = |w: &Walker| (w.bids.keys().next_back().copied(), w.asks.keys().next().copied());
        let (bid, ask) = touch(&self.walkers[pair]);
        let (bid, ask) = (bid.unwrap_or(0), ask.unwrap_or(100));
        let part = self.rng.u8(10..100);
        let size = if size == 0 { "0".to_owned() } else { format!("{size}.{part}") };
        let entry = |token: &str, cents: i32, side: &str, hash: [u128; 2], bid: i32, ask: i32| {
            format!(
                "{{\"asset_id\":\"{token}\",\"price\":\"{}\",\"size\":\"{size}\",\"side\":\"{side}\",\
                 \"hash\":\"{:032x}{:08x}\",\"best_bid\":\"{}\",\"best_ask\":\"{}\"}}",
                dollars(cents),
                hash[0],
                hash[1] as u32,
                dollars(bid),
                dollars(ask)
            )
        };
        let mut hash = || [self.rng.u128(..), self.rng.u128(..)];
        let (own, mirrored) = if side == BookSide::Bid { ("BUY", "SELL") } else { ("SELL", "BUY") };
        let first = entry(&self.names[pair][1], cents, own, hash(), bid, ask);
        let second = entry(&self.seconds[pair], 100 - cents, mirrored, hash(), 100 - ask, 100 - bid);
        format!(
            "{{\"market\":\"{}\",\"price_changes\":[{first},{second}],\"timestamp\":\"{}\",\"event_type\":\"price_change\"}}",
            self.conditions[pair],
            at.unix.raw()
        )
    }

    /// The first message: every book.
    fn books(&self, at: Arrival) -> String {
        let books = (0..self.walkers.len()).map(|pair| {
            let levels = |levels: &BTreeMap<i32, u32>| {
                let list = levels.iter().map(|(c, s)| format!("{{\"price\":\"{}\",\"size\":\"{s}\"}}", dollars(*c)));
                list.collect::<Vec<_>>().join(",")
            };
            let walker = &self.walkers[pair];
            format!(
                "{{\"market\":\"{}\",\"asset_id\":\"{}\",\"timestamp\":\"{}\",\"bids\":[{}],\"asks\":[{}],\"event_type\":\"book\"}}",
                self.conditions[pair],
                self.names[pair][1],
                at.unix.raw(),
                levels(&walker.bids),
                levels(&walker.asks)
            )
        });
        format!("[{}]", books.collect::<Vec<_>>().join(","))
    }
}

fn dollars(cents: i32) -> String {
    format!("0.{cents:02}")
}

impl Stream for Generated {
    fn pairs(&self) -> usize {
        self.walkers.len()
    }

    fn feed(&self) -> Box<dyn Feed> {
        let wanted = self.names.iter().zip(&self.seconds).enumerate().map(|(at, (names, second))| {
            let tokens = [names[1].clone(), second.clone()];
            polymarket::feed::Wanted { id: MarketId(2 * at as u32 + 1), tokens }
        });
        Box::new(PolymarketFeed::new(Source { feed: FeedId(1), link: 0 }, wanted.collect()))
    }

    fn names(&self) -> Vec<[String; 2]> {
        self.names.clone()
    }

    fn next(&mut self, block: &mut Block) -> bool {
        block.clear();
        if !self.opened {
            self.opened = true;
            for (at, walker) in self.walkers.iter().enumerate() {
                let side = |step: i32| (1..12).map(|d| (100 * (walker.home + step * d) as u16, 500)).collect();
                block.books.push((2 * at as u32, [side(-1), side(1)]));
            }
            let at = arrival(self.now);
            let books = self.books(at);
            block.push(books.as_bytes(), at);
            return true;
        }
        for _ in 0..BLOCK {
            self.now = self.now + STEP;
            let at = arrival(self.now);
            let frame = self.frame(at);
            block.push(frame.as_bytes(), at);
        }
        true
    }
}

fn arrival(now: Nanos) -> Arrival {
    Arrival { now, unix: UnixMs::new(START_MS + now.raw() / 1_000_000) }
}

/// One connection of a recording of Kalshi's socket, every frame of it, as it came.
struct Recorded {
    reader: Reader,
    ticker: String,
    /// A book of its own, to lay the other venue's around its touch.
    own: (KalshiFeed, Out, Book),
}

const RECORDING: &str = "kalshi/ws/prod_2026-05-15_btc15m_15min.jsonl.gz";

fn recorded() -> Option<(String, Make)> {
    let root = std::env::var_os("ORION_FIXTURES").map_or_else(|| PathBuf::from("../shared/fixtures"), PathBuf::from);
    let path = root.join(RECORDING);
    if !path.exists() {
        println!("skipped: no recording at {}", path.display());
        return None;
    }
    let make = move || {
        let ticker = "KXBTC15M-26MAY151530-30".to_owned();
        let reader = Reader::open(&path).expect("the recording opens");
        let mut feed = carrying(&ticker);
        let mut out = Out::default();
        feed.opened(arrival(Nanos::secs(1)), &mut out);
        let book = Book::new(Grid::even(10).expect("it divides a dollar"), Trading::Open);
        Box::new(Recorded { reader, ticker, own: (feed, out, book) }) as Box<dyn Stream>
    };
    Some(("Kalshi, recorded, 1 pair".into(), Box::new(make)))
}

/// Kalshi's feed for one market.
fn carrying(ticker: &str) -> KalshiFeed {
    let wanted = kalshi::feed::Wanted { id: MarketId(0), ticker: ticker.into(), event: String::new() };
    KalshiFeed::new(Source { feed: FeedId(0), link: 0 }, vec![wanted], false)
}

impl Stream for Recorded {
    fn pairs(&self) -> usize {
        1
    }

    fn feed(&self) -> Box<dyn Feed> {
        Box::new(carrying(&self.ticker))
    }

    fn names(&self) -> Vec<[String; 2]> {
        vec![[self.ticker.clone(), "1".into()]]
    }

    fn next(&mut self, block: &mut Block) -> bool {
        block.clear();
        // Polymarket's book lies a cent around Kalshi's touch, so that both disagree as rarely as they do.
        let (feed, out, book) = &mut self.own;
        if let (Some((bid, _)), Some((ask, _))) = (book.bids.best(), book.asks.best()) {
            let side = |from: i32, step: i32| {
                let prices = (1..12).map(|d| (from / 100 + step * d) * 100).filter(|p| (100..10_000).contains(p));
                prices.map(|p| (p as u16, 500)).collect()
            };
            block.books.push((1, [side(i32::from(bid.raw()), -1), side(i32::from(ask.raw()) + 99, 1)]));
        }
        while block.messages.len() < BLOCK {
            let Some((_, frame)) = self.reader.next_line().expect("the recording reads") else { return false };
            // Connection 2 is the quarter hour that is recorded whole.
            if let Some(frame) = frame.filter(|frame| frame.conn == 2) {
                block.push(&frame.bytes, frame.at);
                let mut bytes = frame.bytes;
                out.updates.clear();
                feed.text(&mut bytes, frame.at, out);
                out.updates.iter().filter(|u| u.kind != Kind::Alive).for_each(|u| _ = book.apply(u));
            }
        }
        true
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Ours.

struct Orion {
    feed: Box<dyn Feed>,
    out: Out,
    desk: Desk<Scratch>,
}

impl Orion {
    fn new(stream: &dyn Stream) -> Self {
        let env = vec![("STATE_DIRECTORY".into(), "/nowhere".into())];
        let sources = Sources { env, ..Sources::default() };
        let config = Config::load(&sources).expect("the defaults are sound").config;
        let grid = |venue| Grid::even(if venue == Venue::Kalshi { 10 } else { 100 }).expect("it divides a dollar");
        let terms = |venue| Terms {
            venue,
            fee: match venue {
                Venue::Kalshi => kalshi::fee_curve("quadratic", 1_000_000).expect("a known type"),
                Venue::Polymarket => polymarket::fee_curve(40_000, 1).expect("a known power"),
            },
            grid: grid(venue),
            qty_step: Qty::new(10_000).expect("a hundredth"),
            qty_min: Qty::whole(5),
            cost_min: Money::ZERO,
            shard: 0,
            hold: Nanos::ZERO,
            closes: None,
            game: None,
            settles: UnixMs::new(START_MS + 86_400_000 * 30),
        };
        let markets = (0..2 * stream.pairs()).map(|at| MarketSetup {
            terms: terms(Venue::ALL[at % 2]),
            trading: Trading::Open,
            polled: false,
        });
        let pairs = (0..stream.pairs() as u32).map(|at| PairSetup {
            pair: Pair { kalshi: MarketId(2 * at), polymarket: MarketId(2 * at + 1), inverted: false },
            event: at,
            barred: None,
            odds: Odds::prior(false),
            tally: Tally::default(),
        });
        let bankroll = config.capital.initial_bankroll;
        let setup = Setup {
            markets: markets.collect(),
            pairs: pairs.collect(),
            feeds: 2,
            rules: given::rules(&config),
            limits: given::limits(&config),
            budget: Budget::new(given::shares(&config), bankroll, given::allocation(&config), stream.pairs()),
            state: TradingState::Active,
            paper: PaperSetup { latency: [Nanos::millis(50); 2] },
            leg_order: config.trading.leg_order,
            leaving: given::leaving(&config),
            next_id: 0,
            regrids: 0,
            held: Vec::new(),
            open: Vec::new(),
        };
        let mut orion = Self {
            feed: stream.feed(),
            out: Out::default(),
            desk: Desk::new(setup, Orders::unkept(given::closing(&config))),
        };
        orion.feed.opened(arrival(Nanos::secs(1)), &mut orion.out);
        orion
    }

    /// The other venue's books, past its feed.
    fn set(&mut self, block: &Block) {
        let Some(at) = block.messages.first().map(|m| m.at) else { return };
        for (market, sides) in &block.books {
            let market = MarketId(*market);
            let feed = FeedId((market.0 % 2) as u8);
            let mut apply = |kind| {
                let update = Update { market, feed, link: 0, at, stamp: UnixMs::default(), kind };
                self.desk.apply(&update);
            };
            apply(Kind::Reset);
            for (side, levels) in [BookSide::Bid, BookSide::Ask].into_iter().zip(sides) {
                for (price, size) in levels {
                    let price = Price::new(*price).expect("inside a dollar");
                    apply(Kind::Level { side, price, qty: Qty::whole(*size) });
                }
            }
            apply(Kind::Synced);
        }
    }

    fn message(&mut self, bytes: &mut [u8], at: Arrival) {
        self.out.updates.clear();
        self.out.shadows.clear();
        self.out.sends.clear();
        self.desk.events().clear();
        self.desk.resnapshots().clear();
        self.feed.text(bytes, at, &mut self.out);
        for update in &self.out.updates {
            self.desk.apply(update);
        }
        self.desk.turn(at);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The usual way.

#[derive(Default)]
struct DecimalBook {
    bids: BTreeMap<Decimal, Decimal>,
    asks: BTreeMap<Decimal, Decimal>,
}

/// Net edge at the touch by direction, where crossed.
type Edges = [Option<Decimal>; 2];

struct Rival {
    books: HashMap<String, DecimalBook>,
    /// Ticker or token to pair.
    pairs: HashMap<String, usize>,
    names: Vec<[String; 2]>,
    rates: [Decimal; 2],
    threshold: Decimal,
}

impl Rival {
    fn new(stream: &dyn Stream) -> Self {
        let names = stream.names();
        let pairs = names.iter().enumerate().flat_map(|(at, n)| n.iter().map(move |n| (n.clone(), at))).collect();
        let rates = [KALSHI_RATE, POLYMARKET_RATE].map(|rate| decimal(&Value::from(rate)).expect("a number"));
        Self { books: HashMap::new(), pairs, names, rates, threshold: Decimal::new(1, 2) }
    }

    fn set(&mut self, block: &Block) {
        for (market, sides) in &block.books {
            let name = &self.names[*market as usize / 2][*market as usize % 2];
            let side = |at: usize| {
                let levels = sides[at].iter();
                levels.map(|(price, size)| (Decimal::new(i64::from(*price), 4), Decimal::from(*size))).collect()
            };
            self.books.insert(name.clone(), DecimalBook { bids: side(0), asks: side(1) });
        }
    }

    fn message(&mut self, bytes: &[u8]) -> Option<(usize, Edges)> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let mut moved = None;
        match &value {
            Value::Array(books) => books.iter().for_each(|book| self.book(book)),
            _ => match (value["event_type"].as_str(), value["type"].as_str()) {
                (Some("price_change"), _) => {
                    for change in value["price_changes"].as_array()? {
                        let asset = change["asset_id"].as_str()?;
                        let book = self.books.entry(asset.to_string()).or_default();
                        let side = if change["side"] == "BUY" { &mut book.bids } else { &mut book.asks };
                        let (price, size) = (decimal(&change["price"])?, decimal(&change["size"])?);
                        if size.is_zero() {
                            side.remove(&price);
                        } else {
                            side.insert(price, size);
                        }
                        moved = moved.or(self.pairs.get(asset).copied());
                    }
                }
                (_, Some("orderbook_delta")) => {
                    let msg = &value["msg"];
                    let ticker = msg["market_ticker"].as_str()?;
                    let book = self.books.entry(ticker.to_string()).or_default();
                    let (price, change) = (decimal(&msg["price_dollars"])?, decimal(&msg["delta_fp"])?);
                    let (side, price) = if msg["side"] == "yes" {
                        (&mut book.bids, price)
                    } else {
                        (&mut book.asks, Decimal::ONE - price)
                    };
                    let level = side.entry(price).or_default();
                    *level += change;
                    if level.is_zero() {
                        side.remove(&price);
                    }
                    moved = self.pairs.get(ticker).copied();
                }
                (_, Some("orderbook_snapshot")) => {
                    let msg = &value["msg"];
                    let levels = |name: &str, no: bool| {
                        let levels = msg[name].as_array().into_iter().flatten();
                        let level = |l: &Value| Some((decimal(&l[0])?, decimal(&l[1])?));
                        let levels = levels.filter_map(level);
                        levels.map(|(p, q)| (if no { Decimal::ONE - p } else { p }, q)).collect()
                    };
                    let ticker = msg["market_ticker"].as_str()?;
                    let book =
                        DecimalBook { bids: levels("yes_dollars_fp", false), asks: levels("no_dollars_fp", true) };
                    self.books.insert(ticker.to_string(), book);
                    moved = self.pairs.get(ticker).copied();
                }
                _ => {}
            },
        }
        let pair = moved?;
        Some((pair, self.check(pair)))
    }

    fn book(&mut self, book: &Value) {
        let levels = |name: &str| {
            let levels = book[name].as_array().into_iter().flatten();
            levels.filter_map(|l| Some((decimal(&l["price"])?, decimal(&l["size"])?))).collect()
        };
        let Some(asset) = book["asset_id"].as_str() else { return };
        self.books.insert(asset.to_string(), DecimalBook { bids: levels("bids"), asks: levels("asks") });
    }

    fn check(&self, pair: usize) -> Edges {
        let names = &self.names[pair];
        let (Some(kalshi), Some(polymarket)) = (self.books.get(&names[0]), self.books.get(&names[1])) else {
            return [None; 2];
        };
        let buy = |yes: &DecimalBook, no: &DecimalBook, rates: [Decimal; 2]| {
            let yes = *yes.asks.keys().next()?;
            let no = Decimal::ONE - *no.bids.keys().next_back()?;
            let gross = Decimal::ONE - yes - no;
            if gross <= Decimal::ZERO {
                return None;
            }
            let net = gross - rates[0] * yes * (Decimal::ONE - yes) - rates[1] * no * (Decimal::ONE - no);
            black_box(self.threshold <= net);
            Some(net)
        };
        let [k, p] = self.rates;
        [buy(kalshi, polymarket, [k, p]), buy(polymarket, kalshi, [p, k])]
    }
}

fn decimal(value: &Value) -> Option<Decimal> {
    Decimal::from_str(value.as_str()?).ok()
}

// ---------------------------------------------------------------------------------------------------------------------
// Yardsticks.

/// simd-json to its tape, buffers and tape reused.
struct Json {
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Json {
    fn new() -> Self {
        Self { buffers: Buffers::new(64 * 1024), tape: Tape(Vec::with_capacity(4_096)) }
    }

    fn message(&mut self, bytes: &mut [u8]) {
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        simd_json::fill_tape(bytes, &mut self.buffers, &mut tape).expect("every message is JSON");
        black_box(tape.0.len());
        self.tape = tape.reset();
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Runs.

/// Both ways of deciding, message by message.
fn agree(name: &str, stream: &mut dyn Stream, blocks: usize) {
    let (mut orion, mut rival) = (Orion::new(stream), Rival::new(stream));
    let mut open: Vec<[Option<u64>; 2]> = vec![[None; 2]; stream.pairs()];
    let mut by_id: HashMap<u64, (usize, usize)> = HashMap::new();
    let (mut block, mut messages, mut crossed, mut winning) = (Block::default(), 0_u64, 0_u64, 0_u64);
    for _ in 0..blocks {
        if !stream.next(&mut block) {
            break;
        }
        orion.set(&block);
        rival.set(&block);
        let mut told = 0;
        for message in &block.messages {
            let theirs = rival.message(&block.bytes[message.bytes.clone()]);
            let mut bytes = block.bytes[message.bytes.clone()].to_vec();
            orion.message(&mut bytes, message.at);
            for event in orion.desk.events().iter() {
                match event.what {
                    What::Sighted { id, pair: PairId(pair), direction, quote, .. } => {
                        let (pair, direction) = (pair as usize, direction as usize);
                        open[pair][direction] = Some(id);
                        by_id.insert(id, (pair, direction));
                        // Told when it appears or improves: the figures are this message's.
                        let Some((moved, edges)) = theirs.filter(|(moved, _)| *moved == pair) else { continue };
                        let net = edges[direction].unwrap_or_else(|| panic!("{name}: only orion sees pair {moved}"));
                        let exact = net * Decimal::from(100_000_000_000_000_i64);
                        assert_eq!(Decimal::from(quote.net.raw()), exact, "{name}: net edge of pair {pair}");
                        told += 1;
                    }
                    What::Ended { id } => {
                        let (pair, direction) = by_id[&id];
                        open[pair][direction] = None;
                    }
                    _ => {}
                }
            }
            if let Some((pair, edges)) = theirs {
                let ours = open[pair].map(|sighting| sighting.is_some());
                assert_eq!(ours, edges.map(|e| e.is_some()), "{name}: crossed directions of pair {pair}");
                crossed += u64::from(edges.iter().any(Option::is_some));
                winning += u64::from(edges.iter().flatten().any(|net| Decimal::ZERO < *net));
            }
            messages += 1;
        }
        black_box(told);
    }
    assert_eq!(orion.feed.counts().malformed, 0, "{name}: every message is read");
    println!("{name}: {messages} messages decided alike ({crossed} with a crossed touch, {winning} with a net edge)");
}

/// Everything that is timed for one stream.
struct Lane<'a> {
    name: &'a str,
    stream: Box<dyn Stream>,
    orion: Orion,
    rival: Rival,
    json: Json,
    /// Nanoseconds per message by block: scan, simd-json, orion, rival.
    times: [Vec<f64>; 4],
    bytes: (u64, u64),
    over: bool,
}

fn measure(streams: &[(String, Make)]) {
    let mut lanes: Vec<Lane<'_>> = streams
        .iter()
        .map(|(name, make)| {
            let stream = make();
            let (orion, rival) = (Orion::new(stream.as_ref()), Rival::new(stream.as_ref()));
            Lane {
                name,
                stream,
                orion,
                rival,
                json: Json::new(),
                times: Default::default(),
                bytes: (0, 0),
                over: false,
            }
        })
        .collect();
    let (mut blocks, mut copy): ([Block; SHIFT], Vec<u8>) = (std::array::from_fn(|_| Block::default()), Vec::new());
    for _ in 0..SLICES {
        for lane in &mut lanes {
            for at in 0..SLICE {
                lane.shift(&mut blocks, &mut copy, at);
            }
        }
    }
    println!("\nns per message, median of blocks of {BLOCK} (25 % and 75 % in brackets)\n");
    println!(
        "| stream | bytes | scan | simd-json | orion | rival | orion ÷ scan | orion ÷ simd-json | rival ÷ orion |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut medians = HashMap::new();
    for lane in &mut lanes {
        let cells = lane.times.each_mut().map(|times| {
            times.sort_by(f64::total_cmp);
            [1, 2, 3].map(|quarter| times[times.len() * quarter / 4])
        });
        let [scan, json, orion, rival] = cells.map(|c| c[1]);
        let text = cells.map(|c| format!("{:.0} ({:.0}–{:.0})", c[1], c[0], c[2]));
        println!(
            "| {} | {} | {} | {} | {} | {} | {:.1} | {:.2} | {:.1} |",
            lane.name,
            lane.bytes.0 / lane.bytes.1.max(1),
            text[0],
            text[1],
            text[2],
            text[3],
            orion / scan,
            orion / json,
            rival / orion
        );
        medians.insert(lane.name.to_owned(), orion);
    }
    let of = |name: &str| medians.get(&format!("Polymarket, {name}")).copied();
    if let (Some(few), Some(many), Some(skewed)) =
        (of("10 pairs, Uniform"), of("10000 pairs, Uniform"), of("10000 pairs, Zipf"))
    {
        println!("\norion, 10 → 10,000 pairs: × {:.2} uniform, × {:.2} Zipf", many / few, skewed / few);
    }
}

impl Lane<'_> {
    fn shift(&mut self, blocks: &mut [Block; SHIFT], copy: &mut Vec<u8>, at: usize) {
        for block in &mut *blocks {
            self.over |= self.over || !self.stream.next(block);
        }
        if self.over {
            return;
        }
        for turn in 0..4 {
            let which = (turn + at) % 4;
            for (nth, block) in blocks.iter().enumerate() {
                match which {
                    2 => self.orion.set(block),
                    3 => self.rival.set(block),
                    _ => {}
                }
                copy.clear();
                copy.extend_from_slice(&block.bytes);
                let began = Instant::now();
                match which {
                    0 => block.messages.iter().for_each(|m| {
                        black_box(memchr::memchr_iter(b'"', &copy[m.bytes.clone()]).count());
                    }),
                    1 => block.messages.iter().for_each(|m| self.json.message(&mut copy[m.bytes.clone()])),
                    2 => block.messages.iter().for_each(|m| self.orion.message(&mut copy[m.bytes.clone()], m.at)),
                    _ => block.messages.iter().for_each(|m| {
                        black_box(self.rival.message(&copy[m.bytes.clone()]));
                    }),
                }
                let spent = began.elapsed().as_nanos() as f64;
                // The first message of a stream may hold every book; it is no tick.
                if 0 < at && WARM <= nth && block.messages.len() == BLOCK {
                    self.times[which].push(spent / BLOCK as f64);
                    if which == 0 {
                        self.bytes.0 += block.bytes.len() as u64;
                        self.bytes.1 += BLOCK as u64;
                    }
                }
            }
        }
    }
}

/// One way alone over a generated stream, for a tool that counts instructions. `none` makes the stream and copies it.
fn alone(name: &str, pairs: usize, messages: usize) {
    let mut stream = Generated::new(pairs, Spread::Uniform);
    let (mut orion, mut rival, mut json) = (Orion::new(&stream), Rival::new(&stream), Json::new());
    let (mut block, mut copy) = (Block::default(), Vec::new());
    for _ in 0..=messages.div_ceil(BLOCK) {
        stream.next(&mut block);
        orion.set(&block);
        rival.set(&block);
        copy.clear();
        copy.extend_from_slice(&block.bytes);
        for message in &block.messages {
            let bytes = &mut copy[message.bytes.clone()];
            match name {
                "none" => {}
                "scan" => _ = black_box(memchr::memchr_iter(b'"', bytes).count()),
                "simd-json" => json.message(bytes),
                "orion" => orion.message(bytes, message.at),
                "rival" => _ = black_box(rival.message(bytes)),
                other => panic!("{other}: none, scan, simd-json, orion or rival"),
            }
        }
    }
    black_box(Direction::ALL);
}
