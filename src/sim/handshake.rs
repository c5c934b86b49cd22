//! Kalshi's signed headers, checked as the venue checks them: key, clock, signature, in the venue's words when one is
//! wrong. The text is timestamp, method and path without its query; RSA-PSS with SHA-256 and a salt of 32 bytes, or
//! Ed25519, by the kind of key.

use aws_lc_rs::signature::{ED25519, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::sim::kalshi_rest::{Reply, nested};
use crate::unit::UnixMs;

/// How far a header's time may lie behind the server's, and ahead of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Skew {
    pub behind_ms: u64,
    pub ahead_ms: u64,
}

impl Default for Skew {
    /// Between what was seen to pass and what was seen to fail.
    fn default() -> Self {
        Self { behind_ms: 10_000, ahead_ms: 60_000 }
    }
}

/// What a DER public key of Ed25519 begins with; the 32 bytes of the key follow.
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The three headers, where present.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    pub key: Option<&'a str>,
    pub timestamp: Option<&'a str>,
    pub signature: Option<&'a str>,
}

/// Nothing if the request is signed by the key that it names, now; otherwise the 401 to send. `public` is that key as
/// DER `SubjectPublicKeyInfo`, if it is known.
pub fn check(
    headers: &Headers,
    method: &str,
    path: &str,
    public: Option<&[u8]>,
    skew: Skew,
    now: UnixMs,
) -> Result<(), Reply> {
    let (Some(_), Some(timestamp), Some(signature)) = (headers.key, headers.timestamp, headers.signature) else {
        return Err(nested(401, "signature_is_missing_from_headers", None));
    };
    let fresh = timestamp.parse::<u64>().is_ok_and(|at| {
        now.raw() <= at.saturating_add(skew.behind_ms) && at <= now.raw().saturating_add(skew.ahead_ms)
    });
    if !fresh {
        return Err(nested(401, "header_timestamp_expired", None));
    }
    let Some(public) = public else {
        return Err(nested(401, "authentication_error", Some("NOT_FOUND")));
    };
    let text = format!("{timestamp}{method}{path}");
    let genuine = BASE64_STANDARD.decode(signature).is_ok_and(|bytes| verifies(public, text.as_bytes(), &bytes));
    if genuine { Ok(()) } else { Err(nested(401, "authentication_error", Some("INCORRECT_API_KEY_SIGNATURE"))) }
}

fn verifies(public: &[u8], text: &[u8], signature: &[u8]) -> bool {
    let (algorithm, key): (&'static dyn VerificationAlgorithm, &[u8]) = match public.strip_prefix(&ED25519_PREFIX) {
        Some(key) => (&ED25519, key),
        None => (&RSA_PSS_2048_8192_SHA256, public),
    };
    UnparsedPublicKey::new(algorithm, key).verify(text, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    };

    use super::*;

    const PATH: &str = "/trade-api/ws/v2";
    const NOW: UnixMs = UnixMs::new(1_795_175_100_000);

    fn ed25519() -> (Ed25519KeyPair, Vec<(String, Vec<u8>)>) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let der = [&ED25519_PREFIX[..], pair.public_key().as_ref()].concat();
        (pair, vec![(String::from("key-1"), der)])
    }

    fn code(headers: &Headers, keys: &[(String, Vec<u8>)]) -> String {
        let public = keys.iter().find(|(id, _)| Some(id.as_str()) == headers.key).map(|(_, public)| public.as_slice());
        check(headers, "GET", PATH, public, Skew::default(), NOW)
            .map_or_else(|reply| reply.body, |()| String::from("in"))
    }

    fn signed(pair: &Ed25519KeyPair, at: u64) -> (String, String) {
        let signature = pair.sign(format!("{at}GET{PATH}").as_bytes());
        (at.to_string(), BASE64_STANDARD.encode(signature.as_ref()))
    }

    #[test]
    fn an_ed25519_key_gets_in_within_the_skew_only() {
        let (pair, keys) = ed25519();
        for (at, word) in [
            (NOW.raw(), "in"),
            (NOW.raw() - 10_000, "in"),
            (NOW.raw() + 60_000, "in"),
            (NOW.raw() - 10_001, "header_timestamp_expired"),
            (NOW.raw() + 60_001, "header_timestamp_expired"),
        ] {
            let (timestamp, signature) = signed(&pair, at);
            let headers = Headers { key: Some("key-1"), timestamp: Some(&timestamp), signature: Some(&signature) };
            assert!(code(&headers, &keys).contains(word), "{at}");
        }
    }

    #[test]
    fn each_reason_to_stay_out_has_the_venues_word() {
        let (pair, keys) = ed25519();
        let (timestamp, signature) = signed(&pair, NOW.raw());
        let good = Headers { key: Some("key-1"), timestamp: Some(&timestamp), signature: Some(&signature) };
        assert!(code(&Headers { signature: None, ..good }, &keys).contains("signature_is_missing_from_headers"));
        assert!(code(&Headers { key: Some("key-2"), ..good }, &keys).contains("NOT_FOUND"));
        assert!(code(&Headers { signature: Some("AAAA"), ..good }, &keys).contains("INCORRECT_API_KEY_SIGNATURE"));
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        let (_, forged) = signed(&other, NOW.raw());
        assert!(code(&Headers { signature: Some(&forged), ..good }, &keys).contains("INCORRECT_API_KEY_SIGNATURE"));
    }

    #[test]
    fn an_rsa_key_needs_pss_with_a_salt_as_long_as_the_digest() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = pair.public_key().as_der().unwrap().as_ref().to_vec();
        let keys = vec![(String::from("key-1"), der)];
        let text = format!("{}GET{PATH}", NOW.raw());
        let sign = |padding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(padding, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
            BASE64_STANDARD.encode(signature)
        };
        let timestamp = NOW.raw().to_string();
        let (right, wrong) = (sign(&RSA_PSS_SHA256), sign(&RSA_PKCS1_SHA256));
        let headers =
            |signature| Headers { key: Some("key-1"), timestamp: Some(&timestamp), signature: Some(signature) };
        assert_eq!(code(&headers(&right), &keys), "in");
        assert!(code(&headers(&wrong), &keys).contains("INCORRECT_API_KEY_SIGNATURE"));
    }
}
