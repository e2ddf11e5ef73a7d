// Shows what works on this machine, and what to do about the rest, as a document.
import * as vscode from 'vscode';
import { tell } from './failures';
import type { Glue } from './glue';
import { doctorReport } from './doctorReport';
import * as messages from './messages';

const scheme = 'glue-report';
const report = vscode.Uri.from({ scheme, path: '/Sandbox Doctor.md' });

export function registerDoctor(glue: Glue): void {
  const reports = new Reports();
  glue.context.subscriptions.push(
    reports,
    vscode.workspace.registerTextDocumentContentProvider(scheme, reports),
    vscode.commands.registerCommand('glue.doctor', () => examine(glue, reports)),
  );
}

async function examine(glue: Glue, reports: Reports): Promise<void> {
  try {
    const result = await messages.progress(
      {
        location: vscode.ProgressLocation.Notification,
        title: 'Checking what sandboxes need',
        cancellable: true,
      },
      (_, token) => glue.request('glue/doctor', {}, token),
    );
    reports.show(doctorReport(result));
    const document = await vscode.workspace.openTextDocument(report);
    await vscode.window.showTextDocument(document, { preview: true });
  } catch (error) {
    await tell(glue, 'The check was not made', error);
  }
}

class Reports implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  private text = '';

  readonly onDidChange = this.changed.event;

  show(text: string): void {
    this.text = text;
    this.changed.fire(report);
  }

  provideTextDocumentContent(): string {
    return this.text;
  }

  dispose(): void {
    this.changed.dispose();
  }
}
