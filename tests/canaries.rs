//! Secrets that were planted are looked for everywhere: in what a trading engine prints at its most talkative, in its
//! database, journal and page, in `/proc`, in backups and exports, in a panic. Two kinds: those that lie in a vault beside
//! it, and those it really trades with, which the simulated exchanges hold in plain text.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[path = "common/town.rs"]
mod town;

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::http::Method;
use flate2::read::GzDecoder;
use orion::{
    run::{
        sign::{self, Keys},
        snapshot::Snapshot,
    },
    vault::{Name, Secret, Vault},
    watch::{
        command::{Answer, Request},
        control,
        keyring::Role,
        web::route::table,
    },
};
use town::{Town, let_pass, until};

const PASSPHRASE: &str = "planted passphrase of four words";
const KEY_ID: &str = "1b4e28ba-2fa1-4d3b-a3f5-ef19b5a7633b";
const WALLET_KEY: &str = "0x6b8f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9012345678";
const API_SECRET: &str = "WlpaWlpaQ0FOQVJZWlpaWlpaWlpaWlpaWlpaWlpaWlo=";
const API_PASSPHRASE: &str = "canary-b7e23ec29af22b0b4e41da31e868d572";

/// A planted secret, by name.
struct Canary(&'static str, String);

/// Lines of a key in PEM form, without its frame.
fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("--")).collect()
}

/// Where which canary was found. A part of a secret is a part too many.
fn hits(place: &str, bytes: &[u8], canaries: &[Canary]) -> Vec<String> {
    let mut hits = Vec::new();
    for Canary(name, secret) in canaries {
        let secret = secret.trim_start_matches("0x").as_bytes();
        let part = secret.len().min(20);
        for part in [&secret[..part], &secret[secret.len() - part..]] {
            if memchr::memmem::find(bytes, part).is_some() {
                hits.push(format!("{place} holds {name}"));
            }
        }
        // The bytes that the text stands for.
        let raw: Option<Vec<u8>> = (secret.len() == 64)
            .then(|| {
                (0..32)
                    .map(|at| u8::from_str_radix(std::str::from_utf8(&secret[2 * at..2 * at + 2]).ok()?, 16).ok())
                    .collect()
            })
            .flatten();
        if raw.is_some_and(|raw| memchr::memmem::find(bytes, &raw).is_some()) {
            hits.push(format!("{place} holds {name}, as bytes"));
        }
    }
    hits
}

/// Every file below a folder.
fn files(folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            files(&path, into);
        } else if kind.is_file() {
            into.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
        }
    }
}

/// What the page answers to everything that can be read, with an operator's token; and the token itself.
fn page(state: &Path) -> (Vec<(String, Vec<u8>)>, String) {
    let link = match control::ask(state, Request::Link { role: Role::Operator }).unwrap() {
        Some(Answer::Secret { text }) => text,
        other => panic!("no link: {other:?}"),
    };
    let (place, code) = link.split_once("/#k=").unwrap();
    let host = place.strip_prefix("http://").unwrap();
    let call = |head: &str, body: &str| {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let length = body.len();
        write!(stream, "{head} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Orion: 1\r\n").unwrap();
        write!(stream, "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = Vec::new();
        let mut part = [0; 16_384];
        let (mut parts, endless) = (0, head.contains("/events"));
        while let Ok(read @ 1..) = stream.read(&mut part) {
            answer.extend_from_slice(&part[..read]);
            parts += 1;
            // Events go on for as long as somebody listens.
            if endless && 8 < parts {
                break;
            }
        }
        answer
    };
    let session = call("POST /api/v1/session", &format!("{{\"code\":\"{code}\"}}"));
    let text = String::from_utf8(session).unwrap();
    let token =
        text.split("\"token\":\"").nth(1).unwrap_or_else(|| panic!("{text}")).split('"').next().unwrap().to_owned();
    let read = table().into_iter().filter(|route| route.method == Method::GET);
    let answers = read.map(|route| {
        let path = route.path.replace("{id}", "1");
        let head = format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nX-Ignored:");
        (format!("the page's {path}"), call(&head, ""))
    });
    (answers.collect(), token)
}

#[test]
fn no_planted_secret_is_found_anywhere_after_a_run_with_every_fault() {
    let town = Town::with(7, 200, 20, true);
    let states = town.folder().join("state");
    let credentials = town.folder().join("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::write(credentials.join("orion-passphrase"), PASSPHRASE).unwrap();
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let mut vault = Vault::default();
    for (name, text) in [
        (Name::KalshiKeyId, KEY_ID),
        (Name::KalshiPrivateKey, &pem),
        (Name::PolymarketPrivateKey, WALLET_KEY),
        (Name::PolymarketApiKey, KEY_ID),
        (Name::PolymarketApiSecret, API_SECRET),
        (Name::PolymarketApiPassphrase, API_PASSPHRASE),
    ] {
        vault.set(name, Secret::new(text.into()).unwrap());
    }
    fs::create_dir(&states).unwrap();
    vault.save(&states.join("vault"), &Secret::new(PASSPHRASE.into()).unwrap()).unwrap();

    // At its most talkative, and with the vault's passphrase within reach.
    let told = town.folder().join("told");
    let out = File::create(&told).unwrap();
    let mut command = town.orion(&["--log-level", "trace", "demo", "--json", "--resume", "--sim"]);
    command.arg(town.sim()).env("CREDENTIALS_DIRECTORY", &credentials).env("RUST_BACKTRACE", "full");
    let child = command.stdout(out.try_clone().unwrap()).stderr(out).stdin(Stdio::null()).spawn().unwrap();
    let mut child = Guarded(child);
    let status = || match control::ask(&town.state(), Request::Status) {
        Ok(Some(Answer::Status { status })) => Some(*status),
        _ => None,
    };
    let trading = until(Duration::from_mins(1), || status().filter(|status: &Snapshot| 0 < status.fills));
    assert!(trading.is_some(), "nothing was filled: {}", town.told());
    let_pass(Duration::from_secs(15));

    let mut canaries = vec![
        Canary("the vault's passphrase", PASSPHRASE.into()),
        Canary("the vault's Kalshi key", body(&pem)),
        Canary("the vault's wallet key", WALLET_KEY.into()),
        Canary("the vault's API secret", API_SECRET.into()),
        Canary("the vault's API passphrase", API_PASSPHRASE.into()),
    ];
    let read = |name: &str| fs::read_to_string(town.sim().join(name)).unwrap();
    canaries.push(Canary("the Kalshi key it trades with", body(&read("kalshi-demo-key.pem"))));
    canaries.push(Canary("the wallet key it trades with", read("polymarket-demo-key.hex").trim().into()));
    let sheet: serde_json::Value = serde_json::from_str(&read("sim.json")).unwrap();
    let owner = sheet["polymarket_owner"].as_str().unwrap().parse().unwrap();
    let api = town.exchanges.with_polymarket(|desk, _, _| desk.credentials(owner));
    canaries.push(Canary("the API secret it trades with", api.secret.clone()));
    canaries.push(Canary("the API passphrase it trades with", api.passphrase.clone()));

    let mut places = Vec::new();
    let pid = child.0.id();
    for file in ["cmdline", "environ", "status", "limits", "maps"] {
        places.push((format!("/proc/PID/{file}"), fs::read(format!("/proc/{pid}/{file}")).unwrap()));
    }
    let (answers, token) = page(&town.state());
    assert!(15 < answers.len(), "every route was asked");
    let good = answers.iter().filter(|(_, answer)| answer.starts_with(b"HTTP/1.1 200")).count();
    assert!(12 < good, "{good} of {} routes answered", answers.len());
    canaries.push(Canary("the page's token", token));
    // The answer that gave the token out is not among these.
    places.extend(answers);
    let kept = town.folder().join("kept.tar.gz");
    let kept_text = kept.display().to_string();
    for args in [
        &["status", "--mode", "demo", "--json"][..],
        &["status", "--mode", "demo", "--latency"],
        &["why", "--json"],
        &["config", "show", "--origin"],
        &["journal", "show", "--mode", "demo"],
        &["backup", "--mode", "demo", "--out", &kept_text, "--with-vault"],
        &["export", "trades", "--mode", "demo"],
        &["doctor", "--offline", "--mode", "demo"],
        &["secrets", "check"],
    ] {
        let output = town.orion(args).env("CREDENTIALS_DIRECTORY", &credentials).stdin(Stdio::null()).output().unwrap();
        places.push((format!("what orion {} prints", args[0]), [output.stdout, output.stderr].concat()));
    }
    Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap();
    child.0.wait().unwrap();
    let output = fs::read(&told).unwrap();
    assert!(
        memchr::memmem::find(&output, b"TRACE").is_some() || memchr::memmem::find(&output, b"DEBUG").is_some(),
        "it was talkative"
    );
    places.push(("standard output and error".into(), output));
    files(&states, &mut places);
    for database in ["orion.db", "journal/000001.orj", "tokens.json", "vault"] {
        assert!(
            places.iter().any(|(place, bytes)| place.ends_with(database) && !bytes.is_empty()),
            "{database} was searched"
        );
    }
    let mut unpacked = Vec::new();
    GzDecoder::new(File::open(&kept).unwrap()).read_to_end(&mut unpacked).unwrap();
    assert!(memchr::memmem::find(&unpacked, b"ORIONVLT").is_some(), "the backup holds the sealed vault");
    places.push(("the backup".into(), unpacked));

    let found: Vec<String> = places.iter().flat_map(|(place, bytes)| hits(place, bytes, &canaries)).collect();
    assert_eq!(found, Vec::<String>::new(), "{} places", places.len());
    // And where they do stand, they are found.
    let mut own = Vec::new();
    files(&credentials, &mut own);
    files(&town.sim(), &mut own);
    assert!(2 < own.iter().flat_map(|(place, bytes)| hits(place, bytes, &canaries)).count());
}

struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A panic on the thread that holds the open vault: what it prints, and what it hands on.
#[test]
fn a_panic_beside_an_open_vault_tells_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault");
    let mut vault = Vault::default();
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    for (name, text) in [
        (Name::KalshiKeyId, KEY_ID),
        (Name::KalshiPrivateKey, &pem),
        (Name::PolymarketPrivateKey, WALLET_KEY),
        (Name::PolymarketApiPassphrase, API_PASSPHRASE),
    ] {
        vault.set(name, Secret::new(text.into()).unwrap());
    }
    vault.save(&path, &Secret::new(PASSPHRASE.into()).unwrap()).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = heard.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let trace = std::backtrace::Backtrace::force_capture();
        hearing.lock().unwrap().extend(format!("{panic}\n{panic:?}\n{trace}\n{trace:?}").into_bytes());
    }));
    let passphrase = Secret::new(PASSPHRASE.into()).unwrap();
    let judge = |vault: &Vault| panic!("it holds {:?}", vault.names().collect::<Vec<_>>());
    let started = sign::start(Keys::Sealed { vault: path, passphrase, judge });
    std::panic::set_hook(before);
    assert!(started.is_err());
    let canaries = [
        Canary("the passphrase", PASSPHRASE.into()),
        Canary("the wallet key", WALLET_KEY.into()),
        Canary("the API passphrase", API_PASSPHRASE.into()),
        Canary("the Kalshi key", body(&pem)),
    ];
    let heard = heard.lock().unwrap();
    assert!(memchr::memmem::find(&heard, b"PolymarketPrivateKey").is_some(), "the panic was heard");
    assert_eq!(hits("the panic", &heard, &canaries), Vec::<String>::new());
    assert_eq!(hits("the error", format!("{}", started.err().unwrap()).as_bytes(), &canaries), Vec::<String>::new());
}

/// The process that opened a vault writes no core, whoever asks for one, and its memory is nobody else's.
#[test]
fn a_process_that_opened_a_vault_leaves_no_core() {
    let folder = tempfile::tempdir().unwrap();
    let orion = env!("CARGO_BIN_EXE_orion");
    // It waits for a secret on a pipe that stays open; by then the guard is up.
    let words = format!(
        "ulimit -c unlimited; exec {orion} --state-dir state secrets set polymarket.api_passphrase --passphrase-fd 0"
    );
    let child = Command::new("sh")
        .current_dir(folder.path())
        .args(["-c", &words])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = Guarded(child.unwrap());
    let limits = until(Duration::from_secs(10), || {
        let text = fs::read_to_string(format!("/proc/{}/limits", child.0.id())).ok()?;
        let core = text.lines().find(|line| line.starts_with("Max core file size"))?.to_owned();
        (core.split_whitespace().filter(|word| *word == "0").count() == 2).then_some(core)
    });
    assert!(limits.is_some(), "the limit of cores is nothing, soft and hard");
    assert!(Command::new("kill").args(["-ABRT", &child.0.id().to_string()]).status().unwrap().success());
    let ended = child.0.wait().unwrap();
    let dumped = std::os::unix::process::ExitStatusExt::core_dumped(&ended);
    assert!(!ended.success() && !dumped, "{ended:?}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("core")), "{left:?}");
}
