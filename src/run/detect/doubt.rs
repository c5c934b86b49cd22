//! What makes a book or a market doubtful, and what is asked for then.

use super::{Detector, Outbox};
use crate::{
    book::sync::Effect,
    run::event::{Event, Ready, Resnapshot, What},
    unit::{MarketId, Nanos},
    wire::{Arrival, Canary, Doubt, Update},
};

/// A resnapshot of one market is asked for at most this often.
const RESNAPSHOT_PACE: Nanos = Nanos::secs(2);

impl Detector {
    /// A book is doubted: what can be mended here is, and it is told.
    pub(super) fn doubted(&mut self, market: MarketId, mut doubt: Doubt, at: Arrival, out: &mut Outbox) {
        if doubt == Doubt::GridTooFine
            && let Some(ladders) = self.spare.pop()
        {
            doubt = Doubt::Regrid;
            self.books[market.0 as usize].widen(ladders);
            self.ask(market, at.now, out);
        }
        if doubt == Doubt::Regrid {
            // The stream is ahead of the catalogue here.
            let terms = &mut self.markets[market.0 as usize].terms;
            terms.grid = *self.books[market.0 as usize].grid();
            out.ready.push(Ready::Terms { market, terms: *terms });
        }
        out.events.push(Event { at: at.unix, what: What::Doubted { market, doubt } });
        // The feed has asked already for what it saw itself; what only the detector sees is asked for here.
        if matches!(doubt, Doubt::Impossible | Doubt::Checksum | Doubt::Disagrees | Doubt::Crossed) {
            self.ask(market, at.now, out);
        }
    }

    /// Asks the book's feed for a picture of it, not too often.
    pub(super) fn ask(&mut self, market: MarketId, now: Nanos, out: &mut Outbox) {
        let state = &mut self.markets[market.0 as usize];
        if RESNAPSHOT_PACE <= now.since(state.asked) {
            state.asked = now;
            let (feed, link) = self.books[market.0 as usize].source();
            out.resnapshots.push(Resnapshot { feed, link, market });
        }
    }

    /// Something of a market is not as its catalogue said.
    pub(super) fn canary(&mut self, market: MarketId, canary: Canary, at: Arrival, out: &mut Outbox) {
        if matches!(canary, Canary::FeeChanged | Canary::RulesChanged | Canary::UnknownGrid | Canary::OrderRefused) {
            self.markets[market.0 as usize].suspended = Some(canary);
        }
        out.events.push(Event { at: at.unix, what: What::Canary { market, canary } });
    }

    /// A connection is lost, and every book with it.
    pub(super) fn lost(&mut self, update: &Update, out: &mut Outbox) {
        for slot in 0..self.books.len() {
            if self.books[slot].source() != (update.feed, update.link) {
                continue;
            }
            if let Effect::Doubted(_) = self.books[slot].suspect(Doubt::Disconnected) {
                self.touch(slot);
            }
        }
        out.events.push(Event {
            at: update.at.unix,
            what: What::Doubted { market: update.market, doubt: Doubt::Disconnected },
        });
    }
}
