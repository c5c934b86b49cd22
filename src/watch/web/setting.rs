//! The settings as the page shows and saves them.

use std::{collections::BTreeMap, path::Path};

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App,
    route::{Answered, Ask, Problem, json as answer},
};
use crate::{
    config::{
        ConfigError,
        edit::{self, Change, Described},
    },
    watch::settings::{PHRASE, Unchanged},
};

/// What the page sends.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    changes: BTreeMap<String, Option<String>>,
    #[serde(default)]
    fingerprint: String,
    #[serde(default)]
    phrase: String,
}

/// `GET /api/v1/config`.
pub fn show(app: &App, _: &Ask) -> Answered {
    let next = app.settings.next().map_err(|error| unreadable(&error))?;
    let overlay = edit::overlay_path(&next);
    let keys: Vec<_> = Described::every()
        .map(|key| {
            let setting = &next.origins[key.path()];
            json!({
                "key": key.path(), "section": key.section(), "doc": key.doc(), "unit": key.unit(), "type": key.kind(),
                "range": key.allowed(), "choices": key.choices(), "default": key.default(), "value": setting.text,
                "origin": setting.origin.to_string(), "pinned": edit::pinned(&setting.origin),
                "applies": key.applies().name(), "guards": key.guards(),
            })
        })
        .collect();
    let pending: Vec<_> = app.settings.pending(&next).iter().map(change_json).collect();
    Ok(answer(&json!({
        "keys": keys, "overlay": overlay.display().to_string(), "undo": edit::undos(&overlay),
        "fingerprint": next.fingerprint(), "pending": pending,
    })))
}

/// `POST /api/v1/config/check`.
pub fn check(app: &App, ask: &Ask) -> Answered {
    let wish: Wish = ask.json()?;
    match edit::draft(app.settings.sources(), &wish.changes) {
        Ok(draft) => Ok(answer(&outcome(&draft.changes, None))),
        Err(error) => Ok(answer(&wrong(&error))),
    }
}

/// `POST /api/v1/config/save`.
pub fn save(app: &App, ask: &Ask) -> Answered {
    let wish: Wish = ask.json()?;
    let saved = app.settings.save(&wish.changes, &wish.fingerprint, &wish.phrase, &app.handles, "page");
    match saved {
        Ok(draft) => Ok(answer(&outcome(&draft.changes, Some(&draft.path)))),
        Err(unchanged) => refused(&unchanged),
    }
}

/// `POST /api/v1/config/undo`.
pub fn undo(app: &App, ask: &Ask) -> Answered {
    let wish: Wish = ask.json()?;
    match app.settings.undo(&wish.fingerprint, &wish.phrase, &app.handles, "page") {
        Ok(draft) => Ok(answer(&outcome(&draft.changes, Some(&draft.path)))),
        Err(unchanged) => refused(&unchanged),
    }
}

fn outcome(changes: &[Change], written: Option<&Path>) -> Value {
    let phrase = changes.iter().any(|change| change.loosens).then_some(PHRASE);
    let diff: Vec<_> = changes.iter().map(change_json).collect();
    json!({ "diff": diff, "phrase": phrase, "errors": [], "written": written.map(|path| path.display().to_string()) })
}

fn wrong(error: &ConfigError) -> Value {
    let errors: Vec<_> = error
        .faults()
        .iter()
        .map(|fault| json!({ "key": fault.key, "what": fault.what, "help": fault.help }))
        .collect();
    json!({ "diff": [], "phrase": null, "errors": errors, "written": null })
}

fn refused(unchanged: &Unchanged) -> Answered {
    let problem = |status, text: String| Err(Problem::new(status, text));
    match unchanged {
        Unchanged::Wrong(error) => Ok(unprocessable(&wrong(error))),
        Unchanged::Stale => problem(StatusCode::CONFLICT, "somebody changed settings meanwhile: look again".into()),
        Unchanged::Phrase => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, format!("this lets more be lost: type the phrase `{PHRASE}`"))
        }
        Unchanged::Nothing => problem(StatusCode::CONFLICT, "there is no save to take back".into()),
        Unchanged::Disk(error) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the overlay cannot be written, and nothing has changed: {error}"),
        ),
    }
}

fn unprocessable(value: &Value) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, answer(value)).into_response()
}

fn unreadable(error: &ConfigError) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the settings cannot be read: {}", error.render(false)))
}

fn change_json(change: &Change) -> Value {
    json!({
        "key": change.key, "before": change.before, "after": change.after, "applies": change.applies.name(),
        "loosens": change.loosens,
    })
}
