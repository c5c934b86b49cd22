//! What an operator is told away from the screen: the kinds of alert, and how loud each one is.

/// A kind of alert. Each has a key of its name in `[telegram]`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AlertKind {
    /// An edge above `telegram.opportunity_min_edge`.
    Opportunity,
    /// Both legs of a plan are filled, or a held pair was sold.
    Execution,
    /// One leg had more than the other, and was closed.
    Unwind,
    /// A market paid.
    Settlement,
    /// A breaker, a kill, a leg that stands alone, a disagreement: repeated until somebody acknowledges it.
    Risk,
    /// A feed, the database, a start after a crash, an account that may not trade.
    Health,
    /// Less cash at a venue than its reserve and one smallest trade.
    BalanceLow,
    /// A market's rules were edited.
    PairChanged,
    /// Something that should not be, and stops nothing.
    Error,
    /// The day's summary.
    Daily,
    Startup,
    Shutdown,
}

/// How an alert arrives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Loudness {
    /// With a sound.
    #[default]
    On,
    /// Without one.
    Silent,
    /// Not at all.
    Off,
}

impl AlertKind {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 12] = [
        Self::Opportunity,
        Self::Execution,
        Self::Unwind,
        Self::Settlement,
        Self::Risk,
        Self::Health,
        Self::BalanceLow,
        Self::PairChanged,
        Self::Error,
        Self::Daily,
        Self::Startup,
        Self::Shutdown,
    ];

    /// The name in settings, in the database and in chat.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opportunity => "opportunity",
            Self::Execution => "execution",
            Self::Unwind => "unwind",
            Self::Settlement => "settlement",
            Self::Risk => "risk",
            Self::Health => "health",
            Self::BalanceLow => "balance_low",
            Self::PairChanged => "pair_changed",
            Self::Error => "error",
            Self::Daily => "daily",
            Self::Startup => "startup",
            Self::Shutdown => "shutdown",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How it arrives where nobody said otherwise.
    pub const fn loudness(self) -> Loudness {
        match self {
            Self::Opportunity | Self::Settlement | Self::Daily | Self::Startup | Self::Shutdown => Loudness::Silent,
            Self::Execution
            | Self::Unwind
            | Self::Risk
            | Self::Health
            | Self::BalanceLow
            | Self::PairChanged
            | Self::Error => Loudness::On,
        }
    }

    /// Does a row of the database follow its delivery? What is folded into a digest, and what a start says of itself,
    /// is not worth one.
    pub const fn is_kept(self) -> bool {
        !matches!(self, Self::Opportunity | Self::Startup | Self::Shutdown)
    }
}
