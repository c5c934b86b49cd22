//! The way from the keeper to whoever tells people: alerts go out, how far they came is told back, and the keeper alone
//! writes both down. Nobody here knows what a chat is.
//!
//! Neither end waits for the other. A full channel drops what can be spared and counts it; risk alerts wait at the
//! keeper until there is room.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::{clock, snapshot::AlertCount};
use crate::{
    config::Config,
    ledger::audit::{Alert, AuditError, AuditReader, Delivery, DeliveryState, Row},
    unit::{AlertKind, Loudness, Money, Nanos, UnixMs},
};

/// Words that may wait for whoever tells people.
const WORDS_MAX: usize = 1_024;
/// Risk alerts that may wait for room among them. Beyond it they are rows of the database until the next start.
const HELD_MAX: usize = 1_024;
/// At the end the keeper waits so long for what is still on its way to people.
const FAREWELL: Nanos = Nanos::secs(4);

/// From the keeper to whoever tells people.
#[derive(Clone, Debug)]
pub enum Word {
    Tell(Alert),
    /// The trouble of this key is over: nobody needs to acknowledge it any more.
    Over(String),
    /// The engine has ended, and nothing comes after this.
    Last(Option<Alert>),
}

/// What is to be written down about an alert. Numbers rise by one.
#[derive(Clone, Debug)]
pub struct Note {
    pub number: u64,
    pub row: Row,
}

/// What became of alerts since the start, by kind.
#[derive(Debug, Default)]
pub struct Counts {
    pub sent: [AtomicU64; 12],
    /// Attempts that failed; the alert may have arrived later.
    pub failed: [AtomicU64; 12],
    /// Folded into another one's line, or muted.
    pub suppressed: [AtomicU64; 12],
    /// Lost for want of room.
    pub dropped: [AtomicU64; 12],
}

impl Counts {
    /// Every kind with each of its four ends.
    pub fn shown(&self) -> Vec<AlertCount> {
        let ends = [
            ("sent", &self.sent),
            ("failed", &self.failed),
            ("suppressed", &self.suppressed),
            ("dropped", &self.dropped),
        ];
        let of = |kind: AlertKind| {
            ends.map(|(result, counts)| AlertCount {
                kind: kind.name().into(),
                result: result.into(),
                count: counts[kind as usize].load(Ordering::Relaxed),
            })
        };
        AlertKind::ALL.into_iter().flat_map(of).collect()
    }

    /// One more of a kind.
    pub fn add(of: &[AtomicU64; 12], kind: AlertKind) {
        of[kind as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// What the keeper has to know to raise alerts.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Chats and others, by the name that the database knows them by.
    pub places: Vec<String>,
    pub loudness: [Loudness; 12],
    /// Opportunities below this are not told; micro-dollars per contract.
    pub min_edge: i64,
    /// A venue with less free cash is short of it: Kalshi, Polymarket.
    pub floors: [Money; 2],
}

impl Wanted {
    /// As the settings want it. Below its reserve and one smallest trade no plan could be opened at a venue.
    pub fn of(config: &Config, places: Vec<String>) -> Self {
        let capital = &config.capital;
        let floor = |allocation| {
            capital.initial_bankroll.share(allocation).share(capital.reserve_ppm) + config.trading.min_trade_size
        };
        Self {
            places,
            loudness: config.telegram.loudness,
            min_edge: config.telegram.opportunity_min_edge,
            floors: [floor(capital.kalshi_allocation_ppm), floor(capital.polymarket_allocation_ppm)],
        }
    }
}

/// The end that tells people.
#[derive(Debug)]
pub struct Post {
    pub words: Receiver<Word>,
    pub notes: Sender<Note>,
    /// The highest number of a note that is safely in the database.
    pub written: Arc<AtomicU64>,
    pub ids: Arc<AtomicU64>,
    pub counts: Arc<Counts>,
    /// What an earlier start left untold, or unacknowledged.
    pub left: Vec<(Alert, Delivery)>,
    /// When the last summary of a day was made.
    pub last_daily: Option<UnixMs>,
}

/// The keeper's end.
#[derive(Debug)]
pub struct Source {
    words: Sender<Word>,
    notes: Receiver<Note>,
    written: Arc<AtomicU64>,
    ids: Arc<AtomicU64>,
    pub counts: Arc<Counts>,
    pub wanted: Wanted,
    held: VecDeque<Alert>,
    /// The newest note that was taken, and is not known to be in the database.
    taken: u64,
}

/// Both ends, with what the database says of earlier alerts.
pub fn ends(wanted: Wanted, reader: &AuditReader) -> Result<(Source, Post), AuditError> {
    let (words, words_out) = bounded(WORDS_MAX);
    let (notes, notes_out) = bounded(WORDS_MAX);
    let ids = Arc::new(AtomicU64::new(reader.last_alert()? + 1));
    let (written, counts) = (Arc::default(), Arc::default());
    let post = Post {
        words: words_out,
        notes,
        written: Arc::clone(&written),
        ids: Arc::clone(&ids),
        counts: Arc::clone(&counts),
        left: reader.open_alerts()?,
        last_daily: reader.last_alert_of(AlertKind::Daily)?,
    };
    let source = Source { words, notes: notes_out, written, ids, counts, wanted, held: VecDeque::new(), taken: 0 };
    Ok((source, post))
}

/// The rows of a new alert: itself, and that it waits at every place.
pub fn rows(alert: &Alert, places: &[String]) -> Vec<Row> {
    let queued = |place: &String| {
        Row::Delivery(Delivery {
            alert: alert.id,
            place: place.clone(),
            state: DeliveryState::Queued,
            sends: 0,
            at: alert.at,
        })
    };
    [Row::Alert(alert.clone())].into_iter().chain(places.iter().map(queued)).collect()
}

impl Source {
    /// Is this kind told at all?
    pub fn wants(&self, kind: AlertKind) -> bool {
        self.wanted.loudness[kind as usize] != Loudness::Off
    }

    /// Gives the alert its number and sends it on its way; the rows that belong to it.
    pub fn raise(&mut self, mut alert: Alert) -> Vec<Row> {
        if !self.wants(alert.kind) {
            return Vec::new();
        }
        alert.id = self.ids.fetch_add(1, Ordering::Relaxed);
        let rows = if alert.kind.is_kept() { rows(&alert, &self.wanted.places) } else { Vec::new() };
        self.send(alert);
        rows
    }

    fn send(&mut self, alert: Alert) {
        let Err(TrySendError::Full(Word::Tell(full))) = self.words.try_send(Word::Tell(alert)) else { return };
        if full.kind == AlertKind::Risk && self.held.len() < HELD_MAX {
            self.held.push_back(full);
        } else {
            Counts::add(&self.counts.dropped, full.kind);
        }
    }

    /// The trouble of this key is over.
    pub fn over(&self, key: &str) {
        let _ = self.words.try_send(Word::Over(key.into()));
    }

    /// Rows that came back, and risk alerts that found no room before.
    pub fn take(&mut self) -> Vec<Row> {
        for _ in 0..self.held.len() {
            if let Some(alert) = self.held.pop_front() {
                self.send(alert);
            }
        }
        let notes: Vec<_> = self.notes.try_iter().collect();
        self.taken = notes.last().map_or(self.taken, |note| note.number);
        notes.into_iter().map(|note| note.row).collect()
    }

    /// Every row that was taken is in the database, or never will be.
    pub fn wrote(&self) {
        self.written.store(self.taken, Ordering::Release);
    }

    /// The last word; then what is still told on its way out, for a few seconds at most.
    pub fn farewell(&mut self, alert: Option<Alert>) -> Vec<Row> {
        let alert = alert.filter(|alert| self.wants(alert.kind)).map(|mut alert| {
            alert.id = self.ids.fetch_add(1, Ordering::Relaxed);
            alert
        });
        // Nobody else sends any more: there is room soon, or nobody reads.
        if self.words.send_timeout(Word::Last(alert), Duration::from_secs(1)).is_err() {
            return Vec::new();
        }
        let (began, mut rows) = (clock::now(), Vec::new());
        while clock::now().since(began) < FAREWELL {
            match self.notes.recv_timeout(Duration::from_millis(50)) {
                Ok(note) => {
                    // Nothing waits for a row to be safe any more.
                    self.written.store(note.number, Ordering::Release);
                    rows.push(note.row);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        rows
    }
}
