//! The pair book: what a person approved, with the fingerprints of the rule texts that were approved.
//!
//! Strict like the settings: a pair that cannot be read completely stops the start, because a pair that is half read
//! is a bet that nobody approved. The fact a newcomer gets wrong: titles are for people; what binds is the ticker, the
//! condition id, the polarity and the two rule texts.

use std::collections::HashMap;
use std::fmt;
use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::unit::UnixMs;

/// How the two YES legs relate.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Polarity {
    /// YES here pays when YES there pays.
    Same,
    /// YES here pays when NO there pays.
    Inverted,
}

/// How likely it is judged that both markets settle differently although they are the same bet on paper.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tail {
    #[default]
    Minor,
    /// A different source or deadline that could decide differently.
    Material,
}

/// SHA-256 of a normalised rule text.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Reads `sha256:` and 64 lower-case hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        hex32(text.strip_prefix("sha256:")?).map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The fingerprint of a rule text that came in parts: each part trimmed, white space collapsed, invisible characters
/// taken out, parts joined by a line end. Empty parts do not count, so a venue that starts to send an empty second
/// part changes nothing.
#[must_use]
pub fn fingerprint(parts: &[&str]) -> Fingerprint {
    let mut text = String::new();
    for part in parts {
        // Zero-width characters, the byte-order mark and soft hyphens do not show and must not count.
        let seen = part.replace(
            ['\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{2060}', '\u{feff}', '\u{ad}'],
            "",
        );
        let words = seen.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&words);
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    Fingerprint(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// Two markets that a person judged to be the same bet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApprovedPair {
    /// For people.
    pub title: String,
    /// Kalshi's ticker.
    pub kalshi: String,
    /// Polymarket's condition id, `0x` and 64 lower-case hex digits.
    pub polymarket: String,
    pub polarity: Polarity,
    /// What the pair depends on; exposure is limited per event.
    pub event: String,
    pub approved_by: String,
    pub approved_at: UnixMs,
    pub kalshi_rules: Fingerprint,
    pub polymarket_rules: Fingerprint,
    pub tail: Tail,
}

impl ApprovedPair {
    /// `ticker|condition id`: the pair's name in the ledger.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}|{}", self.kalshi, self.polymarket)
    }
}

/// Every approved pair, in the order of the file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PairBook {
    pairs: Vec<ApprovedPair>,
}

/// Why a pair book was not read: which pair, which line, what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct PairError {
    pub file: String,
    /// From 1; 0 where the file itself cannot be read.
    pub line: usize,
    pub kind: Refusal,
    /// What is wrong and how to put it right.
    pub what: String,
}

/// The kinds of refusal, for callers that act on them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The file cannot be read.
    Unreadable,
    /// Not TOML, an unknown or missing key, a wrong type.
    Shape,
    Title,
    Ticker,
    ConditionId,
    Event,
    Approval,
    Date,
    RuleFingerprint,
    /// The same two markets twice.
    Duplicate,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBook {
    #[serde(default)]
    pair: Vec<RawPair>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPair {
    title: Spanned<String>,
    kalshi: Spanned<String>,
    polymarket: Spanned<String>,
    polarity: Polarity,
    event: Spanned<String>,
    approved_by: Spanned<String>,
    approved_at: Spanned<String>,
    kalshi_rules: Spanned<String>,
    polymarket_rules: Spanned<String>,
    #[serde(default)]
    tail: Tail,
}

impl PairBook {
    /// A book of these pairs, which no two are alike.
    pub fn new(pairs: Vec<ApprovedPair>) -> Result<Self, PairError> {
        let text = Self { pairs }.to_toml();
        Self::parse(&text, "(new)")
    }

    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, PairError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| PairError {
            file: file.clone(),
            line: 0,
            kind: Refusal::Unreadable,
            what: format!("{error}; set pairs.file to a file that can be read"),
        })?;
        Self::parse(&text, &file)
    }

    /// Reads a text; `file` is what errors call it.
    pub fn parse(text: &str, file: &str) -> Result<Self, PairError> {
        let refuse = |at: usize, kind: Refusal, what: String| {
            let line = 1 + text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count();
            PairError { file: file.into(), line, kind, what }
        };
        let raw: RawBook = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            refuse(at, Refusal::Shape, error.message().trim().to_owned())
        })?;
        let mut first: HashMap<String, usize> = HashMap::new();
        let mut pairs = Vec::with_capacity(raw.pair.len());
        for raw in raw.pair {
            let at = raw.kalshi.span().start;
            let pair = check(&raw).map_err(|(at, kind, what)| refuse(at, kind, what))?;
            if let Some(earlier) = first.insert(pair.key(), at) {
                let earlier = refuse(earlier, Refusal::Duplicate, String::new()).line;
                let what = format!("{} and {} are paired already in line {earlier}", pair.kalshi, pair.polymarket);
                return Err(refuse(at, Refusal::Duplicate, what));
            }
            pairs.push(pair);
        }
        Ok(Self { pairs })
    }

    /// The pairs, in the order of the file.
    #[must_use]
    pub fn pairs(&self) -> &[ApprovedPair] {
        &self.pairs
    }

    /// The pairs as a file that [`PairBook::parse`] reads back.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.into()).to_string();
        let mut text = HEAD.to_owned();
        for pair in &self.pairs {
            let millis = i64::try_from(pair.approved_at.raw()).unwrap_or(i64::MAX);
            let at = Timestamp::from_millisecond(millis).map_or_else(|_| String::new(), |at| at.to_string());
            let _ = writeln!(text, "\n[[pair]]\ntitle = {}", quoted(&pair.title));
            let _ = writeln!(text, "kalshi = {}\npolymarket = {}", quoted(&pair.kalshi), quoted(&pair.polymarket));
            let polarity = match pair.polarity {
                Polarity::Same => "same",
                Polarity::Inverted => "inverted",
            };
            let _ = writeln!(text, "polarity = \"{polarity}\"\nevent = {}", quoted(&pair.event));
            let _ = writeln!(text, "approved_by = {}\napproved_at = \"{at}\"", quoted(&pair.approved_by));
            let _ = writeln!(text, "kalshi_rules = \"{}\"", pair.kalshi_rules);
            let _ = writeln!(text, "polymarket_rules = \"{}\"", pair.polymarket_rules);
            if pair.tail == Tail::Material {
                text.push_str("tail = \"material\"\n");
            }
        }
        text
    }
}

/// The head of every pair book, and all there is to the committed one.
const HEAD: &str = "\
# The pair book: which Kalshi market and which Polymarket market are the same bet. Nothing trades unless it stands here.
#
# A pair is a judgement of a person about two rule texts. Read both to the end: title, who decides, by when, what counts,
# what happens when the event is cancelled. If a rule text changes later, its fingerprint no longer fits and the pair
# stops until somebody has read it again.
#
# [[pair]]
# title = \"Will bill X pass by 30 November?\"       # for people
# kalshi = \"KXBILLX-26NOV30\"                        # market ticker, not the event's
# polymarket = \"0x...\"                              # condition id: 0x and 64 hex digits
# polarity = \"same\"                                 # or \"inverted\": YES here is NO there
# event = \"bill-x\"                                  # pairs with the same event share one exposure limit
# approved_by = \"ada\"
# approved_at = \"2026-11-20T10:00:00Z\"              # RFC 3339
# kalshi_rules = \"sha256:...\"                       # fingerprints of the rule texts that were read
# polymarket_rules = \"sha256:...\"
# tail = \"minor\"                                    # or \"material\": could plausibly settle differently; optional
";

type Wrong = (usize, Refusal, String);

fn check(raw: &RawPair) -> Result<ApprovedPair, Wrong> {
    let words = |text: &Spanned<String>, kind: Refusal, name: &str| -> Result<String, Wrong> {
        let plain = text.get_ref();
        let at = text.span().start;
        if plain.trim().is_empty() {
            return Err((at, kind, format!("{name} is empty")));
        }
        if plain.trim() != plain || plain.chars().any(char::is_control) || 500 < plain.len() {
            return Err((at, kind, format!("{name} has a space at its edge, a control character or over 500 bytes")));
        }
        Ok(plain.clone())
    };
    let title = words(&raw.title, Refusal::Title, "title")?;
    let kalshi = words(&raw.kalshi, Refusal::Ticker, "kalshi")?;
    let sound = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    if 100 < kalshi.len() || !kalshi.bytes().all(sound) {
        let what = format!("`{kalshi}` is no Kalshi ticker: capitals, digits, - . _ only, as in KXFED-26DEC-T4.00");
        return Err((raw.kalshi.span().start, Refusal::Ticker, what));
    }
    let polymarket = words(&raw.polymarket, Refusal::ConditionId, "polymarket")?;
    if polymarket.strip_prefix("0x").and_then(hex32).is_none() {
        let what =
            format!("`{polymarket}` is no condition id: 0x and 64 lower-case hex digits (not a token id or slug)");
        return Err((raw.polymarket.span().start, Refusal::ConditionId, what));
    }
    let event = words(&raw.event, Refusal::Event, "event")?;
    let approved_by = words(&raw.approved_by, Refusal::Approval, "approved_by: nothing trades unapproved, and it")?;
    let at = raw.approved_at.get_ref();
    let approved_at = at.parse::<Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
    let Some(approved_at) = approved_at else {
        let what = format!("approved_at: `{at}` is no RFC 3339 time, as in 2026-11-20T10:00:00Z");
        return Err((raw.approved_at.span().start, Refusal::Date, what));
    };
    let rules = |text: &Spanned<String>, name: &str| {
        Fingerprint::parse(text.get_ref()).ok_or_else(|| {
            let what = format!("{name} is no fingerprint: sha256: and 64 lower-case hex digits");
            (text.span().start, Refusal::RuleFingerprint, what)
        })
    };
    Ok(ApprovedPair {
        title,
        kalshi,
        polymarket,
        polarity: raw.polarity,
        event,
        approved_by,
        approved_at: UnixMs::new(approved_at),
        kalshi_rules: rules(&raw.kalshi_rules, "kalshi_rules")?,
        polymarket_rules: rules(&raw.polymarket_rules, "polymarket_rules")?,
        tail: raw.tail,
    })
}

/// 64 lower-case hex digits. Upper case is refused: ids are compared as texts elsewhere.
fn hex32(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(ticker: &str) -> ApprovedPair {
        ApprovedPair {
            title: "Will \"bill X\" pass?".into(),
            kalshi: ticker.into(),
            polymarket: format!("0x{}", "ab".repeat(32)),
            polarity: Polarity::Inverted,
            event: "bill-x".into(),
            approved_by: "ada".into(),
            approved_at: UnixMs::new(1_795_168_800_000),
            kalshi_rules: fingerprint(&["If bill X passes"]),
            polymarket_rules: fingerprint(&["This market resolves"]),
            tail: Tail::Material,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let book = PairBook::new(vec![pair("KXBILLX-26NOV30"), pair("KXBILLX-26DEC31")]).unwrap();
        assert_eq!(book.pairs().len(), 2);
        assert_eq!(PairBook::parse(&book.to_toml(), "pairs.toml").unwrap(), book);
        assert_eq!(book.pairs()[0].key(), format!("KXBILLX-26NOV30|0x{}", "ab".repeat(32)));
    }

    #[test]
    fn the_committed_book_is_empty_and_explains_itself() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/pairs.toml");
        if std::env::var_os("ORION_BLESS").is_some() {
            std::fs::write(&path, PairBook::default().to_toml()).unwrap();
        }
        assert_eq!(PairBook::load(&path).unwrap(), PairBook::default());
        assert_eq!(std::fs::read_to_string(path).unwrap(), PairBook::default().to_toml());
    }

    #[test]
    fn a_pair_that_is_not_complete_is_refused_by_name_and_line() {
        let good = PairBook::new(vec![pair("KXA-1")]).unwrap().to_toml();
        let sixty_four = "ab".repeat(32);
        for (from, to, kind) in [
            ("approved_by = \"ada\"\n", "", Refusal::Shape),
            ("approved_by = \"ada\"", "approved_by = \" \"", Refusal::Approval),
            ("event = ", "evnt = ", Refusal::Shape),
            ("\"inverted\"", "\"reversed\"", Refusal::Shape),
            ("\"KXA-1\"", "\"kxa-1\"", Refusal::Ticker),
            ("\"KXA-1\"", "\"KXA 1\"", Refusal::Ticker),
            ("\"0xab", "\"0xAB", Refusal::ConditionId),
            ("\"0xab", "\"ab", Refusal::ConditionId),
            ("approved_at = \"2026", "approved_at = \"26", Refusal::Date),
            ("T", "x", Refusal::Date),
            ("kalshi_rules = \"sha256:", "kalshi_rules = \"sha1:", Refusal::RuleFingerprint),
            ("tail = \"material\"", "tial = \"material\"", Refusal::Shape),
        ] {
            // Only the pair is edited, never the commented head.
            let (head, body) = good.split_at(HEAD.len());
            let body = if from == "T" {
                body.replacen("T1", "x1", 1).replacen("T0", "x0", 1)
            } else {
                body.replacen(from, to, 1)
            };
            let error = PairBook::parse(&format!("{head}{body}"), "pairs.toml").expect_err(to);
            assert_eq!(error.kind, kind, "{error}");
            assert!(HEAD.lines().count() < error.line, "{error}");
        }
        let twice = format!("{good}{}", &good[HEAD.len()..]);
        let error = PairBook::parse(&twice, "pairs.toml").unwrap_err();
        assert_eq!(error.kind, Refusal::Duplicate);
        assert!(error.to_string().contains(&sixty_four), "{error}");
        assert_eq!(PairBook::load(Path::new("/nowhere.toml")).unwrap_err().kind, Refusal::Unreadable);
    }

    #[test]
    fn only_what_can_be_seen_counts_for_a_fingerprint() {
        let plain = fingerprint(&["If X happens, YES.", "Otherwise NO."]);
        assert_eq!(fingerprint(&["  If X\u{200b} happens,\r\n\tYES. ", "Otherwise\u{a0}NO.", " "]), plain);
        assert_ne!(fingerprint(&["If X happens, NO.", "Otherwise NO."]), plain);
        assert_ne!(fingerprint(&["If X happens, YES. Otherwise NO."]), plain, "parts stay parts");
        assert_eq!(Fingerprint::parse(&plain.to_string()), Some(plain));
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(fingerprint(&[]).to_string(), empty);
    }
}
