use std::collections::BTreeSet;

use super::key::Kind;
use super::*;

fn home() -> Vec<(String, String)> {
    vec![("HOME".into(), "/home/ada".into())]
}

fn of(text: &str) -> Result<Loaded, ConfigError> {
    let path = Path::new("orion.toml");
    let layer = Layer::toml(Role::File(path.into()), path, text).map_err(ConfigError::new)?;
    assemble(&[layer], &home(), Vec::new())
}

fn env(variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let variables: Vec<_> =
        variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).chain(home()).collect();
    let layer = Layer::env(&variables).map_err(ConfigError::new)?;
    assemble(&[layer], &variables, Vec::new())
}

fn refused(text: &str) -> Fault {
    of(text).expect_err(text).faults()[0].clone()
}

#[test]
fn the_committed_sample_is_what_the_schema_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/orion.toml");
    if std::env::var_os("ORION_BLESS").is_some() {
        std::fs::write(&path, sample()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), sample(), "run the tests once with ORION_BLESS=1");
}

#[test]
fn the_sample_and_an_empty_file_mean_the_same() {
    let (full, empty) = (of(&sample()).unwrap(), of("").unwrap());
    assert_eq!(full.config, empty.config);
    assert_eq!(full.fingerprint(), empty.fingerprint());
    assert_eq!(empty.config.trading.threshold_spread, 10_000);
    assert_eq!(empty.config.trading.max_trade_size_ppm, 50_000);
    assert_eq!(empty.config.engine.state_dir, Path::new("/home/ada/.local/state/orion"));
    assert_eq!(empty.origins["risk.max_edge"], Setting { text: "0.1".into(), origin: Origin::Default });
    for key in key::keys() {
        assert!(!key.doc.is_empty(), "{}", key.path);
        assert!(key.kind == Kind::Boolean || !key.unit.is_empty() || !key.allowed.is_empty(), "{}", key.path);
    }
}

#[test]
fn a_refusal_names_the_key_its_line_the_range_and_the_fix() {
    let fault = refused("[trading]\nthreshold_spred = 0.02\n");
    assert_eq!((fault.key.as_str(), fault.line()), ("trading.threshold_spred", Some(2)));
    assert!(fault.help.contains("did you mean threshold_spread"), "{}", fault.help);

    let fault = refused("\n[risk]\nmax_feed_age_ms = 2\n");
    assert_eq!((fault.key.as_str(), fault.line()), ("risk.max_feed_age_ms", Some(3)));
    assert!(fault.help.contains("50 to 60000 (milliseconds)"), "{}", fault.help);

    let fault = refused("[trading]\nmax_edge = 0.1\n");
    assert!(fault.help.contains("risk.max_edge"), "{}", fault.help);

    let fault = refused("[trading]\n\"threshold_spread \" = 0.02\n");
    assert!(fault.what.contains("space at its edge"), "{}", fault.what);

    let fault = refused("[trading]\nthreshold_spread = 0.02\nthreshold_spread = 0.03\n");
    assert_eq!(fault.line(), Some(3), "{fault}");

    let fault = refused("[traiding]\nthreshold_spread = 0.02\n");
    assert!(fault.help.contains("[trading]"), "{}", fault.help);

    for (text, key) in [
        ("[trading]\nthreshold_spread = \"0.02\"", "trading.threshold_spread"),
        ("[trading]\nthreshold_spread = 1", "trading.threshold_spread"),
        ("[trading]\nthreshold_spread = nan", "trading.threshold_spread"),
        ("[trading]\nthreshold_spread = 0.0100001", "trading.threshold_spread"),
        ("[trading]\nthreshold_spread = 0.01000000000000000001", "trading.threshold_spread"),
        ("[trading]\nthreshold_basis = \"nett\"", "trading.threshold_basis"),
        ("[trading]\nauto_execute = \"yes\"", "trading.auto_execute"),
        ("[trading]\ncooldown_s = 5.0", "trading.cooldown_s"),
        ("[trading]\ncooldown_s = -5", "trading.cooldown_s"),
        ("[trading]\ncooldown_s = 2026-01-01", "trading.cooldown_s"),
        ("[engine]\ncores = [1, 4096]", "engine.cores"),
        ("[engine]\ncores = 3", "engine.cores"),
        ("[log]\nlevel = \"loud\"", "log.level"),
        ("[pairs]\nfile = \"\"", "pairs.file"),
    ] {
        let fault = refused(text);
        assert_eq!((fault.key.as_str(), fault.line()), (key, Some(2)), "{fault}");
        assert!(fault.help.contains("default: "), "{}", fault.help);
    }
    assert_eq!(refused("trading = 3").key, "trading");
    assert_eq!(of("[risk]\nmax_open = 3\nmax_edge = 9\n[paper]\nx = 1").unwrap_err().faults().len(), 2);
}

#[test]
fn rules_between_keys_name_both() {
    let fault = refused("[trading]\nmin_trade_size_usd = 6000\n");
    assert_eq!(fault.line(), Some(2));
    assert!(fault.what.contains("trading.max_trade_size_pct") && fault.what.contains("trading.min_trade_size_usd"));
    assert!(refused("[capital]\nkalshi_allocation_pct = 0.6").what.contains("capital.polymarket_allocation_pct"));
    assert!(of("[capital]\nkalshi_allocation_pct = 0.6\npolymarket_allocation_pct = 0.4").is_ok());
    assert!(refused("[trading]\nthreshold_spread = 0.2").what.contains("risk.max_edge"));
}

/// Fault 96: a key in plain text is refused wherever it is configured, with the command that seals it.
#[test]
fn a_plain_text_key_is_refused_with_the_command_that_seals_it() {
    for key in ["kalshi_key_file", "kalshi_key_id"] {
        let fault = refused(&format!("[feed]\n{key} = \"/home/ada/key.pem\"\n"));
        assert_eq!((fault.key.as_str(), fault.line()), (&*format!("feed.{key}"), Some(2)));
        assert!(fault.help.contains("orion secrets import"), "{}", fault.help);
        let name = format!("ORION_FEED__{}", key.to_ascii_uppercase());
        let error = env(&[(&name, "/home/ada/key.pem")]).unwrap_err().to_string();
        assert!(error.contains(&name) && error.contains("orion secrets import"), "{error}");
    }
    let vault = |text| of(text).unwrap().config.vault.file;
    assert_eq!(vault(""), Path::new("/home/ada/.local/state/orion/vault"));
    assert_eq!(vault("[vault]\nfile = \"/etc/orion/vault\""), Path::new("/etc/orion/vault"));
}

#[test]
fn variables_and_flags_are_layers_too() {
    let loaded = env(&[("ORION_TRADING__THRESHOLD_SPREAD", "0.02"), ("ORION_ENGINE__CORES", "2, 3")]).unwrap();
    assert_eq!(loaded.config.trading.threshold_spread, 20_000);
    assert_eq!(loaded.config.engine.cores, [2, 3]);
    let origin = Origin::Env("ORION_TRADING__THRESHOLD_SPREAD".into());
    assert_eq!(loaded.origins["trading.threshold_spread"], Setting { text: "0.02".into(), origin });

    assert!(env(&[("ORION_FIXTURES", "/x"), ("ORION_CONFIG", "y")]).is_ok());
    for (name, text, word) in [
        ("ORION_TRADING__THRESHOLD", "0.02", "threshold_spread in [trading]"),
        ("ORION_TRADING_THRESHOLD_SPREAD", "0.02", "ORION_TRADING__THRESHOLD_SPREAD"),
        ("ORION_TRADING__THRESHOLD_SPREAD", "2%", "0 to 0.5"),
        ("ORION_TRADING__THRESHOLD_SPREAD", "inf", "0 to 0.5"),
        ("ORION_TRADING__THRESHOLD_SPREAD", "0.9", "0 to 0.5"),
        ("ORION_TRADING__AUTO_EXECUTE", "on", "true or false"),
        ("ORION_LOGS__LEVEL", "info", "log.level"),
    ] {
        let error = env(&[(name, text)]).expect_err(name);
        let line = error.to_string();
        assert!(line.contains(word) && line.contains(name), "{line}");
    }
}

#[test]
fn later_layers_win_and_a_hidden_mistake_is_still_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orion.toml");
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(&file, format!("[engine]\nstate_dir = \"{}\"\n[risk]\nmax_open_positions = 3\n", state.display()))
        .unwrap();
    std::fs::write(state.join("overlay.toml"), "[risk]\nmax_open_positions = 4\nmax_feed_age_ms = 900\n").unwrap();
    let mut sources = Sources { file: Some(file.clone()), ..Sources::default() };
    let loaded = load(&sources).unwrap();
    assert_eq!(loaded.config.risk.max_open_positions, 4);
    assert!(matches!(&loaded.origins["risk.max_feed_age_ms"].origin, Origin::Overlay { line: 3, .. }));
    assert!(matches!(&loaded.origins["engine.state_dir"].origin, Origin::File { line: 2, .. }));

    sources.env = vec![("ORION_RISK__MAX_OPEN_POSITIONS".into(), "5".into())];
    assert_eq!(load(&sources).unwrap().config.risk.max_open_positions, 5);
    sources.flags = vec![("risk.max_open_positions".into(), "6".into(), "--positions".into())];
    let loaded = load(&sources).unwrap();
    assert_eq!(loaded.config.risk.max_open_positions, 6);
    assert_eq!(loaded.origins["risk.max_open_positions"].origin.to_string(), "flag --positions");

    std::fs::write(&file, "[risk]\nmax_open_positions = 0\n").unwrap();
    sources.env.push(("HOME".into(), folder.path().display().to_string()));
    let error = load(&sources).unwrap_err();
    assert_eq!(error.faults()[0].line(), Some(2), "{error}");

    std::fs::write(&file, "").unwrap();
    std::fs::write(state.join("overlay.toml"), "[engine]\nstate_dir = \"/x\"\n").unwrap();
    sources.overlay = Some(state.join("overlay.toml"));
    assert!(load(&sources).unwrap_err().to_string().contains("cannot be set in the overlay"));
    sources.file = Some(folder.path().join("missing.toml"));
    assert!(load(&sources).unwrap_err().to_string().contains("missing.toml"));
}

#[test]
fn the_state_directory_follows_the_host() {
    let of = |key: &str, env: &[(&str, &str)]| {
        let env: Vec<_> = env.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        state_dir(key, &env).map(|path| path.display().to_string())
    };
    assert_eq!(of("", &[("STATE_DIRECTORY", "/var/lib/orion:/b"), ("HOME", "/h")]).unwrap(), "/var/lib/orion");
    assert_eq!(of("", &[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]).unwrap(), "/s/orion");
    assert_eq!(of("~/x", &[("HOME", "/h")]).unwrap(), "/h/x");
    assert_eq!(of("here", &[]).unwrap(), "here");
    assert_eq!(of("", &[]), None);
}

#[test]
fn python_level_names_keep_working() {
    for (text, level) in [("WARNING", Level::Warn), ("Critical", Level::Error), ("DEBUG", Level::Debug)] {
        assert_eq!(of(&format!("[log]\nlevel = \"{text}\"")).unwrap().config.log.level, level);
    }
}

#[test]
fn a_caret_stands_under_the_mistake() {
    let error = of("[trading]\nthreshold_spread = 0.9\n").unwrap_err();
    let text = error.render(false);
    assert!(text.contains("orion.toml:2:20"), "{text}");
    assert!(text.contains("threshold_spread = 0.9"), "{text}");
    assert!(text.contains("0 to 0.5"), "{text}");
}

#[test]
fn the_predecessors_file_is_mapped_and_nothing_is_dropped_silently() {
    let yaml = "trading:\n  threshold_spread: 0.015\n  max_trade_size_pct: '0.02'\n  auto_execute: false\n  surprise: 1\n\
                capital:\n  initial_bankroll: 50000\n  kalshi_allocation_pct: 0.4\n  polymarket_allocation_pct: 0.6\n  \
                rebalance_interval_hr: 6\n\
                risk:\n  max_open_positions: 5\n\
                telegram:\n  bot_token: 'hush-hush'\ndashboard:\n  port: 8501\nmystery: 3\n";
    let imported = import_yaml(yaml).unwrap();
    let config = of(&imported.toml).unwrap().config;
    assert_eq!(config.trading.threshold_spread, 15_000);
    assert_eq!(config.trading.max_trade_size_ppm, 20_000);
    assert_eq!(config.capital.kalshi_allocation_ppm, 400_000);
    assert_eq!(config.risk.max_open_positions, 5);
    assert_eq!(config.capital.rebalance_every, crate::unit::Nanos::secs(6 * 3_600));
    let notes = imported.notes.join("\n");
    for word in ["trading.surprise", "telegram", "dashboard", "mystery"] {
        assert!(notes.contains(word), "{word}: {notes}");
    }
    assert!(!notes.contains("hush") && !imported.toml.contains("hush"));
    assert!(import_yaml("trading:\n  threshold_spread: 3\n").unwrap_err().to_string().contains("0 to 0.5"));
    assert!(import_yaml("trading:\n  threshold_spread: 0.01\n  threshold_spread: 0.02\n").is_err());
    assert!(import_yaml("[broken").is_err());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, yaml).unwrap();
    let loaded = load(&Sources { file: Some(file), env: home(), ..Sources::default() }).unwrap();
    assert_eq!(loaded.config.risk.max_open_positions, 5);
    assert!(loaded.notes.last().unwrap().contains("orion config import"));
}

#[test]
fn the_schema_describes_every_key() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    let risk = &schema["properties"]["risk"]["properties"]["max_feed_age_ms"];
    assert_eq!((risk["minimum"].as_f64(), risk["maximum"].as_f64()), (Some(50.0), Some(60_000.0)));
    assert_eq!(risk["x-unit"], "milliseconds");
}

/// One changed character of the sample is refused, harmless, or shows as another value of one key. This is fault 98.
#[test]
fn no_mutated_character_of_the_sample_is_silently_ignored() {
    const SEEDS: [u64; 2] = [7, 98];
    const MUTATIONS: usize = 5_200;
    let sample = sample();
    let base = of(&sample).unwrap();
    let letters: Vec<char> = "abcdefghijklmnopqrstuvwxyz_ABCXYZ0123456789.,-+=[]{}\"'# \t\n\\é".chars().collect();
    let (mut refused, mut harmless, mut visible) = (0, 0, 0);
    for seed in SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..MUTATIONS {
            let mut text: Vec<char> = sample.chars().collect();
            // Most mutations go where they hurt: into lines that are not comments.
            let mut at = random.usize(..text.len());
            while random.u8(..8) != 0 && in_comment(&text, at) {
                at = random.usize(..text.len());
            }
            let letter = letters[random.usize(..letters.len())];
            match random.u8(..4) {
                0 => text[at] = letter,
                1 => text.insert(at, letter),
                2 => {
                    text.remove(at);
                }
                _ => {
                    let next = (at + 1).min(text.len() - 1);
                    text.swap(at, next);
                }
            }
            let mutant: String = text.into_iter().collect();
            let Ok(loaded) = of(&mutant) else {
                refused += 1;
                continue;
            };
            let changed: BTreeSet<&String> =
                base.origins.keys().filter(|key| base.origins[*key].text != loaded.origins[*key].text).collect();
            if changed.is_empty() {
                assert_eq!(loaded.config, base.config, "seed {seed}: a change that `config show` does not show");
                harmless += 1;
            } else {
                assert_eq!(changed.len(), 1, "seed {seed}: {changed:?}");
                visible += 1;
            }
        }
    }
    assert_eq!(refused + harmless + visible, SEEDS.len() * MUTATIONS);
    assert!(1_000 < refused && 1_000 < harmless && 100 < visible, "{refused} {harmless} {visible}");
}

/// A file in which no key has its default, so that a key which is lost on the way shows as a change.
fn nothing_by_default() -> String {
    use std::fmt::Write as _;
    let given = |key: &key::Key| match key.path.as_str() {
        "engine.state_dir" => "\"/srv/orion\"".into(),
        "engine.cores" => "[2, 3, 4]".into(),
        "capital.kalshi_allocation_pct" => "0.6".into(),
        "capital.polymarket_allocation_pct" => "0.4".into(),
        "pairs.file" => "\"/etc/orion/pairs.toml\"".into(),
        "vault.file" => "\"/srv/orion/keys\"".into(),
        "vault.polymarket_key_ends" => "\"2027-05-31\"".into(),
        "log.level" => "\"warn\"".into(),
        "alerts.webhook_url" => "\"https://example.org/hook\"".into(),
        "telegram.chat_ids" => "[-1001, 77]".into(),
        "telegram.user_ids" => "[12, 34]".into(),
        "telegram.zone" => "\"Europe/Zurich\"".into(),
        "telegram.daily_at" => "\"07:30\"".into(),
        _ => match key.kind {
            Kind::Boolean => (key.default != "true").to_string(),
            Kind::Text => key.choices.iter().find(|choice| **choice != key.default).unwrap().clone(),
            Kind::Integer | Kind::Decimal => {
                let (default, most) = (number(&key.default), number(key.allowed.split([' ', ',']).nth(2).unwrap()));
                let step = if key.kind == Kind::Integer { 1.0 } else { 0.001 };
                let other = if default + step <= most { default + step } else { default - step };
                format!("{}", (other * 1e6).round() / 1e6)
            }
            Kind::Numbers => unreachable!("{}: say above what it is", key.path),
        },
    };
    let mut text = String::new();
    let mut section = "";
    for key in key::keys() {
        if section != key.section {
            section = &key.section;
            let _ = writeln!(text, "\n[{section}] # of them all");
        }
        let _ = writeln!(text, "{} = {}", key.name, given(key));
    }
    text
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

/// What one changed character does to a file is noticed. At every position of a file in which no key has its default, the
/// character is deleted, swapped with the next one, replaced three times and preceded by three others: more than ten
/// thousand files, always the same ones. Each of them is one of these, or the test fails:
///
/// - refused, at the line that was changed or at one that the change makes wrong;
/// - the same settings, all of them: a space, a comment, `0.10` for `0.1`;
/// - one legal value for another, of the very key on whose line it happened (where a line end was changed, of the next
///   line's). A typing error that makes a legal value of another one cannot be refused: nobody knows what was meant. It
///   does not pass unnoticed either: `config show` prints the other value, with `--origin` its line (or that it is a
///   default, where a `#` took the line out), the next start writes the difference into the audit trail, and a change of
///   a limit disarms.
///
/// Unnoticed, and never seen here, would be: a setting of another line that changed along, two settings that changed at
/// once, and a difference of the checked settings that their texts do not show, or the other way round.
#[test]
fn at_every_position_a_changed_character_is_refused_harmless_or_shown_as_one_other_value() {
    let text = nothing_by_default();
    let base = of(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    for (path, setting) in &base.origins {
        assert!(setting.origin != Origin::Default && setting.text != key::find(path).unwrap().default, "{path}");
    }
    let before: Vec<char> = text.chars().collect();
    let letters: Vec<char> = "0159.-_#\"' \n=[]exa+,".chars().collect();
    let (mut refused, mut harmless, mut shown, mut lost) = (0, 0, 0, 0);
    for at in 0..before.len() {
        let mut mutants = Vec::new();
        let mut mutate = |change: &dyn Fn(&mut Vec<char>)| {
            let mut mutant = before.clone();
            change(&mut mutant);
            mutants.push(mutant);
        };
        mutate(&|text| _ = text.remove(at));
        mutate(&|text| text.swap(at, (at + 1).min(before.len() - 1)));
        for turn in 0..3 {
            let letter = letters[(at * 7 + turn * 5) % letters.len()];
            mutate(&|text| text[at] = letter);
            mutate(&|text| text.insert(at, letter));
        }
        for mutant in mutants {
            if mutant == before {
                harmless += 1;
                continue;
            }
            let mutant: String = mutant.into_iter().collect();
            let Ok(loaded) = of(&mutant) else {
                refused += 1;
                continue;
            };
            let changed: Vec<&String> =
                base.origins.keys().filter(|key| base.origins[*key].text != loaded.origins[*key].text).collect();
            let told: Vec<String> = edit::changes(&base, &loaded).into_iter().map(|change| change.key).collect();
            if changed.is_empty() {
                assert!(loaded.config == base.config && told.is_empty(), "unnoticed at {at}:\n{mutant}");
                harmless += 1;
                continue;
            }
            assert_eq!(changed.len(), 1, "at {at}: {changed:?}\n{mutant}");
            let key = changed[0];
            // Nothing reaches for tickets where they are off, as here; the other value is told all the same.
            let idle = key == "trading.ticket_reach";
            assert!(idle || loaded.config != base.config, "at {at}: {key} reads otherwise, means the same\n{mutant}");
            assert_eq!(told, std::slice::from_ref(key), "at {at}: what the audit trail is told");
            let line = |at: usize| 1 + before[..at].iter().filter(|&&letter| letter == '\n').count();
            let own = base.origins[key].origin.clone();
            let Origin::File { line: own, .. } = own else { panic!("{own:?}") };
            // A swap reaches one character further, and a line end stands between two lines.
            let touched = line(at)..=line((at + 2).min(before.len()));
            assert!(touched.contains(&own), "at {at}, lines {touched:?}: {key} of line {own} changed\n{mutant}");
            if loaded.origins[key].origin == Origin::Default {
                lost += 1;
            } else {
                shown += 1;
            }
        }
    }
    let all = refused + harmless + shown + lost;
    println!(
        "{all} files: {refused} refused, {harmless} the same, {shown} another value, {lost} a default that is told as one"
    );
    assert_eq!(all, before.len() * 8);
    assert!(10_000 <= all && 5_000 < refused && 500 < shown && 10 < lost, "{all} {refused} {harmless} {shown} {lost}");
}

fn in_comment(text: &[char], at: usize) -> bool {
    let start = text[..at].iter().rposition(|&letter| letter == '\n').map_or(0, |newline| newline + 1);
    text.get(start) == Some(&'#')
}

#[test]
fn chats_and_people_are_known_by_numbers_and_nobody_is_the_default() {
    use crate::unit::{AlertKind, Loudness};
    let none = of("").unwrap().config.telegram;
    assert!(none.chats.is_empty() && none.users.is_empty());
    for kind in AlertKind::ALL {
        assert_eq!(none.loudness[kind as usize], kind.loudness(), "{}", kind.name());
    }
    let text = "[telegram]\nchat_ids = [-1001234567890, 42]\nuser_ids = [42]\nzone = \"Europe/Zurich\"\nrisk = \"off\"";
    let some = of(text).unwrap().config.telegram;
    assert_eq!((some.chats, some.users), (vec![-1_001_234_567_890, 42], vec![42]));
    assert_eq!(some.loudness[AlertKind::Risk as usize], Loudness::Off);
    let by_env = env(&[("ORION_TELEGRAM__CHAT_IDS", "-1001234567890,42")]).unwrap().config.telegram;
    assert_eq!(by_env.chats, [-1_001_234_567_890, 42]);
    for (text, key) in [
        ("[telegram]\nuser_ids = [-42]", "telegram.user_ids"),
        ("[telegram]\nuser_ids = [4503599627370496]", "telegram.user_ids"),
        ("[telegram]\nuser_ids = [\"ada\"]", "telegram.user_ids"),
        ("[telegram]\nzone = \"Mars/Base\"", "telegram.zone"),
        ("[telegram]\ndaily_at = \"25:00\"", "telegram.daily_at"),
        ("[telegram]\nrisk = \"loud\"", "telegram.risk"),
        ("[alerts]\nwebhook_url = \"http://example.com/\"", "alerts.webhook_url"),
        ("[alerts]\nwebhook_url = \"http://127.0.0.1:80@example.com/\"", "alerts.webhook_url"),
        ("[alerts]\nwebhook_url = \"https://\"", "alerts.webhook_url"),
    ] {
        assert_eq!(refused(text).key, key, "{text}");
    }
    for good in ["https://example.com/hook?x=1", "http://127.0.0.1:8080/", "http://localhost/x", "http://[::1]:9/"] {
        assert!(of(&format!("[alerts]\nwebhook_url = \"{good}\"")).is_ok(), "{good}");
    }
}
