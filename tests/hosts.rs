//! Which hosts this build can contact: the list that `orion doctor --hosts` prints, and no other.
//!
//! Every text in the sources is read. What looks like an address, a host's name or an IP address has to be in the list
//! or on loopback. Comments, tests and the simulated exchanges (which listen, and are listened to, on loopback alone)
//! are left out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use orion::cli::hosts::{self, HOSTS};

/// Ends of names under which hosts are found; a word with a dot and one of these is taken for a host's name.
const ENDS: [&str; 26] = [
    "com", "net", "org", "io", "dev", "app", "xyz", "co", "ai", "me", "info", "biz", "cloud", "finance", "exchange",
    "trade", "link", "eth", "us", "uk", "eu", "de", "ru", "cn", "gg", "sh",
];

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

/// The texts of a source file, without those in comments and in its tests.
fn texts(source: &str) -> Vec<String> {
    let code = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let letters: Vec<char> = code.chars().collect();
    let (mut texts, mut at) = (Vec::new(), 0);
    while at < letters.len() {
        match letters[at] {
            '/' if letters.get(at + 1) == Some(&'/') => {
                while at < letters.len() && letters[at] != '\n' {
                    at += 1;
                }
            }
            // A quote as a letter.
            '\'' if letters.get(at + 1) == Some(&'"') => at += 2,
            '\'' if letters.get(at + 1) == Some(&'\\') && letters.get(at + 2) == Some(&'"') => at += 3,
            '"' => {
                let mut text = String::new();
                at += 1;
                while at < letters.len() && letters[at] != '"' {
                    if letters[at] == '\\' {
                        at += 1;
                    }
                    text.extend(letters.get(at));
                    at += 1;
                }
                texts.push(text);
            }
            _ => {}
        }
        at += 1;
    }
    texts
}

/// What looks like a host in a text: what follows `://`, a dotted name with a known end, an IP address.
fn suspects(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let rest = &text[at + 3..];
        let host: String = rest.chars().take_while(|c| !matches!(c, '/' | '"' | ' ' | '\'' | ')')).collect();
        if !host.is_empty() {
            found.push(host);
        }
    }
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    for word in text.split(|c: char| !named(c)) {
        let bare = word.trim_matches(['.', ':', '-']);
        let name = bare.split(':').next().unwrap_or_default();
        let is_name = name.rsplit_once('.').is_some_and(|(front, end)| !front.is_empty() && ENDS.contains(&end));
        if is_name || name.parse::<IpAddr>().is_ok() || bare.parse::<IpAddr>().is_ok_and(|_| bare.contains("::")) {
            found.push(bare.to_owned());
        }
    }
    found
}

/// This host itself, or a hole that the code fills with an address that was given to it.
fn is_here(host: &str) -> bool {
    let bare = host.split(':').next().unwrap_or_default();
    let loopback = |text: &str| text.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified());
    host.starts_with('{') || host.starts_with('[') || bare == "localhost" || loopback(bare) || loopback(host)
}

fn strangers(below: &str, source: &str) -> Vec<String> {
    let known: Vec<&str> = HOSTS.iter().map(hosts::Host::name).collect();
    texts(source)
        .iter()
        .flat_map(|text| suspects(text))
        .filter(|host| !is_here(host) && !known.contains(&host.as_str()))
        .map(|host| format!("src/{below}: {host}"))
        .collect()
}

/// Every source file but those of the simulated exchanges and of tests.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let below = |path: PathBuf| (path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), path);
    let all = paths.into_iter().map(below).filter(|(name, _)| !name.starts_with("sim/") && !name.ends_with("tests.rs"));
    all.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn no_source_names_a_host_that_the_list_does_not() {
    let files = files();
    assert!(150 < files.len(), "the tree was found");
    let strangers: Vec<String> = files.iter().flat_map(|(below, source)| strangers(below, source)).collect();
    assert!(strangers.is_empty(), "not in src/cli/hosts.rs: {strangers:#?}");
}

#[test]
fn every_address_of_the_list_stands_in_the_sources_once() {
    let mut count: BTreeMap<&str, usize> = HOSTS.iter().map(|host| (host.url, 0)).collect();
    assert_eq!(count.len(), HOSTS.len(), "no address is listed twice");
    for text in files().iter().flat_map(|(_, source)| texts(source)) {
        if let Some(count) = count.get_mut(text.as_str()) {
            *count += 1;
        }
    }
    assert!(count.values().all(|count| *count == 1), "a second copy goes its own way one day: {count:?}");
    for host in HOSTS {
        assert!(host.url.starts_with("https://") || host.url.starts_with("wss://"), "{}", host.url);
        assert!(host.name().contains('.'), "{}", host.url);
    }
}

#[test]
fn a_stranger_would_be_found() {
    for bad in [
        r#"const X: &str = "https://evil.example/collect";"#,
        r#"fn f() { send("telemetry.example.io:443") }"#,
        r#"let x = ("a", "wss://external-api-ws.kalshi.com.evil.net/x");"#,
        r#"connect("203.0.113.9:80")"#,
        r#"connect("2001:db8::1")"#,
        r#"let quote = '"'; let x = "http://example.org";"#,
    ] {
        assert!(!strangers("x.rs", bad).is_empty(), "{bad}");
    }
    for good in [
        r#"let x = "http://{address}";"#,
        r#"bind("127.0.0.1:0")"#,
        "let x = plan.net; // see https://docs.example.org",
        r#"say("orion.toml, ladder.rs, 1.25")"#,
        "const REST: &str = \"https://external-api.kalshi.com/trade-api/v2\";",
    ] {
        assert_eq!(strangers("x.rs", good), Vec::<String>::new(), "{good}");
    }
}

/// What goes out does so by reqwest, tokio or mio; nobody opens a connection where the list is not looked at.
#[test]
fn connections_are_opened_in_few_places() {
    let known = ["cli/doctor/net.rs", "run/pipe.rs", "venue/rest.rs", "watch/alert/web.rs", "watch/control.rs"];
    for (below, source) in files() {
        let code = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let opens = lines.filter(|line| {
            ["TcpStream::connect", "UnixStream::connect", "UdpSocket", "Client::builder", "reqwest::get"]
                .iter()
                .any(|call| line.contains(call))
        });
        let opens: Vec<_> = opens.collect();
        assert!(opens.is_empty() || known.contains(&below.as_str()), "src/{below} opens a connection: {opens:?}");
    }
}
