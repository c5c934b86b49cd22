//! A request budget as a token bucket: so many a second, so many at once.

use crate::unit::Nanos;

/// One token, in the unit that a nanosecond at one token a second brings.
const TOKEN: u64 = 1_000_000_000;

/// A bucket that fills steadily and is full at first.
#[derive(Clone, Debug)]
pub struct Bucket {
    per_second: u32,
    full: u64,
    left: u64,
    at: Nanos,
}

impl Bucket {
    /// Room for `capacity` tokens, with `per_second` new ones each second.
    pub const fn new(per_second: u32, capacity: u32) -> Self {
        let full = capacity as u64 * TOKEN;
        Self { per_second, full, left: full, at: Nanos::ZERO }
    }

    /// Takes `cost` tokens if that leaves `keep` for those who matter more; else nothing.
    pub fn take(&mut self, cost: u32, keep: u32, now: Nanos) -> bool {
        self.fill(now);
        let [cost, keep] = [cost, keep].map(|tokens| u64::from(tokens) * TOKEN);
        let fits = cost.saturating_add(keep) <= self.left;
        if fits {
            self.left -= cost;
        }
        fits
    }

    /// The venue says that too much was asked: starts anew from nothing.
    pub fn drain(&mut self, now: Nanos) {
        self.fill(now);
        self.left = 0;
    }

    fn fill(&mut self, now: Nanos) {
        let grown = now.since(self.at).raw().saturating_mul(u64::from(self.per_second));
        self.left = self.left.saturating_add(grown).min(self.full);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_kept_and_time_brings_the_rest_back() {
        let mut bucket = Bucket::new(10, 20);
        let start = Nanos::secs(1_000);
        assert!((0..15).all(|_| bucket.take(1, 5, start)));
        assert!(!bucket.take(1, 5, start), "five are kept");
        assert!(bucket.take(5, 0, start), "for those who matter more");
        assert!(!bucket.take(1, 0, start + Nanos::millis(99)));
        assert!(bucket.take(1, 0, start + Nanos::millis(100)));
        assert!(!bucket.take(21, 0, start + Nanos::secs(60)), "never more than it holds");
        bucket.drain(start + Nanos::secs(60));
        assert!(!bucket.take(1, 0, start + Nanos::secs(60)));
        assert!(bucket.take(10, 0, start + Nanos::secs(61)));
        assert!(!bucket.take(1, 0, start), "a clock that steps back brings nothing");
    }
}
