//! The edge of a pair: what buying one leg on each venue pays beyond its cost and both fees.
//!
//! Each direction is two legs, and each leg takes one side of one book: taking asks buys YES at the ask, taking bids
//! buys NO at one dollar minus the bid. With costs written that way both directions, and inverted pairs, are the same
//! sum: edge = 1 − cost − cost − fee − fee. A change that leaves the touch of the side a leg takes where it was cannot
//! change whether there is an edge, and is not looked at again.

use std::fmt;

use super::FeeCurve;
use crate::{
    book::Book,
    unit::{BookSide, Grid, MarketId, Money, Nanos, Outcome, Price, Qty, UnixMs, Venue},
};

/// Dollars per contract in units of 10^-14, signed: the product of a rate in millionths and p · (1 − p) in 10^-8 is
/// exact.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rate(i64);

impl Rate {
    /// Nothing per contract.
    pub const ZERO: Self = Self(0);
    /// One dollar per contract.
    pub const DOLLAR: Self = Self(100_000_000_000_000);

    /// From units of 10^-14 dollars.
    pub const fn new(raw: i64) -> Self {
        Self(raw)
    }

    /// From a price in ten-thousandths, signed.
    pub const fn of_price_units(units: i64) -> Self {
        Self(units * 10_000_000_000)
    }

    /// From micro-dollars per contract.
    pub const fn of_micros(micros: i64) -> Self {
        Self(micros * 100_000_000)
    }

    /// What each contract brings where `qty` of them bring `net` together, rounded down; `qty` is not zero.
    pub fn each(net: Money, qty: Qty) -> Self {
        // 10^-6 dollars per 10^-6 contracts, to 10^-14 dollars.
        let exact = i128::from(net.raw()) * i128::from(Self::DOLLAR.0);
        Self(i64::try_from(exact.div_euclid(i128::from(qty.micros()))).unwrap_or(if net.raw() < 0 {
            i64::MIN
        } else {
            i64::MAX
        }))
    }

    /// Units of 10^-14 dollars.
    pub const fn raw(self) -> i64 {
        self.0
    }

    /// Micro-dollars per contract, rounded down.
    pub const fn micros(self) -> i64 {
        self.0.div_euclid(100_000_000)
    }
}

impl std::ops::Add for Rate {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for Rate {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl fmt::Display for Rate {
    /// Cents per contract, two decimals: `2.50 ¢`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = self.0.div_euclid(10_000_000_000);
        let sign = if hundredths < 0 { "−" } else { "" };
        write!(f, "{sign}{}.{:02} ¢", hundredths.abs() / 100, hundredths.abs() % 100)
    }
}

/// What one market charges, accepts and promises. Filled in by its venue, fixed until the catalogue says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    pub venue: Venue,
    pub fee: FeeCurve,
    pub grid: Grid,
    /// Quantities are multiples of this.
    pub qty_step: Qty,
    /// The smallest order in contracts.
    pub qty_min: Qty,
    /// The smallest marketable buy in money; zero where there is none.
    pub cost_min: Money,
    /// Kalshi's `exchange_index`, whose cash alone pays for this market; 0 on Polymarket.
    pub shard: u8,
    /// How long the venue holds a taker's order before it meets the book.
    pub hold: Nanos,
    /// When trading ends, if announced.
    pub closes: Option<UnixMs>,
    /// The official start of the game, if the market hangs on one.
    pub game: Option<UnixMs>,
    /// When the payout is expected; the latest expiration where nothing better is known.
    pub settles: UnixMs,
}

/// Which leg of the pair is bought where. Named after the venue whose market is bought on the pair's YES side.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    YesKalshi,
    YesPolymarket,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::YesKalshi, Self::YesPolymarket];

    /// What is bought where here is sold where there.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::YesKalshi => Self::YesPolymarket,
            Self::YesPolymarket => Self::YesKalshi,
        }
    }

    /// 0 or 1, for tables.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in the ledger and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::YesKalshi => "YES kalshi",
            Self::YesPolymarket => "YES polymarket",
        }
    }
}

/// One leg of a direction: the market, and the side of its book that the leg takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Take {
    pub market: MarketId,
    pub side: BookSide,
}

impl Take {
    /// What a contract costs when the level at `price` on the YES leg is taken.
    pub const fn cost(self, price: Price) -> Price {
        match self.side {
            BookSide::Ask => price,
            BookSide::Bid => price.complement(),
        }
    }

    /// What the leg buys on its own venue.
    pub const fn buys(self) -> Outcome {
        match self.side {
            BookSide::Ask => Outcome::Yes,
            BookSide::Bid => Outcome::No,
        }
    }
}

/// The two legs of a direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Legs {
    pub kalshi: Take,
    pub polymarket: Take,
}

/// Two markets that pay the same, or the opposite.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pair {
    pub kalshi: MarketId,
    pub polymarket: MarketId,
    /// YES on one is NO on the other.
    pub inverted: bool,
}

impl Pair {
    /// The legs of `direction`.
    pub const fn legs(&self, direction: Direction) -> Legs {
        let kalshi = match direction {
            Direction::YesKalshi => BookSide::Ask,
            Direction::YesPolymarket => BookSide::Bid,
        };
        let opposite = matches!(kalshi, BookSide::Ask);
        let polymarket = if opposite == self.inverted { BookSide::Ask } else { BookSide::Bid };
        Legs {
            kalshi: Take { market: self.kalshi, side: kalshi },
            polymarket: Take { market: self.polymarket, side: polymarket },
        }
    }
}

/// The net edge of a contract that pays these costs.
pub fn net(kalshi: (&FeeCurve, Price), polymarket: (&FeeCurve, Price)) -> Rate {
    Rate::DOLLAR
        - Rate::of_price_units(i64::from(kalshi.1.raw()) + i64::from(polymarket.1.raw()))
        - kalshi.0.per_contract(kalshi.1)
        - polymarket.0.per_contract(polymarket.1)
}

/// How far a walk may go.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// The least marginal edge that is still taken.
    pub threshold: Rate,
    /// Is the threshold met after fees, or before?
    pub net: bool,
    /// How far the worst level taken may lie from the touch, in ten-thousandths; one tick is always allowed.
    pub slippage: u16,
}

impl Reach {
    /// Does a contract at these costs still meet the threshold? Measured before fees it must at least not lose after.
    fn passes(&self, fees: [&FeeCurve; 2], costs: [Price; 2]) -> bool {
        let net = net((fees[0], costs[0]), (fees[1], costs[1]));
        if self.net {
            return self.threshold <= net;
        }
        let gross = net + fees[0].per_contract(costs[0]) + fees[1].per_contract(costs[1]);
        self.threshold <= gross && Rate::ZERO < net
    }
}

/// What walking both ladders together found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Walk {
    /// The largest quantity whose marginal edge still meets the threshold.
    pub qty: Qty,
    /// The worst price to take on each book's YES leg, where `qty` is not zero: Kalshi, Polymarket.
    pub worst: [Option<Price>; 2],
    /// What `qty` costs before fees on each venue.
    pub cost: [Money; 2],
    /// Both fees of `qty`, each level charged at its own price.
    pub fees: [Money; 2],
    /// How many levels `qty` takes on each book.
    pub levels: [u32; 2],
    /// Dollars on offer within the slippage on each book, whatever the other book holds.
    pub depth: [Money; 2],
}

/// Walks both ladders from the touch for the largest quantity whose marginal edge meets the threshold, and for the
/// money on offer within the slippage. `qty_max` ends the walk early. `held` lowers what a level offers (what was taken
/// there already and has not been replenished).
pub fn walk(
    legs: &Legs,
    books: [&Book; 2],
    fees: [&FeeCurve; 2],
    reach: &Reach,
    qty_max: Qty,
    held: impl Fn(MarketId, BookSide, Price) -> Qty,
) -> Walk {
    let mut found = Walk::default();
    let takes = [legs.kalshi, legs.polymarket];
    for venue in 0..2 {
        let (take, book) = (takes[venue], books[venue]);
        for (price, qty) in reachable(take, book, reach.slippage) {
            found.depth[venue] += take.cost(price).cost(qty.saturating_sub(held(take.market, take.side, price)));
        }
    }
    let offers = |venue: usize| {
        let (take, held) = (takes[venue], &held);
        reachable(take, books[venue], reach.slippage).filter_map(move |(price, qty)| {
            let left = qty.saturating_sub(held(take.market, take.side, price));
            (!left.is_zero()).then_some((price, left))
        })
    };
    let mut queues = [Offers::new(offers(0)), Offers::new(offers(1))];
    while found.qty < qty_max {
        let [kalshi, polymarket] = &mut queues;
        let (Some(k), Some(p)) = (kalshi.front(), polymarket.front()) else { break };
        let costs = [takes[0].cost(k.0), takes[1].cost(p.0)];
        if !reach.passes(fees, costs) {
            break;
        }
        let step = k.1.min(p.1).min(qty_max.saturating_sub(found.qty));
        found.qty = found.qty.checked_add(step).expect("bounded by qty_max");
        found.worst = [Some(k.0), Some(p.0)];
        kalshi.take(step);
        polymarket.take(step);
    }
    for venue in 0..2 {
        let mut left = found.qty;
        for (price, offered) in offers(venue) {
            if left.is_zero() {
                break;
            }
            let (taken, cost) = (offered.min(left), takes[venue].cost(price));
            found.cost[venue] += cost.cost(taken);
            found.fees[venue] += fees[venue].at_most(cost, taken, 1);
            found.levels[venue] += 1;
            left = left.saturating_sub(taken);
        }
    }
    found
}

/// The levels that a leg may take: those within the slippage of the touch, or within one tick of it.
fn reachable(take: Take, book: &Book, slippage: u16) -> impl Iterator<Item = (Price, Qty)> + '_ {
    let ladder = book.side(take.side);
    let touch = ladder.best().map(|(price, _)| price);
    let span = touch.map_or(0, |touch| slippage.max(book.grid().step_at(touch)));
    ladder.levels().take_while(move |(price, _)| touch.is_some_and(|touch| touch.raw().abs_diff(price.raw()) <= span))
}

/// A queue of levels of which the front one may be taken in part.
struct Offers<I> {
    rest: I,
    front: Option<(Price, Qty)>,
}

impl<I: Iterator<Item = (Price, Qty)>> Offers<I> {
    fn new(mut rest: I) -> Self {
        let front = rest.next();
        Self { rest, front }
    }

    fn front(&self) -> Option<(Price, Qty)> {
        self.front
    }

    fn take(&mut self, qty: Qty) {
        if let Some((price, left)) = self.front {
            let left = left.saturating_sub(qty);
            self.front = if left.is_zero() { self.rest.next() } else { Some((price, left)) };
        }
    }
}
