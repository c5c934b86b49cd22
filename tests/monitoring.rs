//! What Prometheus and Grafana are given asks for metrics that exist, and each alert has its line in the runbook.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::{collections::BTreeSet, fs};

use orion::{
    run::{
        latency::Latencies,
        snapshot::{FeedStatus, ReasonLine, Snapshot},
    },
    watch::metric,
};

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Every `orion_…` in a text.
fn names(text: &str) -> BTreeSet<String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !letters(c)).filter(|word| word.starts_with("orion_")).map(str::to_owned).collect()
}

#[test]
fn every_metric_that_is_asked_for_is_told() {
    let feed = FeedStatus { venue: "kalshi".into(), ..FeedStatus::default() };
    let mut status = Snapshot {
        feeds: vec![feed],
        reasons: vec![ReasonLine { code: "FEES".into(), count: 1 }],
        ..Snapshot::default()
    };
    status.clock_offset_ms.insert("polymarket".into(), 3);
    status.budgets.insert("kalshi".into(), 9);
    let told = names(&metric::text(&status, Some(&Latencies::default()), 0, 0));
    for file in ["tools/grafana/orion.json", "tools/grafana/alerts.yml"] {
        let asked = names(&read(file));
        assert!(5 < asked.len());
        let missing: Vec<_> = asked.difference(&told).collect();
        assert!(missing.is_empty(), "{file} asks for {missing:?}");
    }
}

#[test]
fn every_alert_has_its_section_in_the_runbook() {
    let (rules, runbook) = (read("tools/grafana/alerts.yml"), read("docs/runbook.md"));
    let sections: BTreeSet<_> =
        runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_lowercase).collect();
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(10 < alerts.len());
    for alert in alerts {
        let link = format!("docs/runbook.md#{}", alert.to_lowercase());
        assert!(rules.contains(&link), "{alert} names no section");
        assert!(sections.contains(&alert.to_lowercase()), "{alert} has no section");
    }
}
