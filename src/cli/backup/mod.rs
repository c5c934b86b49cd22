//! `orion backup`: journal, database, pair book and everything that a person has said, in one file. Works while the engine
//! runs, which waits for nothing of it. `orion restore` is its way back.

pub mod archive;
pub mod restore;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use super::{Done, Fault, Global, settings, stops};
use crate::{
    config::Config,
    ledger::{
        audit::copy,
        segments::{self, Copied},
    },
    run::{
        clock,
        mode::{Mode, Promotion},
    },
};
use archive::{FORMAT, Manifest, OF_MODE, Staging};

#[derive(Args, Debug)]
pub struct BackupArgs {
    /// A new file, or a folder in which one is made, named after mode and time.
    #[arg(long, value_name = "FILE|FOLDER")]
    out: PathBuf,
    /// Whose state: live, alert, paper, demo; without this, the mode that `orion run` starts in.
    #[arg(long, value_parser = stops::mode)]
    mode: Option<Mode>,
    /// The vault too. It is sealed: whoever has the file still needs the passphrase.
    #[arg(long)]
    with_vault: bool,
}

pub fn run(global: &Global, args: &BackupArgs) -> Done {
    let config = settings(global, Vec::new())?.config;
    let mode = match args.mode {
        Some(mode) => mode,
        None => Promotion::read(&config.engine.state_dir)?.mode,
    };
    let state = config.engine.state_dir.join(mode.name());
    if !state.join("journal").exists() && !state.join("orion.db").exists() {
        return Err(Fault::NotRunning(format!(
            "{}: there is nothing to keep; no engine has run in this mode",
            state.display()
        )));
    }
    let at = clock::unix();
    let stamp = jiff::Timestamp::from_millisecond(at.raw() as i64).map_err(anyhow::Error::from)?;
    let out = if args.out.is_dir() {
        args.out.join(format!("orion-{}-{}.tar.gz", mode.name(), stamp.strftime("%Y%m%dT%H%M%SZ")))
    } else {
        args.out.clone()
    };
    let beside = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Beside the file: that is where there has to be room.
    let staging = Staging::make(beside.join(format!(".orion-backup-{}", std::process::id())))?;
    let staged = &staging.0;
    let (schema, journal) = stage(&config, &state, staged, args.with_vault)?;
    let Copied { records, last } = journal;
    let mut manifest = Manifest {
        format: FORMAT,
        orion: env!("CARGO_PKG_VERSION").into(),
        mode,
        at_ms: at.raw(),
        schema,
        records,
        last,
        files: Vec::new(),
    };
    for name in names(staged)? {
        manifest.files.push(archive::entry(staged, &name)?);
    }
    let bytes = archive::pack(staged, &manifest, &out)?;
    say!(
        "{}: {} mode, {} files, {} KiB, written and read back",
        out.display(),
        mode.name(),
        manifest.files.len(),
        bytes >> 10
    );
    let database = schema.map_or_else(|| "no database".into(), |schema| format!("database schema {schema}"));
    say!("  {database}; journal up to record {last}");
    if !args.with_vault {
        say!("  without the vault (--with-vault takes it along, sealed) and without the page's tokens");
    }
    say!("next: keep it on another machine; back with: orion restore {} --mode {}", out.display(), mode.name());
    Ok(())
}

/// Copies everything. The database first: what it does not know yet the journal does, and never the other way round.
fn stage(config: &Config, state: &Path, staged: &Path, with_vault: bool) -> anyhow::Result<(Option<i64>, Copied)> {
    let database = state.join("orion.db");
    let schema = if database.exists() { Some(copy::copy(&database, &staged.join("orion.db"))?) } else { None };
    let journal = state.join("journal");
    let copied = if journal.exists() {
        segments::copy(&journal, &staged.join("journal"))
            .with_context(|| format!("the journal in {} cannot be read through", journal.display()))?
    } else {
        Copied { records: 0, last: 0 }
    };
    for name in OF_MODE {
        take(&state.join(name), &staged.join(name))?;
    }
    let shared = staged.join("shared");
    fs::create_dir(&shared).with_context(|| shared.display().to_string())?;
    let states = &config.engine.state_dir;
    take(&states.join("promoted.json"), &shared.join("promoted.json"))?;
    take(&states.join("overlay.toml"), &shared.join("overlay.toml"))?;
    if !take(&config.pairs.file, &shared.join("pairs.toml"))? {
        eprintln!("note: {} is not there, so no pair book is kept", config.pairs.file.display());
    }
    if with_vault && !take(&config.vault.file, &shared.join("vault"))? {
        eprintln!("note: {} is not there, so no vault is kept", config.vault.file.display());
    }
    Ok((schema, copied))
}

/// Copies a small file, if it is there.
fn take(from: &Path, to: &Path) -> anyhow::Result<bool> {
    let bytes = match fs::read(from) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        read => read.with_context(|| format!("{} cannot be read", from.display()))?,
    };
    write(to, &bytes)?;
    Ok(true)
}

/// A new file for its owner alone, on the medium.
fn write(to: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.with_context(|| format!("{} cannot be written", to.display()))
}

/// Everything that was staged, in the order in which it is packed.
fn names(staged: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in ["", "journal/", "shared/"] {
        let path = staged.join(folder);
        if !path.exists() {
            continue;
        }
        let mut here = Vec::new();
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                here.push(format!("{folder}{}", entry.file_name().to_string_lossy()));
            }
        }
        here.sort();
        names.extend(here);
    }
    Ok(names)
}
