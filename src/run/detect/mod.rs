//! The detector: every update ring in, sightings, decisions and paper fills out. Plain and synchronous: its thread, the
//! replay of a recording and the tests drive the same object.
//!
//! [`Detector::apply`] brings books up to date and remembers which pairs were touched; [`Detector::turn`] then looks at
//! those pairs once. Nothing here allocates after [`Detector::new`]: every table has its size from the start.

mod doubt;
mod leave;
mod paper;
mod setup;
mod sight;
mod wish;

pub use leave::LeaveSetup;
pub use setup::{MarketSetup, Outbox, PairSetup, PaperSetup, Setup};
use sight::Sighting;
use smallvec::SmallVec;

use super::{
    event::{Control, Event, Passage, Ready, Stats, What},
    execute::PLANS_MAX,
};
use crate::{
    book::{Book, Ladder, Links, sync::Effect},
    config::LegOrder,
    decide::Rules,
    risk::{Budget, Latch, Limits, Pace, TradingState},
    sim::paper::Paper,
    spread::{Direction, Pair, Terms},
    unit::{BookSide, FeedId, MarketId, Money, Nanos, PairId, Price, Qty, UnixMs},
    wire::{Arrival, Canary, Doubt, Kind, Update},
};

/// Between two passes over what only time changes.
const SWEEP_EVERY: Nanos = Nanos::millis(100);
const STATS_EVERY: Nanos = Nanos::secs(1);

#[derive(Clone, Debug)]
struct PairState {
    setup: PairSetup,
    sightings: [Option<Sighting>; 2],
    plan: bool,
    /// Its plan sells what is held, and realises this loss at worst.
    leaving: Option<Money>,
    plan_ended: Option<Nanos>,
    /// Plans that ended with one leg closed again.
    closed: u32,
    holds: bool,
}

#[derive(Clone, Debug)]
struct MarketState {
    terms: Terms,
    held: [Qty; 2],
    /// What that cost.
    cost: [Money; 2],
    settled: bool,
    /// Terms or rules are in doubt until the catalogue was read anew.
    suspended: Option<Canary>,
    /// Somebody else holds something of it in our account.
    foreign: bool,
    asked: Nanos,
}

/// Best prices in ten-thousandths; a side that is empty costs a whole dollar to take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Touch {
    bid: u16,
    ask: u16,
}

impl Touch {
    const EMPTY: Self = Self { bid: 0, ask: Price::DOLLAR };

    fn of(book: &Book) -> Self {
        Self { bid: book.bids.touch().unwrap_or(0), ask: book.asks.touch().unwrap_or(Price::DOLLAR) }
    }

    /// What taking this side costs per contract.
    const fn cost(self, side: BookSide) -> u16 {
        match side {
            BookSide::Ask => self.ask,
            BookSide::Bid => Price::DOLLAR - self.bid,
        }
    }
}

/// What an update needs of its market beside the book: half a cache line.
#[derive(Clone, Debug)]
struct MarketLine {
    touch: Touch,
    /// Open sightings of its pairs: while there are any, depth matters too.
    sighted: u16,
    pairs: SmallVec<[PairId; 4]>,
}

/// What an update needs of a pair to see that its touch is not crossed: a quarter of a cache line.
#[derive(Clone, Copy, Debug)]
struct PairLine {
    pair: Pair,
    touched: bool,
    sighted: bool,
}

/// Books, pairs, budget and plans, owned by one thread.
pub struct Detector {
    books: Vec<Book>,
    markets: Vec<MarketState>,
    market_lines: Vec<MarketLine>,
    pairs: Vec<PairState>,
    pair_lines: Vec<PairLine>,
    touched: Vec<PairId>,
    links: Links,
    rules: Rules,
    limits: Limits,
    budget: Budget,
    state: TradingState,
    pace: Pace,
    paper: Paper,
    setup: PaperSetup,
    leg_order: LegOrder,
    leaving: LeaveSetup,
    /// Everything held is being sold, by a person's word.
    flatten: Option<leave::Flatten>,
    flights: Vec<paper::Flight>,
    open_plans: usize,
    next_id: u64,
    swept: Nanos,
    told: Nanos,
    stats: Stats,
    /// Up to when the time of legs that stand alone is added up.
    naked_counted: Nanos,
    /// Of the newest update that was taken in.
    passage: Passage,
    room: bool,
    draining: bool,
    polled: Vec<bool>,
    /// Pairs that hold a position.
    holding: usize,
    /// Money moved since the balances were told last.
    moved: bool,
    /// Until when each venue takes no entries.
    shut: [Nanos; 2],
    /// May this account open anything there?
    eligible: [bool; 2],
    /// Do orders and positions agree with the venues?
    agrees: bool,
    /// Ladders for markets whose grid becomes finer.
    spare: Vec<[Ladder; 2]>,
    wishes: wish::Wishes,
}

impl Detector {
    /// Lays every table out.
    pub fn new(setup: Setup) -> Self {
        let mut markets: Vec<MarketState> = setup
            .markets
            .iter()
            .map(|m| MarketState {
                terms: m.terms,
                held: [Qty::ZERO; 2],
                cost: [Money::ZERO; 2],
                settled: false,
                suspended: None,
                foreign: false,
                asked: Nanos::ZERO,
            })
            .collect();
        let line = MarketLine { touch: Touch::EMPTY, sighted: 0, pairs: SmallVec::new() };
        let mut market_lines = vec![line; markets.len()];
        let mut pair_lines = Vec::with_capacity(setup.pairs.len());
        let mut pairs = Vec::with_capacity(setup.pairs.len());
        for (at, pair) in setup.pairs.into_iter().enumerate() {
            for market in [pair.pair.kalshi, pair.pair.polymarket] {
                market_lines[market.0 as usize].pairs.push(PairId(at as u32));
            }
            pair_lines.push(PairLine { pair: pair.pair, touched: false, sighted: false });
            let sightings = [None; 2];
            pairs.push(PairState {
                setup: pair,
                sightings,
                plan: false,
                leaving: None,
                plan_ended: None,
                closed: 0,
                holds: false,
            });
        }
        for (market, outcome, qty, cost) in setup.held {
            let market = &mut markets[market.0 as usize];
            (market.held[outcome as usize], market.cost[outcome as usize]) = (qty, cost);
        }
        for pair in &setup.open {
            pairs[pair.0 as usize].plan = true;
        }
        for pair in &setup.leaving.open {
            pairs[pair.0 as usize].leaving = Some(Money::ZERO);
        }
        let flatten = setup.leaving.begun.map(leave::Flatten::begun);
        let books = setup.markets.iter().map(|m| Book::new(m.terms.grid, m.trading)).collect();
        let polled = setup.markets.iter().map(|m| m.polled).collect();
        let touched = Vec::with_capacity(pairs.len());
        let mut detector = Self {
            books,
            markets,
            market_lines,
            pairs,
            pair_lines,
            touched,
            links: Links::new(setup.feeds),
            rules: setup.rules,
            limits: setup.limits,
            budget: setup.budget,
            state: setup.state,
            pace: Pace::new(),
            paper: Paper::default(),
            setup: setup.paper,
            leg_order: setup.leg_order,
            leaving: setup.leaving,
            flatten,
            flights: Vec::with_capacity(4 * PLANS_MAX),
            open_plans: setup.open.len(),
            next_id: setup.next_id,
            swept: Nanos::ZERO,
            told: Nanos::ZERO,
            stats: Stats::default(),
            naked_counted: Nanos::ZERO,
            passage: Passage::default(),
            room: true,
            draining: false,
            polled,
            holding: 0,
            moved: false,
            shut: [Nanos::ZERO; 2],
            eligible: [true; 2],
            agrees: true,
            spare: (0..setup.regrids).map(|_| Ladder::any_price()).collect(),
            wishes: wish::Wishes::default(),
        };
        for pair in 0..detector.pairs.len() {
            detector.note_holding(pair);
        }
        detector
    }

    /// One update of one market.
    pub fn apply(&mut self, update: &Update, out: &mut Outbox) {
        self.stats.updates += 1;
        if !self.links.hear(update) {
            self.canary(update.market, Canary::ClockNonsense, update.at, out);
        }
        match update.kind {
            Kind::Alive => return,
            Kind::Lost => return self.lost(update, out),
            Kind::Settled { yes_payout } => self.settle(update.market, yes_payout, out),
            Kind::Canary(canary) => self.canary(update.market, canary, update.at, out),
            Kind::Level { side, price, qty } => self.paper.shown(update.market, side, price, qty),
            _ => {}
        }
        let slot = update.market.0 as usize;
        match self.books[slot].apply(update) {
            Effect::None => {
                self.market_lines[slot].touch = Touch::of(&self.books[slot]);
                return;
            }
            Effect::Moved => {}
            Effect::Doubted(doubt) => self.doubted(update.market, doubt, update.at, out),
        }
        if let Kind::Change { side, price, .. } = update.kind {
            let qty = self.books[slot].side(side).at(price);
            self.paper.shown(update.market, side, price, qty);
        }
        let touch = Touch::of(&self.books[slot]);
        let line = &mut self.market_lines[slot];
        let of_depth = matches!(update.kind, Kind::Level { .. } | Kind::Change { .. }) && line.touch == touch;
        line.touch = touch;
        // Behind an unmoved touch only an edge that stands already can change.
        if of_depth && line.sighted == 0 {
            return;
        }
        self.touch(slot);
    }

    /// Where the time of the newest update went, before what it brought is judged.
    pub fn note_passage(&mut self, passage: Passage) {
        self.passage = passage;
    }

    /// A word from the cold side.
    pub fn control(&mut self, control: &Control, at: Arrival, out: &mut Outbox) {
        match *control {
            Control::Terms { market, terms } => {
                let state = &mut self.markets[market.0 as usize];
                let changed = std::mem::replace(&mut state.terms, terms) != terms;
                state.suspended = None;
                if changed {
                    out.ready.push(Ready::Terms { market, terms });
                }
                self.touch(market.0 as usize);
            }
            Control::Bar { pair, reason } => {
                self.pairs[pair.0 as usize].setup.barred = reason;
                out.events.push(Event { at: at.unix, what: What::Barred { pair, reason } });
                self.mark(pair);
            }
            Control::Look { market, began, bid, ask } => {
                if let Effect::Doubted(doubt) = self.books[market.0 as usize].look(began, at.now, bid, ask) {
                    self.doubted(market, doubt, at, out);
                    self.touch(market.0 as usize);
                }
            }
            Control::Trading { market, trading } => {
                let update = Update {
                    market,
                    feed: FeedId(0),
                    link: 0,
                    at,
                    stamp: UnixMs::default(),
                    kind: Kind::Trading(trading),
                };
                // Not `apply`: the word comes from the catalogue, not by the book's connection.
                let (feed, link) = self.books[market.0 as usize].source();
                self.books[market.0 as usize].apply(&Update { feed, link, ..update });
                self.touch(market.0 as usize);
            }
            Control::Settled { market, yes_payout } => self.settle(market, yes_payout, out),
            Control::Checksum { market } => {
                if let Effect::Doubted(doubt) = self.books[market.0 as usize].suspect(Doubt::Checksum) {
                    self.doubted(market, doubt, at, out);
                    self.touch(market.0 as usize);
                }
            }
            Control::Halt { latch } => self.halt(latch, at.unix, out),
            Control::Eligible { venue, eligible } => self.eligible[venue as usize] = eligible,
            Control::Rules { rules, positions_max, orders_per_second, cooldown } => {
                self.rules = rules;
                self.limits = Limits { positions_max, orders_per_second, cooldown, ..self.limits };
                for slot in 0..self.pairs.len() {
                    self.mark(PairId(slot as u32));
                }
            }
            Control::AutoExecute { on } => {
                self.limits.auto_execute = on;
                out.events.push(Event { at: at.unix, what: What::AutoExecute { on } });
            }
            Control::Arm { armed } => {
                self.limits.armed = armed;
                out.events.push(Event { at: at.unix, what: What::Armed { armed } });
            }
            Control::Pause => {
                self.state.pause();
                self.tell_state(at.unix, out);
            }
            Control::Flatten => self.flatten(),
            Control::Resume => {
                self.flatten = None;
                self.state.resume();
                out.ready.push(Ready::Resumed);
                self.tell_state(at.unix, out);
            }
        }
    }

    /// No new plans from here on: the process is ending.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Is the process ending?
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Is there room in the ring to the keeper? Without it nothing new is entered.
    pub fn set_room(&mut self, room: bool) {
        self.room = room;
    }

    /// Looks at what was touched, lands orders that arrive, and now and then at what only time changes.
    pub fn turn(&mut self, at: Arrival, out: &mut Outbox) {
        if SWEEP_EVERY <= at.now.since(self.swept) {
            self.swept = at.now;
            self.sweep(at, out);
        }
        if !self.flights.is_empty() {
            self.land(at, out);
        }
        while let Some(id) = self.touched.pop() {
            let slot = id.0 as usize;
            self.pair_lines[slot].touched = false;
            for direction in Direction::ALL {
                self.look(id, direction, at, out);
            }
        }
    }

    /// Tells balances that moved: together with what moved them, so that a restart finds both or neither.
    pub fn tell_moved(&mut self, at: Arrival, out: &mut Outbox) {
        if self.moved {
            self.tell_balances(at, out);
        }
    }

    /// The last word before the end: figures, and the end of every open sighting.
    pub fn farewell(&mut self, at: Arrival, out: &mut Outbox) {
        for pair in &mut self.pairs {
            for sighting in pair.sightings.iter_mut().filter_map(Option::take) {
                out.events.push(Event { at: at.unix, what: What::Ended { id: sighting.id } });
            }
        }
        self.tell(at, out);
    }

    /// Plans that are still on their way.
    pub fn plans(&self) -> usize {
        self.open_plans
    }

    /// A market's book.
    pub fn book(&self, market: MarketId) -> &Book {
        &self.books[market.0 as usize]
    }

    /// May new risk be taken?
    pub fn state(&self) -> TradingState {
        self.state
    }

    /// Money and exposure.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    fn touch(&mut self, market: usize) {
        for at in 0..self.market_lines[market].pairs.len() {
            let pair = self.market_lines[market].pairs[at];
            self.mark(pair);
        }
    }

    fn mark(&mut self, pair: PairId) {
        let line = &mut self.pair_lines[pair.0 as usize];
        if !line.touched {
            line.touched = true;
            self.touched.push(pair);
        }
    }

    fn halt(&mut self, latch: Latch, unix: UnixMs, out: &mut Outbox) {
        let before = self.state;
        self.state.halt(latch);
        if self.state != before {
            self.forget_wishes();
            out.ready.push(Ready::Halted { latch });
            self.tell_state(unix, out);
        }
    }

    fn tell_state(&self, unix: UnixMs, out: &mut Outbox) {
        out.events.push(Event { at: unix, what: What::State { state: self.state } });
    }

    /// What stands alone on one leg is worth this much from here on.
    fn naked(&mut self, value: Money, at: Arrival) {
        self.count_naked(at);
        self.stats.naked = value;
        self.naked_counted = at.now;
        self.stats.naked_since = (value != Money::ZERO).then(|| self.stats.naked_since.unwrap_or(at.unix));
    }

    /// Adds up for how long something has stood alone.
    fn count_naked(&mut self, at: Arrival) {
        if self.stats.naked != Money::ZERO {
            self.stats.naked_span = self.stats.naked_span + at.now.since(self.naked_counted);
            self.naked_counted = at.now;
        }
    }

    fn note_holding(&mut self, pair: usize) {
        let state = &mut self.pairs[pair];
        let markets = [state.setup.pair.kalshi, state.setup.pair.polymarket];
        let holds = markets.iter().any(|m| self.markets[m.0 as usize].held != [Qty::ZERO; 2]);
        self.holding = self.holding + usize::from(holds) - usize::from(state.holds);
        state.holds = holds;
    }

    /// What only time changes: books that stay crossed, reasons that end (a pause, a cool-down, a stale book), figures.
    fn sweep(&mut self, at: Arrival, out: &mut Outbox) {
        for slot in 0..self.books.len() {
            let market = MarketId(slot as u32);
            match self.books[slot].overdue(at.now) {
                Effect::Doubted(doubt) => {
                    self.doubted(market, doubt, at, out);
                    self.touch(slot);
                }
                _ if matches!(
                    self.books[slot].doubt(),
                    Some(Doubt::Impossible | Doubt::Checksum | Doubt::Disagrees | Doubt::Crossed)
                ) =>
                {
                    self.ask(market, at.now, out);
                }
                _ => {}
            }
        }
        for slot in 0..self.pairs.len() {
            if self.pair_lines[slot].sighted {
                self.mark(PairId(slot as u32));
            }
        }
        self.wish(at, out);
        self.sell_on(at, out);
        if STATS_EVERY <= at.now.since(self.told) {
            self.told = at.now;
            self.tell(at, out);
        }
    }

    fn tell(&mut self, at: Arrival, out: &mut Outbox) {
        self.count_naked(at);
        self.stats.positions = self.holding as u32;
        self.stats.books = self.books.len() as u32;
        self.stats.fit = [0; 2];
        for (book, market) in self.books.iter().zip(&self.markets) {
            if book.fit(&self.links, &self.rules.fitness, at.now).is_ok() {
                self.stats.fit[market.terms.venue as usize] += 1;
            }
        }
        (self.stats.flatten_loss, self.stats.unsellable) = self.flatten_cost(at);
        self.stats.realised_today = self.budget.realised_today();
        out.events.push(Event { at: at.unix, what: What::Stats { stats: self.stats } });
        self.tell_balances(at, out);
    }

    fn tell_balances(&mut self, at: Arrival, out: &mut Outbox) {
        self.moved = false;
        for (venue, shard, account) in self.budget.accounts() {
            let what = What::Balance { venue, shard, cash: account.cash, reserved: account.reserved };
            out.events.push(Event { at: at.unix, what });
        }
    }
}

/// For tests and replay: a market's best levels as text.
pub fn touch_text(book: &Book) -> String {
    let level = |level: Option<(Price, Qty)>| level.map_or("–".to_owned(), |(p, q)| format!("{p} × {q}"));
    format!("{} / {}", level(book.side(BookSide::Bid).best()), level(book.side(BookSide::Ask).best()))
}
