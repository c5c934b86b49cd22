//! Polymarket does not say what a trade was charged. The wallet does: between two readings with nothing on its way its
//! cash moves by what was booked, with the fees that were predicted, and by what was redeemed or paid in by hand.
//!
//! What a newcomer gets wrong: a payout is booked when its market pays, and arrives when somebody redeems it. So more
//! cash than booked says nothing while payouts are outstanding, and less always does.

use crate::unit::{MarketId, Money, UnixMs};

/// A reading begun so soon after the last trade became final may not have seen it.
const LAG_MS: u64 = 5_000;
/// Readings in a row that say the same.
const READINGS: u32 = 2;
/// Fractions of a micro-dollar in each trade are rounded against us.
const ROUNDING: Money = Money::micros(1);

/// What the wallet should hold.
#[derive(Debug, Default)]
pub struct Purse {
    /// At the last reading that fitted.
    cash: Option<Money>,
    /// Booked since: what trades brought, less what they cost, with predicted fees.
    moved: Money,
    /// Predicted fees within that.
    fees: Money,
    trades: i64,
    markets: Vec<MarketId>,
    /// Booked as paid and not seen in the wallet yet.
    owed: Money,
    last: UnixMs,
    off: u32,
}

/// What was charged is not what was predicted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Off {
    /// Charged beyond what was predicted; negative where it was less.
    pub by: Money,
    pub predicted: Money,
}

impl Purse {
    /// A trade was booked, or taken back: what it moved, its predicted fee within.
    pub fn traded(&mut self, market: MarketId, moved: Money, fee: Money, at: UnixMs) {
        self.moved += moved;
        self.fees += fee;
        self.trades += 1;
        if !self.markets.contains(&market) {
            self.markets.push(market);
        }
        self.last = at;
    }

    /// A trade is final: its cash moved just now.
    pub fn settled(&mut self, at: UnixMs) {
        self.last = at;
    }

    /// A market has paid; the money comes when it is redeemed.
    pub fn paid(&mut self, amount: Money) {
        self.owed += amount;
    }

    /// The wallet was read, begun at `asked`, with nothing on its way. Says what does not fit once it is sure; the
    /// markets that were traded meanwhile are then in [`Purse::suspects`].
    pub fn read(&mut self, cash: Money, asked: UnixMs) -> Option<Off> {
        if asked.since(self.last) < LAG_MS {
            return None;
        }
        let Some(before) = self.cash else {
            self.begin(cash);
            return None;
        };
        let more = cash - before - self.moved;
        let rounding = Money::micros(ROUNDING.raw() * self.trades);
        let less = more < -rounding;
        // Nothing is owed, and what is there too much is no more than the fees: they were lower, and nobody paid in.
        let cheaper = rounding < more && more <= self.fees && self.owed == Money::ZERO;
        if self.trades == 0 || !(less || cheaper) {
            self.owed -= more.max(Money::ZERO).min(self.owed);
            self.begin(cash);
            return None;
        }
        self.off += 1;
        (self.off == READINGS).then_some(Off { by: -more, predicted: self.fees })
    }

    /// The markets whose trades do not fit; from here on it is counted anew.
    pub fn suspects(&mut self, cash: Money) -> Vec<MarketId> {
        let markets = std::mem::take(&mut self.markets);
        self.begin(cash);
        markets
    }

    fn begin(&mut self, cash: Money) {
        self.cash = Some(cash);
        (self.moved, self.fees, self.trades, self.off) = (Money::ZERO, Money::ZERO, 0, 0);
        self.markets.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(dollars: i64) -> Money {
        Money::dollars(dollars)
    }

    fn at(seconds: u64) -> UnixMs {
        UnixMs::new(1_795_175_100_000 + seconds * 1_000)
    }

    /// A wallet of a hundred dollars from which a trade of 50 with a predicted fee of one was booked.
    fn traded() -> Purse {
        let mut purse = Purse::default();
        assert_eq!(purse.read(usd(100), at(10)), None);
        purse.traded(MarketId(7), usd(-51), usd(1), at(20));
        purse
    }

    #[test]
    fn a_fee_as_predicted_fits_and_one_that_is_higher_does_not() {
        let mut purse = traded();
        assert_eq!(purse.read(usd(49), at(30)), None);
        assert_eq!(purse.read(usd(49), at(60)), None);
        let mut purse = traded();
        assert_eq!(purse.read(usd(48), at(30)), None, "readings lag: one says nothing");
        let off = purse.read(usd(48), at(60));
        assert_eq!(off, Some(Off { by: usd(1), predicted: usd(1) }));
        assert_eq!(purse.suspects(usd(48)), [MarketId(7)]);
        assert_eq!(purse.read(usd(48), at(90)), None);
    }

    #[test]
    fn a_lower_fee_is_one_too_and_money_paid_in_is_not() {
        let mut purse = traded();
        let half = Money::micros(500_000);
        assert_eq!(purse.read(usd(49) + half, at(30)), None);
        assert_eq!(purse.read(usd(49) + half, at(60)).map(|off| off.by), Some(-half));
        let mut purse = traded();
        assert_eq!(purse.read(usd(1_049), at(30)), None);
        assert_eq!(purse.read(usd(1_049), at(60)), None, "somebody paid a thousand in");
    }

    #[test]
    fn payouts_come_when_they_come() {
        let mut purse = traded();
        purse.paid(usd(100));
        assert_eq!(purse.read(usd(49), at(30)), None, "not redeemed yet");
        purse.traded(MarketId(8), usd(-10), usd(1), at(40));
        assert_eq!(purse.read(usd(139), at(50)), None, "redeemed: the wallet has both");
        purse.traded(MarketId(8), usd(-10), usd(1), at(60));
        let late = [purse.read(usd(128), at(61)), purse.read(usd(128), at(70)), purse.read(usd(128), at(100))];
        assert_eq!(late, [None, None, Some(Off { by: usd(1), predicted: usd(1) })], "too soon; once; twice");
    }

    #[test]
    fn cash_moves_when_a_trade_is_final_and_readings_lag_behind_that() {
        let mut purse = traded();
        purse.settled(at(40));
        // A reading that has not seen it shows more than was booked, as if somebody had paid in.
        assert_eq!(purse.read(usd(100), at(41)), None);
        assert_eq!((purse.read(usd(49), at(50)), purse.read(usd(49), at(80))), (None, None));
    }

    #[test]
    fn a_failed_trade_is_taken_back_with_its_fee() {
        let mut purse = traded();
        purse.traded(MarketId(7), usd(51), usd(-1), at(25));
        assert_eq!((purse.read(usd(100), at(31)), purse.read(usd(100), at(60))), (None, None));
    }
}
