//! One thread of a trading engine is stopped with ptrace, while the others go on (fault 70). Whichever it is, no entry
//! reaches an exchange after the latch fell; and where it is one that has to move all the time, the process ends by
//! itself and leaves the latch behind.
//!
//! Linux, and a machine that lets a process trace its own children. Where it does not, this fails, unless
//! `ORION_NO_PTRACE` says that a person knows.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "common/still.rs"]
mod still;
#[path = "common/town.rs"]
mod town;

use std::time::Duration;

use still::{Stopped, may_trace, thread};
use town::{Engine, Town, let_pass, until};

const PATIENCE: Duration = Duration::from_secs(40);

/// An engine that has just filled something, and so is likely to enter again.
fn trading(town: &Town) -> Engine {
    let mut engine = town.start();
    let filled = until(PATIENCE, || {
        assert!(engine.ended().is_none(), "{}", town.told());
        engine.status().filter(|status| 0 < status.fills)
    });
    assert!(filled.is_some(), "nothing was filled: {:#?}\n{}", engine.status(), town.told());
    engine
}

#[test]
fn no_entry_leaves_after_a_kill_whichever_thread_stands_still() {
    if !may_trace() {
        return;
    }
    for name in ["sign", "keep", "journal", "dial", "feed-kalshi", "feed-polymarket"] {
        let town = Town::new(7, 200, 0);
        let mut engine = trading(&town);
        let stopped = Stopped::new(thread(engine.pid(), name));
        let killed = town.output(&["kill", "--mode", "demo"]);
        assert!(killed.status.success(), "{name}: {killed:?}\n{}", town.told());
        let_pass(Duration::from_millis(1_500));
        drop(stopped);
        let_pass(Duration::from_millis(500));
        assert_eq!(town.entries_after_the_latch(), Vec::<String>::new(), "{name}");
        assert!(!town.story().entries.is_empty(), "{name}: nothing was ever entered");
        assert!(engine.ended().is_none(), "{name}: {}", town.told());
        engine.signal("TERM");
        assert!(engine.wait().success(), "{name}: {}", town.told());
    }
}

#[test]
fn a_detector_or_executor_that_stands_still_ends_the_process_and_leaves_the_latch() {
    if !may_trace() {
        return;
    }
    for (name, kills) in [("execute", false), ("execute", true), ("detect", false), ("detect", true)] {
        let town = Town::new(7, 200, 0);
        let mut engine = trading(&town);
        let stopped = Stopped::new(thread(engine.pid(), name));
        if kills {
            let killed = town.output(&["kill", "--mode", "demo"]);
            assert!(killed.status.success(), "{name}: {killed:?}\n{}", town.told());
        }
        let ended = until(Duration::from_secs(10), || engine.ended());
        let status = ended.unwrap_or_else(|| panic!("{name} stands still, and the process goes on: {}", town.told()));
        assert_eq!(status.code(), Some(1), "{name}: {}", town.told());
        drop(stopped);
        assert_eq!(town.entries_after_the_latch(), Vec::<String>::new(), "{name}");
        let latch = std::fs::read_to_string(town.state().join("latch")).unwrap();
        let reason = if kills { "halted by a person" } else { "did not move" };
        assert!(latch.contains(reason), "{name}: {latch}");

        // The next one finds the latch, agrees with the venues, and enters nothing.
        let mut next = town.start();
        let agreed = until(PATIENCE, || {
            assert!(next.ended().is_none(), "{name}: {}", town.told());
            next.status().filter(|status| status.agrees == Some(true))
        });
        assert_eq!(agreed.map(|status| status.state).as_deref(), Some("halted"), "{name}");
        let_pass(Duration::from_millis(500));
        next.signal("TERM");
        assert!(next.wait().success(), "{name}: {}", town.told());
        assert_eq!(town.entries_after_the_latch(), Vec::<String>::new(), "{name}");
        let unequal = town.unequal(&town.story());
        assert_eq!(unequal, Vec::<String>::new(), "{name}: the journal, and the exchanges' own accounts");
    }
}
