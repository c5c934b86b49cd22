//! Text → `Raw` → [`Config`]: checked once, then never changed.
//!
//! Layers, later ones win: defaults, the file, `overlay.toml` in the state directory, `ORION_SECTION__KEY` variables,
//! flags. Every layer is checked by itself, so a wrong value is refused even where a later layer would hide it. Nothing
//! here reads the environment or the command line: both are arguments.

mod checked;
pub mod edit;
mod fault;
mod import;
mod key;
mod layer;
mod raw;
mod sample;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind as Wrong;
use figment::providers::Serialized;
use garde::Validate;

pub use checked::{
    Alerts, Capital, Config, Dashboard, Engine, Feed, Level, Log, Pairs, Paper, Promotion, Risk, Telegram, Trading,
    Vault,
};
pub use fault::{ConfigError, Fault, Origin};
pub use import::{Imported, import_yaml};
pub use key::schema;
pub use raw::{Basis, Idle, LegOrder};
pub use sample::sample;

use checked::Broken;
use layer::{Layer, Role};
use raw::Raw;

/// Where the file is looked for when no flag names one; the first that exists is taken.
pub const FILES: [&str; 2] = ["config/orion.toml", "/etc/orion/orion.toml"];

/// A settings file larger than this is not one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What settings are made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`. `None`: the first of [`FILES`] that exists, else defaults. A `.yaml` or `.yml` of the predecessor
    /// is mapped, with notes.
    pub file: Option<PathBuf>,
    /// `None`: `overlay.toml` in the state directory, if there is one.
    pub overlay: Option<PathBuf>,
    /// The process's environment.
    pub env: Vec<(String, String)>,
    /// Dotted key, value text, and the flag as it was typed.
    pub flags: Vec<(String, String, String)>,
}

/// Settings, and where each came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// By dotted key.
    pub origins: BTreeMap<String, Setting>,
    /// What an operator should be told at start: one sentence each.
    pub notes: Vec<String>,
}

/// One effective value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting {
    /// As it would stand in the file.
    pub text: String,
    pub origin: Origin,
}

impl Loaded {
    /// SHA-256 of the effective settings, in hex: two runs with the same print ran with the same settings.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.print(|_| true)
    }

    /// The same of what decides how much may be lost: arming is bound to it.
    #[must_use]
    pub fn limits_print(&self) -> String {
        self.print(|key| ["trading.", "capital.", "risk."].iter().any(|section| key.starts_with(section)))
    }

    fn print(&self, counts: impl Fn(&str) -> bool) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for (key, setting) in self.origins.iter().filter(|(key, _)| counts(key)) {
            let _ = writeln!(text, "{key} = {}", setting.text);
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl Config {
    /// Reads, layers and checks. The error names every key that is wrong, its line or variable, and the fix.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        load(sources)
    }
}

/// See [`Config::load`].
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    load_with(sources, None)
}

/// The same with another text in place of what the overlay's file holds.
fn load_with(sources: &Sources, draft: Option<(&Path, &str)>) -> Result<Loaded, ConfigError> {
    let mut notes = Vec::new();
    let mut layers = Vec::new();
    let default = || FILES.iter().map(PathBuf::from).find(|path| path.exists());
    if let Some(path) = sources.file.clone().or_else(default) {
        let mut text = read(&path)?;
        if path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml") {
            let imported = import::import(&text, &path)?;
            text = imported.toml;
            notes.extend(imported.notes);
            notes.push(format!("{0} is YAML; keep it as TOML with: orion config import {0}", path.display()));
        }
        layers.push(Layer::toml(Role::File(path.clone()), &path, &text).map_err(ConfigError::new)?);
    }
    let env = Layer::env(&sources.env).map_err(ConfigError::new)?;
    let flags = Layer::flags(&sources.flags).map_err(ConfigError::new)?;
    let overlay = sources.overlay.clone().or_else(|| {
        let below: Vec<&Layer> = layers.iter().chain([&env, &flags]).collect();
        let raw = merged(&below).extract::<Raw>().ok()?;
        let path = state_dir(&raw.engine.state_dir, &sources.env)?.join("overlay.toml");
        path.exists().then_some(path)
    });
    let overlay = match draft {
        Some((path, text)) => Some((path.to_path_buf(), text.to_owned())),
        None => overlay.map(|path| read(&path).map(|text| (path, text))).transpose()?,
    };
    if let Some((path, text)) = overlay {
        let layer = Layer::toml(Role::Overlay(path.clone()), &path, &text).map_err(ConfigError::new)?;
        if layer.holds("engine.state_dir") {
            let help = "the overlay is found through the state directory; set it in the file or by variable".into();
            return Err(layer.fault_at("engine.state_dir", "cannot be set in the overlay".into(), help).into());
        }
        layers.push(layer);
    }
    layers.extend([env, flags]);
    assemble(&layers, &sources.env, notes)
}

/// Checks each layer, then the whole.
fn assemble(layers: &[Layer], env: &[(String, String)], notes: Vec<String>) -> Result<Loaded, ConfigError> {
    let faults: Vec<Fault> = layers.iter().filter_map(|layer| check_layer(layer).err()).flatten().collect();
    if !faults.is_empty() {
        return Err(ConfigError::new(faults));
    }
    let figment = merged(&layers.iter().collect::<Vec<_>>());
    let raw: Raw = figment.extract().expect("layers that each make a Raw make one together");
    let layer_of = |path: &str| {
        let name = figment.find_metadata(path).map(|source| source.name.clone());
        layers.iter().find(|layer| Some(layer.name()) == name.as_deref())
    };
    let blame = |broken: Broken| {
        // The key that somebody set last is the one to point at; defaults are never to blame.
        let set = broken.keys.iter().rev().find_map(|key| layer_of(key).map(|layer| (*key, layer)));
        let help = broken.keys.iter().filter_map(|key| key::find(key)).map(key::Key::help).collect::<Vec<_>>();
        let help = help.join("; ");
        match set {
            Some((key, layer)) => layer.fault_at(key, broken.what, help),
            None => Fault {
                key: broken.keys[0].into(),
                what: broken.what,
                help,
                origin: Origin::Default.to_string(),
                spot: None,
            },
        }
    };
    let Some(folder) = state_dir(&raw.engine.state_dir, env) else {
        return Err(Fault {
            key: "engine.state_dir".into(),
            what: "no folder for the state: neither STATE_DIRECTORY, XDG_STATE_HOME nor HOME is set".into(),
            help: "set engine.state_dir, for example ORION_ENGINE__STATE_DIR=/var/lib/orion".into(),
            origin: Origin::Default.to_string(),
            spot: None,
        }
        .into());
    };
    let config =
        checked::convert(&raw, folder).map_err(|broken| ConfigError::new(broken.into_iter().map(&blame).collect()))?;
    let broken = checked::cross(&raw, &config);
    if !broken.is_empty() {
        return Err(ConfigError::new(broken.into_iter().map(blame).collect()));
    }
    let values = serde_json::to_value(&raw).expect("plain structs of numbers and texts serialise");
    let origins = key::keys()
        .map(|key| {
            let text = key::toml_text(&values[&key.section][&key.name]);
            let origin = layer_of(&key.path).map_or(Origin::Default, |layer| layer.origin(&key.path));
            (key.path.clone(), Setting { text, origin })
        })
        .collect();
    Ok(Loaded { config, origins, notes })
}

/// Types, ranges and precision of one layer on top of the defaults.
fn check_layer(layer: &Layer) -> Result<(), Vec<Fault>> {
    let raw: Raw = merged(&[layer]).extract().map_err(|errors| {
        let fault = |error: figment::Error| {
            let path: Vec<_> = error.path.iter().take(2).map(String::as_str).collect();
            let path = path.join(".");
            let help = key::find(&path).map_or_else(String::new, key::Key::help);
            let what = match &error.kind {
                Wrong::InvalidType(found, _) | Wrong::InvalidValue(found, _) => format!("{found} does not fit"),
                Wrong::UnknownVariant(found, known) => match key::nearest(found, known.iter().copied()) {
                    Some(near) => format!("`{found}` is not known; did you mean \"{near}\"?"),
                    None => format!("`{found}` is not known"),
                },
                other => other.to_string(),
            };
            layer.fault_at(&path, what, help)
        };
        errors.into_iter().map(fault).collect::<Vec<_>>()
    })?;
    let help = |path: &str| key::find(path).map_or_else(String::new, key::Key::help);
    if let Err(report) = raw.validate() {
        let fault = |(path, error): &(garde::Path, garde::Error)| {
            let path = path.to_string();
            let path = path.split('[').next().unwrap_or_default();
            layer.fault_at(path, format!("out of range: {error}"), help(path))
        };
        return Err(layer::in_order(report.iter().map(fault).collect()));
    }
    // The folder does not matter here: no rule of one layer looks at it.
    match checked::convert(&raw, PathBuf::new()) {
        Ok(_) => Ok(()),
        Err(broken) => Err(broken.into_iter().map(|b| layer.fault_at(b.keys[0], b.what, help(b.keys[0]))).collect()),
    }
}

fn merged(layers: &[&Layer]) -> Figment {
    let defaults = Figment::from(Serialized::defaults(Raw::default()));
    layers.iter().fold(defaults, |figment, layer| figment.merge((*layer).clone()))
}

/// The folder for the state, from the key or from the conventions of the host.
fn state_dir(key: &str, env: &[(String, String)]) -> Option<PathBuf> {
    let var =
        |name: &str| env.iter().find(|(key, text)| key == name && !text.is_empty()).map(|(_, text)| text.as_str());
    if let Some(rest) = key.strip_prefix("~/") {
        return var("HOME").map(|home| Path::new(home).join(rest));
    }
    if !key.is_empty() {
        return Some(key.into());
    }
    // systemd separates several state directories by colons; the first is the unit's own.
    if let Some(folders) = var("STATE_DIRECTORY") {
        return folders.split(':').next().map(PathBuf::from);
    }
    let base = var("XDG_STATE_HOME").map(PathBuf::from);
    base.or_else(|| var("HOME").map(|home| Path::new(home).join(".local/state"))).map(|base| base.join("orion"))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let fault = |what: String, help: &str| {
        let origin = format!("file {}", path.display());
        ConfigError::from(Fault { key: path.display().to_string(), what, help: help.into(), origin, spot: None })
    };
    let size = std::fs::metadata(path).map(|facts| facts.len());
    match size {
        Err(error) => Err(fault(error.to_string(), "name a file that can be read with --config")),
        Ok(bytes) if FILE_BYTES_MAX < bytes => Err(fault(format!("has {bytes} bytes"), "a settings file is small")),
        Ok(_) => std::fs::read_to_string(path).map_err(|error| fault(error.to_string(), "the file is UTF-8 text")),
    }
}
