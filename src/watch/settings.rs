//! The settings of a running process: what it runs with, what the next start would read, and the way from one to the
//! other. What can change while the engine runs does so at once; the rest waits, and is told as waiting.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::handles::Handles;
use crate::{
    config::{
        Config, ConfigError, Loaded, Sources,
        edit::{self, Applies, Change, Draft},
    },
    run::{clock, given},
};

/// The word that a person types to let more be lost than before.
pub const PHRASE: &str = "loosen risk";

/// Settings of one process.
#[derive(Debug)]
pub struct Settings {
    sources: Sources,
    /// What the engine runs with: what it began with, and what was applied since.
    running: Mutex<Option<Loaded>>,
    /// One change at a time.
    changing: Mutex<()>,
}

/// Why a change was not made.
#[derive(Debug)]
pub enum Unchanged {
    /// A key is wrong.
    Wrong(ConfigError),
    /// Somebody else changed something meanwhile.
    Stale,
    /// It lets more be lost, and the phrase was not there.
    Phrase,
    /// There is nothing to take back.
    Nothing,
    /// The overlay cannot be written.
    Disk(std::io::Error),
}

impl From<ConfigError> for Unchanged {
    fn from(error: ConfigError) -> Self {
        Self::Wrong(error)
    }
}

impl Settings {
    pub fn new(sources: Sources) -> Self {
        Self { sources, running: Mutex::new(None), changing: Mutex::new(()) }
    }

    /// Where they come from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// An engine starts with these.
    pub fn began(&self, loaded: &Loaded) {
        *self.running() = Some(loaded.clone());
    }

    fn running(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next start would read.
    pub fn next(&self) -> Result<Loaded, ConfigError> {
        Config::load(&self.sources)
    }

    /// What was changed and waits for the next start.
    pub fn pending(&self, next: &Loaded) -> Vec<Change> {
        self.running().as_ref().map(|running| edit::changes(running, next)).unwrap_or_default()
    }

    /// Writes values into the overlay, and applies what can be applied now.
    pub fn save(
        &self,
        wanted: &BTreeMap<String, Option<String>>,
        fingerprint: &str,
        phrase: &str,
        handles: &Handles,
        who: &str,
    ) -> Result<Draft, Unchanged> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.fits(fingerprint)?;
        let draft = edit::draft(&self.sources, wanted)?;
        allowed(&draft.changes, phrase)?;
        draft.save().map_err(Unchanged::Disk)?;
        self.apply(&draft.loaded, handles, who);
        Ok(draft)
    }

    /// Takes the last save back.
    pub fn undo(&self, fingerprint: &str, phrase: &str, handles: &Handles, who: &str) -> Result<Draft, Unchanged> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.fits(fingerprint)?;
        let draft = edit::draft_undo(&self.sources)?.ok_or(Unchanged::Nothing)?;
        allowed(&draft.changes, phrase)?;
        draft.undo().map_err(Unchanged::Disk)?;
        self.apply(&draft.loaded, handles, who);
        Ok(draft)
    }

    /// Reads every layer anew, as SIGHUP asks: whoever edits the file needs no phrase.
    pub fn reload(&self, handles: &Handles, who: &str) -> Result<Vec<Change>, ConfigError> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.next()?;
        Ok(self.apply(&next, handles, who))
    }

    /// Does whoever asks know what stands there now?
    fn fits(&self, fingerprint: &str) -> Result<(), Unchanged> {
        if self.next()?.fingerprint() == fingerprint { Ok(()) } else { Err(Unchanged::Stale) }
    }

    /// Tells the engine what it can take in, and writes every difference down.
    fn apply(&self, next: &Loaded, handles: &Handles, who: &str) -> Vec<Change> {
        let mut running = self.running();
        let Some(now) = running.as_mut() else { return Vec::new() };
        let changes = edit::changes(now, next);
        let hot: Vec<_> = changes.iter().filter(|change| change.applies == Applies::Now).collect();
        for change in &changes {
            let origin = format!("{who}, {}", change.applies.name());
            handles.note_setting(clock::unix(), change, origin);
        }
        if hot.is_empty() {
            return changes;
        }
        let mut rules = given::rules(&next.config);
        // Part of it belongs to a thread that takes it in at its start.
        rules.fitness.quiet_max = given::rules(&now.config).fitness.quiet_max;
        let auto = hot.iter().any(|change| change.key == "trading.auto_execute");
        let loosens = hot.iter().any(|change| change.loosens);
        if let Err(error) = handles.apply(rules, &given::limits(&next.config), auto, &next.limits_print(), loosens) {
            tracing::error!("the state directory cannot be written: {error}");
        }
        for change in &hot {
            if let Some(setting) = next.origins.get(&change.key) {
                now.origins.insert(change.key.clone(), setting.clone());
            }
        }
        changes
    }
}

fn allowed(changes: &[Change], phrase: &str) -> Result<(), Unchanged> {
    let loosens = changes.iter().any(|change| change.loosens);
    if loosens && phrase.trim() != PHRASE { Err(Unchanged::Phrase) } else { Ok(()) }
}
