//! `orion kill --flatten` on a running process: it asks, it sells what is held while halted, a restart goes on with it,
//! and the exchanges hold what the journal says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "common/town.rs"]
mod town;

use std::{process::Stdio, time::Duration};

use town::{Town, let_pass, until};

const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn everything_held_is_sold_by_a_persons_word_and_a_restart_goes_on_with_it() {
    let town = Town::new(11, 200, 0);
    let mut engine = town.start();
    let held = until(PATIENCE, || {
        assert!(engine.ended().is_none(), "{}", town.told());
        engine.status().filter(|status| 1 < status.positions && 0 < status.locked)
    });
    assert!(held.is_some(), "nothing is held: {:#?}\n{}", engine.status(), town.told());

    // Nobody can answer, and nobody said yes.
    let refused = town.orion(&["kill", "--flatten", "--mode", "demo"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(refused.status.code(), Some(77), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(said.contains("pairs are held") && said.contains("than they cost"), "{said}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--yes"), "{refused:?}");
    assert_eq!(engine.status().map(|status| status.state).as_deref(), Some("active"));

    let flat = town.output(&["kill", "--flatten", "--yes", "--mode", "demo"]);
    assert!(flat.status.success(), "{flat:?}\n{}", town.told());
    let told = until(PATIENCE, || engine.status().and_then(|status| status.flatten));
    assert!(told.is_some(), "how far it is is told: {}", town.told());
    let_pass(Duration::from_millis(300));
    engine.kill();
    assert!(town.state().join("latch").exists() && town.state().join("flatten").exists());

    let mut engine = town.start();
    let done = until(PATIENCE, || {
        assert!(engine.ended().is_none(), "{}", town.told());
        let status = engine.status()?;
        let word = status.flatten?;
        (word.contains("nothing is held") || word.contains("held still")).then_some(word)
    });
    let done = done.unwrap_or_else(|| panic!("it never ended: {:#?}\n{}", engine.status(), town.told()));
    println!("{done}");
    let status = engine.status().unwrap();
    assert_eq!(status.state, "halted");
    assert_eq!(done.contains("nothing is held"), status.locked == 0, "{done}: {}", status.locked);
    assert_eq!(town.entries_after_the_latch(), Vec::<String>::new());

    let resumed = town.output(&["resume", "--mode", "demo"]);
    assert!(resumed.status.success(), "{resumed:?}");
    assert!(!town.state().join("latch").exists() && !town.state().join("flatten").exists());
    engine.signal("TERM");
    assert!(engine.wait().success(), "{}", town.told());
    assert_eq!(town.unequal(&town.story()), Vec::<String>::new(), "the journal, and the exchanges' own accounts");
    assert_eq!(town.violations(), Vec::<String>::new());
}
