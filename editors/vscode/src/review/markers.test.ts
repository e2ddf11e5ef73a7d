import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasMarkers, merge3, untouched, withMarkers } from './markers';

const labels = { mine: 'mine', theirs: 'sandbox' };
const merged = (base: string, mine: string, theirs: string) =>
  withMarkers(merge3(base, mine, theirs), labels);

for (const [name, base, mine, theirs, want] of [
  ['nothing', 'a\nb\n', 'a\nb\n', 'a\nb\n', 'a\nb\n'],
  ['what only I changed', 'a\nb\nc\n', 'A\nb\nc\n', 'a\nb\nc\n', 'A\nb\nc\n'],
  ['what only the sandbox changed', 'a\nb\nc\n', 'a\nb\nc\n', 'a\nb\nC\n', 'a\nb\nC\n'],
  ['both in different places', 'a\nb\nc\n', 'A\nb\nc\n', 'a\nb\nC\n', 'A\nb\nC\n'],
  ['the same on both sides', 'a\nb\n', 'a\nX\n', 'a\nX\n', 'a\nX\n'],
  ['insertions', 'a\nc\ne\n', 'a\nb\nc\ne\n', 'a\nc\nd\ne\n', 'a\nb\nc\nd\ne\n'],
  ['deletions', 'a\nb\nc\nd\ne\n', 'b\nc\nd\ne\n', 'a\nb\nc\nd\n', 'b\nc\nd\n'],
  ['texts without a last line end', 'a\nb', 'A\nb', 'a\nb', 'A\nb'],
  ['empty texts', '', '', 'x\n', 'x\n'],
] as const) {
  test(`A merge takes ${name}`, () => {
    assert.equal(merged(base, mine, theirs), want);
  });
}

test('Only a conflict gets markers', () => {
  assert.equal(
    merged('a\nb\nc\nd\n', 'A\nb\nmine\nd\n', 'a\nb\ntheirs\nd\ne\n'),
    'A\nb\n<<<<<<< mine\nmine\n=======\ntheirs\n>>>>>>> sandbox\nd\ne\n',
  );
});

test('Two files of one name are one conflict', () => {
  assert.equal(
    merged('', 'mine\n', 'theirs\n'),
    '<<<<<<< mine\nmine\n=======\ntheirs\n>>>>>>> sandbox\n',
  );
});

test('A conflict in a last line without line end keeps markers on their own lines', () => {
  assert.equal(merged('a', 'b', 'c'), '<<<<<<< mine\nb\n=======\nc\n>>>>>>> sandbox\n');
});

test('Markers are told from text', () => {
  assert.ok(hasMarkers('a\n<<<<<<< mine\nb\n'));
  assert.ok(!hasMarkers('a\n=======\nshift << 7\n'));
});

test('A large text with few changes merges', () => {
  const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`);
  const mine = lines.with(5, 'mine\n');
  const theirs = lines.with(19_990, 'theirs\n');
  const want = mine.with(19_990, 'theirs\n').join('');
  assert.equal(merged(lines.join(''), mine.join(''), theirs.join('')), want);
});

// Whatever the texts are, what only one side changed comes through, and what both hold stays.
test('Random merges keep every line that one side added', () => {
  let seed = 1;
  const random = (n: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % n;
  };
  for (let round = 0; round < 500; round++) {
    const base = Array.from({ length: random(12) }, () => `${'abc'.charAt(random(3))}\n`);
    const edited = (mark: string) => {
      const out = [...base];
      for (let i = random(3); i >= 0; i--) {
        out.splice(random(out.length + 1), random(2), `${mark}${i}\n`);
      }
      return out;
    };
    const mine = edited('m');
    const theirs = edited('t');
    const text = merged(base.join(''), mine.join(''), theirs.join(''));
    for (const line of [...mine, ...theirs].filter((one) => /^[mt]/.test(one))) {
      assert.ok(text.includes(line), `${line} of ${JSON.stringify({ base, mine, theirs })}`);
    }
    assert.equal(merged(base.join(''), mine.join(''), base.join('')), mine.join(''));
    assert.equal(merged(base.join(''), base.join(''), theirs.join('')), theirs.join(''));
  }
});

const parts = merge3('a\nb\nc\nd\ne\n', 'a\nmine\nc\nd\nM\n', 'a\ntheirs\nc\nd\nT\n');

for (const [name, text, want] of [
  ['a side at each', 'a\nmine\nc\nd\nT\n', 0],
  ['a side at one', 'a\nmine\nc\nd\ne\n', 1],
  ['no side at all', 'a\nb\nc\nd\ne\n', 2],
  ['both sides', 'a\nmine\ntheirs\nc\nd\nM\nT\n', 0],
  ['words of my own', 'a\nown\nc\nd\nown\n', 0],
  ['neither, with other line ends', 'a\r\nb\r\nc\r\nd\r\ne\r\n', 2],
  ['nothing', '', 0],
] as const) {
  test(`A merge that takes ${name} leaves ${want} untouched`, () => {
    assert.equal(untouched(parts, text), want);
  });
}
