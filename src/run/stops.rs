//! Everything that stops trading, in one place: pause, halt, and the way back. A person's word, a signal's, a file's
//! and the engine's own end in the same latch.
//!
//! The latch is a bit that the sender looks at where an entry's bytes would leave, and a file that outlives the
//! process. It falls by itself; only a person releases it. A pause lets everything go on but new plans, and outlives
//! the process too.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crossbeam::channel::Sender;

use super::{clock, event::Control};
use crate::{
    risk::{Latch, TradingState},
    unit::{Nanos, UnixMs},
};

const LATCH: &str = "latch";
const PAUSED: &str = "paused";
/// Live trading is armed; holds the print of the limits under which it was.
const ARMED: &str = "armed";
const FLATTEN: &str = "flatten";
/// This state was put back from a backup, and no engine has run on it yet.
const RESTORED: &str = "restored";

/// The latch as the sender sees it: when it fell, on the engine's clock; 0 while it stands.
#[derive(Clone, Debug, Default)]
pub struct Fallen(Arc<AtomicU64>);

impl Fallen {
    /// The latch falls. It keeps the moment of its first fall.
    pub fn fall(&self) {
        let now = clock::now().raw().max(1);
        let _ = self.0.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// When it fell, if it has.
    pub fn since(&self) -> Option<Nanos> {
        Some(Nanos::new(self.0.load(Ordering::SeqCst))).filter(|at| *at != Nanos::ZERO)
    }

    fn lift(&self) {
        self.0.store(0, Ordering::SeqCst);
    }
}

/// The hand on all stops of a running engine.
#[derive(Clone)]
pub struct Stops {
    pub fallen: Fallen,
    controls: Sender<Control>,
    state: PathBuf,
    /// The print of the limits, where orders wait for a person to arm them.
    limits: Option<Arc<Mutex<String>>>,
}

impl Stops {
    /// Stops whose files lie in the state directory. `limits` is the print of the settings that arming is bound to;
    /// without one there is nothing to arm.
    pub fn new(fallen: Fallen, controls: Sender<Control>, state: &Path, limits: Option<String>) -> Self {
        Self { fallen, controls, state: state.into(), limits: limits.map(|limits| Arc::new(Mutex::new(limits))) }
    }

    /// Do orders wait for a person to arm them?
    pub fn wants_arming(&self) -> bool {
        self.limits.is_some()
    }

    /// A person arms: orders may leave, now and after every clean restart under the same limits.
    pub fn arm(&self) -> io::Result<()> {
        if let Some(limits) = &self.limits {
            replace(&self.state.join(ARMED), &limits.lock().unwrap_or_else(PoisonError::into_inner))?;
            let _ = self.controls.send(Control::Arm { armed: true });
        }
        Ok(())
    }

    /// A person disarms: no entry is approved any more; what is open is managed on.
    pub fn disarm(&self) -> io::Result<()> {
        if self.limits.is_some() {
            let _ = self.controls.send(Control::Arm { armed: false });
            remove(&self.state.join(ARMED))?;
        }
        Ok(())
    }

    /// The limits are others from here on. What was armed stays so where they were only tightened.
    pub fn rebind(&self, print: String, loosened: bool) -> io::Result<()> {
        let Some(limits) = &self.limits else { return Ok(()) };
        let before = std::mem::replace(&mut *limits.lock().unwrap_or_else(PoisonError::into_inner), print);
        if loosened {
            self.disarm()
        } else if is_armed(&self.state, &before) {
            replace(&self.state.join(ARMED), &limits.lock().unwrap_or_else(PoisonError::into_inner))
        } else {
            Ok(())
        }
    }

    /// No new plans; what is open is managed on.
    pub fn pause(&self) -> io::Result<()> {
        lay(&self.state, Stopping::Pause)?;
        let _ = self.controls.send(Control::Pause);
        Ok(())
    }

    /// Nothing that raises risk leaves from here on; what is naked is closed. The bit falls first: a full disk or a
    /// thread that does not move stops nothing of that.
    pub fn halt(&self, latch: Latch) -> io::Result<()> {
        self.fallen.fall();
        let written = write(&self.state.join(LATCH), latch.name());
        let _ = self.controls.try_send(Control::Halt { latch });
        written
    }

    /// The same by a person's word.
    pub fn halt_by_person(&self) -> io::Result<()> {
        self.halt(Latch::Person)
    }

    /// Halts, and sells everything held within the configured loss. Survives the process like the latch.
    pub fn flatten(&self) -> io::Result<()> {
        self.fallen.fall();
        let written = write(&self.state.join(FLATTEN), "everything is to be sold, by a person's word");
        let halted = self.halt_by_person();
        let _ = self.controls.try_send(Control::Flatten);
        written.and(halted)
    }

    /// A person lifts pause and latch.
    pub fn resume(&self) -> io::Result<()> {
        take_away(&self.state)?;
        self.fallen.lift();
        let _ = self.controls.send(Control::Resume);
        Ok(())
    }

    /// Has somebody laid the latch's file down beside the running engine?
    pub fn is_laid(&self) -> bool {
        self.state.join(LATCH).exists()
    }
}

/// What a file in the state directory asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stopping {
    Pause,
    Halt,
    Flatten,
}

/// Lays down the file that the next start reads.
pub fn lay(state: &Path, stopping: Stopping) -> io::Result<()> {
    match stopping {
        Stopping::Pause => write(&state.join(PAUSED), "paused by a person"),
        Stopping::Halt => write(&state.join(LATCH), Latch::Person.name()),
        Stopping::Flatten => {
            write(&state.join(FLATTEN), "everything is to be sold, by a person's word")?;
            write(&state.join(LATCH), Latch::Person.name())
        }
    }
}

/// Since when everything held is being sold, if it is. A file that cannot be read says: from the beginning, so that
/// what was lost by then counts.
pub fn flattening(state: &Path) -> Option<UnixMs> {
    let path = state.join(FLATTEN);
    if !path.exists() {
        return None;
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let began = text.lines().nth(1).and_then(|line| line.strip_prefix("at ")?.split(' ').next()?.parse().ok());
    Some(UnixMs::new(began.unwrap_or(0)))
}

/// Takes all of them away.
pub fn take_away(state: &Path) -> io::Result<()> {
    [FLATTEN, LATCH, PAUSED].into_iter().try_for_each(|name| remove(&state.join(name)))
}

/// Takes away everything that a person has said here, arming too: for a new world.
pub fn forget(state: &Path) -> io::Result<()> {
    take_away(state)?;
    remove(&state.join(ARMED))?;
    remove(&state.join(RESTORED))
}

/// Was live trading armed, under these limits? Under others it was armed for something else.
pub fn is_armed(state: &Path, limits: &str) -> bool {
    std::fs::read_to_string(state.join(ARMED)).is_ok_and(|text| text.lines().next() == Some(limits))
}

/// The run before ended without a farewell: what trades for real comes up halted and disarmed.
pub fn crashed(state: &Path) -> io::Result<()> {
    write(&state.join(LATCH), Latch::Crashed.name())?;
    remove(&state.join(ARMED))
}

/// A state was put back from a backup and may be old: its engine comes up paused and disarmed, and takes no number that
/// one before it may have used since.
pub fn restored(state: &Path, why: &str) -> io::Result<()> {
    remove(&state.join(ARMED))?;
    write(&state.join(PAUSED), why)?;
    write(&state.join(RESTORED), why)
}

/// Is this the first start on a state that was put back?
pub fn is_restored(state: &Path) -> bool {
    state.join(RESTORED).exists()
}

/// That start has numbers of its own, on the medium.
pub fn renumbered(state: &Path) -> io::Result<()> {
    remove(&state.join(RESTORED))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Writes anew, whatever stood there.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    remove(path)?;
    write(path, text)
}

/// What the files of a state directory say at start.
pub fn found(state: &Path) -> TradingState {
    let mut trading = if state.join(PAUSED).exists() { TradingState::Paused } else { TradingState::Active };
    if state.join(LATCH).exists() || state.join(FLATTEN).exists() {
        trading.halt(Latch::FoundAtStart);
    }
    trading
}

/// Writes why, unless a reason stands there already: the first one is the one that counts.
fn write(path: &Path, why: &str) -> io::Result<()> {
    match File::create_new(path) {
        Ok(mut file) => {
            writeln!(file, "{why}\nat {} ms Unix time", clock::unix().raw())?;
            file.sync_all()
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam::channel::unbounded;

    #[test]
    fn a_pause_and_a_latch_outlive_the_process_and_only_a_person_lifts_them() {
        let folder = tempfile::tempdir().unwrap();
        let (controls, told) = unbounded();
        let stops = Stops::new(Fallen::default(), controls, folder.path(), None);
        assert_eq!(found(folder.path()), TradingState::Active);
        stops.pause().unwrap();
        assert_eq!(found(folder.path()), TradingState::Paused);
        stops.halt(Latch::DailyLoss).unwrap();
        stops.halt(Latch::Person).unwrap();
        assert_eq!(found(folder.path()), TradingState::Halted(Latch::FoundAtStart));
        let text = std::fs::read_to_string(folder.path().join(LATCH)).unwrap();
        assert!(text.starts_with(Latch::DailyLoss.name()), "the first reason stays: {text}");
        assert!(stops.fallen.since().is_some() && stops.is_laid());
        stops.resume().unwrap();
        assert_eq!((found(folder.path()), stops.fallen.since(), stops.is_laid()), (TradingState::Active, None, false));
        assert_eq!(told.try_iter().count(), 4);
    }

    #[test]
    fn arming_holds_under_the_same_limits_until_somebody_disarms_or_the_process_dies() {
        let folder = tempfile::tempdir().unwrap();
        let (controls, told) = unbounded();
        let stops =
            |limits: &str| Stops::new(Fallen::default(), controls.clone(), folder.path(), Some(limits.to_owned()));
        assert!(!is_armed(folder.path(), "a"));
        stops("a").arm().unwrap();
        assert!(is_armed(folder.path(), "a") && !is_armed(folder.path(), "b"), "other limits, another decision");
        stops("b").arm().unwrap();
        assert!(is_armed(folder.path(), "b"));
        stops("b").disarm().unwrap();
        assert!(!is_armed(folder.path(), "b"));
        stops("b").arm().unwrap();
        crashed(folder.path()).unwrap();
        assert!(!is_armed(folder.path(), "b"));
        assert_eq!(found(folder.path()), TradingState::Halted(Latch::FoundAtStart));
        stops("b").arm().unwrap();
        lay(folder.path(), Stopping::Flatten).unwrap();
        forget(folder.path()).unwrap();
        assert_eq!((found(folder.path()), flattening(folder.path())), (TradingState::Active, None));
        assert!(!is_armed(folder.path(), "b"), "a new world knows nothing of the last one");
        let none = Stops::new(Fallen::default(), controls.clone(), folder.path(), None);
        none.arm().unwrap();
        let armed: Vec<_> = told.try_iter().map(|c| matches!(c, Control::Arm { armed: true })).collect();
        assert_eq!(armed, [true, true, false, true, true], "what needs no arming is not armed");
    }

    #[test]
    fn whoever_flattens_halts_and_a_restart_knows_since_when() {
        let folder = tempfile::tempdir().unwrap();
        let (controls, told) = unbounded();
        let stops = Stops::new(Fallen::default(), controls, folder.path(), None);
        let before = clock::unix();
        stops.flatten().unwrap();
        assert!(stops.fallen.since().is_some() && stops.is_laid());
        assert!(flattening(folder.path()).is_some_and(|began| before <= began && began <= clock::unix()));
        let told: Vec<_> = told.try_iter().collect();
        assert!(matches!(told[..], [Control::Halt { latch: Latch::Person }, Control::Flatten]), "{told:?}");
        // A second word does not begin anew: what was lost so far counts.
        std::fs::write(folder.path().join(FLATTEN), "why\nat 1234 ms Unix time\n").unwrap();
        lay(folder.path(), Stopping::Flatten).unwrap();
        assert_eq!(flattening(folder.path()), Some(UnixMs::new(1_234)));
        std::fs::write(folder.path().join(FLATTEN), "torn").unwrap();
        assert_eq!(flattening(folder.path()), Some(UnixMs::new(0)), "everything that was ever lost counts");
        // The latch's file alone may be gone: nothing is entered while everything is sold.
        std::fs::remove_file(folder.path().join(LATCH)).unwrap();
        assert_eq!(found(folder.path()), TradingState::Halted(Latch::FoundAtStart));
        stops.resume().unwrap();
        assert_eq!((flattening(folder.path()), found(folder.path())), (None, TradingState::Active));
    }

    #[test]
    fn the_bit_falls_although_the_file_cannot_be_written() {
        let (controls, told) = unbounded();
        let stops = Stops::new(Fallen::default(), controls, Path::new("/nowhere/at/all"), None);
        assert!(stops.halt(Latch::Person).is_err());
        assert!(stops.fallen.since().is_some() && told.try_recv().is_ok());
    }
}
