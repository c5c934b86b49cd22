//! Polymarket's gateway in virtual time against the simulated CLOB, which checks every sign-in, signature and amount
//! for itself: each kind of wallet, each way an answer can be lost, and hundreds of random courses with faults. What
//! the engine believes in the end is what the wallet holds.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "common/call.rs"]
mod call;
#[path = "common/clob.rs"]
mod clob;
#[path = "common/entry.rs"]
mod entry;

use call::Read;
use clob::{Bench, calm};
use entry::{EVERYBODY, Rig, Way, Who, Wish};
use orion::fill::Whose;
use orion::order::leg::{End, State};
use orion::order::{Impossible, Purpose};
use orion::sim::clob::Rules;
use orion::sim::clob::account::Kind;
use orion::sim::clob::fault::{Class, Loss, OrderFault};
use orion::sim::clob::mode::Mode;
use orion::spread::{FeeCurve, Terms};
use orion::unit::{BookSide, Grid, MarketId, Money, Nanos, Outcome, Qty, Refusal, Sent, Told, Unclear, UnixMs, Venue};
use orion::venue::gateway::{Answer, Gateway as _, Lane, Out, Said, Unready};
use serde_json::{Value, json};

const PURE: Who = Who::Own(Kind::Deposit);

fn rig() -> Rig {
    Rig::new(calm(), PURE, Bench::plain)
}

fn ask_price(rig: &Rig) -> u16 {
    rig.bench.best(rig.market, BookSide::Ask).raw()
}

/// Ten shares that are there.
fn taking(rig: &Rig) -> Wish {
    Wish::buy(Outcome::Yes, ask_price(rig), 10)
}

fn held(rig: &Rig, outcome: u8) -> Qty {
    rig.bench.desk.wallet(rig.trader.wallet).held(rig.market, outcome)
}

#[test]
fn every_kind_of_wallet_buys_and_sells_on_every_exchange() {
    for who in EVERYBODY {
        for (v2, neg_risk) in [(false, false), (false, true), (true, false)] {
            let market = move |bench: &Bench| {
                bench.market(|market, grouped| market.protocol_v2 == v2 && (v2 || grouped == neg_risk))
            };
            let mut rig = Rig::new(calm(), who, market);
            let bought = rig.place(&taking(&rig)).unwrap();
            assert!(rig.settle(60_000), "{who:?} {v2} {neg_risk}: {:?}", rig.told(bought));
            let bid = rig.bench.best(rig.market, BookSide::Bid).raw();
            let sold = rig.place(&Wish::sell(Outcome::Yes, bid, 6)).unwrap();
            assert!(rig.settle(60_000), "{who:?} {v2} {neg_risk}: {:?}", rig.told(sold));
            let filled = [bought, sold].map(|id| rig.leg(id).certain());
            assert_eq!(filled, [Qty::whole(10), Qty::whole(6)], "{who:?} {v2} {neg_risk}");
            assert_eq!(held(&rig, 0), Qty::whole(4));
            assert!(rig.bench.desk.audit().violations().is_empty() && rig.strange.is_empty(), "{:?}", rig.strange);
        }
    }
}

/// The expiry is not signed, so an order that was signed half a minute ago leaves as if that had been now.
#[test]
fn a_ticket_leaves_as_the_very_bytes_of_an_order_that_is_signed_inline() {
    for who in EVERYBODY {
        let [mut ahead, mut inline] = [0; 2].map(|_| Rig::new(calm(), who, Bench::plain));
        let (wish, at) = (taking(&ahead), ahead.at());
        let ask = ahead.ask(&wish);
        assert!(ahead.gateway.mint(&ask, at));
        let minted = ahead.gateway.minted().unwrap();
        assert_eq!((minted.order, ahead.gateway.minted()), (ask.id, None));
        let (same, signed) = inline.prepare(&wish).unwrap();
        assert_eq!((same, signed.digest, signed.ahead), (ask, minted.digest, false));
        ahead.wait(30_000);
        inline.wait(30_000);
        let ready = ahead.gateway.prepare(&ask, ahead.at()).unwrap();
        assert_eq!((ready.digest, ready.tag, ready.ahead), (signed.digest, signed.tag, true));
        let sent = [&mut ahead, &mut inline].map(|rig| {
            let mut out = Out::default();
            rig.gateway.send(ask.id, &mut out);
            out.calls
        });
        assert!(sent[0].len() == 1 && sent[0] == sent[1], "{who:?}: {sent:#?}");
        ahead.tags.insert(ask.id, ready.tag.unwrap());
        ahead.plan.add(ask);
        ahead.plan.sent(ask.id, ahead.at().now, ahead.at().unix);
        ahead.take(Out { calls: sent[0].clone(), ..Out::default() });
        assert!(ahead.settle(60_000), "{who:?}: {:?}", ahead.told(ask.id));
        assert_eq!(ahead.leg(ask.id).certain(), Qty::whole(10), "the venue takes it");
    }
}

/// A market's terms on a tick of a tenth of a cent, as the catalogue tells them.
fn listed(qty_min: u32) -> Terms {
    Terms {
        venue: Venue::Polymarket,
        fee: FeeCurve::FREE,
        grid: Grid::even(10).unwrap(),
        qty_step: Qty::new(10_000).unwrap(),
        qty_min: Qty::whole(qty_min),
        cost_min: Money::dollars(1),
        shard: 0,
        hold: Nanos::ZERO,
        closes: None,
        game: None,
        settles: UnixMs::new(1_795_175_100_000),
    }
}

#[test]
fn a_ticket_that_is_not_the_wanted_order_word_for_word_is_not_used() {
    type Change = fn(&mut Rig, &mut orion::order::Ask);
    let changes: [(Change, bool); 6] = [
        (|_, _| {}, true),
        (|_, ask| ask.qty = Qty::whole(11), false),
        (|_, ask| ask.limit = clob::price(ask.limit.raw() + 100), false),
        (|_, ask| ask.outcome = Outcome::No, false),
        (|rig, ask| rig.gateway.withdraw(ask.id), false),
        // The venue counts amounts in other steps on another tick; here the order stays the same.
        (
            |rig, _| {
                rig.gateway.terms(MarketId(1), &listed(5));
            },
            true,
        ),
    ];
    for (at, (change, used)) in changes.into_iter().enumerate() {
        let mut rig = rig();
        let wish = taking(&rig);
        let mut ask = rig.ask(&wish);
        assert!(rig.gateway.mint(&ask, rig.at()));
        let minted = rig.gateway.minted().unwrap();
        change(&mut rig, &mut ask);
        rig.wait(1_000);
        let ready = rig.gateway.prepare(&ask, rig.at()).unwrap();
        assert_eq!((ready.ahead, ready.digest == minted.digest), (used, used), "change {at}");
        rig.gateway.withdraw(ask.id);
        let again = rig.gateway.prepare(&ask, rig.at()).unwrap();
        assert!(!again.ahead, "change {at}: a ticket is there once");
    }
    let mut rig = rig();
    let wish = Wish::buy(Outcome::Yes, ask_price(&rig), 4);
    let below = rig.ask(&wish);
    assert!(!rig.gateway.mint(&below, rig.at()), "no order, no ticket");
    assert_eq!(rig.gateway.minted(), None);
}

#[test]
fn what_is_not_filled_at_once_is_taken_back() {
    let mut rig = rig();
    rig.bench.desk.wallet_mut(rig.trader.wallet).cash = Money::dollars(10_000_000);
    let touch = rig.bench.touch(rig.market, BookSide::Ask);
    let shares = (touch.micros() / 1_000_000) as u32 + 50;
    let id = rig.place(&Wish::buy(Outcome::Yes, ask_price(&rig), shares)).unwrap();
    assert!(rig.settle(60_000));
    let leg = rig.leg(id);
    assert_eq!((leg.filled(), leg.state()), (held(&rig, 0), State::Done(End::Closed)));
    assert!(leg.filled() < Qty::whole(shares) && !leg.filled().is_zero());
    let cancels = rig.calls.iter().filter(|(method, _)| method == "DELETE").count();
    assert_eq!(cancels, 1, "{:?}", rig.calls);
    let order = &rig.bench.desk.orders()[0];
    assert!(!order.is_open());
    let life_ms = order.expires_at().unwrap().since(order.created);
    assert!((120_000..132_000).contains(&life_ms), "it would have ended by itself: {life_ms}");
}

#[test]
fn a_lost_answer_is_looked_up_and_a_lost_request_is_absent_once_its_time_has_passed() {
    for (fault, arrived) in [
        (OrderFault::AnswerLost(Loss::Status(500)), true),
        (OrderFault::AnswerLost(Loss::Cut(20)), true),
        (OrderFault::AnswerLate(8_000), true),
        (OrderFault::Html { arrived: true }, true),
        (OrderFault::RequestLost(Loss::Status(502)), false),
        (OrderFault::RequestLost(Loss::Cut(0)), false),
        (OrderFault::Html { arrived: false }, false),
    ] {
        for sells in [false, true] {
            let mut rig = rig();
            let (wallet, market) = (rig.trader.wallet, rig.market);
            rig.bench.desk.give(wallet, market, 0, Qty::whole(50));
            rig.bench.desk.faults.next(Class::Place, fault);
            rig.bench.desk.faults.next_event(OrderFault::EventLost);
            let bid = rig.bench.best(rig.market, BookSide::Bid).raw();
            let wish = if sells { Wish::sell(Outcome::Yes, bid, 10) } else { taking(&rig) };
            let id = rig.place(&wish).unwrap();
            let sent = rig.bench.now;
            assert!(rig.settle(300_000), "{fault:?} {sells}: {:?}", rig.told(id));
            let (leg, took_ms) = (rig.leg(id), rig.bench.now.since(sent));
            if arrived {
                assert_eq!((leg.certain(), leg.state()), (Qty::whole(10), State::Done(End::Closed)), "{fault:?}");
            } else {
                assert_eq!((leg.filled(), leg.state()), (Qty::ZERO, State::Done(End::Absent)), "{fault:?}");
                assert!((190_000..205_000).contains(&took_ms), "not before its own end: {took_ms}");
            }
            let change = if sells { 50_000_000 - held(&rig, 0).micros() } else { held(&rig, 0).micros() - 50_000_000 };
            assert_eq!(change, leg.filled().micros());
            let posts = rig.calls.iter().filter(|(method, path)| method == "POST" && path == "/order").count();
            assert_eq!(posts, 1);
        }
    }
}

#[test]
fn a_sell_that_took_a_part_is_over_even_if_its_answer_is_lost() {
    let mut rig = rig();
    let (wallet, market) = (rig.trader.wallet, rig.market);
    rig.bench.desk.give(wallet, market, 0, Qty::whole(1_000_000));
    let touch = rig.bench.touch(rig.market, BookSide::Bid);
    rig.bench.desk.faults.next(Class::Place, OrderFault::AnswerLost(Loss::Status(500)));
    let bid = rig.bench.best(rig.market, BookSide::Bid).raw();
    let id = rig.place(&Wish::sell(Outcome::Yes, bid, (touch.micros() / 1_000_000) as u32 + 50)).unwrap();
    assert!(rig.settle(60_000), "{:?}", rig.told(id));
    assert_eq!((rig.leg(id).certain(), rig.leg(id).state()), (touch, State::Done(End::Closed)));
}

#[test]
fn what_never_left_was_refused_and_what_vanished_is_not_known() {
    let mut rig = rig();
    rig.way = Some(Way::NotSent);
    let unsent = rig.place(&taking(&rig)).unwrap();
    rig.wait(20);
    assert_eq!(rig.leg(unsent).state(), State::Done(End::Refused(Refusal::Unsent)));
    rig.way = Some(Way::Swallowed);
    let vanished = rig.place(&taking(&rig)).unwrap();
    rig.wait(5_500);
    assert!(matches!(rig.leg(vanished).state(), State::Unknown { why: Unclear::TimedOut, .. }));
    assert!(rig.settle(300_000));
    assert_eq!(rig.leg(vanished).state(), State::Done(End::Absent));
    let mut out = Out::default();
    rig.gateway.send(unsent, &mut out);
    assert!(out.calls.is_empty(), "what is not ready cannot leave");
}

#[test]
fn refusals_are_the_venues_words_and_nothing_is_sent_again() {
    type Arrange = fn(&mut Rig);
    let stories: [(Arrange, Refusal); 7] = [
        (|rig| rig.bench.desk.restart(rig.bench.now), Refusal::Restarting),
        (|rig| rig.bench.desk.set_mode(Mode::PostOnly { until: UnixMs::new(u64::MAX / 2) }), Refusal::PostOnly),
        (|rig| rig.bench.desk.set_mode(Mode::CancelOnly), Refusal::CancelOnly),
        (|rig| rig.bench.desk.set_mode(Mode::Disabled), Refusal::Disabled),
        (|rig| rig.bench.desk.faults.next(Class::Place, OrderFault::TooMany), Refusal::Rate),
        (|rig| rig.bench.desk.restrict(rig.trader.address, false, true), Refusal::ClosedOnly),
        (|rig| rig.bench.desk.wallet_mut(rig.trader.wallet).cash = Money::ZERO, Refusal::Funds),
    ];
    for (arrange, refusal) in stories {
        let mut rig = rig();
        arrange(&mut rig);
        let id = rig.place(&taking(&rig)).unwrap();
        rig.wait(3_000);
        assert_eq!(rig.leg(id).state(), State::Done(End::Refused(refusal)));
        assert_eq!(rig.told(id), [Told::Sent(Sent::Refused(refusal))]);
        assert!(rig.bench.desk.orders().is_empty());
        if refusal == Refusal::Rate {
            assert_eq!(rig.prepare(&taking(&rig)).map(|_| ()), Ok(()), "forty a second come back");
        }
    }
}

#[test]
fn a_held_order_is_awaited_and_a_delayed_one_is_looked_up() {
    let mut rig = Rig::new(calm(), PURE, |bench| bench.market(|market, _| market.taker_hold_ms().is_some()));
    let id = rig.place(&taking(&rig)).unwrap();
    assert!(rig.settle(60_000));
    assert_eq!(rig.leg(id).certain(), Qty::whole(10));
    let mut rig = self::rig();
    let market = rig.market;
    rig.bench.world.set_seconds_delay(market, 3);
    let id = rig.place(&taking(&rig)).unwrap();
    rig.wait(100);
    assert_eq!(rig.leg(id).filled(), Qty::ZERO, "delayed is not a fill");
    assert!(rig.settle(60_000), "{:?}", rig.told(id));
    assert_eq!(rig.leg(id).certain(), Qty::whole(10));
}

#[test]
fn a_ghost_fill_is_taken_back() {
    let mut rig = rig();
    rig.bench.desk.faults.next_event(OrderFault::TradeFails);
    let id = rig.place(&taking(&rig)).unwrap();
    rig.wait(1_000);
    assert_eq!((rig.leg(id).filled(), rig.leg(id).provisional()), (Qty::whole(10), Qty::whole(10)));
    assert!(rig.settle(60_000));
    assert_eq!((rig.leg(id).filled(), held(&rig, 0)), (Qty::ZERO, Qty::ZERO));
    assert_eq!(rig.leg(id).spent(), Money::ZERO);
}

#[test]
fn without_the_stream_the_looks_alone_tell_everything_page_by_page() {
    let mut rig = Rig::new(Rules { page: 1, ..calm() }, PURE, Bench::plain);
    rig.bench.desk.wallet_mut(rig.trader.wallet).cash = Money::dollars(10_000_000);
    for _ in 0..30 {
        rig.bench.desk.faults.next_event(OrderFault::EventLost);
    }
    let touch = rig.bench.touch(rig.market, BookSide::Ask);
    let shares = (touch.micros() / 1_000_000) as u32 + 500;
    let id = rig.place(&Wish::buy(Outcome::Yes, ask_price(&rig) + 500, shares)).unwrap();
    assert!(rig.settle(120_000), "{:?}", rig.told(id));
    assert!(1 < rig.bench.desk.trades().len(), "at several prices, each a trade and a page");
    assert_eq!((rig.leg(id).certain(), held(&rig, 0)), (Qty::whole(shares), Qty::whole(shares)));
}

#[test]
fn a_request_that_waited_is_written_anew_and_leaves_once() {
    let mut rig = rig();
    let (ask, _) = rig.prepare(&taking(&rig)).unwrap();
    rig.wait(40_000);
    rig.send(ask);
    assert!(rig.settle(60_000), "a sign-in of forty seconds ago would have been refused: {:?}", rig.told(ask.id));
    assert_eq!(rig.leg(ask.id).certain(), Qty::whole(10));
    let mut out = Out::default();
    rig.gateway.send(ask.id, &mut out);
    assert!(out.calls.is_empty());
    let (ask, _) = rig.prepare(&taking(&rig)).unwrap();
    rig.gateway.withdraw(ask.id);
    rig.gateway.send(ask.id, &mut out);
    assert!(out.calls.is_empty(), "withdrawn");
}

#[test]
fn lanes_follow_the_purpose_and_the_digest_is_the_venues_id() {
    let mut rig = rig();
    let (ask, _) = rig.prepare(&Wish::sell(Outcome::No, 500, 20)).unwrap();
    let mut out = Out::default();
    rig.gateway.send(ask.id, &mut out);
    let body: Value = serde_json::from_slice(&Read::new(&out.calls[0].bytes).body).unwrap();
    assert_eq!((&body["orderType"], &body["order"]["expiration"]), (&json!("FAK"), &json!("0")));
    for (purpose, lane) in
        [(Purpose::Entry, Lane::Entry), (Purpose::Complete, Lane::Safety), (Purpose::Unwind, Lane::Safety)]
    {
        let (ask, prepared) = rig.prepare(&Wish { purpose, ..Wish::buy(Outcome::No, 500, 20) }).unwrap();
        let hex = alloy_primitives::hex::encode_prefixed(prepared.digest.unwrap());
        assert_eq!(prepared.tag.unwrap().as_str(), hex);
        let mut out = Out::default();
        rig.gateway.send(ask.id, &mut out);
        let [call] = out.calls.as_slice() else { panic!("one call") };
        assert_eq!((call.lane, call.wait), (lane, Nanos::secs(5)));
        let read = Read::new(&call.bytes);
        let body: Value = serde_json::from_slice(&read.body).unwrap();
        assert_eq!((body["order"]["salt"].as_u64(), body["orderType"].as_str()), (Some(ask.id.raw()), Some("GTD")));
        assert_eq!(read.header("user-agent").map(|agent| agent.starts_with("orion/")), Some(true));
        let mut out = Out::default();
        rig.gateway.cancel(&ask, None, rig.at(), &mut out);
        let read = Read::new(&out.calls[0].bytes);
        assert_eq!((read.method.as_str(), out.calls[0].lane), ("DELETE", Lane::Safety));
        assert_eq!(serde_json::from_slice::<Value>(&read.body).unwrap(), json!({"orderID": hex}));
    }
}

#[test]
fn an_answer_for_another_order_is_no_answer() {
    let mut rig = rig();
    let (ask, _) = rig.prepare(&taking(&rig)).unwrap();
    let mut out = Out::default();
    rig.gateway.send(ask.id, &mut out);
    let no = out.calls[0].no;
    let other = format!("0x{}", "7".repeat(64));
    let body = json!({"success": true, "errorMsg": "", "orderID": other, "status": "live", "takingAmount": ""});
    let mut bytes = body.to_string().into_bytes();
    let mut out = Out::default();
    rig.gateway.answered(no, Answer::Whole { status: 200, body: &mut bytes }, rig.at(), &mut out);
    assert_eq!(out.heard[0].told, Told::Sent(Sent::Unknown(Unclear::Unreadable)));
    assert_eq!((out.heard.len(), out.strange.len()), (1, 1));
    let said = |words: String, status| [Said { order: ask.id, status, words }];
    assert_eq!(out.said, said(body.to_string(), 200), "every byte of it is for the journal");
    let mut again = Out::default();
    rig.gateway.answered(no, Answer::Lost(Unclear::Cut), rig.at(), &mut again);
    assert!(again.heard.is_empty(), "a call is answered once");

    // Nothing that signs in, and not without end.
    let (ask, _) = rig.prepare(&taking(&rig)).unwrap();
    rig.gateway.send(ask.id, &mut out);
    let secret = rig.trader.key.secret.clone();
    let before = "the moon is in the wrong phase: ";
    // The second one stands where the text ends.
    let fill = "!".repeat(2_048 - before.len() - "*** ".len() - secret.len() / 2);
    let mut bytes = format!("{before}{secret} {fill}{secret}{}", "!".repeat(9_000)).into_bytes();
    let answer = Answer::Whole { status: 400, body: &mut bytes };
    let mut last = Out::default();
    rig.gateway.answered(out.calls.last().unwrap().no, answer, rig.at(), &mut last);
    assert_eq!(last.heard[0].told, Told::Sent(Sent::Unknown(Unclear::Unfamiliar)));
    let words = &last.said[0].words;
    assert!(words.starts_with(&format!("{before}*** !!!")) && words.len() == 2_048, "{words}");
    assert!(!words.contains(&secret[..6]), "not even a part of it: {words}");
}

#[test]
fn what_does_not_fit_the_market_is_not_made_ready() {
    let mut rig = rig();
    let none = |rig: &mut Rig, wish: Wish| rig.prepare(&wish).map(|_| ()).unwrap_err();
    assert_eq!(none(&mut rig, Wish::buy(Outcome::Yes, 4_750, 10)), Unready::Amounts, "off the grid");
    assert_eq!(none(&mut rig, Wish::buy(Outcome::Yes, 4_700, 4)), Unready::Amounts, "fewer than five");
    assert_eq!(none(&mut rig, Wish::buy(Outcome::Yes, 100, 10)), Unready::Amounts, "ten cents cannot take");
    assert!(rig.prepare(&Wish::sell(Outcome::Yes, 100, 10)).is_ok(), "but can be sold for");
    let fine = Wish { qty: Qty::parse(b"10.001").unwrap(), ..Wish::buy(Outcome::Yes, 4_700, 1) };
    assert_eq!(none(&mut rig, fine), Unready::Amounts);
    rig.gateway.terms(MarketId(1), &listed(15));
    assert!(rig.prepare(&Wish::buy(Outcome::Yes, 4_750, 15)).is_ok());
    assert_eq!(none(&mut rig, Wish::buy(Outcome::Yes, 4_750, 14)), Unready::Amounts);
    for market in [MarketId(0), MarketId(2)] {
        let mut ask = rig.ask(&Wish::buy(Outcome::Yes, 4_700, 20));
        ask.market = market;
        assert_eq!(rig.gateway.prepare(&ask, rig.at()), Err(Unready::NoMarket));
    }
}

#[test]
fn a_share_of_the_budget_is_kept_for_hedges_and_a_429_empties_it() {
    let mut rig = rig();
    let entry = || Wish::buy(Outcome::Yes, 500, 20);
    let hedge = || Wish { purpose: Purpose::Complete, ..Wish::buy(Outcome::Yes, 500, 20) };
    let ready = (0..100).take_while(|_| rig.prepare(&entry()).is_ok()).count();
    assert_eq!(ready, 40);
    assert_eq!(rig.prepare(&entry()).map(|_| ()), Err(Unready::Pace));
    let hedges = (0..100).take_while(|_| rig.prepare(&hedge()).is_ok()).count();
    assert_eq!(hedges, 20);
    rig.wait(2_000);
    rig.bench.desk.faults.next(Class::Place, OrderFault::TooMany);
    rig.place(&hedge()).unwrap();
    rig.step(20);
    rig.step(20);
    rig.step(20);
    assert_eq!(rig.prepare(&entry()).map(|_| ()), Err(Unready::Pace));
    rig.wait(1_000);
    assert!(rig.prepare(&entry()).is_ok());
}

#[test]
fn entries_need_a_heart_that_beats_and_hedges_do_not() {
    let mut rig = Rig::with(calm(), PURE, Bench::plain, true);
    let hedge = |rig: &Rig| Wish { purpose: Purpose::Complete, ..taking(rig) };
    assert_eq!(rig.prepare(&taking(&rig)).map(|_| ()), Err(Unready::Heartbeat), "not one was acknowledged yet");
    assert!(rig.prepare(&hedge(&rig)).is_ok());
    rig.wait(200);
    assert!(rig.prepare(&taking(&rig)).is_ok());
    rig.wait(60_000);
    assert!(rig.prepare(&taking(&rig)).is_ok());
    let beats = |rig: &Rig| rig.calls.iter().filter(|(_, path)| path == "/v1/heartbeats").count();
    assert!((12..=14).contains(&beats(&rig)), "every five seconds: {}", beats(&rig));
    assert_eq!(rig.missed, 1, "when the stream was opened");
    // Another start of the engine takes the chain over with an id that it cannot know.
    let form = orion::venue::polymarket::wallet::Wallet::of(&rig.trader.address.to_checksum(None), clob::DEPOSIT);
    let setup = entry::setup(&rig.bench, &rig.trader, form.unwrap(), &[rig.market], true);
    rig.gateway = orion::venue::polymarket::PolymarketGateway::new(setup);
    let before = beats(&rig);
    while beats(&rig) < before + 2 {
        rig.step(10);
    }
    assert_eq!(rig.prepare(&taking(&rig)).map(|_| ()), Err(Unready::Heartbeat), "a correction is no beat");
    rig.wait(400);
    assert!(rig.prepare(&taking(&rig)).is_ok(), "the venue said the right id");
    // The key is gone: beats are refused, and the venue may have cancelled everything.
    rig.gateway.halt(rig.at(), &mut Out::default());
    rig.bench.now = UnixMs::new(rig.bench.now.raw() + 11_000);
    assert_eq!(rig.prepare(&taking(&rig)).map(|_| ()), Err(Unready::Heartbeat));
    assert!(rig.prepare(&hedge(&rig)).is_ok());
    let missed = rig.missed;
    rig.step(10);
    assert_eq!(rig.missed, missed + 1);
    rig.wait(1_500);
    assert!(rig.prepare(&taking(&rig)).is_ok(), "it beats again, though nobody is halted less");
}

#[test]
fn an_account_is_whole_or_it_is_not_told() {
    let mut rig = Rig::new(Rules { page: 2, ..calm() }, PURE, Bench::plain);
    let (wallet, market) = (rig.trader.wallet, rig.market);
    rig.bench.desk.give(wallet, market, 1, Qty::whole(7));
    let mut sent = Vec::new();
    for _ in 0..5 {
        let (ask, prepared) = rig.prepare(&Wish::buy(Outcome::Yes, 500, 20)).unwrap();
        let mut out = Out::default();
        rig.gateway.send(ask.id, &mut out);
        rig.take(out);
        sent.push((prepared.tag.unwrap(), Some(ask.id)));
    }
    rig.wait(100);
    let look = |rig: &mut Rig| {
        rig.account = None;
        let mut out = Out::default();
        rig.gateway.account(rig.at(), &mut out);
        rig.take(out);
        rig.wait(6_000);
        rig.account.take()
    };
    let account = look(&mut rig).unwrap();
    assert_eq!(account.cash, [(0, Money::dollars(10_000))]);
    assert_eq!(account.allowance, Some(Money::micros(i64::MAX)));
    assert_eq!((account.held.len(), account.held[0].qty), (1, [Qty::ZERO, Qty::whole(7)]));
    assert_eq!(account.held[0].market.as_str(), rig.bench.listed(rig.market).condition_id);
    assert_eq!(account.standing, sent, "three pages");
    for fault in [OrderFault::RequestLost(Loss::Status(502)), OrderFault::Html { arrived: true }] {
        rig.bench.desk.faults.next(Class::Read, fault);
        assert_eq!(look(&mut rig), None, "{fault:?}");
    }
    rig.bench.desk.wallet_mut(wallet).approved.clear();
    assert_eq!(look(&mut rig).unwrap().allowance, Some(Money::ZERO), "nothing may be moved");
}

#[test]
fn a_large_account_is_asked_for_at_the_venues_pace() {
    let mut rig = rig();
    let all: Vec<usize> = (0..rig.bench.world.catalog().polymarket.len()).collect();
    let form = orion::venue::polymarket::wallet::Wallet::of(&rig.trader.address.to_checksum(None), clob::DEPOSIT);
    let setup = entry::setup(&rig.bench, &rig.trader, form.unwrap(), &all, false);
    rig.gateway = orion::venue::polymarket::PolymarketGateway::new(setup);
    for &market in &all {
        rig.bench.desk.give(rig.trader.wallet, market, 0, Qty::whole(market as u32 + 1));
    }
    let mut out = Out::default();
    let asked = rig.bench.now;
    rig.gateway.account(rig.at(), &mut out);
    rig.take(out);
    let mut most = 0;
    while rig.account.is_none() {
        assert!(rig.bench.now.since(asked) < 600_000, "it ends");
        let before = rig.calls.len();
        rig.wait(10_000);
        most = most.max(rig.calls.len() - before);
    }
    assert!(most <= 202, "{most} in ten seconds");
    let account = rig.account.take().unwrap();
    assert_eq!((account.held.len(), account.as_of), (all.len(), asked));
}

#[test]
fn the_stream_says_hello_and_keeps_its_secrets() {
    let mut rig = rig();
    let mut out = Out::default();
    rig.gateway.opened(rig.at(), &mut out);
    assert!(out.missed, "nothing is replayed");
    let hello: Value = serde_json::from_str(&out.sends[0]).unwrap();
    let key = rig.trader.key.clone();
    let auth = json!({"apiKey": key.id, "secret": key.secret, "passphrase": key.passphrase});
    assert_eq!(hello, json!({"type": "user", "auth": auth}));
    let say = |rig: &mut Rig, text: &str| {
        let mut out = Out::default();
        rig.gateway.text(&mut text.as_bytes().to_vec(), rig.at(), &mut out);
        out
    };
    let echo = json!({"event_type": "echo", "auth": auth}).to_string();
    let out = say(&mut rig, &echo);
    assert_eq!((out.strange.len(), out.lost), (1, false));
    for secret in [&key.id, &key.secret, &key.passphrase] {
        assert!(!out.strange[0].contains(secret.as_str()), "{}", out.strange[0]);
    }
    for count in 1..=6 {
        let out = say(&mut rig, r#"{"event_type":"trade","id":7}"#);
        assert_eq!((out.strange.len(), out.lost), (1, count == 6));
    }
    assert!(say(&mut rig, "PONG").strange.is_empty());
}

#[test]
fn a_silent_stream_is_given_up_and_opened_anew() {
    let mut rig = rig();
    rig.wait(120_000);
    assert_eq!((rig.lost, rig.missed), (0, 1), "pings are answered");
    let mut out = Out::default();
    let at = rig.at();
    for ms in (0..20_000).step_by(250) {
        let later = orion::wire::Arrival { now: at.now + Nanos::millis(ms), unix: UnixMs::new(at.unix.raw() + ms) };
        rig.gateway.timeout(later, &mut out);
    }
    assert!(out.lost);
    assert!((2..=4).contains(&out.sends.len()) && out.sends.iter().all(|text| text == "PING"), "{:?}", out.sends);
    rig.gateway.opened(rig.at(), &mut out);
    assert_eq!(out.sends.len(), 1 + out.sends.iter().filter(|text| *text == "PING").count());
}

#[test]
fn trades_of_nobodys_order_are_told_by_the_venues_id() {
    let mut rig = rig();
    let ask = ask_price(&rig);
    let by_hand = rig.bench.limit(
        &rig.trader,
        (rig.market, 0),
        orion::venue::polymarket::amount::Side::Buy,
        ask,
        10,
        orion::venue::polymarket::order::OrderType::Gtc { post_only: false },
    );
    rig.bench.post(&rig.trader, &by_hand);
    rig.wait(100);
    let tag = rig.bench.desk.orders()[0].id.to_string();
    let named = |heard: &&orion::fill::Heard| matches!(heard.order, Whose::Named(named) if named.as_str() == tag);
    let told: Vec<Told> = rig.heard.iter().filter(named).map(|heard| heard.told).collect();
    assert!(told.iter().any(|told| matches!(told, Told::Trade(trade) if trade.bought)), "{told:?}");
}

#[test]
fn an_order_of_an_earlier_start_is_found_or_absent_by_its_digest() {
    let mut rig = rig();
    rig.bench.desk.faults.next(Class::Place, OrderFault::AnswerLost(Loss::Status(500)));
    let arrived = rig.place(&taking(&rig)).unwrap();
    rig.wait(50);
    rig.bench.desk.faults.next(Class::Place, OrderFault::RequestLost(Loss::Status(500)));
    let lost = rig.place(&taking(&rig)).unwrap();
    rig.wait(50);
    let form = orion::venue::polymarket::wallet::Wallet::of(&rig.trader.address.to_checksum(None), clob::DEPOSIT);
    let setup = entry::setup(&rig.bench, &rig.trader, form.unwrap(), &[rig.market], false);
    rig.gateway = orion::venue::polymarket::PolymarketGateway::new(setup);
    let now = rig.at().now;
    rig.plan.restarted(now);
    assert!(rig.settle(300_000), "{:?}", rig.told(lost));
    assert_eq!(rig.leg(arrived).certain(), Qty::whole(10));
    assert_eq!(rig.leg(lost).state(), State::Done(End::Absent));
}

#[test]
fn a_fill_under_two_names_is_told_twice_and_found_out() {
    let mut rig = rig();
    rig.bench.desk.faults.next_event(OrderFault::TradeTwin);
    rig.place(&taking(&rig)).unwrap();
    rig.wait(5_000);
    assert!(matches!(rig.wrong[0], Impossible::Overfilled { .. }), "{:?}", rig.wrong);
    assert_eq!(held(&rig, 0), Qty::whole(10));
}

#[test]
fn no_bytes_of_the_venues_bring_it_down_or_make_it_conclude_anything() {
    let mut rng = fastrand::Rng::with_seed(11);
    let order = json!({"event_type": "order", "id": format!("0x{}", "1".repeat(64)), "type": "UPDATE", "status": "LIVE",
        "original_size": "10", "size_matched": "5", "order_type": "GTD"});
    let maker = json!({"order_id": "0x2", "owner": "o", "asset_id": "1", "price": "0.5", "matched_amount": "5"});
    let trade = json!({"event_type": "trade", "id": "t", "taker_order_id": "0x1", "status": "MINED", "asset_id": "1",
        "side": "BUY", "size": "5", "price": "0.5", "trader_side": "TAKER", "maker_orders": [maker]});
    let texts = [
        order.to_string(),
        trade.to_string(),
        json!({"data": [trade, order], "next_cursor": "MTAw"}).to_string(),
        json!({"balance": "25000000", "allowances": {"0x1": "7"}}).to_string(),
        json!({"success": true, "errorMsg": "", "orderID": "0x1", "status": "live", "takingAmount": "1"}).to_string(),
        json!({"error": "order not found"}).to_string(),
        json!({"canceled": ["0x1"], "not_canceled": {}}).to_string(),
        json!({"heartbeat_id": "7", "error": "Invalid Heartbeat ID"}).to_string(),
    ];
    let mut rig = Rig::with(calm(), PURE, Bench::plain, true);
    let (mut out, mut lost) = (Out::default(), 0);
    for round in 0..20_000_u64 {
        rig.bench.now = UnixMs::new(rig.bench.now.raw() + 500);
        let at = rig.at();
        if round % 50 == 0 {
            let (ask, _) = rig.prepare(&Wish { purpose: Purpose::Unwind, ..taking(&rig) }).unwrap();
            rig.gateway.send(ask.id, &mut out);
            rig.gateway.cancel(&ask, None, at, &mut out);
            rig.gateway.look(&ask, None, at, &mut out);
            rig.gateway.account(at, &mut out);
            rig.gateway.opened(at, &mut out);
        }
        rig.gateway.timeout(at, &mut out);
        let mut bytes = texts[rng.usize(0..texts.len())].clone().into_bytes();
        for _ in 0..rng.u8(0..4) {
            let place = rng.usize(0..bytes.len());
            match rng.u8(0..3) {
                0 => bytes[place] = rng.u8(..),
                1 => bytes.truncate(place.max(1)),
                _ => bytes.insert(place, b"{}[]\",:0\\"[rng.usize(0..9)]),
            }
        }
        if let Some(call) = out.calls.pop() {
            let status = [200, 200, 200, 400, 404, 503][rng.usize(0..6)];
            rig.gateway.answered(call.no, Answer::Whole { status, body: &mut bytes }, at, &mut out);
        } else {
            rig.gateway.text(&mut bytes, at, &mut out);
        }
        lost += u32::from(std::mem::take(&mut out.lost));
        assert!(out.strange.drain(..).all(|text| text.len() < 2_000));
        assert!(out.heard.drain(..).all(|heard| !matches!(heard.told, Told::Absent { .. })));
    }
    assert!(0 < lost, "and a stream of such bytes is given up");
}
