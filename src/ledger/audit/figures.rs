//! Questions of the page: what was seen, what came of it, what it made. Read-only like everything of a reader.

use rusqlite::params;

use super::{
    AuditError, AuditReader, Fate, OpportunityRecord, Plan,
    reader::{OPPORTUNITY, PLAN, fate, nat, opportunity, plan},
};
use crate::unit::{Money, UnixMs};

/// Which opportunities are asked for.
#[derive(Clone, Debug, Default)]
pub struct Seen<'a> {
    /// Only those with a smaller number.
    pub before: Option<u64>,
    pub outcome: Option<&'a str>,
    pub reason: Option<&'a str>,
    pub count: u32,
}

/// A plan's sums over its fills that stand.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PlanSums {
    /// Bought less sold, with fees.
    pub spent: Money,
    pub fees: Money,
    /// Something of it is matched and not final.
    pub provisional: bool,
}

/// A plan whose profit is realised.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Realised {
    pub id: u64,
    pub pair_key: String,
    pub state: String,
    pub at: UnixMs,
    pub net: Money,
    pub expected: Money,
}

/// How many opportunities ended in one way for one reason, and the furthest that their plans came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FateCount {
    pub outcome: Fate,
    /// Empty where there was nothing to explain.
    pub reason: String,
    pub times: u64,
    pub settled: u64,
}

/// What is known of one pair's history.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PairCount {
    pub seen: u64,
    pub plans: u64,
    pub realised: Money,
}

/// One line of what people and the engine did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Noted {
    pub id: u64,
    pub at: UnixMs,
    /// By the column's name.
    pub texts: Vec<(&'static str, String)>,
}

/// A table of what was noted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Notes {
    Commands,
    Settings,
    Events,
}

impl Notes {
    /// The table of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "commands" => Some(Self::Commands),
            "settings" => Some(Self::Settings),
            "events" => Some(Self::Events),
            _ => None,
        }
    }

    const fn columns(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Commands => ("control_commands", &["who", "command", "args", "result"]),
            Self::Settings => ("config_changes", &["key", "before", "after", "origin"]),
            Self::Events => ("events", &["kind", "text"]),
        }
    }
}

impl AuditReader {
    /// Opportunities, newest first.
    pub fn seen(&self, asked: &Seen<'_>) -> Result<Vec<OpportunityRecord>, AuditError> {
        let before = asked.before.and_then(|id| i64::try_from(id).ok()).unwrap_or(i64::MAX);
        self.all(
            &format!(
                "{OPPORTUNITY} WHERE id < ?1 AND (?2 IS NULL OR outcome = ?2) AND (?3 IS NULL OR reason = ?3) \
                 ORDER BY id DESC LIMIT ?4"
            ),
            params![before, asked.outcome, asked.reason, asked.count],
            opportunity,
        )
    }

    /// Where the time went and what both books held when an opportunity was judged first, as it was written.
    pub fn decision(&self, id: u64) -> Result<Option<(String, String)>, AuditError> {
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        let sql = "SELECT steps, books FROM decisions WHERE opportunity_id = ?1";
        Ok(self.all(sql, [id], |line| Ok((line.get(0)?, line.get(1)?)))?.pop())
    }

    /// Plans whose profit is realised, newest first.
    pub fn closed_plans(&self, count: u32) -> Result<Vec<Plan>, AuditError> {
        let sql = format!(
            "{PLAN} WHERE realised_at IS NOT NULL AND state NOT IN ('missed', 'withheld', 'abandoned') \
             ORDER BY realised_at DESC, id DESC LIMIT ?1"
        );
        self.all(&sql, [count], plan)
    }

    /// A plan's sums.
    pub fn sums_of(&self, plan_id: u64) -> Result<PlanSums, AuditError> {
        let mut sums = PlanSums::default();
        for fill in self.fills_of(plan_id)? {
            match fill.finality {
                super::Finality::Void => continue,
                super::Finality::Provisional => sums.provisional = true,
                super::Finality::Final => {}
            }
            sums.fees += fill.fee;
            sums.spent += match fill.action {
                super::Action::Buy => fill.price.cost(fill.qty) + fill.fee,
                super::Action::Sell => fill.fee - fill.price.proceeds(fill.qty),
            };
        }
        Ok(sums)
    }

    /// The title under which a pair was seen last.
    pub fn title_of(&self, pair_key: &str) -> Result<Option<String>, AuditError> {
        let sql = "SELECT title FROM opportunities WHERE pair_key = ?1 ORDER BY seen_at DESC LIMIT 1";
        Ok(self.all(sql, [pair_key], |line| line.get(0))?.pop())
    }

    /// When the market of an opportunity of this pair is expected to pay, by what was seen last.
    pub fn settles_at(&self, pair_key: &str) -> Result<Option<UnixMs>, AuditError> {
        let sql = "SELECT seen_at, days_to_settle_milli FROM opportunities WHERE pair_key = ?1 \
                   AND days_to_settle_milli IS NOT NULL ORDER BY seen_at DESC LIMIT 1";
        let read = |line: &rusqlite::Row<'_>| Ok((nat(line, 0)?, nat(line, 1)?));
        Ok(self.all(sql, [pair_key], read)?.pop().map(|(seen, days)| UnixMs::new(seen + days * 86_400)))
    }

    /// Plans whose profit was realised from then on, in that order. An entry that was sold before it settled is not
    /// among them: its profit, and its promise, are its exit's.
    pub fn realised(&self, since: UnixMs) -> Result<Vec<Realised>, AuditError> {
        self.all(
            "SELECT id, pair_key, state, realised_at, realised_net_micros, expected_net_micros FROM plans \
             WHERE ?1 <= realised_at AND state NOT IN ('missed', 'withheld', 'abandoned') \
             AND NOT (state = 'filled' AND realised_net_micros = 0) ORDER BY realised_at, id",
            params![super::int(since.raw())],
            |line| {
                Ok(Realised {
                    id: nat(line, 0)?,
                    pair_key: line.get(1)?,
                    state: line.get(2)?,
                    at: UnixMs::new(nat(line, 3)?),
                    net: Money::micros(line.get(4)?),
                    expected: Money::micros(line.get(5)?),
                })
            },
        )
    }

    /// What was traded and paid in fees from then on.
    pub fn volume(&self, since: UnixMs) -> Result<(Money, Money), AuditError> {
        // Price in ten-thousandths times quantity in millionths of a contract.
        let sql = "SELECT coalesce(sum(price * (qty_micros / 10000)), 0), coalesce(sum(fee_micros), 0) FROM fills \
                   WHERE ?1 <= at AND void = 0";
        let read = |line: &rusqlite::Row<'_>| Ok((Money::micros(line.get(0)?), Money::micros(line.get(1)?)));
        Ok(self.all(sql, params![super::int(since.raw())], read)?.pop().unwrap_or_default())
    }

    /// How opportunities ended that were seen from then on.
    pub fn fates(&self, since: UnixMs) -> Result<Vec<FateCount>, AuditError> {
        self.all(
            "SELECT o.outcome, coalesce(o.reason, ''), count(*), coalesce(sum(p.state = 'settled'), 0) \
             FROM opportunities o LEFT JOIN plans p ON p.id = o.plan_id WHERE ?1 <= o.seen_at \
             GROUP BY o.outcome, o.reason ORDER BY count(*) DESC, o.outcome, o.reason",
            params![super::int(since.raw())],
            |line| {
                Ok(FateCount {
                    outcome: fate(line, 0)?,
                    reason: line.get(1)?,
                    times: nat(line, 2)?,
                    settled: nat(line, 3)?,
                })
            },
        )
    }

    /// What became of one pair.
    pub fn pair_count(&self, pair_key: &str) -> Result<PairCount, AuditError> {
        let seen =
            self.all("SELECT count(*) FROM opportunities WHERE pair_key = ?1", [pair_key], |line| nat(line, 0))?;
        let sql = "SELECT count(*), coalesce(sum(realised_net_micros), 0) FROM plans WHERE pair_key = ?1 \
                   AND state NOT IN ('missed', 'withheld', 'abandoned')";
        let plans = self
            .all(sql, [pair_key], |line| Ok((nat(line, 0)?, Money::micros(line.get(1)?))))?
            .pop()
            .unwrap_or_default();
        Ok(PairCount { seen: seen.first().copied().unwrap_or(0), plans: plans.0, realised: plans.1 })
    }

    /// What was noted, newest first.
    pub fn notes(&self, notes: Notes, before: Option<u64>, count: u32) -> Result<Vec<Noted>, AuditError> {
        let (table, columns) = notes.columns();
        let before = before.and_then(|id| i64::try_from(id).ok()).unwrap_or(i64::MAX);
        let sql = format!("SELECT id, at, {} FROM {table} WHERE id < ?1 ORDER BY id DESC LIMIT ?2", columns.join(", "));
        self.all(&sql, params![before, count], |line| {
            let texts = columns.iter().enumerate().map(|(at, name)| Ok((*name, line.get(2 + at)?)));
            Ok(Noted {
                id: nat(line, 0)?,
                at: UnixMs::new(nat(line, 1)?),
                texts: texts.collect::<rusqlite::Result<_>>()?,
            })
        })
    }
}
