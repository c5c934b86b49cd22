//! Questions to the audit trail. Read-only: a reader can slow nobody down and break nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension, Row as Line, params};

use super::{
    Action, AuditError, Balance, Fate, Fill, Finality, Merge, Opportunity, Plan, Position, Settlement, int, named,
    open_reader,
};
use crate::unit::{Money, Outcome, Price, Qty, UnixMs, Venue};

/// A read-only view of the database.
#[derive(Debug)]
pub struct AuditReader {
    path: PathBuf,
    connection: Connection,
}

/// An opportunity and the run that saw it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpportunityRecord {
    pub run_id: i64,
    pub opportunity: Opportunity,
}

/// How often opportunities ended in one way for one reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReasonCount {
    pub outcome: Fate,
    /// Empty where there was nothing to explain.
    pub reason: String,
    pub times: u64,
    /// The best net edge among them, micro-dollars per contract.
    pub best_net: i64,
    pub last_seen: UnixMs,
}

/// What the runs of a mode have shown: evidence for the next one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Shown {
    pub runs: u64,
    /// Runs that ended without a farewell. The newest is not among them: it may still be running.
    pub crashed: u64,
    /// How long they ran, in milliseconds, as far as they said so.
    pub ran_ms: u64,
    /// Of that, with both venues connected.
    pub feeds_ms: u64,
    /// Of that, with both accounts agreeing with the journal.
    pub agreed_ms: u64,
    /// Opportunities that would have been taken if `trading.auto_execute` had been on.
    pub taken: u64,
    /// What they would have brought, each once, in micro-dollars.
    pub modelled: i64,
    /// The last drill of the kill switch.
    pub drilled: Option<UnixMs>,
}

/// What a restarted engine needs to know from the trail.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct State {
    /// Those that are not empty.
    pub positions: Vec<Position>,
    /// The newest per venue and shard.
    pub balances: Vec<Balance>,
    /// Plans that are not closed.
    pub open_plans: Vec<Plan>,
    /// Profit realised since the start of the day.
    pub realised_today: Money,
    /// The highest id in use, 0 if none.
    pub last_opportunity: u64,
    /// The highest id in use, 0 if none.
    pub last_plan: u64,
}

pub(super) const OPPORTUNITY: &str = "SELECT id, run_id, pair_key, title, direction, seen_at, ended_at, yes_price, no_price, \
    gross_micros, fee_micros, net_micros, qty_micros, depth_micros, annual_yield_ppm, days_to_settle_milli, outcome, \
    reason, detect_ns, plan_id FROM opportunities";

impl AuditReader {
    /// Opens an existing database of this build's schema.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        Ok(Self { path: path.into(), connection: open_reader(path)? })
    }

    /// Why opportunities ended as they did, most frequent first; `since` counts those seen from then on.
    pub fn reasons(&self, since: UnixMs) -> Result<Vec<ReasonCount>, AuditError> {
        self.all(
            "SELECT outcome, coalesce(reason, ''), count(*) AS times, max(net_micros), max(seen_at) \
             FROM opportunities WHERE ?1 <= seen_at GROUP BY outcome, reason ORDER BY times DESC, outcome, reason",
            params![int(since.raw())],
            |line| {
                Ok(ReasonCount {
                    outcome: fate(line, 0)?,
                    reason: line.get(1)?,
                    times: nat(line, 2)?,
                    best_net: line.get(3)?,
                    last_seen: UnixMs::new(nat(line, 4)?),
                })
            },
        )
    }

    /// What the runs that began at or after `since` have shown.
    pub fn shown(&self, since: UnixMs) -> Result<Shown, AuditError> {
        let since = int(since.raw());
        let one = |sql: &str| {
            self.connection.query_row(sql, [since], |line| line.get::<_, Option<i64>>(0)).map_err(|e| self.told(e))
        };
        let nat = |found: Option<i64>| found.and_then(|found| u64::try_from(found).ok()).unwrap_or(0);
        let runs = |what: &str| one(&format!("SELECT {what} FROM runs WHERE ?1 <= started_at"));
        let would = "FROM opportunities o JOIN runs r ON r.id = o.run_id WHERE ?1 <= r.started_at \
                     AND o.outcome = 'skipped' AND o.reason = 'AUTO_EXECUTE_OFF'";
        Ok(Shown {
            runs: nat(runs("count(*)")?),
            crashed: nat(runs("sum(ended_at IS NULL AND id < (SELECT max(id) FROM runs))")?),
            ran_ms: nat(runs("sum(coalesce(ended_at, alive_at, started_at) - started_at)")?),
            feeds_ms: nat(runs("sum(feeds_ms)")?),
            agreed_ms: nat(runs("sum(agreed_ms)")?),
            taken: nat(one(&format!("SELECT count(*) {would}"))?),
            modelled: one(&format!("SELECT sum(o.net_micros * (o.qty_micros / 1000) / 1000) {would}"))?.unwrap_or(0),
            drilled: one("SELECT max(at) FROM control_commands WHERE command = 'drill' AND ?1 <= at")?
                .and_then(|at| u64::try_from(at).ok())
                .map(UnixMs::new),
        })
    }

    /// One opportunity.
    pub fn opportunity(&self, id: u64) -> Result<Option<OpportunityRecord>, AuditError> {
        // An id typed by a person may be any number.
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        self.connection
            .query_row(&format!("{OPPORTUNITY} WHERE id = ?1"), params![id], opportunity)
            .optional()
            .map_err(|error| self.told(error))
    }

    /// The newest `count` opportunities, newest first.
    pub fn latest_opportunities(&self, count: u32) -> Result<Vec<OpportunityRecord>, AuditError> {
        self.all(&format!("{OPPORTUNITY} ORDER BY id DESC LIMIT ?1"), params![count], opportunity)
    }

    /// The fills of one plan, in the order in which they happened.
    pub fn fills_of(&self, plan_id: u64) -> Result<Vec<Fill>, AuditError> {
        let Ok(plan_id) = i64::try_from(plan_id) else { return Ok(Vec::new()) };
        self.all(&format!("{FILL} WHERE plan_id = ?1 ORDER BY at, rowid"), params![plan_id], fill)
    }

    /// What a restart begins with. `day_start` is midnight UTC of the current day.
    pub fn load_state(&self, day_start: UnixMs) -> Result<State, AuditError> {
        let single = |sql: &str, from: i64| {
            self.connection.query_row(sql, params![from], |line| line.get::<_, i64>(0)).map_err(|e| self.told(e))
        };
        let highest = |table: &str| -> Result<u64, AuditError> {
            let id = single(&format!("SELECT coalesce(max(id), 0) FROM {table} WHERE ?1 < id"), 0)?;
            Ok(u64::try_from(id).unwrap_or(0))
        };
        Ok(State {
            positions: self.positions()?,
            balances: self.all(
                "SELECT at, venue, shard, free_micros, locked_micros FROM balances b WHERE id = \
                 (SELECT id FROM balances n WHERE n.venue = b.venue AND n.shard = b.shard ORDER BY at DESC, id DESC \
                 LIMIT 1) ORDER BY venue, shard",
                [],
                balance,
            )?,
            open_plans: self.all(&format!("{PLAN} WHERE closed_at IS NULL ORDER BY id"), [], plan)?,
            realised_today: self.realised_since(day_start)?,
            last_opportunity: highest("opportunities")?,
            last_plan: highest("plans")?,
        })
    }

    /// Positions that are not empty.
    pub fn positions(&self) -> Result<Vec<Position>, AuditError> {
        self.all(
            "SELECT venue, market, outcome, qty_micros, cost_micros, updated_at FROM positions \
             WHERE 0 < qty_micros ORDER BY venue, market, outcome",
            [],
            position,
        )
    }

    /// One plan.
    pub fn plan(&self, id: u64) -> Result<Option<Plan>, AuditError> {
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        self.connection
            .query_row(&format!("{PLAN} WHERE id = ?1"), params![id], plan)
            .optional()
            .map_err(|error| self.told(error))
    }

    /// Plans whose profit is still to come, oldest first.
    pub fn unsettled_plans(&self) -> Result<Vec<Plan>, AuditError> {
        self.all(&format!("{PLAN} WHERE realised_net_micros IS NULL AND state <> 'abandoned' ORDER BY id"), [], plan)
    }

    /// What all plans that are over made.
    pub fn realised_of_plans(&self) -> Result<Money, AuditError> {
        let sql = "SELECT coalesce(sum(realised_net_micros), 0) FROM plans";
        self.connection.query_row(sql, [], |line| line.get(0).map(Money::micros)).map_err(|error| self.told(error))
    }

    /// Every plan, oldest first.
    pub fn plans(&self) -> Result<Vec<Plan>, AuditError> {
        self.all(&format!("{PLAN} WHERE state <> 'abandoned' ORDER BY id"), [], plan)
    }

    /// Has a plan sold what others had bought? Such plans come from no opportunity.
    pub fn has_exits(&self) -> Result<bool, AuditError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM plans WHERE opportunity_id IS NULL)";
        self.connection.query_row(sql, [], |line| line.get(0)).map_err(|error| self.told(error))
    }

    /// The settings of the last run as they were written down, by dotted key.
    pub fn settings(&self) -> Result<BTreeMap<String, String>, AuditError> {
        let sql = "SELECT key, after FROM config_changes c WHERE rowid = \
                   (SELECT max(rowid) FROM config_changes n WHERE n.key = c.key)";
        Ok(self.all(sql, [], |line| Ok((line.get(0)?, line.get(1)?)))?.into_iter().collect())
    }

    /// Every fill, in the order in which they happened.
    pub fn fills(&self) -> Result<Vec<Fill>, AuditError> {
        self.all(&format!("{FILL} ORDER BY at, rowid"), [], fill)
    }

    /// YES and NO that were put together, in the order in which they were.
    pub fn merges(&self) -> Result<Vec<Merge>, AuditError> {
        self.all("SELECT market, qty_micros, at FROM merges ORDER BY at, rowid", [], |line| {
            Ok(Merge { market: line.get(0)?, qty: qty(line, 1)?, at: UnixMs::new(nat(line, 2)?) })
        })
    }

    /// Every settlement, in the order in which they happened.
    pub fn settlements(&self) -> Result<Vec<Settlement>, AuditError> {
        self.all(
            "SELECT venue, market, yes_payout_micros, qty_yes_micros, qty_no_micros, paid_micros, at FROM settlements \
             ORDER BY at, rowid",
            [],
            |line| {
                Ok(Settlement {
                    venue: venue(line, 0)?,
                    market: line.get(1)?,
                    yes_payout: Money::micros(line.get(2)?),
                    qty_yes: qty(line, 3)?,
                    qty_no: qty(line, 4)?,
                    paid: Money::micros(line.get(5)?),
                    at: UnixMs::new(nat(line, 6)?),
                })
            },
        )
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Line<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, AuditError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.told(error))?;
        let lines = statement.query_map(params, read).map_err(|error| self.told(error))?;
        lines.collect::<rusqlite::Result<_>>().map_err(|error| self.told(error))
    }

    /// A value that no build ever wrote means that somebody else did.
    fn told(&self, error: rusqlite::Error) -> AuditError {
        match error {
            rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
                AuditError::Corrupt { path: self.path.clone(), what: error.to_string() }
            }
            other => named(&self.path, other),
        }
    }
}

pub(super) const PLAN: &str = "SELECT id, opportunity_id, pair_key, direction, qty_micros, yes_limit, no_limit, state, opened_at, \
    closed_at, expected_net_micros, realised_net_micros, realised_at FROM plans";

const FILL: &str = "SELECT id, plan_id, leg, venue, market, outcome, action, price, qty_micros, fee_micros, at, \
    book_stamp, provisional, void, simulated FROM fills";

pub(super) fn opportunity(line: &Line<'_>) -> rusqlite::Result<OpportunityRecord> {
    Ok(OpportunityRecord {
        run_id: line.get(1)?,
        opportunity: Opportunity {
            id: nat(line, 0)?,
            pair_key: line.get(2)?,
            title: line.get(3)?,
            yes_on: yes_on(line, 4)?,
            seen_at: UnixMs::new(nat(line, 5)?),
            ended_at: maybe(line, 6)?.map(UnixMs::new),
            yes_price: price(line, 7)?,
            no_price: price(line, 8)?,
            gross: line.get(9)?,
            fee: line.get(10)?,
            net: line.get(11)?,
            qty: qty(line, 12)?,
            depth: Money::micros(line.get(13)?),
            annual_yield_ppm: line.get(14)?,
            days_to_settle_milli: line.get(15)?,
            outcome: fate(line, 16)?,
            reason: line.get(17)?,
            detect_ns: maybe(line, 18)?,
            plan_id: maybe(line, 19)?,
        },
    })
}

pub(super) fn plan(line: &Line<'_>) -> rusqlite::Result<Plan> {
    Ok(Plan {
        id: nat(line, 0)?,
        opportunity_id: maybe(line, 1)?,
        pair_key: line.get(2)?,
        yes_on: yes_on(line, 3)?,
        qty: qty(line, 4)?,
        yes_limit: price(line, 5)?,
        no_limit: price(line, 6)?,
        state: line.get(7)?,
        opened_at: UnixMs::new(nat(line, 8)?),
        closed_at: maybe(line, 9)?.map(UnixMs::new),
        expected_net: Money::micros(line.get(10)?),
        realised_net: line.get::<_, Option<i64>>(11)?.map(Money::micros),
        realised_at: maybe(line, 12)?.map(UnixMs::new),
    })
}

fn fill(line: &Line<'_>) -> rusqlite::Result<Fill> {
    let finality = match (line.get(12)?, line.get(13)?) {
        (_, true) => Finality::Void,
        (true, false) => Finality::Provisional,
        (false, false) => Finality::Final,
    };
    let action = match line.get::<_, String>(6)?.as_str() {
        "buy" => Action::Buy,
        "sell" => Action::Sell,
        _ => return Err(odd(6)),
    };
    Ok(Fill {
        id: line.get(0)?,
        plan_id: maybe(line, 1)?,
        leg: line.get(2)?,
        venue: venue(line, 3)?,
        market: line.get(4)?,
        outcome: outcome(line, 5)?,
        action,
        price: price(line, 7)?,
        qty: qty(line, 8)?,
        fee: Money::micros(line.get(9)?),
        at: UnixMs::new(nat(line, 10)?),
        book_stamp: maybe(line, 11)?.map(UnixMs::new),
        finality,
        simulated: line.get(14)?,
    })
}

fn position(line: &Line<'_>) -> rusqlite::Result<Position> {
    Ok(Position {
        venue: venue(line, 0)?,
        market: line.get(1)?,
        outcome: outcome(line, 2)?,
        qty: qty(line, 3)?,
        cost: Money::micros(line.get(4)?),
        updated_at: UnixMs::new(nat(line, 5)?),
    })
}

fn balance(line: &Line<'_>) -> rusqlite::Result<Balance> {
    Ok(Balance {
        at: UnixMs::new(nat(line, 0)?),
        venue: venue(line, 1)?,
        shard: line.get(2)?,
        free: Money::micros(line.get(3)?),
        locked: Money::micros(line.get(4)?),
    })
}

fn venue(line: &Line<'_>, at: usize) -> rusqlite::Result<Venue> {
    let name: String = line.get(at)?;
    Venue::ALL.into_iter().find(|venue| venue.name() == name).ok_or_else(|| odd(at))
}

fn yes_on(line: &Line<'_>, at: usize) -> rusqlite::Result<Venue> {
    let text: String = line.get(at)?;
    Venue::ALL.into_iter().find(|venue| super::direction(*venue) == text).ok_or_else(|| odd(at))
}

fn outcome(line: &Line<'_>, at: usize) -> rusqlite::Result<Outcome> {
    let name: String = line.get(at)?;
    [Outcome::Yes, Outcome::No].into_iter().find(|outcome| outcome.name() == name).ok_or_else(|| odd(at))
}

pub(super) fn fate(line: &Line<'_>, at: usize) -> rusqlite::Result<Fate> {
    let name: String = line.get(at)?;
    let all = [Fate::Open, Fate::Skipped, Fate::Planned, Fate::Filled, Fate::Partial, Fate::Missed];
    all.into_iter().find(|fate| fate.name() == name).ok_or_else(|| odd(at))
}

fn price(line: &Line<'_>, at: usize) -> rusqlite::Result<Price> {
    Price::new(line.get(at)?).ok_or_else(|| odd(at))
}

fn qty(line: &Line<'_>, at: usize) -> rusqlite::Result<Qty> {
    Qty::new(nat(line, at)?).ok_or_else(|| odd(at))
}

pub(super) fn nat(line: &Line<'_>, at: usize) -> rusqlite::Result<u64> {
    u64::try_from(line.get::<_, i64>(at)?).map_err(|_| odd(at))
}

pub(super) fn maybe(line: &Line<'_>, at: usize) -> rusqlite::Result<Option<u64>> {
    line.get::<_, Option<i64>>(at)?.map(|value| u64::try_from(value).map_err(|_| odd(at))).transpose()
}

pub(super) fn odd(at: usize) -> rusqlite::Error {
    let what = "a value that Orion never writes";
    rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Null, what.into())
}
