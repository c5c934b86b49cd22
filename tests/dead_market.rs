//! A market that its venue has resolved sends no book. It must not cost the others their connection.

use orion::{
    unit::{FeedId, MarketId, Nanos, UnixMs},
    venue::{
        Feed, Lost, Out, Source,
        kalshi::{self, KalshiFeed},
        polymarket::{self, PolymarketFeed},
    },
    wire::{Arrival, Doubt, Kind},
};

const SOURCE: Source = Source { feed: FeedId(0), link: 0 };

fn at(second: u64) -> Arrival {
    Arrival { now: Nanos::secs(1_000 + second), unix: UnixMs::new(1_790_000_000_000 + second * 1_000) }
}

/// A minute in which only `book` came, right after the start; what was asked for, and how it ended.
fn minute(feed: &mut dyn Feed, book: &str, life: &str) -> Out {
    let mut out = Out::default();
    feed.opened(at(0), &mut out);
    feed.text(&mut book.as_bytes().to_vec(), at(0), &mut out);
    for second in 1..60 {
        feed.text(&mut life.as_bytes().to_vec(), at(second), &mut out);
        feed.alive(at(second), &mut out);
        feed.timeout(at(second), &mut out);
    }
    out
}

fn dropped(out: &Out) -> Vec<MarketId> {
    let gone = out.updates.iter().filter(|update| update.kind == Kind::Unfit(Doubt::Dropped));
    gone.map(|update| update.market).collect()
}

#[test]
fn polymarket_markets_without_a_book_are_asked_for_three_times_and_then_left_alone() {
    let wanted =
        |id, tokens: [&str; 2]| polymarket::feed::Wanted { id: MarketId(id), tokens: tokens.map(str::to_owned) };
    let mut feed = PolymarketFeed::new(SOURCE, vec![wanted(0, ["111", "112"]), wanted(1, ["221", "222"])]);
    let book = r#"[{"market":"0xa","asset_id":"111","timestamp":"1790000000000","hash":"","bids":[],"asks":[],"tick_size":"0.01","event_type":"book","last_trade_price":""}]"#;
    let out = minute(&mut feed, book, "PONG");
    assert_eq!(out.lost, None);
    assert_eq!(dropped(&out), [MarketId(1)]);
    let asked = out.sends.iter().filter(|text| text.contains("\"subscribe\"") && text.contains("\"221\"")).count();
    assert_eq!(asked, 2, "after the first request: {:?}", out.sends);
}

#[test]
fn kalshi_markets_without_a_snapshot_are_asked_for_three_times_and_then_left_alone() {
    let wanted =
        |id, ticker: &str| kalshi::feed::Wanted { id: MarketId(id), ticker: ticker.into(), event: String::new() };
    let mut feed = KalshiFeed::new(SOURCE, vec![wanted(0, "ALIVE"), wanted(1, "DEAD")], false);
    let book = r#"{"type":"orderbook_snapshot","sid":1,"seq":1,"msg":{"market_ticker":"ALIVE","market_id":"x"}}"#;
    let echo = r#"{"type":"ok","id":3,"msg":[]}"#;
    let out = minute(&mut feed, book, echo);
    assert!(matches!(out.lost, None | Some(Lost::Silent)), "{:?}", out.lost);
    assert_eq!(dropped(&out), [MarketId(1)]);
    let asked = out.sends.iter().filter(|text| text.contains("get_snapshot") && text.contains("\"DEAD\"")).count();
    assert_eq!(asked, 2, "{:?}", out.sends);
}

#[test]
fn a_connection_on_which_no_book_comes_at_all_is_given_up() {
    let wanted = polymarket::feed::Wanted { id: MarketId(0), tokens: ["111".into(), "112".into()] };
    let mut feed = PolymarketFeed::new(SOURCE, vec![wanted]);
    assert_eq!(minute(&mut feed, "PONG", "PONG").lost, Some(Lost::NoSnapshot));
}
