//! The last log lines, for the page. Cold threads alone write log lines.

use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::run::clock;

/// Lines that are kept; older ones are dropped and counted.
const LINES_MAX: usize = 2_000;
/// A longer line is cut.
const LINE_MAX: usize = 2_000;

/// One line.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Line {
    /// Rises by one a line.
    pub id: u64,
    pub at_ms: u64,
    /// trace, debug, info, warn, error.
    pub level: &'static str,
    pub target: String,
    pub text: String,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Line>,
    next: u64,
    dropped: u64,
}

/// Keeps lines. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Logs(Arc<Mutex<Kept>>);

/// The rank of a level by its name: trace is 0, error 4.
pub fn rank(level: &str) -> Option<usize> {
    ["trace", "debug", "info", "warn", "error"].iter().position(|name| *name == level)
}

impl Logs {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest lines of at least this rank, oldest first, and how many were dropped since the start.
    pub fn last(&self, rank_min: usize, count: usize) -> (Vec<Line>, u64) {
        let kept = self.kept();
        let wanted = kept.lines.iter().rev().filter(|line| rank(line.level) >= Some(rank_min)).take(count);
        let mut lines: Vec<_> = wanted.cloned().collect();
        lines.reverse();
        (lines, kept.dropped)
    }

    /// Lines after this one, oldest first, and the number of the newest.
    pub fn since(&self, id: u64) -> (Vec<Line>, u64) {
        let kept = self.kept();
        (kept.lines.iter().filter(|line| id < line.id).cloned().collect(), kept.next)
    }

    fn push(&self, level: &'static str, target: &str, mut text: String) {
        if LINE_MAX < text.len() {
            let cut = (0..=LINE_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(cut);
            text.push('…');
        }
        let mut kept = self.kept();
        kept.next += 1;
        let line = Line { id: kept.next, at_ms: clock::unix().raw(), level, target: target.into(), text };
        if kept.lines.len() == LINES_MAX {
            kept.lines.pop_front();
            kept.dropped += 1;
        }
        kept.lines.push_back(line);
    }
}

impl<S: Subscriber> Layer<S> for Logs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let level = match *event.metadata().level() {
            Level::TRACE => "trace",
            Level::DEBUG => "debug",
            Level::INFO => "info",
            Level::WARN => "warn",
            Level::ERROR => "error",
        };
        self.push(level, event.metadata().target(), text.0);
    }
}

/// The message, and the other fields behind it.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_and_the_others_counted() {
        let logs = Logs::default();
        for number in 0..LINES_MAX + 3 {
            logs.push(if number % 2 == 0 { "info" } else { "warn" }, "orion", format!("line {number}"));
        }
        let (lines, dropped) = logs.last(rank("warn").unwrap(), 2);
        assert_eq!((lines.len(), dropped), (2, 3));
        assert!(lines[0].id < lines[1].id && lines.iter().all(|line| line.level == "warn"));
        let (new, newest) = logs.since(LINES_MAX as u64 + 1);
        assert_eq!((new.len(), newest), (2, LINES_MAX as u64 + 3));
        logs.push("error", "orion", "ü".repeat(LINE_MAX));
        assert!(logs.last(4, 1).0[0].text.len() <= LINE_MAX + 3);
    }
}
