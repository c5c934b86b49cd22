//! Append-only records with checksums, written before the act they describe: the truth that a restart begins from.
//!
//! A journal is a row of segments, files of one size that are written with zeros beforehand, so that appending needs no
//! space and no new block. A segment is a header and records:
//!
//! ```text
//! header  "ORIONJ" · version u16 · segment u32 · first sequence u64 · crc32 of those u32      (24 bytes)
//! record  length u16 · sequence u64 · postcard bytes of a Record · crc32 of all before u32
//! ```
//!
//! all little-endian. A record that is not whole can only be the last one: the power went while it was written, and it
//! is cut off. A damaged record with a sound one behind it is damage; such a journal is refused, because what it lacks
//! might be an order.
//!
//! `append` survives the death of the process; [`Journal::sync`] makes it survive the host's.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::{
    order::{Ask, plan::Ending},
    unit::{MarketId, Money, OrderId, Outcome, PairId, Price, Qty, Tag, Told, UnixMs, Venue},
};

const MAGIC: [u8; 6] = *b"ORIONJ";
/// The version this build writes, and the only one it reads.
pub const VERSION: u16 = 1;
const HEADER_LEN: usize = 24;
/// Length, sequence and checksum around a record's bytes.
const FRAME_LEN: usize = 2 + 8 + 4;
/// The longest record.
const RECORD_MAX: usize = 512;
/// The most bytes of a venue's words in one record.
pub const WORDS_MAX: usize = 400;
/// Records that are written in one piece: a plan and its two orders.
const TOGETHER_MAX: usize = 3;
/// Room that entries leave for hedges, cancels and what is learnt of them.
pub const RESERVE: usize = 64 * 1024;

/// One thing that is to happen, or has happened.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Record {
    /// An engine started. Everything before the last of these belongs to earlier epochs.
    Opened { epoch: u32, at: UnixMs },
    /// In this epoch, this slot is that market.
    Market { id: MarketId, venue: Venue, name: Tag },
    /// With this much an account began the epoch.
    Cash { venue: Venue, shard: u8, amount: Money },
    /// A plan is about to send its first order.
    Planned { plan: u64, sighting: u64, pair: PairId, markets: [MarketId; 2], wanted: [Outcome; 2], qty: Qty },
    /// An order is about to be sent. `digest` is Polymarket's order id.
    Intended { plan: u64, ask: Ask, digest: Option<[u8; 32]>, at: UnixMs },
    /// Something was learnt of an order.
    Told { order: OrderId, told: Told, at: UnixMs },
    /// A plan is over.
    Ended { plan: u64, ending: Ending },
    /// A market paid: this much arrived for what was held.
    Paid { market: MarketId, yes_payout: Money, held: [Qty; 2], paid: Money },
    /// So many YES and NO of a market on Polymarket are about to be put together: a dollar each comes back.
    Merging { market: MarketId, qty: Qty, at: UnixMs },
    /// They were, as the wallet shows; or the transaction is dead and the wallet shows them all.
    Merged { market: MarketId, done: bool, at: UnixMs },
    /// On a person's word the venue's holding was taken for ours: what is held of the market now, and what that counts
    /// as having cost.
    Adopted { market: MarketId, held: [Qty; 2], cost: [Money; 2], at: UnixMs },
    /// An order is signed and may be sent later: a buy on Polymarket. Its `Intended` need not be on the medium when it
    /// is.
    Ticket { order: OrderId, market: MarketId, outcome: Outcome, qty: Qty, limit: Price, digest: [u8; 32], at: UnixMs },
    /// No ticket of an epoch below this one can still be found at the venue as an order of which nothing is on record.
    Cleared { below: u32 },
    /// A venue answered an order with what is on no list: its status and words as they came, secrets cut. What is longer
    /// than [`WORDS_MAX`] bytes goes on in the next record.
    Said { order: OrderId, status: u16, words: String, at: UnixMs },
}

/// Where a segment's bytes lie. A file outside of tests; in them, memory that forgets what was not synced.
pub trait Store {
    /// The size it was laid out with.
    fn size(&self) -> usize;
    /// All of its bytes.
    fn read(&mut self) -> io::Result<Vec<u8>>;
    /// Overwrites bytes at an offset, within its size.
    fn write(&mut self, at: usize, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything written is on the medium.
    fn sync(&mut self) -> io::Result<()>;
}

/// Memory, for those who keep nothing: replay, benches, tests.
#[derive(Debug)]
pub struct Scratch(Vec<u8>);

impl Scratch {
    /// This many bytes.
    pub fn new(size: usize) -> Self {
        Self(vec![0; size])
    }

    /// What was written so far, as a process that is killed leaves it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Store for Scratch {
    fn size(&self) -> usize {
        self.0.len()
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.0.clone())
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("{segment}: not a journal segment")]
    NotAJournal { segment: u32 },
    #[error("{segment}: version {found}; this build reads version {VERSION} only")]
    Version { segment: u32, found: u16 },
    #[error("{segment}: its header is damaged")]
    Header { segment: u32 },
    #[error("{segment}: segment {expected} was expected here")]
    Order { segment: u32, expected: u32 },
    #[error("{segment}: damaged at byte {at}, with sound records behind it")]
    Record { segment: u32, at: usize },
    #[error("{segment}: record {found} follows record {last}")]
    Sequence { segment: u32, last: u64, found: u64 },
    #[error("{segment}: record {sequence} is sound, but this build does not know it")]
    Unfamiliar { segment: u32, sequence: u64 },
    #[error("{segment}: {error}")]
    Io { segment: u32, error: io::Error },
}

/// Why a record was not written. Nothing new may be sent afterwards.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    #[error("the journal's segment is full and its successor is not ready")]
    Full,
    #[error("a write or sync of the journal failed before: restart the engine")]
    Failed,
    #[error("the journal could not be written: {0}")]
    Io(#[from] io::Error),
}

/// What a segment holds.
#[derive(Debug, Default)]
pub struct Replayed {
    /// With their sequence numbers, oldest first.
    pub records: Vec<(u64, Record)>,
    /// Bytes of a torn record that were cut off at the end.
    pub torn: usize,
    /// Where the next record goes.
    pub(super) end: usize,
}

/// The segment that is being written.
pub struct Journal<S> {
    store: S,
    /// The segment before, while not all of it is on the medium.
    before: Option<S>,
    segment: u32,
    end: usize,
    /// The next record's number.
    sequence: u64,
    /// Records below this number are on the medium.
    synced: u64,
    failed: bool,
}

impl<S> fmt::Debug for Journal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("segment", &self.segment).field("end", &self.end).finish_non_exhaustive()
    }
}

impl<S: Store> Journal<S> {
    /// Begins a segment whose first record has this number. The store is all zeros.
    pub fn create(mut store: S, segment: u32, sequence: u64) -> Result<Self, Unwritten> {
        begin(&mut store, segment, sequence)?;
        store.sync()?;
        let end = HEADER_LEN;
        Ok(Self { store, before: None, segment, end, sequence, synced: sequence, failed: false })
    }

    /// Goes on with a segment that was read before. The torn tail, if any, is overwritten with zeros first.
    pub fn resume(mut store: S, segment: u32, replayed: &Replayed, next: u64) -> Result<Self, Unwritten> {
        if 0 < replayed.torn {
            store.write(replayed.end, &vec![0; replayed.torn])?;
            store.sync()?;
        }
        let end = replayed.end;
        Ok(Self { store, before: None, segment, end, sequence: next, synced: next, failed: false })
    }

    /// Writes a record. It survives the process from the moment this returns.
    pub fn append(&mut self, record: &Record) -> Result<u64, Unwritten> {
        self.append_all(std::slice::from_ref(record))
    }

    /// Writes records that belong together, in one piece: whoever syncs meanwhile puts all of them on the medium, or
    /// none. Gives the first one's number.
    pub fn append_all(&mut self, records: &[Record]) -> Result<u64, Unwritten> {
        assert!(records.len() <= TOGETHER_MAX, "what is written together fits its buffer");
        if self.failed {
            return Err(Unwritten::Failed);
        }
        let mut bytes = [0; TOGETHER_MAX * (RECORD_MAX + FRAME_LEN)];
        let mut len = 0;
        for (record, sequence) in records.iter().zip(self.sequence..) {
            len += frame_of(record, sequence, &mut bytes[len..]);
        }
        if self.store.size() < self.end + len {
            return Err(Unwritten::Full);
        }
        if let Err(error) = self.store.write(self.end, &bytes[..len]) {
            self.failed = true;
            return Err(error.into());
        }
        let first = self.sequence;
        self.end += len;
        self.sequence += records.len() as u64;
        Ok(first)
    }

    /// Puts everything written on the medium. After a failure nothing more is written, and no second sync is believed.
    pub fn sync(&mut self) -> Result<(), Unwritten> {
        if self.failed {
            return Err(Unwritten::Failed);
        }
        if self.synced < self.sequence {
            let before = self.before.as_mut().map_or(Ok(()), Store::sync);
            if let Err(error) = before.and_then(|()| self.store.sync()) {
                self.failed = true;
                return Err(error.into());
            }
            self.before = None;
            self.synced = self.sequence;
        }
        Ok(())
    }

    /// Somebody else has put the records below this number on the medium.
    pub fn note_synced(&mut self, upto: u64) {
        self.synced = self.synced.max(upto.min(self.sequence));
        if self.synced == self.sequence {
            self.before = None;
        }
    }

    /// Records below this number are on the medium.
    pub const fn synced(&self) -> u64 {
        self.synced
    }

    /// Goes on in the next segment. Nothing is synced here: the next [`Journal::sync`] puts both segments on the
    /// medium, the older one first, unless somebody else has done so.
    pub fn rotate(&mut self, mut store: S) -> Result<(), Unwritten> {
        if self.failed {
            return Err(Unwritten::Failed);
        }
        if let Err(error) = begin(&mut store, self.segment + 1, self.sequence) {
            self.failed = true;
            return Err(error.into());
        }
        if self.before.is_some() {
            // Two segments written within one sync: it is time for one.
            self.sync()?;
        }
        let left = std::mem::replace(&mut self.store, store);
        self.before = (self.synced < self.sequence).then_some(left);
        (self.segment, self.end) = (self.segment + 1, HEADER_LEN);
        Ok(())
    }

    /// Bytes left in this segment.
    pub fn room(&self) -> usize {
        self.store.size() - self.end
    }

    /// May entries still be written? Below this only hedges, cancels and reports are.
    pub fn has_room_for_entries(&self) -> bool {
        !self.failed && RESERVE <= self.room()
    }

    /// The next record's number.
    pub fn next_sequence(&self) -> u64 {
        self.sequence
    }

    /// Where it lies.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The segment's number.
    pub fn segment(&self) -> u32 {
        self.segment
    }
}

/// Writes the header of a segment whose first record has this number.
fn begin(store: &mut impl Store, segment: u32, sequence: u64) -> io::Result<()> {
    let mut header = [0; HEADER_LEN];
    header[..6].copy_from_slice(&MAGIC);
    header[6..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..12].copy_from_slice(&segment.to_le_bytes());
    header[12..20].copy_from_slice(&sequence.to_le_bytes());
    let crc = crc32fast::hash(&header[..20]);
    header[20..].copy_from_slice(&crc.to_le_bytes());
    store.write(0, &header)
}

/// Was this segment laid out, but never used? Its header may be torn.
pub fn is_unused(bytes: &[u8]) -> bool {
    let (header, rest) = bytes.split_at(bytes.len().min(HEADER_LEN));
    let whole = header.len() == HEADER_LEN && crc32fast::hash(&header[..20]).to_le_bytes() == header[20..];
    !whole && rest.iter().all(|byte| *byte == 0)
}

/// Writes a record with its number and checksum to the start of `bytes`; gives its length.
fn frame_of(record: &Record, sequence: u64, bytes: &mut [u8]) -> usize {
    let body = postcard::to_slice(record, &mut bytes[10..10 + RECORD_MAX]).expect("a record fits its buffer").len();
    bytes[..2].copy_from_slice(&(body as u16).to_le_bytes());
    bytes[2..10].copy_from_slice(&sequence.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..10 + body]);
    bytes[10 + body..FRAME_LEN + body].copy_from_slice(&crc.to_le_bytes());
    // What is read back must be what was meant; a record that cannot be read is worse than none.
    assert_eq!(postcard::from_bytes::<Record>(&bytes[10..10 + body]).as_ref(), Ok(record), "a record reads back");
    FRAME_LEN + body
}

/// Reads one segment: its first record is to have the number `first`, where that is known.
pub fn replay(bytes: &[u8], segment: u32, first: Option<u64>) -> Result<Replayed, Damage> {
    let header = bytes.get(..HEADER_LEN).ok_or(Damage::NotAJournal { segment })?;
    if header[..6] != MAGIC {
        return Err(Damage::NotAJournal { segment });
    }
    if crc32fast::hash(&header[..20]).to_le_bytes() != header[20..] {
        return Err(Damage::Header { segment });
    }
    let number =
        |range: std::ops::Range<usize>| header[range].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let version = number(6..8) as u16;
    if version != VERSION {
        return Err(Damage::Version { segment, found: version });
    }
    let found = number(8..12) as u32;
    if found != segment {
        return Err(Damage::Order { segment: found, expected: segment });
    }
    let mut next = number(12..20);
    if let Some(first) = first
        && first != next
    {
        return Err(Damage::Sequence { segment, last: first.saturating_sub(1), found: next });
    }
    let mut replayed = Replayed { end: HEADER_LEN, ..Replayed::default() };
    while let Some((sequence, body)) = frame(&bytes[replayed.end..]) {
        if sequence != next {
            return Err(Damage::Sequence { segment, last: next.saturating_sub(1), found: sequence });
        }
        let record = postcard::from_bytes(body).map_err(|_| Damage::Unfamiliar { segment, sequence })?;
        replayed.records.push((sequence, record));
        replayed.end += FRAME_LEN + body.len();
        next += 1;
    }
    let rest = &bytes[replayed.end..];
    replayed.torn = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    // Whatever lies here is not a whole record. If a whole one lies behind it, it is not the tail. A record may end in
    // zeros, so it is looked for beyond the last byte that is none.
    let behind = (1..replayed.torn).any(|at| frame(&rest[at..]).is_some_and(|(sequence, _)| next < sequence));
    if behind {
        return Err(Damage::Record { segment, at: replayed.end });
    }
    Ok(replayed)
}

/// Every record before the first that is not sound. For a segment that [`replay`] refuses.
pub fn salvage(bytes: &[u8]) -> Vec<(u64, Record)> {
    let mut records = Vec::new();
    let mut at = HEADER_LEN;
    while let Some((sequence, body)) = bytes.get(at..).and_then(frame) {
        let Ok(record) = postcard::from_bytes(body) else { break };
        records.push((sequence, record));
        at += FRAME_LEN + body.len();
    }
    records
}

/// The record at the start of `bytes`, if a whole one is there.
fn frame(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = usize::from(u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?));
    if len == 0 || RECORD_MAX < len {
        return None;
    }
    let whole = bytes.get(..FRAME_LEN + len)?;
    let (checked, crc) = whole.split_at(10 + len);
    let sequence = u64::from_le_bytes(checked[2..10].try_into().ok()?);
    (crc32fast::hash(checked).to_le_bytes() == crc).then_some((sequence, &checked[10..]))
}
