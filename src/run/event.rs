//! What the hot side tells the cold side and what it is told, and what detector and executor tell one another. Fixed size;
//! all of it may cross rings.

use crate::{
    decide::{Quote, Reason},
    order::{
        Ask, Impossible,
        plan::{Ending, Excess, Offers},
    },
    risk::{Approved, Latch, TradingState},
    spread::{Direction, Legs, Terms},
    unit::{FeedId, MarketId, Money, Nanos, OrderId, Outcome, PairId, Price, Qty, Tag, UnixMs, Venue},
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
    /// A provisional fill is final now.
    Confirmed {
        plan: u64,
        fill: Fill,
    },
    /// A provisional fill failed on its venue's side: it never was.
    Voided {
        plan: u64,
        fill: Fill,
    },
    /// What a market's holding is now, by outcome.
    Holding {
        market: MarketId,
        qty: [Qty; 2],
        cost: [Money; 2],
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
    /// What a venue told of an order cannot be: its plan is frozen, and the latch falls.
    Impossible {
        plan: u64,
        order: OrderId,
        why: Impossible,
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

/// One level's worth of one order.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// The venue's name for the trade.
    pub trade: Tag,
    pub market: MarketId,
    pub venue: Venue,
    pub outcome: Outcome,
    /// Bought, or sold to unwind.
    pub bought: bool,
    /// Per contract of `outcome`.
    pub price: Price,
    pub qty: Qty,
    pub fee: Money,
    /// Matched, but not final.
    pub provisional: bool,
    /// On paper, the venue's stamp of the newest change in the book that was filled against; 0 after a snapshot without one.
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

/// From the detector to the executor.
#[derive(Debug)]
pub enum Ready {
    /// Risk let this pass, and its money is promised.
    Enter(Entry),
    /// What closing a plan's excess would cost now.
    Offers { plan: u64, excess: Excess, offers: Offers },
    /// A market pays.
    Settled { market: MarketId, yes_payout: Money },
    /// The latch has fallen: plans end, nothing is entered.
    Halted { latch: Latch },
}

/// A plan to open.
#[derive(Debug)]
pub struct Entry {
    pub plan: u64,
    pub sighting: u64,
    pub approved: Approved,
    /// What was promised on each venue.
    pub reserved: [Money; 2],
}

/// From the executor to the detector.
#[derive(Clone, Copy, Debug)]
pub enum Word {
    /// An order for the paper exchange.
    Paper { ask: Ask },
    /// What would closing this excess cost?
    Price { plan: u64, legs: Legs, excess: Excess },
    /// A market's holding, cash and result moved.
    Booked { market: MarketId, held: [Qty; 2], cash: Money, exposure: Money, realised: Money },
    /// What was promised to a plan's leg is spent, or no longer needed.
    Released { pair: PairId, venue: Venue, amount: Money },
    /// A plan is over.
    PlanEnded { pair: PairId },
    /// What stands alone on one leg, over all plans, at cost.
    Naked { value: Money },
    /// Something happened that stops trading.
    Halt { latch: Latch },
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
