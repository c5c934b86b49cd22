//! Wallets: the four kinds, and which address the first three have for a key (dossier 2.3 and 7.1).
//!
//! Addresses of proxies and Safes follow from their owner's by CREATE2. A deposit wallet's does not tell whether a key
//! is its owner's or a delegated one, so nothing is said of it here.

use alloy_primitives::{Address, B256, address, b256, keccak256};

/// How an account holds its money, with the number that orders carry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WalletKind {
    /// The key's own address.
    Eoa = 0,
    /// Accounts opened by e-mail, before 2026-05.
    Proxy = 1,
    /// Accounts opened with a browser wallet, before 2026-05.
    Safe = 2,
    /// Every account since: a contract that knows its owner's key and delegated ones.
    Deposit = 3,
}

impl WalletKind {
    /// Reads the number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Eoa, Self::Proxy, Self::Safe, Self::Deposit].into_iter().find(|kind| text == (*kind as u8).to_string())
    }

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eoa => "a plain account",
            Self::Proxy => "a proxy wallet",
            Self::Safe => "a Safe",
            Self::Deposit => "a deposit wallet",
        }
    }
}

/// Reads `0x` and 40 hex digits. Where capitals are mixed in they must be those of the checksum.
#[must_use]
pub fn parse_address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40)?;
    let plain = !digits.bytes().any(|byte| byte.is_ascii_uppercase());
    let address = if plain { text.parse().ok() } else { Address::parse_checksummed(text, None).ok() };
    address.filter(|address: &Address| !address.is_zero())
}

/// The address that holds the money of this key in this kind of wallet; `None` for a deposit wallet.
#[must_use]
pub fn funder(owner: Address, kind: WalletKind) -> Option<Address> {
    const PROXY_FACTORY: Address = address!("aB45c5A4B0c941a2F231C04C3f49182e1A254052");
    const PROXY_CODE: B256 = b256!("d21df8dc65880a8606f09fe0ce3df9b8869287ab0b058be05aa9e8af6330a00b");
    const SAFE_FACTORY: Address = address!("aacFeEa03eb1561C4e67d661e40682Bd20E3541b");
    const SAFE_CODE: B256 = b256!("2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf");
    match kind {
        WalletKind::Eoa => Some(owner),
        WalletKind::Proxy => Some(PROXY_FACTORY.create2(keccak256(owner), PROXY_CODE)),
        WalletKind::Safe => Some(SAFE_FACTORY.create2(keccak256(owner.into_word()), SAFE_CODE)),
        WalletKind::Deposit => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The development key's wallets, as the dossier has them.
    #[test]
    fn the_wallets_of_the_development_key_are_where_the_venue_puts_them() {
        let owner = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        for (kind, wallet) in [
            (WalletKind::Eoa, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            (WalletKind::Proxy, "0x365f0CA36Ae1f641E02fE3B7743673da42A13A70"),
            (WalletKind::Safe, "0xd93B25cb943D14d0d34FBaF01Fc93a0f8b5F6E47"),
        ] {
            assert_eq!(funder(owner, kind), parse_address(wallet), "{}", kind.name());
            assert_eq!(WalletKind::parse(&(kind as u8).to_string()), Some(kind));
        }
        assert_eq!(funder(owner, WalletKind::Deposit), None);
        assert_eq!((WalletKind::parse("3"), WalletKind::parse("4")), (Some(WalletKind::Deposit), None));
    }

    #[test]
    fn an_address_with_a_wrong_checksum_or_length_is_none() {
        let good = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        assert!(parse_address(good).is_some() && parse_address(&good.to_lowercase()).is_some());
        let swapped = good.replace("f39Fd", "F39fd");
        for bad in ["", "0x", &good[2..], &good[..41], &format!("{good}0"), &swapped, &good.replace('x', "X")] {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
        assert_eq!(parse_address(&format!("0x{}", "0".repeat(40))), None, "nobody's");
    }
}
