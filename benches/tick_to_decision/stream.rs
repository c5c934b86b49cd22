//! Messages: drawn from a seed, or recorded.

use std::{collections::BTreeMap, path::PathBuf};

use fastrand::Rng;
use orion::{
    book::Book,
    lab::recording::Reader,
    unit::{BookSide, FeedId, Grid, MarketId, Nanos, UnixMs},
    venue::{
        Feed, Out, Source,
        kalshi::{self, KalshiFeed},
        polymarket::{self, PolymarketFeed},
    },
    wire::{Arrival, Kind, Trading},
};

use crate::BLOCK;

pub const START_MS: u64 = 1_790_000_000_000;
/// Simulated time between two messages.
const STEP: Nanos = Nanos::new(2_000);

/// One message: where its bytes lie in the block's, and when it came.
pub struct Message {
    pub bytes: std::ops::Range<usize>,
    pub at: Arrival,
}

/// Prices in ten-thousandths and whole contracts, from the touch outwards.
pub type Levels = Vec<(u16, u32)>;

/// A block of messages, and what the other venue's books look like during it.
#[derive(Default)]
pub struct Block {
    pub bytes: Vec<u8>,
    pub messages: Vec<Message>,
    /// Market, then bids and asks from the touch outwards, set before the block.
    pub books: Vec<(u32, [Levels; 2])>,
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
pub type Make = Box<dyn Fn() -> Box<dyn Stream>>;

/// Where messages come from. Market 2·i is Kalshi's, 2·i + 1 Polymarket's of pair i.
pub trait Stream {
    fn pairs(&self) -> usize;
    fn feed(&self) -> Box<dyn Feed>;
    fn names(&self) -> Vec<[String; 2]>;
    /// The next block; `false` once there is none.
    fn next(&mut self, block: &mut Block) -> bool;
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spread {
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
pub struct Generated {
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
    pub fn new(pairs: usize, spread: Spread) -> Self {
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

pub fn arrival(now: Nanos) -> Arrival {
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

pub fn recorded() -> Option<(String, Make)> {
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
