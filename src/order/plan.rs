//! Two legs, and every situation they can be in.
//!
//! | long leg has | short leg has | what is done |
//! |---|---|---|
//! | all | all | the plan has ended: filled |
//! | some | as much | ended: partial |
//! | nothing | nothing | ended: missed |
//! | more | less, both done | the cheaper of completing the short leg and unwinding the long one, within the budgets |
//! | more | less, too small for either venue | ended: naked, worth less than an order |
//! | more | less, for longer than the time budget | the latch falls, a person is told, and closing it goes on |
//! | more | less, and a leg's market has paid or closed for good | ended: naked |
//! | more | less, and a venue refused the order that was to close it | the other way is taken; that venue is asked again half a second later |
//! | any | an order stands that should have ended | it is cancelled, and again until the record shows its end |
//! | any | an answer is overdue | Unknown: the venue's record is asked for; nothing is hedged on a guess |
//! | any | Unknown | frozen: no order of this plan leaves until the record ends it |
//! | a fill failed that had been closed by buying the other outcome | any | what was bought for that is an excess of its own: it is sold again, or what it closes is bought, on either leg |
//! | a fill failed | any | the failed part never was: whatever is now unequal is closed like any other excess |
//! | has sold all | has sold all | an exit has ended: exited |
//! | has sold more | has sold less | an exit's excess: the cheaper of selling the other leg too and buying this one back; where a person wants nothing held, selling it |
//! | not final yet | any | its record is asked for now and then, in case word of its end was lost |
//! | provisional for too long | any | frozen, and a person is told |
//!
//! Where the legs go out one after the other, the first one is the whole entry, and the second is the completion of
//! what it filled: the same rows, read again. It is priced at the first step after the first order is over, and no
//! restart forgets it: a plan is its orders, and what one leg has alone is an excess whoever reads the journal.
//!
//! An exit sells both legs of a held pair. Selling what is held is buying its complement, so an exit is a plan of the
//! other direction whose orders are sales: what a leg has sold is what it "has", and the table is read as it stands.

mod sums;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{
    Ask, Leg, Purpose,
    leg::{Cancel, Change, DUST, Impossible, State},
};
use crate::{
    risk::Evidence,
    spread::Legs,
    unit::{Money, Nanos, OrderId, Outcome, PairId, Price, Qty, Refusal, Sent, Stage, Tag, Told, Venue},
};

/// An answer is overdue after this long.
pub const ANSWER_WAIT: Nanos = Nanos::secs(5);
/// The venue's record of an order in doubt is asked for this often.
pub const LOOK_EVERY: Nanos = Nanos::secs(2);
/// An order with trades that are not final is asked for this often, in case word of them was lost.
pub const SETTLED_LOOK: Nanos = Nanos::secs(15);
/// A matched trade that is not final after this long freezes the pair.
pub const PROVISIONAL_MAX: Nanos = Nanos::secs(120);
/// Offers are asked for this often while an excess stands.
const OFFER_EVERY: Nanos = Nanos::millis(100);
/// After a refusal a venue is left alone for this long where the other leg's venue can close the excess, and where not.
const SHUN_FOR: Nanos = Nanos::millis(500);
/// Orders on one venue, entry and remedies together: as many as a plan may ever send there.
const ORDERS_MAX: usize = 16;

/// Which entry leaves first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum First {
    Together,
    /// This venue's; the other leg answers its fill.
    Alone(Venue),
    /// That of the venue which lately refused more of its orders, or left more in doubt; both where neither did.
    Refusing,
}

/// What the first order of each leg came to, whatever was done about it afterwards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Came {
    Nothing,
    /// Both legs as much.
    Level,
    /// This venue's leg has more than the other's.
    Alone(Venue),
}

/// What may be lost, and how long, to close an excess.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The most that closing a plan's excess may lose against the whole payout.
    pub loss_max: Money,
    /// From knowing of an excess to giving up.
    pub time_max: Nanos,
}

/// What closing an excess would cost now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Offer {
    pub qty: Qty,
    /// The worst price per contract of the outcome that is traded.
    pub limit: Price,
    /// Paid with fees for a purchase; received after fees, negative, for a sale.
    pub cost: Money,
    /// Bought, or sold out of what is held.
    pub buys: bool,
    pub outcome: Outcome,
}

/// Both ways to close an excess, as the books stand now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Offers {
    /// On the short leg's venue.
    pub complete: Option<Offer>,
    /// On the long leg's venue.
    pub unwind: Option<Offer>,
}

/// An excess of one leg.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Excess {
    pub long: Venue,
    pub qty: Qty,
    /// Of that, what is final and can be sold.
    pub sellable: Qty,
    /// It is of the outcome that was bought to close the leg: what it was to close failed afterwards.
    pub reversed: bool,
    /// It was sold out of what is held: completing sells the other leg too, and unwinding buys back.
    pub exit: bool,
}

/// What the plan wants done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Nothing before the next report or the next look at the clock.
    Wait,
    /// An order stands that should have ended.
    Cancel(OrderId),
    /// Only the venue's record helps.
    Look(OrderId),
    /// What would it cost to close this?
    Price(Excess),
    /// An excess has stood for longer than it may. Told once.
    Overdue,
    /// It is over.
    End(Ending),
}

/// How a plan ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Ending {
    /// Equal shares on both legs, all that was wanted.
    Filled,
    /// Equal shares on both legs, less than was wanted.
    Partial,
    /// Nothing was filled.
    Missed,
    /// What one leg had too much was closed.
    Unwound,
    /// One leg holds something alone that is too small for an order.
    Dust,
    /// One leg holds something alone that could not be closed: a person has to look.
    Naked,
    /// Risk let it pass, and nothing of it was begun.
    Withheld,
    /// What was held is sold, all of it or a part.
    Exited,
}

impl Ending {
    /// The word in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Partial => "partial",
            Self::Missed => "missed",
            Self::Unwound => "unwound",
            Self::Dust => "dust",
            Self::Naked => "naked",
            Self::Withheld => "withheld",
            Self::Exited => "exited",
        }
    }

    /// What it says of the size of the next plan.
    pub const fn evidence(self) -> Evidence {
        match self {
            Self::Filled | Self::Partial => Evidence::Even,
            Self::Missed | Self::Withheld | Self::Exited => Evidence::None,
            Self::Unwound | Self::Dust => Evidence::Uneven,
            Self::Naked => Evidence::Naked,
        }
    }
}

/// Why nothing of this plan may be sent.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Frozen {
    Unknown,
    /// Matched for longer than [`PROVISIONAL_MAX`] without being final.
    Provisional,
    /// Something that cannot be happened to it.
    Impossible,
}

/// What a plan is to hold in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Aim {
    pub plan: u64,
    /// The opportunity that it came from.
    pub sighting: u64,
    pub pair: PairId,
    pub legs: Legs,
    /// Equal shares on both legs.
    pub qty: Qty,
}

/// Two legs, and the orders that mend them.
#[derive(Clone, Debug)]
pub struct Plan {
    pub aim: Aim,
    orders: [SmallVec<[Order; 4]>; 2],
    budget: Budget,
    /// The smallest order each venue takes.
    minimum: [Qty; 2],
    /// Since when an excess is known.
    naked_since: Option<Nanos>,
    priced: Option<Nanos>,
    /// Until when nothing is sent to a venue that has refused just now: what it refused once it refuses again.
    shunned: [Nanos; 2],
    overdue: bool,
    /// The first order of which something was told that cannot be.
    broken: Option<OrderId>,
}

/// A leg with what its plan needs to know of its time.
#[derive(Clone, Debug)]
struct Order {
    leg: Leg,
    sent: Nanos,
    /// When its record was last asked for, or its cancel sent.
    looked: Nanos,
    /// Since when a trade of it is provisional.
    provisional: Option<Nanos>,
    /// Its record was asked for since a cancel was answered.
    asked_after_cancel: bool,
}

impl Order {
    /// Has a cancel just been answered, so that the record is worth asking for at once?
    fn settles_cancel(&self) -> bool {
        self.leg.cancel() == Cancel::Answered && !self.asked_after_cancel
    }
}

impl Plan {
    /// A plan whose first orders are `entries`, in the journal but not sent.
    pub fn open(aim: Aim, entries: impl IntoIterator<Item = Ask>, budget: Budget, minimum: [Qty; 2]) -> Self {
        let mut plan = Self {
            aim,
            orders: [SmallVec::new(), SmallVec::new()],
            budget,
            minimum,
            naked_since: None,
            priced: None,
            shunned: [Nanos::ZERO; 2],
            overdue: false,
            broken: None,
        };
        for ask in entries {
            plan.add(ask);
        }
        plan
    }

    /// Takes in an order that closes an excess, or that a restart found in the journal.
    pub fn add(&mut self, ask: Ask) {
        let orders = &mut self.orders[ask.venue as usize];
        assert!(orders.len() < ORDERS_MAX, "a plan sends at most {ORDERS_MAX} orders to a venue");
        orders.push(Order {
            leg: Leg::new(ask),
            sent: Nanos::ZERO,
            looked: Nanos::ZERO,
            provisional: None,
            asked_after_cancel: false,
        });
    }

    /// One of its orders.
    pub fn leg(&self, id: OrderId) -> Option<&Leg> {
        self.legs().find(|leg| leg.ask.id == id)
    }

    /// One of its orders, to tell it that it was sent, withdrawn, restored or is being cancelled.
    pub fn leg_mut(&mut self, id: OrderId) -> Option<&mut Leg> {
        self.orders.iter_mut().flatten().map(|order| &mut order.leg).find(|leg| leg.ask.id == id)
    }

    /// All its orders: Kalshi's, then Polymarket's.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.orders.iter().flatten().map(|order| &order.leg)
    }

    /// Takes in what was learnt of one of its orders. An `Err` freezes the plan.
    pub fn next(&mut self, id: OrderId, told: &Told, now: Nanos) -> Result<Change, Impossible> {
        let order = self.orders.iter_mut().flatten().find(|order| order.leg.ask.id == id);
        let Some(order) = order else { return Err(Impossible::NeverSent) };
        let result = order.leg.next(told, now);
        let waits = order.leg.trades().iter().any(|t| matches!(t.stage, Stage::Matched | Stage::Mined));
        order.provisional = if waits { order.provisional.or(Some(now)) } else { None };
        if result.is_err() {
            self.broken.get_or_insert(id);
        }
        if let Told::Sent(Sent::Refused(refusal)) = told
            && !matches!(refusal, Refusal::Killed | Refusal::Unsent)
        {
            self.shunned[order.leg.ask.venue as usize] = now + SHUN_FOR;
        }
        // Something is new: the next look need not wait.
        if matches!(result, Ok(change) if change != Change::Nothing) {
            self.priced = None;
        }
        result
    }

    /// The first byte of an order is about to leave.
    pub fn sent(&mut self, id: OrderId, now: Nanos, unix: crate::unit::UnixMs) {
        let order = self.orders.iter_mut().flatten().find(|order| order.leg.ask.id == id);
        let order = order.expect("only orders of the plan are sent");
        order.leg.sent(unix);
        (order.sent, order.looked) = (now, now);
    }

    /// The venue's own name of an order, known before it was sent.
    pub fn named(&mut self, id: OrderId, tag: Option<Tag>) {
        let order = self.orders.iter_mut().flatten().find(|order| order.leg.ask.id == id);
        order.expect("only orders of the plan are named").leg.named(tag);
    }

    /// The engine was started anew: nothing that was awaited is awaited any more.
    pub fn restarted(&mut self, now: Nanos) {
        for order in self.orders.iter_mut().flatten() {
            order.leg.restarted(now);
            // Its record is asked for at once.
            order.looked = Nanos::ZERO;
        }
    }

    /// A venue's reports may have been missed: whatever may still change there is asked for at the next step.
    pub fn missed(&mut self, venue: Venue) {
        for order in &mut self.orders[venue as usize] {
            order.looked = Nanos::ZERO;
        }
    }

    /// Why nothing may be sent, if so.
    pub fn frozen(&self, now: Nanos) -> Option<Frozen> {
        if self.broken.is_some() {
            return Some(Frozen::Impossible);
        }
        if self.legs().any(|leg| matches!(leg.state(), State::Unknown { .. })) {
            return Some(Frozen::Unknown);
        }
        let late = |order: &Order| order.provisional.is_some_and(|since| PROVISIONAL_MAX < now.since(since));
        self.orders.iter().flatten().any(late).then_some(Frozen::Provisional)
    }

    /// Is anything of it matched but not final?
    pub fn is_provisional(&self) -> bool {
        self.legs().any(|leg| !leg.provisional().is_zero())
    }

    /// Is it level, with nothing left to learn but that its trades are final?
    pub fn rests(&self) -> bool {
        self.broken.is_none()
            && self.legs().all(Leg::is_complete)
            && self.excess().is_none_or(|excess| excess.qty <= DUST)
    }

    /// What is to be done now. Called after every report and every few milliseconds.
    pub fn step(&mut self, now: Nanos) -> Step {
        let broken = self.broken;
        for order in self.orders.iter_mut().flatten() {
            // Asked again, it would say again what cannot be; the plan's other orders may have fills to tell still.
            if broken == Some(order.leg.ask.id) {
                continue;
            }
            if order.leg.state() == State::Sent && ANSWER_WAIT < now.since(order.sent) {
                order.leg.overdue(now);
            }
            let due = LOOK_EVERY <= now.since(order.looked);
            match order.leg.state() {
                // Nothing of ours is meant to rest. A fill that came before the answer says nothing of the rest.
                State::Working if order.leg.is_answered() && order.leg.cancel() == Cancel::NotAsked => {
                    order.looked = now;
                    order.leg.cancelling();
                    order.asked_after_cancel = false;
                    return Step::Cancel(order.leg.ask.id);
                }
                // Whatever it may still do, it is not to do it; its record is asked for all the same.
                State::Unknown { .. } if order.leg.tag().is_some() && order.leg.cancel() == Cancel::NotAsked => {
                    order.leg.cancelling();
                    order.asked_after_cancel = false;
                    return Step::Cancel(order.leg.ask.id);
                }
                State::Unknown { .. } | State::Working if due || order.settles_cancel() => {
                    order.looked = now;
                    order.asked_after_cancel = order.leg.cancel() == Cancel::Answered;
                    return Step::Look(order.leg.ask.id);
                }
                State::Done(_) if !order.leg.untold().is_zero() && due => {
                    order.looked = now;
                    return Step::Look(order.leg.ask.id);
                }
                // Word of its settlement may have been lost.
                State::Done(_) if order.provisional.is_some() && SETTLED_LOOK <= now.since(order.looked) => {
                    order.looked = now;
                    return Step::Look(order.leg.ask.id);
                }
                _ => {}
            }
        }
        if self.frozen(now).is_some() || self.legs().any(|leg| !leg.is_complete()) {
            return Step::Wait;
        }
        let Some(excess) = self.excess() else {
            self.naked_since = None;
            return self.level();
        };
        let since = *self.naked_since.get_or_insert(now);
        if excess.qty <= DUST || self.minimum.iter().all(|minimum| excess.qty < *minimum) {
            return if self.is_provisional() { Step::Wait } else { Step::End(Ending::Dust) };
        }
        if self.budget.time_max < now.since(since) && !std::mem::replace(&mut self.overdue, true) {
            return Step::Overdue;
        }
        if self.orders.iter().any(|orders| orders.len() == ORDERS_MAX) {
            return Step::End(Ending::Naked);
        }
        if self.priced.is_some_and(|at| now.since(at) < OFFER_EVERY) {
            return Step::Wait;
        }
        self.priced = Some(now);
        Step::Price(excess)
    }

    /// The better of two offers that keeps within the loss budget and whose venue has not just refused: its venue and
    /// purpose.
    pub fn choose(&self, excess: &Excess, offers: &Offers, now: Nanos) -> Option<(Venue, Purpose, Offer)> {
        let contract = Money::dollar_each;
        // What is bought makes a pair that pays its dollar, on either leg; what is sold brings what it brings. Compared
        // per contract, because the two books may not offer the same quantity.
        let worth = |offer: &Offer| {
            let gain = if offer.buys { contract(offer.qty) - offer.cost } else { -offer.cost };
            i128::from(gain.raw()) * 1_000_000 / i128::from(offer.qty.micros().max(1))
        };
        let before = if excess.exit {
            // Against the dollar that the pair would have paid. At which loss both legs are sold was decided before.
            -self.naked()
        } else {
            contract(self.paired()) + contract(self.bought_back()) - self.spent()
        };
        let fits = |offer: &Offer| {
            let part = Money::micros((worth(offer) * i128::from(excess.qty.micros()) / 1_000_000) as i64);
            -self.budget.loss_max <= before + part
        };
        let usable = |offer: &Offer, venue: Venue| {
            self.minimum[venue as usize] <= offer.qty && self.shunned[venue as usize] <= now
        };
        let short = excess.long.other();
        let opposed = excess.reversed && !self.held(short)[1].is_zero();
        let complete = offers.complete.filter(|o| !opposed && usable(o, short) && fits(o));
        let unwind = offers.unwind.filter(|o| usable(o, excess.long) && fits(o));
        match (complete, unwind) {
            (Some(complete), Some(unwind)) if worth(&complete) < worth(&unwind) && !self.flattens() => {
                Some((excess.long, Purpose::Unwind, unwind))
            }
            (Some(complete), _) => Some((short, Purpose::Complete, complete)),
            (None, Some(unwind)) => Some((excess.long, Purpose::Unwind, unwind)),
            (None, None) => None,
        }
    }

    fn level(&self) -> Step {
        // Until the last provisional trade is final, what is equal now may not stay so.
        if self.is_provisional() {
            return Step::Wait;
        }
        let unwound = self.legs().any(|leg| leg.ask.purpose == Purpose::Unwind && !leg.filled().is_zero());
        let sold = self.is_single() && Venue::ALL.into_iter().any(|venue| !self.bought(venue).is_zero());
        Step::End(match self.paired() {
            _ if unwound => Ending::Unwound,
            _ if sold => Ending::Exited,
            Qty::ZERO => Ending::Missed,
            _ if self.exits() => Ending::Exited,
            paired if paired < self.aim.qty => Ending::Partial,
            _ => Ending::Filled,
        })
    }
}
