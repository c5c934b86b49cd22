//! The journal's files: `000001.orj`, `000002.orj` … in one folder, each laid out with zeros before its first record.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::journal::{self, Damage, Journal, Record, Store, Unwritten};

/// A segment's size: a hundred thousand records or so.
pub const SEGMENT_LEN: usize = 16 * 1024 * 1024;

/// One laid-out file.
#[derive(Debug)]
pub struct Segment {
    file: File,
    size: usize,
}

impl Segment {
    /// Makes a file of zeros, readable by its owner alone, that is on the medium before it is used.
    pub fn create(path: &Path, size: usize) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let zeros = vec![0; 64 * 1024];
        let mut left = size;
        while 0 < left {
            let part = left.min(zeros.len());
            file.write_all(&zeros[..part])?;
            left -= part;
        }
        file.sync_all()?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { file, size })
    }

    /// Opens a file that was made before.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        Ok(Self { file, size })
    }

    /// Another handle on the same file, for the thread that syncs it.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

impl Store for Segment {
    fn size(&self) -> usize {
        self.size
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.size);
        self.file.rewind()?;
        self.file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at as u64)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// The path of a segment.
pub fn path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:06}.orj"))
}

/// The numbers of the segments in a folder, ascending.
pub fn list(folder: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number: Option<u32> =
            name.to_str().and_then(|name| name.strip_suffix(".orj")).and_then(|name| name.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A journal that is open for writing, and what it holds.
pub struct Opened {
    pub journal: Journal<Segment>,
    pub records: Vec<(u64, Record)>,
    /// Bytes of a torn record that were cut off.
    pub torn: usize,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("the journal's folder {folder}: {error}")]
    Folder { folder: PathBuf, error: io::Error },
    #[error(transparent)]
    Damage(#[from] Damage),
    #[error(transparent)]
    Unwritten(#[from] Unwritten),
}

/// Reads every segment of a folder, oldest first, and changes nothing: an engine may be writing it. Also gives the
/// bytes of a last record that is torn, or being written.
pub fn read(folder: &Path) -> Result<(Vec<(u64, Record)>, usize), Unusable> {
    let (records, last) = read_all(folder)?;
    Ok((records, last.map_or(0, |(_, replayed)| replayed.torn)))
}

/// Opens the journal of a folder, or begins one. Everything it holds is read and checked.
pub fn open(folder: &Path) -> Result<Opened, Unusable> {
    let place = |error| Unusable::Folder { folder: folder.to_owned(), error };
    fs::create_dir_all(folder).map_err(place)?;
    let (records, last) = read_all(folder)?;
    let used = last.as_ref().map_or(0, |(segment, _)| *segment);
    for segment in list(folder).map_err(place)?.into_iter().filter(|segment| used < *segment) {
        fs::remove_file(path(folder, segment)).map_err(place)?;
    }
    let next = records.last().map_or(1, |(sequence, _)| sequence + 1);
    let (journal, torn) = if let Some((segment, replayed)) = last {
        let store = Segment::open(&path(folder, segment)).map_err(place)?;
        (Journal::resume(store, segment, &replayed, next)?, replayed.torn)
    } else {
        let store = Segment::create(&path(folder, 1), SEGMENT_LEN).map_err(place)?;
        (Journal::create(store, 1, next)?, 0)
    };
    Ok(Opened { journal, records, torn })
}

/// A journal begun anew with what a damaged one still tells.
pub struct Salvaged {
    pub opened: Opened,
    /// Where the damaged one lies now.
    pub aside: PathBuf,
}

/// Sets a damaged journal aside and begins one with every record before the damage. What came after it is lost: both
/// venues have to be asked what is held.
pub fn salvage(folder: &Path) -> Result<Salvaged, Unusable> {
    let place = |error| Unusable::Folder { folder: folder.to_owned(), error };
    let mut records: Vec<(u64, Record)> = Vec::new();
    for segment in list(folder).map_err(place)? {
        let bytes = Segment::open(&path(folder, segment)).and_then(|mut store| store.read()).map_err(place)?;
        let first = records.last().map(|(sequence, _)| sequence + 1);
        match journal::replay(&bytes, segment, first) {
            Ok(mut replayed) if replayed.torn == 0 => records.append(&mut replayed.records),
            Ok(mut replayed) => {
                records.append(&mut replayed.records);
                break;
            }
            Err(_) => {
                let sound = journal::salvage(&bytes).into_iter();
                let next = first.unwrap_or(0);
                let in_order = |at: usize, sequence: u64| first.is_none() || sequence == next + at as u64;
                let fits = sound.enumerate().take_while(|(at, (sequence, _))| in_order(*at, *sequence));
                records.extend(fits.map(|(_, record)| record));
                break;
            }
        }
    }
    let mut number = 1;
    let aside = loop {
        let aside = folder.with_extension(format!("damaged-{number}"));
        if !aside.exists() {
            break aside;
        }
        number += 1;
    };
    fs::rename(folder, &aside).map_err(place)?;
    let mut opened = open(folder)?;
    for (_, record) in &records {
        if opened.journal.room() < 1_024 {
            let store = Segment::create(&path(folder, opened.journal.segment() + 1), SEGMENT_LEN).map_err(place)?;
            opened.journal.rotate(store)?;
        }
        let sequence = opened.journal.append(record)?;
        opened.records.push((sequence, record.clone()));
    }
    opened.journal.sync()?;
    Ok(Salvaged { opened, aside })
}

/// A journal as it was at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Copied {
    pub records: u64,
    /// The number of the last one; 0 where there is none.
    pub last: u64,
}

/// How often a copy is begun anew: a record that is written while its bytes are read looks like damage.
const COPY_TRIES: u32 = 5;

/// Copies a journal into a folder of its own, up to its last whole record, and reads the copy. The engine may be writing:
/// what it writes meanwhile may be in the copy or not.
pub fn copy(folder: &Path, to: &Path) -> Result<Copied, Unusable> {
    let place = |error| Unusable::Folder { folder: to.to_owned(), error };
    let mut tries = 1;
    loop {
        fs::create_dir_all(to).map_err(place)?;
        match copy_once(folder, to) {
            Err(Unusable::Damage(_)) if tries < COPY_TRIES => {
                tries += 1;
                fs::remove_dir_all(to).map_err(place)?;
            }
            done => break done?,
        }
    }
    let (records, torn) = read(to)?;
    assert!(torn == 0, "the torn tail was not copied");
    Ok(Copied { records: records.len() as u64, last: records.last().map_or(0, |(sequence, _)| *sequence) })
}

fn copy_once(folder: &Path, to: &Path) -> Result<(), Unusable> {
    let place = |error| Unusable::Folder { folder: folder.to_owned(), error };
    let mut first = None;
    for segment in list(folder).map_err(place)? {
        let io = |error| Damage::Io { segment, error };
        let mut bytes = Segment::open(&path(folder, segment)).and_then(|mut store| store.read()).map_err(io)?;
        if journal::is_unused(&bytes) {
            break;
        }
        let replayed = journal::replay(&bytes, segment, first)?;
        first = replayed.records.last().map(|(sequence, _)| sequence + 1).or(first);
        bytes[replayed.end..].fill(0);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path(to, segment)).map_err(io)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)?;
    }
    Ok(())
}

type ReadAll = (Vec<(u64, Record)>, Option<(u32, journal::Replayed)>);

fn read_all(folder: &Path) -> Result<ReadAll, Unusable> {
    let place = |error| Unusable::Folder { folder: folder.to_owned(), error };
    let (mut records, mut last) = (Vec::new(), None);
    let numbers = list(folder).map_err(place)?;
    for (at, segment) in numbers.iter().copied().enumerate() {
        let io = |error| Damage::Io { segment, error };
        let bytes = Segment::open(&path(folder, segment)).and_then(|mut store| store.read()).map_err(io)?;
        if journal::is_unused(&bytes) {
            // Laid out for a rotation that has not come to its first record; by starts that got no further, more than
            // once.
            for later in numbers[at + 1..].iter().copied() {
                let io = |error| Damage::Io { segment: later, error };
                let bytes = Segment::open(&path(folder, later)).and_then(|mut store| store.read()).map_err(io)?;
                if !journal::is_unused(&bytes) {
                    return Err(Damage::NotAJournal { segment }.into());
                }
            }
            break;
        }
        if let Some((before, _)) = last
            && before + 1 != segment
        {
            return Err(Damage::Order { segment, expected: before + 1 }.into());
        }
        let first = records.last().map(|(sequence, _)| sequence + 1);
        let mut replayed = journal::replay(&bytes, segment, first)?;
        if 0 < replayed.torn && at + 1 < numbers.len() {
            return Err(Damage::Record { segment, at: bytes.len() }.into());
        }
        records.append(&mut replayed.records);
        last = Some((segment, replayed));
    }
    Ok((records, last))
}
