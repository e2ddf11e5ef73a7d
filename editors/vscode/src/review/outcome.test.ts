import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileChange, ReturnResult } from '../protocol';
import { describeReturn, describeUndo } from './outcome';

function change(path: string): FileChange {
  return { path, status: 'modified', kind: 'text' };
}

const files = ['a', 'b', 'c'].map(change);
const none: ReturnResult = {
  mbox: null,
  files: [],
  edit: null,
  applied: false,
  disk: [],
  declined: [],
  conflicts: [],
  skipped: [],
};
const quiet = { remaining: [], unsaved: [], notSaved: [], rewritten: [] };

test('A whole return says how many files, and offers to undo it', () => {
  const { severity, text, actions } = describeReturn(
    { ...none, files, disk: files, applied: true },
    quiet,
  );
  assert.equal(text, 'Returned 3 files, written to disk.');
  assert.deepEqual([severity, actions], ['info', ['undo']]);
});

test('Text that was not saved is named', () => {
  const result = { ...none, files, disk: files.slice(1), applied: true };
  const { text } = describeReturn(result, { ...quiet, unsaved: ['a'] });
  assert.equal(
    text,
    'Returned 3 files (2 written to disk, 1 edited in the editor). ' +
      'Not saved, because it held unsaved text of yours: a.',
  );
});

test('A return in part names the rest with its reasons', () => {
  const { severity, text, actions } = describeReturn(
    {
      ...none,
      files,
      applied: true,
      conflicts: [{ path: 'd', kind: 'content', detail: '' }],
      skipped: [{ path: 'b', reason: 'not confirmed' }],
      declined: [change('c')],
      mbox: { path: '/m', bytes: 1, commits: 1, truncated: false },
    },
    quiet,
  );
  assert.equal(
    text,
    'Returned 1 file. Changed on both sides: d. Left out: b (not confirmed). Declined: c.',
  );
  assert.deepEqual([severity, actions], ['warning', ['undo', 'resolve', 'patches']]);
});

test('What was not applied is not said to be returned', () => {
  const { severity, text, actions } = describeReturn(
    { ...none, files },
    { ...quiet, remaining: [change('c')] },
  );
  assert.equal(text, 'Returned 2 files. Not applied, still in the sandbox: c.');
  assert.deepEqual([severity, actions], ['warning', ['undo', 'review']]);
});

test('What saving did besides is said', () => {
  const { severity, text } = describeReturn(
    { ...none, files, applied: true },
    { ...quiet, notSaved: ['a'], rewritten: ['b'] },
  );
  assert.match(text, /Could not be saved, the change is in the editor only: a\./);
  assert.match(text, /Saving changed more than the edit did: b\./);
  assert.equal(severity, 'warning');
});

test('A branch is named and no file said to be returned', () => {
  const { text, actions } = describeReturn(
    { ...none, files, applied: true, branch: 'glue/1' },
    quiet,
  );
  assert.equal(text, 'The changes are on the branch glue/1; no file was touched.');
  assert.deepEqual(actions, []);
});

test('An older state is said to be one', () => {
  const unavailable = {
    reason: 'executorDead',
    message: 'the sandbox is gone',
    recovered: { seq: 4, at: '' },
  };
  const { severity, text } = describeReturn({ ...none, files, applied: true, unavailable }, quiet);
  assert.match(text, /the sandbox is gone\. Checkpoint 4 was returned instead\.$/);
  assert.equal(severity, 'warning');
});

test('Of many files the first are named', () => {
  const conflicts = Array.from({ length: 8 }, (_, i) => ({
    path: String(i),
    kind: 'content' as const,
    detail: '',
  }));
  assert.match(
    describeReturn({ ...none, conflicts }, quiet).text,
    /: 0, 1, 2, 3, 4, and 3 more\.$/,
  );
});

test('Nothing to return is no warning', () => {
  assert.deepEqual(describeReturn(none, quiet), {
    severity: 'info',
    text: 'There is nothing to return.',
    actions: [],
  });
});

test('An undo in part says what stays', () => {
  const conflicts = [{ path: 'c', kind: 'content' as const, detail: 'you changed it since' }];
  const { severity, text, actions } = describeUndo({ ...none, files, applied: true, conflicts });
  assert.equal(
    text,
    'Took 2 files back; the sandbox still has the changes. Left as it is: c (you changed it since).',
  );
  assert.deepEqual([severity, actions], ['warning', ['review']]);
});
