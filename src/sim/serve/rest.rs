//! REST over HTTP/1.1: the bodies come from `kalshi_rest` and `polymarket_rest`, the rest is plumbing.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::sim::kalshi_rest::{self, Reply};
use crate::sim::polymarket_rest;
use crate::sim::serve::hall::Hall;
use crate::sim::serve::socket::{Incoming, Wire};
use crate::sim::serve::{lock, now};
use crate::unit::Venue;

const KALSHI_PREFIX: &str = "/trade-api/v2";

impl axum::serve::Listener for Incoming {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        self.next().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address())
    }
}

/// Answers until the runtime ends.
pub async fn serve(incoming: Incoming, venue: Venue, hall: Arc<Mutex<Hall>>) {
    let router = match venue {
        Venue::Kalshi => Router::new().fallback(kalshi),
        Venue::Polymarket => Router::new().fallback(polymarket),
    };
    if let Err(error) = axum::serve(incoming, router.with_state(hall)).await {
        tracing::error!(%error, %venue, "a simulated venue stopped answering");
    }
}

type Pairs = Query<Vec<(String, String)>>;

async fn kalshi(State(hall): State<Arc<Mutex<Hall>>>, method: Method, uri: Uri, Query(query): Pairs) -> Response {
    let Some(path) = uri.path().strip_prefix(KALSHI_PREFIX) else {
        return answer(Reply { status: 404, body: String::from("404 page not found\n") });
    };
    if method != Method::GET {
        return answer(kalshi_rest::nested(405, "method_not_allowed", None));
    }
    let mut hall = lock(&hall);
    if hall.is_down(Venue::Kalshi, now()) {
        return answer(Reply { status: 502, body: String::new() });
    }
    answer(kalshi_rest::answer(hall.world(), path, &query))
}

async fn polymarket(
    State(hall): State<Arc<Mutex<Hall>>>,
    method: Method,
    uri: Uri,
    Query(query): Pairs,
    body: String,
) -> Response {
    let mut hall = lock(&hall);
    if hall.is_down(Venue::Polymarket, now()) {
        return answer(Reply { status: 502, body: String::new() });
    }
    if method == Method::POST && uri.path() == "/books" {
        return answer(polymarket_rest::answer_books(hall.world(), &body));
    }
    if method != Method::GET {
        return answer(Reply { status: 405, body: String::from(r#"{"error":"Method Not Allowed"}"#) });
    }
    answer(polymarket_rest::answer(hall.world(), uri.path(), &query, now()))
}

fn answer(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], reply.body).into_response()
}
