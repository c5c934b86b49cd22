//! What the executor is given and what it gives: facts of markets, the door that orders are made ready by, limits over
//! many orders, and lists of what is to be done.

use super::super::event::{Event, Word};
use super::PLANS_MAX;
use crate::{
    order::Ask,
    spread::{FeeCurve, Terms},
    unit::{Money, OrderId, Qty, Tag, Venue},
    venue::gateway::{Minted, Prepared, Unready},
    wire::Arrival,
};

/// What the executor needs to know of a market.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub venue: Venue,
    pub fee: FeeCurve,
    /// The smallest order, in contracts and in money.
    pub qty_min: Qty,
    pub cost_min: Money,
}

impl Facts {
    /// Those of a market with these terms.
    pub const fn of(terms: &Terms) -> Self {
        Self { venue: terms.venue, fee: terms.fee, qty_min: terms.qty_min, cost_min: terms.cost_min }
    }
}

/// Makes orders ready to leave, below the executor.
pub trait Door {
    /// Names and signs an order. Nothing leaves.
    fn prepare(&mut self, ask: &Ask, at: Arrival) -> Result<Prepared, Unready>;
    /// Drops an order that is ready and will not be sent.
    fn withdraw(&mut self, ask: &Ask);
    /// Do orders outlive the host's end behind this door?
    fn outlives(&self) -> bool {
        true
    }
    /// Asks for an order to be signed ahead; nobody waits. `false` where that cannot be.
    fn mint(&mut self, _ask: &Ask, _at: Arrival) -> bool {
        false
    }
    /// The next one that was.
    fn minted(&mut self) -> Option<Minted> {
        None
    }
    /// Drops one that will not be used.
    fn discard(&mut self, _order: OrderId) {}
}

/// The door to the paper exchange: nothing is signed there.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned;

impl Door for Unsigned {
    fn prepare(&mut self, _: &Ask, _: Arrival) -> Result<Prepared, Unready> {
        Ok(Prepared { digest: None, tag: None, ahead: false })
    }

    fn withdraw(&mut self, _: &Ask) {}

    fn outlives(&self) -> bool {
        false
    }
}

/// What more than one order together may come to before nothing new is entered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Refused or in doubt in a row, on one venue: the latch falls.
    pub refusals: u32,
    /// Of a venue's last 20 orders, the share refused or in doubt, in millionths: the latch falls.
    pub error_ppm: u32,
    /// Matched and not final.
    pub provisional: Money,
}

impl Limits {
    /// For those who lose nothing: replay, benches, paper.
    pub const NONE: Self = Self { refusals: u32::MAX, error_ppm: u32::MAX, provisional: Money::micros(i64::MAX) };
}

/// How a venue's last orders were answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answers {
    /// Bad ones in a row.
    pub(super) row: u32,
    /// One bit each, the newest lowest; set for a bad one.
    pub(super) bad: u32,
    pub(super) known: u32,
}

impl Answers {
    const KEPT: u32 = 20;

    pub(super) fn note(&mut self, good: bool) {
        self.row = if good { 0 } else { self.row + 1 };
        self.bad = (self.bad << 1 | u32::from(!good)) & ((1 << Self::KEPT) - 1);
        self.known = (self.known + 1).min(Self::KEPT);
    }

    /// Millionths; nothing before there are enough of them.
    pub(super) fn bad_ppm(&self) -> u32 {
        if self.known < Self::KEPT { 0 } else { self.share_ppm() }
    }

    /// The same of however many there are.
    pub(super) fn share_ppm(&self) -> u32 {
        self.bad.count_ones() * 1_000_000 / self.known.max(1)
    }
}

/// An order and the venue's name for it, if it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct About {
    pub ask: Ask,
    pub tag: Option<Tag>,
}

/// What is to be done. Filled by the executor, emptied by its caller; memory is kept.
#[derive(Debug, Default)]
pub struct Acts {
    /// To the venues, or to the paper exchange.
    pub sends: Vec<Ask>,
    /// Orders that stand and should not.
    pub cancels: Vec<About>,
    /// Orders whose record is to be asked for.
    pub looks: Vec<About>,
    /// To the detector.
    pub words: Vec<Word>,
    /// To the keeper.
    pub events: Vec<Event>,
}

impl Acts {
    /// Room for what a storm of reports brings at once.
    pub fn with_room() -> Self {
        Self {
            sends: Vec::with_capacity(2 * PLANS_MAX),
            cancels: Vec::with_capacity(2 * PLANS_MAX),
            looks: Vec::with_capacity(2 * PLANS_MAX),
            words: Vec::with_capacity(16 * PLANS_MAX),
            events: Vec::with_capacity(16 * PLANS_MAX),
        }
    }
}
