//! Every fee vector of both venues, to the last digit.

use orion::{
    spread::{FeeCurve, FeeRun, fee::Cash},
    unit::{Money, Price, Qty, decimal},
    venue::{kalshi, polymarket},
};
use serde_json::Value;

const KALSHI: &[u8] = include_bytes!("data/kalshi/fee_vectors.json");
const POLYMARKET: &[u8] = include_bytes!("data/polymarket/fee_vectors.json");

/// Kalshi's taker coefficient, which `fee_curve` carries; other coefficients are makers'.
const TAKER_PPM: u64 = 70_000;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"))
}

/// Millionths of any decimal of the vectors, signed.
fn micros(text: &str) -> i64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    sign * decimal(digits.as_bytes(), 9, 6).unwrap_or_else(|| panic!("a decimal: {text}")) as i64
}

fn money(text: &str) -> Money {
    Money::micros(micros(text))
}

fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).expect("a price of the vectors")
}

fn qty(text: &str) -> Qty {
    Qty::parse(text.as_bytes()).expect("a quantity of the vectors")
}

/// The curve of a vector: the venue's own for takers, the same shape with the maker's coefficient for makers.
fn kalshi_curve(vector: &Value) -> FeeCurve {
    let coefficient = micros(text(vector, "coefficient")) as u64;
    let multiplier = micros(text(vector, "fee_multiplier")) as u64;
    let taker = kalshi::fee_curve("quadratic", multiplier as u32).expect("a documented fee type");
    let rate_ppm = (coefficient * multiplier / 1_000_000) as u32;
    if coefficient == TAKER_PPM {
        assert_eq!(taker.rate_ppm, rate_ppm, "the venue's coefficient times its multiplier");
    }
    let account_step = micros(text(vector, "balance_precision")) as u32;
    FeeCurve { rate_ppm, account_step, ..taker }
}

#[test]
fn every_kalshi_fill_costs_what_the_exchange_charged() {
    let file: Value = serde_json::from_slice(KALSHI).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 59);
    let mut observed = 0;
    for vector in vectors {
        let name = text(vector, "name");
        let curve = kalshi_curve(vector);
        let cash = match text(vector, "cash") {
            "pay" => Cash::Pays,
            "receive" => Cash::Receives,
            other => panic!("{name}: {other}"),
        };
        let (mut run, mut total, mut gathered) = (FeeRun::default(), Money::ZERO, Money::ZERO);
        for fill in vector["fills"].as_array().unwrap() {
            let (at, count) = (price(text(fill, "price")), qty(text(fill, "count")));
            let trade_fee = curve.trade_fee(at, count);
            assert_eq!(trade_fee, money(text(fill, "trade_fee")), "{name}: trade fee");
            let charged = curve.fill(&mut run, cash, at, count);
            assert_eq!(charged, money(text(fill, "net_fee")), "{name}: net fee");
            let rebate = money(text(fill, "rebate"));
            assert_eq!(charged - trade_fee + rebate, money(text(fill, "rounding_fee")), "{name}: rounding fee");
            gathered += charged - trade_fee + rebate;
            assert_eq!(gathered, money(text(fill, "accumulator_before_rebate")), "{name}: gathered before the rebate");
            gathered -= rebate;
            // Cash minus the whole charge is what the account shows: the rounded balance plus the cent given back.
            let moved = match cash {
                Cash::Pays => -at.cost(count),
                Cash::Receives => at.proceeds(count),
            };
            assert_eq!(moved - charged, money(text(fill, "cash_change_with_rebate")), "{name}: cash");
            total += charged;
        }
        assert_eq!(total, money(text(vector, "total_net_fee")), "{name}: total");
        if let Some(fees) = vector["observed_fee_cost"].as_array() {
            observed += fees.len();
            let charged: Money = fees.iter().map(|fee| money(fee.as_str().unwrap())).sum();
            assert_eq!(total, charged, "{name}: what the exchange reported");
        }
    }
    assert!(30 <= observed, "the vectors hold {observed} charges of real fills");
}

#[test]
fn what_the_accounts_step_swallows_comes_back_by_the_cent() {
    let file: Value = serde_json::from_slice(KALSHI).unwrap();
    for case in file["rounding_vectors"]["cases"].as_array().unwrap() {
        let (name, at, count) = (text(case, "name"), price(text(case, "price")), qty(text(case, "count")));
        // The examples give the trade fee, whatever curve it is from: this one charges just that.
        let given = money(text(case, "given_trade_fee"));
        let curve = (1..=1_000_000)
            .map(|rate_ppm| FeeCurve { rate_ppm, exponent: 1, step: 100, account_step: 10_000 })
            .find(|curve| curve.trade_fee(at, count) == given)
            .unwrap_or_else(|| panic!("{name}: a curve that charges {given:#}"));
        let mut run = FeeRun::default();
        for fill in case["fills"].as_array().unwrap() {
            let charged = curve.fill(&mut run, Cash::Pays, at, count);
            let [rounding, _, rebate, net, balance] =
                [0, 1, 2, 3, 4].map(|at: usize| money(fill[at].as_str().unwrap()));
            assert_eq!(charged, net, "{name}: net fee");
            assert_eq!(charged - given, rounding - rebate, "{name}: rounding fee and rebate");
            assert_eq!(-at.cost(count) - charged, balance + rebate, "{name}: balance");
        }
    }
}

#[test]
fn the_whole_cent_era_is_the_same_curve_with_another_step() {
    let file: Value = serde_json::from_slice(KALSHI).unwrap();
    let today = kalshi::fee_curve("quadratic", 1_000_000).unwrap();
    for fill in file["historic_whole_cent_era"].as_array().unwrap() {
        let curve = FeeCurve { step: 10_000, account_step: 0, ..today };
        let charged = curve.trade_fee(price(text(fill, "price")), qty(text(fill, "count")));
        assert_eq!(charged, money(text(fill, "observed_total")), "{}", text(fill, "note"));
    }
}

#[test]
fn every_polymarket_fee_is_the_published_one_rounded_up() {
    let file: Value = serde_json::from_slice(POLYMARKET).unwrap();
    let (mut computed, mut live, mut tabled) = (0, 0, 0);
    for vector in file["vectors"].as_array().unwrap() {
        let rate = micros(text(vector, "rate")) as u32;
        let curve = polymarket::fee_curve(rate, vector["exponent"].as_u64().unwrap()).expect("a documented schedule");
        let charged = curve.trade_fee(price(text(vector, "price")), qty(text(vector, "shares")));
        let place = format!("{} at {}", text(vector, "shares"), text(vector, "price"));
        assert_eq!(charged, money(text(vector, "fee_5dp_up")), "{place}: rounded up to five decimals");
        assert_eq!(curve.fill(&mut FeeRun::default(), Cash::Pays, Price::MIN, Qty::ZERO), Money::ZERO, "{place}");
        let source = text(vector, "source");
        if source.starts_with("computed") {
            computed += 1;
            continue;
        }
        let documented = money(text(vector, "documented_fee"));
        if source.starts_with("fee quoted for a live market") {
            live += 1;
            assert!(
                documented <= charged,
                "{place}: {charged:#} is below the {documented:#} that a live market showed"
            );
            assert_eq!(documented, charged, "{place}: and equal to it");
        } else {
            tabled += 1;
            assert_eq!((charged.raw() + 5_000) / 10_000 * 10_000, documented.raw(), "{place}: as printed, to the cent");
        }
    }
    assert_eq!((computed, live, tabled), (40, 2, 21));
}

#[test]
fn a_schedule_we_do_not_know_has_no_curve() {
    for known in ["quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees"] {
        assert_eq!(kalshi::fee_curve(known, 1_000_000).map(|curve| curve.rate_ppm), Some(70_000), "{known}");
    }
    for unknown in ["flat", "cubic", "", "Quadratic", "quadratic "] {
        assert_eq!(kalshi::fee_curve(unknown, 1_000_000), None, "{unknown}");
    }
    for exponent in [0, 3, 256, 257, u64::MAX] {
        assert_eq!(polymarket::fee_curve(40_000, exponent), None, "power {exponent}");
    }
    assert_eq!(polymarket::fee_curve(0, 99), Some(FeeCurve::FREE), "a free market has no power to misread");
}

#[test]
fn a_fraction_of_a_millionth_in_the_rate_is_rounded_against_us() {
    let odd = kalshi::fee_curve("quadratic", 333_333).unwrap();
    assert_eq!(odd.rate_ppm, 23_334, "0.07 × 0.333333 is 0.02333331");
}

#[test]
fn the_square_of_the_spread_is_rounded_up_too() {
    let curve = polymarket::fee_curve(250_000, 2).unwrap();
    let half = price("0.5");
    assert_eq!(curve.trade_fee(half, Qty::whole(100)), money("1.5625"), "100 · 0.25 · 0.25²");
    let edge = price("0.0001");
    assert_eq!(curve.trade_fee(edge, Qty::ONE), money("0.00001"), "any charge at all is at least one step");
    assert_eq!(
        curve.per_contract(edge).raw(),
        249_951,
        "0.25 · 0.00009999² is 249,950.0025 units of 10^-14, rounded up"
    );
}
