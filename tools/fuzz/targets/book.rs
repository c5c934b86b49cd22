//! Messages → feed → books and detector's fitness, with the rules that hold whatever the bytes were. Included by both
//! feed targets.

use orion::{
    book::{Book, Fitness, Links},
    unit::{BookSide, FeedId, Grid, MarketId, Nanos, UnixMs},
    venue::{Feed, Out, Source},
    wire::{Arrival, Kind, Trading},
};

/// The connection under test.
pub const SOURCE: Source = Source { feed: FeedId(0), link: 0 };

/// Feeds messages that `data` separates by newlines, and checks the books after every one.
pub fn play(feed: &mut dyn Feed, data: &[u8], markets: u32) {
    let mut at = Arrival { now: Nanos::secs(1_000), unix: UnixMs::new(1_790_000_000_000) };
    let mut out = Out::default();
    let mut books: Vec<Book> =
        (0..markets).map(|_| Book::new(Grid::even(100).expect("a cent divides a dollar"), Trading::Open)).collect();
    let mut links = Links::new(1);
    feed.opened(at, &mut out);
    for message in data.split(|byte| *byte == b'\n') {
        at = Arrival { now: at.now + Nanos::millis(700), unix: UnixMs::new(at.unix.raw() + 700) };
        feed.text(&mut message.to_vec(), at, &mut out);
        feed.timeout(at, &mut out);
        for update in out.updates.drain(..) {
            assert!(update.market.0 < markets, "only markets of this connection");
            links.hear(&update);
            if !matches!(update.kind, Kind::Alive | Kind::Lost) {
                books[update.market.0 as usize].apply(&update);
            }
        }
        for (market, book) in books.iter_mut().enumerate() {
            check(book, &links, at.now);
            book.overdue(at.now);
            feed.resnapshot(MarketId(market as u32), at.now, &mut out);
        }
        out.shadows.clear();
        out.sends.clear();
        out.lost = None;
    }
    let counts = feed.counts();
    assert!(counts.malformed <= counts.messages, "a message is unreadable once");
}

fn check(book: &Book, links: &Links, now: Nanos) {
    for side in [BookSide::Bid, BookSide::Ask] {
        let ladder = book.side(side);
        let levels: Vec<_> = ladder.levels().collect();
        assert_eq!(levels.first().copied(), ladder.best(), "the best level is the first");
        assert_eq!(levels.len(), ladder.depth(), "every level is met once");
        let sorted = levels.windows(2).all(|pair| match side {
            BookSide::Bid => pair[1].0 < pair[0].0,
            BookSide::Ask => pair[0].0 < pair[1].0,
        });
        assert!(sorted, "best first");
        for (price, qty) in levels {
            assert!(!qty.is_zero() && price.raw() % ladder.unit() == 0, "on the ladder's unit, and not empty");
        }
    }
    let limits = Fitness { lag_max: Nanos::secs(1), quiet_max: Nanos::secs(90) };
    if book.fit(links, &limits, now).is_ok() {
        assert!(!book.crossed() && book.doubt().is_none(), "a fit book is neither crossed nor doubtful");
    }
}
