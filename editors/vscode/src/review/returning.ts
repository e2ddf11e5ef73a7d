// Bringing changes back, taking that back, throwing changes away, ending a session: the
// questions before, the request, and what is said afterwards.
import * as vscode from 'vscode';
import type { Glue } from '../glue';
import * as messages from '../messages';
import { failureOf } from '../protocol';
import type { FileChange, Resolution, ReturnParams, ReturnResult, SessionInfo } from '../protocol';
import { endSession } from '../offers';
import { isOpen } from '../sessions';
import type { Aftermath, EditApplier } from './applyEdit';
import { openDocument } from './applyEdit';
import type { Changes } from './changes';
import { attempt, withProgress } from './failures';
import { keyOf, notSeenAsText } from './groups';
import type { Action, Outcome } from './outcome';
import { describeReturn, describeSaving, describeUndo, returned } from './outcome';
import type { Answer } from './questions';
import { askActing, askClose, askDiscard, askMassDelete, askRest, askUnseen } from './questions';
import { bothEnds } from './scm';
import { hostUri, pathParam } from './uris';

// Where a window remembers which session was returned last.
const lastReturnKey = 'glue.lastReturn';

export interface ReturnOptions {
  // Only these; default all.
  files?: FileChange[];
  resolutions?: Resolution[];
  mode?: ReturnParams['mode'];
}

export class Returning {
  private readonly patches = new Map<string, string>(); // the mbox of each session's last return

  constructor(
    private readonly glue: Glue,
    private readonly changes: Changes,
    private readonly applier: EditApplier,
  ) {}

  // returnChanges asks what has to be asked, returns, and tells what came of it. It is
  // undefined when the person thought better of it, or it failed.
  async returnChanges(session: string, o: ReturnOptions = {}): Promise<ReturnResult | undefined> {
    return attempt(
      this.glue,
      'Returning changes from the sandbox',
      () => this.tryReturn(session, o),
      () => this.returnChanges(session, o),
    );
  }

  async undo(session: string): Promise<void> {
    await attempt(
      this.glue,
      'Undoing the return',
      async () => {
        const { result, after } = await this.watched(() =>
          withProgress('Undoing the return', (token, report) =>
            this.glue.request('glue/session/undo', { session }, token, report),
          ),
        );
        await this.lookAgain(session);
        const { notSaved, rewritten } = after; // what was unsaved is the person's own again
        const saving = describeSaving(notSaved.map(nameOf), rewritten.map(nameOf));
        this.tell(session, describeUndo(result, saving));
      },
      () => this.undo(session),
    );
  }

  // discard throws the named changes away after a question. What a command changes meanwhile stays.
  async discard(
    session: string,
    files: FileChange[],
    o: { closes?: boolean } = {},
  ): Promise<boolean> {
    const done = await attempt(this.glue, 'Discarding changes of the sandbox', async () => {
      if (files.length === 0 || !(await askDiscard(files, o.closes ?? false))) {
        return false;
      }
      const paths = (await this.isAll(session, files))
        ? undefined
        : files.flatMap(bothEnds).map(pathParam);
      await this.glue.request('glue/session/discard', { session, paths });
      this.changes.noteConflicts(session, [], files);
      await this.lookAgain(session);
      return true;
    });
    return done ?? false;
  }

  // isAll tells whether files are all that a session has and will ever have.
  private async isAll(session: string, files: readonly FileChange[]): Promise<boolean> {
    const now = await this.changes.refresh(session);
    const named = new Set(files.map(keyOf));
    return (
      !isOpen(now.session) &&
      now.files.length === files.length &&
      now.files.every((f) => named.has(keyOf(f)))
    );
  }

  // close ends a session; what did not come back is asked about first.
  async close(session: string): Promise<void> {
    await attempt(this.glue, 'Closing the sandbox', async () => {
      const { files, session: info } = await this.changes.refresh(session);
      const running = info.execs.filter((e) => e.state === 'running');
      let isKnown = false; // that something is left for later
      if (files.length > 0 || running.length > 0) {
        const choice = await askClose(files, running);
        if (choice === undefined) {
          return;
        }
        if (choice === 'return' && !(await this.returnBeforeClose(session))) {
          return;
        }
        isKnown = choice === 'keep' || choice === 'return';
        if (choice === 'discard' && !(await this.discard(session, files, { closes: true }))) {
          return;
        }
      }
      await endSession(this.glue, session, isKnown, () =>
        withProgress('Closing the sandbox', (token, report) =>
          this.glue.request('glue/session/close', { session, return: false }, token, report),
        ),
      );
      await this.lookAgain(session);
    });
  }

  // patchFile is where a session's changes are as patches, if there are any.
  async patchFile(session: string): Promise<string | undefined> {
    const known = this.patches.get(session);
    if (known !== undefined) {
      return known;
    }
    const result = await this.glue.request('glue/session/return', { session, apply: false });
    return result.mbox?.path;
  }

  // openPatches shows the patches that git am takes.
  async openPatches(session: string): Promise<void> {
    await attempt(this.glue, 'Opening the patches', async () => {
      const file = await this.patchFile(session);
      if (file === undefined) {
        void messages.info('There are no patches: the sandbox changed nothing.');
        return;
      }
      await vscode.window.showTextDocument(vscode.Uri.file(file), { preview: true });
    });
  }

  async savePatches(session: string): Promise<void> {
    await attempt(this.glue, 'Saving the patches', async () => {
      const file = await this.patchFile(session);
      if (file === undefined) {
        void messages.info('There are no patches: the sandbox changed nothing.');
        return;
      }
      const to = await vscode.window.showSaveDialog({
        filters: { Patches: ['mbox', 'patch'] },
        saveLabel: 'Save Patches',
      });
      if (to !== undefined) {
        await vscode.workspace.fs.copy(vscode.Uri.file(file), to, { overwrite: true });
      }
    });
  }

  private async tryReturn(session: string, o: ReturnOptions): Promise<ReturnResult | undefined> {
    const files = o.files ?? (await this.changes.refresh(session)).files;
    const mine = o.resolutions?.every((r) => r.choice === 'mine') ?? false;
    const acting = mine ? [] : files.filter((f) => f.acts?.when === 'open');
    let confirm: FileChange[] = [];
    if (acting.length > 0) {
      const answer = await askActing(acting, files.length > acting.length);
      if (answer !== 'yes' && answer !== 'no') {
        return this.insteadOf(answer, session);
      }
      confirm = answer === 'yes' ? acting : [];
    }
    // A person who named the files, or a side, saw what they return.
    const unseen = o.files === undefined && o.mode !== 'branch' ? notSeenAsText(files) : [];
    const others = unseen.filter((f) => !acting.includes(f));
    if (others.length > 0) {
      const answer = await askUnseen(others, files.length > others.length);
      if (answer !== 'yes') {
        return this.insteadOf(answer, session);
      }
    }
    const params: ReturnParams = {
      session,
      mode: o.mode,
      paths: o.files?.flatMap(bothEnds).map(pathParam),
      confirm: confirm.map(pathParam),
      resolutions: o.resolutions,
    };
    const { result, after } = await this.watched(() => this.send(params));
    if (result === undefined) {
      return undefined;
    }
    if (result.mbox !== null) {
      this.patches.set(session, result.mbox.path);
    }
    this.changes.noteConflicts(session, result.conflicts, o.files);
    const remaining = await this.lookAgain(session);
    const back = returned(result, remaining);
    if (result.branch === undefined && back.length > 0) {
      await this.glue.context.workspaceState.update(lastReturnKey, session);
    }
    const outcome = describeReturn(only(result, o.files), {
      remaining,
      unsaved: this.stillUnsaved(session, back, after.unsaved).map(nameOf),
      notSaved: after.notSaved.map(nameOf),
      rewritten: after.rewritten.map(nameOf),
    });
    this.tell(session, outcome);
    return result;
  }

  // watched does a request that edits files, and tells what saving them came to also when
  // the request fails.
  private async watched<T>(work: () => Promise<T>): Promise<{ result: T; after: Aftermath }> {
    this.tellAftermath(); // of an edit that came after its request had ended
    try {
      const result = await work();
      return { result, after: this.applier.take() };
    } catch (error) {
      this.tellAftermath();
      throw error;
    }
  }

  private tellAftermath(): void {
    const { notSaved, rewritten } = this.applier.take();
    const parts = describeSaving(notSaved.map(nameOf), rewritten.map(nameOf));
    if (parts.length > 0) {
      void messages.warn(parts.join(' '));
    }
  }

  // lastReturned gives the session whose changes came back last, so that they can be taken
  // back also when it has ended.
  async lastReturned(): Promise<SessionInfo | undefined> {
    const session = this.glue.context.workspaceState.get<string>(lastReturnKey);
    const known = session === undefined ? undefined : this.glue.sessions.get(session);
    if (session === undefined || known !== undefined) {
      return known;
    }
    try {
      return await this.glue.request('glue/session/status', { session });
    } catch (error) {
      this.glue.log.info(`The session of the last return: ${String(error)}`);
      return undefined;
    }
  }

  private async send(params: ReturnParams): Promise<ReturnResult | undefined> {
    const request = (more: ReturnParams) =>
      withProgress('Returning changes from the sandbox', (token, report) =>
        this.glue.request('glue/session/return', { ...params, ...more }, token, report),
      );
    try {
      return await request({});
    } catch (error) {
      if (failureOf(error)?.kind !== 'needsConfirmation') {
        throw error;
      }
      const { files } = await this.changes.refresh(params.session ?? '');
      const answer = await askMassDelete(files.filter((f) => f.status === 'deleted'));
      if (answer !== 'yes') {
        return this.insteadOf(answer, params.session ?? '');
      }
      return request({ allowMassDelete: true });
    }
  }

  // insteadOf shows the changes to a person who wants to see them before they decide.
  private async insteadOf(answer: Answer, session: string): Promise<undefined> {
    if (answer === 'look') {
      await vscode.commands.executeCommand('glue.review', { session });
    }
  }

  // stillUnsaved gives the returned files that hold unsaved text of the person's.
  private stillUnsaved(session: string, back: FileChange[], edited: vscode.Uri[]): vscode.Uri[] {
    const info = this.changes.get(session)?.session;
    const all = new Map(edited.map((uri) => [uri.toString(), uri]));
    for (const file of back) {
      const uri = info && hostUri(info, file);
      if (uri !== undefined && openDocument(uri)?.isDirty === true) {
        all.set(uri.toString(), uri);
      }
    }
    return [...all.values()].filter((uri) => openDocument(uri)?.isDirty === true);
  }

  private async returnBeforeClose(session: string): Promise<boolean> {
    const result = await this.returnChanges(session);
    if (result === undefined) {
      return false;
    }
    const left = this.changes.get(session)?.files ?? [];
    return left.length === 0 || askRest(left);
  }

  // lookAgain gives what is still to be returned; an ended session may be gone by now.
  private async lookAgain(session: string): Promise<FileChange[]> {
    try {
      return (await this.changes.refresh(session)).files;
    } catch (error) {
      if (failureOf(error)?.kind !== 'noSuchSession') {
        this.glue.log.warn(`Changes of session ${session}: ${String(error)}`);
      }
      return [];
    }
  }

  private tell(session: string, outcome: Outcome): void {
    const titles: Record<Action, string> = {
      undo: 'Undo',
      resolve: 'Resolve Conflicts',
      review: 'Review',
      patches: 'Show Patches',
    };
    const commands: Record<Action, string> = {
      undo: 'glue.undoReturn',
      resolve: 'glue.resolveConflict',
      review: 'glue.review',
      patches: 'glue.openMbox',
    };
    const show = outcome.severity === 'info' ? messages.info : messages.warn;
    this.glue.log.info(outcome.text);
    void show(outcome.text, ...outcome.actions.map((a) => titles[a])).then((chosen) => {
      const action = outcome.actions.find((a) => titles[a] === chosen);
      return action && vscode.commands.executeCommand(commands[action], { session });
    });
  }
}

function nameOf(uri: vscode.Uri): string {
  return vscode.workspace.asRelativePath(uri);
}

// only leaves out what nobody asked for: conflicts of other files are told already.
function only(result: ReturnResult, files: readonly FileChange[] | undefined): ReturnResult {
  if (files === undefined) {
    return result;
  }
  const asked = new Set(files.flatMap(bothEnds).map(keyOf));
  const among = <T extends { path: string; pathBytes?: string }>(all: T[]) =>
    all.filter((one) => asked.has(keyOf(one)));
  return {
    ...result,
    files: among(result.files),
    conflicts: among(result.conflicts),
    skipped: among(result.skipped),
    declined: among(result.declined),
  };
}
