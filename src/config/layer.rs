//! One source of settings (a file, the overlay, the environment, the flags) as a figment provider that remembers where
//! each value stands. Unknown keys and unreadable values are refused here, where their place is known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use miette::NamedSource;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Origin, Spot};
use super::key::{self, Key, Kind};

/// A decimal of more digits would not survive the trip through a double.
const DIGITS_MAX: usize = 15;

/// What stands behind a layer, for origins and error texts.
#[derive(Clone, Debug)]
pub(super) enum Role {
    File(PathBuf),
    Overlay(PathBuf),
    Env,
    Flags,
}

/// A layer that was read.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    role: Role,
    values: Dict,
    places: BTreeMap<String, Place>,
}

#[derive(Clone, Debug)]
enum Place {
    Spot(Spot),
    /// The name of a variable or a flag.
    Name(String),
}

impl Layer {
    /// Reads a TOML text; `path` is what errors call it.
    pub fn toml(role: Role, path: &Path, text: &str) -> Result<Self, Vec<Fault>> {
        let source = Arc::new(NamedSource::new(path.display().to_string(), text.to_owned()));
        let mut layer = Self { role, values: Dict::new(), places: BTreeMap::new() };
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let fault = |error: &toml::de::Error| {
                let span = error.span().unwrap_or(0..0);
                let spot = Spot { source: source.clone(), from: span.start, len: span.len() };
                layer.fault(path.display().to_string(), error.message().trim().to_owned(), SYNTAX.into(), Some(spot))
            };
            return Err(errors.iter().map(fault).collect());
        }
        let mut faults = Vec::new();
        for (section, body) in document.get_ref() {
            let name = section.get_ref().as_ref();
            let spot = Spot { source: source.clone(), from: section.span().start, len: section.span().len() };
            if !key::sections().iter().any(|known| known.name == name) {
                faults.push(layer.unknown_section(name, spot));
                continue;
            }
            let DeValue::Table(table) = body.get_ref() else {
                let help = format!("write it as a section: [{name}]");
                faults.push(layer.fault(name.into(), "is a section, not a key".into(), help, Some(spot)));
                continue;
            };
            for (leaf, value) in table {
                let path = format!("{name}.{}", leaf.get_ref());
                let spot =
                    |span: std::ops::Range<usize>| Spot { source: source.clone(), from: span.start, len: span.len() };
                let Some(known) = key::find(&path) else {
                    faults.push(layer.unknown_key(name, leaf.get_ref(), Some(spot(leaf.span()))));
                    continue;
                };
                match toml_value(value.get_ref()) {
                    Ok(found) => layer.put(known, found, Place::Spot(spot(value.span()))),
                    Err(what) => faults.push(layer.fault(path, what, known.help(), Some(spot(value.span())))),
                }
            }
        }
        if faults.is_empty() { Ok(layer) } else { Err(in_order(faults)) }
    }

    /// Picks `ORION_SECTION__KEY` out of an environment. Other variables are not ours, except those that look as if a
    /// single underscore was meant to be two.
    pub fn env(variables: &[(String, String)]) -> Result<Self, Vec<Fault>> {
        let mut layer = Self { role: Role::Env, values: Dict::new(), places: BTreeMap::new() };
        let mut faults = Vec::new();
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix("ORION_") else { continue };
            let rest = rest.to_ascii_lowercase();
            if let Some((section, leaf)) = rest.split_once("__") {
                layer.typed(&format!("{section}.{leaf}"), text, name, &mut faults);
                continue;
            }
            let meant = key::keys().find(|known| rest == format!("{}_{}", known.section, known.name));
            if let Some(known) = meant {
                let right = format!("ORION_{}__{}", known.section, known.name).to_ascii_uppercase();
                let help = format!("two underscores stand between section and key: {right}");
                layer.places.insert(known.path.clone(), Place::Name(name.clone()));
                faults.push(layer.fault(known.path.clone(), "is not set by this name".into(), help, None));
            }
        }
        if faults.is_empty() { Ok(layer) } else { Err(faults) }
    }

    /// Settings from the command line: dotted key, text, and the flag as it was typed.
    pub fn flags(flags: &[(String, String, String)]) -> Result<Self, Vec<Fault>> {
        let mut layer = Self { role: Role::Flags, values: Dict::new(), places: BTreeMap::new() };
        let mut faults = Vec::new();
        for (path, text, flag) in flags {
            layer.typed(path, text, flag, &mut faults);
        }
        if faults.is_empty() { Ok(layer) } else { Err(faults) }
    }

    /// The layer's name in figment's memory; unique per layer.
    pub fn name(&self) -> &'static str {
        match self.role {
            Role::File(_) => "file",
            Role::Overlay(_) => "overlay",
            Role::Env => "environment",
            Role::Flags => "flags",
        }
    }

    /// Does this layer set the key?
    pub fn holds(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// Where this layer has the key.
    pub fn origin(&self, path: &str) -> Origin {
        match (&self.role, self.places.get(path)) {
            (Role::File(file), Some(Place::Spot(spot))) => Origin::File { path: file.clone(), line: spot.line() },
            (Role::Overlay(file), Some(Place::Spot(spot))) => Origin::Overlay { path: file.clone(), line: spot.line() },
            (Role::Flags, Some(Place::Name(name))) => Origin::Flag(name.clone()),
            (_, Some(Place::Name(name))) => Origin::Env(name.clone()),
            (_, _) => Origin::Default,
        }
    }

    /// A fault of a key that this layer sets.
    pub fn fault_at(&self, path: &str, what: String, help: String) -> Fault {
        let spot = match self.places.get(path) {
            Some(Place::Spot(spot)) => Some(spot.clone()),
            _ => None,
        };
        self.fault(path.into(), what, help, spot)
    }

    fn fault(&self, key: String, what: String, help: String, spot: Option<Spot>) -> Fault {
        let line = |spot: &Option<Spot>| spot.as_ref().map_or(1, Spot::line);
        let origin = match (&self.role, self.places.get(&key)) {
            (Role::File(path), _) => Origin::File { path: path.clone(), line: line(&spot) }.to_string(),
            (Role::Overlay(path), _) => Origin::Overlay { path: path.clone(), line: line(&spot) }.to_string(),
            (Role::Env, Some(Place::Name(name))) => Origin::Env(name.clone()).to_string(),
            (Role::Flags, Some(Place::Name(name))) => Origin::Flag(name.clone()).to_string(),
            (Role::Env | Role::Flags, _) => self.name().into(),
        };
        Fault { key, what, help, origin, spot }
    }

    fn unknown_section(&self, name: &str, spot: Spot) -> Fault {
        let known = || key::sections().iter().map(|section| section.name.as_str());
        let help = match (key::nearest(name, known()), key::keys().find(|key| key.name == name.trim())) {
            (_, Some(key)) => format!("{} belongs into section [{}]", key.name, key.section),
            (Some(near), None) => format!("did you mean [{near}]?"),
            (None, None) => format!("the sections are {}", known().collect::<Vec<_>>().join(", ")),
        };
        self.fault(name.into(), "is no section of this file".into(), help, Some(spot))
    }

    fn unknown_key(&self, section: &str, name: &str, spot: Option<Spot>) -> Fault {
        let path = format!("{section}.{name}");
        if let Some(help) = key::retired(&path) {
            return self.fault(path, "is no longer a setting: no key lies in plain text".into(), help.into(), spot);
        }
        let here = || key::keys().filter(|key| key.section == section).map(|key| key.name.as_str());
        let elsewhere = key::keys().find(|key| key.name == name);
        let help = match (key::nearest(name, here()), elsewhere) {
            (_, Some(key)) => format!("did you mean {}? It belongs into section [{}]", key.path, key.section),
            (Some(near), None) => format!("did you mean {near} in [{section}]?"),
            (None, None) => format!("the keys of [{section}] are {}", here().collect::<Vec<_>>().join(", ")),
        };
        let odd = if name == name.trim() { "" } else { " (there is a space at its edge)" };
        self.fault(path, format!("unknown key{odd}"), help, spot)
    }

    /// Reads a text from outside a file by the type that the key must have.
    fn typed(&mut self, path: &str, text: &str, name: &str, faults: &mut Vec<Fault>) {
        let first = self.places.insert(path.into(), Place::Name(name.into()));
        let Some(known) = key::find(path) else {
            let (section, leaf) = path.split_once('.').unwrap_or(("", path));
            let mut fault = self.unknown_key(section, leaf, None);
            if !key::sections().iter().any(|known| known.name == section) {
                let known = key::nearest(path, key::keys().map(|key| key.path.as_str()));
                fault.help = known.map_or_else(String::new, |near| format!("did you mean {near}?"));
            }
            faults.push(fault);
            return;
        };
        if first.is_some() {
            faults.push(self.fault(path.into(), "is set twice in this layer".into(), "set it once".into(), None));
            return;
        }
        match typed_value(known.kind, text) {
            Ok(value) => self.put(known, value, Place::Name(name.into())),
            Err(what) => faults.push(self.fault(path.into(), what, known.help(), None)),
        }
    }

    fn put(&mut self, key: &Key, value: Value, place: Place) {
        self.places.insert(key.path.clone(), place);
        let section = self.values.entry(key.section.clone()).or_insert_with(|| Value::from(Dict::new()));
        if let Value::Dict(_, keys) = section {
            keys.insert(key.name.clone(), value);
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

const SYNTAX: &str = "the file is TOML: [section] lines, and key = value lines below them, each key once";

/// Faults of one file, top to bottom.
pub(super) fn in_order(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort_by_key(|fault| fault.spot.as_ref().map(|spot| spot.from));
    faults
}

fn toml_value(value: &DeValue<'_>) -> Result<Value, String> {
    match value {
        DeValue::String(text) => Ok(Value::from(text.as_ref())),
        DeValue::Boolean(flag) => Ok(Value::from(*flag)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .map_err(|_| "is larger than any number we know".into()),
        DeValue::Float(number) => decimal(number.as_str()),
        DeValue::Array(items) => {
            items.iter().map(|item| toml_value(item.get_ref())).collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        DeValue::Datetime(_) => Err("is a date".into()),
        DeValue::Table(_) => Err("is a table".into()),
    }
}

fn typed_value(kind: Kind, text: &str) -> Result<Value, String> {
    let wrong = || format!("`{text}` is not {}", kind.name());
    match kind {
        Kind::Text => Ok(Value::from(text)),
        Kind::Boolean => text.parse::<bool>().map(Value::from).map_err(|_| wrong()),
        Kind::Integer => text.parse::<i64>().map(Value::from).map_err(|_| wrong()),
        Kind::Decimal => {
            let plain = text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            if plain { decimal(text) } else { Err(wrong()) }
        }
        Kind::Numbers => {
            let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
            inner
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| item.parse::<i64>().map(Value::from).map_err(|_| wrong()))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::from)
        }
    }
}

/// A decimal whose every digit survives in a double.
fn decimal(text: &str) -> Result<Value, String> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if DIGITS_MAX < digits.trim_matches('0').len() {
        return Err(format!("`{text}` has more than {DIGITS_MAX} digits"));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::from(number)),
        _ => Err(format!("`{text}` is not a number")),
    }
}
