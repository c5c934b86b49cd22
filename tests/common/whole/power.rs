//! A medium that keeps what was synced and nothing else, and hosts whose power goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use orion::ledger::journal::{self, Record, Store};

use super::{engine::NAMES, *};

/// A host's memory and its disk.
#[derive(Debug)]
pub struct Forgetful {
    memory: Vec<u8>,
    medium: Vec<u8>,
    /// Where the two differ.
    dirty: std::ops::Range<usize>,
}

impl Forgetful {
    pub fn new(size: usize) -> Self {
        Self { memory: vec![0; size], medium: vec![0; size], dirty: 0..0 }
    }

    /// What a process that is killed leaves.
    pub fn bytes(&self) -> &[u8] {
        &self.memory
    }

    /// What is left once the power was gone.
    pub fn medium(&self) -> &[u8] {
        &self.medium
    }
}

impl Store for Forgetful {
    fn size(&self) -> usize {
        self.memory.len()
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.memory.clone())
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let end = at + bytes.len();
        self.memory[at..end].copy_from_slice(bytes);
        self.dirty = if self.dirty.is_empty() { at..end } else { self.dirty.start.min(at)..self.dirty.end.max(end) };
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let dirty = std::mem::take(&mut self.dirty);
        self.medium[dirty.clone()].copy_from_slice(&self.memory[dirty]);
        Ok(())
    }
}

/// What became of power cuts.
#[derive(Default)]
pub struct Power {
    /// The power goes once so many orders and cancels have left.
    pub fails_after: Option<u64>,
    pub cuts: u64,
    /// Since when a pair's markets hold something else there than the journal says.
    apart: BTreeMap<usize, Nanos>,
    /// Digests that were asked for.
    pub asked: BTreeSet<String>,
    /// When the journal is synced next.
    due: Nanos,
    /// Orders of which nothing but the ticket is on record.
    pub lost: u64,
}

/// A trade that nobody waits for, and whose report is lost, is seen in the accounts: they are read every ten seconds
/// while tickets of an earlier start are asked for, and the third reading in a row is believed.
const NOTICED: Nanos = Nanos::secs(30);

impl Whole {
    /// The thread that syncs the journal has had its turn meanwhile.
    pub(super) fn sync(&mut self) {
        if self.now < self.power.due {
            return;
        }
        self.power.due = self.now + Nanos::millis(self.rng.u64(2..30));
        let lies = self.course.bug == Some(Bug::SyncIsSaid);
        let journal = self.engine.trader.executor().journal_mut();
        if lies {
            journal.note_synced(u64::MAX);
        } else {
            journal.sync().unwrap();
        }
    }

    /// The power goes: what was not synced is gone. The host comes back.
    pub fn cut(&mut self) {
        let medium = self.engine.trader.executor().journal_mut().store().medium().to_vec();
        self.power.cuts += 1;
        self.restart(&medium);
    }

    /// One more order or cancel has left.
    pub(super) fn has_left(&mut self) {
        if let Some(left) = &mut self.power.fails_after {
            *left -= 1;
            if *left == 0 {
                self.power.fails_after = None;
                self.power.cuts += 1;
                self.dead = Some(self.engine.trader.executor().journal_mut().store().medium().to_vec());
            }
        }
    }

    fn is_apart(&mut self, pair: usize) -> bool {
        let (_, k, p, _) = self.ground.pairs[pair];
        let executor = self.engine.trader.executor();
        let [kalshi, polymarket] = Venue::ALL.map(|venue| executor.holding(engine::slot(pair, venue)).qty);
        let ours = kalshi[0].micros() as i64 - kalshi[1].micros() as i64;
        let wallet = self.venues.clob.wallet(self.venues.customer.wallet);
        ours != self.venues.desk.position(&self.venues.world, 0, 0, k)
            || (0..2).any(|outcome| polymarket[outcome] != wallet.expected(p, outcome as u8))
    }

    /// Once a second: which pairs hold something that the journal does not know, and for how long.
    pub(super) fn look_apart(&mut self) {
        if self.power.cuts == 0 {
            return;
        }
        for pair in 0..self.ground.pairs.len() {
            let moving = self.engine.trader.executor().open().any(|plan| plan.aim.pair.0 as usize == pair);
            if !moving && self.is_apart(pair) {
                let now = self.now;
                self.power.apart.entry(pair).or_insert(now);
            } else {
                self.power.apart.remove(&pair);
            }
        }
    }

    /// The detector lets an entry go: not where both sides know different things.
    pub(super) fn check_apart(&mut self, pair: usize, plan: u64) {
        let since = self.power.apart.get(&pair).copied();
        if since.is_some_and(|since| NOTICED < self.now.since(since)) {
            self.watch.wrong.push(format!("plan {plan} of pair {pair}, whose books disagree since {since:?}"));
        }
    }

    /// What must hold in the end where the power went: every order of ours is known, and what nobody booked was told.
    pub fn verdict_after_cuts(&mut self) -> Vec<String> {
        let mut wrong = std::mem::take(&mut self.watch.wrong);
        let bytes = self.engine.trader.executor().journal_mut().store().bytes().to_vec();
        let records = journal::replay(&bytes, 1, Some(1)).unwrap().records;
        let (mut intended, mut tickets, mut epoch) = (BTreeSet::new(), BTreeSet::new(), 0);
        for (_, record) in records {
            match record {
                Record::Opened { epoch: opened, .. } => epoch = opened,
                Record::Intended { ask, digest, .. } => {
                    intended.insert(ask.id.raw().to_string());
                    intended.extend(digest.map(alloy_primitives::hex::encode_prefixed));
                }
                Record::Ticket { digest, .. } => _ = tickets.insert(alloy_primitives::hex::encode_prefixed(digest)),
                _ => {}
            }
        }
        let told = |kind| self.watch.kinds.contains_key(kind);
        let (lost, differs, halted) = (told("lost"), told("differs"), self.fallen.is_some());
        let wallet = self.venues.customer.wallet;
        for order in self.venues.clob.orders().iter().filter(|order| order.wallet == wallet) {
            let id = order.id.to_string();
            if intended.contains(&id) {
                continue;
            }
            self.power.lost += 1;
            if !tickets.contains(&id) {
                wrong.push(format!("order {id} is at Polymarket, and nobody here has heard of it"));
            } else if !self.power.asked.contains(&id) {
                wrong.push(format!("order {id} is at Polymarket, and nobody asked for it"));
            } else if !(lost && halted) {
                wrong.push(format!("order {id} is at Polymarket and was lost, and nobody was told"));
            }
        }
        for order in self.venues.desk.orders() {
            let name = &order.now.client_order_id;
            if !NAMES.read(name).is_some_and(|id| 0 < id.epoch() && id.epoch() <= epoch) {
                wrong.push(format!("order {name} at Kalshi is not seen to be ours"));
            }
        }
        for pair in 0..self.ground.pairs.len() {
            if self.is_apart(pair) && !differs && !halted {
                wrong.push(format!("pair {pair} holds something that nobody here knows of"));
            }
        }
        let stuck: Vec<u64> = self.engine.trader.executor().open().map(|plan| plan.aim.plan).collect();
        if !stuck.is_empty() && !halted {
            wrong.push(format!("plans {stuck:?} have not ended"));
        }
        wrong
    }
}
