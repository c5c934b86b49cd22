//! The whole engine and both simulated exchanges in one thread, in virtual time, from one seed: the same stages,
//! gateways and feeds as behind sockets, the exchanges' real frames, and a network that loses, delays and cuts.
//!
//! * [`venues`]: the exchanges, one account on each, the crowd;
//! * [`engine`]: one start of the engine;
//! * [`checks`]: what must hold after every step and at the end;
//! * [`power`]: a journal whose medium forgets, and hosts whose power goes;
//! * [`bugs`]: mistakes planted between engine and exchange.

#![allow(dead_code, reason = "every test uses its own part of this")]

pub mod bugs;
pub mod checks;
pub mod engine;
mod net;
pub mod power;
mod script;
pub mod venues;

use std::collections::BTreeMap;

use orion::{
    config::LegOrder,
    order::plan::Came,
    risk::Latch,
    run::event::{Control, Event, FlattenState, Ready, What, Word},
    unit::{FeedId, MarketId, Nanos, Price, Qty, Unclear, UnixMs, Venue},
    venue::{
        self,
        gateway::{Answer, Call, CallNo, Lane},
    },
    wire::{Arrival, Kind, Update},
};

use bugs::{Bug, Saboteur};
use checks::Watch;
use engine::{Engine, Ground};
use venues::{Pipe, Reply, START, Venues};

/// The engine's clock when the wall clock says [`START`].
const CLOCK: Nanos = Nanos::secs(1_000);
/// How often the executor looks around while a call is on its way, while a plan is, and while nothing is.
const BUSY: Nanos = Nanos::millis(20);
const WAITING: Nanos = Nanos::millis(60);
const CALM: Nanos = Nanos::millis(250);
/// How often what is due at the exchanges is looked for.
const PULSE: Nanos = Nanos::millis(50);
/// The longest rest that all may take to come to its end once nothing goes wrong any more: an order on Polymarket that
/// was lost is known to be absent three and a quarter minutes after it was written, and the order that was then to
/// close the other leg may have been lost too, with the process that had just written it down.
pub const REST: Nanos = Nanos::secs(540);

/// What comes back for a call.
enum Back {
    Whole(u16, Vec<u8>),
    NotSent,
    Lost(Unclear),
}

/// A call on its way, and until when its answer is waited for.
struct Flight {
    venue: Venue,
    no: CallNo,
    until: Nanos,
    back: Nanos,
    /// The answer is lost on its way.
    lost: bool,
    /// Of which start.
    life: u32,
}

enum Due {
    Arrive(Flight, Vec<u8>),
    Held(Flight, orion::sim::clob::CallNo),
    Answer(Flight, Back),
    /// A frame, or the end of the connection; of which connection.
    Frame(Pipe, u32, Option<String>),
    Say(Pipe, u32, String),
    Open(Pipe, u32),
    Ready(Ready, u32),
    Word(Word, u32),
    Turn(u32),
    Pulse,
    /// The crowd changes its mind about a pair.
    Crowd(usize),
}

/// One of the engine's connections.
#[derive(Default)]
struct Line {
    /// Counts its openings.
    number: u32,
    up: bool,
    /// When the last frame on its way arrives: none overtakes another.
    last: Nanos,
    pinged: Nanos,
}

/// How rough a run is.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    pub seed: u64,
    pub bug: Option<Bug>,
    /// Of a thousand requests, frames and trades, so many meet a fault of their exchange; and so many of the network.
    pub per_mille: u32,
    /// For so long things go wrong and the crowd leaves gaps.
    pub span: Nanos,
    pub leg_order: LegOrder,
}

impl Course {
    pub fn of(seed: u64) -> Self {
        let per_mille = [0, 20, 60, 120][(seed % 4) as usize];
        let leg_order = [LegOrder::Together, LegOrder::ThinnerFirst, LegOrder::RefusingFirst][(seed / 4 % 3) as usize];
        Self { seed, bug: None, per_mille, span: Nanos::secs(40), leg_order }
    }
}

/// Everything.
pub struct Whole {
    pub course: Course,
    pub rng: fastrand::Rng,
    pub venues: Venues,
    pub ground: Ground,
    pub engine: Engine,
    pub now: Nanos,
    pub watch: Watch,
    queue: BTreeMap<(Nanos, u64), Due>,
    count: u64,
    lines: [Line; 4],
    life: u32,
    /// Where the crowd sees each pair, in Kalshi's YES.
    fair: Vec<u16>,
    ready_last: Nanos,
    word_last: Nanos,
    turned: Nanos,
    lived: Nanos,
    pub flights: usize,
    /// Does anything go wrong?
    pub rough: bool,
    /// The latch below the sender.
    pub fallen: Option<Nanos>,
    pub held_back: u64,
    pub plans: u64,
    pub faults: u64,
    pub kills: u64,
    /// Entries that left with a ticket.
    pub tickets: u64,
    /// When a person said that everything is to be sold.
    pub flatten: Option<UnixMs>,
    /// The last word on that.
    pub flattened: Option<FlattenState>,
    /// Another thread lets the latch fall now and then, right before an entry's bytes leave.
    pub trips: bool,
    /// The process dies once this record is written.
    pub dies_after: Option<u64>,
    /// It has died; this is its journal.
    dead: Option<Vec<u8>>,
    pub power: power::Power,
}

impl Whole {
    pub fn new(course: Course) -> Self {
        let mut rng = fastrand::Rng::with_seed(course.seed);
        let mut venues = Venues::new(course.seed, &mut rng);
        let ground = Ground::new(&mut venues, &mut rng, course.leg_order);
        let at = Arrival { now: CLOCK, unix: START };
        let engine =
            Engine::start(&ground, &venues, None, at, None, None, |_, inner| Saboteur::wrap(course.bug, inner));
        let watch = Watch::new(&venues, course.seed);
        let fair = ground.pairs.iter().map(|_| 100 * rng.u16(35..65)).collect();
        let mut whole = Self {
            rng,
            venues,
            engine,
            now: CLOCK,
            watch,
            queue: BTreeMap::new(),
            count: 0,
            lines: Default::default(),
            life: 0,
            fair,
            ready_last: CLOCK,
            word_last: CLOCK,
            turned: CLOCK,
            lived: CLOCK,
            flights: 0,
            rough: 0 < course.per_mille,
            fallen: None,
            held_back: 0,
            plans: 0,
            faults: 0,
            kills: 0,
            tickets: 0,
            flatten: None,
            flattened: None,
            trips: false,
            dies_after: None,
            dead: None,
            power: power::Power::default(),
            ground,
            course,
        };
        for pair in 0..whole.fair.len() {
            whole.quote(pair, 0, 0);
            let later = whole.rng.u64(1_000..5_000);
            whole.push(Nanos::millis(later), Due::Crowd(pair));
        }
        whole.venues.said.clear();
        whole.venues.twins = course.seed % 8 == 7;
        if whole.rough {
            whole.venues.trouble(course.seed, course.per_mille);
        }
        whole.begin();
        whole.push(PULSE, Due::Pulse);
        whole
    }

    pub fn at(&self) -> Arrival {
        let since = self.now.since(CLOCK).raw() / 1_000_000;
        Arrival { now: self.now, unix: UnixMs::new(START.raw() + since) }
    }

    /// Does a connection stand?
    pub fn is_up(&self, pipe: Pipe) -> bool {
        self.lines[pipe.index()].up
    }

    fn push(&mut self, span: Nanos, due: Due) {
        self.push_at(self.now + span, due);
    }

    fn push_at(&mut self, at: Nanos, due: Due) {
        self.count += 1;
        self.queue.insert((at, self.count), due);
    }

    /// Lets that much time pass.
    pub fn pass(&mut self, span: Nanos) {
        let end = self.now + span;
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// The next thing happens.
    pub fn step(&mut self) {
        let ((at, _), due) = self.queue.pop_first().unwrap();
        self.now = at;
        self.venues.now = self.at().unix;
        self.sync();
        match due {
            Due::Arrive(flight, bytes) => self.arrive(flight, &bytes),
            Due::Held(flight, call) => match self.venues.held(call) {
                Some(reply) => self.replied(flight, reply),
                None => self.push(Nanos::millis(5), Due::Held(flight, call)),
            },
            Due::Answer(flight, back) => self.answered(&flight, back),
            Due::Frame(pipe, number, text) => self.frame(pipe, number, text),
            Due::Say(pipe, number, text) => {
                if self.lines[pipe.index()].number == number && self.lines[pipe.index()].up {
                    self.venues.hear(pipe, &text);
                }
            }
            Due::Open(pipe, number) => self.open(pipe, number),
            Due::Ready(ready, life) if life == self.life => {
                self.engine.trader.ready(ready, self.at());
                self.turn();
            }
            Due::Word(word, life) if life == self.life => {
                let at = self.at();
                self.engine.detector.word(&word, at, &mut self.engine.out);
                self.decide();
            }
            Due::Turn(life) if life == self.life => {
                self.keep_up();
                self.turn();
                let next = match self.engine.trader.executor().plans() {
                    0 if self.flights == 0 => CALM,
                    _ if 0 < self.flights => BUSY,
                    _ => WAITING,
                };
                self.push(next, Due::Turn(life));
                self.check_naked();
            }
            Due::Ready(..) | Due::Word(..) | Due::Turn(_) => {}
            Due::Pulse => {
                self.venues.advance(self.at().unix);
                if self.now.raw() / 1_000_000_000 != self.lived.raw() / 1_000_000_000 {
                    self.lived = self.now;
                    self.venues.live();
                    self.look_apart();
                    if (self.now.raw() / 1_000_000_000).is_multiple_of(60) {
                        self.read_catalogues();
                    }
                }
                self.push(PULSE, Due::Pulse);
            }
            Due::Crowd(pair) => self.crowd(pair),
        }
        self.listen();
        if let Some(journal) = self.dead.take() {
            return self.restart(&journal);
        }
        self.check();
    }

    /// The detector's turn.
    fn decide(&mut self) {
        let at = self.at();
        let Engine { detector, out, .. } = &mut self.engine;
        detector.turn(at, out);
        detector.tell_moved(at, out);
        let asked: Vec<_> = out.resnapshots.drain(..).collect();
        let (ready, events): (Vec<_>, Vec<_>) = (out.ready.drain(..).collect(), out.events.drain(..).collect());
        for asked in asked {
            let mut fed = venue::Out::default();
            let venue = Venue::ALL[usize::from(asked.feed.0)];
            if self.lines[Pipe::Public(venue).index()].up {
                self.engine.feeds[venue as usize].resnapshot(asked.market, at.now, &mut fed);
                for text in fed.sends {
                    self.say(Pipe::Public(venue), text);
                }
            }
        }
        self.note_events(&events);
        for ready in ready {
            if let Ready::Enter(entry) = &ready {
                self.check_entry(entry);
            }
            let late = self.hand();
            self.ready_last = self.ready_last.max(self.now + late);
            self.push_at(self.ready_last, Due::Ready(ready, self.life));
        }
    }

    /// From one thread to the other: mostly at once.
    fn hand(&mut self) -> Nanos {
        let slow = self.rng.u8(..100) < 3;
        Nanos::new(if slow { self.rng.u64(..30_000_000) } else { self.rng.u64(..200_000) })
    }

    fn note_events(&mut self, events: &[Event]) {
        for event in events {
            match event.what {
                What::Stats { .. } | What::Balance { .. } => continue,
                What::Planned { .. } => self.plans += 1,
                What::Flatten { state } => self.flattened = Some(state),
                _ => {}
            }
            self.watch.event(event, self.now);
        }
    }

    /// The executor's turn, until nobody has anything left to say.
    pub fn turn(&mut self) {
        // What was written and has not led to anything yet is where a process dies at the worst moment.
        while !self.has_died() {
            let at = self.at();
            self.engine.trader.turn(at);
            if self.has_died() {
                return;
            }
            if self.engine.trader.executor().is_halted() && self.fallen.is_none() {
                self.fallen = Some(self.now);
            }
            let mut busy = false;
            for venue in Venue::ALL {
                let calls: Vec<Call> = self.engine.trader.calls(venue).collect();
                for call in calls {
                    busy |= self.carry(venue, call);
                }
                let (texts, lost) = self.engine.trader.stream(venue);
                if self.lines[Pipe::Private(venue).index()].up {
                    for text in texts {
                        self.say(Pipe::Private(venue), text);
                    }
                    if lost {
                        self.lost(Pipe::Private(venue));
                    }
                }
            }
            let acts = self.engine.trader.acts();
            let events: Vec<_> = acts.events.drain(..).collect();
            let words: Vec<_> = acts.words.drain(..).collect();
            if self.has_died() {
                return;
            }
            self.note_events(&events);
            for word in words {
                if let Word::PlanEnded { came: Came::Alone(_), .. } = word {
                    self.watch.alone += 1;
                }
                let late = self.hand();
                self.word_last = self.word_last.max(self.now + late);
                self.push_at(self.word_last, Due::Word(word, self.life));
            }
            if !busy {
                return;
            }
        }
    }
}

/// A run without a kill, to its end.
pub fn run(course: Course) -> (Whole, Vec<String>) {
    let mut whole = Whole::new(course);
    whole.pass(course.span);
    let wrong = whole.rest();
    (whole, wrong)
}
