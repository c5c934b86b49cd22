// The engine's own controls, and whether it is well.

import { onCommands } from '../commands.js';
import * as controls from '../controls.js';
import { fill, h, say, shape, show } from '../dom.js';
import { age, full, number, shown, span, venue } from '../format.js';
import { engine, notReady, status } from '../live.js';
import { prefs } from '../prefs.js';
import { facts, table } from '../table.js';
import { panel } from '../panel.js';

const running = () => engine() === 'running';
const stopped = () => (running() ? null : 'the engine is stopped');

function control(command, label, act, rule, note, look = '') {
  const button = h('button', { type: 'button', class: look, 'data-command': command, on: { click: act } }, label);
  const check = controls.guard(button, command, rule);
  const el = h('div', { class: 'control' }, button, h('span', { class: 'hint' }, note));
  return { el, button, check };
}

/** Start and stop, auto-execute, arming, stepping down, the drill. */
export function enginePanel() {
  const list = facts();
  const start = control('start', 'Start engine…', controls.start, () => (running() ? 'it runs already' : null), 'Reads the settings anew.', 'primary');
  const stop = control('stop', 'Stop engine…', controls.stop, stopped, 'Also stops looking after what is held; pause does not.');
  const auto = control('auto_execute', 'Auto-execute', () => controls.autoExecute(!status.value?.auto_execute), stopped, '');
  const arm = control('arm', 'Arm…', controls.arm, stopped, 'Live orders may leave. Needs a code and a phrase.');
  const disarm = control('disarm', 'Disarm', controls.disarm, stopped, 'At once: no live entry any more.');
  const demote = control('demote', 'Step down…', controls.demote, stopped, 'The next start is in a lower mode. Up: orion promote.');
  const drill = control('drill', 'Drill the kill switch…', controls.drill, stopped, 'Halts, measures, lifts.');
  const all = [start, stop, auto, arm, disarm, demote, drill];
  const render = () => {
    const value = status.value;
    if (!value) return;
    const up = value.started_ms ? age(Math.max(0, (value.at_ms ?? Date.now()) - value.started_ms)) : '–';
    list.update([
      ['Engine', { text: engine(value).toUpperCase(), class: running() ? 'strong' : 'strong way-down' }],
      ['Since', { text: running() ? up : '–', title: full(value.started_ms, prefs.zone) }],
      ['Next start', { text: String(value.promoted ?? value.mode ?? '–').toUpperCase(), title: 'The mode that the next start takes' }],
      ['Auto-execute', { text: value.auto_execute ? 'ON' : 'OFF', class: 'strong' }],
    ]);
    say(auto.button, value.auto_execute ? 'Auto-execute: turn off' : 'Auto-execute: turn on…');
    auto.button.setAttribute('aria-pressed', String(Boolean(value.auto_execute)));
    say(auto.el.lastChild, value.auto_execute ? 'Now: fills by itself. Off acts at once.' : 'Now: only shows. Until the next start.');
    show(start.el, !running());
    show(stop.el, running());
    const armable = value.armed !== null && value.armed !== undefined;
    show(arm.el, armable && !value.armed);
    show(disarm.el, armable && value.armed);
    show(demote.el, value.mode === 'live' || value.mode === 'alert');
    all.forEach((one) => one.check());
  };
  status.watch(render);
  onCommands(render);
  return panel({ title: 'Engine', id: 'p-engine', sources: [status] }, list.el, h('div', { class: 'controls' }, all.map((one) => one.el)));
}

/** Feeds, books, database, accounts. */
export function healthPanel() {
  const reasons = h('ul', { class: 'findings' });
  const list = facts();
  const feeds = table({
    caption: 'Feeds', key: (f) => f.name, empty: 'No feed has said anything yet.',
    columns: [
      { label: 'Feed', head: true, cell: (f) => venue(f.name) },
      { label: 'Up', num: true, cell: (f) => number(f.connections_up), title: 'Connections that stand' },
      { label: 'Messages', num: true, cell: (f) => number(f.messages) },
      { label: 'Gaps', num: true, cell: (f) => ({ text: number(f.gaps), class: f.gaps ? 'notable' : '' }) },
      { label: 'Dupl.', num: true, cell: (f) => number(f.duplicates), title: 'Duplicates, ignored' },
      { label: 'Bad', num: true, cell: (f) => ({ text: number((f.malformed ?? 0) + (f.canaries ?? 0)), class: f.malformed ? 'notable' : '' }), title: 'Frames that could not be read, or held something unknown' },
      { label: 'Dials', num: true, cell: (f) => number(f.dials) },
    ],
  });
  status.watch((value) => {
    const texts = [...notReady(value), ...(value.findings ?? [])];
    fill(reasons, texts.map((text) => h('li', {}, shape('warn'), shown(text))), value.audit_error ? h('li', {}, shape('warn'), `database: ${shown(value.audit_error)}`) : null);
    show(reasons, reasons.childElementCount > 0);
    feeds.update((value.feeds ?? []).map((f, i) => ({ ...f, name: f.venue ?? String(i) })));
    const [fit, unsettled, differ, unfit] = value.checksums ?? [];
    list.update([
      ['Sources', { text: (value.sources ?? []).map(shown).join(' · ') || '–' }],
      ['Books fit', { text: `${number((value.fit ?? [0, 0])[0])} + ${number((value.fit ?? [0, 0])[1])} of ${number(value.books)}` }],
      ['Pairs', { text: `${number(value.pairs)}${value.barred ? `, ${number(value.barred)} barred` : ''}` }],
      ['Checksums', { text: `${number(fit)} fit${differ || unfit ? `, ${number((differ ?? 0) + (unfit ?? 0))} differ` : ''}${unsettled ? `, ${number(unsettled)} unsettled` : ''}`, class: differ ? 'notable' : '' }],
      ['Agrees with venues', { text: value.agrees === true ? 'yes' : value.agrees === false ? 'NO' : 'not compared', class: value.agrees === false ? 'notable' : '' }],
      ['Clock', { text: clockText(value) }],
      ['Orders allowed now', { text: Object.entries(value.budgets ?? {}).map(([name, n]) => `${venue(name)} ${number(n)}`).join(' · ') || '–', title: 'What the venues’ request budgets leave' }],
      ['Database queue', { text: `${number(value.audit_queue)} rows${value.audit_dropped ? `, ${number(value.audit_dropped)} dropped` : ''}`, class: value.audit_dropped ? 'notable' : '' }],
      ['Detect', { text: detectText(value) }],
      ['Books doubted so far', { text: number(value.doubts), class: value.doubts ? 'notable' : '' }],
      ['Figures of', { text: full(value.at_ms, prefs.zone) }],
      ['Version', { text: `${shown(value.version)} · pid ${value.pid}` }],
    ]);
  });
  return panel({ title: 'Health', id: 'p-health', sources: [status] }, reasons, feeds.el, list.el);
}

function clockText(value) {
  const venues = Object.entries(value.clock_offset_ms ?? {}).map(([name, ms]) => `${venue(name)} ${0 < ms ? '+' : ''}${number(ms)} ms`);
  const off = Math.abs(Date.now() - (value.now_ms ?? Date.now()));
  if (5_000 < off) venues.push(`this browser is ${age(off)} off`);
  return venues.join(' · ') || 'no venue has told the time yet';
}

function detectText(value) {
  const stage = (value.latency ?? []).find((s) => /decide|detect|total/.test(s.stage)) ?? (value.latency ?? [])[0];
  return stage ? `${shown(stage.stage)} p50 ${span(stage.p50_ns)}, p99 ${span(stage.p99_ns)}` : '–';
}
