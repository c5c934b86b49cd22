#![no_main]

#[path = "book.rs"]
mod book;

use orion::{
    unit::MarketId,
    venue::kalshi::{KalshiFeed, feed::Wanted},
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (yes, data) = match data {
        [first, rest @ ..] if *first == b'!' => (true, rest),
        _ => (false, data),
    };
    let wanted = ["FED-DEC", "FED-JAN"].iter().enumerate();
    let wanted = wanted.map(|(id, ticker)| Wanted {
        id: MarketId(id as u32),
        ticker: (*ticker).into(),
        event: "FED".into(),
    });
    book::play(&mut KalshiFeed::new(book::SOURCE, wanted.collect(), yes), data, 2);
});
