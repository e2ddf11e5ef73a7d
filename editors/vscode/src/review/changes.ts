// What each session's sandbox changed, as the source control view and the diffs show it.
import * as vscode from 'vscode';
import type { Glue } from '../glue';
import { isCancelled } from '../protocol';
import type { Conflict, FileChange, SessionInfo } from '../protocol';
import { keyOf } from './groups';

export interface SessionChanges {
  session: SessionInfo;
  files: FileChange[];
  // Those of the last return that nobody settled yet.
  conflicts: Conflict[];
}

// Changes follows the sessions: whenever one announces other contents its difference is
// asked for anew. One request a session is under way at a time.
export class Changes implements vscode.Disposable {
  private readonly bySession = new Map<string, Entry>();
  private readonly changed = new vscode.EventEmitter<string>();
  private readonly listener: vscode.Disposable;

  // Fired with the session whose changes are others.
  readonly onDidChange = this.changed.event;

  constructor(private readonly glue: Glue) {
    this.listener = glue.sessions.onDidChange((info) => {
      this.follow(info);
    });
    for (const info of glue.sessions.all()) {
      this.follow(info);
    }
  }

  get(session: string): SessionChanges | undefined {
    return this.bySession.get(session)?.now;
  }

  // The sessions that have something to return, the newest first.
  all(): SessionChanges[] {
    const out = [...this.bySession.values()].flatMap((e) =>
      e.now !== undefined && e.now.files.length + e.now.conflicts.length > 0 ? [e.now] : [],
    );
    return out.sort((a, b) => b.session.createdAt.localeCompare(a.session.createdAt));
  }

  // refresh asks the server for what there is now.
  async refresh(session: string, token?: vscode.CancellationToken): Promise<SessionChanges> {
    const entry = this.entry(session);
    const diff = await this.glue.request('glue/session/diff', { session }, token);
    const info =
      this.glue.sessions.get(session) ??
      entry.now?.session ??
      (await this.glue.request('glue/session/status', { session }, token));
    entry.key = keyOfSession(info);
    return this.put(entry, info, diff.files, entry.now?.conflicts ?? []);
  }

  // noteConflicts keeps what a return could not merge, until it is settled.
  noteConflicts(session: string, conflicts: Conflict[], only?: readonly FileChange[]): void {
    const entry = this.entry(session);
    if (entry.now === undefined) {
      return;
    }
    const asked = only === undefined ? undefined : new Set(only.map(keyOf));
    const named = new Set(conflicts.map(keyOf));
    const others = entry.now.conflicts.filter(
      (c) => asked !== undefined && !asked.has(keyOf(c)) && !named.has(keyOf(c)),
    );
    this.put(entry, entry.now.session, entry.now.files, [...others, ...conflicts]);
  }

  dispose(): void {
    this.listener.dispose();
    this.changed.dispose();
  }

  private entry(session: string): Entry {
    let entry = this.bySession.get(session);
    if (entry === undefined) {
      entry = { key: '', busy: false };
      this.bySession.set(session, entry);
    }
    return entry;
  }

  private put(
    entry: Entry,
    session: SessionInfo,
    files: FileChange[],
    conflicts: Conflict[],
  ): SessionChanges {
    entry.now = { session, files, conflicts };
    this.changed.fire(session.id);
    return entry.now;
  }

  private follow(info: SessionInfo | undefined): void {
    if (info === undefined) {
      this.forgetGone();
      return;
    }
    if (info.state === 'opening' || info.state === 'returning') {
      return; // what it holds then is announced again
    }
    const entry = this.entry(info.id);
    if (info.checkpoint.changedFiles === 0) {
      const had =
        entry.now !== undefined && entry.now.files.length + entry.now.conflicts.length > 0;
      entry.key = keyOfSession(info);
      entry.now = { session: info, files: [], conflicts: [] };
      if (had) {
        this.changed.fire(info.id);
      }
      return;
    }
    if (entry.key !== keyOfSession(info)) {
      entry.key = keyOfSession(info);
      void this.update(info.id, entry);
    } else if (entry.now !== undefined) {
      entry.now = { ...entry.now, session: info };
    }
  }

  private async update(session: string, entry: Entry): Promise<void> {
    if (entry.busy) {
      return; // the one that is under way looks again
    }
    entry.busy = true;
    try {
      let key: string;
      do {
        key = entry.key;
        await this.refresh(session);
      } while (entry.key !== key && this.bySession.get(session) === entry);
    } catch (error) {
      if (!isCancelled(error)) {
        this.glue.log.warn(`Changes of session ${session}: ${String(error)}`);
      }
    } finally {
      entry.busy = false;
    }
  }

  private forgetGone(): void {
    for (const id of [...this.bySession.keys()]) {
      if (this.glue.sessions.get(id) === undefined) {
        this.bySession.delete(id);
        this.changed.fire(id);
      }
    }
  }
}

interface Entry {
  key: string; // of the session's state that was asked for last
  busy: boolean;
  now?: SessionChanges;
}

function keyOfSession(info: SessionInfo): string {
  return `${info.checkpoint.commit} ${String(info.checkpoint.changedFiles)} ${info.state}`;
}
