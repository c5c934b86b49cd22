//! A Bot API on loopback, as far as alerts need it, that can be told to misbehave. Written from Telegram's documents, not
//! from our client.

#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
    routing::post,
};
use crossbeam::channel::{Receiver, Sender, unbounded};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// The only token it knows.
pub const TOKEN: &str = "1234567890:CANARY-telegram-token-0123456789abc";

/// The API, and everything that it was asked.
pub struct BotApi {
    pub base: String,
    /// Method and body, in order. Bodies of the webhook come under `hook`, with the signature.
    pub calls: Receiver<(String, Value)>,
    inner: Arc<Inner>,
    /// It ends when this is dropped.
    _alive: tokio::sync::oneshot::Sender<()>,
}

struct Inner {
    state: Mutex<Inside>,
    came: Notify,
    calls: Sender<(String, Value)>,
}

#[derive(Default)]
struct Inside {
    updates: Vec<Value>,
    numbers: i64,
    messages: i64,
    scripted: HashMap<String, VecDeque<(u16, String)>>,
    forgetful: bool,
}

impl BotApi {
    pub fn start() -> Self {
        let (calls_in, calls) = unbounded();
        let inner = Arc::new(Inner { state: Mutex::default(), came: Notify::new(), calls: calls_in });
        let router = Router::new()
            .route("/hook", post(hook))
            .route("/{bot}/{method}", post(answer))
            .with_state(Arc::clone(&inner));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (alive, over) = tokio::sync::oneshot::channel::<()>();
        let served = std::thread::Builder::new().name("bot-api".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = over => {}
                }
            });
        });
        served.unwrap();
        Self { base, calls, inner, _alive: alive }
    }

    /// The next call of this method is answered so instead.
    pub fn script(&self, method: &str, status: u16, body: &Value) {
        self.script_text(method, status, &body.to_string());
    }

    pub fn script_text(&self, method: &str, status: u16, body: &str) {
        let mut state = self.inner.state.lock().unwrap();
        state.scripted.entry(method.into()).or_default().push_back((status, body.into()));
    }

    /// It gives the same updates again and again, whatever was confirmed.
    pub fn forget_offsets(&self) {
        self.inner.state.lock().unwrap().forgetful = true;
    }

    /// Somebody wrote.
    pub fn write(&self, user: i64, chat: i64, text: &str, at_ms: u64) {
        self.update(json!({ "message": {
            "message_id": 1, "date": at_ms / 1_000, "text": text,
            "from": { "id": user, "is_bot": false, "first_name": "Ada" }, "chat": { "id": chat, "type": "private" },
        }}));
    }

    /// Somebody pressed a button.
    pub fn press(&self, user: i64, chat: i64, data: &str) {
        self.update(json!({ "callback_query": {
            "id": "77", "data": data, "from": { "id": user, "first_name": "Ada" },
            "message": { "message_id": 1, "date": 0, "chat": { "id": chat, "type": "private" } },
        }}));
    }

    /// Any update at all.
    pub fn update(&self, mut update: Value) {
        let mut state = self.inner.state.lock().unwrap();
        state.numbers += 1;
        update["update_id"] = state.numbers.into();
        state.updates.push(update);
        drop(state);
        self.inner.came.notify_waiters();
    }
}

async fn hook(State(inner): State<Arc<Inner>>, headers: axum::http::HeaderMap, body: Bytes) -> impl IntoResponse {
    let signature = headers.get("X-Orion-Signature").map(|value| value.to_str().unwrap().to_owned());
    let text = String::from_utf8(body.to_vec()).unwrap();
    let _ = inner.calls.send(("hook".into(), json!({ "signature": signature, "body": text })));
    let scripted = inner.state.lock().unwrap().scripted.get_mut("hook").and_then(VecDeque::pop_front);
    StatusCode::from_u16(scripted.map_or(204, |(status, _)| status)).unwrap()
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    Path((bot, method)): Path<(String, String)>,
    body: Bytes,
) -> impl IntoResponse {
    let refused = |code: u16, what: &str| {
        let body = json!({ "ok": false, "error_code": code, "description": what });
        (StatusCode::from_u16(code).unwrap(), body.to_string())
    };
    if bot != format!("bot{TOKEN}") {
        return refused(401, "Unauthorized");
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { return refused(400, "Bad Request: not JSON") };
    let _ = inner.calls.send((method.clone(), body.clone()));
    let scripted = inner.state.lock().unwrap().scripted.get_mut(&method).and_then(VecDeque::pop_front);
    if let Some((status, text)) = scripted {
        return (StatusCode::from_u16(status).unwrap(), text);
    }
    let result = match method.as_str() {
        "getUpdates" => updates(&inner, &body).await,
        "sendMessage" => {
            let text = body["text"].as_str().unwrap_or_default();
            if text.is_empty() || 4_096 < text.encode_utf16().count() {
                return refused(400, "Bad Request: message is too long");
            }
            let mut state = inner.state.lock().unwrap();
            state.messages += 1;
            json!({ "message_id": state.messages, "chat": { "id": body["chat_id"] } })
        }
        _ => json!(true),
    };
    (StatusCode::OK, json!({ "ok": true, "result": result }).to_string())
}

async fn updates(inner: &Inner, body: &Value) -> Value {
    let offset = body["offset"].as_i64().unwrap_or(0);
    let wait = Duration::from_secs(body["timeout"].as_u64().unwrap_or(0));
    let fresh = || {
        let mut state = inner.state.lock().unwrap();
        if state.forgetful {
            return state.updates.clone();
        }
        state.updates.retain(|update| offset <= update["update_id"].as_i64().unwrap());
        state.updates.clone()
    };
    let came = inner.came.notified();
    let found = fresh();
    if !found.is_empty() {
        return found.into();
    }
    let _ = tokio::time::timeout(wait, came).await;
    fresh().into()
}
