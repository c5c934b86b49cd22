//! The vault: secrets by name in one sealed file. Opened with a passphrase, wiped on drop, never printed.
//!
//! | file | turns |
//! |---|---|
//! | [`mod@sealed`] | secrets and a passphrase → sealed bytes, and back |
//! | [`mod@file`] | sealed bytes → a file that only its owner reads, replaced whole or not at all, and back |
//!
//! What a newcomer gets wrong: the vault does not know what a key looks like. Whoever puts a secret in has it judged
//! first by the venue's own code (`cli/secrets`), and whoever takes one out reads it there again.

#![forbid(unsafe_code)]

pub mod file;
pub mod sealed;

use std::{collections::BTreeMap, path::Path};

use zeroize::{Zeroize as _, Zeroizing};

pub use file::{Hold, VaultError};

/// The shortest passphrase that a vault is sealed with, in characters.
pub const PASSPHRASE_MIN: usize = 12;
/// The longest passphrase or secret, in bytes. An RSA key of 8,192 bits has half of that.
pub const SECRET_BYTES_MAX: usize = 16 * 1024;

/// A passphrase, or the value of a secret: wiped on drop, without a printed form, without a copy.
///
/// ```compile_fail
/// println!("{:?}", orion::vault::Secret::new("a secret".into()));
/// ```
#[expect(missing_debug_implementations, reason = "a secret is never printed")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text over; spaces and line ends at its edges do not belong to it. `None` if nothing is left, or too
    /// much.
    pub fn new(mut text: String) -> Option<Self> {
        let trimmed = text.trim();
        let sound = !trimmed.is_empty() && trimmed.len() <= SECRET_BYTES_MAX;
        let secret = sound.then(|| Self(Zeroizing::new(trimmed.to_owned())));
        text.zeroize();
        secret
    }

    /// The text. Whoever asks for it keeps no copy.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What a vault may hold.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Name {
    KalshiKeyId,
    KalshiPrivateKey,
    PolymarketPrivateKey,
    PolymarketApiKey,
    PolymarketApiSecret,
    PolymarketApiPassphrase,
    PolymarketFunder,
    PolymarketWalletKind,
    /// A bot's token, as `@BotFather` tells it: whoever has it speaks as the bot.
    TelegramToken,
    /// Signs what is posted to the webhook.
    AlertsWebhookSecret,
}

impl Name {
    /// All, in the order in which they are listed.
    pub const ALL: [Self; 10] = [
        Self::KalshiKeyId,
        Self::KalshiPrivateKey,
        Self::PolymarketPrivateKey,
        Self::PolymarketApiKey,
        Self::PolymarketApiSecret,
        Self::PolymarketApiPassphrase,
        Self::PolymarketFunder,
        Self::PolymarketWalletKind,
        Self::TelegramToken,
        Self::AlertsWebhookSecret,
    ];

    /// The name as people type it and as the file holds it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::KalshiKeyId => "kalshi.key_id",
            Self::KalshiPrivateKey => "kalshi.private_key",
            Self::PolymarketPrivateKey => "polymarket.private_key",
            Self::PolymarketApiKey => "polymarket.api_key",
            Self::PolymarketApiSecret => "polymarket.api_secret",
            Self::PolymarketApiPassphrase => "polymarket.api_passphrase",
            Self::PolymarketFunder => "polymarket.funder",
            Self::PolymarketWalletKind => "polymarket.wallet_kind",
            Self::TelegramToken => "telegram.token",
            Self::AlertsWebhookSecret => "alerts.webhook_secret",
        }
    }

    /// The name that this text is.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.text() == text)
    }
}

/// Secrets by name. Not printable, and not to be copied.
///
/// ```compile_fail
/// println!("{:?}", orion::vault::Vault::default());
/// ```
/// ```compile_fail
/// let copy = orion::vault::Vault::default().clone();
/// ```
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "a secret is never printed")]
pub struct Vault {
    secrets: BTreeMap<Name, Secret>,
}

impl Vault {
    /// Opens a file. Takes about a quarter of a second: that is what makes guessing dear.
    pub fn open(path: &Path, passphrase: &Secret) -> Result<Self, VaultError> {
        sealed::open(&file::read(path)?, passphrase).map_err(|error| VaultError::Sealed { path: path.into(), error })
    }

    /// Seals everything under this passphrase and replaces the file, with a salt and a nonce of their own each time.
    pub fn save(&self, path: &Path, passphrase: &Secret) -> Result<(), VaultError> {
        let bytes = sealed::seal(self, passphrase).map_err(|error| VaultError::Sealed { path: path.into(), error })?;
        file::replace(path, &bytes)
    }

    /// A secret, if it is there.
    pub fn get(&self, name: Name) -> Option<&Secret> {
        self.secrets.get(&name)
    }

    /// Puts a secret in; one that was there before is wiped.
    pub fn set(&mut self, name: Name, secret: Secret) {
        self.secrets.insert(name, secret);
    }

    /// What is there, in the order of [`Name::ALL`].
    pub fn names(&self) -> impl Iterator<Item = Name> {
        self.secrets.keys().copied()
    }
}
