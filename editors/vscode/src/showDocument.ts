// Shows the files that the server names, such as a command's log.
import { stat } from 'node:fs/promises';
import * as vscode from 'vscode';
import * as messages from './messages';
import type { WindowMiddleware } from 'vscode-languageclient/node';

// VS Code gives larger files to no extension.
const mostBytes = 50 << 20;

// What is too large for the editor is named, so that another program can open it.
export const showOrName: WindowMiddleware = {
  showDocument: async (params, token, next) => {
    const uri = vscode.Uri.parse(params.uri);
    const size = uri.scheme === 'file' ? await sizeOf(uri.fsPath) : 0;
    if (size <= mostBytes) {
      return next(params, token);
    }
    void name(uri.fsPath, size);
    return { success: true };
  },
};

async function name(file: string, size: number): Promise<void> {
  const copy = 'Copy Path';
  const chosen = await messages.info(
    `${file} has ${Math.round(size / (1 << 20))} MiB, which is too much for the editor.`,
    copy,
  );
  if (chosen === copy) {
    await vscode.env.clipboard.writeText(file);
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch {
    return 0; // showing it tells why not
  }
}
