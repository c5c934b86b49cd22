//! A backup of a running engine is put back, and the books agree with the exchanges' own; a backup that is damaged, of
//! another mode or of a newer build changes nothing.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "common/town.rs"]
mod town;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use orion::{
    ledger::{audit::SCHEMA_VERSION, journal::Record, segments},
    run::snapshot::Snapshot,
};
use town::{Engine, Town, let_pass, until};

const PATIENCE: Duration = Duration::from_mins(1);

fn wait(town: &Town, engine: &mut Engine, what: &str, reached: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let found = until(PATIENCE, || {
        assert!(engine.ended().is_none(), "{what}: {}", town.told());
        engine.status().filter(|status| reached(status))
    });
    found.unwrap_or_else(|| panic!("{what}: {:#?}\n{}", engine.status(), town.told()))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Files and folders in a folder, without their order.
fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_backup_of_a_running_engine_is_put_back_and_the_books_agree() {
    let town = Town::new(7, 200, 0);
    let mut engine = town.start();
    wait(&town, &mut engine, "fills", |status| 4 < status.fills);
    let out = town.folder().join("kept.tar.gz");
    let out_text = out.display().to_string();
    // While it trades: written, and read back.
    let first = town.output(&["backup", "--mode", "demo", "--out", &town.folder().display().to_string()]);
    assert!(first.status.success(), "{first:?}");
    assert!(town.output(&["pause", "--mode", "demo"]).status.success());
    // Open plans end; then what is kept is what holds.
    let_pass(Duration::from_secs(3));
    let kept = town.output(&["backup", "--mode", "demo", "--out", &out_text]);
    assert!(kept.status.success() && text(&kept).contains("read back"), "{kept:?}");
    let before = town.story().orders.len();
    let there = names(town.folder());
    assert!(there.iter().all(|name| !name.contains("orion-backup")), "nothing else is left behind: {there:?}");

    // Refused over a running engine, and over what it left.
    let refused = town.output(&["restore", &out_text, "--mode", "demo", "--replace"]);
    assert!(code(&refused) == 77 && text(&refused).contains("another engine"), "{refused:?}");
    engine.kill();
    let refused = town.output(&["restore", &out_text, "--mode", "demo"]);
    assert!(code(&refused) == 77 && text(&refused).contains("--replace"), "{refused:?}");
    fs::write(town.state().join("journal/000001.orj"), b"a disk that died").unwrap();
    let restored = town.output(&["restore", &out_text, "--mode", "demo", "--replace"]);
    assert!(restored.status.success(), "{restored:?}");
    assert!(text(&restored).contains("demo.before-restore-1"), "{restored:?}");
    let aside = town.state().with_file_name("demo.before-restore-1");
    assert_eq!(fs::read(aside.join("journal/000001.orj")).unwrap(), b"a disk that died", "set aside, not deleted");

    let mut engine = town.start();
    let status = wait(&town, &mut engine, "agreement", |status| status.agrees == Some(true));
    assert_eq!(status.state, "paused");
    let_pass(Duration::from_secs(1));
    assert_eq!(town.story().orders.len(), before, "nothing is sent before a person has looked");
    assert!(town.output(&["resume", "--mode", "demo"]).status.success());
    wait(&town, &mut engine, "further fills", |status| 0 < status.fills && status.state == "active");
    engine.signal("TERM");
    assert!(engine.wait().success(), "{}", town.told());
    assert_eq!(town.unequal(&town.story()), Vec::<String>::new(), "the journal, and the exchanges' own accounts");
    assert_eq!(town.violations(), Vec::<String>::new());
    let arrived = town.arrived_at_kalshi();
    assert_eq!(arrived.iter().collect::<BTreeSet<_>>().len(), arrived.len(), "no number is used twice");
    let verified = town.output(&["db", "verify", "--mode", "demo"]);
    assert!(verified.status.success(), "{verified:?}");
}

/// What was traded after the backup is not in it. Numbers that were used since are not used again, and nothing is entered
/// on books that do not agree.
#[test]
fn a_backup_that_is_old_enters_nothing_and_takes_no_number_twice() {
    let town = Town::new(11, 200, 0);
    let mut engine = town.start();
    let first = wait(&town, &mut engine, "fills", |status| 2 < status.fills).fills;
    let out = town.folder().join("old.tar.gz").display().to_string();
    assert!(town.output(&["backup", "--mode", "demo", "--out", &out]).status.success());
    wait(&town, &mut engine, "more fills", |status| first + 8 < status.fills);
    engine.kill();
    // Starts that the backup knows nothing of.
    for _ in 0..2 {
        let mut engine = town.start();
        wait(&town, &mut engine, "agreement", |status| status.agrees == Some(true));
        engine.signal("TERM");
        assert!(engine.wait().success(), "{}", town.told());
    }
    let arrived = town.arrived_at_kalshi().len() + town.arrived_at_polymarket().len();
    let restored = town.output(&["restore", &out, "--mode", "demo", "--replace"]);
    assert!(restored.status.success(), "{restored:?}");

    let mut engine = town.start();
    wait(&town, &mut engine, "comparison", |status| status.agrees == Some(false));
    town.output(&["resume", "--mode", "demo"]);
    let_pass(Duration::from_secs(3));
    let now = town.arrived_at_kalshi().len() + town.arrived_at_polymarket().len();
    assert_eq!(now, arrived, "nothing is entered: {}", town.told());
    let (records, _) = segments::read(&town.state().join("journal")).unwrap();
    let epochs: Vec<u32> = records
        .iter()
        .filter_map(|(_, record)| if let Record::Opened { epoch, .. } = record { Some(*epoch) } else { None })
        .collect();
    assert!(epochs.last().is_some_and(|epoch| 10_000 < *epoch), "{epochs:?}");
    assert!(!town.state().join("restored").exists(), "the next start counts on from here");
    engine.signal("TERM");
    engine.wait();
}

/// The binary in a folder of its own, with paper's state there.
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

    fn orion(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orion"));
        let state = self.path("state");
        command.current_dir(self.0.path()).stdin(Stdio::null()).arg("--state-dir").arg(state).args(args);
        let output = command.output().unwrap();
        (code(&output), text(&output))
    }

    /// A backup of a paper state that has little in it.
    fn kept(&self) -> PathBuf {
        assert_eq!(self.orion(&["db", "init"]).0, 0);
        fs::write(self.path("state/paper/latch"), "daily loss\n").unwrap();
        fs::write(self.path("state/paper/armed"), "print\n").unwrap();
        fs::write(self.path("state/overlay.toml"), "[risk]\nmax_open_positions = 7\n").unwrap();
        fs::write(self.path("state/paper/tokens.json"), "[]").unwrap();
        fs::write(self.path("state/vault"), "sealed").unwrap();
        let (code, told) = self.orion(&["backup", "--out", "kept.tar.gz"]);
        assert_eq!(code, 0, "{told}");
        self.path("kept.tar.gz")
    }
}

/// The files of an archive.
fn entries(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(GzDecoder::new(File::open(archive).unwrap()));
    let read = |entry: std::io::Result<tar::Entry<'_, GzDecoder<File>>>| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    };
    tar.entries().unwrap().map(read).collect()
}

fn repack(archive: &Path, entries: &[(String, Vec<u8>)]) {
    let mut tar = tar::Builder::new(GzEncoder::new(File::create(archive).unwrap(), Compression::fast()));
    for (name, bytes) in entries {
        let mut head = tar::Header::new_gnu();
        head.set_size(bytes.len() as u64);
        head.set_mode(0o600);
        // Written past the library, which would not write a name that climbs.
        head.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        head.set_cksum();
        tar.append(&head, &bytes[..]).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap().flush().unwrap();
}

#[test]
fn a_fresh_host_gets_everything_back_but_tokens_and_arming() {
    let home = Home::new();
    let kept = home.kept();
    let packed: BTreeSet<String> = entries(&kept).into_iter().map(|(name, _)| name).collect();
    let wanted = ["armed", "latch", "manifest.json", "orion.db", "shared/overlay.toml", "shared/pairs.toml"];
    assert_eq!(packed, wanted.map(str::to_owned).into(), "no vault unless it is asked for, and no token ever");
    let (code, told) = home.orion(&["backup", "--out", "kept.tar.gz"]);
    assert!(code == 1 && told.contains("there already"), "{told}");
    assert_eq!(home.orion(&["backup", "--out", "whole.tar.gz", "--with-vault"]).0, 0);
    assert!(
        entries(&home.path("whole.tar.gz")).iter().any(|(name, bytes)| name == "shared/vault" && bytes == b"sealed")
    );

    fs::remove_dir_all(home.path("state")).unwrap();
    let (code, told) = home.orion(&["restore", "whole.tar.gz", "--mode", "paper"]);
    assert_eq!(code, 0, "{told}");
    let state = names(&home.path("state/paper"));
    assert_eq!(state, ["latch", "orion.db", "paused", "restored"].map(str::to_owned).into(), "{told}");
    assert!(fs::read_to_string(home.path("state/paper/paused")).unwrap().starts_with("put back from a backup of 20"));
    assert_eq!(fs::read(home.path("state/vault")).unwrap(), b"sealed");
    assert!(home.orion(&["config", "show"]).1.contains("risk.max_open_positions = 7"));
    assert_eq!(home.orion(&["db", "verify", "--mode", "paper"]).0, 0);

    // What all modes share is not overwritten silently either.
    fs::remove_dir_all(home.path("state/paper")).unwrap();
    fs::write(home.path("state/overlay.toml"), "[risk]\nmax_open_positions = 9\n").unwrap();
    let (code, told) = home.orion(&["restore", "whole.tar.gz", "--mode", "paper"]);
    assert!(code == 77 && told.contains("overlay.toml"), "{told}");
    assert!(!home.path("state/paper").exists());
    let (code, told) = home.orion(&["restore", "whole.tar.gz", "--mode", "paper", "--replace"]);
    assert_eq!(code, 0, "{told}");
    assert!(fs::read_to_string(home.path("state/overlay.toml.before-restore-1")).unwrap().contains('9'));
}

#[test]
fn a_backup_that_is_torn_changed_foreign_or_newer_changes_nothing() {
    let home = Home::new();
    let kept = home.kept();
    let whole = fs::read(&kept).unwrap();
    let good = entries(&kept);
    let before = names(&home.path("state/paper"));
    let tried = |why: &str, codes: &[i32], words: &str| {
        let (code, told) = home.orion(&["restore", "kept.tar.gz", "--mode", "paper", "--replace"]);
        assert!(codes.contains(&code) && told.contains(words), "{why}: {code}: {told}");
        assert_eq!(names(&home.path("state/paper")), before, "{why}");
        let states = names(&home.path("state"));
        assert!(
            states.iter().all(|name| !name.starts_with(".restore") && !name.contains("before")),
            "{why}: {states:?}"
        );
    };
    for len in [0, 40, whole.len() / 2, whole.len() - 9] {
        fs::write(&kept, &whole[..len]).unwrap();
        tried(&format!("torn at {len}"), &[1], "torn");
    }
    let change = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut entries = good.clone();
        change(&mut entries.iter_mut().find(|(known, _)| known == name).unwrap().1);
        repack(&kept, &entries);
    };
    change("orion.db", &|bytes| bytes[5_000] ^= 1);
    tried("one bit of the database", &[1], "orion.db is not what its manifest says");
    change("latch", &|bytes| bytes.push(b'x'));
    tried("a longer file", &[1], "latch is not what its manifest says");
    let replace = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        change("manifest.json", &move |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(text.contains(&from), "{text}");
            *bytes = text.replace(&from, &to).into_bytes();
        });
    };
    replace("\"mode\": \"paper\"", "\"mode\": \"live\"");
    tried("another mode", &[77], "a backup of live mode");
    let newer = SCHEMA_VERSION + 1;
    replace(&format!("\"schema\": {SCHEMA_VERSION}"), &format!("\"schema\": {newer}"));
    tried("a newer schema", &[78], &format!("newer Orion (schema {newer}"));
    replace("\"format\": 1", "\"format\": 2");
    tried("a newer form", &[1], "newer Orion");
    // A name that would lead out of the folder, in the manifest and in the archive.
    let mut climbing = good.clone();
    let manifest = String::from_utf8(climbing[0].1.clone()).unwrap().replace("\"latch\"", "\"../../../latch\"");
    climbing[0].1 = manifest.into_bytes();
    climbing.iter_mut().find(|(name, _)| name == "latch").unwrap().0 = "../../../latch".into();
    repack(&kept, &climbing);
    tried("a name that climbs", &[1], "nothing that belongs into a backup");
    let fewer: Vec<_> = good.iter().filter(|(name, _)| name != "shared/pairs.toml").cloned().collect();
    repack(&kept, &fewer);
    tried("a file is missing", &[1], "missing");
    fs::write(&kept, &whole).unwrap();
    let (code, told) = home.orion(&["restore", "kept.tar.gz", "--mode", "paper", "--replace"]);
    assert_eq!(code, 0, "the whole one still fits: {told}");
}

/// A full disk, or one that is gone: nothing half is left.
#[test]
fn a_place_that_cannot_be_written_leaves_nothing_behind() {
    let home = Home::new();
    home.kept();
    let before = names(home.0.path());
    fs::write(home.path("file"), "").unwrap();
    let (code, told) = home.orion(&["backup", "--out", "file/below.tar.gz"]);
    assert!(code == 1 && told.contains("cannot be made"), "{told}");
    let (code, told) = home.orion(&["backup", "--out", "nowhere/below.tar.gz"]);
    assert!(code == 1 && told.contains("cannot be made"), "{told}");
    // No file may become longer than so many blocks: a write fails as it does on a full disk.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 8; exec {} --state-dir state backup --out big.tar.gz",
        env!("CARGO_BIN_EXE_orion")
    );
    let full = Command::new("sh").current_dir(home.0.path()).args(["-c", &limited]).output().unwrap();
    assert_eq!(full.status.code(), Some(1), "{full:?}");
    let mut after = names(home.0.path());
    after.remove("file");
    assert_eq!(after, before);
    let (code, told) = home.orion(&["backup", "--mode", "live", "--out", "none.tar.gz"]);
    assert!(code == 69 && told.contains("nothing to keep"), "{told}");
}

#[test]
fn trades_are_exported_for_others_to_read() {
    let town = Town::new(7, 200, 0);
    let mut engine = town.start();
    wait(&town, &mut engine, "fills", |status| 2 < status.fills);
    let out = town.folder().join("trades.csv");
    let args = ["export", "trades", "--csv", "--mode", "demo", "--out", &out.display().to_string()];
    let written = town.output(&args);
    assert!(written.status.success(), "{written:?}");
    let csv = fs::read_to_string(&out).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("time_utc,what,venue") && 3 < lines.len(), "{csv}");
    let columns = lines[0].split(',').count();
    assert!(lines[1..].iter().all(|line| line.split(',').count() == columns), "{csv}");
    assert_eq!(code(&town.output(&args)), 1, "an existing file is not overwritten");
    engine.signal("TERM");
    engine.wait();
}
