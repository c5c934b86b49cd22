//! `orion dashboard`: the way onto the page of a running engine. What it prints is a key: it goes to a terminal, never
//! into a log.

use clap::{Args, Subcommand, builder::PossibleValuesParser};

use super::{
    Done, Fault, Global,
    stops::{self, ModeArg, nobody, reach},
};
use crate::{
    run::mode::Mode,
    watch::{
        command::{Answer, Request},
        keyring::Role,
    },
};

#[derive(Args, Debug)]
pub struct DashboardArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// Whose engine: live, alert, paper, demo; without this, the one that runs.
    #[arg(long, global = true, value_parser = stops::mode)]
    mode: Option<Mode>,
    /// A link that lets read, and change nothing.
    #[arg(long)]
    viewer: bool,
    /// As JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A code that confirms one dangerous act on the page: flatten, arm. Good once, for two minutes.
    Code,
    /// A token for a program that reads, or acts, over HTTP. Good for a year.
    Token {
        /// viewer: reads; operator: also acts.
        #[arg(long, default_value = "viewer", value_parser = PossibleValuesParser::new(["viewer", "operator"]))]
        role: String,
    },
}

pub fn run(global: &Global, args: &DashboardArgs) -> Done {
    let (name, request) = match &args.what {
        None => ("url", Request::Link { role: if args.viewer { Role::Viewer } else { Role::Operator } }),
        Some(What::Code) => ("code", Request::Code),
        Some(What::Token { role }) => {
            let role = if role == "operator" { Role::Operator } else { Role::Viewer };
            ("token", Request::Token { role })
        }
    };
    match reach(global, ModeArg { mode: args.mode }, request)? {
        (Some(Answer::Secret { text }), _) if args.json => say!("{}", serde_json::json!({ name: text })),
        (Some(Answer::Secret { text }), _) => say!("{text}"),
        (Some(Answer::Refused { why }), _) => return Err(Fault::Gate(format!("refused: {why}"))),
        (Some(_), _) => return Err(Fault::Failed(anyhow::anyhow!("the engine answered another question"))),
        (None, folder) => return Err(nobody(&folder)),
    }
    Ok(())
}
