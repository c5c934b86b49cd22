//! Opportunities as one message: edited at most once a minute, begun anew every hour.

use std::collections::VecDeque;

use super::message::Body;
use crate::{
    ledger::audit::Alert,
    unit::{Nanos, UnixMs},
};

/// Between two edits.
const EDIT_EVERY: Nanos = Nanos::secs(60);
/// A message is edited for so long: after that it is far up in the chat.
const NEW_EVERY: Nanos = Nanos::secs(3_600);
/// The newest that are shown.
const LINES_MAX: usize = 12;

/// The edges of the message at hand.
#[derive(Debug, Default)]
pub(super) struct Digest {
    message: Option<i64>,
    began: Nanos,
    since: Option<UnixMs>,
    lines: VecDeque<String>,
    count: u64,
    dirty: bool,
    due: Nanos,
}

impl Digest {
    pub fn add(&mut self, alert: &Alert) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        let number = alert.about.map_or(String::new(), |id| format!("#{id}  "));
        self.lines.push_back(format!("{number}{}\n  {}", alert.headline, alert.figures));
        self.since = self.since.or(Some(alert.at));
        self.count += 1;
        self.dirty = true;
    }

    pub fn is_due(&self, now: Nanos) -> bool {
        self.dirty && self.due <= now
    }

    pub fn due(&self) -> Option<Nanos> {
        self.dirty.then_some(self.due)
    }

    /// What it says now.
    pub fn body(&mut self, unix: UnixMs) -> Body {
        self.dirty = false;
        Body::Edges {
            lines: self.lines.iter().cloned().collect(),
            count: self.count,
            since: self.since.unwrap_or(unix),
        }
    }

    /// The message that it goes into; `None` for a new one.
    pub fn edits(&self, now: Nanos) -> Option<i64> {
        self.message.filter(|_| now.since(self.began) < NEW_EVERY)
    }

    pub fn arrived(&mut self, message: Option<i64>, now: Nanos) {
        self.due = now + EDIT_EVERY;
        let edited = self.edits(now).is_some();
        if !edited {
            self.began = now;
            self.message = message;
        }
        // What comes after an hour begins anew.
        if NEW_EVERY <= now.since(self.began) + EDIT_EVERY {
            self.forget();
        }
    }

    /// The next message is a new one.
    pub fn forget(&mut self) {
        (self.message, self.since, self.count) = (None, None, 0);
        self.lines.clear();
    }

    /// The message that was edited may be gone: the next one is new. What a new one cannot say is left unsaid.
    pub fn refused(&mut self) {
        self.dirty = self.message.take().is_some();
        if !self.dirty {
            self.forget();
        }
    }

    /// It did not arrive.
    pub fn failed(&mut self) {
        self.dirty = true;
    }
}
