// Four steps for the first visit; dismissed once, it stays away.

import { h, say } from './dom.js';
import { prefs, setPref } from './prefs.js';

const STEPS = [
  ['.bar', 'Five answers at the top', 'Mode, health, exposure, result, and whether it can act. In live mode the whole page has a frame.'],
  ['.bar .buttons', 'Two ways to stop', 'Pause: no new plans, one click. Kill: opens a choice; its default halts and cancels at once. The key K opens it too.'],
  ['#p-feed', 'Every opportunity, and why not', 'Gross less fees is net. Click a row, or press Enter on it, for the reason, the latency of each step and both books.'],
  ['[role=tablist]', 'The rest is one tab away', 'Settings with their origin, the audit of every command, logs, and help. The key ? lists all keys.'],
];

let card = null;

/** Shows the tour, unless it was dismissed or is shown; `again` shows it anyway. */
export function tour(again = false) {
  if (card || (prefs.toured && !again)) return;
  let at = 0;
  const heading = h('h2', { id: 'tour-title', tabindex: '-1' });
  const words = h('p');
  const count = h('span', { class: 'note' });
  const back = h('button', { type: 'button', class: 'quiet', on: { click: () => go(at - 1) } }, 'Back');
  const next = h('button', { type: 'button', class: 'primary', on: { click: () => (at + 1 < STEPS.length ? go(at + 1) : end()) } });
  const before = document.activeElement;
  card = h('div', { class: 'tour', role: 'dialog', 'aria-modal': 'false', 'aria-labelledby': 'tour-title', on: { keydown: (event) => { if (event.key === 'Escape') end(); } } },
    heading, words, h('div', { class: 'line' }, count, h('span', { class: 'grow' }),
      h('button', { type: 'button', class: 'quiet', on: { click: end } }, 'Do not show again'), back, next));
  const mark = (on) => document.querySelector(STEPS[at][0])?.classList.toggle('toured', on);
  function go(to) {
    mark(false);
    at = to;
    mark(true);
    const [where, title, text] = STEPS[at];
    say(heading, title);
    say(words, text);
    say(count, `${at + 1} of ${STEPS.length}`);
    back.disabled = at === 0;
    say(next, at + 1 < STEPS.length ? 'Next' : 'Done');
    document.querySelector(where)?.scrollIntoView({ block: 'nearest' });
    heading.focus({ preventScroll: true });
  }
  function end() {
    mark(false);
    card?.remove();
    card = null;
    setPref('toured', true);
    if (before?.isConnected) before.focus();
  }
  document.body.append(card);
  go(0);
}

/** Taken away without being dismissed, as when the session ends. */
export function hideTour() {
  card?.remove();
  card = null;
}
