//! Order numbers from a durable epoch and a counter, so that a restarted engine knows its own orders and never uses a
//! number twice.

use crate::unit::OrderId;

/// Hands out one epoch's numbers.
#[derive(Debug)]
pub struct Ids {
    epoch: u32,
    last: u32,
}

impl Ids {
    /// The numbers of `epoch`, which no earlier start of this engine has used; `None` past [`OrderId::EPOCH_MAX`].
    pub fn new(epoch: u32) -> Option<Self> {
        OrderId::new(epoch, 0).map(|_| Self { epoch, last: 0 })
    }

    /// The next number, or `None` after four billion of them.
    pub fn take(&mut self) -> Option<OrderId> {
        self.last = self.last.checked_add(1)?;
        OrderId::new(self.epoch, self.last)
    }

    /// The epoch they are of.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }
}
