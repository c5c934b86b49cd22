//! Which events become alerts, and that each is in the database before anybody hears of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use common::{
    desk::{Desk, KALSHI, POLYMARKET, UNIX_START},
    keeper::kept_telling,
};
use orion::{
    decide::Quote,
    ledger::audit::Alert,
    risk::{Latch, TradingState},
    run::{
        event::{Event, What},
        notice::Word,
    },
    unit::{AlertKind, Money, Nanos, PairId, Qty, UnixMs},
    wire::Canary,
};

fn event(what: What) -> Event {
    Event { at: UnixMs::new(UNIX_START), what }
}

/// What was told of these events, without the start and the end.
fn told(events: &[Event]) -> (Vec<Alert>, Vec<String>) {
    let (kept, words) = kept_telling(events, "42");
    let (mut alerts, mut over) = (Vec::new(), Vec::new());
    for word in words {
        match word {
            Word::Tell(alert) => alerts.push(alert),
            Word::Over(key) => over.push(key),
            Word::Last(alert) => assert_eq!(alert.unwrap().kind, AlertKind::Shutdown),
        }
    }
    assert_eq!(alerts.remove(0).kind, AlertKind::Startup);
    for alert in &alerts {
        let rows = kept.reader.deliveries(alert.id).unwrap();
        let wanted = if alert.kind.is_kept() { vec![("42".into(), "queued".into(), 0)] } else { Vec::new() };
        assert_eq!(rows, wanted, "{alert:?}");
    }
    let open: Vec<Alert> = kept.reader.open_alerts().unwrap().into_iter().map(|(alert, _)| alert).collect();
    let kept: Vec<Alert> = alerts.iter().filter(|alert| alert.kind.is_kept()).cloned().collect();
    assert_eq!(open, kept, "the next start reads what was told, word for word");
    (alerts, over)
}

fn kinds(alerts: &[Alert]) -> Vec<AlertKind> {
    alerts.iter().map(|alert| alert.kind).collect()
}

#[test]
fn a_trade_is_told_when_it_is_seen_and_when_both_legs_are_filled() {
    let mut desk = Desk::new();
    desk.offer(4_500, 5_000);
    desk.pass(Nanos::secs(10));
    let (alerts, _) = told(&desk.told);
    let seen = alerts.iter().find(|alert| alert.kind == AlertKind::Opportunity).unwrap();
    assert!(seen.headline.contains("¢ net") && seen.about.is_some(), "{seen:?}");
    let filled = alerts.iter().find(|alert| alert.kind == AlertKind::Execution).unwrap();
    assert!(filled.headline.starts_with("▲ FILLED both  +$"), "{filled:?}");
    assert_eq!(filled.about, seen.about);
    assert!(filled.figures.starts_with("Will the Fed cut?\n"), "{filled:?}");
    for part in [" × (0.4500 + 0.5000)", "fees $", " ms apart"] {
        assert!(filled.figures.contains(part), "{part} in {}", filled.figures);
    }
    let edges = alerts.iter().filter(|alert| alert.kind == AlertKind::Opportunity).count();
    assert!(edges <= 2, "an opportunity is told once");
}

#[test]
fn a_halt_is_told_once_and_is_over_when_it_is_lifted() {
    let state = |state| event(What::State { state });
    let (alerts, over) = told(&[
        state(TradingState::Halted(Latch::DailyLoss)),
        state(TradingState::Halted(Latch::DailyLoss)),
        state(TradingState::Active),
        state(TradingState::Paused),
        state(TradingState::Active),
    ]);
    assert_eq!(kinds(&alerts), [AlertKind::Risk, AlertKind::Health, AlertKind::Health, AlertKind::Health]);
    assert_eq!(alerts[0].headline, "■ HALTED: daily loss limit reached");
    assert_eq!(over, ["halted", "halted"]);
}

#[test]
fn what_a_person_has_to_look_at_is_a_risk_and_what_was_edited_names_the_market() {
    use AlertKind::{Error, PairChanged, Risk, Settlement};
    let (alerts, _) = told(&[
        event(What::Looped { pair: PairId(0) }),
        event(What::Suspended { pair: PairId(0), quote: Quote::default() }),
        event(What::FeeOff { market: KALSHI, charged: Money::dollars(2), predicted: Money::dollars(1) }),
        event(What::Canary { market: POLYMARKET, canary: Canary::RulesChanged }),
        event(What::Canary { market: POLYMARKET, canary: Canary::UnknownField }),
        event(What::Merged { market: POLYMARKET, qty: Qty::whole(1), done: false }),
        event(What::Settled {
            market: KALSHI,
            yes_payout: Money::dollars(1),
            held: [Qty::whole(5), Qty::ZERO],
            paid: Money::dollars(5),
            result: -Money::dollars(1),
        }),
    ]);
    assert_eq!(kinds(&alerts), [Risk, Risk, Risk, PairChanged, Error, Settlement]);
    assert!(alerts[3].text.contains("Will the Fed cut? (0xc)"), "{:?}", alerts[3]);
    assert_eq!(alerts[5].headline, "▼ SETTLED  -$1.00");
    assert_ne!(alerts[0].key, alerts[2].key, "other trouble");
}
