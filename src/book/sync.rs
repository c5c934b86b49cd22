//! Is this book fit to trade on? Snapshot, grid, market state, crossing, the life of its connection, and its age.
//!
//! A book inside one exchange action may be crossed for a few frames (the venue removes a self-trading owner's orders
//! after adding the new one); it is unfit for that instant and nothing else. Crossed for longer than
//! [`CROSSED_MAX`] means that our copy is wrong.

use super::Ladder;
use crate::{
    unit::{BookSide, FeedId, Grid, Nanos, Price, Qty, UnixMs},
    wire::{Arrival, Canary, Doubt, Kind, Trading, Update},
};

/// How long a book may stay crossed before it is asked for again.
pub const CROSSED_MAX: Nanos = Nanos::millis(250);
/// A connection without any frame for this long is dead, whatever its socket says.
pub const SILENCE_MAX: Nanos = Nanos::secs(15);
/// How long a market stays closed to entries after something unknown touched it.
pub const CANARY_SPAN: Nanos = Nanos::secs(60);
/// A venue stamp further ahead of our wall clock than this is nonsense, not lag.
pub const AHEAD_MAX_MS: u64 = 5_000;

/// What the detector tolerates, from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Fitness {
    /// The most a connection may lag behind its venue.
    pub lag_max: Nanos,
    /// A book that neither moved nor was confirmed over REST for this long is stale.
    pub quiet_max: Nanos,
}

/// Why a book makes no edge now.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Unfit {
    /// The copy itself is in doubt.
    Doubtful(Doubt),
    /// Crossed or locked inside one exchange action.
    Crossed,
    /// The venue does not trade this market now.
    NotOpen,
    /// The connection shows no life.
    Silent,
    /// The stream runs behind the venue.
    Lagging,
    /// Nobody confirmed it for too long.
    Stale,
    /// Something unknown touched it.
    Canary(Canary),
}

/// The life of one connection, as its frames tell it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// When the last frame of any kind came.
    pub heard: Nanos,
    /// How far its newest stamped frame was behind the wall clock on arrival.
    pub lag: Nanos,
    pub up: bool,
}

/// Every connection of every feed thread.
#[derive(Debug)]
pub struct Links {
    links: Vec<[Link; Self::PER_FEED]>,
}

impl Links {
    /// Connections that one feed thread may own.
    pub const PER_FEED: usize = 64;

    /// Room for the connections of `feeds` feed threads.
    pub fn new(feeds: usize) -> Self {
        Self { links: vec![[Link::default(); Self::PER_FEED]; feeds] }
    }

    /// The state of the connection that `update` came by.
    pub fn of(&self, update: &Update) -> &Link {
        &self.links[usize::from(update.feed.0)][usize::from(update.link)]
    }

    /// All connections that were ever heard of.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, &Link)> {
        self.links.iter().enumerate().flat_map(|(feed, links)| {
            links
                .iter()
                .enumerate()
                .map(move |(link, state)| (feed, link, state))
                .filter(|(_, _, s)| s.heard != Nanos::ZERO)
        })
    }

    /// Takes note of a frame. Returns `false` where its stamp makes no sense and was not used.
    pub fn hear(&mut self, update: &Update) -> bool {
        let link = &mut self.links[usize::from(update.feed.0)][usize::from(update.link)];
        link.heard = update.at.now;
        link.up = update.kind != Kind::Lost;
        if update.stamp == UnixMs::default() || update.kind == Kind::Synced {
            // A snapshot is stamped with the book's last change, which may be hours ago; that is not lag.
            return true;
        }
        if update.at.unix.raw() + AHEAD_MAX_MS < update.stamp.raw() {
            return false;
        }
        link.lag = Nanos::millis(update.at.unix.since(update.stamp));
        true
    }
}

/// A market's book on its YES leg.
///
/// Fields stand in the order of their use: a change of a level reads the first cache line and writes the second, and
/// the rest is looked at when an edge is.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Book {
    pub bids: Ladder,
    pub asks: Ladder,
    doubt: Option<Doubt>,
    trading: Trading,
    feed: u8,
    link: u8,
    /// When the book last moved or was confirmed over REST.
    confirmed: Nanos,
    /// When the last frame about this book came.
    touched: Arrival,
    stamp: UnixMs,
    crossed_since: Option<Nanos>,
    closes: Option<UnixMs>,
    grid: Grid,
    canary: Option<(Canary, Nanos)>,
}

const _: () = assert!(size_of::<Book>() <= 192, "a book's own state is three cache lines");

/// What applying an update did, for whoever keeps edges.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Nothing that an edge could depend on.
    None,
    /// Levels or fitness changed.
    Moved,
    /// The copy became doubtful now; a snapshot is needed.
    Doubted(Doubt),
}

impl Book {
    /// An empty, doubtful book for a market on `grid`. The ladders are laid out for exactly that
    /// grid, because memory that is not needed is memory that is cold; a market whose grid becomes finer is given
    /// others with [`Self::widen`].
    pub fn new(grid: Grid, trading: Trading) -> Self {
        let unit = grid.unit();
        Self {
            bids: Ladder::new(BookSide::Bid, unit),
            asks: Ladder::new(BookSide::Ask, unit),
            grid,
            doubt: Some(Doubt::NeverSynced),
            trading,
            crossed_since: None,
            canary: None,
            confirmed: Nanos::ZERO,
            touched: Arrival::default(),
            stamp: UnixMs::default(),
            closes: None,
            feed: 0,
            link: 0,
        }
    }

    /// Brings the book up to date. Costs a store and a compare unless the best level emptied.
    pub fn apply(&mut self, update: &Update) -> Effect {
        self.touched = update.at;
        self.feed = update.feed.0;
        self.link = update.link;
        if update.stamp != UnixMs::default() || update.kind == Kind::Reset {
            self.stamp = update.stamp;
        }
        match update.kind {
            Kind::Change { side, price, change } => {
                if self.doubt.is_some() {
                    return Effect::None; // Changes of a copy that is void already.
                }
                if !self.bids.fits(price) {
                    return self.suspect(Doubt::GridTooFine);
                }
                let Some(qty) = self.side(side).at(price).shifted(change) else {
                    return self.suspect(Doubt::Impossible);
                };
                self.store(side, price, qty, update.at.now)
            }
            Kind::Level { side, price, qty } => {
                if !self.bids.fits(price) {
                    return self.suspect(Doubt::GridTooFine);
                }
                if self.doubt.is_none() || self.filling() {
                    return self.store(side, price, qty, update.at.now);
                }
                Effect::None
            }
            Kind::Reset => {
                self.bids.clear();
                self.asks.clear();
                self.crossed_since = None;
                self.doubt = Some(Doubt::NeverSynced);
                Effect::Moved
            }
            Kind::Synced => {
                // A doubt that arose within the snapshot outlives it.
                if self.filling() {
                    self.doubt = None;
                }
                self.confirmed = update.at.now;
                self.note_crossing(update.at.now);
                Effect::Moved
            }
            Kind::Unfit(doubt) => self.suspect(doubt),
            Kind::Grid(grid) => {
                self.grid = grid;
                if grid.unit() % self.bids.unit() != 0 {
                    return self.suspect(Doubt::GridTooFine);
                }
                self.suspect(Doubt::Regrid)
            }
            Kind::Trading(trading) => {
                self.trading = trading;
                Effect::Moved
            }
            Kind::ClosesAt(at) => {
                self.closes = Some(at);
                Effect::Moved
            }
            Kind::Settled { .. } => {
                self.trading = Trading::Closed;
                Effect::Moved
            }
            Kind::Canary(canary) => {
                self.canary = Some((canary, update.at.now));
                Effect::Moved
            }
            Kind::Alive | Kind::Lost => Effect::None,
        }
    }

    /// Takes ladders that hold any price, laid out beforehand. The book waits for its next snapshot.
    pub fn widen(&mut self, [bids, asks]: [Ladder; 2]) {
        (self.bids, self.asks) = (bids, asks);
        self.crossed_since = None;
        self.doubt = Some(Doubt::Regrid);
    }

    /// The copy is void; says so once.
    pub fn suspect(&mut self, doubt: Doubt) -> Effect {
        if self.doubt == Some(doubt) {
            return Effect::None;
        }
        self.doubt = Some(doubt);
        Effect::Doubted(doubt)
    }

    /// May it be traded on?
    pub fn fit(&self, links: &Links, limits: &Fitness, now: Nanos) -> Result<(), Unfit> {
        if let Some(doubt) = self.doubt {
            return Err(Unfit::Doubtful(doubt));
        }
        if self.crossed_since.is_some() {
            return Err(Unfit::Crossed);
        }
        if self.trading != Trading::Open {
            return Err(Unfit::NotOpen);
        }
        if let Some((canary, seen)) = self.canary
            && now.since(seen) < CANARY_SPAN
        {
            return Err(Unfit::Canary(canary));
        }
        let link = &links.links[usize::from(self.feed)][usize::from(self.link)];
        if !link.up || SILENCE_MAX < now.since(link.heard) {
            return Err(Unfit::Silent);
        }
        // A frame is stamped just before it is read; with every further frame the lag is measured anew.
        if limits.lag_max < link.lag {
            return Err(Unfit::Lagging);
        }
        if limits.quiet_max < now.since(self.confirmed) {
            return Err(Unfit::Stale);
        }
        Ok(())
    }

    /// A look over REST that began at `began` saw this touch. Agreement confirms the book; a difference on a book that
    /// did not move since is proof of a lost frame.
    pub fn look(&mut self, began: Nanos, now: Nanos, bid: Option<(Price, Qty)>, ask: Option<(Price, Qty)>) -> Effect {
        if self.doubt.is_some() || began <= self.touched.now {
            return Effect::None;
        }
        if (self.bids.best(), self.asks.best()) == (bid, ask) {
            self.confirmed = now;
            return Effect::None;
        }
        self.suspect(Doubt::Disagrees)
    }

    /// Crossed for so long that the copy must be wrong.
    pub fn overdue(&mut self, now: Nanos) -> Effect {
        match self.crossed_since {
            Some(since) if CROSSED_MAX < now.since(since) && self.doubt.is_none() => self.suspect(Doubt::Crossed),
            _ => Effect::None,
        }
    }

    /// One side.
    pub fn side(&self, side: BookSide) -> &Ladder {
        match side {
            BookSide::Bid => &self.bids,
            BookSide::Ask => &self.asks,
        }
    }

    /// The prices the market accepts now.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The doubt about the copy, if any.
    pub fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    /// The venue's word on trading.
    pub fn trading(&self) -> Trading {
        self.trading
    }

    /// When the venue said that trading ends, if it moved that time since start.
    pub fn closes(&self) -> Option<UnixMs> {
        self.closes
    }

    /// The venue's stamp of the newest change; 0 after a snapshot that carries none.
    pub fn stamp(&self) -> UnixMs {
        self.stamp
    }

    /// When the last frame about this book came.
    pub fn touched(&self) -> Arrival {
        self.touched
    }

    /// Is the best bid at or above the best ask?
    pub fn crossed(&self) -> bool {
        matches!((self.bids.touch(), self.asks.touch()), (Some(bid), Some(ask)) if ask <= bid)
    }

    /// The feed thread and connection that carry it.
    pub fn source(&self) -> (FeedId, u8) {
        (FeedId(self.feed), self.link)
    }

    /// Between `Reset` and `Synced`.
    fn filling(&self) -> bool {
        self.doubt == Some(Doubt::NeverSynced)
    }

    fn store(&mut self, side: BookSide, price: Price, qty: Qty, now: Nanos) -> Effect {
        match side {
            BookSide::Bid => self.bids.set(price, qty),
            BookSide::Ask => self.asks.set(price, qty),
        }
        if self.filling() {
            return Effect::None;
        }
        self.confirmed = now;
        self.note_crossing(now);
        Effect::Moved
    }

    fn note_crossing(&mut self, now: Nanos) {
        self.crossed_since = if self.crossed() { self.crossed_since.or(Some(now)) } else { None };
    }
}
