//! The checksum's thread: hashes Polymarket's books beside the hot path and tells the detector of one that differs.

use std::{thread::JoinHandle, time::Duration};

use crossbeam::channel::Sender;
use rtrb::Consumer;

use super::{
    clock,
    event::Control,
    ring::Stop,
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

/// Starts the thread. `controls` leads to the detector, `tell` to whoever shows the verdicts.
pub fn start(
    mut checker: Checker,
    mut rings: Vec<Consumer<Shadow>>,
    controls: Sender<Control>,
    tell: Sender<Verdicts>,
    stop: Stop,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("check".into()).spawn(move || {
        let mut verdicts = Verdicts::default();
        let mut note = |checked: Checked| {
            match checked.verdict {
                Verdict::Fits => verdicts.fits += 1,
                Verdict::Unsettled => verdicts.unsettled += 1,
                Verdict::Differs => verdicts.differs += 1,
                Verdict::Unfit => {
                    verdicts.unfit += 1;
                    let _ = controls.send(Control::Checksum { market: checked.market });
                }
            }
            let _ = tell.try_send(verdicts);
        };
        while !stop.raised() {
            let mut idle = true;
            for ring in &mut rings {
                while let Ok(shadow) = ring.pop() {
                    idle = false;
                    checker.handle(&shadow).into_iter().for_each(&mut note);
                }
            }
            checker.handle_timeout(clock::now()).into_iter().for_each(&mut note);
            if idle {
                std::thread::park_timeout(PAUSE);
            }
        }
    })
}
