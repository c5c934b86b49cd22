// What each control asks before it acts. Slowing down is one click; speeding up shows the limits first.

import { operator } from './api.js';
import { isBusy, send } from './commands.js';
import { ask, field } from './dialog.js';
import { h, shape } from './dom.js';
import { money, number, percent, shown } from './format.js';
import { status } from './live.js';

const limits = () => status.value?.limits ?? {};

/** The limits that stand whatever is confirmed. */
function limitList() {
  const l = limits();
  const rows = [
    ['One trade, both legs', money(l.max_trade_usd)], ['One event, both venues', money(l.max_event_usd)],
    ['A day’s loss that halts', money(l.max_daily_loss_usd)], ['Pairs held at once', number(l.max_open_positions)],
    ['Kept untouched', percent(l.reserve_ppm, 0)],
  ];
  return h('dl', { class: 'facts boxed' }, rows.map(([name, text]) => h('div', {}, h('dt', {}, name), h('dd', {}, text))));
}

const mode = () => (status.value?.mode ?? 'unknown').toUpperCase();
const p = (...kids) => h('p', {}, kids);

/** The button's own words say what happens. */
function confirm(title, body, label, look, act) {
  return ask({ title, body, actions: [{ label, class: look, first: true, act: (close) => { close(true); act(); } }] });
}

const CODE_HINT = 'Run “orion dashboard code” where the engine’s host is. It holds for two minutes, once.';
const codeField = () => field('Code from the terminal', { class: 'code', required: true, maxlength: '64' }, CODE_HINT);

export const pause = () => send('pause');

export function resume() {
  const why = status.value?.latch;
  const halted = status.value?.state === 'halted';
  return confirm(halted ? 'Resume after a halt?' : 'Resume trading?',
    [why ? p('Halted because: ', h('strong', {}, shown(why)), '. Resume only when the cause is understood.') : null,
      p('New plans are made again, within these limits:'), limitList()],
    `Resume: new plans in ${mode()}`, 'primary', () => send('resume'));
}

export function kill() {
  const value = status.value ?? {};
  return ask({
    title: 'Stop trading now',
    wide: true,
    body: [
      p(h('strong', {}, 'Halt + cancel'), ': from now on nothing that raises risk leaves, open orders are cancelled, a leg that stands alone is closed. Held pairs are kept to settlement.'),
      p(h('strong', {}, 'Flatten'), ': the same, and everything held is sold. It asks for a code.'),
      p(`Now: ${number(value.positions ?? 0)} open, ${money(value.locked ?? 0)} locked, ${money(value.naked ?? 0)} naked. It outlives a restart; only Resume lifts it.`),
    ],
    actions: [
      { label: 'Flatten…', class: 'danger-quiet', act: (close) => { close(); flatten(); } },
      { label: [shape('stop'), 'Halt + cancel now'], class: 'danger', first: true, act: (close) => { close(); send('kill'); } },
    ],
  });
}

export function flatten() {
  const value = status.value ?? {};
  const code = codeField();
  return ask({
    title: 'Flatten: halt and sell everything held',
    wide: true,
    body: [
      h('dl', { class: 'facts boxed' },
        h('div', {}, h('dt', {}, 'Estimated cost now'), h('dd', {}, money(value.flatten_loss))),
        h('div', {}, h('dt', {}, 'Markets that nobody bids for'), h('dd', {}, number(value.unsellable ?? 0))),
        h('div', {}, h('dt', {}, 'Held, at cost'), h('dd', {}, money(value.locked)))),
      p('Sales stop at a loss of risk.max_flatten_loss; the rest is kept. Sold is sold: Resume does not buy it back.'),
      code.el,
    ],
    actions: [
      { label: 'Halt + cancel only', class: 'danger-quiet', act: (close) => { close(); send('kill'); } },
      { label: 'Halt and sell everything', class: 'danger', enter: true, act: (close) => {
        if (!code.input.value.trim()) { code.input.focus(); return; }
        close();
        send('flatten', { code: code.input.value.trim() });
      } },
    ],
  });
}

export function drill() {
  return confirm('Drill the kill switch?', [p('Halts, measures how fast the last order left, and lifts the halt again. Takes about a second; nothing new is entered meanwhile.')],
    'Drill now', 'primary', () => send('drill'));
}

/** Seconds to think again, as the terminal gives them; closing the dialog is thinking again. */
async function countDown(seconds, act) {
  const left = h('p', { class: 'count', role: 'timer' }, `Arming in ${seconds} s`);
  let timer;
  const over = await ask({
    title: 'Arming', cancel: 'Do not arm',
    body: (close) => {
      timer = setInterval(() => {
        seconds -= 1;
        left.textContent = `Arming in ${seconds} s`;
        if (seconds === 0) close(true);
      }, 1_000);
      return [left];
    },
  });
  clearInterval(timer);
  if (over) act();
}

export function arm() {
  const code = codeField();
  const value = status.value ?? {};
  const known = value.arming_phrase;
  const phrase = field('Phrase', { class: 'code', maxlength: '200' },
    known ? `Type: ${known}` : 'The one that “orion arm” asks for: arm, the mode, and the whole dollars at stake.');
  const hints = (value.findings ?? []).map((text) => h('li', {}, shown(text)));
  return ask({
    title: `Arm ${mode()}: orders may leave`,
    wide: true,
    body: [p('From then on Orion sends orders with real money, within these limits:'), limitList(), hints.length ? h('ul', {}, hints) : null, code.el, phrase.el],
    actions: [{ label: `Arm: send ${mode()} orders`, class: 'danger', enter: true, act: (close) => {
      const empty = [code.input, phrase.input].find((input) => !input.value.trim());
      if (empty) { empty.focus(); return; }
      close();
      countDown(5, () => send('arm', { code: code.input.value.trim(), phrase: phrase.input.value.trim() }));
    } }],
  });
}

export const disarm = () => send('disarm');

export function autoExecute(on) {
  if (!on) return send('auto_execute', { on: false });
  return confirm('Execute by itself?', [p(`Every opportunity that passes all rules becomes orders in ${mode()}, until the next start. The limits:`), limitList()],
    `Execute by itself in ${mode()}`, 'primary', () => send('auto_execute', { on: true }));
}

export function demote() {
  const target = (to, text) => ({ label: text, class: to === 'paper' ? 'primary' : '', act: (close) => { close(); send('demote', { to }); } });
  const live = status.value?.mode === 'live';
  return ask({
    title: 'Step down',
    body: [p('Disarms at once: no live entry leaves any more. The next start is in the mode chosen here. Open positions stay managed until they are closed.'),
      p('The way up leads through the terminal: orion promote.')],
    actions: [...(live ? [target('alert', 'To alert: watch, send nothing')] : []), target('paper', 'To paper: simulated fills')],
  });
}

export function start() {
  return confirm('Start the engine?', [p('It reads its settings anew, connects to both venues and trades when both agree with the journal. Live is armed only if it was, under the same limits.')],
    'Start the engine', 'primary', () => send('start'));
}

export function stop() {
  const value = status.value ?? {};
  return ask({
    title: 'Stop the engine',
    wide: true,
    body: [p(`${number(value.positions ?? 0)} open. Stopping also stops looking after what is held; pausing does not. This page stays, so that it can be started again.`)],
    actions: [
      { label: 'Stop now: the latch falls, open orders are cancelled, single legs closed; Resume lifts it', class: 'danger-quiet', act: (close) => { close(); send('stop', { open: 'cancel' }); } },
      { label: 'Stop: no more plans; open legs finish', class: 'primary', first: true, act: (close) => { close(); send('stop', { open: 'finish' }); } },
    ],
  });
}

/** Keeps a button in step with what may be done: `rule()` gives null, or the reason why not. */
export function guard(button, command, rule = () => null) {
  const act = () => {
    const why = !operator() ? 'this session may only look' : isBusy(command) ? 'on its way' : rule();
    if (why) button.setAttribute('aria-disabled', 'true'); else button.removeAttribute('aria-disabled');
    button.title = why ?? button.dataset.title ?? '';
    button.classList.toggle('busy', isBusy(command));
    return why;
  };
  button.addEventListener('click', (event) => { if (act()) event.stopImmediatePropagation(); }, true);
  act();
  return act;
}
