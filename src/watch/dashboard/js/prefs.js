// What a person chose for this browser: colours, zone, shortcuts, tour. Kept in local storage; never a secret.

const NAME = 'orion.prefs';
const watchers = new Set();
const system = matchMedia('(prefers-color-scheme: dark)');

function read() {
  try { return JSON.parse(localStorage.getItem(NAME)) ?? {}; } catch { return {}; }
}

/** `theme`: system, light, dark · `zone`: UTC, local · `keys`: single-key shortcuts · `toured`. */
export const prefs = { theme: 'system', zone: 'UTC', keys: true, toured: false, ...read() };

export function setPref(name, value) {
  prefs[name] = value;
  try { localStorage.setItem(NAME, JSON.stringify(prefs)); } catch { /* Private windows may keep nothing. */ }
  paint();
  watchers.forEach((tell) => tell(name));
}

/** Calls back with the name of what changed; `theme` also when the system's changes. */
export function onPref(tell) {
  watchers.add(tell);
}

export function dark() {
  return prefs.theme === 'dark' || (prefs.theme === 'system' && system.matches);
}

function paint() {
  document.documentElement.dataset.theme = dark() ? 'dark' : 'light';
}

system.addEventListener('change', () => { paint(); watchers.forEach((tell) => tell('theme')); });
paint();
