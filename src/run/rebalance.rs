//! Where the money lies and where it is meant to lie: the transfers that would bring it there. Advice; Orion moves
//! nothing between venues. Between Kalshi's shards it does, where it was allowed to or is told to.

use crate::unit::{Money, Venue};

/// One transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transfer {
    /// By hand: out of one venue and into the other.
    Venues { from: Venue, amount: Money },
    /// Between two shards of Kalshi's.
    Shards { from: u8, to: u8, amount: Money },
}

impl Transfer {
    /// As a line for a person.
    pub fn text(self) -> String {
        match self {
            Self::Venues { from, amount } => {
                format!("move {amount} from {from} to {} (by hand: Orion moves nothing between venues)", from.other())
            }
            Self::Shards { from, to, amount } => format!("move {amount} from Kalshi's shard {from} to shard {to}"),
        }
    }
}

/// What lies where, in cash, and what is held in positions on each venue.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// By shard, ascending.
    pub kalshi: Vec<(u8, Money)>,
    pub polymarket: Money,
    /// At cost, Kalshi's and Polymarket's: money that is there, and comes back as cash.
    pub held: [Money; 2],
}

/// The transfers that bring each venue its share and each shard of Kalshi's its own, where more than `tolerance_ppm` of
/// all there is lies wrong. `kalshi_ppm` is Kalshi's share. `percent` is what the venue itself was told to spread over
/// its shards: it does so without us.
pub fn advise(standing: &Standing, kalshi_ppm: u32, percent: &[(u8, u32)], tolerance_ppm: u32) -> Vec<Transfer> {
    let there: Money = standing.kalshi.iter().map(|(_, cash)| *cash).sum();
    let all = there + standing.polymarket + standing.held[0] + standing.held[1];
    let tolerated = all.share(tolerance_ppm);
    let mut transfers = Vec::new();
    let over = there + standing.held[0] - all.share(kalshi_ppm);
    if tolerated < over || over < -tolerated {
        let (from, cash) =
            if Money::ZERO < over { (Venue::Kalshi, there) } else { (Venue::Polymarket, standing.polymarket) };
        let amount = Money::micros(over.raw().abs()).min(cash);
        if Money::ZERO < amount {
            transfers.push(Transfer::Venues { from, amount });
        }
    }
    if percent.is_empty() && 1 < standing.kalshi.len() {
        let each = Money::micros(there.raw() / standing.kalshi.len() as i64);
        let mut over: Vec<_> = standing.kalshi.iter().map(|(shard, cash)| (*shard, *cash - each)).collect();
        // The fullest shard fills the emptiest one until nothing that matters lies wrong.
        for _ in 1..standing.kalshi.len() {
            let (Some(most), Some(least)) = (
                (0..over.len()).max_by_key(|at| over[*at].1.raw()),
                (0..over.len()).min_by_key(|at| over[*at].1.raw()),
            ) else {
                break;
            };
            let amount = over[most].1.min(Money::ZERO - over[least].1);
            if amount <= there.share(tolerance_ppm) {
                break;
            }
            over[most].1 -= amount;
            over[least].1 += amount;
            transfers.push(Transfer::Shards { from: over[most].0, to: over[least].0, amount });
        }
    }
    transfers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dollars(amount: i64) -> Money {
        Money::dollars(amount)
    }

    #[test]
    fn money_that_lies_wrong_is_told_and_a_little_of_it_is_not() {
        let at = |kalshi: i64, polymarket: i64, held: [i64; 2]| {
            let standing = Standing {
                kalshi: vec![(0, dollars(kalshi))],
                polymarket: dollars(polymarket),
                held: held.map(dollars),
            };
            advise(&standing, 500_000, &[], 50_000)
        };
        assert_eq!(at(5_000, 5_000, [0, 0]), []);
        assert_eq!(at(5_400, 4_600, [0, 0]), [], "four per cent are tolerated");
        assert_eq!(at(6_000, 4_000, [0, 0]), [Transfer::Venues { from: Venue::Kalshi, amount: dollars(1_000) }]);
        assert_eq!(at(2_000, 8_000, [0, 0]), [Transfer::Venues { from: Venue::Polymarket, amount: dollars(3_000) }]);
        assert_eq!(at(1_000, 5_000, [4_000, 0]), [], "what is held comes back as cash");
        let short = at(0, 500, [1_000, 8_500]);
        assert_eq!(
            short,
            [Transfer::Venues { from: Venue::Polymarket, amount: dollars(500) }],
            "no more than there is"
        );
        assert_eq!(at(0, 0, [0, 10_000]), []);
        assert!(short[0].text().contains("from polymarket to kalshi"), "{}", short[0].text());
    }

    #[test]
    fn shards_are_filled_evenly_unless_the_venue_does_so_itself() {
        let standing = Standing {
            kalshi: vec![(0, dollars(9_000)), (2, dollars(0)), (3, dollars(3_000))],
            polymarket: dollars(12_000),
            held: [Money::ZERO; 2],
        };
        let [one, two] = [(0, 2, 4_000), (0, 3, 1_000)].map(|(from, to, amount)| Transfer::Shards {
            from,
            to,
            amount: dollars(amount),
        });
        assert_eq!(advise(&standing, 500_000, &[], 50_000), [one, two]);
        assert_eq!(advise(&standing, 500_000, &[(0, 60), (2, 40)], 50_000), []);
    }
}
