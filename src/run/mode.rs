//! What an engine may do, and how far a person has let it go.
//!
//! A mode is climbed one step at a time, by evidence: `orion promote` looks at what the mode below has shown and writes
//! down which mode `orion run` starts in from then on. Going down needs nothing. Each mode has a state directory, a
//! journal and a database of its own.

use std::{io::Write as _, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::clock;

/// What an engine may do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Frames are written down; nothing is decided.
    Record,
    /// Simulated exchanges, simulated money.
    Demo,
    /// Real prices, fills on paper. No sender exists.
    #[default]
    Paper,
    /// Real keys, read only: accounts are read, opportunities told, nothing is sent.
    Alert,
    /// Real orders, once a person has armed it.
    Live,
}

impl Mode {
    /// Those that trade, or would: the one that matters most first.
    pub const TRADING: [Self; 4] = [Self::Live, Self::Alert, Self::Paper, Self::Demo];

    /// The name of its state directory, and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Demo => "demo",
            Self::Paper => "paper",
            Self::Alert => "alert",
            Self::Live => "live",
        }
    }

    /// The mode of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::TRADING.into_iter().find(|mode| mode.name() == name)
    }
}

/// Where the record of the last promotion lies, below the state directory of all modes.
const PROMOTED: &str = "promoted.json";

/// Which mode `orion run` starts in, since when, and on what evidence.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Promotion {
    pub mode: Mode,
    pub at_ms: u64,
    pub build: String,
    /// One line a piece.
    pub evidence: Vec<String>,
}

impl Promotion {
    /// The last one; paper where there was none.
    pub fn read(states: &Path) -> anyhow::Result<Self> {
        let path = states.join(PROMOTED);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!("{} cannot be read; remove it, and `orion run` starts on paper", path.display())
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Writes down that the next start is in this mode, and on what evidence.
    pub fn note(states: &Path, mode: Mode, evidence: Vec<String>) -> anyhow::Result<()> {
        let (at_ms, build) = (clock::unix().raw(), env!("CARGO_PKG_VERSION").to_owned());
        Self { mode, at_ms, build, evidence }.write(states)
    }

    /// Writes it down, whole or not at all.
    pub fn write(&self, states: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(states).with_context(|| format!("{} cannot be made", states.display()))?;
        let (path, draft) = (states.join(PROMOTED), states.join("promoted.draft"));
        let told = || format!("{} cannot be written", path.display());
        let mut file = std::fs::File::create(&draft).with_context(told)?;
        file.write_all(&serde_json::to_vec_pretty(self)?).and_then(|()| file.sync_all()).with_context(told)?;
        std::fs::rename(&draft, &path).with_context(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_promotion_it_is_paper_and_a_spoiled_one_is_not_guessed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Promotion::read(folder.path()).unwrap().mode, Mode::Paper);
        let live = Promotion { mode: Mode::Live, at_ms: 5, build: "b".into(), evidence: vec!["72 h".into()] };
        live.write(folder.path()).unwrap();
        assert_eq!(Promotion::read(folder.path()).unwrap(), live);
        std::fs::write(folder.path().join(PROMOTED), "{\"mode\":\"liv\"").unwrap();
        assert!(Promotion::read(folder.path()).unwrap_err().to_string().contains("starts on paper"));
    }

    #[test]
    fn a_mode_is_found_by_its_name_and_a_recording_is_none_that_trades() {
        for mode in Mode::TRADING {
            assert_eq!(Mode::parse(mode.name()), Some(mode));
        }
        assert_eq!(Mode::parse("record"), None);
        assert!(Mode::Paper < Mode::Alert && Mode::Alert < Mode::Live);
    }
}
