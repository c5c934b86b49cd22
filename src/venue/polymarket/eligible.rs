//! May this host and this account open anything at Polymarket (dossier 1.1, 1.3)? And the venue's clock.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{contract::Chain, order::Exchange};
use crate::{
    unit::{Money, UnixMs},
    venue::listing::{Refused, read},
};

/// Path on the venue's site that judges the caller's address.
pub const GEOBLOCK: &str = "/api/geoblock";
/// Path that says whether an account may only close; signed.
pub const CLOSED_ONLY: &str = "/auth/ban-status/closed-only";
/// Path of the venue's clock: whole Unix seconds.
pub const TIME: &str = "/time";
/// Path of the wallet's cash and approvals; signed, and asked with the kind of asset and of wallet.
pub const COLLATERAL: &str = "/balance-allowance";

/// Where the venue takes this host to be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Place {
    pub blocked: bool,
    #[serde(default)]
    pub country: String,
    #[serde(default)]
    pub region: String,
}

/// Reads the answer to [`GEOBLOCK`].
pub fn place(body: &[u8]) -> Result<Place, Refused> {
    read(body)
}

#[derive(Deserialize)]
struct RawStatus {
    closed_only: bool,
}

/// Reads the answer to [`CLOSED_ONLY`].
pub fn closed_only(body: &[u8]) -> Result<bool, Refused> {
    let raw: RawStatus = read(body)?;
    Ok(raw.closed_only)
}

/// Reads the answer to [`TIME`]: the second that the venue's clock was in.
pub fn time(body: &[u8]) -> Result<UnixMs, Refused> {
    let seconds: u64 = read(body)?;
    Ok(UnixMs::new(seconds.saturating_mul(1_000)))
}

#[derive(Deserialize)]
struct RawCollateral {
    balance: String,
    #[serde(default)]
    allowances: BTreeMap<String, String>,
}

/// Reads the answer to [`COLLATERAL`]: the cash, and the least that the exchange's contracts may move of it; `None`
/// where one of them is not named.
pub fn collateral(body: &[u8], chain: Chain) -> Result<(Money, Option<Money>), Refused> {
    let raw: RawCollateral = read(body)?;
    // Up to 256 bits: what does not fit is as good as all there is.
    let micros = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| Money::micros(text.parse().unwrap_or(i64::MAX)))
    };
    let cash = micros(&raw.balance).ok_or_else(|| Refused::Malformed("balance is no whole number".into()))?;
    let allowed = [Exchange::Standard, Exchange::NegRisk].map(|exchange| {
        let contract = exchange.domain(chain).verifying_contract?.to_string();
        let named = raw.allowances.iter().find(|(name, _)| name.eq_ignore_ascii_case(&contract))?;
        micros(named.1)
    });
    Ok((cash, allowed[0].zip(allowed[1]).map(|(one, other)| one.min(other))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_the_dossiers_form_and_nothing_else_is_guessed() {
        let body = br#"{"blocked":true,"ip":"203.0.113.7","country":"US","region":"NY"}"#;
        assert_eq!(place(body).ok(), Some(Place { blocked: true, country: "US".into(), region: "NY".into() }));
        assert_eq!(closed_only(br#"{"closed_only":false}"#).ok(), Some(false));
        assert_eq!(time(b"1795175100").ok(), Some(UnixMs::new(1_795_175_100_000)));
        let [one, other] = [Exchange::Standard, Exchange::NegRisk]
            .map(|exchange| exchange.domain(Chain::Polygon).verifying_contract.unwrap().to_string().to_lowercase());
        let huge = "9".repeat(78);
        let body = format!(r#"{{"balance":"5000000","allowances":{{"{one}":"{huge}","{other}":"7"}}}}"#);
        let (five, seven) = (Money::dollars(5), Money::micros(7));
        assert_eq!(collateral(body.as_bytes(), Chain::Polygon).ok(), Some((five, Some(seven))));
        let body = format!(r#"{{"balance":"5000000","allowances":{{"{one}":"1"}}}}"#);
        assert_eq!(collateral(body.as_bytes(), Chain::Polygon).ok(), Some((five, None)), "one is not named");
        assert!(collateral(br#"{"balance":"-5"}"#, Chain::Polygon).is_err());
        assert!(place(b"{}").is_err() && closed_only(b"<html>").is_err() && time(b"\"soon\"").is_err());
    }
}
