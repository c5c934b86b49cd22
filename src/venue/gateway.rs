//! Order entry at one venue as a protocol without I/O: orders, cancels and questions become HTTP requests, answers and
//! private frames become reports.
//!
//! A gateway owns no socket and asks for no time. Its caller carries each [`Call`] to the venue on a kept-alive
//! connection, brings back what came of it, and tells it what the private stream says. Whatever a venue answers, the
//! executor hears it in [`Heard`], and nothing is ever sent a second time.

use crate::{
    fill::{Heard, Whose},
    order::Ask,
    spread::Terms,
    unit::{MarketId, Money, Nanos, OrderId, Qty, Sent, Tag, Told, Unclear, UnixMs},
    wire::Arrival,
};

/// The answer to a question is waited for this long: asking again is free, and a start that is to agree with both
/// accounts within five seconds may lose one.
pub const READ_WAIT: Nanos = Nanos::secs(3);

/// A call's number, given by its gateway.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallNo(pub u32);

/// Which connections may carry a call.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Lane {
    /// Raises risk. Nothing of this lane leaves once the latch has fallen.
    Entry,
    /// Hedges, cancels and dead-man switches: one connection is theirs alone.
    Safety,
    /// Asks only.
    Read,
}

/// A whole HTTP/1.1 request, to be written at once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    pub no: CallNo,
    pub lane: Lane,
    /// How long its answer is waited for.
    pub wait: Nanos,
    pub bytes: Vec<u8>,
}

/// What came of a call.
#[derive(Debug, Eq, PartialEq)]
pub enum Answer<'b> {
    /// A whole answer.
    Whole { status: u16, body: &'b mut [u8] },
    /// Not one byte of the request was handed to a connection.
    NotSent,
    /// Something left, and no whole answer came.
    Lost(Unclear),
}

/// An order that is ready to leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prepared {
    /// The venue's own id, where it follows from the order itself: Polymarket's digest.
    pub digest: Option<[u8; 32]>,
    /// The same as the venue writes it.
    pub tag: Option<Tag>,
    /// It was signed ahead, as a ticket, with this very digest.
    pub ahead: bool,
}

/// What came of [`Gateway::mint`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Minted {
    pub order: OrderId,
    /// The venue's own id; `None` where nobody signed it.
    pub digest: Option<[u8; 32]>,
}

/// Why an order cannot leave now. Nothing of it has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unready {
    #[error("the market is not one that this gateway trades")]
    NoMarket,
    #[error("price, size or amounts do not fit the market's rules")]
    Amounts,
    #[error("the venue's request budget is used up")]
    Pace,
    #[error("nobody signed it in time")]
    Unsigned,
    #[error("the venue's dead-man switch is not fed")]
    Heartbeat,
    #[error("this engine only reads")]
    ReadsOnly,
}

/// What an account holds of one market.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Held {
    /// Kalshi: the ticker. Polymarket: the condition id.
    pub market: Tag,
    /// By outcome.
    pub qty: [Qty; 2],
}

/// All of an account, as complete listings show it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Account {
    /// The venue's own word of how fresh its listings are; our time of asking where it gives none.
    pub as_of: UnixMs,
    /// Cash by shard; shard 0 alone on Polymarket.
    pub cash: Vec<(u8, Money)>,
    /// How much of the cash the contracts may move that settle our markets: the least of them. Polymarket alone; `None`
    /// where the venue does not say.
    pub allowance: Option<Money>,
    pub held: Vec<Held>,
    /// Orders that stand: the venue's id, and our number where it is ours.
    pub standing: Vec<(Tag, Option<OrderId>)>,
}

/// An answer to an order that is on no list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    pub order: OrderId,
    pub status: u16,
    /// As they came, secrets cut: the first [`Kept::MAX`] bytes of what is left.
    pub words: String,
}

impl Said {
    /// Is what an answer came to on no list?
    pub const fn is_wanted(told: &Told) -> bool {
        use Unclear::{Status, Unfamiliar, Unreadable};
        matches!(told, Told::Sent(Sent::Unknown(Status(_) | Unfamiliar | Unreadable)))
    }
}

/// The bytes of an answer as they came: reading it overwrites them.
#[derive(Debug, Default)]
pub struct Kept(Vec<u8>);

impl Kept {
    /// The most bytes of [`Kept::words`].
    pub const MAX: usize = 2_048;

    /// Keeps these, and nothing of those before.
    pub fn keep(&mut self, body: &[u8]) {
        self.0.clear();
        self.0.extend_from_slice(body);
    }

    /// What was kept, without what `cut` takes out. It is shortened afterwards: half a secret is not found.
    pub fn words(&self, cut: impl Fn(&str) -> String) -> String {
        let mut words = cut(&String::from_utf8_lossy(&self.0));
        words.truncate(words.floor_char_boundary(Self::MAX));
        words
    }
}

/// What a gateway wants done, and what it learnt. Filled by it, emptied by its caller.
#[derive(Debug, Default)]
pub struct Out {
    pub calls: Vec<Call>,
    pub heard: Vec<Heard>,
    /// For the private stream.
    pub sends: Vec<String>,
    /// The private stream is to be closed and opened anew.
    pub lost: bool,
    /// The private stream stands anew, and what was told meanwhile is lost: every order that may still change is to be
    /// looked at.
    pub missed: bool,
    /// An account that was asked for, whole.
    pub account: Option<Account>,
    /// Answers to orders that are on no list, for the journal.
    pub said: Vec<Said>,
    /// Something the venue says that this build does not know, secrets cut: for the log, and a reason to look.
    pub strange: Vec<String>,
    /// The venue has thrown a switch that stops entries, and nobody here asked for it: the latch is to fall.
    pub halt: Option<&'static str>,
}

/// Order entry and private reports of one venue.
pub trait Gateway {
    /// Makes an order ready: named, signed, written out. Nothing leaves yet, so that its record can come first.
    fn prepare(&mut self, ask: &Ask, at: Arrival) -> Result<Prepared, Unready>;

    /// Sends an order that is ready. Each is sent once.
    fn send(&mut self, order: OrderId, out: &mut Out);

    /// Drops an order that is ready and will not be sent, or a ticket that will not be used.
    fn withdraw(&mut self, order: OrderId);

    /// Asks for an order to be signed ahead. Nobody waits: it comes by [`Gateway::minted`], and [`Gateway::prepare`]
    /// takes it where an order of this number is to be ready that is the same in every word. `false` where the venue
    /// has no such tickets, or this is no order.
    fn mint(&mut self, _ask: &Ask, _at: Arrival) -> bool {
        false
    }

    /// The next order that was signed ahead.
    fn minted(&mut self) -> Option<Minted> {
        None
    }

    /// Asks the venue to cancel. `tag` is its id of the order, if it is known.
    fn cancel(&mut self, ask: &Ask, tag: Option<Tag>, at: Arrival, out: &mut Out);

    /// Asks for the venue's record of an order: the order itself and its trades, or, where the venue's id is not known,
    /// complete listings. Ends in reports; a question that fails says nothing, and is asked again by the plan.
    fn look(&mut self, ask: &Ask, tag: Option<Tag>, at: Arrival, out: &mut Out);

    /// Asks for all of the account: cash, positions, standing orders. Ends in [`Out::account`], or in nothing.
    fn account(&mut self, at: Arrival, out: &mut Out);

    /// The latch has fallen: the venue's own switch for entries is thrown, where there is one.
    fn halt(&mut self, at: Arrival, out: &mut Out);

    /// A person has lifted the latch: what [`Gateway::halt`] threw is put back.
    fn resume(&mut self, at: Arrival, out: &mut Out);

    /// What came of a call.
    fn answered(&mut self, no: CallNo, answer: Answer<'_>, at: Arrival, out: &mut Out);

    /// The private stream's connection stands.
    fn opened(&mut self, at: Arrival, out: &mut Out);

    /// A text message of the private stream. Its bytes are changed in place.
    fn text(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out);

    /// A control frame of the private stream.
    fn alive(&mut self, at: Arrival, out: &mut Out);

    /// Time went by. Call a few times a second.
    fn timeout(&mut self, at: Arrival, out: &mut Out);

    /// How many orders the venue's request budget allows now.
    fn orders_left(&mut self, now: Nanos) -> u32;

    /// A market's terms are others from here on. A venue whose orders do not hang on them need not know.
    fn terms(&mut self, _market: MarketId, _terms: &Terms) {}
}

/// A gateway that reads accounts and lets nothing through that could change anything at its venue.
#[expect(missing_debug_implementations, reason = "it stands for a gateway, which holds keys")]
pub struct ReadsOnly(pub Box<dyn Gateway + Send>);

impl ReadsOnly {
    /// Whatever else the gateway does, only questions leave.
    fn guard(&mut self, out: &mut Out, act: impl FnOnce(&mut dyn Gateway, &mut Out)) {
        act(&mut *self.0, out);
        out.calls.retain(|call| call.lane == Lane::Read && call.bytes.starts_with(b"GET "));
    }
}

impl Gateway for ReadsOnly {
    fn prepare(&mut self, _: &Ask, _: Arrival) -> Result<Prepared, Unready> {
        Err(Unready::ReadsOnly)
    }

    fn send(&mut self, order: OrderId, out: &mut Out) {
        self.guard(out, |gateway, out| gateway.send(order, out));
    }

    fn withdraw(&mut self, order: OrderId) {
        self.0.withdraw(order);
    }

    fn cancel(&mut self, ask: &Ask, _: Option<Tag>, at: Arrival, out: &mut Out) {
        out.heard.push(Heard { order: Whose::Ours(ask.id), told: Told::NotCancelled, at: at.unix, met: None });
    }

    fn look(&mut self, ask: &Ask, tag: Option<Tag>, at: Arrival, out: &mut Out) {
        self.guard(out, |gateway, out| gateway.look(ask, tag, at, out));
    }

    fn account(&mut self, at: Arrival, out: &mut Out) {
        self.guard(out, |gateway, out| gateway.account(at, out));
    }

    fn halt(&mut self, _: Arrival, _: &mut Out) {}

    fn resume(&mut self, _: Arrival, _: &mut Out) {}

    fn answered(&mut self, no: CallNo, answer: Answer<'_>, at: Arrival, out: &mut Out) {
        self.guard(out, |gateway, out| gateway.answered(no, answer, at, out));
    }

    fn opened(&mut self, at: Arrival, out: &mut Out) {
        self.guard(out, |gateway, out| gateway.opened(at, out));
    }

    fn text(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out) {
        self.guard(out, |gateway, out| gateway.text(bytes, at, out));
    }

    fn alive(&mut self, at: Arrival, out: &mut Out) {
        self.guard(out, |gateway, out| gateway.alive(at, out));
    }

    fn timeout(&mut self, at: Arrival, out: &mut Out) {
        self.guard(out, |gateway, out| gateway.timeout(at, out));
    }

    fn orders_left(&mut self, now: Nanos) -> u32 {
        self.0.orders_left(now)
    }

    fn terms(&mut self, market: MarketId, terms: &Terms) {
        self.0.terms(market, terms);
    }
}
