//! A trade's life after the match: MATCHED at once, MINED when its transaction is in a block, CONFIRMED some blocks
//! later; or RETRYING, and then MINED or FAILED. Funds are locked from the match on, move at MINED, and come free at
//! FAILED.

use serde_json::{Value, json};

use crate::sim::clob::ClobDesk;
use crate::sim::clob::account::{ApiKey, Wallet, pull, put};
use crate::sim::clob::fault::OrderFault;
use crate::sim::clob::fill::own_price;
use crate::sim::clob::payload::{Side, decimal};
use crate::sim::polymarket::{sha1_hex, short};
use crate::sim::world::World;
use crate::unit::{BookSide, Money, Price, Qty, UnixMs};

/// How fast trades settle, and how often they do not. Spans are milliseconds, both ends included.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long REST says that the trade is not broadcast.
    pub broadcast_ms: u64,
    pub mined_ms: (u64, u64),
    /// From MINED.
    pub confirmed_ms: (u64, u64),
    /// From the match.
    pub failed_ms: (u64, u64),
    /// Of a million trades, how many need a second try, and how many fail.
    pub retry_ppm: u32,
    pub fail_ppm: u32,
}

impl Pace {
    /// The same chain in a world that runs so many times faster.
    #[must_use]
    pub fn sped_up(self, speed: u32) -> Self {
        let speed = u64::from(speed.max(1));
        let faster = |(from, to): (u64, u64)| (from / speed, to / speed);
        Self {
            broadcast_ms: self.broadcast_ms / speed,
            mined_ms: faster(self.mined_ms),
            confirmed_ms: faster(self.confirmed_ms),
            failed_ms: faster(self.failed_ms),
            ..self
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            broadcast_ms: 400,
            mined_ms: (2_000, 30_000),
            confirmed_ms: (8_000, 12_000),
            failed_ms: (10_000, 50_000),
            retry_ppm: 20_000,
            fail_ppm: 5_000,
        }
    }
}

/// Where a trade stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    Matched,
    Mined,
    Confirmed,
    Retrying,
    Failed,
}

impl Status {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Matched => "MATCHED",
            Self::Mined => "MINED",
            Self::Confirmed => "CONFIRMED",
            Self::Retrying => "RETRYING",
            Self::Failed => "FAILED",
        }
    }
}

/// One side of a trade.
#[derive(Clone, Debug)]
pub struct Party {
    /// Ours, or a stranger's.
    pub order: Option<usize>,
    pub order_id: String,
    pub owner: String,
    pub address: String,
    pub outcome: u8,
    pub side: Side,
    /// In its own token's terms.
    pub price: Price,
    pub qty: Qty,
    pub fee: Money,
}

impl Party {
    /// pUSD that a buyer gives, or a seller gets: both against whoever is asked, so that nothing is made of nothing.
    pub fn cash(&self) -> Money {
        match self.side {
            Side::Buy => self.price.cost(self.qty) + self.fee,
            Side::Sell => self.price.proceeds(self.qty) - self.fee,
        }
    }
}

/// A trade.
#[derive(Clone, Debug)]
pub struct Trade {
    pub id: String,
    pub market: usize,
    pub taker: Party,
    pub makers: Vec<Party>,
    pub status: Status,
    pub matched_at: UnixMs,
    pub updated_at: UnixMs,
    /// The same fill under a second id: it moves nothing.
    pub is_twin: bool,
    /// What comes, last first.
    ahead: Vec<(UnixMs, Status)>,
    hash: String,
}

impl Trade {
    /// When its state changes next.
    pub fn next_at(&self) -> Option<UnixMs> {
        self.ahead.last().map(|step| step.0)
    }

    /// Both sides.
    pub fn parties(&self) -> impl Iterator<Item = &Party> {
        std::iter::once(&self.taker).chain(&self.makers)
    }
}

impl ClobDesk {
    /// Our side of a match, at a price of the book.
    pub(super) fn party(&self, at: usize, book_price: Price, qty: Qty) -> Party {
        let order = &self.orders[at];
        Party {
            order: Some(at),
            order_id: order.id.to_string(),
            owner: order.key.clone(),
            address: self.wallets[order.wallet].funder.to_string(),
            outcome: order.outcome,
            side: order.side,
            price: own_price(order.outcome, book_price),
            qty,
            fee: Money::ZERO,
        }
    }

    /// A stranger's side: every other one trades the other token, so matches are mints and merges as often as not.
    pub(super) fn stranger(market: usize, number: u64, side: BookSide, price: Price, qty: Qty, world: &World) -> Party {
        let name = sha1_hex(&format!("{} {number} {side:?}", Self::market(world, market).condition_id));
        let outcome = (number % 2) as u8;
        let buys = (side == BookSide::Bid) == (outcome == 0);
        Party {
            order: None,
            order_id: format!("0x{name}{}", &name[..24]),
            owner: ApiKey::derive(number, alloy_primitives::Address::ZERO, "stranger", market as u64).id,
            address: format!("0x{name}"),
            outcome,
            side: if buys { Side::Buy } else { Side::Sell },
            price: own_price(outcome, price),
            qty,
            fee: Money::ZERO,
        }
    }

    /// A match becomes a trade, or two if a twin was asked for.
    pub(super) fn record(
        &mut self,
        market: usize,
        taker: Party,
        makers: Vec<Party>,
        world: &World,
        now: UnixMs,
    ) -> Vec<usize> {
        let mut parties = std::iter::once(&taker).chain(&makers);
        let whole = parties.all(|party| party.order.is_none_or(|order| self.orders[order].wish.shares == party.qty));
        let fault = self.faults.befall_match(whole);
        let ahead = self.life(fault == Some(OrderFault::TradeFails), now);
        let id = self.fresh_id();
        let trade = Trade {
            hash: format!("0x{}{}", sha1_hex(&id), &sha1_hex(&taker.order_id)[..24]),
            id,
            market,
            taker,
            makers,
            status: Status::Matched,
            matched_at: now,
            updated_at: now,
            is_twin: false,
            ahead,
        };
        let mut all = vec![trade];
        if fault == Some(OrderFault::TradeTwin) {
            all.push(Trade { id: self.fresh_id(), is_twin: true, ..all[0].clone() });
        }
        let mut numbers = Vec::new();
        for trade in all {
            for party in trade.parties() {
                let Some(order) = party.order else { continue };
                self.orders[order].trades.push(trade.id.clone());
                if !trade.is_twin {
                    lock(&mut self.wallets[self.orders[order].wallet], market, party);
                }
            }
            let met: Vec<usize> = trade.parties().filter_map(|party| party.order).collect();
            let at = self.trades.len();
            self.trades.push(trade);
            for order in met {
                self.tell_order(order, "UPDATE", world, now);
            }
            self.tell_trade(at, world, now);
            numbers.push(at);
        }
        numbers
    }

    /// Draws what will become of a trade.
    fn life(&mut self, must_fail: bool, now: UnixMs) -> Vec<(UnixMs, Status)> {
        let Pace { mined_ms, confirmed_ms, failed_ms, retry_ppm, fail_ppm, .. } = self.rules.pace;
        let rng = &mut self.rng;
        let after = |at: UnixMs, ms: u64| UnixMs::new(at.raw() + ms);
        let mined = after(now, rng.u64(mined_ms.0..=mined_ms.1));
        let confirm_ms = rng.u64(confirmed_ms.0..=confirmed_ms.1);
        let failed = after(now, rng.u64(failed_ms.0..=failed_ms.1));
        let draw = rng.u32(0..1_000_000);
        if must_fail || draw < fail_ppm {
            let retrying = after(now, failed.since(now) / 2);
            return vec![(failed, Status::Failed), (retrying, Status::Retrying)];
        }
        if draw < fail_ppm.saturating_add(retry_ppm) {
            let again = after(mined, mined.since(now));
            return vec![
                (after(again, confirm_ms), Status::Confirmed),
                (again, Status::Mined),
                (mined, Status::Retrying),
            ];
        }
        vec![(after(mined, confirm_ms), Status::Confirmed), (mined, Status::Mined)]
    }

    /// Lets trades settle that are due.
    pub(super) fn settle_due(&mut self, world: &World, now: UnixMs) {
        for at in 0..self.trades.len() {
            while let Some(&(due, status)) = self.trades[at].ahead.last()
                && due <= now
            {
                self.trades[at].ahead.pop();
                self.trades[at].status = status;
                self.trades[at].updated_at = due;
                if status == Status::Retrying {
                    // The transaction is sent again, and is another one.
                    self.trades[at].hash = format!("0x{}{}", sha1_hex(&self.trades[at].hash), "00".repeat(12));
                }
                if !self.trades[at].is_twin {
                    self.move_funds(at, status);
                }
                self.tell_trade(at, world, now);
            }
        }
    }

    fn move_funds(&mut self, at: usize, status: Status) {
        let trade = &self.trades[at];
        for party in trade.parties() {
            let Some(order) = party.order else { continue };
            let wallet = &mut self.wallets[self.orders[order].wallet];
            match status {
                Status::Mined => {
                    unlock(wallet, trade.market, party);
                    pay(wallet, trade.market, party);
                }
                Status::Failed => unlock(wallet, trade.market, party),
                Status::Matched | Status::Retrying | Status::Confirmed => {}
            }
        }
    }

    /// The status as REST writes it.
    pub(super) fn rest_status(&self, trade: &Trade, now: UnixMs) -> String {
        let early = trade.status == Status::Matched && now.since(trade.matched_at) < self.rules.pace.broadcast_ms;
        let name = if early { "MATCHED_NOT_BROADCASTED" } else { trade.status.name() };
        if self.rules.prefixed { format!("TRADE_STATUS_{name}") } else { name.to_owned() }
    }

    /// A trade as one of its accounts sees it; `None` if it is none of theirs.
    pub(super) fn trade_object(&self, trade: &Trade, account: usize, world: &World) -> Option<Value> {
        let own = |party: &&Party| party.order.is_some_and(|order| self.orders[order].account == account);
        let me = trade.parties().find(own)?;
        let is_taker = own(&&trade.taker);
        let market = Self::market(world, trade.market);
        let makers: Vec<Value> = trade
            .makers
            .iter()
            .map(|maker| {
                json!({
                    "order_id": maker.order_id, "owner": maker.owner, "maker_address": maker.address,
                    "matched_amount": maker.qty.to_string(), "price": short(maker.price.raw()), "fee_rate_bps": "0",
                    "asset_id": market.tokens[usize::from(maker.outcome)],
                    "outcome": outcome_name(maker.outcome), "side": maker.side.name(),
                })
            })
            .collect();
        let taker = &trade.taker;
        let hash = if matches!(trade.status, Status::Matched) { "" } else { trade.hash.as_str() };
        Some(json!({
            "id": trade.id, "taker_order_id": taker.order_id, "market": market.condition_id,
            "asset_id": market.tokens[usize::from(taker.outcome)], "side": taker.side.name(),
            "size": taker.qty.to_string(), "fee_rate_bps": "0", "price": short(taker.price.raw()),
            "match_time": (trade.matched_at.raw() / 1_000).to_string(),
            "last_update": (trade.updated_at.raw() / 1_000).to_string(),
            "outcome": outcome_name(taker.outcome), "bucket_index": 0, "owner": me.owner,
            "maker_address": me.address, "transaction_hash": hash,
            "trader_side": if is_taker { "TAKER" } else { "MAKER" }, "maker_orders": makers,
        }))
    }

    /// An accepted order's answer.
    pub(super) fn placed_object(&self, at: usize, status: &str, trades: &[usize]) -> Value {
        let order = &self.orders[at];
        let (mut shares, mut dollars) = (0, 0);
        for &trade in trades {
            let taker = &self.trades[trade].taker;
            if !self.trades[trade].is_twin {
                shares += taker.qty.micros();
                dollars +=
                    (taker.cash() + if taker.side == Side::Buy { -taker.fee } else { taker.fee }).raw().unsigned_abs();
            }
        }
        let (making, taking) = if order.side == Side::Buy { (dollars, shares) } else { (shares, dollars) };
        let amount = |micros: u64| match (trades.is_empty(), status) {
            (true, "live") => String::new(),
            (true, _) => String::from("0"),
            _ => decimal(micros),
        };
        let ids: Vec<&str> = trades.iter().map(|&trade| self.trades[trade].id.as_str()).collect();
        json!({
            "success": true, "errorMsg": "", "orderID": order.id.to_string(), "status": status,
            "makingAmount": amount(making), "takingAmount": amount(taking), "tradeIDs": ids,
        })
    }
}

/// A refused order in the order's own shape; in post-only mode a batch calls it a success.
pub(super) fn refusal_object(text: &str, success: bool) -> Value {
    json!({
        "success": success, "errorMsg": text, "orderID": "", "status": "", "makingAmount": "", "takingAmount": "",
    })
}

/// An outcome in words.
pub(super) const fn outcome_name(outcome: u8) -> &'static str {
    if outcome == 0 { "Yes" } else { "No" }
}

fn lock(wallet: &mut Wallet, market: usize, party: &Party) {
    let token = (market, party.outcome);
    match party.side {
        Side::Buy => {
            wallet.locked_cash += party.cash();
            put(&mut wallet.coming_tokens, token, party.qty);
        }
        Side::Sell => put(&mut wallet.locked_tokens, token, party.qty),
    }
}

fn unlock(wallet: &mut Wallet, market: usize, party: &Party) {
    let token = (market, party.outcome);
    match party.side {
        Side::Buy => {
            wallet.locked_cash -= party.cash();
            pull(&mut wallet.coming_tokens, token, party.qty);
        }
        Side::Sell => pull(&mut wallet.locked_tokens, token, party.qty),
    }
}

fn pay(wallet: &mut Wallet, market: usize, party: &Party) {
    let token = (market, party.outcome);
    match party.side {
        Side::Buy => {
            wallet.cash -= party.cash();
            put(&mut wallet.tokens, token, party.qty);
        }
        Side::Sell => {
            wallet.cash += party.cash();
            pull(&mut wallet.tokens, token, party.qty);
        }
    }
}
