//! The whole engine and both simulated exchanges in one thread, in virtual time, from one seed: whatever goes wrong, what
//! the engine believes in the end is what the exchanges hold. A failure prints its seed; `ORION_SEED=n cargo test --test
//! whole_engine replay -- --nocapture` runs that seed alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "common/call.rs"]
mod call;
#[path = "common/whole/mod.rs"]
mod whole;

use whole::{Course, run};

fn seeds(range: std::ops::Range<u64>) {
    let (mut plans, mut faults, mut halted) = (0, 0, 0);
    for seed in range.clone() {
        let (whole, wrong) = run(Course::of(seed));
        assert!(wrong.is_empty(), "ORION_SEED={seed} cargo test --test whole_engine replay: {wrong:#?}");
        plans += whole.plans;
        faults += whole.faults + whole.venues.troubles() as u64;
        halted += u64::from(whole.fallen.is_some());
    }
    println!("{range:?}: {plans} plans, {faults} faults, {halted} halted");
}

#[test]
fn a_few_seeds() {
    seeds(0..40);
}

/// Runs the seed in `ORION_SEED`.
#[test]
fn replay() {
    let Some(seed) = std::env::var("ORION_SEED").ok().and_then(|seed| seed.parse().ok()) else { return };
    let (whole, wrong) = run(Course::of(seed));
    println!("{} plans, {} faults, halted {:?}", whole.plans, whole.faults, whole.fallen);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
