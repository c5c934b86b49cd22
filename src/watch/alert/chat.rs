//! What people write in the chat, as what is to be done: a protocol without I/O and without a clock.
//!
//! Nobody may do anything unless both their own number and the chat's are on the lists. What slows Orion down is done at
//! once; what speeds it up, or sells, is asked back for, with a number that holds for half a minute and for this person in
//! this chat alone. There is no way to arm, to loosen a limit, to approve a pair or to touch a secret from here: [`Act`]
//! has no such variant.

use std::{collections::VecDeque, time::Duration};

use super::telegram::{Came, Said, Update};
use crate::unit::{AlertKind, Nanos, UnixMs};

/// Older commands are not obeyed: the world has changed since.
const AGE_MAX_MS: u64 = 60_000;
/// A question back is open so long.
const CONFIRM: Nanos = Nanos::secs(30);
/// Questions back that may be open.
const CONFIRMS_MAX: usize = 8;
/// Strangers get one line in the log, then one an hour.
const STRANGERS_EVERY: Nanos = Nanos::secs(3_600);
/// The longest that a kind may be muted.
const MUTE_MAX: Duration = Duration::from_hours(24);

/// What a chat may do to the engine, and nothing else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    Pause,
    Resume,
    Kill,
    Flatten,
}

/// What a chat may ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Question {
    Status,
    Positions,
    Opportunities(u32),
    Why(u64),
    Profit(u32),
    Daily(u32),
    Balance,
    Pairs,
    Latency,
    Health,
    Config,
    Logs(u32),
    Help,
    Version,
    Whoami,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Do {
    Ask {
        who: Who,
        question: Question,
    },
    Act {
        who: Who,
        act: Act,
    },
    /// Ask whether it is really meant; the answer carries this number.
    Confirm {
        who: Who,
        act: Act,
        nonce: String,
    },
    /// Without a number: list what is open.
    Ack {
        who: Who,
        alert: Option<u64>,
    },
    AckAll {
        who: Who,
    },
    Mute {
        who: Who,
        kind: AlertKind,
        span: Duration,
    },
    Say {
        who: Who,
        text: String,
    },
    /// A button has to be told that it was heard.
    Heard {
        query: String,
        text: String,
    },
    Log(String),
}

/// Who wrote, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Who {
    pub user: i64,
    pub chat: i64,
}

impl Who {
    /// The name in the audit trail.
    pub fn name(self) -> String {
        format!("telegram user {}", self.user)
    }
}

/// Every command with what it does, for the menu and `/help`.
pub const COMMANDS: [(&str, &str); 20] = [
    ("status", "one card: state, feeds, money"),
    ("positions", "what is held"),
    ("opps", "[n] the latest opportunities"),
    ("why", "<id> why one was, or was not, taken"),
    ("profit", "[days] result, fees, win rate"),
    ("daily", "[n] result day by day"),
    ("balance", "cash at both venues"),
    ("pairs", "approved pairs"),
    ("latency", "by stage"),
    ("health", "feeds, books, database"),
    ("config", "settings that differ from the defaults"),
    ("logs", "[n] what was written down last"),
    ("pause", "no new plans, at once"),
    ("resume", "lift a pause or a halt; asks back"),
    ("kill", "halt and cancel, at once; then offers to sell everything"),
    ("ack", "[id|all] acknowledge risk alerts; without a number: list them"),
    ("mute", "<kind> <time> for example: mute execution 2h"),
    ("help", "this list"),
    ("version", "of the engine"),
    ("whoami", "your number and this chat's"),
];

#[derive(Debug)]
struct Confirm {
    nonce: String,
    who: Who,
    act: Act,
    until: Nanos,
}

/// The commands of all chats.
pub struct Chat {
    users: Vec<i64>,
    chats: Vec<i64>,
    /// The newest update that was looked at.
    seen: i64,
    confirms: VecDeque<Confirm>,
    nonces: Box<dyn FnMut() -> String + Send>,
    strangers: (u64, Option<Nanos>),
    told_old: Option<Nanos>,
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chat").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Chat {
    /// Commands from these people in these chats. `nonces` gives texts that nobody can guess.
    pub fn new(users: Vec<i64>, chats: Vec<i64>, nonces: Box<dyn FnMut() -> String + Send>) -> Self {
        let (strangers, confirms) = ((0, None), VecDeque::new());
        Self { users, chats, seen: -1, confirms, nonces, strangers, told_old: None }
    }

    /// The number from which on updates are asked for.
    pub const fn next(&self) -> i64 {
        self.seen + 1
    }

    /// One update, looked at once: a second time it does nothing.
    pub fn handle_update(&mut self, update: &Update, now: Nanos, unix: UnixMs) -> Vec<Do> {
        if update.id <= self.seen {
            return Vec::new();
        }
        self.seen = update.id;
        let Some(came) = &update.came else { return Vec::new() };
        if !(self.users.contains(&came.user) && self.chats.contains(&came.chat)) {
            return self.stranger(came, now);
        }
        let who = Who { user: came.user, chat: came.chat };
        match &came.what {
            Said::Text { text, at } => self.text(who, text, at.saturating_mul(1_000), now, unix),
            Said::Pressed { query, data } => {
                let (mut todo, text) = self.pressed(who, data, now);
                todo.push(Do::Heard { query: query.clone(), text: text.into() });
                todo
            }
        }
    }

    /// Says nothing to strangers: whoever answers them tells them that somebody is there.
    fn stranger(&mut self, came: &Came, now: Nanos) -> Vec<Do> {
        self.strangers.0 += 1;
        if self.strangers.1.is_some_and(|last| now.since(last) < STRANGERS_EVERY) {
            return Vec::new();
        }
        let (count, _) = std::mem::replace(&mut self.strangers, (0, Some(now)));
        vec![Do::Log(format!(
            "{count} message(s) to the bot were ignored, the last from user {} in chat {}: telegram.user_ids and \
             telegram.chat_ids must name both",
            came.user, came.chat
        ))]
    }

    fn text(&mut self, who: Who, text: &str, at_ms: u64, now: Nanos, unix: UnixMs) -> Vec<Do> {
        let mut words = text.split_whitespace();
        let Some(command) = words.next().and_then(|word| word.strip_prefix('/')) else { return Vec::new() };
        let age = unix.since(UnixMs::new(at_ms));
        if AGE_MAX_MS < age {
            if self.told_old.is_some_and(|last| now.since(last) < Nanos::secs(60)) {
                return Vec::new();
            }
            self.told_old = Some(now);
            let text = format!("A command of {} s ago was not obeyed: too old. Send it again.", age / 1_000);
            return vec![Do::Say { who, text }];
        }
        let name = command.split('@').next().unwrap_or_default().to_ascii_lowercase();
        let first = words.next();
        let second = words.next();
        let number =
            |default: u32, most: u32| first.and_then(|word| word.parse().ok()).unwrap_or(default).clamp(1, most);
        let ask = |question| vec![Do::Ask { who, question }];
        let id = || first.and_then(|word| word.trim_start_matches('#').parse::<u64>().ok());
        match name.as_str() {
            "status" => ask(Question::Status),
            "positions" => ask(Question::Positions),
            "opps" => ask(Question::Opportunities(number(5, 20))),
            "why" => match id() {
                Some(id) => ask(Question::Why(id)),
                None => vec![Do::Say { who, text: "Which one? /why 7; /opps lists the latest.".into() }],
            },
            "profit" => ask(Question::Profit(number(1, 366))),
            "daily" => ask(Question::Daily(number(7, 31))),
            "balance" => ask(Question::Balance),
            "pairs" => ask(Question::Pairs),
            "latency" => ask(Question::Latency),
            "health" => ask(Question::Health),
            "config" => ask(Question::Config),
            "logs" => ask(Question::Logs(number(10, 50))),
            "help" | "start" => ask(Question::Help),
            "version" => ask(Question::Version),
            "whoami" => ask(Question::Whoami),
            "pause" => vec![Do::Act { who, act: Act::Pause }],
            "kill" => vec![Do::Act { who, act: Act::Kill }],
            "resume" => vec![self.confirm(who, Act::Resume, now)],
            "ack" if first == Some("all") => vec![Do::AckAll { who }],
            "ack" => vec![Do::Ack { who, alert: id() }],
            "mute" => vec![mute(who, first, second)],
            _ => vec![Do::Say { who, text: "There is no such command. /help lists them all.".into() }],
        }
    }

    /// What a button does, and what it is told.
    fn pressed(&mut self, who: Who, data: &str, now: Nanos) -> (Vec<Do>, &'static str) {
        let (name, rest) = data.split_once(':').unwrap_or((data, ""));
        let ask = |question| (vec![Do::Ask { who, question }], "");
        match (name, rest.parse::<u64>().ok()) {
            ("status", _) => ask(Question::Status),
            ("positions", _) => ask(Question::Positions),
            ("why", Some(id)) => ask(Question::Why(id)),
            ("pause", _) => (vec![Do::Act { who, act: Act::Pause }], "pausing"),
            ("ack", Some(id)) => (vec![Do::Ack { who, alert: Some(id) }], ""),
            // It only asks back, so an old button does no harm.
            ("flatten", _) => (vec![self.confirm(who, Act::Flatten, now)], ""),
            ("yes" | "no", _) => {
                self.confirms.retain(|confirm| now < confirm.until);
                let asked = |confirm: &Confirm| confirm.nonce == rest && confirm.who == who;
                match self.confirms.iter().position(asked).and_then(|at| self.confirms.remove(at)) {
                    Some(confirm) if name == "yes" => (vec![Do::Act { who, act: confirm.act }], ""),
                    Some(_) => (Vec::new(), "nothing is done"),
                    None => (Vec::new(), "too late: ask again"),
                }
            }
            _ => (Vec::new(), ""),
        }
    }

    fn confirm(&mut self, who: Who, act: Act, now: Nanos) -> Do {
        let nonce = (self.nonces)();
        if self.confirms.len() == CONFIRMS_MAX {
            self.confirms.pop_front();
        }
        self.confirms.push_back(Confirm { nonce: nonce.clone(), who, act, until: now + CONFIRM });
        Do::Confirm { who, act, nonce }
    }
}

fn mute(who: Who, kind: Option<&str>, span: Option<&str>) -> Do {
    let parsed = span.and_then(|span| span.parse::<jiff::SignedDuration>().ok());
    let span = parsed.and_then(|span| Duration::try_from(span).ok()).filter(|span| !span.is_zero());
    match (kind.and_then(AlertKind::parse), span) {
        (Some(AlertKind::Risk), _) => {
            Do::Say { who, text: "Risk alerts cannot be muted. /ack acknowledges them.".into() }
        }
        (Some(kind), Some(span)) => Do::Mute { who, kind, span: span.min(MUTE_MAX) },
        _ => {
            let kinds: Vec<_> = AlertKind::ALL.iter().map(|kind| kind.name()).collect();
            Do::Say {
                who,
                text: format!("/mute <kind> <time>, for example: /mute execution 2h\nKinds: {}", kinds.join(", ")),
            }
        }
    }
}
