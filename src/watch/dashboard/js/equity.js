// Equity with its drawdown shaded below the highest point so far, and the figures that belong to it.

import { axis, chart, ink, uPlot } from './chart.js';
import { h } from './dom.js';
import { axisMoney, clock, day, full, money, number, percent, ratio, result, signed, trend } from './format.js';
import { extremes } from './maths.js';
import { prefs } from './prefs.js';
import { SPANS, choice, performance } from './sources.js';

/** A chart of `performance`; each tab makes its own. */
export function equityChart(height = 230) {
  let unwinds = [];
  const marks = (u) => {
    const { ctx } = u;
    ctx.save();
    ctx.fillStyle = ink('orange');
    const size = 5 * devicePixelRatio;
    for (const [at] of unwinds) {
      const x = u.valToPos(at / 1e3, 'x', true);
      if (x < u.bbox.left || u.bbox.left + u.bbox.width < x) continue;
      const y = u.bbox.top + u.bbox.height;
      ctx.beginPath();
      ctx.moveTo(x, y - 2 * size);
      ctx.lineTo(x + size, y);
      ctx.lineTo(x - size, y);
      ctx.fill();
    }
    ctx.restore();
  };
  const one = chart({
    label: 'Equity and drawdown',
    height,
    options: () => ({
      scales: { x: { time: true }, y: { range: (u, min, max) => pad(min, max) } },
      series: [
        {},
        { label: 'highest so far', scale: 'y', stroke: () => ink('faint'), width: 1, dash: [3, 3], points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) },
        { label: 'equity', scale: 'y', stroke: () => ink('blue'), width: 2, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) },
      ],
      bands: [{ series: [1, 2], fill: () => ink('shade') }],
      axes: [axis({ space: 72, values: timeLabels }), axis({ scale: 'y', side: 1, size: 68, space: 32, values: (u, splits) => splits.map((v) => axisMoney(v, splits[1] - splits[0])) })],
      hooks: { draw: [marks] },
    }),
    summary([times, peaks, equity]) {
      const e = extremes(equity);
      if (!e) return 'No equity was recorded in this span.';
      const down = Math.max(0, ...peaks.map((peak, i) => peak - equity[i]));
      return `${trend(e.change).mark || '='} ${signed(e.change)} to ${money(e.last)}; low ${money(e.min)}, high ${money(e.max)}, deepest drawdown ${money(down)}${unwinds.length ? `; ${number(unwinds.length)} ${unwinds.length === 1 ? 'unwind' : 'unwinds'}, marked with a triangle` : ''}.`;
    },
    table: ([times, peaks, equity]) => ({
      columns: ['Time', 'Equity', 'Drawdown'],
      rows: times.map((t, i) => [full(t * 1e3, prefs.zone), money(equity[i]), money(peaks[i] - equity[i])]).reverse().slice(0, 300),
    }),
    readout: (u, i) => `${full(u.data[0][i] * 1e3, prefs.zone)}: ${money(u.data[2][i])}, drawdown ${money(u.data[1][i] - u.data[2][i])}`,
  });
  performance.watch((value) => {
    unwinds = value.unwinds ?? [];
    const points = value.equity ?? [];
    one.update([points.map((p) => p[0] / 1e3), points.map((p) => p[1] + Math.abs(p[2] ?? 0)), points.map((p) => p[1])]);
  });
  return one.el;
}

/** Hours within two days, else dates: in the zone that was chosen, 24 hours a day. */
function timeLabels(u, splits) {
  const long = 2 * 86_400 < splits.at(-1) - splits[0];
  return splits.map((s) => (long ? day(s * 1e3, prefs.zone).slice(5) : clock(s * 1e3, prefs.zone).slice(0, 5)));
}

function pad(min, max) {
  if (min === null || min === undefined) return [0, 1];
  // A flat line is drawn flat, not as cents magnified.
  const room = Math.max((max - min) * 0.12, 1e6);
  return [min - room, max + room];
}

/** Buttons for the span; all of them move together. */
const groups = new Set();
export function spanButtons() {
  const buttons = SPANS.map((span) => h('button', { type: 'button', class: 'seg', 'aria-pressed': String(span === choice.span), on: { click: () => {
    choice.span = span;
    groups.forEach((group) => group.forEach((b, i) => b.setAttribute('aria-pressed', String(SPANS[i] === span))));
    performance.refresh(true);
  } } }, span));
  groups.add(buttons);
  return h('div', { class: 'segs', role: 'group', 'aria-label': 'Span' }, buttons);
}

/** The figures under the chart: each ratio with what it rests on. */
export function figures() {
  const el = h('dl', { class: 'figures' });
  performance.watch((v) => {
    const n = (v.won ?? 0) + (v.lost ?? 0);
    const rows = [
      ['Net', result(v.net), `${number(v.trades)} trades, after ${money(v.fees)} of fees`, trend(v.net).way],
      ['Win rate', percent(v.win_ppm), `n = ${number(n)}; 95 %: ${percent(v.win_low_ppm, 0)} to ${percent(v.win_high_ppm, 0)}`],
      ['Profit factor', ratio(v.profit_factor_milli), v.profit_factor_milli === null ? 'no loss yet' : 'won dollars per lost dollar'],
      ['Max. drawdown', money(-Math.abs(v.drawdown ?? 0)), `${percent(v.drawdown_ppm, 2)} below the highest point`],
      ['Volume', money(v.volume, 0), 'both legs'],
      ['ROI', percent(v.roi_ppm, 2), 'net on the bankroll'],
      ['Sharpe', ratio(v.sharpe_milli, 1), `n = ${number(v.sharpe_days ?? 0)} days${(v.sharpe_days ?? 0) < 30 ? ': too few to trust' : ''}`],
      ['Edge captured', percent(v.captured_ppm, 0), `of ${money(v.expected)} that was promised`],
    ];
    el.replaceChildren(...rows.map(([name, text, more, way]) => h('div', {}, h('dt', {}, name), h('dd', { class: way ? `way-${way}` : '' }, text), h('dd', { class: 'more' }, more))));
  });
  return el;
}
