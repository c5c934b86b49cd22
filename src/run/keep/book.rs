//! What a plan has paid and holds, until its payout has come: by its fills, whichever start they belong to.

use std::collections::BTreeMap;

use super::{MarketName, PairName};
use crate::{
    ledger::audit::{self, Action, AuditError, AuditReader, Finality},
    unit::{MarketId, Money, Outcome, Price, Qty, Venue},
};

/// A plan whose payout is still to come.
#[derive(Debug)]
pub struct PlanBook {
    pub(super) row: audit::Plan,
    pub(super) title: String,
    pub(super) fees: [Money; 2],
    /// Market, outcome, quantity, cost with fees: per leg.
    pub(super) legs: [(MarketId, Outcome, Qty, Money); 2],
    pub(super) paid: [Option<Money>; 2],
    pub(super) unwound: Money,
    pub(super) closed: bool,
    /// It sells what other plans bought.
    pub(super) exit: bool,
}

/// What a fill moves.
#[derive(Clone, Copy)]
pub(super) struct Moved {
    pub(super) market: MarketId,
    pub(super) venue: Venue,
    pub(super) outcome: Outcome,
    pub(super) bought: bool,
    pub(super) price: Price,
    pub(super) qty: Qty,
    pub(super) fee: Money,
}

impl PlanBook {
    /// A plan of which nothing is filled.
    pub(super) fn new(row: audit::Plan, name: &PairName) -> Self {
        Self {
            closed: row.closed_at.is_some(),
            exit: row.opportunity_id.is_none(),
            row,
            title: name.title.clone(),
            fees: [Money::ZERO; 2],
            legs: name.markets.map(|market| (market, Outcome::Yes, Qty::ZERO, Money::ZERO)),
            paid: [None; 2],
            unwound: Money::ZERO,
        }
    }

    pub(super) fn fill(&mut self, moved: &Moved) {
        let Moved { venue, bought, price, qty, fee, .. } = *moved;
        let gross = if bought { price.cost(qty) } else { price.proceeds(qty) };
        self.fees[venue as usize] += fee;
        let (_, outcome, filled, spent) = &mut self.legs[venue as usize];
        let closes = !bought || (!filled.is_zero() && *outcome != moved.outcome);
        if closes {
            // Sold, or closed by buying the other outcome, of which each contract brings its dollar.
            let back = if bought { Money::micros(qty.micros() as i64) - gross - fee } else { gross - fee };
            *filled = filled.saturating_sub(qty);
            *spent -= back;
        } else {
            *outcome = moved.outcome;
            *filled = filled.checked_add(qty).unwrap_or(Qty::MAX);
            *spent += gross + fee;
        }
    }

    /// Hands over up to `qty` of what is held of an outcome: how much, and what it cost.
    fn give(&mut self, market: MarketId, outcome: Outcome, qty: Qty) -> (Qty, Money) {
        let leg = self.legs.iter_mut().find(|leg| (leg.0, leg.1) == (market, outcome));
        let Some((_, _, held, spent)) = leg else { return (Qty::ZERO, Money::ZERO) };
        let given = qty.min(*held);
        let cost = spent.part(given, *held);
        *held = held.saturating_sub(given);
        *spent -= cost;
        (given, cost)
    }

    /// A fill that was provisional failed: the plan has it no longer.
    pub(super) fn void(&mut self, moved: &Moved) {
        let Moved { venue, bought, price, qty, fee, .. } = *moved;
        let gross = if bought { price.cost(qty) } else { -price.proceeds(qty) };
        self.fees[venue as usize] -= fee;
        let (_, outcome, filled, spent) = &mut self.legs[venue as usize];
        *spent -= gross + fee;
        if self.exit && !bought && filled.is_zero() {
            // What was not sold after all stays with the plan that was to sell it, with its cost.
            *outcome = moved.outcome;
        }
        let opened = bought && *outcome == moved.outcome;
        *filled = if opened {
            filled.saturating_sub(qty)
        } else {
            // A closing fill that fails opens its contracts again; one that was bought brings no dollar.
            *spent += if bought { Money::dollar_each(qty) } else { Money::ZERO };
            filled.checked_add(qty).unwrap_or(Qty::MAX)
        };
    }

    /// A market pays what is held of it.
    pub(super) fn pay(&mut self, market: MarketId, yes_payout: Money) {
        for (leg, paid) in self.legs.iter().zip(&mut self.paid) {
            let (of, outcome, qty, _) = *leg;
            if of == market && paid.is_none() {
                let each = if outcome == Outcome::Yes { yes_payout } else { Money::dollars(1) - yes_payout };
                let micros = i128::from(each.raw()) * i128::from(qty.micros()) / 1_000_000;
                *paid = Some(Money::micros(micros as i64));
            }
        }
    }

    /// Nothing is held of it.
    pub(super) fn is_empty(&self) -> bool {
        self.legs.iter().all(|leg| leg.2.is_zero())
    }

    pub(super) fn spent(&self) -> Money {
        self.legs[0].3 + self.legs[1].3
    }

    /// What it made, once both legs were paid or nothing is left of them.
    pub(super) fn realised(&self) -> Option<Money> {
        if self.closed && self.is_empty() {
            return Some(-self.spent());
        }
        let [Some(kalshi), Some(polymarket)] = self.paid else { return None };
        self.closed.then(|| kalshi + polymarket - self.spent())
    }
}

/// Books a fill. An exit sells what other plans hold, the oldest first, and takes over what that cost: so what it
/// realises is its own, and theirs is what they still hold.
pub(super) fn book(books: &mut BTreeMap<u64, PlanBook>, plan: u64, moved: &Moved) {
    let Some(exit) = books.get(&plan) else { return };
    if exit.exit && !moved.bought {
        let (mut left, mut cost) = (moved.qty, Money::ZERO);
        // What it bought back itself, if anything, is sold last: it is the newest.
        for (_, book) in books.range_mut(..=plan) {
            let (given, spent) = book.give(moved.market, moved.outcome, left);
            (left, cost) = (left.saturating_sub(given), cost + spent);
        }
        if let Some(exit) = books.get_mut(&plan) {
            exit.fees[moved.venue as usize] += moved.fee;
            exit.legs[moved.venue as usize].3 += cost + moved.fee - moved.price.proceeds(moved.qty);
        }
    } else if let Some(book) = books.get_mut(&plan) {
        book.fill(moved);
    }
}

/// Plans of earlier starts whose payout is still to come, from the database. Pairs that are not listed any more are
/// left as they are.
pub fn books(reader: &AuditReader, pairs: &[PairName], markets: &[MarketName]) -> Result<Vec<PlanBook>, AuditError> {
    let settled = reader.settlements()?;
    let mut books = BTreeMap::new();
    // What exits have sold was other plans', which may be settled by now.
    let rows = if reader.has_exits()? { reader.plans()? } else { reader.unsettled_plans()? };
    for row in rows {
        let Some(name) = pairs.iter().find(|pair| pair.key == row.pair_key) else { continue };
        let id = row.id;
        books.insert(id, PlanBook::new(row, name));
        for fill in reader.fills_of(id)?.iter().filter(|fill| fill.finality != Finality::Void) {
            let audit::Fill { venue, outcome, price, qty, fee, .. } = *fill;
            let (market, bought) = (name.markets[venue as usize], fill.action == Action::Buy);
            book(&mut books, id, &Moved { market, venue, outcome, bought, price, qty, fee });
        }
    }
    books.retain(|_, book| book.row.realised_net.is_none());
    for book in books.values_mut() {
        for market in book.legs.map(|leg| leg.0) {
            let MarketName { venue, name } = &markets[market.0 as usize];
            let paid = settled.iter().find(|s| s.venue == *venue && s.market == *name);
            if let Some(paid) = paid {
                book.pay(market, paid.yes_payout);
            }
        }
    }
    Ok(books.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::UnixMs;

    const MARKETS: [MarketId; 2] = [MarketId(0), MarketId(1)];

    fn books(plans: &[(u64, bool)]) -> BTreeMap<u64, PlanBook> {
        let name = PairName { key: "K|P".into(), title: "a pair".into(), markets: MARKETS };
        let price = Price::new(5_000).unwrap();
        let row = |id: u64, exit: bool| audit::Plan {
            id,
            opportunity_id: (!exit).then_some(id),
            pair_key: "K|P".into(),
            yes_on: Venue::Kalshi,
            qty: Qty::whole(10),
            yes_limit: price,
            no_limit: price,
            state: "filled".into(),
            opened_at: UnixMs::new(1),
            closed_at: Some(UnixMs::new(2)),
            expected_net: Money::ZERO,
            realised_net: None,
            realised_at: None,
        };
        plans.iter().map(|(id, exit)| (*id, PlanBook::new(row(*id, *exit), &name))).collect()
    }

    fn moved(venue: Venue, bought: bool, raw: u16, qty: u32) -> Moved {
        let outcome = if venue == Venue::Kalshi { Outcome::Yes } else { Outcome::No };
        let (price, qty, fee) = (Price::new(raw).unwrap(), Qty::whole(qty), Money::micros(10_000));
        Moved { market: MARKETS[venue as usize], venue, outcome, bought, price, qty, fee }
    }

    /// Two plans of ten contracts each, and an exit of fifteen: the older plan first, and half of the newer one.
    #[test]
    fn an_exit_takes_over_what_its_contracts_cost_and_leaves_the_rest_to_their_plans() {
        let mut books = books(&[(1, false), (2, false), (3, true)]);
        for (plan, yes) in [(1, 4_500), (2, 4_700)] {
            book(&mut books, plan, &moved(Venue::Kalshi, true, yes, 10));
            book(&mut books, plan, &moved(Venue::Polymarket, true, 5_000, 10));
        }
        book(&mut books, 3, &moved(Venue::Kalshi, false, 5_200, 15));
        book(&mut books, 3, &moved(Venue::Polymarket, false, 5_300, 15));
        // 15.75 came in, less two cents of fees; 9.50 and half of 9.70 were paid, and three cents of fees.
        assert_eq!(books[&3].realised(), Some(Money::micros(15_750_000 - 20_000 - 9_500_000 - 4_850_000 - 30_000)));
        assert_eq!(books[&1].realised(), Some(Money::ZERO), "nothing is left of the older one");
        assert_eq!(books[&2].realised(), None);
        for (market, payout) in MARKETS.into_iter().zip([Money::dollars(1), Money::dollars(1)]) {
            books.get_mut(&2).unwrap().pay(market, payout);
        }
        assert_eq!(books[&2].realised(), Some(Money::micros(5_000_000 - 4_850_000 - 10_000)), "five contracts pay");
    }

    #[test]
    fn what_an_exit_buys_back_or_fails_to_sell_is_paid_to_it() {
        for fails in [false, true] {
            let mut books = books(&[(1, false), (2, true)]);
            book(&mut books, 1, &moved(Venue::Kalshi, true, 4_500, 10));
            book(&mut books, 1, &moved(Venue::Polymarket, true, 5_000, 10));
            let sale = moved(Venue::Kalshi, false, 5_200, 10);
            book(&mut books, 2, &sale);
            let back = if fails {
                books.get_mut(&2).unwrap().void(&sale);
                Money::ZERO
            } else {
                book(&mut books, 2, &moved(Venue::Kalshi, true, 5_400, 10));
                Money::micros(200_000 + 20_000)
            };
            for book in books.values_mut() {
                book.pay(MARKETS[0], Money::dollars(1));
                book.pay(MARKETS[1], Money::dollars(1));
            }
            // YES pays: ten dollars to whoever has it, in all ten less what everything cost.
            let both = books[&1].realised().unwrap() + books[&2].realised().unwrap();
            assert_eq!(both, Money::micros(10_000_000 - 9_500_000 - 20_000) - back, "fails: {fails}");
        }
    }
}
