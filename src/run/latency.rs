//! Latency histograms per stage. Each hot thread records into its own; the cold side asks by sending an empty set,
//! which the thread swaps for its full one. Nothing is shared, locked or allocated on the hot side.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use hdrhistogram::{
    Histogram,
    serialization::{
        V2DeflateSerializer,
        interval_log::{IntervalLogWriterBuilder, Tag},
    },
};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::unit::{Nanos, UnixMs};

/// Where time is spent between the socket and the decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Reading the socket and decrypting.
    SocketRead,
    /// Finding the message in the bytes.
    Frame,
    /// Message to updates.
    Parse,
    /// From the feed thread's hand to the detector's.
    Ring,
    /// Updates to books.
    Book,
    /// Edge, rules, limits.
    Decide,
}

impl Stage {
    /// All, in the order of the data.
    pub const ALL: [Self; 6] = [Self::SocketRead, Self::Frame, Self::Parse, Self::Ring, Self::Book, Self::Decide];

    /// The name in tables and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SocketRead => "socket read",
            Self::Frame => "frame",
            Self::Parse => "parse",
            Self::Ring => "ring",
            Self::Book => "book",
            Self::Decide => "decide",
        }
    }

    /// The name where no space may be.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::SocketRead => "read",
            other => other.name(),
        }
    }
}

/// One histogram per stage, in nanoseconds up to ten seconds.
#[derive(Clone)]
pub struct Latencies {
    stages: Vec<Histogram<u64>>,
}

const LONGEST_NS: u64 = 10_000_000_000;

impl Default for Latencies {
    fn default() -> Self {
        let one = || Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("the bounds are constants that fit");
        Self { stages: Stage::ALL.iter().map(|_| one()).collect() }
    }
}

impl Latencies {
    /// Records a span; longer than the histogram holds counts as its longest.
    pub fn record(&mut self, stage: Stage, span: Nanos) {
        self.stages[stage as usize].saturating_record(span.raw().max(1));
    }

    /// Adds another set to this one.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.stages.iter_mut().zip(&other.stages) {
            mine.add(theirs).expect("both have the same bounds");
        }
    }

    /// What came after an earlier state of the same set; `None` if that was of another one.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let mut new = self.clone();
        for (mine, before) in new.stages.iter_mut().zip(&earlier.stages) {
            mine.subtract(before).ok()?;
        }
        Some(new)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.stages.iter_mut().for_each(Histogram::reset);
    }

    /// One stage.
    pub fn stage(&self, stage: Stage) -> &Histogram<u64> {
        &self.stages[stage as usize]
    }

    /// All stages as an interval log of `HdrHistogram`, a tag each, which other tools read: everything from `from` to `to`.
    /// Values are nanoseconds; the log's maxima are milliseconds.
    pub fn hlog(&self, out: &mut impl io::Write, from: UnixMs, to: UnixMs) -> io::Result<()> {
        let mut serializer = V2DeflateSerializer::new();
        let began = UNIX_EPOCH + Duration::from_millis(from.raw());
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment("Orion: nanoseconds per stage since the engine started")
            .with_start_time(began)
            .with_base_time(began)
            .begin_log_with(out, &mut serializer)?;
        for stage in Stage::ALL {
            let tag = Tag::new(stage.tag()).expect("no stage has a comma, a space or a line end in its tag");
            log.write_histogram(self.stage(stage), Duration::ZERO, Duration::from_millis(to.since(from)), Some(tag))
                .map_err(|error| io::Error::other(format!("{error:?}")))?;
        }
        Ok(())
    }

    /// `latency.txt` and `latency.hlog` in a folder.
    pub fn dump(&self, folder: &Path, from: UnixMs, to: UnixMs) -> io::Result<()> {
        std::fs::write(folder.join("latency.txt"), self.table())?;
        let mut out = BufWriter::new(File::create(folder.join("latency.hlog"))?);
        self.hlog(&mut out, from, to)?;
        out.flush()
    }

    /// A table of quantiles in microseconds.
    pub fn table(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::from("stage             count      p50 µs      p99 µs    p99.9 µs      max µs\n");
        for stage in Stage::ALL {
            let histogram = self.stage(stage);
            let micros = |ns: u64| ns as f64 / 1_000.0;
            let _ = writeln!(
                text,
                "{:<12} {:>10} {:>11.2} {:>11.2} {:>11.2} {:>11.2}",
                stage.name(),
                histogram.len(),
                micros(histogram.value_at_quantile(0.5)),
                micros(histogram.value_at_quantile(0.99)),
                micros(histogram.value_at_quantile(0.999)),
                micros(histogram.max()),
            );
        }
        text
    }
}

/// The hot thread's end.
pub struct Recorder {
    now: Box<Latencies>,
    empty: Consumer<Box<Latencies>>,
    full: Producer<Box<Latencies>>,
}

/// The cold side's end.
pub struct Collector {
    empty: Producer<Box<Latencies>>,
    full: Consumer<Box<Latencies>>,
    spare: Option<Box<Latencies>>,
}

/// Both ends for one hot thread.
pub fn recorder() -> (Recorder, Collector) {
    let (empty_in, empty_out) = RingBuffer::new(1);
    let (full_in, full_out) = RingBuffer::new(1);
    let recorder = Recorder { now: Box::default(), empty: empty_out, full: full_in };
    (recorder, Collector { empty: empty_in, full: full_out, spare: Some(Box::default()) })
}

impl Recorder {
    /// Records a span.
    pub fn record(&mut self, stage: Stage, span: Nanos) {
        self.now.record(stage, span);
    }

    /// Hands the set over if the cold side asked.
    pub fn poll(&mut self) {
        if let Ok(empty) = self.empty.pop() {
            let full = std::mem::replace(&mut self.now, empty);
            // The ring has one slot and the cold side sends the next empty set only after taking the full one.
            let _ = self.full.push(full);
        }
    }
}

impl Collector {
    /// Takes what has come into `total` and asks for more.
    pub fn collect(&mut self, total: &mut Latencies) {
        if let Ok(mut full) = self.full.pop() {
            total.add(&full);
            full.clear();
            self.spare = Some(full);
        }
        if let Some(spare) = self.spare.take()
            && let Err(rtrb::PushError::Full(spare)) = self.empty.push(spare)
        {
            self.spare = Some(spare);
        }
    }
}
