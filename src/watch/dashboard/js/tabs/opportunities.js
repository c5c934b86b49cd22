// Everything that was seen: filters, how often each reason ended one, and one of them in full.

import { sentence, get } from '../api.js';
import { opportunityColumns } from '../columns.js';
import { fill, h, say } from '../dom.js';
import { number, percent, shown } from '../format.js';
import { panel } from '../panel.js';
import { choice, found, funnel } from '../sources.js';
import { table } from '../table.js';
import { detail } from './detail.js';

const OUTCOMES = ['open', 'skipped', 'planned', 'filled', 'partial', 'missed'];

/** Bars of how often each reason ended an opportunity in the last hour; a click filters by it. */
function histogram(filter) {
  const view = table({
    caption: 'Reasons of the last hour', key: (r) => r.code, label: 'Why opportunities were left, last hour',
    onPick: (r) => filter(r.code),
    columns: [
      { label: 'Reason', pick: true, class: 'code', cell: (r) => ({ text: r.code, title: shown(r.sentence) }) },
      { label: 'Times', num: true, cell: (r) => number(r.count) },
      { label: 'Share', class: 'hist', cell: (r) => ({ as: `${r.width}|${r.share}`, node: () => h('span', { class: 'hist-bar' }, h('span', { style: { width: `${r.width}%` } }), percent(r.share, 0)) }) },
      { label: 'In words', class: 'title dim', cell: (r) => shown(r.sentence) },
    ],
    empty: 'Nothing was left alone in the last hour.',
  });
  funnel.watch((value) => {
    const reasons = value.reasons ?? [];
    const all = reasons.reduce((sum, r) => sum + r.count, 0) || 1;
    const most = Math.max(1, ...reasons.map((r) => r.count));
    view.update(reasons.map((r) => ({ ...r, width: Math.max(2, Math.round((r.count / most) * 100)), share: (r.count / all) * 1e6 })));
    const known = [...reason.options].map((o) => o.value);
    for (const r of reasons) if (!known.includes(r.code)) reason.append(h('option', { value: r.code }, r.code));
  });
  return view.el;
}

const reason = h('select', { id: 'filter-reason' }, h('option', { value: '' }, 'any'));

export function build() {
  const outcome = h('select', { id: 'filter-outcome' }, h('option', { value: '' }, 'any'), OUTCOMES.map((name) => h('option', { value: name }, name)));
  const count = h('span', { class: 'note' });
  const place = h('div', { class: 'detail-place' });
  let shownId = null;
  let asked = 0;

  const apply = () => {
    choice.outcome = outcome.value;
    choice.reason = reason.value;
    found.refresh(true);
  };
  outcome.addEventListener('change', apply);
  reason.addEventListener('change', apply);
  const filter = (code) => {
    if (![...reason.options].some((o) => o.value === code)) reason.append(h('option', { value: code }, code));
    reason.value = code;
    apply();
    reason.focus();
  };

  const view = table({
    caption: 'Opportunities', key: (o) => o.id, columns: opportunityColumns, onPick: (o) => open(o.id),
    empty: () => (choice.outcome || choice.reason ? 'None with this filter. Take the filter away to see all.' : 'No opportunity yet. One is written down whenever both prices together cost less than a dollar before fees.'),
  });
  view.el.classList.add('tall');
  found.watch((value) => {
    view.update(value.opportunities ?? []);
    say(count, `${number((value.opportunities ?? []).length)} shown, newest first`);
  });

  async function open(id) {
    if (id === null || id === undefined) return;
    shownId = id;
    view.pick(id);
    const mine = ++asked;
    fill(place, h('p', { class: 'empty', role: 'status' }, `Reading opportunity ${id} …`));
    try {
      const value = await get(`/api/v1/opportunities/${encodeURIComponent(id)}`);
      if (mine !== asked) return;
      const el = detail(value, close);
      fill(place, el);
      el.querySelector('h2').focus();
      el.scrollIntoView({ block: 'nearest' });
    } catch (error) {
      if (mine === asked) fill(place, h('p', { class: 'wrong', role: 'alert' }, `Opportunity ${id} cannot be shown: ${sentence(error)}`));
    }
  }

  function close() {
    fill(place);
    const row = view.el.querySelector(`tr[data-key="${CSS.escape(String(shownId))}"] button`);
    shownId = null;
    view.pick(null);
    (row ?? view.el).focus();
  }

  const filters = h('div', { class: 'filters' },
    h('label', { for: 'filter-outcome' }, 'Outcome'), outcome, h('label', { for: 'filter-reason' }, 'Reason'), reason,
    h('button', { type: 'button', class: 'quiet', on: { click: () => { outcome.value = ''; reason.value = ''; apply(); } } }, 'Clear'), count);
  const el = h('div', { class: 'grid' }, place,
    panel({ title: 'Opportunities', id: 'p-found', sources: [found], wide: 'full' }, filters, view.el),
    panel({ title: 'Why they were left: the last hour', id: 'p-reasons', sources: [funnel], wide: 'full', note: 'a row filters the list above' }, histogram(filter)));
  return { el, sources: [found, funnel], open };
}
