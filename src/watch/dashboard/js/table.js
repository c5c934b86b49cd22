// Real tables, updated in place: a row keeps its element while its figures change, so focus and selection stay.

import { fill, foreign, h, moment, say } from './dom.js';
import { prefs } from './prefs.js';

/**
 * Columns are `{label, cell(row), num?, title?, head?}`; a cell is a text, or `{text, class, title}`, or `{foreign: text}`,
 * or `{ms}`, or an element made by `{node: () => el, as: text}` that is made anew only where `as` changed.
 * With `onPick`, the cell of the column with `pick` is a button, and the whole row can be clicked.
 */
export function table({ caption, columns, key, empty, onPick, visible = false, label }) {
  const body = h('tbody');
  const head = h('tr', {}, columns.map((c) => h('th', { scope: 'col', class: c.num ? 'num' : '', title: c.title }, c.label)));
  const grid = h('table', {}, h('caption', { class: visible ? '' : 'sr' }, caption), h('thead', {}, head), body);
  const none = h('div', { class: 'empty', hidden: true });
  const el = h('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': `${label ?? caption}, table` }, grid, none);
  const known = new Map();
  let picked = null;
  let roving = null;

  function put(cell, value, column, row) {
    const spec = value !== null && typeof value === 'object' ? value : { text: value ?? '–' };
    const stamp = spec.ms !== undefined ? `${spec.ms}${prefs.zone}${Math.floor(Date.now() / 86_400_000)}` : spec.as ?? spec.foreign ?? spec.text;
    const mark = `${stamp}\u0000${spec.class ?? ''}\u0000${spec.title ?? ''}`;
    if (cell.mark === mark) return;
    cell.mark = mark;
    const content = spec.node ? spec.node() : spec.foreign !== undefined ? foreign(spec.foreign) : spec.ms !== undefined ? moment(spec.ms) : String(spec.text);
    if (column.pick && onPick) {
      let button = cell.el.firstChild;
      if (!button) {
        button = h('button', { class: 'pick', type: 'button', tabindex: '-1', on: { focus: () => rove(button) } });
        cell.el.append(button);
      }
      fill(button, content);
    } else if (typeof content === 'string') say(cell.el, content);
    else fill(cell.el, content);
    cell.el.className = [column.num ? 'num' : '', column.class ?? '', spec.class ?? ''].filter(Boolean).join(' ');
    if (spec.title) cell.el.title = spec.title; else cell.el.removeAttribute('title');
  }

  function rove(button) {
    if (roving && roving !== button) roving.tabIndex = -1;
    roving = button;
    if (roving) roving.tabIndex = 0;
  }

  function make(name) {
    const tr = h('tr', { 'data-key': name });
    const cells = columns.map((c) => {
      const td = c.head ? h('th', { scope: 'row' }) : h('td');
      tr.append(td);
      return { el: td, mark: null };
    });
    const one = { tr, cells, row: null };
    if (onPick) {
      tr.classList.add('pickable');
      tr.addEventListener('click', () => { if (!String(getSelection())) onPick(one.row); });
    }
    return one;
  }

  if (onPick) {
    body.addEventListener('keydown', (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step || !event.target.classList.contains('pick')) return;
      const all = [...body.querySelectorAll('button.pick')];
      const next = all[all.indexOf(event.target) + step];
      if (next) { next.focus(); event.preventDefault(); }
    });
  }

  function update(rows) {
    const seen = new Set();
    let at = body.firstElementChild;
    for (const row of rows) {
      const name = String(key(row));
      if (seen.has(name)) continue;
      seen.add(name);
      let one = known.get(name);
      if (!one) known.set(name, one = make(name));
      one.row = row;
      columns.forEach((column, i) => put(one.cells[i], column.cell(row), column, row));
      if (one.tr === at) at = at.nextElementSibling;
      else body.insertBefore(one.tr, at);
      one.tr.classList.toggle('picked', name === picked);
    }
    for (const [name, one] of known) if (!seen.has(name)) { one.tr.remove(); known.delete(name); }
    if (onPick && (!roving || !roving.isConnected)) rove(body.querySelector('button.pick'));
    grid.hidden = rows.length === 0;
    none.hidden = rows.length !== 0;
    if (!rows.length) fill(none, typeof empty === 'function' ? empty() : empty ?? 'Nothing yet.');
  }

  update([]);
  return { el, update, pick(name) { picked = name === null ? null : String(name); for (const [k, one] of known) one.tr.classList.toggle('picked', k === picked); } };
}

/** Names and values in two columns. */
export function facts() {
  const el = h('dl', { class: 'facts' });
  const known = new Map();
  return {
    el,
    /** Rows are `[name, text or {text, class, title} or element]`. */
    update(rows) {
      const seen = new Set();
      for (const [name, value] of rows) {
        seen.add(name);
        let one = known.get(name);
        if (!one) {
          one = { dt: h('dt', {}, name), dd: h('dd') };
          known.set(name, one);
          el.append(h('div', {}, one.dt, one.dd));
        }
        if (value instanceof Node) { fill(one.dd, value); continue; }
        const spec = value !== null && typeof value === 'object' ? value : { text: value };
        say(one.dd, String(spec.text ?? '–'));
        one.dd.className = spec.class ?? '';
        one.dd.title = spec.title ?? '';
      }
      for (const [name, one] of known) if (!seen.has(name)) { one.dt.parentElement.remove(); known.delete(name); }
    },
  };
}
