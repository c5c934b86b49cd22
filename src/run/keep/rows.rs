//! What happened, as rows of the audit trail: opportunities, plans, fills, positions, settlements.

use super::{
    Keeper, MarketName, Seen, Told,
    book::{self, Moved, PlanBook},
};
use crate::{
    decide::{Quote, Reason, rule::lock_millidays},
    ledger::audit::{self, Action, Fate, Finality, Row},
    order::plan::Ending,
    run::event::Fill,
    spread::Direction,
    unit::{MarketId, Money, Outcome, PairId, Price, Qty, UnixMs, Venue},
};

impl Keeper {
    /// YES and NO became dollars, or the transaction is dead.
    pub(super) fn merged(&mut self, at: UnixMs, market: MarketId, qty: Qty, done: bool) {
        let name = self.market(market).name.clone();
        let text = if done {
            format!("{name}: {qty} YES and NO became {}", Money::dollar_each(qty))
        } else {
            format!("{name}: {qty} YES and NO were not put together: no transaction came; it is tried again")
        };
        if done {
            self.push(Row::Merge(audit::Merge { market: name, qty, at }));
        }
        self.push(Row::Event(audit::Event { at, kind: "merge".into(), text: text.clone() }));
        let _ = self.setup.told.try_send(Told::Note(text));
    }

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
            realised_at: None,
        };
        let book = PlanBook::new(row.clone(), &name);
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

    /// What is held is to be sold.
    #[expect(clippy::too_many_arguments, reason = "the members of one event")]
    pub(super) fn leaving(
        &mut self,
        at: UnixMs,
        id: u64,
        pair: PairId,
        held: Direction,
        qty: Qty,
        limits: [Option<Price>; 2],
        loss: Money,
    ) {
        let name = self.pair(pair).clone();
        // One leg alone has one price.
        let [Some(kalshi), Some(polymarket)] = [limits[0].or(limits[1]), limits[1].or(limits[0])] else { return };
        let (yes_on, yes_limit, no_limit) = match held {
            Direction::YesKalshi => (Venue::Kalshi, kalshi, polymarket),
            Direction::YesPolymarket => (Venue::Polymarket, polymarket, kalshi),
        };
        let row = audit::Plan {
            id,
            opportunity_id: None,
            pair_key: name.key.clone(),
            yes_on,
            qty,
            yes_limit,
            no_limit,
            state: "leaving".into(),
            opened_at: at,
            closed_at: None,
            expected_net: -loss,
            realised_net: None,
            realised_at: None,
        };
        self.plans.insert(id, PlanBook::new(row.clone(), &name));
        self.push(Row::Plan(row));
        let what = if limits.iter().all(Option::is_some) { "both legs" } else { "a leg that stands alone" };
        let text = format!("{}: {what} sold, {qty} contracts, for at worst {:#} beyond their cost", name.title, -loss);
        let _ = self.setup.told.try_send(Told::Note(text));
    }

    /// A plan is begun with less than was decided.
    pub(super) fn cut(&mut self, plan: u64, qty: Qty) {
        if let Some(PlanBook { row, .. }) = self.plans.get_mut(&plan) {
            (row.expected_net, row.qty) = (row.expected_net.part(qty, row.qty), qty);
            let row = row.clone();
            self.push(Row::Plan(row));
        }
    }

    pub(super) fn filled(&mut self, at: UnixMs, plan: u64, fill: &Fill) {
        book::book(&mut self.plans, plan, &moved(fill));
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
        if let Some(book) = self.plans.get_mut(&plan) {
            book.void(&moved(fill));
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
            simulated: self.setup.simulated,
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
        // Every paired contract pays a dollar at settlement; what an exit sold has paid already.
        let spent = book.spent();
        let net = if book.exit { -spent } else { Money::micros(paired.micros() as i64) - spent };
        let told = Told::Ended {
            id: if book.exit { id } else { sighting },
            title: book.title.clone(),
            paired,
            naked,
            fees: book.fees,
            net,
            unwound,
            state,
        };
        let row = book.row.clone();
        self.push(Row::Plan(row));
        self.take_profits(at);
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
            Ending::Exited => return,
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

    /// Writes down what plans made whose legs are both paid.
    pub(super) fn take_profits(&mut self, at: UnixMs) {
        let done: Vec<_> = self.plans.iter().filter_map(|(id, book)| Some((*id, book.realised()?))).collect();
        for (id, realised) in done {
            let Some(mut book) = self.plans.remove(&id) else { continue };
            (book.row.realised_net, book.row.realised_at) = (Some(realised), Some(at));
            let settled = !book.is_empty();
            if settled {
                book.row.state = "settled".into();
            }
            let sold = book.row.state == Ending::Exited.name();
            self.push(Row::Plan(book.row));
            self.status.realised_total += realised.raw();
            // One that came to nothing, and an entry whose profit is its exit's, are neither won nor lost.
            if realised == Money::ZERO && !settled && !sold {
                continue;
            }
            let wins = if realised < Money::ZERO { &mut self.status.losses } else { &mut self.status.wins };
            *wins += 1;
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
        for book in self.plans.values_mut() {
            book.pay(market, yes_payout);
        }
        self.take_profits(at);
        {
            let pairs = self.setup.pairs.iter();
            let title = pairs.clone().find(|p| p.markets.contains(&market)).map_or(String::new(), |p| p.title.clone());
            let _ = self.setup.told.try_send(Told::Settled { title, market: name.name, yes_payout, paid, result });
        }
    }
}

fn moved(fill: &Fill) -> Moved {
    let Fill { market, venue, outcome, bought, price, qty, fee, .. } = *fill;
    Moved { market, venue, outcome, bought, price, qty, fee }
}
