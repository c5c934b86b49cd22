//! The simulated Polymarket's order desk in virtual time: who may trade, which orders are taken and how the others are
//! refused, what a match costs and what becomes of it.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "common/clob.rs"]
mod clob;

use clob::{Bench, DEPOSIT, OTHER, OWNER, START, body, call, calm, error};
use orion::sim::clob::account::Kind;
use orion::sim::clob::audit::{Bounds, Violation};
use orion::sim::clob::fee::{FeeRounding, taker_fee};
use orion::sim::clob::trade::Status;
use orion::sim::clob::{Answer, Handled, RefusalShape, Rules};
use orion::sim::listing::FeeSchedule;
use orion::sim::polymarket::{Stream, rest_book};
use orion::unit::{BookSide, Money, Price, Qty, UnixMs, Venue};
use orion::venue::polymarket::amount::Side;
use orion::venue::polymarket::order::OrderType;
use orion::venue::polymarket::sign::WalletSigner;
use orion::venue::polymarket::wallet::Wallet;
use serde_json::{Value, json};

const GTC: OrderType = OrderType::Gtc { post_only: false };

fn sign_in(bench: &mut Bench, method: &str, path: &str, at: UnixMs, nonce: u64) -> Answer {
    let headers = WalletSigner::from_hex(OWNER).unwrap().sign_in(at, nonce, 137);
    let mut request = call(method, path);
    request.headers = headers.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let Handled::Now(answer) = bench.send(&request) else { panic!("held") };
    answer
}

#[test]
fn a_wallets_signature_makes_credentials_once_and_finds_them_again() {
    let mut bench = Bench::new(calm());
    assert_eq!(error(&sign_in(&mut bench, "GET", "/auth/derive-api-key", START, 0)), "Could not derive api key!");
    let made = body(&sign_in(&mut bench, "POST", "/auth/api-key", START, 0));
    assert_eq!(error(&sign_in(&mut bench, "POST", "/auth/api-key", START, 0)), "Could not create api key");
    assert_eq!(body(&sign_in(&mut bench, "GET", "/auth/derive-api-key", START, 0)), made);
    assert_ne!(body(&sign_in(&mut bench, "POST", "/auth/api-key", START, 1)), made, "another nonce is another set");
    let late = sign_in(&mut bench, "GET", "/auth/derive-api-key", UnixMs::new(START.raw() - 40_000), 0);
    assert_eq!((late.status, error(&late)), (401, String::from("Invalid L1 Request headers")));
}

#[test]
fn credentials_sign_the_exact_bytes_within_the_tolerated_skew() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Eoa);
    let path = "/auth/ban-status/closed-only";
    assert_eq!(body(&bench.ask(&trader, "GET", path, "")), json!({"closed_only": false}));
    let good = bench.signed(&trader, "GET", path, "");
    let mut spoilt = Vec::new();
    for (name, value) in
        [("POLY_PASSPHRASE", "x"), ("POLY_SIGNATURE", "AAAA"), ("POLY_API_KEY", "x"), ("POLY_TIMESTAMP", "1")]
    {
        let mut request = good.clone();
        request.headers.iter_mut().filter(|header| header.0 == name).for_each(|header| header.1 = value.to_owned());
        spoilt.push(request);
    }
    spoilt.push(orion::sim::clob::Request { body: String::from("{}"), ..good.clone() });
    bench.now = UnixMs::new(START.raw() + 31_000);
    spoilt.push(good);
    for request in spoilt {
        let Handled::Now(answer) = bench.send(&request) else { panic!("held") };
        assert_eq!((answer.status, error(&answer).as_str()), (401, "Unauthorized/Invalid api key"), "{request:?}");
    }
    assert_eq!(body(&bench.ask(&trader, "DELETE", "/auth/api-key", "")), "OK");
    assert_eq!(bench.ask(&trader, "GET", path, "").status, 401, "a deleted key is none");
}

#[test]
fn every_kind_of_wallet_trades_on_every_contract() {
    for kind in [Kind::Eoa, Kind::Proxy, Kind::Safe, Kind::Deposit] {
        let mut bench = Bench::new(calm());
        let trader = bench.trader(OWNER, kind);
        for (v2, neg_risk) in [(false, false), (false, true), (true, false)] {
            let market = bench.market(|market, grouped| market.protocol_v2 == v2 && grouped == neg_risk);
            let order = bench.limit(&trader, (market, 0), Side::Buy, 100, 100, GTC);
            let answer = bench.post(&trader, &order);
            assert_eq!(body(&answer)["status"], "live", "{kind:?} {v2} {neg_risk}: {answer:?}");
            let id = bench.desk.orders().last().unwrap().id.to_string();
            assert_eq!(body(&answer)["orderID"], id.as_str());
        }
        assert_eq!(bench.desk.orders().len(), 3);
        assert_eq!(bench.desk.audit().violations(), []);
    }
}

#[test]
fn a_delegated_key_trades_for_the_wallet_until_it_expires() {
    let mut bench = Bench::new(calm());
    let wallet = bench.trader(OWNER, Kind::Deposit).wallet;
    let market = bench.plain();
    let session = bench.trader_with(OTHER, Wallet::delegated(DEPOSIT).unwrap(), wallet);
    let until = UnixMs::new(START.raw() + 60_000);
    let order = bench.limit(&session, (market, 0), Side::Buy, 100, 100, GTC);
    let stranger = "the order signer address has to be the address of the API KEY";
    assert_eq!(error(&bench.post(&session, &order)), stranger);
    bench.desk.wallet_mut(wallet).delegates.insert(session.address, until);
    assert_eq!(body(&bench.post(&session, &order))["status"], "live");
    bench.now = until;
    let late = bench.limit(&session, (market, 0), Side::Buy, 100, 100, GTC);
    assert_eq!(error(&bench.post(&session, &late)), "invalid signature");
}

#[test]
fn each_refusal_has_the_venues_own_sentence() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Eoa);
    let market = bench.plain();
    let (yes, ask, bid) =
        ((market, 0), bench.best(market, BookSide::Ask).raw(), bench.best(market, BookSide::Bid).raw());
    let none = json!({});
    let expect = |bench: &mut Bench, order: String, text: &str| {
        let answer = bench.post(&trader, &order);
        let id = match bench.desk.audit().seen().last() {
            Some(seen) => seen.id.to_string(),
            None => String::new(),
        };
        assert_eq!(error(&answer), text.replace("{id}", &id));
        assert_eq!(answer.status, 400, "{text}");
    };
    expect(&mut bench, String::from("{}"), "Invalid order payload");
    let owner = bench.odd(&trader, yes, Side::Buy, (1_000_000, 100_000_000), &json!({"owner": "somebody"}));
    expect(&mut bench, owner, "the order owner has to be the owner of the API KEY");
    let good = bench.odd(&trader, yes, Side::Buy, (1_000_000, 100_000_000), &none);
    expect(&mut bench, good.replace("\"makerAmount\":\"1", "\"makerAmount\":\"2"), "invalid signature");
    let v2 = bench.market(|market, _| market.protocol_v2);
    let elsewhere = &bench.listed(v2).tokens[0].clone();
    let here = &bench.listed(market).tokens[0].clone();
    let moved = bench.odd(&trader, (v2, 0), Side::Buy, (1_000_000, 100_000_000), &none);
    // Signed for the contract of the other version: the token alone says which one it should have been.
    let mut forged: Value = serde_json::from_str(&moved).unwrap();
    assert_eq!(forged["order"]["tokenId"], elsewhere.as_str());
    forged["order"]["tokenId"] = json!(here);
    expect(&mut bench, forged.to_string(), "invalid signature");
    let order = bench.odd(&trader, yes, Side::Buy, (1_050_000, 100_000_000), &none);
    expect(&mut bench, order, "order {id} is invalid. Price (0.0105) breaks minimum tick size rule: 0.01");
    let order = bench.odd(&trader, yes, Side::Buy, (40_000, 4_000_000), &none);
    expect(&mut bench, order, "order {id} is invalid. Size (4) lower than the minimum: 5");
    let order = bench.odd(&trader, yes, Side::Sell, (19_690_000, 4_330_000), &none);
    expect(
        &mut bench,
        order,
        "invalid amounts, the taker amount for a $0.22 order of size 19.69 should be '4.3318' but the value submited is \
         '4.33'",
    );
    let order = bench.odd(&trader, yes, Side::Buy, (1_000_010, 100_001_000), &none);
    expect(
        &mut bench,
        order,
        "the buy orders maker amount supports a max accuracy of 4 decimals, taker amount a max of 2 decimals",
    );
    let order = bench.odd(&trader, yes, Side::Buy, (10_001_000, 20_002_000), &json!({"orderType": "FOK"}));
    expect(
        &mut bench,
        order,
        "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, taker amount a max \
         of 4 decimals",
    );
    let soon = (START.raw() / 1_000 + 179).to_string();
    let order =
        bench.odd(&trader, yes, Side::Buy, (1_000_000, 100_000_000), &json!({"orderType": "GTD", "expiration": soon}));
    expect(&mut bench, order, "invalid expiration");
    let order = bench.odd(&trader, yes, Side::Buy, (1_000_000, 100_000_000), &json!({"expiration": "1899999999"}));
    expect(&mut bench, order, "invalid expiration");
    let order = bench.odd(&trader, yes, Side::Sell, (5_000_000, 4_950_000), &none);
    expect(&mut bench, order, "not enough balance / allowance");
    let order = bench.odd(&trader, yes, Side::Buy, (u64::from(bid) * 200_000_000, 2_000_000_000_000), &none);
    expect(&mut bench, order, "not enough balance / allowance");
    let order = bench.limit(&trader, yes, Side::Buy, ask, 10, OrderType::Gtc { post_only: true });
    expect(&mut bench, order, "invalid post-only order: order crosses book");
    let order = bench.limit(&trader, yes, Side::Buy, bid, 10, OrderType::Gtc { post_only: true });
    assert_eq!(body(&bench.post(&trader, &order))["status"], "live");
    let answer = bench.post(&trader, &order);
    let id = bench.desk.orders()[0].id;
    assert_eq!(error(&answer), format!("order {id} is invalid. Duplicated."));
    assert_eq!(bench.desk.orders().len(), 1);
}

#[test]
fn the_wrong_version_an_unknown_wallet_and_an_unknown_token_are_told_apart() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Eoa);
    let v2 = bench.market(|market, _| market.protocol_v2);
    let order = bench.odd(&trader, (v2, 0), Side::Buy, (1_000_000, 100_000_000), &json!({}));
    let mut body: Value = serde_json::from_str(&order).unwrap();
    // The same struct, signed for domain version 2.
    let wrong = Bench::resigned(&trader, &body, orion::sim::clob::typed::Contract::Standard);
    assert_eq!(error(&bench.post(&trader, &wrong)), "order_version_mismatch");
    body["order"]["tokenId"] = json!("12345");
    let answer = bench.post(&trader, &body.to_string());
    assert_eq!((answer.status, error(&answer).as_str()), (404, "No orderbook exists for the requested token id"));
    body["order"]["maker"] = json!(DEPOSIT);
    let stranger = "maker address not allowed, please use the deposit wallet flow";
    assert_eq!(error(&bench.post(&trader, &body.to_string())), stranger);
}

#[test]
fn restricted_accounts_places_and_markets_are_refused() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Eoa);
    let market = bench.plain();
    let order = bench.limit(&trader, (market, 0), Side::Buy, 100, 100, GTC);
    bench.desk.restrict(trader.address, true, false);
    assert_eq!(error(&bench.post(&trader, &order)), format!("'{}' address banned", trader.address));
    bench.desk.restrict(trader.address, false, true);
    assert_eq!(error(&bench.post(&trader, &order)), format!("'{}' address in closed only mode", trader.address));
    assert_eq!(bench.read(&trader, "/auth/ban-status/closed-only", &[])["closed_only"], true);
    bench.desk.give(trader.wallet, market, 0, Qty::whole(10));
    let sell = bench.limit(&trader, (market, 0), Side::Sell, 9_900, 10, GTC);
    assert_eq!(body(&bench.post(&trader, &sell))["status"], "live", "what is held may be sold");
    bench.desk.restrict(trader.address, false, false);
    bench.desk.set_geoblocked(true);
    assert_eq!(bench.post(&trader, &order).status, 403);
    assert_eq!(bench.read(&trader, "/api/geoblock", &[])["blocked"], true);
    bench.desk.set_geoblocked(false);
    bench.desk.rules.warm_up_ms = u64::MAX / 2;
    assert_eq!(error(&bench.post(&trader, &order)), "the market is not yet ready to process new orders");
    bench.desk.rules.warm_up_ms = 0;
    bench.desk.wallet_mut(trader.wallet).approved.clear();
    assert_eq!(error(&bench.post(&trader, &order)), "not enough balance / allowance");
}

#[test]
fn a_refusal_comes_in_any_of_the_documented_shapes() {
    for (shape, status) in [(RefusalShape::Error, 400), (RefusalShape::Object, 400), (RefusalShape::Hidden, 200)] {
        let mut bench = Bench::new(Rules { refusal: shape, ..calm() });
        let trader = bench.trader(OWNER, Kind::Eoa);
        let market = bench.plain();
        let order = bench.odd(&trader, (market, 0), Side::Buy, (40_000, 4_000_000), &json!({}));
        let answer = bench.post(&trader, &order);
        assert_eq!(answer.status, status);
        let told = if shape == RefusalShape::Error { "error" } else { "errorMsg" };
        assert!(body(&answer)[told].as_str().unwrap().contains("lower than the minimum: 5"));
    }
}

#[test]
fn a_buy_pays_the_makers_price_and_its_fee_when_the_trade_is_mined() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Safe);
    let market = bench.plain();
    let ask = bench.best(market, BookSide::Ask);
    let order = bench.limit(&trader, (market, 0), Side::Buy, ask.raw() + 100, 20, GTC);
    let answer = body(&bench.post(&trader, &order));
    assert_eq!(answer["status"], "matched");
    assert_eq!(answer["takingAmount"], "20");
    let cost = ask.cost(Qty::whole(20));
    assert_eq!(answer["makingAmount"], orion::sim::clob::payload::decimal(cost.raw().unsigned_abs()));
    assert_eq!(answer["tradeIDs"].as_array().unwrap().len(), 1);
    let fee = taker_fee(bench.listed(market).fee, ask, Qty::whole(20), FeeRounding::Up);
    assert!(Money::ZERO < fee);
    let before = Money::dollars(10_000);
    assert_eq!(bench.desk.wallet(trader.wallet).cash, before, "nothing moves at the match");
    assert_eq!(bench.desk.free_cash(trader.wallet), before - cost - fee, "but it is spoken for");
    let rest = |bench: &mut Bench| bench.read(&trader, "/data/trades", &[])["data"][0]["status"].clone();
    assert_eq!(rest(&mut bench), "TRADE_STATUS_MATCHED_NOT_BROADCASTED");
    bench.wait(1_999);
    assert_eq!(rest(&mut bench), "TRADE_STATUS_MATCHED");
    let sell = bench.limit(&trader, (market, 0), Side::Sell, 9_900, 20, GTC);
    assert_eq!(error(&bench.post(&trader, &sell)), "not enough balance / allowance", "not there to be sold yet");
    bench.wait(1);
    assert_eq!(rest(&mut bench), "TRADE_STATUS_MINED");
    assert_eq!(bench.desk.wallet(trader.wallet).cash, before - cost - fee);
    assert_eq!(bench.desk.wallet(trader.wallet).held(market, 0), Qty::whole(20));
    bench.wait(10_000);
    assert_eq!(rest(&mut bench), "TRADE_STATUS_CONFIRMED");
    let bid = bench.best(market, BookSide::Bid);
    let sell = bench.limit(&trader, (market, 0), Side::Sell, bid.raw(), 20, OrderType::Fak);
    let answer = body(&bench.post(&trader, &sell));
    assert_eq!((answer["status"].as_str(), answer["makingAmount"].as_str()), (Some("matched"), Some("20")));
    bench.wait(2_000);
    let sold = bid.proceeds(Qty::whole(20)) - taker_fee(bench.listed(market).fee, bid, Qty::whole(20), FeeRounding::Up);
    assert_eq!(bench.desk.wallet(trader.wallet).cash, before - cost - fee + sold);
    let states: Vec<Value> = bench
        .heard(&trader)
        .iter()
        .filter(|event| event["event_type"] == "trade")
        .map(|event| event["status"].clone())
        .collect();
    assert_eq!(states, ["MATCHED", "MINED", "CONFIRMED", "MATCHED", "MINED"]);
}

#[test]
fn buys_by_dollars_get_more_shares_at_a_better_price() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Eoa);
    let market = bench.plain();
    let ask = bench.best(market, BookSide::Ask);
    let order = bench.spend(&trader, (market, 0), ask.raw() + 200, 50, OrderType::Fok);
    let answer = body(&bench.post(&trader, &order));
    let shares = Qty::parse(answer["takingAmount"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(
        shares.micros(),
        50_000_000 * 10_000 / u64::from(ask.raw()),
        "at the maker's price, to the last millionth"
    );
    let dear = bench.spend(&trader, (market, 0), 100, 50, OrderType::Fok);
    assert_eq!(
        error(&bench.post(&trader, &dear)),
        "order couldn't be fully filled. FOK orders are fully filled or killed."
    );
    let dear = bench.spend(&trader, (market, 0), 100, 50, OrderType::Fak);
    assert_eq!(
        error(&bench.post(&trader, &dear)),
        "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
    );
    let killed = bench.heard(&trader).pop().unwrap();
    assert_eq!((killed["type"].as_str(), killed["size_matched"].as_str()), (Some("CANCELLATION"), Some("")));
    assert!(killed["status"].as_str().unwrap().starts_with("CANCELED_no orders found to match"));
    bench.desk.rules.size_min_for_takers = false;
    let shares = 990_000 * 10_000 / u64::from(ask.raw()) / 100 * 100;
    let small = bench.odd(&trader, (market, 0), Side::Buy, (990_000, shares), &json!({"orderType": "FAK"}));
    assert_eq!(error(&bench.post(&trader, &small)), "invalid amount for a marketable BUY order ($0.99), min size: $1");
}

#[test]
fn two_buyers_of_opposite_tokens_mint_a_pair_and_two_sellers_dissolve_it() {
    let mut bench = Bench::new(calm());
    let maker = bench.trader(OWNER, Kind::Eoa);
    let taker = bench.trader(OTHER, Kind::Eoa);
    let market = bench.plain();
    let (bid, ask) = (bench.best(market, BookSide::Bid).raw(), bench.best(market, BookSide::Ask).raw());
    assert!(bid + 100 < ask, "there is room inside the spread");
    // An offer of YES inside the spread, made as a bid for NO.
    let inside = ask - 100;
    let order = bench.limit(&maker, (market, 1), Side::Buy, Price::DOLLAR - inside, 30, GTC);
    assert_eq!(body(&bench.post(&maker, &order))["status"], "live");
    assert_eq!(bench.best(market, BookSide::Ask).raw(), inside);
    let order = bench.limit(&taker, (market, 0), Side::Buy, inside, 10, OrderType::Gtc { post_only: false });
    assert_eq!(body(&bench.post(&taker, &order))["status"], "matched");
    let seen = bench.read(&maker, "/data/trades", &[])["data"][0].clone();
    assert_eq!((seen["trader_side"].as_str(), seen["side"].as_str()), (Some("MAKER"), Some("BUY")));
    assert_eq!(seen["asset_id"], bench.listed(market).tokens[0].as_str(), "the taker's token above");
    assert_eq!(seen["maker_orders"][0]["asset_id"], bench.listed(market).tokens[1].as_str(), "the maker's below");
    bench.wait(2_000);
    assert_eq!(bench.desk.wallet(maker.wallet).held(market, 1), Qty::whole(10));
    assert_eq!(bench.desk.wallet(taker.wallet).held(market, 0), Qty::whole(10));
    let fee = taker_fee(bench.listed(market).fee, Price::new(inside).unwrap(), Qty::whole(10), FeeRounding::Up);
    assert_eq!(bench.desk.cash(), Money::dollars(20_000) - Money::dollars(10) - fee, "ten dollars became ten pairs");
    let id = bench.desk.orders()[0].id.to_string();
    let open = bench.read(&maker, "/data/orders", &[]);
    assert_eq!(
        (open["data"][0]["id"].as_str(), open["data"][0]["size_matched"].as_str()),
        (Some(id.as_str()), Some("10"))
    );
    let sell = bench.limit(&maker, (market, 1), Side::Sell, Price::DOLLAR - bid - 100, 10, GTC);
    assert_eq!(body(&bench.post(&maker, &sell))["status"], "live");
    let sell = bench.limit(&taker, (market, 0), Side::Sell, bid + 100, 10, OrderType::Fok);
    assert_eq!(body(&bench.post(&taker, &sell))["status"], "matched");
    bench.wait(2_000);
    assert_eq!(bench.desk.wallet(maker.wallet).held(market, 1), Qty::ZERO);
    let fee =
        fee + taker_fee(bench.listed(market).fee, Price::new(bid + 100).unwrap(), Qty::whole(10), FeeRounding::Up);
    assert_eq!(bench.desk.cash(), Money::dollars(20_000) - fee, "and ten dollars again");
}

#[test]
fn the_crowd_meets_a_resting_order_and_leaves_its_neighbours_alone() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Eoa);
    let market = bench.plain();
    let bid = bench.best(market, BookSide::Bid).raw();
    let order = bench.limit(&trader, (market, 0), Side::Buy, bid + 100, 10, GTC);
    assert_eq!(body(&bench.post(&trader, &order))["status"], "live");
    for _ in 0..4_000 {
        bench.now = UnixMs::new(bench.now.raw() + 50);
        let happenings = bench.world.step(1_000.0, bench.now);
        let Bench { world, desk, now, .. } = &mut bench;
        desk.advance(&happenings, world, *now);
        if desk.orders()[0].matched == Qty::whole(10) {
            break;
        }
    }
    assert_eq!(bench.desk.orders()[0].matched, Qty::whole(10), "somebody sold");
    let paid: Qty = bench.desk.trades().iter().fold(Qty::ZERO, |sum, trade| sum.checked_add(trade.taker.qty).unwrap());
    assert_eq!(paid, Qty::whole(10));
    let events = bench.heard(&trader);
    let last = events.iter().rfind(|event| event["event_type"] == "order").unwrap();
    assert_eq!((last["type"].as_str(), last["status"].as_str()), (Some("UPDATE"), Some("MATCHED")));
}

#[test]
fn the_market_channel_shows_an_order_with_the_checksum_of_the_book_that_holds_it() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Eoa);
    let market = bench.plain();
    let mut stream = Stream::new(&bench.world);
    let bid = bench.best(market, BookSide::Bid).raw();
    let order = bench.limit(&trader, (market, 0), Side::Buy, bid + 100, 33, GTC);
    bench.post(&trader, &order);
    let happenings = bench.world.drain();
    let frames = stream.render(&happenings, &bench.world, bench.now);
    let change: Value = serde_json::from_str(&frames[0].text).unwrap();
    for (entry, outcome) in [(0, 0), (1, 1)] {
        let shown = &change["price_changes"][entry];
        let book: Value = serde_json::from_str(&rest_book(&bench.world, market, outcome)).unwrap();
        assert_eq!((shown["size"].as_str(), &shown["hash"]), (Some("33"), &book["hash"]));
        assert_eq!(shown["side"], if outcome == 0 { "BUY" } else { "SELL" });
    }
    let ask = bench.best(market, BookSide::Ask).raw();
    let order = bench.limit(&trader, (market, 0), Side::Buy, ask, 10, GTC);
    bench.post(&trader, &order);
    let happenings = bench.world.drain();
    let frames = stream.render(&happenings, &bench.world, bench.now);
    assert!(frames[0].text.contains(r#""event_type":"book""#), "a trade is told as whole books");
}

#[test]
fn a_market_that_closes_takes_its_orders_along() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Eoa);
    // The first pair is the first to close.
    let market = bench.world.catalog().topics[0].polymarket.unwrap();
    let order = bench.limit(&trader, (market, 0), Side::Buy, 100, 100, GTC);
    assert_eq!(body(&bench.post(&trader, &order))["status"], "live");
    while bench.desk.orders()[0].is_open() {
        bench.now = UnixMs::new(bench.now.raw() + 1_000);
        assert!(bench.now.since(START) < 1_000_000, "it closes after five virtual minutes");
        let happenings = bench.world.step(1_000.0, bench.now);
        let Bench { world, desk, now, .. } = &mut bench;
        desk.advance(&happenings, world, *now);
    }
    assert_eq!(bench.heard(&trader).pop().unwrap()["status"], "CANCELED_MARKET_RESOLVED");
    let late = bench.limit(&trader, (market, 0), Side::Buy, 100, 100, GTC);
    assert_eq!(error(&bench.post(&trader, &late)), "No orderbook exists for the requested token id");
    assert_eq!(bench.desk.free_cash(trader.wallet), Money::dollars(10_000));
}

#[test]
fn a_hold_inside_the_call_delays_the_match_and_looks_at_everything_again() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Eoa);
    let market = bench.market(|market, _| market.taker_hold_ms().is_some());
    let hold_ms = bench.listed(market).taker_hold_ms().unwrap();
    let ask = bench.best(market, BookSide::Ask).raw();
    let order = bench.limit(&trader, (market, 0), Side::Buy, ask, 10, GTC);
    let request = bench.signed(&trader, "POST", "/order", &order);
    let Handled::Held { call, until } = bench.send(&request) else { panic!("not held") };
    assert_eq!(until.since(START), hold_ms);
    let id = bench.desk.orders()[0].id.to_string();
    let cancel = json!({"orderID": id}).to_string();
    let refused = body(&bench.ask(&trader, "DELETE", "/order", &cancel));
    assert_eq!(refused["not_canceled"][&id], "Order not found or already canceled");
    let Bench { world, desk, .. } = &mut bench;
    assert!(desk.answer(call, world, UnixMs::new(until.raw() - 1)).is_none());
    let answer = desk.answer(call, world, until).unwrap();
    assert_eq!((body(&answer)["status"].as_str(), answer.at), (Some("matched"), until));
    // The second one finds the makers gone.
    bench.now = until;
    let order = bench.limit(&trader, (market, 0), Side::Buy, ask, 10, GTC);
    let request = bench.signed(&trader, "POST", "/order", &order);
    let Handled::Held { call, until } = bench.send(&request) else { panic!("not held") };
    bench
        .world
        .on_polymarket(until, |book| ((), book.cancel_level(market, BookSide::Ask, Price::new(ask).unwrap(), until)));
    let Bench { world, desk, .. } = &mut bench;
    assert_eq!(body(&desk.answer(call, world, until).unwrap())["status"], "unmatched");
    assert_eq!(bench.best(market, BookSide::Bid).raw(), ask, "it rests");
}

#[test]
fn a_sports_order_is_delayed_first_and_matched_later() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Deposit);
    let market = bench.plain();
    bench.world.set_seconds_delay(market, 3);
    let ask = bench.best(market, BookSide::Ask).raw();
    let order = bench.limit(&trader, (market, 0), Side::Buy, ask, 10, GTC);
    let answer = body(&bench.post(&trader, &order));
    assert_eq!((answer["status"].as_str(), answer["takingAmount"].as_str()), (Some("delayed"), Some("0")));
    bench.wait(2_999);
    assert!(bench.desk.trades().is_empty());
    bench.wait(1);
    assert_eq!(bench.desk.trades().len(), 1);
    let kinds: Vec<Value> = bench.heard(&trader).iter().map(|event| event["status"].clone()).collect();
    assert_eq!(kinds, ["DELAYED", "LIVE", "MATCHED", "MATCHED"]);
}

#[test]
fn cancels_say_what_went_and_why_the_rest_did_not() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Eoa);
    let market = bench.plain();
    let other = bench.market(|market, _| market.protocol_v2);
    let mut ids = Vec::new();
    for at in [(market, 0), (market, 1), (other, 0)] {
        let order = bench.limit(&trader, at, Side::Buy, 100, 100, GTC);
        ids.push(body(&bench.post(&trader, &order))["orderID"].as_str().unwrap().to_owned());
    }
    let ask = bench.best(market, BookSide::Ask).raw();
    let taken = bench.limit(&trader, (market, 0), Side::Buy, ask, 10, OrderType::Gtc { post_only: false });
    let taken = body(&bench.post(&trader, &taken))["orderID"].as_str().unwrap().to_owned();
    assert_eq!(error(&bench.ask(&trader, "DELETE", "/order", r#"{"orderID":"0x12"}"#)), "Invalid orderID");
    let list = json!([ids[0], taken]).to_string();
    let answer = body(&bench.ask(&trader, "DELETE", "/orders", &list));
    assert_eq!(answer, json!({"canceled": [ids[0]], "not_canceled": {&taken: "Order already matched"}}));
    let one = json!({"market": "", "asset_id": bench.listed(market).tokens[1]}).to_string();
    assert_eq!(body(&bench.ask(&trader, "DELETE", "/cancel-market-orders", &one))["canceled"], json!([ids[1]]));
    assert_eq!(body(&bench.ask(&trader, "DELETE", "/cancel-all", ""))["canceled"], json!([ids[2]]));
    let again = json!({"orderID": ids[2]}).to_string();
    let answer = body(&bench.ask(&trader, "DELETE", "/order", &again));
    assert_eq!(answer["not_canceled"][&ids[2]], "Order not found or already canceled");
    let order = bench.read(&trader, &format!("/data/order/{}", ids[0]), &[]);
    assert_eq!(order["status"], "ORDER_STATUS_CANCELED");
    assert_eq!(
        bench.world.exchange(Venue::Polymarket).market(market).quantity(BookSide::Bid, Price::new(100).unwrap()),
        Qty::ZERO
    );
}

#[test]
fn an_order_with_an_end_goes_a_minute_before_it() {
    let mut bench = Bench::new(calm());
    let trader = bench.trader(OWNER, Kind::Eoa);
    let market = bench.plain();
    let kind = OrderType::gtd(bench.now, 120, false).unwrap();
    let order = bench.limit(&trader, (market, 0), Side::Buy, 100, 100, kind);
    assert_eq!(body(&bench.post(&trader, &order))["status"], "live");
    bench.wait(119_000);
    assert!(bench.desk.orders()[0].is_open());
    bench.wait(1_000);
    assert!(!bench.desk.orders()[0].is_open());
    assert_eq!(bench.heard(&trader).pop().unwrap()["status"], "CANCELED_EXPIRED_ORDER");
}

#[test]
fn the_watch_sees_what_must_never_be_sent() {
    let bounds = Bounds {
        value_max: Some(Money::dollars(20)),
        qty_max: Some(Qty::whole(500)),
        no_risk_after: Some(UnixMs::new(START.raw() + 1_000)),
    };
    let mut bench = Bench::new(Rules { audit: bounds, ..calm() });
    let trader = bench.trader(OWNER, Kind::Eoa);
    let market = bench.plain();
    let order = bench.limit(&trader, (market, 0), Side::Buy, 100, 400, GTC);
    bench.post(&trader, &order);
    assert_eq!(bench.desk.audit().violations(), []);
    bench.post(&trader, &order);
    let large = bench.limit(&trader, (market, 0), Side::Buy, 500, 600, GTC);
    bench.post(&trader, &large);
    bench.wait(1_001);
    bench.desk.give(trader.wallet, market, 1, Qty::whole(50));
    for (outcome, shares) in [(0, 50), (1, 50)] {
        let order = bench.limit(&trader, (market, outcome), Side::Buy, 100, shares, GTC);
        bench.post(&trader, &order);
    }
    let broken = bench.desk.audit().violations();
    assert!(matches!(broken[0], Violation::SentTwice { times: 2, .. }));
    assert!(matches!(broken[1], Violation::TooDear { .. }));
    assert!(matches!(broken[2], Violation::TooLarge { .. }));
    assert!(matches!(broken[3], Violation::RiskAdded { .. }), "the complement of what is held adds none");
    assert_eq!(broken.len(), 4);
    assert_eq!(bench.desk.audit().seen().len(), 5);
    assert!(bench.desk.trades().iter().all(|trade| trade.status != Status::Failed));
}

#[test]
fn fees_are_those_that_the_venue_publishes() {
    let vectors: Value = serde_json::from_slice(include_bytes!("data/polymarket/fee_vectors.json")).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 63);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap().as_bytes();
        let number = |name: &str| Qty::parse(text(name)).unwrap().micros();
        let exponent = u8::try_from(vector["exponent"].as_u64().unwrap()).unwrap();
        let schedule = FeeSchedule { name: "", rate: u32::try_from(number("rate")).unwrap(), exponent, rebate: 0 };
        let (price, qty) = (Price::parse(text("price")).unwrap(), Qty::parse(text("shares")).unwrap());
        for (rounding, name) in [(FeeRounding::Up, "fee_5dp_up"), (FeeRounding::HalfUp, "fee_5dp_half_up")] {
            let fee = taker_fee(Some(schedule), price, qty, rounding);
            let exact = vector["fee_exact"].as_str().unwrap();
            let below = exact.starts_with("0.00000");
            let wanted = if below { 0 } else { number(name) };
            assert_eq!(fee.raw().unsigned_abs(), wanted, "{vector}");
        }
    }
}
