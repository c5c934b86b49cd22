//! Dislocations: one venue of a pair stands alone for a moment, far enough to be worth taking after fees, or not.

use super::{Dislocation, PAIRS, Phase, RUN_SECS, Stage, World};
use crate::sim::listing::Topic;
use crate::unit::{BookSide, Price, Venue};

impl World {
    /// Opens a gap on a random pair that is calm, if one fits.
    pub(super) fn dislocate(&mut self) {
        let worth_it = self.rng.f64() < 0.6;
        for _ in 0..24 {
            let topic = self.rng.usize(0..PAIRS);
            if self.is_calm(topic) && self.open_gap(topic, worth_it) {
                return;
            }
        }
    }

    pub(super) fn is_calm(&self, topic: usize) -> bool {
        let mind = &self.minds[topic];
        let far_from_close = mind.closes_at.is_none_or(|at| self.virtual_secs + RUN_SECS + 120.0 < at);
        let ordinary = !self.catalog.topics[topic].odd && mind.dislocation.is_none() && mind.stage == Stage::Open;
        let active = self.venues(topic).all(|(venue, market)| self.phase(venue, market) == Phase::Active);
        let thin = self.venues(topic).any(|(venue, market)| self.makers[venue as usize][market].is_thin());
        far_from_close && ordinary && active && !thin && (1_000.0..9_000.0).contains(&mind.fair)
    }

    fn open_gap(&mut self, topic: usize, worth_it: bool) -> bool {
        let Topic { kalshi: Some(kalshi), polymarket: Some(polymarket), .. } = self.catalog.topics[topic] else {
            return false;
        };
        let (loner, crowd) = if self.rng.bool() {
            ((Venue::Kalshi, kalshi), (Venue::Polymarket, polymarket))
        } else {
            ((Venue::Polymarket, polymarket), (Venue::Kalshi, kalshi))
        };
        let rise = self.rng.bool();
        let fair = self.minds[topic].fair;
        let fees = self.fees(kalshi, polymarket, fair);
        let gross = if worth_it { fees + 230.0 + self.rng.f64() * 100.0 } else { 50.0 + self.rng.f64() * 100.0 };
        // The other book has to stand where the value is before the gap is measured from it.
        self.requote(crowd.0, crowd.1, fair);
        let crowd_touch = self.touch(crowd, rise);
        let Some(edge) = crowd_touch else { return false };
        let goal = if rise { edge + gross } else { edge - gross };
        let shift = self.makers[loner.0 as usize][loner.1].half_spread();
        let step = self.grid_step(loner, goal);
        // A maker rounds his bid down and his ask up; half a step keeps the gap near its goal.
        let round = if worth_it { step - 1.0 } else { step * 0.5 };
        let new_fair = if rise { goal + shift + round } else { goal - shift - round };
        let promised = self.gap_if(loner, new_fair, edge, rise);
        let fits = if worth_it {
            fees + 200.0 <= promised && promised <= 640.0
        } else {
            50.0 <= promised && promised + 10.0 < fees
        };
        if !fits || !(600.0..9_400.0).contains(&new_fair) {
            return false;
        }
        self.requote(loner.0, loner.1, new_fair);
        let lags = self.rng.bool();
        let life = if worth_it { 1_600.0 + self.rng.f64() * 3_200.0 } else { 300.0 + self.rng.f64() * 3_500.0 };
        self.minds[topic].dislocation =
            Some(Dislocation { until: self.wall_ms() + life, fair_after: if lags { new_fair } else { fair } });
        self.opened[usize::from(!worth_it)] += 1;
        true
    }

    /// Where the crowd's venue sells (or buys) in Kalshi's terms.
    fn touch(&self, (venue, market): (Venue, usize), rise: bool) -> Option<f64> {
        let flipped = self.makers[venue as usize][market].is_flipped();
        let side = if rise == flipped { BookSide::Bid } else { BookSide::Ask };
        let best = self.exchange(venue).market(market).best(side)?;
        Some(f64::from(if flipped { best.complement() } else { best }.raw()))
    }

    fn grid_step(&self, (venue, market): (Venue, usize), at: f64) -> f64 {
        let price = Price::new(at.clamp(1.0, 9_999.0) as u16).unwrap_or(Price::MIN);
        f64::from(self.exchange(venue).market(market).grid().step_at(price))
    }

    fn gap_if(&self, (venue, market): (Venue, usize), fair: f64, edge: f64, rise: bool) -> f64 {
        let maker = &self.makers[venue as usize][market];
        let Some((bid, ask)) = maker.quotes(self.exchange(venue).market(market).grid(), fair) else { return -1.0 };
        let (bid, ask) = if maker.is_flipped() { (ask.complement(), bid.complement()) } else { (bid, ask) };
        if rise { f64::from(bid.raw()) - edge } else { edge - f64::from(ask.raw()) }
    }

    /// Both taker fees per contract around `fair`, in price units.
    fn fees(&self, kalshi: usize, polymarket: usize, fair: f64) -> f64 {
        let event = &self.catalog.kalshi_events[self.catalog.kalshi[kalshi].event];
        let multiplier = event.fee_override.map_or(self.catalog.series[event.series].fee_multiplier, |fee| fee.1);
        let rate = self.catalog.polymarket[polymarket].fee.map_or(0, |fee| fee.rate);
        let share = fair / 10_000.0;
        let both = 0.07 * f64::from(multiplier) / 1e6 + f64::from(rate) / 1e6;
        both * share * (1.0 - share) * 10_000.0
    }
}
