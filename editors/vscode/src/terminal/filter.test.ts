import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TerminalFilter } from './filter';

const esc = '\u001b';
const bel = '\u0007';

function filter(...pieces: string[]): string {
  const one = new TerminalFilter();
  return pieces.map((piece) => one.filter(piece)).join('');
}

for (const [name, given] of [
  ['text and line ends', 'a\r\nb\tc'],
  ['colours', `${esc}[1;38;5;200mred${esc}[0m`],
  ['moves, modes and questions of the terminal', `${esc}[2J${esc}[?1049h${esc}[6n${esc}7${esc}(B`],
  ['a title', `${esc}]0;make${bel}x`],
  ['colours of the palette', `${esc}]4;1;?${esc}\\${esc}]11;?${bel}`],
  ['a link to the web', `${esc}]8;id=1;https://example.com/a;b${esc}\\text${esc}]8;;${esc}\\`],
  ['a question for a setting', `${esc}P$qm${esc}\\`],
  ['letters of other alphabets', 'öß日本語🙂'],
] as const) {
  test(`The terminal keeps ${name}`, () => {
    assert.equal(filter(given), given);
  });
}

for (const [name, given] of [
  ['the clipboard', `${esc}]52;c;aGVsbG8=${bel}`],
  ['the clipboard with controls of one byte', '\u009d52;c;aGVsbG8=\u009c'],
  ['the clipboard after an escape', `${esc}${esc}]52;c;?${bel}`],
  ['the clipboard with an end of two bytes', `${esc}]52;c;?${esc}\\`],
  ['what claims to be shell integration', `${esc}]633;E;rm -rf ~${bel}${esc}]133;A${bel}`],
  ['a working directory', `${esc}]7;file:///etc${bel}${esc}]9;9;/etc${bel}`],
  ['files and marks of iTerm', `${esc}]1337;File=inline=1:AAAA${bel}`],
  ['notifications', `${esc}]777;notify;a;b${bel}${esc}]99;;x${esc}\\`],
  ['a link to a file', `${esc}]8;;file:///etc/passwd${bel}`],
  ['a link to a command', `${esc}]8;;command:workbench.action.quit${bel}`],
  ['pictures and keys of programs', `${esc}P0;1q#0~${esc}\\${esc}P1$tx${esc}\\`],
  ['application strings', `${esc}_Gf=100;AAAA${esc}\\${esc}^x${esc}\\${esc}Xy${esc}\\`],
  ['a title that holds a control', `${esc}]0;a\u009d52;c;?${bel}`],
  ['the clipboard behind a deleted character', `${esc}\u007f]52;c;SGk=${bel}`],
  ['the clipboard behind a mark that the terminal drops', `${esc}\ufeff]52;c;SGk=${bel}`],
  ['a title without end', `${esc}]0;${'x'.repeat(5000)}${bel}`],
] as const) {
  test(`Nothing of the sandbox reaches ${name}`, () => {
    const out = filter(`a${given}b`);
    assert.equal(out.replace(`${esc}b`, 'b'), 'ab');
  });
}

test('A sequence is judged as a whole, however it is cut', () => {
  const given = `a${esc}[31mb${esc}]52;c;aGk=${bel}c${esc}]0;t${esc}\\d\u009d52;x\u009ce${esc}Pq~${esc}\\f`;
  const whole = filter(given);
  assert.equal(whole, `a${esc}[31mbc${esc}]0;t${esc}\\def`);
  for (let i = 1; i < given.length; i++) {
    assert.equal(filter(given.slice(0, i), given.slice(i)), whole, `cut at ${i}`);
  }
  assert.equal(filter(...Array.from(given)), whole);
});

test('A string that is broken off does not swallow what follows', () => {
  assert.equal(filter(`${esc}]52;c;aGk=${esc}[1mbold\u0018x`), `${esc}[1mbold\u0018x`);
  assert.equal(filter(`${esc}]52;c;\u0018after`), 'after');
});

// A control between an escape and what follows acts by itself, and the escape goes on.
for (const [name, given, left] of [
  ['a line end', `${esc}\n]52;c;SGk=${bel}`, '\n'],
  ['a bell', `${esc}${bel}]633;E;x${bel}`, bel],
  ['a null', `${esc}\u0000]7;file:///etc${bel}`, '\u0000'],
  ['a line end, to a file', `${esc}\n]8;;file:///etc${bel}`, '\n'],
  ['a string of one byte', `${esc}\u009d99${bel}]52;c;SGk=${bel}`, `]52;c;SGk=${bel}`],
  ['a control of one byte', `${esc}\u0099]52;c;SGk=${bel}`, `${esc}Y]52;c;SGk=${bel}`],
] as const) {
  test(`Nothing gets out by ${name} after an escape`, () => {
    assert.equal(filter(given), left);
    assert.deepEqual(stringsOf(filter(given)), []);
  });
}

test('No mixture of controls gets out', () => {
  const parts = [
    ...[esc, esc, esc, bel, bel, '\n', '\u0000', '\u0018', '\u001a', '\u007f', '\ufeff', ' ', '('],
    ...['\u0084', '\u0090', '\u0098', '\u0099', '\u009b', '\u009c', '\u009d', '\u009f', 'ö', 'm'],
    ...[
      ']',
      'P',
      'X',
      '^',
      '_',
      '[',
      '\\',
      'q',
      '$q',
      '52;c;SGk=',
      '0;t',
      '8;;https://a',
      '8;;file:///',
    ],
    ...[`]52;c;SGk=${bel}`, `]633;E;x${bel}`, `${esc}]0;t${bel}`, `${esc}P$qm${esc}\\`],
  ];
  const next = random(7);
  let allowed = 0;
  for (let i = 0; i < 20_000; i++) {
    const pieces = Array.from({ length: 3 + next(12) }, () => parts[next(parts.length)] ?? '');
    const strings = stringsOf(filter(...pieces));
    const bad = strings.filter((s) => !/^(\][04];|\]0$|\]8;[^;]*;(https:|$)|P\$q)/u.test(s));
    assert.deepEqual(bad, [], JSON.stringify(pieces));
    allowed += strings.length;
  }
  assert.ok(allowed > 1000, `only ${allowed} strings came through`);
});

// random gives the same numbers each time.
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

/* eslint-disable no-control-regex */
// stringsOf reads output as a terminal does (the parser of the VT500, with 8-bit controls)
// and gives the control strings that it would obey.
function stringsOf(output: string): string[] {
  const strings: string[] = [];
  let at: 'ground' | 'escape' | 'other' | 'osc' | 'dcs' | 'ignored' = 'ground';
  let held = '';
  for (const c of output.replaceAll('\ufeff', '')) {
    const ends = [esc, '\u0018', '\u001a', '\u009c'].includes(c) || (at === 'osc' && c === bel);
    if (ends && (at === 'osc' || at === 'dcs')) {
      strings.push(held);
    }
    if (c === esc) {
      at = 'escape';
    } else if (ends || /[\u0018\u001a\u0080-\u008f\u0091-\u0097\u0099\u009a\u009c]/u.test(c)) {
      at = 'ground';
    } else if (c === '\u009d' || (at === 'escape' && c === ']')) {
      [at, held] = ['osc', ']'];
    } else if (c === '\u0090' || (at === 'escape' && c === 'P')) {
      [at, held] = ['dcs', 'P'];
    } else if (/[\u0098\u009e\u009f]/u.test(c) || (at === 'escape' && /[X^_]/u.test(c))) {
      at = 'ignored';
    } else if (at === 'escape') {
      at = /[\u0000-\u001f\u007f]/u.test(c) ? 'escape' : /[ -/]/u.test(c) ? 'other' : 'ground';
    } else if (at === 'other') {
      at = /[\u0000-/\u007f]/u.test(c) ? 'other' : 'ground';
    } else if (at === 'osc' || at === 'dcs') {
      held += c;
    }
  }
  return strings;
}
