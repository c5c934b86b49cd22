//! An order as the chain knows it: amounts, token and salt → the digest that is its id, and the signature over it
//! (dossier 3.1, 3.2 and 2.3).
//!
//! The id is known before anything is sent, and is the only way to ask for an order whose answer was lost. When it
//! expires and how long it rests is not signed: that is chosen at sending ([`OrderType`]). What a newcomer gets wrong:
//! for a deposit wallet the digest that is signed is another one than the id.

mod body;

use std::fmt;

use alloy_primitives::{Address, B256, b256, hex, keccak256};
use alloy_sol_types::{Eip712Domain, eip712_domain};

use super::amount::{Amounts, Side};
use super::catalog::Version;
use super::contract::{self, Chain};
use super::position::TokenId;
use super::relay::{self, Action, Submission};
use super::sign::WalletSigner;
use super::wallet::Wallet;
use crate::unit::UnixMs;

pub use body::{Body, OrderType};

/// The type of the signed struct, the same for every exchange; deposit wallets carry the text in their signatures.
const ORDER_TYPE: &[u8; 186] = b"Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,\
uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)";

/// Keccak of [`ORDER_TYPE`].
const ORDER_TYPE_HASH: B256 = b256!("bb86318a2138f5fa8ae32fbe8e659f8fcf13cc6ae4014a707893055433818589");

/// Keccak of `TypedDataSign(Order contents,string name,string version,uint256 chainId,address verifyingContract,bytes32
/// salt)` followed by [`ORDER_TYPE`].
const NESTED_TYPE_HASH: B256 = b256!("6ba028565cb324c2aa02bb714b9816d0bddd557a2f33bb36cf13272a4256bd42");

/// Behind the signature of a delegated key.
const DELEGATED_TAIL: [u8; 32] = hex!("6492649264926492649264926492649264926492649264926492649264926492");

/// Where an order is settled. A wrong one is refused as `order_version_mismatch` or as an invalid signature.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Exchange {
    /// Markets of `v1` that are not neg-risk; domain version 2.
    Standard,
    /// Neg-risk markets of `v1`; domain version 2.
    NegRisk,
    /// Markets of `v2`, whatever their kind; domain version 3.
    V3,
}

impl Exchange {
    /// In the order in which their separators are kept.
    const ALL: [Self; 3] = [Self::Standard, Self::NegRisk, Self::V3];

    /// The exchange of a market.
    #[must_use]
    pub const fn of(version: Version, neg_risk: bool) -> Self {
        match (version, neg_risk) {
            (Version::V1, false) => Self::Standard,
            (Version::V1, true) => Self::NegRisk,
            (Version::V2, _) => Self::V3,
        }
    }

    /// What keeps a signature from being good anywhere else.
    #[must_use]
    pub fn domain(self, chain: Chain) -> Eip712Domain {
        let (version, contract) = match (self, chain) {
            (Self::Standard, _) => ("2", contract::EXCHANGE_V2),
            (Self::NegRisk, _) => ("2", contract::NEG_RISK_EXCHANGE_V2),
            (Self::V3, Chain::Polygon) => ("3", contract::EXCHANGE_V3),
            (Self::V3, Chain::Amoy) => ("3", contract::AMOY_EXCHANGE_V3),
        };
        eip712_domain! {
            name: "Polymarket CTF Exchange",
            version: version,
            chain_id: chain.id(),
            verifying_contract: contract,
        }
    }
}

/// What makes two equal orders different. The body carries it as a JSON number, so it must survive a binary float.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Salt(u64);

impl Salt {
    /// 2^53 − 1.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// A salt; `None` above [`Salt::MAX`], where it would change on its way and the signature no longer fit.
    #[must_use]
    pub const fn new(raw: u64) -> Option<Self> {
        if raw <= Self::MAX.0 { Some(Self(raw)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }
}

/// The digest of an order: what the venue calls its id.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct OrderId(B256);

impl OrderId {
    /// As the journal keeps it.
    #[must_use]
    pub const fn bytes(self) -> [u8; 32] {
        self.0.0
    }
}

impl fmt::Display for OrderId {
    /// `0x` and 64 hex digits, as the venue writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Everything of an order that is signed and that the wallet does not fix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Order {
    pub exchange: Exchange,
    pub token: TokenId,
    pub amounts: Amounts,
    pub salt: Salt,
    /// When it was made; not an expiry.
    pub created: UnixMs,
    /// Zeros, in every order of the venue's clients.
    pub metadata: [u8; 32],
    /// The code of whoever brought the order, or zeros. A code may cost a fee.
    pub builder: [u8; 32],
}

/// A signed order: inert until somebody writes its [`Body`] and sends it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedOrder {
    pub order: Order,
    pub id: OrderId,
    /// 65 bytes; 317 for a deposit wallet; 480 from a delegated key.
    pub signature: Vec<u8>,
}

/// Why there is no signer, or why an order cannot be sent so.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OrderError {
    #[error("the API key has a character that no API key has")]
    NotAnApiKey,
    #[error("a buy that takes at once is sized in dollars, and every other order in shares")]
    Sizing,
    #[error(
        "an order that is to live {life_s} s cannot be stated: the venue wants {} s or more",
        OrderType::LIFE_MIN_S
    )]
    TooShort { life_s: u64 },
}

/// Signs the orders of one wallet. Holds the key: not printable.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct OrderSigner {
    key: WalletSigner,
    wallet: Wallet,
    maker: Address,
    signer: Address,
    /// Who owns the API key, in the words of a body.
    owner: String,
    /// By exchange; hashed once, here.
    separators: [B256; Exchange::ALL.len()],
    /// A deposit wallet's `TypedDataSign`; its second word, the order's hash, is filled in for each order.
    nested: Words<7>,
}

impl OrderSigner {
    /// A signer for one wallet; `api_key` is the one that the wallet's key signed in for.
    pub fn new(key: WalletSigner, wallet: Wallet, chain: Chain, api_key: &str) -> Result<Self, OrderError> {
        // It goes into a body between quotes as it is.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if api_key.is_empty() || !api_key.bytes().all(plain) {
            return Err(OrderError::NotAnApiKey);
        }
        let (maker, signer) = (wallet.maker(key.raw_address()), wallet.signer(key.raw_address()));
        let mut nested = Words::new();
        nested.set(0, NESTED_TYPE_HASH);
        nested.set(2, keccak256("DepositWallet"));
        nested.set(3, keccak256("1"));
        nested.set_number(4, chain.id());
        nested.set(5, signer.into_word());
        Ok(Self {
            separators: Exchange::ALL.map(|exchange| exchange.domain(chain).separator()),
            owner: api_key.into(),
            key,
            wallet,
            maker,
            signer,
            nested,
        })
    }

    /// The key, for signing in and for the relayer.
    #[must_use]
    pub const fn key(&self) -> &WalletSigner {
        &self.key
    }

    /// The account whose orders are signed.
    #[must_use]
    pub const fn wallet(&self) -> Wallet {
        self.wallet
    }

    /// A transaction of these calls, as the relayer takes it; `None` for wallets that cannot use it: a plain account
    /// pays its own gas, a proxy needs the relay's address, and a delegated key may not.
    #[must_use]
    pub fn relay(&self, action: &Action<'_>, chain: Chain, now: UnixMs) -> Option<Submission> {
        match self.wallet {
            Wallet::Deposit(wallet) => Some(relay::deposit_wallet(&self.key, wallet, chain, action, now)),
            Wallet::Safe(wallet) => Some(relay::safe(&self.key, wallet, chain, action)),
            Wallet::Eoa | Wallet::Proxy(_) | Wallet::Delegated(_) => None,
        }
    }

    /// The id of an order, without signing it.
    #[must_use]
    pub fn id(&self, order: &Order) -> OrderId {
        OrderId(typed_digest(self.separator(order.exchange), self.struct_hash(order)))
    }

    /// Signs: one signature on the curve and two hashes, four for a deposit wallet; nothing is formatted.
    #[must_use]
    pub fn sign(&self, order: &Order) -> SignedOrder {
        let (separator, contents) = (self.separator(order.exchange), self.struct_hash(order));
        let id = OrderId(typed_digest(separator, contents));
        let signature = match self.wallet {
            Wallet::Eoa | Wallet::Proxy(_) | Wallet::Safe(_) => self.key.sign_digest(id.0).to_vec(),
            Wallet::Deposit(_) => self.sign_nested(separator, contents),
            Wallet::Delegated(_) => delegate(self.key.raw_address(), &self.sign_nested(separator, contents)),
        };
        SignedOrder { order: *order, id, signature }
    }

    fn separator(&self, exchange: Exchange) -> B256 {
        self.separators[exchange as usize]
    }

    fn struct_hash(&self, order: &Order) -> B256 {
        let mut words = Words::<12>::new();
        words.set(0, ORDER_TYPE_HASH);
        words.set_number(1, order.salt.raw());
        words.set(2, self.maker.into_word());
        words.set(3, self.signer.into_word());
        words.set(4, order.token.word());
        words.set_number(5, order.amounts.maker());
        words.set_number(6, order.amounts.taker());
        let side = match order.amounts.side() {
            Side::Buy => 0,
            Side::Sell => 1,
        };
        words.set_number(7, side);
        words.set_number(8, u64::from(self.wallet.signature_type()));
        words.set_number(9, order.created.raw());
        words.set(10, order.metadata.into());
        words.set(11, order.builder.into());
        words.hash()
    }

    /// A deposit wallet's signature (ERC-7739): over the order inside the wallet's own domain, followed by all that the
    /// wallet's contract needs to find the order's digest again.
    fn sign_nested(&self, separator: B256, contents: B256) -> Vec<u8> {
        let mut nested = self.nested.clone();
        nested.set(1, contents);
        let mut signature = Vec::with_capacity(65 + 32 + 32 + ORDER_TYPE.len() + 2);
        signature.extend_from_slice(&self.key.sign_digest(typed_digest(separator, nested.hash())));
        signature.extend_from_slice(separator.as_slice());
        signature.extend_from_slice(contents.as_slice());
        signature.extend_from_slice(ORDER_TYPE);
        signature.extend_from_slice(&(ORDER_TYPE.len() as u16).to_be_bytes());
        signature
    }
}

/// Says which key signed in the owner's place: `abi.encode(key, 0, signature)` and a mark.
fn delegate(key: Address, signature: &[u8]) -> Vec<u8> {
    let mut head = Words::<4>::new();
    head.set(0, key.into_word());
    head.set_number(2, 3 * 32); // Where the bytes are: behind three words.
    head.set_number(3, signature.len() as u64);
    let mut bytes = Vec::with_capacity(4 * 32 + signature.len().next_multiple_of(32) + DELEGATED_TAIL.len());
    bytes.extend(head.0.iter().flatten());
    bytes.extend_from_slice(signature);
    bytes.resize(4 * 32 + signature.len().next_multiple_of(32), 0);
    bytes.extend_from_slice(&DELEGATED_TAIL);
    bytes
}

/// `keccak(0x1901 ‖ separator ‖ hash of the struct)`, as EIP-712 has it.
fn typed_digest(separator: B256, struct_hash: B256) -> B256 {
    let mut bytes = [0; 66];
    bytes[..2].copy_from_slice(&[0x19, 0x01]);
    bytes[2..34].copy_from_slice(separator.as_slice());
    bytes[34..].copy_from_slice(struct_hash.as_slice());
    keccak256(bytes)
}

/// Words of an ABI encoding, all zero at first.
#[derive(Clone)]
struct Words<const N: usize>([[u8; 32]; N]);

impl<const N: usize> Words<N> {
    const fn new() -> Self {
        Self([[0; 32]; N])
    }

    const fn set(&mut self, at: usize, word: B256) {
        self.0[at] = word.0;
    }

    fn set_number(&mut self, at: usize, number: u64) {
        self.0[at][24..].copy_from_slice(&number.to_be_bytes());
    }

    fn hash(&self) -> B256 {
        keccak256(self.0.as_flattened())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_hashes_are_those_of_their_texts() {
        assert_eq!(keccak256(ORDER_TYPE), ORDER_TYPE_HASH);
        let mut nested = b"TypedDataSign(Order contents,string name,string version,uint256 chainId,address \
verifyingContract,bytes32 salt)"
            .to_vec();
        nested.extend_from_slice(ORDER_TYPE);
        assert_eq!(keccak256(nested), NESTED_TYPE_HASH);
    }

    #[test]
    fn each_exchange_finds_its_own_separator() {
        for (at, exchange) in Exchange::ALL.into_iter().enumerate() {
            assert_eq!(exchange as usize, at);
        }
        assert_eq!(Exchange::of(Version::V1, false), Exchange::Standard);
        assert_eq!(Exchange::of(Version::V1, true), Exchange::NegRisk);
        assert_eq!(Exchange::of(Version::V2, true), Exchange::V3);
        assert_eq!(Exchange::of(Version::V2, false), Exchange::V3);
    }

    #[test]
    fn a_salt_that_would_not_survive_a_json_number_is_none() {
        assert_eq!(Salt::new(9_007_199_254_740_991), Some(Salt::MAX));
        assert_eq!(Salt::new(9_007_199_254_740_992), None);
    }
}
