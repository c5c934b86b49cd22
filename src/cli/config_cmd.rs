//! `orion config`: what the settings are, where each came from, and what they may be.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Done, Global, settings};
use crate::config::{Origin, import_yaml, schema};

#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read every layer and say whether an engine would start with it.
    Check,
    /// Print the effective settings.
    Show {
        /// With the layer that set each.
        #[arg(long)]
        origin: bool,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON schema of the settings file.
    Schema,
    /// Map a predecessor's YAML to a settings file.
    Import {
        file: PathBuf,
        /// Write here instead of to standard output; an existing file is not overwritten.
        #[arg(long, value_name = "PATH")]
        out: Option<PathBuf>,
    },
}

pub fn run(global: &Global, args: &ConfigArgs) -> Done {
    match &args.command {
        ConfigCommand::Check => {
            let loaded = settings(global, Vec::new())?;
            let changed = loaded.origins.values().filter(|setting| setting.origin != Origin::Default).count();
            say!("the settings are sound; {changed} keys are set, the rest are defaults");
            say!("next: orion run --dry-run");
        }
        ConfigCommand::Show { origin, json } => {
            let loaded = settings(global, Vec::new())?;
            if *json {
                let map: serde_json::Map<_, _> = loaded
                    .origins
                    .iter()
                    .map(|(key, s)| {
                        (key.clone(), serde_json::json!({ "value": s.text, "origin": s.origin.to_string() }))
                    })
                    .collect();
                say!("{}", serde_json::Value::Object(map));
                return Ok(());
            }
            for (key, setting) in &loaded.origins {
                if *origin {
                    say!("{key} = {}    # {}", setting.text, setting.origin);
                } else {
                    say!("{key} = {}", setting.text);
                }
            }
        }
        ConfigCommand::Schema => {
            say!("{}", serde_json::to_string_pretty(&schema()).map_err(anyhow::Error::from)?);
        }
        ConfigCommand::Import { file, out } => import(file, out.as_deref())?,
    }
    Ok(())
}

fn import(file: &std::path::Path, out: Option<&std::path::Path>) -> Done {
    let text = std::fs::read_to_string(file).map_err(|e| anyhow::anyhow!("{} cannot be read: {e}", file.display()))?;
    let imported = import_yaml(&text)?;
    for note in &imported.notes {
        eprintln!("note: {note}");
    }
    match out {
        None => say!("{}", imported.toml.trim_end()),
        Some(path) => {
            use std::io::Write as _;
            let mut target = std::fs::File::create_new(path)
                .map_err(|e| anyhow::anyhow!("{} cannot be written: {e}", path.display()))?;
            target.write_all(imported.toml.as_bytes()).map_err(anyhow::Error::from)?;
            say!("wrote {}", path.display());
            say!("next: orion config check --config {}", path.display());
        }
    }
    Ok(())
}
