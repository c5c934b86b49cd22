//! What must hold after every step, and what must have come of everything in the end.

use orion::{
    ledger::journal,
    run::event::{Entry, Event},
    sim::kalshi::account::SHARDS,
    unit::{Money, Nanos, Outcome, Qty, Venue},
    venue::gateway::{Call, Lane},
    wire::Arrival,
};

use super::{
    Whole,
    engine::{Engine, Ground, slot},
    venues::{CASH, Venues, pem},
};

/// What was seen so far.
pub struct Watch {
    /// What must not be, and was.
    pub wrong: Vec<String>,
    /// Of everything told and sent, in its order.
    pub log: u64,
    secrets: Vec<String>,
    /// When something last went wrong.
    pub fault: Nanos,
    written: usize,
}

impl Watch {
    pub fn new(venues: &Venues, _: &Ground, seed: u64) -> Self {
        let key = &venues.customer.key;
        let secrets = vec![key.secret.clone(), key.passphrase.clone(), venues.customer.secret[2..].to_owned(), pem()];
        Self { wrong: Vec::new(), log: seed ^ 0xcbf2_9ce4_8422_2325, secrets, fault: Nanos::ZERO, written: 0 }
    }

    pub fn fault(&mut self, now: Nanos) {
        self.fault = now;
    }

    fn note(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.log = (self.log ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub fn event(&mut self, event: &Event) {
        let text = format!("{event:?}");
        self.note(text.as_bytes());
    }

    pub fn call(&mut self, venue: Venue, call: &Call) {
        self.note(&[venue as u8, call.lane as u8]);
        self.note(&call.bytes);
    }

    pub fn decided(&mut self, _: &Entry, _: &Engine, _: Option<Nanos>, _: Arrival) {}

    pub fn leaves(&mut self, _: Venue, _: Lane, _: &[u8], _: Option<Nanos>, _: Nanos) {}

    pub fn arrives(&mut self, _: Venue, _: &[u8], _: Nanos) {}

    /// The secrets that stand in these bytes.
    fn search(&self, bytes: &[u8]) -> bool {
        self.secrets.iter().any(|secret| bytes.windows(secret.len()).any(|window| window == secret.as_bytes()))
    }
}

impl Whole {
    /// After every step.
    pub fn check(&mut self) {}

    /// I1: positions are what the journal says.
    fn check_journal(&mut self) {
        let now = self.now;
        let executor = self.engine.trader.executor();
        let bytes = executor.journal_mut().store().bytes().to_vec();
        let replayed = journal::replay(&bytes, 1, Some(1)).unwrap();
        let restored = self.ground.restored(&replayed.records, now);
        let executor = self.engine.trader.executor();
        for at in 0..self.ground.names.len() {
            let market = orion::unit::MarketId(at as u32);
            let (ours, theirs) = (executor.holding(market), restored.positions.holding(market));
            if ours != theirs {
                self.watch.wrong.push(format!("I1 {market:?}: {ours:?} held, {theirs:?} by the journal"));
            }
        }
        if self.watch.search(&bytes) {
            self.watch.wrong.push("I12 a secret in the journal".into());
        }
    }

    /// At the end.
    pub fn verdict(&mut self) -> Vec<String> {
        self.check_journal();
        let mut wrong = std::mem::take(&mut self.watch.wrong);
        wrong.extend(self.venues.desk.violations().iter().map(|violation| format!("I2/I5 Kalshi: {violation:?}")));
        let audit = self.venues.clob.audit();
        wrong.extend(audit.violations().iter().map(|violation| format!("I2/I5 Polymarket: {violation:?}")));
        let now = self.now;
        let clean = self.engine.trader.is_clean();
        let executor = self.engine.trader.executor();
        for plan in executor.open() {
            let legs: Vec<_> = plan.legs().map(|leg| (leg.ask.id, leg.state(), leg.filled(), leg.untold())).collect();
            wrong.push(format!("I10 plan {} is open: {:?} {legs:?}", plan.aim.plan, plan.frozen(now)));
        }
        if !clean {
            wrong.push("I10 the accounts do not agree".into());
        }
        let Venues { world, desk, clob, customer, .. } = &self.venues;
        let wallet = clob.wallet(customer.wallet);
        let mut flows = [Money::ZERO; 2];
        for (pair, &(_, k, p, _)) in self.ground.pairs.iter().enumerate() {
            let [kalshi, polymarket] = Venue::ALL.map(|venue| *executor.holding(slot(pair, venue)));
            flows[0] += kalshi.cash;
            flows[1] += polymarket.cash;
            let ours = kalshi.qty[0].micros() as i64 - kalshi.qty[1].micros() as i64;
            let theirs = desk.position(world, 0, 0, k);
            if ours != theirs {
                wrong.push(format!("I10 pair {pair}: Kalshi {ours} here, {theirs} there"));
            }
            for (outcome, number) in [(Outcome::Yes, 0), (Outcome::No, 1)] {
                let (ours, theirs) = (polymarket.qty[outcome as usize], wallet.expected(p, number));
                if ours != theirs {
                    wrong.push(format!("I10 pair {pair}: Polymarket {ours} {} here, {theirs} there", outcome.name()));
                }
            }
        }
        let kalshi: Money = (0..SHARDS).map(|shard| desk.cash(world, 0, 0, shard)).sum();
        let there = [kalshi - Money::micros(CASH.raw() * i64::from(SHARDS)), wallet.cash - wallet.locked_cash - CASH];
        for venue in Venue::ALL {
            let (ours, theirs) = (flows[venue as usize], there[venue as usize]);
            if ours != theirs {
                wrong.push(format!("I10 {venue}: cash {ours:#} here, {theirs:#} there"));
            }
        }
        let _ = Qty::ZERO;
        wrong
    }
}
