//! The scanner for Kalshi's hot frame against the parser that it saves: the same updates for every input, or no scan.
//!
//! A blank before a frame changes nothing for JSON and is nothing that the scanner knows, so a second feed that gets
//! every frame with a blank goes through the parser alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use fastrand::Rng;
use orion::{
    unit::{FeedId, MarketId, Nanos, UnixMs},
    venue::{
        Feed, Out, Source,
        kalshi::{KalshiFeed, feed::Wanted},
    },
    wire::Arrival,
};

const SNAPSHOT: &str = r#"{"type":"orderbook_snapshot","sid":2,"seq":1,"msg":{"market_ticker":"KXA-1","market_id":"x","yes_dollars_fp":[["0.4000","10.00"]],"no_dollars_fp":[["0.5000","10.00"]]}}"#;

fn feed(yes: bool) -> KalshiFeed {
    let wanted = Wanted { id: MarketId(3), ticker: "KXA-1".into(), event: "KXA".into() };
    let mut feed = KalshiFeed::new(Source { feed: FeedId(0), link: 0 }, vec![wanted], yes);
    feed.opened(arrival(1), &mut Out::default());
    feed
}

fn arrival(ms: u64) -> Arrival {
    Arrival { now: Nanos::millis(ms), unix: UnixMs::new(1_790_000_000_000 + ms) }
}

fn frame(rng: &mut Rng, seq: u64) -> String {
    let ticker = ["KXA-1", "KXA-1", "KXA-1", "KXB-2"][rng.usize(..4)];
    let price = ["0.4000", "0.4", "0.0010", "0.9999", "1.0000", "0.00001", ".5"][rng.usize(..7)];
    let change = ["10.00", "-10.00", "0.5", "-0.000001", "1234567890", "-", "--1", "1e3"][rng.usize(..8)];
    let side = ["yes", "no", "maybe"][rng.usize(..3)];
    let sent = if rng.bool() { r#","sending_ts_ms":1790000000001"# } else { "" };
    let clock = if rng.bool() { r#","clock":77"# } else { "" };
    let stamp = ["1790000000000", "0", "01", "-1", "1.5", "18446744073709551616"][rng.usize(..6)];
    format!(
        r#"{{"type":"orderbook_delta","sid":2,"seq":{seq}{sent},"msg":{{"market_ticker":"{ticker}","market_id":"a-b"{clock},"price_dollars":"{price}","delta_fp":"{change}","side":"{side}","ts":"2026-05-15T19:07:25Z","ts_ms":{stamp}}}}}"#
    )
}

/// Mostly whole; otherwise a byte is changed, taken out, doubled, or the frame is cut.
fn spoiled(rng: &mut Rng, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let at = rng.usize(..bytes.len());
    match rng.u8(..8) {
        0 => bytes[at] = rng.u8(..),
        1 => _ = bytes.remove(at),
        2 => bytes.insert(at, bytes[at]),
        3 => bytes.truncate(at),
        4 => bytes[at] = b"\"\\{}0:,9"[rng.usize(..8)],
        _ => {}
    }
    bytes
}

#[test]
fn a_scanned_frame_says_what_the_parsed_frame_says() {
    let mut rng = Rng::with_seed(11);
    let mut updates = 0;
    for round in 0..2_000 {
        let yes = rng.bool();
        let mut feeds = [feed(yes), feed(yes)];
        for text in [SNAPSHOT.as_bytes().to_vec(), SNAPSHOT.replace("\"seq\":1", "\"seq\":2").into_bytes()] {
            for feed in &mut feeds {
                feed.text(&mut text.clone(), arrival(2), &mut Out::default());
            }
        }
        let mut seq = 2;
        for step in 0..50 {
            seq += [0, 1, 1, 1, 1, 1, 1, 2][rng.usize(..8)];
            let text = frame(&mut rng, seq);
            let bytes = spoiled(&mut rng, &text);
            let mut blank = [b" ", &bytes[..]].concat();
            let mut outs = [Out::default(), Out::default()];
            let [scanned, parsed] = &mut feeds;
            scanned.text(&mut bytes.clone(), arrival(step + 3), &mut outs[0]);
            parsed.text(&mut blank, arrival(step + 3), &mut outs[1]);
            let said = outs.each_ref().map(|out| format!("{:?} {:?} {:?}", out.updates, out.sends, out.lost));
            assert_eq!(said[0], said[1], "round {round}: {}", String::from_utf8_lossy(&bytes));
            assert_eq!(scanned.counts(), parsed.counts(), "round {round}: {}", String::from_utf8_lossy(&bytes));
            updates += outs[0].updates.len();
        }
    }
    assert!(10_000 < updates, "{updates}: the test must see books move");
}
