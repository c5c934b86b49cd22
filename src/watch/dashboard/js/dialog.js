// Modal dialogs on the browser's own element: focus stays inside, Escape leaves, the default button has the focus.

import { fill, h } from './dom.js';

let count = 0;

/**
 * An action is `{label, class, act, first, enter}`: `first` has the focus, `enter` is what the Enter key in a field does.
 * Resolves with what `close` was given, or null.
 */
export function ask({ title, body, actions = [], wide = false, cancel = 'Cancel' }) {
  return new Promise((done) => {
    const name = `dialog-${++count}`;
    const before = document.activeElement;
    const el = h('dialog', { class: wide ? 'wide' : '', 'aria-labelledby': name });
    let answer = null;
    const close = (value = null) => { answer = value; el.close(); };
    const buttons = actions.map(({ label, class: look, act, first, enter = first, disabled }) => {
      const button = h('button', { type: 'button', class: look ?? '', autofocus: first, 'data-enter': enter, disabled }, label);
      button.addEventListener('click', () => act(close, button));
      return button;
    });
    const form = h('form', { on: { submit: (event) => { event.preventDefault(); buttons.find((b) => b.hasAttribute('data-enter'))?.click(); } } },
      h('h2', { id: name }, title),
      h('div', { class: 'dialog-body' }, typeof body === 'function' ? body(close) : body),
      h('div', { class: 'dialog-buttons' }, h('button', { type: 'button', class: 'quiet', on: { click: () => close() } }, cancel), h('span', { class: 'grow' }), buttons));
    fill(el, form);
    el.addEventListener('close', () => {
      el.remove();
      if (before?.isConnected) before.focus();
      done(answer);
    });
    document.body.append(el);
    el.showModal();
    (form.querySelector('[autofocus]') ?? form.querySelector('input, button'))?.focus();
  });
}

/** A labelled text field for a dialog. */
export function field(label, props = {}, hint = null) {
  const id = `field-${++count}`;
  const input = h('input', { id, type: 'text', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', 'aria-describedby': hint ? `${id}-hint` : null, ...props });
  return { input, el: h('div', { class: 'field' }, h('label', { for: id }, label), input, hint ? h('p', { class: 'hint', id: `${id}-hint` }, hint) : null) };
}

/** A message that has to be read. */
export const tell = (title, ...body) => ask({ title, body, cancel: 'Close' });
export const anyOpen = () => document.querySelector('dialog[open]') !== null;
