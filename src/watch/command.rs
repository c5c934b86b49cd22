//! What may be asked of a running process, and what is answered: by terminal, page, chat and signals alike.

use serde::{Deserialize, Serialize};

use super::keyring::Role;
use crate::{
    run::{mode::Mode, snapshot::Snapshot},
    unit::Money,
};

/// What may be asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    Status,
    Latency,
    /// No new plans.
    Pause,
    /// Nothing that raises risk; what is naked is closed.
    Kill,
    /// The same, and everything held is sold within the configured loss.
    Flatten,
    /// Pause and latch are lifted.
    Resume,
    /// A kill that is measured and lifted again at once. Refused while the engine is paused or halted.
    Drill,
    /// Live orders may leave from here on. Refused while anything stands against it.
    Arm,
    /// No live order is approved any more; what is open is managed on.
    Disarm,
    /// Opportunities are filled, or only shown, until the next start.
    AutoExecute {
        on: bool,
    },
    /// The next start is in a lower mode; a live engine is disarmed at once.
    Demote {
        to: Mode,
    },
    /// Latency histograms into files of the state directory.
    DumpLatency,
    /// Starts an engine in this process.
    Start,
    /// Ends the engine in this process; the process goes on.
    Stop {
        open: Open,
    },
    /// Move cash between two shards of Kalshi's; micro-dollars.
    Transfer {
        from: u8,
        to: u8,
        amount: i64,
    },
    /// A link that signs a browser in, once.
    Link {
        role: Role,
    },
    /// A code that confirms one dangerous act on the page.
    Code,
    /// A token for a program.
    Token {
        role: Role,
    },
}

/// What becomes of open orders when an engine is stopped.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Open {
    /// Plans that are on their way end as they would.
    Finish,
    /// The latch falls first: what stands is cancelled, what is naked is closed. It stays down until `resume`.
    Cancel,
}

impl Request {
    /// The command's name and what it was given, for the audit trail; `None` for questions.
    pub(super) fn ordered(self) -> Option<(&'static str, String)> {
        let plain = |name| Some((name, String::new()));
        match self {
            Self::Status | Self::Latency => None,
            Self::Pause => plain("pause"),
            Self::Kill => plain("kill"),
            Self::Flatten => plain("flatten"),
            Self::Resume => plain("resume"),
            Self::Drill => plain("drill"),
            Self::Arm => plain("arm"),
            Self::Disarm => plain("disarm"),
            Self::AutoExecute { on } => Some(("auto_execute", on.to_string())),
            Self::Demote { to } => Some(("demote", to.name().into())),
            Self::DumpLatency => plain("dump_latency"),
            Self::Start => plain("start"),
            Self::Stop { open: Open::Finish } => Some(("stop", "open plans finish".into())),
            Self::Stop { open: Open::Cancel } => Some(("stop", "open orders are cancelled".into())),
            Self::Transfer { from, to, amount } => {
                Some(("transfer", format!("{} from shard {from} to shard {to}", Money::micros(amount))))
            }
            Self::Link { role } => Some(("link", role.name().into())),
            Self::Code => plain("code"),
            Self::Token { role } => Some(("token", role.name().into())),
        }
    }
}

/// What is answered.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    Status {
        status: Box<Snapshot>,
    },
    Latency {
        table: String,
    },
    Stopped {
        report: Report,
    },
    Done {
        state: String,
    },
    Refused {
        why: String,
    },
    /// A link, a code or a token. Never written down.
    Secret {
        text: String,
    },
}

impl Answer {
    /// In a few words, for the audit trail and the page.
    pub fn result(&self) -> String {
        match self {
            Self::Status { .. } | Self::Latency { .. } => "told".into(),
            Self::Stopped { report } => report.sentence(),
            Self::Done { state } => state.clone(),
            Self::Refused { why } => format!("refused: {why}"),
            Self::Secret { .. } => "given".into(),
        }
    }

    /// Was it done?
    pub const fn is_done(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// What a kill came to, measured where it is done. Times are microseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Report {
    /// From reading the command to the fallen latch.
    pub latched_us: u64,
    /// From the fallen latch to the last entry handed to a connection after it; `None` where there was none.
    pub entry_us: Option<u64>,
    /// The same for the last hedge or cancel.
    pub safety_us: Option<u64>,
    /// Entries that reached the sender and were held back there, since the start.
    pub held_back: u64,
    /// Could the latch's file be written? Without it a restart would not know.
    pub kept: bool,
}

impl Report {
    fn sentence(&self) -> String {
        let after = |at: Option<u64>| at.map_or("none".to_owned(), |us| format!("after {us} µs"));
        let kept = if self.kept { "" } else { "; its file could NOT be written: a restart would not know" };
        format!(
            "halted: the latch fell after {} µs, last entry {}, last hedge or cancel {}{kept}",
            self.latched_us,
            after(self.entry_us),
            after(self.safety_us)
        )
    }
}
