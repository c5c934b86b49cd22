// The files themselves: what is vendored is what was published, and nothing makes markup or code out of text.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('../../../src/watch/dashboard/', import.meta.url);
const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((f) => f.isFile()).map((f) => `${f.parentPath ?? f.path}/${f.name}`);
const read = (path) => readFileSync(path, 'utf8');

test('vendored files have the hashes that are written down', () => {
  const table = read(new URL('vendor/README.md', root)).matchAll(/^\| `(.+)` \| `([0-9a-f]{64})` \|$/gm);
  const known = new Map([...table].map(([, name, hash]) => [name, hash]));
  const vendored = files.filter((f) => /\/vendor\/.+\//.test(f));
  assert.equal(vendored.length, known.size);
  for (const path of vendored) assert.equal(createHash('sha256').update(readFileSync(path)).digest('hex'), known.get(path.split('/vendor/')[1]), path);
});

// Fault 89 and 93: the page's policy forbids these; a test says so before a browser does.
test('no script makes markup or code, keeps the token in an address, or asks another host', () => {
  for (const path of files.filter((f) => f.endsWith('.js'))) {
    assert.doesNotMatch(read(path), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\('style'|srcdoc/, path);
    if (!path.includes('/vendor/')) assert.doesNotMatch(read(path).replace('http://www.w3.org/2000/svg', ''), /['"`](https?:)?\/\/|[?&]token=|document\.cookie/, path);
  }
  assert.doesNotMatch(read(new URL('index.html', root)), /<script>|<style|\sstyle=|\son\w+=|https?:/);
});

test('every module is short enough to be read in one sitting, and says first what it is', () => {
  for (const path of files.filter((f) => f.includes('/js/'))) {
    const text = read(path);
    assert.ok(text.split('\n').length < 300, path);
    assert.match(text, /^\/\/ \S/, path);
  }
});
