// The event stream: whole events come out however the network cuts them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff, parser } from '../../../src/watch/dashboard/js/sse.js';

const TEXT = '\ufeff: hello\nevent: status\ndata: {"a":1}\n\nevent: log\r\ndata: one\r\ndata: two\r\nid: 7\r\n\r\ndata:bare\r\revent: empty\n\ndata: unfinished';
const EVENTS = [{ event: 'status', data: '{"a":1}', id: '' }, { event: 'log', data: 'one\ntwo', id: '7' }, { event: 'message', data: 'bare', id: '7' }];

const parse = (chunks) => {
  const events = [];
  const feed = parser((event) => events.push(event));
  chunks.forEach(feed);
  return events;
};

test('a whole text gives its events, and none of what is unfinished', () => assert.deepEqual(parse([TEXT]), EVENTS));

test('cut anywhere, in two or letter by letter, it is the same', () => {
  assert.deepEqual(parse([...TEXT]), EVENTS);
  for (let at = 0; at <= TEXT.length; at++) assert.deepEqual(parse([TEXT.slice(0, at), TEXT.slice(at)]), EVENTS, `cut at ${at}`);
});

test('the pauses between tries double, stay below 15 s, and are never the same for all', () => {
  for (let attempt = 0; attempt < 40; attempt++) {
    const [least, most] = [backoff(attempt, 0), backoff(attempt, 1)];
    assert.ok(least < most && most <= 15_000 && 250 <= least);
  }
  assert.equal(backoff(1, 1), 1_000);
});
