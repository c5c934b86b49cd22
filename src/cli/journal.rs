//! `orion journal`: what the engine wrote down before it acted, in words.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{Done, Fault, Global, rebuild, settings, shown::Shown, stops};
use crate::{
    ledger::{journal::Record, segments},
    order::Ask,
    run::mode::Mode,
    unit::{MarketId, Sent, Told, UnixMs},
};

#[derive(Args, Debug)]
pub struct JournalArgs {
    #[command(subcommand)]
    command: JournalCommand,
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    /// Print the records, oldest first, one a line. Changes nothing; the engine may be running.
    Show(ShowArgs),
    /// Read the journal through: every checksum and number, what is open, what is in doubt.
    Verify(ModeArgs),
    /// Set a damaged journal aside and begin anew from what both venues hold.
    Rebuild(rebuild::RebuildArgs),
}

#[derive(Args, Debug)]
struct ModeArgs {
    /// Whose journal.
    #[arg(long, default_value = "paper", value_parser = stops::mode)]
    mode: Mode,
}

#[derive(Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    mode: ModeArgs,
    /// Only this plan and its orders.
    #[arg(long, value_name = "N")]
    plan: Option<u64>,
    /// Only the newest so many records.
    #[arg(long, value_name = "N")]
    last: Option<usize>,
}

type Records = Vec<(u64, Record)>;

pub fn run(global: &Global, args: &JournalArgs) -> Done {
    match &args.command {
        JournalCommand::Show(args) => show(&read(global, &args.mode)?.0, args),
        JournalCommand::Verify(mode) => verify(global, mode),
        JournalCommand::Rebuild(args) => rebuild::run(global, args),
    }
}

fn read(global: &Global, mode: &ModeArgs) -> Result<(Records, usize), Fault> {
    let state = settings(global, Vec::new())?.config.engine.state_dir.join(mode.mode.name());
    let folder = state.join("journal");
    if !folder.exists() {
        return Err(Fault::Failed(anyhow::anyhow!(
            "{} does not exist: no engine has run in this mode",
            folder.display()
        )));
    }
    let help = format!(
        "the journal in {} cannot be read through. Restore it from a backup, or have it set aside and begun anew from what \
         both venues hold: orion journal rebuild --mode {}",
        folder.display(),
        mode.mode.name()
    );
    Ok(segments::read(&folder).context(help)?)
}

fn show(records: &Records, args: &ShowArgs) -> Done {
    let mut names = HashMap::new();
    let mut orders = BTreeSet::new();
    let mut lines = Vec::new();
    for (number, record) in records {
        let wanted = match (args.plan, record) {
            (None, _) => true,
            (Some(plan), Record::Planned { plan: of, .. } | Record::Ended { plan: of, .. }) => plan == *of,
            (Some(plan), Record::Intended { plan: of, ask, .. }) => plan == *of && orders.insert(ask.id),
            (Some(_), Record::Told { order, .. } | Record::Said { order, .. }) => orders.contains(order),
            _ => false,
        };
        if let Record::Market { id, venue, name } = record {
            names.insert(*id, format!("{venue} {name}"));
        }
        if wanted {
            lines.push(format!("{number:>8}  {}", words(record, &names)));
        }
    }
    let from = args.last.map_or(0, |last| lines.len().saturating_sub(last));
    for line in &lines[from..] {
        say!("{}", Shown(line));
    }
    Ok(())
}

fn verify(global: &Global, mode: &ModeArgs) -> Done {
    let (records, torn) = read(global, mode)?;
    let mut epochs = 0_u32;
    let mut open: BTreeMap<u64, usize> = BTreeMap::new();
    let mut plans = HashMap::new();
    let (mut orders, mut told) = (0_u64, 0_u64);
    for (_, record) in &records {
        match record {
            Record::Opened { .. } => epochs += 1,
            Record::Planned { plan, .. } => _ = open.insert(*plan, 0),
            Record::Intended { plan, ask, .. } => {
                orders += 1;
                plans.insert(ask.id, *plan);
                *open.entry(*plan).or_default() += 1;
            }
            Record::Told { order, .. } => {
                told += 1;
                if !plans.contains_key(order) {
                    return Err(Fault::Failed(anyhow::anyhow!("order {order} was told of, but never intended")));
                }
            }
            Record::Ended { plan, .. } => _ = open.remove(plan),
            Record::Market { .. }
            | Record::Cash { .. }
            | Record::Paid { .. }
            | Record::Merging { .. }
            | Record::Merged { .. }
            | Record::Adopted { .. }
            | Record::Ticket { .. }
            | Record::Cleared { .. }
            | Record::Said { .. } => {}
        }
    }
    say!("{} records of {epochs} starts: {orders} orders, {told} reports", records.len());
    if 0 < torn {
        say!("the last record is torn, or being written: {torn} bytes");
    }
    for (plan, orders) in &open {
        say!("open: plan {plan} with {orders} orders; orion journal show --mode {} --plan {plan}", mode.mode.name());
    }
    say!("every checksum and number fits");
    Ok(())
}

fn words(record: &Record, names: &HashMap<MarketId, String>) -> String {
    let name = |market: &MarketId| names.get(market).map_or("?", String::as_str);
    match record {
        Record::Opened { epoch, at } => format!("{}  start {epoch}", time(*at)),
        Record::Market { id, venue, name } => format!("market {}: {venue} {name}", id.0),
        Record::Cash { venue, shard, amount } => format!("{venue} shard {shard} begins with {amount:#}"),
        Record::Planned { plan, sighting, markets, wanted, qty, .. } => format!(
            "plan {plan} of opportunity {sighting}: {qty} × {} on {} and {} on {}",
            wanted[0].name(),
            name(&markets[0]),
            wanted[1].name(),
            name(&markets[1])
        ),
        Record::Intended { plan, ask, at, .. } => {
            let Ask { id, outcome, buys, qty, limit, purpose, market, .. } = ask;
            let verb = if *buys { "buys" } else { "sells" };
            let (purpose, outcome, name) = (purpose.name(), outcome.name(), name(market));
            format!(
                "{}  plan {plan}, order {id} ({purpose}) {verb} {qty} {outcome} at {limit} or better on {name}",
                time(*at)
            )
        }
        Record::Told { order, told, at } => format!("{}  order {order}: {}", time(*at), report(told)),
        Record::Ended { plan, ending } => format!("plan {plan} ended: {}", ending.name()),
        Record::Merging { market, qty, at } => {
            format!("{}  {}: {qty} YES and NO are to be put together", time(*at), name(market))
        }
        Record::Merged { market, done, at } => {
            let end = if *done { "became dollars" } else { "were not put together" };
            format!("{}  {}: YES and NO {end}", time(*at), name(market))
        }
        Record::Adopted { market, held, cost, at } => format!(
            "{}  {}: taken over as the venue holds it, {} YES and {} NO, counted as {:#}",
            time(*at),
            name(market),
            held[0],
            held[1],
            cost[0] + cost[1]
        ),
        Record::Paid { market, yes_payout, held, paid } => {
            format!("{} pays YES {yes_payout:#}: {paid:#} for {} YES and {} NO", name(market), held[0], held[1])
        }
        Record::Ticket { order, market, outcome, qty, limit, at, .. } => {
            let (outcome, name) = (outcome.name(), name(market));
            format!("{}  order {order} is signed ahead: {qty} {outcome} at {limit} or better on {name}", time(*at))
        }
        Record::Said { order, status, words, at } => {
            format!("{}  order {order} was answered with {status}, in words on no list: {words}", time(*at))
        }
        Record::Cleared { below } => format!("no order signed ahead before start {below} is left to be asked for"),
    }
}

fn report(told: &Told) -> String {
    match told {
        Told::Sent(Sent::Accepted(tag)) => format!("accepted as {tag}"),
        Told::Sent(Sent::Refused(refusal)) => format!("refused: {}", refusal.name()),
        Told::Sent(Sent::Unknown(why)) => format!("unknown: {why:?}"),
        Told::Cancelled { left: Some(left) } => format!("cancelled with {left} left"),
        Told::Cancelled { left: None } => "cancelled".into(),
        Told::NotCancelled => "not cancelled".into(),
        Told::Trade(trade) => {
            let verb = if trade.bought { "bought" } else { "sold" };
            let fee = trade.fee.map_or_else(|| "?".into(), |fee| format!("{fee:#}"));
            let (qty, outcome, price, stage, tag) =
                (trade.qty, trade.outcome.name(), trade.price, trade.stage, trade.tag);
            format!("{verb} {qty} {outcome} at {price}, fee {fee} ({stage:?}, {tag})")
        }
        Told::Picture(picture) => {
            format!("the venue's record: {} filled, {}", picture.filled, if picture.open { "open" } else { "over" })
        }
        Told::Absent { as_of } => format!("not in the venue's listings as of {}", time(*as_of)),
    }
}

fn time(at: UnixMs) -> String {
    jiff::Timestamp::from_millisecond(at.raw() as i64).map_or_else(|_| at.raw().to_string(), |at| format!("{at:.3}"))
}
