//! What the hot side tells the cold side and what it is told, and what detector and executor tell one another. Fixed
//! size; all of it may cross rings.

use super::reconcile::Difference;
use crate::{
    decide::{Quote, Reason, Rules},
    order::{
        Ask, Impossible,
        plan::{Came, Ending, Excess, First, Offers},
    },
    risk::{Approved, Evidence, Latch, TradingState},
    spread::{Direction, Legs, Rate, Terms},
    unit::{BookSide, FeedId, MarketId, Money, Nanos, OrderId, Outcome, PairId, Price, Qty, Tag, Told, UnixMs, Venue},
    venue::gateway::Unready,
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
    /// Where the time went between the bytes and the first judgement of a sighting.
    Passed {
        id: u64,
        passage: Passage,
    },
    /// One side of a book as a sighting was judged, or its plan begun.
    Depth {
        id: u64,
        venue: Venue,
        side: BookSide,
        levels: [(u16, Qty); DEPTH],
    },
    /// An entry's orders came this far, so long after the decision.
    Stepped {
        id: u64,
        step: PlanStep,
        span: Nanos,
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
    /// A plan is begun with less than was decided: as much as an order that was signed ahead.
    Cut {
        plan: u64,
        qty: Qty,
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
    /// A held pair, or a leg that stands alone, is to be sold. `held` is the direction of what is held, `limits` are
    /// the worst prices on each YES book, and `loss` is what that realises at worst.
    Leaving {
        id: u64,
        pair: PairId,
        held: Direction,
        qty: Qty,
        limits: [Option<Price>; 2],
        loss: Money,
    },
    /// How far everything held is sold.
    Flatten {
        state: FlattenState,
    },
    /// What a market's holding is now, by outcome.
    Holding {
        market: MarketId,
        qty: [Qty; 2],
        cost: [Money; 2],
    },
    /// YES and NO of one Polymarket market are to be put together: for whoever sends the transaction.
    Merging {
        market: MarketId,
        qty: Qty,
    },
    /// They were, as the wallet shows; or the transaction is dead.
    Merged {
        market: MarketId,
        qty: Qty,
        done: bool,
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
    /// A plan that risk let pass was not begun: nothing of it left.
    Withheld {
        plan: u64,
        why: Withheld,
    },
    /// A venue told of an order that no plan of ours has: somebody else trades this account, or, where it has a number
    /// of ours, an earlier start sent it.
    Stranger {
        venue: Venue,
        order: Option<OrderId>,
        told: Told,
    },
    /// A venue has an order of ours whose record the journal lost, as after a power cut: a ticket that was sent.
    Lost {
        venue: Venue,
        order: OrderId,
        told: Told,
    },
    /// A venue's account may not agree with the journal on this market: its listing is to be read anew.
    Suspect {
        market: MarketId,
    },
    /// A venue's account and the journal do not agree.
    Differs {
        venue: Venue,
        difference: Difference,
    },
    /// On a person's word the venue's holding of a market was taken for ours.
    Adopted {
        market: MarketId,
        before: [Qty; 2],
        held: [Qty; 2],
    },
    /// Were both venues' accounts read, and do they agree with the journal?
    Agrees {
        clean: bool,
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
    /// A fee that was charged does not fit the schedule: the market's pairs are not traded until a person looked at it
    /// and started anew.
    FeeOff {
        market: MarketId,
        charged: Money,
        predicted: Money,
    },
    /// A pair whose plans end with one leg closed again and again: it is not traded until a person looked at it and
    /// started anew.
    Looped {
        pair: PairId,
    },
    /// The catalogue bars a pair, or frees it.
    Barred {
        pair: PairId,
        reason: Option<Reason>,
    },
    /// An edge too good to be true: the pair is not traded until a person looked at it and started anew.
    Suspended {
        pair: PairId,
        quote: Quote,
    },
    State {
        state: TradingState,
    },
    /// Opportunities are filled from here on, or only shown.
    AutoExecute {
        on: bool,
    },
    /// A person has armed live trading, or disarmed it.
    Armed {
        armed: bool,
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

/// Levels of a book that are told with a decision.
pub const DEPTH: usize = 5;

/// The spans of the update that brought a sighting, as far as they were measured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Passage {
    /// When its bytes had been read.
    pub arrived: Nanos,
    /// Frame and message read: when it was handed to the detector.
    pub sent: Nanos,
    /// When the detector took it.
    pub taken: Nanos,
    /// When its batch was in the books.
    pub applied: Nanos,
    /// How long the judgement of everything touched took.
    pub decide: Nanos,
}

/// How far an entry's orders came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlanStep {
    /// Signed, on record, and handed to their connections.
    Sent,
    /// The venue took one.
    Acked,
    /// One was filled.
    Filled,
}

/// Why an entry that risk let pass was not begun. Nothing of it left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Withheld {
    /// The latch had fallen meanwhile.
    Halted,
    /// Positions and orders are being compared with the venues, or do not agree.
    Unclear,
    /// The journal has no room for entries, or cannot be written.
    Journal,
    /// Every order number of this start is used.
    Numbers,
    /// Too much is matched and not final.
    Provisional,
    /// YES and NO of one of the markets are being put together.
    Merging,
    /// The venue's gateway cannot send it.
    Unready(Venue, Unready),
    /// Less is held and final than was to be sold, or another plan is on its way there.
    NotHeld,
}

/// How far everything held is sold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FlattenState {
    /// Markets of which something is held still.
    pub left: u32,
    /// What selling has realised so far below what was paid for it, and what it may.
    pub lost: Money,
    pub most: Money,
    pub why: FlattenWait,
}

/// Why something is held still.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FlattenWait {
    /// Nothing is.
    #[default]
    Flat,
    /// Plans are on their way, trades are not final, or a venue takes no orders just now.
    Selling,
    /// Nobody bids for the rest, its books cannot be relied on, or it is less than an order.
    NoBid,
    /// What is left would lose more than the budget.
    Budget,
    /// Positions are not found to agree with the venues: what is not surely there is not sold.
    Disagrees,
}

impl FlattenState {
    /// One sentence for screens and the ledger.
    pub fn sentence(&self) -> String {
        let Self { left, lost, most, why } = self;
        let so_far = format!("{lost} of {most} lost");
        match why {
            FlattenWait::Flat => format!("nothing is held any more; {so_far}"),
            FlattenWait::Selling => format!("{left} markets are being sold; {so_far}"),
            FlattenWait::NoBid => {
                format!("{left} markets are held still, and nobody bids for an order's worth; {so_far}")
            }
            FlattenWait::Budget => {
                format!("{left} markets are held still: selling them would pass risk.max_flatten_loss; {so_far}")
            }
            FlattenWait::Disagrees => {
                format!("{left} markets are held still: positions do not agree with the venues; {so_far}")
            }
        }
    }
}

impl Withheld {
    /// One sentence for the ledger.
    pub fn sentence(self) -> String {
        match self {
            Self::Halted => "the latch had fallen".into(),
            Self::Unclear => "positions and orders were not yet found to agree with the venues".into(),
            Self::Journal => "the journal had no room for entries or could not be written".into(),
            Self::Numbers => "every order number of this start is used: restart the engine".into(),
            Self::Provisional => "more than risk.provisional_usd_max would be matched and not final".into(),
            Self::Merging => "YES and NO of the market were being put together".into(),
            Self::Unready(venue, why) => format!("{venue}: {why}"),
            Self::NotHeld => "less was held and final than was to be sold, or another plan was on its way there".into(),
        }
    }
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
    /// On paper, the venue's stamp of the newest change in the book that was filled against; 0 after a snapshot without
    /// one.
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
    /// Since when something stands alone on one leg, if it does, and for how long something has since the start.
    pub naked_since: Option<UnixMs>,
    pub naked_span: Nanos,
    /// What selling everything held would lose against what it cost, as the books stand; and markets that nobody bids
    /// for.
    pub flatten_loss: Money,
    pub unsellable: u32,
}

/// From the detector to the executor.
#[derive(Debug)]
pub enum Ready {
    /// Risk let this pass, and its money is promised.
    Enter(Entry),
    /// Sell a held pair, or a leg that stands alone.
    Leave(Leave),
    /// What closing a plan's excess would cost now.
    Offers { plan: u64, excess: Excess, offers: Offers },
    /// A market pays.
    Settled { market: MarketId, yes_payout: Money },
    /// Tickets that may soon be needed; `None` where none are any more.
    Wish { pair: PairId, direction: Direction, wish: Option<Wish> },
    /// A market's tick, smallest order, fee or contract is another one from here on: what was signed before is thrown
    /// away.
    Terms { market: MarketId, terms: Terms },
    /// The latch has fallen: plans end, nothing is entered.
    Halted { latch: Latch },
    /// A person has lifted it.
    Resumed,
}

/// A plan to open.
#[derive(Debug)]
pub struct Entry {
    pub plan: u64,
    pub sighting: u64,
    pub approved: Approved,
    /// When it was decided, on the engine's clock.
    pub decided: Nanos,
    /// Which of its orders leaves first.
    pub first: First,
    /// What was promised on each venue.
    pub reserved: [Money; 2],
    /// What a contract has to bring after all fees with both legs at their limits, where less than all of it is sent.
    pub floor: Rate,
}

/// Sizes of tickets at one limit.
pub const SIZES: usize = 2;

/// Where tickets may soon be needed: buys on Polymarket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wish {
    pub market: MarketId,
    pub outcome: Outcome,
    /// What a contract costs at the touch.
    pub touch: Price,
    /// One tick, in price units.
    pub tick: u16,
    /// The larger one first; zero where there is none.
    pub sizes: [Qty; SIZES],
}

/// What is held and to be sold.
#[derive(Clone, Copy, Debug)]
pub struct Leave {
    pub plan: u64,
    pub pair: PairId,
    /// The other direction's: what is held is sold by taking what this one would buy.
    pub legs: Legs,
    pub qty: Qty,
    /// The worst price of the outcome held, on the venues where it is sold.
    pub limits: [Option<Price>; 2],
    pub first: First,
    /// By a person's word, whatever the latch says.
    pub flatten: bool,
}

/// From the executor to the detector.
#[derive(Clone, Copy, Debug)]
pub enum Word {
    /// An order for the paper exchange.
    Paper { ask: Ask },
    /// What would closing this excess cost?
    Price { plan: u64, legs: Legs, excess: Excess },
    /// A market's holding, cash and result moved; `paid` by its settlement.
    Booked {
        market: MarketId,
        held: [Qty; 2],
        cost: [Money; 2],
        cash: Money,
        exposure: Money,
        realised: Money,
        paid: bool,
    },
    /// What an account has, as its venue says; `exact` where nothing was on its way there.
    Cash { venue: Venue, shard: u8, amount: Money, exact: bool },
    /// What was promised to a plan's leg is spent, or no longer needed.
    Released { pair: PairId, venue: Venue, amount: Money },
    /// A plan is over; `closed` where one leg had to be closed again, or could not be. `realised` is what its trades
    /// did.
    PlanEnded { pair: PairId, closed: bool, came: Came, evidence: Evidence, realised: Money },
    /// What stands alone on one leg, over all plans, at cost.
    Naked { value: Money },
    /// Something happened that stops trading.
    Halt { latch: Latch },
    /// An order was refused for its terms: no entries on this market until they were read anew.
    Doubtful { market: MarketId },
    /// A venue takes no orders that take, or takes them too slowly: no entries at all for this long.
    Shut { venue: Venue, span: Nanos },
    /// Were both venues' accounts read, and do they agree with the journal?
    Agrees { clean: bool },
    /// A fee that was charged on this market does not fit its schedule.
    FeeOff { market: MarketId },
    /// Somebody else holds something of this market in our account, or does not any more.
    Foreign { market: MarketId, found: bool },
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
    /// May this account open anything on this venue?
    Eligible {
        venue: Venue,
        eligible: bool,
    },
    /// A person's word: live orders may leave, or may not any more.
    Arm {
        armed: bool,
    },
    /// A person's word: rules and limits that may change while the engine runs.
    Rules {
        rules: Rules,
        positions_max: usize,
        orders_per_second: u32,
        cooldown: Nanos,
    },
    /// A person's word: fill opportunities, or only show them.
    AutoExecute {
        on: bool,
    },
    /// A person's word: no new plans.
    Pause,
    /// A person's word: sell everything held, from this moment on.
    Flatten,
    /// A person's word: pause and latch are lifted.
    Resume,
}

/// From the detector to a feed thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resnapshot {
    pub feed: FeedId,
    pub link: u8,
    pub market: MarketId,
}
