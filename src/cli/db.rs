//! `orion db`: the audit trail's file.

use clap::{Args, Subcommand};

use super::{Done, Fault, Global, settings, shown::Shown, stops};
use crate::{
    ledger::audit::{Audit, AuditReader},
    run::mode::Mode,
};

#[derive(Args, Debug)]
pub struct DbArgs {
    #[command(subcommand)]
    command: DbCommand,
}

#[derive(Debug, Subcommand)]
enum DbCommand {
    /// Create the database of a mode, or bring its schema up to date. Does no harm twice.
    Init(ModeArgs),
    /// Read a mode's database through and recompute cash, positions and profit from its fills.
    Verify(ModeArgs),
}

#[derive(Args, Debug)]
struct ModeArgs {
    /// Whose database.
    #[arg(long, default_value = "paper", value_parser = stops::mode)]
    mode: Mode,
}

pub fn run(global: &Global, args: &DbArgs) -> Done {
    match &args.command {
        DbCommand::Init(mode) => create(global, mode.mode),
        DbCommand::Verify(mode) => verify(global, mode.mode),
    }
}

/// `--init-db`.
pub fn init(global: &Global) -> Done {
    create(global, Mode::Paper)
}

fn create(global: &Global, mode: Mode) -> Done {
    let state = settings(global, Vec::new())?.config.engine.state_dir.join(mode.name());
    let _lock = crate::run::boot::claim(&state)?;
    let path = state.join("orion.db");
    let version = Audit::init(&path).map_err(anyhow::Error::from)?;
    say!("{}: schema {version}", path.display());
    say!("next: orion run --dry-run");
    Ok(())
}

fn verify(global: &Global, mode: Mode) -> Done {
    let config = settings(global, Vec::new())?.config;
    let path = config.engine.state_dir.join(mode.name()).join("orion.db");
    if !path.exists() {
        return Err(Fault::Failed(anyhow::anyhow!("{} does not exist; create it with: orion db init", path.display())));
    }
    let reader = AuditReader::open(&path).map_err(anyhow::Error::from)?;
    let allocated = crate::run::given::allocation(&config);
    let [kalshi, polymarket] = crate::unit::Venue::ALL;
    let books = reader.recompute([(kalshi, allocated[0]), (polymarket, allocated[1])]).map_err(anyhow::Error::from)?;
    for venue in &books.venues {
        say!(
            "{:<11} cash {:#}  fees {:#}  realised {:#}  holdings {}",
            venue.venue.name(),
            venue.cash,
            venue.fees,
            venue.realised,
            venue.holdings.len()
        );
    }
    if books.odd.is_empty() {
        say!("every fill, fee and settlement fits");
        return Ok(());
    }
    for odd in &books.odd {
        eprintln!("odd: {}", Shown(odd));
    }
    Err(Fault::Failed(anyhow::anyhow!("{} things in {} do not fit", books.odd.len(), path.display())))
}
