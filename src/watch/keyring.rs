//! Who may use the page: one-time codes from the terminal, and the tokens that they are exchanged for.
//!
//! Everything is 256 random bits, kept as its SHA-256 alone. A code is good once and for minutes; tokens lie in a file of
//! the state directory, so that a restart signs nobody out. What is valid is never counted as an attempt: nobody can lock
//! the operator out by guessing.

use std::{
    io::Write as _,
    num::NonZeroU32,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Serialize};

use crate::unit::UnixMs;

/// A sign-in link is used within this.
const SIGN_IN_MS: u64 = 10 * 60_000;
/// A code that confirms one act.
const CONFIRM_MS: u64 = 2 * 60_000;
/// A browser stays signed in for this long.
const SESSION_MS: u64 = 7 * 86_400_000;
/// A program's token.
const PROGRAM_MS: u64 = 365 * 86_400_000;
/// Wrong codes and tokens in a minute.
const WRONG_A_MINUTE: NonZeroU32 = NonZeroU32::new(5).unwrap();
const CODES_MAX: usize = 16;
const TOKENS_MAX: usize = 64;

/// What a caller may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and acts.
    Operator,
}

impl Role {
    /// The word in answers and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

/// What a code is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// A session on the page.
    SignIn(Role),
    /// One dangerous act.
    Confirm,
}

#[derive(Clone, Debug)]
struct Code {
    print: [u8; 32],
    purpose: Purpose,
    until: UnixMs,
}

/// A token as it lies in the file.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Token {
    /// SHA-256, URL-safe base64.
    print: String,
    role: Role,
    until_ms: u64,
}

#[derive(Debug, Default)]
struct Rings {
    codes: Vec<Code>,
    tokens: Vec<Token>,
}

/// Codes and tokens of one state directory.
#[derive(Debug)]
pub struct Keyring {
    file: PathBuf,
    rings: Mutex<Rings>,
    wrong: DefaultDirectRateLimiter,
}

impl Keyring {
    /// Reads the file, if there is one. One that cannot be read signs everybody out, and says so.
    pub fn open(file: &Path) -> anyhow::Result<Self> {
        let tokens = match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!("{}: {error}: everybody has to sign in again", file.display());
                Vec::new()
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        let wrong = RateLimiter::direct(Quota::per_minute(WRONG_A_MINUTE));
        Ok(Self { file: file.into(), rings: Mutex::new(Rings { codes: Vec::new(), tokens }), wrong })
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fresh code, good once.
    pub fn code(&self, purpose: Purpose, now: UnixMs) -> String {
        let text = random();
        let lasts = if purpose == Purpose::Confirm { CONFIRM_MS } else { SIGN_IN_MS };
        let mut rings = self.rings();
        rings.codes.retain(|code| now < code.until);
        if rings.codes.len() == CODES_MAX {
            rings.codes.remove(0);
        }
        rings.codes.push(Code { print: print(&text), purpose, until: UnixMs::new(now.raw() + lasts) });
        text
    }

    /// What this code was given out for, among what is `wanted`, and not used yet? Used from here on.
    pub fn take_code(&self, text: &str, wanted: impl Fn(Purpose) -> bool, now: UnixMs) -> Option<Purpose> {
        let shown = print(text);
        let mut rings = self.rings();
        rings.codes.retain(|code| now < code.until);
        let found = rings
            .codes
            .iter()
            .position(|code| wanted(code.purpose) && verify_slices_are_equal(&code.print, &shown).is_ok());
        found.map(|at| rings.codes.remove(at).purpose)
    }

    /// A session for a browser that showed a code: the token, and when it ends.
    pub fn session(&self, role: Role, now: UnixMs) -> std::io::Result<(String, UnixMs)> {
        let until = UnixMs::new(now.raw() + SESSION_MS);
        Ok((self.give(role, now, until)?, until))
    }

    /// A token for a program.
    pub fn token(&self, role: Role, now: UnixMs) -> std::io::Result<String> {
        self.give(role, now, UnixMs::new(now.raw() + PROGRAM_MS))
    }

    fn give(&self, role: Role, now: UnixMs, until: UnixMs) -> std::io::Result<String> {
        let text = random();
        let print = BASE64_URL_SAFE_NO_PAD.encode(print(&text));
        let mut rings = self.rings();
        rings.tokens.retain(|token| now.raw() < token.until_ms);
        if rings.tokens.len() == TOKENS_MAX {
            rings.tokens.remove(0);
        }
        rings.tokens.push(Token { print, role, until_ms: until.raw() });
        self.write(&rings.tokens)?;
        Ok(text)
    }

    /// Whose token this is.
    pub fn role(&self, text: &str, now: UnixMs) -> Option<Role> {
        let wanted = BASE64_URL_SAFE_NO_PAD.encode(print(text));
        let rings = self.rings();
        let mut found = None;
        // All are looked at, whichever fits.
        for token in rings.tokens.iter().filter(|token| now.raw() < token.until_ms) {
            if verify_slices_are_equal(token.print.as_bytes(), wanted.as_bytes()).is_ok() {
                found = Some(token.role);
            }
        }
        found
    }

    /// Signs one token out.
    pub fn forget(&self, text: &str) -> std::io::Result<()> {
        let gone = BASE64_URL_SAFE_NO_PAD.encode(print(text));
        let mut rings = self.rings();
        rings.tokens.retain(|token| token.print != gone);
        self.write(&rings.tokens)
    }

    /// Something wrong was shown. Are there attempts left this minute?
    pub fn may_be_wrong(&self) -> bool {
        self.wrong.check().is_ok()
    }

    /// The file, whole or not at all, for its owner alone.
    fn write(&self, tokens: &[Token]) -> std::io::Result<()> {
        let draft = self.file.with_extension("draft");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&serde_json::to_vec(tokens)?)?;
        file.sync_all()?;
        std::fs::rename(&draft, &self.file)
    }
}

/// 256 bits that nobody can guess, as 43 letters.
fn random() -> String {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random numbers");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn print(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> UnixMs {
        UnixMs::new(1_000_000 + ms)
    }

    #[test]
    fn a_code_is_good_once_for_its_purpose_and_not_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Keyring::open(&folder.path().join("tokens.json")).unwrap();
        let signs_in = |purpose| matches!(purpose, Purpose::SignIn(_));
        let confirms = |purpose| purpose == Purpose::Confirm;
        let code = ring.code(Purpose::SignIn(Role::Viewer), at(0));
        assert_eq!(code.len(), 43);
        assert_eq!(ring.take_code(&code, confirms, at(1)), None, "it signs in, it confirms nothing");
        assert_eq!(ring.take_code(&code, signs_in, at(2)), Some(Purpose::SignIn(Role::Viewer)));
        assert_eq!(ring.take_code(&code, signs_in, at(3)), None);
        let code = ring.code(Purpose::Confirm, at(0));
        assert_eq!(ring.take_code(&code, confirms, at(CONFIRM_MS)), None);
    }

    #[test]
    fn a_token_outlives_a_restart_as_a_hash_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.json");
        let ring = Keyring::open(&file).unwrap();
        let (session, until) = ring.session(Role::Operator, at(0)).unwrap();
        let scraper = ring.token(Role::Viewer, at(0)).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&session) && !text.contains(&scraper));
        let ring = Keyring::open(&file).unwrap();
        assert_eq!(ring.role(&session, at(1)), Some(Role::Operator));
        assert_eq!(ring.role(&scraper, at(1)), Some(Role::Viewer));
        assert_eq!(ring.role("", at(1)), None);
        assert_eq!(ring.role(&session, until), None);
        ring.forget(&scraper).unwrap();
        assert_eq!(Keyring::open(&file).unwrap().role(&scraper, at(1)), None);
    }

    #[test]
    fn five_wrong_ones_a_minute_and_a_valid_one_still_counts() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Keyring::open(&folder.path().join("tokens.json")).unwrap();
        let (session, _) = ring.session(Role::Operator, at(0)).unwrap();
        let tries = (0..8).filter(|_| ring.may_be_wrong()).count();
        assert_eq!((tries, ring.role(&session, at(1))), (5, Some(Role::Operator)));
    }
}
