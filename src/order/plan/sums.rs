//! What a plan has: everything is read off its orders, so that a restart that finds them knows as much.

use super::{Came, Excess, Order, Plan};
use crate::{
    order::{Ask, Leg, Purpose, leg::DUST},
    unit::{Money, Outcome, Qty, Stage, Venue},
};

impl Plan {
    /// What a venue's leg holds net of what was closed again: certain, counted for hedging, possible.
    pub fn held(&self, venue: Venue) -> [Qty; 3] {
        let net = |of, opposite| {
            let opens = self.sum(venue, of, |ask| self.opens(ask));
            opens.saturating_sub(self.sum(venue, opposite, |ask| !self.opens(ask)))
        };
        [net(Leg::certain, Leg::possible), net(Leg::filled, Leg::filled), net(Leg::possible, Leg::certain)]
    }

    /// What a venue's leg holds of the outcome that was bought to close it, because what it was to close is not there
    /// any more: counted, and of that final.
    pub(super) fn reversed(&self, venue: Venue) -> [Qty; 2] {
        let wanted = self.wanted(venue);
        let opens = self.sum(venue, Leg::filled, |ask| self.opens(ask));
        let over = self.sum(venue, Leg::filled, |ask| !self.opens(ask)).saturating_sub(opens);
        let certain = self.sum(venue, Leg::certain, |ask| ask.buys && ask.outcome != wanted);
        let sold = self.sum(venue, Leg::filled, |ask| !ask.buys && ask.outcome != wanted);
        [over, over.min(certain.saturating_sub(sold))]
    }

    /// A quantity of a venue's orders, over those that `counts`.
    fn sum(&self, venue: Venue, of: fn(&Leg) -> Qty, counts: impl Fn(&Ask) -> bool) -> Qty {
        let legs = self.orders[venue as usize].iter().map(|order| &order.leg).filter(|leg| counts(&leg.ask));
        legs.fold(Qty::ZERO, |sum, leg| sum.checked_add(of(leg)).unwrap_or(Qty::MAX))
    }

    /// Paid minus received on both legs, fees included.
    pub fn spent(&self) -> Money {
        self.legs().map(Leg::spent).sum()
    }

    /// Does it sell what is held?
    pub fn exits(&self) -> bool {
        self.legs().any(|leg| matches!(leg.ask.purpose, Purpose::Exit | Purpose::Flatten | Purpose::Rest))
    }

    /// Has it one leg only, with nothing to answer?
    pub(super) fn is_single(&self) -> bool {
        self.legs().any(|leg| leg.ask.purpose == Purpose::Rest)
    }

    /// Does it sell because a person wants nothing held?
    pub(super) fn flattens(&self) -> bool {
        self.legs().any(|leg| leg.ask.purpose == Purpose::Flatten)
    }

    /// What closing again has made or lost: paid minus received, without what the equal shares cost.
    pub fn unwound(&self) -> Money {
        let kept: Money =
            Venue::ALL.into_iter().map(|venue| self.opened(venue).part(self.paired(), self.bought(venue))).sum();
        Money::dollar_each(self.bought_back()) + kept - self.spent()
    }

    /// What a venue's leg has bought in all, before anything was closed; of an exit, what it has sold.
    pub fn bought(&self, venue: Venue) -> Qty {
        let exits = self.exits();
        self.sum(venue, Leg::filled, |ask| (ask.buys || exits) && self.opens(ask))
    }

    /// What the first order of each leg came to.
    pub fn came(&self) -> Came {
        if self.exits() {
            return Came::Nothing;
        }
        let first = |venue: Venue| {
            let opens = |order: &&Order| order.leg.ask.buys && self.opens(&order.leg.ask);
            let first = self.orders[venue as usize].first().filter(opens);
            first.map_or(Qty::ZERO, |order| order.leg.filled())
        };
        let [k, p] = Venue::ALL.map(first);
        let (long, more) = if k < p { (Venue::Polymarket, p) } else { (Venue::Kalshi, k) };
        match more.saturating_sub(k.min(p)) {
            _ if more.is_zero() => Came::Nothing,
            apart if apart <= DUST => Came::Level,
            _ => Came::Alone(long),
        }
    }

    /// What that cost, fees included; of an exit, what it brought, negative.
    fn opened(&self, venue: Venue) -> Money {
        let exits = self.exits();
        let buys = |leg: &&Leg| (leg.ask.buys || exits) && self.opens(&leg.ask);
        self.orders[venue as usize].iter().map(|order| &order.leg).filter(buys).map(Leg::spent).sum()
    }

    /// Does an order open its leg? Buying the other outcome closes it as well as selling what it holds.
    pub(super) fn opens(&self, ask: &Ask) -> bool {
        ask.buys == (ask.outcome == self.wanted(ask.venue))
    }

    /// What of it is matched but not final, at its price.
    pub fn provisional(&self) -> Money {
        let trades = self.legs().flat_map(Leg::trades);
        trades.filter(|t| matches!(t.stage, Stage::Matched | Stage::Mined)).map(|t| t.price.cost(t.qty)).sum()
    }

    /// What both legs hold as equal shares.
    pub fn paired(&self) -> Qty {
        let [k, p] = Venue::ALL.map(|venue| self.held(venue)[1]);
        k.min(p)
    }

    /// What was closed by buying the other outcome and stands: each such contract brings its dollar too.
    pub fn bought_back(&self) -> Qty {
        let both = |venue: Venue| {
            let of = |outcome| {
                let bought = self.sum(venue, Leg::filled, |ask| ask.buys && ask.outcome == outcome);
                bought.saturating_sub(self.sum(venue, Leg::filled, |ask| !ask.buys && ask.outcome == outcome))
            };
            of(Outcome::Yes).min(of(Outcome::No))
        };
        let both = Venue::ALL.into_iter().map(both).chain([self.crosswise()]);
        both.fold(Qty::ZERO, |sum, qty| sum.checked_add(qty).unwrap_or(Qty::MAX))
    }

    /// What both legs hold of the outcome that they were not to buy: equal shares all the same.
    fn crosswise(&self) -> Qty {
        let [k, p] = Venue::ALL.map(|venue| self.reversed(venue)[0]);
        k.min(p)
    }

    /// What one leg holds more than the other.
    pub fn excess(&self) -> Option<Excess> {
        if self.is_single() {
            return None;
        }
        let exit = self.exits();
        for long in Venue::ALL {
            let [all, sellable] = self.reversed(long);
            let qty = all.saturating_sub(self.crosswise());
            // What is too small for its own venue is closed on the other one, once nothing of the other leg stands
            // there.
            let waits = qty < self.minimum[long as usize] && !self.held(long.other())[1].is_zero();
            if !qty.is_zero() && !waits {
                return Some(Excess { long, qty, sellable: sellable.min(qty), reversed: true, exit });
            }
        }
        let [k, p] = Venue::ALL.map(|venue| self.held(venue)[1]);
        let long = if k < p { Venue::Polymarket } else { Venue::Kalshi };
        let qty = k.max(p).saturating_sub(k.min(p));
        let sellable = self.held(long)[0].min(qty);
        (!qty.is_zero()).then_some(Excess { long, qty, sellable, reversed: false, exit })
    }

    /// What the excess cost.
    pub fn naked(&self) -> Money {
        let Some(excess) = self.excess() else { return Money::ZERO };
        if excess.reversed {
            let wanted = self.wanted(excess.long);
            let closing = |ask: &Ask| ask.buys && ask.outcome != wanted;
            let legs = self.orders[excess.long as usize].iter().map(|order| &order.leg);
            let spent: Money = legs.filter(|leg| closing(&leg.ask)).map(Leg::spent).sum();
            return spent.part(excess.qty, self.sum(excess.long, Leg::filled, closing));
        }
        let opened = self.opened(excess.long).part(excess.qty, self.bought(excess.long));
        // What was sold alone leaves its other leg alone, which is worth what the pair would have paid beyond it.
        if excess.exit { Money::dollar_each(excess.qty) + opened } else { opened }
    }

    /// The outcome that the plan's leg on a venue buys.
    pub fn wanted(&self, venue: Venue) -> Outcome {
        match venue {
            Venue::Kalshi => self.aim.legs.kalshi.buys(),
            Venue::Polymarket => self.aim.legs.polymarket.buys(),
        }
    }
}
