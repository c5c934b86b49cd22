//! The README's first command, from start to end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::{path::Path, process::Command};

use serde_json::Value;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/orion.toml");

/// Runs the demo and gives its lines.
fn demo(args: &[&str], state: &Path) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_orion"))
        .args(["demo", "--json", "--config", CONFIG, "--state-dir"])
        .arg(state)
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

#[test]
fn its_first_half_minute_shows_a_fill_a_refusal_for_fees_and_a_closing_and_the_books_agree() {
    let state = tempfile::tempdir().unwrap();
    let lines = demo(&["--duration", "30s"], state.path());
    assert!(of_kind(&lines, "ended").iter().any(|line| line["state"] == "filled"));
    assert!(
        of_kind(&lines, "skipped").iter().any(|line| line["reason"] == "FEES" && line["net_micros"].as_i64() < Some(0))
    );
    assert!(!of_kind(&lines, "settled").is_empty());
    let summary = lines.last().unwrap();
    assert_eq!(summary["kind"], "summary");
    assert_eq!(summary["agrees"], true, "{summary}");
    assert!(0 < summary["positions_checked"].as_u64().unwrap());
    assert!(summary["rss_kib"].as_u64().unwrap() < 256 * 1_024);
}

#[test]
fn with_broken_connections_and_after_another_demo_the_books_still_agree() {
    let state = tempfile::tempdir().unwrap();
    demo(&["--duration", "10s", "--seed", "7"], state.path());
    let lines = demo(&["--duration", "20s", "--chaos", "--seed", "7"], state.path());
    let journal = |words: &[&str]| {
        let args = [&["--config", CONFIG, "journal"], words, &["--mode", "demo", "--state-dir"]].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_orion")).args(args).arg(state.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let verdict = journal(&["verify"]);
    assert!(verdict.contains(" of 1 starts") && verdict.contains("every checksum and number fits"), "{verdict}");
    let shown = journal(&["show", "--last", "400"]);
    assert!(shown.contains(" ended: ") && shown.contains(" (entry) buys "), "{shown}");
    let summary = lines.last().unwrap();
    assert_eq!(summary["agrees"], true, "{summary}");
    assert!(!summary["faults"].as_array().unwrap().is_empty());
}
