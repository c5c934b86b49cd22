//! What crosses from a feed thread to the detector: one fixed-size value per change of one market.
//!
//! A book of many levels travels as `Reset`, its `Level`s and `Synced`; the book is unfit in between. Prices are on the
//! YES leg, whatever the venue's frames said.

use crate::unit::{BookSide, FeedId, Grid, MarketId, Money, Nanos, Price, Qty, UnixMs};

/// When bytes reached us, on both clocks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Arrival {
    /// The engine's monotonic clock: ages and latencies.
    pub now: Nanos,
    /// The wall clock: to be compared with the venue's stamps, never to measure a span.
    pub unix: UnixMs,
}

/// One change of one market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    pub market: MarketId,
    /// The feed thread that read it.
    pub feed: FeedId,
    /// The connection of that thread, counted from 0.
    pub link: u8,
    pub at: Arrival,
    /// The venue's own time of the change; 0 where the frame carries none.
    pub stamp: UnixMs,
    pub kind: Kind,
}

const _: () = assert!(size_of::<Update>() <= 64, "an update is at most a cache line");

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A snapshot starts: forget every level.
    Reset,
    /// A level holds exactly this much; zero removes it.
    Level { side: BookSide, price: Price, qty: Qty },
    /// A level changes by signed millionths of a contract.
    Change { side: BookSide, price: Price, change: i64 },
    /// The snapshot is complete.
    Synced,
    /// The book may be wrong from here on until the next snapshot.
    Unfit(Doubt),
    /// The market accepts other prices from now on; what the book holds is void until the next snapshot.
    Grid(Grid),
    /// The venue opened, paused or closed the market.
    Trading(Trading),
    /// Trading ends at this time.
    ClosesAt(UnixMs),
    /// The venue paid: this much per YES contract, the rest of a dollar per NO contract.
    Settled { yes_payout: Money },
    /// Something we do not know touched this market: no new entries here for a while.
    Canary(Canary),
    /// The connection shows life: any frame, with the venue's stamp if it had one. `market` is not read.
    Alive,
    /// The connection ended; every book that it carried is unfit. `market` is not read.
    Lost,
}

/// May orders be sent to the market, by its own venue's word?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trading {
    /// Nothing heard yet.
    Unknown,
    Open,
    Paused,
    Closed,
}

/// Why a book is not to be believed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Doubt {
    /// No snapshot yet.
    NeverSynced,
    /// A sequence number is missing.
    Gap,
    /// A change took a level below zero, or above any quantity a venue quotes.
    Impossible,
    /// A frame about this market could not be read.
    Malformed,
    /// Its connection is gone, or silent for too long.
    Disconnected,
    /// The venue's checksum does not fit our copy.
    Checksum,
    /// A look over REST shows another touch.
    Disagrees,
    /// The best bid stayed at or above the best ask.
    Crossed,
    /// The market's grid changed; its next snapshot has not come.
    Regrid,
    /// The grid is finer than the ladder that start-up laid out for this market.
    GridTooFine,
    /// The venue ended the subscription.
    Dropped,
}

impl Doubt {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::NeverSynced,
        Self::Gap,
        Self::Impossible,
        Self::Malformed,
        Self::Disconnected,
        Self::Checksum,
        Self::Disagrees,
        Self::Crossed,
        Self::Regrid,
        Self::GridTooFine,
        Self::Dropped,
    ];
}

/// Something outside what we know. The market is watched on, but nothing new is entered there.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Canary {
    UnknownFrame,
    UnknownField,
    UnknownGrid,
    UnknownEvent,
    FeeChanged,
    RulesChanged,
    ClockNonsense,
    /// A venue refused an order for the market's terms.
    OrderRefused,
}

impl Canary {
    /// All of them, for counters.
    pub const ALL: [Self; 8] = [
        Self::UnknownFrame,
        Self::UnknownField,
        Self::UnknownGrid,
        Self::UnknownEvent,
        Self::FeeChanged,
        Self::RulesChanged,
        Self::ClockNonsense,
        Self::OrderRefused,
    ];

    /// The name in counters and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownFrame => "unknown_frame",
            Self::UnknownField => "unknown_field",
            Self::UnknownGrid => "unknown_grid",
            Self::UnknownEvent => "unknown_event",
            Self::FeeChanged => "fee_changed",
            Self::RulesChanged => "rules_changed",
            Self::ClockNonsense => "clock_nonsense",
            Self::OrderRefused => "order_refused",
        }
    }
}
