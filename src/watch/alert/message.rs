//! What is sent to a place, what a place is like, and what became of what was sent.

use std::{num::NonZeroU32, time::Duration};

use super::format::Block;
use crate::{
    ledger::audit::{Alert, Delivery},
    unit::{AlertKind, Loudness, Nanos, UnixMs},
};

/// How fast a place may be written to.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// One message per this.
    pub every: Duration,
    /// So many may come at once.
    pub burst: NonZeroU32,
}

impl Pace {
    /// Fifteen messages in any minute: three at once, then one every five seconds.
    pub const CHAT: Self =
        Self { every: Duration::from_secs(5), burst: NonZeroU32::new(3).expect("three is not zero") };
}

/// What a place is like.
#[derive(Clone, Debug)]
pub struct Rules {
    /// As the database knows it.
    pub place: String,
    pub loudness: [Loudness; 12],
    pub pace: Pace,
    /// People read here: much of one kind is folded, risk alerts come again until acknowledged. A program gets every
    /// alert once.
    pub people: bool,
    /// Spreads retries.
    pub seed: u64,
}

/// What to do next.
#[derive(Debug)]
pub enum Output {
    /// Have this written down; then [`Queue::handle_written`](super::queue::Queue::handle_written).
    Record(Delivery),
    /// Send this; then [`Queue::handle_outcome`](super::queue::Queue::handle_outcome).
    Send(Message),
    WaitUntil(Nanos),
}

/// Something to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub body: Body,
    pub silent: bool,
    /// Without markup: with it the place refused it.
    pub plain: bool,
    /// The message to put it in the place of.
    pub edit: Option<i64>,
}

/// What it says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Alert {
        alert: Box<Alert>,
        /// The first time, or a reminder.
        told: u32,
        /// How often it happened.
        times: u32,
        /// It may have been told already.
        again: bool,
    },
    /// Many of one kind.
    Fold {
        kind: AlertKind,
        ids: Vec<u64>,
        lines: Vec<String>,
        count: usize,
        /// They were told before, and nobody acknowledged them.
        reminds: bool,
        again: bool,
    },
    /// Edges that were seen lately.
    Edges {
        lines: Vec<String>,
        count: u64,
        since: UnixMs,
    },
    Answer(Answer),
}

/// An answer to a person, or to a button that was pressed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub blocks: Vec<Block>,
    /// Rows of buttons: a label and what it sends.
    pub buttons: Vec<Vec<(String, String)>>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It arrived; the number that an edit names, where the place gives one.
    Sent(Option<i64>),
    /// It surely did not arrive.
    Unsent,
    /// It may have arrived.
    Unsure,
    /// It did not arrive, and nothing is to be sent for so long.
    Wait(Duration),
    /// The place does not take this message.
    Refused,
    /// The place takes nothing from us: blocked, gone, or the token is not one.
    Shut,
}
