//! REST over HTTP/1.1: Kalshi's answers come from its desk, Polymarket's from `polymarket_rest`; the rest is plumbing.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;

use crate::sim::clob::ClobDesk;
use crate::sim::handshake::Headers;
use crate::sim::kalshi::answer::Request;
use crate::sim::kalshi_rest::Reply;
use crate::sim::polymarket_rest;
use crate::sim::serve::hall::Hall;
use crate::sim::serve::socket::{Cut, Incoming, Wire};
use crate::sim::serve::{clob, lock, now};
use crate::unit::Venue;

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
    let service = router.with_state(hall).into_make_service_with_connect_info::<Cut>();
    if let Err(error) = axum::serve(incoming, service).await {
        tracing::error!(%error, %venue, "a simulated venue stopped answering");
    }
}

type Pairs = Query<Vec<(String, String)>>;

impl Connected<IncomingStream<'_, Incoming>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Incoming>) -> Self {
        stream.io().cut()
    }
}

async fn kalshi(
    State(hall): State<Arc<Mutex<Hall>>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Query(query): Pairs,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request = Request {
        method: method.as_str(),
        path: uri.path(),
        query: &query,
        headers: Headers {
            key: header("KALSHI-ACCESS-KEY"),
            timestamp: header("KALSHI-ACCESS-TIMESTAMP"),
            signature: header("KALSHI-ACCESS-SIGNATURE"),
        },
        body: &body,
    };
    let answered = {
        let mut hall = lock(&hall);
        if hall.is_down(Venue::Kalshi, now()) {
            return answer(Reply { status: 502, body: String::new() });
        }
        hall.ask_kalshi(&request, now())
    };
    if 0 < answered.delay_ms {
        tokio::time::sleep(Duration::from_millis(answered.delay_ms)).await;
    }
    if let Some(bytes) = answered.cut {
        cut.after(bytes);
    }
    let mut response = answer(answered.reply);
    if answered.html {
        let html = HeaderValue::from_static("text/html; charset=UTF-8");
        response.headers_mut().insert(header::CONTENT_TYPE, html);
    }
    response
}

async fn polymarket(
    State(hall): State<Arc<Mutex<Hall>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Query(query): Pairs,
    body: String,
) -> Response {
    if lock(&hall).is_down(Venue::Polymarket, now()) {
        return answer(Reply { status: 502, body: String::new() });
    }
    if ClobDesk::takes(method.as_str(), uri.path()) {
        return clob::answer(&hall, &method, uri.path(), query, &headers, body).await;
    }
    let hall = lock(&hall);
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
