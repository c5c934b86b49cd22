//! Real SIGKILLs of the real binary, at moments drawn from a seed, while it trades on simulated exchanges that lose
//! answers and frames (fault 67). Whatever was cut off: nothing is lost, doubled or sent again, and each start agrees
//! with both venues within five seconds.
//!
//! Twenty kills by default; more with `ORION_KILLS=200 cargo test --test real_kills`, and another course with
//! `ORION_SEED=3`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "common/town.rs"]
mod town;

use std::{collections::BTreeSet, time::Duration};

use orion::{risk::Latch, run::snapshot::Snapshot, unit::Refusal};
use town::{Engine, Town, let_pass, until};

/// A restarted engine agrees with both venues within this.
const RECONCILED_MS: u64 = 5_000;
/// How long a test waits for a process before it says that nothing comes.
const PATIENCE: Duration = Duration::from_secs(40);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// The status once it agrees with both venues; `None` if a venue refused what a start has to ask it for, so that it
/// ended.
fn agreement(town: &Town, engine: &mut Engine) -> Option<Snapshot> {
    let seen = until(PATIENCE, || match engine.ended() {
        Some(status) => {
            let told = town.told();
            let asked = ["order group", "request budgets", "request costs", "API credentials"];
            assert!(status.code() == Some(1) && asked.iter().any(|what| told.contains(what)), "{status}: {told}");
            Some(None)
        }
        None => engine.status().filter(|status| status.agrees == Some(true)).map(Some),
    });
    seen.unwrap_or_else(|| panic!("it never agreed: {:#?}\n{}", engine.status(), town.told()))
}

#[test]
fn whenever_it_is_killed_nothing_is_lost_doubled_or_sent_again() {
    let (kills, seed) = (number("ORION_KILLS", 20), number("ORION_SEED", 7));
    let town = Town::new(seed, 300, 20);
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut slowest, mut reconciled, mut in_flight, mut refused, mut resumed) = (0, 0, 0, 0, 0);
    let mut why = String::new();
    let mut kill = 0;
    while kill < kills {
        let mut engine = town.start();
        kill += 1;
        if kill % 5 == 0 {
            // While it starts: between any two of its first steps.
            let_pass(Duration::from_millis(rng.u64(20..900)));
            engine.kill();
            continue;
        }
        let Some(status) = agreement(&town, &mut engine) else {
            (kill, refused) = (kill - 1, refused + 1);
            assert!(refused <= 2 + kills / 5, "{refused} starts were refused by a venue");
            continue;
        };
        if status.state != "active" {
            // The exchanges refuse an order in a way that needs a person, or tell one match under two ids: here is one.
            let latch = std::fs::read_to_string(town.state().join("latch")).unwrap();
            let known = [Latch::Refused(Refusal::Forbidden), Latch::Impossible].map(Latch::name);
            assert!(known.iter().any(|reason| latch.starts_with(reason)), "{latch}: {}", town.told());
            assert!(town.output(&["resume", "--mode", "demo"]).status.success());
            resumed += 1;
        }
        if slowest < status.reconciled_ms.unwrap() {
            slowest = status.reconciled_ms.unwrap();
            why = format!("start {reconciled}: {status:#?}\n{}", town.told());
        }
        reconciled += 1;
        // Half of them right after something has left for a venue.
        if rng.bool() {
            let arrived = || town.arrived_at_kalshi().len() + town.arrived_at_polymarket().len();
            let before = arrived();
            let sent = until(Duration::from_millis(1_500), || (before != arrived()).then_some(()));
            in_flight += u64::from(sent.is_some());
            let_pass(Duration::from_micros(rng.u64(0..20_000)));
        } else {
            let_pass(Duration::from_millis(rng.u64(0..600)));
        }
        engine.kill();
    }
    assert!(slowest <= RECONCILED_MS, "one start agreed with the venues only after {slowest} ms: {why}");

    // What is on its way comes to its end, and the engine to a clean one.
    let mut engine = town.start();
    while agreement(&town, &mut engine).is_none() {
        engine = town.start();
    }
    let_pass(Duration::from_secs(2));
    engine.signal("TERM");
    assert!(engine.wait().success(), "{}", town.told());
    let told = town.told();
    let last: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(last["agrees"], true, "{last:#}");

    let story = town.story();
    let (kalshi, polymarket) = (town.arrived_at_kalshi(), town.arrived_at_polymarket());
    let entries = story.entries.len();
    assert_eq!(town.violations(), Vec::<String>::new());
    let at_kalshi: BTreeSet<_> = kalshi.iter().copied().collect();
    let at_polymarket: BTreeSet<_> = polymarket.iter().copied().collect();
    assert_eq!((at_kalshi.len(), at_polymarket.len()), (kalshi.len(), polymarket.len()), "an order arrived twice");
    assert!(at_kalshi.is_subset(&story.orders), "Kalshi has an order that the journal does not know");
    assert!(at_polymarket.is_subset(&story.digests), "Polymarket has an order that the journal does not know");
    assert_eq!(town.unequal(&story), Vec::<String>::new(), "the journal, and the exchanges' own accounts");
    assert!(kills / 4 < entries as u64, "only {entries} entries: hardly anything was at stake");
    let verdict = town.output(&["journal", "verify", "--mode", "demo"]);
    assert!(verdict.status.success(), "{verdict:?}");
    println!(
        "{kills} kills, {in_flight} of them within 20 ms of an order's arrival; {reconciled} starts agreed with both venues, \
         the slowest after {slowest} ms, {refused} were refused by a venue, {resumed} latches lifted by a person; {} starts, {} orders in the journal, {} arrived at Kalshi, {} at Polymarket",
        story.starts,
        story.orders.len(),
        kalshi.len(),
        polymarket.len()
    );
}
