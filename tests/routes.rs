//! Every route of the page refuses every attack: the table is the server, so a route that is added is attacked here too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use axum::http::Method;
use orion::{
    config::Sources,
    run::{mode::Mode, ring::Stop},
    unit::UnixMs,
    watch::{
        handles::Handles,
        keyring::{Purpose, Role},
        log::Logs,
        settings::Settings,
        web::{
            self,
            gate::BODY_MAX,
            route::{Route, Who, table},
        },
    },
};
use tempfile::TempDir;

/// A served page without an engine.
struct Page {
    address: SocketAddr,
    handles: Handles,
    operator: String,
    viewer: String,
    stop: Stop,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: TempDir,
}

impl Drop for Page {
    fn drop(&mut self) {
        self.stop.raise();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve() -> Page {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("paper")).unwrap();
    let flags = vec![("engine.state_dir".to_owned(), folder.path().display().to_string(), "--state-dir".to_owned())];
    let file = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/config/orion.toml").into());
    let settings = Settings::new(Sources { file, flags, ..Sources::default() });
    let (handles, _) = Handles::new(Mode::Paper, folder.path()).unwrap();
    let listener = web::bind(0).unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Stop::default();
    let setup = web::Setup {
        listener,
        logs: Logs::default(),
        settings: Arc::new(settings),
        pairs_file: concat!(env!("CARGO_MANIFEST_DIR"), "/config/pairs.toml").into(),
    };
    let thread = Some(web::start(setup, handles.clone(), stop.clone()).unwrap());
    let now = orion::run::clock::unix();
    let operator = handles.keys().token(Role::Operator, now).unwrap();
    let viewer = handles.keys().token(Role::Viewer, now).unwrap();
    Page { address, handles, operator, viewer, stop, thread, _folder: folder }
}

/// One request as it crosses the wire.
#[derive(Clone)]
struct Asked {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asked {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        if !value.is_empty() {
            self.headers.push((name.into(), value.into()));
        }
        self
    }
}

/// A request that the route takes, from whoever may send it.
fn proper(page: &Page, route: &Route) -> Asked {
    let path = route.path.replace("{id}", "1").replace("{*file}", "index.html");
    let asked = Asked { method: route.method.to_string(), path, headers: Vec::new(), body: Vec::new() };
    let asked = asked.with("Host", &page.address.to_string()).with("Connection", "close");
    let asked = if route.who == Who::Anybody {
        asked
    } else {
        asked.with("Authorization", &format!("Bearer {}", page.operator))
    };
    if route.method == Method::POST {
        Asked { body: b"{}".into(), ..asked }
            .with("Content-Type", "application/json")
            .with("X-Orion", "1")
            .with("Content-Length", "2")
    } else {
        asked
    }
}

/// Status and head of the answer, which there has to be.
fn send(page: &Page, asked: &Asked) -> (u16, String) {
    let (status, text) = ask(page, asked);
    (status.unwrap_or_else(|| panic!("{} {}: no answer: {text}", asked.method, asked.path)), text)
}

fn open(page: &Page, asked: &Asked) -> TcpStream {
    let mut stream = TcpStream::connect(page.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut head = format!("{} {} HTTP/1.1\r\n", asked.method, asked.path);
    for (name, value) in &asked.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    // A server that refuses by the head alone may have closed already.
    let _ = stream.write_all(&asked.body);
    stream
}

fn ask(page: &Page, asked: &Asked) -> (Option<u16>, String) {
    let mut stream = open(page, asked);
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    // An endless answer is known by its head.
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(len) => answer.extend(&buffer[..len]),
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
    let text = String::from_utf8_lossy(&answer).into_owned();
    (text.split(' ').nth(1).and_then(|status| status.parse().ok()), text)
}

#[test]
fn every_route_refuses_every_attack() {
    let page = serve();
    let mut open = Vec::new();
    for route in table() {
        let name = format!("{} {}", route.method, route.path);
        let proper = proper(&page, &route);
        let status = |asked: Asked| send(&page, &asked).0;
        let (fine, head) = send(&page, &proper);
        assert!(![401, 403, 405, 413, 415, 421].contains(&fine) || route.path == "/api/v1/session", "{name}: {fine}");
        let head = head.to_lowercase();
        for wanted in [
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "referrer-policy: no-referrer",
        ] {
            assert!(head.contains(wanted), "{name} lacks {wanted}: {head}");
        }
        assert!(!head.contains("access-control-"), "{name}: nobody else's page may read this");
        // 1, 2: no token, a wrong one.
        if route.who == Who::Anybody {
            open.push(name.clone());
        } else {
            assert_eq!(status(proper.clone().with("Authorization", "")), 401, "{name} without a token");
        }
        for wrong in ["Bearer nonsense", "Bearer ", "Basic dXNlcjpwYXNz", "nonsense"] {
            let got = status(proper.clone().with("Authorization", wrong));
            assert!(got == 401 || got == 429, "{name} with `{wrong}`: {got}");
        }
        // 3: a name that somebody has pointed here.
        let port = page.address.port();
        for host in [
            "evil.example",
            &format!("evil.example:{port}"),
            "127.0.0.1",
            &format!("127.0.0.1.nip.io:{port}"),
            &format!("0.0.0.0:{port}"),
        ] {
            assert_eq!(status(proper.clone().with("Host", host)), 421, "{name} as {host}");
        }
        // 4, 5: another site's page.
        for origin in [
            "http://evil.example",
            "null",
            &format!("http://localhost:{}", port ^ 1),
            &format!("https://127.0.0.1:{port}"),
        ] {
            assert_eq!(status(proper.clone().with("Origin", origin)), 403, "{name} from {origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert_eq!(status(proper.clone().with("Sec-Fetch-Site", site)), 403, "{name} {site}");
        }
        // 6: the other method, and others still.
        let other = if route.method == Method::GET { "POST" } else { "GET" };
        for method in [other, "PUT", "DELETE", "HEAD", "OPTIONS"] {
            assert_eq!(status(Asked { method: method.into(), ..proper.clone() }), 405, "{name} by {method}");
        }
        // 7: a large body, and one without an end.
        let large = if route.method == Method::POST { BODY_MAX + 1 } else { 1 };
        let asked = Asked { body: vec![b' '; large as usize], ..proper.clone() };
        assert_eq!(status(asked.with("Content-Length", &large.to_string())), 413, "{name} with {large} bytes");
        let endless = proper.clone().with("Content-Length", "").with("Transfer-Encoding", "chunked");
        assert_eq!(status(Asked { body: b"0\r\n\r\n".into(), ..endless }), 413, "{name} in chunks");
        // 8: what a form of another site can send without asking.
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            assert_eq!(status(proper.clone().with("Content-Type", kind)), 415, "{name} as {kind}");
        }
        if route.method == Method::POST {
            assert_eq!(status(proper.clone().with("X-Orion", "")), 403, "{name} without its mark");
        }
        if route.who == Who::Operator {
            let asked = proper.clone().with("Authorization", &format!("Bearer {}", page.viewer));
            assert_eq!(status(asked), 403, "{name} by a viewer");
        }
    }
    assert_eq!(open, ["GET /", "GET /app/{*file}", "GET /healthz", "POST /api/v1/session"], "nothing else is open");
    let nowhere = Asked { method: "GET".into(), path: "/etc/passwd".into(), headers: Vec::new(), body: Vec::new() };
    assert_eq!(send(&page, &nowhere.clone().with("Host", "evil.example")).0, 421);
    assert_eq!(send(&page, &nowhere.with("Host", &page.address.to_string())).0, 404);
}

#[test]
fn a_code_signs_in_once_and_the_session_ends_when_it_is_ended() {
    let page = serve();
    let routes = table();
    let route = |path: &str| routes.iter().find(|route| route.path == path).unwrap().clone();
    let sign_in = |code: &str| {
        let body = format!("{{\"code\":\"{code}\"}}").into_bytes();
        let length = body.len().to_string();
        let asked = Asked { body, ..proper(&page, &route("/api/v1/session")) }.with("Content-Length", &length);
        let mut stream = open(&page, &asked);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let code = page.handles.keys().code(Purpose::SignIn(Role::Viewer), orion::run::clock::unix());
    let answer = sign_in(&code);
    let token = answer.split("\"token\":\"").nth(1).unwrap_or_else(|| panic!("{answer}")).split('"').next().unwrap();
    assert!(sign_in(&code).starts_with("HTTP/1.1 401"), "a code is good once");
    let confirm = page.handles.keys().code(Purpose::Confirm, orion::run::clock::unix());
    assert!(sign_in(&confirm).starts_with("HTTP/1.1 401"), "what confirms signs nobody in");
    let status = |token: &str, path: &str| {
        send(&page, &proper(&page, &route(path)).with("Authorization", &format!("Bearer {token}"))).0
    };
    assert_eq!(status(token, "/api/v1/logs"), 200);
    assert_eq!(status(token, "/api/v1/session/end"), 200);
    assert_eq!(status(token, "/api/v1/logs"), 401);
    assert!(page.handles.keys().role(&page.operator, UnixMs::new(u64::MAX)).is_none(), "no token is for ever");
}

#[test]
fn connections_have_a_limit_and_the_page_answers_when_they_are_gone() {
    let page = serve();
    // More than the limit; none of them says a word.
    let silent: Vec<_> = (0..300).filter_map(|_| TcpStream::connect(page.address).ok()).collect();
    let closed = silent
        .iter()
        .filter(|stream| {
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let mut byte = [0; 1];
            matches!((&**stream).read(&mut byte), Ok(0))
        })
        .count();
    assert!(44 <= closed, "{closed} of {} were closed at once", silent.len());
    drop(silent);
    let route = table().into_iter().find(|route| route.path == "/api/v1/logs").unwrap();
    let asked = proper(&page, &route);
    // Places are free as soon as the server has seen the ends.
    let answered = (0..200).any(|_| {
        std::thread::park_timeout(Duration::from_millis(10));
        ask(&page, &asked).0 == Some(200)
    });
    assert!(answered, "the page answers again");
}
