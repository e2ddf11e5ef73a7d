import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { Pacer } from './pace';

const kib = 1024;

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
});
afterEach(() => {
  mock.timers.reset();
});

function paced(step?: { chars: number; everyMs: number }): {
  pacer: Pacer;
  shown: string[];
  acked: number[];
} {
  const shown: string[] = [];
  const acked: number[] = [];
  const pacer = new Pacer(
    (text) => shown.push(text),
    (bytes) => acked.push(bytes),
    step,
  );
  return { pacer, shown, acked };
}

test('A little output is shown and acknowledged at once', () => {
  const { pacer, shown, acked } = paced();
  pacer.push('$ ', 2);
  pacer.push('ls', 2);
  assert.deepEqual(shown, ['$ ', 'ls']);
  assert.deepEqual(acked, [2, 2]);
});

test('A flood is shown in steps, and only what was shown is acknowledged', () => {
  const { pacer, shown, acked } = paced({ chars: 8, everyMs: 25 });
  for (const piece of ['aaaa', 'bbbb', 'cccc', 'dddd', 'eeee']) {
    pacer.push(piece, 4);
  }
  assert.deepEqual(shown, ['aaaa', 'bbbb']);
  mock.timers.tick(24);
  assert.deepEqual(acked, [4, 4]);
  mock.timers.tick(1);
  assert.deepEqual(shown, ['aaaa', 'bbbb', 'ccccdddd']);
  mock.timers.tick(25);
  assert.deepEqual(acked, [4, 4, 8, 4]);
});

test('A flood is shown in order, and no faster than its pace', async () => {
  const { pacer, shown, acked } = paced();
  const sum = (): number => acked.reduce((all, n) => all + n, 0);
  let want = '';
  for (let i = 0; i < 64; i++) {
    const text = String(i % 10).repeat(16 * kib);
    want += text;
    pacer.push(text, text.length);
  }
  assert.equal(sum(), 64 * kib);
  const drained = pacer.drained();
  for (let shownAll = sum(); shownAll < want.length; shownAll = sum()) {
    mock.timers.tick(25);
    const step = sum() - shownAll;
    assert.ok(step > 0 && step <= 80 * kib, `${step} bytes in a step`);
  }
  await drained;
  assert.equal(shown.join(''), want);
});

test('A piece larger than a step is shown alone, and paid for afterwards', () => {
  const { pacer, shown } = paced({ chars: 2, everyMs: 25 });
  pacer.push('large', 5);
  pacer.push('x', 1);
  assert.deepEqual(shown, ['large']);
  mock.timers.tick(25);
  assert.deepEqual(shown, ['large']);
  mock.timers.tick(25);
  assert.deepEqual(shown, ['large', 'x']);
});

test('What is not shown as text is acknowledged all the same, and costs nothing', () => {
  const { pacer, shown, acked } = paced({ chars: 1, everyMs: 25 });
  for (let i = 0; i < 3; i++) {
    pacer.push('', 7);
  }
  assert.deepEqual([shown, acked], [[], [7, 7, 7]]);
});

test('The end waits for what was not shown yet, also where it came without bytes', async () => {
  const { pacer, shown } = paced({ chars: 1, everyMs: 1 });
  pacer.push('a', 1);
  pacer.push('b', 1);
  pacer.push('c', 0);
  let over = false;
  const drained = pacer.drained().then(() => (over = true));
  mock.timers.tick(1);
  await Promise.resolve();
  assert.ok(!over);
  mock.timers.tick(1);
  await drained;
  assert.equal(shown.join(''), 'abc');
});

test('What is disposed of is not shown, and nobody waits for it', async () => {
  const { pacer, shown, acked } = paced({ chars: 1, everyMs: 1 });
  pacer.push('a', 1);
  pacer.push('b', 1);
  const drained = pacer.drained();
  pacer.dispose();
  await drained;
  mock.timers.tick(10);
  assert.deepEqual([shown, acked], [['a'], [1]]);
});
