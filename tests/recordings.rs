//! Real recordings of both venues, through the same feeds and books as a live stream.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod common;

use std::path::Path;

use orion::{
    lab::{
        recording::Reader,
        replay::{Player, cast},
    },
    unit::{BookSide, Price, Qty},
    venue::polymarket::shadow::Verdict,
    wire::Canary,
};
use serde_json::Value;

fn level(level: Option<(Price, Qty)>) -> Option<(u16, u64)> {
    level.map(|(price, qty)| (price.raw(), qty.micros()))
}

fn told(value: &Value, no_leg: bool) -> Option<(u16, u64)> {
    let pair = value.as_array()?;
    let price = Price::parse(pair[0].as_str()?.as_bytes()).expect("a recorded price");
    let qty = Qty::parse(pair[1].as_str()?.as_bytes()).expect("a recorded quantity");
    Some((if no_leg { price.complement().raw() } else { price.raw() }, qty.micros()))
}

fn check(player: &Player, point: &Value, name: &str) {
    let conn = point["conn"].as_u64().unwrap() as u32;
    let ticker = point["market_ticker"].as_str().unwrap();
    let book = player.book(conn, ticker).unwrap_or_else(|| panic!("{name}: no book of {ticker}"));
    let place = format!("{name}, {ticker}, after line {}", point["after_line"]);
    for (side, best, levels, total, no_leg) in [
        (BookSide::Bid, "best_yes_bid", "yes_levels", "yes_total", false),
        (BookSide::Ask, "best_no_bid", "no_levels", "no_total", true),
    ] {
        let ladder = book.side(side);
        assert_eq!(level(ladder.best()), told(&point[best], no_leg), "{place}: {best}");
        assert_eq!(Some(ladder.depth() as u64), point[levels].as_u64(), "{place}: {levels}");
        let held: u64 = ladder.levels().map(|(_, qty)| qty.micros()).sum();
        let wanted = Qty::parse(point[total].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(held, wanted.micros(), "{place}: {total}");
    }
}

fn replayed(recording: &Path, expected: &Value, name: &str) -> u64 {
    let mut player = Player::new(cast(recording).unwrap(), false, 0);
    let mut reader = Reader::open(recording).unwrap();
    let mut points = expected["checkpoints"].as_array().unwrap().iter().peekable();
    let mut lines = 0;
    while let Some((line, frame)) = reader.next_line().unwrap() {
        lines = line;
        if let Some(mut frame) = frame {
            player.play(&mut frame);
        }
        while points.peek().is_some_and(|point| point["after_line"] == line) {
            check(&player, points.next().unwrap(), name);
        }
    }
    assert!(points.next().is_none(), "{name}: every checkpoint was reached");
    assert_eq!(Some(lines), expected["lines"].as_u64(), "{name}");
    let finals = expected["final"].as_array().unwrap();
    assert!(!finals.is_empty());
    for point in finals {
        check(&player, point, name);
        levels(&player, point, name);
    }
    let (counts, stats) = (player.counts(), &expected["stats"]);
    let told = [counts.snapshots, counts.changes, counts.gaps, player.negative, player.crossed];
    let wanted = ["snapshots", "deltas", "gaps", "negative", "crossed"].map(|key| stats[key].as_u64().unwrap());
    assert_eq!(told, wanted, "{name}: snapshots, deltas, gaps, negative, crossed");
    assert_eq!((counts.malformed, counts.duplicates, counts.canaries), (0, 0, [0; Canary::ALL.len()]), "{name}");
    counts.changes
}

/// The whole final book, where the file has it.
fn levels(player: &Player, point: &Value, name: &str) {
    let book = player.book(point["conn"].as_u64().unwrap() as u32, point["market_ticker"].as_str().unwrap()).unwrap();
    for (key, side, no_leg) in [("yes", BookSide::Bid, false), ("no", BookSide::Ask, true)] {
        let Some(wanted) = point[key].as_array() else { continue };
        let mut held: Vec<_> = book.side(side).levels().map(|l| level(Some(l))).collect();
        held.reverse();
        let wanted: Vec<_> = wanted.iter().map(|l| told(l, no_leg)).collect();
        assert_eq!(held, wanted, "{name}: {key}");
    }
}

#[test]
fn every_kalshi_recording_ends_in_exactly_its_expected_books() {
    let Some(folder) = common::fixtures("kalshi/ws") else { return };
    let mut deltas = 0;
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".expected.json") else { continue };
        let expected: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let plain = path.with_file_name(format!("{stem}.jsonl"));
        let recording = if plain.exists() { plain } else { path.with_file_name(format!("{stem}.jsonl.gz")) };
        deltas += replayed(&recording, &expected, stem);
        files += 1;
    }
    assert_eq!(files, 6);
    assert!(203_000 < deltas, "{deltas}");
}

#[test]
fn the_no_ladder_reads_the_same_on_either_leg() {
    let Some(folder) = common::fixtures("kalshi/ws") else { return };
    let books = [true, false].map(|yes| {
        let path = folder.join(format!("demo_2026-06-11_use_yes_price_{yes}.jsonl"));
        let mut player = Player::new(cast(&path).unwrap(), yes, 0);
        let mut reader = Reader::open(&path).unwrap();
        let mut first = None;
        while let Some((_, frame)) = reader.next_line().unwrap() {
            if let Some(mut frame) = frame {
                player.play(&mut frame);
                first = first.or_else(|| {
                    let (_, _, book) = player.books().next()?;
                    book.doubt().is_none().then(|| book.asks.best().map(|(price, _)| price))
                });
            }
        }
        assert_eq!(player.counts().malformed, 0);
        first.flatten()
    });
    assert_eq!(books[0], Price::new(5_200), "a NO bid of 0.48 is a YES ask of 0.52");
    assert_eq!(books[0], books[1]);
}

#[test]
fn the_checksums_of_the_polymarket_recording_are_those_the_dossier_reports() {
    let Some(folder) = common::fixtures("polymarket") else { return };
    let path = folder.join("ws/market_capture_2026-09-30.jsonl");
    let vectors: Value =
        serde_json::from_slice(&std::fs::read(folder.join("book_hash_vectors.json")).unwrap()).unwrap();
    let mut player = Player::new(cast(&path).unwrap(), false, 0);
    let mut reader = Reader::open(&path).unwrap();
    while let Some((_, frame)) = reader.next_line().unwrap() {
        if let Some(mut frame) = frame {
            player.play(&mut frame);
        }
    }
    player.finish();
    // A time is judged once, by its last frame: eleven times of the recording's changes, all of which verify in the
    // vectors too (the seven that do not are earlier frames of a burst whose last one does).
    let verdicts: Vec<_> = player.checked.iter().map(|c| (c.stamp.raw(), c.verdict)).collect();
    let mut wanted: Vec<(u64, bool)> = Vec::new();
    for change in vectors["replay"].as_array().unwrap() {
        let stamp: u64 = change["timestamp"].as_str().unwrap().parse().unwrap();
        let verifies = change["verifies"].as_bool().unwrap();
        match wanted.last_mut() {
            Some(last) if last.0 == stamp => last.1 = verifies,
            _ => wanted.push((stamp, verifies)),
        }
    }
    assert_eq!(wanted.len(), 10);
    for (stamp, verifies) in wanted {
        let verdict = verdicts.iter().find(|(s, _)| *s == stamp).map(|(_, v)| *v);
        assert_eq!(verdict == Some(Verdict::Fits), verifies, "{stamp}: {verdict:?}");
    }
    // The first book, and the whole book after a trade once its print told the price.
    let fits = |stamp| verdicts.contains(&(stamp, Verdict::Fits));
    assert!(fits(1_790_766_966_313), "{verdicts:?}");
    assert!(fits(1_790_767_298_635), "{verdicts:?}");
}
