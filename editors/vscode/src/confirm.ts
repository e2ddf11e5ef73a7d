// Requests that send the editor's tree first. The server takes it for a mistake when most of
// a folder is gone, as after another branch was checked out, and wants to be told that it
// is meant.
import * as vscode from 'vscode';
import type { Glue } from './glue';
import { warn } from './messages';
import { failureOf } from './protocol';

// StillInSandbox is that the person did not want the sandbox to lose the files too.
export class StillInSandbox extends vscode.CancellationError {
  override readonly message =
    'Nothing was sent: the sandbox keeps its files, and this folder is as it was.';
}

// confirming does work; where the server wants to know first whether files that are gone
// here shall go in the sandbox too, the person is asked, and work is done again.
export async function confirming<T>(
  glue: Glue,
  work: () => Promise<T>,
  token?: vscode.CancellationToken,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const session = sessionToAskFor(error);
    if (session === undefined) {
      throw error;
    }
    if (!(await askDelete(error))) {
      throw new StillInSandbox();
    }
    await glue.request('glue/session/sync', { session, allowMassDelete: true }, token);
  }
  return confirming(glue, work, token);
}

function sessionToAskFor(error: unknown): string | undefined {
  const failure = failureOf(error);
  return failure?.kind === 'needsConfirmation' && failure.operation === 'sync'
    ? failure.session
    : undefined;
}

async function askDelete(error: unknown): Promise<boolean> {
  const yes = 'Delete in Sandbox';
  const chosen = await warn(
    'Most files of this folder are gone since the sandbox was last told. Delete them in the sandbox too?',
    { modal: true, detail: detailOf(error) },
    yes,
  );
  return chosen === yes;
}

// detailOf is the server's message, which has the numbers, as a sentence.
function detailOf(error: unknown): string {
  const said = error instanceof Error ? error.message.replace(/^sync: /u, '') : '';
  return `${said.charAt(0).toUpperCase()}${said.slice(1)}. To run on a new sandbox instead, close this one.`;
}
