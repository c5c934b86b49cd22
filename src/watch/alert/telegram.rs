//! Telegram's Bot API, as far as alerts and commands need it: five calls over HTTPS.
//!
//! Written here rather than taken from a library of typed messages for one reason: what strangers write comes in the same
//! list as what the operator writes. Each entry is read by itself, so one that cannot be read harms no other; a list that
//! is typed as a whole is lost as a whole, and every later one with it. The token stands in every address, so addresses
//! never leave this file: not in an error, a log line or a `Debug`.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    format::{Page, clean},
    message::Outcome,
};

/// Where bots are served. A constant of the build: nobody who edits a setting gets the token sent elsewhere.
pub const BASE: &str = "https://api.telegram.org";
/// No answer is larger: a list of a hundred updates.
const BODY_MAX: usize = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the venue may hold a question for updates open.
pub const POLL: Duration = Duration::from_secs(25);
/// A pause that is asked for without a number.
const PAUSE: u64 = 5;

/// Why a call brought nothing. No text repeats the address, the token, or more than a line of what was answered.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BotError {
    #[error("not sent: {0}")]
    Unsent(String),
    #[error("may have been sent: {0}")]
    Unsure(String),
    #[error("too many messages: wait {0} s")]
    Wait(u64),
    #[error("another process polls this token, or a webhook is set for it: {0}")]
    Conflict(String),
    #[error("the token is not one")]
    Token,
    #[error("this chat takes nothing from the bot: {0}")]
    Shut(String),
    #[error("refused ({code}): {what}")]
    Refused { code: u16, what: String },
    #[error("no client: {0}")]
    Client(String),
}

impl BotError {
    /// What it means for a message.
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Unsent(_) | Self::Conflict(_) => Outcome::Unsent,
            Self::Unsure(_) => Outcome::Unsure,
            Self::Wait(secs) => Outcome::Wait(Duration::from_secs(*secs)),
            Self::Token | Self::Shut(_) | Self::Client(_) => Outcome::Shut,
            Self::Refused { .. } => Outcome::Refused,
        }
    }
}

/// What somebody wrote, or which button was pressed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Update {
    pub id: i64,
    /// `None`: of a kind that is not asked for, or not to be read.
    pub came: Option<Came>,
}

/// Something from a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Came {
    pub user: i64,
    pub chat: i64,
    /// A name to show to whoever sets this up; never trusted.
    pub name: String,
    pub what: Said,
}

/// What it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    /// A message, and when it was written, in Unix seconds.
    Text { text: String, at: u64 },
    /// A button: its query's id, and what it sends.
    Pressed { query: String, data: String },
}

/// The bot. It has no `Debug`, because its address holds the token.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the token is never printed")]
pub struct Bot {
    client: Client,
    address: Arc<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct Told {
    ok: bool,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error_code: u16,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
}

impl Bot {
    /// A bot behind `base`, which is [`BASE`] outside of tests.
    pub fn new(base: &str, token: &str) -> Result<Self, BotError> {
        let client = super::web::client(PATIENCE).map_err(BotError::Client)?;
        let address = Zeroizing::new(format!("{}/bot{token}/", base.trim_end_matches('/')));
        Ok(Self { client, address: Arc::new(address) })
    }

    /// Sends one page into a chat; the message's number.
    pub async fn send(&self, chat: i64, page: &Page, silent: bool, plain: bool) -> Result<i64, BotError> {
        let mut body = json!({
            "chat_id": chat, "text": page.text, "disable_notification": silent,
            "link_preview_options": { "is_disabled": true },
        });
        decorate(&mut body, page, plain);
        let sent = self.call("sendMessage", &body, PATIENCE).await?;
        Ok(sent["message_id"].as_i64().unwrap_or(0))
    }

    /// Puts a page into the place of a message.
    pub async fn edit(&self, chat: i64, message: i64, page: &Page, plain: bool) -> Result<i64, BotError> {
        let mut body = json!({
            "chat_id": chat, "message_id": message, "text": page.text,
            "link_preview_options": { "is_disabled": true },
        });
        decorate(&mut body, page, plain);
        match self.call("editMessageText", &body, PATIENCE).await {
            // It says so already.
            Err(BotError::Refused { what, .. }) if what.contains("not modified") => Ok(message),
            other => other.map(|_| message),
        }
    }

    /// What came since `after`. Waits up to [`POLL`] for something to come.
    pub async fn updates(&self, after: i64, wait: Duration) -> Result<Vec<Update>, BotError> {
        let body = json!({
            "offset": after, "timeout": wait.as_secs(), "limit": 100,
            "allowed_updates": ["message", "callback_query"],
        });
        let list = self.call("getUpdates", &body, wait + PATIENCE).await?;
        Ok(list.as_array().map(|list| list.iter().filter_map(update).collect()).unwrap_or_default())
    }

    /// Tells a button that it was heard.
    pub async fn heard(&self, query: &str, text: &str) -> Result<(), BotError> {
        let body = json!({ "callback_query_id": query, "text": clean(text, 180) });
        self.call("answerCallbackQuery", &body, PATIENCE).await.map(drop)
    }

    /// The menu of commands.
    pub async fn menu(&self, commands: &[(&str, &str)]) -> Result<(), BotError> {
        let list: Vec<_> =
            commands.iter().map(|(command, what)| json!({ "command": command, "description": what })).collect();
        self.call("setMyCommands", &json!({ "commands": list }), PATIENCE).await.map(drop)
    }

    async fn call(&self, method: &str, body: &Value, patience: Duration) -> Result<Value, BotError> {
        let address = Zeroizing::new(format!("{}{method}", self.address.as_str()));
        let request = self
            .client
            .post(address.as_str())
            .timeout(patience)
            .header("Content-Type", "application/json")
            .body(body.to_string());
        let answer = request.send().await.map_err(|error| self.lost(error))?;
        let status = answer.status();
        let body = super::web::body(answer, BODY_MAX).await.map_err(|what| BotError::Unsure(self.told(&what)))?;
        self.read(status, &body)
    }

    fn read(&self, status: StatusCode, body: &[u8]) -> Result<Value, BotError> {
        let Ok(told) = serde_json::from_slice::<Told>(body) else {
            return Err(BotError::Unsure(format!("HTTP {} without an answer that can be read", status.as_u16())));
        };
        if told.ok {
            return Ok(told.result);
        }
        let code = if told.error_code == 0 { status.as_u16() } else { told.error_code };
        let what = self.told(&told.description);
        Err(match code {
            429 => BotError::Wait(told.parameters.retry_after.unwrap_or(PAUSE).max(1)),
            409 => BotError::Conflict(what),
            401 | 404 => BotError::Token,
            403 => BotError::Shut(what),
            400 if what.contains("chat not found") || what.contains("upgraded to a supergroup") => BotError::Shut(what),
            500.. => BotError::Unsure(what),
            _ => BotError::Refused { code, what },
        })
    }

    fn lost(&self, error: reqwest::Error) -> BotError {
        let unsent = error.is_connect() || error.is_builder();
        let what = self.told(&super::web::causes(error));
        if unsent { BotError::Unsent(what) } else { BotError::Unsure(what) }
    }

    /// What somebody else wrote, on one line and without the token, should it stand there.
    fn told(&self, text: &str) -> String {
        let token = self.address.rsplit("/bot").next().unwrap_or_default().trim_end_matches('/');
        clean(&text.replace(token, "…"), 200)
    }
}

fn decorate(body: &mut Value, page: &Page, plain: bool) {
    if !plain {
        body["parse_mode"] = "HTML".into();
    }
    if !page.buttons.is_empty() {
        let button = |(label, data): &(String, String)| json!({ "text": label, "callback_data": data });
        let rows: Vec<Vec<Value>> = page.buttons.iter().map(|row| row.iter().map(button).collect()).collect();
        body["reply_markup"] = json!({ "inline_keyboard": rows });
    }
}

/// One entry of the list. Without a number it cannot be told from others, and is left out.
fn update(entry: &Value) -> Option<Update> {
    let id = entry["update_id"].as_i64()?;
    Some(Update { id, came: came(entry) })
}

fn came(entry: &Value) -> Option<Came> {
    let message = &entry["message"];
    let query = &entry["callback_query"];
    let name = |user: &Value| user["username"].as_str().or(user["first_name"].as_str()).unwrap_or_default().to_owned();
    if message.is_object() {
        let (user, chat) = (message["from"]["id"].as_i64()?, message["chat"]["id"].as_i64()?);
        let what = Said::Text { text: message["text"].as_str()?.to_owned(), at: message["date"].as_u64()? };
        return Some(Came { user, chat, name: name(&message["from"]), what });
    }
    let (user, chat) = (query["from"]["id"].as_i64()?, query["message"]["chat"]["id"].as_i64()?);
    let what = Said::Pressed { query: query["id"].as_str()?.to_owned(), data: query["data"].as_str()?.to_owned() };
    Some(Came { user, chat, name: name(&query["from"]), what })
}
