//! Per order, per pair, per event, per venue, per day, per second. What passes is [`Approved`]; nothing else is sent.

use super::{Budget, Ramp, TradingState};
use crate::{
    decide::{Intent, Reason},
    unit::{Money, Nanos, Venue},
};

/// The operator's limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub positions_max: usize,
    pub orders_per_second: u32,
    /// How long a pair rests after a plan of its own ended.
    pub cooldown: Nanos,
    pub auto_execute: bool,
    /// A person has armed live trading. Modes that need no arming are always armed.
    pub armed: bool,
    /// How far sizes have grown; `None` where they are not held back.
    pub ramp: Option<Ramp>,
}

/// What the limits are measured against.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Pairs that hold a position or a plan.
    pub positions: usize,
    /// Does this pair hold a position already? Adding to one opens no further position.
    pub held: bool,
    pub plan_open: bool,
    /// When the pair's last plan ended.
    pub plan_ended: Option<Nanos>,
    pub shards: [u8; 2],
    pub event: usize,
    /// A venue that takes no entries now.
    pub shut: Option<Venue>,
    /// A venue on which this account, or its key, may open nothing.
    pub ineligible: Option<Venue>,
    /// Do orders and positions agree with the venues?
    pub agrees: bool,
}

/// Orders of the last second.
#[derive(Clone, Debug)]
pub struct Pace {
    sent: [Nanos; Self::ROOM],
    next: usize,
}

impl Pace {
    const ROOM: usize = 256;

    /// Nothing sent yet.
    pub const fn new() -> Self {
        Self { sent: [Nanos::ZERO; Self::ROOM], next: 0 }
    }

    /// May `orders` more be sent now without more than `most` within a second?
    pub fn allows(&self, orders: u32, most: u32, now: Nanos) -> bool {
        let recent = |at: &&Nanos| **at != Nanos::ZERO && now.since(**at) < Nanos::secs(1);
        self.sent.iter().filter(recent).count() as u32 + orders <= most
    }

    /// Takes note of an order.
    pub fn note(&mut self, now: Nanos) {
        self.sent[self.next] = now;
        self.next = (self.next + 1) % Self::ROOM;
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

/// Proof that the limits were checked. The field is private, so [`check`] is the only way in.
#[derive(Debug)]
pub struct Approved(Intent);

impl Approved {
    /// The intent that was approved.
    pub const fn intent(&self) -> &Intent {
        &self.0
    }
}

/// Checks an intent against every limit.
pub fn check(
    intent: Intent,
    limits: &Limits,
    state: TradingState,
    standing: &Standing,
    budget: &Budget,
    pace: &Pace,
    now: Nanos,
) -> Result<Approved, Reason> {
    match state {
        TradingState::Active => {}
        TradingState::Paused => return Err(Reason::Paused),
        TradingState::Halted(_) => return Err(Reason::Halted),
    }
    if let Some(venue) = standing.ineligible {
        return Err(Reason::Ineligible(venue));
    }
    if !standing.agrees {
        return Err(Reason::Unreconciled);
    }
    if let Some(venue) = standing.shut {
        return Err(Reason::VenueShut(venue));
    }
    if standing.plan_open {
        return Err(Reason::OpenPlan);
    }
    if standing.plan_ended.is_some_and(|ended| now.since(ended) < limits.cooldown) {
        return Err(Reason::CoolDown);
    }
    if !standing.held && limits.positions_max <= standing.positions {
        return Err(Reason::Positions);
    }
    let caps = budget.caps(standing.shards, standing.event);
    let spent = [intent.cost[0] + intent.fees[0], intent.cost[1] + intent.fees[1]];
    for (v, venue) in Venue::ALL.into_iter().enumerate() {
        if caps.free[v] < spent[v] {
            return Err(Reason::Capital(venue));
        }
    }
    let total: Money = spent[0] + spent[1];
    if caps.event < total {
        return Err(Reason::EventExposure);
    }
    if caps.trade < total {
        return Err(Reason::TradeMinimum);
    }
    if !pace.allows(2, limits.orders_per_second, now) {
        return Err(Reason::OrderRate);
    }
    if !limits.auto_execute {
        return Err(Reason::AutoExecuteOff);
    }
    if !limits.armed {
        return Err(Reason::NotArmed);
    }
    Ok(Approved(intent))
}
