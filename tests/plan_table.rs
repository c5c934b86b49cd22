//! Every situation two legs can be in, and what the plan does in it: the table of `order::plan`, row by row.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use orion::{
    order::{
        Ask, Plan, Purpose,
        plan::{Aim, Budget, Came, Ending, Excess, Frozen, Offer, Offers, PROVISIONAL_MAX, Step},
    },
    spread::{Direction, Pair},
    unit::{
        MarketId, Money, Nanos, OrderId, Outcome, PairId, Picture, Price, Qty, Refusal, Sent, Stage, Tag, Told, Trade,
        Unclear, UnixMs, Venue,
    },
};

const START: Nanos = Nanos::secs(100);
const UNIX: UnixMs = UnixMs::new(1_795_000_000_000);
const BUDGET: Budget = Budget { loss_max: Money::dollars(5), time_max: Nanos::secs(2) };

struct Desk {
    plan: Plan,
    now: Nanos,
    trades: u32,
}

fn price(raw: u16) -> Price {
    Price::new(raw).unwrap()
}

fn id(venue: Venue) -> OrderId {
    OrderId::new(1, venue as u32 + 1).unwrap()
}

impl Desk {
    /// When a venue that has refused is asked again.
    fn later(&self) -> Nanos {
        self.now + Nanos::secs(1)
    }

    /// Ten contracts: YES on Kalshi at 0.45, NO on Polymarket at 0.50. Both orders are out.
    fn new() -> Self {
        let pair = Pair { kalshi: MarketId(0), polymarket: MarketId(1), inverted: false };
        let qty = Qty::whole(10);
        let aim = Aim { plan: 1, sighting: 1, pair: PairId(0), legs: pair.legs(Direction::YesKalshi), qty };
        let entry = |venue: Venue| {
            let kalshi = venue == Venue::Kalshi;
            Ask {
                id: id(venue),
                venue,
                market: MarketId(venue as u32),
                outcome: if kalshi { Outcome::Yes } else { Outcome::No },
                buys: true,
                qty,
                limit: if kalshi { price(4_500) } else { price(5_000) },
                purpose: Purpose::Entry,
            }
        };
        let minimum = [Qty::new(10_000).unwrap(), Qty::whole(5)];
        let mut plan = Plan::open(aim, Venue::ALL.map(entry), BUDGET, minimum);
        for venue in Venue::ALL {
            plan.sent(id(venue), START, UNIX);
        }
        Self { plan, now: START, trades: 0 }
    }

    fn tell(&mut self, venue: Venue, told: Told) {
        self.plan.next(id(venue), &told, self.now).unwrap();
    }

    /// The order is over with this much filled, as one trade.
    fn done(&mut self, venue: Venue, qty: u32, stage: Stage) -> Tag {
        self.trades += 1;
        let tag = Tag::new(&format!("t-{}", self.trades)).unwrap();
        self.tell(venue, Told::Sent(Sent::Accepted(Tag::new("v-1").unwrap())));
        if 0 < qty {
            let told = trade(venue, tag, qty, stage);
            self.tell(venue, told);
        }
        self.tell(venue, Told::Picture(Picture { filled: Qty::whole(qty), open: false }));
        tag
    }

    fn refused(&mut self, venue: Venue) {
        self.tell(venue, Told::Sent(Sent::Refused(Refusal::Killed)));
    }

    fn after(&mut self, millis: u64) -> Step {
        self.now = self.now + Nanos::millis(millis);
        self.plan.step(self.now)
    }

    fn remedy(&mut self, number: u32, (venue, purpose, offer): (Venue, Purpose, Offer), filled: u32) {
        let id = OrderId::new(1, number).unwrap();
        let (qty, limit, buys, outcome) = (offer.qty, offer.limit, offer.buys, offer.outcome);
        self.plan.add(Ask { id, venue, market: MarketId(venue as u32), outcome, buys, qty, limit, purpose });
        self.plan.sent(id, self.now, UNIX);
        let tag = Tag::new(&format!("r-{number}")).unwrap();
        let trade = Trade {
            tag,
            outcome,
            bought: buys,
            price: limit,
            qty: Qty::whole(filled),
            fee: Some(Money::ZERO),
            stage: Stage::Confirmed,
        };
        self.plan.next(id, &Told::Trade(trade), self.now).unwrap();
        let picture = Told::Picture(Picture { filled: Qty::whole(filled), open: false });
        self.plan.next(id, &picture, self.now).unwrap();
    }
}

fn trade(venue: Venue, tag: Tag, qty: u32, stage: Stage) -> Told {
    let (outcome, at) = if venue == Venue::Kalshi { (Outcome::Yes, 4_500) } else { (Outcome::No, 5_000) };
    let qty = Qty::whole(qty);
    Told::Trade(Trade { tag, outcome, bought: true, price: price(at), qty, fee: Some(Money::ZERO), stage })
}

fn excess(step: Step) -> Excess {
    match step {
        Step::Price(excess) => excess,
        other => panic!("an excess was to be priced, not {other:?}"),
    }
}

fn offer(qty: u32, limit: u16, buys: bool, outcome: Outcome) -> Offer {
    let qty = Qty::whole(qty);
    let cost = if buys { price(limit).cost(qty) } else { -price(limit).proceeds(qty) };
    Offer { qty, limit: price(limit), cost, buys, outcome }
}

#[test]
fn equal_legs_end_filled_partial_or_missed() {
    for (filled, ending) in [(10, Ending::Filled), (6, Ending::Partial), (0, Ending::Missed)] {
        let mut desk = Desk::new();
        assert_eq!(desk.after(1), Step::Wait);
        desk.done(Venue::Kalshi, filled, Stage::Confirmed);
        assert_eq!(desk.after(1), Step::Wait, "the other answer is awaited");
        desk.done(Venue::Polymarket, filled, Stage::Confirmed);
        assert_eq!(desk.after(1), Step::End(ending));
    }
}

#[test]
fn a_refused_second_leg_is_completed_where_that_is_cheaper_than_unwinding() {
    let mut desk = Desk::new();
    desk.done(Venue::Kalshi, 10, Stage::Confirmed);
    desk.refused(Venue::Polymarket);
    let naked = excess(desk.after(1));
    assert_eq!(
        naked,
        Excess { long: Venue::Kalshi, qty: Qty::whole(10), sellable: Qty::whole(10), reversed: false, exit: false }
    );
    // Buying NO at 0.57 loses 2 ¢ a contract; selling YES at 0.42 loses 3 ¢.
    let complete = offer(10, 5_700, true, Outcome::No);
    let unwind = offer(10, 4_200, false, Outcome::Yes);
    let chosen =
        desk.plan.choose(&naked, &Offers { complete: Some(complete), unwind: Some(unwind) }, desk.now).unwrap();
    assert_eq!(chosen, (Venue::Polymarket, Purpose::Complete, complete));
    desk.remedy(7, chosen, 10);
    assert_eq!(desk.after(1), Step::End(Ending::Filled));
    assert_eq!(desk.plan.spent(), Money::micros(4_500_000 + 5_700_000));
}

#[test]
fn a_refused_second_leg_is_unwound_where_completing_costs_more() {
    let mut desk = Desk::new();
    desk.done(Venue::Kalshi, 10, Stage::Confirmed);
    desk.refused(Venue::Polymarket);
    let naked = excess(desk.after(1));
    let offers = Offers {
        complete: Some(offer(10, 6_000, true, Outcome::No)),
        unwind: Some(offer(10, 4_200, false, Outcome::Yes)),
    };
    let chosen = desk.plan.choose(&naked, &offers, desk.now).unwrap();
    assert_eq!((chosen.0, chosen.1), (Venue::Kalshi, Purpose::Unwind));
    desk.remedy(7, chosen, 4);
    // What the sale left is priced again.
    let rest = excess(desk.after(200));
    assert_eq!(rest.qty, Qty::whole(6));
    let again = offer(6, 4_100, false, Outcome::Yes);
    let chosen = desk.plan.choose(&rest, &Offers { complete: None, unwind: Some(again) }, desk.now).unwrap();
    desk.remedy(8, chosen, 6);
    assert_eq!(desk.after(1), Step::End(Ending::Unwound));
    assert_eq!(desk.plan.spent(), Money::micros(4_500_000 - 4 * 420_000 - 6 * 410_000));
}

#[test]
fn half_a_leg_is_levelled_by_the_difference_alone() {
    let mut desk = Desk::new();
    desk.done(Venue::Kalshi, 10, Stage::Confirmed);
    desk.done(Venue::Polymarket, 5, Stage::Confirmed);
    let naked = excess(desk.after(1));
    assert_eq!((naked.long, naked.qty), (Venue::Kalshi, Qty::whole(5)));
    let chosen = desk.plan.choose(
        &naked,
        &Offers { complete: Some(offer(5, 5_100, true, Outcome::No)), unwind: None },
        desk.now,
    );
    desk.remedy(7, chosen.unwrap(), 5);
    assert_eq!(desk.after(1), Step::End(Ending::Filled));
}

#[test]
fn a_long_leg_that_cannot_be_sold_yet_is_closed_by_buying_its_complement() {
    let mut desk = Desk::new();
    desk.refused(Venue::Kalshi);
    let tag = desk.done(Venue::Polymarket, 10, Stage::Matched);
    let naked = excess(desk.after(1));
    assert_eq!(
        naked,
        Excess { long: Venue::Polymarket, qty: Qty::whole(10), sellable: Qty::ZERO, reversed: false, exit: false }
    );
    let unwind = offer(10, 5_200, true, Outcome::Yes);
    let chosen = desk.plan.choose(&naked, &Offers { complete: None, unwind: Some(unwind) }, desk.now).unwrap();
    desk.remedy(7, chosen, 10);
    assert_eq!(desk.after(1), Step::Wait, "until the entry is final");
    desk.tell(Venue::Polymarket, trade(Venue::Polymarket, tag, 10, Stage::Confirmed));
    assert_eq!(desk.after(1), Step::End(Ending::Unwound));
    assert_eq!(desk.plan.bought_back(), Qty::whole(10));
}

#[test]
fn nothing_is_done_at_a_loss_beyond_the_budget_and_a_person_is_told_in_time() {
    let mut desk = Desk::new();
    desk.done(Venue::Kalshi, 10, Stage::Confirmed);
    desk.refused(Venue::Polymarket);
    let naked = excess(desk.after(1));
    // Sold for next to nothing, ten contracts at 0.45 lose four and a half dollars: within five, not within four.
    let ruin = Offers { complete: None, unwind: Some(offer(10, 1, false, Outcome::Yes)) };
    assert!(desk.plan.choose(&naked, &ruin, desk.now).is_some());
    let tight = Budget { loss_max: Money::dollars(4), ..BUDGET };
    let mut poor = Desk::new();
    poor.plan = Plan::open(
        poor.plan.aim,
        Venue::ALL.map(|v| poor.plan.leg(id(v)).unwrap().ask),
        tight,
        [Qty::new(10_000).unwrap(), Qty::whole(5)],
    );
    for venue in Venue::ALL {
        poor.plan.sent(id(venue), START, UNIX);
    }
    poor.done(Venue::Kalshi, 10, Stage::Confirmed);
    poor.refused(Venue::Polymarket);
    let naked = excess(poor.after(1));
    assert_eq!(poor.plan.choose(&naked, &ruin, poor.now), None);
    assert_eq!(poor.plan.choose(&naked, &Offers::default(), poor.now), None);
    let mut prices = 1;
    for _ in 0..19 {
        prices += u32::from(matches!(poor.after(100), Step::Price(_)));
    }
    assert_eq!(prices, 20, "asked again ten times a second");
    assert_eq!(poor.after(200), Step::Overdue, "a person is told");
    assert!(matches!(poor.after(1), Step::Price(_)), "and closing it goes on");
}

#[test]
fn an_excess_below_both_minimums_ends_as_dust() {
    let mut desk = Desk::new();
    desk.done(Venue::Kalshi, 10, Stage::Confirmed);
    desk.tell(Venue::Polymarket, Told::Sent(Sent::Accepted(Tag::new("v-2").unwrap())));
    let filled = Qty::new(9_995_000).unwrap();
    let tag = Tag::new("t-9").unwrap();
    let told = Trade {
        tag,
        outcome: Outcome::No,
        bought: true,
        price: price(5_000),
        qty: filled,
        fee: Some(Money::ZERO),
        stage: Stage::Confirmed,
    };
    desk.tell(Venue::Polymarket, Told::Trade(told));
    desk.tell(Venue::Polymarket, Told::Picture(Picture { filled, open: false }));
    assert_eq!(desk.after(1), Step::End(Ending::Dust));
}

#[test]
fn an_order_that_stands_is_cancelled_and_asked_for_until_its_end_is_on_record() {
    let mut desk = Desk::new();
    desk.done(Venue::Kalshi, 10, Stage::Confirmed);
    desk.tell(Venue::Polymarket, Told::Sent(Sent::Accepted(Tag::new("v-2").unwrap())));
    desk.tell(Venue::Polymarket, Told::Picture(Picture { filled: Qty::whole(4), open: true }));
    let standing = id(Venue::Polymarket);
    assert_eq!(desk.after(1), Step::Cancel(standing));
    assert_eq!(desk.after(1), Step::Wait);
    assert_eq!(desk.after(2_000), Step::Look(standing));
    desk.tell(Venue::Polymarket, Told::NotCancelled);
    assert_eq!(desk.after(1), Step::Look(standing), "not cancellable is no end: the record says what it is");
    assert_eq!(desk.after(1), Step::Wait);
    desk.tell(Venue::Polymarket, Told::Picture(Picture { filled: Qty::whole(4), open: true }));
    assert_eq!(desk.after(1), Step::Cancel(standing), "it still stands");
    desk.tell(Venue::Polymarket, Told::Cancelled { left: Some(Qty::whole(6)) });
    assert_eq!(desk.after(2_000), Step::Look(standing), "its trades have not been told");
    let tag = Tag::new("t-5").unwrap();
    desk.tell(Venue::Polymarket, trade(Venue::Polymarket, tag, 4, Stage::Confirmed));
    assert_eq!(excess(desk.after(1)).qty, Qty::whole(6));
}

#[test]
fn an_unknown_leg_freezes_the_plan_until_the_record_ends_it() {
    for (record, filled) in [(Some(10), 10), (Some(0), 0), (None, 0)] {
        let mut desk = Desk::new();
        desk.done(Venue::Kalshi, 10, Stage::Confirmed);
        desk.tell(Venue::Polymarket, Told::Sent(Sent::Unknown(Unclear::Cut)));
        assert_eq!(desk.plan.frozen(desk.now), Some(Frozen::Unknown));
        assert_eq!(desk.plan.held(Venue::Polymarket), [Qty::ZERO, Qty::ZERO, Qty::whole(10)]);
        let mut looks = 0;
        for _ in 0..100 {
            match desk.after(1_000) {
                Step::Look(order) if order == id(Venue::Polymarket) => looks += 1,
                Step::Wait => {}
                other => panic!("{other:?} on a guess"),
            }
        }
        assert!(45 < looks, "asked for every two seconds, not {looks} times");
        match record {
            Some(0) => {
                desk.tell(Venue::Polymarket, Told::Picture(Picture { filled: Qty::ZERO, open: false }));
            }
            Some(qty) => {
                desk.done(Venue::Polymarket, qty, Stage::Confirmed);
            }
            None => desk.tell(Venue::Polymarket, Told::Absent { as_of: UnixMs::new(UNIX.raw() + 60_001) }),
        }
        match desk.after(1) {
            Step::End(Ending::Filled) => assert_eq!(filled, 10),
            Step::Price(naked) => assert_eq!((naked.qty, filled), (Qty::whole(10), 0)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_answer_that_is_overdue_is_unknown_and_not_unfilled() {
    let mut desk = Desk::new();
    desk.done(Venue::Polymarket, 10, Stage::Confirmed);
    assert_eq!(desk.after(5_000), Step::Wait);
    assert_eq!(desk.after(1), Step::Look(id(Venue::Kalshi)));
    assert_eq!(desk.plan.frozen(desk.now), Some(Frozen::Unknown));
}

#[test]
fn a_fill_that_fails_after_the_match_leaves_the_other_leg_to_be_closed() {
    let mut desk = Desk::new();
    desk.done(Venue::Kalshi, 10, Stage::Confirmed);
    let tag = desk.done(Venue::Polymarket, 10, Stage::Matched);
    assert_eq!(desk.after(1), Step::Wait, "provisional");
    assert_eq!(desk.plan.held(Venue::Polymarket), [Qty::ZERO, Qty::whole(10), Qty::whole(10)]);
    desk.tell(Venue::Polymarket, trade(Venue::Polymarket, tag, 10, Stage::Failed));
    let naked = excess(desk.after(1));
    assert_eq!((naked.long, naked.qty), (Venue::Kalshi, Qty::whole(10)));
    assert_eq!(desk.plan.spent(), Money::micros(4_500_000), "the failed trade was never paid");
}

#[test]
fn a_match_that_stays_provisional_freezes_the_plan() {
    let mut desk = Desk::new();
    desk.done(Venue::Kalshi, 10, Stage::Confirmed);
    let tag = desk.done(Venue::Polymarket, 10, Stage::Matched);
    desk.now = desk.now + PROVISIONAL_MAX;
    assert_eq!(desk.plan.frozen(desk.now), None);
    desk.now = desk.now + Nanos::millis(1);
    assert_eq!(desk.plan.frozen(desk.now), Some(Frozen::Provisional));
    desk.tell(Venue::Polymarket, trade(Venue::Polymarket, tag, 10, Stage::Confirmed));
    assert_eq!(desk.plan.frozen(desk.now), None);
    assert_eq!(desk.after(1), Step::End(Ending::Filled));
}

#[test]
fn something_impossible_freezes_the_plan_for_good() {
    let mut desk = Desk::new();
    desk.done(Venue::Kalshi, 10, Stage::Confirmed);
    let tag = Tag::new("t-extra").unwrap();
    let more = trade(Venue::Kalshi, tag, 10, Stage::Confirmed);
    assert!(desk.plan.next(id(Venue::Kalshi), &more, desk.now).is_err());
    desk.refused(Venue::Polymarket);
    assert_eq!(desk.plan.frozen(desk.now), Some(Frozen::Impossible));
    assert_eq!(desk.after(10_000), Step::Wait);
}

/// One match told under two names on one venue, and the other venue's fill lost on the way: nobody would ever have asked
/// for it, and a thousand contracts would have been held that the books do not know.
#[test]
fn the_other_leg_of_a_plan_that_cannot_be_is_still_asked_for_its_fills() {
    let mut desk = Desk::new();
    desk.tell(Venue::Kalshi, Told::Sent(Sent::Accepted(Tag::new("v-1").unwrap())));
    desk.tell(Venue::Kalshi, Told::Picture(Picture { filled: Qty::whole(10), open: false }));
    desk.done(Venue::Polymarket, 10, Stage::Matched);
    let twin = trade(Venue::Polymarket, Tag::new("t-twin").unwrap(), 10, Stage::Matched);
    assert!(desk.plan.next(id(Venue::Polymarket), &twin, desk.now).is_err());
    let step = desk.after(5_000);
    assert!(matches!(step, Step::Look(order) if order == id(Venue::Kalshi)), "{step:?}");
    desk.tell(Venue::Kalshi, trade(Venue::Kalshi, Tag::new("t-lost").unwrap(), 10, Stage::Confirmed));
    assert_eq!(desk.after(10_000), Step::Wait, "and nothing else leaves");
}

/// A hedge that was refused for lack of money is not sent again a moment later, sixteen times; the leg is sold
/// meanwhile.
#[test]
fn a_venue_that_refuses_to_close_an_excess_is_left_alone_while_the_other_one_can() {
    let mut desk = Desk::new();
    desk.done(Venue::Kalshi, 10, Stage::Confirmed);
    desk.tell(Venue::Polymarket, Told::Sent(Sent::Refused(Refusal::Funds)));
    let naked =
        Excess { long: Venue::Kalshi, qty: Qty::whole(10), sellable: Qty::whole(10), reversed: false, exit: false };
    let complete = offer(10, 5_100, true, Outcome::No);
    let unwind = offer(10, 4_000, false, Outcome::Yes);
    let offers = Offers { complete: Some(complete), unwind: Some(unwind) };
    let (venue, purpose, _) = desk.plan.choose(&naked, &offers, desk.now).unwrap();
    assert_eq!((venue, purpose), (Venue::Kalshi, Purpose::Unwind), "the dearer way, which is open");
    let alone = Offers { complete: Some(complete), unwind: None };
    assert_eq!(desk.plan.choose(&naked, &alone, desk.now), None);
    let (venue, purpose, _) = desk.plan.choose(&naked, &offers, desk.later()).unwrap();
    assert_eq!((venue, purpose), (Venue::Polymarket, Purpose::Complete));
}

/// Seed 72 of the lying venues: the leg was closed by buying its complement while it was not final, and then it failed.
#[test]
fn what_was_bought_to_close_a_fill_that_fails_is_closed_itself() {
    let mut desk = Desk::new();
    desk.refused(Venue::Kalshi);
    let ghost = desk.done(Venue::Polymarket, 10, Stage::Matched);
    let naked = excess(desk.after(1));
    assert_eq!((naked.reversed, naked.sellable), (false, Qty::ZERO));
    let complement = Offers { complete: None, unwind: Some(offer(10, 4_900, true, Outcome::Yes)) };
    let chosen = desk.plan.choose(&naked, &complement, desk.now).unwrap();
    desk.remedy(7, chosen, 10);
    assert_eq!(desk.after(1), Step::Wait, "level, until everything is final");
    desk.tell(Venue::Polymarket, trade(Venue::Polymarket, ghost, 10, Stage::Failed));
    let naked = excess(desk.after(1));
    let ten = Qty::whole(10);
    assert_eq!(naked, Excess { long: Venue::Polymarket, qty: ten, sellable: ten, reversed: true, exit: false });
    assert_eq!(desk.plan.naked(), price(4_900).cost(ten));
    let sale = Offers { complete: None, unwind: Some(offer(10, 4_700, false, Outcome::Yes)) };
    let chosen = desk.plan.choose(&naked, &sale, desk.now).unwrap();
    desk.remedy(8, chosen, 10);
    assert_eq!(desk.after(1), Step::End(Ending::Unwound));
    assert_eq!(desk.plan.unwound(), -(price(4_900).cost(ten) - price(4_700).proceeds(ten)));
}

/// The same with less of it than Polymarket takes an order for.
#[test]
fn what_is_too_small_for_its_own_venue_is_closed_on_the_other_one() {
    let mut desk = Desk::new();
    desk.refused(Venue::Kalshi);
    desk.tell(Venue::Polymarket, Told::Sent(Sent::Accepted(Tag::new("v-1").unwrap())));
    let (stays, ghost) = (Tag::new("t-1").unwrap(), Tag::new("t-2").unwrap());
    for (tag, qty) in [(stays, 7), (ghost, 3)] {
        desk.tell(Venue::Polymarket, trade(Venue::Polymarket, tag, qty, Stage::Matched));
    }
    desk.tell(Venue::Polymarket, Told::Picture(Picture { filled: Qty::whole(10), open: false }));
    let naked = excess(desk.after(1));
    let complement = Offers { complete: None, unwind: Some(offer(10, 4_900, true, Outcome::Yes)) };
    let chosen = desk.plan.choose(&naked, &complement, desk.now).unwrap();
    desk.remedy(7, chosen, 10);
    desk.tell(Venue::Polymarket, trade(Venue::Polymarket, stays, 7, Stage::Confirmed));
    desk.tell(Venue::Polymarket, trade(Venue::Polymarket, ghost, 3, Stage::Failed));
    let naked = excess(desk.after(1));
    assert_eq!((naked.long, naked.qty, naked.reversed), (Venue::Polymarket, Qty::whole(3), true));
    // Three contracts are below Polymarket's five; what was bought too much there is paired on Kalshi.
    let offers = Offers {
        complete: Some(offer(3, 5_300, true, Outcome::No)),
        unwind: Some(offer(3, 4_800, false, Outcome::Yes)),
    };
    let chosen = desk.plan.choose(&naked, &offers, desk.later()).unwrap();
    assert_eq!((chosen.0, chosen.1), (Venue::Kalshi, Purpose::Complete));
    desk.remedy(8, chosen, 3);
    assert_eq!(desk.after(1), Step::End(Ending::Unwound));
    assert_eq!(desk.plan.bought_back(), Qty::whole(7 + 3), "each of them brings its dollar");
}

/// The second leg answers the first one's fill at once, as a completion; what it comes to is what is remembered.
#[test]
fn a_leg_that_leaves_alone_is_answered_in_the_step_after_it_is_over() {
    for (filled, answered, came) in [
        (10, 10, Came::Level),
        (10, 0, Came::Alone(Venue::Polymarket)),
        (10, 4, Came::Alone(Venue::Polymarket)),
        (0, 0, Came::Nothing),
    ] {
        let mut desk = Desk::new();
        let entry = desk.plan.leg(id(Venue::Polymarket)).unwrap().ask;
        desk.plan = Plan::open(desk.plan.aim, [entry], BUDGET, [Qty::new(10_000).unwrap(), Qty::whole(5)]);
        desk.plan.sent(entry.id, START, UNIX);
        assert_eq!(desk.after(1), Step::Wait, "the first one's answer is awaited");
        desk.done(Venue::Polymarket, filled, Stage::Confirmed);
        if filled == 0 {
            assert_eq!(desk.after(0), Step::End(Ending::Missed));
        } else {
            let naked = excess(desk.after(0));
            assert_eq!((naked.long, naked.qty), (Venue::Polymarket, Qty::whole(10)));
            let offers = Offers { complete: Some(offer(10, 4_600, true, Outcome::Yes)), unwind: None };
            let chosen = desk.plan.choose(&naked, &offers, desk.now).unwrap();
            assert_eq!((chosen.0, chosen.1), (Venue::Kalshi, Purpose::Complete));
            desk.remedy(7, chosen, answered);
        }
        assert_eq!(desk.plan.came(), came);
    }
}

/// An excess is known however a restart finds the plan: its orders say which leg is still to come.
#[test]
fn a_restart_between_two_legs_asks_for_the_first_and_answers_it() {
    let mut desk = Desk::new();
    let entry = desk.plan.leg(id(Venue::Polymarket)).unwrap().ask;
    desk.plan = Plan::open(desk.plan.aim, [entry], BUDGET, [Qty::new(10_000).unwrap(), Qty::whole(5)]);
    desk.plan.sent(entry.id, START, UNIX);
    desk.plan.restarted(desk.now);
    assert_eq!(desk.after(1), Step::Look(entry.id));
    desk.done(Venue::Polymarket, 10, Stage::Confirmed);
    let naked = excess(desk.after(1));
    assert_eq!((naked.long, naked.qty), (Venue::Polymarket, Qty::whole(10)));
}

/// Ten contracts of the pair above are held, and both legs are sold: YES on Kalshi at 0.52, NO on Polymarket at 0.53.
fn leaving(purpose: Purpose) -> Desk {
    let mut desk = Desk::new();
    let pair = Pair { kalshi: MarketId(0), polymarket: MarketId(1), inverted: false };
    let aim = Aim { legs: pair.legs(Direction::YesPolymarket), ..desk.plan.aim };
    let sale = |venue: Venue| {
        let (outcome, limit) =
            if venue == Venue::Kalshi { (Outcome::Yes, price(5_200)) } else { (Outcome::No, price(5_300)) };
        let market = MarketId(venue as u32);
        Ask { id: id(venue), venue, market, outcome, buys: false, qty: Qty::whole(10), limit, purpose }
    };
    desk.plan = Plan::open(aim, Venue::ALL.map(sale), BUDGET, [Qty::new(10_000).unwrap(), Qty::whole(5)]);
    for venue in Venue::ALL {
        desk.plan.sent(id(venue), START, UNIX);
    }
    desk
}

/// The sale is over with this much sold, as one trade.
fn sold(desk: &mut Desk, venue: Venue, qty: u32, stage: Stage) -> Trade {
    let (outcome, at) = if venue == Venue::Kalshi { (Outcome::Yes, 5_200) } else { (Outcome::No, 5_300) };
    desk.trades += 1;
    let tag = Tag::new(&format!("t-{}", desk.trades)).unwrap();
    let (qty, fee) = (Qty::whole(qty), Some(Money::ZERO));
    let trade = Trade { tag, outcome, bought: false, price: price(at), qty, fee, stage };
    desk.tell(venue, Told::Sent(Sent::Accepted(Tag::new("v-1").unwrap())));
    if !qty.is_zero() {
        desk.tell(venue, Told::Trade(trade));
    }
    desk.tell(venue, Told::Picture(Picture { filled: qty, open: false }));
    trade
}

#[test]
fn an_exit_ends_exited_or_missed_and_counts_for_no_odds() {
    for (qty, ending) in [(10, Ending::Exited), (6, Ending::Exited), (0, Ending::Missed)] {
        let mut desk = leaving(Purpose::Exit);
        for venue in Venue::ALL {
            sold(&mut desk, venue, qty, Stage::Confirmed);
        }
        assert_eq!(desk.after(1), Step::End(ending));
        assert_eq!((desk.plan.unwound(), desk.plan.came()), (Money::ZERO, Came::Nothing));
        assert_eq!(-desk.plan.spent(), Money::micros(1_050_000 * i64::from(qty)));
    }
}

#[test]
fn an_exit_whose_other_leg_did_not_sell_takes_the_way_that_loses_less() {
    // Sold for 0.52. The other leg brings 0.50 now, or 0.44; buying back costs 0.53.
    for (bid, purpose, ending) in
        [(5_000, Purpose::Complete, Ending::Exited), (4_400, Purpose::Unwind, Ending::Unwound)]
    {
        let mut desk = leaving(Purpose::Exit);
        sold(&mut desk, Venue::Kalshi, 10, Stage::Confirmed);
        desk.refused(Venue::Polymarket);
        let naked = excess(desk.after(1));
        assert_eq!((naked.long, naked.qty, naked.exit), (Venue::Kalshi, Qty::whole(10), true));
        assert_eq!(desk.plan.naked(), Money::micros(4_800_000), "what the pair would have paid beyond what it brought");
        let offers = Offers {
            complete: Some(offer(10, bid, false, Outcome::No)),
            unwind: Some(offer(10, 5_300, true, Outcome::Yes)),
        };
        let chosen = desk.plan.choose(&naked, &offers, desk.now).unwrap();
        assert_eq!(chosen.1, purpose);
        desk.remedy(7, chosen, 10);
        assert_eq!(desk.after(1), Step::End(ending));
        let lost = if purpose == Purpose::Unwind { Money::micros(-100_000) } else { Money::ZERO };
        assert_eq!(desk.plan.unwound(), lost);
    }
}

/// Seed 24 of the whole engine: sold first where orders are held, and bought back again, over and over.
#[test]
fn whoever_wants_nothing_held_sells_the_other_leg_too_though_buying_back_is_cheaper() {
    let mut desk = leaving(Purpose::Flatten);
    sold(&mut desk, Venue::Kalshi, 10, Stage::Confirmed);
    desk.refused(Venue::Polymarket);
    let naked = excess(desk.after(1));
    let (complete, unwind) = (offer(10, 4_400, false, Outcome::No), offer(10, 5_300, true, Outcome::Yes));
    let both = Offers { complete: Some(complete), unwind: Some(unwind) };
    assert_eq!(desk.plan.choose(&naked, &both, desk.now).unwrap().1, Purpose::Complete);
    let alone = Offers { complete: None, unwind: Some(unwind) };
    assert_eq!(desk.plan.choose(&naked, &alone, desk.now).unwrap().1, Purpose::Unwind, "nothing stands alone");
}

#[test]
fn a_sale_that_fails_after_the_match_is_made_good() {
    let mut desk = leaving(Purpose::Exit);
    sold(&mut desk, Venue::Kalshi, 10, Stage::Confirmed);
    let ghost = sold(&mut desk, Venue::Polymarket, 10, Stage::Matched);
    assert_eq!(desk.after(1), Step::Wait, "provisional");
    desk.tell(Venue::Polymarket, Told::Trade(Trade { stage: Stage::Failed, ..ghost }));
    let naked = excess(desk.after(1));
    assert_eq!((naked.long, naked.qty), (Venue::Kalshi, Qty::whole(10)));
    let again = Offers { complete: Some(offer(10, 5_100, false, Outcome::No)), unwind: None };
    let chosen = desk.plan.choose(&naked, &again, desk.now).unwrap();
    desk.remedy(7, chosen, 10);
    assert_eq!(desk.after(1), Step::End(Ending::Exited));
}

#[test]
fn a_rest_that_stands_alone_is_sold_with_nothing_to_answer() {
    for (qty, ending) in [(10, Ending::Exited), (4, Ending::Exited), (0, Ending::Missed)] {
        let mut desk = leaving(Purpose::Rest);
        let ask = desk.plan.leg(id(Venue::Kalshi)).unwrap().ask;
        desk.plan = Plan::open(desk.plan.aim, [ask], BUDGET, [Qty::new(10_000).unwrap(), Qty::whole(5)]);
        desk.plan.sent(ask.id, START, UNIX);
        sold(&mut desk, Venue::Kalshi, qty, Stage::Confirmed);
        assert_eq!(desk.plan.excess(), None);
        assert_eq!(desk.after(1), Step::End(ending));
    }
}
