//! Where the venue's contracts live (dossier 3.1 and 7.1): constants of the build, never read from anywhere.

use alloy_primitives::{Address, B256, address, b256};

/// The collateral, six decimals.
pub const PUSD: Address = address!("C011a7E12a19f7B1f670d46F03B03f3342E82DFB");
/// What the token ids of `v1` markets were built on, before there was pUSD.
pub const USDC_E: Address = address!("2791Bca1f2de4661ED88A30C99A7a9449Aa84174");
/// The same for neg-risk markets of `v1`: wrapped collateral of the old adapter.
pub const WRAPPED_COLLATERAL: Address = address!("3A3BD7bb9528E159577F7C2e685CC81A765002E2");

/// Holds the outcome tokens of `v1` markets.
pub const CONDITIONAL_TOKENS: Address = address!("4D97DCd97eC945f40cF65F87097ACe5EA0476045");
/// Holds those of `v2` markets.
pub const POSITION_MANAGER: Address = address!("006F54F7f9A22e0000CC2AB60031000000ae9fEF");

/// Settles `v1` markets that are not neg-risk; the same on both chains.
pub const EXCHANGE_V2: Address = address!("E111180000d2663C0091e4f400237545B87B996B");
/// Settles neg-risk markets of `v1`; the same on both chains.
pub const NEG_RISK_EXCHANGE_V2: Address = address!("e2222d279d744050d28e00520010520000310F59");
/// Settles `v2` markets of every kind.
pub const EXCHANGE_V3: Address = address!("e3333700cA9d93003F00f0F71f8515005F6c00Aa");
/// The same on the test network.
pub const AMOY_EXCHANGE_V3: Address = address!("9fE6e61422AdB6F610d8597F9684b16912D50C3D");

/// Splits, merges and redeems `v1` markets against pUSD.
pub const COLLATERAL_ADAPTER: Address = address!("AdA100Db00Ca00073811820692005400218FcE1f");
/// The same for neg-risk markets of `v1`.
pub const NEG_RISK_COLLATERAL_ADAPTER: Address = address!("adA2005600Dec949baf300f4C6120000bDB6eAab");
/// The same for `v2` markets.
pub const ROUTER: Address = address!("12121212006e4CD160D18e3f00711DA5c3372600");
/// Holds the collateral of binary `v2` markets.
pub const BINARY_MODULE: Address = address!("1000008dD9001B968442c1000017eaE6E0dA00Ba");
/// Holds that of neg-risk `v2` markets.
pub const NEG_RISK_MODULE: Address = address!("200000900045e3B6259600682756002200028933");
/// Redeems winners for the wallets that approve it.
pub const AUTO_REDEEMER: Address = address!("a1200000d0002264C9a1698e001292D00E1b00af");

/// Makes proxy wallets, and is what their transactions are sent to.
pub const PROXY_FACTORY: Address = address!("aB45c5A4B0c941a2F231C04C3f49182e1A254052");
/// Hash of the code that a proxy wallet is made with.
pub const PROXY_INIT_CODE_HASH: B256 = b256!("d21df8dc65880a8606f09fe0ce3df9b8869287ab0b058be05aa9e8af6330a00b");
/// Makes Safes.
pub const SAFE_FACTORY: Address = address!("aacFeEa03eb1561C4e67d661e40682Bd20E3541b");
/// Hash of the code that a Safe is made with.
pub const SAFE_INIT_CODE_HASH: B256 = b256!("2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf");
/// Runs several calls as one transaction of a Safe.
pub const SAFE_MULTISEND: Address = address!("A238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761");
/// Carries the transactions of proxy wallets.
pub const RELAY_HUB: Address = address!("D216153c06E857cD7f72665E0aF1d7D82172F494");
/// Makes deposit wallets, and is what their batches are sent to.
pub const DEPOSIT_WALLET_FACTORY: Address = address!("00000000000Fb5C9ADea0298D729A0CB3823Cc07");
/// What deposit wallets made since 2026-06-29 point at.
pub const DEPOSIT_WALLET_BEACON: Address = address!("7A18EDfe055488A3128f01F563e5B479D92ffc3a");
/// What the older ones point at.
pub const DEPOSIT_WALLET_IMPLEMENTATION: Address = address!("58CA52ebe0DadfdF531Cde7062e76746de4Db1eB");

/// The network that holds the contracts.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Chain {
    Polygon,
    /// The test network. The venue documents no public book there.
    Amoy,
}

impl Chain {
    /// The number that goes into every domain.
    #[must_use]
    pub const fn id(self) -> u64 {
        match self {
            Self::Polygon => 137,
            Self::Amoy => 80_002,
        }
    }
}
