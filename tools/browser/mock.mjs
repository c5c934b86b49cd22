// A stand-in for the engine's HTTP interface, with made-up figures, to look at the page while there is no engine.
// node tools/browser/mock.mjs [PORT] [MODE]; log in with the code `mock-code`, or `mock-view` for a viewer.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';

const root = new URL('../../src/watch/dashboard/', import.meta.url).pathname;
const port = Number(process.argv[2] ?? 8599);
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const TYPES = { '.html': 'text/html; charset=utf-8', '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml' };
let seed = 7;
const rnd = () => ((seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648);
const TITLES = ['Will bill X pass by 30 Nov?', 'Fed raises in March', 'High temperature in Chicago above 41 °F on Friday', 'Will the ceasefire hold until year’s end?', 'NO\u202eSEY \u001b[31m<b>hostile</b>\u200b title', 'هل ستفوز المغرب؟', 'CPI above 3.1 % in October', 'Lakers beat Celtics'];
const WHY = { FEES: 'both fees together were more than the gross edge', THRESHOLD: 'the net edge was below trading.threshold_spread', DEPTH: 'less than trading.target_liquidity_depth was on offer within trading.slippage_tolerance', COOL_DOWN: 'the pair traded within trading.cooldown_s', BOOK_STALE: 'a book was not fit to trade on', YIELD: 'the yearly yield was below trading.min_annualized_yield' };
const state = { engine: 'running', mode: process.argv[3] ?? 'paper', state: 'active', latch: null, auto: true, armed: process.argv[3] === 'live' ? false : null };
const commands = new Map();
const audit = { commands: [], settings: [], events: [{ id: 1, at_ms: Date.now() - 6e4, kind: 'start', text: 'engine started' }] };
const streams = new Set();
const started = Date.now() - 3.7e6;

function opp(id) {
  const r = (n) => ((id * 7919 + n * 104729) % 1000) / 1000;
  const yes = Math.round(2000 + r(1) * 6000); const gross = Math.round((r(2) * 0.06 - 0.001) * 1e6); const fee = Math.round((0.012 + r(3) * 0.018) * 1e6);
  const net = gross - fee; const filled = net > 9000 && r(4) > 0.2;
  const code = net < 0 ? 'FEES' : net < 9000 ? 'THRESHOLD' : Object.keys(WHY)[Math.floor(r(5) * 6)];
  return { id, pair: `P${id % 8}`, title: TITLES[id % 8], yes_on: id % 3 ? 'kalshi' : 'polymarket', seen_ms: Date.now() - (900 - id) * 2100, ended_ms: Date.now() - (900 - id) * 2100 + 800, yes_price: yes, no_price: 10000 - yes - Math.round(gross / 100), gross, fee, net, qty: Math.round(100 + r(6) * 900) * 1e6, depth: Math.round(r(7) * 9000) * 1e6, yearly_ppm: Math.round(net * 40), days_milli: Math.round(r(8) * 120000), outcome: filled ? (r(9) > 0.85 ? 'partial' : 'filled') : 'skipped', reason: filled ? null : code, sentence: filled ? null : WHY[code], detect_ns: Math.round(21000 + r(10) * 60000), plan: filled ? id : null };
}
const plan = (id, closed) => { const o = opp(id); const realised = id % 5 === 0 ? -1120000 : Math.round(o.net * o.qty / 1e6); return { id, opportunity: id, pair: o.pair, title: o.title, yes_on: o.yes_on, qty: o.qty, yes_limit: o.yes_price, no_limit: o.no_price, state: !closed ? 'filled' : id % 5 === 0 ? 'unwound' : 'filled', opened_ms: o.seen_ms, closed_ms: closed ? o.seen_ms + 3.6e6 * (id % 7 + 0.2) : null, expected: Math.abs(Math.round(o.net * o.qty / 1e6)), realised: closed ? realised : null, spent: o.qty * 0.95, fees: Math.round(o.fee * o.qty / 1e6), provisional: id % 4 === 0 }; };
const book = (venue) => ({ venue, bids: Array.from({ length: 6 }, (_, i) => [4700 - i * 100, (400 + i * 313) * 1e6]), asks: Array.from({ length: 6 }, (_, i) => [4800 + i * 100, (300 + i * 257) * 1e6]) });
const newest = () => 900;

const status = () => ({
  version: '0.1.0', mode: state.mode, pid: 4711, started_ms: started, at_ms: Date.now(), state: state.state, latch: state.latch, auto_execute: state.auto, armed: state.armed,
  findings: state.mode === 'live' ? ['! the wallet holds more than the bankroll'] : [], advice: ['$400 from Kalshi to Polymarket'], agrees: state.mode === 'live' ? true : null, sources: ['Kalshi: stream', 'Polymarket: stream'],
  feeds: ['kalshi', 'polymarket'].map((venue, i) => ({ venue, connections_up: 1 + i, dials: 1 + i, messages: 128340 + Math.floor(Date.now() / 100) % 10000, snapshots: 31, gaps: i, duplicates: 3, malformed: 0, canaries: 0, storms: 0 })),
  pairs: 31, barred: 2, books: 62, fit: [31, 30], updates: 1e6, sightings: 8412, plans: 9, fills: 16, polled_fills: 0, unwinds: 1, settlements: 4, wins: 6, losses: 1, positions: 3, locked: 2238e6, held: [1140e6, 1098e6], naked: 0, realised_today: 12400000,
  flatten_loss: 31220000, unsellable: 1, balances: [{ venue: 'kalshi', shard: 0, cash: 29310e6, reserved: 120e6 }, { venue: 'polymarket', shard: 0, cash: 28902e6, reserved: 0 }],
  endings: {}, reasons: [{ code: 'FEES', count: 700 }], canaries: {}, doubts: 0, checksums: [4312, 2, 0, 0], latency: [{ stage: 'decide', count: 9000, p50_ns: 38000, p99_ns: 91000, max_ns: 400000 }], audit_queue: 0, audit_dropped: 0, audit_error: null,
  engine: state.engine, ready: state.engine === 'running', reasons_not_ready: state.engine === 'running' ? [] : ['the engine is stopped'], now_ms: Date.now(), clock_offset_ms: { kalshi: 2, polymarket: -1 }, budgets: { kalshi: 30, polymarket: 60 }, arming_phrase: state.armed === null ? null : 'arm live 54000', venues: [{ venue: 'kalshi', age_ms: 400 }, { venue: 'polymarket', age_ms: 100 }], naked_since_ms: null, naked_ms_total: 14000, today: 12400000, total: 212400000, promoted: state.mode,
  limits: { max_trade_usd: 5000e6, max_event_usd: 10000e6, max_daily_loss_usd: 5000e6, max_open_positions: 20, reserve_ppm: 100000 },
});
const equity = () => { seed = 11; let e = 100000e6; let peak = e; return Array.from({ length: 400 }, (_, i) => { e += (rnd() - 0.42) * 4e6 - (i === 200 ? 30e6 : 0); peak = Math.max(peak, e); return [Date.now() - (400 - i) * 216000, Math.round(e), Math.round(peak - e)]; }); };
const stages = ['read', 'frame', 'parse', 'ring', 'book', 'decide', 'sign', 'send', 'ack'];
const KEYS = (await readFile(new URL('../../config/orion.toml', import.meta.url), 'utf8')).split('\n');
function keys() {
  const out = []; let section = ''; let doc = [];
  for (const line of KEYS) {
    const head = /^\[(.+)\]/.exec(line); const pair = /^(\w+) = (.*)$/.exec(line);
    if (head) { section = head[1]; doc = []; } else if (line.startsWith('# ')) doc.push(line.slice(2)); else if (pair) {
      const text = doc.join(' '); const meta = /(?:Unit: (.*?)\. )?(?:Allowed: (.*?)\. )?Default: (.*)$/.exec(text) ?? [];
      const key = `${section}.${pair[1]}`; const value = overlay.get(key) ?? pair[2];
      out.push({ key, section, doc: text.replace(/ ?(Unit|Allowed|Default): .*/, ''), unit: meta[1] ?? null, type: /^(true|false)$/.test(pair[2]) ? 'bool' : 'text', range: /"/.test(meta[2] ?? '') ? null : meta[2] ?? null, choices: /"/.test(meta[2] ?? '') ? meta[2].split(', ').map((c) => c.replaceAll('"', '')) : [], default: pair[2], value, origin: overlay.has(key) ? 'overlay' : 'default', pinned: key === 'feed.kalshi_poll_ms' ? 'ORION_FEED__KALSHI_POLL_MS' : null, applies: /^(trading|risk)/.test(key) ? 'now' : 'next start', guards: /^(risk|trading.max)/.test(key) }); doc = [];
    } else doc = [];
  }
  return out;
}
const overlay = new Map([['trading.threshold_spread', '0.015']]);
function checkChanges(changes) {
  const all = keys(); const diff = []; const errors = [];
  for (const [key, after] of Object.entries(changes)) {
    const k = all.find((one) => one.key === key);
    if (after !== null && /^[\d.]+$/.test(k.default) && !/^[\d.]+$/.test(after)) errors.push({ key, what: `${after} is no number`, help: `Allowed: ${k.range}` });
    else diff.push({ key, before: k.value, after: after ?? k.default, applies: k.applies, loosens: k.guards && Number(after) > Number(k.value) });
  }
  return { diff, errors, phrase: diff.some((d) => d.loosens) ? 'loosen risk' : null, written: null };
}
function act(body) {
  const done = { pause: () => { state.state = 'paused'; }, resume: () => { state.state = 'active'; state.latch = null; }, kill: () => { state.state = 'halted'; state.latch = 'halted by a person'; }, flatten: () => { state.state = 'halted'; state.latch = 'halted by a person'; }, auto_execute: () => { state.auto = body.on; }, arm: () => { state.armed = true; }, disarm: () => { state.armed = false; }, stop: () => { state.engine = 'stopped'; }, start: () => { state.engine = 'running'; } }[body.command];
  done?.();
  audit.commands.unshift({ id: audit.commands.length + 1, at_ms: Date.now(), who: 'dashboard operator', command: body.command, args: JSON.stringify(body), result: 'done' });
  return { id: body.id, command: body.command, state: 'done', result: `${body.command}: ${state.state}` };
}

const routes = {
  '/api/v1/status': status,
  '/api/v1/opportunities': (q) => ({ opportunities: Array.from({ length: Number(q.get('limit') ?? 50) }, (_, i) => opp(newest() - i)).filter((o) => (!q.get('outcome') || o.outcome === q.get('outcome')) && (!q.get('reason') || o.reason === q.get('reason'))) }),
  '/api/v1/positions': () => ({ plans: [3, 7, 11].map((i) => ({ ...plan(800 + i, false), legs: [{ venue: 'kalshi', market: 'KX', outcome: 'yes', qty: 400e6, cost: 128e6 }, { venue: 'polymarket', market: '0xabc', outcome: 'no', qty: 400e6, cost: 252e6 }], settles_ms: Date.now() + i * 864e5 })), holdings: [{ venue: 'kalshi', market: 'KXBILL-26NOV30', outcome: 'yes', qty: 400e6, cost: 128e6, title: TITLES[0] }, { venue: 'polymarket', market: '0xabc123', outcome: 'no', qty: 400e6, cost: 252e6, title: TITLES[0] }] }),
  '/api/v1/trades': () => ({ trades: Array.from({ length: 20 }, (_, i) => plan(700 - i * 3, true)) }),
  '/api/v1/performance': () => ({ net: 212400000, trades: 41, won: 25, lost: 16, win_ppm: 610000, win_low_ppm: 457000, win_high_ppm: 743000, profit_factor_milli: 1900, volume: 18400e6, fees: 301e6, roi_ppm: 4100, sharpe_milli: 1310, sharpe_days: 12, drawdown: 34e6, drawdown_ppm: 11000, expected: 260e6, captured_ppm: 817000, equity: equity(), days: Array.from({ length: 12 }, (_, i) => ({ day: `2026-11-${String(10 + i)}`, trades: 3 + i % 4, won: 2, realised: ((i * 37) % 50 - 14) * 1e6, expected: 22e6 })), pairs: TITLES.map((title, i) => ({ title, trades: i + 1, realised: (i * 31 % 60 - 12) * 1e6 })), unwinds: [[Date.now() - 200 * 216000, 30e6]] }),
  '/api/v1/funnel': () => ({ from_ms: Date.now() - 36e5, steps: [['seen', 8412], ['matched', 1020], ['fresh', 998], ['deep', 310], ['positive', 22], ['within_limits', 14], ['sent', 9], ['both', 8], ['settled', 4]].map(([step, count]) => ({ step, count })), reasons: Object.entries(WHY).map(([code, sentence], i) => ({ code, sentence, count: [712, 140, 61, 22, 9, 3][i], step: 'positive' })) }),
  '/api/v1/pairs': () => ({ file: 'config/pairs.toml', pairs: Array.from({ length: 40 }, (_, i) => ({ key: `P${i}`, title: TITLES[i % 8], kalshi: `KXBILL-26NOV${i}`, polymarket: `0x${'ab12'.repeat(16)}`, polarity: i % 7 ? 'same' : 'inverted', event: `EV-${i % 9}`, approved_by: 'mara', approved_ms: Date.now() - i * 864e5, tail: 0.005, barred: i % 9 === 4 ? 'RULES_CHANGED' : null, sentence: i % 9 === 4 ? 'a rule text changed since the pair was approved' : null, seen: i * 13, plans: i % 4, realised: (i % 5 - 1) * 3e6 })) }),
  '/api/v1/latency': () => ({ stages: stages.map((stage, i) => ({ stage, count: 9000 >> (i > 5 ? 8 : 0), p50_ns: 2000 * (i + 1), p90_ns: 4000 * (i + 1), p99_ns: 9000 * (i + 1), p999_ns: 30000 * (i + 1), max_ns: 200000 * (i + 1), buckets: Array.from({ length: 60 }, (_, b) => [Math.round(500 * 1.12 ** b * (i + 1)), Math.round(900 * Math.exp(-((b - 20) ** 2) / 90))]) })), strip: Array.from({ length: 1440 }, (_, m) => ({ at_ms: Date.now() - (1440 - m) * 6e4, p99_ns: Object.fromEntries(stages.slice(0, 6).map((s, i) => [s, Math.round(9000 * (i + 1) * (1 + Math.sin(m / 90 + i) ** 2 + (m % 211 === 0 ? 6 : 0)))])) })) }),
  '/api/v1/config': () => ({ keys: keys(), overlay: '~/.local/state/orion/overlay.toml', undo: 2, fingerprint: `f${overlay.size}`, pending: [] }),
  '/api/v1/audit': (q) => ({ rows: audit[q.get('table')] }),
  '/api/v1/logs': () => ({ dropped: 0, lines: Array.from({ length: 120 }, (_, i) => ({ id: i, at_ms: Date.now() - (120 - i) * 900, level: ['INFO', 'INFO', 'WARN', 'INFO', 'ERROR'][i % 5], target: 'orion::run::keep', text: `line ${i}: opportunity ${800 + i} skipped, FEES` })) }),
};

createServer(async (req, res) => {
  const url = new URL(req.url, 'http://x');
  res.setHeader('Content-Security-Policy', CSP);
  const json = (value, code = 200) => { res.writeHead(code, { 'Content-Type': 'application/json' }); res.end(JSON.stringify(value)); };
  if (url.pathname === '/' || url.pathname.startsWith('/app/')) {
    const path = url.pathname === '/' ? 'index.html' : normalize(url.pathname.slice(5));
    try { const data = await readFile(join(root, path)); res.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'text/plain' }); res.end(data); } catch { json({ error: 'no such file' }, 404); }
    return;
  }
  let text = '';
  for await (const chunk of req) text += chunk;
  const body = text ? JSON.parse(text) : {};
  if (url.pathname === '/api/v1/session') return /^mock-/.test(body.code) ? json({ token: `t-${body.code}`, role: body.code === 'mock-view' ? 'viewer' : 'operator', expires_ms: Date.now() + 864e5 }) : json({ error: 'that code is not known' }, 401);
  if (!/^Bearer t-mock/.test(req.headers.authorization ?? '')) return json({ error: 'no token' }, 401);
  if (url.pathname === '/api/v1/events') {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    const send = (event, data) => res.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    streams.add(send);
    const timer = setInterval(() => send('status', status()), 500);
    send('status', status());
    req.on('close', () => { clearInterval(timer); streams.delete(send); });
    return;
  }
  if (req.method === 'POST') {
    if (url.pathname === '/api/v1/commands') {
      json({ id: body.id, state: 'accepted' }, 202);
      setTimeout(() => { const end = commands.get(body.id) ?? act(body); commands.set(body.id, end); streams.forEach((send) => send('command', end)); }, 400);
      return;
    }
    if (url.pathname === '/api/v1/config/check') return json(checkChanges(body.changes));
    if (url.pathname === '/api/v1/config/save') { const answer = checkChanges(body.changes); if (answer.phrase && body.phrase !== answer.phrase) return json({ error: 'that is not the phrase' }, 422); for (const [k, v] of Object.entries(body.changes)) { if (v === null) overlay.delete(k); else overlay.set(k, v); audit.settings.unshift({ id: audit.settings.length + 1, at_ms: Date.now(), key: k, before: '', after: v, origin: 'dashboard' }); } return json({ ...answer, written: 'overlay.toml' }); }
    return json({});
  }
  const one = /^\/api\/v1\/opportunities\/(\d+)$/.exec(url.pathname);
  if (one) { const o = opp(Number(one[1])); return json({ opportunity: o, plan: o.plan ? plan(o.id, true) : null, fills: o.plan ? ['kalshi', 'polymarket'].map((venue, i) => ({ id: i, venue, market: 'KX', outcome: i ? 'no' : 'yes', action: 'buy', price: 4800, qty: o.qty, fee: 4300000, at_ms: o.seen_ms + 90, finality: 'final', simulated: true })) : [], waterfall: [['read', 4100], ['frame', 900], ['parse', 6200], ['ring', 1800], ['book', 3100], ['decide', 22000], ...(o.plan ? [['sign', 310000], ['send', 52000], ['ack', 45000000], ['fill', 1900000]] : [])].map(([step, ns]) => ({ step, ns })), books: [book('kalshi'), book('polymarket')] }); }
  const command = /^\/api\/v1\/commands\/(.+)$/.exec(url.pathname);
  if (command) return json(commands.get(command[1]) ?? { id: command[1], state: 'accepted' });
  if (url.pathname.endsWith('.csv') || url.pathname.endsWith('.hlog')) { res.end('a,b\n'); return; }
  return routes[url.pathname] ? json(routes[url.pathname](url.searchParams)) : json({ error: 'no such route' }, 404);
}).listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}/#k=mock-code`));
