//! The whole account: cash, standing orders, and the balance of every token that we know (dossier 3.12). Whole or
//! nothing: a listing in part would look like a position that is gone.

use std::collections::BTreeMap;

use super::{
    Market, PolymarketGateway,
    line::{What, page},
};
use crate::{
    fill::Whose,
    unit::{MarketId, Money, OrderId, Outcome, Qty, Tag, UnixMs},
    venue::{
        gateway::{Account, Answer, Held, Out},
        pace::Bucket,
        polymarket::{contract::Chain, order::Exchange, report},
    },
    wire::{
        Arrival,
        json::{Item, Malformed, Slot},
    },
};

/// Balances get 200 in ten seconds, by address; somebody may be using the web site.
pub(super) const BALANCES: Bucket = Bucket::new(15, 50);
/// Questions for balances that are under way at once.
const AT_ONCE: usize = 8;
/// Questions for balances that may get lost and are asked again, before the whole reading is given up.
const LOST_MAX: u32 = 16;
const PAGES_MAX: u32 = 50;

/// What a call of a survey asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Cash,
    Standing,
    Token(MarketId, Outcome),
}

/// The account, as far as it is known.
#[derive(Debug)]
pub(super) struct Survey {
    no: u32,
    asked: UnixMs,
    cash: Option<(Money, Option<Money>)>,
    standing: Vec<(Tag, Option<OrderId>)>,
    /// The last page of orders has come.
    listed: bool,
    pages: u32,
    /// Tokens to ask for.
    queue: Vec<(MarketId, Outcome)>,
    /// Tokens that are asked for.
    open: usize,
    lost: u32,
    held: BTreeMap<MarketId, [Qty; 2]>,
}

impl PolymarketGateway {
    pub(super) fn start_survey(&mut self, at: Arrival, out: &mut Out) {
        if self.survey.is_some() {
            return;
        }
        let known = self.markets.iter().enumerate().filter(|(_, market)| market.is_some());
        let queue = known.flat_map(|(id, _)| [Outcome::No, Outcome::Yes].map(|outcome| (MarketId(id as u32), outcome)));
        self.surveys = self.surveys.wrapping_add(1);
        let survey = self.surveys;
        self.survey = Some(Survey {
            no: survey,
            asked: at.unix,
            cash: None,
            standing: Vec::new(),
            listed: false,
            pages: 1,
            queue: queue.rev().collect(),
            open: 0,
            lost: 0,
            held: BTreeMap::new(),
        });
        let cash = format!("/balance-allowance?asset_type=COLLATERAL&signature_type={}", self.signature_type);
        self.line.ask(What::Account { survey, part: Part::Cash }, &cash, at, out);
        let orders = "/data/orders?next_cursor=MA==";
        self.line.ask(What::Account { survey, part: Part::Standing }, orders, at, out);
        self.feed_survey(at, out);
    }

    /// Asks for more tokens, as far as the venue's budget goes.
    pub(super) fn feed_survey(&mut self, at: Arrival, out: &mut Out) {
        let Self { survey: Some(survey), markets, line, balances, signature_type, .. } = self else { return };
        while survey.open < AT_ONCE
            && let Some(&(id, outcome)) = survey.queue.last()
            && balances.take(1, 0, at.now)
        {
            survey.queue.pop();
            let Some(market) = markets[id.0 as usize].as_ref() else { continue };
            let kind = if market.exchange == Exchange::V3 { "CONDITIONAL-V2" } else { "CONDITIONAL" };
            let token = market.tokens[outcome as usize];
            let target =
                format!("/balance-allowance?asset_type={kind}&token_id={token}&signature_type={signature_type}");
            survey.open += 1;
            line.ask(What::Account { survey: survey.no, part: Part::Token(id, outcome) }, &target, at, out);
        }
    }

    pub(super) fn survey_answered(&mut self, no: u32, part: Part, answer: Answer<'_>, at: Arrival, out: &mut Out) {
        if self.survey.as_ref().is_none_or(|survey| survey.no != no) {
            return;
        }
        let read = match answer {
            Answer::Whole { status: 200, body } => self.survey_part(part, body, at, out),
            Answer::Whole { status, body } => {
                if matches!(status, 400 | 401 | 403) {
                    out.strange.push(self.line.strange(&format!("the account, {status}"), body));
                }
                Err(Malformed::Shape)
            }
            Answer::NotSent | Answer::Lost(_) => Err(Malformed::Shape),
        };
        if read.is_err() {
            // A balance that got lost need not cost the budget of all the others.
            match (part, &mut self.survey) {
                (Part::Token(id, outcome), Some(survey)) if survey.lost < LOST_MAX => {
                    survey.lost += 1;
                    survey.open -= 1;
                    survey.queue.insert(0, (id, outcome));
                }
                _ => {
                    self.survey = None;
                    return;
                }
            }
        }
        self.feed_survey(at, out);
        self.finish_survey(out);
    }

    fn survey_part(&mut self, part: Part, body: &mut [u8], at: Arrival, out: &mut Out) -> Result<(), Malformed> {
        let Self { survey: Some(survey), parser, lives, line, spenders, .. } = self else { return Ok(()) };
        match part {
            Part::Cash => {
                let (cash, allowance) = parser.parse(body, |root| balance(root, spenders))?;
                let cash = i64::try_from(cash).map_err(|_| Malformed::Field("balance"))?;
                survey.cash = Some((Money::micros(cash), allowance));
            }
            Part::Token(id, outcome) => {
                let (qty, _) = parser.parse(body, |root| balance(root, &[]))?;
                let qty = Qty::new(qty).ok_or(Malformed::Qty("balance"))?;
                survey.open -= 1;
                survey.held.entry(id).or_default()[outcome as usize] = qty;
            }
            Part::Standing => {
                let next = parser.parse(body, |root| {
                    page(root, |order| {
                        let Whose::Named(tag) = report::order(order, at.unix)?.order else { return Ok(()) };
                        let ours = lives.iter().find(|(_, life)| life.tag == tag).map(|(id, _)| *id);
                        survey.standing.push((tag, ours));
                        Ok(())
                    })
                })?;
                survey.listed = next.is_none();
                if let Some(cursor) = next {
                    survey.pages += 1;
                    if PAGES_MAX < survey.pages {
                        return Err(Malformed::Shape);
                    }
                    let what = What::Account { survey: survey.no, part: Part::Standing };
                    line.ask(what, &format!("/data/orders?next_cursor={cursor}"), at, out);
                }
            }
        }
        Ok(())
    }

    fn finish_survey(&mut self, out: &mut Out) {
        let whole =
            |survey: &Survey| survey.cash.is_some() && survey.listed && survey.queue.is_empty() && survey.open == 0;
        let Some(survey) = self.survey.take_if(|survey| whole(survey)) else { return };
        let Some((cash, allowance)) = survey.cash else { return };
        let some = survey.held.into_iter().filter(|(_, qty)| qty.iter().any(|qty| !qty.is_zero()));
        let held = some.filter_map(|(id, qty)| Some(Held { market: self.market(id)?.condition, qty })).collect();
        let (as_of, standing) = (survey.asked, survey.standing);
        out.account = Some(Account { as_of, cash: vec![(0, cash)], allowance, held, standing });
    }
}

/// The contracts that settle these markets, as the venue writes them.
pub(super) fn spenders(markets: &[Option<Market>], chain: Chain) -> Vec<String> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for market in markets.iter().flatten() {
        if !exchanges.contains(&market.exchange) {
            exchanges.push(market.exchange);
        }
    }
    let contract = |exchange: Exchange| exchange.domain(chain).verifying_contract;
    exchanges.into_iter().filter_map(contract).map(|contract| contract.to_string()).collect()
}

/// Reads a balance in millionths, and the least that the spenders may move; `None` where one of them is not named.
fn balance(root: Item<'_, '_>, spenders: &[String]) -> Result<(u64, Option<Money>), Malformed> {
    let (mut balance, mut allowances) = (Slot::new("balance"), Slot::new("allowances"));
    for (key, value) in root.members()? {
        match key {
            "balance" => balance.fill(value)?,
            "allowances" => allowances.fill(value)?,
            _ => {}
        }
    }
    let text = balance.text()?;
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let micros = text.parse().ok().filter(|_| plain).ok_or(Malformed::Field("balance"))?;
    let Some(named) = allowances.item() else { return Ok((micros, None)) };
    let mut known: Vec<(&str, Money)> = Vec::new();
    for (spender, value) in named.members()? {
        let text = value.text().ok_or(Malformed::Field("allowances"))?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Malformed::Field("allowances"));
        }
        // Up to 256 bits: what does not fit is as good as all there is.
        known.push((spender, Money::micros(text.parse().unwrap_or(i64::MAX))));
    }
    let of = |spender: &String| known.iter().find(|(name, _)| name.eq_ignore_ascii_case(spender)).map(|known| known.1);
    let amounts: Option<Vec<Money>> = spenders.iter().map(of).collect();
    Ok((micros, amounts.and_then(|amounts| amounts.into_iter().min())))
}
