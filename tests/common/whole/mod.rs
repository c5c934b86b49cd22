//! The whole engine and both simulated exchanges in one thread, in virtual time, from one seed: the same stages, gateways
//! and feeds as behind sockets, the exchanges' real frames, and a network that loses, delays and cuts.
//!
//! * [`venues`]: the exchanges, one account on each, the crowd;
//! * [`engine`]: one start of the engine;
//! * [`checks`]: what must hold after every step and at the end;
//! * [`bugs`]: mistakes planted between engine and exchange.

#![allow(dead_code, reason = "every test uses its own part of this")]

pub mod bugs;
pub mod checks;
pub mod engine;
pub mod venues;

use std::collections::BTreeMap;

use orion::{
    risk::Latch,
    run::event::{Control, Event, Ready, What, Word},
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
/// was lost is known to be absent three and a quarter minutes after it was written.
pub const REST: Nanos = Nanos::secs(270);

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
}

impl Course {
    pub fn of(seed: u64) -> Self {
        let per_mille = [0, 20, 60, 120][(seed % 4) as usize];
        Self { seed, bug: None, per_mille, span: Nanos::secs(40) }
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
    pub flights: usize,
    /// Does anything go wrong?
    pub rough: bool,
    /// The latch below the sender.
    pub fallen: Option<Nanos>,
    pub held_back: u64,
    pub plans: u64,
    pub faults: u64,
    pub kills: u64,
    /// Another thread lets the latch fall now and then, right before an entry's bytes leave.
    pub trips: bool,
    /// The process dies once this record is written.
    pub dies_after: Option<u64>,
    /// It has died; this is its journal.
    dead: Option<Vec<u8>>,
}

impl Whole {
    pub fn new(course: Course) -> Self {
        let mut rng = fastrand::Rng::with_seed(course.seed);
        let mut venues = Venues::new(course.seed, &mut rng);
        let ground = Ground::new(&mut venues, &mut rng);
        let at = Arrival { now: CLOCK, unix: START };
        let engine = Engine::start(&ground, &venues, None, at, None, |_, inner| Saboteur::wrap(course.bug, inner));
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
            flights: 0,
            rough: 0 < course.per_mille,
            fallen: None,
            held_back: 0,
            plans: 0,
            faults: 0,
            kills: 0,
            trips: false,
            dies_after: None,
            dead: None,
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

    /// A process that has just started opens its connections.
    fn begin(&mut self) {
        for pipe in Pipe::ALL {
            self.reopen(pipe, Nanos::millis(30));
        }
        self.push(Nanos::millis(1), Due::Turn(self.life));
    }

    /// One in so many, as rough as the course is.
    fn strikes(&mut self, part: u32) -> bool {
        let strikes = self.rough && self.rng.u32(..1_000) < self.course.per_mille / part;
        self.faults += u64::from(strikes);
        if strikes {
            self.watch.fault(self.now);
        }
        strikes
    }

    /// One way through the network.
    fn way(&mut self) -> Nanos {
        if self.strikes(3) {
            return Nanos::millis(self.rng.u64(200..8_000));
        }
        Nanos::new(self.rng.u64(500_000..50_000_000))
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
            }
            Due::Ready(..) | Due::Word(..) | Due::Turn(_) => {}
            Due::Pulse => {
                self.venues.advance(self.at().unix);
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

    /// What was said on the connections travels.
    fn listen(&mut self) {
        for (pipe, text) in std::mem::take(&mut self.venues.said) {
            let mut way = if text.is_some() && matches!(pipe, Pipe::Public(_)) {
                Nanos::new(self.rng.u64(500_000..20_000_000))
            } else {
                self.way()
            };
            if way > Nanos::secs(3) {
                way = Nanos::secs(3);
            }
            let line = &mut self.lines[pipe.index()];
            line.last = line.last.max(self.now + way);
            let (at, number) = (line.last, line.number);
            self.push_at(at, Due::Frame(pipe, number, text));
        }
    }

    fn frame(&mut self, pipe: Pipe, number: u32, text: Option<String>) {
        let line = &self.lines[pipe.index()];
        if line.number != number || !line.up {
            return;
        }
        let cut = text.is_none() || self.strikes(10);
        if cut {
            // What was on its way behind it is lost.
            return self.lost(pipe);
        }
        let mut text = text.unwrap().into_bytes();
        let at = self.at();
        match pipe {
            Pipe::Public(venue) => {
                let mut out = venue::Out::default();
                self.engine.feeds[venue as usize].text(&mut text, at, &mut out);
                self.fed(venue, out);
            }
            Pipe::Private(venue) => {
                if self.strikes(20) {
                    let mut again = text.clone();
                    self.engine.trader.text(venue, &mut again, at);
                }
                self.engine.trader.text(venue, &mut text, at);
                self.turn();
            }
        }
    }

    /// What a feed wants and learnt.
    fn fed(&mut self, venue: Venue, out: venue::Out) {
        for update in &out.updates {
            self.engine.detector.apply(update, &mut self.engine.out);
        }
        let pipe = Pipe::Public(venue);
        for text in out.sends {
            self.say(pipe, text);
        }
        if out.lost.is_some() {
            self.lost(pipe);
        }
        if !out.updates.is_empty() {
            self.decide();
        }
    }

    fn say(&mut self, pipe: Pipe, text: String) {
        let number = self.lines[pipe.index()].number;
        let way = Nanos::new(self.rng.u64(500_000..20_000_000));
        self.push(way, Due::Say(pipe, number, text));
    }

    /// A connection is gone; it is dialled again a moment later.
    fn lost(&mut self, pipe: Pipe) {
        self.lines[pipe.index()].up = false;
        self.venues.close(pipe);
        if let Pipe::Public(venue) = pipe {
            let (feed, none) = (FeedId(venue as u8), UnixMs::default());
            let update = Update { market: MarketId(0), feed, link: 0, at: self.at(), stamp: none, kind: Kind::Lost };
            self.engine.detector.apply(&update, &mut self.engine.out);
        }
        let later = if self.rough { self.rng.u64(250..3_000) } else { 250 };
        self.reopen(pipe, Nanos::millis(later));
    }

    fn reopen(&mut self, pipe: Pipe, later: Nanos) {
        let line = &mut self.lines[pipe.index()];
        line.number += 1;
        line.up = false;
        let number = line.number;
        self.venues.close(pipe);
        self.push(later, Due::Open(pipe, number));
    }

    fn open(&mut self, pipe: Pipe, number: u32) {
        let now = self.now;
        let line = &mut self.lines[pipe.index()];
        if line.number != number {
            return;
        }
        (line.up, line.last, line.pinged) = (true, now, now);
        self.venues.open(pipe);
        let at = self.at();
        match pipe {
            Pipe::Public(venue) => {
                let mut out = venue::Out::default();
                self.engine.feeds[venue as usize].opened(at, &mut out);
                self.fed(venue, out);
            }
            Pipe::Private(venue) => {
                self.engine.trader.opened(venue, at);
                self.turn();
            }
        }
    }

    /// What the threads do by the clock: Kalshi's server pings every ten seconds, feeds look at the time.
    fn keep_up(&mut self) {
        let (at, due) = (self.at(), CALM <= self.now.since(self.turned));
        if !due {
            return;
        }
        self.turned = self.now;
        for pipe in Pipe::ALL {
            let line = &mut self.lines[pipe.index()];
            if !line.up {
                continue;
            }
            let pings = Nanos::secs(5) <= at.now.since(line.pinged);
            if pings {
                line.pinged = at.now;
            }
            match pipe {
                Pipe::Public(venue) => {
                    let mut out = venue::Out::default();
                    let feed = &mut self.engine.feeds[venue as usize];
                    if pings && venue == Venue::Kalshi {
                        feed.alive(at, &mut out);
                    }
                    feed.timeout(at, &mut out);
                    self.fed(venue, out);
                }
                Pipe::Private(Venue::Kalshi) if pings => self.engine.trader.alive(Venue::Kalshi, at),
                Pipe::Private(_) => {}
            }
        }
        self.decide();
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
                let late = self.hand();
                self.word_last = self.word_last.max(self.now + late);
                self.push_at(self.word_last, Due::Word(word, self.life));
            }
            if !busy {
                return;
            }
        }
    }

    /// A call leaves, or does not. `true` if its end is known at once.
    fn carry(&mut self, venue: Venue, call: Call) -> bool {
        self.watch.call(venue, &call);
        let Call { no, lane, wait, bytes } = call;
        if self.trips && lane != Lane::Read && self.rng.u8(..8) == 0 {
            self.fallen = self.fallen.or(Some(self.now));
        }
        let ignores = self.course.bug == Some(Bug::LatchIgnored);
        if lane == Lane::Entry && self.fallen.is_some() && !ignores {
            self.held_back += 1;
            self.engine.trader.answered(venue, no, Answer::NotSent, self.at());
            return true;
        }
        if self.strikes(10) {
            self.engine.trader.answered(venue, no, Answer::NotSent, self.at());
            return true;
        }
        self.check_records();
        self.watch.leaves(venue, lane, &bytes, self.fallen.is_some());
        let until = self.now + wait;
        let (there, back) = (self.way(), self.way());
        let (never, lost) = (self.strikes(4), self.strikes(4));
        let flight = Flight { venue, no, until, back, lost, life: self.life };
        self.flights += 1;
        if never {
            // The connection ends, or nothing is heard of it ever again.
            let cut = self.rng.bool();
            let (at, why) = if cut { (self.now + there, Unclear::Cut) } else { (until, Unclear::TimedOut) };
            self.push_at(at.min(until), Due::Answer(flight, Back::Lost(why)));
        } else {
            self.push(there, Due::Arrive(flight, bytes));
        }
        false
    }

    fn arrive(&mut self, flight: Flight, bytes: &[u8]) {
        match self.venues.ask(flight.venue, bytes) {
            Reply::Held(call) => self.push(Nanos::millis(5), Due::Held(flight, call)),
            reply @ Reply::Now { .. } => self.replied(flight, reply),
        }
    }

    fn replied(&mut self, flight: Flight, reply: Reply) {
        let Reply::Now { at, whole } = reply else { unreachable!("it was answered") };
        let late = Nanos::millis(at.since(self.at().unix));
        let comes = self.now + late + flight.back;
        let (comes, back) = match whole {
            _ if flight.until < comes => (flight.until.max(self.now), Back::Lost(Unclear::TimedOut)),
            None => (comes, Back::Lost(Unclear::Cut)),
            Some(_) if flight.lost => (comes, Back::Lost(Unclear::Cut)),
            Some((status, body)) => (comes, Back::Whole(status, body)),
        };
        self.push_at(comes, Due::Answer(flight, back));
    }

    fn answered(&mut self, flight: &Flight, back: Back) {
        if flight.life != self.life {
            return;
        }
        self.flights -= 1;
        let (at, venue, no) = (self.at(), flight.venue, flight.no);
        let trader = &mut self.engine.trader;
        match back {
            Back::Whole(status, mut body) => trader.answered(venue, no, Answer::Whole { status, body: &mut body }, at),
            Back::NotSent => trader.answered(venue, no, Answer::NotSent, at),
            Back::Lost(why) => trader.answered(venue, no, Answer::Lost(why), at),
        }
        self.turn();
    }

    /// The crowd leaves a gap for a while, or closes it.
    fn crowd(&mut self, pair: usize) {
        let gap = self.leaves_gaps() && self.rng.u8(..3) != 0;
        if gap {
            let shift = if self.rng.bool() { 800 } else { -800 };
            let on_kalshi = self.rng.bool();
            let (kalshi, polymarket) = if on_kalshi { (shift, 0) } else { (0, shift) };
            self.quote(pair, kalshi, polymarket);
        } else {
            self.quote(pair, 0, 0);
        }
        // A book that nobody touches for long is not traded on.
        let span = if self.leaves_gaps() { self.rng.u64(500..5_000) } else { 25_000 };
        self.push(Nanos::millis(span), Due::Crowd(pair));
    }

    /// Do gaps open?
    fn leaves_gaps(&self) -> bool {
        self.now.since(CLOCK) < self.course.span
    }

    /// Both books of a pair around its value, each shifted by so much.
    fn quote(&mut self, pair: usize, kalshi: i32, polymarket: i32) {
        let (_, k, p, inverted) = self.ground.pairs[pair];
        let fair = i32::from(self.fair[pair]);
        let own = if inverted { 10_000 - fair - polymarket } else { fair + polymarket };
        for (venue, market, mid) in [(Venue::Kalshi, k, fair + kalshi), (Venue::Polymarket, p, own)] {
            let mut levels = |sign: i32| -> Vec<(Price, Qty)> {
                (1..=2)
                    .map(|step| {
                        let price = Price::new((mid + sign * 100 * step) as u16).unwrap();
                        (price, Qty::new(10_000 * self.rng.u64(500..9_000)).unwrap())
                    })
                    .collect()
            };
            let (bids, asks) = (levels(-1), levels(1));
            self.venues.quote(venue, market, &bids, &asks);
        }
    }

    /// From here on nothing goes wrong, and no gap opens.
    pub fn calm(&mut self) {
        self.rough = false;
        self.venues.peace();
        self.course.span = Nanos::ZERO;
        for pair in 0..self.fair.len() {
            self.quote(pair, 0, 0);
        }
    }

    /// Everything comes to its end; what does not hold is returned.
    pub fn rest(&mut self) -> Vec<String> {
        self.calm();
        let end = self.now + REST;
        while self.now < end && !self.is_quiet() {
            self.pass(Nanos::secs(1));
        }
        // Reports that come late may not change anything any more, and both accounts are read once more.
        self.pass(Nanos::secs(35));
        self.verdict()
    }

    fn is_quiet(&mut self) -> bool {
        self.engine.trader.executor().plans() == 0 && self.engine.trader.is_clean()
    }

    /// Is the record written that was to be the last? What came behind it in the same moment never was.
    fn has_died(&mut self) -> bool {
        let journal = self.engine.trader.executor().journal_mut();
        if let Some(last) = self.dies_after
            && last < journal.next_sequence()
            && self.dead.is_none()
        {
            self.dies_after = None;
            let mut bytes = journal.store().bytes().to_vec();
            let end = checks::end_of(&bytes, last);
            bytes[end..].fill(0);
            self.dead = Some(bytes);
        }
        self.dead.is_some()
    }

    /// The process is killed and started anew from its journal.
    pub fn kill(&mut self) {
        let journal = self.engine.trader.executor().journal_mut().store().bytes().to_vec();
        self.restart(&journal);
    }

    fn restart(&mut self, journal: &[u8]) {
        self.life += 1;
        self.kills += 1;
        self.flights = 0;
        let halted = self.fallen.map(|_| Latch::FoundAtStart);
        for pipe in Pipe::ALL {
            self.venues.close(pipe);
            let line = &mut self.lines[pipe.index()];
            (line.up, line.number) = (false, line.number + 1);
        }
        let down = Nanos::millis(self.rng.u64(300..3_000));
        self.pass(down);
        self.watch.restarted(journal);
        let (at, bug) = (self.at(), self.course.bug);
        let wrap = |_, inner| Saboteur::wrap(bug, inner);
        self.engine = Engine::start(&self.ground, &self.venues, Some(journal), at, halted, wrap);
        self.begin();
    }

    /// A person lets the latch fall.
    pub fn halt(&mut self) {
        let at = self.at();
        self.engine.detector.control(&Control::Halt { latch: Latch::Person }, at, &mut self.engine.out);
        self.decide();
    }
}

/// A run without a kill, to its end.
pub fn run(course: Course) -> (Whole, Vec<String>) {
    let mut whole = Whole::new(course);
    whole.pass(course.span);
    let wrong = whole.rest();
    (whole, wrong)
}
