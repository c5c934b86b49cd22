//! Mistakes that somebody has made with real money, planted between the engine and a gateway. Each has to be noticed.

use std::collections::{BTreeMap, BTreeSet};

use orion::{
    order::Ask,
    unit::{Money, Nanos, OrderId, Outcome, Picture, Qty, Refusal, Sent, Stage, Tag, Told, Trade, UnixMs},
    venue::gateway::{Answer, Call, CallNo, Gateway, Lane, Minted, Out, Prepared, Unready},
    wire::Arrival,
};

use orion::fill::{Heard, Whose};

/// What is planted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bug {
    /// The sender does not look at the latch.
    LatchIgnored,
    /// Entries leave as if they were hedges.
    EntryIsHedge,
    /// What was not answered is sent again.
    ResendOnTimeout,
    /// An answer that never came counts as "nothing filled".
    ErrorIsUnfilled,
    /// A fill that is told twice counts twice.
    DuplicateCounts,
    /// Not there now counts as never there, however young the order is.
    AbsentTooEarly,
    /// "Not found" on a cancel counts as cancelled.
    NotFoundIsCancelled,
    /// A cancel is believed though it was never sent.
    CancelNotSent,
    /// The side of a fill is read the wrong way round.
    WrongSide,
    /// A price on the NO leg is taken for one on the YES leg.
    WrongLeg,
    /// Fees are forgotten.
    FeeForgotten,
    /// A match counts as settled.
    MatchIsFinal,
    /// Word of a failed settlement is not read.
    FailureIgnored,
    /// A partial fill counts as a whole one.
    PartIsWhole,
    /// Records are never asked for.
    NeverLooks,
    /// What leaves is larger than what was decided.
    TwiceTheSize,
    /// What was signed ahead is sent twice.
    TicketAgain,
    /// The journal is said to be on the medium, and is not.
    SyncIsSaid,
    /// What a venue said in words on no list is thrown away.
    WordsForgotten,
}

impl Bug {
    pub const ALL: [Self; 19] = [
        Self::LatchIgnored,
        Self::EntryIsHedge,
        Self::ResendOnTimeout,
        Self::ErrorIsUnfilled,
        Self::DuplicateCounts,
        Self::AbsentTooEarly,
        Self::NotFoundIsCancelled,
        Self::CancelNotSent,
        Self::WrongSide,
        Self::WrongLeg,
        Self::FeeForgotten,
        Self::MatchIsFinal,
        Self::FailureIgnored,
        Self::PartIsWhole,
        Self::NeverLooks,
        Self::TwiceTheSize,
        Self::TicketAgain,
        Self::SyncIsSaid,
        Self::WordsForgotten,
    ];
}

/// The numbers of calls that are sent again.
const AGAIN: u32 = 1 << 31;

/// A gateway with a mistake in it.
pub struct Saboteur {
    bug: Bug,
    inner: Box<dyn Gateway + Send>,
    asks: BTreeMap<OrderId, Ask>,
    sent: BTreeMap<CallNo, Call>,
    /// Orders that were signed ahead, and the request of the last one of them.
    ahead: BTreeSet<OrderId>,
    ticket: Option<Vec<u8>>,
    count: u32,
}

impl Saboteur {
    /// The gateway itself where nothing is planted.
    pub fn wrap(bug: Option<Bug>, inner: Box<dyn Gateway + Send>) -> Box<dyn Gateway + Send> {
        match bug {
            None | Some(Bug::LatchIgnored | Bug::SyncIsSaid) => inner,
            Some(bug) => Box::new(Self {
                bug,
                inner,
                asks: BTreeMap::new(),
                sent: BTreeMap::new(),
                ahead: BTreeSet::new(),
                ticket: None,
                count: 0,
            }),
        }
    }

    /// Changes what the gateway learnt and wants.
    fn spoil(&mut self, out: &mut Out) {
        if self.bug == Bug::EntryIsHedge {
            for call in out.calls.iter_mut().filter(|call| call.lane == Lane::Entry) {
                call.lane = Lane::Safety;
            }
        }
        if self.bug == Bug::WordsForgotten {
            out.said.clear();
        }
        let heard = std::mem::take(&mut out.heard);
        for Heard { order, told, at, met } in heard {
            if let Some(told) = self.word(&order, told) {
                out.heard.push(Heard { order, told, at, met });
            }
        }
    }

    fn word(&mut self, order: &Whose, told: Told) -> Option<Told> {
        let asked = |id: &OrderId| self.asks.get(id).map(|ask| ask.qty);
        let qty = match order {
            Whose::Ours(id) => asked(id),
            Whose::Named(_) => None,
        };
        Some(match (self.bug, told) {
            (Bug::ErrorIsUnfilled, Told::Sent(Sent::Unknown(_))) => Told::Sent(Sent::Refused(Refusal::Killed)),
            (Bug::DuplicateCounts, Told::Trade(trade)) => {
                self.count += 1;
                Told::Trade(Trade { tag: Tag::new(&format!("{}-{}", trade.tag, self.count)).unwrap(), ..trade })
            }
            (Bug::AbsentTooEarly, Told::Absent { as_of }) => Told::Absent { as_of: UnixMs::new(as_of.raw() + 600_000) },
            (Bug::NotFoundIsCancelled, Told::NotCancelled) => Told::Cancelled { left: qty },
            (Bug::WrongSide, Told::Trade(trade)) => Told::Trade(Trade { outcome: trade.outcome.other(), ..trade }),
            (Bug::WrongLeg, Told::Trade(trade)) if trade.outcome == Outcome::No => {
                Told::Trade(Trade { price: trade.price.complement(), ..trade })
            }
            (Bug::FeeForgotten, Told::Trade(trade)) => Told::Trade(Trade { fee: Some(Money::ZERO), ..trade }),
            (Bug::MatchIsFinal, Told::Trade(trade)) if trade.stage < Stage::Confirmed => {
                Told::Trade(Trade { stage: Stage::Confirmed, ..trade })
            }
            (Bug::FailureIgnored, Told::Trade(trade)) if trade.stage == Stage::Failed => return None,
            (Bug::PartIsWhole, Told::Picture(picture)) if !picture.filled.is_zero() => {
                Told::Picture(Picture { filled: qty.unwrap_or(picture.filled), ..picture })
            }
            (_, told) => told,
        })
    }
}

impl Gateway for Saboteur {
    fn orders_left(&mut self, now: Nanos) -> u32 {
        self.inner.orders_left(now)
    }

    fn prepare(&mut self, ask: &Ask, at: Arrival) -> Result<Prepared, Unready> {
        self.asks.insert(ask.id, *ask);
        let mut ask = *ask;
        if self.bug == Bug::TwiceTheSize {
            ask.qty = Qty::new(2 * ask.qty.micros()).unwrap();
        }
        let ready = self.inner.prepare(&ask, at)?;
        if ready.ahead {
            self.ahead.insert(ask.id);
        }
        Ok(ready)
    }

    fn mint(&mut self, ask: &Ask, at: Arrival) -> bool {
        self.inner.mint(ask, at)
    }

    fn minted(&mut self) -> Option<Minted> {
        self.inner.minted()
    }

    fn send(&mut self, order: OrderId, out: &mut Out) {
        let before = out.calls.len();
        self.inner.send(order, out);
        for call in &mut out.calls[before..] {
            if self.bug == Bug::TicketAgain && self.ahead.contains(&order) {
                call.bytes = self.ticket.replace(call.bytes.clone()).unwrap_or_else(|| call.bytes.clone());
            }
            self.sent.insert(call.no, call.clone());
        }
        self.spoil(out);
    }

    fn withdraw(&mut self, order: OrderId) {
        self.inner.withdraw(order);
    }

    fn cancel(&mut self, ask: &Ask, tag: Option<Tag>, at: Arrival, out: &mut Out) {
        if self.bug == Bug::CancelNotSent {
            let told = Told::Cancelled { left: Some(ask.qty) };
            return out.heard.push(Heard { order: Whose::Ours(ask.id), told, at: at.unix, met: None });
        }
        self.inner.cancel(ask, tag, at, out);
        self.spoil(out);
    }

    fn look(&mut self, ask: &Ask, tag: Option<Tag>, at: Arrival, out: &mut Out) {
        if self.bug != Bug::NeverLooks {
            self.inner.look(ask, tag, at, out);
            self.spoil(out);
        }
    }

    fn account(&mut self, at: Arrival, out: &mut Out) {
        self.inner.account(at, out);
    }

    fn resume(&mut self, at: Arrival, out: &mut Out) {
        self.inner.resume(at, out);
    }

    fn halt(&mut self, at: Arrival, out: &mut Out) {
        self.inner.halt(at, out);
    }

    fn answered(&mut self, no: CallNo, answer: Answer<'_>, at: Arrival, out: &mut Out) {
        let sent = self.sent.remove(&no);
        if let (Bug::ResendOnTimeout, Answer::Lost(_), Some(call)) = (self.bug, &answer, sent) {
            self.count += 1;
            out.calls.push(Call { no: CallNo(AGAIN | self.count), ..call });
        }
        self.inner.answered(no, answer, at, out);
        self.spoil(out);
    }

    fn opened(&mut self, at: Arrival, out: &mut Out) {
        self.inner.opened(at, out);
    }

    fn text(&mut self, bytes: &mut [u8], at: Arrival, out: &mut Out) {
        self.inner.text(bytes, at, out);
        self.spoil(out);
    }

    fn alive(&mut self, at: Arrival, out: &mut Out) {
        self.inner.alive(at, out);
    }

    fn timeout(&mut self, at: Arrival, out: &mut Out) {
        self.inner.timeout(at, out);
        self.spoil(out);
    }
}
