//! Taking orders back: by request, and by the dead-man switch. A refused cancel is a 200, with the reason beside the
//! id.

use alloy_primitives::B256;
use serde_json::{Map, Value, json};

use crate::sim::clob::account::Heartbeat;
use crate::sim::clob::admit::Stage;
use crate::sim::clob::limit::Charged;
use crate::sim::clob::payload::Side;
use crate::sim::clob::sign_in::Caller;
use crate::sim::clob::{Answer, ClobDesk, Request};
use crate::sim::world::World;
use crate::unit::UnixMs;

/// Ids in one call.
const IDS_MAX: usize = 1_000;
/// How long a dead-man switch waits for a beat, and how often the venue looks.
const BEAT_MS: u64 = 10_000;
const LOOK_MS: u64 = 5_000;
const GONE: &str = "Order not found or already canceled";

impl ClobDesk {
    /// Any of the four cancelling calls. With `lie`, nothing is done and nothing was found.
    pub(super) fn cancel_call(&mut self, request: &Request, lie: bool, world: &mut World, now: UnixMs) -> Answer {
        if let Some(answer) = self.forbidden(true, now) {
            return answer;
        }
        let caller = match self.l2(request, now) {
            Ok(caller) if !caller.readonly => caller,
            Ok(_) => return Answer::error(401, "Unauthorized/Invalid api key", now),
            Err(answer) => return answer,
        };
        let body: Value = serde_json::from_str(&request.body).unwrap_or(Value::Null);
        let ids = match request.path.as_str() {
            "/order" => body["orderID"].as_str().map(|id| vec![id.to_owned()]).ok_or("Invalid order payload"),
            "/orders" => list(&body),
            "/cancel-all" => Ok(self.open_ids(&caller, None, None, world)),
            _ => match (body["market"].as_str(), body["asset_id"].as_str()) {
                (None | Some(""), None | Some("")) => Err("Invalid order payload"),
                (market, asset) => Ok(self.open_ids(&caller, market, asset, world)),
            },
        };
        let ids = match ids {
            Ok(ids) => ids,
            Err(text) => return Answer::error(400, text, now),
        };
        if IDS_MAX < ids.len() && request.path == "/orders" {
            return Answer::error(400, &format!("Too many orders in payload, max allowed: {IDS_MAX}"), now);
        }
        if ids.iter().any(|id| id.len() != 66 || id.parse::<B256>().is_err()) {
            return Answer::error(400, "Invalid orderID", now);
        }
        let cost = if request.path.starts_with("/cancel") { 1 + ids.len() } else { ids.len() };
        let charge = self.accounts[caller.account].buckets.charge(Charged::Cancels, cost, now);
        let mut answer = self.cancel_ids(&caller, &ids, lie, world, now);
        answer.headers.extend(charge.headers());
        answer
    }

    fn cancel_ids(&mut self, caller: &Caller, ids: &[String], lie: bool, world: &mut World, now: UnixMs) -> Answer {
        let mut canceled: Vec<&str> = Vec::new();
        let mut standing = Map::new();
        for id in ids {
            let found = id.parse::<B256>().ok().and_then(|id| self.by_id.get(&id).copied());
            let own = found.filter(|&at| !lie && self.orders[at].account == caller.account);
            match own.map(|at| (at, self.orders[at].stage)) {
                Some((at, Stage::Live)) => {
                    self.withdraw(at, "CANCELED", world, now);
                    canceled.push(id);
                }
                Some((_, Stage::Matched)) => {
                    standing.insert(id.clone(), json!("Order already matched"));
                }
                // An order in its hold is not in the book, so nothing is found there.
                Some((_, Stage::Held { .. } | Stage::Canceled(_))) | None => {
                    standing.insert(id.clone(), json!(GONE));
                }
            }
        }
        Answer::ok(&json!({"canceled": canceled, "not_canceled": standing}), now)
    }

    fn open_ids(&self, caller: &Caller, market: Option<&str>, asset: Option<&str>, world: &World) -> Vec<String> {
        let fits = |wanted: Option<&str>, own: &str| wanted.is_none_or(|name| name.is_empty() || name == own);
        let own = self.orders.iter().filter(|order| order.account == caller.account && order.stage == Stage::Live);
        own.filter(|order| {
            let listed = Self::market(world, order.market);
            fits(market, &listed.condition_id) && fits(asset, &listed.tokens[usize::from(order.outcome)])
        })
        .map(|order| order.id.to_string())
        .collect()
    }

    /// Cancels what a wallet can no longer pay for, newest first, as the venue does when funds have gone elsewhere.
    pub fn recheck(&mut self, wallet: usize, world: &mut World, now: UnixMs) {
        for at in (0..self.orders.len()).rev() {
            let order = &self.orders[at];
            let (token, side) = ((order.market, order.outcome), order.side);
            if order.wallet == wallet && order.stage == Stage::Live && self.free(wallet, token, side) < 0 {
                self.withdraw(at, "CANCELED_NOT_ENOUGH_BALANCE", world, now);
            }
        }
    }

    /// What a wallet can still spend on buys.
    pub fn free_cash(&self, wallet: usize) -> crate::unit::Money {
        crate::unit::Money::micros(self.free(wallet, (0, 0), Side::Buy))
    }

    /// A heartbeat: the first one arms the switch.
    pub(super) fn beat(&mut self, request: &Request, now: UnixMs) -> Answer {
        let caller = match self.l2(request, now) {
            Ok(caller) => caller,
            Err(answer) => return answer,
        };
        let bare = request.path == "/heartbeats";
        let body: Value = serde_json::from_str(&request.body).unwrap_or(Value::Null);
        let named = body["heartbeat_id"].as_str().unwrap_or_default();
        let known = self.accounts[caller.account].heartbeats.get(&caller.key);
        if let Some(heart) = known.filter(|heart| !bare && heart.id != named) {
            return Answer::new(400, &json!({"error": "Invalid Heartbeat ID", "heartbeat_id": heart.id}), now);
        }
        let next_check = known.map_or(UnixMs::new(now.raw() + LOOK_MS), |heart| heart.next_check);
        let id = self.fresh_id();
        let body = if bare { json!({"status": "ok"}) } else { json!({"heartbeat_id": id}) };
        self.accounts[caller.account].heartbeats.insert(caller.key, Heartbeat { id, last: now, next_check });
        Answer::ok(&body, now)
    }

    /// Looks at every armed switch whose turn it is.
    pub(super) fn check_hearts(&mut self, world: &mut World, now: UnixMs) {
        let mut fallen = Vec::new();
        for account in &mut self.accounts {
            for (key, heart) in &mut account.heartbeats {
                while heart.next_check <= now {
                    if BEAT_MS <= heart.next_check.since(heart.last) {
                        fallen.push(key.clone());
                    }
                    heart.next_check = UnixMs::new(heart.next_check.raw() + LOOK_MS);
                }
            }
        }
        for key in fallen {
            for at in 0..self.orders.len() {
                if self.orders[at].key == key && self.orders[at].stage == Stage::Live {
                    self.withdraw(at, "CANCELED", world, now);
                }
            }
        }
    }
}

fn list(body: &Value) -> Result<Vec<String>, &'static str> {
    let list = body.as_array().ok_or("Invalid order payload")?;
    list.iter().map(|id| id.as_str().map(str::to_owned).ok_or("Invalid order payload")).collect()
}
