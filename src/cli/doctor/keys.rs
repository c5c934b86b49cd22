//! The vault, and what its keys may do.

use super::{
    super::{
        Fault,
        passphrase::{self, KeyArgs},
        promote,
        secrets::judge,
    },
    line::{
        Bars::From,
        Line,
        Why::{Config as Unsound, Failed, Gate},
    },
};
use crate::{
    config::Config,
    run::{
        boot::Endpoints,
        eligible::Finding,
        mode::Mode,
        sign::{self, Keys, Signing},
        trading::Wired,
    },
    unit::Money,
    vault::{Name, Vault, VaultError, file, sealed},
    venue::polymarket::contract::Chain,
};

/// The file alone: its mode, its owner, its strength. Says whether it can be opened at all.
pub fn vault(config: &Config) -> (bool, Vec<Line>) {
    let path = &config.vault.file;
    let bytes = match file::read(path) {
        Err(VaultError::Absent { .. }) if path.symlink_metadata().is_err() => {
            let text = "no vault: Kalshi is polled over public REST, and its latency figures are not representative";
            let fix = "orion secrets import KEY.pem --kalshi-key-id ID";
            return (false, vec![Line::bad("vault", From(Mode::Alert), Gate, text, fix)]);
        }
        Err(error) => {
            let fix = match &error {
                VaultError::Mode { path, .. } => format!("chmod 600 {}", path.display()),
                VaultError::Owner { path, me, .. } => format!("sudo chown {me} {}", path.display()),
                _ => format!("ls -l {}; orion secrets check", path.display()),
            };
            return (false, vec![Line::bad("vault", From(Mode::Paper), Unsound, error.to_string(), fix)]);
        }
        Ok(bytes) => bytes,
    };
    match sealed::cost(&bytes) {
        Err(error) => {
            let text = format!("{}: {error}", path.display());
            let fix = "put a backup in its place, or move it away, and: orion secrets import FILE";
            (false, vec![Line::bad("vault", From(Mode::Paper), Unsound, text, fix)])
        }
        Ok(cost) => {
            let memory = cost.memory_kib / 1_024;
            let text = format!("{}, sealed, mode 0600, Argon2id {memory} MiB × {}", path.display(), cost.passes);
            (true, vec![Line::good("vault", text)])
        }
    }
}

/// What is in it, and, where it is sound, the thread that signs with it. Needs the passphrase.
pub fn open(config: &Config, keys: KeyArgs) -> Result<(Option<Signing>, Vec<Line>), Fault> {
    let path = &config.vault.file;
    passphrase::guard()?;
    let passphrase = passphrase::known(keys.passphrase)?;
    let vault = match Vault::open(path, &passphrase) {
        Ok(vault) => vault,
        Err(error) => {
            let line = Line::bad("keys", From(Mode::Paper), Unsound, error.to_string(), "orion secrets check");
            return Ok((None, vec![line]));
        }
    };
    let bad = |fault: String| Line::bad("keys", From(Mode::Paper), Unsound, fault, "orion secrets check");
    let mut lines: Vec<Line> = judge::faults(&vault).into_iter().map(bad).collect();
    let sound = lines.is_empty();
    let told = |text| Line::caution("keys", text, "make a key that may do less, then: orion secrets import FILE");
    lines.extend(judge::cautions(&vault).into_iter().map(told));
    for (name, venue, fix) in [
        (Name::KalshiPrivateKey, "Kalshi", "orion secrets import KEY.pem --kalshi-key-id ID"),
        (Name::PolymarketPrivateKey, "Polymarket", "orion secrets set polymarket.private_key"),
    ] {
        lines.push(match vault.get(name) {
            Some(secret) => Line::good("keys", format!("{venue}: {}", judge::judge(name, secret).unwrap_or_default())),
            None => Line::bad("keys", From(Mode::Alert), Gate, format!("no key for {venue}"), fix),
        });
    }
    drop(vault);
    let signing =
        if sound { sign::start(Keys::Sealed { vault: path.clone(), passphrase, judge: judge::faults })? } else { None };
    Ok((signing, lines))
}

/// What both venues say of these keys: asked only where both answer at all.
pub fn permitted(config: &Config, signing: &Signing) -> Vec<Line> {
    let lost =
        |what: String| Line::bad("permission", From(Mode::Alert), Failed, what, "orion doctor, again in a minute");
    let endpoints = Endpoints::production();
    let wired = match Wired::sign_in(&endpoints, signing, Chain::Polygon, true) {
        Ok(wired) => wired,
        Err(error) => return vec![lost(format!("Polymarket: {error:#}"))],
    };
    let (findings, unasked) = match promote::inquire(config, &endpoints, signing, &wired) {
        Ok(answer) => answer,
        Err(fault) => return vec![lost(fault.text())],
    };
    let mut lines: Vec<Line> = unasked.into_iter().map(|error| lost(format!("not answered: {error}"))).collect();
    lines.extend(findings.iter().map(told));
    if lines.is_empty() {
        lines.push(Line::good("permission", "both accounts may trade from here, and no key may move money"));
    }
    lines.push(funds(&endpoints, signing, &wired));
    lines
}

/// A finding says itself how it is mended; the command beside it shows whether it was.
fn told(finding: &Finding) -> Line {
    let fix = match finding {
        Finding::Refused { .. } | Finding::NoSuchKey => "orion secrets import FILE",
        Finding::Clock { .. } => "sudo timedatectl set-ntp true",
        Finding::MayNotTrade | Finding::MayMoveMoney => {
            "make a key with read and write::trade at kalshi, then: orion secrets import KEY.pem --kalshi-key-id ID"
        }
        _ => "orion secrets check --online, once that is done",
    };
    match finding.stops() {
        Some(_) => Line::bad("permission", From(Mode::Alert), Gate, finding.to_string(), fix),
        None => Line::caution("permission", finding.to_string(), fix),
    }
}

/// The wallet's cash, and how much of it the exchange's contracts may move.
fn funds(endpoints: &Endpoints, signing: &Signing, wired: &Wired) -> Line {
    let topic = "allowance";
    let asked = crate::run::eligible::collateral(endpoints, wired);
    let wallet = signing.customer.as_ref().map_or("", |customer| customer.wallet.name());
    match asked {
        Err(error) => Line::caution(
            topic,
            format!("the wallet's cash could not be asked: {error:#}"),
            "orion doctor, again in a minute",
        ),
        Ok((cash, _)) if cash == Money::ZERO => {
            let text = format!("Polymarket: {wallet} {} holds nothing: no order would be taken", wired.funder);
            Line::bad(topic, From(Mode::Live), Gate, text, "deposit at polymarket, then: orion doctor")
        }
        Ok((cash, None)) => Line::caution(
            topic,
            format!("Polymarket: {cash} in {wallet}; what the exchange's contracts may move of it is not told"),
            "orion secrets check",
        ),
        Ok((cash, Some(allowed))) if allowed < cash => {
            let text = format!("Polymarket: {cash} in {wallet}, of which the exchange's contracts may move {allowed}");
            Line::bad(
                topic,
                From(Mode::Live),
                Gate,
                text,
                "make one trade by hand on the venue's page: it asks for the approval",
            )
        }
        Ok((cash, Some(_))) => {
            Line::good(topic, format!("Polymarket: {cash} in {wallet}, all of it may be traded with"))
        }
    }
}
