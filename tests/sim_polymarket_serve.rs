//! The simulated Polymarket's order desk over loopback: a customer signs in, trades, listens, and loses an answer.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::time::{Duration, SystemTime};

use alloy_primitives::Address;
use futures_util::{SinkExt as _, StreamExt as _};
use orion::sim::clob::account::{Kind, NewWallet};
use orion::sim::clob::fault::{Class, Loss, OrderFault};
use orion::sim::listing::PolymarketMarket;
use orion::sim::serve::{Options, Running, start};
use orion::unit::{BookSide, Grid, Money, Price, Qty, UnixMs, Venue};
use orion::venue::polymarket::amount::{Amounts, Side, Terms, Tick};
use orion::venue::polymarket::catalog::Version;
use orion::venue::polymarket::contract::Chain;
use orion::venue::polymarket::order::{Exchange, Order, OrderSigner, OrderType, Salt};
use orion::venue::polymarket::position::TokenId;
use orion::venue::polymarket::sign::{ApiSigner, WalletSigner};
use orion::venue::polymarket::wallet::{Wallet, deposit_address};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

const SECRET: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

#[expect(clippy::disallowed_methods, reason = "requests are signed for the real clock")]
fn now() -> UnixMs {
    UnixMs::new(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64)
}

fn key() -> WalletSigner {
    WalletSigner::from_hex(SECRET).unwrap()
}

fn funder() -> String {
    deposit_address(&key().address()).unwrap()
}

fn venue() -> Running {
    let new = NewWallet {
        kind: Kind::Deposit,
        funder: funder().parse::<Address>().unwrap(),
        owner: key().address().parse().unwrap(),
        cash: Money::dollars(10_000),
    };
    start(Options { polymarket_wallets: vec![new], ..Options::default() }).unwrap()
}

struct Customer {
    base: String,
    http: Client,
    api: ApiSigner,
    signer: OrderSigner,
    credentials: Value,
}

impl Customer {
    async fn sign_in(running: &Running) -> Self {
        let base = running.endpoints.polymarket_rest.clone();
        let http = Client::new();
        let headers = key().sign_in(now(), 0, 137);
        let mut request = http.post(format!("{base}/auth/api-key"));
        for (name, value) in headers.pairs() {
            request = request.header(name, value);
        }
        let credentials: Value = request.send().await.unwrap().json().await.unwrap();
        let text = |name: &str| credentials[name].as_str().unwrap();
        let api = ApiSigner::new(&key().address(), text("apiKey"), text("secret"), text("passphrase")).unwrap();
        let wallet = Wallet::of(&key().address(), &funder()).unwrap();
        let signer = OrderSigner::new(key(), wallet, Chain::Polygon, text("apiKey")).unwrap();
        Self { base, http, api, signer, credentials }
    }

    async fn call(&self, method: Method, path: &str, body: String) -> Result<(u16, String), reqwest::Error> {
        let headers = self.api.sign(now(), method.as_str(), path, &body);
        let mut request = self.http.request(method, format!("{}{path}", self.base)).body(body);
        for (name, value) in headers.pairs() {
            request = request.header(name, value);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> Value {
        serde_json::from_str(&self.call(method, path, body).await.unwrap().1).unwrap()
    }

    /// The body of a buy of ten YES.
    fn buy(&self, (market, neg_risk): &(PolymarketMarket, bool), price: Price, salt: u64) -> String {
        let terms = Terms { tick: Tick::of(&Grid::even(market.tick).unwrap()).unwrap(), qty_min: Qty::whole(5) };
        let version = if market.protocol_v2 { Version::V2 } else { Version::V1 };
        let order = Order {
            exchange: Exchange::of(version, *neg_risk),
            token: TokenId::parse(&market.tokens[0]).unwrap(),
            amounts: Amounts::limit(Side::Buy, price, Qty::whole(10), &terms).unwrap(),
            salt: Salt::new(salt).unwrap(),
            created: now(),
            metadata: [0; 32],
            builder: [0; 32],
        };
        let mut body = Vec::new();
        let signed = self.signer.sign(&order);
        self.signer.body(&signed).write(OrderType::Gtc { post_only: false }, &mut body).unwrap();
        String::from_utf8(body).unwrap()
    }
}

/// A market that holds takers, or one that does not, and its best offer.
fn market(running: &Running, holds: bool) -> ((PolymarketMarket, bool), Price) {
    running.with_polymarket(|_, world, _| {
        let catalog = world.catalog();
        let found = (0..catalog.polymarket.len()).find(|&at| {
            let market = &catalog.polymarket[at];
            market.taker_hold_ms().is_some() == holds && market.tick == 100
        });
        let at = found.unwrap();
        let market = catalog.polymarket[at].clone();
        let neg_risk = catalog.polymarket_events[market.event].neg_risk;
        let ask = world.exchange(Venue::Polymarket).market(at).best(BookSide::Ask).unwrap();
        ((market, neg_risk), ask)
    })
}

fn with_runtime(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story);
}

#[test]
fn an_order_is_placed_heard_of_read_back_and_cancelled() {
    let running = venue();
    with_runtime(async {
        let customer = Customer::sign_in(&running).await;
        let url = running.endpoints.polymarket_user_ws.as_str();
        let stream = TcpStream::connect(url.split('/').nth(2).unwrap()).await.unwrap();
        let (mut socket, _) = client_async(url, stream).await.unwrap();
        let hello = json!({"auth": customer.credentials, "type": "user"}).to_string();
        socket.send(Message::text(hello)).await.unwrap();
        socket.send(Message::text("PING")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("PONG"), "signed in, and nothing said so");
        let (listed, _) = market(&running, false);
        let order = customer.buy(&listed, Price::new(100).unwrap(), 1);
        let placed = customer.ask(Method::POST, "/order", order.clone()).await;
        assert_eq!(placed["status"], "live");
        let id = placed["orderID"].as_str().unwrap();
        let next = tokio::time::timeout(Duration::from_secs(5), socket.next()).await.unwrap().unwrap().unwrap();
        let event: Value = serde_json::from_str(next.to_text().unwrap()).unwrap();
        assert_eq!((event["type"].as_str(), event["id"].as_str()), (Some("PLACEMENT"), Some(id)));
        let read = customer.ask(Method::GET, &format!("/data/order/{id}"), String::new()).await;
        assert_eq!(read["status"], "ORDER_STATUS_LIVE");
        let gone = customer.ask(Method::DELETE, "/order", json!({"orderID": id}).to_string()).await;
        assert_eq!(gone["canceled"], json!([id]));
        let (status, text) = customer.call(Method::POST, "/order", order).await.unwrap();
        assert_eq!(status, 400);
        assert!(text.contains("is invalid. Duplicated."));
    });
    running.stop();
}

#[test]
fn a_held_order_blocks_its_call_and_an_answer_may_be_cut_off() {
    let running = venue();
    with_runtime(async {
        let customer = Customer::sign_in(&running).await;
        let (listed, ask) = market(&running, true);
        let hold_ms = listed.0.taker_hold_ms().unwrap();
        let began = now();
        let dear = Price::new((ask.raw() + 500).min(9_900) / 100 * 100).unwrap();
        let placed = customer.ask(Method::POST, "/order", customer.buy(&listed, dear, 2)).await;
        assert_eq!(placed["status"], "matched", "{placed}");
        assert!(hold_ms <= now().since(began), "it took as long as the hold");
        let (listed, _) = market(&running, false);
        for (salt, bytes) in [(3, 0), (4, 20)] {
            running.with_polymarket(|desk, _, _| {
                desk.faults.next(Class::Place, OrderFault::AnswerLost(Loss::Cut(bytes)));
            });
            let order = customer.buy(&listed, Price::new(100).unwrap(), salt);
            assert!(customer.call(Method::POST, "/order", order).await.is_err(), "cut after {bytes} bytes");
        }
        let open = customer.ask(Method::GET, "/data/orders", String::new()).await;
        assert_eq!(open["count"], 2, "both arrived");
        let seen = running.with_polymarket(|desk, _, _| desk.audit().seen().len());
        assert_eq!(seen, 3);
    });
    running.stop();
}
