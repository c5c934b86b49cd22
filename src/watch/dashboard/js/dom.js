// Elements without markup: the content security policy forbids it, and a title of a venue could never be code.

import { full, shown, when } from './format.js';
import { prefs } from './prefs.js';

/** `h('button', {class: 'x', on: {click: f}, 'aria-label': '…'}, 'text', child)`. */
export function h(tag, props = {}, ...kids) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'on') for (const [event, act] of Object.entries(value)) el.addEventListener(event, act);
    else if (name === 'style') Object.assign(el.style, value);
    else if (name === 'value') el.value = value;
    else el.setAttribute(name === 'class' ? 'class' : name, value === true ? '' : value);
  }
  append(el, kids);
  return el;
}

function append(el, kids) {
  for (const kid of kids.flat(Infinity)) {
    if (kid === null || kid === undefined || kid === false) continue;
    el.append(kid);
  }
}

/** Replaces all that an element holds. */
export function fill(el, ...kids) {
  el.replaceChildren();
  append(el, kids);
  return el;
}

/** Sets a text only if it differs, so that a reader's place and a selection stay. */
export function say(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

/** Shows or hides. */
export function show(el, visible) {
  if (el.hidden === visible) el.hidden = !visible;
}

/** What others wrote: its own direction, nothing in it that acts. */
export function foreign(text) {
  return h('bdi', { class: 'foreign', dir: 'auto' }, shown(text));
}

/** A moment: short, and in full when hovered. */
export function moment(ms) {
  if (ms === null || ms === undefined) return h('span', { class: 'none' }, '–');
  return h('time', { datetime: new Date(ms).toISOString(), title: full(ms, prefs.zone) }, when(ms, prefs.zone));
}

const SVG = 'http://www.w3.org/2000/svg';
const SHAPES = {
  demo: 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13Zm0 2.6a3.9 3.9 0 1 1 0 7.8a3.9 3.9 0 0 1 0-7.8Z',
  paper: 'M8 0.8 15.2 8 8 15.2 0.8 8Z',
  alert: 'M8 1.2 15.4 14.6H0.6Z',
  live: 'M1.5 1.5h13v13h-13Z',
  ready: 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13Z',
  warn: 'M8 1.2 15.4 14.6H0.6Z',
  stop: 'M2 2h12v12H2Z',
  pause: 'M3 2h3.6v12H3ZM9.4 2H13v12H9.4Z',
  play: 'M3.5 1.5 14 8 3.5 14.5Z',
};

/** A small shape that says nothing a word beside it does not say. */
export function shape(name) {
  const svg = document.createElementNS(SVG, 'svg');
  for (const [key, value] of Object.entries({ viewBox: '0 0 16 16', class: 'shape', 'aria-hidden': 'true', focusable: 'false' })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', SHAPES[name] ?? SHAPES.ready);
  path.setAttribute('fill-rule', 'evenodd');
  svg.append(path);
  return svg;
}

/** Hands a file to the person. */
export function download(name, type, content) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const a = h('a', { href: url, download: name });
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
