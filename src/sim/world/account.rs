//! What accounts need of the world: a way to act on its books, names for their orders, and the terms of its markets.

use super::{Label, World};
use crate::sim::exchange::{Event, Exchange, OrderNo};
use crate::sim::kalshi::clearing::Terms;
use crate::sim::kalshi::fee::{Rate, coefficients};
use crate::unit::{UnixMs, Venue};

impl World {
    /// Lets an account act on Kalshi's books; what it does happens to everybody.
    pub fn on_kalshi<T>(&mut self, now: UnixMs, act: impl FnOnce(&mut Exchange) -> (T, Vec<Event>)) -> T {
        self.stamp = self.stamp.max(now);
        let (result, events) = act(&mut self.kalshi);
        self.record(Venue::Kalshi, events);
        result
    }

    /// Lets somebody act on Polymarket's books; what he does happens to everybody, and is told to him at once as well.
    pub fn on_polymarket<T>(
        &mut self,
        now: UnixMs,
        act: impl FnOnce(&mut Exchange) -> (T, Vec<Event>),
    ) -> (T, Vec<Event>) {
        self.stamp = self.stamp.max(now);
        let (result, events) = act(&mut self.polymarket);
        self.record(Venue::Polymarket, events.clone());
        (result, events)
    }

    /// How many seconds a Polymarket market holds an order that would take.
    pub fn set_seconds_delay(&mut self, market: usize, secs: u16) {
        self.catalog.polymarket[market].seconds_delay = secs;
    }

    /// Says whose an order on Kalshi is, and what its owner calls it.
    pub fn label(&mut self, order: OrderNo, label: Label) {
        self.labels.insert(order, label);
    }

    /// Whose order an event on Kalshi is about, if it is an account's.
    pub fn label_of(&self, event: &Event) -> Option<&Label> {
        self.labels.get(&event.by?)
    }

    /// What a Kalshi market asks of those who trade in it: the event's fee where it has one, else the series'.
    pub(super) fn learn_terms(&mut self, market: usize) {
        let listed = &self.catalog.kalshi[market];
        let event = &self.catalog.kalshi_events[listed.event];
        let series = &self.catalog.series[event.series];
        let (kind, multiplier) = event.fee_override.unwrap_or((series.fee_type, series.fee_multiplier));
        let (taker, maker) = coefficients(kind);
        let terms = Terms {
            shard: listed.exchange_index,
            taker: Rate::new(taker, multiplier),
            maker: Rate::new(maker, multiplier),
        };
        self.kalshi.clearing_mut().set_terms(market, terms);
    }
}
