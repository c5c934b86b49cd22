//! `orion restore`: a backup becomes the state of its mode again. Everything is checked before anything is moved; what was
//! there is set aside, never deleted; and the engine comes up paused and disarmed, because the backup may be old.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use super::{
    archive::{self, Manifest, Staging},
    write,
};
use crate::{
    cli::{Done, Fault, Global, settings, stops as flags},
    config::{Config, Sources},
    ledger::{
        audit::{AuditError, SCHEMA_VERSION, copy},
        segments,
    },
    pairing::PairBook,
    run::{boot, mode::Mode, stops},
};

#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// What `orion backup` wrote.
    file: PathBuf,
    /// The mode whose state it becomes; a backup fits its own mode alone.
    #[arg(long, value_parser = flags::mode)]
    mode: Mode,
    /// Set aside what is there already. Nothing is deleted.
    #[arg(long)]
    replace: bool,
}

/// What of a folder is nobody's state: a lock, a socket, tokens, dumps.
const NO_STATE: [&str; 6] = ["lock", "control.sock", "tokens.json", "tokens.draft", "latency.txt", "latency.hlog"];

pub fn run(global: &Global, args: &RestoreArgs) -> Done {
    let config = settings(global, Vec::new())?.config;
    let states = &config.engine.state_dir;
    let mode = args.mode;
    let says = archive::manifest(&args.file)?;
    fits(&args.file, &says, mode)?;
    let state = states.join(mode.name());
    // Held until all is done: no engine starts on a half of it.
    let mut lock = if state.exists() { Some(hold(&state)?) } else { None };
    let there = contents(&state)?;
    if !there.is_empty() && !args.replace {
        return Err(Fault::Gate(format!(
            "{} is not empty ({}): --replace sets it aside",
            state.display(),
            there.join(", ")
        )));
    }
    fs::create_dir_all(states).with_context(|| format!("{} cannot be made", states.display()))?;
    let staging = Staging::make(states.join(format!(".restore-{}", std::process::id())))?;
    let staged = &staging.0;
    let manifest = archive::unpack(&args.file, staged)?;
    verify(&manifest, staged)?;
    let shared = plan(&config, staged, args.replace)?;

    let day = jiff::Timestamp::from_millisecond(manifest.at_ms as i64).map_err(anyhow::Error::from)?;
    let day = day.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    stops::restored(staged, &format!("put back from a backup of {day}"))?;
    let mut aside = Vec::new();
    for (from, to) in shared {
        if to.exists() {
            aside.push(set_aside(&to)?);
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        write(&to, &fs::read(&from)?)?;
    }
    let _ = fs::remove_dir_all(staged.join("shared"));
    if state.exists() {
        if there.is_empty() {
            // A lock, tokens: of use to nobody without the state beside them.
            fs::remove_dir_all(&state).with_context(|| state.display().to_string())?;
        } else {
            aside.push(set_aside(&state)?);
        }
    }
    fs::rename(staged, &state).with_context(|| format!("{} cannot be put in its place", state.display()))?;
    File::open(states).and_then(|folder| folder.sync_all()).with_context(|| states.display().to_string())?;
    lock.take();

    say!("{}: as of {day}, journal up to record {}", state.display(), manifest.last);
    for path in aside {
        say!("  set aside: {}", path.display());
    }
    say!(
        "  paused and disarmed. What happened after the backup is not in it: the next start asks both venues, and nothing is"
    );
    say!("  entered until orders, positions and cash agree");
    say!("next: orion doctor --mode {0}; start it; orion status --mode {0}; then orion resume --mode {0}", mode.name());
    Ok(())
}

/// Is it a backup of this mode, and not of a newer build?
fn fits(file: &Path, manifest: &Manifest, mode: Mode) -> Result<(), Fault> {
    if manifest.mode != mode {
        return Err(Fault::Gate(format!(
            "{} is a backup of {} mode: it does not become {}",
            file.display(),
            manifest.mode.name(),
            mode.name()
        )));
    }
    match manifest.schema {
        Some(found) if i64::from(SCHEMA_VERSION) < found => {
            let newer = AuditError::Newer { path: file.into(), found };
            Err(Fault::Config(format!("orion: {newer}")))
        }
        _ => Ok(()),
    }
}

/// The lock of a folder that is there: an engine that runs holds it.
fn hold(state: &Path) -> Result<File, Fault> {
    boot::claim(state).map_err(|error| Fault::Gate(format!("{error:#}")))
}

/// What would be lost: everything that is somebody's state.
fn contents(state: &Path) -> anyhow::Result<Vec<String>> {
    if !state.exists() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(state).with_context(|| state.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !NO_STATE.contains(&&*name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Reads everything through as the engine would.
fn verify(manifest: &Manifest, staged: &Path) -> Result<(), Fault> {
    let journal = staged.join("journal");
    if journal.exists() {
        let (records, torn) = segments::read(&journal).context("the backup's journal")?;
        let last = records.last().map_or(0, |(sequence, _)| *sequence);
        if torn != 0 || last != manifest.last || records.len() as u64 != manifest.records {
            return Err(Fault::Failed(anyhow::anyhow!(
                "the backup's journal is not the one that its manifest tells of"
            )));
        }
    }
    let database = staged.join("orion.db");
    if database.exists() {
        let look = copy::look(&database).context("the backup's database")?;
        if Some(look.schema) != manifest.schema {
            return Err(Fault::Failed(anyhow::anyhow!(
                "the backup's database is not the one that its manifest tells of"
            )));
        }
    }
    let pairs = staged.join("shared/pairs.toml");
    if pairs.exists() {
        PairBook::load(&pairs).map_err(|error| Fault::Config(format!("orion: the backup's pair book: {error}")))?;
    }
    let overlay = staged.join("shared/overlay.toml");
    if overlay.exists() {
        let sources = Sources { overlay: Some(overlay), env: crate::cli::environment(), ..Sources::default() };
        Config::load(&sources)?;
    }
    Ok(())
}

/// Files that all modes share, and where they go: those that are not there, or other than in the backup.
fn plan(config: &Config, staged: &Path, replace: bool) -> Result<Vec<(PathBuf, PathBuf)>, Fault> {
    let states = &config.engine.state_dir;
    let (mut moves, mut taken) = (Vec::new(), Vec::new());
    for (name, to) in [
        ("promoted.json", states.join("promoted.json")),
        ("overlay.toml", states.join("overlay.toml")),
        ("pairs.toml", config.pairs.file.clone()),
        ("vault", config.vault.file.clone()),
    ] {
        let from = staged.join("shared").join(name);
        if !from.exists() || fs::read(&from)? == fs::read(&to).unwrap_or_default() {
            continue;
        }
        // A pair book without a pair, as a fresh installation has it, holds nobody's judgement.
        let bare = name == "pairs.toml" && PairBook::load(&to).is_ok_and(|book| book.pairs().is_empty());
        if to.exists() && !bare && !replace {
            taken.push(to.display().to_string());
        }
        moves.push((from, to));
    }
    if taken.is_empty() {
        return Ok(moves);
    }
    Err(Fault::Gate(format!(
        "the backup holds another version of {}: --replace sets what is there aside",
        taken.join(", ")
    )))
}

/// Gives it a name beside its own that nothing has.
fn set_aside(path: &Path) -> anyhow::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut number = 1;
    let aside = loop {
        let aside = path.with_file_name(format!("{name}.before-restore-{number}"));
        if aside.symlink_metadata().is_err() {
            break aside;
        }
        number += 1;
    };
    fs::rename(path, &aside).with_context(|| format!("{} cannot be set aside", path.display()))?;
    Ok(aside)
}
