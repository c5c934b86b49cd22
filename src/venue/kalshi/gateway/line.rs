//! What every request needs: a number, headers, a budget, and a note of who asked.

use std::fmt::Write as _;

use super::{Market, Setup, SignCalls};
use crate::{
    order::Ask,
    unit::{MarketId, Nanos, OrderId},
    venue::{
        gateway::{Call, CallNo, Lane, Out, READ_WAIT},
        http::write_request,
        kalshi::{
            limits::Rates,
            order::{Names, Place},
            sign::Headers,
        },
        pace::Bucket,
    },
    wire::Arrival,
};

/// What stands before every path.
pub(super) const API: &str = "/trade-api/v2";
/// The answer to an order or a cancel is waited for this long.
const WAIT: Nanos = Nanos::secs(5);
/// Rows of a page: the most the venue gives; more is an error, not a clamp.
pub(super) const PAGE: u32 = 1_000;
/// Pages of one listing. A cursor that leads further is a loop.
const PAGES_MAX: usize = 100;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    Create(OrderId),
    Cancel(OrderId),
    Look(OrderId),
    Account,
    /// By its place among the groups.
    Trigger(usize),
}

/// One request but for its headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) lane: Lane,
    pub(super) method: &'static str,
    /// With [`API`], without the query.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) body: Option<&'a [u8]>,
}

pub(super) struct Line {
    pub(super) names: Names,
    pub(super) rates: Rates,
    pub(super) subaccount: Option<u8>,
    pub(super) markets: Vec<Option<Market>>,
    pub(super) read: Bucket,
    pub(super) write: Bucket,
    /// The latest time that we were told.
    pub(super) at: Arrival,
    host: String,
    signer: Box<dyn SignCalls + Send>,
    last: u32,
    waiting: Vec<(CallNo, Asked)>,
}

impl Line {
    pub(super) fn new(setup: Setup) -> Self {
        let Setup { names, rates, subaccount, host, signer, .. } = setup;
        // A ticker goes into texts and queries as it is.
        let plain = |market: &Market| !market.ticker.is_empty() && market.ticker.bytes().all(is_plain);
        let markets = setup.markets.into_iter().map(|market| market.filter(plain)).collect();
        let bucket = |refill: crate::venue::kalshi::limits::Refill| Bucket::new(refill.per_second, refill.capacity);
        Self {
            read: bucket(rates.read),
            write: bucket(rates.write),
            at: Arrival::default(),
            last: 0,
            waiting: Vec::new(),
            names,
            rates,
            subaccount,
            markets,
            host,
            signer,
        }
    }

    /// Time has come this far.
    pub(super) fn heard(&mut self, at: Arrival) {
        if self.at.now <= at.now {
            self.at = at;
        }
    }

    pub(super) fn market(&self, id: MarketId) -> Option<&Market> {
        self.markets.get(id.0 as usize)?.as_ref()
    }

    /// An order's market, as requests name it.
    pub(super) fn place(&self, ask: &Ask) -> Option<Place<'_>> {
        let market = self.market(ask.market)?;
        Some(Place { ticker: &market.ticker, shard: market.shard, subaccount: self.subaccount })
    }

    /// Signed headers with this moment's timestamp; `None` if nobody signs, or for a path that signing and sending
    /// might spell in two ways.
    fn sign(&mut self, method: &'static str, path: &str) -> Option<Headers> {
        if !path.bytes().all(|byte| byte == b'/' || is_plain(byte)) {
            return None;
        }
        self.signer.sign(self.at.unix, method, path)
    }

    /// The whole request, signed now.
    pub(super) fn written(&mut self, request: &Request<'_>) -> Option<Vec<u8>> {
        let headers = self.sign(request.method, request.path)?;
        let joint = if request.query.is_empty() { "" } else { "?" };
        let target = format!("{}{joint}{}", request.path, request.query);
        let mut bytes = Vec::with_capacity(1_024 + request.body.map_or(0, <[u8]>::len));
        write_request(&mut bytes, request.method, &target, &self.host, &headers.pairs(), request.body);
        Some(bytes)
    }

    /// Hands a written request out.
    pub(super) fn send(&mut self, asked: Asked, lane: Lane, bytes: Vec<u8>, out: &mut Out) {
        self.last = self.last.wrapping_add(1);
        let no = CallNo(self.last);
        self.waiting.push((no, asked));
        let wait = if lane == Lane::Read { READ_WAIT } else { WAIT };
        out.calls.push(Call { no, lane, wait, bytes });
    }

    /// Signs and hands out. `false` if it cannot be signed: nothing has left.
    pub(super) fn ask(&mut self, asked: Asked, request: &Request<'_>, out: &mut Out) -> bool {
        let Some(bytes) = self.written(request) else { return false };
        self.send(asked, request.lane, bytes, out);
        true
    }

    /// Asks a question, if the budget for them holds.
    pub(super) fn get(&mut self, asked: Asked, question: &Question, out: &mut Out) -> bool {
        let Question { path, query, cost } = question;
        self.read.take(*cost, 0, self.at.now)
            && self.ask(asked, &Request { lane: Lane::Read, method: "GET", path, query, body: None }, out)
    }

    /// Who asked. Each answer is taken once.
    pub(super) fn answered(&mut self, no: CallNo) -> Option<Asked> {
        let at = self.waiting.iter().position(|(waiting, _)| *waiting == no)?;
        Some(self.waiting.swap_remove(at).1)
    }
}

/// A question: full path, query, and what it costs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Question {
    pub(super) path: String,
    pub(super) query: String,
    pub(super) cost: u32,
}

/// What an answer to a question leaves to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// The next question.
    More,
    Done,
}

/// How far a listing has been read.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// Every cursor so far. A garbage cursor is page one to the venue, so a loop has to be seen here.
    seen: Vec<Box<str>>,
}

impl Pages {
    /// Takes the cursor of a page in: `Some(true)` if another page follows, `None` if it leads nowhere new.
    pub(super) fn next(&mut self, cursor: &str) -> Option<bool> {
        if cursor.is_empty() {
            return Some(false);
        }
        if PAGES_MAX <= self.seen.len() || self.seen.iter().any(|seen| &**seen == cursor) {
            return None;
        }
        self.seen.push(cursor.into());
        Some(true)
    }

    /// Appends the size of a page, and where it begins.
    pub(super) fn write(&self, query: &mut String) {
        let joint = if query.is_empty() { "" } else { "&" };
        let _ = write!(query, "{joint}limit={PAGE}");
        if let Some(cursor) = self.seen.last() {
            query.push_str("&cursor=");
            encode(cursor, query);
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

/// Appends a text as a query's value.
fn encode(text: &str, query: &mut String) {
    for byte in text.bytes() {
        if is_plain(byte) {
            query.push(char::from(byte));
        } else {
            let _ = write!(query, "%{byte:02X}");
        }
    }
}
