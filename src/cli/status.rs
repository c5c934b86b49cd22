//! `orion status`: one screen of a running engine.

use std::{io::IsTerminal as _, path::Path, time::Duration};

use clap::Args;

use super::{Done, Fault, Global, Signals, settings, stops::ModeArg};
use crate::{
    run::clock,
    watch::{
        command::{Answer, Request},
        control,
        status::screen,
    },
};

/// Between two screens of `--watch`.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Everything, as one JSON object.
    #[arg(long)]
    json: bool,
    /// Latency by stage instead.
    #[arg(long, conflicts_with = "json")]
    latency: bool,
    /// Again every second until Ctrl-C; on a terminal in place, else one below the other. With --json an object a line.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    of: ModeArg,
}

pub fn run(global: &Global, args: &StatusArgs) -> Done {
    let folder = settings(global, Vec::new())?.config.engine.state_dir;
    if !args.watch {
        say!("{}", ask(&folder, args)?);
        return Ok(());
    }
    let signals = Signals::install()?;
    let in_place = std::io::stdout().is_terminal() && !args.json;
    while !signals.stop() {
        let text = ask(&folder, args)?;
        if in_place {
            // Home, the screen, and whatever an earlier one left below it.
            say!("\u{1b}[H{}\u{1b}[J", text.replace('\n', "\u{1b}[K\n"));
        } else {
            say!("{text}");
        }
        std::thread::park_timeout(EVERY);
    }
    Ok(())
}

/// What the engine says, as it is to be printed.
fn ask(folder: &Path, args: &StatusArgs) -> Result<String, Fault> {
    let request = if args.latency { Request::Latency } else { Request::Status };
    for mode in args.of.modes() {
        return match control::ask(&folder.join(mode.name()), request)? {
            None => continue,
            Some(Answer::Status { status }) if args.json && args.watch => {
                Ok(serde_json::to_string(&status).map_err(anyhow::Error::from)?)
            }
            Some(Answer::Status { status }) if args.json => {
                Ok(serde_json::to_string_pretty(&status).map_err(anyhow::Error::from)?)
            }
            Some(Answer::Status { status }) => Ok(screen(&status, clock::unix().raw()).trim_end().to_owned()),
            Some(Answer::Latency { table }) => Ok(table.trim_end().to_owned()),
            Some(Answer::Done { .. } | Answer::Stopped { .. } | Answer::Secret { .. }) => {
                Err(Fault::Failed(anyhow::anyhow!("the engine answered another question")))
            }
            Some(Answer::Refused { why }) => Err(Fault::Failed(anyhow::anyhow!("the engine refused: {why}"))),
        };
    }
    Err(Fault::NotRunning(format!(
        "no engine answers below {}; start one with: orion demo, or: orion run --dry-run",
        folder.display()
    )))
}
