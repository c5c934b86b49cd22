//! Invented questions, each told twice: in Kalshi's words and in Polymarket's.
//!
//! Names, companies and teams are made up. Both tellings agree on who, what, threshold, when and by whose word, except
//! that an inverted one asks for the opposite. Nothing here knows prices or books.

use fastrand::Rng;

use crate::sim::listing::{Strike, date, day, long_date};
use crate::unit::UnixMs;

/// What a question is about; decides fees, shard and tags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    Crypto,
    Index,
    Weather,
    Economics,
    Elections,
    Sports,
    Tech,
    World,
}

/// One question and its two tellings.
#[derive(Clone, Debug)]
pub struct Question {
    pub subject: Subject,
    /// When the answer is expected.
    pub due: UnixMs,
    /// At most one question of its event can come true.
    pub exclusive: bool,
    /// YES on Polymarket is NO on Kalshi.
    pub inverted: bool,
    pub series: String,
    pub series_title: String,
    pub event: String,
    pub event_title: String,
    pub event_sub_title: String,
    pub ticker: String,
    pub title: String,
    pub yes_sub_title: String,
    pub rules_primary: String,
    pub rules_secondary: String,
    pub early_close_condition: String,
    pub strike: Strike,
    pub source: (&'static str, &'static str),
    pub slug: String,
    pub question: String,
    pub description: String,
    pub group_slug: String,
    pub group_title: String,
    pub group_item: String,
}

const SETTLED_EARLY: &str = "This market will close and expire early if the event occurs.";

/// All questions there are, in a seeded order.
pub fn all(rng: &mut Rng, start: UnixMs) -> Vec<Question> {
    let mut questions = Vec::new();
    let mut invert = 0_u32;
    // Only questions with a natural opposite ("below" for "or above") are told inverted.
    let mut every_fourth = move || {
        invert += 1;
        invert.is_multiple_of(4)
    };
    for (coin, name, low, step) in
        [("BTC", "Bitcoin", 94_000, 4_000), ("ETH", "Ethereum", 3_100, 150), ("SOL", "Solana", 130, 10)]
    {
        for (days, levels) in [(14, 4), (28, 3)] {
            for level in 0..levels {
                questions.push(coin_above(coin, name, low + step * level, day(start, days), every_fourth()));
            }
        }
    }
    for (series, name, low, step) in [("KXINX", "S&P 500", 6_900, 75), ("KXNASDAQ100", "Nasdaq-100", 25_200, 300)] {
        for level in 0..4 {
            questions.push(index_above(series, name, low + step * level, day(start, 21), every_fourth()));
        }
    }
    for (city, code, low) in [
        ("New York City", "NY", 41),
        ("Chicago", "CHI", 34),
        ("Miami", "MIA", 78),
        ("Denver", "DEN", 39),
        ("Austin", "AUS", 61),
        ("Seattle", "SEA", 47),
    ] {
        for step in 0..4 {
            questions.push(high_temperature(city, code, low + 4 * step, day(start, 3 + u64::from(step)), false));
        }
    }
    for (series, name, unit, low, step, source) in ECONOMY {
        for level in 0..3 {
            questions.push(release(series, name, unit, low + step * level, source, day(start, 17)));
        }
    }
    for (office, code, people) in RACES {
        for person in *people {
            questions.push(election(office, code, person, day(start, 25)));
        }
    }
    for (at, (home, away)) in GAMES.iter().enumerate() {
        let league = LEAGUES[at % LEAGUES.len()];
        questions.push(game(league, home, away, day(start, 2 + at as u64)));
    }
    for (series, what, subject) in DEEDS {
        questions.push(deed(series, what, *subject, day(start, 33)));
    }
    rng.shuffle(&mut questions);
    questions
}

type Economy = (&'static str, &'static str, &'static str, u32, u32, (&'static str, &'static str));
const LABOR: (&str, &str) = ("Bureau of Labor Statistics", "https://www.bls.gov");
const ECONOMY: [Economy; 4] = [
    ("KXCPIYOY", "the twelve-month change of the Consumer Price Index", "%", 26, 2, LABOR),
    ("KXU3", "the unemployment rate (U-3)", "%", 42, 1, LABOR),
    ("KXGASQ", "the average price of regular gasoline (AAA)", " dollars", 29, 1, ("AAA", "https://gasprices.aaa.com")),
    ("KXMORT30", "the 30-year fixed mortgage rate", "%", 61, 2, ("Freddie Mac", "https://www.freddiemac.com/pmms")),
];

type Race = (&'static str, &'static str, &'static [&'static str]);
const RACES: &[Race] = &[
    ("mayor of Port Alder", "PALDERMAYOR", &["Ines Okafor", "Tomas Lindqvist", "Ruth Baptiste"]),
    ("governor of the Skerry Islands", "SKERRYGOV", &["Marek Halloran", "Noor Castellan", "Pia Vestergaard"]),
    ("president of Valmora", "VALMORAPRES", &["Adela Brunner", "Iker Montoya", "Samuel Adeyemi"]),
    ("speaker of the Estrel assembly", "ESTRELSPK", &["Hanna Kivela", "Bruno Tavares"]),
    ("chancellor of Kestel University", "KESTELCHAN", &["Olive Marchetti", "Dev Raman"]),
];

type League = (&'static str, &'static str, &'static str);
const LEAGUES: [League; 3] = [
    ("KXHARBORGAME", "Harbor League", "basketball"),
    ("KXSUMMITGAME", "Summit League", "baseball"),
    ("KXCOASTCUP", "Coast Cup", "soccer"),
];
const GAMES: [(&str, &str); 12] = [
    ("Tacoma Gulls", "Reno Miners"),
    ("Mobile Pilots", "Dayton Flyers"),
    ("Fresno Kites", "Boise Lynx"),
    ("Savannah Rays", "Tulsa Drillers"),
    ("Duluth Freight", "Spokane Elk"),
    ("Toledo Anvils", "Mesa Suns"),
    ("Akron Zephyrs", "Laredo Hawks"),
    ("Eugene Pines", "Provo Peaks"),
    ("Macon Brass", "Ogden Union"),
    ("Salem Lanterns", "Waco Herons"),
    ("Flint Engines", "Bangor Owls"),
    ("Topeka Storm", "Yuma Foxes"),
];

const DEEDS: &[(&str, &str, Subject)] = &[
    ("KXORBITALLAUNCH", "Vantage Aerospace reach orbit with its Meridian rocket", Subject::Tech),
    ("KXMODELRELEASE", "Lattice Labs release the model Cobalt 3 to the public", Subject::Tech),
    ("KXPHONEFOLD", "Norwind announce a folding phone", Subject::Tech),
    ("KXCHIPEXPORT", "Arden Semiconductor receive an export licence for its H40 chip", Subject::Tech),
    ("KXSTREAMMERGER", "Paravox and Lumina complete their merger", Subject::Tech),
    ("KXCEOOUT", "Greta Solberg cease to be chief executive of Halden Motors", Subject::Tech),
    ("KXCEASEFIRE", "Valmora and Estrel sign a ceasefire agreement", Subject::World),
    ("KXTREATY", "the Skerry Islands ratify the North Reach fisheries treaty", Subject::World),
    ("KXSANCTIONS", "the Alder Council lift its sanctions on Valmora", Subject::World),
    ("KXSUMMIT", "the presidents of Valmora and Estrel meet in person", Subject::World),
    ("KXBORDER", "the border crossing at Tarn Bridge reopen to civilian traffic", Subject::World),
    ("KXENVOY", "Estrel appoint an ambassador to Valmora", Subject::World),
    ("KXFUSIONNET", "the Calder Ridge reactor announce net energy gain", Subject::Tech),
    ("KXROVER", "the Pathfinder Two rover land on the Moon", Subject::Tech),
    ("KXALBUM", "Juno Hartley release a studio album", Subject::Tech),
    ("KXBOXOFFICE", "the film Paper Rivers gross 100 million dollars worldwide", Subject::Tech),
];

fn slug_of(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.ends_with('-') && letter != '.' && letter != '\'' {
            slug.push('-');
        }
    }
    slug.trim_matches('-').to_owned()
}

fn thousands(number: u32) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

fn code_date(at: UnixMs) -> String {
    date(at, "%y%b%d").to_uppercase()
}

fn short_date(at: UnixMs) -> String {
    date(at, "%b %-d, %Y")
}

fn coin_above(coin: &str, name: &str, level: u32, due: UnixMs, inverted: bool) -> Question {
    let amount = thousands(level);
    let when = long_date(due);
    let ask = if inverted { format!("below ${amount}") } else { format!("${amount} or above") };
    let holds = if inverted { "below" } else { "at or above" };
    Question {
        subject: Subject::Crypto,
        due,
        exclusive: false,
        inverted,
        series: format!("KX{coin}D"),
        series_title: format!("{name} price"),
        event: format!("KX{coin}D-{}17", code_date(due)),
        event_title: format!("{name} price on {} at 5pm EST?", short_date(due)),
        event_sub_title: format!("On {}", short_date(due)),
        ticker: format!("KX{coin}D-{}17-T{level}", code_date(due)),
        title: format!("{name} price on {} at 5pm EST?", short_date(due)),
        yes_sub_title: format!("${amount} or above"),
        rules_primary: format!(
            "If the price of {name} in US dollars on Coinbase, read from the {coin}-USD one-minute candle that opens at \
             5:00 PM ET on {}, is at or above {level} dollars at its close, then the market resolves to Yes.",
            short_date(due)
        ),
        rules_secondary: "The close price of that one candle decides. Prices of other exchanges, other pairs or other \
                          minutes do not count."
            .to_owned(),
        early_close_condition: String::new(),
        strike: Strike::AtLeast(level.to_string()),
        source: ("Coinbase", "https://www.coinbase.com"),
        slug: slug_of(&format!("{name} {ask} on {when} 5pm et")),
        question: format!("Will {name} be {ask} on {when} at 5:00 PM ET?"),
        description: format!(
            "This market will resolve to \"Yes\" if the close price of the Coinbase {coin}-USD one-minute candle that \
             opens at 5:00 PM ET on {when} is {holds} ${amount}. Otherwise, this market will resolve to \"No\".\n\nThe \
             resolution source for this market is Coinbase, specifically the {coin}-USD one-minute candle. Prices of \
             other exchanges, other pairs or other minutes do not count."
        ),
        group_slug: slug_of(&format!("{name} price on {when} 5pm et")),
        group_title: format!("{name} price on {when}, 5PM ET?"),
        group_item: ask,
    }
}

fn index_above(series: &str, name: &str, level: u32, due: UnixMs, inverted: bool) -> Question {
    let amount = thousands(level);
    let when = long_date(due);
    let ask = if inverted { format!("below {amount}") } else { format!("at {amount} or above") };
    let holds = if inverted { "below" } else { "at or above" };
    Question {
        subject: Subject::Index,
        due,
        exclusive: false,
        inverted,
        series: series.to_owned(),
        series_title: format!("{name} close"),
        event: format!("{series}-{}H1600", code_date(due)),
        event_title: format!("{name} close on {}?", short_date(due)),
        event_sub_title: format!("On {} at 4pm EST", short_date(due)),
        ticker: format!("{series}-{}H1600-T{level}", code_date(due)),
        title: format!("Will the {name} close at {amount} or above on {}?", short_date(due)),
        yes_sub_title: format!("{amount} or above"),
        rules_primary: format!(
            "If the official closing value of the {name} on {} is at or above {level}, then the market resolves to Yes.",
            short_date(due)
        ),
        rules_secondary: "If there is no trading session on that day, the closing value of the last session before it \
                          is used."
            .to_owned(),
        early_close_condition: String::new(),
        strike: Strike::AtLeast(level.to_string()),
        source: ("Nasdaq", "https://www.nasdaq.com"),
        slug: slug_of(&format!("{name} close {ask} on {when}")),
        question: format!("Will the {name} close {ask} on {when}?"),
        description: format!(
            "This market will resolve to \"Yes\" if the official closing value of the {name} on {when} is {holds} \
             {amount}. Otherwise, this market will resolve to \"No\".\n\nIf there is no trading session on that day, the \
             closing value of the last session before it is used."
        ),
        group_slug: slug_of(&format!("{name} close on {when}")),
        group_title: format!("{name} close on {when}?"),
        group_item: ask,
    }
}

fn high_temperature(city: &str, code: &str, low: u32, due: UnixMs, inverted: bool) -> Question {
    let when = long_date(due);
    Question {
        subject: Subject::Weather,
        due,
        exclusive: false,
        inverted,
        series: format!("KXHIGH{code}"),
        series_title: format!("Highest temperature in {city}"),
        event: format!("KXHIGH{code}-{}", code_date(due)),
        event_title: format!("Highest temperature in {city} on {}?", short_date(due)),
        event_sub_title: format!("On {}", short_date(due)),
        ticker: format!("KXHIGH{code}-{}-T{low}", code_date(due)),
        title: format!("Will the high temp in {city} be at least {low}° on {}?", short_date(due)),
        yes_sub_title: format!("{low}° or above"),
        rules_primary: format!(
            "If the highest temperature recorded in {city} for {}, as reported by the National Weather Service's Daily \
             Climate Report, is at least {low} degrees Fahrenheit, then the market resolves to Yes.",
            short_date(due)
        ),
        rules_secondary: "Only the first complete Daily Climate Report counts; later revisions do not.".to_owned(),
        early_close_condition: String::new(),
        strike: Strike::AtLeast(low.to_string()),
        source: ("National Weather Service", "https://www.weather.gov"),
        slug: slug_of(&format!("highest temperature in {city} {low}f or higher on {when}")),
        question: format!("Will the highest temperature in {city} be {low}°F or higher on {when}?"),
        description: format!(
            "This market will resolve to \"Yes\" if the highest temperature recorded in {city} on {when} is {low} degrees \
             Fahrenheit or higher, as reported by the National Weather Service's Daily Climate Report. Otherwise, this \
             market will resolve to \"No\".\n\nOnly the first complete Daily Climate Report counts; later revisions do not."
        ),
        group_slug: slug_of(&format!("highest temperature in {city} on {when}")),
        group_title: format!("Highest temperature in {city} on {when}?"),
        group_item: format!("{low}°F or higher"),
    }
}

fn release(
    series: &str,
    name: &str,
    unit: &str,
    tenths: u32,
    source: (&'static str, &'static str),
    due: UnixMs,
) -> Question {
    let level = format!("{}.{}", tenths / 10, tenths % 10);
    let when = long_date(due);
    let month = date(due, "%B %Y");
    Question {
        subject: Subject::Economics,
        due,
        exclusive: false,
        inverted: false,
        series: series.to_owned(),
        series_title: format!("Release of {name}"),
        event: format!("{series}-{}", code_date(due)),
        event_title: format!("Next reading of {name} by {}?", short_date(due)),
        event_sub_title: format!("In {month}"),
        ticker: format!("{series}-{}-T{level}", code_date(due)),
        title: format!("Will {name} be above {level}{unit} in the reading published by {}?", short_date(due)),
        yes_sub_title: format!("Above {level}{unit}"),
        rules_primary: format!(
            "If {name}, in the last reading published by {} on or before {}, is above {level}{unit}, then the market \
             resolves to Yes.",
            source.0,
            short_date(due)
        ),
        rules_secondary: "The value as first published counts, to one decimal. Revisions do not count.".to_owned(),
        early_close_condition: String::new(),
        strike: Strike::Above(level.clone()),
        source,
        slug: slug_of(&format!("{name} above {level} by {when}")),
        question: format!("Will {name} be above {level}{unit} in the reading published by {when}?"),
        description: format!(
            "This market will resolve to \"Yes\" if {name}, in the last reading published by {} on or before {when}, is \
             above {level}{unit}. Otherwise, this market will resolve to \"No\".\n\nThe value as first published counts, \
             to one decimal. Revisions do not count.",
            source.0
        ),
        group_slug: slug_of(&format!("{name} by {when}")),
        group_title: format!("{name}: reading by {when}?"),
        group_item: format!("Above {level}{unit}"),
    }
}

fn election(office: &str, code: &str, person: &str, due: UnixMs) -> Question {
    let when = long_date(due);
    let year = date(due, "%Y");
    let initials: String = person.split(' ').filter_map(|word| word.get(..2)).collect::<String>().to_uppercase();
    Question {
        subject: Subject::Elections,
        due,
        exclusive: true,
        inverted: false,
        series: format!("KX{code}"),
        series_title: format!("Next {office}"),
        event: format!("KX{code}-{}", date(due, "%y")),
        event_title: format!("Who will win the {year} election for {office}?"),
        event_sub_title: format!("In {year}"),
        ticker: format!("KX{code}-{}-{initials}", date(due, "%y")),
        title: format!("Will {person} win the {year} election for {office}?"),
        yes_sub_title: person.to_owned(),
        rules_primary: format!(
            "If {person} wins the election for {office} scheduled for {}, then the market resolves to Yes.",
            short_date(due)
        ),
        rules_secondary: "The certified result of the electoral commission decides, including any run-off.".to_owned(),
        early_close_condition: SETTLED_EARLY.to_owned(),
        strike: Strike::Named(person.to_owned()),
        source: ("Associated Press", "https://apnews.com"),
        slug: slug_of(&format!("will {person} win the {year} election for {office}")),
        question: format!("Will {person} win the {year} election for {office}?"),
        description: format!(
            "This market will resolve to \"Yes\" if {person} wins the election for {office} scheduled for {when}. \
             Otherwise, this market will resolve to \"No\".\n\nThe certified result of the electoral commission decides, \
             including any run-off."
        ),
        group_slug: slug_of(&format!("{year} election for {office}")),
        group_title: format!("{year} election for {office}: winner"),
        group_item: person.to_owned(),
    }
}

fn game(league: League, home: &str, away: &str, due: UnixMs) -> Question {
    let (series, league, sport) = league;
    let when = long_date(due);
    let letters = |team: &str| team.replace(' ', "").chars().take(3).collect::<String>().to_uppercase();
    let event = format!("{series}-{}{}{}", code_date(due), letters(away), letters(home));
    Question {
        subject: Subject::Sports,
        due,
        exclusive: true,
        inverted: false,
        series: series.to_owned(),
        series_title: format!("{league} game"),
        event_title: format!("{away} at {home}"),
        event_sub_title: format!("{} at {} ({})", letters(away), letters(home), date(due, "%b %-d")),
        ticker: format!("{event}-{}", letters(home)),
        event,
        title: format!("Will the {home} win the {away} at {home} {league} {sport} game?"),
        yes_sub_title: home.to_owned(),
        rules_primary: format!(
            "If the {home} win the {away} at {home} {league} {sport} game originally scheduled for {}, then the market \
             resolves to Yes.",
            short_date(due)
        ),
        rules_secondary:
            "If the game is postponed, the market remains open and resolves by the official result of the \
                          rescheduled game. Overtime counts."
                .to_owned(),
        early_close_condition: "This market will close and expire after a winner is declared.".to_owned(),
        strike: Strike::Named(home.to_owned()),
        source: ("the Governing League", "https://league.example"),
        slug: slug_of(&format!("{league} {away} {home} {}", date(due, "%Y-%m-%d"))),
        question: format!("Will the {home} beat the {away} in the {league} {sport} game on {when}?"),
        description: format!(
            "This market will resolve to \"Yes\" if the {home} win the {league} {sport} game against the {away} \
             originally scheduled for {when}. Otherwise, this market will resolve to \"No\".\n\nIf the game is postponed, \
             this market remains open and resolves by the official result of the rescheduled game. Overtime counts."
        ),
        group_slug: slug_of(&format!("{away} at {home} {}", date(due, "%Y-%m-%d"))),
        group_title: format!("{away} vs. {home}"),
        group_item: home.to_owned(),
    }
}

fn deed(series: &str, what: &str, subject: Subject, due: UnixMs) -> Question {
    let when = long_date(due);
    Question {
        subject,
        due,
        exclusive: false,
        inverted: false,
        series: series.to_owned(),
        series_title: format!("Will {what}?"),
        event: format!("{series}-{}", date(due, "%y%b").to_uppercase()),
        event_title: format!("Will {what} by {}?", short_date(due)),
        event_sub_title: format!("By {}", short_date(due)),
        ticker: format!("{series}-{}", code_date(due)),
        title: format!("Will {what} by {}?", short_date(due)),
        yes_sub_title: format!("By {}", short_date(due)),
        rules_primary: format!(
            "If it is reported that {what} by 11:59 PM ET on {}, then the market resolves to Yes.",
            short_date(due)
        ),
        rules_secondary: "An announcement alone does not count unless the question asks for one. Reporting by major \
                          news organisations is the source."
            .to_owned(),
        early_close_condition: SETTLED_EARLY.to_owned(),
        strike: Strike::Named(format!("By {}", short_date(due))),
        source: ("Associated Press", "https://apnews.com"),
        slug: slug_of(&format!("will {what} by {when}")),
        question: format!("Will {what} by {when}?"),
        description: format!(
            "This market will resolve to \"Yes\" if it is reported that {what} by {when}, 11:59 PM ET. Otherwise, this \
             market will resolve to \"No\".\n\nAn announcement alone does not count unless the question asks for one. \
             Reporting by major news organisations is the source."
        ),
        group_slug: slug_of(&format!("will {what}")),
        group_title: format!("Will {what} by...?"),
        group_item: date(due, "%B %-d"),
    }
}
