//! What is told at one place, when, and how often: a protocol without I/O and without a clock.
//!
//! One request is on its way at a time. Risk alerts go first, are never dropped and come again until somebody
//! acknowledges them; answers to commands come next; the rest waits its turn, folded where much of it waits.
//! Opportunities become one message that is edited at most once a minute. Before a kept alert leaves, that it is leaving
//! is written down; so after a restart it either surely did not arrive, or is told again with the word "again".

use std::{collections::VecDeque, sync::Arc, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, FakeRelativeClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};

use super::{
    cargo::{Cargo, FOLD_MAX, Flight, Item, Risk, Stage, fold, kinds, reminder, told},
    digest::Digest,
    message::{Answer, Body, Message, Outcome, Output, Rules},
    same::Sames,
};
use crate::{
    ledger::audit::{Alert, Delivery, DeliveryState},
    run::notice::Counts,
    unit::{AlertKind, Loudness, Nanos, UnixMs},
};

/// Others than risk alerts that may wait; beyond it the oldest is dropped and counted.
pub const WAITING_MAX: usize = 500;
/// Troubles that may wait to be acknowledged; beyond it they share one alert, which says how many.
pub const RISKS_MAX: usize = 200;
/// Answers that may wait; beyond it the oldest is dropped: who asks that fast has asked again.
const ANSWERS_MAX: usize = 16;
/// So many of one kind that wait become one message.
const FOLD_FROM: usize = 4;
/// Between a risk alert and its first reminder.
const REMIND_FIRST: Nanos = Nanos::secs(60);
/// A database that is locked does not hold an alert back for longer.
const RECORD_WAIT: Nanos = Nanos::secs(1);
/// An answer is of use so long.
const ANSWER_MAX: Nanos = Nanos::secs(60);
/// A place that takes nothing is asked again after this.
const SHUT: Nanos = Nanos::secs(300);
/// No place is obeyed that asks for a longer pause: risk alerts have to get through.
const WAIT_MAX: Duration = Duration::from_mins(15);

/// Everything that waits for one place.
#[derive(Debug)]
pub struct Queue {
    rules: Rules,
    counts: Arc<Counts>,
    clock: FakeRelativeClock,
    limiter: RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<governor::nanos::Nanos>>,
    now: Nanos,
    unix: UnixMs,
    risks: Vec<Risk>,
    waiting: VecDeque<Item>,
    answers: VecDeque<(Answer, Nanos)>,
    digest: Digest,
    same: Sames,
    muted: [Nanos; 12],
    flight: Option<Flight>,
    records: VecDeque<Delivery>,
    handed: u64,
    written: u64,
    /// Nothing leaves before.
    pause: Nanos,
    backoff: Option<ExponentialBackoff>,
    plain: bool,
}

impl Queue {
    /// A place to which nothing was told yet.
    pub fn new(rules: Rules, counts: Arc<Counts>, now: Nanos, unix: UnixMs) -> Self {
        let quota = Quota::with_period(rules.pace.every).map(|quota| quota.allow_burst(rules.pace.burst));
        let quota = quota.unwrap_or_else(|| Quota::per_second(rules.pace.burst));
        let clock = FakeRelativeClock::default();
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
            rules,
            counts,
            now,
            unix,
            risks: Vec::new(),
            waiting: VecDeque::new(),
            answers: VecDeque::new(),
            digest: Digest::default(),
            same: Sames::default(),
            muted: [Nanos::ZERO; 12],
            flight: None,
            records: VecDeque::new(),
            handed: 0,
            written: 0,
            pause: Nanos::ZERO,
            backoff: None,
            plain: false,
        }
    }

    /// The place, as the database knows it.
    pub fn place(&self) -> &str {
        &self.rules.place
    }

    /// Is there nothing left that could be told now?
    pub fn is_idle(&self) -> bool {
        let told = self.risks.iter().all(|risk| 0 < risk.sends && !risk.again);
        told && self.flight.is_none() && self.records.is_empty() && self.waiting.is_empty() && self.answers.is_empty()
    }

    /// Trouble that nobody has acknowledged, oldest first: its number, what it is, and how often it was told.
    pub fn open_risks(&self) -> impl Iterator<Item = (&Alert, u32)> {
        self.risks.iter().map(|risk| (&risk.alert, risk.sends))
    }

    /// What an earlier start left. Oldest first.
    pub fn handle_left(&mut self, alert: Alert, delivery: &Delivery) {
        let again = delivery.state == DeliveryState::Sending;
        if alert.kind != AlertKind::Risk {
            self.wait(Item { alert, times: 1, again });
            return;
        }
        if delivery.state == DeliveryState::Sent && !self.rules.people {
            return;
        }
        let age = Nanos::millis(self.unix.since(delivery.at));
        let due = if delivery.state == DeliveryState::Sent {
            let pause = reminder(delivery.sends);
            self.now + pause.since(age)
        } else {
            self.now
        };
        let risk = Risk { alert, times: 1, sends: delivery.sends, due, again, over: false };
        match self.risks.iter_mut().find(|known| known.alert.key == risk.alert.key) {
            // Two starts have told of the same trouble.
            Some(known) => {
                known.times += 1;
                known.due = known.due.min(risk.due);
                self.record(risk.alert.id, DeliveryState::Folded, risk.sends);
            }
            None => self.risks.push(risk),
        }
    }

    /// An alert that was raised.
    pub fn handle_alert(&mut self, alert: Alert, now: Nanos, unix: UnixMs) {
        self.advance(now, unix);
        let kind = alert.kind;
        if kind == AlertKind::Risk {
            self.handle_risk(alert);
        } else if now < self.muted[kind as usize] {
            Counts::add(&self.counts.suppressed, kind);
            self.record_kept(&alert, DeliveryState::Dropped);
        } else if kind == AlertKind::Opportunity {
            self.digest.add(&alert);
        } else if self.rules.people {
            let (now_told, folded) = self.same.hold(alert, self.now);
            if let Some(folded) = &folded {
                self.record_kept(folded, DeliveryState::Folded);
            }
            match now_told {
                Some((alert, times)) => self.wait(Item { alert, times, again: false }),
                None => Counts::add(&self.counts.suppressed, kind),
            }
        } else {
            self.wait(Item { alert, times: 1, again: false });
        }
    }

    fn handle_risk(&mut self, alert: Alert) {
        let now = self.now;
        let same = |risk: &&mut Risk| risk.alert.key == alert.key && !alert.key.is_empty() && !risk.over;
        let full = RISKS_MAX <= self.risks.len();
        let known = if self.rules.people { self.risks.iter_mut().find(same) } else { None };
        match known {
            Some(risk) => {
                risk.times += 1;
                risk.due = risk.due.min(now + REMIND_FIRST);
                self.fold(&alert);
            }
            // So much trouble at once is one trouble. The newest stands for the others.
            None if full => {
                if let Some(last) = self.risks.last_mut() {
                    last.times += 1;
                }
                self.fold(&alert);
            }
            None => self.risks.push(Risk { alert, times: 1, sends: 0, due: now, again: false, over: false }),
        }
    }

    fn fold(&mut self, alert: &Alert) {
        Counts::add(&self.counts.suppressed, alert.kind);
        self.record_kept(alert, DeliveryState::Folded);
    }

    fn wait(&mut self, item: Item) {
        if self.waiting.len() == WAITING_MAX
            && let Some(oldest) = self.waiting.pop_front()
        {
            Counts::add(&self.counts.dropped, oldest.alert.kind);
            self.record_kept(&oldest.alert, DeliveryState::Dropped);
        }
        self.waiting.push_back(item);
    }

    /// An answer to a command.
    pub fn handle_answer(&mut self, answer: Answer, now: Nanos, unix: UnixMs) {
        self.advance(now, unix);
        if self.answers.len() == ANSWERS_MAX {
            self.answers.pop_front();
        }
        self.answers.push_back((answer, now));
    }

    /// Somebody acknowledged it, here or elsewhere. `false` where nothing of that number is open.
    pub fn handle_ack(&mut self, id: u64) -> bool {
        let Some(at) = self.risks.iter().position(|risk| risk.alert.id == id) else { return false };
        let risk = self.risks.remove(at);
        self.record(id, DeliveryState::Acknowledged, risk.sends);
        true
    }

    /// The trouble of this key is over. What was never told is told once.
    pub fn handle_over(&mut self, key: &str) {
        let told: Vec<u64> = self
            .risks
            .iter_mut()
            .filter(|risk| risk.alert.key == key)
            .filter_map(|risk| {
                risk.over = true;
                (0 < risk.sends).then_some(risk.alert.id)
            })
            .collect();
        for id in told {
            self.handle_ack(id);
        }
    }

    /// Nothing of this kind is told until then. Risk alerts cannot be muted.
    pub fn handle_mute(&mut self, kind: AlertKind, until: Nanos) {
        if kind != AlertKind::Risk {
            self.muted[kind as usize] = until;
        }
    }

    /// So many of the records that were handed out are safely written.
    pub fn handle_written(&mut self, count: u64) {
        self.written = self.written.max(count);
    }

    /// What became of the request that was on its way.
    pub fn handle_outcome(&mut self, outcome: Outcome, now: Nanos, unix: UnixMs) {
        self.advance(now, unix);
        let Some(flight) = self.flight.take() else { return };
        if let Outcome::Sent(message) = outcome {
            (self.backoff, self.plain) = (None, false);
            self.arrived(flight.cargo, message);
            return;
        }
        for kind in kinds(&flight, &self.risks) {
            Counts::add(&self.counts.failed, kind);
        }
        match outcome {
            Outcome::Wait(asked) => {
                self.pause = now + nanos(asked.min(WAIT_MAX));
                self.keep(flight.cargo, false);
            }
            Outcome::Shut => {
                self.pause = now + SHUT;
                self.keep(flight.cargo, false);
            }
            // With markup it was refused: without it, it may do. Refused twice it is given up, but never a risk alert.
            Outcome::Refused if !self.plain => {
                self.plain = true;
                self.keep(flight.cargo, false);
            }
            Outcome::Refused => {
                self.plain = false;
                self.give_up(flight.cargo);
            }
            Outcome::Unsent | Outcome::Unsure | Outcome::Sent(_) => {
                self.pause = now + self.next_pause();
                self.keep(flight.cargo, outcome == Outcome::Unsure);
            }
        }
    }

    fn next_pause(&mut self) -> Nanos {
        let seed = self.rules.seed;
        let backoff = self.backoff.get_or_insert_with(|| {
            ExponentialBuilder::default()
                .with_min_delay(Duration::from_secs(1))
                .with_max_delay(Duration::from_mins(1))
                .without_max_times()
                .with_jitter()
                .with_jitter_seed(seed)
                .build()
        });
        backoff.next().map_or(REMIND_FIRST, nanos)
    }

    fn arrived(&mut self, cargo: Cargo, message: Option<i64>) {
        match cargo {
            Cargo::Risks(ids) => ids.into_iter().for_each(|id| self.risk_arrived(id)),
            Cargo::Items(items) => {
                for item in items {
                    Counts::add(&self.counts.sent, item.alert.kind);
                    if item.alert.kind.is_kept() {
                        self.record(item.alert.id, DeliveryState::Sent, 1);
                    }
                }
            }
            Cargo::Answer(..) => {}
            Cargo::Edges => {
                Counts::add(&self.counts.sent, AlertKind::Opportunity);
                self.digest.arrived(message, self.now);
            }
        }
    }

    fn risk_arrived(&mut self, id: u64) {
        Counts::add(&self.counts.sent, AlertKind::Risk);
        let now = self.now;
        let Some(risk) = self.risks.iter_mut().find(|risk| risk.alert.id == id) else { return };
        (risk.sends, risk.again) = (risk.sends + 1, false);
        risk.due = now + reminder(risk.sends);
        let (over, sends) = (risk.over, risk.sends);
        if over || !self.rules.people {
            self.handle_ack(id);
        } else {
            self.record(id, DeliveryState::Sent, sends);
        }
    }

    /// It did not arrive, or may not have: it stays the first of its kind.
    fn keep(&mut self, cargo: Cargo, again: bool) {
        match cargo {
            Cargo::Risks(ids) => {
                for id in ids {
                    let Some(risk) = self.risks.iter_mut().find(|risk| risk.alert.id == id) else { continue };
                    risk.again |= again;
                    let sends = risk.sends;
                    if !risk.again {
                        // Before the first time it waits as at the beginning; later it waits as told.
                        let state = if sends == 0 { DeliveryState::Queued } else { DeliveryState::Sent };
                        self.record(id, state, sends);
                    }
                }
            }
            Cargo::Items(items) => {
                for mut item in items.into_iter().rev() {
                    item.again |= again;
                    if !item.again {
                        self.record_kept(&item.alert, DeliveryState::Queued);
                    }
                    self.waiting.push_front(item);
                }
            }
            Cargo::Answer(answer, since) => {
                if self.now.since(since) < ANSWER_MAX {
                    self.answers.push_front((answer, since));
                }
            }
            Cargo::Edges => self.digest.failed(),
        }
    }

    fn give_up(&mut self, cargo: Cargo) {
        match cargo {
            Cargo::Risks(ids) => {
                let due = self.now + SHUT;
                for risk in self.risks.iter_mut().filter(|risk| ids.contains(&risk.alert.id)) {
                    risk.due = due;
                }
                self.keep(Cargo::Risks(ids), false);
            }
            Cargo::Items(items) => {
                for item in items {
                    Counts::add(&self.counts.dropped, item.alert.kind);
                    self.record_kept(&item.alert, DeliveryState::Dropped);
                }
            }
            Cargo::Answer(..) => {}
            Cargo::Edges => self.digest.refused(),
        }
    }

    /// Call until it answers [`Output::WaitUntil`].
    pub fn poll(&mut self, now: Nanos, unix: UnixMs) -> Output {
        self.advance(now, unix);
        if let Some(record) = self.records.pop_front() {
            self.handed += 1;
            return Output::Record(record);
        }
        if let Some(flight) = &mut self.flight {
            return match flight.stage {
                Stage::Out => Output::WaitUntil(Nanos::new(u64::MAX)),
                Stage::Recording { mark, since } if self.written < mark && now.since(since) < RECORD_WAIT => {
                    Output::WaitUntil(since + RECORD_WAIT)
                }
                Stage::Recording { .. } => {
                    // Somebody may have acknowledged it meanwhile.
                    if let Cargo::Risks(ids) = &flight.cargo
                        && !self.risks.iter().any(|risk| ids.contains(&risk.alert.id))
                    {
                        self.flight = None;
                        return Output::WaitUntil(now);
                    }
                    flight.stage = Stage::Out;
                    Output::Send(flight.message.clone())
                }
            };
        }
        self.release();
        if now < self.pause {
            return Output::WaitUntil(self.pause);
        }
        let Some(is) = self.what_next() else { return Output::WaitUntil(self.next_due()) };
        if let Err(not_until) = self.limiter.check() {
            return Output::WaitUntil(now + nanos(not_until.wait_time_from(self.clock.now())));
        }
        self.load(is);
        match &self.flight {
            Some(Flight { stage: Stage::Out, message, .. }) => Output::Send(message.clone()),
            _ => self.poll(now, unix),
        }
    }

    /// New trouble, then answers, then trouble that nobody has acknowledged, then everything else.
    fn what_next(&self) -> Option<Next> {
        let due = |risk: &&Risk| risk.due <= self.now;
        let (told, new): (Vec<&Risk>, Vec<&Risk>) = self.risks.iter().filter(due).partition(|risk| 0 < risk.sends);
        let ids = |risks: &[&Risk], most: usize| risks.iter().take(most).map(|risk| risk.alert.id).collect();
        // After an outage there may be much of it: then it is one message, in which none is hidden.
        let most = if self.rules.people && FOLD_FROM <= new.len() { FOLD_MAX } else { 1 };
        if !new.is_empty() {
            return Some(Next::Risks(ids(&new, most)));
        }
        if !self.answers.is_empty() {
            return Some(Next::Answer);
        }
        if !told.is_empty() {
            return Some(Next::Risks(ids(&told, FOLD_MAX)));
        }
        if !self.waiting.is_empty() {
            return Some(Next::Items);
        }
        self.digest.is_due(self.now).then_some(Next::Edges)
    }

    fn next_due(&self) -> Nanos {
        let risks = self.risks.iter().map(|risk| risk.due);
        risks.chain(self.same.due()).chain(self.digest.due()).min().unwrap_or(Nanos::new(u64::MAX))
    }

    /// What was held back long enough waits like anything else, and says how many there were.
    fn release(&mut self) {
        for (alert, times) in self.same.release(self.now) {
            self.wait(Item { alert, times, again: false });
        }
    }

    /// Takes what is next out of what waits.
    fn load(&mut self, next: Next) {
        let (cargo, body, kind) = match next {
            Next::Risks(ids) => {
                let risks: Vec<&Risk> = self.risks.iter().filter(|risk| ids.contains(&risk.alert.id)).collect();
                let body = told(&risks);
                (Cargo::Risks(ids), body, Some(AlertKind::Risk))
            }
            Next::Answer => {
                let Some((answer, since)) = self.answers.pop_front() else { return };
                (Cargo::Answer(answer.clone(), since), Body::Answer(answer), None)
            }
            Next::Items => {
                let items = self.batch();
                let Some(first) = items.first() else { return };
                let kind = first.alert.kind;
                (Cargo::Items(items.clone()), fold(&items), Some(kind))
            }
            Next::Edges => (Cargo::Edges, self.digest.body(self.unix), Some(AlertKind::Opportunity)),
        };
        let edit = if matches!(cargo, Cargo::Edges) { self.digest.edits(self.now) } else { None };
        let silent = kind.is_some_and(|kind| self.rules.loudness[kind as usize] == Loudness::Silent);
        let message = Message { body, silent, plain: self.plain, edit };
        let leaving: Vec<(u64, u32)> = match &cargo {
            Cargo::Risks(ids) => {
                let risks = self.risks.iter().filter(|risk| ids.contains(&risk.alert.id));
                risks.map(|risk| (risk.alert.id, risk.sends)).collect()
            }
            Cargo::Items(items) => {
                items.iter().filter(|item| item.alert.kind.is_kept()).map(|item| (item.alert.id, 0)).collect()
            }
            Cargo::Answer(..) | Cargo::Edges => Vec::new(),
        };
        let stage = if leaving.is_empty() {
            Stage::Out
        } else {
            for (id, sends) in leaving {
                self.record(id, DeliveryState::Sending, sends);
            }
            Stage::Recording { mark: self.handed + self.records.len() as u64, since: self.now }
        };
        self.flight = Some(Flight { cargo, stage, message });
    }

    /// The first that waits, and where much of its kind does, all of that.
    fn batch(&mut self) -> Vec<Item> {
        let Some(first) = self.waiting.pop_front() else { return Vec::new() };
        let kind = first.alert.kind;
        let alike = self.waiting.iter().filter(|item| item.alert.kind == kind).count();
        let mut items = vec![first];
        if self.rules.people && FOLD_FROM <= alike + 1 {
            let (same, rest): (VecDeque<_>, VecDeque<_>) =
                self.waiting.drain(..).partition(|item| item.alert.kind == kind);
            items.extend(same);
            self.waiting = rest;
        }
        items
    }

    fn record_kept(&mut self, alert: &Alert, state: DeliveryState) {
        if alert.kind.is_kept() {
            self.record(alert.id, state, 0);
        }
    }

    fn record(&mut self, alert: u64, state: DeliveryState, sends: u32) {
        let place = self.rules.place.clone();
        self.records.push_back(Delivery { alert, place, state, sends, at: self.unix });
    }

    fn advance(&mut self, now: Nanos, unix: UnixMs) {
        self.clock.advance(Duration::from_nanos(now.since(self.now).raw()));
        (self.now, self.unix) = (self.now.max(now), unix);
    }
}

#[derive(Clone, Debug)]
enum Next {
    Risks(Vec<u64>),
    Answer,
    Items,
    Edges,
}

fn nanos(span: Duration) -> Nanos {
    Nanos::new(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 2))
}
