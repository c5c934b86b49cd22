// Tells a screen reader what changed: state changes only, at most once in ten seconds, the newest of each kind.

import { throttle } from './maths.js';

const waiting = new Map();
let last = null;
let timer = null;

/** `kind` replaces an older text of the same kind that was not told yet. */
export function announce(kind, text) {
  waiting.set(kind, text);
  if (timer === null) tell();
}

function tell() {
  timer = null;
  if (!waiting.size) return;
  const pause = throttle(last, performance.now());
  if (pause) {
    timer = setTimeout(tell, pause);
    return;
  }
  last = performance.now();
  const region = document.getElementById('announce');
  if (region) region.textContent = [...waiting.values()].join('. ');
  waiting.clear();
}
