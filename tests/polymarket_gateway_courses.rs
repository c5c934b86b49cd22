//! Hundreds of random courses of orders through Polymarket's gateway, with lost answers, lost requests, late and double
//! events, failing trades and restarts: what the engine believes in the end is what the wallet holds.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "common/call.rs"]
mod call;
#[path = "common/clob.rs"]
mod clob;
#[path = "common/entry.rs"]
mod entry;

use clob::Bench;
use entry::{EVERYBODY, Rig, Way, Wish};
use orion::order::leg::{End, State};
use orion::order::{Leg, Purpose};
use orion::sim::clob::fault::{Class, Loss, OrderFault};
use orion::sim::clob::mode::Mode;
use orion::sim::clob::trade::Status;
use orion::sim::clob::{Order, Rules};
use orion::unit::{BookSide, Money, OrderId, Outcome, Qty, Stage};
use orion::venue::gateway::Unready;

/// What one random course came to.
#[derive(Default)]
struct Count {
    filled: u32,
    failed: u32,
    absent: u32,
    refused: u32,
    faults: usize,
}

fn course(seed: u64, count: &mut Count) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut rules = Rules { page: 3, ..Rules::default() };
    (rules.pace.retry_ppm, rules.pace.fail_ppm) = (200_000, 150_000);
    let who = EVERYBODY[seed as usize % EVERYBODY.len()];
    let kind = rng.u8(0..4);
    let market = |bench: &Bench| match kind {
        0 => bench.plain(),
        1 => bench.market(|_, neg_risk| neg_risk),
        2 => bench.market(|market, _| market.protocol_v2),
        _ => bench.market(|market, _| market.taker_hold_ms().is_some()),
    };
    let mut rig = Rig::new(rules, who, market);
    rig.lively = rng.bool();
    let (wallet, market) = (rig.trader.wallet, rig.market);
    if rng.u8(0..5) == 0 {
        rig.bench.world.set_seconds_delay(market, 3);
    }
    let start = Qty::whole(500);
    for outcome in 0..2 {
        rig.bench.desk.give(wallet, market, outcome, start);
    }
    let mut sent = Vec::new();
    for _ in 0..rng.u32(2..6) {
        spoil(&mut rig, &mut rng);
        let outcome = if rng.bool() { Outcome::Yes } else { Outcome::No };
        let buys = rng.u8(0..3) != 0;
        // On its own token: the other one's book is the mirror of this one.
        let side = if (outcome == Outcome::Yes) == buys { BookSide::Ask } else { BookSide::Bid };
        let best = rig.bench.best(market, side);
        let best = if outcome == Outcome::Yes { best } else { best.complement() };
        let raw = i32::from(best.raw()) + rng.i32(-2..4) * if buys { 100 } else { -100 };
        let raw = (raw.clamp(500, 9_500) / 100 * 100) as u16;
        let qty = Qty::new(rng.u64(500..6_000) * 10_000).unwrap();
        let wish = Wish { buys, outcome, raw, qty, purpose: Purpose::Entry };
        match rig.place(&wish) {
            Ok(id) => sent.push(id),
            Err(unready) => assert!(matches!(unready, Unready::Amounts | Unready::Pace), "seed {seed}: {unready}"),
        }
        rig.wait(rng.u64(0..8_000));
    }
    if !rig.settle(600_000) {
        let open: Vec<&Leg> =
            rig.plan.legs().filter(|leg| !leg.is_complete() || !leg.provisional().is_zero()).collect();
        panic!("seed {seed}: {open:#?}");
    }
    count.faults += rig.bench.desk.faults.happened().len();
    judge(&rig, seed, start, &sent, count);
}

/// Lists faults for the calls, trades and events to come.
fn spoil(rig: &mut Rig, rng: &mut fastrand::Rng) {
    use OrderFault::{
        AnswerLate, AnswerLost, CancelDenied, EventLate, EventLost, EventTwice, Html, PageMissing, RequestLost,
        StreamCut, TooEarly, TooMany, TradeFails,
    };
    let place = [
        AnswerLost(Loss::Status(500)),
        AnswerLost(Loss::Cut(17)),
        RequestLost(Loss::Status(502)),
        RequestLost(Loss::Cut(0)),
        AnswerLate(8_000),
        AnswerLate(1_000),
        Html { arrived: true },
        Html { arrived: false },
        TooMany,
        TooEarly,
    ];
    let cancel = [AnswerLost(Loss::Status(504)), RequestLost(Loss::Cut(0)), AnswerLate(6_000), CancelDenied, TooMany];
    let read = [PageMissing, RequestLost(Loss::Status(502)), Html { arrived: true }, AnswerLate(3_000)];
    let event = [TradeFails, EventTwice, EventLost, EventLate(3_000), StreamCut];
    let faults = &mut rig.bench.desk.faults;
    for (class, choices) in [(Class::Place, &place[..]), (Class::Cancel, &cancel), (Class::Read, &read)] {
        if rng.u8(0..4) == 0 {
            faults.next(class, choices[rng.usize(0..choices.len())]);
        }
    }
    for _ in 0..rng.u8(0..3) {
        faults.next_event(event[rng.usize(0..event.len())]);
    }
    match rng.u8(0..20) {
        0 => rig.way = Some(Way::NotSent),
        1 => rig.way = Some(Way::Swallowed),
        2 => rig.bench.desk.restart(rig.bench.now),
        3 => rig.bench.desk.set_mode(Mode::CancelOnly),
        4 => rig.bench.desk.set_mode(Mode::Disabled),
        5..14 => rig.bench.desk.set_mode(Mode::Open),
        _ => {}
    }
}

/// What the engine believes is what the wallet holds.
fn judge(rig: &Rig, seed: u64, start: Qty, sent: &[OrderId], count: &mut Count) {
    let desk = &rig.bench.desk;
    assert!(desk.audit().violations().is_empty(), "seed {seed}: {:?}", desk.audit().violations());
    let mut change = [0_i64; 2];
    let mut spent = Money::ZERO;
    for &id in sent {
        let leg = rig.leg(id);
        let filled = leg.filled().micros() as i64;
        change[leg.ask.outcome as usize] += if leg.ask.buys { filled } else { -filled };
        spent += leg.spent();
        let order: Option<&Order> = desk.orders().iter().find(|order| order.id.to_string() == rig.tags[&id].as_str());
        match leg.state() {
            State::Done(End::Absent) => count.absent += 1,
            State::Done(End::Refused(_)) => count.refused += 1,
            _ => {}
        }
        let there = order.is_some_and(|order| !order.matched.is_zero());
        let ended = matches!(leg.state(), State::Done(End::Absent | End::Refused(_)));
        assert!(!(there && ended), "seed {seed}: {id} was filled: {:?}", rig.told(id));
        assert!(order.is_none_or(|order| !order.is_open()), "seed {seed}: {id} stands");
        count.filled += u32::from(!leg.filled().is_zero());
        count.failed += leg.trades().iter().filter(|trade| trade.stage == Stage::Failed).count() as u32;
    }
    let wallet = desk.wallet(rig.trader.wallet);
    for outcome in 0..2 {
        let have = wallet.held(rig.market, outcome).micros() as i64;
        assert_eq!(have - start.micros() as i64, change[usize::from(outcome)], "seed {seed} outcome {outcome}");
    }
    // The venue does not say what it charged: the fees of what we took.
    let ours = |number: usize| desk.orders()[number].wallet == rig.trader.wallet;
    let good = desk.trades().iter().filter(|trade| trade.status != Status::Failed);
    let fees: Money = good.filter(|trade| trade.taker.order.is_some_and(ours)).map(|trade| trade.taker.fee).sum();
    assert_eq!(wallet.cash, Money::dollars(10_000) - spent - fees, "seed {seed}: to the micro-dollar");
}

#[test]
fn in_hundreds_of_random_courses_what_is_believed_is_what_is_held() {
    let mut count = Count::default();
    for seed in 0..300 {
        course(seed, &mut count);
    }
    let Count { filled, failed, absent, refused, faults } = count;
    assert!(
        200 < filled && 30 < failed && 30 < absent && 50 < refused && 500 < faults,
        "{filled} filled, {failed} failed trades, {absent} absent, {refused} refused, {faults} faults"
    );
}
