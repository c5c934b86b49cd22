//! Cold reads over loopback: retries, limits and loops, as a venue on a bad day would have them.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic too")]

mod common;

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use common::tls::{Authority, HERE, THESE_YEARS};
use orion::sim::handshake::{Headers, Skew, check};
use orion::unit::UnixMs;
use orion::venue::kalshi::account;
use orion::venue::kalshi::catalog::{Catalog, MarketFilter};
use orion::venue::kalshi::sign::{KalshiSigner, KeyKind};
use orion::venue::polymarket::catalog::{Catalog as PolymarketCatalog, Filter};
use orion::venue::rest::{Access, BODY_BYTES_MAX, PATIENCE, Rest, RestError};

const STATUS: &str = r#"{"exchange_active":true,"trading_active":true}"#;

fn access(base: &str) -> Access<'_> {
    Access { base, extra_root: None, per_second: NonZeroU32::new(1_000).unwrap(), jitter_seed: 7, patience: PATIENCE }
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

/// Fault 88, redirects.
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

/// Fault 88.
#[test]
fn a_body_without_end_is_cut_off() {
    let endless = || async {
        let chunk = axum::body::Bytes::from(vec![b' '; 64 << 10]);
        Body::from_stream(futures_util::stream::repeat_with(move || Ok::<_, Infallible>(chunk.clone())))
    };
    let venue = Router::new()
        .route("/exchange/status", get(|| async { vec![b' '; BODY_BYTES_MAX + 1] }))
        .route("/series/KXA", get(endless));
    with_venue(venue, async |base: String| {
        let catalog = Catalog::new(&access(&base)).unwrap();
        for error in [catalog.status().await.unwrap_err(), catalog.series("KXA").await.unwrap_err()] {
            assert!(matches!(error, RestError::TooLarge { .. }) && error.to_string().contains("bytes"), "{error}");
        }
    });
}

/// Fault 88.
#[test]
fn a_head_beyond_its_limit_is_refused_by_name() {
    let headers = |bytes: usize| async move {
        let mut answer = STATUS.into_response();
        for at in 0..bytes / 1_000 {
            let name = format!("x-ballast-{at:03}").parse::<HeaderName>().unwrap();
            answer.headers_mut().insert(name, "b".repeat(1_000).parse().unwrap());
        }
        answer
    };
    let venue = Router::new()
        .route("/exchange/status", get(move || headers(60_000)))
        .route("/series/KXA", get(move || headers(66_000)));
    with_venue(venue, async |base: String| {
        let catalog = Catalog::new(&access(&base)).unwrap();
        assert!(catalog.status().await.is_ok());
        let error = catalog.series("KXA").await.unwrap_err();
        assert!(matches!(error, RestError::HeadTooLarge { .. }) && error.to_string().contains("headers"), "{error}");
    });
}

/// A venue that answers each connection with the next of these: bytes, and again and again the same bytes until nobody
/// reads them any more. Tells how often it was asked and how many bytes it got rid of.
fn with_bytes<F: Future<Output = ()>>(answers: Vec<(Vec<u8>, Vec<u8>)>, story: impl FnOnce(String) -> F) -> Vec<usize> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let venue = tokio::spawn(async move {
            let mut rid = Vec::new();
            for (once, forever) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4_096]).await.unwrap();
                let mut count = once.len();
                let mut gone = stream.write_all(&once).await.is_err();
                while !gone && !forever.is_empty() {
                    gone = stream.write_all(&forever).await.is_err();
                    count += forever.len();
                }
                rid.push(count);
            }
            rid
        });
        story(base).await;
        venue.await.unwrap()
    })
}

/// Fault 88: the head never ends; the next answer is a sound one.
#[test]
fn a_head_without_end_is_cut_off() {
    let sound = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{STATUS}", STATUS.len());
    let endless = (b"HTTP/1.1 200 OK\r\nx-ballast: ".to_vec(), vec![b'b'; 16 << 10]);
    let rid = with_bytes(vec![endless, (sound.into_bytes(), Vec::new())], async |base: String| {
        assert!(Catalog::new(&access(&base)).unwrap().status().await.unwrap().trades(0));
    });
    // What is beyond hyper's limit lies in the buffers of the two sockets.
    assert!(rid[0] < 32 << 20, "{rid:?}");
}

/// Fault 23, 63: a read has no outcome to be in doubt about, so it is asked again.
#[test]
fn an_answer_that_breaks_off_is_asked_for_again() {
    let sound = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{STATUS}", STATUS.len()).into_bytes();
    let half = (sound[..sound.len() - 9].to_vec(), Vec::new());
    let rid = with_bytes(vec![half, (Vec::new(), Vec::new()), (sound, Vec::new())], async |base: String| {
        assert!(Catalog::new(&access(&base)).unwrap().status().await.unwrap().trades(0));
    });
    assert_eq!(rid.len(), 3, "half an answer, none, a whole one");
}

/// Each try is signed by itself: a signature ages out within seconds.
#[test]
fn kalshi_is_asked_what_a_key_may_do_with_a_signature_of_its_own_for_each_try() {
    let (signer, public) = KalshiSigner::generate_demo(KeyKind::Ed25519, "our-key").unwrap();
    let known = Arc::new(public);
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let answer = move |headers: HeaderMap| async move {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let shown = Headers {
            key: header("KALSHI-ACCESS-KEY"),
            timestamp: header("KALSHI-ACCESS-TIMESTAMP"),
            signature: header("KALSHI-ACCESS-SIGNATURE"),
        };
        let now = UnixMs::new(1_000 + u64::from(counter.fetch_add(1, Ordering::SeqCst)));
        assert_eq!(shown.timestamp, Some(&*now.raw().to_string()));
        check(&shown, "GET", "/trade-api/v2/api_keys", Some(&known), Skew::default(), now).unwrap();
        if now == UnixMs::new(1_000) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        r#"{"api_keys":[{"api_key_id":"our-key","name":"orion","scopes":["read","write::trade"],"subaccount":2}]}"#
            .into_response()
    };
    let clock = AtomicU32::new(1_000);
    with_venue(Router::new().route("/trade-api/v2/api_keys", get(answer)), async |base: String| {
        let base = format!("{base}/trade-api/v2");
        let now = || UnixMs::new(u64::from(clock.fetch_add(1, Ordering::SeqCst)));
        let keys = account::keys(&access(&base), &signer, now).await.unwrap().keys;
        assert!(keys[0].id == "our-key" && keys[0].grants("write::trade") && !keys[0].grants("write::transfer"));
    });
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

/// Fault 63: over HTTP/2 one GOAWAY would break off every request at once. It is not spoken, whatever is on offer.
#[test]
fn a_venue_that_offers_http_2_is_asked_over_http_1() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let authority = Authority::new("ours");
    let mut config = (*authority.server(&[HERE], THESE_YEARS)).clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((HERE, 0)).await.unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let venue = tokio::spawn(async move {
            let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            assert_ne!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let mut asked = [0; 4_096];
            let len = stream.read(&mut asked).await.unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{STATUS}", STATUS.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            asked[..len].starts_with(b"GET /exchange/status HTTP/1.1\r\n")
        });
        let access = Access { extra_root: Some(authority.pem.as_bytes()), ..access(&base) };
        assert!(Catalog::new(&access).unwrap().status().await.unwrap().trades(0));
        assert!(venue.await.unwrap());
    });
}

/// Fault 88: a kilobyte that unpacks to a gigabyte is not unpacked.
#[test]
fn an_answer_that_comes_packed_although_nobody_asked_is_refused() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let bomb = move |headers: HeaderMap| async move {
        counter.fetch_add(1, Ordering::SeqCst);
        assert!(!headers.contains_key("accept-encoding"), "nothing is offered");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packer, &vec![b' '; 2 * BODY_BYTES_MAX]).unwrap();
        ([("content-encoding", "gzip")], packer.finish().unwrap())
    };
    with_venue(Router::new().route("/exchange/status", get(bomb)), async |base: String| {
        let error = Catalog::new(&access(&base)).unwrap().status().await.unwrap_err();
        assert!(matches!(&error, RestError::Packed { encoding, .. } if encoding == "gzip"), "{error}");
    });
    assert_eq!(asked.load(Ordering::SeqCst), 1, "it would come again");
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
