// Reads server-sent events from chunks of text, as the HTML standard parses them. Pure.

/** Feed it chunks; it calls `onEvent({event, data, id})` for each whole event. */
export function parser(onEvent) {
  let rest = '';
  let event = '';
  let id = '';
  let data = [];
  let first = true;

  function line(text) {
    if (text === '') {
      if (data.length) onEvent({ event: event || 'message', data: data.join('\n'), id });
      event = '';
      data = [];
      return;
    }
    if (text.startsWith(':')) return;
    const colon = text.indexOf(':');
    const field = colon < 0 ? text : text.slice(0, colon);
    let value = colon < 0 ? '' : text.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
    else if (field === 'id' && !value.includes('\0')) id = value;
  }

  return function feed(chunk) {
    rest += chunk;
    if (first && rest.length) {
      first = false;
      if (rest.startsWith('\ufeff')) rest = rest.slice(1);
    }
    let start = 0;
    for (let at = 0; at < rest.length; at++) {
      const letter = rest[at];
      if (letter !== '\n' && letter !== '\r') continue;
      // A `\r` at the end may be the first half of `\r\n`: wait for the next chunk.
      if (letter === '\r' && at + 1 === rest.length) break;
      line(rest.slice(start, at));
      if (letter === '\r' && rest[at + 1] === '\n') at++;
      start = at + 1;
    }
    rest = rest.slice(start);
  };
}

/** The pause before the next try: doubles from half a second to 15 s, half of it by chance. */
export function backoff(attempt, chance = Math.random()) {
  const most = Math.min(15_000, 500 * 2 ** Math.min(attempt, 10));
  return most / 2 + (most / 2) * chance;
}
