//! The `detect` thread: drains every ring, turns the detector, and on paper the executor beside it, hands on what came
//! of it. Never waits on a lock or a log; of the disk it knows the journal's next bytes, which were laid out
//! beforehand.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crossbeam::sync::Parker;

use super::{
    booth::Booth,
    clock,
    desk::Desk,
    detect::Detector,
    event::{Control, Event, Passage, Resnapshot, What},
    latency::{Recorder, Stage},
    ring::{DetectRings, Idle, Stop},
    sync::Spares,
};
use crate::{
    ledger::segments::Segment,
    unit::{FeedId, Nanos},
    wire::{Arrival, Update},
};

/// Updates taken from one ring before the next one is looked at.
const BATCH: usize = 256;
/// How long a parked detector sleeps at most: paper orders land and books age without any update.
const NAP: Duration = Duration::from_millis(10);

/// Where the detector sits: beside the executor, or with a ring between them.
pub enum Seat {
    /// On paper, with the journal's next segments.
    Desk(Box<Desk<Segment>>, Spares),
    Booth(Box<Booth>),
}

impl Seat {
    fn detector(&mut self) -> &mut Detector {
        match self {
            Self::Desk(desk, _) => &mut desk.detector,
            Self::Booth(booth) => &mut booth.detector,
        }
    }

    fn apply(&mut self, update: &Update) {
        match self {
            Self::Desk(desk, _) => desk.apply(update),
            Self::Booth(booth) => booth.apply(update),
        }
    }

    /// A word from the cold side.
    pub fn control(&mut self, control: &Control, at: Arrival) {
        match self {
            Self::Desk(desk, _) => desk.control(control, at),
            Self::Booth(booth) => booth.control(control, at),
        }
    }

    fn turn(&mut self, at: Arrival) {
        match self {
            Self::Desk(desk, _) => desk.turn(at),
            Self::Booth(booth) => booth.turn(at),
        }
    }

    /// What follows once the keeper was told.
    fn told(&mut self) {
        match self {
            Self::Desk(desk, spares) => spares.rotate(desk.executor.journal_mut()),
            Self::Booth(booth) => booth.hand_over(),
        }
    }

    /// On paper every plan ends before the process; orders at a venue may go on in the next one.
    fn may_end(&self) -> bool {
        match self {
            Self::Desk(desk, _) => desk.plans() == 0,
            Self::Booth(booth) => booth.may_end(),
        }
    }

    fn farewell(&mut self, at: Arrival) {
        match self {
            Self::Desk(desk, _) => desk.farewell(at),
            Self::Booth(booth) => booth.farewell(at),
        }
    }

    fn events(&mut self) -> &mut Vec<Event> {
        match self {
            Self::Desk(desk, _) => desk.events(),
            Self::Booth(booth) => booth.events(),
        }
    }

    fn resnapshots(&mut self) -> &mut Vec<Resnapshot> {
        match self {
            Self::Desk(desk, _) => desk.resnapshots(),
            Self::Booth(booth) => booth.resnapshots(),
        }
    }
}

/// Runs the detector until it is stopped and its plans are over. `turns` are counted for the guard.
pub fn run(
    mut desk: Seat,
    mut rings: DetectRings,
    mut recorder: Recorder,
    idle: Idle,
    parker: &Parker,
    stop: &Stop,
    turns: &AtomicU64,
) {
    let mut passage = Passage::default();
    loop {
        turns.fetch_add(1, Ordering::Relaxed);
        if stop.raised() {
            desk.detector().drain();
            if desk.may_end() {
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
                if passage.arrived <= sent.update.at.now {
                    (passage.arrived, passage.sent, passage.taken) = (sent.update.at.now, sent.sent, taken);
                }
            }
            passage.applied = clock::now();
            recorder.record(Stage::Book, Nanos::new(passage.applied.since(taken).raw() / waiting as u64));
        }
        desk.detector().note_passage(passage);
        let at = clock::arrival();
        while let Ok(control) = rings.controls.pop() {
            busy = true;
            desk.control(&control, at);
        }
        desk.turn(at);
        if busy {
            let decide = clock::now().since(at.now);
            recorder.record(Stage::Decide, decide);
            for event in desk.events().iter_mut() {
                if let What::Passed { passage, .. } = &mut event.what
                    && passage.decide == Nanos::ZERO
                {
                    passage.decide = decide;
                }
            }
        }
        hand_over(&mut rings, &mut desk);
        let room = desk.events().is_empty();
        desk.detector().set_room(room);
        desk.told();
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

fn hand_over(rings: &mut DetectRings, desk: &mut Seat) {
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
