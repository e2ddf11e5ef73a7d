// Everything about what a sandbox changed: looking at it, taking it back, throwing it away.
import * as vscode from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';
import { chooseSession } from '../chooseSession';
import type { Glue } from '../glue';
import * as messages from '../messages';
import type { FileChange, ReturnParams, SessionInfo, SessionRef } from '../protocol';
import { EditApplier } from './applyEdit';
import { Changes } from './changes';
import { Conflicts } from './conflicts';
import { compareWithMine, openDiff, openReview, reviewTitle } from './diff';
import { attempt } from './failures';
import { keyOf } from './groups';
import { Returning } from './returning';
import { changesOf, Resource, View } from './scm';
import { hostUri, parseVersionUri } from './uris';
import { Versions } from './versions';

const appliers = new WeakMap<Glue, EditApplier>();

function applierOf(glue: Glue): EditApplier {
  let applier = appliers.get(glue);
  if (applier === undefined) {
    applier = new EditApplier(glue);
    appliers.set(glue, applier);
  }
  return applier;
}

// reviewMiddleware applies the server's edits as EditApplier says.
export function reviewMiddleware(glue: Glue): Middleware {
  return {
    workspace: {
      handleApplyEdit: (params, next) =>
        applierOf(glue).apply(
          params,
          async (p) => {
            const result = await next(p, new vscode.CancellationTokenSource().token);
            return 'applied' in result ? result : { applied: false, failureReason: result.message };
          },
          (uri) => vscode.Uri.parse(uri),
        ),
    },
  };
}

export function registerReview(glue: Glue): void {
  const changes = new Changes(glue);
  const versions = new Versions(glue);
  const returning = new Returning(glue, changes, applierOf(glue));
  const conflicts = new Conflicts(glue, changes, versions, returning);
  const view = new View(changes);
  const review = (session: string) =>
    attempt(glue, 'Showing what the sandbox changed', async () => {
      const now = await changes.refresh(session);
      if (now.files.length === 0) {
        void messages.info('The sandbox has no changes to return.');
        return;
      }
      await openReview(now);
    });
  glue.context.subscriptions.push(changes, versions.register(), conflicts, view, followReview());

  // session finds out which sandbox a button, a menu or a caller means.
  const session = (arg: unknown, among: Among, more: readonly SessionInfo[] = []) =>
    chooseSession(namedSession(arg) ?? view.sessionOf(arg), candidates(glue, changes, among, more));
  // picked gives the files that a button was pressed for: in the view, or in a diff.
  const picked = (args: unknown[]) => {
    const inView = changesOf(args);
    return inView.size > 0 ? inView : shownIn(changes, args[0]);
  };
  const command = (id: string, run: (...args: unknown[]) => unknown) => {
    glue.context.subscriptions.push(vscode.commands.registerCommand(id, run));
  };
  const onSession = (id: string, among: Among, run: (session: string, arg: unknown) => unknown) => {
    command(id, async (arg) => {
      const chosen = await session(arg, among);
      return chosen === undefined ? undefined : run(chosen, arg);
    });
  };
  const onFiles = (id: string, run: (session: string, files: FileChange[]) => Promise<unknown>) => {
    command(id, async (...args) => {
      for (const [info, files] of picked(args)) {
        await run(info.id, files);
      }
    });
  };

  const onGroup = (id: string, run: (session: string, files: FileChange[]) => Promise<unknown>) => {
    command(id, async (arg) => {
      const states = (arg as vscode.SourceControlResourceGroup | undefined)?.resourceStates ?? [];
      for (const [info, files] of changesOf([states])) {
        await run(info.id, files);
      }
    });
  };

  onSession('glue.review', 'changed', review);
  onSession('glue.session.return', 'changed', (id, arg) =>
    returning.returnChanges(id, { mode: modeOf(arg) }),
  );
  onSession('glue.returnToBranch', 'changed', (id) =>
    returning.returnChanges(id, { mode: 'branch' }),
  );
  onSession('glue.session.close', 'open', (id) => returning.close(id));
  command('glue.undoReturn', async (arg) => {
    const named = namedSession(arg) ?? view.sessionOf(arg);
    const last = named === undefined ? await returning.lastReturned() : undefined;
    const chosen = await session(arg, 'all', last === undefined ? [] : [last]);
    return chosen === undefined ? undefined : returning.undo(chosen);
  });
  const discard = async (id: string, files: FileChange[]) => {
    if (await returning.discard(id, files)) {
      conflicts.forget(id, files);
    }
  };
  onSession('glue.discardAll', 'changed', async (id) => {
    const files = (await attempt(glue, 'Discarding changes', () => changes.refresh(id)))?.files;
    return files === undefined ? undefined : discard(id, files);
  });
  onSession('glue.openMbox', 'changed', (id) => returning.openPatches(id));
  onSession('glue.saveMbox', 'changed', (id) => returning.savePatches(id));
  onSession('glue.refreshChanges', 'all', (id) =>
    attempt(glue, 'Looking at what the sandbox changed', () => changes.refresh(id)),
  );
  onFiles('glue.returnFile', (id, files) => returning.returnChanges(id, { files }));
  onGroup('glue.returnGroup', (id, files) => returning.returnChanges(id, { files }));
  onGroup('glue.discardGroup', discard);
  onFiles('glue.discardFile', discard);
  command('glue.resolveConflict', async (arg) => {
    if (arg instanceof Resource) {
      return conflicts.resolve(arg.session.id, arg.change);
    }
    const chosen = await session(arg, 'changed');
    return chosen === undefined ? undefined : conflicts.resolve(chosen);
  });
  for (const [id, choice] of [
    ['glue.useMine', 'mine'],
    ['glue.useTheirs', 'theirs'],
  ] as const) {
    onFiles(id, async (inSession, files) => {
      for (const file of files) {
        await conflicts.choose(inSession, file, choice);
      }
    });
  }
  command('glue.acceptMerge', () => conflicts.accept());
  command('glue.openDiff', async (...args) => {
    for (const [info, files] of picked(args)) {
      for (const file of files) {
        await attempt(glue, `Showing ${file.path}`, () =>
          openDiff(info, file, { preview: files.length === 1 }),
        );
      }
    }
  });
  command('glue.compareWithMine', async (...args) => {
    for (const [info, files] of picked(args)) {
      for (const file of files) {
        await attempt(glue, `Showing ${file.path}`, () => compareWithMine(info, file));
      }
    }
  });
  command('glue.openHostFile', async (...args) => {
    for (const [info, files] of picked(args)) {
      for (const file of files) {
        const uri = hostUri(info, file);
        if (uri !== undefined) {
          await attempt(glue, `Opening ${file.path}`, () =>
            Promise.resolve(vscode.commands.executeCommand('vscode.open', uri)),
          );
        }
      }
    }
  });
}

type Among = 'open' | 'changed' | 'all';

// candidates are the sessions that can be meant: those that are open, or those with changes
// and, where there are none or all are meant, the open ones too.
function candidates(
  glue: Glue,
  changes: Changes,
  among: Among,
  more: readonly SessionInfo[],
): SessionInfo[] {
  const changed = among === 'open' ? [] : changes.all().map((c) => c.session);
  const withOpen = among !== 'changed' || changed.length === 0;
  const byId = new Map(
    [...changed, ...(withOpen ? glue.sessions.open() : []), ...more].map((s) => [s.id, s]),
  );
  return [...byId.values()];
}

// namedSession reads the {session} of a caller.
function namedSession(arg: unknown): string | undefined {
  if (typeof arg !== 'object' || arg === null || !('session' in arg)) {
    return undefined;
  }
  const { session } = arg as SessionRef;
  return typeof session === 'string' ? session : undefined;
}

function modeOf(arg: unknown): ReturnParams['mode'] {
  const mode = typeof arg === 'object' && arg !== null && 'mode' in arg ? arg.mode : undefined;
  return mode === 'edits' || mode === 'disk' || mode === 'branch' ? mode : undefined;
}

// shownIn gives the change whose diff, or whose file, is named or active.
function shownIn(changes: Changes, arg: unknown): ReturnType<typeof changesOf> {
  const uri = arg instanceof vscode.Uri ? arg : vscode.window.activeTextEditor?.document.uri;
  if (uri === undefined) {
    return new Map();
  }
  const version = parseVersionUri(uri);
  for (const { session, files } of changes.all()) {
    const found = files.filter((f) =>
      uri.scheme === 'file'
        ? hostUri(session, f)?.toString() === uri.toString()
        : version?.session === session.id && keyOf(version.file) === keyOf(f),
    );
    if (found.length > 0) {
      return new Map([[session, found]]);
    }
  }
  return new Map();
}

// followReview sets the context key that shows our buttons over our multi-diff editor and
// not over that of others.
function followReview(): vscode.Disposable {
  const update = () => {
    const label = vscode.window.tabGroups.activeTabGroup.activeTab?.label ?? '';
    void vscode.commands.executeCommand(
      'setContext',
      'glue.reviewing',
      label.startsWith(reviewTitle),
    );
  };
  update();
  return vscode.Disposable.from(
    vscode.window.tabGroups.onDidChangeTabs(update),
    vscode.window.tabGroups.onDidChangeTabGroups(update),
  );
}
