#![no_main]

use orion::{
    unit::UnixMs,
    venue::kalshi::{
        order::{Names, cancelled, created},
        report,
    },
    wire::json::Parser,
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (Some(&status), body) = (data.first(), data.get(1..).unwrap_or(&[])) else { return };
    let (names, at) = (Names { instance: 1 }, UnixMs::new(1_795_000_000_000));
    let mut parser = Parser::default();
    let status = 200 + u16::from(status) * 2;
    assert!(!created(status, &mut body.to_vec(), &mut parser).is_empty(), "every answer means something");
    let _ = cancelled(status, &mut body.to_vec(), &mut parser);
    let _ = parser.parse(&mut body.to_vec(), |item| report::fill(item, names, at));
    let _ = parser.parse(&mut body.to_vec(), |item| report::order(item, names, at));
});
