//! What happened, as rows of the audit trail: opportunities, plans, fills, positions, settlements.

use super::{Keeper, MarketName, PlanBook, Seen, Told};
use crate::{
    decide::{Quote, Reason, rule::lock_millidays},
    ledger::audit::{self, Action, Fate, Finality, Row},
    order::plan::Ending,
    run::event::Fill,
    spread::Direction,
    unit::{MarketId, Money, Outcome, PairId, Price, Qty, UnixMs, Venue},
};

impl Keeper {
    #[expect(clippy::too_many_arguments, reason = "the members of one event")]
    pub(super) fn sighted(
        &mut self,
        at: UnixMs,
        id: u64,
        pair: PairId,
        direction: Direction,
        quote: &Quote,
        reason: Option<Reason>,
        detect_ns: u32,
    ) {
        let name = self.pair(pair).clone();
        let code = reason.map(Reason::code);
        if let Some(code) = code
            && self.last_reason.insert(id, code) != Some(code)
        {
            *self.reasons.entry(code).or_default() += 1;
        }
        let known = self.seen.contains_key(&id);
        let [Some(k), Some(p)] = quote.cost else { return };
        let (yes_on, yes_price, no_price) = match direction {
            Direction::YesKalshi => (Venue::Kalshi, k, p),
            Direction::YesPolymarket => (Venue::Polymarket, p, k),
        };
        let seen = self.seen.entry(id).or_insert_with(|| Seen {
            row: audit::Opportunity {
                id,
                pair_key: name.key.clone(),
                title: name.title.clone(),
                yes_on,
                seen_at: at,
                ended_at: None,
                yes_price,
                no_price,
                gross: 0,
                fee: 0,
                net: i64::MIN,
                qty: Qty::ZERO,
                depth: Money::ZERO,
                annual_yield_ppm: None,
                days_to_settle_milli: None,
                outcome: Fate::Open,
                reason: None,
                detect_ns: Some(u64::from(detect_ns)),
                plan_id: None,
            },
            plan: false,
            over: false,
        });
        let row = &mut seen.row;
        if row.net <= quote.net.micros() {
            (row.yes_price, row.no_price) = (yes_price, no_price);
            (row.gross, row.net) = (quote.gross.micros(), quote.net.micros());
            row.fee = row.gross - row.net;
            (row.qty, row.depth) = (quote.qty, quote.depth);
            row.annual_yield_ppm = Some(quote.yearly_ppm);
            row.days_to_settle_milli = i64::try_from(lock_millidays(quote.lock_ms)).ok();
            // The reason belongs to the figures beside it, those of the best moment.
            if !seen.plan {
                row.reason = code.map(str::to_owned);
            }
        }
        let row = row.clone();
        self.push(Row::Opportunity(row));
        if let (Some(reason), false) = (reason, known) {
            let _ = self.setup.told.try_send(Told::Skipped { id, title: name.title, quote: *quote, reason });
        }
    }

    pub(super) fn ended(&mut self, id: u64, at: UnixMs) {
        let Some(seen) = self.seen.get_mut(&id) else { return };
        seen.row.ended_at = Some(at);
        if !seen.plan {
            seen.row.outcome = Fate::Skipped;
        }
        seen.over = true;
        let (row, done) = (seen.row.clone(), !seen.plan);
        self.push(Row::Opportunity(row));
        if done {
            self.seen.remove(&id);
            self.last_reason.remove(&id);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one event")]
    pub(super) fn planned(
        &mut self,
        at: UnixMs,
        id: u64,
        sighting: u64,
        pair: PairId,
        direction: Direction,
        qty: Qty,
        limits: [Price; 2],
        net: Money,
    ) {
        let name = self.pair(pair).clone();
        let (yes_on, yes_limit, no_limit) = match direction {
            Direction::YesKalshi => (Venue::Kalshi, limits[0], limits[1]),
            Direction::YesPolymarket => (Venue::Polymarket, limits[1], limits[0]),
        };
        let row = audit::Plan {
            id,
            opportunity_id: Some(sighting),
            pair_key: name.key.clone(),
            yes_on,
            qty,
            yes_limit,
            no_limit,
            state: "entering".into(),
            opened_at: at,
            closed_at: None,
            expected_net: net,
            realised_net: None,
        };
        let legs = name.markets.map(|market| (market, Outcome::Yes, Qty::ZERO, Money::ZERO));
        let book = PlanBook {
            row: row.clone(),
            title: name.title.clone(),
            fees: [Money::ZERO; 2],
            legs,
            paid: [None; 2],
            unwound: Money::ZERO,
            closed: false,
        };
        self.plans.insert(id, book);
        if let Some(seen) = self.seen.get_mut(&sighting) {
            seen.plan = true;
            seen.row.outcome = Fate::Planned;
            seen.row.reason = None;
            seen.row.plan_id = Some(id);
            let told = Told::Planned {
                id: sighting,
                title: name.title,
                direction,
                qty,
                quote: Quote {
                    cost: match direction {
                        Direction::YesKalshi => [Some(seen.row.yes_price), Some(seen.row.no_price)],
                        Direction::YesPolymarket => [Some(seen.row.no_price), Some(seen.row.yes_price)],
                    },
                    yearly_ppm: seen.row.annual_yield_ppm.unwrap_or(0),
                    lock_ms: seen.row.days_to_settle_milli.unwrap_or(0) as u64 * 86_400,
                    ..Quote::default()
                },
                net,
                detect_ns: seen.row.detect_ns.unwrap_or(0) as u32,
            };
            let row = seen.row.clone();
            let _ = self.setup.told.try_send(told);
            self.push(Row::Opportunity(row));
        }
        self.push(Row::Plan(row));
    }

    pub(super) fn filled(&mut self, at: UnixMs, plan: u64, fill: &Fill) {
        let gross = if fill.bought { fill.price.cost(fill.qty) } else { fill.price.proceeds(fill.qty) };
        let leg = usize::from(fill.venue == Venue::Polymarket);
        if let Some(book) = self.plans.get_mut(&plan) {
            book.fees[leg] += fill.fee;
            let (_, outcome, filled, spent) = &mut book.legs[leg];
            let closes = !fill.bought || (!filled.is_zero() && *outcome != fill.outcome);
            if closes {
                // Sold, or closed by buying the other outcome, of which each contract brings its dollar.
                let back = if fill.bought {
                    Money::micros(fill.qty.micros() as i64) - gross - fill.fee
                } else {
                    gross - fill.fee
                };
                *filled = filled.saturating_sub(fill.qty);
                *spent -= back;
            } else {
                *outcome = fill.outcome;
                *filled = filled.checked_add(fill.qty).unwrap_or(Qty::MAX);
                *spent += gross + fill.fee;
            }
        }
        self.fill_row(at, plan, fill, if fill.provisional { Finality::Provisional } else { Finality::Final });
        let told = Told::Filled { plan, market: self.market(fill.market).name.clone(), fill: *fill };
        let _ = self.setup.told.try_send(told);
        if fill.polled {
            self.status.polled_fills += 1;
        }
        self.status.fills += 1;
    }

    /// A fill that was provisional failed: the plan has it no longer.
    pub(super) fn voided(&mut self, at: UnixMs, plan: u64, fill: &Fill) {
        let gross = if fill.bought { fill.price.cost(fill.qty) } else { -fill.price.proceeds(fill.qty) };
        if let Some(book) = self.plans.get_mut(&plan) {
            let leg = usize::from(fill.venue == Venue::Polymarket);
            book.fees[leg] -= fill.fee;
            let (_, outcome, filled, spent) = &mut book.legs[leg];
            *spent -= gross + fill.fee;
            let opened = fill.bought && *outcome == fill.outcome;
            *filled = if opened {
                filled.saturating_sub(fill.qty)
            } else {
                // A closing fill that fails opens its contracts again; one that was bought brings no dollar.
                *spent += if fill.bought { Money::dollar_each(fill.qty) } else { Money::ZERO };
                filled.checked_add(fill.qty).unwrap_or(Qty::MAX)
            };
        }
        self.fill_row(at, plan, fill, Finality::Void);
        let text = format!("{}: a fill of {} failed after the match", self.market(fill.market).name, fill.qty);
        let _ = self.setup.told.try_send(Told::Note(text));
    }

    pub(super) fn fill_row(&mut self, at: UnixMs, plan: u64, fill: &Fill, finality: Finality) {
        let market = self.market(fill.market).name.clone();
        self.push(Row::Fill(audit::Fill {
            id: fill.trade.as_str().to_owned(),
            plan_id: Some(plan),
            leg: u8::from(fill.venue == Venue::Polymarket),
            venue: fill.venue,
            market,
            outcome: fill.outcome,
            action: if fill.bought { Action::Buy } else { Action::Sell },
            price: fill.price,
            qty: fill.qty,
            fee: fill.fee,
            at,
            book_stamp: Some(fill.book_stamp),
            finality,
            simulated: true,
        }));
    }

    /// What a market's holding is now.
    pub(super) fn holding(&mut self, at: UnixMs, market: MarketId, qty: [Qty; 2], cost: [Money; 2]) {
        let MarketName { venue, name } = self.market(market).clone();
        for outcome in [Outcome::Yes, Outcome::No] {
            let now = (qty[outcome as usize], cost[outcome as usize]);
            let before = if now == (Qty::ZERO, Money::ZERO) {
                self.held.remove(&(market, outcome))
            } else {
                self.held.insert((market, outcome), now)
            };
            if before.unwrap_or_default() != now {
                let (market, (qty, cost)) = (name.clone(), now);
                self.push(Row::Position(audit::Position { venue, market, outcome, qty, cost, updated_at: at }));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one event")]
    pub(super) fn plan_ended(
        &mut self,
        at: UnixMs,
        id: u64,
        sighting: u64,
        paired: Qty,
        naked: Qty,
        unwound: Money,
        state: Ending,
    ) {
        let Some(book) = self.plans.get_mut(&id) else { return };
        book.closed = true;
        book.unwound = unwound;
        book.row.state = state.name().into();
        book.row.closed_at = Some(at);
        let spent = book.legs[0].3 + book.legs[1].3;
        // Every paired contract pays a dollar at settlement.
        let net = Money::micros(paired.micros() as i64) - spent;
        let empty = book.legs.iter().all(|leg| leg.2.is_zero());
        if empty {
            book.row.realised_net = Some(-spent);
        }
        let told = Told::Ended {
            id: sighting,
            title: book.title.clone(),
            paired,
            naked,
            fees: book.fees,
            net,
            unwound,
            state,
        };
        let row = book.row.clone();
        if empty {
            self.plans.remove(&id);
        }
        self.push(Row::Plan(row));
        if matches!(state, Ending::Unwound | Ending::Dust | Ending::Naked) {
            self.status.unwinds += 1;
        }
        *self.status.endings.entry(state.name().to_owned()).or_default() += 1;
        let _ = self.setup.told.try_send(told);
        let Some(seen) = self.seen.get_mut(&sighting) else { return };
        (seen.row.outcome, seen.row.reason) = match state {
            Ending::Filled => (Fate::Filled, None),
            Ending::Partial | Ending::Unwound | Ending::Dust | Ending::Naked => {
                (Fate::Partial, Some(state.name().to_uppercase()))
            }
            Ending::Missed => (Fate::Missed, Some(Reason::Gone.code().to_owned())),
            Ending::Withheld => (Fate::Missed, Some(Reason::NotReady.code().to_owned())),
        };
        match state {
            Ending::Missed => *self.reasons.entry(Reason::Gone.code()).or_default() += 1,
            Ending::Withheld => *self.reasons.entry(Reason::NotReady.code()).or_default() += 1,
            _ => {}
        }
        let (row, over) = (seen.row.clone(), seen.over);
        self.push(Row::Opportunity(row));
        if over {
            self.seen.remove(&sighting);
            self.last_reason.remove(&sighting);
        }
    }

    pub(super) fn settled(
        &mut self,
        at: UnixMs,
        market: MarketId,
        yes_payout: Money,
        held: [Qty; 2],
        paid: Money,
        result: Money,
    ) {
        let name = self.market(market).clone();
        let settlement = audit::Settlement {
            venue: name.venue,
            market: name.name.clone(),
            yes_payout,
            qty_yes: held[0],
            qty_no: held[1],
            paid,
            at,
        };
        self.push(Row::Settlement(settlement));
        self.status.settlements += 1;
        let payout = |outcome: Outcome| match outcome {
            Outcome::Yes => yes_payout,
            Outcome::No => Money::dollars(1) - yes_payout,
        };
        let mut done = Vec::new();
        let mut rows = Vec::new();
        for (id, book) in &mut self.plans {
            for leg in 0..2 {
                let (leg_market, outcome, qty, _) = book.legs[leg];
                if leg_market == market && book.paid[leg].is_none() {
                    let micros = i128::from(payout(outcome).raw()) * i128::from(qty.micros()) / 1_000_000;
                    book.paid[leg] = Some(Money::micros(micros as i64));
                }
            }
            if let ([Some(k), Some(p)], true) = (book.paid, book.closed) {
                let realised = k + p - book.legs[0].3 - book.legs[1].3;
                book.row.realised_net = Some(realised);
                book.row.state = "settled".into();
                rows.push(Row::Plan(book.row.clone()));
                let wins = if realised < Money::ZERO { &mut self.status.losses } else { &mut self.status.wins };
                *wins += 1;
                done.push(*id);
            }
        }
        for row in rows {
            self.push(row);
        }
        for id in done {
            self.plans.remove(&id);
        }
        {
            let pairs = self.setup.pairs.iter();
            let title = pairs.clone().find(|p| p.markets.contains(&market)).map_or(String::new(), |p| p.title.clone());
            let _ = self.setup.told.try_send(Told::Settled { title, market: name.name, yes_payout, paid, result });
        }
    }
}
