//! Calls on their way: numbered, signed, and what each was about.

use std::collections::BTreeMap;

use super::account::Part;
use crate::{
    order::Ask,
    unit::{Nanos, OrderId, Tag, UnixMs},
    venue::{
        gateway::{Call, CallNo, Lane, Out, READ_WAIT},
        http::write_request,
        polymarket::sign::ApiSigner,
    },
    wire::{
        Arrival,
        json::{Item, Malformed, Slot},
    },
};

/// Behind the last page of a listing.
const END: &str = "LTE=";
/// A text of the venue's in a log is no longer than this.
const STRANGE_MAX: usize = 300;

/// What a call was about.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Post { ask: Ask, tag: Tag },
    Cancel { order: OrderId, tag: Tag },
    Record { order: OrderId },
    Trades { order: OrderId },
    Account { survey: u32, part: Part },
    Beat { asked: Nanos },
}

/// Who calls, and what is not answered yet.
pub(super) struct Line {
    host: String,
    api: ApiSigner,
    last: u32,
    pending: BTreeMap<CallNo, What>,
}

impl Line {
    pub const fn new(host: String, api: ApiSigner) -> Self {
        Self { host, api, last: 0, pending: BTreeMap::new() }
    }

    pub const fn api(&self) -> &ApiSigner {
        &self.api
    }

    /// A request with its five headers. What is signed are the bytes that are sent.
    pub fn request(&self, unix: UnixMs, method: &str, target: &str, body: Option<&[u8]>) -> Vec<u8> {
        let text = std::str::from_utf8(body.unwrap_or_default()).expect("every body is written as text");
        let signed = self.api.sign(unix, method, target, text);
        let [address, key, passphrase, timestamp, signature] = signed.pairs();
        // Without a name of its own a caller may be turned away at the door (dossier 1.2).
        let agent = ("User-Agent", concat!("orion/", env!("CARGO_PKG_VERSION")));
        let mut bytes = Vec::with_capacity(512 + target.len() + text.len());
        let headers = [agent, address, key, passphrase, timestamp, signature];
        write_request(&mut bytes, method, target, &self.host, &headers, body);
        bytes
    }

    pub fn push(&mut self, what: What, lane: Lane, wait: Nanos, bytes: Vec<u8>, out: &mut Out) {
        self.last = self.last.wrapping_add(1);
        let no = CallNo(self.last);
        self.pending.insert(no, what);
        out.calls.push(Call { no, lane, wait, bytes });
    }

    /// Asks for something.
    pub fn ask(&mut self, what: What, target: &str, at: Arrival, out: &mut Out) {
        let bytes = self.request(at.unix, "GET", target, None);
        self.push(what, Lane::Read, READ_WAIT, bytes, out);
    }

    pub fn answered(&mut self, no: CallNo) -> Option<What> {
        self.pending.remove(&no)
    }

    /// A text of the venue's that is not what was expected, for the log.
    pub fn strange(&self, about: &str, text: &[u8]) -> String {
        let text = self.api.cut(&String::from_utf8_lossy(&text[..text.len().min(16 * STRANGE_MAX)]));
        let short: String = text.chars().filter(|letter| !letter.is_control()).take(STRANGE_MAX).collect();
        format!("{about}: {short}")
    }
}

/// Reads a page of a listing; where the next one begins, if there is one.
pub(super) fn page<'t, 'b>(
    root: Item<'t, 'b>,
    mut each: impl FnMut(Item<'t, 'b>) -> Result<(), Malformed>,
) -> Result<Option<String>, Malformed> {
    let (mut data, mut next) = (Slot::new("data"), Slot::new("next_cursor"));
    for (key, value) in root.members()? {
        match key {
            "data" => data.fill(value)?,
            "next_cursor" => next.fill(value)?,
            _ => {}
        }
    }
    for element in data.required()?.elements()? {
        each(element)?;
    }
    Ok(match next.text()? {
        "" | END => None,
        cursor => Some(escaped(cursor)),
    })
}

/// A cursor as it may stand in a query.
fn escaped(cursor: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"=-_".contains(&byte);
    cursor.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_safe_in_a_query_and_the_last_one_ends_the_listing() {
        let read = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            crate::wire::json::Parser::default().parse(&mut bytes, |root| page(root, |_| Ok(())))
        };
        assert_eq!(read(r#"{"data":[],"next_cursor":"MTAw+/ &"}"#), Ok(Some("MTAw%2B%2F%20%26".to_owned())));
        assert_eq!(read(r#"{"data":[],"next_cursor":"LTE="}"#), Ok(None));
        assert_eq!(read(r#"{"data":[]}"#), Err(Malformed::Field("next_cursor")), "not known to be whole");
        assert_eq!(read(r#"{"next_cursor":"LTE="}"#), Err(Malformed::Field("data")));
    }

    #[test]
    fn what_a_log_gets_to_see_is_short_and_without_secrets() {
        let api = ApiSigner::new("0x1", "the-key", "c2VjcmV0LXNlY3JldA==", "the-phrase").unwrap();
        let line = Line::new(String::from("host"), api);
        let text = line.strange("what", b"\x1b[31mthe-key c2VjcmV0LXNlY3JldA== the-phrase\n");
        assert_eq!(text, "what: [31m*** *** ***");
        assert!(line.strange("what", "é".repeat(10_000).as_bytes()).chars().count() <= STRANGE_MAX + 6);
    }
}
