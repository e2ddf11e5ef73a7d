import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUniform, textOf, withChange } from './mergeText';

test('Only UTF-8 without zeros is text', () => {
  assert.equal(textOf(new TextEncoder().encode('grün\n')), 'grün\n');
  assert.equal(textOf(Uint8Array.of(0x67, 0xfc, 0x6e)), undefined);
  assert.equal(textOf(Uint8Array.of(0x61, 0)), undefined);
});

test('Line ends are uniform only when all are alike', () => {
  for (const text of ['', 'one', 'one\ntwo\n', 'one\r\ntwo\r\n']) assert.ok(isUniform(text), text);
  for (const text of ['one\r\ntwo\n', 'one\rtwo', 'one\rtwo\n']) assert.ok(!isUniform(text), text);
});

test('What became of a side comes into a merge, with the line ends of the merge', () => {
  const began = 'one\ntwo\nthree\nfour\n';
  const merged = 'ONE\r\ntwo\r\nthree\r\nfour\r\n';
  assert.equal(withChange(merged, began, began), merged);
  assert.equal(
    withChange(merged, began, 'one\ntwo\nthree\nFOUR\n'),
    'ONE\r\ntwo\r\nthree\r\nFOUR\r\n',
  );
  assert.equal(withChange(merged, began, 'eins\ntwo\nthree\nfour\n'), undefined);
});
