//! The order gateway and the simulated exchange in virtual time, with somebody who carries between them.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use orion::{
    order::{Ask, Purpose},
    sim::{
        handshake::Headers,
        kalshi::{answer::Request, desk::Settings},
    },
    unit::{MarketId, Nanos, OrderId, Outcome, Price, Qty, Tag, Told, Unclear, UnixMs, Venue},
    venue::{
        gateway::{Answer, Call, CallNo, Gateway as _, Out},
        kalshi::{
            KalshiGateway,
            gateway::{Market, Setup},
            limits::{Rates, Refill},
            order::Names,
            sign::KalshiSigner,
        },
    },
    wire::Arrival,
};

use super::{
    call::{Read, decoded},
    sim_kalshi::{START, Town},
};

pub const NAMES: Names = Names { instance: 0x00c0_ffee };
/// On the way to the venue and back.
const TRIP_MS: u64 = 20;
/// How often the gateway is told the time.
const TICK_MS: u64 = 50;

/// The signer of an account of the town.
pub fn signer(key: u8) -> KalshiSigner {
    let prefix = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let der = BASE64_STANDARD.encode([&prefix[..], &[key; 32]].concat());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
    KalshiSigner::from_pem(&format!("key-{key}"), pem.as_bytes()).unwrap()
}

/// What the town's first account needs.
pub fn setup(town: &Town) -> Setup {
    let market = Market { ticker: town.ticker.clone(), shard: 0 };
    Setup {
        names: NAMES,
        host: "exchange.test".into(),
        markets: vec![None, Some(market)],
        groups: Vec::new(),
        rates: Rates {
            read: Refill { per_second: 10_000, capacity: 10_000 },
            write: Refill { per_second: 8_000, capacity: 16_000 },
            ..Rates::default()
        },
        subaccount: None,
        sent: Vec::new(),
        signer: Box::new(signer(1)),
    }
}

/// An order to buy YES at 0.40 at most.
pub fn ask(number: u32) -> Ask {
    Ask {
        id: OrderId::new(1, number).unwrap(),
        venue: Venue::Kalshi,
        market: MarketId(1),
        outcome: Outcome::Yes,
        buys: true,
        qty: Qty::whole(10),
        limit: Price::new(4_000).unwrap(),
        purpose: Purpose::Entry,
    }
}

/// What comes back to the gateway.
#[derive(Clone, Debug)]
pub enum Back {
    Whole(u16, Vec<u8>),
    NotSent,
    Lost(Unclear),
}

pub struct Rig {
    pub town: Town,
    pub gateway: KalshiGateway,
    /// All that the gateway wanted and learnt, but for its calls.
    pub out: Out,
    /// Every call that was carried: method and target.
    pub carried: Vec<String>,
    /// The next call is never handed to a connection.
    pub breaks: bool,
    flights: Vec<(UnixMs, CallNo, Back)>,
    stream: Option<(usize, usize)>,
}

impl Rig {
    pub fn new(settings: Settings) -> Self {
        let town = Town::with(settings);
        let setup = setup(&town);
        Self::with(town, setup)
    }

    pub fn with(town: Town, setup: Setup) -> Self {
        Self {
            town,
            gateway: KalshiGateway::new(setup),
            out: Out::default(),
            carried: Vec::new(),
            breaks: false,
            flights: Vec::new(),
            stream: None,
        }
    }

    pub fn at(&self) -> Arrival {
        Arrival { now: Nanos::secs(1_000) + Nanos::millis(self.town.now.since(START)), unix: self.town.now }
    }

    /// Opens the private stream, or opens it anew.
    pub fn open(&mut self) {
        if let Some((old, _)) = self.stream {
            self.town.close(old);
        }
        self.stream = Some((self.town.open(0), 0));
        self.gateway.opened(self.at(), &mut self.out);
        self.pass();
    }

    /// Passes on what waits between the two, without any time going by.
    fn pass(&mut self) {
        for text in std::mem::take(&mut self.out.sends) {
            self.town.command(self.stream.unwrap().0, &text);
        }
        if let Some((session, seen)) = &mut self.stream {
            let frames = self.town.frames[*session][*seen..].to_vec();
            *seen += frames.len();
            for frame in frames {
                let mut text = frame.to_string().into_bytes();
                self.gateway.text(&mut text, self.at(), &mut self.out);
            }
        }
        let now = self.town.now;
        let (due, later): (Vec<_>, Vec<_>) = self.flights.drain(..).partition(|(at, ..)| *at <= now);
        self.flights = later;
        for (_, no, back) in due {
            self.answer(no, back);
        }
        for call in std::mem::take(&mut self.out.calls) {
            self.carry(&call);
        }
    }

    /// Hands an answer to the gateway.
    pub fn answer(&mut self, no: CallNo, back: Back) {
        let at = self.at();
        match back {
            Back::Whole(status, mut body) => {
                self.gateway.answered(no, Answer::Whole { status, body: &mut body }, at, &mut self.out);
            }
            Back::NotSent => self.gateway.answered(no, Answer::NotSent, at, &mut self.out),
            Back::Lost(why) => self.gateway.answered(no, Answer::Lost(why), at, &mut self.out),
        }
    }

    fn carry(&mut self, call: &Call) {
        let read = Read::new(&call.bytes);
        if std::mem::take(&mut self.breaks) {
            self.flights.push((self.town.now, call.no, Back::NotSent));
            return;
        }
        let query: Vec<_> = read.query.iter().map(|(name, value)| (name.clone(), decoded(value))).collect();
        let [key, timestamp, signature] = ["KEY", "TIMESTAMP", "SIGNATURE"].map(|name| format!("KALSHI-ACCESS-{name}"));
        let headers =
            Headers { key: read.header(&key), timestamp: read.header(&timestamp), signature: read.header(&signature) };
        let request = Request { method: &read.method, path: &read.path, query: &query, headers, body: &read.body };
        let answer = self.town.carry(&request);
        let list: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.carried.push(format!("{} {}?{}", read.method, read.path, list.join("&")));
        let late_ms = answer.delay_ms + TRIP_MS;
        let wait_ms = call.wait.raw() / 1_000_000;
        let back = match answer.cut {
            _ if wait_ms < late_ms => (wait_ms, Back::Lost(Unclear::TimedOut)),
            Some(_) => (late_ms, Back::Lost(Unclear::Cut)),
            None => (late_ms, Back::Whole(answer.reply.status, answer.reply.body.into_bytes())),
        };
        self.flights.push((UnixMs::new(self.town.now.raw() + back.0), call.no, back.1));
    }

    /// One tick of time.
    pub fn tick(&mut self) {
        self.pass();
        self.town.wait(TICK_MS);
        self.pass();
        self.gateway.timeout(self.at(), &mut self.out);
        self.pass();
    }

    /// Lets that much time pass.
    pub fn wait(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(TICK_MS) {
            self.tick();
        }
    }

    /// Prepares and sends.
    pub fn send(&mut self, ask: &Ask) {
        self.gateway.prepare(ask, self.at()).unwrap();
        self.gateway.send(ask.id, &mut self.out);
    }

    pub fn look(&mut self, ask: &Ask, tag: Option<Tag>) {
        self.gateway.look(ask, tag, self.at(), &mut self.out);
    }

    /// What was told since the last time.
    pub fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.out.heard).into_iter().map(|heard| heard.told).collect()
    }

    /// The only call that waits to be carried, taken away.
    pub fn call(&mut self) -> Call {
        let mut calls = std::mem::take(&mut self.out.calls);
        assert_eq!(calls.len(), 1, "one call");
        calls.remove(0)
    }

    /// A question's answer, made up: the target that was asked comes back.
    pub fn tell(&mut self, body: &str) -> String {
        let call = self.call();
        let head = String::from_utf8(call.bytes.clone()).unwrap();
        self.answer(call.no, Back::Whole(200, body.as_bytes().to_vec()));
        head.split(' ').nth(1).unwrap().to_owned()
    }
}
