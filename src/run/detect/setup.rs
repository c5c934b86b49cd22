//! What the detector is made from, and what a turn of it hands on.

use super::leave::LeaveSetup;
use crate::{
    config::LegOrder,
    decide::{Odds, Reason, Rules, Tally},
    fill::Heard,
    risk::{Budget, Limits, TradingState},
    run::event::{Event, Ready, Resnapshot},
    spread::{Pair, Terms},
    unit::{MarketId, Money, Nanos, Outcome, PairId, Qty},
    wire::Trading,
};

/// A market as the detector is given it.
#[derive(Clone, Debug)]
pub struct MarketSetup {
    pub terms: Terms,
    pub trading: Trading,
    pub polled: bool,
}

/// A pair as the detector is given it.
#[derive(Clone, Copy, Debug)]
pub struct PairSetup {
    pub pair: Pair,
    /// Pairs of one event share its exposure.
    pub event: u32,
    pub barred: Option<Reason>,
    /// Before anything was seen of its plans.
    pub odds: Odds,
    pub tally: Tally,
}

/// How the paper exchange is reached.
#[derive(Clone, Copy, Debug)]
pub struct PaperSetup {
    /// Kalshi's, Polymarket's.
    pub latency: [Nanos; 2],
}

/// Everything the detector is made from.
pub struct Setup {
    pub markets: Vec<MarketSetup>,
    pub pairs: Vec<PairSetup>,
    pub feeds: usize,
    pub rules: Rules,
    pub limits: Limits,
    pub budget: Budget,
    pub state: TradingState,
    pub paper: PaperSetup,
    pub leg_order: LegOrder,
    pub leaving: LeaveSetup,
    /// The first free number for sightings and plans.
    pub next_id: u64,
    /// Markets whose grid may become finer while the engine runs; their ladders are laid out now.
    pub regrids: usize,
    /// What is held already, by market and outcome: quantity and cost.
    pub held: Vec<(MarketId, Outcome, Qty, Money)>,
    /// Pairs whose plans go on from before the start.
    pub open: Vec<PairId>,
}

/// What a turn hands on. Its memory is kept.
#[derive(Debug)]
pub struct Outbox {
    pub events: Vec<Event>,
    pub resnapshots: Vec<Resnapshot>,
    /// For the executor.
    pub ready: Vec<Ready>,
    /// What the paper exchange answered.
    pub heard: Vec<Heard>,
}

impl Outbox {
    /// Room for more than any one turn can produce: a burst of doubts over every market.
    pub fn with_room(markets: usize) -> Self {
        let room = 4_096 + 16 * markets;
        Self {
            events: Vec::with_capacity(room),
            resnapshots: Vec::with_capacity(room),
            ready: Vec::with_capacity(room),
            heard: Vec::with_capacity(room),
        }
    }
}
