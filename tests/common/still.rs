//! Stops single threads of a running engine from outside, by `ptrace`.

#![allow(dead_code, reason = "every test file uses its own part of this")]

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

/// A thread that stands still until this is dropped. The tracer is one thread for as long as it lasts: it alone may let
/// go.
pub struct Stopped {
    release: Option<mpsc::Sender<()>>,
    tracer: Option<std::thread::JoinHandle<()>>,
}

impl Stopped {
    pub fn new(thread: i32) -> Self {
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
pub fn may_trace() -> bool {
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

/// The number of a thread of a process, by its name.
pub fn thread(pid: u32, name: &str) -> i32 {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
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
