import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pacer } from './pace';
import { Shown } from './shown';
import { remember } from './history';

// A clock that goes when the test says so.
class Hand {
  private due: (() => void)[] = [];

  after = (_: number, then: () => void): void => {
    this.due.push(then);
  };

  tick(): void {
    const due = this.due;
    this.due = [];
    for (const then of due) {
      then();
    }
  }

  get idle(): boolean {
    return this.due.length === 0;
  }
}

const kib = 1024;

test('A little output is shown and acknowledged at once', () => {
  const shown: string[] = [];
  const bytes: number[] = [];
  const pacer = new Pacer(
    (t) => shown.push(t),
    (n) => bytes.push(n),
    new Hand(),
  );
  pacer.push('hello', 5);
  assert.deepEqual(shown, ['hello']);
  assert.deepEqual(bytes, [5]);
});

test('A flood is shown in order, and no faster than its pace', async () => {
  const hand = new Hand();
  let shown = '';
  let acknowledged = 0;
  const pacer = new Pacer(
    (t) => (shown += t),
    (n) => (acknowledged += n),
    hand,
  );
  let want = '';
  for (let i = 0; i < 64; i++) {
    const text = String(i % 10).repeat(16 * kib);
    want += text;
    pacer.push(text, text.length);
  }
  assert.equal(acknowledged, 64 * kib);
  let done = false;
  const finished = pacer.finished().then(() => (done = true));
  let ticks = 0;
  for (; !hand.idle && ticks < 1000; ticks++) {
    const before = acknowledged;
    hand.tick();
    assert.ok(acknowledged - before <= 80 * kib, `${acknowledged - before} bytes in a tick`);
  }
  await finished;
  assert.ok(done);
  assert.equal(shown, want);
  assert.equal(acknowledged, want.length);
  assert.ok(ticks >= 15, `${ticks} ticks`);
});

test('What is not shown as text is acknowledged all the same', () => {
  let acknowledged = 0;
  const pacer = new Pacer(
    () => assert.fail('nothing to show'),
    (n) => (acknowledged += n),
    new Hand(),
  );
  pacer.push('', 7);
  assert.equal(acknowledged, 7);
});

test('Of endless output the beginning and the end are shown, and that something is missing', () => {
  const shown = new Shown();
  let text = '';
  for (let i = 0; i < 100; i++) {
    text += shown.push(`${String(i).padStart(3, '0')}${'x'.repeat(kib * 100)}`);
  }
  assert.ok(shown.isCut);
  text += shown.end();
  assert.ok(text.startsWith('000x'));
  assert.ok(text.endsWith('x'.repeat(60 * kib)));
  assert.match(text, /\[\d+\.\d MiB are left out here/u);
  assert.ok(text.length < 5 << 20);
});

test('Nothing is missing in output that fits', () => {
  const shown = new Shown();
  assert.equal(shown.push('all of it') + shown.end(), 'all of it');
  assert.ok(!shown.isCut);
});

test('The history has each command once, the last first, and an end', () => {
  assert.deepEqual(remember(['a', 'b', 'c'], 'b'), ['b', 'a', 'c']);
  const many = Array.from({ length: 60 }, (_, i) => String(i));
  assert.equal(remember(many, 'new').length, 50);
});
