//! Polymarket's answers and reports as they are documented and recorded, and what each means for the order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use std::path::PathBuf;

use orion::{
    fill::{Heard, Whose},
    order::{Ask, Purpose},
    unit::{
        MarketId, Money, OrderId, Outcome, Picture, Price, Qty, Refusal, Sent, Stage, Tag, Told, Unclear, UnixMs, Venue,
    },
    venue::polymarket::{
        answer::{cancelled, posted},
        report,
    },
    wire::json::{Malformed, Parser},
};
use serde_json::{Value, json};

const NOW: UnixMs = UnixMs::new(1_795_000_000_000);
const YES: &str = "21742633143463906290569050155826241533067272736897614950488156847949938836455";

fn folder() -> Option<PathBuf> {
    common::fixtures("polymarket")
}

fn file(path: &str) -> Option<Value> {
    folder().map(|folder| serde_json::from_str(&std::fs::read_to_string(folder.join(path)).unwrap()).unwrap())
}

fn ask(qty: &str, buys: bool) -> Ask {
    Ask {
        id: OrderId::new(1, 1).unwrap(),
        venue: Venue::Polymarket,
        market: MarketId(1),
        outcome: Outcome::No,
        buys,
        qty: Qty::parse(qty.as_bytes()).unwrap(),
        limit: Price::new(4_700).unwrap(),
        purpose: Purpose::Entry,
    }
}

fn answer(status: u16, body: &str, ask: &Ask, kills: bool) -> Vec<Told> {
    posted(status, &mut body.as_bytes().to_vec(), ask, kills, &mut Parser::default()).to_vec()
}

fn unknown(why: Unclear) -> Vec<Told> {
    vec![Told::Sent(Sent::Unknown(why))]
}

fn outcome(token: &str) -> Option<Outcome> {
    (!token.is_empty()).then_some(if token == YES { Outcome::Yes } else { Outcome::No })
}

#[test]
fn every_documented_error_of_an_order_is_a_refusal_or_unknown_as_its_status_says() {
    let Some(errors) = file("rest/clob_errors.json") else { return };
    let sections = ["Global Errors", "Order Processing Errors", "Matching Engine Errors"];
    let (mut refused, mut doubtful) = (0, Vec::new());
    for row in errors["errors"].as_array().unwrap() {
        let of_orders = row["endpoint"].as_str().is_some_and(|e| e.starts_with("POST order"))
            || sections.contains(&row["section"].as_str().unwrap());
        let status = row["http_status"].as_u64().unwrap() as u16;
        if !of_orders {
            continue;
        }
        let message = row["message"].as_str().unwrap_or_default();
        for body in
            [json!({"error": message}), json!({"success": false, "errorMsg": message, "orderID": "", "status": ""})]
        {
            let told = answer(status, &body.to_string(), &ask("10", true), false);
            match told.as_slice() {
                [Told::Sent(Sent::Refused(_))] => refused += 1,
                [Told::Sent(Sent::Unknown(_))] => doubtful.push(message.to_owned()),
                other => panic!("{message}: {other:?}"),
            }
        }
    }
    doubtful.dedup();
    // Errors of the engine say nothing of the order; two sentences of the list are about what nobody knows yet, or
    // about a thing that no longer exists.
    let wanted = [
        "order canceled in the CTF exchange contract",
        "order match delayed due to market conditions",
        "there are no matching orders",
        "FOK orders are filled or killed",
        "the trade contains rounding issues",
        "the price of the taker's order has a discrepancy greater than allowed with the worst maker order",
        "order timed out",
        "could not insert order",
    ];
    assert_eq!(doubtful, wanted);
    assert!(50 < refused, "{refused}");
}

#[test]
fn every_documented_answer_is_read_as_what_it_is() {
    let Some(shapes) = file("rest/trading_responses.json") else { return };
    let accepted = |id: &str, filled: &str, open: bool| {
        let picture = Picture { filled: Qty::parse(filled.as_bytes()).unwrap(), open };
        vec![Told::Sent(Sent::Accepted(Tag::new(id).unwrap())), Told::Picture(picture)]
    };
    let id = |n: u8| format!("0x00000000000000000000000000000000000000000000000000000000feed000{n}");
    let refused = |refusal| vec![Told::Sent(Sent::Refused(refusal))];
    let mut seen = 0;
    for shape in shapes["responses"].as_array().unwrap() {
        let name = shape["name"].as_str().unwrap();
        let (qty, wanted) = match name {
            "resting limit order" => ("10", accepted(&id(1), "0", true)),
            "matched at once, since 2026-07-24 (hashes come later)" => ("40", accepted(&id(2), "40", false)),
            "held by the taker delay of a sports market" | "accepted, marketable, not matched" => {
                ("10", unknown(Unclear::Delayed))
            }
            "rejected" => ("10", refused(Refusal::Funds)),
            "rejected, plain error body" => ("10", refused(Refusal::Malformed)),
            "engine restarting" => ("10", refused(Refusal::Restarting)),
            "post-only window after a restart" => ("10", refused(Refusal::PostOnly)),
            "cancel-only, wording of the error-codes page" => ("10", refused(Refusal::CancelOnly)),
            "cancel-only, wording of the newer API description" => ("10", refused(Refusal::Disabled)),
            "throttled by the per-signer bucket" => ("10", refused(Refusal::Rate)),
            "captured: BUY 5 shares matched at 0.47" => {
                ("5", accepted("0x8b416d01048aea99086ea6c1e4510cad2d0bb881a0def312b9b81b7ac732ad8e", "5", false))
            }
            _ => continue,
        };
        seen += 1;
        let body = shape["body"].to_string();
        let body = if body == "null" { "" } else { &body };
        assert_eq!(
            answer(shape["http_status"].as_u64().unwrap() as u16, body, &ask(qty, true), false),
            wanted,
            "{name}"
        );
    }
    assert_eq!(seen, 12);
}

#[test]
fn accepted_means_success_and_no_sentence_and_an_order_id_together() {
    let order = ask("40", true);
    let body = |success: bool, message: &str, id: &str| {
        json!({"success": success, "errorMsg": message, "orderID": id, "status": "live", "takingAmount": ""})
            .to_string()
    };
    assert_eq!(answer(200, &body(true, "", ""), &order, false), unknown(Unclear::Unreadable));
    let contradiction = body(true, "not enough balance / allowance", "0x1");
    assert_eq!(answer(200, &contradiction, &order, false), unknown(Unclear::Unfamiliar));
    let hidden = body(true, "post-only mode: only post-only orders and cancels are allowed", "");
    assert_eq!(answer(200, &hidden, &order, false), [Told::Sent(Sent::Refused(Refusal::PostOnly))]);
    for (status, text, why) in [
        (200, "<html>ok</html>", Unclear::Unreadable),
        (200, "[]", Unclear::Unreadable),
        (400, "<html>no</html>", Unclear::Unfamiliar),
        (400, r#"{"error":"the moon is in the wrong phase"}"#, Unclear::Unfamiliar),
        (500, r#"{"error":"not enough balance / allowance"}"#, Unclear::Status(500)),
        (502, "", Unclear::Status(502)),
        (302, "", Unclear::Status(302)),
        (503, "upstream connect error", Unclear::Unfamiliar),
    ] {
        assert_eq!(answer(status, text, &order, false), unknown(why), "{status} {text}");
    }
}

#[test]
fn what_a_partly_matched_order_leaves_stands_unless_the_order_kills_it() {
    let body = |making: &str, taking: &str| {
        json!({"success": true, "errorMsg": "", "orderID": "0x1", "status": "matched", "makingAmount": making,
            "takingAmount": taking, "tradeIDs": []})
        .to_string()
    };
    let picture = |told: Vec<Told>| match told[1] {
        Told::Picture(picture) => (picture.filled.micros(), picture.open),
        other => panic!("{other:?}"),
    };
    assert_eq!(picture(answer(200, &body("3.2", "25"), &ask("40", true), false)), (25_000_000, true));
    assert_eq!(picture(answer(200, &body("3.2", "25"), &ask("40", true), true)), (25_000_000, false));
    // A sale makes shares and takes dollars.
    assert_eq!(picture(answer(200, &body("40", "18.4"), &ask("40", false), true)), (40_000_000, false));
    assert_eq!(picture(answer(200, &body("18.7", "39.995"), &ask("40", true), false)), (39_995_000, false), "dust");
}

#[test]
fn a_refused_cancel_is_a_200_and_proves_nothing() {
    let tag = Tag::new("0xfeed0001").unwrap();
    let read = |status, body: &str| cancelled(status, &mut body.as_bytes().to_vec(), &tag, &mut Parser::default());
    assert_eq!(read(200, r#"{"canceled":["0xfeed0001"],"not_canceled":{}}"#), Told::Cancelled { left: None });
    for body in [
        r#"{"canceled":[],"not_canceled":{"0xfeed0001":"Order not found or already canceled"}}"#,
        r#"{"canceled":["0xfeed0002"]}"#,
        "{}",
        "<html>",
    ] {
        assert_eq!(read(200, body), Told::NotCancelled, "{body}");
    }
    assert_eq!(read(500, r#"{"canceled":["0xfeed0001"]}"#), Told::NotCancelled);
}

fn trades(value: &Value, owner: &str) -> Result<Vec<Heard>, Malformed> {
    let mut bytes = value.to_string().into_bytes();
    Parser::default().parse(&mut bytes, |item| report::trade(item, owner, &outcome, NOW)).map(|heard| heard.to_vec())
}

#[test]
fn a_takers_trade_is_counted_order_by_order_at_the_price_of_each() {
    let Some(mut recorded) = file("nautilus/python/ws_messages/user_trade1.json") else { return };
    // The recording is a maker's; its taker was told the same with the other role.
    recorded["trader_side"] = json!("TAKER");
    let heard = trades(&recorded, "nobody").unwrap();
    let taker = Whose::Named(Tag::new(recorded["taker_order_id"].as_str().unwrap()).unwrap());
    let mut sum = 0;
    for (met, heard) in recorded["maker_orders"].as_array().unwrap().iter().zip(&heard) {
        assert_eq!(heard.order, taker);
        let Told::Trade(trade) = heard.told else { panic!("a trade") };
        let price = Price::parse(met["price"].as_str().unwrap().as_bytes()).unwrap();
        let wanted = if met["asset_id"] == YES { price } else { price.complement() };
        assert_eq!((trade.price, trade.outcome, trade.fee), (wanted, Outcome::Yes, None));
        sum += trade.qty.micros();
    }
    assert_eq!(heard.len(), recorded["maker_orders"].as_array().unwrap().len());
    assert_eq!(sum, Qty::parse(recorded["size"].as_str().unwrap().as_bytes()).unwrap().micros());
}

#[test]
fn a_makers_trade_is_our_entry_alone_on_its_own_token() {
    let Some(recorded) = file("nautilus/python/ws_messages/user_trade3.json") else { return };
    let owner = recorded["maker_orders"][0]["owner"].as_str().unwrap();
    let heard = trades(&recorded, owner).unwrap();
    assert_eq!(heard.len(), 1);
    let Told::Trade(trade) = heard[0].told else { panic!("a trade") };
    assert_eq!((trade.stage, trade.price.raw(), trade.qty), (Stage::Confirmed, 5_130, Qty::whole(5)));
    assert_eq!(
        heard[0].order,
        Whose::Named(Tag::new(recorded["maker_orders"][0]["order_id"].as_str().unwrap()).unwrap())
    );
    assert_eq!(trades(&recorded, "somebody else").unwrap(), []);
}

#[test]
fn where_our_own_orders_meet_both_are_told_under_names_of_their_own() {
    let met = json!({"order_id": "0xb", "owner": "me", "asset_id": "2", "price": "0.4", "matched_amount": "5"});
    let trade = json!({"id": "t", "taker_order_id": "0xa", "status": "MATCHED", "asset_id": YES, "side": "BUY",
        "size": "5", "price": "0.6", "trader_side": "TAKER", "maker_orders": [met]});
    let fills: Vec<_> = trades(&trade, "me")
        .unwrap()
        .into_iter()
        .map(|heard| match (heard.order, heard.told) {
            (Whose::Named(order), Told::Trade(t)) => {
                (order.to_string(), t.tag.to_string(), t.outcome, t.bought, t.price.raw(), t.fee)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let fill =
        |order: &str, tag: &str, outcome, price, fee| (order.to_owned(), tag.to_owned(), outcome, true, price, fee);
    // Makers pay nothing; what a taker pays is not said.
    let free = Some(Money::ZERO);
    assert_eq!(fills, [fill("0xa", "t/0", Outcome::Yes, 6_000, None), fill("0xb", "t/0m", Outcome::No, 4_000, free)]);
}

#[test]
fn each_step_of_a_settlement_has_its_stage_and_a_new_word_is_not_guessed() {
    let Some(mut recorded) = file("nautilus/python/ws_messages/user_trade2.json") else { return };
    for (word, stage) in [
        ("MATCHED", Stage::Matched),
        ("TRADE_STATUS_MATCHED_NOT_BROADCASTED", Stage::Matched),
        ("MINED", Stage::Mined),
        ("RETRYING", Stage::Mined),
        ("TRADE_STATUS_CONFIRMED", Stage::Confirmed),
        ("FAILED", Stage::Failed),
    ] {
        recorded["status"] = json!(word);
        let heard = trades(&recorded, "nobody").unwrap();
        assert!(matches!(heard[0].told, Told::Trade(trade) if trade.stage == stage), "{word}");
    }
    recorded["status"] = json!("EVAPORATED");
    assert_eq!(trades(&recorded, "nobody"), Err(Malformed::Field("status")));
}

#[test]
fn an_order_is_over_only_in_words_that_say_so() {
    let read = |value: Value| {
        let mut bytes = value.to_string().into_bytes();
        match Parser::default().parse(&mut bytes, |item| report::order(item, NOW)).unwrap().told {
            Told::Picture(picture) => (picture.filled.micros() / 1_000_000, picture.open),
            other => panic!("{other:?}"),
        }
    };
    let order = |kind: &str, status: &str, matched: &str| json!({"id": "0x1", "type": kind, "status": status, "original_size": "10", "size_matched": matched});
    assert_eq!(read(order("PLACEMENT", "LIVE", "")), (0, true));
    assert_eq!(read(order("UPDATE", "LIVE", "4")), (4, true));
    assert_eq!(read(order("UPDATE", "MATCHED", "10")), (10, false));
    assert_eq!(read(order("CANCELLATION", "CANCELED", "4")), (4, false));
    assert_eq!(read(order("CANCELLATION", "INVALID", "0")), (0, false));
    assert_eq!(read(order("CANCELLATION", "CANCELED_order couldn't be fully filled.", "0")), (0, false));
    assert_eq!(
        read(json!({"id": "0x1", "status": "ORDER_STATUS_CANCELED", "original_size": "10", "size_matched": "3"})),
        (3, false)
    );
    assert_eq!(
        read(json!({"id": "0x1", "status": "ORDER_STATUS_LIVE", "original_size": "10", "size_matched": "3"})),
        (3, true)
    );
    assert_eq!(read(order("UPDATE", "DELAYED", "0")), (0, true));
    assert_eq!(read(order("UPDATE", "EVAPORATED", "0")), (0, true), "a new word leaves it open");
    let at_once = |kind: &str| {
        json!({"id": "0x1", "status": "ORDER_STATUS_MATCHED", "original_size": "10", "size_matched": "3",
            "order_type": kind})
    };
    assert_eq!(read(at_once("FAK")), (3, false), "what takes at once has taken");
    assert_eq!(read(at_once("GTD")), (3, true));
    let Some(examples) = file("ws/user_docs_examples.json") else { return };
    for example in examples.as_array().unwrap().iter().filter(|e| e["event_type"] == "order") {
        read(example.clone());
    }
}
