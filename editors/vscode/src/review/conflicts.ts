// Settling conflicts: in the merge editor where both sides are text, by a choice elsewhere.
import * as vscode from 'vscode';
import type { Glue } from '../glue';
import type { Conflict, FileChange, Resolution, SessionInfo } from '../protocol';
import { openDocument } from './applyEdit';
import type { Changes } from './changes';
import { compareWithMine } from './diff';
import { attempt } from './failures';
import { keyOf } from './groups';
import { hasMarkers, merge3, untouched, withMarkers } from './markers';
import type { Part } from './markers';
import { Drafts } from './drafts';
import { count, sentence } from './outcome';
import type { Returning } from './returning';
import { absentUri, BASE, before, hostUri, MERGE, MINE, SANDBOX, versionUri } from './uris';
import type { Versions } from './versions';

// Merge is one conflict while a person settles it in an editor.
interface Merge {
  session: SessionInfo;
  change: FileChange;
  host: vscode.Uri;
  mine: string; // the person's text when the merge began
  parts: Part[];
  mark: string; // the byte order mark of the person's file
  output: vscode.Uri;
}

const internalMergeEditor = '_open.mergeEditor';

export class Conflicts implements vscode.Disposable {
  private readonly merges = new Map<string, Merge>();
  private readonly drafts = new Drafts();
  private readonly subscriptions: vscode.Disposable[];

  constructor(
    private readonly glue: Glue,
    private readonly changes: Changes,
    private readonly versions: Versions,
    private readonly returning: Returning,
  ) {
    this.subscriptions = [
      this.drafts.register(),
      vscode.window.tabGroups.onDidChangeTabs(({ closed }) => {
        for (const uri of closed.flatMap(outputsOf)) {
          void this.finish(uri);
        }
      }),
    ];
  }

  dispose(): void {
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  // resolve settles one conflict, or the one that the person picks.
  async resolve(session: string, named?: FileChange): Promise<void> {
    await attempt(this.glue, 'Resolving a conflict', async () => {
      const now = this.changes.get(session) ?? (await this.changes.refresh(session));
      const conflict =
        named === undefined
          ? await pick(now.conflicts)
          : now.conflicts.find((c) => keyOf(c) === keyOf(named));
      if (conflict === undefined) {
        return;
      }
      const change =
        named ?? now.files.find((f) => keyOf(f) === keyOf(conflict)) ?? changeOf(conflict);
      const merge = isMergeable(conflict) ? await this.begin(now.session, change) : undefined;
      if (merge === undefined) {
        await this.ask(now.session, conflict, change);
      } else {
        await this.openEditor(merge);
      }
    });
  }

  // choose settles a conflict for one side as a whole.
  async choose(session: string, change: FileChange, choice: 'mine' | 'theirs'): Promise<void> {
    const { path, pathBytes } = change;
    await this.settle(session, change, { path, pathBytes, choice });
  }

  // accept takes the merge that is open in the active editor: VS Code's own command saves
  // and closes a merge editor, and asks first where conflicts are left.
  async accept(): Promise<void> {
    const tab = vscode.window.tabGroups.activeTabGroup.activeTab;
    const output = tab && outputsOf(tab)[0];
    if (output === undefined) {
      return;
    }
    if (!(tab?.input instanceof vscode.TabInputText)) {
      await vscode.commands.executeCommand('mergeEditor.acceptMerge');
      return;
    }
    const document = await vscode.workspace.openTextDocument(output);
    if (hasMarkers(document.getText())) {
      void vscode.window.showWarningMessage(
        'There are conflict markers left. Choose a side at each, then return the merge.',
      );
      return;
    }
    await document.save();
    await vscode.window.tabGroups.close(tab);
  }

  private async settle(session: string, change: FileChange, resolution: Resolution): Promise<void> {
    await this.returning.returnChanges(session, { files: [change], resolutions: [resolution] });
  }

  // begin reads the three sides; undefined where one of them is no text.
  private async begin(session: SessionInfo, change: FileChange): Promise<Merge | undefined> {
    const host = hostUri(session, change);
    if (host === undefined) {
      return undefined;
    }
    const bytes = await bytesAt(host);
    const mine = await readHost(host);
    const base = textOf(await this.readSide(BASE, session, before(change)));
    const theirs = textOf(await this.readSide(SANDBOX, session, change));
    if (mine === undefined || base === undefined || theirs === undefined) {
      return undefined;
    }
    const parts = merge3(withLF(base), withLF(mine), withLF(theirs));
    const output = versionUri(MERGE, session.id, change);
    const mark = bytes?.[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? '\ufeff' : '';
    const merge = { session, change, host, mine, parts, mark, output };
    const eol = mine.includes('\r\n') ? '\r\n' : '\n';
    const draft = withMarkers(parts, { mine: 'mine', theirs: 'sandbox' }).replace(/\n/g, eol);
    this.drafts.put(output, draft);
    this.drafts.put(versionUri(MINE, session.id, change), mine);
    this.merges.set(output.toString(), merge);
    return merge;
  }

  // readSide gives the bytes of one side, none where the file is not there.
  private async readSide(
    scheme: string,
    session: SessionInfo,
    file: FileChange | ReturnType<typeof before>,
  ) {
    try {
      return await this.versions.read(versionUri(scheme, session.id, file));
    } catch (error) {
      if (error instanceof vscode.FileSystemError && error.code === 'FileNotFound') {
        return new Uint8Array();
      }
      throw error;
    }
  }

  private async openEditor(merge: Merge): Promise<void> {
    const { session, change, output } = merge;
    const hasBase = await this.isThere(versionUri(BASE, session.id, before(change)));
    const side = (uri: vscode.Uri, title: string) => ({ uri, title });
    try {
      await vscode.commands.executeCommand(internalMergeEditor, {
        base: hasBase
          ? versionUri(BASE, session.id, before(change))
          : absentUri(BASE, session.id, before(change)),
        input1: side(versionUri(MINE, session.id, change), 'Mine'),
        input2: side(versionUri(SANDBOX, session.id, change), 'Sandbox'),
        output,
      });
    } catch (error) {
      // The command is VS Code's own affair. The same text can be settled as text: VS Code
      // shows buttons at the markers of any editor.
      this.glue.log.info(`No merge editor: ${String(error)}`);
      await vscode.window.showTextDocument(output, { preview: false });
    }
  }

  private async isThere(uri: vscode.Uri): Promise<boolean> {
    try {
      await this.versions.read(uri);
      return true;
    } catch {
      return false;
    }
  }

  // finish takes what an editor left behind when it was closed.
  private async finish(output: vscode.Uri): Promise<void> {
    const merge = this.merges.get(output.toString());
    const written = this.drafts.written(output);
    if (merge === undefined) {
      return;
    }
    this.merges.delete(output.toString());
    if (written === undefined) {
      return;
    }
    const text = withTyped(merge, written, await readHost(merge.host));
    const whole = text !== undefined && (await this.isWhole(merge, text));
    if (!whole) {
      if (text === undefined) {
        await this.askAgain(merge);
      }
      return;
    }
    const { path, pathBytes } = merge.change;
    await this.settle(merge.session.id, merge.change, {
      path,
      pathBytes,
      choice: 'content',
      data: merge.mark + text,
      encoding: 'utf-8',
    });
  }

  // isWhole asks where a merge may not be what the person means.
  private async isWhole(merge: Merge, text: string): Promise<boolean> {
    const left = untouched(merge.parts, text);
    const why = hasMarkers(text)
      ? 'it still has conflict markers'
      : left > 0
        ? `it takes neither side at ${count(left, 'conflict')}`
        : undefined;
    if (why === undefined) {
      return true;
    }
    const again = 'Go on Merging';
    const anyway = 'Return It Anyway';
    const chosen = await vscode.window.showWarningMessage(
      `Return the merge of ${merge.change.path}? As it is, ${why}.`,
      { modal: true },
      again,
      anyway,
    );
    if (chosen === again) {
      this.drafts.put(merge.output, text);
      this.merges.set(merge.output.toString(), merge);
      await this.openEditor(merge);
    }
    return chosen === anyway;
  }

  // askAgain is for a merge over which the person changed the same lines of the file.
  private async askAgain(merge: Merge): Promise<void> {
    const again = 'Merge Again';
    const chosen = await vscode.window.showWarningMessage(
      `${merge.change.path} was changed where you merged it. The merge was not returned.`,
      { modal: true },
      again,
    );
    if (chosen === again) {
      await this.resolve(merge.session.id, merge.change);
    }
  }

  // ask settles what cannot be merged as text.
  private async ask(session: SessionInfo, conflict: Conflict, change: FileChange): Promise<void> {
    const mine = 'Keep Mine';
    const theirs = "Take the Sandbox's";
    const compare = 'Compare';
    const save = 'Save Mine and Return Again';
    const host = hostUri(session, change);
    const document = host && openDocument(host);
    const buttons = document?.isDirty === true ? [save, mine, compare] : [mine, theirs, compare];
    const chosen = await vscode.window.showWarningMessage(
      `${change.path} was changed on both sides. Which version do you want here?`,
      { modal: true, detail: sentence(conflict.detail) },
      ...buttons,
    );
    switch (chosen) {
      case mine:
        await this.choose(session.id, change, 'mine');
        break;
      case theirs:
        await this.choose(session.id, change, 'theirs');
        break;
      case save:
        await document?.save();
        await this.returning.returnChanges(session.id, { files: [change] });
        break;
      case compare:
        await compareWithMine(session, change);
        break;
      default:
        break;
    }
  }
}

async function bytesAt(uri: vscode.Uri): Promise<Uint8Array | undefined> {
  try {
    return await vscode.workspace.fs.readFile(uri);
  } catch {
    return undefined;
  }
}

// readHost gives the person's text of a file: the editor's where it is open.
async function readHost(host: vscode.Uri): Promise<string | undefined> {
  return openDocument(host)?.getText() ?? textOf(await bytesAt(host));
}

// withTyped merges what the person typed into the file meanwhile into a merge; undefined
// where both changed the same lines.
function withTyped(merge: Merge, written: string, now: string | undefined): string | undefined {
  if (now === undefined) {
    return undefined;
  }
  if (withLF(now) === withLF(merge.mine)) {
    return written;
  }
  const parts = merge3(withLF(merge.mine), withLF(now), withLF(written));
  const lines = parts.flatMap((part) => ('lines' in part ? part.lines : []));
  const text = lines.join('');
  const eol = written.includes('\r\n') ? '\r\n' : '\n';
  return parts.some((part) => !('lines' in part)) ? undefined : text.replace(/\n/g, eol);
}

function isMergeable(conflict: Conflict): boolean {
  return conflict.kind === 'content' || conflict.kind === 'addAdd';
}

async function pick(conflicts: readonly Conflict[]): Promise<Conflict | undefined> {
  if (conflicts.length === 0) {
    void vscode.window.showInformationMessage('There are no conflicts with the sandbox.');
  }
  if (conflicts.length < 2) {
    return conflicts[0];
  }
  const items = conflicts.map((conflict) => ({
    conflict,
    label: conflict.path,
    description: conflict.detail,
  }));
  return (await vscode.window.showQuickPick(items, { placeHolder: 'Which conflict?' }))?.conflict;
}

function changeOf(conflict: Conflict): FileChange {
  const { path, pathBytes } = conflict;
  return {
    path,
    pathBytes,
    status: 'modified',
    kind: conflict.kind === 'binary' ? 'binary' : 'text',
  };
}

// outputsOf gives the merge that a tab shows. The tab of a merge editor is not part of
// the stable API, so that its members are looked for.
function outputsOf(tab: vscode.Tab): vscode.Uri[] {
  const { input } = tab;
  const found =
    input instanceof vscode.TabInputText
      ? input.uri
      : typeof input === 'object' && input !== null && 'result' in input
        ? input.result
        : undefined;
  return found instanceof vscode.Uri && found.scheme === MERGE ? [found] : [];
}

function withLF(text: string): string {
  return text.replace(/\r\n/g, '\n');
}

// textOf decodes UTF-8 without its byte order mark; undefined for what is no text.
function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined || bytes.includes(0)) {
    return undefined;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
