//! What venues and networks get wrong in the stream: the book is unfit with a named reason, and fit again after the
//! next snapshot. The numbers are those of the fault catalogue.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod common;

use common::{
    desk::{self, KALSHI, POLYMARKET, price},
    line::{Line, SUBSCRIBED, kalshi_delta, kalshi_snapshot, polymarket_book, polymarket_change},
};
use orion::{
    book::Unfit,
    decide::Reason,
    run::event::{Control, What},
    unit::{BookSide, Nanos, Qty, UnixMs, Venue},
    venue::{Feed, Lost},
    wire::{Canary, Doubt, Kind},
};

const MS: fn(u64) -> Nanos = Nanos::millis;

/// Fault 1.
#[test]
fn each_dropped_delta_makes_the_book_unfit_until_the_next_snapshot() {
    const DELTAS: u64 = 20;
    for dropped in 0..DELTAS {
        let mut line = Line::open();
        for at in 0..DELTAS {
            let (side, change) = if at % 2 == 0 { ("yes", "5.00") } else { ("no", "7.00") };
            if at == dropped {
                line.seq += 1;
                continue;
            }
            line.delta(side, "0.3000", change);
            let wanted = if dropped < at { Err(Unfit::Doubtful(Doubt::Gap)) } else { Ok(()) };
            assert_eq!(line.fit(KALSHI), wanted, "delta {at}, without delta {dropped}");
        }
        let missed = dropped + 1 < DELTAS;
        assert_eq!(line.asked_again(), missed, "a snapshot is asked for once the gap shows");
        line.resync();
        if missed {
            assert_eq!(line.kalshi.counts().gaps, 1);
        }
        assert_eq!((line.fit(KALSHI), line.touch(KALSHI)), (Ok(()), (Some(4_400), Some(4_600))));
    }
}

/// Fault 2.
#[test]
fn a_frame_that_comes_twice_or_late_changes_nothing() {
    let mut line = Line::open();
    line.delta("yes", "0.4500", "5.00");
    let seen = line.touch(KALSHI);
    for old in [line.seq, line.seq, 1] {
        line.kalshi(&kalshi_delta(old, "yes", "0.4500", "-5.00"));
    }
    line.kalshi(&kalshi_snapshot(1, &[], &[]));
    assert_eq!((line.touch(KALSHI), line.fit(KALSHI)), (seen, Ok(())));
    assert_eq!((line.kalshi.counts().duplicates, line.asked_again()), (4, false), "counted, nothing asked for");
}

/// Fault 3.
#[test]
fn a_busy_stream_that_freezes_is_left_although_its_pings_are_answered() {
    for lively in [60, 61, 137, 300] {
        let mut line = Line::open();
        line.live(Nanos::secs(2 * lively), |line| {
            line.answer();
            line.ping();
            line.change("BUY", "0.44", "100");
        });
        assert_eq!(line.lost, None);
        line.live(Nanos::secs(20), |line| {
            line.answer();
            line.ping();
        });
        assert_eq!(line.lost, Some(Lost::Silent), "frozen after {} s", 2 * lively);
    }
}

/// Fault 3, Kalshi: control frames come, but what is asked in order is never answered.
#[test]
fn a_stream_that_answers_pings_but_not_its_own_order_is_left() {
    let mut line = Line::open();
    line.live(Nanos::secs(25), |line| {
        line.ping();
        line.sent.retain(|text| text == "PING");
        line.answer();
    });
    assert_eq!(line.lost, Some(Lost::Silent));
}

/// Fault 4.
#[test]
fn six_quiet_hours_cost_no_reconnect_and_the_book_stays_fit_through_looks() {
    let mut line = Line::open();
    let mut looked = line.desk.now;
    let mut unfit = 0;
    line.live(Nanos::secs(6 * 3_600), |line| {
        line.answer();
        if Nanos::secs(60) <= line.desk.now.since(looked) {
            looked = line.desk.now;
            for market in [KALSHI, POLYMARKET] {
                let (bid, ask) = (Some((price(4_400), Qty::whole(100))), Some((price(4_600), Qty::whole(100))));
                line.desk.control(Control::Look { market, began: line.desk.now, bid, ask });
            }
        }
        unfit += usize::from(line.fit(KALSHI).is_err()) + usize::from(line.fit(POLYMARKET).is_err());
    });
    assert_eq!((line.lost, unfit), (None, 0));
}

/// Fault 4: nobody looked.
#[test]
fn a_quiet_book_that_nobody_confirms_grows_stale() {
    let mut line = Line::open();
    line.live(Nanos::secs(89), Line::answer);
    assert_eq!(line.fit(KALSHI), Ok(()));
    line.live(Nanos::secs(2), Line::answer);
    assert_eq!((line.fit(KALSHI), line.fit(POLYMARKET)), (Err(Unfit::Stale), Err(Unfit::Stale)));
    line.change("BUY", "0.44", "90");
    assert_eq!(line.fit(POLYMARKET), Ok(()), "a change is as good as a look");
}

/// Fault 4: the look shows something else.
#[test]
fn a_look_that_disagrees_makes_the_book_unfit_and_asks_for_another() {
    let mut line = Line::open();
    line.live(Nanos::secs(5), Line::answer);
    let (began, bid) = (line.desk.now, Some((price(4_500), Qty::whole(1))));
    line.desk.control(Control::Look { market: KALSHI, began, bid, ask: None });
    assert_eq!(line.fit(KALSHI), Err(Unfit::Doubtful(Doubt::Disagrees)));
    line.ping();
    assert!(line.asked_again());
    line.resync();
    assert_eq!(line.fit(KALSHI), Ok(()));
    // A look that began before the book moved says nothing.
    line.desk.control(Control::Look { market: KALSHI, began, bid, ask: None });
    assert_eq!(line.fit(KALSHI), Ok(()));
}

/// Fault 5: one venue 0 to 10 s behind the other.
#[test]
fn an_edge_between_a_fresh_book_and_an_old_one_is_not_taken() {
    for delay_ms in (0..=10_000).step_by(500) {
        let mut line = Line::open();
        line.live(Nanos::secs(20), Line::answer);
        // Polymarket shows a bid of 0.60 above Kalshi's ask of 0.46, in a frame that is this old.
        let stamp = UnixMs::new(desk::at(line.desk.now).unix.raw() - delay_ms);
        line.polymarket(&polymarket_change(stamp, "SELL", "0.46", "0"));
        line.polymarket(&polymarket_change(stamp, "BUY", "0.52", "100"));
        let taken = delay_ms <= 1_000;
        let reason = (!taken).then_some(Reason::Book(Venue::Polymarket, Unfit::Lagging));
        assert_eq!((line.desk.last().reason, line.desk.planned()), (reason, usize::from(taken)), "{delay_ms} ms");
    }
}

/// Fault 6.
#[test]
fn a_book_crossed_inside_one_exchange_action_is_unfit_for_that_instant_only() {
    let mut line = Line::open();
    line.delta("yes", "0.4700", "10.00");
    assert_eq!(line.fit(KALSHI), Err(Unfit::Crossed), "a bid of 0.47 over an ask of 0.46");
    line.delta("yes", "0.4700", "-10.00");
    assert_eq!((line.fit(KALSHI), line.asked_again()), (Ok(()), false), "nothing to ask for");
    line.delta("yes", "0.4600", "10.00");
    assert_eq!(line.fit(KALSHI), Err(Unfit::Crossed), "a locked book too");
}

/// Fault 6.
#[test]
fn a_book_that_stays_crossed_is_asked_for_again() {
    let mut line = Line::open();
    line.delta("yes", "0.4700", "10.00");
    line.wait(MS(250));
    assert!(!line.asked_again(), "not before 250 ms are over");
    line.wait(MS(500));
    line.ping();
    assert_eq!(line.fit(KALSHI), Err(Unfit::Doubtful(Doubt::Crossed)));
    assert!(line.asked_again());
    line.resync();
    assert_eq!((line.fit(KALSHI), line.touch(KALSHI)), (Ok(()), (Some(4_400), Some(4_600))));
}

/// Fault 7, 9.
#[test]
fn a_tick_that_changes_mid_flight_voids_the_book_until_its_next_snapshot() {
    let mut line = Line::open();
    line.polymarket(
        r#"{"event_type":"tick_size_change","asset_id":"111","old_tick_size":"0.01","new_tick_size":"0.001"}"#,
    );
    assert_eq!(line.fit(POLYMARKET), Err(Unfit::Doubtful(Doubt::Regrid)));
    assert!(line.asked_again());
    line.change("BUY", "0.441", "5");
    assert_eq!(line.fit(POLYMARKET), Err(Unfit::Doubtful(Doubt::Regrid)), "a change of the old epoch mends nothing");
    let whole = polymarket_book(&[("0.441", "100")], &[("0.459", "100")]).replace("\"0.01\"", "\"0.001\"");
    line.polymarket(&whole);
    assert_eq!((line.fit(POLYMARKET), line.touch(POLYMARKET)), (Ok(()), (Some(4_410), Some(4_590))));
    assert_eq!(line.desk.engine.detector.book(POLYMARKET).grid().unit(), 10, "the grid is that of the feed");

    line.kalshi(
        r#"{"type":"market_lifecycle_v2","sid":9,"seq":1,"msg":{"market_ticker":"FED-DEC",
            "event_type":"price_level_structure_updated","price_ranges":[{"start":"0.0000","end":"1.0000","step":"0.0010"}]}}"#,
    );
    assert_eq!(line.fit(KALSHI), Err(Unfit::Doubtful(Doubt::Regrid)));
    assert!(line.asked_again());
    line.delta("yes", "0.4450", "1.00");
    line.resync();
    assert_eq!(line.fit(KALSHI), Ok(()));
}

/// Fault 7: the change comes while a plan is on its way.
#[test]
fn a_tick_change_at_any_moment_of_a_plan_leaves_nothing_filled_on_a_void_book() {
    for wait_ms in [0, 10, 40, 49] {
        let mut line = Line::open();
        line.change("SELL", "0.46", "0");
        line.change("BUY", "0.52", "100");
        assert_eq!(line.desk.planned(), 1);
        line.wait(MS(wait_ms));
        line.polymarket(r#"{"event_type":"tick_size_change","asset_id":"111","new_tick_size":"0.001"}"#);
        line.wait(MS(100));
        let filled = line.desk.told.iter().filter_map(|e| match e.what {
            What::Filled { fill, .. } if fill.bought => Some(fill.venue),
            _ => None,
        });
        assert_eq!(filled.collect::<Vec<_>>(), [Venue::Kalshi], "the void book fills nothing, {wait_ms} ms on");
    }
}

/// Fault 8.
#[test]
fn an_unknown_tick_disables_the_market_and_nothing_else() {
    let mut line = Line::open();
    line.polymarket(r#"{"event_type":"tick_size_change","asset_id":"111","new_tick_size":"0.003"}"#);
    assert_eq!(line.fit(POLYMARKET), Err(Unfit::Doubtful(Doubt::Regrid)));
    assert_eq!(line.polymarket.counts().canaries[Canary::UnknownGrid as usize], 1);
    for ranges in [
        r#"[{"start":"0.0000","end":"1.0000","step":"0.0003"}]"#,
        r#"[{"start":"0.0000","end":"0.5000","step":"0.0100"},{"start":"0.6000","end":"1.0000","step":"0.0100"}]"#,
        r#"[{"start":"0.00","end":"0.10","step":"0.01"},{"start":"0.10","end":"0.20","step":"0.01"},
            {"start":"0.20","end":"0.30","step":"0.01"},{"start":"0.30","end":"1.00","step":"0.01"}]"#,
    ] {
        let mut line = Line::open();
        line.kalshi(&format!(
            "{{\"type\":\"market_lifecycle_v2\",\"sid\":9,\"seq\":1,\"msg\":{{\"market_ticker\":\"FED-DEC\",\
             \"event_type\":\"price_level_structure_updated\",\"price_ranges\":{ranges}}}}}",
        ));
        assert_eq!(line.fit(KALSHI), Err(Unfit::Canary(Canary::UnknownGrid)), "{ranges}");
        assert_eq!(line.fit(POLYMARKET), Ok(()));
    }
}

/// Fault 10.
#[test]
fn a_snapshot_that_does_not_come_within_five_seconds_ends_the_connection() {
    let mut line = Line::silent();
    line.kalshi(SUBSCRIBED);
    assert_eq!(line.fit(KALSHI), Err(Unfit::Doubtful(Doubt::NeverSynced)));
    line.live(Nanos::secs(5), Line::ping);
    assert_eq!(line.lost, None);
    line.live(Nanos::secs(1), Line::ping);
    assert_eq!(line.lost, Some(Lost::NoSnapshot));
}

/// Fault 11.
#[test]
fn a_venue_whose_buffer_ran_over_is_believed_nothing_and_left() {
    for code in [25, 10, 26, 27, 9, 99] {
        let mut line = Line::open();
        line.kalshi(&format!("{{\"type\":\"error\",\"id\":4,\"msg\":{{\"code\":{code},\"msg\":\"overflow\"}}}}"));
        assert_eq!(line.fit(KALSHI), Err(Unfit::Doubtful(Doubt::Dropped)), "error {code}");
        assert_eq!(line.lost, Some(Lost::Ended), "error {code}");
        assert_eq!(line.fit(POLYMARKET), Ok(()), "the other venue trades on");
    }
}

/// Fault 12.
#[test]
fn a_delta_that_takes_a_level_below_zero_or_beyond_reason_voids_the_book() {
    for change in ["-100.01", "-999999999.00", "999999999.00"] {
        let mut line = Line::open();
        line.delta("yes", "0.4400", change);
        assert_eq!(line.fit(KALSHI), Err(Unfit::Doubtful(Doubt::Impossible)), "{change}");
        assert!(line.asked_again(), "{change}");
        line.delta("yes", "0.4400", "1.00");
        assert_eq!(line.fit(KALSHI), Err(Unfit::Doubtful(Doubt::Impossible)), "a sane change mends nothing");
        line.resync();
        assert_eq!((line.fit(KALSHI), line.touch(KALSHI).0), (Ok(()), Some(4_400)));
    }
}

/// Fault 13.
#[test]
fn something_unknown_stops_entries_where_it_touches_for_a_minute() {
    let mut line = Line::open();
    let at = desk::at(line.desk.now).unix;
    let odd = polymarket_change(at, "BUY", "0.44", "90").replace("\"side\":", "\"flavour\":\"new\",\"side\":");
    line.polymarket(&odd);
    assert_eq!(line.fit(POLYMARKET), Err(Unfit::Canary(Canary::UnknownField)));
    assert_eq!(line.desk.engine.detector.book(POLYMARKET).bids.at(price(4_400)), Qty::whole(90), "read all the same");
    assert_eq!(line.fit(KALSHI), Ok(()), "only where it touches");
    line.live(Nanos::secs(59), Line::answer);
    assert_eq!(line.fit(POLYMARKET), Err(Unfit::Canary(Canary::UnknownField)));
    line.live(Nanos::secs(1), Line::answer);
    assert_eq!(line.fit(POLYMARKET), Ok(()));

    line.seq += 1;
    let odd = kalshi_delta(line.seq, "yes", "0.3000", "1.00").replace("\"side\":", "\"mood\":7,\"side\":");
    line.kalshi(&odd);
    assert_eq!(line.fit(KALSHI), Err(Unfit::Canary(Canary::UnknownField)));
}

/// Fault 13.
#[test]
fn a_message_of_an_unknown_type_is_counted_and_keeps_the_sequence() {
    let mut line = Line::open();
    line.polymarket(r#"{"event_type":"moon_phase","market":"0xc"}"#);
    line.seq += 1;
    line.kalshi(&format!("{{\"type\":\"orderbook_weather\",\"sid\":7,\"seq\":{},\"msg\":{{}}}}", line.seq));
    let counted = [line.kalshi.counts(), line.polymarket.counts()].map(|c| c.canaries[Canary::UnknownFrame as usize]);
    assert_eq!(counted, [1, 1]);
    line.delta("yes", "0.3000", "1.00");
    assert_eq!((line.fit(KALSHI), line.fit(POLYMARKET)), (Ok(()), Ok(())));
    assert_eq!(line.kalshi.counts().gaps, 0);
}

/// Fault 14.
#[test]
fn a_known_field_of_the_wrong_type_drops_the_message_and_the_market() {
    let mut line = Line::open();
    line.seq += 1;
    let frame = kalshi_delta(line.seq, "yes", "0.4400", "1.00").replace("\"0.4400\"", "0.44");
    line.kalshi(&frame);
    assert_eq!(line.fit(KALSHI), Err(Unfit::Doubtful(Doubt::Malformed)));
    assert!(line.asked_again());
    line.resync();
    assert_eq!(line.fit(KALSHI), Ok(()));

    let at = desk::at(line.desk.now).unix;
    line.polymarket(&polymarket_change(at, "BUY", "0.44", "5").replace("\"5\"", "5"));
    assert_eq!(line.fit(POLYMARKET), Err(Unfit::Doubtful(Doubt::Malformed)));
    assert!(line.asked_again());
    line.polymarket(&polymarket_book(&[("0.44", "100")], &[("0.46", "100")]));
    assert_eq!((line.fit(POLYMARKET), line.lost), (Ok(()), None));
}

/// Fault 14.
#[test]
fn more_than_five_unreadable_messages_a_minute_end_the_connection() {
    for venue in Venue::ALL {
        let mut line = Line::open();
        for strike in 1..=6 {
            assert_eq!(line.lost, None, "{venue}, before strike {strike}");
            line.bytes(venue, b"{\"type\":");
        }
        assert_eq!(line.lost, Some(Lost::Unreadable), "{venue}");

        let mut slow = Line::open();
        for _ in 0..12 {
            slow.bytes(venue, b"]");
            slow.resync();
            slow.polymarket(&polymarket_book(&[("0.44", "100")], &[("0.46", "100")]));
            slow.live(Nanos::secs(13), Line::answer);
        }
        assert_eq!(slow.lost, None, "{venue}: five a minute are borne");
    }
}

/// Fault 15.
#[test]
fn a_venue_clock_that_runs_ahead_is_nonsense_and_not_used() {
    let mut line = Line::open();
    let ahead = UnixMs::new(desk::at(line.desk.now).unix.raw() + 5_001);
    line.polymarket(&polymarket_change(ahead, "BUY", "0.44", "90"));
    let told = |line: &Line| {
        let nonsense = |what: &What| matches!(what, What::Canary { canary: Canary::ClockNonsense, .. });
        line.desk.told.iter().filter(|event| nonsense(&event.what)).count()
    };
    assert_eq!(told(&line), 1, "counted and told");
    assert_ne!(line.fit(POLYMARKET), Err(Unfit::Lagging));
    let backwards = UnixMs::new(1);
    line.polymarket(&polymarket_change(backwards, "BUY", "0.44", "80"));
    assert_eq!(line.fit(POLYMARKET), Err(Unfit::Lagging), "a stamp of 1970 is half a century of lag: unfit");
    let now = desk::at(line.desk.now).unix;
    line.polymarket(&polymarket_change(now, "BUY", "0.44", "70"));
    assert_eq!(line.fit(POLYMARKET), Ok(()), "measured anew with every frame");
}

/// Fault 15.
#[test]
fn a_stream_without_gaps_that_comes_half_a_minute_late_is_not_traded_on() {
    let mut line = Line::open();
    for _ in 0..100 {
        line.desk.now = line.desk.now + MS(100);
        let late = UnixMs::new(desk::at(line.desk.now).unix.raw() - 28_000);
        line.polymarket(&polymarket_change(late, "BUY", "0.44", "100"));
        line.seq += 1;
        let stamped = kalshi_delta(line.seq, "yes", "0.4400", "1.00")
            .replace("\"side\":", &format!("\"ts_ms\":{},\"side\":", late.raw()));
        line.kalshi(&stamped);
        assert_eq!((line.fit(KALSHI), line.fit(POLYMARKET)), (Err(Unfit::Lagging), Err(Unfit::Lagging)));
    }
    assert_eq!((line.kalshi.counts().gaps, line.desk.planned()), (0, 0));
}

/// Fault 17.
#[test]
fn an_edge_too_good_to_be_true_is_shown_and_not_taken() {
    let mut line = Line::open();
    line.change("SELL", "0.46", "0");
    line.change("BUY", "0.60", "100");
    let seen = line.desk.last();
    assert_eq!((seen.reason, line.desk.planned()), (Some(Reason::TooGood), 0), "14 ¢ gross");
    assert_eq!(seen.quote.gross, desk::rate(1_400));
    // The pair stays suspended, also for an edge that looks fair, until a person has looked at it.
    line.change("BUY", "0.60", "0");
    line.change("BUY", "0.52", "100");
    assert_eq!((line.desk.last().quote.gross, line.desk.planned()), (desk::rate(600), 0));
    assert_eq!(line.desk.last().reason, Some(Reason::TooGood));
    assert_eq!(line.desk.told.iter().filter(|e| matches!(e.what, What::Suspended { .. })).count(), 1);
}

/// Fault 57, as far as the protocol sees it.
#[test]
fn a_connection_without_a_byte_for_fifteen_seconds_is_left_and_its_books_are_unfit() {
    let mut line = Line::open();
    line.wait(Nanos::secs(15));
    assert_eq!(line.lost, None);
    line.wait(Nanos::secs(1));
    assert_eq!(line.lost, Some(Lost::Silent));
    assert_eq!((line.fit(KALSHI), line.fit(POLYMARKET)), (Err(Unfit::Silent), Err(Unfit::Silent)));
    line.drop_link(KALSHI);
    assert_eq!(line.fit(KALSHI), Err(Unfit::Doubtful(Doubt::Disconnected)));
}

#[test]
fn updates_about_a_market_that_nobody_asked_for_are_ignored() {
    let mut line = Line::open();
    line.seq += 1;
    let stranger = kalshi_delta(line.seq, "yes", "0.4400", "1.00").replace("FED-DEC", "OTHER");
    line.kalshi(&stranger);
    line.polymarket(&polymarket_book(&[], &[]).replace("111", "999"));
    assert_eq!((line.fit(KALSHI), line.fit(POLYMARKET)), (Ok(()), Ok(())));
    assert_eq!(line.touch(POLYMARKET), (Some(4_400), Some(4_600)));
}

/// Fault 16: ten times the messages, decided once, on the newest.
#[test]
fn a_storm_is_worked_off_and_decided_once_on_what_stands_at_its_end() {
    let mut line = Line::open();
    let now = line.desk.now;
    let level = |raw, qty| desk::update(POLYMARKET, now, Kind::Level { side: BookSide::Bid, price: price(raw), qty });
    // Ten thousand changes in which a bid of 0.52 comes and goes: an opportunity that is gone before anybody looks.
    let mut storm: Vec<_> = (0..5_000).flat_map(|_| [level(5_200, Qty::whole(100)), level(5_200, Qty::ZERO)]).collect();
    line.desk.all(&storm);
    assert!(line.desk.seen().is_empty(), "nothing was decided on what is gone");
    storm.extend([desk::update(
        POLYMARKET,
        now,
        Kind::Level { side: BookSide::Ask, price: price(4_600), qty: Qty::ZERO },
    )]);
    storm.push(level(5_200, Qty::whole(100)));
    line.desk.all(&storm);
    assert_eq!((line.desk.seen().len(), line.desk.planned()), (1, 1), "one look, one plan");
}
