//! The page and the HTTP interface: `docs/http.md`. On loopback alone, on a thread and a runtime of its own; it reads
//! snapshots and the database, and sends commands. Nothing hot knows of it.
//!
//! Everything is bounded: connections, waiting requests, streams, bodies, the time for a request's head and the time
//! that a reader may stand still.

pub mod asset;
pub mod event;
pub mod figure;
pub mod gate;
mod idle;
pub mod order;
pub mod route;
pub mod setting;
mod strip;
pub mod view;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use hyper_util::{rt::TokioIo, rt::TokioTimer, service::TowerToHyperService};
use tokio::sync::Semaphore;

use super::{handles::Handles, log::Logs, settings::Settings};
use crate::{
    ledger::audit::AuditReader,
    run::{clock, ring::Stop},
    unit::Nanos,
};
use gate::{Gate, Refusal};
use route::Problem;

/// Connections at a time; one more is closed at once.
const CONNECTIONS_MAX: usize = 256;
/// A request's head comes within this.
const HEAD_WAIT: Duration = Duration::from_secs(5);
/// Nothing moves on a connection for so long: it is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Threads that read the database.
const READERS_MAX: usize = 4;
/// Between two rows about refused attempts in the audit trail.
const TOLD_EVERY: Nanos = Nanos::secs(60);

/// What a page is served with.
pub struct Setup {
    /// Bound already: whoever starts it knows that the port is free.
    pub listener: TcpListener,
    pub logs: Logs,
    /// To be shown and saved.
    pub settings: Arc<Settings>,
    /// The pair book.
    pub pairs_file: PathBuf,
}

/// What routes are answered from.
pub struct App {
    pub handles: Handles,
    pub gate: Gate,
    pub logs: Logs,
    pub settings: Arc<Settings>,
    pub strip: strip::Strip,
    pub orders: Arc<order::Orders>,
    pub events: Arc<event::Events>,
    pub pairs_file: PathBuf,
    told: Mutex<Nanos>,
}

impl App {
    /// The database of the process's mode.
    pub fn reader(&self) -> Result<AuditReader, Problem> {
        AuditReader::open(&self.handles.state().join("orion.db"))
            .map_err(|error| Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
    }

    /// Somebody was refused. Guessing is written down, once a minute at most.
    fn refused(&self, refusal: Refusal) {
        if !matches!(refusal, Refusal::TooOften | Refusal::Host | Refusal::Origin) {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == Nanos::ZERO || TOLD_EVERY <= clock::now().since(*told) {
            *told = clock::now();
            tracing::warn!("the page refused a request: {}", refusal.sentence());
            self.handles.note("page", "refused", String::new(), refusal.sentence().into());
        }
    }
}

/// A listener on loopback. Port 0 of the caller's own accord is a free one.
pub fn bind(port: u16) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until stopped.
pub fn start(setup: Setup, handles: Handles, stop: Stop) -> anyhow::Result<JoinHandle<()>> {
    let address = setup.listener.local_addr()?;
    handles.serve_at(format!("http://{address}"));
    let app = Arc::new(App {
        gate: Gate::new(address.port()),
        settings: setup.settings,
        strip: strip::Strip::default(),
        orders: Arc::default(),
        events: Arc::default(),
        logs: setup.logs,
        pairs_file: setup.pairs_file,
        handles,
        told: Mutex::new(Nanos::ZERO),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(READERS_MAX)
        .thread_name("page-read")
        .build()?;
    let listener = setup.listener;
    let thread = std::thread::Builder::new().name("page".into()).spawn(move || {
        runtime.block_on(async {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => serve(listener, app, stop).await,
                Err(error) => tracing::error!("the page cannot be served: {error}"),
            }
        });
        runtime.shutdown_timeout(Duration::from_millis(200));
    })?;
    Ok(thread)
}

async fn serve(listener: tokio::net::TcpListener, app: Arc<App>, stop: Stop) {
    let router = route::router(&app);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let telling = tokio::spawn(event::tell(app.clone()));
    let mut ended = tokio::time::interval(Duration::from_millis(50));
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ended.tick() => {
                if stop.raised() {
                    break;
                }
                continue;
            }
        };
        let Ok((stream, _)) = stream else {
            // Out of file handles, say: it passes, and a loop without a pause would burn a core.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = room.clone().try_acquire_owned() else { continue };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let _place = place;
            let _ = stream.set_nodelay(true);
            let io = TokioIo::new(idle::Watched::new(stream, IDLE_MAX));
            // A client that breaks off harms only itself.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WAIT)
                .max_buf_size(32 * 1_024)
                .serve_connection(io, service)
                .await;
        });
    }
    telling.abort();
}
