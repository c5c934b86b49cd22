//! A cold thread that looks after the accounts beside the orders: may they open anything, where does the money lie, and
//! what people ask to be moved between Kalshi's shards.

use std::{
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender};
use reqwest::Method;

use super::{
    accounts, clock,
    eligible::{Asker, Finding},
    event::Control,
    rebalance::{self, Standing, Transfer},
    ring::Stop,
    sign::SignDesk,
    snapshot::Snapshot,
};
use crate::{
    config::Capital,
    unit::{Money, Nanos, Venue},
    venue::{
        kalshi::{gateway::SignCalls as _, money},
        rest::{Rest, RestError},
    },
};

/// How often the accounts are asked whether they may open anything.
const ASK_EVERY: Nanos = Nanos::secs(60);
/// The first look at where the money lies: both accounts have been read by then.
const FIRST_LOOK: Nanos = Nanos::secs(30);
/// So much of all there is may lie wrong before anybody is told, in millionths.
const TOLERANCE_PPM: u32 = 50_000;

/// A transfer between two shards of Kalshi's, on a person's word, and where the answer goes.
#[derive(Debug)]
pub struct Order {
    pub from: u8,
    pub to: u8,
    pub amount: Money,
    pub answer: Sender<Result<String, String>>,
}

/// Everything the thread is made from.
pub struct TreasurySetup {
    pub asker: Asker,
    /// What the start found.
    pub findings: Vec<Finding>,
    pub kalshi: Rest,
    pub desk: SignDesk,
    pub capital: Capital,
    /// Only looks: transfers are never made.
    pub reads_only: bool,
    pub snapshot: Arc<Mutex<Snapshot>>,
    pub orders: Receiver<Order>,
    pub told: Sender<(Vec<String>, Vec<String>)>,
    pub controls: Sender<Control>,
    pub notes: Sender<String>,
    pub stop: Stop,
}

/// Starts the thread.
pub fn start(mut setup: TreasurySetup) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("treasury".into()).spawn(move || {
        let began = clock::now();
        let (mut asked, mut looked) = (began, Nanos::ZERO);
        let mut advice = Vec::new();
        let findings = std::mem::take(&mut setup.findings);
        setup.judge(&findings);
        setup.findings = findings;
        setup.tell(&advice);
        while !setup.stop.raised() {
            while let Ok(order) = setup.orders.try_recv() {
                let done = runtime.block_on(setup.ordered(&order));
                // Whoever asked may have gone.
                let _ = order.answer.try_send(done);
            }
            let now = clock::now();
            if ASK_EVERY <= now.since(asked) {
                asked = now;
                let (findings, unknown) = runtime.block_on(setup.asker.ask(&setup.findings));
                for error in unknown {
                    tracing::debug!("what an account may do could not be asked: {error}");
                }
                setup.renew(findings);
                setup.tell(&advice);
            }
            let due = if looked == Nanos::ZERO { FIRST_LOOK } else { setup.capital.rebalance_every };
            if due <= now.since(looked.max(began)) {
                looked = now;
                if let Some(found) = runtime.block_on(setup.look()) {
                    advice = found;
                    setup.tell(&advice);
                }
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    })?;
    Ok(thread)
}

impl TreasurySetup {
    /// Takes in what was found, and tells the detector what it changes.
    fn renew(&mut self, findings: Vec<Finding>) {
        if findings == self.findings {
            return;
        }
        for finding in findings.iter().filter(|finding| !self.findings.contains(finding)) {
            tracing::warn!("{finding}");
            let _ = self.notes.try_send(finding.to_string());
        }
        self.judge(&findings);
        self.findings = findings;
    }

    fn judge(&self, findings: &[Finding]) {
        for venue in Venue::ALL {
            let eligible = findings.iter().all(|finding| finding.stops() != Some(venue));
            let _ = self.controls.send(Control::Eligible { venue, eligible });
        }
    }

    fn tell(&self, advice: &[String]) {
        let findings = self.findings.iter().map(|finding| {
            let mark = if finding.stops().is_some() { "✘" } else { "!" };
            format!("{mark} {finding}")
        });
        let _ = self.told.try_send((findings.collect(), advice.to_vec()));
    }

    /// Where the money lies, as lines; `None` where that is not known now.
    async fn look(&self) -> Option<Vec<String>> {
        let standing = self.standing()?;
        let percent = match self.percent().await {
            Ok(percent) => percent,
            Err(error) => {
                tracing::debug!("Kalshi's own allocation could not be read: {error}");
                return None;
            }
        };
        let transfers = rebalance::advise(&standing, self.capital.kalshi_allocation_ppm, &percent, TOLERANCE_PPM);
        let mut advice = Vec::new();
        if !percent.is_empty() && 1 < standing.kalshi.len() {
            let shares: Vec<_> = percent.iter().map(|(shard, percent)| format!("shard {shard} {percent} %")).collect();
            advice.push(format!("Kalshi itself spreads cash over its shards: {}", shares.join(", ")));
        }
        for transfer in transfers {
            match transfer {
                Transfer::Shards { from, to, amount } if self.capital.shard_transfers && !self.reads_only => {
                    match self.transfer(from, to, amount).await {
                        Ok(id) => {
                            let _ = self.notes.try_send(format!("{}: transfer {id}", transfer.text()));
                        }
                        Err(error) => advice.push(format!("{}; tried and refused: {error}", transfer.text())),
                    }
                }
                _ => advice.push(transfer.text()),
            }
        }
        for line in &advice {
            let _ = self.notes.try_send(format!("advice: {line}"));
        }
        Some(advice)
    }

    fn standing(&self) -> Option<Standing> {
        let status = self.snapshot.lock().ok()?;
        let mut standing = Standing::default();
        for balance in &status.balances {
            let cash = Money::micros(balance.cash);
            if balance.venue == Venue::Kalshi.name() {
                standing.kalshi.push((balance.shard, cash));
            } else {
                standing.polymarket += cash;
            }
        }
        standing.held = status.held.map(Money::micros);
        (!standing.kalshi.is_empty()).then_some(standing)
    }

    async fn percent(&self) -> Result<Vec<(u8, u32)>, RestError> {
        let body = self.kalshi.get_signed(money::ALLOCATION, &[], |path| self.signed("GET", path)).await?;
        money::parse_allocation(&body)
            .map_err(|refused| RestError::Unreadable { path: money::ALLOCATION.into(), refused })
    }

    /// Moves cash between two shards: once, and never again by itself.
    async fn transfer(&self, from: u8, to: u8, amount: Money) -> Result<String, RestError> {
        let body = money::write_transfer(from, to, amount);
        let answer = self.kalshi.change(Method::POST, money::TRANSFER, body, |path| self.signed("POST", path)).await?;
        money::parse_transfer(&answer)
            .map_err(|refused| RestError::Unreadable { path: money::TRANSFER.into(), refused })
    }

    async fn ordered(&self, order: &Order) -> Result<String, String> {
        if self.reads_only {
            return Err("this engine only reads: nothing is moved".into());
        }
        if order.from == order.to {
            return Err("both shards are the same one".into());
        }
        match self.transfer(order.from, order.to, order.amount).await {
            Ok(id) => Ok(format!("Kalshi accepted transfer {id}; the cash arrives within seconds")),
            Err(RestError::Status { status: 403, .. }) => {
                Err("Kalshi's key may not move money (write::transfer): move it on the venue's site, or use such a key"
                    .into())
            }
            Err(RestError::Status { status, excerpt, .. }) => {
                Err(format!("Kalshi refused it (HTTP {status}): {excerpt}"))
            }
            Err(error) => Err(format!(
                "no answer came, so it may have been made: look at the balances before asking again ({error})"
            )),
        }
    }

    fn signed(&self, method: &'static str, path: &str) -> Result<reqwest::header::HeaderMap, String> {
        let signed = self.desk.signer().sign(clock::unix(), method, path).ok_or("the sign thread does not answer")?;
        accounts::headers(&signed.pairs())
    }
}
