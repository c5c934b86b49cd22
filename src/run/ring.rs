//! The rings between the threads, how they wake one another, and what each does when it is full.
//!
//! | ring | from → to | when full |
//! |---|---|---|
//! | updates | feed → detect | the feed stops reading its sockets until there is room |
//! | shadows | feed → check | entries are dropped; that market's checksum rests until its next whole book |
//! | resnapshots | detect → feed | dropped; the detector asks again after two seconds |
//! | events | detect → keep | no new entries; events wait in the detector's outbox |
//! | controls | cold → detect | the cold side waits |

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crossbeam::sync::{Parker, Unparker};
use rtrb::{Consumer, Producer, RingBuffer};

use super::event::{Control, Event, Resnapshot};
use crate::{unit::Nanos, venue::polymarket::Shadow, wire::Update};

pub const UPDATE_SLOTS: usize = 32_768;
pub const SHADOW_SLOTS: usize = 32_768;
pub const RESNAPSHOT_SLOTS: usize = 4_096;
pub const EVENT_SLOTS: usize = 32_768;
pub const CONTROL_SLOTS: usize = 4_096;

/// An update on its way, with the moment it was handed over.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub update: Update,
    pub sent: Nanos,
}

const _: () = assert!(size_of::<Sent>() <= 72, "an update and its stamp");

/// How a hot thread waits when there is nothing to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Idle {
    /// Busy polling with a pause instruction: needs a core of its own.
    Spin,
    /// Busy polling that gives way to other threads.
    Yield,
    /// Sleeps until woken: for hosts with fewer free cores than hot threads.
    Park,
}

/// Wakes a parked detector.
#[derive(Clone)]
pub struct Waker {
    unparker: Option<Unparker>,
}

impl Waker {
    /// A waker for a thread that idles as `idle`, and the parker that the thread waits on.
    pub fn new(idle: Idle) -> (Self, Parker) {
        let parker = Parker::new();
        let unparker = (idle == Idle::Park).then(|| parker.unparker().clone());
        (Self { unparker }, parker)
    }

    /// Something was put into a ring of the detector.
    pub fn wake(&self) {
        if let Some(unparker) = &self.unparker {
            unparker.unpark();
        }
    }
}

/// The process is to end; read by every thread.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks every thread to end.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Is the end asked for?
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A feed thread's ends.
pub struct FeedRings {
    pub updates: Producer<Sent>,
    pub shadows: Producer<Shadow>,
    pub resnapshots: Consumer<Resnapshot>,
    pub waker: Waker,
}

/// The detector's ends.
pub struct DetectRings {
    pub updates: Vec<Consumer<Sent>>,
    pub resnapshots: Vec<Producer<Resnapshot>>,
    pub controls: Consumer<Control>,
    pub events: Producer<Event>,
}

/// The cold side's ends.
pub struct ColdRings {
    pub events: Consumer<Event>,
    pub controls: Producer<Control>,
    pub shadows: Vec<Consumer<Shadow>>,
}

/// All rings for `feeds` feed threads.
pub fn rings(feeds: usize, waker: &Waker) -> (Vec<FeedRings>, DetectRings, ColdRings) {
    let (events, events_out) = RingBuffer::new(EVENT_SLOTS);
    let (controls_in, controls) = RingBuffer::new(CONTROL_SLOTS);
    let mut detect = DetectRings { updates: Vec::new(), resnapshots: Vec::new(), controls, events };
    let mut cold = ColdRings { events: events_out, controls: controls_in, shadows: Vec::new() };
    let feed_rings = (0..feeds)
        .map(|_| {
            let (updates, updates_out) = RingBuffer::new(UPDATE_SLOTS);
            let (shadows, shadows_out) = RingBuffer::new(SHADOW_SLOTS);
            let (resnapshots_in, resnapshots) = RingBuffer::new(RESNAPSHOT_SLOTS);
            detect.updates.push(updates_out);
            detect.resnapshots.push(resnapshots_in);
            cold.shadows.push(shadows_out);
            FeedRings { updates, shadows, resnapshots, waker: waker.clone() }
        })
        .collect();
    (feed_rings, detect, cold)
}
