//! A WebSocket on a hot thread: frames on a [`Pipe`].

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::ClientConfig;

use super::pipe::{Pipe, Place, Site};
use crate::{unit::Nanos, wire::frame::Frames};

/// Unanswered data for this long ends a connection (half-open TCP).
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// One connection, from its begin on.
pub struct Socket {
    pub pipe: Pipe,
    pub frames: Frames,
    /// The protocol was told that the upgrade is done.
    pub opened: bool,
    pub readable: bool,
    pub since: Nanos,
}

impl Socket {
    /// Begins a connection and its upgrade.
    pub fn open(
        address: SocketAddr,
        url: &str,
        headers: &[(String, String)],
        tls: &Arc<ClientConfig>,
        now: Nanos,
    ) -> anyhow::Result<Self> {
        let Place { host, secure, .. } = Place::of(url)?;
        let pipe = Pipe::open(Site { address, host, secure }, tls, USER_TIMEOUT)?;
        let frames = Frames::connect(url, headers)?;
        Ok(Self { pipe, frames, opened: false, readable: true, since: now })
    }

    /// One read. The number of plain bytes in `buffer`, and whether more may be waiting.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
        self.write()?;
        self.pipe.read(buffer)
    }

    /// Writes what waits, as far as the socket takes it.
    pub fn write(&mut self) -> io::Result<()> {
        loop {
            let waiting = self.frames.to_send();
            if waiting.is_empty() {
                return self.pipe.flush();
            }
            let len = self.pipe.write(waiting)?;
            if len == 0 {
                return Ok(());
            }
            self.frames.sent(len);
        }
    }
}
