// All that this extension asks and tells a person goes through here, so that no text can be
// more than text.
import * as vscode from 'vscode';
import { shown } from './shown';

type Ask = (
  text: string,
  options: vscode.MessageOptions,
  ...buttons: string[]
) => Thenable<string | undefined>;

type Told = [vscode.MessageOptions, ...string[]] | string[];

export function info(text: string, ...told: Told): Thenable<string | undefined> {
  return ask(vscode.window.showInformationMessage, text, told);
}

export function warn(text: string, ...told: Told): Thenable<string | undefined> {
  return ask(vscode.window.showWarningMessage, text, told);
}

export function error(text: string, ...told: Told): Thenable<string | undefined> {
  return ask(vscode.window.showErrorMessage, text, told);
}

function ask(how: Ask, text: string, told: Told): Thenable<string | undefined> {
  const [first, ...rest] = told;
  if (typeof first !== 'object') {
    return how(shown(text), {}, ...(told as string[]));
  }
  const detail = first.detail === undefined ? {} : { detail: shown(first.detail) };
  return how(shown(text), { ...first, ...detail }, ...(rest as string[]));
}

// pick gives the chosen one of the items that were given.
export async function pick<T extends vscode.QuickPickItem>(
  items: readonly T[],
  options: Omit<vscode.QuickPickOptions, 'canPickMany'>,
): Promise<T | undefined> {
  const rows = items.map(row);
  return (await vscode.window.showQuickPick(rows, asked(options)))?.item;
}

export async function pickSome<T extends vscode.QuickPickItem>(
  items: readonly T[],
  options: Omit<vscode.QuickPickOptions, 'canPickMany'>,
): Promise<T[] | undefined> {
  const rows = items.map(row);
  const chosen = await vscode.window.showQuickPick(rows, { ...asked(options), canPickMany: true });
  return chosen?.map((one) => one.item);
}

function row<T extends vscode.QuickPickItem>(item: T): vscode.QuickPickItem & { item: T } {
  const cleaned: vscode.QuickPickItem & { item: T } = { item, label: shown(item.label) };
  if (item.description !== undefined) {
    cleaned.description = shown(item.description);
  }
  if (item.detail !== undefined) {
    cleaned.detail = shown(item.detail);
  }
  return cleaned;
}

function asked(options: vscode.QuickPickOptions): vscode.QuickPickOptions {
  return options.placeHolder === undefined
    ? options
    : { ...options, placeHolder: shown(options.placeHolder) };
}

export interface Report {
  message?: string | undefined;
  increment?: number;
}

// What takes no longer flashes no progress. VS Code also leaves out a message that is the
// fourth within 0.8 s, and that may be the one that tells what came of it.
const progressAfterMs = 1000;

// progress shows what goes on for as long as the work does, if that is long.
export async function progress<T>(
  options: vscode.ProgressOptions & { title: string },
  work: (progress: vscode.Progress<Report>, token: vscode.CancellationToken) => Thenable<T>,
): Promise<T> {
  const cancel = new vscode.CancellationTokenSource();
  let show: (value: Report) => void = () => undefined;
  let done = 0; // per cent that were reported before there was a bar
  let latest: string | undefined;
  const report = (value: Report): void => {
    done += value.increment ?? 0;
    latest = value.message ?? latest;
    show(value);
  };
  const working = Promise.resolve(work({ report }, cancel.token));
  const timer = setTimeout(() => {
    const cleaned = { ...options, title: shown(options.title) };
    void vscode.window.withProgress(cleaned, async (bar, token) => {
      token.onCancellationRequested(() => {
        cancel.cancel();
      });
      show = ({ message, increment }) => {
        bar.report({
          ...(message !== undefined && { message: shown(message) }),
          ...(increment !== undefined && { increment }),
        });
      };
      show({ message: latest, increment: done });
      await working.catch(() => undefined); // it fails where it was asked for
    });
  }, progressAfterMs);
  try {
    return await working;
  } finally {
    clearTimeout(timer);
    cancel.dispose();
  }
}

// statusMessage shows a line in the status bar for some time.
export function statusMessage(text: string, ms: number): void {
  vscode.window.setStatusBarMessage(shown(text), ms);
}
