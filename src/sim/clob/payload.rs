//! The body of an order as it was sent: JSON in, the signed struct and what is not signed out; then what it asks for in
//! prices and quantities.

use alloy_primitives::{Address, B256, U256, hex};
use serde_json::Value;

use crate::sim::clob::typed::Order;
use crate::unit::{Money, Price, Qty};

/// How long an order stays, and whether it may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OrderKind {
    Gtc,
    Gtd,
    Fok,
    Fak,
}

impl OrderKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gtc => "GTC",
            Self::Gtd => "GTD",
            Self::Fok => "FOK",
            Self::Fak => "FAK",
        }
    }

    /// Does what is left of it go into the book?
    pub const fn rests(self) -> bool {
        matches!(self, Self::Gtc | Self::Gtd)
    }
}

/// Which way tokens go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    Buy,
    Sell,
}

impl Side {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buy => "BUY",
            Self::Sell => "SELL",
        }
    }
}

/// An order's body.
#[derive(Clone, Debug)]
pub struct Payload {
    pub order: Order,
    pub signature: Vec<u8>,
    /// Unix seconds; 0 is never.
    pub expiration: u64,
    pub kind: OrderKind,
    pub side: Side,
    pub owner: String,
    pub post_only: bool,
}

impl Payload {
    /// Reads a body; `None` if it has not the shape of one.
    pub fn read(body: &Value) -> Option<Self> {
        let order = body.get("order")?;
        let text = |name: &str| order.get(name)?.as_str();
        let number = |name: &str| text(name)?.parse::<U256>().ok();
        let address = |name: &str| text(name)?.parse::<Address>().ok();
        let word = |name: &str| text(name)?.parse::<B256>().ok();
        let side = match text("side")? {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            _ => return None,
        };
        let kind = match body.get("orderType")?.as_str()? {
            "GTC" => OrderKind::Gtc,
            "GTD" => OrderKind::Gtd,
            "FOK" => OrderKind::Fok,
            "FAK" => OrderKind::Fak,
            _ => return None,
        };
        let post_only = match body.get("postOnly") {
            None => false,
            Some(flag) => flag.as_bool()?,
        };
        // Only what may rest can promise not to take.
        if post_only && !kind.rests() {
            return None;
        }
        // The salt is a JSON number to the venue, so one above 2^53 is another one when it arrives.
        let salt = order.get("salt")?.as_u64()? as f64 as u64;
        Some(Self {
            order: Order {
                salt: U256::from(salt),
                maker: address("maker")?,
                signer: address("signer")?,
                tokenId: number("tokenId")?,
                makerAmount: number("makerAmount")?,
                takerAmount: number("takerAmount")?,
                side: side as u8,
                signatureType: u8::try_from(order.get("signatureType")?.as_u64()?).ok()?,
                timestamp: number("timestamp")?,
                metadata: word("metadata")?,
                builder: word("builder")?,
            },
            signature: hex::decode(text("signature")?).ok()?,
            expiration: text("expiration")?.parse().ok()?,
            kind,
            side,
            owner: body.get("owner")?.as_str()?.to_owned(),
            post_only,
        })
    }
}

/// What an order asks for, in its own token's terms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wish {
    /// The worst price, on the grid.
    pub price: Price,
    /// Shares; for an order by dollars, what they buy at the worst price.
    pub shares: Qty,
    /// What it gives or gets in pUSD at the worst price.
    pub dollars: Money,
    /// It fixes dollars, and a better price brings more shares.
    pub by_dollars: bool,
}

/// Why amounts are refused, with what the venue's sentence needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BadAmounts {
    Zero,
    OffTick { price: String },
    TooSmall { size: String },
    Text(String),
}

/// Reads amounts against a market's tick and its smallest size, the way the venue does: tick, then size, then decimals.
pub fn wish(payload: &Payload, tick: u16, size_min: Qty) -> Result<Wish, BadAmounts> {
    let micros = |amount: U256| u64::try_from(amount).ok().and_then(Qty::new).filter(|qty| !qty.is_zero());
    let (Some(gives), Some(gets)) = (micros(payload.order.makerAmount), micros(payload.order.takerAmount)) else {
        return Err(BadAmounts::Zero);
    };
    let (dollars, shares) = match payload.side {
        Side::Buy => (gives.micros(), gets),
        Side::Sell => (gets.micros(), gives),
    };
    let by_dollars = payload.side == Side::Buy && !payload.kind.rests();
    let price = price_of(dollars, shares, tick)?;
    if shares < size_min {
        return Err(BadAmounts::TooSmall { size: shares.to_string() });
    }
    let wish = Wish { price, shares, dollars: Money::micros(dollars as i64), by_dollars };
    if by_dollars {
        check_flat(dollars, shares)?;
        return Ok(Wish { price: within(dollars, shares, tick).ok_or(BadAmounts::Zero)?, ..wish });
    }
    check_product(payload.side, dollars, shares, price, tick)?;
    Ok(wish)
}

/// The price that two amounts mean: exact where they divide, else to the tick's decimals.
fn price_of(dollars: u64, shares: Qty, tick: u16) -> Result<Price, BadAmounts> {
    let scaled = u128::from(dollars) * u128::from(Price::DOLLAR);
    let shares = u128::from(shares.micros());
    let raw = if scaled.is_multiple_of(shares) {
        scaled / shares
    } else {
        let unit = u128::from(10_u16.pow(4 - decimals(tick)));
        (2 * scaled + shares * unit) / (2 * shares * unit) * unit
    };
    let raw = u16::try_from(raw).unwrap_or(u16::MAX);
    let on_tick = raw.is_multiple_of(tick) && (tick..=Price::DOLLAR - tick).contains(&raw);
    match Price::new(raw).filter(|_| on_tick) {
        Some(price) => Ok(price),
        None => Err(BadAmounts::OffTick { price: decimal(u64::from(raw) * 100) }),
    }
}

/// The worst grid price that dollars for shares allow.
fn within(dollars: u64, shares: Qty, tick: u16) -> Option<Price> {
    let raw = u128::from(dollars) * u128::from(Price::DOLLAR) / u128::from(shares.micros());
    let raw = u16::try_from(raw).unwrap_or(Price::DOLLAR).min(Price::DOLLAR - tick);
    Price::new(raw / tick * tick)
}

/// How many decimals a price has on this tick.
const fn decimals(tick: u16) -> u32 {
    if tick.is_multiple_of(1_000) {
        1
    } else if tick.is_multiple_of(100) {
        2
    } else if tick.is_multiple_of(10) {
        3
    } else {
        4
    }
}

/// Buys that take at once: two decimals of dollars, four of shares, whatever the tick.
fn check_flat(dollars: u64, shares: Qty) -> Result<(), BadAmounts> {
    if dollars.is_multiple_of(10_000) && shares.micros().is_multiple_of(100) {
        return Ok(());
    }
    Err(BadAmounts::Text(String::from(
        "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, taker amount a max \
         of 4 decimals",
    )))
}

/// Everything else: two decimals of shares, and dollars that are their product with the price.
fn check_product(side: Side, dollars: u64, shares: Qty, price: Price, tick: u16) -> Result<(), BadAmounts> {
    let places = decimals(tick) + 2;
    let step = 10_u64.pow(6 - places);
    if !dollars.is_multiple_of(step) || !shares.micros().is_multiple_of(10_000) {
        let text = match side {
            Side::Buy => format!(
                "the buy orders maker amount supports a max accuracy of {places} decimals, taker amount \
                 a max of 2 decimals"
            ),
            Side::Sell => format!(
                "the sell orders maker amount supports a max accuracy of 2 decimals, taker amount a max \
                 of {places} decimals"
            ),
        };
        return Err(BadAmounts::Text(text));
    }
    let wanted = price.proceeds(shares).raw().unsigned_abs();
    if dollars == wanted {
        return Ok(());
    }
    let which = match side {
        Side::Buy => "maker",
        Side::Sell => "taker",
    };
    Err(BadAmounts::Text(format!(
        "invalid amounts, the {which} amount for a ${} order of size {shares} should be '{}' but the value submited is \
         '{}'",
        decimal(u64::from(price.raw()) * 100),
        decimal(wanted),
        decimal(dollars)
    )))
}

/// Millionths as the shortest decimal.
pub fn decimal(micros: u64) -> String {
    let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
    if part == 0 { whole.to_string() } else { format!("{whole}.{part:06}").trim_end_matches('0').to_owned() }
}
