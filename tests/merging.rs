//! YES and NO of one Polymarket market, held by the engine, become dollars through the relayer: the record first, one
//! transaction, and only the wallet says what became of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "common/town.rs"]
mod town;

use std::{process::Output, time::Duration};

use orion::{
    ledger::{journal::Record, segments},
    run::snapshot::Snapshot,
    unit::{Money, Qty, Venue},
};
use town::{Engine, Town, until};

const PATIENCE: Duration = Duration::from_mins(2);

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn reached(town: &Town, engine: &Engine, what: &str, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let seen = until(PATIENCE, || engine.status().filter(&wanted));
    seen.unwrap_or_else(|| panic!("{what} never came: {:#?}\n{}", engine.status(), town.told()))
}

#[test]
fn yes_and_no_of_one_market_become_dollars_once() {
    let town = Town::new(5, 20, 0);
    // A market of the pair file that stays open, and forty of each outcome of it: bought by hand, taken over by a
    // person.
    let names = town.names(Venue::Polymarket);
    let market = town.exchanges.with_polymarket(|desk, world, _| {
        let name = names.last().unwrap();
        let at = world.catalog().polymarket.iter().position(|market| market.condition_id == *name).unwrap();
        desk.split(0, at, Qty::whole(40));
        at
    });
    let wallet = || {
        town.exchanges.with_polymarket(|desk, _, _| {
            let wallet = desk.wallet(0);
            ([0, 1].map(|outcome| wallet.expected(market, outcome)), wallet.cash)
        })
    };
    let before = wallet().1;
    let sim = town.sim();
    let args = ["journal", "rebuild", "--mode", "demo", "--sim", sim.to_str().unwrap(), "--yes"];
    let adopted = town.output(&args);
    assert!(adopted.status.success() && said(&adopted).contains("40 YES and 40 NO"), "{}", said(&adopted));

    // Without entries of its own nothing else moves the wallet.
    let engine = town.start_as(&["--rehearse"]);
    reached(&town, &engine, "agreement", |status| status.agrees == Some(true));
    until(PATIENCE, || (wallet().0 == [Qty::ZERO; 2]).then_some(())).expect("both outcomes are gone");
    assert_eq!(wallet().1, before + Money::dollars(40));
    let merged = || {
        let (records, _) = segments::read(&town.state().join("journal")).unwrap();
        let of = |wanted: fn(&Record) -> bool| records.iter().filter(|(_, record)| wanted(record)).count();
        [
            of(|record| matches!(record, Record::Merging { .. })),
            of(|record| matches!(record, Record::Merged { done: true, .. })),
        ]
    };
    until(PATIENCE, || (merged() == [1, 1]).then_some(())).expect("the wallet was read, and the journal says so");
    let status = reached(&town, &engine, "nothing held", |status| status.held == [0; 2]);
    assert_eq!(status.agrees, Some(true));
    engine.signal("TERM");
    engine.wait();

    // Known after a restart, and not done again.
    let engine = town.start_as(&["--rehearse"]);
    reached(&town, &engine, "agreement after a restart", |status| status.agrees == Some(true));
    assert_eq!(merged(), [1, 1]);
    assert_eq!(wallet().1, before + Money::dollars(40));
    engine.signal("TERM");
    engine.wait();
    let shown = town.output(&["journal", "show", "--mode", "demo"]);
    assert!(said(&shown).contains("YES and NO became dollars"), "{}", said(&shown));
}
