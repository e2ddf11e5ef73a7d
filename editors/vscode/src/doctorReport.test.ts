import assert from 'node:assert/strict';
import { test } from 'node:test';
import { doctorReport } from './doctorReport';

test('The report begins with what does not work, and says what to do', () => {
  const report = doctorReport({
    ok: false,
    checks: [
      { name: 'git', status: 'ok', detail: '2.47' },
      { name: 'modal', status: 'warn', detail: 'no token', hint: 'modal token new' },
      { name: 'bubblewrap', status: 'fail', detail: 'not found', hint: 'apt install bubblewrap' },
    ],
  });
  const order = [
    'Does not work',
    'apt install bubblewrap',
    'Works in part',
    'modal token new',
    '## Works\n',
  ];
  const places = order.map((text) => report.indexOf(text));
  assert.ok(
    places.every((at) => at >= 0),
    report,
  );
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
});

test('What a program says is text in the report, not Markdown or an escape', () => {
  const detail = '[click](command:x) <img src=x> \u001b[31mred\n# heading';
  const report = doctorReport({ ok: true, checks: [{ name: 'a', status: 'ok', detail }] });
  assert.ok(report.includes('\\[click\\](command:x) \\<img src=x\\> red # heading'), report);
});
