//! Recordings: what came off each socket, byte for byte, with local time. One JSON object a line, gzip, rotated.
//!
//! Beside its own form this reads the two others in which recordings of these venues circulate: an envelope around a
//! frame object (`{"recv_ns":…,"conn":…,"frame":{…}}`) and one around its text (`{"receivedAt":…,"payloadUtf8":"…"}`,
//! `{"t":…,"dir":"recv","data":"…"}`).

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    unit::{Nanos, UnixMs, Venue},
    wire::Arrival,
};

/// One message as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub at: Arrival,
    /// `None` in foreign recordings, which hold one venue each.
    pub venue: Option<Venue>,
    pub conn: u32,
    pub bytes: Vec<u8>,
}

/// What a recording says of a market, so that a replay needs no catalogue.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Market {
    pub venue: String,
    /// Ticker or condition id.
    pub name: String,
    /// Polymarket's tokens by outcome.
    pub tokens: [String; 2],
    /// As Polymarket's checksum spells it; empty where unknown.
    pub min_order_size: String,
    /// Polymarket's tick in ten-thousandths at the start.
    pub tick: u16,
    pub neg_risk: bool,
    pub v2: bool,
}

/// The first line of each file.
#[derive(Deserialize, Serialize)]
struct Head {
    orion: String,
    markets: Vec<Market>,
}

/// A line of our own form.
#[derive(Deserialize, Serialize)]
struct Own<'a> {
    ns: u64,
    unix_ms: u64,
    venue: &'a str,
    conn: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Only where the bytes are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Deserialize)]
struct Line<'a> {
    ns: Option<u64>,
    unix_ms: Option<u64>,
    venue: Option<&'a str>,
    text: Option<String>,
    base64: Option<String>,
    recv_ns: Option<u64>,
    recv_ms: Option<u64>,
    conn: Option<u32>,
    #[serde(borrow)]
    frame: Option<&'a RawValue>,
    #[serde(rename = "receivedAt")]
    received_at: Option<&'a str>,
    #[serde(rename = "payloadUtf8")]
    payload: Option<String>,
    t: Option<&'a str>,
    dir: Option<&'a str>,
    data: Option<String>,
}

/// Reads a recording line by line.
pub struct Reader {
    lines: io::Lines<Box<dyn BufRead>>,
    path: PathBuf,
    line: u64,
    /// From the file's first line, if it is one of ours.
    pub markets: Vec<Market>,
}

impl Reader {
    /// Opens a recording, compressed or not by its first bytes.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut file = BufReader::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?);
        let zipped = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn BufRead> =
            if zipped { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };
        Ok(Self { lines: reader.lines(), path: path.to_owned(), line: 0, markets: Vec::new() })
    }

    /// The next line: its number and its frame, `None` for a line that is not a received frame.
    pub fn next_line(&mut self) -> anyhow::Result<Option<(u64, Option<Frame>)>> {
        let Some(text) = self.lines.next() else { return Ok(None) };
        self.line += 1;
        let at = || format!("{} line {}", self.path.display(), self.line);
        let text = text.with_context(|| format!("{}: the file is cut or damaged here", at()))?;
        if text.trim().is_empty() {
            return Ok(Some((self.line, None)));
        }
        if self.line == 1
            && let Ok(head) = serde_json::from_str::<Head>(&text)
        {
            self.markets = head.markets;
            return Ok(Some((self.line, None)));
        }
        let frame = read_line(&text).with_context(|| format!("{}: not a recorded frame", at()))?;
        Ok(Some((self.line, frame)))
    }
}

fn read_line(text: &str) -> anyhow::Result<Option<Frame>> {
    let line: Line<'_> = serde_json::from_str(text)?;
    let stamp = |iso: &str| -> anyhow::Result<u64> { Ok(iso.parse::<jiff::Timestamp>()?.as_nanosecond() as u64) };
    let venue = match line.venue {
        None => None,
        Some("kalshi") => Some(Venue::Kalshi),
        Some("polymarket") => Some(Venue::Polymarket),
        Some(other) => anyhow::bail!("unknown venue `{other}`; known are kalshi and polymarket"),
    };
    let unix_ns = match (line.recv_ns, line.recv_ms, line.received_at.or(line.t)) {
        (Some(ns), _, _) => ns,
        (_, Some(ms), _) => ms * 1_000_000,
        (_, _, Some(iso)) => stamp(iso)?,
        _ => line.unix_ms.unwrap_or(0) * 1_000_000,
    };
    if line.dir.is_some_and(|dir| dir != "recv") {
        return Ok(None);
    }
    let bytes = if let Some(frame) = line.frame {
        frame.get().as_bytes().to_vec()
    } else if let Some(text) = line.text.or(line.payload).or(line.data) {
        text.into_bytes()
    } else if let Some(coded) = line.base64 {
        STANDARD.decode(coded)?
    } else {
        return Ok(None);
    };
    let now = Nanos::new(line.ns.unwrap_or(unix_ns));
    let at = Arrival { now, unix: UnixMs::new(unix_ns / 1_000_000) };
    Ok(Some(Frame { at, venue, conn: line.conn.unwrap_or(1), bytes }))
}

/// Writes recordings: `orion-<first unix ms>.jsonl.gz`, a new file once one has taken `rotate_bytes` of frames.
pub struct Writer {
    folder: PathBuf,
    rotate_bytes: u64,
    markets: Vec<Market>,
    file: Option<GzEncoder<File>>,
    written: u64,
    frames: u64,
    files: u32,
}

impl Writer {
    /// Makes the folder if it is missing.
    pub fn new(folder: &Path, rotate_bytes: u64, markets: Vec<Market>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), rotate_bytes, markets, file: None, written: 0, frames: 0, files: 0 })
    }

    /// Appends a frame.
    pub fn write(&mut self, at: Arrival, venue: Venue, conn: u32, bytes: &[u8]) -> anyhow::Result<()> {
        if self.file.is_none() || self.rotate_bytes <= self.written {
            self.finish()?;
            let path = self.folder.join(format!("orion-{}-{:03}.jsonl.gz", at.unix.raw(), self.files));
            let file = File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
            let mut file = GzEncoder::new(file, Compression::fast());
            let head = Head { orion: env!("CARGO_PKG_VERSION").into(), markets: self.markets.clone() };
            serde_json::to_writer(&mut file, &head)?;
            file.write_all(b"\n")?;
            self.file = Some(file);
            self.files += 1;
            self.written = 0;
        }
        let (text, base64) = match std::str::from_utf8(bytes) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(STANDARD.encode(bytes))),
        };
        let own = Own { ns: at.now.raw(), unix_ms: at.unix.raw(), venue: venue.name(), conn, text, base64 };
        let mut line = serde_json::to_vec(&own)?;
        line.push(b'\n');
        if let Some(file) = &mut self.file {
            file.write_all(&line).context("the recording cannot be written (is the disk full?)")?;
        }
        self.written += line.len() as u64;
        self.frames += 1;
        Ok(())
    }

    /// Completes the file; without this its last block is lost.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(file) = self.file.take() {
            file.finish()?.sync_all()?;
        }
        Ok(())
    }

    /// Frames and files written.
    pub fn totals(&self) -> (u64, u32) {
        (self.frames, self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_back_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer =
            Writer::new(folder.path(), 150, vec![Market { name: "T".into(), ..Market::default() }]).unwrap();
        let at = |n: u64| Arrival { now: Nanos::new(n), unix: UnixMs::new(1_790_000_000_000 + n) };
        let frames: [(Venue, &[u8]); 3] =
            [(Venue::Kalshi, b"{\"type\":\"ok\"}\n"), (Venue::Polymarket, b"PONG"), (Venue::Kalshi, b"\xff\x00{")];
        for (n, (venue, bytes)) in frames.iter().enumerate() {
            writer.write(at(n as u64), *venue, 7, bytes).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(writer.totals(), (3, 2), "rotated once");
        let mut read = Vec::new();
        let mut paths: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let mut reader = Reader::open(&path).unwrap();
            while let Some((_, frame)) = reader.next_line().unwrap() {
                read.extend(frame);
            }
            assert_eq!(reader.markets[0].name, "T");
        }
        let wanted = frames.iter().enumerate().map(|(n, (venue, bytes))| Frame {
            at: at(n as u64),
            venue: Some(*venue),
            conn: 7,
            bytes: bytes.to_vec(),
        });
        assert_eq!(read, wanted.collect::<Vec<_>>());
    }
}
