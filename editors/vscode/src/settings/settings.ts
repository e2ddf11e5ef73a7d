// The extension's settings, read from VS Code.
import * as vscode from 'vscode';
import type { Settings } from './split';
import { split } from './split';

export const section = 'glue';
const serverPath = 'serverPath';

interface Manifest {
  contributes: { configuration: { properties: Record<string, unknown> } };
}

// serverKeys are the settings of the server's own table, which the manifest repeats.
export function serverKeys(extension: vscode.Extension<unknown>): string[] {
  const manifest = extension.packageJSON as Manifest;
  return Object.keys(manifest.contributes.configuration.properties)
    .map((key) => key.slice(section.length + 1))
    .filter((key) => key !== serverPath);
}

export function readSettings(keys: readonly string[]): Settings {
  const config = vscode.workspace.getConfiguration(section);
  return split(keys, (key) => config.inspect(key), vscode.workspace.isTrusted);
}

// The program that the person named. A folder may name one only where it is trusted.
export function namedServer(): string {
  const found = vscode.workspace.getConfiguration(section).inspect<string>(serverPath);
  const own = found?.globalValue ?? '';
  return vscode.workspace.isTrusted ? (found?.workspaceValue ?? own) : own;
}

export function concernsServerPath(e: vscode.ConfigurationChangeEvent): boolean {
  return e.affectsConfiguration(`${section}.${serverPath}`);
}
