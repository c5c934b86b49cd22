//! How much a caller may ask: sliding windows per address, whose excess waits, and a bucket per signer, whose excess is
//! so far only warned of.

use std::collections::{BTreeMap, VecDeque};

use crate::unit::UnixMs;

/// A window's length, and the longer one of trading calls.
const SHORT_MS: u64 = 10_000;
const LONG_MS: u64 = 600_000;
/// Tokens a second and at most, of an ordinary signer: orders, then cancels.
const STANDARD: [(i64, i64); 2] = [(40, 60), (80, 120)];

/// Calls of one group in the last ten seconds and, for trading calls, ten minutes.
#[derive(Debug, Default)]
pub struct Windows(BTreeMap<&'static str, VecDeque<UnixMs>>);

/// A call's group, and how many of it fit into ten seconds and ten minutes.
fn group(method: &str, path: &str) -> (&'static str, usize, Option<usize>) {
    match (method, path) {
        ("POST", "/order") => ("POST /order", 5_000, Some(120_000)),
        ("DELETE", "/order") => ("DELETE /order", 5_000, Some(120_000)),
        ("POST", "/orders") => ("POST /orders", 2_000, Some(21_000)),
        ("DELETE", "/orders") => ("DELETE /orders", 2_000, Some(15_000)),
        ("DELETE", "/cancel-all") => ("/cancel-all", 250, Some(6_000)),
        ("DELETE", "/cancel-market-orders") => ("/cancel-market-orders", 1_500, Some(21_000)),
        (_, "/data/orders") => ("/data/orders", 500, None),
        (_, "/data/trades") => ("/data/trades", 500, None),
        (_, "/balance-allowance") => ("/balance-allowance", 200, None),
        (_, "/balance-allowance/update") => ("/balance-allowance/update", 50, None),
        (_, "/notifications") => ("/notifications", 125, None),
        (_, "/submit") => ("/submit", 4, None),
        (_, path) if path.starts_with("/auth/") => ("/auth", 100, None),
        (_, path) if path.starts_with("/v2/") => ("/v2", 200, None),
        _ => ("general", 9_000, None),
    }
}

impl Windows {
    /// How long this call has to wait until there is room for it.
    pub fn delay(&mut self, method: &str, path: &str, now: UnixMs) -> u64 {
        let (name, short, long) = group(method, path);
        let calls = self.0.entry(name).or_default();
        let kept_ms = if long.is_some() { LONG_MS } else { SHORT_MS };
        while calls.front().is_some_and(|&at| kept_ms <= now.since(at)) {
            calls.pop_front();
        }
        let wait = |most: usize, window_ms: u64| {
            let first = calls.len().checked_sub(most).and_then(|at| calls.get(at));
            first.map_or(0, |&at| (at.raw() + window_ms).saturating_sub(now.raw()))
        };
        let delay_ms = wait(short, SHORT_MS).max(long.map_or(0, |most| wait(most, LONG_MS)));
        calls.push_back(UnixMs::new(now.raw() + delay_ms));
        delay_ms
    }
}

/// What a signer's call is charged to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Charged {
    Orders,
    Cancels,
}

/// One signer's buckets.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    /// Thousandths of a token, and when that was; nothing yet is a full bucket.
    left: [Option<(i64, UnixMs)>; 2],
}

/// What a bucket says to a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Charge {
    pub fits: bool,
    /// Whole tokens left.
    pub remaining: i64,
    /// Unix seconds at which the bucket is full again.
    pub reset: u64,
}

impl Buckets {
    /// Takes `cost` tokens, or nothing if they are not there.
    pub fn charge(&mut self, what: Charged, cost: usize, now: UnixMs) -> Charge {
        let (rate, burst) = STANDARD[what as usize];
        let full = burst * 1_000;
        let (left, at) = self.left[what as usize].unwrap_or((full, now));
        let grown = i64::try_from(now.since(at)).unwrap_or(i64::MAX).saturating_mul(rate);
        let left = left.saturating_add(grown).min(full);
        let price = i64::try_from(cost).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000);
        let fits = price <= left;
        let left = if fits { left - price } else { left };
        self.left[what as usize] = Some((left, now));
        let secs = u64::try_from(full - left).unwrap_or(0).div_ceil(rate.unsigned_abs() * 1_000);
        Charge { fits, remaining: left / 1_000, reset: now.raw() / 1_000 + secs }
    }
}

impl Charge {
    /// The headers of an answer; the warning says what would have been refused.
    pub fn headers(self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("Poly-RateLimit-Remaining", self.remaining.to_string()),
            ("Poly-RateLimit-Reset", self.reset.to_string()),
            ("Poly-RateLimit-Tier", String::from("standard")),
        ];
        if !self.fits {
            headers.push(("Poly-RateLimit-Warning", String::from("rate limit exceeded")));
        }
        headers
    }
}
