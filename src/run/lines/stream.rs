//! One venue's private stream: kept up, its frames handed on. What was missed while it was down is its gateway's to ask
//! for.

use std::{net::SocketAddr, sync::Arc};

use mio::{Interest, Registry, Token};
use rustls::ClientConfig;

use crate::{
    run::{clock, redial::Redial, socket::Socket},
    unit::Nanos,
    wire::{Arrival, frame::Incoming},
};

/// An upgrade that takes longer is given up.
const UPGRADE_WAIT: Nanos = Nanos::secs(10);

/// Addresses, and headers for the upgrade.
pub type Found = Result<(Vec<SocketAddr>, Vec<(String, String)>), String>;

enum State {
    Down { retry: Nanos },
    Dialling,
    Up(Box<Socket>),
}

/// What a stream tells.
#[derive(Debug)]
pub enum Told<'b> {
    Opened,
    Text(&'b mut [u8]),
    Alive,
}

/// The connection and how it is kept.
pub struct Stream {
    url: String,
    tls: Arc<ClientConfig>,
    state: State,
    redial: Redial,
    jitter: fastrand::Rng,
    token: usize,
}

impl Stream {
    /// A stream from `url`, not begun.
    pub fn new(url: String, tls: Arc<ClientConfig>, token: usize, seed: u64) -> Self {
        let state = State::Down { retry: Nanos::ZERO };
        Self { url, tls, state, redial: Redial::default(), jitter: fastrand::Rng::with_seed(seed), token }
    }

    /// Does it want an address now? Told once.
    pub fn wants(&mut self, now: Nanos) -> bool {
        match self.state {
            State::Down { retry } if retry <= now => {
                self.state = State::Dialling;
                true
            }
            _ => false,
        }
    }

    /// Addresses and headers have come.
    pub fn dialled(&mut self, found: Found, registry: &Registry, now: Nanos) {
        let turn = self.redial.begin(now);
        let opened = found.map_err(anyhow::Error::msg).and_then(|(addresses, headers)| {
            let address = addresses.get(turn % addresses.len().max(1)).ok_or_else(|| anyhow::anyhow!("no address"))?;
            let mut socket = Socket::open(*address, &self.url, &headers, &self.tls, now)?;
            registry.register(&mut socket.pipe.tcp, Token(self.token), Interest::READABLE | Interest::WRITABLE)?;
            Ok(socket)
        });
        self.state = match opened {
            Ok(socket) => State::Up(Box::new(socket)),
            Err(_) => State::Down { retry: self.redial.lost(now, &mut self.jitter).at },
        };
    }

    /// The system says that something may be read or written.
    pub fn stirred(&mut self, token: usize) {
        if let (true, State::Up(socket)) = (token == self.token, &mut self.state) {
            socket.readable = true;
        }
    }

    /// Is the upgrade done?
    pub fn is_open(&self) -> bool {
        matches!(&self.state, State::Up(socket) if socket.opened)
    }

    /// Reads what has come and hands it to `tell`.
    pub fn serve(
        &mut self,
        buffer: &mut [u8],
        registry: &Registry,
        now: Nanos,
        mut tell: impl FnMut(Told<'_>, Arrival),
    ) {
        if let State::Up(socket) = &mut self.state
            && let Err(why) = read(socket, buffer, now, &mut self.redial, &mut tell)
        {
            self.down(&why, registry, now);
        }
    }

    /// Sends texts, or closes the stream to open it anew.
    pub fn send(&mut self, texts: Vec<String>, lost: bool, registry: &Registry, now: Nanos) {
        let State::Up(socket) = &mut self.state else { return };
        let mut sent = Ok(());
        for text in texts {
            sent = sent.and_then(|()| socket.frames.send(&text).map_err(|e| e.to_string()));
        }
        let sent = sent.and_then(|()| socket.write().map_err(|e| e.to_string()));
        match sent {
            Err(why) => self.down(&why, registry, now),
            Ok(()) if lost => self.down("given up", registry, now),
            Ok(()) => {}
        }
    }

    fn down(&mut self, why: &str, registry: &Registry, now: Nanos) {
        let retry = self.redial.lost(now, &mut self.jitter).at;
        if let State::Up(mut socket) = std::mem::replace(&mut self.state, State::Down { retry }) {
            let _ = registry.deregister(&mut socket.pipe.tcp);
        }
        let _ = why;
    }
}

fn read(
    socket: &mut Socket,
    buffer: &mut [u8],
    now: Nanos,
    redial: &mut Redial,
    tell: &mut impl FnMut(Told<'_>, Arrival),
) -> Result<(), String> {
    if !socket.opened && UPGRADE_WAIT < now.since(socket.since) {
        return Err("the upgrade was not answered in time".into());
    }
    while socket.readable {
        let (len, more) = socket.read(buffer).map_err(|e| e.to_string())?;
        socket.readable = more;
        let at = clock::arrival();
        if 0 < len {
            socket.frames.received(&buffer[..len]).map_err(|e| e.to_string())?;
        }
        if !socket.opened && socket.frames.is_open() {
            socket.opened = true;
            tell(Told::Opened, at);
        }
        while let Some(message) = socket.frames.poll().map_err(|e| e.to_string())? {
            redial.heard();
            match message {
                Incoming::Text(bytes) => tell(Told::Text(bytes), at),
                Incoming::Alive => tell(Told::Alive, at),
            }
        }
    }
    socket.write().map_err(|e| e.to_string())
}
