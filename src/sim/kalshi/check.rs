//! A second look at what every account sends, by nothing but what arrived: no order sent twice, none beyond a limit,
//! none that adds risk after the latch. It refuses nothing; it remembers what should never have come.

use std::collections::HashMap;

use crate::unit::{Money, Qty, UnixMs};

/// What an account may send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// What one order may cost at its own price, on the leg that it buys.
    pub order_value_max: Money,
    pub order_qty_max: Qty,
}

/// An order as it arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    pub account: usize,
    pub at: UnixMs,
    pub client_order_id: String,
    pub ticker: String,
    pub value: Money,
    pub qty: Qty,
    /// Some of it would open or enlarge a position.
    pub adds_risk: bool,
    /// The venue took it.
    pub accepted: bool,
}

/// What should not have come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Violation {
    /// An order id came again, for the same order or another.
    SentTwice(Seen),
    /// An order without an id cannot be told from its repetition.
    WithoutId(Seen),
    TooValuable(Seen),
    TooLarge(Seen),
    /// It would add to a position after the latch.
    AfterLatch(Seen),
}

/// Remembers every order that arrived.
#[derive(Debug, Default)]
pub struct Check {
    limits: Option<Limits>,
    latched_at: Option<UnixMs>,
    ids: HashMap<(usize, String), usize>,
    seen: Vec<Seen>,
    violations: Vec<Violation>,
}

impl Check {
    /// Sets the limits; until then none is broken.
    pub const fn limit(&mut self, limits: Limits) {
        self.limits = Some(limits);
    }

    /// From now on no order may add risk; `None` lifts that.
    pub const fn latch(&mut self, at: Option<UnixMs>) {
        self.latched_at = at;
    }

    /// An order has arrived.
    pub fn see(&mut self, seen: Seen) {
        if seen.client_order_id.is_empty() {
            self.violations.push(Violation::WithoutId(seen.clone()));
        } else {
            let times = self.ids.entry((seen.account, seen.client_order_id.clone())).or_default();
            *times += 1;
            if 1 < *times {
                self.violations.push(Violation::SentTwice(seen.clone()));
            }
        }
        if let Some(limits) = self.limits {
            if limits.order_value_max < seen.value {
                self.violations.push(Violation::TooValuable(seen.clone()));
            }
            if limits.order_qty_max < seen.qty {
                self.violations.push(Violation::TooLarge(seen.clone()));
            }
        }
        if seen.adds_risk && self.latched_at.is_some_and(|latched| latched <= seen.at) {
            self.violations.push(Violation::AfterLatch(seen.clone()));
        }
        self.seen.push(seen);
    }

    /// Every order that arrived, in order.
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// What should not have come.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }
}
