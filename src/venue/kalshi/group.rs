//! Order groups: the venue's own switch for entries (dossier 4.8).
//!
//! A group lives on one shard and caps what its orders match in fifteen seconds. Beyond the cap, or when it is
//! triggered, its orders are cancelled and new ones refused until somebody resets it. Hedges join none: they have to
//! pass.

use serde::Deserialize;

use crate::{
    unit::{Qty, Tag},
    venue::listing::{Refused, read},
};

/// Path of the call that makes a group, below `/trade-api/v2`; it is answered with 201.
pub const CREATE: &str = "/portfolio/order_groups/create";

/// The body of that call. `limit` is in contracts of a hundredth and up to a million.
pub fn write_create(limit: Qty, shard: u8, subaccount: Option<u8>) -> Vec<u8> {
    let (whole, part) = (limit.micros() / 1_000_000, limit.micros() % 1_000_000 / 10_000);
    let subaccount = subaccount.map_or_else(String::new, |number| format!(",\"subaccount\":{number}"));
    format!("{{\"contracts_limit_fp\":\"{whole}.{part:02}\",\"exchange_index\":{shard}{subaccount}}}").into_bytes()
}

/// What a group is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Throw {
    /// Cancel its orders and refuse new ones.
    Trigger,
    /// Take orders again.
    Reset,
}

/// Full path and query of the call that throws a group either way; its body is an empty object. Without the shard the
/// venue asks shard 0 alone.
pub fn throw(way: Throw, group: &Tag, shard: u8, subaccount: Option<u8>) -> (String, String) {
    let subaccount = subaccount.map_or_else(String::new, |number| format!("&subaccount={number}"));
    let way = if way == Throw::Trigger { "trigger" } else { "reset" };
    (format!("/trade-api/v2/portfolio/order_groups/{group}/{way}"), format!("exchange_index={shard}{subaccount}"))
}

#[derive(Deserialize)]
struct RawGroup {
    order_group_id: String,
}

/// Reads the answer to [`CREATE`]: the group's id.
pub fn parse_created(body: &[u8]) -> Result<Tag, Refused> {
    let raw: RawGroup = read(body)?;
    Tag::new(&raw.order_group_id).ok_or(Refused::BadId(raw.order_group_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_asked_for_in_hundredths_and_named_by_its_answer() {
        let body = |subaccount| String::from_utf8(write_create(Qty::new(12_340_000).unwrap(), 2, subaccount)).unwrap();
        assert_eq!(body(None), r#"{"contracts_limit_fp":"12.34","exchange_index":2}"#);
        assert_eq!(body(Some(7)), r#"{"contracts_limit_fp":"12.34","exchange_index":2,"subaccount":7}"#);
        let group = parse_created(br#"{"order_group_id":"g-1","subaccount":0,"exchange_index":2}"#).unwrap();
        assert_eq!(
            throw(Throw::Trigger, &group, 2, Some(7)),
            ("/trade-api/v2/portfolio/order_groups/g-1/trigger".into(), "exchange_index=2&subaccount=7".into())
        );
        assert!(throw(Throw::Reset, &group, 0, None).0.ends_with("/g-1/reset"));
        for bad in [&b"{}"[..], br#"{"order_group_id":""}"#, b"<html>"] {
            assert!(parse_created(bad).is_err());
        }
    }
}
