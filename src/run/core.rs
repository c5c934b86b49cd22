//! The desk's thread: drains every ring, turns detector and executor, hands on what came of it. Never waits on a lock or a
//! log; of the disk it knows the journal's next bytes, which were laid out beforehand.

use std::time::Duration;

use crossbeam::sync::Parker;

use super::{
    clock,
    desk::Desk,
    latency::{Recorder, Stage},
    ring::{DetectRings, Idle, Stop},
    sync::Spares,
};
use crate::{
    ledger::segments::Segment,
    unit::{FeedId, Nanos},
};

/// Updates taken from one ring before the next one is looked at.
const BATCH: usize = 256;
/// How long a parked detector sleeps at most: paper orders land and books age without any update.
const NAP: Duration = Duration::from_millis(10);

/// Runs the desk until it is stopped and its plans are over.
pub fn run(
    mut desk: Desk<Segment>,
    mut rings: DetectRings,
    mut spares: Spares,
    mut recorder: Recorder,
    idle: Idle,
    parker: &Parker,
    stop: &Stop,
) {
    loop {
        if stop.raised() {
            desk.detector.drain();
            if desk.plans() == 0 {
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
                desk.apply(&sent.update);
            }
            let applied = clock::now().since(taken);
            recorder.record(Stage::Book, Nanos::new(applied.raw() / waiting as u64));
        }
        let at = clock::arrival();
        while let Ok(control) = rings.controls.pop() {
            busy = true;
            desk.control(&control, at);
        }
        desk.turn(at);
        if busy {
            recorder.record(Stage::Decide, clock::now().since(at.now));
        }
        hand_over(&mut rings, &mut desk);
        let room = desk.events().is_empty();
        desk.detector.set_room(room);
        spares.rotate(desk.executor.journal_mut());
        recorder.poll();
        match (busy, idle) {
            (true, _) | (_, Idle::Spin) => std::hint::spin_loop(),
            (_, Idle::Yield) => std::thread::yield_now(),
            (_, Idle::Park) => parker.park_timeout(NAP),
        }
    }
    desk.farewell(clock::arrival());
    // The keeper outlives this thread, so the last events find their way.
    while !desk.events().is_empty() {
        hand_over(&mut rings, &mut desk);
        std::thread::yield_now();
    }
}

fn hand_over(rings: &mut DetectRings, desk: &mut Desk<Segment>) {
    let mut sent = 0;
    for event in desk.events().iter() {
        if rings.events.push(*event).is_err() {
            break;
        }
        sent += 1;
    }
    desk.events().drain(..sent);
    for wanted in desk.resnapshots().drain(..) {
        let FeedId(feed) = wanted.feed;
        if let Some(ring) = rings.resnapshots.get_mut(usize::from(feed)) {
            // Full: the detector asks again.
            let _ = ring.push(wanted);
        }
    }
}
