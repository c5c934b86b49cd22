//! Active, Paused, Halted: one latch, and who may move it.
//!
//! The latch only falls by itself; releasing it is a person's act. It is kept outside (a file in the state directory),
//! read at start and written before anything else happens, so it survives a restart.

use crate::unit::Refusal;

/// May new risk be taken?
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TradingState {
    #[default]
    Active,
    /// No new plans; what is open is managed on.
    Paused,
    /// No new risk until a person releases the latch.
    Halted(Latch),
}

/// What made the latch fall.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Latch {
    /// The day's loss reached its limit.
    DailyLoss,
    /// The realised result fell too far from its highest point.
    Drawdown,
    /// Too many of a venue's last orders were refused or in doubt.
    Errors,
    /// A reconnect storm: the venue cannot be held.
    ReconnectStorm,
    /// It was found fallen at start.
    FoundAtStart,
    /// The journal could not be written.
    Journal,
    /// Something happened that cannot: an overfill, a fill of a refused order, a trade that changed.
    Impossible,
    /// One leg stands alone and could not be closed.
    Naked,
    /// An order was refused in a way that needs a person.
    Refused(Refusal),
    /// Too many orders in a row were refused.
    Refusals,
    /// What the venues hold is not what we hold.
    Disagrees,
    /// A venue's switch for entries was thrown there.
    Group,
    /// A person said so.
    Person,
    /// A thread that has to move all the time did not.
    Stalled,
    /// The run before ended without a farewell.
    Crashed,
}

impl Latch {
    /// The name in the latch file, on screens and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DailyLoss => "daily loss limit reached",
            Self::Drawdown => "drawdown limit reached",
            Self::Errors => "too many of a venue's last orders were refused or in doubt",
            Self::ReconnectStorm => "reconnect storm",
            Self::FoundAtStart => "latch found fallen at start",
            Self::Journal => "the journal cannot be written",
            Self::Impossible => "a venue reported what cannot be",
            Self::Naked => "a leg stands alone and could not be closed",
            Self::Refused(_) => "an order was refused in a way that needs a person",
            Self::Refusals => "too many orders in a row were refused",
            Self::Disagrees => "what the venues hold is not what the engine holds",
            Self::Group => "a venue's order group has triggered",
            Self::Person => "halted by a person",
            Self::Stalled => "a thread of the engine did not move",
            Self::Crashed => "the run before ended without a farewell",
        }
    }
}

impl TradingState {
    /// The latch falls; a latch that has fallen keeps its first reason.
    pub fn halt(&mut self, latch: Latch) {
        if !matches!(self, Self::Halted(_)) {
            *self = Self::Halted(latch);
        }
    }

    /// A person pauses. What has fallen is more than a pause.
    pub fn pause(&mut self) {
        if *self == Self::Active {
            *self = Self::Paused;
        }
    }

    /// A person lifts pause and latch.
    pub fn resume(&mut self) {
        *self = Self::Active;
    }

    /// The word on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Halted(_) => "halted",
        }
    }
}
