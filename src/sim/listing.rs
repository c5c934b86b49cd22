//! What each venue says about its markets: identities, texts, terms, dates and states, without books.
//!
//! One question becomes a listing on Kalshi, one on Polymarket, or both. The names and ids have the shape of the real
//! ones; token ids of Protocol V2 are taken apart the way the venue puts them together.

use std::fmt::Write as _;

use alloy_primitives::U256;
use fastrand::Rng;

use crate::sim::question::{Question, Subject};
use crate::unit::{Band, Grid, Money, Price, Qty, UnixMs, Venue};

const DAY_MS: u64 = 86_400_000;

/// Noon and a bit, that many days after `start`.
pub fn day(start: UnixMs, days: u64) -> UnixMs {
    UnixMs::new((start.raw() / DAY_MS + days) * DAY_MS + 22 * 3_600_000)
}

/// A date in `strftime` form, UTC.
pub fn date(at: UnixMs, format: &str) -> String {
    jiff::Timestamp::from_millisecond(at.raw() as i64)
        .map_or_else(|_| String::new(), |stamp| stamp.strftime(format).to_string())
}

/// `December 4, 2026`.
pub fn long_date(at: UnixMs) -> String {
    date(at, "%B %-d, %Y")
}

/// RFC 3339 to the second.
pub fn rfc3339(at: UnixMs) -> String {
    date(at, "%Y-%m-%dT%H:%M:%SZ")
}

/// What has to be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Strike {
    AtLeast(String),
    Above(String),
    Named(String),
}

impl Strike {
    /// The number to be reached, for ordering; names have none.
    pub fn level(&self) -> f64 {
        match self {
            Self::AtLeast(level) | Self::Above(level) => level.parse().unwrap_or(0.0),
            Self::Named(_) => 0.0,
        }
    }
}

/// Where a market stands in its life, in words both venues can be told from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    Active,
    Paused,
    /// No more trading; the answer is not official yet.
    Closed,
    /// The answer is official; nobody is paid yet.
    Determined,
    Settled,
}

/// A Kalshi price structure by its label.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Structure {
    pub label: &'static str,
    pub bands: &'static [Band],
}

const CENT: u16 = 100;
const DECI: u16 = 10;
/// Cents everywhere.
pub const LINEAR_CENT: Structure =
    Structure { label: "linear_cent", bands: &[Band { start: 0, end: Price::DOLLAR, step: CENT }] };
/// Tenths of a cent everywhere.
pub const DECI_CENT: Structure =
    Structure { label: "deci_cent", bands: &[Band { start: 0, end: Price::DOLLAR, step: DECI }] };
/// Tenths of a cent at the edges.
pub const TAPERED_DECI_CENT: Structure = Structure {
    label: "tapered_deci_cent",
    bands: &[
        Band { start: 0, end: 1_000, step: DECI },
        Band { start: 1_000, end: 9_000, step: CENT },
        Band { start: 9_000, end: Price::DOLLAR, step: DECI },
    ],
};

impl Structure {
    /// The grid these bands make.
    pub fn grid(self) -> Grid {
        Grid::new(self.bands).expect("the documented bands touch and divide")
    }
}

/// What every listing carries while its market lives.
#[derive(Clone, Debug)]
pub struct State {
    pub phase: Phase,
    /// What one YES contract pays, once that is official.
    pub payout: Option<Money>,
    pub determined_at: Option<UnixMs>,
    pub settled_at: Option<UnixMs>,
    pub last_price: Option<Price>,
    pub last_qty: Qty,
    pub volume: Qty,
    pub updated_at: UnixMs,
}

impl PolymarketMarket {
    /// How many milliseconds an order that would take is held inside the call (`itode`).
    pub fn taker_hold_ms(&self) -> Option<u64> {
        match self.fee?.name {
            "crypto_fees_v2" => Some(50),
            "finance_fees" => Some(250),
            _ => None,
        }
    }
}

impl State {
    fn new(volume: Qty, at: UnixMs) -> Self {
        Self {
            phase: Phase::Active,
            payout: None,
            determined_at: None,
            settled_at: None,
            last_price: None,
            last_qty: Qty::ZERO,
            volume,
            updated_at: at,
        }
    }
}

/// A family of Kalshi events with one fee.
#[derive(Clone, Debug)]
pub struct Series {
    pub ticker: String,
    pub title: String,
    pub category: &'static str,
    pub tag: &'static str,
    pub fee_type: &'static str,
    /// The fee multiplier in parts per million.
    pub fee_multiplier: u32,
    pub source: (&'static str, &'static str),
    pub exchange_index: u8,
}

/// A group of Kalshi markets.
#[derive(Clone, Debug)]
pub struct KalshiEvent {
    pub ticker: String,
    pub series: usize,
    pub title: String,
    pub sub_title: String,
    pub exclusive: bool,
    /// A fee that replaces the series': type and multiplier in parts per million.
    pub fee_override: Option<(&'static str, u32)>,
    pub markets: Vec<usize>,
}

/// A Kalshi market.
#[derive(Clone, Debug)]
pub struct KalshiMarket {
    pub ticker: String,
    pub market_id: String,
    pub event: usize,
    pub title: String,
    pub yes_sub_title: String,
    pub rules_primary: String,
    pub rules_secondary: String,
    pub early_close_condition: String,
    pub strike: Strike,
    pub market_type: &'static str,
    /// The YES leg cannot settle below this; such a market is no plain yes or no.
    pub settlement_floor: Option<Price>,
    pub structure: Structure,
    pub open_time: UnixMs,
    pub close_time: UnixMs,
    pub expected_expiration: UnixMs,
    pub latest_expiration: UnixMs,
    pub settlement_timer_secs: u64,
    pub exchange_index: u8,
    pub state: State,
}

/// A group of Polymarket markets.
#[derive(Clone, Debug)]
pub struct PolymarketEvent {
    pub id: u32,
    pub slug: String,
    pub title: String,
    pub neg_risk: bool,
    pub neg_risk_id: String,
    pub tag: (&'static str, &'static str, &'static str),
    pub end: UnixMs,
    pub markets: Vec<usize>,
}

/// Polymarket's taker fee, as the texts on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FeeSchedule {
    pub name: &'static str,
    /// Parts per million.
    pub rate: u32,
    pub exponent: u8,
    /// Parts per million.
    pub rebate: u32,
}

/// A Polymarket market; prices and books are those of outcome 0.
#[derive(Clone, Debug)]
pub struct PolymarketMarket {
    pub id: u32,
    pub event: usize,
    pub question: String,
    pub slug: String,
    pub description: String,
    pub group_item: String,
    pub condition_id: String,
    pub question_id: String,
    /// YES, then NO.
    pub tokens: [String; 2],
    pub protocol_v2: bool,
    /// Price units.
    pub tick: u16,
    pub fee: Option<FeeSchedule>,
    /// How long an order that would take is held, answered as `delayed`.
    pub seconds_delay: u16,
    pub resolution_source: &'static str,
    pub start: UnixMs,
    pub end: UnixMs,
    /// The text of the last trade in the book's hash: three decimals, empty before the first.
    pub last_trade_text: String,
    pub state: State,
}

/// A question that is asked on both venues, or on one.
#[derive(Clone, Debug)]
pub struct Topic {
    pub title: String,
    pub kalshi: Option<usize>,
    pub polymarket: Option<usize>,
    pub inverted: bool,
    /// Terms on either side that no engine should accept.
    pub odd: bool,
    pub exclusive: bool,
}

/// Everything both venues list.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    pub series: Vec<Series>,
    pub kalshi_events: Vec<KalshiEvent>,
    pub kalshi: Vec<KalshiMarket>,
    pub polymarket_events: Vec<PolymarketEvent>,
    pub polymarket: Vec<PolymarketMarket>,
    /// Pairs first.
    pub topics: Vec<Topic>,
    /// Questions that one venue will ask later.
    late: Vec<Question>,
}

/// How many questions are asked on both venues.
pub const PAIRS: usize = 48;
const ALONE_PER_VENUE: usize = 27;
/// The first topic that is not there from the beginning.
const FIRST_LATE: usize = PAIRS + 2 * ALONE_PER_VENUE;

impl Catalog {
    /// Lists a seeded choice of questions.
    pub fn new(rng: &mut Rng, start: UnixMs) -> Self {
        let mut questions = crate::sim::question::all(rng, start);
        // Only a pair can be inverted, so those come first; then the shuffle goes over all pairs.
        questions.sort_by_key(|question| !question.inverted);
        rng.shuffle(&mut questions[..PAIRS]);
        let mut catalog = Self::default();
        for (at, question) in questions.iter().take(FIRST_LATE).enumerate() {
            let kalshi = (at < PAIRS || at % 2 == 0).then(|| catalog.list_kalshi(rng, question, at, start));
            let polymarket = (at < PAIRS || at % 2 == 1).then(|| catalog.list_polymarket(rng, question, at, start));
            catalog.topics.push(Topic {
                title: question.title.clone(),
                kalshi,
                polymarket,
                inverted: question.inverted,
                odd: false,
                exclusive: question.exclusive,
            });
        }
        catalog.make_odd();
        catalog.late = questions.split_off(FIRST_LATE);
        catalog
    }

    /// Lists the next late question on one venue; its topic is returned.
    pub fn list_late(&mut self, rng: &mut Rng, venue: Venue, now: UnixMs) -> Option<usize> {
        let question = self.late.pop()?;
        let at = self.topics.len();
        let mut topic = Topic {
            title: question.title.clone(),
            kalshi: None,
            polymarket: None,
            inverted: false,
            odd: false,
            exclusive: question.exclusive,
        };
        match venue {
            Venue::Kalshi => topic.kalshi = Some(self.list_kalshi(rng, &question, at, now)),
            Venue::Polymarket => topic.polymarket = Some(self.list_polymarket(rng, &question, at, now)),
        }
        self.topics.push(topic);
        Some(at)
    }

    /// A pair each of: a settlement floor, a scalar, a flat fee, an unknown fee exponent.
    fn make_odd(&mut self) {
        let plain: Vec<usize> = (30..PAIRS).filter(|&at| !self.topics[at].exclusive).collect();
        for (oddity, &at) in plain.iter().rev().take(4).enumerate() {
            self.topics[at].odd = true;
            let (Some(kalshi), Some(polymarket)) = (self.topics[at].kalshi, self.topics[at].polymarket) else {
                continue;
            };
            match oddity {
                0 => self.kalshi[kalshi].settlement_floor = Price::new(100),
                1 => self.kalshi[kalshi].market_type = "scalar",
                2 => self.make_flat(self.kalshi[kalshi].event),
                _ => {
                    self.polymarket[polymarket].fee =
                        Some(FeeSchedule { name: "experimental_fees_v3", rate: 250_000, exponent: 2, rebate: 0 });
                }
            }
        }
    }

    /// A fee belongs to a whole event, so its other markets become odd with it.
    fn make_flat(&mut self, event: usize) {
        self.kalshi_events[event].fee_override = Some(("flat", 1_000_000));
        for topic in &mut self.topics {
            topic.odd |= topic.kalshi.is_some_and(|market| self.kalshi[market].event == event);
        }
    }

    fn list_kalshi(&mut self, rng: &mut Rng, question: &Question, at: usize, start: UnixMs) -> usize {
        let exchange_index = match question.subject {
            Subject::Crypto => 2,
            Subject::Sports => 3,
            Subject::Tech => 1,
            _ => 0,
        };
        let series = self.series.iter().position(|series| series.ticker == question.series).unwrap_or_else(|| {
            let (category, tag, fee_type, fee_multiplier) = match question.subject {
                Subject::Crypto => ("Crypto", "Crypto", "quadratic", 1_000_000),
                Subject::Index => ("Financials", "Indices", "quadratic", 500_000),
                Subject::Weather => ("Climate and Weather", "Daily temperature", "quadratic", 1_000_000),
                Subject::Economics => ("Economics", "Growth", "quadratic_with_maker_fees", 1_000_000),
                Subject::Elections => ("Elections", "Elections", "quadratic", 1_000_000),
                Subject::Sports if question.series.contains("SUMMIT") => {
                    ("Sports", "Baseball", "quadratic_with_maker_fees", 500_000)
                }
                Subject::Sports => ("Sports", "Games", "quadratic_with_maker_fees", 1_000_000),
                Subject::Tech => ("Science and Technology", "Companies", "quadratic", 1_000_000),
                Subject::World => ("World", "Diplomacy", "quadratic", 1_000_000),
            };
            self.series.push(Series {
                ticker: question.series.clone(),
                title: question.series_title.clone(),
                category,
                tag,
                fee_type,
                fee_multiplier,
                source: question.source,
                exchange_index,
            });
            self.series.len() - 1
        });
        let event = self.kalshi_events.iter().position(|event| event.ticker == question.event).unwrap_or_else(|| {
            self.kalshi_events.push(KalshiEvent {
                ticker: question.event.clone(),
                series,
                title: question.event_title.clone(),
                sub_title: question.event_sub_title.clone(),
                exclusive: question.exclusive,
                fee_override: None,
                markets: Vec::new(),
            });
            self.kalshi_events.len() - 1
        });
        let structure = [LINEAR_CENT, TAPERED_DECI_CENT, LINEAR_CENT, DECI_CENT, LINEAR_CENT][at % 5];
        self.kalshi_events[event].markets.push(self.kalshi.len());
        self.kalshi.push(KalshiMarket {
            ticker: question.ticker.clone(),
            market_id: uuid(rng),
            event,
            title: question.title.clone(),
            yes_sub_title: question.yes_sub_title.clone(),
            rules_primary: question.rules_primary.clone(),
            rules_secondary: question.rules_secondary.clone(),
            early_close_condition: question.early_close_condition.clone(),
            strike: question.strike.clone(),
            market_type: "binary",
            settlement_floor: None,
            structure,
            open_time: if at < FIRST_LATE { UnixMs::new(start.raw() - 12 * DAY_MS) } else { start },
            close_time: UnixMs::new(question.due.raw() + 2 * DAY_MS),
            expected_expiration: question.due,
            latest_expiration: UnixMs::new(question.due.raw() + 7 * DAY_MS),
            settlement_timer_secs: 60,
            exchange_index,
            state: State::new(Qty::whole(rng.u32(2_000..900_000)), start),
        });
        self.kalshi.len() - 1
    }

    fn list_polymarket(&mut self, rng: &mut Rng, question: &Question, at: usize, start: UnixMs) -> usize {
        let neg_risk = question.exclusive;
        let event = self.polymarket_events.iter().position(|event| event.slug == question.group_slug);
        let event = event.unwrap_or_else(|| {
            self.polymarket_events.push(PolymarketEvent {
                id: 210_000 + self.polymarket_events.len() as u32 * 17,
                slug: question.group_slug.clone(),
                title: question.group_title.clone(),
                neg_risk,
                neg_risk_id: if neg_risk { format!("0x{}00", hex(rng, 31)) } else { String::new() },
                tag: match question.subject {
                    Subject::Crypto => ("21", "Crypto", "crypto"),
                    Subject::Index => ("120", "Finance", "finance"),
                    Subject::Weather => ("84", "Weather", "weather"),
                    Subject::Economics => ("100328", "Economy", "economy"),
                    Subject::Elections => ("2", "Politics", "politics"),
                    Subject::Sports => ("1", "Sports", "sports"),
                    Subject::Tech => ("1401", "Tech", "tech"),
                    Subject::World => ("100265", "Geopolitics", "geopolitics"),
                },
                end: question.due,
                markets: Vec::new(),
            });
            self.polymarket_events.len() - 1
        });
        let fee = |name, rate, rebate| Some(FeeSchedule { name, rate, exponent: 1, rebate });
        let protocol_v2 = at % 6 == 4;
        let (condition_id, tokens) = if protocol_v2 { ids_v2(rng, neg_risk) } else { ids_v1(rng) };
        self.polymarket_events[event].markets.push(self.polymarket.len());
        self.polymarket.push(PolymarketMarket {
            id: 5_400_000 + self.polymarket.len() as u32 * 31,
            event,
            question: question.question.clone(),
            slug: question.slug.clone(),
            description: question.description.clone(),
            group_item: question.group_item.clone(),
            condition_id,
            question_id: format!("0x{}", hex(rng, 32)),
            tokens,
            protocol_v2,
            tick: [100, 10, 100, 25, 100, 10, 100, 50][at % 8],
            fee: match question.subject {
                Subject::Crypto => fee("crypto_fees_v2", 70_000, 200_000),
                Subject::Index => fee("finance_fees", 40_000, 250_000),
                Subject::Weather => fee("weather_fees", 50_000, 250_000),
                Subject::Economics => fee("economics_fees", 50_000, 250_000),
                Subject::Elections => fee("politics_fees", 40_000, 250_000),
                Subject::Sports if at.is_multiple_of(3) => fee("sports_fees_nfl_cfb_oct26", 30_000, 150_000),
                Subject::Sports => fee("sports_fees_v2", 50_000, 150_000),
                Subject::Tech => fee("tech_fees", 40_000, 250_000),
                Subject::World => None,
            },
            seconds_delay: 0,
            resolution_source: if question.subject == Subject::Crypto { question.source.1 } else { "" },
            start: if at < FIRST_LATE { UnixMs::new(start.raw() - 11 * DAY_MS) } else { start },
            end: question.due,
            last_trade_text: String::new(),
            state: State::new(Qty::whole(rng.u32(5_000..2_000_000)), start),
        });
        self.polymarket.len() - 1
    }
}

/// That many random bytes in lower-case hex.
pub fn hex(rng: &mut Rng, bytes: usize) -> String {
    let mut text = String::with_capacity(2 * bytes);
    for _ in 0..bytes {
        let _ = write!(text, "{:02x}", rng.u8(..));
    }
    text
}

/// A random id in the form of a UUID of version 4.
pub fn uuid(rng: &mut Rng) -> String {
    let text = hex(rng, 16);
    format!("{}-{}-4{}-a{}-{}", &text[..8], &text[8..12], &text[13..16], &text[17..20], &text[20..])
}

fn ids_v1(rng: &mut Rng) -> (String, [String; 2]) {
    // A top byte from 0x17 to 0xdc makes 77 decimal digits, and none that a structured id could have.
    let mut token = || {
        let mut bytes = [0_u8; 32];
        bytes.fill_with(|| rng.u8(..));
        bytes[0] = rng.u8(0x17..=0xdc);
        U256::from_be_bytes(bytes).to_string()
    };
    let tokens = [token(), token()];
    (format!("0x{}", hex(rng, 32)), tokens)
}

fn ids_v2(rng: &mut Rng, neg_risk: bool) -> (String, [String; 2]) {
    let mut bytes = [0_u8; 32];
    bytes[0] = if neg_risk { 2 } else { 1 };
    bytes[1..17].fill_with(|| rng.u8(..));
    if neg_risk {
        bytes[18] = 3;
        bytes[30] = rng.u8(0..3);
    }
    let yes = U256::from_be_bytes(bytes);
    let no = yes + U256::from(1);
    let mut condition = String::from("0x");
    for byte in bytes {
        let _ = write!(condition, "{byte:02x}");
    }
    (condition, [yes.to_string(), no.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_holds_what_the_world_promises() {
        let catalog = Catalog::new(&mut Rng::with_seed(42), UnixMs::new(1_795_175_100_000));
        assert_eq!(catalog.topics.iter().filter(|t| t.kalshi.is_some() && t.polymarket.is_some()).count(), PAIRS);
        assert_eq!(catalog.kalshi.len(), PAIRS + ALONE_PER_VENUE);
        assert_eq!(catalog.polymarket.len(), PAIRS + ALONE_PER_VENUE);
        assert!((5..=8).contains(&catalog.topics.iter().filter(|topic| topic.inverted).count()));
        assert_eq!(catalog.topics.iter().filter(|topic| topic.odd).count(), 4);
        let mut tickers: Vec<&str> = catalog.kalshi.iter().map(|market| market.ticker.as_str()).collect();
        tickers.sort_unstable();
        tickers.dedup();
        assert_eq!(tickers.len(), catalog.kalshi.len(), "tickers are unique");
        let mut slugs: Vec<&str> = catalog.polymarket.iter().map(|market| market.slug.as_str()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), catalog.polymarket.len(), "slugs are unique");
        for market in &catalog.polymarket {
            assert_eq!(market.condition_id.len(), 66);
            let digits = if market.protocol_v2 { 75..=76 } else { 77..=77 };
            assert!(market.tokens.iter().all(|token| digits.contains(&token.len())), "{:?}", market.tokens);
        }
    }
}
