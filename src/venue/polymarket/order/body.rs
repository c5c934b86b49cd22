//! The body of `POST /order`, byte for byte as the venue's own clients write it (dossier 3.3).
//!
//! What is signed is written once, when the order is signed; what is chosen at sending is put into its three gaps. The
//! bytes are also what the call's HMAC is made of, so they go on the wire as they are.

use std::io::Write as _;

use alloy_primitives::hex;

use super::{OrderError, OrderSigner, SignedOrder};
use crate::unit::UnixMs;
use crate::venue::polymarket::amount::{Side, Sizing};

/// How long an order stays, and whether it may take; not signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OrderType {
    /// Rests until it is filled or cancelled.
    Gtc { post_only: bool },
    /// As GTC, until a time in Unix seconds. The venue removes it [`OrderType::EARLY_S`] before.
    Gtd { until_s: u64, post_only: bool },
    /// All at once or nothing.
    Fok,
    /// What can be had at once.
    Fak,
}

impl OrderType {
    /// The venue removes an order that much before its stated end.
    pub const EARLY_S: u64 = 60;
    /// The shortest life: the stated end must be three minutes ahead, and a minute of that is taken away again.
    pub const LIFE_MIN_S: u64 = 120;

    /// An order that the venue removes `life_s` after now.
    pub const fn gtd(now: UnixMs, life_s: u64, post_only: bool) -> Result<Self, OrderError> {
        if life_s < Self::LIFE_MIN_S {
            return Err(OrderError::TooShort { life_s });
        }
        let until_s = (now.raw() / 1_000).saturating_add(life_s).saturating_add(Self::EARLY_S);
        Ok(Self::Gtd { until_s, post_only })
    }

    /// The venue's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gtc { .. } => "GTC",
            Self::Gtd { .. } => "GTD",
            Self::Fok => "FOK",
            Self::Fak => "FAK",
        }
    }

    /// Does it rest in the book when it finds nothing to take?
    const fn rests(self) -> bool {
        matches!(self, Self::Gtc { .. } | Self::Gtd { .. })
    }
}

/// A body with gaps for what is chosen at sending.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Body {
    /// Up to the expiration.
    head: String,
    /// From there to the order type.
    middle: String,
    /// From there to what comes before the last brace.
    tail: String,
    side: Side,
    sizing: Sizing,
}

impl Body {
    /// Fills the gaps and appends the body to `out`; allocates nothing where `out` has room for about
    /// [`Body::len_max`] more. Refuses an order type that the venue would read the amounts differently for.
    pub fn write(&self, kind: OrderType, out: &mut Vec<u8>) -> Result<(), OrderError> {
        let wanted = if self.side == Side::Buy && !kind.rests() { Sizing::Dollars } else { Sizing::Shares };
        if self.sizing != wanted {
            return Err(OrderError::Sizing);
        }
        let (until_s, post_only) = match kind {
            OrderType::Gtc { post_only } => (0, post_only),
            OrderType::Gtd { until_s, post_only } => (until_s, post_only),
            OrderType::Fok | OrderType::Fak => (0, false),
        };
        out.extend_from_slice(self.head.as_bytes());
        write!(out, "{until_s}").expect("a vector takes every byte");
        out.extend_from_slice(self.middle.as_bytes());
        out.extend_from_slice(kind.name().as_bytes());
        out.extend_from_slice(self.tail.as_bytes());
        if post_only {
            out.extend_from_slice(b",\"postOnly\":true");
        }
        out.push(b'}');
        Ok(())
    }

    /// No body is longer.
    #[must_use]
    pub const fn len_max(&self) -> usize {
        // Twenty digits, a word of three letters, `,"postOnly":true` and a brace.
        self.head.len() + self.middle.len() + self.tail.len() + 20 + 3 + 16 + 1
    }
}

impl OrderSigner {
    /// Writes down what is signed; the names stand in the order of the alphabet. Cold: all the formatting is here.
    #[must_use]
    pub fn body(&self, signed: &SignedOrder) -> Body {
        let order = &signed.order;
        assert_eq!(self.id(order), signed.id, "an order is written down by the signer that signed it");
        let amounts = order.amounts;
        let head =
            format!("{{\"deferExec\":false,\"order\":{{\"builder\":\"{}\",\"expiration\":\"", word(order.builder));
        let middle = format!(
            "\",\"maker\":\"{maker}\",\"makerAmount\":\"{gives}\",\"metadata\":\"{metadata}\",\"salt\":{salt},\
             \"side\":\"{side}\",\"signature\":\"{signature}\",\"signatureType\":{signature_type},\
             \"signer\":\"{signer}\",\"takerAmount\":\"{gets}\",\"timestamp\":\"{created}\",\"tokenId\":\"{token}\"}},\
             \"orderType\":\"",
            maker = self.maker,
            gives = amounts.maker(),
            metadata = word(order.metadata),
            salt = order.salt.raw(),
            side = amounts.side().name(),
            signature = hex::encode_prefixed(&signed.signature),
            signature_type = self.wallet.signature_type(),
            signer = self.signer,
            gets = amounts.taker(),
            created = order.created.raw(),
            token = order.token,
        );
        let tail = format!("\",\"owner\":\"{}\"", self.owner);
        Body { head, middle, tail, side: amounts.side(), sizing: amounts.sizing() }
    }
}

fn word(bytes: [u8; 32]) -> String {
    hex::encode_prefixed(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_counted_from_now_and_the_venues_early_minute_is_added() {
        let now = UnixMs::new(1_793_000_000_999);
        let hour = OrderType::gtd(now, 3_600, false);
        assert_eq!(hour, Ok(OrderType::Gtd { until_s: 1_793_003_660, post_only: false }));
        let shortest = OrderType::gtd(now, 120, true);
        assert_eq!(shortest, Ok(OrderType::Gtd { until_s: 1_793_000_180, post_only: true }), "three minutes ahead");
        let short = OrderType::gtd(now, 119, false).unwrap_err();
        assert_eq!(short, OrderError::TooShort { life_s: 119 });
        assert_eq!(short.to_string(), "an order that is to live 119 s cannot be stated: the venue wants 120 s or more");
    }
}
