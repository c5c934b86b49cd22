//! Closed trades as a table for a tax adviser: one line per fill, settlement and merge, in the order in which they
//! happened, in dollars with all decimals. Nothing is netted: whoever reads it decides by which rule that is done.

use std::fmt::Write as _;

use crate::{
    ledger::audit::{AuditError, AuditReader, Finality},
    unit::{Money, UnixMs, Venue},
};

/// The head of the table.
const HEAD: &str =
    "time_utc,what,venue,market,outcome,contracts,price_usd,gross_usd,fee_usd,net_usd,id,plan,simulated\n";

/// Everything that the database holds, as CSV. Void trades never were, and are left out.
pub fn csv(reader: &AuditReader) -> Result<String, AuditError> {
    let mut lines = Vec::new();
    for fill in reader.fills()?.iter().filter(|fill| fill.finality != Finality::Void) {
        let bought = fill.action == crate::ledger::audit::Action::Buy;
        let gross = if bought { -fill.price.cost(fill.qty) } else { fill.price.proceeds(fill.qty) };
        let what = if bought { "buy" } else { "sell" };
        let mut line = start(fill.at, what, fill.venue, &fill.market);
        let plan = fill.plan_id.map_or_else(String::new, |plan| plan.to_string());
        let _ = write!(
            line,
            ",{},{},{},{},{},{},{},{plan},{}",
            fill.outcome.name(),
            fill.qty,
            fill.price,
            dollars(gross),
            dollars(fill.fee),
            dollars(gross - fill.fee),
            field(&fill.id),
            fill.simulated
        );
        lines.push((fill.at, line));
    }
    for paid in reader.settlements()? {
        let mut line = start(paid.at, "settlement", paid.venue, &paid.market);
        let held = format!("{} YES + {} NO", paid.qty_yes, paid.qty_no);
        let _ = write!(
            line,
            ",{},{},{},{},0.000000,{},,,",
            if paid.yes_payout == Money::ZERO { "NO" } else { "YES" },
            field(&held),
            dollars(paid.yes_payout),
            dollars(paid.paid),
            dollars(paid.paid)
        );
        lines.push((paid.at, line));
    }
    for merge in reader.merges()? {
        let mut line = start(merge.at, "merge", Venue::Polymarket, &merge.market);
        let back = Money::dollar_each(merge.qty);
        let _ = write!(line, ",YES + NO,{},1.000000,{},0.000000,{},,,", merge.qty, dollars(back), dollars(back));
        lines.push((merge.at, line));
    }
    lines.sort_by_key(|(at, _)| *at);
    let mut text = String::from(HEAD);
    for (_, line) in lines {
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

fn start(at: UnixMs, what: &str, venue: Venue, market: &str) -> String {
    let time = i64::try_from(at.raw()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let time = time.map_or_else(String::new, |time| time.to_string());
    format!("{time},{what},{},{}", venue.name(), field(market))
}

fn dollars(amount: Money) -> String {
    let raw = amount.raw();
    let sign = if raw < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", raw.unsigned_abs() / 1_000_000, raw.unsigned_abs() % 1_000_000)
}

/// A text as one field. A spreadsheet takes what begins like a formula for one; an apostrophe keeps it a text.
fn field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if guard.is_empty() && !text.contains(['"', ',', '\n', '\r']) {
        return text.to_owned();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_never_a_formula_and_never_two() {
        assert_eq!(field("KXBTC-26"), "KXBTC-26");
        assert_eq!(field("=HYPERLINK(1)"), "\"'=HYPERLINK(1)\"");
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(dollars(Money::micros(-1)), "-0.000001");
        assert_eq!(dollars(Money::micros(1_250_000)), "1.250000");
    }
}
