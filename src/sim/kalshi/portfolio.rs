//! Portfolio reads: orders, fills, positions, balance, settlements, queue positions.
//!
//! Reads lag behind writes by a set time, and `user_data_timestamp` says by how much: an order that has just been
//! accepted is not in any list yet, one that has just been cancelled still rests.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::sim::kalshi::account::{Member, SHARDS};
use crate::sim::kalshi::clearing::{Holding, Payout};
use crate::sim::kalshi::deny::Deny;
use crate::sim::kalshi::desk::Desk;
use crate::sim::kalshi::form::{number, param};
use crate::sim::kalshi::order::sides;
use crate::sim::kalshi_text::{amount, fp, rfc3339_ms, signed_fp};
use crate::sim::world::World;
use crate::unit::{BookSide, Money, Price, Qty, UnixMs, Venue};

/// Rows of a page, unless asked for otherwise, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;
/// Tickers a fill query may name.
const TICKERS_MAX: usize = 100;

/// A fill as it is kept.
#[derive(Clone, Debug)]
pub struct FillRecord {
    pub account: usize,
    pub subaccount: u8,
    /// Which order, by its place among all of them.
    pub order: usize,
    pub market: usize,
    pub trade_id: String,
    pub side: BookSide,
    pub price: Price,
    pub qty: Qty,
    pub is_taker: bool,
    /// All of the fill's fee.
    pub fee: Money,
    /// The position afterwards, in signed millionths of a contract.
    pub position: i64,
    pub at: UnixMs,
}

/// What a market paid, as it is kept.
#[derive(Clone, Debug)]
pub struct SettlementRecord {
    pub account: usize,
    pub subaccount: u8,
    pub paid: Payout,
    /// Per YES contract.
    pub payout: Money,
    pub at: UnixMs,
}

type Query<'a> = &'a [(String, String)];

/// Rows of one page and the cursor of the next; a garbage cursor is page one.
fn page(rows: Vec<Value>, query: Query) -> Result<(Vec<Value>, String), Deny> {
    let size = match number(query, "limit")? {
        None | Some(0) => PAGE,
        Some(asked) => usize::try_from(asked)
            .ok()
            .filter(|asked| *asked <= PAGE_MAX)
            .ok_or_else(|| Deny::malformed("invalid limit"))?,
    };
    let from = param(query, "cursor")
        .and_then(|text| BASE64_STANDARD.decode(text).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("row:")?.parse::<usize>().ok())
        .unwrap_or(0);
    let more = from.saturating_add(size) < rows.len();
    let cursor = if more { BASE64_STANDARD.encode(format!("row:{}", from + size)) } else { String::new() };
    Ok((rows.into_iter().skip(from).take(size).collect(), cursor))
}

/// What a query's filters leave of somebody's rows.
struct Filter<'a> {
    account: usize,
    subaccount: Option<u8>,
    tickers: Option<Vec<&'a str>>,
    events: Option<Vec<&'a str>>,
    shard: Option<i64>,
    from_secs: i64,
    to_secs: i64,
}

impl Filter<'_> {
    fn takes(&self, world: &World, account: usize, subaccount: u8, market: usize, at: UnixMs) -> bool {
        let catalog = world.catalog();
        let listed = &catalog.kalshi[market];
        let event = catalog.kalshi_events[listed.event].ticker.as_str();
        let secs = (at.raw() / 1_000) as i64;
        account == self.account
            && self.subaccount.is_none_or(|only| only == subaccount)
            && self.tickers.as_ref().is_none_or(|list| list.contains(&listed.ticker.as_str()))
            && self.events.as_ref().is_none_or(|list| list.contains(&event))
            && self.shard.is_none_or(|shard| shard == i64::from(listed.exchange_index))
            && self.from_secs <= secs
            && secs <= self.to_secs
    }
}

impl Desk {
    /// The filters of a listing. Without a subaccount it is about all of them, or about the primary one.
    fn filter<'a>(&self, member: Member, query: Query<'a>, primary: bool) -> Result<Filter<'a>, Deny> {
        let named = number(query, "subaccount")?;
        let one = primary || named.is_some() || member.locked.is_some();
        let tickers: Option<Vec<&str>> = param(query, "ticker").map(|list| list.split(',').collect());
        if tickers.as_ref().is_some_and(|list| TICKERS_MAX < list.len()) {
            return Err(Deny::malformed("too many tickers"));
        }
        Ok(Filter {
            account: member.account,
            subaccount: if one { Some(self.subaccount(member, named)?) } else { None },
            tickers,
            events: param(query, "event_ticker").map(|list| list.split(',').collect()),
            shard: number(query, "exchange_index")?,
            from_secs: number(query, "min_ts")?.unwrap_or(i64::MIN),
            to_secs: number(query, "max_ts")?.unwrap_or(i64::MAX),
        })
    }

    /// `GET /portfolio/orders`, newest first. A status that does not exist matches nothing.
    pub(super) fn list_orders(&self, world: &World, member: Member, query: Query, now: UnixMs) -> Result<Value, Deny> {
        let filter = self.filter(member, query, false)?;
        let status = param(query, "status");
        let seen = self.seen(now);
        let user_id = &self.accounts[member.account].user_id;
        let rows = self.orders.iter().rev().filter_map(|order| {
            let state = order.at(seen)?;
            let fits = filter.takes(world, order.account, order.subaccount, order.market, order.created)
                && status.is_none_or(|status| status == state.status.name());
            fits.then(|| order.listed(state, user_id))
        });
        let (rows, cursor) = page(rows.collect(), query)?;
        Ok(json!({"orders": rows, "cursor": cursor}))
    }

    /// `GET /portfolio/orders/{id}`.
    pub(super) fn one_order(&self, member: Member, id: &str, now: UnixMs) -> Result<Value, Deny> {
        let order = &self.orders[self.own_order(member, id)?];
        let state = order.at(self.seen(now)).ok_or_else(Deny::not_found)?;
        Ok(json!({"order": order.listed(state, &self.accounts[member.account].user_id)}))
    }

    fn own_order(&self, member: Member, id: &str) -> Result<usize, Deny> {
        let at = *self.by_id.get(id).ok_or_else(Deny::not_found)?;
        let order = &self.orders[at];
        let own = order.account == member.account && member.locked.is_none_or(|only| only == order.subaccount);
        if own { Ok(at) } else { Err(Deny::not_found()) }
    }

    fn queue(&self, world: &World, at: usize) -> Option<Value> {
        let order = &self.orders[at];
        let (_, ahead) = world.exchange(Venue::Kalshi).resting(order.number)?;
        Some(json!({"order_id": order.id, "market_ticker": order.ticker, "queue_position_fp": fp(ahead)}))
    }

    /// `GET /portfolio/orders/queue_positions`.
    pub(super) fn queue_positions(&self, world: &World, member: Member, query: Query) -> Result<Value, Deny> {
        let filter = self.filter(member, query, true)?;
        let named: Option<Vec<&str>> = param(query, "market_tickers").map(|list| list.split(',').collect());
        let rows = (0..self.orders.len()).filter_map(|at| {
            let order = &self.orders[at];
            let fits = filter.takes(world, order.account, order.subaccount, order.market, order.created)
                && named.as_ref().is_none_or(|list| list.contains(&order.ticker.as_str()));
            if fits { self.queue(world, at) } else { None }
        });
        Ok(json!({"queue_positions": rows.collect::<Vec<_>>()}))
    }

    /// `GET /portfolio/orders/{id}/queue_position`.
    pub(super) fn queue_position(&self, world: &World, member: Member, id: &str) -> Result<Value, Deny> {
        let at = self.own_order(member, id)?;
        let row = self.queue(world, at).ok_or_else(Deny::not_found)?;
        Ok(json!({"queue_position_fp": row["queue_position_fp"]}))
    }

    /// `GET /portfolio/fills`, newest first; no `client_order_id` on any of them.
    pub(super) fn list_fills(&self, world: &World, member: Member, query: Query, now: UnixMs) -> Result<Value, Deny> {
        let filter = self.filter(member, query, false)?;
        let of_order = param(query, "order_id");
        let seen = self.seen(now);
        let fits = |fill: &&FillRecord| {
            fill.at <= seen
                && filter.takes(world, fill.account, fill.subaccount, fill.market, fill.at)
                && of_order.is_none_or(|id| self.orders[fill.order].id == id)
        };
        let rows = self.fills.iter().rev().filter(fits).map(|fill| self.fill_row(fill)).collect();
        let (rows, cursor) = page(rows, query)?;
        Ok(json!({"fills": rows, "cursor": cursor}))
    }

    fn fill_row(&self, fill: &FillRecord) -> Value {
        let order = &self.orders[fill.order];
        let (outcome, book) = sides(fill.side);
        json!({
            "fill_id": fill.trade_id, "trade_id": fill.trade_id, "order_id": order.id, "ticker": order.ticker,
            "market_ticker": order.ticker, "exchange_index": order.shard, "side": outcome, "action": "buy",
            "outcome_side": outcome, "book_side": book, "count_fp": fp(fill.qty),
            "yes_price_dollars": fill.price.to_string(), "no_price_dollars": fill.price.complement().to_string(),
            "is_taker": fill.is_taker, "fee_cost": amount(fill.fee, 6), "created_time": rfc3339_ms(fill.at),
            "ts": fill.at.raw() / 1_000, "subaccount_number": fill.subaccount,
        })
    }

    /// `GET /portfolio/positions`; what has settled only if asked for.
    pub(super) fn positions(&self, world: &World, member: Member, query: Query, now: UnixMs) -> Result<Value, Deny> {
        let filter = self.filter(member, query, true)?;
        let wanted = param(query, "settlement_status").unwrap_or("unsettled");
        let subaccount = filter.subaccount.unwrap_or(0);
        let Some(purse) = self.accounts[member.account].purse_at(subaccount, self.seen(now)) else {
            return Err(Deny::new(404, "subaccount_not_found"));
        };
        let mut rows = Vec::new();
        let mut events: BTreeMap<&str, Vec<&Holding>> = BTreeMap::new();
        for (&market, holding) in &purse.holdings {
            let state = if holding.settled { "settled" } else { "unsettled" };
            let fits = filter.takes(world, member.account, subaccount, market, holding.updated);
            if !fits || (wanted != "all" && wanted != state) {
                continue;
            }
            let listed = &world.catalog().kalshi[market];
            rows.push(json!({
                "ticker": listed.ticker, "exchange_index": listed.exchange_index,
                "position_fp": signed_fp(holding.position), "market_exposure_dollars": amount(holding.cost, 6),
                "total_traded_dollars": amount(holding.traded, 6),
                "realized_pnl_dollars": amount(holding.realised, 6),
                "fees_paid_dollars": amount(holding.fees, 6), "last_updated_ts": rfc3339_ms(holding.updated),
            }));
            events.entry(&world.catalog().kalshi_events[listed.event].ticker).or_default().push(holding);
        }
        let (rows, cursor) = page(rows, query)?;
        let events: Vec<Value> = events.into_iter().map(|(ticker, holdings)| event_row(ticker, &holdings)).collect();
        Ok(json!({"market_positions": rows, "event_positions": events, "cursor": cursor}))
    }

    /// `GET /portfolio/balance`: the sum over shards, which misleads, and each of them.
    pub(super) fn balance(&self, world: &World, member: Member, query: Query, now: UnixMs) -> Result<Value, Deny> {
        let subaccount = self.subaccount(member, number(query, "subaccount")?)?;
        let only = number(query, "exchange_index")?;
        let seen = self.seen(now);
        let Some(purse) = self.accounts[member.account].purse_at(subaccount, seen) else {
            return Err(Deny::new(404, "subaccount_not_found"));
        };
        let meant = |shard: u8| only.is_none_or(|only| only == i64::from(shard));
        let total: Money = (0..SHARDS).filter(|&shard| meant(shard)).map(|shard| purse.on(shard)).sum();
        let mut worth = 0_i128;
        for (&market, holding) in &purse.holdings {
            let listed = &world.catalog().kalshi[market];
            if meant(listed.exchange_index)
                && let Some(price) = listed.state.last_price
            {
                let price = if holding.position < 0 { price.complement() } else { price };
                worth += i128::from(price.raw()) * i128::from(holding.position.unsigned_abs());
            }
        }
        let mut body = json!({
            "balance": total.raw().div_euclid(10_000), "balance_dollars": amount(total, 4),
            "portfolio_value": (worth / 100_000_000) as i64, "updated_ts": seen.raw() / 1_000,
        });
        // A key that sees one subaccount sees no breakdown.
        if member.locked.is_none() {
            let shards = (0..SHARDS).filter(|&shard| meant(shard));
            body["balance_breakdown"] =
                shards.map(|shard| json!({"exchange_index": shard, "balance": amount(purse.on(shard), 4)})).collect();
        }
        Ok(body)
    }

    /// `GET /portfolio/settlements`, newest first.
    pub(super) fn list_settlements(
        &self,
        world: &World,
        member: Member,
        query: Query,
        now: UnixMs,
    ) -> Result<Value, Deny> {
        let filter = self.filter(member, query, false)?;
        let seen = self.seen(now);
        let rows = self.settlements.iter().rev().filter(|record| {
            record.at <= seen && filter.takes(world, record.account, record.subaccount, record.paid.market, record.at)
        });
        let (rows, cursor) = page(rows.map(|record| settlement_row(world, record)).collect(), query)?;
        Ok(json!({"settlements": rows, "cursor": cursor}))
    }
}

fn event_row(ticker: &str, holdings: &[&Holding]) -> Value {
    let sum = |of: fn(&Holding) -> Money| amount(holdings.iter().map(|holding| of(holding)).sum(), 6);
    let shares: u64 = holdings.iter().map(|holding| holding.volume.micros()).sum();
    json!({
        "event_ticker": ticker, "total_cost_dollars": sum(|holding| holding.traded),
        "total_cost_shares_fp": fp(Qty::new(shares).unwrap_or(Qty::MAX)),
        "event_exposure_dollars": sum(|holding| holding.cost),
        "realized_pnl_dollars": sum(|holding| holding.realised), "fees_paid_dollars": sum(|holding| holding.fees),
    })
}

fn settlement_row(world: &World, record: &SettlementRecord) -> Value {
    let catalog = world.catalog();
    let listed = &catalog.kalshi[record.paid.market];
    let paid = &record.paid;
    let result = match record.payout.raw() {
        0 => "no",
        1_000_000 => "yes",
        _ => "scalar",
    };
    let (yes_cost, no_cost) = if 0 < paid.position { (paid.cost, Money::ZERO) } else { (Money::ZERO, paid.cost) };
    json!({
        "ticker": listed.ticker, "event_ticker": catalog.kalshi_events[listed.event].ticker,
        "exchange_index": listed.exchange_index, "market_result": result,
        "yes_count_fp": signed_fp(paid.position.max(0)), "yes_total_cost_dollars": amount(yes_cost, 6),
        "no_count_fp": signed_fp((-paid.position).max(0)), "no_total_cost_dollars": amount(no_cost, 6),
        "revenue": paid.revenue.raw() / 10_000, "value": record.payout.raw() / 10_000,
        "fee_cost": amount(paid.fees, 6), "settled_time": rfc3339_ms(record.at),
    })
}
