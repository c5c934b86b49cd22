//! The world and everybody connected to it, behind one lock.

use tokio::sync::{mpsc, oneshot};

use crate::sim::clob::ClobDesk;
use crate::sim::fault::{Counts, Fault, Line, Out, Plan};
use crate::sim::handshake::Headers;
use crate::sim::kalshi::account::Member;
use crate::sim::kalshi::answer::{Answer, Request};
use crate::sim::kalshi::desk::{Desk, Settings};
use crate::sim::kalshi_rest::Reply;
use crate::sim::serve::clob::Counter;
use crate::sim::world::{Happening, World};
use crate::sim::{kalshi, polymarket};
use crate::unit::{UnixMs, Venue};

/// Frames a connection may lag behind before it is cut off.
const QUEUE_FRAMES: usize = 16_384;
/// How long a venue answers 502 after it has reset a connection.
const GATEWAY_DOWN_MS: u64 = 1_500;

#[derive(Debug)]
enum Session {
    Kalshi(kalshi::Session),
    Polymarket(polymarket::Session),
}

#[derive(Debug)]
struct Link {
    number: u64,
    session: Session,
    line: Option<Line>,
    queue: mpsc::Sender<Out>,
    /// Taken when the link ends: the last frames, past the queue.
    last_words: Option<oneshot::Sender<Vec<String>>>,
}

/// What a connection's task holds of its link.
#[derive(Debug)]
pub struct Seat {
    pub number: u64,
    pub queue: mpsc::Receiver<Out>,
    pub last_words: oneshot::Receiver<Vec<String>>,
}

/// Everything that changes together.
#[derive(Debug)]
pub struct Hall {
    world: World,
    desk: Desk,
    clob: Counter,
    stream: polymarket::Stream,
    links: Vec<Link>,
    seats: u64,
    plan: Option<Plan>,
    counts: Counts,
    down_until: [UnixMs; 2],
}

impl Hall {
    /// A hall around a world, with Kalshi's accounts; with a seed, chaos reigns.
    pub fn new(mut world: World, kalshi: Settings, speed: u32, chaos: Option<u64>, now: UnixMs) -> Self {
        Self {
            clob: Counter::new(kalshi.seed, speed),
            desk: Desk::new(kalshi, &mut world),
            stream: polymarket::Stream::new(&world),
            links: Vec::new(),
            seats: 0,
            plan: chaos.map(|seed| Plan::new(seed, now)),
            counts: Counts::default(),
            down_until: [UnixMs::new(0); 2],
            world,
        }
    }

    pub const fn world(&self) -> &World {
        &self.world
    }

    pub const fn desk(&self) -> &Desk {
        &self.desk
    }

    pub const fn desk_mut(&mut self) -> &mut Desk {
        &mut self.desk
    }

    /// Who may open Kalshi's stream, or the 401 to send.
    pub fn admit(&self, headers: &Headers, path: &str, now: UnixMs) -> Result<Member, Reply> {
        self.desk.admit(headers, "GET", path, now)
    }

    /// A request to Kalshi; what it makes happen is told to everybody before it is answered.
    pub fn ask_kalshi(&mut self, request: &Request, now: UnixMs) -> Answer {
        let mut answer = self.desk.handle(&mut self.world, request, now);
        let happenings = std::mem::take(&mut answer.happenings);
        self.tell_kalshi(&happenings, now);
        answer
    }

    /// Polymarket's private side, and the world beside it.
    pub const fn counter(&mut self) -> (&mut Counter, &World) {
        (&mut self.clob, &self.world)
    }

    /// Something is asked of Polymarket's desk; what that makes happen is told to everybody before it is answered.
    pub fn ask_polymarket<T>(&mut self, now: UnixMs, ask: impl FnOnce(&mut ClobDesk, &mut World, UnixMs) -> T) -> T {
        let result = ask(&mut self.clob.desk, &mut self.world, now);
        let happenings = self.clob.step(&mut self.world, Vec::new(), now);
        let frames = self.stream.render(&happenings, &self.world, now);
        for link in &mut self.links {
            if let Session::Polymarket(session) = &link.session {
                let own: Vec<_> = frames.iter().filter(|frame| session.wants(frame)).collect();
                for frame in own {
                    link.send(&frame.text, &mut self.counts, now);
                }
            }
        }
        result
    }

    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Is the venue answering 502 now? Each time it does is counted.
    pub fn is_down(&mut self, venue: Venue, now: UnixMs) -> bool {
        let down = now < self.down_until[venue as usize];
        if down {
            self.counts.count(Fault::BadGateway);
        }
        down
    }

    /// A reset happened: new connections fail for a while.
    pub fn was_reset(&mut self, venue: Venue, now: UnixMs) {
        self.down_until[venue as usize] = UnixMs::new(now.raw() + GATEWAY_DOWN_MS);
    }

    /// A new connection.
    pub fn sit(&mut self, venue: Venue, member: Option<Member>, now: UnixMs) -> Seat {
        self.seats += 1;
        let (sender, queue) = mpsc::channel(QUEUE_FRAMES);
        let (last_sender, last_words) = oneshot::channel();
        self.links.push(Link {
            number: self.seats,
            session: match venue {
                Venue::Kalshi => Session::Kalshi(member.map(kalshi::Session::of).unwrap_or_default()),
                Venue::Polymarket => Session::Polymarket(polymarket::Session::default()),
            },
            line: self.plan.as_mut().map(|plan| plan.line(venue, now)),
            queue: sender,
            last_words: Some(last_sender),
        });
        Seat { number: self.seats, queue, last_words }
    }

    /// A connection has ended.
    pub fn leave(&mut self, number: u64) {
        self.links.retain(|link| link.number != number);
    }

    /// A text frame from a client.
    pub fn handle_text(&mut self, number: u64, text: &str, now: UnixMs) {
        let Some(link) = self.links.iter_mut().find(|link| link.number == number) else { return };
        let frames = match &mut link.session {
            Session::Kalshi(session) => session.handle_text(text, &self.world, now),
            Session::Polymarket(session) => session.handle_text(text, &self.stream, &self.world),
        };
        for frame in &frames {
            link.send(frame, &mut self.counts, now);
        }
    }

    /// One step of the world, told to everybody.
    pub fn step(&mut self, dt_ms: f64, now: UnixMs) {
        let mut happenings = self.world.step(dt_ms, now);
        if let Some(plan) = &mut self.plan {
            plan.disturb(&mut self.world, &mut self.counts, now);
            happenings.extend(self.world.drain());
        }
        let happenings = self.desk.step(&mut self.world, happenings, now);
        let happenings = self.clob.step(&mut self.world, happenings, now);
        let frames = self.stream.render(&happenings, &self.world, now);
        for link in &mut self.links {
            if let Session::Polymarket(session) = &mut link.session {
                let own: Vec<_> = frames.iter().filter(|frame| session.wants(frame)).collect();
                for frame in own {
                    link.send(&frame.text, &mut self.counts, now);
                }
            }
        }
        self.tell_kalshi(&happenings, now);
        self.links.retain(|link| link.last_words.is_some());
    }

    /// Public news and private ones, to everybody connected to Kalshi.
    fn tell_kalshi(&mut self, happenings: &[Happening], now: UnixMs) {
        let private = self.desk.frames(now);
        let dropped = self.desk.take_dropped_streams();
        for link in &mut self.links {
            let Session::Kalshi(session) = &mut link.session else { continue };
            let mut own = Vec::new();
            for happening in happenings {
                own.extend(session.on_event(happening, &self.world, now));
            }
            own.extend(private.iter().filter_map(|frame| session.on_private(frame, now)));
            own.extend(session.on_time(&self.world, now));
            let ends = session.member().is_some_and(|member| dropped.contains(&member.account));
            for frame in &own {
                link.send(frame, &mut self.counts, now);
            }
            if ends {
                link.queue_up(Out::Reset(String::from("{}")), now);
            }
        }
    }

    /// Frames that a fault has held back.
    pub fn flush_held(&mut self, now: UnixMs) {
        for link in &mut self.links {
            let due = link.line.as_mut().map(|line| line.due(now)).unwrap_or_default();
            for out in due {
                link.queue_up(out, now);
            }
        }
    }
}

impl Link {
    fn send(&mut self, text: &str, counts: &mut Counts, now: UnixMs) {
        match &mut self.line {
            None => self.queue_up(Out::Text(text.to_owned()), now),
            Some(line) => {
                for out in line.pass(text, counts, now) {
                    self.queue_up(out, now);
                }
            }
        }
    }

    /// A full queue is a slow reader: it is told so past the queue, and cut off.
    fn queue_up(&mut self, out: Out, now: UnixMs) {
        if out == Out::Terminate {
            for frame in self.overflow(now) {
                self.queue_up(Out::Text(frame), now);
            }
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(out)
            && let Some(last_words) = self.last_words.take()
        {
            let frames = self.overflow(now);
            // The connection may end at the same moment; then there is nobody to tell.
            let _ = last_words.send(frames);
        }
    }

    fn overflow(&mut self, now: UnixMs) -> Vec<String> {
        match &mut self.session {
            Session::Kalshi(session) => session.overflow(now),
            Session::Polymarket(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMs = UnixMs::new(1_795_175_100_000);

    fn subscribe(hall: &mut Hall, seat: &Seat) {
        let tickers: Vec<&str> = hall.world.catalog().kalshi.iter().map(|market| market.ticker.as_str()).collect();
        let command = serde_json::json!({"id": 1, "cmd": "subscribe",
            "params": {"channels": ["orderbook_delta"], "market_tickers": tickers}});
        hall.handle_text(seat.number, &command.to_string(), START);
    }

    #[test]
    fn a_reader_who_has_stopped_gets_error_25_past_his_queue_and_loses_his_seat() {
        let mut hall = Hall::new(World::new(42, 20, START), Settings::default(), 1, None, START);
        let mut seat = hall.sit(Venue::Kalshi, None, START);
        subscribe(&mut hall, &seat);
        let mut now = START;
        while !hall.links.is_empty() {
            now = UnixMs::new(now.raw() + 50);
            assert!(now.since(START) < 300_000, "a queue fills up at some time");
            hall.step(1_000.0, now);
        }
        let last_words = seat.last_words.try_recv().unwrap();
        assert_eq!(last_words.len(), 1);
        assert!(last_words[0].contains(r#""code":25"#));
        assert_eq!(seat.queue.len(), QUEUE_FRAMES);
    }

    #[test]
    fn an_hour_of_chaos_breaks_everything_there_is_to_break_except_the_world() {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..4 {
            let mut hall = Hall::new(World::new(seed, 20, START), Settings::default(), 1, Some(seed), START);
            let mut seats = [hall.sit(Venue::Kalshi, None, START), hall.sit(Venue::Polymarket, None, START)];
            subscribe(&mut hall, &seats[0]);
            let tokens: Vec<String> =
                hall.world.catalog().polymarket.iter().flat_map(|market| market.tokens.clone()).collect();
            let command = serde_json::json!({"type": "market", "assets_ids": tokens}).to_string();
            hall.handle_text(seats[1].number, &command, START);
            for number in 1..=9_000_u64 {
                let now = UnixMs::new(START.raw() + number * 100);
                hall.step(400.0, now);
                hall.flush_held(now);
                for seat in &mut seats {
                    while seat.queue.try_recv().is_ok() {}
                }
                if number % 300 == 0 {
                    subscribe(&mut hall, &seats[0]);
                }
            }
            for (name, count) in hall.counts.list() {
                *counts.entry(name).or_insert(0) += count;
            }
        }
        let never: Vec<_> = counts.iter().filter(|count| *count.1 == 0).collect();
        // A gateway answers 502 to connections, and nobody connects here.
        assert_eq!(never, [(&"bad_gateway", &0)]);
    }
}
