//! What an account can ask about itself: orders, trades, balances, positions. Pages begin at `MA==` and end at `LTE=`.

use alloy_primitives::{Address, B256, U256};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::sim::clob::admit::{Order, find_token};
use crate::sim::clob::sign_in::Caller;
use crate::sim::clob::stream::status;
use crate::sim::clob::trade::outcome_name;
use crate::sim::clob::typed::Contract;
use crate::sim::clob::{Answer, ClobDesk, Request};
use crate::sim::listing::Phase;
use crate::sim::world::World;
use crate::unit::{Qty, UnixMs};

/// Behind the last page.
const END: &str = "LTE=";
/// Positions below a tenth of a share are not shown.
const SHOWN_MIN: Qty = Qty::new(100_000).expect("a tenth of a share is a quantity");

impl ClobDesk {
    pub(super) fn read_call(&mut self, request: &Request, skip: bool, world: &World, now: UnixMs) -> Answer {
        let open_to_all = matches!(request.path.as_str(), "/v2/positions" | "/v2/approvals" | "/v2/value");
        if open_to_all {
            return self.public_read(request, world, now);
        }
        let caller = match self.l2(request, now) {
            Ok(caller) => caller,
            Err(answer) => return answer,
        };
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/data/orders") => self.open_orders(request, &caller, skip, world, now),
            ("GET", "/data/trades") => self.own_trades(request, &caller, skip, world, now),
            ("GET", "/data/pre-migration-orders") => {
                Answer::ok(&json!({"data": [], "next_cursor": END, "limit": self.rules.page, "count": 0}), now)
            }
            ("GET", "/balance-allowance" | "/balance-allowance/update") => self.balance(request, &caller, world, now),
            ("GET", "/notifications") => Answer::ok(&json!([]), now),
            ("DELETE", "/notifications") => Answer::ok(&json!("OK"), now),
            ("GET", "/order-scoring") => Answer::ok(&json!({"scoring": false}), now),
            ("POST", "/orders-scoring") => Answer::ok(&json!({}), now),
            ("GET", path) => match path.strip_prefix("/data/order/") {
                Some(id) => self.one_order(id, &caller, world, now),
                None => Answer::error(404, "not found", now),
            },
            _ => Answer::error(405, "Method Not Allowed", now),
        }
    }

    fn rest_order(&self, order: &Order, world: &World) -> Value {
        let mut object = self.order_object(order, world);
        if let (true, Some(members)) = (self.rules.prefixed, object.as_object_mut()) {
            members.insert(String::from("status"), json!(format!("ORDER_STATUS_{}", status(order))));
        }
        object
    }

    fn one_order(&self, id: &str, caller: &Caller, world: &World, now: UnixMs) -> Answer {
        let Ok(id) = id.parse::<B256>() else { return Answer::error(400, "Invalid orderID", now) };
        let found = self.by_id.get(&id).map(|&at| &self.orders[at]);
        match found.filter(|order| order.account == caller.account) {
            Some(order) => Answer::ok(&self.rest_order(order, world), now),
            None => Answer::error(404, "order not found", now),
        }
    }

    fn open_orders(&self, request: &Request, caller: &Caller, skip: bool, world: &World, now: UnixMs) -> Answer {
        let id = request.param("id");
        let wanted = |order: &&Order| {
            let listed = Self::market(world, order.market);
            order.account == caller.account
                && (order.is_open() || id.is_some())
                && id.is_none_or(|id| order.id.to_string() == id)
                && request.param("market").is_none_or(|market| listed.condition_id == market)
                && request.param("asset_id").is_none_or(|asset| listed.tokens[usize::from(order.outcome)] == asset)
        };
        let rows = self.orders.iter().filter(wanted).map(|order| self.rest_order(order, world)).collect();
        self.page(request, rows, skip, now)
    }

    fn own_trades(&self, request: &Request, caller: &Caller, skip: bool, world: &World, now: UnixMs) -> Answer {
        let secs = |name: &str| request.param(name).and_then(|text| text.parse::<u64>().ok());
        let (after, before) = (secs("after"), secs("before"));
        let mut rows = Vec::new();
        // The newest come first.
        for trade in self.trades.iter().rev() {
            let at = trade.matched_at.raw() / 1_000;
            if after.is_some_and(|after| at <= after) || before.is_some_and(|before| before <= at) {
                continue;
            }
            let Some(mut row) = self.trade_object(trade, caller.account, world) else { continue };
            let is = |name: &str, member: &str| request.param(name).is_none_or(|wanted| row[member] == wanted);
            let maker = request
                .param("maker_address")
                .is_none_or(|wanted| trade.parties().any(|party| party.address.eq_ignore_ascii_case(wanted)));
            if !(maker && is("id", "id") && is("market", "market") && is("asset_id", "asset_id")) {
                continue;
            }
            if let Some(members) = row.as_object_mut() {
                members.insert(String::from("status"), json!(self.rest_status(trade, now)));
            }
            rows.push(row);
        }
        self.page(request, rows, skip, now)
    }

    /// One page of rows; with `skip`, the one after it, as if it were this one.
    fn page(&self, request: &Request, rows: Vec<Value>, skip: bool, now: UnixMs) -> Answer {
        let cursor = request.param("next_cursor").filter(|cursor| !cursor.is_empty()).unwrap_or("MA==");
        let from = BASE64_STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
        let Some(from) = from.or((cursor == END).then_some(usize::MAX)) else {
            return Answer::error(400, "invalid order params payload", now);
        };
        let limit = self.rules.page;
        let from: usize = if skip { from + limit } else { from };
        let all = rows.len();
        let page: Vec<Value> = rows.into_iter().skip(from).take(limit).collect();
        let next = from.saturating_add(limit);
        let next = if next < all { BASE64_STANDARD.encode(next.to_string()) } else { END.to_owned() };
        Answer::ok(&json!({"count": page.len(), "data": page, "limit": limit, "next_cursor": next}), now)
    }

    /// Balances as the venue knows them; an update makes it look at the chain first.
    fn balance(&mut self, request: &Request, caller: &Caller, world: &World, now: UnixMs) -> Answer {
        let kind = request.param("signature_type").unwrap_or("0").parse().ok().and_then(super::account::Kind::of);
        let Some(kind) = kind else { return Answer::error(400, "Invalid signature_type", now) };
        let own =
            |wallet: &super::Wallet| wallet.owner == caller.address || wallet.delegates.contains_key(&caller.address);
        let at = self.wallets.iter().position(|wallet| own(wallet) && wallet.kind == kind);
        if request.path.ends_with("/update") {
            if let Some(at) = at {
                let wallet = &mut self.wallets[at];
                wallet.cash += std::mem::take(&mut wallet.unseen);
            }
            return Answer::text(200, String::new(), now);
        }
        let wallet = at.map(|at| &self.wallets[at]);
        let balance = match request.param("asset_type") {
            Some("COLLATERAL") => wallet.map_or(0, |wallet| wallet.cash.raw().unsigned_abs()),
            Some("CONDITIONAL" | "CONDITIONAL-V2") => {
                let token = request.param("token_id").and_then(|id| id.parse::<U256>().ok());
                let Some((market, outcome)) = token.and_then(|token| find_token(world, token)) else {
                    return Answer::error(400, "Invalid asset type", now);
                };
                wallet.map_or(0, |wallet| wallet.held(market, outcome).micros())
            }
            _ => return Answer::error(400, "Invalid asset type", now),
        };
        let allowances: serde_json::Map<String, Value> = Contract::ALL
            .into_iter()
            .map(|contract| {
                let approved = wallet.is_some_and(|wallet| wallet.approved.contains(&contract));
                let most = if approved { U256::MAX.to_string() } else { String::from("0") };
                (contract.address().to_string(), json!(most))
            })
            .collect();
        Answer::ok(&json!({"balance": balance.to_string(), "allowances": allowances}), now)
    }

    /// The Data API's rows about any wallet.
    fn public_read(&self, request: &Request, world: &World, now: UnixMs) -> Answer {
        let user = request.param("user").and_then(|user| user.parse::<Address>().ok());
        let Some(user) = user else { return Answer::error(400, "user is required", now) };
        let limit = request.param("limit").map_or(Ok(100), str::parse::<usize>);
        let Some(limit) = limit.ok().filter(|limit| (1..=1_000).contains(limit)) else {
            return Answer::error(400, "limit must be between 1 and 1000", now);
        };
        let wallets = || self.wallets.iter().filter(|wallet| wallet.funder == user);
        let rows: Vec<Value> = if request.path == "/v2/approvals" {
            wallets()
                .flat_map(|wallet| Contract::ALL.map(|contract| (contract, wallet.approved.contains(&contract))))
                .map(|(contract, approved)| {
                    let amount = if approved { U256::MAX.to_string() } else { String::from("0") };
                    json!({"token": "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB", "spender": contract.address().to_string(),
                        "standard": "ERC20", "approved": approved, "amount": amount})
                })
                .collect()
        } else {
            wallets()
                .flat_map(|wallet| &wallet.tokens)
                .filter(|(_, qty)| SHOWN_MIN <= **qty)
                .map(|(&(market, outcome), qty)| {
                    let listed = Self::market(world, market);
                    json!({"proxy_wallet": user.to_string(), "asset": listed.tokens[usize::from(outcome)],
                        "condition_id": listed.condition_id, "size": qty.to_string(), "outcome_index": outcome,
                        "outcome": outcome_name(outcome), "title": listed.question, "slug": listed.slug,
                        "redeemable": listed.state.phase == Phase::Settled,
                        "negative_risk": world.catalog().polymarket_events[listed.event].neg_risk})
                })
                .collect()
        };
        let from = request.param("cursor").and_then(|cursor| cursor.parse::<usize>().ok()).unwrap_or(0);
        let next = (from + limit < rows.len()).then(|| (from + limit).to_string());
        let page: Vec<Value> = rows.into_iter().skip(from).take(limit).collect();
        Answer::ok(&json!({"data": page, "pagination": {"next_cursor": next}}), now)
    }
}
