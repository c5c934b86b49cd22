//! A feed thread: owns its sockets, frames what they bring, lets the venue's protocol read it, and hands updates on.
//!
//! Connections are desired state: one that ends is dialled again with a jittered back-off, and asks for everything it
//! should carry. A full ring stops the reading of sockets, never the process.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender, TrySendError};
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;

use super::{
    clock,
    latency::{Recorder, Stage},
    redial::Redial,
    ring::{FeedRings, Idle, Sent, Stop},
    socket::Socket,
};
use crate::{
    unit::{FeedId, MarketId, Nanos, UnixMs, Venue},
    venue::{Counts, Feed, Out},
    wire::{Arrival, Kind, Update, frame::Incoming},
};

/// An upgrade that takes longer is given up.
const UPGRADE_WAIT: Nanos = Nanos::secs(10);
const TICK: Nanos = Nanos::millis(250);

/// Addresses, and headers for the upgrade.
pub type Site = (Vec<SocketAddr>, Vec<(String, String)>);

/// What dialling needs from the cold side: addresses and signed headers.
#[derive(Debug)]
pub struct Dialled {
    pub feed: FeedId,
    pub link: u8,
    pub result: Result<Site, String>,
}

/// A request for [`Dialled`].
#[derive(Clone, Copy, Debug)]
pub struct Dial {
    pub feed: FeedId,
    pub link: u8,
}

/// One connection that a thread is to keep up.
pub struct LinkSetup {
    pub protocol: Box<dyn Feed + Send>,
    /// `ws://` or `wss://`.
    pub url: String,
}

/// A raw frame for the recorder.
#[derive(Debug)]
pub struct Recorded {
    pub at: Arrival,
    pub venue: Venue,
    pub conn: u32,
    pub bytes: Vec<u8>,
}

/// What the cold side reads of a feed thread.
#[derive(Debug, Default)]
pub struct FeedGauge {
    pub messages: AtomicU64,
    /// Unix time of the last frame, in milliseconds.
    pub heard_ms: AtomicU64,
    pub gaps: AtomicU64,
    pub malformed: AtomicU64,
    pub duplicates: AtomicU64,
    pub snapshots: AtomicU64,
    pub canaries: AtomicU64,
    pub up: AtomicU64,
    pub dials: AtomicU64,
    /// Links that had to be held back, because they were lost and dialled again more often than is sane.
    pub storm: AtomicU64,
    /// Recorder frames dropped because the disk was slower than the socket.
    pub unrecorded: AtomicU64,
    /// Shadow entries dropped because the checker was slower than the socket.
    pub unchecked: AtomicU64,
}

/// Everything a feed thread is made from.
pub struct FeedSetup {
    pub id: FeedId,
    pub venue: Venue,
    pub links: Vec<LinkSetup>,
    pub tls: Arc<ClientConfig>,
    pub rings: FeedRings,
    pub dial: Sender<Dial>,
    pub dialled: Receiver<Dialled>,
    pub idle: Idle,
    pub stop: Stop,
    pub recorder: Recorder,
    pub record: Option<Sender<Recorded>>,
    pub gauge: Arc<FeedGauge>,
    pub jitter: fastrand::Rng,
    /// Told how connections come and go; never waits.
    pub notes: Sender<String>,
}

enum State {
    Down { retry: Nanos },
    Dialling,
    Up(Box<Socket>),
}

struct Link {
    protocol: Box<dyn Feed + Send>,
    url: String,
    state: State,
    redial: Redial,
    ticked: Nanos,
    told: Counts,
}

struct Thread {
    setup: FeedThreadParts,
    poll: Poll,
    out: Out,
    pending: usize,
    buffer: Vec<u8>,
    /// Shadow entries were dropped, and the checker does not know yet.
    unchecked: bool,
}

/// [`FeedSetup`] without its links, which are borrowed one by one.
struct FeedThreadParts {
    id: FeedId,
    venue: Venue,
    tls: Arc<ClientConfig>,
    rings: FeedRings,
    dial: Sender<Dial>,
    recorder: Recorder,
    record: Option<Sender<Recorded>>,
    gauge: Arc<FeedGauge>,
    jitter: fastrand::Rng,
    notes: Sender<String>,
}

/// Runs a feed thread until it is stopped.
pub fn run(setup: FeedSetup) -> io::Result<()> {
    let FeedSetup { id, venue, links, tls, rings, dial, dialled, idle, stop, recorder, record, gauge, jitter, notes } =
        setup;
    let mut links: Vec<Link> = links
        .into_iter()
        .map(|l| Link {
            protocol: l.protocol,
            url: l.url,
            state: State::Down { retry: Nanos::ZERO },
            redial: Redial::default(),
            ticked: Nanos::ZERO,
            told: Counts::default(),
        })
        .collect();
    let parts = FeedThreadParts { id, venue, tls, rings, dial, recorder, record, gauge, jitter, notes };
    let mut thread = Thread {
        setup: parts,
        poll: Poll::new()?,
        out: Out::default(),
        pending: 0,
        buffer: vec![0; 64 * 1024],
        unchecked: false,
    };
    let mut events = Events::with_capacity(256);
    while !stop.raised() {
        let busy = thread.flush();
        // Left half read by a full ring; the system tells of no byte twice.
        let unread = links.iter().any(|link| matches!(&link.state, State::Up(socket) if socket.readable));
        let wait = match idle {
            _ if busy => Some(Duration::from_micros(200)),
            _ if unread => Some(Duration::ZERO),
            Idle::Spin | Idle::Yield => Some(Duration::ZERO),
            Idle::Park => Some(Duration::from_millis(50)),
        };
        match thread.poll.poll(&mut events, wait) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => other?,
        }
        for event in &events {
            if let Some(Link { state: State::Up(socket), .. }) = links.get_mut(event.token().0) {
                socket.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
            }
        }
        while let Ok(answer) = dialled.try_recv() {
            thread.connect(&mut links, answer);
        }
        while let Ok(wanted) = thread.setup.rings.resnapshots.pop() {
            if let Some(link) = links.get_mut(usize::from(wanted.link)) {
                link.protocol.resnapshot(wanted.market, clock::now(), &mut thread.out);
                thread.send(wanted.link, link);
            }
        }
        for (at, link) in links.iter_mut().enumerate() {
            thread.serve(at as u8, link);
        }
        thread.setup.recorder.poll();
        if idle == Idle::Yield && events.is_empty() {
            std::thread::yield_now();
        } else if idle == Idle::Spin {
            std::hint::spin_loop();
        }
    }
    Ok(())
}

impl Thread {
    /// Moves updates into the ring; `true` while some do not fit.
    fn flush(&mut self) -> bool {
        let sent = clock::now();
        let before = self.pending;
        while let Some(update) = self.out.updates.get(self.pending) {
            if self.setup.rings.updates.push(Sent { update: *update, sent }).is_err() {
                break;
            }
            self.pending += 1;
        }
        if before < self.pending {
            self.setup.rings.waker.wake();
        }
        if self.pending == self.out.updates.len() {
            self.out.updates.clear();
            self.pending = 0;
        }
        for shadow in self.out.shadows.drain(..) {
            let ring = &mut self.setup.rings.shadows;
            self.unchecked = self.unchecked && ring.push(crate::venue::polymarket::Shadow::lost()).is_err();
            if self.unchecked || ring.push(shadow).is_err() {
                self.unchecked = true;
                self.setup.gauge.unchecked.fetch_add(1, Ordering::Relaxed);
            }
        }
        !self.out.updates.is_empty()
    }

    fn serve(&mut self, at: u8, link: &mut Link) {
        let now = clock::now();
        match &mut link.state {
            State::Down { retry } if *retry <= now => {
                if self.setup.dial.send(Dial { feed: self.setup.id, link: at }).is_ok() {
                    link.state = State::Dialling;
                }
            }
            State::Down { .. } | State::Dialling => {}
            State::Up(_) => {
                if let Err(why) = self.read(at, link) {
                    self.down(at, link, &why);
                } else if TICK <= now.since(link.ticked) {
                    link.ticked = now;
                    self.tick(at, link, now);
                }
            }
        }
    }

    fn tick(&mut self, at: u8, link: &mut Link, now: Nanos) {
        let State::Up(socket) = &mut link.state else { return };
        if !socket.opened && UPGRADE_WAIT < now.since(socket.since) {
            return self.down(at, link, "the upgrade was not answered within 10 s");
        }
        if socket.opened {
            link.protocol.timeout(clock::arrival(), &mut self.out);
            self.send(at, link);
        }
        self.count(link);
    }

    fn count(&mut self, link: &mut Link) {
        let (new, old, gauge) = (*link.protocol.counts(), link.told, &self.setup.gauge);
        let add = |gauge: &AtomicU64, new: u64, old: u64| gauge.fetch_add(new - old, Ordering::Relaxed);
        add(&gauge.messages, new.messages, old.messages);
        if old.messages < new.messages {
            gauge.heard_ms.store(clock::unix().raw(), Ordering::Relaxed);
        }
        add(&gauge.gaps, new.gaps, old.gaps);
        add(&gauge.malformed, new.malformed, old.malformed);
        add(&gauge.duplicates, new.duplicates, old.duplicates);
        add(&gauge.snapshots, new.snapshots, old.snapshots);
        add(&gauge.canaries, new.canaries.iter().sum(), old.canaries.iter().sum());
        link.told = new;
    }

    /// Reads until the socket is empty, the ring is full, or the connection breaks.
    fn read(&mut self, at: u8, link: &mut Link) -> Result<(), String> {
        let State::Up(socket) = &mut link.state else { return Ok(()) };
        while socket.readable && self.out.updates.is_empty() {
            let began = clock::now();
            let (len, more) = socket.read(&mut self.buffer).map_err(|e| e.to_string())?;
            socket.readable = more;
            let arrival = clock::arrival();
            if 0 < len {
                self.setup.recorder.record(Stage::SocketRead, arrival.now.since(began));
                socket.frames.received(&self.buffer[..len]).map_err(|e| e.to_string())?;
            }
            if !socket.opened && socket.frames.is_open() {
                socket.opened = true;
                self.setup.gauge.up.fetch_add(1, Ordering::Relaxed);
                let _ = self.setup.notes.try_send(format!("{} link {at}: connected", self.setup.venue));
                link.protocol.opened(arrival, &mut self.out);
            }
            let mut from = arrival.now;
            while let Some(message) = socket.frames.poll().map_err(|e| e.to_string())? {
                let framed = clock::now();
                self.setup.recorder.record(Stage::Frame, framed.since(from));
                match message {
                    Incoming::Text(bytes) => {
                        if let Some(record) = &self.setup.record {
                            let (venue, conn) = (self.setup.venue, u32::from(at));
                            let recorded = Recorded { at: arrival, venue, conn, bytes: bytes.to_vec() };
                            if let Err(TrySendError::Full(_)) = record.try_send(recorded) {
                                self.setup.gauge.unrecorded.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        link.protocol.text(bytes, arrival, &mut self.out);
                        link.redial.heard();
                    }
                    Incoming::Alive => link.protocol.alive(arrival, &mut self.out),
                }
                from = clock::now();
                self.setup.recorder.record(Stage::Parse, from.since(framed));
            }
            for text in self.out.sends.drain(..) {
                socket.frames.send(&text).map_err(|e| e.to_string())?;
            }
            self.flush();
            if let Some(lost) = self.out.lost.take() {
                return Err(format!("given up: {lost:?}"));
            }
            if !more {
                break;
            }
        }
        socket.write().map_err(|e| e.to_string())
    }

    /// Sends what the protocol wants sent outside of reading.
    fn send(&mut self, at: u8, link: &mut Link) {
        if let Some(lost) = self.out.lost.take() {
            self.out.sends.clear();
            return self.down(at, link, &format!("given up: {lost:?}"));
        }
        let State::Up(socket) = &mut link.state else {
            self.out.sends.clear();
            return;
        };
        let mut broken = None;
        for text in self.out.sends.drain(..) {
            if let Err(e) = socket.frames.send(&text) {
                broken = Some(e.to_string());
            }
        }
        if broken.is_none() {
            broken = socket.write().err().map(|e| e.to_string());
        }
        if let Some(why) = broken {
            self.down(at, link, &why);
        }
    }

    fn down(&mut self, at: u8, link: &mut Link, why: &str) {
        if let State::Up(socket) = &mut link.state {
            let _ = self.poll.registry().deregister(&mut socket.pipe.tcp);
            if socket.opened {
                self.setup.gauge.up.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.count(link);
        let again = link.redial.lost(clock::now(), &mut self.setup.jitter);
        if again.storm {
            self.setup.gauge.storm.fetch_add(1, Ordering::Relaxed);
        }
        let _ = self.setup.notes.try_send(format!("{} link {at}: {why}", self.setup.venue));
        link.state = State::Down { retry: again.at };
        let (arrival, none) = (clock::arrival(), UnixMs::default());
        let lost =
            Update { market: MarketId(0), feed: self.setup.id, link: at, at: arrival, stamp: none, kind: Kind::Lost };
        self.out.updates.push(lost);
    }

    fn connect(&mut self, links: &mut [Link], answer: Dialled) {
        let Some(link) = links.get_mut(usize::from(answer.link)) else { return };
        let now = clock::now();
        let turn = link.redial.begin(now);
        self.setup.gauge.dials.fetch_add(1, Ordering::Relaxed);
        let opened = answer.result.and_then(|(addresses, headers)| {
            let address = addresses.get(turn % addresses.len().max(1)).ok_or("no address")?;
            Socket::open(*address, &link.url, &headers, &self.setup.tls, now).map_err(|e| e.to_string())
        });
        match opened {
            Ok(mut socket) => {
                let token = Token(usize::from(answer.link));
                let interest = Interest::READABLE | Interest::WRITABLE;
                if let Err(e) = self.poll.registry().register(&mut socket.pipe.tcp, token, interest) {
                    return self.down(answer.link, link, &e.to_string());
                }
                link.state = State::Up(Box::new(socket));
            }
            Err(why) => self.down(answer.link, link, &why),
        }
    }
}
