#![no_main]

use orion::ledger::journal::replay;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Whatever lies in a segment, reading it ends; and what is read twice is the same.
    let read = |bytes: &[u8]| replay(bytes, 1, None).map(|replayed| replayed.records).ok();
    assert_eq!(read(data), read(data));
});
