//! When a lost connection is dialled again: a back-off that doubles, jitter so that all connections do not come back in
//! the same instant, and never more often than is sane. Plain: the time and the jitter are arguments.

use crate::unit::Nanos;

/// The shortest wait before dialling again.
pub const WAIT_MIN: Nanos = Nanos::millis(250);
/// The longest wait that the back-off asks for.
pub const WAIT_MAX: Nanos = Nanos::secs(30);
/// Connections that one link begins within any minute, at most.
pub const DIALS_PER_MINUTE: usize = 10;

/// One link's past, as far as it decides about its future.
#[derive(Debug)]
pub struct Redial {
    /// The next wait lies between half of this and the whole.
    most: Nanos,
    /// When the last connections were begun; the oldest is overwritten.
    begun: [Option<Nanos>; DIALS_PER_MINUTE],
    dials: usize,
}

impl Default for Redial {
    fn default() -> Self {
        Self { most: first(), begun: [None; DIALS_PER_MINUTE], dials: 0 }
    }
}

/// Half of it is the shortest wait.
const fn first() -> Nanos {
    Nanos::new(2 * WAIT_MIN.raw())
}

/// What becomes of a link that was lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Again {
    /// Not before this.
    pub at: Nanos,
    /// The back-off alone would have dialled more often than [`DIALS_PER_MINUTE`]: the far end takes connections and
    /// drops them, and a person should look at it.
    pub storm: bool,
}

impl Redial {
    /// A connection is begun now. Returns how many were begun before it.
    pub fn begin(&mut self, now: Nanos) -> usize {
        self.begun[self.dials % DIALS_PER_MINUTE] = Some(now);
        self.dials += 1;
        self.dials - 1
    }

    /// The connection brought something of use: the next wait is a short one.
    pub fn heard(&mut self) {
        self.most = first();
    }

    /// The connection was lost, or could not be had. An outage alone is no storm: its waits grow to [`WAIT_MAX`].
    pub fn lost(&mut self, now: Nanos, jitter: &mut fastrand::Rng) -> Again {
        let half = self.most.raw() / 2;
        let at = now + Nanos::new(half + jitter.u64(0..=half));
        self.most = Nanos::new((2 * self.most.raw()).min(WAIT_MAX.raw()));
        let oldest = self.begun[self.dials % DIALS_PER_MINUTE];
        let free = oldest.map_or(Nanos::ZERO, |begun| begun + Nanos::secs(60));
        Again { at: at.max(free), storm: at < free }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dials in seeded order: `lasts` says how long each connection stands, and whether it brings anything.
    fn dials(seed: u64, lasts: impl Fn(&mut fastrand::Rng) -> (Nanos, bool)) -> (Vec<Nanos>, Vec<Nanos>, usize) {
        let (mut redial, mut random) = (Redial::default(), fastrand::Rng::with_seed(seed));
        let (mut now, mut begun, mut waits, mut storms) = (Nanos::secs(1), Vec::new(), Vec::new(), 0);
        while now < Nanos::secs(3_600) {
            redial.begin(now);
            begun.push(now);
            let (stood, heard) = lasts(&mut random);
            if heard {
                redial.heard();
            }
            let lost = now + stood;
            let again = redial.lost(lost, &mut random);
            storms += usize::from(again.storm);
            if !again.storm {
                waits.push(again.at.since(lost));
            }
            now = again.at;
        }
        (begun, waits, storms)
    }

    fn most_in_a_minute(begun: &[Nanos]) -> usize {
        let within =
            |from: usize| begun[from..].iter().take_while(|at| at.since(begun[from]) < Nanos::secs(60)).count();
        (0..begun.len()).map(within).max().unwrap_or(0)
    }

    /// Fault 64.
    #[test]
    fn an_outage_is_waited_out_from_a_quarter_of_a_second_to_half_a_minute_and_is_no_storm() {
        for seed in 0..50 {
            let (begun, waits, storms) = dials(seed, |_| (Nanos::ZERO, false));
            assert_eq!(storms, 0, "seed {seed}");
            assert!(most_in_a_minute(&begun) <= DIALS_PER_MINUTE, "seed {seed}");
            for (at, wait) in waits.iter().enumerate() {
                assert!(WAIT_MIN <= *wait && *wait <= WAIT_MAX, "seed {seed}: wait {at} is {wait:?}");
                let most = Nanos::millis(500 << at.min(6)).min(WAIT_MAX);
                assert!(*wait <= most && most.raw() / 2 <= wait.raw(), "seed {seed}: wait {at} is {wait:?}");
            }
            let spread: std::collections::BTreeSet<u64> = waits[7..].iter().map(|wait| wait.raw()).collect();
            assert!(waits.len() / 2 < spread.len(), "seed {seed}: the waits differ");
        }
    }

    /// Fault 64.
    #[test]
    fn a_far_end_that_takes_and_drops_is_dialled_ten_times_a_minute_and_told_as_a_storm() {
        for seed in 0..50 {
            let (begun, _, storms) = dials(seed, |random| (Nanos::millis(random.u64(0..3_000)), true));
            assert_eq!(most_in_a_minute(&begun), DIALS_PER_MINUTE, "seed {seed}");
            assert!(0 < storms, "seed {seed}");
        }
    }

    #[test]
    fn a_connection_that_lasts_is_dialled_again_at_once() {
        let (_, waits, storms) = dials(7, |_| (Nanos::secs(10), true));
        assert_eq!(storms, 0);
        assert!(waits.iter().all(|wait| WAIT_MIN <= *wait && *wait <= Nanos::millis(500)));
    }
}
