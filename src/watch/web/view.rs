//! What the page reads: the snapshot and rows of the database as JSON, in the shapes of `docs/http.md`.

use axum::{http::StatusCode, response::IntoResponse as _};
use serde_json::{Value, json};

use super::{
    App,
    route::{Answered, Ask, Problem, json as answer, text},
};
use crate::{
    decide::Reason,
    ledger::audit::{AuditError, AuditReader, Fill, Finality, Notes, Opportunity, Plan, Seen},
    run::{
        clock,
        latency::{Latencies, Stage},
        mode::Promotion,
        snapshot::Snapshot,
    },
    unit::{Money, UnixMs, Venue},
    watch::{handles::Handles, health, log, metric},
};

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

/// `GET /healthz`.
pub fn healthz(app: &App, _: &Ask) -> Answered {
    let alive = health::alive(&app.handles.status(), clock::unix().raw());
    let (status, word) =
        if alive { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not moving\n") };
    Ok((status, word).into_response())
}

/// `GET /readyz`.
pub fn readyz(app: &App, _: &Ask) -> Answered {
    let reasons = health::reasons(&app.handles.status(), clock::unix().raw());
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, answer(&json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response())
}

/// `GET /metrics`.
pub fn metrics(app: &App, _: &Ask) -> Answered {
    let (status, dropped) = (app.handles.status(), app.logs.last(0, 0).1);
    let now = clock::unix().raw();
    let body = app
        .handles
        .with_latencies(|all| metric::text(&status, Some(all), dropped, now))
        .unwrap_or_else(|| metric::text(&status, None, dropped, now));
    Ok(text("application/openmetrics-text; version=1.0.0; charset=utf-8", body))
}

/// The snapshot, and what follows from it.
pub fn whole_status(handles: &Handles, status: &Snapshot) -> Value {
    let now = clock::unix().raw();
    let mut value = serde_json::to_value(status).unwrap_or_default();
    let reasons = health::reasons(status, now);
    let venues = Venue::ALL.map(|venue| json!({ "venue": venue.name(), "age_ms": health::age_ms(status, venue, now) }));
    let promoted = Promotion::read(handles.states()).map(|promotion| promotion.mode.name()).ok();
    if let Some(members) = value.as_object_mut() {
        members.insert("now_ms".into(), now.into());
        members.insert("ready".into(), reasons.is_empty().into());
        members.insert("reasons_not_ready".into(), json!(reasons));
        members.insert("venues".into(), json!(venues));
        members.insert("today".into(), status.realised_today.into());
        members.insert("total".into(), status.realised_total.into());
        members.insert("promoted".into(), json!(promoted));
        members.insert("arming_phrase".into(), status.armed.map(|_| status.arming_phrase()).into());
    }
    value
}

/// `GET /api/v1/status`.
pub fn status(app: &App, _: &Ask) -> Answered {
    Ok(answer(&whole_status(&app.handles, &app.handles.status())))
}

/// The newest opportunities before a number.
pub fn newest(app: &App, count: u32, before: u64) -> Result<Vec<Value>, Problem> {
    let rows = app.reader()?.seen(&Seen { before: Some(before), count, ..Seen::default() })?;
    Ok(rows.iter().map(|row| opportunity_json(&row.opportunity)).collect())
}

/// `GET /api/v1/opportunities`.
pub fn opportunities(app: &App, ask: &Ask) -> Answered {
    let count = ask.number("limit", 50, 500)? as u32;
    let before = ask.number("before", u64::MAX, u64::MAX)?;
    let filter = |name: &str| ask.query.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let asked = Seen { before: Some(before), outcome: filter("outcome"), reason: filter("reason"), count };
    let rows: Vec<_> = app.reader()?.seen(&asked)?.iter().map(|row| opportunity_json(&row.opportunity)).collect();
    Ok(answer(&json!({ "opportunities": rows })))
}

/// `GET /api/v1/opportunities/{id}`.
pub fn opportunity(app: &App, ask: &Ask) -> Answered {
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "no such opportunity");
    let id: u64 = ask.part.parse().map_err(|_| unknown())?;
    let reader = app.reader()?;
    let seen = reader.opportunity(id)?.ok_or_else(unknown)?.opportunity;
    let plan = seen.plan_id.map(|plan| reader.plan(plan)).transpose()?.flatten();
    let fills = plan.as_ref().map(|plan| reader.fills_of(plan.id)).transpose()?.unwrap_or_default();
    let decision = reader.decision(id)?;
    let part = |text: Option<&String>| text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let (steps, books) = (part(decision.as_ref().map(|d| &d.0)), part(decision.as_ref().map(|d| &d.1)));
    Ok(answer(&json!({
        "opportunity": opportunity_json(&seen),
        "plan": plan.as_ref().map(|plan| plan_json(app, &reader, plan)).transpose()?,
        "fills": fills.iter().map(fill_json).collect::<Vec<_>>(),
        "waterfall": steps.unwrap_or_else(|| json!([])),
        "books": books.unwrap_or_else(|| json!([])),
    })))
}

/// `GET /api/v1/positions`.
pub fn positions(app: &App, _: &Ask) -> Answered {
    let reader = app.reader()?;
    let positions = reader.positions()?;
    let mut plans = Vec::new();
    for plan in reader.unsettled_plans()?.iter().filter(|plan| !matches!(plan.state.as_str(), "missed" | "withheld")) {
        let mut value = plan_json(app, &reader, plan)?;
        let names: Vec<_> = plan.pair_key.split('|').collect();
        let legs: Vec<_> = positions.iter().filter(|p| names.contains(&p.market.as_str())).map(position_json).collect();
        if let Some(members) = value.as_object_mut() {
            members.insert("legs".into(), json!(legs));
            members.insert("settles_ms".into(), json!(reader.settles_at(&plan.pair_key)?.map(UnixMs::raw)));
        }
        plans.push(value);
    }
    let pairs = app.handles.pairs();
    let holdings: Vec<_> = positions
        .iter()
        .map(|position| {
            let mut value = position_json(position);
            let pair = pairs.iter().find(|pair| pair.key.split('|').any(|name| name == position.market));
            value["title"] = json!(pair.map(|pair| pair.title.as_str()));
            value
        })
        .collect();
    Ok(answer(&json!({ "plans": plans, "holdings": holdings })))
}

/// `GET /api/v1/trades`.
pub fn trades(app: &App, ask: &Ask) -> Answered {
    let reader = app.reader()?;
    let plans = reader.closed_plans(ask.number("limit", 20, 500)? as u32)?;
    let trades = plans.iter().map(|plan| plan_json(app, &reader, plan)).collect::<Result<Vec<_>, _>>()?;
    Ok(answer(&json!({ "trades": trades })))
}

/// `GET /api/v1/trades.csv`.
pub fn trades_csv(app: &App, _: &Ask) -> Answered {
    let csv = crate::watch::tax::csv(&app.reader()?)?;
    Ok(text("text/csv; charset=utf-8", csv))
}

/// `GET /api/v1/audit`.
pub fn audit(app: &App, ask: &Ask) -> Answered {
    let name = ask.query.get("table").map_or("commands", String::as_str);
    let Some(notes) = Notes::parse(name) else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "table: commands, settings or events"));
    };
    let (count, before) = (ask.number("limit", 100, 1_000)? as u32, ask.number("before", u64::MAX, u64::MAX)?);
    let rows: Vec<_> = app
        .reader()?
        .notes(notes, Some(before), count)?
        .into_iter()
        .map(|noted| {
            let mut row = json!({ "id": noted.id, "at_ms": noted.at.raw() });
            for (name, text) in noted.texts {
                row[name] = text.into();
            }
            row
        })
        .collect();
    Ok(answer(&json!({ "rows": rows })))
}

/// `GET /api/v1/logs`.
pub fn logs(app: &App, ask: &Ask) -> Answered {
    let level = ask.query.get("level").map_or("info", String::as_str);
    let Some(rank) = log::rank(level) else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "level: trace, debug, info, warn or error"));
    };
    let (lines, dropped) = app.logs.last(rank, ask.number("limit", 200, 2_000)? as usize);
    Ok(answer(&json!({ "lines": lines, "dropped": dropped })))
}

/// `GET /api/v1/latency`.
pub fn latency(app: &App, _: &Ask) -> Answered {
    let stages = app.handles.with_latencies(|all| Stage::ALL.map(|stage| stage_json(all, stage)).to_vec());
    Ok(answer(&json!({ "stages": stages.unwrap_or_default(), "strip": app.strip.points() })))
}

/// `GET /api/v1/latency.hlog`.
pub fn hlog(app: &App, _: &Ask) -> Answered {
    let from = UnixMs::new(app.handles.status().started_ms);
    let mut out = Vec::new();
    let written = app.handles.with_latencies(|all| all.hlog(&mut out, from, clock::unix()));
    match written {
        Some(Ok(())) => Ok(text("text/plain; charset=utf-8", out)),
        Some(Err(error)) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        None => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no engine runs")),
    }
}

fn stage_json(all: &Latencies, stage: Stage) -> Value {
    let histogram = all.stage(stage);
    let at = |quantile| histogram.value_at_quantile(quantile);
    // Doubling bounds: forty lines tell a distribution from nanoseconds to minutes.
    let buckets: Vec<_> = histogram
        .iter_log(64, 2.0)
        .filter(|step| 0 < step.count_since_last_iteration())
        .map(|step| json!([step.value_iterated_to(), step.count_since_last_iteration()]))
        .collect();
    json!({
        "stage": stage.tag(), "count": histogram.len(), "p50_ns": at(0.5), "p90_ns": at(0.9), "p99_ns": at(0.99),
        "p999_ns": at(0.999), "max_ns": histogram.max(), "buckets": buckets,
    })
}

fn opportunity_json(o: &Opportunity) -> Value {
    let sentence = o
        .reason
        .as_deref()
        .map(|code| Reason::of_code(code).map_or("the plan ended so; its fills tell the rest", Reason::sentence));
    json!({
        "id": o.id, "pair": o.pair_key, "title": o.title, "yes_on": o.yes_on.name(), "seen_ms": o.seen_at.raw(),
        "ended_ms": o.ended_at.map(UnixMs::raw), "yes_price": o.yes_price.raw(), "no_price": o.no_price.raw(),
        "gross": o.gross, "fee": o.fee, "net": o.net, "qty": o.qty.micros(), "depth": o.depth.raw(),
        "yearly_ppm": o.annual_yield_ppm, "days_milli": o.days_to_settle_milli, "outcome": o.outcome.name(),
        "reason": o.reason, "sentence": sentence, "detect_ns": o.detect_ns, "plan": o.plan_id,
    })
}

fn plan_json(app: &App, reader: &AuditReader, plan: &Plan) -> Result<Value, Problem> {
    let sums = reader.sums_of(plan.id)?;
    let title = reader.title_of(&plan.pair_key)?;
    // Written down on the YES books; people pay for NO what YES leaves of the dollar. An inverted pair buys YES twice.
    let inverted = app.handles.pairs().iter().any(|pair| pair.key == plan.pair_key && pair.inverted);
    let no_limit = if inverted { plan.no_limit } else { plan.no_limit.complement() };
    Ok(json!({
        "id": plan.id, "opportunity": plan.opportunity_id, "pair": plan.pair_key, "title": title,
        "yes_on": plan.yes_on.name(), "qty": plan.qty.micros(), "yes_limit": plan.yes_limit.raw(),
        "no_limit": no_limit.raw(), "state": plan.state, "opened_ms": plan.opened_at.raw(),
        "closed_ms": plan.closed_at.map(UnixMs::raw), "realised_ms": plan.realised_at.map(UnixMs::raw),
        "expected": plan.expected_net.raw(), "realised": plan.realised_net.map(Money::raw),
        "spent": sums.spent.raw(), "fees": sums.fees.raw(), "provisional": sums.provisional,
    }))
}

fn fill_json(fill: &Fill) -> Value {
    let finality = match fill.finality {
        Finality::Provisional => "provisional",
        Finality::Final => "final",
        Finality::Void => "void",
    };
    json!({
        "id": fill.id, "venue": fill.venue.name(), "market": fill.market, "outcome": fill.outcome.name(),
        "action": fill.action.name(), "price": fill.price.raw(), "qty": fill.qty.micros(), "fee": fill.fee.raw(),
        "at_ms": fill.at.raw(), "finality": finality, "simulated": fill.simulated,
    })
}

fn position_json(p: &crate::ledger::audit::Position) -> Value {
    json!({
        "venue": p.venue.name(), "market": p.market, "outcome": p.outcome.name(), "qty": p.qty.micros(),
        "cost": p.cost.raw(),
    })
}
