//! The sample file: every key with its meaning, unit, range and default, made from the schema so that it cannot drift.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::key;

const HEAD: &str = "\
Orion's settings. Every key stands here with its default; a key that is left out has that default.
Later layers win: this file, overlay.toml in the state directory (what the dashboard saves), environment
variables (ORION_TRADING__THRESHOLD_SPREAD=0.02), command-line flags.
`orion config show --origin` says where each value came from. Anything unknown or out of range stops the start.";

/// The committed `config/orion.toml`.
#[must_use]
pub fn sample() -> String {
    sample_with(&BTreeMap::new())
}

/// The sample with other values; `values` maps dotted keys to TOML texts.
pub(super) fn sample_with(values: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for line in HEAD.lines() {
        let _ = writeln!(text, "# {line}");
    }
    for section in key::sections() {
        let _ = writeln!(text, "\n# {}\n[{}]", section.doc, section.name);
        for key in &section.keys {
            for line in wrapped(&key.doc) {
                let _ = writeln!(text, "# {line}");
            }
            let mut facts = Vec::new();
            if !key.unit.is_empty() {
                facts.push(format!("Unit: {}.", key.unit));
            }
            if !key.allowed.is_empty() {
                facts.push(format!("Allowed: {}.", key.allowed));
            }
            facts.push(format!("Default: {}", key.default));
            let _ = writeln!(text, "# {}", facts.join(" "));
            let value = values.get(&key.path).unwrap_or(&key.default);
            let _ = writeln!(text, "{} = {value}", key.name);
        }
    }
    text
}

fn wrapped(words: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let line = lines.last_mut().expect("there is always a last line");
        if 110 < line.len() + word.len() {
            lines.push(word.into());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
