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

/// Books a fill. An exit sells what other plans hold, the oldest first, and takes over what that cost: so what it realises is
/// its own, and theirs is what they still hold.
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

/// Plans of earlier starts whose payout is still to come, from the database. Pairs that are not listed any more are left
/// as they are.
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
