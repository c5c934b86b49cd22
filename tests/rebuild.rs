//! A journal that is damaged in its middle (fault 73): the start is refused with the way out, and the way out leads to
//! what both venues hold.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "common/town.rs"]
mod town;

use std::{process::Output, time::Duration};

use orion::{ledger::segments, run::snapshot::Snapshot};
use town::{Engine, Town, until};

const PATIENCE: Duration = Duration::from_mins(1);

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn reached(town: &Town, engine: &Engine, what: &str, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let seen = until(PATIENCE, || engine.status().filter(&wanted));
    seen.unwrap_or_else(|| panic!("{what} never came: {:#?}\n{}", engine.status(), town.told()))
}

#[test]
fn a_damaged_journal_is_refused_and_rebuilt_from_what_the_venues_hold() {
    let town = Town::new(5, 60, 0);
    let engine = town.start();
    reached(&town, &engine, "a few plans", |status| 3 < status.endings.get("filled").copied().unwrap_or(0));
    engine.signal("TERM");
    assert!(engine.wait().success(), "{}", town.told());
    let (records, _) = segments::read(&town.state().join("journal")).unwrap();
    let before = records.len();

    // One byte in the middle of what was written.
    let path = segments::path(&town.state().join("journal"), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[written / 2] ^= 0x55;
    std::fs::write(&path, &bytes).unwrap();

    let mut refused = town.start();
    until(PATIENCE, || refused.ended()).expect("it ends at once");
    assert!(town.told().contains("orion journal rebuild"), "{}", town.told());

    let sim = town.sim();
    let args = ["journal", "rebuild", "--mode", "demo", "--sim", sim.to_str().unwrap()];
    let unsure = town.orion(&args).stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(unsure.status.code(), Some(77), "{}", said(&unsure));
    let rebuilt = town.output(&[&args[..], &["--yes"]].concat());
    assert!(rebuilt.status.success(), "{}", said(&rebuilt));
    assert!(said(&rebuilt).contains("taken over as the venue holds it"), "{}", said(&rebuilt));
    let aside = segments::list(&town.state().join("journal.damaged-1")).unwrap();
    assert!(!aside.is_empty(), "the damaged one is kept");
    let (kept, _) = segments::read(&town.state().join("journal")).unwrap();
    assert!(10 < kept.len() && before / 4 < kept.len(), "{} of {before} records", kept.len());

    let engine = town.start();
    let status = reached(&town, &engine, "agreement", |status| status.agrees == Some(true));
    if status.state != "active" {
        assert!(town.output(&["resume", "--mode", "demo"]).status.success());
    }
    let plans = status.plans;
    reached(&town, &engine, "a plan on the new journal", |status| plans < status.plans);
    engine.signal("TERM");
    // The demo's second count misses what the damage took: trades that the exchanges and the database know.
    assert_eq!(engine.wait().code(), Some(1));
    assert!(town.told().contains("the second count does not agree"), "{}", town.told());
    assert!(town.output(&["journal", "verify", "--mode", "demo"]).status.success());
    // What was paid for what is lost is lost; what is held is not.
    let odd = town.unequal(&town.story());
    let held: Vec<_> = odd.iter().filter(|line| !line.contains("cash moved")).collect();
    assert!(held.is_empty(), "{held:?}");
    assert_eq!(town.violations(), Vec::<String>::new());
}
