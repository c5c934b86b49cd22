//! A new build meets the state of an older one while plans are open: the schema is brought up to date, nothing is lost,
//! and the engine goes on with what it holds.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "common/town.rs"]
mod town;

use std::{fs, path::Path, time::Duration};

use orion::{
    ledger::audit::{AuditReader, Plan, SCHEMA_VERSION},
    unit::UnixMs,
};
use rusqlite::Connection;
use town::{Engine, Town, until};

const PATIENCE: Duration = Duration::from_mins(1);
/// What builds made their databases with, oldest first.
const SCHEMAS: [&str; 4] = [
    include_str!("../src/ledger/schema_1.sql"),
    include_str!("../src/ledger/schema_2.sql"),
    include_str!("../src/ledger/schema_3.sql"),
    include_str!("../src/ledger/schema_4.sql"),
];

/// Writes a database anew as a build of this schema would have written it: what that one did not know is left out.
fn age(database: &Path, schema: usize) {
    let older = database.with_extension("older");
    let connection = Connection::open(&older).unwrap();
    for sql in &SCHEMAS[..schema] {
        connection.execute_batch(sql).unwrap();
    }
    connection.pragma_update(None, "user_version", schema as u32).unwrap();
    connection.execute("ATTACH ?1 AS newer", [database.display().to_string()]).unwrap();
    let list = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for table in list("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'") {
        let columns = list(&format!("SELECT name FROM pragma_table_info('{table}')")).join(", ");
        connection
            .execute_batch(&format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}"))
            .unwrap();
    }
    connection.close().unwrap();
    for end in ["db-wal", "db-shm"] {
        let _ = fs::remove_file(database.with_extension(end));
    }
    fs::rename(older, database).unwrap();
}

fn schema(database: &Path) -> u32 {
    Connection::open(database).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

fn open_plans(database: &Path) -> Vec<Plan> {
    AuditReader::open(database).unwrap().load_state(UnixMs::new(0)).unwrap().open_plans
}

fn agreed(town: &Town, engine: &mut Engine) {
    let found = until(PATIENCE, || {
        assert!(engine.ended().is_none(), "{}", town.told());
        engine.status().filter(|status| status.agrees == Some(true))
    });
    assert!(found.is_some(), "it never agreed: {:#?}\n{}", engine.status(), town.told());
}

#[test]
fn an_older_schema_is_brought_up_to_date_with_its_open_plans() {
    assert_eq!(SCHEMAS.len() as u32, SCHEMA_VERSION, "a further schema is tried here too");
    for older in 1..SCHEMAS.len() {
        let town = Town::new(7 + older as u64, 200, 0);
        let database = town.state().join("orion.db");
        let mut plans = Vec::new();
        for _ in 0..20 {
            let mut engine = town.start();
            let found = until(PATIENCE, || {
                assert!(engine.ended().is_none(), "{}", town.told());
                let trading = engine.status().is_some_and(|status| 2 < status.fills);
                trading.then(|| open_plans(&database)).filter(|plans| !plans.is_empty())
            });
            assert!(found.is_some(), "no plan was ever open");
            engine.kill();
            plans = open_plans(&database);
            if !plans.is_empty() {
                break;
            }
        }
        assert!(!plans.is_empty(), "no plan was open when it was killed");
        age(&database, older);
        assert_eq!(schema(&database), older as u32);

        // By hand, as the doctor says: the plans are there as they were.
        let made = town.output(&["db", "init", "--mode", "demo"]);
        assert!(made.status.success(), "{made:?}");
        assert_eq!(schema(&database), SCHEMA_VERSION);
        assert_eq!(open_plans(&database), plans, "schema {older}");

        // By a start alone: it goes on with them, and both counts agree.
        age(&database, older);
        let mut engine = town.start();
        agreed(&town, &mut engine);
        assert_eq!(schema(&database), SCHEMA_VERSION);
        let ended = until(PATIENCE, || {
            let open = open_plans(&database);
            plans.iter().all(|plan| open.iter().all(|still| still.id != plan.id)).then_some(())
        });
        assert!(ended.is_some(), "plans of the older build are still open: {:?}", open_plans(&database));
        engine.signal("TERM");
        assert!(engine.wait().success(), "{}", town.told());
        assert_eq!(town.unequal(&town.story()), Vec::<String>::new(), "schema {older}");
        let verified = town.output(&["db", "verify", "--mode", "demo"]);
        assert!(verified.status.success(), "schema {older}: {verified:?}");
    }
}
