//! One order's reports, in any order, any number of times: what is filled comes out the same, and what cannot be is
//! told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use orion::{
    order::{
        Ask, Impossible, Leg, Purpose,
        leg::{ABSENCE_AFTER_MS, Change, End, State},
    },
    unit::{
        MarketId, Money, Nanos, OrderId, Outcome, Picture, Price, Qty, Refusal, Sent, Stage, Tag, Told, Trade, Unclear,
        UnixMs, Venue,
    },
};
use proptest::prelude::*;

const SENT: UnixMs = UnixMs::new(1_795_000_000_000);
const NOW: Nanos = Nanos::secs(9);

fn leg(qty: u32) -> Leg {
    let mut leg = Leg::new(Ask {
        id: OrderId::new(1, 1).unwrap(),
        venue: Venue::Polymarket,
        market: MarketId(1),
        outcome: Outcome::Yes,
        buys: true,
        qty: Qty::whole(qty),
        limit: Price::new(4_800).unwrap(),
        purpose: Purpose::Entry,
    });
    leg.sent(SENT);
    leg
}

fn trade(name: usize, qty: u32, stage: Stage) -> Told {
    Told::Trade(Trade {
        tag: Tag::new(&format!("t-{name}")).unwrap(),
        outcome: Outcome::Yes,
        bought: true,
        price: Price::new(4_700).unwrap(),
        qty: Qty::whole(qty),
        fee: Some(Money::micros(17_000)),
        stage,
    })
}

fn picture(filled: u32, open: bool) -> Told {
    Told::Picture(Picture { filled: Qty::whole(filled), open })
}

fn accepted() -> Told {
    Told::Sent(Sent::Accepted(Tag::new("0xabc").unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn any_interleaving_of_an_orders_reports_with_duplicates_ends_the_same(
        parts in prop::collection::vec((1_u32..50, any::<bool>(), any::<bool>()), 0..5),
        rest in 0_u32..20,
        lost in any::<bool>(),
        order in any::<u64>(),
        doubled in prop::collection::vec(any::<bool>(), 40),
    ) {
        let whole: u32 = parts.iter().map(|(qty, ..)| qty).sum();
        prop_assume!(0 < whole + rest);
        let mut told = vec![picture(whole, false)];
        told.push(if lost { Told::Sent(Sent::Unknown(Unclear::TimedOut)) } else { accepted() });
        let mut alive = 0;
        for (at, (qty, mined, fails)) in parts.iter().enumerate() {
            told.push(trade(at, *qty, Stage::Matched));
            if *mined {
                told.push(trade(at, *qty, Stage::Mined));
            }
            told.push(trade(at, *qty, if *fails { Stage::Failed } else { Stage::Confirmed }));
            alive += if *fails { 0 } else { *qty };
        }
        let again: Vec<_> = told.iter().zip(&doubled).filter(|(_, twice)| **twice).map(|(t, _)| *t).collect();
        told.extend(again);
        fastrand::Rng::with_seed(order).shuffle(&mut told);
        let mut leg = leg(whole + rest);
        let mut booked = 0_i64;
        for one in &told {
            match leg.next(one, NOW).unwrap() {
                Change::Traded(trade) => booked += trade.qty.micros() as i64,
                Change::Voided(trade) => booked -= trade.qty.micros() as i64,
                _ => {}
            }
        }
        prop_assert_eq!(leg.filled(), Qty::whole(alive));
        prop_assert_eq!(leg.certain(), Qty::whole(alive));
        prop_assert_eq!(leg.possible(), Qty::whole(alive));
        prop_assert_eq!(booked, i64::from(alive) * 1_000_000, "booked once, whatever came twice");
        prop_assert!(leg.is_complete());
        prop_assert_eq!(leg.state(), State::Done(End::Closed));
    }
}

#[test]
fn a_lost_answer_ends_only_by_the_venues_record() {
    let mut lost = leg(10);
    lost.overdue(NOW);
    assert!(matches!(lost.state(), State::Unknown { why: Unclear::TimedOut, .. }));
    assert_eq!((lost.filled(), lost.possible()), (Qty::ZERO, Qty::whole(10)));
    // Not there a minute after sending proves nothing: the request may still be on its way.
    let early = UnixMs::new(SENT.raw() + ABSENCE_AFTER_MS);
    assert_eq!(lost.next(&Told::Absent { as_of: early }, NOW), Ok(Change::Nothing));
    assert_eq!(lost.next(&Told::NotCancelled, NOW), Ok(Change::Moved));
    assert!(matches!(lost.state(), State::Unknown { .. }), "not cancellable is no proof either");
    let late = UnixMs::new(early.raw() + 1);
    assert_eq!(lost.next(&Told::Absent { as_of: late }, NOW), Ok(Change::Moved));
    assert_eq!((lost.state(), lost.possible()), (State::Done(End::Absent), Qty::ZERO));

    let mut filled = leg(10);
    filled.overdue(NOW);
    filled.next(&picture(10, false), NOW).unwrap();
    assert_eq!(filled.filled(), Qty::whole(10));
    assert!(!filled.is_complete(), "its trades have not been told");
    filled.next(&trade(0, 10, Stage::Confirmed), NOW).unwrap();
    assert!(filled.is_complete());
    filled.next(&Told::Absent { as_of: late }, NOW).unwrap();
    assert_eq!(filled.filled(), Qty::whole(10), "a listing that misses it is not believed");
}

#[test]
fn a_duplicate_refusal_means_that_the_first_one_arrived() {
    let mut leg = leg(10);
    leg.next(&Told::Sent(Sent::Refused(Refusal::Duplicate)), NOW).unwrap();
    assert!(matches!(leg.state(), State::Unknown { .. }));
}

#[test]
fn a_fill_that_comes_before_the_answer_outlives_a_lost_answer() {
    let mut leg = leg(10);
    leg.next(&trade(0, 4, Stage::Matched), NOW).unwrap();
    assert_eq!(leg.state(), State::Working);
    leg.next(&Told::Sent(Sent::Unknown(Unclear::Cut)), NOW).unwrap();
    assert_eq!(leg.state(), State::Working);
}

#[test]
fn a_cancel_that_was_taken_ends_the_order_with_what_was_filled() {
    let mut leg = leg(10);
    leg.next(&accepted(), NOW).unwrap();
    leg.cancelling();
    leg.next(&Told::Cancelled { left: Some(Qty::whole(7)) }, NOW).unwrap();
    assert_eq!((leg.state(), leg.filled(), leg.untold()), (State::Done(End::Closed), Qty::whole(3), Qty::whole(3)));
    leg.next(&trade(0, 3, Stage::Confirmed), NOW).unwrap();
    assert!(leg.is_complete());
}

#[test]
fn what_cannot_be_is_told_and_never_booked() {
    let mut over = leg(10);
    over.next(&trade(0, 10, Stage::Confirmed), NOW).unwrap();
    assert!(matches!(over.next(&trade(1, 10, Stage::Confirmed), NOW), Err(Impossible::Overfilled { .. })));
    assert_eq!(over.filled(), Qty::whole(10), "the same fill under a second name stays outside");

    // Where there would be room for it: the record that ended the order counts each fill once, told before it or after.
    let twice = [trade(0, 4, Stage::Matched), picture(4, false), trade(1, 4, Stage::Mined)];
    let before = [trade(0, 4, Stage::Matched), trade(1, 4, Stage::Mined), picture(4, false)];
    for told in [twice, before] {
        let mut leg = leg(10);
        let last = told.iter().map(|told| leg.next(told, NOW)).last().unwrap();
        let (shown, told) = (Qty::whole(4), Qty::whole(8));
        assert_eq!(last, Err(Impossible::BeyondRecord { shown, told }));
    }

    let mut refused = leg(10);
    refused.next(&Told::Sent(Sent::Refused(Refusal::Funds)), NOW).unwrap();
    assert_eq!(refused.state(), State::Done(End::Refused(Refusal::Funds)));
    assert!(matches!(refused.next(&trade(0, 1, Stage::Matched), NOW), Err(Impossible::FilledAfterEnd { .. })));

    let mut changed = leg(10);
    changed.next(&trade(0, 4, Stage::Matched), NOW).unwrap();
    assert!(matches!(changed.next(&trade(0, 5, Stage::Matched), NOW), Err(Impossible::TradeChanged(_))));

    let mut reopened = leg(10);
    reopened.next(&trade(0, 4, Stage::Confirmed), NOW).unwrap();
    assert!(matches!(reopened.next(&trade(0, 4, Stage::Failed), NOW), Err(Impossible::TradeReopened(_))));
}

#[test]
fn dust_beyond_what_was_asked_for_is_kept() {
    let mut leg = leg(10);
    let over = Told::Picture(Picture { filled: Qty::new(10_010_000).unwrap(), open: false });
    leg.next(&over, NOW).unwrap();
    assert_eq!(leg.filled().micros(), 10_010_000);
    let more = Told::Picture(Picture { filled: Qty::new(10_010_001).unwrap(), open: false });
    assert!(matches!(leg.next(&more, NOW), Err(Impossible::Overfilled { .. })));
    assert_eq!(leg.filled().micros(), 10_010_001, "what the venue's record says is owned, whatever was asked for");
}

#[test]
fn a_trade_told_as_its_mirror_image_is_the_same_trade_and_any_other_is_impossible() {
    let told = |outcome, bought, raw| {
        let Told::Trade(trade) = trade(0, 4, Stage::Confirmed) else { unreachable!() };
        Told::Trade(Trade { outcome, bought, price: Price::new(raw).unwrap(), ..trade })
    };
    let mut mirrored = leg(10);
    mirrored.next(&told(Outcome::No, false, 5_300), NOW).unwrap();
    let same = mirrored.trades()[0];
    assert_eq!((same.outcome, same.bought, same.price.raw()), (Outcome::Yes, true, 4_700));
    assert_eq!(
        mirrored.next(&told(Outcome::Yes, true, 4_700), NOW),
        Ok(Change::Nothing),
        "told both ways, booked once"
    );
    for (outcome, bought) in [(Outcome::No, true), (Outcome::Yes, false)] {
        assert!(matches!(leg(10).next(&told(outcome, bought, 4_700), NOW), Err(Impossible::WrongWay(_))));
    }
    assert!(matches!(leg(10).next(&told(Outcome::Yes, true, 4_801), NOW), Err(Impossible::BeyondLimit(_))));
    assert!(matches!(leg(10).next(&told(Outcome::No, false, 5_199), NOW), Err(Impossible::BeyondLimit(_))));
}
