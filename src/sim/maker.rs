//! A market's makers and takers, driven by one fair value.
//!
//! The makers keep a touch on the market's own grid and a ladder on whole cents behind it. They move only when the
//! value has gone far enough, and remove before they add, so their own moves never trade.

use fastrand::Rng;

use crate::sim::exchange::{Event, Exchange, NewOrder, Owner, SelfTrade};
use crate::sim::world::STRANGER;
use crate::unit::{BookSide, Grid, Price, Qty, UnixMs, Venue};

/// Price units between two levels behind the touch; on every grid in use.
const LADDER_STEP: u16 = 100;
/// How far the value may run, in price units, before the quotes follow. Twice this is less than two half spreads.
const PATIENCE: f64 = 40.0;
const LEVELS_MAX: usize = 40;
/// Levels near the touch that are always filled again.
const KEPT: usize = 5;

/// The makers of one market.
#[derive(Debug)]
pub struct Maker {
    topic: usize,
    flipped: bool,
    half_spread: f64,
    touch_dollars: f64,
    levels: usize,
    quoted: f64,
}

impl Maker {
    /// Makers for a market of `topic`; `flipped` if YES here is NO there.
    pub fn new(rng: &mut Rng, topic: usize, flipped: bool) -> Self {
        let thin = topic % 9 == 8;
        Self {
            topic,
            flipped,
            half_spread: 50.0 + rng.f64() * 25.0,
            touch_dollars: if thin { 120.0 + rng.f64() * 300.0 } else { 7_500.0 + rng.f64() * 20_000.0 },
            levels: rng.usize(10..24),
            quoted: -1.0,
        }
    }

    /// Which question it answers.
    pub const fn topic(&self) -> usize {
        self.topic
    }

    /// Is YES here NO there?
    pub const fn is_flipped(&self) -> bool {
        self.flipped
    }

    /// Too little at the touch to be worth an arbitrage.
    pub fn is_thin(&self) -> bool {
        self.touch_dollars < 1_000.0
    }

    /// Price units from the value to either quote, before rounding to the grid.
    pub const fn half_spread(&self) -> f64 {
        self.half_spread
    }

    /// Has the value run away from the quotes?
    pub fn is_behind(&self, fair: f64) -> bool {
        PATIENCE < (fair - self.quoted).abs()
    }

    /// The touch for a value in the topic's terms, in this market's own YES.
    pub fn quotes(&self, grid: &Grid, fair: f64) -> Option<(Price, Price)> {
        let own = if self.flipped { 10_000.0 - fair } else { fair };
        Some((at_or_below(grid, own - self.half_spread)?, at_or_above(grid, own + self.half_spread)?))
    }

    /// Moves the whole ladder to a value.
    pub fn requote(
        &mut self,
        rng: &mut Rng,
        exchange: &mut Exchange,
        market: usize,
        fair: f64,
        now: UnixMs,
    ) -> Vec<Event> {
        self.quoted = fair;
        let grid = *exchange.market(market).grid();
        let Some((bid, ask)) = self.quotes(&grid, fair) else { return Vec::new() };
        let mut events = Vec::new();
        for (side, touch) in [(BookSide::Bid, bid), (BookSide::Ask, ask)] {
            let beyond: Vec<Price> = exchange
                .market(market)
                .levels(side)
                .map(|level| level.0)
                .filter(|&price| if side == BookSide::Bid { touch < price } else { price < touch })
                .collect();
            for price in beyond {
                events.append(&mut exchange.cancel_level(market, side, price, now));
            }
        }
        for (side, touch) in [(BookSide::Bid, bid), (BookSide::Ask, ask)] {
            self.fill_side(rng, exchange, market, side, touch, now, &mut events);
        }
        events
    }

    #[expect(clippy::too_many_arguments, reason = "one call, split off for its length only")]
    fn fill_side(
        &self,
        rng: &mut Rng,
        exchange: &mut Exchange,
        market: usize,
        side: BookSide,
        touch: Price,
        now: UnixMs,
        events: &mut Vec<Event>,
    ) {
        let empty = exchange.market(market).depth(side) == 0;
        let wanted = if empty { self.levels } else { KEPT };
        let mut price = Some(touch);
        for place in 0..wanted {
            let Some(at) = price else { break };
            let held = exchange.market(market).quantity(side, at);
            let need = self.size(at, if place == 0 { 1.0 } else { 0.3 });
            if held < need {
                let factor = if place == 0 { 1.1 + rng.f64() * 0.6 } else { 0.35 + rng.f64() * 2.0 };
                let qty = self.size(at, factor).saturating_sub(held);
                let order =
                    NewOrder { owner: Owner(rng.u32(1..6)), side, price: at, qty, self_trade: SelfTrade::CancelTaker };
                if let Ok((_, mut placed)) = exchange.place(market, order, now) {
                    events.append(&mut placed);
                }
            }
            price = next(side, at);
        }
        if LEVELS_MAX < exchange.market(market).depth(side) {
            let worst = match side {
                BookSide::Bid => exchange.market(market).levels(side).next(),
                BookSide::Ask => exchange.market(market).levels(side).next_back(),
            };
            if let Some((price, _)) = worst {
                events.append(&mut exchange.cancel_level(market, side, price, now));
            }
        }
    }

    /// Contracts that make `factor` of the touch's dollars on the dearer-to-fill leg, in whole contracts.
    fn size(&self, price: Price, factor: f64) -> Qty {
        let cheaper = f64::from(price.raw().min(price.complement().raw())).max(500.0) / 10_000.0;
        Qty::whole((self.touch_dollars * factor / cheaper).clamp(1.0, 900_000.0) as u32)
    }

    /// One small thing: a size moves, somebody trades, somebody meets himself.
    pub fn act(&self, rng: &mut Rng, exchange: &mut Exchange, market: usize, now: UnixMs, venue: Venue) -> Vec<Event> {
        match rng.u8(0..100) {
            0..=11 => self.trade(rng, exchange, market, now, venue),
            12..=13 if venue == Venue::Kalshi => Self::cross_himself(exchange, market, now),
            _ => self.fidget(rng, exchange, market, now),
        }
    }

    /// A size near the touch grows or shrinks; the touch itself stays where it is.
    pub fn fidget(&self, rng: &mut Rng, exchange: &mut Exchange, market: usize, now: UnixMs) -> Vec<Event> {
        let side = if rng.bool() { BookSide::Bid } else { BookSide::Ask };
        let book = exchange.market(market);
        let place = rng.usize(0..book.depth(side).clamp(1, 12));
        let level = match side {
            BookSide::Bid => book.levels(side).rev().nth(place),
            BookSide::Ask => book.levels(side).nth(place),
        };
        let Some((price, held)) = level else { return Vec::new() };
        let (low, high) = if place == 0 { (1.3, 2.2) } else { (0.4, 3.0) };
        let eager = rng.bool();
        if held < self.size(price, low) || (eager && held < self.size(price, high)) {
            let qty = self.size(price, 0.03 + rng.f64() * 0.25);
            let owner = Owner(rng.u32(1..6));
            let order = NewOrder { owner, side, price, qty, self_trade: SelfTrade::CancelTaker };
            return exchange.place(market, order, now).map(|placed| placed.1).unwrap_or_default();
        }
        let share = if place == 0 { 0.02 + rng.f64() * 0.15 } else { 0.05 + rng.f64() * 0.5 };
        let part = Qty::whole((held.micros() as f64 / 1e6 * share) as u32);
        exchange.thin(market, side, price, part.max(Qty::ONE).min(held), now)
    }

    fn trade(&self, rng: &mut Rng, exchange: &mut Exchange, market: usize, now: UnixMs, venue: Venue) -> Vec<Event> {
        let side = if rng.bool() { BookSide::Bid } else { BookSide::Ask };
        let book = exchange.market(market);
        let met = if side == BookSide::Bid { BookSide::Ask } else { BookSide::Bid };
        let Some(price) = book.best(met) else { return Vec::new() };
        // The hash writes the last trade with three decimals; what becomes of a fourth has never been seen, so here
        // nobody trades on Polymarket at such a price.
        if venue == Venue::Polymarket && !price.raw().is_multiple_of(10) {
            return Vec::new();
        }
        let held = book.quantity(met, price).micros() as f64;
        // Kalshi trades in hundredths of a contract; Polymarket's sizes have two decimals as well.
        let hundredths = (held / 1e4 * (0.002 + rng.f64() * 0.08)).max(100.0) as u64;
        let round = if venue == Venue::Kalshi && rng.bool() { hundredths / 100 * 100 } else { hundredths };
        let Some(qty) = Qty::new(round.max(1) * 10_000) else { return Vec::new() };
        let mut events = exchange.take(market, STRANGER, side, price, qty, now);
        // Somebody refills the touch at once if a trade made it small.
        let short = self.size(price, 1.0).saturating_sub(exchange.market(market).quantity(met, price));
        if !short.is_zero() {
            let qty = self.size(price, 1.2).saturating_sub(exchange.market(market).quantity(met, price));
            let order =
                NewOrder { owner: Owner(rng.u32(1..6)), side: met, price, qty, self_trade: SelfTrade::CancelTaker };
            if let Ok((_, mut placed)) = exchange.place(market, order, now) {
                events.append(&mut placed);
            }
        }
        events
    }

    /// A stranger offers inside the spread, then bids at that price and so removes his own offer, then leaves.
    pub fn cross_himself(exchange: &mut Exchange, market: usize, now: UnixMs) -> Vec<Event> {
        let book = exchange.market(market);
        let (Some(bid), Some(ask)) = (book.best(BookSide::Bid), book.best(BookSide::Ask)) else { return Vec::new() };
        let Some(inside) = at_or_above(book.grid(), f64::from(bid.raw()) + 1.0) else { return Vec::new() };
        if ask <= inside {
            return Vec::new();
        }
        let order = |side| NewOrder {
            owner: STRANGER,
            side,
            price: inside,
            qty: Qty::whole(3),
            self_trade: SelfTrade::CancelMaker,
        };
        let mut events = Vec::new();
        let Ok((_, mut offered)) = exchange.place(market, order(BookSide::Ask), now) else { return events };
        events.append(&mut offered);
        if let Ok((number, mut bidden)) = exchange.place(market, order(BookSide::Bid), now) {
            events.append(&mut bidden);
            events.append(&mut exchange.cancel(number, Qty::MAX, now));
        }
        events
    }
}

/// The next level of the ladder away from the touch: the next whole cent.
fn next(side: BookSide, from: Price) -> Option<Price> {
    let raw = from.raw();
    Price::new(match side {
        BookSide::Bid => (raw - 1) / LADDER_STEP * LADDER_STEP,
        BookSide::Ask => raw / LADDER_STEP * LADDER_STEP + LADDER_STEP,
    })
}

/// The highest grid price not above `raw`.
pub fn at_or_below(grid: &Grid, raw: f64) -> Option<Price> {
    let raw = raw.floor().clamp(0.0, 9_999.0) as u16;
    let band = grid.bands().iter().rev().find(|band| band.start <= raw)?;
    Price::new(band.start + (raw - band.start) / band.step * band.step)
}

/// The lowest grid price not below `raw`.
pub fn at_or_above(grid: &Grid, raw: f64) -> Option<Price> {
    let raw = raw.ceil().clamp(1.0, 10_000.0) as u16;
    let band = grid.bands().iter().find(|band| raw <= band.end)?;
    Price::new(band.start + (raw - band.start).div_ceil(band.step) * band.step)
}
