//! What the detector tells the cold side, and what the cold side tells the detector. Fixed size; both cross rings.

use crate::{
    decide::{Quote, Reason},
    risk::{Latch, TradingState},
    spread::{Direction, Terms},
    unit::{FeedId, MarketId, Money, Nanos, Outcome, PairId, Price, Qty, UnixMs, Venue},
    wire::{Canary, Doubt, Trading},
};

/// From the detector to the keeper. A full ring stops new entries, it never drops one of these.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub at: UnixMs,
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A direction's touch crossed, or what is thought of it changed. `None` while its plan is on the way.
    Sighted {
        id: u64,
        pair: PairId,
        direction: Direction,
        quote: Quote,
        reason: Option<Reason>,
        detect_ns: u32,
    },
    /// The touch is no longer crossed.
    Ended {
        id: u64,
    },
    Planned {
        id: u64,
        sighting: u64,
        pair: PairId,
        direction: Direction,
        qty: Qty,
        limits: [Price; 2],
        net: Money,
    },
    Filled {
        plan: u64,
        fill: Fill,
    },
    /// YES and NO of one Kalshi market closed each other: a dollar a contract came back at once.
    Netted {
        market: MarketId,
        qty: Qty,
    },
    /// A plan is over: how much of it stands on both legs, what one leg holds alone, what it made or lost by unwinding.
    PlanEnded {
        id: u64,
        sighting: u64,
        paired: Qty,
        naked: Qty,
        unwound: Money,
        state: Ending,
    },
    Settled {
        market: MarketId,
        yes_payout: Money,
        held: [Qty; 2],
        paid: Money,
        result: Money,
    },
    Doubted {
        market: MarketId,
        doubt: Doubt,
    },
    Canary {
        market: MarketId,
        canary: Canary,
    },
    /// An edge too good to be true: the pair is not traded until a person looked at it and started anew.
    Suspended {
        pair: PairId,
        quote: Quote,
    },
    State {
        state: TradingState,
    },
    Balance {
        venue: Venue,
        shard: u8,
        cash: Money,
        reserved: Money,
    },
    Stats {
        stats: Stats,
    },
}

/// How a plan ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// Equal shares on both legs, all that was wanted.
    Filled,
    /// Equal shares on both legs, less than was wanted.
    Partial,
    /// Nothing was filled.
    Missed,
    /// What one leg had too much was sold.
    Unwound,
    /// One leg holds something alone that could not be sold.
    Naked,
}

impl Ending {
    /// The word in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Partial => "partial",
            Self::Missed => "missed",
            Self::Unwound => "unwound",
            Self::Naked => "naked",
        }
    }
}

/// One level's worth of one order.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    pub market: MarketId,
    pub venue: Venue,
    pub outcome: Outcome,
    /// Bought, or sold to unwind.
    pub bought: bool,
    /// Per contract of `outcome`.
    pub price: Price,
    pub qty: Qty,
    pub fee: Money,
    /// The venue's stamp of the newest change in the book that was filled against; 0 after a snapshot without one.
    pub book_stamp: UnixMs,
    /// When that book last moved, by our wall clock.
    pub book_seen: UnixMs,
    /// Against a book read by polling: never evidence.
    pub polled: bool,
}

/// The detector's counters, about once a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    pub updates: u64,
    pub sightings: u64,
    pub plans: u64,
    pub positions: u32,
    pub books: u32,
    pub fit: [u32; 2],
    pub realised_today: Money,
    pub naked: Money,
}

/// From the cold side to the detector.
#[derive(Clone, Copy, Debug)]
pub enum Control {
    /// The catalogue was read anew.
    Terms {
        market: MarketId,
        terms: Terms,
    },
    /// The pair may, or may not, be traded.
    Bar {
        pair: PairId,
        reason: Option<Reason>,
    },
    /// A look over REST that began at `began` saw this touch.
    Look {
        market: MarketId,
        began: Nanos,
        bid: Option<(Price, Qty)>,
        ask: Option<(Price, Qty)>,
    },
    Trading {
        market: MarketId,
        trading: Trading,
    },
    Settled {
        market: MarketId,
        yes_payout: Money,
    },
    /// The second copy does not fit the venue's checksum.
    Checksum {
        market: MarketId,
    },
    Halt {
        latch: Latch,
    },
}

/// From the detector to a feed thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resnapshot {
    pub feed: FeedId,
    pub link: u8,
    pub market: MarketId,
}
