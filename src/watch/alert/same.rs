//! The same trouble again: told at once, then after one, two, four … sixty minutes, with the number of times.

use std::collections::HashMap;

use crate::{
    ledger::audit::Alert,
    unit::{AlertKind, Nanos},
};

/// Keys that are known to have been told lately; beyond it nothing new is held back.
const KEYS_MAX: usize = 1_000;
/// The first pause between two of the same, which doubles up to the last one.
const FIRST: Nanos = Nanos::secs(60);
const LAST: Nanos = Nanos::secs(3_600);

/// What was told lately, by kind and key.
#[derive(Debug, Default)]
pub(super) struct Sames(HashMap<(AlertKind, String), Same>);

#[derive(Debug)]
struct Same {
    pause: Nanos,
    until: Nanos,
    /// The newest that was held back, and how many it stands for.
    held: Option<(Alert, u32)>,
}

impl Same {
    fn longer(&mut self, now: Nanos) {
        self.pause = LAST.min(self.pause + self.pause);
        self.until = now + self.pause;
    }
}

impl Sames {
    /// What is to be told now, with how many it stands for; and the one that it stands for from now on.
    pub fn hold(&mut self, alert: Alert, now: Nanos) -> (Option<(Alert, u32)>, Option<Alert>) {
        if alert.key.is_empty() {
            return (Some((alert, 1)), None);
        }
        let id = (alert.kind, alert.key.clone());
        let Some(same) = self.0.get_mut(&id) else {
            if self.0.len() < KEYS_MAX {
                self.0.insert(id, Same { pause: FIRST, until: now + FIRST, held: None });
            }
            return (Some((alert, 1)), None);
        };
        let (folded, count) = match same.held.take() {
            Some((before, count)) => (Some(before), count + 1),
            None => (None, 1),
        };
        if now < same.until {
            same.held = Some((alert, count));
            return (None, folded);
        }
        same.longer(now);
        (Some((alert, count)), folded)
    }

    /// What was held back long enough, with how many it stands for. Keys that were quiet as long again are forgotten.
    pub fn release(&mut self, now: Nanos) -> Vec<(Alert, u32)> {
        let mut free = Vec::new();
        self.0.retain(|_, same| {
            if now < same.until {
                return true;
            }
            let Some(held) = same.held.take() else { return now < same.until + same.pause };
            same.longer(now);
            free.push(held);
            true
        });
        free
    }

    /// When the next one is released.
    pub fn due(&self) -> impl Iterator<Item = Nanos> {
        self.0.values().filter(|same| same.held.is_some()).map(|same| same.until)
    }
}
