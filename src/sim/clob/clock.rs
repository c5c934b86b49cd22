//! Time passes: held orders meet the book, trades settle, orders expire, switches fall, modes end.

use crate::sim::clob::ClobDesk;
use crate::sim::clob::account::Heartbeat;
use crate::sim::clob::admit::{Order, Stage};
use crate::sim::clob::mode::Mode;
use crate::sim::clob::trade::Trade;
use crate::sim::world::{Happening, World};
use crate::unit::UnixMs;

impl ClobDesk {
    /// Hears what the world did and does what is due. Call it after every step of the world, with what the step
    /// returned; between steps, with nothing.
    pub fn advance(&mut self, happenings: &[Happening], world: &mut World, now: UnixMs) {
        self.observe(happenings, world, now);
        self.pass_mode(now);
        self.release_due(world, now);
        self.settle_due(world, now);
        self.relay_due(world, now);
        for at in 0..self.orders.len() {
            let order = &self.orders[at];
            if order.stage == Stage::Live && order.expires_at().is_some_and(|end| end <= now) {
                self.withdraw(at, "CANCELED_EXPIRED_ORDER", world, now);
            }
        }
        self.check_hearts(world, now);
    }

    /// When something of this desk's own is due next.
    pub fn next_due(&self) -> Option<UnixMs> {
        let of_order = |order: &Order| match order.stage {
            Stage::Held { until, .. } => Some(until),
            Stage::Live => order.expires_at(),
            Stage::Matched | Stage::Canceled(_) => None,
        };
        let hearts = self.accounts.iter().flat_map(|account| account.heartbeats.values());
        let mode = match self.mode {
            Mode::Restarting { until } | Mode::PostOnly { until } => Some(until),
            Mode::Open | Mode::CancelOnly | Mode::Disabled => None,
        };
        let orders = self.orders.iter().filter_map(of_order);
        let trades = self.trades.iter().filter_map(Trade::next_at);
        let notices = self.notices.iter().map(|(at, _)| *at);
        let checks = hearts.map(|heart: &Heartbeat| heart.next_check);
        orders.chain(trades).chain(notices).chain(checks).chain(mode).chain(self.relay_next()).min()
    }
}
