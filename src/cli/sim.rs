//! `orion sim`: the two simulated exchanges alone, for other processes to practise on.

use std::{
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use alloy_primitives::{Address, hex};
use anyhow::Context as _;
use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    error::Unspecified,
    rand::{SecureRandom as _, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Args;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Done, Fault, Signals, span};
use crate::{
    pairing::{ApprovedPair, PairBook, Polarity, Tail, pairbook::Fingerprint},
    run::{
        boot::Endpoints,
        catalogue::{self, Listing},
        sign::WalletKey,
    },
    sim::{
        clob::account::{Kind, NewWallet},
        kalshi::{account::SHARDS, desk::Settings, order_fault::OrderPlan},
        serve::{self, Options, Running, SimPair},
    },
    unit::{Money, UnixMs, Venue},
    venue::{
        kalshi::sign::{KalshiSigner, KeyKind},
        polymarket::{
            sign::WalletSigner,
            wallet::{self, Wallet},
        },
    },
};

/// The id under which the simulated Kalshi knows the generated key.
pub const KEY_ID: &str = "00000000-0000-4000-8000-000000000001";

/// Addresses, keys and pairs, for other processes.
const SHEET: &str = "sim.json";

/// Of a thousand signed requests and private frames, something goes wrong with so many in `demo --chaos`.
const ORDER_CHAOS: u32 = 50;

/// What the simulated Polymarket's demo wallets are opened with.
pub const DEMO_CASH: Money = Money::dollars(25_000);

#[derive(Args, Debug)]
pub struct SimArgs {
    /// Where `sim.json` (addresses), the generated keys and the certificate go.
    #[arg(long, value_name = "FOLDER", default_value = "sim")]
    pub dir: PathBuf,
    /// The world's seed.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// How much faster than the clock the simulated world runs (1 to 1000).
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub speed: u32,
    /// Break market-data connections in every way that venues and networks do.
    #[arg(long)]
    pub chaos: bool,
    /// Let something go wrong with this many of a thousand signed requests and private frames.
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub order_chaos: u32,
    /// Serve without TLS.
    #[arg(long)]
    pub no_tls: bool,
    /// First of four consecutive ports; 0 takes free ones.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// End after this long: 90s, 10m, 1h30m.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub duration: Option<Duration>,
}

/// What `sim.json` holds.
#[derive(Deserialize, Serialize)]
struct Sheet {
    kalshi_rest: String,
    kalshi_ws: String,
    polymarket_rest: String,
    polymarket_ws: String,
    polymarket_user_ws: String,
    /// The demo wallet's key, whose address it is, and the deposit wallet that it trades for.
    polymarket_key_file: PathBuf,
    polymarket_owner: String,
    polymarket_wallet: String,
    /// The authority that signed the certificates.
    ca_pem: Option<String>,
    kalshi_key_id: String,
    kalshi_key_file: PathBuf,
    pairs: Vec<SheetPair>,
}

#[derive(Deserialize, Serialize)]
struct SheetPair {
    title: String,
    ticker: String,
    condition_id: String,
    inverted: bool,
}

pub(super) fn run(args: &SimArgs) -> Done {
    let signals = Signals::install()?;
    let running = open(args)?;
    let sheet = read(&args.dir)?;
    say!("ORION SIM  ·  simulated exchanges, simulated money, loopback only");
    say!("  Kalshi      {}  {}", running.endpoints.kalshi_rest, running.endpoints.kalshi_ws);
    say!("  Polymarket  {}  {}", running.endpoints.polymarket_rest, running.endpoints.polymarket_ws);
    let (key_file, cash) = (sheet.kalshi_key_file.display(), serve::DEMO_CASH);
    say!("  Kalshi account: key {KEY_ID} in {key_file}, {cash} on each of {SHARDS} shards");
    say!("  orders go to {}/portfolio/events/orders, signed; fills come on the socket", running.endpoints.kalshi_rest);
    say!(
        "  Polymarket orders, signed: {}  {}",
        running.endpoints.polymarket_rest,
        running.endpoints.polymarket_user_ws
    );
    say!("  demo wallet {} (signature type 3) of {}: {DEMO_CASH}", sheet.polymarket_wallet, sheet.polymarket_owner);
    say!(
        "  the same key as a plain account (type 0): {DEMO_CASH}; its key is in {}",
        sheet.polymarket_key_file.display()
    );
    say!("  addresses, key and certificate in {}", args.dir.join(SHEET).display());
    say!("next: orion demo --sim {}", args.dir.display());
    let began = crate::run::clock::now();
    let over =
        || args.duration.is_some_and(|s| s.as_nanos() <= u128::from(crate::run::clock::now().since(began).raw()));
    while !signals.stop() && !over() {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    running.stop();
    Ok(())
}

/// Starts the exchanges in this process, and writes keys and addresses for others.
pub fn open(args: &SimArgs) -> anyhow::Result<Running> {
    std::fs::create_dir_all(&args.dir).with_context(|| format!("{} cannot be made", args.dir.display()))?;
    std::fs::set_permissions(&args.dir, std::fs::Permissions::from_mode(0o700))?;
    let (pem, public) = new_key().context("the system has no random numbers for a key")?;
    let key_file = args.dir.join("kalshi-demo-key.pem");
    private(&key_file, pem.as_bytes())?;
    let wallet = DemoWallet::generate()?;
    let polymarket_key_file = args.dir.join("polymarket-demo-key.hex");
    private(&polymarket_key_file, wallet.secret.as_bytes())?;
    let ports = match args.port {
        0 => [0; 4],
        first => [0, 1, 2, 3].map(|n| first.saturating_add(n)),
    };
    let faults = OrderPlan::drawn(args.seed, args.order_chaos);
    let options = Options {
        seed: args.seed,
        speed: args.speed,
        chaos: args.chaos,
        tls: !args.no_tls,
        kalshi_keys: vec![(KEY_ID.into(), public)],
        kalshi: Settings { seed: args.seed, faults, ..Settings::default() },
        polymarket_wallets: wallet.opened(),
        polymarket_order_chaos: args.order_chaos,
        ports,
    };
    let running = serve::start(options)?;
    let sheet = Sheet {
        kalshi_rest: running.endpoints.kalshi_rest.clone(),
        kalshi_ws: running.endpoints.kalshi_ws.clone(),
        polymarket_rest: running.endpoints.polymarket_rest.clone(),
        polymarket_ws: running.endpoints.polymarket_ws.clone(),
        polymarket_user_ws: running.endpoints.polymarket_user_ws.clone(),
        polymarket_key_file,
        polymarket_owner: wallet.owner.to_checksum(None),
        polymarket_wallet: wallet.funder.to_checksum(None),
        ca_pem: running.endpoints.ca_pem.clone(),
        kalshi_key_id: KEY_ID.into(),
        kalshi_key_file: key_file,
        pairs: running
            .pairs()
            .into_iter()
            .map(|p| SheetPair { title: p.title, ticker: p.ticker, condition_id: p.condition_id, inverted: p.inverted })
            .collect(),
    };
    private(&args.dir.join(SHEET), &serde_json::to_vec_pretty(&sheet)?)?;
    Ok(running)
}

/// What a running `orion sim` has written.
fn read(folder: &Path) -> Result<Sheet, Fault> {
    let path = folder.join(SHEET);
    let text = std::fs::read(&path).map_err(|e| {
        Fault::NotRunning(format!("{}: {e}; start one with: orion sim --dir {}", path.display(), folder.display()))
    })?;
    Ok(serde_json::from_slice(&text).with_context(|| format!("{} cannot be read", path.display()))?)
}

/// A new Ed25519 key as PKCS#8 PEM of version 1, which is what the venue hands out and what every client library reads,
/// and its public half as SPKI DER.
fn new_key() -> Result<(String, Vec<u8>), Unspecified> {
    let pair = Ed25519KeyPair::generate()?;
    let secret = BASE64_STANDARD.encode(pair.to_pkcs8v1()?);
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
    Ok((format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"), public.as_ref().to_vec()))
}

/// A Polymarket customer for practice, made for one run.
pub struct DemoWallet {
    /// `0x` and 64 hex digits.
    secret: Zeroizing<String>,
    owner: Address,
    funder: Address,
}

impl DemoWallet {
    fn generate() -> anyhow::Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(&mut *bytes).map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
        Self::of(Zeroizing::new(hex::encode_prefixed(*bytes)))
    }

    /// That of a key which was made before.
    fn of(secret: Zeroizing<String>) -> anyhow::Result<Self> {
        let owner = WalletSigner::from_hex(&secret)?.address();
        let funder = wallet::deposit_address(&owner)?.parse()?;
        Ok(Self { secret, owner: owner.parse()?, funder })
    }

    /// Its key, for the sign thread.
    pub fn key(&self) -> anyhow::Result<WalletKey> {
        let key = WalletSigner::from_hex(&self.secret)?;
        let wallet = Wallet::of(&key.address(), &self.funder.to_checksum(None))?;
        Ok(WalletKey { key, wallet, api: None })
    }

    /// What it is opened with: a deposit wallet, and the key's own account.
    fn opened(&self) -> Vec<NewWallet> {
        let new = |kind, funder| NewWallet { kind, funder, owner: self.owner, cash: DEMO_CASH };
        vec![new(Kind::Deposit, self.funder), new(Kind::Eoa, self.owner)]
    }
}

/// Writes a file that only its owner reads.
fn private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let _ = std::fs::remove_file(path);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(file.write_all(bytes)?)
}

/// The engine's addresses for simulated exchanges: loopback, and nothing else.
pub fn addresses(endpoints: &serve::Endpoints) -> anyhow::Result<Endpoints> {
    for url in [
        &endpoints.kalshi_rest,
        &endpoints.kalshi_ws,
        &endpoints.polymarket_rest,
        &endpoints.polymarket_ws,
        &endpoints.polymarket_user_ws,
    ] {
        let host = url.split("//").nth(1).and_then(|rest| rest.split([':', '/']).next());
        anyhow::ensure!(
            matches!(host, Some("127.0.0.1" | "localhost")),
            "{url}: simulated exchanges are reached on loopback only"
        );
    }
    let polymarket = &endpoints.polymarket_rest;
    Ok(Endpoints {
        kalshi_rest: endpoints.kalshi_rest.clone(),
        kalshi_ws: endpoints.kalshi_ws.clone(),
        gamma: polymarket.clone(),
        clob: polymarket.clone(),
        data: polymarket.clone(),
        polymarket_ws: endpoints.polymarket_ws.clone(),
        polymarket_user_ws: endpoints.polymarket_user_ws.clone(),
        relayer: endpoints.polymarket_rest.clone(),
        site: endpoints.polymarket_rest.clone(),
        root: endpoints.ca_pem.clone(),
    })
}

/// A pair book over simulated pairs, approved with the rule prints that the exchanges list now.
pub fn approve(endpoints: &Endpoints, pairs: &[SimPair], now: UnixMs) -> anyhow::Result<(PairBook, Listing)> {
    let none = crate::pairing::pairbook::fingerprint(&[]);
    let approved = |prints: &dyn Fn(Venue, &str) -> Fingerprint| {
        let pairs = pairs.iter().map(|pair| ApprovedPair {
            title: pair.title.clone(),
            kalshi: pair.ticker.clone(),
            polymarket: pair.condition_id.clone(),
            polarity: if pair.inverted { Polarity::Inverted } else { Polarity::Same },
            event: pair.title.clone(),
            approved_by: "the demo".into(),
            approved_at: now,
            kalshi_rules: prints(Venue::Kalshi, &pair.ticker),
            polymarket_rules: prints(Venue::Polymarket, &pair.condition_id),
            tail: Tail::Minor,
        });
        PairBook::new(pairs.collect())
    };
    let draft = approved(&|_, _| none)?;
    let listed = catalogue::read(endpoints, &draft)?;
    let print = |venue: Venue, name: &str| listed.get(&(venue, name.to_owned())).map_or(none, |l| l.rules);
    let book = approved(&print)?;
    Ok((book, listed))
}

/// Simulated exchanges as an engine needs them.
pub struct Site {
    pub endpoints: Endpoints,
    pub pairs: PairBook,
    pub listed: Listing,
    pub signer: KalshiSigner,
    pub wallet: DemoWallet,
}

/// The exchanges of a running `orion sim`: addresses, pairs, key.
pub(super) fn attach(folder: &Path) -> Result<Site, Fault> {
    let sheet = read(folder)?;
    let endpoints = addresses(&serve::Endpoints {
        kalshi_rest: sheet.kalshi_rest,
        kalshi_ws: sheet.kalshi_ws,
        polymarket_rest: sheet.polymarket_rest,
        polymarket_ws: sheet.polymarket_ws,
        polymarket_user_ws: sheet.polymarket_user_ws,
        ca_pem: sheet.ca_pem,
    })?;
    let pairs: Vec<_> = sheet
        .pairs
        .into_iter()
        .map(|p| SimPair { title: p.title, ticker: p.ticker, condition_id: p.condition_id, inverted: p.inverted })
        .collect();
    let signer = KalshiSigner::load(&sheet.kalshi_key_id, &sheet.kalshi_key_file).map_err(anyhow::Error::from)?;
    let (pairs, listed) = approve(&endpoints, &pairs, crate::run::clock::unix())
        .with_context(|| format!("no exchanges answer at the addresses in {}", folder.join(SHEET).display()))?;
    let secret = std::fs::read_to_string(&sheet.polymarket_key_file).map(Zeroizing::new);
    let secret = secret.with_context(|| format!("{} cannot be read", sheet.polymarket_key_file.display()))?;
    let wallet = DemoWallet::of(secret)?;
    Ok(Site { endpoints, pairs, listed, signer, wallet })
}

/// Starts exchanges in this process, with generated keys.
pub fn embed(seed: u64, speed: u32, chaos: bool) -> anyhow::Result<(Running, Site)> {
    let (signer, public) = KalshiSigner::generate_demo(KeyKind::Ed25519, KEY_ID)?;
    let wallet = DemoWallet::generate()?;
    let order_chaos = if chaos { ORDER_CHAOS } else { 0 };
    let options = Options {
        seed,
        speed,
        chaos,
        tls: true,
        kalshi_keys: vec![(KEY_ID.into(), public)],
        kalshi: Settings { seed, faults: OrderPlan::drawn(seed, order_chaos), ..Settings::default() },
        polymarket_wallets: wallet.opened(),
        polymarket_order_chaos: order_chaos,
        ..Options::default()
    };
    let running = serve::start(options)?;
    let endpoints = addresses(&running.endpoints)?;
    let (pairs, listed) = approve(&endpoints, &running.pairs(), crate::run::clock::unix())?;
    Ok((running, Site { endpoints, pairs, listed, signer, wallet }))
}
