import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shown } from './shown';

const kib = 1024;

test('Of endless output the beginning and the end are shown, and that something is missing', () => {
  const shown = new Shown();
  let text = '';
  for (let i = 0; i < 100; i++) {
    text += shown.push(`${String(i).padStart(3, '0')}${'x'.repeat(kib * 100)}`);
  }
  assert.ok(shown.isCut);
  text += shown.end();
  assert.ok(text.startsWith('000x'));
  assert.ok(text.endsWith('x'.repeat(60 * kib)));
  assert.match(text, /\[\d+\.\d MiB are left out here/u);
  assert.ok(text.length < 5 << 20);
});

test('Nothing is missing in output that fits', () => {
  const shown = new Shown();
  assert.equal(shown.push('all of it') + shown.end(), 'all of it');
  assert.ok(!shown.isCut);
});
