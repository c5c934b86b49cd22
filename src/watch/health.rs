//! Is the process alive, and is it ready? From the snapshot alone, so that page, probe and service manager agree.

use crate::{run::snapshot::Snapshot, unit::Venue};

/// The detector and the keeper have moved within this, or the engine is not alive.
const ALIVE_MS: u64 = 5_000;
/// A venue of which nothing came for this long is frozen.
const FROZEN_MS: u64 = 15_000;
/// More rows than this waiting for the database means that it does not keep up.
const QUEUE_MAX: u64 = 10_000;

/// Does the engine's loop advance? The detector's figures pass the keeper, so both have.
pub fn alive(status: &Snapshot, now_ms: u64) -> bool {
    status.engine == "running" && now_ms.saturating_sub(status.at_ms) <= ALIVE_MS
}

/// What stands against readiness, a sentence each; nothing where it is ready.
pub fn reasons(status: &Snapshot, now_ms: u64) -> Vec<String> {
    let mut reasons = Vec::new();
    if status.engine != "running" {
        reasons.push(format!("the engine is {}", status.engine));
        return reasons;
    }
    if !alive(status, now_ms) {
        let old = now_ms.saturating_sub(status.at_ms) / 1_000;
        reasons.push(format!("the engine's figures are {old} s old"));
    }
    if status.pairs == 0 {
        reasons.push("no pair is approved: nothing is asked of the venues (docs/pairs.md)".into());
    }
    for venue in Venue::ALL.into_iter().filter(|_| status.pairs != 0) {
        match age_ms(status, venue, now_ms) {
            None => reasons.push(format!("nothing came from {venue} yet")),
            Some(age) if FROZEN_MS < age => reasons.push(format!("nothing came from {venue} for {} s", age / 1_000)),
            Some(_) => {}
        }
    }
    if let Some(error) = &status.audit_error {
        reasons.push(format!("the database cannot be written: {error}"));
    } else if QUEUE_MAX < status.audit_queue {
        reasons.push(format!("{} rows wait for the database", status.audit_queue));
    }
    match status.agrees {
        Some(false) => reasons.push("orders or positions do not agree with a venue".into()),
        // On paper there is nothing to agree with.
        None if status.accounts => reasons.push("orders and positions were not compared with the venues yet".into()),
        _ => {}
    }
    reasons.extend(status.findings.iter().filter(|finding| finding.starts_with('✘')).cloned());
    reasons
}

/// How old the newest frame of a venue is; `None` before the first.
pub fn age_ms(status: &Snapshot, venue: Venue, now_ms: u64) -> Option<u64> {
    let heard = status.feeds.iter().find(|feed| feed.venue == venue.name())?.heard_ms;
    (heard != 0).then(|| now_ms.saturating_sub(heard))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::snapshot::FeedStatus;

    fn well() -> Snapshot {
        let feed = |venue: Venue| FeedStatus { venue: venue.name().into(), heard_ms: 99_000, ..FeedStatus::default() };
        Snapshot {
            engine: "running".into(),
            at_ms: 99_500,
            pairs: 1,
            feeds: Venue::ALL.map(feed).into(),
            agrees: Some(true),
            accounts: true,
            ..Snapshot::default()
        }
    }

    #[test]
    fn each_thing_that_is_not_well_is_named() {
        assert_eq!(reasons(&well(), 100_000), [""; 0]);
        let why = |change: fn(&mut Snapshot)| {
            let mut status = well();
            change(&mut status);
            reasons(&status, 100_000).join("; ")
        };
        assert!(why(|s| s.engine = "stopped".into()).contains("stopped"));
        assert!(why(|s| s.at_ms = 90_000).contains("10 s old"));
        assert!(why(|s| (s.pairs, s.feeds[0].heard_ms) = (0, 0)).starts_with("no pair is approved"));
        assert!(why(|s| s.feeds[0].heard_ms = 80_000).contains("kalshi for 20 s"));
        assert!(why(|s| s.feeds[1].heard_ms = 0).contains("polymarket yet"));
        assert!(why(|s| s.audit_error = Some("full".into())).contains("full"));
        assert!(why(|s| s.audit_queue = QUEUE_MAX + 1).contains("rows wait"));
        assert!(why(|s| s.agrees = Some(false)).contains("do not agree"));
        assert!(why(|s| s.agrees = None).contains("not compared"));
        assert!(why(|s| s.findings = vec!["✘ the clock is off".into()]).contains("clock"));
        assert!(alive(&well(), 104_500) && !alive(&well(), 104_501));
    }
}
