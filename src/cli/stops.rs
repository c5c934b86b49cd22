//! `orion pause`, `orion resume`, `orion kill`: the operator's hand on the latch. They reach a running engine over its
//! control socket; where none runs they lay down or take away the files that the next start reads.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Done, Fault, Global, settings};
use crate::{
    run::{
        mode::Mode,
        stops::{self, Stopping},
    },
    watch::control::{self, Answer, Report, Request},
};

/// Which engine is meant.
#[derive(Args, Clone, Copy, Debug)]
pub struct ModeArg {
    /// Whose engine: live, alert, paper, demo; without this, the one that runs.
    #[arg(long, value_parser = mode)]
    pub mode: Option<Mode>,
}

/// A mode by its name.
pub fn mode(name: &str) -> Result<Mode, String> {
    Mode::parse(name).ok_or_else(|| "one of live, alert, paper, demo".into())
}

impl ModeArg {
    /// The modes to look for it in, the one that matters most first.
    pub fn modes(self) -> Vec<Mode> {
        self.mode.map_or_else(|| Mode::TRADING.to_vec(), |mode| vec![mode])
    }
}

#[derive(Args, Debug)]
pub struct StopArgs {
    #[command(flatten)]
    of: ModeArg,
}

#[derive(Args, Debug)]
pub struct KillArgs {
    #[command(flatten)]
    of: StopArgs,
    /// Measure a kill and lift it again at once; refused while the engine is paused or halted.
    #[arg(long)]
    drill: bool,
}

pub fn pause(global: &Global, args: &StopArgs) -> Done {
    act(global, args, Request::Pause, Some(Stopping::Pause), "no new plans; what is open is managed on")
}

pub fn resume(global: &Global, args: &StopArgs) -> Done {
    act(global, args, Request::Resume, None, "plans are entered again once accounts agree")
}

pub fn kill(global: &Global, args: &KillArgs) -> Done {
    let request = if args.drill { Request::Drill } else { Request::Kill };
    let stopping = (!args.drill).then_some(Stopping::Halt);
    if args.drill {
        return match reach(global, args.of.of, request)? {
            (Some(answer), _) => told(&answer, "drilled: the latch fell, was measured and is lifted again"),
            (None, folder) => Err(nobody(&folder)),
        };
    }
    act(
        global,
        &args.of,
        request,
        stopping,
        "nothing that raises risk leaves; what is naked is closed. Lift it with: orion resume",
    )
}

/// Asks the engine; without one, lays the file that the next start reads (`None`: takes both away).
fn act(global: &Global, args: &StopArgs, request: Request, stopping: Option<Stopping>, meaning: &str) -> Done {
    match reach(global, args.of, request)? {
        (Some(answer), _) => told(&answer, meaning),
        (None, folder) => {
            let states = existing(&folder, args);
            if states.is_empty() {
                return Err(nobody(&folder));
            }
            for state in states {
                let done = match stopping {
                    Some(stopping) => stops::lay(&state, stopping),
                    None => stops::take_away(&state),
                };
                done.map_err(|e| anyhow::anyhow!("{}: {e}", state.display()))?;
                say!("no engine runs on {}; the next one starts {}", state.display(), stops::found(&state).name());
            }
            Ok(())
        }
    }
}

/// Asks the engine that is meant; `None` where none answers below the state directory.
pub fn reach(global: &Global, of: ModeArg, request: Request) -> Result<(Option<Answer>, PathBuf), Fault> {
    let folder = settings(global, Vec::new())?.config.engine.state_dir;
    for mode in of.modes() {
        if let Some(answer) = control::ask(&folder.join(mode.name()), request)? {
            return Ok((Some(answer), folder));
        }
    }
    Ok((None, folder))
}

fn existing(folder: &Path, args: &StopArgs) -> Vec<PathBuf> {
    args.of.modes().into_iter().map(|mode| folder.join(mode.name())).filter(|state| state.is_dir()).collect()
}

pub fn nobody(folder: &Path) -> Fault {
    Fault::NotRunning(format!("no engine answers below {}, and none has ever run there", folder.display()))
}

fn told(answer: &Answer, meaning: &str) -> Done {
    match answer {
        Answer::Done { state } => say!("{state}: {meaning}"),
        Answer::Stopped { report } => {
            say!("{meaning}");
            measured(report)?;
        }
        Answer::Refused { why } => return Err(Fault::Gate(format!("refused: {why}"))),
        Answer::Status { .. } | Answer::Latency { .. } => {
            return Err(Fault::Failed(anyhow::anyhow!("the engine answered another question")));
        }
    }
    Ok(())
}

fn measured(report: &Report) -> std::io::Result<()> {
    let Report { latched_us, entry_us, safety_us, held_back, kept } = *report;
    let after = |at: Option<u64>| at.map_or("none".to_owned(), |us| format!("{us} µs"));
    say!("  latch fallen {latched_us} µs after the command was read");
    say!("  last entry after it: {} · last hedge or cancel after it: {}", after(entry_us), after(safety_us));
    say!("  entries held back at the sender since the start: {held_back}");
    if !kept {
        say!("  WARNING: its file could not be written; a restart would not know. Free the disk, then: orion kill");
    }
    Ok(())
}
