//! Kalshi's market-data socket as a protocol without I/O (dossier 3).
//!
//! One connection carries one `orderbook_delta` subscription over all its tickers and one of `market_lifecycle_v2`,
//! which reports every market of the venue. Sequence numbers belong to the subscription, not to the market, and replies
//! consume them; a gap voids every book of the subscription. The two ladders on the wire are bids for YES and bids for
//! NO; a NO bid at q is a YES ask at 1 − q.

use std::{collections::HashMap, fmt::Write as _};

use ahash::RandomState;

use super::{
    frame::{Envelope, envelope, payout, read_grid, signed},
    scan,
};
use crate::{
    unit::{BookSide, MarketId, Money, Nanos, Price, Qty, UnixMs},
    venue::{Counts, Feed, Lost, Out, Overdue, SNAPSHOT_TRIES, SNAPSHOT_WAIT, Source, Strikes, overdue, symbols},
    wire::{
        Arrival, Canary, Doubt, Kind, Trading,
        json::{Malformed, Parser, Slot},
    },
};

/// Tickers named in one command; a snapshot per ticker comes back.
const TICKERS_PER_COMMAND: usize = 250;
/// How often the server is asked for its list of subscriptions; the reply comes in order, so its round trip bounds the
/// lag of the whole stream.
const ECHO_EVERY: Nanos = Nanos::secs(5);
/// Nothing at all for this long ends the connection: the server pings every ten seconds.
const SILENCE_MAX: Nanos = Nanos::secs(15);

struct Carried {
    id: MarketId,
    ticker: Box<str>,
    event: Box<str>,
    synced: bool,
    asked: Option<Nanos>,
    /// Requests in a row that brought nothing.
    tries: u8,
    wanted: bool,
    payout: Option<Money>,
}

/// One connection's protocol state.
pub struct KalshiFeed {
    source: Source,
    /// Taken while a message is read, so that reading may change the rest of the state.
    parser: Option<Parser>,
    by_ticker: HashMap<Box<str>, usize, RandomState>,
    markets: Vec<Carried>,
    use_yes_price: bool,
    next_id: u64,
    book_sid: Option<u64>,
    book_seq: u64,
    life_sid: Option<u64>,
    life_seq: u64,
    echo: Option<(u64, Nanos, UnixMs)>,
    echoed: Nanos,
    heard: Nanos,
    strikes: Strikes,
    counts: Counts,
}

/// A market that the connection is to carry.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub id: MarketId,
    pub ticker: String,
    /// Fee changes are announced by event.
    pub event: String,
}

impl KalshiFeed {
    /// A connection that carries `wanted`. With `use_yes_price` the NO ladder's prices come on the YES leg already.
    pub fn new(source: Source, wanted: Vec<Wanted>, use_yes_price: bool) -> Self {
        let markets: Vec<_> = wanted
            .into_iter()
            .map(|w| Carried {
                id: w.id,
                ticker: w.ticker.into_boxed_str(),
                event: w.event.into_boxed_str(),
                synced: false,
                asked: None,
                tries: 0,
                wanted: false,
                payout: None,
            })
            .collect();
        let mut by_ticker = HashMap::with_hasher(symbols());
        by_ticker.extend(markets.iter().enumerate().map(|(at, m)| (m.ticker.clone(), at)));
        Self {
            source,
            parser: Some(Parser::default()),
            by_ticker,
            markets,
            use_yes_price,
            next_id: 1,
            book_sid: None,
            book_seq: 0,
            life_sid: None,
            life_seq: 0,
            echo: None,
            echoed: Nanos::ZERO,
            heard: Nanos::ZERO,
            strikes: Strikes::default(),
            counts: Counts::default(),
        }
    }

    fn command(&mut self, text: &str, out: &mut Out) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        out.sends.push(format!("{{\"id\":{id},{text}}}"));
        id
    }

    fn tickers(&self, slots: &[usize]) -> String {
        let mut list = String::new();
        for &at in slots {
            let comma = if list.is_empty() { "" } else { "," };
            let _ = write!(list, "{comma}\"{}\"", self.markets[at].ticker);
        }
        list
    }

    fn subscribe(&mut self, now: Nanos, out: &mut Out) {
        let all: Vec<usize> = (0..self.markets.len()).collect();
        for chunk in all.chunks(TICKERS_PER_COMMAND) {
            let tickers = self.tickers(chunk);
            let yes = self.use_yes_price;
            // Subscribing again to an open channel adds the new tickers to the same subscription (dossier 3.4).
            self.command(
                &format!(
                    "\"cmd\":\"subscribe\",\"params\":{{\"channels\":[\"orderbook_delta\"],\
                     \"market_tickers\":[{tickers}],\"use_yes_price\":{yes},\"skip_ticker_ack\":true}}"
                ),
                out,
            );
        }
        for market in &mut self.markets {
            market.synced = false;
            market.asked = Some(now);
            market.tries = 0;
        }
    }

    fn handle(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut parser = self.parser.take().expect("put back after every message");
        let result = parser.parse(bytes, |root| {
            let frame = envelope(root)?;
            self.frame(&frame, at, out)
        });
        self.parser = Some(parser);
        result
    }

    fn frame(&mut self, frame: &Envelope<'_, '_>, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let of_books = frame.sid.is_some() && frame.sid == self.book_sid;
        match frame.kind {
            "orderbook_delta" | "orderbook_snapshot" => {
                let (Some(sid), Some(seq)) = (frame.sid, frame.seq) else { return Err(Malformed::Field("seq")) };
                if self.book_sid.is_none() {
                    // The acknowledgement may come after the first snapshot.
                    self.book_sid = Some(sid);
                } else if self.book_sid != Some(sid) {
                    return Ok(()); // A subscription that was given up.
                }
                if !self.in_sequence(seq, at, out) {
                    return Ok(());
                }
                if frame.kind == "orderbook_delta" { self.delta(frame, at, out) } else { self.snapshot(frame, at, out) }
            }
            "market_lifecycle_v2" | "event_lifecycle" | "event_fee_update" => {
                if frame.sid == self.life_sid || self.life_sid.is_none() {
                    self.life_sid = frame.sid;
                    if let Some(seq) = frame.seq {
                        if self.life_seq != 0 && self.life_seq + 1 < seq {
                            // A pause or a close may be among what is missing; only a new start is sure.
                            self.counts.gaps += 1;
                            out.lost = Some(Lost::Ended);
                        }
                        self.life_seq = self.life_seq.max(seq);
                    }
                }
                match frame.kind {
                    "market_lifecycle_v2" => self.lifecycle(frame, at, out),
                    "event_fee_update" => self.fee_update(frame, at, out),
                    _ => Ok(()),
                }
            }
            "subscribed" => self.subscribed(frame),
            "ok" | "unsubscribed" => {
                if let Some(seq) = frame.seq {
                    if of_books {
                        self.in_sequence(seq, at, out);
                    } else if frame.sid == self.life_sid {
                        self.life_seq = self.life_seq.max(seq);
                    }
                }
                if let Some((id, _, asked)) = self.echo
                    && frame.id == Some(id)
                {
                    self.echo = None;
                    self.tell(None, Kind::Alive, at, asked, out);
                }
                Ok(())
            }
            "error" => self.error(frame, of_books, at, out),
            "ticker" | "trade" => {
                self.tell(None, Kind::Alive, at, UnixMs::default(), out);
                Ok(())
            }
            _ => {
                self.canary(Canary::UnknownFrame, None, at, out);
                if let (true, Some(seq)) = (of_books, frame.seq) {
                    self.in_sequence(seq, at, out);
                }
                Ok(())
            }
        }
    }

    /// Counts the sequence on. `false` for a frame that must not be applied.
    fn in_sequence(&mut self, seq: u64, at: Arrival, out: &mut Out) -> bool {
        if self.book_seq != 0 && seq <= self.book_seq {
            self.counts.duplicates += 1;
            return false;
        }
        let whole = self.book_seq == 0 || seq == self.book_seq + 1;
        self.book_seq = seq;
        if !whole {
            self.counts.gaps += 1;
            self.doubt_all(Doubt::Gap, at, out);
            self.ask_all(at.now, out);
        }
        true
    }

    fn doubt_all(&mut self, doubt: Doubt, at: Arrival, out: &mut Out) {
        for market in &mut self.markets {
            market.synced = false;
            out.updates.push(self.source.update(market.id, at, UnixMs::default(), Kind::Unfit(doubt)));
        }
    }

    fn ask_all(&mut self, now: Nanos, out: &mut Out) {
        for market in &mut self.markets {
            market.wanted = true;
        }
        self.ask(now, out);
    }

    /// Sends `get_snapshot` for every wanted market that is not asked for already.
    fn ask(&mut self, now: Nanos, out: &mut Out) {
        let Some(sid) = self.book_sid else { return };
        let wanted: Vec<usize> =
            (0..self.markets.len()).filter(|&at| self.markets[at].wanted && self.markets[at].asked.is_none()).collect();
        for chunk in wanted.chunks(TICKERS_PER_COMMAND) {
            let tickers = self.tickers(chunk);
            self.command(
                &format!(
                    "\"cmd\":\"update_subscription\",\"params\":{{\"sid\":{sid},\"action\":\"get_snapshot\",\
                     \"market_tickers\":[{tickers}]}}"
                ),
                out,
            );
            for &at in chunk {
                self.markets[at].wanted = false;
                self.markets[at].asked = Some(now);
            }
        }
    }

    /// Markets whose snapshot is late are asked for again, a few times.
    fn ask_again(&mut self, at: Arrival, out: &mut Out) {
        for market in &mut self.markets {
            if market.asked.is_none_or(|asked| at.now.since(asked) <= SNAPSHOT_WAIT) {
                continue;
            }
            market.asked = None;
            market.tries += 1;
            market.wanted = market.tries < SNAPSHOT_TRIES;
            if !market.wanted {
                let gone = Kind::Unfit(Doubt::Dropped);
                out.updates.push(self.source.update(market.id, at, UnixMs::default(), gone));
            }
        }
    }

    fn snapshot(&mut self, frame: &Envelope<'_, '_>, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut ticker = Slot::new("market_ticker");
        let mut market_id = Slot::new("market_id");
        let mut yes = Slot::new("yes_dollars_fp");
        let mut no = Slot::new("no_dollars_fp");
        let mut unknown = frame.unknown_field;
        for (key, value) in frame.msg.required()?.members()? {
            match key {
                "market_ticker" => ticker.fill(value)?,
                "market_id" => market_id.fill(value)?,
                "yes_dollars_fp" => yes.fill(value)?,
                "no_dollars_fp" => no.fill(value)?,
                "clock" | "ts" | "ts_ms" => {}
                _ => unknown = true,
            }
        }
        let Some(&slot) = self.by_ticker.get(ticker.text()?) else { return Ok(()) };
        self.counts.snapshots += 1;
        let market = &mut self.markets[slot];
        market.asked = None;
        market.tries = 0;
        market.wanted = false;
        if market_id.text_if_any()? == Some("") {
            // No such market: its book stays unsynced, and says why.
            out.updates.push(self.source.update(market.id, at, UnixMs::default(), Kind::Unfit(Doubt::Dropped)));
            return Ok(());
        }
        market.synced = true;
        let id = market.id;
        let push = |out: &mut Out, kind| out.updates.push(self.source.update(id, at, UnixMs::default(), kind));
        push(out, Kind::Reset);
        let read = (|| {
            for (levels, no_leg) in [(yes, false), (no, true)] {
                let Some(levels) = levels.item() else { continue };
                for level in levels.elements()? {
                    let mut parts = level.elements()?;
                    let (Some(price), Some(qty), None) = (parts.next(), parts.next(), parts.next()) else {
                        return Err(Malformed::Shape);
                    };
                    let price = price.text().and_then(|t| Price::parse(t.as_bytes()));
                    let (side, price) = self.leg(price.ok_or(Malformed::Price("level"))?, no_leg);
                    let qty = qty.text().and_then(|t| Qty::parse(t.as_bytes())).ok_or(Malformed::Qty("level"))?;
                    push(out, Kind::Level { side, price, qty });
                }
            }
            Ok(())
        })();
        if let Ok(()) = read {
            push(out, Kind::Synced);
        } else {
            self.markets[slot].synced = false;
            push(out, Kind::Unfit(Doubt::Malformed));
            self.resnapshot(id, at.now, out);
            self.unreadable(at, out);
        }
        if unknown {
            self.canary(Canary::UnknownField, Some(id), at, out);
        }
        Ok(())
    }

    fn leg(&self, price: Price, no_leg: bool) -> (BookSide, Price) {
        match (no_leg, self.use_yes_price) {
            (false, _) => (BookSide::Bid, price),
            (true, false) => (BookSide::Ask, price.complement()),
            (true, true) => (BookSide::Ask, price),
        }
    }

    fn delta(&mut self, frame: &Envelope<'_, '_>, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut ticker = Slot::new("market_ticker");
        let mut price = Slot::new("price_dollars");
        let mut change = Slot::new("delta_fp");
        let mut side = Slot::new("side");
        let mut ts_ms = Slot::new("ts_ms");
        let mut unknown = frame.unknown_field;
        for (key, value) in frame.msg.required()?.members()? {
            match key {
                "market_ticker" => ticker.fill(value)?,
                "price_dollars" => price.fill(value)?,
                "delta_fp" => change.fill(value)?,
                "side" => side.fill(value)?,
                "ts_ms" => ts_ms.fill(value)?,
                "market_id" | "clock" | "ts" | "client_order_id" | "subaccount" => {}
                _ => unknown = true,
            }
        }
        let Some(&slot) = self.by_ticker.get(ticker.text()?) else { return Ok(()) };
        let read = (|| {
            let no_leg = match side.text()? {
                "yes" => false,
                "no" => true,
                _ => return Err(Malformed::Field("side")),
            };
            let price = price.required()?.text().and_then(|t| Price::parse(t.as_bytes()));
            let (side, price) = self.leg(price.ok_or(Malformed::Price("level"))?, no_leg);
            let change = signed(change.text()?).ok_or(Malformed::Qty("delta_fp"))?;
            let stamp = UnixMs::new(ts_ms.number_if_any()?.unwrap_or(0));
            Ok((Kind::Change { side, price, change }, stamp))
        })();
        if let Ok((kind, stamp)) = read {
            self.changed(slot, kind, stamp, at, out);
        } else {
            let market = &mut self.markets[slot];
            market.synced = false;
            let id = market.id;
            self.counts.changes += 1;
            out.updates.push(self.source.update(id, at, UnixMs::default(), Kind::Unfit(Doubt::Malformed)));
            self.resnapshot(id, at.now, out);
            self.unreadable(at, out);
        }
        if unknown {
            self.canary(Canary::UnknownField, Some(self.markets[slot].id), at, out);
        }
        Ok(())
    }

    fn changed(&mut self, slot: usize, kind: Kind, stamp: UnixMs, at: Arrival, out: &mut Out) {
        self.counts.changes += 1;
        let market = &self.markets[slot];
        if market.synced {
            out.updates.push(self.source.update(market.id, at, stamp, kind));
        }
    }

    /// A change that the scanner could read. `false` leaves it to the parser, with nothing done.
    fn scanned(&mut self, bytes: &[u8], at: Arrival, out: &mut Out) -> bool {
        let Some(delta) = scan::delta(bytes).filter(|delta| self.book_sid == Some(delta.sid)) else { return false };
        if self.in_sequence(delta.seq, at, out)
            && let Some(&slot) = self.by_ticker.get(delta.ticker)
        {
            let (side, price) = self.leg(delta.price, delta.no_leg);
            self.changed(slot, Kind::Change { side, price, change: delta.change }, delta.stamp, at, out);
        }
        true
    }

    /// Counts an unreadable message; too many of them end the connection.
    fn unreadable(&mut self, at: Arrival, out: &mut Out) {
        self.counts.malformed += 1;
        if self.strikes.strike(at.now) {
            out.lost = Some(Lost::Unreadable);
        }
    }

    fn lifecycle(&mut self, frame: &Envelope<'_, '_>, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut ticker = Slot::new("market_ticker");
        let mut event = Slot::new("event_type");
        let mut close = Slot::new("close_ts");
        let mut value = Slot::new("settlement_value");
        let mut ranges = Slot::new("price_ranges");
        for (key, item) in frame.msg.required()?.members()? {
            match key {
                "market_ticker" => ticker.fill(item)?,
                "event_type" => event.fill(item)?,
                "close_ts" => close.fill(item)?,
                "settlement_value" => value.fill(item)?,
                "price_ranges" => ranges.fill(item)?,
                _ => {} // Fields of other event types; an unknown type is the canary here.
            }
        }
        let Some(&slot) = self.by_ticker.get(ticker.text()?) else { return Ok(()) };
        let id = self.markets[slot].id;
        let tell = |out: &mut Out, kind| out.updates.push(self.source.update(id, at, UnixMs::default(), kind));
        match event.text()? {
            "created" => {}
            "activated" => tell(out, Kind::Trading(Trading::Open)),
            "deactivated" => tell(out, Kind::Trading(Trading::Paused)),
            "close_date_updated" => {
                let seconds = close.number()?;
                tell(out, Kind::ClosesAt(UnixMs::new(seconds.saturating_mul(1_000))));
            }
            "determined" => {
                tell(out, Kind::Trading(Trading::Closed));
                self.markets[slot].payout = value.text_if_any()?.and_then(payout);
            }
            "settled" => {
                tell(out, Kind::Trading(Trading::Closed));
                // Without the value heard on `determined`, the catalogue tells the payout.
                if let Some(yes_payout) = self.markets[slot].payout {
                    tell(out, Kind::Settled { yes_payout });
                }
            }
            "price_level_structure_updated" => match read_grid(ranges.required()?)? {
                Some(grid) => {
                    self.markets[slot].synced = false;
                    tell(out, Kind::Grid(grid));
                    self.resnapshot(id, at.now, out);
                }
                None => self.canary(Canary::UnknownGrid, Some(id), at, out),
            },
            "metadata_updated" => self.canary(Canary::RulesChanged, Some(id), at, out),
            _ => self.canary(Canary::UnknownEvent, Some(id), at, out),
        }
        Ok(())
    }

    fn fee_update(&mut self, frame: &Envelope<'_, '_>, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut event = Slot::new("event_ticker");
        for (key, item) in frame.msg.required()?.members()? {
            if key == "event_ticker" {
                event.fill(item)?;
            }
        }
        let event = event.text()?;
        for slot in 0..self.markets.len() {
            if &*self.markets[slot].event == event {
                let id = self.markets[slot].id;
                self.canary(Canary::FeeChanged, Some(id), at, out);
            }
        }
        Ok(())
    }

    fn subscribed(&mut self, frame: &Envelope<'_, '_>) -> Result<(), Malformed> {
        let mut channel = Slot::new("channel");
        let mut sid = Slot::new("sid");
        for (key, item) in frame.msg.required()?.members()? {
            match key {
                "channel" => channel.fill(item)?,
                "sid" => sid.fill(item)?,
                _ => {}
            }
        }
        match channel.text()? {
            "orderbook_delta" => {
                let sid = sid.number()?;
                if self.book_sid != Some(sid) {
                    self.book_sid = Some(sid);
                    self.book_seq = 0;
                }
            }
            "market_lifecycle_v2" => self.life_sid = Some(sid.number()?),
            _ => {}
        }
        Ok(())
    }

    fn error(&mut self, frame: &Envelope<'_, '_>, of_books: bool, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut code = Slot::new("code");
        for (key, item) in frame.msg.required()?.members()? {
            if key == "code" {
                code.fill(item)?;
            }
        }
        if let (true, Some(seq)) = (of_books, frame.seq) {
            self.in_sequence(seq, at, out);
        }
        // Our own commands are fixed texts, so an error is the venue's doing: 10 and 25 end the subscription, 26 and 27
        // are limits, 9 is a key that lost its right. A new connection starts clean, with the back-off between.
        if code.number()? != 18 {
            self.doubt_all(Doubt::Dropped, at, out);
            out.lost = Some(Lost::Ended);
        }
        Ok(())
    }

    fn canary(&mut self, canary: Canary, market: Option<MarketId>, at: Arrival, out: &mut Out) {
        self.counts.canaries[canary as usize] += 1;
        if market.is_some() {
            self.tell(market, Kind::Canary(canary), at, UnixMs::default(), out);
        }
    }

    fn tell(&self, market: Option<MarketId>, kind: Kind, at: Arrival, stamp: UnixMs, out: &mut Out) {
        out.updates.push(self.source.update(market.unwrap_or(MarketId(0)), at, stamp, kind));
    }
}

impl Feed for KalshiFeed {
    fn opened(&mut self, at: Arrival, out: &mut Out) {
        self.book_sid = None;
        self.book_seq = 0;
        self.life_sid = None;
        self.life_seq = 0;
        self.echo = None;
        self.heard = at.now;
        self.echoed = at.now;
        self.subscribe(at.now, out);
        self.command("\"cmd\":\"subscribe\",\"params\":{\"channels\":[\"market_lifecycle_v2\"]}", out);
    }

    fn text(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out) {
        self.heard = at.now;
        self.counts.messages += 1;
        if !self.scanned(bytes, at, out) && self.handle(bytes, at, out).is_err() {
            // It may have been a change of any market.
            self.doubt_all(Doubt::Malformed, at, out);
            self.ask_all(at.now, out);
            self.unreadable(at, out);
        }
    }

    fn alive(&mut self, at: Arrival, out: &mut Out) {
        self.heard = at.now;
        self.tell(None, Kind::Alive, at, UnixMs::default(), out);
    }

    fn timeout(&mut self, at: Arrival, out: &mut Out) {
        if SILENCE_MAX < at.now.since(self.heard) {
            out.lost = Some(Lost::Silent);
            return;
        }
        match overdue(self.markets.iter().map(|m| (m.synced, m.asked)), at.now) {
            Overdue::Nothing => {}
            Overdue::Connection => {
                out.lost = Some(Lost::NoSnapshot);
                return;
            }
            Overdue::Markets => self.ask_again(at, out),
        }
        if let Some((_, asked, _)) = self.echo {
            if SILENCE_MAX < at.now.since(asked) {
                out.lost = Some(Lost::Silent);
                return;
            }
        } else if ECHO_EVERY < at.now.since(self.echoed) {
            let id = self.command("\"cmd\":\"list_subscriptions\"", out);
            self.echo = Some((id, at.now, at.unix));
            self.echoed = at.now;
        }
        self.ask(at.now, out);
    }

    fn resnapshot(&mut self, market: MarketId, now: Nanos, out: &mut Out) {
        if let Some(slot) = self.markets.iter_mut().find(|m| m.id == market) {
            slot.wanted = true;
            self.ask(now, out);
        }
    }

    fn counts(&self) -> &Counts {
        &self.counts
    }
}
