//! Polymarket's order entry as a protocol without I/O (dossier 2.2, 3, 4.6, 5.5): orders, cancels, looks at an order's
//! record, the account, the user channel and heartbeats.
//!
//! What a newcomer gets wrong: nothing here is ever sent again, and it need not be. An order's id is the digest that
//! was signed, known before the first byte leaves, so the venue can always be asked what became of it; and every order
//! ends by itself, because a buy carries its expiry and a sell takes at once. An order that cannot be found is
//! therefore absent only once its time has passed.
//!
//! An order may be signed ahead, as a ticket: its expiry is not signed, so what is written and signed for the call at
//! sending is the same as ever. A ticket that is not the order that is wanted now, word for word, is not used.

mod account;
mod beat;
mod channel;
mod line;
mod look;

use std::collections::{BTreeMap, VecDeque};

use super::{
    amount::{Amounts, Side, Terms, Tick},
    answer,
    contract::Chain,
    order::{Body, Exchange, Order, OrderId as Digest, OrderSigner, OrderType, Salt},
    position::TokenId,
    sign::ApiSigner,
};
use crate::{
    fill::{Heard, Whose},
    order::{Ask, Purpose},
    unit::{MarketId, Nanos, OrderId, Outcome, Refusal, Sent, Tag, Told, Unclear, UnixMs},
    venue::{
        gateway::{Answer, CallNo, Gateway, Kept, Lane, Minted, Out, Prepared, Said, Unready},
        pace::Bucket,
    },
    wire::{Arrival, json::Parser},
};
use account::Survey;
use beat::Beat;
use channel::Channel;
use line::{Line, What};
use look::Look;

/// An answer to an order or a cancel is waited for this long, besides the venue's own hold.
const ANSWER_WAIT: Nanos = Nanos::secs(5);
/// A signed request that has not left after this long is signed anew; its expiry moves with it.
const REQUEST_AGE_MAX: Nanos = Nanos::secs(2);
/// How long a buy may stand: the shortest that the venue takes, and what may pass between writing the expiry and its
/// arrival. Without that, a request that crosses a second on its way is refused as `invalid expiration`.
const LIFE_S: u64 = OrderType::LIFE_MIN_S + 10;
/// From writing an order to its stated end, which is a minute later than the venue acts on it.
const END_MS: u64 = (LIFE_S + OrderType::EARLY_S) * 1_000;
/// An order is remembered for so long after its end.
const KEPT_MS: u64 = 600_000;

/// Of an ordinary signer, a second and at once (dossier 5.5). A third of the orders is kept for hedges.
const ORDERS: Bucket = Bucket::new(40, 60);
const KEPT_FOR_HEDGES: u32 = 20;
const CANCELS: Bucket = Bucket::new(80, 120);
/// `/order`, `/data/orders` and `/data/trades` together get 900 in ten seconds, by address.
const READS: Bucket = Bucket::new(60, 200);

/// Makes signed orders.
pub trait SignOrders {
    /// The order's id and its body; `None` where nobody signed it in time.
    fn sign(&mut self, order: &Order) -> Option<(Digest, Body)>;

    /// Asks for the same without waiting for it.
    fn ask(&mut self, order: &Order) -> Asked;

    /// The next answer to [`SignOrders::ask`].
    fn answered(&mut self) -> Option<(Salt, Option<(Digest, Body)>)>;
}

/// What comes of asking for a signature.
pub enum Asked {
    /// It is here already.
    Now(Digest, Body),
    /// It will come, or be given up.
    Later,
    /// Too much is asked for already.
    No,
}

impl SignOrders for OrderSigner {
    fn sign(&mut self, order: &Order) -> Option<(Digest, Body)> {
        let signed = Self::sign(self, order);
        Some((signed.id, self.body(&signed)))
    }

    fn ask(&mut self, order: &Order) -> Asked {
        let signed = Self::sign(self, order);
        Asked::Now(signed.id, self.body(&signed))
    }

    fn answered(&mut self) -> Option<(Salt, Option<(Digest, Body)>)> {
        None
    }
}

/// What the gateway has to know of a market.
#[derive(Clone, Copy, Debug)]
pub struct Market {
    /// The condition id, as the venue writes it.
    pub condition: Tag,
    /// YES, then NO.
    pub tokens: [TokenId; 2],
    pub exchange: Exchange,
    pub terms: Terms,
    /// How long the venue holds an order that takes, inside the call (dossier 3.7).
    pub hold: Nanos,
}

/// Whose orders, and for which markets.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct Setup {
    /// Without a scheme.
    pub host: String,
    pub chain: Chain,
    /// By [`MarketId`].
    pub markets: Vec<Option<Market>>,
    pub api: ApiSigner,
    pub signer: Box<dyn SignOrders + Send>,
    /// Of the wallet: the venue's balances are asked for by it.
    pub signature_type: u8,
    /// The venue's dead-man switch is fed. Once it was, it must always be.
    pub heartbeats: bool,
}

/// An order that is written out.
struct Ready {
    ask: Ask,
    tag: Tag,
    body: Body,
    /// The whole request, with the end that it states.
    request: Vec<u8>,
    end: UnixMs,
    written: Nanos,
}

/// An order that is signed ahead.
struct Ticket {
    order: Order,
    tag: Tag,
    digest: Digest,
    body: Body,
}

/// An order that was sent, as long as it may matter.
#[derive(Clone, Copy, Debug)]
struct Life {
    tag: Tag,
    /// `None` for an order of an earlier start.
    sent: Option<UnixMs>,
    /// By then it cannot stand any more.
    end: UnixMs,
    /// The last look at it found nothing although its end had passed.
    missing: bool,
}

/// Polymarket's gateway.
#[expect(missing_debug_implementations, reason = "it holds keys")]
pub struct PolymarketGateway {
    markets: Vec<Option<Market>>,
    /// The contracts that settle them.
    spenders: Vec<String>,
    outcomes: BTreeMap<String, Outcome>,
    signature_type: u8,
    signer: Box<dyn SignOrders + Send>,
    line: Line,
    kept: Kept,
    parser: Parser,
    /// The latest time that anybody told.
    clock: Arrival,
    /// When it first heard the time: orders that it does not know were sent before.
    born: Option<UnixMs>,
    /// Orders that are being signed ahead, and those that are.
    asked: BTreeMap<OrderId, Order>,
    tickets: BTreeMap<OrderId, Ticket>,
    minted: VecDeque<Minted>,
    ready: BTreeMap<OrderId, Ready>,
    lives: BTreeMap<OrderId, Life>,
    looks: BTreeMap<OrderId, Look>,
    survey: Option<Survey>,
    surveys: u32,
    beat: Option<Beat>,
    channel: Channel,
    orders: Bucket,
    cancels: Bucket,
    reads: Bucket,
    balances: Bucket,
    swept: Nanos,
}

impl PolymarketGateway {
    /// A gateway that has sent nothing.
    pub fn new(setup: Setup) -> Self {
        let Setup { host, chain, markets, api, signer, signature_type, heartbeats } = setup;
        let tokens = markets.iter().flatten().flat_map(|market| {
            [(market.tokens[0].to_string(), Outcome::Yes), (market.tokens[1].to_string(), Outcome::No)]
        });
        Self {
            spenders: account::spenders(&markets, chain),
            outcomes: tokens.collect(),
            markets,
            signature_type,
            signer,
            line: Line::new(host, api),
            parser: Parser::default(),
            kept: Kept::default(),
            clock: Arrival::default(),
            born: None,
            asked: BTreeMap::new(),
            tickets: BTreeMap::new(),
            minted: VecDeque::new(),
            ready: BTreeMap::new(),
            lives: BTreeMap::new(),
            looks: BTreeMap::new(),
            survey: None,
            surveys: 0,
            beat: heartbeats.then(Beat::default),
            channel: Channel::default(),
            orders: ORDERS,
            cancels: CANCELS,
            reads: READS,
            balances: account::BALANCES,
            swept: Nanos::ZERO,
        }
    }

    /// An order of an earlier start whose record is still to be found.
    pub fn remember(&mut self, order: OrderId, tag: Tag, sent: UnixMs) {
        let end = UnixMs::new(sent.raw() + END_MS);
        self.lives.insert(order, Life { tag, sent: Some(sent), end, missing: false });
    }

    fn market(&self, id: MarketId) -> Option<&Market> {
        self.markets.get(id.0 as usize)?.as_ref()
    }

    fn heard_time(&mut self, at: Arrival) {
        self.clock = at;
        self.born.get_or_insert(at.unix);
    }

    /// The venue's id of an order, from whoever knows it.
    fn tag(&self, order: OrderId, told: Option<Tag>) -> Option<Tag> {
        told.or_else(|| self.lives.get(&order).map(|life| life.tag))
            .or_else(|| self.ready.get(&order).map(|ready| ready.tag))
    }

    /// An order as it is signed, made now.
    fn order(&self, ask: &Ask, created: UnixMs) -> Result<Order, Unready> {
        let market = self.market(ask.market).ok_or(Unready::NoMarket)?;
        let side = if ask.buys { Side::Buy } else { Side::Sell };
        let amounts = Amounts::limit(side, ask.limit, ask.qty, &market.terms).and_then(Amounts::taking);
        Ok(Order {
            exchange: market.exchange,
            token: market.tokens[ask.outcome as usize],
            amounts: amounts.map_err(|_| Unready::Amounts)?,
            salt: Salt::new(ask.id.raw()).ok_or(Unready::Amounts)?,
            created,
            metadata: [0; 32],
            builder: [0; 32],
        })
    }

    /// Keeps what was signed ahead until it is used or withdrawn.
    fn keep(&mut self, id: OrderId, order: Order, signed: Option<(Digest, Body)>) {
        let ticket = signed.and_then(|signed| ticket_of(order, signed));
        self.minted.push_back(Minted { order: id, digest: ticket.as_ref().map(|ticket| ticket.digest.bytes()) });
        if let Some(ticket) = ticket {
            self.tickets.insert(id, ticket);
        }
    }

    /// The request with an expiry counted from now, and the moment from which the order cannot stand.
    fn write(&self, body: &Body, buys: bool, unix: UnixMs) -> Option<(Vec<u8>, UnixMs)> {
        // A sell is sized in shares either way. It never rests, but it may be held, or be on its way, like a buy.
        let kind = if buys { OrderType::gtd(unix, LIFE_S, false).ok()? } else { OrderType::Fak };
        let mut bytes = Vec::with_capacity(body.len_max());
        body.write(kind, &mut bytes).ok()?;
        let request = self.line.request(unix, "POST", "/order", Some(&bytes));
        Some((request, UnixMs::new(unix.raw() + END_MS)))
    }

    fn posted(&mut self, ask: &Ask, tag: &Tag, answer: Answer<'_>, at: Arrival, out: &mut Out) {
        let mut whole = None;
        let mut told = match answer {
            Answer::Whole { status, body } => {
                self.kept.keep(body);
                whole = Some(status);
                answer::posted(status, body, ask, !ask.buys, &mut self.parser)
            }
            Answer::NotSent => [Told::Sent(Sent::Refused(Refusal::Unsent))].into_iter().collect(),
            Answer::Lost(why) => [Told::Sent(Sent::Unknown(why))].into_iter().collect(),
        };
        if let Some(&Told::Sent(Sent::Accepted(other))) = told.first()
            && !other.as_str().eq_ignore_ascii_case(tag.as_str())
        {
            out.strange.push(format!("order {} is {tag}, and the venue answers with {other}", ask.id));
            told = [Told::Sent(Sent::Unknown(Unclear::Unreadable))].into_iter().collect();
        }
        if let Some(status) = whole.filter(|_| told.iter().any(Said::is_wanted)) {
            out.said.push(Said { order: ask.id, status, words: self.kept.words(|words| self.line.api().cut(words)) });
        }
        if told.contains(&Told::Sent(Sent::Refused(Refusal::Rate))) {
            self.orders.drain(at.now);
        }
        out.heard.extend(told.into_iter().map(|told| ours(ask.id, told, at)));
    }

    /// Forgets orders whose end is long past.
    fn sweep(&mut self, at: Arrival) {
        if at.now.since(self.swept) < Nanos::secs(60) {
            return;
        }
        self.swept = at.now;
        self.lives.retain(|_, life| life.missing || at.unix.since(life.end) < KEPT_MS);
    }
}

fn ticket_of(order: Order, (digest, body): (Digest, Body)) -> Option<Ticket> {
    Some(Ticket { order, tag: Tag::new(&digest.to_string())?, digest, body })
}

fn ours(order: OrderId, told: Told, at: Arrival) -> Heard {
    Heard { order: Whose::Ours(order), told, at: at.unix, met: None }
}

impl Gateway for PolymarketGateway {
    fn orders_left(&mut self, now: Nanos) -> u32 {
        self.orders.left(now)
    }

    fn prepare(&mut self, ask: &Ask, at: Arrival) -> Result<Prepared, Unready> {
        assert!(
            !self.ready.contains_key(&ask.id) && !self.lives.contains_key(&ask.id),
            "an order's number is its salt: it is used once"
        );
        self.heard_time(at);
        let entry = ask.purpose == Purpose::Entry;
        if entry && self.beat.as_ref().is_some_and(|beat| !beat.is_fed(at.now)) {
            return Err(Unready::Heartbeat);
        }
        let order = self.order(ask, at.unix)?;
        let hedges = matches!(ask.purpose, Purpose::Complete | Purpose::Unwind);
        if !self.orders.take(1, if hedges { 0 } else { KEPT_FOR_HEDGES }, at.now) {
            return Err(Unready::Pace);
        }
        // What is taken is what would be signed now but for the time, or it is signed now: a market whose tick, token
        // or contract is another one by now has no tickets.
        let ticket = self.tickets.remove(&ask.id).filter(|t| t.order == Order { created: t.order.created, ..order });
        let ahead = ticket.is_some();
        let Ticket { tag, digest, body, .. } = match ticket {
            Some(ticket) => ticket,
            None => self.signer.sign(&order).and_then(|signed| ticket_of(order, signed)).ok_or(Unready::Unsigned)?,
        };
        let (request, end) = self.write(&body, ask.buys, at.unix).ok_or(Unready::Amounts)?;
        self.ready.insert(ask.id, Ready { ask: *ask, tag, body, request, end, written: at.now });
        Ok(Prepared { digest: Some(digest.bytes()), tag: Some(tag), ahead })
    }

    fn send(&mut self, order: OrderId, out: &mut Out) {
        let at = self.clock;
        let Some(mut ready) = self.ready.remove(&order) else {
            out.heard.push(ours(order, Told::Sent(Sent::Refused(Refusal::Unsent)), at));
            return;
        };
        if REQUEST_AGE_MAX < at.now.since(ready.written)
            && let Some(written) = self.write(&ready.body, ready.ask.buys, at.unix)
        {
            (ready.request, ready.end) = written;
        }
        let Ready { ask, tag, request, end, .. } = ready;
        self.lives.insert(order, Life { tag, sent: Some(at.unix), end, missing: false });
        let lane = if ask.purpose == Purpose::Entry { Lane::Entry } else { Lane::Safety };
        let hold = self.market(ask.market).map_or(Nanos::ZERO, |market| market.hold);
        self.line.push(What::Post { ask, tag }, lane, ANSWER_WAIT + hold, request, out);
    }

    fn withdraw(&mut self, order: OrderId) {
        self.ready.remove(&order);
        self.asked.remove(&order);
        self.tickets.remove(&order);
    }

    fn mint(&mut self, ask: &Ask, at: Arrival) -> bool {
        self.heard_time(at);
        let Ok(order) = self.order(ask, at.unix) else { return false };
        match self.signer.ask(&order) {
            Asked::Now(digest, body) => self.keep(ask.id, order, Some((digest, body))),
            Asked::Later => _ = self.asked.insert(ask.id, order),
            Asked::No => return false,
        }
        true
    }

    fn minted(&mut self) -> Option<Minted> {
        while let Some((salt, signed)) = self.signer.answered() {
            // What was withdrawn meanwhile is nobody's.
            if let Some(id) = OrderId::from_raw(salt.raw())
                && let Some(order) = self.asked.remove(&id)
            {
                self.keep(id, order, signed);
            }
        }
        self.minted.pop_front()
    }

    fn cancel(&mut self, ask: &Ask, tag: Option<Tag>, at: Arrival, out: &mut Out) {
        self.heard_time(at);
        // Where nothing can be sent, that is said: the plan looks, and asks again if the order stands.
        let tag = self.tag(ask.id, tag).filter(|_| self.cancels.take(1, 0, at.now));
        let Some(tag) = tag else {
            out.heard.push(ours(ask.id, Told::NotCancelled, at));
            return;
        };
        let body = format!("{{\"orderID\":\"{tag}\"}}");
        let request = self.line.request(at.unix, "DELETE", "/order", Some(body.as_bytes()));
        self.line.push(What::Cancel { order: ask.id, tag }, Lane::Safety, ANSWER_WAIT, request, out);
    }

    fn look(&mut self, ask: &Ask, tag: Option<Tag>, at: Arrival, out: &mut Out) {
        self.heard_time(at);
        self.start_look(ask, tag, at, out);
    }

    fn account(&mut self, at: Arrival, out: &mut Out) {
        self.heard_time(at);
        self.start_survey(at, out);
    }

    fn halt(&mut self, at: Arrival, _out: &mut Out) {
        // The venue has no switch for entries alone: a heartbeat that stops would cancel hedges too, and keep new ones
        // from being made. So heartbeats go on, and the latch below the sender keeps entries back.
        self.heard_time(at);
    }

    fn resume(&mut self, at: Arrival, _out: &mut Out) {
        self.heard_time(at);
    }

    fn answered(&mut self, no: CallNo, answer: Answer<'_>, at: Arrival, out: &mut Out) {
        self.heard_time(at);
        let Some(what) = self.line.answered(no) else { return };
        match what {
            What::Post { ask, tag } => self.posted(&ask, &tag, answer, at, out),
            What::Cancel { order, tag } => {
                let told = match answer {
                    Answer::Whole { status, body } => {
                        if status == 429 {
                            self.cancels.drain(at.now);
                        }
                        answer::cancelled(status, body, &tag, &mut self.parser)
                    }
                    Answer::NotSent | Answer::Lost(_) => Told::NotCancelled,
                };
                out.heard.push(ours(order, told, at));
            }
            What::Record { order } => self.record_answered(order, answer, at, out),
            What::Trades { order } => self.trades_answered(order, answer, at, out),
            What::Account { survey, part } => self.survey_answered(survey, part, answer, at, out),
            What::Beat { asked } => self.beat_answered(asked, answer, at),
        }
    }

    fn terms(&mut self, market: MarketId, terms: &crate::spread::Terms) {
        let known = self.markets.get_mut(market.0 as usize).and_then(Option::as_mut);
        // A tick that nobody knows is one that the catalogue refuses: nothing is entered there. Orders that are ready
        // on the old one are their owner's to withdraw.
        if let (Some(known), Some(tick)) = (known, Tick::of(&terms.grid)) {
            known.terms = Terms { tick, qty_min: terms.qty_min };
        }
    }

    fn opened(&mut self, at: Arrival, out: &mut Out) {
        self.heard_time(at);
        self.channel.open(at.now);
        out.sends.push(self.line.api().hello());
        out.missed = true;
    }

    fn text(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out) {
        self.heard_time(at);
        self.channel_text(bytes, at, out);
    }

    fn alive(&mut self, at: Arrival, _out: &mut Out) {
        self.heard_time(at);
        self.channel.heard(at.now);
    }

    fn timeout(&mut self, at: Arrival, out: &mut Out) {
        self.heard_time(at);
        self.channel.timeout(at.now, out);
        self.feed_beat(at, out);
        self.feed_survey(at, out);
        self.sweep(at);
    }
}
