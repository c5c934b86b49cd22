//! The real process: signals, a sudden end, and what is left behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

fn orion(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orion"));
    command.arg("--config").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config/orion.toml"));
    command.arg("--state-dir").arg(state).args(args);
    command
}

/// A demo that answers on its control socket and has filled something.
fn running(state: &Path) -> Child {
    let child = orion(state, &["demo", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    until("a running engine with a fill", || {
        let status = orion(state, &["status", "--json"]).output().unwrap();
        let figures: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        status.status.success() && figures["fills"].as_u64().is_some_and(|fills| 0 < fills)
    });
    child
}

#[expect(clippy::disallowed_methods, reason = "the deadline of a test that failed")]
fn until(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !reached() {
        assert!(Instant::now() < deadline, "{what} never came");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_dump_is_written_on_sigusr1_and_sigterm_ends_with_the_books_counted() {
    let state = tempfile::tempdir().unwrap();
    let child = running(state.path());
    signal(&child, "USR1");
    let dump = state.path().join("demo/latency.txt");
    until("the latency table", || std::fs::read_to_string(&dump).is_ok_and(|table| table.contains("decide")));
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap().to_owned();
    assert!(last.contains("\"agrees\":true"), "{last}");
    assert!(!state.path().join("demo/control.sock").exists());
    assert_eq!(orion(state.path(), &["status"]).output().unwrap().status.code(), Some(69));
}

#[test]
fn a_killed_engine_leaves_a_ledger_that_adds_up_and_a_state_that_can_be_taken_over() {
    let state = tempfile::tempdir().unwrap();
    let mut child = running(state.path());
    signal(&child, "KILL");
    child.wait().unwrap();
    let verify = orion(state.path(), &["db", "verify", "--mode", "demo"]).output().unwrap();
    assert!(verify.status.success(), "{}", text(&verify));
    let why = orion(state.path(), &["why", "--mode", "demo"]).output().unwrap();
    assert!(
        why.status.success() && (text(&why).contains("planned") || text(&why).contains("filled")),
        "{}",
        text(&why)
    );
    // The lock died with the process, and the socket that nobody answers is in nobody's way.
    let mut next = running(state.path());
    signal(&next, "TERM");
    assert!(next.wait().unwrap().success());
}

#[test]
fn a_state_directory_that_cannot_be_written_is_named() {
    let output = orion(Path::new("/proc/nowhere"), &["demo", "--duration", "1s"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("/proc/nowhere"), "{}", text(&output));
}
