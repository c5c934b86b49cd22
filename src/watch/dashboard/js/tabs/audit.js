// What was ordered, changed and noticed; rows are only ever added.

import { download, h, say } from '../dom.js';
import { csv, number, shown } from '../format.js';
import { panel } from '../panel.js';
import { audit, choice } from '../sources.js';
import { table } from '../table.js';

const text = (value) => (value === null || value === undefined ? '–' : typeof value === 'object' ? JSON.stringify(value) : String(value));
const word = (label, name, cls = '') => ({ label, class: cls, cell: (row) => ({ text: shown(text(row[name])), title: shown(text(row[name])) }) });
const start = [{ label: 'Id', num: true, cell: (row) => number(row.id) }, { label: 'At', head: true, cell: (row) => ({ ms: row.at_ms }) }];
const TABLES = {
  commands: ['Commands', [...start, word('Who', 'who'), word('Command', 'command', 'code'), word('Arguments', 'args', 'code clip'), word('Result', 'result', 'wrap')], ['id', 'at_ms', 'who', 'command', 'args', 'result']],
  settings: ['Settings', [...start, word('Key', 'key', 'code'), word('Before', 'before', 'code'), word('After', 'after', 'code strong'), word('Origin', 'origin')], ['id', 'at_ms', 'key', 'before', 'after', 'origin']],
  events: ['Events', [...start, word('Kind', 'kind', 'code'), word('What', 'text', 'wrap')], ['id', 'at_ms', 'kind', 'text']],
};

export function build() {
  const views = Object.fromEntries(Object.entries(TABLES).map(([name, [title, columns]]) => [name,
    table({ caption: `Audit: ${title.toLowerCase()}`, key: (row) => row.id, columns, empty: `No ${title.toLowerCase()} yet. Each one is a row here from then on.` })]));
  const count = h('span', { class: 'note' });
  const place = h('div', {}, Object.values(views).map((view) => { view.el.classList.add('tall'); return view.el; }));
  const buttons = Object.entries(TABLES).map(([name, [title]]) => h('button', { type: 'button', class: 'seg', 'aria-pressed': 'false', 'data-table': name, on: { click: () => pick(name) } }, title));
  function pick(name) {
    choice.table = name;
    buttons.forEach((b) => b.setAttribute('aria-pressed', String(b.dataset.table === name)));
    for (const [one, view] of Object.entries(views)) view.el.hidden = one !== name;
    audit.refresh(true);
  }
  audit.watch((value) => {
    views[choice.table].update(value.rows ?? []);
    say(count, `${number((value.rows ?? []).length)} rows, newest first`);
  });
  const file = h('button', { type: 'button', class: 'quiet', on: { click: () => download(`orion-${choice.table}.csv`, 'text/csv', csv(TABLES[choice.table][2], audit.value?.rows ?? [])) } }, 'Download what is shown as CSV');
  buttons[0].setAttribute('aria-pressed', 'true');
  for (const [one, view] of Object.entries(views)) view.el.hidden = one !== choice.table;
  const el = h('div', { class: 'grid' },
    panel({ title: 'Audit trail', id: 'p-audit', sources: [audit], wide: 'full', tools: [count, file] },
      h('div', { class: 'filters' }, h('div', { class: 'segs', role: 'group', 'aria-label': 'Table' }, buttons)), place,
      h('p', { class: 'advice' }, 'The whole trail: SQL on orion.db (docs/sql.md). orion db verify recomputes cash and profit from the fills alone.')));
  return { el, sources: [audit], pick };
}
