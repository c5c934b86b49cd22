//! Server-sent events: one task makes each event once, whoever listens; every listener gets the newest and nothing that
//! it was too slow for.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::StatusCode,
    response::{
        IntoResponse as _,
        sse::{self, Sse},
    },
};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

use super::{
    App,
    route::{Answered, Problem},
    view,
};
use crate::{
    run::{clock, snapshot::Snapshot},
    unit::Nanos,
    watch::handles::Handles,
};

/// Listeners at a time.
const LISTENERS_MAX: usize = 32;
/// Four times a second at most.
const EVERY: Duration = Duration::from_millis(250);
/// Ticks after which something is told although nothing changed: silence means a lost stream.
const AT_LEAST: u32 = 4;

/// A text that all listeners share.
type Shared = Arc<str>;

/// What is told, to whoever listens.
pub struct Events {
    status: watch::Sender<Shared>,
    opportunities: watch::Sender<Shared>,
    once: broadcast::Sender<(&'static str, Shared)>,
    places: Arc<Semaphore>,
}

impl Default for Events {
    fn default() -> Self {
        let empty = || watch::channel::<Shared>("".into()).0;
        Self {
            status: empty(),
            opportunities: empty(),
            once: broadcast::channel(64).0,
            places: Arc::new(Semaphore::new(LISTENERS_MAX)),
        }
    }
}

impl Events {
    /// Tells everybody how things stand.
    pub fn tell_status(&self, handles: &Handles, status: &Snapshot) {
        let text = serde_json::to_string(&view::whole_status(handles, status)).unwrap_or_default();
        self.status.send_replace(text.into());
    }

    /// Tells everybody something that happened once.
    pub fn tell(&self, name: &'static str, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            let _ = self.once.send((name, text.into()));
        }
    }
}

/// Makes the events until it is stopped.
pub async fn tell(app: Arc<App>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let (mut told, mut quiet, mut line, mut noted) = (None, 0, 0, clock::now());
    loop {
        ticks.tick().await;
        let now = clock::now();
        if Nanos::secs(60) <= now.since(noted) {
            noted = now;
            app.handles.with_latencies(|all| app.strip.note(all, clock::unix().raw()));
        }
        if app.events.status.receiver_count() == 0 {
            told = None;
            line = app.logs.since(u64::MAX).1;
            continue;
        }
        let status = app.handles.status();
        let changed = told.as_ref() != Some(&status);
        quiet += 1;
        if changed || AT_LEAST <= quiet {
            quiet = 0;
            app.events.tell_status(&app.handles, &status);
        }
        if changed {
            told = Some(status);
            let reader = app.clone();
            let newest = tokio::task::spawn_blocking(move || view::newest(&reader, 50, u64::MAX)).await;
            if let Ok(Ok(rows)) = newest {
                let text: Shared = serde_json::json!({ "opportunities": rows }).to_string().into();
                app.events.opportunities.send_if_modified(|last| {
                    let new = *last != text;
                    if new {
                        *last = text;
                    }
                    new
                });
            }
        }
        let (lines, newest) = app.logs.since(line);
        line = newest;
        if !lines.is_empty() {
            app.events.tell("log", &serde_json::json!({ "lines": lines }));
        }
    }
}

struct Listener {
    status: watch::Receiver<Shared>,
    opportunities: watch::Receiver<Shared>,
    once: broadcast::Receiver<(&'static str, Shared)>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event for this listener; `None` when the server ends.
    async fn next(mut self) -> Option<(Result<sse::Event, Infallible>, Self)> {
        let (name, text) = loop {
            tokio::select! {
                // What a command changed is told before its end is.
                biased;
                changed = self.status.changed() => {
                    changed.ok()?;
                    break ("status", self.status.borrow_and_update().clone());
                }
                once = self.once.recv() => match once {
                    Ok(once) => break once,
                    // Too slow for some: the page asks for a command's state by itself.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                changed = self.opportunities.changed() => {
                    changed.ok()?;
                    let text = self.opportunities.borrow_and_update().clone();
                    if !text.is_empty() {
                        break ("opportunities", text);
                    }
                }
            }
        };
        Some((Ok(sse::Event::default().event(name).data(text)), self))
    }
}

/// `GET /api/v1/events`.
pub fn stream(app: &App) -> Answered {
    let Ok(place) = app.events.places.clone().try_acquire_owned() else {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many pages listen already"));
    };
    let mut listener = Listener {
        status: app.events.status.subscribe(),
        opportunities: app.events.opportunities.subscribe(),
        once: app.events.once.subscribe(),
        _place: place,
    };
    // What stands already is told at once.
    listener.opportunities.mark_changed();
    Ok(Sse::new(stream::unfold(listener, Listener::next)).into_response())
}
