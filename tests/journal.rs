//! The journal keeps what it was told, loses at most the record that was being written, and refuses what is damaged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{cell::RefCell, fs, io, rc::Rc};

use orion::{
    ledger::{
        journal::{self, Damage, Journal, RESERVE, Record, Store, Unwritten},
        segments::{self, Unusable},
    },
    order::{Ask, Purpose, plan::Ending},
    unit::{MarketId, OrderId, Outcome, Picture, Price, Qty, Sent, Tag, Told, UnixMs, Venue},
};
use proptest::prelude::*;

/// Memory that loses, at a power cut, whatever was not synced.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Medium>>);

#[derive(Default)]
struct Medium {
    written: Vec<u8>,
    synced: Vec<u8>,
    full: bool,
}

impl Memory {
    fn new(size: usize) -> Self {
        let medium = Medium { written: vec![0; size], synced: vec![0; size], full: false };
        Self(Rc::new(RefCell::new(medium)))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.borrow().written.clone()
    }

    fn after_power_cut(&self) -> Vec<u8> {
        self.0.borrow().synced.clone()
    }
}

impl Store for Memory {
    fn size(&self) -> usize {
        self.0.borrow().written.len()
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.bytes())
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let mut medium = self.0.borrow_mut();
        if medium.full {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        medium.written[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut medium = self.0.borrow_mut();
        if medium.full {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let Medium { written, synced, .. } = &mut *medium;
        synced.clone_from(written);
        Ok(())
    }
}

fn order(sequence: u32) -> OrderId {
    OrderId::new(3, sequence).unwrap()
}

fn records(count: u32) -> Vec<Record> {
    let ask = |n| Ask {
        id: order(n),
        venue: Venue::Kalshi,
        market: MarketId(7),
        outcome: Outcome::No,
        buys: true,
        qty: Qty::whole(n + 1),
        limit: Price::new(4_700).unwrap(),
        purpose: Purpose::Entry,
    };
    let at = UnixMs::new(1_795_000_000_000);
    (0..count)
        .map(|n| match n % 4 {
            0 => Record::Intended { plan: u64::from(n), ask: ask(n), digest: Some([n as u8; 32]), at },
            1 => Record::Told { order: order(n), told: Told::Sent(Sent::Accepted(Tag::new("a-1").unwrap())), at },
            2 => {
                let told = Told::Picture(Picture { filled: Qty::whole(n), open: false });
                Record::Told { order: order(n), told, at }
            }
            _ => Record::Ended { plan: u64::from(n), ending: Ending::Filled },
        })
        .collect()
}

/// A journal with these records, and where each of them ends.
fn written(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
    let store = Memory::new(16 * 1024);
    let mut journal = Journal::create(store.clone(), 1, 1).unwrap();
    let size = store.size();
    let ends = records.iter().map(|record| {
        journal.append(record).unwrap();
        size - journal.room()
    });
    let ends = ends.collect();
    (store.bytes(), ends)
}

fn read(bytes: &[u8]) -> Result<Vec<Record>, Damage> {
    journal::replay(bytes, 1, Some(1)).map(|replayed| replayed.records.into_iter().map(|(_, r)| r).collect())
}

#[test]
fn what_was_written_is_read_back_in_order() {
    let all = records(40);
    let (bytes, _) = written(&all);
    assert_eq!(read(&bytes).unwrap(), all);
}

#[test]
fn a_journal_cut_after_any_byte_keeps_every_whole_record_and_goes_on() {
    let all = records(12);
    let (bytes, ends) = written(&all);
    for cut in 24..*ends.last().unwrap() {
        let mut torn = bytes.clone();
        torn[cut..].fill(0);
        let replayed = journal::replay(&torn, 1, Some(1)).unwrap();
        // A record whose last bytes are zeros anyway is whole without them.
        let whole = ends.iter().filter(|end| torn[..**end] == bytes[..**end]).count();
        assert_eq!(replayed.records.len(), whole, "cut at {cut}");
        let store = Memory::new(torn.len());
        store.0.borrow_mut().written.copy_from_slice(&torn);
        let mut journal = Journal::resume(store.clone(), 1, &replayed, whole as u64 + 1).unwrap();
        let last = Record::Ended { plan: 99, ending: Ending::Missed };
        journal.append(&last).unwrap();
        let after = read(&store.bytes()).unwrap();
        assert_eq!((after.len(), after.last()), (whole + 1, Some(&last)), "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_is_refused_or_costs_the_last_record_alone() {
    let all = records(8);
    let (bytes, ends) = written(&all);
    let (last, end) = (ends[ends.len() - 2], *ends.last().unwrap());
    for at in 0..end {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            match read(&flipped) {
                Err(_) if at < last => {}
                Ok(kept) if last <= at => assert_eq!(kept, all[..all.len() - 1], "byte {at}, bit {bit}"),
                other => panic!("byte {at}, bit {bit}: {other:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn bytes_that_are_no_journal_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn noise_behind_a_sound_header_is_never_a_record(noise in prop::collection::vec(any::<u8>(), 1..200)) {
        let (mut bytes, _) = written(&[]);
        bytes[24..24 + noise.len()].copy_from_slice(&noise);
        prop_assert_eq!(read(&bytes).unwrap(), vec![]);
    }
}

#[test]
fn another_version_is_refused_by_its_number() {
    let (mut bytes, _) = written(&[]);
    bytes[6] = 2;
    let crc = crc32fast::hash(&bytes[..20]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(read(&bytes), Err(Damage::Version { found: 2, .. })));
}

#[test]
fn a_power_cut_loses_what_was_not_synced_and_nothing_else() {
    let store = Memory::new(16 * 1024);
    let mut journal = Journal::create(store.clone(), 1, 1).unwrap();
    let all = records(5);
    for record in &all[..3] {
        journal.append(record).unwrap();
    }
    journal.sync().unwrap();
    for record in &all[3..] {
        journal.append(record).unwrap();
    }
    assert_eq!(read(&store.bytes()).unwrap(), all, "a killed process loses nothing");
    assert_eq!(read(&store.after_power_cut()).unwrap(), all[..3]);
}

#[test]
fn after_a_failed_write_or_sync_nothing_is_written_and_no_sync_is_believed() {
    for failing in ["write", "sync"] {
        let store = Memory::new(256 * 1024);
        let mut journal = Journal::create(store.clone(), 1, 1).unwrap();
        let record = Record::Ended { plan: 1, ending: Ending::Missed };
        journal.append(&record).unwrap();
        store.0.borrow_mut().full = true;
        match failing {
            "write" => assert!(matches!(journal.append(&record), Err(Unwritten::Io(_)))),
            _ => assert!(matches!(journal.sync(), Err(Unwritten::Io(_)))),
        }
        store.0.borrow_mut().full = false;
        assert!(matches!(journal.append(&record), Err(Unwritten::Failed)), "{failing}");
        assert!(matches!(journal.sync(), Err(Unwritten::Failed)), "{failing}");
        assert!(!journal.has_room_for_entries());
    }
}

#[test]
fn a_segment_that_fills_up_stops_entries_before_it_stops_hedges() {
    let store = Memory::new(RESERVE + 4 * 1024);
    let mut journal = Journal::create(store, 1, 1).unwrap();
    let record = Record::Ended { plan: 1, ending: Ending::Missed };
    let mut entries = 0;
    while journal.has_room_for_entries() {
        journal.append(&record).unwrap();
        entries += 1;
    }
    let mut hedges = 0;
    while journal.append(&record).is_ok() {
        hedges += 1;
    }
    assert!(100 < entries && 2_000 < hedges, "{entries} entries, {hedges} hedges");
    let next = Memory::new(RESERVE + 4 * 1024);
    journal.rotate(next.clone()).unwrap();
    let number = journal.append(&record).unwrap();
    let replayed = journal::replay(&next.bytes(), 2, Some(number)).unwrap();
    assert_eq!(replayed.records, [(number, record.clone())]);
}

#[test]
fn a_rotation_waits_for_no_medium_and_the_next_sync_reaches_both_segments() {
    let (old, new) = (Memory::new(64 * 1024), Memory::new(64 * 1024));
    let mut journal = Journal::create(old.clone(), 1, 1).unwrap();
    let record = Record::Ended { plan: 1, ending: Ending::Missed };
    journal.append(&record).unwrap();
    journal.rotate(new.clone()).unwrap();
    journal.append(&record).unwrap();
    assert_eq!(journal.synced(), 1, "neither record is on the medium");
    assert!(journal::replay(&old.after_power_cut(), 1, Some(1)).unwrap().records.is_empty());
    journal.sync().unwrap();
    for (store, segment, number) in [(&old, 1, 1), (&new, 2, 2)] {
        let replayed = journal::replay(&store.after_power_cut(), segment, Some(number)).unwrap();
        assert_eq!(replayed.records, [(number, record.clone())]);
    }
    assert_eq!(journal.synced(), 3);
}

#[test]
fn the_files_of_a_journal_are_read_as_one_and_a_missing_one_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let all = records(9);
    let mut opened = segments::open(folder.path()).unwrap();
    for (at, record) in all.iter().enumerate() {
        if at == 3 || at == 6 {
            let next = opened.journal.segment() + 1;
            let store = segments::Segment::create(&segments::path(folder.path(), next), 256 * 1024).unwrap();
            opened.journal.rotate(store).unwrap();
        }
        opened.journal.append(record).unwrap();
    }
    drop(opened);
    // A rotation that was prepared and never used.
    segments::Segment::create(&segments::path(folder.path(), 4), 256 * 1024).unwrap();
    // And another by a start that was killed while it wrote the zeros.
    fs::write(segments::path(folder.path(), 5), [0; 100]).unwrap();
    let opened = segments::open(folder.path()).unwrap();
    assert_eq!(opened.records.iter().map(|(_, r)| r.clone()).collect::<Vec<_>>(), all);
    assert_eq!((opened.journal.segment(), opened.journal.next_sequence()), (3, 10));
    fs::remove_file(segments::path(folder.path(), 2)).unwrap();
    assert!(matches!(segments::open(folder.path()), Err(Unusable::Damage(Damage::Order { segment: 3, .. }))));
}
