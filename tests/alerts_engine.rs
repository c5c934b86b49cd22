//! The whole engine on loopback with a chat beside it: what it does is told, and a phone stops it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "common/bot.rs"]
mod bot;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use bot::{BotApi, TOKEN};
use crossbeam::channel::Sender;
use orion::{
    config::{Config, Sources},
    ledger::audit::AuditReader,
    pairing::{ApprovedPair, PairBook, Polarity, Tail, fingerprint},
    run::{
        boot::{Endpoints, Engine, Start},
        catalogue, clock,
        keep::Ordered,
        mode::Mode,
        snapshot::Snapshot,
        stops::Stops,
    },
    sim::serve::{self, Options, Running},
    unit::{AlertKind, Nanos, UnixMs, Venue},
    watch::alert::{self, Desk, Settings, chat::Act, message::Pace},
};
use serde_json::Value;
use zeroize::Zeroizing;

const ME: i64 = 42;

/// The engine's switches, as the process gives them to the chat.
struct Switches {
    stops: Stops,
    status: Arc<Mutex<Snapshot>>,
    commands: Sender<Ordered>,
}

impl Desk for Switches {
    fn execute(&self, act: Act, who: &str) -> Result<String, String> {
        let (command, done) = match act {
            Act::Pause => ("pause", self.stops.pause()),
            Act::Resume => ("resume", self.stops.resume()),
            Act::Kill => ("kill", self.stops.halt_by_person()),
            Act::Flatten => ("flatten", self.stops.flatten()),
        };
        done.map_err(|error| error.to_string())?;
        self.note(who, command, String::new(), "done".into());
        Ok("done".into())
    }
    fn note(&self, who: &str, command: &'static str, args: String, result: String) {
        let ordered = Ordered { at: clock::unix(), who: who.into(), command, args, result };
        self.commands.try_send(ordered).unwrap();
    }
    fn status(&self) -> Snapshot {
        self.status.lock().unwrap().clone()
    }
    fn latencies(&self) -> String {
        String::new()
    }
}

fn start(site: &Running, state: &Path, base: &str) -> (Engine, JoinHandle<()>) {
    let at = &site.endpoints;
    let endpoints = Endpoints {
        kalshi_rest: at.kalshi_rest.clone(),
        kalshi_ws: at.kalshi_ws.clone(),
        gamma: at.polymarket_rest.clone(),
        clob: at.polymarket_rest.clone(),
        data: at.polymarket_rest.clone(),
        relayer: at.polymarket_rest.clone(),
        site: at.polymarket_rest.clone(),
        polymarket_ws: at.polymarket_ws.clone(),
        polymarket_user_ws: at.polymarket_user_ws.clone(),
        root: at.ca_pem.clone(),
    };
    let book = |print: &dyn Fn(Venue, &str) -> orion::pairing::Fingerprint| {
        let pairs = site.pairs().into_iter().map(|pair| ApprovedPair {
            title: pair.title.clone(),
            kalshi_rules: print(Venue::Kalshi, &pair.ticker),
            polymarket_rules: print(Venue::Polymarket, &pair.condition_id),
            kalshi: pair.ticker,
            polymarket: pair.condition_id,
            polarity: if pair.inverted { Polarity::Inverted } else { Polarity::Same },
            event: pair.title,
            approved_by: "a test".into(),
            approved_at: UnixMs::new(1_790_000_000_000),
            tail: Tail::Minor,
        });
        PairBook::new(pairs.collect()).unwrap()
    };
    let none = fingerprint(&["another text"]);
    let listed = catalogue::read(&endpoints, &book(&|_, _| none)).unwrap();
    let pairs = book(&|venue, name| listed.get(&(venue, name.to_owned())).map_or(none, |l| l.rules));
    let flags = [
        ("engine.state_dir", state.display().to_string()),
        ("trading.auto_execute", "true".into()),
        ("feed.kalshi_poll_ms", "250".into()),
    ];
    let flags = flags.map(|(key, value)| (key.to_owned(), value, "test".to_owned())).to_vec();
    let file = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/orion.toml"));
    let loaded = Config::load(&Sources { file, flags, ..Sources::default() }).unwrap();
    let settings = Settings {
        base: base.into(),
        token: Some(Zeroizing::new(TOKEN.into())),
        chats: vec![ME],
        users: vec![ME],
        zone: jiff::tz::TimeZone::UTC,
        daily_at: jiff::civil::time(8, 0, 0, 0),
        loudness: AlertKind::ALL.map(AlertKind::loudness),
        webhook: None,
        pace: Pace { every: Duration::from_millis(1), burst: 100.try_into().unwrap() },
        mode: "demo".into(),
        database: state.join("demo/orion.db"),
        shown: Vec::new(),
        pairs: Vec::new(),
    };
    let start = Start { places: settings.places(), ..Start::new(Mode::Demo, loaded, endpoints, pairs, listed) };
    let mut engine = Engine::start(start).unwrap();
    let desk =
        Switches { stops: engine.stops.clone(), status: engine.snapshot.clone(), commands: engine.commands.clone() };
    let teller = alert::start(settings, engine.post.take().unwrap(), Arc::new(desk)).unwrap();
    (engine, teller)
}

/// Until a message says so.
fn until(api: &BotApi, part: &str) -> Value {
    let began = clock::now();
    while clock::now().since(began) < Nanos::secs(60) {
        if let Ok((method, body)) = api.calls.recv_timeout(Duration::from_millis(50))
            && method == "sendMessage"
            && body["text"].as_str().unwrap().contains(part)
        {
            return body;
        }
    }
    panic!("{part} was never told");
}

#[test]
fn a_phone_sees_trades_stops_the_engine_lets_it_go_on_and_is_told_of_its_end() {
    let (site, state) =
        (serve::start(Options { tls: false, ..Options::default() }).unwrap(), tempfile::tempdir().unwrap());
    let api = BotApi::start();
    let (engine, teller) = start(&site, state.path(), &api.base);
    let body = until(&api, "started, active");
    assert_eq!(body["disable_notification"], true);
    until(&api, "FILLED");
    api.write(ME, ME, "/kill", clock::unix().raw());
    let body = until(&api, "HALTED: halted by a person");
    assert_eq!(body["disable_notification"], false);
    assert_eq!(engine.snapshot.lock().unwrap().state, "halted");
    api.write(ME, ME, "/resume", clock::unix().raw());
    let body = until(&api, "Let it trade again?");
    let yes = body["reply_markup"]["inline_keyboard"][0][0]["callback_data"].as_str().unwrap().to_owned();
    api.press(ME, ME, &yes);
    until(&api, "active again");
    let told = |kind: &str, result: &str| {
        let status = engine.snapshot.lock().unwrap();
        status.alerts.iter().find(|a| (a.kind.as_str(), a.result.as_str()) == (kind, result)).map(|a| a.count)
    };
    assert_eq!(told("risk", "dropped"), Some(0));
    assert!(told("execution", "sent").is_some_and(|count| 0 < count));
    assert!(engine.stop());
    until(&api, "stopped");
    teller.join().unwrap();
    let reader = AuditReader::open(&state.path().join("demo/orion.db")).unwrap();
    let open = reader.open_alerts().unwrap();
    let left: Vec<_> = open.iter().filter(|(a, _)| a.kind != AlertKind::Risk || a.key == "halted").collect();
    assert!(left.is_empty(), "everything was told, and the halt is over: {left:?}");

    // The next start has nothing to say about any of it.
    let (engine, teller) = start(&site, state.path(), &api.base);
    until(&api, "started, active");
    let began = clock::now();
    while clock::now().since(began) < Nanos::secs(2) {
        if let Ok((_, body)) = api.calls.recv_timeout(Duration::from_millis(50)) {
            let text = body["text"].as_str().unwrap_or_default();
            assert!(!text.contains("HALTED") && !text.contains("again: it may"), "{text}");
        }
    }
    assert!(engine.stop());
    teller.join().unwrap();
    site.stop();
}
