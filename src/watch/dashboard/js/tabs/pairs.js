// The pair book: which markets a person found to be the same bet, and what bars one from being traded.

import { h, say } from '../dom.js';
import { gain } from '../columns.js';
import { number, shown } from '../format.js';
import { panel } from '../panel.js';
import { pairs } from '../sources.js';
import { table } from '../table.js';

export function build() {
  const search = h('input', { type: 'search', id: 'pair-search', placeholder: 'title, ticker, event, reason', autocomplete: 'off', spellcheck: 'false' });
  const barred = h('input', { type: 'checkbox', id: 'pair-barred' });
  const count = h('span', { class: 'note' });
  const file = h('p', { class: 'advice' });
  const view = table({
    caption: 'The pair book', key: (p) => p.key, label: 'The pair book',
    columns: [
      { label: 'Market', head: true, class: 'title', cell: (p) => ({ foreign: p.title, title: shown(p.key) }) },
      { label: 'State', cell: (p) => (p.barred ? { text: 'BARRED', class: 'chip missed' } : { text: 'TRADABLE', class: 'chip filled' }) },
      { label: 'Why', class: 'code', cell: (p) => ({ text: p.barred ?? '–', title: shown(p.sentence ?? '') }) },
      { label: 'Kalshi', class: 'code', cell: (p) => ({ foreign: p.kalshi }) },
      { label: 'Polymarket', class: 'code clip', cell: (p) => ({ foreign: p.polymarket, title: shown(p.polymarket) }) },
      { label: 'Polarity', cell: (p) => shown(p.polarity ?? '–') },
      { label: 'Event', class: 'code', cell: (p) => ({ foreign: p.event ?? '–' }) },
      { label: 'Approved by', cell: (p) => ({ foreign: p.approved_by ?? '–' }) },
      { label: 'Approved', cell: (p) => ({ ms: p.approved_ms }) },
      { label: 'Tail', title: 'How likely both venues settle differently although the bet is the same on paper: minor or material', cell: (p) => shown(p.tail ?? '–') },
      { label: 'Seen', num: true, cell: (p) => number(p.seen) },
      { label: 'Plans', num: true, cell: (p) => number(p.plans) },
      { label: 'Net', num: true, class: 'strong', cell: (p) => gain(p.realised) },
    ],
    empty: () => ((pairs.value?.pairs ?? []).length ? 'No pair fits the search.' : `No approved pairs. Write one into ${shown(pairs.value?.file ?? 'the pair file')}; docs/pairs.md says how to read both rule texts first.`),
  });
  view.el.classList.add('tall');
  const render = () => {
    const all = pairs.value?.pairs ?? [];
    const wanted = search.value.trim().toLowerCase();
    const fits = (p) => (!barred.checked || p.barred) && (!wanted || [p.title, p.key, p.kalshi, p.polymarket, p.event, p.barred, p.sentence, p.approved_by].some((text) => String(text ?? '').toLowerCase().includes(wanted)));
    const rows = all.filter(fits);
    view.update(rows);
    say(count, `${number(rows.length)} of ${number(all.length)}`);
    say(file, pairs.value?.file ? `Pair file: ${shown(pairs.value.file)}. A pair is approved there by a person; a changed rule text bars it until somebody has read it again.` : '');
  };
  search.addEventListener('input', render);
  barred.addEventListener('change', render);
  pairs.watch(render);
  const filters = h('div', { class: 'filters' }, h('label', { for: 'pair-search' }, 'Search'), search, h('label', { class: 'check' }, barred, 'barred only'), count);
  return { el: h('div', { class: 'grid' }, panel({ title: 'Pair book', id: 'p-pairs', sources: [pairs], wide: 'full' }, filters, view.el, file)), sources: [pairs], search };
}
