//! Trades that look good and are not, and one that is: gross cents against both fees.

mod common;

use common::desk::{Desk, ECONOMICS, KALSHI, POLITICS, POLYMARKET, rate};
use orion::{
    decide::Reason,
    run::event::What,
    spread::{Direction, Rate},
    unit::{Money, Price, Qty},
};

/// Tenths of a billionth of a cent: what Rate counts.
fn dollars_e14(raw: i64) -> Rate {
    Rate::new(raw)
}

#[test]
fn a_gross_cent_in_politics_is_refused_because_both_fees_take_almost_three() {
    let mut desk = Desk::at_rate(POLITICS, |_| {});
    desk.offer(4_800, 5_100);
    let seen = desk.last();
    assert_eq!((seen.direction, seen.reason), (Direction::YesKalshi, Some(Reason::Fees)));
    assert_eq!(seen.quote.gross, rate(100));
    // 0.07 · 0.48 · 0.52 = 0.017472 and 0.04 · 0.51 · 0.49 = 0.009996.
    assert_eq!(seen.quote.fees, dollars_e14(2_746_800_000_000));
    assert_eq!(seen.quote.net, dollars_e14(-1_746_800_000_000));
    assert_eq!(seen.quote.net.to_string(), "−1.75 ¢");
    assert_eq!(desk.planned(), 0);
}

#[test]
fn a_gross_cent_and_a_half_in_politics_is_refused_too() {
    let mut desk = Desk::at_rate(POLITICS, |_| {});
    desk.offer(4_900, 4_950);
    let seen = desk.last();
    assert_eq!(seen.reason, Some(Reason::Fees));
    assert_eq!(seen.quote.gross, rate(150));
    // 0.07 · 0.49 · 0.51 = 0.017493 and 0.04 · 0.495 · 0.505 = 0.009999.
    assert_eq!(seen.quote.net, dollars_e14(-1_249_200_000_000));
    assert_eq!(seen.quote.net.to_string(), "−1.25 ¢");
    assert_eq!(desk.planned(), 0);
}

#[test]
fn in_economics_the_same_two_trades_lose_more() {
    // 0.05 instead of 0.04: 0.012495 and 0.01249875.
    for (yes, no, net) in [(4_800, 5_100, -1_996_700_000_000), (4_900, 4_950, -1_499_175_000_000)] {
        let mut desk = Desk::at_rate(ECONOMICS, |_| {});
        desk.offer(yes, no);
        let seen = desk.last();
        assert_eq!((seen.reason, seen.quote.net), (Some(Reason::Fees), dollars_e14(net)), "{yes} + {no}");
        assert_eq!(desk.planned(), 0);
    }
}

#[test]
fn the_mirrored_trade_is_refused_for_the_same_fees() {
    let mut desk = Desk::at_rate(POLITICS, |_| {});
    // YES on Polymarket at 0.51, NO on Kalshi at 0.48: the fee of NO at q is that of YES at 1 − q.
    desk.book(KALSHI, &[(5_200, 100)], &[(5_400, 100)]);
    desk.book(POLYMARKET, &[(4_900, 100)], &[(5_100, 100)]);
    let seen = desk.last();
    assert_eq!((seen.direction, seen.reason), (Direction::YesPolymarket, Some(Reason::Fees)));
    assert_eq!(seen.quote.net, dollars_e14(-1_746_800_000_000));
}

#[test]
fn books_that_do_not_cross_are_no_opportunity_at_all() {
    let mut desk = Desk::new();
    desk.offer(4_900, 5_100);
    assert!(desk.seen().is_empty(), "0.49 + 0.51 is a whole dollar: nothing to see");
}

#[test]
fn a_profitable_pair_is_taken_in_equal_shares() {
    let mut desk = Desk::at_rate(POLITICS, |_| {});
    desk.offer(4_500, 5_000);
    // 0.07 · 0.45 · 0.55 = 0.017325 and 0.04 · 0.25 = 0.01: five gross cents leave 2.2675.
    let seen = desk.last();
    assert_eq!((seen.reason, seen.quote.net), (None, dollars_e14(2_267_500_000_000)));
    assert_eq!(seen.quote.net.to_string(), "2.26 ¢");
    let planned = desk.told.iter().find_map(|event| match event.what {
        What::Planned { qty, net, limits, .. } => Some((qty, net, limits.map(Price::raw))),
        _ => None,
    });
    let (qty, net, limits) = planned.expect("a plan was made");
    assert_eq!((qty, limits), (Qty::whole(100), [4_500, 5_000]));
    // A hundred dollars, minus 45 + 50, minus 1.7325 + 1, minus the step that Kalshi's account may swallow.
    assert_eq!(net, Money::micros(2_267_400));
}

#[test]
fn in_an_inverted_pair_yes_is_bought_on_both() {
    let mut desk = Desk::at_rate(POLITICS, |setup| setup.pairs[0].pair.inverted = true);
    // YES on Kalshi at 0.45 and YES on Polymarket at 0.50, whose outcome is the opposite.
    desk.book(KALSHI, &[(4_300, 100)], &[(4_500, 100)]);
    desk.book(POLYMARKET, &[(4_800, 100)], &[(5_000, 100)]);
    assert_eq!((desk.last().quote.net, desk.planned()), (dollars_e14(2_267_500_000_000), 1));

    let mut straight = Desk::at_rate(POLITICS, |_| {});
    straight.book(KALSHI, &[(4_300, 100)], &[(4_500, 100)]);
    straight.book(POLYMARKET, &[(4_800, 100)], &[(5_000, 100)]);
    assert_eq!(straight.last().quote.gross, rate(300), "not inverted, the same books offer 0.45 + 0.52");
}

#[test]
fn the_inverted_trade_of_a_gross_cent_is_refused_as_well() {
    let mut desk = Desk::at_rate(POLITICS, |setup| setup.pairs[0].pair.inverted = true);
    desk.book(KALSHI, &[(4_600, 100)], &[(4_800, 100)]);
    desk.book(POLYMARKET, &[(4_900, 100)], &[(5_100, 100)]);
    assert_eq!((desk.last().reason, desk.last().quote.net), (Some(Reason::Fees), dollars_e14(-1_746_800_000_000)));
}

#[test]
fn a_net_threshold_refuses_what_a_gross_threshold_takes() {
    // Five gross cents, 2.2675 net. The threshold is three.
    for (net, wanted) in [(true, Some(Reason::Threshold)), (false, None)] {
        let mut desk = Desk::with(|setup| {
            setup.rules.threshold = rate(300);
            setup.rules.threshold_net = net;
        });
        desk.offer(4_500, 5_000);
        assert_eq!(desk.last().reason, wanted, "threshold net of fees: {net}");
        assert_eq!(desk.planned(), usize::from(wanted.is_none()));
    }
}

#[test]
fn a_gross_threshold_never_takes_a_loss() {
    let mut desk = Desk::with(|setup| {
        setup.rules.threshold = rate(50);
        setup.rules.threshold_net = false;
    });
    desk.offer(4_800, 5_100);
    assert_eq!((desk.last().reason, desk.planned()), (Some(Reason::Fees), 0), "a gross cent passes, its fees do not");
}

#[test]
fn an_edge_exactly_at_the_threshold_is_taken_and_a_hair_below_is_not() {
    let exact = dollars_e14(2_267_500_000_000);
    for (threshold, taken) in [(exact, 1), (exact + Rate::new(1), 0)] {
        let mut desk = Desk::with(|setup| setup.rules.threshold = threshold);
        desk.offer(4_500, 5_000);
        assert_eq!(desk.planned(), taken, "{}", threshold.raw());
    }
}
