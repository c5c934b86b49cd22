//! Alerts and answers as messages: marked up for a chat, or plain.
//!
//! Everything that others wrote is taken for hostile: what a client would obey is escaped, what an eye does not see is
//! removed, and what looks like a key, an account or an address is cut in its middle. It stands in a block of fixed
//! letters, where no client makes links of it.

use super::message::{Answer, Body, Message};
use crate::{
    ledger::audit::Alert,
    unit::{AlertKind, UnixMs},
};

/// Telegram takes 4,096 characters; it counts as UTF-16 does.
pub const MESSAGE_MAX: usize = 4_096;
/// The longest line, in characters. What is longer is cut.
const LINE_MAX: usize = 400;
/// The mode in brackets.
const HEAD_ROOM: usize = 64;
/// Messages that one command may be answered with.
const PAGES_MAX: usize = 3;
/// A run of letters and digits this long is a key or an address.
const KEY_FROM: usize = 28;

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// One line that stands out.
    Head(String),
    /// Lines of text of ours.
    Text(String),
    /// Lines of numbers and of what others wrote.
    Pre(String),
}

/// A finished message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub text: String,
    /// Rows of buttons: a label and what it sends.
    pub buttons: Vec<Vec<(String, String)>>,
}

/// What stands before every headline.
#[derive(Clone, Debug)]
pub struct Frame {
    /// `PAPER`, `LIVE`.
    pub mode: String,
    pub zone: jiff::tz::TimeZone,
}

impl Frame {
    /// A time of day in the operator's zone.
    pub fn time(&self, at: UnixMs) -> String {
        let at = jiff::Timestamp::from_millisecond(i64::try_from(at.raw()).unwrap_or(0)).unwrap_or_default();
        at.to_zoned(self.zone.clone()).strftime("%d %b %H:%M:%S").to_string()
    }

    /// A message as it is sent. What does not fit is cut: answers are split before they wait.
    pub fn page(&self, message: &Message) -> Page {
        let (blocks, buttons) = self.parts(&message.body);
        let render = if message.plain { plain } else { marked };
        let text = paged(&blocks).first().map(|page| render(page)).unwrap_or_default();
        Page { text, buttons }
    }

    /// A message for a program: its kind, the number of its newest alert, when that was raised, and the text.
    pub fn facts(&self, message: &Message) -> (AlertKind, u64, Option<UnixMs>, String) {
        let (blocks, _) = self.parts(&message.body);
        let text = paged(&blocks).first().map(|page| plain(page)).unwrap_or_default();
        match &message.body {
            Body::Alert { alert, .. } => (alert.kind, alert.id, Some(alert.at), text),
            Body::Fold { kind, ids, .. } => (*kind, ids.last().copied().unwrap_or(0), None, text),
            Body::Edges { since, .. } => (AlertKind::Opportunity, 0, Some(*since), text),
            Body::Answer(_) => (AlertKind::Health, 0, None, text),
        }
    }

    fn parts(&self, body: &Body) -> (Vec<Block>, Vec<Vec<(String, String)>>) {
        let head = |text: &str| Block::Head(format!("[{}] {text}", self.mode));
        match body {
            Body::Alert { alert, told, times, again } => {
                let mut blocks = vec![head(&alert.headline)];
                blocks.extend(Some(alert.text.clone()).filter(|text| !text.is_empty()).map(Block::Text));
                blocks.extend(Some(alert.figures.clone()).filter(|text| !text.is_empty()).map(Block::Pre));
                blocks.push(Block::Text(self.footer(alert, *told, *times, *again)));
                (blocks, buttons(alert))
            }
            Body::Fold { kind, lines, count, reminds, again, .. } => {
                let again = if *again { " (some may have come before)" } else { "" };
                let open = if *reminds { ", not acknowledged" } else { "" };
                let hidden = count.saturating_sub(lines.len());
                let mut text = lines.join("\n");
                if 0 < hidden {
                    text = format!("{hidden} earlier ones are in the database\n{text}");
                }
                let mut blocks = vec![head(&format!("{count} × {}{open}{again}", kind.name()))];
                if *kind == AlertKind::Risk {
                    // Commands can be tapped, but not in a block of fixed letters.
                    blocks.extend([Block::Text(text), Block::Text("/ack all".into())]);
                } else {
                    blocks.push(Block::Pre(text));
                }
                (blocks, Vec::new())
            }
            Body::Edges { lines, count, since } => {
                let s = if *count == 1 { "y" } else { "ies" };
                let blocks = vec![
                    head(&format!("{count} opportunit{s} since {}", self.time(*since))),
                    Block::Pre(lines.join("\n")),
                ];
                (blocks, Vec::new())
            }
            Body::Answer(Answer { blocks, buttons }) => {
                let mut blocks = blocks.clone();
                if let Some(Block::Head(first)) = blocks.first_mut() {
                    *first = format!("[{}] {first}", self.mode);
                }
                (blocks, buttons.clone())
            }
        }
    }

    fn footer(&self, alert: &Alert, told: u32, times: u32, again: bool) -> String {
        let mut text = self.time(alert.at);
        if let Some(id) = alert.about {
            text = format!("#{id} · {text}");
        }
        if 1 < times {
            let what = if alert.kind == AlertKind::Risk { "happened" } else { "suppressed" };
            text = format!("{text} · {what} {times} times");
        }
        if 1 < told {
            text = format!("{text} · told {told} times, not acknowledged");
        }
        if again {
            text.push_str(" · again: it may have come before");
        }
        if alert.kind == AlertKind::Risk {
            text = format!("{text}\n/ack {}", alert.id);
        }
        text
    }
}

fn buttons(alert: &Alert) -> Vec<Vec<(String, String)>> {
    let button = |label: &str, data: String| (label.to_owned(), data);
    match alert.kind {
        AlertKind::Risk => {
            vec![vec![button("Acknowledge", format!("ack:{}", alert.id)), button("Status", "status".into())]]
        }
        AlertKind::Execution | AlertKind::Unwind => {
            let why = alert.about.map(|id| button("Why", format!("why:{id}")));
            let rest = [button("Positions", "positions".into()), button("Pause", "pause".into())];
            vec![why.into_iter().chain(rest).collect()]
        }
        AlertKind::Health | AlertKind::Error => vec![vec![button("Status", "status".into())]],
        _ => Vec::new(),
    }
}

/// Blocks as pages that each fit, split between lines.
pub fn paged(blocks: &[Block]) -> Vec<Vec<Block>> {
    // Room for what stands before the first line.
    let fits = |blocks: &[Block]| marked(blocks).encode_utf16().count() + HEAD_ROOM <= MESSAGE_MAX;
    let (mut pages, mut page): (Vec<Vec<Block>>, Vec<Block>) = (Vec::new(), Vec::new());
    for block in blocks {
        for line in block.lines() {
            let longer = joined(&page, block, &line);
            if fits(&longer) || page.is_empty() {
                page = longer;
            } else {
                pages.push(std::mem::take(&mut page));
                page.push(block.with(line));
            }
        }
    }
    pages.push(page);
    pages.retain(|page| !page.is_empty());
    pages
}

/// An answer as several that each fit; the last one has the buttons.
pub fn answers(answer: Answer) -> Vec<Answer> {
    let mut pages: Vec<_> = paged(&answer.blocks)
        .into_iter()
        .take(PAGES_MAX)
        .map(|blocks| Answer { blocks, buttons: Vec::new() })
        .collect();
    if let Some(last) = pages.last_mut() {
        last.buttons = answer.buttons;
    }
    pages
}

/// The page with one more line of a block.
fn joined(page: &[Block], block: &Block, line: &str) -> Vec<Block> {
    let mut page = page.to_vec();
    match (page.last_mut(), block) {
        (Some(Block::Text(text)), Block::Text(_)) | (Some(Block::Pre(text)), Block::Pre(_)) => {
            text.push('\n');
            text.push_str(line);
        }
        _ => page.push(block.with(line.to_owned())),
    }
    page
}

impl Block {
    fn text(&self) -> &str {
        match self {
            Self::Head(text) | Self::Text(text) | Self::Pre(text) => text,
        }
    }

    /// Its lines, each clean and no longer than may be.
    fn lines(&self) -> Vec<String> {
        let lines = if matches!(self, Self::Head(_)) { 1 } else { usize::MAX };
        self.text().lines().map(|line| clean(line, LINE_MAX)).take(lines).collect()
    }

    fn with(&self, text: String) -> Self {
        match self {
            Self::Head(_) => Self::Head(text),
            Self::Text(_) => Self::Text(text),
            Self::Pre(_) => Self::Pre(text),
        }
    }
}

/// As Telegram's HTML.
pub fn marked(blocks: &[Block]) -> String {
    let part = |block: &Block| match block {
        Block::Head(text) => format!("<b>{}</b>", escaped(text)),
        Block::Text(text) => escaped(text),
        Block::Pre(text) => format!("<pre>{}</pre>", escaped(text)),
    };
    blocks.iter().map(part).collect::<Vec<_>>().join("\n")
}

/// Without any markup.
pub fn plain(blocks: &[Block]) -> String {
    blocks.iter().map(Block::text).collect::<Vec<_>>().join("\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// One line without what a client obeys or an eye does not see, with keys and addresses cut in their middle.
pub fn clean(line: &str, most: usize) -> String {
    let seen: String = line.chars().filter(|letter| shows(*letter)).collect();
    let short = shortened(&seen);
    if short.chars().count() <= most {
        return short;
    }
    short.chars().take(most - 1).chain(['…']).collect()
}

fn shows(letter: char) -> bool {
    let hidden = matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !letter.is_control() && !hidden
}

/// Long runs of letters and digits keep their ends alone: whoever owns it knows it again, and nobody else learns it.
fn shortened(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(is_key) {
        text.push_str(&rest[..start]);
        let run = &rest[start..];
        let end = run.find(|letter| !is_key(letter)).unwrap_or(run.len());
        let word = &run[..end];
        if is_secret(word) {
            text.extend([&word[..6], "…", &word[word.len() - 4..]]);
        } else {
            text.push_str(word);
        }
        rest = &run[end..];
    }
    text.push_str(rest);
    text
}

const fn is_key(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '+' | '/' | '=')
}

/// Is this a key, an account or an address, rather than a ticker? Tickers are capitals with dashes.
fn is_secret(word: &str) -> bool {
    let id = {
        let parts: Vec<&str> = word.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
    };
    let run = word.split(['-', '/']).map(str::len).max().unwrap_or(0);
    let mixed = word.len() >= KEY_FROM
        && word.chars().any(|c| c.is_ascii_lowercase())
        && word.chars().any(|c| c.is_ascii_digit());
    id || KEY_FROM <= run || mixed
}
