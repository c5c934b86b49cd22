//! Who calls: a wallet's signature makes API credentials (L1), and those sign everything else (L2).
//!
//! The text under the second signature is the exact bytes: time, method, path without its query, body.

use alloy_primitives::{Address, hex};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use serde_json::json;

use crate::sim::clob::account::ApiKey;
use crate::sim::clob::{Answer, ClobDesk, Request, typed};
use crate::unit::UnixMs;

/// Somebody with valid credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Caller {
    pub account: usize,
    pub address: Address,
    /// The API key.
    pub key: String,
    pub readonly: bool,
}

fn unauthorised(now: UnixMs) -> Answer {
    Answer::error(401, "Unauthorized/Invalid api key", now)
}

fn not_signed_in(now: UnixMs) -> Answer {
    Answer::error(401, "Invalid L1 Request headers", now)
}

impl ClobDesk {
    /// Is this time, in Unix seconds, near enough?
    fn is_fresh(&self, secs: &str, now: UnixMs) -> bool {
        let plain = !secs.is_empty() && secs.bytes().all(|byte| byte.is_ascii_digit());
        let at = secs.parse::<u64>().ok().filter(|_| plain).and_then(|secs| secs.checked_mul(1_000));
        // A stamp in whole seconds is up to a second old when it is made.
        at.is_some_and(|at| at.abs_diff(now.raw()) <= self.rules.skew_ms + 999)
    }

    /// Who signed in, and for which key set.
    fn l1(&self, request: &Request, now: UnixMs) -> Option<(Address, u64)> {
        let claimed: Address = request.header("POLY_ADDRESS")?.parse().ok()?;
        let timestamp = request.header("POLY_TIMESTAMP").filter(|secs| self.is_fresh(secs, now))?;
        let nonce: u64 = request.header("POLY_NONCE")?.parse().ok()?;
        let signature = hex::decode(request.header("POLY_SIGNATURE")?).ok()?;
        let signer = typed::signed_in(claimed, timestamp, nonce, &signature)?;
        (signer == claimed).then_some((claimed, nonce))
    }

    /// Who calls, or the 401.
    pub(super) fn l2(&self, request: &Request, now: UnixMs) -> Result<Caller, Answer> {
        self.credentialed(request, now).ok_or_else(|| unauthorised(now))
    }

    fn credentialed(&self, request: &Request, now: UnixMs) -> Option<Caller> {
        let address: Address = request.header("POLY_ADDRESS")?.parse().ok()?;
        let (account, key) = self.live_key(request.header("POLY_API_KEY")?)?;
        let timestamp = request.header("POLY_TIMESTAMP").filter(|secs| self.is_fresh(secs, now))?;
        if self.accounts[account].address != address || request.header("POLY_PASSPHRASE")? != key.passphrase {
            return None;
        }
        let secret = BASE64_URL_SAFE.decode(&key.secret).ok()?;
        let text = format!("{timestamp}{}{}{}", request.method, request.path, request.body);
        let signature = BASE64_URL_SAFE.decode(request.header("POLY_SIGNATURE")?).ok()?;
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes(), &signature).ok()?;
        Some(Caller { account, address, key: key.id.clone(), readonly: key.readonly })
    }

    /// A set of credentials that is in force, and whose.
    fn live_key(&self, id: &str) -> Option<(usize, &ApiKey)> {
        self.accounts.iter().enumerate().find_map(|(account, owner)| {
            let key = owner.keys.iter().find(|key| key.id == id && !key.deleted)?;
            Some((account, key))
        })
    }

    /// Whose credentials these are, as the user channel is told them.
    pub(super) fn channel_account(&self, id: &str, secret: &str, passphrase: &str) -> Option<usize> {
        let (account, key) = self.live_key(id)?;
        (key.secret == secret && key.passphrase == passphrase).then_some(account)
    }

    /// An account's set of credentials, made where there is none.
    pub(super) fn key_set(&mut self, account: usize, name: &str, nonce: u64) -> ApiKey {
        let address = self.accounts[account].address;
        let key = ApiKey::derive(self.seed, address, name, nonce);
        let keys = &mut self.accounts[account].keys;
        match keys.iter_mut().find(|known| known.id == key.id) {
            Some(known) => known.deleted = false,
            None => keys.push(key.clone()),
        }
        key
    }

    pub(super) fn auth_call(&mut self, request: &Request, now: UnixMs) -> Answer {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/auth/api-key") => match self.l1(request, now) {
                None => not_signed_in(now),
                Some((address, nonce)) => {
                    let account = self.account_of(address);
                    if self.has_set(account, nonce) {
                        return Answer::error(400, "Could not create api key", now);
                    }
                    let key = self.key_set(account, "trade", nonce);
                    credentials(&key, now)
                }
            },
            ("GET", "/auth/derive-api-key") => match self.l1(request, now) {
                None => not_signed_in(now),
                Some((address, nonce)) => {
                    let account = self.account_of(address);
                    if !self.has_set(account, nonce) {
                        return Answer::error(400, "Could not derive api key!", now);
                    }
                    let key = self.key_set(account, "trade", nonce);
                    credentials(&key, now)
                }
            },
            _ => match self.l2(request, now) {
                Ok(caller) => self.own_keys(request, &caller, now),
                Err(answer) => answer,
            },
        }
    }

    fn has_set(&self, account: usize, nonce: u64) -> bool {
        let trading = |key: &&ApiKey| !key.readonly && !key.deleted && key.nonce == nonce;
        self.accounts[account].keys.iter().any(|key| trading(&key))
    }

    fn own_keys(&mut self, request: &Request, caller: &Caller, now: UnixMs) -> Answer {
        let account = caller.account;
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/auth/api-keys") => Answer::ok(&json!({"apiKeys": self.key_ids(account, false)}), now),
            ("DELETE", "/auth/api-key") => {
                self.delete_key(account, &caller.key);
                Answer::ok(&json!("OK"), now)
            }
            ("POST", "/auth/readonly-api-key") => {
                let nonce = self.accounts[account].keys.len() as u64;
                let key = self.key_set(account, "readonly", nonce);
                credentials(&key, now)
            }
            ("GET", "/auth/readonly-api-keys") => {
                Answer::ok(&json!({"readonlyApiKeys": self.key_ids(account, true)}), now)
            }
            ("DELETE", "/auth/readonly-api-key") => {
                let body: serde_json::Value = serde_json::from_str(&request.body).unwrap_or_default();
                self.delete_key(account, body["key"].as_str().unwrap_or_default());
                Answer::ok(&json!("OK"), now)
            }
            ("GET", "/auth/ban-status/closed-only") => {
                Answer::ok(&json!({"closed_only": self.accounts[account].closed_only}), now)
            }
            ("POST", "/auth/builder-api-key") => {
                let key = self.key_set(account, "builder", 1_000_000);
                Answer::ok(&json!({"key": key.id, "secret": key.secret, "passphrase": key.passphrase}), now)
            }
            _ => Answer::error(405, "Method Not Allowed", now),
        }
    }

    fn key_ids(&self, account: usize, readonly: bool) -> Vec<&str> {
        let keys = self.accounts[account].keys.iter().filter(|key| key.readonly == readonly && !key.deleted);
        keys.map(|key| key.id.as_str()).collect()
    }

    fn delete_key(&mut self, account: usize, id: &str) {
        for key in self.accounts[account].keys.iter_mut().filter(|key| key.id == id) {
            key.deleted = true;
        }
    }
}

fn credentials(key: &ApiKey, now: UnixMs) -> Answer {
    Answer::ok(&json!({"apiKey": key.id, "secret": key.secret, "passphrase": key.passphrase}), now)
}
