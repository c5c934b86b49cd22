//! Settings changed from outside the file: written into the overlay with its comments kept, after the whole has been
//! checked as at a start.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml_edit::{DocumentMut, Item, Table};

use super::{
    ConfigError, Fault, Loaded, Origin, Sources,
    key::{self, Key, Kind, Looser},
    load_with,
};

/// Saves that can be taken back.
const UNDO_MAX: usize = 20;

/// When a change takes effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Applies {
    Now,
    NextStart,
}

impl Applies {
    /// The words on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::NextStart => "next start",
        }
    }
}

/// One effective value that becomes another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    pub key: String,
    pub before: String,
    pub after: String,
    pub applies: Applies,
    /// More can be lost with it than without.
    pub loosens: bool,
}

/// What a save would do. Nothing is written yet.
#[derive(Debug)]
pub struct Draft {
    /// The overlay's new text.
    pub text: String,
    pub path: PathBuf,
    /// Effective changes: a key that a variable or a flag overrides does not change by this.
    pub changes: Vec<Change>,
    /// Everything as the next start would read it.
    pub loaded: Loaded,
}

/// One key as a page shows it.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    key: &'static Key,
}

impl Described {
    /// Every key, in the order of the file.
    pub fn every() -> impl Iterator<Item = Self> {
        key::keys().map(|key| Self { key })
    }

    /// `section.name`.
    #[must_use]
    pub fn path(&self) -> &'static str {
        &self.key.path
    }

    #[must_use]
    pub fn section(&self) -> &'static str {
        &self.key.section
    }

    #[must_use]
    pub fn doc(&self) -> &'static str {
        &self.key.doc
    }

    #[must_use]
    pub fn unit(&self) -> &'static str {
        &self.key.unit
    }

    /// What is allowed, in words.
    #[must_use]
    pub fn allowed(&self) -> &'static str {
        &self.key.allowed
    }

    /// The type of its value, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.key.kind.name()
    }

    /// The values to choose from, where only a few are allowed.
    #[must_use]
    pub fn choices(&self) -> &'static [String] {
        &self.key.choices
    }

    /// The default as TOML text.
    #[must_use]
    pub fn default(&self) -> &'static str {
        &self.key.default
    }

    #[must_use]
    pub fn applies(&self) -> Applies {
        applies(self.key)
    }

    /// Can more be lost with some values than with others?
    #[must_use]
    pub fn guards(&self) -> bool {
        self.key.looser != Looser::Never
    }
}

fn applies(key: &Key) -> Applies {
    if key.hot { Applies::Now } else { Applies::NextStart }
}

/// Where the overlay of these settings lies.
#[must_use]
pub fn overlay_path(loaded: &Loaded) -> PathBuf {
    loaded.config.engine.state_dir.join("overlay.toml")
}

/// What saving these values would do: TOML texts by dotted key, `None` takes a key out of the overlay. Everything is
/// checked as at a start; the error names every key that is wrong.
pub fn draft(sources: &Sources, wanted: &BTreeMap<String, Option<String>>) -> Result<Draft, ConfigError> {
    let now = load_with(sources, None)?;
    let path = sources.overlay.clone().unwrap_or_else(|| overlay_path(&now));
    let old = if path.exists() { super::read(&path)? } else { String::new() };
    let mut document: DocumentMut = old
        .parse()
        .map_err(|error: toml_edit::TomlError| fault(&path.display().to_string(), error.message().into(), ""))?;
    for (name, value) in wanted {
        let Some(known) = key::find(name) else {
            let near = key::nearest(name, key::keys().map(|key| key.path.as_str()));
            let help = near.map_or_else(String::new, |near| format!("did you mean {near}?"));
            return Err(fault(name, "unknown key".into(), &help));
        };
        match value {
            None => {
                if let Some(section) = document.get_mut(&known.section).and_then(Item::as_table_mut) {
                    section.remove(&known.name);
                }
            }
            Some(text) => {
                let text = if known.kind == Kind::Text && !text.trim_start().starts_with(['"', '\'']) {
                    toml::Value::String(text.clone()).to_string()
                } else {
                    text.clone()
                };
                let value: toml_edit::Value = text.trim().parse().map_err(|_: toml_edit::TomlError| {
                    fault(name, format!("`{}` is not {}", text.escape_debug(), known.kind.name()), &known.help())
                })?;
                let section = document.entry(&known.section).or_insert_with(|| Item::Table(Table::new()));
                let Some(section) = section.as_table_mut() else {
                    return Err(fault(name, format!("[{}] is not a section of the overlay", known.section), ""));
                };
                match section.get_mut(&known.name).and_then(Item::as_value_mut) {
                    // What stands around the value stays: its comment, its spaces.
                    Some(old) => {
                        let decor = old.decor().clone();
                        *old = value;
                        *old.decor_mut() = decor;
                    }
                    None => _ = section.insert(&known.name, Item::Value(value)),
                }
            }
        }
    }
    let text = document.to_string();
    let loaded = load_with(sources, Some((&path, &text)))?;
    let changes = changes(&now, &loaded);
    Ok(Draft { text, path, changes, loaded })
}

/// What differs between two effective settings.
#[must_use]
pub fn changes(before: &Loaded, after: &Loaded) -> Vec<Change> {
    let differs = |key: &&'static Key| before.origins[&key.path].text != after.origins[&key.path].text;
    key::keys()
        .filter(differs)
        .map(|key| {
            let (before, after) = (&before.origins[&key.path].text, &after.origins[&key.path].text);
            Change {
                key: key.path.clone(),
                before: before.clone(),
                after: after.clone(),
                applies: applies(key),
                loosens: key.loosens(before, after),
            }
        })
        .collect()
}

/// The variable or flag that overrides what the overlay says, where there is one.
#[must_use]
pub fn pinned(origin: &Origin) -> Option<String> {
    matches!(origin, Origin::Env(_) | Origin::Flag(_)).then(|| origin.to_string())
}

impl Draft {
    /// Writes the overlay, whole or not at all; what it held before is kept to be taken back.
    pub fn save(&self) -> std::io::Result<()> {
        let folder = undo_folder(&self.path);
        std::fs::create_dir_all(&folder)?;
        let mut kept = saves(&self.path);
        let next = kept.last().map_or(1, |last| last + 1);
        let old = std::fs::read(&self.path).unwrap_or_default();
        write(&folder.join(format!("{next}.toml")), &old)?;
        kept.push(next);
        while UNDO_MAX < kept.len() {
            std::fs::remove_file(folder.join(format!("{}.toml", kept.remove(0))))?;
        }
        write(&self.path, self.text.as_bytes())
    }
}

/// How many saves of this overlay can be taken back.
#[must_use]
pub fn undos(overlay: &Path) -> usize {
    saves(overlay).len()
}

/// What taking the last save back would do; `None` where there is none.
pub fn draft_undo(sources: &Sources) -> Result<Option<Draft>, ConfigError> {
    let now = load_with(sources, None)?;
    let path = sources.overlay.clone().unwrap_or_else(|| overlay_path(&now));
    let Some(last) = saves(&path).pop() else { return Ok(None) };
    let text = super::read(&undo_folder(&path).join(format!("{last}.toml")))?;
    let loaded = load_with(sources, Some((&path, &text)))?;
    let changes = changes(&now, &loaded);
    Ok(Some(Draft { text, path, changes, loaded }))
}

impl Draft {
    /// Writes what [`draft_undo`] found, and forgets the save that it takes back.
    pub fn undo(&self) -> std::io::Result<()> {
        write(&self.path, self.text.as_bytes())?;
        match saves(&self.path).pop() {
            Some(last) => std::fs::remove_file(undo_folder(&self.path).join(format!("{last}.toml"))),
            None => Ok(()),
        }
    }
}

fn undo_folder(overlay: &Path) -> PathBuf {
    overlay.with_extension("undo")
}

/// The numbers of the saves, oldest first.
fn saves(overlay: &Path) -> Vec<u64> {
    let files = std::fs::read_dir(undo_folder(overlay)).into_iter().flatten().filter_map(Result::ok);
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".toml")?.parse().ok();
    let mut all: Vec<u64> = files.filter_map(number).collect();
    all.sort_unstable();
    all
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let draft = path.with_extension("draft");
    let mut file = std::fs::File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

fn fault(key: &str, what: String, help: &str) -> ConfigError {
    Fault { key: key.into(), what, help: help.into(), origin: "what was sent".into(), spot: None }.into()
}
