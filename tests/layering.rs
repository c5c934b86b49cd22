//! Which way the arrows point: reads what every source file names of ours, and fails on a wrong arrow.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The stages in the order in which a message passes them.
const STAGES: [&str; 8] = ["wire", "book", "spread", "decide", "risk", "order", "fill", "ledger"];

/// May the folder `from` name `to`?
fn allowed(from: &str, to: &str) -> bool {
    if from == to || to == "unit" {
        return from != "unit" || from == to;
    }
    let stage = |name: &str| STAGES.iter().position(|stage| *stage == name);
    if to == "watch" || to == "cli" {
        return from == "cli" || from == "main";
    }
    match (stage(from), stage(to)) {
        (Some(from), Some(to)) => return to < from,
        (Some(_), None) => return false,
        _ => {}
    }
    match from {
        "venue" => matches!(to, "wire" | "spread" | "order" | "fill"),
        "lab" => stage(to).is_some() || to == "venue",
        // People see everything that was decided and written down; what they save are settings.
        "watch" => stage(to).is_some() || matches!(to, "run" | "config" | "pairing"),
        "run" | "cli" => true,
        // The vault, configuration, pairs and the simulated exchanges stand on plain values alone, and those on
        // nothing.
        _ => false,
    }
}

/// Code without comments; a `//` inside a text loses the rest of its line, which names nothing of ours.
fn code(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The first names of a path's continuation: `a::b` is `a`; `{a::{b, c}, d}` is `a` and `d`.
fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut depth, mut names, mut part) = (0, Vec::new(), String::new());
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(std::mem::take(&mut part)),
            _ => {}
        }
        part.push(letter);
    }
    names.push(part);
    names.iter().map(|part| name(part.trim_start_matches([',', '}']))).filter(|name| !name.is_empty()).collect()
}

/// Everything of ours at the top of the tree that a source file names: by `crate::`, or by climbing with `super::`.
/// `depth` is how many modules deep the file itself is.
fn named(source: &str, depth: usize) -> BTreeSet<String> {
    let code = code(source);
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate` and names that merely end that way are somebody else's.
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            names.extend(first_names(&code[at + "crate::".len()..]));
        }
    }
    let mut rest = code.as_str();
    while let Some(at) = rest.find("super::") {
        let inner = code.find("mod tests {").is_some_and(|tests| tests < code.len() - rest.len() + at);
        let climbed = rest[at..].split("::").take_while(|part| *part == "super").count();
        let after = &rest[at + climbed * "super::".len()..];
        if depth + usize::from(inner) <= climbed {
            names.extend(first_names(after));
        }
        rest = after;
    }
    names
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            into.push(path);
        }
    }
}

/// Every source file: its path below `src`, the folder at the top that it belongs to, and its text.
fn files() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let below = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let top = below.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        (below, top, fs::read_to_string(path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

/// How many modules deep a file is: `book/sync.rs` two, `book/mod.rs` one.
fn depth(below: &str) -> usize {
    below.split('/').count() - usize::from(below.ends_with("/mod.rs"))
}

fn wrong_arrows(below: &str, top: &str, text: &str) -> Vec<String> {
    let names = named(text, depth(below));
    names.iter().filter(|name| !allowed(top, name)).map(|name| format!("src/{below}: {top} names {name}")).collect()
}

#[test]
fn no_arrow_points_the_wrong_way() {
    let files = files();
    assert!(60 < files.len(), "the tree was found");
    let wrong: Vec<String> = files
        .iter()
        .filter(|(below, _, _)| below != "lib.rs")
        .flat_map(|(below, top, text)| wrong_arrows(below, top, text))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_folder_is_one_that_the_rules_know() {
    let known = ["unit", "vault", "venue", "pairing", "sim", "lab", "run", "watch", "config", "cli", "lib", "main"];
    for (below, top, _) in files() {
        assert!(STAGES.contains(&top.as_str()) || known.contains(&top.as_str()), "src/{below}: a rule is missing");
    }
}

#[test]
fn only_the_clock_asks_what_time_it_is() {
    for (below, _, text) in files() {
        let code = code(&text);
        let asks =
            ["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now"].iter().any(|call| code.contains(call));
        let says_so = code.contains("#[expect(clippy::disallowed_methods");
        assert!(!asks || below == "run/clock.rs" || says_so, "src/{below} asks the time");
    }
}

#[test]
fn no_stage_holds_a_lock_a_socket_a_file_or_a_thread() {
    // The ledger's file is the database; everything before it is plain.
    for (below, top, text) in files().into_iter().filter(|(_, top, _)| STAGES[..5].contains(&top.as_str())) {
        // Frames reads and writes its own byte queues by the traits of `std::io`; that is no file.
        for banned in ["std::net", "std::fs", "std::thread", "Mutex", "RwLock", "fastrand", "tokio::", "mio::"] {
            let code = code(&text);
            assert!(!code.contains(banned), "src/{below}: the stage {top} names {banned}");
        }
    }
}

/// Fault 59: there is no way to look less closely at a certificate, not even one that nobody uses.
#[test]
fn nothing_can_switch_the_checking_of_certificates_off() {
    for (below, _, text) in files() {
        let code = code(&text);
        for way in ["dangerous", "danger_accept", "tls_danger", "ServerCertVerifier", "SSL_CERT"] {
            assert!(!code.contains(way), "src/{below} names {way}");
        }
    }
}

/// Fault 95: whoever lists processes reads their arguments and their environment.
#[test]
fn only_the_settings_and_the_place_of_a_credential_come_from_the_environment() {
    for (below, _, text) in files() {
        let code = code(&text);
        let asks = ["env::var", "env::vars", "env::var_os", "env::vars_os"].iter().any(|call| code.contains(call));
        let known = ["cli/mod.rs", "cli/passphrase.rs", "config/tests.rs", "pairing/pairbook.rs"];
        assert!(!asks || known.contains(&&*below), "src/{below} asks the environment");
    }
}

#[test]
fn a_wrong_arrow_would_be_found() {
    for (below, bad) in [
        ("book/sync.rs", "use crate::venue::kalshi::KalshiFeed;"),
        ("book/sync.rs", "use crate::{\n    unit::Price,\n    decide::{Reason, Rules},\n};"),
        ("wire/json.rs", "fn f() -> crate::book::Book { todo!() }"),
        ("spread/fee.rs", "use super::super::run::clock;"),
        ("risk/mod.rs", "use super::ledger::audit;"),
        ("decide/rule.rs", "mod tests {\n    use super::super::super::sim;\n}"),
        ("sim/kalshi.rs", "use crate::{sim::fault, wire::Update};"),
        ("venue/mod.rs", "use crate::pairing::PairBook;"),
        ("venue/kalshi/feed.rs", "use crate::book::Book;"),
        ("pairing/pairbook.rs", "use crate::venue::listing;"),
        ("config/raw.rs", "use crate::decide::Rules;"),
        ("vault/mod.rs", "use crate::venue::kalshi::sign::KalshiSigner;"),
        ("venue/kalshi/sign.rs", "use crate::vault::Secret;"),
        ("run/keep.rs", "use crate::watch::status;"),
        ("unit.rs", "use crate::wire::Update;"),
    ] {
        let top = below.split('/').next().unwrap().trim_end_matches(".rs");
        assert_eq!(wrong_arrows(below, top, bad).len(), 1, "{below}: {bad}");
    }
    for (below, good) in [
        (
            "book/sync.rs",
            "use super::Ladder;\nuse crate::{unit::{Price, Qty}, wire::Update};\nmod tests { use super::*; }",
        ),
        ("book/mod.rs", "//! Like crate::venue, but not.\npub use ladder::Ladder;"),
        ("venue/kalshi/feed.rs", "use crate::{spread::FeeCurve, venue::Feed, wire::json};\nfn f() { super::grid() }"),
        ("cli/run.rs", "use crate::{watch, run, config};"),
    ] {
        let top = below.split('/').next().unwrap();
        assert_eq!(wrong_arrows(below, top, good), Vec::<String>::new(), "{good}");
    }
}
