//! What may go wrong with a request to the simulated Kalshi, each as planned; and the second look at what is sent.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "common/sim_kalshi.rs"]
mod sim_kalshi;

use orion::sim::kalshi::check::{Limits, Violation};
use orion::sim::kalshi::desk::{Settings, Shard};
use orion::sim::kalshi::order_fault::{Kind, OrderFault, OrderPlan, When};
use orion::unit::{BookSide, Money, Qty};
use serde_json::{Value, json};
use sim_kalshi::{ORDERS, Town, code, settings, with};

fn town(faults: Vec<(When, OrderFault)>) -> Town {
    Town::with(Settings { faults: OrderPlan::listed(faults), ..settings() })
}

#[test]
fn an_answer_may_be_lost_before_the_order_or_after_it() {
    for (fault, status, cut, accepted) in [
        (OrderFault::RequestLost, 504, Some(0), false),
        (OrderFault::AnswerLost, 201, Some(0), true),
        (OrderFault::AnswerCut(37), 201, Some(37), true),
        (OrderFault::ErrorAfter(504), 504, None, true),
        (OrderFault::ErrorBefore(503), 503, None, false),
        (OrderFault::Html, 200, None, false),
        (OrderFault::HtmlAfter, 200, None, true),
        (OrderFault::TooMany, 429, None, false),
        (OrderFault::Refused("market_inactive"), 400, None, false),
        (OrderFault::Unauthorized, 401, None, false),
        (OrderFault::Forbidden, 403, None, false),
        (OrderFault::AnswerLate(9_000), 201, None, true),
    ] {
        let mut town = town(vec![(When::OfKind(Kind::Create, 2), fault)]);
        for price in ["0.4000", "0.5000"] {
            let bid = town.order("bid", price, "1.00");
            let answer = town.send(1, "POST", ORDERS, bid.to_string().as_bytes());
            if price == "0.5000" {
                assert_eq!((answer.reply.status, answer.cut), (status, cut), "{fault:?}");
                assert_eq!(answer.html, matches!(fault, OrderFault::Html | OrderFault::HtmlAfter));
                assert_eq!(answer.delay_ms, if status == 201 && cut.is_none() { 9_000 } else { 0 });
            } else {
                assert_eq!((answer.reply.status, answer.cut), (201, None), "the first one is not meant");
            }
        }
        let expected = if accepted { Qty::ONE } else { Qty::ZERO };
        assert_eq!(town.resting(BookSide::Bid, 5_000), expected, "{fault:?}");
        assert_eq!(town.desk.faults().happened(), [fault]);
        let last = json!({"client_order_id": "id-2"});
        let again = with(town.order("bid", "0.5000", "1.00"), &last);
        assert_eq!(town.create(1, &again).0, if accepted { 409 } else { 201 }, "the same id finds out: {fault:?}");
    }
}

#[test]
fn a_request_may_arrive_after_its_sender_has_given_up() {
    for (late_ms, arrives) in [(4_000, true), (11_000, false)] {
        let mut town = town(vec![(When::OfKind(Kind::Create, 1), OrderFault::RequestLate(late_ms))]);
        let bid = town.order("bid", "0.4000", "1.00");
        let answer = town.send(1, "POST", ORDERS, bid.to_string().as_bytes());
        assert_eq!((answer.reply.status, answer.cut), (504, Some(0)));
        town.wait(late_ms - 1);
        assert_eq!(town.get(1, "/portfolio/orders")["orders"], json!([]), "not there yet");
        town.wait(1);
        let listed = town.get(1, "/portfolio/orders")["orders"].as_array().unwrap().len();
        assert_eq!(listed, usize::from(arrives), "a signature lives ten seconds");
    }
}

#[test]
fn nobody_trades_on_a_shard_that_pauses() {
    let mut town = Town::new();
    let market = town.market;
    let now = town.now;
    town.world.resume(market);
    town.live(20);
    let clock = |town: &Town| town.world.exchange(orion::unit::Venue::Kalshi).market(market).clock();
    town.desk.set_shard(&mut town.world, 0, Shard::TradingPaused, now);
    let before = clock(&town);
    town.live(2_000);
    assert_eq!(clock(&town), before);
    town.desk.set_shard(&mut town.world, 0, Shard::Open, now);
    town.live(2_000);
    assert_ne!(clock(&town), before);
}

#[test]
fn from_some_request_on_the_limiter_refuses_everything() {
    let mut town = town(vec![(When::RequestFrom(3), OrderFault::TooMany)]);
    for number in 1..6 {
        let bid = town.order("bid", "0.4000", "1.00");
        assert_eq!(town.create(1, &bid).0, if number < 3 { 201 } else { 429 });
    }
}

#[test]
fn a_fill_frame_comes_twice_late_or_never() {
    for (fault, at_once, later) in
        [(OrderFault::FrameTwice, 2, 2), (OrderFault::FrameLost, 0, 0), (OrderFault::FrameLate(700), 0, 1)]
    {
        // Of a match the maker's frame leaves first, the taker's second.
        let mut town = town(vec![(When::FillFrame(2), fault)]);
        let (maker, taker) = (town.listen(0, &["fill"]), town.listen(1, &["fill"]));
        let bid = town.order("bid", "0.4000", "1.00");
        town.placed(1, &bid);
        let no = town.taker("ask", "0.4000", "1.00");
        town.placed(2, &no);
        assert_eq!(town.of_kind(maker, "fill").len(), 1, "not meant");
        assert_eq!(town.of_kind(taker, "fill").len(), at_once, "{fault:?}");
        town.wait(700);
        assert_eq!(town.of_kind(taker, "fill").len(), later, "{fault:?}");
    }
}

#[test]
fn a_listing_may_lose_its_second_half_and_say_nothing() {
    let mut town = town(vec![(When::OfKind(Kind::Read, 1), OrderFault::PageMissing)]);
    for _ in 0..4 {
        let bid = town.order("bid", "0.4000", "1.00");
        town.placed(1, &bid);
    }
    let page = town.get(1, "/portfolio/orders?limit=2");
    assert_eq!((page["orders"].as_array().unwrap().len(), &page["cursor"]), (1, &json!("")));
    assert_eq!(town.get(1, "/portfolio/orders")["orders"].as_array().unwrap().len(), 4);
}

#[test]
fn pauses_refuse_and_end_by_themselves() {
    let mut town = town(vec![
        (When::OfKind(Kind::Create, 2), OrderFault::ExchangePaused { shard: 0, ms: 1_000 }),
        (When::OfKind(Kind::Create, 4), OrderFault::MarketPaused(500)),
        (When::OfKind(Kind::Create, 6), OrderFault::StreamsDropped),
    ]);
    let ticker = town.ticker.clone();
    let bid = town.order("bid", "0.4000", "1.00");
    let first = town.placed(1, &bid);
    let bid = town.order("bid", "0.4000", "1.00");
    assert_eq!(town.refused(1, &bid).1, "exchange_paused");
    assert_eq!(code(&town.cancel(1, &first, &ticker).1), "exchange_paused");
    town.wait(1_000);
    town.placed(1, &bid);
    let bid = town.order("bid", "0.4000", "1.00");
    assert_eq!(town.refused(1, &bid).1, "trading_paused");
    town.wait(500);
    let order = town.get(1, &format!("/portfolio/orders/{}", first["order_id"].as_str().unwrap()));
    assert_eq!(order["order"]["status"], "canceled", "a reopening cancels what rested");
    town.placed(1, &bid);
    assert!(town.desk.take_dropped_streams().is_empty());
    let bid = town.order("bid", "0.4000", "1.00");
    town.placed(1, &bid);
    assert_eq!(town.desk.take_dropped_streams(), [0]);
}

#[test]
fn the_second_look_sees_what_should_never_have_come() {
    let mut town = Town::new();
    let limits = Limits { order_value_max: Money::dollars(50), order_qty_max: Qty::whole(100) };
    town.desk.check_mut().limit(limits);
    let bid = town.order("bid", "0.4000", "100.00");
    town.placed(1, &bid);
    assert!(town.desk.violations().is_empty());
    town.create(1, &bid);
    let order = town.order("bid", "0.6000", "100.00");
    town.create(1, &order);
    let order = town.order("bid", "0.1000", "100.01");
    town.create(1, &order);
    let order = with(town.order("bid", "0.1000", "1.00"), &json!({"client_order_id": null}));
    town.create(1, &order);
    let no = town.taker("ask", "0.4000", "10.00");
    town.placed(2, &no);
    let now = town.now;
    town.desk.check_mut().latch(Some(now));
    let order = town.order("ask", "0.9000", "10.00");
    town.placed(1, &order);
    let order = town.order("ask", "0.9000", "500.00");
    town.create(2, &order);
    let kinds: Vec<&str> = town
        .desk
        .violations()
        .iter()
        .map(|violation| match violation {
            Violation::SentTwice(_) => "twice",
            Violation::WithoutId(_) => "no id",
            Violation::TooValuable(_) => "value",
            Violation::TooLarge(_) => "size",
            Violation::AfterLatch(seen) => {
                assert_eq!(seen.account, 1, "the first account sold what it held: no risk");
                "latch"
            }
        })
        .collect();
    assert_eq!(
        kinds,
        ["twice", "value", "size", "no id", "value", "size", "latch"][..4]
            .iter()
            .chain(&["size", "latch"])
            .copied()
            .collect::<Vec<_>>()
    );
    assert_eq!(town.desk.check().seen().len(), 8);
    assert!(!town.desk.check().seen()[1].accepted, "the second of two was refused");
}

#[test]
fn the_same_seed_brings_the_same_day() {
    let day = |seed: u64| {
        let faults = OrderPlan::drawn(seed, 200);
        let mut town = Town::with(Settings { seed, frame_delay_ms: 300, faults, ..settings() });
        let session = town.listen(0, &["fill", "user_orders"]);
        let mut statuses = Vec::new();
        for number in 0..300_u32 {
            let side = if number % 2 == 0 { "bid" } else { "ask" };
            let order = town.order(side, "0.5000", "1.00");
            statuses.push(town.create(1 + (number / 2 % 2) as u8, &order).0);
            if number % 7 == 0 {
                statuses.push(town.ask(1, "GET", "/portfolio/orders", &Value::Null).0);
            }
            town.live(2);
        }
        (statuses, town.frames[session].clone(), town.desk.faults().happened().to_vec(), town.cash(0, 0))
    };
    let (one, two) = (day(7), day(7));
    assert!(one == two);
    assert!(one != day(8));
    assert!(20 < one.2.len(), "a plan that is drawn has something to do: {:?}", one.2);
}
