// Failures of what a person asked for, with the button that helps.
import * as vscode from 'vscode';
import type { Glue, OnProgress } from '../glue';
import { explain, failureOf, isCancelled } from '../protocol';
import { ToldError } from '../server/supervisor';
import { sentence } from './outcome';

// attempt does something for a person and shows how it failed; undefined if it did.
// retry is what "Try Again" does.
export async function attempt<T>(
  glue: Glue,
  what: string,
  work: () => Promise<T>,
  retry?: () => unknown,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (
      isCancelled(error) ||
      error instanceof vscode.CancellationError ||
      error instanceof ToldError
    ) {
      return undefined;
    }
    glue.log.error(`${what}: ${explain(error)}`);
    void tell(glue, what, error, retry);
    return undefined;
  }
}

async function tell(
  glue: Glue,
  what: string,
  error: unknown,
  retry?: () => unknown,
): Promise<void> {
  const buttons: Button[] = [];
  switch (failureOf(error)?.kind) {
    case 'conflict':
    case 'sessionBusy':
    case 'timeout':
    case 'unavailable':
    case 'runtimeUnavailable':
    case 'noSpace':
    case 'permissionDenied':
      if (retry !== undefined) {
        buttons.push({ title: 'Try Again', press: retry });
      }
      break;
    case 'executorDead':
    case 'sessionLost':
    case 'noSuchSession':
      buttons.push({
        title: 'Show Changes That Are Kept',
        press: () => vscode.commands.executeCommand('workbench.view.scm'),
      });
      break;
    case 'untrusted':
      buttons.push({
        title: 'Manage Trust',
        press: () => vscode.commands.executeCommand('workbench.trust.manage'),
      });
      break;
    case 'notAuthenticated':
      buttons.push({
        title: 'Check Setup',
        press: () => vscode.commands.executeCommand('glue.doctor'),
      });
      break;
    default:
      break;
  }
  buttons.push({
    title: 'Show Log',
    press: () => {
      glue.log.show(true);
    },
  });
  const text = `${what}: ${sentence(explain(error))}`;
  const chosen = await vscode.window.showErrorMessage(text, ...buttons.map((b) => b.title));
  await buttons.find((b) => b.title === chosen)?.press();
}

interface Button {
  title: string;
  press: () => unknown;
}

// withProgress shows a request's progress as a notification that can be cancelled.
export function withProgress<T>(
  title: string,
  work: (token: vscode.CancellationToken, onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
  return Promise.resolve(
    vscode.window.withProgress(options, (progress, token) => {
      let done = 0;
      return work(token, (value) => {
        const to = value.percentage ?? done;
        progress.report({ message: value.message, increment: Math.max(0, to - done) });
        done = Math.max(done, to);
      });
    }),
  );
}
