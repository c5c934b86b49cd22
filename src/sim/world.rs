//! A market full of traders, from a seed, in virtual time.
//!
//! Every question has one fair value that walks. Makers quote it on each venue that asks the question, takers trade
//! against them, and the two books of a pair normally leave no gap. Now and then one venue stands alone for a moment:
//! a *dislocation*. Markets close early, are determined and settle, on a fixed calendar.
//!
//! Same seed, same speed, same number of steps: the same events, whatever the stamps. Virtual time moves values, trades
//! and closes; how long a dislocation lives is told in wall time, because an engine lives there too.

mod account;
mod chaos;
mod gap;

use std::collections::{BTreeSet, HashMap};

use fastrand::Rng;

use crate::sim::exchange::{Event, Exchange, OrderNo, Owner, What};
use crate::sim::listing::{Catalog, PAIRS, Phase, Topic};
use crate::sim::maker::Maker;
use crate::unit::{BookSide, Grid, Money, Price, Qty, UnixMs, Venue};

/// How many pairs close while the world is watched.
pub const CLOSING: usize = 30;
/// The pair whose venues disagree about the answer, and the one that settles half and half.
const DISAGREEING: usize = 25;
const HALVED: usize = 21;
/// Virtual seconds from a close to the answer, and from Polymarket's proposal to its resolution.
const ANSWER_SECS: f64 = 20.0;
const RESOLUTION_SECS: f64 = 90.0;
/// Virtual seconds before a close in which the value runs to the answer.
const RUN_SECS: f64 = 80.0;
/// Virtual seconds at which a new market opens, on Kalshi and Polymarket in turn.
const OPENINGS: [f64; 4] = [180.0, 480.0, 1_500.0, 3_000.0];
/// Mean virtual seconds between two dislocations.
const DISLOCATION_SECS: f64 = 34.0;
/// Mean virtual seconds between two small actions on one market.
const ACTION_SECS: f64 = 5.5;

/// What changed in a market besides its book.
#[derive(Clone, Debug, PartialEq)]
pub enum Life {
    /// A new market, just listed.
    Created,
    /// Paused by the venue.
    Deactivated,
    Activated,
    /// `close_time` moved; the new one is in the listing.
    CloseDateUpdated,
    /// Polymarket: somebody proposed an answer and the book is gone.
    Proposed,
    Determined,
    Settled,
    /// The grid changed; the old step on Polymarket, in price units.
    Regridded {
        old_tick: u16,
    },
    /// The event's fee override changed.
    FeeOverridden,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    Book { venue: Venue, event: Event },
    Life { venue: Venue, market: usize, at: UnixMs, life: Life },
}

/// What a market finally paid.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SimSettlement {
    pub venue: Venue,
    /// Ticker or condition id.
    pub market: String,
    /// Per YES contract, 0 to 1 dollar.
    pub yes_payout: Money,
    pub at: UnixMs,
}

/// What an account is told of a change that its own order caused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Label {
    pub owner: Owner,
    pub client_order_id: String,
}

/// A gap between the two books of a pair.
#[derive(Clone, Copy, Debug)]
struct Dislocation {
    /// Wall milliseconds since the start of the world.
    until: f64,
    /// The value both venues agree on afterwards.
    fair_after: f64,
}

/// One question's hidden life.
#[derive(Debug)]
struct Mind {
    /// Price units on Kalshi's YES, or on Polymarket's where Kalshi does not ask.
    fair: f64,
    restless: f64,
    dislocation: Option<Dislocation>,
    /// Virtual seconds.
    closes_at: Option<f64>,
    answer_yes: bool,
    /// What Kalshi pays per YES contract, where somebody has decided that.
    decided: Option<Money>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Open,
    Closed,
    Determined,
    Settled,
    Resolved,
}

/// Both exchanges and everybody on them.
#[derive(Debug)]
pub struct World {
    catalog: Catalog,
    kalshi: Exchange,
    polymarket: Exchange,
    makers: [Vec<Maker>; 2],
    minds: Vec<Mind>,
    rng: Rng,
    speed: f64,
    virtual_secs: f64,
    stamp: UnixMs,
    settlements: Vec<SimSettlement>,
    happenings: Vec<Happening>,
    /// What Kalshi's stream calls the orders of its accounts.
    labels: HashMap<OrderNo, Label>,
    /// Kalshi's shards on which nobody trades for the time being.
    halted: BTreeSet<u8>,
    /// How many of [`OPENINGS`] are behind us.
    late: usize,
    /// Opened dislocations: worth taking after fees, not worth it.
    opened: [u64; 2],
}

impl World {
    /// A world at its first instant, with full books. `start` is wall time.
    pub fn new(seed: u64, speed: u32, start: UnixMs) -> Self {
        let mut rng = Rng::with_seed(seed);
        let catalog = Catalog::new(&mut rng, start);
        let mut world = Self {
            makers: [Vec::new(), Vec::new()],
            minds: Vec::new(),
            kalshi: Exchange::default(),
            polymarket: Exchange::default(),
            speed: f64::from(speed.max(1)),
            virtual_secs: 0.0,
            stamp: start,
            settlements: Vec::new(),
            happenings: Vec::new(),
            labels: HashMap::new(),
            halted: BTreeSet::new(),
            late: 0,
            opened: [0, 0],
            catalog,
            rng,
        };
        for at in 0..world.catalog.kalshi.len() {
            world.kalshi.list(world.catalog.kalshi[at].structure.grid(), start);
            world.learn_terms(at);
        }
        for at in 0..world.catalog.polymarket.len() {
            world.polymarket.list(even(world.catalog.polymarket[at].tick), start);
        }
        world.populate();
        world.happenings.clear();
        world
    }

    fn populate(&mut self) {
        let mut owners = [vec![0; self.catalog.kalshi.len()], vec![0; self.catalog.polymarket.len()]];
        for at in 0..self.catalog.topics.len() {
            let mind = self.new_mind(at);
            self.minds.push(mind);
            let topic = &self.catalog.topics[at];
            if let Some(market) = topic.kalshi {
                owners[0][market] = at;
            }
            if let Some(market) = topic.polymarket {
                owners[1][market] = at;
            }
        }
        for event in 0..self.catalog.kalshi_events.len() {
            self.agree_within(event);
        }
        for venue in Venue::ALL {
            let topics = std::mem::take(&mut owners[venue as usize]);
            for (market, topic) in topics.into_iter().enumerate() {
                self.add_maker(venue, market, topic);
            }
        }
    }

    /// A new market, announced before its first order.
    fn open_market(&mut self, venue: Venue) {
        let Some(topic) = self.catalog.list_late(&mut self.rng, venue, self.stamp) else { return };
        let market = match venue {
            Venue::Kalshi => {
                let grid = self.catalog.kalshi[self.catalog.kalshi.len() - 1].structure.grid();
                let market = self.kalshi.list(grid, self.stamp);
                self.learn_terms(market);
                market
            }
            Venue::Polymarket => {
                let grid = even(self.catalog.polymarket[self.catalog.polymarket.len() - 1].tick);
                self.polymarket.list(grid, self.stamp)
            }
        };
        let mind = self.new_mind(topic);
        self.minds.push(mind);
        self.tell(venue, market, Life::Created);
        self.add_maker(venue, market, topic);
    }

    fn new_mind(&mut self, topic: usize) -> Mind {
        let Topic { exclusive, kalshi, polymarket, .. } = self.catalog.topics[topic];
        let closes = topic < CLOSING && kalshi.is_some() && polymarket.is_some();
        // Of several candidates only one can win, so none starts far above a half.
        let (low, width) = if exclusive { (1_400.0, 3_000.0) } else { (1_500.0, 7_000.0) };
        let fair = low + self.rng.f64() * width;
        Mind {
            fair,
            restless: 2.0 + self.rng.f64() * 4.0,
            dislocation: None,
            closes_at: closes.then(|| 300.0 * 1.13_f64.powi(topic as i32)),
            answer_yes: self.rng.f64() * 10_000.0 < fair,
            decided: None,
            stage: Stage::Open,
        }
    }

    /// Makes one event's questions agree: a higher level is never likelier than a lower one, of several candidates at
    /// most one wins, and one draw answers all of them.
    fn agree_within(&mut self, event: usize) {
        let draw = self.rng.f64() * 10_000.0;
        let event = &self.catalog.kalshi_events[event];
        let mut topics: Vec<(f64, usize)> = Vec::new();
        for (at, topic) in self.catalog.topics.iter().enumerate() {
            if let Some(market) = topic.kalshi.filter(|market| event.markets.contains(market)) {
                topics.push((self.catalog.kalshi[market].strike.level(), at));
            }
        }
        topics.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut fairs: Vec<f64> = topics.iter().map(|&(_, at)| self.minds[at].fair).collect();
        if !event.exclusive {
            fairs.sort_by(|one, other| other.total_cmp(one));
        }
        let mut below = 0.0;
        for ((_, at), fair) in topics.into_iter().zip(fairs) {
            let mind = &mut self.minds[at];
            mind.fair = fair;
            mind.answer_yes = below <= draw && draw < below + fair;
            if event.exclusive {
                below += fair;
            }
        }
    }

    fn add_maker(&mut self, venue: Venue, market: usize, topic: usize) {
        let flipped = venue == Venue::Polymarket && self.catalog.topics[topic].inverted;
        let maker = Maker::new(&mut self.rng, topic, flipped);
        self.makers[venue as usize].push(maker);
        self.requote(venue, market, self.minds[topic].fair);
    }

    /// What is listed.
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// One venue's books.
    pub const fn exchange(&self, venue: Venue) -> &Exchange {
        match venue {
            Venue::Kalshi => &self.kalshi,
            Venue::Polymarket => &self.polymarket,
        }
    }

    /// The wall time of the last step.
    pub const fn stamp(&self) -> UnixMs {
        self.stamp
    }

    /// What has been paid so far.
    pub fn settlements(&self) -> &[SimSettlement] {
        &self.settlements
    }

    /// How many dislocations opened: worth taking after fees, and not.
    pub const fn opened(&self) -> [u64; 2] {
        self.opened
    }

    /// A market's index from its ticker or condition id.
    pub fn find(&self, venue: Venue, name: &str) -> Option<usize> {
        match venue {
            Venue::Kalshi => self.catalog.kalshi.iter().position(|market| market.ticker == name),
            Venue::Polymarket => self.catalog.polymarket.iter().position(|market| market.condition_id == name),
        }
    }

    /// Moves virtual time by `dt_ms`; everything that happens is stamped `stamp`, which never goes back.
    pub fn step(&mut self, dt_ms: f64, stamp: UnixMs) -> Vec<Happening> {
        self.stamp = self.stamp.max(stamp);
        let secs = dt_ms / 1_000.0;
        self.virtual_secs += secs;
        if OPENINGS.get(self.late).is_some_and(|&at| at <= self.virtual_secs) {
            self.open_market(Venue::ALL[self.late % 2]);
            self.late += 1;
        }
        for topic in 0..self.minds.len() {
            self.live(topic, secs);
        }
        if self.happens_within(secs, DISLOCATION_SECS) {
            self.dislocate();
        }
        std::mem::take(&mut self.happenings)
    }

    /// What happened since the last step, by the hand of chaos.
    pub fn drain(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    fn wall_ms(&self) -> f64 {
        self.virtual_secs * 1_000.0 / self.speed
    }

    fn happens_within(&mut self, secs: f64, mean: f64) -> bool {
        self.rng.f64() < 1.0 - (-secs / mean).exp()
    }

    fn venues(&self, topic: usize) -> impl Iterator<Item = (Venue, usize)> + use<> {
        let Topic { kalshi, polymarket, .. } = self.catalog.topics[topic];
        [(Venue::Kalshi, kalshi), (Venue::Polymarket, polymarket)]
            .into_iter()
            .filter_map(|(venue, market)| Some((venue, market?)))
    }

    fn live(&mut self, topic: usize, secs: f64) {
        self.advance_calendar(topic);
        if self.minds[topic].stage != Stage::Open {
            return;
        }
        if let Some(dislocation) = self.minds[topic].dislocation {
            if self.wall_ms() < dislocation.until {
                self.fidget(topic, secs);
                return;
            }
            self.minds[topic].dislocation = None;
            self.minds[topic].fair = dislocation.fair_after;
            for (venue, market) in self.venues(topic) {
                self.requote(venue, market, dislocation.fair_after);
            }
            return;
        }
        self.walk(topic, secs);
        let fair = self.minds[topic].fair;
        for (venue, market) in self.venues(topic) {
            if !self.is_trading(venue, market) {
                continue;
            }
            if self.makers[venue as usize][market].is_behind(fair) {
                self.requote(venue, market, fair);
            }
            if self.happens_within(secs, ACTION_SECS) {
                self.act(venue, market);
            }
        }
    }

    /// Sizes move while a gap is open, and nothing else does.
    fn fidget(&mut self, topic: usize, secs: f64) {
        for (venue, market) in self.venues(topic) {
            if self.happens_within(secs, ACTION_SECS) && self.is_trading(venue, market) {
                let (exchange, maker) = match venue {
                    Venue::Kalshi => (&mut self.kalshi, &self.makers[0][market]),
                    Venue::Polymarket => (&mut self.polymarket, &self.makers[1][market]),
                };
                let events = maker.fidget(&mut self.rng, exchange, market, self.stamp);
                self.record(venue, events);
            }
        }
    }

    fn walk(&mut self, topic: usize, secs: f64) {
        let noise = self.rng.f64() + self.rng.f64() + self.rng.f64() - 1.5;
        let mind = &mut self.minds[topic];
        mind.fair += noise * 2.0 * mind.restless * secs.sqrt();
        if let Some(closes_at) = mind.closes_at {
            let left = closes_at - self.virtual_secs;
            if left < RUN_SECS {
                let goal = if mind.answer_yes { 9_650.0 } else { 350.0 };
                mind.fair += (goal - mind.fair) * (secs / left.max(secs)).min(1.0) * 0.8;
            }
        }
        mind.fair = mind.fair.clamp(400.0, 9_600.0);
    }

    fn act(&mut self, venue: Venue, market: usize) {
        let (exchange, maker) = match venue {
            Venue::Kalshi => (&mut self.kalshi, &self.makers[0][market]),
            Venue::Polymarket => (&mut self.polymarket, &self.makers[1][market]),
        };
        let events = maker.act(&mut self.rng, exchange, market, self.stamp, venue);
        self.record(venue, events);
    }

    /// Makers come to a market only while it trades; later they find that they are behind.
    fn requote(&mut self, venue: Venue, market: usize, fair: f64) {
        if !self.is_trading(venue, market) {
            return;
        }
        let (exchange, maker) = match venue {
            Venue::Kalshi => (&mut self.kalshi, &mut self.makers[0][market]),
            Venue::Polymarket => (&mut self.polymarket, &mut self.makers[1][market]),
        };
        let events = maker.requote(&mut self.rng, exchange, market, fair, self.stamp);
        self.record(venue, events);
    }

    fn record(&mut self, venue: Venue, events: Vec<Event>) {
        for event in events {
            if let What::Trade(trade) = event.what {
                let state = match venue {
                    Venue::Kalshi => &mut self.catalog.kalshi[event.market].state,
                    Venue::Polymarket => &mut self.catalog.polymarket[event.market].state,
                };
                state.last_price = Some(trade.price);
                state.last_qty = trade.qty;
                state.volume = state.volume.checked_add(trade.qty).unwrap_or(Qty::MAX);
                if venue == Venue::Polymarket {
                    // The resting order's price in that order's own token (4.5): a hit bid is a YES order, a lifted
                    // ask is counted as an order to buy NO.
                    let resting = if trade.taker == BookSide::Ask { trade.price } else { trade.price.complement() };
                    self.catalog.polymarket[event.market].last_trade_text = thousandths(resting);
                }
            }
            self.happenings.push(Happening::Book { venue, event });
        }
    }

    fn phase(&self, venue: Venue, market: usize) -> Phase {
        match venue {
            Venue::Kalshi => self.catalog.kalshi[market].state.phase,
            Venue::Polymarket => self.catalog.polymarket[market].state.phase,
        }
    }

    fn is_trading(&self, venue: Venue, market: usize) -> bool {
        let halted = venue == Venue::Kalshi && self.halted.contains(&self.catalog.kalshi[market].exchange_index);
        self.phase(venue, market) == Phase::Active && !halted
    }

    fn tell(&mut self, venue: Venue, market: usize, life: Life) {
        let at = self.stamp;
        match venue {
            Venue::Kalshi => self.catalog.kalshi[market].state.updated_at = at,
            Venue::Polymarket => self.catalog.polymarket[market].state.updated_at = at,
        }
        self.happenings.push(Happening::Life { venue, market, at, life });
    }

    fn advance_calendar(&mut self, topic: usize) {
        let Some(closes_at) = self.minds[topic].closes_at else { return };
        let Topic { kalshi: Some(kalshi), polymarket: Some(polymarket), inverted, .. } = self.catalog.topics[topic]
        else {
            return;
        };
        let since = self.virtual_secs - closes_at;
        let timer = self.catalog.kalshi[kalshi].settlement_timer_secs as f64;
        match self.minds[topic].stage {
            Stage::Open if 0.0 <= since => {
                self.minds[topic].stage = Stage::Closed;
                self.close(kalshi, polymarket);
            }
            Stage::Closed if ANSWER_SECS <= since => {
                self.minds[topic].stage = Stage::Determined;
                let yes = self.payout(topic);
                let market = &mut self.catalog.kalshi[kalshi].state;
                market.phase = Phase::Determined;
                market.payout = Some(yes);
                market.determined_at = Some(self.stamp);
                self.tell(Venue::Kalshi, kalshi, Life::Determined);
            }
            Stage::Determined if ANSWER_SECS + timer <= since => {
                self.minds[topic].stage = Stage::Settled;
                self.settle(Venue::Kalshi, kalshi, self.payout(topic));
            }
            Stage::Settled if RESOLUTION_SECS <= since => {
                self.minds[topic].stage = Stage::Resolved;
                let yes = self.payout(topic);
                let flipped = inverted != (topic == self.disagreeing());
                let paid = if flipped { Money::dollars(1) - yes } else { yes };
                self.settle(Venue::Polymarket, polymarket, paid);
            }
            _ => {}
        }
    }

    /// Kalshi's payout per YES contract.
    fn payout(&self, topic: usize) -> Money {
        if let Some(decided) = self.minds[topic].decided {
            return decided;
        }
        if topic == self.halved() {
            return Money::micros(500_000);
        }
        Money::dollars(i64::from(self.minds[topic].answer_yes))
    }

    /// The one pair in the world whose venues settle differently.
    pub fn disagreeing(&self) -> usize {
        DISAGREEING
    }

    /// The one pair that pays half to each side. Winner-takes-all groups cannot, so it is the first other one.
    pub fn halved(&self) -> usize {
        let plain = |at: &usize| !self.catalog.topics[*at].exclusive && *at != DISAGREEING;
        (HALVED..CLOSING).find(plain).unwrap_or(HALVED)
    }

    fn close(&mut self, kalshi: usize, polymarket: usize) {
        self.catalog.kalshi[kalshi].close_time = self.stamp;
        self.catalog.kalshi[kalshi].state.phase = Phase::Closed;
        self.tell(Venue::Kalshi, kalshi, Life::CloseDateUpdated);
        let events = self.kalshi.clear(kalshi, false, self.stamp);
        self.record(Venue::Kalshi, events);
        self.catalog.polymarket[polymarket].state.phase = Phase::Closed;
        let events = self.polymarket.clear(polymarket, false, self.stamp);
        self.record(Venue::Polymarket, events);
        self.tell(Venue::Polymarket, polymarket, Life::Proposed);
    }

    fn settle(&mut self, venue: Venue, market: usize, yes_payout: Money) {
        let (state, name) = match venue {
            Venue::Kalshi => {
                let market = &mut self.catalog.kalshi[market];
                (&mut market.state, market.ticker.clone())
            }
            Venue::Polymarket => {
                let market = &mut self.catalog.polymarket[market];
                (&mut market.state, market.condition_id.clone())
            }
        };
        state.phase = Phase::Settled;
        state.payout = Some(yes_payout);
        state.settled_at = Some(self.stamp);
        self.settlements.push(SimSettlement { venue, market: name, yes_payout, at: self.stamp });
        self.tell(venue, market, Life::Settled);
    }
}

/// A Polymarket tick as a grid.
fn even(tick: u16) -> Grid {
    Grid::even(tick).expect("the ticks in use divide a dollar")
}

/// A price with three decimals, as in `last_trade_price`.
fn thousandths(price: Price) -> String {
    format!("0.{:03}", price.raw() / 10)
}

/// The owner of orders that are nobody's in particular.
pub const STRANGER: Owner = Owner(1_000);
