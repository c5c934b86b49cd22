//! The reference in `docs/reference/` is what the program says of itself: it is made from the help texts and the schema,
//! and this test fails when it is not. `ORION_BLESS=1 cargo test --test reference` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::{fmt::Write as _, path::PathBuf, process::Command};

use serde_json::Value;

/// What the program prints.
fn said(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_orion")).args(args).env("COLUMNS", "100").output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Names of the commands below one, as its help lists them.
fn below(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let name =
        |line: &str| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()).map(str::to_owned);
    list.filter_map(name).filter(|name| name != "help").collect()
}

fn commands(path: &[String], text: &mut String) {
    let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
    args.push("--help");
    let help = said(&args);
    let name = ["orion".to_owned()].iter().chain(path).cloned().collect::<Vec<_>>().join(" ");
    let help: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n"));
    for command in below(&help.join("\n")) {
        commands(&[path, &[command]].concat(), text);
    }
}

/// Compares, or writes.
fn hold(file: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(file);
    if std::env::var_os("ORION_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{} is not what the program says: ORION_BLESS=1 cargo test --test reference", path.display());
}

#[test]
fn the_commands_are_what_help_says() {
    let mut text = String::from("# Commands\n\nMade from `--help`; `orion man` prints the same as a manual page.\n");
    commands(&[], &mut text);
    assert!(20 < text.matches("\n## ").count());
    hold("commands.md", &text);
}

#[test]
fn the_settings_are_what_the_schema_says() {
    let schema: Value = serde_json::from_str(&said(&["config", "schema"])).unwrap();
    let mut text = String::from(
        "# Settings\n\nMade from `orion config schema`. A change of a key that says *now* takes effect while the engine runs; \
         one that *guards* asks for a phrase on the page when more could be lost with it than before.\n",
    );
    let words = |value: &Value| value.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut sections: Vec<_> = schema["properties"].as_object().unwrap().iter().collect();
    sections.sort_by_key(|(name, _)| name.as_str());
    for (section, body) in sections {
        let _ = write!(text, "\n## [{section}]\n\n{}\n\n", words(&body["description"]));
        let mut keys: Vec<_> = body["properties"].as_object().unwrap().iter().collect();
        keys.sort_by_key(|(name, _)| name.as_str());
        for (key, facts) in keys {
            let range = match (&facts["minimum"], &facts["maximum"]) {
                (Value::Null, Value::Null) => String::new(),
                (least, most) => {
                    format!(", {} to {most}", if least.is_null() { "0".to_owned() } else { least.to_string() })
                }
            };
            let unit = facts["x-unit"].as_str().map_or(String::new(), |unit| format!(", {unit}"));
            let applies = facts["x-applies"].as_str().map_or("next start", |now| now);
            let guards = if facts["x-looser"].is_null() { "" } else { ", guards" };
            let _ = writeln!(
                text,
                "- `{key}` = `{}`{unit}{range} ({applies}{guards}). {}",
                facts["default"],
                words(&facts["description"])
            );
        }
    }
    assert!(40 < text.matches("\n- `").count());
    hold("settings.md", &text);
}
