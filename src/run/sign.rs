//! The only thread that holds keys: it opens the vault, takes out what it signs with, and wipes the rest. It reads no
//! network input: requests name what is to be signed, answers carry headers.

use std::{io, path::PathBuf, thread::JoinHandle};

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::{
    unit::UnixMs,
    vault::{Name, Secret, Vault, VaultError},
    venue::kalshi::sign::{KalshiSigner, SignError},
};

/// Where the thread's keys come from.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub enum Keys {
    /// Made for the simulated exchanges.
    Made(KalshiSigner),
    /// In a vault, which is opened on the thread itself.
    Sealed { vault: PathBuf, passphrase: Secret },
}

/// Why there are no keys. No text ever holds a part of one.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the vault holds {0} without {1}; put it in with: orion secrets set {1}")]
    Half(&'static str, &'static str),
    #[error("{0}: {1}; put the right one in with: orion secrets import FILE")]
    Key(&'static str, SignError),
    #[error("the sign thread cannot be started: {0}")]
    Thread(#[from] io::Error),
    #[error("the sign thread has ended")]
    Ended,
}

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

/// The thread, and the desk to ask it at. It ends when its last desk is dropped.
#[expect(missing_debug_implementations, reason = "it stands for keys, which are never printed")]
pub struct Signing {
    pub desk: SignDesk,
    pub thread: JoinHandle<()>,
}

/// Starts the thread with its keys. `None` if the vault holds none that open a stream.
pub fn start(keys: Keys) -> Result<Option<Signing>, KeysError> {
    let (requests, incoming) = bounded(16);
    let (opened, found) = bounded(1);
    let thread = std::thread::Builder::new().name("sign".into()).spawn(move || {
        let (signer, told) = match unseal(keys) {
            Ok(signer) => (signer, Ok(())),
            Err(error) => (None, Err(error)),
        };
        // Whoever started this waits for it, or is gone; then nobody asks either.
        let _ = opened.send(told.map(|()| signer.is_some()));
        if let Some(signer) = signer {
            serve(&signer, &incoming);
        }
    })?;
    let holds = found.recv().map_err(|_| KeysError::Ended)??;
    Ok(holds.then_some(Signing { desk: SignDesk { requests }, thread }))
}

/// Kalshi's signer. What else the vault holds is wiped when this returns.
fn unseal(keys: Keys) -> Result<Option<KalshiSigner>, KeysError> {
    let (vault, passphrase) = match keys {
        Keys::Made(signer) => return Ok(Some(signer)),
        Keys::Sealed { vault, passphrase } => (vault, passphrase),
    };
    let vault = Vault::open(&vault, &passphrase)?;
    let (id, key) = (Name::KalshiKeyId, Name::KalshiPrivateKey);
    match (vault.get(id), vault.get(key)) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(KeysError::Half(id.text(), key.text())),
        (None, Some(_)) => Err(KeysError::Half(key.text(), id.text())),
        (Some(id), Some(pem)) => KalshiSigner::from_pem(id.expose(), pem.expose().as_bytes())
            .map(Some)
            .map_err(|error| KeysError::Key(key.text(), error)),
    }
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
