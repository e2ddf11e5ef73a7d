// Tells a person what went wrong, with the buttons that help.
import * as vscode from 'vscode';
import type { Glue } from './glue';
import * as messages from './messages';
import type { FailureKind } from './protocol';
import { CutOffError, detailsOf, explain, failureOf, isCancelled } from './protocol';
import { ToldError } from './server/lifecycle';
import { sentence } from './words';

interface Help {
  title: string;
  press: () => unknown;
}

const log = help('Show Log', 'glue.showLog');
const doctor = help('Check What Is Missing', 'glue.doctor');
const sandboxes = help('Show Sandboxes', 'glue.session.list');
const trust = help('Manage Trust', 'workbench.trust.manage');
const runners = help('Open Settings', 'workbench.action.openSettings', 'glue.runners');

const helps: Partial<Record<FailureKind, Help>> = {
  runtimeUnavailable: doctor,
  notAuthenticated: doctor,
  // What a sandbox that is gone had changed is in the list.
  sessionLost: sandboxes,
  executorDead: sandboxes,
  noSuchSession: sandboxes,
  untrusted: trust,
};

// What may go better the next time.
const passing: readonly FailureKind[] = [
  'conflict',
  'sessionBusy',
  'timeout',
  'unavailable',
  'runtimeUnavailable',
  'noSpace',
  'permissionDenied',
];

function help(title: string, command: string, ...args: unknown[]): Help {
  return { title, press: () => vscode.commands.executeCommand(command, ...args) };
}

// isTold reports whether there is nothing more to say of an error: the person cancelled
// it, or knows of it.
function isTold(error: unknown): boolean {
  return (
    isCancelled(error) || error instanceof ToldError || error instanceof vscode.CancellationError
  );
}

// tell shows an error under what was being done, and logs it; "Try Again" does retry. Errors
// that are told are not shown again.
export async function tell(
  glue: Glue,
  doing: string,
  error: unknown,
  retry?: () => unknown,
): Promise<void> {
  if (isTold(error)) {
    return;
  }
  glue.log.error(`${doing}: ${detailsOf(error)}`);
  const buttons = buttonsFor(error, retry);
  const text = `${doing}: ${sentence(explain(error))}`;
  const chosen = await messages.error(text, ...buttons.map((b) => b.title));
  await buttons.find((b) => b.title === chosen)?.press();
}

function buttonsFor(error: unknown, retry: (() => unknown) | undefined): Help[] {
  const failure = failureOf(error);
  const buttons: Help[] = [];
  const passes =
    error instanceof CutOffError || (failure !== undefined && passing.includes(failure.kind));
  if (passes && retry !== undefined) {
    buttons.push({ title: 'Try Again', press: retry });
  }
  const known = failure && helps[failure.kind];
  if (known !== undefined) {
    buttons.push(known);
  }
  // Of what cannot be done at all, only a kind of file without a runner is a setting.
  if (failure?.kind === 'unsupported' && failure.operation.startsWith('run ')) {
    buttons.push(runners);
  }
  return [...buttons, log];
}
