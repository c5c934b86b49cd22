//! The desk at which the simulated Kalshi keeps its accounts: signed requests in, answers and private frames out.
//!
//! No I/O, no clock, no threads. Whoever drives it (a server, or a test in virtual time) does three things: after every
//! [`World::step`] it passes what happened through [`Desk::step`]; it brings requests to [`Desk::handle`]; and it shows
//! what either returns to the sessions, together with the frames of [`Desk::frames`].
//!
//! What a newcomer gets wrong: the money is not here. Cash and positions change inside the match, in
//! [`crate::sim::kalshi::clearing`]; the desk only hears of it afterwards and keeps the records.

use std::collections::HashMap;

use fastrand::Rng;
use serde_json::Value;

use crate::sim::exchange::{Dropped, Event, Fill, OrderNo, What};
use crate::sim::handshake::Skew;
use crate::sim::kalshi::account::{Account, NewAccount, SHARDS, account_of, owner};
use crate::sim::kalshi::answer::HeldRequest;
use crate::sim::kalshi::check::{Check, Violation};
use crate::sim::kalshi::group::Group;
use crate::sim::kalshi::order::Order;
use crate::sim::kalshi::order_fault::{OrderFault, OrderPlan};
use crate::sim::kalshi::portfolio::{FillRecord, SettlementRecord};
use crate::sim::kalshi::private::{self, Outbox, Private, PrivateChannel};
use crate::sim::kalshi::transfer::Transfer;
use crate::sim::kalshi_text::trade_id;
use crate::sim::listing::uuid;
use crate::sim::world::{Happening, Life, World};
use crate::unit::{Money, Qty, UnixMs, Venue};

/// How the desk works.
#[derive(Clone, Debug)]
pub struct Settings {
    pub accounts: Vec<NewAccount>,
    pub seed: u64,
    /// How far portfolio reads lag behind writes: 0 to 1000 ms.
    pub read_lag_ms: u64,
    /// Up to how long a private frame may wait, each by itself; 0 keeps their order.
    pub frame_delay_ms: u64,
    /// Up to how long an answer may wait.
    pub answer_delay_ms: u64,
    /// Do resting orders hold the cash they may cost? The venue is believed not to do that.
    pub reserve: bool,
    pub skew: Skew,
    /// How long money is on its way between shards.
    pub transfer_ms: u64,
    pub faults: OrderPlan,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            seed: 0,
            read_lag_ms: 300,
            frame_delay_ms: 0,
            answer_delay_ms: 0,
            reserve: false,
            skew: Skew::default(),
            transfer_ms: 500,
            faults: OrderPlan::default(),
        }
    }
}

/// A shard's state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Shard {
    #[default]
    Open,
    /// Cancels only.
    TradingPaused,
    /// No order writes at all.
    ExchangePaused,
}

/// What a fault has to put right again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Repair {
    Shard(u8),
    Market(usize),
}

/// Accounts, orders and everything that is kept of them.
#[derive(Debug)]
pub struct Desk {
    pub(super) settings: Settings,
    pub(super) accounts: Vec<Account>,
    pub(super) orders: Vec<Order>,
    /// Those that may still rest, by place; the rest are forgotten at the next look at the clock.
    pub(super) live: Vec<usize>,
    /// Requests that are still on their way.
    pub(super) held: Vec<(UnixMs, HeldRequest)>,
    pub(super) by_id: HashMap<String, usize>,
    pub(super) by_number: HashMap<OrderNo, usize>,
    pub(super) fills: Vec<FillRecord>,
    pub(super) settlements: Vec<SettlementRecord>,
    pub(super) groups: Vec<Group>,
    pub(super) transfers: Vec<Transfer>,
    pub(super) shards: [Shard; SHARDS as usize],
    pub(super) repairs: Vec<(UnixMs, Repair)>,
    pub(super) rebalanced_at: UnixMs,
    pub(super) outbox: Outbox,
    pub(super) rng: Rng,
    pub(super) check: Check,
    pub(super) streams_dropped: Vec<usize>,
    pub(super) told: Vec<Happening>,
}

impl Desk {
    /// A desk with its accounts open.
    pub fn new(mut settings: Settings, world: &mut World) -> Self {
        let mut accounts = Vec::new();
        for (at, new) in std::mem::take(&mut settings.accounts).into_iter().enumerate() {
            let (account, purses) = Account::open(new);
            accounts.push(account);
            world.on_kalshi(world.stamp(), |exchange| {
                for (subaccount, purse) in purses {
                    exchange.clearing_mut().open(owner(at, subaccount), purse);
                }
                ((), Vec::new())
            });
        }
        Self {
            outbox: Outbox::new(settings.seed, settings.frame_delay_ms),
            rng: Rng::with_seed(settings.seed ^ 0xde5c_0000),
            accounts,
            orders: Vec::new(),
            live: Vec::new(),
            held: Vec::new(),
            by_id: HashMap::new(),
            by_number: HashMap::new(),
            fills: Vec::new(),
            settlements: Vec::new(),
            groups: Vec::new(),
            transfers: Vec::new(),
            shards: [Shard::Open; SHARDS as usize],
            repairs: Vec::new(),
            rebalanced_at: world.stamp(),
            check: Check::default(),
            streams_dropped: Vec::new(),
            told: Vec::new(),
            settings,
        }
    }

    /// Passes on what a step of the world has made happen, and does what is due. The same happenings come back, with
    /// whatever they have brought about.
    pub fn step(&mut self, world: &mut World, happenings: Vec<Happening>, now: UnixMs) -> Vec<Happening> {
        self.absorb(world, &happenings, now);
        self.told.extend(happenings);
        self.on_time(world, now);
        self.settle_up(world, now);
        std::mem::take(&mut self.told)
    }

    /// Everything that has happened and that the desk has not seen yet.
    pub(super) fn settle_up(&mut self, world: &mut World, now: UnixMs) {
        loop {
            let happenings = world.drain();
            if happenings.is_empty() {
                return;
            }
            self.absorb(world, &happenings, now);
            self.told.extend(happenings);
        }
    }

    fn absorb(&mut self, world: &mut World, happenings: &[Happening], now: UnixMs) {
        for happening in happenings {
            match happening {
                Happening::Book { venue: Venue::Kalshi, event } => match event.what {
                    What::Fill(fill) => self.filled(world, event, &fill, now),
                    What::Dropped { order, why } => self.dropped(order, why, now),
                    _ => {}
                },
                Happening::Life { venue: Venue::Kalshi, market, life: Life::Settled, .. } => {
                    self.settled(world, *market, now);
                }
                Happening::Life { venue: Venue::Kalshi, market, life: Life::Deactivated, .. } => {
                    self.halt(world, |order| order.market == *market, now);
                }
                _ => {}
            }
        }
    }

    fn filled(&mut self, world: &mut World, event: &Event, fill: &Fill, now: UnixMs) {
        let Some(&at) = self.by_number.get(&fill.order) else { return };
        let (account, subaccount) = account_of(fill.owner);
        let order = &mut self.orders[at];
        order.fill(fill.price, fill.qty, fill.fee, fill.is_taker, event.at);
        let record = FillRecord {
            account,
            subaccount,
            order: at,
            market: event.market,
            trade_id: trade_id(event.market, fill.trade),
            side: fill.side,
            price: fill.price,
            qty: fill.qty,
            is_taker: fill.is_taker,
            fee: fill.fee,
            position: fill.position,
            at: event.at,
        };
        let frame = private::fill(&record, order);
        self.fills.push(record);
        self.put_fill(&frame, now);
        if !fill.is_taker {
            self.tell_order(at, event.at);
        }
        self.tell_position(world, at, now);
        self.remember_purse(world, account, subaccount, event.at);
        if let Some(group) = self.orders[at].group.clone() {
            self.count_match(world, &group, fill.qty, now);
        }
    }

    fn put_fill(&mut self, frame: &Private, now: UnixMs) {
        let mut late_ms = 0;
        let mut copies = 1;
        for fault in self.settings.faults.fill_frame() {
            match fault {
                OrderFault::FrameTwice => copies = 2,
                OrderFault::FrameLost => copies = 0,
                OrderFault::FrameLate(ms) => late_ms = ms,
                _ => {}
            }
        }
        for _ in 0..copies {
            self.outbox.put(frame.clone(), late_ms, now);
        }
    }

    fn dropped(&mut self, number: OrderNo, why: Dropped, now: UnixMs) {
        let Some(&at) = self.by_number.get(&number) else { return };
        let reason = match why {
            Dropped::SelfTrade => "SelfTradeCancel",
            Dropped::Unfunded => "MarginCancel",
            Dropped::Closed => "CloseCancel",
            Dropped::Reopened => "HaltCancel",
        };
        if self.orders[at].is_resting() {
            self.orders[at].end(Some(reason), now);
            self.tell_order(at, now);
        }
    }

    /// Tells an order's new state, now and to readers who lag.
    pub(super) fn tell_order(&mut self, at: usize, now: UnixMs) {
        let order = &mut self.orders[at];
        order.remember(now);
        let frame = private::user_order(order, &self.accounts[order.account].user_id);
        self.outbox.put(frame, 0, now);
    }

    fn tell_position(&mut self, world: &World, at: usize, now: UnixMs) {
        let order = &self.orders[at];
        let clearing = world.exchange(Venue::Kalshi).clearing();
        let holding =
            clearing.purse(owner(order.account, order.subaccount)).and_then(|purse| purse.holdings.get(&order.market));
        if let Some(holding) = holding {
            let frame = private::market_position(order, holding, &self.accounts[order.account].user_id);
            self.outbox.put(frame, 0, now);
        }
    }

    /// Keeps what a purse holds from now on for readers who lag.
    pub(super) fn remember_purse(&mut self, world: &World, account: usize, subaccount: u8, now: UnixMs) {
        if let Some(purse) = world.exchange(Venue::Kalshi).clearing().purse(owner(account, subaccount)) {
            self.accounts[account].remember(subaccount, purse, now);
        }
    }

    fn settled(&mut self, world: &mut World, market: usize, now: UnixMs) {
        let Some(payout) = world.catalog().kalshi[market].state.payout else { return };
        let paid = world.on_kalshi(now, |exchange| (exchange.clearing_mut().settle(market, payout, now), Vec::new()));
        for paid in paid {
            let (account, subaccount) = account_of(paid.owner);
            self.settlements.push(SettlementRecord { account, subaccount, paid, payout, at: now });
            self.remember_purse(world, account, subaccount, now);
        }
    }

    /// Takes an order out of the book and ends it; what was left is returned.
    pub(super) fn withdraw(&mut self, world: &mut World, at: usize, reason: Option<&'static str>, now: UnixMs) -> Qty {
        let number = self.orders[at].number;
        world.on_kalshi(now, |exchange| ((), exchange.cancel(number, Qty::MAX, now)));
        let left = self.orders[at].end(reason, now);
        self.tell_order(at, now);
        left
    }

    /// Cancels the resting orders of some kind that asked for it, at a pause.
    fn halt(&mut self, world: &mut World, of: impl Fn(&Order) -> bool, now: UnixMs) {
        for at in self.live.clone() {
            let order = &self.orders[at];
            if order.is_resting() && order.cancel_on_pause && of(order) {
                self.withdraw(world, at, Some("HaltCancel"), now);
            }
        }
    }

    /// Pauses a shard or opens it again; a pause cancels the orders that asked for that.
    pub fn set_shard(&mut self, world: &mut World, shard: u8, state: Shard, now: UnixMs) {
        self.shards[usize::from(shard % SHARDS)] = state;
        world.halt_shard(shard, state != Shard::Open);
        if state != Shard::Open {
            self.halt(world, |order| order.shard == shard, now);
        }
    }

    /// What is due by the clock: expiries, the rest of a cancel-all, money and requests on their way, the end of a
    /// fault.
    pub(super) fn on_time(&mut self, world: &mut World, now: UnixMs) {
        self.live.retain(|&at| self.orders[at].is_resting());
        for at in self.live.clone() {
            let order = &self.orders[at];
            if order.now.expires.is_some_and(|expires| expires <= now) {
                self.withdraw(world, at, Some("ExpiryCancel"), now);
            } else if order.doomed_at.is_some_and(|doomed| doomed <= now) {
                self.withdraw(world, at, None, now);
            }
        }
        let (due, waiting): (Vec<_>, Vec<_>) = self.repairs.drain(..).partition(|(at, _)| *at <= now);
        self.repairs = waiting;
        for (_, repair) in due {
            match repair {
                Repair::Shard(shard) => self.set_shard(world, shard, Shard::Open, now),
                Repair::Market(market) => world.resume(market),
            }
        }
        self.move_money(world, now);
        self.take_in(world, now);
    }

    /// Private frames that are due.
    pub fn frames(&mut self, now: UnixMs) -> Vec<Private> {
        self.outbox.due(now)
    }

    /// When the next private frame is due.
    pub fn next_frame_at(&self) -> Option<UnixMs> {
        self.outbox.next_at()
    }

    /// Accounts whose private streams have to end with a reset.
    pub fn take_dropped_streams(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.streams_dropped)
    }

    /// What should never have arrived.
    pub fn violations(&self) -> &[Violation] {
        self.check.violations()
    }

    /// What arrived, seen a second time.
    pub const fn check(&self) -> &Check {
        &self.check
    }

    /// Sets limits and the latch of the second look.
    pub const fn check_mut(&mut self) -> &mut Check {
        &mut self.check
    }

    /// The plan of faults, and what has happened of it.
    pub const fn faults(&self) -> &OrderPlan {
        &self.settings.faults
    }

    /// The plan of faults, to add to it.
    pub const fn faults_mut(&mut self) -> &mut OrderPlan {
        &mut self.settings.faults
    }

    /// Every order there ever was.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// Every fill of every account.
    pub fn fills(&self) -> &[FillRecord] {
        &self.fills
    }

    /// A new id in the form of a UUID.
    pub(super) fn new_id(&mut self) -> String {
        uuid(&mut self.rng)
    }

    /// What a group's subscribers are told.
    pub(super) fn tell_group(&mut self, account: usize, subaccount: u8, body: Value, now: UnixMs) {
        let channel = PrivateChannel::OrderGroups;
        self.outbox.put(Private { account, subaccount, channel, ticker: String::new(), body }, 0, now);
    }

    /// An account's cash on a shard, now.
    pub fn cash(&self, world: &World, account: usize, subaccount: u8, shard: u8) -> Money {
        let clearing = world.exchange(Venue::Kalshi).clearing();
        clearing.purse(owner(account, subaccount)).map_or(Money::ZERO, |purse| purse.on(shard))
    }

    /// An account's position in a market, now, in signed millionths of a contract.
    pub fn position(&self, world: &World, account: usize, subaccount: u8, market: usize) -> i64 {
        let clearing = world.exchange(Venue::Kalshi).clearing();
        clearing.purse(owner(account, subaccount)).map_or(0, |purse| purse.position(market))
    }
}
