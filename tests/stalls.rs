//! One thread of a trading engine is stopped with ptrace, while the others go on (fault 70). Whichever it is, no entry
//! reaches an exchange after the latch fell; and where it is one that has to move all the time, the process ends by
//! itself and leaves the latch behind.
//!
//! Linux, and a machine that lets a process trace its own children. Where it does not, this fails, unless
//! `ORION_NO_PTRACE` says that a person knows.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "common/town.rs"]
mod town;

use std::{
    io::Read as _,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use nix::{
    sys::{
        ptrace::{self, Options},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use town::{Engine, Town, let_pass, until};

const PATIENCE: Duration = Duration::from_secs(40);

/// A thread that stands still until this is dropped. The tracer is one thread for as long as it lasts: it alone may let
/// go.
struct Stopped {
    release: Option<mpsc::Sender<()>>,
    tracer: Option<std::thread::JoinHandle<()>>,
}

impl Stopped {
    fn new(thread: i32) -> Self {
        let (release, released) = mpsc::channel::<()>();
        let (done, stopped) = mpsc::channel();
        let tracer = std::thread::Builder::new().name("tracer".into()).spawn(move || {
            let pid = Pid::from_raw(thread);
            let seized = ptrace::seize(pid, Options::empty()).and_then(|()| ptrace::interrupt(pid));
            let stopped = seized.and_then(|()| waitpid(pid, Some(WaitPidFlag::__WALL)));
            done.send(stopped).unwrap();
            // A thread that dies is dead only once its tracer has seen it.
            let wait = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
            while released.recv_timeout(Duration::from_millis(10)) == Err(mpsc::RecvTimeoutError::Timeout) {
                if !matches!(waitpid(pid, Some(wait)), Ok(WaitStatus::StillAlive)) {
                    return;
                }
            }
            let _ = ptrace::detach(pid, None);
        });
        stopped.recv().unwrap().expect("it was found that tracing is permitted");
        Self { release: Some(release), tracer: Some(tracer.unwrap()) }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.release.take());
        if let Some(tracer) = self.tracer.take() {
            let _ = tracer.join();
        }
    }
}

/// May a process trace its children here? Says so where it may not.
fn may_trace() -> bool {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let seized = ptrace::seize(pid, Options::empty());
    let _ = child.kill();
    let _ = child.wait();
    let Err(why) = seized else { return true };
    assert!(
        std::env::var_os("ORION_NO_PTRACE").is_some(),
        "this machine does not permit ptrace ({why}), so nothing was proved about threads that hang; \
         permit it, or set ORION_NO_PTRACE to go without"
    );
    eprintln!("NOT RUN: this machine does not permit ptrace ({why}), and ORION_NO_PTRACE is set");
    false
}

/// The number of a thread of the engine, by its name.
fn thread(engine: &Engine, name: &str) -> i32 {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{}/task", engine.pid())).unwrap() {
        let path = entry.unwrap().path();
        let mut found = String::new();
        let read = std::fs::File::open(path.join("comm")).and_then(|mut comm| comm.read_to_string(&mut found));
        if read.is_ok() && found.trim() == name {
            return path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        }
        names.push(found);
    }
    panic!("no thread is named {name}: {names:?}");
}

/// An engine that has just filled something, and so is likely to enter again.
fn trading(town: &Town) -> Engine {
    let mut engine = town.start();
    let filled = until(PATIENCE, || {
        assert!(engine.ended().is_none(), "{}", town.told());
        engine.status().filter(|status| 0 < status.fills)
    });
    assert!(filled.is_some(), "nothing was filled: {:#?}\n{}", engine.status(), town.told());
    engine
}

#[test]
fn no_entry_leaves_after_a_kill_whichever_thread_stands_still() {
    if !may_trace() {
        return;
    }
    for name in ["sign", "keep", "journal", "dial", "feed-kalshi", "feed-polymarket"] {
        let town = Town::new(7, 200, 0);
        let mut engine = trading(&town);
        let stopped = Stopped::new(thread(&engine, name));
        let killed = town.output(&["kill", "--mode", "demo"]);
        assert!(killed.status.success(), "{name}: {killed:?}\n{}", town.told());
        let_pass(Duration::from_millis(1_500));
        drop(stopped);
        let_pass(Duration::from_millis(500));
        assert_eq!(town.entries_after_the_latch(), Vec::<String>::new(), "{name}");
        assert!(!town.story().entries.is_empty(), "{name}: nothing was ever entered");
        assert!(engine.ended().is_none(), "{name}: {}", town.told());
        engine.signal("TERM");
        assert!(engine.wait().success(), "{name}: {}", town.told());
    }
}

#[test]
fn a_detector_or_executor_that_stands_still_ends_the_process_and_leaves_the_latch() {
    if !may_trace() {
        return;
    }
    for (name, kills) in [("execute", false), ("execute", true), ("detect", false), ("detect", true)] {
        let town = Town::new(7, 200, 0);
        let mut engine = trading(&town);
        let stopped = Stopped::new(thread(&engine, name));
        if kills {
            let killed = town.output(&["kill", "--mode", "demo"]);
            assert!(killed.status.success(), "{name}: {killed:?}\n{}", town.told());
        }
        let ended = until(Duration::from_secs(10), || engine.ended());
        let status = ended.unwrap_or_else(|| panic!("{name} stands still, and the process goes on: {}", town.told()));
        assert_eq!(status.code(), Some(1), "{name}: {}", town.told());
        drop(stopped);
        assert_eq!(town.entries_after_the_latch(), Vec::<String>::new(), "{name}");
        let latch = std::fs::read_to_string(town.state().join("latch")).unwrap();
        let reason = if kills { "halted by a person" } else { "did not move" };
        assert!(latch.contains(reason), "{name}: {latch}");

        // The next one finds the latch, agrees with the venues, and enters nothing.
        let mut next = town.start();
        let agreed = until(PATIENCE, || {
            assert!(next.ended().is_none(), "{name}: {}", town.told());
            next.status().filter(|status| status.agrees == Some(true))
        });
        assert_eq!(agreed.map(|status| status.state).as_deref(), Some("halted"), "{name}");
        let_pass(Duration::from_millis(500));
        next.signal("TERM");
        assert!(next.wait().success(), "{name}: {}", town.told());
        assert_eq!(town.entries_after_the_latch(), Vec::<String>::new(), "{name}");
        let unequal = town.unequal(&town.story());
        assert_eq!(unequal, Vec::<String>::new(), "{name}: the journal, and the exchanges' own accounts");
    }
}
