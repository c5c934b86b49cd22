//! Tickets on their way through detector and executor: where they are wished for, what an entry makes of one, and what
//! a restart makes of those that were never seen to be sent.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use std::collections::{BTreeMap, VecDeque};

use common::desk::{self, BUDGET, KALSHI, POLITICS, POLYMARKET, price, whole};
use orion::{
    decide::Reason,
    ledger::journal::{self, Journal, Record, Scratch},
    order::{Ask, Ids, Purpose, plan::Ending},
    risk::Latch,
    run::{
        detect::{Detector, Outbox},
        event::{Control, Ready, Wish},
        execute::{Acts, Door, Executor, Facts},
        restore::{Known, restore},
        tickets::{Counts, LIFE},
    },
    spread::{Direction, Rate},
    unit::{Grid, MarketId, Money, Nanos, OrderId, Outcome, PairId, Qty, Tag, UnixMs, Venue},
    venue::gateway::{Minted, Prepared, Unready},
    wire::{Arrival, Kind},
};

/// A detector over one pair, and what it wishes for.
struct Watch {
    detector: Detector,
    out: Outbox,
    now: Nanos,
    wish: [Option<Wish>; 2],
    told: usize,
}

impl Watch {
    fn new(change: impl FnOnce(&mut orion::run::detect::Setup)) -> Self {
        let mut setup = desk::setup(POLITICS);
        // Nothing is entered: wishes alone are looked at.
        setup.limits.auto_execute = false;
        change(&mut setup);
        let mut detector = Detector::new(setup);
        detector.keep_tickets(Rate::of_price_units(200));
        Self { detector, out: Outbox::with_room(2), now: Nanos::secs(1_000), wish: [None; 2], told: 0 }
    }

    /// YES on Kalshi at this, NO on Polymarket at 0.55.
    fn books(&mut self, kalshi: u16) -> &mut Self {
        for update in whole(KALSHI, self.now, &[(kalshi - 300, 500)], &[(kalshi, 330), (kalshi + 100, 500)])
            .iter()
            .chain(&whole(POLYMARKET, self.now, &[(4_500, 400), (4_400, 900)], &[(4_800, 500)]))
        {
            self.detector.apply(update, &mut self.out);
        }
        self.sweep()
    }

    fn sweep(&mut self) -> &mut Self {
        self.now = self.now + Nanos::millis(100);
        self.detector.turn(desk::at(self.now), &mut self.out);
        for ready in self.out.ready.drain(..) {
            match ready {
                Ready::Wish { pair, direction, wish } => {
                    assert_eq!(pair, PairId(0));
                    self.wish[direction.index()] = wish;
                    self.told += 1;
                }
                // As the executor does.
                Ready::Halted { .. } => self.wish = [None; 2],
                _ => {}
            }
        }
        self
    }
}

const NEAR: [u32; 2] = [200, 100];

fn wish(sizes: [u32; 2]) -> Wish {
    let sizes = sizes.map(Qty::whole);
    Wish { market: POLYMARKET, outcome: Outcome::No, touch: price(5_500), tick: 50, sizes }
}

#[test]
fn tickets_are_wished_for_where_an_edge_is_near_the_threshold() {
    let mut watch = Watch::new(|_| {});
    assert_eq!(watch.books(4_400).wish, [None; 2], "a cent gross, and two cents of fees: far");
    assert_eq!(watch.books(4_200).wish, [Some(wish(NEAR)), None], "three cents gross");
    assert_eq!(watch.told, 1);
    assert_eq!(watch.books(4_200).sweep().told, 1, "the wish is the same: said once");
    assert_eq!(watch.books(3_500).wish, [Some(wish([500, 200])), None], "beyond it: the next levels are near too");
    assert_eq!(watch.books(4_500).wish, [None; 2]);
    assert_eq!(watch.told, 3);
}

#[test]
fn sizes_are_what_money_and_books_allow_and_none_are_below_a_minimum() {
    let poor = |dollars: i64| {
        move |setup: &mut orion::run::detect::Setup| {
            setup.budget.account_mut(Venue::Kalshi, 0).cash = Money::dollars(dollars);
        }
    };
    for (dollars, sizes) in [(50, Some([100, 50])), (30, Some([50, 20])), (3, Some([5, 0])), (2, None)] {
        let mut watch = Watch::new(poor(dollars));
        assert_eq!(watch.books(4_200).wish[0], sizes.map(wish), "{dollars} dollars");
    }
    // Nor is one larger than a plan may be: no decision would ever fit it.
    let mut watch = Watch::new(|setup| setup.rules.naked_qty_max = Qty::whole(60));
    assert_eq!(watch.books(4_200).wish[0], Some(wish([50, 20])));
}

#[test]
fn what_may_not_be_traded_has_no_tickets() {
    type Change = fn(&mut Watch);
    let changes: [Change; 5] = [
        |watch| watch.detector.control(&Control::Halt { latch: Latch::Person }, desk::at(watch.now), &mut watch.out),
        |watch| watch.detector.control(&Control::Pause, desk::at(watch.now), &mut watch.out),
        |watch| {
            let bar = Control::Bar { pair: PairId(0), reason: Some(Reason::RulesChanged) };
            watch.detector.control(&bar, desk::at(watch.now), &mut watch.out);
        },
        |watch| {
            let trading = orion::wire::Trading::Paused;
            watch.detector.control(&Control::Trading { market: KALSHI, trading }, desk::at(watch.now), &mut watch.out);
        },
        |watch| watch.detector.drain(),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut watch = Watch::new(|_| {});
        assert!(watch.books(4_200).wish[0].is_some());
        change(&mut watch);
        assert_eq!(watch.sweep().wish, [None; 2], "change {at}");
    }
    let closes = UnixMs::new(desk::at(Nanos::secs(1_000)).unix.raw() + 601_000);
    let mut watch = Watch::new(|setup| setup.markets[1].terms.closes = Some(closes));
    assert!(watch.books(4_200).wish[0].is_some());
    watch.now = watch.now + Nanos::secs(2);
    assert_eq!(watch.books(4_200).wish, [None; 2], "it closes soon");
}

#[test]
fn another_tick_and_other_terms_void_a_markets_tickets() {
    let mut watch = Watch::new(|_| {});
    watch.books(4_200);
    let terms = desk::setup(POLITICS).markets[1].terms;
    let voided = |watch: &mut Watch| {
        let voids = watch
            .out
            .ready
            .iter()
            .filter(|ready| matches!(ready, Ready::Terms { market, .. } if *market == POLYMARKET));
        voids.count()
    };
    let control = |watch: &mut Watch, terms| {
        let control = Control::Terms { market: POLYMARKET, terms };
        watch.detector.control(&control, desk::at(watch.now), &mut watch.out);
    };
    control(&mut watch, terms);
    assert_eq!(voided(&mut watch), 0, "read anew, and the same");
    control(&mut watch, orion::spread::Terms { settles: UnixMs::new(terms.settles.raw() + 1), ..terms });
    assert_eq!(voided(&mut watch), 1);
    let finer = Kind::Grid(Grid::even(10).unwrap());
    watch.detector.apply(&desk::update(POLYMARKET, watch.now, finer), &mut watch.out);
    assert_eq!(voided(&mut watch), 2);
}

/// Signs whatever it is asked for, one call later.
#[derive(Default)]
struct Signed {
    asked: VecDeque<OrderId>,
    tickets: BTreeMap<OrderId, Ask>,
    prepared: Vec<(Ask, bool)>,
    withdrawn: Vec<OrderId>,
}

impl Door for Signed {
    fn prepare(&mut self, ask: &Ask, _: Arrival) -> Result<Prepared, Unready> {
        let ahead = self.tickets.remove(&ask.id).is_some_and(|ticket| ticket == *ask);
        self.prepared.push((*ask, ahead));
        let digest = (ask.venue == Venue::Polymarket).then(|| digest(ask.id));
        Ok(Prepared { digest, tag: None, ahead })
    }

    fn withdraw(&mut self, _: &Ask) {}

    fn discard(&mut self, order: OrderId) {
        self.tickets.remove(&order);
        self.withdrawn.push(order);
    }

    fn mint(&mut self, ask: &Ask, _: Arrival) -> bool {
        self.asked.push_back(ask.id);
        self.tickets.insert(ask.id, *ask);
        true
    }

    fn minted(&mut self) -> Option<Minted> {
        self.asked.pop_front().map(|order| Minted { order, digest: Some(digest(order)) })
    }
}

fn digest(order: OrderId) -> [u8; 32] {
    let mut digest = [7; 32];
    digest[..8].copy_from_slice(&order.raw().to_le_bytes());
    digest
}

/// An executor whose shelves are full, and an entry of 160 contracts that the detector lets go.
struct Desk {
    executor: Executor<Scratch>,
    door: Signed,
    acts: Acts,
    now: Nanos,
}

impl Desk {
    fn new() -> Self {
        let mut journal = Journal::create(Scratch::new(1 << 20), 1, 1).unwrap();
        journal.append(&Record::Opened { epoch: 1, at: UnixMs::new(1) }).unwrap();
        let facts = desk::setup(POLITICS).markets.iter().map(|market| Facts::of(&market.terms)).collect();
        let executor = Executor::new(journal, Ids::new(1).unwrap(), facts, BUDGET);
        let mut desk = Self { executor, door: Signed::default(), acts: Acts::with_room(), now: Nanos::secs(1_000) };
        let (pair, direction, wish) = (PairId(0), Direction::YesKalshi, Some(wish([100, 50])));
        desk.ready(Ready::Wish { pair, direction, wish });
        for _ in 0..64 {
            desk.executor.restock(desk::at(desk.now), &mut desk.door);
        }
        desk
    }

    fn ready(&mut self, ready: Ready) {
        self.executor.ready(ready, desk::at(self.now), &mut self.door, &mut self.acts);
    }

    fn sync(&mut self) {
        self.executor.journal_mut().sync().unwrap();
    }

    /// An edge on `qty` contracts at these prices.
    fn enter(&mut self, qty: u32, kalshi: u16, bid: u16) -> Vec<Ask> {
        let mut detector = Detector::new(desk::setup(POLITICS));
        let mut out = Outbox::with_room(2);
        for update in whole(KALSHI, self.now, &[(1_000, 10)], &[(kalshi, qty)]).iter().chain(&whole(
            POLYMARKET,
            self.now,
            &[(bid, qty)],
            &[(9_000, 10)],
        )) {
            detector.apply(update, &mut out);
        }
        detector.turn(desk::at(self.now), &mut out);
        let entry = out.ready.into_iter().find(|ready| matches!(ready, Ready::Enter(_))).expect("an entry");
        self.ready(entry);
        std::mem::take(&mut self.acts.sends)
    }

    fn records(&mut self) -> Vec<Record> {
        let bytes = self.executor.journal_mut().store().bytes().to_vec();
        journal::replay(&bytes, 1, Some(1)).unwrap().records.into_iter().map(|(_, record)| record).collect()
    }
}

#[test]
fn an_entry_is_cut_to_a_ticket_and_nothing_is_signed_or_synced() {
    let mut desk = Desk::new();
    desk.sync();
    let synced = desk.executor.journal_mut().synced();
    let [kalshi, polymarket] = desk.enter(160, 3_900, 4_500)[..] else { panic!("two legs") };
    assert_eq!((kalshi.qty, polymarket.qty), (Qty::whole(100), Qty::whole(100)), "equal legs of the ticket's size");
    assert_eq!((polymarket.outcome, polymarket.limit), (Outcome::No, price(5_500)));
    assert_eq!(desk.door.prepared, [(kalshi, false), (polymarket, true)]);
    assert_eq!(desk.executor.journal_mut().synced(), synced, "nothing waited for the medium");
    let records = desk.records();
    let ticket = |record: &&Record| matches!(record, Record::Ticket { order, .. } if *order == polymarket.id);
    assert_eq!(records.iter().filter(ticket).count(), 1);
    let last = &records[records.len() - 3..];
    assert!(matches!(last[0], Record::Planned { qty, .. } if qty == Qty::whole(100)));
    assert!(matches!(last[2], Record::Intended { ask, digest: Some(_), .. } if ask == polymarket));
    assert_eq!(desk.executor.open().next().unwrap().aim.qty, Qty::whole(100));
    assert_eq!(desk.executor.ticket_counts(), Counts { used: 1, ..Counts::default() });
}

#[test]
fn without_a_fitting_ticket_an_entry_is_signed_inline_whole_and_synced() {
    type Change = fn(&mut Desk) -> (u32, u16, u16);
    let changes: [Change; 7] = [
        // Not on the medium yet.
        |_| (160, 3_900, 4_500),
        // Less than half of it would be left.
        |desk| {
            desk.sync();
            (250, 3_900, 4_500)
        },
        // No limit of a ticket.
        |desk| {
            desk.sync();
            (160, 3_900, 4_900)
        },
        |desk| {
            desk.sync();
            desk.now = desk.now + LIFE;
            (160, 3_900, 4_500)
        },
        |desk| {
            desk.sync();
            desk.ready(Ready::Terms { market: POLYMARKET, terms: desk::polymarket_terms(POLITICS) });
            (160, 3_900, 4_500)
        },
        |desk| {
            desk.sync();
            desk.ready(Ready::Wish { pair: PairId(0), direction: Direction::YesKalshi, wish: None });
            (160, 3_900, 4_500)
        },
        |desk| {
            desk.sync();
            desk.ready(Ready::Halted { latch: Latch::Person });
            desk.ready(Ready::Resumed);
            (160, 3_900, 4_500)
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut desk = Desk::new();
        let (qty, kalshi, bid) = change(&mut desk);
        let sends = desk.enter(qty, kalshi, bid);
        assert!(sends.len() == 2 && sends.iter().all(|ask| ask.qty == Qty::whole(qty)), "{at}: {sends:?}");
        assert!(desk.door.prepared.iter().all(|(_, ahead)| !ahead), "{at}");
        let journal = desk.executor.journal_mut();
        assert_eq!(journal.synced(), journal.next_sequence(), "{at}: on the medium before it leaves");
        assert_eq!(desk.executor.ticket_counts().inline, 1, "{at}");
    }
}

#[test]
fn a_ticket_is_an_order_once() {
    let mut desk = Desk::new();
    desk.sync();
    let mut seen = Vec::new();
    for round in 0..4 {
        let polymarket = desk.enter(100, 3_900, 4_500)[1];
        assert!(!seen.contains(&polymarket.id), "round {round}");
        seen.push(polymarket.id);
    }
    assert_eq!(desk.executor.ticket_counts().used, 2, "one of a hundred, one of fifty; then there are none");
    for _ in 0..64 {
        desk.executor.restock(desk::at(desk.now), &mut desk.door);
    }
    desk.sync();
    let polymarket = desk.enter(100, 3_900, 4_500)[1];
    assert!(desk.door.prepared.last().unwrap().1 && !seen.contains(&polymarket.id), "made anew");
    desk.ready(Ready::Halted { latch: Latch::Person });
    desk.executor.restock(desk::at(desk.now), &mut desk.door);
    assert_eq!(desk.door.withdrawn.len() as u64, desk.executor.ticket_counts().voided, "the others are thrown away");
    assert!(desk.door.tickets.is_empty());
}

// ---------------------------------------------------------------------------------------------------------------------
// What a restart asks for.

const EPOCH_START: u64 = 1_795_175_100_000;

fn at(seconds: u64) -> UnixMs {
    UnixMs::new(EPOCH_START + 1_000 * seconds)
}

fn order(epoch: u32, number: u32) -> OrderId {
    OrderId::new(epoch, number).unwrap()
}

fn opened(epoch: u32, seconds: u64) -> Vec<Record> {
    let market = |id: MarketId, venue, name| Record::Market { id, venue, name: Tag::new(name).unwrap() };
    vec![
        Record::Opened { epoch, at: at(seconds) },
        market(KALSHI, Venue::Kalshi, "K-1"),
        market(POLYMARKET, Venue::Polymarket, "0xp1"),
    ]
}

fn ticket(order: OrderId, seconds: u64) -> Record {
    let (market, outcome, qty, limit) = (POLYMARKET, Outcome::No, Qty::whole(100), price(5_500));
    Record::Ticket { order, market, outcome, qty, limit, digest: digest(order), at: at(seconds) }
}

fn used(order: OrderId, seconds: u64) -> Record {
    let ask = Ask {
        id: order,
        venue: Venue::Polymarket,
        market: POLYMARKET,
        outcome: Outcome::No,
        buys: true,
        qty: Qty::whole(100),
        limit: price(5_500),
        purpose: Purpose::Entry,
    };
    Record::Intended { plan: 9, ask, digest: Some(digest(order)), at: at(seconds) }
}

fn strays(records: &[Record]) -> Vec<OrderId> {
    let numbered: Vec<_> = records.iter().enumerate().map(|(at, record)| (at as u64 + 1, record.clone())).collect();
    // This start numbers the markets the other way round.
    let names = [(Venue::Polymarket, Tag::new("0xp1").unwrap()), (Venue::Kalshi, Tag::new("K-1").unwrap())];
    let known = Known { markets: &names, minimum: &[Qty::ONE; 2], pairs: &[], budget: BUDGET };
    let restored = restore(&numbered, &known, Nanos::secs(1)).unwrap();
    for (stray, latest) in &restored.strays {
        let signed = records.iter().find_map(|record| match record {
            Record::Ticket { order, at, .. } if *order == stray.ask.id => Some(at.raw()),
            _ => None,
        });
        assert_eq!(latest.raw(), signed.unwrap() + 60_000);
        assert_eq!((stray.ask.market, stray.ask.venue), (MarketId(0), Venue::Polymarket));
        assert_eq!(stray.tag.unwrap().as_str(), alloy_primitives::hex::encode_prefixed(digest(stray.ask.id)));
    }
    restored.strays.iter().map(|(stray, _)| stray.ask.id).collect()
}

#[test]
fn young_tickets_of_which_no_order_is_on_record_are_asked_for() {
    let mut records = opened(1, 0);
    records.extend([ticket(order(1, 1), 10), ticket(order(1, 2), 100), ticket(order(1, 3), 300)]);
    records.extend([used(order(1, 2), 320), Record::Ended { plan: 9, ending: Ending::Missed }]);
    assert_eq!(strays(&records), [order(1, 3)], "the first was too old to be sent when the last record was written");
    let younger = &records[..6];
    assert_eq!(strays(younger), [order(1, 2), order(1, 3)], "the clock may have been set back meanwhile");
}

#[test]
fn they_are_asked_for_until_a_start_has_had_an_answer() {
    let mut records = opened(1, 0);
    records.extend([ticket(order(1, 1), 10), ticket(order(1, 2), 11)]);
    records.extend(opened(2, 9_000));
    assert_eq!(strays(&records), [order(1, 1), order(1, 2)], "however long it was down, and again after the next end");
    records.push(ticket(order(2, 1), 9_001));
    records.push(Record::Cleared { below: 2 });
    assert_eq!(strays(&records), [order(2, 1)]);
    records.push(Record::Cleared { below: 3 });
    assert_eq!(strays(&records), [], "a start that ended in order");
}
