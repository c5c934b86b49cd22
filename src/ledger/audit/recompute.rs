//! Cash, positions and profit from fills and settlements alone, by a second road: what the engine kept while it ran
//! must agree with this to the micro-dollar.

use std::collections::BTreeMap;

use super::{Action, AuditError, AuditReader, Fill, Finality, Merge, Settlement};
use crate::unit::{Money, Outcome, Qty, UnixMs, Venue};

/// Both venues' books, recomputed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recomputed {
    /// In the order of [`Venue::ALL`].
    pub venues: Vec<VenueBooks>,
    /// What does not add up: sales of what was not held, settlements of other quantities or amounts.
    pub odd: Vec<String>,
}

/// One venue's books.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VenueBooks {
    pub venue: Venue,
    pub cash: Money,
    /// Fees paid, which are inside `cash` and `realised` already.
    pub fees: Money,
    /// Profit of what was sold, netted or settled.
    pub realised: Money,
    /// What is still held, by market.
    pub holdings: Vec<Holding>,
}

/// What is held of one outcome of one market.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holding {
    pub market: String,
    pub outcome: Outcome,
    pub qty: Qty,
    /// With fees.
    pub cost: Money,
}

#[derive(Clone, Copy, Default)]
struct Stock {
    qty: u64,
    cost: i64,
}

impl Stock {
    /// Takes out a part at average cost; the last part takes what cost is left.
    fn take(&mut self, qty: u64) -> i64 {
        let cost = if qty == self.qty {
            self.cost
        } else {
            i64::try_from(i128::from(self.cost) * i128::from(qty) / i128::from(self.qty))
                .expect("a part of a cost is smaller than the cost")
        };
        self.qty -= qty;
        self.cost -= cost;
        cost
    }
}

#[derive(Default)]
struct Books {
    cash: i64,
    fees: i64,
    realised: i64,
    /// YES and NO by market.
    stock: BTreeMap<String, [Stock; 2]>,
}

impl AuditReader {
    /// Recomputes from what lay at each venue before the first fill. Provisional fills count, void ones do not.
    pub fn recompute(&self, opening: [(Venue, Money); 2]) -> Result<Recomputed, AuditError> {
        Ok(recompute(opening, &self.fills()?, &self.settlements()?, &self.merges()?))
    }

    /// Profit realised since a moment: by sales, by pairs that a venue closed, by settlements.
    pub fn realised_since(&self, since: UnixMs) -> Result<Money, AuditError> {
        let nothing = Venue::ALL.map(|venue| (venue, Money::ZERO));
        let realised = |books: &Recomputed| books.venues.iter().map(|venue| venue.realised).sum::<Money>();
        let (mut fills, mut settlements, mut merges) = (self.fills()?, self.settlements()?, self.merges()?);
        let all = realised(&recompute(nothing, &fills, &settlements, &merges));
        fills.retain(|fill| fill.at < since);
        settlements.retain(|settlement| settlement.at < since);
        merges.retain(|merge| merge.at < since);
        Ok(all - realised(&recompute(nothing, &fills, &settlements, &merges)))
    }
}

fn recompute(opening: [(Venue, Money); 2], fills: &[Fill], settlements: &[Settlement], merges: &[Merge]) -> Recomputed {
    let mut odd = Vec::new();
    let venues = Venue::ALL
        .into_iter()
        .map(|venue| {
            let cash = opening.iter().filter(|(at, _)| *at == venue).map(|(_, cash)| cash.raw()).sum();
            let mut books = Books { cash, ..Books::default() };
            let mut settled = settlements.iter().filter(|s| s.venue == venue).peekable();
            let mut merged = merges.iter().filter(|_| venue == Venue::Polymarket).peekable();
            for fill in fills.iter().filter(|fill| fill.venue == venue && fill.finality != Finality::Void) {
                while let Some(merge) = merged.next_if(|m| m.at < fill.at) {
                    books.merge(merge, &mut odd);
                }
                // What happened in the same millisecond: the trade came before the settlement.
                while let Some(settlement) = settled.next_if(|s| s.at < fill.at) {
                    while let Some(merge) = merged.next_if(|m| m.at <= settlement.at) {
                        books.merge(merge, &mut odd);
                    }
                    books.settle(settlement, &mut odd);
                }
                books.trade(fill, &mut odd);
            }
            merged.for_each(|merge| books.merge(merge, &mut odd));
            settled.for_each(|settlement| books.settle(settlement, &mut odd));
            books.close(venue)
        })
        .collect();
    Recomputed { venues, odd }
}

impl Books {
    fn trade(&mut self, fill: &Fill, odd: &mut Vec<String>) {
        let [yes, no] = self.stock.entry(fill.market.clone()).or_default();
        let stock = match fill.outcome {
            Outcome::Yes => &mut *yes,
            Outcome::No => &mut *no,
        };
        let (qty, fee) = (fill.qty.micros(), fill.fee.raw());
        self.fees += fee;
        match fill.action {
            Action::Buy => {
                let paid = fill.price.cost(fill.qty).raw() + fee;
                self.cash -= paid;
                stock.qty += qty;
                stock.cost += paid;
            }
            Action::Sell => {
                if stock.qty < qty {
                    let (id, market) = (&fill.id, &fill.market);
                    odd.push(format!(
                        "fill {id} sold {} {} of {market}, more than held",
                        fill.qty,
                        fill.outcome.name()
                    ));
                }
                let cost = stock.take(qty.min(stock.qty));
                let got = fill.price.proceeds(fill.qty).raw() - fee;
                self.cash += got;
                self.realised += got - cost;
            }
        }
        // Kalshi never lets both outcomes stand: a YES and a NO are a dollar, paid back at once.
        let both = yes.qty.min(no.qty);
        if fill.venue == Venue::Kalshi && 0 < both {
            let cost = yes.take(both) + no.take(both);
            let back = dollars(both);
            self.cash += back;
            self.realised += back - cost;
        }
    }

    /// A YES and a NO became a dollar.
    fn merge(&mut self, merge: &Merge, odd: &mut Vec<String>) {
        let [yes, no] = self.stock.entry(merge.market.clone()).or_default();
        let qty = merge.qty.micros();
        if yes.qty.min(no.qty) < qty {
            odd.push(format!("{} YES and NO of {} were put together, more than held", merge.qty, merge.market));
        }
        let qty = qty.min(yes.qty).min(no.qty);
        let cost = yes.take(qty) + no.take(qty);
        let back = dollars(qty);
        self.cash += back;
        self.realised += back - cost;
    }

    fn settle(&mut self, settlement: &Settlement, odd: &mut Vec<String>) {
        let [yes, no] = self.stock.remove(&settlement.market).unwrap_or_default();
        let market = &settlement.market;
        let (qty_yes, qty_no) = (settlement.qty_yes.micros(), settlement.qty_no.micros());
        if (yes.qty, no.qty) != (qty_yes, qty_no) {
            odd.push(format!("{market} settled for other quantities than the fills make"));
        }
        let part = |qty: u64, payout: i64| i128::from(qty) * i128::from(payout) / 1_000_000;
        let payout = settlement.yes_payout.raw();
        let due = part(qty_yes, payout) + part(qty_no, 1_000_000 - payout);
        // Venues may round a payout per outcome; more than a cent is no rounding.
        if 10_000 < (due - i128::from(settlement.paid.raw())).abs() {
            odd.push(format!("{market} paid {:#}, not what its outcome makes", settlement.paid));
        }
        self.cash += settlement.paid.raw();
        self.realised += settlement.paid.raw() - yes.cost - no.cost;
    }

    fn close(self, venue: Venue) -> VenueBooks {
        let mut holdings = Vec::new();
        for (market, stocks) in self.stock {
            for (outcome, stock) in [Outcome::Yes, Outcome::No].into_iter().zip(stocks) {
                if 0 < stock.qty {
                    let qty = Qty::new(stock.qty).unwrap_or(Qty::MAX);
                    holdings.push(Holding { market: market.clone(), outcome, qty, cost: Money::micros(stock.cost) });
                }
            }
        }
        VenueBooks {
            venue,
            cash: Money::micros(self.cash),
            fees: Money::micros(self.fees),
            realised: Money::micros(self.realised),
            holdings,
        }
    }
}

/// A dollar for each contract, both in millionths.
fn dollars(contracts: u64) -> i64 {
    i64::try_from(contracts).expect("quantities stay below 10^15")
}
