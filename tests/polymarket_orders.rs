//! Everything that is signed for Polymarket, byte for byte as the venue's own clients sign it: amounts, orders and
//! their bodies, contract calls, relayed transactions, token ids. The nested digest of a deposit wallet is found a
//! second time by the typed-data library, and every signature gives its signer back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use alloy_primitives::{Address, B256, Bytes, U256, eip191_hash_message, hex, keccak256};
use alloy_sol_types::{SolCall as _, SolStruct as _, SolValue as _};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use orion::unit::{Money, Outcome, Price, Qty, UnixMs, decimal};
use orion::venue::polymarket::{
    self,
    amount::{Amounts, ShareDecimals, Side, Sizing, Terms, Tick, whole_cents, whole_lots},
    call::{Condition, approvals},
    catalog::Version,
    contract::Chain,
    order::{Exchange, Order, OrderError, OrderSigner, OrderType, Salt, SignedOrder},
    position::{Position, TokenId},
    relay::{self, Action, RelayError},
    sign::{ApiSigner, KeyCall, WalletSigner},
    wallet::Wallet,
};
use proptest::prelude::*;
use serde_json::Value;

const SIGNING: &[u8] = include_bytes!("data/polymarket/signing_vectors.json");
const AMOUNTS: &[u8] = include_bytes!("data/polymarket/amounts_vectors.json");
const POSITIONS: &[u8] = include_bytes!("data/polymarket/position_id_vectors.json");

const API_KEY: &str = "00000000-0000-0000-0000-000000000001";

/// The structs as the contracts declare them: the second route to every digest.
mod typed {
    alloy_sol_types::sol! {
        struct Order {
            uint256 salt;
            address maker;
            address signer;
            uint256 tokenId;
            uint256 makerAmount;
            uint256 takerAmount;
            uint8 side;
            uint8 signatureType;
            uint256 timestamp;
            bytes32 metadata;
            bytes32 builder;
        }

        struct TypedDataSign {
            Order contents;
            string name;
            string version;
            uint256 chainId;
            address verifyingContract;
            bytes32 salt;
        }

        function multiSend(bytes transactions);
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"))
}

fn bytes(value: &Value, key: &str) -> Vec<u8> {
    hex::decode(text(value, key)).unwrap()
}

fn word(value: &Value, key: &str) -> [u8; 32] {
    bytes(value, key).try_into().unwrap()
}

fn number(value: &Value, key: &str) -> u64 {
    text(value, key).parse().unwrap()
}

fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).unwrap()
}

fn qty(text: &str) -> Qty {
    Qty::parse(text.as_bytes()).unwrap()
}

fn dollars(text: &str) -> Money {
    Money::micros(decimal(text.as_bytes(), 9, 6).unwrap().cast_signed())
}

/// A market without a minimum: some vectors are arithmetic alone.
fn terms(tick: &str) -> Terms {
    Terms { tick: Tick::of(&polymarket::tick(tick).unwrap()).unwrap(), qty_min: Qty::ZERO }
}

fn side(text: &str) -> Side {
    match text {
        "BUY" => Side::Buy,
        "SELL" => Side::Sell,
        other => panic!("{other}"),
    }
}

fn key(vectors: &Value, name: &str) -> WalletSigner {
    WalletSigner::from_hex(text(&vectors["meta"], name)).unwrap()
}

fn address(vectors: &Value, name: &str) -> Address {
    text(&vectors["meta"]["addresses"], name).parse().unwrap()
}

/// Whose key made the first 65 bytes of a signature over a digest.
fn recovered(digest: B256, signature: &[u8]) -> Address {
    let id = RecoveryId::from_byte(signature[64] - 27).unwrap();
    let signature = Signature::from_slice(&signature[..64]).unwrap();
    assert_eq!(signature, signature.normalize_s(), "contracts refuse the upper half");
    let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, id).unwrap();
    Address::from_raw_public_key(&key.to_sec1_point(false).as_bytes()[1..])
}

#[test]
fn every_amount_is_the_one_the_venues_client_signs() {
    let vectors = json(AMOUNTS);
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 492);
    let (mut limits, mut sells, mut buys, mut finer) = (0, 0, 0, 0);
    for vector in vectors {
        let (side, price, terms) =
            (side(text(vector, "side")), price(text(vector, "price")), terms(text(vector, "tick_size")));
        let wanted = (number(vector, "makerAmount"), number(vector, "takerAmount"));
        let amounts = if let Some(spent) = vector["collateral_amount"].as_str() {
            buys += 1;
            let spent = whole_cents(dollars(spent));
            let flat = Amounts::spend(price, spent, &terms, ShareDecimals::Four).unwrap();
            let flat_wanted = (wanted.0, wanted.1 / 100 * 100);
            assert_eq!((flat.maker(), flat.taker()), flat_wanted, "{vector}: four decimals of shares");
            finer += usize::from(flat_wanted != wanted);
            Amounts::spend(price, spent, &terms, ShareDecimals::OfTick).unwrap()
        } else {
            let market_sell = vector["shares"].as_str();
            *(if market_sell.is_some() { &mut sells } else { &mut limits }) += 1;
            let shares = market_sell.unwrap_or_else(|| text(vector, "size"));
            Amounts::limit(side, price, whole_lots(qty(shares)), &terms).unwrap()
        };
        assert_eq!((amounts.maker(), amounts.taker()), wanted, "{vector}");
        assert_eq!(amounts.side(), side);
    }
    assert_eq!((limits, sells, buys), (276, 108, 108));
    assert!(0 < finer, "some official market buys have more decimals than the venue's message allows");
}

/// A signer for the vector's wallet; the wallet's kind is found from its address wherever that can be done.
fn signer(vectors: &Value, vector: &Value) -> OrderSigner {
    let maker = text(&vector["order"], "maker");
    let (key, wallet) = match text(&vector["inputs"], "signing_key") {
        "owner_key" => {
            let key = key(vectors, "private_key");
            let wallet = Wallet::of(&key.address(), maker).unwrap();
            (key, wallet)
        }
        "session_key" => (key(vectors, "session_private_key"), Wallet::delegated(maker).unwrap()),
        other => panic!("{other}"),
    };
    let chain = if text(vector, "context").starts_with("amoy") { Chain::Amoy } else { Chain::Polygon };
    OrderSigner::new(key, wallet, chain, API_KEY).unwrap()
}

/// The order of a vector, from what a trader states: nothing is copied from the signed struct that we compute
/// ourselves.
fn order(vector: &Value) -> Order {
    let (inputs, signed) = (&vector["inputs"], &vector["order"]);
    let (side, price, terms) =
        (side(text(inputs, "side")), price(text(inputs, "price")), terms(text(inputs, "tick_size")));
    let market = inputs["amount"].as_str();
    let amounts = match (market, side) {
        (Some(spent), Side::Buy) => Amounts::spend(price, dollars(spent), &terms, ShareDecimals::OfTick),
        (Some(shares), Side::Sell) => Amounts::limit(side, price, qty(shares), &terms),
        (None, _) => Amounts::limit(side, price, qty(text(inputs, "size")), &terms),
    };
    let context = text(vector, "context");
    let version = if context.ends_with("v3") { Version::V2 } else { Version::V1 };
    Order {
        exchange: Exchange::of(version, context.ends_with("neg_risk")),
        token: TokenId::parse(text(signed, "tokenId")).unwrap(),
        amounts: amounts.unwrap(),
        salt: Salt::new(number(signed, "salt")).unwrap(),
        created: UnixMs::new(number(signed, "timestamp")),
        metadata: word(signed, "metadata"),
        builder: word(signed, "builder"),
    }
}

fn order_type(vector: &Value) -> OrderType {
    let post_only = vector["inputs"]["post_only"].as_bool().unwrap();
    match text(&vector["inputs"], "order_type") {
        "GTC" => OrderType::Gtc { post_only },
        "GTD" => OrderType::Gtd { until_s: number(&vector["unsigned_fields"], "expiration"), post_only },
        "FOK" => OrderType::Fok,
        "FAK" => OrderType::Fak,
        other => panic!("{other}"),
    }
}

#[test]
fn every_order_is_signed_and_written_byte_for_byte() {
    let vectors = json(SIGNING);
    let cases = vectors["orders"].as_array().unwrap();
    assert_eq!(cases.len(), 73);
    let mut lengths = std::collections::BTreeMap::new();
    for vector in cases {
        let place = format!("order {}", vector["id"]);
        let (signer, order) = (signer(&vectors, vector), order(vector));
        let chain = if vector["domain"]["chainId"] == 137 { Chain::Polygon } else { Chain::Amoy };
        let separator = order.exchange.domain(chain).separator();
        assert_eq!(separator.to_string(), text(&vector["domain"], "domainSeparator"), "{place}");
        assert_eq!(u64::from(signer.wallet().signature_type()), vector["order"]["signatureType"].as_u64().unwrap());

        let signed = signer.sign(&order);
        assert_eq!(signed.id.to_string(), text(vector, "orderHash"), "{place}: the id");
        assert_eq!(signed.id, signer.id(&order), "{place}: the id is known without a signature");
        assert_eq!(B256::from(signed.id.bytes()).to_string(), signed.id.to_string());
        assert_eq!(hex::encode_prefixed(&signed.signature), text(vector, "signature"), "{place}: the signature");
        *lengths.entry(signed.signature.len()).or_insert(0) += 1;

        let mut body = Vec::new();
        let frame = signer.body(&signed);
        frame.write(order_type(vector), &mut body).unwrap();
        assert_eq!(String::from_utf8(body.clone()).unwrap(), text(vector, "postOrderBody"), "{place}: the body");
        assert!(body.len() <= frame.len_max(), "{place}: as long as it says at most");

        let raw = bytes(vector, "rawEcdsaSignature");
        let digest = B256::from(word(vector, "signedDigest"));
        assert_eq!(recovered(digest, &raw).to_checksum(None), signer.key().address(), "{place}: the key signed");
    }
    assert_eq!(lengths, [(65, 62), (317, 9), (480, 2)].into());
}

#[test]
fn an_order_signed_for_one_exchange_or_chain_is_another_one_elsewhere() {
    let vectors = json(SIGNING);
    let vector = &vectors["orders"][0];
    let order = order(vector);
    let mut ids = std::collections::HashSet::new();
    for chain in [Chain::Polygon, Chain::Amoy] {
        let signer = OrderSigner::new(key(&vectors, "private_key"), Wallet::Eoa, chain, API_KEY).unwrap();
        for exchange in [Exchange::Standard, Exchange::NegRisk, Exchange::V3] {
            assert!(ids.insert(signer.id(&Order { exchange, ..order })), "{exchange:?} on {chain:?}");
        }
    }
    // The dead domain has another struct too; what it signed is nothing that can come out here.
    for dead in vectors["orders_v1_legacy"].as_array().unwrap() {
        assert!(ids.iter().all(|id| id.to_string() != text(dead, "orderHash")));
    }
}

#[test]
fn an_order_is_not_sent_as_a_type_that_would_read_its_amounts_otherwise() {
    let vectors = json(SIGNING);
    let signer = OrderSigner::new(key(&vectors, "private_key"), Wallet::Eoa, Chain::Polygon, API_KEY).unwrap();
    let (price, terms, base) = (price("0.52"), terms("0.01"), order(&vectors["orders"][0]));
    let write = |amounts: Amounts, kind: OrderType| {
        let signed: SignedOrder = signer.sign(&Order { amounts, ..base });
        signer.body(&signed).write(kind, &mut Vec::new())
    };
    let buy = Amounts::limit(Side::Buy, price, Qty::whole(10), &terms).unwrap();
    let sell = Amounts::limit(Side::Sell, price, Qty::whole(10), &terms).unwrap();
    let spend = Amounts::spend(price, Money::dollars(10), &terms, ShareDecimals::Four).unwrap();
    assert_eq!((buy.sizing(), sell.sizing(), spend.sizing()), (Sizing::Shares, Sizing::Shares, Sizing::Dollars));
    assert_eq!(spend.dollars(), Money::dollars(10));
    let gtd = OrderType::gtd(base.created, 3_600, false).unwrap();
    for rests in [OrderType::Gtc { post_only: true }, gtd] {
        assert_eq!(write(buy, rests), Ok(()));
        assert_eq!(write(sell, rests), Ok(()));
        assert_eq!(write(spend, rests), Err(OrderError::Sizing));
    }
    for takes in [OrderType::Fok, OrderType::Fak] {
        assert_eq!(write(buy, takes), Err(OrderError::Sizing), "dollars with four decimals would be refused");
        assert_eq!(write(sell, takes), Ok(()));
        assert_eq!(write(spend, takes), Ok(()));
    }
    for bad in ["", "a\"b", "a\\b", "ключ", "a b"] {
        let refused = OrderSigner::new(key(&vectors, "private_key"), Wallet::Eoa, Chain::Polygon, bad);
        assert_eq!(refused.err(), Some(OrderError::NotAnApiKey), "{bad}");
    }
}

#[test]
fn the_calls_that_make_and_recover_api_keys() {
    assert_eq!(KeyCall::Create.request(), ("POST", "/auth/api-key"));
    assert_eq!(KeyCall::Derive.request(), ("GET", "/auth/derive-api-key"));
    let signer = ApiSigner::new("0x00", "key", "AAAA", "phrase").unwrap();
    let headers = signer.sign(UnixMs::new(1_793_000_000_000), "POST", "/submit", "{}");
    let trader: Vec<&str> = headers.pairs().iter().skip(1).map(|(_, value)| *value).collect();
    let builder: Vec<&str> = headers.builder_pairs().iter().map(|(_, value)| *value).collect();
    assert_eq!(trader, builder, "a builder's headers hold the same, without the address");
    assert!(headers.builder_pairs().iter().all(|(name, _)| name.starts_with("POLY_BUILDER_")));
}

#[test]
fn every_contract_call_is_encoded_as_the_venues_client_encodes_it() {
    let vectors = json(SIGNING);
    let cases = vectors["position_operation_calldata"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    let v1: [u8; 32] =
        hex::decode("2aaeb40ad2a1ad262d75d5c52bff1a9f801fb72e65774343729fe103ee9fa308").unwrap().try_into().unwrap();
    let v2 = word(&json(POSITIONS)["vectors"][0], "condition_id_32");
    let ten = Qty::whole(10);
    let standard = Condition::new(Version::V1, false, v1).unwrap();
    let neg_risk = Condition::new(Version::V1, true, v1).unwrap();
    let routed = Condition::new(Version::V2, false, v2).unwrap();
    for case in cases {
        let (to, data) = (text(case, "to"), bytes(case, "data"));
        let call = match text(case, "op") {
            "ctf_split" => standard.split(ten),
            "ctf_merge" => standard.merge(ten),
            "ctf_redeem" => standard.redeem(Outcome::No, ten),
            "neg_risk_merge" => neg_risk.merge(ten),
            "router_split" => routed.split(ten),
            "router_merge" => routed.merge(ten),
            "router_redeem_yes" => routed.redeem(Outcome::Yes, ten),
            "router_redeem_no" => routed.redeem(Outcome::No, ten),
            "approve_pusd_exchange_v3" | "set_approval_position_manager_exchange_v3" => {
                let same = |call: &&polymarket::call::Call| call.target() == to && call.data() == data;
                approvals().iter().find(same).cloned().unwrap_or_else(|| panic!("{case}"))
            }
            other => panic!("{other}"),
        };
        assert_eq!(call.target(), to, "{case}");
        assert_eq!(call.data(), data, "{case}");
    }
    let distinct: std::collections::HashSet<_> =
        approvals().iter().map(|call| (call.target(), call.data().to_vec())).collect();
    assert_eq!(distinct.len(), 16, "six spenders of pUSD, seven operators of CTF tokens, three of positions");
    let mut odd = v2;
    odd[31] = 1;
    assert_eq!(Condition::new(Version::V2, false, odd), None, "a token, not a condition");
}

#[test]
fn every_relayed_transaction_is_signed_as_the_venues_client_signs_it() {
    let vectors = json(SIGNING);
    let relayed = &vectors["relayer_signatures"];
    let key = key(&vectors, "private_key");
    let merge = Condition::new(Version::V2, false, word(&json(POSITIONS)["vectors"][0], "condition_id_32"))
        .unwrap()
        .merge(Qty::whole(10));
    let calls = [merge.clone()];

    let batch = &relayed["deposit_wallet_batch"];
    let action = Action::new(&calls, number(batch, "nonce"), "").unwrap();
    let now = UnixMs::new(1_793_000_000_000);
    let wallet = address(&vectors, "deposit_wallet_beacon");
    let submission = relay::deposit_wallet(&key, wallet, Chain::Polygon, &action, now);
    assert_eq!(hex::encode_prefixed(submission.digest), text(batch, "digest"));
    assert_eq!(hex::encode_prefixed(submission.signature), text(batch, "signature"));
    let body = json(submission.body.as_bytes());
    assert_eq!(body["type"], "WALLET");
    assert_eq!(body["from"], key.address());
    assert_eq!(body["to"], "0x00000000000Fb5C9ADea0298D729A0CB3823Cc07", "the factory");
    assert_eq!(body["nonce"], batch["nonce"]);
    assert_eq!(body["signature"], batch["signature"]);
    assert_eq!(body["depositWalletParams"]["depositWallet"], batch["wallet"]);
    assert_eq!(body["depositWalletParams"]["deadline"], batch["deadline"]);
    assert_eq!(body["depositWalletParams"]["calls"], batch["calls"]);

    let safe_tx = &relayed["safe_tx"];
    let action = Action::new(&calls, number(safe_tx, "nonce"), "merge").unwrap();
    let submission = relay::safe(&key, address(&vectors, "gnosis_safe"), Chain::Polygon, &action);
    assert_eq!(hex::encode_prefixed(submission.signature), text(safe_tx, "signature"));
    let body = json(submission.body.as_bytes());
    assert_eq!(body["type"], "SAFE");
    assert_eq!(body["metadata"], "merge");
    for (ours, theirs) in [("to", "to"), ("proxyWallet", "safe"), ("data", "data"), ("nonce", "nonce")] {
        assert_eq!(body[ours], safe_tx[theirs], "{ours}");
    }
    assert_eq!(body["signatureParams"]["operation"], "0");

    let proxy_tx = &relayed["proxy_tx"];
    let action = Action::new(&calls, number(proxy_tx, "nonce"), "").unwrap();
    let proxy = address(&vectors, "poly_proxy");
    let submission = relay::proxy(&key, proxy, &action, text(proxy_tx, "relay"), number(proxy_tx, "gasLimit")).unwrap();
    assert_eq!(hex::encode_prefixed(submission.digest), text(proxy_tx, "hash"));
    assert_eq!(hex::encode_prefixed(submission.signature), text(proxy_tx, "signature"));
    let body = json(submission.body.as_bytes());
    assert_eq!(body["type"], "PROXY");
    assert_eq!(body["proxyWallet"], proxy.to_checksum(None));
    for name in ["from", "to", "data", "nonce"] {
        assert_eq!(body[name], proxy_tx[name], "{name}");
    }
    for name in ["gasLimit", "gasPrice", "relay", "relayHub", "relayerFee"] {
        assert_eq!(body["signatureParams"][name], proxy_tx[name], "{name}");
    }

    assert_eq!(relay::proxy(&key, proxy, &action, "0x", 1), Err(RelayError::NotARelay));
    assert_eq!(Action::new(&[], 0, ""), Err(RelayError::NoCalls));
    let long = "é".repeat(501);
    assert_eq!(Action::new(&calls, 0, &long), Err(RelayError::LongMetadata { chars: 501 }));
    assert!(Action::new(&calls, 0, &long[2..]).is_ok(), "characters are counted, not bytes");
}

#[test]
fn several_calls_of_a_safe_go_through_its_multisend() {
    let vectors = json(SIGNING);
    let key = key(&vectors, "private_key");
    let calls = &approvals()[..2];
    let safe = address(&vectors, "gnosis_safe");
    let action = Action::new(calls, 3, "").unwrap();
    let submission = relay::safe(&key, safe, Chain::Polygon, &action);
    let body = json(submission.body.as_bytes());
    assert_eq!(body["to"], "0xA238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761");
    assert_eq!(body["signatureParams"]["operation"], "1", "a delegate call");
    let packed = typed::multiSendCall::abi_decode(&bytes(&body, "data")).unwrap().transactions;
    let mut rest: &[u8] = &packed;
    for call in calls {
        let (head, tail) = rest.split_at(1 + 20 + 32 + 32);
        assert_eq!(head[0], 0, "a plain call");
        assert_eq!(Address::from_slice(&head[1..21]).to_checksum(None), call.target());
        assert_eq!(U256::from_be_slice(&head[21..53]), U256::ZERO);
        let len = U256::from_be_slice(&head[53..]).to::<usize>();
        assert_eq!(&tail[..len], call.data());
        rest = &tail[len..];
    }
    assert!(rest.is_empty());
    // A Safe takes 31 and 32 for a personal message, which is what was signed.
    let mut signature = submission.signature;
    signature[64] -= 4;
    let message = eip191_hash_message(submission.digest);
    assert_eq!(recovered(message, &signature).to_checksum(None), key.address());
}

#[test]
fn every_token_id_is_taken_apart_as_the_vectors_have_it() {
    let file = json(POSITIONS);
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 7);
    for vector in vectors {
        let token = TokenId::parse(text(vector, "id_decimal")).unwrap();
        assert_eq!(token.to_string(), text(vector, "id_decimal"));
        let Some(position) = token.position() else {
            assert_eq!(vector["is_v2"], false, "{vector}");
            continue;
        };
        assert_eq!(vector["is_v2"], true, "{vector}");
        let part = |name: &str| vector[name].as_u64().unwrap();
        let wanted = Position {
            module: part("module_id") as u8,
            base_hash: u128::from_be_bytes(bytes(vector, "base_hash").try_into().unwrap()),
            arity: part("arity") as u16,
            resolution_chain: part("resolution_chain") as u16,
            condition_index: part("condition_index") as u16,
            outcome_index: part("outcome_index") as u8,
        };
        assert_eq!(position, wanted, "{vector}");
        assert_eq!(hex::encode_prefixed(position.condition_id()), text(vector, "condition_id_31"));
        let mut filled = position.condition_id().to_vec();
        filled.push(0);
        assert_eq!(hex::encode_prefixed(filled), text(vector, "condition_id_32"));
    }
    for bad in ["", "0x1", "-1", "1_0", " 1", "1e3", "ten"] {
        assert_eq!(TokenId::parse(bad), None, "{bad}");
    }
    assert_eq!(TokenId::parse(&U256::MAX.to_string()).unwrap().to_string(), U256::MAX.to_string());
    assert_eq!(TokenId::parse(&format!("{}0", U256::MAX)), None, "more than 256 bits");
}

#[test]
fn a_v1_condition_gives_both_of_its_tokens() {
    // The US election of 2024, a neg-risk market: the token is among the vectors.
    let condition =
        hex::decode("dd22472e552920b8438158ea7238bfadfa4f736aa4cee91a6b86c39ead110917").unwrap().try_into().unwrap();
    let yes = "21742633143463906290569050155826241533067272736897614950488156847949938836455";
    let tokens = TokenId::of_condition(condition, true);
    assert_eq!(tokens[0].to_string(), yes);
    assert_ne!(TokenId::of_condition(condition, false)[0].to_string(), yes, "another collateral, another token");

    let Some(folder) = common::fixtures("polymarket/rest") else { return };
    let page = json(&std::fs::read(folder.join("clob_markets_page_2026-01-11.json")).unwrap());
    let single = json(&std::fs::read(folder.join("clob_market_2024-10_neg_risk.json")).unwrap());
    // Markets from before there was an order book have no tokens, some not even a condition.
    let traded = |market: &&Value| !text(&market["tokens"][0], "token_id").is_empty();
    let markets: Vec<&Value> = page["data"].as_array().unwrap().iter().chain([&single]).filter(traded).collect();
    assert_eq!(markets.len(), 946);
    for market in markets {
        let tokens = TokenId::of_condition(word(market, "condition_id"), market["neg_risk"].as_bool().unwrap());
        for (ours, theirs) in tokens.iter().zip(market["tokens"].as_array().unwrap()) {
            assert_eq!(ours.to_string(), text(theirs, "token_id"), "{}", market["condition_id"]);
        }
    }
}

/// A wallet of every kind for one key; the addresses of the last ones are anybody's.
fn wallets(key: &WalletSigner, other: Address) -> [Wallet; 5] {
    let own = Wallet::of(&key.address(), &key.address()).unwrap();
    [own, Wallet::Proxy(other), Wallet::Safe(other), Wallet::Deposit(other), Wallet::Delegated(other)]
}

fn exchanges() -> impl Strategy<Value = (Exchange, Chain)> {
    let exchange = prop_oneof![Just(Exchange::Standard), Just(Exchange::NegRisk), Just(Exchange::V3)];
    (exchange, prop_oneof![Just(Chain::Polygon), Just(Chain::Amoy)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    /// The second route: the typed-data library knows the structs and hashes them field by field.
    #[test]
    fn both_routes_lead_to_one_digest_and_every_signature_back_to_its_key(
        (exchange, chain) in exchanges(),
        secret in proptest::array::uniform32(1_u8..=254),
        other in proptest::array::uniform20(any::<u8>()),
        kind in 0_usize..5,
        sells in any::<bool>(),
        lots in 1_u64..1_000_000_000,
        cents in 1_u16..100,
        token in proptest::array::uniform32(any::<u8>()),
        salt in 0..=Salt::MAX.raw(),
        created in 0..4_000_000_000_000_u64,
        metadata in proptest::array::uniform32(any::<u8>()),
        builder in proptest::array::uniform32(any::<u8>()),
    ) {
        let key = WalletSigner::from_hex(&hex::encode(secret)).unwrap();
        let eoa: Address = key.address().parse().unwrap();
        let wallet = wallets(&key, other.into())[kind];
        let side = if sells { Side::Sell } else { Side::Buy };
        let price = Price::new(cents * 100).unwrap();
        let amounts = Amounts::limit(side, price, Qty::new(lots * 10_000).unwrap(), &terms("0.01")).unwrap();
        let order = Order {
            exchange,
            token: TokenId::parse(&U256::from_be_bytes(token).to_string()).unwrap(),
            amounts,
            salt: Salt::new(salt).unwrap(),
            created: UnixMs::new(created),
            metadata,
            builder,
        };
        let signer = OrderSigner::new(key, wallet, chain, API_KEY).unwrap();
        let signed = signer.sign(&order);

        let (maker, by) = match kind {
            0 => (eoa, eoa),
            1 | 2 => (other.into(), eoa),
            _ => (other.into(), other.into()),
        };
        let contents = typed::Order {
            salt: U256::from(salt),
            maker,
            signer: by,
            tokenId: U256::from_be_bytes(token),
            makerAmount: U256::from(amounts.maker()),
            takerAmount: U256::from(amounts.taker()),
            side: u8::from(sells),
            signatureType: kind.min(3) as u8,
            timestamp: U256::from(created),
            metadata: metadata.into(),
            builder: builder.into(),
        };
        let domain = exchange.domain(chain);
        prop_assert_eq!(B256::from(signed.id.bytes()), contents.eip712_signing_hash(&domain));
        if kind < 3 {
            prop_assert_eq!(signed.signature.len(), 65);
            prop_assert_eq!(recovered(signed.id.bytes().into(), &signed.signature), eoa);
            return Ok(());
        }

        let nested = typed::TypedDataSign {
            contents: contents.clone(),
            name: "DepositWallet".into(),
            version: "1".into(),
            chainId: U256::from(chain.id()),
            verifyingContract: by,
            salt: B256::ZERO,
        };
        let inner = if kind == 3 {
            signed.signature.clone()
        } else {
            let (wrapped, mark) = signed.signature.split_at(signed.signature.len() - 32);
            prop_assert_eq!(mark, [0x64, 0x92].repeat(16));
            let (by, zero, inner) = <(B256, B256, Bytes)>::abi_decode_params_validate(wrapped).unwrap();
            prop_assert_eq!(by, eoa.into_word());
            prop_assert_eq!(zero, B256::ZERO);
            inner.to_vec()
        };
        prop_assert_eq!(recovered(nested.eip712_signing_hash(&domain), &inner), eoa);
        // What the wallet's contract reads behind the signature leads it to the id.
        let (separator, rest) = inner[65..].split_at(32);
        let (struct_hash, kind) = rest.split_at(32);
        prop_assert_eq!(B256::from_slice(separator), domain.separator());
        prop_assert_eq!(B256::from_slice(struct_hash), contents.eip712_hash_struct());
        prop_assert!(kind[..186] == *typed::Order::eip712_encode_type().as_bytes());
        prop_assert_eq!(&kind[186..], [0x00, 0xba]);
        let digest = keccak256([&[0x19, 0x01], separator, struct_hash].concat());
        prop_assert_eq!(digest.0, signed.id.bytes());
    }
}
