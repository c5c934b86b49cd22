//! Both venues on loopback: one thread, one runtime, four listeners, and the only clock of the simulator.
//!
//! The world steps every few milliseconds and whatever happens goes to every connection before anything else is done:
//! world, sessions and queues change together under one lock, so no client can see a delta twice or miss one beside
//! its snapshot. A full outgoing queue means a slow reader: its subscriptions end with error 25 and it is cut off.

mod clob;
mod hall;
mod rest;
mod socket;
mod tls;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::sim::clob::ClobDesk;
use crate::sim::clob::account::NewWallet;
use crate::sim::kalshi::account::{NewAccount, NewKey};
use crate::sim::kalshi::check::Violation;
use crate::sim::kalshi::desk::{Desk, Settings};
use crate::sim::serve::hall::Hall;
use crate::sim::world::{SimSettlement, World};
use crate::unit::{BookSide, Money, Price, Qty, UnixMs, Venue};

/// Wall time between two steps of the world.
const STEP_MS: u64 = 5;
/// After a stall the world catches up by this many steps at once, and forgets the rest.
const STEPS_AT_ONCE: u64 = 40;
/// The user of an account that nobody has described.
const DEMO_USER: &str = "00000000-0000-4000-8000-0000000000aa";
/// Its cash on each of Kalshi's shards.
pub const DEMO_CASH: Money = Money::dollars(25_000);
const WS_PATHS: [&str; 2] = ["/trade-api/ws/v2", "/ws/market"];

/// What to serve.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// Virtual seconds for one second of wall time.
    pub speed: u32,
    pub chaos: bool,
    pub tls: bool,
    /// Key ids of Kalshi's first account, with their public keys as DER `SubjectPublicKeyInfo`. They may do everything.
    pub kalshi_keys: Vec<(String, Vec<u8>)>,
    /// Kalshi's accounts and manners. Without an account, one is opened for `kalshi_keys`, with money on every shard.
    pub kalshi: Settings,
    /// Polymarket's customers.
    pub polymarket_wallets: Vec<NewWallet>,
    /// How many of a thousand of their calls, matches and events go wrong.
    pub polymarket_order_chaos: u32,
    /// Kalshi REST, Kalshi stream, Polymarket REST, Polymarket stream; 0 takes any free port.
    pub ports: [u16; 4],
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 42,
            speed: 20,
            chaos: false,
            tls: false,
            kalshi_keys: Vec::new(),
            kalshi: Settings::default(),
            polymarket_wallets: Vec::new(),
            polymarket_order_chaos: 0,
            ports: [0; 4],
        }
    }
}

/// Where the venues are.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// With `/trade-api/v2`.
    pub kalshi_rest: String,
    /// With `/trade-api/ws/v2`.
    pub kalshi_ws: String,
    /// Gamma, CLOB and Data API behind one address, without a path.
    pub polymarket_rest: String,
    /// With `/ws/market`.
    pub polymarket_ws: String,
    /// With `/ws/user`.
    pub polymarket_user_ws: String,
    /// The authority that signed the certificates, under TLS.
    pub ca_pem: Option<String>,
}

/// A question that both venues ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SimPair {
    pub title: String,
    pub ticker: String,
    pub condition_id: String,
    /// YES on Polymarket is NO on Kalshi.
    pub inverted: bool,
}

/// The venues while they run. Dropping it stops them.
#[derive(Debug)]
pub struct Running {
    pub endpoints: Endpoints,
    hall: Arc<Mutex<Hall>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts both venues on a thread of their own.
pub fn start(options: Options) -> anyhow::Result<Running> {
    let Options { seed, speed, chaos, tls, kalshi_keys, kalshi, polymarket_wallets, polymarket_order_chaos, ports } =
        options;
    let identity = if tls { Some(tls::identity()?) } else { None };
    let mut listeners = Vec::new();
    for port in ports {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))
            .with_context(|| format!("the simulated venues cannot listen on 127.0.0.1:{port}"))?;
        listener.set_nonblocking(true)?;
        listeners.push(listener);
    }
    let ports: Vec<u16> =
        listeners.iter().map(|listener| listener.local_addr().map(|at| at.port())).collect::<Result<_, _>>()?;
    let s = if tls { "s" } else { "" };
    let endpoints = Endpoints {
        kalshi_rest: format!("http{s}://127.0.0.1:{}/trade-api/v2", ports[0]),
        kalshi_ws: format!("ws{s}://127.0.0.1:{}{}", ports[1], WS_PATHS[0]),
        polymarket_rest: format!("http{s}://127.0.0.1:{}", ports[2]),
        polymarket_ws: format!("ws{s}://127.0.0.1:{}{}", ports[3], WS_PATHS[1]),
        polymarket_user_ws: format!("ws{s}://127.0.0.1:{}{}", ports[3], clob::USER_PATH),
        ca_pem: identity.as_ref().map(|identity| identity.ca_pem.clone()),
    };
    let now = now();
    let world = World::new(seed, speed, now);
    let kalshi = with_keys(kalshi, kalshi_keys);
    let hall = Arc::new(Mutex::new(Hall::new(world, kalshi, speed, chaos.then_some(seed), now)));
    lock(&hall).ask_polymarket(now, |desk, _, _| {
        desk.faults.by_chance(seed, polymarket_order_chaos);
        for wallet in &polymarket_wallets {
            desk.open(wallet);
        }
    });
    let (stop, stopped) = oneshot::channel();
    let shared = Arc::clone(&hall);
    let acceptor = identity.map(|identity| identity.acceptor);
    let thread = std::thread::Builder::new()
        .name(String::from("sim"))
        .spawn(move || run(speed, listeners, acceptor.as_ref(), &shared, stopped))
        .context("the simulated venues need a thread")?;
    Ok(Running { endpoints, hall, stop: Some(stop), thread: Some(thread) })
}

/// The settings with these keys in the first account, which is opened if there is none.
fn with_keys(mut settings: Settings, keys: Vec<(String, Vec<u8>)>) -> Settings {
    let keys = keys.into_iter().map(|(id, public)| NewKey::full(&id, public));
    match settings.accounts.first_mut() {
        Some(account) => account.keys.extend(keys),
        None => settings.accounts.push(NewAccount::funded(DEMO_USER, keys.collect(), DEMO_CASH)),
    }
    settings
}

fn run(
    speed: u32,
    listeners: Vec<TcpListener>,
    acceptor: Option<&TlsAcceptor>,
    hall: &Arc<Mutex<Hall>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the simulated venues have no runtime");
            return;
        }
    };
    runtime.block_on(async {
        for (at, listener) in listeners.into_iter().enumerate() {
            let incoming = match socket::accept(listener, acceptor.cloned()) {
                Ok(incoming) => incoming,
                Err(error) => {
                    tracing::error!(%error, "a simulated venue has no listener");
                    return;
                }
            };
            let hall = Arc::clone(hall);
            match at {
                0 => drop(tokio::spawn(rest::serve(incoming, Venue::Kalshi, hall))),
                1 => drop(tokio::spawn(socket::serve(incoming, Venue::Kalshi, hall))),
                2 => drop(tokio::spawn(rest::serve(incoming, Venue::Polymarket, hall))),
                _ => drop(tokio::spawn(socket::serve(incoming, Venue::Polymarket, hall))),
            }
        }
        tokio::select! {
            () = pace(hall, speed) => {}
            _ = stopped => {}
        }
    });
    // Connections still open are dropped with the runtime, without a farewell, like a venue that fell over.
}

/// Steps the world with the wall clock.
async fn pace(hall: &Arc<Mutex<Hall>>, speed: u32) {
    let mut ticks = tokio::time::interval(Duration::from_millis(STEP_MS));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let dt_ms = (STEP_MS * u64::from(speed.max(1))) as f64;
    let start = instant();
    let mut done = 0_u64;
    loop {
        ticks.tick().await;
        let due = instant().duration_since(start).as_millis() as u64 / STEP_MS;
        done = done.max(due.saturating_sub(STEPS_AT_ONCE));
        let mut hall = lock(hall);
        while done < due {
            done += 1;
            hall.step(dt_ms, now());
        }
        hall.flush_held(now());
    }
}

impl Running {
    /// The questions both venues ask, odd ones included.
    pub fn pairs(&self) -> Vec<SimPair> {
        let hall = lock(&self.hall);
        let catalog = hall.world().catalog();
        catalog
            .topics
            .iter()
            .filter_map(|topic| {
                Some(SimPair {
                    title: topic.title.clone(),
                    ticker: catalog.kalshi[topic.kalshi?].ticker.clone(),
                    condition_id: catalog.polymarket[topic.polymarket?].condition_id.clone(),
                    inverted: topic.inverted,
                })
            })
            .collect()
    }

    /// How many markets Kalshi lists, and Polymarket.
    pub fn markets(&self) -> (usize, usize) {
        let hall = lock(&self.hall);
        (hall.world().catalog().kalshi.len(), hall.world().catalog().polymarket.len())
    }

    /// The most a market (a ticker or a condition id) held at `price` on `side` of its YES leg in any state in force
    /// during the millisecond `at`; `None` if the market is unknown or that is too long ago.
    pub fn held(&self, venue: Venue, market: &str, side: BookSide, price: Price, at: UnixMs) -> Option<Qty> {
        let hall = lock(&self.hall);
        let index = hall.world().find(venue, market)?;
        hall.world().exchange(venue).market(index).held(side, price, at)
    }

    /// What has been paid so far.
    pub fn settlements(&self) -> Vec<SimSettlement> {
        lock(&self.hall).world().settlements().to_vec()
    }

    /// How many dislocations opened so far: worth taking after fees, and not.
    pub fn dislocations(&self) -> [u64; 2] {
        lock(&self.hall).world().opened()
    }

    /// Every fault by name, and how often it happened.
    pub fn faults(&self) -> Vec<(&'static str, u64)> {
        lock(&self.hall).counts().list()
    }

    /// Looks at, or changes, Kalshi's accounts, faults and second look while they run.
    pub fn with_kalshi<T>(&self, act: impl FnOnce(&mut Desk) -> T) -> T {
        act(lock(&self.hall).desk_mut())
    }

    /// Looks at Kalshi's accounts between two steps of the world.
    pub fn kalshi_account<T>(&self, ask: impl FnOnce(&Desk, &World) -> T) -> T {
        let hall = lock(&self.hall);
        ask(hall.desk(), hall.world())
    }

    /// What Kalshi's accounts should never have sent.
    pub fn violations(&self) -> Vec<Violation> {
        lock(&self.hall).desk().violations().to_vec()
    }

    /// Looks at Polymarket's desk, or changes it, between two steps of the world.
    pub fn with_polymarket<T>(&self, ask: impl FnOnce(&mut ClobDesk, &mut World, UnixMs) -> T) -> T {
        lock(&self.hall).ask_polymarket(now(), ask)
    }

    /// Stops both venues and waits for their thread.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself; then nobody listens, and nobody has to.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.halt();
    }
}

/// A poisoned lock means the venues' thread panicked; what it left is still the best answer.
fn lock(hall: &Mutex<Hall>) -> MutexGuard<'_, Hall> {
    hall.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "the venues' clock is the real clock, so that lag can be measured")]
fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMs::new(since.as_millis() as u64)
}

#[expect(clippy::disallowed_methods, reason = "the world is paced by a clock that never goes back")]
fn instant() -> Instant {
    Instant::now()
}
