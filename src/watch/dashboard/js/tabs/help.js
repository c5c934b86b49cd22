// How it works, first steps, what each control does, the keys, and where to look when something is wrong.

import { h } from '../dom.js';
import { panel } from '../panel.js';
import { prefs, setPref } from '../prefs.js';

const code = (text) => h('code', {}, text);
const li = (...kids) => h('li', {}, kids);

const CONTROLS = [
  ['Pause', 'No new plans; what is open is managed on. One click. Outlives a restart.'],
  ['Resume', 'The way back from a pause and from a halt. Shows the limits first.'],
  ['Kill: halt + cancel', 'Nothing that raises risk leaves any more, open orders are cancelled, a single leg is closed. Held pairs stay until they settle.'],
  ['Kill: flatten', 'The same, and everything held is sold, to a loss of risk.max_flatten_loss. Needs a code from the terminal.'],
  ['Auto-execute', 'On: opportunities that pass every rule become orders. Off: they are only shown. Until the next start.'],
  ['Arm, disarm', 'Live only. Nothing is sent before somebody armed it, with a code and a phrase. A crash and changed limits disarm.'],
  ['Step down', 'Back to alert or paper at the next start, disarmed at once. Up only in the terminal: orion promote.'],
  ['Start, stop engine', 'Stop also stops looking after what is held: it asks what becomes of open orders. The page stays.'],
  ['Drill', 'A kill that is measured and lifted again. Live wants one before it is promoted.'],
  ['Save configuration', 'Writes the overlay. Each change says whether it takes effect now or at the next start. Loosening risk wants a typed phrase.'],
];

const WRONG = [
  ['NOT READY', 'The panel Health lists the reasons; orion doctor names the command that mends each.'],
  ['HALTED', 'The bar says what made the latch fall. Understand the cause, then Resume. See docs/runbook.md, OrionHalted.'],
  ['naked $ above 0', 'One leg stands alone; the engine closes it within risk.max_naked_usd. If it stays, look at the venue’s page. See docs/runbook.md, OrionNaked.'],
  ['A feed is old', 'Kalshi or Polymarket is silent, or this host’s clock is off. Nothing is traded on a stale book. See docs/runbook.md, OrionFeedStale.'],
  ['Stream lost', 'This page lost the engine, not the engine the venues. In the terminal: orion status, orion kill.'],
  ['It never trades', 'The funnel shows where opportunities end; a click on one says why. Most end at FEES, and that is right.'],
];

const KEYS = [['K', 'opens the kill dialog; it never fires by itself'], ['?', 'this list'], ['1 … 9, 0', 'the tabs, from left to right'], ['/', 'the search field of the tab'], ['← → Home End', 'between tabs, when one has the focus'], ['↑ ↓ Enter', 'between rows; opens one'], ['Esc', 'leaves a dialog']];

export function keyList() {
  return h('dl', { class: 'facts keys' }, KEYS.map(([key, what]) => h('div', {}, h('dt', {}, h('kbd', {}, key)), h('dd', {}, what))));
}

/** Single keys can be switched off: some software speaks letters. */
export function keySwitch() {
  const box = h('input', { type: 'checkbox', on: { change: () => setPref('keys', box.checked) } });
  box.checked = prefs.keys;
  return h('label', { class: 'check' }, box, 'single-key shortcuts are on');
}

export function build({ tour }) {
  const list = (rows) => h('dl', { class: 'facts wide-facts' }, rows.map(([name, text]) => h('div', {}, h('dt', {}, name), h('dd', {}, text))));
  const el = h('div', { class: 'grid' },
    panel({ title: 'How it works', id: 'p-how', wide: 'half' }, h('div', { class: 'prose' },
      h('p', {}, 'Two venues sell the same bet. Where YES on one and NO on the other together cost less than a dollar after both fees, buying both pays a dollar whatever happens. Orion watches approved pairs, and takes such an edge where it is deep, fresh, large enough and within every limit.'),
      h('p', {}, 'Most edges are not: gross is not net. Each opportunity shows gross, fees and net, and the first rule that ended it. A loss can still happen: one leg fails and the other has to be sold, or the venues settle the same bet differently.'),
      h('p', {}, h('strong', {}, 'Demo'), ': simulated exchanges. ', h('strong', {}, 'Paper'), ': real prices, simulated fills. ', h('strong', {}, 'Alert'), ': real accounts, read only. ', h('strong', {}, 'Live'), ': real money, after it was armed; the whole page has a frame.'))),
    panel({ title: 'First steps', id: 'p-first', wide: 'half' }, h('ol', { class: 'prose' },
      li('Look at the demo: ', code('orion demo'), '. It wins, skips, and has to unwind, in its first minute.'),
      li('Write your settings: ', code('orion init'), ', then ', code('orion doctor'), '.'),
      li('Approve pairs: read both rule texts; the tab Pairs shows what bars one.'),
      li('Paper: ', code('orion run --dry-run --auto-execute true'), '. A day at least.'),
      li(code('orion promote'), ' says what is missing for the next mode. Drill the kill switch. Live comes up disarmed.')),
    h('div', { class: 'line' }, h('button', { type: 'button', on: { click: tour } }, 'Show the tour again'))),
    panel({ title: 'What each control does', id: 'p-controls', wide: 'half' }, list(CONTROLS)),
    panel({ title: 'When something is wrong', id: 'p-wrong', wide: 'half' }, list(WRONG), h('p', { class: 'advice' }, 'From any terminal of the host: ', code('orion status'), ', ', code('orion why'), ', ', code('orion pause'), ', ', code('orion kill'), '. A file named ', code('latch'), ' in the state directory halts too. Runbook and reference: docs/.')),
    panel({ title: 'Keys', id: 'p-keys', wide: 'half' }, keyList(), keySwitch()),
    panel({ title: 'What this page keeps', id: 'p-privacy', wide: 'half' }, h('div', { class: 'prose' },
      h('p', {}, 'It talks to this engine alone. The token lives in this tab until it is closed; colours, zone and shortcuts are kept in the browser. No secret can be read here. From another host, use a tunnel: ', code('ssh -L 8501:127.0.0.1:8501 HOST'), '.'))));
  return { el, sources: [] };
}
