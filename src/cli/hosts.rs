//! Every host that this build may contact. The addresses are the ones the code itself uses; `tests/hosts.rs` reads the
//! sources and fails where an address stands that is not in this list.

use crate::{
    run::pipe::Place,
    venue::{kalshi, polymarket},
    watch::alert::telegram,
};

/// A place outside of this host, and what is wanted of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Host {
    pub url: &'static str,
    pub what: &'static str,
}

/// One line a piece: a further one is added here, from the constant that the code uses.
pub const HOSTS: [Host; 10] = [
    Host { url: kalshi::REST, what: "Kalshi: catalogue, orders, account" },
    Host { url: kalshi::SOCKET, what: "Kalshi: market data, fills" },
    Host { url: polymarket::GAMMA, what: "Polymarket: catalogue" },
    Host { url: polymarket::CLOB, what: "Polymarket: books, orders, account, clock" },
    Host { url: polymarket::SOCKET, what: "Polymarket: market data" },
    Host { url: polymarket::USER_SOCKET, what: "Polymarket: fills" },
    Host { url: polymarket::DATA, what: "Polymarket: holdings, resolutions" },
    Host { url: polymarket::RELAYER, what: "Polymarket: redeeming and merging" },
    Host { url: polymarket::SITE, what: "Polymarket: may it be used from here" },
    Host { url: telegram::BASE, what: "Telegram: alerts and commands, where a token is in the vault" },
];

impl Host {
    /// Its name, without scheme, port and path.
    pub fn name(&self) -> &'static str {
        Place::of(self.url).map_or(self.url, |place| place.host)
    }
}

/// Each name once, in the order of the list, with everything that is wanted of it.
pub fn names() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut names: Vec<(&str, Vec<&str>)> = Vec::new();
    for host in HOSTS {
        match names.iter_mut().find(|(name, _)| *name == host.name()) {
            Some((_, wants)) => wants.push(host.what),
            None => names.push((host.name(), vec![host.what])),
        }
    }
    names
}
