//! What a secret is, in words that tell nothing of it; and what is wrong with what a vault holds.

use crate::{
    cli::sim,
    vault::{Name, Secret, Vault},
    venue::{
        kalshi::sign::{KalshiSigner, KeyKind},
        polymarket::{
            sign::{ApiSigner, WalletSigner},
            wallet::{Wallet, checksummed},
        },
    },
};

/// The first account of every development chain; its key stands in a thousand tutorials.
const EVERYBODYS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// The kinds of wallet by the number that orders carry.
const KINDS: [(&str, &str); 4] =
    [("0", "a plain account"), ("1", "a proxy wallet"), ("2", "a Safe"), ("3", "a deposit wallet")];

/// What this value is, or why it is not what its name says. Neither text repeats a part of it that is secret.
pub fn judge(name: Name, value: &Secret) -> Result<String, String> {
    let text = value.expose();
    match name {
        Name::KalshiKeyId | Name::PolymarketApiKey => {
            if text == sim::KEY_ID {
                return Err("this is the simulated exchange's key id: no venue knows it".into());
            }
            let head = uuid(text).ok_or("no key id: 8-4-4-4-12 hex digits, as the venue shows it beside the key")?;
            Ok(format!("an id, {head}…"))
        }
        Name::KalshiPrivateKey => match KalshiSigner::from_pem("", text.as_bytes()) {
            Ok(signer) if signer.kind() == KeyKind::Ed25519 => Ok("an Ed25519 key".into()),
            Ok(_) => Ok("an RSA key; an Ed25519 key signs in a tenth of the time".into()),
            Err(error) => Err(error.to_string()),
        },
        Name::PolymarketPrivateKey => match WalletSigner::from_hex(text) {
            Ok(signer) if signer.address() == EVERYBODYS => {
                Err("the key of every development chain's first account: everybody has it".into())
            }
            Ok(signer) => Ok(format!("the key of {}", signer.address())),
            Err(error) => Err(error.to_string()),
        },
        Name::PolymarketApiSecret => match ApiSigner::new("", "", text, "") {
            Ok(_) => Ok("a secret in base64".into()),
            Err(error) => Err(error.to_string()),
        },
        Name::PolymarketApiPassphrase => {
            let sound = text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic());
            if sound {
                Ok("a passphrase".into())
            } else {
                Err("no API passphrase: printable ASCII without spaces".into())
            }
        }
        Name::PolymarketFunder => {
            let refused =
                |_| "no address: 0x and 40 hex digits, capitals as the checksum wants them or none".to_owned();
            checksummed(text).map_err(refused)
        }
        Name::PolymarketWalletKind => match KINDS.iter().find(|(number, _)| *number == text) {
            Some((_, kind)) => Ok((*kind).into()),
            None => Err("no kind of wallet: 0 plain account, 1 proxy, 2 Safe, 3 deposit wallet".into()),
        },
        Name::TelegramToken => match bot(text) {
            Some(id) => Ok(format!("the token of bot {id}")),
            None => Err("no bot token: digits, a colon, 35 letters, digits, - and _, as @BotFather tells it".into()),
        },
        Name::AlertsWebhookSecret => {
            let sound = (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
            if sound {
                Ok("a secret that signs".into())
            } else {
                Err("no secret to sign with: 16 to 256 printable ASCII characters without spaces".into())
            }
        }
    }
}

/// The first eight digits of an id in its usual form.
fn uuid(text: &str) -> Option<&str> {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]);
    let digits = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (lengths && digits).then(|| parts[0])
}

/// The number of the bot that a token is of; it is no secret.
fn bot(token: &str) -> Option<&str> {
    let (id, rest) = token.split_once(':')?;
    let digits = (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    let letters = (30..=64).contains(&rest.len())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    (digits && letters).then_some(id)
}

/// What is wrong between the secrets of a vault: it would stop an engine, or lose orders.
pub fn faults(vault: &Vault) -> Vec<String> {
    let mut faults: Vec<String> = vault
        .names()
        .filter_map(|name| Some(format!("{}: {}", name.text(), judge(name, vault.get(name)?).err()?)))
        .collect();
    let wallet = wallet(vault);
    for name in vault.names() {
        let missing: Vec<&str> =
            needed(name).iter().filter(|other| vault.get(**other).is_none()).map(|other| other.text()).collect();
        if !missing.is_empty() {
            faults.push(format!("{} is of no use without {}", name.text(), missing.join(", ")));
        }
    }
    if let Some((owner, kind)) = wallet {
        match (vault.get(Name::PolymarketFunder), kind) {
            (None, "0") => {}
            (None, _) => faults.push(format!("polymarket.funder is missing: the address of {}", called(kind))),
            (Some(funder), _) => match Wallet::of(&owner, funder.expose()) {
                Ok(wallet) if wallet.signature_type().to_string() == kind => {}
                Ok(wallet) => faults.push(format!(
                    "polymarket.funder is {} of this key, which is kind {}, but polymarket.wallet_kind is {kind}, {}",
                    wallet.name(),
                    wallet.signature_type(),
                    called(kind)
                )),
                // A deposit wallet of somebody else may have authorised this key.
                Err(_) if kind == "3" => {}
                Err(error) => faults.push(format!("polymarket.funder: {error}")),
            },
        }
    }
    faults
}

/// What a secret needs beside it.
const fn needed(name: Name) -> &'static [Name] {
    match name {
        Name::KalshiKeyId => &[Name::KalshiPrivateKey],
        Name::KalshiPrivateKey => &[Name::KalshiKeyId],
        // Credentials of the API can be derived from the key, and a plain account is its own funder.
        Name::PolymarketPrivateKey | Name::TelegramToken | Name::AlertsWebhookSecret => &[],
        Name::PolymarketApiKey => &[Name::PolymarketApiSecret, Name::PolymarketApiPassphrase],
        Name::PolymarketApiSecret => &[Name::PolymarketApiKey, Name::PolymarketApiPassphrase],
        Name::PolymarketApiPassphrase => &[Name::PolymarketApiKey, Name::PolymarketApiSecret],
        Name::PolymarketFunder => &[Name::PolymarketPrivateKey, Name::PolymarketWalletKind],
        Name::PolymarketWalletKind => &[Name::PolymarketPrivateKey],
    }
}

/// What Polymarket's key may do beyond trading, as far as the vault alone tells.
pub fn cautions(vault: &Vault) -> Vec<String> {
    let caution = wallet(vault).and_then(|(owner, kind)| {
        let funder = vault.get(Name::PolymarketFunder).map_or(owner.as_str(), |funder| funder.expose());
        match Wallet::of(&owner, funder) {
            Ok(Wallet::Deposit(_)) => Some(
                "polymarket.private_key owns its deposit wallet: whoever has it may withdraw all there is. Use a key that \
                 the wallet's owner has delegated; it may trade and nothing else, and ends after 180 days"
                    .into(),
            ),
            Ok(wallet) => Some(format!(
                "polymarket.private_key owns {}: whoever has it may withdraw all there is. Keep a wallet of its own for \
                 Orion, with no more in it than is traded with",
                wallet.name()
            )),
            Err(_) if kind == "3" => Some(
                "polymarket.private_key does not own this deposit wallet: it trades only as long as the wallet's owner has \
                 delegated it, 180 days at most"
                    .into(),
            ),
            Err(_) => None,
        }
    });
    caution.into_iter().collect()
}

/// The address of Polymarket's key and the number of its wallet's kind; a plain account where none is stated.
fn wallet(vault: &Vault) -> Option<(String, &str)> {
    let signer = WalletSigner::from_hex(vault.get(Name::PolymarketPrivateKey)?.expose()).ok()?;
    let kind = vault.get(Name::PolymarketWalletKind).map_or("0", |kind| kind.expose());
    KINDS.iter().any(|(number, _)| *number == kind).then(|| (signer.address(), kind))
}

/// A kind of wallet in words.
fn called(kind: &str) -> &'static str {
    KINDS.iter().find(|(number, _)| *number == kind).map_or("", |(_, name)| name)
}
