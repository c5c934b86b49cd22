//! Between engine and exchanges: four connections and every call, with all that a network does to them.

use super::*;

impl Whole {
    /// One in so many, as rough as the course is.
    pub(super) fn strikes(&mut self, part: u32) -> bool {
        let strikes = self.rough && self.rng.u32(..1_000) < self.course.per_mille / part;
        self.faults += u64::from(strikes);
        if strikes {
            self.watch.fault(self.now);
        }
        strikes
    }

    /// One way through the network.
    pub(super) fn way(&mut self) -> Nanos {
        if self.strikes(3) {
            return Nanos::millis(self.rng.u64(200..8_000));
        }
        Nanos::new(self.rng.u64(500_000..50_000_000))
    }

    /// What was said on the connections travels.
    pub(super) fn listen(&mut self) {
        for (pipe, text) in std::mem::take(&mut self.venues.said) {
            let mut way = if text.is_some() && matches!(pipe, Pipe::Public(_)) {
                Nanos::new(self.rng.u64(500_000..20_000_000))
            } else {
                self.way()
            };
            if way > Nanos::secs(3) {
                way = Nanos::secs(3);
            }
            let line = &mut self.lines[pipe.index()];
            line.last = line.last.max(self.now + way);
            let (at, number) = (line.last, line.number);
            self.push_at(at, Due::Frame(pipe, number, text));
        }
    }

    pub(super) fn frame(&mut self, pipe: Pipe, number: u32, text: Option<String>) {
        let line = &self.lines[pipe.index()];
        if line.number != number || !line.up {
            return;
        }
        let cut = text.is_none() || self.strikes(10);
        if cut {
            // What was on its way behind it is lost.
            return self.lost(pipe);
        }
        let mut text = text.unwrap().into_bytes();
        let at = self.at();
        match pipe {
            Pipe::Public(venue) => {
                let mut out = venue::Out::default();
                self.engine.feeds[venue as usize].text(&mut text, at, &mut out);
                self.fed(venue, out);
            }
            Pipe::Private(venue) => {
                if self.strikes(20) {
                    let mut again = text.clone();
                    self.engine.trader.text(venue, &mut again, at);
                }
                self.engine.trader.text(venue, &mut text, at);
                self.turn();
            }
        }
    }

    /// What a feed wants and learnt.
    pub(super) fn fed(&mut self, venue: Venue, out: venue::Out) {
        for update in &out.updates {
            self.engine.detector.apply(update, &mut self.engine.out);
        }
        let pipe = Pipe::Public(venue);
        for text in out.sends {
            self.say(pipe, text);
        }
        if out.lost.is_some() {
            self.lost(pipe);
        }
        if !out.updates.is_empty() {
            self.decide();
        }
    }

    pub(super) fn say(&mut self, pipe: Pipe, text: String) {
        let number = self.lines[pipe.index()].number;
        let way = Nanos::new(self.rng.u64(500_000..20_000_000));
        self.push(way, Due::Say(pipe, number, text));
    }

    /// A connection is gone; it is dialled again a moment later.
    pub(super) fn lost(&mut self, pipe: Pipe) {
        self.lines[pipe.index()].up = false;
        self.venues.close(pipe);
        if let Pipe::Public(venue) = pipe {
            let (feed, none) = (FeedId(venue as u8), UnixMs::default());
            let update = Update { market: MarketId(0), feed, link: 0, at: self.at(), stamp: none, kind: Kind::Lost };
            self.engine.detector.apply(&update, &mut self.engine.out);
        }
        let later = if self.rough { self.rng.u64(250..3_000) } else { 250 };
        self.reopen(pipe, Nanos::millis(later));
    }

    pub(super) fn reopen(&mut self, pipe: Pipe, later: Nanos) {
        let line = &mut self.lines[pipe.index()];
        line.number += 1;
        line.up = false;
        let number = line.number;
        self.venues.close(pipe);
        self.push(later, Due::Open(pipe, number));
    }

    pub(super) fn open(&mut self, pipe: Pipe, number: u32) {
        let now = self.now;
        let line = &mut self.lines[pipe.index()];
        if line.number != number {
            return;
        }
        (line.up, line.last, line.pinged) = (true, now, now);
        self.venues.open(pipe);
        let at = self.at();
        match pipe {
            Pipe::Public(venue) => {
                let mut out = venue::Out::default();
                self.engine.feeds[venue as usize].opened(at, &mut out);
                self.fed(venue, out);
            }
            Pipe::Private(venue) => {
                self.engine.trader.opened(venue, at);
                self.turn();
            }
        }
    }

    /// What the threads do by the clock: Kalshi's server pings every ten seconds, feeds look at the time.
    pub(super) fn keep_up(&mut self) {
        let (at, due) = (self.at(), CALM <= self.now.since(self.turned));
        if !due {
            return;
        }
        self.turned = self.now;
        for pipe in Pipe::ALL {
            let line = &mut self.lines[pipe.index()];
            if !line.up {
                continue;
            }
            let pings = Nanos::secs(5) <= at.now.since(line.pinged);
            if pings {
                line.pinged = at.now;
            }
            match pipe {
                Pipe::Public(venue) => {
                    let mut out = venue::Out::default();
                    let feed = &mut self.engine.feeds[venue as usize];
                    if pings && venue == Venue::Kalshi {
                        feed.alive(at, &mut out);
                    }
                    feed.timeout(at, &mut out);
                    self.fed(venue, out);
                }
                Pipe::Private(Venue::Kalshi) if pings => self.engine.trader.alive(Venue::Kalshi, at),
                Pipe::Private(_) => {}
            }
        }
        self.decide();
    }

    /// A call leaves, or does not. `true` if its end is known at once.
    pub(super) fn carry(&mut self, venue: Venue, call: Call) -> bool {
        if self.dead.is_some() {
            return false;
        }
        self.watch.call(venue, &call, &mut self.power.asked);
        let Call { no, lane, wait, bytes } = call;
        if self.trips && lane != Lane::Read && self.rng.u8(..8) == 0 {
            self.fallen = self.fallen.or(Some(self.now));
        }
        let ignores = self.course.bug == Some(Bug::LatchIgnored);
        if lane == Lane::Entry && self.fallen.is_some() && !ignores {
            self.held_back += 1;
            self.engine.trader.answered(venue, no, Answer::NotSent, self.at());
            return true;
        }
        if self.strikes(10) {
            self.engine.trader.answered(venue, no, Answer::NotSent, self.at());
            return true;
        }
        self.check_records();
        self.watch.leaves(venue, lane, &bytes, self.fallen.is_some());
        let until = self.now + wait;
        let (there, back) = (self.way(), self.way());
        let (never, lost) = (self.strikes(4), self.strikes(4));
        let flight = Flight { venue, no, until, back, lost, life: self.life };
        self.flights += 1;
        if never {
            // The connection ends, or nothing is heard of it ever again.
            let cut = self.rng.bool();
            let (at, why) = if cut { (self.now + there, Unclear::Cut) } else { (until, Unclear::TimedOut) };
            self.push_at(at.min(until), Due::Answer(flight, Back::Lost(why)));
        } else {
            self.push(there, Due::Arrive(flight, bytes));
        }
        if lane != Lane::Read {
            self.has_left();
        }
        false
    }

    pub(super) fn arrive(&mut self, flight: Flight, bytes: &[u8]) {
        match self.venues.ask(flight.venue, bytes) {
            Reply::Held(call) => self.push(Nanos::millis(5), Due::Held(flight, call)),
            reply @ Reply::Now { .. } => self.replied(flight, reply),
        }
    }

    pub(super) fn replied(&mut self, flight: Flight, reply: Reply) {
        let Reply::Now { at, whole } = reply else { unreachable!("it was answered") };
        let late = Nanos::millis(at.since(self.at().unix));
        let comes = self.now + late + flight.back;
        let (comes, back) = match whole {
            _ if flight.until < comes => (flight.until.max(self.now), Back::Lost(Unclear::TimedOut)),
            None => (comes, Back::Lost(Unclear::Cut)),
            Some(_) if flight.lost => (comes, Back::Lost(Unclear::Cut)),
            Some((status, body)) => (comes, Back::Whole(status, body)),
        };
        self.push_at(comes, Due::Answer(flight, back));
    }

    pub(super) fn answered(&mut self, flight: &Flight, back: Back) {
        if flight.life != self.life {
            return;
        }
        self.flights -= 1;
        let (at, venue, no) = (self.at(), flight.venue, flight.no);
        let trader = &mut self.engine.trader;
        match back {
            Back::Whole(status, mut body) => trader.answered(venue, no, Answer::Whole { status, body: &mut body }, at),
            Back::NotSent => trader.answered(venue, no, Answer::NotSent, at),
            Back::Lost(why) => trader.answered(venue, no, Answer::Lost(why), at),
        }
        self.turn();
    }
}
