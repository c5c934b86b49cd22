//! The keys as the schema states them: type, unit, range, default, documentation. Read once from `raw.rs`.

use std::fmt::Write as _;
use std::sync::OnceLock;

use serde_json::Value;

use super::raw::Raw;

/// The JSON schema of the file, with an `x-unit` beside each key.
#[must_use]
pub fn schema() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|set| set.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Raw>().to_value()
}

/// The type that a key's value must have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Decimal,
    Integer,
    Boolean,
    Text,
    Numbers,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Decimal => "a number",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::Text => "a text in quotes",
            Self::Numbers => "a list of whole numbers",
        }
    }
}

/// Which values of a key let more be lost than others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Looser {
    /// None.
    Never,
    /// Larger ones.
    Up,
    /// Smaller ones.
    Down,
    /// Larger ones, and zero, which switches the limit off.
    UpOrOff,
    /// Any other one.
    Other,
    /// `true`.
    On,
}

/// One key of the file.
#[derive(Debug)]
pub(super) struct Key {
    /// `section.name`.
    pub path: String,
    pub section: String,
    pub name: String,
    pub doc: String,
    pub unit: String,
    pub kind: Kind,
    /// The default as TOML text.
    pub default: String,
    /// What is allowed, in words: `0 to 0.5`.
    pub allowed: String,
    /// The values to choose from, where only a few are allowed.
    pub choices: Vec<String>,
    /// A change takes effect while the engine runs.
    pub hot: bool,
    pub looser: Looser,
}

impl Key {
    /// Can more be lost with the second value than with the first? Both are TOML texts.
    pub fn loosens(&self, before: &str, after: &str) -> bool {
        let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
        let (old, new) = (number(before), number(after));
        match self.looser {
            Looser::Never => false,
            Looser::Up => old < new,
            Looser::Down => new < old,
            Looser::UpOrOff => old != 0.0 && (old < new || new == 0.0),
            Looser::Other => before != after,
            Looser::On => after == "true" && before != after,
        }
    }

    /// The sentence that every refusal of this key ends with.
    pub fn help(&self) -> String {
        let mut text = format!("{} takes {}", self.path, self.kind.name());
        if !self.allowed.is_empty() {
            let _ = write!(text, ", {}", self.allowed);
        }
        if !self.unit.is_empty() {
            let _ = write!(text, " ({})", self.unit);
        }
        let _ = write!(text, "; default: {} = {}", self.name, self.default);
        text
    }
}

/// A section and its documentation, in the file's order.
#[derive(Debug)]
pub(super) struct Section {
    pub name: String,
    pub doc: String,
    pub keys: Vec<Key>,
}

/// Every section in the order of `Raw`.
pub(super) fn sections() -> &'static [Section] {
    static SECTIONS: OnceLock<Vec<Section>> = OnceLock::new();
    SECTIONS.get_or_init(read)
}

/// Every key.
pub(super) fn keys() -> impl Iterator<Item = &'static Key> {
    sections().iter().flat_map(|section| &section.keys)
}

/// The key of this dotted path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    keys().find(|key| key.path == path)
}

/// What became of a key that earlier versions had: the command that takes its place.
pub(super) fn retired(path: &str) -> Option<&'static str> {
    match path {
        "feed.kalshi_key_id" | "feed.kalshi_key_file" => Some(
            "keys are sealed in the vault now: orion secrets import KEY.pem --kalshi-key-id ID; then take this line out",
        ),
        _ => None,
    }
}

/// The known name nearest to `typed`, or the two nearest where they are about as near, if that is near enough to be
/// what was meant.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let typed = typed.trim();
    let mut near: Vec<(f64, &str)> =
        known.map(|name| (strsim::jaro_winkler(typed, name), name)).filter(|(score, _)| 0.8 <= *score).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = near.first()?.0;
    let names: Vec<&str> =
        near.iter().take(2).filter(|(score, _)| best - 0.05 <= *score).map(|(_, name)| *name).collect();
    Some(names.join(" or "))
}

/// A JSON value as the TOML text of the same value, without a superfluous `.0`.
pub(super) fn toml_text(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(carrier) if number.is_f64() => carrier.to_string(),
            _ => number.to_string(),
        },
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn read() -> Vec<Section> {
    let schema = schema();
    let raw = serde_json::to_value(Raw::default()).expect("plain structs of numbers and texts serialise");
    // serde_json sorts an object's members, so the order of the file is taken from the serialised text.
    order(&Raw::default())
        .into_iter()
        .map(|(section, names)| {
            let part = &schema["properties"][&section];
            Section {
                doc: words(&part["description"]),
                keys: names
                    .into_iter()
                    .map(|name| {
                        let default = toml_text(&raw[&section][&name]);
                        key(&section, name.clone(), &part["properties"][&name], default)
                    })
                    .collect(),
                name: section,
            }
        })
        .collect()
}

fn key(section: &str, name: String, schema: &Value, default: String) -> Key {
    let kind = match schema["type"].as_str() {
        Some("number") => Kind::Decimal,
        Some("integer") => Kind::Integer,
        Some("boolean") => Kind::Boolean,
        Some("array") => Kind::Numbers,
        _ => Kind::Text,
    };
    let bound = |schema: &Value| {
        let least = schema.get("minimum").map_or_else(|| "0".into(), toml_text);
        schema.get("maximum").map(|most| format!("{least} to {}", toml_text(most)))
    };
    let allowed = match (kind, schema["enum"].as_array()) {
        (_, Some(names)) => names.iter().map(toml_text).collect::<Vec<_>>().join(", "),
        (Kind::Decimal, None) => {
            bound(schema).map(|range| format!("{range}, at most six decimals")).unwrap_or_default()
        }
        (Kind::Integer, None) => bound(schema).unwrap_or_default(),
        (Kind::Numbers, None) => bound(&schema["items"]).map(|range| format!("each {range}")).unwrap_or_default(),
        (Kind::Boolean | Kind::Text, None) => String::new(),
    };
    Key {
        path: format!("{section}.{name}"),
        section: section.into(),
        name,
        doc: words(&schema["description"]),
        unit: schema["x-unit"].as_str().unwrap_or_default().into(),
        kind,
        default,
        allowed,
        choices: schema["enum"].as_array().into_iter().flatten().map(toml_text).collect(),
        hot: schema["x-applies"].as_str() == Some("now"),
        looser: match schema["x-looser"].as_str() {
            None => Looser::Never,
            Some("up") => Looser::Up,
            Some("down") => Looser::Down,
            Some("up or 0") => Looser::UpOrOff,
            Some("other") => Looser::Other,
            Some("on") => Looser::On,
            Some(other) => unreachable!("`{other}` is no direction: raw.rs"),
        },
    }
}

fn words(doc: &Value) -> String {
    doc.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Section and key names in the order in which `Raw` declares them: TOML serialisation keeps it.
fn order(raw: &Raw) -> Vec<(String, Vec<String>)> {
    let text = toml::to_string(raw).expect("plain structs of numbers and texts serialise");
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push((name.into(), Vec::new()));
        } else if let (Some((name, _)), Some((_, names))) = (line.split_once(" = "), sections.last_mut()) {
            names.push(name.into());
        }
    }
    sections
}
