use super::*;
use crate::unit::{Outcome, Price, Qty};

fn run(at: u64) -> RunInfo {
    RunInfo { mode: "paper".into(), started_at: UnixMs::new(at), build: "0.1.0".into(), config_hash: "abc".into() }
}

fn price(raw: u16) -> Price {
    Price::new(raw).unwrap()
}

fn opportunity(id: u64) -> Opportunity {
    Opportunity {
        id,
        pair_key: "KXA|0x1".into(),
        title: "Will A happen?".into(),
        yes_on: Venue::Kalshi,
        seen_at: UnixMs::new(1_795_168_800_000 + id),
        ended_at: None,
        yes_price: price(3_200),
        no_price: price(6_300),
        gross: 50_000,
        fee: 24_575,
        net: 25_425,
        qty: Qty::whole(400),
        depth: Money::dollars(380),
        annual_yield_ppm: Some(1_080_000),
        days_to_settle_milli: Some(9_000),
        outcome: Fate::Open,
        reason: None,
        detect_ns: Some(38_000),
        plan_id: None,
    }
}

fn plan(id: u64) -> Plan {
    Plan {
        id,
        opportunity_id: Some(7),
        pair_key: "KXA|0x1".into(),
        yes_on: Venue::Kalshi,
        qty: Qty::whole(400),
        yes_limit: price(3_200),
        no_limit: price(6_300),
        state: "working".into(),
        opened_at: UnixMs::new(1_795_168_800_000),
        closed_at: None,
        expected_net: Money::micros(10_170_000),
        realised_net: None,
        realised_at: None,
    }
}

fn fill(id: &str, venue: Venue, outcome: Outcome, action: Action, raw: u16, contracts: u32) -> Fill {
    Fill {
        id: id.into(),
        plan_id: Some(1),
        leg: 0,
        venue,
        market: "M".into(),
        outcome,
        action,
        price: price(raw),
        qty: Qty::whole(contracts),
        fee: Money::micros(100_000),
        at: UnixMs::new(1_000),
        book_stamp: Some(UnixMs::new(990)),
        finality: Finality::Final,
        simulated: true,
    }
}

fn temp() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/paper.db");
    (folder, path)
}

#[test]
fn the_migrations_are_sound_and_repeatable() {
    MIGRATIONS.validate().unwrap();
    let (_folder, path) = temp();
    assert_eq!(Audit::init(&path).unwrap(), SCHEMA_VERSION);
    assert_eq!(Audit::init(&path).unwrap(), SCHEMA_VERSION);
}

#[test]
fn an_opportunity_is_written_once_and_brought_up_to_date() {
    let (_folder, path) = temp();
    let mut audit = Audit::open(&path, &run(1)).unwrap();
    let mut seen = opportunity(7);
    audit.write(&[Row::Opportunity(seen.clone()), Row::Opportunity(opportunity(8))]).unwrap();
    seen.outcome = Fate::Skipped;
    seen.reason = Some("FEES".into());
    seen.ended_at = Some(UnixMs::new(1_795_168_805_000));
    audit.write(&[Row::Opportunity(seen.clone())]).unwrap();

    let reader = AuditReader::open(&path).unwrap();
    let found = reader.opportunity(7).unwrap().unwrap();
    assert_eq!(found, OpportunityRecord { run_id: audit.run_id(), opportunity: seen });
    assert_eq!(reader.opportunity(u64::MAX).unwrap(), None);
    let ids: Vec<u64> = reader.latest_opportunities(5).unwrap().iter().map(|found| found.opportunity.id).collect();
    assert_eq!(ids, [8, 7]);
    let reasons = reader.reasons(UnixMs::default()).unwrap();
    let skipped = reasons.iter().find(|count| count.outcome == Fate::Skipped).unwrap();
    assert_eq!((skipped.reason.as_str(), skipped.times, skipped.best_net), ("FEES", 1, 25_425));
}

#[test]
fn a_later_run_closes_what_nobody_watched_and_cannot_take_an_id() {
    let (_folder, path) = temp();
    let mut first = Audit::open(&path, &run(1)).unwrap();
    first.write(&[Row::Opportunity(opportunity(1)), Row::Plan(plan(1))]).unwrap();
    drop(first); // A crash: the run has no end.

    let mut second = Audit::open(&path, &run(50)).unwrap();
    let reader = AuditReader::open(&path).unwrap();
    let left = reader.opportunity(1).unwrap().unwrap().opportunity;
    assert_eq!((left.outcome, left.reason.as_deref()), (Fate::Missed, Some("RUN_ENDED")));
    assert!(matches!(second.write(&[Row::Opportunity(opportunity(1))]), Err(AuditError::Refused { .. })));
    // A plan outlives its run.
    let mut done = plan(1);
    done.state = "settled".into();
    done.closed_at = Some(UnixMs::new(1_795_168_900_000));
    done.realised_net = Some(Money::micros(10_170_000));
    done.realised_at = done.closed_at;
    second.write(&[Row::Plan(done)]).unwrap();
    second.close_run(UnixMs::new(60)).unwrap();
    let ends: Vec<Option<i64>> = Connection::open(&path)
        .unwrap()
        .prepare("SELECT ended_at FROM runs ORDER BY id")
        .unwrap()
        .query_map([], |line| line.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(ends, [None, Some(60)]);
}

#[test]
fn a_restart_finds_positions_balances_plans_and_the_days_profit() {
    let (_folder, path) = temp();
    let mut audit = Audit::open(&path, &run(1)).unwrap();
    let position = |qty, at| Position {
        venue: Venue::Polymarket,
        market: "0x1".into(),
        outcome: Outcome::No,
        qty: Qty::whole(qty),
        cost: Money::dollars(6),
        updated_at: UnixMs::new(at),
    };
    let balance = |at, free| Balance {
        at: UnixMs::new(at),
        venue: Venue::Kalshi,
        shard: "0".into(),
        free: Money::dollars(free),
        locked: Money::ZERO,
    };
    let traded = |id, action, raw, contracts| Fill {
        fee: Money::ZERO,
        ..fill(id, Venue::Polymarket, Outcome::Yes, action, raw, contracts)
    };
    let closed =
        |id, at, net| Plan { closed_at: Some(UnixMs::new(at)), realised_net: Some(Money::dollars(net)), ..plan(id) };
    audit
        .write(&[
            Row::Position(position(5, 1)),
            Row::Position(position(10, 2)),
            Row::Balance(balance(1, 100)),
            Row::Balance(balance(2, 90)),
            Row::Plan(plan(3)),
            Row::Plan(closed(4, 999, 50)),
            Row::Plan(closed(5, 1_000, -3)),
            Row::Plan(closed(6, 2_000, 4)),
            Row::Opportunity(opportunity(41)),
            // Yesterday ten were bought at 0.60 and five sold at 0.50; today five were sold at 0.90.
            Row::Fill(Fill { at: UnixMs::new(500), ..traded("a", Action::Buy, 6_000, 10) }),
            Row::Fill(Fill { at: UnixMs::new(900), ..traded("b", Action::Sell, 5_000, 5) }),
            Row::Fill(Fill { at: UnixMs::new(1_500), ..traded("c", Action::Sell, 9_000, 5) }),
        ])
        .unwrap();
    let state = AuditReader::open(&path).unwrap().load_state(UnixMs::new(1_000)).unwrap();
    assert_eq!(state.positions, [position(10, 2)]);
    assert_eq!(state.balances, [balance(2, 90)]);
    assert_eq!(state.open_plans, [plan(3)]);
    assert_eq!(state.realised_today, Money::micros(1_500_000), "five times thirty cents");
    assert_eq!((state.last_opportunity, state.last_plan), (41, 6));
}

#[test]
fn the_views_speak_dollars_and_iso_times() {
    let (_folder, path) = temp();
    let mut audit = Audit::open(&path, &run(1)).unwrap();
    let closed = Plan {
        closed_at: Some(UnixMs::new(1_795_168_900_000)),
        realised_net: Some(Money::micros(10_170_000)),
        ..plan(1)
    };
    audit
        .write(&[
            Row::Opportunity(opportunity(0)),
            Row::Plan(closed),
            Row::Fill(fill("a", Venue::Kalshi, Outcome::Yes, Action::Buy, 3_200, 400)),
            Row::Position(Position {
                venue: Venue::Kalshi,
                market: "KXA".into(),
                outcome: Outcome::Yes,
                qty: Qty::whole(400),
                cost: Money::micros(134_100_000),
                updated_at: UnixMs::new(1),
            }),
            Row::Control(Control {
                at: UnixMs::new(1),
                who: "ada".into(),
                command: "pause".into(),
                args: String::new(),
                result: "done".into(),
            }),
            Row::ConfigChange(ConfigChange {
                at: UnixMs::new(1),
                key: "risk.max_edge".into(),
                before: "0.1".into(),
                after: "0.2".into(),
                origin: "dashboard".into(),
            }),
            Row::Event(Event { at: UnixMs::new(1), kind: "canary".into(), text: "unknown field".into() }),
        ])
        .unwrap();
    let reader = Connection::open(&path).unwrap();
    let ask = |sql: &str| -> String { reader.query_row(sql, [], |line| line.get(0)).unwrap() };
    let seen = "SELECT seen || ' ' || yes_price || ' ' || net_cents || ' ' || contracts || ' ' || detect_us || ' ' \
                || yield_pct_per_year FROM v_opportunities";
    assert_eq!(ask(seen), "2026-11-20T10:00:00.000Z 0.32 2.5425 400.0 38.0 108.0");
    assert_eq!(ask("SELECT fills || ' ' || fees_usd || ' ' || realised_net_usd FROM v_trades"), "1 0.1 10.17");
    let day = "SELECT day_utc || ' ' || won || '/' || trades || ' ' || realised_usd FROM v_pnl_daily";
    assert_eq!(ask(day), "2026-11-20 1/1 10.17");
    assert_eq!(ask("SELECT outcome || ' ' || times || ' ' || best_net_cents FROM v_reasons"), "open 1 2.5425");
    assert_eq!(ask("SELECT contracts || ' ' || cost_per_contract FROM v_positions"), "400.0 0.33525");
}

#[test]
fn a_trade_counts_once_whatever_channel_brings_it() {
    let (_folder, path) = temp();
    let mut audit = Audit::open(&path, &run(1)).unwrap();
    let mut trade = fill("t", Venue::Polymarket, Outcome::Yes, Action::Buy, 5_000, 10);
    trade.finality = Finality::Provisional;
    audit.write(&[Row::Fill(trade.clone()), Row::Fill(trade.clone())]).unwrap();
    trade.finality = Finality::Final;
    trade.fee = Money::micros(120_000);
    audit.write(&[Row::Fill(trade.clone())]).unwrap();
    assert_eq!(AuditReader::open(&path).unwrap().fills_of(1).unwrap(), [trade.clone()]);
    trade.price = price(4_000);
    assert!(audit.write(&[Row::Fill(trade)]).is_err(), "the same trade cannot have two prices");
}

#[test]
fn the_books_are_recomputed_from_trades_and_settlements_alone() {
    let (_folder, path) = temp();
    let mut audit = Audit::open(&path, &run(1)).unwrap();
    let at = |mut fill: Fill, at: u64, market: &str| {
        fill.at = UnixMs::new(at);
        fill.market = market.into();
        Row::Fill(fill)
    };
    let mut failed = fill("p2", Venue::Polymarket, Outcome::Yes, Action::Buy, 5_000, 99);
    failed.finality = Finality::Void;
    let settled = |venue, market: &str, yes, qty_yes, qty_no, paid, when| {
        Row::Settlement(Settlement {
            venue,
            market: market.into(),
            yes_payout: Money::dollars(yes),
            qty_yes: Qty::whole(qty_yes),
            qty_no: Qty::whole(qty_no),
            paid: Money::dollars(paid),
            at: UnixMs::new(when),
        })
    };
    audit
        .write(&[
            at(fill("k1", Venue::Kalshi, Outcome::Yes, Action::Buy, 4_000, 10), 10, "KXA"),
            // Netting: 4 NO against 10 YES pays $4 back at once and leaves 6 YES.
            at(fill("k2", Venue::Kalshi, Outcome::No, Action::Buy, 5_000, 4), 20, "KXA"),
            at(fill("k3", Venue::Kalshi, Outcome::Yes, Action::Sell, 7_000, 2), 30, "KXA"),
            at(fill("k4", Venue::Kalshi, Outcome::No, Action::Buy, 2_000, 5), 31, "KXB"),
            settled(Venue::Kalshi, "KXA", 1, 4, 0, 4, 40),
            at(fill("p1", Venue::Polymarket, Outcome::No, Action::Buy, 5_500, 10), 10, "0x1"),
            at(fill("p3", Venue::Polymarket, Outcome::Yes, Action::Buy, 3_500, 10), 11, "0x1"),
            at(failed, 12, "0x1"),
        ])
        .unwrap();
    let opening = [(Venue::Kalshi, Money::dollars(100)), (Venue::Polymarket, Money::dollars(50))];
    let books = AuditReader::open(&path).unwrap().recompute(opening).unwrap();
    assert!(books.odd.is_empty(), "{:?}", books.odd);
    let [kalshi, polymarket] = &books.venues[..] else { panic!("two venues") };
    // 100 − 4.1 − 2.1 + 4 + 1.3 − 1.1 + 4
    assert_eq!(kalshi.cash, Money::micros(102_000_000));
    assert_eq!(kalshi.fees, Money::micros(400_000));
    let rest =
        Holding { market: "KXB".into(), outcome: Outcome::No, qty: Qty::whole(5), cost: Money::micros(1_100_000) };
    assert_eq!(kalshi.holdings, [rest]);
    // Cash and cost of what is held make the opening balance and the profit.
    assert_eq!(kalshi.realised, Money::micros(3_100_000));
    assert_eq!(kalshi.cash + Money::micros(1_100_000), Money::dollars(100) + kalshi.realised);
    assert_eq!(polymarket.cash, Money::micros(50_000_000 - 5_600_000 - 3_600_000));
    assert_eq!(polymarket.holdings.len(), 2, "both outcomes stand until they are merged");
    assert_eq!(polymarket.realised, Money::ZERO);

    audit.write(&[settled(Venue::Polymarket, "0x1", 0, 10, 9, 3, 50)]).unwrap();
    audit.write(&[at(fill("k5", Venue::Kalshi, Outcome::Yes, Action::Sell, 7_000, 2), 60, "KXC")]).unwrap();
    let odd = AuditReader::open(&path).unwrap().recompute(opening).unwrap().odd;
    assert_eq!(odd.len(), 3, "{odd:?}");
}

#[test]
fn a_reader_that_holds_on_for_long_loses_no_write() {
    let (_folder, path) = temp();
    let mut audit = Audit::open(&path, &run(1)).unwrap();
    audit.write(&[Row::Opportunity(opportunity(1))]).unwrap();
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = |connection: &Connection| -> i64 {
        connection.query_row("SELECT count(*) FROM opportunities", [], |line| line.get(0)).unwrap()
    };
    assert_eq!(count(&reader), 1);
    for id in 2..2_000 {
        audit.write(&[Row::Opportunity(opportunity(id))]).unwrap();
    }
    assert_eq!(count(&reader), 1, "the reader still sees its own moment");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&reader), 1_999);
}

#[test]
fn a_foreign_write_lock_costs_a_try_and_no_row() {
    let (_folder, path) = temp();
    let mut audit = Audit::open(&path, &run(1)).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let rows = [Row::Opportunity(opportunity(1)), Row::Plan(plan(1))];
    let error = audit.write(&rows).unwrap_err();
    assert!(matches!(error, AuditError::Locked { .. }) && error.passes(), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    audit.write(&rows).unwrap();
    assert!(AuditReader::open(&path).unwrap().opportunity(1).unwrap().is_some());
}

#[test]
fn what_is_wrong_with_a_database_is_said_with_its_path_and_the_fix() {
    let (folder, path) = temp();
    let told = |error: AuditError, words: &str| {
        let text = error.to_string();
        assert!(text.contains(folder.path().to_str().unwrap()) && text.contains(words), "{text}");
    };
    told(AuditReader::open(&path).unwrap_err(), "orion db init");

    Audit::init(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    told(Audit::open(&path, &run(1)).unwrap_err(), "newer Orion");
    told(AuditReader::open(&path).unwrap_err(), "newer Orion");
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 0").unwrap();
    told(AuditReader::open(&path).unwrap_err(), "orion db init");

    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, "this is not a database, it is a letter to the editor".repeat(100)).unwrap();
    told(Audit::open(&garbage, &run(1)).unwrap_err(), "damaged");

    let torn = folder.path().join("torn.db");
    let mut audit = Audit::open(&torn, &run(1)).unwrap();
    audit.write(&(1..2_000).map(|id| Row::Opportunity(opportunity(id))).collect::<Vec<_>>()).unwrap();
    audit.close_run(UnixMs::new(2)).unwrap();
    let mut bytes = std::fs::read(&torn).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0x5a);
    std::fs::write(&torn, bytes).unwrap();
    told(Audit::open(&torn, &run(1)).unwrap_err(), "damaged");

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    told(Audit::open(&file.join("x.db"), &run(1)).unwrap_err(), "cannot be written");
    std::fs::create_dir(folder.path().join("folder.db")).unwrap();
    told(Audit::open(&folder.path().join("folder.db"), &run(1)).unwrap_err(), "cannot be written");
}

#[test]
fn a_full_disk_is_named_and_nothing_is_half_written() {
    let (_folder, path) = temp();
    let mut audit = Audit::open(&path, &run(1)).unwrap();
    // SQLite's own page limit answers exactly as a full disk does.
    audit.connection.query_row("PRAGMA max_page_count = 1", [], |_| Ok(())).unwrap();
    let rows: Vec<Row> = (1..5_000).map(|id| Row::Opportunity(opportunity(id))).collect();
    let error = audit.write(&rows).unwrap_err();
    assert!(matches!(error, AuditError::Full { .. }) && error.passes(), "{error}");
    audit.connection.query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(())).unwrap();
    assert_eq!(AuditReader::open(&path).unwrap().latest_opportunities(1).unwrap(), []);
    audit.write(&rows).unwrap();
}
