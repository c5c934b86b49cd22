// How long each stage takes: quantiles, one stage's histogram, and the worst of every quarter of an hour for a day.

import { axis, bars, chart, ink } from '../chart.js';
import { send } from '../commands.js';
import * as controls from '../controls.js';
import { h, say } from '../dom.js';
import { full, number, percent, shown, span } from '../format.js';
import { heat, rebucket } from '../maths.js';
import { panel } from '../panel.js';
import { onPref, prefs } from '../prefs.js';
import { latency } from '../sources.js';
import { table } from '../table.js';
import { save } from './positions.js';

function histogram(select) {
  let rows = [];
  const one = chart({
    label: 'Latency histogram', height: 200,
    options: () => ({
      scales: { x: { time: false, range: (u, min, max) => [(min ?? 0) - 0.6, (max ?? 0) + 0.6] }, y: { range: (u, min, max) => [0, Math.max(1, (max ?? 1) * 1.08)] } },
      series: [{}, { stroke: () => ink('blue'), fill: () => ink('blue-soft'), paths: bars({ size: [0.9, 60] }), points: { show: false } }],
      axes: [
        axis({ space: 64, incrs: [1, 2, 5, 10], grid: { show: false }, values: (u, splits) => splits.map((i) => (rows[i] ? span(rows[i].upTo) : '')) }),
        axis({ scale: 'y', side: 1, size: 62, values: (u, splits) => splits.map((v) => number(v)) }),
      ],
    }),
    summary: () => {
      const stage = (latency.value?.stages ?? []).find((s) => s.stage === select.value);
      return stage?.count ? `${shown(stage.stage)}: ${number(stage.count)} measured, half within ${span(stage.p50_ns)}, 99 of 100 within ${span(stage.p99_ns)}, longest ${span(stage.max_ns)}.` : 'Nothing was measured in this stage yet.';
    },
    table: () => {
      const all = rows.reduce((sum, r) => sum + r.count, 0) || 1;
      let sofar = 0;
      return { columns: ['Up to', 'Times', 'Share', 'So far'], rows: rows.map((r) => { sofar += r.count; return [span(r.upTo), number(r.count), percent((r.count / all) * 1e6, 1), percent((sofar / all) * 1e6, 1)]; }) };
    },
    readout: (u, i) => (rows[i] ? `up to ${span(rows[i].upTo)}: ${number(rows[i].count)}` : ''),
  });
  const render = () => {
    const stage = (latency.value?.stages ?? []).find((s) => s.stage === select.value);
    rows = rebucket(stage?.buckets ?? []);
    one.update([rows.map((_, i) => i), rows.map((r) => r.count)]);
  };
  select.addEventListener('change', render);
  return { el: one.el, render };
}

const SLOTS = 96;
/** A row a stage, a cell a quarter of an hour; darker is slower, and the table says how slow. */
function strip() {
  const canvas = h('canvas', { class: 'heat', role: 'img' });
  const words = h('p', { class: 'summary' });
  const view = table({
    caption: 'Worst p99 of each hour', label: 'Worst p99 of each hour, as a table', key: (r) => r.stage, empty: 'No hour was measured yet.',
    columns: [{ label: 'Stage', head: true, cell: (r) => shown(r.stage) },
      ...Array.from({ length: 24 }, (_, i) => ({ label: `−${24 - i} h`, num: true, cell: (r) => { const four = r.worst.slice(i * 4, i * 4 + 4).filter((v) => v !== null); return four.length ? span(Math.max(...four)) : '–'; } }))],
  });
  const holder = h('div', { hidden: true }, view.el);
  const button = h('button', { type: 'button', class: 'quiet', 'aria-expanded': 'false', on: { click: () => {
    holder.hidden = !holder.hidden;
    button.setAttribute('aria-expanded', String(!holder.hidden));
    say(button, holder.hidden ? 'Show as table' : 'Hide the table');
  } } }, 'Show as table');
  let rows = [];
  function draw() {
    const width = canvas.parentElement?.clientWidth ?? 0;
    if (!width || !rows.length) return;
    const ratio = devicePixelRatio || 1;
    const [left, line] = [Math.min(120, width * 0.3), 22];
    const height = rows.length * line + 18;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.height = `${height}px`;
    const ctx = canvas.getContext('2d');
    ctx.scale(ratio, ratio);
    ctx.font = '11px Inter, ui-sans-serif, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';
    ctx.textBaseline = 'middle';
    const cell = (width - left) / SLOTS;
    rows.forEach(({ stage, worst }, y) => {
      ctx.globalAlpha = 1;
      ctx.fillStyle = ink('muted');
      ctx.fillText(stage, 0, y * line + line / 2, left - 6);
      const real = worst.filter((v) => v !== null);
      const [low, high] = [Math.log(Math.min(...real)), Math.log(Math.max(...real))];
      worst.forEach((ns, x) => {
        ctx.fillStyle = ns === null ? ink('grid') : ink('blue');
        ctx.globalAlpha = ns === null ? 0.6 : 0.18 + 0.82 * (high - low < 0.01 ? 0.3 : (Math.log(ns) - low) / (high - low));
        ctx.fillRect(left + x * cell + 0.5, y * line + 2, Math.max(1, cell - 1), line - 4);
      });
    });
    ctx.globalAlpha = 1;
    ctx.fillStyle = ink('muted');
    for (const hour of [24, 18, 12, 6]) ctx.fillText(`−${hour} h`, left + ((24 - hour) / 24) * (width - left), rows.length * line + 9);
    ctx.textAlign = 'right';
    ctx.fillText('now', width, rows.length * line + 9);
  }
  new ResizeObserver(draw).observe(canvas);
  onPref(draw);
  return {
    el: h('figure', { class: 'chart' }, h('div', { class: 'heat-place' }, canvas), h('figcaption', {}, words, button), holder),
    render(value) {
      const end = Math.max(0, ...(value.strip ?? []).map((p) => p.at_ms)) || Date.now();
      rows = (value.stages ?? []).map(({ stage }) => ({ stage, worst: heat(value.strip ?? [], stage, end, SLOTS) })).filter((r) => r.worst.some((v) => v !== null));
      const text = rows.length ? `${number(value.strip.length)} minutes up to ${full(end, prefs.zone)}. Darker is slower, each row by its own scale.` : 'The first minute is not over yet.';
      say(words, text);
      canvas.setAttribute('aria-label', `Worst p99 per stage over 24 hours. ${text}`);
      canvas.hidden = !rows.length;
      view.update(rows);
      draw();
    },
  };
}

export function build() {
  const select = h('select', { id: 'stage' });
  const hist = histogram(select);
  const heatStrip = strip();
  const view = table({
    caption: 'Latency by stage', key: (s) => s.stage, onPick: (s) => { select.value = s.stage; hist.render(); },
    columns: [
      { label: 'Stage', pick: true, cell: (s) => shown(s.stage) }, { label: 'Measured', num: true, cell: (s) => number(s.count) },
      ...['p50', 'p90', 'p99', 'p999', 'max'].map((q) => ({ label: q === 'p999' ? 'p99.9' : q, num: true, class: q === 'p50' ? 'strong' : '', cell: (s) => (s.count ? span(s[`${q}_ns`]) : '–') })),
    ],
    empty: 'Nothing was measured yet. Figures come with the first frames.',
  });
  latency.watch((value) => {
    const stages = value.stages ?? [];
    view.update(stages);
    const names = stages.map((s) => s.stage);
    if (names.join() !== [...select.options].map((o) => o.value).join()) {
      const was = select.value;
      select.replaceChildren(...names.map((name) => h('option', { value: name }, shown(name))));
      const most = [...stages].sort((a, b) => b.count - a.count)[0];
      select.value = names.includes(was) ? was : most?.stage ?? '';
    }
    hist.render();
    heatStrip.render(value);
  });
  const dump = h('button', { type: 'button', 'data-title': 'Writes latency.txt and latency.hlog in the state directory', on: { click: () => send('dump_latency') } }, 'Dump on the host');
  const check = controls.guard(dump, 'dump_latency');
  latency.watch(() => check());
  const file = h('button', { type: 'button', on: { click: () => save('/api/v1/latency.hlog', 'orion-latency.hlog', file) } }, 'Download .hlog');
  const el = h('div', { class: 'grid' },
    panel({ title: 'Stages', id: 'p-stages', sources: [latency], wide: 'half', tools: [dump, file] }, view.el),
    panel({ title: 'Histogram', id: 'p-histogram', sources: [latency], wide: 'half', tools: [h('label', { for: 'stage', class: 'sr' }, 'Stage'), select] }, hist.el),
    panel({ title: 'The last 24 hours', id: 'p-heat', sources: [latency], wide: 'full', note: 'worst p99 of each quarter of an hour' }, heatStrip.el));
  return { el, sources: [latency] };
}
