//! The status screen.

use std::fmt::Write as _;

use super::health;
use crate::{run::snapshot::Snapshot, unit::Money};

/// One screen of the engine's state.
pub fn screen(status: &Snapshot, now_ms: u64) -> String {
    let mut text = String::new();
    let up = now_ms.saturating_sub(status.started_ms) / 1_000;
    let age = now_ms.saturating_sub(status.at_ms) as f64 / 1_000.0;
    let _ = writeln!(
        text,
        "ORION {}  ·  {}  ·  {}  ·  pid {}  ·  up {}:{:02}:{:02}  ·  figures {age:.1} s old",
        status.version,
        status.mode.to_uppercase(),
        status.latch.as_ref().map_or_else(|| status.state.clone(), |why| format!("{} ({why})", status.state)),
        status.pid,
        up / 3_600,
        up / 60 % 60,
        up % 60
    );
    let reasons = health::reasons(status, now_ms);
    let ready = if reasons.is_empty() { "ready".to_owned() } else { format!("NOT READY: {}", reasons.join("; ")) };
    let _ = writeln!(text, "  {ready}");
    for source in &status.sources {
        let _ = writeln!(text, "  {source}");
    }
    for feed in &status.feeds {
        let _ = writeln!(
            text,
            "  {:<11} {} up · {} dials · {} messages · {} snapshots · {} gaps · {} duplicates · {} unreadable · {} canaries",
            feed.venue,
            feed.connections_up,
            feed.dials,
            feed.messages,
            feed.snapshots,
            feed.gaps,
            feed.duplicates,
            feed.malformed,
            feed.canaries
        );
    }
    let _ = writeln!(
        text,
        "  pairs {} ({} barred) · books fit {} + {} of {} · checksums {} fit, {} unsettled, {} differ, {} unfit",
        status.pairs,
        status.barred,
        status.fit[0],
        status.fit[1],
        status.books,
        status.checksums[0],
        status.checksums[1],
        status.checksums[2],
        status.checksums[3]
    );
    let money = |micros: i64| Money::micros(micros).to_string();
    let _ = writeln!(
        text,
        "  seen {} · plans {} · fills {} · unwound or naked {} · settled markets {} · won {} lost {}",
        status.sightings, status.plans, status.fills, status.unwinds, status.settlements, status.wins, status.losses
    );
    let _ = writeln!(
        text,
        "  open {} · locked {} · naked {} ({:.1} s so far) · realised today {} · all plans {} · auto-execute {}{}",
        status.positions,
        money(status.locked),
        money(status.naked),
        status.naked_ms_total as f64 / 1e3,
        money(status.realised_today),
        money(status.realised_total),
        if status.auto_execute { "on" } else { "off" },
        match status.armed {
            None => "",
            Some(true) => " · armed",
            Some(false) => " · NOT ARMED (orion arm)",
        }
    );
    for finding in &status.findings {
        let _ = writeln!(text, "  {finding}");
    }
    for advice in &status.advice {
        let _ = writeln!(text, "  advice: {advice}");
    }
    if let Some(flatten) = &status.flatten {
        let _ = writeln!(text, "  flatten     {flatten}");
    }
    for balance in &status.balances {
        let _ = writeln!(
            text,
            "  {:<11} shard {:<2} cash {:>14} reserved {:>12}",
            balance.venue,
            balance.shard,
            money(balance.cash),
            money(balance.reserved)
        );
    }
    if !status.reasons.is_empty() {
        let list: Vec<_> = status.reasons.iter().take(8).map(|r| format!("{} {}", r.code, r.count)).collect();
        let _ = writeln!(text, "  why not: {}", list.join(" · "));
    }
    if let Some(error) = &status.audit_error {
        let _ = writeln!(text, "  database: {error}; {} rows wait", status.audit_queue);
    }
    text
}
