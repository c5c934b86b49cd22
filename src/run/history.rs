//! What earlier starts did, told a second time for the audit trail.
//!
//! The database is written behind the engine's back, a quarter of a second at a time: a sudden end takes its last rows
//! with it. The journal has them all, so a start writes down what it knows and the database lacks, before anybody reads
//! there what is open, held or won.

use std::collections::{BTreeMap, HashMap};

use crate::{
    ledger::{
        Positions,
        audit::{self, Action, AuditError, AuditReader, Finality, Row},
    },
    order::{Ask, Purpose, leg::Change, plan::Ending},
    risk::Evidence,
    unit::{MarketId, Money, Outcome, Price, Qty, Stage, Tag, Trade, UnixMs, Venue},
};

#[derive(Debug)]
struct Past {
    sighting: u64,
    markets: [MarketId; 2],
    wanted: [Outcome; 2],
    qty: Qty,
    /// Prices of the YES book, of the first orders that came to their record.
    limits: [Option<Price>; 2],
    /// They were sales of what was held.
    exit: bool,
    opened: UnixMs,
    ended: Option<(Ending, UnixMs)>,
}

#[derive(Debug)]
struct Booked {
    plan: u64,
    market: MarketId,
    trade: Trade,
    at: UnixMs,
}

#[derive(Debug)]
struct Payment {
    market: MarketId,
    yes_payout: Money,
    held: [Qty; 2],
    paid: Money,
    at: UnixMs,
}

/// Plans, trades and payouts of all starts so far. Markets are those of this start.
#[derive(Debug, Default)]
pub struct History {
    plans: BTreeMap<u64, Past>,
    booked: Vec<Booked>,
    trades: HashMap<(MarketId, Tag), usize>,
    payments: Vec<Payment>,
    merges: Vec<(MarketId, Qty, UnixMs)>,
    /// Of the newest record that says when it was written; others are taken to be as old.
    at: UnixMs,
}

impl History {
    pub(super) fn opened(&mut self, at: UnixMs) {
        self.at = at;
    }

    pub(super) fn planned(&mut self, plan: u64, sighting: u64, markets: [MarketId; 2], wanted: [Outcome; 2], qty: Qty) {
        let opened = self.at;
        self.plans
            .insert(plan, Past { sighting, markets, wanted, qty, limits: [None; 2], exit: false, opened, ended: None });
    }

    pub(super) fn intended(&mut self, plan: u64, ask: &Ask, at: UnixMs) {
        self.at = at;
        let Some(past) = self.plans.get_mut(&plan) else { return };
        match ask.purpose {
            Purpose::Entry => {}
            Purpose::Exit | Purpose::Flatten | Purpose::Rest => past.exit = true,
            Purpose::Complete | Purpose::Unwind => return,
        }
        let yes = if ask.outcome == Outcome::Yes { ask.limit } else { ask.limit.complement() };
        past.limits[ask.venue as usize] = Some(yes);
        past.opened = at;
    }

    pub(super) fn told(&mut self, plan: u64, market: MarketId, change: Change, at: UnixMs) {
        self.at = at;
        match change {
            Change::Traded(trade) => {
                self.trades.insert((market, trade.tag), self.booked.len());
                self.booked.push(Booked { plan, market, trade, at });
            }
            Change::Confirmed(trade) | Change::Voided(trade) => {
                if let Some(place) = self.trades.get(&(market, trade.tag)) {
                    self.booked[*place].trade = trade;
                }
            }
            Change::Moved | Change::Nothing => {}
        }
    }

    pub(super) fn ended(&mut self, plan: u64, ending: Ending) {
        if let Some(past) = self.plans.get_mut(&plan) {
            past.ended = Some((ending, self.at));
        }
    }

    pub(super) fn paid(&mut self, market: MarketId, yes_payout: Money, held: [Qty; 2], paid: Money) {
        self.payments.push(Payment { market, yes_payout, held, paid, at: self.at });
    }

    pub(super) fn merged(&mut self, market: MarketId, qty: Qty, at: UnixMs) {
        self.at = at;
        self.merges.push((market, qty, at));
    }

    /// Markets that have paid for what was held of them.
    pub fn paid_markets(&self) -> impl Iterator<Item = MarketId> {
        self.payments.iter().map(|payment| payment.market)
    }

    /// What the ends of its plans say of the next one's size, oldest first.
    pub fn evidence(&self) -> impl Iterator<Item = Evidence> {
        self.plans.values().filter_map(|past| past.ended).map(|(ending, _)| ending.evidence())
    }

    /// Does the journal know a plan?
    pub fn knows(&self, plan: u64) -> bool {
        self.plans.contains_key(&plan)
    }

    /// What the database lacks, or has in an earlier state. `names` are the venues' names of the markets, by slot.
    pub fn rows(
        &self,
        names: &[(Venue, Tag)],
        positions: &Positions,
        reader: &AuditReader,
        simulated: bool,
        now: UnixMs,
    ) -> Result<Vec<Row>, AuditError> {
        let mut rows = Vec::new();
        let name = |market: MarketId| names[market.0 as usize].1.as_str().to_owned();
        let known: HashMap<_, _> =
            reader.fills()?.into_iter().map(|fill| ((fill.venue, fill.id), (fill.fee, fill.finality))).collect();
        for Booked { plan, market, trade, at } in &self.booked {
            let (venue, id, fee) =
                (names[market.0 as usize].0, trade.tag.to_string(), trade.fee.unwrap_or(Money::ZERO));
            let finality = match trade.stage {
                Stage::Matched | Stage::Mined => Finality::Provisional,
                Stage::Confirmed => Finality::Final,
                Stage::Failed => Finality::Void,
            };
            if known.get(&(venue, id.clone())) == Some(&(fee, finality)) {
                continue;
            }
            rows.push(Row::Fill(audit::Fill {
                id,
                plan_id: Some(*plan),
                leg: u8::from(venue == Venue::Polymarket),
                venue,
                market: name(*market),
                outcome: trade.outcome,
                action: if trade.bought { Action::Buy } else { Action::Sell },
                price: trade.price,
                qty: trade.qty,
                fee,
                at: *at,
                book_stamp: None,
                finality,
                simulated,
            }));
        }
        for (id, past) in &self.plans {
            rows.extend(past.row(*id, &past.markets.map(name), reader.plan(*id)?).map(Row::Plan));
        }
        let settled: HashMap<_, _> = reader.settlements()?.into_iter().map(|s| ((s.venue, s.market), s.paid)).collect();
        for Payment { market, yes_payout, held, paid, at } in &self.payments {
            let (venue, market) = (names[market.0 as usize].0, name(*market));
            if settled.get(&(venue, market.clone())) != Some(paid) {
                let (yes_payout, paid, at) = (*yes_payout, *paid, *at);
                let [qty_yes, qty_no] = *held;
                rows.push(Row::Settlement(audit::Settlement { venue, market, yes_payout, qty_yes, qty_no, paid, at }));
            }
        }
        for (market, qty, at) in &self.merges {
            // One that is known is written again, and changes nothing.
            rows.push(Row::Merge(audit::Merge { market: name(*market), qty: *qty, at: *at }));
        }
        let mut held: HashMap<_, _> =
            reader.positions()?.into_iter().map(|p| ((p.venue, p.market, p.outcome), (p.qty, p.cost))).collect();
        for (slot, (venue, name)) in names.iter().enumerate() {
            let holding = positions.holding(MarketId(slot as u32));
            for outcome in [Outcome::Yes, Outcome::No] {
                let market = name.as_str().to_owned();
                let (qty, cost) = (holding.qty[outcome as usize], holding.cost[outcome as usize]);
                if held.remove(&(*venue, market.clone(), outcome)).unwrap_or_default() != (qty, cost) {
                    let position = audit::Position { venue: *venue, market, outcome, qty, cost, updated_at: now };
                    rows.push(Row::Position(position));
                }
            }
        }
        Ok(rows)
    }
}

impl Past {
    /// The plan's row, unless `known` is it already.
    fn row(&self, id: u64, names: &[String; 2], known: Option<audit::Plan>) -> Option<audit::Plan> {
        let known = match known {
            Some(row) if row.closed_at.is_some() => return None,
            Some(row) => row,
            None => {
                // A plan of which no first order came to its record has nothing to tell. Where only one leg was to
                // leave, or left first, the other one's price is at most what that leaves of the dollar.
                let same = self.wanted[0] == self.wanted[1];
                let across = |price: Price| if same { price.complement() } else { price };
                let [kalshi, polymarket] = match self.limits {
                    [Some(kalshi), Some(polymarket)] => [kalshi, polymarket],
                    [Some(kalshi), None] => [kalshi, across(kalshi)],
                    [None, Some(polymarket)] => [across(polymarket), polymarket],
                    [None, None] => return None,
                };
                // An exit sells what it does not want.
                let on_kalshi = (self.wanted[0] == Outcome::Yes) != self.exit;
                let yes_on = if on_kalshi { Venue::Kalshi } else { Venue::Polymarket };
                let (yes_limit, no_limit) =
                    if yes_on == Venue::Kalshi { (kalshi, polymarket) } else { (polymarket, kalshi) };
                let paid = |limit: Price, wanted: Outcome| {
                    if wanted == Outcome::Yes { limit } else { limit.complement() }.cost(self.qty)
                };
                audit::Plan {
                    id,
                    opportunity_id: (!self.exit).then_some(self.sighting),
                    pair_key: names.join("|"),
                    yes_on,
                    qty: self.qty,
                    yes_limit,
                    no_limit,
                    state: if self.exit { "leaving" } else { "entering" }.into(),
                    opened_at: self.opened,
                    closed_at: None,
                    // What was expected is gone with the decision; what its limits leave before fees stands here.
                    expected_net: Money::dollar_each(self.qty)
                        - paid(kalshi, self.wanted[0])
                        - paid(polymarket, self.wanted[1]),
                    realised_net: None,
                    realised_at: None,
                }
            }
        };
        Some(match self.ended {
            Some((ending, at)) => audit::Plan { state: ending.name().into(), closed_at: Some(at), ..known },
            None => known,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::OrderId;

    fn row(purpose: Purpose, venues: &[Venue]) -> audit::Plan {
        let mut history = History::default();
        // A pair of which YES on one venue is YES on the other: YES on Kalshi is bought, or NO there is sold.
        let entry = purpose == Purpose::Entry;
        history.planned(7, 3, [MarketId(0), MarketId(1)], [Outcome::Yes, Outcome::No], Qty::whole(10));
        for venue in venues {
            let wanted = if *venue == Venue::Kalshi { Outcome::Yes } else { Outcome::No };
            let ask = Ask {
                id: OrderId::new(1, 1 + *venue as u32).unwrap(),
                venue: *venue,
                market: MarketId(*venue as u32),
                outcome: if entry { wanted } else { wanted.other() },
                buys: entry,
                qty: Qty::whole(10),
                limit: Price::new(4_000).unwrap(),
                purpose,
            };
            history.intended(7, &ask, UnixMs::new(5));
        }
        history.ended(7, if entry { Ending::Filled } else { Ending::Exited });
        history.plans[&7].row(7, &["K".into(), "P".into()], None).unwrap()
    }

    #[test]
    fn a_plan_that_the_database_lacks_is_told_whichever_leg_left_first() {
        let both = row(Purpose::Entry, &Venue::ALL);
        assert_eq!((both.yes_on, both.opportunity_id, both.state.as_str()), (Venue::Kalshi, Some(3), "filled"));
        assert_eq!((both.yes_limit.raw(), both.no_limit.raw()), (4_000, 6_000), "on the YES books");
        let first = row(Purpose::Entry, &[Venue::Polymarket]);
        assert_eq!((first.yes_limit.raw(), first.no_limit.raw()), (6_000, 6_000));
        assert_eq!(first.expected_net, Money::ZERO, "nothing is known of the second one's price");
    }

    #[test]
    fn an_exit_that_the_database_lacks_comes_of_no_opportunity_and_sells_the_other_outcomes() {
        for venues in [&Venue::ALL[..], &[Venue::Kalshi]] {
            let exit = row(Purpose::Exit, venues);
            assert_eq!((exit.yes_on, exit.opportunity_id, exit.state.as_str()), (Venue::Polymarket, None, "exited"));
        }
    }
}
