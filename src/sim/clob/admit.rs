//! Is an order taken? The checks in the venue's order, each with the venue's sentence; then into the book, or held.

use alloy_primitives::{B256, U256};
use serde_json::Value;

use crate::sim::clob::account::Kind;
use crate::sim::clob::audit::Seen;
use crate::sim::clob::limit::Charged;
use crate::sim::clob::mode::{Mode, POST_ONLY};
use crate::sim::clob::payload::{BadAmounts, OrderKind, Payload, Side, Wish, decimal, wish};
use crate::sim::clob::sign_in::Caller;
use crate::sim::clob::typed::{self, Contract, Signed};
use crate::sim::clob::{Answer, CallNo, ClobDesk, Entry, Handled, HeldCall, Placed, RefusalShape, Request, trade};
use crate::sim::exchange::OrderNo;
use crate::sim::listing::Phase;
use crate::sim::polymarket::{ORDER_SIZE_MIN, short};
use crate::sim::world::World;
use crate::unit::{Money, Qty, UnixMs};

/// Orders in one call.
const BATCH_MAX: usize = 15;
/// How far ahead an expiration has to be, and how much earlier the venue acts on it.
const EXPIRES_AFTER_S: u64 = 180;
const EXPIRES_EARLY_S: u64 = 60;
/// What a buy that takes has to be worth.
const TAKING_BUY_MIN: Money = Money::dollars(1);

/// Why a FOK or FAK order ended without a match.
pub(super) const FOK_KILLED: &str = "order couldn't be fully filled. FOK orders are fully filled or killed.";
pub(super) const FAK_KILLED: &str =
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.";
/// Not enough of what the order gives.
pub(super) const NO_FUNDS: &str = "not enough balance / allowance";

/// Where an order is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// A taker's hold: not in the book, and not cancellable.
    Held {
        until: UnixMs,
        /// It was answered `delayed` at once.
        delayed: bool,
    },
    Live,
    Matched,
    /// With the status that its owner is told.
    Canceled(&'static str),
}

/// An order that was taken.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: B256,
    pub account: usize,
    pub wallet: usize,
    /// The API key that sent it.
    pub key: String,
    pub market: usize,
    pub outcome: u8,
    pub side: Side,
    pub kind: OrderKind,
    pub wish: Wish,
    /// Unix seconds; 0 is never.
    pub expiration: u64,
    pub created: UnixMs,
    pub matched: Qty,
    /// pUSD that its matches cost or brought, without fees.
    pub spent: Money,
    pub stage: Stage,
    /// In the book.
    pub number: Option<OrderNo>,
    /// Ids of its trades.
    pub trades: Vec<String>,
}

impl Order {
    /// What may still be matched.
    pub fn left(&self) -> Qty {
        self.wish.shares.saturating_sub(self.matched)
    }

    /// Is it in the book, or on its way there?
    pub const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Live | Stage::Held { .. })
    }

    /// When the venue takes it out.
    pub fn expires_at(&self) -> Option<UnixMs> {
        (self.expiration != 0).then(|| UnixMs::new(self.expiration.saturating_sub(EXPIRES_EARLY_S) * 1_000))
    }
}

fn refused(status: u16, text: impl Into<String>) -> Placed {
    Placed::Refused { status, text: text.into() }
}

impl ClobDesk {
    pub(super) fn post_order(&mut self, request: &Request, world: &mut World, now: UnixMs) -> Handled {
        let caller = match self.admit_call(request, now) {
            Ok(caller) => caller,
            Err(answer) => return Handled::Now(answer),
        };
        let Some(payload) = serde_json::from_str(&request.body).ok().and_then(|body| Payload::read(&body)) else {
            return Handled::Now(Answer::error(400, "Invalid order payload", now));
        };
        if !payload.post_only
            && let Some(answer) = self.post_only_answer(now)
        {
            return Handled::Now(answer);
        }
        self.take_all(&caller, vec![Some(payload)], false, world, now)
    }

    pub(super) fn post_orders(&mut self, request: &Request, world: &mut World, now: UnixMs) -> Handled {
        let caller = match self.admit_call(request, now) {
            Ok(caller) => caller,
            Err(answer) => return Handled::Now(answer),
        };
        let list = match serde_json::from_str(&request.body) {
            Ok(Value::Array(list)) if !list.is_empty() => list,
            _ => return Handled::Now(Answer::error(400, "Invalid order payload", now)),
        };
        if BATCH_MAX < list.len() {
            let text = format!("Too many orders in payload: {}, max allowed: {BATCH_MAX}", list.len());
            return Handled::Now(Answer::error(400, &text, now));
        }
        let payloads = list.iter().map(Payload::read).collect();
        self.take_all(&caller, payloads, true, world, now)
    }

    /// Sign-in, place and mode, which concern the whole call.
    fn admit_call(&self, request: &Request, now: UnixMs) -> Result<Caller, Answer> {
        if self.geoblocked {
            let text = "Trading restricted in your region, please refer to available regions - \
                        https://docs.polymarket.com/developers/CLOB/geoblock";
            return Err(Answer::error(403, text, now));
        }
        if let Some(answer) = self.forbidden(false, now) {
            return Err(answer);
        }
        let caller = self.l2(request, now)?;
        if caller.readonly { Err(Answer::error(401, "Unauthorized/Invalid api key", now)) } else { Ok(caller) }
    }

    fn take_all(
        &mut self,
        caller: &Caller,
        payloads: Vec<Option<Payload>>,
        batch: bool,
        world: &mut World,
        now: UnixMs,
    ) -> Handled {
        let charge = self.accounts[caller.account].buckets.charge(Charged::Orders, payloads.len(), now);
        let headers = charge.headers();
        if !charge.fits && self.rules.buckets_enforced {
            let mut answer = Answer::error(429, "Too Many Requests", now);
            answer.headers.extend(headers);
            answer.headers.push(("Retry-After", String::from("2")));
            return Handled::Now(answer);
        }
        let entries: Vec<Entry> = payloads
            .into_iter()
            .map(|payload| match payload {
                None => Entry::Done(refused(400, "Invalid order payload")),
                Some(payload) => match self.take(caller, &payload, batch, world, now) {
                    Ok(entry) => entry,
                    Err(placed) => Entry::Done(placed),
                },
            })
            .collect();
        self.calls += 1;
        let held = HeldCall { no: CallNo(self.calls), entries, batch, headers, spoiled: None };
        match held.until() {
            None => Handled::Now(self.compose(&held, now)),
            Some(until) => {
                let call = held.no;
                self.held.push(held);
                Handled::Held { call, until }
            }
        }
    }

    /// One order, from its owner to its hold.
    fn take(
        &mut self,
        caller: &Caller,
        payload: &Payload,
        batch: bool,
        world: &mut World,
        now: UnixMs,
    ) -> Result<Entry, Placed> {
        if batch && !payload.post_only && matches!(self.mode, Mode::PostOnly { .. }) {
            return Err(Placed::Hollow { text: POST_ONLY.to_owned() });
        }
        if payload.owner != caller.key {
            return Err(refused(400, "the order owner has to be the owner of the API KEY"));
        }
        let account = &self.accounts[caller.account];
        if account.banned {
            return Err(refused(400, format!("'{}' address banned", account.address)));
        }
        if account.closed_only && payload.side == Side::Buy {
            return Err(refused(400, format!("'{}' address in closed only mode", account.address)));
        }
        let wallet = self.wallet_of(caller, payload)?;
        let Some((market, outcome)) = find_token(world, payload.order.tokenId) else {
            return Err(refused(404, "No orderbook exists for the requested token id"));
        };
        let listed = Self::market(world, market);
        let contract = Contract::of(listed, world.catalog().polymarket_events[listed.event].neg_risk);
        self.check_signature(payload, wallet, contract, now)?;
        let id = typed::order_id(&payload.order, contract);
        let seen = self.seen(payload, id, wallet, (market, outcome), now);
        self.audit.look(seen);
        let wish = self.check_terms(payload, id, market, world, now)?;
        if self.by_id.contains_key(&id) {
            return Err(refused(400, format!("order {id} is invalid. Duplicated.")));
        }
        let order = Order {
            id,
            account: caller.account,
            wallet,
            key: caller.key.clone(),
            market,
            outcome,
            side: payload.side,
            kind: payload.kind,
            wish,
            expiration: payload.expiration,
            created: now,
            matched: Qty::ZERO,
            spent: Money::ZERO,
            stage: Stage::Live,
            number: None,
            trades: Vec::new(),
        };
        let plan = self.plan(&order, world);
        if plan.crosses() && payload.side == Side::Buy && wish.dollars < TAKING_BUY_MIN {
            let dollars = decimal(wish.dollars.raw().unsigned_abs());
            return Err(refused(400, format!("invalid amount for a marketable BUY order (${dollars}), min size: $1")));
        }
        if !self.is_covered(&order, contract, plan.fee) {
            return Err(refused(400, NO_FUNDS));
        }
        if payload.post_only && plan.crosses() {
            return Err(refused(400, "invalid post-only order: order crosses book"));
        }
        let at = self.orders.len();
        self.by_id.insert(id, at);
        self.orders.push(order);
        Ok(self.hold_or_enter(at, plan.crosses(), world, now))
    }

    /// A taker's hold where the market has one, else the book.
    fn hold_or_enter(&mut self, at: usize, crosses: bool, world: &mut World, now: UnixMs) -> Entry {
        let listed = Self::market(world, self.orders[at].market);
        let (delay_ms, hold_ms) = (u64::from(listed.seconds_delay) * 1_000, listed.taker_hold_ms());
        if crosses && 0 < delay_ms {
            self.orders[at].stage = Stage::Held { until: UnixMs::new(now.raw() + delay_ms), delayed: true };
            self.tell_order(at, "PLACEMENT", world, now);
            return Entry::Done(Placed::Taken { order: at, status: "delayed", trades: Vec::new() });
        }
        if let Some(hold_ms) = hold_ms.filter(|_| crosses) {
            let until = UnixMs::new(now.raw() + hold_ms);
            self.orders[at].stage = Stage::Held { until, delayed: false };
            return Entry::Held { order: at, until };
        }
        Entry::Done(self.enter(at, false, world, now))
    }

    /// Whose funds move, and may the caller move them?
    fn wallet_of(&self, caller: &Caller, payload: &Payload) -> Result<usize, Placed> {
        let order = &payload.order;
        let Some(kind) = Kind::of(order.signatureType) else { return Err(refused(400, "Invalid order payload")) };
        let found = self.wallets.iter().position(|wallet| wallet.funder == order.maker && wallet.kind == kind);
        let known = found.filter(|&at| self.wallets[at].allowed);
        let Some(at) = known else {
            return Err(refused(400, "maker address not allowed, please use the deposit wallet flow"));
        };
        let wallet = &self.wallets[at];
        let signs = if kind == Kind::Deposit { wallet.funder } else { wallet.owner };
        let callers = wallet.owner == caller.address || wallet.delegates.contains_key(&caller.address);
        if order.signer != signs || !callers {
            return Err(refused(400, "the order signer address has to be the address of the API KEY"));
        }
        Ok(at)
    }

    fn check_signature(&self, payload: &Payload, wallet: usize, contract: Contract, now: UnixMs) -> Result<(), Placed> {
        let wallet = &self.wallets[wallet];
        let good = |contract: Contract| {
            let signer = match wallet.kind {
                Kind::Deposit => typed::nested_signer(&payload.order, contract, &payload.signature),
                _ => typed::plain_signer(&payload.order, contract, &payload.signature),
            };
            match signer {
                Some(Signed::ByOwner(key)) => key == wallet.owner,
                Some(Signed::ByDelegate(key)) => wallet.delegates.get(&key).is_some_and(|&until| now < until),
                None => false,
            }
        };
        if good(contract) {
            return Ok(());
        }
        let meant = Contract::ALL.into_iter().find(|&other| good(other));
        if meant.is_some_and(|meant| meant.version() != contract.version()) {
            return Err(refused(400, "order_version_mismatch"));
        }
        Err(refused(400, "invalid signature"))
    }

    /// The market's state, then tick, size, decimals, then the expiration.
    fn check_terms(
        &self,
        payload: &Payload,
        id: B256,
        market: usize,
        world: &World,
        now: UnixMs,
    ) -> Result<Wish, Placed> {
        let listed = Self::market(world, market);
        if listed.state.phase != Phase::Active {
            return Err(refused(404, "No orderbook exists for the requested token id"));
        }
        if now.raw() < listed.start.raw() + self.rules.warm_up_ms {
            return Err(refused(400, "the market is not yet ready to process new orders"));
        }
        let counted = payload.kind.rests() || self.rules.size_min_for_takers;
        let size_min = if counted { Qty::parse(ORDER_SIZE_MIN.as_bytes()).unwrap_or_default() } else { Qty::ZERO };
        let wish = wish(payload, listed.tick, size_min).map_err(|bad| match bad {
            BadAmounts::Zero => refused(400, "Invalid order payload"),
            BadAmounts::OffTick { price } => refused(
                400,
                format!("order {id} is invalid. Price ({price}) breaks minimum tick size rule: {}", short(listed.tick)),
            ),
            BadAmounts::TooSmall { size } => {
                refused(400, format!("order {id} is invalid. Size ({size}) lower than the minimum: {ORDER_SIZE_MIN}"))
            }
            BadAmounts::Text(text) => refused(400, text),
        })?;
        let right = match payload.kind {
            OrderKind::Gtd => now.raw() / 1_000 + EXPIRES_AFTER_S <= payload.expiration,
            _ => payload.expiration == 0,
        };
        if right { Ok(wish) } else { Err(refused(400, "invalid expiration")) }
    }

    fn seen(&self, payload: &Payload, id: B256, wallet: usize, token: (usize, u8), now: UnixMs) -> Seen {
        let micros = |amount: U256| u64::try_from(amount).unwrap_or(u64::MAX).min(Qty::MAX.micros());
        let (gives, gets) = (micros(payload.order.makerAmount), micros(payload.order.takerAmount));
        let (dollars, shares) = if payload.side == Side::Buy { (gives, gets) } else { (gets, gives) };
        let qty = Qty::new(shares).unwrap_or(Qty::MAX);
        // Selling needs tokens, and a bought complement makes a pair: neither can lose more than there is already.
        let complement = self.wallets[wallet].expected(token.0, 1 - token.1);
        Seen {
            id,
            wallet,
            salt: u64::try_from(payload.order.salt).unwrap_or(u64::MAX),
            value: Money::micros(dollars as i64),
            qty,
            adds_risk: payload.side == Side::Buy && complement < qty,
            at: now,
        }
    }

    /// What the wallet can still give: pUSD for buys, tokens for sells; open orders and open matches are gone.
    pub(super) fn free(&self, wallet: usize, token: (usize, u8), side: Side) -> i64 {
        let funds = &self.wallets[wallet];
        let open = self.orders.iter().filter(|order| order.wallet == wallet && order.is_open() && order.side == side);
        match side {
            Side::Buy => (funds.cash - funds.locked_cash - open.map(Order::commitment).sum()).raw(),
            Side::Sell => {
                let open = open.filter(|order| (order.market, order.outcome) == token);
                let promised: i64 = open.map(|order| order.left().micros() as i64).sum();
                let held = funds.held(token.0, token.1).micros() as i64;
                held - funds.locked(token.0, token.1).micros() as i64 - promised
            }
        }
    }

    /// Can the wallet pay for the order and, on a buy, for what taking costs now?
    pub(super) fn is_covered(&self, order: &Order, contract: Contract, fee: Money) -> bool {
        let free = self.free(order.wallet, (order.market, order.outcome), order.side);
        let needed = match order.side {
            Side::Buy => (order.commitment() + fee).raw(),
            Side::Sell => order.left().micros() as i64,
        };
        self.wallets[order.wallet].approved.contains(&contract) && needed <= free
    }

    /// The body of an answer to an order or several.
    pub(super) fn compose(&self, call: &HeldCall, now: UnixMs) -> Answer {
        let mut answer = if call.batch {
            let bodies: Vec<Value> = call.entries.iter().map(|entry| self.entry_body(entry)).collect();
            Answer::ok(&Value::Array(bodies), now)
        } else {
            match call.entries.first() {
                Some(Entry::Done(Placed::Refused { status, text })) => match self.rules.refusal {
                    RefusalShape::Error => Answer::error(*status, text, now),
                    RefusalShape::Object => Answer::new(*status, &trade::refusal_object(text, false), now),
                    RefusalShape::Hidden => Answer::ok(&trade::refusal_object(text, false), now),
                },
                Some(entry) => Answer::ok(&self.entry_body(entry), now),
                None => Answer::error(400, "Invalid order payload", now),
            }
        };
        answer.headers.extend(call.headers.iter().cloned());
        answer
    }

    fn entry_body(&self, entry: &Entry) -> Value {
        match entry {
            Entry::Done(Placed::Refused { text, .. }) => trade::refusal_object(text, false),
            Entry::Done(Placed::Hollow { text }) => trade::refusal_object(text, true),
            Entry::Done(Placed::Taken { order, status, trades }) => self.placed_object(*order, status, trades),
            Entry::Held { order, .. } => self.placed_object(*order, "delayed", &[]),
        }
    }
}

impl Order {
    /// pUSD that a buy may still take.
    pub fn commitment(&self) -> Money {
        match (self.side, self.wish.by_dollars) {
            (Side::Sell, _) => Money::ZERO,
            (Side::Buy, true) => self.wish.dollars - self.spent,
            (Side::Buy, false) => self.wish.price.cost(self.left()),
        }
    }
}

impl HeldCall {
    /// When the last of its orders has been held long enough; nothing if none is held.
    pub(super) fn until(&self) -> Option<UnixMs> {
        let held = |entry: &Entry| match entry {
            Entry::Held { until, .. } => Some(*until),
            Entry::Done(_) => None,
        };
        self.entries.iter().filter_map(held).max()
    }
}

/// A token's market and outcome.
pub(super) fn find_token(world: &World, token: U256) -> Option<(usize, u8)> {
    let text = token.to_string();
    let markets = world.catalog().polymarket.iter().enumerate();
    markets
        .into_iter()
        .find_map(|(at, market)| market.tokens.iter().position(|own| *own == text).map(|outcome| (at, outcome as u8)))
}
