//! Which account's funds an order moves, and who may sign for it (dossier 2.3).
//!
//! Proxies, Safes and deposit wallets live at addresses that follow from their owner's, so a wallet that does not
//! belong to the key is found out here, offline, and not by the venue's "invalid signature".

use alloy_primitives::{Address, B256, hex, keccak256};

use super::contract;

/// The account that trades. The number of each kind is the `signatureType` of its orders.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Wallet {
    /// The key's own account. The venue refuses new ones unless they are on its list.
    Eoa,
    /// Old e-mail accounts.
    Proxy(Address),
    /// Old browser-wallet accounts.
    Safe(Address),
    /// Every account since 2026-05-04; the key is its owner's.
    Deposit(Address),
    /// A deposit wallet whose owner has authorised the key for a time. Nothing offline tells whether that is so.
    Delegated(Address),
}

/// Why an address is no wallet of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WalletError {
    #[error(
        "not an address: 0x and 40 hex digits, and their capitals, where there are any, must be those of the checksum"
    )]
    NotAnAddress,
    #[error("{wallet} is neither the account of the key {key} nor a proxy, Safe or deposit wallet of it")]
    NotOurs { wallet: Address, key: Address },
}

impl Wallet {
    /// Finds out which kind of wallet an address is for the key of `owner`.
    pub fn of(owner: &str, wallet: &str) -> Result<Self, WalletError> {
        let (owner, wallet) = (address(owner)?, address(wallet)?);
        if wallet == owner {
            Ok(Self::Eoa)
        } else if wallet == deposit_wallet(owner) || wallet == older_deposit_wallet(owner) {
            Ok(Self::Deposit(wallet))
        } else if wallet == safe(owner) {
            Ok(Self::Safe(wallet))
        } else if wallet == proxy(owner) {
            Ok(Self::Proxy(wallet))
        } else {
            Err(WalletError::NotOurs { wallet, key: owner })
        }
    }

    /// A deposit wallet that the key may trade for without owning it.
    pub fn delegated(wallet: &str) -> Result<Self, WalletError> {
        address(wallet).map(Self::Delegated)
    }

    /// Its address with the capitals of its checksum; `None` for a plain account, which is its key's.
    #[must_use]
    pub fn address(self) -> Option<String> {
        match self {
            Self::Eoa => None,
            Self::Proxy(wallet) | Self::Safe(wallet) | Self::Deposit(wallet) | Self::Delegated(wallet) => {
                Some(wallet.to_checksum(None))
            }
        }
    }

    /// The venue's number for the kind.
    #[must_use]
    pub const fn signature_type(self) -> u8 {
        match self {
            Self::Eoa => 0,
            Self::Proxy(_) => 1,
            Self::Safe(_) => 2,
            Self::Deposit(_) | Self::Delegated(_) => 3,
        }
    }

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eoa => "a plain account",
            Self::Proxy(_) => "a proxy wallet",
            Self::Safe(_) => "a Safe",
            Self::Deposit(_) => "a deposit wallet",
            Self::Delegated(_) => "a deposit wallet that this key does not own",
        }
    }

    /// Whose funds move.
    pub(super) const fn maker(self, key: Address) -> Address {
        match self {
            Self::Eoa => key,
            Self::Proxy(wallet) | Self::Safe(wallet) | Self::Deposit(wallet) | Self::Delegated(wallet) => wallet,
        }
    }

    /// Who signs, in the venue's eyes: a deposit wallet signs for itself.
    pub(super) const fn signer(self, key: Address) -> Address {
        match self {
            Self::Eoa | Self::Proxy(_) | Self::Safe(_) => key,
            Self::Deposit(wallet) | Self::Delegated(wallet) => wallet,
        }
    }
}

/// Where the deposit wallet of a key's owner lives, with the capitals of its checksum.
pub fn deposit_address(owner: &str) -> Result<String, WalletError> {
    address(owner).map(|owner| deposit_wallet(owner).to_checksum(None))
}

/// An address with the capitals of its checksum.
pub fn checksummed(text: &str) -> Result<String, WalletError> {
    address(text).map(|address| address.to_checksum(None))
}

/// Reads an address that is somebody's. Capitals, where there are any, must be those of the checksum: a mistyped digit
/// is found.
pub(super) fn address(text: &str) -> Result<Address, WalletError> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").ok_or(WalletError::NotAnAddress)?;
    let mut bytes = [0; 20];
    if digits.len() != 40 || hex::decode_to_slice(digits, &mut bytes).is_err() {
        return Err(WalletError::NotAnAddress);
    }
    let address = Address::new(bytes);
    let plain = !digits.bytes().any(|digit| digit.is_ascii_uppercase());
    let sound = !address.is_zero() && (plain || address.to_checksum(None) == text);
    if sound { Ok(address) } else { Err(WalletError::NotAnAddress) }
}

fn proxy(owner: Address) -> Address {
    contract::PROXY_FACTORY.create2(keccak256(owner), contract::PROXY_INIT_CODE_HASH)
}

fn safe(owner: Address) -> Address {
    contract::SAFE_FACTORY.create2(keccak256(owner.into_word()), contract::SAFE_INIT_CODE_HASH)
}

fn deposit_wallet(owner: Address) -> Address {
    // Solady's ERC1967BeaconProxy, minimal form with arguments behind the code.
    create_deposit_wallet(
        owner,
        0x52,
        contract::DEPOSIT_WALLET_BEACON,
        &hex!(
            "60195155f3363d3d373d3d363d602036600436635c60da1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb358"
            "2b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3"
        ),
    )
}

fn older_deposit_wallet(owner: Address) -> Address {
    // Solady's ERC1967 proxy, the same way.
    create_deposit_wallet(
        owner,
        0x3d,
        contract::DEPOSIT_WALLET_IMPLEMENTATION,
        &hex!(
            "60095155f3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc545af43d6000803e603857"
            "3d6000fd5b3d6000f3"
        ),
    )
}

/// Both forms of the code say how long they are, arguments included, and whom they point at, and end alike.
fn create_deposit_wallet(owner: Address, code_len: u8, target: Address, code: &[u8]) -> Address {
    let mut args = [0; 64];
    args[..32].copy_from_slice(contract::DEPOSIT_WALLET_FACTORY.into_word().as_slice());
    args[32..].copy_from_slice(owner.into_word().as_slice());
    let len = code_len + args.len() as u8;
    let mut init = vec![0x61, 0, len];
    init.extend_from_slice(&hex!("3d8160233d3973"));
    init.extend_from_slice(target.as_slice());
    init.extend_from_slice(code);
    init.extend_from_slice(&args);
    let salt: B256 = keccak256(args);
    contract::DEPOSIT_WALLET_FACTORY.create2(salt, keccak256(&init))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

    #[test]
    fn the_kind_of_a_wallet_follows_from_its_address() {
        let kind = |wallet: &str| Wallet::of(OWNER, wallet).map(Wallet::signature_type);
        assert_eq!(kind(OWNER), Ok(0));
        assert_eq!(kind("0x365f0CA36Ae1f641E02fE3B7743673da42A13A70"), Ok(1));
        assert_eq!(kind("0xd93B25cb943D14d0d34FBaF01Fc93a0f8b5F6E47"), Ok(2));
        assert_eq!(kind("0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50"), Ok(3), "behind the beacon");
        assert_eq!(kind("0xdf8b9E8f9AB23f261F6e1B171B7454ae6E46Ba76"), Ok(3), "the older form");
        assert_eq!(kind("0xbc0ff067b7740eff76c1ca93c875ba6b890d6b50"), Ok(3), "without capitals there is no checksum");
    }

    #[test]
    fn somebody_elses_wallet_is_refused_by_name() {
        let (other, wallet) =
            ("0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50");
        let refused = Wallet::of(other, wallet).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("{wallet} is neither the account of the key {other} nor a proxy, Safe or deposit wallet of it")
        );
        let delegated = Wallet::delegated(wallet).unwrap();
        assert_eq!(delegated.signature_type(), 3);
        assert_eq!(delegated.maker(address(other).unwrap()), address(wallet).unwrap());
    }

    #[test]
    fn a_mistyped_address_is_no_address() {
        for bad in [
            "",
            "0x",
            "f39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb9226",
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92267",
            "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "0xg39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            "0x0000000000000000000000000000000000000000",
        ] {
            assert_eq!(Wallet::of(OWNER, bad), Err(WalletError::NotAnAddress), "{bad}");
        }
    }
}
