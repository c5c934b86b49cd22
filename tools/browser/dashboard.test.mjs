// The dashboard of a real demo in a real browser. Each test says what an operator, or somebody who wishes them ill, does.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TABS, browser as launch, demo, openTab, until, visit } from './engine.mjs';

const axe = readFileSync(new URL('./node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const pictures = process.env.BROWSER_PICTURES;
let browser;
let engine;

before(async () => {
  [browser, engine] = await Promise.all([launch(), demo()]);
  // Enough of the demo that every panel has something to show.
  const page = await visit(browser, engine);
  await until('a closed trade', () => page.locator('#p-closed tbody tr').count(), 120_000);
  await page.context().close();
});
after(async () => {
  await browser?.close();
  await engine?.stop();
});

const text = async (page, selector) => (await page.textContent(selector)).trim();
const lastCommand = (page, state = 'done') => page.waitForSelector(`.last-command[data-state="${state}"]`, { timeout: 15_000 });

/** Waits for the newest command to be this one, and over. */
async function finished(page, command) {
  await page.waitForFunction((name) => {
    const el = document.querySelector('.last-command');
    return el && !el.hidden && el.querySelector('strong')?.textContent === name && ['done', 'failed'].includes(el.dataset.state);
  }, command.replace('_', '-'), { timeout: 20_000 });
  assert.equal(await page.getAttribute('.last-command', 'data-state'), 'done', await text(page, '.last-command'));
}

test('every panel fills with the demo’s figures', async () => {
  const page = await visit(browser, engine);
  assert.equal(await text(page, '.answer.mode .value'), 'DEMO');
  assert.match(await text(page, '.answer.health .more'), /Kalshi .* · Polymarket /);
  assert.match(await text(page, '.answer.profit'), /today .*\$.*total .*\$/);
  const rows = {
    overview: ['#p-balances', '#p-feed', '#p-closed', '#p-health'], opportunities: ['#p-found', '#p-reasons'], positions: ['#p-trades'],
    pairs: ['#p-pairs'], performance: ['#p-captured'], latency: ['#p-stages'], audit: ['#p-audit'],
  };
  for (const tab of TABS) {
    await openTab(page, tab);
    for (const panel of rows[tab] ?? []) await until(`rows in ${panel}`, () => page.locator(`${panel} tbody tr`).count());
    assert.equal(await page.locator(`#panel-${tab} .panel > .wrong:visible`).count(), 0, `${tab} cannot be refreshed`);
  }
  await openTab(page, 'overview');
  assert.equal(await page.locator('.funnel li').count(), 9);
  assert.equal(await page.locator('#panel-overview .figures dt').count(), 8);
  await openTab(page, 'config');
  assert.ok(40 < await page.locator('.setting').count());
  assert.match(await text(page, '.toml'), /threshold_spread = /);
  await openTab(page, 'logs');
  await until('log lines', async () => 0 < await page.locator('.log li').count());
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('a click on an opportunity tells the whole story', async () => {
  const page = await visit(browser, engine);
  await openTab(page, 'opportunities');
  await page.selectOption('#filter-outcome', 'filled');
  await until('filled ones', () => page.locator('#p-found tbody tr').count());
  await page.locator('#p-found tbody tr td').nth(3).click();
  await page.waitForSelector('.detail .blocks');
  assert.match(await text(page, '.edge'), /gross.*fees.*net/);
  assert.ok(3 <= await page.locator('.detail table:has(caption:text("Latency, step by step")) tbody tr').count());
  assert.equal(await page.locator('.books table:visible').count(), 2);
  assert.ok(2 <= await page.locator('.detail table:has(caption:text-is("Fills")) tbody tr').count());
  await page.click('.detail header button');
  await page.selectOption('#filter-outcome', 'skipped');
  await until('skipped ones', () => page.locator('#p-found tbody tr').count());
  await page.locator('#p-found tbody tr td').nth(3).click();
  await page.waitForSelector('.detail .verdict code');
  assert.ok(10 < (await text(page, '.verdict')).length, 'the reason in words');
  await page.context().close();
});

test('charts draw, and still do after new figures, another span and other colours', async () => {
  const page = await visit(browser, engine);
  const drawn = (tab) => page.evaluate((id) => [...document.querySelectorAll(`#panel-${id} canvas`)].filter((c) => c.checkVisibility()).map((c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v !== 0)), tab);
  for (const [tab, count] of [['overview', 1], ['performance', 2], ['latency', 1]]) {
    await openTab(page, tab);
    await until(`${tab} draws`, async () => { const all = await drawn(tab); return count <= all.length && all.every(Boolean); });
  }
  await openTab(page, 'performance');
  await page.click('#p-equity-2 .seg:text-is("7d")');
  await page.click('#theme');
  await sleep(4_000);
  assert.ok((await drawn('performance')).every(Boolean));
  await page.click('#p-equity-2 figcaption button');
  assert.ok(1 < await page.locator('#p-equity-2 .as-table tbody tr').count(), 'the chart as a table');
  await page.context().close();
});

test('every control acts, and the audit trail has it', async () => {
  await engine.resume();
  const page = await visit(browser, engine);
  await page.click('#pause');
  await finished(page, 'pause');
  assert.equal(await until('paused', async () => (await text(page, '.acts .value')) === 'PAUSED'), true);
  await page.click('#pause');
  await page.click('dialog[open] button.primary');
  await finished(page, 'resume');
  await page.click('[data-command=auto_execute]');
  await finished(page, 'auto_execute');
  await until('shows only', async () => (await text(page, '.acts .value')) === 'SHOWS ONLY');
  await page.click('[data-command=auto_execute]');
  assert.match(await text(page, 'dialog[open]'), /One trade, both legs\$/, 'the limits are shown first');
  await page.click('dialog[open] button.primary');
  await page.waitForFunction(() => document.querySelector('[data-command=auto_execute]').getAttribute('aria-pressed') === 'true');
  await page.click('[data-command=drill]');
  await page.click('dialog[open] button.primary');
  await finished(page, 'drill');
  await page.click('#kill');
  await page.click('dialog[open] button.danger');
  await finished(page, 'kill');
  await until('halted', async () => (await text(page, '.acts .value')) === 'HALTED');
  await page.click('#kill');
  await page.click('dialog[open] button:text("Flatten…")');
  assert.match(await text(page, 'dialog[open]'), /Estimated cost now/);
  await page.fill('dialog[open] input', await engine.code());
  await page.click('dialog[open] button:text("Halt and sell everything")');
  await finished(page, 'flatten');
  await page.click('#pause');
  await page.click('dialog[open] button.primary');
  await finished(page, 'resume');
  await openTab(page, 'latency');
  await page.click('#p-stages button:text("Dump on the host")');
  await finished(page, 'dump_latency');
  await openTab(page, 'overview');
  await page.click('[data-command=stop]');
  await page.click('dialog[open] button.primary');
  await until('stopped', async () => (await text(page, '.acts .value')) === 'STOPPED', 60_000);
  await page.click('[data-command=start]');
  await page.click('dialog[open] button.primary');
  await until('running again', async () => (await text(page, '#p-engine dd')) === 'RUNNING', 60_000);
  await openTab(page, 'audit');
  // A command's row is written within a second of its end.
  for (const name of ['pause', 'resume', 'auto_execute', 'kill', 'flatten', 'stop', 'start']) {
    await until(`${name} in the audit`, async () => (await page.locator('#p-audit tbody tr td:nth-child(4)').allTextContents()).some((c) => c.replaceAll('-', '_') === name));
  }
  await page.context().close();
});

test('a wrong code flattens nothing, and the page says why', async () => {
  const page = await visit(browser, engine);
  await page.keyboard.press('k');
  await page.click('dialog[open] button:text("Flatten…")');
  await page.fill('dialog[open] input', 'wrong-code-0000');
  await page.keyboard.press('Enter');
  await lastCommand(page, 'failed');
  assert.match(await text(page, '.last-command'), /code/);
  await page.context().close();
});

test('a viewer reads, and every control says why it does nothing', async () => {
  const page = await visit(browser, { ...engine, link: engine.viewerLink });
  await page.waitForSelector('#p-feed tbody tr');
  assert.ok(await page.locator('#pause').evaluate((b) => b.disabled || b.getAttribute('aria-disabled') === 'true'));
  assert.ok(await page.locator('#kill').evaluate((b) => b.disabled || b.getAttribute('aria-disabled') === 'true'));
  await page.context().close();
});

test('settings are checked as they are typed, saved, and taken back', async () => {
  const page = await visit(browser, engine);
  await openTab(page, 'config');
  const field = page.locator('[id="key-trading.threshold_spread"]');
  await field.fill('x');
  await page.waitForSelector('[id="key-trading.threshold_spread-wrong"]:visible');
  await field.fill('0.02');
  await page.waitForSelector('.save-bar table');
  await page.click('text=Save configuration…');
  await page.click('dialog[open] button.primary');
  await page.waitForSelector('.saved:visible');
  await until('origin', async () => /overlay/.test(await text(page, '[data-key="trading.threshold_spread"] .origin')));
  await page.locator('[id="key-risk.max_open_positions"]').fill('999');
  await page.click('text=Save configuration…');
  await page.fill('dialog[open] input', 'not the phrase');
  await page.click('dialog[open] button.danger');
  await page.waitForSelector('dialog[open] .wrong:visible');
  await page.fill('dialog[open] input', 'loosen risk');
  await page.click('dialog[open] button.danger');
  await until('saved', async () => /max_open_positions/.test(await text(page, '.saved')));
  await page.click('button:text("Undo last save")');
  await page.click('dialog[open] button.primary');
  await until('taken back', async () => /Taken back/.test(await text(page, '.saved')));
  await openTab(page, 'audit');
  await page.click('[data-table=settings]');
  await until('settings in the audit', async () => (await page.locator('#p-audit td:text("trading.threshold_spread")').count()) > 0);
  await page.context().close();
});

test('files are downloaded with the token in a header, never in an address', async () => {
  const page = await visit(browser, engine);
  const urls = [];
  page.on('request', (request) => urls.push(request.url()));
  await openTab(page, 'positions');
  const [csv] = await Promise.all([page.waitForEvent('download'), page.click('text=Download all as CSV')]);
  assert.match(readFileSync(await csv.path(), 'utf8'), /,/);
  await openTab(page, 'latency');
  const [hlog] = await Promise.all([page.waitForEvent('download'), page.click('text=Download .hlog')]);
  assert.match(readFileSync(await hlog.path(), 'utf8'), /^Tag=decide,.*HISTFAAA/m);
  const { token } = JSON.parse(await page.evaluate(() => sessionStorage.getItem('orion.session')));
  assert.ok(urls.every((url) => !url.includes(token)));
  assert.ok(!(await page.evaluate(() => location.href)).includes('k='), 'nor does the code stay in it');
  assert.ok(urls.every((url) => url.startsWith(engine.origin) || url.startsWith('blob:')), 'nobody else is asked for anything');
  await page.context().close();
});

test('a double click is one command', async () => {
  await engine.resume();
  const page = await visit(browser, engine);
  const sent = [];
  page.on('request', (request) => { if (request.url().endsWith('/api/v1/commands')) sent.push(request.postDataJSON()); });
  await page.evaluate(() => { const b = document.getElementById('pause'); b.click(); b.click(); b.click(); });
  await finished(page, 'pause');
  assert.equal(sent.length, 1);
  await page.waitForSelector('#pause[data-is=RESUME]');
  await page.click('#pause');
  await page.click('dialog[open] button.primary');
  await finished(page, 'resume');
  await page.context().close();
});

test('by keyboard alone: in, pause, resume, kill dialog, tabs, a row', async () => {
  await engine.resume();
  const page = await visit(browser, engine, { logIn: false });
  await page.waitForSelector('#login-code:focus');
  await page.keyboard.type(await engine.link());
  await page.keyboard.press('Enter');
  await page.waitForSelector('#p-feed tbody tr');
  const tabTo = async (selector) => { for (let i = 0; i < 60; i++) { if (await page.evaluate((s) => document.activeElement?.matches(s), selector)) return; await page.keyboard.press('Tab'); } assert.fail(`Tab never reaches ${selector}`); };
  await tabTo('#pause');
  await page.keyboard.press('Enter');
  await finished(page, 'pause');
  await page.waitForSelector('#pause[data-is=RESUME]');
  await tabTo('#pause');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await finished(page, 'resume');
  await page.keyboard.press('k');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Halt + cancel now');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('dialog[open]').count(), 0);
  await page.keyboard.press('?');
  await page.waitForSelector('dialog[open] kbd');
  await page.keyboard.press('Escape');
  await tabTo('[role=tab]');
  await page.keyboard.press('ArrowRight');
  await page.waitForSelector('#p-found tbody tr');
  await tabTo('#p-found .pick');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.detail .blocks');
  await page.context().close();
});

test('a page of another origin achieves nothing', async () => {
  const hostile = createServer((_, answer) => { answer.writeHead(200, { 'Content-Type': 'text/html' }); answer.end('<!doctype html><title>hostile</title>'); }).listen(0, '127.0.0.1');
  await new Promise((ready) => hostile.once('listening', ready));
  const owner = await visit(browser, engine);
  const state = () => text(owner, '.acts .value');
  const was = await state();
  const page = await owner.context().newPage();
  await page.goto(`http://127.0.0.1:${hostile.address().port}/`);
  const got = await page.evaluate(async (target) => {
    const body = JSON.stringify({ id: 'hostile-0001', command: 'kill' });
    const tries = {};
    const attempt = async (name, act) => { try { tries[name] = await act(); } catch { tries[name] = 'refused'; } };
    await attempt('read', async () => (await fetch(`${target}/api/v1/status`)).status);
    await attempt('post', async () => (await fetch(`${target}/api/v1/commands`, { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Orion': '1' }, body })).status);
    await attempt('simple', async () => (await fetch(`${target}/api/v1/commands`, { method: 'POST', mode: 'no-cors', headers: { 'Content-Type': 'text/plain' }, body })).type);
    await attempt('events', () => new Promise((done) => { const s = new EventSource(`${target}/api/v1/events`); s.onmessage = s.onopen = () => done('opened'); s.onerror = () => done('refused'); }));
    await attempt('frame', () => new Promise((done) => { const f = document.createElement('iframe'); f.src = target; f.onload = () => { let seen = 'refused'; try { if (f.contentDocument?.getElementById('login')) seen = 'framed'; } catch { /* Another origin, or an error page. */ } done(seen); }; document.body.append(f); setTimeout(() => done('refused'), 3_000); }));
    const form = document.createElement('form');
    Object.assign(form, { method: 'POST', action: `${target}/api/v1/commands`, enctype: 'text/plain', target: 'sink' });
    const input = document.createElement('input');
    Object.assign(input, { name: body.slice(0, -1), value: '"}' });
    const sink = document.createElement('iframe');
    sink.name = 'sink';
    form.append(input);
    document.body.append(form, sink);
    form.submit();
    await new Promise((later) => setTimeout(later, 1_000));
    return tries;
  }, engine.origin);
  assert.deepEqual(got, { read: 'refused', post: 'refused', simple: 'refused', events: 'refused', frame: 'refused' });
  // Frames hold an error page, not the dashboard.
  for (const frame of page.frames().slice(1)) assert.equal(await frame.locator('#login, #app').count().catch(() => 0), 0);
  assert.equal(await state(), was);
  await openTab(owner, 'audit');
  assert.equal(await owner.locator('#p-audit td:text("hostile-0001")').count(), 0);
  hostile.close();
  await owner.context().close();
});

test('at 320 pixels nothing scrolls sideways but tables', async () => {
  const page = await visit(browser, engine, { viewport: { width: 320, height: 640 } });
  for (const tab of TABS) {
    await openTab(page, tab);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 320, tab);
    if (pictures) await page.screenshot({ path: `${pictures}/${tab}-320.png`, fullPage: true });
  }
  await page.keyboard.press('k');
  await page.waitForSelector('dialog[open]');
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 320, 'dialog');
  await page.context().close();
});

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing serious in ${colorScheme}`, async () => {
    // Without the page's policy: axe is put into it.
    const page = await visit(browser, engine, { colorScheme, bypassCSP: true });
    await page.evaluate(axe);
    const serious = async (where) => {
      const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
      const bad = found.violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${v.id}: ${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].failureSummary}`);
      assert.deepEqual(bad, [], where);
    };
    for (const tab of TABS) {
      await openTab(page, tab);
      await serious(tab);
      if (pictures) { mkdirSync(pictures, { recursive: true }); await page.screenshot({ path: `${pictures}/${tab}-${colorScheme}.png`, fullPage: tab !== 'config' }); }
    }
    await page.keyboard.press('k');
    await page.waitForSelector('dialog[open]');
    await serious('kill dialog');
    await page.context().close();
  });
}

test('the tour shows once, and stays away', async () => {
  const page = await visit(browser, engine, { toured: false });
  await page.waitForSelector('.tour');
  for (let i = 0; i < 4; i++) await page.click('.tour .primary');
  assert.equal(await page.locator('.tour').count(), 0);
  await page.reload();
  await page.waitForSelector('#p-feed tbody tr');
  assert.equal(await page.locator('.tour').count(), 0);
  await page.context().close();
});

test('after logging out, and after a reload, there is nothing to see', async () => {
  const page = await visit(browser, engine);
  await page.click('#logout');
  await page.waitForSelector('#login-code:visible');
  await page.reload();
  await page.waitForSelector('#login-code:visible');
  assert.equal(await page.locator('#app:visible').count(), 0);
  await page.context().close();
});

test('arming wants a code, the phrase and five seconds, and can be taken back', async () => {
  const live = await demo(process.env.ORION_BINARY, ['--rehearse']);
  try {
    const page = await visit(browser, live);
    const acts = () => text(page, '.acts .value');
    await until('an engine that agrees', async () => (await text(page, '.answer.health .value')) === 'READY', 60_000);
    const fillIn = async () => {
      await page.click('[data-command=arm]');
      const phrase = (await text(page, 'dialog[open]')).match(/Type: (arm demo \d+)/)[1];
      await page.fill('dialog[open] input >> nth=0', await live.code());
      await page.fill('dialog[open] input >> nth=1', phrase);
      await page.click('dialog[open] button.danger');
      await page.waitForSelector('dialog[open] .count');
    };
    await fillIn();
    await page.click('dialog[open] button:text("Do not arm")');
    assert.notEqual(await acts(), 'ACTIVE', 'thought again');
    await fillIn();
    await finished(page, 'arm');
    await page.click('[data-command=disarm]');
    await finished(page, 'disarm');
    await page.context().close();
  } finally {
    await live.stop();
  }
});

test('the README’s picture', { skip: !process.env.DASHBOARD_PICTURE }, async () => {
  const page = await visit(browser, engine, { colorScheme: 'dark', viewport: { width: 1280, height: 900 } });
  await sleep(3_000);
  await page.screenshot({ path: process.env.DASHBOARD_PICTURE });
  await page.context().close();
});

test('figures of a process that stands still are never shown as new', async () => {
  const page = await visit(browser, engine);
  await page.waitForSelector('#p-feed tbody tr');
  engine.child.kill('SIGSTOP');
  try {
    await page.waitForSelector('.banner:visible', { timeout: 15_000 });
    assert.match(await text(page, '.banner'), /figures are \d+ s old/);
    await page.waitForFunction(() => [...document.querySelectorAll('#panel-overview .panel')].every((p) => p.classList.contains('stale')), null, { timeout: 10_000 });
    assert.equal(await text(page, '.health .value'), 'LOST');
  } finally {
    engine.child.kill('SIGCONT');
  }
  await page.waitForSelector('.banner', { state: 'hidden', timeout: 30_000 });
  await page.context().close();
});
