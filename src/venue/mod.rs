//! The only place where a venue's name decides anything. One folder a venue, the same parts in each.
//!
//! A [`Feed`] is one connection's protocol without I/O: bytes and the time go in, [`Update`]s and texts to send come
//! out. A [`Gateway`](gateway::Gateway) is a venue's order entry, in the same way.

#![forbid(unsafe_code)]

pub mod gateway;
pub mod http;
pub mod kalshi;
pub mod listing;
pub mod pace;
pub mod polymarket;
pub mod rest;

use crate::{
    unit::{FeedId, MarketId, Nanos, UnixMs},
    wire::{Arrival, Canary, Kind, Update},
};

/// What a connection's protocol wants done. Filled by a [`Feed`], emptied by its thread; memory is kept.
#[derive(Debug, Default)]
pub struct Out {
    pub updates: Vec<Update>,
    /// Text messages to send.
    pub sends: Vec<String>,
    /// What the checksum needs to know, for the shadow thread.
    pub shadows: Vec<polymarket::Shadow>,
    /// The connection must be given up.
    pub lost: Option<Lost>,
}

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lost {
    /// No frame of any kind, or no data on a connection that is never quiet.
    Silent,
    /// A snapshot that was asked for did not come.
    NoSnapshot,
    /// More than five unreadable messages within a minute.
    Unreadable,
    /// The venue ended the subscription in a way that only a new connection mends.
    Ended,
}

/// What a connection counted since it was made. Read by its thread, shown by `status`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    pub messages: u64,
    pub gaps: u64,
    pub duplicates: u64,
    pub malformed: u64,
    pub snapshots: u64,
    pub changes: u64,
    pub canaries: [u64; Canary::ALL.len()],
}

/// Where a connection's updates say they come from.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub feed: FeedId,
    pub link: u8,
}

impl Source {
    /// An update of `market`.
    pub const fn update(self, market: MarketId, at: Arrival, stamp: UnixMs, kind: Kind) -> Update {
        Update { market, feed: self.feed, link: self.link, at, stamp, kind }
    }
}

/// One connection's market-data protocol, without I/O.
pub trait Feed {
    /// The connection stands; everything desired is asked for.
    fn opened(&mut self, at: Arrival, out: &mut Out);
    /// A text message came. Its bytes are changed in place.
    fn text(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out);
    /// A control frame came.
    fn alive(&mut self, at: Arrival, out: &mut Out);
    /// Time went by. Call a few times a second.
    fn timeout(&mut self, at: Arrival, out: &mut Out);
    /// The detector wants a fresh snapshot of this market.
    fn resnapshot(&mut self, market: MarketId, now: Nanos, out: &mut Out);
    /// What was counted so far.
    fn counts(&self) -> &Counts;
}

/// The hasher of symbol tables. Its keys are fixed: a peer can look symbols up, but never add one.
fn symbols() -> ahash::RandomState {
    ahash::RandomState::with_seeds(0x6b61, 0x6c73, 0x6869, 0x706d)
}

/// More unreadable messages than this within a minute end the connection.
const UNREADABLE_MAX: u32 = 5;

/// A snapshot must follow its request within this.
const SNAPSHOT_WAIT: Nanos = Nanos::secs(5);
/// How often one market's snapshot is asked for before it is given up: a market that its venue has resolved has no book
/// to send, and must not cost the others their connection.
const SNAPSHOT_TRIES: u8 = 3;

/// What a connection's overdue snapshots call for.
#[derive(Debug, Eq, PartialEq)]
enum Overdue {
    Nothing,
    /// Not one book came: the connection is at fault.
    Connection,
    /// Some books came: these markets are at fault.
    Markets,
}

/// Judges from what each market of a connection has: is it synchronised, and when was its snapshot asked for?
fn overdue(markets: impl Iterator<Item = (bool, Option<Nanos>)>, now: Nanos) -> Overdue {
    let (mut late, mut synced) = (false, false);
    for (whole, asked) in markets {
        synced |= whole;
        late |= asked.is_some_and(|asked| SNAPSHOT_WAIT < now.since(asked));
    }
    match (late, synced) {
        (false, _) => Overdue::Nothing,
        (true, false) => Overdue::Connection,
        (true, true) => Overdue::Markets,
    }
}

/// Counts unreadable messages by the minute.
#[derive(Debug, Default)]
struct Strikes {
    since: Nanos,
    count: u32,
}

impl Strikes {
    /// One more; `true` if that is one too many.
    fn strike(&mut self, now: Nanos) -> bool {
        if Nanos::secs(60) < now.since(self.since) {
            *self = Self { since: now, count: 0 };
        }
        self.count += 1;
        UNREADABLE_MAX < self.count
    }
}
