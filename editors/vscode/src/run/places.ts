// Finds places in files that a command's output names, such as "cart/cart.go:12:3", and
// tells which file of the host's folder is meant. Output is hostile: the work is bounded
// by its length, and nothing outside of the folder is ever meant.
import * as path from 'node:path';

export interface Place {
  start: number; // offsets in the line
  end: number;
  file: string; // as it stands in the output
  line: number; // from 1
  column: number; // from 1; 1 where none is named
}

const longestName = 512;
const mostPerLine = 50;

const colons = /:(\d{1,7})(?::(\d{1,7}))?(?!\d)/gu;
const parentheses = /\((\d{1,7})(?:,(\d{1,7}))?\)/gu;
const python = /", line (\d{1,7})/gu;
const ends = new Set(' \t"\'`<>|*?()[]{},;=:');

export function findPlaces(line: string): Place[] {
  const out: Place[] = [];
  const add = (start: number, end: number, nameEnd: number, m: RegExpMatchArray): void => {
    const file = line.slice(start, nameEnd);
    if (/[^./]/u.test(file)) {
      out.push({ start, end, file, line: Number(m[1]), column: Number(m[2] ?? '1') });
    }
  };
  for (const m of line.matchAll(python)) {
    const open = line.lastIndexOf('"', m.index - 1);
    if (open >= 0 && m.index - open <= longestName) {
      add(open + 1, m.index + m[0].length, m.index, m);
    }
  }
  for (const pattern of [colons, parentheses]) {
    for (const m of line.matchAll(pattern)) {
      if (out.length >= mostPerLine) {
        return out;
      }
      add(nameStart(line, m.index), m.index + m[0].length, m.index, m);
    }
  }
  return out;
}

// nameStart walks back from the end of a name to its beginning.
function nameStart(line: string, end: number): number {
  let at = end;
  while (at > 0 && end - at < longestName && !ends.has(line.charAt(at - 1))) {
    at--;
  }
  return at;
}

export interface Where {
  // The host's folder, and the place of its twin in the sandbox.
  folder: string;
  cwd: string;
  // Folders, relative to the host's, that relative names may begin from.
  bases: readonly string[];
}

// candidates are the files, relative to the folder, that a name may mean.
export function candidates(name: string, where: Where): string[] {
  if (name.includes('\0')) {
    return [];
  }
  const clean = name.replace(/^\/\/+/u, '/'); // of file:///…
  if (!clean.startsWith('/')) {
    return [...new Set(where.bases.map((base) => path.posix.join(base, clean)))].filter(isInside);
  }
  for (const root of [where.cwd, where.folder]) {
    const relative = path.posix.relative(root, path.posix.normalize(clean));
    if (isInside(relative)) {
      return [relative];
    }
  }
  return [];
}

function isInside(relative: string): boolean {
  return relative !== '' && relative !== '.' && !/^\.\.(?:\/|$)/u.test(relative);
}

const header = /^▶ \[(\d{1,9})\] /u;

// headerLine begins a run in the channel. Its number tells the run, and so the folder from
// which names are meant; whatever imitates it can only choose another folder inside.
export function headerLine(run: number, title: string): string {
  return `▶ [${run}] ${title}`;
}

export function runOfHeader(line: string): number | undefined {
  const m = header.exec(line);
  return m === null ? undefined : Number(m[1]);
}
