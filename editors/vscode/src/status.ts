// The language status item: what the active editor's folder runs in, and for how long.
import * as vscode from 'vscode';
import { currentFolder, usableFolders } from './folders';
import type { Glue } from './glue';
import type { SessionInfo } from './protocol';
import type { Runner } from './run/runner';
import { sameFolder } from './sessions';
import { shown } from './shown';
import { statusOf } from './statusText';

const everyMs = 15_000;

export function registerStatus(glue: Glue, runner: Runner): void {
  const item = vscode.languages.createLanguageStatusItem('glue.status', { scheme: 'file' });
  item.name = 'Sandbox';
  item.command = { title: 'Actions', command: 'glue.actions' };
  const update = (): void => {
    const folder = currentFolder();
    const session = folder === undefined ? undefined : sessionOf(glue, folder);
    const status = statusOf({
      server: glue.state,
      folder: folder !== undefined || usableFolders().length > 0,
      session,
      running: runner.running.length,
      waiting: waitingFiles(glue, folder),
      now: Date.now(),
    });
    item.text = shown(status.text);
    item.detail = shown(status.detail); // links in it would run commands
    item.busy = status.busy;
    item.severity = severities[status.severity];
    item.accessibilityInformation = { label: `Sandbox: ${status.text}. ${status.detail}` };
    void context('glue.running', glue.state === 'running');
    void context('glue.busy', runner.running.length > 0);
    void context('glue.hasSession', glue.sessions.open().length > 0);
    void context('glue.hasChanges', hasChanges(glue.sessions.all()));
  };
  const timer = setInterval(update, everyMs);
  glue.context.subscriptions.push(
    item,
    {
      dispose: () => {
        clearInterval(timer);
      },
    },
    glue.onDidChangeState(update),
    glue.sessions.onDidChange(update),
    runner.onDidChangeRunning(update),
    vscode.window.onDidChangeActiveTextEditor(update),
    vscode.workspace.onDidChangeWorkspaceFolders(update),
  );
  update();
}

const severities = {
  information: vscode.LanguageStatusSeverity.Information,
  warning: vscode.LanguageStatusSeverity.Warning,
  error: vscode.LanguageStatusSeverity.Error,
};

function sessionOf(glue: Glue, folder: vscode.WorkspaceFolder): SessionInfo | undefined {
  return glue.sessions.ofFolder(folder.uri);
}

function waitingFiles(glue: Glue, folder: vscode.WorkspaceFolder | undefined): number {
  return glue.sessions
    .waiting()
    .filter((s) => folder !== undefined && sameFolder(s, folder.uri))
    .reduce((sum, s) => sum + s.checkpoint.changedFiles, 0);
}

function hasChanges(sessions: SessionInfo[]): boolean {
  return sessions.some((s) => s.checkpoint.changedFiles > 0);
}

function context(key: string, value: boolean): Thenable<unknown> {
  return vscode.commands.executeCommand('setContext', key, value);
}
