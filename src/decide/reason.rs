//! Why not: one variant for every way in which an edge does not become an intent or an order.
//!
//! The codes are stable: they stand in the database, in logs and in what operators search for.

use crate::{
    book::Unfit,
    unit::Venue,
    wire::{Canary, Doubt},
};

/// Why an opportunity was not taken.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// No person approved the pair, or the approval was withdrawn.
    NotApproved,
    /// The catalogue refuses a market of the pair: floor, scalar, unknown fee, unknown grid.
    Refused,
    /// A rule text no longer fits the fingerprint that was approved.
    RulesChanged,
    /// The venue's book is not fit to trade on.
    Book(Venue, Unfit),
    /// More than a fair market ever offers: a wrong pair, an inverted outcome, a broken feed.
    TooGood,
    /// Both fees eat the whole gross edge.
    Fees,
    /// Something is left after fees, less than the threshold.
    Threshold,
    /// The books are too thin within the slippage.
    Depth,
    /// What both venues can trade in equal shares is below a venue's minimum.
    VenueMinimum,
    /// Below the operator's smallest trade.
    TradeMinimum,
    /// What may stand alone is too little for the smallest trade.
    NakedMax,
    /// The yearly yield on the locked money is below the hurdle.
    Yield,
    /// Money would be locked for too long.
    TooLong,
    /// The chances of one leg failing or the venues settling differently outweigh the edge.
    ExpectedValue,
    /// The market closes too soon.
    ClosesSoon,
    /// The game starts too soon.
    GameSoon,
    /// The pair has a plan in the making.
    OpenPlan,
    /// The pair's last plan ended just now.
    CoolDown,
    /// Execution is switched off: opportunities are shown, not taken.
    AutoExecuteOff,
    /// Live trading waits for a person to arm it.
    NotArmed,
    /// The account, its key or this host may open nothing on this venue.
    Ineligible(Venue),
    /// As many positions are open as are allowed.
    Positions,
    /// The event holds as much as is allowed.
    EventExposure,
    /// The money allocated to this venue is in use.
    Capital(Venue),
    /// As many orders were sent within a second as are allowed.
    OrderRate,
    /// A person paused trading.
    Paused,
    /// The latch has fallen.
    Halted,
    /// This venue takes no orders that take, or asked for fewer.
    VenueShut(Venue),
    /// Positions and orders were not found to agree with the venues.
    Unreconciled,
    /// Somebody else traded one of the markets with our account.
    Foreign,
    /// The pair's plans ended with one leg closed again too often.
    LossLoop,
    /// A fee that was charged does not fit the schedule that edges are reckoned with.
    FeeMismatch,
    /// After the latency the books offered nothing at the limit any more.
    Gone,
    /// The plan was ready to begin, and one of its orders could not be made ready.
    NotReady,
}

/// How far an opportunity came.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Step {
    /// The touch crossed.
    Seen,
    /// A person approved the pair, and nothing about its markets has changed since.
    Matched,
    /// Both books were fit to trade on.
    Fresh,
    /// Enough was on offer.
    Deep,
    /// After fees enough was left.
    Positive,
    /// No limit, switch or rest stood against it.
    WithinLimits,
    /// Orders left.
    Sent,
    /// Both legs were filled.
    Both,
    /// Both legs were paid.
    Settled,
}

impl Step {
    /// In order.
    pub const ALL: [Self; 9] = [
        Self::Seen,
        Self::Matched,
        Self::Fresh,
        Self::Deep,
        Self::Positive,
        Self::WithinLimits,
        Self::Sent,
        Self::Both,
        Self::Settled,
    ];

    /// The name on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Matched => "matched",
            Self::Fresh => "fresh",
            Self::Deep => "deep",
            Self::Positive => "positive",
            Self::WithinLimits => "within_limits",
            Self::Sent => "sent",
            Self::Both => "both",
            Self::Settled => "settled",
        }
    }
}

impl Reason {
    /// Every reason, a book's doubts once for each venue.
    pub fn every() -> impl Iterator<Item = Self> {
        let doubts = Doubt::ALL.into_iter().map(Unfit::Doubtful);
        let canaries = Canary::ALL.into_iter().map(Unfit::Canary);
        let others = [Unfit::Crossed, Unfit::NotOpen, Unfit::Silent, Unfit::Lagging, Unfit::Stale];
        let unfit = doubts.chain(canaries).chain(others);
        let books = unfit.flat_map(|unfit| Venue::ALL.map(|venue| Self::Book(venue, unfit)));
        let plain = [
            Self::NotApproved,
            Self::Refused,
            Self::RulesChanged,
            Self::TooGood,
            Self::Fees,
            Self::Threshold,
            Self::Depth,
            Self::VenueMinimum,
            Self::TradeMinimum,
            Self::NakedMax,
            Self::Yield,
            Self::TooLong,
            Self::ExpectedValue,
            Self::ClosesSoon,
            Self::GameSoon,
            Self::OpenPlan,
            Self::CoolDown,
            Self::AutoExecuteOff,
            Self::NotArmed,
            Self::Ineligible(Venue::Kalshi),
            Self::Ineligible(Venue::Polymarket),
            Self::Positions,
            Self::EventExposure,
            Self::Capital(Venue::Kalshi),
            Self::Capital(Venue::Polymarket),
            Self::OrderRate,
            Self::Paused,
            Self::Halted,
            Self::VenueShut(Venue::Kalshi),
            Self::VenueShut(Venue::Polymarket),
            Self::Unreconciled,
            Self::Foreign,
            Self::LossLoop,
            Self::FeeMismatch,
            Self::Gone,
            Self::NotReady,
        ];
        books.chain(plain)
    }

    /// The code in the ledger.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotApproved => "NOT_APPROVED",
            Self::Refused => "REFUSED_MARKET",
            Self::RulesChanged => "RULES_CHANGED",
            Self::Book(_, unfit) => match unfit {
                Unfit::Doubtful(doubt) => match doubt {
                    Doubt::NeverSynced => "BOOK_NOT_SYNCED",
                    Doubt::Gap => "BOOK_GAP",
                    Doubt::Impossible => "BOOK_IMPOSSIBLE",
                    Doubt::Malformed => "BOOK_MALFORMED",
                    Doubt::Disconnected => "BOOK_DISCONNECTED",
                    Doubt::Checksum => "BOOK_CHECKSUM",
                    Doubt::Disagrees => "BOOK_DISAGREES",
                    Doubt::Crossed => "BOOK_STAYS_CROSSED",
                    Doubt::Regrid => "BOOK_REGRID",
                    Doubt::GridTooFine => "BOOK_GRID_TOO_FINE",
                    Doubt::Dropped => "BOOK_DROPPED",
                },
                Unfit::Crossed => "BOOK_CROSSED",
                Unfit::NotOpen => "MARKET_NOT_OPEN",
                Unfit::Silent => "FEED_SILENT",
                Unfit::Lagging => "FEED_LAGGING",
                Unfit::Stale => "BOOK_STALE",
                Unfit::Canary(_) => "CANARY",
            },
            Self::TooGood => "TOO_GOOD",
            Self::Fees => "FEES",
            Self::Threshold => "THRESHOLD",
            Self::Depth => "DEPTH",
            Self::VenueMinimum => "VENUE_MINIMUM",
            Self::TradeMinimum => "TRADE_MINIMUM",
            Self::NakedMax => "NAKED_MAX",
            Self::Yield => "YIELD",
            Self::TooLong => "TOO_LONG",
            Self::ExpectedValue => "EXPECTED_VALUE",
            Self::ClosesSoon => "CLOSES_SOON",
            Self::GameSoon => "GAME_SOON",
            Self::OpenPlan => "OPEN_PLAN",
            Self::CoolDown => "COOL_DOWN",
            Self::AutoExecuteOff => "AUTO_EXECUTE_OFF",
            Self::NotArmed => "NOT_ARMED",
            Self::Ineligible(Venue::Kalshi) => "INELIGIBLE_KALSHI",
            Self::Ineligible(Venue::Polymarket) => "INELIGIBLE_POLYMARKET",
            Self::Positions => "POSITIONS",
            Self::EventExposure => "EVENT_EXPOSURE",
            Self::Capital(Venue::Kalshi) => "CAPITAL_KALSHI",
            Self::Capital(Venue::Polymarket) => "CAPITAL_POLYMARKET",
            Self::OrderRate => "ORDER_RATE",
            Self::Paused => "PAUSED",
            Self::Halted => "HALTED",
            Self::VenueShut(Venue::Kalshi) => "SHUT_KALSHI",
            Self::VenueShut(Venue::Polymarket) => "SHUT_POLYMARKET",
            Self::Unreconciled => "UNRECONCILED",
            Self::Foreign => "FOREIGN",
            Self::LossLoop => "LOSS_LOOP",
            Self::FeeMismatch => "FEE_MISMATCH",
            Self::Gone => "GONE",
            Self::NotReady => "NOT_READY",
        }
    }

    /// The reason behind a code, whichever book it was.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::every().find(|reason| reason.code() == code)
    }

    /// The furthest step that an opportunity came which this reason ended.
    pub const fn reached(self) -> Step {
        match self {
            Self::NotApproved | Self::Refused | Self::RulesChanged => Step::Seen,
            Self::Book(..) => Step::Matched,
            Self::Depth | Self::VenueMinimum | Self::TradeMinimum | Self::NakedMax => Step::Fresh,
            Self::Fees | Self::Threshold | Self::Yield | Self::TooLong | Self::ExpectedValue => Step::Deep,
            Self::Gone => Step::Sent,
            Self::NotReady => Step::WithinLimits,
            Self::TooGood
            | Self::ClosesSoon
            | Self::GameSoon
            | Self::OpenPlan
            | Self::CoolDown
            | Self::AutoExecuteOff
            | Self::NotArmed
            | Self::Ineligible(_)
            | Self::Positions
            | Self::EventExposure
            | Self::Capital(_)
            | Self::OrderRate
            | Self::Paused
            | Self::Halted
            | Self::VenueShut(_)
            | Self::Unreconciled
            | Self::Foreign
            | Self::LossLoop
            | Self::FeeMismatch => Step::Positive,
        }
    }

    /// One sentence for a person, naming the setting that decides where there is one.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotApproved => "no person approved this pair",
            Self::Refused => "the catalogue refuses one of the markets (floor, scalar, unknown fee or grid)",
            Self::RulesChanged => "a rule text changed since the pair was approved",
            Self::Book(..) => "a book was not fit to trade on",
            Self::TooGood => "the edge was above risk.max_edge: first suspect the pair, then the feed",
            Self::Fees => "both fees together were more than the gross edge",
            Self::Threshold => "the net edge was below trading.threshold_spread",
            Self::Depth => "less than trading.target_liquidity_depth was on offer within trading.slippage_tolerance",
            Self::VenueMinimum => "the quantity was below a venue's minimum order",
            Self::TradeMinimum => "the trade was smaller than trading.min_trade_size_usd",
            Self::NakedMax => "risk.max_naked_contracts allowed less than the smallest trade",
            Self::Yield => "the yearly yield was below trading.min_annualized_yield",
            Self::TooLong => "settlement lies beyond trading.max_days_to_settle",
            Self::ExpectedValue => "the cost of the bad branches outweighed the edge",
            Self::ClosesSoon => "the market closes within trading.stop_before_close_s",
            Self::GameSoon => "the game starts within trading.stop_before_game_s",
            Self::OpenPlan => "the pair had a plan in the making",
            Self::CoolDown => "the pair traded within trading.cooldown_s",
            Self::AutoExecuteOff => "trading.auto_execute is off",
            Self::NotArmed => "nobody has armed live trading: orion arm",
            Self::Ineligible(Venue::Kalshi) => {
                "this account or its key may open nothing on Kalshi; orion status says why"
            }
            Self::Ineligible(Venue::Polymarket) => {
                "this account, its key or this host may open nothing on Polymarket; orion status says why"
            }
            Self::Positions => "risk.max_open_positions were open",
            Self::EventExposure => "the event held risk.max_exposure_per_event",
            Self::Capital(Venue::Kalshi) => "the money allocated to Kalshi, or to this shard of it, was in use",
            Self::Capital(Venue::Polymarket) => "the money allocated to Polymarket was in use",
            Self::OrderRate => "risk.max_orders_per_second was reached",
            Self::Paused => "trading was paused",
            Self::Halted => "the latch had fallen",
            Self::VenueShut(Venue::Kalshi) => "Kalshi took no such orders just before, or asked for fewer",
            Self::VenueShut(Venue::Polymarket) => "Polymarket took no such orders just before, or asked for fewer",
            Self::Unreconciled => "orders and positions were not found to agree with both venues",
            Self::Foreign => "somebody else traded one of the markets with this account",
            Self::LossLoop => "three plans of this pair had to close one leg again, or one was left alone",
            Self::FeeMismatch => "a fee that was charged did not fit the market's schedule",
            Self::NotReady => "one of its orders could not be made ready; the event beside it says why",
            Self::Gone => "nothing was left at the limit when the orders arrived",
        }
    }
}
