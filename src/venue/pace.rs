//! A venue's request budget as we count it: a bucket of tokens that refills all the time.
//!
//! Our count only keeps us from asking for trouble; the venue's word is its own 429, after which the bucket is empty.

use crate::unit::Nanos;

/// Token-nanoseconds in a token.
const TOKEN: u64 = 1_000_000_000;

/// One bucket. Time comes in as an argument and never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    per_second: u64,
    /// Both in token-nanoseconds.
    capacity: u64,
    held: u64,
    at: Nanos,
}

impl Bucket {
    /// A full bucket: tokens per second, and how many it holds.
    pub const fn new(per_second: u32, capacity: u32) -> Self {
        let capacity = capacity as u64 * TOKEN;
        Self { per_second: per_second as u64, capacity, held: capacity, at: Nanos::ZERO }
    }

    /// Takes `cost` tokens if `keep` of them stay behind. A bucket that refuses loses nothing.
    pub fn take(&mut self, cost: u32, keep: u32, now: Nanos) -> bool {
        self.refill(now);
        let fits = (u64::from(cost) + u64::from(keep)) * TOKEN <= self.held;
        if fits {
            self.held -= u64::from(cost) * TOKEN;
        }
        fits
    }

    /// Takes `cost` tokens, or what is left of them, for what is sent in any case.
    pub fn force(&mut self, cost: u32, now: Nanos) {
        self.refill(now);
        self.held = self.held.saturating_sub(u64::from(cost) * TOKEN);
    }

    /// Whole tokens that are left.
    pub fn left(&mut self, now: Nanos) -> u32 {
        self.refill(now);
        (self.held / TOKEN) as u32
    }

    /// The venue says that nothing is left.
    pub fn drain(&mut self, now: Nanos) {
        self.refill(now);
        self.held = 0;
    }

    /// That many hundredths of its capacity, as tokens.
    pub const fn share(&self, percent: u32) -> u32 {
        (self.capacity / TOKEN * percent as u64 / 100) as u32
    }

    fn refill(&mut self, now: Nanos) {
        let gained = now.since(self.at).raw().saturating_mul(self.per_second);
        self.held = self.held.saturating_add(gained).min(self.capacity);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_refills_by_the_nanosecond_and_keeps_what_it_was_told_to_keep() {
        let mut bucket = Bucket::new(100, 100);
        let at = Nanos::secs(1_000);
        assert_eq!(bucket.share(30), 30);
        for _ in 0..7 {
            assert!(bucket.take(10, 30, at));
        }
        assert!(!bucket.take(10, 30, at), "the reserve is not for this");
        for _ in 0..3 {
            assert!(bucket.take(10, 0, at));
        }
        assert!(!bucket.take(1, 0, at));
        assert!(!bucket.take(10, 0, at + Nanos::new(99_999_999)));
        assert!(bucket.take(10, 0, at + Nanos::millis(100)));
        assert!(!bucket.take(1, 0, at), "time that goes back brings nothing");
        bucket.drain(at + Nanos::secs(60));
        assert!(!bucket.take(1, 0, at + Nanos::secs(60)));
        bucket.force(5, at + Nanos::secs(60));
        assert!(bucket.take(100, 0, at + Nanos::secs(61)), "and no debt is kept");
        assert!(!bucket.take(1, 0, at + Nanos::secs(61)));
    }
}
