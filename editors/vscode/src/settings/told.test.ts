import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Settings } from './split';
import { ToldSettings } from './told';

test('A folder that is trusted while the server starts is told to it when it runs, once', () => {
  let now: Settings = { user: { runtime: 'local' }, workspace: {}, trusted: false };
  const settings = new ToldSettings(() => now);
  assert.deepEqual(settings.first(), now);
  assert.equal(settings.news(), undefined);
  now = { ...now, trusted: true };
  assert.deepEqual(settings.news(), now);
  assert.equal(settings.news(), undefined);
});

test('The next server is told all of it again', () => {
  const now: Settings = { user: {}, workspace: { exclude: ['*.iso'] }, trusted: true };
  const settings = new ToldSettings(() => now);
  settings.first();
  assert.deepEqual(settings.first(), now);
});
