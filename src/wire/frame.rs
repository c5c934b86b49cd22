//! WebSocket frames in and out of byte slices: tungstenite's protocol half over two byte queues, no socket.
//!
//! Every size has a maximum: one frame or message of [`MESSAGE_MAX`] bytes in [`FRAGMENTS_MAX`] pieces,
//! [`OUTGOING_MAX`] bytes waiting to be written.
//! Compression is never offered, so a compressed frame is a protocol error. Bytes go in with [`Frames::received`],
//! messages come out of [`Frames::poll`] until it says `None`, and what has to go back to the peer stands in
//! [`Frames::to_send`].

use std::io;

use tokio_tungstenite::tungstenite::{
    Error, Message,
    client::IntoClientRequest,
    handshake::{
        HandshakeError, MidHandshake,
        client::{ClientHandshake, Request},
    },
    protocol::{WebSocket, WebSocketConfig},
};

/// The largest message and the largest frame taken, in bytes.
pub const MESSAGE_MAX: usize = 4 * 1024 * 1024;
/// The most pieces that one message may come in.
pub const FRAGMENTS_MAX: u32 = 64;
/// The most that may wait to be written, in bytes.
pub const OUTGOING_MAX: usize = 4 * 1024 * 1024;

/// A pair of byte queues that looks like a socket to the protocol code.
#[derive(Default)]
pub struct Pipe {
    incoming: Vec<u8>,
    read: usize,
    outgoing: Vec<u8>,
}

impl io::Read for Pipe {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let waiting = &self.incoming[self.read..];
        if waiting.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = waiting.len().min(target.len());
        target[..taken].copy_from_slice(&waiting[..taken]);
        self.read += taken;
        if self.read == self.incoming.len() {
            self.incoming.clear();
            self.read = 0;
        }
        Ok(taken)
    }
}

impl io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if OUTGOING_MAX < self.outgoing.len() + bytes.len() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a peer sent.
#[derive(Debug)]
pub enum Incoming<'a> {
    Text(&'a mut [u8]),
    /// A control frame that only shows life; pings are answered already.
    Alive,
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the server refused the WebSocket upgrade with HTTP {0}")]
    Refused(u16),
    #[error("closed by the peer")]
    Closed,
    #[error("{0}")]
    Protocol(String),
}

/// Follows the headers of the frames that come by, because the protocol code limits a message's bytes but not the
/// number of its pieces: an endless row of empty ones would never end.
#[derive(Debug, Default)]
struct Pieces {
    /// The bytes of the upgrade's answer that end it, as far as they were seen; 4 once it is over.
    shaken: usize,
    header: [u8; 10],
    have: usize,
    /// Payload bytes still to come.
    skip: u64,
    /// Pieces of a message that has not ended.
    open: u32,
}

impl Pieces {
    /// `false` once a message comes in too many pieces.
    fn follow(&mut self, mut bytes: &[u8]) -> bool {
        while let [first, rest @ ..] = bytes {
            if self.shaken < 4 {
                let wanted = b"\r\n\r\n"[self.shaken];
                self.shaken = if *first == wanted { self.shaken + 1 } else { usize::from(*first == b'\r') };
                bytes = rest;
            } else if 0 < self.skip {
                let step = self.skip.min(bytes.len() as u64);
                self.skip -= step;
                bytes = &bytes[step as usize..];
            } else {
                self.header[self.have] = *first;
                self.have += 1;
                bytes = rest;
                if !self.header_done() {
                    return false;
                }
            }
        }
        true
    }

    /// Reads the header once it is whole. `false` if it is one piece too many.
    fn header_done(&mut self) -> bool {
        let [first, second, long @ ..] = self.header;
        let whole = match second & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        if self.have < 2 || self.have < whole {
            return true;
        }
        let len = match whole {
            2 => u64::from(second & 0x7f),
            4 => u64::from(u16::from_be_bytes([long[0], long[1]])),
            _ => u64::from_be_bytes(long),
        };
        // A server's frame carries no mask; one that does ends the connection in the protocol code.
        self.skip = len.saturating_add(if second & 0x80 == 0 { 0 } else { 4 });
        self.have = 0;
        let control = first & 0x08 != 0;
        if !control {
            self.open = if first & 0x80 == 0 { self.open + 1 } else { 0 };
        }
        self.open < FRAGMENTS_MAX
    }
}

enum State {
    Shaking(Box<MidHandshake<ClientHandshake<Pipe>>>),
    Open(Box<WebSocket<Pipe>>),
    Dead,
}

/// A client's side of one WebSocket, from the first byte of the upgrade.
pub struct Frames {
    state: State,
    pieces: Pieces,
    text: Vec<u8>,
}

fn limits() -> WebSocketConfig {
    // The default read buffer of 128 KiB is zero-filled before every read; 4 KiB costs a seventh.
    WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(OUTGOING_MAX)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX))
}

impl Frames {
    /// Starts the upgrade; `url` is `ws://` or `wss://`, `headers` are added to the request.
    pub fn connect(url: &str, headers: &[(String, String)]) -> Result<Self, Broken> {
        let mut request: Request = url.into_client_request().map_err(|e| Broken::Protocol(e.to_string()))?;
        for (name, value) in headers {
            let name = tokio_tungstenite::tungstenite::http::HeaderName::from_bytes(name.as_bytes());
            let (Ok(name), Ok(value)) = (name, value.parse()) else {
                return Err(Broken::Protocol("a header name or value is not legal".into()));
            };
            request.headers_mut().insert(name, value);
        }
        let shake = ClientHandshake::start(Pipe::default(), request, Some(limits()));
        let mut frames = Self {
            state: State::Shaking(Box::new(shake.map_err(|e| Broken::Protocol(e.to_string()))?)),
            pieces: Pieces::default(),
            text: Vec::new(),
        };
        frames.shake()?;
        Ok(frames)
    }

    /// Takes over after an upgrade that is already done; for tests and fuzzing.
    pub fn open() -> Self {
        let socket = WebSocket::from_raw_socket(
            Pipe::default(),
            tokio_tungstenite::tungstenite::protocol::Role::Client,
            Some(limits()),
        );
        let pieces = Pieces { shaken: 4, ..Pieces::default() };
        Self { state: State::Open(Box::new(socket)), pieces, text: Vec::new() }
    }

    /// Is the upgrade done?
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Bytes from the peer. Call [`Self::poll`] until it says `None` afterwards.
    pub fn received(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if !self.pieces.follow(bytes) {
            return Err(Broken::Protocol(format!("a message in more than {FRAGMENTS_MAX} pieces")));
        }
        if let Some(pipe) = self.pipe() {
            pipe.incoming.extend_from_slice(bytes);
        }
        if matches!(self.state, State::Shaking(_)) { self.shake() } else { Ok(()) }
    }

    /// The next message, or `None` until more bytes come.
    pub fn poll(&mut self) -> Result<Option<Incoming<'_>>, Broken> {
        let State::Open(socket) = &mut self.state else { return Ok(None) };
        match socket.read() {
            Ok(Message::Text(text)) => {
                self.text.clear();
                self.text.extend_from_slice(text.as_bytes());
                Ok(Some(Incoming::Text(&mut self.text)))
            }
            // Neither venue sends binary frames; read as text, they fail in the parser and are counted there.
            Ok(Message::Binary(bytes)) => {
                self.text.clear();
                self.text.extend_from_slice(&bytes);
                Ok(Some(Incoming::Text(&mut self.text)))
            }
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(Some(Incoming::Alive)),
            Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Err(Broken::Closed),
            Err(e) => Err(Broken::Protocol(e.to_string())),
        }
    }

    /// Queues a text message.
    pub fn send(&mut self, text: &str) -> Result<(), Broken> {
        let State::Open(socket) = &mut self.state else {
            return Err(Broken::Protocol("the upgrade is not done".into()));
        };
        socket.send(Message::text(text)).map_err(|e| Broken::Protocol(e.to_string()))
    }

    /// What has to be written to the peer; the caller takes away what it wrote with [`Self::sent`].
    pub fn to_send(&mut self) -> &[u8] {
        if let State::Open(socket) = &mut self.state {
            // Pongs are queued by reading; flushing moves them into the pipe. The pipe never fails to flush.
            let _ = socket.flush();
        }
        self.pipe().map_or(&[], |pipe| &pipe.outgoing)
    }

    /// The first `len` bytes of [`Self::to_send`] are on their way.
    pub fn sent(&mut self, len: usize) {
        if let Some(pipe) = self.pipe() {
            pipe.outgoing.drain(..len);
        }
    }

    fn pipe(&mut self) -> Option<&mut Pipe> {
        match &mut self.state {
            State::Shaking(shake) => Some(shake.get_mut().get_mut()),
            State::Open(socket) => Some(socket.get_mut()),
            State::Dead => None,
        }
    }

    fn shake(&mut self) -> Result<(), Broken> {
        let State::Shaking(shake) = std::mem::replace(&mut self.state, State::Dead) else { return Ok(()) };
        match shake.handshake() {
            Ok((socket, _)) => self.state = State::Open(Box::new(socket)),
            Err(HandshakeError::Interrupted(shake)) => self.state = State::Shaking(Box::new(shake)),
            Err(HandshakeError::Failure(Error::Http(response))) => {
                return Err(Broken::Refused(response.status().as_u16()));
            }
            Err(HandshakeError::Failure(e)) => return Err(Broken::Protocol(e.to_string())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_may_come_in_any_pieces() {
        let wire = b"\x81\x05hello\x89\x00\x81\x02ok";
        for cut in 0..wire.len() {
            let mut frames = Frames::open();
            let mut heard = Vec::new();
            for part in [&wire[..cut], &wire[cut..]] {
                frames.received(part).unwrap();
                while let Some(message) = frames.poll().unwrap() {
                    if let Incoming::Text(text) = message {
                        heard.push(String::from_utf8(text.to_vec()).unwrap());
                    }
                }
            }
            assert_eq!(heard, ["hello", "ok"], "cut after {cut}");
            assert_eq!(frames.to_send()[0], 0x8a, "the ping was answered");
        }
    }

    #[test]
    fn a_message_in_an_endless_row_of_empty_pieces_ends_the_connection() {
        let pieces = |count: usize| {
            let mut frames = Frames::open();
            let mut wire = b"\x01\x01a".to_vec();
            wire.extend(b"\x00\x00\x89\x00".repeat(count));
            wire.extend(b"\x80\x01b");
            let taken = wire.iter().try_for_each(|byte| frames.received(&[*byte]));
            taken.map(|()| frames)
        };
        let mut whole = pieces(FRAGMENTS_MAX as usize - 2).unwrap();
        let mut heard = Vec::new();
        while let Some(message) = whole.poll().unwrap() {
            if let Incoming::Text(text) = message {
                heard.extend_from_slice(text);
            }
        }
        assert_eq!(heard, b"ab");
        assert!(pieces(FRAGMENTS_MAX as usize).is_err());
    }

    #[test]
    fn oversized_masked_and_compressed_frames_end_the_connection() {
        let giant = [0x81, 127, 0, 0, 0, 0, 0x10, 0, 0, 0];
        let mut long_ping = b"\x89\x7e\x00\x80".to_vec();
        long_ping.resize(4 + 128, 0);
        for wire in [&giant[..], b"\x81\x85aaaahello", b"\xc1\x01x", &long_ping] {
            let mut frames = Frames::open();
            frames.received(wire).unwrap();
            assert!(frames.poll().is_err(), "{wire:?}");
        }
    }
}
