// Numbers, money, spans and times as the page shows them. Pure: nothing here touches the document.
// Amounts come in the interface's integers (docs/http.md): micro-dollars, ten-thousandths, millionths, nanoseconds.

const MINUS = '\u2212';
const NBSP = '\u00a0';
export const NONE = '\u2013';

const grouped = new Map();
function group(value, digits) {
  if (!grouped.has(digits)) {
    grouped.set(digits, new Intl.NumberFormat('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return grouped.get(digits).format(value);
}

const missing = (value) => value === null || value === undefined || Number.isNaN(value);

/** A number with thousands separators and a real minus. */
export function number(value, digits = 0) {
  if (missing(value)) return NONE;
  const text = group(Math.abs(value), digits);
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

/** Micro-dollars: `$1,234.50`, `−$1.10`. */
export function money(micros, digits = 2) {
  if (missing(micros)) return NONE;
  const text = group(Math.abs(micros) / 1e6, digits);
  return (micros < 0 && /[1-9]/.test(text) ? MINUS : '') + '$' + text;
}

/** Micro-dollars with a sign, also a plus: `+$12.40`. */
export function signed(micros, digits = 2) {
  if (missing(micros)) return NONE;
  const text = money(micros, digits);
  return 0 < micros && /[1-9]/.test(text) ? '+' + text : text;
}

/** Where a result points: never told by colour alone. */
export function trend(value) {
  if (missing(value) || value === 0) return { mark: '', word: 'unchanged', way: 'flat' };
  return 0 < value ? { mark: '\u25b2', word: 'up', way: 'up' } : { mark: '\u25bc', word: 'down', way: 'down' };
}

/** `▲ +$12.40`. */
export function result(micros, digits = 2) {
  const { mark } = trend(micros);
  return (mark ? mark + NBSP : '') + signed(micros, digits);
}

/** Short money for an axis: `$48.2k`. */
export function axisMoney(micros, step = Infinity) {
  const dollars = micros / 1e6;
  const size = Math.abs(dollars);
  // A unit that would need more than one digit behind the point says less than the plain dollars.
  const [unit, of] = [['M', 1e6, 1e6], ['k', 1e3, 1e4]].find(([, of, from]) => from <= size && of * 0.1 <= step / 1e6) ?? ['', 1];
  const finest = step / 1e6 / of;
  const digits = finest === Infinity ? (unit ? 1 : 0) : finest < 0.01 ? 3 : finest < 0.1 ? 2 : finest < 1 ? 1 : 0;
  return (dollars < 0 ? MINUS : '') + '$' + group(size / of, digits) + unit;
}

/** Micro-dollars per contract as cents: `2.5¢`. */
export function cents(micros) {
  if (missing(micros)) return NONE;
  const value = micros / 1e4;
  const whole = Math.abs(value * 10 - Math.round(value * 10)) < 1e-9;
  return number(value, whole ? 1 : 2) + '¢';
}

/** Ten-thousandths of a dollar: `0.3200`. */
export const price = (value) => (missing(value) ? NONE : number(value / 1e4, 4));

/** Millionths of a contract: `400`, `0.25`. */
export function quantity(value) {
  if (missing(value)) return NONE;
  return number(value / 1e6, value % 1e6 === 0 ? 0 : 2);
}

/** Parts per million as a percentage. */
export const percent = (ppm, digits = 1) => (missing(ppm) ? NONE : number(ppm / 1e4, digits) + NBSP + '%');

/** Thousandths: a ratio such as the profit factor. */
export const ratio = (milli, digits = 2) => (missing(milli) ? NONE : number(milli / 1e3, digits));

/** Nanoseconds: `38 µs`, `1.9 ms`. */
export function span(ns) {
  if (missing(ns)) return NONE;
  for (const [unit, of] of [['s', 1e9], ['ms', 1e6], ['µs', 1e3]]) {
    if (of <= ns) return number(ns / of, ns / of < 10 ? 2 : ns / of < 100 ? 1 : 0) + NBSP + unit;
  }
  return number(ns) + NBSP + 'ns';
}

/** Milliseconds since something: `0.4 s`, `12 s`, `3 min 05 s`. */
export function age(ms) {
  if (missing(ms)) return NONE;
  const s = Math.max(0, ms) / 1e3;
  if (s < 10) return number(s, 1) + NBSP + 's';
  if (s < 60) return number(Math.floor(s)) + NBSP + 's';
  const two = (n) => String(Math.floor(n)).padStart(2, '0');
  if (s < 3600) return `${Math.floor(s / 60)}${NBSP}min${NBSP}${two(s % 60)}${NBSP}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}${NBSP}h${NBSP}${two((s / 60) % 60)}${NBSP}min`;
  return `${Math.floor(s / 86400)}${NBSP}d${NBSP}${two((s / 3600) % 24)}${NBSP}h`;
}

const formats = new Map();
function parts(ms, zone) {
  if (!formats.has(zone)) {
    const options = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
    if (zone !== 'local') options.timeZone = zone;
    formats.set(zone, new Intl.DateTimeFormat('en-GB', options));
  }
  return Object.fromEntries(formats.get(zone).formatToParts(new Date(ms)).map((part) => [part.type, part.value]));
}

/** `12:00:07`. */
export function clock(ms, zone = 'UTC') {
  if (missing(ms)) return NONE;
  const p = parts(ms, zone);
  return `${p.hour}:${p.minute}:${p.second}`;
}

/** `2026-11-30`. */
export function day(ms, zone = 'UTC') {
  if (missing(ms)) return NONE;
  const p = parts(ms, zone);
  return `${p.year}-${p.month}-${p.day}`;
}

/** Date and time to the second, with its zone. */
export function full(ms, zone = 'UTC') {
  if (missing(ms)) return NONE;
  return `${day(ms, zone)} ${clock(ms, zone)} ${zone === 'local' ? 'local time' : zone}`;
}

/** The time of day today, else the date too. */
export function when(ms, zone = 'UTC', nowMs = Date.now()) {
  if (missing(ms)) return NONE;
  return day(ms, zone) === day(nowMs, zone) ? clock(ms, zone) : `${day(ms, zone).slice(5)} ${clock(ms, zone).slice(0, 5)}`;
}

// The same list as `cli/shown.rs`: what a terminal obeys, or an eye does not see.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** What others wrote, with nothing in it that acts instead of showing: those are written out as `\u{202e}`. */
export function shown(text) {
  return String(text ?? '').replace(HIDDEN, (letter) => `\\u{${letter.codePointAt(0).toString(16)}}`);
}

const NAMES = { kalshi: 'Kalshi', polymarket: 'Polymarket' };
/** A venue as people write it. */
export const venue = (name) => NAMES[String(name).toLowerCase()] ?? shown(name);

/** A field of a CSV file; a text that a spreadsheet would run as a formula is made harmless. */
export function csvField(value) {
  let text = missing(value) ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  if (typeof value === 'string' && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows as CSV with a header line. */
export function csv(columns, rows) {
  return [columns.map(csvField), ...rows.map((row) => columns.map((column) => csvField(row[column])))]
    .map((fields) => fields.join(',')).join('\r\n') + '\r\n';
}
