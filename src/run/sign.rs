//! The only thread that holds keys. It reads no network input: requests name what is to be signed, answers carry headers.

use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::{unit::UnixMs, venue::kalshi::sign::KalshiSigner};

/// A handshake to be signed, and where the headers go.
pub struct Request {
    /// Milliseconds; goes into the signed text.
    pub now: UnixMs,
    pub answer: Sender<Result<Vec<(String, String)>, String>>,
}

/// Asks the sign thread.
#[derive(Clone)]
pub struct SignDesk {
    requests: Sender<Request>,
}

impl SignDesk {
    /// Kalshi's three headers for the socket's handshake.
    pub fn handshake(&self, now: UnixMs) -> Result<Vec<(String, String)>, String> {
        let (answer, answered) = bounded(1);
        self.requests.send(Request { now, answer }).map_err(|_| "the sign thread has ended".to_owned())?;
        answered.recv().map_err(|_| "the sign thread has ended".to_owned())?
    }
}

/// Starts the thread with the key it will hold until its last desk is dropped.
pub fn start(signer: KalshiSigner) -> std::io::Result<(SignDesk, JoinHandle<()>)> {
    let (requests, incoming) = bounded(16);
    let thread = std::thread::Builder::new().name("sign".into()).spawn(move || serve(&signer, &incoming))?;
    Ok((SignDesk { requests }, thread))
}

fn serve(signer: &KalshiSigner, incoming: &Receiver<Request>) {
    while let Ok(request) = incoming.recv() {
        let signed = signer
            .sign_handshake(request.now)
            .map_err(|e| e.to_string())
            .map(|headers| headers.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
        // The asker may have gone; then nobody needs the answer.
        let _ = request.answer.send(signed);
    }
}
