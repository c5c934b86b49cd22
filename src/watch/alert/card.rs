//! Answers to what people ask in the chat: from the status that everybody reads, and from the audit trail.

use std::{fmt::Write as _, path::Path};

use jiff::{Span, Timestamp, tz::TimeZone};

use super::{
    chat::{COMMANDS, Question, Who},
    format::Block,
};
use crate::{
    decide::Reason,
    ledger::audit::{AuditError, AuditReader, Fate, Opportunity, Tally},
    run::snapshot::Snapshot,
    unit::{Money, UnixMs},
};

/// What answers are made from.
#[derive(Debug)]
pub struct Facts<'a> {
    pub status: Snapshot,
    pub latencies: String,
    pub database: &'a Path,
    /// Settings that differ from their defaults, by dotted key; what is nobody's business is not among them.
    pub settings: &'a [(String, String)],
    pub pairs: &'a [String],
    pub zone: &'a TimeZone,
    pub now: UnixMs,
}

impl Facts<'_> {
    /// The answer, or that there is none.
    pub fn answer(&self, question: Question, who: Who) -> Vec<Block> {
        self.blocks(question, who).unwrap_or_else(|error| {
            // The text of the error names a path of the host.
            tracing::warn!("a question from the chat could not be answered: {error}");
            vec![Block::Head("no answer".into()), Block::Text("The database cannot be read just now.".into())]
        })
    }

    fn blocks(&self, question: Question, who: Who) -> Result<Vec<Block>, AuditError> {
        let read = || AuditReader::open(self.database);
        Ok(match question {
            Question::Status => self.status_card(),
            Question::Positions => {
                let held = read()?.positions()?;
                let mut lines = String::new();
                for p in &held {
                    let _ =
                        writeln!(lines, "{} {} {}  {}  cost {}", p.venue, p.outcome.name(), p.qty, p.market, p.cost);
                }
                list(&format!("{} positions, {} locked", held.len(), money(self.status.locked)), lines)
            }
            Question::Opportunities(count) => {
                let mut lines = String::new();
                for record in read()?.latest_opportunities(count)? {
                    let o = &record.opportunity;
                    let why = o.reason.as_deref().unwrap_or(o.outcome.name());
                    let _ = writeln!(
                        lines,
                        "#{} {}  {}  {}\n  {}",
                        o.id,
                        self.clock(o.seen_at),
                        cents(o.net),
                        why,
                        o.title
                    );
                }
                list("the latest opportunities", lines)
            }
            Question::Why(id) => match read()?.opportunity(id)? {
                Some(record) => self.why(&record.opportunity),
                None => vec![Block::Head(format!("#{id} is not known")), Block::Text("/opps lists the latest.".into())],
            },
            Question::Profit(days) => {
                let from = UnixMs::new(self.now.raw().saturating_sub(u64::from(days) * 86_400_000));
                let tally = read()?.tally(from, self.now)?;
                let s = if days == 1 { "" } else { "s" };
                vec![Block::Head(format!("{} in {days} day{s}", signed(tally.realised))), Block::Pre(result(&tally))]
            }
            Question::Daily(count) => self.days(&read()?, count)?,
            Question::Balance => self.balance(),
            Question::Pairs => {
                let head = format!("{} pairs, {} barred", self.status.pairs, self.status.barred);
                list(&head, self.pairs.join("\n"))
            }
            Question::Latency => list("latency by stage", self.latencies.clone()),
            Question::Health => self.health(),
            Question::Config => {
                let lines: Vec<_> = self.settings.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                list("settings that differ from the defaults", lines.join("\n"))
            }
            Question::Logs(count) => {
                let mut lines = String::new();
                for event in read()?.latest_events(count)?.iter().rev() {
                    let _ = writeln!(lines, "{} {}: {}", self.clock(event.at), event.kind, event.text);
                }
                list("what was written down last", lines)
            }
            Question::Help => {
                let lines: Vec<_> = COMMANDS.iter().map(|(name, what)| format!("/{name}  {what}")).collect();
                let never = "Never from here: arming, looser limits, pairs, secrets.";
                vec![Block::Head("commands".into()), Block::Text(lines.join("\n")), Block::Text(never.into())]
            }
            Question::Version => vec![Block::Head(format!("Orion {}", self.status.version))],
            Question::Whoami => {
                let lines = format!("user_ids = [{}]\nchat_ids = [{}]", who.user, who.chat);
                vec![Block::Head("you are known here".into()), Block::Pre(lines)]
            }
        })
    }

    fn status_card(&self) -> Vec<Block> {
        let s = &self.status;
        let state = s.latch.as_ref().map_or_else(|| s.state.clone(), |why| format!("{} ({why})", s.state));
        let mut lines = String::new();
        let _ = writeln!(lines, "today    {}", signed(s.realised_today));
        let _ = writeln!(lines, "naked    {}", money(s.naked));
        let _ = writeln!(lines, "held     {} positions, {}", s.positions, money(s.locked));
        let _ = writeln!(lines, "plans    {} · fills {} · unwinds {}", s.plans, s.fills, s.unwinds);
        let _ = writeln!(lines, "won {} · lost {} · settled {}", s.wins, s.losses, s.settlements);
        if let Some(agrees) = s.agrees {
            let _ = writeln!(lines, "accounts {}", if agrees { "agree" } else { "DIFFER from the journal" });
        }
        if let Some(armed) = s.armed {
            let _ = writeln!(lines, "orders   {}", if armed { "armed" } else { "not armed" });
        }
        let _ = writeln!(lines, "execute  {}", if s.auto_execute { "by itself" } else { "only shown" });
        let _ = writeln!(lines, "figures  {:.1} s old", self.now.since(UnixMs::new(s.at_ms)) as f64 / 1e3);
        vec![Block::Head(state), Block::Pre(lines)]
    }

    fn why(&self, o: &Opportunity) -> Vec<Block> {
        let mut lines = format!("{}\n", o.title);
        let (yes, no) = (o.yes_on, o.yes_on.other());
        let _ = writeln!(lines, "YES {yes} {} + NO {no} {}", o.yes_price, o.no_price);
        let _ = writeln!(lines, "gross {} fees {} NET {}", cents(o.gross), cents(o.fee), cents(o.net));
        let _ = writeln!(lines, "{} contracts, {} on offer", o.qty, o.depth);
        if let (Some(ppm), Some(days)) = (o.annual_yield_ppm, o.days_to_settle_milli) {
            let _ = writeln!(lines, "{} %/yr · {:.1} d", ppm / 10_000, days as f64 / 1e3);
        }
        let lasted = o.ended_at.map_or("still there".into(), |end| format!("{} ms", end.since(o.seen_at)));
        let _ = writeln!(lines, "seen {} for {lasted}", self.clock(o.seen_at));
        let mut blocks = vec![Block::Head(format!("#{} {}", o.id, o.outcome.name())), Block::Pre(lines)];
        match &o.reason {
            Some(code) => blocks.push(Block::Text(format!("{code}: {}", sentence(code)))),
            None if o.outcome == Fate::Open => {}
            None => blocks.push(Block::Text("Nothing stood against it.".into())),
        }
        blocks
    }

    fn days(&self, reader: &AuditReader, count: u32) -> Result<Vec<Block>, AuditError> {
        let mut lines = String::new();
        let now = timestamp(self.now).to_zoned(self.zone.clone());
        for back in 0..count {
            let day = now.date().checked_sub(Span::new().days(i64::from(back))).unwrap_or_else(|_| now.date());
            let start = |day: jiff::civil::Date| day.to_zoned(self.zone.clone()).ok().map(|at| unix(at.timestamp()));
            let (Some(from), Some(to)) = (start(day), day.tomorrow().ok().and_then(start)) else { break };
            let tally = reader.tally(from, to)?;
            let _ = writeln!(lines, "{day}  {:>10}  {} of {} won", signed(tally.realised), tally.won, tally.trades);
        }
        Ok(list("result by day", lines))
    }

    fn balance(&self) -> Vec<Block> {
        let (mut lines, mut total) = (String::new(), 0);
        for b in &self.status.balances {
            total += b.cash;
            let shard = if b.shard == 0 { String::new() } else { format!(" shard {}", b.shard) };
            let _ = writeln!(lines, "{}{shard}  {}  reserved {}", b.venue, money(b.cash), money(b.reserved));
        }
        for advice in &self.status.advice {
            let _ = writeln!(lines, "{advice}");
        }
        list(&format!("{} cash, {} locked", money(total), money(self.status.locked)), lines)
    }

    fn health(&self) -> Vec<Block> {
        let s = &self.status;
        let mut lines = String::new();
        for feed in &s.feeds {
            let up = if feed.connections_up == 0 { "DOWN".into() } else { format!("{} up", feed.connections_up) };
            let _ = writeln!(
                lines,
                "{}  {up} · {} dials · {} gaps · {} unreadable",
                feed.venue, feed.dials, feed.gaps, feed.malformed
            );
        }
        let _ = writeln!(lines, "books fit {} + {} of {}", s.fit[0], s.fit[1], s.books);
        let _ = writeln!(lines, "database queue {} · lost rows {}", s.audit_queue, s.audit_dropped);
        if s.audit_error.is_some() {
            let _ = writeln!(lines, "the database cannot be written just now");
        }
        for finding in &s.findings {
            let _ = writeln!(lines, "{finding}");
        }
        let well = s.audit_error.is_none() && s.feeds.iter().all(|feed| 0 < feed.connections_up);
        list(if well { "well" } else { "not well" }, lines)
    }

    fn clock(&self, at: UnixMs) -> String {
        timestamp(at).to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }
}

/// The sentence behind a code.
fn sentence(code: &str) -> &'static str {
    Reason::of_code(code).map_or("the plan ended so; its fills tell the rest", Reason::sentence)
}

/// The summary of the day that ended: its lines and its figures.
pub fn summary(status: &Snapshot, tally: &Tally, now: UnixMs) -> (String, String, String) {
    let headline = format!("{} in the last day", signed(tally.realised));
    let mut figures = result(tally);
    let _ = write!(figures, "held    {} positions, {}", status.positions, money(status.locked));
    let up = now.since(UnixMs::new(status.started_ms)) / 60_000;
    let _ = write!(figures, "\nup      {} d {} h {} min", up / 1_440, up / 60 % 24, up % 60);
    let text = status.findings.iter().chain(&status.advice).cloned().collect::<Vec<_>>().join("\n");
    (headline, text, figures)
}

fn result(tally: &Tally) -> String {
    let Tally { trades, won, realised, fees, unwinds, seen } = *tally;
    let rate = (won * 100).checked_div(trades).map_or("–".into(), |rate| format!("{rate} %"));
    format!(
        "net     {}\nfees    {}\ntrades  {trades}\nwon     {rate} (n = {trades})\nunwinds {unwinds}\nseen    {seen}\n",
        signed(realised),
        money(fees)
    )
}

fn list(head: &str, lines: String) -> Vec<Block> {
    let lines = if lines.trim().is_empty() { "nothing".into() } else { lines };
    vec![Block::Head(head.into()), Block::Pre(lines)]
}

fn money(micros: i64) -> String {
    Money::micros(micros).to_string()
}

fn signed(micros: i64) -> String {
    if micros < 0 { money(micros) } else { format!("+{}", money(micros)) }
}

fn cents(micros: i64) -> String {
    format!("{:.2} ¢", micros as f64 / 1e4)
}

fn timestamp(at: UnixMs) -> Timestamp {
    i64::try_from(at.raw()).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or_default()
}

fn unix(at: Timestamp) -> UnixMs {
    UnixMs::new(u64::try_from(at.as_millisecond()).unwrap_or(0))
}

/// The next time after `after` at which the summary of a day is due.
pub fn next_daily(after: UnixMs, at: jiff::civil::Time, zone: &TimeZone) -> Option<UnixMs> {
    let after = timestamp(after);
    let day = after.to_zoned(zone.clone()).date();
    // A day whose clocks are put forward may not have that time; then it is the moment after.
    let due = |day: jiff::civil::Date| day.to_datetime(at).to_zoned(zone.clone()).ok().map(|at| at.timestamp());
    let days = [Some(day), day.tomorrow().ok()];
    days.into_iter().flatten().filter_map(due).find(|due| after < *due).map(unix)
}
