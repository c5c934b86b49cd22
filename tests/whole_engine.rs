//! The whole engine and both simulated exchanges in one thread, in virtual time, from one seed: whatever goes wrong,
//! what the engine believes in the end is what the exchanges hold. A failure prints its seed, the build and the command
//! that runs that seed alone and tells everything. `ORION_FROM=10000 cargo test --test whole_engine whatever` takes the
//! 2,000 seeds from there on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "common/call.rs"]
mod call;
#[path = "common/whole/mod.rs"]
mod whole;

use std::ops::Range;

use orion::{
    config::LegOrder,
    order::plan::Frozen,
    run::event::FlattenWait,
    unit::{MarketId, Money, Nanos, PairId, Qty},
};
use whole::{Course, Whole, bugs::Bug, run};

/// How to see a failure again, and in which build.
fn again(seed: u64, test: &str) -> String {
    let git = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let commit = git.map(|git| String::from_utf8_lossy(&git.stdout).trim().to_owned()).unwrap_or_default();
    let build = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    format!("{build} {commit}: ORION_SEED={seed} cargo test --test whole_engine {test} -- --nocapture")
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn seeds(range: Range<u64>) {
    let from = number("ORION_FROM").unwrap_or(0);
    let range = from + range.start..from + range.end;
    let (mut plans, mut exits, mut faults, mut halted, mut filled, mut naked) = (0, 0, 0, 0, 0, Nanos::ZERO);
    let mut tickets = 0;
    for seed in range.clone() {
        let (whole, wrong) = run(Course::of(seed));
        assert!(wrong.is_empty(), "{}: {wrong:#?}", again(seed, "replay"));
        plans += whole.plans;
        exits += whole.watch.endings.get("exited").copied().unwrap_or(0);
        faults += whole.faults + whole.venues.troubles() as u64;
        halted += u64::from(whole.fallen.is_some());
        filled += whole.watch.kinds.get("filled").copied().unwrap_or(0);
        naked = naked.max(whole.watch.naked_longest);
        tickets += whole.tickets;
    }
    let ms = naked.raw() / 1_000_000;
    println!(
        "{range:?}: {plans} plans, {exits} pairs sold early, {filled} fills, {faults} faults, {halted} halted, \
         naked {ms} ms at most"
    );
    let runs = range.end - range.start;
    assert!(6 * runs < plans && 15 * runs < faults, "{plans} plans, {faults} faults");
    println!("{range:?}: {tickets} tickets were sent");
    assert!(runs / 4 < tickets, "{tickets} tickets");
    assert!(runs < exits, "{exits} pairs sold early");
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

fn every_record(seeds: &[u64]) {
    let (mut kills, mut trades) = (0, 0);
    for &seed in seeds {
        let (mut whole, _) = killed_after(seed, u64::MAX);
        trades += whole.watch.kinds["filled"];
        let records = whole.engine.trader.executor().journal_mut().next_sequence();
        for record in 1..records {
            let (whole, wrong) = killed_after(seed, record);
            assert!(wrong.is_empty(), "ORION_RECORD={record} of {}: {wrong:#?}", again(seed, "replay_killed_after"));
            kills += whole.kills;
        }
    }
    println!("seeds {seeds:?}: {kills} kills, one after each record of {trades} trades");
    assert!(100 <= trades && trades <= kills, "{kills} kills, {trades} trades");
}

/// With the next one, every record of two hundred trades.
#[test]
fn a_process_may_die_after_any_record_of_its_journal_1() {
    every_record(&[45, 119]);
}

#[test]
fn a_process_may_die_after_any_record_of_its_journal_2() {
    every_record(&[3, 34, 60]);
}

/// Fault 73: whoever rebuilds half a journal holds what both venues hold, once it is said that all agrees. An order that
/// was on its way where the journal breaks off hides its market from a reading: that one is not the last.
#[test]
fn what_is_rebuilt_agrees_only_once_everything_is_taken_over() {
    let mut late = 0;
    for seed in 0..40 {
        let mut whole = Whole::new(Course { per_mille: 0, ..Course::of(8 * seed) });
        whole.pass(Nanos::secs(25));
        whole.halt();
        whole.pass(Nanos::secs(20));
        whole.rebuild();
        while !whole.engine.trader.is_clean() {
            late += u64::from(whole.engine.trader.executor().plans() != 0);
            whole.pass(Nanos::millis(50));
        }
        let unequal = whole.unequal();
        assert!(unequal.is_empty(), "seed {}: {unequal:#?}", 8 * seed);
    }
    assert!(late != 0, "no order was on its way");
}

/// Fault 79: the power goes right after so many orders and cancels have left, and a few more times at any moment; what
/// was not synced is gone each time.
fn cut(seed: u64, after: u64) -> (Whole, Vec<String>) {
    let mut whole = Whole::new(Course::of(seed));
    let mut chance = fastrand::Rng::with_seed(seed ^ after);
    whole.power.fails_after = Some(after);
    whole.pass(whole.course.span);
    if chance.bool() {
        whole.course.span = whole.course.span + Nanos::secs(30);
        for _ in 0..2 {
            whole.pass(Nanos::millis(200 + chance.u64(..12_000)));
            whole.cut();
        }
    }
    whole.come_to_rest();
    let wrong = whole.verdict_after_cuts();
    (whole, wrong)
}

fn cuts(seeds: Range<u64>) {
    let (mut cuts, mut lost, mut plans) = (0, 0, 0);
    for seed in seeds {
        for after in 1..10 {
            let (whole, wrong) = cut(seed, after);
            assert!(wrong.is_empty(), "after {after}, {}: {wrong:#?}", again(seed, "replay_cut"));
            cuts += whole.power.cuts;
            lost += whole.power.lost;
            plans += whole.plans;
        }
    }
    println!("{cuts} cuts, {lost} orders of which nothing but the ticket was left, {plans} plans");
    assert!(lost != 0, "no ticket was lost in {cuts} cuts");
}

#[test]
fn a_power_cut_leaves_no_order_that_the_engine_cannot_ask_for_1() {
    cuts(0..30);
}

#[test]
fn a_power_cut_leaves_no_order_that_the_engine_cannot_ask_for_2() {
    cuts(30..60);
}

/// I8: the latch falls below the sender while an entry is on its way there; the executor hears of it a moment later.
#[test]
fn an_entry_that_is_on_its_way_when_the_latch_falls_is_held_back() {
    let mut held_back = 0;
    for seed in 0..60 {
        let mut whole = Whole::new(Course::of(seed));
        whole.trips = true;
        while whole.fallen.is_none() && whole.now < Nanos::secs(1_060) {
            whole.pass(Nanos::millis(20));
        }
        whole.halt();
        let wrong = whole.rest();
        assert!(whole.fallen.is_some() && wrong.is_empty(), "seed {seed}: {wrong:#?}");
        held_back += whole.held_back;
    }
    assert!(20 < held_back, "{held_back} entries held back");
}

/// I8: a latch that falls in the middle of everything.
#[test]
fn after_the_latch_nothing_leaves_that_adds_risk_and_what_stands_alone_is_closed() {
    for seed in 0..60 {
        let mut whole = Whole::new(Course::of(seed));
        whole.pass(Nanos::millis(5_000 + 311 * seed));
        whole.halt();
        let plans = whole.plans;
        whole.pass(Nanos::secs(10));
        assert_eq!(whole.plans, plans, "seed {seed}: nothing new is decided");
        let wrong = whole.rest();
        assert!(whole.fallen.is_some() && wrong.is_empty(), "seed {seed}: {wrong:#?}");
    }
}

fn flattened(seed: u64) -> (Whole, Vec<String>) {
    let mut whole = Whole::new(Course::of(seed));
    whole.pass(Nanos::millis(6_000 + 407 * seed));
    whole.flatten();
    if seed % 3 == 2 {
        whole.pass(Nanos::millis(300 + 211 * seed));
        whole.kill();
    }
    let plans = whole.plans;
    whole.pass(Nanos::secs(40));
    assert_eq!(whole.plans, plans, "seed {seed}: nothing new is entered");
    whole.calm();
    whole.pass(Nanos::secs(240));
    let wrong = whole.rest();
    (whole, wrong)
}

/// Everything held is sold while the latch has fallen, from any moment on, through kills too; or what is left is told.
#[test]
fn whoever_flattens_holds_nothing_in_the_end_or_is_told_what() {
    let (mut flat, mut kept, mut sold, mut lost) = (0, 0, 0, Money::ZERO);
    for seed in 0..80 {
        let (mut whole, wrong) = flattened(seed);
        assert!(wrong.is_empty(), "{}: {wrong:#?}", again(seed, "replay_flatten"));
        let state = whole.flattened.expect("how far it is was told");
        let mut held = |market| whole.engine.trader.executor().holding(market).qty != [Qty::ZERO; 2];
        let left = (0..whole.ground.names.len() as u32).map(MarketId).filter(|market| held(*market)).count();
        assert_eq!(state.left as usize, left, "seed {seed}: {state:?}");
        assert!(state.lost <= state.most, "seed {seed}: {state:?}");
        if left != 0 {
            // Less than an order at Polymarket, and paired; or one fill had two names, and the plan is frozen.
            let most = (0..whole.ground.names.len() as u32).map(MarketId);
            let most = most.flat_map(|market| whole.engine.trader.executor().holding(market).qty).max();
            let rest = state.why == FlattenWait::NoBid && most < Some(Qty::whole(5));
            assert!(rest || whole.venues.twins, "seed {seed}: {state:?}, {most:?} held");
        }
        (flat, kept) = (flat + u32::from(left == 0), kept + u32::from(left != 0));
        sold += whole.watch.endings.get("exited").copied().unwrap_or(0);
        lost += state.lost;
    }
    println!("{flat} flat, {kept} with something left; {sold} sales, {lost:#} lost");
    assert!(70 < flat && 100 < sold, "{flat} flat, {kept} not; {sold} sales");
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
        let found = (0..200).find_map(|seed| {
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

/// Faults 49 and 52: a pair closes in the middle of a run, on one venue before the other, and pays.
#[test]
fn a_market_that_closes_and_pays_is_booked_as_it_was_paid() {
    let (mut paid, mut frozen) = (0, 0);
    for seed in 0..40 {
        let course = Course::of(seed);
        let mut whole = Whole::new(course);
        whole.pass(Nanos::millis(8_000 + 411 * seed));
        let payout = Money::micros([0, 1_000_000, 500_000][(seed % 3) as usize]);
        whole.venues.decide(whole.ground.pairs[0].1, payout);
        whole.pass(course.span);
        whole.calm();
        whole.pass(Nanos::secs(170));
        whole.venues.lives = false;
        let wrong = whole.rest();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
        let (now, executor) = (whole.now, whole.engine.trader.executor());
        // What a venue told cannot be, as when one match comes under two names: nobody knows what it pays until a
        // person looked.
        let impossible = executor.open().any(|plan| plan.frozen(now) == Some(Frozen::Impossible));
        paid += u64::from(executor.has_paid(MarketId(0)));
        frozen += u64::from(!executor.has_paid(MarketId(0)) && impossible && executor.is_halted());
    }
    assert!(paid + frozen == 40 && 36 <= paid, "{paid} paid, {frozen} frozen");
}

/// Fault 48: 425 for a minute and a half, then two minutes of post-only, while gaps open all the time.
#[test]
fn while_polymarket_restarts_nobody_enters_on_either_venue_and_afterwards_all_is_level() {
    let mut plans = 0;
    for seed in 0..12 {
        let mut whole = Whole::new(Course { span: Nanos::secs(240), per_mille: 0, ..Course::of(seed) });
        whole.pass(Nanos::millis(8_000 + 411 * seed));
        whole.venues.restart();
        whole.pass(Nanos::secs(230));
        let wrong = whole.rest();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
        plans += whole.plans;
    }
    println!("{plans} plans");
}

/// Somebody trades in our account on the first pair's Kalshi market: more of what we hold there, or less.
fn by_hand(whole: &mut Whole, more: bool) -> bool {
    let kalshi = whole.ground.pairs[0].1;
    let before = whole.venues.desk.position(&whole.venues.world, 0, 0, kalshi);
    let held = whole.engine.trader.executor().holding(MarketId(0)).qty;
    let buys_yes = held[1].is_zero() == more;
    let (side, price) = if buys_yes { ("bid", "0.9500") } else { ("ask", "0.0500") };
    let ticker = whole.ground.names[0].1;
    let order = format!(
        r#"{{"ticker":"{ticker}","side":"{side}","price":"{price}","count":"7.00","client_order_id":"by-hand",
            "time_in_force":"immediate_or_cancel","self_trade_prevention_type":"taker_at_cross"}}"#
    );
    whole.venues.by_hand("POST", "/portfolio/events/orders", &[], order.as_bytes());
    whole.course.span = Nanos::secs(140);
    before != whole.venues.desk.position(&whole.venues.world, 0, 0, kalshi)
}

/// Faults 32 and 41: what somebody else bought is his. His market is left alone, the others are not.
#[test]
fn a_trade_by_hand_blocks_its_market_and_no_other() {
    for seed in 0..12 {
        let mut whole = quiet(seed);
        if !by_hand(&mut whole, true) {
            continue;
        }
        whole.pass(Nanos::secs(60));
        let here = |whole: &Whole| whole.watch.begun.get(&PairId(0)).copied();
        let before = (here(&whole), whole.plans);
        whole.pass(Nanos::secs(50));
        assert_eq!(here(&whole), before.0, "seed {seed}: nothing is entered where somebody else trades");
        assert!(before.1 < whole.plans, "seed {seed}: the other pairs are traded on");
        assert!(whole.fallen.is_none(), "seed {seed}: {:?}", whole.fallen);
        let kinds = &whole.watch.kinds;
        assert!(kinds["stranger"] != 0 && kinds["differs"] != 0, "seed {seed}: {kinds:?}");
    }
}

/// Fault 41: what we believe in is not there any more.
#[test]
fn contracts_that_somebody_sold_let_the_latch_fall() {
    let mut runs = 0;
    for seed in 0..12 {
        let mut whole = quiet(seed);
        whole.pass(Nanos::secs(20));
        let held = whole.engine.trader.executor().holding(MarketId(0)).qty;
        if held.iter().all(|qty| *qty < Qty::whole(8)) || !by_hand(&mut whole, false) {
            continue;
        }
        whole.pass(Nanos::secs(70));
        assert!(whole.fallen.is_some(), "seed {seed}");
        runs += 1;
    }
    assert!(3 < runs, "{runs} runs held something");
}

/// The three orders in which legs leave, on the same seeds: `ORION_RUNS=400 cargo test --test whole_engine leg_orders
/// -- --nocapture` prints the table of docs/performance.md.
#[test]
fn leg_orders_are_compared_on_the_same_seeds() {
    let runs = number("ORION_RUNS").unwrap_or(24);
    println!("order            plans  filled  partial  missed  unwound  one leg more  closing again    held alone");
    for leg_order in [LegOrder::Together, LegOrder::ThinnerFirst, LegOrder::RefusingFirst] {
        let (mut plans, mut alone, mut unwound, mut naked) = (0, 0, Money::ZERO, Nanos::ZERO);
        let mut endings = std::collections::BTreeMap::<_, u64>::new();
        for seed in 0..runs {
            let (whole, wrong) = run(Course { leg_order, ..Course::of(seed) });
            assert!(wrong.is_empty(), "{leg_order:?}, seed {seed}: {wrong:#?}");
            plans += whole.plans;
            (alone, unwound) = (alone + whole.watch.alone, unwound + whole.watch.unwound);
            naked = naked.max(whole.watch.naked_longest);
            for (name, count) in &whole.watch.endings {
                *endings.entry(*name).or_default() += count;
            }
        }
        let ended = |name: &str| endings.get(name).copied().unwrap_or(0);
        let (name, ms) = (format!("{leg_order:?}"), naked.raw() / 1_000_000);
        println!(
            "{name:<15} {plans:>6} {:>7} {:>8} {:>7} {:>8} {alone:>13} {:>14} {ms:>10} ms",
            ended("filled"),
            ended("partial"),
            ended("missed"),
            ended("unwound"),
            format!("{unwound:#}"),
        );
        assert!(3 * runs < ended("filled"), "{leg_order:?}: {endings:?}");
    }
}

fn wanted() -> Option<u64> {
    number("ORION_SEED")
}

/// Runs the seed in `ORION_SEED`.
#[test]
fn replay() {
    let Some(seed) = wanted() else { return };
    let (whole, wrong) = run(Course::of(seed));
    println!("{} plans, {} faults, halted {:?}", whole.plans, whole.faults, whole.fallen);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The same with power cuts, the first one after each of the first orders in turn.
#[test]
fn replay_cut() {
    let Some(seed) = wanted() else { return };
    for after in 1..10 {
        let (whole, wrong) = cut(seed, after);
        println!("after {after}: {} plans, {} lost, halted {:?}", whole.plans, whole.power.lost, whole.fallen);
        assert!(wrong.is_empty(), "after {after}: {wrong:#?}");
    }
}

/// The same with kills.
#[test]
fn replay_killed() {
    let Some(seed) = wanted() else { return };
    let (whole, wrong) = killed(seed);
    println!("{} plans, {} kills, halted {:?}", whole.plans, whole.kills, whole.fallen);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The same with everything sold.
#[test]
fn replay_flatten() {
    let Some(seed) = wanted() else { return };
    let (whole, wrong) = flattened(seed);
    println!("{:?}, {} kills, halted {:?}", whole.flattened, whole.kills, whole.fallen);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The same, killed after the record that `ORION_RECORD` names.
#[test]
fn replay_killed_after() {
    let (Some(seed), Some(record)) = (wanted(), number("ORION_RECORD")) else { return };
    let (whole, wrong) = killed_after(seed, record);
    println!("{} plans, {} kills, halted {:?}", whole.plans, whole.kills, whole.fallen);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
