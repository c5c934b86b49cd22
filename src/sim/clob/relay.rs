//! What the relayer does for a deposit wallet: batches of calls, checked against the owner's signature and the wallet's
//! number, of which merging a pair and redeeming a resolved market move funds here.

use alloy_primitives::{Address, B256, U256, address, hex};
use alloy_sol_types::{SolCall as _, sol};
use serde_json::{Value, json};

use crate::sim::clob::account::{Kind, pull, put};
use crate::sim::clob::typed::{Batch, Call, batch_signer};
use crate::sim::clob::{Answer, ClobDesk, Request};
use crate::sim::world::World;
use crate::unit::{Money, Qty, UnixMs, Venue};

const ADAPTER: Address = address!("AdA100Db00Ca00073811820692005400218FcE1f");
const NEG_RISK_ADAPTER: Address = address!("adA2005600Dec949baf300f4C6120000bDB6eAab");
const ROUTER: Address = address!("12121212006e4CD160D18e3f00711DA5c3372600");
/// From being taken to EXECUTED, MINED and CONFIRMED.
const STEPS_MS: [(u64, &str); 3] = [(1_000, "STATE_EXECUTED"), (4_000, "STATE_MINED"), (12_000, "STATE_CONFIRMED")];

sol! {
    function mergePositions(address collateral, bytes32 parent, bytes32 condition, uint256[] partition, uint256 amount);
    function redeemPositions(address collateral, bytes32 parent, bytes32 condition, uint256[] indexSets);
    function merge(bytes31 condition, uint256 amount);
    function redeem(bytes31 condition, uint256 outcomeIndex, uint256 amount);
}

/// What a batch does to funds.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Merge {
        market: usize,
        qty: Qty,
    },
    /// Everything of both outcomes, or so much of one.
    Redeem {
        market: usize,
        part: Option<(u8, Qty)>,
    },
}

/// A batch that was taken.
#[derive(Debug)]
pub(super) struct Relayed {
    id: String,
    wallet: usize,
    deeds: Vec<Deed>,
    at: UnixMs,
    /// How many of the steps are behind it.
    step: usize,
    failed: bool,
}

impl Relayed {
    fn state(&self) -> &'static str {
        match (self.failed, self.step.checked_sub(1)) {
            (true, _) => "STATE_FAILED",
            (false, None) => "STATE_NEW",
            (false, Some(step)) => STEPS_MS[step].1,
        }
    }

    fn next_at(&self) -> Option<UnixMs> {
        let &(ms, _) = STEPS_MS.get(self.step).filter(|_| !self.failed)?;
        Some(UnixMs::new(self.at.raw() + ms))
    }
}

impl ClobDesk {
    pub(super) fn relayer_call(&mut self, request: &Request, world: &World, now: UnixMs) -> Answer {
        let wallet = |address: Option<&str>| {
            let address = address.and_then(|address| address.parse::<Address>().ok())?;
            self.wallets
                .iter()
                .position(|wallet| wallet.kind == Kind::Deposit && [wallet.owner, wallet.funder].contains(&address))
        };
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/deployed") => {
                let deployed = wallet(request.param("address")).is_some_and(|at| self.wallets[at].allowed);
                Answer::ok(&json!({"deployed": deployed}), now)
            }
            ("GET", "/nonce" | "/v1/account/transactions/params") => {
                let nonce = wallet(request.param("address")).map_or(0, |at| self.wallets[at].relay_nonce);
                Answer::ok(&json!({"address": request.param("address"), "nonce": nonce.to_string()}), now)
            }
            ("POST", "/submit") => match self.submit(request, world, now) {
                Ok(id) => Answer::ok(&json!({"transactionID": id, "state": "STATE_NEW", "transactionHash": ""}), now),
                Err(text) => Answer::error(400, &text, now),
            },
            ("GET", path) => {
                let id = path.strip_prefix("/v1/account/transactions/").or(request.param("id")).unwrap_or_default();
                match self.relayed.iter().find(|relayed| relayed.id == id) {
                    Some(relayed) => Answer::ok(&json!({"transactionID": id, "state": relayed.state()}), now),
                    None => Answer::error(404, "transaction not found", now),
                }
            }
            _ => Answer::error(405, "Method Not Allowed", now),
        }
    }

    fn submit(&mut self, request: &Request, world: &World, now: UnixMs) -> Result<String, String> {
        let body: Value = serde_json::from_str(&request.body).map_err(|_| String::from("invalid payload"))?;
        let batch = read_batch(&body).ok_or("invalid payload")?;
        let signature = body["signature"].as_str().and_then(|text| hex::decode(text).ok()).ok_or("invalid payload")?;
        let found =
            self.wallets.iter().position(|wallet| wallet.funder == batch.wallet && wallet.kind == Kind::Deposit);
        let at = found.ok_or("wallet is not deployed")?;
        let wallet = &self.wallets[at];
        if batch_signer(&batch, &signature) != Some(wallet.owner) {
            return Err(String::from("invalid signature"));
        }
        if batch.deadline < U256::from(now.raw() / 1_000) {
            return Err(String::from("deadline has passed"));
        }
        if batch.nonce != U256::from(wallet.relay_nonce) {
            let (sent, known) = (batch.nonce, wallet.relay_nonce);
            return Err(format!("batch nonce {sent} does not match on-chain nonce {known}"));
        }
        if self.relayed.iter().any(|relayed| relayed.wallet == at && relayed.step < 2 && !relayed.failed) {
            return Err(String::from("wallet has in-flight action"));
        }
        let deeds = batch.calls.iter().filter_map(|call| deed(call, world)).collect();
        let id = self.fresh_id();
        self.wallets[at].relay_nonce += 1;
        self.relayed.push(Relayed { id: id.clone(), wallet: at, deeds, at: now, step: 0, failed: false });
        Ok(id)
    }

    /// Lets batches take their steps; funds move when a batch is mined, all of it or nothing.
    pub(super) fn relay_due(&mut self, world: &World, now: UnixMs) {
        for at in 0..self.relayed.len() {
            while self.relayed[at].next_at().is_some_and(|due| due <= now) {
                self.relayed[at].step += 1;
                if self.relayed[at].step == 2 && !self.perform(at, world) {
                    self.relayed[at].failed = true;
                }
            }
        }
    }

    pub(super) fn relay_next(&self) -> Option<UnixMs> {
        self.relayed.iter().filter_map(Relayed::next_at).min()
    }

    fn perform(&mut self, at: usize, world: &World) -> bool {
        let Relayed { wallet, ref deeds, .. } = self.relayed[at];
        let mut tokens = self.wallets[wallet].tokens.clone();
        let mut cash = Money::ZERO;
        for &deed in deeds {
            match deed {
                Deed::Merge { market, qty } => {
                    for outcome in 0..2 {
                        if tokens.get(&(market, outcome)).copied().unwrap_or_default() < qty {
                            return false;
                        }
                        pull(&mut tokens, (market, outcome), qty);
                    }
                    cash += Money::dollar_each(qty);
                }
                Deed::Redeem { market, part } => {
                    let Some(yes) = Self::market(world, market).state.payout else { return false };
                    for outcome in 0..2_u8 {
                        let held = tokens.get(&(market, outcome)).copied().unwrap_or_default();
                        let qty = match part {
                            None => held,
                            Some((only, qty)) if only == outcome => qty,
                            Some(_) => continue,
                        };
                        if held < qty {
                            return false;
                        }
                        pull(&mut tokens, (market, outcome), qty);
                        let each = if outcome == 0 { yes } else { Money::dollars(1) - yes };
                        let paid = i128::from(each.raw()) * i128::from(qty.micros()) / 1_000_000;
                        cash += Money::micros(paid as i64);
                    }
                }
            }
        }
        self.wallets[wallet].tokens = tokens;
        self.wallets[wallet].cash += cash;
        true
    }

    /// Resolves what a wallet holds of a market as if its owner had redeemed it at once.
    pub fn redeem(&mut self, wallet: usize, market: usize, world: &World) -> Option<Money> {
        let yes = Self::market(world, market).state.payout?;
        let mut paid = Money::ZERO;
        for outcome in 0..2_u8 {
            let qty = self.wallets[wallet].held(market, outcome);
            pull(&mut self.wallets[wallet].tokens, (market, outcome), qty);
            let each = if outcome == 0 { yes } else { Money::dollars(1) - yes };
            paid += Money::micros((i128::from(each.raw()) * i128::from(qty.micros()) / 1_000_000) as i64);
        }
        self.wallets[wallet].cash += paid;
        Some(paid)
    }

    /// Turns cash into pairs of a market, as its owner could on chain.
    pub fn split(&mut self, wallet: usize, market: usize, qty: Qty) {
        let wallet = &mut self.wallets[wallet];
        wallet.cash -= Money::dollar_each(qty);
        for outcome in 0..2 {
            put(&mut wallet.tokens, (market, outcome), qty);
        }
    }
}

fn read_batch(body: &Value) -> Option<Batch> {
    let params = body.get("depositWalletParams")?;
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<U256>().ok());
    let calls = params["calls"].as_array()?.iter().map(|call| {
        Some(Call {
            target: call["target"].as_str()?.parse().ok()?,
            value: number(&call["value"])?,
            data: hex::decode(call["data"].as_str()?).ok()?.into(),
        })
    });
    Some(Batch {
        wallet: params["depositWallet"].as_str()?.parse().ok()?,
        nonce: number(&body["nonce"])?,
        deadline: number(&params["deadline"])?,
        calls: calls.collect::<Option<Vec<Call>>>()?,
    })
}

/// What a call does to funds; approvals and everything else do nothing here.
fn deed(call: &Call, world: &World) -> Option<Deed> {
    let market = |condition: B256| world.find(Venue::Polymarket, &condition.to_string());
    let qty = |amount: U256| u64::try_from(amount).ok().and_then(Qty::new);
    if [ADAPTER, NEG_RISK_ADAPTER].contains(&call.target) {
        if let Ok(call) = mergePositionsCall::abi_decode(&call.data) {
            return Some(Deed::Merge { market: market(call.condition)?, qty: qty(call.amount)? });
        }
        let call = redeemPositionsCall::abi_decode(&call.data).ok()?;
        return Some(Deed::Redeem { market: market(call.condition)?, part: None });
    }
    if call.target != ROUTER {
        return None;
    }
    // A condition of 31 bytes gets one zero byte where 32 are wanted.
    let long = |condition: [u8; 31]| {
        let mut bytes = B256::ZERO;
        bytes[..31].copy_from_slice(&condition);
        bytes
    };
    if let Ok(call) = mergeCall::abi_decode(&call.data) {
        return Some(Deed::Merge { market: market(long(call.condition.0))?, qty: qty(call.amount)? });
    }
    let call = redeemCall::abi_decode(&call.data).ok()?;
    let outcome = u8::try_from(call.outcomeIndex).ok()?;
    Some(Deed::Redeem { market: market(long(call.condition.0))?, part: Some((outcome, qty(call.amount)?)) })
}
