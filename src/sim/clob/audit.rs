//! What the engine under test must never do, checked on every order that arrives, whatever becomes of it: sending one
//! twice, using a salt twice, sending more than it was allowed, adding risk after it was told to stop.

use std::collections::BTreeMap;

use alloy_primitives::B256;

use crate::unit::{Money, Qty, UnixMs};

/// The most an order may be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bounds {
    pub value_max: Option<Money>,
    pub qty_max: Option<Qty>,
    /// After this, nothing that could raise what its owner may lose.
    pub no_risk_after: Option<UnixMs>,
}

/// What was done that must not be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Violation {
    /// One order came more than once.
    SentTwice {
        id: B256,
        times: u32,
    },
    /// Two orders of one wallet have one salt.
    SaltTwice {
        id: B256,
        salt: u64,
    },
    TooDear {
        id: B256,
        value: Money,
    },
    TooLarge {
        id: B256,
        qty: Qty,
    },
    RiskAdded {
        id: B256,
        at: UnixMs,
    },
}

/// An order as it arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    pub id: B256,
    pub wallet: usize,
    pub salt: u64,
    pub value: Money,
    pub qty: Qty,
    /// It can raise what its owner may lose.
    pub adds_risk: bool,
    pub at: UnixMs,
}

/// Every order that arrived, and what was wrong with it.
#[derive(Debug)]
pub struct Audit {
    pub bounds: Bounds,
    seen: Vec<Seen>,
    times: BTreeMap<B256, u32>,
    salts: BTreeMap<(usize, u64), B256>,
    violations: Vec<Violation>,
}

impl Audit {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, seen: Vec::new(), times: BTreeMap::new(), salts: BTreeMap::new(), violations: Vec::new() }
    }

    /// Every well-signed order that arrived, in order, repetitions and refused ones included.
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// What must never happen, and did.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    pub(super) fn look(&mut self, seen: Seen) {
        self.seen.push(seen);
        let Seen { id, wallet, salt, value, qty, adds_risk, at } = seen;
        let times = self.times.entry(id).or_default();
        *times += 1;
        if 1 < *times {
            self.violations.push(Violation::SentTwice { id, times: *times });
        }
        if *self.salts.entry((wallet, salt)).or_insert(id) != id {
            self.violations.push(Violation::SaltTwice { id, salt });
        }
        if self.bounds.value_max.is_some_and(|most| most < value) {
            self.violations.push(Violation::TooDear { id, value });
        }
        if self.bounds.qty_max.is_some_and(|most| most < qty) {
            self.violations.push(Violation::TooLarge { id, qty });
        }
        if adds_risk && self.bounds.no_risk_after.is_some_and(|after| after < at) {
            self.violations.push(Violation::RiskAdded { id, at });
        }
    }
}
