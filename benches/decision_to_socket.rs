//! From a decision to the bytes that a connection is handed: one leg of an entry, with what was signed ahead and with a
//! signature made on the spot, in the same run.
//!
//! * `ticket`, `ready`: the signature lies ready. Polymarket's order is a ticket in the gateway; Kalshi's headers come
//!   from a store that was filled beforehand, as the sign thread fills it.
//! * `inline`: the same code with the signer itself behind the gateway: k256 for Polymarket, RSA-PSS with a key of 2048
//!   bits for Kalshi. No thread is asked and nothing is synced, so the real inline way is longer still.
//!
//! The whole path is the executor's: the order is made ready (Kalshi: body and request; Polymarket: expiry, HMAC,
//! base64, request), its records are written to a segment in a file, and its call is handed out. `signature` is what of
//! it differs: signing, or taking what was signed. Ways alternate by blocks in an order that rotates. Kalshi's leg and
//! Polymarket's are measured apart, each with the records of a whole entry. Every entry is timed by itself, so that
//! what else the machine does falls on few of them, and the median tells of the others; only taking what was signed is
//! too short for that, and is timed by blocks.
//!
//! `cargo bench --bench decision_to_socket`; `-- --test` runs each way a few times and checks that both ways give the
//! same request but for the signature.

#![allow(clippy::disallowed_methods, reason = "a bench asks for the time")]

use std::{
    collections::{BTreeMap, VecDeque},
    hint::black_box,
    time::Instant,
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use orion::{
    ledger::{
        journal::{Journal, Record},
        segments::Segment,
    },
    order::{Ask, Purpose},
    unit::{Grid, MarketId, Nanos, OrderId, Outcome, PairId, Price, Qty, Tag, UnixMs, Venue},
    venue::{
        gateway::{Gateway, Out},
        kalshi::{
            KalshiGateway, gateway as kalshi,
            limits::{Rates, Refill},
            order::{CREATE, Names},
            sign::{Headers, KalshiSigner},
        },
        polymarket::{
            PolymarketGateway,
            amount::{Amounts, Side, Terms, Tick},
            contract::Chain,
            gateway as polymarket,
            order::{Exchange, Order, OrderSigner, Salt},
            position::TokenId,
            sign::{ApiSigner, WalletSigner},
            wallet::Wallet,
        },
    },
    wire::Arrival,
};

/// Entries timed together.
const BLOCK: u32 = 64;
/// Blocks of one way before the next one's turn; the first ones of them only warm the caches.
const SHIFT: usize = 12;
const WARM: usize = 4;
const ROUNDS: usize = 25;
/// A publicly known development key.
const WALLET: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const DEPOSIT: &str = "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50";
const TOKEN: &str = "71321045679252212594626385532706912750332728571942532289631379312455583992563";
const CONDITION: &str = "0xbd31dc8a20211944f6b70f31557f1001557b59905b7738480ca09bd4532f84af";
const START_MS: u64 = 1_790_000_000_000;

/// One way from a decision to the socket.
struct Way {
    name: &'static str,
    venue: Venue,
    /// The signature lies ready.
    ahead: bool,
    gateway: Box<dyn Gateway>,
    stock: Option<Stock>,
    number: u32,
    /// Nanoseconds, of each entry.
    whole: Vec<f64>,
    /// Of each signature, or of each block of those that lay ready.
    signature: Vec<f64>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let quick = !args.iter().any(|a| a == "--bench") || args.iter().any(|a| a == "--test");
    let folder = std::env::temp_dir().join(format!("orion-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the journal");
    let pem = rsa();
    let mut ways = vec![
        polymarket_way("ticket", true),
        polymarket_way("inline, k256", false),
        kalshi_way("ready headers", true, &pem),
        kalshi_way("inline, RSA-PSS 2048", false, &pem),
    ];
    agree(&mut ways);
    let rounds = if quick { 1 } else { ROUNDS };
    let mut files = 0;
    for round in 0..rounds {
        for turn in 0..ways.len() {
            let at = (round + turn) % ways.len();
            let way = &mut ways[at];
            files += 1;
            let path = folder.join(format!("{files:06}.orj"));
            let segment = Segment::create(&path, 4 * 1024 * 1024).expect("a segment");
            let mut journal = Journal::create(segment, 1, 1).expect("a journal");
            for block in 0..SHIFT {
                way.block(&mut journal, WARM <= block);
            }
            std::fs::remove_file(&path).expect("the segment goes");
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    if quick {
        println!("test mode: both ways give the same request");
        return;
    }
    println!("| venue | way | signature | whole path |");
    println!("| --- | --- | --- | --- |");
    for way in &mut ways {
        let (signature, whole) = (told(&mut way.signature), told(&mut way.whole));
        println!("| {} | {} | {signature} | {whole} |", way.venue, way.name);
    }
    println!();
    for pair in ways.chunks_mut(2) {
        let [signature, whole] = [|way: &mut Way| median(&mut way.signature), |way: &mut Way| median(&mut way.whole)]
            .map(|of: fn(&mut Way) -> f64| of(&mut pair[1]) / of(&mut pair[0]));
        println!("{}: inline ÷ ahead: signature {signature:.0}, whole path {whole:.1}", pair[0].venue);
    }
}

impl Way {
    /// A block of entries, and of their signatures alone.
    fn block(&mut self, journal: &mut Journal<Segment>, counts: bool) {
        let first = self.number + 1;
        self.number += BLOCK;
        let asks: Vec<Ask> = (first..=self.number).map(|number| ask(self.venue, number)).collect();
        self.sign_ahead(&asks);
        let mut out = Out::default();
        let mut whole = Vec::with_capacity(asks.len());
        for ask in &asks {
            let started = Instant::now();
            enter(self.gateway.as_mut(), ask, at(ask), journal, &mut out);
            black_box(&out.calls);
            whole.push(started.elapsed().as_nanos() as f64);
            out.calls.clear();
        }
        let signature = self.sign_alone(&asks);
        if counts {
            self.whole.extend(whole);
            self.signature.extend(signature);
        }
    }

    /// What the cold thread does beforehand.
    fn sign_ahead(&mut self, asks: &[Ask]) {
        if !self.ahead {
            return;
        }
        if let Some(stock) = &self.stock {
            return stock.fill(asks.len(), at(&asks[0]).unix);
        }
        for ask in asks {
            assert!(self.gateway.mint(ask, at(ask)), "a ticket is signed");
        }
        while self.gateway.minted().is_some() {}
    }

    /// The signatures of a block, or taking them where they lie.
    fn sign_alone(&self, asks: &[Ask]) -> Vec<f64> {
        match (self.venue, self.ahead, &self.stock) {
            (Venue::Kalshi, true, Some(stock)) => {
                stock.fill(asks.len(), at(&asks[0]).unix);
                let mut stock = stock.clone();
                let take = |ask: &Ask| kalshi::SignCalls::sign(&mut stock, at(ask).unix, "POST", CREATE);
                vec![together(asks, take)]
            }
            (Venue::Kalshi, ..) => {
                let signer = SIGNER.with(|signer| signer.get().expect("it was made").clone());
                each(asks, |ask| signer.sign(at(ask).unix, "POST", CREATE).expect("it signs"))
            }
            (Venue::Polymarket, ahead, _) => {
                let signer = order_signer();
                if !ahead {
                    return each(asks, |ask| signer.sign(&order(ask)));
                }
                let mut lying = BTreeMap::new();
                for ask in asks {
                    let signed = signer.sign(&order(ask));
                    lying.insert(ask.id, (signed.id, signer.body(&signed)));
                }
                vec![together(asks, |ask| lying.remove(&ask.id).expect("it lies there"))]
            }
        }
    }
}

/// Nanoseconds of each call.
fn each<T>(asks: &[Ask], mut call: impl FnMut(&Ask) -> T) -> Vec<f64> {
    let one = |ask: &Ask| {
        let started = Instant::now();
        black_box(call(ask));
        started.elapsed().as_nanos() as f64
    };
    asks.iter().map(one).collect()
}

/// Nanoseconds of a call, from all of them together.
fn together<T>(asks: &[Ask], mut call: impl FnMut(&Ask) -> T) -> f64 {
    let started = Instant::now();
    for ask in asks {
        black_box(call(ask));
    }
    started.elapsed().as_nanos() as f64 / asks.len() as f64
}

/// What the executor does with a leg of an entry, and the records of all of it.
fn enter(gateway: &mut dyn Gateway, ask: &Ask, at: Arrival, journal: &mut Journal<Segment>, out: &mut Out) {
    let ready = gateway.prepare(ask, at).expect("it can be made ready");
    let markets = [MarketId(0), MarketId(1)];
    let planned =
        Record::Planned { plan: 7, sighting: 5, pair: PairId(0), markets, wanted: [Outcome::Yes; 2], qty: ask.qty };
    let intended = Record::Intended { plan: 7, ask: *ask, digest: ready.digest, at: at.unix };
    let other = Record::Intended { plan: 7, ask: *ask, digest: None, at: at.unix };
    journal.append_all(&[planned, intended, other]).expect("it is written");
    gateway.send(ask.id, out);
}

/// Both ways of a venue give the same request but for what an RSA signature's salt changes.
fn agree(ways: &mut [Way]) {
    for pair in ways.chunks_mut(2) {
        let requests: Vec<String> = pair
            .iter_mut()
            .map(|way| {
                way.number += 1;
                let ask = ask(way.venue, way.number);
                way.sign_ahead(&[ask]);
                let mut out = Out::default();
                way.gateway.prepare(&ask, at(&ask)).expect("it can be made ready");
                way.gateway.send(ask.id, &mut out);
                let text = String::from_utf8(out.calls.remove(0).bytes).expect("text");
                text.lines().filter(|line| !line.starts_with("KALSHI-ACCESS-SIGNATURE")).collect()
            })
            .collect();
        assert_eq!(requests[0], requests[1], "the same request");
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// What is sent.

fn at(ask: &Ask) -> Arrival {
    // A tenth of a second each: no request budget is used up.
    let number = ask.id.raw() & u64::from(u32::MAX);
    Arrival { now: Nanos::millis(1_000_000 + 100 * number), unix: UnixMs::new(START_MS + 100 * number) }
}

fn ask(venue: Venue, number: u32) -> Ask {
    Ask {
        id: OrderId::new(3, number).expect("an epoch"),
        venue,
        market: MarketId(venue as u32),
        outcome: Outcome::Yes,
        buys: true,
        qty: Qty::whole(50),
        limit: Price::new(4_300).expect("a price"),
        purpose: Purpose::Entry,
    }
}

/// As the gateway makes it.
fn order(ask: &Ask) -> Order {
    Order {
        exchange: Exchange::Standard,
        token: TokenId::parse(TOKEN).expect("a token"),
        amounts: Amounts::limit(Side::Buy, ask.limit, ask.qty, &terms()).and_then(Amounts::taking).expect("amounts"),
        salt: Salt::new(ask.id.raw()).expect("a salt"),
        created: at(ask).unix,
        metadata: [0; 32],
        builder: [0; 32],
    }
}

fn terms() -> Terms {
    let tick = Tick::of(&Grid::even(100).expect("a cent")).expect("a tick of the venue");
    Terms { tick, qty_min: Qty::whole(5) }
}

fn order_signer() -> OrderSigner {
    let wallet = Wallet::of(&wallet().address(), DEPOSIT).expect("a deposit wallet");
    OrderSigner::new(self::wallet(), wallet, Chain::Polygon, "0f5b0aaa-9a5f-4a64-8e7f-0123456789ab").expect("a signer")
}

fn wallet() -> WalletSigner {
    WalletSigner::from_hex(WALLET).expect("a key")
}

fn polymarket_way(name: &'static str, ahead: bool) -> Way {
    let api = ApiSigner::new(
        &wallet().address(),
        "0f5b0aaa-9a5f-4a64-8e7f-0123456789ab",
        &BASE64_STANDARD.encode([7; 32]),
        "a passphrase",
    );
    let token = TokenId::parse(TOKEN).expect("a token");
    let market = polymarket::Market {
        condition: Tag::new(CONDITION).expect("an id"),
        tokens: [token; 2],
        exchange: Exchange::Standard,
        terms: terms(),
        hold: Nanos::ZERO,
    };
    let gateway = PolymarketGateway::new(polymarket::Setup {
        host: "clob.polymarket.com".into(),
        chain: Chain::Polygon,
        markets: vec![None, Some(market)],
        api: api.expect("an API key"),
        signer: Box::new(order_signer()),
        signature_type: 3,
        heartbeats: false,
    });
    way(name, Venue::Polymarket, ahead, Box::new(gateway), None)
}

fn way(name: &'static str, venue: Venue, ahead: bool, gateway: Box<dyn Gateway>, stock: Option<Stock>) -> Way {
    Way { name, venue, ahead, gateway, stock, number: 0, whole: Vec::new(), signature: Vec::new() }
}

fn rsa() -> String {
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = key.as_der().expect("a key as bytes");
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der.as_ref()))
}

std::thread_local! {
    /// Kalshi's key, made once.
    static SIGNER: std::cell::OnceCell<std::sync::Arc<KalshiSigner>> = const { std::cell::OnceCell::new() };
}

fn kalshi_way(name: &'static str, ahead: bool, pem: &str) -> Way {
    let signer = SIGNER.with(|kept| {
        let make = || std::sync::Arc::new(KalshiSigner::from_pem("a1b2c3d4-0000", pem.as_bytes()).expect("a signer"));
        kept.get_or_init(make).clone()
    });
    let stock = Stock { signer, ready: std::sync::Arc::default(), ahead };
    let many = Refill { per_second: 10_000, capacity: 10_000 };
    let gateway = KalshiGateway::new(kalshi::Setup {
        names: Names { instance: 0x00c0_ffee },
        host: "api.elections.kalshi.com".into(),
        markets: vec![Some(kalshi::Market { ticker: "KXFED-26DEC-T4.25".into(), shard: 0 }), None],
        groups: Vec::new(),
        rates: Rates { read: many, write: many, ..Rates::default() },
        subaccount: None,
        sent: Vec::new(),
        signer: Box::new(stock.clone()),
    });
    way(name, Venue::Kalshi, ahead, Box::new(gateway), Some(stock))
}

/// Headers that lie ready, or the key.
#[derive(Clone)]
struct Stock {
    signer: std::sync::Arc<KalshiSigner>,
    ready: std::sync::Arc<std::sync::Mutex<VecDeque<Headers>>>,
    ahead: bool,
}

impl Stock {
    fn fill(&self, count: usize, unix: UnixMs) {
        let mut ready = self.ready.lock().expect("one thread");
        // A few signatures are enough: what they sign plays no part in taking them.
        let signed: Vec<Headers> = (0..4).map(|_| self.signer.sign(unix, "POST", CREATE).expect("it signs")).collect();
        ready.clear();
        ready.extend((0..count).map(|at| signed[at % signed.len()].clone()));
    }
}

impl kalshi::SignCalls for Stock {
    fn sign(&mut self, now: UnixMs, method: &'static str, path: &str) -> Option<Headers> {
        if self.ahead {
            return self.ready.lock().ok()?.pop_front();
        }
        self.signer.sign(now, method, path).ok()
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Figures.

fn sorted(values: &mut [f64]) -> &[f64] {
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: &mut [f64]) -> f64 {
    let values = sorted(values);
    values[values.len() / 2]
}

/// Median and quartiles.
fn told(values: &mut [f64]) -> String {
    let values = sorted(values);
    let part = |of: usize| values[values.len() * of / 4];
    let show =
        |nanos: f64| if nanos < 1_000.0 { format!("{nanos:.0} ns") } else { format!("{:.2} µs", nanos / 1_000.0) };
    format!("{} ({}–{})", show(part(2)), show(part(1)), show(part(3)))
}
