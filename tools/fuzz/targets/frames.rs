#![no_main]

use orion::wire::frame::{Frames, Incoming, MESSAGE_MAX};

/// What comes out of a connection that reads `wire` in pieces of `len` bytes.
fn heard(wire: &[u8], len: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut frames, mut texts) = (Frames::open(), Vec::new());
    for piece in wire.chunks(len) {
        if frames.received(piece).is_err() {
            return (texts, false);
        }
        loop {
            match frames.poll() {
                Ok(Some(Incoming::Text(text))) => {
                    assert!(text.len() <= MESSAGE_MAX, "no message is larger than the limit");
                    texts.push(text.to_vec());
                }
                Ok(Some(Incoming::Alive)) => {}
                Ok(None) => break,
                Err(_) => return (texts, false),
            }
        }
        let waiting = frames.to_send().len();
        frames.sent(waiting);
    }
    (texts, true)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // However the bytes are cut, the same messages come out, and the connection breaks or it does not.
    let (Some(&first), wire) = (data.first(), data.get(1..).unwrap_or(&[])) else { return };
    let whole = heard(wire, wire.len().max(1));
    assert_eq!(whole, heard(wire, 1));
    assert_eq!(whole, heard(wire, usize::from(first).max(1)));
});
