//! What happens in a run besides trading: the crowd, calm, kills, a person who halts.

use orion::ledger::journal::{self, Record};

use super::*;

impl Whole {
    /// A process that has just started opens its connections.
    pub(super) fn begin(&mut self) {
        for pipe in Pipe::ALL {
            self.reopen(pipe, Nanos::millis(30));
        }
        self.push(Nanos::millis(1), Due::Turn(self.life));
    }

    /// The crowd leaves a gap for a while, or closes it.
    pub(super) fn crowd(&mut self, pair: usize) {
        let gap = self.leaves_gaps() && self.rng.u8(..3) != 0;
        if gap {
            let shift = if self.rng.bool() { 800 } else { -800 };
            let on_kalshi = self.rng.bool();
            let (kalshi, polymarket) = if on_kalshi { (shift, 0) } else { (0, shift) };
            self.quote(pair, kalshi, polymarket);
        } else {
            self.quote(pair, 0, 0);
        }
        // A book that nobody touches for long is not traded on.
        let span = if self.leaves_gaps() { self.rng.u64(500..5_000) } else { 25_000 };
        self.push(Nanos::millis(span), Due::Crowd(pair));
    }

    /// Do gaps open?
    pub(super) fn leaves_gaps(&self) -> bool {
        self.now.since(CLOCK) < self.course.span
    }

    /// Both books of a pair around its value, each shifted by so much.
    pub(super) fn quote(&mut self, pair: usize, kalshi: i32, polymarket: i32) {
        let (_, k, p, inverted) = self.ground.pairs[pair];
        let fair = i32::from(self.fair[pair]);
        let own = if inverted { 10_000 - fair - polymarket } else { fair + polymarket };
        for (venue, market, mid) in [(Venue::Kalshi, k, fair + kalshi), (Venue::Polymarket, p, own)] {
            let mut levels = |sign: i32| -> Vec<(Price, Qty)> {
                (1..=3)
                    .map(|step| {
                        let price = Price::new((mid + sign * 100 * step) as u16).unwrap();
                        // Far away there is enough for everybody who has to get out.
                        let hundredths = if step == 3 { 60_000 } else { self.rng.u64(500..9_000) };
                        (price, Qty::new(10_000 * hundredths).unwrap())
                    })
                    .collect()
            };
            let (bids, asks) = (levels(-1), levels(1));
            self.venues.quote(venue, market, &bids, &asks);
        }
    }

    /// From here on nothing goes wrong, and no gap opens.
    pub fn calm(&mut self) {
        self.rough = false;
        self.venues.peace();
        self.course.span = Nanos::ZERO;
        for pair in 0..self.fair.len() {
            self.quote(pair, 0, 0);
        }
    }

    /// Everything comes to its end; what does not hold is returned.
    pub fn rest(&mut self) -> Vec<String> {
        self.come_to_rest();
        self.verdict()
    }

    pub fn come_to_rest(&mut self) {
        self.calm();
        loop {
            let (kills, end) = (self.kills, self.now + REST);
            while self.now < end && !self.is_quiet() {
                self.pass(Nanos::secs(1));
            }
            // Reports that come late may not change anything any more, and both accounts are read once more.
            self.pass(Nanos::secs(35));
            // A process that was to die may do so as late as here.
            if self.kills == kills {
                break;
            }
        }
        self.tickets += self.engine.trader.executor().ticket_counts().used;
    }

    pub(super) fn is_quiet(&mut self) -> bool {
        // What a power cut took with it leaves accounts that never agree again.
        let settled = self.engine.trader.is_clean() || 0 < self.power.cuts && self.fallen.is_some();
        self.engine.trader.executor().plans() == 0 && settled
    }

    /// Is the record written that was to be the last? What came behind it in the same moment never was.
    pub(super) fn has_died(&mut self) -> bool {
        let journal = self.engine.trader.executor().journal_mut();
        if let Some(last) = self.dies_after
            && last < journal.next_sequence()
            && self.dead.is_none()
        {
            self.dies_after = None;
            let mut bytes = journal.store().bytes().to_vec();
            let end = checks::end_of(&bytes, last);
            bytes[end..].fill(0);
            self.dead = Some(bytes);
        }
        self.dead.is_some()
    }

    /// The process is killed and started anew from its journal.
    pub fn kill(&mut self) {
        let journal = self.engine.trader.executor().journal_mut().store().bytes().to_vec();
        self.restart(&journal);
    }

    /// Half of the journal is lost, with an order on its way where it breaks off; a person has the venues taken for right.
    pub fn rebuild(&mut self) {
        let mut bytes = self.engine.trader.executor().journal_mut().store().bytes().to_vec();
        let records = journal::replay(&bytes, 1, Some(1)).unwrap().records;
        let mut orders =
            records[..records.len() / 2].iter().filter(|(_, record)| matches!(record, Record::Intended { .. }));
        let end = checks::end_of(&bytes, orders.next_back().map_or(1, |(number, _)| *number));
        bytes[end..].fill(0);
        self.restart(&bytes);
        self.engine.trader.adopt();
    }

    pub(super) fn restart(&mut self, journal: &[u8]) {
        self.life += 1;
        self.kills += 1;
        self.tickets += self.engine.trader.executor().ticket_counts().used;
        self.flights = 0;
        let halted = self.fallen.map(|_| Latch::FoundAtStart);
        for pipe in Pipe::ALL {
            self.venues.close(pipe);
            let line = &mut self.lines[pipe.index()];
            (line.up, line.number) = (false, line.number + 1);
        }
        let down = Nanos::millis(self.rng.u64(300..3_000));
        self.pass(down);
        self.watch.restarted(journal);
        let (at, bug) = (self.at(), self.course.bug);
        let wrap = |_, inner| Saboteur::wrap(bug, inner);
        self.engine = Engine::start(&self.ground, &self.venues, Some(journal), at, halted, self.flatten, wrap);
        self.begin();
    }

    /// A person lets the latch fall.
    pub fn halt(&mut self) {
        let at = self.at();
        self.engine.detector.control(&Control::Halt { latch: Latch::Person }, at, &mut self.engine.out);
        self.decide();
    }

    /// A person wants everything sold.
    pub fn flatten(&mut self) {
        let at = self.at();
        self.flatten = Some(at.unix);
        self.engine.detector.control(&Control::Flatten, at, &mut self.engine.out);
        self.halt();
    }

    /// The cold side reads the catalogues once a minute: what a stream did not say is told there.
    pub(super) fn read_catalogues(&mut self) {
        let at = self.at();
        for pair in 0..self.ground.pairs.len() {
            let (_, k, p, _) = self.ground.pairs[pair];
            for (venue, market) in [(Venue::Kalshi, k), (Venue::Polymarket, p)] {
                if let Some(yes_payout) = self.venues.paid(venue, market) {
                    let market = engine::slot(pair, venue);
                    let control = Control::Settled { market, yes_payout };
                    self.engine.detector.control(&control, at, &mut self.engine.out);
                }
            }
        }
    }
}
