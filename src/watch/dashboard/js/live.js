// The figures that the page shows: what the event stream pushes, what is asked for again and again while it is looked at,
// and how old each of them is.

import { get, loggedIn, request, sentence } from './api.js';
import { STALE_MS, staleness } from './maths.js';
import { backoff, parser } from './sse.js';

const now = () => performance.now();

/** One set of figures: a value, when it came, who wants to know. */
export class Source {
  value = null;
  at = null;
  error = null;
  #watchers = new Set();

  watch(tell) {
    this.#watchers.add(tell);
    if (this.value !== null) tell(this.value);
  }

  put(value) {
    this.value = value;
    this.at = now();
    this.error = null;
    this.#watchers.forEach((tell) => tell(value));
  }

  /** Shows the same figures once more, as when the zone changed. */
  again() {
    if (this.value !== null) this.#watchers.forEach((tell) => tell(this.value));
  }

  clear() {
    this.value = null;
    this.at = null;
    this.error = null;
  }

  age() {
    return staleness({ at: this.at, now: now(), failed: this.error !== null });
  }
}

/** Figures that come by themselves; they are as old as the stream is silent, and as the engine's own clock stands still. */
class Streamed extends Source {
  constructor(moves) {
    super();
    this.moves = moves;
  }

  age() {
    const at = this.at === null ? null : Math.min(stream.heard ?? 0, this.moves ? stream.moved ?? 0 : Infinity);
    return staleness({ at, now: now(), failed: stream.lost });
  }
}

/** Figures that are asked for while their tab is seen. */
export class Polled extends Source {
  #timer = null;
  #asking = null;
  #raw = '';
  #failures = 0;

  /** `path` is a text or gives one; `every` is in milliseconds. */
  constructor(path, every = 3_000) {
    super();
    this.path = path;
    this.every = every;
    this.wanted = false;
  }

  start() {
    this.wanted = true;
    this.#next(0);
  }

  stop() {
    this.wanted = false;
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = null;
  }

  /** Asks at once: after a change, or when the question itself changed (`anew`). */
  refresh(anew = false) {
    if (anew) {
      this.clear();
      this.#raw = '';
    }
    this.#asking?.abort();
    this.#asking = null;
    return this.#ask();
  }

  clear() {
    super.clear();
    this.#raw = '';
  }

  #next(after) {
    clearTimeout(this.#timer);
    if (this.wanted && !document.hidden) this.#timer = setTimeout(() => this.#ask(), after);
  }

  async #ask() {
    if (this.#asking || !loggedIn()) return;
    const asking = new AbortController();
    this.#asking = asking;
    const limit = setTimeout(() => asking.abort(), 8_000);
    try {
      const path = typeof this.path === 'function' ? this.path() : this.path;
      const raw = await (await request(path, { signal: asking.signal })).text();
      if (this.#asking !== asking) return;
      this.#failures = 0;
      // The same figures again: only their age is new.
      if (raw === this.#raw && this.value !== null) {
        this.at = now();
        this.error = null;
      } else {
        this.#raw = raw;
        this.put(JSON.parse(raw));
      }
    } catch (error) {
      if (this.#asking !== asking) return;
      this.error = sentence(error);
      this.#failures++;
    } finally {
      clearTimeout(limit);
      if (this.#asking === asking) {
        this.#asking = null;
        this.#next(this.#failures ? Math.max(this.every, backoff(this.#failures)) : this.every);
      }
    }
  }
}

export const status = new Streamed(true);
export const opportunities = new Streamed(false);
export const logLines = new Streamed(false);
export const commandEvents = new Streamed(false);

/** The event stream: `heard` is when it last said anything, `moved` when the engine's own figures last advanced. */
export const stream = { heard: null, moved: null, lost: false, attempt: 0 };
let engineTime = null;
let reading = null;

function onEvent({ event, data }) {
  stream.heard = now();
  stream.lost = false;
  stream.attempt = 0;
  let value;
  try { value = JSON.parse(data); } catch { return; }
  if (event === 'status') takeStatus(value);
  else if (event === 'opportunities') opportunities.put(value.opportunities ?? value);
  else if (event === 'command') commandEvents.put(value);
  else if (event === 'log') logLines.put(value.lines ?? value);
}

function takeStatus(value) {
  if (value.at_ms !== engineTime || engine(value) !== 'running') {
    engineTime = value.at_ms;
    stream.moved = now();
  }
  status.put(value);
}

/** Opens the stream and keeps it open until `close`. */
export async function open() {
  if (reading) return;
  const mine = new AbortController();
  reading = mine;
  // What the stream tells only when it changes is asked for once.
  get('/api/v1/opportunities?limit=50').then((all) => { if (reading === mine) opportunities.put(all.opportunities); }).catch(() => {});
  while (reading === mine && loggedIn()) {
    const cut = new AbortController();
    const end = () => cut.abort();
    mine.signal.addEventListener('abort', end);
    // A connection that stands but says nothing is no stream.
    const watch = setInterval(() => { if (3 * STALE_MS < now() - began && 3 * STALE_MS < now() - (stream.heard ?? 0)) cut.abort(); }, 1_000);
    const began = now();
    try {
      const answer = await request('/api/v1/events', { signal: cut.signal, accept: 'text/event-stream' });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const feed = parser(onEvent);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        feed(value);
      }
    } catch { /* Whatever ended it, it is opened again. */ }
    clearInterval(watch);
    mine.signal.removeEventListener('abort', end);
    if (reading !== mine || !loggedIn()) break;
    stream.lost = true;
    await new Promise((wake) => setTimeout(wake, backoff(stream.attempt++)));
  }
}

export function close() {
  reading?.abort();
  reading = null;
  Object.assign(stream, { heard: null, moved: null, lost: false, attempt: 0 });
  for (const source of [status, opportunities, logLines, commandEvents]) source.clear();
}

/** running, stopped, starting or stopping. */
export const engine = (value = status.value) => value?.engine || 'running';

/** The state that a command expects to find. */
export function shownState() {
  const value = status.value;
  if (!value) return undefined;
  return value.engine === 'stopped' ? 'stopped' : value.state;
}

/** Why it is not ready, in words; `reasons` are the counts of why opportunities were left. */
export const notReady = (value) => (value.ready === false ? value.reasons_not_ready ?? [] : []);
