// The commands that look after sandboxes themselves.
import * as vscode from 'vscode';
import { chooseSession, sessionItem } from './chooseSession';
import { confirming } from './confirm';
import { chooseFolder } from './folders';
import { tell } from './failures';
import type { Glue, OnProgress } from './glue';
import * as messages from './messages';
import type { Method, OpenParams, Requests, SessionInfo, SessionRef } from './protocol';
import { plainLine } from './run/clean';
import { files } from './run/outcome';
import { isOpen } from './sessions';
import { section } from './settings/settings';

const showMs = 8_000;

export function registerSessionCommands(glue: Glue): void {
  const register = (id: string, run: (argument: object) => Promise<void>): void => {
    const command = vscode.commands.registerCommand(id, (a: unknown) =>
      run(typeof a === 'object' && a !== null ? a : {}),
    );
    glue.context.subscriptions.push(command);
  };
  register('glue.session.open', (a) => open(glue, a));
  register('glue.session.checkpoint', (a) => checkpoint(glue, a));
  register('glue.sync', (a) => sync(glue, a));
  register('glue.session.list', () => list(glue));
}

async function open(glue: Glue, given: OpenParams): Promise<void> {
  const folder = given.workspaceFolder ?? (await chooseFolder())?.uri.toString();
  const runtime =
    given.runtime ?? ((given.resume ?? given.attach) ? undefined : await askRuntime());
  if (folder === undefined || runtime === null) {
    return;
  }
  const params: OpenParams = { ...given, workspaceFolder: folder };
  if (runtime !== undefined) {
    params.runtime = runtime;
  }
  const info = await working(glue, 'Opening the sandbox', 'glue/session/open', params);
  if (info !== undefined) {
    glue.sessions.set(info);
    const left = info.base.skipped.length;
    const out = left === 0 ? '' : `, ${left} left out`;
    messages.statusMessage(
      `$(check) The sandbox is open (${info.isolation}): ${info.base.files} files${out}`,
      showMs,
    );
    await tellWarnings(info);
  }
}

// askRuntime offers the runtimes, the setting's first; null is no choice.
async function askRuntime(): Promise<SessionInfo['runtime'] | null> {
  const set = vscode.workspace.getConfiguration(section).get<string>('runtime');
  const runtimes: { label: string; description: string; runtime: SessionInfo['runtime'] }[] = [
    { label: 'On this machine', description: 'local', runtime: 'local' },
    { label: "In Modal's cloud", description: 'modal', runtime: 'modal' },
  ];
  runtimes.sort((a, b) => Number(b.runtime === set) - Number(a.runtime === set));
  const picked = await messages.pick(runtimes, {
    placeHolder: 'Where the sandbox runs',
  });
  return picked?.runtime ?? null;
}

async function tellWarnings(info: SessionInfo): Promise<void> {
  if (info.warnings.length === 0) {
    return;
  }
  const details = 'Show Details';
  const more = info.warnings.length > 1 ? ` (and ${info.warnings.length - 1} more)` : '';
  const chosen = await messages.warn(`${plainLine(info.warnings[0] ?? '', 300)}${more}`, details);
  if (chosen === details) {
    await describe(info);
  }
}

async function checkpoint(glue: Glue, given: SessionRef): Promise<void> {
  const session = await chooseSession(given.session, glue.sessions.open());
  if (session === undefined) {
    return;
  }
  const doing = 'Storing the changes of the sandbox';
  const r = await working(glue, doing, 'glue/session/checkpoint', { session });
  if (r !== undefined) {
    const text = `Checkpoint ${r.seq} is stored: ${files(r.changedFiles)}`;
    messages.statusMessage(`$(check) ${text}`, showMs);
  }
}

async function sync(glue: Glue, given: SessionRef): Promise<void> {
  if (glue.sessions.open().length === 0) {
    await open(glue, {}); // what opens has the newest state
    return;
  }
  const session = await chooseSession(given.session, glue.sessions.open());
  if (session === undefined) {
    return;
  }
  const doing = 'Sending edits to the sandbox';
  const r = await confirming(glue, () =>
    requesting(glue, doing, 'glue/session/sync', { ...given, session }),
  ).catch((error: unknown) => tell(glue, `${doing} failed`, error, () => sync(glue, given)));
  if (!r) {
    return;
  }
  if (r.conflicts.length > 0) {
    const paths = r.conflicts.map((c) => plainLine(c.path, 80));
    void messages.warn(
      `Changed here and in the sandbox, and left as they are: ${paths.slice(0, 5).join(', ')}` +
        (paths.length > 5 ? ` and ${paths.length - 5} more.` : '.'),
    );
    return;
  }
  const text = `The sandbox has your edits: ${r.sent} files sent`;
  messages.statusMessage(`$(check) ${text}`, showMs);
}

async function list(glue: Glue): Promise<void> {
  const result = await working(glue, 'Looking for sandboxes', 'glue/session/list', {});
  if (result === undefined) {
    return;
  }
  glue.sessions.replace(result.sessions);
  if (result.sessions.length === 0) {
    void messages.info(
      'No sandbox is open, and no earlier one has changes that did not come back.',
    );
    return;
  }
  const picked = await messages.pick(result.sessions.map(sessionItem), {
    placeHolder: 'Open sandboxes, and ended ones whose changes did not come back',
  });
  if (picked !== undefined) {
    await act(picked.session);
  }
}

async function act(session: SessionInfo): Promise<void> {
  const argument = { session: session.id };
  const actions: { label: string; command?: string }[] = [];
  if (session.checkpoint.changedFiles > 0) {
    actions.push(
      { label: '$(diff-multiple) Review Changes', command: 'glue.review' },
      { label: '$(cloud-download) Return Changes', command: 'glue.session.return' },
      { label: '$(trash) Discard Changes…', command: 'glue.discardAll' },
    );
  }
  if (isOpen(session)) {
    actions.push({ label: '$(close) Close Sandbox', command: 'glue.session.close' });
  }
  actions.push({ label: '$(info) Show Details' });
  const picked = await messages.pick(actions, { placeHolder: 'What to do with it' });
  if (picked === undefined) {
    return;
  }
  if (picked.command === undefined) {
    await describe(session);
  } else {
    await vscode.commands.executeCommand(picked.command, argument);
  }
}

async function describe(s: SessionInfo): Promise<void> {
  const lines = [
    `Runtime: ${s.runtime}, isolation: ${s.isolation}`,
    `Folder: ${vscode.Uri.parse(s.workspaceFolder).fsPath}, in the sandbox: ${s.cwd}`,
    `To return: ${files(s.checkpoint.changedFiles)}`,
    ...(s.expiresAt === undefined
      ? []
      : [`Ends by itself: ${new Date(s.expiresAt).toLocaleString()}`]),
    ...(s.lost === undefined ? [] : [`Gone: ${s.lost.message}`]),
    ...s.warnings,
    ...s.gaps.map((gap) => `Not held by the isolation: ${gap}`),
    ...s.base.skipped.slice(0, 20).map((f) => `Left out: ${f.path}: ${f.reason}`),
  ];
  await messages.info(`Sandbox ${s.id}`, {
    modal: true,
    detail: lines.map((line) => plainLine(line, 300)).join('\n'),
  });
}

// working makes a request under a progress that can be cancelled, and tells what failed.
async function working<M extends Method>(
  glue: Glue,
  title: string,
  method: M,
  params: Requests[M]['params'],
): Promise<Requests[M]['result'] | undefined> {
  try {
    return await requesting(glue, title, method, params);
  } catch (error) {
    await tell(glue, `${title} failed`, error);
    return undefined;
  }
}

async function requesting<M extends Method>(
  glue: Glue,
  title: string,
  method: M,
  params: Requests[M]['params'],
): Promise<Requests[M]['result']> {
  return messages.progress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    (bar, token) => {
      const report: OnProgress = (value) => {
        bar.report({ message: value.message });
      };
      return glue.request(method, params, token, report);
    },
  );
}
