// A three-way merge of lines with conflict markers. VS Code's merge editor takes a file
// with markers as one that is still to be merged, and does by itself all but the
// conflicts; where that editor is missing, a person edits the markers.

// A part of a merge: lines that are settled, or both sides' versions of a conflict.
export type Part = { lines: string[] } | { mine: string[]; base: string[]; theirs: string[] };

export interface Labels {
  mine: string;
  theirs: string;
}

// Merges two changes of base. Lines keep their line ends; what differs in nothing is settled.
export function merge3(base: string, mine: string, theirs: string): Part[] {
  const o = lines(base);
  const a = lines(mine);
  const b = lines(theirs);
  const inMine = matches(o, a);
  const inTheirs = matches(o, b);
  const parts: Part[] = [];
  let at = { o: 0, a: 0, b: 0 };
  for (;;) {
    // Lines that all three hold.
    let same = 0;
    while (
      at.o + same < o.length &&
      index(inMine, at.o + same) === at.a + same &&
      index(inTheirs, at.o + same) === at.b + same
    )
      same++;
    settled(parts, o.slice(at.o, at.o + same));
    at = { o: at.o + same, a: at.a + same, b: at.b + same };
    if (at.o >= o.length && at.a >= a.length && at.b >= b.length) return parts;
    // Up to the next line that all three hold.
    let next = at.o;
    while (next < o.length && (index(inMine, next) < 0 || index(inTheirs, next) < 0)) next++;
    const end =
      next < o.length
        ? { o: next, a: index(inMine, next), b: index(inTheirs, next) }
        : { o: o.length, a: a.length, b: b.length };
    choose(parts, o.slice(at.o, end.o), a.slice(at.a, end.a), b.slice(at.b, end.b));
    at = end;
  }
}

// Writes a merge with markers around its conflicts.
export function withMarkers(parts: readonly Part[], labels: Labels): string {
  const all = parts.flatMap((part) =>
    'lines' in part ? part.lines : [...part.mine, ...part.theirs],
  );
  const eol = all.some((line) => line.endsWith('\r\n')) ? '\r\n' : '\n';
  const whole = (block: string[]) =>
    block.map((line) => (line.endsWith('\n') ? line : line + eol)).join('');
  return parts
    .map((part) =>
      'lines' in part
        ? part.lines.join('')
        : `<<<<<<< ${labels.mine}${eol}${whole(part.mine)}=======${eol}${whole(part.theirs)}>>>>>>> ${labels.theirs}${eol}`,
    )
    .join('');
}

// Whether a text still holds a marker that withMarkers wrote.
export function hasMarkers(text: string): boolean {
  return /^(<<<<<<< |>>>>>>> )/m.test(text);
}

// Counts the conflicts at which a merge holds the text from before both changes: the merge
// editor leaves that where nothing was chosen.
export function untouched(parts: readonly Part[], merged: string): number {
  const result = lines(merged.replace(/\r\n/g, '\n'));
  const plain = (block: string[]) => block.map((line) => line.replace(/\r\n$/, '\n'));
  const start = parts.flatMap((part) => plain('lines' in part ? part.lines : part.base));
  const found = matches(start, result);
  let count = 0;
  let at = 0;
  for (const part of parts) {
    const length = 'lines' in part ? part.lines.length : part.base.length;
    if (!('lines' in part)) {
      const from = at === 0 ? 0 : index(found, at - 1) + 1;
      const to = at + length < start.length ? index(found, at + length) : result.length;
      const known = (at === 0 || from > 0) && to >= 0;
      if (known && plain(part.base).join('') === result.slice(from, to).join('')) count++;
    }
    at += length;
  }
  return count;
}

function choose(parts: Part[], base: string[], mine: string[], theirs: string[]): void {
  const o = base.join('');
  const a = mine.join('');
  const b = theirs.join('');
  if (a === b || b === o) settled(parts, mine);
  else if (a === o) settled(parts, theirs);
  else parts.push({ mine, base, theirs });
}

function settled(parts: Part[], block: string[]): void {
  if (block.length === 0) return;
  const last = parts.at(-1);
  if (last !== undefined && 'lines' in last) last.lines.push(...block);
  else parts.push({ lines: [...block] });
}

function lines(text: string): string[] {
  return text === '' ? [] : text.split(/(?<=\n)/);
}

// Gives for each line of one text the line of the other that it is, or -1.
function matches(from: string[], to: string[]): number[] {
  const out = new Array<number>(from.length).fill(-1);
  let head = 0;
  while (head < from.length && head < to.length && from[head] === to[head]) out[head] = head++;
  let tail = 0;
  while (
    tail < Math.min(from.length, to.length) - head &&
    from[from.length - 1 - tail] === to[to.length - 1 - tail]
  ) {
    out[from.length - 1 - tail] = to.length - 1 - tail;
    tail++;
  }
  for (const [x, y] of shortestEdit(
    from.slice(head, from.length - tail),
    to.slice(head, to.length - tail),
  )) {
    out[head + x] = head + y;
  }
  return out;
}

function index(matched: number[], line: number): number {
  return matched[line] ?? -1;
}

// The most line edits that are looked for; beyond, texts count as different throughout.
const MAX_EDITS = 2000;

// Pairs of equal lines by Myers' greedy algorithm (An O(ND) Difference Algorithm, 1986).
function shortestEdit(a: string[], b: string[]): [number, number][] {
  const max = Math.min(a.length + b.length, MAX_EDITS);
  const reach = new Map<number, number>([[1, 0]]);
  const trace: Map<number, number>[] = [];
  for (let d = 0; d <= max; d++) {
    trace.push(new Map(reach));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
      let x = down ? (reach.get(k + 1) ?? 0) : (reach.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reach.set(k, x);
      if (x >= a.length && x - k >= b.length) return pairs(trace, a.length, b.length);
    }
  }
  return [];
}

function pairs(trace: Map<number, number>[], n: number, m: number): [number, number][] {
  const out: [number, number][] = [];
  let x = n;
  let y = m;
  for (let d = trace.length - 1; d >= 0; d--) {
    const reach = trace[d] ?? new Map<number, number>();
    const k = x - y;
    const down = k === -d || (k !== d && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
    const from = down ? k + 1 : k - 1;
    const startX = d === 0 ? 0 : (reach.get(from) ?? 0);
    const startY = d === 0 ? 0 : startX - from;
    while (x > startX && y > startY && x > 0 && y > 0) {
      x--;
      y--;
      out.push([x, y]);
    }
    if (d > 0) {
      x = startX;
      y = startY;
    }
  }
  return out.reverse();
}
