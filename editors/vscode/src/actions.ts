// The menu behind the status item: everything that can be done now.
import * as vscode from 'vscode';
import { usableFolders } from './folders';
import type { Glue } from './glue';
import * as messages from './messages';
import type { Runner } from './run/runner';

interface Action extends vscode.QuickPickItem {
  command: string;
}

export function registerActions(glue: Glue, runner: Runner): void {
  glue.context.subscriptions.push(
    vscode.commands.registerCommand('glue.actions', () => choose(glue, runner)),
    vscode.commands.registerCommand('glue.showLog', () => {
      glue.log.show();
    }),
  );
}

async function choose(glue: Glue, runner: Runner): Promise<void> {
  const known = new Set(await vscode.commands.getCommands(true));
  const actions = possible(glue, runner).filter((a) => known.has(a.command));
  const picked = await messages.pick(actions, { placeHolder: 'Sandbox' });
  if (picked !== undefined) {
    await vscode.commands.executeCommand(picked.command);
  }
}

function possible(glue: Glue, runner: Runner): Action[] {
  const usable = usableFolders().length > 0;
  const open = glue.sessions.open().length > 0;
  const changed = glue.sessions.all().some((s) => s.checkpoint.changedFiles > 0);
  const all: [boolean, string, string][] = [
    [runner.running.length > 0, '$(stop) Cancel the running command', 'glue.cancel'],
    [changed, '$(diff-multiple) Review changes', 'glue.review'],
    [changed, '$(cloud-download) Return changes', 'glue.session.return'],
    [usable, '$(terminal) Run a command…', 'glue.run'],
    [usable, '$(debug-rerun) Run the last command again', 'glue.runLast'],
    [usable, '$(terminal-bash) Open a terminal', 'glue.terminal'],
    [usable, '$(output) Show output', 'glue.showOutput'],
    [open, '$(sync) Send edits to the sandbox', 'glue.sync'],
    [open, '$(save) Store its changes on this machine', 'glue.session.checkpoint'],
    [open, '$(close) Close the sandbox', 'glue.session.close'],
    [usable, '$(vm) Open a sandbox…', 'glue.session.open'],
    [true, '$(list-unordered) Show sandboxes…', 'glue.session.list'],
    [true, '$(checklist) Check what sandboxes need', 'glue.doctor'],
    [true, '$(debug-restart) Restart the server', 'glue.restartServer'],
    [true, '$(note) Show the log', 'glue.showLog'],
  ];
  return all.filter(([applies]) => applies).map(([, label, command]) => ({ label, command }));
}
