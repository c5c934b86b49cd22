//! Tickets: Polymarket orders that are signed before anybody needs them, and which of them may be sent.
//!
//! The detector says where it would like some ([`Wish`]); this is the shelf they lie on. It signs nothing, sends
//! nothing and writes nothing: the [`Executor`](super::execute::Executor) asks the sign thread for what is
//! [`wanted`](Tickets::wanted), and writes a record of what comes back.
//!
//! What a newcomer gets wrong: a ticket is of no use the moment it is signed. Its digest is the only name under which
//! the venue can be asked for the order, so it is taken only once its record is on the medium: then sending it needs
//! neither signature nor sync, and not even a power cut leaves an order that nobody can ask for. And it is taken once:
//! whatever becomes of it afterwards, its number is never used again.

use super::event::{SIZES, Wish};
use crate::{
    order::{Ask, Purpose},
    spread::Direction,
    unit::{MarketId, Nanos, OrderId, Outcome, PairId, Price, Qty, Venue},
    venue::pace::Bucket,
};

/// Directions of pairs that have tickets at once. The detector counts along, so one more is never wished for.
pub const SHELVES: usize = 32;
/// How many ticks on each side of the touch there are tickets at.
const AROUND: u16 = 2;
const LIMITS: usize = 2 * AROUND as usize + 1;
const SLOTS: usize = LIMITS * SIZES;
/// None older is sent. Whether the venue takes an older one is not known; of this age it is to be found out.
pub const LIFE: Nanos = Nanos::millis(LIFE_MS);
/// The same on the wall clock.
pub const LIFE_MS: u64 = 60_000;
/// Signatures that are waited for at once: an order that is signed inline must not stand behind many of them.
const ASKED_MAX: usize = 8;
/// What was not signed by then is not waited for any more.
const PATIENCE: Nanos = Nanos::secs(2);
/// Each costs a signature and 80 bytes of the journal. The full shelves are made anew once a minute.
const PACE: Bucket = Bucket::new(10, 120);

/// How far a ticket is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Nobody has signed it yet.
    Asked,
    /// Its record has this number.
    Recorded(u64),
}

#[derive(Clone, Copy, Debug)]
struct Ticket {
    order: OrderId,
    limit: Price,
    qty: Qty,
    /// When it was asked for: the time that stands in the order is not later.
    asked: Nanos,
    state: State,
}

/// What lies ready for one direction of one pair.
#[derive(Clone, Copy, Debug)]
struct Shelf {
    at: (PairId, Direction),
    wish: Wish,
    tickets: [Option<Ticket>; SLOTS],
    /// The gateway takes no such order; asked again when the wish changes.
    refused: bool,
}

impl Shelf {
    /// What the slot `at` is to hold: the touch first, then what is further away.
    fn wanted(&self, at: usize) -> Option<(Price, Qty)> {
        let qty = Some(self.wish.sizes[at % SIZES]).filter(|qty| !qty.is_zero())?;
        let step = at / SIZES;
        let away = (step.div_ceil(2) as u16).checked_mul(self.wish.tick)?;
        let raw = self.wish.touch.raw();
        let raw = if step % 2 == 1 { raw.checked_sub(away)? } else { raw.checked_add(away)? };
        Some((Price::new(raw)?, qty))
    }
}

/// Counted since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Entries that left with a ticket.
    pub used: u64,
    /// Entries that were signed inline.
    pub inline: u64,
    /// Tickets that were never sent, for their age or because what they were made for changed.
    pub voided: u64,
}

/// What an order that a ticket may stand in for is to be.
#[derive(Clone, Copy, Debug)]
pub struct Sought {
    pub market: MarketId,
    pub outcome: Outcome,
    pub limit: Price,
    /// The most. Half of it is the least.
    pub qty: Qty,
}

/// The shelves.
#[derive(Debug)]
pub struct Tickets {
    shelves: Vec<Shelf>,
    /// The shelf that is looked at next.
    next: usize,
    pace: Bucket,
    /// Tickets that nobody will send: whoever holds the signed orders is to forget them.
    dropped: Vec<OrderId>,
    pub counts: Counts,
}

impl Default for Tickets {
    fn default() -> Self {
        Self {
            shelves: Vec::with_capacity(SHELVES),
            next: 0,
            pace: PACE,
            dropped: Vec::with_capacity(SHELVES * SLOTS),
            counts: Counts::default(),
        }
    }
}

impl Tickets {
    /// What the detector would like to find from now on; `None` where it needs nothing any more.
    pub fn wish(&mut self, pair: PairId, direction: Direction, wish: Option<Wish>) {
        let at = (pair, direction);
        let found = self.shelves.iter().position(|shelf| shelf.at == at);
        match (found, wish) {
            (Some(place), None) => {
                self.clear_shelf(place);
                self.shelves.swap_remove(place);
            }
            (Some(place), Some(wish)) => self.change(place, wish),
            (None, Some(wish)) if self.shelves.len() < SHELVES => {
                self.shelves.push(Shelf { at, wish, tickets: [None; SLOTS], refused: false });
            }
            // None that is to go, or one too many, from somebody who counts differently: signed inline.
            (None, _) => {}
        }
    }

    /// The touch or the size moved: what still fits stays.
    fn change(&mut self, place: usize, wish: Wish) {
        let before = self.shelves[place].wish;
        let same = (before.market, before.outcome, before.tick) == (wish.market, wish.outcome, wish.tick);
        if !same {
            self.clear_shelf(place);
        }
        let shelf = &mut self.shelves[place];
        (shelf.wish, shelf.refused) = (wish, false);
        let kept = std::mem::replace(&mut shelf.tickets, [None; SLOTS]);
        for ticket in kept.into_iter().flatten() {
            let fits = |at: &usize| shelf.wanted(*at) == Some((ticket.limit, ticket.qty));
            if let Some(at) = (0..SLOTS).find(fits) {
                shelf.tickets[at] = Some(ticket);
            } else {
                self.counts.voided += 1;
                self.dropped.push(ticket.order);
            }
        }
    }

    /// What a market's tickets were made for is not so any more: its tick, its terms, the contract that settles it.
    pub fn void(&mut self, market: MarketId) {
        for place in 0..self.shelves.len() {
            if self.shelves[place].wish.market == market {
                self.clear_shelf(place);
            }
        }
    }

    /// The latch has fallen: nothing that was signed before is sent afterwards. Wishes begin anew.
    pub fn void_all(&mut self) {
        for place in 0..self.shelves.len() {
            self.clear_shelf(place);
        }
        self.shelves.clear();
    }

    fn clear_shelf(&mut self, place: usize) {
        for ticket in self.shelves[place].tickets.iter_mut().filter_map(Option::take) {
            self.counts.voided += 1;
            self.dropped.push(ticket.order);
        }
    }

    /// The next order that is worth a signature, but for its number. One shelf is looked at in each call, and what lies
    /// on it for too long is thrown away.
    pub fn wanted(&mut self, now: Nanos) -> Option<Wanted> {
        if self.shelves.is_empty() {
            return None;
        }
        let place = self.next % self.shelves.len();
        self.next = place + 1;
        let shelf = &mut self.shelves[place];
        for slot in &mut shelf.tickets {
            let old = |ticket: &mut Ticket| {
                let most = if ticket.state == State::Asked { PATIENCE } else { LIFE };
                most <= now.since(ticket.asked)
            };
            if let Some(ticket) = slot.take_if(old) {
                self.counts.voided += 1;
                self.dropped.push(ticket.order);
            }
        }
        if shelf.refused {
            return None;
        }
        let missing = |at: &usize| shelf.tickets[*at].is_none() && shelf.wanted(*at).is_some();
        let slot = (0..SLOTS).find(missing)?;
        let (limit, qty) = shelf.wanted(slot)?;
        let Wish { market, outcome, .. } = shelf.wish;
        let asked = self.shelves.iter().flat_map(|shelf| shelf.tickets.iter().flatten());
        let asked = asked.filter(|ticket| ticket.state == State::Asked).count();
        if ASKED_MAX <= asked || !self.pace.take(1, 0, now) {
            return None;
        }
        Some(Wanted { market, outcome, limit, qty, place, slot })
    }

    /// A signature was asked for, under this number; or it cannot be asked for.
    pub fn asked(&mut self, wanted: &Wanted, order: OrderId, now: Nanos, taken: bool) {
        let shelf = &mut self.shelves[wanted.place];
        if taken {
            let (limit, qty) = (wanted.limit, wanted.qty);
            shelf.tickets[wanted.slot] = Some(Ticket { order, limit, qty, asked: now, state: State::Asked });
        } else {
            shelf.refused = true;
        }
    }

    /// An order that was asked for, if it is still of use.
    pub fn awaited(&self, order: OrderId) -> Option<Ask> {
        let of = |shelf: &Shelf| shelf.tickets.iter().flatten().find(|ticket| ticket.order == order).copied();
        let (shelf, ticket) = self.shelves.iter().find_map(|shelf| Some((shelf, of(shelf)?)))?;
        let Wish { market, outcome, .. } = shelf.wish;
        let Ticket { limit, qty, .. } = ticket;
        let (venue, purpose) = (Venue::Polymarket, Purpose::Entry);
        Some(Ask { id: order, venue, market, outcome, buys: true, qty, limit, purpose })
    }

    /// It is signed, and its record has this number.
    pub fn recorded(&mut self, order: OrderId, sequence: u64) {
        let mut tickets = self.shelves.iter_mut().flat_map(|shelf| shelf.tickets.iter_mut().flatten());
        if let Some(ticket) = tickets.find(|ticket| ticket.order == order) {
            ticket.state = State::Recorded(sequence);
        }
    }

    /// The best ticket for an order: of its very limit, as large as it can be, not smaller than half, and of a size
    /// that `fits`. Records below `synced` are on the medium.
    pub fn find(&self, sought: &Sought, synced: u64, now: Nanos, fits: impl Fn(Qty) -> bool) -> Option<(OrderId, Qty)> {
        let of = |shelf: &&Shelf| (shelf.wish.market, shelf.wish.outcome) == (sought.market, sought.outcome);
        let usable = |ticket: &&Ticket| {
            let size = ticket.qty <= sought.qty && sought.qty.micros() <= 2 * ticket.qty.micros();
            let there = matches!(ticket.state, State::Recorded(sequence) if sequence < synced);
            there && size && ticket.limit == sought.limit && now.since(ticket.asked) < LIFE && fits(ticket.qty)
        };
        let tickets = self.shelves.iter().filter(of).flat_map(|shelf| shelf.tickets.iter().flatten());
        tickets.filter(usable).map(|ticket| (ticket.order, ticket.qty)).max_by_key(|(_, qty)| *qty)
    }

    /// An order has the number of a ticket, if of any: it is never found again. `ahead` where it was signed with it.
    pub fn used(&mut self, order: OrderId, ahead: bool) {
        for slot in self.shelves.iter_mut().flat_map(|shelf| &mut shelf.tickets) {
            if slot.take_if(|ticket| ticket.order == order).is_some() {
                let count = if ahead { &mut self.counts.used } else { &mut self.counts.voided };
                *count += 1;
            }
        }
    }

    /// A ticket that nobody can use: it was not signed, or not written down.
    pub fn fail(&mut self, order: OrderId) {
        for slot in self.shelves.iter_mut().flat_map(|shelf| &mut shelf.tickets) {
            if slot.take_if(|ticket| ticket.order == order).is_some() {
                self.counts.voided += 1;
            }
        }
        self.dropped.push(order);
    }

    /// What is to be forgotten by whoever holds the signed orders.
    pub fn dropped(&mut self) -> impl Iterator<Item = OrderId> {
        self.dropped.drain(..)
    }
}

/// An order that is worth a signature, and where its ticket will lie.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    market: MarketId,
    outcome: Outcome,
    limit: Price,
    qty: Qty,
    place: usize,
    slot: usize,
}

impl Wanted {
    /// The order under this number.
    pub const fn ask(&self, id: OrderId) -> Ask {
        let Self { market, outcome, limit, qty, .. } = *self;
        Ask { id, venue: Venue::Polymarket, market, outcome, buys: true, qty, limit, purpose: Purpose::Entry }
    }
}

/// The largest of 1, 2, 5, 10, 20, 50 … whole contracts that is not above `most`; nothing where there is none.
pub fn step_below(most: Qty) -> Qty {
    let whole = most.micros() / Qty::ONE.micros();
    if whole == 0 {
        return Qty::ZERO;
    }
    let power = 10_u64.pow(whole.ilog10());
    let lead = match whole / power {
        5.. => 5,
        2..=4 => 2,
        _ => 1,
    };
    Qty::new(lead * power * Qty::ONE.micros()).expect("not above the quantity it was made from")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: (PairId, Direction) = (PairId(3), Direction::YesKalshi);
    const START: Nanos = Nanos::secs(100);

    fn price(raw: u16) -> Price {
        Price::new(raw).unwrap()
    }

    fn wish(touch: u16, sizes: [u32; SIZES]) -> Wish {
        let sizes = sizes.map(Qty::whole);
        Wish { market: MarketId(7), outcome: Outcome::No, touch: price(touch), tick: 100, sizes }
    }

    fn order(number: u32) -> OrderId {
        OrderId::new(1, number).unwrap()
    }

    /// Everything that is wanted is signed and recorded; the records have the orders' numbers.
    fn fill(tickets: &mut Tickets, first: u32, now: Nanos) -> u32 {
        let (mut number, mut idle) = (first, 0);
        while idle < SHELVES {
            let Some(wanted) = tickets.wanted(now) else {
                idle += 1;
                continue;
            };
            tickets.asked(&wanted, order(number), now, true);
            assert_eq!(tickets.awaited(order(number)), Some(wanted.ask(order(number))));
            tickets.recorded(order(number), u64::from(number));
            (number, idle) = (number + 1, 0);
        }
        number
    }

    fn full() -> (Tickets, u32) {
        let mut tickets = Tickets::default();
        tickets.wish(AT.0, AT.1, Some(wish(5_000, [20, 10])));
        let next = fill(&mut tickets, 1, START);
        (tickets, next)
    }

    fn find(tickets: &Tickets, limit: u16, qty: u32, now: Nanos) -> Option<(OrderId, Qty)> {
        let sought = Sought { market: MarketId(7), outcome: Outcome::No, limit: price(limit), qty: Qty::whole(qty) };
        tickets.find(&sought, u64::MAX, now, |_| true)
    }

    #[test]
    fn sizes_go_in_steps_of_one_two_and_five() {
        let steps =
            [(0, 0), (1, 1), (4, 2), (5, 5), (9, 5), (10, 10), (49, 20), (199, 100), (999_999_999, 500_000_000)];
        for (most, step) in steps {
            let most = Qty::new(most * 1_000_000 + 999_999).unwrap();
            assert_eq!(step_below(most), Qty::new(step * 1_000_000).unwrap(), "{most}");
        }
    }

    #[test]
    fn there_are_two_sizes_at_the_touch_and_two_ticks_around_it() {
        let (tickets, next) = full();
        assert_eq!(next, 11, "five limits, two sizes");
        for limit in [4_800, 4_900, 5_000, 5_100, 5_200] {
            for (wanted, size) in
                [(39, Some(20)), (20, Some(20)), (19, Some(10)), (10, Some(10)), (9, None), (41, None)]
            {
                let found = find(&tickets, limit, wanted, START).map(|(_, qty)| qty);
                assert_eq!(found, size.map(Qty::whole), "{wanted} at {limit}");
            }
        }
        for limit in [4_700, 5_300, 4_850] {
            assert_eq!(find(&tickets, limit, 20, START), None);
        }
        let mut edge = Tickets::default();
        edge.wish(AT.0, AT.1, Some(wish(100, [20, 0])));
        assert_eq!(fill(&mut edge, 1, START), 4, "no price is zero, and no size is");
    }

    #[test]
    fn a_ticket_is_found_once_its_record_is_on_the_medium() {
        let (tickets, _) = full();
        let sought = Sought { market: MarketId(7), outcome: Outcome::No, limit: price(5_000), qty: Qty::whole(20) };
        let (found, _) = tickets.find(&sought, u64::MAX, START, |_| true).unwrap();
        let sequence = found.raw() & 0xff;
        assert_eq!(tickets.find(&sought, sequence, START, |qty| qty == Qty::whole(20)), None, "the next to be synced");
        assert!(tickets.find(&sought, sequence + 1, START, |qty| qty == Qty::whole(20)).is_some());
        let mut unsigned = Tickets::default();
        unsigned.wish(AT.0, AT.1, Some(wish(5_000, [20, 10])));
        let wanted = unsigned.wanted(START).unwrap();
        unsigned.asked(&wanted, order(1), START, true);
        assert_eq!(find(&unsigned, 5_000, 20, START), None, "nobody has signed it");
    }

    #[test]
    fn what_does_not_fit_gives_way_to_a_smaller_one() {
        let (tickets, _) = full();
        let sought = Sought { market: MarketId(7), outcome: Outcome::No, limit: price(5_000), qty: Qty::whole(20) };
        let found = tickets.find(&sought, u64::MAX, START, |qty| qty < Qty::whole(20));
        assert_eq!(found.map(|(_, qty)| qty), Some(Qty::whole(10)));
        assert_eq!(tickets.find(&sought, u64::MAX, START, |_| false), None);
        let other = Sought { outcome: Outcome::Yes, ..sought };
        assert_eq!(tickets.find(&other, u64::MAX, START, |_| true), None);
    }

    #[test]
    fn a_ticket_is_used_once_and_its_number_never_again() {
        let (mut tickets, next) = full();
        let (used, _) = find(&tickets, 5_000, 20, START).unwrap();
        tickets.used(used, true);
        assert_eq!(tickets.counts, Counts { used: 1, ..Counts::default() });
        let (other, qty) = find(&tickets, 5_000, 20, START).unwrap();
        assert!(other != used && qty == Qty::whole(10), "the larger one is gone");
        assert_eq!(tickets.dropped().count(), 0, "what is used is not to be forgotten");
        assert_eq!(fill(&mut tickets, next, START), next + 1, "another one is made");
        assert_eq!(find(&tickets, 5_000, 20, START), Some((order(next), Qty::whole(20))));
        tickets.used(used, true);
        assert_eq!(tickets.counts.used, 1);
    }

    #[test]
    fn a_ticket_of_a_minute_is_too_old_and_is_made_anew() {
        let (mut tickets, next) = full();
        let last = Nanos::new((START + LIFE).raw() - 1);
        assert!(find(&tickets, 5_000, 20, last).is_some());
        assert_eq!(find(&tickets, 5_000, 20, START + LIFE), None, "old, although nobody has thrown it away yet");
        assert_eq!(fill(&mut tickets, next, START + LIFE), next + 10);
        assert_eq!(tickets.counts.voided, 10);
        assert_eq!(tickets.dropped().collect::<Vec<_>>(), (1..11).map(order).collect::<Vec<_>>());
        assert!(find(&tickets, 5_000, 20, START + LIFE).is_some());
    }

    #[test]
    fn where_the_touch_moves_what_still_fits_stays() {
        let (mut tickets, next) = full();
        tickets.wish(AT.0, AT.1, Some(wish(5_100, [20, 10])));
        assert_eq!(tickets.counts.voided, 2, "the two at the far end");
        assert_eq!(fill(&mut tickets, next, START), next + 2);
        assert!(find(&tickets, 5_300, 20, START).is_some() && find(&tickets, 4_800, 20, START).is_none());
        tickets.wish(AT.0, AT.1, Some(wish(5_100, [50, 20])));
        assert_eq!(tickets.counts.voided, 2 + 5, "the tens");
    }

    #[test]
    fn another_tick_other_terms_the_latch_and_the_end_of_a_wish_void_them() {
        type Change = fn(&mut Tickets);
        let changes: [(Change, bool); 4] = [
            (|tickets| tickets.wish(AT.0, AT.1, Some(Wish { tick: 10, ..wish(5_000, [20, 10]) })), true),
            (|tickets| tickets.void(MarketId(7)), true),
            (Tickets::void_all, false),
            (|tickets| tickets.wish(AT.0, AT.1, None), false),
        ];
        for (at, (change, again)) in changes.into_iter().enumerate() {
            let (mut tickets, next) = full();
            change(&mut tickets);
            assert_eq!(find(&tickets, 5_000, 20, START), None, "change {at}");
            assert_eq!((tickets.counts.voided, tickets.dropped().count()), (10, 10), "change {at}");
            assert_eq!(tickets.awaited(order(1)), None);
            assert_eq!(fill(&mut tickets, next, START) != next, again, "change {at}");
        }
        let (mut tickets, _) = full();
        tickets.void(MarketId(8));
        assert_eq!(tickets.counts.voided, 0, "another market's affair");
    }

    #[test]
    fn signatures_are_asked_for_at_a_pace_and_few_at_once() {
        let mut tickets = Tickets::default();
        for pair in 0..=SHELVES as u32 {
            tickets.wish(PairId(pair), AT.1, Some(wish(5_000, [20, 10])));
        }
        let mut number = 0;
        while let Some(wanted) = tickets.wanted(START) {
            number += 1;
            tickets.asked(&wanted, order(number), START, true);
        }
        assert_eq!(number as usize, ASKED_MAX);
        let later = START + PATIENCE;
        for _ in 0..SHELVES {
            let _ = tickets.wanted(later);
        }
        assert_eq!(tickets.counts.voided, 8, "nobody answered");
        tickets.void_all();
        for pair in 0..=SHELVES as u32 {
            tickets.wish(PairId(pair), AT.1, Some(wish(5_000, [20, 10])));
        }
        let made = fill(&mut tickets, 1_000, later) - 1_000;
        assert!((90..=120).contains(&made), "{made} of {} at once", SHELVES * SLOTS);
        assert!(made < fill(&mut tickets, 2_000, later + Nanos::secs(10)), "the others follow");
    }

    #[test]
    fn what_the_gateway_refuses_is_not_asked_for_again_until_the_wish_changes() {
        let mut tickets = Tickets::default();
        tickets.wish(AT.0, AT.1, Some(wish(5_000, [20, 10])));
        let wanted = tickets.wanted(START).unwrap();
        tickets.asked(&wanted, order(1), START, false);
        assert!(tickets.wanted(START).is_none());
        tickets.wish(AT.0, AT.1, Some(wish(5_100, [20, 10])));
        let wanted = tickets.wanted(START).unwrap();
        tickets.asked(&wanted, order(2), START, true);
        tickets.fail(order(2));
        assert_eq!(tickets.dropped().collect::<Vec<_>>(), [order(2)]);
        assert_eq!(tickets.awaited(order(2)), None);
    }
}
