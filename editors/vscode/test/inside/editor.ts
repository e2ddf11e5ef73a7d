import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { until } from '../driver/until';

/** What the extension shows to tests, as far as they look at it. */
export interface Glue {
  readonly state: string;
  readonly sessions: { all(): SessionInfo[] };
  request(method: string, params: object): Promise<unknown>;
}

export interface SessionInfo {
  id: string;
  runtime: string;
  state: string;
  checkpoint: { seq: number; changedFiles: number };
  execs: { execId: string; command: string; state: string }[];
}

/** The folder that the window has open. */
export function folder(): string {
  const first = vscode.workspace.workspaceFolders?.[0];
  assert.ok(first, 'a folder is open');
  return first.uri.fsPath;
}

export function uri(name: string): vscode.Uri {
  return vscode.Uri.file(path.join(folder(), name));
}

export function onDisk(name: string): string {
  return fs.readFileSync(path.join(folder(), name), 'utf8');
}

export function isThere(name: string): boolean {
  return fs.existsSync(path.join(folder(), name));
}

export function write(name: string, text: string): void {
  fs.mkdirSync(path.dirname(path.join(folder(), name)), { recursive: true });
  fs.writeFileSync(path.join(folder(), name), text);
}

export async function open(name: string): Promise<vscode.TextEditor> {
  return vscode.window.showTextDocument(uri(name), { preview: false });
}

/** Types into a file's editor, without saving. */
export async function type(name: string, line: number, text: string): Promise<vscode.TextDocument> {
  const editor = await open(name);
  assert.ok(await editor.edit((edit) => edit.insert(new vscode.Position(line, 0), text)));
  return editor.document;
}

/** The extension, activated. */
export async function glue(): Promise<Glue> {
  const extension = vscode.extensions.getExtension<Glue | undefined>('glue-lsp.glue');
  assert.ok(extension, 'the extension is there');
  const exports = await extension.activate();
  assert.ok(exports, 'the extension shows itself to tests');
  return exports;
}

/** Waits for the session of this window whose state fits. */
export async function session(
  what: string,
  fits: (one: SessionInfo) => boolean = (one) => one.state === 'ready',
): Promise<SessionInfo> {
  const it = await glue();
  return until(`a session ${what}`, () => it.sessions.all().find(fits));
}

/** The text of the output channel that is shown. */
export function output(): string {
  return vscode.workspace.textDocuments
    .filter((one) => one.uri.scheme === 'output' && one.languageId === 'glue-output')
    .map((one) => one.getText())
    .join('\n');
}

export async function waitForOutput(text: string | RegExp): Promise<string> {
  const fits = (): boolean =>
    typeof text === 'string' ? output().includes(text) : text.test(output());
  return until(`output like ${String(text)}`, () => fits() && output()).catch((why: Error) => {
    throw new Error(`${why.message}; there was:\n${output().slice(-4000)}`);
  });
}

/** A shell command that prints a text which the command itself, as it is shown, is not. */
export function say(text: string): string {
  return `echo ${text[0] ?? ''}''${text.slice(1)}`;
}

/** A shell command that prints, waits at the test's gate, and goes on. */
export function waiting(port: number, before: string, after: string): string {
  return `${before}; exec 9<>/dev/tcp/127.0.0.1/${port}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&9; cat <&9 >/dev/null; ${after}`;
}

/** Closes all editors, unsaved text thrown away. */
export async function closeEditors(): Promise<void> {
  for (const one of vscode.workspace.textDocuments) {
    if (!one.isDirty) continue;
    await vscode.window.showTextDocument(one);
    await vscode.commands.executeCommand('workbench.action.files.revert');
  }
  await vscode.commands.executeCommand('workbench.action.closeAllEditors');
}
