//! Order groups: a cap on what a group of orders may match in fifteen seconds, and a switch to stop all of them at
//! once.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::sim::kalshi::account::{Member, SHARDS};
use crate::sim::kalshi::deny::Deny;
use crate::sim::kalshi::desk::Desk;
use crate::sim::kalshi::form::{Form, number};
use crate::sim::kalshi_text::fp;
use crate::sim::world::World;
use crate::unit::{Qty, UnixMs};

/// The window in which matches count.
const WINDOW_MS: u64 = 15_000;
const LIMIT_MAX: i64 = 1_000_000;
/// Groups of one account.
const GROUPS_MAX: usize = 100_000;

/// A group.
#[derive(Debug)]
pub struct Group {
    pub id: String,
    pub account: usize,
    pub subaccount: u8,
    pub shard: u8,
    pub limit: Qty,
    /// Its orders are cancelled and new ones refused, until it is reset.
    pub triggered: bool,
    matches: VecDeque<(UnixMs, Qty)>,
}

impl Group {
    /// What it matched in the window that ends now.
    fn matched(&mut self, now: UnixMs) -> Qty {
        while self.matches.front().is_some_and(|(at, _)| WINDOW_MS <= now.since(*at)) {
            self.matches.pop_front();
        }
        Qty::new(self.matches.iter().map(|(_, qty)| qty.micros()).sum()).unwrap_or(Qty::MAX)
    }
}

fn limit(form: &Form) -> Result<Qty, Deny> {
    let whole = form.integer("contracts_limit")?;
    let fixed = form.count("contracts_limit_fp")?;
    let ((Some(limit), None) | (None, Some(limit))) = (
        whole.filter(|contracts| (1..=LIMIT_MAX).contains(contracts)).map(|contracts| Qty::whole(contracts as u32)),
        fixed.map(super::form::Count::sized).transpose()?,
    ) else {
        return Err(form.fails("contracts_limit", "required"));
    };
    if Qty::whole(LIMIT_MAX as u32) < limit { Err(form.fails("contracts_limit", "lte")) } else { Ok(limit) }
}

impl Desk {
    /// How many groups have been made and not deleted.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    fn find_group(&self, member: Member, id: &str) -> Result<usize, Deny> {
        let meant = |group: &Group| {
            group.id == id
                && group.account == member.account
                && member.locked.is_none_or(|locked| locked == group.subaccount)
        };
        self.groups.iter().position(meant).ok_or_else(Deny::not_found)
    }

    /// May an order join this group?
    pub(super) fn group_takes_orders(&self, member: Member, id: &str, shard: u8) -> Result<(), Deny> {
        let found = self.groups.iter().find(|group| group.id == id && group.account == member.account);
        match found.filter(|group| group.shard == shard) {
            None => Err(Deny::new(404, "order_group_not_found")),
            Some(group) if group.triggered => Err(Deny::new(400, "exceeded_order_group_risk_limit")),
            Some(_) => Ok(()),
        }
    }

    /// `POST /portfolio/order_groups/create`.
    pub(super) fn create_group(&mut self, member: Member, body: &Value, now: UnixMs) -> Result<Value, Deny> {
        let form = Form::of("CreateOrderGroupRequest", body)?;
        let limit = limit(&form)?;
        let subaccount = self.subaccount(member, form.integer("subaccount")?)?;
        let shard = form.integer("exchange_index")?.unwrap_or(0);
        let shard = u8::try_from(shard).ok().filter(|shard| *shard < SHARDS);
        let shard = shard.ok_or_else(|| form.fails("exchange_index", "lte"))?;
        if GROUPS_MAX <= self.groups.iter().filter(|group| group.account == member.account).count() {
            return Err(Deny::new(400, "too_many_order_groups"));
        }
        let id = self.new_id();
        let (account, matches) = (member.account, VecDeque::new());
        self.groups.push(Group { id: id.clone(), account, subaccount, shard, limit, triggered: false, matches });
        self.announce(self.groups.len() - 1, "created", true, now);
        Ok(json!({"order_group_id": id, "subaccount": subaccount, "exchange_index": shard}))
    }

    fn announce(&mut self, at: usize, event: &str, with_limit: bool, now: UnixMs) {
        let group = &self.groups[at];
        let mut body = json!({"event_type": event, "order_group_id": group.id, "ts_ms": now.raw()});
        if with_limit {
            body["contracts_limit_fp"] = Value::from(fp(group.limit));
        }
        self.tell_group(group.account, group.subaccount, body, now);
    }

    /// `GET /portfolio/order_groups`.
    pub(super) fn list_groups(&self, member: Member, query: &[(String, String)]) -> Result<Value, Deny> {
        let named = number(query, "subaccount")?;
        let only =
            if named.is_some() || member.locked.is_some() { Some(self.subaccount(member, named)?) } else { None };
        let meant =
            |group: &&Group| group.account == member.account && only.is_none_or(|only| only == group.subaccount);
        let list: Vec<Value> = self
            .groups
            .iter()
            .filter(meant)
            .map(|group| {
                json!({"id": group.id, "contracts_limit_fp": fp(group.limit),
                    "is_auto_cancel_enabled": !group.triggered, "exchange_index": group.shard})
            })
            .collect();
        // The venue leaves an empty list out.
        Ok(if list.is_empty() { json!({}) } else { json!({"order_groups": list}) })
    }

    /// `GET /portfolio/order_groups/{id}`.
    pub(super) fn one_group(&self, member: Member, id: &str) -> Result<Value, Deny> {
        let group = &self.groups[self.find_group(member, id)?];
        let in_it = |order: &&super::order::Order| order.group.as_deref() == Some(id) && order.is_resting();
        let orders: Vec<&str> =
            self.live.iter().map(|&at| &self.orders[at]).filter(in_it).map(|order| order.id.as_str()).collect();
        Ok(json!({"is_auto_cancel_enabled": !group.triggered, "contracts_limit_fp": fp(group.limit),
            "orders": orders, "exchange_index": group.shard}))
    }

    /// `PUT …/{id}/limit`: a limit below what the window holds triggers at once.
    pub(super) fn limit_group(
        &mut self,
        world: &mut World,
        member: Member,
        id: &str,
        body: &Value,
        now: UnixMs,
    ) -> Result<(), Deny> {
        let limit = limit(&Form::of("UpdateOrderGroupLimitRequest", body)?)?;
        let at = self.find_group(member, id)?;
        self.groups[at].limit = limit;
        self.announce(at, "limit_updated", true, now);
        if limit < self.groups[at].matched(now) {
            self.trigger(world, at, now);
        }
        Ok(())
    }

    /// `PUT …/{id}/trigger`.
    pub(super) fn trigger_group(
        &mut self,
        world: &mut World,
        member: Member,
        id: &str,
        now: UnixMs,
    ) -> Result<(), Deny> {
        let at = self.find_group(member, id)?;
        self.trigger(world, at, now);
        Ok(())
    }

    /// The news of a trigger comes before its cancels.
    fn trigger(&mut self, world: &mut World, at: usize, now: UnixMs) {
        if !self.groups[at].triggered {
            self.groups[at].triggered = true;
            self.announce(at, "triggered", false, now);
        }
        self.cancel_of_group(world, at, now);
    }

    fn cancel_of_group(&mut self, world: &mut World, at: usize, now: UnixMs) {
        let id = self.groups[at].id.clone();
        for order in self.live.clone() {
            if self.orders[order].is_resting() && self.orders[order].group.as_deref() == Some(&id) {
                self.withdraw(world, order, None, now);
            }
        }
    }

    /// `PUT …/{id}/reset`.
    pub(super) fn reset_group(&mut self, member: Member, id: &str, now: UnixMs) -> Result<(), Deny> {
        let at = self.find_group(member, id)?;
        self.groups[at].triggered = false;
        self.groups[at].matches.clear();
        self.announce(at, "reset", false, now);
        Ok(())
    }

    /// `DELETE /portfolio/order_groups/{id}`: its orders go with it.
    pub(super) fn delete_group(
        &mut self,
        world: &mut World,
        member: Member,
        id: &str,
        now: UnixMs,
    ) -> Result<(), Deny> {
        let at = self.find_group(member, id)?;
        self.announce(at, "deleted", false, now);
        self.cancel_of_group(world, at, now);
        self.groups.remove(at);
        Ok(())
    }

    /// An order of the group has matched.
    pub(super) fn count_match(&mut self, world: &mut World, id: &str, qty: Qty, now: UnixMs) {
        let Some(at) = self.groups.iter().position(|group| group.id == id) else { return };
        let group = &mut self.groups[at];
        group.matches.push_back((now, qty));
        let matched = group.matched(now);
        if group.limit < matched {
            self.trigger(world, at, now);
        }
    }
}
