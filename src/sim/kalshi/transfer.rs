//! Money between shards: moved by hand, on its way for a moment, or kept at percentages by the venue.

use serde_json::{Value, json};

use crate::sim::kalshi::account::{Member, SHARDS, owner};
use crate::sim::kalshi::deny::Deny;
use crate::sim::kalshi::desk::Desk;
use crate::sim::kalshi::form::Form;
use crate::sim::kalshi_text::amount;
use crate::sim::world::World;
use crate::unit::{Money, UnixMs, Venue};

/// How often the venue brings balances back to their percentages.
const REBALANCE_MS: u64 = 10_000;
/// Millionths of a dollar in a centicent.
const CENTICENT: i64 = 100;

/// Cash on its way.
#[derive(Debug)]
pub struct Transfer {
    id: String,
    client_id: Option<String>,
    account: usize,
    subaccount: u8,
    from: u8,
    to: u8,
    amount: Money,
    created: UnixMs,
    arrives: UnixMs,
    arrived: bool,
}

impl Transfer {
    fn listed(&self) -> Value {
        let mut object = json!({
            "transfer_id": self.id, "source": "event_contract", "destination": "event_contract",
            "source_exchange_shard": self.from, "destination_exchange_shard": self.to,
            "amount": amount(self.amount, 4), "status": if self.arrived { "complete" } else { "pending" },
            "created_ts": self.created.raw() / 1_000,
        });
        if let Some(id) = &self.client_id {
            object["client_transfer_id"] = Value::from(id.as_str());
        }
        object
    }
}

impl Desk {
    /// `POST /portfolio/intra_exchange_instance_transfer`: the money leaves at once and arrives later.
    pub(super) fn transfer(
        &mut self,
        world: &mut World,
        member: Member,
        body: &Value,
        now: UnixMs,
    ) -> Result<Value, Deny> {
        let form = Form::of("IntraExchangeInstanceTransferRequest", body)?;
        for end in ["source", "destination"] {
            if form.required(end)? != "event_contract" {
                return Err(form.fails(end, "oneof"));
            }
        }
        let shard = |field| {
            let named = form.integer(field)?.unwrap_or(0);
            u8::try_from(named).ok().filter(|shard| *shard < SHARDS).ok_or_else(|| form.fails(field, "lt"))
        };
        let (from, to) = (shard("source_exchange_shard")?, shard("destination_exchange_shard")?);
        let asked = form.integer("amount")?.ok_or_else(|| form.missing("amount"))?;
        let micros = asked.checked_mul(CENTICENT).filter(|micros| 0 < *micros);
        let sum = Money::micros(micros.ok_or_else(|| form.fails("amount", "gt"))?);
        let subaccount = self.subaccount(member, form.integer("source_subaccount")?)?;
        if self.subaccount(member, form.integer("destination_subaccount")?)? != subaccount {
            return Err(Deny::malformed("transfers between subaccounts have an endpoint of their own"));
        }
        let client_id = form.text("client_transfer_id")?.filter(|id| !id.is_empty());
        if client_id.is_some_and(|id| self.accounts[member.account].spent_transfer_ids.contains(id)) {
            return Err(Deny::new(409, "transfer_already_exists"));
        }
        if self.cash(world, member.account, subaccount, from) < sum {
            return Err(Deny::new(400, "insufficient_balance"));
        }
        self.credit(world, member.account, subaccount, from, -sum, now);
        if let Some(id) = client_id {
            self.accounts[member.account].spent_transfer_ids.insert(id.to_owned());
        }
        let id = self.new_id();
        self.transfers.push(Transfer {
            id: id.clone(),
            client_id: client_id.map(str::to_owned),
            account: member.account,
            subaccount,
            from,
            to,
            amount: sum,
            created: now,
            arrives: UnixMs::new(now.raw() + self.settings.transfer_ms),
            arrived: false,
        });
        Ok(json!({"transfer_id": id}))
    }

    fn credit(&mut self, world: &mut World, account: usize, subaccount: u8, shard: u8, sum: Money, now: UnixMs) {
        let to = owner(account, subaccount);
        world.on_kalshi(now, |exchange| {
            exchange.clearing_mut().credit(to, shard, sum);
            ((), Vec::new())
        });
        self.remember_purse(world, account, subaccount, now);
    }

    /// Pays cash in, or out where negative: what somebody does by hand, beside every order.
    pub fn deposit(&mut self, world: &mut World, account: usize, shard: u8, sum: Money, now: UnixMs) {
        self.credit(world, account, 0, shard, sum, now);
    }

    /// `GET /portfolio/intra_exchange_instance_transfers`.
    pub(super) fn list_transfers(&self, member: Member) -> Value {
        let own = self.transfers.iter().rev().filter(|transfer| transfer.account == member.account);
        json!({"transfers": own.map(Transfer::listed).collect::<Vec<_>>(), "cursor": ""})
    }

    /// `GET /portfolio/intra_exchange_instance_transfers/{id}`.
    pub(super) fn transfer_status(&self, member: Member, id: &str) -> Result<Value, Deny> {
        let own = self.transfers.iter().find(|transfer| transfer.account == member.account && transfer.id == id);
        own.map(|transfer| json!({"transfer": transfer.listed()})).ok_or_else(Deny::not_found)
    }

    /// `GET /portfolio/target_balance_allocation`.
    pub(super) fn allocation(&self, member: Member) -> Value {
        let shares = self.accounts[member.account].allocation.iter();
        let list: Vec<Value> =
            shares.map(|(shard, percent)| json!({"exchange_index": shard, "percent": percent})).collect();
        json!({"allocations": list, "resting_margin_reservation": "none"})
    }

    /// `POST /portfolio/target_balance_allocation`: percentages that make a hundred, or none at all.
    pub(super) fn set_allocation(&mut self, member: Member, body: &Value) -> Result<(), Deny> {
        let form = Form::of("SetTargetBalanceAllocationRequest", body)?;
        let mut shares = Vec::new();
        for share in form.list("allocations")?.ok_or_else(|| form.missing("allocations"))? {
            let form = Form::of("TargetBalanceAllocationInput", share)?;
            let shard = form.integer("exchange_index")?.ok_or_else(|| form.missing("exchange_index"))?;
            let shard = u8::try_from(shard).ok().filter(|shard| *shard < SHARDS);
            let shard = shard.ok_or_else(|| form.fails("exchange_index", "lt"))?;
            let percent = form.integer("percent")?.ok_or_else(|| form.missing("percent"))?;
            let percent = u32::try_from(percent).ok().filter(|percent| *percent <= 100);
            shares.push((shard, percent.ok_or_else(|| form.fails("percent", "lte"))?));
        }
        if !shares.is_empty() && shares.iter().map(|(_, percent)| percent).sum::<u32>() != 100 {
            return Err(Deny::malformed("percentages must total 100"));
        }
        self.accounts[member.account].allocation = shares;
        Ok(())
    }

    /// Transfers that arrive, and balances that are brought back to their percentages.
    pub(super) fn move_money(&mut self, world: &mut World, now: UnixMs) {
        for at in 0..self.transfers.len() {
            let transfer = &mut self.transfers[at];
            if !transfer.arrived && transfer.arrives <= now {
                transfer.arrived = true;
                let (account, subaccount, to, sum) =
                    (transfer.account, transfer.subaccount, transfer.to, transfer.amount);
                self.credit(world, account, subaccount, to, sum, now);
            }
        }
        if now.since(self.rebalanced_at) < REBALANCE_MS {
            return;
        }
        self.rebalanced_at = now;
        for account in 0..self.accounts.len() {
            self.rebalance(world, account, now);
        }
    }

    fn rebalance(&mut self, world: &mut World, account: usize, now: UnixMs) {
        let shares = self.accounts[account].allocation.clone();
        let Some(&(first, _)) = shares.first() else { return };
        let clearing = world.exchange(Venue::Kalshi).clearing();
        let Some(purse) = clearing.purse(owner(account, 0)) else { return };
        let held: Vec<(u8, Money)> = purse.cash.iter().map(|(&shard, &cash)| (shard, cash)).collect();
        let total: Money = held.iter().map(|(_, cash)| *cash).sum();
        let mut left = total;
        let mut wanted = [Money::ZERO; SHARDS as usize];
        for (shard, percent) in shares {
            let part = Money::micros(total.share(percent * 10_000).raw() / CENTICENT * CENTICENT);
            wanted[usize::from(shard)] += part;
            left -= part;
        }
        wanted[usize::from(first)] += left;
        for (shard, cash) in held {
            let change = wanted.get(usize::from(shard)).copied().unwrap_or(cash) - cash;
            if change != Money::ZERO {
                self.credit(world, account, 0, shard, change, now);
            }
        }
    }
}
