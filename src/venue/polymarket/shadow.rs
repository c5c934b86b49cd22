//! The venue's checksum, checked beside the hot path: a second copy of each book, kept with what hashing needs.
//!
//! The `hash` of a change is the SHA-1 of the whole book after it (dossier 4.5). Three rules make it usable. Frames
//! that carry the same time may all carry the hash of the last of them, so a time is judged when the next one begins,
//! or after a second. The text that is hashed contains the market's last trade price, which the stream does not give in
//! that form: the old one, p and 1 − p of the print are tried. And between a trade's books and its print, some 35 ms
//! later, nothing can be judged at all. Two times in a row that fit no candidate make the book unfit.

use std::{collections::BTreeMap, fmt::Write as _};

use aws_lc_rs::digest;

use crate::unit::{BookSide, MarketId, Nanos, Price, Qty, UnixMs};

/// After a whole book that follows a trade, the print may take this long.
const PRINT_WAIT_MS: u64 = 2_000;
/// A time that nothing followed is judged after this.
const IDLE: Nanos = Nanos::secs(1);
/// Last trade prices that are tried, at most: prints may come faster than checksums.
const CANDIDATES_MAX: usize = 9;
/// Failures in a row that void a book.
const FAILURES_MAX: u32 = 2;

/// What the shadow copy must know. Fixed size: it crosses a ring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shadow {
    market: MarketId,
    now: Nanos,
    stamp: UnixMs,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    /// A whole book begins. The last trade price as sent, in thousandths, if the frame carries it.
    Reset {
        last: Last,
    },
    Change {
        side: BookSide,
        price: Price,
        qty: Qty,
        hash: Option<[u8; 20]>,
    },
    /// The whole book is complete.
    Whole {
        hash: Option<[u8; 20]>,
    },
    Trade {
        price: Price,
    },
    Tick {
        step: u16,
    },
    /// Entries were dropped because the ring was full: every copy is void until its next whole book.
    Lost,
}

/// The last trade price as the hashed text has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Last {
    /// The frame does not say.
    Unsaid,
    Never,
    /// Ten-thousandths and the number of decimals of the text.
    At {
        raw: u16,
        decimals: u8,
    },
}

impl Shadow {
    pub(super) fn reset(market: MarketId, now: Nanos, stamp: UnixMs, last: Option<&str>) -> Self {
        let last = match last {
            None => Last::Unsaid,
            Some("") => Last::Never,
            Some(text) => match crate::unit::decimal(text.as_bytes(), 1, 4) {
                Some(raw) if raw <= 10_000 => {
                    let decimals = text.find('.').map_or(0, |dot| text.len() - dot - 1);
                    Last::At { raw: raw as u16, decimals: decimals as u8 }
                }
                _ => Last::Unsaid,
            },
        };
        Self { market, now, stamp, what: What::Reset { last } }
    }

    pub(super) const fn change(
        market: MarketId,
        now: Nanos,
        stamp: UnixMs,
        side: BookSide,
        price: Price,
        qty: Qty,
        hash: Option<[u8; 20]>,
    ) -> Self {
        Self { market, now, stamp, what: What::Change { side, price, qty, hash } }
    }

    pub(super) const fn whole(market: MarketId, now: Nanos, stamp: UnixMs, hash: Option<[u8; 20]>) -> Self {
        Self { market, now, stamp, what: What::Whole { hash } }
    }

    pub(super) const fn trade(market: MarketId, now: Nanos, stamp: UnixMs, price: Price) -> Self {
        Self { market, now, stamp, what: What::Trade { price } }
    }

    pub(super) const fn tick(market: MarketId, now: Nanos, step: u16) -> Self {
        Self { market, now, stamp: UnixMs::new(0), what: What::Tick { step } }
    }

    /// Says that entries before this one were dropped.
    pub const fn lost() -> Self {
        Self { market: MarketId(0), now: Nanos::ZERO, stamp: UnixMs::new(0), what: What::Lost }
    }
}

/// What the hashed text says of a market beside its levels. From REST: the stream does not carry it.
#[derive(Clone, Debug)]
pub struct Hashed {
    pub condition: String,
    /// The first outcome's token.
    pub token: String,
    /// The venue's own text, `5`.
    pub min_order_size: String,
    /// Ten-thousandths.
    pub tick: u16,
    pub neg_risk: bool,
    /// Protocol V2 books carry `"version":"v2"`.
    pub v2: bool,
}

/// The verdict on one time of one market.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checked {
    pub market: MarketId,
    pub stamp: UnixMs,
    pub verdict: Verdict,
}

/// What hashing showed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    Fits,
    /// No candidate fits; a trade whose print is still to come explains it.
    Unsettled,
    /// No candidate fits.
    Differs,
    /// Twice in a row no candidate fits: the book is unfit.
    Unfit,
}

#[derive(Default)]
struct Copy {
    hashed: Option<Hashed>,
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
    /// The candidate that fitted last stands first.
    last: Vec<String>,
    pending: Option<(UnixMs, Nanos, [u8; 20])>,
    /// A whole book came after the first one: a trade's print is due.
    print_due: Option<UnixMs>,
    complete: bool,
    failures: u32,
}

/// Keeps the second copies and judges them.
#[derive(Default)]
pub struct Checker {
    copies: Vec<Copy>,
    text: String,
}

impl Checker {
    /// Makes a market known; without this its hashes are not judged.
    pub fn know(&mut self, market: MarketId, hashed: Hashed) {
        let slot = market.0 as usize;
        if self.copies.len() <= slot {
            self.copies.resize_with(slot + 1, Copy::default);
        }
        self.copies[slot].hashed = Some(hashed);
    }

    /// Takes note, and judges the time that this one ends.
    pub fn handle(&mut self, shadow: &Shadow) -> Option<Checked> {
        let Self { copies, text } = self;
        if shadow.what == What::Lost {
            for copy in copies {
                copy.complete = false;
                copy.pending = None;
            }
            return None;
        }
        let copy = copies.get_mut(shadow.market.0 as usize).filter(|copy| copy.hashed.is_some())?;
        let moved_on = copy.pending.is_some_and(|(stamp, _, _)| stamp != shadow.stamp);
        let judged = match shadow.what {
            // Books of a trade wait for its print; a print that follows another trade's ends the wait.
            What::Trade { .. } if copy.print_due.is_some() => None,
            What::Tick { .. } | What::Lost => None,
            _ if moved_on => copy.judge(shadow.market, text),
            _ => None,
        };
        copy.apply(shadow);
        judged
    }

    /// Judges what has been waiting for a second.
    pub fn handle_timeout(&mut self, now: Nanos) -> Vec<Checked> {
        let Self { copies, text } = self;
        let due = |copy: &&mut Copy| copy.pending.is_some_and(|(_, since, _)| IDLE < now.since(since));
        let waiting = copies.iter_mut().enumerate().map(|(at, copy)| (MarketId(at as u32), copy));
        waiting.filter(|(_, copy)| due(copy)).filter_map(|(market, copy)| copy.judge(market, text)).collect()
    }
}

impl Copy {
    fn apply(&mut self, shadow: &Shadow) {
        match shadow.what {
            What::Reset { last } => {
                self.bids.clear();
                self.asks.clear();
                match last {
                    Last::Unsaid => self.print_due = Some(shadow.stamp),
                    Last::Never => self.last = vec![String::new()],
                    Last::At { raw, decimals } => self.last = vec![spelled(raw, decimals)],
                }
                self.complete = false;
                self.pending = None;
            }
            What::Change { side, price, qty, hash } => {
                let levels = match side {
                    BookSide::Bid => &mut self.bids,
                    BookSide::Ask => &mut self.asks,
                };
                if qty.is_zero() {
                    levels.remove(&price);
                } else {
                    levels.insert(price, qty);
                }
                if let (Some(hash), true) = (hash, self.complete) {
                    self.pending = Some((shadow.stamp, shadow.now, hash));
                }
            }
            What::Whole { hash } => {
                self.complete = true;
                self.pending = hash.map(|hash| (shadow.stamp, shadow.now, hash));
            }
            What::Lost => {}
            What::Trade { price } => {
                self.print_due = None;
                let candidates = [price, price.complement()].map(|p| spelled(p.raw(), 3));
                self.last.truncate(CANDIDATES_MAX - 2);
                self.last.extend(candidates);
            }
            What::Tick { step } => {
                if let Some(hashed) = self.hashed.as_mut().filter(|hashed| hashed.tick != step) {
                    hashed.tick = step;
                    self.complete = false;
                    self.pending = None;
                }
            }
        }
    }

    fn judge(&mut self, market: MarketId, text: &mut String) -> Option<Checked> {
        let (stamp, _, hash) = self.pending.take()?;
        let fits = (0..self.last.len()).find(|&at| {
            self.spell(stamp, &self.last[at], text);
            digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref() == hash
        });
        let verdict = if let Some(at) = fits {
            self.last.swap(0, at);
            self.last.truncate(1);
            self.failures = 0;
            Verdict::Fits
        } else if self.print_due.is_some_and(|due| stamp.since(due) < PRINT_WAIT_MS) {
            Verdict::Unsettled
        } else {
            self.failures += 1;
            if self.failures < FAILURES_MAX { Verdict::Differs } else { Verdict::Unfit }
        };
        Some(Checked { market, stamp, verdict })
    }

    /// The text whose SHA-1 is the book's hash, members in the venue's order.
    fn spell(&self, stamp: UnixMs, last: &str, text: &mut String) {
        let Some(hashed) = &self.hashed else { return };
        text.clear();
        let _ = write!(
            text,
            "{{\"market\":\"{}\",\"asset_id\":\"{}\",\"timestamp\":\"{}\",\"hash\":\"\",\"bids\":[",
            hashed.condition,
            hashed.token,
            stamp.raw()
        );
        levels(text, self.bids.iter());
        text.push_str("],\"asks\":[");
        levels(text, self.asks.iter().rev());
        let _ = write!(
            text,
            "],\"min_order_size\":\"{}\",\"tick_size\":\"{}\",\"neg_risk\":{},\"last_trade_price\":\"{last}\"",
            hashed.min_order_size,
            shortest(hashed.tick),
            hashed.neg_risk,
        );
        text.push_str(if hashed.v2 { ",\"version\":\"v2\"}" } else { "}" });
    }
}

fn levels<'a>(text: &mut String, levels: impl Iterator<Item = (&'a Price, &'a Qty)>) {
    for (at, (price, qty)) in levels.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{{\"price\":\"{}\",\"size\":\"{qty}\"}}", shortest(price.raw()));
    }
}

/// The venue's own form: shortest decimal, leading `0.`, no trailing zeros.
fn shortest(raw: u16) -> String {
    spelled(raw, 4).trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn spelled(raw: u16, decimals: u8) -> String {
    let all = format!("{}.{:04}", raw / 10_000, raw % 10_000);
    match decimals {
        0 => all[..1].to_owned(),
        n => all[..2 + usize::from(n.min(4))].to_owned(),
    }
}
