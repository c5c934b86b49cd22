//! The thread that tells people: queues, commands and the network brought together.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use crossbeam::channel::{TryRecvError, TrySendError};
use tokio::task::JoinSet;

use super::{
    Desk, Settings, Way,
    card::{self, Facts, next_daily},
    chat::{self, Act, Chat, Do, Question, Who},
    deliver,
    format::{self, Block, Frame},
    message::{Answer, Outcome, Output, Rules},
    queue::Queue,
    telegram::{self, Bot, BotError, Update},
    webhook::Webhook,
};
use crate::{
    ledger::audit::{Alert, AuditReader, Delivery, DeliveryState, Row},
    run::{
        clock,
        notice::{self, Note, Post, Word},
        snapshot::Snapshot,
    },
    unit::{AlertKind, Loudness, Money, Nanos, UnixMs},
};

/// Between two looks at what came over channels.
const TICK: Duration = Duration::from_millis(50);
/// At the end, what is still on its way gets so long.
const FAREWELL: Nanos = Nanos::secs(3);
/// Between two questions for updates that fail; doubled up to the last one.
const POLL_FIRST: Nanos = Nanos::secs(1);
const POLL_LAST: Nanos = Nanos::secs(60);
/// Where another process polls: now and then somebody stops it.
const CONFLICT: Nanos = Nanos::secs(300);

/// One place and how to reach it.
struct Place {
    queue: Queue,
    way: Way,
    /// Notes that were handed over, by their number, and how many records of the queue that is.
    marks: VecDeque<(u64, u64)>,
    handed: u64,
    failing: bool,
}

/// What a task came back with.
enum Came {
    Sent { place: usize, outcome: Outcome, error: Option<String> },
    Updates(Result<Vec<Update>, BotError>),
    Answers(i64, Answer),
    Daily(Option<Alert>),
    Nothing,
}

pub(super) struct Teller {
    settings: Settings,
    frame: Arc<Frame>,
    post: Post,
    desk: Arc<dyn Desk>,
    bot: Option<Bot>,
    chat: Chat,
    places: Vec<Place>,
    tasks: JoinSet<Came>,
    notes: VecDeque<Note>,
    number: u64,
    polling: bool,
    poll_at: Nanos,
    poll_pause: Nanos,
    conflict: bool,
    daily: Option<UnixMs>,
    ending: Option<Nanos>,
}

impl Teller {
    pub fn new(settings: Settings, mut post: Post, desk: Arc<dyn Desk>) -> anyhow::Result<Self> {
        let (now, unix) = (clock::now(), clock::unix());
        let bot = settings.token.as_ref().map(|token| Bot::new(&settings.base, token)).transpose()?;
        let mut ways: Vec<Way> =
            bot.iter().flat_map(|bot| settings.chats.iter().map(|chat| Way::Chat(bot.clone(), *chat))).collect();
        if let Some((address, secret)) = &settings.webhook {
            let webhook = Webhook::new(address, secret.as_ref().map(|secret| secret.as_str()));
            ways.push(Way::Webhook(webhook.map_err(|what| anyhow::anyhow!("no client for the webhook: {what}"))?));
        }
        let mut places: Vec<Place> = ways
            .into_iter()
            .zip(settings.places())
            .map(|(way, place)| {
                let people = matches!(way, Way::Chat(..));
                let rules = Rules { place, loudness: settings.loudness, pace: settings.pace, people, seed: unix.raw() };
                let queue = Queue::new(rules, post.counts.clone(), now, unix);
                Place { queue, way, marks: VecDeque::new(), handed: 0, failing: false }
            })
            .collect();
        let mut gone = Vec::new();
        for (alert, delivery) in post.left.drain(..) {
            match places.iter_mut().find(|place| place.queue.place() == delivery.place) {
                Some(place) => place.queue.handle_left(alert, &delivery),
                // Nobody listens there any more.
                None => gone.push(Row::Delivery(Delivery { state: DeliveryState::Dropped, ..delivery })),
            }
        }
        let frame = Frame { mode: settings.mode.to_uppercase(), zone: settings.zone.clone() };
        let wanted = settings.loudness[AlertKind::Daily as usize] != Loudness::Off;
        let last = post.last_daily.unwrap_or(unix);
        let daily = next_daily(last, settings.daily_at, &settings.zone).filter(|_| wanted);
        let mut teller = Self {
            chat: Chat::new(settings.users.clone(), settings.chats.clone(), Box::new(nonce)),
            frame: Arc::new(frame),
            settings,
            post,
            desk,
            bot,
            places,
            tasks: JoinSet::new(),
            notes: VecDeque::new(),
            number: 0,
            polling: false,
            poll_at: now,
            poll_pause: POLL_FIRST,
            conflict: false,
            daily,
            ending: None,
        };
        for row in gone {
            teller.note(row);
        }
        Ok(teller)
    }

    pub async fn run(mut self) {
        if let Some(bot) = self.bot.clone().filter(|_| self.commands()) {
            self.tasks.spawn(async move {
                // Without a menu every command still works.
                let _ = bot.menu(&chat::COMMANDS).await;
                Came::Nothing
            });
        }
        loop {
            let (now, unix) = (clock::now(), clock::unix());
            self.listen(now, unix);
            self.hand_over();
            for at in 0..self.places.len() {
                self.serve(at, now, unix);
            }
            self.hand_over();
            if let Some(until) = self.ending
                && (until <= now || self.places.iter().all(|place| place.queue.is_idle()) && self.notes.is_empty())
            {
                return;
            }
            if self.ending.is_none() {
                self.ask(now);
                self.summarise(unix);
            }
            tokio::select! {
                Some(came) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if let Ok(came) = came {
                        self.handle(came);
                    }
                }
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// May anybody command?
    fn commands(&self) -> bool {
        self.bot.is_some() && !self.settings.users.is_empty() && !self.settings.chats.is_empty()
    }

    /// What the keeper says.
    fn listen(&mut self, now: Nanos, unix: UnixMs) {
        loop {
            match self.post.words.try_recv() {
                Ok(Word::Tell(alert)) => self.tell(&alert, now, unix),
                Ok(Word::Over(key)) => self.places.iter_mut().for_each(|place| place.queue.handle_over(&key)),
                Ok(Word::Last(alert)) => {
                    if let Some(alert) = alert {
                        self.tell(&alert, now, unix);
                    }
                    self.ending = self.ending.or(Some(now + FAREWELL));
                }
                Err(TryRecvError::Empty) => return,
                // The keeper is gone without a word: nothing can be written down any more.
                Err(TryRecvError::Disconnected) => {
                    self.ending = self.ending.or(Some(now));
                    return;
                }
            }
        }
    }

    fn tell(&mut self, alert: &Alert, now: Nanos, unix: UnixMs) {
        for place in &mut self.places {
            place.queue.handle_alert(alert.clone(), now, unix);
        }
    }

    /// An alert of this thread's own.
    fn raise(&mut self, mut alert: Alert) {
        alert.id = self.post.ids.fetch_add(1, Ordering::Relaxed);
        for row in notice::rows(&alert, &self.settings.places()) {
            self.note(row);
        }
        self.tell(&alert, clock::now(), clock::unix());
    }

    fn note(&mut self, row: Row) {
        self.number += 1;
        self.notes.push_back(Note { number: self.number, row });
    }

    /// Gives notes to the keeper, and learns which of them are safe.
    fn hand_over(&mut self) {
        while let Some(note) = self.notes.pop_front() {
            // Where the keeper has ended, what is not written now is told again by the next start.
            if let Err(TrySendError::Full(note)) = self.post.notes.try_send(note) {
                self.notes.push_front(note);
                break;
            }
        }
        let written = self.post.written.load(Ordering::Acquire);
        for place in &mut self.places {
            while let Some((_, count)) = place.marks.front().copied().filter(|(number, _)| *number <= written) {
                place.marks.pop_front();
                place.queue.handle_written(count);
            }
        }
    }

    /// Everything that one place can do now.
    fn serve(&mut self, at: usize, now: Nanos, unix: UnixMs) {
        loop {
            match self.places[at].queue.poll(now, unix) {
                Output::Record(delivery) => {
                    self.note(Row::Delivery(delivery));
                    let place = &mut self.places[at];
                    place.handed += 1;
                    place.marks.push_back((self.number, place.handed));
                }
                Output::Send(message) => {
                    let (way, frame) = (self.places[at].way.clone(), Arc::clone(&self.frame));
                    self.tasks.spawn(async move {
                        let (outcome, error) = deliver(&way, &frame, &message).await;
                        Came::Sent { place: at, outcome, error }
                    });
                }
                Output::WaitUntil(_) => return,
            }
        }
    }

    /// Asks for what people wrote.
    fn ask(&mut self, now: Nanos) {
        let Some(bot) = self.bot.clone().filter(|_| self.commands() && !self.polling && self.poll_at <= now) else {
            return;
        };
        self.polling = true;
        let next = self.chat.next();
        self.tasks.spawn(async move { Came::Updates(bot.updates(next, telegram::POLL).await) });
    }

    fn handle(&mut self, came: Came) {
        let (now, unix) = (clock::now(), clock::unix());
        match came {
            Came::Sent { place, outcome, error } => {
                let place = &mut self.places[place];
                let fails = !matches!(outcome, Outcome::Sent(_));
                // Once when it begins, once when it is over: an outage of a day is no flood of lines.
                if fails && !place.failing {
                    let why = error.unwrap_or_default();
                    tracing::warn!("an alert for {} could not be delivered: {why}", place.queue.place());
                } else if !fails && place.failing {
                    tracing::info!("alerts for {} are delivered again", place.queue.place());
                }
                place.failing = fails;
                place.queue.handle_outcome(outcome, now, unix);
            }
            Came::Updates(result) => {
                self.polling = false;
                self.updated(result, now, unix);
            }
            Came::Answers(chat, answer) => self.answer(chat, answer),
            Came::Daily(alert) => {
                if let Some(alert) = alert {
                    self.raise(alert);
                }
            }
            Came::Nothing => {}
        }
    }

    fn updated(&mut self, result: Result<Vec<Update>, BotError>, now: Nanos, unix: UnixMs) {
        match result {
            Ok(updates) => {
                self.poll_pause = POLL_FIRST;
                if std::mem::take(&mut self.conflict) {
                    self.say(AlertKind::Health, "commands work again", "Nobody else polls this token any more.");
                }
                for update in updates {
                    for todo in self.chat.handle_update(&update, now, unix) {
                        self.carry_out(todo, now);
                    }
                }
            }
            Err(BotError::Conflict(what)) => {
                self.poll_at = now + CONFLICT;
                if !std::mem::replace(&mut self.conflict, true) {
                    tracing::warn!("commands from the chat are off: {what}");
                    self.say(
                        AlertKind::Health,
                        "commands are off",
                        "Another process polls this token, or a webhook is set for it. Alerts continue, commands are off \
                         until it ends. Give every Orion a bot of its own.",
                    );
                }
            }
            Err(error) => {
                if self.poll_pause == POLL_FIRST {
                    tracing::warn!("commands from the chat cannot be read: {error}");
                }
                self.poll_at = now + self.poll_pause;
                self.poll_pause = POLL_LAST.min(self.poll_pause + self.poll_pause);
                if let BotError::Wait(secs) = error {
                    self.poll_at = now + Nanos::secs(secs.min(900));
                }
            }
        }
    }

    fn say(&mut self, kind: AlertKind, headline: &str, text: &str) {
        let (key, figures) = (String::new(), String::new());
        let (headline, text) = (headline.into(), text.into());
        self.raise(Alert { id: 0, at: clock::unix(), kind, key, headline, text, figures, about: None });
    }

    fn carry_out(&mut self, todo: Do, now: Nanos) {
        match todo {
            Do::Log(line) => tracing::warn!("{line}"),
            Do::Say { who, text } => self.answer(who.chat, told(&text)),
            Do::Heard { query, text } => {
                if let Some(bot) = self.bot.clone() {
                    self.tasks.spawn(async move {
                        // A button that is not told so turns for a while, and that is all.
                        let _ = bot.heard(&query, &text).await;
                        Came::Nothing
                    });
                }
            }
            Do::Ask { who, question } => self.question(who, question),
            Do::Act { who, act } => self.act(who, act),
            Do::Confirm { who, act, nonce } => {
                let answer = confirm(act, &nonce, &self.desk.status());
                self.answer(who.chat, answer);
            }
            Do::Ack { who, alert } => self.ack(who, alert),
            Do::AckAll { who } => {
                let mut ids: Vec<u64> =
                    self.places.iter().flat_map(|place| place.queue.open_risks()).map(|(alert, _)| alert.id).collect();
                ids.sort_unstable();
                ids.dedup();
                for id in &ids {
                    for place in &mut self.places {
                        place.queue.handle_ack(*id);
                    }
                }
                let numbers: Vec<_> = ids.iter().map(u64::to_string).collect();
                self.desk.note(&who.name(), "ack", numbers.join(" "), "acknowledged".into());
                self.answer(who.chat, told(&format!("{} acknowledged", ids.len())));
            }
            Do::Mute { who, kind, span } => {
                let until = now + Nanos::new(u64::try_from(span.as_nanos()).unwrap_or(0));
                for place in &mut self.places {
                    if matches!(place.way, Way::Chat(..)) {
                        place.queue.handle_mute(kind, until);
                    }
                }
                let args = format!("{} for {} s", kind.name(), span.as_secs());
                self.desk.note(&who.name(), "mute", args.clone(), "muted".into());
                self.answer(who.chat, told(&format!("muted: {args}, or until a restart")));
            }
        }
    }

    fn question(&mut self, who: Who, question: Question) {
        let desk = Arc::clone(&self.desk);
        let (database, settings) = (self.settings.database.clone(), self.settings.shown.clone());
        let (pairs, zone) = (self.settings.pairs.clone(), self.settings.zone.clone());
        self.tasks.spawn_blocking(move || {
            let facts = Facts {
                status: desk.status(),
                latencies: desk.latencies(),
                database: &database,
                settings: &settings,
                pairs: &pairs,
                zone: &zone,
                now: clock::unix(),
            };
            let blocks = facts.answer(question, who);
            Came::Answers(who.chat, Answer { blocks, buttons: Vec::new() })
        });
    }

    fn act(&mut self, who: Who, act: Act) {
        let desk = Arc::clone(&self.desk);
        self.tasks.spawn_blocking(move || {
            let answer = match desk.execute(act, &who.name()) {
                Ok(done) => {
                    let mut answer = told(&done);
                    if act == Act::Kill {
                        let sell = ("Sell everything held…".to_owned(), "flatten".to_owned());
                        answer.buttons = vec![vec![sell, ("Status".into(), "status".into())]];
                    }
                    answer
                }
                Err(why) => {
                    Answer { blocks: vec![Block::Head("refused".into()), Block::Text(why)], buttons: Vec::new() }
                }
            };
            Came::Answers(who.chat, answer)
        });
    }

    fn ack(&mut self, who: Who, alert: Option<u64>) {
        let Some(id) = alert else {
            let open: Vec<_> = self
                .places
                .iter()
                .filter(|place| matches!(place.way, Way::Chat(_, chat) if chat == who.chat))
                .flat_map(|place| place.queue.open_risks())
                .map(|(alert, _)| format!("/ack {}  {}", alert.id, alert.headline))
                .collect();
            let text = if open.is_empty() { "nothing waits to be acknowledged".into() } else { open.join("\n") };
            self.answer(who.chat, told(&text));
            return;
        };
        // Everywhere: the same trouble waits at every place.
        let known = self.places.iter_mut().filter_map(|place| place.queue.handle_ack(id).then_some(())).count();
        let result = if 0 < known { "acknowledged" } else { "not open" };
        self.desk.note(&who.name(), "ack", id.to_string(), result.into());
        self.answer(who.chat, told(&format!("alert {id}: {result}")));
    }

    fn answer(&mut self, to: i64, answer: Answer) {
        let (now, unix) = (clock::now(), clock::unix());
        let place = self.places.iter_mut().find(|place| matches!(place.way, Way::Chat(_, chat) if chat == to));
        if let Some(place) = place {
            for page in format::answers(answer) {
                place.queue.handle_answer(page, now, unix);
            }
        }
    }

    /// The summary of the day, when it is due.
    fn summarise(&mut self, unix: UnixMs) {
        let Some(due) = self.daily.filter(|due| *due <= unix) else { return };
        self.daily = next_daily(unix, self.settings.daily_at, &self.settings.zone);
        let (desk, database) = (Arc::clone(&self.desk), self.settings.database.clone());
        self.tasks.spawn_blocking(move || {
            let from = UnixMs::new(due.raw().saturating_sub(86_400_000));
            let tally = AuditReader::open(&database).and_then(|reader| reader.tally(from, due));
            let status = desk.status();
            let alert = tally.map(|tally| {
                let (headline, text, figures) = card::summary(&status, &tally, unix);
                let key = String::new();
                Alert { id: 0, at: unix, kind: AlertKind::Daily, key, headline, text, figures, about: None }
            });
            if let Err(error) = &alert {
                tracing::warn!("the summary of the day could not be made: {error}");
            }
            Came::Daily(alert.ok())
        });
    }
}

fn told(text: &str) -> Answer {
    let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut blocks = vec![Block::Head(head.into())];
    if !rest.is_empty() {
        blocks.push(Block::Text(rest.into()));
    }
    Answer { blocks, buttons: Vec::new() }
}

/// The question back, with what there is to know before it is answered.
fn confirm(act: Act, nonce: &str, status: &Snapshot) -> Answer {
    let money = |micros| Money::micros(micros).to_string();
    let (head, text, yes) = match act {
        Act::Flatten => (
            "Sell everything that is held?",
            format!(
                "As the books stand it would lose {} of what was paid; {} markets have nobody who bids. It halts trading too.",
                money(status.flatten_loss),
                status.unsellable
            ),
            "Yes, sell everything",
        ),
        Act::Resume | Act::Pause | Act::Kill => (
            "Let it trade again?",
            format!("It is {}.", status.latch.as_deref().unwrap_or(&status.state)),
            "Yes, resume",
        ),
    };
    let buttons = vec![vec![(yes.to_owned(), format!("yes:{nonce}")), ("No".to_owned(), format!("no:{nonce}"))]];
    let blocks =
        vec![Block::Head(head.into()), Block::Text(text), Block::Text("The buttons hold for 30 seconds.".into())];
    Answer { blocks, buttons }
}

/// 96 bits that nobody can guess.
fn nonce() -> String {
    use std::fmt::Write as _;
    let mut bytes = [0; 12];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random numbers");
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
