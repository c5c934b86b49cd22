//! Both simulated venues over loopback with TLS: a REST page, a signed stream, and a key that is not known.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use orion::sim::serve::{Options, Running, start};
use orion::unit::{BookSide, Price, UnixMs, Venue};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

type Socket = WebSocketStream<TlsStream<TcpStream>>;

#[expect(clippy::disallowed_methods, reason = "a handshake is signed for the real clock")]
fn now_ms() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()
}

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn spki(pair: &Ed25519KeyPair) -> Vec<u8> {
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    [&prefix[..], pair.public_key().as_ref()].concat()
}

fn venues(chaos: bool) -> Running {
    let kalshi_keys = vec![(String::from("key-1"), spki(&key(1)))];
    start(Options { tls: true, chaos, kalshi_keys, ..Options::default() }).unwrap()
}

async fn connect(running: &Running, url: &str, signer: Option<&Ed25519KeyPair>) -> Result<Socket, Error> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(running.endpoints.ca_pem.as_ref().unwrap().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut request = url.into_client_request().unwrap();
    let host = request.uri().authority().unwrap().as_str().to_owned();
    if let Some(pair) = signer {
        let at = now_ms().to_string();
        let signature = pair.sign(format!("{at}GET/trade-api/ws/v2").as_bytes());
        let headers = request.headers_mut();
        headers.insert("KALSHI-ACCESS-KEY", "key-1".parse().unwrap());
        headers.insert("KALSHI-ACCESS-TIMESTAMP", at.parse().unwrap());
        headers.insert("KALSHI-ACCESS-SIGNATURE", BASE64_STANDARD.encode(signature.as_ref()).parse().unwrap());
    }
    let stream = TcpStream::connect(host).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    client_async(request, stream).await.map(|(socket, _)| socket)
}

async fn next_text(socket: &mut Socket) -> String {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("a frame in ten seconds");
        if let Message::Text(text) = next.unwrap().unwrap() {
            return text.to_string();
        }
    }
}

async fn rest(running: &Running, url: &str) -> Value {
    let ca = reqwest::Certificate::from_pem(running.endpoints.ca_pem.as_ref().unwrap().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
    client.get(url).send().await.unwrap().json().await.unwrap()
}

fn with_runtime(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story);
}

#[test]
fn a_signed_client_reads_kalshis_book_and_its_changes() {
    let running = venues(false);
    with_runtime(async {
        let url = format!("{}/markets?limit=5&status=open", running.endpoints.kalshi_rest);
        let page = rest(&running, &url).await;
        assert_eq!(page["markets"].as_array().unwrap().len(), 5);
        assert_ne!(page["cursor"], "");
        let tickers: Vec<String> = running.pairs().into_iter().map(|pair| pair.ticker).collect();
        let mut socket = connect(&running, &running.endpoints.kalshi_ws, Some(&key(1))).await.unwrap();
        let certificate = socket.get_ref().get_ref().1.peer_certificates().unwrap()[0].to_vec();
        // Object 2.5.29.35: clients that check strictly refuse a certificate that does not name its authority's key.
        assert!(certificate.windows(5).any(|bytes| bytes == [0x06, 0x03, 0x55, 0x1d, 0x23]));
        let command = json!({"id": 1, "cmd": "subscribe",
            "params": {"channels": ["orderbook_delta"], "market_tickers": tickers, "use_yes_price": true}});
        socket.send(Message::text(command.to_string())).await.unwrap();
        let first: Value = serde_json::from_str(&next_text(&mut socket).await).unwrap();
        assert_eq!(first["type"], "subscribed");
        for seq in 1..=200_u64 {
            let frame: Value = serde_json::from_str(&next_text(&mut socket).await).unwrap();
            assert_eq!(frame["seq"], seq);
            let expected = if seq <= tickers.len() as u64 { "orderbook_snapshot" } else { "orderbook_delta" };
            assert_eq!(frame["type"], expected);
            if expected == "orderbook_delta" {
                let msg = &frame["msg"];
                let side = if msg["side"] == "yes" { BookSide::Bid } else { BookSide::Ask };
                let price = Price::parse(msg["price_dollars"].as_str().unwrap().as_bytes()).unwrap();
                let at = UnixMs::new(msg["ts_ms"].as_u64().unwrap());
                let ticker = msg["market_ticker"].as_str().unwrap();
                let held = running.held(Venue::Kalshi, ticker, side, price, at);
                assert!(held.is_some(), "the past of a live market is known");
            }
        }
    });
    running.stop();
}

#[test]
fn a_client_reads_polymarkets_books_without_a_signature() {
    let running = venues(false);
    with_runtime(async {
        let condition = running.pairs().swap_remove(0).condition_id;
        let terms = rest(&running, &format!("{}/clob-markets/{condition}", running.endpoints.polymarket_rest)).await;
        let tokens = [terms["t"][0]["t"].as_str().unwrap(), terms["t"][1]["t"].as_str().unwrap()];
        let mut socket = connect(&running, &running.endpoints.polymarket_ws, None).await.unwrap();
        let command = json!({"assets_ids": tokens, "type": "market", "custom_feature_enabled": true});
        socket.send(Message::text(command.to_string())).await.unwrap();
        let text = next_text(&mut socket).await;
        assert!(text.ends_with("]\n"));
        let books: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(books[0]["asset_id"], tokens[0]);
        assert_eq!(books[1]["event_type"], "book");
        socket.send(Message::text("PING")).await.unwrap();
        while next_text(&mut socket).await != "PONG" {}
        let book = rest(&running, &format!("{}/book?token_id={}", running.endpoints.polymarket_rest, tokens[0])).await;
        assert_eq!(book["min_order_size"], "5");
    });
    running.stop();
}

#[test]
fn a_handshake_signed_with_another_key_is_refused_in_the_venues_words() {
    let running = venues(false);
    with_runtime(async {
        for (signer, word) in
            [(Some(key(2)), "INCORRECT_API_KEY_SIGNATURE"), (None, "signature_is_missing_from_headers")]
        {
            let refused = connect(&running, &running.endpoints.kalshi_ws, signer.as_ref()).await;
            let Err(Error::Http(response)) = refused else { panic!("the stream must not open") };
            assert_eq!(response.status(), 401);
            let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
            assert!(body.contains(word), "{body}");
        }
    });
}

#[test]
fn chaos_breaks_streams_and_counts_what_it_broke() {
    let running = venues(true);
    with_runtime(async {
        let tickers: Vec<String> = running.pairs().into_iter().map(|pair| pair.ticker).collect();
        let command = json!({"id": 1, "cmd": "subscribe",
            "params": {"channels": ["orderbook_delta"], "market_tickers": tickers}})
        .to_string();
        let deadline = now_ms() + 20_000;
        let mut broken = 0;
        while broken == 0 && now_ms() < deadline {
            let Ok(mut socket) = connect(&running, &running.endpoints.kalshi_ws, Some(&key(1))).await else { continue };
            socket.send(Message::text(command.clone())).await.unwrap();
            while now_ms() < deadline && broken == 0 {
                match tokio::time::timeout(Duration::from_millis(500), socket.next()).await {
                    Ok(Some(Ok(_))) | Err(_) => {}
                    _ => break,
                }
                broken = running.faults().iter().map(|fault| fault.1).sum::<u64>();
            }
        }
        assert!(0 < broken, "twenty seconds of chaos and nothing broke");
    });
}
