//! `orion record`: raw frames of both venues, byte for byte, compressed and rotated.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use crossbeam::channel::bounded;

use super::{
    Done, Fault, Global, Signals,
    host::attend,
    logging,
    passphrase::{self, KeyArgs},
    settings, span,
};
use crate::{
    lab::recording::{Market, Writer},
    pairing::PairBook,
    run::{
        boot::{Endpoints, Engine, Start},
        catalogue::{self, Listing},
        feed::Recorded,
        mode::Mode,
        sign::{self, Keys},
    },
};

#[derive(Args, Debug)]
pub struct RecordArgs {
    /// The folder for the recordings; made if missing.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Begin a new file after this many megabytes of frames (1 to 100000).
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rotate_mb: u64,
    /// End after this long: 90s, 10m, 1h30m.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    duration: Option<Duration>,
    /// Record the exchanges that `orion sim --dir FOLDER` serves, instead of the venues.
    #[arg(long, value_name = "FOLDER")]
    sim: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
}

/// Frames that may wait for the disk.
const WAITING_MAX: usize = 65_536;

pub fn run(global: &Global, args: &RecordArgs) -> Done {
    let no_trades = vec![("trading.auto_execute".into(), "false".into(), "record".into())];
    let loaded = settings(global, no_trades)?;
    logging(loaded.config.log.level, true);
    let signals = Signals::install()?;
    let config = &loaded.config;
    let states = config.engine.state_dir.clone();
    let (endpoints, pairs, listed, signing) = if let Some(folder) = &args.sim {
        let site = super::sim::attach(folder)?;
        (site.endpoints, site.pairs, site.listed, sign::start(Keys::Made { kalshi: site.signer, polymarket: None })?)
    } else {
        let pairs = PairBook::load(&config.pairs.file).map_err(|e| Fault::Config(e.to_string()))?;
        let signing = passphrase::signing(config, args.keys)?;
        let endpoints = Endpoints::production();
        let listed = catalogue::read(&endpoints, &pairs)?;
        (endpoints, pairs, listed, signing)
    };
    if pairs.pairs().is_empty() {
        return Err(Fault::Config(format!(
            "{} approves no pair, so there is nothing to record",
            config.pairs.file.display()
        )));
    }
    if signing.is_none() {
        eprintln!("note: no Kalshi key, so only Polymarket's frames are recorded (orion secrets import)");
    }
    let mut writer = Writer::new(&args.out, args.rotate_mb * 1_000_000, markets(&listed))?;
    let (frames_in, frames) = bounded::<Recorded>(WAITING_MAX);
    let disk = std::thread::Builder::new().name("record".into()).spawn(move || -> anyhow::Result<(u64, u32)> {
        while let Ok(frame) = frames.recv() {
            writer.write(frame.at, frame.venue, frame.conn, &frame.bytes)?;
        }
        writer.finish()?;
        Ok(writer.totals())
    });
    let disk = disk.map_err(anyhow::Error::from)?;
    let start =
        Start { signing, record: Some(frames_in), ..Start::new(Mode::Record, loaded, endpoints, pairs, listed) };
    let engine = Engine::start(start)?;
    let snapshot = engine.snapshot.clone();
    let clean = attend(engine, Mode::Record, &states, &signals, args.duration, |_| {
        anyhow::ensure!(!disk.is_finished(), "the recording cannot go on: its disk thread ended");
        Ok(())
    });
    let (frames, files) = disk.join().map_err(|_| anyhow::anyhow!("the disk thread panicked"))??;
    let lost: u64 = snapshot.lock().map_or(0, |s| s.feeds.iter().map(|f| f.unrecorded).sum());
    say!("{frames} frames in {files} files below {}; {lost} lost to a slow disk", args.out.display());
    say!("next: orion replay {}/*.jsonl.gz", args.out.display());
    if clean? { Ok(()) } else { Err(Fault::Failed(anyhow::anyhow!("a thread of the engine ended before its time"))) }
}

/// What a replay must know of the markets beside their frames.
fn markets(listed: &Listing) -> Vec<Market> {
    let mut markets: Vec<_> = listed
        .iter()
        .map(|((venue, name), listing)| Market {
            venue: venue.name().into(),
            name: name.clone(),
            tokens: listing.tokens.clone(),
            min_order_size: listing.hashed.as_ref().map_or(String::new(), |h| h.min_order_size.clone()),
            tick: listing.hashed.as_ref().map_or(0, |h| h.tick),
            neg_risk: listing.hashed.as_ref().is_some_and(|h| h.neg_risk),
            v2: listing.hashed.as_ref().is_some_and(|h| h.v2),
        })
        .collect();
    markets.sort_by(|a, b| (&a.venue, &a.name).cmp(&(&b.venue, &b.name)));
    markets
}
