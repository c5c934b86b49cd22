//! What the journal says of the time before this start: plans that were open, orders whose answer never came,
//! positions.
//!
//! It is the same path after a clean end, a crash and a power cut. Slots of markets are handed out anew at every start,
//! so everything is carried over by the venues' names.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::hex;

use super::{execute::About, history::History, tickets};
use crate::{
    decide::Tally,
    ledger::{Positions, journal::Record, position::Holding},
    order::{
        Ask, Plan, Purpose,
        leg::Change,
        plan::{Aim, Budget, Came},
    },
    spread::{FeeCurve, Legs, Pair, Take},
    unit::{BookSide, MarketId, Money, Nanos, OrderId, Outcome, PairId, Qty, Tag, UnixMs, Venue},
};

/// The age from which a ticket cannot have been sent: its life, and three times as much for a clock that was set back.
const STRAY_MS: u64 = 4 * tickets::LIFE_MS;

/// What this start knows of markets and pairs.
pub struct Known<'a> {
    /// By slot.
    pub markets: &'a [(Venue, Tag)],
    /// The smallest order of each.
    pub minimum: &'a [Qty],
    /// Kalshi's and Polymarket's market of each pair.
    pub pairs: &'a [[MarketId; 2]],
    pub budget: Budget,
}

/// What is carried over.
#[derive(Debug)]
pub struct Restored {
    /// The last epoch that was used; 0 where none was.
    pub epoch: u32,
    /// The largest number of a plan or sighting.
    pub last_id: u64,
    pub plans: Vec<Plan>,
    pub positions: Positions,
    /// What each account began the last epoch with.
    pub cash: Vec<(Venue, u8, Money)>,
    /// What each market has brought since, by slot; those that this start does not list come behind.
    pub flows: Vec<Money>,
    /// Held in markets that this start does not list.
    pub unlisted: Vec<(Venue, Tag, Holding)>,
    /// Markets by slot; those that this start does not list come behind.
    pub names: Vec<(Venue, Tag)>,
    /// YES and NO that are being put together, or may be.
    pub merging: Option<(MarketId, Qty)>,
    /// For the audit trail.
    pub history: History,
    /// Tickets that may have become orders whose record was lost, and when they can have been sent at the latest.
    pub strays: Vec<(About, UnixMs)>,
    /// How plans have ended, by Kalshi's and Polymarket's market.
    pub tallies: HashMap<[MarketId; 2], Tally>,
    /// What sales of what was held have realised, by when they ended.
    pub left: Vec<(UnixMs, Money)>,
    /// What each open plan's trades have realised.
    pub realised: Vec<Money>,
    /// Orders of plans that have ended, oldest first, and the venues' names for them: their reports may still come.
    pub ended: Vec<(OrderId, Option<Tag>)>,
    /// What entries of each plan may still cost, by venue; nothing before [`Restored::promise`].
    pub reserved: Vec<[Money; 2]>,
}

/// Why a start cannot go on from this journal.
#[derive(Debug, thiserror::Error)]
pub enum Stranded {
    #[error(
        "plan {plan} is open on {kalshi} and {polymarket}, but their pair is not in the pair file: put it back until the plan \
         has ended"
    )]
    Pair { plan: u64, kalshi: Box<str>, polymarket: Box<str> },
    #[error("record {sequence} names market {slot}, which no record before it introduced")]
    Market { sequence: u64, slot: u32 },
}

struct Walk<'a> {
    known: &'a Known<'a>,
    /// Current slots by name; names that this start does not list come behind.
    slots: HashMap<(Venue, Tag), MarketId>,
    names: Vec<(Venue, Tag)>,
    /// Slots of the epoch that is being read.
    old: HashMap<MarketId, MarketId>,
    plans: BTreeMap<u64, Plan>,
    orders: HashMap<OrderId, u64>,
    /// Those of which no order is on record, and when they were signed.
    tickets: BTreeMap<OrderId, (About, UnixMs)>,
    /// The newest time that a record of this epoch tells.
    newest: UnixMs,
    realised: HashMap<u64, Money>,
    /// Of the newest record that says when it was written.
    at: UnixMs,
    restored: Restored,
}

/// Reads every record, oldest first.
pub fn restore(records: &[(u64, Record)], known: &Known<'_>, now: Nanos) -> Result<Restored, Stranded> {
    let mut names: Vec<_> = known.markets.to_vec();
    let listed = names.len();
    let mut slots: HashMap<_, _> = names.iter().enumerate().map(|(at, name)| (*name, MarketId(at as u32))).collect();
    for (_, record) in records {
        if let Record::Market { venue, name, .. } = record {
            slots.entry((*venue, *name)).or_insert_with(|| {
                names.push((*venue, *name));
                MarketId(names.len() as u32 - 1)
            });
        }
    }
    let positions = Positions::new(names.iter().map(|(venue, _)| *venue));
    let restored = Restored {
        epoch: 0,
        last_id: 0,
        plans: Vec::new(),
        positions,
        cash: Vec::new(),
        flows: vec![Money::ZERO; names.len()],
        unlisted: Vec::new(),
        names: Vec::new(),
        merging: None,
        history: History::default(),
        strays: Vec::new(),
        tallies: HashMap::new(),
        left: Vec::new(),
        realised: Vec::new(),
        ended: Vec::new(),
        reserved: Vec::new(),
    };
    let (plans, orders, old) = (BTreeMap::new(), HashMap::new(), HashMap::new());
    let (signed, newest) = (BTreeMap::new(), UnixMs::default());
    let (realised, at) = (HashMap::new(), UnixMs::default());
    let mut walk = Walk { known, slots, names, old, plans, orders, tickets: signed, newest, realised, at, restored };
    for (sequence, record) in records {
        walk.take(*sequence, record, now)?;
    }
    walk.end_epoch();
    let Walk { mut restored, plans, names, tickets: signed, realised, .. } = walk;
    let latest = |at: UnixMs| UnixMs::new(at.raw() + tickets::LIFE_MS);
    restored.strays = signed.into_values().map(|(about, at)| (about, latest(at))).collect();
    for (id, mut plan) in plans {
        let markets = [plan.aim.legs.kalshi.market, plan.aim.legs.polymarket.market];
        let pair = known.pairs.iter().position(|pair| *pair == markets);
        let [kalshi, polymarket] = markets.map(|market| names[market.0 as usize].1.as_str().into());
        let pair = pair.ok_or(Stranded::Pair { plan: id, kalshi, polymarket })?;
        plan.aim.pair = PairId(pair as u32);
        plan.restarted(now);
        restored.plans.push(plan);
        restored.reserved.push([Money::ZERO; 2]);
        restored.realised.push(realised.get(&id).copied().unwrap_or(Money::ZERO));
    }
    for (slot, (venue, name)) in names.iter().enumerate().skip(listed) {
        let held = restored.positions.holding(MarketId(slot as u32));
        if held.qty != [Qty::ZERO; 2] {
            restored.unlisted.push((*venue, *name, *held));
        }
    }
    restored.names = names;
    Ok(restored)
}

impl Restored {
    /// Everything that is held in listed markets: quantity and cost.
    pub fn held(&self, listed: usize) -> Vec<(MarketId, Outcome, Qty, Money)> {
        let slots = (0..listed).map(|slot| MarketId(slot as u32));
        let both = slots.flat_map(|market| [(market, Outcome::Yes), (market, Outcome::No)]);
        let of = |(market, outcome): (MarketId, Outcome)| {
            let held = self.positions.holding(market);
            (market, outcome, held.qty[outcome as usize], held.cost[outcome as usize])
        };
        both.map(of).filter(|(_, _, qty, _)| !qty.is_zero()).collect()
    }

    /// What sales of what was held have lost since then.
    pub fn lost_since(&self, began: UnixMs) -> Money {
        -self.left.iter().filter(|(at, _)| began <= *at).map(|(_, realised)| *realised).sum::<Money>()
    }

    /// Pairs whose exits are open.
    pub fn leaving(&self) -> Vec<PairId> {
        self.plans.iter().filter(|plan| plan.exits()).map(|plan| plan.aim.pair).collect()
    }

    /// What came of a pair's plans.
    pub fn tally(&self, pair: &Pair) -> Tally {
        self.tallies.get(&[pair.kalshi, pair.polymarket]).copied().unwrap_or_default()
    }

    /// Keeps money back for entries that may still fill: what they cost at their limit, with fees. It is released when
    /// the entry is over, as if this start had made it.
    pub fn promise(&mut self, fee: impl Fn(MarketId) -> FeeCurve) {
        for (plan, reserved) in self.plans.iter().zip(&mut self.reserved) {
            let mut entries = plan.legs().filter(|leg| leg.ask.purpose == Purpose::Entry);
            if let (Some(first), None) = (entries.next(), entries.next())
                && !plan.rests()
            {
                // The other leg answers this one's fill. Both were to cost less than the dollar that they pay.
                let Ask { venue, qty, limit, .. } = first.ask;
                reserved[venue.other() as usize] = Money::dollar_each(qty) - limit.proceeds(qty);
            }
            for leg in plan.legs().filter(|leg| leg.ask.purpose == Purpose::Entry && !leg.is_complete()) {
                let Ask { venue, market, qty, limit, .. } = leg.ask;
                reserved[venue as usize] += limit.cost(qty) + fee(market).at_most(limit, qty, 1);
            }
        }
    }
}

impl Walk<'_> {
    fn take(&mut self, sequence: u64, record: &Record, now: Nanos) -> Result<(), Stranded> {
        match *record {
            Record::Opened { epoch, at } => {
                self.end_epoch();
                self.newest = at;
                self.restored.history.opened(at);
                self.restored.epoch = epoch;
                self.restored.cash.clear();
                self.restored.flows.fill(Money::ZERO);
                self.old.clear();
            }
            Record::Cash { venue, shard, amount } => self.restored.cash.push((venue, shard, amount)),
            Record::Market { id, venue, name } => _ = self.old.insert(id, self.slots[&(venue, name)]),
            Record::Planned { plan, sighting, markets, wanted, qty, .. } => {
                self.restored.last_id = self.restored.last_id.max(plan).max(sighting);
                let take = |market, outcome| {
                    let side = if outcome == Outcome::Yes { BookSide::Ask } else { BookSide::Bid };
                    self.slot(sequence, market).map(|market| Take { market, side })
                };
                let legs = Legs { kalshi: take(markets[0], wanted[0])?, polymarket: take(markets[1], wanted[1])? };
                let minimum = [legs.kalshi.market, legs.polymarket.market]
                    .map(|market| self.known.minimum.get(market.0 as usize).copied().unwrap_or(Qty::ZERO));
                let markets = [legs.kalshi.market, legs.polymarket.market];
                self.restored.history.planned(plan, sighting, markets, wanted, qty);
                // The pair's slot is found at the end, from its markets.
                let aim = Aim { plan, sighting, pair: PairId(u32::MAX), legs, qty };
                self.plans.insert(plan, Plan::open(aim, [], self.known.budget, minimum));
            }
            Record::Intended { plan, ask, at, digest } => {
                self.newest = self.newest.max(at);
                self.tickets.remove(&ask.id);
                let market = self.slot(sequence, ask.market)?;
                self.restored.history.intended(plan, &ask, at);
                if let Some(open) = self.plans.get_mut(&plan) {
                    open.add(Ask { market, ..ask });
                    open.sent(ask.id, now, at);
                    // Polymarket's name for an order is the digest that was signed.
                    open.named(ask.id, digest.and_then(|digest| Tag::new(&hex::encode_prefixed(digest))));
                    self.orders.insert(ask.id, plan);
                }
            }
            Record::Told { order, told, at } => {
                self.newest = self.newest.max(at);
                let plan = self.orders.get(&order).and_then(|plan| self.plans.get_mut(plan));
                let Some(plan) = plan else { return Ok(()) };
                let id = plan.aim.plan;
                let market = plan.leg(order).expect("it was added").ask.market;
                let positions = &mut self.restored.positions;
                self.at = at;
                let before = *positions.holding(market);
                // What was impossible then is impossible again, and freezes the plan.
                let change = plan.next(order, &told, now);
                if let Ok(change) = change {
                    self.restored.history.told(id, market, change, at);
                }
                match change {
                    Ok(Change::Traded(trade)) => positions.trade(market, trade),
                    Ok(Change::Confirmed(trade)) => positions.confirm(market, trade.tag),
                    Ok(Change::Voided(trade)) => positions.void(market, trade.tag),
                    Ok(Change::Moved | Change::Nothing) | Err(_) => {}
                }
                let after = positions.holding(market);
                self.restored.flows[market.0 as usize] += after.cash - before.cash;
                *self.realised.entry(id).or_default() += after.realised - before.realised;
            }
            Record::Ended { plan, ending } => {
                self.restored.history.ended(plan, ending);
                let realised = self.realised.remove(&plan).unwrap_or(Money::ZERO);
                let Some(plan) = self.plans.remove(&plan) else { return Ok(()) };
                self.restored.ended.extend(plan.legs().map(|leg| (leg.ask.id, leg.tag())));
                if plan.exits() {
                    self.restored.left.push((self.at, realised));
                }
                let markets = [plan.aim.legs.kalshi.market, plan.aim.legs.polymarket.market];
                let tally = self.restored.tallies.entry(markets).or_default();
                match plan.came() {
                    Came::Nothing => {}
                    Came::Level => tally.note(None),
                    Came::Alone(venue) => tally.note(Some(venue)),
                }
            }
            Record::Merging { market, qty, .. } => {
                let market = self.slot(sequence, market)?;
                self.restored.merging = Some((market, qty));
            }
            Record::Merged { market, done, at } => {
                let market = self.slot(sequence, market)?;
                if let Some((of, qty)) = self.restored.merging.take()
                    && (of, done) == (market, true)
                {
                    let before = self.restored.positions.holding(market).cash;
                    self.restored.positions.merge(market, qty);
                    self.restored.flows[market.0 as usize] += self.restored.positions.holding(market).cash - before;
                    self.restored.history.merged(market, qty, at);
                }
            }
            Record::Adopted { market, held, cost, .. } => {
                let market = self.slot(sequence, market)?;
                for outcome in [Outcome::Yes, Outcome::No] {
                    let (qty, cost) = (held[outcome as usize], cost[outcome as usize]);
                    self.restored.positions.found(market, outcome, qty, cost);
                }
            }
            Record::Paid { market, yes_payout, held, paid } => {
                let market = self.slot(sequence, market)?;
                self.restored.history.paid(market, yes_payout, held, paid);
                let before = self.restored.positions.holding(market).cash;
                self.restored.positions.pay(market, yes_payout);
                self.restored.flows[market.0 as usize] += self.restored.positions.holding(market).cash - before;
            }
            Record::Ticket { order, market, outcome, qty, limit, digest, at } => {
                self.newest = self.newest.max(at);
                let (venue, purpose, market) = (Venue::Polymarket, Purpose::Entry, self.slot(sequence, market)?);
                let ask = Ask { id: order, venue, market, outcome, buys: true, qty, limit, purpose };
                let tag = Tag::new(&hex::encode_prefixed(digest));
                self.tickets.insert(order, (About { ask, tag }, at));
            }
            Record::Said { .. } => {}
            Record::Cleared { below } => self.tickets.retain(|order, _| below <= order.epoch()),
        }
        Ok(())
    }

    /// An order on record is one more record: a ticket that was too old to be sent when the epoch's last record was
    /// written was not sent, or that is on record too.
    fn end_epoch(&mut self) {
        let (epoch, newest) = (self.restored.epoch, self.newest);
        self.tickets.retain(|order, (_, at)| order.epoch() < epoch || newest.since(*at) < STRAY_MS);
    }

    fn slot(&self, sequence: u64, old: MarketId) -> Result<MarketId, Stranded> {
        self.old.get(&old).copied().ok_or(Stranded::Market { sequence, slot: old.0 })
    }
}
