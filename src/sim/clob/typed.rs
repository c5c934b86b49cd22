//! What wallets sign, hashed a second time: sign-ins, orders, a deposit wallet's nested form of them, and the batches
//! it lets the relayer send. Bytes in, the signer's address out.
//!
//! What a newcomer gets wrong: for a deposit wallet the digest that is signed is another one than the order's id.

use alloy_primitives::{Address, B256, U256, address, hex};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain, sol};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

use crate::sim::listing::PolymarketMarket;

/// Polygon.
pub const CHAIN_ID: u64 = 137;
/// What a sign-in attests; the venue's text has no full stop.
pub const ATTESTATION: &str = "This message attests that I control the given wallet";
/// A plain signature: r, s and v.
const PLAIN_LEN: usize = 65;
/// How long the order's type is when spelled out behind a nested signature, and how that length is written there.
const ORDER_TYPE_LEN: usize = 186;
/// A nested signature: the plain one, the exchange's domain, the order's hash, the order's type and its length.
const NESTED_LEN: usize = PLAIN_LEN + 32 + 32 + ORDER_TYPE_LEN + 2;
/// What ends a delegated key's signature.
const DELEGATED_TAIL: [u8; 32] = hex!("6492649264926492649264926492649264926492649264926492649264926492");

sol! {
    #[derive(Debug)]
    struct Order {
        uint256 salt;
        address maker;
        address signer;
        uint256 tokenId;
        uint256 makerAmount;
        uint256 takerAmount;
        uint8 side;
        uint8 signatureType;
        uint256 timestamp;
        bytes32 metadata;
        bytes32 builder;
    }

    #[derive(Debug)]
    struct ClobAuth {
        address address;
        string timestamp;
        uint256 nonce;
        string message;
    }

    #[derive(Debug)]
    struct TypedDataSign {
        Order contents;
        string name;
        string version;
        uint256 chainId;
        address verifyingContract;
        bytes32 salt;
    }

    #[derive(Debug)]
    struct Call {
        address target;
        uint256 value;
        bytes data;
    }

    #[derive(Debug)]
    struct Batch {
        address wallet;
        uint256 nonce;
        uint256 deadline;
        Call[] calls;
    }
}

/// Where an order is settled.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Contract {
    /// `v1` markets that are not neg-risk.
    Standard,
    /// `v1` neg-risk markets.
    NegRisk,
    /// `v2` markets of any kind.
    V3,
}

impl Contract {
    pub const ALL: [Self; 3] = [Self::Standard, Self::NegRisk, Self::V3];

    /// A market's contract.
    pub const fn of(market: &PolymarketMarket, neg_risk: bool) -> Self {
        match (market.protocol_v2, neg_risk) {
            (true, _) => Self::V3,
            (false, true) => Self::NegRisk,
            (false, false) => Self::Standard,
        }
    }

    pub const fn address(self) -> Address {
        match self {
            Self::Standard => address!("E111180000d2663C0091e4f400237545B87B996B"),
            Self::NegRisk => address!("e2222d279d744050d28e00520010520000310F59"),
            Self::V3 => address!("e3333700cA9d93003F00f0F71f8515005F6c00Aa"),
        }
    }

    /// The version of its signing domain.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Standard | Self::NegRisk => "2",
            Self::V3 => "3",
        }
    }

    fn domain(self) -> Eip712Domain {
        eip712_domain! {
            name: "Polymarket CTF Exchange",
            version: self.version(),
            chain_id: CHAIN_ID,
            verifying_contract: self.address(),
        }
    }
}

/// The order's id on a contract: the digest that everybody can compute before it is sent.
pub fn order_id(order: &Order, contract: Contract) -> B256 {
    order.eip712_signing_hash(&contract.domain())
}

/// Who signed in, if the signature is well-formed.
pub fn signed_in(claimed: Address, timestamp: &str, nonce: u64, signature: &[u8]) -> Option<Address> {
    let auth = ClobAuth {
        address: claimed,
        timestamp: timestamp.to_owned(),
        nonce: U256::from(nonce),
        message: ATTESTATION.to_owned(),
    };
    let domain = eip712_domain! { name: "ClobAuthDomain", version: "1", chain_id: CHAIN_ID, };
    recover(auth.eip712_signing_hash(&domain), signature)
}

/// Whose key signed an order for a contract, and whether it says of itself that it is a delegated one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signed {
    ByOwner(Address),
    ByDelegate(Address),
}

/// Who signed an order plainly, as plain accounts, proxies and Safes do.
pub fn plain_signer(order: &Order, contract: Contract, signature: &[u8]) -> Option<Signed> {
    recover(order_id(order, contract), signature).map(Signed::ByOwner)
}

/// Who signed an order for a deposit wallet: its owner, or a key that he has delegated to.
pub fn nested_signer(order: &Order, contract: Contract, signature: &[u8]) -> Option<Signed> {
    if let Some((key, inner)) = delegated(signature) {
        let signer = unnested(order, contract, inner)?;
        return (signer == key).then_some(Signed::ByDelegate(key));
    }
    unnested(order, contract, signature).map(Signed::ByOwner)
}

fn unnested(order: &Order, contract: Contract, signature: &[u8]) -> Option<Address> {
    if signature.len() != NESTED_LEN {
        return None;
    }
    let (plain, rest) = signature.split_at(PLAIN_LEN);
    let (separator, rest) = rest.split_at(32);
    let (contents, rest) = rest.split_at(32);
    let (spelled, length) = rest.split_at(ORDER_TYPE_LEN);
    let domain = contract.domain();
    let genuine = separator == domain.separator().as_slice()
        && contents == order.eip712_hash_struct().as_slice()
        && spelled == Order::eip712_encode_type().as_bytes()
        && length == (ORDER_TYPE_LEN as u16).to_be_bytes();
    if !genuine {
        return None;
    }
    let nested = TypedDataSign {
        contents: order.clone(),
        name: String::from("DepositWallet"),
        version: String::from("1"),
        chainId: U256::from(CHAIN_ID),
        verifyingContract: order.signer,
        salt: B256::ZERO,
    };
    // The exchange's domain, not the wallet's: the wallet is inside.
    recover(nested.eip712_signing_hash(&domain), plain)
}

/// Takes a delegated key's wrapper off: `abi.encode(key, 0, signature)` and its tail.
fn delegated(signature: &[u8]) -> Option<(Address, &[u8])> {
    let encoded = signature.strip_suffix(&DELEGATED_TAIL)?;
    let word = |at: usize| encoded.get(32 * at..32 * (at + 1));
    let number = |at: usize| word(at).and_then(|word| usize::try_from(U256::from_be_slice(word)).ok());
    let key = word(0)?;
    if key[..12] != [0; 12] || number(1)? != 0 || number(2)? != 96 {
        return None;
    }
    let length = number(3)?;
    let inner = encoded.get(128..128_usize.checked_add(length)?)?;
    let padding = encoded.get(128 + length..)?;
    (padding.len() < 32 && padding.iter().all(|&byte| byte == 0)).then(|| (Address::from_slice(&key[12..]), inner))
}

/// Who let a batch of calls be sent for a deposit wallet.
pub fn batch_signer(batch: &Batch, signature: &[u8]) -> Option<Address> {
    let domain = eip712_domain! {
        name: "DepositWallet",
        version: "1",
        chain_id: CHAIN_ID,
        verifying_contract: batch.wallet,
    };
    recover(batch.eip712_signing_hash(&domain), signature)
}

/// The address whose key made this signature over a digest. The upper half of s is refused, as contracts do.
fn recover(digest: B256, signature: &[u8]) -> Option<Address> {
    let (&v, body) = signature.split_last().filter(|(_, body)| body.len() == PLAIN_LEN - 1)?;
    let id = RecoveryId::from_byte(v.checked_sub(27)?)?;
    let signature = Signature::from_slice(body).ok()?;
    if signature.normalize_s() != signature {
        return None;
    }
    let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, id).ok()?;
    Some(Address::from_raw_public_key(&key.to_sec1_point(false).as_bytes()[1..]))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const VECTORS: &[u8] = include_bytes!("../../../tests/data/polymarket/signing_vectors.json");

    fn text<'a>(value: &'a Value, key: &str) -> &'a str {
        value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"))
    }

    fn order(value: &Value) -> Order {
        let number = |key: &str| text(value, key).parse::<U256>().unwrap();
        let small = |key: &str| u8::try_from(value[key].as_u64().unwrap()).unwrap();
        Order {
            salt: number("salt"),
            maker: text(value, "maker").parse().unwrap(),
            signer: text(value, "signer").parse().unwrap(),
            tokenId: number("tokenId"),
            makerAmount: number("makerAmount"),
            takerAmount: number("takerAmount"),
            side: small("side"),
            signatureType: small("signatureType"),
            timestamp: number("timestamp"),
            metadata: text(value, "metadata").parse().unwrap(),
            builder: text(value, "builder").parse().unwrap(),
        }
    }

    #[test]
    fn the_published_clients_orders_give_their_signers_back() {
        let vectors: Value = serde_json::from_slice(VECTORS).unwrap();
        let owner: Address = text(&vectors["meta"]["addresses"], "owner_eoa").parse().unwrap();
        let session: Address = text(&vectors["meta"]["addresses"], "session_key").parse().unwrap();
        let (mut plain, mut nested, mut lent) = (0, 0, 0);
        for vector in vectors["orders"].as_array().unwrap() {
            let contract = match text(vector, "context") {
                "v2_standard" => Contract::Standard,
                "v2_neg_risk" => Contract::NegRisk,
                "v3" => Contract::V3,
                _ => continue,
            };
            let order = order(&vector["order"]);
            assert_eq!(order_id(&order, contract).to_string(), text(vector, "orderHash"));
            let signature = hex::decode(text(vector, "signature")).unwrap();
            let signer = if order.signatureType == 3 {
                nested_signer(&order, contract, &signature)
            } else {
                plain_signer(&order, contract, &signature)
            };
            match signer {
                Some(Signed::ByOwner(key)) if order.signatureType == 3 => {
                    nested += 1;
                    assert_eq!(key, owner);
                }
                Some(Signed::ByOwner(key)) => {
                    plain += 1;
                    assert_eq!(key, owner);
                }
                Some(Signed::ByDelegate(key)) => {
                    lent += 1;
                    assert_eq!(key, session);
                }
                None => panic!("{vector}"),
            }
        }
        assert!(0 < plain && 0 < nested && 0 < lent, "{plain} {nested} {lent}");
    }

    #[test]
    fn the_published_clients_sign_ins_give_their_signers_back() {
        let vectors: Value = serde_json::from_slice(VECTORS).unwrap();
        for vector in vectors["l1_auth"].as_array().unwrap() {
            if vector["chainId"] != CHAIN_ID {
                continue;
            }
            let claimed: Address = text(vector, "address").parse().unwrap();
            let signature = hex::decode(text(vector, "signature")).unwrap();
            let nonce = vector["nonce"].as_u64().unwrap();
            assert_eq!(signed_in(claimed, text(vector, "timestamp"), nonce, &signature), Some(claimed));
        }
    }
}
