//! What is told, when and how often: pain 11 and fault 99. All of it in virtual time, without a socket.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use orion::{
    ledger::audit::{Alert, Delivery, DeliveryState},
    run::notice::Counts,
    unit::{AlertKind, Loudness, Nanos, UnixMs},
    watch::alert::{
        message::{Body, Message, Outcome, Output, Pace, Rules},
        queue::{Queue, WAITING_MAX},
    },
};

const START: u64 = 1_795_168_800_000;

fn rules(people: bool) -> Rules {
    Rules { place: "42".into(), loudness: AlertKind::ALL.map(AlertKind::loudness), pace: Pace::CHAT, people, seed: 7 }
}

fn alert(id: u64, kind: AlertKind, key: &str) -> Alert {
    Alert {
        id,
        at: UnixMs::new(START + id),
        kind,
        key: key.into(),
        headline: format!("{} {id}", kind.name()),
        text: "what happened".into(),
        figures: "400 × (0.3200 + 0.6300)".into(),
        about: None,
    }
}

/// A queue, the database behind it and the chat in front of it.
struct Town {
    queue: Queue,
    counts: Arc<Counts>,
    rules: Rules,
    /// What the database holds.
    alerts: BTreeMap<u64, Alert>,
    rows: BTreeMap<u64, Delivery>,
    written: u64,
    now: Nanos,
    /// Every message that arrived, and when.
    arrived: Vec<(Nanos, Message)>,
    /// Steps until the process dies; never at 0.
    fuse: u64,
}

impl Town {
    fn new(people: bool) -> Self {
        let (rules, counts) = (rules(people), Arc::new(Counts::default()));
        let now = Nanos::secs(1_000);
        let queue = Queue::new(rules.clone(), Arc::clone(&counts), now, UnixMs::new(START));
        let (alerts, rows) = (BTreeMap::new(), BTreeMap::new());
        Self { queue, counts, rules, alerts, rows, written: 0, now, arrived: Vec::new(), fuse: 0 }
    }

    fn unix(&self) -> UnixMs {
        UnixMs::new(START + self.now.since(Nanos::secs(1_000)).raw() / 1_000_000)
    }

    /// The keeper raises it: it is in the database before anybody hears of it.
    fn raise(&mut self, alert: Alert) {
        if alert.kind.is_kept() {
            let (state, place, at) = (DeliveryState::Queued, "42".into(), alert.at);
            self.rows.insert(alert.id, Delivery { alert: alert.id, place, state, sends: 0, at });
            self.alerts.insert(alert.id, alert.clone());
        }
        self.queue.handle_alert(alert, self.now, self.unix());
    }

    /// Does the process die here?
    fn dies(&mut self) -> bool {
        self.fuse = self.fuse.saturating_sub(1);
        if self.fuse == 1 {
            self.fuse = 0;
            self.restart();
            return true;
        }
        false
    }

    /// As a start does it, from the database alone.
    fn restart(&mut self) {
        self.queue = Queue::new(self.rules.clone(), Arc::clone(&self.counts), self.now, self.unix());
        self.written = 0;
        for (id, row) in self.rows.clone() {
            let alert = self.alerts[&id].clone();
            let open = matches!(row.state, DeliveryState::Queued | DeliveryState::Sending)
                || (row.state == DeliveryState::Sent && alert.kind == AlertKind::Risk);
            if open {
                self.queue.handle_left(alert, &row);
            }
        }
    }

    /// Everything that can be done now; until when to wait.
    fn turn(&mut self, mut net: impl FnMut(&Message) -> Outcome) -> Nanos {
        loop {
            match self.queue.poll(self.now, self.unix()) {
                Output::Record(row) => {
                    if self.dies() {
                        continue;
                    }
                    self.rows.insert(row.alert, row);
                    if self.dies() {
                        continue;
                    }
                    self.written += 1;
                    self.queue.handle_written(self.written);
                }
                Output::Send(message) => {
                    if self.dies() {
                        continue;
                    }
                    let outcome = net(&message);
                    if matches!(outcome, Outcome::Sent(_) | Outcome::Unsure) {
                        self.arrived.push((self.now, message));
                    }
                    if self.dies() {
                        continue;
                    }
                    self.queue.handle_outcome(outcome, self.now, self.unix());
                }
                Output::WaitUntil(at) => return at,
            }
        }
    }

    /// Until that moment, with a network that is fine.
    fn run_until(&mut self, end: Nanos, mut net: impl FnMut(&Message) -> Outcome) {
        loop {
            let next = self.turn(&mut net);
            if end <= next {
                self.now = end;
                return;
            }
            self.now = next.max(self.now + Nanos::millis(1));
        }
    }

    fn run(&mut self, secs: u64) {
        let mut number = 0;
        self.run_until(self.now + Nanos::secs(secs), |_| {
            number += 1;
            Outcome::Sent(Some(number))
        });
    }

    /// The risk alerts that arrived: number, the how manieth time, and whether it says "again".
    fn risks(&self) -> Vec<(u64, u32, bool)> {
        let risk = |(_, message): &(Nanos, Message)| match &message.body {
            Body::Alert { alert, told, again, .. } if alert.kind == AlertKind::Risk => vec![(alert.id, *told, *again)],
            Body::Fold { kind: AlertKind::Risk, ids, reminds, again, .. } => {
                ids.iter().map(|id| (*id, 1 + u32::from(*reminds), *again)).collect()
            }
            _ => Vec::new(),
        };
        self.arrived.iter().flat_map(risk).collect()
    }

    fn most_in_a_minute(&self) -> usize {
        let within = |at: Nanos| self.arrived.iter().filter(|(t, _)| at <= *t && *t < at + Nanos::secs(60)).count();
        self.arrived.iter().map(|(at, _)| within(*at)).max().unwrap_or(0)
    }
}

fn sent(_: &Message) -> Outcome {
    Outcome::Sent(Some(1))
}

/// The process dies at every single step in turn, before and after every row and every message.
#[test]
fn no_restart_loses_a_risk_alert_and_none_comes_twice_without_saying_so() {
    let mut deaths = 0;
    for fuse in 2.. {
        let mut town = Town::new(true);
        town.fuse = fuse;
        for id in 1..=3 {
            town.raise(alert(id, AlertKind::Risk, &format!("trouble-{id}")));
            town.raise(alert(10 + id, AlertKind::Execution, ""));
        }
        town.run(20);
        let died = town.fuse == 0;
        town.run(30);
        let risks = town.risks();
        for id in 1..=3 {
            let first: Vec<bool> = risks.iter().filter(|(of, told, _)| (*of, *told) == (id, 1)).map(|r| r.2).collect();
            assert!(!first.is_empty(), "fuse {fuse}: risk alert {id} is lost: {risks:?}");
            assert!(first[1..].iter().all(|again| *again), "fuse {fuse}: {id} came twice unsaid: {risks:?}");
            assert!(first.len() <= 2, "fuse {fuse}: {risks:?}");
        }
        let executions = town.rows.iter().filter(|(id, row)| 10 < **id && row.state == DeliveryState::Sent).count();
        assert_eq!(executions, 3, "fuse {fuse}");
        if !died {
            assert!(risks.iter().all(|(_, _, again)| !again), "nobody died: {risks:?}");
            break;
        }
        deaths += 1;
    }
    assert!(20 < deaths, "{deaths} places to die at");
}

#[test]
fn a_day_without_a_network_loses_no_risk_alert_and_floods_nobody() {
    let mut town = Town::new(true);
    let (mut id, mut risks) = (0, Vec::new());
    let end = town.now + Nanos::secs(86_400);
    let mut second = 0;
    while town.now < end {
        id += 1;
        town.raise(alert(id, AlertKind::Opportunity, ""));
        if second % 10 == 0 {
            id += 1;
            town.raise(alert(id, AlertKind::Error, "stranger"));
        }
        if second % 60 == 0 {
            id += 1;
            town.raise(alert(id, AlertKind::Execution, ""));
        }
        if second % 2_220 == 0 {
            id += 1;
            risks.push(id);
            town.raise(alert(id, AlertKind::Risk, &format!("trouble-{id}")));
        }
        second += 1;
        town.run_until(town.now + Nanos::secs(1), |_| Outcome::Unsent);
    }
    assert!(town.arrived.is_empty());
    town.run(600);
    let told = town.risks();
    for id in &risks {
        assert_eq!(told.iter().filter(|(of, told, _)| (of, told) == (id, &1)).count(), 1, "{id} of {told:?}");
    }
    assert!(told.iter().all(|(_, _, again)| !again), "none of them was ever on its way");
    assert!(town.most_in_a_minute() <= 15, "{} in a minute", town.most_in_a_minute());
    let others: Vec<_> = town
        .arrived
        .iter()
        .filter(|(_, m)| !matches!(&m.body, Body::Alert { alert, .. } if alert.kind == AlertKind::Risk))
        .collect();
    let folds = others.iter().filter(|(_, m)| matches!(m.body, Body::Fold { kind: AlertKind::Execution, .. })).count();
    assert_eq!(folds, 1, "a day of executions is one message");
    assert!(others.len() < 25, "{}", others.len());
    let dropped = town.counts.dropped[AlertKind::Execution as usize].load(Ordering::Relaxed);
    let errors = town.counts.suppressed[AlertKind::Error as usize].load(Ordering::Relaxed);
    assert!(1_440 - WAITING_MAX as u64 <= dropped && dropped < 1_000, "{dropped}: what found no room is counted");
    assert!(8_000 < errors, "{errors}: the same over and over is counted, not told");
    assert_eq!(town.counts.dropped[AlertKind::Risk as usize].load(Ordering::Relaxed), 0);
}

#[test]
fn a_risk_alert_goes_first_and_comes_again_until_somebody_acknowledges_it() {
    let mut town = Town::new(true);
    for id in 1..=3 {
        town.raise(alert(id, AlertKind::Execution, ""));
    }
    town.raise(alert(9, AlertKind::Risk, "halted"));
    town.run(1);
    assert!(matches!(&town.arrived[0].1.body, Body::Alert { alert, .. } if alert.id == 9), "{:?}", town.arrived[0]);
    assert!(!town.arrived[0].1.silent);
    town.run(4 * 3_600);
    let minutes: Vec<u64> = town
        .arrived
        .iter()
        .filter(|(_, m)| matches!(&m.body, Body::Alert { alert, .. } if alert.id == 9))
        .map(|(at, _)| at.since(Nanos::secs(1_000)).raw() / 60_000_000_000)
        .collect();
    assert_eq!(minutes, [0, 1, 3, 7, 15, 31, 63, 123, 183], "1, 2, 4 … 60 minutes");
    // The same trouble again is not another one: it is told with the next reminder, and that comes soon.
    town.raise(alert(10, AlertKind::Risk, "halted"));
    town.run(61);
    let Body::Alert { alert: last, times, .. } = &town.arrived.last().unwrap().1.body else { panic!() };
    assert_eq!((last.id, *times), (9, 2));
    assert_eq!(town.rows[&10].state, DeliveryState::Folded);
    assert!(town.queue.handle_ack(9));
    assert!(!town.queue.handle_ack(9), "once");
    let before = town.arrived.len();
    town.run(86_400);
    assert_eq!(town.arrived.len(), before);
    assert_eq!(town.rows[&9].state, DeliveryState::Acknowledged);
    town.restart();
    town.run(86_400);
    assert_eq!(town.arrived.len(), before, "a restart knows that, too");
}

#[test]
fn a_reminder_is_not_brought_forward_by_a_restart() {
    let mut town = Town::new(true);
    town.raise(alert(1, AlertKind::Risk, "halted"));
    town.run(10);
    for _ in 0..5 {
        town.restart();
        town.run(5);
    }
    assert_eq!(town.risks(), [(1, 1, false)]);
    town.run(60);
    assert_eq!(town.risks(), [(1, 1, false), (1, 2, false)]);
}

#[test]
fn trouble_that_is_over_before_it_could_be_told_is_told_once() {
    let mut town = Town::new(true);
    town.raise(alert(1, AlertKind::Risk, "halted"));
    town.run_until(town.now + Nanos::secs(300), |_| Outcome::Unsent);
    town.queue.handle_over("halted");
    town.run(86_400);
    assert_eq!(town.risks(), [(1, 1, false)]);
    assert_eq!(town.rows[&1].state, DeliveryState::Acknowledged);
}

#[test]
fn what_a_chat_asks_for_in_seconds_is_obeyed_and_never_more_than_fifteen_a_minute() {
    let mut town = Town::new(true);
    town.raise(alert(1, AlertKind::Risk, "halted"));
    town.turn(|_| Outcome::Wait(Duration::from_secs(37)));
    let mut asked = Vec::new();
    let end = town.now + Nanos::secs(60);
    while town.now < end {
        town.turn(|_| {
            asked.push(());
            Outcome::Sent(None)
        });
        if asked.is_empty() {
            assert!(town.now.since(Nanos::secs(1_000)) < Nanos::secs(38));
        }
        town.now = town.now + Nanos::secs(1);
    }
    assert_eq!(town.risks()[0], (1, 1, false), "what was refused for its number did not arrive: nothing is said twice");
    for id in 100..200 {
        town.raise(alert(id, AlertKind::Health, &format!("key-{id}")));
        town.raise(alert(1_000 + id, AlertKind::Settlement, ""));
        town.raise(alert(2_000 + id, AlertKind::Error, &format!("key-{id}")));
        town.run(2);
    }
    assert!(town.most_in_a_minute() <= 15, "{}", town.most_in_a_minute());
    // No place may silence risk alerts for a day.
    town.queue.handle_ack(1);
    town.raise(alert(3_000, AlertKind::Risk, "other"));
    town.turn(|_| Outcome::Wait(Duration::from_secs(1_000_000)));
    town.run(1_000);
    assert!(town.risks().contains(&(3_000, 1, false)));
}

#[test]
fn a_message_that_may_have_arrived_says_so_when_it_comes_again() {
    let mut town = Town::new(true);
    town.raise(alert(1, AlertKind::Risk, "halted"));
    town.turn(|_| Outcome::Unsure);
    town.run(10);
    assert_eq!(town.risks(), [(1, 1, false), (1, 1, true)]);
}

#[test]
fn opportunities_are_one_message_that_is_edited_once_a_minute() {
    let mut town = Town::new(true);
    for second in 0..600 {
        town.raise(alert(second, AlertKind::Opportunity, ""));
        town.run(1);
    }
    let edges: Vec<_> =
        town.arrived.iter().filter(|(_, m)| matches!(m.body, Body::Edges { .. })).map(|(at, m)| (*at, m)).collect();
    assert!(edges.len() <= 11, "{}", edges.len());
    assert_eq!(edges.iter().filter(|(_, m)| m.edit.is_none()).count(), 1, "one message");
    assert!(edges.iter().all(|(_, m)| m.silent));
    for pair in edges.windows(2) {
        assert!(Nanos::secs(60) <= pair[1].0.since(pair[0].0));
    }
    let Body::Edges { lines, count, .. } = &edges.last().unwrap().1.body else { panic!() };
    assert!(lines.len() <= 12 && 500 < *count);
}

#[test]
fn the_same_error_is_told_after_one_two_and_four_minutes_with_its_number() {
    let mut town = Town::new(true);
    for second in 0..900 {
        town.raise(alert(second + 1, AlertKind::Error, "stranger"));
        town.run(1);
    }
    let told: Vec<(u64, u32)> = town
        .arrived
        .iter()
        .filter_map(|(at, m)| match &m.body {
            Body::Alert { times, .. } => Some((at.since(Nanos::secs(1_000)).raw() / 1_000_000_000, *times)),
            _ => None,
        })
        .collect();
    assert_eq!(told.len(), 4, "{told:?}");
    let minutes: Vec<u64> = told.iter().map(|(at, _)| at / 60).collect();
    assert_eq!(minutes, [0, 1, 3, 7]);
    assert!(told[1].1 > 55 && told[2].1 > 110, "{told:?}");
    let held = town.rows.values().filter(|row| row.state == DeliveryState::Queued).count();
    assert_eq!(held, 1, "the newest is held back, the others are folded");
}

#[test]
fn a_chat_that_is_shut_costs_nothing_and_is_tried_again() {
    let mut town = Town::new(true);
    town.raise(alert(1, AlertKind::Risk, "halted"));
    town.raise(alert(2, AlertKind::Execution, ""));
    let mut tries = 0;
    town.run_until(town.now + Nanos::secs(3_600), |_| {
        tries += 1;
        Outcome::Shut
    });
    assert!((10..=14).contains(&tries), "{tries}: every five minutes");
    town.run(600);
    assert_eq!(town.risks()[0], (1, 1, false));
    assert_eq!(town.rows[&2].state, DeliveryState::Sent);
}

#[test]
fn a_message_whose_markup_is_refused_comes_plain_and_a_risk_alert_is_never_given_up() {
    let mut town = Town::new(true);
    town.raise(alert(1, AlertKind::Execution, ""));
    let mut plain = Vec::new();
    town.run_until(town.now + Nanos::secs(60), |message| {
        plain.push(message.plain);
        if message.plain { Outcome::Sent(None) } else { Outcome::Refused }
    });
    assert_eq!(plain, [false, true]);
    town.raise(alert(2, AlertKind::Execution, ""));
    town.raise(alert(3, AlertKind::Risk, "halted"));
    town.run_until(town.now + Nanos::secs(60), |_| Outcome::Refused);
    assert_eq!(town.rows[&2].state, DeliveryState::Dropped);
    town.run(600);
    assert_eq!(town.risks()[0].0, 3);
}

#[test]
fn a_program_gets_every_alert_once_and_unfolded() {
    let mut town = Town::new(false);
    for id in 1..=20 {
        town.raise(alert(id, AlertKind::Execution, ""));
        town.raise(alert(100 + id, AlertKind::Error, "same"));
    }
    town.raise(alert(200, AlertKind::Risk, "halted"));
    town.run(3_600);
    assert_eq!(town.arrived.len(), 41);
    assert_eq!(town.risks(), [(200, 1, false)], "nobody there to acknowledge it");
    town.restart();
    town.run(3_600);
    assert_eq!(town.arrived.len(), 41);
}

#[test]
fn what_is_muted_is_not_told_and_risk_cannot_be() {
    let mut town = Town::new(true);
    for kind in [AlertKind::Execution, AlertKind::Risk] {
        town.queue.handle_mute(kind, town.now + Nanos::secs(60));
    }
    town.raise(alert(1, AlertKind::Execution, ""));
    town.raise(alert(2, AlertKind::Risk, "halted"));
    town.run(10);
    assert_eq!(town.arrived.len(), 1);
    assert_eq!(town.rows[&1].state, DeliveryState::Dropped);
    town.now = town.now + Nanos::secs(60);
    town.raise(alert(3, AlertKind::Execution, ""));
    town.run(10);
    assert_eq!(town.rows[&3].state, DeliveryState::Sent);
}

#[test]
fn an_alert_does_not_wait_for_a_locked_database() {
    let (counts, start) = (Arc::new(Counts::default()), Nanos::secs(1_000));
    let mut queue = Queue::new(rules(true), counts, start, UnixMs::new(START));
    queue.handle_alert(alert(1, AlertKind::Risk, "halted"), start, UnixMs::new(START));
    assert!(matches!(queue.poll(start, UnixMs::new(START)), Output::Record(_)));
    let Output::WaitUntil(until) = queue.poll(start, UnixMs::new(START)) else { panic!("it waits for its row") };
    assert_eq!(until, start + Nanos::secs(1));
    assert!(matches!(queue.poll(until, UnixMs::new(START)), Output::Send(_)), "not for ever");
}

#[test]
fn every_kind_has_the_loudness_that_was_promised() {
    use AlertKind::{
        BalanceLow, Daily, Error, Execution, Health, Opportunity, PairChanged, Risk, Settlement, Shutdown, Startup,
        Unwind,
    };
    for kind in [Execution, Unwind, Risk, Health, BalanceLow, PairChanged, Error] {
        assert_eq!(kind.loudness(), Loudness::On, "{}", kind.name());
    }
    for kind in [Opportunity, Settlement, Daily, Startup, Shutdown] {
        assert_eq!(kind.loudness(), Loudness::Silent, "{}", kind.name());
    }
    for kind in AlertKind::ALL {
        assert_eq!(AlertKind::parse(kind.name()), Some(kind));
        assert_eq!(AlertKind::ALL[kind as usize], kind);
    }
    let mut town = Town::new(true);
    town.raise(alert(1, Daily, ""));
    town.turn(sent);
    assert!(town.arrived[0].1.silent);
}
