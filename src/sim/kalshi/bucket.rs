//! Request budgets: a bucket of tokens that refills by the millisecond, its size and speed by the account's tier.
//!
//! A refused request takes nothing and costs nothing else; the next one passes as soon as the bucket covers it.

use serde_json::{Value, json};

use crate::unit::UnixMs;

/// What most requests cost.
pub const DEFAULT_COST: u32 = 10;
/// Requests that cost something else: method, path, tokens.
pub const COSTS: [(&str, &str, u32); 3] = [
    ("DELETE", "/trade-api/v2/portfolio/events/orders/:order_id", 2),
    ("DELETE", "/trade-api/v2/portfolio/events/orders/batched", 2),
    ("GET", "/trade-api/v2/portfolio/orders/:order_id", 2),
];

/// What an account may do in a second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tier {
    Basic,
    Advanced,
    Expert,
    Premier,
    Paragon,
    Prime,
    Prestige,
}

impl Tier {
    /// The name in `usage_tier`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Advanced => "advanced",
            Self::Expert => "expert",
            Self::Premier => "premier",
            Self::Paragon => "paragon",
            Self::Prime => "prime",
            Self::Prestige => "prestige",
        }
    }

    /// Refill per second and capacity, for reads.
    pub const fn read(self) -> (u32, u32) {
        match self {
            Self::Basic => (200, 400),
            Self::Advanced => (300, 600),
            Self::Expert => (600, 600),
            Self::Premier => (1_000, 1_000),
            Self::Paragon => (2_000, 2_000),
            Self::Prime => (4_000, 4_000),
            Self::Prestige => (10_000, 10_000),
        }
    }

    /// Refill per second and capacity, for writes.
    pub const fn write(self) -> (u32, u32) {
        match self {
            Self::Basic => (100, 100),
            Self::Advanced => (300, 600),
            Self::Expert => (600, 1_200),
            Self::Premier => (1_000, 2_000),
            Self::Paragon => (2_000, 4_000),
            Self::Prime => (4_000, 8_000),
            Self::Prestige => (8_000, 16_000),
        }
    }

    /// Balance reads in a second, which have a bucket of their own.
    pub const fn balance(self) -> u32 {
        match self {
            Self::Basic | Self::Advanced => 1,
            _ => 5,
        }
    }
}

/// One bucket, in thousandths of a token.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    refill: u64,
    capacity: u64,
    held: u64,
    at: UnixMs,
}

impl Bucket {
    /// A full bucket: tokens per second, and how many it holds.
    pub const fn new((refill, capacity): (u32, u32)) -> Self {
        let capacity = capacity as u64 * 1_000;
        Self { refill: refill as u64, capacity, held: capacity, at: UnixMs::new(0) }
    }

    /// Would it cover the cost now?
    pub fn covers(&mut self, cost: u32, now: UnixMs) -> bool {
        self.held = (self.held + now.since(self.at).saturating_mul(self.refill)).min(self.capacity);
        self.at = self.at.max(now);
        u64::from(cost) * 1_000 <= self.held
    }

    /// Takes the cost out; the bucket covers it.
    pub const fn take(&mut self, cost: u32) {
        self.held = self.held.saturating_sub(cost as u64 * 1_000);
    }
}

/// The body of `GET /account/endpoint_costs`.
pub fn endpoint_costs() -> Value {
    let costs: Vec<Value> =
        COSTS.iter().map(|(method, path, cost)| json!({"method": method, "path": path, "cost": cost})).collect();
    json!({"default_cost": DEFAULT_COST, "endpoint_costs": costs})
}

/// The body of `GET /account/limits`.
pub fn limits(tier: Tier) -> Value {
    let bucket = |(refill, capacity): (u32, u32)| json!({"refill_rate": refill, "bucket_capacity": capacity});
    json!({"usage_tier": tier.name(), "read": bucket(tier.read()), "write": bucket(tier.write()), "grants": []})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_request_takes_nothing_and_waits_only_for_its_own_cost() {
        let mut bucket = Bucket::new(Tier::Basic.write());
        let at = UnixMs::new(1_000_000);
        for _ in 0..10 {
            assert!(bucket.covers(10, at));
            bucket.take(10);
        }
        assert!(!bucket.covers(10, at));
        assert!(!bucket.covers(10, UnixMs::new(1_000_099)));
        assert!(bucket.covers(10, UnixMs::new(1_000_100)), "ten tokens in a hundred milliseconds");
    }
}
