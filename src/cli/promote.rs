//! `orion promote`: the next mode, by evidence. It says what the mode below has shown, what is missing, and refuses
//! until nothing is. Going down needs no evidence.

use clap::{Args, builder::PossibleValuesParser};

use super::{
    Done, Fault, Global,
    passphrase::{self, KeyArgs},
    settings,
    shown::Shown,
};
use crate::{
    config::Config,
    ledger::audit::{AuditReader, Shown as Evidence},
    run::{
        boot::Endpoints,
        clock,
        eligible::{Asker, Finding},
        mode::{Mode, Promotion},
        sign::Signing,
        trading::Wired,
    },
    unit::{Money, UnixMs},
    venue::polymarket::contract::Chain,
};

/// A drill is evidence for so long.
const DRILL_MS: u64 = 24 * 3_600_000;
/// Both accounts agreed with the journal for this share of the time, in millionths: each start takes seconds to
/// compare.
const AGREED_PPM: u64 = 990_000;

#[derive(Args, Debug)]
pub struct PromoteArgs {
    /// The mode to go to; without it, what is missing for the next one.
    #[arg(value_parser = PossibleValuesParser::new(["paper", "alert", "live"]))]
    to: Option<String>,
    #[command(flatten)]
    keys: KeyArgs,
}

/// One thing that is wanted.
struct Wanted {
    met: bool,
    text: String,
}

fn wanted(met: bool, text: String) -> Wanted {
    Wanted { met, text }
}

pub fn run(global: &Global, args: &PromoteArgs) -> Done {
    let config = settings(global, Vec::new())?.config;
    let states = &config.engine.state_dir;
    let now = Promotion::read(states)?;
    let next = match now.mode {
        Mode::Paper => Mode::Alert,
        _ => Mode::Live,
    };
    let to = args.to.as_deref().and_then(Mode::parse);
    if to.is_some_and(|to| to <= now.mode) {
        let to = to.unwrap_or_default();
        if to == now.mode {
            say!("{} it is already, since {}", to.name(), day(now.at_ms));
            return Ok(());
        }
        Promotion::note(states, to, Vec::new())?;
        say!(
            "down to {}: the next `orion run` starts there. What {} holds is managed when it runs again.",
            to.name(),
            now.mode.name()
        );
        return Ok(());
    }
    if now.mode == Mode::Live {
        say!("live it is already, since {}; nothing lies above it", day(now.at_ms));
        return Ok(());
    }
    if to.is_some_and(|to| to != next) {
        return Err(Fault::Gate(format!("from {} it goes to {}, one mode at a time", now.mode.name(), next.name())));
    }
    let evidence = gather(&config, &now, next, args.keys)?;
    for wanted in &evidence {
        say!("{} {}", if wanted.met { "✔" } else { "✘" }, Shown(&wanted.text));
    }
    let missing = evidence.iter().filter(|wanted| !wanted.met).count();
    if 0 < missing {
        return Err(Fault::Gate(format!(
            "not promoted to {}: {missing} of {} are missing",
            next.name(),
            evidence.len()
        )));
    }
    if to.is_none() {
        say!("nothing is missing: orion promote {}", next.name());
        return Ok(());
    }
    Promotion::note(states, next, evidence.into_iter().map(|wanted| wanted.text).collect())?;
    say!("promoted: the next `orion run` starts in {} mode", next.name());
    if next == Mode::Live {
        say!("it sends nothing before somebody arms it: orion arm");
    }
    Ok(())
}

/// How much of the evidence for the mode above this one is missing, keys left aside; and which mode that is. `None`
/// where nothing lies above.
pub(super) fn missing(config: &Config, now: &Promotion) -> Result<Option<(usize, Mode)>, Fault> {
    let next = match now.mode {
        Mode::Live => return Ok(None),
        Mode::Alert => Mode::Live,
        _ => Mode::Alert,
    };
    let shown = evidence(config, now)?;
    let mut all = of_runs(config, now.mode, &shown);
    all.extend(if next == Mode::Live { of_alert(config, &shown, clock::unix()) } else { Vec::new() });
    let missing = all.iter().filter(|wanted| !wanted.met).count();
    Ok(Some((missing, next)))
}

/// What the database of a mode has to show.
fn evidence(config: &Config, now: &Promotion) -> Result<Evidence, Fault> {
    let database = config.engine.state_dir.join(now.mode.name()).join("orion.db");
    if !database.exists() {
        return Ok(Evidence::default());
    }
    let reader = AuditReader::open(&database).map_err(anyhow::Error::from)?;
    Ok(reader.shown(UnixMs::new(now.at_ms)).map_err(anyhow::Error::from)?)
}

/// Everything that the next mode wants.
fn gather(config: &Config, now: &Promotion, next: Mode, keys: KeyArgs) -> Result<Vec<Wanted>, Fault> {
    let shown = evidence(config, now)?;
    let mut all = of_runs(config, now.mode, &shown);
    all.extend(if next == Mode::Live { of_alert(config, &shown, clock::unix()) } else { Vec::new() });
    all.extend(of_keys(config, keys)?);
    Ok(all)
}

/// What a mode's runs have to show, whichever it is.
fn of_runs(config: &Config, mode: Mode, shown: &Evidence) -> Vec<Wanted> {
    let hours = if mode == Mode::Paper { config.promotion.paper_hours } else { config.promotion.alert_hours };
    let (ran, need) = (shown.ran_ms / 3_600_000, u64::from(hours));
    let uptime = share(shown.feeds_ms, shown.ran_ms);
    let least = u64::from(config.promotion.feed_uptime_ppm);
    vec![
        wanted(need <= ran, format!("{ran} h in {} mode (need {need})", mode.name())),
        wanted(
            shown.crashed == 0,
            format!("{} of {} runs ended without a farewell (need none)", shown.crashed, shown.runs),
        ),
        wanted(
            least <= uptime,
            format!("both venues connected {} of the time (need {})", percent(uptime), percent(least)),
        ),
    ]
}

/// What alert mode has to show beside that.
fn of_alert(config: &Config, shown: &Evidence, now: UnixMs) -> Vec<Wanted> {
    let need = u64::from(config.promotion.opportunities);
    let agreed = share(shown.agreed_ms, shown.ran_ms);
    let drilled = shown.drilled.is_some_and(|at| now.since(at) <= DRILL_MS);
    let modelled = Money::micros(shown.modelled);
    vec![
        wanted(
            need <= shown.taken && (need == 0 || Money::ZERO < modelled),
            format!("{} opportunities that would have been taken, modelled net {modelled} (need {need})", shown.taken),
        ),
        wanted(
            AGREED_PPM <= agreed,
            format!("accounts agreed with the journal {} of the time (need {})", percent(agreed), percent(AGREED_PPM)),
        ),
        wanted(drilled, "kill switch drilled within a day (orion kill --drill)".into()),
    ]
}

/// Do both venues let these keys trade, from here?
fn of_keys(config: &Config, keys: KeyArgs) -> Result<Vec<Wanted>, Fault> {
    let Some(signing) = passphrase::signing(config, keys)? else {
        return Ok(vec![wanted(false, "no keys: orion secrets import".into())]);
    };
    if signing.customer.is_none() {
        return Ok(vec![wanted(false, "no key for Polymarket: orion secrets set polymarket.private_key".into())]);
    }
    let (findings, unasked) = ask(config, &Endpoints::production(), &signing)?;
    let mut all = vec![wanted(
        unasked.is_empty(),
        if unasked.is_empty() {
            "both venues answered".into()
        } else {
            format!("not answered: {}", unasked.join("; "))
        },
    )];
    let stopping: Vec<_> = findings.iter().filter(|finding| finding.stops().is_some()).collect();
    if stopping.is_empty() {
        all.push(wanted(true, "both accounts may trade from here".into()));
    }
    all.extend(stopping.into_iter().map(|finding| wanted(false, finding.to_string())));
    let moves = findings.contains(&Finding::MayMoveMoney);
    all.push(wanted(
        !moves || config.capital.shard_transfers,
        format!("{} move money", if moves { "Kalshi's key may" } else { "no key may" }),
    ));
    Ok(all)
}

/// Asks both venues what these accounts may do.
pub(super) fn ask(
    config: &Config,
    endpoints: &Endpoints,
    signing: &Signing,
) -> Result<(Vec<Finding>, Vec<String>), Fault> {
    let wired = Wired::sign_in(endpoints, signing, Chain::Polygon, true)?;
    inquire(config, endpoints, signing, &wired)
}

/// The same once signed in.
pub(super) fn inquire(
    config: &Config,
    endpoints: &Endpoints,
    signing: &Signing,
    wired: &Wired,
) -> Result<(Vec<Finding>, Vec<String>), Fault> {
    let asker = Asker::new(endpoints, &signing.desk, &wired.api, config.vault.polymarket_key_until)
        .map_err(anyhow::Error::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (findings, unasked) = runtime.block_on(asker.ask(&[]));
    Ok((findings, unasked.iter().map(ToString::to_string).collect()))
}

fn share(part: u64, whole: u64) -> u64 {
    part.saturating_mul(1_000_000) / whole.max(1)
}

fn percent(ppm: u64) -> String {
    format!("{}.{} %", ppm / 10_000, ppm / 1_000 % 10)
}

fn day(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| "the beginning".into(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn config() -> Config {
        let env = vec![("HOME".to_owned(), "/nowhere".to_owned())];
        Config::load(&Sources { env, ..Sources::default() }).unwrap().config
    }

    fn missing(wanted: &[Wanted]) -> Vec<&str> {
        wanted.iter().filter(|wanted| !wanted.met).map(|wanted| wanted.text.as_str()).collect()
    }

    #[test]
    fn a_mode_is_left_only_with_all_of_its_evidence() {
        let (config, hour) = (config(), 3_600_000);
        let good = Evidence {
            runs: 3,
            crashed: 0,
            ran_ms: 72 * hour,
            feeds_ms: 72 * hour - 1,
            agreed_ms: 72 * hour - hour / 2,
            taken: 41,
            modelled: 212_000_000,
            drilled: Some(UnixMs::new(hour)),
        };
        let all = |shown: &Evidence| {
            let mut all = of_runs(&config, Mode::Alert, shown);
            all.extend(of_alert(&config, shown, UnixMs::new(25 * hour)));
            missing(&all).join("\n")
        };
        assert_eq!(all(&good), "");
        assert!(all(&Evidence { ran_ms: 71 * hour, ..good }).contains("71 h in alert mode (need 72)"));
        assert!(all(&Evidence { crashed: 1, ..good }).contains("1 of 3 runs ended without a farewell"));
        assert!(all(&Evidence { feeds_ms: 71 * hour, ..good }).contains("connected 98.6 % of the time (need 99.0 %)"));
        assert!(all(&Evidence { taken: 19, ..good }).contains("19 opportunities"));
        assert!(all(&Evidence { modelled: 0, ..good }).contains("41 opportunities"));
        assert!(all(&Evidence { agreed_ms: 70 * hour, ..good }).contains("agreed"));
        assert!(all(&Evidence { drilled: Some(UnixMs::new(hour - 1)), ..good }).contains("drilled"));
        assert!(all(&Evidence { drilled: None, ..good }).contains("orion kill --drill"));
        assert_eq!(all(&Evidence::default()).lines().count(), 5, "nothing was shown, and nothing crashed");
        assert_eq!(
            missing(&of_runs(&config, Mode::Paper, &Evidence { ran_ms: 24 * hour, feeds_ms: 24 * hour, ..good })),
            [""; 0]
        );
    }
}
