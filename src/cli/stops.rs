//! `orion pause`, `orion resume`, `orion kill`, `orion kill --flatten`: the operator's hand on the latch. They reach a
//! running engine over its control socket; where none runs they lay down or take away the files that the next start
//! reads.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{Done, Fault, Global, settings};
use crate::{
    ledger::audit::{Audit, Control},
    run::{
        clock,
        mode::Mode,
        stops::{self, Stopping},
    },
    unit::Money,
    watch::{
        command::{Answer, Report, Request},
        control,
    },
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
    /// Sell everything held too, within `risk.max_flatten_loss`; it goes on until `resume`, through restarts.
    #[arg(long, conflicts_with = "drill")]
    flatten: bool,
    /// Do not ask first.
    #[arg(long, requires = "flatten")]
    yes: bool,
}

pub fn pause(global: &Global, args: &StopArgs) -> Done {
    act(global, args, Request::Pause, Some(Stopping::Pause), "no new plans; what is open is managed on")
}

pub fn resume(global: &Global, args: &StopArgs) -> Done {
    act(global, args, Request::Resume, None, "plans are entered again once accounts agree")
}

pub fn kill(global: &Global, args: &KillArgs) -> Done {
    if args.flatten {
        return flatten(global, args);
    }
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

/// Says what selling everything would cost, asks, and lets the latch fall.
fn flatten(global: &Global, args: &KillArgs) -> Done {
    let most = settings(global, Vec::new())?.config.risk.max_flatten_loss;
    if let (Some(Answer::Status { status }), _) = reach(global, args.of.of, Request::Status)? {
        let loss = Money::micros(status.flatten_loss);
        say!("{} pairs are held, bought for {}", status.positions, Money::micros(status.locked));
        let (apart, than) = if Money::ZERO < loss { (loss, "less") } else { (-loss, "more") };
        say!("sold at the books of this moment they bring {apart} {than} than they cost");
        if 0 < status.unsellable {
            say!("in {} markets nobody bids for an order's worth: what is held there stays", status.unsellable);
        }
    } else {
        say!("no engine answers: the next start sells what it holds");
    }
    say!("nothing new is entered; sales stop at a loss of {most} (risk.max_flatten_loss), and what is left is told");
    if !args.yes {
        if !std::io::stdin().is_terminal() {
            return Err(Fault::Gate("selling everything asks first, and nobody can answer here: add --yes".into()));
        }
        say!("type SELL to go on:");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        if line.trim() != "SELL" {
            return Err(Fault::Gate("nothing was sold, and the latch has not fallen".into()));
        }
    }
    let meaning = "everything held is being sold; orion status says how far it is. End it with: orion resume";
    act(global, &args.of, Request::Flatten, Some(Stopping::Flatten), meaning)
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
                note(&state, stopping);
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

/// A row of the audit trail, where there is one to write to.
fn note(state: &Path, stopping: Option<Stopping>) {
    let command = match stopping {
        Some(Stopping::Pause) => "pause",
        Some(Stopping::Halt) => "kill",
        Some(Stopping::Flatten) => "flatten",
        None => "resume",
    };
    let row = Control {
        at: clock::unix(),
        who: "terminal".into(),
        command: command.into(),
        args: "no engine runs".into(),
        result: stops::found(state).name().into(),
    };
    if let Err(error) = Audit::note(&state.join("orion.db"), &row) {
        eprintln!("note: it is not in the audit trail: {error}");
    }
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
        Answer::Status { .. } | Answer::Latency { .. } | Answer::Secret { .. } => {
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
