//! What a secret is, in words that tell nothing of it; and what is wrong with what a vault holds.

use crate::{
    cli::sim,
    vault::{Name, Secret, Vault},
    venue::{
        kalshi::sign::{KalshiSigner, KeyKind},
        polymarket::{
            sign::{ApiSigner, WalletSigner},
            wallet::{WalletKind, funder, parse_address},
        },
    },
};

/// The first account of every development chain; its key stands in a thousand tutorials.
const EVERYBODYS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

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
        Name::PolymarketFunder => match parse_address(text) {
            Some(address) => Ok(address.to_checksum(None)),
            None => Err("no address: 0x and 40 hex digits, capitals as the checksum wants them or none".into()),
        },
        Name::PolymarketWalletKind => match WalletKind::parse(text) {
            Some(kind) => Ok(kind.name().into()),
            None => Err("no kind of wallet: 0 plain account, 1 proxy, 2 Safe, 3 deposit wallet".into()),
        },
    }
}

/// The first eight digits of an id in its usual form.
fn uuid(text: &str) -> Option<&str> {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]);
    let digits = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (lengths && digits).then(|| parts[0])
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
    if let Some((_, kind)) = &wallet
        && *kind != WalletKind::Eoa
        && vault.get(Name::PolymarketFunder).is_none()
    {
        faults.push(format!("polymarket.funder is missing: the address of {}", kind.name()));
    }
    if let Some((signer, kind)) = wallet
        && let Some(wanted) = parse_address(&signer).and_then(|owner| funder(owner, kind))
        && let Some(found) = vault.get(Name::PolymarketFunder).and_then(|funder| parse_address(funder.expose()))
        && wanted != found
    {
        faults.push(format!("polymarket.funder is {found}, but {} of this key is {wanted}", kind.name()));
    }
    faults
}

/// What a secret needs beside it.
const fn needed(name: Name) -> &'static [Name] {
    match name {
        Name::KalshiKeyId => &[Name::KalshiPrivateKey],
        Name::KalshiPrivateKey => &[Name::KalshiKeyId],
        // Credentials of the API can be derived from it, and a plain account is its own funder.
        Name::PolymarketPrivateKey => &[],
        Name::PolymarketApiKey => &[Name::PolymarketApiSecret, Name::PolymarketApiPassphrase],
        Name::PolymarketApiSecret => &[Name::PolymarketApiKey, Name::PolymarketApiPassphrase],
        Name::PolymarketApiPassphrase => &[Name::PolymarketApiKey, Name::PolymarketApiSecret],
        Name::PolymarketFunder => &[Name::PolymarketPrivateKey, Name::PolymarketWalletKind],
        Name::PolymarketWalletKind => &[Name::PolymarketPrivateKey],
    }
}

/// What Polymarket's key may do beyond trading, as far as the vault alone tells.
pub fn cautions(vault: &Vault) -> Vec<String> {
    let caution = wallet(vault).map(|(_, kind)| match kind {
        WalletKind::Deposit => "polymarket.private_key: the owner's key of a deposit wallet may withdraw, a delegated \
                                one may not; which of both it is does not show here. Use a delegated one; it ends \
                                after 180 days"
            .into(),
        kind => format!(
            "polymarket.private_key owns {}: whoever has it may withdraw all there is. Keep a wallet of its own for Orion, \
             with no more in it than is traded with",
            kind.name()
        ),
    });
    caution.into_iter().collect()
}

/// The address of Polymarket's key and the kind of its wallet; a plain account where none is stated.
fn wallet(vault: &Vault) -> Option<(String, WalletKind)> {
    let signer = WalletSigner::from_hex(vault.get(Name::PolymarketPrivateKey)?.expose()).ok()?;
    let kind =
        vault.get(Name::PolymarketWalletKind).map_or(Some(WalletKind::Eoa), |kind| WalletKind::parse(kind.expose()));
    Some((signer.address(), kind?))
}
