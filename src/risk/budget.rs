//! What capital allows now: bankroll, allocation per venue (and Kalshi shard), reserve, per-event exposure, the day's
//! result. One owner; money is reserved when a plan opens and either spent by its fills or released at its end.

use super::Latch;
use crate::{
    decide::Caps,
    unit::{Money, Qty, Venue},
};

/// Kalshi shards that may hold cash of their own.
pub const SHARDS_MAX: usize = 16;

/// Shares of the bankroll, from the configuration, in millionths.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    pub trade_ppm: u32,
    pub event_ppm: u32,
    pub reserve_ppm: u32,
    pub daily_loss_ppm: u32,
    pub drawdown_ppm: u32,
}

/// The cash of one venue, or of one shard of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Account {
    /// What the venue would report: paid in, minus costs and fees, plus payouts.
    pub cash: Money,
    /// Promised to open plans.
    pub reserved: Money,
    /// What the venue says is there, brought up to date by what was traded since; `None` on paper.
    pub there: Option<Money>,
}

/// What may be spent.
#[derive(Clone, Debug)]
pub struct Budget {
    shares: Shares,
    bankroll: Money,
    /// Kalshi by shard, then Polymarket.
    accounts: [[Account; SHARDS_MAX]; 2],
    /// What each venue was given.
    allocated: [Money; 2],
    /// Money at risk by event.
    events: Vec<Money>,
    day: u64,
    realised_today: Money,
    /// Realised since the start, and the most that it ever was.
    realised: Money,
    peak: Money,
}

impl Budget {
    /// A budget over `bankroll`, with the cash found on each account and room for `events` events.
    pub fn new(shares: Shares, bankroll: Money, allocated: [Money; 2], events: usize) -> Self {
        Self {
            shares,
            bankroll,
            accounts: [[Account::default(); SHARDS_MAX]; 2],
            allocated,
            events: vec![Money::ZERO; events],
            day: 0,
            realised_today: Money::ZERO,
            realised: Money::ZERO,
            peak: Money::ZERO,
        }
    }

    /// The account that pays for markets of `venue` on `shard`.
    pub fn account(&self, venue: Venue, shard: u8) -> &Account {
        &self.accounts[venue as usize][usize::from(shard) % SHARDS_MAX]
    }

    /// The same, to move money.
    pub fn account_mut(&mut self, venue: Venue, shard: u8) -> &mut Account {
        &mut self.accounts[venue as usize][usize::from(shard) % SHARDS_MAX]
    }

    /// All accounts that hold or held anything.
    pub fn accounts(&self) -> impl Iterator<Item = (Venue, u8, &Account)> {
        Venue::ALL.into_iter().flat_map(|venue| {
            let accounts = self.accounts[venue as usize].iter().enumerate();
            accounts
                .filter(|(_, a)| (a.cash, a.reserved) != (Money::ZERO, Money::ZERO))
                .map(move |(shard, a)| (venue, shard as u8, a))
        })
    }

    /// What a trade on these shards for this event may cost.
    pub fn caps(&self, shards: [u8; 2], event: usize) -> Caps {
        let free = [0, 1].map(|v: usize| {
            let venue = Venue::ALL[v];
            let account = self.account(venue, shards[v]);
            // The reserve is kept back from each account in proportion, so that it exists where fees fall due.
            let kept = self.allocated[v].share(self.shares.reserve_ppm);
            // What was allocated may be more than what is there, and what is there more than what was allocated.
            let cash = account.there.map_or(account.cash, |there| there.min(account.cash));
            cash - account.reserved - kept.min(cash)
        });
        Caps {
            trade: self.bankroll.share(self.shares.trade_ppm),
            event: self.bankroll.share(self.shares.event_ppm) - self.events[event],
            free,
            bankroll: self.bankroll,
        }
    }

    /// As many contracts as one trade may cost dollars, and so the most that one exit sells.
    pub fn contracts_max(&self) -> Qty {
        let most = self.bankroll.share(self.shares.trade_ppm).raw();
        Qty::new(u64::try_from(most).unwrap_or(0)).unwrap_or(Qty::ZERO)
    }

    /// Promises money to a plan.
    pub fn reserve(&mut self, venue: Venue, shard: u8, event: usize, amount: Money) {
        self.account_mut(venue, shard).reserved += amount;
        self.events[event] += amount;
    }

    /// Takes a promise back.
    pub fn release(&mut self, venue: Venue, shard: u8, event: usize, amount: Money) {
        let account = self.account_mut(venue, shard);
        account.reserved -= amount;
        assert!(Money::ZERO <= account.reserved, "a plan releases what it reserved");
        self.events[event] -= amount;
    }

    /// Cash moves and the event's exposure with it: negative for a cost, positive for proceeds or a payout.
    pub fn book(&mut self, venue: Venue, shard: u8, event: usize, cash: Money, exposure: Money) {
        self.account_mut(venue, shard).cash += cash;
        self.events[event] += exposure;
    }

    /// The venue says what is on an account. While something is on its way only less is believed.
    pub fn read(&mut self, venue: Venue, shard: u8, amount: Money, exact: bool) {
        let account = self.account_mut(venue, shard);
        account.there = Some(match account.there {
            Some(there) if !exact => there.min(amount),
            _ => amount,
        });
    }

    /// What is there moves with a trade.
    pub fn moved(&mut self, venue: Venue, shard: u8, cash: Money) {
        let account = self.account_mut(venue, shard);
        account.there = account.there.map(|there| there + cash);
    }

    /// What the days before, as far as today counts, have realised already.
    pub fn begin_day(&mut self, unix_ms: u64, realised_today: Money) {
        (self.day, self.realised_today) = (unix_ms / 86_400_000, realised_today);
    }

    /// Books a realised result on the UTC day of `unix_ms`.
    pub fn realise(&mut self, unix_ms: u64, result: Money) {
        let day = unix_ms / 86_400_000;
        if day != self.day {
            self.day = day;
            self.realised_today = Money::ZERO;
        }
        self.realised_today += result;
        self.realised += result;
    }

    /// Which limit on losses the realised results have reached. Called when no pair is half settled: until then one
    /// leg's loss is the other leg's gain to come.
    pub fn breached(&mut self) -> Option<Latch> {
        self.peak = self.peak.max(self.realised);
        let of = |ppm| self.bankroll.share(ppm);
        if self.realised_today <= -of(self.shares.daily_loss_ppm) {
            return Some(Latch::DailyLoss);
        }
        (of(self.shares.drawdown_ppm) <= self.peak - self.realised).then_some(Latch::Drawdown)
    }

    /// The day's realised result.
    pub fn realised_today(&self) -> Money {
        self.realised_today
    }

    /// Money at risk in an event.
    pub fn exposure(&self, event: usize) -> Money {
        self.events[event]
    }
}
