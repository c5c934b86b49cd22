//! One order's life. Whatever a venue says, in whichever order and however often, goes through [`Leg::next`].
//!
//! ```text
//! Planned ──► Sent ──► Working ──► Done
//!               └───► Unknown ──────┘
//! ```
//!
//! Quantities and the state are learnt apart: a fill may come before the answer, after a cancel, or from a listing a
//! minute later. What was filled is the larger of what the venue's record says and what its trades add up to, and it
//! never shrinks except by a trade that failed.
//!
//! Unknown ends in two ways only: the venue shows the order, or its complete listings, read late enough, do not.

use smallvec::SmallVec;

use super::Ask;
use crate::unit::{Money, Nanos, Picture, Qty, Reaction, Refusal, Sent, Stage, Tag, Told, Trade, Unclear, UnixMs};

/// Kalshi's signed header is dead this long after sending; a listing that is younger proves that nothing arrived.
/// Polymarket's orders carry an expiry of their own, which the caller adds.
pub const ABSENCE_AFTER_MS: u64 = 60_000;
/// More than asked for by no more than this is dust of the venue's arithmetic: kept, noted, not a mistake.
pub const DUST: Qty = Qty::new(10_000).expect("a hundredth of a contract");

/// Where an order stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Not sent yet.
    Planned,
    /// Bytes are out, or going; the answer is awaited.
    Sent,
    /// The bytes may have arrived. Only the venue's own record ends this.
    Unknown { since: Nanos, why: Unclear },
    /// The venue has it, and it may fill further.
    Working,
    /// It will not fill further.
    Done(End),
}

/// How an order ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The venue's record says so: filled, cancelled or expired.
    Closed,
    Refused(Refusal),
    /// The venue never had it.
    Absent,
}

/// What cannot be. Trading stops, and the evidence is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Impossible {
    #[error("filled {filled} of {asked}: more than was asked for")]
    Overfilled { asked: Qty, filled: Qty },
    #[error("trades of {told} of an order whose record ended at {shown}")]
    BeyondRecord { shown: Qty, told: Qty },
    #[error("{filled} filled of an order that the venue refused or never had")]
    FilledAfterEnd { filled: Qty },
    #[error("trade {0} is told with another price, quantity or direction than before")]
    TradeChanged(Tag),
    #[error("trade {0} was final and is told otherwise")]
    TradeReopened(Tag),
    #[error("trade {0} is of the other direction")]
    WrongWay(Tag),
    #[error("trade {0} is beyond the order's limit")]
    BeyondLimit(Tag),
    #[error("an answer to an order that was never sent")]
    NeverSent,
}

/// What a report changed, for whoever books money and looks after the plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Told before, or says nothing new.
    Nothing,
    /// State or quantity: the plan has to look.
    Moved,
    /// A trade that was not known: to be booked.
    Traded(Trade),
    /// A known trade is final now.
    Confirmed(Trade),
    /// A known trade never was: to be taken out of every book.
    Voided(Trade),
}

/// How far the request to cancel an order has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cancel {
    NotAsked,
    Asked,
    /// Answered, one way or the other: only the order's record says what it came to.
    Answered,
}

/// One order and all that is known of it.
#[derive(Clone, Debug)]
pub struct Leg {
    pub ask: Ask,
    state: State,
    /// The venue's id, once it said one.
    tag: Option<Tag>,
    /// The venue answered, or showed, that it has it.
    answered: bool,
    /// When it was sent, by the wall clock: what a listing's age is measured against.
    sent: UnixMs,
    /// The largest quantity the venue's record ever showed.
    shown: Qty,
    trades: SmallVec<[Trade; 16]>,
    cancel: Cancel,
}

impl Leg {
    /// An order that has not been sent.
    pub fn new(ask: Ask) -> Self {
        Self {
            ask,
            state: State::Planned,
            tag: None,
            answered: false,
            sent: UnixMs::default(),
            shown: Qty::ZERO,
            trades: SmallVec::new(),
            cancel: Cancel::NotAsked,
        }
    }

    /// The intent is in the journal and the first byte is about to leave.
    pub fn sent(&mut self, unix: UnixMs) {
        assert_eq!(self.state, State::Planned, "an order is sent once");
        self.state = State::Sent;
        self.sent = unix;
    }

    /// The venue's id, where it follows from the order itself: reports name it before the answer has come.
    pub fn named(&mut self, tag: Option<Tag>) {
        self.tag = tag;
    }

    /// The engine was started anew. What was sent and not answered may have arrived.
    pub fn restarted(&mut self, now: Nanos) {
        if self.state == State::Sent {
            self.state = State::Unknown { since: now, why: Unclear::Restart };
        }
        self.cancel = Cancel::NotAsked;
    }

    /// Takes in one report.
    pub fn next(&mut self, told: &Told, now: Nanos) -> Result<Change, Impossible> {
        if self.state == State::Planned {
            return Err(Impossible::NeverSent);
        }
        match *told {
            Told::Sent(Sent::Accepted(tag)) => {
                self.tag = Some(tag);
                self.answered = true;
                Ok(self.found())
            }
            Told::Sent(Sent::Refused(refusal)) if refusal.reaction() == Reaction::Look => {
                Ok(self.doubtful(now, Unclear::Unfamiliar))
            }
            Told::Sent(Sent::Refused(refusal)) => self.refused(refusal),
            Told::Sent(Sent::Unknown(why)) => Ok(self.doubtful(now, why)),
            Told::Cancelled { left } => {
                self.cancel = Cancel::Answered;
                if let Some(left) = left {
                    return self.picture(Picture { filled: self.ask.qty.saturating_sub(left), open: false });
                }
                // It was there; how much of it was filled is for its picture to say.
                let _ = self.found();
                Ok(Change::Moved)
            }
            Told::NotCancelled => {
                self.cancel = Cancel::Answered;
                Ok(Change::Moved)
            }
            Told::Trade(trade) => self.trade(trade),
            Told::Picture(picture) => self.picture(picture),
            Told::Absent { as_of } => Ok(self.absent(as_of)),
        }
    }

    /// When it left, by the wall clock.
    pub fn sent_at(&self) -> UnixMs {
        self.sent
    }

    /// No answer came in time.
    pub fn overdue(&mut self, now: Nanos) {
        if self.state == State::Sent {
            self.state = State::Unknown { since: now, why: Unclear::TimedOut };
        }
    }

    /// A request to cancel is on its way.
    pub fn cancelling(&mut self) {
        self.cancel = Cancel::Asked;
    }

    /// How far a request to cancel has come.
    pub fn cancel(&self) -> Cancel {
        self.cancel
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Has the venue answered that it has it?
    pub fn is_answered(&self) -> bool {
        self.answered
    }

    /// The venue's id, once it is known.
    pub fn tag(&self) -> Option<Tag> {
        self.tag
    }

    /// Its trades, in the order they were told.
    pub fn trades(&self) -> &[Trade] {
        &self.trades
    }

    /// What counts as filled for hedging: everything matched that has not failed.
    pub fn filled(&self) -> Qty {
        let traded = self.sum(|_| true);
        self.shown.max(traded).saturating_sub(self.sum(|stage| stage == Stage::Failed))
    }

    /// What is filled for good.
    pub fn certain(&self) -> Qty {
        self.sum(|stage| stage == Stage::Confirmed)
    }

    /// What may be filled at worst.
    pub fn possible(&self) -> Qty {
        match self.state {
            State::Planned => Qty::ZERO,
            State::Sent | State::Unknown { .. } | State::Working => self.filled().max(self.ask.qty),
            State::Done(_) => self.filled(),
        }
    }

    /// What trades have not told yet of what the venue's record shows.
    pub fn untold(&self) -> Qty {
        self.shown.saturating_sub(self.sum(|_| true))
    }

    /// Matched, but neither final nor failed.
    pub fn provisional(&self) -> Qty {
        self.sum(|stage| matches!(stage, Stage::Matched | Stage::Mined))
    }

    /// Will it fill no further, and is every fill told?
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Done(_)) && self.untold().is_zero()
    }

    /// Paid minus received for its trades, fees included, without those that failed.
    pub fn spent(&self) -> Money {
        let live = self.trades.iter().filter(|t| t.stage != Stage::Failed);
        live.map(
            |t| if t.bought { t.price.cost(t.qty) } else { -t.price.proceeds(t.qty) } + t.fee.unwrap_or(Money::ZERO),
        )
        .sum()
    }

    fn sum(&self, counted: impl Fn(Stage) -> bool) -> Qty {
        let all = self.trades.iter().filter(|t| counted(t.stage));
        all.fold(Qty::ZERO, |sum, t| sum.checked_add(t.qty).unwrap_or(Qty::MAX))
    }

    /// The venue has it.
    fn found(&mut self) -> Change {
        if matches!(self.state, State::Sent | State::Unknown { .. }) {
            self.state = State::Working;
            return Change::Moved;
        }
        Change::Nothing
    }

    fn doubtful(&mut self, now: Nanos, why: Unclear) -> Change {
        // What a stream has shown meanwhile is better than a lost answer.
        if self.state == State::Sent {
            self.state = State::Unknown { since: now, why };
            return Change::Moved;
        }
        Change::Nothing
    }

    fn refused(&mut self, refusal: Refusal) -> Result<Change, Impossible> {
        if !self.filled().is_zero() {
            return Err(Impossible::FilledAfterEnd { filled: self.filled() });
        }
        match self.state {
            State::Sent | State::Unknown { .. } => {
                self.state = State::Done(End::Refused(refusal));
                Ok(Change::Moved)
            }
            // The stream has shown it standing: the refusal was of something else, and the record decides.
            _ => Ok(Change::Nothing),
        }
    }

    fn trade(&mut self, trade: Trade) -> Result<Change, Impossible> {
        let trade = self.in_our_words(trade)?;
        if let Some(known) = self.trades.iter_mut().find(|known| known.tag == trade.tag) {
            let same = (known.price, known.qty, known.bought, known.outcome)
                == (trade.price, trade.qty, trade.bought, trade.outcome);
            if !same {
                return Err(Impossible::TradeChanged(trade.tag));
            }
            let before = known.stage;
            if trade.stage <= before {
                return Ok(Change::Nothing);
            }
            if before == Stage::Confirmed {
                return Err(Impossible::TradeReopened(trade.tag));
            }
            known.stage = trade.stage;
            known.fee = trade.fee.or(known.fee);
            return Ok(match trade.stage {
                Stage::Confirmed => Change::Confirmed(*known),
                Stage::Failed => Change::Voided(*known),
                Stage::Matched | Stage::Mined => Change::Nothing,
            });
        }
        let filled = self.sum(|stage| stage != Stage::Failed).checked_add(trade.qty).unwrap_or(Qty::MAX);
        if matches!(self.state, State::Done(End::Refused(_) | End::Absent)) {
            return Err(Impossible::FilledAfterEnd { filled: trade.qty });
        }
        if trade.stage != Stage::Failed && DUST < filled.saturating_sub(self.ask.qty) {
            return Err(Impossible::Overfilled { asked: self.ask.qty, filled });
        }
        // One fill under two names: the record of an order that has ended counts each once.
        let told = self.sum(|_| true).checked_add(trade.qty).unwrap_or(Qty::MAX);
        if self.state == State::Done(End::Closed) && DUST < told.saturating_sub(self.shown) {
            return Err(Impossible::BeyondRecord { shown: self.shown, told });
        }
        self.trades.push(trade);
        let _ = self.found();
        // A failed trade that was never known as matched moves nothing.
        Ok(if trade.stage == Stage::Failed { Change::Moved } else { Change::Traded(trade) })
    }

    /// Kalshi tells the sale of YES at p as the purchase of NO at 1 − p: the same trade, in the words of the order.
    fn in_our_words(&self, mut trade: Trade) -> Result<Trade, Impossible> {
        let Ask { outcome, buys, limit, .. } = self.ask;
        match (trade.outcome == outcome, trade.bought == buys) {
            (true, true) => {}
            (false, false) => {
                trade.price = trade.price.complement();
                (trade.outcome, trade.bought) = (outcome, buys);
            }
            _ => return Err(Impossible::WrongWay(trade.tag)),
        }
        let beyond = if buys { limit < trade.price } else { trade.price < limit };
        if beyond { Err(Impossible::BeyondLimit(trade.tag)) } else { Ok(trade) }
    }

    fn picture(&mut self, picture: Picture) -> Result<Change, Impossible> {
        if DUST < picture.filled.saturating_sub(self.ask.qty) {
            // The venue's record is what we own, whatever we asked for.
            self.shown = self.shown.max(picture.filled);
            return Err(Impossible::Overfilled { asked: self.ask.qty, filled: picture.filled });
        }
        let ended = matches!(self.state, State::Done(End::Refused(_) | End::Absent));
        if ended && !picture.filled.is_zero() {
            return Err(Impossible::FilledAfterEnd { filled: picture.filled });
        }
        let before = (self.state, self.shown);
        self.shown = self.shown.max(picture.filled);
        let told = self.sum(|_| true);
        if !picture.open && DUST < told.saturating_sub(self.shown) {
            return Err(Impossible::BeyondRecord { shown: self.shown, told });
        }
        if picture.open {
            // An old picture may be late: what has ended stays ended. One that shows the order standing after it was
            // cancelled says that the cancel was lost, or has not arrived; a second one does no harm.
            let _ = self.found();
            (self.answered, self.cancel) = (true, Cancel::NotAsked);
        } else if !ended {
            self.state = State::Done(End::Closed);
        }
        let same = before == (self.state, self.shown) && !picture.open;
        Ok(if same { Change::Nothing } else { Change::Moved })
    }

    fn absent(&mut self, as_of: UnixMs) -> Change {
        let late_enough = self.sent.raw() + ABSENCE_AFTER_MS < as_of.raw();
        match self.state {
            State::Unknown { .. } if late_enough && self.trades.is_empty() && self.shown.is_zero() => {
                self.state = State::Done(End::Absent);
                Change::Moved
            }
            // Too early to prove anything, or the venue has shown it before: a listing may miss pages.
            _ => Change::Nothing,
        }
    }
}
