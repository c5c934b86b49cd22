// Results over a span: equity and drawdown, by day, by pair, and how much of the promised edge was kept.

import { gain } from '../columns.js';
import { axis, bars, chart, ink } from '../chart.js';
import { h, say } from '../dom.js';
import { equityChart, figures, spanButtons } from '../equity.js';
import { axisMoney, money, number, percent, result, shown } from '../format.js';
import { panel } from '../panel.js';
import { performance } from '../sources.js';
import { table } from '../table.js';

const dayText = (value) => (typeof value === 'number' ? new Date(value).toISOString().slice(0, 10) : shown(value));

function dayChart() {
  let days = [];
  const series = (color) => ({ stroke: () => ink(color), fill: () => ink(color), paths: bars({ size: [0.6, 44] }), points: { show: false } });
  const one = chart({
    label: 'Profit and loss by day', height: 180,
    options: () => ({
      scales: { x: { time: false, range: (u, min, max) => [(min ?? 0) - 0.6, (max ?? 0) + 0.6] }, y: { range: (u, min, max) => { const room = Math.max(1e4, (Math.max(0, max ?? 0) - Math.min(0, min ?? 0)) * 0.1); return [Math.min(0, min ?? 0) - ((min ?? 0) < 0 ? room : 0), Math.max(0, max ?? 0) + room]; } } },
      series: [{}, series('blue'), series('orange')],
      axes: [
        axis({ values: (u, splits) => splits.map((i) => (Number.isInteger(i) && days[i] ? dayText(days[i].day).slice(5) : '')), incrs: [1, 2, 5, 10, 20, 50], grid: { show: false } }),
        axis({ scale: 'y', side: 1, size: 62, values: (u, splits) => splits.map((v) => axisMoney(v, splits[1] - splits[0])) }),
      ],
    }),
    summary: () => {
      if (!days.length) return 'No day with a closed trade in this span.';
      const up = days.filter((d) => 0 < d.realised).length;
      return `${number(days.length)} days: ▲ ${number(up)} up, ▼ ${number(days.filter((d) => d.realised < 0).length)} down; together ${result(days.reduce((sum, d) => sum + d.realised, 0))}.`;
    },
    table: () => ({ columns: ['Day (UTC)', 'Net', 'Expected', 'Trades', 'Won'], rows: days.map((d) => [dayText(d.day), result(d.realised), money(d.expected), number(d.trades), number(d.won)]).reverse() }),
    readout: (u, i) => (days[i] ? `${dayText(days[i].day)}: ${result(days[i].realised)} of ${money(days[i].expected)} expected` : ''),
  });
  performance.watch((value) => {
    days = [...(value.days ?? [])].sort((a, b) => (dayText(a.day) < dayText(b.day) ? -1 : 1));
    one.update([days.map((_, i) => i), days.map((d) => (0 <= d.realised ? d.realised : null)), days.map((d) => (d.realised < 0 ? d.realised : null))]);
  });
  return one.el;
}

/** Promised beside kept: two bars and the numbers. */
function captured() {
  const words = h('p', { class: 'summary' });
  const bar = (label, cls) => {
    const fillEl = h('span', { class: cls });
    const text = h('span', { class: 'num' });
    return { el: h('div', { class: 'pair-bar' }, h('span', { class: 'label' }, label), h('span', { class: 'track', 'aria-hidden': 'true' }, fillEl), text), fillEl, text };
  };
  const promised = bar('promised', 'promised');
  const kept = bar('kept', 'kept');
  performance.watch((v) => {
    const most = Math.max(1, Math.abs(v.expected ?? 0), Math.abs(v.net ?? 0));
    for (const [one, value] of [[promised, v.expected], [kept, v.net]]) {
      one.fillEl.style.width = `${(Math.abs(value ?? 0) / most) * 100}%`;
      one.text.textContent = result(value);
    }
    kept.fillEl.classList.toggle('loss', v.net < 0);
    say(words, v.captured_ppm === null || v.captured_ppm === undefined ? 'Nothing was taken in this span.' : `${percent(v.captured_ppm, 1)} of what the taken edges promised was kept, after fees, unwinds and legs that failed.`);
  });
  return [h('div', { class: 'pair-bars' }, promised.el, kept.el), words];
}

export function build() {
  const byPair = table({
    caption: 'Result by pair', key: (p) => p.title, empty: 'No pair has a closed trade in this span.',
    columns: [
      { label: 'Pair', head: true, class: 'title', cell: (p) => ({ foreign: p.title }) },
      { label: 'Trades', num: true, cell: (p) => number(p.trades) },
      { label: 'Net', num: true, class: 'strong', cell: (p) => gain(p.realised) },
      { label: 'Per trade', num: true, cell: (p) => gain(p.trades ? p.realised / p.trades : null) },
    ],
  });
  byPair.el.classList.add('medium');
  performance.watch((value) => byPair.update([...(value.pairs ?? [])].sort((a, b) => b.realised - a.realised)));
  const el = h('div', { class: 'grid' },
    panel({ title: 'Equity & drawdown', id: 'p-equity-2', sources: [performance], wide: 'full', tools: [spanButtons()] }, equityChart(260), figures()),
    panel({ title: 'By day', id: 'p-days', sources: [performance], wide: 'half' }, dayChart()),
    panel({ title: 'Edge kept', id: 'p-captured', sources: [performance], wide: 'half' }, captured(), byPair.el));
  return { el, sources: [performance] };
}
