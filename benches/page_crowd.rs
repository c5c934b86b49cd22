//! Does a crowd at the page slow an order down? The demo trades while nobody is there, while a crowd is at a listener that
//! has nothing to do with it, and while the same crowd is at its page: ten thousand connections that come and go, pages that
//! listen and never read, and readers of the database. Printed is the time from decision to socket of each, and their ratios.
//!
//! `cargo bench --bench page_crowd`. The crowd runs on the same host, so the middle figure is what it costs by itself.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends there")]
#![expect(clippy::disallowed_methods, reason = "windows of real time are what is measured")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use orion::ledger::audit::{AuditReader, Seen};

const CONNECTIONS: u64 = 10_000;
/// Connections of the crowd that are open at a time: more than the page lets in.
const AT_ONCE: usize = 400;
const LISTENERS: usize = 24;
const READERS: usize = 2;

struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn orion(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orion"));
    command.arg("--config").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config/orion.toml"));
    command.arg("--state-dir").arg(state).args(args);
    command
}

fn told(state: &Path, args: &[&str]) -> Option<serde_json::Value> {
    let output = orion(state, args).output().ok()?;
    output.status.success().then(|| serde_json::from_slice(&output.stdout).ok()).flatten()
}

/// The median span from decision to socket of plans that were seen between two opportunities, in microseconds, and how
/// many there were.
fn median(reader: &AuditReader, after: u64) -> (f64, usize, u64) {
    let seen = reader.seen(&Seen { count: 500, ..Seen::default() }).unwrap();
    let newest = seen.first().map_or(0, |record| record.opportunity.id);
    let mut spans: Vec<u64> = seen
        .iter()
        .filter(|record| after < record.opportunity.id)
        .filter_map(|record| {
            let (steps, _) = reader.decision(record.opportunity.id).unwrap()?;
            let steps: Vec<serde_json::Value> = serde_json::from_str(&steps).unwrap();
            steps.iter().find(|step| step["step"] == "send")?["ns"].as_u64()
        })
        .collect();
    spans.sort_unstable();
    let middle = spans.get(spans.len() / 2).copied().unwrap_or(0);
    (middle as f64 / 1e3, spans.len(), newest)
}

/// The crowd at an address, until the window is over.
fn crowd(at: SocketAddr, token: &str, window: Duration) -> u64 {
    let over = Arc::new(AtomicBool::new(false));
    let made = Arc::new(AtomicU64::new(0));
    let host = at.to_string();
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut threads = Vec::new();
    {
        let (over, made) = (over.clone(), made.clone());
        threads.push(std::thread::spawn(move || {
            let mut open = std::collections::VecDeque::new();
            let pause = window.div_f64(CONNECTIONS as f64 * 1.1);
            while !over.load(Ordering::Relaxed) && made.load(Ordering::Relaxed) < CONNECTIONS {
                if let Ok(stream) = TcpStream::connect_timeout(&at, Duration::from_secs(1)) {
                    open.push_back(stream);
                    made.fetch_add(1, Ordering::Relaxed);
                }
                if open.len() == AT_ONCE {
                    open.pop_front();
                }
                std::thread::sleep(pause);
            }
        }));
    }
    // They ask for the events and never read one.
    let deaf: Vec<_> = (0..LISTENERS)
        .filter_map(|_| {
            let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(1)).ok()?;
            stream.write_all(ask("/api/v1/events").as_bytes()).ok()?;
            Some(stream)
        })
        .collect();
    for _ in 0..READERS {
        let (over, text) = (over.clone(), ask("/api/v1/opportunities?limit=50"));
        threads.push(std::thread::spawn(move || {
            let mut buffer = [0; 16_384];
            while !over.load(Ordering::Relaxed) {
                if let Ok(mut stream) = TcpStream::connect_timeout(&at, Duration::from_secs(1)) {
                    let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
                    let _ = stream.write_all(text.as_bytes());
                    let _ = stream.read(&mut buffer);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }));
    }
    std::thread::sleep(window);
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    drop(deaf);
    made.load(Ordering::Relaxed)
}

/// A listener that takes everybody in and says nothing.
fn elsewhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut held = std::collections::VecDeque::new();
        for stream in listener.incoming().flatten() {
            held.push_back(stream);
            if held.len() == AT_ONCE {
                held.pop_front();
            }
        }
    });
    at
}

fn main() {
    // `cargo test --benches` only shows that it runs.
    let small = !std::env::args().any(|arg| arg == "--bench");
    let window = if small { Duration::from_secs(3) } else { Duration::from_mins(1) };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let child = orion(state, &["demo", "--json", "--speed", "60"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let demo = Demo(child.unwrap());
    let until = Instant::now() + Duration::from_mins(1);
    while told(state, &["status", "--json"]).is_none_or(|status| status["fills"].as_u64() < Some(1)) {
        assert!(Instant::now() < until, "the demo never traded");
        std::thread::sleep(Duration::from_millis(200));
    }
    let link = told(state, &["dashboard", "--json"]).unwrap()["url"].as_str().unwrap().to_owned();
    let page: SocketAddr = link.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap();
    let token = told(state, &["dashboard", "token", "--role", "viewer", "--json"]).unwrap();
    let token = token["token"].as_str().unwrap();
    let reader = AuditReader::open(&state.join("demo/orion.db")).unwrap();
    let (_, _, mut newest) = median(&reader, 0);
    let mut figures = Vec::new();
    for name in ["nobody", "a crowd elsewhere", "a crowd at the page"] {
        let made = match name {
            "nobody" => {
                std::thread::sleep(window);
                0
            }
            "a crowd elsewhere" => crowd(elsewhere(), token, window),
            _ => crowd(page, token, window),
        };
        // The keeper's last rows.
        std::thread::sleep(Duration::from_millis(800));
        let (middle, plans, last) = median(&reader, newest);
        newest = last;
        println!("{name:<22} decision to socket p50 {middle:>9.1} µs  ({plans} plans, {made} connections)");
        figures.push(middle);
    }
    let ratio = |part: f64, whole: f64| if whole == 0.0 { f64::NAN } else { part / whole };
    println!("at the page / elsewhere x {:.2}", ratio(figures[2], figures[1]));
    println!("at the page / nobody    x {:.2}", ratio(figures[2], figures[0]));
    let rss = std::fs::read_to_string(format!("/proc/{}/status", demo.0.id())).unwrap_or_default();
    println!("{}", rss.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default());
    assert!(told(state, &["status", "--json"]).is_some(), "the engine answers still");
}
