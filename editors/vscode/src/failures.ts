// Tells a person what went wrong, with the button that helps.
import * as vscode from 'vscode';
import type { FailureKind } from './protocol';
import { explain, failureOf, isCancelled } from './protocol';
import { ToldError } from './server/supervisor';

interface Help {
  title: string;
  command: string;
  args?: unknown[];
}

const log: Help = { title: 'Show Log', command: 'glue.showLog' };
const doctor: Help = { title: 'Check What Is Missing', command: 'glue.doctor' };

const help: Partial<Record<FailureKind, Help[]>> = {
  runtimeUnavailable: [doctor, log],
  notAuthenticated: [doctor, log],
  sessionLost: [{ title: 'Show Sandboxes', command: 'glue.session.list' }, log],
  executorDead: [{ title: 'Show Sandboxes', command: 'glue.session.list' }, log],
  untrusted: [{ title: 'Manage Trust', command: 'workbench.trust.manage' }],
  unsupported: [
    { title: 'Open Settings', command: 'workbench.action.openSettings', args: ['glue.runners'] },
  ],
};

// tell shows an error under what was being done. What a person cancelled, and what they
// were told of already, is not shown.
export async function tell(doing: string, error: unknown): Promise<void> {
  if (
    isCancelled(error) ||
    error instanceof ToldError ||
    error instanceof vscode.CancellationError
  ) {
    return;
  }
  const kind = failureOf(error)?.kind;
  const buttons = (kind === undefined ? undefined : help[kind]) ?? [log];
  const titles = buttons.map((b) => b.title);
  const chosen = await vscode.window.showErrorMessage(`${doing}: ${explain(error)}`, ...titles);
  const button = buttons.find((b) => b.title === chosen);
  if (button !== undefined) {
    await vscode.commands.executeCommand(button.command, ...(button.args ?? []));
  }
}
