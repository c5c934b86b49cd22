//! Secrets and a passphrase → sealed bytes, and back. No file, no prompt.
//!
//! ```text
//! 0   8   "ORIONVLT"
//! 8   2   version of this form: 1                                    all numbers big-endian
//! 10  1   key from passphrase: 1 = Argon2id, version 0x13
//! 11  1   cipher: 1 = AES-256-GCM
//! 12  4   Argon2id memory in KiB      16  4  passes      20  4  lanes
//! 24  16  salt
//! 40  12  nonce
//! 52  …   ciphertext, then its tag of 16 bytes
//! ```
//!
//! The 52 bytes before the ciphertext are authenticated with it. Inside, secrets stand one after the other: a byte for
//! the length of the name, the name, four bytes for the length of the value, the value.
//!
//! A wrong passphrase, a flipped bit and a file that was cut short cannot be told apart, and get the same words.

use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut as _, KeyInit as _},
};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Name, SECRET_BYTES_MAX, Secret, Vault};

const MAGIC: &[u8; 8] = b"ORIONVLT";
const VERSION: u16 = 1;
const ARGON2ID: u8 = 1;
const AES_256_GCM: u8 = 1;
const HEAD: usize = 52;
const TAG: usize = 16;

/// What it costs to try one passphrase.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Cost {
    /// RFC 9106's second recommendation: what new files are sealed with, and the least that is opened.
    pub const DEFAULT: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
    /// The most that is opened: a file must not be able to claim all memory, or an hour.
    pub const MAX: Self = Self { memory_kib: 1024 * 1024, passes: 10, lanes: 16 };

    const fn is_sound(self) -> bool {
        let (least, most) = (Self::DEFAULT, Self::MAX);
        least.memory_kib <= self.memory_kib
            && self.memory_kib <= most.memory_kib
            && least.passes <= self.passes
            && self.passes <= most.passes
            && least.lanes <= self.lanes
            && self.lanes <= most.lanes
    }
}

/// Why bytes were not opened, or secrets not sealed. No text ever holds a part of a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealError {
    #[error("is no vault")]
    NotAVault,
    #[error(
        "has version {0} of the form, and this build reads version {VERSION}: use the build that wrote it, or a newer one"
    )]
    Version(u16),
    #[error(
        "asks for {} MiB, {} passes and {} lanes of Argon2id; taken are 64 to 1024 MiB, 3 to 10 passes, 4 to 16 lanes",
        .0.memory_kib / 1024, .0.passes, .0.lanes
    )]
    Cost(Cost),
    /// The same words whatever it was.
    #[error("wrong passphrase or damaged file")]
    Shut,
    #[error("holds something that this build does not know: use the build that wrote it, or a newer one")]
    Unknown,
    #[error("this host has no {} MiB to spare for Argon2id", .0.memory_kib / 1024)]
    Memory(Cost),
    #[error("the system gave no random numbers")]
    NoRandom,
}

/// The authenticated bytes before the ciphertext.
struct Head {
    cost: Cost,
    salt: [u8; 16],
    nonce: [u8; 12],
}

impl Head {
    fn fresh() -> Result<Self, SealError> {
        let (mut salt, mut nonce, random) = ([0; 16], [0; 12], SystemRandom::new());
        random.fill(&mut salt).map_err(|_| SealError::NoRandom)?;
        random.fill(&mut nonce).map_err(|_| SealError::NoRandom)?;
        Ok(Self { cost: Cost::DEFAULT, salt, nonce })
    }

    fn to_bytes(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_be_bytes());
        (bytes[10], bytes[11]) = (ARGON2ID, AES_256_GCM);
        let Cost { memory_kib, passes, lanes } = self.cost;
        for (at, number) in [memory_kib, passes, lanes].into_iter().enumerate() {
            bytes[12 + 4 * at..16 + 4 * at].copy_from_slice(&number.to_be_bytes());
        }
        bytes[24..40].copy_from_slice(&self.salt);
        bytes[40..].copy_from_slice(&self.nonce);
        bytes
    }

    /// Reads the head; what follows it is the ciphertext with its tag.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8; HEAD], &[u8]), SealError> {
        if !bytes.starts_with(MAGIC) {
            return Err(SealError::NotAVault);
        }
        let (head, sealed) = bytes.split_first_chunk::<HEAD>().ok_or(SealError::Shut)?;
        let version = u16::from_be_bytes([head[8], head[9]]);
        if (version, head[10], head[11]) != (VERSION, ARGON2ID, AES_256_GCM) {
            return Err(SealError::Version(version));
        }
        let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let cost = Cost { memory_kib: number(12), passes: number(16), lanes: number(20) };
        if !cost.is_sound() {
            return Err(SealError::Cost(cost));
        }
        let (mut salt, mut nonce) = ([0; 16], [0; 12]);
        salt.copy_from_slice(&head[24..40]);
        nonce.copy_from_slice(&head[40..]);
        Ok((Self { cost, salt, nonce }, head, sealed))
    }

    /// The key that this passphrase makes. The memory it was made in is wiped.
    fn key(&self, passphrase: &Secret) -> Result<Key, SealError> {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| SealError::Cost(self.cost))?;
        let mut memory: Vec<Block> = Vec::new();
        memory.try_reserve_exact(params.block_count()).map_err(|_| SealError::Memory(self.cost))?;
        memory.resize(params.block_count(), Block::default());
        let mut key = Zeroizing::new([0; 32]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let made =
            argon2.hash_password_into_with_memory(passphrase.expose().as_bytes(), &self.salt, &mut *key, &mut memory);
        memory.iter_mut().for_each(Block::zeroize);
        made.map_err(|_| SealError::Cost(self.cost))?;
        Ok(Key(key))
    }
}

/// Wiped on drop, as the cipher made from it is.
struct Key(Zeroizing<[u8; 32]>);

impl Key {
    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.0).into())
    }

    fn seal(&self, head: &Head, plain: &mut Vec<u8>) -> Result<Vec<u8>, SealError> {
        let head_bytes = head.to_bytes();
        // Room for the tag, so that the plain text is not copied to a larger place and left behind.
        assert!(plain.len() + TAG <= plain.capacity(), "the writer of the plain text leaves room for the tag");
        self.cipher().encrypt_in_place((&head.nonce).into(), &head_bytes, plain).map_err(|_| SealError::Shut)?;
        Ok([&head_bytes, plain.as_slice()].concat())
    }

    fn open(&self, head: &Head, head_bytes: &[u8; HEAD], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let mut plain = Zeroizing::new(sealed.to_vec());
        self.cipher().decrypt_in_place((&head.nonce).into(), head_bytes, &mut *plain).map_err(|_| SealError::Shut)?;
        Ok(plain)
    }
}

/// Seals a vault's secrets under a passphrase.
pub fn seal(vault: &Vault, passphrase: &Secret) -> Result<Vec<u8>, SealError> {
    let head = Head::fresh()?;
    head.key(passphrase)?.seal(&head, &mut write(vault))
}

/// Opens what [`seal`] made. Nothing of the plain text is looked at before all of it is authentic.
pub fn open(bytes: &[u8], passphrase: &Secret) -> Result<Vault, SealError> {
    let (head, head_bytes, sealed) = Head::read(bytes)?;
    let plain = head.key(passphrase)?.open(&head, head_bytes, sealed)?;
    read(&plain).ok_or(SealError::Unknown)
}

/// What opening this file costs. Its numbers are not authenticated before it is opened.
pub fn cost(bytes: &[u8]) -> Result<Cost, SealError> {
    Head::read(bytes).map(|(head, _, _)| head.cost)
}

fn write(vault: &Vault) -> Zeroizing<Vec<u8>> {
    let entries = || vault.names().filter_map(|name| Some((name.text(), vault.get(name)?.expose())));
    let len: usize = entries().map(|(name, value)| 1 + name.len() + 4 + value.len()).sum();
    let mut plain = Zeroizing::new(Vec::with_capacity(len + TAG));
    for (name, value) in entries() {
        plain.push(name.len() as u8);
        plain.extend_from_slice(name.as_bytes());
        plain.extend_from_slice(&(value.len() as u32).to_be_bytes());
        plain.extend_from_slice(value.as_bytes());
    }
    assert_eq!(plain.len(), len, "nothing was moved to a larger place while it was written");
    plain
}

/// `None` for a name that is not known or stands twice, and for anything else that [`write`] would not write.
fn read(mut plain: &[u8]) -> Option<Vault> {
    let mut vault = Vault::default();
    while let Some((len, rest)) = plain.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*len))?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        let name = Name::parse(std::str::from_utf8(name).ok()?)?;
        let value = std::str::from_utf8(value).ok().filter(|value| value.len() <= SECRET_BYTES_MAX)?;
        if vault.get(name).is_some() {
            return None;
        }
        vault.set(name, Secret::new(value.to_owned())?);
        plain = rest;
    }
    Some(vault)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-5d41402abc4b2a76b9719d911017c592";

    fn secret(text: &str) -> Secret {
        Secret::new(text.into()).unwrap()
    }

    fn vault() -> Vault {
        let mut vault = Vault::default();
        for (at, name) in Name::ALL.into_iter().enumerate() {
            vault.set(name, secret(&format!("{CANARY} {at}\n{}", "x".repeat(100 * at))));
        }
        vault
    }

    fn same(one: &Vault, other: &Vault) -> bool {
        let pairs = |vault: &Vault| {
            vault.names().map(|name| (name, vault.get(name).unwrap().expose().to_owned())).collect::<Vec<_>>()
        };
        pairs(one) == pairs(other)
    }

    #[test]
    fn what_was_sealed_is_opened_with_its_passphrase_and_no_other() {
        let (vault, passphrase) = (vault(), secret("correct horse battery"));
        let bytes = seal(&vault, &passphrase).unwrap();
        assert!(same(&open(&bytes, &passphrase).unwrap(), &vault));
        for wrong in ["correct horse batterz", "Correct horse battery", "correct horse batter", "x"] {
            assert_eq!(open(&bytes, &secret(wrong)).err(), Some(SealError::Shut), "{wrong}");
        }
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "nothing stands there plainly");
        assert!(!bytes.windows(6).any(|window| window == b"kalshi"), "not even what it holds");
        let again = seal(&vault, &passphrase).unwrap();
        assert_ne!(bytes[24..40], again[24..40], "a salt of its own");
        assert_ne!(bytes[40..52], again[40..52], "a nonce of its own");
        assert_eq!(cost(&bytes), Ok(Cost::DEFAULT));
        assert!(same(&open(&seal(&Vault::default(), &passphrase).unwrap(), &passphrase).unwrap(), &Vault::default()));
    }

    /// Every flipped bit and every length, under one key: a salt that was changed would make another one.
    #[test]
    fn a_file_with_one_changed_bit_or_a_missing_or_added_byte_is_refused() {
        let head = Head::fresh().unwrap();
        let key = head.key(&secret("correct horse battery")).unwrap();
        let good = key.seal(&head, &mut write(&vault())).unwrap();
        let opened = |bytes: &[u8]| {
            let (head, head_bytes, sealed) = Head::read(bytes)?;
            key.open(&head, head_bytes, sealed).map(|_| ())
        };
        assert_eq!(opened(&good), Ok(()));
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let refused = opened(&bad).expect_err("one bit is changed");
                match at {
                    0..8 => assert_eq!(refused, SealError::NotAVault),
                    8..12 => assert!(matches!(refused, SealError::Version(_)), "{refused:?}"),
                    12..24 => assert!(matches!(refused, SealError::Cost(_) | SealError::Shut), "{refused:?}"),
                    _ => assert_eq!(refused, SealError::Shut, "byte {at}"),
                }
            }
        }
        for len in 0..good.len() {
            assert!(opened(&good[..len]).is_err(), "cut to {len}");
        }
        assert_eq!(opened(&[&good[..], &[0]].concat()), Err(SealError::Shut));
        assert_eq!(opened(&good[..HEAD + TAG - 1]), Err(SealError::Shut));
    }

    #[test]
    fn a_form_or_a_cost_that_is_not_taken_is_named() {
        let good = seal(&Vault::default(), &secret("correct horse battery")).unwrap();
        for version in [0, 2, 0x0100, u16::MAX] {
            let mut bad = good.clone();
            bad[8..10].copy_from_slice(&version.to_be_bytes());
            assert_eq!(cost(&bad), Err(SealError::Version(version)));
        }
        let (least, most) = (Cost::DEFAULT, Cost::MAX);
        for bad_cost in [
            Cost { memory_kib: least.memory_kib - 1, ..least },
            Cost { memory_kib: 19 * 1024, passes: 2, lanes: 1 },
            Cost { passes: 2, ..least },
            Cost { lanes: 3, ..least },
            Cost { memory_kib: 0, passes: 0, lanes: 0 },
            Cost { memory_kib: most.memory_kib + 1, ..least },
            Cost { passes: 11, ..least },
            Cost { lanes: 17, ..least },
            Cost { memory_kib: u32::MAX, passes: u32::MAX, lanes: u32::MAX },
        ] {
            let head = Head { cost: bad_cost, salt: [1; 16], nonce: [2; 12] };
            let bytes = [&head.to_bytes()[..], &good[HEAD..]].concat();
            let refused = open(&bytes, &secret("correct horse battery")).err();
            assert_eq!(refused, Some(SealError::Cost(bad_cost)), "before a byte of memory is asked for");
        }
        for edge in [least, most] {
            let head = Head { cost: edge, salt: [1; 16], nonce: [2; 12] };
            assert_eq!(cost(&[&head.to_bytes()[..], &good[HEAD..]].concat()), Ok(edge));
        }
    }

    #[test]
    fn contents_that_this_build_would_not_write_are_refused() {
        let entry = |name: &str, value: &str| {
            let mut bytes = vec![name.len() as u8];
            bytes.extend(name.as_bytes());
            bytes.extend((value.len() as u32).to_be_bytes());
            bytes.extend(value.as_bytes());
            bytes
        };
        let id = entry("kalshi.key_id", "a");
        assert!(read(&id).is_some());
        let unsound = [&id[..id.len() - 1], &[0], &[5, b'k']].map(<[u8]>::to_vec);
        let others = [
            entry("telegram.tocken", "a"),
            entry("Kalshi.key_id", "a"),
            entry("kalshi.key_id", ""),
            entry("kalshi.key_id", &"a".repeat(SECRET_BYTES_MAX + 1)),
            [id.clone(), id].concat(),
        ];
        for bad in unsound.into_iter().chain(others) {
            assert!(read(&bad).is_none());
        }
    }

    #[test]
    fn no_error_tells_anything_of_a_secret() {
        let passphrase = secret(CANARY);
        let bytes = seal(&vault(), &passphrase).unwrap();
        let mut bad = bytes;
        *bad.last_mut().unwrap() ^= 1;
        let error = open(&bad, &passphrase).err().unwrap();
        assert_eq!(error.to_string(), "wrong passphrase or damaged file");
        assert_eq!(format!("{error:?}"), "Shut");
    }
}
