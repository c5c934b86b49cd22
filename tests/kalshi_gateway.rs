//! Order entry at Kalshi: what leaves, what each answer means, and what is asked of the venue's record, in which order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "common/call.rs"]
mod call;
#[path = "common/kalshi_rig.rs"]
mod kalshi_rig;
#[path = "common/sim_kalshi.rs"]
mod sim_kalshi;

use call::Read;
use kalshi_rig::{Back, Rig, ask, setup, signer};
use orion::{
    order::{Ask, Purpose},
    sim::kalshi::{
        desk::Settings,
        order_fault::{Kind, OrderFault, OrderPlan, When},
    },
    unit::{MarketId, Outcome, Picture, Price, Qty, Refusal, Sent, Tag, Told, Unclear, UnixMs},
    venue::{
        gateway::{CallNo, Gateway as _, Lane, Said, Unready},
        kalshi::{
            gateway::{Market, Setup, SignCalls},
            group,
            limits::{Rates, Refill},
            sign::Headers,
        },
    },
};
use serde_json::{Value, json};
use sim_kalshi::{START, Town, settings};

fn rig(faults: Vec<(When, OrderFault)>) -> Rig {
    Rig::new(Settings { faults: OrderPlan::listed(faults), ..settings() })
}

/// A gateway of a plain town, with whatever is different about it.
fn different(change: impl FnOnce(&mut Setup)) -> Rig {
    let town = Town::new();
    let mut setup = setup(&town);
    change(&mut setup);
    Rig::with(town, setup)
}

/// Somebody sells YES at 0.40.
fn offered(rig: &mut Rig, count: &str) {
    let order = rig.town.order("ask", "0.4000", count);
    rig.town.placed(2, &order);
}

fn picture(filled: u32, open: bool) -> Told {
    Told::Picture(Picture { filled: Qty::whole(filled), open })
}

fn body(rig: &mut Rig) -> (Lane, Value) {
    let call = rig.call();
    (call.lane, serde_json::from_slice(&Read::new(&call.bytes).body).unwrap())
}

/// Nobody signs.
struct Nobody;

impl SignCalls for Nobody {
    fn sign(&mut self, _: UnixMs, _: &'static str, _: &str) -> Option<Headers> {
        None
    }
}

#[test]
fn an_order_leaves_in_the_documented_shape_and_only_entries_join_the_group() {
    let mut rig = different(|setup| {
        setup.groups = vec![(1, Tag::new("g-of-one").unwrap()), (0, Tag::new("g-of-zero").unwrap())];
        setup.subaccount = Some(0);
    });
    let no = Ask { outcome: Outcome::No, limit: Price::new(6_300).unwrap(), ..ask(7) };
    rig.send(&no);
    let call = rig.call();
    let read = Read::new(&call.bytes);
    assert_eq!((read.method.as_str(), read.path.as_str()), ("POST", "/trade-api/v2/portfolio/events/orders"));
    assert_eq!(read.header("host"), Some("exchange.test"));
    assert_eq!(read.header("kalshi-access-timestamp"), Some(START.raw().to_string().as_str()));
    assert_eq!(read.header("content-type"), Some("application/json"));
    assert!(read.query.is_empty());
    let wanted = json!({
        "ticker": rig.town.ticker, "side": "ask", "count": "10.00", "price": "0.3700", "exchange_index": 0,
        "time_in_force": "immediate_or_cancel", "self_trade_prevention_type": "taker_at_cross", "subaccount": 0,
        "client_order_id": format!("orion-00c0ffee-{}", (1_u64 << 32) + 7), "order_group_id": "g-of-zero",
    });
    assert_eq!(serde_json::from_slice::<Value>(&read.body).unwrap(), wanted);
    assert_eq!(call.lane, Lane::Entry);
    for (number, purpose) in [(8, Purpose::Complete), (9, Purpose::Unwind)] {
        rig.send(&Ask { purpose, ..ask(number) });
        let (lane, body) = body(&mut rig);
        assert_eq!((lane, body.get("order_group_id")), (Lane::Safety, None), "{purpose:?}");
    }
}

#[test]
fn what_cannot_leave_says_why_and_leaves_nothing() {
    let mut rig = different(|setup| {
        setup.markets.push(Some(Market { ticker: "KX\",\"price\":\"0.99".into(), shard: 0 }));
    });
    let at = rig.at();
    for market in [0, 2, 9] {
        let other = Ask { market: MarketId(market), ..ask(1) };
        assert_eq!(rig.gateway.prepare(&other, at), Err(Unready::NoMarket), "{market}");
    }
    for micros in [0, 1, 9_999, 10_001] {
        let odd = Ask { qty: Qty::new(micros).unwrap(), ..ask(1) };
        assert_eq!(rig.gateway.prepare(&odd, at), Err(Unready::Amounts), "{micros}");
    }
    let mut unsigned = different(|setup| setup.signer = Box::new(Nobody));
    assert_eq!(unsigned.gateway.prepare(&ask(1), at), Err(Unready::Unsigned));
    rig.gateway.prepare(&ask(1), at).unwrap();
    rig.gateway.withdraw(ask(1).id);
    for rig in [&mut rig, &mut unsigned] {
        rig.gateway.send(ask(1).id, &mut rig.out);
        assert!(rig.out.calls.is_empty() && rig.out.heard.is_empty());
    }
}

#[test]
fn an_order_is_sent_once_and_its_header_is_made_anew_if_it_has_waited() {
    let mut rig = rig(Vec::new());
    rig.gateway.prepare(&ask(1), rig.at()).unwrap();
    // Longer than the venue takes.
    rig.wait(12_000);
    rig.gateway.send(ask(1).id, &mut rig.out);
    rig.gateway.send(ask(1).id, &mut rig.out);
    assert_eq!(rig.out.calls.len(), 1);
    rig.wait(100);
    let told = rig.told();
    assert!(matches!(told[..], [Told::Sent(Sent::Accepted(_)), _]), "{told:?}");
    assert_eq!(told[1], picture(0, false), "nobody was there");
}

#[test]
fn the_reserve_is_for_hedges_and_cancels() {
    let rates = Rates { write: Refill { per_second: 100, capacity: 100 }, ..Rates::default() };
    let mut rig = different(|setup| setup.rates = rates);
    let at = rig.at();
    let mut ready = 0;
    while rig.gateway.prepare(&ask(ready + 1), at).is_ok() {
        ready += 1;
    }
    assert_eq!(ready, 7, "thirty of a hundred tokens stay");
    assert_eq!(rig.gateway.prepare(&ask(8), at), Err(Unready::Pace));
    for number in 11..14 {
        rig.gateway.prepare(&Ask { purpose: Purpose::Complete, ..ask(number) }, at).unwrap();
    }
    let late = Ask { purpose: Purpose::Unwind, ..ask(14) };
    assert_eq!(rig.gateway.prepare(&late, at), Err(Unready::Pace));
    rig.gateway.cancel(&ask(1), Tag::new("o-1"), at, &mut rig.out);
    assert_eq!(rig.out.calls.len(), 1, "a cancel leaves in any case");
    rig.town.wait(500);
    assert!(rig.gateway.prepare(&ask(8), rig.at()).is_ok(), "it fills again");
}

#[test]
fn after_a_429_nothing_more_is_asked_of_that_budget_and_nothing_is_resent() {
    let mut rig = rig(vec![(When::OfKind(Kind::Create, 1), OrderFault::TooMany)]);
    rig.send(&ask(1));
    for _ in 0..1_000 {
        rig.gateway.prepare(&ask(2), rig.at()).unwrap();
    }
    let call = rig.call();
    rig.answer(call.no, Back::Whole(429, br#"{"error":"too many requests"}"#.to_vec()));
    assert_eq!(rig.told(), [Told::Sent(Sent::Refused(Refusal::Rate))]);
    assert_eq!(rig.gateway.prepare(&ask(3), rig.at()), Err(Unready::Pace));
    assert!(rig.out.calls.is_empty());
    // Reads have a budget of their own.
    rig.look(&ask(1), Tag::new("o-1"));
    let call = rig.call();
    rig.answer(call.no, Back::Whole(429, Vec::new()));
    rig.look(&ask(1), Tag::new("o-1"));
    assert!(rig.out.calls.is_empty() && rig.told().is_empty());
    rig.town.wait(1_000);
    rig.look(&ask(1), Tag::new("o-1"));
    assert_eq!(rig.out.calls.len(), 1);
}

#[test]
fn every_fate_of_an_order_is_told_as_what_is_known_of_it() {
    let unknown = |why| Told::Sent(Sent::Unknown(why));
    let refused = |why| Told::Sent(Sent::Refused(why));
    for (fault, told, there) in [
        (OrderFault::RequestLost, unknown(Unclear::Cut), false),
        (OrderFault::AnswerLost, unknown(Unclear::Cut), true),
        (OrderFault::AnswerCut(40), unknown(Unclear::Cut), true),
        (OrderFault::AnswerLate(5_000), unknown(Unclear::TimedOut), true),
        (OrderFault::ErrorAfter(504), unknown(Unclear::Status(504)), true),
        (OrderFault::ErrorBefore(503), unknown(Unclear::Status(503)), false),
        (OrderFault::Html, unknown(Unclear::Unreadable), false),
        (OrderFault::HtmlAfter, unknown(Unclear::Unreadable), true),
        (OrderFault::TooMany, refused(Refusal::Rate), false),
        (OrderFault::Unauthorized, refused(Refusal::Key), false),
        (OrderFault::Forbidden, refused(Refusal::Forbidden), false),
        (OrderFault::Refused("insufficient_balance"), refused(Refusal::Funds), false),
        (OrderFault::Refused("something_new"), unknown(Unclear::Unfamiliar), false),
    ] {
        // The first create is the other side's.
        let mut rig = rig(vec![(When::OfKind(Kind::Create, 2), fault)]);
        offered(&mut rig, "6.00");
        rig.send(&ask(1));
        rig.wait(6_000);
        assert_eq!(rig.told(), [told], "{fault:?}");
        assert!(rig.out.strange.is_empty(), "{:?}", rig.out.strange);
        let said = std::mem::take(&mut rig.out.said);
        assert_eq!(said.len(), usize::from(Said::is_wanted(&told)), "{fault:?}: {said:?}");
        assert!(said.iter().all(|said| said.order == ask(1).id && 200 <= said.status), "{said:?}");
        if fault == OrderFault::Refused("something_new") {
            assert!(said[0].words.contains("something_new"), "{said:?}");
        }
        if !matches!(told, Told::Sent(Sent::Unknown(_))) {
            continue;
        }
        rig.look(&ask(1), None);
        rig.wait(1_000);
        let told = rig.told();
        if there {
            assert!(matches!(told[0], Told::Sent(Sent::Accepted(_))), "{told:?}");
            assert!(matches!(told[1], Told::Trade(trade) if trade.qty == Qty::whole(6)), "{told:?}");
            assert_eq!(told[2..], [picture(6, false)], "{fault:?}");
        } else {
            let [Told::Absent { as_of }] = told[..] else { panic!("{fault:?}: {told:?}") };
            assert!(as_of < rig.at().unix, "as the venue says");
        }
    }
    let mut rig = rig(Vec::new());
    rig.breaks = true;
    rig.send(&ask(1));
    rig.wait(100);
    assert_eq!(rig.told(), [refused(Refusal::Unsent)], "not one byte left");
    assert!(rig.town.desk.orders().is_empty());
}

#[test]
fn a_number_that_was_used_before_is_in_doubt_and_the_earlier_order_is_found() {
    let mut rig = rig(Vec::new());
    rig.send(&ask(1));
    rig.wait(100);
    rig.told();
    rig.send(&ask(1));
    rig.wait(100);
    assert_eq!(rig.told(), [Told::Sent(Sent::Refused(Refusal::Duplicate))]);
    rig.look(&ask(1), None);
    rig.wait(200);
    assert!(matches!(rig.told()[..], [Told::Sent(Sent::Accepted(_)), Told::Picture(_)]));
}

#[test]
fn a_look_reads_the_fills_after_the_order_and_tells_them_before_it() {
    let mut rig = rig(Vec::new());
    offered(&mut rig, "6.00");
    rig.send(&ask(1));
    rig.wait(100);
    let Told::Sent(Sent::Accepted(tag)) = rig.told()[0] else { panic!() };
    rig.carried.clear();
    rig.look(&ask(1), Some(tag));
    // A second one while the first runs tells nothing twice.
    rig.look(&ask(1), Some(tag));
    rig.wait(200);
    let told = rig.told();
    assert!(matches!(told[..], [Told::Trade(_), Told::Picture(_)]), "{told:?}");
    let orders = "/trade-api/v2/portfolio/orders";
    let wanted =
        [format!("GET {orders}/{tag}?"), format!("GET /trade-api/v2/portfolio/fills?order_id={tag}&limit=1000")];
    assert_eq!(rig.carried, wanted);

    rig.carried.clear();
    rig.look(&ask(2), None);
    rig.wait(200);
    let ticker = rig.town.ticker.clone();
    assert_eq!(
        rig.carried,
        [
            String::from("GET /trade-api/v2/exchange/user_data_timestamp?"),
            format!("GET {orders}?ticker={ticker}&limit=1000"),
            format!("GET /trade-api/v2/portfolio/fills?ticker={ticker}&min_ts=0&limit=1000"),
        ]
    );
    assert!(rig.told().is_empty(), "nobody knows when it was sent: the archive may hold it");
}

const STAMP: &str = r#"{"as_of_time":"2026-11-20T00:00:01Z"}"#;

fn row(id: &str, client: &str) -> String {
    format!(
        r#"{{"order_id":"{id}","client_order_id":"{client}","status":"executed","fill_count_fp":"1.00","remaining_count_fp":"0.00"}}"#
    )
}

fn fill(trade: &str, order: &str) -> String {
    format!(
        r#"{{"trade_id":"{trade}","order_id":"{order}","outcome_side":"yes","book_side":"bid","yes_price_dollars":"0.4000","count_fp":"1.00","fee_cost":"0.020000"}}"#
    )
}

/// A look at an order that was sent and whose answer was lost, up to the listing of orders.
fn in_doubt() -> Rig {
    let mut rig = rig(Vec::new());
    rig.send(&ask(1));
    let call = rig.call();
    rig.answer(call.no, Back::Lost(Unclear::Cut));
    rig.told();
    rig.look(&ask(1), None);
    assert!(rig.tell(STAMP).ends_with("/exchange/user_data_timestamp"));
    rig
}

#[test]
fn listings_are_read_to_their_end_and_a_loop_of_cursors_tells_nothing() {
    let page = |rows: &[String], cursor: &str| format!(r#"{{"orders":[{}],"cursor":"{cursor}"}}"#, rows.join(","));
    let fills = |rows: &[String], cursor: &str| format!(r#"{{"fills":[{}],"cursor":"{cursor}"}}"#, rows.join(","));
    let mut whole = in_doubt();
    whole.tell(&page(&[row("o-1", "hand")], "a+/="));
    assert!(whole.tell(&page(&[row("o-2", "")], "b")).ends_with("&limit=1000&cursor=a%2B%2F%3D"));
    whole.tell(&page(&[], ""));
    assert!(whole.tell(&fills(&[fill("t-1", "o-1")], "c")).contains("&min_ts=1795174800&"));
    assert!(whole.told().is_empty());
    whole.tell(&fills(&[fill("t-2", "o-2")], ""));
    assert_eq!(whole.told(), [Told::Absent { as_of: UnixMs::new(1_795_132_801_000) }]);

    let mut found = in_doubt();
    found.tell(&page(&[row("o-1", "hand")], "a"));
    found.tell(&page(&[row("o-7", "orion-00c0ffee-4294967297")], "b"));
    assert!(found.tell(&fills(&[fill("t-1", "o-7")], "x")).ends_with("fills?order_id=o-7&limit=1000"));
    found.tell(&fills(&[fill("t-2", "o-7")], ""));
    let told = found.told();
    assert_eq!(told[0], Told::Sent(Sent::Accepted(Tag::new("o-7").unwrap())));
    assert!(matches!(told[1..3], [Told::Trade(_), Told::Trade(_)]));
    assert_eq!(told[3..], [picture(1, false)]);

    let bad = [
        ("a loop", vec![page(&[], "a"), page(&[], "b"), page(&[], "a")]),
        ("a page of something else", vec![String::from("<html>")]),
        ("a page that does not say whether it is the last", vec![String::from(r#"{"orders":[]}"#)]),
        ("no list", vec![String::from(r#"{"cursor":""}"#)]),
        ("a row that cannot be read", vec![page(&[String::from("{}")], "")]),
        ("a fill of an order that the listing hides", vec![page(&[], ""), fills(&[fill("t-1", "o-9")], "")]),
        (
            "fills of somebody else's order",
            vec![page(&[row("o-7", "orion-00c0ffee-4294967297")], ""), fills(&[fill("t-1", "o-8")], "")],
        ),
    ];
    for (what, bodies) in bad {
        let mut rig = in_doubt();
        for body in &bodies {
            rig.tell(body);
        }
        assert!(rig.told().is_empty() && rig.out.calls.is_empty(), "{what}");
        rig.look(&ask(1), None);
        assert_eq!(rig.out.calls.len(), 1, "it is asked again when the plan wants it: {what}");
    }
}

#[test]
fn a_question_that_fails_tells_nothing() {
    for back in
        [Back::NotSent, Back::Lost(Unclear::TimedOut), Back::Whole(500, Vec::new()), Back::Whole(404, Vec::new())]
    {
        let mut rig = in_doubt();
        let call = rig.call();
        rig.answer(call.no, back.clone());
        rig.answer(call.no, back);
        rig.answer(CallNo(77), Back::Whole(200, b"{}".to_vec()));
        assert!(rig.told().is_empty() && rig.out.calls.is_empty());
    }
}

#[test]
fn orders_of_an_earlier_start_are_absent_only_while_the_listing_still_goes_back_to_them() {
    for (days, told) in [(6, 1), (8, 0)] {
        let mut rig = different(|setup| {
            setup.sent = vec![(ask(1).id, UnixMs::new(START.raw() - days * 86_400_000))];
        });
        rig.look(&ask(1), None);
        rig.wait(500);
        assert_eq!(rig.told().len(), told, "{days} days");
    }
}

/// An order of ours that rests, as no order of ours should, and its id.
fn resting(rig: &mut Rig) -> Tag {
    let name = format!("orion-00c0ffee-{}", ask(1).id.raw());
    let order = rig.town.order("bid", "0.4000", "10.00");
    let order = sim_kalshi::with(order, &json!({"client_order_id": name}));
    Tag::new(rig.town.placed(1, &order)["order_id"].as_str().unwrap()).unwrap()
}

#[test]
fn a_cancel_goes_by_the_venues_id_and_finds_it_first_where_nobody_knows_it() {
    for knows in [true, false] {
        let mut rig = rig(Vec::new());
        let tag = resting(&mut rig);
        rig.look(&ask(1), Some(tag));
        rig.wait(300);
        assert_eq!(rig.told(), [picture(0, true)], "a look cancels nothing");
        rig.gateway.cancel(&ask(1), knows.then_some(tag), rig.at(), &mut rig.out);
        rig.wait(300);
        let told = rig.told();
        let cancelled = Told::Cancelled { left: Some(Qty::whole(10)) };
        if knows {
            assert_eq!(told, [cancelled]);
        } else {
            assert_eq!(told, [Told::Sent(Sent::Accepted(tag)), picture(0, true), cancelled]);
        }
        let last = rig.carried.last().unwrap();
        let query = format!("market_ticker={}&exchange_index=0", rig.town.ticker);
        assert_eq!(last, &format!("DELETE /trade-api/v2/portfolio/events/orders/{tag}?{query}"));
        rig.gateway.cancel(&ask(1), Some(tag), rig.at(), &mut rig.out);
        rig.wait(100);
        assert_eq!(rig.told(), [Told::NotCancelled], "a 404 is no proof");
    }
}

#[test]
fn a_cancel_whose_answer_is_lost_leaves_it_to_the_record() {
    let mut rig = rig(vec![(When::OfKind(Kind::Cancel, 1), OrderFault::AnswerLost)]);
    let tag = resting(&mut rig);
    rig.gateway.cancel(&ask(1), Some(tag), rig.at(), &mut rig.out);
    rig.wait(100);
    assert_eq!(rig.told(), [Told::NotCancelled]);
    rig.look(&ask(1), Some(tag));
    rig.wait(100);
    assert_eq!(rig.told(), [picture(0, false)]);
}

#[test]
fn a_venues_id_that_a_request_could_not_carry_is_never_sent() {
    let mut rig = rig(Vec::new());
    let odd = Tag::new("../balance?x=").unwrap();
    rig.look(&ask(1), Some(odd));
    rig.gateway.cancel(&ask(1), Some(odd), rig.at(), &mut rig.out);
    assert!(rig.out.calls.is_empty());
    assert_eq!(rig.told(), [Told::NotCancelled]);
}

#[test]
fn the_latch_throws_the_venues_own_switch_until_it_has_heard_of_it() {
    let mut town = Town::with(Settings {
        faults: OrderPlan::listed(vec![(When::OfKind(Kind::Change, 2), OrderFault::ErrorBefore(503))]),
        ..settings()
    });
    let body = group::write_create(Qty::whole(500), 0, None);
    let answer = town.send(1, "POST", group::CREATE, &body).reply;
    assert_eq!(answer.status, 201);
    let made = group::parse_created(answer.body.as_bytes()).unwrap();
    let mut setup = setup(&town);
    setup.groups = vec![(0, made)];
    let mut rig = Rig::with(town, setup);
    rig.open();
    rig.send(&ask(1));
    rig.wait(100);
    let accepted = |told: &Told| matches!(told, Told::Sent(Sent::Accepted(_)));
    assert!(rig.told().iter().any(accepted), "the group takes it");
    rig.gateway.halt(rig.at(), &mut rig.out);
    assert_eq!(rig.out.calls[0].lane, Lane::Safety);
    rig.wait(1_000);
    assert_eq!(rig.out.strange.len(), 1, "it failed");
    assert_eq!(rig.out.halt, None);
    rig.wait(3_000);
    assert!(rig.out.halt.is_some(), "the stream tells of it");
    assert_eq!(rig.carried.iter().filter(|call| call.starts_with("PUT ")).count(), 2);
    rig.told();
    rig.send(&ask(2));
    rig.wait(100);
    assert_eq!(rig.told(), [Told::Sent(Sent::Refused(Refusal::Group))]);
    rig.send(&Ask { purpose: Purpose::Complete, ..ask(3) });
    rig.wait(100);
    assert!(rig.told().iter().any(accepted), "a hedge passes");
}

#[test]
fn the_signer_of_the_tests_is_the_towns() {
    assert_eq!(signer(1).public_key().unwrap(), sim_kalshi::spki(&sim_kalshi::pair(1)));
}
