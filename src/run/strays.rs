//! Tickets of earlier starts that may have become orders although nothing says so.
//!
//! A ticket is sent without waiting for the medium: after a power cut its record may be all that is left of an order.
//! So every ticket that was young when the journal ended, and of which no order is on record, is asked for at the
//! venue. That it was never sent is what mostly comes of it, and is known once the order could not stand any more.

use super::execute::About;
use crate::{
    fill::{Heard, Whose},
    unit::{Nanos, OrderId, Tag, UnixMs},
    venue::gateway::Account,
};

/// Between questions for two of them: the venue's budget is for orders that are known.
const PACE: Nanos = Nanos::millis(100);
/// Between two questions for the same one.
const AGAIN: Nanos = Nanos::secs(20);

#[derive(Clone, Copy, Debug)]
struct Stray {
    order: About,
    asked: Option<Nanos>,
    /// The venue has it.
    shown: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Strays {
    all: Vec<Stray>,
    asked: Option<Nanos>,
}

impl Strays {
    pub(super) fn new(found: &[(About, UnixMs)]) -> Self {
        let all = found.iter().map(|(order, _)| Stray { order: *order, asked: None, shown: false }).collect();
        Self { all, asked: None }
    }

    /// The next one that is to be asked for.
    pub(super) fn due(&mut self, now: Nanos) -> Option<About> {
        if self.all.is_empty() || self.asked.is_some_and(|asked| now.since(asked) < PACE) {
            return None;
        }
        let stray = self.all.iter_mut().min_by_key(|stray| stray.asked)?;
        if stray.asked.is_some_and(|asked| now.since(asked) < AGAIN) {
            return None;
        }
        (self.asked, stray.asked) = (Some(now), Some(now));
        Some(stray.order)
    }

    /// The one that a report is about.
    pub(super) fn hear(&self, heard: &Heard) -> Option<About> {
        let own = |stray: &&Stray| match heard.order {
            Whose::Ours(id) => stray.order.ask.id == id,
            Whose::Named(tag) => is_tag(stray, tag),
        };
        self.all.iter().find(own).map(|stray| stray.order)
    }

    /// Gives standing orders of an account their numbers.
    pub(super) fn name(&self, account: &mut Account) {
        for (tag, order) in account.standing.iter_mut().filter(|(_, order)| order.is_none()) {
            *order = self.all.iter().find(|stray| is_tag(stray, *tag)).map(|stray| stray.order.ask.id);
        }
    }

    /// The venue has it. `true` the first time.
    pub(super) fn show(&mut self, order: OrderId) -> bool {
        let stray = self.all.iter_mut().find(|stray| stray.order.ask.id == order);
        stray.is_some_and(|stray| !std::mem::replace(&mut stray.shown, true))
    }

    /// The venue has not got it, and never will.
    pub(super) fn end(&mut self, order: OrderId) {
        self.all.retain(|stray| stray.order.ask.id != order || stray.shown);
    }

    /// A person has ruled on those that the venue has. `true` if there were any.
    pub(super) fn rule(&mut self) -> bool {
        let before = self.all.len();
        self.all.retain(|stray| !stray.shown);
        self.all.len() < before
    }

    /// Is nothing left to be asked for?
    pub(super) fn are_over(&self) -> bool {
        self.all.is_empty()
    }
}

fn is_tag(stray: &Stray, tag: Tag) -> bool {
    stray.order.tag.is_some_and(|known| known.as_str().eq_ignore_ascii_case(tag.as_str()))
}
