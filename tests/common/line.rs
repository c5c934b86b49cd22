//! Two connections and the desk behind them: bytes in at one end, books and decisions at the other, in virtual time.

#![allow(dead_code, reason = "every test file uses its own part of this")]

use super::desk::{self, Desk, KALSHI, POLYMARKET};
use orion::{
    book::{Links, Unfit},
    unit::{FeedId, MarketId, Nanos, UnixMs, Venue},
    venue::{
        Feed, Lost, Out, Source,
        kalshi::{self, KalshiFeed},
        polymarket::{self, PolymarketFeed},
    },
    wire::{Kind, Update},
};

pub fn kalshi_feed() -> KalshiFeed {
    let wanted = kalshi::feed::Wanted { id: KALSHI, ticker: "FED-DEC".into(), event: "FED".into() };
    KalshiFeed::new(Source { feed: FeedId(0), link: 0 }, vec![wanted], false)
}

pub fn polymarket_feed() -> PolymarketFeed {
    let wanted = polymarket::feed::Wanted { id: POLYMARKET, tokens: ["111".into(), "222".into()] };
    PolymarketFeed::new(Source { feed: FeedId(1), link: 0 }, vec![wanted])
}

pub const SUBSCRIBED: &str = r#"{"type":"subscribed","id":1,"msg":{"channel":"orderbook_delta","sid":7}}"#;

pub fn kalshi_snapshot(seq: u64, yes: &[(&str, &str)], no: &[(&str, &str)]) -> String {
    let levels = |levels: &[(&str, &str)]| {
        levels.iter().map(|(price, qty)| format!("[\"{price}\",\"{qty}\"]")).collect::<Vec<_>>().join(",")
    };
    format!(
        "{{\"type\":\"orderbook_snapshot\",\"sid\":7,\"seq\":{seq},\"msg\":{{\"market_ticker\":\"FED-DEC\",\
         \"market_id\":\"m\",\"yes_dollars_fp\":[{}],\"no_dollars_fp\":[{}]}}}}",
        levels(yes),
        levels(no),
    )
}

pub fn kalshi_delta(seq: u64, side: &str, price: &str, change: &str) -> String {
    format!(
        "{{\"type\":\"orderbook_delta\",\"sid\":7,\"seq\":{seq},\"msg\":{{\"market_ticker\":\"FED-DEC\",\
         \"market_id\":\"m\",\"price_dollars\":\"{price}\",\"delta_fp\":\"{change}\",\"side\":\"{side}\"}}}}",
    )
}

pub fn polymarket_book(bids: &[(&str, &str)], asks: &[(&str, &str)]) -> String {
    let levels = |levels: &[(&str, &str)]| {
        let level = |(price, size): &(&str, &str)| format!("{{\"price\":\"{price}\",\"size\":\"{size}\"}}");
        levels.iter().map(level).collect::<Vec<_>>().join(",")
    };
    format!(
        "{{\"event_type\":\"book\",\"market\":\"0xc\",\"asset_id\":\"111\",\"timestamp\":\"1790000000000\",\
         \"hash\":\"\",\"tick_size\":\"0.01\",\"bids\":[{}],\"asks\":[{}]}}",
        levels(bids),
        levels(asks),
    )
}

pub fn polymarket_change(stamp: UnixMs, side: &str, price: &str, size: &str) -> String {
    format!(
        "{{\"event_type\":\"price_change\",\"market\":\"0xc\",\"timestamp\":\"{}\",\"price_changes\":[{{\
         \"asset_id\":\"111\",\"price\":\"{price}\",\"size\":\"{size}\",\"side\":\"{side}\"}}]}}",
        stamp.raw(),
    )
}

pub struct Line {
    pub desk: Desk,
    pub kalshi: KalshiFeed,
    pub polymarket: PolymarketFeed,
    /// What the protocols wanted sent, and why they gave up.
    pub sent: Vec<String>,
    pub lost: Option<Lost>,
    /// The last sequence number of Kalshi's subscription.
    pub seq: u64,
    links: Links,
}

impl Line {
    /// Both connections opened, nothing heard yet.
    pub fn silent() -> Self {
        Self::silent_before(Desk::new())
    }

    fn silent_before(desk: Desk) -> Self {
        let (kalshi, polymarket) = (kalshi_feed(), polymarket_feed());
        let mut line = Self { desk, kalshi, polymarket, sent: Vec::new(), lost: None, seq: 0, links: Links::new(2) };
        line.drive(|line, out| line.kalshi.opened(desk::at(line.desk.now), out));
        line.drive(|line, out| line.polymarket.opened(desk::at(line.desk.now), out));
        line
    }

    /// Both books whole: 0.44 to 0.46 on Kalshi, 0.44 to 0.46 on Polymarket.
    pub fn open() -> Self {
        Self::before(Desk::new())
    }

    /// The same before a desk of one's own.
    pub fn before(desk: Desk) -> Self {
        let mut line = Self::silent_before(desk);
        line.kalshi(SUBSCRIBED);
        line.resync();
        line.polymarket(&format!("[{}]", polymarket_book(&[("0.44", "100")], &[("0.46", "100")])));
        assert_eq!((line.fit(KALSHI), line.fit(POLYMARKET)), (Ok(()), Ok(())), "whole books are fit");
        line.sent.clear();
        line
    }

    /// Kalshi's next frame is a whole book.
    pub fn resync(&mut self) {
        self.seq += 1;
        self.kalshi(&kalshi_snapshot(self.seq, &[("0.4400", "100.00")], &[("0.5400", "100.00")]));
    }

    /// Kalshi's next frame changes a level.
    pub fn delta(&mut self, side: &str, price: &str, change: &str) {
        self.seq += 1;
        self.kalshi(&kalshi_delta(self.seq, side, price, change));
    }

    pub fn kalshi(&mut self, text: &str) {
        self.bytes(Venue::Kalshi, text.as_bytes());
    }

    pub fn polymarket(&mut self, text: &str) {
        self.bytes(Venue::Polymarket, text.as_bytes());
    }

    pub fn change(&mut self, side: &str, price: &str, size: &str) {
        let stamp = desk::at(self.desk.now).unix;
        self.polymarket(&polymarket_change(stamp, side, price, size));
    }

    pub fn bytes(&mut self, venue: Venue, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        self.drive(|line, out| {
            let at = desk::at(line.desk.now);
            match venue {
                Venue::Kalshi => line.kalshi.text(&mut bytes, at, out),
                Venue::Polymarket => line.polymarket.text(&mut bytes, at, out),
            }
        });
    }

    /// Time goes by; whatever the protocols do by the clock is done four times a second. Nothing comes in.
    pub fn wait(&mut self, span: Nanos) {
        self.live(span, |_| {});
    }

    /// The same, while `each` plays the venues' part every quarter of a second.
    pub fn live(&mut self, span: Nanos, mut each: impl FnMut(&mut Self)) {
        let end = self.desk.now + span;
        while self.desk.now < end && self.lost.is_none() {
            self.desk.now = self.desk.now + Nanos::millis(250).min(end.since(self.desk.now));
            self.drive(|line, out| line.kalshi.timeout(desk::at(line.desk.now), out));
            self.drive(|line, out| line.polymarket.timeout(desk::at(line.desk.now), out));
            each(self);
            self.desk.turn();
        }
    }

    /// The venues answer what keeps connections alive: pings, echoes, nothing about any market.
    pub fn answer(&mut self) {
        for text in std::mem::take(&mut self.sent) {
            if text == "PING" {
                self.polymarket("PONG");
            } else if text.contains("list_subscriptions") {
                let id: String =
                    text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
                self.kalshi(&format!("{{\"type\":\"ok\",\"id\":{id},\"msg\":[]}}"));
            }
        }
    }

    /// A control frame on both connections.
    pub fn ping(&mut self) {
        self.drive(|line, out| line.kalshi.alive(desk::at(line.desk.now), out));
        self.drive(|line, out| line.polymarket.alive(desk::at(line.desk.now), out));
    }

    /// May the market's book be traded on now?
    pub fn fit(&self, market: MarketId) -> Result<(), Unfit> {
        self.desk.engine.detector.book(market).fit(&self.links, &desk::rules().fitness, self.desk.now)
    }

    /// The touch, in ten-thousandths.
    pub fn touch(&self, market: MarketId) -> (Option<u16>, Option<u16>) {
        let book = self.desk.engine.detector.book(market);
        (book.bids.best().map(|l| l.0.raw()), book.asks.best().map(|l| l.0.raw()))
    }

    /// Was a snapshot asked for since this was last looked at?
    pub fn asked_again(&mut self) -> bool {
        let asked = self.sent.iter().any(|text| text.contains("get_snapshot") || text.contains("\"subscribe\""));
        self.sent.clear();
        asked
    }

    /// The connection of a market's venue is gone.
    pub fn drop_link(&mut self, market: MarketId) {
        self.apply(&[desk::update(market, self.desk.now, Kind::Lost)]);
    }

    fn drive(&mut self, act: impl FnOnce(&mut Self, &mut Out)) {
        let mut out = Out::default();
        act(self, &mut out);
        self.sent.append(&mut out.sends);
        self.lost = self.lost.or(out.lost);
        self.apply(&out.updates);
        // What the detector asks for goes back to its feed, as the rings carry it.
        for asked in std::mem::take(self.desk.engine.resnapshots()) {
            let mut out = Out::default();
            let now = self.desk.now;
            match asked.feed {
                FeedId(0) => self.kalshi.resnapshot(asked.market, now, &mut out),
                _ => self.polymarket.resnapshot(asked.market, now, &mut out),
            }
            self.sent.append(&mut out.sends);
        }
    }

    fn apply(&mut self, updates: &[Update]) {
        for update in updates {
            self.links.hear(update);
        }
        self.desk.all(updates);
    }
}
