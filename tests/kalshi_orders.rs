//! Kalshi's answers to orders as they were recorded, and what each means for the order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use orion::{
    fill::Whose,
    order::{Ask, Purpose},
    unit::{
        MarketId, Money, OrderId, Outcome, Picture, Price, Qty, Refusal, Sent, Stage, Tag, Told, Trade, Unclear,
        UnixMs, Venue,
    },
    venue::kalshi::{
        order::{Names, Place, cancel, cancelled, created, write_create, yes_leg},
        report,
    },
    wire::json::Parser,
};
use serde_json::{Value, json};

const NAMES: Names = Names { instance: 0x00c0_ffee };
const NOW: UnixMs = UnixMs::new(1_781_159_400_000);

fn text(file: &str) -> Option<String> {
    common::fixtures("kalshi/rest").map(|folder| std::fs::read_to_string(folder.join(file)).unwrap())
}

fn recorded() -> Option<Vec<Value>> {
    let text = text("demo_2026-06-11_exchanges.jsonl")?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn answer(status: u16, body: &str) -> Vec<Told> {
    created(status, &mut body.as_bytes().to_vec(), &mut Parser::default()).to_vec()
}

fn ask(outcome: Outcome, buys: bool, limit: u16, purpose: Purpose) -> Ask {
    Ask {
        id: OrderId::new(2, 77).unwrap(),
        venue: Venue::Kalshi,
        market: MarketId(0),
        outcome,
        buys,
        qty: Qty::new(12_340_000).unwrap(),
        limit: Price::new(limit).unwrap(),
        purpose,
    }
}

#[test]
fn every_recorded_answer_to_an_order_is_read_as_what_it_was() {
    let Some(recorded) = recorded() else { return };
    let refused = |refusal| vec![Told::Sent(Sent::Refused(refusal))];
    let filled = |id: &str, filled: u32, open: bool| {
        let picture = Picture { filled: Qty::whole(filled), open };
        vec![Told::Sent(Sent::Accepted(Tag::new(id).unwrap())), Told::Picture(picture)]
    };
    let mut seen = 0;
    for exchange in &recorded {
        let wanted = match exchange["case"].as_str().unwrap() {
            "orders__create_v2_maker" => filled("2597b999-f887-4195-8bac-c3f97a1f2021", 0, true),
            "orders__create_v2_taker_ioc" => filled("97ec18b7-10d3-4557-9de0-8598aad625f0", 1, false),
            "orders__stp_self_cross" => filled("07ac75d5-1cdb-4477-beee-5246146e7eaa", 0, false),
            "orders__duplicate_client_order_id" | "orders__reuse_canceled_client_id" => refused(Refusal::Duplicate),
            "orders__insufficient_balance" => refused(Refusal::Funds),
            "orders__invalid_price_structure" => refused(Refusal::Price),
            "orders__numeric_field_types" => refused(Refusal::Malformed),
            "orders__post_only_cross" => refused(Refusal::Crosses),
            "auth__bad_signature" | "auth__unknown_key_id" | "auth__missing_signature_header" => refused(Refusal::Key),
            "auth__skew_minus30s" | "auth__skew_plus5min" => refused(Refusal::Clock),
            // A body of the dead endpoint has no `order_id` of its own: nobody may take it for an order.
            "orders__legacy_create" => vec![Told::Sent(Sent::Unknown(Unclear::Unreadable))],
            _ => continue,
        };
        seen += 1;
        let status = exchange["status"].as_u64().unwrap() as u16;
        assert_eq!(answer(status, &exchange["response_body"].to_string()), wanted, "{}", exchange["case"]);
    }
    assert_eq!(seen, 15);
}

#[test]
fn what_is_no_known_refusal_is_unknown() {
    let unknown = |why| vec![Told::Sent(Sent::Unknown(why))];
    for status in [500, 502, 503, 504, 301] {
        assert_eq!(answer(status, "{}"), unknown(Unclear::Status(status)));
    }
    for (status, body) in [
        (400, r#"{"error":{"code":"moon_in_the_wrong_phase"}}"#),
        (400, "<html>bad gateway</html>"),
        (404, r#"{"error":{"code":"not_found"}}"#),
        (409, r#"{"error":{"code":"something_else"}}"#),
        (418, r#"{"code":"bad_request"}"#),
        (400, r#"{"error":{"code":"invalid_price","code":"invalid_price"}}"#),
        (400, ""),
    ] {
        assert_eq!(answer(status, body), unknown(Unclear::Unfamiliar), "{status} {body}");
    }
    for body in
        ["", "<html>ok</html>", "{}", r#"{"order_id":""}"#, r#"{"order_id":"a","fill_count":1,"remaining_count":"0"}"#]
    {
        assert_eq!(answer(201, body), unknown(Unclear::Unreadable), "{body}");
    }
}

#[test]
fn all_four_shapes_of_error_and_both_cases_of_words_are_read() {
    for (status, body, refusal) in [
        (429, r#"{"error":"too many requests"}"#, Refusal::Rate),
        (400, r#"{"code":"insufficient_balance","message":"x"}"#, Refusal::Funds),
        (400, r#"{"error":{"code":"MARKET_INACTIVE"}}"#, Refusal::NotOpen),
        (403, r#"{"error":{"code":"exchange_paused"}}"#, Refusal::ExchangePaused),
        (400, r#"{"error":{"code":"EXCEEDED_ORDER_GROUP_RISK_LIMIT"}}"#, Refusal::Group),
        (400, r#"{"error":{"code":"exceeded_per_market_risk_limit"}}"#, Refusal::PositionLimit),
        (400, r#"{"error":{"code":"invalid_order_size"}}"#, Refusal::Size),
        (400, r#"{"error":{"code":"order_side_mismatch"}}"#, Refusal::Malformed),
        (403, r#"{"error":{"code":"permission_denied_for_x"}}"#, Refusal::Forbidden),
        (404, r#"{"error":{"code":"market_not_found"}}"#, Refusal::NoMarket),
        (410, r#"{"error":{"code":"deprecated_v1_order_endpoint"}}"#, Refusal::Retired),
    ] {
        assert_eq!(answer(status, body), [Told::Sent(Sent::Refused(refusal))], "{status} {body}");
    }
}

#[test]
fn a_cancel_counts_only_when_it_says_what_was_left() {
    let read = |status, body: &str| cancelled(status, &mut body.as_bytes().to_vec(), &mut Parser::default());
    let Some(recorded) = recorded() else { return };
    for exchange in
        recorded.iter().filter(|e| e["method"] == "DELETE" && !e["case"].as_str().unwrap().contains("legacy"))
    {
        let wanted =
            if exchange["status"] == 200 { Told::Cancelled { left: Some(Qty::whole(1)) } } else { Told::NotCancelled };
        let told = read(exchange["status"].as_u64().unwrap() as u16, &exchange["response_body"].to_string());
        assert_eq!(told, wanted, "{}", exchange["case"]);
    }
    assert_eq!(read(200, "{}"), Told::NotCancelled);
    assert_eq!(read(504, ""), Told::NotCancelled);
}

#[test]
fn an_order_is_written_on_the_yes_leg_and_recognised_again() {
    for (outcome, buys, side, price) in [
        (Outcome::Yes, true, "bid", 4_700),
        (Outcome::Yes, false, "ask", 4_700),
        (Outcome::No, true, "ask", 5_300),
        (Outcome::No, false, "bid", 5_300),
    ] {
        assert_eq!(yes_leg(&ask(outcome, buys, 4_700, Purpose::Entry)), (side, Price::new(price).unwrap()));
    }
    let place = Place { ticker: "KXA-26-B", shard: 2, subaccount: None };
    let body = |ask: &Ask| {
        let mut out = Vec::new();
        write_create(ask, place, NAMES, Some("g-1"), &mut out);
        serde_json::from_slice::<Value>(&out).unwrap()
    };
    let entry = body(&ask(Outcome::No, true, 4_700, Purpose::Entry));
    let name = format!("orion-00c0ffee-{}", (2_u64 << 32) + 77);
    let wanted = json!({
        "ticker": "KXA-26-B", "side": "ask", "count": "12.34", "price": "0.5300", "time_in_force": "immediate_or_cancel",
        "self_trade_prevention_type": "taker_at_cross", "exchange_index": 2, "client_order_id": name, "order_group_id": "g-1",
    });
    assert_eq!(entry, wanted);
    let hedge = body(&ask(Outcome::Yes, false, 4_700, Purpose::Unwind));
    assert_eq!(
        (&hedge["reduce_only"], &hedge["order_group_id"]),
        (&json!(true), &Value::Null),
        "a hedge joins no group"
    );
    assert_eq!(NAMES.read(&name), OrderId::new(2, 77));
    for other in
        ["orion-00c0ffe1-8589934669", "orion-00c0ffee-", "orion-00c0ffee--1", "orion-00c0ffee-9007199254740992", "x"]
    {
        assert_eq!(NAMES.read(other), None, "{other}");
    }
    let (path, query) = cancel(&Tag::new("a-1").unwrap(), place);
    assert_eq!(path, "/trade-api/v2/portfolio/events/orders/a-1");
    assert_eq!(query, "market_ticker=KXA-26-B&exchange_index=2");
}

#[test]
fn recorded_fills_and_orders_are_read_by_the_sides_that_do_not_lie() {
    let Some(recorded) = recorded() else { return };
    let body = |case: &str| recorded.iter().find(|e| e["case"] == case).unwrap()["response_body"].clone();
    let read = |value: &Value, fill: bool| {
        let mut bytes = value.to_string().into_bytes();
        Parser::default()
            .parse(
                &mut bytes,
                |item| if fill { report::fill(item, NAMES, NOW) } else { report::order(item, NAMES, NOW) },
            )
            .unwrap()
    };
    let heard = read(&body("fills__after_taker")["fills"][0], true);
    assert_eq!(heard.order, Whose::Named(Tag::new("97ec18b7-10d3-4557-9de0-8598aad625f0").unwrap()));
    let wanted = Trade {
        tag: Tag::new("f4a42159-b500-57c6-efa2-c31d94d916c1").unwrap(),
        outcome: Outcome::Yes,
        bought: true,
        price: Price::new(5_200).unwrap(),
        qty: Qty::whole(1),
        fee: Some(Money::micros(17_500)),
        stage: Stage::Confirmed,
    };
    assert_eq!(heard.told, Told::Trade(wanted));
    for (case, filled, open) in [("orders__get_after_create", 0, true), ("orders__stp_resting_after", 0, true)] {
        let heard = read(&body(case)["order"], false);
        assert_eq!(heard.told, Told::Picture(Picture { filled: Qty::whole(filled), open }), "{case}");
    }
    // A real fill whose legacy fields say `sell` and `yes`, though NO was bought.
    let Some(text) = text("demo_2026-07-06_netting_before_after.jsonl") else { return };
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let fills: Vec<Value> =
        lines.flat_map(|line| line["fills"]["fills"].as_array().cloned().unwrap_or_default()).collect();
    let directions: Vec<_> = fills
        .iter()
        .map(|fill| match read(fill, true).told {
            Told::Trade(trade) => (trade.outcome, trade.bought, trade.price.raw()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(directions.iter().all(|(_, bought, _)| *bought), "{directions:?}");
    assert!(directions.contains(&(Outcome::Yes, true, 4_800)) && directions.contains(&(Outcome::No, true, 5_200)));
}

#[test]
fn a_frame_of_our_own_order_says_so_before_its_answer_came() {
    let frame = json!({
        "trade_id": "t-1", "order_id": "o-1", "client_order_id": format!("orion-00c0ffee-{}", (2_u64 << 32) + 77),
        "outcome_side": "no", "book_side": "ask", "yes_price_dollars": "0.7000", "count_fp": "3.50", "fee_cost": "0.051450",
        "is_taker": true, "ts_ms": 1, "side": "yes", "action": "sell",
    });
    let heard =
        Parser::default().parse(&mut frame.to_string().into_bytes(), |item| report::fill(item, NAMES, NOW)).unwrap();
    assert_eq!(heard.order, Whose::Ours(OrderId::new(2, 77).unwrap()));
    let Told::Trade(trade) = heard.told else { panic!("a trade") };
    assert_eq!((trade.outcome, trade.bought, trade.price.raw()), (Outcome::No, true, 3_000));
    assert_eq!((trade.qty.micros(), trade.fee), (3_500_000, Some(Money::micros(51_450))));
}
