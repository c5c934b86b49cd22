//! What live does, practised by the real binary on simulated exchanges: it waits to be armed, begins with the smallest
//! orders that both venues take, and a crash halts and disarms it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "common/town.rs"]
mod town;

use std::{
    io::Write as _,
    process::{Output, Stdio},
    time::Duration,
};

use orion::{
    ledger::{audit::AuditReader, journal::Record, segments},
    risk::Latch,
    run::snapshot::Snapshot,
    unit::{Money, Qty},
};
use town::{Engine, Town, until};

const PATIENCE: Duration = Duration::from_mins(1);

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// `orion arm` with a phrase typed.
fn arm(town: &Town, phrase: &str) -> Output {
    let mut command = town.orion(&["arm", "--mode", "demo"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{phrase}").unwrap();
    child.wait_with_output().unwrap()
}

/// The phrase that is wanted now, from the refusal of another one.
fn phrase(town: &Town) -> String {
    let refused = arm(town, "yes please");
    assert_eq!(refused.status.code(), Some(77), "{}", said(&refused));
    said(&refused).split("which is: ").nth(1).unwrap().trim().to_owned()
}

fn reached(town: &Town, engine: &Engine, what: &str, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let seen = until(PATIENCE, || engine.status().filter(&wanted));
    seen.unwrap_or_else(|| panic!("{what} never came: {:#?}\n{}", engine.status(), town.told()))
}

fn count(status: &Snapshot, code: &str) -> u64 {
    status.reasons.iter().find(|reason| reason.code == code).map_or(0, |reason| reason.count)
}

fn planned(town: &Town) -> Vec<Qty> {
    let (records, _) = segments::read(&town.state().join("journal")).unwrap();
    let qty = |record| if let Record::Planned { qty, .. } = record { Some(qty) } else { None };
    records.into_iter().filter_map(|(_, record)| qty(record)).collect()
}

#[test]
fn nothing_leaves_before_a_person_has_armed_it_and_a_crash_disarms() {
    let town = Town::new(11, 60, 0);
    let engine = town.start_as(&["--rehearse"]);
    let status = reached(&town, &engine, "an opportunity that waits", |status| {
        status.agrees == Some(true) && 0 < count(status, "NOT_ARMED")
    });
    assert_eq!((status.armed, status.plans), (Some(false), 0));
    assert_eq!(town.arrived_at_kalshi().len() + town.arrived_at_polymarket().len(), 0);

    // Cash between shards moves on a person's word, to the cent.
    let cash = |shard| town.exchanges.kalshi_account(|desk, world| desk.cash(world, 0, 0, shard));
    let before = [cash(0), cash(1)];
    let moved =
        town.output(&["transfer", "--mode", "demo", "--from-shard", "0", "--to-shard", "1", "--amount", "12.34"]);
    assert!(moved.status.success() && said(&moved).contains("accepted"), "{}", said(&moved));
    let amount = Money::micros(12_340_000);
    until(PATIENCE, || (cash(1) == before[1] + amount).then_some(())).expect("the cash arrives");
    assert_eq!(cash(0), before[0] - amount);
    let none =
        town.output(&["transfer", "--mode", "demo", "--from-shard", "0", "--to-shard", "1", "--amount", "99999999"]);
    assert_eq!(none.status.code(), Some(77), "{}", said(&none));

    let armed = arm(&town, &phrase(&town));
    assert!(armed.status.success() && said(&armed).contains("worst case"), "{}", said(&armed));
    reached(&town, &engine, "a plan", |status| status.armed == Some(true) && 0 < status.plans);
    until(PATIENCE, || (!town.arrived_at_kalshi().is_empty()).then_some(())).expect("an order leaves");
    engine.kill();

    // Polymarket's smallest order is five shares, and a dollar; cheap legs need more of them.
    let sizes = planned(&town);
    assert!(sizes.iter().all(|qty| Qty::whole(5) <= *qty && *qty <= Qty::whole(200)), "{sizes:?}");

    let engine = town.start_as(&["--rehearse"]);
    let status = reached(&town, &engine, "agreement after the crash", |status| status.agrees == Some(true));
    assert_eq!((status.state.as_str(), status.armed), ("halted", Some(false)));
    let latch = std::fs::read_to_string(town.state().join("latch")).unwrap();
    assert!(latch.starts_with(Latch::Crashed.name()), "{latch}");
    let refused = arm(&town, &phrase(&town));
    assert!(refused.status.code() == Some(77) && said(&refused).contains("orion resume first"), "{}", said(&refused));
    assert!(town.output(&["resume", "--mode", "demo"]).status.success());
    let armed = arm(&town, &phrase(&town));
    assert!(armed.status.success(), "{}", said(&armed));
    engine.signal("TERM");
    assert!(engine.wait().success(), "{}", town.told());

    // A clean restart under the same limits stays armed; a person disarms at once.
    let engine = town.start_as(&["--rehearse"]);
    reached(&town, &engine, "an armed start", |status| status.armed == Some(true) && status.state == "active");
    let off = town.output(&["arm", "--mode", "demo", "--off"]);
    assert!(off.status.success() && said(&off).contains("disarmed"), "{}", said(&off));
    reached(&town, &engine, "disarmed", |status| status.armed == Some(false));
    engine.signal("TERM");
    assert!(engine.wait().success(), "{}", town.told());
    assert_eq!(town.violations(), Vec::<String>::new());
    assert_eq!(town.unequal(&town.story()), Vec::<String>::new());

    let reader = AuditReader::open(&town.state().join("orion.db")).unwrap();
    let shown = reader.shown(orion::unit::UnixMs::new(0)).unwrap();
    assert_eq!((shown.runs, shown.crashed), (3, 1), "{shown:?}");
    assert!(0 < shown.agreed_ms && shown.agreed_ms <= shown.feeds_ms.max(shown.ran_ms), "{shown:?}");
}
