//! `orion arm`: lets a running live engine send orders. A person, a phrase that names what is at stake, and five
//! seconds to think again. Starting an engine never arms it.

use std::{
    io::{BufRead as _, IsTerminal as _},
    time::Duration,
};

use clap::Args;

use super::{
    Done, Fault, Global, settings,
    shown::Shown,
    stops::{ModeArg, nobody, reach},
};
use crate::{
    config::Config,
    run::{mode::Mode, snapshot::Snapshot},
    unit::Money,
    watch::command::{Answer, Request},
};

/// Seconds between the phrase and the act.
const COUNTDOWN: u32 = 5;

#[derive(Args, Debug)]
pub struct ArmArgs {
    #[command(flatten)]
    of: ModeArg,
    /// Disarm: no entry is sent any more; what is open is managed on.
    #[arg(long)]
    off: bool,
}

pub fn run(global: &Global, args: &ArmArgs) -> Done {
    let config = settings(global, Vec::new())?.config;
    // Nothing else can be armed; the demo practises it.
    let of = ModeArg { mode: args.of.mode.or(Some(Mode::Live)) };
    if args.off {
        return end(reach(global, of, Request::Disarm)?, "no entry is sent; what is open is managed on");
    }
    let (Some(Answer::Status { status }), _) = reach(global, of, Request::Status)? else {
        return Err(nobody(&config.engine.state_dir));
    };
    if status.armed == Some(true) {
        say!("{} is armed already; disarm it with: orion arm --off", status.mode);
        return Ok(());
    }
    tell(&config, &status)?;
    let phrase = status.arming_phrase();
    if !typed(&phrase)? {
        return Err(Fault::Gate(format!("not armed: that was not the phrase, which is: {phrase}")));
    }
    for left in (1..=COUNTDOWN).rev() {
        say!("arming in {left} s; Ctrl-C stops it");
        std::thread::park_timeout(Duration::from_secs(1));
    }
    end(
        reach(global, of, Request::Arm)?,
        "orders leave from here on. Disarm with: orion arm --off; halt with: orion kill",
    )
}

/// Does a person type this? Or pipe it: a script that does so has been written by one.
pub fn typed(phrase: &str) -> std::io::Result<bool> {
    if std::io::stdin().is_terminal() {
        say!("Type this to go on: {phrase}");
    }
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.split_whitespace().eq(phrase.split_whitespace()))
}

fn end((answer, folder): (Option<Answer>, std::path::PathBuf), meaning: &str) -> Done {
    match answer {
        None => Err(nobody(&folder)),
        Some(Answer::Done { state }) => {
            say!("{state}: {meaning}");
            Ok(())
        }
        Some(Answer::Refused { why }) => Err(Fault::Gate(format!("refused: {why}"))),
        Some(_) => Err(Fault::Failed(anyhow::anyhow!("the engine answered another question"))),
    }
}

fn tell(config: &Config, status: &Snapshot) -> std::io::Result<()> {
    let all = config.capital.initial_bankroll;
    say!("{} on pid {}: {}", status.mode.to_uppercase(), status.pid, status.state);
    for balance in &status.balances {
        say!("  {:<11} shard {:<2} {:>14}", balance.venue, balance.shard, Money::micros(balance.cash).to_string());
    }
    say!(
        "  one trade costs at most {}, one event {}",
        all.share(config.trading.max_trade_size_ppm),
        all.share(config.risk.max_exposure_per_event_ppm)
    );
    say!(
        "  {} pairs at once; a day's loss of {} halts, a fall of {} from the highest point too",
        config.risk.max_open_positions,
        all.share(config.risk.max_daily_loss_ppm),
        all.share(config.risk.max_drawdown_ppm)
    );
    say!(
        "  sizes begin with the smallest orders that both venues take, and double after every five plans that went well"
    );
    say!("  at stake in the worst case (every pair pays nothing on either venue): {}", status.stake());
    for finding in &status.findings {
        say!("  {}", Shown(finding));
    }
    Ok(())
}
