//! What the engine needs of both catalogues for the markets of its pair book: terms, state, rule prints, payouts.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    num::NonZeroU32,
};

use anyhow::Context as _;

use super::boot::Endpoints;
use crate::{
    pairing::{PairBook, pairbook::Fingerprint, pairbook::fingerprint},
    spread::Terms,
    unit::{Money, Nanos, Qty, Venue},
    venue::{
        kalshi::{self, catalog as kalshi_catalog},
        listing::Refused,
        polymarket::{self, catalog as polymarket_catalog, shadow::Hashed},
        rest::{Access, PATIENCE},
    },
    wire::Trading,
};

/// Kalshi tickers, or condition ids, named in one request.
const NAMES_PER_REQUEST: usize = 50;
/// A hundredth of a contract: Kalshi's smallest step, and the two decimals in which Polymarket states sizes.
const QTY_STEP: Qty = match Qty::new(10_000) {
    Some(qty) => qty,
    None => Qty::ONE,
};

/// One market as its venue lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// `None` where the market is refused.
    pub terms: Option<Terms>,
    pub refused: Option<Refused>,
    pub rules: Fingerprint,
    pub trading: Trading,
    /// Kalshi's event, by which fee changes are announced.
    pub event: String,
    /// Polymarket's tokens by outcome.
    pub tokens: [String; 2],
    /// What Polymarket's checksum says beside the levels.
    pub hashed: Option<Hashed>,
    /// What a YES contract was paid, once final.
    pub settled: Option<Money>,
}

/// Readers of both catalogues.
pub struct Reader {
    pub kalshi: kalshi_catalog::Catalog,
    pub polymarket: polymarket_catalog::Catalog,
    /// Kalshi's fee schedule by event, read once; a fee change asks for it anew.
    fees: HashMap<String, kalshi_catalog::FeeSchedule>,
    series: HashMap<String, kalshi_catalog::Series>,
}

impl Reader {
    /// Readers of these hosts.
    pub fn new(endpoints: &Endpoints) -> anyhow::Result<Self> {
        let root = endpoints.root.as_ref().map(String::as_bytes);
        let access = |base, per_second: u32| Access {
            base,
            extra_root: root,
            per_second: NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN),
            jitter_seed: super::clock::unix().raw(),
            patience: PATIENCE,
        };
        Ok(Self {
            kalshi: kalshi_catalog::Catalog::new(&access(&endpoints.kalshi_rest, 10))?,
            polymarket: polymarket_catalog::Catalog::new(
                &access(&endpoints.gamma, 20),
                &access(&endpoints.clob, 50),
                &access(&endpoints.data, 20),
            )?,
            fees: HashMap::new(),
            series: HashMap::new(),
        })
    }

    /// Forgets an event's fees, and every series', so that the next reading asks for them.
    pub fn forget_fees(&mut self, event: &str) {
        self.fees.remove(event);
        self.series.clear();
    }

    /// Every market of the pair book that its venue knows.
    pub async fn read(&mut self, pairs: &PairBook) -> anyhow::Result<HashMap<(Venue, String), Listed>> {
        let tickers: BTreeSet<&str> = pairs.pairs().iter().map(|pair| pair.kalshi.as_str()).collect();
        let conditions: BTreeSet<&str> = pairs.pairs().iter().map(|pair| pair.polymarket.as_str()).collect();
        let mut listed = self.kalshi(&tickers.into_iter().collect::<Vec<_>>()).await?;
        listed.extend(self.polymarket(&conditions.into_iter().collect::<Vec<_>>()).await?);
        Ok(listed)
    }

    /// Kalshi's markets by ticker.
    pub async fn kalshi(&mut self, tickers: &[&str]) -> anyhow::Result<HashMap<(Venue, String), Listed>> {
        let mut markets = Vec::new();
        for chunk in tickers.chunks(NAMES_PER_REQUEST) {
            let names = chunk.iter().map(|&ticker| ticker.to_owned()).collect();
            let filter = kalshi_catalog::MarketFilter { tickers: names, ..Default::default() };
            markets.extend(self.kalshi.markets(&filter).await.context("Kalshi's catalogue")?.items);
        }
        let events = markets.iter().map(|m| m.event_ticker.clone()).filter(|event| !self.fees.contains_key(event));
        let events: Vec<String> = events.collect::<BTreeSet<_>>().into_iter().collect();
        self.read_fees(&events).await?;
        let listed = markets.iter().map(|market| {
            let fee = self.fees.get(&market.event_ticker);
            ((Venue::Kalshi, market.ticker.clone()), of_kalshi(market, fee))
        });
        Ok(listed.collect())
    }

    /// The fee schedules of events: their overrides, else their series'.
    async fn read_fees(&mut self, events: &[String]) -> anyhow::Result<()> {
        for chunk in events.chunks(NAMES_PER_REQUEST) {
            let page = self.kalshi.events_named(chunk).await.context("Kalshi's events")?;
            for event in page.items {
                let series = match self.series.entry(event.series_ticker.clone()) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(free) => match self.kalshi.series(&event.series_ticker).await {
                        Ok(series) => free.insert(series),
                        Err(e) => {
                            let event = &event.event_ticker;
                            tracing::warn!("the fees of {event} cannot be read, so its markets are refused: {e}");
                            continue;
                        }
                    },
                };
                self.fees.insert(event.event_ticker.clone(), event.fee(series));
            }
        }
        Ok(())
    }

    /// Polymarket's markets by condition id.
    pub async fn polymarket(&mut self, conditions: &[&str]) -> anyhow::Result<HashMap<(Venue, String), Listed>> {
        let mut listed = HashMap::new();
        for chunk in conditions.chunks(NAMES_PER_REQUEST) {
            let names: Vec<String> = chunk.iter().map(|&id| id.to_owned()).collect();
            let page = self.polymarket.markets(&names).await.context("Polymarket's catalogue")?;
            for market in page.items {
                let params = self.polymarket.clob_market(&market.condition_id).await.ok();
                let mut entry = of_polymarket(&market, params.as_ref());
                if market.closed || !market.resolution_status.is_empty() {
                    entry.settled = self.payout(&market.condition_id).await;
                }
                listed.insert((Venue::Polymarket, market.condition_id.clone()), entry);
            }
        }
        Ok(listed)
    }

    async fn payout(&self, condition: &str) -> Option<Money> {
        let rows = self.polymarket.resolutions(condition).await.ok()?;
        let row = rows.into_iter().find(|row| row.status == "resolved")?;
        row.payouts.first().copied()
    }
}

/// Markets by venue and name.
pub type Listing = HashMap<(Venue, String), Listed>;

/// Reads both catalogues once, on a runtime of its own.
pub fn read(endpoints: &Endpoints, pairs: &PairBook) -> anyhow::Result<Listing> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Reader::new(endpoints)?.read(pairs).await })
}

fn of_kalshi(market: &kalshi_catalog::Market, fee: Option<&kalshi_catalog::FeeSchedule>) -> Listed {
    let refused = market.refused.clone().or_else(|| match fee {
        None => Some(Refused::FeeUnstated),
        Some(fee) => fee.refused(),
    });
    let curve = fee.and_then(|fee| kalshi::fee_curve(&fee.fee_type, fee.multiplier_ppm));
    let settles = market.expected_expiration_time.or(market.latest_expiration_time);
    let terms = match (&refused, curve, market.grid, settles, u8::try_from(market.shard)) {
        (None, Some(fee), Some(grid), Some(settles), Ok(shard)) => Some(Terms {
            venue: Venue::Kalshi,
            fee,
            grid,
            qty_step: QTY_STEP,
            qty_min: market.min_qty,
            cost_min: Money::ZERO,
            shard,
            hold: Nanos::ZERO,
            closes: market.close_time,
            game: None,
            settles,
        }),
        _ => None,
    };
    let trading = match market.status {
        kalshi_catalog::Status::Active => Trading::Open,
        kalshi_catalog::Status::Inactive => Trading::Paused,
        kalshi_catalog::Status::Initialized => Trading::Unknown,
        _ => Trading::Closed,
    };
    let settled = (market.status == kalshi_catalog::Status::Finalized).then_some(market.settlement_value).flatten();
    Listed {
        terms,
        refused,
        rules: kalshi_print(market),
        trading,
        event: market.event_ticker.clone(),
        tokens: [String::new(), String::new()],
        hashed: None,
        settled,
    }
}

/// The print of what binds on Kalshi: both rule texts.
pub fn kalshi_print(market: &kalshi_catalog::Market) -> Fingerprint {
    fingerprint(&[&market.rules_primary, &market.rules_secondary])
}

/// The print of what binds on Polymarket: the description.
pub fn polymarket_print(market: &polymarket_catalog::Market) -> Fingerprint {
    fingerprint(&[&market.description])
}

fn of_polymarket(market: &polymarket_catalog::Market, params: Option<&polymarket_catalog::ClobMarket>) -> Listed {
    // Gamma is cached for minutes; the trading parameters come from the exchange itself.
    let refused = market.refused.clone().or_else(|| params.and_then(|params| params.refused.clone()));
    let curve = params.and_then(|params| match params.fee {
        None => Some(crate::spread::FeeCurve::FREE),
        Some(fee) => polymarket::fee_curve(fee.rate_ppm, u64::from(fee.exponent)),
    });
    let game = params.and_then(|params| params.game_start).or(market.game_start);
    let min = params.and_then(|params| params.min_qty);
    let terms = match (&refused, curve, params, params.and_then(|params| params.grid), min, market.end_time) {
        (None, Some(fee), Some(params), Some(grid), Some(qty_min), Some(settles)) => Some(Terms {
            venue: Venue::Polymarket,
            fee,
            grid,
            qty_step: QTY_STEP,
            qty_min,
            // A marketable buy must be worth a dollar (dossier 3.5).
            cost_min: Money::dollars(1),
            shard: 0,
            hold: hold(params),
            closes: None,
            game,
            settles,
        }),
        _ => None,
    };
    let tokens = [0, 1].map(|at: usize| market.tokens.get(at).cloned().unwrap_or_default());
    let hashed = min.zip(params.and_then(|params| params.grid)).map(|(min, grid)| Hashed {
        condition: market.condition_id.clone(),
        token: tokens[0].clone(),
        min_order_size: min.to_string(),
        tick: grid.unit(),
        neg_risk: market.neg_risk,
        v2: market.version == polymarket_catalog::Version::V2,
    });
    let open =
        market.active && !market.closed && market.trades() && params.is_some_and(|params| params.accepting_orders);
    Listed {
        terms,
        refused,
        rules: polymarket_print(market),
        trading: if open { Trading::Open } else { Trading::Closed },
        event: String::new(),
        tokens,
        hashed,
        settled: None,
    }
}

/// How long the venue holds a taker's order: seconds on sports, a quarter of a second where the flag is set (dossier
/// 3.7; crypto is 50 ms since August 2026, finance presumably still 250: the longer one is against us).
fn hold(params: &polymarket_catalog::ClobMarket) -> Nanos {
    let flagged = if params.taker_hold { Nanos::millis(250) } else { Nanos::ZERO };
    flagged.max(Nanos::secs(u64::from(params.seconds_delay)))
}
