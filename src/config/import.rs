//! The predecessor's YAML as our TOML. Nothing is dropped without a note, and no value of a dropped key is repeated:
//! it may be a token.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::fault::{ConfigError, Fault};
use super::key::{self, Kind};
use super::layer::{Layer, Role};
use super::sample::sample_with;

/// A YAML file that was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Imported {
    /// The whole file in our form, commented, checked.
    pub toml: String,
    /// One sentence per thing that has no place here.
    pub notes: Vec<String>,
}

/// Sections and keys of the predecessor that mean something else here, or nothing.
const GONE: [(&str, &str); 4] = [
    ("kalshi", "keys go into the vault with: orion secrets import FILE; addresses are part of the build"),
    ("polymarket", "keys go into the vault with: orion secrets import FILE; addresses are part of the build"),
    ("telegram", "this version sends no Telegram messages"),
    ("dashboard", "the dashboard has no settings of its own in this version"),
];

/// Maps a YAML text of the predecessor. Values are checked as if they stood in our own file.
pub fn import_yaml(text: &str) -> Result<Imported, ConfigError> {
    import(text, Path::new("(yaml)"))
}

pub(super) fn import(text: &str, path: &Path) -> Result<Imported, ConfigError> {
    let fault = |key: &str, what: String, help: String| {
        let origin = format!("file {}", path.display());
        ConfigError::from(Fault { key: key.into(), what, help, origin, spot: None })
    };
    let yaml: Value = serde_saphyr::from_str(text)
        .map_err(|error| fault("(file)", error.to_string(), "the file is no YAML that can be read".into()))?;
    let mut notes = Vec::new();
    let mut values = BTreeMap::new();
    let sections = match &yaml {
        Value::Object(sections) => sections,
        Value::Null => &serde_json::Map::new(),
        _ => return Err(fault("(file)", "holds no sections".into(), "expected trading:, capital:, risk:".into())),
    };
    for (section, body) in sections {
        if let Some((_, why)) = GONE.iter().find(|(gone, _)| gone == section) {
            notes.push(format!("{section}: not taken over: {why}"));
            continue;
        }
        let Value::Object(keys) = body else {
            notes.push(format!("{section}: not taken over: no such setting in this version"));
            continue;
        };
        for (name, value) in keys {
            let dotted = format!("{section}.{name}");
            if let Some((_, why)) = GONE.iter().find(|(gone, _)| *gone == dotted) {
                notes.push(format!("{dotted}: not taken over: {why}"));
            } else if let Some(known) = key::find(&dotted) {
                values.insert(dotted, toml_value(known.kind, value));
            } else {
                let near = key::nearest(&dotted, key::keys().map(|key| key.path.as_str()));
                let hint = near.map_or_else(String::new, |near| format!("; the nearest is {near}"));
                notes.push(format!("{dotted}: not taken over: no such setting in this version{hint}"));
            }
        }
    }
    let toml = sample_with(&values);
    let layer = Layer::toml(Role::File(path.into()), path, &toml).map_err(ConfigError::new)?;
    super::check_layer(&layer).map_err(ConfigError::new)?;
    Ok(Imported { toml, notes })
}

/// Numbers in quotes are taken as numbers, as the predecessor did; all else keeps its type and is judged by the check.
fn toml_value(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (Kind::Decimal | Kind::Integer, Value::String(text))
            if text.trim().parse::<f64>().is_ok_and(f64::is_finite) =>
        {
            text.trim().into()
        }
        (Kind::Text, Value::Null) => "\"\"".into(),
        (_, value) => key::toml_text(value),
    }
}
