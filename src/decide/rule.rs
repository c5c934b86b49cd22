//! Threshold, size, hurdle: the only place with an opinion on an edge. Pure; everything it looks at is an argument.
//!
//! A newcomer's mistake to avoid: the threshold is *net*. A gross cent in politics costs almost three in fees.

use super::Reason;
use crate::{
    book::{Book, Fitness, Links},
    spread::{
        Direction, Legs, Pair, Rate, Terms, Walk,
        pair::{self, Reach},
    },
    unit::{BookSide, MarketId, Money, Nanos, PairId, Price, Qty, UnixMs, Venue},
};

/// A year of days, in milliseconds.
const YEAR_MS: u64 = 365 * DAY_MS;
const DAY_MS: u64 = 86_400_000;
/// A lock shorter than this is counted as this long, so that a market that settles in a minute shows no absurd yield.
const LOCK_MIN_MS: u64 = 3_600_000;
const PPM: i128 = 1_000_000;

/// What the operator wants, from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The least marginal edge per contract.
    pub threshold: Rate,
    /// Is the threshold net of fees?
    pub threshold_net: bool,
    /// How far from the touch a limit may lie, in ten-thousandths.
    pub slippage: u16,
    /// Money that must be on offer within the slippage on each book.
    pub depth_min: Money,
    /// The smallest trade in money, both legs and fees together.
    pub trade_min: Money,
    /// The largest trade in contracts: as much may stand alone if the other leg comes to nothing.
    pub naked_qty_max: Qty,
    /// The least yield on the locked money, in millionths a year.
    pub yield_min_ppm: i64,
    /// The longest lock; `None` for any.
    pub lock_max_ms: Option<u64>,
    /// An edge above this is a mistake until proven otherwise.
    pub edge_max: Rate,
    /// The share of the full Kelly stake, in millionths.
    pub kelly_ppm: u32,
    /// No entries within this span before the market closes.
    pub before_close_ms: u64,
    /// No entries within this span before the game starts.
    pub before_game_ms: u64,
    pub fitness: Fitness,
}

/// What capital allows this trade, worked out by the risk stage.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// What one trade may cost, both legs and fees.
    pub trade: Money,
    /// What the event may still take, both venues together.
    pub event: Money,
    /// Free money by venue (and shard).
    pub free: [Money; 2],
    /// What the fractional stake is measured against.
    pub bankroll: Money,
}

/// How plans of this pair end, in millionths.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Odds {
    /// Only the Kalshi leg, only the Polymarket leg is filled.
    pub one_ppm: [u32; 2],
    /// The venues settle the same bet differently.
    pub differ_ppm: u32,
}

impl Odds {
    /// Before anything was seen: one leg in fifty fails on each side; one pair in two hundred settles differently, four
    /// times as many where the rule texts differ in a material tail.
    pub const fn prior(material_tail: bool) -> Self {
        Self { one_ppm: [20_000; 2], differ_ppm: if material_tail { 20_000 } else { 5_000 } }
    }

    /// These, taken for what was thought before, and what happened since. Whether venues settle differently is for the
    /// pairing to know.
    #[must_use]
    pub fn after(self, tally: &Tally) -> Self {
        let ppm = |prior: u32, alone: u32| {
            let ppm = (u64::from(prior) * Tally::WEIGHT + u64::from(alone) * 1_000_000)
                / (Tally::WEIGHT + u64::from(tally.plans));
            u32::try_from(ppm).expect("no more plans stood alone than there were")
        };
        Self { one_ppm: [0, 1].map(|v: usize| ppm(self.one_ppm[v], tally.alone[v])), ..self }
    }
}

/// What came of a pair's plans since its journal began. Plans that bought nothing say nothing of what one leg does
/// alone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Those that bought anything.
    pub plans: u32,
    /// Of those, where only Kalshi's leg, only Polymarket's came to what it was to be.
    pub alone: [u32; 2],
}

impl Tally {
    /// What was thought before weighs as much as this many plans.
    const WEIGHT: u64 = 50;

    /// A plan that bought something is over.
    pub fn note(&mut self, alone: Option<Venue>) {
        self.plans = self.plans.saturating_add(1);
        if let Some(venue) = alone {
            let alone = &mut self.alone[venue as usize];
            *alone = alone.saturating_add(1);
        }
    }
}

/// Everything an opportunity is judged by.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub id: PairId,
    pub pair: &'a Pair,
    pub direction: Direction,
    /// Kalshi's, Polymarket's.
    pub books: [&'a Book; 2],
    pub terms: [&'a Terms; 2],
    /// Why this pair must not be traded, whatever its books say.
    pub barred: Option<Reason>,
    pub odds: Odds,
    /// How many times the smallest order that both venues take may be traded; `None` for any.
    pub times: Option<u64>,
    pub links: &'a Links,
    pub now: Nanos,
    pub unix: UnixMs,
}

/// The figures of an opportunity, for the ledger and for people, whatever becomes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quote {
    /// Cost of the touch on each venue: Kalshi, Polymarket.
    pub cost: [Option<Price>; 2],
    /// Per contract at the touch.
    pub gross: Rate,
    pub fees: Rate,
    pub net: Rate,
    /// What could be had at the threshold.
    pub qty: Qty,
    /// The smaller of both books' money on offer within the slippage.
    pub depth: Money,
    /// Millionths a year on cost and fees.
    pub yearly_ppm: i64,
    /// Until the later venue pays, in milliseconds.
    pub lock_ms: u64,
}

/// A trade worth making: not yet checked against limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intent {
    pub pair: PairId,
    pub direction: Direction,
    pub legs: Legs,
    /// Equal shares on both legs.
    pub qty: Qty,
    /// The worst YES-leg price to take on each book.
    pub limits: [Price; 2],
    /// What `qty` costs, each level at its own price, before fees.
    pub cost: [Money; 2],
    pub fees: [Money; 2],
    /// What remains of the payout.
    pub net: Money,
    /// Whose book has less on offer within the slippage.
    pub thinner: Venue,
    pub quote: Quote,
}

/// Judges one direction of a pair whose touch is crossed.
pub fn decide(
    view: &View<'_>,
    rules: &Rules,
    caps: &Caps,
    held: impl Fn(MarketId, BookSide, Price) -> Qty + Copy,
) -> (Quote, Result<Intent, Reason>) {
    let legs = view.pair.legs(view.direction);
    let mut quote = touch(view, &legs);
    let outcome = judge(view, rules, caps, &legs, &mut quote, held);
    (quote, outcome)
}

fn judge(
    view: &View<'_>,
    rules: &Rules,
    caps: &Caps,
    legs: &Legs,
    quote: &mut Quote,
    held: impl Fn(MarketId, BookSide, Price) -> Qty + Copy,
) -> Result<Intent, Reason> {
    if let Some(reason) = view.barred {
        return Err(reason);
    }
    for (venue, book) in Venue::ALL.into_iter().zip(view.books) {
        book.fit(view.links, &rules.fitness, view.now).map_err(|unfit| Reason::Book(venue, unfit))?;
    }
    timely(view, rules)?;
    if rules.edge_max < quote.gross {
        return Err(Reason::TooGood);
    }
    if quote.net <= Rate::ZERO {
        return Err(Reason::Fees);
    }
    let reach = Reach { threshold: rules.threshold, net: rules.threshold_net, slippage: rules.slippage };
    let fees = [&view.terms[0].fee, &view.terms[1].fee];
    let wanted = pair::walk(legs, view.books, fees, &reach, Qty::MAX, held);
    quote.qty = wanted.qty;
    quote.depth = wanted.depth[0].min(wanted.depth[1]);
    if wanted.qty.is_zero() {
        return Err(Reason::Threshold);
    }
    if quote.depth < rules.depth_min {
        return Err(Reason::Depth);
    }
    quote.yearly_ppm = yearly(quote, quote.lock_ms);
    if rules.lock_max_ms.is_some_and(|most| most < quote.lock_ms) {
        return Err(Reason::TooLong);
    }
    if quote.yearly_ppm < rules.yield_min_ppm {
        return Err(Reason::Yield);
    }
    if expected(view, legs, quote) <= Rate::ZERO {
        return Err(Reason::ExpectedValue);
    }
    let size = |most: Qty| {
        let sized = sized(view, most);
        pair::walk(legs, view.books, fees, &reach, sized, held)
    };
    let held_back = view.times.map(|times| smallest(view, quote).times(times)).filter(|most| *most < wanted.qty);
    let mut taken = size(held_back.unwrap_or(wanted.qty).min(rules.naked_qty_max));
    let stake = caps.trade.min(caps.event).min(kelly(view, quote, rules, caps));
    for _ in 0..3 {
        let Some(less) = fitting(&taken, stake, caps) else { break };
        taken = size(less);
    }
    // What evidence holds back is below the operator's smallest trade on purpose.
    let trade_min = if held_back.is_some() { Money::ZERO } else { rules.trade_min };
    fits(view, trade_min, caps, stake, &taken).map_err(|reason| match reason {
        Reason::VenueMinimum | Reason::TradeMinimum if taken.qty == sized(view, rules.naked_qty_max) => {
            Reason::NakedMax
        }
        reason => reason,
    })?;
    let spent: Money = taken.cost.iter().chain(&taken.fees).copied().sum();
    // Every whole contract pays one dollar: a million micro-dollars for a million millionths.
    let net = Money::micros(taken.qty.micros() as i64) - spent;
    if net <= Money::ZERO {
        return Err(Reason::Fees);
    }
    let (Some(k), Some(p)) = (taken.worst[0], taken.worst[1]) else { return Err(Reason::VenueMinimum) };
    Ok(Intent {
        pair: view.id,
        direction: view.direction,
        legs: *legs,
        qty: taken.qty,
        limits: [k, p],
        cost: taken.cost,
        fees: taken.fees,
        net,
        thinner: if taken.depth[1] < taken.depth[0] { Venue::Polymarket } else { Venue::Kalshi },
        quote: *quote,
    })
}

/// The figures at the touch.
fn touch(view: &View<'_>, legs: &Legs) -> Quote {
    let lock_ms = view.terms.iter().map(|t| t.settles.since(view.unix)).max().unwrap_or(0).max(LOCK_MIN_MS);
    let takes = [legs.kalshi, legs.polymarket];
    let cost = [0, 1].map(|v: usize| view.books[v].side(takes[v].side).best().map(|(price, _)| takes[v].cost(price)));
    let mut quote = Quote { cost, lock_ms, ..Quote::default() };
    if let [Some(k), Some(p)] = cost {
        quote.fees = view.terms[0].fee.per_contract(k) + view.terms[1].fee.per_contract(p);
        quote.net = pair::net((&view.terms[0].fee, k), (&view.terms[1].fee, p));
        quote.gross = quote.net + quote.fees;
        quote.yearly_ppm = yearly(&quote, lock_ms);
    }
    quote
}

fn timely(view: &View<'_>, rules: &Rules) -> Result<(), Reason> {
    for (book, terms) in view.books.iter().zip(view.terms) {
        let closes = book.closes().or(terms.closes);
        if closes.is_some_and(|at| at.since(view.unix) < rules.before_close_ms) {
            return Err(Reason::ClosesSoon);
        }
        if terms.game.is_some_and(|at| at.since(view.unix) < rules.before_game_ms) {
            return Err(Reason::GameSoon);
        }
    }
    Ok(())
}

/// Net over what is paid, scaled to a year.
fn yearly(quote: &Quote, lock_ms: u64) -> i64 {
    let paid = i128::from((Rate::DOLLAR - quote.net).raw());
    let ppm = i128::from(quote.net.raw()) * PPM * i128::from(YEAR_MS) / (paid.max(1) * i128::from(lock_ms.max(1)));
    i64::try_from(ppm).unwrap_or(i64::MAX)
}

/// Edge × P(both legs) − unwind × P(one leg) − worst loss × P(settled differently), per contract.
fn expected(view: &View<'_>, legs: &Legs, quote: &Quote) -> Rate {
    let one: i128 = view.odds.one_ppm.iter().map(|&ppm| i128::from(ppm)).sum();
    let differ = i128::from(view.odds.differ_ppm);
    let mut sum = i128::from(quote.net.raw()) * (PPM - one - differ).max(0);
    for (v, take) in [legs.kalshi, legs.polymarket].into_iter().enumerate() {
        let (book, fee) = (view.books[v], &view.terms[v].fee);
        let Some(cost) = quote.cost[v] else { return Rate::ZERO };
        let back = match take.side {
            BookSide::Ask => book.bids.best().map(|(price, _)| price),
            BookSide::Bid => book.asks.best().map(|(price, _)| price.complement()),
        };
        let lost = match back {
            Some(back) => {
                Rate::of_price_units(i64::from(cost.raw()) - i64::from(back.raw()))
                    + fee.per_contract(cost)
                    + fee.per_contract(back)
            }
            None => Rate::of_price_units(i64::from(cost.raw())) + fee.per_contract(cost),
        };
        sum -= i128::from(lost.raw()) * i128::from(view.odds.one_ppm[v]);
    }
    let worst = Rate::DOLLAR - quote.net;
    sum -= i128::from(worst.raw()) * differ;
    Rate::new(i64::try_from(sum / PPM).unwrap_or(i64::MIN))
}

/// The operator's share of the Kelly stake of a bet that wins `net` per `paid` and loses all of it when the venues
/// settle differently: 1 − f − f · paid / net of the bankroll.
fn kelly(view: &View<'_>, quote: &Quote, rules: &Rules, caps: &Caps) -> Money {
    let (net, paid) = (i128::from(quote.net.raw()), i128::from((Rate::DOLLAR - quote.net).raw()));
    let fail = i128::from(view.odds.differ_ppm);
    let full = (PPM - fail - fail * paid / net.max(1)).clamp(0, PPM);
    caps.bankroll.share((full * i128::from(rules.kelly_ppm) / PPM) as u32)
}

/// `most`, brought to what both venues can trade in equal shares.
fn sized(view: &View<'_>, most: Qty) -> Qty {
    let step = view.terms[0].qty_step.max(view.terms[1].qty_step);
    most.floor_to(step)
}

/// The smallest quantity that both venues take at the touch.
fn smallest(view: &View<'_>, quote: &Quote) -> Qty {
    let step = view.terms[0].qty_step.max(view.terms[1].qty_step);
    let of = |v: usize| {
        let terms = view.terms[v];
        let each = quote.cost[v].map_or(1, |price| u64::from(price.raw())).max(1);
        // In millionths of a contract: micro-dollars over ten-thousandths of a dollar.
        let for_cost = (terms.cost_min.raw().max(0) as u64).saturating_mul(u64::from(Price::DOLLAR)).div_ceil(each);
        terms.qty_min.max(Qty::new(for_cost).unwrap_or(Qty::MAX))
    };
    of(0).max(of(1)).ceil_to(step)
}

/// A smaller quantity if `taken` costs more than is allowed, else `None`.
fn fitting(taken: &Walk, stake: Money, caps: &Caps) -> Option<Qty> {
    let spent = [taken.cost[0] + taken.fees[0], taken.cost[1] + taken.fees[1]];
    let bounds = [(spent[0], caps.free[0]), (spent[1], caps.free[1]), (spent[0] + spent[1], stake)];
    bounds
        .into_iter()
        .filter(|(spent, most)| most < spent)
        .map(|(spent, most)| {
            let scaled =
                i128::from(taken.qty.micros()) * i128::from(most.raw().max(0)) / i128::from(spent.raw().max(1));
            Qty::new(scaled as u64).unwrap_or(Qty::ZERO)
        })
        .min()
}

/// Both venues' minimums and the operator's. What was too small because money ran out is told as that.
fn fits(view: &View<'_>, trade_min: Money, caps: &Caps, stake: Money, taken: &Walk) -> Result<(), Reason> {
    let spent = [taken.cost[0] + taken.fees[0], taken.cost[1] + taken.fees[1]];
    let total = spent[0] + spent[1];
    let short = (0..2).find(|&v| caps.free[v] <= Money::ZERO || caps.free[v] < spent[v]);
    let bounded = |reason: Reason| {
        // Money that is nearly gone: less than a trade's minimum is left of it.
        let venue = (0..2).find(|&v| caps.free[v] < trade_min).map(|v| Reason::Capital(Venue::ALL[v]));
        let event = (caps.event < trade_min).then_some(Reason::EventExposure);
        event.or(venue).unwrap_or(reason)
    };
    if let Some(v) = short {
        return Err(bounded(Reason::Capital(Venue::ALL[v])));
    }
    for (v, terms) in view.terms.into_iter().enumerate() {
        if taken.qty < terms.qty_min || taken.qty.is_zero() || taken.cost[v] < terms.cost_min {
            return Err(bounded(Reason::VenueMinimum));
        }
    }
    if stake < total || total < trade_min {
        return Err(bounded(Reason::TradeMinimum));
    }
    Ok(())
}

/// Days until the later venue pays, in thousandths of a day.
pub const fn lock_millidays(lock_ms: u64) -> u64 {
    lock_ms / (DAY_MS / 1_000)
}
