//! Detector and executor at one desk: what one hands over, the other has at once. One thread drives it in the paper
//! modes; replay, benches and tests drive it in virtual time.
//!
//! On paper the detector's own exchange answers every order. Wired, orders wait in [`Desk::acts`] for whoever brings
//! them to the venues, and what the venues tell comes back through [`Desk::heard`].

use super::{
    detect::{Detector, Outbox, Setup},
    event::{Control, Event, Resnapshot, Word},
    execute::{Acts, Executor, Facts, Unsigned},
    restore::Restored,
};
use crate::{
    fill::{Heard, Whose},
    ledger::journal::{Journal, Scratch, Store},
    order::{Ids, Plan, plan::Budget},
    unit::{Picture, Told},
    wire::{Arrival, Update},
};

/// How an excess is closed, and where the journal lies.
pub struct Orders<S> {
    pub journal: Journal<S>,
    pub ids: Ids,
    pub budget: Budget,
}

/// Both, and what they hand on.
pub struct Desk<S> {
    pub detector: Detector,
    pub executor: Executor<S>,
    out: Outbox,
    acts: Acts,
    wired: bool,
}

impl Orders<Scratch> {
    /// For those who keep nothing: a journal in memory, and any loss within `budget`.
    pub fn unkept(budget: Budget) -> Self {
        let journal = Journal::create(Scratch::new(16 * 1024 * 1024), 1, 1).expect("memory takes what is written");
        Self { journal, ids: Ids::new(1).expect("the first epoch"), budget }
    }
}

impl<S: Store> Desk<S> {
    /// Lays every table out.
    pub fn new(setup: Setup, orders: Orders<S>) -> Self {
        let markets: Vec<Facts> = setup.markets.iter().map(|m| Facts::of(&m.terms)).collect();
        let out = Outbox::with_room(markets.len());
        let mut executor = Executor::new(orders.journal, orders.ids, markets, orders.budget);
        executor.found(&setup.held);
        Self { detector: Detector::new(setup), executor, out, acts: Acts::with_room(), wired: false }
    }

    /// The same with orders that leave for the venues.
    pub fn wired(setup: Setup, orders: Orders<S>) -> Self {
        Self { wired: true, ..Self::new(setup, orders) }
    }

    /// Something of a venue's.
    pub fn heard(&mut self, heard: &Heard, at: Arrival) {
        self.executor.heard(heard, at, &mut self.acts);
    }

    /// What is to be done at the venues; to be emptied after every turn.
    pub fn acts(&mut self) -> &mut Acts {
        &mut self.acts
    }

    /// Goes on from what the journal says of the time before this start. Paper orders that were on their way went with
    /// the process that they were in; what they had filled stands.
    pub fn restore(&mut self, restored: Restored, at: Arrival) {
        let orders: Vec<_> = restored.plans.iter().flat_map(Plan::legs).map(|leg| (leg.ask.id, leg.filled())).collect();
        self.executor.restore(restored, at.now);
        if !self.wired {
            for (id, filled) in orders {
                let told = Told::Picture(Picture { filled, open: false });
                self.heard(&Heard { order: Whose::Ours(id), told, at: at.unix, met: None }, at);
            }
        }
    }

    /// One update of one market.
    pub fn apply(&mut self, update: &Update) {
        self.detector.apply(update, &mut self.out);
    }

    /// A word of the executor's, from beside it.
    pub fn word(&mut self, word: &Word, at: Arrival) {
        self.detector.word(word, at, &mut self.out);
    }

    /// A word from the cold side.
    pub fn control(&mut self, control: &Control, at: Arrival) {
        self.detector.control(control, at, &mut self.out);
    }

    /// Decides, lets paper orders arrive, and moves plans on until nobody has anything left to say.
    pub fn turn(&mut self, at: Arrival) {
        self.detector.turn(at, &mut self.out);
        // By far the most turns: nothing was decided, nothing is on its way.
        if self.executor.plans() == 0 && self.out.ready.is_empty() && self.out.heard.is_empty() {
            return self.detector.tell_moved(at, &mut self.out);
        }
        loop {
            for ready in self.out.ready.drain(..) {
                self.executor.ready(ready, at, &mut Unsigned, &mut self.acts);
            }
            for heard in self.out.heard.drain(..) {
                self.executor.heard(&heard, at, &mut self.acts);
            }
            self.executor.turn(at, &mut self.acts);
            let Acts { sends, cancels, looks, words, events } = &mut self.acts;
            self.out.events.append(events);
            if words.is_empty() && (self.wired || sends.is_empty()) {
                break;
            }
            if !self.wired {
                // The paper exchange answers every order whole: nothing stands, and nothing is in doubt.
                debug_assert!(cancels.is_empty() && looks.is_empty(), "a paper order has ended when it was answered");
                for ask in sends.drain(..) {
                    self.detector.word(&Word::Paper { ask }, at, &mut self.out);
                }
            }
            for word in words.drain(..) {
                self.detector.word(&word, at, &mut self.out);
            }
        }
        self.detector.tell_moved(at, &mut self.out);
    }

    /// The last word before the end.
    pub fn farewell(&mut self, at: Arrival) {
        self.detector.farewell(at, &mut self.out);
    }

    /// Plans that are still on their way.
    pub fn plans(&self) -> usize {
        self.executor.plans()
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
