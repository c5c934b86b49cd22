//! Alerts to a Telegram chat and to other programs, and the commands that come back.
//!
//! | file | turns |
//! |---|---|
//! | `queue` | alerts, answers and time → what is sent to one place next, and what is written down of it; no I/O, no clock |
//! | `cargo` | what waits → what it says |
//! | `same` | the same trouble again → a number |
//! | `digest` | opportunities → one message that is edited |
//! | `chat` | what people write → what is to be done; no I/O, no clock |
//! | `card` | a question → its answer, from the status and the audit trail |
//! | `format` | an alert or an answer → a message that a client cannot be led astray by |
//! | `telegram`, `webhook`, `web` | messages → HTTPS, and back |
//! | `teller` | one thread that brings them together |
//!
//! The thread's death or sleep costs alerts, never a trade: the keeper hands over and goes on.

#![forbid(unsafe_code)]

mod card;
mod cargo;
pub mod chat;
mod digest;
pub mod format;
pub mod message;
pub mod queue;
mod same;
pub mod telegram;
mod teller;
mod web;
pub mod webhook;

use std::{path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};

use zeroize::Zeroizing;

use self::{
    chat::Act,
    format::Frame,
    message::{Body, Message, Outcome, Pace},
    telegram::Bot,
    teller::Teller,
    webhook::Webhook,
};
use crate::{
    ledger::audit::Alert,
    run::{notice::Post, snapshot::Snapshot},
    unit::{AlertKind, Loudness, UnixMs},
};

pub use card::next_daily;

/// A chat takes about one message a second.
const CHAT_REST: Duration = Duration::from_millis(1_100);

/// What chat asks of the process. Arming, limits, pairs and secrets have no place in it.
pub trait Desk: Send + Sync {
    /// Does it, and has it written down as done by `who`; a sentence on what came of it.
    fn execute(&self, act: Act, who: &str) -> Result<String, String>;
    /// Has something written down that changes nothing in the engine.
    fn note(&self, who: &str, command: &'static str, args: String, result: String);
    fn status(&self) -> Snapshot;
    fn latencies(&self) -> String;
}

/// Where alerts go and who may command.
#[derive(Clone)]
pub struct Settings {
    /// [`telegram::BASE`], outside of tests.
    pub base: String,
    pub token: Option<Zeroizing<String>>,
    pub chats: Vec<i64>,
    pub users: Vec<i64>,
    pub zone: jiff::tz::TimeZone,
    pub daily_at: jiff::civil::Time,
    pub loudness: [Loudness; 12],
    /// An address, and the secret that signs.
    pub webhook: Option<(String, Option<Zeroizing<String>>)>,
    pub pace: Pace,
    /// `paper`, `live`.
    pub mode: String,
    pub database: PathBuf,
    /// Settings that differ from their defaults, without what is nobody's business.
    pub shown: Vec<(String, String)>,
    pub pairs: Vec<String>,
}

impl Settings {
    /// The places that alerts go to, as the database names them.
    pub fn places(&self) -> Vec<String> {
        let chats = self.chats.iter().filter(|_| self.token.is_some()).map(i64::to_string);
        chats.chain(self.webhook.iter().map(|_| webhook::PLACE.to_owned())).collect()
    }
}

/// Starts the thread that tells people. It ends after the keeper's last word.
pub fn start(settings: Settings, post: Post, desk: Arc<dyn Desk>) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let teller = Teller::new(settings, post, desk)?;
    let thread = std::thread::Builder::new().name("alert".into()).spawn(move || runtime.block_on(teller.run()))?;
    Ok(thread)
}

/// One message of every kind to every place, as `orion alerts test` sends them: the place, the kind, and why it failed.
pub async fn rehearse(settings: &Settings, unix: UnixMs) -> Vec<(String, AlertKind, Option<String>)> {
    let frame = Frame { mode: settings.mode.to_uppercase(), zone: settings.zone.clone() };
    let mut ways = Vec::new();
    let mut results = Vec::new();
    match settings.token.as_ref().map(|token| Bot::new(&settings.base, token)) {
        Some(Ok(bot)) => ways.extend(settings.chats.iter().map(|chat| Way::Chat(bot.clone(), *chat))),
        Some(Err(error)) => results.push(("telegram".to_owned(), AlertKind::Risk, Some(error.to_string()))),
        None => {}
    }
    match settings.webhook.as_ref().map(|(address, secret)| Webhook::new(address, secret.as_ref().map(|s| s.as_str())))
    {
        Some(Ok(webhook)) => ways.push(Way::Webhook(webhook)),
        Some(Err(what)) => results.push((webhook::PLACE.to_owned(), AlertKind::Risk, Some(what))),
        None => {}
    }
    for kind in AlertKind::ALL {
        for (way, place) in ways.iter().zip(settings.places()) {
            let alert = Alert {
                id: 0,
                at: unix,
                kind,
                key: String::new(),
                headline: format!("test of {}", kind.name()),
                text: "Nothing happened: this is what such an alert looks like.".into(),
                figures: String::new(),
                about: None,
            };
            let body = Body::Alert { alert: Box::new(alert), told: 1, times: 1, again: false };
            let silent = settings.loudness[kind as usize] == Loudness::Silent;
            let message = Message { body, silent, plain: false, edit: None };
            let error = loop {
                match deliver(way, &frame, &message).await {
                    (Outcome::Sent(_), _) => break None,
                    // Twelve messages are more than a group takes at once.
                    (Outcome::Wait(span), _) if span <= Duration::from_mins(1) => tokio::time::sleep(span).await,
                    (_, error) => break Some(error.unwrap_or_else(|| "no reason was given".into())),
                }
            };
            results.push((place, kind, error));
            if matches!(way, Way::Chat(..)) {
                tokio::time::sleep(CHAT_REST).await;
            }
        }
    }
    results
}

/// How a place is reached.
#[derive(Clone)]
enum Way {
    Chat(Bot, i64),
    Webhook(Webhook),
}

async fn deliver(way: &Way, frame: &Frame, message: &Message) -> (Outcome, Option<String>) {
    let (bot, chat) = match way {
        Way::Webhook(webhook) => return webhook.post(frame, message).await,
        Way::Chat(bot, chat) => (bot, *chat),
    };
    let page = frame.page(message);
    let sent = match message.edit {
        Some(edited) => bot.edit(chat, edited, &page, message.plain).await,
        None => bot.send(chat, &page, message.silent, message.plain).await,
    };
    match sent {
        Ok(number) => (Outcome::Sent(Some(number)), None),
        Err(error) => (error.outcome(), Some(error.to_string())),
    }
}
