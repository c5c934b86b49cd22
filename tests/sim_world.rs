//! The simulated world keeps its promises: grids, uncrossed books, a past that can be asked, and enough to trade on in
//! the first half minute.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use orion::sim::exchange::{LevelChange, What};
use orion::sim::listing::{Phase, Topic};
use orion::sim::world::{CLOSING, Happening, World};
use orion::unit::{BookSide, Money, Price, Qty, UnixMs, Venue};

const START: UnixMs = UnixMs::new(1_795_175_100_000);
const STEP_MS: u64 = 5;
const SPEED: u32 = 20;

fn step(world: &mut World, number: u64) -> Vec<Happening> {
    world.step((STEP_MS * u64::from(SPEED)) as f64, UnixMs::new(START.raw() + number * STEP_MS))
}

fn world() -> World {
    World::new(42, SPEED, START)
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let mut world = World::new(seed, SPEED, START);
        let mut hasher = DefaultHasher::new();
        for number in 1..=2_000 {
            format!("{:?}", step(&mut world, number)).hash(&mut hasher);
        }
        hasher.finish()
    };
    assert_eq!(story(42), story(42));
    assert_ne!(story(42), story(43));
}

#[test]
fn changes_replayed_equal_the_books_and_nothing_rests_off_its_grid() {
    let mut world = world();
    let mut books: HashMap<(Venue, usize, BookSide, Price), Qty> = HashMap::new();
    for venue in Venue::ALL {
        for market in 0..world.exchange(venue).len() {
            for side in [BookSide::Bid, BookSide::Ask] {
                for (price, qty) in world.exchange(venue).market(market).levels(side) {
                    books.insert((venue, market, side, price), qty);
                }
            }
        }
    }
    for number in 1..=4_000 {
        for happening in step(&mut world, number) {
            let Happening::Book { venue, event } = happening else { continue };
            match event.what {
                What::Level(LevelChange { side, price, total, change, .. }) => {
                    assert!(world.exchange(venue).market(event.market).grid().holds(price));
                    let held = books.entry((venue, event.market, side, price)).or_default();
                    *held = held.shifted(change).expect("no level goes negative");
                    assert_eq!(*held, total, "the signed change and the new total agree");
                }
                What::Emptied => books.retain(|key, _| (key.0, key.1) != (venue, event.market)),
                What::Trade(_) | What::Fill(_) | What::Dropped { .. } => {}
            }
        }
    }
    books.retain(|_, qty| !qty.is_zero());
    let mut levels = 0;
    for venue in Venue::ALL {
        for market in 0..world.exchange(venue).len() {
            let book = world.exchange(venue).market(market);
            if let (Some(bid), Some(ask)) = (book.best(BookSide::Bid), book.best(BookSide::Ask)) {
                assert!(bid < ask);
            }
            for side in [BookSide::Bid, BookSide::Ask] {
                for (price, qty) in book.levels(side) {
                    levels += 1;
                    assert_eq!(books.get(&(venue, market, side, price)), Some(&qty));
                }
            }
        }
    }
    assert_eq!(levels, books.len());
}

#[test]
fn a_level_seen_on_the_stream_was_held_at_its_stamp() {
    let mut world = world();
    let mut asked = 0;
    for number in 1..=1_000 {
        for happening in step(&mut world, number) {
            if let Happening::Book { venue, event } = happening
                && let What::Level(change) = event.what
            {
                let book = world.exchange(venue).market(event.market);
                let held = book.held(change.side, change.price, event.at).expect("it was just now");
                assert!(change.total <= held);
                asked += 1;
            }
        }
    }
    assert!(1_000 < asked);
}

/// One direction of one pair: buy YES on one venue and NO on the other.
#[derive(Clone, Copy, Default)]
struct Gap {
    since: Option<u64>,
    worst_net: i64,
    fit: bool,
}

/// Millionths of a dollar per contract, rounded up.
fn fee(ppm: u32, price: Price) -> i64 {
    let p = i128::from(price.raw());
    ((i128::from(ppm) * p * (10_000 - p) + 99_999_999) / 100_000_000) as i64
}

/// Gross and net per contract, in micro-dollars, of the better direction; and whether both touches hold $5,000.
fn best_gap(world: &World, topic: &Topic) -> Option<(i64, i64, bool)> {
    let (kalshi, polymarket) = (topic.kalshi?, topic.polymarket?);
    let (k, p) = (world.exchange(Venue::Kalshi).market(kalshi), world.exchange(Venue::Polymarket).market(polymarket));
    let catalog = world.catalog();
    let event = &catalog.kalshi_events[catalog.kalshi[kalshi].event];
    let multiplier = event.fee_override.map_or(catalog.series[event.series].fee_multiplier, |fee| fee.1);
    let k_rate = multiplier / 100 * 7;
    let p_rate = catalog.polymarket[polymarket].fee.map_or(0, |fee| fee.rate);
    let (p_bid, p_ask) = if topic.inverted {
        (p.best(BookSide::Ask)?.complement(), p.best(BookSide::Bid)?.complement())
    } else {
        (p.best(BookSide::Bid)?, p.best(BookSide::Ask)?)
    };
    let (k_bid, k_ask) = (k.best(BookSide::Bid)?, k.best(BookSide::Ask)?);
    let deep = |book: &orion::sim::exchange::Market, side| {
        let price = book.best(side)?;
        let leg = if side == BookSide::Ask { price } else { price.complement() };
        Some(Money::dollars(5_000) <= leg.cost(book.quantity(side, price)))
    };
    let flip = |side| if topic.inverted { BookSide::opposite(side) } else { side };
    let one = (p_bid, k_ask, fee(k_rate, k_ask) + fee(p_rate, p_bid), BookSide::Ask, flip(BookSide::Bid));
    let two = (k_bid, p_ask, fee(k_rate, k_bid) + fee(p_rate, p_ask), BookSide::Bid, flip(BookSide::Ask));
    [one, two]
        .into_iter()
        .map(|(bid, ask, fees, k_side, p_side)| {
            let gross = (i64::from(bid.raw()) - i64::from(ask.raw())) * 100;
            let fits = deep(k, k_side) == Some(true) && deep(p, p_side) == Some(true);
            (gross, gross - fees, fits)
        })
        .max_by_key(|gap| gap.0)
}

#[test]
fn the_first_half_minute_has_something_to_take_something_to_refuse_and_a_settlement() {
    let mut world = world();
    let topics: Vec<Topic> = world.catalog().topics.clone();
    let mut gaps = vec![Gap::default(); topics.len()];
    let (mut taken, mut refused, mut messages, mut calm, mut seen) = (0, 0, 0_u64, 0_u64, 0_u64);
    for number in 1..=6_000 {
        messages += step(&mut world, number).len() as u64;
        for (at, topic) in topics.iter().enumerate().filter(|(_, topic)| !topic.odd) {
            let Some((gross, net, fits)) = best_gap(&world, topic) else { continue };
            seen += 1;
            calm += u64::from(gross <= 0);
            let gap = &mut gaps[at];
            if 5_000 <= gross {
                let first = gap.since.is_none();
                gap.since.get_or_insert(number);
                gap.worst_net = if first { net } else { gap.worst_net.min(net) };
                gap.fit = if first { fits } else { gap.fit && fits };
                continue;
            }
            if let Some(since) = gap.since.take() {
                let life_ms = (number - since) * STEP_MS;
                taken += u32::from(1_500 <= life_ms && 20_000 <= gap.worst_net && gap.fit);
                refused += u32::from(gap.worst_net < 0);
            }
        }
    }
    assert!(3 <= taken, "{taken} worth taking");
    assert!(2 <= refused, "{refused} refused for fees");
    assert!(seen * 9 / 10 < calm, "normally the books leave no gap: {calm} of {seen}");
    let per_second = messages / 30;
    assert!((300..=1_500).contains(&per_second), "{per_second} messages a second");
    let first = &world.settlements()[0];
    let after = first.at.since(START);
    assert!((15_000..=20_000).contains(&after), "the first settlement came after {after} ms");
    assert_eq!(world.settlements()[1].venue, Venue::Polymarket);
}

#[test]
fn one_pair_in_the_world_settles_differently_and_one_pays_half() {
    let mut world = World::new(42, 400, START);
    for number in 1..=6_500 {
        world.step(2_000.0, UnixMs::new(START.raw() + number * STEP_MS));
    }
    let paid = |venue, name: &str| {
        world.settlements().iter().find(|s| s.venue == venue && s.market == name).map(|s| s.yes_payout)
    };
    let (mut different, mut halves) = (Vec::new(), 0);
    for (at, topic) in world.catalog().topics.iter().take(CLOSING).enumerate() {
        let kalshi = &world.catalog().kalshi[topic.kalshi.unwrap()];
        let polymarket = &world.catalog().polymarket[topic.polymarket.unwrap()];
        assert_eq!(kalshi.state.phase, Phase::Settled);
        let yes = paid(Venue::Kalshi, &kalshi.ticker).unwrap();
        let other = paid(Venue::Polymarket, &polymarket.condition_id).unwrap();
        let other = if topic.inverted { Money::dollars(1) - other } else { other };
        if yes != other {
            different.push(at);
        }
        halves += u32::from(yes == Money::micros(500_000));
    }
    assert_eq!(different, [world.disagreeing()]);
    assert_eq!(halves, 1);
}
