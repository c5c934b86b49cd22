//! From decrypted bytes to decision nothing is allocated once warm: counted, not hoped.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::BTreeMap,
    io::Write as _,
};

use common::desk::{self, price};
use orion::{
    decide::Odds,
    lab::{
        recording::Reader,
        replay::{cast, finest},
    },
    ledger::journal::Scratch,
    risk::{Budget, budget::Shares},
    run::event::What,
    run::{
        desk::{Desk, Orders},
        detect::{MarketSetup, PairSetup},
    },
    spread::Pair,
    unit::{FeedId, MarketId, Money, Nanos, Venue},
    venue::{
        Feed, Out, Source,
        kalshi::{self, KalshiFeed},
        polymarket::{self, PolymarketFeed},
    },
    wire::Trading,
};

/// Counts what this thread asks of the allocator.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // During the end of a thread there is nothing to count for.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: every call is handed to the system's allocator unchanged; counting touches a thread-local without a
// destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn asked() -> u64 {
    ASKED.with(Cell::get)
}

/// Messages before the count starts, and messages counted.
const WARM: u64 = 20_000;
const COUNTED: u64 = 1_000_000;
/// Pairs on the desk: Kalshi's markets have the even numbers, Polymarket's the odd ones.
const PAIRS: u32 = 8;

/// The way of a message through the engine, with everything that lives on it.
struct Path {
    desk: Desk<Scratch>,
    out: Out,
    messages: u64,
    counted: u64,
    allocations: u64,
    sightings: u64,
    plans: u64,
    fills: u64,
}

impl Path {
    fn new(change: impl FnOnce(&mut orion::run::detect::Setup)) -> Self {
        let mut setup = desk::setup(desk::POLITICS);
        change(&mut setup);
        let desk = Desk::new(setup, Orders::unkept(desk::BUDGET));
        Self { desk, out: Out::default(), messages: 0, counted: 0, allocations: 0, sightings: 0, plans: 0, fills: 0 }
    }

    /// One message, from its bytes to the decision.
    fn message(&mut self, feed: &mut dyn Feed, bytes: &mut [u8], now: Nanos) {
        // A new connection's first whole book lays out the memory of its parser.
        let warm = WARM < self.messages && 0 < feed.counts().snapshots;
        let at = desk::at(now);
        let before = asked();
        feed.text(bytes, at, &mut self.out);
        for update in &self.out.updates {
            self.desk.apply(update);
        }
        self.desk.turn(at);
        let after = asked();
        self.messages += 1;
        if warm && self.out.sends.is_empty() {
            self.counted += 1;
            self.allocations += after - before;
        }
        for event in self.desk.events().iter() {
            match event.what {
                What::Sighted { .. } => self.sightings += 1,
                What::Planned { .. } => self.plans += 1,
                What::Filled { .. } => self.fills += 1,
                _ => {}
            }
        }
        self.out.updates.clear();
        self.out.shadows.clear();
        self.out.sends.clear();
        self.out.lost = None;
        self.desk.events().clear();
        self.desk.resnapshots().clear();
    }
}

fn ticker(pair: u32) -> String {
    format!("KXFED-26DEC-T{pair}")
}

fn token(pair: u32, outcome: u32) -> String {
    format!("7{pair:02}{outcome}4187349213847519234857192384756192837465918237465918273465918273465")
}

fn feeds() -> (KalshiFeed, PolymarketFeed) {
    let kalshi = (0..PAIRS).map(|pair| kalshi::feed::Wanted {
        id: MarketId(2 * pair),
        ticker: ticker(pair),
        event: "KXFED-26DEC".into(),
    });
    let polymarket = (0..PAIRS)
        .map(|pair| polymarket::feed::Wanted { id: MarketId(2 * pair + 1), tokens: [token(pair, 0), token(pair, 1)] });
    let source = |feed| Source { feed: FeedId(feed), link: 0 };
    (KalshiFeed::new(source(0), kalshi.collect(), false), PolymarketFeed::new(source(1), polymarket.collect()))
}

/// Frames in the documented shapes from a seed: deltas, prices changes of both tokens, whole books, prints and answers.
struct Frames {
    random: u64,
    seq: u64,
    /// Hundredths of a contract by pair, leg and cent, so that no change takes a level below zero.
    held: BTreeMap<(u32, bool, u32), u64>,
}

impl Frames {
    fn draw(&mut self, below: u64) -> u64 {
        // Knuth's generator: the same stream on every machine.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn snapshot(&mut self, pair: u32, into: &mut Vec<u8>) {
        self.seq += 1;
        let (seq, ticker) = (self.seq, ticker(pair));
        write!(
            into,
            "{{\"type\":\"orderbook_snapshot\",\"sid\":3,\"seq\":{seq},\"msg\":{{\"market_ticker\":\"{ticker}\","
        )
        .unwrap();
        write!(into, "\"market_id\":\"5f1c\",\"yes_dollars_fp\":[[\"0.4000\",\"300.00\"]],").unwrap();
        write!(into, "\"no_dollars_fp\":[[\"0.4000\",\"300.00\"]]}}}}").unwrap();
        self.held.insert((pair, true, 40), 30_000);
        self.held.insert((pair, false, 40), 30_000);
    }

    fn delta(&mut self, stamp: u64, into: &mut Vec<u8>) {
        let (pair, yes) = (self.draw(u64::from(PAIRS)) as u32, self.draw(2) == 0);
        let cent = 30 + self.draw(18) as u32; // Bids up to 0.47, asks from 0.53: never crossed within the venue.
        let held = self.held.entry((pair, yes, cent)).or_default();
        let before = *held;
        let to = if before == 0 { 100 + self.draw(60_000) } else { self.draw(2) * 5_000 };
        self.held.insert((pair, yes, cent), to);
        self.seq += 1;
        let (sign, change) = (if to < before { "-" } else { "" }, to.abs_diff(before));
        let (seq, ticker, side) = (self.seq, ticker(pair), if yes { "yes" } else { "no" });
        let (whole, part) = (change / 100, change % 100);
        write!(
            into,
            "{{\"type\":\"orderbook_delta\",\"sid\":3,\"seq\":{seq},\"msg\":{{\"market_ticker\":\"{ticker}\",\
             \"market_id\":\"5f1c\",\"price_dollars\":\"0.{cent:02}00\",\"delta_fp\":\"{sign}{whole}.{part:02}\",\
             \"side\":\"{side}\",\"ts\":\"2026-09-21T15:33:20Z\",\"ts_ms\":{stamp}}},\"sending_ts_ms\":{stamp}}}",
        )
        .unwrap();
    }

    fn price_change(&mut self, stamp: u64, into: &mut Vec<u8>) {
        let (pair, buy) = (self.draw(u64::from(PAIRS)) as u32, self.draw(2) == 0);
        let cent = if buy { 40 + self.draw(20) } else { 62 + self.draw(20) }; // Above Kalshi's asks, now and then.
        let size = self.draw(3) * 250;
        let (side, mirrored) = if buy { ("BUY", "SELL") } else { ("SELL", "BUY") };
        let (first, second, other) = (token(pair, 0), token(pair, 1), 100 - cent);
        let hash = "0123456789abcdef0123456789abcdef01234567";
        write!(
            into,
            "{{\"market\":\"0xc0{pair}\",\"price_changes\":[{{\"asset_id\":\"{first}\",\"price\":\"0.{cent:02}\",\
             \"size\":\"{size}\",\"side\":\"{side}\",\"hash\":\"{hash}\",\"best_bid\":\"0.4\",\"best_ask\":\"0.6\"}},\
             {{\"asset_id\":\"{second}\",\"price\":\"0.{other:02}\",\"size\":\"{size}\",\"side\":\"{mirrored}\",\
             \"hash\":\"{hash}\",\"best_bid\":\"0.4\",\"best_ask\":\"0.6\"}}],\
             \"timestamp\":\"{stamp}\",\"event_type\":\"price_change\"}}",
        )
        .unwrap();
    }

    fn book(&mut self, pair: u32, stamp: u64, into: &mut Vec<u8>) {
        let first = token(pair, 0);
        write!(into, "{{\"market\":\"0xc0{pair}\",\"asset_id\":\"{first}\",\"timestamp\":\"{stamp}\",\"hash\":\"ab\",")
            .unwrap();
        for (name, from, comma) in [("bids", 20, ","), ("asks", 62, ",")] {
            write!(into, "\"{name}\":[").unwrap();
            for level in 0..24_u64 {
                let (between, cent, size) = (if level == 0 { "" } else { "," }, from + level, 10 + self.draw(900));
                write!(into, "{between}{{\"price\":\"0.{cent:02}\",\"size\":\"{size}.5\"}}").unwrap();
            }
            write!(into, "]{comma}").unwrap();
        }
        write!(into, "\"tick_size\":\"0.01\",\"event_type\":\"book\",\"last_trade_price\":\"0.470\"}}").unwrap();
    }

    fn print(&mut self, stamp: u64, into: &mut Vec<u8>) {
        let token = token(self.draw(u64::from(PAIRS)) as u32, 0);
        write!(
            into,
            "{{\"market\":\"0xc0\",\"asset_id\":\"{token}\",\"price\":\"0.47\",\"size\":\"12.5\",\"fee_rate_bps\":\"0\",\
             \"side\":\"BUY\",\"timestamp\":\"{stamp}\",\"event_type\":\"last_trade_price\",\"transaction_hash\":\"0x\"}}"
        )
        .unwrap();
    }
}

#[test]
fn a_million_messages_reach_their_decision_without_one_allocation() {
    let mut path = Path::new(|setup| {
        let pair = setup.pairs[0];
        let sides: [MarketSetup; 2] = [setup.markets[0].clone(), setup.markets[1].clone()];
        setup.markets = (0..2 * PAIRS).map(|at| sides[at as usize % 2].clone()).collect();
        setup.pairs = (0..PAIRS)
            .map(|at| PairSetup {
                pair: Pair { kalshi: MarketId(2 * at), polymarket: MarketId(2 * at + 1), inverted: at % 3 == 2 },
                ..pair
            })
            .collect();
        setup.rules.edge_max = orion::spread::Rate::DOLLAR;
        setup.limits.positions_max = 100;
        // Money for a day of fills.
        let rich = Money::dollars(100_000_000);
        let shares = Shares {
            trade_ppm: 1_000_000,
            event_ppm: 1_000_000,
            reserve_ppm: 0,
            daily_loss_ppm: 1_000_000,
            drawdown_ppm: 1_000_000,
        };
        setup.budget = Budget::new(shares, rich, [rich; 2], 1);
        for venue in Venue::ALL {
            setup.budget.account_mut(venue, 0).cash = rich;
        }
    });
    // Tickets are wished for all the time.
    path.desk.detector.keep_tickets(orion::spread::Rate::of_price_units(2_000));
    let (mut kalshi, mut polymarket) = feeds();
    let mut frames = Frames { random: 7, seq: 0, held: BTreeMap::new() };
    let mut now = Nanos::secs(1_000);
    for feed in [&mut kalshi as &mut dyn Feed, &mut polymarket] {
        feed.opened(desk::at(now), &mut path.out);
    }
    path.out = Out::default();
    let mut bytes = Vec::with_capacity(16 * 1024);
    for pair in 0..PAIRS {
        bytes.clear();
        frames.snapshot(pair, &mut bytes);
        path.message(&mut kalshi, &mut bytes, now);
        bytes.clear();
        bytes.push(b'[');
        frames.book(pair, desk::at(now).unix.raw(), &mut bytes);
        bytes.push(b']');
        path.message(&mut polymarket, &mut bytes, now);
    }
    while path.counted < COUNTED {
        now = now + Nanos::millis(1);
        bytes.clear();
        let stamp = desk::at(now).unix.raw();
        match frames.draw(1_000) {
            0..=549 => {
                frames.delta(stamp, &mut bytes);
                path.message(&mut kalshi, &mut bytes, now);
            }
            550..=979 => {
                frames.price_change(stamp, &mut bytes);
                path.message(&mut polymarket, &mut bytes, now);
            }
            980..=989 => {
                let pair = frames.draw(u64::from(PAIRS)) as u32;
                frames.book(pair, stamp, &mut bytes);
                path.message(&mut polymarket, &mut bytes, now);
            }
            990..=994 => {
                frames.print(stamp, &mut bytes);
                path.message(&mut polymarket, &mut bytes, now);
            }
            995..=997 => {
                bytes.extend_from_slice(b"PONG");
                path.message(&mut polymarket, &mut bytes, now);
            }
            _ => {
                let pair = frames.draw(u64::from(PAIRS)) as u32;
                frames.held.retain(|(of, _, _), _| *of != pair);
                frames.snapshot(pair, &mut bytes);
                path.message(&mut kalshi, &mut bytes, now);
            }
        }
    }
    for feed in [&kalshi as &dyn Feed, &polymarket] {
        let counts = feed.counts();
        assert_eq!(
            (counts.malformed, counts.gaps, counts.canaries),
            (0, 0, [0; orion::wire::Canary::ALL.len()]),
            "the frames are well formed"
        );
    }
    println!("{} sightings, {} plans, {} fills", path.sightings, path.plans, path.fills);
    assert!(1_000 < path.sightings && 100 < path.plans && 100 < path.fills, "the whole way was walked, to the fill");
    assert_eq!(path.allocations, 0, "allocations in {COUNTED} messages");
}

#[test]
fn the_recorded_kalshi_streams_reach_their_decision_without_one_allocation() {
    let Some(folder) = common::fixtures("kalshi/ws") else { return };
    for (name, least) in [
        ("prod_2026-05-15_btc15m_15min.jsonl.gz", 60_000),
        ("prod_2026-05-15_btc15m_9min_close.jsonl.gz", 30_000),
        ("prod_2026-05-15_btc15m_reconnects.jsonl.gz", 35_000),
    ] {
        let file = folder.join(name);
        let cast = cast(&file).unwrap();
        let mut path = Path::new(|setup| {
            let market = MarketSetup { trading: Trading::Open, ..setup.markets[0].clone() };
            setup.markets = vec![market; cast.markets.len()];
            for market in &mut setup.markets {
                market.terms.grid = finest();
            }
            // Each market against itself, inverted: every book that crosses is an opportunity to look at.
            setup.pairs[0].odds = Odds::prior(false);
            setup.pairs[0].pair = Pair { kalshi: MarketId(0), polymarket: MarketId(0), inverted: true };
        });
        let mut feeds: BTreeMap<u32, KalshiFeed> = BTreeMap::new();
        let mut reader = Reader::open(&file).unwrap();
        while let Some((_, frame)) = reader.next_line().unwrap() {
            let Some(mut frame) = frame else { continue };
            let feed = feeds.entry(frame.conn).or_insert_with(|| {
                let wanted = cast.markets.iter().enumerate().map(|(at, seen)| kalshi::feed::Wanted {
                    id: MarketId(at as u32),
                    ticker: seen.name.clone(),
                    event: String::new(),
                });
                let source = Source { feed: FeedId(0), link: (frame.conn % 64) as u8 };
                let mut feed = KalshiFeed::new(source, wanted.collect(), false);
                feed.opened(frame.at, &mut Out::default());
                feed
            });
            path.message(feed, &mut frame.bytes, frame.at.now);
        }
        println!("{name}: {} messages counted", path.counted);
        assert!(least < path.counted, "{name}: {}", path.counted);
        assert_eq!(path.allocations, 0, "{name}: allocations in {} messages", path.counted);
    }
}

#[test]
fn the_counter_counts() {
    let before = asked();
    let held = std::hint::black_box(vec![price(1)]);
    assert_eq!((asked() - before, held.len()), (1, 1), "one vector, one allocation");
}
