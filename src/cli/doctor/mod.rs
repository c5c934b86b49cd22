//! `orion doctor`: everything that a start needs, looked at without starting anything. Each thing that is wrong comes
//! with the command that mends it.
//!
//! | file | looks at |
//! |---|---|
//! | [`machine`] | the host: disk, cores, limits, the page's port |
//! | [`state`] | databases, journals, stops, tokens, the pair book |
//! | [`keys`] | the vault, and what its keys may do |
//! | [`net`] | every venue's host, the clock, the place |
//! | [`line`] | what was found, and which modes it stands against |

mod keys;
mod line;
mod machine;
mod net;
mod state;

use std::io::IsTerminal as _;

use clap::Args;

use super::{
    Done, Fault, Global, hosts,
    passphrase::{self, KeyArgs},
    promote, settings,
    shown::{self, Shown},
    stops,
};
use crate::{
    config::{Config, Loaded, Origin},
    run::{
        boot::Endpoints,
        mode::{Mode, Promotion},
    },
};
use line::{
    Bars::From,
    Line,
    Why::{self, Config as Unsound},
};

#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Which start is meant: live, alert, paper, demo; without this, the one that `orion run` would make.
    #[arg(long, value_parser = stops::mode)]
    mode: Option<Mode>,
    /// Print every host that this build may contact, and nothing else.
    #[arg(long)]
    hosts: bool,
    /// Ask no host.
    #[arg(long)]
    offline: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: KeyArgs,
}

pub fn run(global: &Global, args: &DoctorArgs) -> Done {
    if args.hosts {
        return list_hosts(args.json);
    }
    let loaded = match settings(global, Vec::new()) {
        Ok(loaded) => loaded,
        Err(fault) => return unsound(args, &fault),
    };
    let config = &loaded.config;
    let promotion = Promotion::read(&config.engine.state_dir);
    let promoted = promotion.as_ref().map_or(Mode::Paper, |promotion| promotion.mode);
    let target = args.mode.unwrap_or(promoted);
    let mut lines = vec![binary(), of_settings(&loaded)];
    lines.extend(of_host(config, target));
    lines.push(state::pairs(config));
    match &promotion {
        Err(error) => {
            let path = config.engine.state_dir.join("promoted.json");
            let fix = format!("rm {}, and `orion run` starts on paper", path.display());
            lines.push(Line::bad("promotion", From(Mode::Paper), Unsound, format!("{error:#}"), fix));
        }
        Ok(promotion) => {
            if let Ok(Some((missing, next))) = promote::missing(config, promotion) {
                lines.push(state::promotion(missing, next));
                if next == Mode::Alert {
                    let text = "live comes after alert";
                    lines.push(Line::bad("promotion", From(Mode::Live), Why::Gate, text, "orion promote"));
                }
            }
        }
    }
    of_accounts(config, args, &mut lines)?;
    show(args, target, &lines)
}

/// The host and what lies on it.
fn of_host(config: &Config, target: Mode) -> Vec<Line> {
    let states = &config.engine.state_dir;
    let mut lines = machine::state_folder(states);
    lines.extend(machine::disk(states));
    lines.extend(machine::cores(config));
    lines.extend(machine::limits());
    let (running, told) = state::instances(states, target);
    lines.extend(told);
    lines.push(machine::port(config, running.first().copied(), target));
    for mode in Mode::TRADING {
        let found = state::folder(states, mode);
        // Of other modes only what is not in order.
        lines.extend(
            found.into_iter().filter(|line| mode == target || (!line.is_good() && states.join(mode.name()).exists())),
        );
    }
    lines
}

/// Keys and venues. The venues are asked about accounts only where every host answers.
fn of_accounts(config: &Config, args: &DoctorArgs, lines: &mut Vec<Line>) -> Done {
    let (may_open, told) = keys::vault(config);
    lines.extend(told);
    let asks = !args.json && std::io::stderr().is_terminal() && std::io::stdin().is_terminal();
    let opens = may_open && !args.keys.no_keys && (asks || passphrase::is_given(args.keys.passphrase));
    let endpoints = Endpoints::production();
    let reached = if args.offline {
        lines.push(Line::note("network", "not asked (--offline)"));
        false
    } else {
        let asked = net::ask(&endpoints)?;
        lines.extend(asked.lines);
        asked.reached
    };
    if !opens {
        if may_open {
            let fix = "orion doctor --passphrase-fd 3 3<FILE, or on a terminal";
            lines.push(Line::note("keys", "sealed; what they may do was not asked").with(fix));
        }
        return Ok(());
    }
    let (signing, told) = keys::open(config, args.keys)?;
    lines.extend(told);
    match signing.filter(|signing| signing.customer.is_some()) {
        Some(signing) if reached => lines.extend(keys::permitted(config, &signing)),
        Some(_) => lines.push(Line::note("permission", "what the keys may do was not asked: not every host was")),
        // What is missing was told.
        None => {}
    }
    Ok(())
}

fn binary() -> Line {
    let version = env!("CARGO_PKG_VERSION");
    if cfg!(debug_assertions) {
        let text = format!("{version}, a build for development: several times slower than a release");
        return Line::caution("binary", text, "cargo build --release --locked");
    }
    Line::good("binary", format!("{version}, a release build"))
}

fn of_settings(loaded: &Loaded) -> Line {
    let set = loaded.origins.values().filter(|setting| setting.origin != Origin::Default).count();
    let files: std::collections::BTreeSet<String> = loaded
        .origins
        .values()
        .filter_map(|setting| match &setting.origin {
            Origin::File { path, .. } | Origin::Overlay { path, .. } => Some(path.display().to_string()),
            _ => None,
        })
        .collect();
    let files: Vec<String> = files.into_iter().collect();
    let from = if files.is_empty() { "no file: every key has its default".into() } else { files.join(", ") };
    Line::good("config", format!("{from}; sound, {set} keys are set"))
}

/// Nothing else can be looked at without settings.
fn unsound(args: &DoctorArgs, fault: &Fault) -> Done {
    let target = args.mode.unwrap_or_default();
    if args.json {
        let line = Line::bad("config", From(Mode::Demo), Unsound, fault.text(), "orion config check");
        return show(args, target, &[binary(), line]);
    }
    say!("✘ config       the settings are not sound, and everything else depends on them:");
    Err(Fault::Config(fault.text()))
}

/// Lines, verdict, exit code.
fn show(args: &DoctorArgs, target: Mode, lines: &[Line]) -> Done {
    let ready: Vec<&str> = [Mode::Demo, Mode::Paper, Mode::Alert, Mode::Live]
        .into_iter()
        .filter(|mode| lines.iter().all(|line| line.stops(*mode).is_none()))
        .map(Mode::name)
        .collect();
    let against: Vec<Why> = lines.iter().filter_map(|line| line.stops(target)).collect();
    let worst = [Why::Config, Why::Failed, Why::Gate].into_iter().find(|why| against.contains(why));
    if args.json {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| {
                serde_json::json!({ "check": line.topic, "state": line.mark(target).1, "text": line.text, "fix": line.fix })
            })
            .collect();
        let report = serde_json::json!({ "mode": target.name(), "ready": ready, "checks": lines });
        say!("{}", shown::json(&report));
    } else {
        for line in lines {
            let (mark, _) = line.mark(target);
            say!("{mark} {:<12} {}", line.topic, Shown(&line.text));
            if let Some(fix) = &line.fix {
                say!("{:15}fix: {}", "", Shown(fix));
            }
        }
        say!("Ready for: {}.", if ready.is_empty() { "nothing".into() } else { ready.join(", ") });
    }
    let name = target.name();
    let text = format!("not ready for {name}: {} of {} checks stand against it", against.len(), lines.len());
    match worst {
        None => Ok(()),
        Some(Why::Config) => Err(Fault::Config(format!("orion: {text}"))),
        Some(Why::Failed) => Err(Fault::Failed(anyhow::anyhow!(text))),
        Some(Why::Gate) => Err(Fault::Gate(text)),
    }
}

fn list_hosts(json: bool) -> Done {
    let names = hosts::names();
    if json {
        let all: Vec<_> = names.iter().map(|(host, what)| serde_json::json!({ "host": host, "for": what })).collect();
        say!("{}", serde_json::Value::from(all));
        return Ok(());
    }
    for (host, what) in names {
        say!("{host:<36} {}", what.join("; "));
    }
    Ok(())
}
