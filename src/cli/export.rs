//! `orion export`: what happened, in a form that others read.

use std::{io::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{Done, Fault, Global, settings, stops};
use crate::{
    ledger::audit::AuditReader,
    run::mode::{Mode, Promotion},
    watch::tax,
};

#[derive(Args, Debug)]
pub struct ExportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every fill, settlement and merge, one a line, in dollars: for a tax adviser. Nothing is netted.
    Trades {
        /// Comma-separated values, the only form there is; may be left out.
        #[arg(long)]
        csv: bool,
        /// Whose: live, alert, paper, demo; without this, the mode that `orion run` starts in.
        #[arg(long, value_parser = stops::mode)]
        mode: Option<Mode>,
        /// Write here instead of to standard output; an existing file is not overwritten.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub fn run(global: &Global, args: &ExportArgs) -> Done {
    let What::Trades { mode, out, .. } = &args.what;
    let config = settings(global, Vec::new())?.config;
    let mode = match mode {
        Some(mode) => *mode,
        None => Promotion::read(&config.engine.state_dir)?.mode,
    };
    let path = config.engine.state_dir.join(mode.name()).join("orion.db");
    if !path.exists() {
        return Err(Fault::NotRunning(format!("{} is not there: no engine has run in this mode", path.display())));
    }
    let reader = AuditReader::open(&path).map_err(anyhow::Error::from)?;
    let text = tax::csv(&reader).map_err(anyhow::Error::from)?;
    let Some(out) = out else {
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(());
    };
    let told = || format!("{} cannot be written", out.display());
    let mut file = std::fs::File::create_new(out).with_context(told)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(told)?;
    say!("{}: {} lines of {} mode", out.display(), text.lines().count() - 1, mode.name());
    Ok(())
}
