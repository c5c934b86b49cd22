//! The process under a service manager: it says when it is ready, proves that it moves, and stops proving it the moment
//! that a thread stands still. The manager here is a socket that writes everything down.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]
#![allow(clippy::disallowed_methods, reason = "a test measures what another process does")]

#[path = "common/still.rs"]
mod still;
#[path = "common/town.rs"]
mod town;

use std::{
    os::unix::net::UnixDatagram,
    path::Path,
    time::{Duration, Instant},
};

use still::{Stopped, may_trace, thread};
use town::{Engine, Town, until};

const PATIENCE: Duration = Duration::from_mins(1);

/// What the process tells its manager.
struct Manager {
    socket: UnixDatagram,
    told: Vec<(Instant, String)>,
    variables: Vec<(&'static str, String)>,
}

impl Manager {
    /// One that ends the process after two seconds without a ping.
    fn new(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let variables = vec![("NOTIFY_SOCKET", path.display().to_string()), ("WATCHDOG_USEC", "2000000".to_owned())];
        Self { socket, told: Vec::new(), variables }
    }

    fn listen(&mut self) {
        let mut bytes = [0; 4_096];
        while let Ok(len) = self.socket.recv(&mut bytes) {
            let text = String::from_utf8(bytes[..len].to_vec()).unwrap();
            self.told.extend(text.lines().map(|line| (Instant::now(), line.to_owned())));
        }
    }

    /// Listens for a while.
    fn wait(&mut self, span: Duration) {
        until(span, || {
            self.listen();
            None::<()>
        });
    }

    fn count(&mut self, what: &str) -> usize {
        self.listen();
        self.told.iter().filter(|(_, line)| line == what).count()
    }

    fn last(&mut self, start: &str) -> Option<String> {
        self.listen();
        self.told.iter().rev().find_map(|(_, line)| line.strip_prefix(start).map(ToOwned::to_owned))
    }
}

fn ready(town: &Town, manager: &mut Manager) -> Engine {
    let mut engine = town.start_under(&[], &manager.variables.clone());
    let ready = until(PATIENCE, || {
        assert!(engine.ended().is_none(), "{}", town.told());
        (0 < manager.count("READY=1")).then_some(())
    });
    assert!(ready.is_some(), "{:?}\n{}", manager.told, town.told());
    engine
}

#[test]
fn a_manager_is_told_of_the_start_of_every_second_of_a_reload_and_of_the_end() {
    let town = Town::new(7, 200, 0);
    let mut manager = Manager::new(town.folder());
    let engine = ready(&town, &mut manager);
    assert_eq!(engine.status().map(|status| status.engine).as_deref(), Some("running"), "ready is told, and is true");
    let first = manager.count("WATCHDOG=1");
    manager.wait(Duration::from_secs(6));
    let pings = manager.count("WATCHDOG=1") - first;
    // Figures are told once a second.
    assert!((4..=7).contains(&pings), "{pings} pings in six seconds: {:?}", manager.told);
    let line = manager.last("STATUS=").unwrap();
    assert!(line.starts_with("demo · 2/2 feeds · 22 pairs · P&L "), "{line}");

    engine.signal("HUP");
    let reloaded = until(PATIENCE, || (1 < manager.count("READY=1")).then_some(()));
    assert!(reloaded.is_some() && manager.count("RELOADING=1") == 1, "{:?}", manager.told);
    assert!(manager.last("MONOTONIC_USEC=").is_some(), "{:?}", manager.told);

    engine.signal("TERM");
    assert!(engine.wait().success(), "{}", town.told());
    assert_eq!(manager.count("STOPPING=1"), 1, "{:?}", manager.told);
    let stopping = manager.told.iter().position(|(_, line)| line == "STOPPING=1").unwrap();
    assert!(manager.told[stopping..].iter().all(|(_, line)| line != "WATCHDOG=1"), "{:?}", manager.told);
}

#[test]
fn a_thread_that_stands_still_ends_the_pings_and_the_process_within_two_seconds_latched() {
    if !may_trace() {
        return;
    }
    for name in ["detect", "execute"] {
        let town = Town::new(7, 200, 0);
        let mut manager = Manager::new(town.folder());
        let mut engine = ready(&town, &mut manager);
        let pinged = until(PATIENCE, || (3 < manager.count("WATCHDOG=1")).then_some(()));
        assert!(pinged.is_some(), "{:?}", manager.told);
        let stopped = Stopped::new(thread(engine.pid(), name));
        let stood = Instant::now();
        let ended = until(Duration::from_secs(10), || {
            manager.listen();
            engine.ended()
        });
        let took = stood.elapsed();
        let status = ended.unwrap_or_else(|| panic!("{name}: the process goes on: {}", town.told()));
        assert_eq!(status.code(), Some(1), "{name}: {}", town.told());
        assert!(took < Duration::from_secs(2), "{name}: it took {took:?}");
        drop(stopped);
        let latch = std::fs::read_to_string(town.state().join("latch")).unwrap();
        assert!(latch.contains("did not move"), "{name}: {latch}");
        manager.listen();
        // One look every fifth of a second: figures that were on their way then still count once.
        let late: Vec<_> = manager
            .told
            .iter()
            .filter(|(at, line)| line == "WATCHDOG=1" && stood + Duration::from_millis(600) < *at)
            .collect();
        assert!(late.is_empty(), "{name}: {late:?}");
    }
}

/// The keeper writes the audit trail. No guard watches it, because trading does not wait for it: the manager does.
#[test]
fn a_keeper_that_stands_still_ends_the_pings() {
    if !may_trace() {
        return;
    }
    let town = Town::new(7, 200, 0);
    let mut manager = Manager::new(town.folder());
    let mut engine = ready(&town, &mut manager);
    let stopped = Stopped::new(thread(engine.pid(), "keep"));
    manager.wait(Duration::from_secs(1));
    let before = manager.count("WATCHDOG=1");
    manager.wait(Duration::from_secs(3));
    assert_eq!(manager.count("WATCHDOG=1"), before, "{:?}", manager.told);
    assert!(engine.ended().is_none(), "trading goes on until the manager ends it: {}", town.told());
    drop(stopped);
    let again = until(PATIENCE, || (before < manager.count("WATCHDOG=1")).then_some(()));
    assert!(again.is_some(), "it moves again: {:?}", manager.told);
}
