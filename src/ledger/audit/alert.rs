//! Alerts in the audit trail: what was to be told, and how far it came at each place. A restart reads here what is still
//! to be told, so that nothing of it is lost and nothing is told twice unsaid.

use rusqlite::{Row as Line, Transaction, params};

use super::{AuditError, AuditReader, int};
use crate::unit::{AlertKind, UnixMs};

/// What an operator is to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alert {
    /// Unique in the database; continue after [`AuditReader::last_alert`].
    pub id: u64,
    pub at: UnixMs,
    pub kind: AlertKind,
    /// Alerts of a kind with the same key are the same trouble. Empty: none is like it.
    pub key: String,
    /// One line, readable on a lock screen.
    pub headline: String,
    /// Sentences.
    pub text: String,
    /// Lines of numbers.
    pub figures: String,
    /// The opportunity, where it is about one.
    pub about: Option<u64>,
}

/// How far an alert came at one place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    pub alert: u64,
    /// A chat's number, or `webhook`.
    pub place: String,
    pub state: DeliveryState,
    /// How often it is known to have arrived.
    pub sends: u32,
    pub at: UnixMs,
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DeliveryState {
    /// It is surely not there.
    Queued,
    /// It may be there: this is written before it leaves.
    Sending,
    /// It is there. A risk alert comes again until somebody acknowledges it.
    Sent,
    /// Somebody acknowledged it, or what it told of is over.
    Acknowledged,
    /// It became a number in another alert's line.
    Folded,
    /// It was not told here: muted, no room, or the place is not known any more.
    Dropped,
}

impl DeliveryState {
    /// The text in the column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Acknowledged => "acknowledged",
            Self::Folded => "folded",
            Self::Dropped => "dropped",
        }
    }
}

/// What happened in a span of time, in a few numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Plans whose result is known.
    pub trades: u64,
    pub won: u64,
    /// Micro-dollars, after fees.
    pub realised: i64,
    /// Micro-dollars, of every fill in that time.
    pub fees: i64,
    /// Plans of which a leg had to be closed again, or stands alone.
    pub unwinds: u64,
    /// Opportunities seen.
    pub seen: u64,
}

/// A row of the events table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Logged {
    pub at: UnixMs,
    pub kind: String,
    pub text: String,
}

/// Writes an alert; a second time changes nothing.
pub(super) fn put_alert(to: &Transaction<'_>, run_id: i64, a: &Alert) -> rusqlite::Result<usize> {
    let at = int(a.at.raw());
    to.prepare_cached(
        "INSERT INTO alerts (id, run_id, at, kind, key, headline, text, figures, about) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO UPDATE SET at = excluded.at \
         WHERE at = excluded.at AND headline = excluded.headline",
    )?
    .execute(params![
        int(a.id),
        run_id,
        at,
        a.kind.name(),
        a.key,
        a.headline,
        a.text,
        a.figures,
        a.about.map(int)
    ])
}

/// Writes how far an alert came.
pub(super) fn put_delivery(to: &Transaction<'_>, d: &Delivery) -> rusqlite::Result<usize> {
    to.prepare_cached(
        "INSERT INTO alert_deliveries (alert_id, place, state, sends, at) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (alert_id, place) DO UPDATE SET state = excluded.state, sends = excluded.sends, at = excluded.at",
    )?
    .execute(params![int(d.alert), d.place, d.state.name(), d.sends, int(d.at.raw())])
}

impl AuditReader {
    /// The highest number of an alert, 0 if there is none.
    pub fn last_alert(&self) -> Result<u64, AuditError> {
        self.one("SELECT coalesce(max(id), 0) FROM alerts", []).map(|id| u64::try_from(id).unwrap_or(0))
    }

    /// When the last alert of a kind was raised.
    pub fn last_alert_of(&self, kind: AlertKind) -> Result<Option<UnixMs>, AuditError> {
        let at = self.one("SELECT coalesce(max(at), 0) FROM alerts WHERE kind = ?1", [kind.name()])?;
        Ok(u64::try_from(at).ok().filter(|at| 0 < *at).map(UnixMs::new))
    }

    /// What is still to be told, or to be acknowledged, oldest first.
    pub fn open_alerts(&self) -> Result<Vec<(Alert, Delivery)>, AuditError> {
        self.all(
            "SELECT a.id, a.at, a.kind, a.key, a.headline, a.text, a.figures, a.about, d.place, d.state, d.sends, d.at \
             FROM alert_deliveries d JOIN alerts a ON a.id = d.alert_id \
             WHERE d.state IN ('queued', 'sending', 'sent') AND (d.state <> 'sent' OR a.kind = 'risk') \
             ORDER BY a.id, d.place",
            [],
            open,
        )
    }

    /// How an alert stands at every place that it goes to.
    pub fn deliveries(&self, alert: u64) -> Result<Vec<(String, String, u32)>, AuditError> {
        let Ok(alert) = i64::try_from(alert) else { return Ok(Vec::new()) };
        let sql = "SELECT place, state, sends FROM alert_deliveries WHERE alert_id = ?1 ORDER BY place";
        self.all(sql, [alert], |line| Ok((line.get(0)?, line.get(1)?, line.get(2)?)))
    }

    /// What happened in `from ≤ t < to`.
    pub fn tally(&self, from: UnixMs, to: UnixMs) -> Result<Tally, AuditError> {
        let span = [int(from.raw()), int(to.raw())];
        let one = |sql: &str| self.one(sql, span);
        let nat = |found: i64| u64::try_from(found).unwrap_or(0);
        let closed = "FROM plans WHERE realised_net_micros IS NOT NULL AND ?1 <= closed_at AND closed_at < ?2";
        let ended = "FROM plans WHERE state IN ('unwound', 'dust', 'naked') AND ?1 <= closed_at AND closed_at < ?2";
        Ok(Tally {
            trades: nat(one(&format!("SELECT count(*) {closed} AND state <> 'missed' AND state <> 'withheld'"))?),
            won: nat(one(&format!("SELECT count(*) {closed} AND 0 < realised_net_micros"))?),
            realised: one(&format!("SELECT coalesce(sum(realised_net_micros), 0) {closed}"))?,
            fees: one("SELECT coalesce(sum(fee_micros), 0) FROM fills WHERE void = 0 AND ?1 <= at AND at < ?2")?,
            unwinds: nat(one(&format!("SELECT count(*) {ended}"))?),
            seen: nat(one("SELECT count(*) FROM opportunities WHERE ?1 <= seen_at AND seen_at < ?2")?),
        })
    }

    /// The newest `count` events, newest first.
    pub fn latest_events(&self, count: u32) -> Result<Vec<Logged>, AuditError> {
        self.all("SELECT at, kind, text FROM events ORDER BY id DESC LIMIT ?1", [count], |line| {
            Ok(Logged { at: UnixMs::new(super::reader::nat(line, 0)?), kind: line.get(1)?, text: line.get(2)? })
        })
    }

    fn one(&self, sql: &str, params: impl rusqlite::Params) -> Result<i64, AuditError> {
        Ok(self.all(sql, params, |line| line.get(0))?.first().copied().unwrap_or(0))
    }
}

fn open(line: &Line<'_>) -> rusqlite::Result<(Alert, Delivery)> {
    use super::reader::{maybe, nat, odd};
    let kind: String = line.get(2)?;
    let state: String = line.get(9)?;
    let id = nat(line, 0)?;
    let alert = Alert {
        id,
        at: UnixMs::new(nat(line, 1)?),
        kind: AlertKind::parse(&kind).ok_or_else(|| odd(2))?,
        key: line.get(3)?,
        headline: line.get(4)?,
        text: line.get(5)?,
        figures: line.get(6)?,
        about: maybe(line, 7)?,
    };
    let states = [DeliveryState::Queued, DeliveryState::Sending, DeliveryState::Sent];
    let delivery = Delivery {
        alert: id,
        place: line.get(8)?,
        state: states.into_iter().find(|known| known.name() == state).ok_or_else(|| odd(9))?,
        sends: line.get(10)?,
        at: UnixMs::new(nat(line, 11)?),
    };
    Ok((alert, delivery))
}
