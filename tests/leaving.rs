//! What is held is sold before its end: early, where both exits pay more than the dollar that waits; and by a person's
//! word, whatever the latch says, within a budget. Never more than is held.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use common::desk::{self, Desk, KALSHI, POLYMARKET, at, price, rate};
use orion::{
    ledger::journal::{self, Record},
    order::{
        Ask, Purpose,
        plan::{Came, Ending, First},
    },
    risk::{Evidence, Latch, TradingState},
    run::{
        detect::Setup,
        event::{Control, FlattenState, FlattenWait, Leave, Ready, What, Withheld, Word},
        execute::{Acts, Unsigned},
        restore::{Known, restore},
    },
    spread::{Direction, Pair},
    unit::{BookSide, MarketId, Money, Nanos, Outcome, PairId, Qty, Tag, UnixMs, Venue},
    wire::Kind,
};

fn intended(desk: &mut Desk) -> Vec<Ask> {
    let bytes = desk.engine.executor.journal_mut().store().bytes().to_vec();
    let records = journal::replay(&bytes, 1, Some(1)).unwrap().records;
    let of = |(_, record)| match record {
        Record::Intended { ask, .. } => Some(ask),
        _ => None,
    };
    records.into_iter().filter_map(of).collect()
}

fn endings(desk: &Desk) -> Vec<Ending> {
    let of = |what| match what {
        What::PlanEnded { state, .. } => Some(state),
        _ => None,
    };
    desk.told.iter().filter_map(|event| of(event.what)).collect()
}

fn held(desk: &Desk) -> [[Qty; 2]; 2] {
    [KALSHI, POLYMARKET].map(|market| desk.engine.executor.holding(market).qty)
}

fn flattened(desk: &Desk) -> Option<FlattenState> {
    let of = |what| match what {
        What::Flatten { state } => Some(state),
        _ => None,
    };
    desk.told.iter().rev().find_map(|event| of(event.what))
}

/// A hundred YES on Kalshi for 0.45, a hundred NO on Polymarket for 0.50; the books have moved on to no edge either
/// way.
fn holding(change: impl FnOnce(&mut Setup)) -> Desk {
    let mut desk = Desk::with(|setup| {
        setup.limits.cooldown = Nanos::secs(1);
        change(setup);
    });
    desk.offer(4_500, 5_000);
    desk.pass(Nanos::secs(2));
    assert_eq!(endings(&desk), [Ending::Filled]);
    let hundred = Qty::whole(100);
    assert_eq!(held(&desk), [[hundred, Qty::ZERO], [Qty::ZERO, hundred]]);
    books(&mut desk, 4_800, 4_900);
    desk
}

/// Both are bid: YES on Kalshi at `yes`, NO on Polymarket at `no`; two cents between bid and ask.
fn books(desk: &mut Desk, yes: u16, no: u16) {
    desk.book(KALSHI, &[(yes, 500)], &[(yes + 200, 500)]);
    let ask = 10_000 - no;
    desk.book(POLYMARKET, &[(ask - 200, 500)], &[(ask, 500)]);
}

#[test]
fn a_pair_whose_exits_pay_more_than_its_dollar_is_sold() {
    let mut desk = holding(|_| {});
    let before = desk.engine.executor.holding(KALSHI).cash + desk.engine.executor.holding(POLYMARKET).cash;
    // 0.56 and 0.49: five cents above the dollar, about three after fees.
    books(&mut desk, 5_600, 4_900);
    desk.pass(Nanos::secs(1));
    assert_eq!(endings(&desk), [Ending::Filled, Ending::Exited]);
    assert_eq!(held(&desk), [[Qty::ZERO; 2]; 2]);
    let after = desk.engine.executor.holding(KALSHI).cash + desk.engine.executor.holding(POLYMARKET).cash;
    assert!(Money::dollars(100) < after - before, "more than the hundred dollars at the end: {:#}", after - before);
    let sales: Vec<_> = intended(&mut desk).into_iter().filter(|ask| ask.purpose == Purpose::Exit).collect();
    assert!(sales.iter().all(|ask| !ask.buys && ask.qty == Qty::whole(100)), "{sales:?}");
    assert_eq!(sales.len(), 2);
    assert_eq!(desk.engine.detector.budget().exposure(0), Money::ZERO);
}

#[test]
fn a_pair_is_kept_where_its_exits_pay_less_or_nobody_may_sell() {
    let kept = |desk: &mut Desk| assert!(intended(desk).iter().all(|ask| ask.purpose == Purpose::Entry));
    // A cent and a half above the dollar before fees: nothing of it is left after them.
    let mut desk = holding(|_| {});
    books(&mut desk, 5_200, 4_950);
    desk.pass(Nanos::secs(1));
    kept(&mut desk);
    let mut desk = holding(|setup| setup.leaving.gain_min = rate(500));
    books(&mut desk, 5_600, 4_900);
    desk.pass(Nanos::secs(1));
    kept(&mut desk);
    for control in [Control::Pause, Control::Halt { latch: Latch::Person }] {
        let mut desk = holding(|_| {});
        desk.control(control);
        books(&mut desk, 5_600, 4_900);
        desk.pass(Nanos::secs(1));
        kept(&mut desk);
    }
    for word in [Word::Agrees { clean: false }, Word::Foreign { market: KALSHI, found: true }] {
        let mut desk = holding(|_| {});
        desk.word(word);
        books(&mut desk, 5_600, 4_900);
        desk.pass(Nanos::secs(1));
        kept(&mut desk);
    }
}

#[test]
fn an_exit_whose_one_leg_finds_nobody_is_bought_back_or_sold_on_whichever_loses_less() {
    // Polymarket's bid is gone on arrival, and the next one is far below: Kalshi's leg is bought back for two cents.
    for (next, ending) in [(3_000, Ending::Unwound), (4_850, Ending::Exited)] {
        let mut desk = holding(|_| {});
        books(&mut desk, 5_600, 4_900);
        assert_eq!(intended(&mut desk).len(), 4, "both sales are on their way");
        desk.hear(POLYMARKET, Kind::Level { side: BookSide::Ask, price: price(5_100), qty: Qty::ZERO });
        desk.hear(POLYMARKET, Kind::Level { side: BookSide::Ask, price: price(10_000 - next), qty: Qty::whole(500) });
        desk.pass(Nanos::secs(1));
        assert_eq!(endings(&desk), [Ending::Filled, ending]);
        let [[yes, _], [_, no]] = held(&desk);
        assert_eq!(yes, no, "nothing stands alone");
        assert_eq!(yes, if ending == Ending::Exited { Qty::ZERO } else { Qty::whole(100) });
        assert_eq!(desk.engine.detector.state(), TradingState::Active);
    }
}

/// What a market holds may be another pair's plan in the making.
#[test]
fn nothing_is_sold_of_a_market_where_another_plan_is_on_its_way_and_nothing_entered_where_it_is_sold() {
    let second = |setup: &mut Setup| {
        setup.markets.push(setup.markets[1].clone());
        let mut other = setup.pairs[0];
        other.pair = Pair { polymarket: MarketId(2), ..other.pair };
        setup.pairs.push(other);
    };
    let mut desk = Desk::with(|setup| {
        second(setup);
        setup.limits.cooldown = Nanos::ZERO;
        // Nothing is entered here.
        setup.rules.depth_min = Money::dollars(1_000_000);
        setup.held = vec![
            (KALSHI, Outcome::Yes, Qty::whole(100), Money::dollars(45)),
            (POLYMARKET, Outcome::No, Qty::whole(100), Money::dollars(50)),
        ];
        // The other pair's plan goes on from an earlier start.
        setup.open = vec![PairId(1)];
    });
    books(&mut desk, 5_600, 4_900);
    desk.pass(Nanos::secs(1));
    assert!(intended(&mut desk).is_empty(), "the other pair's plan may count on Kalshi's contracts");
    let ended = Word::PlanEnded {
        pair: PairId(1),
        closed: false,
        came: Came::Nothing,
        evidence: Evidence::None,
        realised: Money::ZERO,
    };
    desk.word(ended);
    books(&mut desk, 5_600, 4_900);
    desk.pass(Nanos::secs(1));
    assert_eq!(endings(&desk), [Ending::Exited]);
}

/// The executor's own look: what the detector asked for may have gone meanwhile.
#[test]
fn the_executor_sells_nothing_that_is_not_held_for_good() {
    let mut desk = holding(|_| {});
    let pair = Pair { kalshi: KALSHI, polymarket: POLYMARKET, inverted: false };
    let leave = |qty: u32, flatten| {
        Ready::Leave(Leave {
            plan: 99,
            pair: PairId(0),
            legs: pair.legs(Direction::YesPolymarket),
            qty: Qty::whole(qty),
            limits: [Some(price(4_800)), Some(price(4_900))],
            first: First::Together,
            flatten,
        })
    };
    let why = |ready, desk: &mut Desk| {
        let mut acts = Acts::default();
        desk.engine.executor.ready(ready, at(desk.now), &mut Unsigned, &mut acts);
        let withheld = acts.events.iter().find_map(|event| match event.what {
            What::Withheld { why, .. } => Some(why),
            _ => None,
        });
        assert_eq!(withheld.is_some(), acts.sends.is_empty());
        withheld
    };
    assert_eq!(why(leave(101, false), &mut desk), Some(Withheld::NotHeld));
    desk.engine.executor.halt(Latch::Person, &mut Acts::default());
    assert_eq!(why(leave(100, false), &mut desk), Some(Withheld::Halted), "an early exit is no stop");
    assert_eq!(why(leave(100, true), &mut desk), None, "a person's word is legal when halted");
    assert_eq!(why(leave(1, true), &mut desk), Some(Withheld::NotHeld), "a plan is on its way there");
}

fn flatten(desk: &mut Desk) {
    desk.control(Control::Flatten);
    desk.control(Control::Halt { latch: Latch::Person });
}

#[test]
fn flatten_sells_everything_while_halted_and_says_so() {
    let mut desk = holding(|_| {});
    flatten(&mut desk);
    desk.pass(Nanos::secs(4));
    assert_eq!(endings(&desk), [Ending::Filled, Ending::Exited]);
    assert_eq!(held(&desk), [[Qty::ZERO; 2]; 2]);
    let state = flattened(&desk).unwrap();
    assert_eq!((state.why, state.left), (FlattenWait::Flat, 0));
    let realised = desk.engine.detector.budget().realised_today();
    assert!(Money::ZERO < state.lost && state.lost == -realised, "{state:?}, {realised:#}");
    assert!(desk.told.iter().any(|e| matches!(e.what, What::Flatten { state } if state.why == FlattenWait::Selling)));
    assert!(matches!(desk.engine.detector.state(), TradingState::Halted(Latch::Person)));
    assert!(state.sentence().contains("nothing is held"));
}

#[test]
fn flatten_stops_at_its_budget_and_where_nobody_bids_and_where_accounts_differ() {
    // Bought for 95 dollars and fees, sold for about 97: the loss is fees and rounding, a few dollars. One is allowed.
    let mut desk = holding(|setup| setup.leaving.loss_max = Money::dollars(1));
    books(&mut desk, 4_500, 4_900);
    flatten(&mut desk);
    desk.pass(Nanos::secs(20));
    let state = flattened(&desk).unwrap();
    assert_eq!((state.why, state.left), (FlattenWait::Budget, 2));
    assert!(Money::ZERO < state.lost && state.lost <= Money::dollars(1), "a part is sold: {state:?}");
    let [[yes, _], [_, no]] = held(&desk);
    assert!(yes == no && Qty::ZERO < yes && yes < Qty::whole(100), "{yes} and {no} are left");

    let mut desk = holding(|_| {});
    desk.book(KALSHI, &[], &[(5_000, 100)]);
    flatten(&mut desk);
    desk.pass(Nanos::secs(5));
    let state = flattened(&desk).unwrap();
    assert_eq!((state.why, state.left), (FlattenWait::NoBid, 2), "one leg alone is not sold");
    books(&mut desk, 4_800, 4_900);
    desk.pass(Nanos::secs(5));
    assert_eq!(flattened(&desk).unwrap().why, FlattenWait::Flat, "somebody bids again");

    let mut desk = holding(|_| {});
    desk.word(Word::Agrees { clean: false });
    flatten(&mut desk);
    desk.pass(Nanos::secs(5));
    assert_eq!(flattened(&desk).unwrap().why, FlattenWait::Disagrees);
    desk.control(Control::Resume);
    desk.word(Word::Agrees { clean: true });
    desk.pass(Nanos::secs(5));
    assert_eq!(endings(&desk), [Ending::Filled], "whoever resumes keeps what he holds");
}

#[test]
fn flatten_sells_what_stands_alone_too() {
    for (market, outcome, cost) in [(KALSHI, Outcome::Yes, 45), (POLYMARKET, Outcome::No, 50)] {
        let mut desk = Desk::with(|setup| setup.held = vec![(market, outcome, Qty::whole(100), Money::dollars(cost))]);
        books(&mut desk, 4_800, 4_900);
        flatten(&mut desk);
        desk.pass(Nanos::secs(5));
        assert_eq!(held(&desk), [[Qty::ZERO; 2]; 2]);
        let sold = intended(&mut desk);
        assert_eq!((sold.len(), sold[0].purpose, sold[0].buys), (1, Purpose::Rest, false));
        assert_eq!(flattened(&desk).unwrap().why, FlattenWait::Flat);
    }
    // A hundred on one leg, sixty on the other: the pair first, then the forty.
    let mut desk = Desk::with(|setup| {
        setup.held = vec![
            (KALSHI, Outcome::Yes, Qty::whole(100), Money::dollars(45)),
            (POLYMARKET, Outcome::No, Qty::whole(60), Money::dollars(30)),
        ];
    });
    books(&mut desk, 4_800, 4_900);
    flatten(&mut desk);
    desk.pass(Nanos::secs(8));
    assert_eq!(held(&desk), [[Qty::ZERO; 2]; 2]);
    let sold: Vec<_> = intended(&mut desk).iter().map(|ask| (ask.venue, ask.purpose, ask.qty)).collect();
    let (forty, sixty) = (Qty::whole(40), Qty::whole(60));
    assert_eq!(
        sold,
        [
            (Venue::Kalshi, Purpose::Flatten, sixty),
            (Venue::Polymarket, Purpose::Flatten, sixty),
            (Venue::Kalshi, Purpose::Rest, forty)
        ]
    );
}

#[test]
fn flatten_sells_no_more_at_once_than_may_stand_alone_and_leaves_nothing() {
    for qty in [5, 7, 11, 14, 23, 40].map(Qty::whole) {
        for paired in [false, true] {
            let mut desk = Desk::with(|setup| {
                setup.rules.naked_qty_max = Qty::whole(10);
                setup.held = vec![(POLYMARKET, Outcome::No, qty, Money::dollars(20))];
                if paired {
                    setup.held.push((KALSHI, Outcome::Yes, qty, Money::dollars(18)));
                }
            });
            books(&mut desk, 4_800, 4_900);
            flatten(&mut desk);
            desk.pass(Nanos::secs(30));
            assert_eq!(held(&desk), [[Qty::ZERO; 2]; 2], "{qty}, paired {paired}");
            assert!(intended(&mut desk).iter().all(|ask| ask.qty <= Qty::whole(10)), "{qty}, paired {paired}");
        }
    }
}

/// The price of selling everything is known before anybody is asked.
#[test]
fn what_selling_everything_would_cost_is_told_every_second() {
    let mut desk = holding(|_| {});
    desk.pass(Nanos::secs(2));
    let stats = desk.told.iter().rev().find_map(|event| match event.what {
        What::Stats { stats } => Some(stats),
        _ => None,
    });
    let stats = stats.unwrap();
    // 95 dollars and about 2.75 of fees were paid; 97 come back, less about 2.75.
    let paid = Money::ZERO - desk.engine.executor.holding(KALSHI).cash - desk.engine.executor.holding(POLYMARKET).cash;
    let back = Money::dollars(97);
    assert!(paid - back < stats.flatten_loss && stats.flatten_loss < paid - back + Money::dollars(4), "{stats:?}");
    assert_eq!(stats.unsellable, 0);
    desk.book(KALSHI, &[], &[(5_000, 100)]);
    desk.pass(Nanos::secs(2));
    let last = desk.told.iter().rev().find_map(|event| match event.what {
        What::Stats { stats } => Some(stats.unsellable),
        _ => None,
    });
    assert_eq!(last, Some(1));
}

/// The budget is one budget, however often the process dies meanwhile.
#[test]
fn a_restart_counts_what_was_lost_since_the_word_was_given() {
    let mut desk = holding(|setup| setup.leaving.loss_max = Money::dollars(1));
    books(&mut desk, 4_500, 4_900);
    let began = at(desk.now).unix;
    desk.pass(Nanos::millis(250));
    flatten(&mut desk);
    desk.pass(Nanos::secs(20));
    let lost = flattened(&desk).unwrap().lost;
    let bytes = desk.engine.executor.journal_mut().store().bytes().to_vec();
    let names = [(Venue::Kalshi, Tag::new("K").unwrap()), (Venue::Polymarket, Tag::new("P").unwrap())];
    let mut records = vec![Record::Opened { epoch: 1, at: UnixMs::new(1) }];
    for (id, (venue, name)) in [KALSHI, POLYMARKET].into_iter().zip(names) {
        records.push(Record::Market { id, venue, name });
    }
    records.extend(journal::replay(&bytes, 1, Some(1)).unwrap().records.into_iter().map(|(_, record)| record));
    let records: Vec<_> = (1..).zip(records).collect();
    let minimum = [Qty::ONE, Qty::whole(5)];
    let known = Known { markets: &names, minimum: &minimum, pairs: &[[KALSHI, POLYMARKET]], budget: desk::BUDGET };
    let restored = restore(&records, &known, Nanos::ZERO).unwrap();
    assert!(restored.leaving().is_empty());
    assert_eq!(restored.lost_since(began), lost);
    assert_eq!(restored.lost_since(at(desk.now).unix), Money::ZERO, "what was lost before counts no more");

    // A start in the middle of it goes on where it was: the dollar is used up.
    let mut next = Desk::with(|setup| {
        setup.held = restored.held(2);
        setup.leaving.loss_max = Money::dollars(1);
        setup.leaving.begun = Some(lost);
        setup.state = TradingState::Halted(Latch::FoundAtStart);
    });
    books(&mut next, 4_500, 4_900);
    next.pass(Nanos::secs(5));
    let state = flattened(&next).unwrap();
    assert_eq!(state.why, FlattenWait::Budget);
    assert!(lost <= state.lost && state.lost <= Money::dollars(1), "{state:?}");
}

/// Unwinding may lose more than was foreseen: then what costs nothing to sell is sold, and nothing else.
#[test]
fn with_its_budget_overdrawn_flatten_sells_what_loses_nothing_and_only_that() {
    let sell = |yes_cost: Money, lost: i64| {
        let mut desk = Desk::with(|setup| {
            let no_cost = Money::dollars(50);
            let hundred = Qty::whole(100);
            setup.held = vec![(KALSHI, Outcome::Yes, hundred, yes_cost), (POLYMARKET, Outcome::No, hundred, no_cost)];
            setup.leaving.loss_max = Money::dollars(1);
            setup.leaving.begun = Some(Money::dollars(lost));
            setup.state = TradingState::Halted(Latch::FoundAtStart);
        });
        books(&mut desk, 4_800, 4_900);
        desk.pass(Nanos::millis(200));
        desk.told.iter().find_map(|event| match event.what {
            What::Leaving { loss, .. } => Some(loss),
            _ => None,
        })
    };
    let fifty = Money::dollars(50);
    let loss = sell(fifty, -100).expect("there is a budget for it");
    assert!(Money::ZERO < loss);
    assert_eq!(sell(fifty, 5), None, "four dollars beyond the budget");
    assert_eq!(sell(fifty - loss, 5), Some(Money::ZERO));
}

/// One leg alone would wait for a venue that takes nothing.
#[test]
fn nothing_is_sold_while_a_venue_takes_no_orders() {
    let mut desk = holding(|_| {});
    desk.word(Word::Shut { venue: Venue::Polymarket, span: Nanos::secs(30) });
    books(&mut desk, 5_600, 4_900);
    flatten(&mut desk);
    desk.pass(Nanos::secs(20));
    assert_eq!((endings(&desk).len(), flattened(&desk).unwrap().why), (1, FlattenWait::Selling));
    desk.pass(Nanos::secs(15));
    assert_eq!(flattened(&desk).unwrap().why, FlattenWait::Flat);
}
