// The engine's log as it is written: by level, following, to be copied.

import { fill, h, say } from '../dom.js';
import { clock, full, number, shown } from '../format.js';
import { logLines } from '../live.js';
import { panel } from '../panel.js';
import { prefs } from '../prefs.js';
import { choice, logs } from '../sources.js';

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'];
const MOST = 1_000;

export function build() {
  const list = h('ol', { class: 'log' });
  const place = h('div', { class: 'scroll log-place', role: 'region', tabindex: '0', 'aria-label': 'Log lines' }, list);
  const level = h('select', { id: 'log-level' }, LEVELS.map((name) => h('option', { value: name }, name)));
  level.value = choice.level;
  const follow = h('input', { type: 'checkbox', id: 'log-follow' });
  follow.checked = true;
  const note = h('span', { class: 'note' });
  const copied = h('span', { class: 'note', role: 'status' });
  let lines = [];
  let newest = -1;
  let history = false;

  const fits = (line) => LEVELS.indexOf(String(line.level).toLowerCase()) <= LEVELS.indexOf(level.value);
  const row = (line) => h('li', { class: `level-${String(line.level).toLowerCase()}` },
    h('time', { datetime: new Date(line.at_ms).toISOString(), title: full(line.at_ms, prefs.zone) }, clock(line.at_ms, prefs.zone)),
    h('span', { class: 'level' }, shown(line.level).toUpperCase().padEnd(5)), h('span', { class: 'target' }, shown(line.target ?? '')), h('bdi', { class: 'foreign' }, shown(line.text)));

  function add(more, anew) {
    if (anew) { lines = []; newest = -1; fill(list); }
    const fresh = more.filter((line) => newest < line.id && fits(line)).sort((a, b) => a.id - b.id);
    if (!fresh.length && !anew) return;
    newest = Math.max(newest, ...fresh.map((line) => line.id));
    lines = lines.concat(fresh).slice(-MOST);
    list.append(...fresh.map(row));
    while (MOST < list.childElementCount) list.firstElementChild.remove();
    if (!list.childElementCount) list.append(h('li', { class: 'empty' }, 'No line at this level yet.'));
    else list.querySelector('.empty')?.remove();
    if (follow.checked) place.scrollTop = place.scrollHeight;
  }

  logs.watch((value) => {
    add(value.lines ?? [], !history);
    history = true;
    say(note, value.dropped ? `${number(value.dropped)} lines were dropped: the log could not keep up` : '');
  });
  // What came before is asked for first, so that it stands before.
  logLines.watch((more) => { if (history && Array.isArray(more)) add(more, false); });
  level.addEventListener('change', () => {
    choice.level = level.value;
    history = false;
    add([], true);
    logs.refresh(true);
  });
  place.addEventListener('scroll', () => {
    if (place.scrollTop + place.clientHeight < place.scrollHeight - 40) follow.checked = false;
  });
  follow.addEventListener('change', () => { if (follow.checked) place.scrollTop = place.scrollHeight; });
  const copy = h('button', { type: 'button', class: 'quiet', on: { click: async () => {
    const text = lines.map((line) => `${new Date(line.at_ms).toISOString()} ${shown(line.level)} ${shown(line.target ?? '')} ${shown(line.text)}`).join('\n');
    try {
      await navigator.clipboard.writeText(text);
      say(copied, `${number(lines.length)} lines copied`);
    } catch {
      say(copied, 'the browser does not let the page copy: select and copy by hand');
    }
  } } }, 'Copy');
  const filters = h('div', { class: 'filters' }, h('label', { for: 'log-level' }, 'Level'), level, h('label', { class: 'check' }, follow, 'follow'), copy, copied, note);
  return { el: h('div', { class: 'grid' }, panel({ title: 'Log', id: 'p-log', sources: [logs], wide: 'full', note: 'secrets never reach it' }, filters, place)), sources: [logs],
    forget() { history = false; lines = []; newest = -1; fill(list); } };
}
