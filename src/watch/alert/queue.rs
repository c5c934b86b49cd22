//! What is told at one place, when, and how often: a protocol without I/O and without a clock.
//!
//! One request is on its way at a time. Risk alerts go first, are never dropped and come again until somebody
//! acknowledges them; answers to commands come next; the rest waits its turn, folded where much of it waits.
//! Opportunities become one message that is edited at most once a minute. Before a kept alert leaves, that it is leaving
//! is written down; so after a restart it either surely did not arrive, or is told again with the word "again".

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, FakeRelativeClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};

use super::{digest::Digest, format::Block};
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
/// Lines of such a message.
const FOLD_MAX: usize = 30;
/// Keys that are known to have been told lately; beyond it nothing new is folded by its key.
const KEYS_MAX: usize = 1_000;
/// The first pause between two of the same, which doubles up to the last one.
const SAME_FIRST: Nanos = Nanos::secs(60);
const SAME_LAST: Nanos = Nanos::secs(3_600);
/// A database that is locked does not hold an alert back for longer.
const RECORD_WAIT: Nanos = Nanos::secs(1);
/// An answer is of use so long.
const ANSWER_MAX: Nanos = Nanos::secs(60);
/// A place that takes nothing is asked again after this.
const SHUT: Nanos = Nanos::secs(300);
/// No place is obeyed that asks for a longer pause: risk alerts have to get through.
const WAIT_MAX: Duration = Duration::from_secs(900);

/// How fast a place may be written to.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// One message per this.
    pub every: Duration,
    /// So many may come at once.
    pub burst: NonZeroU32,
}

impl Pace {
    /// Fifteen messages in any minute: three at once, then one every five seconds.
    pub const CHAT: Self =
        Self { every: Duration::from_secs(5), burst: NonZeroU32::new(3).expect("three is not zero") };
}

/// What a place is like.
#[derive(Clone, Debug)]
pub struct Rules {
    /// As the database knows it.
    pub place: String,
    pub loudness: [Loudness; 12],
    pub pace: Pace,
    /// People read here: much of one kind is folded, risk alerts come again until acknowledged. A program gets every
    /// alert once.
    pub people: bool,
    /// Spreads retries.
    pub seed: u64,
}

/// What to do next.
#[derive(Debug)]
pub enum Output {
    /// Have this written down; then [`Queue::handle_written`].
    Record(Delivery),
    /// Send this; then [`Queue::handle_outcome`].
    Send(Message),
    WaitUntil(Nanos),
}

/// Something to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub body: Body,
    pub silent: bool,
    /// Without markup: with it the place refused it.
    pub plain: bool,
    /// The message to put it in the place of.
    pub edit: Option<i64>,
}

/// What it says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Alert {
        alert: Box<Alert>,
        /// The first time, or a reminder.
        told: u32,
        /// How often it happened.
        times: u32,
        /// It may have been told already.
        again: bool,
    },
    /// Many of one kind.
    Fold {
        kind: AlertKind,
        ids: Vec<u64>,
        lines: Vec<String>,
        count: usize,
        again: bool,
    },
    /// Edges that were seen lately.
    Edges {
        lines: Vec<String>,
        count: u64,
        since: UnixMs,
    },
    Answer(Answer),
}

/// An answer to a person, or to a button that was pressed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub blocks: Vec<Block>,
    /// Rows of buttons: a label and what it sends.
    pub buttons: Vec<Vec<(String, String)>>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It arrived; the number that an edit names, where the place gives one.
    Sent(Option<i64>),
    /// It surely did not arrive.
    Unsent,
    /// It may have arrived.
    Unsure,
    /// It did not arrive, and nothing is to be sent for so long.
    Wait(Duration),
    /// The place does not take this message.
    Refused,
    /// The place takes nothing from us: blocked, gone, or the token is not one.
    Shut,
}

/// A trouble that somebody should acknowledge.
#[derive(Clone, Debug)]
struct Risk {
    alert: Alert,
    times: u32,
    sends: u32,
    due: Nanos,
    again: bool,
    /// It was over before it could be told: told once, and not repeated.
    over: bool,
}

#[derive(Clone, Debug)]
struct Item {
    alert: Alert,
    times: u32,
    again: bool,
}

/// One key that was told lately.
#[derive(Debug)]
struct Same {
    pause: Nanos,
    until: Nanos,
    /// The newest that was held back, and how many were.
    held: Option<(Alert, u32)>,
}

#[derive(Debug)]
enum Cargo {
    Risk(u64),
    Items(Vec<Item>),
    Answer(Answer, Nanos),
    Edges,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Until so many records are written, or patience ends.
    Recording {
        mark: u64,
        since: Nanos,
    },
    Out,
}

#[derive(Debug)]
struct Flight {
    cargo: Cargo,
    stage: Stage,
    message: Message,
}

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
    same: HashMap<(AlertKind, String), Same>,
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
            same: HashMap::new(),
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
        } else if self.rules.people && self.is_same(&alert) {
            Counts::add(&self.counts.suppressed, kind);
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
                risk.due = risk.due.min(now + SAME_FIRST);
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

    /// Was the same told lately? Then it is held back, and counted.
    fn is_same(&mut self, alert: &Alert) -> bool {
        let now = self.now;
        let id = (alert.kind, alert.key.clone());
        if alert.key.is_empty() {
            return false;
        }
        if let Some(same) = self.same.get_mut(&id) {
            if now < same.until {
                let count = same.held.as_ref().map_or(0, |(_, count)| *count) + 1;
                if let Some((before, _)) = same.held.replace((alert.clone(), count)) {
                    self.record_kept(&before, DeliveryState::Folded);
                }
                return true;
            }
            same.pause = SAME_LAST.min(same.pause + same.pause);
            same.until = now + same.pause;
        } else if self.same.len() < KEYS_MAX {
            self.same.insert(id, Same { pause: SAME_FIRST, until: now + SAME_FIRST, held: None });
        }
        false
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
                .with_max_delay(Duration::from_secs(60))
                .without_max_times()
                .with_jitter()
                .with_jitter_seed(seed)
                .build()
        });
        backoff.next().map_or(SAME_FIRST, nanos)
    }

    fn arrived(&mut self, cargo: Cargo, message: Option<i64>) {
        match cargo {
            Cargo::Risk(id) => {
                Counts::add(&self.counts.sent, AlertKind::Risk);
                let Some(at) = self.risks.iter().position(|risk| risk.alert.id == id) else { return };
                self.risks[at].sends += 1;
                self.risks[at].again = false;
                let sends = self.risks[at].sends;
                self.risks[at].due = self.now + reminder(sends);
                if self.risks[at].over || !self.rules.people {
                    self.handle_ack(id);
                } else {
                    self.record(id, DeliveryState::Sent, sends);
                }
            }
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

    /// It did not arrive, or may not have: it stays the first of its kind.
    fn keep(&mut self, cargo: Cargo, again: bool) {
        match cargo {
            Cargo::Risk(id) => {
                if let Some(risk) = self.risks.iter_mut().find(|risk| risk.alert.id == id) {
                    risk.again |= again;
                    let sends = risk.sends;
                    if !again {
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
            Cargo::Risk(id) => {
                let due = self.now + SHUT;
                if let Some(risk) = self.risks.iter_mut().find(|risk| risk.alert.id == id) {
                    risk.due = due;
                }
                self.keep(Cargo::Risk(id), false);
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
                    if let Cargo::Risk(id) = flight.cargo
                        && !self.risks.iter().any(|risk| risk.alert.id == id)
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

    fn what_next(&self) -> Option<Next> {
        let due = |risk: &&Risk| risk.due <= self.now;
        if let Some(risk) = self.risks.iter().filter(due).min_by_key(|risk| (risk.sends, risk.alert.id)) {
            return Some(Next::Risk(risk.alert.id));
        }
        if !self.answers.is_empty() {
            return Some(Next::Answer);
        }
        if !self.waiting.is_empty() {
            return Some(Next::Items);
        }
        self.digest.is_due(self.now).then_some(Next::Edges)
    }

    fn next_due(&self) -> Nanos {
        let risks = self.risks.iter().map(|risk| risk.due);
        let held = self.same.values().filter(|same| same.held.is_some()).map(|same| same.until);
        risks.chain(held).chain(self.digest.due()).min().unwrap_or(Nanos::new(u64::MAX))
    }

    /// What was held back long enough waits like anything else, and says how many there were.
    fn release(&mut self) {
        let now = self.now;
        let mut free = Vec::new();
        self.same.retain(|_, same| {
            if now < same.until {
                return true;
            }
            match same.held.take() {
                Some((alert, times)) => {
                    same.pause = SAME_LAST.min(same.pause + same.pause);
                    same.until = now + same.pause;
                    free.push(Item { alert, times, again: false });
                    true
                }
                // Quiet for as long as the last pause: it is forgotten.
                None => now < same.until + same.pause,
            }
        });
        for item in free {
            self.wait(item);
        }
    }

    /// Takes what is next out of what waits.
    fn load(&mut self, next: Next) {
        let (cargo, body, kind) = match next {
            Next::Risk(id) => {
                let Some(risk) = self.risks.iter().find(|risk| risk.alert.id == id) else { return };
                let body = Body::Alert {
                    alert: Box::new(risk.alert.clone()),
                    told: risk.sends + 1,
                    times: risk.times,
                    again: risk.again,
                };
                (Cargo::Risk(id), body, Some(AlertKind::Risk))
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
            Cargo::Risk(id) => {
                self.risks.iter().filter(|risk| risk.alert.id == *id).map(|risk| (*id, risk.sends)).collect()
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

#[derive(Clone, Copy, Debug)]
enum Next {
    Risk(u64),
    Answer,
    Items,
    Edges,
}

/// How long after its nth time a risk alert comes again: 1, 2, 4 … 60 minutes.
fn reminder(sends: u32) -> Nanos {
    let minutes = 1_u64 << sends.saturating_sub(1).min(6);
    Nanos::secs(60 * minutes.min(60))
}

fn fold(items: &[Item]) -> Body {
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
    Body::Fold { kind, ids, lines: items[hidden..].iter().map(line).collect(), count: items.len(), again }
}

fn kinds(flight: &Flight, risks: &[Risk]) -> Vec<AlertKind> {
    match &flight.cargo {
        Cargo::Risk(id) => risks.iter().filter(|risk| risk.alert.id == *id).map(|_| AlertKind::Risk).collect(),
        Cargo::Items(items) => items.iter().map(|item| item.alert.kind).collect(),
        Cargo::Answer(..) => Vec::new(),
        Cargo::Edges => vec![AlertKind::Opportunity],
    }
}

fn nanos(span: Duration) -> Nanos {
    Nanos::new(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 2))
}
