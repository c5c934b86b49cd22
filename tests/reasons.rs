//! Every way in which an edge does not become an order has a scenario here that produces it: a reason that nothing can
//! produce is a lie in the ledger, and one that nothing is seen to produce is untested.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use std::collections::HashSet;

use common::desk::{self, DAY_MS, Desk, KALSHI, POLYMARKET, UNIX_START, price, rate};
use orion::{
    book::Unfit,
    decide::{Odds, Reason},
    order::plan::Came,
    risk::{Evidence, Latch, TradingState},
    run::{
        detect::Setup,
        event::{Control, Word},
    },
    unit::{BookSide, Grid, MarketId, Money, Nanos, PairId, Qty, UnixMs, Venue},
    wire::{Canary, Doubt, Kind, Trading},
};

fn market(venue: Venue) -> MarketId {
    match venue {
        Venue::Kalshi => KALSHI,
        Venue::Polymarket => POLYMARKET,
    }
}

/// Five gross cents, 2.27 net, a hundred contracts on each side: taken unless something stands against it.
fn desk(change: impl FnOnce(&mut Setup)) -> Desk {
    Desk::with(change)
}

fn offered(mut desk: Desk) -> Vec<Reason> {
    desk.offer(4_500, 5_000);
    desk.reasons()
}

/// A desk on which something happened to the venue's book, and a touch that crosses.
fn doubted(venue: Venue, doubt: Doubt) -> Vec<Reason> {
    let mut desk = desk(|setup| {
        setup.limits.auto_execute = false;
        // All ladders for finer grids are in use already.
        if doubt == Doubt::GridTooFine {
            setup.regrids = 0;
        }
    });
    let market = market(venue);
    desk.offer(4_500, 5_000);
    match doubt {
        // A book that was never whole: its levels come, and the end of the snapshot does not.
        Doubt::NeverSynced => {
            let (side, price) = match venue {
                Venue::Kalshi => (BookSide::Ask, price(4_500)),
                Venue::Polymarket => (BookSide::Bid, price(5_000)),
            };
            let kinds = [Kind::Reset, Kind::Level { side, price, qty: Qty::ONE }];
            desk.all(&kinds.map(|kind| desk::update(market, Nanos::secs(1_000), kind)));
        }
        Doubt::Gap | Doubt::Malformed | Doubt::Dropped => {
            desk.hear(market, Kind::Unfit(doubt));
        }
        Doubt::Impossible => {
            desk.hear(market, Kind::Change { side: BookSide::Bid, price: price(1_000), change: -1 });
        }
        Doubt::Disconnected => {
            desk.hear(market, Kind::Lost);
        }
        Doubt::Checksum => {
            desk.control(Control::Checksum { market });
        }
        Doubt::Disagrees => {
            desk.pass(Nanos::secs(1));
            let began = desk.now;
            desk.control(Control::Look { market, began, bid: None, ask: None });
        }
        Doubt::Crossed => {
            desk.hear(market, Kind::Level { side: BookSide::Bid, price: price(9_000), qty: Qty::ONE });
            desk.hear(market, Kind::Level { side: BookSide::Ask, price: price(9_000), qty: Qty::ONE });
            desk.hear(market, Kind::Level { side: BookSide::Bid, price: price(9_500), qty: Qty::ONE });
            desk.pass(Nanos::secs(1));
        }
        Doubt::Regrid => {
            // A coarser grid leaves the levels where they are until the next snapshot.
            desk.hear(market, Kind::Grid(Grid::even(500).unwrap()));
        }
        Doubt::GridTooFine => {
            desk.hear(market, Kind::Grid(Grid::even(1).unwrap()));
        }
    }
    desk.reasons()
}

fn canary(venue: Venue, canary: Canary) -> Vec<Reason> {
    let mut desk = desk(|_| {});
    desk.hear(market(venue), Kind::Canary(canary)).offer(4_500, 5_000);
    if canary == Canary::RulesChanged {
        // Until the catalogue was read anew the rules are the reason; after that, the rest of the canary's minute.
        let terms = match venue {
            Venue::Kalshi => desk::kalshi_terms(),
            Venue::Polymarket => desk::polymarket_terms(desk::POLITICS),
        };
        desk.control(Control::Terms { market: market(venue), terms });
    }
    desk.reasons()
}

fn unfit(venue: Venue, unfit: Unfit) -> Vec<Reason> {
    let mut desk = desk(|setup| setup.limits.auto_execute = false);
    let market = market(venue);
    desk.offer(4_500, 5_000);
    match unfit {
        Unfit::Doubtful(doubt) => return doubted(venue, doubt),
        Unfit::Canary(seen) => return canary(venue, seen),
        Unfit::Crossed => {
            let (side, raw) = match venue {
                Venue::Kalshi => (BookSide::Bid, 4_500),
                Venue::Polymarket => (BookSide::Ask, 5_000),
            };
            desk.hear(market, Kind::Level { side, price: price(raw), qty: Qty::ONE });
        }
        Unfit::NotOpen => {
            desk.hear(market, Kind::Trading(Trading::Paused));
        }
        Unfit::Silent => {
            // The other venue goes on talking.
            for _ in 0..20 {
                desk.silence(Nanos::secs(1)).hear(self::market(venue.other()), Kind::Alive);
            }
        }
        Unfit::Lagging => {
            let late = UnixMs::new(desk::at(desk.now).unix.raw() - 30_000);
            desk.stamped(market, late, Kind::Alive).silence(Nanos::millis(200));
        }
        Unfit::Stale => {
            for _ in 0..100 {
                desk.pass(Nanos::secs(1));
                let (other, began) = (self::market(venue.other()), desk.now);
                let book = desk.engine.detector.book(other);
                let (bid, ask) = (book.bids.best(), book.asks.best());
                desk.control(Control::Look { market: other, began, bid, ask });
            }
        }
    }
    desk.reasons()
}

/// The scenario of each reason. The compiler asks for one when a reason is added.
fn scenario(reason: Reason) -> Vec<Reason> {
    match reason {
        Reason::Book(venue, found) => unfit(venue, found),
        Reason::NotApproved | Reason::Refused => offered(desk(|setup| setup.pairs[0].barred = Some(reason))),
        Reason::RulesChanged => {
            let mut desk = desk(|_| {});
            desk.control(Control::Bar { pair: PairId(0), reason: Some(Reason::RulesChanged) });
            offered(desk)
        }
        Reason::TooGood => {
            let mut desk = desk(|_| {});
            desk.offer(4_500, 4_400);
            desk.reasons()
        }
        Reason::Fees => {
            let mut desk = desk(|_| {});
            desk.offer(4_800, 5_100);
            desk.reasons()
        }
        Reason::Threshold => offered(desk(|setup| setup.rules.threshold = rate(300))),
        Reason::Depth => offered(desk(|setup| setup.rules.depth_min = Money::dollars(46))),
        Reason::VenueMinimum => offered(desk(|setup| setup.markets[1].terms.qty_min = Qty::whole(101))),
        Reason::TradeMinimum => offered(desk(|setup| setup.rules.trade_min = Money::dollars(98))),
        Reason::NakedMax => offered(desk(|setup| {
            (setup.rules.trade_min, setup.rules.naked_qty_max) = (Money::dollars(50), Qty::whole(51));
        })),
        Reason::Yield => offered(desk(|setup| setup.rules.yield_min_ppm = 1_000_000)),
        Reason::TooLong => offered(desk(|setup| setup.rules.lock_max_ms = Some(9 * DAY_MS))),
        Reason::ExpectedValue => {
            offered(desk(|setup| setup.pairs[0].odds = Odds { one_ppm: [500_000, 0], differ_ppm: 30_000 }))
        }
        Reason::ClosesSoon => {
            offered(desk(|setup| setup.markets[0].terms.closes = Some(UnixMs::new(UNIX_START + 1_100_000))))
        }
        Reason::GameSoon => {
            offered(desk(|setup| setup.markets[1].terms.game = Some(UnixMs::new(UNIX_START + 1_100_000))))
        }
        Reason::OpenPlan => {
            // The ring to the ledger is full: nothing new is entered.
            let mut desk = desk(|_| {});
            desk.engine.detector.set_room(false);
            offered(desk)
        }
        Reason::CoolDown => {
            // The edge goes and comes back right after its plan ended.
            let mut desk = desk(|_| {});
            desk.offer(4_500, 5_000).pass(Nanos::secs(1)).offer(5_500, 5_000).offer(4_400, 5_100);
            desk.reasons()
        }
        Reason::AutoExecuteOff => offered(desk(|setup| setup.limits.auto_execute = false)),
        Reason::FeeMismatch => {
            let mut desk = desk(|_| {});
            desk.word(Word::FeeOff { market: KALSHI });
            offered(desk)
        }
        Reason::NotArmed => offered(desk(|setup| setup.limits.armed = false)),
        Reason::Ineligible(venue) => {
            let mut desk = desk(|_| {});
            desk.control(Control::Eligible { venue, eligible: false });
            offered(desk)
        }
        Reason::Positions => offered(desk(|setup| setup.limits.positions_max = 0)),
        Reason::EventExposure => offered(desk(|setup| {
            setup.budget.reserve(Venue::Kalshi, 0, 0, Money::dollars(2_000));
            setup.budget.reserve(Venue::Polymarket, 0, 0, Money::dollars(2_000));
            setup.budget.account_mut(Venue::Kalshi, 0).cash = Money::dollars(20_000);
            setup.budget.book(Venue::Kalshi, 0, 0, Money::ZERO, Money::dollars(6_000));
        })),
        Reason::Capital(venue) => offered(desk(|setup| setup.budget.account_mut(venue, 0).cash = Money::ZERO)),
        Reason::OrderRate => offered(desk(|setup| setup.limits.orders_per_second = 1)),
        Reason::Paused => offered(desk(|setup| setup.state = TradingState::Paused)),
        Reason::Halted => {
            let mut desk = desk(|_| {});
            desk.control(Control::Halt { latch: Latch::ReconnectStorm });
            offered(desk)
        }
        Reason::VenueShut(venue) => {
            let mut desk = desk(|_| {});
            desk.word(Word::Shut { venue, span: Nanos::secs(30) });
            offered(desk)
        }
        Reason::Unreconciled => {
            let mut desk = desk(|_| {});
            desk.word(Word::Agrees { clean: false });
            offered(desk)
        }
        Reason::LossLoop => {
            // Three plans were open at start, and each had to close one leg again.
            let mut desk = desk(|setup| setup.open = vec![PairId(0); 3]);
            for _ in 0..3 {
                desk.word(Word::PlanEnded {
                    pair: PairId(0),
                    closed: true,
                    came: Came::Nothing,
                    evidence: Evidence::Uneven,
                    realised: Money::ZERO,
                });
            }
            desk.pass(Nanos::secs(10));
            offered(desk)
        }
        Reason::Foreign => {
            let mut desk = desk(|_| {});
            desk.word(Word::Foreign { market: KALSHI, found: true });
            offered(desk)
        }
        Reason::Gone | Reason::NotReady => unreachable!("of a plan, not of a sighting"),
    }
}

/// Reasons that the ledger writes for a plan that came too late, not the detector for a sighting.
fn of_a_plan(reason: Reason) -> bool {
    matches!(reason, Reason::Gone | Reason::NotReady)
}

#[test]
fn every_reason_is_produced_by_a_scenario_of_its_own() {
    let mut missing = Vec::new();
    for reason in Reason::every().filter(|reason| !of_a_plan(*reason)) {
        let told = scenario(reason);
        if !told.contains(&reason) {
            missing.push((reason, told));
        }
    }
    assert!(missing.is_empty(), "wanted, and told instead: {missing:#?}");
}

#[test]
fn an_order_that_finds_nothing_left_is_a_plan_that_missed() {
    use orion::{order::plan::Ending, run::event::What};
    let mut desk = desk(|_| {});
    desk.offer(4_500, 5_000);
    // Before either order arrives both levels are gone.
    desk.hear(KALSHI, Kind::Level { side: BookSide::Ask, price: price(4_500), qty: Qty::ZERO });
    desk.hear(POLYMARKET, Kind::Level { side: BookSide::Bid, price: price(5_000), qty: Qty::ZERO });
    desk.pass(Nanos::secs(1));
    let endings = desk.told.iter().filter_map(|event| match event.what {
        What::PlanEnded { state, paired, naked, .. } => Some((state, paired, naked)),
        _ => None,
    });
    assert_eq!(endings.collect::<Vec<_>>(), [(Ending::Missed, Qty::ZERO, Qty::ZERO)], "which the ledger calls GONE");
}

#[test]
fn the_scenario_without_its_obstacle_is_taken() {
    let mut desk = desk(|_| {});
    desk.offer(4_500, 5_000);
    assert_eq!((desk.reasons(), desk.planned()), (Vec::new(), 1));
}

#[test]
fn every_reason_is_listed_once_and_has_a_code_and_a_sentence_of_its_own() {
    let all: Vec<Reason> = Reason::every().collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "none is listed twice");
    let mut codes: HashSet<&str> = HashSet::new();
    for reason in &all {
        let code = reason.code();
        assert!(!code.is_empty() && code.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{code}");
        assert!(!reason.sentence().is_empty(), "{code}");
        // A book's reason has one code on both venues, and all canaries share one.
        let shared = matches!(reason, Reason::Book(Venue::Polymarket, _))
            || matches!(reason, Reason::Book(_, Unfit::Canary(seen)) if *seen != Canary::ALL[0]);
        assert_eq!(codes.insert(code), !shared, "{code} of {reason:?}");
    }
    let books = 2 * (Doubt::ALL.len() + Canary::ALL.len() + 5);
    assert_eq!(all.len(), books + 36, "reasons were added: list them in Reason::every");
}
