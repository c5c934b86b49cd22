//! Live trading begins with the smallest orders that both venues take, and grows by evidence: plans whose two legs came
//! out equal. What went wrong takes it back.

/// How far sizes have grown. One step doubles them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ramp {
    level: u8,
    /// Good endings in a row on this level.
    good: u32,
}

/// What the end of a plan says of the next one's size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Evidence {
    /// Both legs hold the same.
    Even,
    /// Nothing was filled.
    None,
    /// One leg had to be closed again, or holds something too small to close.
    Uneven,
    /// One leg stands alone.
    Naked,
}

impl Ramp {
    /// Good endings in a row that double the size.
    pub const EVERY: u32 = 5;
    /// After so many doublings sizes are no longer held back: four thousand times the smallest order.
    pub const LEVELS: u8 = 12;

    /// The ramp after these endings, oldest first.
    pub fn after(endings: impl IntoIterator<Item = Evidence>) -> Self {
        let mut ramp = Self::default();
        endings.into_iter().for_each(|ending| ramp.ended(ending));
        ramp
    }

    /// A plan has ended.
    pub fn ended(&mut self, evidence: Evidence) {
        match evidence {
            Evidence::None => {}
            Evidence::Even => {
                self.good += 1;
                if self.good == Self::EVERY && self.level < Self::LEVELS {
                    (self.level, self.good) = (self.level + 1, 0);
                }
            }
            Evidence::Uneven => (self.level, self.good) = (self.level.saturating_sub(1), 0),
            Evidence::Naked => *self = Self::default(),
        }
    }

    /// How many times the smallest order may be sent; `None`: as much as everything else allows.
    pub const fn times(self) -> Option<u64> {
        if self.level < Self::LEVELS { Some(1 << self.level) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_even_endings_in_a_row_double_the_size_and_what_goes_wrong_takes_it_back() {
        use Evidence::{Even, Naked, None as Nothing, Uneven};
        let times = |endings: &[Evidence]| Ramp::after(endings.iter().copied()).times();
        assert_eq!(times(&[]), Some(1));
        assert_eq!(times(&[Even; 4]), Some(1));
        assert_eq!(times(&[Even, Even, Nothing, Even, Nothing, Even, Even]), Some(2), "a missed plan says nothing");
        assert_eq!(times(&[Even, Even, Even, Even, Uneven, Even]), Some(1), "five in a row");
        let ten = [Even; 10];
        assert_eq!(times(&ten), Some(4));
        assert_eq!(times(&[&ten[..], &[Uneven]].concat()), Some(2));
        assert_eq!(times(&[&ten[..], &[Naked]].concat()), Some(1));
        let all = vec![Even; (Ramp::EVERY * u32::from(Ramp::LEVELS)) as usize];
        assert_eq!(times(&all[1..]), Some(1 << (Ramp::LEVELS - 1)));
        assert_eq!(times(&all), None);
        assert_eq!(Ramp::after([&all[..], &[Even; 9]].concat()).times(), None);
    }
}
