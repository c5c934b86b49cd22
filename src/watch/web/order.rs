//! Commands of the page: taken once each, done on a thread of their own, told when they are over.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};

use super::{
    App,
    gate::bearer,
    route::{Answered, Ask, Problem, json},
};
use crate::{
    run::{clock, mode::Mode},
    watch::{
        command::{Open, Request},
        keyring::Purpose,
    },
};

/// Commands whose outcome is remembered.
const KNOWN_MAX: usize = 256;

/// A command and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Order {
    pub id: String,
    pub command: String,
    /// accepted, done, failed.
    pub state: &'static str,
    pub result: String,
}

/// The last commands.
#[derive(Debug, Default)]
pub struct Orders(Mutex<VecDeque<Order>>);

impl Orders {
    fn known(&self) -> MutexGuard<'_, VecDeque<Order>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Option<Order> {
        self.known().iter().find(|order| order.id == id).cloned()
    }

    /// Takes an id that is new; `false` if it is known.
    fn accept(&self, order: &Order) -> bool {
        let mut known = self.known();
        if known.iter().any(|old| old.id == order.id) {
            return false;
        }
        if known.len() == KNOWN_MAX {
            known.pop_front();
        }
        known.push_back(order.clone());
        true
    }

    fn over(&self, order: &Order) {
        if let Some(old) = self.known().iter_mut().find(|old| old.id == order.id) {
            *old = order.clone();
        }
    }
}

/// What the page sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    id: String,
    command: String,
    #[serde(default)]
    expect: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    phrase: Option<String>,
    #[serde(default)]
    on: Option<bool>,
    #[serde(default)]
    to: Option<Mode>,
    #[serde(default)]
    open: Option<Open>,
}

impl Wish {
    fn request(&self) -> Result<Request, Problem> {
        let missing =
            |name: &str| Problem::new(StatusCode::BAD_REQUEST, format!("{} also needs `{name}`", self.command));
        Ok(match self.command.as_str() {
            "pause" => Request::Pause,
            "resume" => Request::Resume,
            "kill" => Request::Kill,
            "flatten" => Request::Flatten,
            "drill" => Request::Drill,
            "arm" => Request::Arm,
            "disarm" => Request::Disarm,
            "auto_execute" => Request::AutoExecute { on: self.on.ok_or_else(|| missing("on"))? },
            "demote" => Request::Demote { to: self.to.ok_or_else(|| missing("to"))? },
            "start" => Request::Start,
            "stop" => Request::Stop { open: self.open.ok_or_else(|| missing("open"))? },
            "dump_latency" => Request::DumpLatency,
            other => {
                return Err(Problem::new(StatusCode::BAD_REQUEST, format!("`{}` is no command", other.escape_debug())));
            }
        })
    }
}

/// `POST /api/v1/commands`.
pub fn command(app: &App, ask: &Ask) -> Answered {
    let wish: Wish = ask.json()?;
    let letters = wish.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !(8..=64).contains(&wish.id.len()) || !letters {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "id: 8 to 64 letters, digits and dashes"));
    }
    if let Some(known) = app.orders.find(&wish.id) {
        return Ok(accepted(&known));
    }
    let request = wish.request()?;
    let status = app.handles.status();
    let state = if status.engine == "stopped" { "stopped" } else { status.state.as_str() };
    // A kill is done whatever the page last saw.
    if request != Request::Kill
        && let Some(expected) = wish.expect.as_deref().filter(|expected| *expected != state)
    {
        let why = format!("the engine is {state}, not {expected}: look again");
        return Err(Problem::new(StatusCode::CONFLICT, why));
    }
    if matches!(request, Request::Flatten | Request::Arm) {
        confirmed(app, wish.code.as_deref())?;
    }
    if request == Request::Arm && wish.phrase.as_deref().map(str::trim) != Some(&status.arming_phrase()) {
        let why = format!("that was not the phrase, which is: {}", status.arming_phrase());
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why));
    }
    let mut order = Order { id: wish.id, command: wish.command, state: "accepted", result: String::new() };
    if !app.orders.accept(&order) {
        return Ok(accepted(&order));
    }
    let answer = accepted(&order);
    let (handles, orders, events) = (app.handles.clone(), app.orders.clone(), app.events.clone());
    let done = move || {
        let answered = handles.execute(request, "page");
        order.state = if answered.is_done() { "done" } else { "failed" };
        order.result = answered.result();
        orders.over(&order);
        events.tell_status(&handles, &handles.status());
        events.tell("command", &order);
    };
    std::thread::Builder::new().name("page-command".into()).spawn(done).map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("no thread can be started: {error}"))
    })?;
    Ok(answer)
}

fn accepted(order: &Order) -> Response {
    (StatusCode::ACCEPTED, json(order)).into_response()
}

/// A fresh code from the terminal, for what cannot be taken back.
fn confirmed(app: &App, code: Option<&str>) -> Result<(), Problem> {
    let keys = app.handles.keys();
    let confirms = |purpose| purpose == Purpose::Confirm;
    if code.is_some_and(|code| keys.take_code(code.trim(), confirms, clock::unix()).is_some()) {
        return Ok(());
    }
    if code.is_some() && !keys.may_be_wrong() {
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong codes: wait a minute"));
    }
    let why = "a code is wanted that holds for two minutes: orion dashboard code, in a terminal on the engine's host";
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why))
}

/// `GET /api/v1/commands/{id}`.
pub fn command_state(app: &App, ask: &Ask) -> Answered {
    match app.orders.find(&ask.part) {
        Some(order) => Ok(json(&order)),
        None => Err(Problem::new(StatusCode::NOT_FOUND, "no such command since the start")),
    }
}

/// `POST /api/v1/session`.
pub fn sign_in(app: &App, ask: &Ask) -> Answered {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shown {
        code: String,
    }
    let shown: Shown = ask.json()?;
    let (keys, now) = (app.handles.keys(), clock::unix());
    let Some(Purpose::SignIn(role)) = keys.take_code(&shown.code, |purpose| purpose != Purpose::Confirm, now) else {
        if keys.may_be_wrong() {
            let why = "this code is not good, or was used: orion dashboard gives a new link";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, why));
        }
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong codes: wait a minute"));
    };
    let (token, until) = keys.session(role, now).map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the session cannot be kept: {error}"))
    })?;
    app.handles.note("page", "sign_in", String::new(), role.name().into());
    Ok(json(&serde_json::json!({ "token": token, "role": role, "expires_ms": until.raw() })))
}

/// `POST /api/v1/session/end`.
pub fn sign_out(app: &App, ask: &Ask) -> Answered {
    if let Some(token) = bearer(&ask.headers) {
        app.handles.keys().forget(token).map_err(|error| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the session cannot be forgotten: {error}"))
        })?;
    }
    Ok(json(&serde_json::json!({ "ended": true })))
}
