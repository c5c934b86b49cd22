//! What `--chaos` breaks: faults a venue or a network can cause in market data, from a seed, each counted.
//!
//! A [`Plan`] disturbs the world itself (pauses, grids, fees). A [`Line`] stands between one connection's session and
//! its socket and disturbs the frames. Both only decide; the sockets are in [`crate::sim::serve`]. `PONG` always
//! passes: a feed may freeze while its keep-alive goes on.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::sim::listing::{DECI_CENT, LINEAR_CENT, TAPERED_DECI_CENT};
use crate::sim::world::World;
use crate::unit::{UnixMs, Venue};

/// Mean time between two disturbances of one connection, and of the world.
const LINE_EVERY_MS: u64 = 6_000;
const WORLD_EVERY_MS: u64 = 4_000;
/// Deep enough that no honest frame comes near.
const NESTING: usize = 3_000;

/// One kind of fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    DroppedFrame,
    DuplicatedFrame,
    DuplicatedSnapshot,
    TcpReset,
    BadGateway,
    FrozenFeed,
    DelayedStream,
    SubscriptionTerminated,
    UnknownMessage,
    UnknownField,
    WrongType,
    GarbageJson,
    DeepNesting,
    DuplicateKeys,
    NegativeDelta,
    TickChange,
    MarketPaused,
    FeeOverride,
    CrossedInside,
}

impl Fault {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 19] = [
        Self::DroppedFrame,
        Self::DuplicatedFrame,
        Self::DuplicatedSnapshot,
        Self::TcpReset,
        Self::BadGateway,
        Self::FrozenFeed,
        Self::DelayedStream,
        Self::SubscriptionTerminated,
        Self::UnknownMessage,
        Self::UnknownField,
        Self::WrongType,
        Self::GarbageJson,
        Self::DeepNesting,
        Self::DuplicateKeys,
        Self::NegativeDelta,
        Self::TickChange,
        Self::MarketPaused,
        Self::FeeOverride,
        Self::CrossedInside,
    ];

    /// Those that befall one connection and are chosen by its line.
    const OF_A_LINE: [Self; 14] = [
        Self::DroppedFrame,
        Self::DuplicatedFrame,
        Self::DuplicatedSnapshot,
        Self::TcpReset,
        Self::FrozenFeed,
        Self::DelayedStream,
        Self::SubscriptionTerminated,
        Self::UnknownMessage,
        Self::UnknownField,
        Self::WrongType,
        Self::GarbageJson,
        Self::DeepNesting,
        Self::DuplicateKeys,
        Self::NegativeDelta,
    ];

    /// The name in counts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DroppedFrame => "dropped_frame",
            Self::DuplicatedFrame => "duplicated_frame",
            Self::DuplicatedSnapshot => "duplicated_snapshot",
            Self::TcpReset => "tcp_reset",
            Self::BadGateway => "bad_gateway",
            Self::FrozenFeed => "frozen_feed",
            Self::DelayedStream => "delayed_stream",
            Self::SubscriptionTerminated => "subscription_terminated",
            Self::UnknownMessage => "unknown_message",
            Self::UnknownField => "unknown_field",
            Self::WrongType => "wrong_type",
            Self::GarbageJson => "garbage_json",
            Self::DeepNesting => "deep_nesting",
            Self::DuplicateKeys => "duplicate_keys",
            Self::NegativeDelta => "negative_delta",
            Self::TickChange => "tick_change",
            Self::MarketPaused => "market_paused",
            Self::FeeOverride => "fee_override",
            Self::CrossedInside => "crossed_inside",
        }
    }
}

/// How often each fault happened.
#[derive(Clone, Debug, Default)]
pub struct Counts([u64; Fault::ALL.len()]);

impl Counts {
    /// One more.
    pub fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Names and numbers.
    pub fn list(&self) -> Vec<(&'static str, u64)> {
        Fault::ALL.iter().map(|&fault| (fault.name(), self.0[fault as usize])).collect()
    }
}

/// What has to be put right again, and when.
#[derive(Clone, Copy, Debug)]
enum Repair {
    Resume(usize),
    ClearFee(usize),
}

/// Disturbs the world.
#[derive(Debug)]
pub struct Plan {
    rng: Rng,
    next_at: UnixMs,
    repairs: Vec<(UnixMs, Repair)>,
    lines: u64,
}

impl Plan {
    /// A plan from a seed.
    pub fn new(seed: u64, now: UnixMs) -> Self {
        Self {
            rng: Rng::with_seed(seed ^ 0xc4a0_5000),
            next_at: later(now, WORLD_EVERY_MS),
            repairs: Vec::new(),
            lines: 0,
        }
    }

    /// A line for the next connection of a venue.
    pub fn line(&mut self, venue: Venue, now: UnixMs) -> Line {
        self.lines += 1;
        let mut rng = Rng::with_seed(self.rng.u64(..) ^ self.lines);
        let next_at = later(now, 2_000 + rng.u64(0..LINE_EVERY_MS));
        Line { venue, rng, next_at, armed: None, frozen_until: None, delay: None, held: VecDeque::new() }
    }

    /// Lets happen to the world what is due. Call between two steps.
    pub fn disturb(&mut self, world: &mut World, counts: &mut Counts, now: UnixMs) {
        let (due, waiting) = self.repairs.iter().partition(|(at, _)| *at <= now);
        self.repairs = waiting;
        let due: Vec<(UnixMs, Repair)> = due;
        for (_, repair) in due {
            match repair {
                Repair::Resume(market) => world.resume(market),
                Repair::ClearFee(market) => world.override_fee(market, None),
            }
        }
        if now < self.next_at {
            return;
        }
        self.next_at = later(now, WORLD_EVERY_MS / 2 + self.rng.u64(0..WORLD_EVERY_MS));
        let soon = later(now, 1_000 + self.rng.u64(0..4_000));
        match self.rng.u8(0..5) {
            0 => {
                if let Some(market) = world.any_active(Venue::Kalshi) {
                    world.pause(market);
                    self.repairs.push((soon, Repair::Resume(market)));
                    counts.count(Fault::MarketPaused);
                }
            }
            1 => {
                if let Some(market) = world.any_active(Venue::Kalshi) {
                    let structure = [LINEAR_CENT, DECI_CENT, TAPERED_DECI_CENT][self.rng.usize(0..3)];
                    if world.catalog().kalshi[market].structure != structure {
                        world.restructure(market, structure);
                        counts.count(Fault::TickChange);
                    }
                }
            }
            2 => {
                if let Some(market) = world.any_active(Venue::Polymarket) {
                    let tick = [100, 10, 25, 50][self.rng.usize(0..4)];
                    if world.catalog().polymarket[market].tick != tick {
                        world.retick(market, tick);
                        counts.count(Fault::TickChange);
                    }
                }
            }
            3 => {
                if let Some(market) = world.any_active(Venue::Kalshi) {
                    world.override_fee(market, Some(("quadratic", 2_000_000)));
                    self.repairs.push((soon, Repair::ClearFee(market)));
                    counts.count(Fault::FeeOverride);
                }
            }
            _ => {
                if let Some(market) = world.any_active(Venue::Kalshi)
                    && world.cross_inside(market)
                {
                    counts.count(Fault::CrossedInside);
                }
            }
        }
    }
}

/// What goes to the socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Out {
    Text(String),
    /// The first bytes of this frame, then a reset.
    Reset(String),
    /// The session ends its subscriptions with error 25.
    Terminate,
}

/// Disturbs one connection.
#[derive(Debug)]
pub struct Line {
    venue: Venue,
    rng: Rng,
    next_at: UnixMs,
    armed: Option<Fault>,
    frozen_until: Option<UnixMs>,
    /// How late frames are, and until when this goes on.
    delay: Option<(u64, UnixMs)>,
    held: VecDeque<(UnixMs, String)>,
}

impl Line {
    /// Passes a frame on, or something else in its place.
    pub fn pass(&mut self, text: &str, counts: &mut Counts, now: UnixMs) -> Vec<Out> {
        if text == "PONG" {
            return vec![Out::Text(text.to_owned())];
        }
        self.arm(counts, now);
        if self.frozen_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        self.frozen_until = None;
        let out = self.disturbed(text, counts);
        if self.delay.is_some_and(|(_, until)| until <= now) {
            self.delay = None;
        }
        let Some((late_ms, _)) = self.delay else {
            // Whoever was held back comes first: order is never lost.
            let mut all: Vec<Out> = self.held.drain(..).map(|(_, text)| Out::Text(text)).collect();
            all.extend(out);
            return all;
        };
        let mut passed = Vec::new();
        for one in out {
            match one {
                Out::Text(text) => self.held.push_back((later(now, late_ms), text)),
                other => passed.push(other),
            }
        }
        passed
    }

    /// Frames that were held back and are due.
    pub fn due(&mut self, now: UnixMs) -> Vec<Out> {
        let mut out = Vec::new();
        while self.held.front().is_some_and(|(at, _)| *at <= now) {
            out.extend(self.held.pop_front().map(|(_, text)| Out::Text(text)));
        }
        out
    }

    fn arm(&mut self, counts: &mut Counts, now: UnixMs) {
        if now < self.next_at || self.armed.is_some() {
            return;
        }
        self.next_at = later(now, LINE_EVERY_MS / 2 + self.rng.u64(0..LINE_EVERY_MS));
        let fault = Fault::OF_A_LINE[self.rng.usize(0..Fault::OF_A_LINE.len())];
        match fault {
            Fault::FrozenFeed => {
                self.frozen_until = Some(later(now, 1_500 + self.rng.u64(0..8_000)));
                counts.count(fault);
            }
            Fault::DelayedStream => {
                let late_ms = if self.rng.u8(0..8) == 0 { 30_000 } else { 500 + self.rng.u64(0..4_000) };
                self.delay = Some((late_ms, later(now, 3_000 + self.rng.u64(0..6_000))));
                counts.count(fault);
            }
            _ => self.armed = Some(fault),
        }
    }

    /// Applies the armed fault if this frame suits it.
    fn disturbed(&mut self, text: &str, counts: &mut Counts) -> Vec<Out> {
        let same = || vec![Out::Text(text.to_owned())];
        let Some(fault) = self.armed else { return same() };
        let kalshi = self.venue == Venue::Kalshi;
        let is_change = text.contains("orderbook_delta\",") || text.contains("\"price_change\"");
        let is_book = text.contains("\"orderbook_snapshot\"") || text.contains("\"event_type\":\"book\"");
        let extra = |more: String| Some(vec![Out::Text(more), Out::Text(text.to_owned())]);
        let instead = |other: Option<String>| other.map(|other| vec![Out::Text(other)]);
        let kind = if kalshi { "type" } else { "event_type" };
        let out = match fault {
            Fault::DroppedFrame if is_change => Some(Vec::new()),
            Fault::DuplicatedFrame if is_change => extra(text.to_owned()),
            Fault::DuplicatedSnapshot if is_book => extra(text.to_owned()),
            Fault::TcpReset if is_change => Some(vec![Out::Reset(text.to_owned())]),
            Fault::SubscriptionTerminated if kalshi => Some(vec![Out::Text(text.to_owned()), Out::Terminate]),
            Fault::UnknownMessage => {
                extra(format!(r#"{{"{kind}":"venue_notice","sid":1,"msg":{{"text":"hello","level":3}}}}"#))
            }
            Fault::UnknownField if text.starts_with('{') => {
                instead(Some(text.replacen('{', r#"{"zz_new":{"a":[1,null,{"b":"c"}]},"#, 1)))
            }
            Fault::WrongType if is_change => instead(unquoted(text, if kalshi { "delta_fp" } else { "timestamp" })),
            Fault::GarbageJson => extra(format!(r#"{{"{kind}":"orderbook_delta","sid":1,"msg":{{"#)),
            Fault::DeepNesting => {
                extra(format!(r#"{{"{kind}":"noise","msg":{}1{}}}"#, "[".repeat(NESTING), "]".repeat(NESTING)))
            }
            Fault::DuplicateKeys if is_change => {
                instead(Some(text.replacen('{', &format!(r#"{{"{kind}":"heartbeat","#), 1)))
            }
            Fault::NegativeDelta if kalshi && is_change => instead(replaced(text, "delta_fp", "-99999999.00")),
            // What can never suit this venue is let go; the rest waits for its frame.
            Fault::SubscriptionTerminated | Fault::NegativeDelta if !kalshi => {
                self.armed = None;
                None
            }
            _ => None,
        };
        let Some(out) = out else { return same() };
        self.armed = None;
        counts.count(fault);
        out
    }
}

fn later(now: UnixMs, ms: u64) -> UnixMs {
    UnixMs::new(now.raw() + ms)
}

/// Where the text value of a member begins and ends.
fn value_of(text: &str, member: &str) -> Option<(usize, usize)> {
    let start = text.find(&format!("\"{member}\":\""))? + member.len() + 4;
    let end = start + text[start..].find('"')?;
    Some((start, end))
}

fn unquoted(text: &str, member: &str) -> Option<String> {
    let (start, end) = value_of(text, member)?;
    Some(format!("{}{}{}", &text[..start - 1], &text[start..end], &text[end + 1..]))
}

fn replaced(text: &str, member: &str, value: &str) -> Option<String> {
    let (start, end) = value_of(text, member)?;
    Some(format!("{}{value}{}", &text[..start], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELTA: &str = r#"{"type":"orderbook_delta","sid":1,"seq":7,"msg":{"price_dollars":"0.4700","delta_fp":"-3.00","side":"yes","ts_ms":1}}"#;

    fn line(fault: Fault) -> Line {
        let mut line = Plan::new(1, UnixMs::new(0)).line(Venue::Kalshi, UnixMs::new(0));
        line.next_at = UnixMs::new(u64::MAX / 2);
        line.armed = Some(fault);
        line
    }

    #[test]
    fn each_fault_of_a_frame_does_what_its_name_says_once() {
        let now = UnixMs::new(1);
        for fault in Fault::OF_A_LINE {
            let mut counts = Counts::default();
            let mut line = line(fault);
            let out = line.pass(DELTA, &mut counts, now);
            match fault {
                Fault::DroppedFrame => assert!(out.is_empty()),
                Fault::TcpReset => assert!(matches!(out[0], Out::Reset(_))),
                Fault::WrongType => assert!(matches!(&out[0], Out::Text(t) if t.contains(r#""delta_fp":-3.00,"#))),
                Fault::NegativeDelta => assert!(matches!(&out[0], Out::Text(t) if t.contains("-99999999.00"))),
                Fault::UnknownField | Fault::DuplicateKeys => assert_eq!(out.len(), 1),
                Fault::FrozenFeed | Fault::DelayedStream | Fault::DuplicatedSnapshot => {
                    assert_eq!(out, [Out::Text(DELTA.to_owned())]);
                    continue;
                }
                _ => assert_eq!(out.len(), 2, "{fault:?}"),
            }
            assert_eq!(counts.0[fault as usize], 1, "{fault:?}");
            assert_eq!(line.pass(DELTA, &mut counts, now), [Out::Text(DELTA.to_owned())], "once");
        }
    }

    #[test]
    fn a_delayed_stream_keeps_its_order() {
        let mut line = line(Fault::UnknownMessage);
        let mut counts = Counts::default();
        line.armed = None;
        line.delay = Some((500, UnixMs::new(1_000)));
        let text = |text: &str| Out::Text(text.to_owned());
        assert!(line.pass("a", &mut counts, UnixMs::new(0)).is_empty());
        assert!(line.pass("b", &mut counts, UnixMs::new(900)).is_empty());
        assert_eq!(line.due(UnixMs::new(500)), [text("a")]);
        assert_eq!(line.pass("c", &mut counts, UnixMs::new(1_100)), [text("b"), text("c")]);
    }

    #[test]
    fn a_pong_passes_a_frozen_feed() {
        let mut line = line(Fault::UnknownMessage);
        line.armed = None;
        line.frozen_until = Some(UnixMs::new(1_000));
        let mut counts = Counts::default();
        assert!(line.pass(DELTA, &mut counts, UnixMs::new(5)).is_empty());
        assert_eq!(line.pass("PONG", &mut counts, UnixMs::new(5)), [Out::Text(String::from("PONG"))]);
    }
}
