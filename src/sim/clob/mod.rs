//! The simulated Polymarket's order desk: wallets, sign-in, orders, trades and their settlement, private reads and the
//! user channel, over a [`World`]'s books. A request and the time in, an answer and frames out; no I/O, no clock.
//!
//! [`ClobDesk::handle`] answers a call at once or holds it (a taker's hold blocks inside the call);
//! [`ClobDesk::advance`] lets time pass and hears what the world did; [`ClobDesk::notices`] hands out what the user
//! channel says. One desk belongs to one world: every call must bring the same one.
//!
//! * `typed`, `account`, `sign_in`: who somebody is; `payload`, `admit`: what an order says and whether it is taken;
//! * `fill`, `trade`, `fee`: matches, what becomes of them, what they cost; `cancel`, `read`, `stream`: the other
//!   calls;
//! * `mode`, `limit`, `fault`: when the venue is not itself; [`audit`]: what the engine under test must never do;
//! * `relay`: redeeming and merging.

pub mod account;
mod admit;
pub mod audit;
mod cancel;
mod clock;
pub mod fault;
pub mod fee;
mod fill;
pub mod limit;
pub mod mode;
pub mod payload;
mod read;
mod relay;
mod sign_in;
pub mod stream;
pub mod trade;
pub mod typed;

use std::collections::{BTreeSet, HashMap};

use alloy_primitives::{Address, B256};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::sim::clob::account::{Account, ApiKey, NewWallet, Wallet};
pub use crate::sim::clob::admit::{Order, Stage};
use crate::sim::clob::audit::Audit;
use crate::sim::clob::fault::{Faults, Loss, Spoiled};
use crate::sim::clob::fee::FeeRounding;
use crate::sim::clob::limit::{Buckets, Windows};
use crate::sim::clob::mode::Mode;
use crate::sim::clob::relay::Relayed;
use crate::sim::clob::stream::Notice;
use crate::sim::clob::trade::{Pace, Trade};
use crate::sim::listing::PolymarketMarket;
use crate::sim::world::World;
use crate::unit::{Money, Qty, UnixMs};

/// How a refused order is answered; both shapes are documented.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RefusalShape {
    /// 400 `{"error":"…"}`.
    #[default]
    Error,
    /// 400 with the order object, `success` false.
    Object,
    /// 200 with the order object, `success` false.
    Hidden,
}

/// Where the venue is undocumented, a switch.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How far a signed time may lie from the venue's, either way.
    pub skew_ms: u64,
    pub fee_rounding: FeeRounding,
    pub refusal: RefusalShape,
    /// REST statuses begin with `ORDER_STATUS_` and `TRADE_STATUS_`.
    pub prefixed: bool,
    /// How long a new market takes no orders.
    pub warm_up_ms: u64,
    /// The smallest size counts for orders that take at once, too.
    pub size_min_for_takers: bool,
    pub pace: Pace,
    /// Refuse what exceeds a signer's bucket instead of warning.
    pub buckets_enforced: bool,
    /// Rows on a page of orders or trades.
    pub page: usize,
    pub audit: audit::Bounds,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            skew_ms: 30_000,
            fee_rounding: FeeRounding::Up,
            refusal: RefusalShape::Error,
            prefixed: true,
            warm_up_ms: 2_000,
            size_min_for_takers: true,
            pace: Pace::default(),
            buckets_enforced: false,
            page: 100,
            audit: audit::Bounds::default(),
        }
    }
}

/// A call.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// Without its query.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    /// The exact bytes sent: the signature covers them.
    pub body: String,
}

impl Request {
    /// A header by its name in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// How much of an answer arrives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carry {
    Whole,
    /// The connection ends after that many bytes of the body.
    Cut(usize),
}

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// When it leaves the venue.
    pub at: UnixMs,
    pub carry: Carry,
}

impl Answer {
    fn new(status: u16, body: &Value, at: UnixMs) -> Self {
        Self::text(status, body.to_string(), at)
    }

    fn text(status: u16, body: String, at: UnixMs) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", String::from("application/json"))],
            body,
            at,
            carry: Carry::Whole,
        }
    }

    fn ok(body: &Value, at: UnixMs) -> Self {
        Self::new(200, body, at)
    }

    /// The common error shape. Some words decide the status, whatever it was before.
    fn error(status: u16, text: &str, at: UnixMs) -> Self {
        let status = if text.contains("not found") {
            404
        } else if text.contains("unauthorized") {
            401
        } else {
            status
        };
        Self::new(status, &json!({"error": text}), at)
    }
}

/// A call that is being held.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallNo(pub u64);

/// What became of a call.
#[derive(Clone, Debug)]
pub enum Handled {
    Now(Answer),
    /// Ask [`ClobDesk::answer`] from then on.
    Held {
        call: CallNo,
        until: UnixMs,
    },
}

/// A held call: an entry for each order, in the order in which they came.
#[derive(Debug)]
struct HeldCall {
    no: CallNo,
    entries: Vec<Entry>,
    batch: bool,
    headers: Vec<(&'static str, String)>,
    spoiled: Option<Spoiled>,
}

/// An order's answer within a call.
#[derive(Clone, Debug)]
enum Entry {
    Done(Placed),
    Held { order: usize, until: UnixMs },
}

/// How an order was answered.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Placed {
    Refused {
        status: u16,
        text: String,
    },
    Taken {
        order: usize,
        status: &'static str,
        trades: Vec<usize>,
    },
    /// Post-only mode inside a batch: success, and no order.
    Hollow {
        text: String,
    },
}

/// The venue's private side.
#[derive(Debug)]
pub struct ClobDesk {
    pub rules: Rules,
    pub faults: Faults,
    seed: u64,
    rng: Rng,
    accounts: Vec<Account>,
    wallets: Vec<Wallet>,
    orders: Vec<Order>,
    by_id: HashMap<B256, usize>,
    trades: Vec<Trade>,
    /// Matches of our own making that the world will tell us of once more.
    told: BTreeSet<u64>,
    mode: Mode,
    geoblocked: bool,
    notices: Vec<(UnixMs, Notice)>,
    held: Vec<HeldCall>,
    answered: HashMap<CallNo, Answer>,
    calls: u64,
    windows: Windows,
    audit: Audit,
    relayed: Vec<Relayed>,
    ids: u64,
}

impl ClobDesk {
    /// A desk without customers. The seed decides credentials, ids, and how fast trades settle.
    pub fn new(seed: u64, rules: Rules) -> Self {
        Self {
            audit: Audit::new(rules.audit),
            rules,
            faults: Faults::default(),
            seed,
            rng: Rng::with_seed(seed ^ 0xc10b),
            accounts: Vec::new(),
            wallets: Vec::new(),
            orders: Vec::new(),
            by_id: HashMap::new(),
            trades: Vec::new(),
            told: BTreeSet::new(),
            mode: Mode::Open,
            geoblocked: false,
            notices: Vec::new(),
            held: Vec::new(),
            answered: HashMap::new(),
            calls: 0,
            windows: Windows::default(),
            relayed: Vec::new(),
            ids: 0,
        }
    }

    /// Opens a funded wallet, and an account for its owner where there is none; its number is returned.
    pub fn open(&mut self, new: &NewWallet) -> usize {
        self.account_of(new.owner);
        self.wallets.push(Wallet::new(new));
        self.wallets.len() - 1
    }

    /// The account of an address, made where there is none.
    fn account_of(&mut self, address: Address) -> usize {
        if let Some(at) = self.accounts.iter().position(|account| account.address == address) {
            return at;
        }
        self.accounts.push(Account {
            address,
            keys: Vec::new(),
            banned: false,
            closed_only: false,
            heartbeats: std::collections::BTreeMap::new(),
            buckets: Buckets::default(),
        });
        self.accounts.len() - 1
    }

    /// The first set of API credentials of an address, made where there is none.
    pub fn credentials(&mut self, owner: Address) -> ApiKey {
        let account = self.account_of(owner);
        self.key_set(account, "trade", 0)
    }

    /// A wallet.
    pub fn wallet(&self, at: usize) -> &Wallet {
        &self.wallets[at]
    }

    /// A wallet, to change what a chain or a customer service would.
    pub fn wallet_mut(&mut self, at: usize) -> &mut Wallet {
        &mut self.wallets[at]
    }

    /// Bans an address, or limits it to closing.
    pub fn restrict(&mut self, owner: Address, banned: bool, closed_only: bool) {
        let account = self.account_of(owner);
        self.accounts[account].banned = banned;
        self.accounts[account].closed_only = closed_only;
    }

    /// From now on callers are in a place from which nobody may trade, or no longer.
    pub fn set_geoblocked(&mut self, blocked: bool) {
        self.geoblocked = blocked;
    }

    /// Gives a wallet outcome tokens, settled.
    pub fn give(&mut self, wallet: usize, market: usize, outcome: u8, qty: Qty) {
        account::put(&mut self.wallets[wallet].tokens, (market, outcome), qty);
    }

    /// All orders that were taken, oldest first.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// All trades, oldest first.
    pub fn trades(&self) -> &[Trade] {
        &self.trades
    }

    /// What every order was checked against, and what it broke.
    pub const fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The checks of every order, to change what they forbid.
    pub const fn audit_mut(&mut self) -> &mut Audit {
        &mut self.audit
    }

    /// Is this a call for this desk? Everything else is the public side's.
    pub fn takes(method: &str, path: &str) -> bool {
        let private = ["/auth/", "/data/", "/balance-allowance", "/v1/heartbeats", "/heartbeats", "/v1/account/"];
        private.iter().any(|prefix| path.starts_with(prefix))
            || matches!(path, "/order" | "/orders" | "/cancel-all" | "/cancel-market-orders" | "/api/geoblock")
            || matches!(path, "/v2/positions" | "/v2/approvals" | "/submit" | "/deployed" | "/nonce" | "/transaction")
            || matches!(path, "/notifications" | "/order-scoring" | "/orders-scoring")
            || (method == "GET" && path == "/v2/value")
    }

    /// Answers a call, or holds it.
    pub fn handle(&mut self, request: &Request, world: &mut World, now: UnixMs) -> Handled {
        self.advance(&[], world, now);
        let class = fault::class(&request.method, &request.path);
        let spoiled = self.faults.befall(class);
        if let Some(answer) = spoiled.as_ref().and_then(|spoiled| spoiled.instead(now)) {
            return Handled::Now(answer);
        }
        let delay_ms = self.windows.delay(&request.method, &request.path, now);
        let handled = self.route(request, spoiled.as_ref(), world, now);
        match handled {
            Handled::Now(mut answer) => {
                answer.at = UnixMs::new(answer.at.raw() + delay_ms);
                Handled::Now(spoil(answer, spoiled.as_ref()))
            }
            Handled::Held { call, until } => {
                if let Some(held) = self.held.iter_mut().find(|held| held.no == call) {
                    held.spoiled = spoiled;
                }
                Handled::Held { call, until: UnixMs::new(until.raw() + delay_ms) }
            }
        }
    }

    /// The answer of a held call, once its time has come.
    pub fn answer(&mut self, call: CallNo, world: &mut World, now: UnixMs) -> Option<Answer> {
        self.advance(&[], world, now);
        self.answered.remove(&call)
    }

    fn route(&mut self, request: &Request, spoiled: Option<&Spoiled>, world: &mut World, now: UnixMs) -> Handled {
        let path = request.path.as_str();
        let at_once = match (request.method.as_str(), path) {
            ("POST", "/order") => return self.post_order(request, world, now),
            ("POST", "/orders") => return self.post_orders(request, world, now),
            ("DELETE", "/order" | "/orders" | "/cancel-all" | "/cancel-market-orders") => {
                let lie = spoiled.is_some_and(Spoiled::denies_cancel);
                self.cancel_call(request, lie, world, now)
            }
            ("POST", "/v1/heartbeats" | "/heartbeats") => self.beat(request, now),
            ("GET", "/api/geoblock") => {
                let (country, region) = if self.geoblocked { ("US", "NY") } else { ("IE", "L") };
                let body = json!({"blocked": self.geoblocked, "ip": "127.0.0.1", "country": country, "region": region});
                Answer::ok(&body, now)
            }
            (_, "/submit" | "/deployed" | "/nonce" | "/transaction") => self.relayer_call(request, world, now),
            (_, path) if path.starts_with("/v1/account/") => self.relayer_call(request, world, now),
            (_, path) if path.starts_with("/auth/") => self.auth_call(request, now),
            _ => self.read_call(request, spoiled.is_some_and(Spoiled::misses_page), world, now),
        };
        Handled::Now(at_once)
    }

    fn market(world: &World, at: usize) -> &PolymarketMarket {
        &world.catalog().polymarket[at]
    }

    /// A fresh id in the form of a UUID; the same in every run with the same seed.
    fn fresh_id(&mut self) -> String {
        self.ids += 1;
        ApiKey::derive(self.seed, Address::ZERO, "id", self.ids).id
    }

    /// What the desk and its customers own in pUSD, with all that is promised between them: it never grows by trading.
    pub fn cash(&self) -> Money {
        self.wallets.iter().map(|wallet| wallet.cash).sum()
    }
}

/// Applies what befell a call to the answer it got.
fn spoil(answer: Answer, spoiled: Option<&Spoiled>) -> Answer {
    match spoiled {
        None => answer,
        Some(spoiled) => spoiled.applied(answer),
    }
}

/// What a lost answer looks like from outside.
fn lost(loss: Loss, body: String, at: UnixMs) -> Answer {
    match loss {
        Loss::Status(status) => Answer::text(status, String::from(r#"{"error":"could not run the execution"}"#), at),
        Loss::Cut(bytes) => Answer { carry: Carry::Cut(bytes.min(body.len())), ..Answer::text(200, body, at) },
    }
}
