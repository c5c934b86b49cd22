//! Orders on the wire: the gateways of both venues, made from the tables, and the state that they need from one start
//! to the next.

use std::{io::Write as _, path::Path, sync::Arc, thread::JoinHandle};

use anyhow::Context as _;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use crossbeam::channel::{Sender, bounded};
use rtrb::{Consumer, RingBuffer};
use rustls::ClientConfig;

use super::{
    accounts,
    boot::Endpoints,
    booth::{Booth, Ending, READY_SLOTS, WORD_SLOTS},
    clock,
    desk::Orders,
    detect::Setup,
    dial::{Route, Routes},
    event::{Event, Ready},
    execute::{About, Executor, Facts, Limits},
    feed::Dial,
    guard::{NOTE_SLOTS, Note},
    lines::{self, LineGauge, LinesSetup, Site, dial_id},
    pipe::Place,
    restore::Restored,
    ring::{EVENT_SLOTS, Idle, Stop},
    sign::{SignDesk, Signing},
    stops::Fallen,
    sync::Spares,
    tables::Tables,
    trader::Trader,
};
use crate::{
    ledger::segments::Segment,
    order::{Plan, leg::State},
    risk::TradingState,
    spread::Rate,
    unit::{OrderId, Tag, UnixMs, Venue},
    venue::{
        gateway::{Gateway, ReadsOnly},
        kalshi::{KalshiGateway, gateway as kalshi, order::Names},
        polymarket::{
            PolymarketGateway,
            amount::{Terms, Tick},
            catalog::Version,
            contract::Chain,
            gateway as polymarket,
            order::Exchange,
            position::TokenId,
            sign::ApiSigner,
            wallet::Wallet,
        },
    },
};

/// Where this installation's number is kept.
const INSTANCE: &str = "instance";

/// Whose orders they are. Without it fills are made on paper, and nothing that sends is ever made.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct Wired {
    pub chain: Chain,
    /// Signs Polymarket's calls; the wallet's key stays with the sign thread.
    pub api: ApiSigner,
    /// The key's address, and the wallet that it trades for.
    pub owner: String,
    pub funder: String,
    /// Of the wallet.
    pub signature_type: u8,
    /// Polymarket's dead-man switch is fed.
    pub heartbeats: bool,
    /// The relayer sends transactions of this wallet.
    pub relayed: bool,
    /// Accounts are read, and nothing is ever sent.
    pub reads_only: bool,
}

impl Wired {
    /// Signs in at Polymarket where the vault holds no API credentials, and has orders signed from here on. One that
    /// only reads asks for nothing that would change anything at a venue.
    pub fn sign_in(endpoints: &Endpoints, signing: &Signing, chain: Chain, reads_only: bool) -> anyhow::Result<Self> {
        let customer = signing
            .customer
            .as_ref()
            .context("there is no key for Polymarket: put one in with: orion secrets set polymarket.private_key")?;
        let api = accounts::polymarket(endpoints, &signing.desk, customer, chain)?;
        signing.desk.trade_as(api.owner(), chain).map_err(anyhow::Error::msg)?;
        Ok(Self {
            chain,
            api,
            owner: customer.owner.clone(),
            funder: customer.funder.clone(),
            signature_type: customer.wallet.signature_type(),
            // Once they are fed they must always be.
            heartbeats: !reads_only,
            relayed: matches!(customer.wallet, Wallet::Deposit(_) | Wallet::Safe(_)),
            reads_only,
        })
    }
}

/// Both gateways, and where their calls go.
pub(super) struct Gateways {
    pub(super) both: [Box<dyn Gateway + Send>; 2],
    pub(super) sites: [Site; 2],
}

/// Makes both gateways: asks for request budgets, makes the venue's switches.
pub(super) fn gateways(
    wired: Wired,
    tables: &Tables,
    endpoints: &Endpoints,
    desk: &SignDesk,
    restored: &Restored,
    state: &Path,
) -> anyhow::Result<Gateways> {
    let names = Names { instance: instance(state)? };
    let of = |wanted: Venue| {
        tables.names.iter().zip(&tables.markets).map(move |pair| (pair.0.venue == wanted).then_some(pair))
    };
    let mut shards: Vec<u8> = of(Venue::Kalshi).flatten().map(|(_, market)| market.terms.shard).collect();
    shards.sort_unstable();
    shards.dedup();
    let reads_only = wired.reads_only;
    let shards = if reads_only { &[] } else { &shards[..] };
    let (rates, groups) = accounts::kalshi(endpoints, desk, shards)?;
    let market = |(name, setup): (&super::keep::MarketName, &super::detect::MarketSetup)| kalshi::Market {
        ticker: name.name.clone(),
        shard: setup.terms.shard,
    };
    let host = |url: &str| Place::of(url).map(|place| place.host.to_owned());
    let kalshi = KalshiGateway::new(kalshi::Setup {
        names,
        host: host(&endpoints.kalshi_rest)?,
        markets: of(Venue::Kalshi).map(|found| found.map(market)).collect(),
        groups,
        rates,
        subaccount: None,
        sent: in_doubt(&restored.plans),
        signer: Box::new(desk.signer()),
    });
    let mut polymarket = PolymarketGateway::new(polymarket::Setup {
        host: host(&endpoints.clob)?,
        chain: wired.chain,
        markets: (0..tables.names.len()).map(|slot| polymarket_market(tables, slot)).collect(),
        api: wired.api,
        signer: Box::new(desk.signer()),
        signature_type: wired.signature_type,
        heartbeats: wired.heartbeats,
    });
    for (About { ask, tag }, latest) in &restored.strays {
        if let Some(tag) = tag {
            polymarket.remember(ask.id, *tag, *latest);
        }
    }
    for leg in restored.plans.iter().flat_map(Plan::legs).filter(|leg| leg.ask.venue == Venue::Polymarket) {
        if let Some(tag) = leg.tag() {
            polymarket.remember(leg.ask.id, tag, leg.sent_at());
        }
    }
    let guarded = |gateway: Box<dyn Gateway + Send>| -> Box<dyn Gateway + Send> {
        if reads_only { Box::new(ReadsOnly(gateway)) } else { gateway }
    };
    Ok(Gateways {
        both: [guarded(Box::new(kalshi)), guarded(Box::new(polymarket))],
        sites: [
            Site { rest: endpoints.kalshi_rest.clone(), stream: endpoints.kalshi_ws.clone() },
            Site { rest: endpoints.clob.clone(), stream: endpoints.polymarket_user_ws.clone() },
        ],
    })
}

/// Orders of earlier starts whose record is still to be found, and when they were sent.
fn in_doubt(plans: &[Plan]) -> Vec<(OrderId, UnixMs)> {
    let legs = plans.iter().flat_map(Plan::legs).filter(|leg| leg.ask.venue == Venue::Kalshi);
    legs.filter(|leg| !matches!(leg.state(), State::Planned)).map(|leg| (leg.ask.id, leg.sent_at())).collect()
}

/// A market of Polymarket's as orders need it; `None` for one that the catalogue refuses, or of the other venue.
fn polymarket_market(tables: &Tables, slot: usize) -> Option<polymarket::Market> {
    let (name, setup, listed) = (&tables.names[slot], &tables.markets[slot], tables.listed[slot].as_ref()?);
    if name.venue != Venue::Polymarket {
        return None;
    }
    let hashed = listed.hashed.as_ref()?;
    let version = if hashed.v2 { Version::V2 } else { Version::V1 };
    let [yes, no] = &listed.tokens;
    Some(polymarket::Market {
        condition: Tag::new(&name.name)?,
        tokens: [TokenId::parse(yes)?, TokenId::parse(no)?],
        exchange: Exchange::of(version, hashed.neg_risk),
        terms: Terms { tick: Tick::of(&setup.terms.grid)?, qty_min: setup.terms.qty_min },
        hold: setup.terms.hold,
    })
}

/// This installation's number, drawn when its state directory was made: another engine on the same account has another
/// one, and so its orders are not taken for ours.
fn instance(state: &Path) -> anyhow::Result<u32> {
    let path = state.join(INSTANCE);
    if let Ok(text) = std::fs::read_to_string(&path) {
        let number = u32::from_str_radix(text.trim(), 16);
        return number.with_context(|| {
            format!(
                "{} holds no number of eight hex digits: without it orders of earlier starts cannot be told from \
                     another engine's; restore it from a backup",
                path.display()
            )
        });
    }
    let mut bytes = [0; 4];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    let number = u32::from_le_bytes(bytes);
    let mut file = std::fs::File::create_new(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    writeln!(file, "{number:08x}")?;
    file.sync_all()?;
    Ok(number)
}

/// What the `execute` thread and the detector's end of its rings are made from.
pub(super) struct Parts<'a> {
    pub(super) setup: Setup,
    pub(super) orders: Orders<Segment>,
    pub(super) limits: Limits,
    /// How far below the threshold an edge may be for its orders to be signed ahead; `None`: they are not.
    pub(super) tickets: Option<Rate>,
    pub(super) restored: Restored,
    pub(super) gateways: Gateways,
    pub(super) names: Vec<(Venue, Tag)>,
    pub(super) spares: Spares,
    pub(super) idle: Idle,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) dial: Sender<Dial>,
    pub(super) notes: Sender<String>,
    pub(super) desk: &'a SignDesk,
    pub(super) stop: Stop,
    pub(super) ending: Ending,
    pub(super) fallen: Fallen,
    /// What the venues hold is taken for ours.
    pub(super) adopts: bool,
    /// YES and NO of one market are put together.
    pub(super) merges: bool,
    pub(super) seed: u64,
}

/// The `execute` thread while it runs.
pub(super) struct Running {
    /// For the keeper.
    pub(super) events: Consumer<Event>,
    pub(super) ended: Stop,
    pub(super) gauge: Arc<LineGauge>,
    /// For the guard.
    pub(super) guard: Consumer<Note>,
    pub(super) thread: JoinHandle<()>,
}

impl Parts<'_> {
    /// Starts the thread. Its connections are dialled by `routes`.
    pub(super) fn start(self, routes: &mut Routes) -> anyhow::Result<(Booth, Running)> {
        let Self {
            setup, orders, restored, gateways, names, spares, idle, tls, dial, notes, desk, stop, fallen, ..
        } = self;
        let (ready_in, ready) = RingBuffer::new(READY_SLOTS);
        let (words, words_out) = RingBuffer::new(WORD_SLOTS);
        let (events, events_out) = RingBuffer::new(EVENT_SLOTS);
        let (guard, guard_out) = RingBuffer::new(NOTE_SLOTS);
        let (answers, dialled) = bounded(64);
        for venue in Venue::ALL {
            let site = &gateways.sites[venue as usize];
            let signs = (venue == Venue::Kalshi).then(|| desk.clone());
            for (url, stream, desk) in [(&site.rest, false, None), (&site.stream, true, signs)] {
                let authority = Place::of(url)?.authority();
                routes.insert(dial_id(venue, stream), Route { authority, desk, answers: answers.clone() });
            }
        }
        let facts = setup.markets.iter().map(|m| Facts::of(&m.terms));
        let mut executor = Executor::new(orders.journal, orders.ids, facts.collect(), orders.budget);
        executor.limit(self.limits);
        let mut trader = Trader::new(executor, gateways.both, names);
        trader.restore(restored, clock::now());
        if self.merges {
            trader.merge();
        }
        if self.adopts {
            trader.adopt();
        }
        if let TradingState::Halted(latch) = setup.state {
            fallen.fall();
            trader.ready(Ready::Halted { latch }, clock::arrival());
        }
        let (poll, waker) = lines::poller()?;
        let mut booth =
            Booth::new(setup, ready_in, words_out, (idle == Idle::Park).then_some(waker), self.ending.clone());
        if let Some(reach) = self.tickets {
            booth.detector.keep_tickets(reach);
        }
        let (gauge, ended) = (Arc::new(LineGauge::default()), Stop::default());
        let lines = LinesSetup {
            trader,
            sites: gateways.sites,
            tls,
            ready,
            words,
            events,
            notes,
            guard,
            spares,
            dial,
            dialled,
            fallen,
            gauge: gauge.clone(),
            idle,
            stop,
            ending: self.ending,
            seed: self.seed,
        };
        let over = ended.clone();
        let thread = std::thread::Builder::new().name("execute".into()).spawn(move || {
            lines::run(lines, poll).expect("the poller of the operating system works");
            over.raise();
        })?;
        Ok((booth, Running { events: events_out, ended, gauge, guard: guard_out, thread }))
    }
}
