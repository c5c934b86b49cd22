//! What Kalshi says of the account's own keys: scopes, subaccount, region (dossier 2.6; REST specification 3.34.0).

use reqwest::header::{HeaderMap, HeaderValue};
use serde::Deserialize;

use super::sign::KalshiSigner;
use crate::{
    unit::UnixMs,
    venue::{
        listing::{Refused, or_default, read},
        rest::{Access, Rest, RestError},
    },
};

/// What one key may do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRights {
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// `read`, `write`, or children such as `write::trade`. A parent grants all its children.
    pub scopes: Vec<String>,
    /// The one subaccount that it may act on; `None` for all of them.
    pub subaccount: Option<u8>,
}

impl KeyRights {
    /// Is this granted, by itself or by its parent?
    #[must_use]
    pub fn grants(&self, scope: &str) -> bool {
        let parent = scope.split("::").next().unwrap_or(scope);
        self.scopes.iter().any(|granted| granted == scope || granted == parent)
    }
}

/// Every key of the account, and until when its location is attested.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Keys {
    pub keys: Vec<KeyRights>,
    /// After this the keys trade no sports, elections and entertainment until a person renews it; `None` where the
    /// account never attested.
    pub region_until: Option<UnixMs>,
}

/// Path of the list, below `/trade-api/v2`. Signed.
pub const KEYS: &str = "/api_keys";

/// Asks the venue of the account's keys, signed with one of them.
pub async fn keys(access: &Access<'_>, signer: &KalshiSigner, now: impl Fn() -> UnixMs) -> Result<Keys, RestError> {
    let rest = Rest::new(access)?;
    let sign = |path: &str| {
        let signed = signer.sign(now(), "GET", path).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        for (name, value) in signed.pairs() {
            headers.insert(name, HeaderValue::from_str(value).map_err(|error| error.to_string())?);
        }
        Ok(headers)
    };
    let path = KEYS;
    let body = rest.get_signed(path, &[], sign).await?;
    parse_keys(&body).map_err(|refused| RestError::Unreadable { path: path.into(), refused })
}

#[derive(Deserialize)]
struct RawKeys {
    api_keys: Vec<RawKey>,
    #[serde(default)]
    api_key_region_expiration_ts: Option<u64>,
}

#[derive(Deserialize)]
struct RawKey {
    api_key_id: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    scopes: Vec<String>,
    #[serde(default)]
    subaccount: Option<u8>,
}

/// Reads the body of `GET /api_keys`.
pub fn parse_keys(body: &[u8]) -> Result<Keys, Refused> {
    let raw: RawKeys = read(body)?;
    let keys = raw.api_keys.into_iter().map(|key| KeyRights {
        id: key.api_key_id,
        name: key.name,
        scopes: key.scopes,
        subaccount: key.subaccount,
    });
    let region_until = raw.api_key_region_expiration_ts.map(|seconds| UnixMs::new(seconds.saturating_mul(1_000)));
    Ok(Keys { keys: keys.collect(), region_until })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_the_specifications_form_and_a_parent_grants_its_children() {
        let body = br#"{"api_keys":[
            {"api_key_id":"a","name":"old","scopes":["read","write"],"subaccount":null,"fcm_subtrader_id":null},
            {"api_key_id":"b","name":"orion","scopes":["read","write::trade"],"subaccount":3}
        ],"api_key_region_expiration_ts":1795175100}"#;
        let read = parse_keys(body).unwrap();
        assert_eq!(read.region_until, Some(UnixMs::new(1_795_175_100_000)));
        let [old, orion] = &read.keys[..] else { panic!("{read:?}") };
        assert!(old.grants("write::transfer") && old.grants("read::portfolio_balance") && old.subaccount.is_none());
        assert!(orion.grants("write::trade") && !orion.grants("write::transfer") && !orion.grants("write"));
        assert_eq!(orion.subaccount, Some(3));
        assert_eq!(parse_keys(br#"{"api_keys":[]}"#).unwrap().region_until, None);
        for bad in [&b"{}"[..], b"[]", b"<html>", br#"{"api_keys":[{"api_key_id":"a"}]}"#] {
            assert!(parse_keys(bad).is_err());
        }
    }
}
