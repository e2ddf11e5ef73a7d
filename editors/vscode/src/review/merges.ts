// Merges that a person makes in VS Code's merge editor, from the conflict to the return.
import * as path from 'node:path';
import * as vscode from 'vscode';
import type { Glue } from '../glue';
import * as messages from '../messages';
import type { FileChange, Resolution, ReturnResult, SessionInfo } from '../protocol';
import { count } from '../words';
import { openDocument } from './applyEdit';
import { Drafts } from './drafts';
import { attempt } from './failures';
import { keyOf } from './groups';
import type { KeptMerge } from './keptMerges';
import { KeptMerges } from './keptMerges';
import { hasMarkers, merge3, untouched, withMarkers } from './markers';
import type { Part } from './markers';
import { hasMark, isUniform, lineEndOf, textOf, withChange, withLF } from './mergeText';
import { absentUri, BASE, before, hostUri, MERGE, MINE, SANDBOX, versionUri } from './uris';
import type { TreePath } from './uris';
import type { Versions } from './versions';

// Merge is one conflict while a person settles it in an editor.
export interface Merge {
  session: SessionInfo;
  change: FileChange;
  host: vscode.Uri;
  mine: string; // the person's text when the merge began
  theirs: string; // the sandbox's text then
  parts: Part[];
  mark: string; // the byte order mark of the person's file
  output: vscode.Uri;
  finishing: boolean; // it is being asked about or returned
}

// What merges need of the conflicts that they settle.
export interface Settling {
  settle(
    session: string,
    change: FileChange,
    resolution: Resolution,
  ): Promise<ReturnResult | undefined>;
  // resolveAnew begins another merge, or asks for a side.
  resolveAnew(session: string, change: FileChange): Promise<void>;
}

// What is left to do about a merge whose editor was closed: it is in the person's file, it
// is open again, or its text is kept.
type Left = 'nothing' | 'open' | 'kept';

const internalMergeEditor = '_open.mergeEditor';

// Merges keeps the text of each merge until it is in the person's file, also over a reload
// of the window.
export class Merges implements vscode.Disposable {
  private readonly merges = new Map<string, Merge>();
  private readonly drafts: Drafts;
  private readonly kept: KeptMerges;
  private readonly subscriptions: vscode.Disposable[];

  constructor(
    private readonly glue: Glue,
    private readonly versions: Versions,
    private readonly settling: Settling,
  ) {
    const storage = glue.context.storageUri;
    this.kept = new KeptMerges(storage && path.join(storage.fsPath, 'merges'));
    this.drafts = new Drafts((output, text, changedAt) => {
      const merge = this.merges.get(output.toString());
      if (merge !== undefined) {
        this.keep(merge, { text, written: true, changedAt });
      }
    });
    for (const kept of this.kept.all(Date.now())) {
      this.bringBack(kept);
    }
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

  // find gives the merge that was begun for a file and is in no file yet.
  find(session: string, change: FileChange): Merge | undefined {
    return this.merges.get(versionUri(MERGE, session, change).toString());
  }

  // forget drops the merge of a file that was settled in another way.
  forget(session: string, change: FileChange): void {
    this.drop(versionUri(MERGE, session, change));
  }

  private drop(output: vscode.Uri): void {
    this.merges.delete(output.toString());
    this.kept.drop(output.toString());
  }

  private keep(merge: Merge, made: Pick<KeptMerge, 'text' | 'written' | 'changedAt'>): void {
    const { session, change, mine, theirs, parts, mark } = merge;
    this.kept.put(merge.output.toString(), {
      ...{ session, change, mine, theirs, parts, mark },
      ...made,
    });
  }

  // bringBack makes a merge of an earlier window one of this window.
  private bringBack({ text, written, changedAt, ...began }: KeptMerge): void {
    const { session, change, mine } = began;
    const host = hostUri(session, change);
    if (host === undefined) {
      return;
    }
    const output = versionUri(MERGE, session.id, change);
    this.drafts.put(output, text, { written, changedAt });
    this.drafts.put(versionUri(MINE, session.id, change), mine);
    this.merges.set(output.toString(), { ...began, host, output, finishing: false });
  }

  // tellLeft speaks of the merges of earlier windows that were saved and that no tab shows.
  tellLeft(): void {
    for (const merge of this.merges.values()) {
      if (this.drafts.written(merge.output) !== undefined && !isShown(merge.output)) {
        void this.tellKept(merge);
      }
    }
  }

  // cutOff gives the merges that a tab still shows after a reload, but nobody knows.
  cutOff(): vscode.Uri[] {
    const shown = tabs().flatMap(outputsOf);
    return shown.filter((uri) => !this.merges.has(uri.toString()));
  }

  // begin reads the three sides; undefined where one of them is no text.
  async begin(session: SessionInfo, change: FileChange): Promise<Merge | undefined> {
    const host = hostUri(session, change);
    const mine = host && (await readHost(host));
    if (host === undefined || mine === undefined) {
      return undefined;
    }
    const base = textOf(await this.readSide(BASE, session, before(change)));
    const theirs = textOf(await this.readSide(SANDBOX, session, change));
    if (base === undefined || theirs === undefined) {
      return undefined;
    }
    if (!isUniform(mine.text) || !isUniform(theirs)) {
      return undefined;
    }
    const parts = merge3(withLF(base), withLF(mine.text), withLF(theirs));
    const output = versionUri(MERGE, session.id, change);
    const merge: Merge = {
      session,
      change,
      host,
      mine: mine.text,
      theirs,
      parts,
      mark: mine.mark,
      output,
      finishing: false,
    };
    const draft = withMarkers(parts, { mine: 'mine', theirs: 'sandbox' });
    const text = draft.replace(/\n/g, lineEndOf(mine.text));
    const changedAt = this.drafts.put(output, text);
    this.drafts.put(versionUri(MINE, session.id, change), mine.text);
    this.merges.set(output.toString(), merge);
    this.keep(merge, { text, written: false, changedAt });
    return merge;
  }

  async openEditor(merge: Merge): Promise<void> {
    const { session, change, output } = merge;
    const side = (uri: vscode.Uri, title: string) => ({ uri, title });
    const base = versionUri(BASE, session.id, before(change));
    const theirs = versionUri(SANDBOX, session.id, change);
    try {
      if (!(await this.isThere(theirs))) {
        throw vscode.FileSystemError.FileNotFound(theirs);
      }
      await vscode.commands.executeCommand(internalMergeEditor, {
        base: (await this.isThere(base)) ? base : absentUri(BASE, session.id, before(change)),
        input1: side(versionUri(MINE, session.id, change), 'Mine'),
        input2: side(theirs, 'Sandbox'),
        output,
      });
      await closeRestored(output);
    } catch (error) {
      // The command is VS Code's own affair. The same text can be settled as text: VS Code
      // shows buttons at the markers of any editor.
      this.glue.log.info(`No merge editor: ${String(error)}`);
      await vscode.window.showTextDocument(output, { preview: false });
    }
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
      void messages.warn(
        'There are conflict markers left. Choose a side at each, then return the merge.',
      );
      return;
    }
    await document.save();
    await vscode.window.tabGroups.close(tab);
  }

  // readSide gives the bytes of one side, none where the file is not there.
  private async readSide(scheme: string, session: SessionInfo, file: TreePath) {
    try {
      return await this.versions.read(versionUri(scheme, session.id, file));
    } catch (error) {
      if (error instanceof vscode.FileSystemError && error.code === 'FileNotFound') {
        return new Uint8Array();
      }
      throw error;
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

  // finish takes what an editor left behind when its last tab was closed. A tab that is
  // moved is closed where it was after it was opened where it goes.
  private async finish(output: vscode.Uri): Promise<void> {
    const merge = this.merges.get(output.toString());
    if (merge === undefined || merge.finishing || isShown(output)) {
      return;
    }
    const written = this.drafts.written(output);
    if (written === undefined) {
      this.drop(output); // nothing was made of it
      return;
    }
    merge.finishing = true;
    let left: Left | undefined;
    try {
      left = await attempt(this.glue, `Returning the merge of ${merge.change.path}`, () =>
        this.hand(merge, written),
      );
    } finally {
      merge.finishing = false;
    }
    if (this.merges.get(output.toString()) !== merge) {
      return; // settled in another way meanwhile, or begun anew
    }
    if (left === 'nothing') {
      this.drop(output);
    } else if (left !== 'open') {
      void this.tellKept(merge);
    }
  }

  // hand returns a merge.
  private async hand(merge: Merge, written: string): Promise<Left> {
    const text = await this.withBothSides(merge, written);
    if (text === undefined) {
      return this.askAgain(merge);
    }
    const answer = await this.askWhole(merge, text);
    if (answer !== 'return') {
      return answer;
    }
    const { path, pathBytes } = merge.change;
    const result = await this.settling.settle(merge.session.id, merge.change, {
      path,
      pathBytes,
      choice: 'content',
      data: merge.mark + text,
      encoding: 'utf-8',
    });
    return result !== undefined && isSettled(result, merge.change) ? 'nothing' : 'kept';
  }

  // withBothSides brings what the person typed into the file, and what the sandbox made of
  // it since, into a merge.
  private async withBothSides(merge: Merge, written: string): Promise<string | undefined> {
    const mine = await readHost(merge.host);
    const theirs = textOf(await this.readSide(SANDBOX, merge.session, merge.change));
    if (mine === undefined || theirs === undefined) {
      return undefined;
    }
    const text = withChange(written, merge.mine, mine.text);
    return text === undefined ? undefined : withChange(text, merge.theirs, theirs);
  }

  // askWhole asks where a merge may not be what the person means.
  private async askWhole(merge: Merge, text: string): Promise<'return' | Left> {
    const left = untouched(merge.parts, text);
    const why = hasMarkers(text)
      ? 'it still has conflict markers'
      : left > 0
        ? `it takes neither side at ${count(left, 'conflict')}`
        : undefined;
    if (why === undefined) {
      return 'return';
    }
    const again = 'Go on Merging';
    const anyway = 'Return It Anyway';
    const chosen = await messages.warn(
      `Return the merge of ${merge.change.path}? As it is, ${why}.`,
      { modal: true },
      again,
      anyway,
    );
    if (chosen === again) {
      await this.openEditor(merge);
      return 'open';
    }
    return chosen === anyway ? 'return' : 'kept';
  }

  // askAgain is for a merge over which either side changed the same lines.
  private async askAgain(merge: Merge): Promise<Left> {
    const again = 'Merge Anew';
    const chosen = await messages.warn(
      `${merge.change.path} was changed where you merged it. The merge was not returned.`,
      { modal: true, detail: 'A new merge replaces the one that you made.' },
      again,
    );
    if (chosen === again) {
      await this.settling.resolveAnew(merge.session.id, merge.change);
    }
    return chosen === again ? 'open' : 'kept';
  }

  private async tellKept(merge: Merge): Promise<void> {
    const open = 'Open the Merge Again';
    const drop = 'Drop the Merge';
    const chosen = await messages.warn(
      `The merge of ${merge.change.path} was not returned. It is kept until you return or drop it.`,
      open,
      drop,
    );
    if (this.merges.get(merge.output.toString()) !== merge) {
      return;
    }
    if (chosen === open) {
      await this.openEditor(merge);
    } else if (chosen === drop && !isShown(merge.output)) {
      this.drop(merge.output);
    }
  }
}

// isSettled tells whether a return brought a file.
export function isSettled(result: ReturnResult, change: FileChange): boolean {
  const left = [...result.conflicts, ...result.skipped, ...result.declined];
  return result.applied && !left.some((one) => keyOf(one) === keyOf(change));
}

// readHost gives the person's text of a file: the editor's where it is open. Only what is
// UTF-8 on the disk is text: the server takes a merge as that.
async function readHost(host: vscode.Uri): Promise<{ text: string; mark: string } | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await vscode.workspace.fs.readFile(host);
  } catch {
    return undefined;
  }
  const onDisk = textOf(bytes);
  const document = openDocument(host);
  if (onDisk === undefined || !isUniform(onDisk)) {
    return undefined;
  }
  if (document?.isDirty === true && !document.encoding.startsWith('utf8')) {
    return undefined;
  }
  const text = document?.isDirty === true ? document.getText() : onDisk;
  return { text, mark: hasMark(bytes) ? '\ufeff' : '' };
}

// closeRestored closes the tab in which VS Code restored what was typed into a merge, once
// the merge editor shows it: the merge goes on until no tab has it.
async function closeRestored(output: vscode.Uri): Promise<void> {
  const key = output.toString();
  const restored = tabs().filter(
    ({ input }) => input instanceof vscode.TabInputText && input.uri.toString() === key,
  );
  const document = openDocument(output);
  if (restored.length > 0 && (document?.isDirty !== true || (await document.save()))) {
    await vscode.window.tabGroups.close(restored);
  }
}

function tabs(): vscode.Tab[] {
  return vscode.window.tabGroups.all.flatMap((group) => group.tabs);
}

function isShown(output: vscode.Uri): boolean {
  const key = output.toString();
  return tabs()
    .flatMap(outputsOf)
    .some((uri) => uri.toString() === key);
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
