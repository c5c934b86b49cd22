//! Cold reads over loopback: retries, limits and loops, as a venue on a bad day would have them.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic too")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use orion::venue::kalshi::catalog::{Catalog, MarketFilter};
use orion::venue::polymarket::catalog::{Catalog as PolymarketCatalog, Filter};
use orion::venue::rest::{Access, BODY_BYTES_MAX, Rest, RestError};

const STATUS: &str = r#"{"exchange_active":true,"trading_active":true}"#;

fn access(base: &str) -> Access<'_> {
    Access { base, extra_root: None, per_second: NonZeroU32::new(1_000).unwrap(), jitter_seed: 7 }
}

/// Runs a venue on loopback for as long as `story` takes.
fn with_venue<F: Future<Output = ()>>(venue: Router, story: impl FnOnce(String) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let venue = tokio::spawn(async move { axum::serve(listener, venue).await });
        story(base).await;
        venue.abort();
    });
}

#[test]
fn a_busy_venue_is_asked_again_after_the_pause_it_asks_for() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let answer = move |headers: HeaderMap| async move {
        let agent = headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("orion/"), "{agent}");
        match counter.fetch_add(1, Ordering::SeqCst) {
            0 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "{\"error\":\"too many requests\"}")
                .into_response(),
            1 => StatusCode::BAD_GATEWAY.into_response(),
            _ => STATUS.into_response(),
        }
    };
    with_venue(Router::new().route("/exchange/status", get(answer)), async |base: String| {
        let begun = tokio::time::Instant::now();
        assert!(Catalog::new(&access(&base)).unwrap().status().await.unwrap().trades(0));
        assert!(Duration::from_secs(1) <= begun.elapsed());
    });
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn a_refusal_is_not_repeated_and_a_redirect_is_not_followed() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let absent = move || async move {
        counter.fetch_add(1, Ordering::SeqCst);
        (StatusCode::NOT_FOUND, "{\"error\":{\"code\":\"not_found\"}}")
    };
    let venue = Router::new()
        .route("/markets/KXA-1", get(absent))
        .route("/series/KXA", get(|| async { Redirect::temporary("https://example.com/") }))
        .route("/exchange/status", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "3600")], "") }))
        .route("/markets/KXB-1/orderbook", get(|| async { r#"{"orderbook":{"yes":[]}}"# }));
    with_venue(venue, async |base: String| {
        let catalog = Catalog::new(&access(&base)).unwrap();
        assert!(catalog.market("KXA-1").await.unwrap_err().is_absent());
        assert!(matches!(catalog.series("KXA").await, Err(RestError::Status { status: 307, .. })));
        // An hour is not waited for within a call.
        assert!(catalog.status().await.unwrap_err().passes());
        assert!(matches!(catalog.orderbook("KXB-1").await, Err(RestError::Unreadable { .. })));
        assert!(matches!(catalog.market("../x").await, Err(RestError::Unreadable { .. })));
    });
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[derive(serde::Deserialize)]
struct Cursor {
    cursor: Option<String>,
    after_cursor: Option<String>,
}

fn market(ticker: &str) -> String {
    format!(r#"{{"ticker":"{ticker}","market_type":"binary","status":"active"}}"#)
}

#[test]
fn pages_are_read_to_the_end_and_a_loop_is_noticed() {
    let good = async |query: Query<Cursor>| -> Response {
        let (item, next) = match query.cursor.as_deref() {
            None => ("KXA-1", "a b/="),
            Some("a b/=") => ("KXA-2", ""),
            Some(other) => panic!("{other}"),
        };
        format!(r#"{{"markets":[{}],"cursor":"{next}"}}"#, market(item)).into_response()
    };
    // The venue forgot the cursor and starts again from page one (dossier 4).
    let forgetful = async |query: Query<Cursor>| {
        let next = if query.after_cursor.is_none() { "x" } else { "y" };
        format!(r#"{{"events":[],"next_cursor":"{next}"}}"#)
    };
    let venue = Router::new().route("/markets", get(good)).route("/events/keyset", get(forgetful));
    with_venue(venue, async |base: String| {
        let markets = Catalog::new(&access(&base)).unwrap().markets(&MarketFilter::default()).await.unwrap();
        let tickers: Vec<_> = markets.items.iter().map(|market| market.ticker.as_str()).collect();
        assert_eq!(tickers, ["KXA-1", "KXA-2"]);
        let access = access(&base);
        let polymarket = PolymarketCatalog::new(&access, &access, &access).unwrap();
        let error = polymarket.events_keyset(&Filter::default()).await.unwrap_err();
        assert!(matches!(&error, RestError::Loop { cursor, .. } if cursor == "y"), "{error}");
    });
}

#[test]
fn a_body_without_end_is_cut_off() {
    let venue = Router::new().route("/exchange/status", get(|| async { vec![b' '; BODY_BYTES_MAX + 1] }));
    with_venue(venue, async |base: String| {
        let error = Catalog::new(&access(&base)).unwrap().status().await.unwrap_err();
        assert!(matches!(error, RestError::TooLarge { .. }), "{error}");
    });
}

#[test]
fn only_https_or_loopback_is_an_address() {
    for bad in
        ["http://example.com", "http://10.0.0.1", "ftp://127.0.0.1", "127.0.0.1", "", "http://127.0.0.1.example.com"]
    {
        assert!(matches!(Rest::new(&access(bad)), Err(RestError::Address(_))), "{bad}");
    }
    for good in ["https://example.com/x", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
        assert!(Rest::new(&access(good)).is_ok(), "{good}");
    }
    let root = Access {
        extra_root: Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ..access("https://x.test")
    };
    assert!(matches!(Rest::new(&root), Err(RestError::Root)));
}
