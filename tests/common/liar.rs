//! Two venues in virtual time that lose, delay, repeat and deny, and keep their own account of the truth.
//!
//! They share nothing with the engine but its plain values: what was filled, what it cost and what is held is counted
//! here a second time, and compared.

#![allow(dead_code, reason = "every test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeMap;

use fastrand::Rng;
use orion::{
    fill::{Heard, Whose},
    order::{Ask, Purpose},
    spread::FeeCurve,
    unit::{
        MarketId, Money, Nanos, OrderId, Outcome, Picture, Qty, Refusal, Sent, Stage, Tag, Told, Trade, Unclear, Venue,
    },
};

use super::desk::{KALSHI, POLYMARKET, at};

/// What is planted between the venues and the engine: each is a mistake that somebody has made with real money.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bug {
    /// An answer that never came counts as "nothing filled".
    ErrorIsUnfilled,
    /// What was not answered is sent again.
    ResendOnTimeout,
    /// Word of a failed settlement is not read.
    FailureIgnored,
    /// The same fill, told twice, counts twice.
    DuplicateCounts,
    /// "Not found" on a cancel counts as cancelled.
    NotFoundIsCancelled,
    /// A partial fill counts as a whole one.
    PartIsWhole,
    /// The side of a fill is read the wrong way round.
    WrongSide,
    /// Fees are forgotten.
    FeeForgotten,
    /// Not there now counts as never there, however young the order is.
    AbsentTooEarly,
    /// Fills that come after the order ended are not read.
    LateFillIgnored,
    /// A price on the NO leg is taken for one on the YES leg.
    WrongLeg,
    /// A cancel is believed though it was never sent.
    CancelNotSent,
    /// A match counts as settled.
    MatchIsFinal,
}

impl Bug {
    pub const ALL: [Self; 13] = [
        Self::ErrorIsUnfilled,
        Self::ResendOnTimeout,
        Self::FailureIgnored,
        Self::DuplicateCounts,
        Self::NotFoundIsCancelled,
        Self::PartIsWhole,
        Self::WrongSide,
        Self::FeeForgotten,
        Self::AbsentTooEarly,
        Self::LateFillIgnored,
        Self::WrongLeg,
        Self::CancelNotSent,
        Self::MatchIsFinal,
    ];
}

/// One order as its venue has it.
struct Truth {
    ask: Ask,
    tag: Tag,
    arrived: bool,
    open: bool,
    filled: u64,
    trades: Vec<Trade>,
}

/// What is to happen at a moment.
#[derive(Clone, Copy)]
enum Due {
    Arrive(OrderId, Fate),
    Tell(OrderId, Told),
    Settle(OrderId, Tag, Stage),
    /// What rests is filled after all, if it still stands.
    More(OrderId),
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Fill { ppm: u64, answered: bool },
    Refuse(Refusal),
    Lost,
}

/// Both venues.
pub struct Liar {
    pub rng: Rng,
    pub bug: Option<Bug>,
    /// Does anything go wrong?
    pub faulty: bool,
    due: Vec<(Nanos, u64, Due)>,
    count: u64,
    orders: BTreeMap<OrderId, Truth>,
    fees: [FeeCurve; 2],
    /// Micros of contracts by venue and outcome.
    pub held: [[i64; 2]; 2],
    pub cash: [i64; 2],
    pub faults: u64,
    /// What no engine may do.
    pub violations: Vec<String>,
    ended: Vec<OrderId>,
}

impl Liar {
    pub fn new(seed: u64, bug: Option<Bug>, fees: [FeeCurve; 2]) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            bug,
            faulty: true,
            due: Vec::new(),
            count: 0,
            orders: BTreeMap::new(),
            fees,
            held: [[0; 2]; 2],
            cash: [0; 2],
            faults: 0,
            violations: Vec::new(),
            ended: Vec::new(),
        }
    }

    pub fn orders(&self) -> usize {
        self.orders.len()
    }

    /// The engine sends an order.
    pub fn send(&mut self, ask: Ask, halted: bool, now: Nanos) {
        if halted && ask.purpose == Purpose::Entry {
            self.violations.push(format!("entry {} left after the latch", ask.id));
        }
        let tag = Tag::new(&format!("v-{}", ask.id)).unwrap();
        let known = self.orders.contains_key(&ask.id);
        if known {
            self.violations.push(format!("order {} was sent twice", ask.id));
        }
        let truth = Truth { ask, tag, arrived: false, open: false, filled: 0, trades: Vec::new() };
        self.orders.entry(ask.id).or_insert(truth);
        let fate = self.fate();
        let late = self.faulty && self.rng.u8(..100) < 6;
        let delay = if late { 5_000 + self.rng.u64(..50_000) } else { 20 + self.rng.u64(..80) };
        if fate == Fate::Lost || late {
            self.faults += 1;
            // Nothing is answered in time, or the connection broke.
            if self.rng.bool() {
                self.tell(ask.id, Told::Sent(Sent::Unknown(Unclear::Cut)), now, 10);
            }
        }
        if fate != Fate::Lost {
            self.push(now + Nanos::millis(delay), Due::Arrive(ask.id, fate));
        }
    }

    /// The engine cancels.
    pub fn cancel(&mut self, ask: &Ask, now: Nanos) {
        if self.bug == Some(Bug::CancelNotSent) {
            return self.tell(ask.id, Told::Cancelled { left: Some(ask.qty) }, now, 50);
        }
        if self.faulty && self.rng.u8(..100) < 10 {
            self.faults += 1;
            return;
        }
        let truth = self.orders.get_mut(&ask.id).expect("only what was sent is cancelled");
        let told = if truth.arrived && truth.open {
            truth.open = false;
            let left = Qty::new(ask.qty.micros() - truth.filled).unwrap();
            Told::Cancelled { left: (ask.venue == Venue::Kalshi).then_some(left) }
        } else {
            Told::NotCancelled
        };
        self.tell(ask.id, told, now, 60);
    }

    /// The engine asks for an order's record.
    pub fn look(&mut self, ask: &Ask, now: Nanos) {
        if self.bug == Some(Bug::ResendOnTimeout) {
            return self.send(*ask, false, now);
        }
        if self.faulty && self.rng.u8(..100) < 20 {
            self.faults += 1;
            return;
        }
        let Some(truth) = self.orders.get(&ask.id) else { return };
        if !truth.arrived {
            let mut as_of = at(now).unix;
            if self.bug == Some(Bug::AbsentTooEarly) {
                as_of = orion::unit::UnixMs::new(as_of.raw() + 600_000);
            }
            return self.tell(ask.id, Told::Absent { as_of }, now, 80);
        }
        let picture = Picture { filled: Qty::new(truth.filled).unwrap(), open: truth.open };
        let trades = truth.trades.clone();
        for trade in trades {
            self.tell(ask.id, Told::Trade(trade), now, 80);
        }
        self.tell(ask.id, Told::Picture(picture), now, 80);
    }

    /// What reaches the engine by now, in its order.
    pub fn poll(&mut self, now: Nanos) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            let next =
                self.due.iter().enumerate().filter(|(_, (due, ..))| *due <= now).min_by_key(|(_, (d, n, _))| (*d, *n));
            let Some((slot, _)) = next else { break };
            let (when, _, due) = self.due.swap_remove(slot);
            match due {
                Due::Arrive(id, fate) => self.arrive(id, fate, when),
                Due::Settle(id, tag, stage) => self.settle(id, tag, stage, when),
                Due::More(id) => self.more(id, when),
                Due::Tell(id, told) => heard.extend(self.sabotage(id, told, now)),
            }
        }
        heard
    }

    /// When something happens next.
    pub fn next(&self) -> Option<Nanos> {
        self.due.iter().map(|(due, ..)| *due).min()
    }

    fn fate(&mut self) -> Fate {
        let answered = true;
        if !self.faulty {
            return Fate::Fill { ppm: 1_000_000, answered };
        }
        let drawn = self.rng.u8(..100);
        self.faults += u64::from(drawn < 45);
        match drawn {
            0..8 => Fate::Lost,
            8..18 => Fate::Fill { ppm: 1_000_000, answered: false },
            18..22 => Fate::Fill { ppm: self.rng.u64(..1_000_000), answered: false },
            22..28 => Fate::Refuse([Refusal::Killed, Refusal::Funds, Refusal::NotOpen][self.rng.usize(..3)]),
            28..40 => Fate::Fill { ppm: self.rng.u64(..1_000_000), answered },
            40..45 => Fate::Fill { ppm: 0, answered },
            _ => Fate::Fill { ppm: 1_000_000, answered },
        }
    }

    fn arrive(&mut self, id: OrderId, fate: Fate, now: Nanos) {
        let Truth { ask, .. } = self.orders[&id];
        let v = ask.venue as usize;
        let own = self.held[v][ask.outcome as usize];
        let (ppm, answered) = match fate {
            Fate::Fill { .. } if !ask.buys && own < ask.qty.micros() as i64 => {
                return self.tell(id, Told::Sent(Sent::Refused(Refusal::Funds)), now, 20);
            }
            Fate::Fill { ppm, answered } => (ppm, answered),
            Fate::Refuse(refusal) => return self.tell(id, Told::Sent(Sent::Refused(refusal)), now, 20),
            Fate::Lost => return,
        };
        let filled = ask.qty.micros() * ppm / 1_000_000 / 10_000 * 10_000;
        let parts = if filled == 0 { 0 } else { 1 + self.rng.u64(..3) };
        let (mut left, mut trades) = (filled, Vec::new());
        for part in 0..parts {
            let qty = if part + 1 == parts { left } else { left / 2 / 10_000 * 10_000 };
            left -= qty;
            if qty != 0 {
                trades.push(self.trade(&ask, part, qty));
            }
        }
        let truth = self.orders.get_mut(&id).unwrap();
        truth.arrived = true;
        truth.filled = filled;
        // Kalshi's are immediate or cancelled; Polymarket's stand until they are cancelled.
        truth.open = ask.venue == Venue::Polymarket && filled < ask.qty.micros();
        truth.trades.clone_from(&trades);
        let (tag, open) = (truth.tag, truth.open);
        for trade in &trades {
            self.traded(&ask, trade, now);
        }
        if open && self.faulty && self.rng.u8(..100) < 30 {
            let later = now + Nanos::millis(50 + self.rng.u64(..250));
            self.push(later, Due::More(id));
        }
        if answered {
            self.tell(id, Told::Sent(Sent::Accepted(tag)), now, 100);
            self.tell(id, Told::Picture(Picture { filled: Qty::new(filled).unwrap(), open }), now, 100);
        } else if self.rng.bool() {
            let why = [Unclear::Cut, Unclear::Status(504), Unclear::Unreadable][self.rng.usize(..3)];
            self.tell(id, Told::Sent(Sent::Unknown(why)), now, 100);
        }
    }

    fn more(&mut self, id: OrderId, now: Nanos) {
        let truth = &self.orders[&id];
        let (ask, left) = (truth.ask, truth.ask.qty.micros() - truth.filled);
        if truth.open {
            let trade = self.trade(&ask, 9, left);
            let truth = self.orders.get_mut(&id).unwrap();
            truth.trades.push(trade);
            truth.filled += left;
            truth.open = false;
            self.traded(&ask, &trade, now);
        }
    }

    fn traded(&mut self, ask: &Ask, trade: &Trade, now: Nanos) {
        self.book(ask, trade, 1);
        self.spread_word(ask.id, Told::Trade(*trade), now);
        if ask.venue == Venue::Polymarket {
            let mined = now + Nanos::millis(2_000 + self.rng.u64(..20_000));
            self.push(mined, Due::Settle(ask.id, trade.tag, Stage::Mined));
            let fails = self.faulty && self.rng.u8(..100) < 8;
            self.faults += u64::from(fails);
            let last = if fails { Stage::Failed } else { Stage::Confirmed };
            let ended = mined + Nanos::millis(500 + self.rng.u64(..15_000));
            self.push(ended, Due::Settle(ask.id, trade.tag, last));
        }
    }

    fn trade(&self, ask: &Ask, part: u64, qty: u64) -> Trade {
        let qty = Qty::new(qty).unwrap();
        let fee = self.fees[ask.venue as usize].trade_fee(ask.limit, qty);
        Trade {
            tag: Tag::new(&format!("t-{}-{part}", ask.id)).unwrap(),
            outcome: ask.outcome,
            bought: ask.buys,
            price: ask.limit,
            qty,
            fee: (ask.venue == Venue::Kalshi).then_some(fee),
            stage: if ask.venue == Venue::Kalshi { Stage::Confirmed } else { Stage::Matched },
        }
    }

    fn settle(&mut self, id: OrderId, tag: Tag, stage: Stage, now: Nanos) {
        let truth = self.orders.get_mut(&id).unwrap();
        let ask = truth.ask;
        // An order that was sent twice has forgotten the first one's.
        let Some(trade) = truth.trades.iter_mut().find(|t| t.tag == tag) else { return };
        trade.stage = stage;
        let trade = *trade;
        if stage == Stage::Failed {
            self.book(&ask, &trade, -1);
        }
        self.spread_word(id, Told::Trade(trade), now);
    }

    /// Money and contracts, counted in plain integers.
    fn book(&mut self, ask: &Ask, trade: &Trade, sign: i64) {
        let v = ask.venue as usize;
        let fee = self.fees[v].trade_fee(trade.price, trade.qty).raw();
        let (qty, price) = (i128::from(trade.qty.micros()), i128::from(trade.price.raw()));
        // Paid rounds up, received rounds down.
        let gross = qty * price;
        let cash = if trade.bought { -((gross + 9_999) / 10_000) as i64 } else { (gross / 10_000) as i64 };
        self.cash[v] += sign * (cash - fee);
        self.held[v][trade.outcome as usize] += sign * if trade.bought { qty as i64 } else { -(qty as i64) };
        if ask.venue == Venue::Kalshi {
            let net = self.held[v][0].min(self.held[v][1]).max(0);
            self.held[v][0] -= net;
            self.held[v][1] -= net;
            self.cash[v] += net;
        }
    }

    /// By the stream: late, twice, or not at all.
    fn spread_word(&mut self, id: OrderId, told: Told, now: Nanos) {
        if self.faulty && self.rng.u8(..100) < 12 {
            self.faults += 1;
            return;
        }
        let late = self.rng.u64(..600);
        self.tell(id, told, now, late);
        if self.rng.u8(..100) < 15 {
            self.faults += 1;
            let late = late + self.rng.u64(..3_000);
            self.tell(id, told, now, late);
        }
    }

    fn tell(&mut self, id: OrderId, told: Told, now: Nanos, late_ms: u64) {
        self.push(now + Nanos::millis(late_ms), Due::Tell(id, told));
    }

    fn push(&mut self, when: Nanos, due: Due) {
        self.count += 1;
        self.due.push((when, self.count, due));
    }

    /// The planted mistake, if any, between the venue's word and the engine.
    fn sabotage(&mut self, id: OrderId, told: Told, now: Nanos) -> Option<Heard> {
        let over = self.ended.contains(&id);
        let told = match (self.bug, told) {
            (Some(Bug::ErrorIsUnfilled), Told::Sent(Sent::Unknown(_))) => Told::Sent(Sent::Refused(Refusal::Killed)),
            (Some(Bug::FailureIgnored), Told::Trade(t)) if t.stage == Stage::Failed => return None,
            (Some(Bug::DuplicateCounts), Told::Trade(t)) => {
                self.count += 1;
                Told::Trade(Trade { tag: Tag::new(&format!("{}-{}", t.tag, self.count)).unwrap(), ..t })
            }
            (Some(Bug::NotFoundIsCancelled), Told::NotCancelled) => {
                Told::Cancelled { left: Some(self.orders[&id].ask.qty) }
            }
            (Some(Bug::PartIsWhole), Told::Picture(p)) if !p.filled.is_zero() => {
                Told::Picture(Picture { filled: self.orders[&id].ask.qty, ..p })
            }
            (Some(Bug::WrongSide), Told::Trade(t)) => Told::Trade(Trade { outcome: t.outcome.other(), ..t }),
            (Some(Bug::FeeForgotten), Told::Trade(t)) => Told::Trade(Trade { fee: Some(Money::ZERO), ..t }),
            (Some(Bug::LateFillIgnored), Told::Trade(_)) if over => return None,
            (Some(Bug::WrongLeg), Told::Trade(t)) if t.outcome == Outcome::No => {
                Told::Trade(Trade { price: t.price.complement(), ..t })
            }
            (Some(Bug::MatchIsFinal), Told::Trade(t)) if t.stage < Stage::Confirmed => {
                Told::Trade(Trade { stage: Stage::Confirmed, ..t })
            }
            (_, told) => told,
        };
        if matches!(told, Told::Picture(Picture { open: false, .. })) {
            self.ended.push(id);
        }
        Some(Heard { order: Whose::Ours(id), told, at: at(now).unix, met: None })
    }
}

/// The market of a venue at the desk.
pub const fn market(venue: Venue) -> MarketId {
    match venue {
        Venue::Kalshi => KALSHI,
        Venue::Polymarket => POLYMARKET,
    }
}
