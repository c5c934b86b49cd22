//! The user channel: who has signed in and for which markets, and what the desk tells them. Nothing is ever replayed.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::sim::clob::ClobDesk;
use crate::sim::clob::admit::{FAK_KILLED, FOK_KILLED, Order, Stage};
use crate::sim::clob::fault::OrderFault;
use crate::sim::clob::trade::outcome_name;
use crate::sim::polymarket::short;
use crate::sim::world::World;
use crate::unit::{UnixMs, Venue};

/// Something for the user channel.
#[derive(Clone, Debug)]
pub enum Notice {
    Frame {
        account: usize,
        market: usize,
        text: Arc<str>,
    },
    /// The account's connections end.
    Cut {
        account: usize,
    },
}

/// What a connection hears to a frame of its own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Heard {
    pub frames: Vec<String>,
    /// The venue closes the connection.
    pub close: bool,
}

/// One connection.
#[derive(Clone, Debug, Default)]
pub struct Session {
    account: Option<usize>,
    /// Without any, all of them.
    markets: BTreeSet<usize>,
}

impl Session {
    /// Takes a frame. The first one has to sign in; a wrong key closes the connection, without a word.
    pub fn handle_text(&mut self, text: &str, desk: &ClobDesk, world: &World) -> Heard {
        let closed = Heard { frames: Vec::new(), close: true };
        if text.trim() == "PING" {
            return Heard { frames: vec![String::from("PONG")], close: false };
        }
        let Ok(message) = serde_json::from_str::<Value>(text) else { return closed };
        let named = message["markets"].as_array().into_iter().flatten();
        let markets = named.filter_map(|name| world.find(Venue::Polymarket, name.as_str()?));
        match (self.account, message["operation"].as_str()) {
            (Some(_), Some("subscribe")) => self.markets.extend(markets),
            (Some(_), Some("unsubscribe")) => {
                for market in markets {
                    self.markets.remove(&market);
                }
            }
            (None, None) => {
                let auth = |name: &str| message["auth"][name].as_str().unwrap_or_default();
                self.account = desk.channel_account(auth("apiKey"), auth("secret"), auth("passphrase"));
                if self.account.is_none() || message["type"] != "user" {
                    return closed;
                }
                self.markets.extend(markets);
            }
            _ => return closed,
        }
        Heard::default()
    }

    /// Does this connection get the notice?
    pub fn wants(&self, notice: &Notice) -> bool {
        match notice {
            Notice::Frame { account, market, .. } => {
                self.account == Some(*account) && (self.markets.is_empty() || self.markets.contains(market))
            }
            Notice::Cut { account } => self.account == Some(*account),
        }
    }
}

impl ClobDesk {
    /// What the user channel says by now, in order.
    pub fn notices(&mut self, now: UnixMs) -> Vec<Notice> {
        let (due, later) = std::mem::take(&mut self.notices).into_iter().partition(|(at, _)| *at <= now);
        self.notices = later;
        let due: Vec<(UnixMs, Notice)> = due;
        due.into_iter().map(|(_, notice)| notice).collect()
    }

    pub(super) fn tell_order(&mut self, at: usize, kind: &str, world: &World, now: UnixMs) {
        let order = &self.orders[at];
        let mut object = self.order_object(order, world);
        let Some(members) = object.as_object_mut() else { return };
        let killed = matches!(order.stage, Stage::Canceled(text) if text == FOK_KILLED || text == FAK_KILLED);
        for (name, value) in [
            ("event_type", json!("order")),
            ("type", json!(kind)),
            ("order_owner", json!(order.key)),
            ("status", json!(status(order))),
            ("created_at", json!((order.created.raw() / 1_000).to_string())),
            ("timestamp", json!(now.raw().to_string())),
        ] {
            members.insert(name.to_owned(), value);
        }
        if killed {
            // A killed order is told with half of its members empty.
            for name in ["size_matched", "outcome", "created_at"] {
                members.insert(name.to_owned(), json!(""));
            }
        }
        let (account, market) = (order.account, order.market);
        self.notices.push((now, Notice::Frame { account, market, text: object.to_string().into() }));
    }

    pub(super) fn tell_trade(&mut self, at: usize, world: &World, now: UnixMs) {
        let trade = &self.trades[at];
        let accounts: BTreeSet<usize> =
            trade.parties().filter_map(|party| Some(self.orders[party.order?].account)).collect();
        let market = trade.market;
        let mut frames = Vec::new();
        for account in accounts {
            let Some(mut object) = self.trade_object(trade, account, world) else { continue };
            if let Some(members) = object.as_object_mut() {
                for (name, value) in [
                    ("event_type", json!("trade")),
                    ("type", json!("TRADE")),
                    ("status", json!(trade.status.name())),
                    ("trade_owner", json!(trade.taker.owner)),
                    ("timestamp", json!(now.raw().to_string())),
                ] {
                    members.insert(name.to_owned(), value);
                }
            }
            frames.push((account, Arc::<str>::from(object.to_string())));
        }
        for (account, text) in frames {
            let frame = Notice::Frame { account, market, text };
            match self.faults.befall_event() {
                None => self.notices.push((now, frame)),
                Some(OrderFault::EventTwice) => self.notices.extend([(now, frame.clone()), (now, frame)]),
                Some(OrderFault::EventLate(ms)) => self.notices.push((UnixMs::new(now.raw() + ms), frame)),
                Some(OrderFault::StreamCut) => self.notices.push((now, Notice::Cut { account })),
                Some(_) => {}
            }
        }
    }

    /// An order in the members that REST and the user channel share; the status is the channel's.
    pub(super) fn order_object(&self, order: &Order, world: &World) -> Value {
        let market = Self::market(world, order.market);
        json!({
            "id": order.id.to_string(), "owner": order.key, "market": market.condition_id,
            "asset_id": market.tokens[usize::from(order.outcome)], "side": order.side.name(),
            "original_size": order.wish.shares.to_string(), "size_matched": order.matched.to_string(),
            "price": short(order.wish.price.raw()), "outcome": outcome_name(order.outcome),
            "maker_address": self.wallets[order.wallet].funder.to_string(), "order_type": order.kind.name(),
            "expiration": order.expiration.to_string(), "associate_trades": order.trades,
            "created_at": order.created.raw() / 1_000, "status": status(order),
        })
    }
}

/// An order's status as the channel writes it. Sentences occur, too.
pub(super) fn status(order: &Order) -> String {
    match order.stage {
        Stage::Held { .. } => String::from("DELAYED"),
        Stage::Live => String::from("LIVE"),
        Stage::Matched => String::from("MATCHED"),
        Stage::Canceled(text) if text == FOK_KILLED || text == FAK_KILLED => format!("CANCELED_{text}"),
        Stage::Canceled(text) => text.to_owned(),
    }
}
