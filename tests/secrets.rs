//! The vault as its users meet it: what goes in, what comes out, and what is said on the way. Nothing here leaves the
//! machine. Planted secrets are looked for everywhere after every command. The numbers are those of the fault
//! catalogue.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use base64::Engine as _;
use orion::{
    run::sign::{self, Keys, KeysError},
    unit::UnixMs,
    vault::{Name, Secret, Vault, VaultError, sealed::SealError},
};
use tempfile::TempDir;

const KEY_ID: &str = "1b4e28ba-2fa1-4d3b-a3f5-ef19b5a7633b";
const WALLET_KEY: &str = "0x6b8f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9012345678";
const API_KEY: &str = "9f8d3c52-6d1e-4f61-9a51-0c8a3b1d7e42";
const API_PASSPHRASE: &str = "canary-b7e23ec29af22b0b4e41da31e868d572";
const PASSPHRASE: &str = "planted passphrase of four words";
const OTHER: &str = "another passphrase, just as long";

fn api_secret() -> String {
    base64::engine::general_purpose::URL_SAFE.encode([0x5a; 32])
}

/// A desk with a key in a PEM, a passphrase in a file, and a state directory of its own.
struct Desk {
    folder: TempDir,
    pem: String,
}

/// What a command left: exit code, and everything it printed.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
        let desk = Self { folder, pem };
        desk.put("pass", PASSPHRASE);
        desk.put("other", &format!("{OTHER}\n"));
        desk.put("key.pem", &desk.pem);
        desk.put("pairs.toml", "");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn vault(&self) -> PathBuf {
        self.path("state/vault")
    }

    /// Runs `orion` with these words of a shell: descriptors are opened as an operator would.
    fn shell(&self, words: &str) -> Ran {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("exec \"$ORION\" --state-dir state {words}")).current_dir(self.folder.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ORION_")) {
            command.env_remove(name);
        }
        command.env("ORION", env!("CARGO_BIN_EXE_orion")).env("ORION_PAIRS__FILE", "pairs.toml");
        command.env_remove("CREDENTIALS_DIRECTORY").stdin(std::process::Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ran = Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
        self.nothing_leaked(words, &ran);
        ran
    }

    /// With the passphrase on a descriptor.
    fn orion(&self, words: &str) -> Ran {
        self.shell(&format!("{words} --passphrase-fd 3 3<pass"))
    }

    fn import(&self) {
        let ran = self.orion(&format!("secrets import key.pem --kalshi-key-id {KEY_ID}"));
        assert_eq!(ran.code, 0, "{}", ran.err);
    }

    /// Fault 95: no planted secret was printed, and none lies in a file that Orion wrote.
    fn nothing_leaked(&self, words: &str, ran: &Ran) {
        let secret = api_secret();
        let mut canaries =
            vec![WALLET_KEY[2..].to_owned(), secret, API_PASSPHRASE.into(), PASSPHRASE.into(), OTHER.into()];
        canaries.extend(self.pem.lines().filter(|line| !line.starts_with("--")).map(str::to_owned));
        let mut told = vec![("standard output".to_owned(), ran.out.clone().into_bytes())];
        told.push(("standard error".into(), ran.err.clone().into_bytes()));
        told.extend(files(&self.path("state")));
        for (place, bytes) in told {
            for canary in &canaries {
                // A part of a secret is a part too many.
                for part in [&canary[..16], &canary[canary.len() - 16..]] {
                    let found = bytes.windows(part.len()).any(|window| window == part.as_bytes());
                    assert!(!found, "{words}: {place} holds {part}");
                }
            }
        }
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() { files(&path) } else { vec![(path.display().to_string(), fs::read(&path).unwrap())] }
        })
        .collect()
}

fn everything(desk: &Desk) {
    let pem = desk.pem.trim_end().replace('\n', "\\n");
    desk.put(
        ".env",
        &format!(
            "# keys of the old bot\nKALSHI_API_KEY_ID={KEY_ID}\nKALSHI_PRIVATE_KEY=\"{pem}\"\n\
             export POLYMARKET_PRIVATE_KEY='{WALLET_KEY}'\nPOLY_API_KEY={API_KEY}\nCLOB_SECRET={}\n\
             CLOB_PASS_PHRASE={API_PASSPHRASE}\nTELEGRAM_TOKEN={API_PASSPHRASE}\n",
            api_secret()
        ),
    );
}

#[test]
fn what_is_imported_is_checked_without_being_shown_and_lies_sealed_for_its_owner_alone() {
    let desk = Desk::new();
    everything(&desk);
    let ran = desk.orion("secrets import .env");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("kalshi.private_key: an Ed25519 key") && ran.out.contains("shred -u .env"), "{}", ran.out);
    assert!(ran.err.contains("TELEGRAM_TOKEN: not taken over"), "{}", ran.err);
    assert_eq!(fs::metadata(desk.vault()).unwrap().permissions().mode() & 0o7777, 0o600);
    let names: Vec<_> = fs::read_dir(desk.path("state")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["vault"], "and no draft beside it");
    let sealed = fs::read(desk.vault()).unwrap();
    assert!(!sealed.windows(8).any(|window| window == &KEY_ID.as_bytes()[..8]), "not even the id");

    let ran = desk.orion("secrets check");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    for words in ["64 MiB, 3 passes, 4 lanes", "an Ed25519 key", "the key of 0x", "a secret in base64", "--online asks"]
    {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    // Fault 97.
    assert!(ran.out.contains("may withdraw all there is"), "{}", ran.out);
    let ran = desk.orion("secrets check --json");
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&report["cipher"], &report["memory_mib"]), (&"AES-256-GCM".into(), &64.into()));
    assert_eq!(report["secrets"]["polymarket.funder"], serde_json::Value::Null);
    assert_eq!(report["faults"], serde_json::json!([]));
}

#[test]
fn a_secret_is_set_from_a_pipe_or_a_descriptor_and_another_value_takes_its_place() {
    let desk = Desk::new();
    desk.put("value", &format!("{WALLET_KEY}\n"));
    let ran = desk.orion("secrets set polymarket.private_key <value");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let address = |ran: &Ran| ran.out.split("0x").nth(1).unwrap()[..40].to_owned();
    let first = address(&ran);
    desk.put("value", &WALLET_KEY.replace("6b8f", "6b8e"));
    let ran = desk.orion("secrets set polymarket.private_key --value-fd 4 4<value");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = desk.orion("secrets check");
    assert!(ran.out.contains("the key of 0x") && address(&ran) != first, "{}", ran.out);

    let ran = desk.shell("secrets set polymarket.private_key --passphrase-fd 0 <value");
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains("cannot both come from standard input"), "{}", ran.err);
}

#[test]
fn a_value_that_is_not_what_its_name_says_is_refused_by_name_and_changes_nothing() {
    let desk = Desk::new();
    desk.import();
    let before = fs::read(desk.vault()).unwrap();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let everybodys = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    for (name, value, words) in [
        ("kalshi.key_id", "not an id", "no key id"),
        ("kalshi.key_id", "00000000-0000-4000-8000-000000000001", "simulated exchange"),
        ("kalshi.private_key", "hush-hush", "not a private key in PEM form"),
        ("kalshi.private_key", encrypted, "PEM"),
        ("kalshi.private_key", WALLET_KEY, "PEM"),
        ("polymarket.private_key", "0x1234", "64 hex digits"),
        ("polymarket.private_key", everybodys, "everybody has it"),
        ("polymarket.api_key", "x", "no key id"),
        ("polymarket.api_secret", "not base64!", "base64"),
        ("polymarket.api_passphrase", "with spaces in it", "printable"),
        ("polymarket.funder", "0xf39fd6e51aad88F6F4ce6aB8827279cffFb92266", "checksum"),
        ("polymarket.wallet_kind", "4", "kind of wallet"),
        ("polymarket.wallet_kind", "", "holds nothing"),
        ("telegram.token", "1234567890", "no bot token"),
        (
            "telegram.token",
            "https://api.telegram.org/bot1234567890:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw9",
            "no bot token",
        ),
        ("alerts.webhook_secret", "short", "16 to 256"),
    ] {
        desk.put("value", value);
        let ran = desk.orion(&format!("secrets set {name} <value"));
        assert_eq!(ran.code, 78, "{name}: {}", ran.err);
        assert!(ran.err.contains(words), "{name}: {}", ran.err);
        assert!(value.len() < 12 || !ran.err.contains(value), "{name}: the value is not repeated: {}", ran.err);
    }
    desk.put("bad.env", &format!("KALSHI_KEY_ID={KEY_ID}\nPOLY_PRIVATE_KEY=0x12\nCLOB_API_KEY=zzz\n"));
    let ran = desk.orion("secrets import bad.env");
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains("polymarket.private_key") && ran.err.contains("polymarket.api_key"), "{}", ran.err);
    assert_eq!(fs::read(desk.vault()).unwrap(), before, "all or nothing");
    let ran = desk.orion("secrets set telegram.tocken <value");
    assert_eq!(ran.code, 2, "a name that is none");
}

/// Fault 96: the words are the same whatever is wrong, and they say how to go on.
#[test]
fn a_wrong_passphrase_and_a_damaged_file_get_the_same_words() {
    let desk = Desk::new();
    desk.import();
    let good = fs::read(desk.vault()).unwrap();
    let words = |ran: Ran| {
        assert_eq!((ran.code, &*ran.out), (78, ""), "{}", ran.err);
        assert!(
            ran.err.contains("wrong passphrase or damaged file") && ran.err.contains("orion secrets"),
            "{}",
            ran.err
        );
        ran.err
    };
    let wrong = words(desk.shell("secrets check --passphrase-fd 3 3<other"));
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for damaged in [flipped, good[..good.len() - 1].to_vec(), good[..40].to_vec(), [&good[..], b"x"].concat()] {
        fs::write(desk.vault(), damaged).unwrap();
        assert_eq!(words(desk.orion("secrets check")), wrong);
    }
    assert_eq!(words(desk.orion("secrets set kalshi.key_id <key.pem")), wrong);
    assert_eq!(words(desk.shell("secrets rotate --passphrase-fd 3 --new-passphrase-fd 4 3<pass 4<other")), wrong);
    let mut later = good.clone();
    later[9] = 2;
    fs::write(desk.vault(), later).unwrap();
    let ran = desk.orion("secrets check");
    assert!(ran.code == 78 && ran.err.contains("version 2"), "{}", ran.err);
    fs::write(desk.vault(), "no vault at all, but long enough to be one, with more than fifty-two bytes").unwrap();
    assert!(desk.orion("secrets check").err.contains("is no vault"));
    fs::write(desk.vault(), &good).unwrap();
    assert_eq!(desk.orion("secrets check").code, 0);
}

/// Fault 96.
#[test]
fn a_vault_that_others_could_read_is_refused_with_the_command_before_the_passphrase_is_asked_for() {
    let desk = Desk::new();
    desk.import();
    for mode in [0o644, 0o640, 0o660] {
        fs::set_permissions(desk.vault(), fs::Permissions::from_mode(mode)).unwrap();
        for words in
            ["secrets check", "secrets check --passphrase-fd 3 3<pass", "run --dry-run --passphrase-fd 3 3<pass"]
        {
            let ran = desk.shell(words);
            assert_eq!(ran.code, 78, "{words}: {}", ran.err);
            assert!(ran.err.contains("chmod 600") && ran.err.contains("state/vault"), "{words}: {}", ran.err);
        }
    }
}

#[test]
fn after_a_rotation_the_old_passphrase_is_useless() {
    let desk = Desk::new();
    desk.import();
    let before = fs::read(desk.vault()).unwrap();
    let ran = desk.shell("secrets rotate --passphrase-fd 3 --new-passphrase-fd 4 3<pass 4<other");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let after = fs::read(desk.vault()).unwrap();
    assert_ne!((&before[24..40], &before[40..52]), (&after[24..40], &after[40..52]), "salt and nonce are new");
    assert_eq!(desk.orion("secrets check").code, 78);
    let ran = desk.shell("secrets check --passphrase-fd 3 3<other");
    assert!(ran.code == 0 && ran.out.contains("an Ed25519 key"), "{}{}", ran.out, ran.err);
    desk.put("short", "eleven char");
    let ran = desk.shell("secrets rotate --passphrase-fd 3 --new-passphrase-fd 4 3<other 4<short");
    assert!(ran.code == 78 && ran.err.contains("12 characters"), "{}", ran.err);
    assert_eq!(fs::read(desk.vault()).unwrap(), after);
}

#[test]
fn the_predecessors_yaml_is_taken_over_and_what_it_had_encrypted_is_asked_for_anew() {
    let desk = Desk::new();
    desk.put(
        "config.yaml",
        &format!(
            "trading:\n  threshold_spread: 0.02\nkalshi:\n  api_key_id: {KEY_ID}\n  private_key_path: key.pem\n\
             polymarket:\n  private_key: gAAAAABmcanaryZXhhbXBsZSBvZiBhIHRva2VuIHRoYXQgaXMgbm90IG9uZQ==\n  \
             signature_type: 3\n  funder: '0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50'\n\
             telegram:\n  bot_token: {API_PASSPHRASE}\n"
        ),
    );
    let ran = desk.orion("secrets import config.yaml");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("orion secrets set polymarket.private_key"), "{}", ran.err);
    assert!(ran.err.contains("telegram.bot_token: not taken over"), "{}", ran.err);
    assert!(ran.out.contains("shred -u config.yaml") && ran.out.contains("shred -u key.pem"), "{}", ran.out);
    let ran = desk.orion("secrets check");
    assert_eq!(ran.code, 78, "a wallet without its key");
    assert!(ran.out.contains("polymarket.private_key") && ran.out.contains("a deposit wallet"), "{}", ran.out);
    desk.put("broken.yaml", &format!("kalshi: [{API_PASSPHRASE}\n"));
    assert_eq!(desk.orion("secrets import broken.yaml").code, 78);
}

#[test]
fn secrets_that_do_not_fit_together_are_told() {
    let desk = Desk::new();
    desk.put(
        "one.env",
        &format!(
            "POLYMARKET_PRIVATE_KEY={WALLET_KEY}\nPOLYMARKET_SIGNATURE_TYPE=2\n\
             POLYMARKET_FUNDER=0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50\nCLOB_SECRET={}\n",
            api_secret()
        ),
    );
    assert_eq!(desk.orion("secrets import one.env").code, 0);
    let ran = desk.orion("secrets check");
    assert_eq!(ran.code, 78);
    assert!(
        ran.out.contains("polymarket.funder: 0xBc0f") && ran.out.contains("nor a proxy, Safe or deposit wallet of it"),
        "{}",
        ran.out
    );
    let missing = "polymarket.api_secret is of no use without polymarket.api_key, polymarket.api_passphrase";
    assert!(ran.out.contains(missing), "{}", ran.out);
}

/// Fault 96: nothing starts, and what there is to do is said.
#[test]
fn an_engine_whose_keys_stay_shut_does_not_start() {
    let desk = Desk::new();
    desk.import();
    for (words, told) in [
        ("run --dry-run", "there is nobody to ask"),
        ("run --dry-run --passphrase-fd 3 3<other", "wrong passphrase or damaged file"),
        ("run --dry-run --passphrase-fd 9", "--passphrase-fd 9"),
        ("record --out rec", "there is nobody to ask"),
    ] {
        let ran = desk.shell(words);
        assert_eq!((ran.code, &*ran.out), (78, ""), "{words}: {}", ran.err);
        assert!(ran.err.contains(told), "{words}: {}", ran.err);
    }
    assert_eq!(files(&desk.path("state")).len(), 1, "no database, no lock, no socket");
    desk.put("old.toml", "[feed]\nkalshi_key_file = \"key.pem\"\n");
    let ran = desk.shell("--config old.toml run --dry-run");
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains("old.toml:2") && ran.err.contains("orion secrets import"), "{}", ran.err);
    // There is no other way in: not as a flag's value, not as a variable.
    assert_eq!(desk.shell("secrets check --passphrase hunter2hunter2").code, 2);
}

/// systemd puts the passphrase into a folder of the service's own, and names that folder.
#[test]
fn a_systemd_credential_opens_the_vault() {
    let desk = Desk::new();
    desk.import();
    let check = |folder: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orion"));
        command.current_dir(desk.folder.path()).env("CREDENTIALS_DIRECTORY", desk.path(folder));
        command.args(["--state-dir", "state", "secrets", "check"]).stdin(std::process::Stdio::null());
        command.output().unwrap().status.code()
    };
    fs::create_dir(desk.path("right")).unwrap();
    desk.put("right/orion-passphrase", &format!("{PASSPHRASE}\n"));
    fs::create_dir(desk.path("wrong")).unwrap();
    desk.put("wrong/orion-passphrase", OTHER);
    assert_eq!((check("right"), check("wrong"), check("nowhere")), (Some(0), Some(78), Some(78)));
}

/// Fault 95: while a command waits with secrets in its memory, nothing of it can end in a core dump.
#[test]
#[expect(clippy::disallowed_methods, reason = "the deadline of a test that failed")]
fn a_command_that_holds_secrets_leaves_no_core() {
    use std::{
        io::Write as _,
        time::{Duration, Instant},
    };
    let desk = Desk::new();
    desk.import();
    assert!(Command::new("mkfifo").arg(desk.path("pipe")).status().unwrap().success());
    let mut command = Command::new("sh");
    command.arg("-c").arg("exec \"$ORION\" --state-dir state secrets check --passphrase-fd 3 3<pipe");
    command.current_dir(desk.folder.path()).env("ORION", env!("CARGO_BIN_EXE_orion"));
    command.stdout(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    // Opening waits for the reader; the reader then waits for the passphrase.
    let mut pipe = fs::OpenOptions::new().write(true).open(desk.path("pipe")).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let set: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
        if set == ["0", "0"] {
            break;
        }
        assert!(Instant::now() < deadline, "{core}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    pipe.write_all(PASSPHRASE.as_bytes()).unwrap();
    drop(pipe);
    assert!(child.wait().unwrap().success());
}

/// The search that follows every command here does find what lies in the open.
#[test]
#[should_panic(expected = "holds canary")]
fn a_planted_secret_would_be_found() {
    let desk = Desk::new();
    fs::create_dir(desk.path("state")).unwrap();
    desk.put("state/left-behind", &format!("… {} …", &API_PASSPHRASE[..20]));
    desk.shell("--version");
}

/// A vault with these, sealed where a sign thread finds it.
fn sealed(desk: &Desk, secrets: &[(Name, &str)]) -> Keys {
    let mut vault = Vault::default();
    for (name, text) in secrets {
        vault.set(*name, Secret::new((*text).into()).unwrap());
    }
    vault.save(&desk.path("vault"), &Secret::new(PASSPHRASE.into()).unwrap()).unwrap();
    let passphrase = Secret::new(PASSPHRASE.into()).unwrap();
    Keys::Sealed { vault: desk.path("vault"), passphrase, judge: |_| Vec::new() }
}

#[test]
fn the_sign_thread_opens_the_vault_itself_and_signs_until_nobody_asks_any_more() {
    let desk = Desk::new();
    let keys = sealed(&desk, &[(Name::KalshiKeyId, KEY_ID), (Name::KalshiPrivateKey, &desk.pem)]);
    let signing = sign::start(keys).unwrap().unwrap();
    let headers = signing.desk.handshake(UnixMs::new(5)).unwrap();
    assert!(headers.contains(&("KALSHI-ACCESS-KEY".into(), KEY_ID.into())) && headers.len() == 3, "{headers:?}");
    drop(signing.desk);
    signing.thread.unwrap().join().unwrap();

    assert!(sign::start(sealed(&desk, &[(Name::PolymarketPrivateKey, WALLET_KEY)])).unwrap().is_none());
    let half = sign::start(sealed(&desk, &[(Name::KalshiPrivateKey, &desk.pem)])).err().unwrap();
    assert!(half.to_string().contains("orion secrets set kalshi.key_id"), "{half}");
    let bad = sealed(&desk, &[(Name::KalshiKeyId, KEY_ID), (Name::KalshiPrivateKey, API_PASSPHRASE)]);
    let bad = sign::start(bad).err().unwrap();
    assert!(matches!(bad, KeysError::Key(..)) && !format!("{bad}{bad:?}").contains("canary"), "{bad:?}");
    let vault = desk.path("vault");
    let passphrase = Secret::new(OTHER.into()).unwrap();
    let wrong = sign::start(Keys::Sealed { vault, passphrase, judge: |_| Vec::new() }).err().unwrap();
    let shut = matches!(wrong, KeysError::Vault(VaultError::Sealed { error: SealError::Shut, .. }));
    assert!(shut && !format!("{wrong}{wrong:?}").contains(OTHER), "{wrong:?}");
}
