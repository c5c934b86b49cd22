//! Signs requests to Kalshi: timestamp, method and path, with an RSA or an Ed25519 key (dossier 2).
//!
//! The body is not signed, and neither is the query. An RSA signature differs each time it is made; that is the scheme,
//! not a fault.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::unit::UnixMs;

/// The signed text of a WebSocket handshake ends with this path.
pub const WEBSOCKET_PATH: &str = "/trade-api/ws/v2";

/// A key file is a few kilobytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Which kind of key signs. Ed25519 takes about a tenth of the time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyKind {
    Rsa2048,
    Ed25519,
}

/// Why there is no signer. No text ever holds a part of a key.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("{path}: {what}")]
    Unreadable { path: PathBuf, what: String },
    #[error("{path}: mode is {mode:04o}, so others could read the key: chmod 600 {path}")]
    Mode { path: PathBuf, mode: u32 },
    #[error("not a private key in PEM form (BEGIN RSA PRIVATE KEY or BEGIN PRIVATE KEY, not encrypted)")]
    NotPem,
    #[error("neither an RSA key of 2048 bits or more nor an Ed25519 key")]
    NotSupported,
    #[error("the system gave no random numbers")]
    NoRandom,
}

/// The three headers of a signed request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Headers {
    pub key: String,
    /// Unix milliseconds, as signed. The venue takes it for about five seconds.
    pub timestamp: String,
    pub signature: String,
}

impl Headers {
    /// Names and values, as they go on the wire.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, &str); 3] {
        [
            ("KALSHI-ACCESS-KEY", &self.key),
            ("KALSHI-ACCESS-TIMESTAMP", &self.timestamp),
            ("KALSHI-ACCESS-SIGNATURE", &self.signature),
        ]
    }
}

/// Holds the key. Not printable; the library that holds the key's bytes wipes them on drop.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct KalshiSigner {
    key_id: String,
    secret: Secret,
    random: SystemRandom,
}

enum Secret {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl KalshiSigner {
    /// Reads a key from a PEM file that nobody else may read.
    pub fn load(key_id: &str, path: &Path) -> Result<Self, SignError> {
        let unreadable = |error: std::io::Error| SignError::Unreadable { path: path.into(), what: error.to_string() };
        let mut file = File::open(path).map_err(unreadable)?;
        // The mode is asked of the open file, so it cannot be exchanged in between.
        let facts = file.metadata().map_err(unreadable)?;
        let mode = facts.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SignError::Mode { path: path.into(), mode });
        }
        if FILE_BYTES_MAX < facts.len() {
            return Err(SignError::NotPem);
        }
        let mut text = Zeroizing::new(Vec::with_capacity(facts.len() as usize + 1));
        (&mut file).take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(unreadable)?;
        Self::from_pem(key_id, &text)
    }

    /// Reads a key from PEM: PKCS#1 or PKCS#8 for RSA, PKCS#8 for Ed25519.
    pub fn from_pem(key_id: &str, pem: &[u8]) -> Result<Self, SignError> {
        let mut der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| SignError::NotPem)?;
        let secret = match &der {
            PrivateKeyDer::Pkcs1(der) => rsa(RsaKeyPair::from_der(der.secret_pkcs1_der())),
            PrivateKeyDer::Pkcs8(der) => rsa(RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())).or_else(|| {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).ok()?;
                Some(Secret::Ed25519(Box::new(pair)))
            }),
            _ => None,
        };
        der.zeroize();
        let secret = secret.ok_or(SignError::NotSupported)?;
        Ok(Self { key_id: key_id.into(), secret, random: SystemRandom::new() })
    }

    /// A throw-away key for the simulated exchange, and its public half as SPKI DER.
    pub fn generate_demo(kind: KeyKind, key_id: &str) -> Result<(Self, Vec<u8>), SignError> {
        let secret = match kind {
            KeyKind::Rsa2048 => RsaKeyPair::generate(KeySize::Rsa2048).map(|pair| Secret::Rsa(Box::new(pair))),
            KeyKind::Ed25519 => Ed25519KeyPair::generate().map(|pair| Secret::Ed25519(Box::new(pair))),
        };
        let secret = secret.map_err(|_| SignError::NoRandom)?;
        let signer = Self { key_id: key_id.into(), secret, random: SystemRandom::new() };
        let public = signer.public_key()?;
        Ok((signer, public))
    }

    /// The key's id, which is no secret.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The kind of key.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        match self.secret {
            Secret::Rsa(_) => KeyKind::Rsa2048,
            Secret::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// The public half as SPKI DER.
    pub fn public_key(&self) -> Result<Vec<u8>, SignError> {
        let der: Result<PublicKeyX509Der<'_>, _> = match &self.secret {
            Secret::Rsa(pair) => pair.public_key().as_der(),
            Secret::Ed25519(pair) => pair.public_key().as_der(),
        };
        der.map(|der| der.as_ref().to_vec()).map_err(|_| SignError::NotSupported)
    }

    /// Signs one request. `method` is in capitals, `path` is the full path; a query is left out of the signed text.
    pub fn sign(&self, now: UnixMs, method: &str, path: &str) -> Result<Headers, SignError> {
        let timestamp = now.raw().to_string();
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let text = format!("{timestamp}{method}{path}");
        let signature = match &self.secret {
            Secret::Ed25519(pair) => STANDARD.encode(pair.sign(text.as_bytes())),
            Secret::Rsa(pair) => {
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &self.random, text.as_bytes(), &mut bytes)
                    .map_err(|_| SignError::NoRandom)?;
                STANDARD.encode(bytes)
            }
        };
        Ok(Headers { key: self.key_id.clone(), timestamp, signature })
    }

    /// Signs the WebSocket's opening request; it needs a signature even to read public channels.
    pub fn sign_handshake(&self, now: UnixMs) -> Result<Headers, SignError> {
        self.sign(now, "GET", WEBSOCKET_PATH)
    }
}

fn rsa<E>(pair: Result<RsaKeyPair, E>) -> Option<Secret> {
    pair.ok().map(|pair| Secret::Rsa(Box::new(pair)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm};
    use rustls::pki_types::SubjectPublicKeyInfoDer;
    use serde_json::Value;

    fn data(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kalshi");
        std::fs::read(folder.join(name)).unwrap()
    }

    fn vectors() -> Value {
        serde_json::from_slice(&data("signing_vectors.json")).unwrap()
    }

    fn text<'a>(value: &'a Value, name: &str) -> &'a str {
        value[name].as_str().unwrap()
    }

    fn public(pem: &str) -> Vec<u8> {
        SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    }

    fn verifies(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], text: &str, signature: &str) -> bool {
        let signature = STANDARD.decode(signature).unwrap();
        // The Ed25519 verifier wants the bare key, the last 32 bytes of its 44 bytes in SPKI form.
        let key = if key.len() == 44 { &key[12..] } else { key };
        UnparsedPublicKey::new(algorithm, key).verify(text.as_bytes(), &signature).is_ok()
    }

    #[test]
    fn signatures_are_those_of_the_vectors() {
        let vectors = vectors();
        let rsa_key = public(text(&vectors, "rsa_public_key_pem"));
        let signers = [
            KalshiSigner::from_pem("id", &data("test_rsa2048_pkcs8.pem")).unwrap(),
            KalshiSigner::from_pem("id", &data("test_rsa2048_pkcs1.pem")).unwrap(),
        ];
        let fast = KalshiSigner::from_pem("id", &data("test_ed25519_pkcs8.pem")).unwrap();
        assert_eq!((signers[0].kind(), fast.kind()), (KeyKind::Rsa2048, KeyKind::Ed25519));
        assert_eq!(signers[1].public_key().unwrap(), rsa_key);
        assert_eq!(fast.public_key().unwrap(), public(text(&vectors, "ed25519_public_key_pem")));
        for vector in vectors["vectors"].as_array().unwrap() {
            let now = UnixMs::new(text(vector, "timestamp_ms").parse().unwrap());
            let (method, target) = (text(vector, "method"), text(vector, "request_target"));
            let message = text(vector, "message");
            let theirs = text(vector, "rsa_pss_sha256_salt32_signature_b64");
            assert!(verifies(&RSA_PSS_2048_8192_SHA256, &rsa_key, message, theirs));
            for signer in &signers {
                let headers = signer.sign(now, method, target).unwrap();
                assert!(verifies(&RSA_PSS_2048_8192_SHA256, &rsa_key, message, &headers.signature), "{message}");
                assert_eq!(headers.timestamp, text(vector, "timestamp_ms"));
            }
            assert_eq!(fast.sign(now, method, target).unwrap().signature, text(vector, "ed25519_signature_b64"));
        }
        let names: Vec<&str> =
            vectors["headers"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let headers = fast.sign_handshake(UnixMs::new(1)).unwrap();
        assert_eq!(headers.pairs().map(|(name, _)| name).to_vec(), names);
    }

    #[test]
    fn what_the_venue_refuses_does_not_verify() {
        let vectors = vectors();
        let key = public(text(&vectors, "rsa_public_key_pem"));
        let refused = vectors["negative_vectors"].as_array().unwrap();
        assert_eq!(refused.len(), 4);
        for vector in refused {
            let message = vector.get("message").unwrap_or(&vector["message_expected_by_server"]).as_str().unwrap();
            let signature = text(vector, "signature_b64");
            assert!(!verifies(&RSA_PSS_2048_8192_SHA256, &key, message, signature), "{}", vector["name"]);
        }
    }

    #[test]
    fn a_demo_key_signs_for_its_public_half_only() {
        for (kind, algorithm) in [
            (KeyKind::Rsa2048, &RSA_PSS_2048_8192_SHA256 as &'static dyn VerificationAlgorithm),
            (KeyKind::Ed25519, &ED25519),
        ] {
            let (signer, key) = KalshiSigner::generate_demo(kind, "demo").unwrap();
            let headers = signer.sign(UnixMs::new(5), "GET", "/trade-api/v2/markets?limit=1").unwrap();
            assert!(verifies(algorithm, &key, "5GET/trade-api/v2/markets", &headers.signature));
            assert!(!verifies(algorithm, &key, "6GET/trade-api/v2/markets", &headers.signature));
        }
    }

    #[test]
    fn a_key_that_others_could_read_is_refused_with_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        std::fs::write(&path, data("test_ed25519_pkcs8.pem")).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        for open in [0o644, 0o640, 0o604, 0o620] {
            mode(open);
            let error = KalshiSigner::load("id", &path).err().unwrap().to_string();
            assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
        for closed in [0o600, 0o400] {
            mode(closed);
            assert!(KalshiSigner::load("id", &path).is_ok());
        }
        mode(0o600);
        std::fs::write(&path, "hush-hush").unwrap();
        let error = KalshiSigner::load("id", &path).err().unwrap();
        assert!(matches!(error, SignError::NotPem) && !error.to_string().contains("hush"));
        assert!(matches!(KalshiSigner::load("id", Path::new("/nowhere")).err(), Some(SignError::Unreadable { .. })));
    }
}
