//! The prices that a market accepts.

use super::Price;

/// One stretch of a price grid: multiples of `step` from `start` to `end`, both inclusive, in price units.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Band {
    pub start: u16,
    pub end: u16,
    pub step: u16,
}

/// The prices a market accepts, as up to three bands. 0 and 1 are band ends, never prices.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grid {
    bands: [Band; Self::BANDS_MAX],
    len: u8,
}

impl Grid {
    /// Kalshi's documented structures need three at most; more is a grid we do not know.
    pub const BANDS_MAX: usize = 3;

    /// A grid from bands that ascend, touch one another and have a step above zero.
    #[must_use]
    pub fn new(bands: &[Band]) -> Option<Self> {
        if bands.is_empty() || Self::BANDS_MAX < bands.len() {
            return None;
        }
        let sound = |band: &Band| {
            0 < band.step
                && band.start < band.end
                && band.end <= Price::DOLLAR
                && (band.end - band.start).is_multiple_of(band.step)
        };
        if !bands.iter().all(sound) || bands.windows(2).any(|pair| pair[0].end != pair[1].start) {
            return None;
        }
        let mut grid = Self { bands: [Band::default(); Self::BANDS_MAX], len: bands.len() as u8 };
        grid.bands[..bands.len()].copy_from_slice(bands);
        Some(grid)
    }

    /// One step everywhere, in price units; `None` unless it divides a dollar.
    #[must_use]
    pub fn even(step: u16) -> Option<Self> {
        if step == 0 || !Price::DOLLAR.is_multiple_of(step) {
            return None;
        }
        Self::new(&[Band { start: 0, end: Price::DOLLAR, step }])
    }

    /// The bands in ascending order.
    #[must_use]
    pub fn bands(&self) -> &[Band] {
        &self.bands[..usize::from(self.len)]
    }

    /// Does the venue take an order at this price?
    #[must_use]
    pub fn holds(&self, price: Price) -> bool {
        let raw = price.raw();
        self.bands().iter().any(|b| b.start <= raw && raw <= b.end && (raw - b.start).is_multiple_of(b.step))
    }

    /// The step around `price`; where two bands meet, the coarser one.
    #[must_use]
    pub fn step_at(&self, price: Price) -> u16 {
        let raw = price.raw();
        self.bands().iter().filter(|b| b.start <= raw && raw <= b.end).map(|b| b.step).max().unwrap_or(Price::DOLLAR)
    }

    /// The largest number that divides every price of the grid.
    #[must_use]
    pub fn unit(&self) -> u16 {
        self.bands().iter().fold(0, |unit, b| gcd(gcd(unit, b.step), b.start))
    }
}

/// The greatest common divisor; `gcd(0, n)` is `n`.
#[must_use]
pub const fn gcd(a: u16, b: u16) -> u16 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tapered_grid_is_fine_at_the_edges_only() {
        let band = |start, end, step| Band { start, end, step };
        let grid = Grid::new(&[band(0, 1_000, 10), band(1_000, 9_000, 100), band(9_000, 10_000, 10)]).unwrap();
        assert!(grid.holds(Price::new(990).unwrap()));
        assert!(!grid.holds(Price::new(1_010).unwrap()));
        assert!(grid.holds(Price::new(9_010).unwrap()));
        assert_eq!(grid.unit(), 10);
        assert_eq!(grid.step_at(Price::new(1_000).unwrap()), 100);
        assert!(Grid::new(&[band(0, 1_000, 0)]).is_none());
        assert!(Grid::new(&[band(0, 1_000, 10), band(2_000, 10_000, 100)]).is_none());
        assert!(Grid::even(3).is_none());
        assert_eq!(Grid::even(25).map(|g| g.unit()), Some(25));
    }
}
