//! What goes wrong with a call, a trade or the user channel: listed for the next one of its kind, or by chance from a
//! seed. Each is used once and counted.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::sim::clob::{Answer, lost};
use crate::unit::UnixMs;

/// How an answer is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// An error of a gateway or of the engine, in place of the answer.
    Status(u16),
    /// The connection ends after that many bytes of the body.
    Cut(usize),
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OrderFault {
    /// The call did what it should, and its answer is lost.
    AnswerLost(Loss),
    /// The call never arrived.
    RequestLost(Loss),
    /// The answer comes, that many milliseconds late.
    AnswerLate(u64),
    /// A page of HTML with status 200. The call arrived, or did not.
    Html { arrived: bool },
    /// 429.
    TooMany,
    /// 425.
    TooEarly,
    /// A cancel does nothing and says that it found nothing.
    CancelDenied,
    /// A listing leaves out a page, without a word.
    PageMissing,
    /// The next match ends as FAILED.
    TradeFails,
    /// The next match is told under a second id, too.
    TradeTwin,
    /// The next event of a trade is sent twice.
    EventTwice,
    /// The next event of a trade is not sent.
    EventLost,
    /// The next event of a trade is sent that many milliseconds late.
    EventLate(u64),
    /// The user channel ends with the next event.
    StreamCut,
}

/// Which calls a fault can befall.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    Place,
    Cancel,
    Read,
    Other,
}

/// What kind of call this is.
pub fn class(method: &str, path: &str) -> Class {
    match (method, path) {
        ("POST", "/order" | "/orders") => Class::Place,
        ("DELETE", "/order" | "/orders" | "/cancel-all" | "/cancel-market-orders") => Class::Cancel,
        ("GET", path) if path.starts_with("/data/") => Class::Read,
        _ => Class::Other,
    }
}

/// Faults to come.
#[derive(Debug, Default)]
pub struct Faults {
    listed: VecDeque<(Option<Class>, OrderFault)>,
    chance: Option<(Rng, u32)>,
    happened: Vec<OrderFault>,
}

impl Faults {
    /// The next call of this class, or the next trade or event, meets this fault.
    pub fn next(&mut self, class: Class, fault: OrderFault) {
        self.listed.push_back((Some(class), fault));
    }

    /// The next trade or event of the user channel meets this fault.
    pub fn next_event(&mut self, fault: OrderFault) {
        self.listed.push_back((None, fault));
    }

    /// From now on this many of a thousand calls, trades and events go wrong in some way.
    pub fn by_chance(&mut self, seed: u64, per_mille: u32) {
        self.chance = Some((Rng::with_seed(seed ^ 0xfa17), per_mille));
    }

    /// What has happened, in order.
    pub fn happened(&self) -> &[OrderFault] {
        &self.happened
    }

    fn take(&mut self, suits: impl Fn(Option<Class>, OrderFault) -> bool) -> Option<OrderFault> {
        let at = self.listed.iter().position(|&(class, fault)| suits(class, fault))?;
        let (_, fault) = self.listed.remove(at)?;
        self.happened.push(fault);
        Some(fault)
    }

    fn by_luck(&mut self, choices: &[OrderFault]) -> Option<OrderFault> {
        let (rng, per_mille) = self.chance.as_mut()?;
        if choices.is_empty() || *per_mille <= rng.u32(0..1_000) {
            return None;
        }
        let fault = choices[rng.usize(0..choices.len())];
        self.happened.push(fault);
        Some(fault)
    }

    /// What befalls a call.
    pub(super) fn befall(&mut self, class: Class) -> Option<Spoiled> {
        let choices: &[OrderFault] = match class {
            Class::Place => &[
                OrderFault::AnswerLost(Loss::Status(500)),
                OrderFault::AnswerLost(Loss::Cut(17)),
                OrderFault::RequestLost(Loss::Status(502)),
                OrderFault::RequestLost(Loss::Cut(0)),
                OrderFault::AnswerLate(8_000),
                OrderFault::Html { arrived: true },
                OrderFault::Html { arrived: false },
                OrderFault::TooMany,
                OrderFault::TooEarly,
            ],
            Class::Cancel => &[
                OrderFault::AnswerLost(Loss::Status(504)),
                OrderFault::RequestLost(Loss::Cut(0)),
                OrderFault::AnswerLate(4_000),
                OrderFault::CancelDenied,
                OrderFault::TooMany,
            ],
            Class::Read => &[
                OrderFault::PageMissing,
                OrderFault::RequestLost(Loss::Status(502)),
                OrderFault::Html { arrived: true },
                OrderFault::AnswerLate(3_000),
            ],
            Class::Other => &[],
        };
        self.take(|of, _| of == Some(class)).or_else(|| self.by_luck(choices)).map(Spoiled)
    }

    /// What befalls a match. By luck alone a second name comes where it overfills the order (`whole`: it is all of it):
    /// nobody can tell which of two that fit is the real one.
    pub(super) fn befall_match(&mut self, whole: bool) -> Option<OrderFault> {
        let suits = |fault| matches!(fault, OrderFault::TradeFails | OrderFault::TradeTwin);
        let choices: &[_] =
            if whole { &[OrderFault::TradeFails, OrderFault::TradeTwin] } else { &[OrderFault::TradeFails] };
        self.take(|_, fault| suits(fault)).or_else(|| self.by_luck(choices))
    }

    /// What befalls an event of a trade.
    pub(super) fn befall_event(&mut self) -> Option<OrderFault> {
        use OrderFault::{EventLate, EventLost, EventTwice, StreamCut};
        let suits = |fault| matches!(fault, EventTwice | EventLost | EventLate(_) | StreamCut);
        self.take(|_, fault| suits(fault))
            .or_else(|| self.by_luck(&[EventTwice, EventLost, EventLate(3_000), StreamCut]))
    }
}

/// A fault that has found its call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Spoiled(OrderFault);

impl Spoiled {
    /// The answer, where the call does not arrive at all.
    pub(super) fn instead(&self, now: UnixMs) -> Option<Answer> {
        match self.0 {
            OrderFault::RequestLost(loss) => Some(lost(loss, String::new(), now)),
            OrderFault::Html { arrived: false } => Some(html(now)),
            OrderFault::TooMany => {
                let mut answer = Answer::error(429, "Too Many Requests", now);
                answer.headers.push(("Retry-After", String::from("2")));
                Some(answer)
            }
            OrderFault::TooEarly => Some(too_early(now)),
            _ => None,
        }
    }

    /// What is left of the answer, where the call arrived.
    pub(super) fn applied(&self, answer: Answer) -> Answer {
        match self.0 {
            OrderFault::AnswerLost(loss) => lost(loss, answer.body, answer.at),
            OrderFault::AnswerLate(ms) => Answer { at: UnixMs::new(answer.at.raw() + ms), ..answer },
            OrderFault::Html { .. } => html(answer.at),
            _ => answer,
        }
    }

    pub(super) fn denies_cancel(&self) -> bool {
        self.0 == OrderFault::CancelDenied
    }

    pub(super) fn misses_page(&self) -> bool {
        self.0 == OrderFault::PageMissing
    }
}

/// The engine restarts: no body.
pub(super) fn too_early(now: UnixMs) -> Answer {
    let mut answer = Answer::text(425, String::new(), now);
    answer.headers.push(("Retry-After", String::from("1")));
    answer
}

fn html(now: UnixMs) -> Answer {
    let body = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>";
    let mut answer = Answer::text(200, body.to_owned(), now);
    answer.headers = vec![("Content-Type", String::from("text/html; charset=UTF-8"))];
    answer
}
