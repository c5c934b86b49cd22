//! The whole desk against venues that lose, delay, repeat and deny, in virtual time, from a seed: whatever they do, the
//! engine knows what it holds, sends nothing twice, and comes to rest. And mistakes planted on purpose are found.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use common::{
    desk::{self, KALSHI, POLITICS, POLYMARKET, at, kalshi_terms, polymarket_terms, update, whole},
    liar::{Bug, Liar, market},
};
use orion::{
    ledger::journal::Scratch,
    order::plan::Budget,
    risk::{Latch, TradingState},
    run::{
        desk::{Desk, Orders},
        event::What,
    },
    unit::{Money, Nanos, Outcome, Venue},
    wire::Kind,
};

/// How long the venues lie, and how long they have to make up for it.
const LYING: Nanos = Nanos::secs(150);
const HONEST: Nanos = Nanos::secs(200);

struct Run {
    desk: Desk<Scratch>,
    liar: Liar,
    now: Nanos,
    plans: u64,
    /// Of everything told, in its order.
    log: u64,
}

impl Run {
    fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut setup = desk::setup(POLITICS);
        setup.budget = orion::risk::Budget::new(
            orion::risk::budget::Shares {
                trade_ppm: 3_000,
                event_ppm: 1_000_000,
                reserve_ppm: 0,
                daily_loss_ppm: 1_000_000,
            },
            Money::dollars(100_000),
            [Money::dollars(50_000); 2],
            1,
        );
        for venue in Venue::ALL {
            setup.budget.account_mut(venue, 0).cash = Money::dollars(50_000);
        }
        setup.limits.cooldown = Nanos::secs(1);
        let fees = [kalshi_terms().fee, polymarket_terms(POLITICS).fee];
        // Time and loss have tests of their own; here everything is to be brought to its end.
        let budget = Budget { loss_max: Money::dollars(100_000), time_max: Nanos::secs(100_000) };
        let mut run = Self {
            desk: Desk::wired(setup, Orders::unkept(budget)),
            liar: Liar::new(seed, bug, fees),
            now: Nanos::secs(1_000),
            plans: 0,
            log: seed,
        };
        // YES on Kalshi at 0.40, NO on Polymarket at 0.52, and enough on both other sides to get out again.
        run.books(&[(3_900, 500_000)], &[(4_000, 200_000)], &[(4_800, 200_000)], &[(4_900, 500_000)]);
        run
    }

    fn books(&mut self, kb: &[(u16, u32)], ka: &[(u16, u32)], pb: &[(u16, u32)], pa: &[(u16, u32)]) {
        for (market, bids, asks) in [(KALSHI, kb, ka), (POLYMARKET, pb, pa)] {
            for update in whole(market, self.now, bids, asks) {
                self.desk.apply(&update);
            }
        }
        self.turn();
    }

    fn turn(&mut self) {
        for heard in self.liar.poll(self.now) {
            self.note(&format!("{heard:?}"));
            self.desk.heard(&heard, at(self.now));
        }
        self.desk.turn(at(self.now));
        let halted = matches!(self.desk.detector.state(), TradingState::Halted(_));
        let acts = self.desk.acts();
        let (sends, cancels, looks) =
            (std::mem::take(&mut acts.sends), std::mem::take(&mut acts.cancels), std::mem::take(&mut acts.looks));
        for ask in sends {
            self.note(&format!("send {ask:?}"));
            self.liar.send(ask, halted, self.now);
        }
        for ask in cancels {
            self.liar.cancel(&ask, self.now);
        }
        for ask in looks {
            self.liar.look(&ask, self.now);
        }
        let events = std::mem::take(self.desk.events());
        self.plans += events.iter().filter(|e| matches!(e.what, What::Planned { .. })).count() as u64;
        for event in events {
            if !matches!(event.what, What::Sighted { .. } | What::Stats { .. }) {
                self.note(&format!("{:?}", event.what));
            }
        }
    }

    fn note(&mut self, text: &str) {
        for byte in text.bytes() {
            self.log = (self.log ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn pass(&mut self, span: Nanos) {
        let end = self.now + span;
        while self.now < end {
            let step = Nanos::millis(100);
            let next = self.liar.next().unwrap_or(end).max(self.now + Nanos::millis(1));
            self.now = next.min(self.now + step).min(end);
            for market in [KALSHI, POLYMARKET] {
                self.desk.apply(&update(market, self.now, Kind::Alive));
            }
            self.turn();
        }
    }

    /// Everything that must hold once the venues have told the truth for long enough; what does not, in words.
    fn verdict(&self) -> Vec<String> {
        let mut wrong = self.liar.violations.clone();
        for plan in self.desk.executor.open() {
            let legs: Vec<_> = plan.legs().map(|leg| (leg.ask.id, leg.state(), leg.filled(), leg.untold())).collect();
            wrong.push(format!("plan {} has not come to its end: {:?}, {legs:?}", plan.id, plan.frozen(self.now)));
        }
        if let TradingState::Halted(latch) = self.desk.detector.state() {
            wrong.push(format!("halted: {}", latch.name()));
        }
        for venue in Venue::ALL {
            let v = venue as usize;
            let ours = self.desk.executor.holding(market(venue));
            for outcome in [Outcome::Yes, Outcome::No] {
                let (o, held) = (outcome as usize, ours.qty[outcome as usize].micros() as i64);
                if held != self.liar.held[v][o] {
                    wrong.push(format!(
                        "{venue} {}: {held} held by us, {} by the venue",
                        outcome.name(),
                        self.liar.held[v][o]
                    ));
                }
            }
            if ours.cash.raw() != self.liar.cash[v] {
                wrong.push(format!("{venue}: cash {} by us, {} by the venue", ours.cash.raw(), self.liar.cash[v]));
            }
            let account = self.desk.detector.budget().account(venue, 0);
            if account.cash != Money::dollars(50_000) + ours.cash {
                wrong.push(format!("{venue}: the budget has {}", account.cash));
            }
            if account.reserved != Money::ZERO {
                wrong.push(format!("{venue}: {} is still promised", account.reserved));
            }
        }
        let [k, p] = Venue::ALL.map(|venue| self.desk.executor.holding(market(venue)).qty);
        // YES here against NO there; on Polymarket what was closed by its complement stands on both.
        let merged = p[0].min(p[1]);
        if k[0] != p[1].saturating_sub(merged) || !k[1].is_zero() || p[0] != merged {
            wrong.push(format!("naked: Kalshi {k:?}, Polymarket {p:?}"));
        }
        wrong
    }
}

fn run(seed: u64, bug: Option<Bug>) -> (Run, Vec<String>) {
    let mut run = Run::new(seed, bug);
    run.pass(LYING);
    // No edge any more, and nothing goes wrong from here on.
    run.liar.faulty = false;
    run.books(&[(3_900, 500_000)], &[(4_000, 200_000)], &[(3_900, 200_000)], &[(4_000, 500_000)]);
    run.pass(HONEST);
    let wrong = run.verdict();
    (run, wrong)
}

#[test]
fn whatever_the_venues_do_the_engine_knows_what_it_holds_and_comes_to_rest() {
    let seeds = 0..if cfg!(debug_assertions) { 400 } else { 4_000 };
    let (mut plans, mut orders, mut faults) = (0, 0, 0);
    for seed in seeds.clone() {
        let (run, wrong) = run(seed, None);
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
        plans += run.plans;
        orders += run.liar.orders();
        faults += run.liar.faults;
    }
    println!("{} seeds, {plans} plans, {orders} orders, {faults} faults", seeds.end);
    assert!(seeds.end * 2 < plans, "{plans} plans");
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in 0..100 {
        let again = [run(seed, None).0.log, run(seed, None).0.log];
        assert_eq!(again[0], again[1], "seed {seed}");
    }
}

#[test]
fn every_planted_mistake_is_found() {
    for bug in Bug::ALL {
        let found = (0..500).find_map(|seed| {
            let (_, wrong) = run(seed, Some(bug));
            (!wrong.is_empty()).then_some((seed, wrong))
        });
        let (seed, wrong) = found.unwrap_or_else(|| panic!("{bug:?} went unnoticed"));
        println!("{bug:?}: seed {seed}: {}", wrong[0]);
    }
}

#[test]
fn a_halted_desk_still_closes_what_stands_alone() {
    let mut run = Run::new(3, None);
    run.pass(Nanos::secs(20));
    run.desk.control(&orion::run::event::Control::Halt { latch: Latch::ReconnectStorm }, at(run.now));
    let plans = run.plans;
    run.pass(LYING);
    run.liar.faulty = false;
    run.pass(HONEST);
    assert_eq!(run.plans, plans, "nothing new is entered");
    let wrong: Vec<_> = run.verdict().into_iter().filter(|w| !w.starts_with("halted")).collect();
    assert_eq!(wrong, Vec::<String>::new());
}
