// Requests to the engine's HTTP interface, and the token they carry. The token lives in this tab's session storage and in
// headers, never in a URL and never in a cookie.

const TOKEN = 'orion.session';
let session = null;
let lost = () => {};

try { session = JSON.parse(sessionStorage.getItem(TOKEN)); } catch { session = null; }

/** What the interface answered instead of what was asked for. */
export class Refused extends Error {
  constructor(status, text, body = null) {
    super(text);
    this.status = status;
    this.body = body;
  }
}

export const loggedIn = () => session !== null;
export const role = () => session?.role ?? 'viewer';
export const operator = () => role() === 'operator';

/** Called once when the token is no longer taken. */
export function onLost(act) {
  lost = act;
}

function keep(value) {
  session = value;
  try {
    if (value) sessionStorage.setItem(TOKEN, JSON.stringify(value));
    else sessionStorage.removeItem(TOKEN);
  } catch { /* Without storage the session lasts until the page is left. */ }
}

/** One request. Throws `Refused` for an answer that is not a success, `TypeError` where nothing answered. */
export async function request(path, { body, signal, accept = 'application/json' } = {}) {
  const headers = { Accept: accept };
  if (session) headers.Authorization = `Bearer ${session.token}`;
  const options = { headers, signal, cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer', redirect: 'error' };
  if (body !== undefined) {
    options.method = 'POST';
    options.body = JSON.stringify(body);
    headers['Content-Type'] = 'application/json';
    headers['X-Orion'] = '1';
  }
  const sent = session?.token;
  const answer = await fetch(path, options);
  if (answer.ok) return answer;
  let text = '';
  let parsed = null;
  try {
    parsed = await answer.json();
    text = parsed.error ?? '';
  } catch { /* The status says enough. */ }
  // An answer to a token that was replaced meanwhile ends nothing.
  if (answer.status === 401 && sent && sent === session?.token) {
    keep(null);
    lost(text);
  }
  text ||= (parsed?.errors ?? []).map((e) => [e.key, e.what].filter(Boolean).join(': ')).join('; ');
  throw new Refused(answer.status, text || `the engine answered ${answer.status}`, parsed);
}

export const get = async (path, options) => (await request(path, options)).json();
export const text = async (path, options) => (await request(path, { accept: '*/*', ...options })).text();
export const blob = async (path) => (await request(path, { accept: '*/*' })).blob();
export const post = async (path, body, options) => (await request(path, { ...options, body })).json();

/** Exchanges a one-time code for a token. */
export async function login(code) {
  keep(null);
  keep(await post('/api/v1/session', { code }));
}

/** Forgets the token here and there. */
export async function logout() {
  try { await post('/api/v1/session/end', {}); } catch { /* It ends by itself. */ }
  keep(null);
}

/** What went wrong, as a sentence for a person. */
export function sentence(error) {
  if (error instanceof Refused) return error.message;
  if (error?.name === 'AbortError') return 'the request was given up';
  return 'nothing answers: is the engine’s process running?';
}
