// What a person is told after a return.
import type { FileChange, ReturnResult } from '../protocol';
import { count, sentence } from '../words';
import { keyOf } from './groups';

export interface Outcome {
  severity: 'info' | 'warning';
  text: string;
  // What can be done about it, in the order of the buttons.
  actions: Action[];
}

export type Action = 'undo' | 'resolve' | 'review' | 'patches';

// What is known besides the server's answer.
export interface Circumstances {
  // The changes that are still to be returned after it.
  remaining: readonly FileChange[];
  // Files by their names, see Aftermath.
  unsaved: readonly string[];
  notSaved: readonly string[];
  rewritten: readonly string[];
}

const maxNamed = 5;

// returned gives the changes that really came back.
export function returned(result: ReturnResult, remaining: readonly FileChange[]): FileChange[] {
  const out = new Set([...result.skipped, ...result.declined, ...result.conflicts].map(keyOf));
  if (!result.applied) {
    for (const file of remaining) {
      out.add(keyOf(file));
    }
  }
  return result.files.filter((file) => !out.has(keyOf(file)));
}

// describeReturn puts a return into words.
export function describeReturn(result: ReturnResult, more: Circumstances): Outcome {
  const parts: string[] = [];
  const actions: Action[] = [];
  let severity: Outcome['severity'] = 'info';
  const back = result.branch === undefined ? returned(result, more.remaining) : [];
  const left = result.files.length - back.length;

  if (result.branch !== undefined) {
    parts.push(`The changes are on the branch ${result.branch}; no file was touched.`);
  } else if (back.length > 0) {
    parts.push(`Returned ${count(back.length, 'file')}${where(result, back)}.`);
    actions.push('undo');
  } else if (left === 0 && result.conflicts.length === 0 && result.skipped.length === 0) {
    parts.push('There is nothing to return.');
  } else {
    parts.push('Nothing was returned.');
    severity = 'warning';
  }
  if (more.unsaved.length > 0) {
    parts.push(`Not saved, because it held unsaved text of yours: ${some(more.unsaved)}.`);
  }
  const held = result.conflicts.filter((c) => c.held === true);
  const conflicts = result.conflicts.filter((c) => c.held !== true);
  if (conflicts.length > 0) {
    severity = 'warning';
    parts.push(`Changed on both sides: ${some(conflicts.map((c) => c.path))}.`);
    actions.push('resolve');
  }
  if (held.length > 0) {
    severity = 'warning';
    parts.push(`Not returned: ${some(held.map((c) => `${c.path} (${c.detail})`))}.`);
  }
  if (result.skipped.length > 0) {
    severity = 'warning';
    parts.push(`Left out: ${some(result.skipped.map((s) => `${s.path} (${s.reason})`))}.`);
  }
  if (result.declined.length > 0) {
    parts.push(`Declined: ${some(result.declined.map((f) => f.path))}.`);
  }
  const open = new Set([...result.skipped, ...result.declined, ...result.conflicts].map(keyOf));
  const notApplied =
    result.branch === undefined
      ? result.files.filter((f) => !back.includes(f) && !open.has(keyOf(f)))
      : [];
  if (notApplied.length > 0) {
    severity = 'warning';
    parts.push(`Not applied, still in the sandbox: ${some(notApplied.map((f) => f.path))}.`);
    actions.push('review');
  }
  const saving = describeSaving(more.notSaved, more.rewritten);
  if (saving.length > 0) {
    severity = 'warning';
    parts.push(...saving);
  }
  if (result.unavailable !== undefined) {
    severity = 'warning';
    const { message, recovered } = result.unavailable;
    const instead =
      recovered === undefined ? '' : ` Checkpoint ${String(recovered.seq)} was returned instead.`;
    parts.push(sentence(message) + instead);
  }
  if (result.mbox !== null) {
    actions.push('patches');
  }
  return { severity, text: parts.join(' '), actions };
}

// describeSaving says where an edit's files are not on the disk as the edit made them.
export function describeSaving(
  notSaved: readonly string[],
  rewritten: readonly string[],
): string[] {
  const parts: string[] = [];
  if (notSaved.length > 0) {
    parts.push(`Could not be saved, the change is in the editor only: ${some(notSaved)}.`);
  }
  if (rewritten.length > 0) {
    parts.push(`Saving changed more than the edit did: ${some(rewritten)}.`);
  }
  return parts;
}

// describeUndo puts the undo of a return into words.
export function describeUndo(result: ReturnResult, saving: readonly string[] = []): Outcome {
  const open = new Set([...result.skipped, ...result.conflicts].map(keyOf));
  const back = result.files.filter((f) => !open.has(keyOf(f)));
  const parts =
    back.length > 0 && result.applied
      ? [`Took ${count(back.length, 'file')} back; the sandbox still has the changes.`]
      : ['Nothing was taken back.'];
  let severity: Outcome['severity'] = result.applied ? 'info' : 'warning';
  const stay = [
    ...result.conflicts.map((c) => `${c.path} (${c.detail})`),
    ...result.skipped.map((s) => `${s.path} (${s.reason})`),
  ];
  if (stay.length > 0) {
    severity = 'warning';
    parts.push(`Left as it is: ${some(stay)}.`);
  }
  if (saving.length > 0) {
    severity = 'warning';
    parts.push(...saving);
  }
  return { severity, text: parts.join(' '), actions: back.length > 0 ? ['review'] : [] };
}

// where says how many went to disk, where that is not all or none.
function where(result: ReturnResult, back: readonly FileChange[]): string {
  const disk = new Set(result.disk.map(keyOf));
  const written = back.filter((f) => disk.has(keyOf(f))).length;
  if (written === 0) {
    return '';
  }
  return written === back.length
    ? ', written to disk'
    : ` (${String(written)} written to disk, ${String(back.length - written)} edited in the editor)`;
}

// some names the first few of many.
export function some(names: readonly string[]): string {
  const shown = names.slice(0, maxNamed);
  if (names.length > maxNamed) {
    shown.push(`and ${String(names.length - maxNamed)} more`);
  }
  return shown.join(', ');
}
