//! What lies in the state directory: databases, journals, files that hold an engine back, tokens, the pair book.

use std::{fs::File, os::unix::fs::PermissionsExt as _, path::Path};

use super::line::{
    Bars::{From, Only},
    Line,
    Why::{Config as Unsound, Failed, Gate},
};
use crate::{
    config::Config,
    ledger::{
        audit::{AuditError, SCHEMA_VERSION, copy},
        journal::Record,
        segments,
    },
    pairing::PairBook,
    risk::TradingState,
    run::{clock, mode::Mode, stops},
    watch::{
        command::{Answer, Request},
        control,
    },
};

const DAY_MS: u64 = 86_400_000;
/// Rule texts are compared at every start; the judgement that two of them are one bet is looked at again after this.
const PAIRS_OLD_DAYS: u64 = 90;

/// Does somebody hold this mode's lock? Nothing is created by asking.
pub fn is_held(state: &Path) -> bool {
    File::open(state.join("lock")).is_ok_and(|lock| matches!(lock.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

/// Engines that run from this folder.
pub fn instances(states: &Path, target: Mode) -> (Vec<Mode>, Vec<Line>) {
    let held = |mode: &Mode| is_held(&states.join(mode.name()));
    let running: Vec<Mode> = Mode::TRADING.into_iter().filter(held).collect();
    let line = |mode: &Mode| {
        let who = match control::ask(&states.join(mode.name()), Request::Status) {
            Ok(Some(Answer::Status { status })) => {
                format!("process {}, {}, {}", status.pid, status.engine, status.state)
            }
            _ => "a process that does not answer".into(),
        };
        let name = mode.name();
        let text = format!("an engine runs in {name} mode ({who})");
        if *mode == target {
            Line::note("instance", format!("{text}: a second one would be refused"))
                .with(format!("orion status --mode {name}"))
        } else {
            Line::note("instance", text)
        }
    };
    let mut lines: Vec<Line> = running.iter().map(line).collect();
    if lines.is_empty() {
        lines.push(Line::good("instance", "no other engine runs here"));
    }
    (running, lines)
}

/// One mode's folder.
pub fn folder(states: &Path, mode: Mode) -> Vec<Line> {
    let state = states.join(mode.name());
    if !state.exists() {
        return vec![Line::note(
            "database",
            format!("{} mode has not run yet: its first start makes one", mode.name()),
        )];
    }
    let mut lines = vec![database(&state, mode)];
    lines.extend(journal(&state, mode));
    lines.extend(held_back(&state, mode));
    lines.extend(tokens(&state, mode));
    if let Ok(facts) = state.metadata() {
        let bits = facts.permissions().mode() & 0o7777;
        if bits & 0o077 != 0 {
            let text = format!("{} has mode {bits:04o}: the start sets it to 0700", state.display());
            lines.push(Line::caution("state", text, format!("chmod 700 {}", state.display())));
        }
    }
    lines
}

fn database(state: &Path, mode: Mode) -> Line {
    let path = state.join("orion.db");
    let (shown, name) = (path.display(), mode.name());
    match copy::look(&path) {
        Err(AuditError::Missing { .. }) => {
            Line::note("database", format!("{shown} is not there yet: a start makes it"))
        }
        Err(error @ AuditError::Locked { .. }) => {
            Line::bad("database", Only(mode), Failed, error.to_string(), format!("fuser -v {shown}"))
        }
        Err(error) => {
            let fix = format!("orion restore BACKUP --mode {name} --replace, or: mv {shown} {shown}.damaged");
            Line::bad("database", Only(mode), Unsound, error.to_string(), fix)
        }
        Ok(look) if i64::from(SCHEMA_VERSION) < look.schema => {
            let text = format!("{shown} has schema {}, and this build knows {SCHEMA_VERSION}", look.schema);
            Line::bad(
                "database",
                Only(mode),
                Unsound,
                text,
                "start the newer build: orion --version tells which this is",
            )
        }
        Ok(look) => {
            if let Err(error) = std::fs::OpenOptions::new().append(true).open(&path) {
                let fix = format!("ls -l {shown}, and give it to the user that runs Orion");
                return Line::bad("database", Only(mode), Unsound, format!("{shown} cannot be written: {error}"), fix);
            }
            let (schema, wal) = (look.schema, if look.wal { ", WAL" } else { "" });
            if schema < i64::from(SCHEMA_VERSION) {
                let text = format!("{shown} schema {schema}: the next start brings it to {SCHEMA_VERSION}");
                return Line::note("database", text)
                    .with(format!("orion backup --out . --mode {name}, before the start"));
            }
            Line::good("database", format!("{shown} schema {schema}{wal}, sound, writable"))
        }
    }
}

fn journal(state: &Path, mode: Mode) -> Option<Line> {
    let folder = state.join("journal");
    if !folder.exists() {
        return None;
    }
    let name = mode.name();
    Some(match segments::read(&folder) {
        Err(error) => {
            let other = if mode == Mode::Paper { "" } else { ", or: orion journal rebuild --mode " };
            let rebuilt = if mode == Mode::Paper { "" } else { name };
            let fix = format!("orion restore BACKUP --mode {name} --replace{other}{rebuilt}");
            Line::bad("journal", Only(mode), Unsound, format!("{}: {error}", folder.display()), fix)
        }
        Ok((records, torn)) => {
            let mut open = std::collections::BTreeSet::new();
            for (_, record) in &records {
                match record {
                    Record::Planned { plan, .. } => _ = open.insert(*plan),
                    Record::Ended { plan, .. } => _ = open.remove(plan),
                    _ => {}
                }
            }
            let torn = if 0 < torn { ", the last one torn or being written" } else { "" };
            let open = if open.is_empty() { String::new() } else { format!(", {} plans open", open.len()) };
            Line::good("journal", format!("{} records{torn}{open}, every checksum fits", records.len()))
        }
    })
}

/// Files that a person, or the engine itself, laid down and nobody has lifted.
fn held_back(state: &Path, mode: Mode) -> Vec<Line> {
    let lift = format!("orion resume --mode {}", mode.name());
    let reason = |file: &str| {
        let text = std::fs::read_to_string(state.join(file)).unwrap_or_default();
        text.lines().next().unwrap_or_default().to_owned()
    };
    let mut lines = Vec::new();
    match stops::found(state) {
        TradingState::Active => {}
        TradingState::Paused => {
            lines.push(Line::caution("stops", format!("paused ({}): no new plans", reason("paused")), &*lift));
        }
        TradingState::Halted(_) => {
            let text =
                format!("the latch has fallen ({}): nothing is entered until a person lifts it", reason("latch"));
            lines.push(Line::caution("stops", text, &*lift));
        }
    }
    if stops::flattening(state).is_some() {
        lines.push(Line::caution("stops", "everything held is being sold, from the next start on", lift));
    }
    lines
}

fn tokens(state: &Path, mode: Mode) -> Option<Line> {
    let path = state.join("tokens.json");
    let bits = path.symlink_metadata().ok()?.permissions().mode() & 0o7777;
    if matches!(bits, 0o600 | 0o400) {
        return None;
    }
    let text = format!("{} has mode {bits:04o}: whoever changes it can sign in", path.display());
    Some(Line::bad("tokens", Only(mode), Unsound, text, format!("chmod 600 {}", path.display())))
}

/// The pair book: how many, how old, and whether it can be read.
pub fn pairs(config: &Config) -> Line {
    let file = &config.pairs.file;
    let shown = file.display();
    let book = match PairBook::load(file) {
        Ok(book) => book,
        Err(_) if !file.exists() => {
            let fix = format!("touch {shown}, or set pairs.file; README, step 3, says what goes in");
            return Line::bad("pairs", From(Mode::Paper), Unsound, format!("{shown} is not there"), fix);
        }
        Err(error) => {
            let fix = format!("edit {shown} where the message points (pairs.file names another one)");
            return Line::bad("pairs", From(Mode::Paper), Unsound, error.to_string(), fix);
        }
    };
    let Some(newest) = book.pairs().iter().map(|pair| pair.approved_at).max() else {
        let fix = format!("edit {shown}: its comments say how a pair is approved");
        return Line::caution("pairs", format!("none approved in {shown}: nothing can trade"), fix);
    };
    let (now, count) = (clock::unix(), book.pairs().len());
    let old = book.pairs().iter().filter(|pair| PAIRS_OLD_DAYS * DAY_MS < now.since(pair.approved_at)).count();
    let days = now.since(newest) / DAY_MS;
    let text = format!("{count} approved, the newest {days} days ago");
    if 0 < old {
        let fix = format!("read their rule texts again, and renew approved_at in {shown}");
        return Line::caution("pairs", format!("{text}; {old} of them more than {PAIRS_OLD_DAYS} days ago"), fix);
    }
    Line::good("pairs", text)
}

/// The step to the mode above the promoted one, and how much of its evidence is missing.
pub fn promotion(missing: usize, next: Mode) -> Line {
    let name = next.name();
    if missing == 0 {
        let text = format!("{name} has its evidence; nobody has taken the step");
        return Line::bad("promotion", From(next), Gate, text, format!("orion promote {name}"));
    }
    let (text, fix) = (format!("{name} is blocked: {missing} gates of evidence"), "orion promote");
    Line::bad("promotion", From(next), Gate, text, fix)
}
