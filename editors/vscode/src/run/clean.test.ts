import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cleaner, plainLine } from './clean';

const esc = '\u001b';

function clean(...pieces: string[]): string {
  const cleaner = new Cleaner();
  return pieces.map((p) => cleaner.push(p)).join('');
}

for (const [name, given, want] of [
  ['colours', `${esc}[1;31mred${esc}[0m plain`, 'red plain'],
  ['colours of one byte', '\u009b31mred', 'red'],
  ['moves of the cursor', `a${esc}[2Kb${esc}[10;20Hc${esc}7d${esc}8e`, 'abcde'],
  ['links, of which the text stays', `${esc}]8;;http://x${esc}\\text${esc}]8;;${esc}\\!`, 'text!'],
  ['titles', `${esc}]0;evil\u0007after`, 'after'],
  ['titles with an end of one byte', `${esc}]0;evil\u009cafter`, 'after'],
  ['device strings', `${esc}P1$r0m${esc}\\x`, 'x'],
  ['character sets', `${esc}(Bx${esc}#8y`, 'xy'],
  ['a bell, backspaces and NULs', 'a\u0007b\u0008c\u0000d\u007f', 'abcd'],
  ['an escape in a sequence', `${esc}[3${esc}[1mx`, 'x'],
] as const) {
  test(`Cleaning removes ${name}`, () => {
    assert.equal(clean(given), want);
  });
}

test('Cleaning gives the same however the output is cut', () => {
  const given = `a${esc}[31mb${esc}]0;t\u0007c\r\nd${esc}]8;;u${esc}\\e\rf\n`;
  const want = clean(given);
  assert.equal(want, 'abc\nde\nf\n');
  for (let i = 0; i <= given.length; i++) {
    for (let j = i; j <= given.length; j++) {
      assert.equal(clean(given.slice(0, i), given.slice(i, j), given.slice(j)), want);
    }
  }
});

test('A sequence without an end hides nothing beyond its line', () => {
  assert.equal(clean(`${esc}]0;evil\nseen\n`), '\nseen\n');
  assert.equal(clean(`${esc}[31\nseen\n`), '\nseen\n');
  assert.equal(clean(`${esc}P\u0018seen`), 'seen');
});

test('A sequence without an end or a line is given up', () => {
  const out = clean(`${esc}]${'x'.repeat(2 << 20)}seen`);
  assert.ok(out.endsWith('seen'));
});

test('Progress that is written over itself becomes lines', () => {
  assert.equal(clean('10%\r20%\r', '\n'), '10%\n20%\n');
  assert.equal(clean('a\r', '\nb\r\n'), 'a\nb\n');
  assert.equal(clean('a\n\nb'), 'a\n\nb');
});

test('Marks that turn text around are shown as what they are', () => {
  assert.equal(clean('a\u202egnp.exe\u2066'), 'a<U+202E>gnp.exe<U+2066>');
});

test('Endless lines are cut', () => {
  const longest = Math.max(
    ...clean('x'.repeat(1 << 20))
      .split('\n')
      .map((l) => l.length),
  );
  assert.ok(longest <= 16 * 1024, String(longest));
});

test('Text of all languages stays', () => {
  const text = 'naïve 日本語 العربية 👩‍🚀\ttab\n';
  assert.equal(clean(text), text);
});

test('The next output begins on a line of its own', () => {
  const cleaner = new Cleaner();
  cleaner.push('no newline');
  assert.equal(cleaner.end(), '\n');
  assert.equal(cleaner.end(), '');
});

test('A title is one short line', () => {
  assert.equal(plainLine(`make\n  ${esc}[31mtest  `, 20), 'make test');
  assert.equal(plainLine('x'.repeat(30), 10), `${'x'.repeat(9)}…`);
});
