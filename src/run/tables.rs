//! The tables of an engine: every market and pair of the pair book by its number, what they start with, and the
//! connections that carry them.

use std::{collections::HashMap, path::Path};

use super::{
    boot::Endpoints,
    catalogue::{Listed, Listing},
    detect::{LeaveSetup, MarketSetup, PairSetup, PaperSetup, Setup},
    feed::LinkSetup,
    given::{allocation, leaving, limits, rules, shares},
    keep::{MarketName, PairName},
    restore::Restored,
    stops,
};
use crate::{
    book::Links,
    config::Config,
    decide::{Odds, Reason, Tally},
    ledger::audit,
    pairing::{PairBook, Polarity, Tail},
    risk::Budget,
    spread::{FeeCurve, Pair, Terms},
    unit::{FeedId, Grid, MarketId, Money, Nanos, Qty, UnixMs, Venue},
    venue::{
        Feed, Source,
        kalshi::{self, KalshiFeed},
        polymarket::{self, PolymarketFeed},
    },
    wire::Trading,
};

/// Markets whose grid may become finer while one engine runs. Polymarket's ticks do so near 0 and 1; beyond this many
/// the market waits for a restart, and says so.
const REGRIDS_MAX: usize = 512;

/// The markets and pairs of an engine, in the order of their numbers.
pub(super) struct Tables {
    pub(super) markets: Vec<MarketSetup>,
    pub(super) names: Vec<MarketName>,
    pub(super) pairs: Vec<PairSetup>,
    pub(super) pair_names: Vec<PairName>,
    pub(super) listed: Vec<Option<Listed>>,
    pub(super) barred: usize,
}

/// Lays out every market of the pair book once, refused ones barred with their reason.
pub(super) fn tables(book: &PairBook, listed: &Listing) -> Tables {
    let mut tables = Tables {
        markets: Vec::new(),
        names: Vec::new(),
        pairs: Vec::new(),
        pair_names: Vec::new(),
        listed: Vec::new(),
        barred: 0,
    };
    let mut slots: HashMap<(Venue, String), MarketId> = HashMap::new();
    let mut events: HashMap<String, u32> = HashMap::new();
    for pair in book.pairs() {
        let keys = [(Venue::Kalshi, pair.kalshi.clone()), (Venue::Polymarket, pair.polymarket.clone())];
        let mut barred = None;
        let markets = keys.map(|key| {
            let listing = listed.get(&key);
            let rules = match key.0 {
                Venue::Kalshi => &pair.kalshi_rules,
                Venue::Polymarket => &pair.polymarket_rules,
            };
            match listing {
                None => barred = Some(Reason::Refused),
                Some(l) if l.terms.is_none() => barred = barred.or(Some(Reason::Refused)),
                Some(l) if l.rules != *rules => {
                    tracing::warn!("{}: barred; its rule texts have {}, approved were {rules}", key.1, l.rules);
                    barred = barred.or(Some(Reason::RulesChanged));
                }
                Some(_) => {}
            }
            *slots.entry(key.clone()).or_insert_with(|| {
                let terms = listing.and_then(|l| l.terms).unwrap_or(unknown_terms(key.0));
                let trading = listing.map_or(Trading::Unknown, |l| l.trading);
                tables.markets.push(MarketSetup { terms, trading, polled: false });
                tables.listed.push(listing.cloned());
                tables.names.push(MarketName { venue: key.0, name: key.1 });
                MarketId(tables.markets.len() as u32 - 1)
            })
        });
        let next = events.len() as u32;
        let event = *events.entry(pair.event.clone()).or_insert(next);
        tables.barred += usize::from(barred.is_some());
        tables.pairs.push(PairSetup {
            pair: Pair { kalshi: markets[0], polymarket: markets[1], inverted: pair.polarity == Polarity::Inverted },
            event,
            barred,
            odds: Odds::prior(pair.tail == Tail::Material),
            tally: Tally::default(),
        });
        tables.pair_names.push(PairName { key: pair.key(), title: pair.title.clone(), markets });
    }
    tables
}

/// Stands in for what the catalogue refused; its pairs are barred, so nothing is ever priced with it.
fn unknown_terms(venue: Venue) -> Terms {
    Terms {
        venue,
        fee: FeeCurve::FREE,
        grid: Grid::even(100).expect("a cent divides a dollar"),
        qty_step: Qty::ONE,
        qty_min: Qty::ONE,
        cost_min: Money::ZERO,
        shard: 0,
        hold: Nanos::ZERO,
        closes: None,
        game: None,
        settles: UnixMs::default(),
    }
}

pub(super) fn kalshi_links(tables: &Tables, endpoints: &Endpoints) -> Vec<LinkSetup> {
    let of_venue = tables.names.iter().enumerate().filter(|(_, name)| name.venue == Venue::Kalshi);
    let wanted = of_venue.map(|(slot, name)| kalshi::feed::Wanted {
        id: MarketId(slot as u32),
        ticker: name.name.clone(),
        event: tables.listed[slot].as_ref().map_or(String::new(), |l| l.event.clone()),
    });
    let source = Source { feed: FeedId(Venue::Kalshi as u8), link: 0 };
    let protocol: Box<dyn Feed + Send> = Box::new(KalshiFeed::new(source, wanted.collect(), false));
    vec![LinkSetup { protocol, url: endpoints.kalshi_ws.clone() }]
}

/// The connections that carry Polymarket's markets: `assets` tokens on each at most, both tokens of a market on the
/// same.
pub(super) fn polymarket_links(
    tables: &Tables,
    endpoints: &Endpoints,
    assets: usize,
) -> anyhow::Result<Vec<LinkSetup>> {
    let of_venue = tables.names.iter().enumerate().filter(|(_, name)| name.venue == Venue::Polymarket);
    let wanted: Vec<_> = of_venue
        .filter_map(|(slot, _)| {
            // A market that its venue has closed has no book to wait for.
            let listed = tables.listed[slot].as_ref().filter(|l| l.trading != Trading::Closed)?;
            let tokens = listed.tokens.clone();
            Some(polymarket::feed::Wanted { id: MarketId(slot as u32), tokens })
        })
        .collect();
    let links = wanted.chunks((assets / 2).max(1)).enumerate();
    anyhow::ensure!(
        links.len() <= Links::PER_FEED,
        "{} Polymarket markets need {} connections with feed.assets_per_connection = {assets}, and there are {} at most: \
         set it higher, or approve fewer pairs",
        wanted.len(),
        links.len(),
        Links::PER_FEED
    );
    let links = links.map(|(link, wanted)| {
        let source = Source { feed: FeedId(Venue::Polymarket as u8), link: link as u8 };
        let protocol: Box<dyn Feed + Send> = Box::new(PolymarketFeed::new(source, wanted.to_vec()));
        LinkSetup { protocol, url: endpoints.polymarket_ws.clone() }
    });
    Ok(links.collect())
}

pub(super) fn setup(
    config: &Config,
    tables: &Tables,
    known: &audit::State,
    restored: &Restored,
    state: &Path,
    now: UnixMs,
) -> Setup {
    let allocated = allocation(config);
    let events = tables.pairs.iter().map(|p| p.event as usize + 1).max().unwrap_or(1);
    let mut budget = Budget::new(shares(config), config.capital.initial_bankroll, allocated, events);
    for (venue, shard, cash) in opening(config, tables) {
        budget.account_mut(venue, shard).cash = cash;
    }
    for (venue, shard, cash) in &restored.cash {
        budget.account_mut(*venue, *shard).cash = *cash;
    }
    for (market, flow) in tables.markets.iter().zip(&restored.flows) {
        budget.account_mut(market.terms.venue, market.terms.shard).cash += *flow;
    }
    let held = restored.held(tables.markets.len());
    for (market, _, _, cost) in &held {
        let event = tables.pairs.iter().find(|p| p.pair.kalshi == *market || p.pair.polymarket == *market);
        if let Some(pair) = event {
            budget.book(tables.names[market.0 as usize].venue, 0, pair.event as usize, Money::ZERO, *cost);
        }
    }
    for (plan, reserved) in restored.plans.iter().zip(&restored.reserved) {
        let pair = &tables.pairs[plan.aim.pair.0 as usize];
        for (venue, market) in [(Venue::Kalshi, pair.pair.kalshi), (Venue::Polymarket, pair.pair.polymarket)] {
            let shard = tables.markets[market.0 as usize].terms.shard;
            budget.reserve(venue, shard, pair.event as usize, reserved[venue as usize]);
        }
    }
    budget.begin_day(now.raw(), known.realised_today);
    let tallied = |pair: &PairSetup| PairSetup { tally: restored.tally(&pair.pair), ..*pair };
    Setup {
        markets: tables.markets.clone(),
        pairs: tables.pairs.iter().map(tallied).collect(),
        feeds: 2,
        rules: rules(config),
        limits: limits(config),
        budget,
        state: stops::found(state),
        paper: PaperSetup { latency: [config.paper.kalshi_latency, config.paper.polymarket_latency] },
        leg_order: config.trading.leg_order,
        leaving: LeaveSetup {
            begun: stops::flattening(state).map(|began| restored.lost_since(began)),
            open: restored.leaving(),
            ..leaving(config)
        },
        next_id: known.last_opportunity.max(known.last_plan).max(restored.last_id),
        regrids: REGRIDS_MAX.min(tables.markets.len()),
        held,
        open: restored.plans.iter().map(|plan| plan.aim.pair).collect(),
    }
}

/// The first division of the bankroll: Kalshi's part evenly over the shards its pairs trade on, the odd cents to the
/// first of them.
fn opening(config: &Config, tables: &Tables) -> Vec<(Venue, u8, Money)> {
    let [kalshi, polymarket] = allocation(config);
    let mut shards: Vec<u8> =
        tables.markets.iter().filter(|m| m.terms.venue == Venue::Kalshi).map(|m| m.terms.shard).collect();
    shards.sort_unstable();
    shards.dedup();
    if shards.is_empty() {
        shards.push(0);
    }
    let each = Money::micros(kalshi.raw() / shards.len() as i64);
    let mut accounts: Vec<_> = shards.iter().map(|shard| (Venue::Kalshi, *shard, each)).collect();
    accounts[0].2 += kalshi - Money::micros(each.raw() * shards.len() as i64);
    accounts.push((Venue::Polymarket, 0, polymarket));
    accounts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        pairing::fingerprint,
        sim::{
            polymarket::{Session, Stream},
            world::World,
        },
        venue::Out,
        wire::Arrival,
    };

    /// Tables of Polymarket markets with these tokens.
    fn of(tokens: Vec<[String; 2]>) -> Tables {
        let (mut markets, mut names, mut listed) = (Vec::new(), Vec::new(), Vec::new());
        for (at, tokens) in tokens.into_iter().enumerate() {
            let terms = unknown_terms(Venue::Polymarket);
            markets.push(MarketSetup { terms, trading: Trading::Open, polled: false });
            names.push(MarketName { venue: Venue::Polymarket, name: format!("0x{at:064x}") });
            listed.push(Some(Listed {
                terms: Some(terms),
                refused: None,
                rules: fingerprint(&[]),
                trading: Trading::Open,
                event: String::new(),
                tokens,
                hashed: None,
                settled: None,
            }));
        }
        Tables { markets, names, pairs: Vec::new(), pair_names: Vec::new(), listed, barred: 0 }
    }

    fn made_up(markets: usize) -> Tables {
        of((0..markets).map(|at| [format!("{at}11"), format!("{at}22")]).collect())
    }

    /// What each connection subscribes to, as it says it when it opens, and under which number its updates come.
    fn opened(tables: &Tables, assets: usize) -> Vec<(u8, String, Vec<String>)> {
        let links = polymarket_links(tables, &Endpoints::production(), assets).unwrap();
        let opened = links.into_iter().map(|mut link| {
            let (mut out, at) = (Out::default(), Arrival { now: Nanos::secs(1), unix: UnixMs::new(1) });
            link.protocol.opened(at, &mut out);
            link.protocol.alive(at, &mut out);
            assert_eq!(out.sends.len(), 1, "one subscription");
            let said: serde_json::Value = serde_json::from_str(&out.sends[0]).unwrap();
            let assets = said["assets_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
            (out.updates[0].link, out.sends.pop().unwrap(), assets.collect())
        });
        opened.collect()
    }

    /// Fault 10.
    #[test]
    fn no_connection_carries_more_than_its_share_and_every_token_is_on_exactly_one() {
        for (markets, assets) in
            [(450, 200), (450, 199), (450, 20), (64, 2), (1, 200), (100, 200), (101, 200), (0, 200)]
        {
            let tables = made_up(markets);
            let links = opened(&tables, assets);
            let mut seen = BTreeSet::new();
            for (at, (number, _, carried)) in links.iter().enumerate() {
                assert_eq!(usize::from(*number), at, "its updates come under its number");
                assert!(carried.len() <= assets, "{} of {assets}", carried.len());
                assert!(carried.iter().all(|token| seen.insert(token.clone())), "a token twice");
            }
            let all = tables.listed.iter().flatten().flat_map(|listed| listed.tokens.clone()).collect();
            assert_eq!(seen, all, "{markets} markets, {assets} tokens a connection");
        }
        assert_eq!(opened(&made_up(450), 200).len(), 5);
    }

    /// Fault 10: what the exchange sends on each of these connections.
    #[test]
    fn every_book_of_every_connection_comes_with_the_first_answer() {
        let world = World::new(7, 1, UnixMs::new(1_795_175_100_000));
        let stream = Stream::new(&world);
        let tables = of(world.catalog().polymarket.iter().map(|market| market.tokens.clone()).collect());
        for assets in [200, 50] {
            let mut whole = 0;
            for (_, subscription, carried) in opened(&tables, assets) {
                let answer = Session::default().handle_text(&subscription, &stream, &world);
                whole += answer.iter().map(|text| text.matches("\"event_type\":\"book\"").count()).sum::<usize>();
                assert!(carried.iter().all(|token| answer[0].contains(&format!("\"asset_id\":\"{token}\""))));
            }
            assert_eq!(whole, 2 * tables.names.len());
        }
    }

    /// Each connection beyond the last number would speak under another one's.
    #[test]
    fn more_connections_than_there_are_numbers_stop_the_start() {
        assert_eq!(opened(&made_up(64 * 100), 200).len(), Links::PER_FEED);
        for (markets, assets) in [(65, 2), (64 * 100 + 1, 200)] {
            let refused = polymarket_links(&made_up(markets), &Endpoints::production(), assets).err().unwrap();
            assert!(refused.to_string().contains("feed.assets_per_connection"), "{refused}");
        }
    }
}
