// Sends commands and follows each to its end. A command carries an id of its own, so that sending it again, by a double
// click or after a lost answer, does it once.

import { announce } from './announce.js';
import { Refused, get, operator, post, sentence } from './api.js';
import { commandEvents, shownState } from './live.js';

const POLL_MS = 1_000;
const GIVE_UP_MS = 90_000;

/** Newest first: `{id, command, state, result, at, from}`; state is sending, accepted, done, failed or unknown. */
export const sent = [];
const watchers = new Set();
const busy = new Map();

export function onCommands(tell) {
  watchers.add(tell);
}

const told = () => watchers.forEach((tell) => tell(sent));
export const isBusy = (command) => busy.has(command);
const over = (entry) => entry.state === 'done' || entry.state === 'failed' || entry.state === 'unknown';

commandEvents.watch((event) => {
  const entry = sent.find((one) => one.id === event.id);
  if (entry) move(entry, event.state, event.result);
});

function move(entry, state, result) {
  if (over(entry)) return;
  entry.state = state;
  if (result) entry.result = result;
  if (over(entry)) {
    busy.delete(entry.command);
    announce('command', `${entry.command}: ${entry.state}${entry.result ? `, ${entry.result}` : ''}`);
    entry.finish(entry);
  }
  told();
}

/** Does `command`; resolves with its entry when it is done, failed, or nobody can say. */
export function send(command, more = {}) {
  const running = busy.get(command);
  if (running) return running.end;
  const entry = { id: crypto.randomUUID(), command, state: 'sending', result: '', at: Date.now() };
  if (!operator()) {
    Object.assign(entry, { state: 'failed', result: 'this session may only look: log in as an operator' });
    sent.unshift(entry);
    told();
    return Promise.resolve(entry);
  }
  entry.end = new Promise((finish) => { entry.finish = finish; });
  busy.set(command, entry);
  sent.unshift(entry);
  sent.length = Math.min(sent.length, 20);
  told();
  // What does the same in every state expects none.
  const expect = ['kill', 'flatten', 'dump_latency'].includes(command) ? undefined : shownState();
  deliver(entry, { id: entry.id, command, ...(expect ? { expect } : {}), ...more });
  return entry.end;
}

async function deliver(entry, body) {
  for (let attempt = 0; ; attempt++) {
    try {
      const answer = await post('/api/v1/commands', body, { signal: AbortSignal.timeout(8_000) });
      if (!over(entry)) move(entry, answer.state ?? 'accepted', answer.result);
      break;
    } catch (error) {
      if (error instanceof Refused) {
        move(entry, 'failed', error.status === 409 ? `${error.message}: look at the state again` : error.message);
        return;
      }
      // The answer was lost: the same id may be sent again.
      if (2 <= attempt) {
        move(entry, 'unknown', `${sentence(error)} Look at the state, or use the terminal: orion status, orion kill`);
        return;
      }
      await new Promise((wake) => setTimeout(wake, 300));
    }
  }
  follow(entry);
}

/** In case the stream does not tell. */
async function follow(entry) {
  const until = performance.now() + GIVE_UP_MS;
  while (!over(entry)) {
    await new Promise((wake) => setTimeout(wake, POLL_MS));
    if (over(entry)) return;
    if (until < performance.now()) {
      move(entry, 'unknown', 'no end was reported: see the audit trail');
      return;
    }
    try {
      const answer = await get(`/api/v1/commands/${encodeURIComponent(entry.id)}`);
      if (answer.state !== entry.state) move(entry, answer.state, answer.result);
    } catch { /* Asked again. */ }
  }
}
