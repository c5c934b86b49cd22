// What is held, what was closed, and the file for the tax adviser.

import { blob, sentence } from '../api.js';
import { holdingColumns, positionColumns, tradeColumns } from '../columns.js';
import { download, h } from '../dom.js';
import { number } from '../format.js';
import { panel } from '../panel.js';
import { positions, trades } from '../sources.js';
import { table } from '../table.js';
import { tell } from '../dialog.js';

/** A file from the interface: asked for with the token in a header, then handed over. */
export async function save(path, name, button) {
  button.disabled = true;
  try {
    download(name, '', await blob(path));
  } catch (error) {
    tell('Not downloaded', h('p', {}, sentence(error)));
  } finally {
    button.disabled = false;
  }
}

export function build({ open }) {
  const plans = table({ caption: 'Open positions', key: (p) => p.id, columns: positionColumns(false), onPick: (p) => open(p.opportunity), empty: 'Nothing is held. The funnel on the overview says why nothing was entered.' });
  const held = table({ caption: 'Holdings by market', key: (x) => `${x.venue}${x.market}${x.outcome}`, columns: holdingColumns, empty: 'No contracts are held on either venue.' });
  const closed = table({ caption: 'Closed trades', key: (t) => t.id, columns: tradeColumns(false), onPick: (t) => open(t.opportunity), empty: 'No trade was closed yet.' });
  const count = h('span', { class: 'note' });
  positions.watch((value) => {
    plans.update(value.plans ?? []);
    // A pair's key names both markets.
    const titles = new Map((value.plans ?? []).flatMap((p) => String(p.pair ?? '').split('|').map((market) => [market, p.title])));
    held.update((value.holdings ?? []).map((x) => ({ ...x, title: x.title ?? titles.get(x.market) })));
    count.textContent = `${number((value.plans ?? []).length)} open`;
  });
  trades.watch((value) => closed.update(value.trades ?? []));
  const button = h('button', { type: 'button', class: 'quiet', on: { click: () => save('/api/v1/trades.csv', `orion-trades-${new Date().toISOString().slice(0, 10)}.csv`, button) } }, 'Download all as CSV');
  const el = h('div', { class: 'grid' },
    panel({ title: 'Open positions', id: 'p-plans', sources: [positions], wide: 'full', tools: [count] }, plans.el),
    panel({ title: 'Closed trades, last 20', id: 'p-trades', sources: [trades], wide: 'full', tools: [button] }, closed.el),
    panel({ title: 'Holdings', id: 'p-holdings', sources: [positions], wide: 'full', note: 'what each venue’s account has, leg by leg' }, held.el));
  return { el, sources: [positions, trades] };
}
