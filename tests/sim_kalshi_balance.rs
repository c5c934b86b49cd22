//! Days of random orders between accounts of the simulated Kalshi: not a millionth of a dollar comes or goes unbooked,
//! and the desk, the book, the listings and the frames tell the same story.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "common/sim_kalshi.rs"]
mod sim_kalshi;

use fastrand::Rng;
use orion::sim::kalshi::desk::Settings;
use orion::sim::kalshi::order::Status;
use orion::unit::{BookSide, Money, Price, Qty, Venue};
use serde_json::{Value, json};
use sim_kalshi::{ORDERS, Town, settings, with};

fn act(town: &mut Town, rng: &mut Rng) {
    let key = rng.u8(1..3);
    let price = format!("0.{:02}00", rng.u16(35..65));
    let count = format!("{}.{:02}", rng.u16(0..40), rng.u16(1..100));
    let side = if rng.bool() { "bid" } else { "ask" };
    let ids: Vec<(String, &str)> = town
        .desk
        .orders()
        .iter()
        .filter(|order| order.is_resting() && order.account + 1 == usize::from(key))
        .map(|order| (order.id.clone(), if order.side == BookSide::Bid { "bid" } else { "ask" }))
        .collect();
    let one = (!ids.is_empty()).then(|| ids[rng.usize(0..ids.len())].clone());
    let ticker = town.ticker.clone();
    match (rng.u8(0..10), one) {
        (0, Some((id, _))) => {
            let (status, _) = town.ask(key, "DELETE", &format!("{ORDERS}/{id}?market_ticker={ticker}"), &Value::Null);
            assert_eq!(status, 200);
        }
        (1, Some((id, _))) => {
            let body = json!({"reduce_by": "1.50", "market_ticker": ticker});
            assert_eq!(town.ask(key, "POST", &format!("{ORDERS}/{id}/decrease"), &body).0, 200);
        }
        (2, Some((id, side))) => {
            let body = json!({"ticker": ticker, "side": side, "price": price, "count": count});
            let (status, body) = town.ask(key, "POST", &format!("{ORDERS}/{id}/amend"), &body);
            assert!(matches!(status, 200 | 400), "{body}");
        }
        (3, _) => {
            let order = with(town.taker(side, &price, &count), &json!({"reduce_only": true}));
            town.create(key, &order);
        }
        (4, _) => {
            let order = with(town.order(side, &price, &count), &json!({"self_trade_prevention_type": "maker"}));
            town.create(key, &order);
        }
        (5, _) => {
            let order = with(town.order(side, &price, &count), &json!({"time_in_force": "fill_or_kill"}));
            town.create(key, &order);
        }
        (6, _) => {
            let order = with(town.order(side, &price, &count), &json!({"post_only": true}));
            town.create(key, &order);
        }
        _ => {
            let order = town.order(side, &price, &count);
            town.create(key, &order);
        }
    }
}

/// Cash, fees and a dollar for every open pair make what there was at the start.
fn balanced(town: &Town) {
    let cash = town.cash(0, 0) + town.cash(1, 0);
    let fees: Money = town.desk.fills().iter().map(|fill| fill.fee).sum();
    let (one, other) = (town.position(0), town.position(1));
    assert_eq!(one, -other, "what one is long the other is short");
    assert_eq!(cash + fees + Money::micros(one.abs()), Money::dollars(2_000));
    assert!(Money::micros(-1_000) < town.cash(0, 0) && Money::micros(-1_000) < town.cash(1, 0), "nobody goes broke");
    assert!(town.desk.fills().iter().all(|fill| Money::ZERO <= fill.fee));
}

/// Every order says of itself what the book says of it.
fn consistent(town: &Town) {
    let exchange = town.world.exchange(Venue::Kalshi);
    let mut rests = Qty::ZERO;
    for order in town.desk.orders() {
        let state = &order.now;
        let in_book = exchange.resting(order.number).map(|(left, _)| left);
        assert_eq!(in_book, order.is_resting().then_some(state.left), "{order:?}");
        let fills = town.desk.fills().iter().filter(|fill| town.desk.orders()[fill.order].id == order.id);
        let filled: u64 = fills.map(|fill| fill.qty.micros()).sum();
        assert_eq!(filled, state.filled.micros());
        match state.status {
            Status::Executed => assert!(state.left.is_zero() && state.filled == state.initial),
            Status::Canceled => assert!(state.left.is_zero()),
            Status::Resting => assert_eq!(state.filled.checked_add(state.left), Some(state.initial)),
        }
        rests = rests.checked_add(state.left).unwrap();
    }
    let book = exchange.market(town.market);
    let sides = [BookSide::Bid, BookSide::Ask].into_iter();
    let shown: u64 = sides.flat_map(|side| book.levels(side)).map(|(_, qty): (Price, Qty)| qty.micros()).sum();
    assert_eq!(shown, rests.micros(), "the book shows the orders and nothing else");
}

#[test]
fn not_a_millionth_is_lost_whatever_two_accounts_do_to_each_other() {
    for seed in 0..6 {
        let mut rng = Rng::with_seed(seed);
        let mut town = Town::with(Settings { seed, reserve: seed % 2 == 1, ..settings() });
        let session = town.listen(0, &["fill", "user_orders"]);
        for round in 0..400 {
            act(&mut town, &mut rng);
            balanced(&town);
            if round % 20 == 0 {
                consistent(&town);
            }
        }
        consistent(&town);
        assert!(50 < town.desk.fills().len(), "they met: {}", town.desk.fills().len());
        // The stream has told the same: every fill once, and of every order the last state last.
        let told: Vec<Value> = town.of_kind(session, "fill").into_iter().map(|fill| fill["trade_id"].clone()).collect();
        let kept: Vec<Value> = town
            .desk
            .fills()
            .iter()
            .filter(|fill| fill.account == 0)
            .map(|fill| Value::from(fill.trade_id.as_str()))
            .collect();
        assert_eq!(told, kept);
        let frames = town.of_kind(session, "user_order");
        for order in town.desk.orders().iter().filter(|order| order.account == 0) {
            let last = frames.iter().rfind(|frame| frame["order_id"] == order.id.as_str()).unwrap();
            assert_eq!(last["status"], order.now.status.name());
            assert_eq!(
                last["fill_count_fp"],
                format!("{}.{:02}", order.now.filled.micros() / 1_000_000, order.now.filled.micros() / 10_000 % 100)
            );
        }
    }
}

#[test]
fn accounts_among_the_crowd_keep_their_books_too() {
    let mut rng = Rng::with_seed(5);
    let mut town = Town::new();
    let market = town.market;
    town.world.resume(market);
    for _ in 0..300 {
        act(&mut town, &mut rng);
        town.live(3);
    }
    for account in [0, 1] {
        let mut cash = Money::dollars(1_000);
        let mut position = 0_i64;
        for fill in town.desk.fills().iter().filter(|fill| fill.account == account) {
            let signed = fill.qty.micros() as i64 * if fill.side == BookSide::Bid { 1 } else { -1 };
            let pairs = if position.signum() == -signed.signum() { position.abs().min(signed.abs()) } else { 0 };
            let paid = if fill.side == BookSide::Bid { fill.price } else { fill.price.complement() };
            cash += Money::micros(pairs) - paid.cost(fill.qty) - fill.fee;
            position += signed;
            assert_eq!(fill.position, position);
        }
        assert_eq!((town.cash(account, 0), town.position(account)), (cash, position));
    }
    assert!(40 < town.desk.fills().len());
    assert!(town.desk.fills().iter().any(|fill| !fill.is_taker), "the crowd takes from them too");
}
