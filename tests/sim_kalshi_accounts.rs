//! Accounts at the simulated Kalshi: fees, shards, settlement, groups, budgets, reads that lag, private frames.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "common/sim_kalshi.rs"]
mod sim_kalshi;

use orion::sim::kalshi::account::NewKey;
use orion::sim::kalshi::bucket::Tier;
use orion::sim::kalshi::desk::Settings;
use orion::sim::kalshi::fee::{Meter, Rate};
use orion::unit::{BookSide, Money, Price, Qty, UnixMs};
use serde_json::{Value, json};
use sim_kalshi::{Town, code, pair, settings, spki, with};

/// Dollars as the vectors write them, in millionths.
fn micros(text: &Value) -> i64 {
    let text = text.as_str().unwrap();
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    sign * Qty::parse(text.as_bytes()).unwrap().micros() as i64
}

fn price(text: &Value) -> Price {
    Price::parse(text.as_str().unwrap().as_bytes()).unwrap()
}

#[test]
fn every_fee_vector_comes_out_to_the_millionth() {
    let vectors: Value = serde_json::from_str(include_str!("data/kalshi/fee_vectors.json")).unwrap();
    let mut fills = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let ppm = |field: &str| micros(&vector[field]) as u32;
        let rate = Rate::new(ppm("coefficient"), ppm("fee_multiplier"));
        let pays = vector["cash"] == "pay";
        let mut meter = Meter::default();
        let mut total = 0;
        for fill in vector["fills"].as_array().unwrap() {
            let qty = Qty::new(micros(&fill["count"]) as u64).unwrap();
            let cash = price(&fill["price"]).cost(qty);
            let fee = rate.trade_fee(qty, price(&fill["price"]));
            let charge = meter.charge(if pays { -cash } else { cash }, fee, micros(&vector["balance_precision"]));
            let name = &vector["name"];
            assert_eq!(charge.trade_fee.raw(), micros(&fill["trade_fee"]), "{name}");
            assert_eq!(charge.rounding.raw(), micros(&fill["rounding_fee"]), "{name}");
            assert_eq!(charge.rebate.raw(), micros(&fill["rebate"]), "{name}");
            assert_eq!(charge.net.raw(), micros(&fill["net_fee"]), "{name}");
            assert_eq!(charge.change.raw(), micros(&fill["cash_change_with_rebate"]), "{name}");
            total += charge.net.raw();
            fills += 1;
        }
        assert_eq!(total, micros(&vector["total_net_fee"]));
    }
    for case in vectors["rounding_vectors"]["cases"].as_array().unwrap() {
        let mut meter = Meter::default();
        let cash = -price(&case["price"]).cost(Qty::new(micros(&case["count"]) as u64).unwrap());
        for fill in case["fills"].as_array().unwrap() {
            let charge =
                meter.charge(cash, Money::micros(micros(&case["given_trade_fee"])), micros(&case["precision"]));
            let got = [charge.rounding, charge.rebate, charge.net].map(Money::raw);
            assert_eq!(got, [micros(&fill[0]), micros(&fill[2]), micros(&fill[3])], "{}", case["name"]);
            fills += 1;
        }
    }
    assert!(60 < fills, "the vectors were read");
}

#[test]
fn makers_pay_a_quarter_where_the_series_says_so_and_everybody_what_an_override_says() {
    let mut town = Town::new();
    let market = town.find(3, "quadratic_with_maker_fees", 1_000_000);
    town.empty(market);
    town.ticker = town.ticker_of(market);
    let bid = town.order("bid", "0.2500", "100.00");
    town.placed(1, &bid);
    let no = town.taker("ask", "0.2500", "100.00");
    town.placed(2, &no);
    let fee = |town: &mut Town, key| town.get(key, "/portfolio/fills")["fills"][0]["fee_cost"].clone();
    assert_eq!((fee(&mut town, 1), fee(&mut town, 2)), (json!("0.328200"), json!("1.312500")));
    assert_eq!(town.cash(0, 3), Money::micros(974_671_800), "twenty-five dollars and the fee");
    town.world.override_fee(market, Some(("quadratic", 500_000)));
    let bid = town.order("bid", "0.5200", "1.00");
    town.placed(1, &bid);
    let no = town.taker("ask", "0.5200", "1.00");
    town.placed(2, &no);
    assert_eq!((fee(&mut town, 1), fee(&mut town, 2)), (json!("0.000000"), json!("0.008800")));
}

#[test]
fn cash_pays_on_its_own_shard_only_and_takes_a_moment_to_move() {
    let mut settings = settings();
    settings.accounts[0].cash = vec![(0, 0, Money::dollars(1_000))];
    let mut town = Town::with(settings);
    let market = town.find(3, "quadratic_with_maker_fees", 1_000_000);
    town.empty(market);
    town.ticker = town.ticker_of(market);
    let bid = town.order("bid", "0.5000", "100.00");
    assert_eq!(town.create(1, &bid).0, 400);
    let balance = town.get(1, "/portfolio/balance");
    assert_eq!((&balance["balance"], &balance["balance_dollars"]), (&json!(100_000), &json!("1000.0000")));
    assert_eq!(balance["balance_breakdown"][3], json!({"exchange_index": 3, "balance": "0.0000"}));
    let transfer = json!({"source": "event_contract", "destination": "event_contract", "amount": 600_000,
        "source_exchange_shard": 0, "destination_exchange_shard": 3, "client_transfer_id": "t-1"});
    let path = "/portfolio/intra_exchange_instance_transfer";
    let (_, answer) = town.ask(1, "POST", path, &transfer);
    assert_eq!(town.ask(1, "POST", path, &transfer).0, 409);
    let id = answer["transfer_id"].as_str().unwrap().to_owned();
    let status = |town: &mut Town| {
        let path = format!("/portfolio/intra_exchange_instance_transfers/{id}");
        town.get(1, &path)["transfer"].clone()
    };
    let pending = status(&mut town);
    assert_eq!((&pending["status"], &pending["amount"]), (&json!("pending"), &json!("60.0000")));
    assert_eq!((town.cash(0, 0), town.cash(0, 3)), (Money::dollars(940), Money::ZERO), "on its way");
    assert_eq!(town.create(1, &bid).0, 400);
    town.wait(500);
    assert_eq!(status(&mut town)["status"], "complete");
    town.placed(1, &bid);
    let path = "/portfolio/target_balance_allocation";
    let shares = |percent| json!({"allocations": [{"exchange_index": 0, "percent": 75}, {"exchange_index": 2, "percent": percent}]});
    assert_eq!(town.ask(1, "POST", path, &shares(20)).0, 400, "they must make a hundred");
    assert_eq!(town.ask(1, "POST", path, &shares(25)).0, 200);
    assert_eq!(town.get(1, path)["allocations"][1]["percent"], 25);
    town.wait(10_000);
    assert_eq!([0, 2, 3].map(|shard| town.cash(0, shard)), [750, 250, 0].map(Money::dollars));
}

#[test]
fn positions_are_paid_when_the_world_settles_a_market() {
    for (payout, result, revenue, cash) in [
        (Money::dollars(1), "yes", 300, Money::micros(1_001_800_000)),
        (Money::ZERO, "no", 0, Money::micros(998_800_000)),
        (Money::micros(505_000), "scalar", 151, Money::micros(1_000_310_000)),
    ] {
        let mut town = Town::new();
        let bid = town.order("bid", "0.4000", "3.00");
        town.placed(1, &bid);
        let no = town.taker("ask", "0.4000", "3.00");
        town.placed(2, &no);
        let market = town.market;
        town.world.decide(market, payout);
        town.live(1_200);
        assert_eq!(town.cash(0, 0), cash, "{result}");
        let row = town.get(1, "/portfolio/settlements")["settlements"][0].clone();
        assert_eq!((&row["market_result"], &row["revenue"]), (&json!(result), &json!(revenue)));
        assert_eq!((&row["yes_count_fp"], &row["no_count_fp"]), (&json!("3.00"), &json!("0.00")));
        assert_eq!(
            (&row["yes_total_cost_dollars"], &row["value"]),
            (&json!("1.200000"), &json!(payout.raw() / 10_000))
        );
        assert_eq!(town.get(1, "/portfolio/positions")["market_positions"], json!([]));
        let settled = town.get(1, "/portfolio/positions?settlement_status=settled");
        assert_eq!(settled["market_positions"][0]["position_fp"], "0.00");
        assert_eq!(town.get(2, "/portfolio/settlements")["settlements"][0]["no_count_fp"], "3.00");
    }
}

#[test]
fn a_group_cancels_and_refuses_until_it_is_reset() {
    let mut town = Town::new();
    let session = town.listen(0, &["order_group_updates", "user_orders"]);
    assert_eq!(town.get(1, "/portfolio/order_groups"), json!({}), "the venue leaves an empty list out");
    let (status, answer) = town.ask(1, "POST", "/portfolio/order_groups/create", &json!({"contracts_limit": 10}));
    assert_eq!(status, 201);
    let id = answer["order_group_id"].as_str().unwrap().to_owned();
    let group = json!({"order_group_id": id});
    let path = format!("/portfolio/order_groups/{id}");
    let in_group = |town: &mut Town, side, price, count| {
        let order = town.order(side, price, count);
        with(order, &group)
    };
    let order = in_group(&mut town, "bid", "0.5000", "10.00");
    town.placed(1, &order);
    let order = in_group(&mut town, "bid", "0.4900", "10.00");
    town.placed(1, &order);
    assert_eq!(town.get(1, &path)["orders"].as_array().unwrap().len(), 2);
    let order = town.taker("ask", "0.5000", "10.00");
    town.placed(2, &order);
    assert_eq!(town.resting(BookSide::Bid, 4_900), Qty::whole(10), "ten in fifteen seconds are allowed");
    town.wait(14_000);
    let order = town.taker("ask", "0.4900", "1.00");
    town.placed(2, &order);
    assert_eq!(town.resting(BookSide::Bid, 4_900), Qty::ZERO, "the eleventh triggers");
    assert_eq!(town.get(1, &path)["is_auto_cancel_enabled"], false);
    let order = in_group(&mut town, "bid", "0.4800", "1.00");
    assert_eq!(town.refused(1, &order), (400, String::from("exceeded_order_group_risk_limit")));
    assert_eq!(town.ask(1, "PUT", &format!("{path}/reset"), &json!({})), (200, json!({})));
    town.placed(1, &order);
    let order = town.taker("ask", "0.4800", "1.00");
    town.placed(2, &order);
    town.wait(16_000);
    let order = in_group(&mut town, "bid", "0.4700", "10.00");
    town.placed(1, &order);
    let order = town.taker("ask", "0.4700", "6.00");
    town.placed(2, &order);
    assert_eq!(town.resting(BookSide::Bid, 4_700), Qty::whole(4), "what is older than the window is forgotten");
    town.ask(1, "PUT", &format!("{path}/limit"), &json!({"contracts_limit_fp": "5.00"}));
    assert_eq!(town.resting(BookSide::Bid, 4_700), Qty::ZERO, "a limit below what was matched triggers");
    town.ask(1, "PUT", &format!("{path}/trigger"), &json!({}));
    assert_eq!(town.ask(1, "DELETE", &path, &Value::Null), (200, json!({})));
    assert_eq!(town.ask(1, "GET", &path, &Value::Null).0, 404);
    let told = town.of_kind(session, "order_group_updates");
    let events: Vec<&str> = told.iter().map(|body| body["event_type"].as_str().unwrap()).collect();
    assert_eq!(events, ["created", "triggered", "reset", "limit_updated", "triggered", "deleted"]);
    let seqs: Vec<_> = town.frames[session].iter().filter_map(|frame| frame["seq"].as_u64()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
    let first = town.frames[session].iter().position(|frame| frame["msg"]["event_type"] == "triggered").unwrap();
    let cancelled = town.frames[session].iter().position(|frame| frame["msg"]["status"] == "canceled").unwrap();
    assert!(first < cancelled, "the news of a trigger comes before its cancels");
}

#[test]
fn a_group_that_triggers_inside_a_match_does_not_undo_it() {
    let mut town = Town::new();
    let (_, group) = town.ask(1, "POST", "/portfolio/order_groups/create", &json!({"contracts_limit": 1}));
    for price in ["0.5000", "0.5100"] {
        let ask = town.order("ask", price, "2.00");
        town.placed(2, &ask);
    }
    let more = json!({"order_group_id": group["order_group_id"]});
    let bid = with(town.order("bid", "0.5100", "5.00"), &more);
    let answer = town.placed(1, &bid);
    assert_eq!((&answer["fill_count"], &answer["remaining_count"]), (&json!("4.00"), &json!("0.00")));
    let path = format!("/portfolio/orders/{}", answer["order_id"].as_str().unwrap());
    let order = town.get(1, &path)["order"].clone();
    assert_eq!((&order["status"], &order["fill_count_fp"]), (&json!("canceled"), &json!("4.00")));
    assert_eq!(town.resting(BookSide::Bid, 5_100), Qty::ZERO);
}

#[test]
fn a_basic_account_writes_ten_orders_a_second_and_is_refused_in_a_string() {
    let mut settings = settings();
    settings.accounts[0].tier = Tier::Basic;
    let mut town = Town::with(settings);
    for _ in 0..10 {
        let order = with(town.order("bid", "0.1000", "1.00"), &json!({"exchange_index": 0}));
        town.placed(1, &order);
    }
    let order = with(town.order("bid", "0.1000", "1.00"), &json!({"exchange_index": 0}));
    assert_eq!(town.create(1, &order), (429, json!({"error": "too many requests"})));
    assert!(town.desk.orders().len() == 10, "without side effect");
    let routed = town.order("bid", "0.1000", "1.00");
    assert_eq!(town.create(1, &routed).0, 429, "routing is billed on every shard, and shard 0 is empty");
    town.wait(100);
    town.placed(1, &order);
    let batch: Vec<Value> = (0..11).map(|_| town.order("bid", "0.1000", "1.00")).collect();
    town.wait(10_000);
    let path = "/portfolio/events/orders/batched";
    assert_eq!(town.ask(1, "POST", path, &json!({"orders": batch})).0, 429, "a batch fits at once or not at all");
    assert_eq!(town.ask(1, "GET", "/portfolio/balance", &Value::Null).0, 200);
    assert_eq!(town.ask(1, "GET", "/portfolio/balance", &Value::Null).0, 429, "once a second");
    let limits = town.get(1, "/account/limits");
    assert_eq!((&limits["usage_tier"], &limits["write"]["refill_rate"]), (&json!("basic"), &json!(100)));
    let costs = town.get(1, "/account/endpoint_costs");
    assert_eq!((&costs["default_cost"], &costs["endpoint_costs"][0]["cost"]), (&json!(10), &json!(2)));
}

#[test]
fn reads_lag_and_say_by_how_much() {
    let mut town = Town::with(Settings { read_lag_ms: 300, ..settings() });
    let ticker = town.ticker.clone();
    town.wait(1_000);
    let bid = town.order("bid", "0.5000", "5.00");
    let order = town.placed(1, &bid);
    let path = format!("/portfolio/orders/{}", order["order_id"].as_str().unwrap());
    assert_eq!(town.ask(1, "GET", &path, &Value::Null).0, 404);
    town.wait(300);
    assert_eq!(town.get(1, &path)["order"]["status"], "resting");
    let no = town.taker("ask", "0.5000", "2.00");
    town.placed(2, &no);
    town.cancel(1, &order, &ticker);
    town.wait(299);
    assert_eq!(town.get(1, &path)["order"]["fill_count_fp"], "0.00");
    assert_eq!(town.get(1, "/portfolio/orders?status=resting")["orders"].as_array().unwrap().len(), 1);
    assert_eq!(town.get(1, "/portfolio/positions")["market_positions"], json!([]));
    assert_eq!(town.get(1, "/portfolio/fills")["fills"], json!([]));
    assert_eq!(town.get(1, "/portfolio/balance")["balance_dollars"], "4000.0000");
    town.wait(1);
    assert_eq!(town.get(1, &path)["order"]["status"], "canceled");
    assert_eq!(town.get(1, "/portfolio/positions")["market_positions"][0]["position_fp"], "2.00");
    assert_eq!(town.get(1, "/portfolio/balance")["balance_dollars"], "3999.0000");
    let fill = town.get(1, "/portfolio/fills")["fills"][0].clone();
    assert_eq!((&fill["book_side"], &fill["is_taker"]), (&json!("bid"), &json!(false)));
    assert!(fill.get("client_order_id").is_none());
    assert_eq!(fill["fill_id"], fill["trade_id"]);
    let seen = town.get(1, "/exchange/user_data_timestamp")["as_of_time"].as_str().unwrap().to_owned();
    assert_eq!(seen, "2026-11-20T11:45:01.300Z", "three hundred milliseconds before now");
}

#[test]
fn listings_are_paged_filtered_and_patient_with_garbage() {
    let mut town = Town::new();
    for _ in 0..5 {
        let bid = town.order("bid", "0.5000", "1.00");
        town.placed(1, &bid);
    }
    let (mut cursor, mut ids) = (String::new(), Vec::new());
    loop {
        let page = town.get(1, &format!("/portfolio/orders?limit=2&cursor={cursor}"));
        ids.extend(page["orders"].as_array().unwrap().iter().map(|order| order["order_id"].clone()));
        page["cursor"].as_str().unwrap().clone_into(&mut cursor);
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(ids.len(), 5);
    let first = town.get(1, "/portfolio/orders?limit=2&cursor=garbage");
    assert_eq!(first["orders"][0]["order_id"], ids[0], "a garbage cursor is page one");
    assert_eq!(town.get(1, "/portfolio/orders?status=pending")["orders"], json!([]), "an unknown status is nothing");
    assert_eq!(town.get(1, "/portfolio/orders?ticker=OTHER")["orders"], json!([]));
    assert_eq!(town.get(1, "/portfolio/orders?exchange_index=2")["orders"], json!([]));
    assert_eq!(town.ask(1, "GET", "/portfolio/orders?limit=1001", &Value::Null).0, 400);
    assert_eq!(town.get(2, "/portfolio/orders")["orders"], json!([]), "nobody sees another's orders");
    let queue = town.get(1, "/portfolio/orders/queue_positions");
    assert_eq!(queue["queue_positions"][4]["queue_position_fp"], "4.00");
}

#[test]
fn private_frames_tell_the_whole_story_to_its_owner_only() {
    let mut town = Town::new();
    let mine = town.listen(0, &["fill", "user_orders", "market_positions", "trade"]);
    let other = town.listen(1, &["fill"]);
    let bid = town.order("bid", "0.4800", "2.00");
    let order = town.placed(1, &bid);
    let no = town.taker("ask", "0.4800", "1.50");
    town.placed(2, &no);
    let fills = town.of_kind(mine, "fill");
    let id = &order["order_id"];
    assert_eq!(fills.len(), 1);
    assert_eq!((&fills[0]["order_id"], &fills[0]["client_order_id"]), (id, &json!("id-1")));
    assert_eq!((&fills[0]["count_fp"], &fills[0]["post_position_fp"]), (&json!("1.50"), &json!("1.50")));
    assert_eq!((&fills[0]["fee_cost"], &fills[0]["is_taker"]), (&json!("0.000000"), &json!(false)));
    assert_eq!(fills[0]["trade_id"], town.of_kind(mine, "trade")[0]["trade_id"], "the public trade's id");
    let theirs = town.of_kind(other, "fill");
    assert_eq!((theirs.len(), &theirs[0]["post_position_fp"]), (1, &json!("-1.50")));
    assert_eq!((&theirs[0]["yes_price_dollars"], &theirs[0]["outcome_side"]), (&json!("0.4800"), &json!("no")));
    let orders = town.of_kind(mine, "user_order");
    let states: Vec<_> =
        orders.iter().map(|body| (body["status"].as_str(), body["remaining_count_fp"].as_str())).collect();
    assert_eq!(states, [(Some("resting"), Some("2.00")), (Some("resting"), Some("0.50"))]);
    let position = &town.of_kind(mine, "market_position")[0];
    assert_eq!((&position["position_fp"], &position["position_cost_dollars"]), (&json!("1.50"), &json!("0.7200")));
    let sids: Vec<_> = town.frames[mine].iter().map(|frame| frame["sid"].as_u64().unwrap()).collect();
    assert!(sids.iter().all(|sid| (1..=4).contains(sid)));
}

#[test]
fn changes_of_the_book_that_ones_own_order_caused_carry_its_name_for_oneself_alone() {
    let mut town = Town::new();
    let ticker = town.ticker.clone();
    let (mine, other) = (town.listen_to_book(0), town.listen_to_book(1));
    let bid = town.order("bid", "0.4800", "2.00");
    let order = town.placed(1, &bid);
    let no = town.taker("ask", "0.4800", "0.50");
    town.placed(2, &no);
    town.cancel(1, &order, &ticker);
    let names = |town: &Town, session| -> Vec<Value> {
        town.of_kind(session, "orderbook_delta").into_iter().map(|body| body["client_order_id"].clone()).collect()
    };
    assert_eq!(names(&town, mine), [json!("id-1"), Value::Null, json!("id-1")]);
    assert_eq!(names(&town, other), [Value::Null, json!("id-2"), Value::Null]);
}

#[test]
fn with_a_delay_frames_come_in_any_order_and_all_of_them_come() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..10 {
        let mut town = Town::with(Settings { frame_delay_ms: 400, answer_delay_ms: 400, seed, ..settings() });
        let mine = town.listen(0, &["fill", "user_orders", "market_positions"]);
        let ask = town.order("ask", "0.4800", "1.00");
        town.placed(2, &ask);
        let bid = town.taker("bid", "0.4800", "1.00");
        let answer = town.send(1, "POST", "/portfolio/events/orders", bid.to_string().as_bytes());
        assert!(answer.delay_ms <= 400);
        for _ in 0..40 {
            town.wait(10);
        }
        let kinds: Vec<String> =
            town.frames[mine].iter().map(|frame| frame["type"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kinds.len(), 3);
        orders.insert(kinds);
    }
    assert!(3 < orders.len(), "{orders:?}");
}

#[test]
fn a_key_locked_to_a_subaccount_trades_and_sees_that_one_alone() {
    let mut settings = settings();
    settings.accounts[0].cash.push((5, 0, Money::dollars(50)));
    let locked = NewKey { subaccount: Some(5), ..NewKey::full("key-9", spki(&pair(9))) };
    settings.accounts[0].keys.push(locked);
    settings.accounts[0].region_expires = Some(UnixMs::new(1_900_000_000_000));
    let mut town = Town::with(settings);
    let bid = town.order("bid", "0.5000", "100.00");
    town.placed(9, &bid);
    assert_eq!(town.create(9, &with(bid.clone(), &json!({"subaccount": 0}))).0, 403);
    let more = town.order("bid", "0.5000", "101.00");
    assert_eq!(code(&town.create(9, &more).1), "insufficient_balance");
    let balance = town.get(9, "/portfolio/balance");
    assert_eq!(balance["balance_dollars"], "50.0000");
    assert!(balance.get("balance_breakdown").is_none());
    assert_eq!(town.get(9, "/portfolio/orders")["orders"][0]["subaccount_number"], 5);
    assert_eq!(town.get(1, "/portfolio/orders?subaccount=0")["orders"], json!([]));
    let keys = town.get(1, "/api_keys");
    assert_eq!(
        (&keys["api_keys"][1]["subaccount"], &keys["api_key_region_expiration_ts"]),
        (&json!(5), &json!(1_900_000_000))
    );
    assert_eq!(keys["api_keys"][0]["scopes"], json!(["read", "write"]));
}

#[test]
fn an_expired_attestation_keeps_an_account_out_of_sports() {
    let mut settings = settings();
    settings.accounts[0].region_expires = Some(sim_kalshi::START);
    let mut town = Town::with(settings);
    let bid = town.order("bid", "0.5000", "1.00");
    let catalog = town.world.catalog();
    let category = |at: usize| catalog.series[catalog.kalshi_events[catalog.kalshi[at].event].series].category;
    let expected = if ["Sports", "Elections"].contains(&category(town.market)) { 403 } else { 201 };
    assert_eq!(town.create(1, &bid).0, expected);
    let market = town.find(3, "quadratic_with_maker_fees", 1_000_000);
    town.ticker = town.ticker_of(market);
    let bid = town.order("bid", "0.5000", "1.00");
    assert_eq!(town.refused(1, &bid), (403, String::from("permission_denied")));
    town.placed(2, &bid);
}
