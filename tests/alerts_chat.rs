//! What people write in the chat and what they read there, as pain 11 wants it: without a socket and a clock.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::time::Duration;

use orion::{
    ledger::audit::Alert,
    unit::{AlertKind, Nanos, UnixMs},
    watch::alert::{
        chat::{Act, Chat, Do, Question, Who},
        format::{self, Block, Frame, MESSAGE_MAX},
        message::{Answer, Body, Message},
        next_daily,
        telegram::{Came, Said, Update},
    },
};

const START: u64 = 1_795_168_800_000;
const ME: i64 = 42;
const CHAT: i64 = -1_001_234;

fn alert(id: u64, kind: AlertKind, key: &str) -> Alert {
    Alert {
        id,
        at: UnixMs::new(START + id),
        kind,
        key: key.into(),
        headline: format!("{} {id}", kind.name()),
        text: "what happened".into(),
        figures: "400 × (0.3200 + 0.6300)".into(),
        about: None,
    }
}

fn chat() -> Chat {
    let mut next = 0;
    let nonces = Box::new(move || {
        next += 1;
        format!("nonce-{next}")
    });
    Chat::new(vec![ME, 43], vec![CHAT, ME], nonces)
}

fn wrote(id: i64, user: i64, chat: i64, text: &str, at_ms: u64) -> Update {
    let what = Said::Text { text: text.into(), at: at_ms / 1_000 };
    Update { id, came: Some(Came { user, chat, name: "ada".into(), what }) }
}

fn pressed(id: i64, user: i64, chat: i64, data: &str) -> Update {
    let what = Said::Pressed { query: "q".into(), data: data.into() };
    Update { id, came: Some(Came { user, chat, name: "ada".into(), what }) }
}

fn acts(todo: &[Do]) -> Vec<Act> {
    todo.iter().filter_map(|todo| if let Do::Act { act, .. } = todo { Some(*act) } else { None }).collect()
}

#[test]
fn strangers_are_not_answered_and_cost_one_line_an_hour() {
    let mut chat = chat();
    let (now, unix) = (Nanos::secs(1_000), UnixMs::new(START));
    let (mut id, mut lines) = (0, 0);
    for _ in 0..1_000 {
        for (user, place) in [(99, CHAT), (ME, -5), (99, 99), (0, 0)] {
            id += 1;
            for update in [wrote(id, user, place, "/kill", START), pressed(id + 100_000, user, place, "pause")] {
                let mut fresh = self::chat();
                for todo in fresh.handle_update(&update, now, unix) {
                    assert!(matches!(todo, Do::Log(_)), "{todo:?}");
                }
            }
            for todo in chat.handle_update(&wrote(id, user, place, "/whoami", START), now, unix) {
                assert!(matches!(todo, Do::Log(_)), "{todo:?}");
                lines += 1;
            }
        }
    }
    assert_eq!(lines, 1);
    let later = now + Nanos::secs(3_600);
    let todo = chat.handle_update(&wrote(id + 1, 99, CHAT, "/x", START), later, unix);
    assert!(matches!(&todo[..], [Do::Log(line)] if line.starts_with("4000 message(s)")), "{todo:?}");
}

#[test]
fn with_empty_lists_nobody_commands() {
    let (now, unix) = (Nanos::secs(1_000), UnixMs::new(START));
    for (users, chats) in [(vec![], vec![]), (vec![ME], vec![]), (vec![], vec![ME])] {
        let mut chat = Chat::new(users, chats, Box::new(String::new));
        let todo = chat.handle_update(&wrote(1, ME, ME, "/kill", START), now, unix);
        assert!(matches!(&todo[..], [Do::Log(_)]));
    }
}

#[test]
fn an_update_is_obeyed_once_however_often_it_comes() {
    let (mut chat, now, unix) = (chat(), Nanos::secs(1_000), UnixMs::new(START));
    let kill = wrote(7, ME, CHAT, "/kill", START);
    assert_eq!(acts(&chat.handle_update(&kill, now, unix)), [Act::Kill]);
    for _ in 0..10 {
        assert!(chat.handle_update(&kill, now, unix).is_empty());
        assert!(chat.handle_update(&wrote(6, ME, CHAT, "/kill", START), now, unix).is_empty(), "an older one");
    }
    assert_eq!(chat.next(), 8);
    let unreadable = Update { id: 8, came: None };
    assert!(chat.handle_update(&unreadable, now, unix).is_empty());
    assert_eq!(chat.next(), 9, "what cannot be read does not come for ever");
}

#[test]
fn an_old_command_is_not_obeyed() {
    let (mut chat, now) = (chat(), Nanos::secs(1_000));
    let late = UnixMs::new(START + 61_000);
    let todo = chat.handle_update(&wrote(1, ME, CHAT, "/kill", START), now, late);
    assert!(matches!(&todo[..], [Do::Say { .. }]), "{todo:?}");
    for id in 2..100 {
        assert!(chat.handle_update(&wrote(id, ME, CHAT, "/pause", START), now, late).is_empty(), "said once");
    }
    let fresh = wrote(100, ME, CHAT, "/pause", START + 10_000);
    assert_eq!(acts(&chat.handle_update(&fresh, now, late)), [Act::Pause]);
}

#[test]
fn what_speeds_up_or_sells_is_asked_back_for_once_by_the_same_person_within_half_a_minute() {
    let (mut chat, now, unix) = (chat(), Nanos::secs(1_000), UnixMs::new(START));
    let asked = |todo: &[Do]| match todo.first() {
        Some(Do::Confirm { nonce, .. }) => nonce.clone(),
        other => panic!("{other:?}"),
    };
    let nonce = asked(&chat.handle_update(&wrote(1, ME, CHAT, "/resume", START), now, unix));
    for (id, user, place, data) in [
        (2, 43, CHAT, format!("yes:{nonce}")),
        (3, ME, ME, format!("yes:{nonce}")),
        (4, ME, CHAT, "yes:nonce-9".into()),
        (5, ME, CHAT, "yes:".into()),
    ] {
        assert_eq!(acts(&chat.handle_update(&pressed(id, user, place, &data), now, unix)), [], "{data} by {user}");
    }
    let yes = format!("yes:{nonce}");
    assert_eq!(acts(&chat.handle_update(&pressed(6, ME, CHAT, &yes), now, unix)), [Act::Resume]);
    assert_eq!(acts(&chat.handle_update(&pressed(7, ME, CHAT, &yes), now, unix)), [], "a number is good once");
    let nonce = asked(&chat.handle_update(&pressed(8, ME, CHAT, "flatten"), now, unix));
    let late = now + Nanos::secs(30);
    let todo = chat.handle_update(&pressed(9, ME, CHAT, &format!("yes:{nonce}")), late, unix);
    assert_eq!(acts(&todo), []);
    assert!(matches!(&todo[..], [Do::Heard { text, .. }] if text.contains("too late")), "{todo:?}");
    let nonce = asked(&chat.handle_update(&wrote(10, ME, CHAT, "/resume", START), now, unix));
    assert_eq!(acts(&chat.handle_update(&pressed(11, ME, CHAT, &format!("no:{nonce}")), now, unix)), []);
    assert_eq!(acts(&chat.handle_update(&pressed(12, ME, CHAT, &format!("yes:{nonce}")), now, unix)), []);
}

#[test]
fn a_phone_can_slow_down_and_has_no_word_for_speeding_up() {
    let (mut chat, now, unix) = (chat(), Nanos::secs(1_000), UnixMs::new(START));
    let mut id = 0;
    let mut say = |text: &str| {
        id += 1;
        chat.handle_update(&wrote(id, ME, CHAT, text, START), now, unix)
    };
    assert_eq!(acts(&say("/pause")), [Act::Pause]);
    assert_eq!(acts(&say("/kill@OrionBot")), [Act::Kill]);
    assert_eq!(acts(&say("/KILL now")), [Act::Kill]);
    for never in [
        "/arm",
        "/arm live",
        "/flatten",
        "/promote live",
        "/config set risk.max_edge 1",
        "/approve 7",
        "/secrets",
        "/auto_execute on",
        "kill",
        "please /kill",
        "/",
        "",
        "/kill/",
        "／kill",
    ] {
        assert_eq!(acts(&say(never)), [], "{never}");
    }
    let who = Who { user: ME, chat: CHAT };
    assert_eq!(say("/config"), [Do::Ask { who, question: Question::Config }]);
    assert_eq!(say("/opps 999999"), [Do::Ask { who, question: Question::Opportunities(20) }]);
    assert_eq!(say("/why #7"), [Do::Ask { who, question: Question::Why(7) }]);
    assert_eq!(say("/ack 9"), [Do::Ack { who, alert: Some(9) }]);
    assert_eq!(say("/ack all"), [Do::AckAll { who }]);
    assert_eq!(
        say("/mute execution 90h"),
        [Do::Mute { who, kind: AlertKind::Execution, span: Duration::from_hours(24) }],
        "a day at most"
    );
    for refused in ["/mute risk 1h", "/mute execution", "/mute nothing 1h", "/mute execution -1h", "/why x"] {
        assert!(matches!(&say(refused)[..], [Do::Say { .. }]), "{refused}");
    }
}

fn frame() -> Frame {
    Frame { mode: "PAPER".into(), zone: jiff::tz::TimeZone::UTC }
}

fn message(alert: Alert) -> Message {
    let body = Body::Alert { alert: Box::new(alert), told: 1, times: 1, again: false };
    Message { body, silent: false, plain: false, edit: None }
}

#[test]
fn a_message_reads_like_the_one_in_the_documents() {
    let filled = Alert {
        headline: "▲ FILLED both  +$10.17 net".into(),
        text: String::new(),
        figures: "Bill X by 30 Nov\n400 × (0.3200 + 0.6300)\nfees $6.10 + $3.73 · 108 %/yr · 9 d · legs 2 ms apart"
            .into(),
        about: Some(7),
        ..alert(3, AlertKind::Execution, "")
    };
    let page = frame().page(&message(filled));
    assert_eq!(
        page.text,
        "<b>[PAPER] ▲ FILLED both  +$10.17 net</b>\n<pre>Bill X by 30 Nov\n400 × (0.3200 + 0.6300)\n\
         fees $6.10 + $3.73 · 108 %/yr · 9 d · legs 2 ms apart</pre>\n#7 · 20 Nov 10:00:00"
    );
    let labels: Vec<_> = page.buttons.iter().flatten().map(|(label, data)| (label.as_str(), data.as_str())).collect();
    assert_eq!(labels, [("Why", "why:7"), ("Positions", "positions"), ("Pause", "pause")]);
}

#[test]
fn what_others_wrote_is_neither_markup_nor_unseen_nor_a_key() {
    let hostile = Alert {
        headline: "Will <b>X</b> & \u{202e}win\u{200b}?\u{7} </pre><a href=\"https://evil.example\">tap</a>".into(),
        figures: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 KXFEDDECISION-26DEC-H0\n\
                  8f14e45f-ceea-467f-a8c8-1b2c3d4e5f60 123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw9\u{1b}[2J"
            .into(),
        ..alert(3, AlertKind::Error, "")
    };
    let page = frame().page(&message(hostile));
    assert!(page.text.contains("Will &lt;b&gt;X&lt;/b&gt; &amp; win? &lt;/pre&gt;&lt;a"), "{}", page.text);
    assert_eq!(page.text.matches("<pre>").count(), 1);
    for secret in ["f39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "467f-a8c8", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw9"] {
        assert!(!page.text.contains(secret), "{secret} in {}", page.text);
    }
    assert!(page.text.contains("KXFEDDECISION-26DEC-H0"), "a ticker is no key: {}", page.text);
    assert!(page.text.contains("0xf39F…2266"), "{}", page.text);
    assert!(page.text.chars().all(|letter| letter == '\n' || !letter.is_control()));
}

#[test]
fn what_is_too_long_is_split_on_lines_and_every_part_is_whole() {
    let line = "<&>𝄞 ".repeat(20);
    let lines: Vec<String> = (0..400).map(|n| format!("{n} {line}")).collect();
    let answer = Answer {
        blocks: vec![Block::Head("logs".into()), Block::Pre(lines.join("\n")), Block::Text("end".into())],
        buttons: vec![vec![("Status".into(), "status".into())]],
    };
    let pages = format::answers(answer.clone());
    assert!(1 < pages.len() && pages.len() <= 3, "{}", pages.len());
    for (at, page) in pages.iter().enumerate() {
        let body = Body::Answer(page.clone());
        let text = frame().page(&Message { body, silent: false, plain: false, edit: None }).text;
        assert!(text.encode_utf16().count() <= MESSAGE_MAX);
        assert_eq!(text.matches("<pre>").count(), text.matches("</pre>").count());
        assert_eq!(page.buttons.is_empty(), at + 1 < pages.len());
        assert!(!text.contains("&l<") && !text.ends_with("&l"), "no entity is cut");
    }
    let huge = Alert { figures: lines.join("\n"), ..alert(1, AlertKind::Risk, "x") };
    let page = frame().page(&message(huge));
    assert!(page.text.encode_utf16().count() <= MESSAGE_MAX);
    assert!(page.text.starts_with("<b>[PAPER] risk 1</b>"));
    let one = Block::Pre("x".repeat(100_000));
    assert!(format::paged(&[one]).iter().all(|page| format::marked(page).len() < MESSAGE_MAX));
}

#[test]
fn the_summary_comes_at_eight_where_the_operator_is_summer_and_winter() {
    let zone = jiff::tz::TimeZone::get("Europe/Zurich").unwrap();
    let eight = jiff::civil::time(8, 0, 0, 0);
    let at =
        |text: &str| UnixMs::new(u64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_millisecond()).unwrap());
    for (after, due) in [
        ("2026-07-01T05:59:59Z", "2026-07-01T06:00:00Z"),
        ("2026-07-01T06:00:00Z", "2026-07-02T06:00:00Z"),
        ("2026-12-01T06:59:59Z", "2026-12-01T07:00:00Z"),
        ("2026-10-24T06:00:00Z", "2026-10-25T07:00:00Z"),
    ] {
        assert_eq!(next_daily(at(after), eight, &zone), Some(at(due)), "{after}");
    }
}
