//! Orders to the simulated Kalshi over loopback: signed requests, the private stream, and connections that are cut.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use orion::sim::kalshi::account::{NewAccount, NewKey};
use orion::sim::kalshi::bucket::Tier;
use orion::sim::kalshi::desk::Settings;
use orion::sim::kalshi::order_fault::{Kind, OrderFault, When};
use orion::sim::serve::{Options, Running, start};
use orion::unit::Money;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

const ORDERS: &str = "/portfolio/events/orders";

#[expect(clippy::disallowed_methods, reason = "requests are signed for the real clock")]
fn now_ms() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap()
}

fn venues() -> Running {
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let public = [&prefix[..], key().public_key().as_ref()].concat();
    let mut account = NewAccount::funded("user-1", vec![NewKey::full("key-1", public)], Money::dollars(1_000));
    account.tier = Tier::Prime;
    let kalshi = Settings { accounts: vec![account], read_lag_ms: 50, ..Settings::default() };
    start(Options { kalshi, speed: 1, ..Options::default() }).unwrap()
}

/// The three headers for a request to a path with its prefix.
fn signed(method: &str, path: &str) -> [(&'static str, String); 3] {
    let at = now_ms().to_string();
    let signature = key().sign(format!("{at}{method}{path}").as_bytes());
    [
        ("KALSHI-ACCESS-KEY", String::from("key-1")),
        ("KALSHI-ACCESS-TIMESTAMP", at),
        ("KALSHI-ACCESS-SIGNATURE", BASE64_STANDARD.encode(signature.as_ref())),
    ]
}

struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    fn new(running: &Running) -> Self {
        Self { base: running.endpoints.kalshi_rest.clone(), http: reqwest::Client::new() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let bare = path.split('?').next().unwrap();
        let headers = signed(method.as_str(), &format!("/trade-api/v2{bare}"));
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request
    }

    async fn get(&self, path: &str) -> Value {
        self.request(Method::GET, path).send().await.unwrap().json().await.unwrap()
    }

    async fn create(&self, order: &Value) -> reqwest::Result<(u16, Value)> {
        let response = self.request(Method::POST, ORDERS).json(order).send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }
}

fn order(ticker: &str, id: &str, side: &str, price: &str) -> Value {
    json!({"ticker": ticker, "side": side, "price": price, "count": "2.00", "client_order_id": id,
        "time_in_force": "immediate_or_cancel", "self_trade_prevention_type": "taker_at_cross"})
}

async fn stream(running: &Running) -> WebSocketStream<TcpStream> {
    let mut request = running.endpoints.kalshi_ws.clone().into_client_request().unwrap();
    for (name, value) in signed("GET", "/trade-api/ws/v2") {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let host = request.uri().authority().unwrap().as_str().to_owned();
    let stream = TcpStream::connect(host).await.unwrap();
    let mut socket = client_async(request, stream).await.unwrap().0;
    let channels = ["fill", "user_orders", "market_positions", "order_group_updates"];
    let command = json!({"id": 1, "cmd": "subscribe", "params": {"channels": channels}});
    socket.send(Message::text(command.to_string())).await.unwrap();
    socket
}

async fn next_of(socket: &mut WebSocketStream<TcpStream>, kind: &str) -> Value {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("a frame in ten seconds");
        if let Message::Text(text) = next.unwrap().unwrap() {
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["type"] == kind {
                return frame;
            }
        }
    }
}

fn with_runtime(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story);
}

/// An active market of the world with a price for sale.
async fn market(client: &Client) -> (String, String) {
    let page = client.get("/markets?limit=50&status=open").await;
    let listed = page["markets"].as_array().unwrap().iter().find(|market| market["yes_ask_dollars"] != "1.0000");
    let listed = listed.unwrap();
    let text = |name: &str| listed[name].as_str().unwrap().to_owned();
    (text("ticker"), text("yes_ask_dollars"))
}

#[test]
fn an_order_is_answered_listed_and_streamed() {
    let running = venues();
    with_runtime(async {
        let client = Client::new(&running);
        let (ticker, _) = market(&client).await;
        let mut socket = stream(&running).await;
        next_of(&mut socket, "subscribed").await;
        let (status, answer) = client.create(&order(&ticker, "wire-1", "bid", "0.9900")).await.unwrap();
        assert_eq!((status, &answer["fill_count"]), (201, &json!("2.00")), "{answer}");
        let fill = next_of(&mut socket, "fill").await;
        assert_eq!(
            (&fill["msg"]["order_id"], &fill["msg"]["client_order_id"]),
            (&answer["order_id"], &json!("wire-1"))
        );
        assert_eq!(fill["msg"]["post_position_fp"], "2.00");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let fills = client.get("/portfolio/fills").await;
        assert_eq!(fills["fills"][0]["trade_id"], fill["msg"]["trade_id"]);
        let id = answer["order_id"].as_str().unwrap();
        assert_eq!(client.get(&format!("/portfolio/orders/{id}")).await["order"]["status"], "executed");
        assert_eq!(client.get("/portfolio/positions").await["market_positions"][0]["position_fp"], "2.00");
        let balance = client.get("/portfolio/balance").await;
        assert_ne!(balance["balance_dollars"], "4000.0000");
        let unsigned = client.http.get(format!("{}/portfolio/balance", client.base)).send().await.unwrap();
        assert_eq!(unsigned.status(), 401);
        assert!(running.violations().is_empty());
    });
    running.stop();
}

#[test]
fn an_answer_that_is_cut_leaves_an_order_behind() {
    let running = venues();
    with_runtime(async {
        let client = Client::new(&running);
        let (ticker, _) = market(&client).await;
        for (at, bytes) in [0, 1, 40, 200].into_iter().enumerate() {
            let when = When::OfKind(Kind::Create, 1 + 2 * at as u64);
            running.with_kalshi(|desk| desk.faults_mut().add(when, OrderFault::AnswerCut(bytes)));
            let id = format!("cut-{bytes}");
            let body = order(&ticker, &id, "bid", "0.9900").to_string();
            let authority = client.base.split('/').nth(2).unwrap();
            let mut raw = TcpStream::connect(authority).await.unwrap();
            let mut head = format!(
                "POST /trade-api/v2{ORDERS} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n",
                body.len()
            );
            for (name, value) in signed("POST", &format!("/trade-api/v2{ORDERS}")) {
                head = format!("{head}{name}: {value}\r\n");
            }
            raw.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
            let mut read = Vec::new();
            // A reset may swallow what was sent before it, so there may be less, but never more.
            let ended = tokio::time::timeout(Duration::from_secs(10), raw.read_to_end(&mut read)).await.unwrap();
            assert!(ended.is_err() || read.len() == bytes, "a reset, not a farewell");
            assert!(read.len() <= bytes, "{} of {bytes}", read.len());
            let (status, _) = client.create(&order(&ticker, &id, "bid", "0.9900")).await.unwrap();
            assert_eq!(status, 409, "the order is there");
        }
        assert_eq!(running.violations().len(), 4, "each was sent twice, and the second look saw it");
    });
    running.stop();
}

#[test]
fn a_proxys_page_a_late_answer_and_a_dropped_stream_arrive_as_such() {
    let running = venues();
    with_runtime(async {
        let client = Client::new(&running);
        let (ticker, _) = market(&client).await;
        running.with_kalshi(|desk| {
            desk.faults_mut().add(When::OfKind(Kind::Create, 1), OrderFault::Html);
            desk.faults_mut().add(When::OfKind(Kind::Create, 2), OrderFault::AnswerLate(300));
            desk.faults_mut().add(When::OfKind(Kind::Create, 3), OrderFault::StreamsDropped);
        });
        let body = order(&ticker, "page-1", "bid", "0.9900");
        let page = client.request(Method::POST, ORDERS).json(&body).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
        let sent = now_ms();
        assert_eq!(client.create(&body).await.unwrap().0, 201);
        assert!(300 <= now_ms() - sent);
        let mut socket = stream(&running).await;
        next_of(&mut socket, "subscribed").await;
        client.create(&order(&ticker, "page-2", "bid", "0.9900")).await.unwrap();
        let ended =
            tokio::time::timeout(Duration::from_secs(10), async { while let Some(Ok(_)) = socket.next().await {} });
        ended.await.expect("the stream ends");
    });
    running.stop();
}
