//! The whole engine and both simulated exchanges in one thread, in virtual time, from one seed: whatever goes wrong, what
//! the engine believes in the end is what the exchanges hold. A failure prints its seed;
//! `ORION_SEED=n cargo test --test whole_engine replay -- --nocapture` runs that seed alone and tells everything.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "common/call.rs"]
mod call;
#[path = "common/whole/mod.rs"]
mod whole;

use std::ops::Range;

use orion::unit::Nanos;
use whole::{Course, Whole, bugs::Bug, run};

/// How to see a failure again.
fn again(seed: u64, test: &str) -> String {
    format!("ORION_SEED={seed} cargo test --test whole_engine {test} -- --nocapture")
}

fn seeds(range: Range<u64>) {
    let (mut plans, mut faults, mut halted, mut filled, mut naked) = (0, 0, 0, 0, Nanos::ZERO);
    for seed in range.clone() {
        let (whole, wrong) = run(Course::of(seed));
        assert!(wrong.is_empty(), "{}: {wrong:#?}", again(seed, "replay"));
        plans += whole.plans;
        faults += whole.faults + whole.venues.troubles() as u64;
        halted += u64::from(whole.fallen.is_some());
        filled += whole.watch.kinds.get("filled").copied().unwrap_or(0);
        naked = naked.max(whole.watch.naked_longest);
    }
    let ms = naked.raw() / 1_000_000;
    println!("{range:?}: {plans} plans, {filled} fills, {faults} faults, {halted} halted, naked {ms} ms at most");
    let runs = range.end - range.start;
    assert!(6 * runs < plans && 15 * runs < faults, "{plans} plans, {faults} faults");
}

#[test]
fn whatever_goes_wrong_both_sides_know_the_same_in_the_end_1() {
    seeds(0..500);
}

#[test]
fn whatever_goes_wrong_both_sides_know_the_same_in_the_end_2() {
    seeds(500..1_000);
}

#[test]
fn whatever_goes_wrong_both_sides_know_the_same_in_the_end_3() {
    seeds(1_000..1_500);
}

#[test]
fn whatever_goes_wrong_both_sides_know_the_same_in_the_end_4() {
    seeds(1_500..2_000);
}

/// I9.
#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in 0..100 {
        let logs = [0; 2].map(|_| run(Course::of(seed)).0.watch.log);
        assert_eq!(logs[0], logs[1], "{}", again(seed, "replay"));
    }
}

/// Fault 67.
fn killed(seed: u64) -> (Whole, Vec<String>) {
    let course = Course::of(seed);
    let mut whole = Whole::new(course);
    let mut chance = fastrand::Rng::with_seed(seed ^ 0xdead);
    for _ in 0..4 {
        whole.pass(Nanos::millis(200 + chance.u64(..15_000)));
        whole.kill();
    }
    let wrong = whole.rest();
    (whole, wrong)
}

#[test]
fn a_process_that_is_killed_at_any_moment_goes_on_where_it_was() {
    let (mut kills, mut plans) = (0, 0);
    for seed in 0..100 {
        let (whole, wrong) = killed(seed);
        assert!(wrong.is_empty(), "{}: {wrong:#?}", again(seed, "replay_killed"));
        kills += whole.kills;
        plans += whole.plans;
    }
    println!("{kills} kills, {plans} plans");
}

/// A run in which the process dies once this record is written, whatever else it was about to do in that moment.
fn killed_after(seed: u64, record: u64) -> (Whole, Vec<String>) {
    let mut whole = Whole::new(Course { per_mille: 60, ..Course::of(seed) });
    whole.dies_after = Some(record);
    whole.pass(whole.course.span);
    let wrong = whole.rest();
    (whole, wrong)
}

fn every_record(seed: u64, half: u64) {
    let first = {
        let (mut whole, _) = killed_after(seed, u64::MAX);
        whole.engine.trader.executor().journal_mut().next_sequence()
    };
    let mut kills = 0;
    for record in (1..first).filter(|record| record % 2 == half) {
        let (whole, wrong) = killed_after(seed, record);
        assert!(wrong.is_empty(), "seed {seed}, killed after record {record}: {wrong:#?}");
        kills += whole.kills;
    }
    println!("seed {seed}: {kills} kills at {first} records");
}

#[test]
fn a_process_may_die_after_any_record_of_its_journal_odd_ones() {
    every_record(2, 1);
}

#[test]
fn a_process_may_die_after_any_record_of_its_journal_even_ones() {
    every_record(2, 0);
}

/// I8: a latch that falls in the middle of everything.
#[test]
fn after_the_latch_nothing_leaves_that_adds_risk_and_what_stands_alone_is_closed() {
    let mut held_back = 0;
    for seed in 0..60 {
        let mut whole = Whole::new(Course::of(seed));
        whole.pass(Nanos::millis(5_000 + 311 * seed));
        whole.halt();
        let plans = whole.plans;
        whole.pass(Nanos::secs(10));
        assert_eq!(whole.plans, plans, "seed {seed}: nothing new is decided");
        let wrong = whole.rest();
        assert!(whole.fallen.is_some() && wrong.is_empty(), "seed {seed}: {wrong:#?}");
        held_back += whole.held_back;
    }
    println!("{held_back} entries held back");
}

fn with_bug(bug: Bug, seed: u64) -> Vec<String> {
    let mut whole = Whole::new(Course { bug: Some(bug), per_mille: 60, ..Course::of(8 * seed) });
    if matches!(bug, Bug::LatchIgnored | Bug::EntryIsHedge) {
        // The latch falls between an order's record and its bytes.
        whole.trips = true;
    }
    whole.pass(whole.course.span);
    whole.rest()
}

#[test]
fn every_planted_mistake_is_found() {
    for bug in Bug::ALL {
        let found = (0..60).find_map(|seed| {
            let wrong = with_bug(bug, seed);
            (!wrong.is_empty()).then_some((seed, wrong))
        });
        let (seed, wrong) = found.unwrap_or_else(|| panic!("{bug:?} went unnoticed"));
        println!("{bug:?}: seed {seed}: {}", wrong[0]);
    }
}

/// A quiet start: nothing goes wrong but what the test does.
fn quiet(seed: u64) -> Whole {
    let mut whole = Whole::new(Course { per_mille: 0, ..Course::of(seed) });
    whole.pass(Nanos::secs(6));
    assert!(whole.fallen.is_none() && whole.engine.trader.is_clean(), "seed {seed}");
    whole
}

/// Fault 54: somebody triggers the order group of the entries. Whoever it was, it was meant as a stop.
#[test]
fn an_order_group_that_somebody_triggers_lets_the_latch_fall() {
    let mut runs = 0;
    for seed in 0..20 {
        let mut whole = quiet(seed);
        let Some(&(shard, group)) = whole.ground.groups.first() else { continue };
        let shard = shard.to_string();
        let path = format!("/portfolio/order_groups/{group}/trigger");
        whole.venues.by_hand("PUT", &path, &[("exchange_index", &shard)], b"{}");
        let plans = whole.plans;
        whole.pass(Nanos::millis(800));
        assert!(whole.fallen.is_some(), "seed {seed}: the trigger is news on the private stream");
        let begun = whole.plans - plans;
        whole.pass(Nanos::secs(10));
        assert_eq!(whole.plans - plans, begun, "seed {seed}: nothing new is decided");
        let wrong = whole.rest();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
        runs += 1;
    }
    assert!(5 < runs, "{runs} runs had groups");
}

fn wanted() -> Option<u64> {
    std::env::var("ORION_SEED").ok()?.parse().ok()
}

/// Runs the seed in `ORION_SEED`.
#[test]
fn replay() {
    let Some(seed) = wanted() else { return };
    let (whole, wrong) = run(Course::of(seed));
    println!("{} plans, {} faults, halted {:?}", whole.plans, whole.faults, whole.fallen);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The same with kills.
#[test]
fn replay_killed() {
    let Some(seed) = wanted() else { return };
    let (whole, wrong) = killed(seed);
    println!("{} plans, {} kills, halted {:?}", whole.plans, whole.kills, whole.fallen);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn zz_time() {
    let t = std::time::Instant::now();
    for seed in 0..20 {
        let _ = orion::sim::world::World::new(seed, 1, orion::unit::UnixMs::new(1_795_175_100_000));
    }
    println!("world {:?}", t.elapsed() / 20);
    let t = std::time::Instant::now();
    for seed in 0..20 {
        let _ = Whole::new(Course::of(seed));
    }
    println!("whole {:?}", t.elapsed() / 20);
    let t = std::time::Instant::now();
    for seed in 0..20 {
        let _ = run(Course::of(seed));
    }
    println!("run {:?}", t.elapsed() / 20);
}
