//! The matching core: whose turn it is, what it refuses, and what it remembers.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use orion::sim::exchange::{Exchange, NewOrder, Owner, Refused, SelfTrade, What};
use orion::unit::{BookSide, Grid, Price, Qty, UnixMs};

fn price(raw: u16) -> Price {
    Price::new(raw).unwrap()
}

fn order(owner: u32, side: BookSide, raw: u16, contracts: u32) -> NewOrder {
    NewOrder {
        owner: Owner(owner),
        side,
        price: price(raw),
        qty: Qty::whole(contracts),
        self_trade: SelfTrade::CancelTaker,
    }
}

fn exchange() -> Exchange {
    let mut exchange = Exchange::default();
    exchange.list(Grid::even(100).unwrap(), UnixMs::new(1_000));
    exchange
}

#[test]
fn the_earlier_order_at_a_price_trades_first_and_at_its_own_price() {
    let mut exchange = exchange();
    let now = UnixMs::new(2_000);
    let (first, _) = exchange.place(0, order(1, BookSide::Ask, 5_000, 10), now).unwrap();
    exchange.place(0, order(2, BookSide::Ask, 5_000, 10), now).unwrap();
    let (_, events) = exchange.place(0, order(3, BookSide::Bid, 5_200, 15), now).unwrap();
    let trades: Vec<_> =
        events.iter().filter_map(|e| if let What::Trade(t) = e.what { Some(t) } else { None }).collect();
    assert_eq!(trades.len(), 1, "one price, one print");
    assert_eq!(trades[0].price, price(5_000));
    assert_eq!(trades[0].qty, Qty::whole(15));
    assert!(exchange.cancel(first, Qty::MAX, now).is_empty(), "the first order is gone");
    assert_eq!(exchange.market(0).quantity(BookSide::Ask, price(5_000)), Qty::whole(5));
    assert!(events.iter().all(|event| event.clock == events[0].clock), "one action, one clock");
}

#[test]
fn an_order_off_the_grid_or_after_the_close_is_refused() {
    let mut exchange = exchange();
    let now = UnixMs::new(2_000);
    assert_eq!(exchange.place(0, order(1, BookSide::Bid, 5_050, 1), now).unwrap_err(), Refused::OffGrid);
    exchange.clear(0, false, now);
    assert_eq!(exchange.place(0, order(1, BookSide::Bid, 5_000, 1), now).unwrap_err(), Refused::Closed);
}

#[test]
fn a_maker_who_crosses_himself_crosses_the_book_for_an_instant_only() {
    let mut exchange = exchange();
    let now = UnixMs::new(2_000);
    exchange.place(0, order(7, BookSide::Ask, 5_000, 10), now).unwrap();
    let own = NewOrder { self_trade: SelfTrade::CancelMaker, ..order(7, BookSide::Bid, 5_100, 4) };
    let (_, events) = exchange.place(0, own, now).unwrap();
    let What::Level(first) = events[0].what else { panic!("a level comes first") };
    assert!(first.best_ask.unwrap() < first.best_bid.unwrap(), "crossed inside");
    let What::Level(last) = events[events.len() - 1].what else { panic!("a level comes last") };
    assert_eq!((last.best_bid, last.best_ask), (Some(price(5_100)), None));
    assert!(events.iter().all(|event| !matches!(event.what, What::Trade(_))));
}

#[test]
fn what_a_level_held_can_be_asked_for_two_minutes() {
    let mut exchange = exchange();
    let bid = |raw, contracts| order(1, BookSide::Bid, raw, contracts);
    let (number, _) = exchange.place(0, bid(4_000, 10), UnixMs::new(2_000)).unwrap();
    exchange.place(0, bid(4_000, 30), UnixMs::new(2_005)).unwrap();
    exchange.thin(0, BookSide::Bid, price(4_000), Qty::whole(35), UnixMs::new(2_005));
    let held = |exchange: &Exchange, at| exchange.market(0).held(BookSide::Bid, price(4_000), UnixMs::new(at));
    assert_eq!(held(&exchange, 999), None, "before the listing");
    assert_eq!(held(&exchange, 1_999), Some(Qty::ZERO));
    assert_eq!(held(&exchange, 2_000), Some(Qty::whole(10)));
    assert_eq!(held(&exchange, 2_005), Some(Qty::whole(40)), "a state within the millisecond counts");
    assert_eq!(held(&exchange, 2_006), Some(Qty::whole(5)));
    exchange.cancel(number, Qty::MAX, UnixMs::new(130_000));
    exchange.place(0, bid(3_900, 1), UnixMs::new(130_000)).unwrap();
    assert_eq!(held(&exchange, 2_000), None, "too long ago");
    assert_eq!(held(&exchange, 100_000), Some(Qty::whole(5)));
}
