import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Pacer } from './pace';

function paced(step: { bytes: number; everyMs: number }): {
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

test('The first output is shown at once', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { pacer, shown, acked } = paced({ bytes: 10, everyMs: 25 });
  pacer.push('$ ', 2);
  assert.deepEqual([shown, acked], [['$ '], [2]]);
  pacer.dispose();
  mock.timers.reset();
});

test('A flood is shown in steps, and only what was shown is acknowledged', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { pacer, shown, acked } = paced({ bytes: 10, everyMs: 25 });
  for (const piece of ['aaaa', 'bbbb', 'cccc', 'dddd']) {
    pacer.push(piece, 4);
  }
  assert.deepEqual(shown, ['aaaa']);
  mock.timers.tick(24);
  assert.deepEqual(acked, [4]);
  mock.timers.tick(1);
  assert.deepEqual(
    [shown, acked],
    [
      ['aaaa', 'bbbbcccc'],
      [4, 8],
    ],
  );
  mock.timers.tick(25);
  assert.deepEqual(acked, [4, 8, 4]);
  mock.timers.reset();
});

test('A piece larger than a step is shown alone', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { pacer, shown } = paced({ bytes: 2, everyMs: 25 });
  pacer.push('large', 5);
  pacer.push('x', 1);
  assert.deepEqual(shown, ['large']);
  mock.timers.tick(25);
  assert.deepEqual(shown, ['large', 'x']);
  pacer.dispose();
  mock.timers.reset();
});

test('The end waits for what was not shown yet', async () => {
  const { pacer, shown } = paced({ bytes: 1, everyMs: 1 });
  pacer.push('a', 1);
  pacer.push('b', 1);
  pacer.push('c', 0);
  await pacer.drained();
  assert.equal(shown.join(''), 'abc');
});
