//! May this host and this account open anything at Polymarket (dossier 1.1, 1.3)? And the venue's clock.

use serde::Deserialize;

use crate::{
    unit::UnixMs,
    venue::listing::{Refused, read},
};

/// Path on the venue's site that judges the caller's address.
pub const GEOBLOCK: &str = "/api/geoblock";
/// Path that says whether an account may only close; signed.
pub const CLOSED_ONLY: &str = "/auth/ban-status/closed-only";
/// Path of the venue's clock: whole Unix seconds.
pub const TIME: &str = "/time";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_the_dossiers_form_and_nothing_else_is_guessed() {
        let body = br#"{"blocked":true,"ip":"203.0.113.7","country":"US","region":"NY"}"#;
        assert_eq!(place(body).ok(), Some(Place { blocked: true, country: "US".into(), region: "NY".into() }));
        assert_eq!(closed_only(br#"{"closed_only":false}"#).ok(), Some(false));
        assert_eq!(time(b"1795175100").ok(), Some(UnixMs::new(1_795_175_100_000)));
        assert!(place(b"{}").is_err() && closed_only(b"<html>").is_err() && time(b"\"soon\"").is_err());
    }
}
