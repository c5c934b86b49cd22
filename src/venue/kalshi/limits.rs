//! How often an account may ask, and what each request costs (dossier 4.12).

use serde::Deserialize;

use crate::venue::listing::{Refused, read};

/// Path of the account's buckets, below `/trade-api/v2`. Signed.
pub const LIMITS: &str = "/account/limits";
/// Path of the requests that do not cost the usual, below `/trade-api/v2`. Public.
pub const COSTS: &str = "/account/endpoint_costs";

const CREATE: (&str, &str) = ("POST", "/trade-api/v2/portfolio/events/orders");
const CANCEL: (&str, &str) = ("DELETE", "/trade-api/v2/portfolio/events/orders/:order_id");
const ORDER: (&str, &str) = ("GET", "/trade-api/v2/portfolio/orders/:order_id");

/// Tokens per second, and how many the bucket holds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub struct Refill {
    #[serde(rename = "refill_rate")]
    pub per_second: u32,
    #[serde(rename = "bucket_capacity")]
    pub capacity: u32,
}

/// Both budgets and what is taken out of them. Every shard has a write bucket of its own; ours counts all of them as
/// one, so it is the smaller budget.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rates {
    pub read: Refill,
    pub write: Refill,
    pub create: u32,
    pub cancel: u32,
    /// One order by its id.
    pub order: u32,
    /// Anything else.
    pub other: u32,
}

impl Default for Rates {
    /// The lowest tier, and the costs of July 2026.
    fn default() -> Self {
        Self {
            read: Refill { per_second: 200, capacity: 400 },
            write: Refill { per_second: 100, capacity: 100 },
            create: 10,
            cancel: 2,
            order: 2,
            other: 10,
        }
    }
}

#[derive(Deserialize)]
struct RawLimits {
    read: Refill,
    write: Refill,
}

#[derive(Deserialize)]
struct RawCosts {
    default_cost: u32,
    #[serde(default)]
    endpoint_costs: Vec<RawCost>,
}

#[derive(Deserialize)]
struct RawCost {
    method: String,
    path: String,
    cost: u32,
}

impl Rates {
    /// With the buckets of an answer to [`LIMITS`].
    pub fn limited(self, body: &[u8]) -> Result<Self, Refused> {
        let RawLimits { read, write } = read(body)?;
        Ok(Self { read, write, ..self })
    }

    /// With the costs of an answer to [`COSTS`].
    pub fn priced(self, body: &[u8]) -> Result<Self, Refused> {
        let raw: RawCosts = read(body)?;
        let cost = |(method, path): (&str, &str)| {
            let own = raw.endpoint_costs.iter().find(|own| own.method == method && own.path == path);
            own.map_or(raw.default_cost, |own| own.cost)
        };
        Ok(Self { create: cost(CREATE), cancel: cost(CANCEL), order: cost(ORDER), other: raw.default_cost, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_venue_says_replaces_what_was_assumed() {
        let limits = br#"{"usage_tier":"advanced","read":{"refill_rate":300,"bucket_capacity":600},
            "write":{"refill_rate":301,"bucket_capacity":602},"grants":[]}"#;
        let costs = br#"{"default_cost":11,"endpoint_costs":[
            {"method":"POST","path":"/trade-api/v2/communications/quotes","cost":2},
            {"method":"DELETE","path":"/trade-api/v2/portfolio/events/orders/:order_id","cost":3},
            {"method":"GET","path":"/trade-api/v2/portfolio/orders/:order_id","cost":4}]}"#;
        let rates = Rates::default().limited(limits).and_then(|rates| rates.priced(costs)).unwrap();
        let wanted = Rates {
            read: Refill { per_second: 300, capacity: 600 },
            write: Refill { per_second: 301, capacity: 602 },
            create: 11,
            cancel: 3,
            order: 4,
            other: 11,
        };
        assert_eq!(rates, wanted);
        assert!(rates.limited(b"{}").is_err() && rates.priced(b"<html>").is_err());
    }
}
