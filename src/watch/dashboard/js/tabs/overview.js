// The first tab: money, equity, what was seen and why it was left, what is open, what was closed, health.

import { opportunityColumns, positionColumns, tradeColumns } from '../columns.js';
import { h, say } from '../dom.js';
import { equityChart, figures, spanButtons } from '../equity.js';
import { enginePanel, healthPanel } from './engine.js';
import { money, number, shown } from '../format.js';
import { opportunities, status } from '../live.js';
import { funnel as funnelMaths, purse } from '../maths.js';
import { panel } from '../panel.js';
import { config, funnel, performance, positions, settings, trades } from '../sources.js';
import { table } from '../table.js';

function balances() {
  const names = [
    ['free', 'Free', 'Cash that a new trade may use: less orders, less the reserve'], ['orders', 'In orders', 'Reserved for orders that are out'],
    ['reserve', 'Reserve', 'capital.reserve_pct of each allocation, never used'], ['held', 'In positions', 'What open pairs cost; locked until they settle'],
    ['total', 'Total', 'Cash and positions at cost'],
  ];
  const view = table({
    caption: 'Balances by venue', key: (row) => row.name, label: 'Balances by venue',
    columns: [
      { label: 'Dollars', head: true, cell: (row) => ({ text: row.label, title: row.title }) },
      { label: 'Kalshi', num: true, cell: (row) => row.cells[0] },
      { label: 'Polymarket', num: true, cell: (row) => row.cells[1] },
      { label: 'Total', num: true, class: 'strong', cell: (row) => row.cells[2] },
    ],
    empty: 'No balances yet. They are read when the engine has started.',
  });
  const advice = h('p', { class: 'advice' });
  const render = () => {
    const value = status.value;
    if (!value) return;
    const { rows, all } = purse(value, settings());
    view.update((value.balances ?? []).length === 0 ? [] : names.map(([name, label, title]) => ({ name, label, title, cells: [...rows, all].map((row) => money(row[name])) })));
    say(advice, (value.advice ?? []).length ? `Suggested move (advice only): ${value.advice.map(shown).join('; ')}` : 'No move of money is suggested.');
  };
  status.watch(render);
  config.watch(render);
  return panel({ title: 'Balances', id: 'p-balances', sources: [status] }, view.el, advice);
}

function feed(open) {
  const view = table({
    caption: 'The newest opportunities', label: 'Opportunity feed', key: (o) => o.id, columns: opportunityColumns, onPick: (o) => open(o.id),
    empty: () => (status.value?.pairs === 0
      ? 'No approved pairs. Approve one in the pair file: see the tab Pairs.'
      : 'No opportunity yet. One is written down whenever both prices together cost less than a dollar before fees.'),
  });
  view.el.classList.add('feed');
  opportunities.watch((rows) => view.update(rows.slice(0, 50)));
  return panel({ title: 'Opportunity feed', id: 'p-feed', sources: [opportunities], wide: 'full', note: 'newest first; Enter opens the reason, the waterfall and both books' }, view.el);
}

function funnelPanel(go) {
  const list = h('ol', { class: 'funnel' });
  const why = h('p', { class: 'advice' });
  funnel.watch((value) => {
    const rows = funnelMaths(value.steps ?? []);
    list.replaceChildren(...rows.map((row) => h('li', {},
      h('span', { class: 'step' }, row.label), h('span', { class: 'count' }, number(row.count)),
      h('span', { class: 'bar-of', 'aria-hidden': 'true' }, h('span', { style: { width: `${Math.max(row.count ? 1 : 0, Math.sqrt(row.ofFirst) * 100)}%` } })),
      h('span', { class: 'lost' }, row.step === rows[0].step ? 'all' : `−${number(row.lost)}`))));
    const most = (value.reasons ?? []).slice(0, 3).map((r) => `${r.code} ${number(r.count)} (${shown(r.sentence)})`);
    say(why, most.length ? `Most were left because of ${most.join('; ')}.` : 'Nothing was left alone in the last hour.');
  });
  const button = h('button', { type: 'button', class: 'quiet', on: { click: () => go('opportunities') } }, 'All reasons');
  return panel({ title: 'Funnel of the last hour', id: 'p-funnel', sources: [funnel], wide: 'full', tools: [button], note: 'each step counts what came at least so far; bars by square root' }, list, why);
}

function openPanel(open) {
  const view = table({
    caption: 'Open positions', key: (p) => p.id, columns: positionColumns(true), onPick: (p) => open(p.opportunity),
    empty: 'Nothing is held. The funnel above says why nothing was entered.',
  });
  positions.watch((value) => view.update(value.plans ?? []));
  return panel({ title: 'Open positions', id: 'p-open', sources: [positions] }, view.el);
}

function closedPanel(open) {
  const view = table({
    caption: 'The last 20 closed trades', key: (t) => t.id, columns: tradeColumns(true), onPick: (t) => open(t.opportunity),
    empty: 'No trade was closed yet.',
  });
  trades.watch((value) => view.update(value.trades ?? []));
  return panel({ title: 'Closed, last 20', id: 'p-closed', sources: [trades] }, view.el);
}

export function build({ open, go }) {
  const chart = panel({ title: 'Equity & drawdown', id: 'p-equity', sources: [performance], tools: [spanButtons()], note: 'net of fees' }, equityChart(), figures());
  const el = h('div', { class: 'grid overview' },
    h('div', { class: 'column' }, balances(), enginePanel()), chart,
    feed(open), funnelPanel(go), openPanel(open), closedPanel(open), healthPanel());
  return { el, sources: [performance, funnel, positions, trades] };
}
