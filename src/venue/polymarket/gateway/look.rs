//! A look at an order: its own record and its trades, asked for together (dossier 3.12).
//!
//! Neither listing leads the other: the record may know of a match before the trades do, and the other way round. So
//! the trades are told first, and what they lack the plan asks for again. Nothing is concluded from what is missing
//! unless both were read whole, twice, after the order's own end.

use super::{
    END_MS, Life, PolymarketGateway,
    line::{What, page},
    ours,
};
use crate::{
    fill::{Heard, Whose},
    order::Ask,
    unit::{OrderId, Picture, Tag, Told, UnixMs},
    venue::{
        gateway::{Answer, Out},
        polymarket::report,
    },
    wire::{
        Arrival,
        json::{Malformed, Parser, Slot},
    },
};

/// No order of ours has more trades; a listing that goes on is not believed.
const PAGES_MAX: u32 = 50;
/// Trades are asked for from so long before sending.
const BEFORE_S: u64 = 60;
/// How far the venue's clock may be from ours.
const SLACK_MS: u64 = 5_000;

/// What is known of the order's own record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Record {
    Awaited,
    Shown(Picture),
    Missing,
    Failed,
}

/// A look under way.
#[derive(Debug)]
pub(super) struct Look {
    tag: Tag,
    asked: UnixMs,
    record: Record,
    trades: Vec<Heard>,
    /// Trades, without the page.
    target: String,
    pages: u32,
    /// No page is awaited any more.
    listed: bool,
    /// All pages came, and every trade could be read.
    whole: bool,
}

impl PolymarketGateway {
    pub(super) fn start_look(&mut self, ask: &Ask, tag: Option<Tag>, at: Arrival, out: &mut Out) {
        let Some(tag) = self.tag(ask.id, tag) else {
            out.strange.push(format!("order {} has no digest: its record cannot be asked for", ask.id));
            return;
        };
        if self.looks.contains_key(&ask.id) || !self.reads.take(2, 0, at.now) {
            return;
        }
        // One that this start did not send was sent before it.
        let born = self.born.unwrap_or(at.unix);
        let earlier = Life { tag, sent: None, end: UnixMs::new(born.raw() + END_MS), missing: false };
        let life = *self.lives.entry(ask.id).or_insert(earlier);
        let market = self.market(ask.market).map(|market| market.condition);
        let of_market = market.map(|condition| format!("market={condition}&")).unwrap_or_default();
        let after_s = life.sent.map(|sent| (sent.raw() / 1_000).saturating_sub(BEFORE_S));
        let after = after_s.map(|secs| format!("after={secs}&")).unwrap_or_default();
        let target = format!("/data/trades?{of_market}{after}");
        self.line.ask(What::Record { order: ask.id }, &format!("/data/order/{tag}"), at, out);
        self.line.ask(What::Trades { order: ask.id }, &format!("{target}next_cursor=MA=="), at, out);
        let look = Look {
            tag,
            asked: at.unix,
            record: Record::Awaited,
            trades: Vec::new(),
            target,
            pages: 1,
            listed: false,
            // Trades of a market whose tokens we do not know cannot be read.
            whole: market.is_some(),
        };
        self.looks.insert(ask.id, look);
    }

    pub(super) fn record_answered(&mut self, order: OrderId, answer: Answer<'_>, at: Arrival, out: &mut Out) {
        let Some(look) = self.looks.get_mut(&order) else { return };
        look.record = Record::Failed;
        if let Answer::Whole { status, body } = answer {
            let kept = body[..body.len().min(4 << 10)].to_vec();
            match record(status, body, &look.tag, at.unix, &mut self.parser) {
                Ok(record) => look.record = record,
                Err(why) => out.strange.push(self.line.strange(&format!("record of an order, {status}, {why}"), &kept)),
            }
        }
        self.finish_look(order, at, out);
    }

    pub(super) fn trades_answered(&mut self, order: OrderId, answer: Answer<'_>, at: Arrival, out: &mut Out) {
        let Self { parser, looks, line, outcomes, .. } = self;
        let Some(look) = looks.get_mut(&order) else { return };
        look.listed = true;
        let next = match answer {
            Answer::Whole { status: 200, body } => {
                let (owner, outcome) = (line.api().owner(), |token: &str| outcomes.get(token).copied());
                let mut unread = None;
                let read = parser.parse(body, |root| {
                    page(root, |trade| {
                        match report::trade(trade, owner, &outcome, at.unix) {
                            Ok(heard) => look.trades.extend(heard.into_iter().filter(|heard| names(heard, &look.tag))),
                            // One trade that nobody can read must not hide the others.
                            Err(why) => unread = Some(why),
                        }
                        Ok(())
                    })
                });
                if let Some(why) = unread {
                    look.whole = false;
                    out.strange.push(format!("trades of an order: {why}"));
                }
                read
            }
            _ => Err(Malformed::Shape),
        };
        match next {
            Ok(None) => {}
            Ok(Some(cursor)) if look.pages < PAGES_MAX => {
                look.pages += 1;
                look.listed = false;
                let target = format!("{}next_cursor={cursor}", look.target);
                line.ask(What::Trades { order }, &target, at, out);
            }
            Ok(Some(_)) | Err(_) => look.whole = false,
        }
        self.finish_look(order, at, out);
    }

    /// Tells what a look has found, once both answers are there.
    fn finish_look(&mut self, order: OrderId, at: Arrival, out: &mut Out) {
        if self.looks.get(&order).is_none_or(|look| !look.listed || look.record == Record::Awaited) {
            return;
        }
        let Some(look) = self.looks.remove(&order) else { return };
        let nothing = look.record == Record::Missing && look.whole && look.trades.is_empty();
        out.heard.extend(look.trades.into_iter().map(|heard| ours(order, heard.told, at)));
        if let Record::Shown(picture) = look.record {
            out.heard.push(ours(order, Told::Picture(picture), at));
        }
        let Some(life) = self.lives.get_mut(&order) else { return };
        let over = life.end.raw() + SLACK_MS < look.asked.raw();
        let before = std::mem::replace(&mut life.missing, nothing && over);
        if before && life.missing {
            life.missing = false;
            out.heard.push(ours(order, Told::Absent { as_of: look.asked }, at));
        }
    }
}

/// Is this report about the order?
fn names(heard: &Heard, tag: &Tag) -> bool {
    matches!(heard.order, Whose::Named(named) if named.as_str().eq_ignore_ascii_case(tag.as_str()))
}

/// Reads the answer to a question for one order.
fn record(status: u16, body: &mut [u8], tag: &Tag, at: UnixMs, parser: &mut Parser) -> Result<Record, Malformed> {
    match status {
        200 => parser.parse(body, |root| {
            let heard = report::order(root, at)?;
            match heard.told {
                Told::Picture(picture) if names(&heard, tag) => Ok(Record::Shown(picture)),
                _ => Err(Malformed::Field("id")),
            }
        }),
        // In the venue's own words: a proxy's 404 says nothing of the order.
        404 => parser.parse(body, |root| {
            let mut error = Slot::new("error");
            for (key, value) in root.members()? {
                if key == "error" {
                    error.fill(value)?;
                }
            }
            Ok(if error.text()?.contains("not found") { Record::Missing } else { Record::Failed })
        }),
        401 | 403 => Err(Malformed::Shape),
        _ => Ok(Record::Failed),
    }
}
