//! Which request is which: its route, the scope it needs, what it costs, and where it is carried out.

use serde_json::{Map, Value, json};

use crate::sim::kalshi::account::{Member, SHARDS};
use crate::sim::kalshi::answer::Request;
use crate::sim::kalshi::bucket::{DEFAULT_COST, endpoint_costs, limits};
use crate::sim::kalshi::deny::Deny;
use crate::sim::kalshi::desk::{Desk, Shard};
use crate::sim::kalshi::form::param;
use crate::sim::kalshi::order_fault::Kind;
use crate::sim::kalshi_rest::{self, Reply};
use crate::sim::kalshi_text::rfc3339_ms;
use crate::sim::world::World;
use crate::unit::UnixMs;

/// A private request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation<'a> {
    Create,
    CreateBatch,
    Cancel(&'a str),
    CancelBatch,
    CancelAll,
    Amend(&'a str),
    Decrease(&'a str),
    /// The order endpoints that were removed in June 2026.
    Retired,
    Orders,
    Order(&'a str),
    QueuePositions,
    QueuePosition(&'a str),
    Fills,
    Positions,
    Balance,
    Settlements,
    Groups,
    Group(&'a str),
    GroupCreate,
    GroupLimit(&'a str),
    GroupTrigger(&'a str),
    GroupReset(&'a str),
    GroupDelete(&'a str),
    Allocation,
    AllocationSet,
    Transfer,
    Transfers,
    TransferStatus(&'a str),
    ApiKeys,
    AccountLimits,
}

impl<'a> Operation<'a> {
    /// The request with this method and path below the prefix; public ones are none of them.
    pub fn of(method: &str, parts: &[&'a str]) -> Option<Self> {
        Some(match (method, parts) {
            ("POST", ["portfolio", "events", "orders"]) => Self::Create,
            ("POST", ["portfolio", "events", "orders", "batched"]) => Self::CreateBatch,
            ("DELETE", ["portfolio", "events", "orders"]) => Self::CancelAll,
            ("DELETE", ["portfolio", "events", "orders", "batched"]) => Self::CancelBatch,
            ("DELETE", ["portfolio", "events", "orders", id]) => Self::Cancel(id),
            ("POST", ["portfolio", "events", "orders", id, "amend"]) => Self::Amend(id),
            ("POST", ["portfolio", "events", "orders", id, "decrease"]) => Self::Decrease(id),
            ("POST" | "DELETE", ["portfolio", "orders", ..]) => Self::Retired,
            ("GET", ["portfolio", "orders"]) => Self::Orders,
            ("GET", ["portfolio", "orders", "queue_positions"]) => Self::QueuePositions,
            ("GET", ["portfolio", "orders", id]) => Self::Order(id),
            ("GET", ["portfolio", "orders", id, "queue_position"]) => Self::QueuePosition(id),
            ("GET", ["portfolio", "fills"]) => Self::Fills,
            ("GET", ["portfolio", "positions"]) => Self::Positions,
            ("GET", ["portfolio", "balance"]) => Self::Balance,
            ("GET", ["portfolio", "settlements"]) => Self::Settlements,
            ("GET", ["portfolio", "order_groups"]) => Self::Groups,
            ("POST", ["portfolio", "order_groups", "create"]) => Self::GroupCreate,
            ("GET", ["portfolio", "order_groups", id]) => Self::Group(id),
            ("DELETE", ["portfolio", "order_groups", id]) => Self::GroupDelete(id),
            ("PUT", ["portfolio", "order_groups", id, "limit"]) => Self::GroupLimit(id),
            ("PUT", ["portfolio", "order_groups", id, "trigger"]) => Self::GroupTrigger(id),
            ("PUT", ["portfolio", "order_groups", id, "reset"]) => Self::GroupReset(id),
            ("GET", ["portfolio", "target_balance_allocation"]) => Self::Allocation,
            ("POST", ["portfolio", "target_balance_allocation"]) => Self::AllocationSet,
            ("POST", ["portfolio", "intra_exchange_instance_transfer"]) => Self::Transfer,
            ("GET", ["portfolio", "intra_exchange_instance_transfers"]) => Self::Transfers,
            ("GET", ["portfolio", "intra_exchange_instance_transfers", id]) => Self::TransferStatus(id),
            ("GET", ["api_keys"]) => Self::ApiKeys,
            ("GET", ["account", "limits"]) => Self::AccountLimits,
            _ => return None,
        })
    }

    /// What it is to a plan of faults.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Create | Self::CreateBatch => Kind::Create,
            Self::Cancel(_) | Self::CancelBatch | Self::CancelAll => Kind::Cancel,
            Self::Amend(_)
            | Self::Decrease(_)
            | Self::Retired
            | Self::GroupCreate
            | Self::GroupLimit(_)
            | Self::GroupTrigger(_)
            | Self::GroupReset(_)
            | Self::GroupDelete(_)
            | Self::AllocationSet
            | Self::Transfer => Kind::Change,
            _ => Kind::Read,
        }
    }

    /// The scope a key needs for it.
    pub const fn scope(&self) -> &'static str {
        match self {
            Self::Balance => "read::portfolio_balance",
            Self::Transfer | Self::AllocationSet => "write::transfer",
            _ if matches!(self.kind(), Kind::Read) => "read",
            _ => "write::trade",
        }
    }

    /// The order it names in its path.
    pub const fn order_id(&self) -> Option<&'a str> {
        match self {
            Self::Cancel(id) | Self::Amend(id) | Self::Decrease(id) => Some(id),
            _ => None,
        }
    }

    const fn cost(&self) -> u32 {
        match self {
            Self::Cancel(_) | Self::CancelBatch | Self::Order(_) => 2,
            _ => DEFAULT_COST,
        }
    }

    /// Does a ticker, rather than a shard, say where it goes?
    fn is_routed(&self, body: &Value, query: &[(String, String)]) -> bool {
        matches!(self, Self::Create | Self::CreateBatch | Self::CancelBatch | Self::Amend(_))
            || param(query, "market_ticker").is_some()
            || body["market_ticker"].is_string()
    }
}

impl Desk {
    /// Takes the cost of a request out of its bucket. A request that the venue has to route is billed on every shard.
    pub(super) fn spend(
        &mut self,
        account: usize,
        op: &Operation,
        body: &Value,
        query: &[(String, String)],
        now: UnixMs,
    ) -> Result<(), Deny> {
        let account = &mut self.accounts[account];
        let items = body["orders"].as_array().map_or(1, |orders| orders.len().max(1) as u32);
        let each = op.cost();
        let cost = if matches!(op, Operation::CreateBatch | Operation::CancelBatch) { each * items } else { each };
        if *op == Operation::Balance {
            return if account.balance.covers(1, now) {
                account.balance.take(1);
                Ok(())
            } else {
                Err(Deny::too_many())
            };
        }
        if op.kind() == Kind::Read {
            return if account.read.covers(cost, now) {
                account.read.take(cost);
                Ok(())
            } else {
                Err(Deny::too_many())
            };
        }
        let named = body["exchange_index"].as_i64().or_else(|| param(query, "exchange_index")?.parse().ok());
        let named = named.and_then(|shard| usize::try_from(shard).ok()).filter(|&shard| shard < usize::from(SHARDS));
        let billed = match named {
            Some(shard) => shard..shard + 1,
            None if op.is_routed(body, query) => 0..usize::from(SHARDS),
            None => 0..1,
        };
        let buckets = &mut account.write[billed];
        if !buckets.iter_mut().all(|bucket| bucket.covers(cost, now)) {
            return Err(Deny::too_many());
        }
        for bucket in buckets {
            bucket.take(cost);
        }
        Ok(())
    }

    /// Carries out a private request.
    pub(super) fn perform(
        &mut self,
        world: &mut World,
        op: &Operation,
        member: Member,
        query: &[(String, String)],
        body: &Value,
        now: UnixMs,
    ) -> Result<Reply, Deny> {
        let empty = || Value::Object(Map::new());
        Ok(match *op {
            Operation::Create => Reply::new(201, &self.create(world, member, body, now)?),
            Operation::CreateBatch => Reply::new(201, &self.create_batch(world, member, body, now)?),
            Operation::Cancel(id) => Reply::ok(&self.cancel(world, member, id, query, now)?),
            Operation::CancelBatch => Reply::ok(&self.cancel_batch(world, member, body, now)?),
            Operation::CancelAll => {
                self.cancel_all(world, member, query, now)?;
                Reply { status: 204, body: String::new() }
            }
            Operation::Amend(id) => Reply::ok(&self.amend(world, member, id, query, body, now)?),
            Operation::Decrease(id) => Reply::ok(&self.decrease(world, member, id, query, body, now)?),
            Operation::Retired => return Err(Deny::new(410, "deprecated_v1_order_endpoint")),
            Operation::Orders => Reply::ok(&self.list_orders(world, member, query, now)?),
            Operation::Order(id) => Reply::ok(&self.one_order(member, id, now)?),
            Operation::QueuePositions => Reply::ok(&self.queue_positions(world, member, query)?),
            Operation::QueuePosition(id) => Reply::ok(&self.queue_position(world, member, id)?),
            Operation::Fills => Reply::ok(&self.list_fills(world, member, query, now)?),
            Operation::Positions => Reply::ok(&self.positions(world, member, query, now)?),
            Operation::Balance => Reply::ok(&self.balance(world, member, query, now)?),
            Operation::Settlements => Reply::ok(&self.list_settlements(world, member, query, now)?),
            Operation::Groups => Reply::ok(&self.list_groups(member, query)?),
            Operation::Group(id) => Reply::ok(&self.one_group(member, id)?),
            Operation::GroupCreate => Reply::new(201, &self.create_group(member, body, now)?),
            Operation::GroupLimit(id) => {
                self.limit_group(world, member, id, body, now)?;
                Reply::ok(&empty())
            }
            Operation::GroupTrigger(id) => {
                self.trigger_group(world, member, id, now)?;
                Reply::ok(&empty())
            }
            Operation::GroupReset(id) => {
                self.reset_group(member, id, now)?;
                Reply::ok(&empty())
            }
            Operation::GroupDelete(id) => {
                self.delete_group(world, member, id, now)?;
                Reply::ok(&empty())
            }
            Operation::Allocation => Reply::ok(&self.allocation(member)),
            Operation::AllocationSet => {
                self.set_allocation(member, body)?;
                Reply::ok(&empty())
            }
            Operation::Transfer => Reply::ok(&self.transfer(world, member, body, now)?),
            Operation::Transfers => Reply::ok(&self.list_transfers(member)),
            Operation::TransferStatus(id) => Reply::ok(&self.transfer_status(member, id)?),
            Operation::ApiKeys => Reply::ok(&self.api_keys(member)),
            Operation::AccountLimits => Reply::ok(&limits(self.accounts[member.account].tier)),
        })
    }

    fn api_keys(&self, member: Member) -> Value {
        let account = &self.accounts[member.account];
        let key = |at: usize| {
            let key = &account.keys[at];
            let mut object = json!({"api_key_id": key.id, "name": format!("key {}", at + 1), "scopes": key.scopes});
            if let Some(subaccount) = key.subaccount {
                object["subaccount"] = Value::from(subaccount);
            }
            object
        };
        let mut body = json!({"api_keys": (0..account.keys.len()).map(key).collect::<Vec<_>>()});
        if let Some(expires) = account.region_expires {
            body["api_key_region_expiration_ts"] = Value::from(expires.raw() / 1_000);
        }
        body
    }

    /// Public reads: three of them are the desk's to answer.
    pub(super) fn public(&self, world: &World, below: &str, parts: &[&str], request: &Request, now: UnixMs) -> Reply {
        match parts {
            ["exchange", "status"] => {
                let states = self.shards.map(|shard| (shard != Shard::ExchangePaused, shard == Shard::Open));
                Reply::ok(&kalshi_rest::status(&states))
            }
            ["exchange", "user_data_timestamp"] => Reply::ok(&json!({"as_of_time": rfc3339_ms(self.seen(now))})),
            ["account", "endpoint_costs"] => Reply::ok(&endpoint_costs()),
            // What needs a signature answers nothing else to those without one.
            ["portfolio" | "communications" | "api_keys", ..] if request.headers.key.is_none() => {
                Deny::new(401, "signature_is_missing_from_headers").into()
            }
            _ => kalshi_rest::answer(world, below, request.query),
        }
    }

    /// Up to when portfolio reads have seen everything.
    pub(super) fn seen(&self, now: UnixMs) -> UnixMs {
        UnixMs::new(now.raw().saturating_sub(self.settings.read_lag_ms))
    }
}
