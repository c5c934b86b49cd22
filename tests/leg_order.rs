//! Which leg leaves first, what the second one waits for, and what is remembered of how it went.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use common::desk::{self, BUDGET, Desk, KALSHI, POLITICS, POLYMARKET, at, price};
use orion::{
    config::LegOrder,
    decide::{Odds, Reason, Tally},
    fill::{Heard, Whose},
    ledger::journal::{self, Journal, Record, Scratch, Store as _},
    order::{Ask, Ids, Purpose, plan::Ending},
    run::{
        desk::Orders,
        detect::Setup,
        event::What,
        restore::{Known, restore},
    },
    spread::Pair,
    unit::{BookSide, Money, Nanos, PairId, Qty, Refusal, Sent, Tag, Told, Unclear, UnixMs, Venue},
    wire::Kind,
};

/// Every record so far.
fn records(desk: &mut Desk) -> Vec<Record> {
    let bytes = desk.engine.executor.journal_mut().store().bytes().to_vec();
    journal::replay(&bytes, 1, Some(1)).unwrap().records.into_iter().map(|(_, record)| record).collect()
}

/// Orders so far, and when each was written down.
fn intended(desk: &mut Desk) -> Vec<(Ask, UnixMs)> {
    let of = |record| match record {
        Record::Intended { ask, at, .. } => Some((ask, at)),
        _ => None,
    };
    records(desk).into_iter().filter_map(of).collect()
}

fn reserved(desk: &Desk) -> [Money; 2] {
    Venue::ALL.map(|venue| desk.engine.detector.budget().account(venue, 0).reserved)
}

fn endings(desk: &Desk) -> Vec<Ending> {
    let of = |what| match what {
        What::PlanEnded { state, .. } => Some(state),
        _ => None,
    };
    desk.told.iter().filter_map(|event| of(event.what)).collect()
}

/// A hundred contracts at either venue; twice as much behind Kalshi's.
fn desk(change: impl FnOnce(&mut Setup)) -> Desk {
    let mut desk = Desk::with(change);
    desk.book(KALSHI, &[(4_300, 100)], &[(4_500, 200)]);
    desk.book(POLYMARKET, &[(5_000, 100)], &[(5_200, 100)]);
    desk
}

fn venues(desk: &mut Desk) -> Vec<(Venue, Purpose)> {
    intended(desk).iter().map(|(ask, _)| (ask.venue, ask.purpose)).collect()
}

#[test]
fn both_legs_leave_together_unless_somebody_says_otherwise() {
    let mut desk = desk(|_| {});
    assert_eq!(venues(&mut desk), [(Venue::Kalshi, Purpose::Entry), (Venue::Polymarket, Purpose::Entry)]);
    desk.pass(Nanos::secs(1));
    assert_eq!((endings(&desk), reserved(&desk)), (vec![Ending::Filled], [Money::ZERO; 2]));
}

#[test]
fn the_thinner_book_goes_first_and_its_fill_is_answered_without_a_pause() {
    let mut desk = desk(|setup| setup.leg_order = LegOrder::ThinnerFirst);
    assert_eq!(venues(&mut desk), [(Venue::Polymarket, Purpose::Entry)]);
    let promised = reserved(&desk);
    assert!(promised.iter().all(|amount| *amount != Money::ZERO), "money for both legs from the start: {promised:?}");
    desk.pass(Nanos::millis(50));
    let first = desk.now;
    assert_eq!(venues(&mut desk), [(Venue::Polymarket, Purpose::Entry), (Venue::Kalshi, Purpose::Complete)]);
    let (second, written) = intended(&mut desk)[1];
    assert_eq!((second.qty, written), (Qty::whole(100), at(first).unix), "in the moment of the fill");
    assert_eq!(reserved(&desk), [promised[0], Money::ZERO], "the second leg's promise stands while it is on its way");
    desk.pass(Nanos::millis(50));
    assert_eq!((endings(&desk), reserved(&desk)), (vec![Ending::Filled], [Money::ZERO; 2]));
}

#[test]
fn a_first_leg_that_finds_nothing_left_is_a_plan_that_missed() {
    let mut desk = desk(|setup| setup.leg_order = LegOrder::ThinnerFirst);
    desk.hear(POLYMARKET, Kind::Level { side: BookSide::Bid, price: price(5_000), qty: Qty::ZERO });
    desk.pass(Nanos::secs(1));
    assert_eq!(venues(&mut desk), [(Venue::Polymarket, Purpose::Entry)], "nothing was to be answered");
    assert_eq!((endings(&desk), reserved(&desk)), (vec![Ending::Missed], [Money::ZERO; 2]));
}

#[test]
fn a_second_leg_that_finds_nothing_left_unwinds_the_first() {
    let mut desk = desk(|setup| setup.leg_order = LegOrder::ThinnerFirst);
    desk.hear(KALSHI, Kind::Level { side: BookSide::Ask, price: price(4_500), qty: Qty::ZERO });
    desk.pass(Nanos::secs(1));
    assert_eq!(venues(&mut desk), [(Venue::Polymarket, Purpose::Entry), (Venue::Polymarket, Purpose::Unwind)]);
    assert_eq!((endings(&desk), reserved(&desk)), (vec![Ending::Unwound], [Money::ZERO; 2]));
}

/// Polymarket dossier 3.7: whoever takes there while a game is on waits, and others see him wait.
#[test]
fn a_venue_that_holds_orders_goes_first_whatever_the_policy() {
    for leg_order in [LegOrder::Together, LegOrder::ThinnerFirst, LegOrder::RefusingFirst] {
        let mut desk = Desk::with(|setup| {
            setup.leg_order = leg_order;
            setup.markets[1].terms.hold = Nanos::secs(1);
        });
        // Kalshi's is the thinner book.
        desk.book(KALSHI, &[(4_300, 100)], &[(4_500, 100)]);
        desk.book(POLYMARKET, &[(5_000, 200)], &[(5_200, 100)]);
        desk.pass(Nanos::secs(1));
        assert_eq!(venues(&mut desk), [(Venue::Polymarket, Purpose::Entry)], "{leg_order:?}: held");
        desk.pass(Nanos::millis(500));
        assert_eq!(venues(&mut desk)[1..], [(Venue::Kalshi, Purpose::Complete)], "{leg_order:?}");
        assert_eq!((endings(&desk), reserved(&desk)), (vec![Ending::Filled], [Money::ZERO; 2]), "{leg_order:?}");
    }
}

/// Two plans whose orders are answered by hand: the venue that refused the first one goes first in the second.
#[test]
fn the_venue_that_refuses_or_leaves_in_doubt_goes_first() {
    for (refusing, doubt) in [(Venue::Kalshi, false), (Venue::Polymarket, false), (Venue::Polymarket, true)] {
        let mut setup = desk::setup(POLITICS);
        setup.leg_order = LegOrder::RefusingFirst;
        setup.limits.cooldown = Nanos::ZERO;
        let engine = orion::run::desk::Desk::wired(setup, Orders::unkept(BUDGET));
        let mut desk = Desk { engine, now: Nanos::secs(1_000), told: Vec::new() };
        desk.offer(4_500, 5_000);
        let sent: Vec<Ask> = desk.engine.acts().sends.drain(..).collect();
        assert_eq!(sent.len(), 2, "nobody has refused anything yet");
        for ask in sent {
            let refused = |refusal| Told::Sent(Sent::Refused(refusal));
            let told = match (ask.venue == refusing, doubt) {
                (true, false) => refused(Refusal::Funds),
                (true, true) => Told::Sent(Sent::Unknown(Unclear::Cut)),
                (false, _) => refused(Refusal::Killed),
            };
            let say = |told| Heard { order: Whose::Ours(ask.id), told, at: at(desk.now).unix, met: None };
            desk.engine.heard(&say(told), at(desk.now));
            if doubt && ask.venue == refusing {
                let as_of = UnixMs::new(at(desk.now).unix.raw() + 61_000);
                desk.engine.heard(&say(Told::Absent { as_of }), at(desk.now));
            }
        }
        desk.turn();
        desk.turn();
        let again: Vec<_> = desk.engine.acts().sends.drain(..).map(|ask| (ask.venue, ask.purpose)).collect();
        assert_eq!(again, [(refusing, Purpose::Entry)], "{:?}", endings(&desk));
    }
}

/// A fiftieth weighs like fifty plans; what happened since weighs as it is.
#[test]
fn odds_move_from_what_was_thought_to_what_happened() {
    let prior = Odds::prior(true);
    assert_eq!(prior.after(&Tally::default()), Odds { one_ppm: [20_000, 20_000], differ_ppm: 20_000 });
    let after = prior.after(&Tally { plans: 50, alone: [10, 0] });
    assert_eq!(after, Odds { one_ppm: [110_000, 10_000], differ_ppm: 20_000 });
    let after = prior.after(&Tally { plans: 950, alone: [0, 949] });
    assert_eq!(after.one_ppm, [1_000, 950_000]);
    let all = Tally { plans: u32::MAX, alone: [0, u32::MAX] };
    assert_eq!(prior.after(&all).one_ppm, [0, 999_999]);
    let mut tally = Tally::default();
    for alone in [None, Some(Venue::Kalshi), None, Some(Venue::Polymarket), Some(Venue::Kalshi)] {
        tally.note(alone);
    }
    assert_eq!(tally, Tally { plans: 5, alone: [2, 1] });
}

/// Kalshi's leg is filled and Polymarket's bids are gone, plan after plan, from start to start: the journal remembers.
#[test]
fn a_pair_whose_one_leg_keeps_failing_is_refused_for_its_expected_value_by_every_later_start() {
    let names = [(Venue::Kalshi, Tag::new("K").unwrap()), (Venue::Polymarket, Tag::new("P").unwrap())];
    let known =
        Known { markets: &names, minimum: &[Qty::ONE, Qty::whole(5)], pairs: &[[KALSHI, POLYMARKET]], budget: BUDGET };
    let pair = Pair { kalshi: KALSHI, polymarket: POLYMARKET, inverted: false };
    let (mut bytes, mut failed) = (Vec::new(), 0);
    for start in 1..30 {
        let replayed = if start == 1 { journal::Replayed::default() } else { replayed(&bytes) };
        let restored = restore(&replayed.records, &known, Nanos::ZERO).unwrap();
        let tally = restored.tally(&pair);
        assert_eq!(tally, Tally { plans: failed, alone: [failed, 0] }, "start {start}");
        let mut store = Scratch::new(1024 * 1024);
        let mut journal = if start == 1 {
            Journal::create(store, 1, 1).unwrap()
        } else {
            store.write(0, &bytes).unwrap();
            Journal::resume(store, 1, &replayed, replayed.records.last().unwrap().0 + 1).unwrap()
        };
        journal.append(&Record::Opened { epoch: start, at: UnixMs::new(1) }).unwrap();
        for (id, (venue, name)) in [KALSHI, POLYMARKET].into_iter().zip(names) {
            journal.append(&Record::Market { id, venue, name }).unwrap();
        }
        let mut setup = desk::setup(POLITICS);
        setup.pairs[0].odds = Odds::prior(false);
        setup.pairs[0].tally = tally;
        setup.next_id = restored.last_id;
        let orders = Orders { journal, ids: Ids::new(start).unwrap(), budget: BUDGET };
        let engine = orion::run::desk::Desk::new(setup, orders);
        let mut desk = Desk { engine, now: Nanos::secs(1_000), told: Vec::new() };
        desk.offer(4_500, 5_000);
        if desk.planned() == 0 {
            assert_eq!(desk.reasons(), [Reason::ExpectedValue], "start {start}");
            assert!(5 < start, "one bad day is not enough");
            return;
        }
        desk.hear(POLYMARKET, Kind::Level { side: BookSide::Bid, price: price(5_000), qty: Qty::ZERO });
        desk.pass(Nanos::secs(1));
        assert_eq!(endings(&desk), [Ending::Unwound]);
        failed += 1;
        bytes = desk.engine.executor.journal_mut().store().bytes().to_vec();
    }
    panic!("it is traded on after {failed} failures");
}

fn replayed(bytes: &[u8]) -> journal::Replayed {
    journal::replay(bytes, 1, Some(1)).unwrap()
}

/// A restart between both legs keeps the money for the one that is still to come.
#[test]
fn a_restart_between_two_legs_keeps_money_for_the_second() {
    let mut desk = desk(|setup| setup.leg_order = LegOrder::ThinnerFirst);
    let mut kept = vec![Record::Opened { epoch: 1, at: UnixMs::new(1) }];
    let names = [(Venue::Kalshi, Tag::new("K").unwrap()), (Venue::Polymarket, Tag::new("P").unwrap())];
    for (id, (venue, name)) in [KALSHI, POLYMARKET].into_iter().zip(names) {
        kept.push(Record::Market { id, venue, name });
    }
    let promised = reserved(&desk);
    kept.extend(records(&mut desk));
    let numbered: Vec<_> = (1..).zip(kept).collect();
    let known =
        Known { markets: &names, minimum: &[Qty::ONE, Qty::whole(5)], pairs: &[[KALSHI, POLYMARKET]], budget: BUDGET };
    let mut restored = restore(&numbered, &known, Nanos::ZERO).unwrap();
    let terms = [desk::kalshi_terms(), desk::polymarket_terms(POLITICS)];
    restored.promise(|market| terms[market.0 as usize].fee);
    assert_eq!(restored.plans[0].aim.pair, PairId(0));
    for (now, before) in restored.reserved[0].into_iter().zip(promised) {
        assert!(before <= now && now < before + Money::dollars(5), "{now:#} is kept, {before:#} was");
    }
}
