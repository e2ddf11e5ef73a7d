import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutputDecoder } from './decode';

const base64 = (...bytes: number[]) => ({
  data: Buffer.from(bytes).toString('base64'),
  encoding: 'base64' as const,
});

test('Text is counted in the bytes that the sandbox sent', () => {
  const decoded = new OutputDecoder().decode({ data: 'ä🙂\n', encoding: 'utf-8' });
  assert.deepEqual(decoded, { text: 'ä🙂\n', bytes: 7 });
});

test('Bytes that are no text are shown as replacements and counted as they are', () => {
  assert.deepEqual(new OutputDecoder().decode(base64(0x61, 0xff, 0x62)), {
    text: 'a\ufffdb',
    bytes: 3,
  });
});

test('A character that is cut between two pieces of bytes stays one', () => {
  const decoder = new OutputDecoder();
  const first = decoder.decode(base64(0xff, 0xc3));
  const second = decoder.decode(base64(0xa4, 0xff));
  assert.equal(first.text + second.text, '\ufffdä\ufffd');
});

test('Half a character before text, or at the end, is not lost in silence', () => {
  const decoder = new OutputDecoder();
  decoder.decode(base64(0xc3));
  assert.equal(decoder.decode({ data: 'x', encoding: 'utf-8' }).text, '\ufffdx');
  decoder.decode(base64(0xc3));
  assert.equal(decoder.end(), '\ufffd');
});
