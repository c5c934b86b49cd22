//! Books and edges kept up to date by what changed, against books and edges worked out anew: the same, whatever came.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use std::collections::BTreeMap;

use common::desk::{self, Desk, KALSHI, POLYMARKET, price, rate, update, whole};
use orion::{
    book::{Book, Ladder},
    decide::Reason,
    run::event::What,
    spread::{
        Direction, FeeCurve, Legs, Pair, Rate,
        pair::{Reach, walk},
    },
    unit::{BookSide, Grid, MarketId, Money, Nanos, Price, Qty},
    venue::{
        Feed, Out, Source,
        kalshi::{self, KalshiFeed},
        polymarket::{self, PolymarketFeed},
    },
    wire::{Kind, Trading, Update},
};
use proptest::prelude::*;

/// Cases of each property.
const CASES: u32 = 10_000;
const NOW: Nanos = Nanos::secs(1_000);

fn cases() -> ProptestConfig {
    ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() }
}

/// Both sides of a book as plain sorted maps: millionths by price.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Plain([BTreeMap<u16, u64>; 2]);

impl Plain {
    fn set(&mut self, side: BookSide, raw: u16, qty: u64) {
        if qty == 0 {
            self.0[side as usize].remove(&raw);
        } else {
            self.0[side as usize].insert(raw, qty);
        }
    }

    fn at(&self, side: BookSide, raw: u16) -> u64 {
        self.0[side as usize].get(&raw).copied().unwrap_or(0)
    }

    fn of(book: &Book) -> Self {
        let levels = |side| book.side(side).levels().map(|(p, q)| (p.raw(), q.micros())).collect();
        Self([levels(BookSide::Bid), levels(BookSide::Ask)])
    }

    /// Best first, as a leg that takes this side meets them.
    fn levels(&self, side: BookSide) -> Vec<(u16, u64)> {
        let mut levels: Vec<_> = self.0[side as usize].iter().map(|(p, q)| (*p, *q)).collect();
        if side == BookSide::Bid {
            levels.reverse();
        }
        levels
    }

    fn crossed(&self) -> bool {
        let best = [BookSide::Bid, BookSide::Ask].map(|side| self.levels(side).first().map(|level| level.0));
        matches!(best, [Some(bid), Some(ask)] if ask <= bid)
    }

    /// As one snapshot.
    fn book(&self, market: MarketId) -> Book {
        let mut book = wide();
        let mut kinds = vec![Kind::Reset];
        for side in [BookSide::Bid, BookSide::Ask] {
            for (&raw, &qty) in &self.0[side as usize] {
                kinds.push(Kind::Level { side, price: price(raw), qty: Qty::new(qty).unwrap() });
            }
        }
        kinds.push(Kind::Synced);
        for kind in kinds {
            book.apply(&update(market, NOW, kind));
        }
        book
    }
}

fn side() -> impl Strategy<Value = BookSide> {
    prop::bool::ANY.prop_map(|bid| if bid { BookSide::Bid } else { BookSide::Ask })
}

/// A book on cents that holds any price: resting orders keep theirs when a grid becomes coarser.
fn wide() -> Book {
    let mut book = Book::new(Grid::even(100).unwrap(), Trading::Open);
    book.widen(Ladder::any_price());
    book
}

/// A step on a side: the price in cents, and a quantity in hundredths of a contract.
fn steps() -> impl Strategy<Value = Vec<(BookSide, u16, u64)>> {
    prop::collection::vec((side(), 1_u16..100, 0_u64..2_000), 1..40)
}

const HUNDREDTH: u64 = 10_000;

fn fed(feed: &mut dyn Feed, book: &mut Book, texts: &[String]) -> Out {
    let mut out = Out::default();
    for text in texts {
        feed.text(&mut text.clone().into_bytes(), desk::at(NOW), &mut out);
        for update in out.updates.drain(..) {
            if !matches!(update.kind, Kind::Alive) {
                book.apply(&update);
            }
        }
    }
    out
}

fn fixed(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn kalshi_feed() -> KalshiFeed {
    let wanted = kalshi::feed::Wanted { id: KALSHI, ticker: "FED-DEC".into(), event: "FED".into() };
    let mut feed = KalshiFeed::new(source(KALSHI), vec![wanted], false);
    feed.opened(desk::at(NOW), &mut Out::default());
    feed
}

fn polymarket_feed() -> PolymarketFeed {
    let wanted = polymarket::feed::Wanted { id: POLYMARKET, tokens: ["111".into(), "222".into()] };
    let mut feed = PolymarketFeed::new(source(POLYMARKET), vec![wanted]);
    feed.opened(desk::at(NOW), &mut Out::default());
    feed
}

fn source(market: MarketId) -> Source {
    Source { feed: orion::unit::FeedId(market.0 as u8), link: 0 }
}

/// Kalshi's frames of a list of steps, each ending at the quantity it names; and the book that they should end in.
fn kalshi_frames(steps: &[(BookSide, u16, u64)]) -> (Vec<String>, Plain) {
    let mut plain = Plain::default();
    let mut frames = vec![
        r#"{"type":"subscribed","id":1,"msg":{"channel":"orderbook_delta","sid":7}}"#.to_owned(),
        r#"{"type":"orderbook_snapshot","sid":7,"seq":1,"msg":{"market_ticker":"FED-DEC","market_id":"m"}}"#.to_owned(),
    ];
    for (at, &(side, cents, hundredths)) in steps.iter().enumerate() {
        let raw = cents * 100;
        let before = plain.at(side, raw) / HUNDREDTH;
        let sign = if hundredths < before { "-" } else { "" };
        // A NO bid at q is a YES ask at 1 − q.
        let (leg, shown) = if side == BookSide::Bid { ("yes", raw) } else { ("no", Price::DOLLAR - raw) };
        frames.push(format!(
            "{{\"type\":\"orderbook_delta\",\"sid\":7,\"seq\":{},\"msg\":{{\"market_ticker\":\"FED-DEC\",\
             \"market_id\":\"m\",\"price_dollars\":\"0.{shown:04}\",\"delta_fp\":\"{sign}{}\",\"side\":\"{leg}\"}}}}",
            at + 2,
            fixed(before.abs_diff(hundredths)),
        ));
        plain.set(side, raw, hundredths * HUNDREDTH);
    }
    (frames, plain)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn signed_changes_leave_the_book_that_its_final_levels_make(steps in steps()) {
        let (frames, plain) = kalshi_frames(&steps);
        let mut book = wide();
        let mut plainly = plain.book(KALSHI);
        let mut feed = kalshi_feed();
        fed(&mut feed, &mut book, &frames);
        prop_assert_eq!(Plain::of(&book), plain);
        prop_assert_eq!((&book.bids, &book.asks), (&plainly.bids, &plainly.asks));
        prop_assert_eq!((book.doubt(), book.crossed()), (None, plainly.crossed()));
        prop_assert_eq!((feed.counts().changes, feed.counts().gaps), (steps.len() as u64, 0));
        // And the two stay the same when the next snapshot comes.
        for update in whole(KALSHI, NOW, &[(4_000, 5)], &[(6_000, 5)]) {
            book.apply(&update);
            plainly.apply(&update);
        }
        prop_assert_eq!((&book.bids, &book.asks), (&plainly.bids, &plainly.asks));
    }

    #[test]
    fn absolute_changes_leave_the_book_that_its_final_levels_make(steps in steps(), twice in any::<bool>()) {
        let mut plain = Plain::default();
        let mut frames = vec![
            r#"[{"event_type":"book","market":"0xc","asset_id":"111","timestamp":"1790000000000","hash":"","bids":[],"asks":[]}]"#
                .to_owned(),
        ];
        for &(side, cents, hundredths) in &steps {
            plain.set(side, cents * 100, hundredths * HUNDREDTH);
            let (word, mirror) = if side == BookSide::Bid { ("BUY", "SELL") } else { ("SELL", "BUY") };
            let entry = |token: &str, cents: u16, word: &str| {
                let size = fixed(hundredths);
                format!("{{\"asset_id\":\"{token}\",\"price\":\"0.{cents:02}\",\"size\":\"{size}\",\"side\":\"{word}\"}}")
            };
            // The second token's entry mirrors the first's and must change nothing.
            let frame = format!(
                "{{\"event_type\":\"price_change\",\"market\":\"0xc\",\"timestamp\":\"1790000000001\",\
                 \"price_changes\":[{},{}]}}",
                entry("111", cents, word),
                entry("222", 100 - cents, mirror),
            );
            frames.extend(std::iter::repeat_n(frame, 1 + usize::from(twice)));
        }
        let mut book = wide();
        fed(&mut polymarket_feed(), &mut book, &frames);
        let rebuilt = plain.book(POLYMARKET);
        prop_assert_eq!(Plain::of(&book), plain);
        prop_assert_eq!((&book.bids, &book.asks), (&rebuilt.bids, &rebuilt.asks));
        prop_assert_eq!((book.doubt(), book.crossed()), (None, rebuilt.crossed()));
    }

    /// Fault 2: a venue or a proxy that repeats itself.
    #[test]
    fn a_stream_that_stutters_leaves_the_same_book(
        steps in steps(),
        stutters in prop::collection::vec((0_usize..40, 1_usize..10), 0..12),
    ) {
        let (frames, plain) = kalshi_frames(&steps);
        let mut stuttering = Vec::new();
        for (at, frame) in frames.iter().enumerate() {
            stuttering.push(frame.clone());
            for &(_, back) in stutters.iter().filter(|&&(place, _)| place == at) {
                // The last few frames again, in their order.
                stuttering.extend(frames[(at + 1).saturating_sub(back).max(1)..=at.max(1).min(frames.len() - 1)].iter()
                    .take(if at == 0 { 0 } else { back }).cloned());
            }
        }
        let mut feed = kalshi_feed();
        let mut book = wide();
        fed(&mut feed, &mut book, &stuttering);
        prop_assert_eq!(Plain::of(&book), plain);
        prop_assert_eq!(book.doubt(), None);
        let repeated = (stuttering.len() - frames.len()) as u64;
        prop_assert_eq!((feed.counts().duplicates, feed.counts().gaps), (repeated, 0));
    }
}

/// One leg of a walk as the brute force sees it: what a contract costs and how many there are, best first.
#[derive(Clone, Debug)]
struct Offered {
    /// The level's price on the YES leg, its cost, its quantity.
    levels: Vec<(u16, i128, u64)>,
    fee: FeeCurve,
}

/// p · (1 − p) · rate in 10^-14 dollars, in wide integers.
fn exact_fee(fee: &FeeCurve, cost: i128) -> i128 {
    assert_eq!(fee.exponent, 1, "every current schedule");
    i128::from(fee.rate_ppm) * cost * (10_000 - cost)
}

impl Offered {
    fn new(plain: &Plain, side: BookSide, fee: FeeCurve, span: u16) -> Self {
        let all = plain.levels(side);
        let touch = all.first().map_or(0, |level| level.0);
        let near = all.into_iter().filter(|(raw, _)| raw.abs_diff(touch) <= span);
        let cost = |raw: u16| if side == BookSide::Ask { i128::from(raw) } else { i128::from(10_000 - raw) };
        Self { levels: near.map(|(raw, qty)| (raw, cost(raw), qty)).collect(), fee }
    }

    /// The worst level touched when the best `qty` are taken.
    fn worst(&self, qty: u64) -> Option<(u16, i128)> {
        let mut left = qty;
        for &(raw, cost, held) in &self.levels {
            if left <= held {
                return Some((raw, cost));
            }
            left -= held;
        }
        None
    }

    /// What the best `qty` cost, level by level, each rounded up to a micro-dollar; and in how many levels.
    fn cost(&self, qty: u64) -> (i128, i128, u32) {
        let (mut left, mut cost, mut fees, mut levels) = (qty, 0, 0, 0);
        for &(_, each, held) in &self.levels {
            let taken = i128::from(held.min(left));
            if taken == 0 {
                break;
            }
            cost += (taken * each + 9_999) / 10_000;
            let step = i128::from(self.fee.step);
            let exact = exact_fee(&self.fee, each) * taken;
            let trade = (exact + step * 100_000_000_000_000 - 1) / (step * 100_000_000_000_000) * step;
            fees += if self.fee.rate_ppm == 0 { 0 } else { trade + i128::from(self.fee.account_step) };
            levels += 1;
            left -= taken as u64;
        }
        (cost, fees, levels)
    }
}

/// The largest quantity whose last contract still meets the threshold, by trying every end of a level.
fn brute_force(offers: &[Offered; 2], reach: &Reach, most: u64) -> u64 {
    let mut ends = vec![most];
    for offered in offers {
        let mut sum = 0;
        for level in &offered.levels {
            sum += level.2;
            ends.push(sum.min(most));
        }
    }
    let passes = |qty: u64| {
        let (Some(k), Some(p)) = (offers[0].worst(qty), offers[1].worst(qty)) else { return false };
        let gross = (10_000 - k.1 - p.1) * 10_000_000_000;
        let net = gross - exact_fee(&offers[0].fee, k.1) - exact_fee(&offers[1].fee, p.1);
        let threshold = i128::from(reach.threshold.raw());
        if reach.net { threshold <= net } else { threshold <= gross && 0 < net }
    };
    ends.into_iter().filter(|&qty| 0 < qty && passes(qty)).max().unwrap_or(0)
}

fn ladder(best: std::ops::Range<u16>, worse: i16) -> impl Strategy<Value = Vec<(u16, u64)>> {
    let level = (0_u16..3, 1_u64..50_000_000);
    (best, prop::collection::vec(level, 0..7)).prop_map(move |(best, rest)| {
        let mut raw = best * 50;
        let mut levels = Vec::new();
        for (gap, qty) in rest {
            levels.push((raw.clamp(50, 9_950), qty));
            raw = raw.saturating_add_signed(worse * (gap as i16 + 1) * 50);
        }
        levels
    })
}

/// Two books around 0.50, crossed between the venues more often than not.
fn books() -> impl Strategy<Value = [Plain; 2]> {
    let side = |side: BookSide, levels: Vec<(u16, u64)>| (side, levels);
    let asks = || ladder(70..130, 1).prop_map(move |l| side(BookSide::Ask, l));
    let bids = || ladder(70..130, -1).prop_map(move |l| side(BookSide::Bid, l));
    (bids(), asks(), bids(), asks()).prop_map(|(kb, ka, pb, pa)| {
        [[kb, ka], [pb, pa]].map(|sides| {
            let mut plain = Plain::default();
            for (side, levels) in sides {
                for (raw, qty) in levels {
                    plain.set(side, raw, qty);
                }
            }
            plain
        })
    })
}

fn legs(inverted: bool, direction: Direction) -> Legs {
    Pair { kalshi: KALSHI, polymarket: POLYMARKET, inverted }.legs(direction)
}

fn direction() -> impl Strategy<Value = Direction> {
    prop::sample::select(Direction::ALL.to_vec())
}

fn curves() -> impl Strategy<Value = [FeeCurve; 2]> {
    let kalshi = prop::sample::select(vec![0_u32, 500_000, 1_000_000]);
    let polymarket = prop::sample::select(vec![0_u32, 30_000, 40_000, 50_000, 70_000]);
    (kalshi, polymarket).prop_map(|(multiplier, rate)| {
        [kalshi::fee_curve("quadratic", multiplier).unwrap(), polymarket::fee_curve(rate, 1).unwrap()]
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_walk_takes_exactly_what_brute_force_over_all_levels_finds(
        plains in books(), fees in curves(), direction in direction(), inverted in any::<bool>(),
        threshold in -300_i64..600, net in any::<bool>(), slippage in 0_u16..500, most in 1_u64..200_000_000,
    ) {
        let (legs, reach) = (legs(inverted, direction), Reach { threshold: rate(threshold), net, slippage });
        let takes = [legs.kalshi, legs.polymarket];
        let books = [plains[0].book(KALSHI), plains[1].book(POLYMARKET)];
        let offers = [0, 1].map(|v: usize| Offered::new(&plains[v], takes[v].side, fees[v], slippage.max(100)));
        let wanted = brute_force(&offers, &reach, most);
        let found = walk(&legs, [&books[0], &books[1]], [&fees[0], &fees[1]], &reach, Qty::new(most).unwrap(), |_, _, _| Qty::ZERO);
        prop_assert_eq!(found.qty.micros(), wanted);
        for (v, offered) in offers.iter().enumerate() {
            let worst = offered.worst(wanted).filter(|_| 0 < wanted).map(|w| w.0);
            prop_assert_eq!(found.worst[v].map(Price::raw), worst);
            let (cost, charged, levels) = offered.cost(wanted);
            prop_assert_eq!(i128::from(found.cost[v].raw()), cost);
            prop_assert_eq!(i128::from(found.fees[v].raw()), charged);
            prop_assert_eq!(found.levels[v], levels);
            let depth: i128 = offered.levels.iter().map(|(_, cost, qty)| (cost * i128::from(*qty) + 9_999) / 10_000).sum();
            prop_assert_eq!(i128::from(found.depth[v].raw()), depth);
        }
        if wanted < most {
            // No further lot meets the threshold: not even one millionth of a contract more.
            prop_assert_eq!(brute_force(&offers, &reach, wanted + 1), wanted);
        }
    }
}

/// One step of a market's life in the detector: which market, side, price in half cents, quantity in hundredths.
fn market_steps() -> impl Strategy<Value = Vec<(bool, BookSide, u16, u64)>> {
    prop::collection::vec((any::<bool>(), side(), 80_u16..120, prop_oneof![Just(0_u64), 500_u64..50_000]), 1..30)
}

/// Gross and net at the touch in 10^-14 dollars, from the plain maps; `None` where a side is empty.
fn touch(plains: &[Plain; 2], legs: &Legs, fees: &[FeeCurve; 2]) -> Option<(i128, i128)> {
    let takes = [legs.kalshi, legs.polymarket];
    let cost = |v: usize| Some(Offered::new(&plains[v], takes[v].side, fees[v], 0).levels.first()?.1);
    let costs = [cost(0)?, cost(1)?];
    let gross = (10_000 - costs[0] - costs[1]) * 10_000_000_000;
    Some((gross, gross - exact_fee(&fees[0], costs[0]) - exact_fee(&fees[1], costs[1])))
}

fn open_desk(inverted: bool) -> Desk {
    Desk::with(|setup| {
        setup.markets[0].terms.grid = Grid::even(50).unwrap();
        setup.pairs[0].pair.inverted = inverted;
        setup.limits.auto_execute = false;
        setup.rules.edge_max = Rate::DOLLAR;
        setup.rules.yield_min_ppm = i64::MIN;
        setup.rules.threshold = Rate::new(1);
        setup.rules.trade_min = Money::ZERO;
    })
}

/// What a detector holds open of each direction: the number of the sighting, the best net told, the last reason.
type Open = [Option<(u64, Rate, Option<Reason>)>; 2];

fn follow(desk: &mut Desk, open: &mut Open) -> Vec<(Direction, orion::decide::Quote, Option<Reason>)> {
    let mut news = Vec::new();
    for event in desk.told.drain(..) {
        match event.what {
            What::Sighted { id, direction, quote, reason, .. } => {
                let best = open[direction.index()].map_or(quote.net, |(_, net, _)| net.max(quote.net));
                open[direction.index()] = Some((id, best, reason));
                news.push((direction, quote, reason));
            }
            What::Ended { id } => {
                let slot = open.iter_mut().find(|slot| slot.is_some_and(|(held, _, _)| held == id));
                *slot.expect("only what is open ends") = None;
            }
            _ => {}
        }
    }
    news
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_detector_sees_the_best_edge_of_each_direction_that_brute_force_sees(
        steps in market_steps(), inverted in any::<bool>(),
    ) {
        let mut desk = open_desk(inverted);
        desk.book(KALSHI, &[], &[]).book(POLYMARKET, &[], &[]);
        let fees = [desk::kalshi_terms().fee, desk::polymarket_terms(desk::POLITICS).fee];
        let mut plains = [Plain::default(), Plain::default()];
        let mut open: Open = [None; 2];
        let mut changes = [0_u8; 2];
        for &(on_kalshi, side, half_cents, hundredths) in &steps {
            let (v, market) = if on_kalshi { (0, KALSHI) } else { (1, POLYMARKET) };
            let (raw, qty) = (half_cents * 50, hundredths * HUNDREDTH);
            let kind = if on_kalshi {
                Kind::Change { side, price: price(raw), change: qty as i64 - plains[0].at(side, raw) as i64 }
            } else {
                Kind::Level { side, price: price(raw), qty: Qty::new(qty).unwrap() }
            };
            plains[v].set(side, raw, qty);
            let before = open;
            desk.hear(market, kind);
            let news = follow(&mut desk, &mut open);
            for direction in Direction::ALL {
                let (slot, legs) = (direction.index(), legs(inverted, direction));
                let edge = touch(&plains, &legs, &fees).filter(|(gross, _)| 0 < *gross);
                prop_assert_eq!(open[slot].is_some(), edge.is_some(), "an edge is open exactly while the touch is crossed");
                if before[slot].is_none() {
                    changes[slot] = 0;
                }
                for (_, quote, reason) in news.iter().filter(|(d, _, _)| *d == direction) {
                    let (gross, net) = edge.expect("told only while crossed");
                    prop_assert_eq!((i128::from(quote.gross.raw()), i128::from(quote.net.raw())), (gross, net));
                    let doubtful = plains.iter().any(Plain::crossed);
                    prop_assert_eq!(matches!(reason, Some(Reason::Book(..))), doubtful, "{:?}", reason);
                    prop_assert!(doubtful || *reason == Some(Reason::Fees) || 0 < net, "{:?}", reason);
                    changes[slot] += 1;
                }
                if let (Some((_, net)), Some((_, best, _))) = (edge, open[slot]) {
                    // A better edge than any told before is told, until the sighting has said enough.
                    prop_assert!(net <= i128::from(best.raw()) || 8 < changes[slot]);
                }
            }
        }
        for (plain, market) in plains.iter().zip([KALSHI, POLYMARKET]) {
            prop_assert_eq!(&Plain::of(desk.engine.detector.book(market)), plain);
        }
        // A detector that is shown the final books at once comes to the same view, down to the reason.
        let mut anew = open_desk(inverted);
        for (plain, market) in plains.iter().zip([KALSHI, POLYMARKET]) {
            let levels = |side| plain.levels(side).into_iter().map(move |(raw, qty)| Kind::Level { side, price: price(raw), qty: Qty::new(qty).unwrap() });
            let kinds = std::iter::once(Kind::Reset).chain(levels(BookSide::Bid)).chain(levels(BookSide::Ask)).chain([Kind::Synced]);
            let updates: Vec<Update> = kinds.map(|kind| update(market, anew.now, kind)).collect();
            for update in &updates {
                anew.engine.apply(update);
            }
        }
        anew.turn();
        let mut fresh: Open = [None; 2];
        follow(&mut anew, &mut fresh);
        for slot in 0..2 {
            prop_assert_eq!(fresh[slot].is_some(), open[slot].is_some());
            if let (Some((_, _, reason)), Some((_, _, kept))) = (fresh[slot], open[slot])
                && changes[slot] <= 8
            {
                prop_assert_eq!(reason, kept);
            }
        }
    }

    #[test]
    fn what_is_planned_fits_both_venues_and_still_pays_after_rounding(
        plains in books(), threshold in 0_i64..300, bankroll in 5_i64..400, rate_ppm in prop::sample::select(vec![0_u32, 40_000, 50_000]),
        step in prop::sample::select(vec![1_u64, 10_000, 1_000_000]),
    ) {
        let mut desk = Desk::at_rate(rate_ppm, |setup| {
            setup.rules.edge_max = Rate::DOLLAR;
            setup.rules.threshold = rate(threshold);
            setup.markets[1].terms.qty_step = Qty::new(step).unwrap();
            let half = Money::dollars(bankroll);
            let shares = orion::risk::budget::Shares { trade_ppm: 300_000, event_ppm: 500_000, reserve_ppm: 100_000, daily_loss_ppm: 100_000, drawdown_ppm: 1_000_000 };
            setup.budget = orion::risk::Budget::new(shares, Money::dollars(2 * bankroll), [half; 2], 1);
            for venue in orion::unit::Venue::ALL {
                setup.budget.account_mut(venue, 0).cash = half;
            }
        });
        let free = desk.engine.detector.budget().caps([0, 0], 0);
        let (now, levels) = (desk.now, [KALSHI, POLYMARKET]);
        for (plain, market) in plains.iter().zip(levels) {
            for side in [BookSide::Bid, BookSide::Ask] {
                let kind = |(raw, qty): (u16, u64)| Kind::Level { side, price: price(raw), qty: Qty::new(qty).unwrap() };
                if side == BookSide::Bid {
                    desk.engine.apply(&update(market, now, Kind::Reset));
                }
                for level in plain.levels(side) {
                    desk.engine.apply(&update(market, now, kind(level)));
                }
            }
            desk.engine.apply(&update(market, now, Kind::Synced));
        }
        desk.turn();
        let fees = [desk::kalshi_terms().fee, desk::polymarket_terms(rate_ppm).fee];
        for event in &desk.told {
            let What::Planned { direction, qty, limits, net, .. } = event.what else { continue };
            let legs = legs(false, direction);
            let takes = [legs.kalshi, legs.polymarket];
            prop_assert_eq!(qty.micros() % HUNDREDTH.max(step), 0, "in steps of both venues");
            prop_assert!(Qty::whole(5) <= qty, "Polymarket's minimum, equal on both legs");
            let mut spent = [0_i128; 2];
            for v in 0..2 {
                let offered = Offered::new(&plains[v], takes[v].side, fees[v], 200);
                let (cost, charged, _) = offered.cost(qty.micros());
                prop_assert_eq!(offered.worst(qty.micros()).map(|w| w.0), Some(limits[v].raw()), "the limit is the last level taken");
                spent[v] = cost + charged;
                prop_assert!(spent[v] <= i128::from(free.free[v].raw()), "within the free money of the venue");
                prop_assert!(v == 0 || 1_000_000 <= cost, "Polymarket's smallest buy");
            }
            let total = spent[0] + spent[1];
            prop_assert_eq!(i128::from(net.raw()), i128::from(qty.micros()) - total, "payout minus everything paid");
            prop_assert!(0 < net.raw(), "it still pays after rounding");
            prop_assert!(total <= i128::from(free.trade.min(free.event).raw()), "within the caps of trade and event");
            prop_assert!(1_000_000 <= total, "the operator's smallest trade");
            // The last contract taken still meets the threshold.
            let costs = [takes[0].cost(limits[0]), takes[1].cost(limits[1])].map(|p| i128::from(p.raw()));
            let marginal = (10_000 - costs[0] - costs[1]) * 10_000_000_000 - exact_fee(&fees[0], costs[0]) - exact_fee(&fees[1], costs[1]);
            prop_assert!(i128::from(rate(threshold).raw()) <= marginal);
        }
    }
}
