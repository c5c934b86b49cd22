// Every setting with its unit, range, default and origin; edits are checked as they are typed, shown as a difference, and
// saved to the overlay only when a person says so.

import { Refused, operator, post, sentence } from '../api.js';
import { announce } from '../announce.js';
import { ask, field, tell } from '../dialog.js';
import { download, fill, h, say, show } from '../dom.js';
import { number, shown } from '../format.js';
import { changes, inOverlay, plain } from '../maths.js';
import { panel } from '../panel.js';
import { config } from '../sources.js';
import { table } from '../table.js';

const CHECK_AFTER_MS = 350;
const edits = new Map();
const rows = new Map();
let checked = null;
let timer = null;
let asked = 0;

const keys = () => config.value?.keys ?? [];
const pending = () => changes(keys(), edits);

function editor(key) {
  const id = `key-${key.key}`;
  const props = { id, 'aria-describedby': `${id}-doc ${id}-wrong`, spellcheck: 'false', autocomplete: 'off' };
  const choices = key.choices?.length ? key.choices : ['true', 'false'].includes(key.default) ? ['true', 'false'] : null;
  const input = choices ? h('select', props, choices.map((c) => h('option', { value: plain(String(c)) }, plain(String(c))))) : h('input', { type: 'text', ...props });
  input.addEventListener('input', () => {
    edits.set(key.key, input.value);
    changed();
  });
  return input;
}

function make(key) {
  const input = editor(key);
  const one = {
    input, wrong: h('p', { class: 'wrong', id: `key-${key.key}-wrong`, hidden: true }), origin: h('span', { class: 'origin' }),
    badge: h('span', { class: 'badge' }), pin: h('p', { class: 'hint pin', hidden: true }),
    reset: h('button', { type: 'button', class: 'quiet', 'aria-label': `Reset ${key.key}: take it out of the overlay`, on: { click: () => { edits.set(key.key, null); changed(); paint(); } } }, 'Reset'),
  };
  const about = [key.unit ? `Unit: ${shown(key.unit)}.` : '', key.range ? `Allowed: ${shown(key.range)}.` : '', `Default: ${shown(plain(key.default)) || 'empty'}.`].filter(Boolean).join(' ');
  one.el = h('div', { class: 'setting', 'data-key': key.key },
    h('div', { class: 'what' }, h('label', { for: input.id }, key.key.split('.').slice(1).join('.') || key.key), one.badge, key.guards ? h('span', { class: 'badge guards', title: 'Loosening it needs a typed phrase' }, 'guards') : null,
      h('p', { class: 'doc', id: `key-${key.key}-doc` }, shown(key.doc), ' ', h('span', { class: 'about' }, about))),
    h('div', { class: 'edit' }, input, h('div', { class: 'line' }, one.origin, one.reset), one.pin, one.wrong));
  return one;
}

/** Puts the values that stand into all fields that nobody edits. */
function paint() {
  for (const key of keys()) {
    const one = rows.get(key.key);
    if (!one) continue;
    const edit = edits.get(key.key);
    const wanted = edit === undefined ? plain(key.value) : edit === null ? plain(key.default) : edit;
    if (document.activeElement !== one.input || edit === undefined) if (one.input.value !== wanted) one.input.value = wanted;
    one.input.disabled = Boolean(key.pinned) || !operator();
    one.el.classList.toggle('edited', key.key in pending());
    one.el.classList.toggle('pinned', Boolean(key.pinned));
    say(one.origin, edit === null ? 'will be: default' : `from ${shown(key.origin)}`);
    say(one.badge, key.applies === 'now' ? 'now' : 'next start');
    one.badge.className = `badge ${key.applies === 'now' ? 'now' : 'later'}`;
    say(one.pin, key.pinned ? `Set by ${shown(key.pinned)}, which wins over this page: change it there.` : operator() ? '' : 'This session may only look.');
    show(one.pin, Boolean(key.pinned) || !operator());
    show(one.reset, operator() && !key.pinned && inOverlay(key) && edit !== null);
  }
}

let bar;
function changed() {
  clearTimeout(timer);
  checked = null;
  asked++;
  const wanted = pending();
  for (const one of rows.values()) show(one.wrong, false);
  for (const key of keys()) rows.get(key.key)?.el.classList.toggle('edited', key.key in wanted);
  if (Object.keys(wanted).length) timer = setTimeout(check, CHECK_AFTER_MS);
  bar.render();
}

async function check() {
  const mine = ++asked;
  try {
    const answer = await post('/api/v1/config/check', { changes: pending(), fingerprint: config.value.fingerprint });
    if (mine !== asked) return;
    checked = answer;
  } catch (error) {
    if (mine !== asked) return;
    // A refusal may carry the same list of errors as an answer.
    checked = { diff: [], errors: error.body?.errors ?? [], failed: sentence(error), conflict: error instanceof Refused && error.status === 409 };
  }
  for (const { key, what, help } of checked.errors ?? []) {
    const one = rows.get(key);
    if (!one) continue;
    fill(one.wrong, h('strong', {}, shown(what)), help ? ` ${shown(help)}` : '');
    show(one.wrong, true);
  }
  for (const [name, one] of rows) one.input.setAttribute('aria-invalid', String((checked.errors ?? []).some((e) => e.key === name)));
  bar.render();
}

function diffTable(diff) {
  const view = table({
    caption: 'What would change', key: (d) => d.key, empty: 'Nothing would change.',
    columns: [
      { label: 'Key', head: true, class: 'code', cell: (d) => shown(d.key) }, { label: 'Before', class: 'code', cell: (d) => shown(d.before ?? '–') },
      { label: 'After', class: 'code strong', cell: (d) => shown(d.after ?? '–') }, { label: 'Takes effect', cell: (d) => shown(d.applies) },
      { label: 'Risk', cell: (d) => (d.loosens ? { text: '▲ loosens', class: 'way-down strong' } : { text: 'not loosened' }) },
    ],
  });
  view.update(diff);
  return view.el;
}

function saveBar() {
  const words = h('p', { class: 'words', role: 'status' });
  const save = h('button', { type: 'button', class: 'primary', on: { click: saveNow } }, 'Save configuration…');
  const drop = h('button', { type: 'button', class: 'quiet', on: { click: () => { edits.clear(); changed(); paint(); } } }, 'Discard');
  const place = h('div', { class: 'diff' });
  const el = h('div', { class: 'save-bar', hidden: true }, h('div', { class: 'line' }, words, h('span', { class: 'grow' }), drop, save), place);
  return { el, render() {
    const count = Object.keys(pending()).length;
    show(el, 0 < count);
    if (!count) return;
    const errors = checked?.errors?.length ?? 0;
    const good = checked && !errors && !checked.failed;
    save.disabled = !good;
    say(words, !checked ? `${number(count)} edited: being checked …` : errors ? `${number(errors)} not valid: ${checked.errors.map((e) => (rows.has(e.key) ? `see ${e.key}` : shown(e.what))).join('; ')}` : checked.failed ? (checked.conflict ? 'Somebody else changed the settings: discard, look again, and edit anew.' : `Cannot be checked: ${checked.failed}`) : `${number(checked.diff.length)} would change${checked.phrase ? '; it loosens risk, so a phrase is asked for' : ''}`);
    fill(place, checked?.diff?.length ? diffTable(checked.diff) : null);
  } };
}

async function saveNow() {
  const answer = checked;
  const wanted = pending();
  const fingerprint = config.value.fingerprint;
  const phrase = answer.phrase ? field('Type this phrase', { class: 'code', maxlength: '200' }, answer.phrase) : null;
  const wrong = h('p', { class: 'wrong', role: 'alert', hidden: true });
  const done = await ask({
    title: 'Save to the overlay', wide: true,
    body: [h('p', {}, `Written to ${shown(config.value.overlay ?? 'the overlay')}. It can be taken back with Undo.`), diffTable(answer.diff), phrase?.el, wrong],
    actions: [{ label: answer.phrase ? 'Save and loosen risk' : 'Save', class: answer.phrase ? 'danger' : 'primary', first: !phrase, enter: true, act: async (close, button) => {
      if (phrase && !phrase.input.value.trim()) { phrase.input.focus(); return; }
      if (button.disabled) return;
      button.disabled = true;
      try {
        const result = await post('/api/v1/config/save', { changes: wanted, fingerprint, ...(phrase ? { phrase: phrase.input.value.trim() } : {}) });
        if (result.errors?.length) throw new Refused(422, result.errors.map((e) => `${e.key}: ${e.what}`).join('; '));
        close(result);
      } catch (error) {
        button.disabled = false;
        say(wrong, sentence(error));
        show(wrong, true);
      }
    } }],
  });
  if (!done) return;
  edits.clear();
  announce('config', `saved ${done.diff?.length ?? ''} settings`);
  say(saved, `Saved${done.written ? ` to ${shown(done.written)}` : ''}: ${(done.diff ?? answer.diff).map((d) => `${d.key} (${d.applies})`).join(', ')}`);
  show(saved, true);
  await config.refresh();
  changed();
  paint();
}

async function undo() {
  const sure = await ask({ title: 'Take the last save back?', body: h('p', {}, `${number(config.value?.undo ?? 0)} saves can be taken back; this takes the newest.`), actions: [{ label: 'Undo the last save', class: 'primary', first: true, act: (close) => close(true) }] });
  if (!sure) return;
  const send = async (phrase) => post('/api/v1/config/undo', { fingerprint: config.value.fingerprint, ...(phrase ? { phrase } : {}) });
  try {
    let answer;
    try {
      answer = await send();
    } catch (error) {
      // Taking a tighter limit back loosens it: the refusal names the phrase.
      if (error.status !== 422 || error.body?.errors) throw error;
      const typed = field('Phrase', { class: 'code' }, sentence(error));
      const go = await ask({ title: 'Undoing it loosens risk', wide: true, body: typed.el, actions: [{ label: 'Undo and loosen risk', class: 'danger', enter: true, act: (close) => close(typed.input.value.trim() || null) }] });
      if (!go) return;
      answer = await send(go);
    }
    say(saved, `Taken back: ${(answer.diff ?? []).map((d) => d.key).join(', ') || 'the last save'}`);
    show(saved, true);
    await config.refresh();
  } catch (error) {
    tell('Not undone', h('p', {}, sentence(error)));
  }
}

const saved = h('p', { class: 'saved', role: 'status', hidden: true });

/** The settings that are in force, as the file would have them. */
function asToml() {
  const sections = new Map();
  for (const key of keys()) {
    const [section, ...name] = key.key.split('.');
    if (!sections.has(section)) sections.set(section, []);
    sections.get(section).push(`${name.join('.')} = ${shown(key.value)}  # ${shown(key.origin)}`);
  }
  return [...sections].map(([name, lines]) => `[${name}]\n${lines.join('\n')}`).join('\n\n') + '\n';
}

export function build() {
  bar = saveBar();
  const list = h('div', { class: 'settings' });
  const search = h('input', { type: 'search', id: 'key-search', placeholder: 'key or word', autocomplete: 'off', spellcheck: 'false' });
  const different = h('input', { type: 'checkbox', id: 'key-different' });
  const waits = h('p', { class: 'advice' });
  const current = h('pre', { class: 'toml', tabindex: '0', role: 'region', 'aria-label': 'The current configuration' });
  const undoButton = h('button', { type: 'button', class: 'quiet', on: { click: undo } }, 'Undo');
  let shape = '';

  function render() {
    const names = keys().map((k) => k.key).join();
    if (names !== shape) {
      shape = names;
      rows.clear();
      const sections = new Map();
      for (const key of keys()) {
        const one = make(key);
        rows.set(key.key, one);
        const section = key.section ?? key.key.split('.')[0];
        if (!sections.has(section)) sections.set(section, []);
        sections.get(section).push(one.el);
      }
      fill(list, [...sections].map(([name, els]) => h('section', { 'aria-label': shown(name) }, h('h3', {}, shown(name)), els)));
    }
    paint();
    bar.render();
    filter();
    const pendingKeys = config.value?.pending ?? [];
    say(waits, pendingKeys.length ? `Saved, and waiting for the next start: ${pendingKeys.map((p) => `${shown(p.key ?? p)}${p.after === undefined ? '' : ` (${shown(p.before ?? '–')} → ${shown(p.after ?? '–')})`}`).join(', ')}` : `Overlay: ${shown(config.value?.overlay ?? '–')}. What is saved here wins over the file; variables and flags win over it.`);
    undoButton.disabled = !operator() || !config.value?.undo;
    say(undoButton, `Undo last save (${number(config.value?.undo ?? 0)})`);
    say(current, asToml());
  }

  function filter() {
    const wanted = search.value.trim().toLowerCase();
    for (const key of keys()) {
      const fits = (!different.checked || key.value !== key.default || edits.has(key.key)) && (!wanted || `${key.key} ${key.doc}`.toLowerCase().includes(wanted));
      show(rows.get(key.key).el, fits);
    }
    for (const section of list.children) show(section, [...section.querySelectorAll('.setting')].some((el) => !el.hidden));
  }

  search.addEventListener('input', filter);
  different.addEventListener('change', filter);
  config.watch(render);
  const file = h('button', { type: 'button', class: 'quiet', on: { click: () => download('orion-current.toml', 'text/plain', asToml()) } }, 'Download');
  const filters = h('div', { class: 'filters' }, h('label', { for: 'key-search' }, 'Search'), search, h('label', { class: 'check' }, different, 'not at default'));
  const el = h('div', { class: 'grid' }, 
    panel({ title: 'Settings', id: 'p-settings', sources: [config], wide: 'full', tools: [undoButton] }, waits, saved, filters, bar.el, list),
    panel({ title: 'Current configuration', id: 'p-current', sources: [config], wide: 'full', tools: [file], note: 'read only, with where each value comes from' }, current));
  return { el, sources: [config], search, forget() { edits.clear(); checked = null; shape = ''; } };
}
