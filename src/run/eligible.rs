//! May this account, its keys and this host open anything? Asked before the first order, and every minute from then on.
//!
//! What stops is named with its fix, and the venue takes no entries until it is gone; hedges and cancels pass. An
//! answer that cannot be had says nothing: what was known stands.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use super::{accounts, boot::Endpoints, clock, sign::SignDesk, trading::Wired};
use crate::{
    unit::{Money, Nanos, UnixMs, Venue},
    venue::{
        kalshi::{account, gateway::SignCalls as _},
        polymarket::{eligible, sign::ApiSigner},
        rest::{Rest, RestError},
    },
};

/// A person is told this long before something ends.
const AHEAD_MS: u64 = 14 * 86_400_000;
/// A clock that is off by more than this gets requests refused.
pub const CLOCK_MAX_MS: i64 = 1_000;
/// Looks at the venue's clock, which tells whole seconds: spread over one, they say it to an eighth.
const CLOCK_LOOKS: u32 = 8;

/// What is to be known of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// The venue does not take orders from where this host is.
    Blocked { country: String, region: String },
    /// The account may only close what it holds.
    CloseOnly,
    /// The venue refuses the credentials.
    Refused { venue: Venue, status: u16 },
    /// Kalshi lists no such key: it is of another account, or of the practice exchange.
    NoSuchKey,
    /// Kalshi's key lacks `write::trade`.
    MayNotTrade,
    /// Kalshi's location attestation has ended.
    Unattested,
    /// It will end soon.
    AttestedUntil { until: UnixMs },
    /// Kalshi's key may move money: more than trading needs.
    MayMoveMoney,
    /// A delegated key of Polymarket's has ended.
    KeyEnded { until: UnixMs },
    /// It will end soon.
    KeyUntil { until: UnixMs },
    /// This host's clock is off by at least this many milliseconds; negative where it is behind.
    Clock { off_ms: i64 },
}

impl Finding {
    /// The venue on which nothing may be opened because of it; `None` for what a person should only know.
    pub fn stops(&self) -> Option<Venue> {
        match self {
            Self::Blocked { .. } | Self::CloseOnly | Self::KeyEnded { .. } => Some(Venue::Polymarket),
            Self::NoSuchKey | Self::MayNotTrade | Self::Unattested | Self::Clock { .. } => Some(Venue::Kalshi),
            Self::Refused { venue, .. } => Some(*venue),
            Self::AttestedUntil { .. } | Self::MayMoveMoney | Self::KeyUntil { .. } => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |at: UnixMs| {
            let at = i64::try_from(at.raw()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
            at.map_or_else(|| "an unknown day".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
        };
        match self {
            Self::Blocked { country, region } => write!(
                f,
                "Polymarket takes no orders from here ({country} {region}): run Orion where the venue may be used"
            ),
            Self::CloseOnly => f.write_str(
                "Polymarket lets this account only close what it holds: ask the venue, or use another account",
            ),
            Self::Refused { venue, status } => write!(
                f,
                "{venue} refuses the credentials (HTTP {status}): put the right ones in with `orion secrets import`, and \
                 see `orion secrets check`"
            ),
            Self::NoSuchKey => f.write_str(
                "Kalshi lists no such key of this account: a key of its practice exchange opens nothing here; put the right \
                 one in with `orion secrets import`",
            ),
            Self::MayNotTrade => {
                f.write_str("Kalshi's key may not trade: make one with the scope write::trade on the venue's site")
            }
            Self::Unattested => f.write_str(
                "the location of the Kalshi account is no longer attested: renew it in the venue's web application",
            ),
            Self::AttestedUntil { until } => {
                write!(f, "the location of the Kalshi account is attested until {}: renew it before", day(*until))
            }
            Self::MayMoveMoney => {
                f.write_str("Kalshi's key may move money (write::transfer): one that may only trade is safer")
            }
            Self::KeyEnded { until } => {
                write!(f, "Polymarket's delegated key ended on {}: delegate a new one", day(*until))
            }
            Self::KeyUntil { until } => {
                write!(f, "Polymarket's delegated key ends on {}: delegate a new one before", day(*until))
            }
            Self::Clock { off_ms } => write!(
                f,
                "this host's clock is off by {off_ms} ms or more; the venues allow about a second: switch NTP on"
            ),
        }
    }
}

/// Whoever a finding comes from: one answer says everything that it can find.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    Site,
    Account,
    Keys,
    Clock,
    /// The settings.
    Person,
}

impl Finding {
    fn source(&self) -> Source {
        match self {
            Self::Blocked { .. } => Source::Site,
            Self::CloseOnly | Self::Refused { venue: Venue::Polymarket, .. } => Source::Account,
            Self::Refused { venue: Venue::Kalshi, .. }
            | Self::NoSuchKey
            | Self::MayNotTrade
            | Self::Unattested
            | Self::AttestedUntil { .. }
            | Self::MayMoveMoney => Source::Keys,
            Self::KeyEnded { .. } | Self::KeyUntil { .. } => Source::Person,
            Self::Clock { .. } => Source::Clock,
        }
    }
}

/// What is known after these answers, and what could not be asked: there, what was known stands.
fn renewed(
    known: &[Finding],
    answers: impl IntoIterator<Item = (Source, Result<Vec<Finding>, RestError>)>,
) -> (Vec<Finding>, Vec<RestError>) {
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for (source, answer) in answers {
        match answer {
            Ok(more) => found.extend(more),
            Err(error) => {
                found.extend(known.iter().filter(|finding| finding.source() == source).cloned());
                unknown.push(error);
            }
        }
    }
    (found, unknown)
}

/// Who asks, and for whom.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct Asker {
    kalshi: Rest,
    clob: Rest,
    site: Rest,
    desk: SignDesk,
    api: ApiSigner,
    /// When the delegated key ends, if it is one and a person said so.
    key_until: Option<UnixMs>,
    /// This host's clock less Polymarket's in milliseconds, as it was found last; `i64::MIN` before that.
    pub clock_off: Arc<AtomicI64>,
}

impl Asker {
    /// Makes the clients; asks nothing yet.
    pub fn new(
        endpoints: &Endpoints,
        desk: &SignDesk,
        api: &ApiSigner,
        key_until: Option<UnixMs>,
    ) -> Result<Self, RestError> {
        Ok(Self {
            kalshi: accounts::rest(&endpoints.kalshi_rest, endpoints)?,
            clob: accounts::rest(&endpoints.clob, endpoints)?,
            site: accounts::rest(&endpoints.site, endpoints)?,
            desk: desk.clone(),
            api: api.clone(),
            key_until,
            clock_off: Arc::new(AtomicI64::new(i64::MIN)),
        })
    }

    /// Everything that can be known now, after what was `known`, and what could not be asked.
    pub async fn ask(&self, known: &[Finding]) -> (Vec<Finding>, Vec<RestError>) {
        let now = clock::unix();
        let answers = [
            (Source::Site, self.place().await),
            (Source::Account, self.closed_only().await),
            (Source::Keys, self.keys(now).await),
            (Source::Clock, self.clock().await),
        ];
        let (mut found, unknown) = renewed(known, answers);
        if let Some(until) = self.key_until {
            found.extend(ends(until, now, Finding::KeyEnded { until }, Finding::KeyUntil { until }));
        }
        (found, unknown)
    }

    async fn place(&self) -> Result<Vec<Finding>, RestError> {
        let body = self.site.get(eligible::GEOBLOCK, &[]).await?;
        let place = read(eligible::GEOBLOCK, &body, eligible::place)?;
        let blocked = Finding::Blocked { country: place.country, region: place.region };
        Ok(place.blocked.then_some(blocked).into_iter().collect())
    }

    async fn closed_only(&self) -> Result<Vec<Finding>, RestError> {
        let path = eligible::CLOSED_ONLY;
        let sign = |full: &str| accounts::headers(&self.api.sign(clock::unix(), "GET", full, "").pairs());
        match self.clob.get_signed(path, &[], sign).await {
            Err(error) => credentials(Venue::Polymarket, error),
            Ok(body) => {
                Ok(read(path, &body, eligible::closed_only)?.then_some(Finding::CloseOnly).into_iter().collect())
            }
        }
    }

    async fn keys(&self, now: UnixMs) -> Result<Vec<Finding>, RestError> {
        let path = account::KEYS;
        let sign = |full: &str| {
            let signed =
                self.desk.signer().sign(clock::unix(), "GET", full).ok_or("the sign thread does not answer")?;
            accounts::headers(&signed.pairs())
        };
        match self.kalshi.get_signed(path, &[], sign).await {
            Err(error) => credentials(Venue::Kalshi, error),
            Ok(body) => {
                let keys = read(path, &body, account::parse_keys)?;
                Ok(judge_keys(&keys, &self.desk.key_id().unwrap_or_default(), now))
            }
        }
    }

    async fn clock(&self) -> Result<Vec<Finding>, RestError> {
        let offset = look_at_clock(&self.clob).await?;
        self.clock_off.store(i64::midpoint(offset.low, offset.high), Ordering::Relaxed);
        Ok(offset.beyond(CLOCK_MAX_MS).map(|off_ms| Finding::Clock { off_ms }).into_iter().collect())
    }
}

/// Looks at Polymarket's clock until it is known to an eighth of a second.
async fn look_at_clock(clob: &Rest) -> Result<Offset, RestError> {
    let mut offset = Offset::default();
    for look in 0..CLOCK_LOOKS {
        if 0 < look {
            tokio::time::sleep(std::time::Duration::from_millis(1_000 / u64::from(CLOCK_LOOKS))).await;
        }
        let (asked, began) = (clock::unix(), clock::now());
        let body = clob.get(eligible::TIME, &[]).await?;
        let second = read(eligible::TIME, &body, eligible::time)?;
        offset.look(second, asked, clock::now().since(began));
    }
    Ok(offset)
}

/// Between which two offsets, in milliseconds, this host's clock is ahead of Polymarket's. Asks without a key.
pub async fn clock_offset(endpoints: &Endpoints) -> Result<(i64, i64), RestError> {
    let offset = look_at_clock(&accounts::rest(&endpoints.clob, endpoints)?).await?;
    Ok((offset.low, offset.high))
}

/// Where Polymarket takes this host to be. Asks without a key.
pub async fn where_am_i(endpoints: &Endpoints) -> Result<eligible::Place, RestError> {
    let body = accounts::rest(&endpoints.site, endpoints)?.get(eligible::GEOBLOCK, &[]).await?;
    read(eligible::GEOBLOCK, &body, eligible::place)
}

/// The wallet's cash, and the least of it that the exchange's contracts may move; `None` where that is not told.
pub fn collateral(endpoints: &Endpoints, wired: &Wired) -> anyhow::Result<(Money, Option<Money>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clob = accounts::rest(&endpoints.clob, endpoints)?;
    let path = eligible::COLLATERAL;
    let query = [("asset_type", "COLLATERAL".to_owned()), ("signature_type", wired.signature_type.to_string())];
    let sign = |full: &str| accounts::headers(&wired.api.sign(clock::unix(), "GET", full, "").pairs());
    let body = runtime.block_on(clob.get_signed(path, &query, sign))?;
    Ok(eligible::collateral(&body, wired.chain)
        .map_err(|refused| RestError::Unreadable { path: path.into(), refused })?)
}

fn read<T>(
    path: &str,
    body: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, crate::venue::listing::Refused>,
) -> Result<T, RestError> {
    parse(body).map_err(|refused| RestError::Unreadable { path: path.into(), refused })
}

/// A venue that refuses the credentials says something of the account; any other error says nothing.
fn credentials(venue: Venue, error: RestError) -> Result<Vec<Finding>, RestError> {
    match error {
        RestError::Status { status: status @ (401 | 403), .. } => Ok(vec![Finding::Refused { venue, status }]),
        other => Err(other),
    }
}

/// What Kalshi's list of keys says of ours.
fn judge_keys(keys: &account::Keys, id: &str, now: UnixMs) -> Vec<Finding> {
    let Some(ours) = keys.keys.iter().find(|key| key.id == id) else { return vec![Finding::NoSuchKey] };
    let mut found = Vec::new();
    if !ours.grants("write::trade") {
        found.push(Finding::MayNotTrade);
    }
    if ours.grants("write::transfer") {
        found.push(Finding::MayMoveMoney);
    }
    if let Some(until) = keys.region_until {
        found.extend(ends(until, now, Finding::Unattested, Finding::AttestedUntil { until }));
    }
    found
}

/// Something that ends: over, or told ahead.
fn ends(until: UnixMs, now: UnixMs, over: Finding, soon: Finding) -> Option<Finding> {
    if until <= now { Some(over) } else { (until.since(now) < AHEAD_MS).then_some(soon) }
}

/// How far this host's clock is ahead of the venue's, in milliseconds: between two bounds that every look narrows.
#[derive(Clone, Copy, Debug)]
struct Offset {
    low: i64,
    high: i64,
}

impl Default for Offset {
    fn default() -> Self {
        Self { low: i64::MIN, high: i64::MAX }
    }
}

impl Offset {
    /// The venue's clock was in `second` at some moment between asking at `asked` and the answer `took` later.
    fn look(&mut self, second: UnixMs, asked: UnixMs, took: Nanos) {
        let (second, asked) = (second.raw() as i64, asked.raw() as i64);
        let answered = asked + (took.raw() / 1_000_000) as i64 + 1;
        self.low = self.low.max(asked - (second + 1_000));
        self.high = self.high.min(answered - second);
    }

    /// The offset that is certain, where it is more than `most` either way.
    fn beyond(self, most: i64) -> Option<i64> {
        if most < self.low {
            Some(self.low)
        } else if self.high < -most {
            Some(self.high)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::kalshi::account::{KeyRights, Keys};

    #[test]
    fn a_clock_is_called_wrong_only_where_it_certainly_is() {
        // The venue's clock shows whole seconds; ours is `off` ahead, and a look takes `took`.
        let judged = |off: i64, took: u64| {
            let mut offset = Offset::default();
            for look in 0..u64::from(CLOCK_LOOKS) {
                let venue = 1_795_175_100_000 + look * 125 + look * took;
                let second = UnixMs::new((venue + took / 2) / 1_000 * 1_000);
                offset.look(second, UnixMs::new(venue.wrapping_add_signed(off)), Nanos::millis(took));
            }
            offset.beyond(CLOCK_MAX_MS)
        };
        for fine in [-1_000, -400, 0, 250, 1_000] {
            assert_eq!(judged(fine, 20), None, "{fine}");
        }
        for off in [-60_000, -1_300, 1_300, 30_000] {
            let found = judged(off, 20).expect("it is off");
            assert!(found.signum() == off.signum() && found.abs() <= off.abs(), "{off}: {found}");
            assert!(off.abs() - 300 < found.abs(), "{off}: {found}");
        }
        assert_eq!(judged(1_300, 5_000), None, "an answer that takes seconds proves nothing");
    }

    #[test]
    fn what_ends_is_told_two_weeks_ahead_and_stops_when_it_is_over() {
        let now = UnixMs::new(1_795_175_100_000);
        let at = |days: i64| UnixMs::new(now.raw().wrapping_add_signed(days * 86_400_000));
        let rights = |scopes: &[&str]| KeyRights {
            id: "a".into(),
            name: "orion".into(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            subaccount: None,
        };
        let judge = |scopes: &[&str], until: Option<UnixMs>, id: &str| {
            judge_keys(&Keys { keys: vec![rights(scopes)], region_until: until }, id, now)
        };
        assert_eq!(judge(&["read", "write::trade"], None, "a"), []);
        assert_eq!(judge(&["read", "write::trade"], Some(at(30)), "a"), []);
        let soon = judge(&["read", "write::trade"], Some(at(13)), "a");
        assert_eq!(soon, [Finding::AttestedUntil { until: at(13) }]);
        assert_eq!(soon[0].stops(), None);
        assert!(soon[0].to_string().contains("attested until 2026-12-"), "{}", soon[0]);
        let over = judge(&["read", "write::trade"], Some(at(0)), "a");
        assert_eq!((over[0].stops(), &over[..]), (Some(Venue::Kalshi), &[Finding::Unattested][..]));
        assert_eq!(judge(&["read"], None, "a"), [Finding::MayNotTrade]);
        assert_eq!(judge(&["read", "write"], None, "a"), [Finding::MayMoveMoney]);
        assert_eq!(judge(&["read", "write"], None, "b"), [Finding::NoSuchKey]);
        let key =
            |days| ends(at(days), now, Finding::KeyEnded { until: at(days) }, Finding::KeyUntil { until: at(days) });
        assert_eq!(key(20), None);
        assert_eq!(key(5).and_then(|found| found.stops()), None);
        assert_eq!(key(-1).and_then(|found| found.stops()), Some(Venue::Polymarket));
    }

    #[test]
    fn what_stopped_stands_until_its_own_question_is_answered() {
        let blocked = Finding::Blocked { country: "US".into(), region: "NY".into() };
        let known = [blocked.clone(), Finding::CloseOnly];
        let lost = RestError::Status { path: "/x".into(), status: 503, excerpt: String::new(), retry_after: None };
        let (found, unknown) = renewed(&known, [(Source::Site, Err(lost)), (Source::Account, Ok(Vec::new()))]);
        assert_eq!((found, unknown.len()), (vec![blocked], 1), "an outage lifts nothing");
        assert_eq!(renewed(&known, [(Source::Site, Ok(Vec::new()))]).0, []);
    }

    #[test]
    fn refused_credentials_say_something_and_a_lost_answer_nothing() {
        let status =
            |status| RestError::Status { path: "/x".into(), status, excerpt: String::new(), retry_after: None };
        assert_eq!(
            credentials(Venue::Kalshi, status(401)).ok(),
            Some(vec![Finding::Refused { venue: Venue::Kalshi, status: 401 }])
        );
        assert!(credentials(Venue::Polymarket, status(503)).is_err());
        for finding in [
            Finding::Blocked { country: "US".into(), region: "NY".into() },
            Finding::CloseOnly,
            Finding::Refused { venue: Venue::Polymarket, status: 401 },
            Finding::Clock { off_ms: 1_500 },
        ] {
            assert!(finding.stops().is_some() && finding.to_string().contains(':'), "each names its fix: {finding}");
        }
    }
}
