//! A feed's thread with its sockets on loopback: a detector that does not take what it brings, servers that are not who
//! they should be, names that do not resolve. The test plays the detector, the dialler and the venue.
//!
//! These wait for states, never for times; the deadline only ends a test that has failed. The numbers are those of the
//! fault catalogue.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use common::{
    line::{SUBSCRIBED, kalshi_delta, kalshi_feed, kalshi_snapshot},
    tls::{self, Authority, HERE, THESE_YEARS},
};
use crossbeam::channel::{Receiver, Sender, bounded};
use orion::{
    run::{
        event::Resnapshot,
        feed::{self, Dial, Dialled, FeedGauge, FeedSetup, LinkSetup},
        latency::{self, Collector},
        pipe,
        ring::{FeedRings, Idle, Sent, Stop, Waker},
    },
    unit::{FeedId, Venue},
    venue::polymarket::Shadow,
    wire::Kind,
};
use rtrb::{Consumer, Producer, RingBuffer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

const PATIENCE: Duration = Duration::from_mins(1);

/// Kalshi's feed on one connection, and everything around it.
struct Bench {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
    notes: Receiver<String>,
    dials: Receiver<Dial>,
    dialled: Sender<Dialled>,
    updates: Consumer<Sent>,
    gauge: Arc<FeedGauge>,
    /// Ends that nobody here uses; without them the feed would find its rings abandoned.
    #[expect(dead_code, reason = "held, not used")]
    others: (Collector, Producer<Resnapshot>, Consumer<Shadow>),
}

impl Bench {
    /// A ring for `slots` updates; over TLS only with a server that `root` vouches for, else the roots of the build.
    fn new(secure: bool, slots: usize, root: Option<&str>) -> Self {
        let (updates, updates_out) = RingBuffer::new(slots);
        let (shadows, shadows_out) = RingBuffer::new(1);
        let (resnapshots_in, resnapshots) = RingBuffer::new(1);
        let (waker, _) = Waker::new(Idle::Park);
        let (dial, dials) = bounded(4);
        let (dialled, answers) = bounded(4);
        let (notes, notes_out) = bounded(64);
        let (recorder, collector) = latency::recorder();
        let gauge: Arc<FeedGauge> = Arc::default();
        let stop = Stop::default();
        let scheme = if secure { "wss" } else { "ws" };
        let setup = FeedSetup {
            id: FeedId(0),
            venue: Venue::Kalshi,
            links: vec![LinkSetup { protocol: Box::new(kalshi_feed()), url: format!("{scheme}://{HERE}/ws") }],
            tls: pipe::tls(root).unwrap(),
            rings: FeedRings { updates, shadows, resnapshots, waker },
            dial,
            dialled: answers,
            idle: Idle::Park,
            stop: stop.clone(),
            recorder,
            record: None,
            gauge: Arc::clone(&gauge),
            jitter: fastrand::Rng::with_seed(7),
            notes,
        };
        let thread = std::thread::Builder::new().name("feed".into()).spawn(move || feed::run(setup).unwrap());
        let others = (collector, resnapshots_in, shadows_out);
        Self {
            stop,
            thread: Some(thread.unwrap()),
            notes: notes_out,
            dials,
            dialled,
            updates: updates_out,
            gauge,
            others,
        }
    }

    /// Answers the feed's next wish for addresses.
    fn dial(&self, result: Result<SocketAddr, String>) {
        let dial = self.dials.recv_timeout(PATIENCE).expect("the feed dials");
        let result = result.map(|address| (vec![address], Vec::new()));
        self.dialled.send(Dialled { feed: dial.feed, link: dial.link, result }).unwrap();
    }

    fn note(&self) -> String {
        self.notes.recv_timeout(PATIENCE).expect("the feed says how its connection fared")
    }

    fn up(&self) -> u64 {
        self.gauge.up.load(Ordering::Relaxed)
    }

    /// The kinds of the next updates.
    fn hear(&mut self, count: usize) -> Vec<Kind> {
        let mut kinds = Vec::new();
        until("updates", || {
            while let Ok(sent) = self.updates.pop() {
                kinds.push(sent.update.kind);
            }
            count <= kinds.len()
        });
        kinds
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.raise();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the feed's thread ends by itself");
    }
}

#[expect(clippy::disallowed_methods, reason = "the deadline of a test that failed")]
fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "{what} never came");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((HERE, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A venue that serves one connection on a thread of its own.
fn venue<T: Send + 'static>(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> (SocketAddr, JoinHandle<T>) {
    let (listener, address) = listener();
    let thread = std::thread::Builder::new().name("venue".into()).spawn(move || serve(listener.accept().unwrap().0));
    (address, thread.unwrap())
}

type Encrypted = StreamOwned<ServerConnection, TcpStream>;

fn encrypted(config: Arc<ServerConfig>, stream: TcpStream) -> Encrypted {
    StreamOwned::new(ServerConnection::new(config).unwrap(), stream)
}

/// A text as a server frames it.
fn frame(text: &str) -> Vec<u8> {
    let mut wire = vec![0x81];
    if text.len() < 126 {
        wire.push(text.len() as u8);
    } else {
        wire.push(126);
        wire.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
    }
    wire.extend_from_slice(text.as_bytes());
    wire
}

/// Fault 11: the detector stands still. The feed stops reading, the venue notices, and nothing is lost.
#[test]
fn a_full_ring_stops_the_reading_of_its_socket_and_loses_nothing() {
    const SLOTS: usize = 16;
    const DELTAS: u64 = 10_000;
    let mut bench = Bench::new(false, SLOTS, None);
    let (listener, address) = listener();
    bench.dial(Ok(address));
    let (stream, _) = listener.accept().unwrap();
    let mut stream = accept(stream).unwrap().get_ref().try_clone().unwrap();
    // Twenty megabytes: more than the buffers of two sockets hold.
    let ballast = format!("\"market_id\":\"{}\"", "m".repeat(2_000));
    let mut wire = frame(SUBSCRIBED);
    wire.extend(frame(&kalshi_snapshot(1, &[("0.4400", "100.00")], &[("0.5400", "100.00")])));
    for at in 1..=DELTAS {
        let change = format!("{}.{:02}", at / 100, at % 100);
        wire.extend(frame(&kalshi_delta(1 + at, "yes", "0.3000", &change).replace("\"market_id\":\"m\"", &ballast)));
    }
    stream.set_nonblocking(true).unwrap();
    let (mut written, mut stuck) = (0, 0);
    until("a feed that has stopped reading", || {
        match stream.write(&wire[written..]) {
            Ok(len) => (written, stuck) = (written + len, 0),
            Err(e) if e.kind() == ErrorKind::WouldBlock => stuck += u32::from(bench.updates.slots() == SLOTS),
            Err(e) => panic!("{e}"),
        }
        300 <= stuck
    });
    assert!(written < wire.len(), "the venue could write everything, so somebody read it");
    assert_eq!((bench.up(), bench.updates.slots()), (1, SLOTS), "the connection stands, the ring is full");

    let mut heard = Vec::new();
    until("every update", || {
        if written < wire.len() {
            written += stream.write(&wire[written..]).unwrap_or(0);
        }
        while let Ok(sent) = bench.updates.pop() {
            heard.push(sent.update.kind);
        }
        DELTAS as usize <= heard.iter().filter(|kind| matches!(kind, Kind::Change { .. })).count()
    });
    let changes: Vec<i64> = heard
        .iter()
        .filter_map(|kind| match kind {
            Kind::Change { change, .. } => Some(*change),
            _ => None,
        })
        .collect();
    let wanted: Vec<i64> = (1..=DELTAS as i64).map(|at| at * 10_000).collect();
    assert!(changes == wanted, "each change once, in the order of the wire");
    assert!(!heard.iter().any(|kind| matches!(kind, Kind::Unfit(_) | Kind::Lost)), "and no book is in doubt");
    assert_eq!(bench.gauge.gaps.load(Ordering::Relaxed), 0);
}

/// A venue that opens the stream, says one text, and waits for the end.
fn says(stream: Encrypted, text: &str) -> WebSocket<Encrypted> {
    let mut socket = accept(stream).unwrap();
    socket.send(Message::text(text)).unwrap();
    socket
}

/// Fault 59.
#[test]
fn a_server_that_cannot_prove_to_be_the_venue_is_refused_in_the_handshake() {
    let (ours, theirs, likewise) = (Authority::new("ours"), Authority::new("theirs"), Authority::new("ours"));
    for (what, server, root, words) in [
        ("expired", ours.server(&[HERE], (2_019, 2_020)), Some(&ours), "expired"),
        ("of the future", ours.server(&[HERE], (3_999, 4_000)), Some(&ours), "not valid yet"),
        ("for another host", ours.server(&["venue.example"], THESE_YEARS), Some(&ours), "not valid for name"),
        ("for the neighbour", ours.server(&["127.0.0.2"], THESE_YEARS), Some(&ours), "not valid for name"),
        ("its own witness", tls::self_signed(), Some(&ours), "UnknownIssuer"),
        ("of a foreign authority", theirs.server(&[HERE], THESE_YEARS), Some(&ours), "UnknownIssuer"),
        ("of one that calls itself like ours", likewise.server(&[HERE], THESE_YEARS), Some(&ours), "BadSignature"),
        ("of an authority that the build does not know", ours.server(&[HERE], THESE_YEARS), None, "UnknownIssuer"),
    ] {
        let mut bench = Bench::new(true, 64, root.map(|authority| &*authority.pem));
        let (address, server) = venue(move |stream| accept(encrypted(server, stream)).is_err());
        bench.dial(Ok(address));
        let note = bench.note();
        assert!(note.contains("invalid peer certificate") && note.contains(words), "{what}: {note}");
        assert!(server.join().unwrap(), "{what}: not one byte of the upgrade came through");
        assert_eq!(bench.up(), 0, "{what}");
        assert!(matches!(bench.hear(1)[..], [Kind::Lost]), "{what}");
    }
    let mut bench = Bench::new(true, 64, Some(&ours.pem));
    let good = ours.server(&[HERE], THESE_YEARS);
    let (address, server) = venue(move |stream| drop(says(encrypted(good, stream), SUBSCRIBED).read()));
    bench.dial(Ok(address));
    assert!(bench.note().contains("connected"), "with nothing wrong it stands");
    bench.hear(1);
    drop(bench);
    server.join().unwrap();
}

/// A record of TLS that carries one handshake message of an older server: `ServerHello` with this version and random.
fn server_hello(version: [u8; 2], tail: [u8; 8]) -> Vec<u8> {
    let mut hello = version.to_vec();
    hello.extend([7; 24]);
    hello.extend(tail);
    // No session, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, no compression.
    hello.extend([0, 0xc0, 0x2b, 0]);
    let mut record = vec![0x16, version[0], version[1], 0, 4 + hello.len() as u8, 2, 0, 0, hello.len() as u8];
    record.extend(hello);
    record
}

/// Fault 59: what comes instead of a handshake. The feed gives up each time, and dials again.
#[test]
fn a_handshake_that_is_downgraded_ended_or_no_handshake_is_given_up() {
    for (what, answer) in [
        ("TLS 1.1", server_hello([3, 2], [7; 8])),
        // RFC 8446, 4.1.3: a server of TLS 1.3 that was made to speak 1.2.
        ("a downgrade to TLS 1.2", server_hello([3, 3], *b"DOWNGRD\x01")),
        ("a close in the handshake", vec![0x15, 3, 3, 0, 2, 1, 0]),
        ("a page", b"HTTP/1.1 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n".to_vec()),
        ("nothing", Vec::new()),
    ] {
        let bench = Bench::new(true, 64, None);
        let (address, server) = venue(move |mut stream| {
            let _ = stream.read(&mut [0; 4_096]).unwrap();
            stream.write_all(&answer).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            // Whatever the client has to say to that, until it goes.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        bench.dial(Ok(address));
        let note = bench.note();
        assert!(!note.contains("connected"), "{what}: {note}");
        server.join().unwrap();
        assert_eq!(bench.up(), 0, "{what}");
    }
}

/// Fault 59: the standard lets either side change its keys at any time.
#[test]
fn a_server_that_changes_its_keys_in_mid_stream_is_followed() {
    let authority = Authority::new("ours");
    let mut bench = Bench::new(true, 64, Some(&authority.pem));
    let config = authority.server(&[HERE], THESE_YEARS);
    let (address, server) = venue(move |stream| {
        let mut socket = says(encrypted(config, stream), SUBSCRIBED);
        for text in [kalshi_snapshot(1, &[("0.4400", "1.00")], &[]), kalshi_delta(2, "yes", "0.4400", "1.00")] {
            socket.get_mut().conn.refresh_traffic_keys().unwrap();
            socket.send(Message::text(text)).unwrap();
        }
        drop(socket.read());
    });
    bench.dial(Ok(address));
    let kinds = bench.hear(5);
    assert!(kinds.iter().any(|kind| matches!(kind, Kind::Synced)), "{kinds:?}");
    assert!(kinds.iter().any(|kind| matches!(kind, Kind::Change { change: 1_000_000, .. })), "{kinds:?}");
    drop(bench);
    server.join().unwrap();
}

/// Fault 60: the resolver fails, then it lies, then it works.
#[test]
fn a_name_that_does_not_resolve_is_asked_for_again_and_a_lie_is_found_out() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let bench = Bench::new(true, 64, Some(&ours.pem));
    bench.dial(Err("venue:443: Temporary failure in name resolution".into()));
    assert!(bench.note().contains("Temporary failure in name resolution"));
    let lie = theirs.server(&[HERE], THESE_YEARS);
    let (address, liar) = venue(move |stream| accept(encrypted(lie, stream)).is_err());
    bench.dial(Ok(address));
    assert!(bench.note().contains("UnknownIssuer"));
    assert!(liar.join().unwrap());
    let good = ours.server(&[HERE], THESE_YEARS);
    let (address, server) = venue(move |stream| drop(says(encrypted(good, stream), SUBSCRIBED).read()));
    bench.dial(Ok(address));
    assert!(bench.note().contains("connected"));
    drop(bench);
    server.join().unwrap();
}

/// Fault 88, on the stream: an upgrade is answered with an upgrade, and briefly.
#[test]
fn an_answer_to_the_upgrade_that_is_something_else_is_refused_by_name() {
    for (answer, words) in [
        (b"HTTP/1.1 302 Found\r\nlocation: ws://127.0.0.1:1/ws\r\n\r\n".to_vec(), "HTTP 302"),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>Just a moment...</html>".to_vec(), "HTTP 200"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n".to_vec(), "Accept"),
        ([&b"HTTP/1.1 101 Switching Protocols\r\nx-ballast: "[..], &vec![b'b'; 300_000]].concat(), ""),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec(), ""),
    ] {
        let bench = Bench::new(false, 64, None);
        let (address, server) = venue(move |mut stream| {
            let _ = stream.read(&mut [0; 4_096]).unwrap();
            // The client may have gone before the end of it.
            let _ = stream.write_all(&answer);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        bench.dial(Ok(address));
        let note = bench.note();
        assert!(!note.contains("connected") && note.contains(words), "{words}: {note}");
        assert_eq!(bench.up(), 0, "{note}");
        server.join().unwrap();
    }
}
