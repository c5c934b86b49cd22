// The five questions, answered in two seconds: which mode, is it healthy, am I exposed, do I make money, can it act.

import { announce } from './announce.js';
import { operator } from './api.js';
import { onCommands, sent } from './commands.js';
import * as controls from './controls.js';
import { fill, h, moment, say, shape, show } from './dom.js';
import { age, money, result, shown, trend, venue } from './format.js';
import { engine, notReady, status, stream } from './live.js';
import { STALE_MS } from './maths.js';

const MODES = {
  demo: ['demo', 'DEMO', 'Simulated exchanges, simulated money'],
  paper: ['paper', 'PAPER', 'Real prices, simulated fills'],
  alert: ['alert', 'ALERT', 'Real accounts, read only'],
  live: ['live', 'LIVE', 'Real money'],
};

function cell(label, cls) {
  const value = h('div', { class: 'value' });
  const more = h('div', { class: 'more' });
  return { el: h('div', { class: `answer ${cls}`, role: 'group', 'aria-label': label }, h('div', { class: 'label', 'aria-hidden': 'true' }, label), value, more), value, more };
}

const mode = cell('Mode', 'mode');
const health = cell('Health', 'health');
const exposed = cell('Exposed', 'exposed');
const profit = cell('Net result', 'profit');
const acts = cell('Can it act', 'acts');
const pauseButton = h('button', { type: 'button', class: 'pause', id: 'pause', on: { click: () => (pausable() ? controls.pause() : controls.resume()) } });
const killButton = h('button', { type: 'button', class: 'danger', id: 'kill', 'data-title': 'Opens the choice; nothing happens before you choose', on: { click: () => controls.kill() } }, shape('stop'), 'KILL');
const viewer = h('span', { class: 'viewer', hidden: true }, 'viewer: controls are off');
const lastCommand = h('div', { class: 'last-command', role: 'status', hidden: true });
const banner = h('div', { class: 'banner', role: 'alert', hidden: true });
let guards = [];

const running = () => engine() === 'running';
const pausable = () => status.value?.state === 'active' || !status.value;

/** Builds the bar into the page's header. */
export function build(into) {
  fill(into, h('div', { class: 'bar' },
    h('div', { class: 'brand' }, h('span', { class: 'mark', 'aria-hidden': 'true' }), h('h1', {}, 'Orion')),
    mode.el, health.el, exposed.el, profit.el, acts.el,
    h('div', { class: 'buttons' }, viewer, pauseButton, killButton)), banner, lastCommand);
  guards = [
    controls.guard(pauseButton, 'pause', () => (running() ? null : 'the engine is stopped: start it on the overview')),
    controls.guard(killButton, 'kill'),
  ];
  // What stays in view below the bar has to know how high it is.
  new ResizeObserver(() => document.documentElement.style.setProperty('--top', `${into.offsetHeight}px`)).observe(into);
  status.watch(render);
  onCommands(renderCommand);
  renderControls();
}

function renderControls() {
  const value = pausable() ? ['pause', 'PAUSE', 'No new trades; open pairs are still managed. Outlives a restart.'] : ['play', 'RESUME', 'Asks first, with the limits'];
  if (pauseButton.dataset.is !== value[1]) {
    pauseButton.dataset.is = value[1];
    pauseButton.dataset.title = value[2];
    fill(pauseButton, shape(value[0]), value[1]);
  }
  guards.forEach((check) => check());
  show(viewer, !operator());
}

function renderCommand() {
  const one = sent[0];
  show(lastCommand, Boolean(one));
  if (one) {
    lastCommand.dataset.state = one.state;
    fill(lastCommand, h('strong', {}, one.command.replace('_', '-')), ' ', h('span', { class: 'state' }, one.state),
      one.result ? h('span', {}, ` \u00b7 ${shown(one.result)}`) : null, ' \u00b7 ', moment(one.at),
      h('span', { class: 'id' }, ` \u00b7 ${one.id.slice(0, 8)}`), h('span', { class: 'grow' }),
      h('button', { type: 'button', class: 'quiet', on: { click: () => show(lastCommand, false) } }, 'Dismiss'));
  }
  renderControls();
}

function healthOf(value) {
  if (!running()) return ['stop', engine(value).toUpperCase(), 'bad'];
  if (value.ready) return ['ready', 'READY', 'good'];
  return ['warn', 'NOT READY', 'bad'];
}

function actsOf(value) {
  if (!running()) return [engine(value).toUpperCase(), 'the engine does not run', 'no'];
  if (value.state === 'halted') return ['HALTED', value.latch ? shown(value.latch) : 'the latch has fallen', 'no'];
  if (value.state === 'paused') return ['PAUSED', 'no new trades; open pairs are managed', 'no'];
  if (value.armed === false) return ['NOT ARMED', 'nothing is sent before somebody arms it', 'no'];
  if (!value.auto_execute) return ['SHOWS ONLY', 'auto-execute is off', 'no'];
  return [value.armed ? 'ARMED' : 'ACTIVE', value.armed ? 'orders leave' : 'fills by itself', 'yes'];
}

let before = {};
function render(value) {
  const [name, word, meaning] = MODES[value.mode] ?? ['alert', String(value.mode || 'starting').toUpperCase(), ''];
  document.body.dataset.mode = name;
  fill(mode.value, shape(name), word);
  say(mode.more, meaning);
  const [mark, health_word, good] = healthOf(value);
  health.el.dataset.is = good;
  fill(health.value, shape(mark), health_word);
  health.el.title = notReady(value).map(shown).join(' · ');
  exposed.el.dataset.is = value.naked ? 'bad' : 'good';
  say(profit.value, `today ${result(value.today ?? value.realised_today)}`);
  say(profit.more, `total ${result(value.total)}`);
  profit.el.dataset.way = trend(value.today ?? value.realised_today).way;
  const [act, why, can] = actsOf(value);
  acts.el.dataset.is = can;
  say(acts.value, act);
  say(acts.more, why);
  acts.more.title = why;
  document.title = `${word} ${health_word.toLowerCase()} ${signedTitle(value)} \u2013 Orion`;
  tell({ act: `trading is ${act.toLowerCase()}, ${why}`, health: `health ${health_word.toLowerCase()}`, mode: `mode ${word}`, naked: value.naked ? `exposed, ${money(value.naked)} naked` : 'not exposed' });
  renderControls();
  tick();
}

const signedTitle = (value) => result(value.today ?? value.realised_today).replace('\u00a0', '');

function tell(now) {
  for (const [kind, text] of Object.entries(now)) if (before[kind] !== undefined && before[kind] !== text) announce(kind, text);
  before = now;
}

/** Twice a second: ages go on though nothing comes. */
export function tick() {
  const value = status.value;
  const now = performance.now();
  const silent = stream.heard === null ? null : now - stream.heard;
  const since = status.at === null ? 0 : now - status.at;
  const gone = silent !== null && STALE_MS < silent;
  const frozen = !gone && value && running() && stream.moved !== null && STALE_MS < now - stream.moved;
  show(banner, gone || frozen);
  if (gone) say(banner, `Stream lost: figures are ${Math.floor(silent / 1e3)} s old. Trying again. The engine may still trade; stop it from the terminal with: orion kill`);
  else if (frozen) say(banner, `The engine does not tell anything new: figures are ${Math.floor((now - stream.moved) / 1e3)} s old.`);
  document.body.classList.toggle('lost', Boolean(gone || frozen));
  if (gone) announce('stream', 'stream lost');
  if (!value) return;
  const old = Math.max(since, stream.moved === null ? 0 : now - stream.moved);
  const ages = (value.venues ?? []).map(({ venue: name, age_ms: ms }) => `${venue(name)} ${ms === null ? 'nothing yet' : age(ms + since)}`);
  say(health.more, ages.join(' · ') || shown(notReady(value)[0] ?? ''));
  const naked = value.naked_since_ms ? Math.max(0, (value.now_ms ?? Date.now()) - value.naked_since_ms + since) : 0;
  say(exposed.value, `naked ${money(value.naked ?? 0, value.naked ? 2 : 0)}`);
  say(exposed.more, value.naked ? `for ${age(naked)}` : `both legs level · ${age(value.naked_ms_total ?? 0)} in all`);
  if (STALE_MS < old && running()) {
    const word = gone ? 'LOST' : 'STALE';
    if (health.value.textContent !== word) fill(health.value, shape('warn'), word);
    health.el.dataset.is = 'bad';
  }
}

/** After a login: who may act may have changed. */
export function refresh() {
  before = {};
  renderControls();
}
