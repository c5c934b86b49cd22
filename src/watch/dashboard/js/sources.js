// What is asked for while it is looked at. Several tabs share these.

import { Polled, opportunities, status } from './live.js';

export const SPANS = ['1h', '1d', '7d', '30d', 'all'];
/** What the person chose to look at. */
export const choice = { span: '1d', outcome: '', reason: '', table: 'commands', level: 'info' };

export const positions = new Polled('/api/v1/positions');
export const trades = new Polled('/api/v1/trades?limit=20');
export const performance = new Polled(() => `/api/v1/performance?span=${choice.span}`);
export const funnel = new Polled('/api/v1/funnel?minutes=60');
export const pairs = new Polled('/api/v1/pairs');
export const latency = new Polled('/api/v1/latency');
export const config = new Polled('/api/v1/config');
export const audit = new Polled(() => `/api/v1/audit?table=${choice.table}&limit=200`);
export const logs = new Polled(() => `/api/v1/logs?level=${choice.level}&limit=500`);
export const found = new Polled(() => {
  const query = new URLSearchParams({ limit: '200' });
  if (choice.outcome) query.set('outcome', choice.outcome);
  if (choice.reason) query.set('reason', choice.reason);
  return `/api/v1/opportunities?${query}`;
});

const every = [positions, trades, performance, funnel, pairs, latency, config, audit, logs, found];
/** After logging out nothing of the last session is left. */
export const clearAll = () => every.forEach((source) => { source.stop(); source.clear(); });

export const showAgain = () => [...every, status, opportunities].forEach((source) => source.again());

/** The settings by key, once they were read. */
export function settings() {
  return Object.fromEntries((config.value?.keys ?? []).map((key) => [key.key, key.value]));
}
