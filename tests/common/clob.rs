//! A customer of the simulated Polymarket: signs with the engine's own signers where it can, and by hand what the
//! engine would never sign.

#![allow(dead_code, reason = "not every test file does everything")]

use alloy_primitives::{Address, B256, U256, hex};
use k256::ecdsa::SigningKey;
use orion::sim::clob::account::{ApiKey, Kind, NewWallet};
use orion::sim::clob::stream::{Notice, Session};
use orion::sim::clob::typed::{self, Contract};
use orion::sim::clob::{Answer, ClobDesk, Handled, Request, Rules};
use orion::sim::listing::PolymarketMarket;
use orion::sim::world::World;
use orion::unit::{BookSide, Money, Price, Qty, UnixMs, Venue};
use orion::venue::polymarket::amount::{Amounts, ShareDecimals, Side, Terms, Tick};
use orion::venue::polymarket::catalog::Version;
use orion::venue::polymarket::contract::Chain;
use orion::venue::polymarket::order::{Exchange, Order, OrderSigner, OrderType, Salt};
use orion::venue::polymarket::position::TokenId;
use orion::venue::polymarket::sign::{ApiSigner, WalletSigner};
use orion::venue::polymarket::wallet::Wallet;
use serde_json::{Value, json};

pub const START: UnixMs = UnixMs::new(1_795_175_100_000);
/// Publicly known development keys.
pub const OWNER: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
pub const OTHER: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
pub const PROXY: &str = "0x365f0CA36Ae1f641E02fE3B7743673da42A13A70";
pub const SAFE: &str = "0xd93B25cb943D14d0d34FBaF01Fc93a0f8b5F6E47";
pub const DEPOSIT: &str = "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50";

/// Everything a story needs.
pub struct Bench {
    pub world: World,
    pub desk: ClobDesk,
    pub now: UnixMs,
    salts: u64,
}

/// Somebody who trades.
pub struct Trader {
    pub secret: &'static str,
    pub key: ApiKey,
    pub address: Address,
    pub wallet: usize,
    signer: OrderSigner,
    api: ApiSigner,
}

/// Rules without chance: matches are mined after two seconds and confirmed ten later.
pub fn calm() -> Rules {
    let mut rules = Rules::default();
    rules.pace.mined_ms = (2_000, 2_000);
    rules.pace.confirmed_ms = (10_000, 10_000);
    rules.pace.failed_ms = (20_000, 20_000);
    rules.pace.retry_ppm = 0;
    rules.pace.fail_ppm = 0;
    rules
}

pub fn price(raw: u16) -> Price {
    Price::new(raw).unwrap()
}

/// A call with nothing but its method and path.
pub fn call(method: &str, path: &str) -> Request {
    Request { method: method.into(), path: path.into(), ..Request::default() }
}

pub fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("no JSON: {answer:?}"))
}

/// The text of a refusal.
pub fn error(answer: &Answer) -> String {
    body(answer)["error"].as_str().unwrap_or_else(|| panic!("no error: {answer:?}")).to_owned()
}

/// r, s and v over a digest.
pub fn sign(secret: &str, digest: B256) -> Vec<u8> {
    let key = SigningKey::from_slice(&hex::decode(secret).unwrap()).unwrap();
    let (signature, recovery) = key.sign_prehash_recoverable(digest.as_slice());
    let mut bytes = signature.to_bytes().to_vec();
    bytes.push(27 + recovery.to_byte());
    bytes
}

impl Bench {
    pub fn new(rules: Rules) -> Self {
        Self { world: World::new(42, 20, START), desk: ClobDesk::new(7, rules), now: START, salts: 0 }
    }

    /// A trader with ten thousand dollars.
    pub fn trader(&mut self, secret: &'static str, kind: Kind) -> Trader {
        let key = WalletSigner::from_hex(secret).unwrap();
        let address: Address = key.address().parse().unwrap();
        let funder = match (kind, secret == OWNER) {
            (Kind::Eoa, _) => address,
            (Kind::Proxy, true) => PROXY.parse().unwrap(),
            (Kind::Safe, true) => SAFE.parse().unwrap(),
            (Kind::Deposit, true) => DEPOSIT.parse().unwrap(),
            _ => panic!("the other key has no such wallet here"),
        };
        let wallet = self.desk.open(&NewWallet { kind, funder, owner: address, cash: Money::dollars(10_000) });
        let form = Wallet::of(&key.address(), &funder.to_checksum(None)).unwrap();
        self.trader_with(secret, form, wallet)
    }

    pub fn trader_with(&mut self, secret: &'static str, form: Wallet, wallet: usize) -> Trader {
        let key = WalletSigner::from_hex(secret).unwrap();
        let address: Address = key.address().parse().unwrap();
        let api_key = self.desk.credentials(address);
        let api = ApiSigner::new(&key.address(), &api_key.id, &api_key.secret, &api_key.passphrase).unwrap();
        let signer = OrderSigner::new(key, form, Chain::Polygon, &api_key.id).unwrap();
        Trader { secret, key: api_key, address, wallet, signer, api }
    }

    /// The first open market like this, with both sides of its book and its tick on whole cents.
    pub fn market(&self, like: impl Fn(&PolymarketMarket, bool) -> bool) -> usize {
        let catalog = self.world.catalog();
        (0..catalog.polymarket.len())
            .find(|&at| {
                let market = &catalog.polymarket[at];
                let ask = self.best(at, BookSide::Ask).raw();
                market.tick == 100
                    && (2_000..8_000).contains(&ask)
                    && like(market, catalog.polymarket_events[market.event].neg_risk)
            })
            .unwrap()
    }

    /// One that takes orders at once and charges a fee.
    pub fn plain(&self) -> usize {
        self.market(|market, neg_risk| {
            !neg_risk && !market.protocol_v2 && market.taker_hold_ms().is_none() && market.fee.is_some()
        })
    }

    pub fn best(&self, market: usize, side: BookSide) -> Price {
        self.world.exchange(Venue::Polymarket).market(market).best(side).unwrap()
    }

    pub fn touch(&self, market: usize, side: BookSide) -> Qty {
        self.world.exchange(Venue::Polymarket).market(market).quantity(side, self.best(market, side))
    }

    pub fn listed(&self, market: usize) -> &PolymarketMarket {
        &self.world.catalog().polymarket[market]
    }

    pub fn contract(&self, market: usize) -> Contract {
        let listed = self.listed(market);
        Contract::of(listed, self.world.catalog().polymarket_events[listed.event].neg_risk)
    }

    fn form(&mut self, market: usize, outcome: u8, amounts: Amounts) -> Order {
        self.salts += 1;
        let exchange = match self.contract(market) {
            Contract::Standard => Exchange::of(Version::V1, false),
            Contract::NegRisk => Exchange::of(Version::V1, true),
            Contract::V3 => Exchange::of(Version::V2, false),
        };
        Order {
            exchange,
            token: TokenId::parse(&self.listed(market).tokens[usize::from(outcome)]).unwrap(),
            amounts,
            salt: Salt::new(self.salts).unwrap(),
            created: self.now,
            metadata: [0; 32],
            builder: [0; 32],
        }
    }

    fn terms(&self, market: usize) -> Terms {
        let grid = orion::unit::Grid::even(self.listed(market).tick).unwrap();
        Terms { tick: Tick::of(&grid).unwrap(), qty_min: Qty::whole(5) }
    }

    /// The body of an order sized in shares.
    pub fn limit(
        &mut self,
        who: &Trader,
        at: (usize, u8),
        side: Side,
        raw: u16,
        shares: u32,
        kind: OrderType,
    ) -> String {
        let terms = self.terms(at.0);
        let amounts = Amounts::limit(side, price(raw), Qty::whole(shares), &terms).unwrap();
        let order = self.form(at.0, at.1, amounts);
        Self::written(who, &order, kind)
    }

    /// The body of a buy sized in dollars.
    pub fn spend(&mut self, who: &Trader, at: (usize, u8), raw: u16, dollars: i64, kind: OrderType) -> String {
        let terms = self.terms(at.0);
        let amounts = Amounts::spend(price(raw), Money::dollars(dollars), &terms, ShareDecimals::Four).unwrap();
        let order = self.form(at.0, at.1, amounts);
        Self::written(who, &order, kind)
    }

    fn written(who: &Trader, order: &Order, kind: OrderType) -> String {
        let signed = who.signer.sign(order);
        let mut bytes = Vec::new();
        who.signer.body(&signed).write(kind, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// A body with any amounts whatever, signed by hand for a plain account.
    pub fn odd(&mut self, who: &Trader, at: (usize, u8), side: Side, amounts: (u64, u64), more: &Value) -> String {
        self.salts += 1;
        let order = typed::Order {
            salt: U256::from(self.salts),
            maker: who.address,
            signer: who.address,
            tokenId: self.listed(at.0).tokens[usize::from(at.1)].parse().unwrap(),
            makerAmount: U256::from(amounts.0),
            takerAmount: U256::from(amounts.1),
            side: u8::from(side == Side::Sell),
            signatureType: 0,
            timestamp: U256::from(self.now.raw()),
            metadata: B256::ZERO,
            builder: B256::ZERO,
        };
        let digest = typed::order_id(&order, self.contract(at.0));
        let bytes = sign(who.secret, digest);
        let mut body = json!({
            "deferExec": false, "orderType": "GTC", "owner": who.key.id,
            "order": {"builder": B256::ZERO.to_string(), "expiration": "0", "maker": who.address.to_string(),
                "makerAmount": amounts.0.to_string(), "metadata": B256::ZERO.to_string(), "salt": self.salts,
                "side": side.name(), "signature": hex::encode_prefixed(bytes), "signatureType": 0,
                "signer": who.address.to_string(), "takerAmount": amounts.1.to_string(),
                "timestamp": self.now.raw().to_string(), "tokenId": order.tokenId.to_string()},
        });
        for (name, value) in more.as_object().unwrap() {
            match name.as_str() {
                "expiration" => body["order"]["expiration"] = value.clone(),
                _ => body[name] = value.clone(),
            }
        }
        body.to_string()
    }

    /// The same body, signed for another contract.
    pub fn resigned(who: &Trader, body: &Value, contract: Contract) -> String {
        let word = |name: &str| body["order"][name].as_str().unwrap().parse::<U256>().unwrap();
        let order = typed::Order {
            salt: U256::from(body["order"]["salt"].as_u64().unwrap()),
            maker: who.address,
            signer: who.address,
            tokenId: word("tokenId"),
            makerAmount: word("makerAmount"),
            takerAmount: word("takerAmount"),
            side: u8::from(body["order"]["side"] == "SELL"),
            signatureType: 0,
            timestamp: word("timestamp"),
            metadata: B256::ZERO,
            builder: B256::ZERO,
        };
        let mut body = body.clone();
        body["order"]["signature"] = json!(hex::encode_prefixed(sign(who.secret, typed::order_id(&order, contract))));
        body.to_string()
    }

    /// A signed request.
    pub fn signed(&self, who: &Trader, method: &str, path: &str, body: &str) -> Request {
        let headers = who.api.sign(self.now, method, path, body);
        let headers = headers.pairs().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Request { headers: headers.to_vec(), body: body.to_owned(), ..call(method, path) }
    }

    pub fn send(&mut self, request: &Request) -> Handled {
        self.desk.handle(request, &mut self.world, self.now)
    }

    /// Sends what is answered at once.
    pub fn ask(&mut self, who: &Trader, method: &str, path: &str, body: &str) -> Answer {
        let request = self.signed(who, method, path, body);
        match self.send(&request) {
            Handled::Now(answer) => answer,
            Handled::Held { until, .. } => panic!("held until {until:?}"),
        }
    }

    /// A read with a query.
    pub fn read(&mut self, who: &Trader, path: &str, query: &[(&str, &str)]) -> Value {
        let mut request = self.signed(who, "GET", path, "");
        request.query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match self.send(&request) {
            Handled::Now(answer) => body(&answer),
            Handled::Held { .. } => panic!("a read is never held"),
        }
    }

    pub fn post(&mut self, who: &Trader, body: &str) -> Answer {
        self.ask(who, "POST", "/order", body)
    }

    /// Lets time pass for the desk alone.
    pub fn wait(&mut self, ms: u64) {
        let end = UnixMs::new(self.now.raw() + ms);
        while let Some(due) = self.desk.next_due().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.desk.advance(&[], &mut self.world, self.now);
            if self.desk.next_due() == Some(due) {
                break;
            }
        }
        self.now = end;
        self.desk.advance(&[], &mut self.world, end);
    }

    /// What the user channel says to an account by now.
    pub fn heard(&mut self, who: &Trader) -> Vec<Value> {
        let mut session = Session::default();
        let hello = json!({"type": "user", "auth": {"apiKey": who.key.id, "secret": who.key.secret, "passphrase": who.key.passphrase}});
        let heard = session.handle_text(&hello.to_string(), &self.desk, &self.world);
        assert!(!heard.close && heard.frames.is_empty(), "signing in is not confirmed");
        let notices = self.desk.notices(self.now);
        let own = notices.into_iter().filter(|notice| session.wants(notice));
        own.map(|notice| match notice {
            Notice::Frame { text, .. } => serde_json::from_str(&text).unwrap(),
            Notice::Cut { .. } => json!("cut"),
        })
        .collect()
    }
}
