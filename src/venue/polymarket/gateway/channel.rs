//! The user channel (dossier 4.6): orders and trades as they happen. Nothing is replayed, and nothing confirms the
//! sign-in, whose message holds the secret.

use super::PolymarketGateway;
use crate::{
    unit::{Nanos, UnixMs},
    venue::{Strikes, gateway::Out, polymarket::report},
    wire::{
        Arrival,
        json::{Item, Malformed, Slot},
    },
};

/// The venue wants one every ten seconds; twice as often, so that a lost one is noticed.
const PING_EVERY: Nanos = Nanos::secs(5);
/// Not even a `PONG` for this long: the connection is dead.
const SILENCE_MAX: Nanos = Nanos::secs(15);
/// As much of a message as can end up in a log.
const KEPT: usize = 4 << 10;

/// One connection, while it stands.
#[derive(Default)]
pub(super) struct Channel {
    /// When anything last came; `None` while nothing stands.
    heard: Option<Nanos>,
    ping_due: Nanos,
    strikes: Strikes,
    /// The message as it came: reading changes its bytes.
    text: Vec<u8>,
}

impl Channel {
    pub fn open(&mut self, now: Nanos) {
        self.heard = Some(now);
        self.ping_due = now + PING_EVERY;
    }

    pub fn heard(&mut self, now: Nanos) {
        if let Some(heard) = &mut self.heard {
            *heard = now;
        }
    }

    pub fn timeout(&mut self, now: Nanos, out: &mut Out) {
        let Some(heard) = self.heard else { return };
        if SILENCE_MAX < now.since(heard) {
            self.lose(out);
        } else if self.ping_due <= now {
            self.ping_due = now + PING_EVERY;
            out.sends.push(String::from("PING"));
        }
    }

    fn lose(&mut self, out: &mut Out) {
        self.heard = None;
        out.lost = true;
    }
}

impl PolymarketGateway {
    pub(super) fn channel_text(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out) {
        self.channel.heard(at.now);
        if bytes.trim_ascii() == b"PONG" {
            return;
        }
        let Self { parser, channel, line, outcomes, .. } = self;
        channel.text.clear();
        channel.text.extend_from_slice(&bytes[..bytes.len().min(KEPT)]);
        let owner = line.api().owner();
        let outcome = |token: &str| outcomes.get(token).copied();
        let read = parser.parse(bytes, |root| {
            if !root.is_array() {
                return event(root, owner, &outcome, at.unix, out);
            }
            let mut known = true;
            for element in root.elements()? {
                known &= event(element, owner, &outcome, at.unix, out)?;
            }
            Ok(known)
        });
        match read {
            Ok(true) => {}
            Ok(false) => out.strange.push(line.strange("an unknown event of the user channel", &channel.text)),
            Err(why) => {
                out.strange.push(line.strange(&format!("the user channel, {why}"), &channel.text));
                if channel.strikes.strike(at.now) {
                    channel.lose(out);
                }
            }
        }
    }
}

/// Reads one event; `false` for a kind that nobody told us of.
fn event(
    item: Item<'_, '_>,
    owner: &str,
    outcomes: report::Outcomes<'_>,
    at: UnixMs,
    out: &mut Out,
) -> Result<bool, Malformed> {
    let mut kind = Slot::new("event_type");
    for (key, value) in item.members()? {
        if key == "event_type" {
            kind.fill(value)?;
        }
    }
    match kind.text()? {
        "order" => out.heard.push(report::order(item, at)?),
        "trade" => out.heard.extend(report::trade(item, owner, outcomes, at)?),
        _ => return Ok(false),
    }
    Ok(true)
}
