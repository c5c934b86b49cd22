#![no_main]

use orion::venue::kalshi::catalog;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Ok(page) = catalog::parse_markets(body) {
        assert!(page.items.len() <= body.len(), "no market comes out of nothing");
    }
    let _ = catalog::parse_market(body);
    let _ = catalog::parse_event(body);
    let _ = catalog::parse_events(body);
    let _ = catalog::parse_series(body);
    let _ = catalog::parse_book(body);
    let _ = catalog::parse_books(body);
    let _ = catalog::parse_status(body);
});
