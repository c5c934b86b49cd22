//! The private stream: fills, orders and order groups as they happen (dossier 3).
//!
//! What a newcomer gets wrong: fills and orders carry no sequence numbers, so a lost frame leaves no trace. What is
//! told here is early news; the record is in the listings, and every new connection is a reason to read them.

use std::fmt::Write as _;

use super::page::named;
use crate::{
    fill::Heard,
    unit::{Nanos, OrderId, Tag},
    venue::{
        Strikes,
        gateway::Out,
        kalshi::{
            frame::{Envelope, envelope},
            order::Names,
            report,
        },
    },
    wire::{
        Arrival,
        json::{Malformed, Parser, Slot},
    },
};

/// Nothing at all for this long ends the connection: the server pings every ten seconds.
const SILENCE_MAX: Nanos = Nanos::secs(15);
/// All subscriptions must be acknowledged within this.
const ACK_WAIT: Nanos = Nanos::secs(5);
/// Kinds of frames that we do not know and have told of.
const STRANGERS_MAX: usize = 16;
/// Letters of the venue's that go into a log.
const WORD_MAX: usize = 40;

/// What one frame says.
enum Frame {
    /// A fill or an order: the report, and the venue's id where the order is ours.
    Heard(Heard, Option<(OrderId, Tag)>),
    Subscribed(Channel),
    Group {
        sid: Option<u64>,
        seq: Option<u64>,
        group: Option<Tag>,
        ends: bool,
    },
    /// Nothing that matters.
    Idle,
    /// It ends a subscription, or may: only a new connection helps.
    Ended(String),
    Strange(String),
}

/// An acknowledged channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Channel {
    Fills,
    Orders,
    Groups(u64),
    Other,
}

/// One account's stream.
pub(super) struct Stream {
    names: Names,
    parser: Parser,
    /// Groups whose trigger is news.
    groups: Vec<Tag>,
    open: bool,
    opened: Nanos,
    heard: Nanos,
    /// Fills, orders, groups: still to be acknowledged.
    missing: [bool; 3],
    group_sid: Option<u64>,
    group_seq: u64,
    strikes: Strikes,
    strangers: Vec<String>,
}

impl Stream {
    pub(super) fn new(names: Names, groups: Vec<Tag>) -> Self {
        Self {
            names,
            parser: Parser::default(),
            groups,
            open: false,
            opened: Nanos::ZERO,
            heard: Nanos::ZERO,
            missing: [false; 3],
            group_sid: None,
            group_seq: 0,
            strikes: Strikes::default(),
            strangers: Vec::new(),
        }
    }

    pub(super) fn opened(&mut self, at: Arrival, out: &mut Out) {
        let groups = !self.groups.is_empty();
        (self.open, self.opened, self.heard) = (true, at.now, at.now);
        (self.missing, self.group_sid, self.group_seq) = ([true, true, groups], None, 0);
        self.strangers.clear();
        let more = if groups { ",\"order_group_updates\"" } else { "" };
        out.sends.push(format!(
            "{{\"id\":1,\"cmd\":\"subscribe\",\"params\":{{\"channels\":[\"fill\",\"user_orders\"{more}]}}}}"
        ));
    }

    pub(super) fn alive(&mut self, at: Arrival) {
        self.heard = at.now;
    }

    pub(super) fn timeout(&mut self, at: Arrival, out: &mut Out) {
        let late = self.missing.contains(&true) && ACK_WAIT < at.now.since(self.opened);
        if self.open && (late || SILENCE_MAX < at.now.since(self.heard)) {
            self.lose(out);
        }
    }

    fn lose(&mut self, out: &mut Out) {
        self.open = false;
        out.lost = true;
    }

    /// Takes a message in. The venue's id of an order of ours comes back.
    pub(super) fn text(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out) -> Option<(OrderId, Tag)> {
        self.heard = at.now;
        // Some frames end with a newline, and one of nothing else says nothing.
        let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let end = bytes.iter().rposition(|byte| !byte.is_ascii_whitespace())?;
        let bytes = &mut bytes[start..=end];
        let names = self.names;
        let frame = self.parser.parse(bytes, |root| {
            let frame = envelope(root)?;
            read(&frame, names, at)
        });
        match frame {
            Ok(Frame::Heard(heard, learnt)) => {
                out.heard.push(heard);
                return learnt;
            }
            Ok(Frame::Subscribed(channel)) => self.acknowledged(channel, out),
            Ok(Frame::Group { sid, seq, group, ends }) => self.group(sid, seq, group, ends, out),
            Ok(Frame::Idle) => {}
            Ok(Frame::Ended(why)) => {
                out.strange.push(why);
                self.lose(out);
            }
            Ok(Frame::Strange(kind)) => {
                if self.strangers.len() < STRANGERS_MAX && !self.strangers.contains(&kind) {
                    out.strange.push(format!("a private frame of the kind `{kind}`"));
                    self.strangers.push(kind);
                }
            }
            Err(why) => {
                // It may have been the news of a fill.
                out.missed = true;
                out.strange.push(format!("a private frame of {} bytes: {why}", bytes.len()));
                if self.strikes.strike(at.now) {
                    self.lose(out);
                }
            }
        }
        None
    }

    fn acknowledged(&mut self, channel: Channel, out: &mut Out) {
        let before = self.missing.contains(&true);
        match channel {
            Channel::Fills => self.missing[0] = false,
            Channel::Orders => self.missing[1] = false,
            Channel::Groups(sid) => {
                self.missing[2] = false;
                (self.group_sid, self.group_seq) = (Some(sid), 0);
            }
            Channel::Other => {}
        }
        // From here on nothing is missed; what happened before this connection is asked for.
        out.missed |= before && !self.missing.contains(&true);
    }

    fn group(&mut self, sid: Option<u64>, seq: Option<u64>, group: Option<Tag>, ends: bool, out: &mut Out) {
        if sid.is_some() && sid == self.group_sid {
            let in_sequence = seq == Some(self.group_seq + 1);
            self.group_seq = seq.unwrap_or(self.group_seq);
            if !in_sequence {
                // A trigger may have been lost.
                self.lose(out);
            }
        }
        if ends && group.is_some_and(|group| self.groups.contains(&group)) {
            out.halt = Some("Kalshi's order group for entries was triggered or deleted");
        }
    }
}

fn read(frame: &Envelope<'_, '_>, names: Names, at: Arrival) -> Result<Frame, Malformed> {
    let of = |report: fn(_, _, _) -> _| {
        let item = frame.msg.required()?;
        let (tag, ours) = named(item, names)?;
        Ok(Frame::Heard(report(item, names, at.unix)?, ours.map(|id| (id, tag))))
    };
    match frame.kind {
        "fill" => of(report::fill),
        "user_order" => of(report::order),
        "subscribed" => {
            let (mut channel, mut sid) = (Slot::new("channel"), Slot::new("sid"));
            for (key, item) in frame.msg.required()?.members()? {
                match key {
                    "channel" => channel.fill(item)?,
                    "sid" => sid.fill(item)?,
                    _ => {}
                }
            }
            Ok(Frame::Subscribed(match channel.text()? {
                "fill" => Channel::Fills,
                "user_orders" => Channel::Orders,
                "order_group_updates" => Channel::Groups(sid.number()?),
                _ => Channel::Other,
            }))
        }
        "order_group_updates" => {
            let (mut event, mut group) = (Slot::new("event_type"), Slot::new("order_group_id"));
            for (key, item) in frame.msg.required()?.members()? {
                match key {
                    "event_type" => event.fill(item)?,
                    "order_group_id" => group.fill(item)?,
                    _ => {}
                }
            }
            let ends = matches!(event.text()?, "triggered" | "deleted");
            Ok(Frame::Group { sid: frame.sid, seq: frame.seq, group: Tag::new(group.text()?), ends })
        }
        "ok" => Ok(Frame::Idle),
        "unsubscribed" => Ok(Frame::Ended(String::from("a private subscription was ended"))),
        // Our one command is a fixed text, so an error is the venue's doing: a subscription that ended or never was.
        "error" => {
            let mut code = Slot::new("code");
            for (key, item) in frame.msg.required()?.members()? {
                if key == "code" {
                    code.fill(item)?;
                }
            }
            Ok(Frame::Ended(format!("error {} on the private stream", code.number()?)))
        }
        kind => Ok(Frame::Strange(excerpt(kind))),
    }
}

/// The venue's words for a log: short, in plain letters, without anything as long as an id or a key.
pub(super) fn excerpt(text: &str) -> String {
    let mut out = String::new();
    for word in text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').filter(|w| !w.is_empty()) {
        if WORD_MAX <= out.len() {
            out.push_str(" …");
            break;
        }
        let joint = if out.is_empty() { "" } else { " " };
        let _ = write!(out, "{joint}{}", if 24 < word.len() { "…" } else { word });
    }
    out
}
