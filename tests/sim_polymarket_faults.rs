//! The simulated Polymarket when it is not itself: restarts, lost answers, trades that fail after they were matched,
//! events that come twice or never, a switch that falls because nobody beats. And what its relayer pays out.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "common/clob.rs"]
mod clob;

use alloy_primitives::{Address, B256};
use clob::{Bench, DEPOSIT, OWNER, START, Trader, body, calm, error};
use orion::sim::clob::account::Kind;
use orion::sim::clob::audit::Violation;
use orion::sim::clob::fault::{Class, Loss, OrderFault};
use orion::sim::clob::mode::Mode;
use orion::sim::clob::stream::Session;
use orion::sim::clob::trade::Status;
use orion::sim::clob::typed::Contract;
use orion::sim::clob::{Carry, Handled, Rules};
use orion::unit::{BookSide, Money, Outcome, Qty, UnixMs};
use orion::venue::polymarket::amount::Side;
use orion::venue::polymarket::call::{Call, Condition};
use orion::venue::polymarket::catalog::Version;
use orion::venue::polymarket::contract::Chain;
use orion::venue::polymarket::order::OrderType;
use orion::venue::polymarket::relay::{self, Action};
use orion::venue::polymarket::sign::WalletSigner;
use serde_json::{Value, json};

const GTC: OrderType = OrderType::Gtc { post_only: false };

struct Story {
    bench: Bench,
    trader: Trader,
    market: usize,
}

impl Story {
    fn new(rules: Rules) -> Self {
        let mut bench = Bench::new(rules);
        let trader = bench.trader(OWNER, Kind::Deposit);
        let market = bench.plain();
        Self { bench, trader, market }
    }

    /// An order that rests.
    fn quiet(&mut self) -> String {
        self.bench.limit(&self.trader, (self.market, 0), Side::Buy, 100, 100, GTC)
    }

    /// An order that takes ten shares.
    fn taking(&mut self) -> String {
        let ask = self.bench.best(self.market, BookSide::Ask).raw();
        self.bench.limit(&self.trader, (self.market, 0), Side::Buy, ask, 10, GTC)
    }

    fn trade_events(&mut self) -> Vec<Value> {
        let events = self.bench.heard(&self.trader);
        events.into_iter().filter(|event| event == "cut" || event["event_type"] == "trade").collect()
    }
}

#[test]
fn a_trade_that_fails_gives_everything_back() {
    let mut story = Story::new(calm());
    story.bench.desk.faults.next_event(OrderFault::TradeFails);
    let order = story.taking();
    assert_eq!(body(&story.bench.post(&story.trader, &order))["status"], "matched");
    assert!(story.bench.desk.free_cash(story.trader.wallet) < Money::dollars(10_000));
    story.bench.wait(20_000);
    assert_eq!(story.bench.desk.trades()[0].status, Status::Failed);
    assert_eq!(story.bench.desk.free_cash(story.trader.wallet), Money::dollars(10_000));
    assert_eq!(story.bench.desk.wallet(story.trader.wallet).held(story.market, 0), Qty::ZERO);
    let states: Vec<Value> = story.trade_events().iter().map(|event| event["status"].clone()).collect();
    assert_eq!(states, ["MATCHED", "RETRYING", "FAILED"]);
    let listed = story.bench.read(&story.trader, "/data/trades", &[]);
    assert_eq!(listed["data"][0]["status"], "TRADE_STATUS_FAILED");
}

#[test]
fn some_trades_need_a_second_try_and_some_fail_by_chance() {
    let mut rules = Rules::default();
    (rules.pace.retry_ppm, rules.pace.fail_ppm) = (300_000, 300_000);
    let mut story = Story::new(rules);
    for _ in 0..40 {
        let order = story.taking();
        assert_eq!(body(&story.bench.post(&story.trader, &order))["status"], "matched");
    }
    story.bench.wait(120_000);
    let trades = story.bench.desk.trades();
    let failed = trades.iter().filter(|trade| trade.status == Status::Failed).count();
    let done = trades.iter().filter(|trade| trade.status == Status::Confirmed).count();
    assert_eq!(failed + done, trades.len(), "every story ends");
    assert!(0 < failed && failed < done, "{failed} {done}");
    let held = story.bench.desk.wallet(story.trader.wallet).held(story.market, 0);
    assert_eq!(held, Qty::whole(10 * done as u32));
    assert_eq!(story.bench.desk.wallet(story.trader.wallet).locked_cash, Money::ZERO);
}

#[test]
fn a_lost_answer_leaves_the_order_and_a_lost_request_does_not() {
    for (fault, arrived) in [
        (OrderFault::AnswerLost(Loss::Status(500)), true),
        (OrderFault::AnswerLost(Loss::Cut(20)), true),
        (OrderFault::Html { arrived: true }, true),
        (OrderFault::RequestLost(Loss::Status(502)), false),
        (OrderFault::RequestLost(Loss::Cut(0)), false),
        (OrderFault::Html { arrived: false }, false),
        (OrderFault::TooMany, false),
        (OrderFault::TooEarly, false),
    ] {
        let mut story = Story::new(calm());
        story.bench.desk.faults.next(Class::Place, fault);
        let order = story.quiet();
        let answer = story.bench.post(&story.trader, &order);
        assert!(answer.status != 200 || answer.carry != Carry::Whole || answer.body.starts_with('<'), "{answer:?}");
        assert_eq!(story.bench.desk.orders().len(), usize::from(arrived), "{fault:?}");
        assert_eq!(story.bench.desk.faults.happened(), [fault]);
        let again = story.bench.post(&story.trader, &order);
        if arrived {
            assert!(error(&again).ends_with("is invalid. Duplicated."), "{fault:?}");
            assert!(matches!(story.bench.desk.audit().violations(), [Violation::SentTwice { .. }]));
        } else {
            assert_eq!(body(&again)["status"], "live", "{fault:?}");
        }
    }
}

#[test]
fn a_late_answer_is_true_all_the_same() {
    let mut story = Story::new(calm());
    story.bench.desk.faults.next(Class::Place, OrderFault::AnswerLate(600_000));
    let order = story.quiet();
    let answer = story.bench.post(&story.trader, &order);
    assert_eq!((answer.at.since(START), body(&answer)["status"].as_str()), (600_000, Some("live")));
    assert!(story.bench.desk.orders()[0].is_open());
}

#[test]
fn a_cancel_may_find_nothing_though_the_order_stands() {
    let mut story = Story::new(calm());
    let order = story.quiet();
    let id = body(&story.bench.post(&story.trader, &order))["orderID"].as_str().unwrap().to_owned();
    story.bench.desk.faults.next(Class::Cancel, OrderFault::CancelDenied);
    let cancel = json!({"orderID": id}).to_string();
    let answer = body(&story.bench.ask(&story.trader, "DELETE", "/order", &cancel));
    assert_eq!(answer, json!({"canceled": [], "not_canceled": {&id: "Order not found or already canceled"}}));
    assert!(story.bench.desk.orders()[0].is_open());
    let answer = body(&story.bench.ask(&story.trader, "DELETE", "/order", &cancel));
    assert_eq!(answer["canceled"], json!([id]));
}

#[test]
fn events_come_twice_late_or_never_and_a_fill_may_have_two_names() {
    let mut story = Story::new(calm());
    for (fault, count) in [(OrderFault::EventTwice, 2), (OrderFault::EventLost, 0), (OrderFault::EventLate(5_000), 0)] {
        story.bench.desk.faults.next_event(fault);
        let order = story.taking();
        story.bench.post(&story.trader, &order);
        assert_eq!(story.trade_events().len(), count, "{fault:?}");
    }
    story.bench.wait(5_000);
    assert!(story.trade_events().iter().any(|event| event["status"] == "MATCHED"), "it came late");
    story.bench.desk.faults.next_event(OrderFault::StreamCut);
    let order = story.taking();
    story.bench.post(&story.trader, &order);
    assert_eq!(story.trade_events(), ["cut"]);
    story.bench.wait(2_000);
    let before = story.bench.desk.wallet(story.trader.wallet).held(story.market, 0);
    story.bench.desk.faults.next_event(OrderFault::TradeTwin);
    let order = story.taking();
    let answer = body(&story.bench.post(&story.trader, &order));
    assert_eq!(answer["tradeIDs"].as_array().unwrap().len(), 2);
    assert_eq!(answer["takingAmount"], "10");
    story.bench.wait(2_000);
    let after = story.bench.desk.wallet(story.trader.wallet).held(story.market, 0);
    assert_eq!(after.saturating_sub(before), Qty::whole(10), "the second name moves nothing");
}

#[test]
fn a_listing_has_pages_and_may_lose_one() {
    let mut story = Story::new(Rules { page: 2, ..calm() });
    for _ in 0..5 {
        let order = story.quiet();
        story.bench.post(&story.trader, &order);
    }
    let mut cursor = String::from("MA==");
    let mut sizes = Vec::new();
    while cursor != "LTE=" {
        let page = story.bench.read(&story.trader, "/data/orders", &[("next_cursor", &cursor)]);
        sizes.push(page["data"].as_array().unwrap().len());
        cursor = page["next_cursor"].as_str().unwrap().to_owned();
    }
    assert_eq!(sizes, [2, 2, 1]);
    story.bench.desk.faults.next(Class::Read, OrderFault::PageMissing);
    let page = story.bench.read(&story.trader, "/data/orders", &[]);
    let third = story.bench.desk.orders()[2].id.to_string();
    assert_eq!(page["data"][0]["id"], third.as_str(), "the first page is missing without a word");
}

#[test]
fn trades_are_found_by_time_and_balances_by_asset() {
    let mut story = Story::new(calm());
    let order = story.taking();
    story.bench.post(&story.trader, &order);
    story.bench.wait(20_000);
    let order = story.taking();
    story.bench.post(&story.trader, &order);
    let secs = (START.raw() / 1_000 + 5).to_string();
    for (name, count) in [("after", 1), ("before", 1), ("market", 0)] {
        let page = story.bench.read(&story.trader, "/data/trades", &[(name, &secs)]);
        assert_eq!(page["data"].as_array().unwrap().len(), count, "{name}");
    }
    let kind = ("signature_type", "3");
    let cash = story.bench.read(&story.trader, "/balance-allowance", &[("asset_type", "COLLATERAL"), kind]);
    let known = story.bench.desk.wallet(story.trader.wallet).cash.raw().to_string();
    assert_eq!(cash["balance"], known.as_str());
    assert_eq!(cash["allowances"].as_object().unwrap().len(), 3);
    let token = story.bench.listed(story.market).tokens[0].clone();
    let tokens = [("asset_type", "CONDITIONAL"), ("token_id", token.as_str()), kind];
    assert_eq!(story.bench.read(&story.trader, "/balance-allowance", &tokens)["balance"], "10000000");
    story.bench.desk.wallet_mut(story.trader.wallet).unseen = Money::dollars(5);
    let mut update = story.bench.signed(&story.trader, "GET", "/balance-allowance/update", "");
    update.query = vec![("asset_type".into(), "COLLATERAL".into()), ("signature_type".into(), "3".into())];
    let Handled::Now(answer) = story.bench.send(&update) else { panic!("held") };
    assert_eq!(answer.status, 200);
    let more = story.bench.read(&story.trader, "/balance-allowance", &[("asset_type", "COLLATERAL"), kind]);
    assert_ne!(more["balance"], cash["balance"], "the venue looks at the chain when it is told to");
    let rows = story.bench.read(&story.trader, "/v2/positions", &[("user", DEPOSIT)]);
    assert_eq!(rows["data"][0]["size"], "10");
}

#[test]
fn a_restart_takes_nothing_and_then_only_what_promises_not_to_take() {
    let mut story = Story::new(calm());
    let first = story.quiet();
    let id = body(&story.bench.post(&story.trader, &first))["orderID"].clone();
    story.bench.desk.restart(story.bench.now);
    let order = story.quiet();
    let answer = story.bench.post(&story.trader, &order);
    assert_eq!((answer.status, answer.body.as_str()), (425, ""));
    story.bench.wait(90_000);
    let order = story.quiet();
    let answer = story.bench.post(&story.trader, &order);
    assert_eq!(answer.status, 503);
    assert_eq!(body(&answer)["code"], "post_only_mode");
    assert_eq!(body(&answer)["retry_after_seconds"], 120);
    assert!(answer.headers.contains(&("Retry-After", String::from("120"))));
    let batch = body(&story.bench.ask(&story.trader, "POST", "/orders", &format!("[{order}]")));
    assert_eq!((batch[0]["success"].as_bool(), batch[0]["orderID"].as_str()), (Some(true), Some("")));
    let post_only = OrderType::Gtc { post_only: true };
    let quiet = story.bench.limit(&story.trader, (story.market, 0), Side::Buy, 100, 100, post_only);
    assert_eq!(body(&story.bench.post(&story.trader, &quiet))["status"], "live");
    let cancel = json!({"orderID": id}).to_string();
    assert_eq!(body(&story.bench.ask(&story.trader, "DELETE", "/order", &cancel))["canceled"], json!([id]));
    story.bench.wait(120_000);
    let order = story.quiet();
    assert_eq!(body(&story.bench.post(&story.trader, &order))["status"], "live");
}

#[test]
fn cancel_only_and_disabled_say_so() {
    let mut story = Story::new(calm());
    let first = story.quiet();
    let id = body(&story.bench.post(&story.trader, &first))["orderID"].clone();
    let order = story.quiet();
    story.bench.desk.set_mode(Mode::Disabled);
    let answer = story.bench.post(&story.trader, &order);
    let text = "Trading is currently disabled. Check polymarket.com for updates";
    assert_eq!((answer.status, error(&answer).as_str()), (503, text));
    let cancel = json!({"orderID": id}).to_string();
    assert_eq!(story.bench.ask(&story.trader, "DELETE", "/order", &cancel).status, 503);
    assert_eq!(story.bench.read(&story.trader, "/data/orders", &[])["count"], 1, "reads work");
    story.bench.desk.set_mode(Mode::CancelOnly);
    let text = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.";
    assert_eq!(error(&story.bench.post(&story.trader, &order)), text);
    assert_eq!(body(&story.bench.ask(&story.trader, "DELETE", "/order", &cancel))["canceled"], json!([id]));
}

#[test]
fn a_batch_hides_its_errors_and_has_a_largest_size() {
    let mut story = Story::new(calm());
    let good = story.quiet();
    let bad = good.replace("\"makerAmount\":\"1", "\"makerAmount\":\"2");
    let answer = story.bench.ask(&story.trader, "POST", "/orders", &format!("[{good},{bad},{{}}]"));
    assert_eq!(answer.status, 200);
    let entries = body(&answer);
    let texts: Vec<&str> = entries.as_array().unwrap().iter().map(|e| e["errorMsg"].as_str().unwrap()).collect();
    assert_eq!(texts, ["", "invalid signature", "Invalid order payload"]);
    let many = vec![good; 20].join(",");
    let answer = story.bench.ask(&story.trader, "POST", "/orders", &format!("[{many}]"));
    assert_eq!(error(&answer), "Too many orders in payload: 20, max allowed: 15");
}

#[test]
fn nobody_beats_and_the_switch_takes_every_order() {
    let mut story = Story::new(calm());
    let order = story.quiet();
    story.bench.post(&story.trader, &order);
    story.bench.wait(60_000);
    assert!(story.bench.desk.orders()[0].is_open(), "a switch that was never armed never falls");
    let beat = |story: &mut Story, id: &str| {
        story.bench.ask(&story.trader, "POST", "/v1/heartbeats", &json!({"heartbeat_id": id}).to_string())
    };
    let id = body(&beat(&mut story, ""))["heartbeat_id"].as_str().unwrap().to_owned();
    story.bench.wait(5_000);
    let stale = beat(&mut story, "");
    assert_eq!((stale.status, body(&stale)["heartbeat_id"].as_str()), (400, Some(id.as_str())));
    assert_eq!(error(&stale), "Invalid Heartbeat ID");
    assert_eq!(beat(&mut story, &id).status, 200);
    story.bench.wait(9_999);
    assert!(story.bench.desk.orders()[0].is_open());
    story.bench.wait(5_001);
    assert!(!story.bench.desk.orders()[0].is_open(), "ten seconds, and up to five until somebody looks");
}

#[test]
fn funds_that_go_elsewhere_take_their_orders_along() {
    let mut story = Story::new(calm());
    for _ in 0..2 {
        let order = story.bench.limit(&story.trader, (story.market, 0), Side::Buy, 100, 400_000, GTC);
        assert_eq!(body(&story.bench.post(&story.trader, &order))["status"], "live");
    }
    story.bench.desk.wallet_mut(story.trader.wallet).cash = Money::dollars(5_000);
    let Bench { world, desk, now, .. } = &mut story.bench;
    desk.recheck(story.trader.wallet, world, *now);
    let open: Vec<bool> = story.bench.desk.orders().iter().map(orion::sim::clob::Order::is_open).collect();
    assert_eq!(open, [true, false], "the newest goes first");
    assert_eq!(story.bench.heard(&story.trader).pop().unwrap()["status"], "CANCELED_NOT_ENOUGH_BALANCE");
}

#[test]
fn a_signers_bucket_warns_and_refuses_when_it_is_told_to() {
    let mut story = Story::new(calm());
    let mut warned = false;
    for _ in 0..61 {
        let order = story.quiet();
        let answer = story.bench.post(&story.trader, &order);
        assert_eq!(answer.status, 200);
        assert!(answer.headers.iter().any(|header| header.0 == "Poly-RateLimit-Tier"));
        warned = answer.headers.iter().any(|header| header.0 == "Poly-RateLimit-Warning");
    }
    assert!(warned, "the sixty-first of one moment");
    story.bench.desk.rules.buckets_enforced = true;
    let order = story.quiet();
    assert_eq!(story.bench.post(&story.trader, &order).status, 429);
    story.bench.wait(25);
    assert_eq!(story.bench.post(&story.trader, &order).status, 200, "forty a second");
}

#[test]
fn the_user_channel_wants_a_key_and_keeps_to_its_markets() {
    let story = Story::new(calm());
    let (desk, world) = (&story.bench.desk, &story.bench.world);
    let hello = |secret: &str, markets: Value| {
        let key = &story.trader.key;
        json!({"type": "user", "markets": markets,
            "auth": {"apiKey": key.id, "secret": secret, "passphrase": key.passphrase}})
        .to_string()
    };
    assert!(Session::default().handle_text(&hello("wrong", json!([])), desk, world).close);
    assert!(Session::default().handle_text(r#"{"operation":"subscribe"}"#, desk, world).close);
    let mut session = Session::default();
    assert_eq!(session.handle_text("PING", desk, world).frames, ["PONG"]);
    let other = (story.market + 1) % world.catalog().polymarket.len();
    let names = json!([world.catalog().polymarket[other].condition_id]);
    assert!(!session.handle_text(&hello(&story.trader.key.secret, names), desk, world).close);
    let mut story = Story { bench: story.bench, ..story };
    let order = story.quiet();
    story.bench.post(&story.trader, &order);
    let notices = story.bench.desk.notices(story.bench.now);
    assert_eq!(notices.len(), 1);
    assert!(!session.wants(&notices[0]), "another market");
    let more = json!({"operation": "subscribe", "markets": [story.bench.listed(story.market).condition_id]});
    session.handle_text(&more.to_string(), &story.bench.desk, &story.bench.world);
    assert!(session.wants(&notices[0]));
}

#[test]
fn the_relayer_merges_pairs_and_redeems_what_is_resolved() {
    let mut story = Story::new(calm());
    let wallet = story.trader.wallet;
    // The first pair that closes and is neither new nor one of several.
    let topics = &story.bench.world.catalog().topics;
    let market =
        topics.iter().filter_map(|topic| topic.polymarket).find(|&at| story.bench.contract(at) == Contract::Standard);
    let market = market.unwrap();
    story.bench.desk.split(wallet, market, Qty::whole(100));
    let key = WalletSigner::from_hex(OWNER).unwrap();
    let address: Address = DEPOSIT.parse().unwrap();
    let name = story.bench.listed(market).condition_id.clone();
    let condition = Condition::new(Version::V1, false, name.parse::<B256>().unwrap().0).unwrap();
    let submit = |story: &mut Story, nonce: u64, calls: &[Call]| {
        let action = Action::new(calls, nonce, "").unwrap();
        let sent = relay::deposit_wallet(&key, address, Chain::Polygon, &action, story.bench.now);
        let mut request = clob::call("POST", "/submit");
        request.body = sent.body;
        let Handled::Now(answer) = story.bench.send(&request) else { panic!("held") };
        answer
    };
    let merging = [condition.merge(Qty::whole(40))];
    let wrong = submit(&mut story, 3, &merging);
    assert_eq!(error(&wrong), "batch nonce 3 does not match on-chain nonce 0");
    let id = body(&submit(&mut story, 0, &merging))["transactionID"].as_str().unwrap().to_owned();
    assert_eq!(error(&submit(&mut story, 1, &merging)), "wallet has in-flight action");
    story.bench.wait(4_000);
    assert_eq!(story.bench.desk.wallet(wallet).cash, Money::dollars(9_940));
    story.bench.wait(8_000);
    let state = story.bench.read(&story.trader, &format!("/v1/account/transactions/{id}"), &[]);
    assert_eq!(state["state"], "STATE_CONFIRMED");
    let redeeming = [condition.redeem(Outcome::Yes, Qty::whole(60))];
    let id = body(&submit(&mut story, 1, &redeeming))["transactionID"].as_str().unwrap().to_owned();
    story.bench.wait(4_000);
    let state = story.bench.read(&story.trader, &format!("/v1/account/transactions/{id}"), &[]);
    assert_eq!(state["state"], "STATE_FAILED", "nothing is resolved yet");
    while story.bench.listed(market).state.payout.is_none() {
        story.bench.now = UnixMs::new(story.bench.now.raw() + 1_000);
        assert!(story.bench.now.since(START) < 10_000_000, "it resolves");
        let happenings = story.bench.world.step(2_000.0, story.bench.now);
        let Bench { world, desk, now, .. } = &mut story.bench;
        desk.advance(&happenings, world, *now);
    }
    assert_eq!(story.bench.desk.wallet(wallet).cash, Money::dollars(9_940), "nobody is paid who does not ask");
    assert_eq!(submit(&mut story, 2, &redeeming).status, 200);
    story.bench.wait(4_000);
    assert_eq!(story.bench.desk.wallet(wallet).cash, Money::dollars(10_000), "YES and NO together are a dollar");
    assert_eq!(story.bench.desk.wallet(wallet).held(market, 1), Qty::ZERO);
}

#[test]
fn chance_breaks_what_it_may_and_money_is_still_conserved() {
    let mut story = Story::new(Rules::default());
    story.bench.desk.faults.by_chance(11, 250);
    for round in 0..200_u64 {
        let order = if round % 3 == 0 { story.quiet() } else { story.taking() };
        story.bench.post(&story.trader, &order);
        story.bench.now = UnixMs::new(story.bench.now.raw() + 250);
        let happenings = story.bench.world.step(250.0, story.bench.now);
        let Bench { world, desk, now, .. } = &mut story.bench;
        desk.advance(&happenings, world, *now);
    }
    assert!(30 < story.bench.desk.faults.happened().len());
    story.bench.wait(200_000);
    let mut spent = Money::ZERO;
    let mut bought = Qty::ZERO;
    for trade in story.bench.desk.trades().iter().filter(|trade| trade.status == Status::Confirmed && !trade.is_twin) {
        for party in trade.parties().filter(|party| party.order.is_some()) {
            spent += party.cash();
            bought = bought.checked_add(party.qty).unwrap();
        }
    }
    let wallet = story.bench.desk.wallet(story.trader.wallet);
    assert_eq!(wallet.cash, Money::dollars(10_000) - spent);
    assert_eq!(wallet.held(story.market, 0), bought);
}
