//! The engine as it is made at every start: detector, executor between both gateways, a feed for each venue, a journal
//! in memory.

use orion::{
    book::Fitness,
    config::LegOrder,
    decide::{Odds, Rules, Tally},
    ledger::journal::{self, Journal, Record, Store as _},
    order::{Ids, Plan, leg::State, plan},
    risk::{Budget, Limits, TradingState, budget::Shares},
    run::{
        detect::{Detector, LeaveSetup, MarketSetup, Outbox, PairSetup, PaperSetup, Setup},
        execute::{About, Executor, Facts},
        restore::{Known, Restored, restore},
        trader::Trader,
    },
    spread::{Pair, Rate, Terms},
    unit::{FeedId, Grid, MarketId, Money, Nanos, OrderId, Qty, Tag, UnixMs, Venue},
    venue::{
        Feed, Source,
        gateway::Gateway,
        kalshi::{
            self, KalshiFeed, KalshiGateway, gateway as kalshi_gateway, group,
            limits::{Rates, Refill},
            order::Names,
        },
        polymarket::{
            self, PolymarketFeed, PolymarketGateway,
            amount::{Terms as OrderTerms, Tick},
            catalog::Version,
            contract::Chain,
            gateway as polymarket_gateway,
            order::{Exchange, OrderSigner},
            position::TokenId,
            sign::{ApiSigner, WalletSigner},
        },
    },
    wire::{Arrival, Trading},
};

use super::{
    power::Forgetful,
    venues::{CASH, Customer, Venues, signer},
};

const DAY_MS: u64 = 86_400_000;
const JOURNAL: usize = 640 * 1024;
const BANKROLL: Money = Money::dollars(100_000);
const TRADE_PPM: u32 = 1_500;
/// The most that a trade may cost, both legs and fees: the same in dollars.
pub const TRADE_MAX: Money = Money::dollars(150);
/// And with no more contracts.
pub const NAKED_QTY_MAX: Qty = Qty::whole(120);
pub const NAMES: Names = Names { instance: 0x00c0_ffee };

/// What stays the same from one start to the next.
pub struct Ground {
    /// Of each pair: the topic of the world, Kalshi's market, Polymarket's, and whether YES is NO there.
    pub pairs: Vec<(usize, usize, usize, bool)>,
    /// By slot: Kalshi's and Polymarket's market of each pair in turn.
    pub names: Vec<(Venue, Tag)>,
    pub markets: Vec<MarketSetup>,
    pub groups: Vec<(u8, Tag)>,
    pub heartbeats: bool,
    pub budget: plan::Budget,
    /// How far below the threshold orders are signed ahead.
    pub tickets: Option<Rate>,
    pub leg_order: LegOrder,
}

/// The slot of a pair's market.
pub const fn slot(pair: usize, venue: Venue) -> MarketId {
    MarketId((2 * pair + venue as usize) as u32)
}

impl Ground {
    /// Chooses pairs, makes their terms and Kalshi's switches.
    pub fn new(venues: &mut Venues, rng: &mut fastrand::Rng, leg_order: LegOrder) -> Self {
        let catalog = venues.world.catalog();
        let plain =
            |topic: &orion::sim::listing::Topic| !topic.odd && topic.kalshi.is_some() && topic.polymarket.is_some();
        let mut topics: Vec<usize> = (0..catalog.topics.len()).filter(|&at| plain(&catalog.topics[at])).collect();
        rng.shuffle(&mut topics);
        topics.truncate(rng.usize(3..6));
        let pairs: Vec<_> = topics
            .into_iter()
            .map(|at| {
                let topic = &catalog.topics[at];
                (at, topic.kalshi.unwrap(), topic.polymarket.unwrap(), topic.inverted)
            })
            .collect();
        let (mut names, mut markets) = (Vec::new(), Vec::new());
        for &(_, k, p, _) in &pairs {
            let (k, p) = (&catalog.kalshi[k], &catalog.polymarket[p]);
            names.push((Venue::Kalshi, Tag::new(&k.ticker).unwrap()));
            names.push((Venue::Polymarket, Tag::new(&p.condition_id).unwrap()));
            let event = &catalog.kalshi_events[k.event];
            let series = &catalog.series[event.series];
            let (kind, multiplier) = event.fee_override.unwrap_or((series.fee_type, series.fee_multiplier));
            let settles = UnixMs::new(super::venues::START.raw() + 10 * DAY_MS);
            let kalshi = Terms {
                venue: Venue::Kalshi,
                fee: kalshi::fee_curve(kind, multiplier).unwrap(),
                grid: k.structure.grid(),
                qty_step: Qty::new(10_000).unwrap(),
                qty_min: Qty::new(10_000).unwrap(),
                cost_min: Money::ZERO,
                shard: k.exchange_index,
                hold: Nanos::ZERO,
                closes: None,
                game: None,
                settles,
            };
            let fee = p.fee.map_or(Some(orion::spread::FeeCurve::FREE), |fee| {
                polymarket::fee_curve(fee.rate, u64::from(fee.exponent))
            });
            let polymarket = Terms {
                venue: Venue::Polymarket,
                fee: fee.unwrap(),
                grid: Grid::even(p.tick).unwrap(),
                qty_min: Qty::whole(5),
                cost_min: Money::dollars(1),
                shard: 0,
                hold: Nanos::millis(p.taker_hold_ms().unwrap_or(0)),
                ..kalshi
            };
            markets.extend([kalshi, polymarket].map(|terms| MarketSetup {
                terms,
                trading: Trading::Open,
                polled: false,
            }));
        }
        let mut shards: Vec<u8> = markets.iter().step_by(2).map(|market| market.terms.shard).collect();
        shards.sort_unstable();
        shards.dedup();
        let mut groups = Vec::new();
        if rng.bool() {
            for shard in shards {
                let body = group::write_create(Qty::whole(1_000_000), shard, None);
                let made = venues.by_hand("POST", group::CREATE, &[], &body);
                groups.push((shard, group::parse_created(&made).unwrap()));
            }
        }
        // Time and loss have tests of their own; mostly everything is to be brought to its end.
        let time_max = if rng.u8(..4) == 0 { Nanos::secs(2) } else { Nanos::secs(100_000) };
        let budget = plan::Budget { loss_max: Money::dollars(100_000), time_max };
        // Gaps open with a jump of eight cents.
        let tickets = rng.bool().then_some(Rate::of_price_units(1_000));
        Self { pairs, names, markets, groups, heartbeats: rng.bool(), budget, leg_order, tickets }
    }

    fn pair_setups(&self) -> Vec<PairSetup> {
        let setup = |(at, &(.., inverted)): (usize, &(usize, usize, usize, bool))| PairSetup {
            pair: Pair { kalshi: slot(at, Venue::Kalshi), polymarket: slot(at, Venue::Polymarket), inverted },
            event: at as u32,
            barred: None,
            odds: Odds { one_ppm: [0; 2], differ_ppm: 0 },
            tally: Tally::default(),
        };
        self.pairs.iter().enumerate().map(setup).collect()
    }

    /// What a journal says.
    pub fn restored(&self, records: &[(u64, Record)], now: Nanos) -> Restored {
        let minimum: Vec<_> = self.markets.iter().map(|market| market.terms.qty_min).collect();
        let pairs: Vec<_> =
            (0..self.pairs.len()).map(|at| [slot(at, Venue::Kalshi), slot(at, Venue::Polymarket)]).collect();
        let known = Known { markets: &self.names, minimum: &minimum, pairs: &pairs, budget: self.budget };
        restore(records, &known, now).unwrap()
    }

    fn kalshi(&self, before: &[Plan]) -> KalshiGateway {
        let market = |(at, (venue, name)): (usize, &(Venue, Tag))| {
            let shard = self.markets[at].terms.shard;
            (*venue == Venue::Kalshi).then(|| kalshi_gateway::Market { ticker: name.as_str().to_owned(), shard })
        };
        KalshiGateway::new(kalshi_gateway::Setup {
            names: NAMES,
            host: "exchange.test".into(),
            markets: self.names.iter().enumerate().map(market).collect(),
            groups: self.groups.clone(),
            rates: Rates {
                read: Refill { per_second: 10_000, capacity: 10_000 },
                write: Refill { per_second: 8_000, capacity: 16_000 },
                ..Rates::default()
            },
            subaccount: None,
            sent: in_doubt(before),
            signer: Box::new(signer()),
        })
    }

    fn polymarket(&self, venues: &Venues, strays: &[(About, UnixMs)]) -> PolymarketGateway {
        let Customer { secret, form, key, .. } = &venues.customer;
        let catalog = venues.world.catalog();
        let markets = self.names.iter().enumerate().map(|(at, (venue, condition))| {
            if *venue == Venue::Kalshi {
                return None;
            }
            let listed = &catalog.polymarket[self.pairs[at / 2].2];
            let neg_risk = catalog.polymarket_events[listed.event].neg_risk;
            let version = if listed.protocol_v2 { Version::V2 } else { Version::V1 };
            Some(polymarket_gateway::Market {
                condition: *condition,
                tokens: [0, 1].map(|outcome| TokenId::parse(&listed.tokens[outcome]).unwrap()),
                exchange: Exchange::of(version, neg_risk),
                terms: OrderTerms { tick: Tick::of(&self.markets[at].terms.grid).unwrap(), qty_min: Qty::whole(5) },
                hold: self.markets[at].terms.hold,
            })
        });
        let wallet = || WalletSigner::from_hex(secret).unwrap();
        let api = ApiSigner::new(&wallet().address(), &key.id, &key.secret, &key.passphrase).unwrap();
        let mut gateway = PolymarketGateway::new(polymarket_gateway::Setup {
            host: "clob.test".into(),
            chain: Chain::Polygon,
            markets: markets.collect(),
            api,
            signer: Box::new(OrderSigner::new(wallet(), *form, Chain::Polygon, &key.id).unwrap()),
            signature_type: form.signature_type(),
            heartbeats: self.heartbeats,
        });
        for (About { ask, tag }, latest) in strays {
            gateway.remember(ask.id, tag.unwrap(), *latest);
        }
        gateway
    }

    fn feeds(&self, venues: &Venues) -> [Box<dyn Feed + Send>; 2] {
        let catalog = venues.world.catalog();
        let tickers = self.pairs.iter().enumerate().map(|(at, &(_, k, ..))| kalshi::feed::Wanted {
            id: slot(at, Venue::Kalshi),
            ticker: catalog.kalshi[k].ticker.clone(),
            event: catalog.kalshi_events[catalog.kalshi[k].event].ticker.clone(),
        });
        let tokens = self.pairs.iter().enumerate().map(|(at, &(_, _, p, _))| polymarket::feed::Wanted {
            id: slot(at, Venue::Polymarket),
            tokens: catalog.polymarket[p].tokens.clone(),
        });
        let source = |venue: Venue| Source { feed: FeedId(venue as u8), link: 0 };
        [
            Box::new(KalshiFeed::new(source(Venue::Kalshi), tickers.collect(), false)),
            Box::new(PolymarketFeed::new(source(Venue::Polymarket), tokens.collect())),
        ]
    }
}

/// Orders of earlier starts whose record is still to be found, and when they were sent.
fn in_doubt(plans: &[Plan]) -> Vec<(OrderId, UnixMs)> {
    let legs = plans.iter().flat_map(Plan::legs).filter(|leg| leg.ask.venue == Venue::Kalshi);
    legs.filter(|leg| leg.state() != State::Planned).map(|leg| (leg.ask.id, leg.sent_at())).collect()
}

/// What an ordinary operator wants: half a net cent, nothing exotic.
fn rules() -> Rules {
    Rules {
        threshold: Rate::of_price_units(50),
        threshold_net: true,
        slippage: 200,
        depth_min: Money::ZERO,
        trade_min: Money::dollars(1),
        naked_qty_max: NAKED_QTY_MAX,
        yield_min_ppm: 0,
        lock_max_ms: None,
        edge_max: Rate::of_price_units(1_500),
        kelly_ppm: 1_000_000,
        before_close_ms: 0,
        before_game_ms: 0,
        fitness: Fitness { lag_max: Nanos::secs(1), quiet_max: Nanos::secs(90) },
    }
}

/// One process.
pub struct Engine {
    pub detector: Detector,
    pub out: Outbox,
    pub trader: Trader<Forgetful>,
    pub feeds: [Box<dyn Feed + Send>; 2],
}

impl Engine {
    /// A start, from the journal of the one before.
    pub fn start(
        ground: &Ground,
        venues: &Venues,
        journal: Option<&[u8]>,
        at: Arrival,
        halted: Option<orion::risk::Latch>,
        flatten: Option<UnixMs>,
        wrap: impl Fn(Venue, Box<dyn Gateway + Send>) -> Box<dyn Gateway + Send>,
    ) -> Self {
        let replayed = journal.map(|bytes| journal::replay(bytes, 1, Some(1)).unwrap()).unwrap_or_default();
        let restored = ground.restored(&replayed.records, at.now);
        let shares = Shares {
            trade_ppm: TRADE_PPM,
            event_ppm: 200_000,
            reserve_ppm: 0,
            daily_loss_ppm: 900_000,
            drawdown_ppm: 900_000,
        };
        let mut budget = Budget::new(shares, BANKROLL, [CASH; 2], ground.pairs.len());
        let opening = |market: &MarketSetup| (market.terms.venue, market.terms.shard);
        for (venue, shard) in ground.markets.iter().map(opening) {
            budget.account_mut(venue, shard).cash = CASH;
        }
        for (venue, shard, cash) in &restored.cash {
            budget.account_mut(*venue, *shard).cash = *cash;
        }
        for (market, flow) in ground.markets.iter().zip(&restored.flows) {
            budget.account_mut(market.terms.venue, market.terms.shard).cash += *flow;
        }
        let held = restored.held(ground.markets.len());
        for (market, _, _, cost) in &held {
            budget.book(Venue::ALL[market.0 as usize % 2], 0, market.0 as usize / 2, Money::ZERO, *cost);
        }
        let mut state = TradingState::Active;
        if let Some(latch) = halted {
            state.halt(latch);
        }
        let tallied = |pair: PairSetup| PairSetup { tally: restored.tally(&pair.pair), ..pair };
        let pairs = ground.pair_setups().into_iter().map(tallied).collect();
        let setup = Setup {
            markets: ground.markets.clone(),
            pairs,
            feeds: 2,
            rules: rules(),
            limits: Limits {
                positions_max: 10,
                orders_per_second: 20,
                cooldown: Nanos::secs(1),
                auto_execute: true,
                armed: true,
                ramp: None,
            },
            budget,
            state,
            paper: PaperSetup { latency: [Nanos::ZERO; 2] },
            leg_order: ground.leg_order,
            leaving: LeaveSetup {
                gain_min: Rate::of_price_units(50),
                loss_max: Money::dollars(2_000),
                begun: flatten.map(|began| restored.lost_since(began)),
                open: restored.leaving(),
            },
            next_id: restored.last_id,
            regrids: 0,
            held,
            open: restored.plans.iter().map(|plan| plan.aim.pair).collect(),
        };
        let mut store = Forgetful::new(JOURNAL);
        let mut journal = match journal {
            Some(bytes) => {
                store.write(0, bytes).unwrap();
                let next = replayed.records.last().map_or(1, |(number, _)| number + 1);
                Journal::resume(store, 1, &replayed, next).unwrap()
            }
            None => Journal::create(store, 1, 1).unwrap(),
        };
        let epoch = restored.epoch + 1;
        journal.append(&Record::Opened { epoch, at: at.unix }).unwrap();
        for (slot, (venue, name)) in ground.names.iter().copied().enumerate() {
            journal.append(&Record::Market { id: MarketId(slot as u32), venue, name }).unwrap();
        }
        for (venue, shard, account) in setup.budget.accounts() {
            journal.append(&Record::Cash { venue, shard, amount: account.cash }).unwrap();
        }
        let facts = ground.markets.iter().map(|market| Facts::of(&market.terms));
        journal.sync().unwrap();
        let mut executor = Executor::new(journal, Ids::new(epoch).unwrap(), facts.collect(), ground.budget);
        executor.found(&setup.held);
        let gateways: [Box<dyn Gateway + Send>; 2] = [
            wrap(Venue::Kalshi, Box::new(ground.kalshi(&restored.plans))),
            wrap(Venue::Polymarket, Box::new(ground.polymarket(venues, &restored.strays))),
        ];
        let mut trader = Trader::new(executor, gateways, ground.names.clone());
        trader.restore(restored, at.now);
        if let Some(latch) = halted {
            trader.ready(orion::run::event::Ready::Halted { latch }, at);
        }
        let out = Outbox::with_room(setup.markets.len());
        let mut detector = Detector::new(setup);
        if let Some(reach) = ground.tickets {
            detector.keep_tickets(reach);
        }
        Self { detector, out, trader, feeds: ground.feeds(venues) }
    }
}
