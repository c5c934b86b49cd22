#![no_main]

use orion::{
    order::{Ask, Purpose},
    unit::{MarketId, OrderId, Outcome, Price, Qty, Tag, UnixMs, Venue},
    venue::polymarket::{
        answer::{cancelled, posted},
        report,
    },
    wire::json::Parser,
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (Some(&status), body) = (data.first(), data.get(1..).unwrap_or(&[])) else { return };
    let ask = Ask {
        id: OrderId::new(1, 1).expect("the first order"),
        venue: Venue::Polymarket,
        market: MarketId(0),
        outcome: Outcome::Yes,
        buys: status % 2 == 0,
        qty: Qty::whole(10),
        limit: Price::new(5_000).expect("half a dollar"),
        purpose: Purpose::Entry,
    };
    let (tag, at) = (Tag::new("0x1").expect("an id"), UnixMs::new(1_795_000_000_000));
    let mut parser = Parser::default();
    let status = 200 + u16::from(status) * 2;
    assert!(!posted(status, &mut body.to_vec(), &ask, false, &mut parser).is_empty(), "every answer means something");
    let _ = cancelled(status, &mut body.to_vec(), &tag, &mut parser);
    let _ = parser.parse(&mut body.to_vec(), |item| report::order(item, at));
    let _ = parser.parse(&mut body.to_vec(), |item| report::trade(item, "us", &|_| Some(Outcome::No), at));
});
