//! When the venue takes no orders, or not all: a restart and the minutes after it, cancel-only, disabled.

use serde_json::json;

use crate::sim::clob::fault::too_early;
use crate::sim::clob::{Answer, ClobDesk};
use crate::unit::UnixMs;

/// How long an engine restart takes, and how long only post-only orders are taken after it.
const RESTART_MS: u64 = 90_000;
const POST_ONLY_MS: u64 = 120_000;
/// The sentence of the post-only minutes.
pub const POST_ONLY: &str = "post-only mode: only post-only orders and cancels are allowed";

/// What works.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    Open,
    /// Nothing that has to do with orders.
    Restarting {
        until: UnixMs,
    },
    /// Post-only orders and cancels.
    PostOnly {
        until: UnixMs,
    },
    /// Cancels.
    CancelOnly,
    /// Reads.
    Disabled,
}

impl ClobDesk {
    /// What works now.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Changes what works.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Restarts the engine as the venue does every Tuesday: a minute and a half of 425, two minutes of post-only.
    pub fn restart(&mut self, now: UnixMs) {
        self.mode = Mode::Restarting { until: UnixMs::new(now.raw() + RESTART_MS) };
    }

    pub(super) fn pass_mode(&mut self, now: UnixMs) {
        if let Mode::Restarting { until } = self.mode
            && until <= now
        {
            self.mode = Mode::PostOnly { until: UnixMs::new(until.raw() + POST_ONLY_MS) };
        }
        if let Mode::PostOnly { until } = self.mode
            && until <= now
        {
            self.mode = Mode::Open;
        }
    }

    /// The answer to a whole call that the mode forbids. What post-only mode thinks of an order is the order's affair.
    pub(super) fn forbidden(&self, cancels: bool, now: UnixMs) -> Option<Answer> {
        match self.mode {
            Mode::Restarting { .. } => Some(too_early(now)),
            Mode::Disabled => {
                Some(Answer::error(503, "Trading is currently disabled. Check polymarket.com for updates", now))
            }
            Mode::CancelOnly if !cancels => Some(Answer::error(
                503,
                "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.",
                now,
            )),
            _ => None,
        }
    }

    /// The answer to a single order in post-only mode.
    pub(super) fn post_only_answer(&self, now: UnixMs) -> Option<Answer> {
        let Mode::PostOnly { until } = self.mode else { return None };
        let secs = until.since(now).div_ceil(1_000).max(1);
        let body = json!({"error": POST_ONLY, "code": "post_only_mode", "retry_after_seconds": secs});
        let mut answer = Answer::new(503, &body, now);
        answer.headers.push(("Retry-After", secs.to_string()));
        Some(answer)
    }
}
