//! Polymarket's catalogue over REST: Gamma's events and markets, the CLOB's parameters and books, and the Data API's
//! resolutions (dossier 5).
//!
//! Gamma is for finding and understanding markets, never for prices: its answers are up to five minutes old. What
//! trading needs (tick, minimum, fee, holds) is read again from the CLOB's `/clob-markets`.

mod parse;

use std::collections::HashSet;
use std::num::NonZeroU32;

use crate::unit::{Grid, Money, Price, Qty, UnixMs};
use crate::venue::listing::{Levels, Page, Refused};
use crate::venue::rest::{Access, Rest, RestError};

pub use parse::{parse_book, parse_clob_market, parse_clob_markets, parse_events, parse_markets, parse_resolutions};

/// Below every read limit of the dossier's table (5.5); the tightest one used here is 30 a second.
pub const READS_PER_SECOND: NonZeroU32 = NonZeroU32::new(15).expect("fifteen is not zero");

/// Which protocol a market lives on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Version {
    V1,
    V2,
}

/// One market as Gamma lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Market {
    /// Gamma's own id.
    pub id: String,
    /// `0x` and 64 hex digits.
    pub condition_id: String,
    pub slug: String,
    pub question: String,
    /// The title within its event: a name, a date, a level.
    pub group_item_title: String,
    pub group_item_threshold: Option<String>,
    /// The rules: the only binding text.
    pub description: String,
    pub resolution_source: String,
    /// Index 0 is the outcome that plays YES here.
    pub outcomes: Vec<String>,
    /// Token ids in the order of the outcomes, chosen by the version.
    pub tokens: Vec<String>,
    pub version: Version,
    /// Expected end; not a trading stop and not the resolution.
    pub end_time: Option<UnixMs>,
    pub start_time: Option<UnixMs>,
    /// Orders are wiped when the game starts. Of a sports market without one nothing is known, not that it is far.
    pub game_start: Option<UnixMs>,
    /// Start of the measured window of up/down markets.
    pub event_start: Option<UnixMs>,
    pub closed_at: Option<UnixMs>,
    pub sports_market_type: String,
    pub line: Option<String>,
    pub game_id: Option<String>,
    pub neg_risk: bool,
    pub neg_risk_market_id: String,
    /// Outcomes may be added to its group.
    pub augmented: bool,
    pub active: bool,
    pub closed: bool,
    pub archived: bool,
    pub accepting_orders: bool,
    pub order_book: bool,
    /// `v1`: proposed, disputed, resolved …; `v2`: inactive, active, resolved. Empty until something happened.
    pub resolution_status: String,
    /// `None` where it is not known; then `refused` says so. Cached by the venue: the CLOB's word counts.
    pub grid: Option<Grid>,
    pub min_qty: Option<Qty>,
    pub seconds_delay: u32,
    pub clear_on_start: bool,
    /// `None`: free.
    pub fee: Option<FeeSchedule>,
    pub fee_type: String,
    /// Settled on a time-weighted average over this long, where stated.
    pub twap_lookback_s: Option<u32>,
    /// The events it belongs to, by Gamma's id.
    pub event_ids: Vec<String>,
    /// Why it is never paired, if so.
    pub refused: Option<Refused>,
}

impl Market {
    /// Open for orders, and no resolution proposed (dossier 5.3)?
    #[must_use]
    pub fn trades(&self) -> bool {
        let unresolved = match self.version {
            Version::V1 => self.resolution_status.is_empty(),
            Version::V2 => self.resolution_status != "resolved",
        };
        self.active && !self.closed && !self.archived && self.accepting_orders && self.order_book && unresolved
    }
}

/// A fee schedule as the venue states it: `shares × rate × (p × (1 − p))^exponent`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FeeSchedule {
    /// Millionths.
    pub rate_ppm: u32,
    pub exponent: u32,
    pub taker_only: bool,
}

impl FeeSchedule {
    /// Why markets with this schedule are never paired.
    #[must_use]
    pub fn refused(self) -> Option<Refused> {
        let known = super::fee_curve(self.rate_ppm, self.exponent.into()).is_some();
        (!known).then(|| Refused::FeeExponent(self.exponent.to_string()))
    }
}

/// A group of markets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    pub id: String,
    pub slug: String,
    pub title: String,
    pub description: String,
    pub end_time: Option<UnixMs>,
    pub start_time: Option<UnixMs>,
    pub neg_risk: bool,
    pub augmented: bool,
    pub series_slug: String,
    pub game_id: Option<String>,
    pub tags: Vec<String>,
    pub markets: Vec<Market>,
    /// Nested markets that could not be read.
    pub unreadable: Vec<(String, Refused)>,
}

/// What the CLOB says of a market: the parameters that orders are checked against.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClobMarket {
    pub condition_id: String,
    /// Token id and outcome; index 0 plays YES.
    pub tokens: Vec<(String, String)>,
    pub grid: Option<Grid>,
    pub min_qty: Option<Qty>,
    pub neg_risk: bool,
    /// `None`: free.
    pub fee: Option<FeeSchedule>,
    pub accepting_orders: bool,
    pub seconds_delay: u32,
    pub game_start: Option<UnixMs>,
    pub clear_on_start: bool,
    /// Taking is held for a moment before it matches.
    pub taker_hold: bool,
    pub version: Version,
    pub refused: Option<Refused>,
}

/// One token's book.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Book {
    pub condition_id: String,
    pub token: String,
    pub stamp: UnixMs,
    pub hash: String,
    /// In the order they came: best last.
    pub bids: Levels,
    pub asks: Levels,
    pub min_qty: Option<Qty>,
    pub grid: Option<Grid>,
    pub neg_risk: bool,
    pub last_trade: Option<Price>,
    pub version: Version,
}

/// How a market ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolution {
    pub condition_id: String,
    /// `active`, `resolved` …
    pub status: String,
    /// What one token of each outcome pays, in the order of the outcomes; empty until resolved.
    pub payouts: Vec<Money>,
    pub was_disputed: bool,
    pub extended_review: bool,
    /// Who decided, where stated.
    pub reporter: String,
    pub resolved_at: Option<UnixMs>,
}

/// Which events or markets to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The venue leaves closed ones out unless asked.
    pub closed: bool,
    pub tag_id: Option<u64>,
}

/// Reads Polymarket's three catalogue hosts.
#[derive(Debug)]
pub struct Catalog {
    gamma: Rest,
    clob: Rest,
    data: Rest,
}

impl Catalog {
    /// A reader of three hosts, in the order Gamma, CLOB, Data API.
    pub fn new(gamma: &Access<'_>, clob: &Access<'_>, data: &Access<'_>) -> Result<Self, RestError> {
        Ok(Self { gamma: Rest::new(gamma)?, clob: Rest::new(clob)?, data: Rest::new(data)? })
    }

    /// Every event that fits, with its markets, over all pages. An event may hold hundreds of markets, so pages are
    /// kept short of the size limit.
    pub async fn events_keyset(&self, filter: &Filter) -> Result<Page<Event>, RestError> {
        self.gamma.pages("/events/keyset", &query(filter, 50), "after_cursor", parse_events).await
    }

    /// Every market that fits, over all pages.
    pub async fn markets_keyset(&self, filter: &Filter) -> Result<Page<Market>, RestError> {
        self.gamma.pages("/markets/keyset", &query(filter, 100), "after_cursor", parse_markets).await
    }

    /// Markets by condition id, at most 100, open and closed; those that Gamma does not know are missing.
    pub async fn markets(&self, condition_ids: &[String]) -> Result<Page<Market>, RestError> {
        let mut all = Page::default();
        // Since 2026-04-09 a call that does not say `closed` leaves closed markets out, and there is no word for both.
        for closed in [false, true] {
            let mut query = vec![("limit", "100".to_owned()), ("closed", closed.to_string())];
            query.extend(condition_ids.iter().map(|id| ("condition_ids", id.clone())));
            let page = self.gamma.pages("/markets/keyset", &query, "after_cursor", parse_markets).await?;
            all.items.extend(page.items);
            all.unreadable.extend(page.unreadable);
        }
        // Answers are cached: a market that just closed may stand in both. The second one is the newer truth.
        let mut seen = HashSet::new();
        all.items.reverse();
        all.items.retain(|market: &Market| seen.insert(market.condition_id.clone()));
        all.items.reverse();
        Ok(all)
    }

    /// The parameters that orders are checked against.
    pub async fn clob_market(&self, condition_id: &str) -> Result<ClobMarket, RestError> {
        let path = "/clob-markets/";
        let id = self::condition_id(condition_id, Version::V2)
            .map_err(|refused| RestError::Unreadable { path: path.into(), refused })?;
        self.clob.read(&format!("{path}{id}"), &[], parse_clob_market).await
    }

    /// One token's book. Absent once a resolution is proposed.
    pub async fn book(&self, token: &str) -> Result<Book, RestError> {
        self.clob.read("/book", &[("token_id", token.to_owned())], parse_book).await
    }

    /// How a market ended, so far.
    pub async fn resolutions(&self, condition_id: &str) -> Result<Vec<Resolution>, RestError> {
        self.data.read("/v2/resolutions", &[("condition", condition_id.to_owned())], parse_resolutions).await
    }
}

fn query(filter: &Filter, limit: u32) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", limit.to_string()), ("closed", filter.closed.to_string())];
    query.extend(filter.tag_id.map(|tag| ("tag_id", tag.to_string())));
    query
}

/// `0x` and 64 hex digits, lower case. A `v2` id may come as its first 31 bytes; a zero byte makes it whole.
fn condition_id(text: &str, version: Version) -> Result<String, Refused> {
    let id = text.to_ascii_lowercase();
    let digits = id.strip_prefix("0x").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match digits.map(str::len) {
        Some(64) => Ok(id),
        Some(62) if version == Version::V2 => Ok(format!("{id}00")),
        _ => Err(Refused::BadId(text.into())),
    }
}
