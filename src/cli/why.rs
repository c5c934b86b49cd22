//! `orion why`: the why-not ledger.

use clap::Args;

use super::{
    Done, Fault, Global, settings,
    shown::{self, Shown},
    stops::ModeArg,
};
use crate::{
    decide::Reason,
    ledger::audit::{AuditReader, Fate, OpportunityRecord},
    run::clock,
    unit::{Money, UnixMs, Venue},
};

#[derive(Args, Debug)]
pub struct WhyArgs {
    /// One opportunity by its number; without one, the reasons of the last day and the latest opportunities.
    id: Option<u64>,
    #[command(flatten)]
    of: ModeArg,
    /// How many of the latest opportunities to list.
    #[arg(long, default_value_t = 15)]
    last: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(global: &Global, args: &WhyArgs) -> Done {
    let folder = settings(global, Vec::new())?.config.engine.state_dir;
    let path =
        args.of.modes().into_iter().map(|mode| folder.join(mode.name()).join("orion.db")).find(|path| path.exists());
    let Some(path) = path else {
        return Err(Fault::NotRunning(format!(
            "no ledger below {} yet; start with: orion demo, or: orion run --dry-run",
            folder.display()
        )));
    };
    let reader = AuditReader::open(&path).map_err(anyhow::Error::from)?;
    match args.id {
        Some(id) => one(&reader, id, args.json),
        None => all(&reader, args),
    }
}

fn all(reader: &AuditReader, args: &WhyArgs) -> Done {
    let since = UnixMs::new(clock::unix().raw().saturating_sub(86_400_000));
    let reasons = reader.reasons(since).map_err(anyhow::Error::from)?;
    let latest = reader.latest_opportunities(args.last).map_err(anyhow::Error::from)?;
    if args.json {
        let reasons: Vec<_> = reasons
            .iter()
            .map(|r| {
                serde_json::json!({
                    "outcome": r.outcome.name(), "reason": r.reason, "times": r.times, "best_net_micros": r.best_net,
                })
            })
            .collect();
        let latest: Vec<_> = latest.iter().map(as_json).collect();
        say!("{}", shown::json(&serde_json::json!({ "reasons": reasons, "latest": latest })));
        return Ok(());
    }
    say!("last 24 hours     times  best net     reason");
    for r in &reasons {
        say!("{:<14} {:>8}  {:>8}     {}", r.outcome.name(), r.times, cents(r.best_net), Shown(&r.reason));
    }
    say!("\n  number  outcome   gross     fees      net       per year   reason            title");
    for record in latest {
        let o = record.opportunity;
        say!(
            "{:>8}  {:<8}  {:<8}  {:<8}  {:<8}  {:>8}   {:<16}  {}",
            o.id,
            o.outcome.name(),
            cents(o.gross),
            cents(o.fee),
            cents(o.net),
            o.annual_yield_ppm.map_or("–".into(), |ppm| format!("{} %", ppm / 10_000)),
            Shown(o.reason.as_deref().unwrap_or("–")).to_string(),
            Shown(&o.title)
        );
    }
    say!("\nnext: orion why NUMBER");
    Ok(())
}

fn one(reader: &AuditReader, id: u64, json: bool) -> Done {
    let Some(record) = reader.opportunity(id).map_err(anyhow::Error::from)? else {
        return Err(Fault::Failed(anyhow::anyhow!("no opportunity {id} in this ledger; `orion why` lists the latest")));
    };
    if json {
        say!("{}", shown::json(&as_json(&record)));
        return Ok(());
    }
    let o = &record.opportunity;
    let (yes, no) = (o.yes_on.name(), o.yes_on.other().name());
    say!("#{id}  {}", Shown(&o.title));
    say!("  pair      {}", Shown(&o.pair_key));
    say!("  legs      YES {yes} {} + NO {no} {}", o.yes_price, o.no_price);
    say!("  edge      gross {}  fees {}  NET {} per contract", cents(o.gross), cents(o.fee), cents(o.net));
    say!("  on offer  {} contracts at the threshold, {} within the slippage on the thinner book", o.qty, o.depth);
    if let (Some(ppm), Some(days)) = (o.annual_yield_ppm, o.days_to_settle_milli) {
        say!("  capital   {} % a year on the price paid, {:.1} days to settlement", ppm / 10_000, days as f64 / 1e3);
    }
    say!(
        "  seen      {} for {}",
        when(o.seen_at),
        o.ended_at.map_or("ever since".into(), |end| format!("{} ms", end.since(o.seen_at)))
    );
    say!("  outcome   {}", o.outcome.name());
    if let Some(code) = &o.reason {
        say!("  why       {}: {}", Shown(code), explained(code));
    }
    let Some(plan) = o.plan_id else { return Ok(()) };
    for fill in reader.fills_of(plan).map_err(anyhow::Error::from)? {
        say!(
            "  fill      {} {} {} {} × {} fee {:#} at {}",
            fill.venue.name(),
            fill.action.name(),
            fill.outcome.name(),
            fill.price,
            fill.qty,
            fill.fee,
            when(fill.at)
        );
    }
    Ok(())
}

/// The sentence behind a code.
fn explained(code: &str) -> &'static str {
    Reason::of_code(code).map_or("the plan ended so; its fills tell the rest", Reason::sentence)
}

fn as_json(record: &OpportunityRecord) -> serde_json::Value {
    let o = &record.opportunity;
    serde_json::json!({
        "id": o.id, "run": record.run_id, "title": o.title, "pair": o.pair_key, "yes_on": o.yes_on.name(),
        "yes_price": o.yes_price.to_string(), "no_price": o.no_price.to_string(), "gross_micros": o.gross,
        "fees_micros": o.fee, "net_micros": o.net, "qty_micros": o.qty.micros(), "depth_micros": o.depth.raw(),
        "annual_yield_ppm": o.annual_yield_ppm, "seen_ms": o.seen_at.raw(), "ended_ms": o.ended_at.map(UnixMs::raw),
        "outcome": o.outcome.name(), "reason": o.reason, "detect_ns": o.detect_ns, "plan": o.plan_id,
        "taken": matches!(o.outcome, Fate::Filled | Fate::Partial), "venues": Venue::ALL.map(Venue::name),
    })
}

fn cents(micros: i64) -> String {
    format!("{:.2} ¢", micros as f64 / 1e4)
}

fn when(at: UnixMs) -> String {
    jiff::Timestamp::from_millisecond(at.raw() as i64).map_or_else(|_| Money::ZERO.to_string(), |t| t.to_string())
}
