//! What a venue says of the account against what the journal makes of it.
//!
//! The venue's record wins in a person's hands, never by itself: a difference is shown and stops entries, it is not
//! corrected. More than we hold is somebody else's trade, and blocks that market; less than we hold is something that
//! we believe in and that is not there, and lets the latch fall.

use super::execute::Executor;
use crate::{
    ledger::journal::Store,
    order::leg::DUST,
    unit::{MarketId, OrderId, Outcome, Qty, Tag, Venue},
    venue::gateway::Account,
};

/// One thing in which a venue and the journal disagree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Difference {
    /// The venue shows more than we bought: traded by hand, or by another engine.
    More { market: MarketId, outcome: Outcome, ours: Qty, theirs: Qty },
    /// The venue shows less than we hold.
    Less { market: MarketId, outcome: Outcome, ours: Qty, theirs: Qty },
    /// An order of ours stands that no plan knows.
    Forgotten { order: OrderId },
}

impl Difference {
    /// Does it mean that we believe in something that is not there, or have lost sight of something that is?
    pub const fn halts(&self) -> bool {
        !matches!(self, Self::More { .. })
    }

    /// The market of which the two hold different things.
    pub const fn market(&self) -> Option<MarketId> {
        match self {
            Self::More { market, .. } | Self::Less { market, .. } => Some(*market),
            Self::Forgotten { .. } => None,
        }
    }

    /// Is all of it gone and nothing there instead, as when a market has paid? `all` are the reading's differences.
    pub fn may_be_a_payout(&self, all: &[Self]) -> bool {
        let Self::Less { market, theirs, .. } = self else { return false };
        let instead = |other: &Self| matches!(other, Self::More { market: of, .. } if of == market);
        theirs.is_zero() && !all.iter().any(instead)
    }

    /// One line for the ledger; `name` gives a market's.
    pub fn sentence(&self, name: impl Fn(MarketId) -> String) -> String {
        match *self {
            Self::More { market, outcome, ours, theirs } => {
                format!(
                    "{}: the venue holds {theirs} {}, the journal {ours}: traded by somebody else",
                    name(market),
                    outcome.name()
                )
            }
            Self::Less { market, outcome, ours, theirs } => {
                let name = name(market);
                format!("{name}: the journal holds {ours} {}, the venue only {theirs}", outcome.name())
            }
            Self::Forgotten { order } => format!("order {order} stands at the venue, and no plan knows it"),
        }
    }
}

/// Every difference on one venue; `names` are the venues' own names of the markets, by slot. Markets on which a plan is
/// on its way are left out: their reports are on their way too.
pub fn compare<S: Store>(
    names: &[(Venue, Tag)],
    venue: Venue,
    account: &Account,
    executor: &Executor<S>,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let moving = |market: MarketId| executor.open().any(|plan| plan.legs().any(|leg| leg.ask.market == market));
    for (slot, (_, name)) in names.iter().enumerate().filter(|(_, (of, _))| *of == venue) {
        let market = MarketId(slot as u32);
        let merging = executor.merging().is_some_and(|(of, _)| of == market);
        if moving(market) || merging || executor.has_paid(market) {
            continue;
        }
        let ours = executor.holding(market).qty;
        let theirs = account.held.iter().find(|held| held.market == *name).map_or([Qty::ZERO; 2], |held| held.qty);
        for outcome in [Outcome::Yes, Outcome::No] {
            let (ours, theirs) = (ours[outcome as usize], theirs[outcome as usize]);
            if DUST < theirs.saturating_sub(ours) {
                found.push(Difference::More { market, outcome, ours, theirs });
            } else if DUST < ours.saturating_sub(theirs) {
                found.push(Difference::Less { market, outcome, ours, theirs });
            }
        }
    }
    let known = |order: OrderId| executor.open().any(|plan| plan.leg(order).is_some());
    let standing = account.standing.iter().filter_map(|(_, order)| *order);
    found.extend(standing.filter(|order| !known(*order)).map(|order| Difference::Forgotten { order }));
    found
}
