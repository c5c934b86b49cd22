// Columns that several tables share: opportunities, plans, holdings.

import { age, cents, clock, full, money, number, percent, price, quantity, result, shown, span, trend, venue } from './format.js';
import { prefs } from './prefs.js';

const OUTCOMES = { open: 'OPEN', skipped: 'SKIP', planned: 'PLANNED', filled: 'FILLED', partial: 'PARTIAL', missed: 'MISSED' };

/** What became of it, as a word with a mark. */
export const outcome = (name) => ({ text: OUTCOMES[name] ?? String(name ?? '–').toUpperCase(), class: `chip ${name}` });

/** A result with sign, mark and colour. */
export const gain = (micros, digits) => ({ text: result(micros, digits), class: `way-${trend(micros).way}` });

const per = (micros) => ({ text: cents(micros), class: micros < 0 ? 'way-down' : '' });
const other = (name) => (String(name).toLowerCase() === 'kalshi' ? 'polymarket' : 'kalshi');

/** `YES Kalshi 0.4800 + NO Polymarket 0.5100`. */
export const direction = (row) => `YES ${venue(row.yes_on)} + NO ${venue(other(row.yes_on))}`;

const time = (ms) => ({ text: clock(ms, prefs.zone), title: full(ms, prefs.zone) });

export const opportunityColumns = [
  { label: 'Seen', cell: (o) => time(o.seen_ms) },
  { label: 'Market', pick: true, class: 'title', cell: (o) => ({ foreign: o.title, title: shown(o.title) }) },
  { label: 'YES on', class: 'dim', cell: (o) => ({ text: venue(o.yes_on), title: direction(o) }) },
  { label: 'YES', num: true, cell: (o) => price(o.yes_price), title: 'Price of YES at the best moment' },
  { label: 'NO', num: true, cell: (o) => price(o.no_price), title: 'Price of NO at the best moment' },
  { label: 'Gross', num: true, cell: (o) => per(o.gross), title: 'A dollar less both prices, per contract' },
  { label: 'Fees', num: true, cell: (o) => cents(o.fee), title: 'Both venues’ fees, per contract' },
  { label: 'Net', num: true, class: 'strong', cell: (o) => ({ text: (0 < o.net ? '+' : '') + cents(o.net), class: `way-${trend(o.net).way}` }), title: 'Gross less fees, per contract' },
  { label: 'Per year', num: true, cell: (o) => percent(o.yearly_ppm, 0), title: 'Net on the money locked, for a year' },
  { label: 'Days', num: true, cell: (o) => number((o.days_milli ?? NaN) / 1e3, o.days_milli < 10_000 ? 1 : 0), title: 'Until it settles' },
  { label: 'Contracts', num: true, cell: (o) => quantity(o.qty) },
  { label: 'Depth', num: true, cell: (o) => money(o.depth, 0), title: 'On the thinner book, within the slippage tolerance' },
  { label: 'Detect', num: true, cell: (o) => span(o.detect_ns), title: 'From the frame to the decision' },
  { label: 'Outcome', cell: (o) => outcome(o.outcome) },
  { label: 'Why', class: 'code', cell: (o) => ({ text: o.reason ?? '–', title: o.sentence ? shown(o.sentence) : '' }) },
];

// A plan's orders are over long before its markets pay.
const over = (plan) => plan.realised_ms ?? plan.closed_ms;
const held = (plan) => (over(plan) ? over(plan) - plan.opened_ms : null);
const STATES = { filled: 'FILLED', settled: 'SETTLED', unwound: 'UNWOUND', partial: 'PARTIAL', missed: 'MISSED', naked: 'NAKED', void: 'VOID', exited: 'SOLD', open: 'OPEN' };
export const planState = (plan) => ({ text: STATES[plan.state] ?? shown(String(plan.state ?? '–')).toUpperCase(), class: `chip ${shown(plan.state ?? '')}` });

/** Closed plans; `short` leaves out what a narrow panel has no room for. */
export function tradeColumns(short) {
  const all = [
    { label: 'Closed', cell: (t) => ({ ms: over(t) }) },
    { label: 'Market', class: 'title', pick: true, cell: (t) => ({ foreign: t.title, title: shown(t.title) }) },
    { label: 'Direction', class: 'dim', wide: true, cell: direction },
    { label: 'Contracts', num: true, wide: true, cell: (t) => quantity(t.qty) },
    { label: 'Limits', num: true, wide: true, cell: (t) => `${price(t.yes_limit)} + ${price(t.no_limit)}` },
    { label: 'Spent', num: true, wide: true, cell: (t) => money(t.spent) },
    { label: 'Fees', num: true, wide: true, cell: (t) => money(t.fees) },
    { label: 'Expected', num: true, wide: true, cell: (t) => money(t.expected) },
    { label: 'Net', num: true, class: 'strong', cell: (t) => (t.realised === null || t.realised === undefined ? { text: 'not paid yet', class: 'dim', title: 'Held until its markets settle' } : gain(t.realised)) },
    { label: 'State', cell: (t) => ({ ...planState(t), title: t.provisional ? 'provisional: a venue may still reverse it' : '' }) },
    { label: 'Held', num: true, cell: (t) => (held(t) === null ? '–' : age(held(t))) },
  ];
  return short ? all.filter((column) => !column.wide) : all;
}

const legs = (plan) => (plan.legs ?? []).map((leg) => `${venue(leg.venue)} ${String(leg.outcome).toUpperCase()} ${quantity(leg.qty)} for ${money(leg.cost)}`).join(' · ');

/** Open plans. */
export function positionColumns(short) {
  const all = [
    { label: 'Opened', cell: (p) => ({ ms: p.opened_ms }) },
    { label: 'Market', class: 'title', pick: true, cell: (p) => ({ foreign: p.title, title: shown(p.title) }) },
    { label: 'Legs', class: 'dim', wide: true, cell: (p) => ({ text: legs(p) }) },
    { label: 'Contracts', num: true, cell: (p) => quantity(p.qty) },
    { label: 'Cost', num: true, cell: (p) => ({ text: money((p.legs ?? []).reduce((sum, leg) => sum + leg.cost, 0)), title: legs(p) }) },
    { label: 'Expected', num: true, cell: (p) => gain(p.expected) },
    { label: 'Settles', cell: (p) => ({ ms: p.settles_ms }) },
    { label: 'State', cell: planState },
  ];
  return short ? all.filter((column) => !column.wide) : all;
}

export const holdingColumns = [
  { label: 'Market', class: 'title', head: true, cell: (x) => ({ foreign: x.title ?? x.market, title: shown(x.market) }) },
  { label: 'Its name there', class: 'code clip', cell: (x) => ({ foreign: x.market, title: shown(x.market) }) },
  { label: 'Venue', cell: (x) => venue(x.venue) },
  { label: 'Outcome', cell: (x) => String(x.outcome ?? '–').toUpperCase() },
  { label: 'Contracts', num: true, cell: (x) => quantity(x.qty) },
  { label: 'Cost', num: true, cell: (x) => money(x.cost) },
  { label: 'Each', num: true, cell: (x) => (x.qty ? number(x.cost / x.qty, 4) : '–') },
];
