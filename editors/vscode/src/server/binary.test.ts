import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Surroundings } from './binary';
import { findServer, NotFound } from './binary';
import { Restarts } from './restarts';

function surroundings(there: string[], more: Partial<Surroundings> = {}): Surroundings {
  return {
    setting: '',
    bundled: '/ext/bin/glue-lsp',
    path: '/usr/bin:/opt/bin',
    home: '/home/me',
    isExecutable: (file) => there.includes(file),
    ...more,
  };
}

test('The bundled server is taken before one on PATH', () => {
  const found = findServer(surroundings(['/ext/bin/glue-lsp', '/opt/bin/glue-lsp']));
  assert.deepEqual(found, { file: '/ext/bin/glue-lsp', from: 'bundled' });
});

test('Without a bundled server the first on PATH is taken', () => {
  const found = findServer(surroundings(['/opt/bin/glue-lsp']));
  assert.deepEqual(found, { file: '/opt/bin/glue-lsp', from: 'path' });
});

test('What the person named is taken before all others', () => {
  const there = ['/ext/bin/glue-lsp', '/home/me/glue', '/abs/glue'];
  assert.equal(findServer(surroundings(there, { setting: '~/glue' })).file, '/home/me/glue');
  assert.equal(findServer(surroundings(there, { setting: ' /abs/glue ' })).file, '/abs/glue');
});

test('A setting that names nothing is an error, and no other server is taken', () => {
  const there = ['/ext/bin/glue-lsp'];
  for (const setting of ['/gone', 'glue-lsp', './bin/glue-lsp', '${workspaceFolder}/x']) {
    assert.throws(
      () => findServer(surroundings(there, { setting })),
      (e) => e instanceof NotFound && e.bySetting && e.message.includes(setting),
    );
  }
});

test('Relative entries of PATH are not used', () => {
  const there = ['glue-lsp', 'bin/glue-lsp', './glue-lsp'];
  const path = ':.:bin';
  assert.throws(
    () => findServer(surroundings(there, { path })),
    (e) => e instanceof NotFound && !e.bySetting,
  );
});

test('A server that keeps ending is started again three times, and later anew', () => {
  let now = 0;
  const restarts = new Restarts(() => now);
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => restarts.allow()),
    [true, true, true, false, false],
  );
  now = 200_000;
  assert.ok(restarts.allow());
});

test('A start that a person asked for forgets earlier ends', () => {
  const restarts = new Restarts(() => 0);
  for (let i = 0; i < 5; i++) {
    restarts.allow();
  }
  restarts.reset();
  assert.ok(restarts.allow());
});
