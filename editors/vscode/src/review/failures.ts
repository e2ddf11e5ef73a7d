// What a person asked for: its failures, and its progress.
import * as vscode from 'vscode';
import { tell } from '../failures';
import type { Glue, OnProgress } from '../glue';
import * as messages from '../messages';

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
    void tell(glue, what, error, retry);
    return undefined;
  }
}

// withProgress shows a request's progress as a notification that can be cancelled.
export function withProgress<T>(
  title: string,
  work: (token: vscode.CancellationToken, onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
  return Promise.resolve(
    messages.progress(options, (progress, token) => {
      let done = 0;
      return work(token, (value) => {
        const to = value.percentage ?? done;
        progress.report({ message: value.message, increment: Math.max(0, to - done) });
        done = Math.max(done, to);
      });
    }),
  );
}
