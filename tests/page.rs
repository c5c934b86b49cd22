//! The page's server around a running engine: what is ordered there is done once, written down, and the books agree in the
//! end, whatever was stopped, started and changed meanwhile.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

fn orion(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orion"));
    command.arg("--config").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config/orion.toml"));
    command.arg("--state-dir").arg(state).args(args);
    command
}

fn told(state: &Path, args: &[&str]) -> Option<Value> {
    let output = orion(state, args).output().unwrap();
    output.status.success().then(|| serde_json::from_slice(&output.stdout).ok()).flatten()
}

#[expect(clippy::disallowed_methods, reason = "the deadline of a test that failed")]
async fn until<T, F: Future<Output = Option<T>>>(what: &str, reached: impl Fn() -> F) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(found) = reached().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} never came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct Page {
    client: Client,
    origin: String,
    token: String,
}

impl Page {
    /// Signs in at a running demo.
    async fn open(state: &Path) -> Self {
        let client = Client::new();
        let link = until("a link", || async { told(state, &["dashboard", "--json"]) }).await;
        let (origin, code) = link["url"].as_str().unwrap().split_once("/#k=").unwrap();
        let sent =
            client.post(format!("{origin}/api/v1/session")).header("X-Orion", "1").json(&json!({ "code": code }));
        let session: Value = sent.send().await.unwrap().json().await.unwrap();
        Self { client, origin: origin.into(), token: session["token"].as_str().unwrap().into() }
    }

    async fn get(&self, path: &str) -> Value {
        let asked = self.client.get(format!("{}{path}", self.origin)).bearer_auth(&self.token);
        asked.send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let asked = self.client.post(format!("{}{path}", self.origin)).bearer_auth(&self.token).header("X-Orion", "1");
        let answer = asked.json(&body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Orders something and waits for its end.
    async fn order(&self, body: Value) -> Value {
        let id = body["id"].as_str().unwrap().to_owned();
        let (status, answer) = self.post("/api/v1/commands", body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        until("the end of a command", || async {
            Some(self.get(&format!("/api/v1/commands/{id}")).await).filter(|order| order["state"] != "accepted")
        })
        .await
    }

    async fn fingerprint(&self) -> Value {
        self.get("/api/v1/config").await["fingerprint"].clone()
    }
}

fn demo(state: &Path) -> Child {
    orion(state, &["demo", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn end(child: Child) -> Value {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn an_engine_that_is_stopped_and_started_from_the_page_goes_on_and_its_books_agree() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let child = demo(state);
    let page = Page::open(state).await;
    let fills = || async { Some(page.get("/api/v1/status").await).filter(|s| 0 < s["fills"].as_u64().unwrap_or(0)) };
    until("a fill", fills).await;
    let stop = json!({ "id": "stop-0001", "command": "stop", "open": "finish" });
    assert_eq!(page.order(stop.clone()).await["state"], "done");
    assert_eq!(page.get("/api/v1/status").await["engine"], "stopped");
    // The same id again is the same command: nothing more happens.
    let (status, again) = page.post("/api/v1/commands", stop).await;
    assert_eq!((status, &again["state"]), (StatusCode::ACCEPTED, &json!("done")));
    // The audit trail takes what happens while no engine runs, and a pause holds for the next one.
    assert_eq!(page.order(json!({ "id": "pause-001", "command": "pause" })).await["state"], "done");
    let (status, why) =
        page.post("/api/v1/commands", json!({ "id": "kill-0000", "command": "resume", "expect": "active" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{why}");
    assert_eq!(page.order(json!({ "id": "start-001", "command": "start" })).await["state"], "done");
    let status = until("the engine's own word", || async {
        Some(page.get("/api/v1/status").await).filter(|s| s["engine"] == "running" && s["agrees"] == true)
    })
    .await;
    assert_eq!(status["state"], "paused");
    let resumed = page.order(json!({ "id": "resume-01", "command": "resume", "expect": "paused" })).await;
    assert_eq!(resumed["result"], "active", "{resumed}");
    let written = until("rows of every command", || async {
        let rows = page.get("/api/v1/audit?table=commands").await;
        let names: Vec<_> =
            rows["rows"].as_array()?.iter().map(|row| row["command"].as_str().unwrap().to_owned()).collect();
        ["stop", "pause", "start", "resume"].iter().all(|name| names.contains(&(*name).to_owned())).then_some(names)
    })
    .await;
    assert_eq!(written.iter().filter(|name| *name == "stop").count(), 1, "{written:?}");
    let summary = end(child);
    assert_eq!(summary["agrees"], true, "{}", summary["disagreements"]);
}

#[tokio::test]
async fn settings_are_saved_with_their_comments_apply_at_once_where_they_can_and_loosening_wants_the_phrase() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let overlay = state.join("overlay.toml");
    std::fs::write(&overlay, "# mine\n[trading]\ncooldown_s = 5 # seconds of rest\n").unwrap();
    let child = demo(state);
    let page = Page::open(state).await;
    until("an engine", || async { Some(page.get("/api/v1/status").await).filter(|s| s["engine"] == "running") }).await;
    let save = |changes: Value, fingerprint: Value, phrase: &'static str| {
        let body = json!({ "changes": changes, "fingerprint": fingerprint, "phrase": phrase });
        page.post("/api/v1/config/save", body)
    };
    let print = page.fingerprint().await;
    let (status, why) = save(json!({ "trading.cooldown_s": "1" }), print.clone(), "").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{why}");
    assert!(why["error"].as_str().unwrap().contains("loosen risk"));
    let (status, why) = save(json!({ "trading.cooldown_s": "9000" }), print.clone(), "loosen risk").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{why}");
    assert!(why["errors"][0]["help"].as_str().unwrap().contains("0 to 3600"), "{why}");
    let (status, done) =
        save(json!({ "trading.cooldown_s": "7", "risk.max_naked_usd": "20" }), print.clone(), "").await;
    assert_eq!(status, StatusCode::OK, "{done}");
    let applies: Vec<_> = done["diff"].as_array().unwrap().iter().map(|c| (&c["key"], &c["applies"])).collect();
    assert_eq!(
        applies,
        [(&json!("trading.cooldown_s"), &json!("now")), (&json!("risk.max_naked_usd"), &json!("next start"))]
    );
    let text = std::fs::read_to_string(&overlay).unwrap();
    assert!(text.starts_with("# mine\n") && text.contains("cooldown_s = 7 # seconds of rest"), "{text}");
    let pending = page.get("/api/v1/config").await["pending"].clone();
    assert_eq!(pending[0]["key"], "risk.max_naked_usd", "{pending}");
    assert_eq!(pending.as_array().unwrap().len(), 1, "{pending}");
    // Somebody who saw the page before that is told to look again.
    assert_eq!(save(json!({ "trading.cooldown_s": "8" }), print, "").await.0, StatusCode::CONFLICT);
    // What is switched at once shows in the engine's own word.
    let print = page.fingerprint().await;
    let (status, done) = save(json!({ "log.level": "info" }), print, "").await;
    assert_eq!((status, done["diff"].as_array().unwrap().len()), (StatusCode::OK, 0), "{done}");
    // Taking it back loosens again what was tightened.
    let (print, phrase) = (page.fingerprint().await, "loosen risk");
    let (status, _) = page.post("/api/v1/config/undo", json!({ "fingerprint": print, "phrase": phrase })).await;
    assert_eq!(status, StatusCode::OK);
    let print = page.fingerprint().await;
    let (status, back) = page.post("/api/v1/config/undo", json!({ "fingerprint": print, "phrase": phrase })).await;
    assert_eq!(status, StatusCode::OK, "{back}");
    let text = std::fs::read_to_string(&overlay).unwrap();
    assert_eq!(text, "# mine\n[trading]\ncooldown_s = 5 # seconds of rest\n");
    // Whoever edits the file asks for it with SIGHUP.
    std::fs::write(&overlay, "[trading]\nthreshold_spread = 0.03\n").unwrap();
    assert!(Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap().success());
    until("the reload in the audit trail", || async {
        let rows = page.get("/api/v1/audit?table=settings&limit=5").await;
        let found = rows["rows"].as_array()?.iter().any(|row| {
            row["key"] == "trading.threshold_spread" && row["after"] == "0.03" && row["origin"] == "SIGHUP, now"
        });
        found.then_some(())
    })
    .await;
    std::fs::write(&overlay, "[trading]\nthreshold_sprad = 0.03\n").unwrap();
    assert!(Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap().success());
    until("a refused reload in the audit trail", || async {
        let rows = page.get("/api/v1/audit?table=commands").await;
        let refused =
            |row: &Value| row["command"] == "reload" && row["result"].as_str().unwrap().starts_with("refused");
        rows["rows"].as_array()?.iter().any(refused).then_some(())
    })
    .await;
    std::fs::remove_file(&overlay).unwrap();
    let summary = end(child);
    assert_eq!(summary["agrees"], true, "{}", summary["disagreements"]);
}
