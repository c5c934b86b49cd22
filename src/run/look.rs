//! The slow eyes: REST looks at quiet books, the catalogue read anew, settlements, and Kalshi's books where no key
//! opens its stream.

use std::{collections::HashMap, sync::Arc, sync::atomic::Ordering, thread::JoinHandle, time::Duration};

use crossbeam::channel::{Receiver, Sender};

use super::{
    boot::Endpoints,
    catalogue::{Listed, Reader},
    clock,
    event::Control,
    feed::FeedGauge,
    keep::MarketName,
    ring::{FeedRings, Sent, Stop},
};
use crate::{
    decide::Reason,
    pairing::PairBook,
    unit::{BookSide, FeedId, MarketId, Nanos, PairId, Price, Qty, UnixMs, Venue},
    venue::{Source, kalshi::catalog::Book},
    wire::Kind,
};

/// Books named in one request.
const BOOKS_PER_REQUEST: usize = 100;
/// The catalogue is read anew this often: state, payouts, rule texts.
const REFRESH: Duration = Duration::from_secs(30);
/// How often the thread looks whether it should end.
const PAUSE: Duration = Duration::from_millis(100);

/// Everything the slow eyes are made from.
pub struct LookSetup {
    pub endpoints: Endpoints,
    pub markets: Vec<MarketName>,
    pub pairs: PairBook,
    /// Polymarket's first tokens, by market.
    pub tokens: Vec<String>,
    pub quiet: Nanos,
    /// Kalshi by polling: how often, its ring, its counters.
    pub poll: Option<(Nanos, FeedRings, Arc<FeedGauge>)>,
    pub controls: Sender<Control>,
    pub reread: Receiver<MarketId>,
    pub stop: Stop,
    pub notes: Sender<String>,
}

/// Starts the thread.
pub fn start(setup: LookSetup) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("look".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(async {
                let stop = setup.stop.clone();
                // A request may take long; the end does not wait for it.
                tokio::select! {
                    () = run(setup) => {}
                    () = stopped(&stop) => {}
                }
            }),
            Err(e) => tracing::error!("no runtime for REST looks: {e}"),
        }
    })
}

async fn stopped(stop: &Stop) {
    while !stop.raised() {
        tokio::time::sleep(PAUSE).await;
    }
}

async fn run(mut setup: LookSetup) {
    let mut reader = match Reader::new(&setup.endpoints) {
        Ok(reader) => reader,
        Err(e) => return tracing::error!("no REST client: {e}"),
    };
    let mut known: HashMap<(Venue, String), Listed> = HashMap::new();
    let quiet = Duration::from_nanos(setup.quiet.raw());
    let mut looks = tokio::time::interval(quiet);
    let mut refresh = tokio::time::interval(REFRESH.min(quiet));
    let every = setup.poll.as_ref().map_or(Duration::from_hours(1), |(every, _, _)| Duration::from_nanos(every.raw()));
    let mut polls = tokio::time::interval(every);
    for interval in [&mut looks, &mut refresh, &mut polls] {
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    looks.tick().await;
    refresh.tick().await;
    loop {
        tokio::select! {
            _ = looks.tick() => look(&setup, &reader).await,
            _ = refresh.tick() => renew(&setup, &mut reader, &mut known).await,
            _ = polls.tick(), if setup.poll.is_some() => poll(&mut setup, &reader).await,
            () = tokio::time::sleep(PAUSE) => {
                let asked: Vec<MarketId> = setup.reread.try_iter().collect();
                if !asked.is_empty() {
                    reread(&setup, &mut reader, asked).await;
                }
            }
        }
    }
}

fn slots(setup: &LookSetup, venue: Venue) -> impl Iterator<Item = (MarketId, &MarketName)> {
    let markets = setup.markets.iter().enumerate().map(|(slot, name)| (MarketId(slot as u32), name));
    markets.filter(move |(_, name)| name.venue == venue)
}

/// Shows the detector both venues' touches; it compares those of books that did not move meanwhile.
async fn look(setup: &LookSetup, reader: &Reader) {
    if setup.poll.is_none() {
        let kalshi: Vec<_> = slots(setup, Venue::Kalshi).collect();
        for chunk in kalshi.chunks(BOOKS_PER_REQUEST) {
            let began = clock::now();
            let names: Vec<String> = chunk.iter().map(|(_, name)| name.name.clone()).collect();
            let Ok(books) = reader.kalshi.orderbooks(&names).await else { continue };
            for (ticker, book) in books {
                let Some((market, _)) = chunk.iter().find(|(_, name)| name.name == ticker) else { continue };
                let ask = book.no.last().map(|(price, qty)| (price.complement(), *qty));
                tell(setup, Control::Look { market: *market, began, bid: book.yes.last().copied(), ask });
            }
        }
    }
    for (market, _) in slots(setup, Venue::Polymarket) {
        let token = &setup.tokens[market.0 as usize];
        if token.is_empty() {
            continue;
        }
        let began = clock::now();
        if let Ok(book) = reader.polymarket.book(token).await {
            let (bid, ask) = (book.bids.last().copied(), book.asks.last().copied());
            tell(setup, Control::Look { market, began, bid, ask });
        }
    }
}

/// Reads the catalogue anew and tells what changed.
async fn renew(setup: &LookSetup, reader: &mut Reader, known: &mut HashMap<(Venue, String), Listed>) {
    let listed = match reader.read(&setup.pairs).await {
        Ok(listed) => listed,
        Err(e) => {
            let _ = setup.notes.try_send(format!("the catalogue could not be read anew: {e:#}"));
            return;
        }
    };
    for (slot, name) in setup.markets.iter().enumerate() {
        let key = (name.venue, name.name.clone());
        let market = MarketId(slot as u32);
        let Some(now) = listed.get(&key) else { continue };
        let before = known.get(&key);
        if before.is_some_and(|before| before.trading != now.trading) {
            tell(setup, Control::Trading { market, trading: now.trading });
        }
        if let (Some(terms), Some(before)) = (now.terms, before)
            && before.terms != Some(terms)
        {
            tell(setup, Control::Terms { market, terms });
        }
        if let Some(yes_payout) = now.settled {
            tell(setup, Control::Settled { market, yes_payout });
        }
    }
    bar(setup, &listed);
    *known = listed;
}

/// A rule text that no longer fits its print, or a market that is refused now, bars its pair.
fn bar(setup: &LookSetup, listed: &HashMap<(Venue, String), Listed>) {
    for (at, pair) in setup.pairs.pairs().iter().enumerate() {
        let kalshi = listed.get(&(Venue::Kalshi, pair.kalshi.clone()));
        let polymarket = listed.get(&(Venue::Polymarket, pair.polymarket.clone()));
        let (Some(kalshi), Some(polymarket)) = (kalshi, polymarket) else { continue };
        let reason = if kalshi.terms.is_none() || polymarket.terms.is_none() {
            Some(Reason::Refused)
        } else if kalshi.rules != pair.kalshi_rules || polymarket.rules != pair.polymarket_rules {
            Some(Reason::RulesChanged)
        } else {
            continue;
        };
        tell(setup, Control::Bar { pair: PairId(at as u32), reason });
    }
}

/// Something unknown touched these markets: their terms and rules are read now.
async fn reread(setup: &LookSetup, reader: &mut Reader, mut asked: Vec<MarketId>) {
    asked.sort_unstable_by_key(|market| market.0);
    asked.dedup();
    for market in asked {
        let name = &setup.markets[market.0 as usize];
        let read = match name.venue {
            Venue::Kalshi => {
                if let Ok(listing) = reader.kalshi.market(&name.name).await {
                    reader.forget_fees(&listing.event_ticker);
                }
                reader.kalshi(&[&name.name]).await
            }
            Venue::Polymarket => reader.polymarket(&[&name.name]).await,
        };
        // What cannot be read stays suspended.
        let Ok(mut listed) = read else { continue };
        let Some(listing) = listed.remove(&(name.venue, name.name.clone())) else { continue };
        if let Some(terms) = listing.terms {
            tell(setup, Control::Terms { market, terms });
        }
        if let Some(yes_payout) = listing.settled {
            tell(setup, Control::Settled { market, yes_payout });
        }
        let rules = setup.pairs.pairs().iter().enumerate().filter_map(|(at, pair)| {
            let print = match name.venue {
                Venue::Kalshi if pair.kalshi == name.name => pair.kalshi_rules,
                Venue::Polymarket if pair.polymarket == name.name => pair.polymarket_rules,
                _ => return None,
            };
            (print != listing.rules).then_some(PairId(at as u32))
        });
        for pair in rules {
            tell(setup, Control::Bar { pair, reason: Some(Reason::RulesChanged) });
        }
    }
}

/// Kalshi's books over public REST, as whole snapshots.
async fn poll(setup: &mut LookSetup, reader: &Reader) {
    let markets: Vec<(MarketId, String)> =
        slots(setup, Venue::Kalshi).map(|(market, name)| (market, name.name.clone())).collect();
    let Some((_, rings, gauge)) = &mut setup.poll else { return };
    let source = Source { feed: FeedId(Venue::Kalshi as u8), link: 0 };
    for chunk in markets.chunks(BOOKS_PER_REQUEST) {
        let names: Vec<String> = chunk.iter().map(|(_, ticker)| ticker.clone()).collect();
        let Ok(books) = reader.kalshi.orderbooks(&names).await else {
            // Missed polls show as silence, and silence makes every book unfit.
            gauge.malformed.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        gauge.up.store(1, Ordering::Relaxed);
        gauge.messages.fetch_add(1, Ordering::Relaxed);
        gauge.heard_ms.store(clock::unix().raw(), Ordering::Relaxed);
        let at = clock::arrival();
        for (ticker, book) in books {
            let Some((market, _)) = chunk.iter().find(|(_, name)| *name == ticker) else { continue };
            let mut push = |kind| {
                let update = source.update(*market, at, UnixMs::default(), kind);
                // A ring that is full loses the end of this snapshot; the next poll brings another.
                let _ = rings.updates.push(Sent { update, sent: at.now });
            };
            push(Kind::Reset);
            for (side, price, qty) in levels(&book) {
                push(Kind::Level { side, price, qty });
            }
            push(Kind::Synced);
        }
        let alive = source.update(MarketId(0), at, UnixMs::default(), Kind::Alive);
        let _ = rings.updates.push(Sent { update: alive, sent: at.now });
        rings.waker.wake();
    }
    // Nothing to ask for over a socket that does not exist.
    while rings.resnapshots.pop().is_ok() {}
}

fn levels(book: &Book) -> impl Iterator<Item = (BookSide, Price, Qty)> {
    let bids = book.yes.iter().map(|(price, qty)| (BookSide::Bid, *price, *qty));
    bids.chain(book.no.iter().map(|(price, qty)| (BookSide::Ask, price.complement(), *qty)))
}

fn tell(setup: &LookSetup, control: Control) {
    // The carrier empties this channel many times a second; if it ended, so does everything.
    let _ = setup.controls.send(control);
}
