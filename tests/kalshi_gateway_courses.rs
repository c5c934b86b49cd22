//! Hundreds of orders through the gateway to the simulated Kalshi, with everything going wrong that its plan knows: at
//! the end the legs hold what the account holds, to the millionth of a dollar.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "common/call.rs"]
mod call;
#[path = "common/kalshi_rig.rs"]
mod kalshi_rig;
#[path = "common/sim_kalshi.rs"]
mod sim_kalshi;

use std::fmt::Write as _;

use kalshi_rig::{NAMES, Rig, ask};
use orion::{
    fill::{Heard, Whose},
    order::{
        Ask, Leg, Purpose,
        leg::{Cancel, End, State},
    },
    sim::kalshi::{desk::Settings, order_fault::OrderPlan},
    unit::{Money, Nanos, OrderId, Outcome, Price, Qty},
    venue::gateway::Gateway as _,
};
use sim_kalshi::settings;

const TOWNS: u64 = 60;
const ORDERS: u32 = 6;
const LOOK_EVERY: Nanos = Nanos::secs(2);

/// One order and what its plan would remember of it.
struct Course {
    leg: Leg,
    sent: Nanos,
    looked: Nanos,
    asked_after_cancel: bool,
}

impl Course {
    fn is_over(&self) -> bool {
        self.leg.is_complete() || self.leg.state() == State::Planned
    }

    /// What a plan does with an order, in its words.
    fn step(&mut self, rig: &mut Rig) {
        let at = rig.at();
        if self.leg.state() == State::Sent && Nanos::secs(5) < at.now.since(self.sent) {
            self.leg.overdue(at.now);
        }
        let due = LOOK_EVERY <= at.now.since(self.looked);
        let settles = self.leg.cancel() == Cancel::Answered && !self.asked_after_cancel;
        let (ask, tag) = (self.leg.ask, self.leg.tag());
        match self.leg.state() {
            State::Working if self.leg.is_answered() && self.leg.cancel() == Cancel::NotAsked => {
                (self.looked, self.asked_after_cancel) = (at.now, false);
                self.leg.cancelling();
                rig.gateway.cancel(&ask, tag, at, &mut rig.out);
            }
            State::Unknown { .. } | State::Working if due || settles => {
                self.looked = at.now;
                self.asked_after_cancel = self.leg.cancel() == Cancel::Answered;
                rig.look(&ask, tag);
            }
            State::Done(_) if !self.leg.untold().is_zero() && due => {
                self.looked = at.now;
                rig.look(&ask, tag);
            }
            _ => {}
        }
    }
}

/// What happens in one town, in a text that says all of it.
fn town(seed: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut rig = Rig::new(Settings {
        seed,
        read_lag_ms: rng.u64(0..1_000),
        frame_delay_ms: rng.u64(0..500),
        answer_delay_ms: rng.u64(0..400),
        faults: OrderPlan::drawn(seed, 250),
        ..settings()
    });
    rig.open();
    let cash = rig.town.cash(0, 0);
    let mut courses: Vec<Course> = Vec::new();
    for number in 1..=ORDERS {
        // Somebody else rests on both sides; whatever befalls that is part of the day.
        for side in ["bid", "ask"] {
            let price = if side == "bid" { rng.u16(30..50) } else { rng.u16(50..70) };
            let count = format!("{}.{:02}", rng.u8(0..12), rng.u8(1..100));
            let order = rig.town.order(side, &format!("0.{price:02}00"), &count);
            rig.town.create(2, &order);
        }
        let held = rig.town.position(0);
        let sells = held != 0 && rng.u8(0..4) == 0;
        let yes = if sells { 0 < held } else { rng.bool() };
        // Through the best price, or short of it.
        let limit = Price::new(100 * if sells { rng.u16(20..60) } else { rng.u16(40..80) }).unwrap();
        let order = Ask {
            id: OrderId::new(3, number).unwrap(),
            outcome: if yes { Outcome::Yes } else { Outcome::No },
            buys: !sells,
            qty: Qty::new(10_000 * rng.u64(1..1_500)).unwrap(),
            limit,
            purpose: if sells { Purpose::Unwind } else { Purpose::Entry },
            ..ask(number)
        };
        let at = rig.at();
        if rig.gateway.prepare(&order, at).is_ok() {
            rig.breaks = rng.u8(0..15) == 0;
            let mut leg = Leg::new(order);
            leg.sent(at.unix);
            courses.push(Course { leg, sent: at.now, looked: at.now, asked_after_cancel: false });
            rig.gateway.send(order.id, &mut rig.out);
        }
        let ticks = rng.u32(0..40);
        for _ in 0..ticks {
            tick(&mut rig, &mut courses);
        }
    }
    for _ in 0..20_000 {
        if courses.iter().all(Course::is_over) {
            break;
        }
        tick(&mut rig, &mut courses);
    }
    // What is still on its way may not change anything any more.
    for _ in 0..600 {
        tick(&mut rig, &mut courses);
    }
    check(&rig, &courses, cash, seed)
}

fn tick(rig: &mut Rig, courses: &mut [Course]) {
    rig.tick();
    if std::mem::take(&mut rig.out.lost) || rig.town.desk.take_dropped_streams().contains(&0) {
        rig.open();
    }
    let now = rig.at().now;
    for Heard { order, told, .. } in std::mem::take(&mut rig.out.heard) {
        let Whose::Ours(id) = order else {
            let Whose::Named(tag) = order else { unreachable!() };
            assert!(!courses.iter().any(|course| course.leg.tag() == Some(tag)), "ours, and not called ours");
            continue;
        };
        let course = courses.iter_mut().find(|course| course.leg.ask.id == id).unwrap();
        course.leg.next(&told, now).unwrap();
    }
    if std::mem::take(&mut rig.out.missed) {
        for course in &mut *courses {
            course.looked = Nanos::ZERO;
        }
    }
    for course in courses {
        course.step(rig);
    }
}

fn check(rig: &Rig, courses: &[Course], cash: Money, seed: u64) -> String {
    let name = |id: OrderId| {
        let mut name = Vec::new();
        NAMES.write(id, &mut name);
        String::from_utf8(name).unwrap()
    };
    let (mut bought, mut spent, mut story) = ([0_i64; 2], Money::ZERO, String::new());
    for Course { leg, .. } in courses {
        let name = name(leg.ask.id);
        assert!(leg.is_complete(), "town {seed}: {name} is {:?}, and {} untold", leg.state(), leg.untold());
        let orders: Vec<_> = rig.town.desk.orders().iter().filter(|o| o.now.client_order_id == name).collect();
        assert!(orders.len() <= 1, "town {seed}: {name} stands twice");
        let there = orders.first().map(|order| order.now.filled);
        if let State::Done(End::Absent | End::Refused(_)) = leg.state() {
            assert_eq!(there, None, "town {seed}: {name} is {:?}", leg.state());
        }
        assert_eq!(leg.filled(), there.unwrap_or(Qty::ZERO), "town {seed}: {name}");
        let sign = if leg.ask.buys { 1 } else { -1 };
        bought[leg.ask.outcome as usize] += sign * leg.filled().micros() as i64;
        spent += leg.spent();
        let _ = write!(story, "{:?} {} {}; ", leg.state(), leg.filled(), leg.spent());
    }
    assert_eq!(bought[0] - bought[1], rig.town.position(0), "town {seed}");
    // A YES and a NO of the same market are a dollar at once.
    let netted = Qty::new(bought[0].min(bought[1]).try_into().unwrap()).unwrap();
    let gone = spent - Money::dollar_each(netted);
    assert_eq!(cash - gone, rig.town.cash(0, 0), "town {seed}");
    assert!(rig.town.desk.violations().is_empty(), "town {seed}: {:?}", rig.town.desk.violations());
    story + &format!("{:?}", rig.town.desk.faults().happened())
}

#[test]
fn whatever_goes_wrong_legs_end_with_what_the_account_holds() {
    let (mut absent, mut refused, mut closed) = (0, 0, 0);
    for seed in 0..TOWNS {
        let story = town(seed);
        absent += story.matches("Done(Absent)").count();
        refused += story.matches("Done(Refused").count();
        closed += story.matches("Done(Closed)").count();
        if seed < 3 {
            assert_eq!(story, town(seed), "the same day again");
        }
    }
    assert!(10 < absent && 20 < refused && 150 < closed, "{absent} absent, {refused} refused, {closed} closed");
}
