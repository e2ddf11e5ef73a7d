// The documents of a merge, in memory: the person's side, held still, and the merge
// itself, which an editor writes.
import * as vscode from 'vscode';
import { MERGE, MINE } from './uris';

interface Draft {
  bytes: Uint8Array;
  written: boolean;
  changedAt: number;
}

export class Drafts implements vscode.FileSystemProvider {
  private readonly drafts = new Map<string, Draft>();
  private readonly changed = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  private clock = 0;

  readonly onDidChangeFile = this.changed.event;

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

  put(uri: vscode.Uri, text: string): void {
    this.keep(uri, new TextEncoder().encode(text), false);
    this.changed.fire([{ type: vscode.FileChangeType.Changed, uri }]);
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
    this.keep(uri, content, true);
    this.changed.fire([{ type: vscode.FileChangeType.Changed, uri }]);
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

  private keep(uri: vscode.Uri, bytes: Uint8Array, written: boolean): void {
    this.clock++;
    this.drafts.set(uri.toString(), { bytes, written, changedAt: this.clock });
  }
}
