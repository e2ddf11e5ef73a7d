// What a person is asked before something is done, always by the names of the files.
import * as messages from '../messages';
import type { ExecInfo, FileChange } from '../protocol';
import { count } from '../words';
import { describeChange } from './diff';

const maxListed = 12;

function list(lines: readonly string[]): string {
  const shown = lines.slice(0, maxListed);
  if (lines.length > maxListed) {
    shown.push(`… and ${String(lines.length - maxListed)} more`);
  }
  return shown.join('\n');
}

// Answers to a question before a return; 'look' is to show the changes instead.
export type Answer = 'yes' | 'no' | 'look' | undefined;

// askActing asks about files that act by themselves as soon as the folder is opened: yes
// brings them too, no leaves them out.
export async function askActing(files: readonly FileChange[], others: boolean): Promise<Answer> {
  const one = files.length === 1;
  const deleted = files[0]?.status === 'deleted';
  const named = `${files[0]?.path ?? ''} can run programs by itself when this folder is opened`;
  const text = !one
    ? `${count(files.length, 'file')} can run programs by themselves when this folder is opened. Return them?`
    : deleted
      ? `${named}, and was deleted in the sandbox. Delete it here?`
      : `${named}. Return it?`;
  const detail = list(
    files.map(
      (f) => `${f.path}${f.status === 'deleted' ? ' (deleted)' : ''}: ${f.acts?.why ?? ''}`,
    ),
  );
  // The first button is the one that Enter presses: never the one that can do harm.
  const answers: Record<string, Answer> = others
    ? { 'Return the Others': 'no', [one ? 'Return It Too' : 'Return Them Too']: 'yes' }
    : { 'Look at It First': 'look', [one ? 'Return It' : 'Return Them']: 'yes' };
  return choose(text, detail, answers);
}

export async function askMassDelete(deleted: readonly FileChange[]): Promise<Answer> {
  const text = `The sandbox deleted most of the files of this folder. Delete ${count(deleted.length, 'file')} here too?`;
  return choose(text, list(deleted.map((f) => f.path)), {
    'Look at It First': 'look',
    [`Delete ${count(deleted.length, 'File')}`]: 'yes',
  });
}

// askUnseen names what a difference of texts does not show before it comes back, alone or
// with changes of texts.
export async function askUnseen(files: readonly FileChange[], more: boolean): Promise<Answer> {
  const one = files.length === 1;
  const lines = files.map((f) => `${f.path} (${describeChange(f)})`);
  const what = one ? (lines[0] ?? '') : count(files.length, 'file');
  const text = more
    ? `Besides text, the sandbox changed ${what}. Return it all?`
    : `The sandbox changed more than text: ${what}. Return ${one ? 'it' : 'them'}?`;
  return choose(text, one ? '' : list(lines), { Review: 'look', Return: 'yes' });
}

async function choose(
  text: string,
  detail: string,
  answers: Record<string, Answer>,
): Promise<Answer> {
  const buttons = Object.keys(answers);
  const chosen = await messages.warn(text, { modal: true, detail }, ...buttons);
  return chosen === undefined ? undefined : answers[chosen];
}

export async function askDiscard(files: readonly FileChange[], closes: boolean): Promise<boolean> {
  const yes = files.length === 1 ? 'Discard Change' : `Discard ${String(files.length)} Changes`;
  const text =
    files.length === 1
      ? `Discard what the sandbox did to ${files[0]?.path ?? ''}?`
      : `Discard what the sandbox did to ${count(files.length, 'file')}?`;
  const more =
    'Your own files are not touched. These changes will not be offered again.' +
    (closes ? ' The sandbox is closed then.' : '');
  const detail = files.length === 1 ? more : `${more}\n\n${list(files.map((f) => f.path))}`;
  return (await messages.warn(text, { modal: true, detail }, yes)) === yes;
}

export type CloseChoice = 'return' | 'keep' | 'discard' | 'close';

// askClose asks what becomes of changes and of commands that run when a sandbox ends.
export async function askClose(
  files: readonly FileChange[],
  running: readonly ExecInfo[],
): Promise<CloseChoice | undefined> {
  const ends =
    running.length === 0
      ? ''
      : `Still running, and ended by this:\n${list(running.map((e) => e.command))}`;
  if (files.length === 0) {
    const close = 'Close';
    const chosen = await messages.warn('Close the sandbox?', { modal: true, detail: ends }, close);
    return chosen === close ? 'close' : undefined;
  }
  const choices: Record<string, CloseChoice> = {
    'Return & Close': 'return',
    'Keep for Later': 'keep',
    [files.length === 1 ? 'Discard It…' : `Discard ${String(files.length)}…`]: 'discard',
  };
  const text = `The sandbox has ${count(files.length, 'changed file')} that did not come back.`;
  const detail = [list(files.map((f) => f.path)), ends].filter((part) => part !== '').join('\n\n');
  const chosen = await messages.warn(text, { modal: true, detail }, ...Object.keys(choices));
  return chosen === undefined ? undefined : choices[chosen];
}

// askRest asks whether a sandbox shall end although not all of it came back.
export async function askRest(left: readonly FileChange[]): Promise<boolean> {
  const close = 'Close, Keep Them';
  const text = `${count(left.length, 'changed file')} did not come back. Close the sandbox all the same?`;
  const detail = `${list(left.map((f) => f.path))}\n\nThey are kept and can be returned later.`;
  return (await messages.warn(text, { modal: true, detail }, close)) === close;
}
