import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shown } from './shown';

// How VS Code finds links in messages.
const link = /\[([^\]]+)\]\(((?:https?:\/\/|command:|file:)[^)\s]+)(?: (["'])(.+?)(\3))?\)/i;

for (const text of [
  '[cart.go](command:workbench.action.terminal.sendSequence?%7B%7D)',
  'a[x](https://example.com "title")b',
  '[x]\u0007(command:a)',
  '[x]\u001b[0m(command:a)',
  '[x]\u200b(command:a) [y](file:///etc)',
  '[[x]](command:a)',
]) {
  test(`A message has no link: ${JSON.stringify(text)}`, () => {
    assert.doesNotMatch(shown(text), link);
    assert.doesNotMatch(shown(shown(text)), link);
  });
}

test('Text is shown as it is', () => {
  const text = 'Tests [unit] (fast): a[0] = f(x)\n  + src/ä.go\n\nEnd.';
  assert.equal(shown(text), text);
});

test('Control characters and marks that turn text around are not shown', () => {
  assert.equal(shown('a\u001b]0;t\u0007b\u0000c\u202ed'), 'abc<U+202E>d');
});
