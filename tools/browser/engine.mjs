// A demo of the real binary with a state directory and a port of its own, and a browser that looks at its page.

import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const run = promisify(execFile);
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const browser = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((ready) => server.once('listening', ready));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/** Until `probe` gives something, or the time is over. */
export async function until(what, probe, ms = 30_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await Promise.resolve().then(probe).catch(() => null);
    if (found) return found;
    if (end < Date.now()) throw new Error(`not within ${ms / 1e3} s: ${what}`);
    await sleep(200);
  }
}

/** Starts the demo; `stop()` ends it and takes its folder away. */
export async function demo(binary = process.env.ORION_BINARY, more = []) {
  const state = mkdtempSync(join(tmpdir(), 'orion-browser-'));
  const port = await freePort();
  const env = { ...process.env, ORION_DASHBOARD__PORT: String(port) };
  const child = spawn(binary, ['--state-dir', state, 'demo', '--json', ...more], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const pipe of [child.stdout, child.stderr]) pipe.on('data', (chunk) => { said = (said + chunk).slice(-4_000); });
  const ask = async (...args) => JSON.parse((await run(binary, ['--state-dir', state, ...args, '--json'], { env })).stdout);
  const one = {
    child, port, state, origin: `http://127.0.0.1:${port}`,
    /** Whatever an earlier test or a limit of the engine left behind is lifted. */
    resume: () => run(binary, ['--state-dir', state, 'resume'], { env }),
    link: async () => (await ask('dashboard')).url,
    viewerLink: async () => (await ask('dashboard', '--viewer')).url,
    code: async () => (await ask('dashboard', 'code')).code,
    token: async (role) => (await ask('dashboard', 'token', '--role', role)).token,
    async stop() {
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      const ended = new Promise((over) => child.once('exit', over));
      if (child.exitCode === null) await Promise.race([ended, sleep(10_000).then(() => child.kill('SIGKILL'))]);
      rmSync(state, { recursive: true, force: true });
    },
  };
  try {
    await until('the demo answers', () => one.link(), 60_000);
  } catch (error) {
    await one.stop();
    throw new Error(`${error.message}\n${said}`);
  }
  return one;
}

/** A page of its own, logged in by a fresh link; what the browser complained about is in `complaints`. */
export async function visit(browser, engine, { toured = true, logIn = true, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('console', (message) => { if (message.type() === 'error') page.complaints.push(message.text()); });
  page.on('pageerror', (error) => page.complaints.push(String(error.stack)));
  if (toured) await page.addInitScript(() => { if (!localStorage.getItem('orion.prefs')) localStorage.setItem('orion.prefs', '{"toured":true}'); });
  await page.goto(logIn ? await engine.link() : engine.origin);
  if (logIn) await page.waitForSelector('.answer.mode .value:not(:empty)');
  return page;
}

export const TABS = ['overview', 'opportunities', 'positions', 'pairs', 'performance', 'latency', 'config', 'audit', 'logs', 'help'];

/** Opens a tab and waits until nothing in it is loading. */
export async function openTab(page, name) {
  await page.click(`#tab-${name}`);
  await page.waitForFunction((id) => [...document.querySelectorAll(`#panel-${id} .stamp`)].every((el) => el.hidden || el.textContent !== 'loading'), name, { timeout: 15_000 });
}
