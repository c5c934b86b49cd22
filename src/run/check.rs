//! The checksum's thread: hashes Polymarket's books beside the hot path and tells the detector of one that differs.

use std::{collections::VecDeque, thread::JoinHandle, time::Duration};

use crossbeam::channel::{Receiver, Sender};
use rtrb::{Consumer, Producer};

use super::{
    clock,
    event::Control,
    ring::{Stop, Waker},
};
use crate::venue::polymarket::{Checked, Checker, Shadow, shadow::Verdict};

/// How often the rings are looked at when nothing came.
const PAUSE: Duration = Duration::from_millis(20);

/// Verdicts so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdicts {
    pub fits: u64,
    pub unsettled: u64,
    pub differs: u64,
    pub unfit: u64,
}

/// Starts the thread. It also carries what the rest of the cold side has to say into the detector's ring, which has
/// room for one writer.
pub fn start(
    mut checker: Checker,
    mut rings: Vec<Consumer<Shadow>>,
    controls: Receiver<Control>,
    mut detector: Producer<Control>,
    waker: Waker,
    tell: Sender<Verdicts>,
    stop: Stop,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("check".into()).spawn(move || {
        let mut verdicts = Verdicts::default();
        let mut words = VecDeque::new();
        let mut note = |checked: Checked, words: &mut VecDeque<Control>| {
            match checked.verdict {
                Verdict::Fits => verdicts.fits += 1,
                Verdict::Unsettled => verdicts.unsettled += 1,
                Verdict::Differs => verdicts.differs += 1,
                Verdict::Unfit => {
                    verdicts.unfit += 1;
                    words.push_back(Control::Checksum { market: checked.market });
                }
            }
            let _ = tell.try_send(verdicts);
        };
        while !stop.raised() {
            let mut idle = true;
            for ring in &mut rings {
                while let Ok(shadow) = ring.pop() {
                    idle = false;
                    checker.handle(&shadow).into_iter().for_each(|checked| note(checked, &mut words));
                }
            }
            checker.handle_timeout(clock::now()).into_iter().for_each(|checked| note(checked, &mut words));
            words.extend(controls.try_iter());
            while let Some(word) = words.pop_front() {
                idle = false;
                if detector.push(word).is_err() {
                    words.push_front(word); // Full: it waits here.
                    break;
                }
                waker.wake();
            }
            if idle {
                std::thread::park_timeout(PAUSE);
            }
        }
    })
}
