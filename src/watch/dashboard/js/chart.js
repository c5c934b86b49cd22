// Charts: uPlot in the page's colours, each with a summary in words and the same figures as a table.

import uPlot from '../vendor/uplot/uPlot.esm.js';
import { fill, h, say } from './dom.js';
import { onPref, prefs } from './prefs.js';

const css = getComputedStyle(document.documentElement);
/** A colour of the style sheet, by its name. */
export const ink = (name) => css.getPropertyValue(`--${name}`).trim();
const FONT = '11px Inter, ui-sans-serif, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';
const all = new Set();

onPref((name) => {
  if (name === 'theme') for (const one of all) one.redraw();
  if (name === 'zone') for (const one of all) one.rebuild();
});

/** An axis in the page's colours. */
export function axis(more = {}) {
  return {
    stroke: () => ink('muted'), font: FONT, gap: 4, size: 26,
    grid: { stroke: () => ink('grid'), width: 1 }, ticks: { show: false }, ...more,
  };
}

/** Dates of an x axis in the zone that was chosen. */
export const tzDate = (seconds) => (prefs.zone === 'local' ? new Date(seconds * 1e3) : uPlot.tzDate(new Date(seconds * 1e3), 'Etc/UTC'));

/**
 * `options` is uPlot's, without a size; `summary(data)` is a sentence, `table(data)` gives `{columns, rows}` of texts,
 * `readout(u, index)` what is said of the point under the pointer.
 */
export function chart({ label, height = 190, options, summary, table, readout }) {
  const plot = h('div', { class: 'plot', role: 'img', 'aria-label': label, style: { height: `${height}px` } });
  const words = h('p', { class: 'summary' });
  const point = h('p', { class: 'readout', 'aria-hidden': 'true' });
  const holder = h('div', { class: 'as-table', hidden: true });
  const button = h('button', { type: 'button', class: 'quiet', 'aria-expanded': 'false', on: { click: toggle } }, 'Show as table');
  const el = h('figure', { class: 'chart' }, plot, h('figcaption', {}, words, point, button), holder);
  let data = null;
  let made = null;

  function toggle() {
    holder.hidden = !holder.hidden;
    button.setAttribute('aria-expanded', String(!holder.hidden));
    say(button, holder.hidden ? 'Show as table' : 'Hide the table');
    rows();
  }

  function rows() {
    if (holder.hidden || !data) return;
    const { columns, rows: lines } = table(data);
    fill(holder, h('div', { class: 'scroll short', role: 'region', tabindex: '0', 'aria-label': `${label}, as a table` },
      h('table', {}, h('caption', { class: 'sr' }, label),
        h('thead', {}, h('tr', {}, columns.map((c, i) => h('th', { scope: 'col', class: i ? 'num' : '' }, c)))),
        h('tbody', {}, lines.map((line) => h('tr', {}, line.map((text, i) => (i ? h('td', { class: 'num' }, text) : h('th', { scope: 'row' }, text)))))))));
  }

  function build() {
    const width = Math.floor(plot.clientWidth);
    if (width < 40 || !data) return;
    if (made) {
      if (made.width !== width) made.setSize({ width, height });
      return;
    }
    made = new uPlot({
      width, height, legend: { show: false }, padding: [8, 8, 0, 0], tzDate,
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      ...options(),
      hooks: {
        ...(options().hooks ?? {}),
        setCursor: [(u) => say(point, readout && u.cursor.idx !== null && u.cursor.idx !== undefined && u.cursor.left >= 0 ? readout(u, u.cursor.idx) : '')],
      },
    }, data, plot);
  }

  new ResizeObserver(() => build()).observe(plot);
  const one = {
    el,
    update(next) {
      data = next;
      const text = summary(next);
      say(words, text);
      plot.setAttribute('aria-label', `${label}. ${text}`);
      if (made) made.setData(next); else build();
      rows();
    },
    redraw() { made?.redraw(); },
    /** Draws anew: options or zone changed. */
    rebuild() { made?.destroy(); made = null; build(); rows(); },
  };
  all.add(one);
  return one;
}

export const bars = uPlot.paths.bars;
export { uPlot };
