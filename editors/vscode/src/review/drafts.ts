// The documents of a merge: the person's side, held still, and the merge itself, which an
// editor writes.
import * as vscode from 'vscode';
import { MERGE, MINE } from './uris';

interface Draft {
  bytes: Uint8Array;
  written: boolean; // an editor saved it
  // VS Code compares it with what it knew before a reload.
  changedAt: number;
}

export class Drafts implements vscode.FileSystemProvider {
  private readonly drafts = new Map<string, Draft>();
  private readonly changed = new vscode.EventEmitter<vscode.FileChangeEvent[]>();

  readonly onDidChangeFile = this.changed.event;

  // keep is called with what an editor saves, before that counts as saved.
  constructor(private readonly keep: (uri: vscode.Uri, text: string, changedAt: number) => void) {}

  register(): vscode.Disposable {
    return vscode.Disposable.from(
      vscode.workspace.registerFileSystemProvider(MINE, this, {
        isCaseSensitive: true,
        isReadonly: true,
      }),
      vscode.workspace.registerFileSystemProvider(MERGE, this, { isCaseSensitive: true }),
      this.changed,
    );
  }

  // put begins a draft, or brings one back, and gives when it changed last.
  put(uri: vscode.Uri, text: string, was?: { written: boolean; changedAt: number }): number {
    const { written, changedAt } = was ?? { written: false, changedAt: this.next(uri) };
    this.set(uri, { bytes: new TextEncoder().encode(text), written, changedAt });
    return changedAt;
  }

  // written gives what an editor saved, undefined where none did since put.
  written(uri: vscode.Uri): string | undefined {
    const draft = this.drafts.get(uri.toString());
    return draft?.written === true ? new TextDecoder().decode(draft.bytes) : undefined;
  }

  stat(uri: vscode.Uri): vscode.FileStat {
    const draft = this.get(uri);
    return {
      type: vscode.FileType.File,
      ctime: 0,
      mtime: draft.changedAt,
      size: draft.bytes.length,
    };
  }

  readFile(uri: vscode.Uri): Uint8Array {
    return this.get(uri).bytes;
  }

  writeFile(uri: vscode.Uri, content: Uint8Array): void {
    this.get(uri); // only what a merge began is written
    const changedAt = this.next(uri);
    this.keep(uri, new TextDecoder().decode(content), changedAt);
    this.set(uri, { bytes: content, written: true, changedAt });
  }

  watch(): vscode.Disposable {
    return new vscode.Disposable(() => undefined); // nobody else writes them
  }

  readDirectory(): [string, vscode.FileType][] {
    return [];
  }

  createDirectory(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  delete(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  rename(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  private get(uri: vscode.Uri): Draft {
    const draft = this.drafts.get(uri.toString());
    if (draft === undefined) {
      throw vscode.FileSystemError.FileNotFound(uri);
    }
    return draft;
  }

  private set(uri: vscode.Uri, draft: Draft): void {
    this.drafts.set(uri.toString(), draft);
    this.changed.fire([{ type: vscode.FileChangeType.Changed, uri }]);
  }

  private next(uri: vscode.Uri): number {
    const last = this.drafts.get(uri.toString())?.changedAt ?? 0;
    return Math.max(Date.now(), last + 1);
  }
}
