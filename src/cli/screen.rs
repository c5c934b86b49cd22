//! What a running engine tells, as lines: for people, plain for `grep`, or JSON.

use serde_json::json;

use super::shown::{self, Shown};
use crate::{
    order::plan::Ending,
    run::keep::Told,
    spread::{Direction, Rate},
    unit::{Money, Nanos, Price},
};

/// How lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    Human,
    /// One line each, no symbols beyond ASCII, the words existing log searches look for.
    Plain,
    Json,
}

/// Lines of one reason within this span are counted instead of shown.
const SAME_REASON: Nanos = Nanos::secs(3);

/// Writes lines, and holds repetitions back.
pub struct Screen {
    style: Style,
    last: Vec<(&'static str, Nanos, u64)>,
}

impl Screen {
    pub const fn new(style: Style) -> Self {
        Self { style, last: Vec::new() }
    }

    /// The line for what was told, or nothing where it repeats the one before.
    pub fn line(&mut self, told: &Told, at_ms: u64, now: Nanos) -> Option<String> {
        let time = clock_text(at_ms);
        match (self.style, told) {
            (Style::Json, told) => Some(json_line(told, at_ms)),
            (_, Told::Skipped { id, title, quote, reason }) => {
                let title = Shown(title);
                let held = self.hold(reason.code(), now)?;
                let more = if held == 0 { String::new() } else { format!(" (+{held} more)") };
                let (gross, fees, net) = (quote.gross, quote.fees, quote.net);
                Some(if self.style == Style::Plain {
                    format!(
                        "{time} SKIP {id:04} gross={} fees={} net={} reason={} {title}{more}",
                        cents(gross),
                        cents(fees),
                        cents(net),
                        reason.code()
                    )
                } else {
                    format!(
                        "{time}  SKIP  {id:04}  gross {gross} but fees {fees} → net {net}   [why: {}]{more}  {title}",
                        reason.code()
                    )
                })
            }
            (Style::Plain, Told::Planned { id, title, qty, quote, net, direction, .. }) => Some(format!(
                "{time} ARBITRAGE OPPORTUNITY DETECTED! {id:04} {} {} qty={qty} cost={} expected_net={net}",
                Shown(title),
                direction.name(),
                sum(quote.cost),
            )),
            (_, Told::Planned { id, title, direction, qty, quote, net, detect_ns }) => {
                let title = Shown(title);
                let [k, p] = quote.cost.map(|price| price.map_or("–".to_owned(), |price| price.to_string()));
                let (k_leg, p_leg) = match direction {
                    Direction::YesKalshi => ("YES", "NO"),
                    Direction::YesPolymarket => ("NO", "YES"),
                };
                Some(format!(
                    "{time}  OPP   {id:04}  {title}    {qty} contracts · settles in {} d\n                \
                     Kalshi {k_leg} {k} + Poly {p_leg} {p} = {}   expected net {net} ({} %/yr) · bytes→decision {:.0} µs",
                    quote.lock_ms / 86_400_000,
                    sum(quote.cost),
                    quote.yearly_ppm / 10_000,
                    f64::from(*detect_ns) / 1_000.0
                ))
            }
            (_, Told::Ended { id, title, paired, naked, fees, net, unwound, state }) => {
                let title = Shown(title);
                let fees = format!("fees Kalshi {} · Poly {}", fees[0], fees[1]);
                let word = if *state == Ending::Filled { "FILL" } else { "LEG " };
                Some(match state {
                    Ending::Missed => {
                        format!("{time}  MISS  {id:04}  nothing was left at the limit   [why: GONE]  {title}")
                    }
                    Ending::Withheld => {
                        format!("{time}  MISS  {id:04}  an order could not be made ready   [why: NOT_READY]  {title}")
                    }
                    Ending::Filled | Ending::Partial => {
                        format!(
                            "{time}  {word}  {id:04}  {paired} on both legs ({}) · {fees} · NET {net}  {title}",
                            state.name()
                        )
                    }
                    Ending::Exited => {
                        format!("{time}  EXIT  {id:04}  sold before its end · {fees} · NET {net}  {title}")
                    }
                    Ending::Unwound | Ending::Dust | Ending::Naked => format!(
                        "{time}  {word}  {id:04}  one leg fell short: {paired} paired, {naked} naked, unwinding cost {} ({}) · {fees}  {title}",
                        -*unwound,
                        state.name()
                    ),
                })
            }
            (_, Told::Filled { .. }) => None,
            (_, Told::Settled { title, market, yes_payout, paid: Money::ZERO, result: Money::ZERO }) => {
                let (title, market) = (Shown(title), Shown(market));
                Some(format!("{time}  CLOSED      {market} pays YES {yes_payout}; nothing was held  {title}"))
            }
            (_, Told::Settled { title, market, yes_payout, paid, result }) => Some(format!(
                "{time}  SETTLED     {} pays YES {yes_payout} · received {paid} · leg result {result}  {}",
                Shown(market),
                Shown(title)
            )),
            (_, Told::State { state }) => Some(format!("{time}  STATE       {}", state.name())),
            (_, Told::Note(text)) => Some(format!("{time}  NOTE        {}", Shown(text))),
        }
    }

    /// `None` while a reason repeats; else how many were held back since it was last shown.
    fn hold(&mut self, code: &'static str, now: Nanos) -> Option<u64> {
        let Some(entry) = self.last.iter_mut().find(|entry| entry.0 == code) else {
            self.last.push((code, now, 0));
            return Some(0);
        };
        if now.since(entry.1) < SAME_REASON {
            entry.2 += 1;
            return None;
        }
        entry.1 = now;
        Some(std::mem::take(&mut entry.2))
    }
}

fn clock_text(at_ms: u64) -> String {
    let seconds = at_ms / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn cents(rate: Rate) -> String {
    format!("{:.4}", rate.micros() as f64 / 1e6)
}

fn sum(cost: [Option<Price>; 2]) -> String {
    let units: u32 = cost.iter().flatten().map(|price| u32::from(price.raw())).sum();
    format!("{}.{:04}", units / 10_000, units % 10_000)
}

fn json_line(told: &Told, at_ms: u64) -> String {
    let micros = |money: Money| money.raw();
    let value = match told {
        Told::Skipped { id, title, quote, reason } => json!({
            "at_ms": at_ms, "kind": "skipped", "id": id, "title": title, "reason": reason.code(),
            "gross_micros": quote.gross.micros(), "fees_micros": quote.fees.micros(), "net_micros": quote.net.micros(),
        }),
        Told::Planned { id, title, direction, qty, net, detect_ns, .. } => json!({
            "at_ms": at_ms, "kind": "planned", "id": id, "title": title, "direction": direction.name(),
            "qty_micros": qty.micros(), "expected_net_micros": micros(*net), "detect_ns": detect_ns,
        }),
        Told::Filled { plan, market, fill } => json!({
            "at_ms": at_ms, "kind": "filled", "plan": plan, "venue": fill.venue.name(), "market": market,
            "outcome": fill.outcome.name(), "bought": fill.bought, "price": fill.price.to_string(),
            "qty_micros": fill.qty.micros(), "fee_micros": micros(fill.fee), "polled": fill.polled,
        }),
        Told::Ended { id, title, paired, naked, fees, net, unwound, state } => json!({
            "at_ms": at_ms, "kind": "ended", "id": id, "title": title, "state": state.name(),
            "paired_micros": paired.micros(), "naked_micros": naked.micros(),
            "fees_micros": [micros(fees[0]), micros(fees[1])], "net_micros": micros(*net),
            "unwound_micros": micros(*unwound),
        }),
        Told::Settled { title, market, yes_payout, paid, result } => json!({
            "at_ms": at_ms, "kind": "settled", "title": title, "market": market,
            "yes_payout_micros": micros(*yes_payout), "paid_micros": micros(*paid), "result_micros": micros(*result),
        }),
        Told::State { state } => json!({ "at_ms": at_ms, "kind": "state", "state": state.name() }),
        Told::Note(text) => json!({ "at_ms": at_ms, "kind": "note", "text": text }),
    };
    shown::json(&value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decide::{Quote, Reason},
        unit::Qty,
    };

    /// Fault 89: a title that clears the screen, forges a line, and turns the direction of writing.
    const HOSTILE: &str = "Will X win?\u{1b}[2J\n12:00:00  FILL  0001\u{9b}1m \u{202e}SEY <b>";

    fn everything() -> Vec<Told> {
        let (title, money) = (HOSTILE.to_owned(), Money::dollars(1));
        let ended = |state| Told::Ended {
            id: 1,
            title: HOSTILE.into(),
            paired: Qty::ONE,
            naked: Qty::ZERO,
            fees: [money; 2],
            net: money,
            unwound: money,
            state,
        };
        let settled = |paid| Told::Settled {
            title: HOSTILE.into(),
            market: HOSTILE.into(),
            yes_payout: money,
            paid,
            result: paid,
        };
        let quote = Quote::default();
        let mut all = vec![
            Told::Skipped { id: 1, title: title.clone(), quote, reason: Reason::Fees },
            Told::Planned {
                id: 1,
                title,
                direction: Direction::YesKalshi,
                qty: Qty::ONE,
                quote,
                net: money,
                detect_ns: 1,
            },
            settled(Money::ZERO),
            settled(money),
            Told::State { state: crate::risk::TradingState::Paused },
            Told::Note(HOSTILE.into()),
        ];
        all.extend([Ending::Filled, Ending::Partial, Ending::Missed, Ending::Unwound, Ending::Naked].map(ended));
        all
    }

    #[test]
    fn a_hostile_title_cannot_act_on_the_terminal_or_forge_a_line() {
        for style in [Style::Human, Style::Plain, Style::Json] {
            for told in everything() {
                let line = Screen::new(style).line(&told, 0, Nanos::ZERO).expect("each of these is shown");
                // The line for a plan has two lines for people; both are ours.
                let ours = if line.contains("  OPP   ") { 2 } else { 1 };
                assert_eq!(line.lines().count(), ours, "{line}");
                for bad in ['\u{1b}', '\u{9b}', '\u{202e}', '\r'] {
                    assert!(!line.contains(bad), "{style:?}: {line:?}");
                }
                assert!(!line.contains("\n12:00:00"), "{style:?}: {line:?}");
            }
        }
    }
}
