import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remember } from './history';

test('The history has each command once, the last first, and an end', () => {
  assert.deepEqual(remember(['a', 'b', 'c'], 'b'), ['b', 'a', 'c']);
  const many = Array.from({ length: 60 }, (_, i) => String(i));
  assert.equal(remember(many, 'new').length, 50);
});
