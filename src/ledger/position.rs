//! Holdings, cash and results, from trades and payouts alone.
//!
//! Positions are per market, whichever plan or person traded it. Kalshi keeps one signed number a market: holding YES
//! and NO at once gives the dollar back at once (dossier 6). On Polymarket both stay until they are paid.
//!
//! A trade that failed was never there. Because a cost that was averaged cannot be taken apart, a market remembers what
//! it held before its oldest trade that is not final, and is booked again from there.

use smallvec::SmallVec;

use crate::unit::{MarketId, Money, Outcome, Qty, Stage, Tag, Trade, Venue};

/// What is held of one market, and what it has brought.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Holding {
    /// By outcome.
    pub qty: [Qty; 2],
    /// What the contracts held cost, fees included.
    pub cost: [Money; 2],
    /// Received minus paid, over everything.
    pub cash: Money,
    /// Of that, fees.
    pub fees: Money,
    /// Result of what was sold, netted or paid.
    pub realised: Money,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Event {
    Traded(Trade),
    Paid { yes_payout: Money },
    Merged { qty: Qty },
}

/// One market: what it holds, and how it came there since everything was final.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Account {
    venue: Venue,
    now: Holding,
    /// Before the first of `open`.
    before: Holding,
    open: SmallVec<[Event; 4]>,
}

/// All markets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Positions {
    markets: Vec<Account>,
}

impl Positions {
    /// Room for these markets; their slots are their places.
    pub fn new(venues: impl IntoIterator<Item = Venue>) -> Self {
        let (now, before, open) = (Holding::default(), Holding::default(), SmallVec::new());
        let account = |venue| Account { venue, now, before, open: open.clone() };
        Self { markets: venues.into_iter().map(account).collect() }
    }

    /// What was held at start: quantity and cost.
    pub fn found(&mut self, market: MarketId, outcome: Outcome, qty: Qty, cost: Money) {
        let account = self.account(market);
        for holding in [&mut account.now, &mut account.before] {
            holding.qty[outcome as usize] = qty;
            holding.cost[outcome as usize] = cost;
        }
    }

    /// Books a trade. Its fee is what the venue charged, or the predicted one until it says.
    pub fn trade(&mut self, market: MarketId, trade: Trade) {
        self.account(market).happen(Event::Traded(trade));
    }

    /// A trade that was booked is final.
    pub fn confirm(&mut self, market: MarketId, tag: Tag) {
        let account = self.account(market);
        for event in &mut account.open {
            if let Event::Traded(trade) = event
                && trade.tag == tag
            {
                trade.stage = Stage::Confirmed;
            }
        }
        account.forget();
    }

    /// A trade that was booked failed: it is taken out again.
    pub fn void(&mut self, market: MarketId, tag: Tag) {
        let account = self.account(market);
        account.open.retain(|event| !matches!(event, Event::Traded(trade) if trade.tag == tag));
        account.now = account.before;
        for event in &account.open {
            account.now.book(account.venue, *event);
        }
        account.forget();
    }

    /// YES and NO were put together.
    pub fn merge(&mut self, market: MarketId, qty: Qty) {
        self.account(market).happen(Event::Merged { qty });
    }

    /// The market paid everything that was held.
    pub fn pay(&mut self, market: MarketId, yes_payout: Money) {
        self.account(market).happen(Event::Paid { yes_payout });
    }

    /// What is held of a market.
    pub fn holding(&self, market: MarketId) -> &Holding {
        &self.markets[market.0 as usize].now
    }

    /// What of it is final: nothing that may fail yet is counted.
    pub fn certain(&self, market: MarketId, outcome: Outcome) -> Qty {
        let account = &self.markets[market.0 as usize];
        let waits = |event: &&Event| {
            matches!(event, Event::Traded(t)
                if t.bought && t.outcome == outcome && matches!(t.stage, Stage::Matched | Stage::Mined))
        };
        let open = account.open.iter().filter(waits);
        let provisional = open.map(|event| match event {
            Event::Traded(trade) => trade.qty,
            Event::Paid { .. } | Event::Merged { .. } => Qty::ZERO,
        });
        provisional.fold(account.now.qty[outcome as usize], Qty::saturating_sub)
    }

    fn account(&mut self, market: MarketId) -> &mut Account {
        &mut self.markets[market.0 as usize]
    }
}

impl Account {
    fn happen(&mut self, event: Event) {
        self.now.book(self.venue, event);
        self.open.push(event);
        self.forget();
    }

    /// Once everything is final nothing can be taken out any more.
    fn forget(&mut self) {
        let open =
            |event: &Event| matches!(event, Event::Traded(t) if matches!(t.stage, Stage::Matched | Stage::Mined));
        if !self.open.iter().any(open) {
            self.open.clear();
            self.before = self.now;
        }
    }
}

impl Holding {
    /// What is at stake: the cost of everything held.
    pub fn at_stake(&self) -> Money {
        self.cost[0] + self.cost[1]
    }

    fn book(&mut self, venue: Venue, event: Event) {
        match event {
            Event::Traded(trade) => {
                let o = trade.outcome as usize;
                let fee = trade.fee.unwrap_or(Money::ZERO);
                self.fees += fee;
                if trade.bought {
                    let paid = trade.price.cost(trade.qty) + fee;
                    self.cash -= paid;
                    self.cost[o] += paid;
                    self.qty[o] = self.qty[o].checked_add(trade.qty).unwrap_or(Qty::MAX);
                } else {
                    let received = trade.price.proceeds(trade.qty) - fee;
                    self.cash += received;
                    let cost = self.give(trade.outcome, trade.qty);
                    self.realised += received - cost;
                }
                if venue == Venue::Kalshi {
                    self.close(self.qty[0].min(self.qty[1]));
                }
            }
            Event::Merged { qty } => self.close(qty.min(self.qty[0]).min(self.qty[1])),
            Event::Paid { yes_payout } => {
                // Both venues round down: Kalshi to whole cents (dossier 5.4), Polymarket to micro-dollars.
                let step = if venue == Venue::Kalshi { 10_000 } else { 1 };
                for (outcome, payout) in [(Outcome::Yes, yes_payout), (Outcome::No, Money::dollars(1) - yes_payout)] {
                    let qty = self.qty[outcome as usize];
                    let paid = i128::from(payout.raw()) * i128::from(qty.micros()) / 1_000_000 / step * step;
                    let paid = Money::micros(paid as i64);
                    self.cash += paid;
                    let cost = self.give(outcome, qty);
                    self.realised += paid - cost;
                }
            }
        }
    }

    /// Puts YES and NO together: a dollar each comes back.
    fn close(&mut self, qty: Qty) {
        let back = Money::micros(qty.micros() as i64);
        let cost = self.give(Outcome::Yes, qty) + self.give(Outcome::No, qty);
        self.cash += back;
        self.realised += back - cost;
    }

    /// Takes contracts out, with their share of the cost, rounded down.
    fn give(&mut self, outcome: Outcome, qty: Qty) -> Money {
        let o = outcome as usize;
        let qty = qty.min(self.qty[o]);
        let share = self.cost[o].part(qty, self.qty[o]);
        self.cost[o] -= share;
        self.qty[o] = self.qty[o].saturating_sub(qty);
        share
    }
}
