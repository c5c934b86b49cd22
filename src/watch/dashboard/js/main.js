// Starts the page: login, tabs, keys, and the clock that makes old figures say so.

import { loggedIn, login, logout, onLost, operator, sentence } from './api.js';
import * as controls from './controls.js';
import { anyOpen, tell } from './dialog.js';
import { fill, h, say, show } from './dom.js';
import { close, open as openStream } from './live.js';
import { loginCode } from './maths.js';
import { tickPanels } from './panel.js';
import { onPref, prefs, setPref } from './prefs.js';
import { clearAll, config as settings, showAgain } from './sources.js';
import * as topbar from './topbar.js';
import { hideTour, tour } from './tour.js';
import * as audit from './tabs/audit.js';
import * as config from './tabs/config.js';
import * as help from './tabs/help.js';
import * as latency from './tabs/latency.js';
import * as logs from './tabs/logs.js';
import * as opportunities from './tabs/opportunities.js';
import * as overview from './tabs/overview.js';
import * as pairs from './tabs/pairs.js';
import * as performanceTab from './tabs/performance.js';
import * as positions from './tabs/positions.js';

const TABS = [
  ['overview', 'Overview', overview], ['opportunities', 'Opportunities', opportunities], ['positions', 'Positions', positions],
  ['pairs', 'Pairs', pairs], ['performance', 'Performance', performanceTab], ['latency', 'Latency', latency],
  ['config', 'Config', config], ['audit', 'Audit', audit], ['logs', 'Logs', logs], ['help', 'Help', help],
];
const byId = (id) => document.getElementById(id);
const built = new Map();
let current = null;

// --- Session ---------------------------------------------------------------------------------------------------------

/** The code leaves the address at once, so that no history and no picture of the screen keeps it. */
function takeCode() {
  if (!/[#&]k=/.test(location.hash)) return null;
  const code = loginCode(location.hash);
  history.replaceState(null, '', location.pathname);
  return code ?? '';
}

async function enter(code) {
  const wrong = byId('login-wrong');
  show(wrong, false);
  const button = byId('login-go');
  button.disabled = true;
  try {
    if (code === '') throw new Error('that is not a code');
    await login(code);
    byId('login-code').value = '';
    begin();
  } catch (error) {
    end(error.message === 'that is not a code' ? 'There is no code in that. Paste the whole link, or the part after #k=.' : `Not logged in: ${sentence(error)}`);
  } finally {
    button.disabled = false;
  }
}

function begin() {
  show(byId('login'), false);
  show(byId('app'), true);
  document.body.classList.add('in');
  topbar.refresh();
  say(byId('role'), operator() ? 'operator' : 'viewer: looks only');
  openStream();
  // The reserve of each venue follows from the settings.
  settings.refresh();
  select(decodeURIComponent(/#tab=([a-z]+)/.exec(location.hash)?.[1] ?? current ?? 'overview'), false);
  tour();
}

function end(text = '') {
  close();
  clearAll();
  for (const view of built.values()) view.forget?.();
  hideTour();
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  delete document.body.dataset.mode;
  document.body.classList.remove('in', 'lost');
  document.title = 'Orion';
  show(byId('app'), false);
  show(byId('login'), true);
  say(byId('login-wrong'), text);
  show(byId('login-wrong'), text !== '');
  byId('login-code').focus();
}

// --- Tabs ------------------------------------------------------------------------------------------------------------

const tabButton = (id) => byId(`tab-${id}`);

function select(id, focus = true) {
  const [name, , maker] = TABS.find(([one]) => one === id) ?? TABS[0];
  if (current && current !== name) built.get(current)?.sources.forEach((source) => source.stop());
  current = name;
  for (const [one] of TABS) {
    const button = tabButton(one);
    button.setAttribute('aria-selected', String(one === name));
    button.tabIndex = one === name ? 0 : -1;
    byId(`panel-${one}`).hidden = one !== name;
  }
  if (!built.has(name)) {
    const view = maker.build({ open: openOpportunity, go: select, tour: () => { select('overview', false); tour(true); } });
    built.set(name, view);
    fill(byId(`panel-${name}`), view.el);
  }
  built.get(name).sources.forEach((source) => source.start());
  history.replaceState(null, '', `#tab=${name}`);
  tabButton(name).scrollIntoView({ block: 'nearest', inline: 'nearest' });
  if (focus) tabButton(name).focus();
  tickPanels();
}

function openOpportunity(id) {
  if (id === null || id === undefined) return;
  select('opportunities', false);
  built.get('opportunities').open(id);
}

function buildTabs() {
  fill(byId('tabs'), TABS.map(([id, label]) => h('button', { type: 'button', role: 'tab', id: `tab-${id}`, 'aria-controls': `panel-${id}`, 'aria-selected': 'false', tabindex: '-1', on: { click: () => select(id) } }, label)));
  fill(byId('main'), TABS.map(([id]) => h('div', { role: 'tabpanel', id: `panel-${id}`, 'aria-labelledby': `tab-${id}`, hidden: true })));
  byId('tabs').addEventListener('keydown', (event) => {
    const at = TABS.findIndex(([id]) => id === current);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    select(TABS[(to + TABS.length) % TABS.length][0]);
  });
}

// --- Keys ------------------------------------------------------------------------------------------------------------

function onKey(event) {
  if (!prefs.keys || event.ctrlKey || event.metaKey || event.altKey || anyOpen() || !loggedIn()) return;
  if (event.target.closest?.('input, select, textarea, [contenteditable]')) return;
  const tab = '1234567890'.indexOf(event.key);
  if (event.key === 'k' || event.key === 'K') controls.kill();
  else if (event.key === '?') tell('Keys', help.keyList(), help.keySwitch());
  else if (event.key === '/' && built.get(current)?.search) built.get(current).search.focus();
  else if (event.key.length === 1 && 0 <= tab) select(TABS[tab][0]);
  else return;
  event.preventDefault();
}

// --- Start -----------------------------------------------------------------------------------------------------------

function paintPrefs() {
  say(byId('zone'), `Zone: ${prefs.zone === 'UTC' ? 'UTC' : 'local'}`);
  say(byId('theme'), `Colours: ${prefs.theme}`);
}

buildTabs();
topbar.build(byId('top'));
paintPrefs();
onPref((name) => { paintPrefs(); if (name === 'zone') showAgain(); });
onLost((why) => end(why ? `The session ended: ${why}` : 'The session ended.'));
byId('zone').addEventListener('click', () => setPref('zone', prefs.zone === 'UTC' ? 'local' : 'UTC'));
byId('theme').addEventListener('click', () => setPref('theme', { system: 'light', light: 'dark', dark: 'system' }[prefs.theme]));
byId('logout').addEventListener('click', async () => { await logout(); end('Logged out.'); });
byId('keys').addEventListener('click', () => tell('Keys', help.keyList(), help.keySwitch()));
byId('login-form').addEventListener('submit', (event) => {
  event.preventDefault();
  enter(loginCode(byId('login-code').value) ?? '');
});
document.addEventListener('keydown', onKey);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && loggedIn() && current) built.get(current)?.sources.forEach((source) => source.start());
});
window.addEventListener('hashchange', () => {
  const code = takeCode();
  if (code !== null) enter(code);
  else if (loggedIn()) select(/#tab=([a-z]+)/.exec(location.hash)?.[1] ?? current, false);
});
setInterval(() => {
  if (!loggedIn()) return;
  topbar.tick();
  tickPanels();
}, 500);

const code = takeCode();
if (code !== null) enter(code);
else if (loggedIn()) begin();
else end();
