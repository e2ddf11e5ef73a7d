import type { Conflict, FileChange } from '../protocol';

// The groups of changes in the order in which they are shown.
export const GROUPS = ['conflicts', 'open', 'build', 'changes', 'outside'] as const;
export type GroupId = (typeof GROUPS)[number];

// Sorts changes into groups; each stands in the first that fits.
export function group(
  files: readonly FileChange[],
  conflicts: readonly Conflict[],
): Record<GroupId, FileChange[]> {
  const out: Record<GroupId, FileChange[]> = {
    conflicts: [],
    open: [],
    build: [],
    changes: [],
    outside: [],
  };
  // What is only held back conflicts with nothing, so that there is no side to choose.
  const real = conflicts.filter((c) => c.held !== true);
  const inConflict = new Set(real.map(keyOf));
  for (const file of files) {
    out[groupOf(file, inConflict)].push(file);
  }
  const listed = new Set(files.map(keyOf));
  for (const conflict of real) {
    // Both sides may have come to it by different names, so that it is no change by its own.
    if (!listed.has(keyOf(conflict))) {
      const { path, pathBytes } = conflict;
      out.conflicts.push({
        path,
        pathBytes,
        status: 'modified',
        kind: conflict.kind === 'binary' ? 'binary' : 'text',
      });
    }
  }
  return out;
}

function groupOf(file: FileChange, inConflict: Set<string>): GroupId {
  if (inConflict.has(keyOf(file))) return 'conflicts';
  if (file.acts?.when === 'open') return 'open';
  if (file.acts?.when === 'build') return 'build';
  return file.outsideWorkspace === true ? 'outside' : 'changes';
}

// Tells paths apart, also those that look the same.
export function keyOf(file: { path: string; pathBytes?: string }): string {
  return file.pathBytes === undefined ? file.path : `\0${file.pathBytes}`;
}

// The largest number of files that a multi-diff editor is opened with.
export const PAGE = 300;

// What one page of the multi-diff editor shows, and what it cannot.
export interface Page {
  texts: FileChange[];
  others: FileChange[]; // binaries, links, modes
  number: number; // from 1
  count: number;
}

// Divides changes into pages for the multi-diff editor, which shows texts only.
export function pages(files: readonly FileChange[], size = PAGE): Page[] {
  const texts = files.filter(isShownAsText);
  const others = files.filter((file) => !isShownAsText(file));
  const count = Math.max(1, Math.ceil(texts.length / size));
  const out: Page[] = [];
  for (let i = 0; i < count; i++) {
    out.push({
      texts: texts.slice(i * size, (i + 1) * size),
      others: i === 0 ? others : [],
      number: i + 1,
      count,
    });
  }
  return out;
}

// Whether a difference of texts says all there is to say about a change.
export function isShownAsText(file: FileChange): boolean {
  return file.kind === 'text' && file.status !== 'mode' && file.status !== 'type';
}

// Gives the changes of which a person may not know without looking: a list of names says
// nothing of them, and a difference of texts not all.
export function notSeenAsText(files: readonly FileChange[]): FileChange[] {
  return files.filter(
    (f) =>
      !isShownAsText(f) ||
      f.status === 'deleted' ||
      (f.oldMode !== undefined &&
        f.newMode !== undefined &&
        f.oldMode !== f.newMode &&
        f.status !== 'added'),
  );
}
