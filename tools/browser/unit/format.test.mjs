// How the page writes numbers: what a person would misread is tested first.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as f from '../../../src/watch/dashboard/js/format.js';

test('a loss has a minus, a gain a plus, and both a mark', () => {
  assert.equal(f.result(12_400_000), '▲\u00a0+$12.40');
  assert.equal(f.result(-1_120_000), '▼\u00a0−$1.12');
  assert.equal(f.result(0), '$0.00');
  assert.equal(f.result(null), '–');
  assert.equal(f.trend(-1).word, 'down');
});

test('what rounds to nothing has no sign', () => {
  assert.equal(f.money(-100), '$0.00');
  assert.equal(f.signed(100), '$0.00');
  assert.equal(f.number(-0.001, 2), '0.00');
});

test('money is grouped by thousands', () => {
  assert.equal(f.money(48_212_000_000), '$48,212.00');
  assert.equal(f.money(-5_000_000_000, 0), '−$5,000');
  assert.equal(f.money(9_007_199_254_740_991), '$9,007,199,254.74');
});

test('edges are cents, prices four digits, quantities whole where they are', () => {
  assert.equal(f.cents(25_000), '2.5¢');
  assert.equal(f.cents(-17_500), '−1.75¢');
  assert.equal(f.cents(40_000), '4.0¢');
  assert.equal(f.price(3200), '0.3200');
  assert.equal(f.quantity(400_000_000), '400');
  assert.equal(f.quantity(250_000), '0.25');
});

test('spans and ages change their unit', () => {
  assert.equal(f.span(900), '900\u00a0ns');
  assert.equal(f.span(38_000), '38.0\u00a0µs');
  assert.equal(f.span(1_900_000), '1.90\u00a0ms');
  assert.equal(f.age(400), '0.4\u00a0s');
  assert.equal(f.age(12_900), '12\u00a0s');
  assert.equal(f.age(185_000), '3\u00a0min\u00a005\u00a0s');
  assert.equal(f.age(-5), '0.0\u00a0s', 'a clock that is ahead makes no negative age');
});

test('an axis has no two marks with the same text', () => {
  for (const [from, step] of [[100_000e6, 25e6], [0, 5e3], [48_000e6, 500e6], [2e12, 1e11], [-40e6, 10e6]]) {
    const marks = Array.from({ length: 6 }, (_, i) => f.axisMoney(from + i * step, step));
    assert.equal(new Set(marks).size, 6, marks.join(' '));
  }
});

test('times are UTC unless somebody chose otherwise', () => {
  const at = Date.UTC(2026, 10, 30, 0, 0, 7);
  assert.equal(f.clock(at), '00:00:07');
  assert.equal(f.full(at), '2026-11-30 00:00:07 UTC');
  assert.equal(f.clock(at, 'America/New_York'), '19:00:07');
  assert.equal(f.when(at, 'UTC', at + 1_000), '00:00:07');
  assert.equal(f.when(at, 'UTC', at + 90_000_000), '11-30 00:00', 'another day shows its date');
});

// Fault 89: the same texts as in cli/shown.rs.
test('nothing that acts or hides is left in the text of others', () => {
  for (const [hostile, shown] of [
    ['Will X win?', 'Will X win?'], ['<script>alert(1)</script>', '<script>alert(1)</script>'],
    ['\u001b[2J', '\\u{1b}[2J'], ['a\r\nb', 'a\\u{d}\\u{a}b'], ['NO\u202eSEY', 'NO\\u{202e}SEY'],
    ['ze\u200bro\ufeff\u{e0041}', 'ze\\u{200b}ro\\u{feff}\\u{e0041}'], ['del\u007f\u0008\u0000', 'del\\u{7f}\\u{8}\\u{0}'],
    ['هل ستفوز المغرب؟', 'هل ستفوز المغرب؟'], ['Zürich — 30 °C 不 🚀', 'Zürich — 30 °C 不 🚀'],
  ]) assert.equal(f.shown(hostile), shown);
});

test('a spreadsheet runs nothing out of a downloaded file', () => {
  assert.equal(f.csv(['a', 'b'], [{ a: '=HYPERLINK("x")', b: -1 }, { a: 'x,"y"\n', b: null }]), 'a,b\r\n"\'=HYPERLINK(""x"")",-1\r\n"x,""y""\n",\r\n');
});
