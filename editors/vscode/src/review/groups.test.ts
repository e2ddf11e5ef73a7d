import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileChange } from '../protocol';
import { group, isShownAsText, notSeenAsText, pages } from './groups';

function change(path: string, more: Partial<FileChange> = {}): FileChange {
  return { path, status: 'modified', kind: 'text', ...more };
}

test('Each change stands in one group, a conflict before all', () => {
  const files = [
    change('a'),
    change('b', { acts: { when: 'open', why: '' } }),
    change('c', { acts: { when: 'build', why: '' } }),
    change('../d', { outsideWorkspace: true }),
    change('e', { acts: { when: 'open', why: '' } }),
  ];
  const groups = group(files, [{ path: 'e', kind: 'content', detail: '' }]);
  const names = Object.fromEntries(
    Object.entries(groups).map(([id, all]) => [id, all.map((f) => f.path)]),
  );
  assert.deepEqual(names, {
    conflicts: ['e'],
    open: ['b'],
    build: ['c'],
    changes: ['a'],
    outside: ['../d'],
  });
});

test('A conflict that is no change is shown all the same', () => {
  const groups = group([], [{ path: 'x', kind: 'binary', detail: '' }]);
  assert.deepEqual(groups.conflicts, [
    { path: 'x', pathBytes: undefined, status: 'modified', kind: 'binary' },
  ]);
});

test('Names that look alike are told apart by their bytes', () => {
  const files = [change('\\xE4', { pathBytes: '5A==' }), change('\\xE4')];
  const groups = group(files, [{ path: '\\xE4', pathBytes: '5A==', kind: 'content', detail: '' }]);
  assert.equal(groups.conflicts.length, 1);
  assert.equal(groups.changes.length, 1);
  assert.equal(groups.changes[0]?.pathBytes, undefined);
});

test('More files than one editor takes well come in pages', () => {
  const files = Array.from({ length: 650 }, (_, i) => change(String(i)));
  files.push(change('logo.png', { kind: 'binary' }), change('run', { status: 'mode' }));
  const all = pages(files);
  assert.deepEqual(
    all.map((p) => [p.number, p.count, p.texts.length, p.others.length]),
    [
      [1, 3, 300, 2],
      [2, 3, 300, 0],
      [3, 3, 50, 0],
    ],
  );
  assert.equal(all[2]?.texts.at(-1)?.path, '649');
});

test('What is only binary still makes a page', () => {
  const all = pages([change('logo.png', { kind: 'binary' })]);
  assert.deepEqual(
    all.map((p) => [p.texts.length, p.others.length]),
    [[0, 1]],
  );
});

test('A difference of texts does not show links, modes and other kinds', () => {
  assert.ok(isShownAsText(change('a')));
  assert.ok(!isShownAsText(change('a', { kind: 'symlink' })));
  assert.ok(!isShownAsText(change('a', { status: 'mode' })));
  assert.ok(!isShownAsText(change('a', { status: 'type' })));
});

test('What is only held back is no conflict to settle', () => {
  const groups = group([change('a')], [{ path: 'a', kind: 'content', detail: '', held: true }]);
  assert.deepEqual([groups.conflicts, groups.changes.map((f) => f.path)], [[], ['a']]);
});

test('Deletions, binaries, links and modes are told apart from changes of texts', () => {
  const files = [
    change('a'),
    change('b', { status: 'added', newMode: 0o100755 }),
    change('c', { status: 'deleted' }),
    change('d', { kind: 'binary' }),
    change('e', { kind: 'symlink' }),
    change('f', { oldMode: 0o100644, newMode: 0o100755 }),
    change('g', { status: 'type' }),
  ];
  assert.deepEqual(
    notSeenAsText(files).map((f) => f.path),
    ['c', 'd', 'e', 'f', 'g'],
  );
});
