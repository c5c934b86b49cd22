//! The whole engine on loopback: real sockets, real threads, the simulated exchanges on the other end.
//!
//! These wait for states, never for times; the deadline only ends a test that has failed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use orion::{
    config::{Config, Loaded, Sources},
    ledger::audit::AuditReader,
    pairing::{ApprovedPair, PairBook, Polarity, Tail, fingerprint},
    run::{
        boot::{self, Endpoints, Engine, Start},
        catalogue::{self, Listing},
        given,
        mode::Mode,
        sign::{self, Keys},
        snapshot::Snapshot,
    },
    sim::serve::{self, Options, Running},
    unit::{Money, UnixMs, Venue},
    venue::kalshi::sign::{KalshiSigner, KeyKind},
};

const KEY: &str = "11111111-1111-4111-8111-111111111111";

struct Site {
    running: Running,
    signer: Option<KalshiSigner>,
    endpoints: Endpoints,
}

fn site(tls: bool) -> Site {
    let (signer, public) = KalshiSigner::generate_demo(KeyKind::Rsa2048, KEY).unwrap();
    let options = Options { tls, kalshi_keys: vec![(KEY.into(), public)], ..Options::default() };
    let running = serve::start(options).unwrap();
    let at = &running.endpoints;
    let endpoints = Endpoints {
        kalshi_rest: at.kalshi_rest.clone(),
        kalshi_ws: at.kalshi_ws.clone(),
        gamma: at.polymarket_rest.clone(),
        clob: at.polymarket_rest.clone(),
        data: at.polymarket_rest.clone(),
        relayer: at.polymarket_rest.clone(),
        site: at.polymarket_rest.clone(),
        polymarket_ws: at.polymarket_ws.clone(),
        polymarket_user_ws: at.polymarket_user_ws.clone(),
        root: at.ca_pem.clone(),
    };
    Site { running, signer: Some(signer), endpoints }
}

/// The simulated pairs, approved with the rule texts that the venues list; the one named is approved with another text.
fn pairs(site: &Site, edited: Option<usize>) -> (PairBook, Listing) {
    let none = fingerprint(&["another text"]);
    let book = |print: &dyn Fn(Venue, &str) -> orion::pairing::Fingerprint| {
        let pairs = site.running.pairs().into_iter().enumerate().map(|(at, pair)| ApprovedPair {
            title: pair.title.clone(),
            kalshi_rules: if edited == Some(at) { none } else { print(Venue::Kalshi, &pair.ticker) },
            polymarket_rules: print(Venue::Polymarket, &pair.condition_id),
            kalshi: pair.ticker,
            polymarket: pair.condition_id,
            polarity: if pair.inverted { Polarity::Inverted } else { Polarity::Same },
            event: pair.title,
            approved_by: "a test".into(),
            approved_at: UnixMs::new(1_790_000_000_000),
            tail: Tail::Minor,
        });
        PairBook::new(pairs.collect()).unwrap()
    };
    let listed = catalogue::read(&site.endpoints, &book(&|_, _| none)).unwrap();
    let approved = book(&|venue, name| listed.get(&(venue, name.to_owned())).map_or(none, |l| l.rules));
    (approved, listed)
}

fn settings(state: &Path) -> Loaded {
    let flags = [
        ("engine.state_dir", state.display().to_string()),
        ("trading.auto_execute", "true".into()),
        ("feed.kalshi_poll_ms", "250".into()),
    ];
    let flags = flags.map(|(key, value)| (key.to_owned(), value, "test".to_owned())).to_vec();
    // The sample's values are the defaults; naming it keeps whatever lies around from being read.
    let file = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/orion.toml"));
    Config::load(&Sources { file, flags, ..Sources::default() }).unwrap()
}

fn engine(site: &Site, state: &Path, signer: Option<KalshiSigner>, edited: Option<usize>) -> Engine {
    let (pairs, listed) = pairs(site, edited);
    let loaded = settings(state);
    let signing = signer.and_then(|signer| sign::start(Keys::Made { kalshi: signer, polymarket: None }).unwrap());
    let start = Start { signing, ..Start::new(Mode::Demo, loaded, site.endpoints.clone(), pairs, listed) };
    Engine::start(start).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the deadline of a test that failed")]
fn until(engine: &Engine, what: &str, reached: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let snapshot = engine.snapshot.lock().unwrap().clone();
        if reached(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "{what} never came: {snapshot:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_signed_stream_fills_both_venues_books_and_a_plan_follows() {
    let mut site = site(true);
    let state = tempfile::tempdir().unwrap();
    let signer = site.signer.take();
    let engine = engine(&site, state.path(), signer, Some(3));
    let seen = until(&engine, "a paper fill", |s| 0 < s.fills && 40 < s.fit[0] && 40 < s.fit[1] && 20 < s.checksums[0]);
    assert!(3 < seen.barred, "the odd markets and the pair whose rules were edited: {}", seen.barred);
    let database = engine.state.join("orion.db");
    assert!(engine.stop());
    let reader = AuditReader::open(&database).unwrap();
    assert!(reader.settings().unwrap().contains_key("trading.threshold_spread"));
    site.running.stop();
}

#[test]
fn without_a_key_kalshi_is_polled_and_its_fills_are_no_evidence() {
    let site = site(false);
    let state = tempfile::tempdir().unwrap();
    let engine = engine(&site, state.path(), None, None);
    let seen = until(&engine, "a fill on polled books", |s| 0 < s.polled_fills && 40 < s.fit[0]);
    assert!(seen.sources[0].contains("public REST is polled"), "{:?}", seen.sources);
    assert!(engine.stop());
    site.running.stop();
}

#[test]
fn a_restart_finds_cash_positions_and_numbers_where_they_were() {
    let site = site(false);
    let state = tempfile::tempdir().unwrap();
    let first = engine(&site, state.path(), None, None);
    until(&first, "a position", |s| 0 < s.positions);
    let folder = first.state.clone();
    assert!(first.stop());
    let reader = AuditReader::open(&folder.join("orion.db")).unwrap();
    let known = reader.load_state(UnixMs::new(0)).unwrap();
    assert!(!known.positions.is_empty());
    let opening = given::allocation(&settings(state.path()).config);
    let books = reader.recompute([(Venue::Kalshi, opening[0]), (Venue::Polymarket, opening[1])]).unwrap();
    assert!(books.odd.is_empty(), "{:?}", books.odd);
    let second = engine(&site, state.path(), None, None);
    let seen = until(&second, "the balances", |s| 2 <= s.balances.len() && 0 < s.updates);
    let cash: i64 = seen.balances.iter().map(|b| b.cash).sum();
    let fills_since = seen.fills;
    let counted: Money = books.venues.iter().map(|v| v.cash).sum();
    assert!(fills_since != 0 || cash == counted.raw(), "{cash} after the restart, {counted:#} by the fills before it");
    assert!(seen.positions as usize * 2 >= known.positions.len());
    assert!(second.stop());
    site.running.stop();
}

#[test]
fn a_second_engine_on_the_same_state_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("paper");
    let held = boot::claim(&folder).unwrap();
    let refused = boot::claim(&folder).unwrap_err().to_string();
    assert!(refused.contains("another engine holds"), "{refused}");
    drop(held);
    boot::claim(&folder).unwrap();
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let (ours, theirs) = (site(true), site(true));
    let mut endpoints = ours.endpoints.clone();
    endpoints.root = theirs.endpoints.root.clone();
    let (book, _) = pairs(&ours, None);
    let refused = catalogue::read(&endpoints, &book).unwrap_err();
    assert!(format!("{refused:#}").contains("Kalshi's catalogue"), "{refused:#}");
    ours.running.stop();
    theirs.running.stop();
}
