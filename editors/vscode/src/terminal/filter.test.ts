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
