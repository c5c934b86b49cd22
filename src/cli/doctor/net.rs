//! The way to the venues: names, connections, TLS, the clock, the place. All hosts at once, none longer than three
//! seconds, and nothing that changes anything there.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};

use super::line::{
    Bars::From,
    Line,
    Why::{Failed, Gate},
};
use crate::{
    run::{
        boot::Endpoints,
        clock, eligible,
        mode::Mode,
        pipe::{Place, tls},
    },
    venue::polymarket::eligible::Place as Judged,
};

/// No host is waited for longer, by any of these questions.
const PATIENCE: Duration = Duration::from_secs(3);

/// What came of all of it.
pub struct Asked {
    pub lines: Vec<Line>,
    /// Every host answered, so that accounts may be asked about.
    pub reached: bool,
}

/// What came of one host.
enum Way {
    Open(Duration),
    NoName(String),
    Closed(String),
}

/// Asks every host of these addresses.
pub fn ask(endpoints: &Endpoints) -> anyhow::Result<Asked> {
    let config = tls(endpoints.root.as_deref())?;
    let urls = [
        &endpoints.kalshi_rest,
        &endpoints.kalshi_ws,
        &endpoints.gamma,
        &endpoints.clob,
        &endpoints.data,
        &endpoints.relayer,
        &endpoints.site,
        &endpoints.polymarket_ws,
    ];
    let mut places: Vec<Place<'_>> = Vec::new();
    for url in urls {
        let place = Place::of(url)?;
        if !places.iter().any(|known| (known.host, known.port) == (place.host, place.port)) {
            places.push(place);
        }
    }
    // A name that is being looked up cannot be called off: the process does not wait for it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ways = runtime.block_on(async {
        let asked = places.iter().map(|place| way(*place, config.clone()));
        futures_util::future::join_all(asked).await
    });
    let mut lines = told(&places, &ways);
    let reached = ways.iter().all(|way| matches!(way, Way::Open(_)));
    if ways.iter().any(|way| matches!(way, Way::Open(_))) {
        let (clock, place) = runtime.block_on(async {
            let clock = timeout(PATIENCE, eligible::clock_offset(endpoints));
            let place = timeout(PATIENCE, eligible::where_am_i(endpoints));
            futures_util::future::join(clock, place).await
        });
        lines.push(clock_line(
            clock.map_err(|_| "no answer within 3 s".into()).and_then(|asked| asked.map_err(|e| e.to_string())),
        ));
        lines.extend(place.ok().and_then(Result::ok).map(|place| place_line(&place)));
    } else {
        lines.push(Line::note("clock", "not compared with the venues': none could be asked"));
    }
    runtime.shutdown_background();
    Ok(Asked { lines, reached })
}

/// A name, a connection, a handshake.
async fn way(place: Place<'_>, config: Arc<ClientConfig>) -> Way {
    let began = clock::now();
    let late = |what: &str| format!("{what} within {} s", PATIENCE.as_secs());
    let found = match timeout(PATIENCE, tokio::net::lookup_host((place.host, place.port))).await {
        Err(_) => return Way::NoName(late("no answer from DNS")),
        Ok(Err(error)) => return Way::NoName(error.to_string()),
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
    };
    let Some(address) = found.first().copied() else { return Way::NoName("DNS knows no address".into()) };
    let spent = Duration::from_nanos(clock::now().since(began).raw());
    let opened = timeout(PATIENCE.saturating_sub(spent), async {
        let stream = TcpStream::connect(address).await.context("cannot be connected to")?;
        if place.secure {
            let name = ServerName::try_from(place.host.to_owned()).context("no name for TLS")?;
            let connector = tokio_rustls::TlsConnector::from(config);
            connector.connect(name, stream).await.context("TLS")?;
        }
        anyhow::Ok(())
    });
    match opened.await {
        Err(_) => Way::Closed(late(&format!("no connection to {address}"))),
        Ok(Err(error)) => Way::Closed(format!("{error:#} ({address})")),
        Ok(Ok(())) => Way::Open(Duration::from_nanos(clock::now().since(began).raw())),
    }
}

fn told(places: &[Place<'_>], ways: &[Way]) -> Vec<Line> {
    let bars = From(Mode::Paper);
    let lost: Vec<&str> =
        ways.iter().filter_map(|way| if let Way::NoName(why) = way { Some(&**why) } else { None }).collect();
    if lost.len() == places.len() {
        let text = format!("none of {} names was found ({}): no network here, or no DNS", places.len(), lost[0]);
        return vec![Line::bad("network", bars, Failed, text, format!("getent hosts {}", places[0].host))];
    }
    let mut lines = Vec::new();
    let (mut open, mut slowest) = (0, Duration::ZERO);
    for (place, way) in places.iter().zip(ways) {
        let host = place.host;
        match way {
            Way::Open(took) => {
                open += 1;
                slowest = slowest.max(*took);
            }
            Way::NoName(why) => {
                lines.push(Line::bad(
                    "network",
                    bars,
                    Failed,
                    format!("{host}: {why}"),
                    format!("getent hosts {host}"),
                ));
            }
            Way::Closed(why) => {
                let fix = format!("openssl s_client -connect {host}:{0} -servername {host} </dev/null", place.port);
                lines.push(Line::bad("network", bars, Failed, format!("{host}: {why}"), fix));
            }
        }
    }
    if 0 < open {
        let ms = slowest.as_millis();
        let all = places.len();
        lines
            .insert(0, Line::good("network", format!("{open} of {all} hosts: name, connection, TLS; {ms} ms at most")));
    }
    lines
}

fn clock_line(asked: Result<(i64, i64), String>) -> Line {
    match asked {
        Err(why) => {
            Line::caution("clock", format!("not compared with Polymarket's: {why}"), "timedatectl timesync-status")
        }
        Ok((low, high)) => {
            let most = eligible::CLOCK_MAX_MS;
            let text = format!("between {low:+} and {high:+} ms against Polymarket's, which tells whole seconds");
            if most < low || high < -most {
                let text = format!("off by {low:+} to {high:+} ms against Polymarket's: orders are refused");
                return Line::bad("clock", From(Mode::Paper), Failed, text, "sudo timedatectl set-ntp true");
            }
            Line::good("clock", text)
        }
    }
}

fn place_line(place: &Judged) -> Line {
    let Judged { country, region, blocked } = place;
    if *blocked {
        let text = format!("Polymarket takes no orders from here ({country} {region})");
        return Line::bad("place", From(Mode::Alert), Gate, text, "run Orion where the venue may be used");
    }
    Line::good("place", format!("Polymarket may be used from here ({country} {region})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Nanos;
    use std::net::TcpListener;

    fn nowhere(url: &str) -> Endpoints {
        let url = url.to_owned();
        Endpoints {
            kalshi_rest: url.clone(),
            kalshi_ws: url.clone(),
            gamma: url.clone(),
            clob: url.clone(),
            data: url.clone(),
            relayer: url.clone(),
            site: url.clone(),
            polymarket_ws: url.clone(),
            polymarket_user_ws: url,
            root: None,
        }
    }

    #[test]
    fn exchanges_that_answer_are_reached_and_their_clock_is_read() {
        let (running, site) = crate::cli::sim::embed(7, 1, false).unwrap();
        let asked = ask(&site.endpoints).unwrap();
        assert!(asked.reached && asked.lines[0].is_good(), "{:?}", asked.lines);
        let clock = asked.lines.iter().find(|line| line.topic == "clock").unwrap();
        assert!(clock.is_good(), "{clock:?}");
        assert!(asked.lines.iter().any(|line| line.topic == "place"), "{:?}", asked.lines);
        running.stop();
    }

    #[test]
    fn a_host_that_says_nothing_costs_three_seconds_and_no_more() {
        // It takes connections and never answers the handshake.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let began = clock::now();
        let asked = ask(&nowhere(&format!("https://localhost:{port}"))).unwrap();
        assert!(clock::now().since(began) < Nanos::millis(4_500), "all at once");
        assert!(!asked.reached);
        assert_eq!(asked.lines[0].stops(Mode::Paper), Some(Failed));
        assert_eq!(asked.lines[0].stops(Mode::Demo), None, "the demo needs no network");
        assert!(asked.lines[0].text.contains("within 3 s"), "{:?}", asked.lines);
    }

    #[test]
    fn a_host_that_refuses_is_named_with_a_command_at_once() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let asked = ask(&nowhere(&format!("https://localhost:{port}"))).unwrap();
        let line = &asked.lines[0];
        assert!(line.text.contains("cannot be connected to"), "{line:?}");
        assert!(line.fix.as_ref().unwrap().contains("openssl s_client -connect localhost"), "{line:?}");
    }
}
