// What the page works out by itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as m from '../../../src/watch/dashboard/js/maths.js';

test('the funnel tells what fell out at each step', () => {
  const rows = m.funnel([{ step: 'seen', count: 200 }, { step: 'matched', count: 50 }, { step: 'positive', count: 0 }, { step: 'sent', count: 0 }]);
  assert.deepEqual(rows.map((r) => [r.label, r.ofFirst, r.ofBefore, r.lost]), [['seen', 1, 1, 0], ['matched', 0.25, 0.25, 150], ['net > 0', 0, 0, 50], ['sent', 0, 0, 0]]);
  assert.deepEqual(m.funnel([]), []);
});

test('a waterfall begins where the step before ended and adds up', () => {
  const rows = m.waterfall([{ step: 'read', ns: 100 }, { step: 'parse', ns: 300 }]);
  assert.deepEqual(rows.map((r) => [r.begins, r.ends, r.from, r.share]), [[0, 100, 0, 0.25], [100, 400, 0.25, 0.75]]);
  assert.equal(m.waterfall([{ step: 'read', ns: 0 }])[0].share, 0);
});

test('merged buckets keep every count and their order', () => {
  const buckets = Array.from({ length: 500 }, (_, i) => [Math.round(100 * 1.03 ** i), i % 7]);
  const merged = m.rebucket(buckets, 40);
  assert.ok(merged.length <= 40);
  assert.equal(merged.reduce((sum, b) => sum + b.count, 0), buckets.reduce((sum, [, c]) => sum + c, 0));
  assert.ok(merged.every((b, i) => i === 0 || merged[i - 1].upTo < b.upTo));
  assert.deepEqual(m.rebucket([]), []);
});

test('the strip shows the worst of each slot and leaves gaps empty', () => {
  const hour = 3_600_000;
  const end = 100 * hour;
  const worst = m.heat([{ at_ms: end - 1, p99_ns: { book: 5 } }, { at_ms: end - 2, p99_ns: { book: 9 } }, { at_ms: end, p99_ns: { book: 3 } }, { at_ms: end - 24 * hour, p99_ns: { book: 1 } }, { at_ms: 0, p99_ns: { book: 99 } }, { at_ms: end - 2 * hour, p99_ns: {} }, { at_ms: end - 3 * hour, p99_ns: { book: 0 } }], 'book', end, 24);
  assert.equal(worst[23], 9);
  assert.equal(worst[0], 1);
  assert.equal(worst.filter((v) => v !== null).length, 2);
});

test('free money is cash less orders less the reserve, and never negative', () => {
  const status = { balances: [{ venue: 'kalshi', shard: 0, cash: 900e6, reserved: 100e6 }, { venue: 'kalshi', shard: 1, cash: 100e6, reserved: 0 }, { venue: 'polymarket', shard: 0, cash: 20e6, reserved: 0 }], held: [50e6, 0], limits: { reserve_ppm: 100_000 } };
  const keys = { 'capital.initial_bankroll': '1000', 'capital.kalshi_allocation_pct': '0.5', 'capital.polymarket_allocation_pct': '0.5' };
  const { rows, all } = m.purse(status, keys);
  assert.deepEqual([rows[0].free, rows[0].reserve, rows[0].total], [850e6, 50e6, 1050e6]);
  assert.equal(rows[1].free, 0);
  assert.equal(all.total, 1070e6);
  assert.equal(m.purse(status).all.reserve, null, 'without the settings the reserve is unknown, not nothing');
});

test('old figures are told from new ones', () => {
  assert.deepEqual(m.staleness({ at: 1_000, now: 6_000 }), { stale: false, age: 5_000 });
  assert.deepEqual(m.staleness({ at: 1_000, now: 6_001 }), { stale: true, age: 5_001 });
  assert.equal(m.staleness({ at: null, now: 9_000 }).stale, false, 'nothing came yet: that is loading, not old');
  assert.equal(m.staleness({ at: null, now: 9_000, failed: true }).stale, true);
});

test('only what differs is a change; texts keep their quotes', () => {
  const keys = [{ key: 'a.n', value: '0.01', origin: 'overlay /var/lib/orion/overlay.toml:3' }, { key: 'a.s', value: '"net"', origin: 'file' }, { key: 'a.x', value: '1', origin: 'default' }];
  const edits = new Map([['a.n', ' 0.01 '], ['a.s', 'gross'], ['a.x', null]]);
  assert.deepEqual(m.changes(keys, edits), { 'a.s': '"gross"' });
  assert.deepEqual(m.changes(keys, new Map([['a.n', null], ['a.s', '"net"']])), { 'a.n': null });
  assert.equal(m.plain('"say \\"hi\\""'), 'say "hi"');
  assert.equal(m.tomlText('say "hi"', '"x"'), '"say \\"hi\\""');
});

test('a code is found in a link, in a fragment, or alone; nothing else passes', () => {
  assert.equal(m.loginCode('http://127.0.0.1:8501/#k=abCD-12_9'), 'abCD-12_9');
  assert.equal(m.loginCode('#k=abcd'), 'abcd');
  assert.equal(m.loginCode('  abcd1234 \n'), 'abcd1234');
  for (const wrong of ['', 'a', '#k=', 'http://127.0.0.1:8501/', 'a b c d', '#k=%', '#k=<script>', 'x'.repeat(300)]) assert.equal(m.loginCode(wrong), null, wrong);
});

test('announcements keep ten seconds between them', () => {
  assert.equal(m.throttle(null, 0), 0);
  assert.equal(m.throttle(1_000, 4_000), 7_000);
  assert.equal(m.throttle(1_000, 11_000), 0);
});

test('extremes of a series with gaps', () => {
  assert.deepEqual(m.extremes([null, 3, 1, undefined, 2]), { first: 3, last: 2, min: 1, max: 3, change: -1 });
  assert.equal(m.extremes([null]), null);
});
