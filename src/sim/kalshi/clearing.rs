//! Who can pay, and who owns what after a match: the cash and the positions of everybody with an account.
//!
//! Cash lies on shards and pays only there. A position is one signed number: buying NO while holding YES closes pairs
//! at once, a dollar each. Whoever has no purse here (the simulated crowd) can always pay and is not booked.

use std::collections::{BTreeMap, HashMap};

use crate::sim::exchange::{OrderNo, Owner};
use crate::sim::kalshi::fee::{Charge, DIRECT, Meter, Rate};
use crate::unit::{BookSide, Money, Price, Qty, UnixMs};

/// What a market asks of those who trade in it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// Whose cash pays.
    pub shard: u8,
    pub taker: Rate,
    pub maker: Rate,
}

/// One side of a match.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    pub owner: Owner,
    pub order: OrderNo,
    pub market: usize,
    pub side: BookSide,
    pub price: Price,
    pub qty: Qty,
    pub is_taker: bool,
}

/// What an owner has in one market.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Holding {
    /// Millionths of a contract; negative is NO.
    pub position: i64,
    /// What the open position cost.
    pub cost: Money,
    /// What the open position cost in fees.
    pub open_fees: Money,
    /// What everything ever bought cost, either leg.
    pub traded: Money,
    pub volume: Qty,
    /// Without fees.
    pub realised: Money,
    pub fees: Money,
    pub updated: UnixMs,
    /// The market has paid.
    pub settled: bool,
}

/// An owner's cash by shard and positions by market.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Purse {
    pub cash: BTreeMap<u8, Money>,
    pub holdings: BTreeMap<usize, Holding>,
}

impl Purse {
    /// The cash on one shard.
    pub fn on(&self, shard: u8) -> Money {
        self.cash.get(&shard).copied().unwrap_or_default()
    }

    /// Signed millionths of a contract in a market.
    pub fn position(&self, market: usize) -> i64 {
        self.holdings.get(&market).map_or(0, |holding| holding.position)
    }
}

/// What a fill did to an owner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Booked {
    /// What the fill cost, the whole of it.
    pub fee: Money,
    /// The position afterwards, in signed millionths of a contract.
    pub position: i64,
}

/// What a market paid an owner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payout {
    pub owner: Owner,
    pub market: usize,
    /// The position that was paid, in signed millionths of a contract.
    pub position: i64,
    pub cost: Money,
    pub fees: Money,
    /// Whole cents.
    pub revenue: Money,
}

/// Every purse, and every market's terms.
#[derive(Debug, Default)]
pub struct Clearing {
    purses: BTreeMap<Owner, Purse>,
    terms: Vec<Terms>,
    meters: HashMap<OrderNo, Meter>,
}

impl Clearing {
    /// Opens a purse.
    pub fn open(&mut self, owner: Owner, purse: Purse) {
        self.purses.insert(owner, purse);
    }

    /// Somebody's purse, if he has an account.
    pub fn purse(&self, owner: Owner) -> Option<&Purse> {
        self.purses.get(&owner)
    }

    /// Sets a market's terms; they hold from the next match on.
    pub fn set_terms(&mut self, market: usize, terms: Terms) {
        if self.terms.len() <= market {
            self.terms.resize(market + 1, Terms::default());
        }
        self.terms[market] = terms;
    }

    /// A market's terms.
    pub fn terms(&self, market: usize) -> Terms {
        self.terms.get(market).copied().unwrap_or_default()
    }

    /// Moves cash; negative takes away. The shard may be new to the purse.
    pub fn credit(&mut self, owner: Owner, shard: u8, amount: Money) {
        if let Some(purse) = self.purses.get_mut(&owner) {
            *purse.cash.entry(shard).or_default() += amount;
        }
    }

    /// Could the owner pay for this, with `withheld` of his cash out of reach? Closing what he has needs no cash.
    pub fn pays(&self, leg: &Leg, withheld: Money) -> bool {
        let Some(purse) = self.purses.get(&leg.owner) else { return true };
        let change = self.charge(leg, purse.position(leg.market)).1.change;
        let cash = purse.on(self.terms(leg.market).shard);
        Money::ZERO <= change || Money::ZERO <= cash + change - withheld
    }

    /// What the order would take out of the purse if all of it traded as a maker now; nothing if it would bring money.
    pub fn commitment(&self, leg: &Leg) -> Money {
        let Some(purse) = self.purses.get(&leg.owner) else { return Money::ZERO };
        (-self.charge(leg, purse.position(leg.market)).1.change).max(Money::ZERO)
    }

    fn charge(&self, leg: &Leg, position: i64) -> (Meter, Charge) {
        let terms = self.terms(leg.market);
        let rate = if leg.is_taker { terms.taker } else { terms.maker };
        let mut meter = self.meters.get(&leg.order).copied().unwrap_or_default();
        let pairs = Money::dollar_each(closing(position, leg.side, leg.qty));
        let charge = meter.charge(pairs - outlay(leg), rate.trade_fee(leg.qty, leg.price), DIRECT);
        (meter, charge)
    }

    /// Books one side of a match; nothing for owners without a purse.
    pub fn book(&mut self, leg: &Leg, at: UnixMs) -> Option<Booked> {
        let before = self.purses.get(&leg.owner)?.position(leg.market);
        let (meter, charge) = self.charge(leg, before);
        let shard = self.terms(leg.market).shard;
        self.meters.insert(leg.order, meter);
        let purse = self.purses.get_mut(&leg.owner)?;
        *purse.cash.entry(shard).or_default() += charge.change;
        let holding = purse.holdings.entry(leg.market).or_default();
        holding.trade(leg, charge.net, at);
        Some(Booked { fee: charge.net, position: holding.position })
    }

    /// An amended order keeps its rounding account under its new number.
    pub fn renumber(&mut self, old: OrderNo, new: OrderNo) {
        if let Some(meter) = self.meters.remove(&old) {
            self.meters.insert(new, meter);
        }
    }

    /// Pays everybody who holds a market; `yes_payout` is per YES contract, 0 to 1 dollar.
    pub fn settle(&mut self, market: usize, yes_payout: Money, at: UnixMs) -> Vec<Payout> {
        let shard = self.terms(market).shard;
        let mut paid = Vec::new();
        for (&owner, purse) in &mut self.purses {
            let Some(holding) = purse.holdings.get_mut(&market).filter(|holding| !holding.settled) else { continue };
            holding.settled = true;
            if holding.position == 0 {
                continue;
            }
            let each = if 0 < holding.position { yes_payout } else { Money::dollars(1) - yes_payout };
            let exact = i128::from(each.raw()) * i128::from(holding.position.unsigned_abs()) / 1_000_000;
            // Whole cents: sub-cent scalar results are paid rounded down.
            let revenue = Money::micros(exact as i64 / 10_000 * 10_000);
            paid.push(Payout {
                owner,
                market,
                position: holding.position,
                cost: holding.cost,
                fees: holding.fees,
                revenue,
            });
            holding.realised += revenue - holding.cost;
            holding.position = 0;
            holding.cost = Money::ZERO;
            holding.updated = at;
            *purse.cash.entry(shard).or_default() += revenue;
        }
        paid
    }
}

/// How much of a trade closes what is held.
pub fn closing(position: i64, side: BookSide, qty: Qty) -> Qty {
    let held = match side {
        BookSide::Bid => (-position).max(0),
        BookSide::Ask => position.max(0),
    };
    Qty::new(held.unsigned_abs()).unwrap_or(Qty::MAX).min(qty)
}

/// What the contracts cost on the leg that is bought.
fn outlay(leg: &Leg) -> Money {
    match leg.side {
        BookSide::Bid => leg.price.cost(leg.qty),
        BookSide::Ask => leg.price.complement().cost(leg.qty),
    }
}

impl Holding {
    fn trade(&mut self, leg: &Leg, fee: Money, at: UnixMs) {
        let paid = outlay(leg);
        let closed = closing(self.position, leg.side, leg.qty);
        let held = Qty::new(self.position.unsigned_abs()).unwrap_or(Qty::MAX);
        let given_up = self.cost.part(closed, held);
        let closed_fees = self.open_fees.part(closed, held);
        let paid_to_close = paid.part(closed, leg.qty);
        self.realised += Money::dollar_each(closed) - given_up - paid_to_close;
        self.cost += paid - paid_to_close - given_up;
        self.open_fees += fee.part(leg.qty.saturating_sub(closed), leg.qty) - closed_fees;
        self.traded += paid;
        self.volume = self.volume.checked_add(leg.qty).unwrap_or(Qty::MAX);
        self.fees += fee;
        let signed = leg.qty.micros() as i64;
        self.position += if leg.side == BookSide::Bid { signed } else { -signed };
        self.updated = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Owner = Owner(1);

    fn leg(side: BookSide, raw: u16, contracts: u32) -> Leg {
        let price = Price::new(raw).unwrap();
        Leg { owner: ME, order: OrderNo(1), market: 0, side, price, qty: Qty::whole(contracts), is_taker: true }
    }

    fn clearing(dollars: i64) -> Clearing {
        let mut clearing = Clearing::default();
        clearing.set_terms(0, Terms::default());
        clearing.open(ME, Purse { cash: [(0, Money::dollars(dollars))].into(), holdings: BTreeMap::new() });
        clearing
    }

    #[test]
    fn a_pair_is_a_dollar_at_once() {
        let mut clearing = clearing(1_000);
        clearing.book(&leg(BookSide::Bid, 4_800, 1), UnixMs::new(1)).unwrap();
        assert_eq!(clearing.purse(ME).unwrap().on(0), Money::micros(999_520_000));
        let booked = clearing.book(&leg(BookSide::Ask, 5_200, 1), UnixMs::new(2)).unwrap();
        let purse = clearing.purse(ME).unwrap();
        assert_eq!(purse.on(0), Money::micros(1_000_040_000));
        assert_eq!(booked.position, 0);
        assert_eq!(purse.holdings[&0].realised, Money::micros(40_000));
        assert_eq!(purse.holdings[&0].cost, Money::ZERO);
    }

    #[test]
    fn a_trade_through_zero_closes_first_and_opens_with_the_rest() {
        let mut clearing = clearing(10);
        clearing.book(&leg(BookSide::Bid, 4_000, 10), UnixMs::new(1)).unwrap();
        assert!(!clearing.pays(&leg(BookSide::Ask, 3_000, 40), Money::ZERO), "thirty of them would be NO at 0.70");
        let booked = clearing.book(&leg(BookSide::Ask, 3_000, 14), UnixMs::new(2)).unwrap();
        let holding = &clearing.purse(ME).unwrap().holdings[&0];
        assert_eq!(booked.position, -4_000_000);
        assert_eq!(holding.cost, Money::micros(2_800_000), "four NO at 0.70");
        assert_eq!(holding.realised, Money::micros(-1_000_000));
    }
}
