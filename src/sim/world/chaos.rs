//! What chaos may do to the world: pauses, grids, fees, a book crossed inside an action.

use super::{Life, PAIRS, Phase, World, even};
use crate::sim::listing::Structure;
use crate::sim::maker::Maker;
use crate::unit::{Money, Venue};

impl World {
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
        let events = self.kalshi.evict(market, self.stamp);
        self.record(Venue::Kalshi, events);
        let fair = self.minds[self.makers[0][market].topic()].fair;
        self.requote(Venue::Kalshi, market, fair);
    }

    /// Stops all trading on one of Kalshi's shards, or lets it go on. Resting orders stay where they are.
    pub fn halt_shard(&mut self, shard: u8, halted: bool) {
        if halted {
            self.halted.insert(shard);
        } else {
            self.halted.remove(&shard);
        }
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
        for at in self.catalog.kalshi_events[event].markets.clone() {
            self.learn_terms(at);
        }
        self.tell(Venue::Kalshi, market, Life::FeeOverridden);
    }

    /// Closes a pair's Kalshi market at the next step, early, and decides what it will pay per YES contract. The answer
    /// and the payout follow in virtual time, as after any close.
    pub fn decide(&mut self, market: usize, yes_payout: Money) {
        let mind = &mut self.minds[self.makers[0][market].topic()];
        mind.closes_at = Some(self.virtual_secs);
        mind.answer_yes = Money::micros(500_000) < yes_payout;
        mind.decided = Some(yes_payout);
        mind.dislocation = None;
    }

    /// A maker on Kalshi crosses his own order, which crosses the book inside one action.
    pub fn cross_inside(&mut self, market: usize) -> bool {
        let events = Maker::cross_himself(&mut self.kalshi, market, self.stamp);
        let crossed = !events.is_empty();
        self.record(Venue::Kalshi, events);
        crossed
    }
}
