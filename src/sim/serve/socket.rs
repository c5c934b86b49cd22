//! Sockets: plain or TLS, and the two WebSocket endpoints on them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::sim::fault::Out;
use crate::sim::handshake::Headers;
use crate::sim::kalshi::account::Member;
use crate::sim::kalshi_rest::Reply;
use crate::sim::serve::hall::{Hall, Seat};
use crate::sim::serve::{WS_PATHS, clob, lock, now};
use crate::unit::Venue;

/// Kalshi's own pings. Polymarket sends none; its clients send the text `PING`.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long a connection that is cut off has to read its last words.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Connections that have been accepted and not yet been served.
const WAITING: usize = 64;

/// Ends a connection with a reset after so many more bytes; a venue's answers may be cut anywhere.
#[derive(Clone, Debug)]
pub struct Cut(Arc<AtomicI64>);

impl Cut {
    /// No end in sight.
    fn none() -> Self {
        Self(Arc::new(AtomicI64::new(-1)))
    }

    /// The connection ends after this many more bytes.
    pub fn after(&self, bytes: usize) {
        self.0.store(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// How many bytes may still be written.
    fn left(&self) -> Option<usize> {
        usize::try_from(self.0.load(Ordering::Relaxed)).ok()
    }

    fn spend(&self, bytes: usize) {
        self.0.fetch_sub(bytes as i64, Ordering::Relaxed);
    }
}

/// A connection, encrypted or not.
enum Pipe {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that may be cut.
pub struct Wire {
    pipe: Pipe,
    cut: Cut,
}

impl Wire {
    /// What ends it.
    pub fn cut(&self) -> Cut {
        self.cut.clone()
    }

    /// Closes with a reset instead of a farewell.
    fn reset(&self) {
        let stream = match &self.pipe {
            Pipe::Plain(stream) => stream,
            Pipe::Tls(stream) => stream.get_ref().0,
        };
        // If this fails the close is an ordinary one, and the test of resets says so.
        let _ = stream.set_zero_linger();
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().pipe {
            Pipe::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Pipe::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let left = wire.cut.left();
        if left == Some(0) {
            wire.reset();
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let bytes = &bytes[..left.map_or(bytes.len(), |left| left.min(bytes.len()))];
        let written = match &mut wire.pipe {
            Pipe::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Pipe::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        if let (Some(_), Poll::Ready(Ok(written))) = (left, &written) {
            wire.cut.spend(*written);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().pipe {
            Pipe::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Pipe::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().pipe {
            Pipe::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Pipe::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Connections whose TLS handshake, if any, is done.
pub struct Incoming {
    ready: mpsc::Receiver<(Wire, SocketAddr)>,
    address: SocketAddr,
}

impl Incoming {
    /// The next connection. Waits for ever once the listener is gone.
    pub async fn next(&mut self) -> (Wire, SocketAddr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Accepts connections; each handshake has a task of its own, so a stalled one holds up nobody.
pub fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>) -> io::Result<Incoming> {
    let address = listener.local_addr()?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (sender, ready) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        loop {
            let Ok((stream, from)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            // Small frames must not wait for more; without it loopback adds up to 40 ms.
            let _ = stream.set_nodelay(true);
            let (sender, acceptor) = (sender.clone(), acceptor.clone());
            tokio::spawn(async move {
                let pipe = match acceptor {
                    None => Pipe::Plain(stream),
                    Some(acceptor) => match acceptor.accept(stream).await {
                        Ok(stream) => Pipe::Tls(Box::new(stream)),
                        Err(_) => return,
                    },
                };
                let _ = sender.send((Wire { pipe, cut: Cut::none() }, from)).await;
            });
        }
    });
    Ok(Incoming { ready, address })
}

/// One venue's stream, until the runtime ends.
pub async fn serve(mut incoming: Incoming, venue: Venue, hall: Arc<Mutex<Hall>>) {
    loop {
        let (wire, _) = incoming.next().await;
        let member = Arc::new(OnceLock::new());
        let private = Arc::new(AtomicBool::new(false));
        let door = Door { venue, member: Arc::clone(&member), hall: Arc::clone(&hall), private: Arc::clone(&private) };
        let hall = Arc::clone(&hall);
        tokio::spawn(async move {
            // A refused handshake has had its answer; there is nothing left to do.
            let Ok(mut socket) = accept_hdr_async(wire, door).await else { return };
            if private.load(Ordering::Relaxed) {
                // However it ends, the client finds out by itself.
                let _ = clob::converse(socket, hall).await;
                return;
            }
            let mut seat = lock(&hall).sit(venue, member.get().copied(), now());
            let number = seat.number;
            // However it ends, the client finds out by itself.
            let _ = converse(&mut socket, &mut seat, venue, &hall).await;
            lock(&hall).leave(number);
        });
    }
}

/// Checks the request for an upgrade.
struct Door {
    venue: Venue,
    /// Set to whoever is let in.
    member: Arc<OnceLock<Member>>,
    hall: Arc<Mutex<Hall>>,
    /// Set if the connection is to Polymarket's user channel.
    private: Arc<AtomicBool>,
}

impl Callback for Door {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        if lock(&self.hall).is_down(self.venue, now()) {
            return Err(refusal(Reply { status: 502, body: String::new() }));
        }
        let path = request.uri().path();
        let private = self.venue == Venue::Polymarket && path == clob::USER_PATH;
        self.private.store(private, Ordering::Relaxed);
        if !private && path != WS_PATHS[self.venue as usize] {
            return Err(refusal(Reply { status: 404, body: String::from("404 page not found\n") }));
        }
        if self.venue == Venue::Kalshi {
            let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
            let headers = Headers {
                key: header("KALSHI-ACCESS-KEY"),
                timestamp: header("KALSHI-ACCESS-TIMESTAMP"),
                signature: header("KALSHI-ACCESS-SIGNATURE"),
            };
            let member = lock(&self.hall).admit(&headers, path, now()).map_err(refusal)?;
            // A door lets one in; nobody has set it before.
            let _ = self.member.set(member);
        }
        Ok(response)
    }
}

fn refusal(reply: Reply) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(reply.body));
    if let Ok(status) = reply.status.try_into() {
        *response.status_mut() = status;
    }
    response
}

/// Carries frames both ways until either side ends it.
async fn converse(
    socket: &mut WebSocketStream<Wire>,
    seat: &mut Seat,
    venue: Venue,
    hall: &Mutex<Hall>,
) -> Result<(), Error> {
    let mut pings = tokio::time::interval(PING_EVERY);
    pings.tick().await;
    loop {
        tokio::select! {
            biased;
            last = &mut seat.last_words => {
                let farewell = async {
                    for frame in last.unwrap_or_default() {
                        socket.send(Message::text(frame)).await?;
                    }
                    socket.close(None).await
                };
                return tokio::time::timeout(LAST_WORDS, farewell).await.unwrap_or(Ok(()));
            }
            out = seat.queue.recv() => match out {
                Some(Out::Text(text)) => {
                    // A reader who has stopped must not keep his last words from being tried.
                    tokio::select! {
                        sent = socket.send(Message::text(text)) => sent?,
                        _ = &mut seat.last_words => return Ok(()),
                    }
                }
                Some(Out::Reset(text)) => {
                    lock(hall).was_reset(venue, now());
                    return break_off(socket, &text).await;
                }
                Some(Out::Terminate) => {}
                None => return Ok(()),
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => lock(hall).handle_text(seat.number, &text, now()),
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
            },
            _ = pings.tick() => {
                if venue == Venue::Kalshi {
                    socket.send(Message::Ping("heartbeat".into())).await?;
                }
            }
        }
    }
}

/// Half a frame, then a TCP reset.
async fn break_off(socket: &mut WebSocketStream<Wire>, text: &str) -> Result<(), Error> {
    socket.flush().await?;
    let half = &text.as_bytes()[..text.len() / 2];
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head = [0x81, 126, length[0], length[1]];
    let wire = socket.get_mut();
    wire.write_all(&head).await?;
    wire.write_all(half).await?;
    wire.flush().await?;
    wire.reset();
    Ok(())
}
