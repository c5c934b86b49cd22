//! Token → market, with all that a change needs to know in one entry: a look-up touches one place of memory, not the
//! table, the key and the market.
//!
//! A token is known by its whole hash, its last sixteen characters and its length. Two of one connection's tokens would
//! have to agree in all three to be taken for one another.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use ahash::RandomState;

use crate::{unit::MarketId, venue::symbols};

/// What the table knows of a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    tail: [u8; 16],
    /// The hash of the market's other token: its entries mirror this one's.
    pub mirror: u64,
    pub id: MarketId,
    /// The market's place on its connection.
    pub slot: u32,
    len: u16,
    /// Is it the first outcome's?
    pub first: bool,
}

/// The keys are hashes already.
#[derive(Default)]
struct Passed(u64);

impl Hasher for Passed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("the table's keys are 64-bit numbers");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Every token of a connection.
pub(super) struct Tokens {
    hasher: RandomState,
    table: HashMap<u64, Token, BuildHasherDefault<Passed>>,
}

impl Tokens {
    /// A table over markets in the order of their places, each with its two tokens.
    pub fn new<'a>(markets: impl Iterator<Item = (MarketId, [&'a str; 2])>) -> Self {
        let hasher = symbols();
        let mut table = HashMap::default();
        for (slot, (id, tokens)) in markets.enumerate() {
            let hashes = tokens.map(|token| hasher.hash_one(token));
            for (at, token) in tokens.into_iter().enumerate() {
                let (tail, len) = ending(token);
                let known = Token { tail, mirror: hashes[1 - at], id, slot: slot as u32, len, first: at == 0 };
                table.insert(hashes[at], known);
            }
        }
        Self { hasher, table }
    }

    /// A token's hash, as [`Token::mirror`] has it.
    pub fn hash(&self, token: &str) -> u64 {
        self.hasher.hash_one(token)
    }

    /// The token, if this connection carries it.
    pub fn find(&self, token: &str) -> Option<&Token> {
        let known = self.table.get(&self.hash(token))?;
        (ending(token) == (known.tail, known.len)).then_some(known)
    }
}

fn ending(token: &str) -> ([u8; 16], u16) {
    let bytes = token.as_bytes();
    let taken = bytes.len().min(16);
    let mut tail = [0; 16];
    tail[..taken].copy_from_slice(&bytes[bytes.len() - taken..]);
    (tail, u16::try_from(bytes.len()).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_with_its_market_and_its_mirror_and_a_stranger_is_not() {
        let names = ["58726851105893121441976415044785550794620582864839872973127370351200548678811", "7"];
        let tokens = Tokens::new([(MarketId(4), ["111", "112"]), (MarketId(9), names)].into_iter());
        let first = tokens.find(names[0]).unwrap();
        assert_eq!((first.id, first.slot, first.first), (MarketId(9), 1, true));
        assert_eq!(first.mirror, tokens.hash("7"));
        assert!(!tokens.find("112").unwrap().first);
        for stranger in ["", "11", "8", &names[0][1..]] {
            assert!(tokens.find(stranger).is_none(), "{stranger}");
        }
    }
}
