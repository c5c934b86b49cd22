//! `/metrics`: read from the last snapshot and the histograms at the moment of the scrape. Nothing is counted twice, and
//! no hot thread knows of it. No market is ever a label.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text::encode},
    metrics::MetricType,
    registry::Registry,
};

use super::health;
use crate::{
    run::{
        latency::{Latencies, Stage},
        snapshot::Snapshot,
    },
    unit::Venue,
};

/// Upper bounds of the latency histogram, in nanoseconds: 1 µs to 1 s.
const BOUNDS_NS: [u64; 19] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];

/// One stage's histogram.
#[derive(Debug)]
struct Spans {
    stage: &'static str,
    sum: f64,
    count: u64,
    /// Upper bound in seconds, and how many lie between it and the one before.
    buckets: Vec<(f64, u64)>,
}

/// Everything of one scrape.
#[derive(Debug)]
struct Scrape {
    status: Snapshot,
    now_ms: u64,
    spans: Vec<Spans>,
    log_dropped: u64,
}

/// The text of a scrape, in the format `OpenMetrics`.
pub fn text(status: &Snapshot, latencies: Option<&Latencies>, log_dropped: u64, now_ms: u64) -> String {
    let spans = latencies.map(|all| Stage::ALL.into_iter().map(|stage| spans(all, stage)).collect());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape {
        status: status.clone(),
        now_ms,
        spans: spans.unwrap_or_default(),
        log_dropped,
    }));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a text takes every line");
    text
}

fn spans(all: &Latencies, stage: Stage) -> Spans {
    let histogram = all.stage(stage);
    let mut below = 0;
    let mut buckets: Vec<_> = BOUNDS_NS
        .iter()
        .map(|bound| {
            let upto = histogram.count_between(0, *bound);
            let between = upto.saturating_sub(below);
            below = below.max(upto);
            (*bound as f64 / 1e9, between)
        })
        .collect();
    buckets.push((f64::INFINITY, histogram.len().saturating_sub(below)));
    Spans { stage: stage.tag(), sum: histogram.mean() * histogram.len() as f64 / 1e9, count: histogram.len(), buckets }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let s = &self.status;
        let mut out = Out { encoder: &mut encoder };
        let dollars = |micros: i64| micros as f64 / 1e6;
        out.info("build", "The build that runs", &[("version", s.version.as_str())])?;
        out.gauges("mode", "1 for the mode that runs", &[([("mode", s.mode.as_str())], 1.0)])?;
        let rank = |state: &str| match state {
            "active" => 0.0,
            "paused" => 1.0,
            _ => 2.0,
        };
        out.gauge("kill_state", "0 active, 1 paused, 2 halted", rank(&s.state))?;
        out.gauge(
            "engine_running",
            "1 while an engine runs in this process",
            f64::from(u8::from(s.engine == "running")),
        )?;
        let ready = health::reasons(s, self.now_ms).is_empty();
        out.gauge("ready", "1 while nothing stands against readiness", f64::from(u8::from(ready)))?;
        let armed = s.armed.map_or(f64::NAN, |armed| f64::from(u8::from(armed)));
        out.gauge("armed", "1 while live orders may leave; NaN where nothing is to be armed", armed)?;
        let feeds = |read: fn(&crate::run::snapshot::FeedStatus) -> u64| {
            s.feeds.iter().map(|feed| ([("venue", feed.venue.as_str())], read(feed))).collect::<Vec<_>>()
        };
        let alerts: Vec<_> =
            s.alerts.iter().map(|a| ([("kind", a.kind.as_str()), ("result", a.result.as_str())], a.count)).collect();
        out.counters("alerts", "Alerts by kind and what became of them", &alerts)?;
        out.counters("feed_messages", "Messages of market data", &feeds(|f| f.messages))?;
        out.counters("feed_gaps", "Gaps in the sequence of market data", &feeds(|f| f.gaps))?;
        out.counters("feed_malformed", "Messages that could not be read", &feeds(|f| f.malformed))?;
        out.counters("feed_dials", "Connections begun", &feeds(|f| f.dials))?;
        let heard: Vec<_> = s.feeds.iter().map(|f| ([("venue", f.venue.as_str())], f.heard_ms as f64 / 1e3)).collect();
        out.gauges("feed_last_message_timestamp_seconds", "When the last message came, Unix time", &heard)?;
        let offsets: Vec<_> =
            s.clock_offset_ms.iter().map(|(venue, off)| ([("venue", venue.as_str())], *off as f64 / 1e3)).collect();
        out.gauges("clock_offset_seconds", "This host's clock less the venue's, as far as it is certain", &offsets)?;
        let reasons: Vec<_> = s
            .reasons
            .iter()
            .map(|line| ([("outcome", "skipped"), ("reason", line.code.as_str())], line.count))
            .chain(s.endings.iter().map(|(name, count)| ([("outcome", name.as_str()), ("reason", "")], *count)))
            .collect();
        out.counters("opportunities", "Opportunities by how they ended, and why", &reasons)?;
        out.counter("sightings", "Opportunities seen", s.sightings)?;
        out.counter("plans", "Plans begun", s.plans)?;
        out.counter("fills", "Fills", s.fills)?;
        out.gauge("open_pairs", "Pairs that hold something", f64::from(s.positions))?;
        out.gauge("naked_exposure_dollars", "What stands alone on one leg, at cost", dollars(s.naked))?;
        out.counter_f(
            "naked_seconds",
            "For how long something has stood alone on one leg",
            s.naked_ms_total as f64 / 1e3,
        )?;
        let mut balances: Vec<([(&str, &str); 2], f64)> = Vec::new();
        for (at, venue) in Venue::ALL.into_iter().enumerate() {
            let of = s.balances.iter().filter(|balance| balance.venue == venue.name());
            let (cash, reserved) = of.fold((0, 0), |sum, b| (sum.0 + b.cash, sum.1 + b.reserved));
            balances.push(([("venue", venue.name()), ("kind", "free")], dollars(cash - reserved)));
            balances.push(([("venue", venue.name()), ("kind", "promised")], dollars(reserved)));
            balances.push(([("venue", venue.name()), ("kind", "held")], dollars(s.held[at])));
        }
        out.gauges(
            "balance_dollars",
            "Money by venue: free, promised to orders, held in contracts at cost",
            &balances,
        )?;
        out.gauges(
            "pnl_dollars",
            "Profit after fees: realised since midnight UTC, and by all plans that are over",
            &[([("kind", "today")], dollars(s.realised_today)), ([("kind", "total")], dollars(s.realised_total))],
        )?;
        out.gauge("audit_queue_depth", "Rows that wait for the database", s.audit_queue as f64)?;
        out.counter("audit_dropped", "Rows that the database never got", s.audit_dropped)?;
        out.counter("log_dropped", "Log lines that the page no longer has", self.log_dropped)?;
        let left: Vec<_> = s.budgets.iter().map(|(venue, left)| ([("venue", venue.as_str())], *left as f64)).collect();
        out.gauges("ratelimit_remaining", "Requests that the venue's budget still allows now", &left)?;
        out.spans("stage_latency_seconds", "Where time goes between socket and decision", &self.spans)
    }
}

/// Writes families. Names get the prefix here.
struct Out<'a, 'b> {
    encoder: &'a mut DescriptorEncoder<'b>,
}

impl Out<'_, '_> {
    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        write: impl FnOnce(MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let name = format!("orion_{name}");
        write(self.encoder.encode_descriptor(&name, help, None, kind)?)
    }

    fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) -> fmt::Result {
        self.family(name, help, MetricType::Info, |mut metric| metric.encode_info(&labels))
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, |mut metric| metric.encode_gauge(&value))
    }

    fn gauges<const N: usize>(&mut self, name: &str, help: &str, values: &[([(&str, &str); N], f64)]) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, |mut metric| {
            values.iter().try_for_each(|(labels, value)| metric.encode_family(labels)?.encode_gauge(value))
        })
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.family(name, help, MetricType::Counter, |mut metric| count(&mut metric, value))
    }

    fn counter_f(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.family(name, help, MetricType::Counter, |mut metric| {
            metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    fn counters<const N: usize>(&mut self, name: &str, help: &str, values: &[([(&str, &str); N], u64)]) -> fmt::Result {
        self.family(name, help, MetricType::Counter, |mut metric| {
            values.iter().try_for_each(|(labels, value)| count(&mut metric.encode_family(labels)?, *value))
        })
    }

    fn spans(&mut self, name: &str, help: &str, all: &[Spans]) -> fmt::Result {
        self.family(name, help, MetricType::Histogram, |mut metric| {
            all.iter().try_for_each(|spans| {
                let labels = [("stage", spans.stage)];
                let mut one = metric.encode_family(&labels)?;
                one.encode_histogram::<NoLabelSet>(spans.sum, spans.count, &spans.buckets, None)
            })
        })
    }
}

fn count(metric: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Nanos;

    #[test]
    fn every_name_of_the_minimum_is_there_and_a_histogram_adds_up() {
        let mut all = Latencies::default();
        for span in [500, 1_500, 40_000, 3_000_000_000] {
            all.record(Stage::Decide, Nanos::new(span));
        }
        let text = text(&Snapshot { mode: "paper".into(), ..Snapshot::default() }, Some(&all), 3, 1_000);
        for name in [
            "orion_build_info",
            "orion_mode",
            "orion_kill_state",
            "orion_feed_messages",
            "orion_feed_gaps",
            "orion_feed_last_message_timestamp_seconds",
            "orion_clock_offset_seconds",
            "orion_opportunities",
            "orion_stage_latency_seconds",
            "orion_naked_exposure_dollars",
            "orion_naked_seconds_total",
            "orion_balance_dollars",
            "orion_pnl_dollars",
            "orion_audit_queue_depth",
            "orion_log_dropped_total",
            "orion_ratelimit_remaining",
            "orion_alerts",
        ] {
            assert!(text.contains(name), "{name} is missing:\n{text}");
        }
        let decide = |rest: &str| {
            let line = text.lines().find(|line| {
                line.starts_with(&format!("orion_stage_latency_seconds_{rest}")) && line.contains("decide")
            });
            line.map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned())
        };
        assert_eq!(decide("count").as_deref(), Some("4"));
        let whole = |line: &&str| line.contains("+Inf") && line.contains("decide");
        assert!(text.lines().find(whole).is_some_and(|line| line.ends_with(" 4")), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
