//! What waits at one place and what is on its way there, and what it says.

use super::message::{Answer, Body, Message};
use crate::{
    ledger::audit::Alert,
    unit::{AlertKind, Nanos},
};

/// Lines of a message that many became.
pub(super) const FOLD_MAX: usize = 30;

/// A trouble that somebody should acknowledge.
#[derive(Clone, Debug)]
pub(super) struct Risk {
    pub alert: Alert,
    pub times: u32,
    pub sends: u32,
    pub due: Nanos,
    pub again: bool,
    /// It was over before it could be told: told once, and not repeated.
    pub over: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub alert: Alert,
    pub times: u32,
    pub again: bool,
}

#[derive(Debug)]
pub(super) enum Cargo {
    Risks(Vec<u64>),
    Items(Vec<Item>),
    Answer(Answer, Nanos),
    Edges,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// Until so many records are written, or patience ends.
    Recording {
        mark: u64,
        since: Nanos,
    },
    Out,
}

#[derive(Debug)]
pub(super) struct Flight {
    pub cargo: Cargo,
    pub stage: Stage,
    pub message: Message,
}

/// How long after its nth time a risk alert comes again: 1, 2, 4 … 60 minutes.
pub(super) fn reminder(sends: u32) -> Nanos {
    let minutes = 1_u64 << sends.saturating_sub(1).min(6);
    Nanos::secs(60 * minutes.min(60))
}

/// One trouble as it is, or several as a list.
pub(super) fn told(risks: &[&Risk]) -> Body {
    if let [risk] = risks {
        let (told, times, again) = (risk.sends + 1, risk.times, risk.again);
        return Body::Alert { alert: Box::new(risk.alert.clone()), told, times, again };
    }
    let times = |risk: &Risk| if risk.times == 1 { String::new() } else { format!(" (×{})", risk.times) };
    let line = |risk: &&Risk| format!("/ack {}  {}{}", risk.alert.id, risk.alert.headline, times(risk));
    Body::Fold {
        kind: AlertKind::Risk,
        ids: risks.iter().map(|risk| risk.alert.id).collect(),
        lines: risks.iter().map(line).collect(),
        count: risks.len(),
        reminds: risks.iter().all(|risk| 0 < risk.sends),
        again: risks.iter().any(|risk| risk.again),
    }
}

pub(super) fn fold(items: &[Item]) -> Body {
    let again = items.iter().any(|item| item.again);
    if let [item] = items {
        return Body::Alert { alert: Box::new(item.alert.clone()), told: 1, times: item.times, again };
    }
    let line = |item: &Item| match item.times {
        1 => item.alert.headline.clone(),
        times => format!("{} (×{times})", item.alert.headline),
    };
    let hidden = items.len().saturating_sub(FOLD_MAX);
    let kind = items[0].alert.kind;
    let ids = items.iter().map(|item| item.alert.id).collect();
    let lines = items[hidden..].iter().map(line).collect();
    Body::Fold { kind, ids, lines, count: items.len(), reminds: false, again }
}

pub(super) fn kinds(flight: &Flight, risks: &[Risk]) -> Vec<AlertKind> {
    match &flight.cargo {
        Cargo::Risks(ids) => {
            risks.iter().filter(|risk| ids.contains(&risk.alert.id)).map(|_| AlertKind::Risk).collect()
        }
        Cargo::Items(items) => items.iter().map(|item| item.alert.kind).collect(),
        Cargo::Answer(..) => Vec::new(),
        Cargo::Edges => vec![AlertKind::Opportunity],
    }
}
