//! What becomes of a paper plan when the books move while its orders are on their way.

mod common;

use common::desk::{Desk, KALSHI, POLYMARKET, price};
use orion::{
    order::plan::Ending,
    risk::{Latch, TradingState},
    run::event::What,
    spread::Rate,
    unit::{BookSide, Grid, MarketId, Money, Nanos, Qty, Venue},
    wire::Kind,
};

const OPENING: Money = Money::dollars(10_000);

/// Equal books that offer YES on Kalshi at 0.40 and NO on Polymarket at 0.52: eight cents before fees.
fn crossed() -> Desk {
    let mut desk = Desk::new();
    desk.book(KALSHI, &[(3_900, 50_000)], &[(4_000, 20_000)]);
    desk.book(POLYMARKET, &[(4_800, 20_000)], &[(4_900, 50_000)]);
    assert_eq!(desk.planned(), 1, "{:?}", desk.reasons());
    desk
}

fn shows(desk: &mut Desk, market: MarketId, side: BookSide, raw: u16, qty: u32) {
    desk.hear(market, Kind::Level { side, price: price(raw), qty: Qty::whole(qty) });
}

/// Is the market's copy believed?
fn whole(desk: &Desk, market: MarketId) -> bool {
    desk.engine.detector.book(market).doubt().is_none()
}

/// How the last plan ended: state, paired, naked, won or lost by selling again.
fn ending(desk: &Desk) -> (Ending, Qty, Qty, Money) {
    let ended = desk.told.iter().rev().find_map(|event| match event.what {
        What::PlanEnded { state, paired, naked, unwound, .. } => Some((state, paired, naked, unwound)),
        _ => None,
    });
    ended.expect("a plan ended")
}

/// Cash counted a second time from what was told: fills with their fees, closed pairs, payouts.
fn cash_equals_what_was_told(desk: &Desk) {
    let mut cash = OPENING;
    for event in &desk.told {
        match event.what {
            What::Filled { fill, .. } if fill.bought => cash -= fill.price.cost(fill.qty) + fill.fee,
            What::Filled { fill, .. } => cash += fill.price.proceeds(fill.qty) - fill.fee,
            What::Netted { qty, .. } => cash += Money::micros(qty.micros() as i64),
            What::Settled { paid, .. } => cash += paid,
            _ => {}
        }
    }
    let accounts: Money = desk.engine.detector.budget().accounts().map(|(_, _, account)| account.cash).sum();
    assert_eq!(accounts, cash);
}

fn nothing_is_reserved(desk: &Desk) {
    assert!(desk.engine.detector.budget().accounts().all(|(_, _, account)| account.reserved == Money::ZERO));
    assert_eq!(desk.engine.detector.plans(), 0);
}

#[test]
fn both_legs_fill_in_equal_shares_when_the_books_stand_still() {
    let mut desk = crossed();
    desk.pass(Nanos::millis(250));
    let (state, paired, naked, unwound) = ending(&desk);
    assert_eq!((state, naked, unwound), (Ending::Filled, Qty::ZERO, Money::ZERO));
    assert!(Qty::whole(1_000) < paired);
    cash_equals_what_was_told(&desk);
    nothing_is_reserved(&desk);
}

#[test]
fn nothing_is_bought_when_both_offers_are_gone_on_arrival() {
    let mut desk = crossed();
    shows(&mut desk, KALSHI, BookSide::Ask, 4_000, 0);
    shows(&mut desk, POLYMARKET, BookSide::Bid, 4_800, 0);
    desk.pass(Nanos::millis(250));
    assert_eq!(ending(&desk).0, Ending::Missed);
    cash_equals_what_was_told(&desk);
    nothing_is_reserved(&desk);
    assert_eq!(desk.engine.detector.budget().exposure(0), Money::ZERO);
}

#[test]
fn a_leg_that_stands_alone_is_sold_again_and_its_loss_is_booked() {
    let mut desk = crossed();
    shows(&mut desk, POLYMARKET, BookSide::Bid, 4_800, 0);
    desk.pass(Nanos::millis(500));
    let (state, paired, naked, unwound) = ending(&desk);
    assert_eq!((state, paired, naked), (Ending::Unwound, Qty::ZERO, Qty::ZERO));
    assert!(unwound < Money::ZERO, "a cent of spread and two fees: {unwound}");
    assert_eq!(desk.engine.detector.budget().realised_today(), unwound);
    cash_equals_what_was_told(&desk);
    nothing_is_reserved(&desk);
    assert_eq!(desk.engine.detector.budget().exposure(0), Money::ZERO);
}

#[test]
fn an_excess_over_the_smaller_leg_is_sold_and_the_rest_stays_paired() {
    let mut desk = crossed();
    shows(&mut desk, POLYMARKET, BookSide::Bid, 4_800, 300);
    desk.pass(Nanos::millis(500));
    let (state, paired, naked, _) = ending(&desk);
    assert_eq!((state, paired, naked), (Ending::Unwound, Qty::whole(300), Qty::ZERO));
    cash_equals_what_was_told(&desk);
    nothing_is_reserved(&desk);
}

#[test]
fn an_excess_that_nobody_takes_lets_the_latch_fall_and_is_closed_as_soon_as_somebody_does() {
    let mut desk = crossed();
    shows(&mut desk, POLYMARKET, BookSide::Bid, 4_800, 0);
    shows(&mut desk, KALSHI, BookSide::Bid, 3_900, 0);
    desk.pass(Nanos::secs(2));
    assert_eq!(desk.engine.detector.state(), TradingState::Active);
    assert_eq!(desk.engine.plans(), 1);
    desk.pass(Nanos::millis(500));
    assert_eq!(desk.engine.detector.state(), TradingState::Halted(Latch::Naked), "two seconds after it was known");
    desk.pass(Nanos::secs(60));
    assert_eq!(desk.engine.plans(), 1, "it still stands alone");
    shows(&mut desk, KALSHI, BookSide::Bid, 3_900, 50_000);
    desk.pass(Nanos::millis(500));
    let (state, paired, naked, unwound) = ending(&desk);
    assert_eq!((state, paired, naked), (Ending::Unwound, Qty::ZERO, Qty::ZERO));
    assert!(unwound < Money::ZERO);
    cash_equals_what_was_told(&desk);
    nothing_is_reserved(&desk);
}

#[test]
fn an_excess_whose_market_pays_is_over_and_told_as_naked() {
    let mut desk = crossed();
    shows(&mut desk, POLYMARKET, BookSide::Bid, 4_800, 0);
    shows(&mut desk, KALSHI, BookSide::Bid, 3_900, 0);
    desk.pass(Nanos::secs(3));
    desk.hear(KALSHI, Kind::Settled { yes_payout: Money::dollars(1) });
    desk.pass(Nanos::millis(250));
    let (state, paired, naked, _) = ending(&desk);
    assert_eq!((state, paired), (Ending::Naked, Qty::ZERO));
    assert!(Qty::ZERO < naked);
    let looped = desk.told.iter().filter(|event| matches!(event.what, What::Looped { .. })).count();
    assert_eq!(looped, 1, "nothing is added to what stands alone");
    cash_equals_what_was_told(&desk);
    nothing_is_reserved(&desk);
}

#[test]
fn an_order_that_meets_a_doubtful_book_finds_nothing() {
    let mut desk = crossed();
    desk.hear(KALSHI, Kind::Lost).hear(POLYMARKET, Kind::Lost);
    desk.silence(Nanos::millis(250));
    assert_eq!(ending(&desk).0, Ending::Missed);
}

#[test]
fn depth_that_was_taken_is_not_sold_to_us_twice() {
    let mut desk = Desk::new();
    desk.book(KALSHI, &[(3_900, 50_000)], &[(4_000, 100)]);
    desk.book(POLYMARKET, &[(4_800, 100)], &[(4_900, 50_000)]);
    desk.pass(Nanos::secs(30));
    assert_eq!(ending(&desk).1, Qty::whole(100));
    assert_eq!(desk.planned(), 1, "the books still show what we took");
    shows(&mut desk, KALSHI, BookSide::Ask, 4_000, 140);
    shows(&mut desk, POLYMARKET, BookSide::Bid, 4_800, 160);
    desk.pass(Nanos::secs(1));
    assert_eq!((desk.planned(), ending(&desk).1), (2, Qty::whole(40)), "what came anew on both sides");
}

#[test]
fn kalshi_closes_yes_against_no_at_once_and_pays_a_dollar() {
    // Otherwise what is held would be sold instead.
    let mut desk = Desk::with(|setup| setup.leaving.gain_min = Rate::DOLLAR);
    desk.book(KALSHI, &[(3_900, 50_000)], &[(4_000, 2_000)]);
    desk.book(POLYMARKET, &[(4_800, 2_000)], &[(4_900, 50_000)]);
    desk.pass(Nanos::secs(10));
    assert_eq!(ending(&desk).1, Qty::whole(2_000));
    // The other way round: NO on Kalshi at 0.43, YES on Polymarket at 0.50.
    desk.book(POLYMARKET, &[(4_900, 50_000)], &[(5_000, 900)]);
    desk.book(KALSHI, &[(5_700, 900)], &[(5_800, 50_000)]);
    desk.pass(Nanos::millis(500));
    let netted = desk.told.iter().find_map(|event| match event.what {
        What::Netted { market, qty } => Some((market, qty)),
        _ => None,
    });
    assert_eq!(netted, Some((KALSHI, Qty::whole(900))));
    cash_equals_what_was_told(&desk);
}

#[test]
fn venues_that_settle_differently_lose_both_legs_and_the_latch_falls() {
    let mut desk = crossed();
    desk.pass(Nanos::millis(250));
    let paid = |payout| Kind::Settled { yes_payout: Money::micros(payout) };
    desk.hear(KALSHI, paid(0));
    assert_eq!(desk.engine.detector.state(), TradingState::Active, "one leg's loss may be the other leg's gain");
    desk.hear(POLYMARKET, paid(1_000_000));
    assert!(matches!(desk.engine.detector.state(), TradingState::Halted(_)), "beyond the daily limit");
    desk.hear(POLYMARKET, paid(0));
    cash_equals_what_was_told(&desk);
    let settled = desk.told.iter().filter(|event| matches!(event.what, What::Settled { .. })).count();
    assert_eq!(settled, 2, "a payout is booked once");
    assert_eq!(desk.engine.detector.budget().account(Venue::Kalshi, 0).reserved, Money::ZERO);
}

#[test]
fn a_market_whose_grid_becomes_finer_trades_on_after_its_next_snapshot() {
    let mut desk = Desk::new();
    desk.book(KALSHI, &[(3_900, 50_000)], &[(4_500, 20_000)]);
    desk.hear(POLYMARKET, Kind::Grid(Grid::even(1).expect("the finest grid")));
    let asked: Vec<MarketId> = desk.engine.resnapshots().drain(..).map(|asked| asked.market).collect();
    assert_eq!((whole(&desk, POLYMARKET), asked), (false, vec![POLYMARKET]));
    desk.book(POLYMARKET, &[(5_233, 20_000)], &[(5_301, 50_000)]);
    assert!(whole(&desk, POLYMARKET));
    assert_eq!(desk.planned(), 1, "{:?}", desk.reasons());
    desk.pass(Nanos::millis(250));
    assert_eq!(ending(&desk).0, Ending::Filled);
    // A level off the grid in the middle of a snapshot voids that snapshot, not the next one.
    desk.book(KALSHI, &[(3_955, 100)], &[(4_500, 100)]);
    assert!(!whole(&desk, KALSHI));
    desk.book(KALSHI, &[(3_955, 100)], &[(4_500, 100)]);
    assert!(whole(&desk, KALSHI));
}
