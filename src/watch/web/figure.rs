//! Figures of the page: the funnel, what trading made, pairs and their history.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::json;

use super::{
    App,
    route::{Answered, Ask, Problem, json as answer},
};
use crate::{
    decide::{Reason, reason::Step},
    ledger::audit::{Fate, Realised},
    pairing::{PairBook, Polarity, Tail},
    run::{clock, mode::Mode},
    unit::{Money, UnixMs},
};

/// Points of a chart.
const POINTS_MAX: usize = 600;
/// For a 95 % interval.
const Z: f64 = 1.96;
const DAY_MS: u64 = 86_400_000;

/// `GET /api/v1/funnel`.
pub fn funnel(app: &App, ask: &Ask) -> Answered {
    let minutes = ask.number("minutes", 60, 60 * 24 * 31)?;
    let from = UnixMs::new(clock::unix().raw().saturating_sub(minutes * 60_000));
    let mut counts = BTreeMap::<Step, u64>::new();
    let mut reasons = BTreeMap::<&'static str, (Reason, u64)>::new();
    for fate in app.reader()?.fates(from)? {
        let reason = Reason::of_code(&fate.reason);
        let reached = match (fate.outcome, reason) {
            (Fate::Filled, _) => Step::Both,
            (Fate::Planned | Fate::Partial, _) => Step::Sent,
            (Fate::Missed, None) => Step::Seen,
            (Fate::Skipped | Fate::Open | Fate::Missed, reason) => reason.map_or(Step::Positive, Reason::reached),
        };
        *counts.entry(reached).or_default() += fate.times - fate.settled.min(fate.times);
        *counts.entry(Step::Settled).or_default() += fate.settled.min(fate.times);
        if let Some(reason) = reason {
            reasons.entry(reason.code()).or_insert((reason, 0)).1 += fate.times;
        }
    }
    let mut reasons: Vec<_> = reasons.into_values().collect();
    reasons.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    let reasons: Vec<_> = reasons
        .into_iter()
        .map(|(reason, times)| {
            json!({
                "code": reason.code(), "sentence": reason.sentence(), "count": times, "step": reason.reached().name(),
            })
        })
        .collect();
    let steps: Vec<_> = Step::ALL
        .into_iter()
        .map(|step| json!({ "step": step.name(), "count": counts.range(step..).map(|(_, n)| n).sum::<u64>() }))
        .collect();
    Ok(answer(&json!({ "from_ms": from.raw(), "steps": steps, "reasons": reasons })))
}

/// `GET /api/v1/performance`.
pub fn performance(app: &App, ask: &Ask) -> Answered {
    let span = match ask.query.get("span").map_or("all", String::as_str) {
        "1h" => Some(3_600_000),
        "1d" => Some(DAY_MS),
        "7d" => Some(7 * DAY_MS),
        "30d" => Some(30 * DAY_MS),
        "all" => None,
        _ => return Err(Problem::new(StatusCode::BAD_REQUEST, "span: 1h, 1d, 7d, 30d or all")),
    };
    let now = clock::unix();
    let from = UnixMs::new(span.map_or(0, |span| now.raw().saturating_sub(span)));
    let reader = app.reader()?;
    let status = app.handles.status();
    let plans = reader.realised(from)?;
    let (volume, fees) = reader.volume(from)?;
    let total = reader.realised_of_plans()?;
    let net: Money = plans.iter().map(|plan| plan.net).sum();
    let expected: Money = plans.iter().map(|plan| plan.expected).sum();
    let opening = Money::micros(status.limits.bankroll) + (total - net);
    let won = plans.iter().filter(|plan| Money::ZERO < plan.net).count();
    let lost = plans.iter().filter(|plan| plan.net < Money::ZERO).count();
    let (gains, losses) = plans.iter().fold((0, 0), |sums, plan| match plan.net.raw() {
        gain if 0 < gain => (sums.0 + gain, sums.1),
        loss => (sums.0, sums.1 - loss),
    });
    let curve = curve(&plans, opening, from, now);
    let drawdown = curve.iter().map(|point| point.2).max().unwrap_or(0);
    let peak = curve.iter().map(|point| point.1 + point.2).max().unwrap_or(0).max(1);
    let days = days(&plans);
    let daily: Vec<f64> = full_days(&days, now);
    let mut by_pair = BTreeMap::<&str, (u64, Money)>::new();
    for plan in &plans {
        let pair = by_pair.entry(&plan.pair_key).or_default();
        *pair = (pair.0 + 1, pair.1 + plan.net);
    }
    let mut pairs = Vec::new();
    for (key, (trades, realised)) in by_pair {
        let title = reader.title_of(key)?.unwrap_or_else(|| key.to_owned());
        pairs.push((realised, json!({ "title": title, "trades": trades, "realised": realised.raw() })));
    }
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.0));
    let unwinds: Vec<_> = plans
        .iter()
        .filter(|plan| matches!(plan.state.as_str(), "unwound" | "dust" | "naked"))
        .map(|plan| json!([plan.at.raw(), plan.net.raw()]))
        .collect();
    let (low, high) = wilson(won, won + lost);
    let ppm = |share: f64| (share * 1e6).round() as i64;
    let ratio = |part: i64, whole: i64| (whole != 0).then(|| ppm(part as f64 / whole as f64));
    Ok(answer(&json!({
        "net": net.raw(), "trades": plans.len(), "won": won, "lost": lost,
        "win_ppm": ratio(won as i64, (won + lost) as i64), "win_low_ppm": low.map(ppm), "win_high_ppm": high.map(ppm),
        "profit_factor_milli": (losses != 0).then(|| (gains as f64 / losses as f64 * 1e3).round() as i64),
        "volume": volume.raw(), "fees": fees.raw(), "roi_ppm": ratio(net.raw(), opening.raw()),
        "sharpe_milli": sharpe(&daily).map(|sharpe| (sharpe * 1e3).round() as i64), "sharpe_days": daily.len(),
        "drawdown": drawdown, "drawdown_ppm": ratio(drawdown, peak), "expected": expected.raw(),
        "captured_ppm": ratio(net.raw(), expected.raw()),
        "equity": thin(&curve).iter().map(|(at, equity, down)| json!([at, equity, down])).collect::<Vec<_>>(),
        "days": days.iter().map(|(day, d)| json!({
            "day": day_name(*day), "trades": d.trades, "won": d.won, "realised": d.net.raw(), "expected": d.expected.raw(),
        })).collect::<Vec<_>>(),
        "pairs": pairs.into_iter().map(|pair| pair.1).collect::<Vec<_>>(), "unwinds": unwinds,
    })))
}

/// `GET /api/v1/pairs`.
pub fn pairs(app: &App, _: &Ask) -> Answered {
    // The demo's pairs are in no file: the engine tells of them.
    let (book, file) = if app.handles.mode() == Mode::Demo {
        (PairBook::default(), "no file: the demo's own".to_owned())
    } else {
        let book = PairBook::load(&app.pairs_file)
            .map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
        (book, app.pairs_file.display().to_string())
    };
    let lines = app.handles.pairs();
    let reader = app.reader()?;
    let mut rows = Vec::new();
    for line in &lines {
        let count = reader.pair_count(&line.key)?;
        let approved = book.pairs().iter().find(|pair| pair.key() == line.key);
        let barred = line.barred;
        let (kalshi, polymarket) = line.key.split_once('|').unwrap_or((&line.key, ""));
        rows.push(json!({
            "key": line.key, "title": line.title, "kalshi": kalshi, "polymarket": polymarket,
            "polarity": if line.inverted { "inverted" } else { "same" },
            "event": approved.map(|pair| pair.event.as_str()),
            "approved_by": approved.map(|pair| pair.approved_by.as_str()),
            "approved_ms": approved.map(|pair| pair.approved_at.raw()),
            "tail": approved.map(|pair| match pair.tail { Tail::Minor => "minor", Tail::Material => "material" }),
            "barred": barred.map(Reason::code), "sentence": barred.map(Reason::sentence),
            "seen": count.seen, "plans": count.plans, "realised": count.realised.raw(),
        }));
    }
    // Approved, and not there: an engine has not been started since.
    for pair in book.pairs().iter().filter(|pair| !lines.iter().any(|line| line.key == pair.key())) {
        rows.push(json!({
            "key": pair.key(), "title": pair.title, "kalshi": pair.kalshi, "polymarket": pair.polymarket,
            "polarity": if pair.polarity == Polarity::Same { "same" } else { "inverted" }, "event": pair.event,
            "approved_by": pair.approved_by, "approved_ms": pair.approved_at.raw(), "barred": null, "seen": 0, "plans": 0,
            "realised": 0,
        }));
    }
    Ok(answer(&json!({ "pairs": rows, "file": file })))
}

/// Time, equity, and how far it lies below its highest point, after each plan.
fn curve(plans: &[Realised], opening: Money, from: UnixMs, now: UnixMs) -> Vec<(u64, i64, i64)> {
    let first = plans.first().map_or(now.raw(), |plan| plan.at.raw());
    let (mut equity, mut peak) = (opening.raw(), opening.raw());
    let mut points = vec![(from.raw().max(first.saturating_sub(1)), equity, 0)];
    for plan in plans {
        equity += plan.net.raw();
        peak = peak.max(equity);
        points.push((plan.at.raw(), equity, peak - equity));
    }
    points.push((now.raw(), equity, peak - equity));
    points
}

/// As many points as a chart shows: of each stretch the one that lies furthest below the peak.
fn thin(curve: &[(u64, i64, i64)]) -> Vec<(u64, i64, i64)> {
    let stretch = curve.len().div_ceil(POINTS_MAX).max(1);
    let mut points: Vec<_> =
        curve.chunks(stretch).filter_map(|part| part.iter().max_by_key(|point| point.2).copied()).collect();
    if let (Some(last), Some(end)) = (points.last().copied(), curve.last().copied())
        && last != end
    {
        points.push(end);
    }
    points
}

#[derive(Clone, Copy, Debug, Default)]
struct Day {
    trades: u64,
    won: u64,
    net: Money,
    expected: Money,
}

/// By day since the epoch, UTC.
fn days(plans: &[Realised]) -> BTreeMap<u64, Day> {
    let mut days = BTreeMap::<u64, Day>::new();
    for plan in plans {
        let day = days.entry(plan.at.raw() / DAY_MS).or_default();
        day.trades += 1;
        day.won += u64::from(Money::ZERO < plan.net);
        day.net += plan.net;
        day.expected += plan.expected;
    }
    days
}

fn day_name(day: u64) -> String {
    let at = i64::try_from(day * DAY_MS).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| at.strftime("%Y-%m-%d").to_string())
}

/// What each whole day made, days without a trade included.
fn full_days(days: &BTreeMap<u64, Day>, now: UnixMs) -> Vec<f64> {
    let Some((first, _)) = days.first_key_value() else { return Vec::new() };
    (*first..now.raw() / DAY_MS).map(|day| days.get(&day).map_or(0.0, |d| d.net.raw() as f64)).collect()
}

/// Mean over deviation of daily results, scaled to a year; `None` below two days or without any movement.
fn sharpe(daily: &[f64]) -> Option<f64> {
    let n = daily.len() as f64;
    let mean = daily.iter().sum::<f64>() / n;
    let variance = daily.iter().map(|day| (day - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (2 <= daily.len() && 0.0 < variance).then(|| mean / variance.sqrt() * 365.0_f64.sqrt())
}

/// Wilson's interval of a share.
fn wilson(won: usize, of: usize) -> (Option<f64>, Option<f64>) {
    if of == 0 {
        return (None, None);
    }
    let (n, p) = (of as f64, won as f64 / of as f64);
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    (Some((middle - half).max(0.0)), Some((middle + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realised(at: u64, dollars: i64) -> Realised {
        Realised {
            id: at,
            pair_key: "A|0x1".into(),
            state: "settled".into(),
            at: UnixMs::new(at),
            net: Money::dollars(dollars),
            expected: Money::dollars(1),
        }
    }

    #[test]
    fn equity_falls_from_its_highest_point_and_the_fall_survives_thinning() {
        let plans: Vec<_> = (1..=2_000).map(|at| realised(at, if at == 1_000 { -500 } else { 1 })).collect();
        let curve = curve(&plans, Money::dollars(100), UnixMs::new(0), UnixMs::new(3_000));
        let worst = curve.iter().map(|point| point.2).max();
        assert_eq!(worst, Some(500_000_000));
        let thin = thin(&curve);
        assert!(thin.len() <= POINTS_MAX + 1 && thin.iter().map(|point| point.2).max() == worst);
        assert_eq!(thin.last(), curve.last());
    }

    #[test]
    fn a_share_of_few_says_how_little_it_says() {
        let (low, high) = wilson(3, 4);
        assert!((0.29..0.31).contains(&low.unwrap()) && (0.95..0.96).contains(&high.unwrap()));
        assert_eq!(wilson(0, 0), (None, None));
        assert_eq!(sharpe(&[1.0]), None);
        assert_eq!(sharpe(&[1.0, 1.0]), None);
        assert!((sharpe(&[1.0, 2.0, 3.0]).unwrap() - 2.0 * 365.0_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn days_without_a_trade_count_and_today_does_not_yet() {
        let days = days(&[realised(1, 2), realised(2 * DAY_MS + 1, -1)]);
        assert_eq!(full_days(&days, UnixMs::new(3 * DAY_MS + 5)), [2e6, 0.0, -1e6]);
        assert_eq!(day_name(20_000), "2024-10-04");
    }
}
