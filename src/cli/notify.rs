//! What the service manager is told: ready, alive, a line of status, reloading, ending. Without one, nobody is told.
//!
//! A ping means that the engine moved, not that a timer did: since the last one the detector's figures passed the keeper,
//! and since the last look the thread that sends orders took its turns, and so did the process's own loop. Whichever of
//! them stands still, the pings end, and the manager ends the process. An engine that a person stopped has nothing to
//! prove.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sd_notify::NotifyState;

use crate::{
    run::{clock, ring::Stop, snapshot::Snapshot},
    unit::{Money, Nanos},
    watch::{
        handles::{Handles, Phase},
        health,
    },
};

/// How often it is looked whether all moved, where nobody asks for pings.
const EVERY: Duration = Duration::from_secs(1);
/// Chances to ping before the manager loses patience.
const CHANCES: u32 = 5;
/// An engine may start or end for so long: catalogues are read, plans are finished.
const GRACE: Nanos = Nanos::secs(120);

/// The process, as its service manager sees it.
pub struct Service {
    beat: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager was not told: {error}");
    }
}

impl Service {
    /// Starts to watch this process's engine.
    pub fn start(handles: Handles, stop: Stop) -> std::io::Result<Self> {
        let service = Self { beat: Arc::default(), ended: Arc::default() };
        let (beat, ended) = (service.beat.clone(), service.ended.clone());
        let watchdog = sd_notify::watchdog_enabled();
        let every = watchdog.map_or(EVERY, |patience| (patience / CHANCES).min(EVERY));
        std::thread::Builder::new().name("notify".into()).spawn(move || {
            let mut pulse = Pulse::default();
            let mut said = String::new();
            while !stop.raised() && !ended.load(Ordering::Acquire) {
                std::thread::park_timeout(every);
                let (status, phase) = (handles.status(), handles.phase());
                let seen = Seen { figures: status.at_ms, turns: handles.turns(), beat: beat.load(Ordering::Relaxed) };
                let alive = health::alive(&status, clock::unix().raw());
                let moved = pulse.look(phase, alive, seen, clock::now());
                if moved && watchdog.is_some() && !ended.load(Ordering::Acquire) {
                    tell(&[NotifyState::Watchdog]);
                }
                let line = line(&status, clock::unix().raw());
                if line != said {
                    tell(&[NotifyState::Status(&line)]);
                    said = line;
                }
            }
        })?;
        Ok(service)
    }

    /// The engine runs.
    #[expect(clippy::unused_self, reason = "only a service that is watched is ever ready")]
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// The process's own loop came round.
    pub fn turn(&self) {
        self.beat.fetch_add(1, Ordering::Relaxed);
    }

    /// Settings are read anew.
    pub fn reload(&self, act: impl FnOnce()) {
        let mut states = vec![NotifyState::Reloading];
        states.extend(NotifyState::monotonic_usec_now());
        tell(&states);
        act();
        self.ready();
    }

    /// The process is about to end: nothing is proved any more.
    pub fn stopping(&self) {
        self.ended.store(true, Ordering::Release);
        tell(&[NotifyState::Stopping]);
    }
}

/// What has to move.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Seen {
    /// When the detector last told its figures, as the keeper wrote it down.
    figures: u64,
    /// Of the thread that sends orders, where there is one.
    turns: Option<u64>,
    /// Of the process's own loop.
    beat: u64,
}

/// What was seen before, and since when the engine is on its way.
#[derive(Debug, Default)]
struct Pulse {
    /// Figures come more seldom than looks, so they are held against the last ping's.
    pinged: u64,
    /// Threads turn far more often: they have to have turned since the last look.
    looked: Seen,
    since: Option<(Phase, Nanos)>,
}

impl Pulse {
    /// Has everything moved?
    fn look(&mut self, phase: Phase, alive: bool, seen: Seen, now: Nanos) -> bool {
        let since = match self.since {
            Some((known, since)) if known == phase => since,
            _ => now,
        };
        self.since = Some((phase, since));
        let looked = std::mem::replace(&mut self.looked, seen);
        let moved = match phase {
            Phase::Running => {
                let sends = match (looked.turns, seen.turns) {
                    (Some(before), Some(turns)) => before != turns,
                    _ => true,
                };
                alive && sends && self.pinged != seen.figures && looked.beat != seen.beat
            }
            Phase::Stopped => looked.beat != seen.beat,
            // The process's loop waits for it.
            Phase::Starting | Phase::Stopping => now.since(since) < GRACE,
        };
        if moved {
            self.pinged = seen.figures;
        }
        moved
    }
}

/// `paper · 2/2 feeds · 31 pairs · P&L +12.40 · ready`.
fn line(status: &Snapshot, now_ms: u64) -> String {
    let up = status.feeds.iter().filter(|feed| 0 < feed.connections_up).count();
    let today = Money::micros(status.realised_today).raw();
    let sign = if today < 0 { '-' } else { '+' };
    let cents = today.unsigned_abs() / 10_000;
    let reasons = health::reasons(status, now_ms);
    let word = match (reasons.first(), status.state.as_str()) {
        (Some(reason), _) => reason.clone(),
        (None, "" | "active") => "ready".into(),
        (None, state) => state.to_owned(),
    };
    format!(
        "{} · {up}/{} feeds · {} pairs · P&L {sign}{}.{:02} · {word}",
        status.mode,
        status.feeds.len(),
        status.pairs,
        cents / 100,
        cents % 100
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::snapshot::FeedStatus;

    fn seen(figures: u64, turns: u64, beat: u64) -> Seen {
        Seen { figures, turns: Some(turns), beat }
    }

    #[test]
    fn whatever_stands_still_ends_the_pings() {
        let at = Nanos::secs(1);
        let pinged = |second: Seen, alive: bool| {
            let mut pulse = Pulse::default();
            assert!(pulse.look(Phase::Running, true, seen(1, 1, 1), at));
            pulse.look(Phase::Running, alive, second, at)
        };
        assert!(pinged(seen(2, 2, 2), true));
        assert!(!pinged(seen(1, 2, 2), true), "the detector, or the keeper");
        assert!(!pinged(seen(2, 1, 2), true), "the executor");
        assert!(!pinged(seen(2, 2, 1), true), "the process's loop");
        assert!(!pinged(seen(2, 2, 2), false), "figures that are old");
        assert!(pinged(Seen { turns: None, ..seen(2, 0, 2) }, true), "on paper nobody sends");
    }

    #[test]
    fn an_engine_that_a_person_stopped_is_no_fault_and_one_that_never_starts_is() {
        let mut pulse = Pulse::default();
        assert!(pulse.look(Phase::Stopped, false, seen(1, 1, 1), Nanos::secs(1)));
        assert!(pulse.look(Phase::Stopped, false, seen(1, 1, 2), Nanos::secs(2)));
        assert!(!pulse.look(Phase::Stopped, false, seen(1, 1, 2), Nanos::secs(3)), "the loop still has to turn");
        for second in 4..120 {
            assert!(pulse.look(Phase::Starting, false, seen(1, 1, 2), Nanos::secs(second)), "{second}");
        }
        assert!(!pulse.look(Phase::Starting, false, seen(1, 1, 2), Nanos::secs(124)));
    }

    #[test]
    fn the_line_says_mode_feeds_pairs_result_and_how_it_stands() {
        let feed = |venue: &str, up| FeedStatus {
            venue: venue.into(),
            connections_up: up,
            heard_ms: 99_000,
            ..FeedStatus::default()
        };
        let well = Snapshot {
            engine: "running".into(),
            mode: "paper".into(),
            state: "active".into(),
            at_ms: 99_500,
            feeds: vec![feed("kalshi", 1), feed("polymarket", 2)],
            pairs: 31,
            realised_today: 12_404_000,
            ..Snapshot::default()
        };
        assert_eq!(line(&well, 100_000), "paper · 2/2 feeds · 31 pairs · P&L +12.40 · ready");
        let lost = Snapshot { realised_today: -50_000, state: "halted".into(), ..well.clone() };
        assert_eq!(line(&lost, 100_000), "paper · 2/2 feeds · 31 pairs · P&L -0.05 · halted");
        let stale = Snapshot { at_ms: 90_000, ..well };
        assert!(line(&stale, 100_000).ends_with("the engine's figures are 10 s old"));
    }
}
