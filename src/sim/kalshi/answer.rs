//! A request and its answer: faults that are planned for it, then key, budget, scope, body, and what it asks for.

use serde_json::Value;

use crate::sim::handshake::{self, Headers};
use crate::sim::kalshi::account::{Account, Member, grants};
use crate::sim::kalshi::deny::Deny;
use crate::sim::kalshi::desk::{Desk, Repair, Shard};
use crate::sim::kalshi::operation::Operation;
use crate::sim::kalshi::order_fault::OrderFault;
use crate::sim::kalshi_rest::{self, Reply};
use crate::sim::world::{Happening, World};
use crate::unit::{UnixMs, Venue};

/// What stands before every path.
pub const PREFIX: &str = "/trade-api/v2";

/// A request as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// As it was signed: with the prefix, without the query.
    pub path: &'a str,
    pub query: &'a [(String, String)],
    pub headers: Headers<'a>,
    pub body: &'a [u8],
}

/// A request that is still on its way.
#[derive(Clone, Debug)]
pub(super) struct HeldRequest {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: [Option<String>; 3],
    body: Vec<u8>,
}

impl HeldRequest {
    fn of(request: &Request) -> Self {
        let Headers { key, timestamp, signature } = request.headers;
        Self {
            method: request.method.to_owned(),
            path: request.path.to_owned(),
            query: request.query.to_vec(),
            headers: [key, timestamp, signature].map(|header| header.map(str::to_owned)),
            body: request.body.to_vec(),
        }
    }

    fn request(&self) -> Request<'_> {
        let [key, timestamp, signature] = self.headers.each_ref().map(|header| header.as_deref());
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: Headers { key, timestamp, signature },
            body: &self.body,
        }
    }
}

/// What goes back, and how.
#[derive(Debug)]
pub struct Answer {
    pub reply: Reply,
    /// The body is a page of HTML.
    pub html: bool,
    /// It leaves this much later; whatever it says has been done already.
    pub delay_ms: u64,
    /// The connection ends with a reset after this many bytes of the answer.
    pub cut: Option<usize>,
    /// What the request made happen. The desk knows it; the sessions have to be told.
    pub happenings: Vec<Happening>,
}

impl Desk {
    /// Who may open a stream, or the 401 to send.
    pub fn admit(&self, headers: &Headers, method: &str, path: &str, now: UnixMs) -> Result<Member, Reply> {
        self.key(headers, method, path, now).map(|(account, key)| self.member(account, key))
    }

    fn member(&self, account: usize, key: usize) -> Member {
        Member { account, locked: self.accounts[account].keys[key].subaccount }
    }

    fn key(&self, headers: &Headers, method: &str, path: &str, now: UnixMs) -> Result<(usize, usize), Reply> {
        let keys = || {
            let each = |(at, account): (usize, &Account)| (0..account.keys.len()).map(move |key| (at, key));
            self.accounts.iter().enumerate().flat_map(each)
        };
        let named = keys().find(|&(at, key)| Some(self.accounts[at].keys[key].id.as_str()) == headers.key);
        let public = named.map(|(at, key)| self.accounts[at].keys[key].public.as_slice());
        handshake::check(headers, method, path, public, self.settings.skew, now)?;
        // The check has seen that there is such a key.
        named.ok_or_else(|| Deny::new(401, "authentication_error").into())
    }

    /// Answers a request. Public reads pass through to [`kalshi_rest`].
    pub fn handle(&mut self, world: &mut World, request: &Request, now: UnixMs) -> Answer {
        self.settle_up(world, now);
        self.on_time(world, now);
        let reply = |reply| Answer { reply, html: false, delay_ms: 0, cut: None, happenings: Vec::new() };
        let Some(below) = request.path.strip_prefix(PREFIX) else {
            return reply(Reply { status: 404, body: String::from("404 page not found\n") });
        };
        let parts: Vec<&str> = below.trim_matches('/').split('/').collect();
        let mut answer = match Operation::of(request.method, &parts) {
            Some(operation) => self.handle_private(world, &operation, request, now),
            None if request.method == "GET" => reply(self.public(world, below, &parts, request, now)),
            None => reply(kalshi_rest::nested(405, "method_not_allowed", None)),
        };
        if 0 < self.settings.answer_delay_ms {
            answer.delay_ms += self.rng.u64(0..=self.settings.answer_delay_ms);
        }
        self.settle_up(world, now);
        answer.happenings = std::mem::take(&mut self.told);
        answer
    }

    fn handle_private(&mut self, world: &mut World, op: &Operation, request: &Request, now: UnixMs) -> Answer {
        let faults = self.settings.faults.request(op.kind(), now);
        for fault in &faults {
            self.disturb(world, op, request, *fault, now);
        }
        let page_missing = faults.contains(&OrderFault::PageMissing);
        let instead = faults.iter().find_map(|fault| match fault {
            OrderFault::RequestLost | OrderFault::RequestLate(_) => Some(Reply { status: 504, body: String::new() }),
            OrderFault::ErrorBefore(status) => Some(Reply { status: *status, body: String::new() }),
            OrderFault::Html => Some(Reply { status: 200, body: String::from(HTML) }),
            OrderFault::TooMany => Some(Deny::too_many().into()),
            OrderFault::Unauthorized => {
                Some(Deny::new(401, "authentication_error").because("INCORRECT_API_KEY_SIGNATURE").into())
            }
            OrderFault::Refused(code) => Some(Deny::new(400, code).into()),
            OrderFault::Forbidden => Some(Deny::new(403, "permission_denied").into()),
            _ => None,
        });
        let reply = instead.unwrap_or_else(|| self.answer(world, op, request, page_missing, now));
        let html = reply.body == HTML;
        let mut answer = Answer { reply, html, delay_ms: 0, cut: None, happenings: Vec::new() };
        for fault in faults {
            match fault {
                OrderFault::RequestLost | OrderFault::RequestLate(_) | OrderFault::AnswerLost => answer.cut = Some(0),
                OrderFault::AnswerCut(bytes) => answer.cut = Some(bytes),
                OrderFault::ErrorAfter(status) => answer.reply = Reply { status, body: String::new() },
                OrderFault::AnswerLate(ms) => answer.delay_ms = ms,
                OrderFault::HtmlAfter => {
                    answer.reply = Reply { status: 200, body: String::from(HTML) };
                    answer.html = true;
                }
                _ => {}
            }
        }
        answer
    }

    /// Key, budget, scope, body; then the request itself.
    fn answer(&mut self, world: &mut World, op: &Operation, request: &Request, cut: bool, now: UnixMs) -> Reply {
        let (account, key) = match self.key(&request.headers, request.method, request.path, now) {
            Ok(found) => found,
            Err(reply) => return reply,
        };
        let member = self.member(account, key);
        let body = if request.body.is_empty() {
            Ok(Value::Object(serde_json::Map::new()))
        } else {
            serde_json::from_slice::<Value>(request.body)
        };
        let spent = self.spend(account, op, body.as_ref().unwrap_or(&Value::Null), request.query, now);
        let done = spent.and_then(|()| {
            if !grants(&self.accounts[account].keys[key].scopes, op.scope()) {
                return Err(Deny::new(403, "permission_denied").because("missing scope"));
            }
            let body = body.map_err(|error| Deny::malformed(&format!("json: {error}")))?;
            self.perform(world, op, member, request.query, &body, now)
        });
        match done {
            Ok(mut reply) => {
                if cut {
                    lose_page(&mut reply);
                }
                reply
            }
            Err(deny) => deny.into(),
        }
    }

    /// Lets a fault that is not about the answer happen.
    fn disturb(&mut self, world: &mut World, op: &Operation, request: &Request, fault: OrderFault, now: UnixMs) {
        let until = |ms| UnixMs::new(now.raw() + ms);
        match fault {
            OrderFault::ExchangePaused { shard, ms } => {
                self.set_shard(world, shard, Shard::ExchangePaused, now);
                self.repairs.push((until(ms), Repair::Shard(shard)));
            }
            OrderFault::TradingPaused { shard, ms } => {
                self.set_shard(world, shard, Shard::TradingPaused, now);
                self.repairs.push((until(ms), Repair::Shard(shard)));
            }
            OrderFault::MarketPaused(ms) => {
                if let Some(market) = self.market_of(world, op, request) {
                    world.pause(market);
                    self.settle_up(world, now);
                    self.repairs.push((until(ms), Repair::Market(market)));
                }
            }
            OrderFault::RequestLate(ms) => self.held.push((until(ms), HeldRequest::of(request))),
            OrderFault::StreamsDropped => {
                let of =
                    |account: &Account| account.keys.iter().any(|key| Some(key.id.as_str()) == request.headers.key);
                self.streams_dropped.extend(self.accounts.iter().position(of));
            }
            _ => {}
        }
    }

    /// Carries out the requests that arrive now. Nobody waits for their answers; a signature that has aged is refused.
    pub(super) fn take_in(&mut self, world: &mut World, now: UnixMs) {
        let (due, waiting): (Vec<_>, Vec<_>) = self.held.drain(..).partition(|(at, _)| *at <= now);
        self.held = waiting;
        for (_, held) in due {
            let request = held.request();
            let below = request.path.strip_prefix(PREFIX).unwrap_or_default();
            let parts: Vec<&str> = below.trim_matches('/').split('/').collect();
            if let Some(operation) = Operation::of(request.method, &parts) {
                self.answer(world, &operation, &request, false, now);
            }
        }
    }

    fn market_of(&self, world: &World, op: &Operation, request: &Request) -> Option<usize> {
        if let Some(at) = op.order_id().and_then(|id| self.by_id.get(id)) {
            return Some(self.orders[*at].market);
        }
        let body: Value = serde_json::from_slice(request.body).ok()?;
        world.find(Venue::Kalshi, body["ticker"].as_str()?)
    }
}

const HTML: &str = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>\n";

/// A listing that ends too early and does not say so: the second half of its rows and its cursor are gone.
fn lose_page(reply: &mut Reply) {
    let Ok(mut body) = serde_json::from_str::<Value>(&reply.body) else { return };
    for rows in ["orders", "fills", "market_positions", "settlements"] {
        if let Some(list) = body.get_mut(rows).and_then(Value::as_array_mut) {
            list.truncate(list.len() / 2);
        }
    }
    if body.get("cursor").is_some() {
        body["cursor"] = Value::from("");
    }
    reply.body = body.to_string();
}
