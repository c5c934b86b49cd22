//! Who trades: owners of keys, their API credentials, and the wallets whose funds their orders move.
//!
//! What a newcomer gets wrong: credentials belong to the key's own address, also where a deposit wallet trades.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;

use crate::sim::clob::limit::Buckets;
use crate::sim::clob::typed::Contract;
use crate::unit::{Money, Qty, UnixMs};

/// A wallet's kind; its number is the `signatureType` of its orders.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Eoa,
    Proxy,
    Safe,
    Deposit,
}

impl Kind {
    /// The kind with this number.
    pub const fn of(signature_type: u8) -> Option<Self> {
        match signature_type {
            0 => Some(Self::Eoa),
            1 => Some(Self::Proxy),
            2 => Some(Self::Safe),
            3 => Some(Self::Deposit),
            _ => None,
        }
    }
}

/// One set of API credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiKey {
    pub id: String,
    /// URL-safe base64.
    pub secret: String,
    pub passphrase: String,
    /// Which set of its owner's.
    pub nonce: u64,
    /// It can read, and neither trade nor cancel.
    pub readonly: bool,
    /// Deleted: it exists no more, and its nonce can be used again.
    pub deleted: bool,
}

impl ApiKey {
    /// The set that follows from all this; a name keeps other kinds of sets apart.
    pub fn derive(seed: u64, owner: Address, name: &str, nonce: u64) -> Self {
        let part = |part: &str| digest(&SHA256, format!("{seed} {owner} {name} {nonce} {part}").as_bytes());
        let id = alloy_primitives::hex::encode(part("id"));
        Self {
            id: format!("{}-{}-4{}-a{}-{}", &id[..8], &id[8..12], &id[13..16], &id[17..20], &id[20..32]),
            secret: BASE64_URL_SAFE.encode(part("secret")),
            passphrase: alloy_primitives::hex::encode(part("passphrase")),
            nonce,
            readonly: name == "readonly",
            deleted: false,
        }
    }
}

/// A dead-man switch, armed.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// What the next beat has to name.
    pub id: String,
    pub last: UnixMs,
    pub next_check: UnixMs,
}

/// The owner of a key.
#[derive(Debug)]
pub struct Account {
    pub address: Address,
    pub keys: Vec<ApiKey>,
    pub banned: bool,
    pub closed_only: bool,
    /// By API key.
    pub heartbeats: BTreeMap<String, Heartbeat>,
    pub buckets: Buckets,
}

/// What somebody opens a wallet with.
#[derive(Clone, Debug)]
pub struct NewWallet {
    pub kind: Kind,
    /// Whose funds move; for a plain account the owner's own address.
    pub funder: Address,
    pub owner: Address,
    pub cash: Money,
}

/// Funds.
#[derive(Debug)]
pub struct Wallet {
    pub kind: Kind,
    pub funder: Address,
    pub owner: Address,
    /// Keys that may sign for it besides its owner's, and until when.
    pub delegates: BTreeMap<Address, UnixMs>,
    /// The venue takes orders of it: deployed, or on the list of plain accounts.
    pub allowed: bool,
    /// Contracts that may move its funds.
    pub approved: Vec<Contract>,
    /// pUSD that the venue knows of.
    pub cash: Money,
    /// pUSD on chain that the venue has not been told to look for.
    pub unseen: Money,
    /// Outcome tokens by market and outcome.
    pub tokens: BTreeMap<(usize, u8), Qty>,
    /// What matches that are not settled will take.
    pub locked_cash: Money,
    pub locked_tokens: BTreeMap<(usize, u8), Qty>,
    /// What matches that are not settled will bring.
    pub coming_tokens: BTreeMap<(usize, u8), Qty>,
    /// The next relayed batch's number.
    pub relay_nonce: u64,
}

impl Wallet {
    pub fn new(new: &NewWallet) -> Self {
        Self {
            kind: new.kind,
            funder: new.funder,
            owner: new.owner,
            delegates: BTreeMap::new(),
            allowed: true,
            approved: Contract::ALL.to_vec(),
            cash: new.cash,
            unseen: Money::ZERO,
            tokens: BTreeMap::new(),
            locked_cash: Money::ZERO,
            locked_tokens: BTreeMap::new(),
            coming_tokens: BTreeMap::new(),
            relay_nonce: 0,
        }
    }

    /// Tokens of an outcome, settled.
    pub fn held(&self, market: usize, outcome: u8) -> Qty {
        of(&self.tokens, market, outcome)
    }

    /// Tokens that open matches have promised.
    pub fn locked(&self, market: usize, outcome: u8) -> Qty {
        of(&self.locked_tokens, market, outcome)
    }

    /// Tokens with everything counted that open matches will bring and take.
    pub fn expected(&self, market: usize, outcome: u8) -> Qty {
        let coming = of(&self.coming_tokens, market, outcome);
        plus(self.held(market, outcome), coming).saturating_sub(self.locked(market, outcome))
    }
}

fn of(tokens: &BTreeMap<(usize, u8), Qty>, market: usize, outcome: u8) -> Qty {
    tokens.get(&(market, outcome)).copied().unwrap_or_default()
}

/// A sum of quantities; the largest one where it would be larger.
pub fn plus(one: Qty, other: Qty) -> Qty {
    one.checked_add(other).unwrap_or(Qty::MAX)
}

/// Puts tokens into one of a wallet's heaps.
pub fn put(tokens: &mut BTreeMap<(usize, u8), Qty>, at: (usize, u8), qty: Qty) {
    let heap = tokens.entry(at).or_default();
    *heap = plus(*heap, qty);
}

/// Takes tokens out of one of a wallet's heaps.
pub fn pull(tokens: &mut BTreeMap<(usize, u8), Qty>, at: (usize, u8), qty: Qty) {
    let heap = tokens.entry(at).or_default();
    *heap = heap.saturating_sub(qty);
}
