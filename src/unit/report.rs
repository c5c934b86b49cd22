//! What a venue says of an order, in the engine's own words. A venue's folder reads its answers, streams and listings
//! into these; the stages after it never see the venue's text.
//!
//! What a newcomer gets wrong: an error is not a refusal. Only words we recognise are a [`Refusal`]; everything else is
//! [`Unclear`], and then the order may stand.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Money, Outcome, Price, Qty, UnixMs};

/// One order's number: a durable epoch and a counter. Fits a JSON number, so both venues carry it: Kalshi inside
/// `client_order_id`, Polymarket as the salt.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct OrderId(u64);

impl OrderId {
    /// Bits of the counter; those above it, up to 53, hold the epoch.
    const SEQUENCE_BITS: u32 = 32;
    /// The last epoch there is room for: a start a minute for four years.
    pub const EPOCH_MAX: u32 = (1 << (53 - Self::SEQUENCE_BITS)) - 1;

    /// The order number `sequence` of an epoch; `None` past [`Self::EPOCH_MAX`].
    #[must_use]
    pub const fn new(epoch: u32, sequence: u32) -> Option<Self> {
        if Self::EPOCH_MAX < epoch { None } else { Some(Self((epoch as u64) << Self::SEQUENCE_BITS | sequence as u64)) }
    }

    /// From the number itself, as a venue gives it back; `None` above 2^53 − 1.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Option<Self> {
        if raw >> 53 == 0 { Some(Self(raw)) } else { None }
    }

    /// The whole number, below 2^53.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The start of the engine that made it.
    #[must_use]
    pub const fn epoch(self) -> u32 {
        (self.0 >> Self::SEQUENCE_BITS) as u32
    }
}

impl TryFrom<u64> for OrderId {
    type Error = &'static str;

    fn try_from(raw: u64) -> Result<Self, Self::Error> {
        Self::from_raw(raw).ok_or("an order number is below 2^53")
    }
}

impl From<OrderId> for u64 {
    fn from(id: OrderId) -> Self {
        id.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch(), self.0 & u64::from(u32::MAX))
    }
}

/// A venue's own name for an order, a trade or a market, as it wrote it: at most [`Tag::LEN`] bytes of ASCII.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Tag {
    len: u8,
    bytes: [u8; Self::LEN],
}

impl Tag {
    /// Kalshi's ids are UUIDs, 36 characters, its tickers up to about 60; Polymarket's orders and condition ids have
    /// 66.
    pub const LEN: usize = 71;

    /// `None` where the text is empty, too long or not plain ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let plain = !text.is_empty() && text.len() <= Self::LEN && text.bytes().all(|b| b.is_ascii_graphic());
        plain.then(|| {
            let mut bytes = [0; Self::LEN];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Self { len: text.len() as u8, bytes }
        })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("only ASCII is taken in")
    }
}

impl Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        Self::new(text).ok_or_else(|| serde::de::Error::custom("not a venue's id"))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The venue said no, in words we recognise.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Deserialize, Serialize)]
pub enum Refusal {
    /// Cash, contracts or allowance are missing on that account, shard or wallet.
    Funds,
    /// Off the grid, or outside of it.
    Price,
    /// Below the minimum, or with too many decimals.
    Size,
    /// Nothing to match: an order that fills at once or dies has died.
    Killed,
    /// It would have taken, and was not to.
    Crosses,
    /// Its own time is too near, or past.
    Expiration,
    /// An order with this id is known already: the earlier one arrived.
    Duplicate,
    /// No such market.
    NoMarket,
    /// The market is closed, paused, or not ready yet.
    NotOpen,
    /// The whole exchange pauses.
    ExchangePaused,
    /// The matching engine restarts.
    Restarting,
    /// Only orders that rest are taken, as after a restart.
    PostOnly,
    /// Only cancels are taken.
    CancelOnly,
    /// Trading is switched off.
    Disabled,
    /// Too many requests.
    Rate,
    /// The order group has triggered.
    Group,
    /// The venue's limit on this market's position.
    PositionLimit,
    /// The exchange contract or the domain version is another one.
    Version,
    /// The key, its signature or its owner.
    Key,
    /// The signed time is too old or too new.
    Clock,
    /// Region, scope or category.
    Forbidden,
    /// The account may only close positions.
    ClosedOnly,
    /// The account is banned.
    Banned,
    /// The endpoint is gone.
    Retired,
    /// The request is malformed: a bug of ours.
    Malformed,
    /// Not the venue's word: the connection broke before the first byte had left.
    Unsent,
}

/// What a refusal calls for, beyond the leg not being there.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reaction {
    /// An ordinary day: the plan goes on without this order.
    Plan,
    /// The market's terms are not what we think: no entries until they were read anew.
    Terms,
    /// The venue takes no taker orders now: no leg on either venue until it does.
    Venue,
    /// Slower.
    Pace,
    /// The order may be there: ask for it.
    Look,
    /// A person has to see to it: the latch falls.
    Halt,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::Funds,
        Self::Price,
        Self::Size,
        Self::Killed,
        Self::Crosses,
        Self::Expiration,
        Self::Duplicate,
        Self::NoMarket,
        Self::NotOpen,
        Self::ExchangePaused,
        Self::Restarting,
        Self::PostOnly,
        Self::CancelOnly,
        Self::Disabled,
        Self::Rate,
        Self::Group,
        Self::PositionLimit,
        Self::Version,
        Self::Key,
        Self::Clock,
        Self::Forbidden,
        Self::ClosedOnly,
        Self::Banned,
        Self::Retired,
        Self::Malformed,
        Self::Unsent,
    ];

    /// What is to be done.
    #[must_use]
    pub const fn reaction(self) -> Reaction {
        match self {
            Self::Killed | Self::Crosses | Self::Funds | Self::PositionLimit | Self::Unsent => Reaction::Plan,
            Self::Price | Self::Size | Self::Expiration | Self::NoMarket | Self::NotOpen => Reaction::Terms,
            Self::ExchangePaused | Self::Restarting | Self::PostOnly | Self::CancelOnly | Self::Disabled => {
                Reaction::Venue
            }
            Self::Rate => Reaction::Pace,
            Self::Duplicate => Reaction::Look,
            Self::Group
            | Self::Version
            | Self::Key
            | Self::Clock
            | Self::Forbidden
            | Self::ClosedOnly
            | Self::Banned
            | Self::Retired
            | Self::Malformed => Reaction::Halt,
        }
    }

    /// The word in the journal, in the ledger and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Funds => "funds",
            Self::Price => "price",
            Self::Size => "size",
            Self::Killed => "killed",
            Self::Crosses => "crosses",
            Self::Expiration => "expiration",
            Self::Duplicate => "duplicate",
            Self::NoMarket => "no_market",
            Self::NotOpen => "not_open",
            Self::ExchangePaused => "exchange_paused",
            Self::Restarting => "restarting",
            Self::PostOnly => "post_only",
            Self::CancelOnly => "cancel_only",
            Self::Disabled => "disabled",
            Self::Rate => "rate",
            Self::Group => "group",
            Self::PositionLimit => "position_limit",
            Self::Version => "version",
            Self::Key => "key",
            Self::Clock => "clock",
            Self::Forbidden => "forbidden",
            Self::ClosedOnly => "closed_only",
            Self::Banned => "banned",
            Self::Retired => "retired",
            Self::Malformed => "malformed",
            Self::Unsent => "unsent",
        }
    }
}

/// Why nobody knows whether a request arrived, or what came of it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Deserialize, Serialize)]
pub enum Unclear {
    /// No answer in time.
    TimedOut,
    /// The connection ended before the answer was whole.
    Cut,
    /// A status that says nothing about the order: 5xx, a redirect, a proxy's page.
    Status(u16),
    /// A success without the venue's order id, or a body we cannot read.
    Unreadable,
    /// The venue itself says that it does not know yet.
    Delayed,
    /// A refusal in words we do not know.
    Unfamiliar,
    /// The engine ended between writing the intent and hearing of it.
    Restart,
}

/// What became of a request to place an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub enum Sent {
    /// The venue's own id in a well-formed answer.
    Accepted(Tag),
    Refused(Refusal),
    Unknown(Unclear),
}

/// How far a trade's settlement has come. Kalshi's are final at once.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub enum Stage {
    Matched,
    /// The transaction is on chain, or being sent anew.
    Mined,
    /// Final.
    Confirmed,
    /// Final, and it never was: a ghost fill.
    Failed,
}

/// One trade of one order.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Trade {
    pub tag: Tag,
    pub outcome: Outcome,
    pub bought: bool,
    /// Per contract of `outcome`.
    pub price: Price,
    pub qty: Qty,
    /// What the venue charged; `None` where it does not say.
    pub fee: Option<Money>,
    pub stage: Stage,
}

/// What the venue's own record shows of an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Picture {
    /// All of it that was ever matched.
    pub filled: Qty,
    /// May it fill further?
    pub open: bool,
}

/// What was learnt of one order.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub enum Told {
    Sent(Sent),
    /// The answer to a request to cancel: the venue took it, and this much of the order had not been filled, if it
    /// says. Word of fills may still arrive.
    Cancelled {
        left: Option<Qty>,
    },
    /// The answer to a request to cancel: not there, or not cancellable. Proves nothing.
    NotCancelled,
    Trade(Trade),
    Picture(Picture),
    /// Complete listings of orders and fills, true as of this moment of the venue's, do not hold it.
    Absent {
        as_of: UnixMs,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_number_fits_a_json_number_and_says_its_epoch() {
        let last = OrderId::new(OrderId::EPOCH_MAX, u32::MAX).unwrap();
        assert_eq!(last.raw(), (1 << 53) - 1);
        assert_eq!(OrderId::from_raw(last.raw()), Some(last));
        assert_eq!(OrderId::from_raw(1 << 53), None);
        assert_eq!(OrderId::new(OrderId::EPOCH_MAX + 1, 0), None);
        assert_eq!(OrderId::new(7, 9).unwrap().epoch(), 7);
        assert_eq!(OrderId::new(7, 9).unwrap().to_string(), "7.9");
    }

    #[test]
    fn a_tag_keeps_what_the_venue_wrote_or_nothing() {
        let id = "97ec18b7-10d3-4557-9de0-8598aad625f0";
        assert_eq!(Tag::new(id).unwrap().as_str(), id);
        for bad in ["", "a b", "ü", &"x".repeat(Tag::LEN + 1)] {
            assert_eq!(Tag::new(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_refusal_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Refusal::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), Refusal::ALL.len());
    }
}
