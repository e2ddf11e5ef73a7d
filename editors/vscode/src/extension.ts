// Where the extension begins and ends. It is thin: what the server can do, the server does.
import * as vscode from 'vscode';
import { registerActions } from './actions';
import { registerDoctor } from './doctor';
import { usableFolders } from './folders';
import type { Glue } from './glue';
import { Host } from './host';
import * as messages from './messages';
import { registerOffers } from './offers';
import { registerReview, reviewMiddleware } from './review';
import { registerRunCommands } from './run/commands';
import { Links } from './run/links';
import { Outputs } from './run/output';
import { Runner } from './run/runner';
import { registerSessionCommands } from './sessionCommands';
import { showOrName } from './showDocument';
import { isOfUse, languagesOf } from './startup';
import { registerStatus } from './status';
import { registerTerminal } from './terminal';

let host: Host | undefined;

// There is nothing for other extensions; tests of this one get what its parts share.
export type Exports = Glue | undefined;

export function activate(context: vscode.ExtensionContext): Exports {
  const log = vscode.window.createOutputChannel('Glue Log', { log: true });
  const outputs = new Outputs();
  const glue = new Host(context, log, (of) => ({ ...reviewMiddleware(of), window: showOrName }));
  host = glue;
  context.subscriptions.push(log, outputs, glue);

  const runner = new Runner(glue, outputs);
  context.subscriptions.push(Links.register(outputs, glue.sessions), restartCommand(glue));
  registerRunCommands(glue, runner, outputs);
  registerSessionCommands(glue);
  registerDoctor(glue);
  registerActions(glue, runner);
  registerReview(glue);
  registerTerminal(glue);
  registerOffers(glue);
  registerStatus(glue, runner);

  startWhenOfUse(glue);
  return context.extensionMode === vscode.ExtensionMode.Test ? glue : undefined;
}

// The host of extensions gives this five seconds. The server stores by itself what
// sandboxes changed, also after that.
export async function deactivate(): Promise<void> {
  await host?.supervisor.deactivate();
}

// The server is started once by itself, as soon as it is of use; after that whoever needs
// it starts it.
function startWhenOfUse(glue: Host): void {
  const runnable = languagesOf(glue.context.extension.packageJSON);
  const start = async (): Promise<void> => {
    const opened = {
      folders: usableFolders().map((folder) => folder.uri.fsPath),
      languages: vscode.workspace.textDocuments
        .filter((document) => document.uri.scheme === 'file')
        .map((document) => document.languageId),
    };
    if (glue.state === 'stopped' && (await isOfUse(opened, runnable, process.env))) {
      watching.dispose();
      glue.supervisor.start().catch(() => undefined); // it was told
    }
  };
  const watching = vscode.Disposable.from(
    vscode.workspace.onDidChangeWorkspaceFolders(start),
    vscode.workspace.onDidOpenTextDocument(start),
    glue.onDidChangeState(() => {
      watching.dispose();
    }),
  );
  glue.context.subscriptions.push(watching);
  void start();
}

// Pressed again while it restarts, the command waits for the same start.
function restartCommand(glue: Host): vscode.Disposable {
  let restarting: Thenable<void> | undefined;
  const restart = async (): Promise<void> => {
    try {
      await messages.progress(
        { location: vscode.ProgressLocation.Notification, title: 'Restarting the server' },
        () => glue.supervisor.restart().catch(() => undefined), // it was told
      );
    } finally {
      restarting = undefined;
    }
  };
  return vscode.commands.registerCommand('glue.restartServer', () => (restarting ??= restart()));
}
