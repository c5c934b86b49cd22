//! Alerts and commands over sockets, against a Bot API on loopback that refuses, repeats itself and is not there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "common/bot.rs"]
mod bot;

use std::{
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    thread::JoinHandle,
    time::Duration,
};

use bot::{BotApi, TOKEN};
use orion::{
    ledger::audit::{Alert, Audit, AuditReader, RunInfo},
    run::{
        clock,
        notice::{self, Post, Source, Wanted},
        snapshot::Snapshot,
    },
    unit::{AlertKind, Money, Nanos},
    watch::alert::{self, Desk, Settings, chat::Act, message::Pace, telegram::Bot},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

const ME: i64 = 42;
const SECRET: &str = "CANARY-webhook-secret-0123";
/// Longer than anything here takes.
const PATIENCE: Nanos = Nanos::secs(30);

/// Everything that was logged by this process.
fn logged() -> &'static Mutex<Vec<u8>> {
    static LOGGED: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();
    LOGGED.get_or_init(|| {
        struct Tee;
        impl Write for Tee {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                logged().lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Tee).try_init();
        Mutex::default()
    })
}

#[derive(Default)]
struct Stub {
    done: Mutex<Vec<(Act, String)>>,
    noted: Mutex<Vec<String>>,
}

impl Desk for Stub {
    fn execute(&self, act: Act, who: &str) -> Result<String, String> {
        self.done.lock().unwrap().push((act, who.into()));
        Ok("halted\nit is so".into())
    }
    fn note(&self, who: &str, command: &'static str, args: String, result: String) {
        self.noted.lock().unwrap().push(format!("{who}: {command} {args}: {result}"));
    }
    fn status(&self) -> Snapshot {
        Snapshot { state: "active".into(), version: "0".into(), ..Snapshot::default() }
    }
    fn latencies(&self) -> String {
        String::new()
    }
}

/// The keeper's side of alerts, and the thread that tells people.
struct Rig {
    api: BotApi,
    path: PathBuf,
    folder: tempfile::TempDir,
    audit: Audit,
    source: Source,
    desk: Arc<Stub>,
    teller: Option<JoinHandle<()>>,
}

fn settings(base: &str, path: &std::path::Path, webhook: bool) -> Settings {
    Settings {
        base: base.into(),
        token: Some(Zeroizing::new(TOKEN.into())),
        chats: vec![ME],
        users: vec![ME],
        zone: jiff::tz::TimeZone::UTC,
        daily_at: jiff::civil::time(8, 0, 0, 0),
        loudness: AlertKind::ALL.map(AlertKind::loudness),
        webhook: webhook.then(|| (format!("{base}/hook"), Some(Zeroizing::new(SECRET.into())))),
        pace: Pace { every: Duration::from_millis(1), burst: 100.try_into().unwrap() },
        mode: "paper".into(),
        database: path.into(),
        shown: Vec::new(),
        pairs: Vec::new(),
    }
}

fn ends(path: &std::path::Path, places: Vec<String>) -> (Audit, Source, Post) {
    let run =
        RunInfo { mode: "paper".into(), started_at: clock::unix(), build: "test".into(), config_hash: String::new() };
    let audit = Audit::open(path, &run).unwrap();
    let wanted =
        Wanted { places, loudness: AlertKind::ALL.map(AlertKind::loudness), min_edge: 0, floors: [Money::ZERO; 2] };
    let (source, post) = notice::ends(wanted, &AuditReader::open(path).unwrap()).unwrap();
    (audit, source, post)
}

impl Rig {
    fn start(webhook: bool) -> Self {
        logged();
        let (api, folder) = (BotApi::start(), tempfile::tempdir().unwrap());
        let path = folder.path().join("orion.db");
        let settings = settings(&api.base, &path, webhook);
        let (audit, source, post) = ends(&path, settings.places());
        let desk = Arc::new(Stub::default());
        let teller = alert::start(settings, post, desk.clone()).unwrap();
        Self { api, path, folder, audit, source, desk, teller: Some(teller) }
    }

    fn raise(&mut self, kind: AlertKind, key: &str, headline: &str) {
        let alert = Alert {
            id: 0,
            at: clock::unix(),
            kind,
            key: key.into(),
            headline: headline.into(),
            text: String::new(),
            figures: String::new(),
            about: None,
        };
        let rows = self.source.raise(alert);
        self.audit.write(&rows).unwrap();
    }

    /// What the keeper does between two writes.
    fn keep(&mut self) {
        let rows = self.source.take();
        self.audit.write(&rows).unwrap();
        self.source.wrote();
    }

    /// Until this call comes.
    fn until(&mut self, wanted: impl Fn(&str, &Value) -> bool) -> Value {
        let began = clock::now();
        let mut others = Vec::new();
        while clock::now().since(began) < PATIENCE {
            self.keep();
            if let Ok((method, body)) = self.api.calls.recv_timeout(Duration::from_millis(5)) {
                if wanted(&method, &body) {
                    return body;
                }
                others.push(format!("{method} {body}"));
            }
        }
        panic!("it did not come; what came: {others:#?}");
    }

    fn until_text(&mut self, part: &str) -> Value {
        self.until(|method, body| method == "sendMessage" && body["text"].as_str().unwrap().contains(part))
    }

    /// Until the database says so.
    fn until_state(&mut self, alert: u64, state: &str) {
        let began = clock::now();
        while clock::now().since(began) < PATIENCE {
            self.keep();
            let reader = AuditReader::open(&self.path).unwrap();
            if reader.deliveries(alert).unwrap().iter().any(|(_, found, _)| found == state) {
                return;
            }
            let _ = self.api.calls.recv_timeout(Duration::from_millis(5));
        }
        panic!("alert {alert} never was {state}");
    }

    /// The end of an engine.
    fn end(mut self) -> (BotApi, PathBuf, tempfile::TempDir) {
        let rows = self.source.farewell(None);
        self.audit.write(&rows).unwrap();
        self.teller.take().unwrap().join().unwrap();
        self.audit.close_run(clock::unix()).unwrap();
        (self.api, self.path, self.folder)
    }
}

#[test]
fn a_risk_alert_arrives_and_a_button_acknowledges_it() {
    let mut rig = Rig::start(false);
    rig.raise(AlertKind::Risk, "halted", "■ HALTED: a <test> & more");
    let body = rig.until_text("HALTED");
    assert_eq!(body["chat_id"], ME);
    assert_eq!(body["parse_mode"], "HTML");
    assert_eq!(body["link_preview_options"]["is_disabled"], true);
    assert_eq!(body["disable_notification"], false);
    assert!(body["text"].as_str().unwrap().starts_with("<b>[PAPER] ■ HALTED: a &lt;test&gt; &amp; more</b>"));
    let button = body["reply_markup"]["inline_keyboard"][0][0]["callback_data"].as_str().unwrap().to_owned();
    assert_eq!(button, "ack:1");
    rig.api.press(ME, ME, &button);
    rig.until_text("acknowledged");
    rig.until_state(1, "acknowledged");
    assert_eq!(*rig.desk.noted.lock().unwrap(), ["telegram user 42: ack 1: acknowledged"]);
    rig.end();
}

#[test]
fn too_many_requests_are_obeyed_and_nothing_comes_twice() {
    let mut rig = Rig::start(false);
    let slow = json!({ "ok": false, "error_code": 429, "description": "Too Many Requests: retry after 1",
                       "parameters": { "retry_after": 1 } });
    rig.api.script("sendMessage", 429, &slow);
    rig.raise(AlertKind::Execution, "", "filled");
    rig.until_text("filled");
    let first = clock::now();
    let body = rig.until_text("filled");
    assert!(Nanos::millis(950) <= clock::now().since(first), "it waits as long as it is told");
    assert!(!body["text"].as_str().unwrap().contains("again"));
    rig.until_state(1, "sent");
    let (api, ..) = rig.end();
    assert!(api.calls.try_iter().all(|(method, _)| method != "sendMessage"), "nothing came twice");
}

#[test]
fn a_second_poller_is_explained_once_and_alerts_go_on() {
    let mut rig = Rig::start(false);
    for _ in 0..3 {
        rig.api.script(
            "getUpdates",
            409,
            &json!({ "ok": false, "error_code": 409,
            "description": "Conflict: terminated by other getUpdates request" }),
        );
    }
    // The first question may be open already: something has to come for it to be asked again.
    rig.api.write(ME, ME, "hello", clock::unix().raw());
    let body = rig.until_text("commands are off");
    assert!(body["text"].as_str().unwrap().contains("Alerts continue"));
    rig.raise(AlertKind::Risk, "halted", "HALTED");
    rig.until_text("HALTED");
    let (api, ..) = rig.end();
    let again =
        api.calls.try_iter().filter(|(_, body)| body["text"].as_str().is_some_and(|t| t.contains("commands are off")));
    assert_eq!(again.count(), 0);
}

#[test]
fn strangers_are_ignored_replays_are_obeyed_once_and_what_cannot_be_read_harms_nobody() {
    let mut rig = Rig::start(false);
    let now = clock::unix().raw();
    rig.api.forget_offsets();
    rig.api.write(99, 99, "/kill", now);
    rig.api.write(99, ME, "/kill", now);
    rig.api.write(ME, 99, "/kill", now);
    rig.api.press(99, ME, "pause");
    rig.api.write(ME, ME, "/kill", now - 120_000);
    for unreadable in
        [json!({ "message": 7 }), json!({ "message": { "from": [], "text": {} } }), json!({}), json!({ "poll": {} })]
    {
        rig.api.update(unreadable);
    }
    rig.api.write(ME, ME, "/pause", now);
    rig.until_text("halted");
    // The API goes on repeating all of it.
    for _ in 0..5 {
        rig.until(|method, _| method == "getUpdates");
    }
    assert_eq!(*rig.desk.done.lock().unwrap(), [(Act::Pause, "telegram user 42".to_owned())]);
    rig.api.write(ME, ME, "/kill", now);
    let body = rig.until(|method, body| method == "sendMessage" && !body["reply_markup"].is_null());
    assert_eq!(body["reply_markup"]["inline_keyboard"][0][0]["callback_data"], "flatten");
    rig.api.press(ME, ME, "flatten");
    let body = rig.until_text("Sell everything");
    let yes = body["reply_markup"]["inline_keyboard"][0][0]["callback_data"].as_str().unwrap().to_owned();
    rig.api.press(ME, ME, "yes:000000000000000000000000");
    rig.until(|method, body| method == "answerCallbackQuery" && body["text"].as_str().unwrap().contains("too late"));
    rig.api.press(ME, ME, &yes);
    rig.until_text("halted");
    let acts: Vec<Act> = rig.desk.done.lock().unwrap().iter().map(|(act, _)| *act).collect();
    assert_eq!(acts, [Act::Pause, Act::Kill, Act::Flatten]);
    rig.end();
}

#[test]
fn questions_are_answered_from_the_database() {
    let mut rig = Rig::start(false);
    let now = clock::unix().raw();
    for (text, part) in [
        ("/status", "today"),
        ("/positions", "0 positions"),
        ("/opps 3", "opportunities"),
        ("/why 7", "not known"),
        ("/profit 7", "won     – (n = 0)"),
        ("/daily 3", "0 of 0 won"),
        ("/balance", "cash"),
        ("/pairs", "pairs"),
        ("/latency", "latency"),
        ("/health", "well"),
        ("/config", "settings"),
        ("/logs", "written down"),
        ("/help", "Never from here"),
        ("/version", "Orion 0"),
        ("/whoami", "user_ids = [42]"),
        ("/ack", "nothing waits"),
        ("/mute daily 1h", "muted"),
        ("/nonsense", "no such command"),
    ] {
        rig.api.write(ME, ME, text, now);
        rig.until_text(part);
    }
    rig.end();
}

#[test]
fn what_could_not_be_told_is_told_by_the_next_start_once() {
    let mut rig = Rig::start(false);
    for _ in 0..50 {
        rig.api.script(
            "sendMessage",
            403,
            &json!({ "ok": false, "error_code": 403, "description": "Forbidden: bot was blocked" }),
        );
    }
    rig.raise(AlertKind::Risk, "halted", "HALTED for good");
    rig.raise(AlertKind::Execution, "", "filled once");
    rig.until_text("HALTED");
    let (_, path, folder) = rig.end();
    let api = BotApi::start();
    let settings = settings(&api.base, &path, false);
    let (audit, source, post) = ends(&path, settings.places());
    let desk = Arc::new(Stub::default());
    let teller = alert::start(settings, post, desk.clone()).unwrap();
    let mut rig = Rig { api, path, folder, audit, source, desk, teller: Some(teller) };
    let body = rig.until_text("HALTED for good");
    assert!(!body["text"].as_str().unwrap().contains("again"), "it surely had not arrived: {body}");
    rig.until_text("filled once");
    rig.until_state(2, "sent");
    rig.until_state(1, "sent");
    let (api, path, _folder) = rig.end();
    assert!(api.calls.try_iter().all(|(method, _)| method != "sendMessage"));
    let left = AuditReader::open(&path).unwrap().open_alerts().unwrap();
    assert_eq!(left.len(), 1, "what nobody acknowledged is still open");
}

#[test]
fn a_program_gets_signed_json_and_failures_are_tried_again() {
    let mut rig = Rig::start(true);
    rig.api.script_text("hook", 500, "");
    rig.raise(AlertKind::Unwind, "", "UNWOUND -$1.12");
    rig.until(|method, _| method == "hook");
    let call = rig.until(|method, _| method == "hook");
    let text = call["body"].as_str().unwrap();
    let body: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        (body["kind"].as_str(), body["mode"].as_str(), body["id"].as_u64()),
        (Some("unwind"), Some("paper"), Some(1))
    );
    assert!(body["text"].as_str().unwrap().contains("UNWOUND -$1.12"));
    assert!(body["at_ms"].as_u64().is_some());
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = call["signature"].as_str().unwrap().strip_prefix("sha256=").unwrap();
    let tag: Vec<u8> =
        (0..signature.len()).step_by(2).map(|at| u8::from_str_radix(&signature[at..at + 2], 16).unwrap()).collect();
    aws_lc_rs::hmac::verify(&key, text.as_bytes(), &tag).unwrap();
    rig.end();
}

#[test]
fn no_failure_tells_the_token() {
    let mut rig = Rig::start(true);
    let echo = format!("<html>502 for /bot{TOKEN}/sendMessage</html>");
    rig.api.script_text("sendMessage", 502, &echo);
    rig.api.script(
        "sendMessage",
        400,
        &json!({ "ok": false, "error_code": 400, "description": format!("Bad Request: {TOKEN}") }),
    );
    rig.api.script("getUpdates", 500, &json!({ "ok": false, "error_code": 500, "description": echo }));
    rig.api.write(ME, ME, "hello", 0);
    rig.raise(AlertKind::Risk, "halted", "HALTED");
    rig.until_text("HALTED");
    rig.until_text("HALTED");
    rig.until_state(1, "sent");
    let (_, path, _folder) = rig.end();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for base in ["http://127.0.0.1:1", "https://127.0.0.1:1", "nonsense", "http://no-such-host.invalid"] {
        let error = Bot::new(base, TOKEN).map(|bot| runtime.block_on(bot.updates(0, Duration::ZERO)).unwrap_err());
        let told = match error {
            Ok(error) | Err(error) => format!("{error} {error:?}"),
        };
        assert!(!told.contains("CANARY"), "{told}");
    }
    let logs = String::from_utf8_lossy(&logged().lock().unwrap()).into_owned();
    assert!(logs.contains("could not be delivered"), "something was logged");
    for name in ["CANARY", SECRET] {
        assert!(!logs.contains(name), "{name} stands in a log");
    }
    for suffix in ["", "-wal"] {
        let bytes = std::fs::read(format!("{}{suffix}", path.display())).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"CANARY"), "the token stands in the database");
    }
}

/// The command, with a webhook alone: the Bot API's address is a constant of the build.
#[test]
fn alerts_test_posts_one_of_each_kind_and_fails_where_one_is_not_taken() {
    let (api, folder) = (BotApi::start(), tempfile::tempdir().unwrap());
    let orion = |webhook: &str, chats: &str| {
        let mut command = assert_cmd::Command::cargo_bin("orion").unwrap();
        command.current_dir(folder.path()).env_clear().env("HOME", folder.path());
        command.env("ORION_ALERTS__WEBHOOK_URL", webhook).env("ORION_TELEGRAM__CHAT_IDS", chats);
        command.args(["alerts", "test"]).output().unwrap()
    };
    let hook = format!("{}/hook", api.base);
    let ran = orion(&hook, "");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let kinds: Vec<String> = api
        .calls
        .try_iter()
        .map(|(_, call)| {
            serde_json::from_str::<Value>(call["body"].as_str().unwrap()).unwrap()["kind"].as_str().unwrap().into()
        })
        .collect();
    assert_eq!(kinds, AlertKind::ALL.map(AlertKind::name));
    api.script_text("hook", 400, "");
    assert_eq!(orion(&hook, "").status.code(), Some(1), "one of them was not taken");
    let ran = orion("", "");
    assert_eq!(ran.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("telegram.chat_ids"), "it says what is missing");
    let ran = orion("", "42");
    assert_eq!(ran.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("orion secrets set telegram.token"), "{ran:?}");
}
