//! The real binary trading on simulated exchanges that live in the test's own process, so that what arrived there and
//! what the accounts hold can be looked at while the engine lives, and after it died.

#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use orion::{
    cli::sim::{self, DEMO_CASH, SimArgs},
    ledger::{journal::Record, segments},
    order::Purpose,
    run::snapshot::Snapshot,
    sim::{kalshi::account::SHARDS, serve::Running},
    unit::{Money, OrderId, Outcome, Qty, Stage, Tag, Told, Trade, Venue},
    venue::kalshi::order::Names,
    watch::{
        command::{Answer, Request},
        control,
    },
};
use serde_json::Value;
use tempfile::TempDir;

/// Pairs whose markets close and pay while the test looks, and pairs that stay open. All balances of so few can be read
/// at once, as often as the engine is started.
const CLOSING: std::ops::Range<usize> = 12..22;
const STAYING: usize = 12;

/// Many small plans, and no limit that would end the trade before the test does.
const SETTINGS: [(&str, &str); 10] = [
    ("ORION_TRADING__MAX_TRADE_SIZE_PCT", "0.002"),
    ("ORION_TRADING__MIN_TRADE_SIZE_USD", "10"),
    ("ORION_TRADING__COOLDOWN_S", "1"),
    ("ORION_RISK__MAX_OPEN_POSITIONS", "1000"),
    ("ORION_RISK__MAX_ORDERS_PER_SECOND", "100"),
    ("ORION_RISK__MAX_EXPOSURE_PER_EVENT", "1"),
    ("ORION_RISK__MAX_DAILY_LOSS_PCT", "1"),
    ("ORION_RISK__MAX_DRAWDOWN_PCT", "1"),
    ("ORION_RISK__MAX_CONSECUTIVE_REFUSALS", "1000"),
    ("ORION_RISK__MAX_ERROR_RATE", "1"),
];

pub struct Town {
    pub exchanges: Running,
    folder: TempDir,
}

/// A market by its venue and the venue's name.
pub type Market = (Venue, String);

/// What an account holds and what its cash moved by, as one side counts it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Books {
    /// Millionths of a contract; what is zero is left out.
    pub held: BTreeMap<(Market, Outcome), i128>,
    pub flow: BTreeMap<Venue, Money>,
}

/// What a journal says of orders and money.
#[derive(Debug, Default)]
pub struct Story {
    pub starts: u32,
    /// Every order, entries and hedges.
    pub orders: BTreeSet<OrderId>,
    pub entries: BTreeSet<OrderId>,
    pub entry_digests: BTreeSet<[u8; 32]>,
    /// Polymarket's digests.
    pub digests: BTreeSet<[u8; 32]>,
    pub books: Books,
}

impl Town {
    pub fn new(seed: u64, speed: u32, order_chaos: u32) -> Self {
        Self::with(seed, speed, order_chaos, false)
    }

    /// With connections for market data that break in every way there is.
    pub fn with(seed: u64, speed: u32, order_chaos: u32, chaos: bool) -> Self {
        let folder =
            tempfile::Builder::new().disable_cleanup(std::env::var_os("ORION_KEEP").is_some()).tempdir().unwrap();
        let dir = folder.path().join("sim");
        let args =
            SimArgs { dir: dir.clone(), seed, speed, chaos, order_chaos, no_tls: false, port: 0, duration: None };
        let exchanges = sim::open(&args).unwrap();
        let sheet = dir.join("sim.json");
        let mut written: Value = serde_json::from_slice(&std::fs::read(&sheet).unwrap()).unwrap();
        let pairs = written["pairs"].as_array().unwrap();
        let chosen: Vec<Value> = pairs[CLOSING].iter().chain(&pairs[pairs.len() - STAYING..]).cloned().collect();
        written["pairs"] = chosen.into();
        std::fs::write(&sheet, written.to_string()).unwrap();
        Self { exchanges, folder }
    }

    /// Where the exchanges' addresses and keys lie.
    pub fn sim(&self) -> PathBuf {
        self.folder.path().join("sim")
    }

    /// The pairs' markets on a venue, as it names them.
    pub fn names(&self, venue: Venue) -> Vec<String> {
        let sheet: Value = serde_json::from_slice(&std::fs::read(self.sim().join("sim.json")).unwrap()).unwrap();
        let key = if venue == Venue::Kalshi { "ticker" } else { "condition_id" };
        sheet["pairs"].as_array().unwrap().iter().map(|pair| pair[key].as_str().unwrap().to_owned()).collect()
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state/demo")
    }

    /// A folder for whatever else a test keeps.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The binary with this town's settings.
    pub fn orion(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orion"));
        command.arg("--config").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config/orion.toml"));
        command.arg("--state-dir").arg(self.folder.path().join("state")).args(args);
        command.env_remove("ORION_KILLS").env_remove("ORION_SEED").envs(SETTINGS);
        command
    }

    /// Starts the engine. What it says goes to `told`.
    pub fn start(&self) -> Engine {
        self.start_as(&[])
    }

    /// The same with further flags.
    pub fn start_as(&self, flags: &[&str]) -> Engine {
        self.start_under(flags, &[])
    }

    /// The same with further variables, as a service manager sets them.
    pub fn start_under(&self, flags: &[&str], variables: &[(&str, String)]) -> Engine {
        let told = File::create(self.folder.path().join("told")).unwrap();
        let sim = self.folder.path().join("sim");
        let mut command = self.orion(&["--log-level", "warn", "demo", "--json", "--resume", "--sim"]);
        let child = {
            command.arg(sim).args(flags).envs(variables.iter().cloned());
            command.stdout(told.try_clone().unwrap()).stderr(told).stdin(Stdio::null()).spawn()
        };
        Engine { child: Some(child.unwrap()), state: self.state() }
    }

    /// What the last engine said.
    pub fn told(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("told")).unwrap()
    }

    pub fn output(&self, args: &[&str]) -> Output {
        self.orion(args).output().unwrap()
    }

    /// The numbers of orders that arrived at Kalshi, in order; every one of them is this installation's.
    pub fn arrived_at_kalshi(&self) -> Vec<OrderId> {
        let number = std::fs::read_to_string(self.state().join("instance")).unwrap();
        let names = Names { instance: u32::from_str_radix(number.trim(), 16).unwrap() };
        let seen = self.exchanges.with_kalshi(|desk| desk.check().seen().to_vec());
        seen.iter().map(|seen| names.read(&seen.client_order_id).expect("an order of ours")).collect()
    }

    /// The digests of orders that arrived at Polymarket, in order.
    pub fn arrived_at_polymarket(&self) -> Vec<[u8; 32]> {
        self.exchanges.with_polymarket(|desk, _, _| desk.audit().seen().iter().map(|seen| seen.id.0).collect())
    }

    /// Entries that arrived at either venue after the latch's file says that it fell, in words. What was on its way
    /// then gets a tenth of a second.
    pub fn entries_after_the_latch(&self) -> Vec<String> {
        let latch = std::fs::read_to_string(self.state().join("latch")).unwrap();
        let fell = latch.lines().find_map(|line| line.strip_prefix("at ")?.split(' ').next()?.parse().ok());
        let late: u64 = fell.map(|fell: u64| fell + 100).expect("the file says when");
        let story = self.story();
        let kalshi: Vec<u64> =
            self.exchanges.with_kalshi(|desk| desk.check().seen().iter().map(|s| s.at.raw()).collect());
        let at_kalshi = self.arrived_at_kalshi().into_iter().zip(kalshi);
        let kalshi = at_kalshi.filter(|(id, at)| story.entries.contains(id) && late < *at);
        let polymarket: Vec<([u8; 32], u64)> = self
            .exchanges
            .with_polymarket(|desk, _, _| desk.audit().seen().iter().map(|s| (s.id.0, s.at.raw())).collect());
        let polymarket = polymarket.into_iter().filter(|(id, at)| story.entry_digests.contains(id) && late < *at);
        let kalshi = kalshi.map(|(id, at)| format!("{id} at Kalshi, {} ms after the latch", at + 100 - late));
        kalshi.chain(polymarket.map(|(_, at)| format!("one at Polymarket, {} ms after", at + 100 - late))).collect()
    }

    /// What should never have arrived, of either venue, in words.
    pub fn violations(&self) -> Vec<String> {
        let kalshi = self.exchanges.violations();
        let polymarket = self.exchanges.with_polymarket(|desk, _, _| desk.audit().violations().to_vec());
        kalshi.iter().map(|v| format!("{v:?}")).chain(polymarket.iter().map(|v| format!("{v:?}"))).collect()
    }

    /// What the exchanges' own accounts say. What markets have paid is redeemed first, and matches that are not final
    /// count as they will end.
    pub fn truth(&self) -> Books {
        let mut books = Books::default();
        let settled: BTreeSet<_> = self.exchanges.settlements().into_iter().map(|s| (s.venue, s.market)).collect();
        self.exchanges.kalshi_account(|desk, world| {
            let cash: Money = (0..SHARDS).map(|shard| desk.cash(world, 0, 0, shard)).sum();
            let opening = Money::micros(i64::from(SHARDS) * orion::sim::serve::DEMO_CASH.raw());
            books.flow.insert(Venue::Kalshi, cash - opening);
            for (at, market) in world.catalog().kalshi.iter().enumerate() {
                let position = desk.position(world, 0, 0, at);
                let outcome = if position < 0 { Outcome::No } else { Outcome::Yes };
                books.hold((Venue::Kalshi, market.ticker.clone()), outcome, i128::from(position.abs()));
            }
        });
        self.exchanges.with_polymarket(|desk, world, _| {
            for at in 0..world.catalog().polymarket.len() {
                let name = world.catalog().polymarket[at].condition_id.clone();
                if settled.contains(&(Venue::Polymarket, name.clone())) {
                    let _ = desk.redeem(0, at, world);
                }
                for (number, outcome) in [(0, Outcome::Yes), (1, Outcome::No)] {
                    let qty = desk.wallet(0).expected(at, number);
                    books.hold((Venue::Polymarket, name.clone()), outcome, i128::from(qty.micros()));
                }
            }
            let wallet = desk.wallet(0);
            books.flow.insert(Venue::Polymarket, wallet.cash - wallet.locked_cash - DEMO_CASH);
        });
        books
    }

    /// Where the journal and the exchanges' own accounts do not agree. What paid after the engine ended is paid here.
    pub fn unequal(&self, story: &Story) -> Vec<String> {
        let truth = self.truth();
        let mut ours = story.books.clone();
        for paid in self.exchanges.settlements() {
            ours.pay(&(paid.venue, paid.market), paid.yes_payout);
        }
        let mut odd = Vec::new();
        for key in ours.held.keys().chain(truth.held.keys()).collect::<BTreeSet<_>>() {
            let (here, there) = (ours.held.get(key), truth.held.get(key));
            if here != there {
                odd.push(format!("{key:?}: {here:?} in the journal, {there:?} at the exchange"));
            }
        }
        for venue in Venue::ALL {
            let (here, there) = (ours.flow.get(&venue).copied().unwrap_or(Money::ZERO), truth.flow[&venue]);
            if here != there {
                odd.push(format!("{venue}: cash moved by {here:#} in the journal, by {there:#} at the exchange"));
            }
        }
        odd
    }

    /// The journal, read by nothing but its records.
    pub fn story(&self) -> Story {
        let (records, _) = segments::read(&self.state().join("journal")).unwrap();
        let mut story = Story::default();
        let mut names: BTreeMap<u32, Market> = BTreeMap::new();
        let (mut asked, mut filled) = (BTreeMap::new(), BTreeMap::new());
        let mut trades: BTreeMap<(Market, String), Trade> = BTreeMap::new();
        let mut order: Vec<Happened> = Vec::new();
        for (_, record) in records {
            match record {
                Record::Opened { .. } => story.starts += 1,
                Record::Market { id, venue, name } => _ = names.insert(id.0, (venue, name.to_string())),
                Record::Intended { ask, digest, .. } => {
                    assert!(story.orders.insert(ask.id), "order {} is intended twice", ask.id);
                    if ask.purpose == Purpose::Entry {
                        story.entries.insert(ask.id);
                        story.entry_digests.extend(digest);
                    }
                    if let Some(digest) = digest {
                        assert!(story.digests.insert(digest), "a digest is intended twice");
                    }
                    asked.insert(ask.id, (names[&ask.market.0].clone(), ask));
                }
                Record::Told { order: id, told: Told::Trade(mut trade), .. } => {
                    let (market, ask) = &asked[&id];
                    if trade.outcome != ask.outcome {
                        // Kalshi's words for the same trade.
                        trade.price = trade.price.complement();
                        (trade.outcome, trade.bought) = (ask.outcome, ask.buys);
                    }
                    let key = (market.clone(), tag(&trade.tag));
                    if !trades.contains_key(&key) {
                        // One match told under two ids is a lie of the exchange: more than was asked for cannot be.
                        let sum = *filled.entry(id).or_insert(0_u64) + trade.qty.micros();
                        if ask.qty.micros() + 10_000 < sum {
                            continue;
                        }
                        filled.insert(id, if trade.stage == Stage::Failed { filled[&id] } else { sum });
                        order.push(Happened::Traded(key.clone()));
                    }
                    let known = trades.entry(key).or_insert(trade);
                    known.stage = known.stage.max(trade.stage);
                    known.fee = trade.fee.or(known.fee);
                }
                Record::Adopted { market, held, .. } => {
                    order.push(Happened::Adopted(names[&market.0].clone(), held));
                }
                Record::Paid { market, yes_payout, .. } => {
                    order.push(Happened::Paid(names[&market.0].clone(), yes_payout));
                }
                _ => {}
            }
        }
        for happened in order {
            match happened {
                Happened::Traded(key) => {
                    let trade = trades[&key];
                    if trade.stage != Stage::Failed {
                        story.books.trade(&key.0, &trade);
                    }
                }
                Happened::Paid(market, yes_payout) => story.books.pay(&market, yes_payout),
                Happened::Adopted(market, held) => {
                    for (outcome, qty) in [(Outcome::Yes, held[0]), (Outcome::No, held[1])] {
                        story.books.hold(market.clone(), outcome, i128::from(qty.micros()));
                    }
                }
            }
        }
        story
    }
}

enum Happened {
    Traded((Market, String)),
    Paid(Market, Money),
    Adopted(Market, [Qty; 2]),
}

fn tag(tag: &Tag) -> String {
    tag.as_str().to_owned()
}

impl Books {
    fn hold(&mut self, market: Market, outcome: Outcome, qty: i128) {
        if qty == 0 {
            self.held.remove(&(market, outcome));
        } else {
            self.held.insert((market, outcome), qty);
        }
    }

    fn of(&self, market: &Market, outcome: Outcome) -> i128 {
        self.held.get(&(market.clone(), outcome)).copied().unwrap_or(0)
    }

    fn move_cash(&mut self, venue: Venue, amount: Money) {
        *self.flow.entry(venue).or_insert(Money::ZERO) += amount;
    }

    fn trade(&mut self, market: &Market, trade: &Trade) {
        let fee = trade.fee.unwrap();
        let qty = i128::from(trade.qty.micros());
        let before = self.of(market, trade.outcome);
        let (after, cash) = if trade.bought {
            (before + qty, -trade.price.cost(trade.qty) - fee)
        } else {
            (before - qty, trade.price.proceeds(trade.qty) - fee)
        };
        self.hold(market.clone(), trade.outcome, after);
        self.move_cash(market.0, cash);
        // On Kalshi a YES and a NO are a dollar at once.
        let both = self.of(market, Outcome::Yes).min(self.of(market, Outcome::No));
        if market.0 == Venue::Kalshi && both != 0 {
            for outcome in [Outcome::Yes, Outcome::No] {
                self.hold(market.clone(), outcome, self.of(market, outcome) - both);
            }
            self.move_cash(market.0, Money::micros(i64::try_from(both).unwrap()));
        }
    }

    fn pay(&mut self, market: &Market, yes_payout: Money) {
        for (outcome, each) in [(Outcome::Yes, yes_payout), (Outcome::No, Money::dollars(1) - yes_payout)] {
            let exact = self.of(market, outcome) * i128::from(each.raw()) / 1_000_000;
            // Kalshi pays whole cents.
            let paid = if market.0 == Venue::Kalshi { exact / 10_000 * 10_000 } else { exact };
            self.hold(market.clone(), outcome, 0);
            self.move_cash(market.0, Money::micros(i64::try_from(paid).unwrap()));
        }
    }
}

/// A running engine. It does not outlive the test.
pub struct Engine {
    child: Option<Child>,
    state: PathBuf,
}

impl Engine {
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// What it says of itself; `None` while it does not answer.
    pub fn status(&self) -> Option<Snapshot> {
        status(&self.state).filter(|status| status.pid == self.pid())
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Has it ended by itself?
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().unwrap().try_wait().unwrap()
    }

    /// How it ended.
    pub fn wait(mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn status(state: &Path) -> Option<Snapshot> {
    match control::ask(state, Request::Status) {
        Ok(Some(Answer::Status { status })) => Some(*status),
        _ => None,
    }
}

/// Waits for something that another process does; `None` if it does not come in time.
#[expect(clippy::disallowed_methods, reason = "a deadline for another process")]
pub fn until<T>(patience: Duration, mut reached: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(found) = reached() {
            return Some(found);
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    None
}

/// Lets the others work for a while.
pub fn let_pass(span: Duration) {
    until(span, || None::<()>);
}
