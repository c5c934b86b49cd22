// A framed part of the page that says how old its figures are, and greys them when they are.

import { h, say, show } from './dom.js';
import { age } from './format.js';
import { engine, status } from './live.js';

const panels = new Set();

/** `sources` are what the panel shows; `tools` stand in its head. */
export function panel({ title, id, sources = [], tools = [], wide = '', note = null }, ...body) {
  const stamp = h('span', { class: 'stamp', hidden: true });
  const wrong = h('p', { class: 'wrong', hidden: true });
  const inner = h('div', { class: 'panel-body' }, body);
  const heading = h('h2', { id: `${id}-title` }, title);
  const el = h('section', { class: `panel ${wide}`, id, 'aria-labelledby': `${id}-title` },
    h('header', {}, heading, note ? h('span', { class: 'note' }, note) : null, stamp, h('span', { class: 'grow' }), tools), wrong, inner);
  const one = { el, stamp, wrong, inner, sources };
  panels.add(one);
  return el;
}

/** Called twice a second: what is old says so. */
export function tickPanels() {
  const stopped = engine() !== 'running';
  for (const one of panels) {
    if (!one.el.isConnected || one.el.closest('[hidden]') || !one.sources.length) continue;
    let worst = null;
    let stale = false;
    let error = null;
    for (const source of one.sources) {
      const state = source.age();
      stale ||= state.stale;
      if (state.age !== null && (worst === null || worst < state.age)) worst = state.age;
      error ??= source.error;
    }
    one.el.classList.toggle('stale', stale);
    one.el.toggleAttribute('data-stale', stale);
    const waiting = one.sources.some((source) => source.value === null && source.error === null);
    const text = stale && worst !== null ? `${age(worst)} old` : waiting ? 'loading' : stopped && one.sources.includes(status) ? 'engine stopped: last figures' : '';
    say(one.stamp, text);
    show(one.stamp, text !== '');
    say(one.wrong, error ? `Cannot be refreshed: ${error}` : '');
    show(one.wrong, error !== null && error !== undefined);
  }
}
