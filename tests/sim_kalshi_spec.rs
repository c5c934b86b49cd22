//! The simulated Kalshi against the venue's own published specification: every member it requires is there, and has the
//! type it says.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "common/mod.rs"]
mod common;
#[path = "common/sim_kalshi.rs"]
mod sim_kalshi;

use orion::unit::Money;
use serde_json::{Value, json};
use sim_kalshi::{ORDERS, Town, with};

/// One file of the specification.
struct Spec(Value);

impl Spec {
    fn read(folder: &std::path::Path, name: &str) -> Self {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        Self(serde_saphyr::from_str(&text).unwrap())
    }

    fn schema(&self, name: &str) -> &Value {
        let schema = &self.0["components"]["schemas"][name];
        assert!(schema.is_object(), "no schema {name}");
        schema
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let named = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
        named.map_or(schema, |path| self.schema(path.rsplit('/').next().unwrap()))
    }

    /// Every required member is there, and every member that is there and known has its type.
    fn check(&self, what: &str, schema: &Value, value: &Value) {
        let schema = self.resolved(schema);
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(value.get(name.as_str().unwrap()).is_some(), "{what}: {name} is missing from {value}");
        }
        match schema["type"].as_str() {
            Some("string") => {
                assert!(value.is_string(), "{what}: {value}");
                if let Some(words) = schema["enum"].as_array() {
                    assert!(words.contains(value), "{what}: {value} is none of {words:?}");
                }
            }
            Some("integer") => assert!(value.is_i64() || value.is_u64(), "{what}: {value}"),
            Some("boolean") => assert!(value.is_boolean(), "{what}: {value}"),
            Some("array") => {
                let items = value.as_array().unwrap_or_else(|| panic!("{what}: {value}"));
                for item in items {
                    self.check(what, &schema["items"], item);
                }
            }
            _ => {}
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            if let Some(schema) = schema["properties"].get(name) {
                self.check(&format!("{what}.{name}"), schema, member);
            }
        }
    }
}

/// A day with an order of every fate, seen from the first account.
fn day() -> Town {
    let mut town = Town::new();
    let (ticker, market) = (town.ticker.clone(), town.market);
    town.listen(0, &["fill", "user_orders", "market_positions", "order_group_updates"]);
    let (_, group) = town.ask(1, "POST", "/portfolio/order_groups/create", &json!({"contracts_limit": 100}));
    let secs = town.now.raw() / 1_000 + 600;
    let more =
        json!({"order_group_id": group["order_group_id"], "expiration_time": secs, "cancel_order_on_pause": true});
    let bid = with(town.order("bid", "0.4000", "5.00"), &more);
    town.placed(1, &bid);
    let no = town.taker("ask", "0.4000", "2.00");
    town.placed(2, &no);
    let bid = town.order("bid", "0.3000", "5.00");
    let gone = town.placed(1, &bid);
    town.cancel(1, &gone, &ticker);
    town.world.decide(market, Money::micros(250_000));
    let other = town.find(2, "quadratic", 1_000_000);
    town.empty(other);
    town.ticker = town.ticker_of(other);
    let ask = town.order("ask", "0.6000", "1.00");
    town.placed(2, &ask);
    let yes = town.taker("bid", "0.6000", "1.00");
    town.placed(1, &yes);
    town.live(1_200);
    town
}

#[test]
fn every_listing_and_answer_has_what_the_published_specification_requires() {
    let Some(folder) = common::fixtures("kalshi/spec") else { return };
    let spec = Spec::read(&folder, "openapi.yaml");
    let mut town = day();
    let order = town.get(1, "/portfolio/orders")["orders"][0]["order_id"].as_str().unwrap().to_owned();
    let group = town.get(1, "/portfolio/order_groups")["order_groups"][0]["id"].as_str().unwrap().to_owned();
    for (path, schema, rows) in [
        (String::from("/portfolio/orders"), "GetOrdersResponse", "orders"),
        (format!("/portfolio/orders/{order}"), "GetOrderResponse", "order"),
        (String::from("/portfolio/fills"), "GetFillsResponse", "fills"),
        (String::from("/portfolio/positions?settlement_status=all"), "GetPositionsResponse", "market_positions"),
        (String::from("/portfolio/balance"), "GetBalanceResponse", "balance_breakdown"),
        (String::from("/portfolio/settlements"), "GetSettlementsResponse", "settlements"),
        (String::from("/portfolio/order_groups"), "GetOrderGroupsResponse", "order_groups"),
        (format!("/portfolio/order_groups/{group}"), "GetOrderGroupResponse", "orders"),
        (String::from("/portfolio/target_balance_allocation"), "GetTargetBalanceAllocationResponse", "allocations"),
        (String::from("/portfolio/orders/queue_positions"), "GetOrderQueuePositionsResponse", "queue_positions"),
        (String::from("/account/limits"), "GetAccountApiLimitsResponse", "read"),
        (String::from("/account/endpoint_costs"), "GetAccountEndpointCostsResponse", "endpoint_costs"),
        (String::from("/api_keys"), "GetApiKeysResponse", "api_keys"),
        (String::from("/exchange/user_data_timestamp"), "GetUserDataTimestampResponse", "as_of_time"),
    ] {
        let body = town.get(1, &path);
        let empty = ["orders", "allocations", "queue_positions"].contains(&rows) && path != "/portfolio/orders";
        assert!(empty || body[rows].as_array().is_none_or(|rows| !rows.is_empty()), "{path}: {body}");
        spec.check(&path, spec.schema(schema), &body);
    }
    let bid = town.order("bid", "0.4000", "5.00");
    let placed = town.placed(1, &bid);
    spec.check("create", spec.schema("CreateOrderV2Response"), &placed);
    let path = format!("{ORDERS}/{}", placed["order_id"].as_str().unwrap());
    let ticker = town.ticker.clone();
    let (_, body) =
        town.ask(1, "POST", &format!("{path}/decrease"), &json!({"reduce_to": "4.00", "market_ticker": ticker}));
    spec.check("decrease", spec.schema("DecreaseOrderV2Response"), &body);
    let amend = json!({"ticker": ticker, "side": "bid", "price": "0.3900", "count": "3.00"});
    let (_, body) = town.ask(1, "POST", &format!("{path}/amend"), &amend);
    spec.check("amend", spec.schema("AmendOrderV2Response"), &body);
    let (_, body) = town.cancel(1, &placed, &ticker);
    spec.check("cancel", spec.schema("CancelOrderV2Response"), &body);
    let transfer = json!({"source": "event_contract", "destination": "event_contract", "amount": 1});
    let (_, body) = town.ask(1, "POST", "/portfolio/intra_exchange_instance_transfer", &transfer);
    spec.check("transfer", spec.schema("IntraExchangeInstanceTransferResponse"), &body);
    let path = format!("/portfolio/intra_exchange_instance_transfers/{}", body["transfer_id"].as_str().unwrap());
    spec.check("transfer", spec.schema("GetIntraExchangeInstanceTransferResponse"), &town.get(1, &path));
}

#[test]
fn every_private_frame_has_what_the_published_specification_requires() {
    let Some(folder) = common::fixtures("kalshi/spec") else { return };
    let spec = Spec::read(&folder, "asyncapi.yaml");
    let town = day();
    for (kind, schema) in [
        ("fill", "fillPayload"),
        ("user_order", "userOrderPayload"),
        ("market_position", "marketPositionPayload"),
        ("order_group_updates", "orderGroupUpdatesPayload"),
    ] {
        let frames: Vec<&Value> = town.frames[0].iter().filter(|frame| frame["type"] == kind).collect();
        assert!(!frames.is_empty(), "{kind}");
        for frame in frames {
            spec.check(kind, spec.schema(schema), frame);
        }
    }
}

#[test]
fn the_comparison_itself_notices_what_is_missing_or_of_another_type() {
    let Some(folder) = common::fixtures("kalshi/spec") else { return };
    let spec = Spec::read(&folder, "openapi.yaml");
    let mut town = day();
    let good = town.get(1, "/portfolio/fills")["fills"][0].clone();
    let notices = |fill: &Value| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| spec.check("fill", spec.schema("Fill"), fill)))
            .is_err()
    };
    assert!(!notices(&good));
    assert!(notices(&with(good.clone(), &json!({"fee_cost": 1}))));
    assert!(notices(&with(good.clone(), &json!({"book_side": "buy"}))));
    let mut poor = good;
    poor.as_object_mut().unwrap().remove("exchange_index");
    assert!(notices(&poor));
}
