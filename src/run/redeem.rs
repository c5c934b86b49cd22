//! Winners on Polymarket become money only when somebody redeems them (dossier 7.5): a cold thread looks at what the
//! wallet holds, and has the relayer turn what markets have paid into dollars.
//!
//! It keeps no state of its own. What is still redeemable is asked anew each time, and redeeming twice brings nothing a
//! second time; so a lost answer, a crash and a second engine do no harm. One transaction at a time: the relayer takes
//! no more, and while one is in doubt the next waits until it cannot come any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender};
use reqwest::{Method, header::HeaderMap};

use super::{accounts, boot::Endpoints, clock, ring::Stop, sign::SignDesk};
use crate::{
    ledger::audit::AuditReader,
    unit::{Nanos, Qty, Venue},
    venue::{
        polymarket::{
            call::{Call, Condition},
            catalog::Version,
            contract::Chain,
            portfolio::{self, Position, Progress},
            sign::ApiSigner,
        },
        rest::{Rest, RestError},
    },
};

/// How often the wallet is looked at.
const EVERY: Nanos = Nanos::secs(30);
/// How often the relayer is asked for a transaction, and how long at most.
const POLL: Duration = Duration::from_secs(2);
const POLLS_MAX: u32 = 100;
/// A signed transaction is dead after this: only then may the next one follow one whose answer was lost.
const DEAD_AFTER: Nanos = Nanos::secs(660);
/// Calls in one transaction.
const CALLS_MAX: usize = 10;
/// Pages of positions: far more than any wallet has.
const PAGES_MAX: usize = 100;

/// Whose winners, and where they lie.
pub struct RedeemSetup {
    pub endpoints: Endpoints,
    pub chain: Chain,
    /// The key's address, and the wallet that it trades for.
    pub owner: String,
    pub funder: String,
    pub api: ApiSigner,
    pub desk: SignDesk,
    /// The engine's markets by the venue's name for their condition. Others are not its to redeem.
    pub markets: BTreeMap<String, Condition>,
    /// The audit trail: what it has booked as paid may be redeemed. Before that the tokens are what the journal holds.
    pub database: PathBuf,
    /// YES and NO that the executor wants put together, each named once: its record came first, and only the wallet
    /// says what became of it.
    pub merges: Receiver<(String, Qty)>,
    pub stop: Stop,
    pub notes: Sender<String>,
    /// Markets that have paid and could not be redeemed.
    pub unredeemed: Arc<AtomicU64>,
}

/// Starts the thread.
pub fn start(setup: RedeemSetup) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let [data, relayer, clob] = [&setup.endpoints.data, &setup.endpoints.relayer, &setup.endpoints.clob];
    let rest = |base: &str| accounts::rest(base, &setup.endpoints);
    let hosts = Hosts { data: rest(data)?, relayer: rest(relayer)?, clob: rest(clob)? };
    let thread = std::thread::Builder::new().name("redeem".into()).spawn(move || {
        let mut due = clock::now() + EVERY;
        while !setup.stop.raised() {
            if let Ok((market, qty)) = setup.merges.try_recv() {
                let wait = runtime.block_on(setup.merge(&hosts, &market, qty));
                due = due.max(clock::now() + wait);
            }
            if due <= clock::now() {
                let wait = runtime.block_on(setup.round(&hosts));
                due = clock::now() + wait;
            }
            std::thread::park_timeout(Duration::from_millis(200));
        }
    })?;
    Ok(thread)
}

struct Hosts {
    data: Rest,
    relayer: Rest,
    clob: Rest,
}

impl RedeemSetup {
    /// One look, and one transaction if there is anything to redeem; when to look again.
    async fn round(&self, hosts: &Hosts) -> Nanos {
        let won = match self.won(hosts).await {
            Ok(won) if won.is_empty() => {
                self.unredeemed.store(0, Ordering::Relaxed);
                return EVERY;
            }
            Ok(won) => won,
            Err(error) => {
                self.note(format!("what can be redeemed could not be read: {error}"));
                return EVERY;
            }
        };
        let markets = won.iter().map(|position| position.condition.as_str()).collect::<BTreeSet<_>>();
        let count = markets.len();
        let mut calls: Vec<Call> = Vec::new();
        for position in &won {
            let call = self.markets[&position.condition].redeem(position.outcome, position.qty);
            // Of an older market one call redeems both outcomes.
            if !calls.contains(&call) && calls.len() < CALLS_MAX {
                calls.push(call);
            }
        }
        let sent = self.send(hosts, calls).await;
        if !matches!(sent, Ok(Some(Progress::Confirmed))) {
            self.unredeemed.store(count as u64, Ordering::Relaxed);
        }
        match sent {
            Ok(Some(Progress::Confirmed)) => {
                self.unredeemed.store(0, Ordering::Relaxed);
                self.note(format!("redeemed what {count} market(s) have paid on Polymarket"));
                Nanos::ZERO
            }
            Ok(Some(_)) => {
                self.note(format!("redeeming {count} market(s) on Polymarket failed on chain; it is tried again"));
                EVERY
            }
            Ok(None) => {
                self.note(format!("{count} market(s) wait to be redeemed by hand: this wallet cannot use the relayer"));
                DEAD_AFTER
            }
            Err(error) => {
                self.note(format!("{count} market(s) wait to be redeemed on Polymarket: {error}"));
                // The relayer's own no is an answer; after silence the transaction may still come.
                if matches!(error, RestError::Status { status: 400..=499, .. }) { EVERY } else { DEAD_AFTER }
            }
        }
    }

    /// Sends the transaction that puts YES and NO of a market together, once; when the next one may follow.
    async fn merge(&self, hosts: &Hosts, market: &str, qty: Qty) -> Nanos {
        let Some(condition) = self.markets.get(market) else { return Nanos::ZERO };
        match self.send(hosts, vec![condition.merge(qty)]).await {
            Ok(Some(Progress::Confirmed)) => Nanos::ZERO,
            Ok(_) => EVERY,
            Err(error) => {
                self.note(format!("{market}: YES and NO could not be put together: {error}"));
                if matches!(error, RestError::Status { status: 400..=499, .. }) { EVERY } else { DEAD_AFTER }
            }
        }
    }

    /// What the wallet holds of our markets and can be redeemed.
    async fn won(&self, hosts: &Hosts) -> Result<Vec<Position>, RestError> {
        let paid = self.paid();
        if paid.is_empty() {
            return Ok(Vec::new());
        }
        let (mut won, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let mut query = vec![("user", self.funder.clone())];
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let body = hosts.data.get(portfolio::POSITIONS, &query).await?;
            let page = portfolio::positions(&body)
                .map_err(|refused| RestError::Unreadable { path: portfolio::POSITIONS.into(), refused })?;
            let ours = |position: &Position| {
                position.redeemable
                    && paid.contains(&position.condition)
                    && self.markets.contains_key(&position.condition)
            };
            won.extend(page.items.into_iter().filter(|position| Qty::ZERO < position.qty && ours(position)));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(won)
    }

    /// Markets whose payout is booked. A database that cannot be read now is read in the next round.
    fn paid(&self) -> BTreeSet<String> {
        let settled = AuditReader::open(&self.database).and_then(|reader| reader.settlements());
        let ours = settled.unwrap_or_default().into_iter().filter(|settled| settled.venue == Venue::Polymarket);
        ours.map(|settled| settled.market).collect()
    }

    /// Sends one transaction and waits for its end; `None` where the wallet cannot use the relayer.
    async fn send(&self, hosts: &Hosts, calls: Vec<Call>) -> Result<Option<Progress>, RestError> {
        let unread = |path: &'static str| move |refused| RestError::Unreadable { path: path.into(), refused };
        let query = [("address", self.owner.clone()), ("type", "WALLET".to_owned())];
        let body = hosts.relayer.get(portfolio::PARAMS, &query).await?;
        let nonce = portfolio::nonce(&body).map_err(unread(portfolio::PARAMS))?;
        let Some(body) = self.desk.relay(calls, nonce, self.chain, clock::unix()) else { return Ok(None) };
        let plain = |_: &str| Ok(HeaderMap::new());
        let answer = hosts.relayer.change(Method::POST, portfolio::SUBMIT, body.into_bytes(), plain).await?;
        let (id, mut progress) = portfolio::progress(&answer).map_err(unread(portfolio::SUBMIT))?;
        for _ in 0..POLLS_MAX {
            if progress != Progress::Underway || self.stop.raised() {
                break;
            }
            tokio::time::sleep(POLL).await;
            // A question that fails is asked again.
            let Ok(body) = hosts.relayer.get(&portfolio::transaction(&id), &[]).await else { continue };
            progress = portfolio::progress(&body).map_err(unread("/v1/account/transactions"))?.1;
        }
        // The venue looks at the chain again, so that the money can be spent.
        let path = "/balance-allowance/update";
        let sign = |full: &str| accounts::headers(&self.api.sign(clock::unix(), "GET", full, "").pairs());
        let query = [("asset_type", "COLLATERAL".to_owned())];
        if let Err(error) = hosts.clob.get_signed(path, &query, sign).await {
            self.note(format!("Polymarket was not told of the redeemed money: {error}"));
        }
        Ok(Some(progress))
    }

    fn note(&self, text: String) {
        let _ = self.notes.try_send(text);
    }
}

/// What a market's tokens are called where they are redeemed; outcomes come with the call.
pub fn conditions<'a>(markets: impl Iterator<Item = (&'a str, bool, bool)>) -> BTreeMap<String, Condition> {
    let of = |(name, v2, neg_risk): (&str, bool, bool)| {
        let mut bytes = [0; 32];
        let digits = name.strip_prefix("0x")?;
        alloy_primitives::hex::decode_to_slice(digits, &mut bytes).ok()?;
        let version = if v2 { Version::V2 } else { Version::V1 };
        Some((name.to_owned(), Condition::new(version, neg_risk, bytes)?))
    };
    markets.filter_map(of).collect()
}
