//! Every recorded catalogue body of both venues is read, and what is never to be paired says why.
//!
//! The recordings are third-party data and not part of the project: where they are absent the test says so, and under
//! CI it fails.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic too")]

use std::fs;
use std::path::PathBuf;

use orion::unit::{Money, UnixMs};
use orion::venue::listing::Refused;
use orion::venue::{kalshi, polymarket};
use serde_json::{Value, json};

fn fixtures() -> Option<PathBuf> {
    let folder = std::env::var_os("ORION_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "the fixtures are needed under CI: set ORION_FIXTURES");
    println!("skipped: no fixtures at {}", folder.display());
    None
}

fn text(name: &str) -> Option<String> {
    let path = fixtures()?.join(name);
    Some(fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn json_of(name: &str) -> Option<Value> {
    Some(serde_json::from_str(&text(name)?).unwrap())
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

#[test]
fn kalshi_markets_events_series_and_books_are_read() {
    use kalshi::catalog::{
        Status, parse_book, parse_books, parse_events, parse_market, parse_markets, parse_series, parse_status,
    };
    let Some(one) = json_of("kalshi/rest/prod_2026-08-09_market_and_orderbook.json") else { return };
    let single =
        if one["single"].get("market").is_some() { one["single"].clone() } else { json!({"market": one["single"]}) };
    let market = parse_market(&bytes(&single)).unwrap();
    assert_eq!(market.ticker, "KXNCAAFGAME-26SEP19MSUND-ND");
    assert_eq!(market.status, Status::Active);
    assert_eq!(market.grid.unwrap().unit(), 100);
    assert_eq!(market.close_time, Some(UnixMs::new(1_790_033_400_000)));
    assert_eq!(market.refused, None);
    assert!(market.strike.custom.unwrap().contains("football_team"));
    let book = if one["orderbook"].get("orderbook_fp").is_some() {
        one["orderbook"].clone()
    } else {
        json!({"orderbook_fp": one["orderbook"]})
    };
    assert!(!parse_book(&bytes(&book)).unwrap().yes.is_empty());

    let settled = json_of("kalshi/rest/prod_2026-08-08_markets_settled.json").unwrap();
    let page = parse_markets(&bytes(&json!({"markets": settled["markets"], "cursor": ""}))).unwrap();
    assert_eq!((page.items.len(), page.unreadable.len(), page.next), (44, 0, None));
    assert!(page.items.iter().filter(|m| m.status == Status::Finalized).all(|m| m.result.is_some()));

    let mut nested = 0;
    for name in ["prod_2026-08-09_events_nested_nfl.json", "prod_2026-08_events_nested_sports.json"] {
        let events = json_of(&format!("kalshi/rest/{name}")).unwrap();
        let page = parse_events(&bytes(&json!({"events": events["events"], "cursor": "next"}))).unwrap();
        assert!(page.unreadable.is_empty(), "{:?}", page.unreadable);
        assert_eq!(page.next.as_deref(), Some("next"));
        for event in &page.items {
            assert!(event.unreadable.is_empty(), "{:?}", event.unreadable);
            assert!(event.markets.iter().all(|market| market.refused.is_none()), "{}", event.event_ticker);
            nested += event.markets.len();
        }
    }
    assert_eq!(nested, 64 + 245);

    let combos = json_of("kalshi/rest/prod_2026-08-09_combo_markets_deci_cent.json").unwrap();
    let page = parse_markets(&bytes(&json!({"markets": combos["combos"]}))).unwrap();
    assert_eq!(page.items.len(), 4);
    assert!(page.items.iter().all(|market| market.refused == Some(Refused::Combo) && market.grid.is_some()));
    let books = parse_books(&bytes(&json_of("kalshi/rest/prod_2026-08_batch_orderbooks.json").unwrap())).unwrap();
    assert!(books.iter().any(|(_, book)| !book.no.is_empty()));

    let series = json_of("kalshi/rest/prod_2026-08-20_series.json").unwrap();
    let mut multipliers = Vec::new();
    for body in series["payloads"].as_object().unwrap().values() {
        let series = parse_series(&bytes(body)).unwrap();
        assert_eq!(series.fee.refused(), None, "{:?}", series.fee);
        multipliers.push(series.fee.multiplier_ppm);
    }
    assert!(multipliers.contains(&500_000), "{multipliers:?}");

    let status = json_of("kalshi/rest/prod_2026-01_exchange_schedule_status.json").unwrap();
    let status = parse_status(&bytes(&status["exchange_status"]["response"])).unwrap();
    assert!(status.trades(0) && !status.trades(2), "a shard that is not listed is not known to be open");
}

#[test]
fn kalshi_demo_session_bodies_are_read() {
    let Some(lines) = text("kalshi/rest/demo_2026-06-11_exchanges.jsonl") else { return };
    let mut read = 0;
    for line in lines.lines() {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let body = &exchange["response_body"];
        if exchange["status"] != 200 {
            continue;
        }
        if body.get("markets").is_some() {
            let page = kalshi::catalog::parse_markets(&bytes(body)).unwrap();
            assert!(page.unreadable.is_empty(), "{:?}", page.unreadable);
        } else if body.get("market").is_some() {
            kalshi::catalog::parse_market(&bytes(body)).unwrap();
        } else if body.get("orderbook_fp").is_some() {
            kalshi::catalog::parse_book(&bytes(body)).unwrap();
        } else if body.get("exchange_active").is_some() {
            kalshi::catalog::parse_status(&bytes(body)).unwrap();
        } else {
            continue;
        }
        read += 1;
    }
    assert!(8 < read, "{read}");
}

#[test]
fn polymarket_events_and_markets_are_read() {
    use polymarket::catalog::{Version, parse_events, parse_markets};
    let Some(nobel) = json_of("polymarket/gamma/event_nobel_peace_2026_neg_risk.json") else { return };
    let page = parse_events(&bytes(&json!({"events": [nobel], "next_cursor": "abc"}))).unwrap();
    assert_eq!(page.next.as_deref(), Some("abc"));
    let event = &page.items[0];
    assert!(event.augmented && event.neg_risk && event.unreadable.is_empty());
    assert!(event.markets.iter().all(|market| market.refused.is_some()), "a group that may grow is never paired");

    let strike = json_of("polymarket/gamma/event_us_strike_venezuela_2026.json").unwrap();
    let page = parse_events(&bytes(&json!([strike]))).unwrap();
    assert!(page.items[0].unreadable.is_empty() && !page.items[0].markets.is_empty());

    let (mut seen, mut refused) = (0, Vec::new());
    for line in text("polymarket/gamma/events_nba_2026-01-09.jsonl").unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let page = parse_events(&bytes(&json!([event]))).unwrap();
        let event = &page.items[0];
        assert!(event.unreadable.is_empty(), "{:?}", event.unreadable);
        seen += event.markets.len();
        refused.extend(event.markets.iter().filter_map(|market| market.refused.clone()));
        let game = event.markets.iter().find(|market| market.sports_market_type == "moneyline").unwrap();
        assert!(game.game_start.is_some() && game.outcomes.len() == 2, "{}", game.slug);
    }
    assert_eq!(seen, 738);
    assert!(refused.is_empty(), "{refused:?}");

    let mixed = json_of("polymarket/gamma/markets_mixed_2026.json").unwrap();
    let page = parse_markets(&bytes(&mixed)).unwrap();
    assert_eq!((page.items.len(), page.unreadable.len()), (5, 0));

    let btc = json_of("polymarket/gamma/market_v1_btc15m_2026-10-05.json").unwrap();
    let market = parse_markets(&bytes(&json!({"markets": [btc]}))).unwrap().items.remove(0);
    let fee = market.fee.unwrap();
    assert_eq!((fee.rate_ppm, fee.exponent, fee.taker_only), (70_000, 1, true));
    assert_eq!(market.twap_lookback_s, Some(60));
    assert!(market.trades() && market.version == Version::V1 && market.refused.is_none());

    for line in text("polymarket/gamma/markets_btc5m_2026-07-24.jsonl").unwrap().lines() {
        let wrapped: Value = serde_json::from_str(line).unwrap();
        let page = parse_markets(&bytes(&json!([wrapped["raw"]]))).unwrap();
        assert!(page.unreadable.is_empty(), "{:?}", page.unreadable);
        let market = &page.items[0];
        assert_eq!(market.condition_id, wrapped["condition_id"].as_str().unwrap());
        assert!(market.tokens.len() == 2 && !market.trades());
    }
    // The documentation's example is only the identifier part of a market: without an id it is nothing.
    let example = json_of("polymarket/gamma/market_v2_docs_example.json").unwrap();
    let page = parse_markets(&bytes(&json!([example]))).unwrap();
    assert_eq!(page.unreadable[0].1.code(), "BAD_ID");
}

#[test]
fn polymarket_parameters_books_and_resolutions_are_read() {
    use polymarket::catalog::{Version, parse_book, parse_clob_market, parse_clob_markets, parse_resolutions};
    let Some(first) = text("polymarket/rest/clob_markets_v1_2026-10-05.json") else { return };
    let rest = |name: &str| text(&format!("polymarket/rest/{name}")).unwrap();
    let market = parse_clob_market(first.as_bytes()).unwrap();
    assert!(market.accepting_orders && market.taker_hold && market.refused.is_none());
    assert_eq!(market.fee.unwrap().rate_ppm, 70_000);
    let market = parse_clob_market(rest("clob_markets_v2_2026-10-05.json").as_bytes()).unwrap();
    assert!(market.version == Version::V2 && market.clear_on_start);

    let old = parse_clob_market(rest("clob_market_2024-10_neg_risk.json").as_bytes()).unwrap();
    assert_eq!(old.refused, Some(Refused::FeeUnstated), "the long form does not say what trading costs");
    let page = parse_clob_markets(rest("clob_markets_page_2026-01-11.json").as_bytes()).unwrap();
    assert_eq!(page.items.len() + page.unreadable.len(), 1_000);
    assert_eq!(page.next.as_deref(), Some("MTAwMA=="));
    assert!(page.unreadable.iter().all(|(_, refused)| refused.code() == "BAD_ID"), "{:?}", page.unreadable);
    assert!((54..=55).contains(&page.unreadable.len()));
    assert!(page.items.iter().all(|market| market.refused.is_some()));

    for (name, levels) in [
        ("book_v1_2026-10-05.json", true),
        ("book_v2_2026-10-05.json", false),
        ("book_2024-10-17_neg_risk.json", true),
        ("book_2026-01-11.json", true),
    ] {
        let book = parse_book(rest(name).as_bytes()).unwrap();
        assert_eq!(!book.bids.is_empty(), levels, "{name}");
        assert!(book.bids.is_sorted() && book.grid.is_some(), "{name}: best comes last");
    }
    let [no] = &parse_resolutions(rest("data_v2_resolutions_v1_resolved_2026-10-05.json").as_bytes()).unwrap()[..]
    else {
        panic!("one row")
    };
    assert_eq!((no.status.as_str(), &no.payouts[..]), ("resolved", &[Money::ZERO, Money::dollars(1)][..]));
    let [yes] = &parse_resolutions(rest("data_v2_resolutions_v2_resolved_2026-10-05.json").as_bytes()).unwrap()[..]
    else {
        panic!("one row")
    };
    assert_eq!((yes.reporter.as_str(), yes.payouts[0]), ("CHAINLINK", Money::dollars(1)));
}

#[test]
fn a_market_that_is_no_plain_bet_says_why() {
    let kalshi = |change: Value| {
        let mut market = json!({
            "ticker": "KXA-1", "event_ticker": "KXA", "market_type": "binary", "status": "active",
            "notional_value_dollars": "1.0000",
            "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
            "rules_primary": null, "floor_strike": 4.25,
        });
        market.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        kalshi::catalog::parse_market(&bytes(&json!({"market": market})))
            .map_or_else(|refused| refused.code(), |market| market.refused.map_or("", |refused| refused.code()))
    };
    assert_eq!(kalshi(json!({})), "");
    for (change, code) in [
        (json!({"market_type": "scalar"}), "SCALAR"),
        (json!({"market_type": "ternary"}), "MALFORMED"),
        (json!({"settlement_bounds_type": "floor"}), "FLOOR_SETTLEMENT"),
        (json!({"settlement_floor_dollars": "0.1000"}), "FLOOR_SETTLEMENT"),
        (json!({"mve_collection_ticker": "KXMVE"}), "COMBO"),
        (json!({"notional_value_dollars": "10.0000"}), "NOT_A_DOLLAR"),
        (json!({"price_ranges": []}), "GRID"),
        (json!({"price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0333"}]}), "GRID"),
        (json!({"ticker": "../KXA"}), "BAD_ID"),
        (json!({"exchange_index": "two"}), "MALFORMED"),
    ] {
        assert_eq!(kalshi(change.clone()), code, "{change}");
    }
    for (fee_type, known) in [("quadratic", true), ("quadratic_with_maker_fees", true), ("flat", false), ("", false)] {
        let fee = kalshi::catalog::FeeSchedule { fee_type: fee_type.into(), multiplier_ppm: 1_000_000 };
        assert_eq!(fee.refused().is_none(), known, "{fee_type}");
    }

    let polymarket = |change: Value| {
        let mut market = json!({
            "id": 7, "conditionId": format!("0x{}", "ab".repeat(32)), "outcomes": "[\"Yes\", \"No\"]",
            "clobTokenIds": "[\"1\", \"2\"]", "orderPriceMinTickSize": 0.01, "orderMinSize": 5, "feesEnabled": true,
            "feeSchedule": {"rate": 0.05, "exponent": 1, "takerOnly": true},
        });
        market.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let mut page = polymarket::catalog::parse_markets(&bytes(&json!([market]))).unwrap();
        match page.unreadable.pop() {
            Some((_, refused)) => refused.code(),
            None => page.items.remove(0).refused.map_or("", |refused| refused.code()),
        }
    };
    assert_eq!(polymarket(json!({})), "");
    assert_eq!(polymarket(json!({"feesEnabled": false, "feeSchedule": null})), "");
    for (change, code) in [
        (json!({"outcomes": "[\"A\", \"B\", \"C\"]"}), "NOT_BINARY"),
        (json!({"clobTokenIds": null}), "NOT_BINARY"),
        (json!({"clobTokenIds": "[\"1\", \"x\"]"}), "BAD_ID"),
        (json!({"conditionId": "0x12"}), "BAD_ID"),
        (json!({"events": [{"id": "1", "negRiskAugmented": true}]}), "AUGMENTED_NEG_RISK"),
        (json!({"negRiskOther": true}), "CATCH_ALL"),
        (json!({"orderPriceMinTickSize": 0.04}), "GRID"),
        (json!({"orderPriceMinTickSize": null}), "GRID"),
        (json!({"feeSchedule": {"rate": 0.05, "exponent": 0.5}}), "FEE_EXPONENT"),
        (json!({"feeSchedule": {"rate": 0.05, "exponent": 9}}), "FEE_EXPONENT"),
        (json!({"feeSchedule": {"exponent": 1}}), "FEE_UNSTATED"),
        (json!({"version": "v3"}), "VERSION"),
        (json!({"outcomes": "not json"}), "MALFORMED"),
    ] {
        assert_eq!(polymarket(change.clone()), code, "{change}");
    }
}
