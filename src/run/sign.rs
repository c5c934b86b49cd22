//! The only thread that holds keys: it opens the vault, takes out what it signs with, and wipes the rest. It reads no
//! network input: requests name what is to be signed, answers carry headers and signed orders.
//!
//! Kalshi signs a time, a method and a path, not the body: headers for creating an order are signed ahead, a few at any
//! time, none older than the venue takes. Polymarket's orders are signed ahead where the executor asks for tickets;
//! nobody waits for those. Whatever is not ready is signed on request, and counted.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crossbeam::{
    channel::{Receiver, RecvTimeoutError, Sender, bounded},
    queue::ArrayQueue,
};

use super::clock;
use crate::{
    unit::UnixMs,
    vault::{Name, Secret, Vault, VaultError},
    venue::{
        kalshi::{
            gateway::SignCalls,
            order::CREATE,
            sign::{Headers, KalshiSigner, SignError},
        },
        polymarket::{
            call::Call as RelayCall,
            contract::Chain,
            gateway::{Asked, SignOrders},
            order::{Body, Order, OrderId, OrderSigner, Salt},
            relay::Action,
            sign::{ApiSigner, L1Headers, WalletSigner},
            wallet::Wallet,
        },
    },
};

/// Headers for creating an order that lie ready.
const READY: usize = 8;
/// They are made anew this often.
const MINT_EVERY: Duration = Duration::from_secs(1);
/// None older is used: the venue takes about five seconds, and the gateway may hold a request for two.
const READY_MS: u64 = 1_800;
/// Tickets that are signed and not yet taken; more of them are lost, and asked for again.
const AHEAD: usize = 16;
/// Whoever waits for a signature gives up after this.
const PATIENCE: Duration = Duration::from_millis(50);

/// Where the thread's keys come from.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub enum Keys {
    /// Made for the simulated exchanges.
    Made { kalshi: KalshiSigner, polymarket: Option<Box<WalletKey>> },
    /// In a vault, which is opened on the thread itself. `judge` says what is wrong with what it holds.
    Sealed { vault: PathBuf, passphrase: Secret, judge: fn(&Vault) -> Vec<String> },
}

/// What trades at Polymarket: a key, the wallet that it trades for, and API credentials where they are known already.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct WalletKey {
    pub key: WalletSigner,
    pub wallet: Wallet,
    pub api: Option<ApiSigner>,
}

/// Whose orders go to Polymarket, without the key.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "API credentials are never printed")]
pub struct Customer {
    /// The key's address.
    pub owner: String,
    pub wallet: Wallet,
    /// The wallet's address.
    pub funder: String,
    pub api: Option<ApiSigner>,
}

impl WalletKey {
    fn customer(&self) -> Customer {
        let owner = self.key.address();
        let funder = self.wallet.address().unwrap_or_else(|| owner.clone());
        Customer { owner, wallet: self.wallet, funder, api: self.api.clone() }
    }
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
    #[error("what the vault holds does not fit together: {0}; see orion secrets check")]
    Unfit(String),
    #[error("the sign thread cannot be started: {0}")]
    Thread(#[from] io::Error),
    #[error("the sign thread has ended")]
    Ended,
}

/// What is to be signed, and where the answer goes.
enum Request {
    /// The socket's handshake.
    Handshake {
        now: UnixMs,
        answer: Sender<Result<Vec<(String, String)>, String>>,
    },
    Call {
        number: u64,
        now: UnixMs,
        method: &'static str,
        path: String,
        answer: Sender<(u64, Option<Headers>)>,
    },
    /// A sign-in for API credentials. Cold: whoever asks waits.
    SignIn {
        now: UnixMs,
        chain: Chain,
        answer: Sender<Option<L1Headers>>,
    },
    /// The API key that orders name as their owner's; none is signed before. Cold.
    TradeAs {
        api_key: String,
        chain: Chain,
        answer: Sender<Result<(), String>>,
    },
    /// A transaction of the wallet's. Cold: whoever asks waits.
    Relay {
        calls: Vec<RelayCall>,
        nonce: u64,
        chain: Chain,
        now: UnixMs,
        answer: Sender<Option<String>>,
    },
    Order {
        number: u64,
        order: Box<Order>,
        answer: Sender<(u64, Option<(OrderId, Body)>)>,
    },
}

/// Asks the sign thread.
#[derive(Clone)]
pub struct SignDesk {
    requests: Sender<Request>,
    ready: Arc<ArrayQueue<(UnixMs, Headers)>>,
    gauge: Arc<SignGauge>,
}

/// How often a signature lay ready, and how often it had to be waited for.
#[derive(Debug, Default)]
pub struct SignGauge {
    pub ready: AtomicU64,
    pub inline: AtomicU64,
}

impl SignDesk {
    /// Kalshi's three headers for the socket's handshake.
    pub fn handshake(&self, now: UnixMs) -> Result<Vec<(String, String)>, String> {
        let (answer, answered) = bounded(1);
        self.requests.send(Request::Handshake { now, answer }).map_err(|_| "the sign thread has ended".to_owned())?;
        answered.recv().map_err(|_| "the sign thread has ended".to_owned())?
    }

    /// The id of Kalshi's key, as requests carry it.
    pub fn key_id(&self) -> Option<String> {
        let headers = self.handshake(clock::unix()).ok()?;
        headers.into_iter().find(|(name, _)| name == "KALSHI-ACCESS-KEY").map(|(_, id)| id)
    }

    /// The headers of a sign-in at Polymarket, for the first set of API credentials; `None` without a key.
    pub fn sign_in(&self, now: UnixMs, chain: Chain) -> Option<L1Headers> {
        let (answer, answered) = bounded(1);
        self.requests.send(Request::SignIn { now, chain, answer }).ok()?;
        answered.recv().ok()?
    }

    /// From here on Polymarket's orders are signed, under this API key.
    pub fn trade_as(&self, api_key: &str, chain: Chain) -> Result<(), String> {
        let (answer, answered) = bounded(1);
        let ended = || "the sign thread has ended".to_owned();
        self.requests.send(Request::TradeAs { api_key: api_key.to_owned(), chain, answer }).map_err(|_| ended())?;
        answered.recv().map_err(|_| ended())?
    }

    /// The body of a transaction that the relayer is to send for the wallet; `None` for a wallet that cannot use it.
    pub fn relay(&self, calls: Vec<RelayCall>, nonce: u64, chain: Chain, now: UnixMs) -> Option<String> {
        let (answer, answered) = bounded(1);
        self.requests.send(Request::Relay { calls, nonce, chain, now, answer }).ok()?;
        answered.recv().ok()?
    }

    /// A signer for one gateway's calls and orders.
    pub fn signer(&self) -> RemoteSigner {
        RemoteSigner { desk: self.clone(), calls: bounded(4), orders: bounded(4), ahead: bounded(AHEAD), number: 0 }
    }

    /// Signatures so far.
    pub fn gauge(&self) -> &SignGauge {
        &self.gauge
    }
}

/// What comes back, with the number of its request: whoever gave up waiting must not take it for the next answer.
type Answers<T> = (Sender<(u64, Option<T>)>, Receiver<(u64, Option<T>)>);

/// Signs by asking the sign thread, and takes what lies ready where it can.
pub struct RemoteSigner {
    desk: SignDesk,
    calls: Answers<Headers>,
    orders: Answers<(OrderId, Body)>,
    /// Orders that are signed ahead, by their salts.
    ahead: Answers<(OrderId, Body)>,
    number: u64,
}

impl SignCalls for RemoteSigner {
    fn sign(&mut self, now: UnixMs, method: &'static str, path: &str) -> Option<Headers> {
        if (method, path) == ("POST", CREATE) {
            while let Some((made, headers)) = self.desk.ready.pop() {
                if now.since(made) <= READY_MS {
                    self.desk.gauge.ready.fetch_add(1, Ordering::Relaxed);
                    return Some(headers);
                }
            }
        }
        self.number += 1;
        let (number, answer) = (self.number, self.calls.0.clone());
        let request = Request::Call { number, now, method, path: path.to_owned(), answer };
        self.desk.requests.try_send(request).ok()?;
        self.desk.gauge.inline.fetch_add(1, Ordering::Relaxed);
        wait(&self.calls.1, number)
    }
}

impl SignOrders for RemoteSigner {
    fn sign(&mut self, order: &Order) -> Option<(OrderId, Body)> {
        self.number += 1;
        let (number, answer) = (self.number, self.orders.0.clone());
        let request = Request::Order { number, order: Box::new(*order), answer };
        self.desk.requests.try_send(request).ok()?;
        self.desk.gauge.inline.fetch_add(1, Ordering::Relaxed);
        wait(&self.orders.1, number)
    }

    fn ask(&mut self, order: &Order) -> Asked {
        let answer = self.ahead.0.clone();
        let request = Request::Order { number: order.salt.raw(), order: Box::new(*order), answer };
        if self.desk.requests.try_send(request).is_ok() { Asked::Later } else { Asked::No }
    }

    fn answered(&mut self) -> Option<(Salt, Option<(OrderId, Body)>)> {
        let (number, signed) = self.ahead.1.try_recv().ok()?;
        Some((Salt::new(number)?, signed))
    }
}

fn wait<T>(answers: &Receiver<(u64, Option<T>)>, number: u64) -> Option<T> {
    loop {
        match answers.recv_timeout(PATIENCE) {
            Ok((of, answer)) if of == number => return answer,
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// The thread, and the desk to ask it at. It ends when its last desk is dropped.
#[expect(missing_debug_implementations, reason = "it stands for keys, which are never printed")]
pub struct Signing {
    pub desk: SignDesk,
    /// Whose orders go to Polymarket, where a key for them is there.
    pub customer: Option<Customer>,
    /// `None` where somebody else waits for its end.
    pub thread: Option<JoinHandle<()>>,
}

impl Signing {
    /// The same thread for an engine that may end before it: another one is started with the same keys.
    #[must_use]
    pub fn lent(&self) -> Self {
        Self { desk: self.desk.clone(), customer: self.customer.clone(), thread: None }
    }
}

/// Starts the thread with its keys. `None` if the vault holds none that open a stream.
pub fn start(keys: Keys) -> Result<Option<Signing>, KeysError> {
    let (requests, incoming) = bounded(64);
    let (opened, found) = bounded(1);
    let ready = Arc::new(ArrayQueue::new(READY));
    let stock = ready.clone();
    let thread = std::thread::Builder::new().name("sign".into()).spawn(move || {
        let (signers, told) = match unseal(keys) {
            Ok(signers) => (signers, Ok(())),
            Err(error) => (None, Err(error)),
        };
        // Whoever started this waits for it, or is gone; then nobody asks either.
        let customer = |signers: &Signers| signers.polymarket.as_ref().and_then(Trading::customer);
        let _ = opened.send(told.map(|()| signers.as_ref().map(customer)));
        if let Some(signers) = signers {
            serve(signers, &incoming, &stock);
        }
    })?;
    let found = found.recv().map_err(|_| KeysError::Ended)??;
    let desk = SignDesk { requests, ready, gauge: Arc::default() };
    Ok(found.map(|customer| Signing { desk, customer, thread: Some(thread) }))
}

/// What the thread signs with.
struct Signers {
    kalshi: KalshiSigner,
    polymarket: Option<Trading>,
}

/// A wallet's key before and after its API key is known.
enum Trading {
    Silent(Box<WalletKey>),
    Signing(Box<OrderSigner>),
}

impl Trading {
    fn key(&self) -> &WalletSigner {
        match self {
            Self::Silent(wallet) => &wallet.key,
            Self::Signing(signer) => signer.key(),
        }
    }

    fn customer(&self) -> Option<Customer> {
        match self {
            Self::Silent(wallet) => Some(wallet.customer()),
            Self::Signing(_) => None,
        }
    }

    fn signer(&mut self) -> Option<&mut OrderSigner> {
        match self {
            Self::Silent(_) => None,
            Self::Signing(signer) => Some(signer),
        }
    }
}

/// What signs. What else the vault holds is wiped when this returns.
fn unseal(keys: Keys) -> Result<Option<Signers>, KeysError> {
    let (vault, judge) = match keys {
        Keys::Made { kalshi, polymarket } => {
            return Ok(Some(Signers { kalshi, polymarket: polymarket.map(Trading::Silent) }));
        }
        Keys::Sealed { vault, passphrase, judge } => (Vault::open(&vault, &passphrase)?, judge),
    };
    let (id, key) = (Name::KalshiKeyId, Name::KalshiPrivateKey);
    match (vault.get(id), vault.get(key)) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(KeysError::Half(id.text(), key.text())),
        (None, Some(_)) => Err(KeysError::Half(key.text(), id.text())),
        (Some(id), Some(pem)) => KalshiSigner::from_pem(id.expose(), pem.expose().as_bytes())
            .map_err(|error| KeysError::Key(key.text(), error))
            .and_then(|kalshi| {
                let faults = judge(&vault);
                if !faults.is_empty() {
                    return Err(KeysError::Unfit(faults.join("; ")));
                }
                let polymarket = wallet_key(&vault).map(|key| Trading::Silent(Box::new(key)));
                Ok(Some(Signers { kalshi, polymarket }))
            }),
    }
}

/// Polymarket's key with its wallet and credentials, as far as the vault holds them. Whatever does not fit was refused
/// before.
fn wallet_key(vault: &Vault) -> Option<WalletKey> {
    let text = |name| vault.get(name).map(Secret::expose);
    let key = WalletSigner::from_hex(text(Name::PolymarketPrivateKey)?).ok()?;
    let owner = key.address();
    let funder = text(Name::PolymarketFunder).unwrap_or(&owner);
    // A deposit wallet that is not this key's may be one whose owner has delegated it.
    let wallet = Wallet::of(&owner, funder).or_else(|_| Wallet::delegated(funder)).ok()?;
    let api = (text(Name::PolymarketApiKey), text(Name::PolymarketApiSecret), text(Name::PolymarketApiPassphrase));
    let api = match api {
        (Some(id), Some(secret), Some(passphrase)) => Some(ApiSigner::new(&owner, id, secret, passphrase).ok()?),
        _ => None,
    };
    Some(WalletKey { key, wallet, api })
}

fn serve(mut signers: Signers, incoming: &Receiver<Request>, ready: &ArrayQueue<(UnixMs, Headers)>) {
    let mut minted = clock::now();
    mint(&signers, ready);
    loop {
        match incoming.recv_timeout(MINT_EVERY) {
            Ok(request) => answer(&mut signers, request),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if MINT_EVERY.as_nanos() <= u128::from(clock::now().since(minted).raw()) {
            minted = clock::now();
            mint(&signers, ready);
        }
    }
}

/// Signs headers ahead; the oldest make room.
fn mint(signers: &Signers, ready: &ArrayQueue<(UnixMs, Headers)>) {
    for _ in 0..READY {
        let now = clock::unix();
        if let Ok(headers) = signers.kalshi.sign(now, "POST", CREATE) {
            let _ = ready.force_push((now, headers));
        }
    }
}

fn answer(signers: &mut Signers, request: Request) {
    // The asker may have gone, or given up; then nobody needs the answer.
    match request {
        Request::Handshake { now, answer } => {
            let signed = signers.kalshi.sign_handshake(now).map_err(|e| e.to_string());
            let pairs =
                |headers: Headers| headers.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
            let _ = answer.try_send(signed.map(pairs));
        }
        Request::Call { number, now, method, path, answer } => {
            let _ = answer.try_send((number, signers.kalshi.sign(now, method, &path).ok()));
        }
        Request::SignIn { now, chain, answer } => {
            let _ = answer.try_send(signers.polymarket.as_ref().map(|p| p.key().sign_in(now, 0, chain.id())));
        }
        Request::TradeAs { api_key, chain, answer } => {
            let _ = answer.try_send(trade_as(signers, &api_key, chain));
        }
        Request::Relay { calls, nonce, chain, now, answer } => {
            let body = signers.polymarket.as_mut().and_then(Trading::signer).and_then(|signer| {
                let action = Action::new(&calls, nonce, "").ok()?;
                Some(signer.relay(&action, chain, now)?.body)
            });
            let _ = answer.try_send(body);
        }
        Request::Order { number, order, answer } => {
            let signer = signers.polymarket.as_mut().and_then(Trading::signer);
            let signed = signer.and_then(|signer| SignOrders::sign(signer, &order));
            let _ = answer.try_send((number, signed));
        }
    }
}

fn trade_as(signers: &mut Signers, api_key: &str, chain: Chain) -> Result<(), String> {
    match signers.polymarket.take() {
        None => Err("there is no key for Polymarket".into()),
        Some(Trading::Signing(signer)) => {
            signers.polymarket = Some(Trading::Signing(signer));
            Err("its orders are signed under an API key already".into())
        }
        Some(Trading::Silent(wallet)) => {
            let WalletKey { key, wallet, .. } = *wallet;
            let signer = OrderSigner::new(key, wallet, chain, api_key).map_err(|error| error.to_string())?;
            signers.polymarket = Some(Trading::Signing(Box::new(signer)));
            Ok(())
        }
    }
}
