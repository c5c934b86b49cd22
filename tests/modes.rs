//! Alert mode exercises keys and accounts and sends nothing; an account that may open nothing is named with its fix
//! before the first order, and closes a venue while the engine runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use orion::{
    cli::sim::{self, Site},
    config::{Config, Sources},
    run::{
        boot::{Engine, Start},
        eligible::{Asker, Finding},
        mode::Mode,
        sign::{self, Keys, Signing},
        snapshot::Snapshot,
        trading::Wired,
    },
    sim::serve::Running,
    venue::polymarket::contract::Chain,
};

fn started(site: Site, state: &Path, reads_only: bool) -> (Engine, Asker) {
    let Site { endpoints, pairs, listed, signer, wallet } = site;
    let keys = Keys::Made { kalshi: signer, polymarket: Some(Box::new(wallet.key().unwrap())) };
    let signing: Signing = sign::start(keys).unwrap().unwrap();
    let wired = Wired::sign_in(&endpoints, &signing, Chain::Polygon, reads_only).unwrap();
    let asker = Asker::new(&endpoints, &signing.desk, &wired.api, None).unwrap();
    let flags = [("engine.state_dir", state.display().to_string()), ("trading.auto_execute", "false".into())];
    let flags = flags.map(|(key, value)| (key.to_owned(), value, "test".to_owned())).to_vec();
    let file = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/orion.toml"));
    let loaded = Config::load(&Sources { file, flags, ..Sources::default() }).unwrap();
    let mode = if reads_only { Mode::Alert } else { Mode::Demo };
    let start =
        Start { signing: Some(signing), wired: Some(wired), ..Start::new(mode, loaded, endpoints, pairs, listed) };
    (Engine::start(start).unwrap(), asker)
}

#[expect(clippy::disallowed_methods, reason = "the deadline of a test that failed")]
fn until(engine: &Engine, what: &str, reached: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let snapshot = engine.snapshot.lock().unwrap().clone();
        if reached(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "{what} never came: {snapshot:#?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn count(status: &Snapshot, code: &str) -> u64 {
    status.reasons.iter().find(|reason| reason.code == code).map_or(0, |reason| reason.count)
}

/// What arrived at either exchange beyond questions: orders, and the venue's switches.
fn changes(running: &Running) -> [usize; 3] {
    let kalshi = running.with_kalshi(|desk| desk.check().seen().len());
    let groups = running.with_kalshi(|desk| desk.groups());
    let polymarket = running.with_polymarket(|desk, _, _| desk.audit().seen().len());
    [kalshi, groups, polymarket]
}

#[test]
fn alert_mode_reads_both_accounts_and_changes_nothing() {
    let (running, site) = sim::embed(5, 50, false).unwrap();
    let state = tempfile::tempdir().unwrap();
    let (engine, _) = started(site, state.path(), true);
    let seen = until(&engine, "an opportunity that would have been taken", |status| {
        status.agrees == Some(true) && 0 < count(status, "AUTO_EXECUTE_OFF")
    });
    assert_eq!((seen.mode.as_str(), seen.plans), ("alert", 0));
    assert!(seen.balances.iter().any(|balance| 0 < balance.cash), "{:?}", seen.balances);
    // The latch falls: nothing of that reaches a venue either.
    engine.stops.halt_by_person().unwrap();
    until(&engine, "the latch", |status| status.state == "halted");
    engine.stops.resume().unwrap();
    until(&engine, "the end of the latch", |status| status.state == "active");
    assert_eq!(changes(&running), [0; 3]);
    assert!(engine.stop());
    assert_eq!(changes(&running), [0; 3]);
    running.stop();
}

#[test]
fn an_account_that_may_open_nothing_is_named_with_its_fix() {
    let (running, site) = sim::embed(5, 50, false).unwrap();
    let owner: alloy_primitives::Address = site.wallet.key().unwrap().key.address().parse().unwrap();
    let state = tempfile::tempdir().unwrap();
    let (engine, asker) = started(site, state.path(), false);
    until(&engine, "agreement", |status| status.agrees == Some(true));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = || {
        let (found, unknown) = runtime.block_on(asker.ask(&[]));
        assert!(unknown.is_empty(), "{unknown:?}");
        found
    };
    // The demo's key is one of full power, which is told and stops nothing.
    assert_eq!(asked(), [Finding::MayMoveMoney]);
    running.with_polymarket(|desk, _, _| desk.set_geoblocked(true));
    let blocked = Finding::Blocked { country: "US".into(), region: "NY".into() };
    assert_eq!(asked(), [blocked, Finding::MayMoveMoney]);
    running.with_polymarket(|desk, _, _| {
        desk.set_geoblocked(false);
        desk.restrict(owner, false, true);
    });
    assert_eq!(asked(), [Finding::CloseOnly, Finding::MayMoveMoney]);
    // The sign thread ends with its last asker.
    drop(asker);
    assert!(engine.stop());
    running.stop();
}
