//! The detector's thread: drains every ring, turns the detector, hands on what came of it. Never waits on a lock, a disk
//! or a log.

use std::time::Duration;

use crossbeam::sync::Parker;

use super::{
    clock,
    detect::{Detector, Outbox},
    latency::{Recorder, Stage},
    ring::{DetectRings, Idle, Stop},
};
use crate::unit::{FeedId, Nanos};

/// Updates taken from one ring before the next one is looked at.
const BATCH: usize = 256;
/// How long a parked detector sleeps at most: paper orders land and books age without any update.
const NAP: Duration = Duration::from_millis(10);

/// Runs the detector until it is stopped and its plans are over.
pub fn run(
    mut detector: Detector,
    mut rings: DetectRings,
    mut out: Outbox,
    mut recorder: Recorder,
    idle: Idle,
    parker: &Parker,
    stop: &Stop,
) {
    loop {
        if stop.raised() {
            detector.drain();
            if detector.plans() == 0 {
                break;
            }
        }
        let mut busy = false;
        for ring in &mut rings.updates {
            let waiting = ring.slots().min(BATCH);
            if waiting == 0 {
                continue;
            }
            busy = true;
            let taken = clock::now();
            let Ok(chunk) = ring.read_chunk(waiting) else { continue };
            for sent in chunk {
                recorder.record(Stage::Ring, taken.since(sent.sent));
                detector.apply(&sent.update, &mut out);
            }
            let applied = clock::now().since(taken);
            recorder.record(Stage::Book, Nanos::new(applied.raw() / waiting as u64));
        }
        let at = clock::arrival();
        while let Ok(control) = rings.controls.pop() {
            busy = true;
            detector.control(&control, at, &mut out);
        }
        detector.turn(at, &mut out);
        if busy {
            recorder.record(Stage::Decide, clock::now().since(at.now));
        }
        hand_over(&mut rings, &mut out);
        detector.set_room(out.events.is_empty());
        recorder.poll();
        match (busy, idle) {
            (true, _) | (_, Idle::Spin) => std::hint::spin_loop(),
            (_, Idle::Yield) => std::thread::yield_now(),
            (_, Idle::Park) => parker.park_timeout(NAP),
        }
    }
    detector.farewell(clock::arrival(), &mut out);
    // The keeper outlives this thread, so the last events find their way.
    while !out.events.is_empty() {
        hand_over(&mut rings, &mut out);
        std::thread::yield_now();
    }
}

fn hand_over(rings: &mut DetectRings, out: &mut Outbox) {
    let mut sent = 0;
    for event in &out.events {
        if rings.events.push(*event).is_err() {
            break;
        }
        sent += 1;
    }
    out.events.drain(..sent);
    for wanted in out.resnapshots.drain(..) {
        let FeedId(feed) = wanted.feed;
        if let Some(ring) = rings.resnapshots.get_mut(usize::from(feed)) {
            // Full: the detector asks again.
            let _ = ring.push(wanted);
        }
    }
}
