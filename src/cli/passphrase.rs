//! Where passphrases and secrets may come from: a prompt without echo, an open file descriptor, a systemd credential.
//!
//! Never from a flag or a variable: both are read by whoever lists processes. `CREDENTIALS_DIRECTORY` names a folder
//! that systemd made for this service alone, not a secret.

use std::{fs::File, io::IsTerminal as _, io::Read, path::PathBuf};

use clap::Args;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Fault, secrets::judge};
use crate::{
    config::Config,
    run::sign::{self, Keys, KeysError, Signing},
    vault::{Name, PASSPHRASE_MIN, SECRET_BYTES_MAX, Secret, Vault, VaultError, sealed::SealError},
};

/// The credential's name: `LoadCredentialEncrypted=orion-passphrase:…` in the unit.
const CREDENTIAL: &str = "orion-passphrase";

#[derive(Args, Clone, Copy, Debug, Default)]
pub struct PassphraseArgs {
    /// Read the passphrase of the keys' file from this open file descriptor instead of asking for it.
    #[arg(long, value_name = "N")]
    pub passphrase_fd: Option<u32>,
}

/// How a command that watches the venues comes by its keys.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct KeyArgs {
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// Leave the keys sealed: Kalshi is polled over public REST.
    #[arg(long, conflicts_with = "passphrase_fd")]
    pub no_keys: bool,
}

impl From<VaultError> for Fault {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Busy { .. } => Self::Again(error.to_string()),
            VaultError::Io { .. } | VaultError::Sealed { error: SealError::Memory(_) | SealError::NoRandom, .. } => {
                Self::Failed(error.into())
            }
            // Nothing that a second try with the same file and passphrase would mend.
            _ => Self::Config(format!("orion: {error}")),
        }
    }
}

impl From<KeysError> for Fault {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Vault(error) => error.into(),
            KeysError::Half(..) | KeysError::Key(..) | KeysError::Unfit(_) => Self::Config(format!("orion: {error}")),
            KeysError::Thread(_) | KeysError::Ended => Self::Failed(error.into()),
        }
    }
}

/// The thread that holds Kalshi's key from here on; `None` where no vault is there, none is to be opened, or it holds
/// no such key. The vault is opened on that thread.
pub fn signing(config: &Config, args: KeyArgs) -> Result<Option<Signing>, Fault> {
    let Some((vault, passphrase)) = unsealing(config, args)? else { return Ok(None) };
    Ok(sign::start(Keys::Sealed { vault, passphrase, judge: judge::faults })?)
}

/// The same, and the secrets that alerts need, where the settings name anybody to tell. What trades never sees those.
pub fn signing_and_voice(config: &Config, args: KeyArgs) -> Result<(Option<Signing>, Voice), Fault> {
    let Some((vault, passphrase)) = unsealing(config, args)? else { return Ok((None, Voice::default())) };
    let speaks = !config.telegram.chats.is_empty() || config.alerts.webhook.is_some();
    let voice = if speaks { Voice::of(&Vault::open(&vault, &passphrase)?) } else { Voice::default() };
    Ok((sign::start(Keys::Sealed { vault, passphrase, judge: judge::faults })?, voice))
}

/// The secrets that alerts need, alone.
pub fn voice(config: &Config, args: PassphraseArgs) -> Result<Voice, Fault> {
    let keys = KeyArgs { passphrase: args, no_keys: false };
    let Some((vault, passphrase)) = unsealing(config, keys)? else { return Ok(Voice::default()) };
    Ok(Voice::of(&Vault::open(&vault, &passphrase)?))
}

/// What speaks for Orion: wiped when dropped.
#[derive(Clone, Default)]
pub struct Voice {
    pub token: Option<Zeroizing<String>>,
    pub webhook_secret: Option<Zeroizing<String>>,
}

impl Voice {
    fn of(vault: &Vault) -> Self {
        let secret = |name| vault.get(name).map(|secret| Zeroizing::new(secret.expose().to_owned()));
        Self { token: secret(Name::TelegramToken), webhook_secret: secret(Name::AlertsWebhookSecret) }
    }
}

/// The vault and what opens it; `None` where there is none, or it is to stay sealed.
fn unsealing(config: &Config, args: KeyArgs) -> Result<Option<(PathBuf, Secret)>, Fault> {
    let vault = config.vault.file.clone();
    // A link that leads nowhere is there too, and is refused by name.
    if args.no_keys || (args.passphrase.passphrase_fd.is_none() && vault.symlink_metadata().is_err()) {
        return Ok(None);
    }
    guard()?;
    Ok(Some((vault, known(args.passphrase)?)))
}

/// Keeps what this process holds out of core dumps, and other programs of the same user from reading its memory. Called
/// before the first secret is read.
pub fn guard() -> Result<(), Fault> {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let set = rustix::process::setrlimit(rustix::process::Resource::Core, none)
        .and_then(|()| rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable));
    set.map_err(|e| Fault::Failed(anyhow::anyhow!("core dumps cannot be switched off: {e}")))
}

/// Is the passphrase to be had without asking anybody?
pub fn is_given(args: PassphraseArgs) -> bool {
    args.passphrase_fd.is_some() || credential().is_some()
}

/// Where systemd put the passphrase, if it did.
fn credential() -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(PathBuf::from(folder).join(CREDENTIAL)).filter(|path| path.exists())
}

/// The passphrase of a vault that is there.
pub fn known(args: PassphraseArgs) -> Result<Secret, Fault> {
    if let Some(fd) = args.passphrase_fd {
        return descriptor(fd, "--passphrase-fd");
    }
    if let Some(path) = credential() {
        let file = File::open(&path).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
        return secret(file, &path.display().to_string());
    }
    hidden("Passphrase of the vault", false)?.ok_or_else(|| {
        Fault::Config(format!(
            "orion: the vault is sealed and there is nobody to ask: pass its passphrase with --passphrase-fd N, or as \
             the systemd credential {CREDENTIAL}"
        ))
    })
}

/// A passphrase for a vault that is sealed anew: asked for twice, and not a short one.
pub fn fresh(fd: Option<u32>, flag: &str) -> Result<Secret, Fault> {
    let passphrase = match fd {
        Some(fd) => descriptor(fd, flag)?,
        None => hidden("New passphrase of the vault", true)?.ok_or_else(|| {
            Fault::Config(format!("orion: there is nobody to ask for a new passphrase: pass it with {flag} N"))
        })?,
    };
    if passphrase.expose().chars().count() < PASSPHRASE_MIN {
        return Err(Fault::Config(format!(
            "orion: a passphrase needs {PASSPHRASE_MIN} characters or more: four random words are easy to keep and hard to guess"
        )));
    }
    Ok(passphrase)
}

/// Everything that comes out of an open file descriptor.
pub fn descriptor(fd: u32, flag: &str) -> Result<Secret, Fault> {
    if fd == 0 {
        return secret(std::io::stdin().lock(), "standard input");
    }
    // The process's own table of open files: no other process's, and nothing is taken over unsafely.
    let path = format!("/proc/self/fd/{fd}");
    let file = File::open(path).map_err(|e| Fault::Config(format!("orion: {flag} {fd}: {e}")))?;
    secret(file, &format!("{flag} {fd}"))
}

/// What is typed without being shown; `None` where there is no terminal to ask on.
pub fn hidden(question: &str, twice: bool) -> Result<Option<Secret>, Fault> {
    if !std::io::stderr().is_terminal() {
        return Ok(None);
    }
    let mut asked = inquire::Password::new(question).with_display_mode(inquire::PasswordDisplayMode::Hidden);
    asked.enable_confirmation = twice;
    let text = asked.prompt().map_err(|e| Fault::Failed(e.into()))?;
    let secret = Secret::new(text).ok_or_else(|| Fault::Config("orion: nothing was typed, or far too much".into()));
    secret.map(Some)
}

/// All of a source, wiped where it passed through.
pub fn secret(source: impl Read, name: &str) -> Result<Secret, Fault> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 1));
    source
        .take(SECRET_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Fault::Failed(anyhow::anyhow!("{name}: {e}")))?;
    let unsound =
        || Fault::Config(format!("orion: {name}: holds nothing, or no text, or more than {SECRET_BYTES_MAX} bytes"));
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        error.into_bytes().zeroize();
        unsound()
    })?;
    Secret::new(text).ok_or_else(unsound)
}
