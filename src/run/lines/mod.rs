//! The `execute` thread: owns the connections that orders leave by and that tell what became of them, and turns the
//! [`Trader`] between them.
//!
//! The latch is looked at where an entry's bytes would leave, below everything that decides: once it has fallen no
//! entry leaves, whatever is still on its way here. Hedges, cancels and questions pass.

mod http;
mod stream;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender};
use mio::{Events, Poll, Token};
use rtrb::{Consumer, Producer};
use rustls::ClientConfig;

use self::{
    http::{LINES, Lines, Over},
    stream::{Stream, Told},
};
use super::{
    booth::Ending,
    clock,
    event::{Event, Ready, Word},
    feed::{Dial, Dialled},
    guard::Note,
    ring::{Idle, Stop},
    stops::Fallen,
    sync::Spares,
    tickets::Counts,
    trader::Trader,
};
use crate::{
    ledger::segments::Segment,
    unit::{FeedId, Nanos, Venue},
    venue::gateway::{Answer, Call, Lane},
};

/// The token of the thread's own waker, behind those of all connections.
const WAKER: Token = Token(1_000);
/// Tokens of a venue's connections begin at this distance from one another.
const TOKENS: usize = 100;
/// How long a parked executor sleeps at most: answers become overdue without any news.
const NAP: Duration = Duration::from_millis(5);
/// A process that is to end waits this long for plans that could still be moved on. What waits for finality alone goes
/// on in the next process.
const CLOSING_MAX: Nanos = Nanos::secs(15);
/// Dial requests of this thread: its calls' connections by venue, then its streams.
const DIALS: u8 = 2;

/// Addresses of one venue.
#[derive(Clone, Debug)]
pub struct Site {
    pub rest: String,
    pub stream: String,
}

/// What others read of the thread.
#[derive(Debug, Default)]
pub struct LineGauge {
    /// Turns so far: an executor that does not move is seen by this.
    pub turns: Arc<AtomicU64>,
    /// Connections over which a call could leave at once, by venue.
    pub free: [AtomicU64; 2],
    /// Private streams that stand, by venue: 0 or 1.
    pub streams: [AtomicU64; 2],
    /// Orders that each venue's request budget allows now.
    pub budgets: [AtomicU64; 2],
    /// Entries whose bytes were held back by the latch.
    pub held_back: AtomicU64,
    /// When an entry, and a hedge or cancel, was last handed to a connection, on the engine's clock.
    pub entry_at: AtomicU64,
    pub safety_at: AtomicU64,
    /// Polymarket entries that left with a ticket, and that were signed inline; tickets that were never used.
    pub tickets: [AtomicU64; 3],
}

/// Everything the thread is made from.
pub struct LinesSetup {
    pub trader: Trader<Segment>,
    pub sites: [Site; 2],
    pub tls: Arc<ClientConfig>,
    pub ready: Consumer<Ready>,
    pub words: Producer<Word>,
    pub events: Producer<Event>,
    /// For the log.
    pub notes: Sender<String>,
    pub guard: Producer<Note>,
    pub spares: Spares,
    pub dial: Sender<Dial>,
    pub dialled: Receiver<Dialled>,
    pub fallen: Fallen,
    pub gauge: Arc<LineGauge>,
    pub idle: Idle,
    pub stop: Stop,
    pub ending: Ending,
    pub seed: u64,
}

/// The numbers under which this thread asks for addresses; behind those of the feeds.
pub const fn dial_id(venue: Venue, stream: bool) -> FeedId {
    FeedId(DIALS + 2 * (stream as u8) + venue as u8)
}

/// The poller and its waker, made before the thread: whoever hands orders over wakes it.
pub fn poller() -> io::Result<(Poll, Arc<mio::Waker>)> {
    let poll = Poll::new()?;
    let waker = mio::Waker::new(poll.registry(), WAKER)?;
    Ok((poll, Arc::new(waker)))
}

struct Side {
    lines: Lines,
    stream: Stream,
    over: Vec<Over>,
}

/// Runs the thread until the process ends and no plan needs it any more.
pub fn run(setup: LinesSetup, mut poll: Poll) -> io::Result<()> {
    let LinesSetup { trader, sites, tls, ready, words, events, guard, spares, dial, dialled, .. } = setup;
    let LinesSetup { fallen, gauge, idle, stop, ending, seed, notes, .. } = setup;
    let sides = Venue::ALL.map(|venue| {
        let (site, token) = (&sites[venue as usize], TOKENS * venue as usize);
        let jitter = seed ^ (venue as u64 + 1);
        Side {
            lines: Lines::new(site.rest.clone(), tls.clone(), token, jitter),
            stream: Stream::new(site.stream.clone(), tls.clone(), token + LINES, !jitter),
            over: Vec::with_capacity(64),
        }
    });
    let mut thread =
        Thread { trader, sides, ready, words, events, guard, dial, fallen, gauge, notes, buffer: vec![0; 64 * 1024] };
    let mut spares = spares;
    let mut stirred = Events::with_capacity(64);
    let mut closing = None;
    loop {
        if stop.raised() {
            let since = *closing.get_or_insert_with(clock::now);
            let done = thread.trader.executor().restless() == 0 || CLOSING_MAX < clock::now().since(since);
            if done && ending.drained.raised() && thread.ready.is_empty() && thread.has_told_all() {
                // What is learnt from here on is for the next process: the detector could not take it in any more.
                thread.trader.farewell();
                ending.quiet.raise();
                return Ok(());
            }
        }
        let wait = if idle == Idle::Park && thread.ready.is_empty() { NAP } else { Duration::ZERO };
        match poll.poll(&mut stirred, Some(wait)) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => other?,
        }
        for event in &stirred {
            let Token(token) = event.token();
            for side in &mut thread.sides {
                side.lines.stirred(token);
                side.stream.stirred(token);
            }
        }
        while let Ok(answer) = dialled.try_recv() {
            thread.connect(answer, &poll);
        }
        thread.turn(&poll);
        spares.rotate(thread.trader.executor().journal_mut());
        let gauge = &thread.gauge;
        gauge.turns.fetch_add(1, Ordering::Relaxed);
        let Counts { used, inline, voided } = thread.trader.executor().ticket_counts();
        for (told, count) in gauge.tickets.iter().zip([used, inline, voided]) {
            told.store(count, Ordering::Relaxed);
        }
        let left = thread.trader.orders_left(clock::now());
        for venue in Venue::ALL {
            let side = &thread.sides[venue as usize];
            gauge.budgets[venue as usize].store(u64::from(left[venue as usize]), Ordering::Relaxed);
            gauge.free[venue as usize].store(side.lines.free() as u64, Ordering::Relaxed);
            gauge.streams[venue as usize].store(u64::from(side.stream.is_open()), Ordering::Relaxed);
        }
        match idle {
            Idle::Spin => std::hint::spin_loop(),
            Idle::Yield => std::thread::yield_now(),
            Idle::Park => {}
        }
    }
}

struct Thread {
    trader: Trader<Segment>,
    sides: [Side; 2],
    ready: Consumer<Ready>,
    words: Producer<Word>,
    events: Producer<Event>,
    notes: Sender<String>,
    guard: Producer<Note>,
    dial: Sender<Dial>,
    fallen: Fallen,
    gauge: Arc<LineGauge>,
    buffer: Vec<u8>,
}

impl Thread {
    fn connect(&mut self, answer: Dialled, poll: &Poll) {
        let (registry, now) = (poll.registry(), clock::now());
        for venue in Venue::ALL {
            let side = &mut self.sides[venue as usize];
            if answer.feed == dial_id(venue, false) {
                let found: Result<Vec<SocketAddr>, String> = answer.result.map(|(addresses, _)| addresses);
                return side.lines.dialled(answer.link, found, registry, now);
            }
            if answer.feed == dial_id(venue, true) {
                return side.stream.dialled(answer.result, registry, now);
            }
        }
    }

    fn turn(&mut self, poll: &Poll) {
        let registry = poll.registry();
        let at = clock::arrival();
        for venue in Venue::ALL {
            let side = &mut self.sides[venue as usize];
            for link in side.lines.wanted(at.now) {
                let _ = self.dial.try_send(Dial { feed: dial_id(venue, false), link });
            }
            if side.stream.wants(at.now) {
                let _ = self.dial.try_send(Dial { feed: dial_id(venue, true), link: 0 });
            }
            let trader = &mut self.trader;
            side.stream.serve(&mut self.buffer, registry, at.now, |told, at| match told {
                Told::Opened => trader.opened(venue, at),
                Told::Text(bytes) => trader.text(venue, bytes, at),
                Told::Alive => trader.alive(venue, at),
            });
            side.lines.serve(&mut self.buffer, registry, at.now, &mut side.over);
        }
        while let Ok(ready) = self.ready.pop() {
            self.trader.ready(ready, clock::arrival());
        }
        self.trader.turn(clock::arrival());
        if self.trader.executor().is_halted() {
            self.fallen.fall();
        }
        self.carry(poll);
        self.hand_over();
    }

    /// Carries calls out and what came of them back in, until nobody has anything left to say.
    fn carry(&mut self, poll: &Poll) {
        let registry = poll.registry();
        let mut busy = true;
        while std::mem::take(&mut busy) {
            // The guard knows of an order before its bytes leave. Notes that find no room follow.
            let notes = self.trader.notes();
            let pushed = notes.iter().take_while(|note| self.guard.push(**note).is_ok()).count();
            notes.drain(..pushed);
            for venue in Venue::ALL {
                let side = &mut self.sides[venue as usize];
                let now = clock::now();
                for call in self.trader.calls(venue) {
                    busy = true;
                    if held_back(&call, &self.fallen) {
                        self.gauge.held_back.fetch_add(1, Ordering::Relaxed);
                        side.over.push(Over::NotSent { no: call.no });
                    } else {
                        match call.lane {
                            Lane::Entry => self.gauge.entry_at.store(now.raw(), Ordering::Relaxed),
                            Lane::Safety => self.gauge.safety_at.store(now.raw(), Ordering::Relaxed),
                            Lane::Read => {}
                        }
                        side.lines.take(call, now, &mut side.over);
                    }
                }
                for over in side.over.drain(..) {
                    busy = true;
                    let (trader, at) = (&mut self.trader, clock::arrival());
                    match over {
                        Over::Answered { line, no } => {
                            side.lines.answer(line, registry, at.now, |answer| trader.answered(venue, no, answer, at));
                        }
                        Over::NotSent { no } => trader.answered(venue, no, Answer::NotSent, at),
                        Over::Lost { no, why } => trader.answered(venue, no, Answer::Lost(why), at),
                    }
                }
                let (texts, lost) = self.trader.stream(venue);
                side.stream.send(texts, lost, registry, now);
            }
            if busy {
                self.trader.turn(clock::arrival());
            }
        }
    }

    /// Have detector and keeper been handed all that was booked?
    fn has_told_all(&mut self) -> bool {
        let acts = self.trader.acts();
        acts.words.is_empty() && acts.events.is_empty()
    }

    /// Words and events leave as far as their rings take them; the rest waits here.
    fn hand_over(&mut self) {
        for (venue, text) in self.trader.strange() {
            // A full log loses a line, never a trade.
            let _ = self.notes.try_send(format!("{venue} orders: {text}"));
        }
        let acts = self.trader.acts();
        let pushed = acts.events.iter().take_while(|event| self.events.push(**event).is_ok()).count();
        acts.events.drain(..pushed);
        let pushed = acts.words.iter().take_while(|word| self.words.push(**word).is_ok()).count();
        acts.words.drain(..pushed);
        self.trader.set_room(!self.events.is_full() && !self.words.is_full());
    }
}

/// The last look at the latch before an entry's bytes leave.
fn held_back(call: &Call, fallen: &Fallen) -> bool {
    call.lane == Lane::Entry && fallen.since().is_some()
}
