//! Cash between Kalshi's shards (dossier 4.10): each market's orders spend the cash of its own shard alone.

use serde::Deserialize;

use crate::{
    unit::Money,
    venue::listing::{Refused, read},
};

/// Path of a transfer between shards, below `/trade-api/v2`. Its answer says that it was accepted, not that it arrived.
pub const TRANSFER: &str = "/portfolio/intra_exchange_instance_transfer";
/// Path of the percentages by which the venue itself spreads cash over shards; an empty list where it does not.
pub const ALLOCATION: &str = "/portfolio/target_balance_allocation";

/// The smallest amount that moves.
const CENTICENT: i64 = 100;

/// The body of a transfer. The amount is rounded down to the venue's hundredth of a cent.
pub fn write_transfer(from: u8, to: u8, amount: Money) -> Vec<u8> {
    let amount = amount.raw() / CENTICENT;
    format!(
        "{{\"source\":\"event_contract\",\"destination\":\"event_contract\",\"amount\":{amount},\
         \"source_exchange_shard\":{from},\"destination_exchange_shard\":{to}}}"
    )
    .into_bytes()
}

#[derive(Deserialize)]
struct RawTransfer {
    transfer_id: String,
}

/// Reads the answer to [`TRANSFER`]: the transfer's id.
pub fn parse_transfer(body: &[u8]) -> Result<String, Refused> {
    let raw: RawTransfer = read(body)?;
    Ok(raw.transfer_id)
}

#[derive(Deserialize)]
struct RawAllocation {
    allocations: Vec<RawShare>,
}

#[derive(Deserialize)]
struct RawShare {
    exchange_index: u8,
    percent: u32,
}

/// Reads the answer to [`ALLOCATION`]: percent by shard.
pub fn parse_allocation(body: &[u8]) -> Result<Vec<(u8, u32)>, Refused> {
    let raw: RawAllocation = read(body)?;
    Ok(raw.allocations.into_iter().map(|share| (share.exchange_index, share.percent)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_written_in_hundredths_of_a_cent_and_percentages_are_read() {
        let body: serde_json::Value =
            serde_json::from_slice(&write_transfer(0, 2, Money::micros(12_345_678))).expect("JSON");
        assert_eq!((&body["amount"], &body["destination_exchange_shard"]), (&123_456.into(), &2.into()));
        assert_eq!(parse_transfer(br#"{"transfer_id":"t"}"#).ok().as_deref(), Some("t"));
        let read = parse_allocation(
            br#"{"allocations":[{"exchange_index":0,"percent":60},{"exchange_index":2,"percent":40}],"resting_margin_reservation":"none"}"#,
        );
        assert_eq!(read.ok(), Some(vec![(0, 60), (2, 40)]));
        assert_eq!(parse_allocation(br#"{"allocations":[]}"#).ok(), Some(Vec::new()));
        assert!(parse_allocation(b"<html>").is_err() && parse_transfer(b"{}").is_err());
    }
}
