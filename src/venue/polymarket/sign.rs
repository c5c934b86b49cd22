//! Signs in at Polymarket: L1 proves the wallet's key (only to make or derive API keys), L2 goes on every private call
//! (dossier 2).

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain, sol};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use k256::ecdsa::SigningKey;
use zeroize::{Zeroize as _, Zeroizing};

use crate::unit::UnixMs;

/// What the wallet's owner signs, without a full stop.
const ATTESTATION: &str = "This message attests that I control the given wallet";

/// Secrets come with padding, but not from every tool.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

sol! {
    struct ClobAuth {
        address address;
        string timestamp;
        uint256 nonce;
        string message;
    }
}

/// Why there is no signer. No text ever holds a part of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignError {
    #[error("not a private key: 0x and 64 hex digits, above zero and below the order of the curve")]
    NotAKey,
    #[error("the API secret is not base64")]
    NotASecret,
}

/// The four headers of an L1 call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct L1Headers {
    pub address: String,
    pub signature: String,
    /// Unix seconds.
    pub timestamp: String,
    pub nonce: String,
}

impl L1Headers {
    /// Names and values, as they go on the wire.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, &str); 4] {
        [
            ("POLY_ADDRESS", &self.address),
            ("POLY_SIGNATURE", &self.signature),
            ("POLY_TIMESTAMP", &self.timestamp),
            ("POLY_NONCE", &self.nonce),
        ]
    }
}

/// The wallet's key. Not printable; wiped on drop by the curve's library.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct WalletSigner {
    key: SigningKey,
    address: Address,
}

impl WalletSigner {
    /// Reads `0x` and 64 hex digits; the prefix may be missing.
    pub fn from_hex(text: &str) -> Result<Self, SignError> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let mut bytes = Zeroizing::new([0_u8; 32]);
        if digits.len() != 64 || alloy_primitives::hex::decode_to_slice(digits, &mut *bytes).is_err() {
            return Err(SignError::NotAKey);
        }
        let key = SigningKey::from_slice(&*bytes).map_err(|_| SignError::NotAKey)?;
        let point = key.verifying_key().to_sec1_point(false);
        // The first byte says that the point is uncompressed; the address is made from the rest.
        let address = Address::from_raw_public_key(&point.as_bytes()[1..]);
        Ok(Self { key, address })
    }

    /// The address, with the capitals of its checksum.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_checksum(None)
    }

    /// Signs in for the key set `nonce`; the first one is 0. Chain 137 is the real one.
    #[must_use]
    pub fn sign_in(&self, now: UnixMs, nonce: u64, chain_id: u64) -> L1Headers {
        let timestamp = (now.raw() / 1_000).to_string();
        let message = ClobAuth {
            address: self.address,
            timestamp: timestamp.clone(),
            nonce: U256::from(nonce),
            message: ATTESTATION.into(),
        };
        let digest = message.eip712_signing_hash(&domain(chain_id));
        L1Headers {
            address: self.address(),
            signature: alloy_primitives::hex::encode_prefixed(self.sign_digest(digest)),
            timestamp,
            nonce: nonce.to_string(),
        }
    }

    /// The address as bytes.
    pub(super) const fn raw_address(&self) -> Address {
        self.address
    }

    /// r, s and v (27 or 28) over a digest: by far the dearest step of an order.
    pub(super) fn sign_digest(&self, digest: B256) -> [u8; 65] {
        // RFC 6979 makes the signature reproducible; the library keeps s in the lower half.
        let (signature, recovery) = self.key.sign_prehash_recoverable(digest.as_slice());
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + recovery.to_byte();
        bytes
    }
}

/// The two calls that answer a sign-in with API credentials: `{"apiKey","secret","passphrase"}`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyCall {
    /// 400 where the key set exists already; then it can be derived.
    Create,
    Derive,
}

impl KeyCall {
    /// The method and the path; neither call has a body.
    #[must_use]
    pub const fn request(self) -> (&'static str, &'static str) {
        match self {
            Self::Create => ("POST", "/auth/api-key"),
            Self::Derive => ("GET", "/auth/derive-api-key"),
        }
    }
}

/// The domain stayed at version 1 when the orders' domain moved on.
fn domain(chain_id: u64) -> Eip712Domain {
    eip712_domain! { name: "ClobAuthDomain", version: "1", chain_id: chain_id, }
}

/// The five headers of an L2 call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct L2Headers {
    pub address: String,
    pub api_key: String,
    pub passphrase: Zeroizing<String>,
    /// Unix seconds.
    pub timestamp: String,
    pub signature: String,
}

impl L2Headers {
    /// Names and values, as they go on the wire.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, &str); 5] {
        [
            ("POLY_ADDRESS", &self.address),
            ("POLY_API_KEY", &self.api_key),
            ("POLY_PASSPHRASE", &self.passphrase),
            ("POLY_TIMESTAMP", &self.timestamp),
            ("POLY_SIGNATURE", &self.signature),
        ]
    }

    /// The same for the relayer, signed with a builder's credentials instead of a trader's.
    #[must_use]
    pub fn builder_pairs(&self) -> [(&'static str, &str); 4] {
        [
            ("POLY_BUILDER_API_KEY", &self.api_key),
            ("POLY_BUILDER_PASSPHRASE", &self.passphrase),
            ("POLY_BUILDER_TIMESTAMP", &self.timestamp),
            ("POLY_BUILDER_SIGNATURE", &self.signature),
        ]
    }
}

/// API credentials. Not printable. The guard has a copy of its own: it must be able to cancel while others hang.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct ApiSigner {
    address: String,
    api_key: String,
    passphrase: Zeroizing<String>,
    /// As it was given: the user channel wants it itself.
    secret: Zeroizing<String>,
    key: hmac::Key,
}

impl ApiSigner {
    /// Credentials as the venue gave them; `address` is that of the signing key, for every kind of wallet.
    pub fn new(address: &str, api_key: &str, secret: &str, passphrase: &str) -> Result<Self, SignError> {
        let given = Zeroizing::new(secret.trim().to_owned());
        let secret = Zeroizing::new(given.replace('+', "-").replace('/', "_"));
        let mut bytes = BASE64.decode(secret.as_bytes()).map_err(|_| SignError::NotASecret)?;
        if bytes.is_empty() {
            return Err(SignError::NotASecret);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        bytes.zeroize();
        Ok(Self {
            address: address.into(),
            api_key: api_key.into(),
            passphrase: Zeroizing::new(passphrase.into()),
            secret: given,
            key,
        })
    }

    /// Signs one call: the method exactly as sent, the path without its query, the body byte for byte as sent.
    #[must_use]
    pub fn sign(&self, now: UnixMs, method: &str, path: &str, body: &str) -> L2Headers {
        let timestamp = (now.raw() / 1_000).to_string();
        let path = path.split('?').next().unwrap_or_default();
        let mut context = hmac::Context::with_key(&self.key);
        for part in [&timestamp, method, path, body] {
            context.update(part.as_bytes());
        }
        L2Headers {
            address: self.address.clone(),
            api_key: self.api_key.clone(),
            passphrase: self.passphrase.clone(),
            timestamp,
            signature: BASE64.encode(context.sign()),
        }
    }

    /// Whose orders these are, in the venue's words: the API key.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.api_key
    }

    /// The first message of the user channel, for every market (dossier 4.6). It holds the secret: for the socket
    /// alone.
    #[must_use]
    pub fn hello(&self) -> String {
        let auth = serde_json::json!({
            "apiKey": self.api_key, "secret": *self.secret, "passphrase": *self.passphrase,
        });
        serde_json::json!({"auth": auth, "type": "user"}).to_string()
    }

    /// A text of the venue's without anything that would let its reader sign in, for a log.
    #[must_use]
    pub fn cut(&self, text: &str) -> String {
        [&*self.secret, &*self.passphrase, &self.api_key]
            .into_iter()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
    use serde_json::Value;

    fn vectors() -> Value {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/polymarket/signing_vectors.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn text<'a>(value: &'a Value, name: &str) -> &'a str {
        value[name].as_str().unwrap()
    }

    #[test]
    fn sign_ins_are_those_of_the_official_clients_byte_for_byte() {
        let vectors = vectors();
        let signer = WalletSigner::from_hex(text(&vectors["meta"], "private_key")).unwrap();
        let cases = vectors["l1_auth"].as_array().unwrap();
        assert_eq!(cases.len(), 6);
        for case in cases {
            let seconds: u64 = text(case, "timestamp").parse().unwrap();
            let chain = case["chainId"].as_u64().unwrap();
            let domain = domain(chain);
            assert_eq!(domain.separator().to_string(), text(case, "domainSeparator"));
            assert_eq!(ATTESTATION, text(case, "message"));
            let headers = signer.sign_in(UnixMs::new(seconds * 1_000 + 999), case["nonce"].as_u64().unwrap(), chain);
            assert_eq!(headers.signature, text(case, "signature"));
            for (name, value) in headers.pairs() {
                assert_eq!(value, text(&case["headers"], name), "{name}");
            }
        }
    }

    #[test]
    fn a_sign_in_recovers_to_the_wallet_and_to_no_other() {
        let signer = WalletSigner::from_hex(&"42".repeat(32)).unwrap();
        let headers = signer.sign_in(UnixMs::new(1_793_000_000_000), 0, 137);
        let bytes = alloy_primitives::hex::decode(&headers.signature).unwrap();
        let recovered = |nonce: u64| {
            let message = ClobAuth {
                address: signer.address,
                timestamp: headers.timestamp.clone(),
                nonce: U256::from(nonce),
                message: ATTESTATION.into(),
            };
            let digest = message.eip712_signing_hash(&domain(137));
            let signature = Signature::from_slice(&bytes[..64]).unwrap();
            let id = RecoveryId::from_byte(bytes[64] - 27).unwrap();
            let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, id).unwrap();
            Address::from_raw_public_key(&key.to_sec1_point(false).as_bytes()[1..])
        };
        assert_eq!(recovered(0), signer.address);
        assert_ne!(recovered(1), signer.address);
    }

    #[test]
    fn calls_are_signed_as_the_official_clients_sign_them() {
        let vectors = vectors();
        let cases = vectors["l2_hmac"].as_array().unwrap();
        assert_eq!(cases.len(), 13);
        for case in cases {
            let headers = &case["headers"];
            let (address, key, phrase) =
                (text(headers, "POLY_ADDRESS"), text(headers, "POLY_API_KEY"), text(headers, "POLY_PASSPHRASE"));
            let signer = ApiSigner::new(address, key, text(case, "secret"), phrase).unwrap();
            let now = UnixMs::new(case["timestamp"].as_u64().unwrap() * 1_000);
            let (method, path) = (text(case, "method"), text(case, "path"));
            let body = case["body"].as_str().unwrap_or_default();
            let signed = signer.sign(now, method, path, body);
            for (name, value) in signed.pairs() {
                assert_eq!(value, text(headers, name), "{name}");
            }
            let query = signer.sign(now, method, &format!("{path}?next_cursor=x"), body);
            assert_eq!(query.signature, signed.signature, "the query is not signed");
            assert_ne!(signer.sign(now, method, path, &format!("{body} ")).signature, signed.signature);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        let zero = "0".repeat(64);
        for bad in ["", "0x", "hush", &"g".repeat(64), &"ab".repeat(31), &zero, order] {
            assert_eq!(WalletSigner::from_hex(bad).err(), Some(SignError::NotAKey), "{bad}");
        }
        assert_eq!(ApiSigner::new("0x", "k", "not base64!", "p").err(), Some(SignError::NotASecret));
        assert_eq!(ApiSigner::new("0x", "k", "", "p").err(), Some(SignError::NotASecret));
    }
}
