//! All of the account, read question by question (dossier 4.9, 4.10).
//!
//! The order of the questions decides what a trade in between them looks like. First the venue's word of how fresh its
//! listings are: it holds for every later one. Then the orders that stand, then positions, then cash: a fill in between
//! shows as an order *and* a position, or as cash that is gone without what it bought. The other way round it would be
//! missing from both, or money would be counted that is spent.

use super::{
    line::{API, Pages, Progress, Question},
    page::{self, Cash},
};
use crate::{
    unit::{Nanos, OrderId, Tag},
    venue::{
        gateway::Account,
        kalshi::{limits::Rates, order::Names},
        pace::Bucket,
    },
    wire::json::Parser,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Stamp,
    Orders,
    Positions,
    Cash,
    /// Of one shard, by its place in the list.
    CashOn(usize),
}

/// One reading of the account.
#[derive(Debug)]
pub(super) struct Reading {
    step: Step,
    pages: Pages,
    /// Shards that our markets are on.
    shards: Vec<u8>,
    /// Its question waits for the balance's own budget.
    pub(super) waits: bool,
    pub(super) account: Account,
}

impl Reading {
    pub(super) fn new(shards: Vec<u8>) -> Self {
        Self { step: Step::Stamp, pages: Pages::default(), shards, waits: false, account: Account::default() }
    }

    /// What is to be asked next.
    pub(super) fn question(&self, subaccount: Option<u8>, rates: &Rates) -> Question {
        let (path, mut query) = match self.step {
            Step::Stamp => ("/exchange/user_data_timestamp", String::new()),
            Step::Orders => ("/portfolio/orders", String::from("status=resting")),
            Step::Positions => ("/portfolio/positions", String::new()),
            Step::Cash => ("/portfolio/balance", String::new()),
            Step::CashOn(at) => ("/portfolio/balance", format!("exchange_index={}", self.shards[at])),
        };
        if matches!(self.step, Step::Orders | Step::Positions) {
            self.pages.write(&mut query);
        }
        if let Some(number) = subaccount.filter(|_| self.step != Step::Stamp) {
            let joint = if query.is_empty() { "" } else { "&" };
            query = format!("{query}{joint}subaccount={number}");
        }
        // Balances have a budget of their own.
        let cost = if self.is_cash() { 0 } else { rates.other };
        Question { path: format!("{API}{path}"), query, cost }
    }

    /// May the next question leave now? If not, it waits.
    pub(super) fn may_ask(&mut self, balance: &mut Bucket, now: Nanos) -> bool {
        self.waits = self.is_cash() && !balance.take(1, 0, now);
        !self.waits
    }

    fn is_cash(&self) -> bool {
        matches!(self.step, Step::Cash | Step::CashOn(_))
    }

    /// Takes an answer in; `None` ends the reading with nothing told.
    pub(super) fn answered(&mut self, body: &mut [u8], names: Names, parser: &mut Parser) -> Option<Progress> {
        let account = &mut self.account;
        let (more, then) = match self.step {
            Step::Stamp => {
                account.as_of = page::stamp(body, parser)?;
                (false, Step::Orders)
            }
            Step::Orders => {
                let page = page::orders(body, names, parser)?;
                // What moved from one page to the next while we read comes twice.
                let known = |standing: &[(Tag, Option<OrderId>)], tag| standing.iter().any(|(known, _)| *known == tag);
                for row in page.rows.iter().filter(|row| row.picture.open) {
                    if !known(&account.standing, row.tag) {
                        account.standing.push((row.tag, row.ours));
                    }
                }
                (self.pages.next(&page.cursor)?, Step::Positions)
            }
            Step::Positions => {
                let page = page::positions(body, parser)?;
                for held in page.rows.into_iter().flatten() {
                    // The same market twice: which of the two is true cannot be known.
                    if account.held.iter().any(|known| known.market == held.market) {
                        return None;
                    }
                    account.held.push(held);
                }
                (self.pages.next(&page.cursor)?, Step::Cash)
            }
            Step::Cash => match page::cash(body, parser)? {
                Cash::ByShard(cash) => {
                    account.cash = cash;
                    return Some(Progress::Done);
                }
                Cash::Sum(_) => (false, Step::CashOn(0)),
            },
            Step::CashOn(at) => {
                let (Cash::Sum(cash), Some(&shard)) = (page::cash(body, parser)?, self.shards.get(at)) else {
                    return None;
                };
                account.cash.push((shard, cash));
                (false, Step::CashOn(at + 1))
            }
        };
        if !more {
            (self.step, self.pages) = (then, Pages::default());
        }
        let done = matches!(self.step, Step::CashOn(at) if self.shards.len() <= at);
        Some(if done { Progress::Done } else { Progress::More })
    }
}
