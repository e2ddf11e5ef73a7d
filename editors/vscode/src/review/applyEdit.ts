// How an edit of the server's is applied: what a person has not saved stays unsaved, and
// what was saved is saved afterwards.
import * as vscode from 'vscode';
import type { ApplyWorkspaceEditParams, ApplyWorkspaceEditResult } from 'vscode-languageclient';
import { ResponseError } from 'vscode-languageclient';
import type { Glue } from '../glue';

// What became of the files of an edit besides the change itself.
export interface Aftermath {
  // Left unsaved, because they were.
  unsaved: vscode.Uri[];
  // Were saved before, and could not be saved now.
  notSaved: vscode.Uri[];
  // Saving them changed more than the edit did: a formatter, or trimmed white space.
  rewritten: vscode.Uri[];
}

export type ConvertEdit = (edit: ApplyWorkspaceEditParams['edit']) => Promise<vscode.WorkspaceEdit>;

// EditApplier applies edits and remembers their aftermath until it is told.
export class EditApplier {
  private readonly after: Aftermath = { unsaved: [], notSaved: [], rewritten: [] };

  constructor(private readonly glue: Glue) {}

  // take gives what happened since the last call.
  take(): Aftermath {
    const { unsaved, notSaved, rewritten } = this.after;
    return {
      unsaved: unsaved.splice(0),
      notSaved: notSaved.splice(0),
      rewritten: rewritten.splice(0),
    };
  }

  // apply answers workspace/applyEdit. An error as the answer says that this editor cannot
  // do such an edit, so that the server writes to disk what is not open.
  async apply(
    params: ApplyWorkspaceEditParams,
    next: (params: ApplyWorkspaceEditParams) => Promise<ApplyWorkspaceEditResult>,
    uriOf: (uri: string) => vscode.Uri,
  ): Promise<ApplyWorkspaceEditResult | ResponseError> {
    const wanted = targets(params, uriOf);
    const endangered = wanted.replaced.filter((uri) => openDocument(uri)?.isDirty === true);
    if (endangered.length > 0) {
      // Such an operation carries no version: VS Code would throw the text away.
      return new ResponseError(
        -32803,
        `${names(endangered)}: the editor holds unsaved text, which this would delete`,
      );
    }
    const dirty = new Set<string>();
    for (const { uri, version } of wanted.texts) {
      const document = openDocument(uri);
      if (document?.isDirty !== true) {
        continue;
      }
      if (version === null) {
        return {
          applied: false,
          failureReason: `${names([uri])} was opened and changed meanwhile`,
        };
      }
      dirty.add(uri.toString());
    }
    // isRefactoring would save everything, the person's own unsaved text too.
    const result = await next({ ...params, metadata: undefined });
    if (!result.applied) {
      return result;
    }
    const edited = wanted.texts.map(({ uri }) => uri);
    this.after.unsaved.push(...edited.filter((uri) => dirty.has(uri.toString())));
    await Promise.all(
      edited.filter((uri) => !dirty.has(uri.toString())).map((uri) => this.save(uri)),
    );
    return result;
  }

  private async save(uri: vscode.Uri): Promise<void> {
    const document = openDocument(uri);
    if (document?.isDirty !== true) {
      return;
    }
    const text = document.getText();
    let saved: boolean;
    try {
      saved = await document.save();
    } catch (error) {
      saved = false;
      this.glue.log.warn(`Saving ${uri.fsPath}: ${String(error)}`);
    }
    if (!saved) {
      this.after.notSaved.push(uri);
    } else if (document.getText() !== text) {
      this.after.rewritten.push(uri);
    }
  }
}

interface Targets {
  texts: { uri: vscode.Uri; version: number | null }[];
  // What is deleted, renamed, or would be overwritten.
  replaced: vscode.Uri[];
}

function targets(params: ApplyWorkspaceEditParams, uriOf: (uri: string) => vscode.Uri): Targets {
  const out: Targets = { texts: [], replaced: [] };
  for (const uri of Object.keys(params.edit.changes ?? {})) {
    out.texts.push({ uri: uriOf(uri), version: null });
  }
  for (const change of params.edit.documentChanges ?? []) {
    if (!('kind' in change)) {
      out.texts.push({ uri: uriOf(change.textDocument.uri), version: change.textDocument.version });
    } else if (change.kind === 'rename') {
      out.replaced.push(uriOf(change.oldUri), uriOf(change.newUri));
    } else {
      out.replaced.push(uriOf(change.uri));
    }
  }
  return out;
}

export function openDocument(uri: vscode.Uri): vscode.TextDocument | undefined {
  const key = uri.toString();
  return vscode.workspace.textDocuments.find((d) => d.uri.toString() === key);
}

function names(uris: readonly vscode.Uri[]): string {
  return uris.map((uri) => vscode.workspace.asRelativePath(uri)).join(', ');
}
