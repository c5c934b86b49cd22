#![no_main]

#[path = "book.rs"]
mod book;

use orion::{
    unit::MarketId,
    venue::polymarket::{PolymarketFeed, feed::Wanted},
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let wanted = [["111", "222"], ["333", "444"]].iter().enumerate();
    let wanted = wanted.map(|(id, tokens)| Wanted { id: MarketId(id as u32), tokens: tokens.map(String::from) });
    book::play(&mut PolymarketFeed::new(book::SOURCE, wanted.collect()), data, 2);
});
