//! The one frame that nearly every message is, a changed level, read in one pass without a tape.
//!
//! It takes the shape the venue writes today, byte for byte (dossier 3.2 and 3.6), with the two members that older
//! captures have not. Whatever else a frame is or holds makes it `None`, and the parser reads it: a new format costs
//! speed, never correctness.

use memchr::memchr;

use super::frame::signed;
use crate::unit::{Price, UnixMs};

/// What a `orderbook_delta` frame says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Delta<'b> {
    pub(super) sid: u64,
    pub(super) seq: u64,
    pub(super) ticker: &'b str,
    pub(super) price: Price,
    /// Millionths of a contract.
    pub(super) change: i64,
    pub(super) no_leg: bool,
    pub(super) stamp: UnixMs,
}

/// Reads `frame`, if it has the known shape and every value is sound.
pub(super) fn delta(frame: &[u8]) -> Option<Delta<'_>> {
    let mut rest = Rest(frame);
    rest.literal(br#"{"type":"orderbook_delta","sid":"#)?;
    let sid = rest.number()?;
    rest.literal(br#","seq":"#)?;
    let seq = rest.number()?;
    if rest.literal(br#","sending_ts_ms":"#).is_some() {
        rest.number()?;
    }
    rest.literal(br#","msg":{"market_ticker":""#)?;
    let ticker = rest.text()?;
    rest.literal(br#","market_id":""#)?;
    rest.text()?;
    if rest.literal(br#","clock":"#).is_some() {
        rest.number()?;
    }
    rest.literal(br#","price_dollars":""#)?;
    let price = Price::parse(rest.text()?.as_bytes())?;
    rest.literal(br#","delta_fp":""#)?;
    let change = signed(rest.text()?)?;
    let no_leg = rest.literal(br#","side":"no""#).is_some();
    if !no_leg {
        rest.literal(br#","side":"yes""#)?;
    }
    rest.literal(br#","ts":""#)?;
    rest.text()?;
    rest.literal(br#","ts_ms":"#)?;
    let stamp = UnixMs::new(rest.number()?);
    rest.literal(b"}}")?;
    rest.0.is_empty().then_some(Delta { sid, seq, ticker, price, change, no_leg, stamp })
}

/// What is not read yet.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    /// Exactly this. Nothing is taken otherwise.
    #[inline]
    fn literal<const N: usize>(&mut self, wanted: &[u8; N]) -> Option<()> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        if first != wanted {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    /// A whole number as JSON writes it, of at most eighteen digits.
    #[inline]
    fn number(&mut self) -> Option<u64> {
        let len = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(len);
        if !matches!(len, 1..=18) || (digits[0] == b'0' && len != 1) {
            return None;
        }
        self.0 = rest;
        Some(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
    }

    /// The text up to the next quote, which is taken too. Anything that JSON would have to escape is not for us.
    #[inline]
    fn text(&mut self) -> Option<&'b str> {
        let (text, rest) = self.0.split_at(memchr(b'"', self.0)?);
        // All of it, without an early end: the compiler makes a few wide steps of that.
        let odd = |byte: &u8| u8::from(!matches!(byte, b' '..=b'~')) | u8::from(*byte == b'\\');
        let odd = text.iter().fold(0, |sum, byte| sum | odd(byte));
        self.0 = &rest[1..];
        if odd == 0 { std::str::from_utf8(text).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"type":"orderbook_delta","sid":2,"seq":98,"msg":{"market_ticker":"KXA-1","market_id":"6b8d-1","price_dollars":"0.0760","delta_fp":"-2.50","side":"yes","ts":"2026-05-15T19:07:25.562622Z","ts_ms":1778872045562}}"#;
    const NEW: &str = r#"{"type":"orderbook_delta","sid":2,"seq":98,"sending_ts_ms":9,"msg":{"market_ticker":"KXA-1","market_id":"6b8d-1","clock":77,"price_dollars":"0.0760","delta_fp":"-2.50","side":"no","ts":"x","ts_ms":0}}"#;

    #[test]
    fn both_known_shapes_are_read() {
        let price = Price::new(760).unwrap();
        let old = Delta {
            sid: 2,
            seq: 98,
            ticker: "KXA-1",
            price,
            change: -2_500_000,
            no_leg: false,
            stamp: UnixMs::new(1_778_872_045_562),
        };
        assert_eq!(delta(OLD.as_bytes()), Some(old));
        assert_eq!(delta(NEW.as_bytes()), Some(Delta { no_leg: true, stamp: UnixMs::new(0), ..old }));
    }

    #[test]
    fn anything_else_is_left_to_the_parser() {
        for (from, to) in [
            ("\"sid\":2", "\"sid\":02"),
            ("\"sid\":2", "\"sid\":-2"),
            ("\"seq\":98", "\"seq\":1234567890123456789"),
            ("KXA-1", "KXA\\u002d1"),
            ("KXA-1", "KXÄ-1"),
            ("0.0760", "1.0000"),
            ("-2.50", "--2.50"),
            ("\"yes\"", "\"maybe\""),
            ("\"ts\":\"2026", "\"ts\":\"\u{1}2026"),
            ("}}", "} }"),
            ("}}", "}}x"),
            ("}}", ",\"side\":\"no\"}}"),
            ("{\"type", " {\"type"),
        ] {
            let text = OLD.replacen(from, to, 1);
            assert_ne!(text, OLD, "{from}");
            assert_eq!(delta(text.as_bytes()), None, "{text}");
        }
        for end in 0..OLD.len() {
            assert_eq!(delta(&OLD.as_bytes()[..end]), None, "cut at {end}");
        }
    }
}
