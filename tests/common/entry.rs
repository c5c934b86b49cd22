//! Polymarket's gateway against the simulated CLOB in virtual time: carries its calls there and back, plays its private
//! stream, and lets a plan look after its orders as the executor does.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::collections::BTreeMap;

use alloy_primitives::Address;
use orion::fill::{Heard, Whose};
use orion::order::plan::{Aim, Budget, Step};
use orion::order::{Ask, Impossible, Leg, Plan, Purpose};
use orion::sim::clob::account::Kind;
use orion::sim::clob::stream::{Notice, Session};
use orion::sim::clob::{self as sim, Carry, Handled, Request, Rules};
use orion::spread::{Direction, Pair};
use orion::unit::{Grid, MarketId, Money, Nanos, OrderId, Outcome, PairId, Qty, Tag, Told, Unclear, UnixMs, Venue};
use orion::venue::gateway::{Answer, Call, Gateway as _, Out, Prepared, Unready};
use orion::venue::polymarket::amount::{Terms, Tick};
use orion::venue::polymarket::catalog::Version;
use orion::venue::polymarket::contract::Chain;
use orion::venue::polymarket::gateway::{Market, PolymarketGateway, Setup};
use orion::venue::polymarket::order::{Exchange, OrderSigner};
use orion::venue::polymarket::position::TokenId;
use orion::venue::polymarket::sign::{ApiSigner, WalletSigner};
use orion::venue::polymarket::wallet::Wallet;
use orion::wire::Arrival;

use crate::call::Read;
use crate::clob::{Bench, DEPOSIT, OTHER, OWNER, START, Trader, price};

/// One way from us to the venue.
const WAY_MS: u64 = 20;

/// Who trades.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Who {
    Own(Kind),
    /// A key that may trade for a deposit wallet that it does not own.
    Delegate,
}

pub const EVERYBODY: [Who; 5] =
    [Who::Own(Kind::Eoa), Who::Own(Kind::Proxy), Who::Own(Kind::Safe), Who::Own(Kind::Deposit), Who::Delegate];

/// What the network does to a call, besides what the venue does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    NotSent,
    /// It left, and neither arrived nor was answered.
    Swallowed,
}

enum Flight {
    Going(UnixMs),
    Held(sim::CallNo),
    Coming(sim::Answer),
    /// It never arrived, and nothing will come back.
    Nowhere,
    Unsent,
}

pub struct Rig {
    pub bench: Bench,
    pub trader: Trader,
    pub gateway: PolymarketGateway,
    pub market: usize,
    pub plan: Plan,
    /// The venue's id of every order that was made ready.
    pub tags: BTreeMap<OrderId, Tag>,
    pub heard: Vec<Heard>,
    /// Every call that was made.
    pub calls: Vec<(String, String)>,
    pub strange: Vec<String>,
    pub missed: u32,
    pub lost: u32,
    /// What cannot be, and was told.
    pub wrong: Vec<Impossible>,
    pub account: Option<orion::venue::gateway::Account>,
    /// What befalls the next call of an order.
    pub way: Option<Way>,
    /// The world goes on.
    pub lively: bool,
    flights: Vec<(Call, UnixMs, Flight)>,
    session: Option<Session>,
    reopen: UnixMs,
    stepped: UnixMs,
    orders: u32,
}

pub struct Wish {
    pub buys: bool,
    pub outcome: Outcome,
    pub raw: u16,
    pub qty: Qty,
    pub purpose: Purpose,
}

impl Wish {
    pub fn buy(outcome: Outcome, raw: u16, shares: u32) -> Self {
        Self { buys: true, outcome, raw, qty: Qty::whole(shares), purpose: Purpose::Entry }
    }

    pub fn sell(outcome: Outcome, raw: u16, shares: u32) -> Self {
        Self { buys: false, outcome, raw, qty: Qty::whole(shares), purpose: Purpose::Unwind }
    }
}

impl Rig {
    pub fn new(rules: Rules, who: Who, market: impl Fn(&Bench) -> usize) -> Self {
        Self::with(rules, who, market, false)
    }

    pub fn with(rules: Rules, who: Who, market: impl Fn(&Bench) -> usize, heartbeats: bool) -> Self {
        let mut bench = Bench::new(rules);
        let (trader, form) = match who {
            Who::Own(kind) => {
                let trader = bench.trader(OWNER, kind);
                let funder = bench.desk.wallet(trader.wallet).funder.to_checksum(None);
                let form = Wallet::of(&trader.address.to_checksum(None), &funder).unwrap();
                (trader, form)
            }
            Who::Delegate => {
                let wallet = bench.trader(OWNER, Kind::Deposit).wallet;
                let form = Wallet::delegated(DEPOSIT).unwrap();
                let trader = bench.trader_with(OTHER, form, wallet);
                let until = UnixMs::new(START.raw() + 86_400_000);
                bench.desk.wallet_mut(wallet).delegates.insert(trader.address, until);
                (trader, form)
            }
        };
        let market = market(&bench);
        let gateway = PolymarketGateway::new(setup(&bench, &trader, form, &[market], heartbeats));
        let pair = Pair { kalshi: MarketId(0), polymarket: MarketId(1), inverted: false };
        let aim = Aim {
            plan: 1,
            sighting: 1,
            pair: PairId(0),
            legs: pair.legs(Direction::YesPolymarket),
            qty: Qty::whole(10),
        };
        let budget = Budget { loss_max: Money::dollars(5), time_max: Nanos::secs(2) };
        let mut rig = Self {
            plan: Plan::open(aim, [], budget, [Qty::whole(1), Qty::whole(5)]),
            reopen: bench.now,
            stepped: bench.now,
            bench,
            trader,
            gateway,
            market,
            tags: BTreeMap::new(),
            heard: Vec::new(),
            calls: Vec::new(),
            strange: Vec::new(),
            missed: 0,
            lost: 0,
            wrong: Vec::new(),
            account: None,
            way: None,
            lively: false,
            flights: Vec::new(),
            session: None,
            orders: 0,
        };
        rig.step(0);
        rig
    }

    pub fn at(&self) -> Arrival {
        Arrival { now: Nanos::secs(1_000) + Nanos::millis(self.bench.now.since(START)), unix: self.bench.now }
    }

    pub fn ask(&mut self, wish: &Wish) -> Ask {
        self.orders += 1;
        Ask {
            id: OrderId::new(3, self.orders).unwrap(),
            venue: Venue::Polymarket,
            market: MarketId(1),
            outcome: wish.outcome,
            buys: wish.buys,
            qty: wish.qty,
            limit: price(wish.raw),
            purpose: wish.purpose,
        }
    }

    pub fn prepare(&mut self, wish: &Wish) -> Result<(Ask, Prepared), Unready> {
        let ask = self.ask(wish);
        let prepared = self.gateway.prepare(&ask, self.at())?;
        self.tags.insert(ask.id, prepared.tag.unwrap());
        Ok((ask, prepared))
    }

    /// Makes an order ready and sends it, as the plan's.
    pub fn place(&mut self, wish: &Wish) -> Result<OrderId, Unready> {
        let (ask, _) = self.prepare(wish)?;
        self.send(ask);
        Ok(ask.id)
    }

    pub fn send(&mut self, ask: Ask) {
        self.plan.add(ask);
        let at = self.at();
        self.plan.sent(ask.id, at.now, at.unix);
        let mut out = Out::default();
        self.gateway.send(ask.id, &mut out);
        self.take(out);
    }

    pub fn leg(&self, id: OrderId) -> &Leg {
        self.plan.leg(id).unwrap()
    }

    /// Everything that was told of an order.
    pub fn told(&self, id: OrderId) -> Vec<Told> {
        let tag = self.tags[&id];
        let own = |heard: &&Heard| heard.order == Whose::Ours(id) || heard.order == Whose::Named(tag);
        self.heard.iter().filter(own).map(|heard| heard.told).collect()
    }

    /// Lets time pass.
    pub fn wait(&mut self, ms: u64) {
        let end = UnixMs::new(self.bench.now.raw() + ms);
        while self.bench.now < end {
            let step = if self.flights.is_empty() { 100 } else { 10 };
            self.step(step.min(end.since(self.bench.now)));
        }
    }

    /// Lets time pass until every order has ended and every trade is final; `false` if that does not come.
    pub fn settle(&mut self, most_ms: u64) -> bool {
        let settled = self.settles(most_ms);
        assert!(self.wrong.is_empty(), "{:?}: {:#?}", self.wrong, self.heard);
        settled
    }

    fn settles(&mut self, most_ms: u64) -> bool {
        let end = UnixMs::new(self.bench.now.raw() + most_ms);
        while self.bench.now < end {
            if self.flights.is_empty() && self.plan.legs().all(|leg| leg.is_complete() && leg.provisional().is_zero()) {
                return true;
            }
            let step = if self.flights.is_empty() { 200 } else { 20 };
            self.step(step);
        }
        false
    }

    pub fn step(&mut self, ms: u64) {
        self.bench.now = UnixMs::new(self.bench.now.raw() + ms);
        let now = self.bench.now;
        let mut happenings = Vec::new();
        if self.lively && 500 <= now.since(self.stepped) {
            happenings = self.bench.world.step(now.since(self.stepped) as f64, now);
            self.stepped = now;
        }
        let Bench { world, desk, .. } = &mut self.bench;
        desk.advance(&happenings, world, now);
        let mut out = Out::default();
        if self.session.is_none() && self.reopen <= now {
            self.session = Some(Session::default());
            self.gateway.opened(self.at(), &mut out);
        }
        self.fly(&mut out);
        self.stream(&mut out);
        self.gateway.timeout(self.at(), &mut out);
        self.take(out);
        self.steer();
    }

    /// Does what the plan wants.
    fn steer(&mut self) {
        let at = self.at();
        let mut out = Out::default();
        for _ in 0..32 {
            match self.plan.step(at.now) {
                Step::Cancel(id) => {
                    let leg = self.plan.leg(id).unwrap();
                    self.gateway.cancel(&leg.ask.clone(), leg.tag(), at, &mut out);
                }
                Step::Look(id) => {
                    let leg = self.plan.leg(id).unwrap();
                    self.gateway.look(&leg.ask.clone(), Some(self.tags[&id]), at, &mut out);
                }
                Step::Overdue => {}
                Step::Wait | Step::Price(_) | Step::End(_) => break,
            }
        }
        self.take(out);
    }

    fn fly(&mut self, out: &mut Out) {
        let (now, at) = (self.bench.now, self.at());
        let Bench { world, desk, .. } = &mut self.bench;
        let mut kept = Vec::new();
        for (call, until, mut flight) in std::mem::take(&mut self.flights) {
            if let Flight::Going(arrives) = flight
                && arrives <= now
            {
                flight = match desk.handle(&request(&call), world, now) {
                    Handled::Now(answer) => Flight::Coming(answer),
                    Handled::Held { call, .. } => Flight::Held(call),
                };
            }
            if let Flight::Held(held) = flight {
                flight = desk.answer(held, world, now).map_or(Flight::Held(held), Flight::Coming);
            }
            match flight {
                Flight::Unsent => self.gateway.answered(call.no, Answer::NotSent, at, out),
                Flight::Coming(answer) if answer.at.raw() + WAY_MS <= now.raw() => match answer.carry {
                    Carry::Cut(_) => self.gateway.answered(call.no, Answer::Lost(Unclear::Cut), at, out),
                    Carry::Whole => {
                        let mut body = answer.body.into_bytes();
                        let whole = Answer::Whole { status: answer.status, body: &mut body };
                        self.gateway.answered(call.no, whole, at, out);
                    }
                },
                _ if until <= now => self.gateway.answered(call.no, Answer::Lost(Unclear::TimedOut), at, out),
                flight => kept.push((call, until, flight)),
            }
        }
        self.flights = kept;
    }

    fn stream(&mut self, out: &mut Out) {
        let at = self.at();
        for notice in self.bench.desk.notices(self.bench.now) {
            if !self.session.as_ref().is_some_and(|session| session.wants(&notice)) {
                continue;
            }
            match notice {
                Notice::Frame { text, .. } => self.gateway.text(&mut text.as_bytes().to_vec(), at, out),
                Notice::Cut { .. } => self.close(),
            }
        }
    }

    fn close(&mut self) {
        self.session = None;
        self.reopen = UnixMs::new(self.bench.now.raw() + 700);
    }

    /// Does what the gateway wants, and hears what it learnt.
    pub fn take(&mut self, out: Out) {
        let now = self.bench.now;
        for call in out.calls {
            let read = Read::new(&call.bytes);
            let flight = match self.way.take_if(|_| read.path == "/order" && read.method == "POST") {
                None => Flight::Going(UnixMs::new(now.raw() + WAY_MS)),
                Some(Way::NotSent) => Flight::Unsent,
                Some(Way::Swallowed) => Flight::Nowhere,
            };
            self.calls.push((read.method, read.path));
            let until = UnixMs::new(now.raw() + call.wait.raw() / 1_000_000);
            self.flights.push((call, until, flight));
        }
        for text in out.sends {
            // What is sent into a connection that has ended is lost.
            let Some(session) = &mut self.session else { continue };
            let heard = session.handle_text(&text, &self.bench.desk, &self.bench.world);
            assert!(!heard.close, "the venue takes what is sent on the stream");
            let mut more = Out::default();
            for frame in heard.frames {
                self.gateway.text(&mut frame.into_bytes(), self.at(), &mut more);
            }
            assert!(more.calls.is_empty() && more.heard.is_empty());
        }
        if out.lost {
            self.lost += 1;
            self.close();
        }
        self.strange.extend(out.strange);
        self.account = out.account.or(self.account.take());
        for heard in out.heard {
            self.hear(heard);
        }
        if out.missed {
            self.missed += 1;
            let mut out = Out::default();
            let open: Vec<Ask> = self.plan.legs().filter(|leg| !leg.is_complete()).map(|leg| leg.ask).collect();
            for ask in open {
                self.gateway.look(&ask, None, self.at(), &mut out);
            }
            self.take(out);
        }
    }

    fn hear(&mut self, heard: Heard) {
        self.heard.push(heard);
        let id = match heard.order {
            Whose::Ours(id) => Some(id),
            Whose::Named(tag) => self.tags.iter().find(|(_, known)| **known == tag).map(|(id, _)| *id),
        };
        let Some(id) = id.filter(|&id| self.plan.leg(id).is_some()) else { return };
        if let Told::Absent { .. } = heard.told {
            let tag = self.tags[&id];
            let there = self.bench.desk.orders().iter().any(|order| order.id.to_string() == tag.as_str());
            assert!(!there, "{id} is called absent, and the venue has it");
        }
        let now = self.at().now;
        self.wrong.extend(self.plan.next(id, &heard.told, now).err());
    }
}

/// The market as a gateway knows it.
pub fn known(bench: &Bench, at: usize) -> Market {
    let listed = bench.listed(at);
    let neg_risk = bench.world.catalog().polymarket_events[listed.event].neg_risk;
    let version = if listed.protocol_v2 { Version::V2 } else { Version::V1 };
    let tick = Tick::of(&Grid::even(listed.tick).unwrap()).unwrap();
    Market {
        condition: Tag::new(&listed.condition_id).unwrap(),
        tokens: [0, 1].map(|outcome| TokenId::parse(&listed.tokens[outcome]).unwrap()),
        exchange: Exchange::of(version, neg_risk),
        terms: Terms { tick, qty_min: Qty::whole(5) },
        hold: Nanos::millis(listed.taker_hold_ms().unwrap_or(0)),
    }
}

pub fn setup(bench: &Bench, trader: &Trader, form: Wallet, markets: &[usize], heartbeats: bool) -> Setup {
    let key = WalletSigner::from_hex(trader.secret).unwrap();
    let (address, own) = (key.address(), &trader.key);
    assert_eq!(address.parse::<Address>().unwrap(), trader.address);
    let markets = std::iter::once(None).chain(markets.iter().map(|&at| Some(known(bench, at)))).collect();
    Setup {
        host: String::from("clob.example"),
        chain: Chain::Polygon,
        markets,
        api: ApiSigner::new(&address, &own.id, &own.secret, &own.passphrase).unwrap(),
        signer: Box::new(OrderSigner::new(key, form, Chain::Polygon, &own.id).unwrap()),
        signature_type: form.signature_type(),
        heartbeats,
    }
}

fn request(call: &Call) -> Request {
    let read = Read::new(&call.bytes);
    Request {
        method: read.method,
        path: read.path,
        query: read.query,
        headers: read.headers,
        body: String::from_utf8(read.body).unwrap(),
    }
}
