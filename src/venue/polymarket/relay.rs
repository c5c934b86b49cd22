//! Transactions that the venue's relayer sends for a wallet, without gas: calls → a signed body of `POST /submit`
//! (dossier 7.4).
//!
//! Each kind of wallet signs in its own way; an account of its own key cannot use the relayer, and a delegated key may
//! not. What a newcomer gets wrong: a Safe and a proxy sign a *personal message* about the digest, not the digest.

use alloy_primitives::{Address, U256, eip191_hash_message, hex, keccak256};
use alloy_sol_types::{SolCall as _, SolStruct as _, eip712_domain};
use serde_json::{Value, json};

use super::call::Call;
use super::contract::{self, Chain};
use super::sign::WalletSigner;
use super::wallet;
use crate::unit::UnixMs;

/// As the contracts declare them; the names are part of what is signed.
mod typed {
    alloy_sol_types::sol! {
        struct Call {
            address target;
            uint256 value;
            bytes data;
        }

        struct Batch {
            address wallet;
            uint256 nonce;
            uint256 deadline;
            Call[] calls;
        }

        struct SafeTx {
            address to;
            uint256 value;
            bytes data;
            uint8 operation;
            uint256 safeTxGas;
            uint256 baseGas;
            uint256 gasPrice;
            address gasToken;
            address refundReceiver;
            uint256 nonce;
        }

        struct ProxyCall {
            uint8 typeCode;
            address to;
            uint256 value;
            bytes data;
        }

        function proxy(ProxyCall[] calls);
        function multiSend(bytes transactions);
    }
}

/// How long a batch may wait for the chain.
const DEADLINE_S: u64 = 600;

/// What the relayer keeps beside a transaction.
const METADATA_CHARS_MAX: usize = 500;

/// The proxy factory's word for a plain call.
const PROXY_CALL: u8 = 1;

/// What is asked of a wallet: one transaction of one or more calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Action<'a> {
    calls: &'a [Call],
    nonce: u64,
    metadata: &'a str,
}

/// Why there is no transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RelayError {
    #[error("a transaction without a call")]
    NoCalls,
    #[error("{chars} characters of metadata, and the relayer takes {METADATA_CHARS_MAX}")]
    LongMetadata { chars: usize },
    #[error("the relay's address is none")]
    NotARelay,
}

impl<'a> Action<'a> {
    /// `nonce` is the one that the relayer names for the wallet; `metadata` is for people.
    pub fn new(calls: &'a [Call], nonce: u64, metadata: &'a str) -> Result<Self, RelayError> {
        if calls.is_empty() {
            return Err(RelayError::NoCalls);
        }
        let chars = metadata.chars().count();
        if METADATA_CHARS_MAX < chars {
            return Err(RelayError::LongMetadata { chars });
        }
        Ok(Self { calls, nonce, metadata })
    }
}

/// A signed transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Submission {
    /// What the wallet's contract checks the signature against.
    pub digest: [u8; 32],
    pub signature: [u8; 65],
    /// The body of `POST /submit`.
    pub body: String,
}

/// A deposit wallet's transaction, signed by its owner: typed data in the wallet's own domain, good for ten minutes.
#[must_use]
pub fn deposit_wallet(
    key: &WalletSigner,
    wallet: Address,
    chain: Chain,
    action: &Action<'_>,
    now: UnixMs,
) -> Submission {
    let deadline_s = now.raw() / 1_000 + DEADLINE_S;
    let call = |call: &Call| typed::Call { target: call.target, value: U256::ZERO, data: call.data.clone().into() };
    let batch = typed::Batch {
        wallet,
        nonce: U256::from(action.nonce),
        deadline: U256::from(deadline_s),
        calls: action.calls.iter().map(call).collect(),
    };
    let digest = batch.eip712_signing_hash(&eip712_domain! {
        name: "DepositWallet",
        version: "1",
        chain_id: chain.id(),
        verifying_contract: wallet,
    });
    let calls: Vec<Value> = (action.calls.iter())
        .map(|call| json!({ "target": call.target(), "value": "0", "data": hex::encode_prefixed(&call.data) }))
        .collect();
    let signature = key.sign_digest(digest);
    let body = json!({
        "type": "WALLET",
        "from": key.address(),
        "to": contract::DEPOSIT_WALLET_FACTORY.to_checksum(None),
        "nonce": action.nonce.to_string(),
        "signature": hex::encode_prefixed(signature),
        "metadata": action.metadata,
        "depositWalletParams": {
            "depositWallet": wallet.to_checksum(None),
            "deadline": deadline_s.to_string(),
            "calls": calls,
        },
    });
    Submission { digest: digest.0, signature, body: body.to_string() }
}

/// A Safe's transaction: one call is made as it is, more go through its multisend.
#[must_use]
pub fn safe(key: &WalletSigner, safe: Address, chain: Chain, action: &Action<'_>) -> Submission {
    let (to, data, operation) = match action.calls {
        [call] => (call.target, call.data.clone(), 0),
        calls => (contract::SAFE_MULTISEND, multisend(calls), 1),
    };
    let transaction = typed::SafeTx {
        to,
        value: U256::ZERO,
        data: data.clone().into(),
        operation,
        safeTxGas: U256::ZERO,
        baseGas: U256::ZERO,
        gasPrice: U256::ZERO,
        gasToken: Address::ZERO,
        refundReceiver: Address::ZERO,
        nonce: U256::from(action.nonce),
    };
    let domain = eip712_domain! { chain_id: chain.id(), verifying_contract: safe, };
    let digest = transaction.eip712_signing_hash(&domain);
    let mut signature = key.sign_digest(eip191_hash_message(digest));
    // Tells the Safe that a personal message was signed.
    signature[64] += 4;
    let body = json!({
        "type": "SAFE",
        "from": key.address(),
        "to": to.to_checksum(None),
        "proxyWallet": safe.to_checksum(None),
        "data": hex::encode_prefixed(&data),
        "nonce": action.nonce.to_string(),
        "signature": hex::encode_prefixed(signature),
        "metadata": action.metadata,
        "signatureParams": {
            "baseGas": "0",
            "gasPrice": "0",
            "gasToken": Address::ZERO.to_checksum(None),
            "operation": operation.to_string(),
            "refundReceiver": Address::ZERO.to_checksum(None),
            "safeTxnGas": "0",
        },
    });
    Submission { digest: digest.0, signature, body: body.to_string() }
}

/// A proxy's transaction; `relay` is the address that the relayer names together with the nonce.
pub fn proxy(
    key: &WalletSigner,
    proxy: Address,
    action: &Action<'_>,
    relay: &str,
    gas_limit: u64,
) -> Result<Submission, RelayError> {
    let relay_address = wallet::address(relay).map_err(|_| RelayError::NotARelay)?;
    let call = |call: &Call| typed::ProxyCall {
        typeCode: PROXY_CALL,
        to: call.target,
        value: U256::ZERO,
        data: call.data.clone().into(),
    };
    let data = typed::proxyCall { calls: action.calls.iter().map(call).collect() }.abi_encode();
    let mut bytes = b"rlx:".to_vec();
    bytes.extend_from_slice(key.raw_address().as_slice());
    bytes.extend_from_slice(contract::PROXY_FACTORY.as_slice());
    bytes.extend_from_slice(&data);
    let (fee, gas_price) = (0, 0);
    for number in [fee, gas_price, gas_limit, action.nonce] {
        bytes.extend_from_slice(&U256::from(number).to_be_bytes::<32>());
    }
    bytes.extend_from_slice(contract::RELAY_HUB.as_slice());
    bytes.extend_from_slice(relay_address.as_slice());
    let digest = keccak256(bytes);
    let signature = key.sign_digest(eip191_hash_message(digest));
    let body = json!({
        "type": "PROXY",
        "from": key.address(),
        "to": contract::PROXY_FACTORY.to_checksum(None),
        "proxyWallet": proxy.to_checksum(None),
        "data": hex::encode_prefixed(&data),
        "nonce": action.nonce.to_string(),
        "signature": hex::encode_prefixed(signature),
        "metadata": action.metadata,
        "signatureParams": {
            "gasLimit": gas_limit.to_string(),
            "gasPrice": gas_price.to_string(),
            "relay": relay,
            "relayHub": contract::RELAY_HUB.to_checksum(None),
            "relayerFee": fee.to_string(),
        },
    });
    Ok(Submission { digest: digest.0, signature, body: body.to_string() })
}

/// Plain calls back to back: operation, target, value, length, data.
fn multisend(calls: &[Call]) -> Vec<u8> {
    let mut packed = Vec::new();
    for call in calls {
        packed.push(0);
        packed.extend_from_slice(call.target.as_slice());
        packed.extend_from_slice(&[0; 32]);
        packed.extend_from_slice(&U256::from(call.data.len()).to_be_bytes::<32>());
        packed.extend_from_slice(&call.data);
    }
    typed::multiSendCall { transactions: packed.into() }.abi_encode()
}
