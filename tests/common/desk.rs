//! A trading desk in virtual time: a detector with one pair, its books set by hand, its events read one by one.

#![allow(dead_code, reason = "every test file uses its own part of this")]

use orion::{
    book::Fitness,
    config::LegOrder,
    decide::{Odds, Quote, Reason, Rules, Tally},
    ledger::journal::Scratch,
    order::plan,
    risk::{Account, Budget, Limits, TradingState, budget::Shares},
    run::{
        desk::{self, Orders},
        detect::{LeaveSetup, MarketSetup, PairSetup, PaperSetup, Setup},
        event::{Control, Event, What, Word},
    },
    spread::{Direction, Pair, Rate, Terms},
    unit::{BookSide, FeedId, Grid, MarketId, Money, Nanos, Price, Qty, UnixMs, Venue},
    venue::{kalshi, polymarket},
    wire::{Arrival, Kind, Trading, Update},
};

/// The pair's market on each venue; the feed thread of each venue has the same number.
pub const KALSHI: MarketId = MarketId(0);
pub const POLYMARKET: MarketId = MarketId(1);

/// The wall clock when the engine's clock stands at zero.
pub const UNIX_START: u64 = 1_790_000_000_000;
pub const DAY_MS: u64 = 86_400_000;

/// Polymarket's published rates, in millionths.
pub const POLITICS: u32 = 40_000;
pub const ECONOMICS: u32 = 50_000;

pub fn at(now: Nanos) -> Arrival {
    Arrival { now, unix: UnixMs::new(UNIX_START + now.raw() / 1_000_000) }
}

pub fn price(raw: u16) -> Price {
    Price::new(raw).expect("a live price")
}

/// Hundredths of a cent per contract: 150 is 1.50 ¢.
pub fn rate(units: i64) -> Rate {
    Rate::of_price_units(units)
}

/// An update of `market` by the first connection of its venue's feed thread.
pub fn update(market: MarketId, now: Nanos, kind: Kind) -> Update {
    Update { market, feed: FeedId(market.0 as u8), link: 0, at: at(now), stamp: UnixMs::default(), kind }
}

/// A whole book as the updates that carry it: bids, asks, in ten-thousandths and whole contracts.
pub fn whole(market: MarketId, now: Nanos, bids: &[(u16, u32)], asks: &[(u16, u32)]) -> Vec<Update> {
    let level = |side, &(raw, qty): &(u16, u32)| Kind::Level { side, price: price(raw), qty: Qty::whole(qty) };
    let mut kinds = vec![Kind::Reset];
    kinds.extend(bids.iter().map(|l| level(BookSide::Bid, l)));
    kinds.extend(asks.iter().map(|l| level(BookSide::Ask, l)));
    kinds.push(Kind::Synced);
    kinds.into_iter().map(|kind| update(market, now, kind)).collect()
}

pub fn kalshi_terms() -> Terms {
    Terms {
        venue: Venue::Kalshi,
        fee: kalshi::fee_curve("quadratic", 1_000_000).expect("the usual fee type"),
        grid: Grid::even(100).expect("a cent"),
        qty_step: Qty::new(10_000).expect("a hundredth"),
        qty_min: Qty::new(10_000).expect("a hundredth"),
        cost_min: Money::ZERO,
        shard: 0,
        hold: Nanos::ZERO,
        closes: None,
        game: None,
        settles: UnixMs::new(UNIX_START + 10 * DAY_MS),
    }
}

pub fn polymarket_terms(rate_ppm: u32) -> Terms {
    Terms {
        venue: Venue::Polymarket,
        fee: polymarket::fee_curve(rate_ppm, 1).expect("a published schedule"),
        grid: Grid::even(50).expect("half a cent"),
        qty_step: Qty::new(10_000).expect("two decimals"),
        qty_min: Qty::whole(5),
        cost_min: Money::dollars(1),
        ..kalshi_terms()
    }
}

/// What an ordinary operator wants: half a net cent, nothing exotic.
pub fn rules() -> Rules {
    Rules {
        threshold: rate(50),
        threshold_net: true,
        slippage: 200,
        depth_min: Money::ZERO,
        trade_min: Money::dollars(1),
        naked_qty_max: Qty::MAX,
        yield_min_ppm: 0,
        lock_max_ms: None,
        edge_max: rate(1_000),
        kelly_ppm: 1_000_000,
        before_close_ms: 600_000,
        before_game_ms: 600_000,
        fitness: Fitness { lag_max: Nanos::secs(1), quiet_max: Nanos::secs(90) },
    }
}

/// A bankroll of 10,000 dollars, half of it on each venue, all of it usable.
pub fn setup(rate_ppm: u32) -> Setup {
    let bankroll = Money::dollars(10_000);
    let half = Money::dollars(5_000);
    let shares = Shares {
        trade_ppm: 1_000_000,
        event_ppm: 1_000_000,
        reserve_ppm: 0,
        daily_loss_ppm: 100_000,
        drawdown_ppm: 1_000_000,
    };
    let mut budget = Budget::new(shares, bankroll, [half; 2], 1);
    for venue in Venue::ALL {
        *budget.account_mut(venue, 0) = Account { cash: half, ..Account::default() };
    }
    let market = |terms| MarketSetup { terms, trading: Trading::Open, polled: false };
    Setup {
        markets: vec![market(kalshi_terms()), market(polymarket_terms(rate_ppm))],
        pairs: vec![PairSetup {
            pair: Pair { kalshi: KALSHI, polymarket: POLYMARKET, inverted: false },
            event: 0,
            barred: None,
            odds: Odds { one_ppm: [0; 2], differ_ppm: 0 },
            tally: Tally::default(),
        }],
        feeds: 2,
        rules: rules(),
        limits: Limits {
            positions_max: 10,
            orders_per_second: 20,
            cooldown: Nanos::secs(5),
            auto_execute: true,
            armed: true,
            ramp: None,
        },
        budget,
        state: TradingState::Active,
        paper: PaperSetup { latency: [Nanos::millis(50); 2] },
        leg_order: LegOrder::Together,
        leaving: LeaveSetup { gain_min: rate(50), loss_max: Money::dollars(1_000), begun: None, open: Vec::new() },
        next_id: 0,
        regrids: 4,
        held: Vec::new(),
        open: Vec::new(),
    }
}

/// What a sighting said of an opportunity.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub direction: Direction,
    pub quote: Quote,
    pub reason: Option<Reason>,
}

/// What a lost leg may cost, and for how long it may stand alone.
pub const BUDGET: plan::Budget = plan::Budget { loss_max: Money::dollars(500), time_max: Nanos::secs(2) };

/// A desk, its clock, and everything it told so far.
pub struct Desk {
    pub engine: desk::Desk<Scratch>,
    pub now: Nanos,
    pub told: Vec<Event>,
}

impl Desk {
    /// Politics, ordinary rules, empty books.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Setup)) -> Self {
        Self::at_rate(POLITICS, change)
    }

    pub fn at_rate(rate_ppm: u32, change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = setup(rate_ppm);
        change(&mut setup);
        let engine = desk::Desk::new(setup, Orders::unkept(BUDGET));
        Self { engine, now: Nanos::secs(1_000), told: Vec::new() }
    }

    /// Applies an update of `market` now, and lets the detector decide.
    pub fn hear(&mut self, market: MarketId, kind: Kind) -> &mut Self {
        self.stamped(market, UnixMs::default(), kind)
    }

    /// The same with the venue's stamp.
    pub fn stamped(&mut self, market: MarketId, stamp: UnixMs, kind: Kind) -> &mut Self {
        let update = Update { stamp, ..update(market, self.now, kind) };
        self.engine.apply(&update);
        self.turn()
    }

    /// Applies updates as they are, and decides once.
    pub fn all(&mut self, updates: &[Update]) -> &mut Self {
        for update in updates {
            self.engine.apply(update);
        }
        self.turn()
    }

    pub fn control(&mut self, control: Control) -> &mut Self {
        self.engine.control(&control, at(self.now));
        self.turn()
    }

    /// A word of the executor's.
    pub fn word(&mut self, word: Word) -> &mut Self {
        self.engine.word(&word, at(self.now));
        self.turn()
    }

    /// A whole book of the pair's market: bids, asks.
    pub fn book(&mut self, market: MarketId, bids: &[(u16, u32)], asks: &[(u16, u32)]) -> &mut Self {
        let updates = whole(market, self.now, bids, asks);
        self.all(&updates)
    }

    /// Both books so that YES on Kalshi at `yes` and NO on Polymarket at `no` are on offer, 100 contracts each.
    pub fn offer(&mut self, yes: u16, no: u16) -> &mut Self {
        let bid = Price::DOLLAR - no;
        self.book(KALSHI, &[(yes - 200, 100)], &[(yes, 100)]);
        self.book(POLYMARKET, &[(bid, 100)], &[(bid + 200, 100)])
    }

    /// Time goes by; both connections show life four times a second, nothing else happens.
    pub fn pass(&mut self, span: Nanos) -> &mut Self {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + Nanos::millis(250).min(end.since(self.now));
            self.hear(KALSHI, Kind::Alive).hear(POLYMARKET, Kind::Alive);
        }
        self
    }

    /// Time goes by in silence.
    pub fn silence(&mut self, span: Nanos) -> &mut Self {
        self.now = self.now + span;
        self.turn()
    }

    pub fn turn(&mut self) -> &mut Self {
        self.engine.turn(at(self.now));
        self.told.append(self.engine.events());
        self
    }

    /// Everything told about opportunities so far.
    pub fn seen(&self) -> Vec<Seen> {
        let seen = self.told.iter().filter_map(|event| match event.what {
            What::Sighted { direction, quote, reason, .. } => Some(Seen { direction, quote, reason }),
            _ => None,
        });
        seen.collect()
    }

    /// The last word on an opportunity.
    pub fn last(&self) -> Seen {
        *self.seen().last().expect("an opportunity was sighted")
    }

    /// Every reason told so far.
    pub fn reasons(&self) -> Vec<Reason> {
        self.seen().iter().filter_map(|seen| seen.reason).collect()
    }

    pub fn planned(&self) -> usize {
        self.told.iter().filter(|event| matches!(event.what, What::Planned { .. })).count()
    }
}
