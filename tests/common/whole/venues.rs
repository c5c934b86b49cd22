//! Both simulated exchanges on one world, one funded account on each, and the crowd that the books are made of. What
//! they say on the four connections that the engine keeps is gathered as text; requests come in as bytes.

use alloy_primitives::Address;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use orion::{
    sim::{
        clob::{
            self as clob, Carry, ClobDesk, Handled, Rules,
            account::{ApiKey, Kind, NewWallet},
            fault::{self, Class, Loss, OrderFault},
            mode::Mode,
            stream::{Notice, Session as UserSession},
        },
        exchange::{NewOrder, SelfTrade},
        handshake::Headers,
        kalshi::{
            self,
            account::{Member, NewAccount, NewKey},
            answer::{PREFIX, Request},
            bucket::Tier,
            check::Limits,
            desk::{Desk, Settings},
            order_fault::OrderPlan,
        },
        listing::Phase,
        polymarket,
        world::{Happening, STRANGER, World},
    },
    unit::{BookSide, Money, Price, Qty, UnixMs, Venue},
    venue::{
        kalshi::sign::KalshiSigner,
        polymarket::{sign::WalletSigner, wallet::Wallet},
    },
};

use super::super::call::{Read, decoded};

pub const START: UnixMs = UnixMs::new(1_795_175_100_000);
/// What each of Kalshi's shards and the wallet begin with.
pub const CASH: Money = Money::dollars(20_000);
/// Publicly known development keys.
const OWNER: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const OTHER: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const PROXY: &str = "0x365f0CA36Ae1f641E02fE3B7743673da42A13A70";
const SAFE: &str = "0xd93B25cb943D14d0d34FBaF01Fc93a0f8b5F6E47";
const DEPOSIT: &str = "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50";
/// The most that an order may be worth, as the exchanges look at it a second time.
pub const ORDER_MAX: Money = Money::dollars(200);

/// The connections that the engine keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pipe {
    Public(Venue),
    Private(Venue),
}

impl Pipe {
    pub const ALL: [Self; 4] = [
        Self::Public(Venue::Kalshi),
        Self::Public(Venue::Polymarket),
        Self::Private(Venue::Kalshi),
        Self::Private(Venue::Polymarket),
    ];

    pub const fn index(self) -> usize {
        match self {
            Self::Public(venue) => venue as usize,
            Self::Private(venue) => 2 + venue as usize,
        }
    }
}

/// What an exchange does with a request.
pub enum Reply {
    /// When it leaves, by the exchange's clock; nothing where the connection ends before it is whole.
    Now { at: UnixMs, whole: Option<(u16, Vec<u8>)> },
    /// Polymarket holds the call.
    Held(clob::CallNo),
}

/// Who trades on Polymarket.
pub struct Customer {
    pub secret: &'static str,
    pub form: Wallet,
    pub wallet: usize,
    pub key: ApiKey,
}

pub struct Venues {
    pub world: World,
    pub desk: Desk,
    pub clob: ClobDesk,
    pub now: UnixMs,
    pub customer: Customer,
    stream: polymarket::Stream,
    kalshi: [Option<kalshi::Session>; 2],
    market: Option<polymarket::Session>,
    user: Option<UserSession>,
    /// Faults of plans that are over.
    past: usize,
    rng: fastrand::Rng,
    /// A market closes or has closed.
    closing: bool,
    /// The world's makers and takers are at work.
    pub lives: bool,
    /// Of a thousand calls at Polymarket so many go wrong.
    per_mille: u32,
    /// The venue may tell one fill under two ids: nothing an engine could see through.
    pub twins: bool,
    /// When Polymarket takes orders again.
    mended: UnixMs,
    /// Said on the connections; `None` where one ends.
    pub said: Vec<(Pipe, Option<String>)>,
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

/// The engine's Kalshi key as a PEM file holds it.
pub fn pem() -> String {
    let prefix = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    BASE64_STANDARD.encode([&prefix[..], &[1; 32]].concat())
}

/// The engine's signer at Kalshi.
pub fn signer() -> KalshiSigner {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", pem());
    KalshiSigner::from_pem("key-1", pem.as_bytes()).unwrap()
}

impl Venues {
    pub fn new(seed: u64, rng: &mut fastrand::Rng) -> Self {
        let mut world = World::new(seed, 1, START);
        let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let spki = [&prefix[..], pair(1).public_key().as_ref()].concat();
        let mut account = NewAccount::funded("user-1", vec![NewKey::full("key-1", spki)], CASH);
        account.tier = Tier::Prestige;
        let settings = Settings {
            accounts: vec![account],
            seed,
            read_lag_ms: rng.u64(0..1_000),
            frame_delay_ms: rng.u64(0..300),
            answer_delay_ms: rng.u64(0..100),
            ..Settings::default()
        };
        let mut desk = Desk::new(settings, &mut world);
        desk.check_mut().limit(Limits { order_value_max: ORDER_MAX, order_qty_max: Qty::whole(10_000) });
        let mut rules = Rules { page: 20, ..Rules::default() };
        rules.audit.value_max = Some(ORDER_MAX);
        (rules.pace.mined_ms, rules.pace.confirmed_ms) = ((1_000, 10_000), (2_000, 6_000));
        (rules.pace.failed_ms, rules.pace.retry_ppm, rules.pace.fail_ppm) = ((5_000, 15_000), 0, 0);
        let mut clob = ClobDesk::new(seed, rules);
        let customer = customer(&mut clob, rng.usize(0..5));
        let stream = polymarket::Stream::new(&world);
        Self {
            world,
            desk,
            clob,
            now: START,
            customer,
            stream,
            kalshi: [None, None],
            market: None,
            user: None,
            past: 0,
            rng: fastrand::Rng::with_seed(seed),
            closing: false,
            lives: false,
            per_mille: 0,
            twins: false,
            mended: START,
            said: Vec::new(),
        }
    }

    /// Things go wrong from here on, this many of a thousand.
    pub fn trouble(&mut self, seed: u64, per_mille: u32) {
        *self.desk.faults_mut() = OrderPlan::drawn(seed, per_mille);
        (self.rng, self.per_mille) = (fastrand::Rng::with_seed(seed), per_mille);
        (self.clob.rules.pace.retry_ppm, self.clob.rules.pace.fail_ppm) = (100_000, 200 * per_mille);
    }

    /// Nothing goes wrong any more; what is under way ends as it ends.
    pub fn peace(&mut self) {
        self.past += self.desk.faults().happened().len();
        *self.desk.faults_mut() = OrderPlan::default();
        self.per_mille = 0;
        (self.clob.rules.pace.retry_ppm, self.clob.rules.pace.fail_ppm) = (0, 0);
        self.clob.set_mode(Mode::Open);
    }

    /// Does everything that is traded trade?
    pub fn works(&self) -> bool {
        !self.closing && self.clob.mode() == Mode::Open
    }

    /// A pair closes now, and its venues decide what YES pays.
    pub fn decide(&mut self, market: usize, yes_payout: Money) {
        (self.closing, self.lives) = (true, true);
        self.world.decide(market, yes_payout);
    }

    /// Polymarket's engine restarts.
    pub fn restart(&mut self) {
        self.clob.restart(self.now);
        self.mended = UnixMs::new(u64::MAX);
    }

    /// A second of the world's own life: closes and settlements, its makers and its takers.
    pub fn live(&mut self) {
        if self.lives {
            let happenings = self.world.step(1_000.0, self.now);
            self.settle(happenings);
        }
    }

    /// What a market has paid per YES, as its catalogue says.
    pub fn paid(&self, venue: Venue, market: usize) -> Option<Money> {
        let catalog = self.world.catalog();
        let state = match venue {
            Venue::Kalshi => &catalog.kalshi[market].state,
            Venue::Polymarket => &catalog.polymarket[market].state,
        };
        state.payout.filter(|_| state.phase == Phase::Settled)
    }

    /// What markets have paid is fetched.
    pub fn redeem(&mut self) {
        for market in 0..self.world.catalog().polymarket.len() {
            let _ = self.clob.redeem(self.customer.wallet, market, &self.world);
        }
    }

    /// How much went wrong at the exchanges so far.
    pub fn troubles(&self) -> usize {
        self.past + self.desk.faults().happened().len() + self.clob.faults.happened().len()
    }

    /// Time has come to `now`: what is due happens.
    pub fn advance(&mut self, now: UnixMs) {
        self.now = self.now.max(now);
        self.settle(Vec::new());
    }

    /// What happened is known to both desks and said to everybody.
    fn settle(&mut self, mut happenings: Vec<Happening>) {
        let Self { world, desk, clob, now, .. } = self;
        happenings.extend(world.drain());
        let mut happenings = desk.step(world, happenings, *now);
        let mut heard = 0;
        loop {
            clob.advance(&happenings[heard..], world, *now);
            heard = happenings.len();
            happenings.extend(world.drain());
            if happenings.len() == heard {
                break;
            }
        }
        self.tell(&happenings);
    }

    fn tell(&mut self, happenings: &[Happening]) {
        let Self { world, desk, clob, stream, said, now, .. } = self;
        let private = desk.frames(*now);
        for (at, session) in self.kalshi.iter_mut().enumerate() {
            let Some(session) = session else { continue };
            let pipe = if at == 0 { Pipe::Public(Venue::Kalshi) } else { Pipe::Private(Venue::Kalshi) };
            for happening in happenings {
                said.extend(session.on_event(happening, world, *now).into_iter().map(|text| (pipe, Some(text))));
            }
            let own = private.iter().filter_map(|frame| session.on_private(frame, *now));
            said.extend(own.map(|text| (pipe, Some(text))));
        }
        if desk.take_dropped_streams().contains(&0) && self.kalshi[1].take().is_some() {
            said.push((Pipe::Private(Venue::Kalshi), None));
        }
        let frames = stream.render(happenings, world, *now);
        if let Some(session) = &self.market {
            let own = frames.iter().filter(|frame| session.wants(frame));
            said.extend(own.map(|frame| (Pipe::Public(Venue::Polymarket), Some(frame.text.to_string()))));
        }
        for notice in clob.notices(*now) {
            if !self.user.as_ref().is_some_and(|user| user.wants(&notice)) {
                continue;
            }
            let text = match notice {
                Notice::Frame { text, .. } => Some(text.to_string()),
                Notice::Cut { .. } => {
                    self.user = None;
                    None
                }
            };
            said.push((Pipe::Private(Venue::Polymarket), text));
        }
    }

    pub fn open(&mut self, pipe: Pipe) {
        match pipe {
            Pipe::Public(Venue::Kalshi) => self.kalshi[0] = Some(kalshi::Session::default()),
            Pipe::Private(Venue::Kalshi) => {
                self.kalshi[1] = Some(kalshi::Session::of(Member { account: 0, locked: None }));
            }
            Pipe::Public(Venue::Polymarket) => self.market = Some(polymarket::Session::default()),
            Pipe::Private(Venue::Polymarket) => self.user = Some(UserSession::default()),
        }
    }

    pub fn close(&mut self, pipe: Pipe) {
        match pipe {
            Pipe::Public(Venue::Kalshi) => self.kalshi[0] = None,
            Pipe::Private(Venue::Kalshi) => self.kalshi[1] = None,
            Pipe::Public(Venue::Polymarket) => self.market = None,
            Pipe::Private(Venue::Polymarket) => self.user = None,
        }
    }

    /// A text of the engine's on one of its connections.
    pub fn hear(&mut self, pipe: Pipe, text: &str) {
        let Self { world, clob, stream, now, .. } = self;
        let answers = match pipe {
            Pipe::Public(Venue::Kalshi) | Pipe::Private(Venue::Kalshi) => {
                let session = self.kalshi[usize::from(pipe == Pipe::Private(Venue::Kalshi))].as_mut();
                session.map(|session| session.handle_text(text, world, *now))
            }
            Pipe::Public(Venue::Polymarket) => {
                self.market.as_mut().map(|session| session.handle_text(text, stream, world))
            }
            Pipe::Private(Venue::Polymarket) => self.user.as_mut().map(|user| {
                let heard = user.handle_text(text, clob, world);
                assert!(!heard.close, "the venue takes what is said on the stream: {text}");
                heard.frames
            }),
        };
        self.said.extend(answers.into_iter().flatten().map(|text| (pipe, Some(text))));
    }

    /// A request arrives.
    pub fn ask(&mut self, venue: Venue, bytes: &[u8]) -> Reply {
        let read = Read::new(bytes);
        match venue {
            Venue::Kalshi => self.ask_kalshi(&read),
            Venue::Polymarket => self.ask_clob(read),
        }
    }

    fn ask_kalshi(&mut self, read: &Read) -> Reply {
        let query: Vec<_> = read.query.iter().map(|(name, value)| (name.clone(), decoded(value))).collect();
        let header = |name: &str| read.header(&format!("KALSHI-ACCESS-{name}"));
        let headers = Headers { key: header("KEY"), timestamp: header("TIMESTAMP"), signature: header("SIGNATURE") };
        let request = Request { method: &read.method, path: &read.path, query: &query, headers, body: &read.body };
        let mut answer = self.desk.handle(&mut self.world, &request, self.now);
        let happenings = std::mem::take(&mut answer.happenings);
        self.tell(&happenings);
        let at = UnixMs::new(self.now.raw() + answer.delay_ms);
        let whole = answer.cut.is_none().then(|| (answer.reply.status, answer.reply.body.into_bytes()));
        Reply::Now { at, whole }
    }

    fn ask_clob(&mut self, read: Read) -> Reply {
        let request = clob::Request {
            method: read.method,
            path: read.path,
            query: read.query,
            headers: read.headers,
            body: String::from_utf8(read.body).unwrap(),
        };
        self.spoil(&request);
        let handled = self.clob.handle(&request, &mut self.world, self.now);
        self.settle(Vec::new());
        match handled {
            Handled::Now(answer) => reply(answer),
            Handled::Held { call, .. } => Reply::Held(call),
        }
    }

    /// Now and then something befalls a call, or the next match or event of the user channel.
    fn spoil(&mut self, request: &clob::Request) {
        use OrderFault::{
            AnswerLate, AnswerLost, CancelDenied, EventLate, EventLost, EventTwice, Html, PageMissing, RequestLost,
            StreamCut, TooEarly, TooMany, TradeFails, TradeTwin,
        };
        let late = AnswerLate(self.rng.u64(50..9_000));
        let cut = Loss::Cut(self.rng.usize(0..200));
        let choices: &[OrderFault] = match fault::class(&request.method, &request.path) {
            Class::Place => &[
                AnswerLost(Loss::Status(500)),
                AnswerLost(cut),
                RequestLost(Loss::Status(502)),
                RequestLost(Loss::Cut(0)),
                late,
                Html { arrived: true },
                Html { arrived: false },
                TooMany,
                TooEarly,
            ],
            Class::Cancel => &[AnswerLost(Loss::Status(504)), RequestLost(cut), late, CancelDenied, TooMany],
            Class::Read => &[PageMissing, RequestLost(Loss::Status(502)), Html { arrived: true }, late],
            Class::Other => &[RequestLost(Loss::Status(502)), RequestLost(cut), late],
        };
        if self.rng.u32(..1_000) < self.per_mille {
            let class = fault::class(&request.method, &request.path);
            self.clob.faults.next(class, choices[self.rng.usize(..choices.len())]);
        }
        let place = fault::class(&request.method, &request.path) == Class::Place;
        if place && self.rng.u32(..1_000) < 3 * self.per_mille {
            let events = [TradeFails, EventTwice, EventLost, EventLate(self.rng.u64(50..9_000)), StreamCut];
            self.clob.faults.next_event(events[self.rng.usize(..events.len())]);
            if self.twins && self.rng.u8(..4) == 0 {
                self.clob.faults.next_event(TradeTwin);
            }
        }
        if place && self.rng.u32(..4_000) < self.per_mille {
            match self.rng.u8(..3) {
                0 => self.clob.set_mode(Mode::CancelOnly),
                1 => self.clob.set_mode(Mode::Disabled),
                _ => self.clob.set_mode(Mode::PostOnly { until: UnixMs::new(self.now.raw() + 5_000) }),
            }
            self.mended = UnixMs::new(self.now.raw() + self.rng.u64(500..5_000));
        } else if self.mended <= self.now {
            self.clob.set_mode(Mode::Open);
        }
    }

    /// The answer of a call that was held.
    pub fn held(&mut self, call: clob::CallNo) -> Option<Reply> {
        let answer = self.clob.answer(call, &mut self.world, self.now);
        self.settle(Vec::new());
        answer.map(reply)
    }

    /// A signed request to Kalshi by hand: whoever sets the account up, or trades beside the engine.
    pub fn by_hand(&mut self, method: &'static str, path: &str, query: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let path = format!("{PREFIX}{path}");
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let signed = signer().sign(self.now, method, &path).unwrap();
        let [key, timestamp, signature] = ["KEY", "TIMESTAMP", "SIGNATURE"].map(|name| {
            let name = format!("KALSHI-ACCESS-{name}");
            signed.pairs().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
        });
        let headers = Headers { key: key.as_deref(), timestamp: timestamp.as_deref(), signature: signature.as_deref() };
        let request = Request { method, path: &path, query: &query, headers, body };
        let mut answer = self.desk.handle(&mut self.world, &request, self.now);
        let happenings = std::mem::take(&mut answer.happenings);
        self.tell(&happenings);
        assert!((200..300).contains(&answer.reply.status), "{}", answer.reply.body);
        answer.reply.body.into_bytes()
    }

    /// The crowd's book of a market is this one from now on. Orders that cross it are met.
    pub fn quote(&mut self, venue: Venue, market: usize, bids: &[(Price, Qty)], asks: &[(Price, Qty)]) {
        let now = self.now;
        let known: Vec<(BookSide, Price)> = [BookSide::Bid, BookSide::Ask]
            .into_iter()
            .flat_map(|side| {
                let book = self.world.exchange(venue).market(market);
                book.levels(side).map(move |(price, _)| (side, price)).collect::<Vec<_>>()
            })
            .collect();
        let act = |exchange: &mut orion::sim::exchange::Exchange| {
            let mut events = Vec::new();
            for (side, price) in known {
                events.extend(exchange.cancel_level(market, side, price, now));
            }
            for (side, levels) in [(BookSide::Bid, bids), (BookSide::Ask, asks)] {
                for &(price, qty) in levels {
                    let order = NewOrder { owner: STRANGER, side, price, qty, self_trade: SelfTrade::CancelTaker };
                    if let Ok((_, more)) = exchange.place(market, order, now) {
                        events.extend(more);
                    }
                }
            }
            ((), events)
        };
        match venue {
            Venue::Kalshi => self.world.on_kalshi(now, act),
            Venue::Polymarket => self.world.on_polymarket(now, act).0,
        }
        self.settle(Vec::new());
    }
}

fn reply(answer: clob::Answer) -> Reply {
    let whole = (answer.carry == Carry::Whole).then(|| (answer.status, answer.body.into_bytes()));
    Reply::Now { at: answer.at, whole }
}

/// A funded wallet of one of the five kinds, and whoever signs for it.
fn customer(clob: &mut ClobDesk, number: usize) -> Customer {
    let owner = WalletSigner::from_hex(OWNER).unwrap();
    let address: Address = owner.address().parse().unwrap();
    let (kind, funder) = match number {
        0 => (Kind::Eoa, address),
        1 => (Kind::Proxy, PROXY.parse().unwrap()),
        2 => (Kind::Safe, SAFE.parse().unwrap()),
        _ => (Kind::Deposit, DEPOSIT.parse().unwrap()),
    };
    let wallet = clob.open(&NewWallet { kind, funder, owner: address, cash: CASH });
    if number < 4 {
        let form = Wallet::of(&owner.address(), &funder.to_checksum(None)).unwrap();
        return Customer { secret: OWNER, form, wallet, key: clob.credentials(address) };
    }
    let delegate: Address = WalletSigner::from_hex(OTHER).unwrap().address().parse().unwrap();
    clob.wallet_mut(wallet).delegates.insert(delegate, UnixMs::new(START.raw() + 86_400_000));
    Customer { secret: OTHER, form: Wallet::delegated(DEPOSIT).unwrap(), wallet, key: clob.credentials(delegate) }
}
