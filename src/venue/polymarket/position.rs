//! Token ids: what a `v2` id says about itself, and how a `v1` id follows from its condition (dossier 3.9).
//!
//! An order names nothing but a token. One that belongs to another market, or to the other outcome, is a bet the other
//! way round, so what a catalogue says about tokens can be checked here without asking anybody. Nothing here is hot.

use std::fmt;

use alloy_primitives::{Address, B256, U256, keccak256, uint};

use super::contract;

/// The id of an outcome token, up to 78 digits; 256 bits and never a float.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TokenId(U256);

impl TokenId {
    /// Reads decimal digits, nothing else; `None` above 256 bits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { U256::from_str_radix(text, 10).ok().map(Self) } else { None }
    }

    /// As the signed struct has it.
    pub(super) const fn word(self) -> B256 {
        B256::new(self.0.to_be_bytes())
    }

    /// What the id says about its position; `None` for an id of `v1`.
    #[must_use]
    pub fn position(self) -> Option<Position> {
        let at = |low: usize| self.0 >> low;
        // Zero in every `v2` id, and in a `v1` id, which is a hash, once in 2^64.
        if at(40).wrapping_to::<u64>() != 0 {
            return None;
        }
        Some(Position {
            module: at(248).wrapping_to(),
            base_hash: at(120).wrapping_to(),
            arity: at(104).wrapping_to(),
            resolution_chain: at(24).wrapping_to(),
            condition_index: at(8).wrapping_to(),
            outcome_index: at(0).wrapping_to(),
        })
    }

    /// The two tokens of a `v1` condition, outcome 0 first.
    #[must_use]
    pub fn of_condition(condition: [u8; 32], neg_risk: bool) -> [Self; 2] {
        let collateral = if neg_risk { contract::WRAPPED_COLLATERAL } else { contract::USDC_E };
        // The CTF numbers sets of outcomes by bits: the first alone is 1, the second alone is 2.
        [1, 2].map(|index_set| position_id(collateral, collection_id(condition, index_set)))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A `v2` id taken apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// 1 binary, 2 neg-risk, 3 combination.
    pub module: u8,
    pub base_hash: u128,
    pub arity: u16,
    pub resolution_chain: u16,
    pub condition_index: u16,
    /// 0 is YES, 1 is NO.
    pub outcome_index: u8,
}

impl Position {
    /// The condition: the id without its last byte.
    #[must_use]
    pub fn condition_id(&self) -> [u8; 31] {
        let mut id = [0; 31];
        id[0] = self.module;
        id[1..17].copy_from_slice(&self.base_hash.to_be_bytes());
        id[17..19].copy_from_slice(&self.arity.to_be_bytes());
        id[27..29].copy_from_slice(&self.resolution_chain.to_be_bytes());
        id[29..].copy_from_slice(&self.condition_index.to_be_bytes());
        id
    }
}

/// The field of the curve `alt_bn128`: y² = x³ + 3.
const FIELD: U256 =
    uint!(21_888_242_871_839_275_222_246_405_745_257_275_088_696_311_157_297_823_662_689_037_894_645_226_208_583_U256);

/// (p + 1) / 4: raising to it takes a square root, because p is 3 modulo 4.
const ROOT: U256 =
    uint!(5_472_060_717_959_818_805_561_601_436_314_318_772_174_077_789_324_455_915_672_259_473_661_306_552_146_U256);

/// A condition and a set of its outcomes as a point of the curve: the first x above their hash that has one. The sign
/// of y is the hash's highest bit, and is kept in bit 254 of x.
fn collection_id(condition: [u8; 32], index_set: u8) -> B256 {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&condition);
    bytes[63] = index_set;
    let hash = U256::from_be_bytes(keccak256(bytes).0);
    let mut x = hash % FIELD;
    loop {
        x = x.add_mod(U256::ONE, FIELD);
        let square = x.mul_mod(x, FIELD).mul_mod(x, FIELD).add_mod(U256::from(3), FIELD);
        let root = square.pow_mod(ROOT, FIELD);
        if root.mul_mod(root, FIELD) == square {
            break;
        }
    }
    // Of y and −y one is odd: the hash says which one is meant, and the id says it again.
    if hash.bit(255) {
        x.set_bit(254, !x.bit(254));
    }
    x.into()
}

fn position_id(collateral: Address, collection: B256) -> TokenId {
    let mut bytes = [0; 52];
    bytes[..20].copy_from_slice(collateral.as_slice());
    bytes[20..].copy_from_slice(collection.as_slice());
    TokenId(keccak256(bytes).into())
}
