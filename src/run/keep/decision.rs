//! What was seen when an opportunity was judged, and where its time went: put together from single events, written down
//! for whoever asks why.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::{
    ledger::audit::Decision,
    run::event::{DEPTH, Passage, PlanStep},
    unit::{BookSide, Nanos, Qty, Venue},
};

/// Opportunities whose steps are still followed; older ones are written down as they are.
const FOLLOWED_MAX: usize = 1_024;

type Levels = [(u16, Qty); DEPTH];

/// One opportunity's.
#[derive(Clone, Debug, Default)]
struct Draft {
    id: u64,
    passage: Option<Passage>,
    /// By venue: bids, asks.
    books: [[Option<Levels>; 2]; 2],
    /// Since the decision: orders handed over, the last answer, the last fill.
    steps: [Option<Nanos>; 3],
}

/// Those that are followed, oldest first.
#[derive(Debug, Default)]
pub(super) struct Decisions(VecDeque<Draft>);

impl Decisions {
    pub(super) fn passed(&mut self, id: u64, passage: Passage) {
        self.draft(id).passage = Some(passage);
    }

    /// One side of one book; the row once all four are there.
    pub(super) fn depth(&mut self, id: u64, venue: Venue, side: BookSide, levels: Levels) -> Option<Decision> {
        let draft = self.draft(id);
        draft.books[venue as usize][usize::from(side == BookSide::Ask)] = Some(levels);
        let last = venue == Venue::Polymarket && side == BookSide::Ask;
        last.then(|| draft.row())
    }

    /// An order came further; `None` of an opportunity that is followed no more.
    pub(super) fn stepped(&mut self, id: u64, step: PlanStep, span: Nanos) -> Option<Decision> {
        let draft = self.0.iter_mut().rev().find(|draft| draft.id == id)?;
        let kept = &mut draft.steps[step as usize];
        *kept = Some(kept.map_or(span, |before| before.max(span)));
        Some(draft.row())
    }

    fn draft(&mut self, id: u64) -> &mut Draft {
        if let Some(at) = self.0.iter().rposition(|draft| draft.id == id) {
            return &mut self.0[at];
        }
        if self.0.len() == FOLLOWED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Draft { id, ..Draft::default() });
        self.0.back_mut().expect("one was put there just now")
    }
}

impl Draft {
    fn row(&self) -> Decision {
        let mut steps: Vec<(&str, Nanos)> = Vec::new();
        if let Some(p) = &self.passage {
            steps.push(("parse", p.sent.since(p.arrived)));
            steps.push(("ring", p.taken.since(p.sent)));
            steps.push(("book", p.applied.since(p.taken)));
            steps.push(("decide", p.decide));
        }
        // Each step is told since the decision; a waterfall has what lies between.
        let mut before = Nanos::ZERO;
        for (name, at) in ["send", "ack", "fill"].into_iter().zip(self.steps) {
            let Some(at) = at else { continue };
            steps.push((name, at.since(before.min(at))));
            before = before.max(at);
        }
        let steps: Vec<Value> = steps.iter().map(|(step, span)| json!({ "step": step, "ns": span.raw() })).collect();
        let side = |levels: &Option<Levels>| -> Vec<Value> {
            let held = levels.iter().flatten().filter(|(_, qty)| *qty != Qty::ZERO);
            held.map(|(price, qty)| json!([price, qty.micros()])).collect()
        };
        let books: Vec<Value> = Venue::ALL
            .into_iter()
            .zip(&self.books)
            .map(|(venue, [bids, asks])| json!({ "venue": venue.name(), "bids": side(bids), "asks": side(asks) }))
            .collect();
        Decision { opportunity: self.id, steps: json!(steps).to_string(), books: json!(books).to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waterfall_holds_what_lies_between_the_steps_and_the_last_of_both_legs() {
        let mut decisions = Decisions::default();
        let at = |ns: u64| Nanos::new(1_000 + ns);
        let passage = Passage { arrived: at(0), sent: at(40), taken: at(55), applied: at(60), decide: Nanos::new(7) };
        decisions.passed(1, passage);
        let mut levels = [(0, Qty::ZERO); DEPTH];
        levels[0] = (4_700, Qty::new(5_000_000).unwrap());
        let mut row = None;
        for venue in Venue::ALL {
            for side in [BookSide::Bid, BookSide::Ask] {
                assert!(row.is_none(), "four sides make two books");
                row = decisions.depth(1, venue, side, levels);
            }
        }
        assert!(row.take().unwrap().books.contains("\"bids\":[[4700,5000000]]"));
        for (step, ns) in
            [(PlanStep::Sent, 90), (PlanStep::Acked, 500), (PlanStep::Acked, 700), (PlanStep::Filled, 650)]
        {
            row = decisions.stepped(1, step, Nanos::new(ns));
        }
        let steps: Vec<Value> = serde_json::from_str(&row.unwrap().steps).unwrap();
        let spans: Vec<_> = steps.iter().map(|s| (s["step"].as_str().unwrap(), s["ns"].as_u64().unwrap())).collect();
        let wanted = [("parse", 40), ("ring", 15), ("book", 5), ("decide", 7), ("send", 90), ("ack", 610), ("fill", 0)];
        assert_eq!(spans, wanted, "a fill that came before the last answer took no time of its own");
        assert_eq!(decisions.stepped(2, PlanStep::Sent, Nanos::ZERO), None);
    }
}
