//! The journal's cold half: puts what was written on the medium every ten milliseconds, and lays the next segment out
//! before it is needed.

use std::{
    fs::File,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::{event::Control, ring::Stop};
use crate::{
    ledger::{
        journal::{Journal, RESERVE},
        segments::{self, SEGMENT_LEN, Segment},
    },
    risk::Latch,
};

const EVERY: Duration = Duration::from_millis(10);
/// The next segment is taken into use when this one has less room left.
const LOW: usize = 4 * RESERVE;

/// The hot half: takes the next segment when the last one is nearly full.
pub struct Spares {
    ready: Receiver<Segment>,
    used: Sender<File>,
    /// The number of the next record, for the thread that syncs those before it.
    written: Arc<AtomicU64>,
    /// Records below this number are on the medium, by the thread that syncs them.
    synced: Arc<AtomicU64>,
}

impl Spares {
    /// Tells how far the journal has come and hears how far it is synced; rotates it if it is time.
    pub fn rotate(&mut self, journal: &mut Journal<Segment>) {
        self.written.store(journal.next_sequence(), Ordering::Release);
        journal.note_synced(self.synced.load(Ordering::Acquire));
        // Best at a moment when all of the old segment is on the medium: then a power cut cannot take its end and leave
        // the beginning of the next.
        let behind = journal.synced() < journal.next_sequence() && LOW / 2 <= journal.room();
        if LOW <= journal.room() || behind {
            return;
        }
        let Ok(segment) = self.ready.try_recv() else { return };
        let handle = segment.handle();
        // A journal that cannot go on refuses the next record, and the latch falls. One whose new file nobody syncs
        // must not pass for synced.
        if journal.rotate(segment).is_ok() && !handle.is_ok_and(|handle| self.used.try_send(handle).is_ok()) {
            self.synced = Arc::default();
        }
    }
}

/// Starts the thread that syncs `journal`, whose segments lie in `folder`.
pub fn start(
    journal: &Journal<Segment>,
    folder: PathBuf,
    controls: Sender<Control>,
    stop: Stop,
) -> std::io::Result<(Spares, JoinHandle<()>)> {
    let (ready_in, ready) = bounded(1);
    let (used, used_out) = bounded(4);
    let written = Arc::new(AtomicU64::new(journal.next_sequence()));
    let told = Arc::new(AtomicU64::new(0));
    let mut file = journal.store().handle()?;
    let (mut synced, mut next, seen) = (journal.next_sequence(), journal.segment() + 1, written.clone());
    let tells = told.clone();
    let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
        let fail = |what: &str, error: &std::io::Error| {
            tracing::error!("the journal in {}: {what}: {error}", folder.display());
            // After a failed sync nobody knows what is on the medium; a second one would lie.
            let _ = controls.send(Control::Halt { latch: Latch::Journal });
        };
        let (mut sound, mut gone) = (true, false);
        while sound {
            let ending = stop.raised();
            // At the end, or where whoever would use it is gone, nothing is laid out any more.
            if !ready_in.is_full() && !ending && !gone {
                match Segment::create(&segments::path(&folder, next), SEGMENT_LEN) {
                    Ok(segment) => {
                        next += 1;
                        gone = ready_in.send(segment).is_err();
                    }
                    Err(error) => {
                        sound = false;
                        fail("the next segment cannot be laid out", &error);
                    }
                }
            }
            // First how far it has come, then the file: a record of the next segment is told of after that segment.
            let upto = seen.load(Ordering::Acquire);
            while let Ok(next) = used_out.try_recv() {
                // What is left of the old segment first: records are on the medium in their order, or not at all.
                if let Err(error) = file.sync_data() {
                    sound = false;
                    fail("it cannot be synced", &error);
                }
                file = next;
            }
            if synced != upto && sound {
                if let Err(error) = file.sync_data() {
                    sound = false;
                    fail("it cannot be synced", &error);
                } else {
                    tells.store(upto, Ordering::Release);
                }
            }
            synced = upto;
            if ending {
                break;
            }
            std::thread::park_timeout(EVERY);
        }
    })?;
    Ok((Spares { ready, used, written, synced: told }, thread))
}
