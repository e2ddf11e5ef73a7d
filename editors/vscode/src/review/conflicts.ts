// Settling conflicts: in the merge editor where both sides are text, by a choice elsewhere.
import type * as vscode from 'vscode';
import type { Glue } from '../glue';
import * as messages from '../messages';
import type { Conflict, FileChange, Resolution, ReturnResult, SessionInfo } from '../protocol';
import { sentence } from '../words';
import { openDocument } from './applyEdit';
import type { Changes } from './changes';
import { compareWithMine } from './diff';
import { attempt } from './failures';
import { keyOf } from './groups';
import { isSettled, Merges } from './merges';
import type { Merge } from './merges';
import type { Returning } from './returning';
import { hostUri, parseVersionUri, pathParam } from './uris';
import type { Versions } from './versions';

export class Conflicts implements vscode.Disposable {
  private readonly merges: Merges;

  constructor(
    private readonly glue: Glue,
    private readonly changes: Changes,
    versions: Versions,
    private readonly returning: Returning,
  ) {
    this.merges = new Merges(glue, versions, this);
    this.merges.tellLeft();
    void this.tellCutOff();
  }

  dispose(): void {
    this.merges.dispose();
  }

  // resolve settles one conflict, or the one that the person picks.
  async resolve(session: string, named?: FileChange): Promise<void> {
    const begun = named && this.merges.find(session, named);
    await (begun === undefined ? this.resolveAnew(session, named) : this.goOn(begun));
  }

  // resolveAnew does so whatever merge of it was begun before. What is known of conflicts is
  // forgotten with a server, unless somebody looked just now.
  async resolveAnew(session: string, named?: FileChange, looked = false): Promise<void> {
    await attempt(this.glue, 'Resolving a conflict', async () => {
      const now = this.changes.get(session) ?? (await this.changes.refresh(session));
      const conflict =
        named === undefined
          ? await pick(now.conflicts)
          : now.conflicts.find((c) => keyOf(c) === keyOf(named));
      if (conflict === undefined) {
        if (named !== undefined && !looked) {
          await this.beginAnew(session, named);
        }
        return;
      }
      const change =
        named ?? now.files.find((f) => keyOf(f) === keyOf(conflict)) ?? changeOf(conflict);
      const begun = named === undefined ? this.merges.find(session, change) : undefined;
      if (begun !== undefined) {
        await this.goOn(begun);
        return;
      }
      if (conflict.held === true) {
        await this.tellHeld(now.session, conflict, change);
        return;
      }
      const merge = isMergeable(conflict)
        ? await this.merges.begin(now.session, change)
        : undefined;
      if (merge === undefined) {
        await this.ask(now.session, conflict, change);
      } else {
        await this.merges.openEditor(merge);
      }
    });
  }

  // choose settles a conflict for one side as a whole.
  async choose(session: string, change: FileChange, choice: 'mine' | 'theirs'): Promise<void> {
    const now = this.changes.get(session);
    const conflict = now?.conflicts.find((c) => keyOf(c) === keyOf(change));
    if (now !== undefined && conflict?.held === true) {
      await this.tellHeld(now.session, conflict, change);
      return;
    }
    const { path, pathBytes } = change;
    const result = await this.settle(session, change, { path, pathBytes, choice });
    if (result !== undefined && (choice === 'mine' || isSettled(result, change))) {
      this.merges.forget(session, change);
    }
  }

  // forget drops merges of changes that are there no more.
  forget(session: string, files: readonly FileChange[]): void {
    for (const file of files) {
      this.merges.forget(session, file);
    }
  }

  // accept takes the merge that is open in the active editor.
  accept(): Promise<void> {
    return this.merges.accept();
  }

  settle(
    session: string,
    change: FileChange,
    resolution: Resolution,
  ): Promise<ReturnResult | undefined> {
    return this.returning.returnChanges(session, { files: [change], resolutions: [resolution] });
  }

  // goOn shows a merge that was begun, unless it is being returned.
  private async goOn(merge: Merge): Promise<void> {
    if (!merge.finishing) {
      await attempt(this.glue, `Opening the merge of ${merge.change.path}`, () =>
        this.merges.openEditor(merge),
      );
    }
  }

  // tellHeld is for a change that merges, but cannot be brought as long as something is in
  // the way.
  private async tellHeld(
    session: SessionInfo,
    conflict: Conflict,
    change: FileChange,
  ): Promise<void> {
    const host = hostUri(session, change);
    const document = host && openDocument(host);
    const again = document?.isDirty === true ? 'Save and Return Again' : 'Return Again';
    const text = `${change.path} was not returned: ${sentence(conflict.detail)}`;
    if ((await messages.warn(text, again)) !== again) {
      return;
    }
    if (document?.isDirty !== true || (await document.save())) {
      await this.returning.returnChanges(session.id, { files: [change] });
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
    const chosen = await messages.warn(
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

  // tellCutOff speaks of merges in tabs that VS Code restored after a reload, where nothing
  // was kept of them.
  private async tellCutOff(): Promise<void> {
    for (const output of this.merges.cutOff()) {
      const named = parseVersionUri(output);
      if (named === undefined) {
        continue;
      }
      const again = 'Merge Anew';
      const chosen = await messages.warn(
        `The merge of ${named.file.path} was cut off when the window was reloaded, and was not returned. What its tab still shows is in no file.`,
        again,
      );
      if (chosen === again) {
        await this.beginAnew(named.session, changeOf(named.file));
      }
    }
  }

  // beginAnew finds out by a return that changes nothing whether a file is still in conflict.
  private async beginAnew(session: string, change: FileChange): Promise<void> {
    await attempt(this.glue, `Merging ${change.path}`, async () => {
      await this.changes.refresh(session);
      const paths = [pathParam(change)];
      const tried = await this.glue.request('glue/session/return', {
        session,
        apply: false,
        paths,
      });
      this.changes.noteConflicts(session, tried.conflicts, [change]);
      if (tried.conflicts.some((c) => keyOf(c) === keyOf(change))) {
        await this.resolveAnew(session, change, true);
      } else {
        void messages.info(`${change.path} is in conflict no more.`);
      }
    });
  }
}

function isMergeable(conflict: Conflict): boolean {
  return conflict.kind === 'content' || conflict.kind === 'addAdd';
}

async function pick(conflicts: readonly Conflict[]): Promise<Conflict | undefined> {
  if (conflicts.length === 0) {
    void messages.info('There are no conflicts with the sandbox.');
  }
  if (conflicts.length < 2) {
    return conflicts[0];
  }
  const items = conflicts.map((conflict) => ({
    conflict,
    label: conflict.path,
    description: conflict.detail,
  }));
  return (await messages.pick(items, { placeHolder: 'Which conflict?' }))?.conflict;
}

function changeOf(conflict: { path: string; pathBytes?: string; kind?: string }): FileChange {
  const { path, pathBytes } = conflict;
  return {
    path,
    pathBytes,
    status: 'modified',
    kind: conflict.kind === 'binary' ? 'binary' : 'text',
  };
}
