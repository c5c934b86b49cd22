//! What both catalogues share: why a market is never paired, pages, and tolerant readers of JSON scalars.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::unit::{Price, Qty, UnixMs, decimal};

/// Why a market is never paired. Each has a stable code for the ledger and a text for people.
#[derive(Clone, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Refused {
    #[error("one outcome cannot settle below a floor: not a plain YES or NO")]
    FloorSettlement,
    #[error("settles to a number, not to YES or NO")]
    Scalar,
    #[error("has {0} outcomes, not two")]
    NotBinary(usize),
    #[error("a combination of several markets")]
    Combo,
    #[error("a contract does not pay one dollar")]
    NotADollar,
    #[error("fee type `{0}`: the formula is not known")]
    FeeType(String),
    #[error("fee exponent {0}: the formula is not known")]
    FeeExponent(String),
    #[error("the fee is not stated where it was looked for")]
    FeeUnstated,
    #[error("the price grid `{0}` is not known")]
    Grid(String),
    #[error("outcomes may be added to this group later")]
    AugmentedNegRisk,
    #[error("the catch-all outcome of its group: its meaning changes with the others")]
    CatchAll,
    #[error("`{0}` is not an id of the documented form")]
    BadId(String),
    #[error("protocol version `{0}` is not known")]
    Version(String),
    #[error("cannot be read: {0}")]
    Malformed(String),
}

impl Refused {
    /// The code in the ledger and in counters; never changes.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::FloorSettlement => "FLOOR_SETTLEMENT",
            Self::Scalar => "SCALAR",
            Self::NotBinary(_) => "NOT_BINARY",
            Self::Combo => "COMBO",
            Self::NotADollar => "NOT_A_DOLLAR",
            Self::FeeType(_) => "FEE_TYPE",
            Self::FeeExponent(_) => "FEE_EXPONENT",
            Self::FeeUnstated => "FEE_UNSTATED",
            Self::Grid(_) => "GRID",
            Self::AugmentedNegRisk => "AUGMENTED_NEG_RISK",
            Self::CatchAll => "CATCH_ALL",
            Self::BadId(_) => "BAD_ID",
            Self::Version(_) => "VERSION",
            Self::Malformed(_) => "MALFORMED",
        }
    }
}

/// One page of a catalogue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// What could not even be read as a listing: its name, as far as known, and why.
    pub unreadable: Vec<(String, Refused)>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), unreadable: Vec::new(), next: None }
    }
}

/// A book as REST gives it: levels in the order they came.
pub type Levels = Vec<(Price, Qty)>;

/// Reads a body, and says which member it stumbled over.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refused> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Refused::Malformed(format!("{} at {}", error.inner(), error.path())))
}

/// Reads each element by itself, so that one odd market does not hide the others; `id` names a lost one.
pub(super) fn read_each<Raw, T>(
    items: Vec<Value>,
    id: &str,
    mut accept: impl FnMut(Raw) -> Result<T, Refused>,
) -> Page<T>
where
    Raw: for<'de> Deserialize<'de>,
{
    let mut page = Page::default();
    for item in items {
        let name = item.get(id).and_then(Value::as_str).unwrap_or("?").to_owned();
        let raw: Result<Raw, _> = serde_path_to_error::deserialize(item);
        let listed = raw
            .map_err(|error| Refused::Malformed(format!("{} at {}", error.inner(), error.path())))
            .and_then(&mut accept);
        match listed {
            Ok(item) => page.items.push(item),
            Err(refused) => page.unreadable.push((name, refused)),
        }
    }
    page
}

/// `null` means the same as absent.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// A number or a text as text; empty texts and other shapes are absent. Numbers keep the digits they were sent with as
/// long as a double holds them.
pub(super) fn scalar<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// A list that comes as a list, or as JSON inside a text.
pub(super) fn nested_list<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let list = match Value::deserialize(from)? {
        Value::String(text) if !text.is_empty() => serde_json::from_str(&text).map_err(serde::de::Error::custom)?,
        other => other,
    };
    let plain = |item: Value| match item {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(match list {
        Value::Array(items) => Some(items.into_iter().map(plain).collect()),
        _ => None,
    })
}

/// Any of the time forms that both venues use, with an offset. A time without one is not a time.
pub(super) fn time(text: Option<&str>) -> Option<UnixMs> {
    let at: Timestamp = text?.parse().ok()?;
    // Kalshi and Polymarket both send year 1 where they mean never.
    u64::try_from(at.as_millisecond()).ok().map(UnixMs::new)
}

/// A decimal as millionths; `None` if it is none, negative, or finer.
pub(super) fn ppm(text: &str) -> Option<u32> {
    u32::try_from(decimal(text.as_bytes(), 4, 6)?).ok()
}

/// One price level of two decimal texts.
pub(super) fn level(price: &str, qty: &str) -> Result<(Price, Qty), Refused> {
    let sound = Price::parse(price.as_bytes()).zip(Qty::parse(qty.as_bytes()));
    sound.ok_or_else(|| Refused::Malformed(format!("level {price} × {qty}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_time_that_was_seen_is_read() {
        for text in [
            "2026-10-05T23:15:00Z",
            "2026-10-05 23:15:00+00",
            "2026-10-05T19:15:00-04:00",
            "2026-10-05T23:15:00.000000Z",
        ] {
            assert_eq!(time(Some(text)), Some(UnixMs::new(1_791_242_100_000)), "{text}");
        }
        for text in ["", "2026-10-05", "0001-01-01T00:00:00Z", "soon"] {
            assert_eq!(time(Some(text)), None, "{text}");
        }
    }

    #[test]
    fn shares_are_read_exactly_or_not_at_all() {
        assert_eq!(ppm("0.07"), Some(70_000));
        assert_eq!(ppm("1"), Some(1_000_000));
        assert_eq!(ppm("0.5"), Some(500_000));
        for bad in ["-1", "0.0000001", "1e-7", "", "x"] {
            assert_eq!(ppm(bad), None, "{bad}");
        }
    }
}
