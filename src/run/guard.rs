//! The guard: a cold thread with a connection of its own, for the moment in which a hot one hangs.
//!
//! Detector and executor count their turns. One that does not move for a second lets the latch fall; whatever may still
//! stand at a venue is cancelled, order by order, and the process ends so that the next one finds out what happened
//! (fault 70). Once the latch has fallen a quarter of a second is enough to cancel without the executor: cancelling
//! twice does no harm.
//!
//! Only Polymarket's orders may stand, and their names are known before they leave. Kalshi's take at once or are gone:
//! an order there has no name before its answer, cannot be cancelled without one, and need not be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use reqwest::Method;
use rtrb::Consumer;

use super::{
    accounts,
    boot::Endpoints,
    clock,
    ring::Stop,
    stops::{Fallen, Stops},
};
use crate::{
    risk::Latch,
    unit::{Nanos, Tag},
    venue::{polymarket::sign::ApiSigner, rest::Rest},
};

/// Slots of the ring from the executor.
pub const NOTE_SLOTS: usize = 4_096;
/// How often turns are looked at.
const EVERY: Duration = Duration::from_millis(50);
/// A thread that has not moved for this long hangs.
const STALL: Nanos = Nanos::secs(1);
/// The same for cancelling, once the latch has fallen.
const STALL_HALTED: Nanos = Nanos::millis(250);
/// If the guard itself was not run for this long, nobody was: the whole process stood still.
const PAUSED: Nanos = Nanos::millis(500);
/// All cancels together get so long; then the process ends without them.
const CANCELLING: Duration = Duration::from_millis(800);

/// From the executor's thread, before the order's bytes leave, and once it is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Note {
    MayStand(Tag),
    Over(Tag),
}

/// A thread that must not stand still, until it has ended.
#[derive(Debug)]
pub struct Watched {
    pub turns: Arc<AtomicU64>,
    pub ended: Stop,
}

/// How orders are cancelled beside the executor.
pub struct Canceller {
    rest: Rest,
    api: ApiSigner,
}

impl Canceller {
    /// Over Polymarket's REST, with credentials of its own.
    pub fn new(endpoints: &Endpoints, api: ApiSigner) -> anyhow::Result<Self> {
        Ok(Self { rest: accounts::hasty(&endpoints.clob, endpoints)?, api })
    }

    async fn cancel(&self, tag: &Tag) {
        let body = format!("{{\"orderID\":\"{tag}\"}}");
        let sign = |path: &str| accounts::headers(&self.api.sign(clock::unix(), "DELETE", path, &body).pairs());
        if let Err(error) = self.rest.change(Method::DELETE, "/order", body.clone().into_bytes(), sign).await {
            tracing::error!("order {tag} is not cancelled: {error}");
        }
    }
}

/// Everything the guard is made from.
pub struct GuardSetup {
    /// The executor first, where there is one.
    pub watched: Vec<Watched>,
    pub notes: Option<Consumer<Note>>,
    pub canceller: Option<Canceller>,
    pub stops: Stops,
    /// Raised when the process has to end.
    pub stalled: Stop,
}

/// Starts the thread. It ends when all that it watches has.
pub fn start(mut setup: GuardSetup) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("guard".into()).spawn(move || {
        let mut eye = Eye::new(setup.watched.len(), clock::now());
        let mut standing: Vec<Tag> = Vec::new();
        while !setup.watched.iter().all(|watched| watched.ended.raised()) {
            std::thread::park_timeout(EVERY);
            let turns = setup.watched.iter().map(|w| (w.turns.load(Ordering::Relaxed), w.ended.raised()));
            let verdict = eye.look(turns, &setup.stops.fallen, clock::now());
            // Taken in after the look: what left before a thread hung is known by now.
            while let Some(Ok(note)) = setup.notes.as_mut().map(Consumer::pop) {
                match note {
                    Note::MayStand(tag) => standing.push(tag),
                    Note::Over(tag) => standing.retain(|known| *known != tag),
                }
            }
            if verdict == Verdict::Stalled {
                tracing::error!("a thread of the engine has not moved for a second: it is halted and ends");
                if let Err(error) = setup.stops.halt(Latch::Stalled) {
                    tracing::error!("the latch's file cannot be written: {error}");
                }
            }
            if verdict != Verdict::Fine
                && let Some(canceller) = &setup.canceller
            {
                runtime.block_on(async {
                    let all = async {
                        for tag in &standing {
                            canceller.cancel(tag).await;
                        }
                    };
                    let _ = tokio::time::timeout(CANCELLING, all).await;
                });
            }
            if verdict == Verdict::Stalled {
                return setup.stalled.raise();
            }
        }
    })?;
    Ok(thread)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Fine,
    /// The latch has fallen, and nobody else may be there to cancel. Said once a stall.
    Cancel,
    Stalled,
}

/// What was seen of each thread: its turns, since when, and whether its orders were cancelled for it.
struct Eye {
    seen: Vec<(u64, Nanos, bool)>,
    looked: Nanos,
}

impl Eye {
    fn new(threads: usize, now: Nanos) -> Self {
        Self { seen: vec![(0, now, false); threads], looked: now }
    }

    fn look(&mut self, turns: impl Iterator<Item = (u64, bool)>, fallen: &Fallen, now: Nanos) -> Verdict {
        let paused = PAUSED < now.since(self.looked);
        self.looked = now;
        let mut verdict = Verdict::Fine;
        for ((turns, ended), (seen, since, cancelled)) in turns.zip(&mut self.seen) {
            if ended || paused || turns != *seen {
                (*seen, *since, *cancelled) = (turns, now, false);
                continue;
            }
            let still = now.since(*since);
            if STALL < still {
                return Verdict::Stalled;
            }
            if STALL_HALTED < still && fallen.since().is_some() && !std::mem::replace(cancelled, true) {
                verdict = Verdict::Cancel;
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Nanos {
        Nanos::secs(10) + Nanos::millis(ms)
    }

    #[test]
    fn a_second_without_a_turn_is_a_stall_and_a_process_that_stood_still_is_none() {
        let (mut eye, standing) = (Eye::new(2, ms(0)), Fallen::default());
        let mut look =
            |turns: [u64; 2], ended: bool, now| eye.look(turns.map(|t| (t, ended)).into_iter(), &standing, now);
        for tick in 1..40 {
            assert_eq!(look([tick, 3 * tick], false, ms(50 * tick)), Verdict::Fine);
        }
        // Neither moved, but nor did the guard.
        assert_eq!(look([39, 117], false, ms(9_000)), Verdict::Fine);
        for tick in 1..20 {
            assert_eq!(look([40 + tick, 117], false, ms(9_000 + 50 * tick)), Verdict::Fine);
        }
        assert_eq!(look([60, 117], false, ms(10_000)), Verdict::Fine);
        assert_eq!(look([61, 117], false, ms(10_050)), Verdict::Stalled);
        assert_eq!(look([61, 117], true, ms(10_100)), Verdict::Fine, "threads that have ended do not move");
    }

    #[test]
    fn once_the_latch_has_fallen_it_cancels_sooner_and_once() {
        let (mut eye, fallen) = (Eye::new(1, ms(0)), Fallen::default());
        fallen.fall();
        let mut verdicts = Vec::new();
        for tick in 1..=21 {
            verdicts.push(eye.look([(0, false)].into_iter(), &fallen, ms(50 * tick)));
        }
        let at = |wanted| verdicts.iter().position(|verdict| *verdict == wanted);
        assert_eq!((at(Verdict::Cancel), at(Verdict::Stalled)), (Some(5), Some(20)));
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Cancel).count(), 1);
    }
}
