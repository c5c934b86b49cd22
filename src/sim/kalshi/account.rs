//! Who may do what: accounts, their keys and scopes, their budgets, and what their money looked like a moment ago.

use std::collections::{BTreeMap, HashSet, VecDeque};

use crate::sim::exchange::Owner;
use crate::sim::kalshi::bucket::{Bucket, Tier};
use crate::sim::kalshi::clearing::Purse;
use crate::unit::{Money, UnixMs};

/// How many shards the exchange has.
pub const SHARDS: u8 = 4;
/// Subaccounts of one account, the primary one included.
const SUBACCOUNTS: u32 = 64;
/// Older states of a purse than this are forgotten, but for the newest of them.
const PAST_MS: u64 = 5_000;

/// A key as it is registered.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub id: String,
    /// The public key as DER `SubjectPublicKeyInfo`.
    pub public: Vec<u8>,
    /// `read`, `write`, or children such as `write::trade`.
    pub scopes: Vec<String>,
    /// Locked to this subaccount.
    pub subaccount: Option<u8>,
}

impl NewKey {
    /// A key that may do everything.
    pub fn full(id: &str, public: Vec<u8>) -> Self {
        let scopes = vec![String::from("read"), String::from("write")];
        Self { id: id.to_owned(), public, scopes, subaccount: None }
    }
}

/// An account as it is opened.
#[derive(Clone, Debug)]
pub struct NewAccount {
    pub user_id: String,
    pub keys: Vec<NewKey>,
    /// Cash: subaccount, shard, amount.
    pub cash: Vec<(u8, u8, Money)>,
    pub tier: Tier,
    /// When the location attestation of its keys ends.
    pub region_expires: Option<UnixMs>,
}

impl NewAccount {
    /// An account with the same cash on every shard of its primary subaccount.
    pub fn funded(user_id: &str, keys: Vec<NewKey>, each_shard: Money) -> Self {
        Self {
            user_id: user_id.to_owned(),
            keys,
            cash: (0..SHARDS).map(|shard| (0, shard, each_shard)).collect(),
            tier: Tier::Advanced,
            region_expires: None,
        }
    }
}

/// Who a signed request comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    pub account: usize,
    /// The subaccount its key is locked to.
    pub locked: Option<u8>,
}

/// An account at work.
#[derive(Debug)]
pub struct Account {
    pub user_id: String,
    pub keys: Vec<NewKey>,
    pub tier: Tier,
    pub region_expires: Option<UnixMs>,
    /// Every `client_order_id` ever accepted: they are spent for good.
    pub spent_ids: HashSet<String>,
    pub spent_transfer_ids: HashSet<String>,
    /// Orders placed before this may be eaten by the last cancel-all.
    pub cancels_all_until: UnixMs,
    /// Shard and percent; empty is off.
    pub allocation: Vec<(u8, u32)>,
    pub read: Bucket,
    pub write: Vec<Bucket>,
    pub balance: Bucket,
    past: BTreeMap<u8, VecDeque<(UnixMs, Purse)>>,
}

impl Account {
    /// The account, and its purses by subaccount.
    pub fn open(new: NewAccount) -> (Self, BTreeMap<u8, Purse>) {
        let mut purses: BTreeMap<u8, Purse> = BTreeMap::from([(0, Purse::default())]);
        for (subaccount, shard, amount) in new.cash {
            *purses.entry(subaccount).or_default().cash.entry(shard).or_default() += amount;
        }
        for purse in purses.values_mut() {
            for shard in 0..SHARDS {
                purse.cash.entry(shard).or_default();
            }
        }
        let first = |purse: &Purse| VecDeque::from([(UnixMs::new(0), purse.clone())]);
        let account = Self {
            user_id: new.user_id,
            keys: new.keys,
            tier: new.tier,
            region_expires: new.region_expires,
            spent_ids: HashSet::new(),
            spent_transfer_ids: HashSet::new(),
            cancels_all_until: UnixMs::new(0),
            allocation: Vec::new(),
            read: Bucket::new(new.tier.read()),
            write: vec![Bucket::new(new.tier.write()); usize::from(SHARDS)],
            balance: Bucket::new((new.tier.balance(), new.tier.balance())),
            past: purses.iter().map(|(&subaccount, purse)| (subaccount, first(purse))).collect(),
        };
        (account, purses)
    }

    /// Is this one of its subaccounts?
    pub fn has(&self, subaccount: u8) -> bool {
        self.past.contains_key(&subaccount)
    }

    /// Its subaccounts.
    pub fn subaccounts(&self) -> Vec<u8> {
        self.past.keys().copied().collect()
    }

    /// Remembers what a purse holds from now on.
    pub fn remember(&mut self, subaccount: u8, purse: &Purse, now: UnixMs) {
        let Some(past) = self.past.get_mut(&subaccount) else { return };
        past.push_back((now, purse.clone()));
        while 2 < past.len() && PAST_MS < now.since(past[1].0) {
            past.pop_front();
        }
    }

    /// What a purse held at `seen`, as far as that is remembered.
    pub fn purse_at(&self, subaccount: u8, seen: UnixMs) -> Option<&Purse> {
        let past = self.past.get(&subaccount)?;
        past.iter().rev().find(|(at, _)| *at <= seen).or_else(|| past.front()).map(|(_, purse)| purse)
    }
}

/// The owner of a subaccount's orders.
pub const fn owner(account: usize, subaccount: u8) -> Owner {
    Owner(Owner::FIRST_ACCOUNT + account as u32 * SUBACCOUNTS + subaccount as u32)
}

/// Whose orders these are: account and subaccount.
pub const fn account_of(owner: Owner) -> (usize, u8) {
    let at = owner.0 - Owner::FIRST_ACCOUNT;
    ((at / SUBACCOUNTS) as usize, (at % SUBACCOUNTS) as u8)
}

/// May a key with these scopes do what needs `wanted`? A parent grants its children.
pub fn grants(scopes: &[String], wanted: &str) -> bool {
    let parent = wanted.split("::").next().unwrap_or(wanted);
    scopes.iter().any(|scope| scope == wanted || scope == parent)
}
