//! Orders at the simulated Kalshi: what it refuses and in which words, how it matches, and what it answers.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "common/sim_kalshi.rs"]
mod sim_kalshi;

use orion::sim::handshake::Headers;
use orion::sim::kalshi::answer::{PREFIX, Request};
use orion::sim::kalshi::desk::Shard;
use orion::unit::{BookSide, Money, Qty};
use serde_json::{Value, json};
use sim_kalshi::{ORDERS, Town, code, settings, with};

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn a_body_that_cannot_be_read_gets_a_flat_error_that_names_the_field() {
    let mut town = Town::new();
    let good = town.order("bid", "0.5000", "1.00");
    for (more, field) in [
        (json!({"count": 1}), "cannot unmarshal number into Go struct field CreateOrderV2Request.count of type string"),
        (json!({"price": 0.5}), "CreateOrderV2Request.price of type string"),
        (json!({"post_only": "yes"}), "CreateOrderV2Request.post_only of type bool"),
        (json!({"ticker": null}), "'CreateOrderV2Request.ticker'"),
        (json!({"side": "yes"}), "'side' failed on the 'oneof' tag"),
        (json!({"time_in_force": "gtc"}), "'time_in_force' failed on the 'oneof' tag"),
        (json!({"price": "half"}), "price: invalid fixed-point number"),
    ] {
        let (status, body) = town.create(1, &with(good.clone(), &more));
        assert_eq!((status, body["code"].as_str()), (400, Some("bad_request")), "{more}: {body}");
        assert!(body["details"].as_str().unwrap().contains(field), "{body}");
    }
    let answer = town.send(1, "POST", ORDERS, b"{\"ticker\":");
    assert!(answer.reply.body.starts_with(r#"{"code":"bad_request""#), "{}", answer.reply.body);
    assert!(town.desk.check().seen().is_empty(), "what cannot be read is no order");
}

#[test]
fn each_rule_of_entry_refuses_in_its_own_words() {
    let mut town = Town::new();
    let (bid, ask) = (town.order("bid", "0.5000", "1.00"), town.order("ask", "0.5200", "5.00"));
    town.placed(2, &ask);
    let past = town.now.raw() / 1_000 - 1;
    for (more, expected) in [
        (json!({"ticker": "KXNOSUCH"}), refusal(404, "market_not_found")),
        (json!({"exchange_index": 2}), refusal(404, "market_not_found")),
        (json!({"price": "0.5150"}), refusal(400, "invalid_price")),
        (json!({"price": "1.0000"}), refusal(400, "invalid_price")),
        (json!({"price": "0.0000"}), refusal(400, "invalid_price")),
        (json!({"count": "0.00"}), refusal(400, "invalid_order_size")),
        (json!({"count": "1.005"}), refusal(400, "invalid_order")),
        (json!({"expiration_time": past}), refusal(400, "invalid_order")),
        (json!({"expiration_time": past + 100, "time_in_force": "immediate_or_cancel"}), refusal(400, "invalid_order")),
        (json!({"order_group_id": "none"}), refusal(404, "order_group_not_found")),
        (json!({"reduce_only": true}), refusal(400, "invalid_order")),
        (json!({"reduce_only": true, "time_in_force": "immediate_or_cancel"}), refusal(400, "insufficient_balance")),
        (json!({"count": "2001.00"}), refusal(400, "insufficient_balance")),
        (json!({"side": "ask", "count": "2001.00"}), refusal(400, "insufficient_balance")),
        (json!({"post_only": true, "price": "0.5200"}), refusal(400, "invalid_order")),
        (
            json!({"price": "0.5200", "count": "6.00", "time_in_force": "fill_or_kill"}),
            refusal(400, "fok_insufficient_volume"),
        ),
        (json!({"subaccount": 7}), refusal(404, "subaccount_not_found")),
    ] {
        assert_eq!(town.refused(1, &with(bid.clone(), &more)), expected, "{more}");
    }
    let (_, body) = town.create(1, &with(bid.clone(), &json!({"post_only": true, "price": "0.5200"})));
    assert_eq!(body["error"]["details"], "post only cross");
    let (_, body) = town.create(1, &with(bid.clone(), &json!({"reduce_only": true})));
    assert_eq!(body["error"]["details"], "reduce_only can only be used with IoC or FoK orders");
    assert_eq!(town.cash(0, 0), Money::dollars(1_000));
    town.placed(1, &bid);
}

#[test]
fn a_closed_or_paused_market_takes_no_orders_and_a_paused_exchange_not_even_cancels() {
    let mut town = Town::new();
    let ticker = town.ticker.clone();
    let bid = town.order("bid", "0.5000", "1.00");
    let resting = town.placed(1, &bid);
    let flagged = town.order("bid", "0.4900", "1.00");
    let flagged = town.placed(1, &with(flagged, &json!({"cancel_order_on_pause": true})));
    let other = town.order("bid", "0.4800", "1.00");
    let now = town.now;
    town.desk.set_shard(&mut town.world, 0, Shard::ExchangePaused, now);
    assert_eq!(town.refused(1, &other), refusal(400, "exchange_paused"));
    assert_eq!(code(&town.cancel(1, &resting, &ticker).1), "exchange_paused");
    assert_eq!(town.get(1, "/exchange/status")["exchange_index_statuses"][0]["exchange_active"], false);
    town.desk.set_shard(&mut town.world, 0, Shard::TradingPaused, now);
    assert_eq!(town.refused(1, &other), refusal(400, "trading_paused"));
    assert_eq!(code(&town.cancel(1, &flagged, &ticker).1), "not_found", "the pause took it");
    assert_eq!(town.cancel(1, &resting, &ticker).0, 200, "cancels work while only trading pauses");
    town.desk.set_shard(&mut town.world, 0, Shard::Open, now);
    let kept = town.placed(1, &other);
    town.world.pause(town.market);
    let late = town.order("bid", "0.4700", "1.00");
    assert_eq!(town.refused(1, &late), refusal(400, "trading_paused"));
    town.world.resume(town.market);
    assert_eq!(code(&town.cancel(1, &kept, &ticker).1), "not_found", "a reopening cancels what rested");
    town.empty(town.market);
    let last = town.placed(1, &late);
    let market = town.market;
    town.world.decide(market, Money::dollars(1));
    town.live(1);
    assert_eq!(code(&town.cancel(1, &last, &ticker).1), "market_inactive");
    let order = town.get(1, &format!("/portfolio/orders/{}", last["order_id"].as_str().unwrap()));
    assert_eq!(order["order"]["status"], "canceled");
    let bid = town.order("bid", "0.4000", "1.00");
    assert_eq!(town.refused(1, &bid), refusal(400, "market_inactive"));
}

#[test]
fn a_taker_is_filled_at_the_resting_price_and_its_answer_has_the_captured_shape() {
    let mut town = Town::new();
    let ask = town.order("ask", "0.5200", "1.00");
    town.placed(2, &ask);
    let mut answer = {
        let order = town.taker("bid", "0.9900", "1.00");
        town.placed(1, &order)
    };
    let id = answer["order_id"].take();
    assert_eq!(
        answer,
        json!({"average_fee_paid": "0.0175", "average_fill_price": "0.5200", "client_order_id": "id-2",
            "fill_count": "1.00", "order_id": null, "remaining_count": "0.00", "ts_ms": town.now.raw()})
    );
    assert_eq!(town.cash(0, 0), Money::micros(999_462_500));
    assert_eq!(town.cash(1, 0), Money::micros(999_520_000), "a plain series asks nothing of makers");
    let order = town.get(1, &format!("/portfolio/orders/{}", id.as_str().unwrap()));
    let order = &order["order"];
    assert_eq!((&order["status"], &order["yes_price_dollars"]), (&json!("executed"), &json!("0.9900")));
    assert_eq!(
        (&order["taker_fill_cost_dollars"], &order["taker_fees_dollars"]),
        (&json!("0.520000"), &json!("0.017500"))
    );
}

#[test]
fn buying_no_while_long_returns_a_dollar_a_pair_at_once() {
    // The dossier's proof: 999.52 and 999.4625, then 1000.04 and 999.9250.
    let mut town = Town::new();
    let bid = town.order("bid", "0.4800", "1.00");
    town.placed(1, &bid);
    let no = town.taker("ask", "0.4800", "1.00");
    town.placed(2, &no);
    assert_eq!((town.cash(0, 0), town.cash(1, 0)), (Money::micros(999_520_000), Money::micros(999_462_500)));
    assert_eq!((town.position(0), town.position(1)), (1_000_000, -1_000_000));
    let ask = town.order("ask", "0.5200", "1.00");
    town.placed(1, &ask);
    let yes = town.taker("bid", "0.5200", "1.00");
    town.placed(2, &yes);
    assert_eq!((town.cash(0, 0), town.cash(1, 0)), (Money::micros(1_000_040_000), Money::micros(999_925_000)));
    let positions = town.get(1, "/portfolio/positions");
    let row = &positions["market_positions"][0];
    assert_eq!((&row["position_fp"], &row["realized_pnl_dollars"]), (&json!("0.00"), &json!("0.040000")));
    assert_eq!(row["market_exposure_dollars"], "0.000000");
}

#[test]
fn what_does_not_fill_at_once_is_gone_or_rests_as_asked() {
    let mut town = Town::new();
    let order = town.taker("bid", "0.5000", "3.00");
    let answer = town.placed(1, &order);
    assert_eq!((&answer["fill_count"], &answer["remaining_count"]), (&json!("0.00"), &json!("0.00")));
    assert!(answer.get("average_fill_price").is_none());
    let ask = town.order("ask", "0.5000", "2.00");
    town.placed(2, &ask);
    let answer = {
        let order = town.order("bid", "0.5000", "5.00");
        town.placed(1, &order)
    };
    assert_eq!((&answer["fill_count"], &answer["remaining_count"]), (&json!("2.00"), &json!("3.00")));
    assert_eq!(town.resting(BookSide::Bid, 5_000), Qty::whole(3));
    let ask = town.order("ask", "0.4500", "3.00");
    let answer = town.placed(2, &with(ask, &json!({"time_in_force": "fill_or_kill"})));
    assert_eq!((&answer["fill_count"], &answer["average_fill_price"]), (&json!("3.00"), &json!("0.5000")));
    let secs = town.now.raw() / 1_000 + 2;
    let order = town.order("bid", "0.3000", "1.00");
    let expiring = town.placed(1, &with(order, &json!({"expiration_time": secs})));
    town.wait(2_100);
    let order = town.get(1, &format!("/portfolio/orders/{}", expiring["order_id"].as_str().unwrap()));
    assert_eq!(order["order"]["status"], "canceled");
}

#[test]
fn an_order_that_would_meet_its_owner_stops_or_takes_the_other_out() {
    let mut town = Town::new();
    let session = town.listen(0, &["user_orders"]);
    let bid = town.order("bid", "0.4800", "1.00");
    let resting = town.placed(1, &bid);
    let ask = town.order("ask", "0.4900", "2.00");
    town.placed(2, &ask);
    let answer = {
        let order = town.taker("ask", "0.4800", "1.00");
        town.placed(1, &order)
    };
    assert_eq!(answer["fill_count"], "0.00");
    assert_eq!(town.of_kind(session, "user_order").last().unwrap()["last_update_reason"], "SelfTradeCancel");
    assert_eq!(town.resting(BookSide::Bid, 4_800), Qty::ONE, "the resting order stays");
    // Behind its own bid another one waits: in the other mode the own one goes and the newcomer goes on.
    let bid = town.order("bid", "0.4700", "1.00");
    town.placed(2, &bid);
    let order = town.order("ask", "0.4700", "3.00");
    let answer = town.placed(1, &with(order, &json!({"self_trade_prevention_type": "maker"})));
    assert_eq!((&answer["fill_count"], &answer["remaining_count"]), (&json!("1.00"), &json!("2.00")));
    assert_eq!(town.cancel(1, &resting, &town.ticker.clone()).0, 404);
    assert_eq!(town.resting(BookSide::Bid, 4_800), Qty::ZERO);
    // A fill-or-kill order that would meet its owner is treated as immediate-or-cancel.
    let order = town.order("bid", "0.4900", "4.00");
    let answer = town.placed(1, &with(order, &json!({"time_in_force": "fill_or_kill"})));
    assert_eq!(answer["fill_count"], "0.00", "its own ask at 0.47 stands first");
}

#[test]
fn an_id_is_spent_for_good_once_an_order_with_it_was_accepted() {
    let mut town = Town::new();
    let ticker = town.ticker.clone();
    let bid = town.order("bid", "0.4800", "1.00");
    assert_eq!(town.refused(1, &with(bid.clone(), &json!({"price": "0.4850"}))), refusal(400, "invalid_price"));
    let order = town.placed(1, &bid);
    assert_eq!(town.refused(1, &bid), refusal(409, "order_already_exists"));
    let (status, answer) = town.cancel(1, &order, &ticker);
    assert_eq!((status, &answer["reduced_by"]), (200, &json!("1.00")));
    assert_eq!(town.refused(1, &bid), refusal(409, "order_already_exists"));
    town.placed(2, &bid);
    assert_eq!(code(&town.cancel(1, &order, &ticker).1), "not_found");
    let stranger = json!({"order_id": "00000000-0000-0000-0000-000000000000"});
    let (once, twice) = (town.cancel(1, &order, &ticker), town.cancel(1, &stranger, &ticker));
    assert_eq!(once, twice, "done, cancelled or never there: the same answer");
}

#[test]
fn a_cancel_without_its_market_goes_to_shard_zero_and_finds_nothing() {
    let mut town = Town::new();
    let market = town.find(3, "quadratic_with_maker_fees", 1_000_000);
    town.empty(market);
    town.ticker = town.ticker_of(market);
    let bid = town.order("bid", "0.4800", "10.00");
    let order = town.placed(1, &bid);
    let id = order["order_id"].as_str().unwrap();
    let path = format!("{ORDERS}/{id}");
    assert_eq!(code(&town.ask(1, "DELETE", &path, &Value::Null).1), "not_found");
    assert_eq!(code(&town.ask(1, "POST", &format!("{path}/decrease"), &json!({"reduce_by": "1"})).1), "not_found");
    let body = json!({"reduce_by": "1.50", "market_ticker": town.ticker});
    let (status, answer) = town.ask(1, "POST", &format!("{path}/decrease"), &body);
    assert_eq!((status, &answer["remaining_count"]), (200, &json!("8.50")));
    assert_eq!(town.ask(1, "DELETE", &format!("{path}?exchange_index=3"), &Value::Null).0, 200);
}

#[test]
fn an_amend_keeps_its_place_only_for_less_of_the_same() {
    let mut town = Town::new();
    let bid = town.order("bid", "0.4800", "5.00");
    let first = town.placed(1, &bid);
    let bid = town.order("bid", "0.4800", "5.00");
    town.placed(2, &bid);
    let id = first["order_id"].as_str().unwrap().to_owned();
    let path = format!("{ORDERS}/{id}/amend");
    let body = json!({"ticker": town.ticker, "side": "bid", "price": "0.4800", "count": "3.00"});
    let ahead =
        |town: &mut Town| town.get(1, &format!("/portfolio/orders/{id}/queue_position"))["queue_position_fp"].clone();
    let (status, answer) = town.ask(1, "POST", &path, &body);
    assert_eq!((status, &answer["remaining_count"]), (200, &json!("3.00")));
    assert_eq!(ahead(&mut town), "0.00");
    assert_eq!(
        code(&town.ask(1, "POST", &path, &with(body.clone(), &json!({"side": "ask"}))).1),
        "order_side_mismatch"
    );
    let wrong = with(body.clone(), &json!({"client_order_id": "another"}));
    assert_eq!(code(&town.ask(1, "POST", &path, &wrong).1), "order_id_and_client_order_id_mismatch");
    let (_, answer) = town.ask(1, "POST", &path, &with(body.clone(), &json!({"count": "4.00"})));
    assert_eq!(answer["remaining_count"], "4.00");
    assert_eq!(ahead(&mut town), "5.00", "more means the back of the queue");
    let (_, answer) = town.ask(1, "POST", &path, &with(body.clone(), &json!({"count": "4.00", "price": "0.4700"})));
    assert!(answer.get("remaining_count").is_none(), "a pure change of price says nothing else: {answer}");
    let ask = town.order("ask", "0.4900", "1.00");
    town.placed(2, &ask);
    let (_, answer) = town.ask(1, "POST", &path, &with(body, &json!({"count": "4.00", "price": "0.4900"})));
    assert_eq!((&answer["fill_count"], &answer["average_fill_price"]), (&json!("1.00"), &json!("0.4900")));
    assert_eq!(answer["remaining_count"], "3.00");
}

#[test]
fn batches_answer_item_by_item_and_cancel_all_eats_some_of_the_next_minute() {
    let mut town = Town::new();
    let ticker = town.ticker.clone();
    let (good, bad) = (town.order("bid", "0.4800", "1.00"), town.order("bid", "0.4850", "1.00"));
    let (status, answer) = town.ask(1, "POST", &format!("{ORDERS}/batched"), &json!({"orders": [good, bad]}));
    assert_eq!((status, &answer["orders"][0]["remaining_count"]), (201, &json!("1.00")));
    assert_eq!(answer["orders"][1]["error"]["code"], "invalid_price");
    let id = &answer["orders"][0]["order_id"];
    let body = json!({"orders": [{"order_id": id, "market_ticker": ticker}, {"order_id": "nothing"}]});
    let (_, answer) = town.ask(1, "DELETE", &format!("{ORDERS}/batched"), &body);
    assert_eq!(answer["orders"][0]["reduced_by"], "1.00");
    assert_eq!(
        (&answer["orders"][1]["reduced_by"], &answer["orders"][1]["error"]["code"]),
        (&json!("0.00"), &json!("not_found"))
    );
    for _ in 0..5 {
        let order = town.order("bid", "0.4800", "1.00");
        town.placed(1, &order);
    }
    let answer = town.send(1, "DELETE", ORDERS, b"");
    assert_eq!((answer.reply.status, answer.reply.body.as_str()), (204, ""));
    assert_eq!(town.resting(BookSide::Bid, 4_800), Qty::ZERO);
    for _ in 0..20 {
        let order = town.order("bid", "0.4800", "1.00");
        town.placed(1, &order);
    }
    town.wait(5_000);
    let left = town.resting(BookSide::Bid, 4_800);
    assert!(Qty::ZERO < left && left < Qty::whole(20), "some of them, not all: {left}");
    town.wait(60_000);
    for _ in 0..20 {
        let order = town.order("bid", "0.4700", "1.00");
        town.placed(1, &order);
    }
    town.wait(5_000);
    assert_eq!(town.resting(BookSide::Bid, 4_700), Qty::whole(20));
}

#[test]
fn reduce_only_is_capped_at_what_is_held() {
    let mut town = Town::new();
    let ask = town.order("ask", "0.5000", "2.00");
    town.placed(2, &ask);
    let order = town.taker("bid", "0.5000", "2.00");
    town.placed(1, &order);
    let bid = town.order("bid", "0.4500", "9.00");
    town.placed(2, &bid);
    let session = town.listen(0, &["user_orders"]);
    let order = town.taker("ask", "0.4500", "5.00");
    let answer = town.placed(1, &with(order, &json!({"reduce_only": true})));
    assert_eq!((&answer["fill_count"], &answer["remaining_count"]), (&json!("2.00"), &json!("0.00")));
    assert_eq!(town.position(0), 0);
    assert_eq!(town.of_kind(session, "user_order").last().unwrap()["last_update_reason"], "ReduceOnlyCancel");
}

#[test]
fn only_a_signed_fresh_request_with_the_right_scope_gets_in() {
    let mut settings = settings();
    settings.accounts[1].keys[0].scopes = vec![String::from("read::portfolio_balance"), String::from("write::trade")];
    let mut town = Town::with(settings);
    let bid = town.order("bid", "0.4800", "1.00");
    town.placed(2, &bid);
    assert_eq!(town.ask(2, "GET", "/portfolio/balance", &Value::Null).0, 200);
    assert_eq!(code(&town.ask(2, "GET", "/portfolio/orders", &Value::Null).1), "permission_denied");
    let transfer = json!({"source": "event_contract", "destination": "event_contract", "amount": 10_000,
        "destination_exchange_shard": 2});
    let path = "/portfolio/intra_exchange_instance_transfer";
    assert_eq!(code(&town.ask(2, "POST", path, &transfer).1), "permission_denied");
    assert_eq!(town.ask(1, "POST", path, &transfer).0, 200);
    assert_eq!(code(&town.ask(3, "GET", "/portfolio/orders", &Value::Null).1), "authentication_error");
    let headers = Headers::default();
    let path = format!("{PREFIX}/portfolio/orders");
    let request = Request { method: "GET", path: &path, query: &[], headers, body: b"" };
    let now = town.now;
    let answer = town.desk.handle(&mut town.world, &request, now);
    assert_eq!(answer.reply.status, 401);
    assert!(answer.reply.body.contains("signature_is_missing_from_headers"));
    let (status, body) = town.ask(1, "POST", "/portfolio/orders", &json!({"action": "buy"}));
    assert_eq!((status, code(&body).as_str()), (410, "deprecated_v1_order_endpoint"));
}

#[test]
fn a_resting_order_is_taken_out_when_its_owner_can_no_longer_pay() {
    let mut town = Town::new();
    let session = town.listen(0, &["user_orders"]);
    // Nothing is reserved: both bids are accepted, and only one of them can be paid.
    for price in ["0.6000", "0.5500"] {
        let bid = town.order("bid", price, "1500.00");
        town.placed(1, &bid);
    }
    let order = town.taker("ask", "0.5000", "100.00");
    town.placed(2, &order);
    let now = town.now;
    town.desk.deposit(&mut town.world, 1, 0, Money::dollars(10_000), now);
    let order = town.taker("ask", "0.5000", "3000.00");
    let answer = town.placed(2, &order);
    assert_eq!(answer["fill_count"], "1400.00", "the rest of the first bid, and nothing of the second");
    let last = town.of_kind(session, "user_order").into_iter().rfind(|frame| frame["status"] == "canceled").unwrap();
    assert_eq!((&last["last_update_reason"], &last["yes_price_dollars"]), (&json!("MarginCancel"), &json!("0.5500")));
    assert_eq!(town.cash(0, 0), Money::dollars(100));
}
