//! Hostile bytes: refused by name, the book unfit until the next snapshot, never a panic. The numbers are those of the
//! fault catalogue.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use common::{
    desk::{self, KALSHI, POLYMARKET},
    line::{Line, SUBSCRIBED, kalshi_delta, kalshi_snapshot, polymarket_book, polymarket_change},
};
use orion::{
    book::Unfit,
    lab::recording::Reader,
    unit::{UnixMs, Venue},
    venue::{Feed, kalshi, polymarket},
    wire::{
        Doubt,
        frame::{Frames, Incoming, MESSAGE_MAX},
    },
};
use proptest::prelude::*;

/// The message is refused, its venue's book is unfit for it, a snapshot is asked for and mends it.
fn refused(venue: Venue, bytes: &[u8]) {
    let mut line = Line::open();
    line.bytes(venue, bytes);
    let said = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let (bad, good) = match venue {
        Venue::Kalshi => (KALSHI, POLYMARKET),
        Venue::Polymarket => (POLYMARKET, KALSHI),
    };
    assert_eq!(line.fit(bad), Err(Unfit::Doubtful(Doubt::Malformed)), "{said}");
    assert_eq!(line.fit(good), Ok(()), "{said}");
    let counted = [line.kalshi.counts().malformed, line.polymarket.counts().malformed];
    assert_eq!(counted.iter().sum::<u64>(), 1, "{said}");
    assert!(line.asked_again(), "{said}");
    match venue {
        // Whether the refused frame's number was read or not, the venue's answer to `get_snapshot` comes after it.
        Venue::Kalshi => line.kalshi(&kalshi_snapshot(3, &[("0.4400", "100.00")], &[("0.5400", "100.00")])),
        Venue::Polymarket => line.polymarket(&polymarket_book(&[("0.44", "100")], &[("0.46", "100")])),
    }
    assert_eq!((line.fit(bad), line.lost), (Ok(()), None), "{said}");
    assert_eq!(line.touch(bad), (Some(4_400), Some(4_600)), "{said}");
}

const STAMP: UnixMs = UnixMs::new(desk::UNIX_START + 1_000_000);

fn delta(price: &str, change: &str) -> String {
    kalshi_delta(2, "yes", price, change)
}

fn change(price: &str, size: &str) -> String {
    polymarket_change(STAMP, "BUY", price, size)
}

/// Fault 82.
#[test]
fn a_nesting_bomb_is_refused() {
    for depth in [17, 100, 10_000, 1_000_000] {
        let bomb = format!("{{\"type\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        refused(Venue::Kalshi, bomb.as_bytes());
        refused(Venue::Polymarket, bomb.as_bytes());
        refused(Venue::Kalshi, "[".repeat(depth).as_bytes());
        refused(Venue::Polymarket, "{\"a\":".repeat(depth).as_bytes());
    }
}

/// Fault 83, 84.
#[test]
fn only_plain_decimals_in_range_are_prices() {
    let forty = format!("0.{}", "4".repeat(40));
    for bad in [
        "NaN",
        "Infinity",
        "1e999",
        "-0.0",
        "+.5",
        ".5",
        "0.",
        "0",
        "1",
        "0.0000",
        "1.0000",
        "-0.4",
        "0.44000",
        " 0.44",
        "0.44 ",
        "0,44",
        "0x1",
        "00.44",
        "０.４４",
        "0.４",
        "٠.٤٤",
        "1e-1",
        "",
        &forty,
    ] {
        refused(Venue::Kalshi, delta(bad, "1.00").as_bytes());
        refused(Venue::Polymarket, change(bad, "1").as_bytes());
        refused(Venue::Kalshi, kalshi_snapshot(2, &[(bad, "1.00")], &[]).as_bytes());
        refused(Venue::Kalshi, kalshi_snapshot(2, &[], &[(bad, "1.00")]).as_bytes());
        refused(Venue::Polymarket, polymarket_book(&[], &[(bad, "1")]).as_bytes());
    }
}

/// Fault 83, 84.
#[test]
fn only_plain_decimals_in_range_are_quantities() {
    let forty = "4".repeat(40);
    for bad in [
        "NaN",
        "inf",
        "1e3",
        "+1",
        ".5",
        "1.",
        "1000000000",
        "1.0000000",
        "0x10",
        "1,000",
        "１",
        "",
        " 1",
        &forty,
        "--1",
    ] {
        refused(Venue::Kalshi, delta("0.4400", bad).as_bytes());
        refused(Venue::Polymarket, change("0.44", bad).as_bytes());
        refused(Venue::Kalshi, kalshi_snapshot(2, &[("0.4400", bad)], &[]).as_bytes());
        refused(Venue::Polymarket, polymarket_book(&[("0.44", bad)], &[]).as_bytes());
    }
    refused(Venue::Polymarket, change("0.44", "-1").as_bytes());
    refused(Venue::Kalshi, kalshi_snapshot(2, &[("0.4400", "-1.00")], &[]).as_bytes());
}

/// Fault 83: as bare numbers of JSON.
#[test]
fn bare_numbers_that_json_does_not_know_are_refused() {
    for bad in ["NaN", "1e999", "-0.0", "+1", "01", ".5", "0x1", &"4".repeat(40)] {
        refused(Venue::Kalshi, delta("0.4400", "1.00").replace("\"0.4400\"", bad).as_bytes());
        refused(Venue::Polymarket, change("0.44", "1").replace("\"0.44\"", bad).as_bytes());
    }
    for bad in ["-1", "1.5", "\"2\"", "18446744073709551616", "null", "true", "[]"] {
        refused(Venue::Kalshi, delta("0.4400", "1.00").replace("\"seq\":2", &format!("\"seq\":{bad}")).as_bytes());
    }
}

/// Fault 85.
#[test]
fn text_that_is_not_text_is_refused() {
    let (kalshi, polymarket) = (delta("0.4400", "1.00"), change("0.44", "1"));
    for hostile in [&b"\xff\xfe"[..], b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\x00", b"\x1f"]
    {
        for (venue, frame) in [(Venue::Kalshi, &kalshi), (Venue::Polymarket, &polymarket)] {
            let at = frame.find("0.44").unwrap();
            let bytes = [&frame.as_bytes()[..at], hostile, &frame.as_bytes()[at..]].concat();
            refused(venue, &bytes);
        }
    }
    for escape in ["\\ud800", "\\udfff", "\\ud800\\u0041", "\\u12", "\\x"] {
        refused(Venue::Kalshi, kalshi.replace("0.4400", escape).as_bytes());
        refused(Venue::Polymarket, polymarket.replace("0.44", escape).as_bytes());
    }
    let marked = |frame: &str| format!("\u{feff}{frame}");
    refused(Venue::Kalshi, marked(&kalshi).as_bytes());
    refused(Venue::Polymarket, marked(&polymarket).as_bytes());
}

/// Fault 86.
#[test]
fn a_key_that_is_said_twice_makes_the_message_unreadable() {
    let frame = delta("0.4400", "1.00");
    for twice in ["\"seq\":2", "\"sid\":7", "\"price_dollars\":\"0.4400\"", "\"delta_fp\":\"1.00\"", "\"side\":\"yes\""]
    {
        assert!(frame.contains(twice));
        refused(Venue::Kalshi, frame.replace(twice, &format!("{twice},{twice}")).as_bytes());
    }
    let frame = change("0.44", "1");
    for twice in ["\"price\":\"0.44\"", "\"size\":\"1\"", "\"side\":\"BUY\"", "\"event_type\":\"price_change\""] {
        assert!(frame.contains(twice));
        refused(Venue::Polymarket, frame.replace(twice, &format!("{twice},{twice}")).as_bytes());
    }
    // Written in another way, it is the same key.
    refused(Venue::Kalshi, delta("0.4400", "1.00").replace("\"seq\":2", "\"seq\":2,\"s\\u0065q\":9").as_bytes());
}

/// Fault 58: bytes of a closing or resetting peer end anywhere.
#[test]
fn half_a_message_is_never_read_as_a_whole_one() {
    for (venue, frame) in [(Venue::Kalshi, delta("0.4500", "1.00")), (Venue::Polymarket, change("0.45", "1"))] {
        for cut in 1..frame.len() {
            refused(venue, &frame.as_bytes()[..cut]);
        }
    }
}

/// A server's frame: never masked.
fn wire(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = vec![first];
    match payload.len() {
        len @ 0..=125 => wire.push(len as u8),
        len @ 126..=65_535 => {
            wire.push(126);
            wire.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            wire.push(127);
            wire.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    wire.extend_from_slice(payload);
    wire
}

/// What comes out of a connection that reads `wire` in pieces of these lengths, over and over.
fn heard(wire: &[u8], pieces: &[usize]) -> Result<Vec<Vec<u8>>, String> {
    let (mut frames, mut texts, mut rest) = (Frames::open(), Vec::new(), wire);
    for len in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*len).clamp(1, rest.len()));
        rest = after;
        frames.received(piece).map_err(|e| e.to_string())?;
        while let Some(message) = frames.poll().map_err(|e| e.to_string())? {
            if let Incoming::Text(text) = message {
                texts.push(text.to_vec());
            }
        }
    }
    Ok(texts)
}

/// Fault 87.
#[test]
fn frames_beyond_every_limit_end_the_connection() {
    let mut giant = vec![0x81, 127];
    giant.extend_from_slice(&(MESSAGE_MAX as u64 + 1).to_be_bytes());
    let mut absurd = vec![0x81, 127];
    absurd.extend_from_slice(&u64::MAX.to_be_bytes());
    let megabyte = vec![b' '; 1 << 20];
    let endless: Vec<u8> = (0..5).flat_map(|at| wire(u8::from(at == 0), &megabyte)).collect();
    for (what, bytes) in [
        ("a giant", giant),
        ("an absurd length", absurd),
        ("an endless message in fragments", endless),
        ("a ping of 126 bytes", wire(0x89, &[0; 126])),
        ("a ping in fragments", wire(0x09, b"x")),
        ("a masked frame", b"\x81\x85aaaahello".to_vec()),
        ("a compressed frame", wire(0xc1, b"x")),
        ("an unknown opcode", wire(0x83, b"x")),
        ("a continuation of nothing", wire(0x80, b"x")),
        ("a text inside a text", [wire(0x01, b"a"), wire(0x81, b"b")].concat()),
        ("text that is not UTF-8", wire(0x81, b"\xff\xff")),
        ("a close", wire(0x88, &[0x03, 0xe8])),
        ("a close with one byte", wire(0x88, b"x")),
    ] {
        for pieces in [&[1_usize][..], &[4_096], &[usize::MAX]] {
            if bytes.len() < 100_000 || 1 < pieces[0] {
                assert!(heard(&bytes, pieces).is_err(), "{what}");
            }
        }
    }
    let largest = wire(0x81, &vec![b' '; MESSAGE_MAX]);
    assert_eq!(heard(&largest, &[65_536]).unwrap()[0].len(), MESSAGE_MAX, "the limit itself is allowed");
}

/// A hand-written stream of one Kalshi connection: texts whole and in fragments, pings between and inside.
fn stream() -> (Vec<u8>, Vec<String>) {
    let mut texts = vec![SUBSCRIBED.to_owned(), kalshi_snapshot(1, &[("0.4400", "100.00")], &[("0.5400", "100.00")])];
    texts.extend((2..20).map(|seq| kalshi_delta(seq, if seq % 2 == 0 { "yes" } else { "no" }, "0.3100", "2.50")));
    let mut bytes = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let text = text.as_bytes();
        if at % 3 == 0 {
            let (head, tail) = text.split_at(text.len() / 2);
            bytes.extend(wire(0x01, head));
            bytes.extend(wire(0x89, b"heartbeat"));
            bytes.extend(wire(0x80, tail));
        } else {
            bytes.extend(wire(0x81, text));
        }
    }
    (bytes, texts)
}

/// Fault 58.
#[test]
fn any_split_of_a_stream_carries_the_same_messages() {
    let (bytes, texts) = stream();
    let wanted: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
    assert_eq!(heard(&bytes, &[1]).unwrap(), wanted, "one byte at a time");
    for cut in 1..bytes.len() {
        assert_eq!(heard(&bytes, &[cut, usize::MAX]).unwrap(), wanted, "cut after {cut}");
    }
    let mut line = Line::silent();
    for text in heard(&bytes, &[1]).unwrap() {
        line.bytes(Venue::Kalshi, &text);
    }
    assert_eq!((line.fit(KALSHI), line.touch(KALSHI)), (Ok(()), (Some(4_400), Some(4_600))));
    assert_eq!(line.desk.engine.detector.book(KALSHI).bids.at(desk::price(3_100)).micros(), 22_500_000);
}

/// Fault 58, on what the venue really sent.
#[test]
fn any_split_of_a_recorded_stream_carries_the_same_messages() {
    let Some(folder) = common::fixtures("kalshi/ws") else { return };
    let mut reader = Reader::open(&folder.join("prod_2026-08-07_12_markets.jsonl")).unwrap();
    let mut texts = Vec::new();
    while let Some((_, frame)) = reader.next_line().unwrap() {
        texts.extend(frame.map(|frame| frame.bytes));
    }
    let bytes: Vec<u8> = texts.iter().flat_map(|text| wire(0x81, text)).collect();
    for pieces in [&[1_usize][..], &[2, 3], &[7, 1, 125, 4_096], &[1_460], &[65_536]] {
        assert_eq!(heard(&bytes, pieces).unwrap(), texts, "in pieces of {pieces:?}");
    }
}

/// Fault 61: a proxy's page with status 200.
#[test]
fn a_page_where_a_catalogue_was_asked_for_is_refused() {
    let deep = "[".repeat(100_000);
    for body in
        ["<!DOCTYPE html><html><title>Just a moment...</title></html>", "error code: 1015", "", "null", "[", "7", &deep]
    {
        let body = body.as_bytes();
        assert!(kalshi::catalog::parse_markets(body).is_err());
        assert!(kalshi::catalog::parse_market(body).is_err());
        assert!(kalshi::catalog::parse_events(body).is_err());
        assert!(kalshi::catalog::parse_series(body).is_err());
        assert!(kalshi::catalog::parse_book(body).is_err());
        assert!(polymarket::catalog::parse_markets(body).is_err());
        assert!(polymarket::catalog::parse_events(body).is_err());
        assert!(polymarket::catalog::parse_clob_market(body).is_err());
        assert!(polymarket::catalog::parse_book(body).is_err());
        assert!(polymarket::catalog::parse_resolutions(body).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Faults 82 to 86, whatever else there is: a good frame with bytes changed is read or refused, and what is left in
    /// the book was put there by a message that was read.
    #[test]
    fn a_frame_with_bytes_changed_is_read_or_refused(
        on_kalshi in any::<bool>(),
        whole in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..5),
    ) {
        let mut line = Line::open();
        let (venue, frame) = match (on_kalshi, whole) {
            (true, false) => (Venue::Kalshi, delta("0.4500", "5.00")),
            (true, true) => (Venue::Kalshi, kalshi_snapshot(2, &[("0.4500", "5.00")], &[("0.5400", "1.00")])),
            (false, false) => (Venue::Polymarket, change("0.45", "5")),
            (false, true) => (Venue::Polymarket, polymarket_book(&[("0.45", "5")], &[("0.46", "1")])),
        };
        let mut bytes = frame.into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        line.bytes(venue, &bytes);
        for market in [KALSHI, POLYMARKET] {
            let book = line.desk.engine.detector.book(market);
            for (price, qty) in book.bids.levels().chain(book.asks.levels()) {
                prop_assert!(0 < price.raw() && price.raw() < 10_000 && !qty.is_zero());
            }
        }
        let other = if on_kalshi { POLYMARKET } else { KALSHI };
        prop_assert_eq!(line.fit(other), Ok(()));
    }
}
