//! `orion alerts`: tries every alert, and finds the numbers that the settings need. Also what a running engine gives to
//! the thread that tells people.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{
    Done, Fault, Global,
    passphrase::{self, PassphraseArgs, Voice},
    settings as load,
    shown::Shown,
};
use crate::{
    config::{Loaded, Origin},
    pairing::PairBook,
    run::{
        clock,
        latency::Latencies,
        mode::{Mode, Promotion},
        snapshot::Snapshot,
    },
    watch::{
        alert::{
            self, Desk, Settings,
            chat::Act,
            message::Pace,
            telegram::{self, Bot, Said},
        },
        command::{Answer, Request},
        handles::Handles,
    },
};

/// Somebody has so long to write to the bot.
const WHOAMI: Duration = Duration::from_secs(25);

#[derive(Args, Debug)]
pub struct AlertsArgs {
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// Send one message of each kind to every place, without an engine.
    Test {
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Wait up to 25 seconds for somebody to write to the bot, and print their number and the chat's.
    Whoami {
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

pub fn run(global: &Global, args: &AlertsArgs) -> Done {
    let loaded = load(global, Vec::new())?;
    match &args.command {
        AlertsCommand::Test { passphrase } => test(&loaded, *passphrase),
        AlertsCommand::Whoami { passphrase } => whoami(&loaded, *passphrase),
    }
}

fn test(loaded: &Loaded, passphrase: PassphraseArgs) -> Done {
    let config = &loaded.config;
    if config.telegram.chats.is_empty() && config.alerts.webhook.is_none() {
        return Err(Fault::Config(
            "orion: nobody is told: set telegram.chat_ids (orion alerts whoami finds them), or alerts.webhook_url"
                .into(),
        ));
    }
    let voice = passphrase::voice(config, passphrase)?;
    if !config.telegram.chats.is_empty() && voice.token.is_none() {
        return Err(missing_token());
    }
    if config.telegram.users.is_empty() && !config.telegram.chats.is_empty() {
        eprintln!("note: telegram.user_ids is empty: alerts are sent, and nobody can command");
    }
    let mode = Promotion::read(&config.engine.state_dir)?.mode;
    let pairs = PairBook::default();
    let settings = settings(loaded, mode, &pairs, voice);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(alert::rehearse(&settings, clock::unix()));
    let mut failed = 0;
    for (place, kind, error) in &results {
        match error {
            None => say!("✔ {place:<16} {}", kind.name()),
            Some(error) => {
                failed += 1;
                say!("✘ {place:<16} {:<12} {}", kind.name(), Shown(error));
            }
        }
    }
    if failed == 0 {
        return Ok(());
    }
    Err(Fault::Failed(anyhow::anyhow!("{failed} of {} messages were not delivered", results.len())))
}

fn whoami(loaded: &Loaded, passphrase: PassphraseArgs) -> Done {
    let voice = passphrase::voice(&loaded.config, passphrase)?;
    let token = voice.token.ok_or_else(missing_token)?;
    let bot = Bot::new(telegram::BASE, &token).map_err(anyhow::Error::from)?;
    eprintln!("write anything to the bot now, in the chat that alerts should go to …");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // From the oldest on, and without taking them: a running engine still sees them.
    let updates = runtime.block_on(bot.updates(0, WHOAMI)).map_err(|error| match error {
        telegram::BotError::Conflict(_) => Fault::Again(format!("{error}: stop it, or ask it with /whoami")),
        error => Fault::Failed(error.into()),
    })?;
    let mut found = Vec::new();
    for came in updates.into_iter().filter_map(|update| update.came) {
        let text = matches!(came.what, Said::Text { .. });
        let line = (came.user, came.chat, came.name);
        if text && !found.contains(&line) {
            found.push(line);
        }
    }
    for (user, chat, name) in &found {
        say!("user {user}  chat {chat}  {}", Shown(name));
    }
    if found.is_empty() {
        return Err(Fault::Again(
            "nobody wrote; in a group, write /whoami: bots do not see other messages there".into(),
        ));
    }
    say!("next: put your numbers, and nobody else's, into [telegram] user_ids and chat_ids; then: orion alerts test");
    Ok(())
}

fn missing_token() -> Fault {
    Fault::Config(
        "orion: the vault holds no telegram.token: ask @BotFather for one, then: orion secrets set telegram.token"
            .into(),
    )
}

/// Who is told what, from the settings and the vault.
pub fn settings(loaded: &Loaded, mode: Mode, pairs: &PairBook, voice: Voice) -> Settings {
    let (telegram, alerts) = (&loaded.config.telegram, &loaded.config.alerts);
    if !telegram.chats.is_empty() && voice.token.is_none() {
        eprintln!("note: telegram.chat_ids is set, and no telegram.token was opened: nobody is told anything there");
    }
    let private = ["telegram.", "alerts.", "vault.", "engine.state_dir", "pairs.file"];
    let shown = loaded
        .origins
        .iter()
        .filter(|(_, setting)| !matches!(setting.origin, Origin::Default))
        .filter(|(key, _)| !private.iter().any(|start| key.starts_with(start)))
        .map(|(key, setting)| (key.clone(), setting.text.clone()))
        .collect();
    Settings {
        base: telegram::BASE.into(),
        token: voice.token,
        chats: telegram.chats.clone(),
        users: telegram.users.clone(),
        zone: telegram.zone.clone(),
        daily_at: telegram.daily_at,
        loudness: telegram.loudness,
        webhook: alerts.webhook.clone().map(|address| (address, voice.webhook_secret)),
        pace: Pace::CHAT,
        mode: mode.name().into(),
        database: loaded.config.engine.state_dir.join(mode.name()).join("orion.db"),
        shown,
        pairs: pairs.pairs().iter().map(|pair| pair.title.clone()).collect(),
    }
}

/// The running engine, as far as a chat may reach into it.
pub struct Phone(pub Handles);

impl Desk for Phone {
    fn execute(&self, act: Act, who: &str) -> Result<String, String> {
        let request = match act {
            Act::Pause => Request::Pause,
            Act::Resume => Request::Resume,
            Act::Kill => Request::Kill,
            Act::Flatten => Request::Flatten,
        };
        match self.0.execute(request, who) {
            Answer::Done { state } => Ok(match act {
                Act::Pause => format!("{state}\nNo new plans; what is open is managed on. It outlives a restart."),
                _ => state,
            }),
            Answer::Stopped { report } => {
                let kept = if report.kept { "" } else { "\nIts file cannot be written: a restart would not know." };
                let what = if act == Act::Flatten { "halted, and everything held is being sold" } else { "halted" };
                Ok(format!("{what}\nIt latched in {} µs and holds until /resume.{kept}", report.latched_us))
            }
            Answer::Refused { why } => Err(why),
            Answer::Status { .. } | Answer::Latency { .. } | Answer::Secret { .. } => {
                Err("the engine answered another question".into())
            }
        }
    }

    fn note(&self, who: &str, command: &'static str, args: String, result: String) {
        self.0.note(who, command, args, result);
    }

    fn status(&self) -> Snapshot {
        self.0.status()
    }

    fn latencies(&self) -> String {
        self.0.with_latencies(Latencies::table).unwrap_or_default()
    }
}
