//! Our way.

use orion::{
    config::{Config, Sources},
    decide::{Odds, Tally},
    ledger::journal::Scratch,
    risk::{Budget, TradingState},
    run::{
        desk::{Desk, Orders},
        detect::{MarketSetup, PairSetup, PaperSetup, Setup},
        given,
    },
    spread::{Pair, Terms},
    unit::{BookSide, FeedId, Grid, MarketId, Money, Nanos, Price, Qty, UnixMs, Venue},
    venue::{Feed, Out, kalshi, polymarket},
    wire::{Arrival, Kind, Trading, Update},
};

use crate::stream::{Block, START_MS, Stream, arrival};

pub struct Orion {
    pub feed: Box<dyn Feed>,
    out: Out,
    pub desk: Desk<Scratch>,
}

impl Orion {
    pub fn new(stream: &dyn Stream) -> Self {
        let env = vec![("STATE_DIRECTORY".into(), "/nowhere".into())];
        let sources = Sources { env, ..Sources::default() };
        let config = Config::load(&sources).expect("the defaults are sound").config;
        let grid = |venue| Grid::even(if venue == Venue::Kalshi { 10 } else { 100 }).expect("it divides a dollar");
        let terms = |venue| Terms {
            venue,
            fee: match venue {
                Venue::Kalshi => kalshi::fee_curve("quadratic", 1_000_000).expect("a known type"),
                Venue::Polymarket => polymarket::fee_curve(40_000, 1).expect("a known power"),
            },
            grid: grid(venue),
            qty_step: Qty::new(10_000).expect("a hundredth"),
            qty_min: Qty::whole(5),
            cost_min: Money::ZERO,
            shard: 0,
            hold: Nanos::ZERO,
            closes: None,
            game: None,
            settles: UnixMs::new(START_MS + 86_400_000 * 30),
        };
        let markets = (0..2 * stream.pairs()).map(|at| MarketSetup {
            terms: terms(Venue::ALL[at % 2]),
            trading: Trading::Open,
            polled: false,
        });
        let pairs = (0..stream.pairs() as u32).map(|at| PairSetup {
            pair: Pair { kalshi: MarketId(2 * at), polymarket: MarketId(2 * at + 1), inverted: false },
            event: at,
            barred: None,
            odds: Odds::prior(false),
            tally: Tally::default(),
        });
        let bankroll = config.capital.initial_bankroll;
        let setup = Setup {
            markets: markets.collect(),
            pairs: pairs.collect(),
            feeds: 2,
            rules: given::rules(&config),
            limits: given::limits(&config),
            budget: Budget::new(given::shares(&config), bankroll, given::allocation(&config), stream.pairs()),
            state: TradingState::Active,
            paper: PaperSetup { latency: [Nanos::millis(50); 2] },
            leg_order: config.trading.leg_order,
            leaving: given::leaving(&config),
            next_id: 0,
            regrids: 0,
            held: Vec::new(),
            open: Vec::new(),
        };
        let mut orion = Self {
            feed: stream.feed(),
            out: Out::default(),
            desk: Desk::new(setup, Orders::unkept(given::closing(&config))),
        };
        orion.feed.opened(arrival(Nanos::secs(1)), &mut orion.out);
        orion
    }

    /// The other venue's books, past its feed.
    pub fn set(&mut self, block: &Block) {
        let Some(at) = block.messages.first().map(|m| m.at) else { return };
        for (market, sides) in &block.books {
            let market = MarketId(*market);
            let feed = FeedId((market.0 % 2) as u8);
            let mut apply = |kind| {
                let update = Update { market, feed, link: 0, at, stamp: UnixMs::default(), kind };
                self.desk.apply(&update);
            };
            apply(Kind::Reset);
            for (side, levels) in [BookSide::Bid, BookSide::Ask].into_iter().zip(sides) {
                for (price, size) in levels {
                    let price = Price::new(*price).expect("inside a dollar");
                    apply(Kind::Level { side, price, qty: Qty::whole(*size) });
                }
            }
            apply(Kind::Synced);
        }
    }

    pub fn message(&mut self, bytes: &mut [u8], at: Arrival) {
        self.out.updates.clear();
        self.out.shadows.clear();
        self.out.sends.clear();
        self.desk.events().clear();
        self.desk.resnapshots().clear();
        self.feed.text(bytes, at, &mut self.out);
        for update in &self.out.updates {
            self.desk.apply(update);
        }
        self.desk.turn(at);
    }
}
