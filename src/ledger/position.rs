//! Holdings, cash and results, from trades and payouts alone.
//!
//! Positions are per market, whichever plan or person traded it. Kalshi keeps one signed number a market: holding YES and
//! NO at once gives the dollar back at once (dossier 6). On Polymarket both stay until they are merged or paid.
//!
//! A trade that failed was never there: the market is booked again from the trades that remain, because a cost that was
//! averaged cannot be taken apart.

use std::collections::BTreeMap;

use crate::unit::{MarketId, Money, Outcome, Qty, Tag, Trade, Venue};

/// What is held of one market, and what it has brought.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Holding {
    /// By outcome.
    pub qty: [Qty; 2],
    /// What the contracts held cost, fees included.
    pub cost: [Money; 2],
    /// Received minus paid, over everything.
    pub cash: Money,
    /// Of that, fees.
    pub fees: Money,
    /// Result of what was sold, netted or paid.
    pub realised: Money,
    events: Vec<Event>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Event {
    Traded(Trade),
    Merged(Qty),
    Paid { yes_payout: Money },
}

/// All markets that were ever traded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Positions {
    markets: BTreeMap<MarketId, (Venue, Holding)>,
}

impl Positions {
    /// Books a trade. Its fee is what the venue charged, or the predicted one until it says.
    pub fn trade(&mut self, market: MarketId, venue: Venue, trade: Trade) {
        self.happen(market, venue, Event::Traded(trade));
    }

    /// YES and NO were put together for a dollar each (Polymarket).
    pub fn merge(&mut self, market: MarketId, venue: Venue, qty: Qty) {
        self.happen(market, venue, Event::Merged(qty));
    }

    /// The market paid everything that was held. Returns what arrived.
    pub fn pay(&mut self, market: MarketId, venue: Venue, yes_payout: Money) -> Money {
        let before = self.holding(market).map_or(Money::ZERO, |held| held.cash);
        self.happen(market, venue, Event::Paid { yes_payout });
        self.holding(market).map_or(Money::ZERO, |held| held.cash) - before
    }

    /// Takes a trade out again: it failed.
    pub fn void(&mut self, market: MarketId, tag: Tag) {
        let Some((venue, held)) = self.markets.get_mut(&market) else { return };
        let kept = std::mem::take(&mut held.events);
        *held = Holding::default();
        for event in kept {
            if !matches!(&event, Event::Traded(trade) if trade.tag == tag) {
                held.book(*venue, event);
            }
        }
    }

    /// What is held of a market, if it was ever traded.
    pub fn holding(&self, market: MarketId) -> Option<&Holding> {
        self.markets.get(&market).map(|(_, held)| held)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (MarketId, Venue, &Holding)> {
        self.markets.iter().map(|(market, (venue, held))| (*market, *venue, held))
    }

    fn happen(&mut self, market: MarketId, venue: Venue, event: Event) {
        self.markets.entry(market).or_insert_with(|| (venue, Holding::default())).1.book(venue, event);
    }
}

impl Holding {
    fn book(&mut self, venue: Venue, event: Event) {
        match &event {
            Event::Traded(trade) => {
                let o = trade.outcome as usize;
                let fee = trade.fee.unwrap_or(Money::ZERO);
                self.fees += fee;
                if trade.bought {
                    let paid = trade.price.cost(trade.qty) + fee;
                    self.cash -= paid;
                    self.cost[o] += paid;
                    self.qty[o] = self.qty[o].checked_add(trade.qty).unwrap_or(Qty::MAX);
                } else {
                    let received = trade.price.proceeds(trade.qty) - fee;
                    self.cash += received;
                    let cost = self.give(trade.outcome, trade.qty);
                    self.realised += received - cost;
                }
                if venue == Venue::Kalshi {
                    self.close(self.qty[0].min(self.qty[1]));
                }
            }
            Event::Merged(qty) => self.close(*qty),
            Event::Paid { yes_payout } => {
                for (outcome, payout) in [(Outcome::Yes, *yes_payout), (Outcome::No, Money::dollars(1) - *yes_payout)] {
                    let qty = self.qty[outcome as usize];
                    // Whole micro-dollars arrive, as the venue rounds down.
                    let paid = i128::from(payout.raw()) * i128::from(qty.micros()) / 1_000_000;
                    let paid = Money::micros(paid as i64);
                    self.cash += paid;
                    let cost = self.give(outcome, qty);
                    self.realised += paid - cost;
                }
            }
        }
        self.events.push(event);
    }

    /// Puts YES and NO together: a dollar each comes back.
    fn close(&mut self, qty: Qty) {
        let back = Money::micros(qty.micros() as i64);
        let cost = self.give(Outcome::Yes, qty) + self.give(Outcome::No, qty);
        self.cash += back;
        self.realised += back - cost;
    }

    /// Takes contracts out, with their share of the cost, rounded down.
    fn give(&mut self, outcome: Outcome, qty: Qty) -> Money {
        let o = outcome as usize;
        let all = self.qty[o];
        if all.is_zero() {
            return Money::ZERO;
        }
        let qty = qty.min(all);
        let share = i128::from(self.cost[o].raw()) * i128::from(qty.micros()) / i128::from(all.micros());
        let share = Money::micros(share as i64);
        self.cost[o] -= share;
        self.qty[o] = all.saturating_sub(qty);
        share
    }
}
