import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CutOffError, detailsOf, explain, failureOf } from './protocol';

function failed(code: number, message: string, data?: unknown): Error {
  return Object.assign(new Error(message), { code, data });
}

test('The log has the kind of a failure and all that the server says of it', () => {
  const data = { kind: 'noSpace', operation: 'return', path: 'a b\n', hint: 'make room' };
  const error = failed(-32803, 'return: a b: no space', data);
  assert.equal(explain(error), 'return: a b: no space (make room)');
  assert.equal(
    detailsOf(error),
    `return: a b: no space {"code":-32803,"data":${JSON.stringify(data)}}`,
  );
  assert.equal(detailsOf(failed(-32602, 'path: is missing')), 'path: is missing {"code":-32602}');
});

test('The log has what cut a request off', () => {
  const text = detailsOf(new CutOffError(failed(-32097, 'Pending response rejected')));
  assert.match(text, /What sandboxes had changed is kept/u);
  assert.match(text, /\ncaused by: Pending response rejected \{"code":-32097\}$/u);
});

test('The log has where an error of our own was thrown, and whatever else is thrown', () => {
  assert.match(detailsOf(new TypeError('no such member')), /TypeError: no such member\n +at /u);
  assert.equal(detailsOf('gone'), 'gone');
});

test('Only a failure of a request tells its kind', () => {
  const data = { kind: 'conflict', operation: 'return' };
  assert.equal(failureOf(failed(-32803, 'm', data)), data);
  assert.equal(failureOf(failed(-32602, 'm', data)), undefined);
  assert.equal(failureOf(failed(-32803, 'm', 'conflict')), undefined);
});
