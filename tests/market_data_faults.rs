//! Market data that goes wrong around a plan on its way, and what the ledger says of it. The numbers are those of the
//! fault catalogue.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use std::collections::BTreeSet;

use common::{
    desk::{self, Desk, KALSHI, POLYMARKET, price},
    keeper::{kept, kept_beside},
    line::{Line, kalshi_delta, kalshi_snapshot, polymarket_book, polymarket_change},
};
use orion::{
    book::Unfit,
    decide::Reason,
    ledger::audit::Fate,
    order::plan::Ending,
    risk::Latch,
    run::{
        event::{Control, Event, Fill, What},
        keep::Told,
    },
    unit::{BookSide, MarketId, Money, Nanos, Outcome, Qty, UnixMs, Venue},
    wire::Kind,
};

const MS: fn(u64) -> Nanos = Nanos::millis;
/// Each venue's cash when a desk opens.
const HALF: Money = Money::dollars(5_000);

/// What becomes of a plan whose orders arrive after 30 ms at Kalshi and after 60 ms at Polymarket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Course {
    /// Both legs fill in equal shares.
    BothFill,
    /// Polymarket's offer is gone on arrival: what Kalshi filled is sold again.
    KalshiAlone,
    /// The other way round.
    PolymarketAlone,
    /// As `KalshiAlone`, and nobody buys it back: it stands alone until its market pays.
    NobodyBuys,
}

impl Course {
    const ALL: [Self; 4] = [Self::BothFill, Self::KalshiAlone, Self::PolymarketAlone, Self::NobodyBuys];

    /// A plan that has just left.
    fn begin() -> Line {
        let mut line = Line::before(Desk::with(|setup| setup.paper.latency = [MS(30), MS(60)]));
        line.change("SELL", "0.46", "0");
        line.change("SELL", "0.53", "100");
        line.change("BUY", "0.52", "100");
        assert_eq!(line.desk.planned(), 1, "YES at 0.46 on Kalshi, NO at 0.48 on Polymarket");
        line
    }

    /// What the venues' books do while it is on its way, ten milliseconds on.
    fn disturb(self, line: &mut Line) {
        match self {
            Self::BothFill => {}
            Self::KalshiAlone => Self::no_bids(line),
            Self::PolymarketAlone => line.delta("no", "0.5400", "-100.00"),
            Self::NobodyBuys => {
                Self::no_bids(line);
                line.delta("yes", "0.4400", "-100.00");
            }
        }
    }

    /// Nothing is left on Polymarket to complete the other leg with, at any price.
    fn no_bids(line: &mut Line) {
        line.change("BUY", "0.52", "0");
        line.change("BUY", "0.44", "0");
    }

    /// When something may change: every five milliseconds at first, later every hundred.
    fn moments() -> impl Iterator<Item = u64> {
        (0..=250).step_by(5).chain((300..=3_600).step_by(100))
    }
}

/// The grid of one venue's market changes, and the book on the new grid comes after so many milliseconds, or not at
/// all.
#[derive(Clone, Copy, Debug)]
struct Regrid {
    venue: Venue,
    finer: bool,
    whole_after: Option<u64>,
}

impl Regrid {
    fn all() -> impl Iterator<Item = Self> {
        Venue::ALL.into_iter().flat_map(|venue| {
            [true, false].into_iter().flat_map(move |finer| {
                [None, Some(5)].into_iter().map(move |whole_after| Self { venue, finer, whole_after })
            })
        })
    }

    const fn market(self) -> MarketId {
        match self.venue {
            Venue::Kalshi => KALSHI,
            Venue::Polymarket => POLYMARKET,
        }
    }

    /// In ten-thousandths.
    const fn unit(self) -> u16 {
        if self.finer { 10 } else { 1_000 }
    }

    fn change(self, line: &mut Line) {
        let step = if self.finer { "0.001" } else { "0.1" };
        match self.venue {
            Venue::Kalshi => line.kalshi(&format!(
                "{{\"type\":\"market_lifecycle_v2\",\"sid\":9,\"seq\":1,\"msg\":{{\"market_ticker\":\"FED-DEC\",\
                 \"event_type\":\"price_level_structure_updated\",\
                 \"price_ranges\":[{{\"start\":\"0.0000\",\"end\":\"1.0000\",\"step\":\"{step}0\"}}]}}}}",
            )),
            Venue::Polymarket => line.polymarket(&format!(
                "{{\"event_type\":\"tick_size_change\",\"asset_id\":\"111\",\"new_tick_size\":\"{step}\"}}"
            )),
        }
    }

    /// The first whole book on the new grid; no price of it lies on the old one, or the other way round.
    fn whole(self, line: &mut Line) {
        match self.venue {
            Venue::Kalshi => {
                let (yes, no) = if self.finer { ("0.4390", "0.5410") } else { ("0.4000", "0.5000") };
                line.seq += 1;
                line.kalshi(&kalshi_snapshot(line.seq, &[(yes, "100.00")], &[(no, "100.00")]));
            }
            Venue::Polymarket => {
                let (tick, bid, ask) = if self.finer { ("0.001", "0.521", "0.555") } else { ("0.1", "0.5", "0.6") };
                let book = polymarket_book(&[(bid, "100")], &[(ask, "100")]);
                line.polymarket(&book.replace("\"0.01\"", &format!("\"{tick}\"")));
            }
        }
    }
}

/// One course from end to end, with the change before what happens at the moment `k`. What was told before the change,
/// before the first book on the new grid, and after it.
fn run(course: Course, regrid: Option<(Regrid, u64)>) -> (Desk, [usize; 2]) {
    let mut line = Course::begin();
    let began = line.desk.now;
    let (mut changed, mut whole) = (usize::MAX, usize::MAX);
    for at in Course::moments() {
        line.wait((began + MS(at)).since(line.desk.now));
        if let Some((regrid, k)) = regrid {
            if at == k {
                changed = line.desk.told.len();
                regrid.change(&mut line);
                assert_eq!(line.desk.engine.detector.book(regrid.market()).grid().unit(), regrid.unit());
            }
            if regrid.whole_after.is_some_and(|after| k + after <= at) && whole == usize::MAX {
                whole = line.desk.told.len();
                regrid.whole(&mut line);
                assert_eq!(line.fit(regrid.market()), Ok(()));
            }
        }
        if at == 10 {
            course.disturb(&mut line);
        }
    }
    assert_eq!(line.lost, None);
    if line.desk.engine.plans() != 0 {
        for market in [KALSHI, POLYMARKET] {
            line.desk.hear(market, Kind::Settled { yes_payout: Money::ZERO });
        }
        // An order that was on its way arrives at a market that is closed.
        line.desk.silence(Nanos::secs(1));
    }
    (line.desk, [changed, whole])
}

fn fills(told: &[Event]) -> impl Iterator<Item = Fill> {
    told.iter().filter_map(|event| match event.what {
        What::Filled { fill, .. } => Some(fill),
        _ => None,
    })
}

/// Ending, paired, naked.
fn ending(desk: &Desk) -> (Ending, Qty, Qty) {
    let mut ended = desk.told.iter().filter_map(|event| match event.what {
        What::PlanEnded { state, paired, naked, .. } => Some((state, paired, naked)),
        _ => None,
    });
    let only = ended.next().expect("the plan ended");
    assert!(ended.next().is_none(), "once");
    only
}

/// What each market is left with by its fills, and cash by them.
fn counted(desk: &Desk) -> ([Qty; 2], Money) {
    let (mut held, mut cash) = ([Qty::ZERO; 2], HALF + HALF);
    for fill in fills(&desk.told) {
        let leg = &mut held[fill.venue as usize];
        if fill.bought {
            *leg = leg.checked_add(fill.qty).unwrap();
            cash -= fill.price.cost(fill.qty) + fill.fee;
        } else {
            assert!(fill.qty <= *leg, "only what is held is sold");
            *leg = leg.saturating_sub(fill.qty);
            cash += fill.price.proceeds(fill.qty) - fill.fee;
        }
    }
    let paid = desk.told.iter().map(|event| match event.what {
        What::Settled { paid, .. } => paid,
        _ => Money::ZERO,
    });
    (held, cash + paid.sum())
}

fn books_fit_together(desk: &Desk, what: &str) {
    let (_, paired, naked) = ending(desk);
    let (held, cash) = counted(desk);
    assert_eq!(held[0].min(held[1]), paired, "{what}");
    assert_eq!(held[0].max(held[1]).saturating_sub(paired), naked, "{what}");
    let accounts: Money = desk.engine.detector.budget().accounts().map(|(_, _, account)| account.cash).sum();
    assert_eq!(accounts, cash, "{what}");
    assert_eq!(desk.engine.detector.plans(), 0, "{what}");
    assert!(desk.engine.detector.budget().accounts().all(|(_, _, account)| account.reserved == Money::ZERO), "{what}");
}

/// The same from the rows of the database alone.
fn ledger_fits(desk: &Desk, what: &str) {
    let kept = kept(&desk.told);
    let books = kept.reader.recompute([(Venue::Kalshi, HALF), (Venue::Polymarket, HALF)]).unwrap();
    assert_eq!(books.odd, Vec::<String>::new(), "{what}");
    for venue in &books.venues {
        assert_eq!(venue.cash, desk.engine.detector.budget().account(venue.venue, 0).cash, "{what}");
    }
    let realised: Money = books.venues.iter().map(|venue| venue.realised).sum();
    assert_eq!(realised, desk.engine.detector.budget().realised_today(), "{what}");
}

#[test]
fn each_course_ends_as_its_name_says_when_no_grid_changes() {
    let tried: Vec<_> = Course::ALL.into_iter().map(|course| (course, run(course, None).0)).collect();
    for (course, desk) in &tried {
        let all = Qty::whole(100);
        let wanted = match course {
            Course::BothFill => (Ending::Filled, all, Qty::ZERO),
            Course::KalshiAlone | Course::PolymarketAlone => (Ending::Unwound, Qty::ZERO, Qty::ZERO),
            Course::NobodyBuys => (Ending::Naked, Qty::ZERO, all),
        };
        assert_eq!(ending(desk), wanted, "{course:?}");
        books_fit_together(desk, &format!("{course:?}"));
        // A change before every event, between all of them, and after the last one.
        let events: BTreeSet<u64> = desk.told.iter().filter(|e| of_a_plan(&e.what)).map(|e| e.at.raw()).collect();
        let start = *events.first().unwrap();
        let moments: Vec<u64> = Course::moments().map(|at| start + at).collect();
        let events: Vec<u64> = events.into_iter().collect();
        for pair in events.windows(2).filter(|pair| pair[1] <= *moments.last().unwrap()) {
            assert!(moments.iter().any(|at| pair[0] < *at && *at <= pair[1]), "{course:?}: between {pair:?}");
        }
        // What nobody buys ends when its market pays.
        assert!(*course == Course::NobodyBuys || events.last() < moments.last(), "{course:?}");
    }
}

const fn of_a_plan(what: &What) -> bool {
    matches!(what, What::Planned { .. } | What::Filled { .. } | What::PlanEnded { .. })
}

/// Fault 7.
#[test]
fn a_tick_change_at_any_step_of_any_plan_leaves_no_fill_on_the_old_grid_and_a_ledger_that_fits() {
    let mut endings = BTreeSet::new();
    let mut runs = 0_u32;
    for course in Course::ALL {
        for regrid in Regrid::all() {
            for k in Course::moments() {
                let (desk, [changed, whole]) = run(course, Some((regrid, k)));
                let what = format!("{course:?}, {regrid:?} at {k} ms");
                assert_eq!(desk.planned(), 1, "{what}: nothing new on a void book");
                let market = regrid.market();
                let void = &desk.told[changed..whole.min(desk.told.len())];
                assert!(fills(void).all(|fill| fill.market != market), "{what}: a fill on a void book");
                let anew = &desk.told[whole.min(desk.told.len())..];
                for fill in fills(anew).filter(|fill| fill.market == market) {
                    let yes = if fill.outcome == Outcome::Yes { fill.price } else { fill.price.complement() };
                    assert_eq!(yes.raw() % regrid.unit(), 0, "{what}: filled at {yes}, off the new grid");
                }
                books_fit_together(&desk, &what);
                endings.insert(ending(&desk).0.name());
                runs += 1;
                // Every run's books are counted; the database, which costs a file each, counts some of them again.
                if runs.is_multiple_of(41) {
                    ledger_fits(&desk, &what);
                }
            }
        }
    }
    assert_eq!(endings.into_iter().collect::<Vec<_>>(), ["filled", "missed", "naked", "unwound"], "all ways out");
}

#[test]
fn an_order_that_found_nothing_left_is_a_missed_opportunity_in_the_ledger_and_its_reason_is_gone() {
    let mut desk = Desk::new();
    desk.offer(4_500, 5_000);
    // Before either order arrives both levels are gone.
    desk.hear(KALSHI, Kind::Level { side: BookSide::Ask, price: price(4_500), qty: Qty::ZERO });
    desk.hear(POLYMARKET, Kind::Level { side: BookSide::Bid, price: price(5_000), qty: Qty::ZERO });
    desk.pass(Nanos::secs(1));
    let kept = kept(&desk.told);
    let reasons = kept.reader.reasons(UnixMs::new(0)).unwrap();
    let seen: Vec<_> = reasons.iter().map(|r| (r.outcome, r.reason.as_str(), r.times)).collect();
    assert_eq!(seen, [(Fate::Missed, Reason::Gone.code(), 1)]);
    let latest = kept.reader.latest_opportunities(5).unwrap();
    assert_eq!(latest[0].opportunity.reason.as_deref(), Some(Reason::Gone.code()));
    assert!(latest[0].opportunity.plan_id.is_some() && latest[0].opportunity.ended_at.is_some());
    let shown = &kept.snapshot.reasons;
    assert!(shown.iter().any(|line| line.code == Reason::Gone.code() && line.count == 1), "{shown:?}");
    let told = kept.told.iter().any(|told| matches!(told, Told::Ended { state: Ending::Missed, .. }));
    assert!(told, "and a person is told: {:?}", kept.told);
}

/// Fault 64: the feed's thread counts, the keeper acts.
#[test]
fn a_reconnect_storm_makes_the_latch_fall() {
    let kept = kept_beside(&[], 1);
    assert!(matches!(kept.controls.try_recv(), Ok(Control::Halt { latch: Latch::ReconnectStorm })));
    assert!(kept.controls.try_recv().is_err(), "once a storm");
    assert!(kept_beside(&[], 0).controls.try_recv().is_err());
}

/// A quarter of a second of frames on both streams, each so old when it comes.
fn stream(line: &mut Line, latency: Nanos) {
    for _ in 0..5 {
        let stamp = UnixMs::new(desk::at(line.desk.now).unix.raw() - latency.raw() / 1_000_000);
        line.polymarket(&polymarket_change(stamp, "BUY", "0.43", "7"));
        line.seq += 1;
        let delta = kalshi_delta(line.seq, "yes", "0.3000", "1.00");
        line.kalshi(&delta.replace("\"side\":", &format!("\"ts_ms\":{},\"side\":", stamp.raw())));
        line.wait(MS(50));
    }
}

/// Fault 62.
#[test]
fn a_latency_a_hundred_times_the_usual_makes_both_books_unfit_until_it_is_over() {
    let mut line = Line::open();
    for (latency, wanted) in [(20, Ok(())), (2_000, Err(Unfit::Lagging)), (20, Ok(())), (3_000, Err(Unfit::Lagging))] {
        stream(&mut line, MS(latency));
        assert_eq!((line.fit(KALSHI), line.fit(POLYMARKET)), (wanted, wanted), "{latency} ms");
    }
    // An edge that shows itself meanwhile is not taken; a plan that is under way finds nothing on books that lag.
    line.change("SELL", "0.46", "0");
    line.kalshi(&kalshi_snapshot(line.seq + 1, &[("0.4400", "100.00")], &[("0.5400", "100.00")]));
    line.seq += 1;
    stream(&mut line, MS(3_000));
    let late = UnixMs::new(desk::at(line.desk.now).unix.raw() - 3_000);
    line.polymarket(&polymarket_change(late, "BUY", "0.52", "100"));
    assert_eq!(line.desk.planned(), 0);
    let mut line = Course::begin();
    stream(&mut line, MS(3_000));
    assert_eq!((ending(&line.desk).0, fills(&line.desk.told).count()), (Ending::Missed, 0));
}

/// Fault 62: our own way to the venue. The books that are met are those that stand on arrival.
#[test]
fn an_order_that_takes_a_hundred_times_as_long_meets_the_books_that_stand_by_then() {
    let mut line = Line::before(Desk::with(|setup| setup.paper.latency = [Nanos::secs(5); 2]));
    line.change("SELL", "0.46", "0");
    line.change("BUY", "0.52", "100");
    assert_eq!(line.desk.planned(), 1);
    line.live(Nanos::secs(4), Line::answer);
    line.change("BUY", "0.52", "0");
    line.delta("no", "0.5400", "-100.00");
    line.live(Nanos::secs(4), Line::answer);
    assert_eq!((ending(&line.desk).0, fills(&line.desk.told).count()), (Ending::Missed, 0));
}
