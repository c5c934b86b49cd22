//! From a frame's bytes to a decision, beside three yardsticks fed with the same bytes in the same run.
//!
//! * `scan`: one SIMD pass that counts the quotes. Nothing that reads every byte can be faster.
//! * `simd-json`: the same parser as ours, to its tape, with reused buffers; nothing is read from the tape.
//! * `orion`: the venue's feed, `Detector::apply` for each update, one `Detector::turn`.
//! * `rival`: the way public bots do it: a `serde_json::Value`, books in maps keyed by strings and decimals, fees
//!   computed each time, and a look at the pair that moved.
//!
//! Some thousand messages at a time alternate between the four, in an order that rotates, so that what else the machine
//! does falls on all alike. Before anything is timed, `orion` and `rival` decide on the same stream and must agree on
//! every message: which directions are crossed, and the net edge at the touch to the last digit.
//!
//! `cargo bench` measures; `-- --test` (or no `--bench` at all) checks agreement on a short stream and ends.
//! `-- --only NAME --pairs N --messages N` runs one of them alone, for callgrind.

#![allow(clippy::disallowed_methods, reason = "a bench asks for the time")]

mod ours;
mod rival;
mod stream;

use std::{collections::HashMap, hint::black_box, time::Instant};

use orion::{run::event::What, unit::PairId};
use ours::Orion;
use rival::Rival;
use rust_decimal::Decimal;
use simd_json::{Buffers, Tape};
use stream::{Block, Generated, Make, Spread, Stream, recorded};

/// Messages timed together: long against the clock's step, short against a scheduler's slice.
const BLOCK: usize = 256;
/// Blocks that one way works through before the next way takes the same ones: nobody's caches are those of another.
const SHIFT: usize = 32;
/// Blocks at the start of a shift that only warm the caches.
const WARM: usize = 12;
/// Shifts of one stream before the next stream's turn; the first one is not counted.
const SLICE: usize = 3;
const SLICES: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)).cloned();
    if let Some(only) = value("--only") {
        let number = |name, otherwise| value(name).map_or(otherwise, |n| n.parse().expect("a number"));
        return alone(&only, number("--pairs", 1_000), number("--messages", 10_000));
    }
    let quick = !args.iter().any(|a| a == "--bench") || args.iter().any(|a| a == "--test");
    let sizes = if quick { [10, 50, 100] } else { [10, 1_000, 10_000] };
    let streams: Vec<(String, Make)> = sizes
        .into_iter()
        .flat_map(|pairs| [(pairs, Spread::Uniform), (pairs, Spread::Zipf)])
        .filter(|(pairs, spread)| *pairs != 10 || *spread == Spread::Uniform)
        .map(|(pairs, spread)| {
            let make = move || Box::new(Generated::new(pairs, spread)) as Box<dyn Stream>;
            (format!("Polymarket, {pairs} pairs, {spread:?}"), Box::new(make) as Make)
        })
        .chain(recorded())
        .collect();
    for (name, make) in &streams {
        agree(name, make().as_mut(), if quick { 40 } else { 100 });
    }
    if quick {
        println!("test mode: agreement only");
        return;
    }
    measure(&streams);
}

/// simd-json to its tape, buffers and tape reused.
struct Json {
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Json {
    fn new() -> Self {
        Self { buffers: Buffers::new(64 * 1024), tape: Tape(Vec::with_capacity(4_096)) }
    }

    fn message(&mut self, bytes: &mut [u8]) {
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        simd_json::fill_tape(bytes, &mut self.buffers, &mut tape).expect("every message is JSON");
        black_box(tape.0.len());
        self.tape = tape.reset();
    }
}

/// Both ways of deciding, message by message.
fn agree(name: &str, stream: &mut dyn Stream, blocks: usize) {
    let (mut orion, mut rival) = (Orion::new(stream), Rival::new(stream));
    let mut open: Vec<[Option<u64>; 2]> = vec![[None; 2]; stream.pairs()];
    let mut by_id: HashMap<u64, (usize, usize)> = HashMap::new();
    let (mut block, mut messages, mut crossed, mut winning) = (Block::default(), 0_u64, 0_u64, 0_u64);
    for _ in 0..blocks {
        if !stream.next(&mut block) {
            break;
        }
        orion.set(&block);
        rival.set(&block);
        let mut told = 0;
        for message in &block.messages {
            let theirs = rival.message(&block.bytes[message.bytes.clone()]);
            let mut bytes = block.bytes[message.bytes.clone()].to_vec();
            orion.message(&mut bytes, message.at);
            for event in orion.desk.events().iter() {
                match event.what {
                    What::Sighted { id, pair: PairId(pair), direction, quote, .. } => {
                        let (pair, direction) = (pair as usize, direction as usize);
                        open[pair][direction] = Some(id);
                        by_id.insert(id, (pair, direction));
                        // Told when it appears or improves: the figures are this message's.
                        let Some((moved, edges)) = theirs.filter(|(moved, _)| *moved == pair) else { continue };
                        let net = edges[direction].unwrap_or_else(|| panic!("{name}: only orion sees pair {moved}"));
                        let exact = net * Decimal::from(100_000_000_000_000_i64);
                        assert_eq!(Decimal::from(quote.net.raw()), exact, "{name}: net edge of pair {pair}");
                        told += 1;
                    }
                    What::Ended { id } => {
                        let (pair, direction) = by_id[&id];
                        open[pair][direction] = None;
                    }
                    _ => {}
                }
            }
            if let Some((pair, edges)) = theirs {
                let ours = open[pair].map(|sighting| sighting.is_some());
                assert_eq!(ours, edges.map(|e| e.is_some()), "{name}: crossed directions of pair {pair}");
                crossed += u64::from(edges.iter().any(Option::is_some));
                winning += u64::from(edges.iter().flatten().any(|net| Decimal::ZERO < *net));
            }
            messages += 1;
        }
        black_box(told);
    }
    assert_eq!(orion.feed.counts().malformed, 0, "{name}: every message is read");
    println!("{name}: {messages} messages decided alike ({crossed} with a crossed touch, {winning} with a net edge)");
}

/// Everything that is timed for one stream.
struct Lane<'a> {
    name: &'a str,
    stream: Box<dyn Stream>,
    orion: Orion,
    rival: Rival,
    json: Json,
    /// Nanoseconds per message by block: scan, simd-json, orion, rival.
    times: [Vec<f64>; 4],
    bytes: (u64, u64),
    over: bool,
}

fn measure(streams: &[(String, Make)]) {
    let mut lanes: Vec<Lane<'_>> = streams
        .iter()
        .map(|(name, make)| {
            let stream = make();
            let (orion, rival) = (Orion::new(stream.as_ref()), Rival::new(stream.as_ref()));
            Lane {
                name,
                stream,
                orion,
                rival,
                json: Json::new(),
                times: Default::default(),
                bytes: (0, 0),
                over: false,
            }
        })
        .collect();
    let (mut blocks, mut copy): ([Block; SHIFT], Vec<u8>) = (std::array::from_fn(|_| Block::default()), Vec::new());
    for _ in 0..SLICES {
        for lane in &mut lanes {
            for at in 0..SLICE {
                lane.shift(&mut blocks, &mut copy, at);
            }
        }
    }
    println!("\nns per message, median of blocks of {BLOCK} (25 % and 75 % in brackets)\n");
    println!(
        "| stream | bytes | scan | simd-json | orion | rival | orion ÷ scan | orion ÷ simd-json | rival ÷ orion |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut medians = HashMap::new();
    for lane in &mut lanes {
        let cells = lane.times.each_mut().map(|times| {
            times.sort_by(f64::total_cmp);
            [1, 2, 3].map(|quarter| times[times.len() * quarter / 4])
        });
        let [scan, json, orion, rival] = cells.map(|c| c[1]);
        let text = cells.map(|c| format!("{:.0} ({:.0}–{:.0})", c[1], c[0], c[2]));
        println!(
            "| {} | {} | {} | {} | {} | {} | {:.1} | {:.2} | {:.1} |",
            lane.name,
            lane.bytes.0 / lane.bytes.1.max(1),
            text[0],
            text[1],
            text[2],
            text[3],
            orion / scan,
            orion / json,
            rival / orion
        );
        medians.insert(lane.name.to_owned(), orion);
    }
    let of = |name: &str| medians.get(&format!("Polymarket, {name}")).copied();
    if let (Some(few), Some(many), Some(skewed)) =
        (of("10 pairs, Uniform"), of("10000 pairs, Uniform"), of("10000 pairs, Zipf"))
    {
        println!("\norion, 10 → 10,000 pairs: × {:.2} uniform, × {:.2} Zipf", many / few, skewed / few);
    }
}

impl Lane<'_> {
    fn shift(&mut self, blocks: &mut [Block; SHIFT], copy: &mut Vec<u8>, at: usize) {
        for block in &mut *blocks {
            self.over |= self.over || !self.stream.next(block);
        }
        if self.over {
            return;
        }
        for turn in 0..4 {
            let which = (turn + at) % 4;
            for (nth, block) in blocks.iter().enumerate() {
                match which {
                    2 => self.orion.set(block),
                    3 => self.rival.set(block),
                    _ => {}
                }
                copy.clear();
                copy.extend_from_slice(&block.bytes);
                let began = Instant::now();
                match which {
                    0 => block.messages.iter().for_each(|m| {
                        black_box(memchr::memchr_iter(b'"', &copy[m.bytes.clone()]).count());
                    }),
                    1 => block.messages.iter().for_each(|m| self.json.message(&mut copy[m.bytes.clone()])),
                    2 => block.messages.iter().for_each(|m| self.orion.message(&mut copy[m.bytes.clone()], m.at)),
                    _ => block.messages.iter().for_each(|m| {
                        black_box(self.rival.message(&copy[m.bytes.clone()]));
                    }),
                }
                let spent = began.elapsed().as_nanos() as f64;
                // The first message of a stream may hold every book; it is no tick.
                if 0 < at && WARM <= nth && block.messages.len() == BLOCK {
                    self.times[which].push(spent / BLOCK as f64);
                    if which == 0 {
                        self.bytes.0 += block.bytes.len() as u64;
                        self.bytes.1 += BLOCK as u64;
                    }
                }
            }
        }
    }
}

/// One way alone over a generated stream, for a tool that counts instructions. `none` makes the stream and copies it.
fn alone(name: &str, pairs: usize, messages: usize) {
    let mut stream = Generated::new(pairs, Spread::Uniform);
    let (mut orion, mut rival, mut json) = (Orion::new(&stream), Rival::new(&stream), Json::new());
    let (mut block, mut copy) = (Block::default(), Vec::new());
    for _ in 0..=messages.div_ceil(BLOCK) {
        stream.next(&mut block);
        orion.set(&block);
        rival.set(&block);
        copy.clear();
        copy.extend_from_slice(&block.bytes);
        for message in &block.messages {
            let bytes = &mut copy[message.bytes.clone()];
            match name {
                "none" => {}
                "scan" => _ = black_box(memchr::memchr_iter(b'"', bytes).count()),
                "simd-json" => json.message(bytes),
                "orion" => orion.message(bytes, message.at),
                "rival" => _ = black_box(rival.message(bytes)),
                other => panic!("{other}: none, scan, simd-json, orion or rival"),
            }
        }
    }
}
