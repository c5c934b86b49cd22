//! `orion doctor`, as an operator meets it: a line for each thing, the command that mends it, and an exit code that
//! scripts can go by. No host is asked here; the questions to hosts are tried against simulated exchanges, beside the code.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use orion::{
    ledger::audit::SCHEMA_VERSION,
    run::mode::{Mode, Promotion},
};
use serde_json::Value;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.path("config")).unwrap();
        fs::write(home.path("config/pairs.toml"), "# none\n").unwrap();
        home
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orion"));
        command.current_dir(self.0.path()).stdin(Stdio::null()).env_remove("CREDENTIALS_DIRECTORY");
        // A port of its own: others may be testing beside this.
        command.env("ORION_DASHBOARD__PORT", "0").arg("--state-dir").arg(self.path("state")).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String) {
        let output = self.command(args).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), text)
    }

    fn doctor(&self) -> (i32, String) {
        self.run(&["doctor", "--offline"])
    }

    /// The lines of a topic, as JSON.
    fn lines(&self, topic: &str) -> Vec<Value> {
        let output = self.command(&["doctor", "--offline", "--json"]).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap().clone();
        checks.into_iter().filter(|line| line["check"] == topic).collect()
    }
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

#[test]
fn a_fresh_folder_is_ready_for_demo_and_paper_and_nothing_is_made_by_looking() {
    let home = Home::new();
    let (code, told) = home.doctor();
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("Ready for: demo, paper."), "{told}");
    assert!(told.contains("! promotion    alert is blocked"), "{told}");
    assert!(told.contains("fix: orion secrets import KEY.pem"), "{told}");
    assert!(!home.path("state").exists());
    let (code, told) = home.run(&["doctor", "--offline", "--mode", "live"]);
    assert!(code == 77 && told.contains("✘ vault") && told.contains("not ready for live"), "{told}");
    let (code, told) = home.run(&["doctor", "--offline", "--mode", "demo"]);
    assert_eq!(code, 0, "{told}");
}

#[test]
fn without_a_network_it_says_so_and_soon() {
    // In a namespace of its own there is none, whatever this host has; where that is not permitted, nothing is proved.
    let home = Home::new();
    let inside = home.command(&["doctor"]);
    let mut alone = Command::new("unshare");
    alone.args(["--net", "--map-root-user"]).arg(inside.get_program()).args(inside.get_args());
    alone.current_dir(home.0.path()).stdin(Stdio::null()).env("ORION_DASHBOARD__PORT", "0");
    if !Command::new("unshare").args(["--net", "--map-root-user", "true"]).output().is_ok_and(|o| o.status.success()) {
        eprintln!("NOT RUN: this machine permits no network namespace");
        return;
    }
    let output = alone.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("no network here, or no DNS") && told.contains("fix: getent hosts"), "{told}");
    assert!(told.contains("Ready for: demo."), "{told}");
}

#[test]
fn each_thing_that_is_wrong_is_named_with_what_mends_it() {
    let home = Home::new();
    assert_eq!(home.run(&["db", "init"]).0, 0);
    assert_eq!(home.doctor().0, 0);
    assert!(
        home.lines("database")[0]["text"]
            .as_str()
            .unwrap()
            .contains(&format!("schema {SCHEMA_VERSION}, WAL, sound, writable"))
    );

    // Each of these: spoil, look, mend by the very command that was told.
    let spoil: [(&str, &str, i32, &dyn Fn()); 5] = [
        ("tokens", "chmod 600", 78, &|| {
            fs::write(home.path("state/paper/tokens.json"), "[]").unwrap();
            mode(&home.path("state/paper/tokens.json"), 0o644);
        }),
        ("state", "chmod go-w", 78, &|| mode(&home.path("state"), 0o777)),
        ("vault", "chmod 600", 78, &|| {
            fs::write(home.path("state/vault"), "sealed").unwrap();
            mode(&home.path("state/vault"), 0o640);
        }),
        ("pairs", "touch", 78, &|| fs::remove_file(home.path("config/pairs.toml")).unwrap()),
        ("promotion", "rm", 78, &|| fs::write(home.path("state/promoted.json"), "{").unwrap()),
    ];
    for (topic, command, wanted, spoil) in spoil {
        spoil();
        let (code, told) = home.doctor();
        assert_eq!(code, wanted, "{topic}: {told}");
        let line = home.lines(topic).into_iter().find(|line| line["state"] == "failed").expect(topic);
        let fix = line["fix"].as_str().unwrap();
        assert!(fix.starts_with(command), "{topic}: {fix}");
        let fix = fix.split(", ").next().unwrap();
        let mended = Command::new("sh").current_dir(home.0.path()).args(["-c", fix]).output().unwrap();
        assert!(mended.status.success(), "{topic}: {fix}: {mended:?}");
        if topic == "vault" {
            assert!(home.doctor().1.contains("orion secrets import FILE"), "no vault at all is told next");
            fs::remove_file(home.path("state/vault")).unwrap();
        }
        let (code, told) = home.doctor();
        assert_eq!(code, 0, "{topic} is mended: {told}");
    }

    // A database that is damaged, one of a newer build, a journal that is damaged.
    let database = home.path("state/paper/orion.db");
    let whole = fs::read(&database).unwrap();
    fs::write(&database, b"this is no database, whatever its name says; it is long enough to be looked at").unwrap();
    let (code, told) = home.doctor();
    assert!(code == 78 && told.contains("orion restore BACKUP --mode paper"), "{told}");
    assert!(told.contains("Ready for: demo, alert") || told.contains("Ready for: demo."), "{told}");
    fs::write(&database, &whole).unwrap();
    rusqlite::Connection::open(&database).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let (code, told) = home.doctor();
    assert!(code == 78 && told.contains("schema 99") && told.contains("newer build"), "{told}");
    fs::write(&database, &whole).unwrap();
    fs::create_dir(home.path("state/paper/journal")).unwrap();
    fs::write(home.path("state/paper/journal/000001.orj"), vec![7; 4_096]).unwrap();
    let (code, told) = home.doctor();
    assert!(code == 78 && told.contains("✘ journal"), "{told}");
}

#[test]
fn stops_that_nobody_lifted_and_engines_that_run_are_told() {
    let home = Home::new();
    assert_eq!(home.run(&["db", "init"]).0, 0);
    assert_eq!(home.run(&["kill", "--mode", "paper"]).0, 0);
    let (code, told) = home.doctor();
    assert!(
        code == 0
            && told.contains("! stops        the latch has fallen")
            && told.contains("fix: orion resume --mode paper"),
        "{told}"
    );
    assert_eq!(home.run(&["resume", "--mode", "paper"]).0, 0);
    assert_eq!(home.lines("stops").len(), 0);
    let lock = fs::File::create(home.path("state/paper/lock")).unwrap();
    lock.try_lock().unwrap();
    let (_, told) = home.doctor();
    assert!(told.contains("an engine runs in paper mode") && told.contains("a second one would be refused"), "{told}");
    drop(lock);
    assert!(home.doctor().1.contains("✔ instance"));
}

#[test]
fn settings_that_are_not_sound_end_it_with_78_and_their_own_text() {
    let home = Home::new();
    fs::write(home.path("config/orion.toml"), "[trading]\nthreshold_spraed = 1\n").unwrap();
    let (code, told) = home.doctor();
    assert!(code == 78 && told.contains("threshold_spread") && told.contains("✘ config"), "{told}");
    assert_eq!(home.lines("config")[0]["state"], "failed");
    // Cores that are not there.
    fs::write(home.path("config/orion.toml"), "[engine]\ncores = [1023]\n").unwrap();
    let (code, told) = home.doctor();
    assert!(code == 78 && told.contains("engine.cores: this process may not run on core 1023"), "{told}");
}

#[test]
fn a_mode_that_was_promoted_to_is_the_one_that_is_looked_at() {
    let home = Home::new();
    fs::create_dir(home.path("state")).unwrap();
    Promotion { mode: Mode::Alert, ..Promotion::default() }.write(&home.path("state")).unwrap();
    let (code, told) = home.doctor();
    assert!(code == 77 && told.contains("not ready for alert") && told.contains("✘ vault"), "{told}");
    assert!(told.contains("! promotion    live is blocked"), "{told}");
}

#[test]
fn the_hosts_are_printed_one_a_line_each_once() {
    let home = Home::new();
    let (code, told) = home.run(&["doctor", "--hosts"]);
    assert_eq!(code, 0);
    let hosts: Vec<&str> = told.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    for host in ["external-api.kalshi.com", "clob.polymarket.com", "polymarket.com"] {
        assert_eq!(hosts.iter().filter(|known| **known == host).count(), 1, "{told}");
    }
    let (_, json) = home.run(&["doctor", "--hosts", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap().as_array().unwrap().len(), hosts.len());
}

#[test]
fn with_the_passphrase_at_hand_the_keys_are_judged_and_a_practice_key_is_named() {
    let home = Home::new();
    fs::write(home.path("pass"), "planted passphrase of four words").unwrap();
    let set = |name: &str, value: &str| {
        let words = format!(
            "printf %s '{value}' | {} --state-dir state secrets set {name} --passphrase-fd 3 3<pass",
            env!("CARGO_BIN_EXE_orion")
        );
        Command::new("sh").current_dir(home.0.path()).args(["-c", &words]).output().unwrap()
    };
    // Everybody has this one.
    let refused = set("polymarket.private_key", "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    let key = "0x6b8f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9012345678";
    assert!(set("polymarket.private_key", key).status.success());
    let shell = |pass: &str| {
        let words = format!(
            "exec {} --state-dir state doctor --offline --passphrase-fd 3 3<{pass}",
            env!("CARGO_BIN_EXE_orion")
        );
        let mut command = Command::new("sh");
        command.current_dir(home.0.path()).env("ORION_DASHBOARD__PORT", "0").args(["-c", &words]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, told) = shell("pass");
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("✔ vault") && told.contains("✔ keys         Polymarket: the key of 0x"), "{told}");
    assert!(told.contains("! keys         polymarket.private_key owns a plain account"), "it may withdraw: {told}");
    assert!(told.contains("! keys         no key for Kalshi") && !told.contains(&key[10..]), "{told}");
    fs::write(home.path("wrong"), "another passphrase, just as long").unwrap();
    let (code, told) = shell("wrong");
    assert!(code == 78 && told.contains("✘ keys"), "{told}");
    let (_, told) = home.doctor();
    assert!(told.contains("– keys         sealed; what they may do was not asked"), "{told}");
}
