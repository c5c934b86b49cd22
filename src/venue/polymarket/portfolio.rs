//! What a wallet holds on chain, as the Data API lists it, and what the relayer says of a transaction (dossier 5.6,
//! 7.4).

use serde::Deserialize;

use crate::{
    unit::{Outcome, Qty},
    venue::listing::{Page, Refused, read, read_each},
};

/// Path of the list; `user` is the wallet, `cursor` the page.
pub const POSITIONS: &str = "/v2/positions";
/// Path by which the relayer names the number of a wallet's next transaction; `address` is the owner's, `type` WALLET
/// or SAFE.
pub const PARAMS: &str = "/v1/account/transactions/params";
/// Path that takes a signed transaction.
pub const SUBMIT: &str = "/submit";

/// Path under which the relayer tells of a transaction.
pub fn transaction(id: &str) -> String {
    format!("/v1/account/transactions/{id}")
}

/// Tokens of one outcome.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Position {
    /// As the venue writes it.
    pub condition: String,
    pub outcome: Outcome,
    pub qty: Qty,
    /// The market is resolved: they can be turned into what they pay, be it nothing.
    pub redeemable: bool,
}

#[derive(Deserialize)]
struct RawPage {
    data: Vec<serde_json::Value>,
    #[serde(default)]
    pagination: RawPagination,
}

#[derive(Default, Deserialize)]
struct RawPagination {
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct RawPosition {
    condition_id: String,
    outcome_index: u8,
    size: String,
    #[serde(default)]
    redeemable: bool,
}

/// Reads one page of positions.
pub fn positions(body: &[u8]) -> Result<Page<Position>, Refused> {
    let RawPage { data, pagination } = read(body)?;
    let accept = |raw: RawPosition| {
        let outcome = [Outcome::Yes, Outcome::No].get(usize::from(raw.outcome_index)).copied();
        let qty = Qty::parse(raw.size.as_bytes());
        let unread = || Refused::Malformed("outcome_index or size".into());
        Ok(Position {
            condition: raw.condition_id,
            outcome: outcome.ok_or_else(unread)?,
            qty: qty.ok_or_else(unread)?,
            redeemable: raw.redeemable,
        })
    };
    Ok(Page {
        next: pagination.next_cursor.filter(|cursor| !cursor.is_empty()),
        ..read_each(data, "condition_id", accept)
    })
}

#[derive(Deserialize)]
struct RawParams {
    nonce: String,
}

/// The number of a wallet's next transaction.
pub fn nonce(body: &[u8]) -> Result<u64, Refused> {
    let RawParams { nonce } = read(body)?;
    nonce.parse().map_err(|_| Refused::Malformed("nonce".into()))
}

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Taken, sent, or in a block.
    Underway,
    /// Final.
    Confirmed,
    /// Final: nothing came of it.
    Failed,
}

#[derive(Deserialize)]
struct RawTransaction {
    #[serde(rename = "transactionID")]
    id: String,
    state: String,
}

/// A transaction's id and state, from the answer to [`SUBMIT`] or to a question for it.
pub fn progress(body: &[u8]) -> Result<(String, Progress), Refused> {
    let RawTransaction { id, state } = read(body)?;
    let progress = match state.as_str() {
        "STATE_NEW" | "STATE_EXECUTED" | "STATE_MINED" => Progress::Underway,
        "STATE_CONFIRMED" => Progress::Confirmed,
        "STATE_INVALID" | "STATE_FAILED" => Progress::Failed,
        _ => return Err(Refused::Malformed(format!("state `{state}`"))),
    };
    Ok((id, progress))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_row_by_row_and_what_cannot_be_read_is_named() {
        let page = positions(
            br#"{"data":[{"condition_id":"0xa","outcome_index":1,"size":"5.25","redeemable":true,"title":"x"},
                {"condition_id":"0xb","outcome_index":0,"size":"1"},{"condition_id":"0xc","outcome_index":7,"size":"1"}],
                "pagination":{"next_cursor":"2"}}"#,
        );
        let page = page.unwrap();
        let first = Position {
            condition: "0xa".into(),
            outcome: Outcome::No,
            qty: Qty::new(5_250_000).unwrap(),
            redeemable: true,
        };
        assert_eq!(page.items[0], first);
        assert!(!page.items[1].redeemable);
        assert_eq!((page.items.len(), page.unreadable[0].0.as_str(), page.next.as_deref()), (2, "0xc", Some("2")));
        assert!(positions(b"<html>").is_err());
    }

    #[test]
    fn only_known_states_are_an_end() {
        let state = |state: &str| progress(format!(r#"{{"transactionID":"t","state":"{state}"}}"#).as_bytes());
        assert_eq!(state("STATE_NEW"), Ok(("t".into(), Progress::Underway)));
        assert_eq!(state("STATE_CONFIRMED"), Ok(("t".into(), Progress::Confirmed)));
        assert_eq!(state("STATE_FAILED"), Ok(("t".into(), Progress::Failed)));
        assert!(state("STATE_LOST").is_err());
        assert_eq!(nonce(br#"{"address":"0x1","nonce":"7"}"#), Ok(7));
    }
}
