// Bringing changes back, taking that back, throwing changes away, ending a session: the
// questions before, the request, and what is said afterwards.
import * as vscode from 'vscode';
import type { Glue } from '../glue';
import { failureOf } from '../protocol';
import type { FileChange, Resolution, ReturnParams, ReturnResult } from '../protocol';
import { isOpen } from '../sessions';
import type { EditApplier } from './applyEdit';
import { openDocument } from './applyEdit';
import type { Changes } from './changes';
import { attempt, withProgress } from './failures';
import { keyOf } from './groups';
import type { Action, Outcome } from './outcome';
import { count, describeReturn, describeUndo, returned } from './outcome';
import type { Answer } from './questions';
import { askActing, askClose, askDiscard, askMassDelete, askRest } from './questions';
import { bothEnds } from './scm';
import { hostUri, pathParam } from './uris';

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
    // putOff keeps a person from being asked about a session's changes again.
    private readonly putOff: (session: string) => unknown,
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
        const result = await withProgress('Undoing the return', (token, report) =>
          this.glue.request('glue/session/undo', { session }, token, report),
        );
        await this.lookAgain(session);
        this.applier.take(); // what was unsaved is the person's own again
        this.tell(session, describeUndo(result));
      },
      () => this.undo(session),
    );
  }

  // discard throws changes away, by name or all, after a question.
  async discard(session: string, files: FileChange[] | undefined): Promise<boolean> {
    const done = await attempt(this.glue, 'Discarding changes of the sandbox', async () => {
      const named = files ?? (await this.changes.refresh(session)).files;
      if (named.length === 0 || !(await askDiscard(named))) {
        return false;
      }
      const paths = files === undefined ? undefined : files.flatMap(bothEnds).map(pathParam);
      await this.glue.request('glue/session/discard', { session, paths });
      this.changes.noteConflicts(session, [], files);
      await this.lookAgain(session);
      return true;
    });
    return done ?? false;
  }

  // close ends a session; what did not come back is asked about first.
  async close(session: string): Promise<void> {
    await attempt(this.glue, 'Closing the sandbox', async () => {
      const { files, session: info } = await this.changes.refresh(session);
      const running = info.execs.filter((e) => e.state === 'running');
      if (files.length > 0 || running.length > 0) {
        const choice = await askClose(files, running);
        if (choice === undefined) {
          return;
        }
        if (choice === 'return' && !(await this.returnBeforeClose(session))) {
          return;
        }
        if (choice === 'keep') {
          await this.putOff(session);
        }
        if (choice === 'discard' && !(await this.discard(session, undefined))) {
          return;
        }
      }
      await withProgress('Closing the sandbox', (token, report) =>
        this.glue.request('glue/session/close', { session, return: false }, token, report),
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
        void vscode.window.showInformationMessage(
          'There are no patches: the sandbox changed nothing.',
        );
        return;
      }
      await vscode.window.showTextDocument(vscode.Uri.file(file), { preview: true });
    });
  }

  async savePatches(session: string): Promise<void> {
    await attempt(this.glue, 'Saving the patches', async () => {
      const file = await this.patchFile(session);
      if (file === undefined) {
        void vscode.window.showInformationMessage(
          'There are no patches: the sandbox changed nothing.',
        );
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
    const params: ReturnParams = {
      session,
      mode: o.mode,
      paths: o.files?.flatMap(bothEnds).map(pathParam),
      confirm: confirm.map(pathParam),
      resolutions: o.resolutions,
    };
    const result = await this.send(params);
    if (result === undefined) {
      return undefined;
    }
    if (result.mbox !== null) {
      this.patches.set(session, result.mbox.path);
    }
    this.changes.noteConflicts(session, result.conflicts, o.files);
    const remaining = await this.lookAgain(session);
    const after = this.applier.take();
    const name = (uri: vscode.Uri) => vscode.workspace.asRelativePath(uri);
    const outcome = describeReturn(only(result, o.files), {
      remaining,
      unsaved: this.stillUnsaved(session, returned(result, remaining), after.unsaved).map(name),
      notSaved: after.notSaved.map(name),
      rewritten: after.rewritten.map(name),
    });
    this.tell(session, outcome);
    return result;
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
    if (left.length > 0 && !(await askRest(left))) {
      return false;
    }
    await this.putOff(session);
    return true;
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
    const show =
      outcome.severity === 'info'
        ? vscode.window.showInformationMessage
        : vscode.window.showWarningMessage;
    this.glue.log.info(outcome.text);
    void show(outcome.text, ...outcome.actions.map((a) => titles[a])).then((chosen) => {
      const action = outcome.actions.find((a) => titles[a] === chosen);
      return action && vscode.commands.executeCommand(commands[action], { session });
    });
  }
}

// chooseSession gives the session that is meant: the named one, the only one, or the one
// that the person picks.
export async function chooseSession(
  glue: Glue,
  changes: Changes,
  named: string | undefined,
  among: 'open' | 'changed' | 'all',
): Promise<string | undefined> {
  if (named !== undefined) {
    return named;
  }
  const changed = changes.all().map((c) => c.session);
  const rest = glue.sessions.all().filter((s) => !changed.some((c) => c.id === s.id));
  const candidates =
    among === 'open'
      ? glue.sessions.open()
      : among === 'changed' && changed.length > 0
        ? changed
        : [...changed, ...rest.filter(isOpen)];
  if (candidates.length === 0) {
    void vscode.window.showInformationMessage(
      'No sandbox is open, and none has changes that wait.',
    );
    return undefined;
  }
  if (candidates.length === 1) {
    return candidates[0]?.id;
  }
  const items = candidates.map((s) => ({
    id: s.id,
    label: vscode.workspace.asRelativePath(vscode.Uri.parse(s.workspaceFolder)),
    description: `${s.runtime}, ${isOpen(s) ? 'open' : 'ended'}, since ${new Date(s.createdAt).toLocaleString()}`,
    detail: count(changes.get(s.id)?.files.length ?? 0, 'changed file'),
  }));
  return (await vscode.window.showQuickPick(items, { placeHolder: 'Which sandbox?' }))?.id;
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
