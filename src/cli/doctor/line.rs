//! One thing that the doctor found, and what it stands against.

use crate::run::mode::Mode;

/// Which starts a finding stands against.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bars {
    /// This mode and every one above it.
    From(Mode),
    /// This mode alone: its own folder is not in order.
    Only(Mode),
}

impl Bars {
    pub fn stops(self, mode: Mode) -> bool {
        match self {
            Self::From(least) => least <= mode,
            Self::Only(one) => one == mode,
        }
    }
}

/// Why something stands in the way, as the exit code tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// Settings, files or keys are not sound: starting again would not help.
    Config,
    /// It would be refused until a person has done something.
    Gate,
    /// It may pass by itself, or the host is to blame.
    Failed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Weight {
    Good,
    /// Neither good nor bad.
    Note,
    Caution,
    Bad(Bars, Why),
}

/// One line of the screen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    pub topic: &'static str,
    pub text: String,
    /// The command, or the act, that mends it.
    pub fix: Option<String>,
    weight: Weight,
}

impl Line {
    const fn new(topic: &'static str, text: String, fix: Option<String>, weight: Weight) -> Self {
        Self { topic, text, fix, weight }
    }

    pub fn good(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, text.into(), None, Weight::Good)
    }

    pub fn note(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, text.into(), None, Weight::Note)
    }

    pub fn caution(topic: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(topic, text.into(), Some(fix.into()), Weight::Caution)
    }

    pub fn bad(topic: &'static str, bars: Bars, why: Why, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(topic, text.into(), Some(fix.into()), Weight::Bad(bars, why))
    }

    /// The same with a hint, which a note has only where there is something to be done.
    pub fn with(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Does it keep this mode from being started, and why?
    pub fn stops(&self, mode: Mode) -> Option<Why> {
        match self.weight {
            Weight::Bad(bars, why) if bars.stops(mode) => Some(why),
            _ => None,
        }
    }

    pub fn is_good(&self) -> bool {
        self.weight == Weight::Good
    }

    /// How it stands with respect to the mode that is to be started: what only a higher one minds is a caution.
    pub fn mark(&self, target: Mode) -> (&'static str, &'static str) {
        match self.weight {
            Weight::Good => ("✔", "ok"),
            Weight::Note => ("–", "note"),
            Weight::Bad(bars, _) if bars.stops(target) => ("✘", "failed"),
            Weight::Caution | Weight::Bad(..) => ("!", "caution"),
        }
    }
}
