//! The account as a whole, and the private stream, through Kalshi's gateway.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "common/call.rs"]
mod call;
#[path = "common/kalshi_rig.rs"]
mod kalshi_rig;
#[path = "common/sim_kalshi.rs"]
mod sim_kalshi;

use kalshi_rig::{Back, Rig, ask, setup};
use orion::{
    fill::Whose,
    sim::kalshi::{
        desk::Settings,
        order_fault::{Kind, OrderFault, OrderPlan, When},
    },
    unit::{Money, Outcome, Price, Qty, Sent, Tag, Told},
    venue::{
        gateway::{Account, Gateway as _, Held},
        kalshi::gateway::Market,
    },
};
use sim_kalshi::{Town, settings, with};

const ACKS: [&str; 2] = [
    r#"{"type":"subscribed","id":1,"msg":{"channel":"fill","sid":1}}"#,
    r#"{"type":"subscribed","id":1,"msg":{"channel":"user_orders","sid":2}}"#,
];

fn rig() -> Rig {
    Rig::new(settings())
}

/// Ten YES are held, and an order by hand and one of ours rest.
fn invested(rig: &mut Rig) -> [Tag; 2] {
    let order = rig.town.order("ask", "0.4000", "10.00");
    rig.town.placed(2, &order);
    rig.send(&ask(1));
    rig.wait(100);
    let mine = format!("orion-00c0ffee-{}", ask(9).id.raw());
    [Some(mine), None].map(|name| {
        let order = rig.town.order("bid", "0.1000", "1.00");
        let order = name.map_or(order.clone(), |name| with(order, &serde_json::json!({"client_order_id": name})));
        Tag::new(rig.town.placed(1, &order)["order_id"].as_str().unwrap()).unwrap()
    })
}

fn expected(rig: &Rig, [ours, by_hand]: [Tag; 2], shards: &[u8]) -> Account {
    Account {
        allowance: None,
        as_of: rig.out.account.as_ref().unwrap().as_of,
        cash: shards.iter().map(|&shard| (shard, rig.town.cash(0, shard))).collect(),
        held: vec![Held { market: Tag::new(&rig.town.ticker).unwrap(), qty: [Qty::whole(10), Qty::ZERO] }],
        standing: vec![(by_hand, None), (ours, Some(ask(9).id))],
    }
}

#[test]
fn the_account_is_told_whole_and_its_age_is_read_first() {
    let mut rig = Rig::new(Settings { read_lag_ms: 700, ..settings() });
    let standing = invested(&mut rig);
    rig.wait(1_000);
    rig.carried.clear();
    let asked = rig.at().unix;
    rig.gateway.account(rig.at(), &mut rig.out);
    rig.gateway.account(rig.at(), &mut rig.out);
    rig.wait(500);
    assert_eq!(rig.out.account, Some(expected(&rig, standing, &[0, 1, 2, 3])));
    assert_ne!(rig.town.cash(0, 0), Money::dollars(1_000), "something was spent");
    assert_eq!(asked.since(rig.out.account.as_ref().unwrap().as_of), 700);
    let paths: Vec<&str> = rig.carried.iter().map(|call| call.rsplit('/').next().unwrap()).collect();
    let wanted = ["user_data_timestamp?", "orders?status=resting&limit=1000", "positions?limit=1000", "balance?"];
    assert_eq!(paths, wanted);
}

#[test]
fn a_key_that_sees_no_shards_asks_each_of_them_at_the_pace_of_balances() {
    let mut settings = settings();
    settings.accounts[0].keys[0].subaccount = Some(0);
    let town = Town::with(settings);
    let mut setup = setup(&town);
    setup.markets.push(Some(Market { ticker: "KX-ELSEWHERE".into(), shard: 3 }));
    setup.subaccount = Some(0);
    let mut rig = Rig::with(town, setup);
    let standing = invested(&mut rig);
    rig.gateway.account(rig.at(), &mut rig.out);
    rig.wait(1_900);
    assert_eq!(rig.out.account, None, "one a second");
    rig.wait(500);
    assert_eq!(rig.out.account, Some(expected(&rig, standing, &[0, 3])));
}

#[test]
fn an_account_that_cannot_be_read_whole_is_not_told() {
    for number in 1..=3 {
        for fault in [OrderFault::ErrorBefore(502), OrderFault::Html, OrderFault::AnswerLate(6_000)] {
            let faults = OrderPlan::listed(vec![(When::OfKind(Kind::Read, number), fault)]);
            let mut rig = Rig::new(Settings { faults, ..settings() });
            rig.gateway.account(rig.at(), &mut rig.out);
            rig.wait(6_000);
            assert_eq!(rig.out.account, None, "{number} {fault:?}");
            rig.gateway.account(rig.at(), &mut rig.out);
            rig.wait(1_000);
            assert!(rig.out.account.is_some(), "and can be asked for again");
        }
    }
    let mut rig = rig();
    rig.gateway.account(rig.at(), &mut rig.out);
    rig.tell(r#"{"as_of_time":"2026-11-20T00:00:01Z"}"#);
    rig.tell(r#"{"orders":[],"cursor":""}"#);
    let row = r#"{"ticker":"A","position_fp":"-1.00"}"#;
    rig.tell(&format!(r#"{{"market_positions":[{row}],"cursor":"x"}}"#));
    rig.tell(&format!(r#"{{"market_positions":[{row}],"cursor":""}}"#));
    assert!(rig.out.account.is_none() && rig.out.calls.is_empty(), "a market twice");
}

#[test]
fn every_page_counts_a_position_in_no_is_no_and_cash_may_be_owed() {
    let order = |id: &str| {
        format!(r#"{{"order_id":"{id}","status":"resting","fill_count_fp":"0.00","remaining_count_fp":"1.00"}}"#)
    };
    let mut rig = rig();
    rig.gateway.account(rig.at(), &mut rig.out);
    rig.tell(r#"{"as_of_time":"2026-11-20T00:00:01Z"}"#);
    rig.tell(&format!(r#"{{"orders":[{}],"cursor":"x"}}"#, order("o-1")));
    // One that moved to the next page while it was read.
    let target = rig.tell(&format!(r#"{{"orders":[{},{}],"cursor":""}}"#, order("o-1"), order("o-2")));
    assert!(target.ends_with("orders?status=resting&limit=1000&cursor=x"), "{target}");
    rig.tell(r#"{"market_positions":[{"ticker":"A","position_fp":"-1.50"}],"cursor":"y"}"#);
    let target = rig.tell(r#"{"market_positions":[{"ticker":"B","position_fp":"0.00"}],"cursor":""}"#);
    assert!(target.ends_with("positions?limit=1000&cursor=y"), "{target}");
    rig.tell(r#"{"balance":-1,"balance_breakdown":[{"exchange_index":2,"balance":"-0.0150"}]}"#);
    let account = rig.out.account.unwrap();
    let held = Held { market: Tag::new("A").unwrap(), qty: [Qty::ZERO, Qty::new(1_500_000).unwrap()] };
    assert_eq!((account.held, account.cash), (vec![held], vec![(2, Money::micros(-15_000))]));
    assert_eq!(account.standing, ["o-1", "o-2"].map(|id| (Tag::new(id).unwrap(), None)));
}

#[test]
fn what_the_stream_shows_is_told_and_the_id_it_names_is_used() {
    let mut rig = rig();
    rig.open();
    rig.tick();
    assert!(std::mem::take(&mut rig.out.missed), "a new stream: everything open is looked at");
    let order = rig.town.order("ask", "0.4000", "6.00");
    rig.town.placed(2, &order);
    // By hand, on the same account.
    let hand = rig.town.taker("bid", "0.4000", "1.00");
    let hand = Tag::new(rig.town.placed(1, &hand)["order_id"].as_str().unwrap()).unwrap();
    rig.tick();
    assert!(!rig.out.heard.is_empty() && rig.out.heard.iter().all(|heard| heard.order == Whose::Named(hand)));
    rig.out.heard.clear();
    let mine = rig.town.taker("bid", "0.4000", "5.00");
    let id = ask(1).id;
    rig.send(&ask(1));
    rig.out.calls.clear();
    let name = format!("orion-00c0ffee-{}", id.raw());
    let mine = rig.town.placed(1, &with(mine, &serde_json::json!({"client_order_id": name})));
    rig.tick();
    assert!(rig.out.heard.iter().all(|heard| heard.order == Whose::Ours(id)));
    let trades: Vec<_> = rig
        .told()
        .into_iter()
        .filter_map(|told| if let Told::Trade(trade) = told { Some(trade) } else { None })
        .collect();
    assert_eq!(trades.len(), 1);
    assert_eq!((trades[0].outcome, trades[0].bought, trades[0].qty), (Outcome::Yes, true, Qty::whole(5)));
    assert_eq!(trades[0].price, Price::new(4_000).unwrap());
    rig.look(&ask(1), None);
    rig.wait(200);
    let tag = Tag::new(mine["order_id"].as_str().unwrap()).unwrap();
    assert!(rig.carried.iter().any(|call| call.ends_with(&format!("/portfolio/orders/{tag}?"))), "by its id");
    assert_eq!(rig.told()[0], Told::Sent(Sent::Accepted(tag)));
}

/// A gateway with one group whose stream is acknowledged, groups included.
fn listening() -> Rig {
    let town = Town::new();
    let mut setup = setup(&town);
    setup.groups = vec![(0, Tag::new("g-1").unwrap())];
    let mut rig = Rig::with(town, setup);
    rig.gateway.opened(rig.at(), &mut rig.out);
    assert_eq!(
        rig.out.sends,
        [r#"{"id":1,"cmd":"subscribe","params":{"channels":["fill","user_orders","order_group_updates"]}}"#]
    );
    for text in ACKS {
        say(&mut rig, text);
        assert!(!rig.out.missed, "not all of them yet");
    }
    say(&mut rig, "{\"type\":\"subscribed\",\"id\":1,\"msg\":{\"channel\":\"order_group_updates\",\"sid\":3}}\n");
    assert!(std::mem::take(&mut rig.out.missed));
    rig
}

fn say(rig: &mut Rig, text: &str) {
    let at = rig.at();
    rig.gateway.text(&mut text.as_bytes().to_vec(), at, &mut rig.out);
}

fn group(seq: u64, event: &str, id: &str) -> String {
    format!(
        r#"{{"type":"order_group_updates","sid":3,"seq":{seq},"msg":{{"event_type":"{event}","order_group_id":"{id}","ts_ms":1}}}}"#
    )
}

#[test]
fn a_group_that_triggers_by_itself_stops_entries_and_a_gap_in_its_news_ends_the_stream() {
    let mut rig = listening();
    say(&mut rig, &group(1, "created", "g-1"));
    say(&mut rig, &group(2, "triggered", "g-other"));
    assert_eq!((rig.out.halt, rig.out.lost), (None, false));
    say(&mut rig, &group(3, "triggered", "g-1"));
    assert!(rig.out.halt.is_some() && !rig.out.lost);
    say(&mut rig, &group(5, "reset", "g-1"));
    assert!(rig.out.lost);
    let mut deleted = listening();
    say(&mut deleted, &group(1, "deleted", "g-1"));
    assert!(deleted.out.halt.is_some());
}

#[test]
fn a_subscription_that_ends_or_never_stands_ends_the_stream() {
    for text in [
        r#"{"type":"error","id":1,"msg":{"code":9,"msg":"Authentication required"}}"#,
        r#"{"type":"error","sid":1,"msg":{"code":25,"msg":"Subscription buffer overflow"}}"#,
        r#"{"type":"unsubscribed","id":5,"sid":1,"seq":7}"#,
    ] {
        let mut rig = listening();
        say(&mut rig, text);
        assert!(rig.out.lost && rig.out.strange.len() == 1, "{text}");
    }
    let mut rig = rig();
    rig.gateway.opened(rig.at(), &mut rig.out);
    say(&mut rig, ACKS[0]);
    rig.town.wait(5_001);
    rig.gateway.timeout(rig.at(), &mut rig.out);
    assert!(std::mem::take(&mut rig.out.lost), "half of it never stood");
    rig.gateway.timeout(rig.at(), &mut rig.out);
    assert!(!rig.out.lost, "told once");
}

#[test]
fn silence_ends_the_stream_and_pings_are_not_silence() {
    let mut rig = listening();
    for _ in 0..3 {
        rig.town.wait(10_000);
        rig.gateway.alive(rig.at(), &mut rig.out);
        rig.gateway.timeout(rig.at(), &mut rig.out);
        assert!(!rig.out.lost);
    }
    rig.town.wait(15_001);
    rig.gateway.timeout(rig.at(), &mut rig.out);
    assert!(rig.out.lost);
}

#[test]
fn what_cannot_be_read_is_a_reason_to_look_and_too_much_of_it_ends_the_stream() {
    let mut rig = listening();
    for text in ["", "\n", " \r\n"] {
        say(&mut rig, text);
        assert!(!rig.out.missed && rig.out.strange.is_empty());
    }
    for text in
        ["{", "[]", r#"{"type":"fill","sid":1,"msg":{"trade_id":"t"}}"#, r#"{"type":"fill","type":"fill"}"#, "\0"]
    {
        say(&mut rig, text);
        assert!(std::mem::take(&mut rig.out.missed), "{text}");
        assert!(!rig.out.lost);
    }
    say(&mut rig, "NaN");
    assert!(rig.out.lost);
}

#[test]
fn a_kind_that_nobody_knows_is_told_once_without_what_it_carries() {
    let mut rig = listening();
    let secret = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC";
    for _ in 0..50 {
        say(&mut rig, &format!(r#"{{"type":"margin_call","sid":1,"msg":{{"key":"{secret}"}}}}"#));
        say(&mut rig, &format!(r#"{{"type":"k {secret}","sid":1,"msg":{{}}}}"#));
    }
    assert_eq!(rig.out.strange, ["a private frame of the kind `margin_call`", "a private frame of the kind `k …`"]);
    for number in 0..100 {
        say(&mut rig, &format!(r#"{{"type":"new_{number}","sid":1,"msg":{{}}}}"#));
    }
    assert_eq!(rig.out.strange.len(), 16);
    assert!(!rig.out.lost && !rig.out.missed && rig.out.heard.is_empty());

    rig.out.strange.clear();
    rig.send(&ask(1));
    let call = rig.call();
    let body = format!(r#"{{"error":{{"code":"{}","message":"{}"}}}}"#, secret.repeat(3), "word ".repeat(200));
    rig.answer(call.no, Back::Whole(400, body.into_bytes()));
    let [said] = &rig.out.said[..] else { panic!("{:?}", rig.out.said) };
    assert_eq!((said.order, said.status), (ask(1).id, 400));
    let words = format!(r#"{{"error":{{"code":"***","message":"{}"}}}}"#, "word ".repeat(200));
    assert_eq!(said.words, words, "as it came, but for what is as long as a signature");
}
