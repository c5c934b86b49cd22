// One opportunity in full: what it would have paid, why it was taken or left, how long each step took, both books.

import { direction, outcome, planState } from '../columns.js';
import { foreign, h } from '../dom.js';
import { cents, full, money, number, percent, price, quantity, result, shown, span, trend, venue } from '../format.js';
import { waterfall } from '../maths.js';
import { prefs } from '../prefs.js';
import { facts, table } from '../table.js';

const STEPS = {
  read: 'read from the socket', frame: 'frame', parse: 'parse', ring: 'to the detector', book: 'book', decide: 'decide',
  sign: 'sign', send: 'send', ack: 'acknowledged', fill: 'filled',
};

/** Gross less fees is net: three figures, one line. */
function edge(o, plan) {
  const qty = plan?.qty ?? o.qty ?? 0;
  const part = (label, text, cls = '') => h('div', { class: `term ${cls}` }, h('span', { class: 'label' }, label), h('span', { class: 'value' }, text));
  const sum = h('div', { class: 'edge' },
    part('gross', cents(o.gross)), h('span', { class: 'op', 'aria-label': 'less' }, '−'), part('fees', cents(o.fee)),
    h('span', { class: 'op', 'aria-label': 'is' }, '='), part('net per contract', `${trend(o.net).mark} ${0 < o.net ? '+' : ''}${cents(o.net)}`, `way-${trend(o.net).way}`),
    h('span', { class: 'op', 'aria-label': 'times' }, '×'), part(plan ? 'contracts planned' : 'contracts on offer', quantity(qty)),
    h('span', { class: 'op', 'aria-label': 'is' }, '='), part(plan ? 'net expected' : 'net, were all taken', result(o.net * (qty / 1e6)), `way-${trend(o.net).way}`));
  return sum;
}

/** Bars, and the same numbers in a real table. */
function falls(spans) {
  const rows = waterfall(spans ?? []);
  const view = table({
    caption: 'Latency, step by step', label: 'Latency waterfall', key: (r) => r.step,
    columns: [
      { label: 'Step', head: true, cell: (r) => STEPS[r.step] ?? shown(r.step) },
      { label: 'Took', num: true, cell: (r) => span(r.ns) },
      { label: 'Ends at', num: true, cell: (r) => span(r.ends) },
      { label: 'From the first byte', class: 'fall', cell: (r) => ({ as: `${r.from}|${r.share}`, node: () => h('span', { class: 'fall-bar', 'aria-hidden': 'true' }, h('span', { style: { marginLeft: `${r.from * 100}%`, width: `max(2px, ${r.share * 100}%)` } })) }) },
    ],
    empty: 'No step was measured for this one.',
  });
  view.update(rows);
  return view.el;
}

/** Asks above bids, the touch in the middle; depth as a bar behind the quantity. */
function ladder(book) {
  const levels = [...(book.asks ?? []).slice(0, 8).map(([p, q]) => ['ask', p, q]).reverse(), ...(book.bids ?? []).slice(0, 8).map(([p, q]) => ['bid', p, q])];
  const most = Math.max(1, ...levels.map(([, , q]) => q));
  const view = table({
    caption: `${venue(book.venue)}, YES side`, label: `Book of ${venue(book.venue)}`, visible: true, key: (l) => `${l[0]}${l[1]}`,
    columns: [
      { label: 'Side', head: true, cell: ([side]) => ({ text: side, class: side }) },
      { label: 'Price', num: true, cell: ([, p]) => price(p) },
      { label: 'Contracts', num: true, class: 'depth', cell: ([side, , q]) => ({ as: `${side}${q}${most}`, node: () => h('span', { class: `depth-bar ${side}` }, h('span', { class: 'fillbar', 'aria-hidden': 'true', style: { width: `${(q / most) * 100}%` } }), h('span', {}, quantity(q))) }) },
    ],
    empty: 'The book was empty.',
  });
  view.update(levels);
  return view.el;
}

function planPart(plan, fills) {
  if (!plan) return h('p', { class: 'empty' }, 'No plan was made of it, so nothing was sent.');
  const list = facts();
  list.update([
    ['Plan', { text: `${number(plan.id)}` }], ['State', planState(plan)], ['Contracts', { text: quantity(plan.qty) }],
    ['Limits', { text: `YES ${price(plan.yes_limit)}, NO ${price(plan.no_limit)}` }],
    ['Opened', { text: full(plan.opened_ms, prefs.zone) }], ['Closed', { text: full(plan.closed_ms, prefs.zone) }],
    ['Spent', { text: money(plan.spent) }], ['Fees', { text: money(plan.fees) }], ['Expected', { text: result(plan.expected) }],
    ['Realised', { text: result(plan.realised), class: `strong way-${trend(plan.realised).way}` }],
    ['Final', { text: plan.provisional ? 'no: a venue may still reverse a fill' : 'yes' }],
  ]);
  const view = table({
    caption: 'Fills', visible: true, key: (f) => f.id, empty: 'Nothing was filled.',
    columns: [
      { label: 'At', cell: (f) => ({ ms: f.at_ms }) }, { label: 'Venue', head: true, cell: (f) => venue(f.venue) },
      { label: 'Market', class: 'dim clip', cell: (f) => ({ foreign: f.market, title: shown(f.market) }) },
      { label: 'Action', cell: (f) => `${shown(f.action ?? '')} ${shown(f.outcome ?? '').toUpperCase()}` },
      { label: 'Price', num: true, cell: (f) => price(f.price) }, { label: 'Contracts', num: true, cell: (f) => quantity(f.qty) },
      { label: 'Fee', num: true, cell: (f) => money(f.fee, 4) },
      { label: 'Finality', cell: (f) => `${shown(String(f.finality ?? '–'))}${f.simulated ? ', simulated' : ''}` },
    ],
  });
  view.update(fills ?? []);
  return [list.el, view.el];
}

export function detail({ opportunity: o, plan, fills, waterfall: spans, books }, close) {
  const about = facts();
  about.update([
    ['Seen', { text: full(o.seen_ms, prefs.zone) }],
    ['Lasted', { text: o.ended_ms ? span((o.ended_ms - o.seen_ms) * 1e6) : 'still open' }],
    ['Direction', { text: direction(o) }],
    ['Prices', { text: `YES ${price(o.yes_price)} + NO ${price(o.no_price)} = ${price((o.yes_price ?? 0) + (o.no_price ?? 0))}` }],
    ['Depth', { text: money(o.depth, 0) }], ['Per year', { text: percent(o.yearly_ppm, 0) }],
    ['Settles in', { text: `${number((o.days_milli ?? NaN) / 1e3, 1)} days` }], ['Detected in', { text: span(o.detect_ns) }],
  ]);
  const mark = outcome(o.outcome);
  const block = (title, ...kids) => h('section', { class: 'block' }, h('h3', {}, title), kids);
  return h('section', { class: 'panel full detail', 'aria-labelledby': 'detail-title' },
    h('header', {}, h('h2', { id: 'detail-title', tabindex: '-1' }, `Opportunity ${o.id}: `, foreign(o.title)), h('span', { class: 'grow' }),
      h('button', { type: 'button', class: 'quiet', on: { click: close } }, 'Close')),
    h('div', { class: 'panel-body' },
      h('p', { class: 'verdict' }, h('span', { class: mark.class }, mark.text), o.reason ? h('code', {}, o.reason) : null, ' ',
        o.sentence ? shown(o.sentence) : o.outcome === 'filled' ? 'both legs were filled' : ''),
      edge(o, plan),
      h('div', { class: 'blocks' },
        block('What it was', about.el), block('How long each step took', falls(spans)),
        block('Both books when it was decided', h('div', { class: 'books' }, (books ?? []).length ? books.map(ladder) : h('p', { class: 'empty' }, 'The books were not kept for this one.'))),
        block('Plan and fills', planPart(plan, fills)))));
}
