import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Message } from 'vscode-languageclient/node';
import { cleaned } from './cleaned';

const link = '[make test](command:workbench.action.quit)';
const harmless = '[make test]\u200b(command:workbench.action.quit)';

function message(method: string, params: unknown): Message {
  return { jsonrpc: '2.0', method, params } as Message;
}

test('Messages of the server have no links, and keep their buttons', () => {
  const actions = [{ title: 'Open', id: 7 }];
  for (const method of ['window/showMessage', 'window/showMessageRequest']) {
    assert.deepEqual(
      cleaned(message(method, { type: 1, message: `${link}\u001b[2J`, actions })),
      message(method, { type: 1, message: harmless, actions }),
    );
  }
});

test('Progress that the server makes has no links in its title and in what it reports', () => {
  const begin = { kind: 'begin', title: link, message: `\u202e${link}`, percentage: 3 };
  assert.deepEqual(
    cleaned(message('$/progress', { token: 't', value: begin })),
    message('$/progress', {
      token: 't',
      value: { ...begin, title: harmless, message: `<U+202E>${harmless}` },
    }),
  );
  const end = { kind: 'end' };
  assert.deepEqual(
    cleaned(message('$/progress', { token: 1, value: end })),
    message('$/progress', { token: 1, value: end }),
  );
});

test('All that is not shown, and what is malformed, passes as it is', () => {
  for (const [method, params] of [
    ['glue/exec/output', { data: link, encoding: 'utf-8' }],
    ['workspace/applyEdit', { label: link, message: link }],
    ['window/showMessage', [link]],
    ['$/progress', undefined],
    ['$/progress', { token: 1, value: [link] }],
  ] as const) {
    assert.deepEqual(cleaned(message(method, params)), message(method, params));
  }
});
