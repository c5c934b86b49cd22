//! The demo's second count: cash, positions and profit from the rows of the database alone, and the same from the
//! simulated exchanges' own accounts.

use std::{collections::BTreeMap, path::Path};

use crate::{
    cli::sim::DEMO_CASH,
    ledger::audit::AuditReader,
    run::snapshot::Snapshot,
    sim::{kalshi::account::SHARDS, serve::Running},
    unit::{Money, Outcome, Qty, Venue},
};

/// What does not agree, one line each.
#[derive(Debug, Default)]
pub struct Check {
    pub odd: Vec<String>,
    /// Fills that were told as they happened.
    pub fills: u64,
    /// Positions that were compared with the exchanges' own accounts.
    pub positions: usize,
}

impl Check {
    /// Counts everything a second time.
    pub fn count(
        &mut self,
        state: &Path,
        opening: [Money; 2],
        snapshot: &Snapshot,
        running: Option<&Running>,
    ) -> anyhow::Result<()> {
        let reader = AuditReader::open(&state.join("orion.db"))?;
        let [kalshi, polymarket] = Venue::ALL;
        let books = reader.recompute([(kalshi, opening[0]), (polymarket, opening[1])])?;
        self.odd.extend(books.odd.iter().cloned());
        let mut cost = Money::ZERO;
        for venue in &books.venues {
            let engine: i64 = snapshot.balances.iter().filter(|b| b.venue == venue.venue.name()).map(|b| b.cash).sum();
            if engine != venue.cash.raw() {
                let engine = Money::micros(engine);
                self.odd.push(format!("{}: the engine has {engine:#}, its fills make {:#}", venue.venue, venue.cash));
            }
            cost += venue.holdings.iter().map(|holding| holding.cost).sum();
        }
        if cost.raw() != snapshot.locked {
            let engine = Money::micros(snapshot.locked);
            self.odd.push(format!("open positions cost {cost:#} by their fills, {engine:#} by the engine"));
        }
        let realised: Money = books.venues.iter().map(|v| v.realised).sum();
        if realised.raw() != snapshot.realised_today {
            let engine = Money::micros(snapshot.realised_today);
            self.odd.push(format!("realised {realised:#} by fills and payouts, {engine:#} by the engine"));
        }
        if self.fills != snapshot.fills {
            self.odd.push(format!("{} fills were told, {} were made", self.fills, snapshot.fills));
        }
        let Some(running) = running else { return Ok(()) };
        let paid = running.settlements();
        for told in reader.settlements()? {
            let theirs = paid.iter().find(|s| s.venue == told.venue && s.market == told.market);
            if theirs.map(|s| s.yes_payout) != Some(told.yes_payout) {
                let theirs = theirs.map_or("nothing".into(), |s| s.yes_payout.to_string());
                self.odd
                    .push(format!("{}: booked {} per YES, the exchange paid {theirs}", told.market, told.yes_payout));
            }
        }
        let settled: Vec<&str> = paid.iter().map(|s| s.market.as_str()).collect();
        let accounts = [kalshi_account(running), polymarket_account(running, &settled)];
        for (venue, theirs) in books.venues.iter().zip(accounts) {
            let mut flow = venue.cash - opening[venue.venue as usize];
            let mut ours: BTreeMap<(String, Outcome), Qty> = BTreeMap::new();
            for holding in &venue.holdings {
                // What was paid while the demo ended, and came too late to be booked.
                let late = paid.iter().find(|s| s.venue == venue.venue && s.market == holding.market);
                match late {
                    Some(late) => flow += payout(venue.venue, late.yes_payout, holding.outcome, holding.qty),
                    None => _ = ours.insert((holding.market.clone(), holding.outcome), holding.qty),
                }
            }
            if flow != theirs.flow {
                self.odd.push(format!(
                    "{}: cash moved by {flow:#} here, by {:#} at the exchange",
                    venue.venue, theirs.flow
                ));
            }
            self.positions += ours.len();
            for key in ours.keys().chain(theirs.held.keys()) {
                let of = |held: &BTreeMap<(String, Outcome), Qty>| held.get(key).copied().unwrap_or(Qty::ZERO);
                if of(&ours) != of(&theirs.held) {
                    let (market, outcome) = (&key.0, key.1.name());
                    let (here, there) = (of(&ours), of(&theirs.held));
                    self.odd.push(format!("{market}: {here} {outcome} here, {there} at the exchange"));
                }
            }
        }
        self.odd.dedup();
        Ok(())
    }
}

/// What a settled market pays for what is held: rounded down, at Kalshi to whole cents.
fn payout(venue: Venue, yes_payout: Money, outcome: Outcome, qty: Qty) -> Money {
    let each = if outcome == Outcome::Yes { yes_payout } else { Money::dollars(1) - yes_payout };
    let exact = i128::from(each.raw()) * i128::from(qty.micros()) / 1_000_000;
    let step = if venue == Venue::Kalshi { 10_000 } else { 1 };
    Money::micros(exact as i64 / step * step)
}

/// What an exchange's own books say of the demo's account.
struct Account {
    /// Cash now less cash at first.
    flow: Money,
    held: BTreeMap<(String, Outcome), Qty>,
}

fn kalshi_account(running: &Running) -> Account {
    running.kalshi_account(|desk, world| {
        let cash: Money = (0..SHARDS).map(|shard| desk.cash(world, 0, 0, shard)).sum();
        let mut held = BTreeMap::new();
        for (at, market) in world.catalog().kalshi.iter().enumerate() {
            let position = desk.position(world, 0, 0, at);
            let outcome = if position < 0 { Outcome::No } else { Outcome::Yes };
            if let Some(qty) = Qty::new(position.unsigned_abs()).filter(|qty| !qty.is_zero()) {
                held.insert((market.ticker.clone(), outcome), qty);
            }
        }
        Account { flow: cash - Money::micros(i64::from(SHARDS) * DEMO_CASH.raw()), held }
    })
}

/// What markets have paid is counted as redeemed, and matches that are not final as they will end.
fn polymarket_account(running: &Running, settled: &[&str]) -> Account {
    running.with_polymarket(|desk, world, _| {
        let mut held = BTreeMap::new();
        for (at, market) in world.catalog().polymarket.iter().enumerate() {
            if settled.contains(&market.condition_id.as_str()) {
                let _ = desk.redeem(0, at, world);
            }
            for (number, outcome) in [(0, Outcome::Yes), (1, Outcome::No)] {
                let qty = desk.wallet(0).expected(at, number);
                if !qty.is_zero() {
                    held.insert((market.condition_id.clone(), outcome), qty);
                }
            }
        }
        let wallet = desk.wallet(0);
        Account { flow: wallet.cash - wallet.locked_cash - DEMO_CASH, held }
    })
}
