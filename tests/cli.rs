//! The binary as its users meet it: what it prints, where it complains, and how it ends. Nothing here leaves loopback.

#![allow(clippy::disallowed_methods, reason = "a test waits for another process")]

mod common;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use assert_cmd::cargo::CommandCargoExt as _;
use orion::{
    decide::Reason,
    ledger::audit::{Audit, Fate, Opportunity, Row, RunInfo},
    run::mode::{Mode, Promotion},
    unit::{Money, Price, Qty, UnixMs, Venue},
};
use tempfile::{TempDir, tempdir};

/// `orion` in a folder of its own, with its state there and nothing of ours in the environment.
fn orion(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("orion").expect("cargo built the binary");
    let ours = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("ORION_"));
    for name in ours {
        command.env_remove(name);
    }
    command.current_dir(folder).stdin(Stdio::null()).env("NO_COLOR", "1");
    command.arg("--state-dir").arg(folder.join("state")).args(args);
    command
}

fn output(folder: &Path, args: &[&str]) -> Output {
    orion(folder, args).output().expect("the binary starts")
}

/// Runs to the end: exit code, standard output, standard error.
fn ran(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = output(folder, args);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the binary prints UTF-8");
    (output.status.code().expect("not killed"), text(&output.stdout), text(&output.stderr))
}

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

const COMMANDS: [&str; 23] = [
    "demo",
    "run",
    "pause",
    "resume",
    "kill",
    "arm",
    "promote",
    "transfer",
    "sim",
    "record",
    "replay",
    "status",
    "why",
    "config",
    "secrets",
    "db",
    "doctor",
    "backup",
    "restore",
    "export",
    "init",
    "completions",
    "man",
];

#[test]
fn help_tells_of_what_is_there_and_nothing_else() {
    let folder = folder();
    let (code, help, _) = ran(folder.path(), &["--help"]);
    assert_eq!(code, 0);
    assert!(help.contains("69 no engine"), "exit codes are told: {help}");
    // Promised for later versions; until they exist no help may send anyone there.
    let missing = ["backtest", "sweep", "orion pairs"];
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command}")), "{command} is listed");
        let (code, text, _) = ran(folder.path(), &[command, "--help"]);
        assert_eq!(code, 0, "{command} --help");
        assert!(text.contains("Usage: orion"), "{command} --help: {text}");
        for word in missing {
            assert!(!text.to_lowercase().contains(word), "{command} --help names {word}, which is not there");
        }
    }
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2() {
    let folder = folder();
    for args in [
        &["demo", "--seed", "seven"][..],
        &["demo", "--speed", "0"],
        &["demo", "--duration", "soon"],
        &["demo", "--plain", "--json"],
        &["frobnicate"],
        &["replay"],
        &["config", "show", "--orgin"],
        &["run", "--dry-run", "--auto-execute", "maybe"],
    ] {
        let (code, out, err) = ran(folder.path(), args);
        assert_eq!(code, 2, "{args:?}: {err}");
        assert_eq!(out, "", "{args:?}: complaints go to standard error");
        assert!(err.contains("--help"), "{args:?}: {err}");
    }
}

#[test]
fn an_unknown_key_is_shown_where_it_stands() {
    let folder = folder();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, "[trading]\nthreshold_spraed = 0.02\n").unwrap();
    let (code, _, err) = ran(folder.path(), &["--config", "mine.toml", "config", "check"]);
    assert_eq!(code, 78, "{err}");
    assert!(err.contains("mine.toml:2"), "file and line: {err}");
    assert!(err.contains("threshold_spraed = 0.02"), "the line itself: {err}");
    assert!(err.contains('^') || err.contains('┬') || err.contains("──"), "a caret below it: {err}");
    assert!(err.contains("threshold_spread"), "what was meant: {err}");
}

#[test]
fn a_value_out_of_range_stops_the_start_and_names_its_layer() {
    let folder = folder();
    let (code, _, err) = ran(folder.path(), &["--threshold", "0.7", "config", "check"]);
    assert_eq!(code, 78, "{err}");
    assert!(err.contains("--threshold"), "{err}");
    let mut command = orion(folder.path(), &["config", "check"]);
    let output = command.env("ORION_RISK__MAX_OPEN_POSITIONS", "0").output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{err}");
    assert!(err.contains("ORION_RISK__MAX_OPEN_POSITIONS"), "{err}");
}

#[test]
fn a_mode_that_needs_keys_starts_with_both_or_not_at_all() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("config/pairs.toml"), "").unwrap();
    for mode in [Mode::Alert, Mode::Live] {
        Promotion { mode, ..Promotion::default() }.write(&folder.path().join("state")).unwrap();
        for args in [&["run"][..], &["run", "--auto-execute", "true"], &[]] {
            let (code, _, err) = ran(folder.path(), args);
            assert_eq!(code, 77, "{args:?}: {err}");
            assert!(err.contains("keys of both venues") && err.contains("--dry-run"), "{err}");
        }
        assert!(!folder.path().join("state").join(mode.name()).exists(), "nothing is begun");
    }
    std::fs::write(folder.path().join("state/promoted.json"), "{").unwrap();
    let (code, _, err) = ran(folder.path(), &["run"]);
    assert!(code == 1 && err.contains("promoted.json"), "{err}");
}

#[test]
fn a_promotion_says_what_is_missing_and_goes_one_mode_at_a_time() {
    let folder = folder();
    let (code, out, err) = ran(folder.path(), &["promote"]);
    assert_eq!(code, 77, "{err}");
    assert!(out.contains("✘ 0 h in paper mode (need 24)") && out.contains("✘ no keys: orion secrets import"), "{out}");
    assert!(out.contains("✔ 0 of 0 runs ended without a farewell"), "{out}");
    assert!(err.contains("not promoted to alert: 3 of 4 are missing"), "{err}");
    let (code, _, err) = ran(folder.path(), &["promote", "live"]);
    assert!(code == 77 && err.contains("one mode at a time"), "{err}");
    let states = folder.path().join("state");
    assert!(!states.join("promoted.json").exists());
    Promotion { mode: Mode::Alert, ..Promotion::default() }.write(&states).unwrap();
    let (code, out, _) = ran(folder.path(), &["promote", "live"]);
    assert!(code == 77 && out.contains("orion kill --drill"), "{out}");
    let (code, out, err) = ran(folder.path(), &["promote", "paper"]);
    assert!(code == 0 && out.contains("down to paper"), "{out}{err}");
    assert_eq!(Promotion::read(&states).unwrap().mode, Mode::Paper);
}

#[test]
fn what_needs_a_running_engine_says_that_none_runs() {
    let folder = folder();
    for args in
        [&["arm"][..], &["arm", "--off"], &["transfer", "--from-shard", "0", "--to-shard", "1", "--amount", "5"]]
    {
        let (code, _, err) = ran(folder.path(), args);
        assert_eq!(code, 69, "{args:?}: {err}");
    }
    let (code, _, err) =
        ran(folder.path(), &["transfer", "--from-shard", "0", "--to-shard", "1", "--amount", "0.00001"]);
    assert!(code == 2 && err.contains("four decimals"), "{err}");
}

#[test]
fn status_and_why_say_that_nothing_is_there() {
    let folder = folder();
    let (code, _, err) = ran(folder.path(), &["status"]);
    assert_eq!(code, 69, "{err}");
    assert!(err.contains("orion demo"), "the next step: {err}");
    let (code, _, err) = ran(folder.path(), &["why"]);
    assert_eq!(code, 69, "{err}");
    assert!(err.contains("orion demo"), "the next step: {err}");
    assert!(!folder.path().join("state").exists(), "looking creates nothing");
}

#[test]
fn settings_are_written_checked_shown_and_described() {
    let folder = folder();
    let init = ["init", "--no-input", "--out", "conf/orion.toml", "--profile", "conservative", "--bankroll", "25000"];
    let (code, out, err) = ran(folder.path(), &init);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("next: orion config check --config conf/orion.toml"), "{out}");
    let (code, _, err) = ran(folder.path(), &init);
    assert_eq!(code, 1, "settings are never overwritten");
    assert!(err.contains("conf/orion.toml"), "{err}");

    let (code, _, err) = ran(folder.path(), &["--config", "conf/orion.toml", "config", "check"]);
    assert_eq!(code, 0, "{err}");
    let (code, out, _) =
        ran(folder.path(), &["--config", "conf/orion.toml", "--log-level", "warn", "config", "show", "--origin"]);
    assert_eq!(code, 0);
    let line = |key: &str| out.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}: {out}"));
    assert!(line("capital.initial_bankroll").contains("25000"), "{out}");
    assert!(line("capital.initial_bankroll").contains("conf/orion.toml"), "{out}");
    assert!(line("log.level").contains("--log-level"), "{out}");
    assert!(line("engine.state_dir").contains("--state-dir"), "{out}");

    let (code, out, _) = ran(folder.path(), &["config", "schema"]);
    assert_eq!(code, 0);
    let schema: serde_json::Value = serde_json::from_str(&out).expect("the schema is JSON");
    assert!(schema["properties"]["trading"].is_object(), "{out}");
}

#[test]
fn init_takes_the_page_and_the_phone_by_flags() {
    let folder = folder();
    let flags = ["--dashboard-port", "9001", "--telegram-user", "12345678", "--telegram-chat", "-1001234567890"];
    let (code, out, err) = ran(folder.path(), &[&["init", "--no-input", "--out", "own.toml"], &flags[..]].concat());
    assert_eq!(code, 0, "{out}{err}");
    let text = std::fs::read_to_string(folder.path().join("own.toml")).unwrap();
    for line in ["port = 9001", "user_ids = [12345678]", "chat_ids = [-1001234567890]"] {
        assert!(text.contains(line), "{line} is missing");
    }
    let (code, _, err) = ran(folder.path(), &["init", "--no-input", "--out", "odd.toml", "--telegram-user", "me"]);
    assert_eq!(code, 2, "{err}");
}

#[test]
fn an_untouched_sample_is_no_reason_not_to_init() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::copy("config/orion.toml", folder.path().join("config/orion.toml")).unwrap();
    let (code, _, err) = ran(folder.path(), &["init", "--no-input", "--bankroll", "50000"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = ran(folder.path(), &["init", "--no-input", "--bankroll", "70000"]);
    assert_eq!(code, 1, "but settings of somebody are: {err}");
    let kept = std::fs::read_to_string(folder.path().join("config/orion.toml")).unwrap();
    assert!(kept.contains("initial_bankroll = 50000"));
}

#[test]
fn a_predecessors_yaml_becomes_settings() {
    let folder = folder();
    let yaml = "trading:\n  threshold_spread: 0.02\n  auto_execute: false\ncapital:\n  initial_bankroll: 5000\n";
    std::fs::write(folder.path().join("old.yaml"), yaml).unwrap();
    let (code, out, err) = ran(folder.path(), &["config", "import", "old.yaml"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("threshold_spread = 0.02"), "{out}");
    let (code, _, err) = ran(folder.path(), &["config", "import", "old.yaml", "--out", "new.toml"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = ran(folder.path(), &["--config", "new.toml", "config", "check"]);
    assert_eq!(code, 0, "{err}");
}

#[test]
fn pages_are_printed() {
    let folder = folder();
    let (code, out, _) = ran(folder.path(), &["completions", "bash"]);
    assert_eq!(code, 0);
    assert!(out.contains("_orion"), "a bash function");
    let (code, out, _) = ran(folder.path(), &["man"]);
    assert_eq!(code, 0);
    assert!(out.contains(".TH orion"), "a page for man");
    for command in COMMANDS {
        assert!(out.contains(command), "the page names {command}");
    }
}

/// Every query of `docs/sql.md` must run on the schema as it is.
#[test]
fn a_database_is_made_once_and_answers_the_documents_queries() {
    let folder = folder();
    for _ in 0..2 {
        let (code, out, err) = ran(folder.path(), &["db", "init"]);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("schema"), "{out}");
    }
    let (code, out, err) = ran(folder.path(), &["db", "verify"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, _, err) = ran(folder.path(), &["why"]);
    assert_eq!(code, 0, "an empty ledger is a ledger: {err}");
    let (code, _, err) = ran(folder.path(), &["why", "7"]);
    assert_eq!(code, 1, "{err}");

    let database = rusqlite::Connection::open(folder.path().join("state/paper/orion.db")).unwrap();
    let page = std::fs::read_to_string("docs/sql.md").unwrap();
    let queries: Vec<_> = page.split("```sql\n").skip(1).filter_map(|part| part.split("```").next()).collect();
    assert!(7 <= queries.len(), "{}", queries.len());
    for query in queries {
        database.prepare(query.trim()).unwrap_or_else(|e| panic!("{e}: {query}"));
    }
}

/// `docs/why-not.md` explains every code with the sentence that `orion why` prints.
#[test]
fn every_reason_is_explained() {
    let page = std::fs::read_to_string("docs/why-not.md").unwrap();
    for reason in Reason::every() {
        let row = format!("| `{}` | {} |", reason.code(), reason.sentence());
        assert!(page.contains(&row), "docs/why-not.md lacks: {row}");
    }
}

#[test]
fn a_recording_is_told_in_figures() {
    let Some(recordings) = common::fixtures("kalshi/ws") else { return };
    let folder = folder();
    let path = recordings.canonicalize().unwrap().join("prod_2026-05-14_btc15m_100s.jsonl");
    let (code, out, err) = ran(folder.path(), &["replay", path.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    let row = out.lines().find(|line| line.contains("btc15m_100s")).expect("a row for the file");
    let cells: Vec<_> = row.split_whitespace().skip(1).take(7).collect();
    // Frames, snapshots, changes, gaps, unreadable, crossed, negative.
    assert_eq!(cells, ["6302", "1", "6226", "0", "0", "0", "0"], "{row}");
    assert!(out.contains("synced"), "the book at the end: {out}");
}

/// Fault 89: titles and names are what others wrote; a terminal is shown them, and does not obey them.
#[test]
fn a_hostile_title_in_the_ledger_or_a_recording_is_printed_and_not_obeyed() {
    let folder = folder();
    let hostile = "Will X win?\u{1b}[2J\u{1b}]0;owned\u{7}\n12:00:00  FILL  0001\u{9b}1m\u{202e}SEY";
    let state = folder.path().join("state/paper");
    std::fs::create_dir_all(&state).unwrap();
    let run = RunInfo {
        mode: "paper".into(),
        started_at: UnixMs::new(1_790_000_000_000),
        build: "test".into(),
        config_hash: String::new(),
    };
    let cent = Price::new(100).unwrap();
    let row = Row::Opportunity(Opportunity {
        id: 7,
        pair_key: hostile.into(),
        title: hostile.into(),
        yes_on: Venue::Kalshi,
        seen_at: UnixMs::new(1_790_000_000_000),
        ended_at: None,
        yes_price: cent,
        no_price: cent,
        gross: 0,
        fee: 0,
        net: 0,
        qty: Qty::ONE,
        depth: Money::ZERO,
        annual_yield_ppm: None,
        days_to_settle_milli: None,
        outcome: Fate::Skipped,
        reason: Some(hostile.into()),
        detect_ns: None,
        plan_id: None,
    });
    Audit::open(&state.join("orion.db"), &run).unwrap().write(&[row]).unwrap();
    let frame = |text: &str| serde_json::json!({ "t": "2026-11-20T10:00:00.000Z", "dir": "recv", "data": text });
    let snapshot = serde_json::json!({ "type": "orderbook_snapshot", "sid": 1, "seq": 1,
        "msg": { "market_ticker": hostile, "market_id": "m", "yes_dollars_fp": [["0.4400", "1.00"]] } });
    std::fs::write(folder.path().join("tape.jsonl"), format!("{}\n", frame(&snapshot.to_string()))).unwrap();
    for args in [&["why"][..], &["why", "7"], &["why", "--json"], &["why", "7", "--json"], &["replay", "tape.jsonl"]] {
        let (code, out, err) = ran(folder.path(), args);
        assert_eq!(code, 0, "{args:?}: {err}");
        assert!(out.contains("Will X win?"), "{args:?}: {out}");
        assert!(!out.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{args:?}: {out:?}");
        assert!(!out.lines().any(|line| line.starts_with("12:00:00")), "{args:?}: {out}");
    }
}

#[test]
fn two_recordings_side_by_side_print_a_ledger() {
    let Some(recordings) = common::fixtures("") else { return };
    let folder = folder();
    let root = recordings.canonicalize().unwrap();
    let kalshi = root.join("kalshi/ws/prod_2026-05-14_btc15m_100s.jsonl");
    let polymarket = root.join("polymarket/ws/market_capture_2026-09-30.jsonl");
    let (kalshi, polymarket) = (kalshi.to_str().unwrap(), polymarket.to_str().unwrap());
    let pair = "KXBTC15M-26MAY140045-45=0x2aaeb40ad2a1ad262d75d5c52bff1a9f801fb72e65774343729fe103ee9fa308";
    let (code, out, err) = ran(folder.path(), &["replay", kalshi, polymarket, "--pair", pair]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("KXBTC15M-26MAY140045-45  ×  0x2aaeb40ad2a1"), "{out}");
    assert!(out.contains("NET"), "opportunities with their figures: {out}");
    let codes: Vec<_> = Reason::every().map(Reason::code).collect();
    let tally = out.lines().filter(|line| codes.iter().any(|code| line.trim_end().ends_with(code)));
    assert!(0 < tally.count(), "reasons by count: {out}");

    let (code, _, err) = ran(folder.path(), &["replay", kalshi, polymarket, "--pair", "KXNOT=0x2aae"]);
    assert_eq!(code, 1);
    assert!(err.contains("KXNOT"), "the name that is in no recording: {err}");
}

#[test]
fn a_second_engine_in_the_same_place_is_refused_and_the_first_ends_cleanly() {
    let folder = folder();
    let mut first = orion(folder.path(), &["demo", "--duration", "60s", "--json"]);
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let until = Instant::now() + Duration::from_secs(50);
    let status = loop {
        let (code, out, _) = ran(folder.path(), &["status", "--json"]);
        if code == 0 {
            break out;
        }
        assert!(Instant::now() < until, "the demo's engine never answered");
        std::thread::sleep(Duration::from_millis(200));
    };
    let status: serde_json::Value = serde_json::from_str(&status).expect("status is JSON");
    assert_eq!(status["mode"], "demo");
    assert_eq!(status["pid"], first.id());
    let (code, out, _) = ran(folder.path(), &["status"]);
    assert_eq!(code, 0);
    assert!(out.contains("demo") || out.contains("DEMO"), "{out}");

    let (code, _, err) = ran(folder.path(), &["demo", "--duration", "1s"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("another engine"), "{err}");

    // SIGTERM ends within twenty seconds, with everything written.
    let killed = Command::new("kill").args(["-TERM", &first.id().to_string()]).status().expect("kill is there");
    assert!(killed.success());
    let until = Instant::now() + Duration::from_secs(25);
    let ended = loop {
        if let Some(status) = first.try_wait().expect("it is our child") {
            break status;
        }
        assert!(Instant::now() < until, "SIGTERM did not end it");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(ended.code(), Some(0), "the second count agrees after SIGTERM");
    let (code, out, err) = ran(folder.path(), &["db", "verify", "--mode", "demo"]);
    assert_eq!(code, 0, "{out}{err}");
}
