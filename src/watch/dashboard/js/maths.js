// What the page works out from the figures it is given: funnel, waterfall, histograms, edits, staleness. Pure.

/** Older than this is said, greyed and dated: never shown as new. */
export const STALE_MS = 5_000;

const STEPS = {
  seen: 'seen', matched: 'matched', fresh: 'fresh', deep: 'deep', positive: 'net > 0', within_limits: 'within limits',
  sent: 'sent', both: 'filled both', settled: 'settled',
};

/** Each step with its share of the first and of the step before, and how many fell out on the way. */
export function funnel(steps) {
  const first = steps[0]?.count ?? 0;
  return steps.map(({ step, count }, i) => {
    const before = i ? steps[i - 1].count : count;
    return {
      step, label: STEPS[step] ?? step, count,
      ofFirst: first ? count / first : 0,
      ofBefore: before ? count / before : 0,
      lost: Math.max(0, before - count),
    };
  });
}

/** Spans one after the other, with where each begins and its share of the whole. */
export function waterfall(spans) {
  const total = spans.reduce((sum, { ns }) => sum + ns, 0);
  let at = 0;
  return spans.map(({ step, ns }) => {
    const row = { step, ns, begins: at, from: total ? at / total : 0, share: total ? ns / total : 0 };
    at += ns;
    return { ...row, ends: at };
  });
}

/** Counts by a key, most frequent first. */
export function tally(rows, key) {
  const counts = new Map();
  for (const row of rows) {
    const name = key(row);
    if (name !== null && name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => ({ name, count })).sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
}

/** Buckets merged to at most `most`, by doubling widths; counts add up to the same sum. */
export function rebucket(buckets, most = 48) {
  const full = buckets.filter(([, count]) => 0 < count);
  if (full.length <= most) return full.map(([upTo, count]) => ({ upTo, count }));
  const low = Math.log(Math.max(1, full[0][0]));
  const step = (Math.log(full.at(-1)[0]) - low) / most || 1;
  const merged = [];
  for (const [upTo, count] of full) {
    const slot = Math.min(most - 1, Math.floor((Math.log(Math.max(1, upTo)) - low) / step));
    const last = merged.at(-1);
    if (last && last.slot === slot) { last.count += count; last.upTo = upTo; } else merged.push({ slot, upTo, count });
  }
  return merged.map(({ upTo, count }) => ({ upTo, count }));
}

/** The strip's minutes in `slots` equal parts of the 24 hours before `end`: the worst p99 of each, or null. */
export function heat(strip, stage, end, slots = 96, hours = 24) {
  const begin = end - hours * 3_600_000;
  const width = (end - begin) / slots;
  const worst = new Array(slots).fill(null);
  for (const { at_ms: at, p99_ns: p99 } of strip) {
    const ns = p99?.[stage];
    const slot = Math.floor((at - begin) / width);
    // 0 is a minute in which nothing was measured.
    if (!ns || slot < 0 || slots < slot) continue;
    const i = Math.min(slot, slots - 1);
    worst[i] = Math.max(worst[i] ?? 0, ns);
  }
  return worst;
}

/** Where a series began, ended, and its extremes. */
export function extremes(values) {
  const real = values.filter((value) => value !== null && value !== undefined);
  if (!real.length) return null;
  let [min, max] = [real[0], real[0]];
  for (const value of real) { if (value < min) min = value; if (max < value) max = value; }
  return { first: real[0], last: real.at(-1), min, max, change: real.at(-1) - real[0] };
}

/** Micro-dollars and venue by venue: what lies there, what orders hold, what is kept, what may be used. */
export function purse(status, keys = {}) {
  const rows = ['kalshi', 'polymarket'].map((venue, i) => {
    const of = (status.balances ?? []).filter((b) => String(b.venue).toLowerCase() === venue);
    const cash = of.reduce((sum, b) => sum + b.cash, 0);
    const orders = of.reduce((sum, b) => sum + b.reserved, 0);
    const held = status.held?.[i] ?? 0;
    const allocated = Number(keys['capital.initial_bankroll']) * Number(keys[`capital.${venue}_allocation_pct`]);
    const share = (status.limits?.reserve_ppm ?? NaN) / 1e6;
    const kept = Math.round(allocated * 1e6 * share);
    const reserve = Number.isFinite(kept) ? kept : null;
    return { venue, cash, orders, held, reserve, free: Math.max(0, cash - orders - (reserve ?? 0)), total: cash + held };
  });
  const sum = (name) => (rows.some((row) => row[name] === null) ? null : rows.reduce((all, row) => all + row[name], 0));
  return { rows, all: Object.fromEntries(['cash', 'orders', 'held', 'reserve', 'free', 'total'].map((n) => [n, sum(n)])) };
}

/** How old figures are and what to say of it. `at` and `now` are of one monotonic clock. */
export function staleness({ at, now, failed = false, limit = STALE_MS }) {
  if (at === null || at === undefined) return { stale: failed, age: null };
  const age = Math.max(0, now - at);
  return { stale: limit < age, age };
}

const quoted = (text) => typeof text === 'string' && 1 < text.length && text.startsWith('"') && text.endsWith('"');

/** A value as a person types it: a TOML string without its quotes. */
export function plain(text) {
  if (!quoted(text)) return text ?? '';
  try { return JSON.parse(text); } catch { return text.slice(1, -1); }
}

/** What a person typed, as it has to stand in TOML; `like` is the value that stands there now. */
export function tomlText(typed, like) {
  const text = typed.trim();
  return quoted(like) && !quoted(text) ? JSON.stringify(text) : text;
}

/** Does the value stand in the overlay? An origin is a word and where: `overlay /path:3`. */
export const inOverlay = (key) => String(key.origin).startsWith('overlay');

/** The edits that really change something: key → text, or null to take it out of the overlay. */
export function changes(keys, edits) {
  const real = {};
  for (const key of keys) {
    if (!edits.has(key.key)) continue;
    const typed = edits.get(key.key);
    if (typed === null) { if (inOverlay(key)) real[key.key] = null; continue; }
    const text = tomlText(typed, key.value);
    if (text !== key.value) real[key.key] = text;
  }
  return real;
}

/** The one-time code in a pasted link or text; null if there is none. */
export function loginCode(text) {
  const trimmed = String(text).trim();
  const link = /[#&?]k=([^&\s#]+)/.exec(trimmed);
  let code = trimmed;
  if (link) { try { code = decodeURIComponent(link[1]); } catch { return null; } }
  return /^[A-Za-z0-9_-]{4,256}$/.test(code) ? code : null;
}

/** May the next announcement be made, and if not, in how many milliseconds? */
export function throttle(last, now, gap = 10_000) {
  return last === null || gap <= now - last ? 0 : gap - (now - last);
}
