//! The usual way.

use std::{
    collections::{BTreeMap, HashMap},
    hint::black_box,
    str::FromStr as _,
};

use rust_decimal::Decimal;
use serde_json::Value;

use crate::stream::{Block, Stream};

/// The venues' fee coefficients of the bench.
const KALSHI_RATE: &str = "0.07";
const POLYMARKET_RATE: &str = "0.04";

#[derive(Default)]
struct DecimalBook {
    bids: BTreeMap<Decimal, Decimal>,
    asks: BTreeMap<Decimal, Decimal>,
}

/// Net edge at the touch by direction, where crossed.
pub type Edges = [Option<Decimal>; 2];

pub struct Rival {
    books: HashMap<String, DecimalBook>,
    /// Ticker or token to pair.
    pairs: HashMap<String, usize>,
    names: Vec<[String; 2]>,
    rates: [Decimal; 2],
    threshold: Decimal,
}

impl Rival {
    pub fn new(stream: &dyn Stream) -> Self {
        let names = stream.names();
        let pairs = names.iter().enumerate().flat_map(|(at, n)| n.iter().map(move |n| (n.clone(), at))).collect();
        let rates = [KALSHI_RATE, POLYMARKET_RATE].map(|rate| decimal(&Value::from(rate)).expect("a number"));
        Self { books: HashMap::new(), pairs, names, rates, threshold: Decimal::new(1, 2) }
    }

    pub fn set(&mut self, block: &Block) {
        for (market, sides) in &block.books {
            let name = &self.names[*market as usize / 2][*market as usize % 2];
            let side = |at: usize| {
                let levels = sides[at].iter();
                levels.map(|(price, size)| (Decimal::new(i64::from(*price), 4), Decimal::from(*size))).collect()
            };
            self.books.insert(name.clone(), DecimalBook { bids: side(0), asks: side(1) });
        }
    }

    pub fn message(&mut self, bytes: &[u8]) -> Option<(usize, Edges)> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let mut moved = None;
        match &value {
            Value::Array(books) => books.iter().for_each(|book| self.book(book)),
            _ => match (value["event_type"].as_str(), value["type"].as_str()) {
                (Some("price_change"), _) => {
                    for change in value["price_changes"].as_array()? {
                        let asset = change["asset_id"].as_str()?;
                        let book = self.books.entry(asset.to_string()).or_default();
                        let side = if change["side"] == "BUY" { &mut book.bids } else { &mut book.asks };
                        let (price, size) = (decimal(&change["price"])?, decimal(&change["size"])?);
                        if size.is_zero() {
                            side.remove(&price);
                        } else {
                            side.insert(price, size);
                        }
                        moved = moved.or(self.pairs.get(asset).copied());
                    }
                }
                (_, Some("orderbook_delta")) => {
                    let msg = &value["msg"];
                    let ticker = msg["market_ticker"].as_str()?;
                    let book = self.books.entry(ticker.to_string()).or_default();
                    let (price, change) = (decimal(&msg["price_dollars"])?, decimal(&msg["delta_fp"])?);
                    let (side, price) = if msg["side"] == "yes" {
                        (&mut book.bids, price)
                    } else {
                        (&mut book.asks, Decimal::ONE - price)
                    };
                    let level = side.entry(price).or_default();
                    *level += change;
                    if level.is_zero() {
                        side.remove(&price);
                    }
                    moved = self.pairs.get(ticker).copied();
                }
                (_, Some("orderbook_snapshot")) => {
                    let msg = &value["msg"];
                    let levels = |name: &str, no: bool| {
                        let levels = msg[name].as_array().into_iter().flatten();
                        let level = |l: &Value| Some((decimal(&l[0])?, decimal(&l[1])?));
                        let levels = levels.filter_map(level);
                        levels.map(|(p, q)| (if no { Decimal::ONE - p } else { p }, q)).collect()
                    };
                    let ticker = msg["market_ticker"].as_str()?;
                    let book =
                        DecimalBook { bids: levels("yes_dollars_fp", false), asks: levels("no_dollars_fp", true) };
                    self.books.insert(ticker.to_string(), book);
                    moved = self.pairs.get(ticker).copied();
                }
                _ => {}
            },
        }
        let pair = moved?;
        Some((pair, self.check(pair)))
    }

    fn book(&mut self, book: &Value) {
        let levels = |name: &str| {
            let levels = book[name].as_array().into_iter().flatten();
            levels.filter_map(|l| Some((decimal(&l["price"])?, decimal(&l["size"])?))).collect()
        };
        let Some(asset) = book["asset_id"].as_str() else { return };
        self.books.insert(asset.to_string(), DecimalBook { bids: levels("bids"), asks: levels("asks") });
    }

    fn check(&self, pair: usize) -> Edges {
        let names = &self.names[pair];
        let (Some(kalshi), Some(polymarket)) = (self.books.get(&names[0]), self.books.get(&names[1])) else {
            return [None; 2];
        };
        let buy = |yes: &DecimalBook, no: &DecimalBook, rates: [Decimal; 2]| {
            let yes = *yes.asks.keys().next()?;
            let no = Decimal::ONE - *no.bids.keys().next_back()?;
            let gross = Decimal::ONE - yes - no;
            if gross <= Decimal::ZERO {
                return None;
            }
            let net = gross - rates[0] * yes * (Decimal::ONE - yes) - rates[1] * no * (Decimal::ONE - no);
            black_box(self.threshold <= net);
            Some(net)
        };
        let [k, p] = self.rates;
        [buy(kalshi, polymarket, [k, p]), buy(polymarket, kalshi, [p, k])]
    }
}

fn decimal(value: &Value) -> Option<Decimal> {
    Decimal::from_str(value.as_str()?).ok()
}
