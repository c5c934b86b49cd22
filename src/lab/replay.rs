//! A recording through the same feeds and books as a live stream, without sockets, in the recording's own time.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use serde_json::Value;

use super::recording::{Frame, Market, Reader};
use crate::{
    book::Book,
    unit::{FeedId, Grid, MarketId, Venue},
    venue::{
        Counts, Feed, Out, Source,
        kalshi::{self, KalshiFeed},
        polymarket::{self, Checked, Checker, PolymarketFeed, shadow::Hashed},
    },
    wire::{Trading, Update},
};

/// A market that occurs in a recording.
#[derive(Clone, Debug)]
pub struct Seen {
    pub venue: Venue,
    /// Ticker or condition id.
    pub name: String,
    /// Polymarket: the tokens in the order in which they first occur.
    pub tokens: [String; 2],
    pub v2: bool,
    /// What the recording's first line says of it.
    pub told: Option<Market>,
}

/// What a first pass over a recording found.
#[derive(Clone, Debug, Default)]
pub struct Cast {
    pub markets: Vec<Seen>,
    pub frames: u64,
    pub conns: u32,
}

/// Reads through a recording for the markets in it.
pub fn cast(path: &Path) -> anyhow::Result<Cast> {
    let mut cast = Cast::default();
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut reader = Reader::open(path)?;
    while let Some((_, frame)) = reader.next_line()? {
        let Some(frame) = frame else { continue };
        cast.frames += 1;
        cast.conns = cast.conns.max(frame.conn);
        let Ok(value) = serde_json::from_slice::<Value>(&frame.bytes) else { continue };
        let parts = match value {
            Value::Array(parts) => parts,
            one => vec![one],
        };
        for part in parts {
            let msg = &part["msg"];
            let books = matches!(part["type"].as_str(), Some("orderbook_snapshot" | "orderbook_delta"));
            if let (true, Some(ticker)) = (books, msg["market_ticker"].as_str()) {
                index.entry(ticker.to_owned()).or_insert_with(|| {
                    let tokens = [String::new(), String::new()];
                    cast.markets.push(Seen {
                        venue: Venue::Kalshi,
                        name: ticker.to_owned(),
                        tokens,
                        v2: false,
                        told: None,
                    });
                    cast.markets.len() - 1
                });
            }
            let (Some(market), true) = (part["market"].as_str(), part["event_type"].is_string()) else { continue };
            let changes = part["price_changes"].as_array().into_iter().flatten().map(|c| &c["asset_id"]);
            for asset in std::iter::once(&part["asset_id"]).chain(changes).filter_map(Value::as_str) {
                let at = *index.entry(market.to_owned()).or_insert_with(|| {
                    let tokens = [String::new(), String::new()];
                    cast.markets.push(Seen {
                        venue: Venue::Polymarket,
                        name: market.to_owned(),
                        tokens,
                        v2: false,
                        told: None,
                    });
                    cast.markets.len() - 1
                });
                let seen = &mut cast.markets[at];
                seen.v2 |= part["version"] == "v2";
                if let Some(free) = seen.tokens.iter().position(|token| token.is_empty() || token == asset) {
                    seen.tokens[free] = asset.to_owned();
                }
            }
        }
    }
    for told in reader.markets {
        if let Some(seen) = cast.markets.iter_mut().find(|seen| seen.name == told.name) {
            if !told.tokens[0].is_empty() {
                seen.tokens.clone_from(&told.tokens);
            }
            seen.told = Some(told);
        }
    }
    Ok(cast)
}

/// The grid under which replayed Kalshi books are kept: recordings carry none, and every documented structure fits.
pub fn finest() -> Grid {
    Grid::even(1).expect("one ten-thousandth divides a dollar")
}

/// One connection of a recording.
struct Wire {
    feed: Box<dyn Feed>,
    markets: Vec<(MarketId, usize)>,
}

/// Feeds a recording's frames through one feed per venue and connection.
pub struct Player {
    cast: Cast,
    wires: BTreeMap<(Venue, u32), Wire>,
    books: Vec<(Venue, u32, usize, Book)>,
    out: Out,
    checker: Checker,
    use_yes_price: bool,
    first: u32,
    /// Books found crossed or locked right after a change.
    pub crossed: u64,
    /// Books that a change took below zero.
    pub negative: u64,
    /// The checksum's verdicts.
    pub checked: Vec<Checked>,
}

impl Player {
    /// A player for the markets of `cast`; market numbers start at `first`.
    pub fn new(cast: Cast, use_yes_price: bool, first: u32) -> Self {
        Self {
            cast,
            wires: BTreeMap::new(),
            books: Vec::new(),
            out: Out::default(),
            checker: Checker::default(),
            use_yes_price,
            first,
            crossed: 0,
            negative: 0,
            checked: Vec::new(),
        }
    }

    /// Plays one frame; what the feed made of it is left in [`Self::updates`].
    pub fn play(&mut self, frame: &mut Frame) {
        let venue = frame.venue.or(self.cast.markets.first().map(|seen| seen.venue)).unwrap_or(Venue::Kalshi);
        let key = (venue, frame.conn);
        if !self.wires.contains_key(&key) {
            let wire = self.connect(venue, frame.conn);
            self.wires.insert(key, wire);
            self.out.updates.clear();
            if let Some(wire) = self.wires.get_mut(&key) {
                wire.feed.opened(frame.at, &mut self.out);
            }
        }
        self.out.updates.clear();
        self.out.sends.clear();
        self.out.shadows.clear();
        let Some(wire) = self.wires.get_mut(&key) else { return };
        wire.feed.text(&mut frame.bytes, frame.at, &mut self.out);
        for update in &self.out.updates {
            let slot = update.market.0.checked_sub(self.first).map(|slot| slot as usize);
            let Some((_, _, _, book)) = slot.and_then(|slot| self.books.get_mut(slot)) else { continue };
            let effect = book.apply(update);
            if matches!(update.kind, crate::wire::Kind::Change { .. }) {
                self.crossed += u64::from(book.crossed());
                let below = crate::book::sync::Effect::Doubted(crate::wire::Doubt::Impossible);
                self.negative += u64::from(effect == below);
            }
        }
        for shadow in &self.out.shadows {
            self.checked.extend(self.checker.handle(shadow));
        }
    }

    /// What the last frame became.
    pub fn updates(&self) -> &[Update] {
        &self.out.updates
    }

    /// Judges what still waits for its time to pass.
    pub fn finish(&mut self) {
        self.checked.extend(self.checker.handle_timeout(crate::unit::Nanos::new(u64::MAX)));
    }

    /// The book of a market on a connection.
    pub fn book(&self, conn: u32, name: &str) -> Option<&Book> {
        let found = self.books.iter().find(|(_, c, seen, _)| *c == conn && self.cast.markets[*seen].name == name);
        found.map(|(_, _, _, book)| book)
    }

    /// Every book: connection, market, book.
    pub fn books(&self) -> impl Iterator<Item = (u32, &Seen, &Book)> {
        self.books.iter().map(|(_, conn, seen, book)| (*conn, &self.cast.markets[*seen], book))
    }

    /// Counters over all connections.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for wire in self.wires.values() {
            let counts = wire.feed.counts();
            sum.messages += counts.messages;
            sum.gaps += counts.gaps;
            sum.duplicates += counts.duplicates;
            sum.malformed += counts.malformed;
            sum.snapshots += counts.snapshots;
            sum.changes += counts.changes;
            for (total, part) in sum.canaries.iter_mut().zip(counts.canaries) {
                *total += part;
            }
        }
        sum
    }

    /// The number of the first market of `name` on any connection.
    pub fn market(&self, name: &str) -> Option<MarketId> {
        let wires = self.wires.values().flat_map(|wire| &wire.markets);
        wires.filter(|(_, seen)| self.cast.markets[*seen].name == name).map(|(id, _)| *id).min()
    }

    fn connect(&mut self, venue: Venue, conn: u32) -> Wire {
        let source = Source { feed: FeedId(venue as u8), link: (conn % 64) as u8 };
        let mut markets = Vec::new();
        for (at, seen) in self.cast.markets.iter().enumerate().filter(|(_, seen)| seen.venue == venue) {
            let id = MarketId(self.first + self.books.len() as u32);
            markets.push((id, at));
            let grid = finest();
            self.books.push((venue, conn, at, Book::new(grid, Trading::Open)));
            if venue == Venue::Polymarket {
                self.checker.know(
                    MarketId(id.0),
                    Hashed {
                        condition: seen.name.clone(),
                        token: seen.tokens[0].clone(),
                        // Without a first line: what almost every market has.
                        min_order_size: seen.told.as_ref().map_or("5".into(), |told| told.min_order_size.clone()),
                        tick: seen.told.as_ref().map_or(100, |told| told.tick),
                        neg_risk: seen.told.as_ref().is_some_and(|told| told.neg_risk),
                        v2: seen.v2 || seen.told.as_ref().is_some_and(|told| told.v2),
                    },
                );
            }
        }
        let name = |at: usize| self.cast.markets[at].name.clone();
        let feed: Box<dyn Feed> = match venue {
            Venue::Kalshi => {
                let wanted =
                    markets.iter().map(|&(id, at)| kalshi::feed::Wanted { id, ticker: name(at), event: String::new() });
                Box::new(KalshiFeed::new(source, wanted.collect(), self.use_yes_price))
            }
            Venue::Polymarket => {
                let wanted = markets
                    .iter()
                    .map(|&(id, at)| polymarket::feed::Wanted { id, tokens: self.cast.markets[at].tokens.clone() });
                Box::new(PolymarketFeed::new(source, wanted.collect()))
            }
        };
        Wire { feed, markets }
    }
}
