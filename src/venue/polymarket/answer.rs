//! What the CLOB's answers to orders and cancels mean (dossier 3.6, 3.8, 3.10).
//!
//! Refusals are sentences, sent with an error status or inside a 200; they are known by a part of them. Accepted means
//! success, an empty `errorMsg` and an `orderID`, all three. Everything else leaves the order in doubt.

use smallvec::{SmallVec, smallvec};

use crate::{
    order::{Ask, leg::DUST},
    unit::{Picture, Qty, Refusal, Sent, Tag, Told, Unclear},
    wire::json::{Item, Malformed, Parser, Slot},
};

/// Sentences by a part that nothing else contains, and what each means.
const SENTENCES: [(&str, Refusal); 34] = [
    ("not enough balance / allowance", Refusal::Funds),
    ("breaks minimum tick size rule", Refusal::Price),
    ("lower than the minimum", Refusal::Size),
    ("invalid amount for a marketable BUY order", Refusal::Size),
    ("invalid amounts", Refusal::Size),
    ("supports a max accuracy of", Refusal::Size),
    ("is invalid. Duplicated.", Refusal::Duplicate),
    ("FOK orders are fully filled or killed", Refusal::Killed),
    ("no orders found to match with FAK order", Refusal::Killed),
    ("order crosses book", Refusal::Crosses),
    ("crosses the book", Refusal::Crosses),
    ("invalid expiration", Refusal::Expiration),
    ("is not yet ready to process new orders", Refusal::NotOpen),
    ("market not found", Refusal::NoMarket),
    ("No orderbook exists", Refusal::NoMarket),
    ("Invalid token id", Refusal::NoMarket),
    ("order_version_mismatch", Refusal::Version),
    ("order signer address has to be", Refusal::Key),
    ("order owner has to be", Refusal::Key),
    ("Unauthorized/Invalid api key", Refusal::Key),
    ("Invalid L1 Request headers", Refusal::Key),
    ("maker address not allowed", Refusal::Forbidden),
    ("address banned", Refusal::Banned),
    ("address in closed only mode", Refusal::ClosedOnly),
    ("post-only mode", Refusal::PostOnly),
    ("cancel-only", Refusal::CancelOnly),
    ("Trading is currently disabled", Refusal::Disabled),
    ("trading is disabled", Refusal::Disabled),
    ("Too Many Requests", Refusal::Rate),
    ("Rate limit exceeded", Refusal::Rate),
    ("Invalid order payload", Refusal::Malformed),
    ("invalid nonce", Refusal::Malformed),
    ("invalid signature", Refusal::Key),
    ("Too many orders in payload", Refusal::Malformed),
];

/// The refusal that a sentence states.
fn refusal(text: &str) -> Option<Refusal> {
    SENTENCES.iter().find(|(part, _)| text.contains(part)).map(|(_, refusal)| *refusal)
}

/// What the answer to `POST /order` means. `kills` tells that what is not filled at once is gone (FAK, FOK).
pub fn posted(status: u16, body: &mut [u8], ask: &Ask, kills: bool, parser: &mut Parser) -> SmallVec<[Told; 2]> {
    let unknown = |why| smallvec![Told::Sent(Sent::Unknown(why))];
    // The engine restarts; whatever its body says, no order was taken.
    if status == 425 {
        return smallvec![Told::Sent(Sent::Refused(Refusal::Restarting))];
    }
    let known = matches!(status, 200..=299 | 400 | 401 | 403 | 404 | 429 | 503);
    if !known {
        return unknown(Unclear::Status(status));
    }
    let success = (200..300).contains(&status);
    match parser.parse(body, |root| read(root, success, ask, kills)) {
        Ok(told) => told,
        Err(_) if success => unknown(Unclear::Unreadable),
        Err(_) => unknown(Unclear::Unfamiliar),
    }
}

fn read(root: Item<'_, '_>, success: bool, ask: &Ask, kills: bool) -> Result<SmallVec<[Told; 2]>, Malformed> {
    let (mut error, mut message) = (Slot::new("error"), Slot::new("errorMsg"));
    let (mut id, mut status) = (Slot::new("orderID"), Slot::new("status"));
    let (mut making, mut taking) = (Slot::new("makingAmount"), Slot::new("takingAmount"));
    for (key, value) in root.members()? {
        match key {
            "error" => error.fill(value)?,
            "errorMsg" => message.fill(value)?,
            "orderID" => id.fill(value)?,
            "status" => status.fill(value)?,
            "makingAmount" => making.fill(value)?,
            "takingAmount" => taking.fill(value)?,
            _ => {}
        }
    }
    let text = error.text_if_any()?.or(message.text_if_any()?).unwrap_or_default();
    let id = id.text_if_any()?.unwrap_or_default();
    if !text.is_empty() {
        // A sentence beside an order's id contradicts itself.
        let sent = match (refusal(text), id) {
            (Some(refusal), "") => Sent::Refused(refusal),
            _ => Sent::Unknown(Unclear::Unfamiliar),
        };
        return Ok(smallvec![Told::Sent(sent)]);
    }
    if !success {
        return Ok(smallvec![Told::Sent(Sent::Unknown(Unclear::Unfamiliar))]);
    }
    let tag = Tag::new(id).ok_or(Malformed::Field("orderID"))?;
    let shares = amount(if ask.buys { taking } else { making })?;
    match status.text()? {
        "live" | "matched" => {
            let whole = ask.qty.saturating_sub(shares) <= DUST;
            let picture = Picture { filled: shares, open: !kills && !whole };
            Ok(smallvec![Told::Sent(Sent::Accepted(tag)), Told::Picture(picture)])
        }
        // Held, or placed without a match: its record will tell.
        _ => Ok(smallvec![Told::Sent(Sent::Unknown(Unclear::Delayed))]),
    }
}

/// Shares as filled at once; nothing where the text is empty.
fn amount(slot: Slot<'_, '_>) -> Result<Qty, Malformed> {
    match slot.text_if_any()?.unwrap_or_default() {
        "" => Ok(Qty::ZERO),
        text => Qty::parse(text.as_bytes()).ok_or(Malformed::Qty("amount")),
    }
}

/// What the answer to a cancel means for the order `tag`. The venue does not say how much of it had been filled.
pub fn cancelled(status: u16, body: &mut [u8], tag: &Tag, parser: &mut Parser) -> Told {
    if status != 200 {
        return Told::NotCancelled;
    }
    let read = parser.parse(body, |root| {
        let mut list = Slot::new("canceled");
        for (key, value) in root.members()? {
            if key == "canceled" {
                list.fill(value)?;
            }
        }
        Ok(list.required()?.elements()?.any(|id| id.text() == Some(tag.as_str())))
    });
    if read == Ok(true) { Told::Cancelled { left: None } } else { Told::NotCancelled }
}
