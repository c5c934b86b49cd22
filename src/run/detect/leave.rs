//! Leaving what is held before it settles: early, where both exits pay more than the dollar that waits at the end; and
//! by a person's word, within a budget, whatever the latch says.
//!
//! What a newcomer gets wrong: selling YES takes the same bids as buying NO. So the edge of leaving a pair is the edge
//! of the other direction, and its depth, fees and worst prices are found by the same walk.

use super::{Detector, Outbox, paper::LOOP_MAX};
use crate::{
    order::plan::First,
    risk::TradingState,
    run::{
        event::{Event, FlattenState, FlattenWait, Leave, Ready, What},
        execute::PLANS_MAX,
    },
    spread::{
        Direction, Legs, Rate, Take,
        pair::{self, Reach, Walk},
    },
    unit::{BookSide, MarketId, Money, Nanos, Outcome, PairId, Price, Qty, Venue},
    wire::Arrival,
};

/// Between two sales of a pair while everything is sold.
const AGAIN: Nanos = Nanos::secs(1);
/// Any loss at all: how much is sold is the budget's to say.
const ANY: Rate = Rate::new(-2 * Rate::DOLLAR.raw());

/// When what is held is sold before its end.
#[derive(Clone, Debug)]
pub struct LeaveSetup {
    /// What both exits must pay beyond a dollar, after fees.
    pub gain_min: Rate,
    /// What selling everything by a person's word may lose against what it cost.
    pub loss_max: Money,
    /// What it has lost already, where an earlier start was told to.
    pub begun: Option<Money>,
    /// Pairs whose exits go on from before the start.
    pub open: Vec<PairId>,
}

/// Everything held is being sold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flatten {
    lost: Money,
    told: Option<FlattenState>,
}

impl Flatten {
    pub(super) const fn begun(lost: Money) -> Self {
        Self { lost, told: None }
    }

    /// A sale is over.
    pub(super) fn realised(&mut self, realised: Money) {
        self.lost -= realised;
    }
}

/// What could be sold now.
struct Sale {
    qty: Qty,
    limits: [Option<Price>; 2],
    /// Against what it cost, at the limits and with fees.
    loss: Money,
}

impl Detector {
    /// The pair's other direction is worth buying: then what is held of this one is worth more sold than kept.
    pub(super) fn leave_early(&mut self, id: PairId, direction: Direction, at: Arrival, out: &mut Outbox) {
        let rests = self.pairs[id.0 as usize].plan_ended.is_some_and(|at_| at.now.since(at_) < self.limits.cooldown);
        let ready = self.state == TradingState::Active
            && self.pairs[id.0 as usize].closed < LOOP_MAX
            && self.limits.auto_execute
            && self.agrees
            && self.both_open(at);
        let pair = self.pair_lines[id.0 as usize].pair;
        // What somebody else trades with our account is left alone.
        let foreign = [pair.kalshi, pair.polymarket].iter().any(|market| self.markets[market.0 as usize].foreign);
        if !ready
            || rests
            || foreign
            || !self.may_leave(id)
            || !self.pace.allows(2, self.limits.orders_per_second, at.now)
        {
            return;
        }
        let reach = Reach { threshold: self.leaving.gain_min, net: true, slippage: self.rules.slippage };
        if let Some(sale) = self.both(id, direction, &reach, at) {
            self.leave(id, direction, &sale, false, at, out);
        }
    }

    /// Does neither venue refuse orders that take? One leg alone would wait for the other.
    fn both_open(&self, at: Arrival) -> bool {
        self.shut.iter().all(|until| *until <= at.now)
    }

    /// A person has said that everything is to be sold.
    pub(super) fn flatten(&mut self) {
        if self.flatten.is_none() {
            self.flatten = Some(Flatten::begun(Money::ZERO));
        }
    }

    /// Sells on while anything is held, and says how far it is.
    pub(super) fn sell_on(&mut self, at: Arrival, out: &mut Outbox) {
        let Some(Flatten { lost, .. }) = self.flatten else { return };
        let mut dear = false;
        for slot in 0..self.pairs.len() {
            let id = PairId(slot as u32);
            let again = self.pairs[slot].plan_ended.is_none_or(|ended| AGAIN <= at.now.since(ended));
            if !self.pairs[slot].holds || !again || !self.agrees || !self.both_open(at) || !self.may_leave(id) {
                continue;
            }
            let promised: Money = self.pairs.iter().filter_map(|pair| pair.leaving).sum();
            // Where more than the budget is gone already, what loses nothing is sold all the same.
            let left = (self.leaving.loss_max - lost - promised).max(Money::ZERO);
            let reach = Reach { threshold: ANY, net: true, slippage: self.rules.slippage };
            for direction in Direction::ALL {
                let both = self.both(id, direction, &reach, at);
                let sale =
                    both.or_else(|| Venue::ALL.into_iter().find_map(|venue| self.alone(id, direction, venue, at)));
                let Some(sale) = sale else { continue };
                match self.within(id, direction, sale, left) {
                    Some(sale) => {
                        self.leave(id, direction, &sale, true, at, out);
                        break;
                    }
                    None => dear = true,
                }
            }
        }
        self.tell_flatten(dear, at, out);
    }

    /// What selling everything would lose against what it cost, as the books stand, and how many markets nobody bids
    /// for.
    pub(super) fn flatten_cost(&self, at: Arrival) -> (Money, u32) {
        let (mut loss, mut unsellable) = (Money::ZERO, 0);
        for (slot, market) in self.markets.iter().enumerate().filter(|(_, market)| !market.settled) {
            for outcome in [Outcome::Yes, Outcome::No] {
                let held = market.held[outcome as usize];
                if held.is_zero() {
                    continue;
                }
                let side = if outcome == Outcome::Yes { BookSide::Bid } else { BookSide::Ask };
                match self.offer(MarketId(slot as u32), side, outcome, false, held, at) {
                    Some(offer) => loss += market.cost[outcome as usize].part(offer.qty, held) + offer.cost,
                    None => unsellable += 1,
                }
            }
        }
        (loss, unsellable)
    }

    /// May a plan that sells a pair's legs begin? None that may count on what is held there is on its way.
    fn may_leave(&self, id: PairId) -> bool {
        let room = self.open_plans < PLANS_MAX && self.room && !self.draining;
        room && !self.sharing(id).any(|pair| self.pairs[pair.0 as usize].plan)
    }

    /// Is what this pair's markets hold being sold?
    pub(super) fn is_left(&self, id: PairId) -> bool {
        self.sharing(id).any(|pair| self.pairs[pair.0 as usize].leaving.is_some())
    }

    /// The pair, and those that share a market with it.
    fn sharing(&self, id: PairId) -> impl Iterator<Item = PairId> {
        let pair = self.pair_lines[id.0 as usize].pair;
        [pair.kalshi, pair.polymarket]
            .into_iter()
            .flat_map(|market| &self.market_lines[market.0 as usize].pairs)
            .copied()
    }

    /// What is held of a leg of the direction opposite to `legs`.
    fn held(&self, take: Take) -> (Outcome, Qty, Money) {
        let market = &self.markets[take.market.0 as usize];
        let outcome = take.buys().other();
        (outcome, market.held[outcome as usize], market.cost[outcome as usize])
    }

    /// The most that one sale sells: what it was to answer may come to nothing. Two of the smallest orders always may be
    /// sold at once, so that what is held can be sold whatever the limit is now, down to its last contract.
    fn at_once(&self, least: Qty) -> Qty {
        self.budget.contracts_max().min(self.rules.naked_qty_max).max(least.times(2))
    }

    /// Both legs that are held against `direction`, as far as both books take them.
    fn both(&self, id: PairId, direction: Direction, reach: &Reach, at: Arrival) -> Option<Sale> {
        let legs = self.pair_lines[id.0 as usize].pair.legs(direction);
        let takes = [legs.kalshi, legs.polymarket];
        let most = takes.map(|take| self.held(take).1).into_iter().min().filter(|most| !most.is_zero())?;
        let all = most;
        let slots = takes.map(|take| take.market.0 as usize);
        if slots.iter().any(|slot| self.books[*slot].fit(&self.links, &self.rules.fitness, at.now).is_err()) {
            return None;
        }
        let terms = slots.map(|slot| &self.markets[slot].terms);
        let least = terms[0].qty_min.max(terms[1].qty_min);
        let most = all.min(self.at_once(least));
        let books = slots.map(|slot| &self.books[slot]);
        let gone = |market, side, price| self.paper.gone(market, side, price);
        let walk = |most: Qty| {
            let most = most.floor_to(terms[0].qty_step.max(terms[1].qty_step));
            pair::walk(&legs, books, [&terms[0].fee, &terms[1].fee], reach, most, gone)
        };
        // A level may end between two steps of what may be ordered.
        let Walk { qty, worst, .. } = walk(walk(most).qty);
        let qty = leaving_an_order(all, qty, least);
        let enough = !qty.is_zero() && terms.iter().all(|terms| terms.qty_min <= qty);
        let limit = |v: usize| worst[v].map(|price| takes[v].cost(price).complement());
        enough.then(|| self.sale(&legs, qty, [limit(0), limit(1)]))
    }

    /// What stands alone on one leg: no plan's any more, and not matched by any pair of its market.
    fn alone(&self, id: PairId, direction: Direction, venue: Venue, at: Arrival) -> Option<Sale> {
        let legs = self.pair_lines[id.0 as usize].pair.legs(direction);
        let take = [legs.kalshi, legs.polymarket][venue as usize];
        let (outcome, held, _) = self.held(take);
        let matched = self.market_lines[take.market.0 as usize].pairs.iter().map(|other| {
            let pair = self.pair_lines[other.0 as usize].pair;
            let against = |direction| {
                let legs = pair.legs(direction);
                [legs.kalshi, legs.polymarket]
            };
            let legs = Direction::ALL.map(against).into_iter().find(|legs| legs[venue as usize] == take);
            legs.map_or(Qty::ZERO, |legs| self.held(legs[venue.other() as usize]).1)
        });
        let alone = matched.fold(held, Qty::saturating_sub);
        let least = self.markets[take.market.0 as usize].terms.qty_min;
        let most = leaving_an_order(alone, alone.min(self.at_once(least)), least);
        let offer = self.offer(take.market, take.side, outcome, false, most, at)?;
        let mut limits = [None; 2];
        limits[venue as usize] = Some(offer.limit);
        Some(self.sale(&legs, offer.qty, limits))
    }

    fn sale(&self, legs: &Legs, qty: Qty, limits: [Option<Price>; 2]) -> Sale {
        let mut loss = Money::ZERO;
        for (take, limit) in [legs.kalshi, legs.polymarket].into_iter().zip(limits) {
            let Some(limit) = limit else { continue };
            let (_, held, cost) = self.held(take);
            let fee = self.markets[take.market.0 as usize].terms.fee.at_most(limit, qty, 1);
            loss += cost.part(qty, held) + fee - limit.proceeds(qty);
        }
        Sale { qty, limits, loss }
    }

    /// As much of a sale as loses no more than `left`, which is not negative; `None` if that is less than an order.
    fn within(&self, id: PairId, direction: Direction, sale: Sale, left: Money) -> Option<Sale> {
        if sale.loss <= left {
            return Some(sale);
        }
        let legs = self.pair_lines[id.0 as usize].pair.legs(direction);
        let part = i128::from(sale.qty.micros()) * i128::from(left.raw()) / i128::from(sale.loss.raw());
        let sold = [legs.kalshi, legs.polymarket].into_iter().zip(sale.limits).filter(|(_, limit)| limit.is_some());
        let terms = || sold.clone().map(|(take, _)| &self.markets[take.market.0 as usize].terms);
        let step = terms().map(|terms| terms.qty_step).max()?;
        let qty = Qty::new(part as u64).unwrap_or(Qty::ZERO).floor_to(step);
        let enough = !qty.is_zero() && terms().all(|terms| terms.qty_min <= qty);
        // Fees round up, so that a part may lose a little more than its share.
        let part = self.sale(&legs, qty, sale.limits);
        (enough && part.loss <= left).then_some(part)
    }

    /// The plan leaves for the executor.
    fn leave(&mut self, id: PairId, direction: Direction, sale: &Sale, flatten: bool, at: Arrival, out: &mut Outbox) {
        let legs = self.pair_lines[id.0 as usize].pair.legs(direction);
        let Sale { qty, limits, loss } = *sale;
        let state = &mut self.pairs[id.0 as usize];
        (state.plan, state.leaving) = (true, Some(loss));
        self.next_id += 1;
        self.open_plans += 1;
        for _ in limits.iter().flatten() {
            self.pace.note(at.now);
        }
        let (plan, held) = (self.next_id, direction.other());
        let first = self.held_first(&legs).map_or(First::Together, First::Alone);
        // What is held is not what these legs would buy.
        let on_book = |take: Take, limit: Option<Price>| match take.buys().other() {
            Outcome::Yes => limit,
            Outcome::No => limit.map(Price::complement),
        };
        let worst = [on_book(legs.kalshi, limits[0]), on_book(legs.polymarket, limits[1])];
        let what = What::Leaving { id: plan, pair: id, held, qty, limits: worst, loss };
        out.events.push(Event { at: at.unix, what });
        out.ready.push(Ready::Leave(Leave { plan, pair: id, legs, qty, limits, first, flatten }));
    }

    fn tell_flatten(&mut self, dear: bool, at: Arrival, out: &mut Outbox) {
        let left = self.markets.iter().filter(|market| !market.settled && market.held != [Qty::ZERO; 2]).count();
        let (most, busy) = (self.leaving.loss_max, 0 < self.open_plans || !self.both_open(at));
        let Some(flatten) = &mut self.flatten else { return };
        let why = match left {
            _ if busy => FlattenWait::Selling,
            0 => FlattenWait::Flat,
            _ if !self.agrees => FlattenWait::Disagrees,
            _ if dear => FlattenWait::Budget,
            _ => FlattenWait::NoBid,
        };
        let now = FlattenState { left: left as u32, lost: flatten.lost, most, why };
        if flatten.told != Some(now) {
            flatten.told = Some(now);
            out.events.push(Event { at: at.unix, what: What::Flatten { state: now } });
        }
    }
}

/// As much of `qty` that what is left of `all` is an order again, or nothing: less would stay.
fn leaving_an_order(all: Qty, qty: Qty, least: Qty) -> Qty {
    let rest = all.saturating_sub(qty);
    if !rest.is_zero() && rest < least { qty.saturating_sub(least) } else { qty }
}
