//! A day of latencies, a point a minute.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

use crate::run::latency::{Latencies, Stage};

/// Minutes that are kept.
const POINTS_MAX: usize = 24 * 60;

/// The points so far.
#[derive(Default)]
pub struct Strip(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    last: Option<Latencies>,
    points: VecDeque<(u64, [u64; 6])>,
}

impl Strip {
    /// A minute is over: what came since the last one.
    pub fn note(&self, now: &Latencies, at_ms: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An engine that was started anew counts from nothing.
        let since = kept.last.as_ref().and_then(|last| now.since(last)).unwrap_or_else(|| now.clone());
        if kept.points.len() == POINTS_MAX {
            kept.points.pop_front();
        }
        kept.points.push_back((at_ms, Stage::ALL.map(|stage| since.stage(stage).value_at_quantile(0.99))));
        kept.last = Some(now.clone());
    }

    /// As the page reads it.
    pub fn points(&self) -> Vec<Value> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let point = |(at_ms, spans): &(u64, [u64; 6])| {
            let spans: serde_json::Map<_, _> =
                Stage::ALL.iter().zip(spans).map(|(stage, span)| (stage.tag().to_owned(), json!(span))).collect();
            json!({ "at_ms": at_ms, "p99_ns": spans })
        };
        kept.points.iter().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Nanos;

    #[test]
    fn a_point_tells_of_its_own_minute_alone() {
        let (strip, mut all) = (Strip::default(), Latencies::default());
        all.record(Stage::Parse, Nanos::millis(5));
        strip.note(&all, 60_000);
        for _ in 0..200 {
            all.record(Stage::Parse, Nanos::new(900));
        }
        strip.note(&all, 120_000);
        let points = strip.points();
        assert!(4_900_000 < points[0]["p99_ns"]["parse"].as_u64().unwrap());
        assert!(points[1]["p99_ns"]["parse"].as_u64().unwrap() < 1_000);
        strip.note(&Latencies::default(), 180_000);
        assert_eq!(strip.points()[2]["p99_ns"]["parse"], 0, "another engine begins at nothing");
    }
}
