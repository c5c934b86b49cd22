//! The venue's dead-man switch (dossier 3.11): after the first beat, ten seconds without one cost every open order.

use super::{PolymarketGateway, line::What};
use crate::{
    unit::Nanos,
    venue::gateway::{Answer, Lane, Out},
    wire::{
        Arrival,
        json::{Malformed, Slot},
    },
};

/// From one acknowledged beat to the next.
const EVERY: Nanos = Nanos::secs(5);
/// After one that failed.
const AGAIN: Nanos = Nanos::secs(1);
/// So late that another one still comes in time.
const WAIT: Nanos = Nanos::secs(3);
/// The venue's patience, counted from when the last good beat was asked for.
const LAPSE: Nanos = Nanos::secs(10);

/// A chain of beats: each names the one before it.
#[derive(Default)]
pub(super) struct Beat {
    /// Empty before the first; the venue says the right one where it is another.
    id: String,
    due: Nanos,
    under_way: bool,
    /// When the last acknowledged beat was asked for.
    fed: Option<Nanos>,
}

impl Beat {
    /// Does the venue surely hear us?
    pub fn is_fed(&self, now: Nanos) -> bool {
        self.fed.is_some_and(|fed| now.since(fed) <= LAPSE)
    }
}

impl PolymarketGateway {
    /// Sends a beat if one is due, and notices when the venue may have lost patience.
    pub(super) fn feed_beat(&mut self, at: Arrival, out: &mut Out) {
        let Some(beat) = &mut self.beat else { return };
        if beat.fed.is_some() && !beat.is_fed(at.now) {
            beat.fed = None;
            // Everything open may have been cancelled.
            out.missed = true;
        }
        if beat.under_way || at.now < beat.due {
            return;
        }
        beat.under_way = true;
        let body = serde_json::json!({"heartbeat_id": beat.id}).to_string();
        let request = self.line.request(at.unix, "POST", "/v1/heartbeats", Some(body.as_bytes()));
        self.line.push(What::Beat { asked: at.now }, Lane::Safety, WAIT, request, out);
    }

    pub(super) fn beat_answered(&mut self, asked: Nanos, answer: Answer<'_>, at: Arrival) {
        let Some(beat) = &mut self.beat else { return };
        beat.under_way = false;
        beat.due = at.now + AGAIN;
        let Answer::Whole { status: status @ (200 | 400), body } = answer else { return };
        let id = self.parser.parse(body, |root| {
            let mut id = Slot::new("heartbeat_id");
            for (key, value) in root.members()? {
                if key == "heartbeat_id" {
                    id.fill(value)?;
                }
            }
            let id = id.text()?;
            if id.is_empty() { Err(Malformed::Field("heartbeat_id")) } else { Ok(id.to_owned()) }
        });
        let Ok(id) = id else { return };
        // A 400 corrects the id and counts for nothing.
        beat.id = id;
        if status == 200 {
            beat.fed = Some(asked);
            beat.due = asked + EVERY;
        } else {
            beat.due = at.now;
        }
    }
}
