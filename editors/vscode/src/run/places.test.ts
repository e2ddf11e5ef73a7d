import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidates, findPlaces, headerLine, runOfHeader } from './places';

for (const [line, file, at, column] of [
  ['\tcart_test.go:12: price is 3', 'cart_test.go', 12, 1],
  ['cart/cart.go:12:3: undefined: x', 'cart/cart.go', 12, 3],
  ['./cart.go:7:2: declared and not used', './cart.go', 7, 2],
  ['  File "/workspace/my shop/a.py", line 4, in total', '/workspace/my shop/a.py', 4, 1],
  ['    at total (/workspace/a.js:3:15)', '/workspace/a.js', 3, 15],
  ['    at file:///workspace/a.mjs:3:15', '///workspace/a.mjs', 3, 15],
  ['  --> src/main.rs:3:5', 'src/main.rs', 3, 5],
  ['src/a.ts(3,5): error TS1005', 'src/a.ts', 3, 5],
  ["/workspace/a.rb:3:in 'total'", '/workspace/a.rb', 3, 1],
  ['Makefile:2: *** missing separator.', 'Makefile', 2, 1],
] as const) {
  test(`A place is found in: ${line.trim()}`, () => {
    const [place, ...others] = findPlaces(line);
    assert.deepEqual(others, []);
    assert.equal(place?.file, file);
    assert.equal(place.line, at);
    assert.equal(place.column, column);
    assert.ok(line.slice(place.start, place.end).startsWith(file));
  });
}

test('What only looks like a place is none', () => {
  assert.deepEqual(findPlaces('::1:2 ...:3 a:b (12)'), []);
  assert.deepEqual(findPlaces('/:12'), []);
});

test('Hostile lines cost little', () => {
  const began = process.cpuUsage();
  for (const text of ['a', ':1', '(1', '", line 1', '/', 'a:1 ', '"']) {
    findPlaces(text.repeat(16 * 1024));
  }
  const { user } = process.cpuUsage(began);
  assert.ok(user < 2_000_000, `${user} µs`);
});

const where = { folder: '/home/me/shop', cwd: '/workspace', bases: ['', 'cart'] };

for (const [name, want] of [
  ['/workspace/cart/a.go', ['cart/a.go']],
  ['/workspace/../workspace/a.go', ['a.go']],
  ['///workspace/a.mjs', ['a.mjs']],
  ['/home/me/shop/a.go', ['a.go']],
  ['a.go', ['a.go', 'cart/a.go']],
  ['../a.go', ['a.go']],
  ['/etc/passwd', []],
  ['/workspace', []],
  ['/workspace/../etc/passwd', []],
  ['/workspace2/a.go', []],
  ['../../etc/passwd', []],
  ['/home/me/shop/../secret', []],
  ['a\0.go', []],
  ['..a/b.go', ['..a/b.go', 'cart/..a/b.go']],
] as const) {
  test(`${JSON.stringify(name)} means ${want.length} files of the folder`, () => {
    assert.deepEqual(candidates(name, where), want);
  });
}

test('The line above a run tells which one it is', () => {
  assert.equal(runOfHeader(headerLine(12, 'make test')), 12);
  assert.equal(runOfHeader('make test'), undefined);
});
