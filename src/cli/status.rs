//! `orion status`: one screen of a running engine.

use clap::Args;

use super::{Done, Fault, Global, settings, stops::ModeArg};
use crate::{
    run::clock,
    watch::{
        command::{Answer, Request},
        control,
        status::screen,
    },
};

#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Everything, as one JSON object.
    #[arg(long)]
    json: bool,
    /// Latency by stage instead.
    #[arg(long, conflicts_with = "json")]
    latency: bool,
    #[command(flatten)]
    of: ModeArg,
}

pub fn run(global: &Global, args: &StatusArgs) -> Done {
    let folder = settings(global, Vec::new())?.config.engine.state_dir;
    let request = if args.latency { Request::Latency } else { Request::Status };
    for mode in args.of.modes() {
        match control::ask(&folder.join(mode.name()), request)? {
            None => {}
            Some(Answer::Status { status }) if args.json => {
                say!("{}", serde_json::to_string_pretty(&status).map_err(anyhow::Error::from)?);
                return Ok(());
            }
            Some(Answer::Status { status }) => {
                say!("{}", screen(&status, clock::unix().raw()).trim_end());
                return Ok(());
            }
            Some(Answer::Latency { table }) => {
                say!("{}", table.trim_end());
                return Ok(());
            }
            Some(Answer::Done { .. } | Answer::Stopped { .. } | Answer::Secret { .. }) => {
                return Err(Fault::Failed(anyhow::anyhow!("the engine answered another question")));
            }
            Some(Answer::Refused { why }) => return Err(Fault::Failed(anyhow::anyhow!("the engine refused: {why}"))),
        }
    }
    Err(Fault::NotRunning(format!(
        "no engine answers below {}; start one with: orion demo, or: orion run --dry-run",
        folder.display()
    )))
}
