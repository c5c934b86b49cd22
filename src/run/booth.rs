//! The detector with the executor in another thread: what it decides leaves by one ring, what was booked comes by
//! another. On paper both sit at one [`Desk`](super::desk::Desk).

use std::sync::Arc;

use rtrb::{Consumer, Producer};

use super::{
    detect::{Detector, Outbox, Setup},
    event::{Control, Event, Ready, Resnapshot, Word},
    ring::Stop,
};
use crate::wire::{Arrival, Update};

/// Slots of the ring to the executor: every open plan may want a price at once, beside what is entered.
pub const READY_SLOTS: usize = 4_096;
/// Slots of the ring from it.
pub const WORD_SLOTS: usize = 16_384;

/// The detector and its ends of both rings.
pub struct Booth {
    pub detector: Detector,
    out: Outbox,
    ready: Producer<Ready>,
    words: Consumer<Word>,
    /// Wakes the executor, where it sleeps.
    waker: Option<Arc<mio::Waker>>,
    ending: Ending,
}

/// How detector and executor end together.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// The detector decides nothing new any more, and all that it decided has been handed over.
    pub drained: Stop,
    /// The executor has nothing left that needs the detector.
    pub quiet: Stop,
    /// The detector has ended.
    pub detector: Stop,
}

impl Booth {
    /// Lays every table out.
    pub fn new(
        setup: Setup,
        ready: Producer<Ready>,
        words: Consumer<Word>,
        waker: Option<Arc<mio::Waker>>,
        ending: Ending,
    ) -> Self {
        let out = Outbox::with_room(setup.markets.len());
        Self { detector: Detector::new(setup), out, ready, words, waker, ending }
    }

    /// One update of one market.
    pub fn apply(&mut self, update: &Update) {
        self.detector.apply(update, &mut self.out);
    }

    /// A word from the cold side.
    pub fn control(&mut self, control: &Control, at: Arrival) {
        self.detector.control(control, at, &mut self.out);
    }

    /// Takes in what the executor booked, and decides.
    pub fn turn(&mut self, at: Arrival) {
        self.hear(at);
        self.detector.turn(at, &mut self.out);
        self.detector.tell_moved(at, &mut self.out);
    }

    /// Hands decisions over, once the keeper has been told of them.
    pub fn hand_over(&mut self) {
        if !self.out.events.is_empty() {
            return;
        }
        let count = self.out.ready.len().min(self.ready.slots());
        let mut handed = false;
        for ready in self.out.ready.drain(..count) {
            handed |= self.ready.push(ready).is_ok();
        }
        if self.detector.is_draining() && self.out.ready.is_empty() {
            self.ending.drained.raise();
        }
        if let (true, Some(waker)) = (handed, &self.waker) {
            // An executor that cannot be woken looks by itself a moment later.
            let _ = waker.wake();
        }
    }

    /// Needs the executor nobody any more who prices what is open?
    pub fn may_end(&self) -> bool {
        self.ending.quiet.raised()
    }

    fn hear(&mut self, at: Arrival) {
        while let Ok(word) = self.words.pop() {
            self.detector.word(&word, at, &mut self.out);
        }
    }

    /// The last word before the end, with all that the executor booked before its own.
    pub fn farewell(&mut self, at: Arrival) {
        self.hear(at);
        self.detector.farewell(at, &mut self.out);
    }

    /// What is for the keeper.
    pub fn events(&mut self) -> &mut Vec<Event> {
        &mut self.out.events
    }

    /// What is for the feeds.
    pub fn resnapshots(&mut self) -> &mut Vec<Resnapshot> {
        &mut self.out.resnapshots
    }
}
