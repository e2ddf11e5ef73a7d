// The source control view "Sandbox": what each session changed, in groups, with buttons.
import * as vscode from 'vscode';
import type { FileChange, SessionInfo } from '../protocol';
import { isOpen } from '../sessions';
import type { Changes, SessionChanges } from './changes';
import { describeChange } from './diff';
import { group, GROUPS, keyOf } from './groups';
import type { GroupId } from './groups';
import { before, hostRoot, hostUri, SANDBOX, versionUri } from './uris';

const titles: Record<GroupId, string> = {
  conflicts: 'Changed on Both Sides',
  open: 'Act by Themselves When Opened',
  build: 'Act When Built or Tested',
  changes: 'Changes',
  outside: 'Outside the Workspace Folder',
};

// Resource is one changed file in the view.
export class Resource implements vscode.SourceControlResourceState {
  readonly resourceUri: vscode.Uri;
  readonly decorations: vscode.SourceControlResourceDecorations;
  readonly command: vscode.Command;
  readonly contextValue: string;

  constructor(
    readonly session: SessionInfo,
    readonly change: FileChange,
    readonly group: GroupId,
    detail: string | undefined,
  ) {
    // The query tells it apart from the host's own file, which has git's decorations.
    const host = hostUri(session, change) ?? versionUri(SANDBOX, session.id, change);
    this.resourceUri = host.with({ query: `${SANDBOX}=${change.status}` });
    const said = detail ?? change.acts?.why;
    const tooltip = [change.path, describeChange(change), lineCounts(change), said ?? '']
      .filter((part) => part !== '')
      .join('\n');
    this.decorations = { strikeThrough: change.status === 'deleted', tooltip };
    this.contextValue = group === 'conflicts' ? 'conflict' : 'change';
    this.command =
      group === 'conflicts'
        ? { command: 'glue.resolveConflict', title: 'Resolve', arguments: [this] }
        : { command: 'glue.openDiff', title: 'Open Changes', arguments: [this] };
  }
}

function lineCounts(change: FileChange): string {
  return change.kind === 'text' && change.additions !== undefined
    ? `+${String(change.additions)} −${String(change.deletions ?? 0)} lines`
    : '';
}

// View keeps one source control for each session that has changes.
export class View implements vscode.Disposable {
  private readonly controls = new Map<string, Control>();
  private readonly subscriptions: vscode.Disposable[];

  constructor(private readonly changes: Changes) {
    this.subscriptions = [
      changes.onDidChange((session) => {
        this.show(session);
      }),
      vscode.window.registerFileDecorationProvider({ provideFileDecoration }),
    ];
    for (const one of changes.all()) {
      this.show(one.session.id);
    }
  }

  // sessionOf gives the session that a title button or a group's button was pressed for.
  sessionOf(pressed: unknown): string | undefined {
    for (const [session, control] of this.controls) {
      if (control.isOrHas(pressed)) {
        return session;
      }
    }
    return undefined;
  }

  dispose(): void {
    for (const control of this.controls.values()) {
      control.dispose();
    }
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  private show(session: string): void {
    const now = this.changes.get(session);
    let control = this.controls.get(session);
    if (now === undefined || now.files.length + now.conflicts.length === 0) {
      control?.dispose();
      this.controls.delete(session);
      return;
    }
    if (control?.isOpen !== isOpen(now.session)) {
      control?.dispose(); // a source control keeps the name that it was made with
      control = new Control(now.session);
      this.controls.set(session, control);
    }
    control.show(now);
  }
}

// Control is the source control of one session.
class Control implements vscode.Disposable {
  private readonly source: vscode.SourceControl;
  private readonly groups: Map<GroupId, vscode.SourceControlResourceGroup>;

  readonly isOpen: boolean;

  constructor(session: SessionInfo) {
    this.isOpen = isOpen(session);
    this.source = vscode.scm.createSourceControl('glue', nameOf(session), hostRoot(session));
    this.source.inputBox.visible = false;
    this.groups = new Map(
      GROUPS.map((id) => {
        const made = this.source.createResourceGroup(id, titles[id]);
        made.hideWhenEmpty = true;
        return [id, made];
      }),
    );
  }

  show(now: SessionChanges): void {
    const details = new Map(now.conflicts.map((c) => [keyOf(c), c.detail]));
    const sorted = group(now.files, now.conflicts);
    for (const [id, shown] of this.groups) {
      shown.resourceStates = sorted[id].map(
        (change) => new Resource(now.session, change, id, details.get(keyOf(change))),
      );
    }
    this.source.count = Object.values(sorted).reduce((sum, files) => sum + files.length, 0);
  }

  isOrHas(pressed: unknown): boolean {
    return pressed === this.source || [...this.groups.values()].some((g) => g === pressed);
  }

  dispose(): void {
    for (const one of this.groups.values()) {
      one.dispose();
    }
    this.source.dispose();
  }
}

function nameOf(session: SessionInfo): string {
  if (isOpen(session)) {
    return 'Sandbox';
  }
  const when = new Date(session.createdAt).toLocaleString(undefined, {
    dateStyle: 'short',
    timeStyle: 'short',
  });
  return `Sandbox of ${when} (ended)`;
}

const letters: Record<FileChange['status'], [letter: string, tooltip: string, color: string]> = {
  added: ['A', 'Added in the sandbox', 'gitDecoration.addedResourceForeground'],
  modified: ['M', 'Changed in the sandbox', 'gitDecoration.modifiedResourceForeground'],
  deleted: ['D', 'Deleted in the sandbox', 'gitDecoration.deletedResourceForeground'],
  renamed: ['R', 'Renamed in the sandbox', 'gitDecoration.renamedResourceForeground'],
  mode: ['P', 'Permissions changed in the sandbox', 'gitDecoration.modifiedResourceForeground'],
  type: ['T', 'Another kind of file in the sandbox', 'gitDecoration.modifiedResourceForeground'],
};

function provideFileDecoration(uri: vscode.Uri): vscode.FileDecoration | undefined {
  const prefix = `${SANDBOX}=`;
  if (!uri.query.startsWith(prefix)) {
    return undefined;
  }
  const known = letters[uri.query.slice(prefix.length) as FileChange['status']] as
    (typeof letters)['added'] | undefined;
  return known && new vscode.FileDecoration(known[0], known[1], new vscode.ThemeColor(known[2]));
}

// changesOf gives the files that a button was pressed for, by session.
export function changesOf(pressed: readonly unknown[]): Map<SessionInfo, FileChange[]> {
  const bySession = new Map<string, [SessionInfo, FileChange[]]>();
  for (const one of pressed.flat()) {
    if (one instanceof Resource) {
      const found = bySession.get(one.session.id) ?? [one.session, []];
      found[1].push(one.change);
      bySession.set(one.session.id, found);
    }
  }
  return new Map(bySession.values());
}

// paths names changes in a request, both ends of a rename.
export function bothEnds(change: FileChange) {
  return change.oldPath === undefined ? [change] : [before(change), change];
}
