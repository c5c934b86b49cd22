//! The control socket: how `status`, and later every command, reaches a running engine. A Unix socket of mode 0600 in
//! the state directory; one JSON object a line each way.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::run::{latency::Latencies, ring::Stop, snapshot::Snapshot};

/// A request is one short line.
const REQUEST_MAX: u64 = 4_096;
const PATIENCE: Duration = Duration::from_secs(2);

/// What may be asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    Status,
    Latency,
}

/// What is answered.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    Status { status: Box<Snapshot> },
    Latency { table: String },
    Refused { why: String },
}

/// The socket's place below a state directory.
pub fn path(state: &Path) -> PathBuf {
    state.join("control.sock")
}

/// Serves requests until stopped. The socket file goes with the engine.
pub fn start(
    state: &Path,
    status: Arc<Mutex<Snapshot>>,
    latencies: Arc<Mutex<Latencies>>,
    stop: Stop,
) -> anyhow::Result<JoinHandle<()>> {
    let path = path(state);
    if UnixStream::connect(&path).is_ok() {
        anyhow::bail!(
            "an engine is running already on {}; stop it first, or use another state directory",
            path.display()
        );
    }
    // A socket that nobody answers is what a killed engine left behind.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| format!("cannot open {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
        while !stop.raised() {
            match listener.accept() {
                Ok((stream, _)) => {
                    // A client that breaks off or stays silent harms only itself.
                    let _ = serve(stream, &status, &latencies);
                }
                Err(_) => std::thread::park_timeout(Duration::from_millis(50)),
            }
        }
        let _ = std::fs::remove_file(&path);
    })?;
    Ok(thread)
}

fn serve(stream: UnixStream, status: &Mutex<Snapshot>, latencies: &Mutex<Latencies>) -> anyhow::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(REQUEST_MAX)).read_line(&mut line)?;
    let answer = match serde_json::from_str::<Request>(&line) {
        Ok(Request::Status) => {
            let status = status.lock().map(|s| s.clone()).unwrap_or_default();
            Answer::Status { status: Box::new(status) }
        }
        Ok(Request::Latency) => Answer::Latency { table: latencies.lock().map(|l| l.table()).unwrap_or_default() },
        Err(e) => Answer::Refused { why: format!("not a request this version knows: {e}") },
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    (&stream).write_all(&text)?;
    Ok(())
}

/// Asks a running engine. `None` if none answers there.
pub fn ask(state: &Path, request: Request) -> anyhow::Result<Option<Answer>> {
    let Ok(mut stream) = UnixStream::connect(path(state)) else { return Ok(None) };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_string(&request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut text = String::new();
    BufReader::new(stream).read_line(&mut text).context("the engine did not answer within 2 s")?;
    Ok(Some(serde_json::from_str(&text).context("the engine answered in a way this version does not know")?))
}
