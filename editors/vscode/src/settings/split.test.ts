import assert from 'node:assert/strict';
import { test } from 'node:test';
import { split } from './split';

test("The person's settings and the folder's are kept apart, with dots as levels", () => {
  const values: Record<string, { globalValue?: unknown; workspaceValue?: unknown }> = {
    runtime: { globalValue: 'modal', workspaceValue: 'local' },
    'modal.gpu': { globalValue: 'T4' },
    'modal.env': { globalValue: { A: '1' } },
    exclude: { workspaceValue: ['*.iso'] },
    history: {},
  };
  assert.deepEqual(
    split([...Object.keys(values), 'unknown'], (key) => values[key], true),
    {
      user: { runtime: 'modal', modal: { gpu: 'T4', env: { A: '1' } } },
      workspace: { runtime: 'local', exclude: ['*.iso'] },
      trusted: true,
    },
  );
});

test('Values that mean nothing by themselves are sent: false, 0, empty', () => {
  const { user } = split(
    ['a', 'b', 'c'],
    (key) => ({ globalValue: { a: false, b: 0, c: '' }[key] }),
    false,
  );
  assert.deepEqual(user, { a: false, b: 0, c: '' });
});
