//! The few shapes we read from a parsed message, over simd-json's tape, without allocation once warm.
//!
//! A key that occurs twice makes the message unreadable: the tape keeps both, and a venue that means one of them has
//! not said which. Nesting beyond [`DEPTH_MAX`] is refused before it is walked.

use simd_json::{Buffers, Node, StaticNode, Tape};

/// No frame of either venue nests deeper than six.
pub const DEPTH_MAX: usize = 16;

/// Why a message was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformed {
    #[error("not JSON, or nested too deeply")]
    Syntax,
    #[error("an object or array was expected")]
    Shape,
    #[error("the key `{0}` occurs twice")]
    Duplicate(&'static str),
    #[error("the key `{0}` is missing or has the wrong type")]
    Field(&'static str),
    #[error("`{0}` is not a price from 0.0001 to 0.9999")]
    Price(&'static str),
    #[error("`{0}` is not a quantity of at most nine digits and six decimals")]
    Qty(&'static str),
}

/// A parser with its memory. One per connection; reuse is what makes it free of allocation.
pub struct Parser {
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for Parser {
    fn default() -> Self {
        Self { buffers: Buffers::with_max_depth(64 * 1024, DEPTH_MAX), tape: Tape(Vec::with_capacity(4_096)) }
    }
}

impl Parser {
    /// Parses `bytes`, which are changed in place, and hands the root to `read`.
    pub fn parse<T>(
        &mut self,
        bytes: &mut [u8],
        read: impl FnOnce(Item<'_, '_>) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let parsed = simd_json::fill_tape(bytes, &mut self.buffers, &mut tape);
        let outcome = match parsed {
            Ok(()) if !tape.0.is_empty() => read(Item { nodes: &tape.0, at: 0 }),
            _ => Err(Malformed::Syntax),
        };
        self.tape = tape.reset();
        outcome
    }
}

/// One value of a parsed message.
#[derive(Clone, Copy)]
pub struct Item<'t, 'b> {
    nodes: &'t [Node<'b>],
    at: usize,
}

impl<'t, 'b> Item<'t, 'b> {
    /// The text, if this is a string.
    pub fn text(self) -> Option<&'b str> {
        match self.nodes[self.at] {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is a whole number from 0 up.
    pub fn number(self) -> Option<u64> {
        match self.nodes[self.at] {
            Node::Static(StaticNode::U64(value)) => Some(value),
            Node::Static(StaticNode::I64(value)) => u64::try_from(value).ok(),
            _ => None,
        }
    }

    /// Is this an array?
    pub fn is_array(self) -> bool {
        matches!(self.nodes[self.at], Node::Array { .. })
    }

    /// The members of an object in the order of the text.
    pub fn members(self) -> Result<Members<'t, 'b>, Malformed> {
        match self.nodes[self.at] {
            Node::Object { len, .. } => Ok(Members { nodes: self.nodes, at: self.at + 1, left: len }),
            _ => Err(Malformed::Shape),
        }
    }

    /// The elements of an array.
    pub fn elements(self) -> Result<Elements<'t, 'b>, Malformed> {
        match self.nodes[self.at] {
            Node::Array { len, .. } => Ok(Elements { nodes: self.nodes, at: self.at + 1, left: len }),
            _ => Err(Malformed::Shape),
        }
    }
}

fn after(nodes: &[Node<'_>], at: usize) -> usize {
    match nodes[at] {
        Node::Object { count, .. } | Node::Array { count, .. } => at + 1 + count,
        Node::String(_) | Node::Static(_) => at + 1,
    }
}

/// Iterator over an object's members.
pub struct Members<'t, 'b> {
    nodes: &'t [Node<'b>],
    at: usize,
    left: usize,
}

impl<'t, 'b> Iterator for Members<'t, 'b> {
    type Item = (&'b str, Item<'t, 'b>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let Node::String(key) = self.nodes[self.at] else { return None };
        let value = Item { nodes: self.nodes, at: self.at + 1 };
        self.at = after(self.nodes, self.at + 1);
        Some((key, value))
    }
}

/// Iterator over an array's elements.
pub struct Elements<'t, 'b> {
    nodes: &'t [Node<'b>],
    at: usize,
    left: usize,
}

impl<'t, 'b> Iterator for Elements<'t, 'b> {
    type Item = Item<'t, 'b>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let value = Item { nodes: self.nodes, at: self.at };
        self.at = after(self.nodes, self.at);
        Some(value)
    }
}

/// A member that may be given once.
#[derive(Clone, Copy)]
pub struct Slot<'t, 'b> {
    name: &'static str,
    item: Option<Item<'t, 'b>>,
}

impl<'t, 'b> Slot<'t, 'b> {
    /// An empty slot for the key `name`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, item: None }
    }

    /// Fills the slot; a second filling is a duplicate key.
    pub fn fill(&mut self, item: Item<'t, 'b>) -> Result<(), Malformed> {
        if self.item.replace(item).is_some() { Err(Malformed::Duplicate(self.name)) } else { Ok(()) }
    }

    /// The item, if the key was there.
    pub fn item(self) -> Option<Item<'t, 'b>> {
        self.item
    }

    /// The item of a key that must be there.
    pub fn required(self) -> Result<Item<'t, 'b>, Malformed> {
        self.item.ok_or(Malformed::Field(self.name))
    }

    /// The text of a key that must be there.
    pub fn text(self) -> Result<&'b str, Malformed> {
        self.item.and_then(Item::text).ok_or(Malformed::Field(self.name))
    }

    /// The number of a key that must be there.
    pub fn number(self) -> Result<u64, Malformed> {
        self.item.and_then(Item::number).ok_or(Malformed::Field(self.name))
    }

    /// The number of a key that may be missing, but not be anything else.
    pub fn number_if_any(self) -> Result<Option<u64>, Malformed> {
        match self.item {
            None => Ok(None),
            Some(item) => item.number().map(Some).ok_or(Malformed::Field(self.name)),
        }
    }

    /// The text of a key that may be missing, but not be anything else.
    pub fn text_if_any(self) -> Result<Option<&'b str>, Malformed> {
        match self.item {
            None => Ok(None),
            Some(item) => item.text().map(Some).ok_or(Malformed::Field(self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Malformed {
        let mut bytes = text.as_bytes().to_vec();
        Parser::default()
            .parse(&mut bytes, |root| {
                let mut kind = Slot::new("type");
                for (key, value) in root.members()? {
                    if key == "type" {
                        kind.fill(value)?;
                    }
                }
                kind.text().map(|_| ())
            })
            .unwrap_err()
    }

    #[test]
    fn hostile_text_is_refused_by_name() {
        assert_eq!(refused(r#"{"type":"a","type":"b"}"#), Malformed::Duplicate("type"));
        assert_eq!(refused(r#"{"type":1}"#), Malformed::Field("type"));
        assert_eq!(refused("[]"), Malformed::Shape);
        for broken in ["", "{", "NaN", "{\"type\":\"\u{0}", "{\"type\":01}", "{\"type\":1e999}"] {
            assert_eq!(refused(broken), Malformed::Syntax, "{broken}");
        }
        let bomb = format!("{{\"x\":{}{}}}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
        assert_eq!(refused(&bomb), Malformed::Syntax);
        assert_eq!(refused("\u{feff}{\"type\":\"a\"}"), Malformed::Syntax);
    }

    #[test]
    fn skipped_members_may_nest() {
        let mut bytes = br#"{"a":{"b":[1,{"c":[]}]},"z":"end"}"#.to_vec();
        let last = Parser::default().parse(&mut bytes, |root| Ok(root.members()?.last().map(|(key, _)| key == "z")));
        assert_eq!(last, Ok(Some(true)));
    }
}
