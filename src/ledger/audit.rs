//! The audit trail in SQLite: written by one [`Audit`], read by any number of [`AuditReader`]s.
//!
//! It is for people, not for the engine: the journal is the truth, and a slow, locked or lost database costs queue
//! depth, never a trade. So [`Audit::write`] is all or nothing and returns soon; whoever calls it keeps the rows and
//! tries again.

mod alert;
pub mod copy;
mod figures;
mod reader;
mod recompute;
mod row;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, params};
use rusqlite_migration::{M, Migrations};

use crate::unit::{Money, UnixMs, Venue};

pub use alert::{Alert, Delivery, DeliveryState, Logged, Tally};
pub use figures::{FateCount, Noted, Notes, PairCount, PlanSums, Realised, Seen};
pub use reader::{AuditReader, OpportunityRecord, ReasonCount, Shown, State};
pub use recompute::{Holding, Recomputed, VenueBooks};
pub use row::{
    Action, Balance, ConfigChange, Control, Decision, Event, Fate, Fill, Finality, Merge, Opportunity, Plan, Position,
    Row, RunInfo, Settlement,
};

const STEPS: &[M<'_>] = &[
    M::up(include_str!("schema_1.sql")),
    M::up(include_str!("schema_2.sql")),
    M::up(include_str!("schema_3.sql")),
    M::up(include_str!("schema_4.sql")),
];
const MIGRATIONS: Migrations<'_> = Migrations::from_slice(STEPS);

/// The schema that this build writes and reads.
pub const SCHEMA_VERSION: u32 = STEPS.len() as u32;

/// Short, because whoever writes keeps the rows and comes back; a checkpoint or a person's query ends sooner.
const BUSY_MS: u64 = 500;

/// What keeps the database from being used, by what an operator would do about it.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("{path}: another program holds the database: close it (a second orion? sqlite3 with an open transaction?)")]
    Locked { path: PathBuf },
    #[error(
        "{path}: the database is damaged ({what}): move it away and restore a backup with `orion restore`, or start \
             with an empty one; positions are rebuilt from the journal"
    )]
    Corrupt { path: PathBuf, what: String },
    #[error(
        "{path}: written by a newer Orion (schema {found}, this build knows {SCHEMA_VERSION}): start the newer build"
    )]
    Newer { path: PathBuf, found: i64 },
    #[error("{path}: schema {found} is older than {SCHEMA_VERSION}: run `orion db init`, or start the engine")]
    Older { path: PathBuf, found: i64 },
    #[error("{path}: there is no database yet: run `orion db init`, or start the engine once")]
    Missing { path: PathBuf },
    #[error("{path}: cannot be written ({what}): give the folder to the user that runs Orion, or set engine.state_dir")]
    ReadOnly { path: PathBuf, what: String },
    #[error("{path}: the disk is full: free some space; nothing is lost, the rows are written when there is room")]
    Full { path: PathBuf },
    /// Our own mistake: an id of another run, a number outside SQLite's range.
    #[error("{path}: a row was refused: {what}")]
    Refused { path: PathBuf, what: String },
    #[error("{path}: {source}")]
    Other { path: PathBuf, source: rusqlite::Error },
}

impl AuditError {
    /// Is it worth trying the same rows again later?
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Full { .. })
    }
}

/// The writer. One per database.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    connection: Connection,
    run_id: i64,
}

impl Audit {
    /// Opens or creates the database, brings its schema up to date, checks it and begins a run. Opportunities that an
    /// earlier run left open are closed as missed: nobody watched them.
    pub fn open(path: &Path, run: &RunInfo) -> Result<Self, AuditError> {
        let connection = prepare(path)?;
        let told = |error| named(path, error);
        connection
            .execute(
                "INSERT INTO runs (mode, started_at, build, config_hash) VALUES (?1, ?2, ?3, ?4)",
                params![run.mode, int(run.started_at.raw()), run.build, run.config_hash],
            )
            .map_err(told)?;
        let run_id = connection.last_insert_rowid();
        connection
            .execute(
                "UPDATE opportunities SET outcome = 'missed', reason = 'RUN_ENDED', ended_at = coalesce(ended_at, ?1) \
                 WHERE outcome = 'open' AND run_id <> ?2",
                params![int(run.started_at.raw()), run_id],
            )
            .map_err(told)?;
        Ok(Self { path: path.into(), connection, run_id })
    }

    /// Creates or migrates the database without beginning a run; the schema version it has afterwards.
    pub fn init(path: &Path) -> Result<u32, AuditError> {
        prepare(path)?;
        Ok(SCHEMA_VERSION)
    }

    /// The run's number.
    #[must_use]
    pub const fn run_id(&self) -> i64 {
        self.run_id
    }

    /// Did the run before this one end with a farewell? `true` for the first one.
    pub fn ended_well(&self) -> Result<bool, AuditError> {
        let before = "SELECT count(*) FROM (SELECT ended_at FROM runs WHERE id < ?1 ORDER BY id DESC LIMIT 1) \
                      WHERE ended_at IS NULL";
        let open: i64 = self
            .connection
            .query_row(before, [self.run_id], |row| row.get(0))
            .map_err(|error| named(&self.path, error))?;
        Ok(open == 0)
    }

    /// The run is alive, and has had both venues connected and both accounts agreeing for so long.
    pub fn alive(&self, now: UnixMs, feeds_ms: u64, agreed_ms: u64) -> Result<(), AuditError> {
        self.connection
            .execute(
                "UPDATE runs SET alive_at = ?1, feeds_ms = ?2, agreed_ms = ?3 WHERE id = ?4",
                params![int(now.raw()), int(feeds_ms), int(agreed_ms), self.run_id],
            )
            .map_err(|error| named(&self.path, error))?;
        Ok(())
    }

    /// Writes all rows in one transaction, or none. On an error that [passes](AuditError::passes) the caller keeps the
    /// rows and writes them again: every row may be written twice without harm, except balances, commands, changes and
    /// events, which are only written by a success.
    pub fn write(&mut self, rows: &[Row]) -> Result<(), AuditError> {
        let path = &self.path;
        let told = |error| named(path, error);
        let transaction = self.connection.transaction().map_err(told)?;
        for row in rows {
            if put(&transaction, self.run_id, row).map_err(told)? == 0 {
                let what = format!("{row:?} belongs to another run");
                return Err(AuditError::Refused { path: path.clone(), what });
            }
        }
        transaction.commit().map_err(told)
    }

    /// Writes one command down while no engine runs, beside the last run; without a database there is nothing to write
    /// it into, and nothing that it could have changed.
    pub fn note(path: &Path, row: &Control) -> Result<(), AuditError> {
        if !path.exists() {
            return Ok(());
        }
        let connection = prepare(path)?;
        connection
            .execute(
                "INSERT INTO control_commands (run_id, at, who, command, args, result) \
                 SELECT max(id), ?1, ?2, ?3, ?4, ?5 FROM runs HAVING max(id) IS NOT NULL",
                params![int(row.at.raw()), row.who, row.command, row.args, row.result],
            )
            .map_err(|error| named(path, error))?;
        Ok(())
    }

    /// Ends the run and folds the write-ahead log into the database.
    pub fn close_run(self, now: UnixMs) -> Result<(), AuditError> {
        let told = |error| named(&self.path, error);
        self.connection
            .execute("UPDATE runs SET ended_at = ?1 WHERE id = ?2", params![int(now.raw()), self.run_id])
            .map_err(told)?;
        // A reader may hold the log; then the next start folds it.
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        Ok(())
    }
}

/// Opens for writing, checks, migrates.
fn prepare(path: &Path) -> Result<Connection, AuditError> {
    let told = |error| named(path, error);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|error| AuditError::ReadOnly { path: path.into(), what: error.to_string() })?;
    }
    let mut connection = Connection::open(path).map_err(told)?;
    connection.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(told)?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(told)?;
    if i64::from(SCHEMA_VERSION) < found {
        return Err(AuditError::Newer { path: path.into(), found });
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(told)?;
    if verdict != "ok" {
        return Err(AuditError::Corrupt { path: path.into(), what: verdict });
    }
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; \
             PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY;",
        )
        .map_err(told)?;
    MIGRATIONS.to_latest(&mut connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => named(path, err),
        other => AuditError::Corrupt { path: path.into(), what: other.to_string() },
    })?;
    Ok(connection)
}

/// Opens for reading only. Works while the engine writes.
fn open_reader(path: &Path) -> Result<Connection, AuditError> {
    let told = |error| named(path, error);
    if !path.exists() {
        return Err(AuditError::Missing { path: path.into() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(told)?;
    connection.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(told)?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(told)?;
    match found.cmp(&i64::from(SCHEMA_VERSION)) {
        std::cmp::Ordering::Less => Err(AuditError::Older { path: path.into(), found }),
        std::cmp::Ordering::Greater => Err(AuditError::Newer { path: path.into(), found }),
        std::cmp::Ordering::Equal => Ok(connection),
    }
}

/// SQLite's error as something an operator can act on.
fn named(path: &Path, source: rusqlite::Error) -> AuditError {
    let path = path.to_path_buf();
    let what = source.to_string();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => AuditError::Locked { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => AuditError::Corrupt { path, what },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            AuditError::ReadOnly { path, what }
        }
        Some(ErrorCode::DiskFull) => AuditError::Full { path },
        Some(ErrorCode::ConstraintViolation) => AuditError::Refused { path, what },
        _ => AuditError::Other { path, source },
    }
}

/// Writes one row; how many rows changed.
fn put(to: &Transaction<'_>, run_id: i64, row: &Row) -> rusqlite::Result<usize> {
    match row {
        // An opportunity belongs to the run that saw it: another run's id is a mistake, not an update.
        Row::Opportunity(o) => to
            .prepare_cached(
                "INSERT INTO opportunities (id, run_id, pair_key, title, direction, seen_at, ended_at, yes_price, \
                 no_price, gross_micros, fee_micros, net_micros, qty_micros, depth_micros, annual_yield_ppm, \
                 days_to_settle_milli, outcome, reason, detect_ns, plan_id) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20) \
                 ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, yes_price = excluded.yes_price, \
                 no_price = excluded.no_price, gross_micros = excluded.gross_micros, \
                 fee_micros = excluded.fee_micros, net_micros = excluded.net_micros, \
                 qty_micros = excluded.qty_micros, depth_micros = excluded.depth_micros, \
                 annual_yield_ppm = excluded.annual_yield_ppm, \
                 days_to_settle_milli = excluded.days_to_settle_milli, outcome = excluded.outcome, \
                 reason = excluded.reason, detect_ns = excluded.detect_ns, plan_id = excluded.plan_id \
                 WHERE run_id = excluded.run_id AND pair_key = excluded.pair_key",
            )?
            .execute(params![
                int(o.id),
                run_id,
                o.pair_key,
                o.title,
                direction(o.yes_on),
                int(o.seen_at.raw()),
                o.ended_at.map(|at| int(at.raw())),
                o.yes_price.raw(),
                o.no_price.raw(),
                o.gross,
                o.fee,
                o.net,
                int(o.qty.micros()),
                o.depth.raw(),
                o.annual_yield_ppm,
                o.days_to_settle_milli,
                o.outcome.name(),
                o.reason,
                o.detect_ns.map(int),
                o.plan_id.map(int),
            ]),
        Row::Decision(d) => to
            .prepare_cached(
                "INSERT INTO decisions (opportunity_id, run_id, steps, books) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (opportunity_id) DO UPDATE SET steps = excluded.steps, books = excluded.books",
            )?
            .execute(params![int(d.opportunity), run_id, d.steps, d.books]),
        // A plan may outlive the run that made it.
        Row::Plan(p) => to
            .prepare_cached(
                "INSERT INTO plans (id, run_id, opportunity_id, pair_key, direction, qty_micros, yes_limit, no_limit, \
                 state, opened_at, closed_at, expected_net_micros, realised_net_micros, \
                 realised_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
                 ON CONFLICT (id) DO UPDATE SET qty_micros = excluded.qty_micros, state = excluded.state, \
                 closed_at = excluded.closed_at, realised_net_micros = excluded.realised_net_micros, \
                 realised_at = excluded.realised_at \
                 WHERE pair_key = excluded.pair_key AND opened_at = excluded.opened_at",
            )?
            .execute(params![
                int(p.id),
                run_id,
                p.opportunity_id.map(int),
                p.pair_key,
                direction(p.yes_on),
                int(p.qty.micros()),
                p.yes_limit.raw(),
                p.no_limit.raw(),
                p.state,
                int(p.opened_at.raw()),
                p.closed_at.map(|at| int(at.raw())),
                p.expected_net.raw(),
                p.realised_net.map(Money::raw),
                p.realised_at.map(|at| int(at.raw())),
            ]),
        // The same trade comes over several channels. What it was never changes; how final it is does.
        Row::Fill(f) => to
            .prepare_cached(
                "INSERT INTO fills (venue, id, run_id, plan_id, leg, market, outcome, action, price, qty_micros, \
                 fee_micros, at, book_stamp, provisional, void, simulated) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
                 ON CONFLICT (venue, id) DO UPDATE SET plan_id = coalesce(plan_id, excluded.plan_id), \
                 fee_micros = excluded.fee_micros, provisional = excluded.provisional, void = excluded.void \
                 WHERE market = excluded.market AND outcome = excluded.outcome AND action = excluded.action \
                 AND price = excluded.price AND qty_micros = excluded.qty_micros",
            )?
            .execute(params![
                f.venue.name(),
                f.id,
                run_id,
                f.plan_id.map(int),
                f.leg,
                f.market,
                f.outcome.name(),
                f.action.name(),
                f.price.raw(),
                int(f.qty.micros()),
                f.fee.raw(),
                int(f.at.raw()),
                f.book_stamp.map(|at| int(at.raw())),
                f.finality == Finality::Provisional,
                f.finality == Finality::Void,
                f.simulated,
            ]),
        Row::Position(p) => to
            .prepare_cached(
                "INSERT INTO positions (venue, market, outcome, qty_micros, cost_micros, updated_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (venue, market, outcome) DO UPDATE SET \
                 qty_micros = excluded.qty_micros, cost_micros = excluded.cost_micros, \
                 updated_at = excluded.updated_at",
            )?
            .execute(params![
                p.venue.name(),
                p.market,
                p.outcome.name(),
                int(p.qty.micros()),
                p.cost.raw(),
                int(p.updated_at.raw()),
            ]),
        Row::Settlement(s) => to
            .prepare_cached(
                "INSERT INTO settlements (venue, market, run_id, yes_payout_micros, qty_yes_micros, qty_no_micros, \
                 paid_micros, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
                 ON CONFLICT (venue, market) DO UPDATE SET yes_payout_micros = excluded.yes_payout_micros, \
                 qty_yes_micros = excluded.qty_yes_micros, qty_no_micros = excluded.qty_no_micros, \
                 paid_micros = excluded.paid_micros, at = excluded.at",
            )?
            .execute(params![
                s.venue.name(),
                s.market,
                run_id,
                s.yes_payout.raw(),
                int(s.qty_yes.micros()),
                int(s.qty_no.micros()),
                s.paid.raw(),
                int(s.at.raw()),
            ]),
        Row::Merge(m) => to
            .prepare_cached(
                "INSERT INTO merges (market, at, run_id, qty_micros) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (market, at) DO UPDATE SET qty_micros = excluded.qty_micros",
            )?
            .execute(params![m.market, int(m.at.raw()), run_id, int(m.qty.micros())]),
        Row::Balance(b) => to
            .prepare_cached(
                "INSERT INTO balances (at, run_id, venue, shard, free_micros, locked_micros) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![int(b.at.raw()), run_id, b.venue.name(), b.shard, b.free.raw(), b.locked.raw()]),
        Row::Control(c) => to
            .prepare_cached(
                "INSERT INTO control_commands (run_id, at, who, command, args, result) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![run_id, int(c.at.raw()), c.who, c.command, c.args, c.result]),
        Row::ConfigChange(c) => to
            .prepare_cached(
                "INSERT INTO config_changes (at, run_id, key, before, after, origin) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![int(c.at.raw()), run_id, c.key, c.before, c.after, c.origin]),
        Row::Alert(a) => alert::put_alert(to, run_id, a),
        Row::Delivery(d) => alert::put_delivery(to, d),
        Row::Event(e) => to
            .prepare_cached("INSERT INTO events (run_id, at, kind, text) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![run_id, int(e.at.raw()), e.kind, e.text]),
    }
}

const fn direction(yes_on: Venue) -> &'static str {
    match yes_on {
        Venue::Kalshi => "YES kalshi",
        Venue::Polymarket => "YES polymarket",
    }
}

/// SQLite's integers are signed; nothing we count comes near the sign.
fn int(value: u64) -> i64 {
    i64::try_from(value).expect("ids, times and quantities stay below 2^63")
}
