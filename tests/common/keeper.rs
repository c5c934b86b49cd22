//! The keeper behind a desk: what was told becomes a ledger on disk, and is read back from there.

#![allow(dead_code, reason = "every test file uses its own part of this")]

use super::desk::{KALSHI, POLYMARKET, UNIX_START};
use crossbeam::channel::{Receiver, bounded};
use orion::{
    ledger::audit::{Audit, AuditReader, RunInfo},
    run::{
        event::{Control, Event},
        feed::FeedGauge,
        keep::{self, KeepSetup, MarketName, PairName, Told},
        notice::{self, Wanted, Word},
        ring::Stop,
        snapshot::{PairShown, Snapshot},
        stops::{Fallen, Stops},
    },
    unit::{AlertKind, Money, UnixMs, Venue},
};
use std::sync::{Arc, Mutex, atomic::AtomicU64};
use tempfile::TempDir;

/// What the keeper left.
pub struct Kept {
    pub reader: AuditReader,
    pub told: Vec<Told>,
    pub snapshot: Snapshot,
    /// What it told the detector.
    pub controls: Receiver<Control>,
    pub folder: TempDir,
}

/// Runs a keeper over these events to its end.
pub fn kept(events: &[Event]) -> Kept {
    kept_beside(events, 0)
}

/// The same, beside feeds that had to be held back this often.
pub fn kept_beside(events: &[Event], storms: u64) -> Kept {
    keep_all(events, storms, None).0
}

/// The same, and what people would have been told at a place.
pub fn kept_telling(events: &[Event], place: &str) -> (Kept, Vec<Word>) {
    let (kept, post) = keep_all(events, 0, Some(place));
    (kept, post.expect("there is a place").try_iter().collect())
}

fn keep_all(events: &[Event], storms: u64, place: Option<&str>) -> (Kept, Option<Receiver<Word>>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("orion.db");
    let run = RunInfo {
        mode: "paper".into(),
        started_at: UnixMs::new(UNIX_START),
        build: "test".into(),
        config_hash: String::new(),
    };
    let audit = Audit::open(&path, &run).expect("a new database");
    let ends = place.map(|place| {
        let loudness = AlertKind::ALL.map(AlertKind::loudness);
        let wanted = Wanted { places: vec![place.into()], loudness, min_edge: 0, floors: [Money::dollars(1); 2] };
        notice::ends(wanted, &AuditReader::open(&path).expect("a new database")).expect("no alerts yet")
    });
    // Nobody tells anything back, so the keeper has nothing to wait for at its end.
    let (alerts, words) = ends.map_or((None, None), |(source, post)| (Some(source), Some(post.words)));
    let (mut ring, ring_out) = rtrb::RingBuffer::new(events.len().max(1));
    for event in events {
        ring.push(*event).expect("the ring has room for every event");
    }
    let (controls, controls_out) = bounded(16);
    let (told, told_out) = bounded(16 + 4 * events.len());
    let gauge = |storms| Arc::new(FeedGauge { storm: AtomicU64::new(storms), ..FeedGauge::default() });
    let snapshot = Arc::default();
    let name = |venue, name: &str| MarketName { venue, name: name.into() };
    let setup = KeepSetup {
        events: ring_out,
        executed: None,
        audit,
        markets: vec![name(Venue::Kalshi, "FED-DEC"), name(Venue::Polymarket, "0xc")],
        shown: Arc::new(Mutex::new(vec![PairShown::default()])),
        pairs: vec![PairName {
            key: "FED-DEC|0xc".into(),
            title: "Will the Fed cut?".into(),
            markets: [KALSHI, POLYMARKET],
        }],
        collectors: Vec::new(),
        gauges: vec![(Venue::Kalshi, gauge(storms)), (Venue::Polymarket, gauge(0))],
        verdicts: bounded(1).1,
        notes: bounded(1).1,
        controls,
        reread: bounded(1).0,
        told,
        snapshot: Arc::clone(&snapshot),
        latencies: Arc::default(),
        lines: None,
        clock_off: None,
        unredeemed: Arc::default(),
        commands: bounded(1).1,
        changes: bounded(1).1,
        found: bounded(1).1,
        merges: bounded(1).0,
        simulated: true,
        stops: Stops::new(Fallen::default(), bounded(16).0, folder.path(), None),
        rows: Vec::new(),
        held: Vec::new(),
        books: Vec::new(),
        alerts,
        crashed: false,
    };
    // The detector is over, so the keeper writes down what there is and ends.
    let ended = Stop::default();
    ended.raise();
    keep::run(setup, &[ended]);
    let snapshot = snapshot.lock().expect("nobody else holds it").clone();
    let reader = AuditReader::open(&path).expect("what the keeper wrote");
    (Kept { reader, told: told_out.try_iter().collect(), snapshot, controls: controls_out, folder }, words)
}
