//! The control socket: how `status` and every command of the terminal reach a running process. A Unix socket of mode
//! 0600 in the state directory; one JSON object a line each way.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context as _;

use super::{
    command::{Answer, Request},
    handles::Handles,
};
use crate::{
    run::{clock, ring::Stop},
    unit::Nanos,
};

/// A request is one short line.
const REQUEST_MAX: u64 = 4_096;
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest that a command may take: a start that reads both venues' catalogues.
const ANSWER_WAIT: Duration = Duration::from_secs(65);

/// The socket's place below a state directory.
pub fn path(state: &Path) -> PathBuf {
    state.join("control.sock")
}

/// Serves requests until stopped. The socket file goes with the process.
pub fn start(state: &Path, handles: Handles, stop: Stop) -> anyhow::Result<JoinHandle<()>> {
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
        let mut serving: Vec<JoinHandle<()>> = Vec::new();
        while !stop.raised() {
            serving.retain(|served| !served.is_finished());
            match listener.accept() {
                Ok((stream, _)) => {
                    // A thread each: a kill does not wait for a start that takes long. A client that breaks off or
                    // stays silent harms only itself.
                    let handles = handles.clone();
                    let served = std::thread::Builder::new().name("control".into());
                    serving.extend(served.spawn(move || _ = serve(&stream, &handles)));
                }
                Err(_) => std::thread::park_timeout(Duration::from_millis(50)),
            }
        }
        // Whoever asked before the end is answered, in a moment.
        let until = clock::now() + Nanos::new(PATIENCE.as_nanos() as u64);
        while serving.iter().any(|served| !served.is_finished()) && clock::now() < until {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let _ = std::fs::remove_file(&path);
    })?;
    Ok(thread)
}

fn serve(stream: &UnixStream, handles: &Handles) -> anyhow::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(REQUEST_MAX)).read_line(&mut line)?;
    let answer = match serde_json::from_str::<Request>(&line) {
        Ok(request) => handles.execute(request, "control socket"),
        Err(e) => Answer::Refused { why: format!("not a request this version knows: {e}") },
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    (&*stream).write_all(&text)?;
    Ok(())
}

/// Asks a running process. `None` if none answers there.
pub fn ask(state: &Path, request: Request) -> anyhow::Result<Option<Answer>> {
    let Ok(mut stream) = UnixStream::connect(path(state)) else { return Ok(None) };
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_string(&request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut text = String::new();
    BufReader::new(stream).read_line(&mut text).context("the engine did not answer")?;
    Ok(Some(serde_json::from_str(&text).context("the engine answered in a way this version does not know")?))
}
