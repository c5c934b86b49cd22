//! Polymarket's market channel as a protocol without I/O (dossier 4).
//!
//! There is no sequence number: a book comes whole (as an array first, singly after every trade), changes are absolute.
//! Both tokens of a market are subscribed, but only the first outcome's entries are used: the second token's book is
//! its mirror. What the checksum needs goes out beside the updates, for a thread that has time to hash.

use super::{
    Shadow,
    tokens::{Token, Tokens},
};
use crate::{
    unit::{BookSide, MarketId, Money, Nanos, Price, Qty, UnixMs, decimal},
    venue::{Counts, Feed, Lost, Out, Overdue, SNAPSHOT_TRIES, SNAPSHOT_WAIT, Source, Strikes, overdue},
    wire::{
        Arrival, Canary, Doubt, Kind, Trading,
        json::{Item, Malformed, Parser, Slot},
    },
};

/// Text `PING` every ten seconds (dossier 4.1); half of that, because the answer also bounds the stream's lag.
const PING_EVERY: Nanos = Nanos::secs(5);
/// No `PONG`, or nothing at all, for this long: the connection is dead.
const SILENCE_MAX: Nanos = Nanos::secs(15);
/// A connection that carried at least a message a second over the last minute is not quiet when it stops.
const BUSY_MESSAGES: u32 = 60;

/// A market that the connection is to carry.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub id: MarketId,
    /// The token of outcome 0, then of outcome 1.
    pub tokens: [String; 2],
}

struct Carried {
    id: MarketId,
    tokens: [Box<str>; 2],
    asked: Option<Nanos>,
    /// Requests in a row that brought nothing.
    tries: u8,
    synced: bool,
}

/// One connection's protocol state.
pub struct PolymarketFeed {
    source: Source,
    /// Taken while a message is read, so that reading may change the rest of the state.
    parser: Option<Parser>,
    /// Every token of the connection.
    by_token: Tokens,
    markets: Vec<Carried>,
    heard: Nanos,
    data: Nanos,
    pinged: Option<(Nanos, UnixMs)>,
    ping_due: Nanos,
    minute: (Nanos, u32, u32),
    strikes: Strikes,
    counts: Counts,
}

impl PolymarketFeed {
    /// A connection that carries `wanted`.
    pub fn new(source: Source, wanted: Vec<Wanted>) -> Self {
        let markets: Vec<_> = wanted
            .into_iter()
            .map(|w| Carried {
                id: w.id,
                tokens: w.tokens.map(String::into_boxed_str),
                asked: None,
                tries: 0,
                synced: false,
            })
            .collect();
        let by_token = Tokens::new(markets.iter().map(|m| (m.id, [&*m.tokens[0], &*m.tokens[1]])));
        Self {
            source,
            parser: Some(Parser::default()),
            by_token,
            markets,
            heard: Nanos::ZERO,
            data: Nanos::ZERO,
            pinged: None,
            ping_due: Nanos::ZERO,
            minute: (Nanos::ZERO, 0, 0),
            strikes: Strikes::default(),
            counts: Counts::default(),
        }
    }

    fn handle(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut parser = self.parser.take().expect("put back after every message");
        let result = parser.parse(bytes, |root| {
            if root.is_array() {
                for book in root.elements()? {
                    self.message(book, at, out)?;
                }
                return Ok(());
            }
            self.message(root, at, out)
        });
        self.parser = Some(parser);
        result
    }

    fn message(&mut self, root: Item<'_, '_>, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut kind = Slot::new("event_type");
        for (key, value) in root.members()? {
            if key == "event_type" {
                kind.fill(value)?;
            }
        }
        match kind.text()? {
            "price_change" => self.price_change(root, at, out),
            "book" => self.book(root, at, out),
            "last_trade_price" => self.trade(root, at, out),
            "tick_size_change" => self.tick_size(root, at, out),
            "market_resolved" => self.resolved(root, at, out),
            "best_bid_ask" | "new_market" => {
                self.tell(MarketId(0), Kind::Alive, at, UnixMs::default(), out);
                Ok(())
            }
            _ => {
                self.counts.canaries[Canary::UnknownFrame as usize] += 1;
                self.tell(MarketId(0), Kind::Alive, at, UnixMs::default(), out);
                Ok(())
            }
        }
    }

    fn price_change(&mut self, root: Item<'_, '_>, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut changes = Slot::new("price_changes");
        let mut timestamp = Slot::new("timestamp");
        let mut unknown = false;
        for (key, value) in root.members()? {
            match key {
                "price_changes" => changes.fill(value)?,
                "timestamp" => timestamp.fill(value)?,
                "market" | "event_type" => {}
                _ => unknown = true,
            }
        }
        let stamp = millis(timestamp)?;
        let mut mirror = None;
        for change in changes.required()?.elements()? {
            let mut asset = Slot::new("asset_id");
            let mut price = Slot::new("price");
            let mut size = Slot::new("size");
            let mut side = Slot::new("side");
            let mut hash = Slot::new("hash");
            for (key, value) in change.members()? {
                match key {
                    "asset_id" => asset.fill(value)?,
                    "price" => price.fill(value)?,
                    "size" => size.fill(value)?,
                    "side" => side.fill(value)?,
                    "hash" => hash.fill(value)?,
                    "best_bid" | "best_ask" => {}
                    _ => unknown = true,
                }
            }
            let asset = asset.text()?;
            // The mirrored entry of the market that was just read: known by its hash, without a look at cold memory.
            if !unknown && mirror == Some(self.by_token.hash(asset)) {
                continue;
            }
            let Some(&Token { id, slot, first, mirror: other, .. }) = self.by_token.find(asset) else { continue };
            let slot = slot as usize;
            if first {
                mirror = Some(other);
            }
            if unknown {
                self.canary(Canary::UnknownField, id, at, out);
            }
            if !first {
                continue;
            }
            self.counts.changes += 1;
            let read = (|| {
                let price =
                    price.text().ok().and_then(|t| Price::parse(t.as_bytes())).ok_or(Malformed::Price("price"))?;
                let qty = size.text().ok().and_then(|t| Qty::parse(t.as_bytes())).ok_or(Malformed::Qty("size"))?;
                Ok((side_of(side)?, price, qty))
            })();
            match read {
                Ok((side, price, qty)) => {
                    self.tell(id, Kind::Level { side, price, qty }, at, stamp, out);
                    let hash = hash.text_if_any()?.and_then(shadow_hash);
                    out.shadows.push(Shadow::change(id, at.now, stamp, side, price, qty, hash));
                }
                Err(e) => {
                    self.void(slot, Doubt::Malformed, at, out);
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    fn book(&mut self, root: Item<'_, '_>, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut asset = Slot::new("asset_id");
        let mut timestamp = Slot::new("timestamp");
        let mut hash = Slot::new("hash");
        let (mut bids, mut asks) = (Slot::new("bids"), Slot::new("asks"));
        let mut tick = Slot::new("tick_size");
        let mut last = Slot::new("last_trade_price");
        let mut unknown = false;
        for (key, value) in root.members()? {
            match key {
                "asset_id" => asset.fill(value)?,
                "timestamp" => timestamp.fill(value)?,
                "hash" => hash.fill(value)?,
                "bids" => bids.fill(value)?,
                "asks" => asks.fill(value)?,
                "tick_size" => tick.fill(value)?,
                "last_trade_price" => last.fill(value)?,
                "market" | "event_type" | "version" | "min_order_size" | "neg_risk" => {}
                _ => unknown = true,
            }
        }
        let Some(&Token { slot, first, .. }) = self.by_token.find(asset.text()?) else { return Ok(()) };
        let slot = slot as usize;
        if !first {
            return Ok(());
        }
        let (id, stamp) = (self.markets[slot].id, millis(timestamp)?);
        self.counts.snapshots += 1;
        if let Some(tick) = tick.text_if_any()? {
            match super::tick(tick) {
                Some(grid) => {
                    if !self.markets[slot].synced {
                        self.tell(id, Kind::Grid(grid), at, UnixMs::default(), out);
                    }
                    out.shadows.push(Shadow::tick(id, at.now, grid.unit()));
                }
                None => self.canary(Canary::UnknownGrid, id, at, out),
            }
        }
        // Only the end of the snapshot is stamped: its time is that of the book's last change, which may be hours ago.
        self.tell(id, Kind::Reset, at, UnixMs::default(), out);
        out.shadows.push(Shadow::reset(id, at.now, stamp, last.text_if_any()?));
        let read = (|| {
            for (side, levels) in [(BookSide::Bid, bids), (BookSide::Ask, asks)] {
                for level in levels.required()?.elements()? {
                    let (mut price, mut size) = (Slot::new("price"), Slot::new("size"));
                    for (key, value) in level.members()? {
                        match key {
                            "price" => price.fill(value)?,
                            "size" => size.fill(value)?,
                            _ => {}
                        }
                    }
                    let price = Price::parse(price.text()?.as_bytes()).ok_or(Malformed::Price("price"))?;
                    let qty = Qty::parse(size.text()?.as_bytes()).ok_or(Malformed::Qty("size"))?;
                    self.tell(id, Kind::Level { side, price, qty }, at, UnixMs::default(), out);
                    out.shadows.push(Shadow::change(id, at.now, stamp, side, price, qty, None));
                }
            }
            Ok(())
        })();
        if let Err(e) = read {
            self.void(slot, Doubt::Malformed, at, out);
            return Err(e);
        }
        self.markets[slot].synced = true;
        self.markets[slot].asked = None;
        self.markets[slot].tries = 0;
        self.tell(id, Kind::Synced, at, stamp, out);
        out.shadows.push(Shadow::whole(id, at.now, stamp, hash.text_if_any()?.and_then(shadow_hash)));
        if unknown {
            self.canary(Canary::UnknownField, id, at, out);
        }
        Ok(())
    }

    fn trade(&mut self, root: Item<'_, '_>, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut asset = Slot::new("asset_id");
        let mut price = Slot::new("price");
        let mut timestamp = Slot::new("timestamp");
        for (key, value) in root.members()? {
            match key {
                "asset_id" => asset.fill(value)?,
                "price" => price.fill(value)?,
                "timestamp" => timestamp.fill(value)?,
                _ => {}
            }
        }
        let Some(&Token { slot, .. }) = self.by_token.find(asset.text()?) else { return Ok(()) };
        let slot = slot as usize;
        let stamp = millis(timestamp)?;
        self.tell(self.markets[slot].id, Kind::Alive, at, stamp, out);
        if let Some(price) = Price::parse(price.text()?.as_bytes()) {
            out.shadows.push(Shadow::trade(self.markets[slot].id, at.now, stamp, price));
        }
        Ok(())
    }

    fn tick_size(&mut self, root: Item<'_, '_>, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut asset = Slot::new("asset_id");
        let mut new = Slot::new("new_tick_size");
        for (key, value) in root.members()? {
            match key {
                "asset_id" => asset.fill(value)?,
                "new_tick_size" => new.fill(value)?,
                _ => {}
            }
        }
        let Some(&Token { slot, first, .. }) = self.by_token.find(asset.text()?) else { return Ok(()) };
        let slot = slot as usize;
        if !first {
            return Ok(());
        }
        let id = self.markets[slot].id;
        self.markets[slot].synced = false;
        if let Some(grid) = super::tick(new.text()?) {
            self.tell(id, Kind::Grid(grid), at, UnixMs::default(), out);
            out.shadows.push(Shadow::tick(id, at.now, grid.unit()));
            // The venue sends the next book by itself; asking makes sure of it.
            self.resnapshot(id, at.now, out);
        } else {
            self.tell(id, Kind::Unfit(Doubt::Regrid), at, UnixMs::default(), out);
            self.canary(Canary::UnknownGrid, id, at, out);
        }
        Ok(())
    }

    fn resolved(&mut self, root: Item<'_, '_>, at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let mut assets = Slot::new("assets_ids");
        let mut winner = Slot::new("winning_asset_id");
        for (key, value) in root.members()? {
            match key {
                "assets_ids" => assets.fill(value)?,
                "winning_asset_id" => winner.fill(value)?,
                _ => {}
            }
        }
        let Some(assets) = assets.item() else { return Ok(()) };
        for asset in assets.elements()? {
            let known = asset.text().and_then(|asset| self.by_token.find(asset));
            let Some(&Token { id, slot, first: true, .. }) = known else { continue };
            self.tell(id, Kind::Trading(Trading::Closed), at, UnixMs::default(), out);
            // Half payouts name no winner; the resolutions call of the Data API tells them.
            if let Some(&Token { slot: won, first, .. }) =
                winner.text_if_any()?.and_then(|winner| self.by_token.find(winner))
                && won == slot
            {
                let yes_payout = if first { Money::dollars(1) } else { Money::ZERO };
                self.tell(id, Kind::Settled { yes_payout }, at, UnixMs::default(), out);
            }
        }
        Ok(())
    }

    /// Markets whose book is late are asked for again, a few times.
    fn ask_again(&mut self, at: Arrival, out: &mut Out) {
        for slot in 0..self.markets.len() {
            let market = &mut self.markets[slot];
            if market.asked.is_none_or(|asked| at.now.since(asked) <= SNAPSHOT_WAIT) {
                continue;
            }
            market.asked = None;
            market.tries += 1;
            let id = market.id;
            if market.tries < SNAPSHOT_TRIES {
                self.resnapshot(id, at.now, out);
            } else {
                self.tell(id, Kind::Unfit(Doubt::Dropped), at, UnixMs::default(), out);
            }
        }
    }

    /// The market's copy is void; a fresh one is asked for.
    fn void(&mut self, slot: usize, doubt: Doubt, at: Arrival, out: &mut Out) {
        self.markets[slot].synced = false;
        let id = self.markets[slot].id;
        self.tell(id, Kind::Unfit(doubt), at, UnixMs::default(), out);
        self.resnapshot(id, at.now, out);
    }

    fn canary(&mut self, canary: Canary, market: MarketId, at: Arrival, out: &mut Out) {
        self.counts.canaries[canary as usize] += 1;
        self.tell(market, Kind::Canary(canary), at, UnixMs::default(), out);
    }

    fn tell(&self, market: MarketId, kind: Kind, at: Arrival, stamp: UnixMs, out: &mut Out) {
        out.updates.push(self.source.update(market, at, stamp, kind));
    }

    /// Was this connection never quiet for a second on average, and is it now?
    fn frozen(&self, now: Nanos) -> bool {
        let (_, _, last_minute) = self.minute;
        BUSY_MESSAGES <= last_minute && SILENCE_MAX < now.since(self.data)
    }
}

impl Feed for PolymarketFeed {
    fn opened(&mut self, at: Arrival, out: &mut Out) {
        self.heard = at.now;
        self.data = at.now;
        self.pinged = None;
        self.ping_due = at.now + PING_EVERY;
        self.minute = (at.now, 0, 0);
        let tokens: Vec<String> =
            self.markets.iter().flat_map(|m| &m.tokens).map(|token| format!("\"{token}\"")).collect();
        out.sends.push(format!(
            "{{\"assets_ids\":[{}],\"type\":\"market\",\"custom_feature_enabled\":true,\"initial_dump\":true,\"level\":2}}",
            tokens.join(",")
        ));
        for market in &mut self.markets {
            market.synced = false;
            market.asked = Some(at.now);
            market.tries = 0;
        }
    }

    fn text(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out) {
        self.heard = at.now;
        self.counts.messages += 1;
        if bytes.trim_ascii() == b"PONG" {
            let sent = self.pinged.take().map_or(UnixMs::default(), |(_, unix)| unix);
            self.tell(MarketId(0), Kind::Alive, at, sent, out);
            return;
        }
        self.data = at.now;
        if Nanos::secs(60) < at.now.since(self.minute.0) {
            self.minute = (at.now, 0, self.minute.1);
        }
        self.minute.1 += 1;
        if self.handle(bytes, at, out).is_err() {
            self.counts.malformed += 1;
            // Changes are absolute and no number tells which one was lost: every book of the connection is in doubt.
            for slot in 0..self.markets.len() {
                if self.markets[slot].synced {
                    self.void(slot, Doubt::Malformed, at, out);
                }
            }
            if self.strikes.strike(at.now) {
                out.lost = Some(Lost::Unreadable);
            }
        }
    }

    fn alive(&mut self, at: Arrival, out: &mut Out) {
        self.heard = at.now;
        self.tell(MarketId(0), Kind::Alive, at, UnixMs::default(), out);
    }

    fn timeout(&mut self, at: Arrival, out: &mut Out) {
        let pong_missing = self.pinged.is_some_and(|(sent, _)| SILENCE_MAX < at.now.since(sent));
        if pong_missing || SILENCE_MAX < at.now.since(self.heard) || self.frozen(at.now) {
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
        if self.ping_due <= at.now && self.pinged.is_none() {
            out.sends.push("PING".into());
            self.pinged = Some((at.now, at.unix));
            self.ping_due = at.now + PING_EVERY;
        }
    }

    fn resnapshot(&mut self, market: MarketId, now: Nanos, out: &mut Out) {
        let Some(market) = self.markets.iter_mut().find(|m| m.id == market && m.asked.is_none()) else { return };
        market.asked = Some(now);
        let tokens = format!("\"{}\",\"{}\"", market.tokens[0], market.tokens[1]);
        for operation in ["unsubscribe", "subscribe"] {
            out.sends.push(format!(
                "{{\"operation\":\"{operation}\",\"assets_ids\":[{tokens}],\"custom_feature_enabled\":true}}"
            ));
        }
    }

    fn counts(&self) -> &Counts {
        &self.counts
    }
}

fn side_of(side: Slot<'_, '_>) -> Result<BookSide, Malformed> {
    match side.text()? {
        "BUY" => Ok(BookSide::Bid),
        "SELL" => Ok(BookSide::Ask),
        _ => Err(Malformed::Field("side")),
    }
}

fn millis(timestamp: Slot<'_, '_>) -> Result<UnixMs, Malformed> {
    let text = timestamp.text()?;
    decimal(text.as_bytes(), 15, 0).map(UnixMs::new).ok_or(Malformed::Field("timestamp"))
}

fn shadow_hash(text: &str) -> Option<[u8; 20]> {
    let digits: &[u8; 40] = text.as_bytes().try_into().ok()?;
    let mut hash = [0; 20];
    let mut odd = 0;
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        odd |= high | low;
        *byte = high << 4 | low & 15;
    }
    (odd < 16).then_some(hash)
}

/// The value of a hex digit; 255 for any other byte.
const NIBBLES: [u8; 256] = {
    let mut table = [255; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        table[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    table
};
