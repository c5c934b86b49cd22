//! A market full of traders, from a seed, in virtual time.
//!
//! Every question has one fair value that walks. Makers quote it on each venue that asks the question, takers trade
//! against them, and the two books of a pair normally leave no gap. Now and then one venue stands alone for a moment:
//! a *dislocation*. Markets close early, are determined and settle, on a fixed calendar.
//!
//! Same seed, same speed, same number of steps: the same events, whatever the stamps. Virtual time moves values, trades
//! and closes; how long a dislocation lives is told in wall time, because an engine lives there too.

use fastrand::Rng;

use crate::sim::exchange::{Event, Exchange, Owner, What};
use crate::sim::listing::{Catalog, PAIRS, Phase, Structure, Topic};
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
            opened: [0, 0],
            catalog,
            rng,
        };
        for at in 0..world.catalog.kalshi.len() {
            world.kalshi.list(world.catalog.kalshi[at].structure.grid(), start);
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
        for (at, topic) in self.catalog.topics.iter().enumerate() {
            let closes_at = (at < CLOSING && topic.polymarket.is_some()).then(|| 300.0 * 1.13_f64.powi(at as i32));
            let fair =
                if topic.exclusive { self.rng.f64() * 3_000.0 + 1_400.0 } else { self.rng.f64() * 7_000.0 + 1_500.0 };
            self.minds.push(Mind {
                fair,
                restless: 2.0 + self.rng.f64() * 4.0,
                dislocation: None,
                closes_at,
                answer_yes: self.rng.f64() * 10_000.0 < fair,
                stage: Stage::Open,
            });
            if let Some(market) = topic.kalshi {
                owners[0][market] = at;
            }
            if let Some(market) = topic.polymarket {
                owners[1][market] = at;
            }
        }
        for venue in Venue::ALL {
            let topics = std::mem::take(&mut owners[venue as usize]);
            for (market, topic) in topics.into_iter().enumerate() {
                self.add_maker(venue, market, topic);
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
            if self.phase(venue, market) != Phase::Active {
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
            if self.happens_within(secs, ACTION_SECS) {
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

    fn requote(&mut self, venue: Venue, market: usize, fair: f64) {
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

    fn tell(&mut self, venue: Venue, market: usize, life: Life) {
        let at = self.stamp;
        match venue {
            Venue::Kalshi => self.catalog.kalshi[market].state.updated_at = at,
            Venue::Polymarket => self.catalog.polymarket[market].state.updated_at = at,
        }
        self.happenings.push(Happening::Life { venue, market, at, life });
    }

    // --- dislocations -------------------------------------------------------------------------------------------

    /// Opens a gap on a random pair that is calm, if one fits.
    fn dislocate(&mut self) {
        let worth_it = self.rng.f64() < 0.6;
        for _ in 0..24 {
            let topic = self.rng.usize(0..PAIRS);
            if self.is_calm(topic) && self.open_gap(topic, worth_it) {
                return;
            }
        }
    }

    fn is_calm(&self, topic: usize) -> bool {
        let mind = &self.minds[topic];
        let far_from_close = mind.closes_at.is_none_or(|at| self.virtual_secs + RUN_SECS + 120.0 < at);
        let ordinary = !self.catalog.topics[topic].odd && mind.dislocation.is_none() && mind.stage == Stage::Open;
        let active = self.venues(topic).all(|(venue, market)| self.phase(venue, market) == Phase::Active);
        let thin = self.venues(topic).any(|(venue, market)| self.makers[venue as usize][market].is_thin());
        far_from_close && ordinary && active && !thin && (1_000.0..9_000.0).contains(&mind.fair)
    }

    fn open_gap(&mut self, topic: usize, worth_it: bool) -> bool {
        let Topic { kalshi: Some(kalshi), polymarket: Some(polymarket), .. } = self.catalog.topics[topic] else {
            return false;
        };
        let (loner, crowd) = if self.rng.bool() {
            ((Venue::Kalshi, kalshi), (Venue::Polymarket, polymarket))
        } else {
            ((Venue::Polymarket, polymarket), (Venue::Kalshi, kalshi))
        };
        let rise = self.rng.bool();
        let fair = self.minds[topic].fair;
        let fees = self.fees(kalshi, polymarket, fair);
        let gross = if worth_it { fees + 230.0 + self.rng.f64() * 100.0 } else { 50.0 + self.rng.f64() * 100.0 };
        // The other book has to stand where the value is before the gap is measured from it.
        self.requote(crowd.0, crowd.1, fair);
        let crowd_touch = self.touch(crowd, rise);
        let Some(edge) = crowd_touch else { return false };
        let goal = if rise { edge + gross } else { edge - gross };
        let shift = self.makers[loner.0 as usize][loner.1].half_spread();
        let step = self.grid_step(loner, goal);
        // A maker rounds his bid down and his ask up; half a step keeps the gap near its goal.
        let round = if worth_it { step - 1.0 } else { step * 0.5 };
        let new_fair = if rise { goal + shift + round } else { goal - shift - round };
        let promised = self.gap_if(loner, new_fair, edge, rise);
        let fits = if worth_it {
            fees + 200.0 <= promised && promised <= 640.0
        } else {
            50.0 <= promised && promised + 10.0 < fees
        };
        if !fits || !(600.0..9_400.0).contains(&new_fair) {
            return false;
        }
        self.requote(loner.0, loner.1, new_fair);
        let lags = self.rng.bool();
        let life = if worth_it { 1_600.0 + self.rng.f64() * 3_200.0 } else { 300.0 + self.rng.f64() * 3_500.0 };
        self.minds[topic].dislocation =
            Some(Dislocation { until: self.wall_ms() + life, fair_after: if lags { new_fair } else { fair } });
        self.opened[usize::from(!worth_it)] += 1;
        true
    }

    /// Where the crowd's venue sells (or buys) in Kalshi's terms.
    fn touch(&self, (venue, market): (Venue, usize), rise: bool) -> Option<f64> {
        let flipped = self.makers[venue as usize][market].is_flipped();
        let side = if rise == flipped { BookSide::Bid } else { BookSide::Ask };
        let best = self.exchange(venue).market(market).best(side)?;
        Some(f64::from(if flipped { best.complement() } else { best }.raw()))
    }

    fn grid_step(&self, (venue, market): (Venue, usize), at: f64) -> f64 {
        let price = Price::new(at.clamp(1.0, 9_999.0) as u16).unwrap_or(Price::MIN);
        f64::from(self.exchange(venue).market(market).grid().step_at(price))
    }

    fn gap_if(&self, (venue, market): (Venue, usize), fair: f64, edge: f64, rise: bool) -> f64 {
        let maker = &self.makers[venue as usize][market];
        let Some((bid, ask)) = maker.quotes(self.exchange(venue).market(market).grid(), fair) else { return -1.0 };
        let (bid, ask) = if maker.is_flipped() { (ask.complement(), bid.complement()) } else { (bid, ask) };
        if rise { f64::from(bid.raw()) - edge } else { edge - f64::from(ask.raw()) }
    }

    /// Both taker fees per contract around `fair`, in price units.
    fn fees(&self, kalshi: usize, polymarket: usize, fair: f64) -> f64 {
        let event = &self.catalog.kalshi_events[self.catalog.kalshi[kalshi].event];
        let multiplier = event.fee_override.map_or(self.catalog.series[event.series].fee_multiplier, |fee| fee.1);
        let rate = self.catalog.polymarket[polymarket].fee.map_or(0, |fee| fee.rate);
        let share = fair / 10_000.0;
        let both = 0.07 * f64::from(multiplier) / 1e6 + f64::from(rate) / 1e6;
        both * share * (1.0 - share) * 10_000.0
    }

    // --- calendar -----------------------------------------------------------------------------------------------

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

    // --- what chaos may ask for ---------------------------------------------------------------------------------

    /// A market of a pair in ordinary trading, at random.
    pub fn any_active(&mut self, venue: Venue) -> Option<usize> {
        (0..20).find_map(|_| {
            let topic = self.rng.usize(0..PAIRS);
            let market = match venue {
                Venue::Kalshi => self.catalog.topics[topic].kalshi?,
                Venue::Polymarket => self.catalog.topics[topic].polymarket?,
            };
            (self.is_calm(topic) && self.phase(venue, market) == Phase::Active).then_some(market)
        })
    }

    /// Pauses a Kalshi market. Its orders stay until it reopens.
    pub fn pause(&mut self, market: usize) {
        self.catalog.kalshi[market].state.phase = Phase::Paused;
        self.tell(Venue::Kalshi, market, Life::Deactivated);
    }

    /// Reopens a paused Kalshi market; every resting order is cancelled, then the makers come back.
    pub fn resume(&mut self, market: usize) {
        if self.catalog.kalshi[market].state.phase != Phase::Paused {
            return;
        }
        self.catalog.kalshi[market].state.phase = Phase::Active;
        self.tell(Venue::Kalshi, market, Life::Activated);
        for side in [BookSide::Bid, BookSide::Ask] {
            let prices: Vec<Price> = self.kalshi.market(market).levels(side).map(|level| level.0).collect();
            for price in prices {
                let events = self.kalshi.cancel_level(market, side, price, self.stamp);
                self.record(Venue::Kalshi, events);
            }
        }
        let fair = self.minds[self.makers[0][market].topic()].fair;
        self.requote(Venue::Kalshi, market, fair);
    }

    /// Changes a Kalshi market's price structure.
    pub fn restructure(&mut self, market: usize, structure: Structure) {
        self.catalog.kalshi[market].structure = structure;
        self.kalshi.regrid(market, structure.grid());
        self.tell(Venue::Kalshi, market, Life::Regridded { old_tick: 0 });
    }

    /// Changes a Polymarket market's tick; orders off the new grid stay.
    pub fn retick(&mut self, market: usize, tick: u16) {
        let old_tick = self.catalog.polymarket[market].tick;
        self.catalog.polymarket[market].tick = tick;
        self.polymarket.regrid(market, even(tick));
        self.tell(Venue::Polymarket, market, Life::Regridded { old_tick });
    }

    /// Sets or clears the fee override of a Kalshi market's event.
    pub fn override_fee(&mut self, market: usize, fee: Option<(&'static str, u32)>) {
        let event = self.catalog.kalshi[market].event;
        self.catalog.kalshi_events[event].fee_override = fee;
        self.tell(Venue::Kalshi, market, Life::FeeOverridden);
    }

    /// A maker on Kalshi crosses his own order, which crosses the book inside one action.
    pub fn cross_inside(&mut self, market: usize) -> bool {
        let events = Maker::cross_himself(&mut self.kalshi, market, self.stamp);
        let crossed = !events.is_empty();
        self.record(Venue::Kalshi, events);
        crossed
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
