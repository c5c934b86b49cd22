//! `orion init`: a settings file from a few answers, each of which can be given by flag.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;

use super::Done;
use crate::config::{Config, Sources, sample};

#[derive(Args, Debug)]
pub struct InitArgs {
    /// Where the file goes; an existing one is not overwritten.
    #[arg(long, value_name = "PATH", default_value = "config/orion.toml")]
    out: PathBuf,
    /// `capital.initial_bankroll` in dollars.
    #[arg(long, value_name = "DOLLARS")]
    bankroll: Option<String>,
    /// Limits to begin with: `conservative` trades 2 % at 1.5 ¢ with five positions and a 3 % daily stop.
    #[arg(long, value_parser = ["default", "conservative"])]
    profile: Option<String>,
    /// Fill opportunities on paper from the start (`trading.auto_execute`).
    #[arg(long)]
    auto_execute: Option<bool>,
    /// `dashboard.port` on 127.0.0.1; 0 for no page.
    #[arg(long, value_name = "PORT")]
    dashboard_port: Option<u16>,
    /// Who may command by chat (`telegram.user_ids`): a numeric id, as `orion alerts whoami` prints it.
    #[arg(long, value_name = "ID")]
    telegram_user: Option<u64>,
    /// Where alerts go (`telegram.chat_ids`); a group's id is negative.
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    telegram_chat: Option<i64>,
    /// Never ask; what no flag says keeps its default.
    #[arg(long)]
    no_input: bool,
}

const CONSERVATIVE: [(&str, &str); 4] = [
    ("trading.threshold_spread", "0.015"),
    ("trading.max_trade_size_pct", "0.02"),
    ("risk.max_open_positions", "5"),
    ("risk.max_daily_loss_pct", "0.03"),
];

pub fn run(args: &InitArgs) -> Done {
    let asks = !args.no_input && std::io::stdin().is_terminal();
    let mut set: Vec<(&str, String)> = Vec::new();
    let bankroll = match &args.bankroll {
        None if asks => ask("Bankroll in dollars (paper balance; upper bound later)", "100000")?,
        given => given.clone().unwrap_or_default(),
    };
    let profile = match &args.profile {
        None if asks => choose("Limits to begin with", &["default", "conservative"])?,
        given => given.clone().unwrap_or_else(|| "default".into()),
    };
    let auto = match args.auto_execute {
        None if asks => choose("Fill opportunities on paper", &["yes", "no"])? == "yes",
        given => given.unwrap_or(false),
    };
    let port = match args.dashboard_port {
        None if asks => ask("Port of the page in a browser, on this host alone (0: no page)", "8501")?,
        given => given.map_or_else(String::new, |port| port.to_string()),
    };
    let (mut user, mut chat) =
        (args.telegram_user.map(|id| id.to_string()), args.telegram_chat.map(|id| id.to_string()));
    let asks_telegram = asks && user.is_none() && chat.is_none();
    if asks_telegram && choose("Alerts on Telegram", &["later", "now"])? == "now" {
        say!("make a bot with BotFather, then in another terminal: orion secrets set telegram.token");
        say!("write to the bot, and find both numbers with: orion alerts whoami");
        user = Some(ask("Your numeric user id", "")?).filter(|id| !id.is_empty());
        chat = Some(ask("The chat's numeric id", "")?).filter(|id| !id.is_empty());
    }
    if !bankroll.is_empty() && bankroll != "100000" {
        set.push(("capital.initial_bankroll", bankroll));
    }
    if profile == "conservative" {
        set.extend(CONSERVATIVE.map(|(key, value)| (key, value.to_owned())));
    }
    if auto {
        set.push(("trading.auto_execute", "true".into()));
    }
    if !port.is_empty() && port != "8501" {
        set.push(("dashboard.port", port));
    }
    set.extend(user.map(|id| ("telegram.user_ids", format!("[{id}]"))));
    set.extend(chat.map(|id| ("telegram.chat_ids", format!("[{id}]"))));
    write(args, &set)
}

fn write(args: &InitArgs, set: &[(&str, String)]) -> Done {
    let mut text = sample();
    for (key, value) in set {
        text = with(&text, key, value)
            .ok_or_else(|| anyhow::anyhow!("the sample has no key {key}: this is a defect of Orion"))?;
    }
    if let Some(folder) = args.out.parent() {
        std::fs::create_dir_all(folder).map_err(|e| anyhow::anyhow!("{} cannot be made: {e}", folder.display()))?;
    }
    // Checked under its final rules before anything is kept.
    let draft = args.out.with_extension("toml.draft");
    std::fs::write(&draft, &text).map_err(|e| anyhow::anyhow!("{} cannot be written: {e}", draft.display()))?;
    let sound = Config::load(&Sources { file: Some(draft.clone()), env: super::environment(), ..Sources::default() });
    let _ = std::fs::remove_file(&draft);
    let sound = sound?;
    // The untouched sample, as a fresh clone has it, holds nobody's settings.
    if std::fs::read_to_string(&args.out).is_ok_and(|old| old == sample()) {
        std::fs::remove_file(&args.out).map_err(|e| anyhow::anyhow!("{}: {e}", args.out.display()))?;
    }
    let mut file = std::fs::File::create_new(&args.out).map_err(|e| {
        anyhow::anyhow!("{}: {e}; move the old file away, or name another with --out", args.out.display())
    })?;
    file.write_all(text.as_bytes()).map_err(anyhow::Error::from)?;
    say!("wrote {}", args.out.display());
    pairs(&sound.config.pairs.file)?;
    for (key, value) in set {
        say!("  {key} = {value}");
    }
    if set.is_empty() {
        say!("  every key has its default");
    }
    say!("next: orion config check --config {}", args.out.display());
    say!("a Kalshi key, if you have one, opens its stream: orion secrets import KEY.pem --kalshi-key-id ID");
    Ok(())
}

/// The pair book, where there is none yet: no pair, and how one is written.
fn pairs(file: &Path) -> Done {
    if file.exists() {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|e| anyhow::anyhow!("{} cannot be made: {e}", folder.display()))?;
    }
    std::fs::write(file, include_str!("../../config/pairs.toml"))
        .map_err(|e| anyhow::anyhow!("{} cannot be written: {e}", file.display()))?;
    say!("wrote {}: no pair yet, and how one is written", file.display());
    Ok(())
}

/// The sample with one key set, its comments kept.
fn with(sample: &str, key: &str, value: &str) -> Option<String> {
    let (section, name) = key.split_once('.')?;
    let mut here = false;
    let mut done = false;
    let lines = sample.lines().map(|line| {
        if line.starts_with('[') {
            here = line.trim() == format!("[{section}]");
        }
        let bare = line.trim_start_matches('#').trim_start();
        if here && !done && bare.split_once('=').is_some_and(|(left, _)| left.trim() == name) {
            done = true;
            return format!("{name} = {value}");
        }
        line.to_owned()
    });
    let text: String = lines.flat_map(|line| [line, "\n".into()]).collect();
    done.then_some(text)
}

fn ask(question: &str, default: &str) -> Result<String, super::Fault> {
    inquire::Text::new(question).with_default(default).prompt().map_err(|e| super::Fault::Failed(e.into()))
}

fn choose(question: &str, options: &[&str]) -> Result<String, super::Fault> {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    inquire::Select::new(question, options).prompt().map_err(|e| super::Fault::Failed(e.into()))
}
