//! Every route, in one table: nothing is served that does not stand here, and nothing that stands here passes the gate by
//! another way. `tests/routes.rs` runs every attack against every line.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use serde::Serialize;

use super::{App, asset, event, figure, gate::BODY_MAX, order, setting, view};
use crate::run::clock;

/// Who may use a route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Who {
    Anybody,
    Viewer,
    Operator,
}

/// A request that the gate let in.
#[derive(Debug)]
pub struct Ask {
    /// What stands in the path's place for it, or nothing.
    pub part: String,
    pub query: HashMap<String, String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Ask {
    /// A number of the query, within bounds.
    pub fn number(&self, name: &str, default: u64, most: u64) -> Result<u64, Problem> {
        let Some(text) = self.query.get(name) else { return Ok(default) };
        match text.parse() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(Problem::new(StatusCode::BAD_REQUEST, format!("{name}: a whole number up to {most}"))),
        }
    }

    /// The body.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}")))
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    text: String,
}

impl Problem {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, json(&serde_json::json!({ "error": self.text }))).into_response()
    }
}

/// A JSON answer.
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

pub type Answered = Result<Response, Problem>;

/// How a route is answered.
#[derive(Clone, Copy)]
pub enum Run {
    /// At once: nothing that may wait, so that a kill never stands in a queue.
    Now(fn(&App, &Ask) -> Answered),
    /// On a thread that may wait for the disk.
    Disk(fn(&App, &Ask) -> Answered),
    /// As long as the caller listens.
    Stream(fn(&App) -> Answered),
}

/// One route.
#[derive(Clone)]
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub who: Who,
    pub run: Run,
}

fn get(path: &'static str, who: Who, run: Run) -> Route {
    Route { method: Method::GET, path, who, run }
}

fn post(path: &'static str, who: Who, run: Run) -> Route {
    Route { method: Method::POST, path, who, run }
}

/// Everything that is served.
pub fn table() -> Vec<Route> {
    use Run::{Disk, Now, Stream};
    use Who::{Anybody, Operator, Viewer};
    vec![
        get("/", Anybody, Now(|_, _| Ok(asset::answer("index.html")))),
        get("/app/{*file}", Anybody, Now(|_, ask| Ok(asset::answer(&ask.part)))),
        get("/healthz", Anybody, Now(view::healthz)),
        get("/readyz", Viewer, Now(view::readyz)),
        get("/metrics", Viewer, Now(view::metrics)),
        post("/api/v1/session", Anybody, Now(order::sign_in)),
        post("/api/v1/session/end", Viewer, Now(order::sign_out)),
        get("/api/v1/status", Viewer, Now(view::status)),
        get("/api/v1/events", Viewer, Stream(event::stream)),
        get("/api/v1/opportunities", Viewer, Disk(view::opportunities)),
        get("/api/v1/opportunities/{id}", Viewer, Disk(view::opportunity)),
        get("/api/v1/positions", Viewer, Disk(view::positions)),
        get("/api/v1/trades", Viewer, Disk(view::trades)),
        get("/api/v1/trades.csv", Viewer, Disk(view::trades_csv)),
        get("/api/v1/performance", Viewer, Disk(figure::performance)),
        get("/api/v1/funnel", Viewer, Disk(figure::funnel)),
        get("/api/v1/pairs", Viewer, Disk(figure::pairs)),
        get("/api/v1/latency", Viewer, Now(view::latency)),
        get("/api/v1/latency.hlog", Viewer, Now(view::hlog)),
        get("/api/v1/config", Viewer, Disk(setting::show)),
        get("/api/v1/audit", Viewer, Disk(view::audit)),
        get("/api/v1/logs", Viewer, Now(view::logs)),
        post("/api/v1/commands", Operator, Now(order::command)),
        get("/api/v1/commands/{id}", Viewer, Now(order::command_state)),
        post("/api/v1/config/check", Operator, Disk(setting::check)),
        post("/api/v1/config/save", Operator, Disk(setting::save)),
        post("/api/v1/config/undo", Operator, Disk(setting::undo)),
    ]
}

/// The router of the table.
pub fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for route in table() {
        let (app, path) = (app.clone(), route.path);
        router = router.route(path, any(move |request: Request| serve(app.clone(), Some(route.clone()), request)));
    }
    let app = app.clone();
    router.fallback(move |request: Request| serve(app.clone(), None, request))
}

async fn serve(app: Arc<App>, route: Option<Route>, request: Request) -> Response {
    let mut response = match admit(&app, route.as_ref(), request).await {
        Ok((ask, run)) => answer(app, run, ask).await.unwrap_or_else(Problem::into_response),
        Err(problem) => problem.into_response(),
    };
    harden(response.headers_mut());
    response
}

/// The gate, then the body.
async fn admit(app: &App, route: Option<&Route>, request: Request) -> Result<(Ask, Run), Problem> {
    let now = clock::unix();
    let (parts, body) = request.into_parts();
    // What is not there is asked for like the page: names and sites are looked at before anything is said about it.
    let asked = route.map_or((&parts.method, Who::Anybody), |route| (&route.method, route.who));
    app.gate.judge(&parts.method, &parts.headers, asked, app.handles.keys(), now).map_err(|refusal| {
        app.refused(refusal);
        Problem::new(refusal.status(), refusal.sentence())
    })?;
    let Some(route) = route else { return Err(Problem::new(StatusCode::NOT_FOUND, "no such route")) };
    let read = tokio::time::timeout(Duration::from_secs(5), to_bytes(body, BODY_MAX as usize));
    let body = match read.await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or broke off")),
        Err(_) => return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come within 5 s")),
    };
    let pattern = parts.extensions.get::<MatchedPath>().map_or(route.path, MatchedPath::as_str);
    let part = pattern.find('{').and_then(|at| parts.uri.path().get(at..)).unwrap_or_default().to_owned();
    let query = parts.uri.query().unwrap_or_default();
    let query = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned()));
    Ok((Ask { part, query: query.collect(), headers: parts.headers, body }, route.run))
}

async fn answer(app: Arc<App>, run: Run, ask: Ask) -> Answered {
    match run {
        Run::Now(answer) => answer(&app, &ask),
        Run::Stream(answer) => answer(&app),
        Run::Disk(answer) => tokio::task::spawn_blocking(move || answer(&app, &ask))
            .await
            .unwrap_or_else(|_| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made"))),
    }
}

/// What every answer carries: no other site may frame it, run a script in it, keep it or learn where it was read.
fn harden(headers: &mut HeaderMap) {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
        connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
        require-trusted-types-for 'script'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// A text answer.
pub fn text(kind: &'static str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, kind)], body.into()).into_response()
}
