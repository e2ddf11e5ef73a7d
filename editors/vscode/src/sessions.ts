// The sessions of this window's server, as it last described them.
import * as vscode from 'vscode';
import type { SessionInfo } from './protocol';

const openStates = ['opening', 'ready', 'returning'];

export class Sessions implements vscode.Disposable {
  private readonly byId = new Map<string, SessionInfo>();
  private readonly changed = new vscode.EventEmitter<SessionInfo | undefined>();

  // Fired with the session that is new or changed, or with nothing when all were dropped.
  readonly onDidChange = this.changed.event;

  all(): SessionInfo[] {
    return [...this.byId.values()];
  }

  get(id: string): SessionInfo | undefined {
    return this.byId.get(id);
  }

  open(): SessionInfo[] {
    return this.all().filter(isOpen);
  }

  // The ended sessions whose changes never came back.
  waiting(): SessionInfo[] {
    return this.all().filter((s) => !isOpen(s) && s.checkpoint.changedFiles > 0);
  }

  // The newest open session of a folder.
  ofFolder(folder: vscode.Uri): SessionInfo | undefined {
    const own = this.open().filter((s) => sameFolder(s, folder));
    own.sort((a, b) => b.createdAt.localeCompare(a.createdAt));
    return own[0];
  }

  set(info: SessionInfo): void {
    this.byId.set(info.id, info);
    this.changed.fire(info);
  }

  // replace takes a whole list; sessions that are not in it are gone.
  replace(list: SessionInfo[]): void {
    const gone = new Set(this.byId.keys());
    for (const info of list) {
      gone.delete(info.id);
      this.set(info);
    }
    for (const id of gone) {
      this.byId.delete(id);
    }
    if (gone.size > 0) {
      this.changed.fire(undefined);
    }
  }

  clear(): void {
    this.byId.clear();
    this.changed.fire(undefined);
  }

  dispose(): void {
    this.changed.dispose();
  }
}

export function isOpen(s: SessionInfo): boolean {
  return openStates.includes(s.state);
}

// stateKey names what a session holds: another one when its sandbox changed something more.
export function stateKey(s: Pick<SessionInfo, 'id' | 'checkpoint'>): string {
  return `${s.id} ${s.checkpoint.commit}`;
}

// The server may answer with the folder's real path, where a link leads to it; both are
// compared as paths.
export function sameFolder(s: Pick<SessionInfo, 'workspaceFolder'>, folder: vscode.Uri): boolean {
  return trimmed(vscode.Uri.parse(s.workspaceFolder).fsPath) === trimmed(folder.fsPath);
}

function trimmed(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
