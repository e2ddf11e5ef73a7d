// What a person is told when a command has ended.
import * as vscode from 'vscode';
import { usableFolders } from '../folders';
import type { Glue } from '../glue';
import * as messages from '../messages';
import type { ExecResult, SessionInfo } from '../protocol';
import { isOpen, sameFolder, stateKey } from '../sessions';
import { count } from '../words';
import { plainLine } from './clean';

const showMs = 10_000;
const checkpointWithinMs = 120_000;

export function exitText(r: ExecResult): string {
  const took = `after ${(r.durationMs / 1000).toFixed(1)} s`;
  if (r.timedOut) {
    return `ended by its time limit ${took}`;
  }
  const signal = r.signal === undefined ? '' : ` (${plainLine(r.signal, 20)})`;
  return `exit status ${r.exitCode}${signal} ${took}`;
}

export async function tellExit(
  job: { title: string },
  r: ExecResult,
  again: () => Promise<unknown>,
): Promise<void> {
  const text = `${plainLine(job.title, 80)}: ${exitText(r)}`;
  if (r.exitCode === 0) {
    messages.statusMessage(`$(check) ${text}`, showMs);
    return;
  }
  const show = 'Show Output';
  const repeat = 'Run Again';
  const chosen = await messages.warn(text, show, repeat);
  if (chosen === show) {
    await vscode.commands.executeCommand('glue.showOutput');
  } else if (chosen === repeat) {
    await again();
  }
}

// offerLog opens the whole output where the channel has only a part of it.
export async function offerLog(execId: string): Promise<void> {
  const open = 'Open Whole Output';
  const chosen = await messages.info('The output is longer than what the channel shows.', open);
  if (chosen === open) {
    await vscode.commands.executeCommand('glue.showOutput', { execId });
  }
}

// Sessions about whose changes a question is open; there is one at a time for each.
export const asking = new Set<string>();

// offerChanges waits until what a command changed is stored on this machine, and asks what
// shall become of it.
export async function offerChanges(
  glue: Glue,
  before: SessionInfo,
  result: ExecResult,
): Promise<void> {
  const info = await stored(glue, before.id, result.checkpoint);
  const changed = info?.checkpoint.changedFiles ?? 0;
  if (info === undefined || changed === 0 || asking.has(stateKey(info))) {
    return;
  }
  if (info.checkpoint.commit === before.checkpoint.commit) {
    return; // nothing new
  }
  asking.add(stateKey(info));
  try {
    const review = 'Review';
    const take = 'Return';
    const chosen = await messages.info(
      `The sandbox${amongOthers(info)} has ${files(changed)} to return.`,
      review,
      take,
      'Later',
    );
    if (chosen === review) {
      await vscode.commands.executeCommand('glue.review', { session: info.id });
    } else if (chosen === take) {
      await vscode.commands.executeCommand('glue.session.return', { session: info.id });
    }
  } finally {
    asking.delete(stateKey(info));
  }
}

// amongOthers names the folder of a session where several are open.
function amongOthers(info: SessionInfo): string {
  const folders = usableFolders();
  const own = folders.find((folder) => sameFolder(info, folder.uri));
  return own === undefined || folders.length === 1 ? '' : ` of ${own.name}`;
}

export function files(n: number): string {
  return count(n, 'changed file');
}

// stored gives the session once the checkpoint is announced; nothing when it takes too
// long or the session is gone, whose changes are offered in another way.
function stored(glue: Glue, id: string, seq: number): Promise<SessionInfo | undefined> {
  return new Promise((resolve) => {
    const finish = (info: SessionInfo | undefined): void => {
      clearTimeout(timer);
      listening.dispose();
      resolve(info);
    };
    const look = (): void => {
      const info = glue.sessions.get(id);
      if (info === undefined || !isOpen(info)) {
        finish(undefined);
      } else if (info.checkpoint.seq >= seq) {
        finish(info);
      }
    };
    const timer = setTimeout(() => {
      finish(undefined);
    }, checkpointWithinMs);
    const listening = glue.sessions.onDidChange(look);
    look();
  });
}
