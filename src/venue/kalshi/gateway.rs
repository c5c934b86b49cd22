//! Order entry at Kalshi without I/O (dossier 2, 3.9 to 3.14, 4.6 to 4.12).
//!
//! What a newcomer gets wrong: only a request that provably never left may be taken for "not there". Every other
//! silence, error or odd answer leaves the order in doubt until the venue's own record ends it, and that record is read
//! in a set order of questions: see `look`.

mod holdings;
mod line;
mod look;
mod page;
mod stream;

use std::collections::BTreeMap;

use holdings::Reading;
use line::{Asked, Line, Progress, Request};
use look::{HISTORY_MS, Look, ours};
use stream::Stream;

use super::{
    group::{self, Throw},
    limits::Rates,
    order::{self, Names},
    sign::{Headers, KalshiSigner},
};
use crate::{
    order::{Ask, Purpose},
    unit::{Nanos, OrderId, Refusal, Sent, Tag, Told, UnixMs},
    venue::{
        gateway::{Answer, CallNo, Gateway, Kept, Lane, Out, Prepared, Said, Unready},
        pace::Bucket,
    },
    wire::{Arrival, json::Parser},
};

/// The share of the write budget that entries leave alone, in hundredths: cancels and hedges always find some.
const KEPT_PERCENT: u32 = 30;
/// A header older than this is made anew: the venue takes about five seconds, and the way there costs some of them.
const SIGNED_FOR: Nanos = Nanos::secs(2);
/// A group whose trigger failed is triggered again after this, and so many times: it does no harm twice.
const TRIGGER_AGAIN: Nanos = Nanos::secs(2);
const TRIGGERS_MAX: u8 = 5;
/// Balance reads in a second of the lower tiers (dossier 4.9).
const BALANCES: u32 = 1;

/// Who signs requests.
pub trait SignCalls {
    /// The headers of a request at this time. `path` is the full path without the query. `None` if nobody signs now.
    fn sign(&mut self, now: UnixMs, method: &'static str, path: &str) -> Option<Headers>;
}

impl SignCalls for KalshiSigner {
    fn sign(&mut self, now: UnixMs, method: &'static str, path: &str) -> Option<Headers> {
        Self::sign(self, now, method, path).ok()
    }
}

/// A market as requests name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Market {
    pub ticker: String,
    /// `exchange_index`.
    pub shard: u8,
}

/// What a gateway has to know from the start.
#[expect(missing_debug_implementations, reason = "a signer holds a key")]
pub struct Setup {
    pub names: Names,
    /// For the `Host` header.
    pub host: String,
    /// By [`MarketId`](crate::unit::MarketId).
    pub markets: Vec<Option<Market>>,
    /// Entries of a shard join its group, where there is one.
    pub groups: Vec<(u8, Tag)>,
    pub rates: Rates,
    pub subaccount: Option<u8>,
    /// Orders of earlier starts that may still be in doubt, and when they were sent. Without that time their absence is
    /// never told: the archive might hold them.
    pub sent: Vec<(OrderId, UnixMs)>,
    pub signer: Box<dyn SignCalls + Send>,
}

/// An order that may leave.
struct Ready {
    order: OrderId,
    lane: Lane,
    signed: Nanos,
    bytes: Vec<u8>,
    body: Vec<u8>,
}

/// An order that has left.
#[derive(Clone, Copy, Debug)]
struct Known {
    sent: UnixMs,
    tag: Option<Tag>,
}

/// The venue's switch for the entries of one shard.
#[derive(Debug)]
struct Switch {
    shard: u8,
    group: Tag,
    tries: u8,
    way: Throw,
    /// To be thrown that way, not before this.
    due: Option<Nanos>,
}

/// Order entry and private reports of Kalshi.
#[expect(missing_debug_implementations, reason = "its signer holds a key")]
pub struct KalshiGateway {
    line: Line,
    parser: Parser,
    kept: Kept,
    ready: Vec<Ready>,
    known: BTreeMap<OrderId, Known>,
    looks: Vec<Look>,
    reading: Option<Reading>,
    balance: Bucket,
    switches: Vec<Switch>,
    stream: Stream,
}

impl KalshiGateway {
    /// A gateway that has asked for nothing yet.
    pub fn new(mut setup: Setup) -> Self {
        let groups = std::mem::take(&mut setup.groups);
        let sent = std::mem::take(&mut setup.sent);
        Self {
            stream: Stream::new(setup.names, groups.iter().map(|(_, group)| *group).collect()),
            switches: groups
                .into_iter()
                .map(|(shard, group)| Switch { shard, group, tries: 0, way: Throw::Reset, due: None })
                .collect(),
            known: sent.into_iter().map(|(order, sent)| (order, Known { sent, tag: None })).collect(),
            line: Line::new(setup),
            parser: Parser::default(),
            kept: Kept::default(),
            ready: Vec::new(),
            looks: Vec::new(),
            reading: None,
            balance: Bucket::new(BALANCES, BALANCES),
        }
    }

    fn learn(&mut self, order: OrderId, tag: Tag) {
        if let Some(known) = self.known.get_mut(&order) {
            known.tag = Some(tag);
        }
    }

    fn begin_look(&mut self, ask: &Ask, tag: Option<Tag>, cancels: bool, out: &mut Out) {
        // One at a time for each order: a second one would tell the same.
        if let Some(look) = self.looks.iter_mut().find(|look| look.ask.id == ask.id) {
            look.cancels |= cancels;
            return;
        }
        let known = self.known.get(&ask.id);
        let mut look = Look::new(*ask, tag, known.and_then(|known| known.tag), known.map(|known| known.sent));
        look.cancels = cancels;
        self.go_on(look, out);
    }

    /// Asks a look's next question. One that cannot be asked ends it.
    fn go_on(&mut self, look: Look, out: &mut Out) {
        let Some(place) = self.line.place(&look.ask) else { return };
        let question = look.question(place, &self.line.rates);
        if self.line.get(Asked::Look(look.ask.id), &question, out) {
            self.looks.push(look);
        }
    }

    fn looked(&mut self, order: OrderId, body: Option<&mut [u8]>, out: &mut Out) {
        let Some(at) = self.looks.iter().position(|look| look.ask.id == order) else { return };
        let mut look = self.looks.swap_remove(at);
        let Some(body) = body else { return };
        let (names, now) = (self.line.names, self.line.at);
        match look.answered(body, names, now.unix, &mut self.parser) {
            None => {}
            Some(Progress::More) => self.go_on(look, out),
            Some(Progress::Done) => {
                look.tell(now, out);
                if let Some(tag) = look.tag() {
                    self.learn(order, tag);
                }
                if let Some(tag) = look.standing().filter(|_| look.cancels) {
                    self.cancel_by(&look.ask, &tag, out);
                }
            }
        }
    }

    fn cancel_by(&mut self, ask: &Ask, tag: &Tag, out: &mut Out) {
        let Some(place) = self.line.place(ask) else { return };
        let (path, query) = order::cancel(tag, place);
        let request = Request { lane: Lane::Safety, method: "DELETE", path: &path, query: &query, body: None };
        // Whatever our own count says: a cancel that the venue finds too much costs nothing.
        self.line.write.force(self.line.rates.cancel, self.line.at.now);
        if !self.line.ask(Asked::Cancel(ask.id), &request, out) {
            out.heard.push(ours(ask.id, Told::NotCancelled, self.line.at));
        }
    }

    /// Asks the account's next question. One that cannot be asked ends the reading.
    fn read_on(&mut self, mut reading: Reading, out: &mut Out) {
        if reading.may_ask(&mut self.balance, self.line.at.now) {
            let question = reading.question(self.line.subaccount, &self.line.rates);
            if !self.line.get(Asked::Account, &question, out) {
                return;
            }
        }
        self.reading = Some(reading);
    }

    fn account_read(&mut self, body: Option<&mut [u8]>, out: &mut Out) {
        let (Some(mut reading), Some(body)) = (self.reading.take(), body) else { return };
        match reading.answered(body, self.line.names, &mut self.parser) {
            None => {}
            Some(Progress::More) => self.read_on(reading, out),
            Some(Progress::Done) => out.account = Some(reading.account),
        }
    }

    fn switch(&mut self, way: Throw, out: &mut Out) {
        for switch in &mut self.switches {
            (switch.tries, switch.way, switch.due) = (0, way, Some(self.line.at.now));
        }
        self.throw(out);
    }

    fn throw(&mut self, out: &mut Out) {
        let now = self.line.at.now;
        for (at, switch) in self.switches.iter_mut().enumerate() {
            if switch.due.is_none_or(|due| now < due) {
                continue;
            }
            switch.due = None;
            switch.tries += 1;
            let (path, query) = group::throw(switch.way, &switch.group, switch.shard, self.line.subaccount);
            let body = Some(b"{}".as_slice());
            let request = Request { lane: Lane::Safety, method: "PUT", path: &path, query: &query, body };
            self.line.write.force(self.line.rates.other, now);
            if !self.line.ask(Asked::Trigger(at), &request, out) {
                switch.postpone(now);
            }
        }
    }

    /// Tells what the answer to an order means. One that is on no list is kept as it came.
    fn created(&mut self, order: OrderId, status: u16, body: &mut [u8], out: &mut Out) {
        self.kept.keep(body);
        for told in order::created(status, body, &mut self.parser) {
            if let Told::Sent(Sent::Accepted(tag)) = told {
                self.learn(order, tag);
            }
            if Said::is_wanted(&told) {
                out.said.push(Said { order, status, words: self.kept.words(without_signatures) });
            }
            out.heard.push(ours(order, told, self.line.at));
        }
    }
}

/// A signature is longer than any name of the venue's.
fn without_signatures(words: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "+/=_-".contains(letter);
    let mut out = String::with_capacity(words.len());
    for run in words.split_inclusive(|letter| !is_part(letter)) {
        let name = run.trim_end_matches(|letter| !is_part(letter));
        if Tag::LEN < name.len() {
            out.push_str("***");
            out.push_str(&run[name.len()..]);
        } else {
            out.push_str(run);
        }
    }
    out
}

impl Switch {
    fn postpone(&mut self, now: Nanos) {
        self.due = (self.tries < TRIGGERS_MAX).then(|| now + TRIGGER_AGAIN);
    }
}

impl Gateway for KalshiGateway {
    fn orders_left(&mut self, now: Nanos) -> u32 {
        self.line.write.left(now) / self.line.rates.create.max(1)
    }

    fn prepare(&mut self, ask: &Ask, at: Arrival) -> Result<Prepared, Unready> {
        self.line.heard(at);
        let now = self.line.at.now;
        let place = self.line.place(ask).ok_or(Unready::NoMarket)?;
        // The venue counts hundredths of a contract.
        if ask.qty.is_zero() || !ask.qty.micros().is_multiple_of(10_000) {
            return Err(Unready::Amounts);
        }
        let (lane, keep) = match ask.purpose {
            Purpose::Entry => (Lane::Entry, self.line.write.share(KEPT_PERCENT)),
            Purpose::Exit | Purpose::Flatten | Purpose::Rest => (Lane::Safety, self.line.write.share(KEPT_PERCENT)),
            Purpose::Complete | Purpose::Unwind => (Lane::Safety, 0),
        };
        let group = self.switches.iter().find(|switch| switch.shard == place.shard).map(|switch| switch.group);
        let mut body = Vec::with_capacity(512);
        order::write_create(ask, place, self.line.names, group.as_ref().map(Tag::as_str), &mut body);
        if !self.line.write.take(self.line.rates.create, keep, now) {
            return Err(Unready::Pace);
        }
        let bytes = self.line.written(&create(lane, &body)).ok_or(Unready::Unsigned)?;
        self.withdraw(ask.id);
        self.ready.push(Ready { order: ask.id, lane, signed: now, bytes, body });
        Ok(Prepared { digest: None, tag: None, ahead: false })
    }

    fn send(&mut self, order: OrderId, out: &mut Out) {
        let Some(at) = self.ready.iter().position(|ready| ready.order == order) else { return };
        let mut ready = self.ready.swap_remove(at);
        let now = self.line.at;
        if SIGNED_FOR < now.now.since(ready.signed) {
            let Some(bytes) = self.line.written(&create(ready.lane, &ready.body)) else {
                out.heard.push(ours(order, Told::Sent(Sent::Refused(Refusal::Unsent)), now));
                return;
            };
            ready.bytes = bytes;
        }
        while let Some(oldest) = self.known.first_entry().filter(|e| HISTORY_MS < now.unix.since(e.get().sent)) {
            oldest.remove();
        }
        self.known.insert(order, Known { sent: now.unix, tag: None });
        self.line.send(Asked::Create(order), ready.lane, ready.bytes, out);
    }

    fn withdraw(&mut self, order: OrderId) {
        self.ready.retain(|ready| ready.order != order);
    }

    fn cancel(&mut self, ask: &Ask, tag: Option<Tag>, at: Arrival, out: &mut Out) {
        self.line.heard(at);
        match tag.or_else(|| self.known.get(&ask.id)?.tag) {
            Some(tag) => self.cancel_by(ask, &tag, out),
            // The venue cancels by its own id only.
            None => self.begin_look(ask, None, true, out),
        }
    }

    fn look(&mut self, ask: &Ask, tag: Option<Tag>, at: Arrival, out: &mut Out) {
        self.line.heard(at);
        self.begin_look(ask, tag, false, out);
    }

    fn account(&mut self, at: Arrival, out: &mut Out) {
        self.line.heard(at);
        if self.reading.is_none() {
            let mut shards: Vec<u8> = self.line.markets.iter().flatten().map(|market| market.shard).collect();
            shards.sort_unstable();
            shards.dedup();
            self.read_on(Reading::new(shards), out);
        }
    }

    fn halt(&mut self, at: Arrival, out: &mut Out) {
        self.line.heard(at);
        self.switch(Throw::Trigger, out);
    }

    fn resume(&mut self, at: Arrival, out: &mut Out) {
        self.line.heard(at);
        // A group that was made at this start and never triggered takes orders; resetting it anew does no harm.
        self.switch(Throw::Reset, out);
    }

    fn answered(&mut self, no: CallNo, answer: Answer<'_>, at: Arrival, out: &mut Out) {
        self.line.heard(at);
        let now = self.line.at;
        let Some(asked) = self.line.answered(no) else { return };
        if let Answer::Whole { status: 429, .. } = answer {
            let reads = matches!(asked, Asked::Look(_) | Asked::Account);
            let bucket = if reads { &mut self.line.read } else { &mut self.line.write };
            bucket.drain(now.now);
        }
        match asked {
            Asked::Create(order) => match answer {
                Answer::Whole { status, body } => self.created(order, status, body, out),
                Answer::NotSent => out.heard.push(ours(order, Told::Sent(Sent::Refused(Refusal::Unsent)), now)),
                Answer::Lost(why) => out.heard.push(ours(order, Told::Sent(Sent::Unknown(why)), now)),
            },
            Asked::Cancel(order) => {
                let told = match answer {
                    Answer::Whole { status, body } => order::cancelled(status, body, &mut self.parser),
                    // It may have arrived: either way the record decides.
                    Answer::NotSent | Answer::Lost(_) => Told::NotCancelled,
                };
                out.heard.push(ours(order, told, now));
            }
            Asked::Look(order) => self.looked(order, good(answer), out),
            Asked::Account => self.account_read(good(answer), out),
            Asked::Trigger(at) => {
                if let (Some(switch), None) = (self.switches.get_mut(at), good(answer)) {
                    out.strange.push(format!(
                        "order group {} of shard {} did not take {:?}",
                        switch.group, switch.shard, switch.way
                    ));
                    switch.postpone(now.now);
                }
            }
        }
    }

    fn opened(&mut self, at: Arrival, out: &mut Out) {
        self.line.heard(at);
        self.stream.opened(at, out);
    }

    fn text(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out) {
        self.line.heard(at);
        if let Some((order, tag)) = self.stream.text(bytes, at, out) {
            self.learn(order, tag);
        }
    }

    fn alive(&mut self, at: Arrival, _out: &mut Out) {
        self.line.heard(at);
        self.stream.alive(at);
    }

    fn timeout(&mut self, at: Arrival, out: &mut Out) {
        self.line.heard(at);
        self.stream.timeout(at, out);
        self.throw(out);
        if let Some(reading) = self.reading.take_if(|reading| reading.waits) {
            self.read_on(reading, out);
        }
    }
}

fn create(lane: Lane, body: &[u8]) -> Request<'_> {
    Request { lane, method: "POST", path: order::CREATE, query: "", body: Some(body) }
}

/// The body of a success.
fn good(answer: Answer<'_>) -> Option<&mut [u8]> {
    match answer {
        Answer::Whole { status: 200, body } => Some(body),
        _ => None,
    }
}
