//! `orion journal rebuild`: a journal that is damaged is set aside, and what both venues hold is taken for ours. It is
//! also the way out where a venue and the journal do not agree and a person has found the venue to be right.
//!
//! The engine itself does it, as at every start, with gateways that only read: nothing is sent.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Args;

use super::{
    Done, Fault, Global, Signals,
    host::attend,
    passphrase::{self, KeyArgs},
    settings,
    shown::Shown,
    stops,
};
use crate::{
    pairing::PairBook,
    run::{
        boot::{Endpoints, Engine, Start},
        catalogue,
        keep::Told,
        mode::Mode,
        sign::{self, Keys},
        trading::Wired,
    },
    venue::polymarket::contract::Chain,
};

/// Both accounts are read within this, or not at all.
const PATIENCE: Duration = Duration::from_mins(5);

#[derive(Args, Debug)]
pub struct RebuildArgs {
    /// Whose journal: live, alert or demo.
    #[arg(long, default_value = "live", value_parser = stops::mode)]
    mode: Mode,
    /// The exchanges that `orion sim --dir FOLDER` serves: for the demo's journal.
    #[arg(long, value_name = "FOLDER")]
    sim: Option<PathBuf>,
    /// Go on without asking.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    keys: KeyArgs,
}

pub fn run(global: &Global, args: &RebuildArgs) -> Done {
    // Nothing is entered, whatever the settings say.
    let flags = vec![("trading.auto_execute".into(), "false".into(), "journal rebuild".into())];
    let loaded = settings(global, flags)?;
    super::logging(loaded.config.log.level, true);
    let signals = Signals::install()?;
    let config = &loaded.config;
    let states = config.engine.state_dir.clone();
    let (endpoints, pairs, listed, signing) = match (args.mode, &args.sim) {
        (Mode::Demo, Some(folder)) => {
            let site = super::sim::attach(folder)?;
            let keys = Keys::Made { kalshi: site.signer, polymarket: Some(Box::new(site.wallet.key()?)) };
            (site.endpoints, site.pairs, site.listed, sign::start(keys)?)
        }
        (Mode::Alert | Mode::Live, None) => {
            let pairs = PairBook::load(&config.pairs.file).map_err(|e| Fault::Config(e.to_string()))?;
            let signing = passphrase::signing(config, args.keys)?;
            let endpoints = Endpoints::production();
            let listed = catalogue::read(&endpoints, &pairs)?;
            (endpoints, pairs, listed, signing)
        }
        _ => {
            return Err(Fault::Gate(
                "a venue holds something in live and alert mode, and in the demo with --sim FOLDER; on paper the journal is all \
                 there is: restore it from a backup, or move it away and begin anew"
                    .into(),
            ));
        }
    };
    let Some(signing) = signing.filter(|signing| signing.customer.is_some()) else {
        return Err(Fault::Gate(
            "both venues have to be asked, and their keys are not there: orion secrets import".into(),
        ));
    };
    confirm(args)?;
    let wired = Wired::sign_in(&endpoints, &signing, Chain::Polygon, true)?;
    let start = Start {
        signing: Some(signing),
        wired: Some(wired),
        adopts: true,
        ..Start::new(args.mode, loaded, endpoints, pairs, listed)
    };
    let engine = Engine::start(start)?;
    let (snapshot, done) = (engine.snapshot.clone(), Arc::new(AtomicBool::new(false)));
    let ended = Signals { stop: done.clone(), ..signals };
    let clean = attend(engine, args.mode, &states, &ended, Some(PATIENCE), |told| {
        if let Told::Note(text) = told {
            say!("{}", Shown(text));
        }
        let agrees = snapshot.lock().is_ok_and(|status| status.agrees == Some(true));
        done.fetch_or(agrees, Ordering::AcqRel);
        Ok(())
    })?;
    let agrees = snapshot.lock().is_ok_and(|status| status.agrees == Some(true));
    if !clean || !agrees {
        return Err(Fault::Again(
            "both accounts could not be read whole: nothing more was taken over than is said above; try again".into(),
        ));
    }
    say!("the journal agrees with both venues");
    say!(
        "next: orion journal verify --mode {0}; a latch that has fallen stays until: orion resume --mode {0}",
        args.mode.name()
    );
    Ok(())
}

/// A person says that the venues are right.
fn confirm(args: &RebuildArgs) -> Done {
    if args.yes {
        return Ok(());
    }
    say!(
        "A damaged journal is set aside, and what both venues hold of the pair file's markets is taken for ours, at a"
    );
    say!("dollar a contract where its cost is not known. Nothing is sent. Look at both venues' own pages first.");
    let typed = super::arm::typed("rebuild")?;
    if typed { Ok(()) } else { Err(Fault::Gate("not rebuilt: the word is: rebuild (or --yes)".into())) }
}
