//! Kept-alive connections to one venue's REST, for calls that cannot wait for a dial: one call at a time on each.
//!
//! The first connection is for hedges and cancels alone. A call is written whole, at once; once its first byte is out
//! it is answered exactly once, with what came or with the way it was lost, and it is never written again.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use mio::{Interest, Registry, Token};
use rustls::ClientConfig;

use crate::{
    run::{
        pipe::{Pipe, Place, Site},
        redial::Redial,
    },
    unit::{Nanos, Unclear},
    venue::{
        gateway::{Answer, Call, CallNo, Lane},
        http::Reader,
    },
};

/// Connections to a venue: one for hedges and cancels alone, the others for everything.
pub const LINES: usize = 4;
/// Unanswered data for this long ends a connection (fault 57).
const PATIENCE: Duration = Duration::from_secs(5);
/// Connecting and greeting take no longer.
const CONNECT_WAIT: Nanos = Nanos::secs(10);
/// Hedges, cancels and questions that wait for a free connection.
const QUEUE_MAX: usize = 256;

struct Busy {
    no: CallNo,
    since: Nanos,
    wait: Nanos,
    /// What is still to be written.
    bytes: Vec<u8>,
    written: usize,
}

enum State {
    Down { retry: Nanos },
    Dialling,
    Up { pipe: Box<Pipe>, since: Nanos, ready: bool, busy: Option<Busy> },
}

struct Line {
    state: State,
    reader: Reader,
    redial: Redial,
    readable: bool,
}

/// A call that is over.
#[derive(Debug)]
pub enum Over {
    /// Its answer lies in the line's memory: [`Lines::answer`].
    Answered {
        line: usize,
        no: CallNo,
    },
    NotSent {
        no: CallNo,
    },
    Lost {
        no: CallNo,
        why: Unclear,
    },
}

/// All connections to one venue.
pub struct Lines {
    url: String,
    tls: Arc<ClientConfig>,
    all: Vec<Line>,
    waiting: VecDeque<Call>,
    jitter: fastrand::Rng,
    /// The first of its tokens.
    token: usize,
}

impl Lines {
    /// Connections to `url`, none of them begun. Their tokens are `token` and the following.
    pub fn new(url: String, tls: Arc<ClientConfig>, token: usize, seed: u64) -> Self {
        let line = || Line {
            state: State::Down { retry: Nanos::ZERO },
            reader: Reader::default(),
            redial: Redial::default(),
            readable: false,
        };
        let all = (0..LINES).map(|_| line()).collect();
        let waiting = VecDeque::with_capacity(QUEUE_MAX);
        Self { url, tls, all, waiting, jitter: fastrand::Rng::with_seed(seed), token }
    }

    /// Lines that want an address, each told once.
    pub fn wanted(&mut self, now: Nanos) -> impl Iterator<Item = u8> {
        self.all.iter_mut().enumerate().filter_map(move |(at, line)| match line.state {
            State::Down { retry } if retry <= now => {
                line.state = State::Dialling;
                Some(at as u8)
            }
            _ => None,
        })
    }

    /// Addresses have come.
    pub fn dialled(&mut self, line: u8, found: Result<Vec<SocketAddr>, String>, registry: &Registry, now: Nanos) {
        let Some(slot) = self.all.get_mut(usize::from(line)) else { return };
        let turn = slot.redial.begin(now);
        let opened = found.map_err(anyhow::Error::msg).and_then(|addresses| {
            let address = addresses.get(turn % addresses.len().max(1)).ok_or_else(|| anyhow::anyhow!("no address"))?;
            let Place { host, secure, .. } = Place::of(&self.url)?;
            let mut pipe = Pipe::open(Site { address: *address, host, secure }, &self.tls, PATIENCE)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut pipe.tcp, Token(self.token + usize::from(line)), interest)?;
            Ok(pipe)
        });
        match opened {
            Ok(pipe) => {
                slot.reader.clear();
                slot.readable = true;
                slot.state = State::Up { pipe: Box::new(pipe), since: now, ready: false, busy: None };
            }
            Err(_) => slot.state = State::Down { retry: slot.redial.lost(now, &mut self.jitter).at },
        }
    }

    /// The system says that something may be read or written.
    pub fn stirred(&mut self, token: usize) {
        if let Some(line) = token.checked_sub(self.token).and_then(|at| self.all.get_mut(at)) {
            line.readable = true;
        }
    }

    /// Connections over which a call could leave at once.
    pub fn free(&self) -> usize {
        self.all.iter().filter(|line| line.is_free()).count()
    }

    /// Takes a call on. An entry that finds no free connection is over, not sent; others wait for one.
    pub fn take(&mut self, call: Call, now: Nanos, over: &mut Vec<Over>) {
        // Entries and questions leave the first connection to hedges and cancels.
        let from = usize::from(call.lane != Lane::Safety);
        let free = (from..LINES).find(|at| self.all[*at].is_free());
        match (free, call.lane) {
            (Some(at), _) => self.begin(at, call, now, over),
            (None, Lane::Entry) => over.push(Over::NotSent { no: call.no }),
            (None, _) if self.waiting.len() == QUEUE_MAX => over.push(Over::NotSent { no: call.no }),
            (None, Lane::Safety) => self.waiting.push_front(call),
            (None, Lane::Read) => self.waiting.push_back(call),
        }
    }

    /// Reads and writes on every connection, and ends what has waited for too long.
    pub fn serve(&mut self, buffer: &mut [u8], registry: &Registry, now: Nanos, over: &mut Vec<Over>) {
        for at in 0..LINES {
            if let Err(why) = self.all[at].serve(at, buffer, now, over) {
                self.down(at, why, registry, now, over);
            }
        }
        for _ in 0..self.waiting.len() {
            let Some(call) = self.waiting.pop_front() else { break };
            let from = usize::from(call.lane != Lane::Safety);
            match (from..LINES).find(|at| self.all[*at].is_free()) {
                Some(at) => self.begin(at, call, now, over),
                None => self.waiting.push_back(call),
            }
        }
    }

    /// Hands an answer to `read`, and frees its connection.
    pub fn answer(&mut self, line: usize, registry: &Registry, now: Nanos, read: impl FnOnce(Answer<'_>)) {
        let slot = &mut self.all[line];
        let mut keeps = false;
        if let Some(whole) = slot.reader.answer() {
            keeps = whole.keeps;
            read(Answer::Whole { status: whole.status, body: whole.body });
        }
        slot.reader.clear();
        slot.redial.heard();
        if !keeps {
            self.down(line, Unclear::Cut, registry, now, &mut Vec::new());
        }
    }

    fn begin(&mut self, at: usize, call: Call, now: Nanos, over: &mut Vec<Over>) {
        let line = &mut self.all[at];
        let State::Up { busy, .. } = &mut line.state else { return over.push(Over::NotSent { no: call.no }) };
        *busy = Some(Busy { no: call.no, since: now, wait: call.wait, bytes: call.bytes, written: 0 });
        if line.write().is_err() {
            // It is lost or was never sent: the next look at this line says which.
            line.readable = true;
        }
    }

    fn down(&mut self, at: usize, why: Unclear, registry: &Registry, now: Nanos, over: &mut Vec<Over>) {
        let line = &mut self.all[at];
        let retry = line.redial.lost(now, &mut self.jitter).at;
        if let State::Up { mut pipe, busy, .. } = std::mem::replace(&mut line.state, State::Down { retry }) {
            let _ = registry.deregister(&mut pipe.tcp);
            if let Some(busy) = busy {
                over.push(busy.lost(why));
            }
        }
        line.reader.clear();
    }
}

impl Busy {
    fn lost(self, why: Unclear) -> Over {
        // What was handed to the connection may have left, whatever became of it since.
        if self.written == 0 { Over::NotSent { no: self.no } } else { Over::Lost { no: self.no, why } }
    }
}

impl Line {
    fn is_free(&self) -> bool {
        matches!(self.state, State::Up { ready: true, busy: None, .. }) && self.reader.is_empty()
    }

    fn write(&mut self) -> io::Result<()> {
        let State::Up { pipe, busy: Some(busy), .. } = &mut self.state else { return Ok(()) };
        while busy.written < busy.bytes.len() {
            let taken = pipe.write(&busy.bytes[busy.written..])?;
            if taken == 0 {
                break;
            }
            busy.written += taken;
        }
        pipe.flush()
    }

    /// One look at the connection; `Err` ends it.
    fn serve(&mut self, at: usize, buffer: &mut [u8], now: Nanos, over: &mut Vec<Over>) -> Result<(), Unclear> {
        self.write().map_err(|_| Unclear::Cut)?;
        let State::Up { pipe, since, ready, busy } = &mut self.state else { return Ok(()) };
        if !*ready {
            *ready = pipe.is_up();
            if !*ready && CONNECT_WAIT < now.since(*since) {
                return Err(Unclear::TimedOut);
            }
        }
        while self.readable {
            let (len, more) = match pipe.read(buffer) {
                Ok(read) => read,
                Err(_) if self.reader.ended() => (0, false),
                Err(_) => return Err(Unclear::Cut),
            };
            self.readable = more;
            if len != 0 {
                if busy.is_none() {
                    // Nobody asked: whatever this is, the next answer could not be told from it.
                    return Err(Unclear::Unreadable);
                }
                self.reader.received(&buffer[..len]).map_err(|_| Unclear::Unreadable)?;
            }
            if self.reader.answer().is_some() {
                break;
            }
        }
        if self.reader.answer().is_some()
            && let Some(done) = busy.take()
        {
            over.push(Over::Answered { line: at, no: done.no });
            return Ok(());
        }
        match busy {
            Some(busy) if busy.wait < now.since(busy.since) => Err(Unclear::TimedOut),
            _ => Ok(()),
        }
    }
}
