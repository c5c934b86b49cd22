//! `orion secrets`: what lies in the vault, and how it gets there. No value is ever printed, nor taken from a flag.

pub(super) mod judge;
mod plain;

use std::{io::IsTerminal as _, num::NonZeroU32, path::Path, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand, builder::PossibleValuesParser};

use super::{
    Done, Fault, Global,
    passphrase::{self, PassphraseArgs},
    settings,
    shown::{self, Shown},
};
use crate::{
    run::clock,
    unit::UnixMs,
    vault::{Hold, Name, Secret, Vault, file, sealed},
    venue::{
        kalshi::{self, account, account::KeyRights, sign::KalshiSigner},
        rest::{Access, PATIENCE},
    },
};

#[derive(Args, Debug)]
pub struct SecretsArgs {
    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// Put one secret in: typed without echo, or from standard input.
    Set {
        #[arg(value_parser = PossibleValuesParser::new(Name::ALL.map(Name::text)))]
        name: String,
        /// Read the value from this open file descriptor.
        #[arg(long, value_name = "N")]
        value_fd: Option<u32>,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Take secrets over from a PEM, a .env or a predecessor's YAML.
    Import {
        file: PathBuf,
        /// The id that Kalshi shows beside the key; no secret.
        #[arg(long, value_name = "ID")]
        kalshi_key_id: Option<String>,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Seal everything anew under another passphrase.
    Rotate {
        /// Read the new passphrase from this open file descriptor.
        #[arg(long, value_name = "N")]
        new_passphrase_fd: Option<u32>,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Say what is there, whether it fits together, and what it may do.
    Check {
        /// Ask Kalshi what its key may do.
        #[arg(long)]
        online: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

pub fn run(global: &Global, args: &SecretsArgs) -> Done {
    let path = settings(global, Vec::new())?.config.vault.file;
    passphrase::guard()?;
    match &args.command {
        SecretsCommand::Set { name, value_fd, passphrase } => {
            let name = Name::parse(name).context("the parser lets no other name through")?;
            set(&path, name, *value_fd, *passphrase)
        }
        SecretsCommand::Import { file, kalshi_key_id, passphrase } => {
            import(&path, file, kalshi_key_id.as_deref(), *passphrase)
        }
        SecretsCommand::Rotate { new_passphrase_fd, passphrase } => rotate(&path, *new_passphrase_fd, *passphrase),
        SecretsCommand::Check { online, json, passphrase } => check(&path, *online, *json, *passphrase),
    }
}

/// What is to be said of a Kalshi key that the venue was not asked about.
const UNASKED: &str = "kalshi.private_key: what it may do is known to Kalshi alone; --online asks. Wanted: read and \
                       write::trade, no write::transfer, locked to a subaccount of its own";

/// A vault that is about to be changed, and what seals it.
struct Opened {
    vault: Vault,
    passphrase: Secret,
    _hold: Hold,
}

/// Opens the vault, or begins one.
fn open_or_begin(path: &Path, args: PassphraseArgs) -> Result<Opened, Fault> {
    file::prepare(path)?;
    let hold = Hold::take(path)?;
    if path.symlink_metadata().is_err() {
        let passphrase = passphrase::fresh(args.passphrase_fd, "--passphrase-fd")?;
        return Ok(Opened { vault: Vault::default(), passphrase, _hold: hold });
    }
    let passphrase = passphrase::known(args)?;
    Ok(Opened { vault: Vault::open(path, &passphrase)?, passphrase, _hold: hold })
}

fn set(path: &Path, name: Name, value_fd: Option<u32>, args: PassphraseArgs) -> Done {
    let value_fd = value_fd.or_else(|| (!std::io::stdin().is_terminal()).then_some(0));
    if value_fd == Some(0) && args.passphrase_fd == Some(0) {
        return Err(Fault::Config(
            "orion: passphrase and value cannot both come from standard input: give one of them a descriptor of its own"
                .into(),
        ));
    }
    if value_fd.is_none() && name == Name::KalshiPrivateKey {
        // Its lines cannot be typed into one.
        return Err(Fault::Config("orion: a key in PEM form comes from its file: orion secrets import FILE".into()));
    }
    let Opened { mut vault, passphrase, _hold } = open_or_begin(path, args)?;
    let value = match value_fd {
        Some(fd) => passphrase::descriptor(fd, "--value-fd")?,
        None => passphrase::hidden(name.text(), false)?.ok_or_else(|| {
            Fault::Config("orion: there is nobody to ask for the value: pass it with --value-fd N".into())
        })?,
    };
    let what = judge::judge(name, &value)
        .map_err(|why| Fault::Config(format!("orion: {}: {why}. Nothing was changed", name.text())))?;
    vault.set(name, value);
    vault.save(path, &passphrase)?;
    say!("{}: {}; sealed in {}", name.text(), Shown(&what), path.display());
    say!("next: orion secrets check");
    Ok(())
}

fn import(path: &Path, from: &Path, kalshi_key_id: Option<&str>, args: PassphraseArgs) -> Done {
    let mut plain = plain::read(from)?;
    if let Some(id) = kalshi_key_id {
        plain.found.retain(|(name, _)| *name != Name::KalshiKeyId);
        let id = Secret::new(id.into()).context("--kalshi-key-id is empty")?;
        plain.found.push((Name::KalshiKeyId, id));
    }
    for note in &plain.notes {
        eprintln!("note: {}", Shown(note));
    }
    let judged: Vec<_> = plain.found.iter().map(|(name, value)| (name.text(), judge::judge(*name, value))).collect();
    let wrong: Vec<_> =
        judged.iter().filter_map(|(name, what)| Some(format!("orion: {name}: {}", what.as_ref().err()?))).collect();
    if !wrong.is_empty() {
        return Err(Fault::Config(format!("{}\nNothing was changed", wrong.join("\n"))));
    }
    let Opened { mut vault, passphrase, _hold } = open_or_begin(path, args)?;
    for (name, value) in plain.found {
        vault.set(name, value);
    }
    vault.save(path, &passphrase)?;
    for (name, what) in judged {
        say!("{name}: {}", Shown(&what.unwrap_or_default()));
    }
    say!("sealed in {}", path.display());
    if vault.get(Name::KalshiPrivateKey).is_some() && vault.get(Name::KalshiKeyId).is_none() {
        say!("still missing: orion secrets set {}", Name::KalshiKeyId.text());
    }
    for file in &plain.files {
        say!("next: orion secrets check, then wipe the plain text: shred -u {}", file.display());
    }
    Ok(())
}

fn rotate(path: &Path, new_fd: Option<u32>, args: PassphraseArgs) -> Done {
    let _hold = Hold::take(path)?;
    let vault = Vault::open(path, &passphrase::known(args)?)?;
    let passphrase = passphrase::fresh(new_fd, "--new-passphrase-fd")?;
    vault.save(path, &passphrase)?;
    say!("{}: sealed anew; the old passphrase opens only copies made before", path.display());
    say!("next: wipe those copies, and give the new passphrase to whatever starts Orion");
    Ok(())
}

fn check(path: &Path, online: bool, json: bool, args: PassphraseArgs) -> Done {
    // The file first: its mode is wrong whatever the passphrase.
    let cost = sealed::cost(&file::read(path)?)
        .map_err(|error| crate::vault::VaultError::Sealed { path: path.into(), error })?;
    let vault = Vault::open(path, &passphrase::known(args)?)?;
    let (mut faults, mut cautions) = (judge::faults(&vault), judge::cautions(&vault));
    let mut rights = Vec::new();
    match if online { ask_kalshi(&vault)? } else { None } {
        Some(answer) => {
            let (found, odd, told) = weigh(&answer, clock::unix());
            rights = found;
            faults.extend(odd);
            cautions.extend(told);
        }
        None if vault.get(Name::KalshiPrivateKey).is_some() => cautions.push(UNASKED.into()),
        None => {}
    }
    let listed = Name::ALL.map(|name| {
        let what = vault.get(name).map(|value| judge::judge(name, value).unwrap_or_else(|why| format!("WRONG: {why}")));
        (name.text(), what)
    });
    if json {
        let secrets: serde_json::Map<_, _> =
            listed.iter().map(|(name, what)| ((*name).to_owned(), serde_json::json!(what))).collect();
        let report = serde_json::json!({
            "vault": path, "cipher": "AES-256-GCM", "kdf": "Argon2id", "memory_mib": cost.memory_kib / 1_024,
            "passes": cost.passes, "lanes": cost.lanes, "secrets": secrets, "kalshi": rights,
            "cautions": cautions, "faults": faults,
        });
        say!("{}", shown::json(&report));
    } else {
        let (memory, passes, lanes) = (cost.memory_kib / 1_024, cost.passes, cost.lanes);
        say!("{}: AES-256-GCM, key by Argon2id ({memory} MiB, {passes} passes, {lanes} lanes)", path.display());
        for (name, what) in &listed {
            say!("  {name:<26}  {}", Shown(what.as_deref().unwrap_or("–")));
        }
        for line in &rights {
            say!("  {}", Shown(line));
        }
        for caution in &cautions {
            say!("! {}", Shown(caution));
        }
        for fault in &faults {
            say!("✘ {}", Shown(fault));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Fault::Config("orion: what the vault holds does not fit together; see above".into()))
}

/// What Kalshi says of its keys, and which of them is ours. `None` without a whole key in the vault.
fn ask_kalshi(vault: &Vault) -> Result<Option<(String, account::Keys)>, Fault> {
    let (Some(id), Some(pem)) = (vault.get(Name::KalshiKeyId), vault.get(Name::KalshiPrivateKey)) else {
        return Ok(None);
    };
    let signer = KalshiSigner::from_pem(id.expose(), pem.expose().as_bytes()).map_err(anyhow::Error::from)?;
    let access = Access {
        base: kalshi::REST,
        extra_root: None,
        per_second: NonZeroU32::MIN,
        jitter_seed: clock::unix().raw(),
        patience: PATIENCE,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let keys = runtime.block_on(account::keys(&access, &signer, clock::unix)).map_err(anyhow::Error::from)?;
    Ok(Some((id.expose().to_owned(), keys)))
}

/// Kalshi's answer as lines, as what is wrong, and as what to think about.
fn weigh((id, answer): &(String, account::Keys), now: UnixMs) -> (Vec<String>, Vec<String>, Vec<String>) {
    let Some(KeyRights { name, scopes, subaccount, .. }) = answer.keys.iter().find(|key| key.id == *id) else {
        return (Vec::new(), vec!["kalshi.key_id: Kalshi lists no such key of this account".into()], Vec::new());
    };
    let rights = answer.keys.iter().find(|key| key.id == *id);
    let grants = |scope| rights.is_some_and(|key| key.grants(scope));
    let bound = subaccount.map_or("all subaccounts".into(), |number| format!("subaccount {number}"));
    let lines = vec![format!("Kalshi calls it `{name}`: {} on {bound}", scopes.join(", "))];
    let mut cautions = Vec::new();
    if grants("write::transfer") {
        cautions.push("kalshi.private_key may move money (write::transfer): make one that may not".into());
    }
    if !grants("write::trade") {
        cautions.push("kalshi.private_key may not trade (write::trade): it opens the stream, and no more".into());
    }
    if subaccount.is_none() {
        cautions.push("kalshi.private_key acts on every subaccount: lock one to a subaccount of its own".into());
    }
    if answer.region_until.is_some_and(|until| until < now) {
        cautions.push(
            "the account's location is no longer attested: no sports, elections, entertainment until it is".into(),
        );
    }
    (lines, Vec::new(), cautions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(scopes: &[&str], subaccount: Option<u8>, region_until: Option<u64>) -> (String, account::Keys) {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let ours = KeyRights { id: "a".into(), name: "orion".into(), scopes, subaccount };
        let other = KeyRights { id: "b".into(), name: "old".into(), scopes: vec!["write".into()], subaccount: None };
        ("a".into(), account::Keys { keys: vec![other, ours], region_until: region_until.map(UnixMs::new) })
    }

    /// Fault 97.
    #[test]
    fn a_key_that_may_do_more_than_trade_is_told() {
        let now = UnixMs::new(1_000);
        let cautions = |scopes, subaccount, region| weigh(&answer(scopes, subaccount, region), now).2.join("\n");
        assert_eq!(cautions(&["read", "write::trade"], Some(3), Some(2_000)), "");
        assert!(cautions(&["read", "write"], Some(3), None).contains("write::transfer"));
        assert!(cautions(&["read", "write::trade", "write::transfer"], Some(3), None).contains("move money"));
        assert!(cautions(&["read"], Some(3), None).contains("may not trade"));
        assert!(cautions(&["read", "write::trade"], None, None).contains("every subaccount"));
        assert!(cautions(&["read", "write::trade"], Some(3), Some(999)).contains("location"));
        let (mut strange, keys) = answer(&["read"], None, None);
        strange.push('x');
        assert!(weigh(&(strange, keys), now).1[0].contains("no such key"));
    }
}
