//! Which events a person is told of away from the screen, and in which words.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
};

use super::{Keeper, Snapshot};
use crate::{
    decide::Quote,
    ledger::audit::Alert,
    order::plan::Ending,
    risk::{Latch, TradingState},
    run::{
        clock,
        event::{Event, What},
        notice::Source,
        snapshot::AlertCount,
    },
    spread::Direction,
    unit::{AlertKind, MarketId, Money, Nanos, PairId, Qty, UnixMs, Venue},
    wire::Canary,
};

/// The trouble that a fallen latch is.
const HALTED: &str = "halted";
/// A venue without a connection for so long is told.
const FEED_DOWN: Nanos = Nanos::secs(30);
/// Opportunities that were told and are not over; beyond it a second telling does no harm.
const TOLD_MAX: usize = 10_000;

/// What is remembered to tell things once, and to tell them well.
pub(super) struct Notifier {
    source: Source,
    /// Opportunities that were told.
    told: HashSet<u64>,
    /// When each leg of an open plan was first filled.
    filled: HashMap<u64, [Option<UnixMs>; 2]>,
    /// Since when a venue has no connection, and whether that was told.
    down: [(Option<Nanos>, bool); 2],
    short: [bool; 2],
    unwritable: bool,
    found: Vec<String>,
}

impl Notifier {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            told: HashSet::new(),
            filled: HashMap::new(),
            down: [(None, false); 2],
            short: [false; 2],
            unwritable: false,
            found: Vec::new(),
        }
    }

    /// What became of alerts since the start.
    pub(super) fn counts(&self) -> Vec<AlertCount> {
        self.source.counts.shown()
    }
}

/// An alert that has no number yet.
fn alert(at: UnixMs, kind: AlertKind, key: &str, headline: String) -> Alert {
    let (text, figures) = (String::new(), String::new());
    Alert { id: 0, at, kind, key: key.into(), headline, text, figures, about: None }
}

impl Keeper {
    fn raise(&mut self, alert: Alert) {
        let Some(notifier) = &mut self.notifier else { return };
        for row in notifier.source.raise(alert) {
            self.push(row);
        }
    }

    /// One line and a sentence.
    fn say(&mut self, at: UnixMs, kind: AlertKind, key: &str, headline: &str, text: String) {
        self.raise(Alert { text, ..alert(at, kind, key, headline.into()) });
    }

    /// The engine has begun.
    pub(super) fn greet(&mut self) {
        if self.notifier.is_none() {
            return;
        }
        let (at, status) = (clock::unix(), &self.status);
        let mut text = format!("{} pairs, {} of them barred.", status.pairs, status.barred);
        if let Some(armed) = status.armed {
            let _ = write!(text, " Live trading is {}.", if armed { "armed" } else { "not armed" });
        }
        let headline = format!("started, {}", state_of(status));
        // A latch that was found fallen is told as what it is: nobody may have seen it fall.
        let halted = (status.state == "halted").then(|| status.latch.clone().unwrap_or_default());
        self.say(at, AlertKind::Startup, "", &headline, text);
        if self.setup.crashed {
            let text = "The run before ended without a farewell: a crash, a kill of the process or a power cut.";
            self.say(at, AlertKind::Health, "crashed", "started again after a crash", text.into());
        }
        if let Some(latch) = halted {
            self.say_halted(at, &latch);
        }
    }

    /// The engine has ended. What is still on its way to people gets a moment.
    pub(super) fn part(&mut self) {
        let Some(notifier) = &mut self.notifier else { return };
        let status = &self.status;
        let mut text = format!("{} positions are held", status.positions);
        let _ = write!(text, ", {} locked in them.", Money::micros(status.locked));
        let last = Alert { text, ..alert(clock::unix(), AlertKind::Shutdown, "", "stopped".into()) };
        for row in notifier.source.farewell(Some(last)) {
            self.push(row);
        }
    }

    /// What came back of alerts, for the database.
    pub(super) fn returned(&mut self) {
        let Some(notifier) = &mut self.notifier else { return };
        for row in notifier.source.take() {
            self.push(row);
        }
    }

    /// Everything that waited was written, or never will be.
    pub(super) fn wrote(&mut self) {
        if let Some(notifier) = &mut self.notifier {
            notifier.source.wrote();
        }
    }

    /// Tells what an event means, before it is booked.
    pub(super) fn notify(&mut self, event: &Event) {
        if self.notifier.is_none() {
            return;
        }
        let at = event.at;
        match event.what {
            What::Sighted { id, pair, direction, quote, .. } => self.notify_edge(at, id, pair, direction, &quote),
            What::Ended { id } => {
                if let Some(notifier) = &mut self.notifier {
                    notifier.told.remove(&id);
                }
            }
            What::Filled { plan, fill } => {
                if let Some(notifier) = &mut self.notifier {
                    let first = &mut notifier.filled.entry(plan).or_default()[fill.venue as usize];
                    *first = first.or(Some(at));
                }
            }
            What::PlanEnded { id, sighting, paired, naked, unwound, state } => {
                self.notify_plan(at, id, sighting, paired, naked, unwound, state);
            }
            What::Settled { market, yes_payout, paid, result, .. } => {
                let sign = mark(result);
                let headline = format!("{sign} SETTLED  {}", signed(result));
                let title = self.title_of(market);
                let figures = format!("{title}\nYES pays {yes_payout} · received {paid}");
                self.raise(Alert { figures, ..alert(at, AlertKind::Settlement, "", headline) });
            }
            What::Voided { fill, .. } => {
                let text = format!("{}: a fill of {} failed after the match.", self.market(fill.market).name, fill.qty);
                self.say(at, AlertKind::Error, "voided", "a fill was taken back", text);
            }
            What::Impossible { plan, order, why } => {
                let text = format!("Plan {plan}, order {order}: {why}.");
                self.say(at, AlertKind::Risk, "impossible", "■ a venue reported what cannot be", text);
            }
            What::Differs { venue, difference } => {
                let text = difference.sentence(|market| self.market(market).name.clone());
                let headline = format!("■ {venue}'s account and the journal differ");
                self.say(at, AlertKind::Risk, &format!("differs-{venue}"), &headline, text);
            }
            What::Lost { venue, order, .. } => {
                let text = format!("Order {order} is ours and not on record.");
                let headline = format!("■ {venue} has an order that the journal lost");
                self.say(at, AlertKind::Risk, &format!("lost-{venue}"), &headline, text);
            }
            What::Stranger { venue, .. } => {
                let text = format!("Somebody else trades this account at {venue}, or an earlier start did.");
                let headline = format!("{venue} tells of an order that is not ours");
                self.say(at, AlertKind::Error, &format!("stranger-{venue}"), &headline, text);
            }
            What::FeeOff { market, charged, predicted } => {
                let text = format!(
                    "{}: {charged:#} was charged where {predicted:#} was predicted. Its pairs are not traded until a restart.",
                    self.market(market).name
                );
                self.say(at, AlertKind::Risk, &format!("fee-{}", market.0), "■ a fee does not fit its schedule", text);
            }
            What::Looped { pair } => self.notify_suspended(
                at,
                pair,
                "Three of its plans had to close one leg again, or one was left alone. A restart lifts it.",
            ),
            What::Suspended { pair, quote } => {
                let text = format!(
                    "{} gross is above risk.max_edge: first suspect the pair, then the feed. A restart lifts it.",
                    quote.gross
                );
                self.notify_suspended(at, pair, &text);
            }
            What::Canary { market, canary: Canary::RulesChanged } => {
                let title = self.title_of(market);
                let name = &self.market(market).name;
                let text = format!("{title} ({name}): read both rule texts again, and the pair book.");
                self.say(at, AlertKind::PairChanged, &format!("rules-{name}"), "a market's rules were edited", text);
            }
            What::Merged { market, done: false, .. } => {
                let text = format!("{}: no transaction came; it is tried again.", self.market(market).name);
                self.say(at, AlertKind::Error, "merge", "YES and NO were not put together", text);
            }
            What::State { state } => self.notify_state(at, state),
            _ => {}
        }
    }

    fn notify_edge(&mut self, at: UnixMs, id: u64, pair: PairId, direction: Direction, quote: &Quote) {
        let Some(notifier) = &mut self.notifier else { return };
        let known = quote.net.micros() < notifier.source.wanted.min_edge || notifier.told.contains(&id);
        let [Some(k), Some(p)] = quote.cost else { return };
        if known {
            return;
        }
        if notifier.told.len() == TOLD_MAX {
            notifier.told.clear();
        }
        notifier.told.insert(id);
        let (yes, no) = match direction {
            Direction::YesKalshi => (k, p),
            Direction::YesPolymarket => (p, k),
        };
        let title = self.pair(pair).title.clone();
        let days = lock(quote.lock_ms);
        let figures = format!("{yes} + {no} · {} contracts · {} %/yr{days}", quote.qty, quote.yearly_ppm / 10_000);
        let headline = format!("{} net  {title}", quote.net);
        self.raise(Alert { figures, about: Some(id), ..alert(at, AlertKind::Opportunity, "", headline) });
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one event")]
    fn notify_plan(
        &mut self,
        at: UnixMs,
        id: u64,
        sighting: u64,
        paired: Qty,
        naked: Qty,
        unwound: Money,
        state: Ending,
    ) {
        let apart = self.notifier.as_mut().and_then(|notifier| notifier.filled.remove(&id)).unwrap_or_default();
        let Some(book) = self.plans.get(&id) else { return };
        let net = if book.exit {
            -book.spent()
        } else {
            Money::micros(i64::try_from(paired.micros()).unwrap_or(i64::MAX)) - book.spent()
        };
        let about = (!book.exit).then_some(sighting);
        let mut figures = book.title.clone();
        let each = |venue: Venue| {
            let (_, _, qty, spent) = book.legs[venue as usize];
            let price = (spent - book.fees[venue as usize]).raw() as f64 / qty.micros().max(1) as f64;
            format!("{price:.4}")
        };
        if !book.exit && !paired.is_zero() {
            let _ = write!(figures, "\n{paired} × ({} + {})", each(book.row.yes_on), each(book.row.yes_on.other()));
        }
        let fee = |venue: Venue| book.fees[venue as usize].to_string();
        let _ = write!(figures, "\nfees {} + {}", fee(Venue::Kalshi), fee(Venue::Polymarket));
        if let Some(seen) = self.seen.get(&sighting).filter(|_| !book.exit) {
            let yearly = seen.row.annual_yield_ppm.map_or(String::new(), |ppm| format!(" · {} %/yr", ppm / 10_000));
            let days = seen.row.days_to_settle_milli.map_or(String::new(), |days| format!(" · {} d", days / 1_000));
            let _ = write!(figures, "{yearly}{days}");
        }
        if let [Some(one), Some(other)] = apart {
            let _ = write!(figures, " · legs {} ms apart", one.since(other).max(other.since(one)));
        }
        let (kind, key, headline) = match state {
            Ending::Filled => (AlertKind::Execution, "", format!("{} FILLED both  {} net", mark(net), signed(net))),
            Ending::Partial => (AlertKind::Execution, "", format!("{} FILLED in part  {} net", mark(net), signed(net))),
            Ending::Exited => {
                (AlertKind::Execution, "", format!("{} SOLD before settlement  {} net", mark(net), signed(net)))
            }
            Ending::Unwound => (AlertKind::Unwind, "", format!("{} UNWOUND  {}", mark(unwound), signed(unwound))),
            Ending::Dust => (AlertKind::Unwind, "", format!("▼ {naked} contracts are too few to be closed")),
            Ending::Naked => (AlertKind::Risk, "naked", format!("■ NAKED: {naked} contracts stand alone")),
            Ending::Missed | Ending::Withheld => return,
        };
        self.raise(Alert { figures, about, ..alert(at, kind, key, headline) });
    }

    fn notify_suspended(&mut self, at: UnixMs, pair: PairId, why: &str) {
        let title = &self.pair(pair).title;
        let text = format!("{title}: {why}");
        self.say(at, AlertKind::Risk, &format!("suspended-{}", pair.0), "■ a pair is suspended", text);
    }

    fn notify_state(&mut self, at: UnixMs, state: TradingState) {
        let before = self.status.state.clone();
        match state {
            TradingState::Halted(latch) if before != "halted" => {
                let latch: Latch = latch;
                self.say_halted(at, latch.name());
            }
            TradingState::Paused if before == "active" => {
                let text = "No new plans; what is open is managed on. /resume lifts it.".into();
                self.say(at, AlertKind::Health, "", "‖ paused by a person", text);
            }
            TradingState::Active if before != "active" => {
                if let Some(notifier) = &self.notifier {
                    notifier.source.over(HALTED);
                }
                self.say(at, AlertKind::Health, "", "▶ active again", "Somebody lifted the stop.".into());
            }
            _ => {}
        }
    }

    fn say_halted(&mut self, at: UnixMs, latch: &str) {
        let text = "Nothing that raises risk leaves. What is naked is closed, what is held stays. /resume lifts it.";
        self.say(at, AlertKind::Risk, HALTED, &format!("■ HALTED: {latch}"), text.into());
    }

    /// What no event tells: feeds that are gone, and money that runs out. Called about twice a second.
    pub(super) fn notify_health(&mut self) {
        if self.notifier.is_none() {
            return;
        }
        let (at, now) = (clock::unix(), clock::now());
        for venue in Venue::ALL {
            let feeds = || self.status.feeds.iter().filter(|feed| feed.venue == venue.name());
            let is_down = feeds().next().is_some() && feeds().all(|feed| feed.connections_up == 0);
            let Some(notifier) = &mut self.notifier else { return };
            let (since, told) = &mut notifier.down[venue as usize];
            *since = is_down.then(|| since.unwrap_or(now));
            let long = since.is_some_and(|since| FEED_DOWN <= now.since(since));
            if long && !*told {
                *told = true;
                let text = "No connection for half a minute. No plan is opened on its books.".into();
                self.say(at, AlertKind::Health, "", &format!("{venue}'s feed is down"), text);
            } else if !is_down && *told {
                *told = false;
                self.say(at, AlertKind::Health, "", &format!("{venue}'s feed is back"), String::new());
            }
        }
        for venue in Venue::ALL {
            let mine = self.balances.iter().filter(|((of, _), _)| *of == venue);
            let (mut known, mut free) = (false, Money::ZERO);
            for (_, (cash, reserved)) in mine {
                known = true;
                free += *cash - *reserved;
            }
            let Some(notifier) = &mut self.notifier else { return };
            let floor = notifier.source.wanted.floors[venue as usize];
            let short = &mut notifier.short[venue as usize];
            // Coming back takes a tenth more, so that a balance at the edge does not chatter.
            let enough = floor + floor.share(100_000) < free;
            if known && free < floor && !*short {
                *short = true;
                let text = format!("{free} is free; its reserve and one smallest trade are {floor}.");
                self.say(at, AlertKind::BalanceLow, "", &format!("{venue} is short of cash"), text);
            } else if enough {
                *short = false;
            }
        }
    }

    /// Is the database unable to take rows? `why` where it is.
    pub(super) fn notify_database(&mut self, why: Option<String>) {
        let Some(notifier) = &mut self.notifier else { return };
        let was = std::mem::replace(&mut notifier.unwritable, why.is_some());
        match why {
            Some(why) if !was => {
                let text = format!("{} rows wait; trading goes on by the journal. {why}", self.rows.len());
                self.say(clock::unix(), AlertKind::Health, "", "the database cannot be written", text);
            }
            None if was => {
                self.say(clock::unix(), AlertKind::Health, "", "the database is written again", String::new());
            }
            _ => {}
        }
    }

    /// What was found of the accounts, when it is new: what stops, and what will, as a key that ends.
    pub(super) fn notify_findings(&mut self) {
        let found = self.status.findings.clone();
        let Some(notifier) = &mut self.notifier else { return };
        let before = std::mem::replace(&mut notifier.found, found.clone());
        for finding in found.iter().filter(|finding| !before.contains(finding)) {
            let stops = finding.starts_with('✘');
            let head = if stops { "an account may not open anything" } else { "worth knowing of an account" };
            let text = finding.trim_start_matches(['✘', '!']).trim().to_owned();
            self.say(clock::unix(), AlertKind::Health, "", head, text);
        }
    }

    /// Winnings that lie at Polymarket and could not be redeemed.
    pub(super) fn notify_unredeemed(&mut self, before: u64) {
        let now = self.status.unredeemed;
        if before == 0 && now != 0 {
            let text = format!("{now} markets have paid on Polymarket and wait to be redeemed; events say why");
            self.say(clock::unix(), AlertKind::Health, "", "winnings are not redeemed", text);
        }
    }

    fn title_of(&self, market: MarketId) -> String {
        let pair = self.setup.pairs.iter().find(|pair| pair.markets.contains(&market));
        pair.map_or_else(|| self.market(market).name.clone(), |pair| pair.title.clone())
    }
}

fn state_of(status: &Snapshot) -> String {
    status.latch.as_ref().map_or_else(|| status.state.clone(), |why| format!("{} ({why})", status.state))
}

const fn mark(amount: Money) -> &'static str {
    if amount.raw() < 0 { "▼" } else { "▲" }
}

fn signed(amount: Money) -> String {
    if amount < Money::ZERO { amount.to_string() } else { format!("+{amount}") }
}

fn lock(ms: u64) -> String {
    if ms == 0 { String::new() } else { format!(" · {} d", ms / 86_400_000) }
}
