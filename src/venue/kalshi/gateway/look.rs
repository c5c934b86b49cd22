//! The venue's record of one order, read question by question (dossier 4.1, 4.9).
//!
//! ```text
//! id known:    order ──► fills of it ──► told
//! not known:   timestamp ──► orders of the market ──► found:     fills of it ──► told
//!                                                └──► not found: fills of the market ──► absent
//! ```
//!
//! What a newcomer gets wrong: the order of the questions is the proof. The record of fills is read after the order's
//! own, so it is never the older of the two; and the venue's word of how fresh its listings are is read before any of
//! them, so what it says holds for all. A question that fails ends the look, and nothing of it is told.

use std::collections::HashSet;

use super::{
    line::{API, Pages, Progress, Question},
    page::{self, Row},
};
use crate::{
    fill::{Heard, Whose},
    order::Ask,
    unit::{OrderId, Picture, Sent, Tag, Told, UnixMs},
    venue::{
        gateway::Out,
        kalshi::{
            limits::Rates,
            order::{Names, Place},
        },
    },
    wire::{Arrival, json::Parser},
};

/// Fills are asked for from this long before sending, for clocks that differ.
const EARLIER_MS: u64 = 300_000;
/// Older orders may have moved to the archive, about two weeks after they ended: their absence here proves nothing.
pub(super) const HISTORY_MS: u64 = 7 * 86_400_000;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Order(Tag),
    FillsOf(Tag),
    Stamp,
    Orders,
    Fills,
}

/// One order's look.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) ask: Ask,
    /// Cancel it if it stands.
    pub(super) cancels: bool,
    /// When it was sent, as far as known.
    sent: Option<UnixMs>,
    /// The id that whoever asked did not know.
    news: Option<Tag>,
    step: Step,
    pages: Pages,
    as_of: UnixMs,
    picture: Option<Picture>,
    trades: Vec<Told>,
    /// Orders that the listing shows and that are others.
    others: HashSet<Tag>,
}

impl Look {
    /// A look that begins. `told` is the venue's id as whoever asks knows it, `known` as the gateway does.
    pub(super) fn new(ask: Ask, told: Option<Tag>, known: Option<Tag>, sent: Option<UnixMs>) -> Self {
        Self {
            ask,
            cancels: false,
            sent,
            news: if told.is_none() { known } else { None },
            step: told.or(known).map_or(Step::Stamp, Step::Order),
            pages: Pages::default(),
            as_of: UnixMs::default(),
            picture: None,
            trades: Vec::new(),
            others: HashSet::new(),
        }
    }

    /// What is to be asked next.
    pub(super) fn question(&self, place: Place<'_>, rates: &Rates) -> Question {
        let of_market = || format!("ticker={}", place.ticker);
        let (path, mut query, cost) = match self.step {
            // This one knows no filters.
            Step::Order(tag) => (format!("{API}/portfolio/orders/{tag}"), String::new(), rates.order),
            Step::FillsOf(tag) => (format!("{API}/portfolio/fills"), format!("order_id={tag}"), rates.other),
            Step::Stamp => (format!("{API}/exchange/user_data_timestamp"), String::new(), rates.other),
            // All of the market's orders, not only the late ones: each fill's order has to be among them.
            Step::Orders => (format!("{API}/portfolio/orders"), of_market(), rates.other),
            Step::Fills => {
                let since = self.sent.map_or(0, |sent| sent.raw().saturating_sub(EARLIER_MS)) / 1_000;
                (format!("{API}/portfolio/fills"), format!("{}&min_ts={since}", of_market()), rates.other)
            }
        };
        if !matches!(self.step, Step::Order(_) | Step::Stamp) {
            if let Some(subaccount) = place.subaccount {
                query = format!("{query}&subaccount={subaccount}");
            }
            self.pages.write(&mut query);
        }
        Question { path, query, cost }
    }

    /// Takes an answer in; `None` ends the look with nothing told.
    pub(super) fn answered(
        &mut self,
        body: &mut [u8],
        names: Names,
        at: UnixMs,
        parser: &mut Parser,
    ) -> Option<Progress> {
        let id = self.ask.id;
        match self.step {
            Step::Order(tag) => {
                let row = page::order(body, names, parser)?;
                let same = row.tag == tag && row.ours.is_none_or(|ours| ours == id);
                same.then(|| self.found(&row))
            }
            Step::FillsOf(tag) => {
                let page = page::fills(body, names, at, parser)?;
                for (order, heard) in &page.rows {
                    // A filter that was not heeded: these are fills of all the world.
                    if *order != tag {
                        return None;
                    }
                    self.trades.push(heard.told);
                }
                Some(if self.pages.next(&page.cursor)? { Progress::More } else { Progress::Done })
            }
            Step::Stamp => {
                self.as_of = page::stamp(body, parser)?;
                self.step = Step::Orders;
                Some(Progress::More)
            }
            Step::Orders => {
                let page = page::orders(body, names, parser)?;
                if let Some(row) = page.rows.iter().find(|row| row.ours == Some(id)) {
                    self.news = Some(row.tag);
                    return Some(self.found(row));
                }
                self.others.extend(page.rows.iter().map(|row| row.tag));
                if !self.pages.next(&page.cursor)? {
                    (self.step, self.pages) = (Step::Fills, Pages::default());
                }
                Some(Progress::More)
            }
            Step::Fills => {
                let page = page::fills(body, names, at, parser)?;
                // Fills do not name our number. One of an order that the listing does not show says that it is not
                // whole.
                if !page.rows.iter().all(|(order, _)| self.others.contains(order)) {
                    return None;
                }
                Some(if self.pages.next(&page.cursor)? { Progress::More } else { Progress::Done })
            }
        }
    }

    fn found(&mut self, row: &Row) -> Progress {
        self.picture = Some(row.picture);
        (self.step, self.pages) = (Step::FillsOf(row.tag), Pages::default());
        Progress::More
    }

    /// The venue's id of an order that stands and is to be cancelled.
    pub(super) fn standing(&self) -> Option<Tag> {
        match (self.step, self.picture) {
            (Step::FillsOf(tag), Some(Picture { open: true, .. })) => Some(tag),
            _ => None,
        }
    }

    /// The venue's id, once it was found.
    pub(super) fn tag(&self) -> Option<Tag> {
        self.news
    }

    /// Tells what a look that is done has shown: each trade before the picture, so that nobody asks for what is told.
    pub(super) fn tell(&self, at: Arrival, out: &mut Out) {
        let id = self.ask.id;
        let mut say = |told| out.heard.push(ours(id, told, at));
        if let Some(picture) = self.picture {
            if let Some(tag) = self.news {
                say(Told::Sent(Sent::Accepted(tag)));
            }
            self.trades.iter().copied().for_each(&mut say);
            say(Told::Picture(picture));
        } else if self.sent.is_some_and(|sent| at.unix.since(sent) < HISTORY_MS) {
            say(Told::Absent { as_of: self.as_of });
        }
    }
}

/// A report of an order of ours.
pub(super) fn ours(id: OrderId, told: Told, at: Arrival) -> Heard {
    Heard { order: Whose::Ours(id), told, at: at.unix, met: None }
}
