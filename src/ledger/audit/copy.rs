//! The database as a file: looked at without changing it, and copied while the engine writes it.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, backup::Backup};

use super::{AuditError, BUSY_MS, MIGRATIONS, SCHEMA_VERSION, named};

/// Pages copied at a time; between two steps the writer has its turn.
const PAGES: i32 = 1_024;
const PAUSE: Duration = Duration::from_millis(5);

/// What a look at the file says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Look {
    pub schema: i64,
    /// Readers do not wait for the writer.
    pub wal: bool,
}

/// Looks at a database, whole: its schema, and every page of it. Changes nothing; refuses one that is damaged.
pub fn look(path: &Path) -> Result<Look, AuditError> {
    let told = |error| named(path, error);
    let connection = open(path)?;
    let schema: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(told)?;
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(told)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(told)?;
    if verdict != "ok" {
        return Err(AuditError::Corrupt { path: path.into(), what: verdict });
    }
    Ok(Look { schema, wal: mode == "wal" })
}

/// Copies a database into a file of its own, as it is at one moment, and looks at the copy. The engine may be writing:
/// it waits for no step of this. Gives the schema.
pub fn copy(from: &Path, to: &Path) -> Result<i64, AuditError> {
    let source = open(from)?;
    {
        let told = |error| named(to, error);
        let mut target = Connection::open(to).map_err(told)?;
        let backup = Backup::new(&source, &mut target).map_err(told)?;
        backup.run_to_completion(PAGES, PAUSE, None).map_err(|error| named(from, error))?;
        drop(backup);
        // One file, without a log beside it; whoever opens it for writing switches that on again.
        target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(told)?;
    }
    Ok(look(to)?.schema)
}

/// Brings a database that lies somewhere on its own up to this build's schema.
pub fn migrate(path: &Path) -> Result<(), AuditError> {
    let mut connection = Connection::open(path).map_err(|error| named(path, error))?;
    let found: i64 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| named(path, error))?;
    if i64::from(SCHEMA_VERSION) < found {
        return Err(AuditError::Newer { path: path.into(), found });
    }
    MIGRATIONS
        .to_latest(&mut connection)
        .map_err(|error| AuditError::Corrupt { path: path.into(), what: error.to_string() })
}

fn open(path: &Path) -> Result<Connection, AuditError> {
    if !path.exists() {
        return Err(AuditError::Missing { path: path.into() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| named(path, error))?;
    connection.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(|error| named(path, error))?;
    Ok(connection)
}
